//! A change of policies held against what was observed.

use std::collections::BTreeSet;
use std::net::IpAddr;

use capture::{Outcome, Protocol};
use rustc_hash::FxHashMap;

use super::{Change, Side};
use crate::addresses::AddressSet;
use crate::endpoint::{Endpoint, Workload};
use crate::evaluate::Evaluator;
use crate::evidence::Evidence;
use crate::graph::{Edge, Graph};
use crate::inventory::Inventory;
use crate::learn::{Choices, decide};
use crate::policy::{AnyPolicy, Direction};
use crate::replay::{denial, pairs};

/// The edges that `generate` would make rules of, found by their ends.
pub struct Observed<'g> {
    edges: Vec<(&'g Edge, Outcome, &'g Evidence)>,
    inventory: &'g Inventory,
    /// By the workloads of either end; pods on a node's network are both the node and their workload.
    by_client: FxHashMap<&'g Workload, Vec<usize>>,
    by_server: FxHashMap<&'g Workload, Vec<usize>>,
}

/// An observed edge that a change stops.
#[derive(Debug, Clone)]
pub struct Stopped<'g> {
    /// The edge.
    pub edge: &'g Edge,
    /// Its outcome.
    pub outcome: Outcome,
    /// What was observed of it.
    pub evidence: &'g Evidence,
    /// The policies that deny it, sorted.
    pub policies: Vec<String>,
}

impl<'g> Observed<'g> {
    /// The deciding edges of `graph`.
    pub fn new(graph: &'g Graph, inventory: &'g Inventory) -> Observed<'g> {
        let mut observed =
            Observed { edges: Vec::new(), inventory, by_client: FxHashMap::default(), by_server: FxHashMap::default() };
        for edge in graph.edges() {
            let Ok((outcome, evidence)) = decide(edge, inventory, &Choices::default()) else { continue };
            let number = observed.edges.len();
            for workload in workloads(&edge.key.client, inventory) {
                observed.by_client.entry(workload).or_default().push(number);
            }
            for workload in workloads(&edge.key.server, inventory) {
                observed.by_server.entry(workload).or_default().push(number);
            }
            observed.edges.push((edge, outcome, evidence));
        }
        observed
    }

    /// Whether some edge is among what changes.
    pub fn touches(&self, change: &Change<'_>) -> bool {
        let numbers = match (&change.client, &change.server) {
            (Side::Workload(workload), _) => self.by_client.get(workload),
            (_, Side::Workload(workload)) => self.by_server.get(workload),
            _ => None,
        };
        let has = |protocol: Protocol, port: u16| {
            change.allowed.contains(protocol, port) || change.unknown.contains(protocol, port)
        };
        numbers.into_iter().flatten().any(|number| {
            let key = &self.edges[*number].0.key;
            has(key.protocol, key.port) && self.is(&key.client, &change.client) && self.is(&key.server, &change.server)
        })
    }

    fn is(&self, endpoint: &Endpoint, side: &Side<'_>) -> bool {
        match side {
            Side::Workload(workload) => workloads(endpoint, self.inventory).contains(workload),
            Side::Outside(set) => match endpoint {
                Endpoint::External(range) => !AddressSet::of(*range).intersection(set).is_empty(),
                _ => addresses(endpoint, self.inventory).any(|ip| set.contains(ip)),
            },
        }
    }

    /// The edges that `old` does not deny and `new` does.
    pub fn stopped(&self, old: &Evaluator<'_>, new: &Evaluator<'_>) -> Vec<Stopped<'g>> {
        let mut stopped = Vec::new();
        for &(edge, outcome, evidence) in &self.edges {
            let mut policies = BTreeSet::new();
            let asked = [old, new].map(|evaluator| pairs(edge, evidence, evaluator));
            for (pair, _) in asked.into_iter().flatten() {
                let Some(verdict) = denial(new, edge, evidence, pair, self.inventory) else { continue };
                if denial(old, edge, evidence, pair, self.inventory).is_none() {
                    let sides = Direction::ALL.map(|direction| verdict.side(direction));
                    let denying = sides.into_iter().filter(|side| !side.allowed());
                    policies.extend(denying.flat_map(|side| new.deciders(side)).map(AnyPolicy::id));
                }
            }
            if !policies.is_empty() {
                let policies = policies.into_iter().collect();
                stopped.push(Stopped { edge, outcome, evidence, policies });
            }
        }
        stopped
    }
}

/// The workloads that an endpoint may be.
fn workloads<'g>(endpoint: &'g Endpoint, inventory: &'g Inventory) -> Vec<&'g Workload> {
    match endpoint {
        Endpoint::Workload(workload) => vec![workload],
        Endpoint::Node(name) => inventory.host_pods(name).map(|pod| &pod.workload).collect(),
        Endpoint::External(_) | Endpoint::Unresolved { .. } => Vec::new(),
    }
}

/// The addresses of a node.
fn addresses<'g>(endpoint: &'g Endpoint, inventory: &'g Inventory) -> impl Iterator<Item = IpAddr> + 'g {
    let node = match endpoint {
        Endpoint::Node(name) => inventory.nodes.get(name),
        Endpoint::External(_) | Endpoint::Workload(_) | Endpoint::Unresolved { .. } => None,
    };
    node.into_iter().flat_map(|node| node.addresses.keys().copied())
}
