//! Exposure: who could connect to a workload, and whom it could reach, among pods that do not exist yet.
//!
//! A rule of a policy outlives the pods it was written for: whoever deploys a pod with the labels it selects is let in.
//! [`analyse`] lists for every workload and direction the descriptions of pods that its policies mention, and what a pod
//! that fits one of them is allowed on the workload's side. What policies will select the newcomer itself is not known,
//! so its own side is taken as open.
//!
//! One description is one entry: [`Entry::ports`] are all that a pod of this description is sure to be allowed, by rules
//! for wider descriptions too. Entries that say no more than the wider ones together are left out. Rules that mean the
//! same thus give the same entries, however they are written, except that a list of labels is not taken apart: `app in
//! (a, b)` is one description, `app=a` and `app=b` are two.
//!
//! Cluster-wide policies deny. An entry that allows fewer ports than a wider one is the exception from it. Where a Deny
//! or Pass hits only some of the pods of a description, [`Entry::ports`] are the most that is possible and
//! [`Entry::narrowed`] names the rule.

mod decide;
mod ports;
mod who;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::endpoint::{Pod, Workload};
use crate::evaluate::{Namespaces, Options};
use crate::inventory::{Inventory, PodId};
use crate::label::Labels;
use crate::policy::{Direction, PolicySet};
use crate::port::ContainerPort;

use decide::Decider;
pub use ports::Ports;
pub use who::{Scope, Who};

/// The exposure of a workload's pods, as far as policies and container ports do not tell them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// The workload.
    pub workload: Workload,
    /// Its pods that this is about, ascending.
    pub pods: Vec<PodId>,
    /// Whether these are all pods of the workload that count.
    pub whole: bool,
    /// Who could connect to them.
    pub ingress: Arc<Side>,
    /// Whom they could connect to.
    pub egress: Arc<Side>,
}

impl Exposure {
    /// One of the directions.
    pub fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }

    /// The directions in which no NetworkPolicy isolates the pods.
    pub fn unprotected(&self) -> impl Iterator<Item = Direction> {
        Direction::ALL.into_iter().filter(|direction| !self.side(*direction).isolated)
    }
}

/// One direction of an [`Exposure`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Side {
    /// Whether a NetworkPolicy isolates the pods.
    pub isolated: bool,
    /// Who is allowed what, sorted.
    pub entries: Vec<Entry>,
    /// Rules that allow peers which no object tells (`domainNames`), in the order in which they are asked.
    pub unknown: Vec<ClusterRuleId>,
}

impl Side {
    /// What a pod that comes to `namespace` with these labels is allowed: the most that is possible, where rules narrow
    /// the entries it fits.
    pub fn newcomer(&self, namespace: &str, labels: &Labels, known: &Namespaces) -> Ports {
        let fitting: Vec<&Entry> =
            self.entries.iter().filter(|entry| entry.who.fits(namespace, labels, known)).collect();
        let nearer =
            |outer: &Entry, inner: &Entry| outer.who.covers(&inner.who, known) && !inner.who.covers(&outer.who, known);
        let nearest = fitting.iter().filter(|outer| !fitting.iter().any(|inner| nearer(outer, inner)));
        nearest.map(|entry| entry.ports.clone()).collect()
    }
}

/// What a description of peers is allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The peers.
    pub who: Who,
    /// The ports; none for an exception from a wider entry.
    pub ports: Ports,
    /// Rules that take ports away from some of the peers.
    pub narrowed: Vec<ClusterRuleId>,
}

/// A rule of a cluster-wide policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterRuleId {
    /// Index of the policy in [`PolicySet::cluster`].
    pub policy: usize,
    /// Index of the rule in its direction.
    pub rule: usize,
}

/// What decides about a pod in a direction: the policies that select it, by index, and its named ports.
type Class = (Direction, Vec<usize>, Vec<usize>, Vec<ContainerPort>);

/// The exposure of every workload, sorted by workload and then by pods.
pub fn analyse(policies: PolicySet, inventory: &Inventory, options: Options) -> Vec<Exposure> {
    let decider = Decider::new(policies, inventory, options);
    let mut sides: BTreeMap<Class, Arc<Side>> = BTreeMap::new();
    let mut exposures = Vec::new();
    for (workload, info) in &inventory.workloads {
        let counts = |id: &&PodId| options.counts(inventory.pod(**id));
        let pods: Vec<PodId> = info.pods.iter().filter(counts).copied().collect();
        let mut groups: BTreeMap<[Class; 2], Vec<PodId>> = BTreeMap::new();
        for id in &pods {
            let classes = Direction::ALL.map(|direction| class(&decider, inventory.pod(*id), direction));
            groups.entry(classes).or_default().push(*id);
        }
        let whole = groups.len() == 1;
        let start = exposures.len();
        for (classes, pods) in groups {
            let [ingress, egress] = classes
                .map(|class| sides.entry(class).or_insert_with_key(|class| Arc::new(side(&decider, class))).clone());
            exposures.push(Exposure { workload: workload.clone(), pods, whole, ingress, egress });
        }
        exposures[start..].sort_by(|a, b| a.pods.cmp(&b.pods));
    }
    exposures
}

fn class(decider: &Decider, pod: &Pod, direction: Direction) -> Class {
    let (network, cluster) = decider.selecting(pod, direction);
    // Names in rules stand for ports of the server, which the pod itself is only to those who connect to it.
    let named = |port: &&ContainerPort| direction == Direction::Ingress && port.name.is_some();
    let decided = !network.is_empty() || !cluster.is_empty();
    let ports = pod.ports.iter().filter(|_| decided).filter(named).cloned().collect();
    (direction, network, cluster, ports)
}

fn side(decider: &Decider, (direction, network, cluster, ports): &Class) -> Side {
    let server = (*direction == Direction::Ingress).then_some(ports.as_slice());
    decider.side(*direction, network, cluster, server)
}

/// The entries that allow each description its ports: the one form for all ways to write them.
pub fn canonical(allowed: impl IntoIterator<Item = (Who, Ports)>, known: &Namespaces) -> Vec<(Who, Ports)> {
    let rules: Vec<(Who, Ports)> = allowed.into_iter().collect();
    let ports_of = |who: &Who| -> Ports {
        let wider = rules.iter().filter(|(wider, _)| wider.covers(who, known));
        wider.map(|(_, ports)| ports.clone()).collect()
    };
    let pods = rules.iter().map(|(who, _)| who).filter(|who| !matches!(who, Who::External(_)));
    let entries = decide::distinct(pods, known, |who| ports_of(who));
    let addresses = decide::partition(rules.iter().map(|(who, _)| who), |addresses| ports_of(addresses));
    entries.into_iter().chain(addresses.into_iter().filter(|(_, ports)| !ports.is_empty())).collect()
}

#[cfg(test)]
mod tests;
