//! Workloads with traffic in a direction in which nothing isolates them.

use std::collections::BTreeMap;

use crate::endpoint::{Endpoint, Workload};
use crate::evaluate::Evaluator;
use crate::graph::{Edge, Graph};
use crate::inventory::Inventory;
use crate::learn::{Choices, decide};
use crate::policy::{Direction, PolicySet};

/// A workload, a direction in which some of its pods had traffic and are isolated by no NetworkPolicy, and that traffic.
#[derive(Debug, Clone)]
pub struct Unisolated<'a> {
    /// Whose pods.
    pub workload: &'a Workload,
    /// In which direction.
    pub direction: Direction,
    /// The edges, sorted.
    pub edges: Vec<&'a Edge>,
    /// Connections that were seen of them.
    pub connections: u64,
    /// How many of the edges no policy covers at the other side either.
    pub uncovered: usize,
}

/// All of them, sorted. Edges that would make no rule do not count.
pub fn unisolated<'a>(graph: &'a Graph, policies: PolicySet<'_>, inventory: &Inventory) -> Vec<Unisolated<'a>> {
    let evaluator = inventory.evaluator(policies);
    let mut found: BTreeMap<(&Workload, Direction), Unisolated<'a>> = BTreeMap::new();
    for edge in graph.edges() {
        let Ok((_, evidence)) = decide(edge, inventory, &Choices::default()) else { continue };
        let open = Direction::ALL.map(|direction| open_side(edge, direction, &evaluator, inventory));
        let uncovered = open.iter().all(|open| *open != Some(false));
        for (direction, open) in Direction::ALL.into_iter().zip(open) {
            let end = if direction == Direction::Ingress { &edge.key.server } else { &edge.key.client };
            let (Some(true), Endpoint::Workload(workload)) = (open, end) else { continue };
            let entry = found.entry((workload, direction)).or_insert_with(|| Unisolated {
                workload,
                direction,
                edges: Vec::new(),
                connections: 0,
                uncovered: 0,
            });
            entry.edges.push(edge);
            entry.connections += evidence.connections;
            entry.uncovered += usize::from(uncovered);
        }
    }
    found.into_values().collect()
}

/// Whether a side of an edge has a pod that nothing isolates; `None` where it has none with a network of its own.
fn open_side(edge: &Edge, direction: Direction, evaluator: &Evaluator<'_>, inventory: &Inventory) -> Option<bool> {
    let (_, evidence) = edge.used()?;
    let pods = match direction {
        Direction::Ingress => evidence.server_pods(),
        Direction::Egress => evidence.client_pods(),
    };
    let open = |pod| evaluator.isolating(inventory.pod(pod), direction).next().is_none();
    (!pods.is_empty()).then(|| pods.into_iter().any(open))
}
