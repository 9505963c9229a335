//! Pods as observers of traffic knew them, for the time after they are gone from the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use capture::Timestamp;
use capture::time::SECOND;

use super::object::{self, ContainerState, ContainerStatus, Ip, OwnerReference, Terminated};
use super::{Objects, Stored};

/// A pod as an observer knew it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedPod {
    /// The object as JSON, as the API server gave it, reduced or not.
    pub object: String,
    /// Kind and name of its top owner; `None` leaves it to `ownerReferences`.
    pub owner: Option<(String, String)>,
    /// The addresses it held: from when, and until when; `None` where the observer knew of no end.
    pub tenures: Vec<(IpAddr, Timestamp, Option<Timestamp>)>,
}

impl Objects {
    /// Adds the pods that are not among the objects yet, by uid, as they were: with the owner, the addresses and the
    /// times that their observers knew. Of several versions of one pod the newest counts. A pod without an end is over
    /// if it is no newer than the pods that are there: these no longer have it. `file` is what errors name.
    pub fn add_observed(&mut self, file: &str, pods: impl IntoIterator<Item = ObservedPod>) {
        let known: BTreeSet<String> = self.pods.iter().map(|stored| key(&stored.object)).collect();
        let newest = self.pods.iter().map(|stored| version(&stored.object)).max();
        let mut observed: BTreeMap<String, Vec<(Stored<object::Pod>, ObservedPod)>> = BTreeMap::new();
        for pod in pods {
            let mut read = Objects::default();
            read.load(file, &pod.object);
            self.problems.append(&mut read.problems);
            for stored in read.pods.drain(..).filter(|stored| !known.contains(&key(&stored.object))) {
                observed.entry(key(&stored.object)).or_default().push((stored, pod.clone()));
            }
        }
        for versions in observed.into_values() {
            let mut tenures: Vec<_> = versions.iter().flat_map(|(_, pod)| pod.tenures.iter().copied()).collect();
            tenures.sort_unstable();
            tenures.dedup();
            let last = versions.into_iter().max_by(|(a, pod_a), (b, pod_b)| {
                (version(&a.object), &pod_a.object).cmp(&(version(&b.object), &pod_b.object))
            });
            if let Some((mut stored, pod)) = last {
                let replaced = newest.is_some_and(|newest| version(&stored.object) <= newest);
                adapt(&mut stored.object, pod.owner, &tenures, replaced);
                self.pods.push(stored);
            }
        }
    }
}

/// What tells pods apart: the uid, or the name where an object has none.
fn key(pod: &object::Pod) -> String {
    let metadata = &pod.metadata;
    let name = || format!("{}/{}", metadata.namespace.as_deref().unwrap_or("default"), metadata.name);
    metadata.uid.clone().unwrap_or_else(name)
}

