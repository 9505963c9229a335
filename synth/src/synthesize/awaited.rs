//! Edges that objects declare and nobody saw, as grants and as rules on their own.

use std::collections::BTreeSet;

use super::declared_edge;
use super::grant::{Grants, Why};
use crate::endpoint::Endpoint;
use crate::expected::Allowing;
use crate::graph::{Class, Edge, Key};
use crate::inventory::Inventory;
use crate::policy::Direction;
use crate::render::render_rule;
use crate::select::Groups;

/// An edge that an object declares.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Awaited {
    /// Which edge.
    pub key: Key,
    /// What it is for.
    pub class: Class,
    /// Kind and name of the object.
    pub by: String,
}

impl Awaited {
    /// As an edge of the graph, and why.
    pub(super) fn edge(&self) -> (Edge, Why) {
        let Key { client, server, protocol, port } = &self.key;
        (declared_edge(client, server, *protocol, *port, self.class), Why::Awaited(self.by.clone()))
    }
}

/// The rules that would allow these edges, on each side that policies can select.
pub(crate) fn rules_for(awaited: &[Awaited], inventory: &Inventory, groups: &Groups) -> Vec<Allowing> {
    let edges: Vec<(Edge, Why)> = awaited.iter().map(Awaited::edge).collect();
    let mut grants = Grants::new(inventory, groups);
    for (edge, why) in &edges {
        if let Some((outcome, evidence)) = edge.used() {
            grants.edge(edge, outcome, evidence, Some(why.clone()));
        }
    }
    let group = |endpoint: &Endpoint| groups.of(endpoint.workload()?);
    let sides = awaited.iter().flat_map(|awaited| {
        [(Direction::Ingress, group(&awaited.key.server)), (Direction::Egress, group(&awaited.key.client))]
    });
    let sides: BTreeSet<(Direction, usize)> =
        sides.filter_map(|(direction, group)| Some((direction, group?))).collect();
    let mut found = Vec::new();
    for (direction, group) in sides {
        let workload = groups.get(group).workloads[0].clone();
        for (rule, notes) in grants.rules(group, direction, &mut Vec::new()) {
            let yaml = render_rule(direction, &rule, &notes);
            found.push(Allowing { workload: workload.clone(), direction, yaml });
        }
    }
    found
}
