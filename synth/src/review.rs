//! What policies mean for what was observed, edge by edge and rule by rule: what reports show.

use std::collections::{BTreeMap, BTreeSet};

use capture::{Outcome, Timestamp};

use crate::check::{Finding, Kind};
use crate::endpoint::Endpoint;
use crate::evaluate::Options;
use crate::evidence::{Certainty, Evidence};
use crate::graph::{Edge, Graph};
use crate::inventory::Inventory;
use crate::learn::{Choices, Reason, decide};
use crate::part::{self, Part};
use crate::policy::{Direction, PolicySet};
use crate::render::{count, thousands};
use crate::unused::behind;

/// How an edge stands with the policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// A finding of [`crate::check`].
    Found(Kind),
    /// Allowed.
    Allowed,
    /// Nobody asks policies about it, and why.
    LeftOut(Reason),
    /// It never worked.
    Attempt,
    /// There are no policies.
    Observed,
}

impl Standing {
    /// The word of the report's data.
    pub fn name(self) -> &'static str {
        match self {
            Standing::Found(kind) => kind.name(),
            Standing::Allowed => "allowed",
            Standing::LeftOut(_) => "left_out",
            Standing::Attempt => "attempt",
            Standing::Observed => "observed",
        }
    }
}

/// An edge and how it stands.
#[derive(Debug, Clone)]
pub struct Reviewed<'a> {
    /// The edge.
    pub edge: &'a Edge,
    /// How it stands.
    pub standing: Standing,
    /// Why, where there is more to say.
    pub why: Option<String>,
    /// The rules that allow it, sorted.
    pub rules: Vec<Part>,
}

/// A rule and what used it.
#[derive(Debug, Clone)]
pub struct Used {
    /// The rule.
    pub rule: Part,
    /// Indices of the edges that it allows and that work.
    pub edges: Vec<usize>,
}

/// What policies mean for what was observed.
#[derive(Debug, Clone, Default)]
pub struct Review<'a> {
    /// All edges, in the order of the graph.
    pub edges: Vec<Reviewed<'a>>,
    /// All rules of all policies, in their order.
    pub rules: Vec<Used>,
}

/// Puts together what is known of each edge and each rule; `findings` are those of [`crate::check::check`] for the same
/// policies.
pub fn review<'a>(
    graph: &'a Graph,
    set: PolicySet<'_>,
    findings: &[Finding<'_>],
    inventory: &Inventory,
    options: Options,
) -> Review<'a> {
    let evaluator = inventory.evaluator(set).with_options(options);
    let found: BTreeMap<_, _> = findings.iter().map(|finding| (&finding.edge.key, finding)).collect();
    let edges: Vec<Reviewed<'a>> = graph
        .edges()
        .map(|edge| {
            let rules = match edge.used() {
                Some((_, evidence)) if !set.is_empty() => behind(edge, evidence, &evaluator, inventory),
                _ => Vec::new(),
            };
            let (standing, why) = match (found.get(&edge.key), decide(edge, inventory, &Choices::default())) {
                _ if set.is_empty() => (Standing::Observed, None),
                (Some(finding), _) => (Standing::Found(finding.kind), Some(finding.message.clone())),
                (None, Ok(_)) => (Standing::Allowed, None),
                (None, Err(Reason::Attempt)) => (Standing::Attempt, Some(Reason::Attempt.text().to_string())),
                (None, Err(reason)) => (Standing::LeftOut(reason), Some(reason.text().to_string())),
            };
            Reviewed { edge, standing, why, rules }
        })
        .collect();
    let mut used: BTreeMap<Part, Vec<usize>> = BTreeMap::new();
    for (at, reviewed) in edges.iter().enumerate() {
        reviewed.rules.iter().for_each(|rule| used.entry(*rule).or_default().push(at));
    }
    let rules = part::rules(set).into_iter();
    let rules = rules.map(|(rule, _)| Used { rule, edges: used.remove(&rule).unwrap_or_default() }).collect();
    Review { edges, rules }
}

impl Review<'_> {
    /// What was seen of a rule, on one line: `1,204 connections of 2 peers, 2026-11-01 .. 2026-11-14, handshake seen`; `None`
    /// where nothing was.
    pub fn evidence(&self, used: &Used) -> Option<String> {
        let direction = used.rule.direction?;
        let edges = used.edges.iter().map(|at| self.edges[*at].edge);
        evidence(edges.filter_map(|edge| Some((edge, edge.used()?))), direction)
    }
}

/// [`Review::evidence`] of edges as a subject's rules in `direction` see them.
pub fn evidence<'e>(
    edges: impl Iterator<Item = (&'e Edge, (Outcome, &'e Evidence))>,
    direction: Direction,
) -> Option<String> {
    let mut connections = 0;
    let mut peers: BTreeSet<&Endpoint> = BTreeSet::new();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut how: BTreeSet<Certainty> = BTreeSet::new();
    let (mut first, mut last) = (Timestamp::MAX, Timestamp::MIN);
    let mut oneway = false;
    for (edge, (outcome, evidence)) in edges {
        connections += evidence.connections;
        peers.insert(if direction == Direction::Ingress { &edge.key.client } else { &edge.key.server });
        names.extend(evidence.names.iter().map(String::as_str));
        how.insert(evidence.certainty);
        (first, last) = (first.min(evidence.first), last.max(evidence.last));
        oneway |= outcome == Outcome::OneWay;
    }
    if peers.is_empty() {
        return None;
    }
    let (from, to) = (first.date(), last.date());
    let when = if from == to { from } else { format!("{from} .. {to}") };
    let how: Vec<&str> = how.into_iter().map(Certainty::words).collect();
    let preposition = if direction == Direction::Ingress { "from" } else { "to" };
    let who = match peers.first() {
        Some(only) if peers.len() == 1 => only.to_string(),
        _ => format!("{} peers", thousands(peers.len() as u64)),
    };
    let mut text = format!("{} {preposition} {who}, {when}, {}", count(connections, "connection"), how.join(" and "));
    if oneway {
        text += ", no answer seen";
    }
    if !names.is_empty() {
        text +=
            &format!(", known as {}", crate::words::some(&names.into_iter().map(str::to_string).collect::<Vec<_>>()));
    }
    Some(text)
}

#[cfg(test)]
mod tests;
