//! Which workloads a selector matches, those without a pod at the moment included.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::{ClusterPeer, PodPeer};
use crate::endpoint::{Pod, Workload};
use crate::evaluate::Options;
use crate::inventory::Inventory;
use crate::label::{Labels, NAMESPACE_NAME, Requirement, Selector};
use crate::policy::{Namespaces, Peer, PolicyPort, PortMatch};
use crate::select::Groups;

/// Workloads by namespace, with the labels that their pods have or will have.
pub(super) struct Workloads<'a> {
    inventory: &'a Inventory,
    options: Options,
    by_namespace: BTreeMap<&'a str, Vec<Known<'a>>>,
}

struct Known<'a> {
    workload: &'a Workload,
    labels: BTreeSet<&'a Labels>,
    on_host: bool,
}

impl<'a> Workloads<'a> {
    pub(super) fn new(inventory: &'a Inventory, options: Options) -> Workloads<'a> {
        let mut by_namespace: BTreeMap<&str, Vec<Known<'_>>> = BTreeMap::new();
        for (workload, info) in &inventory.workloads {
            let pods = info.pods.iter().map(|id| &inventory.pod(*id).labels);
            let labels =
                pods.chain((!info.labels.is_empty() || info.pods.is_empty()).then_some(&info.labels)).collect();
            let on_host = info.host_network && options.host_network_is_node;
            by_namespace.entry(&workload.namespace).or_default().push(Known { workload, labels, on_host });
        }
        Workloads { inventory, options, by_namespace }
    }

    /// What is not known about namespaces that a selector may mean, in words. Where the input holds the Namespace of every
    /// pod, it holds all there are.
    pub(super) fn unknown_namespaces(&self, selector: &Selector) -> Vec<String> {
        let inventory = self.inventory;
        if inventory.unlabelled.is_empty() {
            return Vec::new();
        }
        if let Some(names) = named(selector) {
            let absent = names.iter().filter(|name| inventory.namespaces.labels(name).is_none());
            return absent.map(|name| format!("nothing of namespace {name} is in the input")).collect();
        }
        let unlabelled: Vec<String> = inventory.unlabelled.iter().cloned().collect();
        vec![format!("the labels of namespaces are not in the input: {}", crate::words::some(&unlabelled))]
    }

    /// What selects the pods of each.
    pub(super) fn groups(&self) -> Groups {
        Groups::new(self.inventory)
    }

    /// Whether there is none at all, so that nothing can be said about selectors.
    pub(super) fn is_empty(&self) -> bool {
        self.by_namespace.is_empty()
    }

    fn select(&self, namespaces: Scope<'_>, pods: &Selector, on_host: bool) -> BTreeSet<&'a Workload> {
        let in_scope: Vec<&Vec<Known<'a>>> = match namespaces {
            Scope::One(name) => self.by_namespace.get(name).into_iter().collect(),
            Scope::Matching(selector) => match named(selector) {
                Some(names) => {
                    let there = names.iter().filter(|name| self.inventory.namespaces.matches(selector, name));
                    there.filter_map(|name| self.by_namespace.get(name.as_str())).collect()
                }
                None => {
                    let there = |name: &&str| self.inventory.namespaces.matches(selector, name);
                    self.by_namespace.iter().filter(|(name, _)| there(name)).map(|(_, known)| known).collect()
                }
            },
        };
        let known = in_scope.into_iter().flatten().filter(|known| known.on_host == on_host);
        known
            .filter(|known| known.labels.iter().any(|labels| pods.matches(labels)))
            .map(|known| known.workload)
            .collect()
    }

    /// The workloads that a policy of `namespace` selects by its `podSelector`.
    pub(super) fn subject(&self, namespace: &str, pods: &Selector) -> BTreeSet<&'a Workload> {
        self.select(Scope::One(namespace), pods, false)
    }

    /// The workloads that a peer of a policy of `own` selects; `None` where it is about addresses.
    pub(super) fn peer(&self, own: &str, peer: &Peer) -> Option<BTreeSet<&'a Workload>> {
        let Peer::Pods { namespaces, pods } = peer else { return None };
        Some(self.select(scope(own, namespaces), pods, false))
    }

    /// The workloads on their nodes' network that a peer would select if it could.
    pub(super) fn peer_on_host(&self, own: &str, peer: &Peer) -> BTreeSet<&'a Workload> {
        let Peer::Pods { namespaces, pods } = peer else { return BTreeSet::new() };
        self.select(scope(own, namespaces), pods, true)
    }

    /// The workloads that a cluster-wide policy selects.
    pub(super) fn cluster(&self, pods: &PodPeer) -> BTreeSet<&'a Workload> {
        self.select(Scope::Matching(&pods.namespaces), &pods.pods, false)
    }

    /// The same of a peer; `None` where it is not about pods.
    pub(super) fn cluster_peer(&self, peer: &ClusterPeer) -> Option<BTreeSet<&'a Workload>> {
        match peer {
            ClusterPeer::Pods(pods) => Some(self.cluster(pods)),
            _ => None,
        }
    }

    /// All workloads with a network of their own.
    pub(super) fn all(&self) -> BTreeSet<&'a Workload> {
        let known = self.by_namespace.values().flatten().filter(|known| !known.on_host);
        known.map(|known| known.workload).collect()
    }

    /// The pods of workloads, those that are over included.
    pub(super) fn pods(&self, workloads: &BTreeSet<&'a Workload>) -> impl Iterator<Item = &'a Pod> {
        let infos = workloads.iter().filter_map(|workload| self.inventory.workloads.get(workload));
        let options = self.options;
        let pods = infos.flat_map(|info| &info.pods).map(|id| self.inventory.pod(*id));
        pods.filter(move |pod| !options.is_node(pod))
    }

    /// Whether a port stands for no number on any of these servers, which do have pods.
    pub(super) fn lacks(&self, port: &PolicyPort, servers: &BTreeSet<&'a Workload>) -> bool {
        let PortMatch::Named(name) = &port.port else { return false };
        let mut pods = self.pods(servers).peekable();
        let has = |pod: &Pod| {
            pod.ports.iter().any(|declared| declared.name.as_ref() == Some(name) && declared.protocol == port.protocol)
        };
        pods.peek().is_some() && !pods.any(has)
    }
}

enum Scope<'s> {
    One(&'s str),
    Matching(&'s Selector),
}

fn scope<'s>(own: &'s str, namespaces: &'s Namespaces) -> Scope<'s> {
    match namespaces {
        Namespaces::Own => Scope::One(own),
        Namespaces::Matching(selector) => Scope::Matching(selector),
    }
}

/// The namespaces that a selector names, where it does.
fn named(selector: &Selector) -> Option<&BTreeSet<String>> {
    selector.requirements().find_map(|requirement| match requirement {
        Requirement::In { key, values } if key == NAMESPACE_NAME => Some(values),
        _ => None,
    })
}
