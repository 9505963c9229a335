//! What to change so that a denied connection is allowed: the nearest rule, its place, and the words.

use std::cell::OnceCell;

use crate::endpoint::Pod;
use crate::evaluate::{Decider, Evaluator, Matched, NearMiss, Side};
use crate::evidence::End;
use crate::graph::Key;
use crate::inventory::Inventory;
use crate::policy::{AnyPolicy, Direction, Origin, Peers, Policy, Ports, Rule};
use crate::select::Groups;

/// What advice needs to know of everything.
pub(super) struct Adviser<'a> {
    pub(super) evaluator: &'a Evaluator<'a>,
    /// Made when the first advice is asked for.
    pub(super) groups: OnceCell<Groups>,
    pub(super) inventory: &'a Inventory,
}

impl Adviser<'_> {
    /// One denied side: `peer` is the other end of the connection.
    pub(super) fn side(&self, direction: Direction, side: &Side, key: &Key, peer: &End) -> String {
        if side.decider == Decider::Cluster {
            return format!("{direction}: {}", self.cluster(direction, side));
        }
        let policies = self.evaluator.policies();
        let nearest = side.near.iter().min_by_key(|near| (distance(near), **near));
        let Some(near) = nearest.filter(|near| distance(near) < FAR) else {
            let of: Vec<String> = side.isolating.iter().map(|policy| named(&policies[*policy], 0)).collect();
            let what = self.whole(direction, key, peer, side.isolating.first().map(|policy| &policies[*policy]));
            return format!("{direction}: no rule of {} comes near: {what}, or run generate", of.join(", "));
        };
        let policy = &policies[near.policy];
        let Some(rule) = policy.rules(direction).and_then(|rules| rules.get(near.rule)) else { return String::new() };
        let place = format!("rule {} of {}", near.rule, named(policy, rule.lines.rule));
        let (lacks, change) = match near.matched {
            Matched::Peer(_) => ("the peer fits, the port does not", self.add_port(direction, key, peer, policy, rule)),
            Matched::Port(_) => ("the port fits, the peer does not", self.add_peer(direction, key, peer, policy, rule)),
        };
        format!("{direction}: nearest is {place}, where {lacks}: {change}")
    }

    fn add_port(&self, direction: Direction, key: &Key, peer: &End, policy: &Policy, rule: &Rule) -> String {
        let port = port(key);
        match &rule.peers {
            Peers::Everyone => self.whole(direction, key, peer, Some(policy)),
            Peers::Any(peers) if peers.len() == 1 => format!("add port {port} to it"),
            Peers::Any(peers) => {
                format!("add port {port} to it, which opens it to all {} peers of the rule", peers.len())
            }
        }
    }

    fn add_peer(&self, direction: Direction, key: &Key, peer: &End, policy: &Policy, rule: &Rule) -> String {
        match &rule.ports {
            Ports::Any(ports) if ports.len() == 1 => format!("add peer {} to it", self.peer(peer, &policy.namespace)),
            Ports::Any(_) | Ports::All => self.whole(direction, key, peer, Some(policy)),
        }
    }

    /// A rule of its own.
    fn whole(&self, direction: Direction, key: &Key, peer: &End, policy: Option<&Policy>) -> String {
        let word = if direction == Direction::Ingress { "from" } else { "to" };
        let peer = self.peer(peer, policy.map(|policy| policy.namespace.as_str()).unwrap_or_default());
        format!("add a rule {word} {peer} with port {}", port(key))
    }

    /// How a policy of `namespace` selects one end.
    fn peer(&self, end: &End, namespace: &str) -> String {
        match end.pod.map(|pod| self.inventory.pod(pod)) {
            Some(pod) => self.pods(pod, namespace),
            None => format!("ipBlock {}", ipnet::IpNet::from(end.ip)),
        }
    }

    fn pods(&self, pod: &Pod, namespace: &str) -> String {
        let groups = self.groups.get_or_init(|| Groups::new(self.inventory));
        let selector = match groups.of(&pod.workload) {
            Some(group) => groups.get(group).selector.to_string(),
            None => crate::label::Selector::from_labels(&pod.labels).to_string(),
        };
        match pod.namespace == namespace {
            true => format!("podSelector {selector}"),
            false => format!(
                "namespaceSelector {}={} and podSelector {selector}",
                crate::label::NAMESPACE_NAME,
                pod.namespace
            ),
        }
    }

    fn cluster(&self, direction: Direction, side: &Side) -> String {
        let Some(word) = side.last_word() else { return String::new() };
        let policy = &self.evaluator.cluster_policies()[word.policy];
        let line = policy.rules(direction).get(word.rule).map_or(0, |rule| rule.line);
        let any = AnyPolicy::Cluster(policy);
        let place = placed(any.id(), &any.origin(), line);
        format!(
            "rule {} of {place} denies it, which no NetworkPolicy can change: put a rule that accepts it before",
            word.rule
        )
    }
}

/// A rule for all ports, and for other peers, is as near to every connection.
const FAR: u8 = 3;

/// How far a rule is from the connection: a peer or port that is meant is nearer than one that fits because the rule
/// lists none.
fn distance(near: &NearMiss) -> u8 {
    match near.matched {
        Matched::Peer(Some(_)) => 0,
        Matched::Port(Some(_)) => 1,
        Matched::Peer(None) => 2,
        Matched::Port(None) => FAR,
    }
}

fn port(key: &Key) -> String {
    format!("{}/{}", key.port, key.protocol)
}

/// A policy and its place, at the line of a rule where that is not 0.
fn named(policy: &Policy, line: u32) -> String {
    placed(policy.id(), &policy.origin, line)
}

fn placed(id: String, origin: &Origin, line: u32) -> String {
    if origin.file.is_empty() {
        return id;
    }
    let line = if line == 0 { origin.line } else { line };
    format!("{id} ({}:{line})", origin.file)
}
