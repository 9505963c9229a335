//! What selects exactly the pods of a workload.

use std::collections::{BTreeMap, BTreeSet};

use crate::endpoint::{Pod, Workload};
use crate::inventory::{Inventory, is_volatile, stable};
use crate::label::{Labels, Requirement, Selector};

/// Labels that the Job controller gives its pods; values change with every run of a CronJob.
const JOB_NAMES: [&str; 2] = ["batch.kubernetes.io/job-name", "job-name"];

/// A selector and the workloads whose pods it selects: one, unless no label tells several apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Their namespace.
    pub namespace: String,
    /// The workloads, sorted; never empty.
    pub workloads: Vec<Workload>,
    /// Selects all of their pods and, today, no other pod of the namespace.
    pub selector: Selector,
}

/// The group of every workload whose pods have a network of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups {
    groups: Vec<Group>,
    of: BTreeMap<Workload, usize>,
}

impl Groups {
    /// Finds selectors for all workloads of an inventory.
    pub fn new(inventory: &Inventory) -> Groups {
        let mut namespaces: BTreeMap<&str, Vec<&Workload>> = BTreeMap::new();
        for (workload, info) in &inventory.workloads {
            if !info.host_network {
                namespaces.entry(&workload.namespace).or_default().push(workload);
            }
        }
        let mut groups = Groups::default();
        for (namespace, workloads) in namespaces {
            let space = Space::new(namespace, inventory);
            let mut done: BTreeSet<&Workload> = BTreeSet::new();
            for workload in workloads {
                if done.contains(workload) {
                    continue;
                }
                let group = space.group(workload, inventory);
                // A group that catches workloads of earlier ones takes their place.
                groups.groups.retain(|earlier| !earlier.workloads.iter().any(|known| group.workloads.contains(known)));
                done.extend(inventory.workloads.keys().filter(|known| group.workloads.contains(known)));
                groups.groups.push(group);
            }
        }
        for (index, group) in groups.groups.iter().enumerate() {
            groups.of.extend(group.workloads.iter().map(|workload| (workload.clone(), index)));
        }
        groups
    }

    /// The index of a workload's group; `None` for workloads on the host network.
    pub fn of(&self, workload: &Workload) -> Option<usize> {
        self.of.get(workload).copied()
    }

    /// A group.
    pub fn get(&self, index: usize) -> &Group {
        &self.groups[index]
    }

    /// All groups.
    pub fn iter(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter()
    }
}

/// The pods of one namespace that selectors can match.
struct Space<'a> {
    namespace: &'a str,
    pods: Vec<&'a Pod>,
}

impl<'a> Space<'a> {
    fn new(namespace: &'a str, inventory: &'a Inventory) -> Space<'a> {
        let pods = inventory.pods.iter().filter(|pod| pod.namespace == namespace && !pod.host_network).collect();
        Space { namespace, pods }
    }

    /// Grows a group until its selector catches nobody else.
    fn group(&self, workload: &Workload, inventory: &Inventory) -> Group {
        let mut workloads = BTreeSet::from([workload.clone()]);
        loop {
            let (members, others): (Vec<&Pod>, Vec<&Pod>) =
                self.pods.iter().partition(|pod| workloads.contains(&pod.workload));
            let base = match (workloads.len(), &inventory.workloads[workload].selector) {
                (1, Some(selector)) if members.iter().all(|pod| selector.matches(&pod.labels)) => selector.clone(),
                _ => Selector::from_labels(&common(&members)),
            };
            let base = if base.is_everything() { job_selector(&members) } else { base };
            let (selector, caught) = narrow(base, &members, others);
            if caught.is_empty() {
                let workloads = workloads.into_iter().collect();
                return Group { namespace: self.namespace.to_string(), workloads, selector };
            }
            workloads.extend(caught.into_iter().map(|pod| pod.workload.clone()));
        }
    }
}

/// Stable labels that all pods share.
fn common(pods: &[&Pod]) -> Labels {
    let mut labels = pods.first().map(|pod| stable(&pod.labels)).unwrap_or_default();
    labels.retain(|key, value| pods.iter().all(|pod| pod.labels.get(key) == Some(value)));
    labels
}

