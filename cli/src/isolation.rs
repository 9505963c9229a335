//! Workloads with traffic that nothing isolates: rows for people and objects for programs.

use std::io::{self, Write};

use serde::Serialize;
use synth::check::Unisolated;

use crate::summary::number;
use crate::table;

/// One entry of `not_isolated`.
#[derive(Debug, Serialize)]
pub(crate) struct Entry<'a> {
    namespace: &'a str,
    kind: &'a str,
    name: &'a str,
    direction: &'static str,
    edges: usize,
    /// Those of the edges that nothing covers at the other side either.
    uncovered: usize,
    connections: u64,
}

impl<'a> From<&'a Unisolated<'a>> for Entry<'a> {
    fn from(open: &'a Unisolated<'a>) -> Entry<'a> {
        Entry {
            namespace: &open.workload.namespace,
            kind: &open.workload.kind,
            name: &open.workload.name,
            direction: open.direction.name(),
            edges: open.edges.len(),
            uncovered: open.uncovered,
            connections: open.connections,
        }
    }
}

/// Edges named in each row.
const NAMED: usize = 3;

/// Writes one row for each.
pub(crate) fn table(out: &mut impl Write, all: &[&Unisolated<'_>]) -> io::Result<()> {
    let row = |open: &&Unisolated<'_>| {
        let other = |edge: &&synth::graph::Edge| match open.direction {
            synth::policy::Direction::Ingress => {
                format!("{} to {}/{}", edge.key.client, edge.key.port, edge.key.protocol)
            }
            synth::policy::Direction::Egress => format!("{}:{}/{}", edge.key.server, edge.key.port, edge.key.protocol),
        };
        let mut named: Vec<String> = open.edges.iter().take(NAMED).map(other).collect();
        if open.edges.len() > NAMED {
            named.push(format!("and {} more", open.edges.len() - NAMED));
        }
        [
            open.workload.to_string(),
            open.direction.to_string(),
            open.edges.len().to_string(),
            open.uncovered.to_string(),
            number(open.connections),
            named.join(", "),
        ]
    };
    let rows: Vec<[String; 6]> = all.iter().map(row).collect();
    table::write(out, ["NOT ISOLATED", "DIRECTION", "EDGES", "UNCOVERED", "COUNT", "PEERS"], &rows)
}
