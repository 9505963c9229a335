//! Observed traffic that deserves a security engineer's second look, whatever policies say about it.
//!
//! ```text
//! edges --fits--> rows of a rule --group--> findings
//! ```
//!
//! What is looked for is data, in `watchlist.yaml`; [`rule`] is its form, `fits` asks its conditions of an edge, `group`
//! makes findings of the edges. What nobody can tell from packets is not claimed: who a pod acts for, whether a network
//! plugin encrypts between nodes, what is said behind a protocol's first bytes.

mod fits;
mod group;
pub mod rule;

use std::collections::BTreeSet;

use capture::Outcome;

use self::fits::Context;
use self::rule::{Rule, Seen, Severity, Watchlist};
use crate::evidence::{Certainty, Evidence};
use crate::graph::{Edge, Graph};
use crate::inventory::Inventory;

/// What the user knows.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Patterns of workloads that are meant to use the API, `namespace/name` or `namespace/Kind/name`.
    pub api_clients: Vec<String>,
}

/// What was observed of an edge with one outcome.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The edge.
    pub edge: &'a Edge,
    /// How it went.
    pub outcome: Outcome,
    /// What was seen.
    pub evidence: &'a Evidence,
}

/// Something to look at.
#[derive(Debug, Clone)]
pub struct Finding<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The rule's severity, or a lower one where the client explains it.
    pub severity: Severity,
    /// What it is about: `shop/Deployment/web -> *:2379/TCP`, the same whatever else is seen.
    pub about: String,
    /// Its rows, in the order of the graph; never empty.
    pub rows: Vec<Row<'a>>,
    /// What was seen, on one line without a full stop.
    pub message: String,
}

/// What a look at a graph gives.
#[derive(Debug, Clone)]
pub struct Watched<'a> {
    /// The findings: the worst first, then in the order of the rules, then by what they are about.
    pub findings: Vec<Finding<'a>>,
    /// Edges that worked and were not looked at, because nothing but port numbers tells who the client is.
    pub guessed: usize,
}

/// Holds every edge against the rules.
pub fn watch<'a>(list: &'a Watchlist, graph: &'a Graph, inventory: &'a Inventory, options: &'a Options) -> Watched<'a> {
    let context = Context { list, inventory, options, api_servers: inventory.api_servers() };
    let rows = |seen| -> Vec<Row<'a>> { graph.edges().flat_map(|edge| fits::rows(edge, seen)).collect() };
    let (used, failed) = (rows(Seen::Used), rows(Seen::Failed));
    let mut taken: BTreeSet<(&str, *const Edge)> = BTreeSet::new();
    let mut findings: Vec<(usize, Finding<'a>)> = Vec::new();
    for (order, rule) in list.rules.iter().enumerate() {
        let rows = match rule.seen {
            Seen::Used => &used,
            Seen::Failed => &failed,
        };
        let free = |row: &&Row<'a>| !taken.contains(&(rule.topic.as_str(), std::ptr::from_ref(row.edge)));
        let fitting = rows.iter().filter(free).filter(|row| context.fits(rule, row)).copied().collect();
        for finding in group::findings(rule, fitting, &context) {
            let edges = finding.rows.iter().map(|row| (rule.topic.as_str(), std::ptr::from_ref(row.edge)));
            taken.extend(edges);
            findings.push((order, finding));
        }
    }
    findings
        .sort_by(|(a_order, a), (b_order, b)| (a.severity, a_order, &a.about).cmp(&(b.severity, b_order, &b.about)));
    let guessed = |edge: &&Edge| edge.used().is_some_and(|(_, evidence)| evidence.certainty == Certainty::Guessed);
    Watched {
        findings: findings.into_iter().map(|(_, finding)| finding).collect(),
        guessed: graph.edges().filter(guessed).count(),
    }
}

#[cfg(test)]
mod tests;
