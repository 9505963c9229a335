//! Pods made up from the selectors of policies, where policies are compared and there is no cluster.
//!
//! Whatever the selectors can tell apart has a pod, so that two sets of policies that allow the same between these pods,
//! and between them and every address, allow the same in any cluster. That holds of pods as policies mean to select
//! them, by their labels. Made-up pods have no addresses, so that an address range is only compared for addresses
//! outside; each declares every named port, with a number that no rule lists if there is one; a namespace that is only
//! known by name has no label but its name's; and no nodes are made up.

mod choices;
mod numbers;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::endpoint::{Pod, Workload};
use crate::evaluate::Namespaces;
use crate::inventory::{Inventory, PodId, WorkloadInfo};
use crate::label::{Labels, NAMESPACE_NAME, Requirement, Selector};
use crate::policy::PolicySet;
use crate::port::{ContainerPort, Protocol};
use crate::reach::term::{Scope, Term};
use choices::Choices;

/// Made-up pods of one namespace: above this not every combination of labels has one.
const PER_NAMESPACE: usize = 512;

/// Made-up namespaces, likewise.
const NAMESPACES: usize = 64;

/// Made-up pods of all namespaces together.
const TOTAL: usize = 20_000;

/// The kind of workloads of made-up pods.
const KIND: &str = "Pods";

/// A made-up cluster.
#[derive(Debug, Clone)]
pub struct Witnesses {
    /// The pods, each of a workload of its own that stands for several such pods.
    ///
    /// Pods are named after their labels, `app=web,tier=x`, or `other` where they have none; a value that no selector
    /// lists is `(other)`. Namespaces that are made up too are named `(namespace with team=ops)` or
    /// `(other namespace)`. A pod stands for all that the same selectors match, of which it has the fewest labels.
    pub inventory: Inventory,
    /// The number that stands for each named port, on every pod and for every protocol.
    pub ports: BTreeMap<String, u16>,
    /// Whether everything that the selectors tell apart is there. It is not where that would be too many pods, or where
    /// selectors tell nodes apart.
    pub complete: bool,
}

/// The cluster that can tell `sets` apart. `known` are namespaces whose labels are known; those without policies that
/// no selector tells from any other namespace are left out.
pub fn cluster(sets: &[PolicySet<'_>], known: &Namespaces) -> Witnesses {
    let asked = Asked::new(sets);
    let mut namespaces = known.clone();
    let (names, all_namespaces) = asked.namespaces(&mut namespaces);
    // Namespaces in which the same selectors apply have the same pods.
    let mut alike: BTreeMap<Vec<&Selector>, Vec<&str>> = BTreeMap::new();
    for name in &names {
        alike.entry(asked.selectors(&namespaces, name)).or_default().push(name);
    }
    let alike: Vec<(Choices, Vec<&str>)> =
        alike.into_iter().map(|(selectors, names)| (Choices::new(&selectors), names)).collect();
    let (labels, all_pods) = labels(&alike);

    let ports = numbers::of(sets);
    let mut inventory = Inventory::default();
    for ((_, names), labels) in alike.iter().zip(labels) {
        names.iter().for_each(|namespace| inventory.pods.extend(pods(namespace, &labels, &ports)));
    }
    inventory.pods.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    let workload = |(id, pod): (PodId, &Pod)| {
        let info =
            WorkloadInfo { pods: vec![id], labels: pod.labels.clone(), from_template: true, ..WorkloadInfo::default() };
        (pod.workload.clone(), info)
    };
    inventory.workloads = inventory.pod_ids().map(workload).collect();
    inventory.namespaces = namespaces;
    Witnesses { inventory, ports, complete: all_namespaces && all_pods && !asked.nodes }
}

/// The labels of pods for namespaces that are alike, and whether they are all that can be told apart.
fn labels(alike: &[(Choices, Vec<&str>)]) -> (Vec<Vec<Labels>>, bool) {
    let mut limit = PER_NAMESPACE;
    loop {
        // At first there is room for every selector twice, however many there are.
        let room = |choices: &Choices| limit.max(2 * choices.selectors() * limit / PER_NAMESPACE);
        let (labels, all): (Vec<Vec<Labels>>, Vec<bool>) =
            alike.iter().map(|(choices, _)| choices.labels(room(choices))).unzip();
        let total: usize = alike.iter().zip(&labels).map(|((_, names), labels)| names.len() * labels.len()).sum();
        if total <= TOTAL || limit == 1 {
            return (labels, all.into_iter().all(|all| all));
        }
        limit /= 2;
    }
}

/// What policies ask about pods.
#[derive(Default)]
struct Asked<'a> {
    /// The selectors of pods of one namespace, by its name.
    own: BTreeMap<&'a str, BTreeSet<&'a Selector>>,
    /// The selectors of pods of all namespaces that a selector matches, by that.
    matching: BTreeMap<&'a Selector, BTreeSet<&'a Selector>>,
    /// Whether they ask about nodes.
    nodes: bool,
}

