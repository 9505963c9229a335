//! Policies held against the observed edges.

mod advice;
mod isolation;

use std::cell::OnceCell;
use std::collections::BTreeSet;

use capture::time::SECOND;
use capture::{Outcome, Timestamp};

pub use isolation::{Unisolated, unisolated};

use self::advice::Adviser;
use crate::evaluate::{Evaluator, Options, Verdict};
use crate::evidence::{End, Evidence};
use crate::graph::{Edge, Graph};
use crate::inventory::Inventory;
use crate::learn::{Choices, decide};
use crate::platform::Platform;
use crate::policy::{AnyPolicy, Direction, PolicySet};
use crate::render::thousands;
use crate::replay::{denial, pairs};

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
pub fn check<'a>(
    graph: &'a Graph,
    policies: PolicySet<'_>,
    proposed: bool,
    inventory: &Inventory,
    options: Options,
) -> Vec<Finding<'a>> {
    let evaluator = inventory.evaluator(policies).with_options(options);
    let adviser = Adviser { evaluator: &evaluator, groups: OnceCell::new(), inventory };
    let platform = Platform::of(inventory);
    let mut findings: Vec<Finding<'a>> = graph
        .edges()
        .filter_map(|edge| {
            let (outcome, evidence) = decide(edge, inventory, &Choices::default()).ok()?;
            let denied: Vec<Denied> = pairs(edge, evidence, &evaluator)
                .into_iter()
                .filter_map(|(pair, opened)| {
                    let verdict = denial(&evaluator, edge, evidence, pair, inventory)?;
                    Some(Denied { pair, opened, verdict })
                })
                .collect();
            if denied.is_empty() {
                return uncovered(edge, outcome, evidence, &evaluator, inventory);
            }
            Some(denied_edge((edge, outcome, evidence), &denied, &adviser, &platform, proposed))
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
    (edge, outcome, evidence): (&'a Edge, Outcome, &'a Evidence),
    denied: &[Denied],
    adviser: &Adviser<'_>,
    platform: &Platform,
    proposed: bool,
) -> Finding<'a> {
    let mut denying: BTreeSet<String> = BTreeSet::new();
    let mut kind = Kind::WouldDeny;
    let mut before = false;
    // When the policies came and the connections that they did not stop were opened, the nearest two.
    let mut delay = i64::MAX;
    let mut oldest = Timestamp::MAX;
    for Denied { pair, opened, verdict } in denied {
        let sides = Direction::ALL.into_iter().map(|direction| verdict.side(direction)).filter(|side| !side.allowed());
        let deciders: Vec<AnyPolicy<'_>> = sides.flat_map(|side| adviser.evaluator.deciders(side)).collect();
        // A policy speaks from its creation on, one without a time always; the oldest in the way is the first that did.
        let came = deciders.iter().map(|policy| policy.created().unwrap_or(Timestamp::MIN)).min();
        let came = came.unwrap_or(Timestamp::MIN);
        denying.extend(deciders.into_iter().map(AnyPolicy::id));
        let failed_since = edge.outcomes.iter().any(|(outcome, failed)| {
            matches!(outcome, Outcome::Refused | Outcome::Unanswered)
                && failed.pairs.get(pair).is_some_and(|opened| *opened >= came)
        });
        before |= *opened < came;
        oldest = oldest.min(came);
        let this = match (proposed, *opened >= came) {
            (true, _) => Kind::WouldDeny,
            (false, true) => Kind::NotEnforced,
            (false, false) if failed_since => Kind::Broken,
            (false, false) => Kind::WouldDeny,
        };
        if this == Kind::NotEnforced && came > Timestamp::MIN {
            delay = delay.min(opened.since(came));
        }
        // What happens already is worse than what would.
        if this != Kind::WouldDeny && kind != Kind::NotEnforced {
            kind = this;
        }
    }
    let what = match kind {
        Kind::NotEnforced => {
            format!("seen working although denied, {}: {}", count(evidence.connections), meaning(platform, delay))
        }
        Kind::Broken => {
            let failed = [Outcome::Refused, Outcome::Unanswered].into_iter().filter_map(|how| edge.outcomes.get(&how));
            let failed: u64 = failed.map(|failed| failed.connections).sum();
            let when = if oldest > Timestamp::MIN { format!(" ({oldest})") } else { String::new() };
            format!("worked until these policies came{when}, and only failed since, {}", count(failed))
        }
        _ if !proposed && before => {
            "worked before these policies came, and is denied now; many network plugins keep connections that were open \
             then, so it may break only when it is opened anew"
                .to_string()
        }
        _ => "would be denied".to_string(),
    };
    let Denied { pair: (client, server), verdict, .. } = &denied[0];
    let why: Vec<String> = Direction::ALL
        .into_iter()
        .filter(|direction| !verdict.side(*direction).allowed())
        .map(|direction| {
            let peer = if direction == Direction::Ingress { client } else { server };
            adviser.side(direction, verdict.side(direction), &edge.key, peer)
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

fn count(connections: u64) -> String {
    format!("{} connection{}", thousands(connections), if connections == 1 { "" } else { "s" })
}

/// Plugins need so long to put a policy in force, at most, in nanoseconds.
const IN_FORCE: i64 = 60 * SECOND;

/// What a denied connection that works usually means; it was opened `delay` nanoseconds after the policy came.
fn meaning(platform: &Platform, delay: i64) -> String {
    let names = platform.plugin_names();
    match (platform.enforces(), names) {
        (Some(false), Some(names)) => format!("{names} does not enforce NetworkPolicies"),
        (enforces, names) => {
            let who = match (enforces, names) {
                (Some(_), Some(names)) => format!("{names} enforces policies"),
                (None, Some(names)) => format!("whether {names} enforces policies here is not known"),
                (_, None) => "the network plugin is not known".to_string(),
            };
            let soon = (delay <= IN_FORCE)
                .then(|| format!("the policy was {} s old and perhaps not in force yet", delay / SECOND));
            let usual = match enforces {
                Some(true) => "usually such traffic goes past it, as in a tunnel of a mesh or between pods of one node",
                _ => "usually it does not enforce them",
            };
            format!("{who}; {}", soon.unwrap_or_else(|| usual.to_string()))
        }
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
        message: "no policy isolates the client for egress or the server for ingress: run generate".to_string(),
    })
}

#[cfg(test)]
mod tests;
