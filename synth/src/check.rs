//! Policies held against the observed edges.

use std::collections::BTreeSet;

use capture::{Outcome, Timestamp};

use crate::evaluate::{Decider, Evaluator, Matched, Verdict};
use crate::evidence::{End, Evidence};
use crate::graph::{Edge, Graph};
use crate::inventory::Inventory;
use crate::learn::{Choices, decide};
use crate::policy::{AnyPolicy, Direction, PolicySet};
use crate::replay::denial;

/// What is wrong with an edge and the policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It works today, and the policies would deny it.
    WouldDeny,
    /// Policies older than the flow deny it, and it was established all the same: nothing enforces them.
    NotEnforced,
    /// It worked before a policy that denies it came, and only failed since.
    Broken,
    /// No policy isolates either side, so nothing speaks about it.
    Uncovered,
}

impl Kind {
    /// The word of the machine format.
    pub fn name(self) -> &'static str {
        match self {
            Kind::WouldDeny => "would_deny",
            Kind::NotEnforced => "not_enforced",
            Kind::Broken => "broken",
            Kind::Uncovered => "uncovered",
        }
    }
}

/// One finding.
#[derive(Debug, Clone)]
pub struct Finding<'a> {
    /// What is wrong.
    pub kind: Kind,
    /// With which edge.
    pub edge: &'a Edge,
    /// The outcome it is about.
    pub outcome: Outcome,
    /// What was observed of it.
    pub evidence: &'a Evidence,
    /// The policies behind it, `namespace/name`, sorted.
    pub policies: Vec<String>,
    /// What it means.
    pub message: String,
}

/// Holds every edge that `generate` would make a rule of against `policies`. `proposed`: the policies are not in the
/// cluster yet.
pub fn check<'a>(graph: &'a Graph, policies: PolicySet<'_>, proposed: bool, inventory: &Inventory) -> Vec<Finding<'a>> {
    let evaluator = inventory.evaluator(policies);
    let mut findings: Vec<Finding<'a>> = graph
        .edges()
        .filter_map(|edge| {
            let (outcome, evidence) = decide(edge, inventory, &Choices::default()).ok()?;
            let denied: Vec<Denied> = evidence
                .pairs
                .iter()
                .filter_map(|((client, server), opened)| {
                    let pair = (*client, *server);
                    let verdict = denial(&evaluator, edge, evidence, pair, inventory)?;
                    Some(Denied { pair, opened: *opened, verdict })
                })
                .collect();
            if denied.is_empty() {
                return uncovered(edge, outcome, evidence, &evaluator, inventory);
            }
            Some(denied_edge(edge, outcome, evidence, &denied, &evaluator, proposed))
        })
        .collect();
    findings.sort_by(|a, b| (a.kind, &a.edge.key).cmp(&(b.kind, &b.edge.key)));
    findings
}

/// A pair of ends that the policies deny.
struct Denied {
    pair: (End, End),
    /// When it was last seen opening a connection.
    opened: Timestamp,
    verdict: Verdict,
}

fn denied_edge<'a>(
    edge: &'a Edge,
    outcome: Outcome,
    evidence: &'a Evidence,
    denied: &[Denied],
    evaluator: &Evaluator<'_>,
    proposed: bool,
) -> Finding<'a> {
    let policies = evaluator.policies();
    let mut denying: BTreeSet<String> = BTreeSet::new();
    let mut kind = Kind::WouldDeny;
    let mut before = false;
    for Denied { pair, opened, verdict } in denied {
        let sides = Direction::ALL.into_iter().map(|direction| verdict.side(direction)).filter(|side| !side.allowed());
        let deciders: Vec<AnyPolicy<'_>> = sides.flat_map(|side| evaluator.deciders(side)).collect();
        // A policy speaks from its creation on, one without a time always; the oldest in the way is the first that did.
        let came = deciders.iter().map(|policy| policy.created().unwrap_or(Timestamp::MIN)).min();
        let came = came.unwrap_or(Timestamp::MIN);
        denying.extend(deciders.into_iter().map(AnyPolicy::id));
        let failed_since = edge.outcomes.iter().any(|(outcome, failed)| {
            matches!(outcome, Outcome::Refused | Outcome::Unanswered)
                && failed.pairs.get(pair).is_some_and(|opened| *opened >= came)
        });
        before |= *opened < came;
        let this = match (proposed, *opened >= came) {
            (true, _) => Kind::WouldDeny,
            (false, true) => Kind::NotEnforced,
            (false, false) if failed_since => Kind::Broken,
            (false, false) => Kind::WouldDeny,
        };
        // What happens already is worse than what would.
        if this != Kind::WouldDeny && kind != Kind::NotEnforced {
            kind = this;
        }
    }
    let what = match kind {
        Kind::NotEnforced => {
            "seen working although denied: the network plugin does not enforce these policies, or not yet"
        }
        Kind::Broken => "worked until these policies came, and only failed since",
        _ if !proposed && before => "worked before these policies came, and is denied now",
        _ => "would be denied",
    };
    let verdict = &denied[0].verdict;
    let why: Vec<String> = Direction::ALL
        .into_iter()
        .filter(|direction| !verdict.side(*direction).allowed())
        .map(|direction| match verdict.side(direction).near.first() {
            _ if verdict.side(direction).decider == Decider::Cluster => {
                let rule = verdict.side(direction).last_word().map_or(0, |rule| rule.rule);
                let policy = evaluator.deciders(verdict.side(direction)).into_iter().map(AnyPolicy::id);
                format!("{direction}: rule {rule} of {} denies it", policy.collect::<String>())
            }
            Some(near) => {
                let field = match near.matched {
                    Matched::Peer(_) => "the peer fits, the port does not",
                    Matched::Port(_) => "the port fits, the peer does not",
                };
                format!("{direction}: nearest is rule {} of {}, where {field}", near.rule, policies[near.policy].id())
            }
            None => format!("{direction}: no rule comes near"),
        })
        .collect();
    Finding {
        kind,
        edge,
        outcome,
        evidence,
        policies: denying.into_iter().collect(),
        message: format!("{what} ({})", why.join("; ")),
    }
}

/// An edge between pods of which no policy isolates either.
fn uncovered<'a>(
    edge: &'a Edge,
    outcome: Outcome,
    evidence: &'a Evidence,
    evaluator: &Evaluator<'_>,
    inventory: &Inventory,
) -> Option<Finding<'a>> {
    let isolated = |pods: BTreeSet<crate::inventory::PodId>, direction| {
        pods.into_iter().any(|pod| evaluator.isolating(inventory.pod(pod), direction).next().is_some())
    };
    let any =
        isolated(evidence.client_pods(), Direction::Egress) || isolated(evidence.server_pods(), Direction::Ingress);
    let pods = !evidence.client_pods().is_empty() || !evidence.server_pods().is_empty();
    (pods && !any).then(|| Finding {
        kind: Kind::Uncovered,
        edge,
        outcome,
        evidence,
        policies: Vec::new(),
        message: "no policy isolates the client for egress or the server for ingress".to_string(),
    })
}

#[cfg(test)]
mod tests;
