//! Parts of policies that select nothing that exists.

use std::collections::BTreeSet;

use super::matched::Workloads;
use crate::cluster::{ClusterPeer, ClusterPort};
use crate::endpoint::Workload;
use crate::evaluate::Options;
use crate::label::{NAMESPACE_NAME, Requirement};
use crate::part::{Part, PolicyIndex, Removed, Shape};
use crate::policy::{AnyPolicy, Direction, Namespaces, Peer, Peers, PolicyPort, PolicySet};

/// A part that selects nothing.
pub(super) struct Dead {
    pub(super) part: Part,
    pub(super) why: String,
    /// What nobody knows, and might select something.
    pub(super) unknown: Vec<String>,
}

/// Finds dead policies, rules, peers and ports with the reason of each.
pub(super) fn dead(
    set: PolicySet<'_>,
    rules: &[(Part, Shape)],
    workloads: &Workloads<'_>,
    options: Options,
) -> Vec<Dead> {
    let found = parts(set, rules, workloads, options);
    let with = |(part, why): (Part, String)| {
        let unknown = unknown(set, part, workloads);
        Dead { part, why, unknown }
    };
    found.into_iter().map(with).collect()
}

/// What is not known about the namespaces that a part selects.
fn unknown(set: PolicySet<'_>, part: Part, workloads: &Workloads<'_>) -> Vec<String> {
    let PolicyIndex::Network(index) = part.policy else { return Vec::new() };
    let (Some(direction), Some(number)) = (part.direction, part.rule) else {
        let named = [Requirement::equals(NAMESPACE_NAME, &set.network[index].namespace)].into_iter().collect();
        return workloads.unknown_namespaces(&named);
    };
    let rule = set.network[index].rules(direction).and_then(|rules| rules.get(number));
    let peers = rule.map(|rule| rule.peers.listed()).unwrap_or_default().iter().enumerate();
    let meant = peers.filter(|(at, _)| part.port.is_none() && part.peer.is_none_or(|peer| peer == *at));
    let selectors = meant.filter_map(|(_, peer)| match peer {
        Peer::Pods { namespaces: Namespaces::Matching(selector), .. } => Some(selector),
        _ => None,
    });
    let unknown: BTreeSet<String> = selectors.flat_map(|selector| workloads.unknown_namespaces(selector)).collect();
    unknown.into_iter().collect()
}

fn parts(
    set: PolicySet<'_>,
    rules: &[(Part, Shape)],
    workloads: &Workloads<'_>,
    options: Options,
) -> Vec<(Part, String)> {
    let mut removed = Removed::default();
    let mut found = Vec::new();
    if workloads.is_empty() {
        return found;
    }
    let policies =
        (0..set.network.len()).map(PolicyIndex::Network).chain((0..set.cluster.len()).map(PolicyIndex::Cluster));
    for index in policies {
        let part = Part::policy(index);
        let (subject, on_host) = match part.of(set) {
            AnyPolicy::Network(policy) => {
                let peer = Peer::Pods { namespaces: Namespaces::Own, pods: policy.subject.clone() };
                let on_host = !workloads.peer_on_host(&policy.namespace, &peer).is_empty();
                (workloads.subject(&policy.namespace, &policy.subject), on_host)
            }
            AnyPolicy::Cluster(policy) => (workloads.cluster(&policy.subject), false),
        };
        if subject.is_empty() {
            let why = match on_host {
                true => {
                    "its podSelector selects only pods on their nodes' network, to which most network plugins apply no policy"
                }
                false => "its podSelector selects no pod and no workload",
            };
            found.push((part, why.to_string()));
            removed.insert(part);
        }
    }
    for (rule, shape) in rules.iter().filter(|(_, shape)| shape.allows) {
        if removed.contains(*rule) {
            continue;
        }
        let elements = match rule.of(set) {
            AnyPolicy::Network(_) => network(set, *rule, workloads, options),
            AnyPolicy::Cluster(_) => cluster(set, *rule, workloads),
        };
        let count = |is: fn(&Part) -> bool| elements.iter().filter(|(part, _)| is(part)).count();
        let all = [(shape.peers, count(|part| part.peer.is_some())), (shape.ports, count(|part| part.port.is_some()))];
        if all.iter().any(|(listed, dead)| *listed > 0 && listed == dead) {
            let why = elements.first().map(|(_, why)| why.clone()).unwrap_or_default();
            let why = if elements.len() == 1 { why } else { "nothing in it selects anything that exists".to_string() };
            found.push((*rule, why));
            removed.insert(*rule);
            continue;
        }
        elements.iter().for_each(|(part, _)| removed.insert(*part));
        found.extend(elements);
    }
    found
}