impl<'a> Asked<'a> {
    fn new(sets: &[PolicySet<'a>]) -> Asked<'a> {
        let mut asked = Asked::default();
        for term in sets.iter().flat_map(|set| Term::all(*set)) {
            match term {
                Term::Pods { namespaces: Scope::One(name), pods, .. } => {
                    asked.own.entry(name).or_default().insert(pods);
                }
                Term::Pods { namespaces: Scope::Matching(namespaces), pods, .. } => {
                    asked.matching.entry(namespaces).or_default().insert(pods);
                }
                Term::Nodes(_) => asked.nodes = true,
                Term::Block(_) | Term::Network(_) => {}
            }
        }
        asked
    }

    /// The namespaces that have policies or are named in selectors.
    fn names(&self) -> impl Iterator<Item = &'a str> {
        let requirements = self.matching.keys().flat_map(|selector| selector.requirements());
        let of_name = requirements.filter(|requirement| requirement.key() == NAMESPACE_NAME);
        // A selector may well list the empty name; no namespace has it.
        self.own.keys().copied().chain(of_name.flat_map(choices::values)).filter(|name| !name.is_empty())
    }

    /// The names of all namespaces that are to have pods, and whether nothing is missing that selectors tell apart. Those
    /// that are made up are added to `namespaces`.
    fn namespaces(&self, namespaces: &mut Namespaces) -> (BTreeSet<String>, bool) {
        let known: BTreeSet<String> = namespaces.names().chain(self.names()).map(str::to_string).collect();
        let selectors: BTreeSet<Selector> = self.matching.keys().filter_map(|it| without_name(it)).collect();
        let selectors: Vec<&Selector> = selectors.iter().collect();
        let (made_up, all) = Choices::new(&selectors).labels(NAMESPACES);
        let mut names = BTreeSet::new();
        let mut of_other = BTreeSet::new();
        for labels in made_up {
            let is_other = labels.is_empty();
            let with = |labels| format!("(namespace with {})", written(labels));
            let name = unused(if is_other { "(other namespace)".to_string() } else { with(&labels) }, &names);
            namespaces.insert(name.clone(), labels);
            if is_other {
                of_other = self.matching(namespaces, &name);
            }
            names.insert(name);
        }
        // The other namespace stands for all that no selector asks about.
        let is_apart = |name: &str| self.own.contains_key(name) || self.matching(namespaces, name) != of_other;
        names.extend(known.into_iter().filter(|name| is_apart(name)));
        (names, all)
    }

    /// The selectors that match a namespace.
    fn matching(&self, namespaces: &Namespaces, name: &str) -> BTreeSet<&'a Selector> {
        self.matching.keys().copied().filter(|selector| namespaces.matches(selector, name)).collect()
    }

    /// The selectors of pods that apply in a namespace, its own policies' first.
    fn selectors(&self, namespaces: &Namespaces, name: &str) -> Vec<&'a Selector> {
        let own = self.own.get(name);
        let of_all: BTreeSet<&Selector> =
            self.matching(namespaces, name).into_iter().flat_map(|it| &self.matching[it]).copied().collect();
        let is_own = |selector: &&Selector| own.is_some_and(|own| own.contains(selector));
        own.into_iter().flatten().copied().chain(of_all.into_iter().filter(|selector| !is_own(selector))).collect()
    }
}

/// What a selector still asks of a namespace whose name no selector lists; `None` where it cannot match one.
fn without_name(selector: &Selector) -> Option<Selector> {
    let (of_name, rest): (Vec<_>, Vec<_>) =
        selector.requirements().cloned().partition(|requirement| requirement.key() == NAMESPACE_NAME);
    let holds = |it: &Requirement| matches!(it, Requirement::NotIn { .. } | Requirement::Exists { .. });
    of_name.iter().all(holds).then(|| rest.into_iter().collect())
}

/// The pods of a namespace.
fn pods(namespace: &str, labels: &[Labels], ports: &BTreeMap<String, u16>) -> Vec<Pod> {
    let port = |(name, number): (&String, &u16), protocol| ContainerPort {
        name: Some(name.clone()),
        number: *number,
        protocol,
    };
    let ports: Vec<ContainerPort> =
        ports.iter().flat_map(|named| Protocol::ALL.map(|protocol| port(named, protocol))).collect();
    let mut names: BTreeSet<String> = BTreeSet::new();
    let pods = labels.iter().map(|labels| {
        let name = unused(if labels.is_empty() { "other".to_string() } else { written(labels) }, &names);
        names.insert(name.clone());
        Pod {
            namespace: namespace.to_string(),
            workload: Workload { namespace: namespace.to_string(), kind: KIND.to_string(), name: name.clone() },
            name,
            labels: labels.clone(),
            addresses: Vec::new(),
            node: None,
            host_network: false,
            ports: ports.clone(),
            probed: BTreeSet::new(),
            finished: false,
        }
    });
    pods.collect()
}

/// `app=web,tier=x`.
fn written(labels: &Labels) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// A name that is not taken. Values that a server holds already may break the rules and have commas in them.
fn unused(mut name: String, taken: &BTreeSet<String>) -> String {
    while taken.contains(&name) {
        name.push('\'');
    }
    name
}