/// Adds requirements that all members meet until no other pod is caught, or none is left that would help. Returns the
/// pods that are still caught.
fn narrow<'a>(mut selector: Selector, members: &[&Pod], others: Vec<&'a Pod>) -> (Selector, Vec<&'a Pod>) {
    let mut caught: Vec<&Pod> = others.into_iter().filter(|pod| selector.matches(&pod.labels)).collect();
    for candidates in [stable_candidates, job_candidates] {
        while !caught.is_empty() {
            let excluded =
                |requirement: &Requirement| caught.iter().filter(|pod| !requirement.matches(&pod.labels)).count();
            // The most telling requirement; among equals the simplest form, then the first key.
            let best = candidates(members, &caught)
                .into_iter()
                .map(|requirement| (excluded(&requirement), requirement))
                .filter(|(count, _)| *count > 0)
                .max_by(|(a, left), (b, right)| a.cmp(b).then_with(|| preference(right).cmp(&preference(left))));
            let Some((_, requirement)) = best else { break };
            caught.retain(|pod| requirement.matches(&pod.labels));
            selector.insert(requirement);
        }
    }
    (selector, caught)
}

/// Lower is simpler to read.
fn preference(requirement: &Requirement) -> (u8, &Requirement) {
    let form = match requirement {
        Requirement::In { values, .. } if values.len() == 1 => 0,
        Requirement::Absent { .. } => 1,
        Requirement::In { .. } => 2,
        Requirement::NotIn { .. } => 3,
        Requirement::Exists { .. } => 4,
    };
    (form, requirement)
}

/// Requirements on stable keys that all members meet.
fn stable_candidates(members: &[&Pod], caught: &[&Pod]) -> Vec<Requirement> {
    let keys: BTreeSet<&String> = members.iter().chain(caught).flat_map(|pod| pod.labels.keys()).collect();
    keys.into_iter().filter(|key| !is_volatile(key)).flat_map(|key| candidates(key, members, caught)).collect()
}

/// Requirements on `key` that all members meet.
fn candidates(key: &str, members: &[&Pod], caught: &[&Pod]) -> Vec<Requirement> {
    let values =
        |pods: &[&Pod]| -> BTreeSet<String> { pods.iter().filter_map(|pod| pod.labels.get(key).cloned()).collect() };
    let (own, foreign) = (values(members), values(caught));
    let key = key.to_string();
    let mut found = Vec::new();
    if own.is_empty() {
        found.push(Requirement::Absent { key: key.clone() });
    } else if members.iter().all(|pod| pod.labels.contains_key(&key)) {
        found.push(Requirement::In { key: key.clone(), values: own.clone() });
        found.push(Requirement::Exists { key: key.clone() });
    }
    let only_foreign: BTreeSet<String> = foreign.difference(&own).cloned().collect();
    if !only_foreign.is_empty() {
        found.push(Requirement::NotIn { key, values: only_foreign });
    }
    found
}

/// For pods without a lasting label: that they are a Job's at all, and the name of a lone Job. Everything where they are
/// not.
fn job_selector(members: &[&Pod]) -> Selector {
    let key = JOB_NAMES.into_iter().find(|key| members.iter().all(|pod| pod.labels.contains_key(*key)));
    let Some(key) = key.filter(|_| !members.is_empty()) else { return Selector::everything() };
    let values: BTreeSet<String> = members.iter().filter_map(|pod| pod.labels.get(key).cloned()).collect();
    let lone = members.iter().all(|pod| pod.workload.kind == "Job");
    let key = key.to_string();
    [if lone { Requirement::In { key, values } } else { Requirement::Exists { key } }].into_iter().collect()
}