fn network(set: PolicySet<'_>, part: Part, workloads: &Workloads<'_>, options: Options) -> Vec<(Part, String)> {
    let (PolicyIndex::Network(index), Some(direction), Some(number)) = (part.policy, part.direction, part.rule) else {
        return Vec::new();
    };
    let policy = &set.network[index];
    let Some(rule) = policy.rules(direction).and_then(|rules| rules.get(number)) else { return Vec::new() };
    let mut found = Vec::new();
    let mut peers: BTreeSet<&Workload> = BTreeSet::new();
    let mut addresses = rule.peers == Peers::Everyone;
    for (at, peer) in rule.peers.listed().iter().enumerate() {
        let Some(matched) = workloads.peer(&policy.namespace, peer) else {
            addresses = true;
            continue;
        };
        if matched.is_empty() {
            let on_host = options.host_network_is_node && !workloads.peer_on_host(&policy.namespace, peer).is_empty();
            let why = match on_host {
                true => {
                    "it selects only pods on their nodes' network, which network plugins know as the node's address"
                }
                false => "it selects no pod and no workload",
            };
            found.push((part.with_peer(at), why.to_string()));
        }
        peers.extend(matched);
    }
    let servers = match direction {
        Direction::Ingress => workloads.subject(&policy.namespace, &policy.subject),
        Direction::Egress if rule.peers == Peers::Everyone => workloads.all(),
        Direction::Egress => peers,
    };
    // Nobody knows what pods will be behind an address range; names stand for nothing there, but for pods in it.
    if direction == Direction::Ingress || !addresses || rule.peers == Peers::Everyone {
        for (at, port) in rule.ports.listed().iter().enumerate().filter(|(_, port)| workloads.lacks(port, &servers)) {
            found.push((part.with_port(at), no_port(port)));
        }
    }
    found
}

fn cluster(set: PolicySet<'_>, part: Part, workloads: &Workloads<'_>) -> Vec<(Part, String)> {
    let (PolicyIndex::Cluster(index), Some(direction), Some(number)) = (part.policy, part.direction, part.rule) else {
        return Vec::new();
    };
    let policy = &set.cluster[index];
    let Some(rule) = policy.rules(direction).get(number) else { return Vec::new() };
    let dead = |peer: &ClusterPeer| match workloads.cluster_peer(peer) {
        Some(matched) if matched.is_empty() => Some("it selects no pod and no workload"),
        _ if *peer == ClusterPeer::Unknown => {
            Some("a kind of peer that nobody here knows, which an Accept matches with nothing")
        }
        _ => None,
    };
    let peers =
        rule.peers.iter().enumerate().filter_map(|(at, peer)| Some((part.with_peer(at), dead(peer)?.to_string())));
    let mut found: Vec<(Part, String)> = peers.collect();
    if direction == Direction::Ingress {
        let servers = workloads.cluster(&policy.subject);
        for (at, port) in rule.ports.listed().iter().enumerate() {
            let lacks = match port {
                ClusterPort::Number(port) => workloads.lacks(port, &servers),
                ClusterPort::Named(name) => {
                    let mut pods = workloads.pods(&servers).peekable();
                    let has = |port: &crate::port::ContainerPort| port.name.as_ref() == Some(name);
                    pods.peek().is_some() && !pods.any(|pod| pod.ports.iter().any(has))
                }
            };
            if lacks {
                found.push((part.with_port(at), "no pod that it is about has a port of this name".to_string()));
            }
        }
    }
    found
}

fn no_port(port: &PolicyPort) -> String {
    format!("no pod that it is about has a {} port of this name", port.protocol)
}