fn version(pod: &object::Pod) -> u64 {
    pod.metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Writes into the object what the observer knew. `replaced`: there are pods, and this one is no longer among them.
fn adapt(
    pod: &mut object::Pod,
    owner: Option<(String, String)>,
    tenures: &[(IpAddr, Timestamp, Option<Timestamp>)],
    replaced: bool,
) {
    if let Some((kind, name)) = owner.filter(|(kind, _)| kind != "Pod") {
        pod.metadata.owner_references = Some(vec![OwnerReference { kind, name, controller: Some(true) }]);
    }
    if let Some(from) = tenures.iter().map(|(_, from, _)| *from).min() {
        pod.status.start_time = Some(from.to_string());
    }
    let listed = pod.status.pod_ips.get_or_insert_default();
    for (ip, ..) in tenures {
        if !listed.iter().any(|known| known.ip.parse() == Ok(*ip)) {
            listed.push(Ip { ip: ip.to_string() });
        }
    }
    let end: Option<Timestamp> =
        tenures.iter().map(|(.., to)| *to).collect::<Option<Vec<_>>>().unwrap_or_default().into_iter().max();
    if end.is_none() && !replaced {
        return;
    }
    pod.status.phase = Some("Succeeded".to_string());
    // The API cuts times to seconds, so that a second is added to what it says.
    let terminated = end.map(|end| Terminated { finished_at: Some(end.plus(-SECOND).to_string()) });
    pod.status.container_statuses = terminated
        .map(|terminated| vec![ContainerStatus { state: Some(ContainerState { terminated: Some(terminated) }) }]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Holder, Inventory, Options};

    fn at(second: i64) -> Timestamp {
        Timestamp(1_793_491_200 * SECOND).plus(second * SECOND)
    }

    fn pod(uid: &str, version: u64, label: &str) -> String {
        format!(
            r#"{{"kind":"Pod","metadata":{{"name":"web-{uid}","namespace":"shop","uid":"{uid}","resourceVersion":"{version}",
            "labels":{{"app":"{label}"}},"ownerReferences":[{{"kind":"ReplicaSet","name":"web-7d9","controller":true}}]}},
            "status":{{"phase":"Running","podIP":"10.0.0.1"}}}}"#
        )
    }

    fn observed(object: String, from: i64, to: Option<i64>) -> ObservedPod {
        let owner = Some(("Rollout".to_string(), "web".to_string()));
        let tenures = vec![("10.0.0.1".parse().unwrap(), at(from), to.map(at))];
        ObservedPod { object, owner, tenures }
    }

    fn holder(objects: &Objects, second: i64) -> String {
        let inventory = Inventory::build(objects, &Options::default());
        match inventory.holder("10.0.0.1".parse().unwrap(), at(second)) {
            Holder::Pod(id) => {
                let pod = inventory.pod(id);
                format!("{} {} {}", pod.workload, pod.labels["app"], pod.name)
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_pod_that_is_gone_is_its_top_owners() {
        let mut objects = Objects::default();
        objects.load(
            "dump.json",
            &pod("b", 20, "now").replace("\"podIP\"", "\"startTime\":\"2026-11-01T01:00:00Z\",\"podIP\""),
        );
        let gone = observed(pod("a", 10, "old"), 0, Some(1000));
        objects.add_observed("week.db", [gone]);
        assert_eq!(holder(&objects, 500), "shop/Rollout/web old web-a");
        assert_eq!(holder(&objects, 4000), "shop/ReplicaSet/web-7d9 now web-b");
        // To the second of its end, and the slack of clocks.
        assert_eq!(holder(&objects, 1004), "shop/Rollout/web old web-a");
        assert_eq!(holder(&objects, 1100), "Unresolved(NoHolder)");
    }

    #[test]
    fn the_cluster_input_wins_and_the_newest_version_counts() {
        let mut objects = Objects::default();
        objects.load("dump.json", &pod("a", 20, "now"));
        objects.add_observed("week.db", [observed(pod("a", 30, "old"), 0, Some(5))]);
        assert_eq!(holder(&objects, 500), "shop/ReplicaSet/web-7d9 now web-a");
        let mut objects = Objects::default();
        let versions = [(9, "older"), (10, "newer"), (9, "between")];
        objects.add_observed("week.db", versions.map(|(version, label)| observed(pod("a", version, label), 0, None)));
        assert_eq!(holder(&objects, 500), "shop/Rollout/web newer web-a");
    }

    #[test]
    fn one_without_an_end_is_over_where_later_pods_do_not_have_it() {
        for (version, finished) in [(10, true), (30, false)] {
            let mut objects = Objects::default();
            objects.load("dump.json", &pod("b", 20, "now").replace("10.0.0.1", "10.0.0.2"));
            objects.add_observed("week.db", [observed(pod("a", version, "old"), 0, None)]);
            let inventory = Inventory::build(&objects, &Options::default());
            assert_eq!(inventory.pods.iter().map(|pod| pod.finished).collect::<Vec<_>>(), [finished, false]);
            assert_eq!(holder(&objects, 90_000), "shop/Rollout/web old web-a");
        }
    }

    #[test]
    fn what_cannot_be_read_is_a_problem() {
        let mut objects = Objects::default();
        objects.add_observed("week.db", [observed("{\"kind\":\"Pod\",\"metadata\":7}".to_string(), 0, None)]);
        assert_eq!(objects.problems.len(), 1);
        assert!(objects.problems[0].to_string().starts_with("week.db:1: "), "{}", objects.problems[0]);
    }
}