/// The last resort: whether the pods are a Job's at all, and the name of a lone Job, which does not change.
fn job_candidates(members: &[&Pod], caught: &[&Pod]) -> Vec<Requirement> {
    let lone = |pod: &&Pod| pod.workload.kind == "Job";
    let mut found = Vec::new();
    for key in JOB_NAMES {
        let has = |pod: &&Pod| pod.labels.contains_key(key);
        if members.iter().all(has) {
            found.push(Requirement::Exists { key: key.to_string() });
            if members.iter().all(lone) {
                let values = members.iter().filter_map(|pod| pod.labels.get(key).cloned()).collect();
                found.push(Requirement::In { key: key.to_string(), values });
            }
        } else if !members.iter().any(has) {
            found.push(Requirement::Absent { key: key.to_string() });
        }
        let values: BTreeSet<String> =
            caught.iter().filter(|pod| lone(pod)).filter_map(|pod| pod.labels.get(key).cloned()).collect();
        let own = |value: &String| members.iter().any(|pod| pod.labels.get(key) == Some(value));
        if !values.is_empty() && !values.iter().any(own) {
            found.push(Requirement::NotIn { key: key.to_string(), values });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Options;
    use crate::manifest::Objects;

    /// Pods as (name, owner kind and name, labels).
    fn groups(pods: &[(&str, &str, &str)]) -> Vec<(String, String)> {
        let mut objects = Objects::default();
        for (name, owner, labels) in pods {
            let labels: serde_json::Map<String, serde_json::Value> = labels
                .split(',')
                .filter(|label| !label.is_empty())
                .filter_map(|label| label.split_once('='))
                .map(|(key, value)| (key.to_string(), value.into()))
                .collect();
            let mut metadata = serde_json::json!({ "name": name, "namespace": "x", "labels": labels });
            if let Some((kind, owner)) = owner.split_once('/') {
                metadata["ownerReferences"] = serde_json::json!([{ "kind": kind, "name": owner, "controller": true }]);
            }
            let pod = serde_json::json!({ "kind": "Pod", "metadata": metadata });
            objects.load("test", &pod.to_string());
        }
        assert_eq!(objects.problems, []);
        let inventory = Inventory::build(&objects, &Options::default());
        let name =
            |group: &Group| group.workloads.iter().map(|workload| workload.name.clone()).collect::<Vec<_>>().join("+");
        Groups::new(&inventory).iter().map(|group| (name(group), group.selector.to_string())).collect()
    }

    #[test]
    fn selects_a_workload_and_nobody_else() {
        for (what, pods, expected) in [
            (
                "volatile labels are left out",
                vec![("a-1", "StatefulSet/a", "app=a,controller-revision-hash=9,apps.kubernetes.io/pod-index=0")],
                vec![("a", "app=a")],
            ),
            (
                "a canary carries one label more",
                vec![("s", "Deployment/s", "app=s,tier=web"), ("c", "Deployment/c", "app=s,tier=web,track=canary")],
                vec![("c", "app=s,tier=web,track=canary"), ("s", "app=s,tier=web,!track")],
            ),
            (
                "a value more than one has",
                vec![
                    ("a", "Deployment/a", "app=x"),
                    ("a2", "Deployment/a", "app=x,zone=1"),
                    ("b", "Deployment/b", "app=x,zone=2"),
                ],
                vec![("a", "app=x,zone notin (2)"), ("b", "app=x,zone=2")],
            ),
            (
                "no labels at all",
                vec![
                    ("bare", "", ""),
                    ("b", "Deployment/b", "app=b"),
                    ("j", "Job/j", "batch.kubernetes.io/job-name=j"),
                ],
                vec![
                    ("b", "app=b"),
                    ("j", "batch.kubernetes.io/job-name=j"),
                    ("bare", "!app,!batch.kubernetes.io/job-name"),
                ],
            ),
            (
                "twins are one",
                vec![("d1", "", "run=d"), ("d2", "", "run=d"), ("e", "", "run=e")],
                vec![("d1+d2", "run=d"), ("e", "run=e")],
            ),
        ] {
            let expected: Vec<(String, String)> =
                expected.into_iter().map(|(name, selector)| (name.to_string(), selector.to_string())).collect();
            assert_eq!(groups(&pods), expected, "{what}");
        }
    }

    #[test]
    fn a_cron_job_is_told_from_a_lone_job() {
        let cron = serde_json::json!({ "kind": "Job", "metadata": { "name": "cron-1", "namespace": "x",
            "ownerReferences": [{ "kind": "CronJob", "name": "cron", "controller": true }] }, "spec": {} });
        let pod = |name: &str, job: &str| {
            serde_json::json!({ "kind": "Pod", "metadata": { "name": name, "namespace": "x",
                "labels": { "job-name": job, "controller-uid": job },
                "ownerReferences": [{ "kind": "Job", "name": job, "controller": true }] } })
        };
        let mut objects = Objects::default();
        for object in [cron, pod("c", "cron-1"), pod("i", "import")] {
            objects.load("test", &object.to_string());
        }
        let inventory = Inventory::build(&objects, &Options::default());
        let found: Vec<String> = Groups::new(&inventory).iter().map(|group| group.selector.to_string()).collect();
        assert_eq!(found, ["job-name notin (import),job-name", "job-name=import"]);
    }
}
