//! Allow rules held against the observed flows: which of them nobody needs.
//!
//! ```text
//! policies -- part --> rules, peers, ports -- dead (selects nothing) -- redundant (allowed elsewhere) --.
//! edges -- uses (what each flow uses and needs) -- needs (what no flow needs) -- broad (used in a corner) --> findings -- gate
//! ```
//!
//! What is found goes together: a policy set without all parts that are dead, redundant and unused still allows every
//! observed flow that it allowed. Of rules that can stand for one another one always stays.

mod broad;
mod dead;
pub mod gate;
mod matched;
mod needs;
mod redundant;
mod uses;
mod words;

use std::collections::BTreeMap;

use capture::Timestamp;

use crate::evaluate::Options;
use crate::graph::Graph;
use crate::inventory::Inventory;
use crate::part::{self, Part, Removed};
use crate::policy::{Direction, PolicySet};
use crate::render::thousands;

pub use redundant::Basis;

/// What is said about a part of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// No observed flow needs it.
    Unused,
    /// It selects nothing that exists.
    Dead,
    /// Everything that it allows is allowed elsewhere.
    Redundant,
    /// It is used, but by few of those that it is for.
    Overbroad,
    /// It denies what works all the same: the network plugin does not enforce it.
    NotEnforced,
}

impl Status {
    /// All of them.
    pub const ALL: [Status; 5] =
        [Status::Unused, Status::Dead, Status::Redundant, Status::Overbroad, Status::NotEnforced];

    /// The word of the machine format.
    pub fn name(self) -> &'static str {
        match self {
            Status::Unused => "unused",
            Status::Dead => "dead",
            Status::Redundant => "redundant",
            Status::Overbroad => "overbroad",
            Status::NotEnforced => "not_enforced",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// About what.
    pub part: Part,
    /// What it is.
    pub status: Status,
    /// Why it is redundant, where it is.
    pub basis: Option<Basis>,
    /// Connections that it allowed.
    pub hits: u64,
    /// The last time that it allowed one.
    pub last_hit: Option<Timestamp>,
    /// Connections to its ports from addresses of pods whose holder is not known: some may have been its.
    pub unresolved: u64,
    /// What it means, and what would suffice instead.
    pub message: String,
    /// Parts that could go in its place: of all of them one has to stay.
    pub one_of: Vec<Part>,
    /// What is missing before anybody should act on it; nothing where the evidence suffices.
    pub missing: Vec<String>,
}

impl Finding {
    /// What it is about in words that stay the same when rules change their places: its policy, and what it allows.
    pub fn about(&self, set: PolicySet<'_>) -> String {
        let id = self.part.of(set).id();
        match (self.part.direction, self.part.rule) {
            (Some(direction), Some(_)) => {
                let what = match (self.part.peer, self.part.port) {
                    (Some(_), _) => ", peer",
                    (_, Some(_)) => ", port",
                    _ => "",
                };
                format!("{id} {direction}{what}: {}", words::allows(self.part, set))
            }
            (Some(direction), None) => format!("{id} {direction}"),
            (None, _) => id,
        }
    }
}

/// Holds the allow rules of `set` against the edges of `graph`. `proposed`: the policies are not in the cluster yet.
/// Findings are sorted by their places; none has anything [`Finding::missing`] yet.
pub fn unused(
    graph: &Graph,
    set: PolicySet<'_>,
    proposed: bool,
    inventory: &Inventory,
    options: Options,
) -> Vec<Finding> {
    let rules = part::rules(set);
    let workloads = matched::Workloads::new(inventory, options);
    let mut removed = Removed::default();
    let dead = dead::dead(set, &rules, &workloads, options, &mut removed);
    let (redundant, sizes) = redundant::redundant(set, &rules, inventory, options, &mut removed);
    // What is redundant of the cluster-wide policies decides nothing any more, and what comes after it does.
    let masked = removed.masked(set);
    let evaluator = inventory.evaluator(PolicySet { cluster: &masked, ..set }).with_options(options);
    let uses = uses::Uses::new(graph, &evaluator, inventory, proposed);
    let size = |rule: Part| sizes.get(&rule).copied().unwrap_or_default();
    let unneeded = needs::unneeded(&rules, &uses, size, &mut removed);
    let broad = broad::broad(set, &rules, &uses, &workloads, options, &removed);

    let finding = |part: Part, status: Status, message: String| {
        let used = uses.of(part);
        Finding {
            part,
            status,
            basis: None,
            hits: used.hits,
            last_hit: used.last,
            unresolved: uses.of(part.whole_rule()).unresolved,
            message,
            one_of: Vec::new(),
            missing: Vec::new(),
        }
    };
    let mut findings: BTreeMap<(Part, Status), Finding> = BTreeMap::new();
    let mut add = |finding: Finding| _ = findings.insert((finding.part, finding.status), finding);
    for (part, why) in dead {
        add(finding(part, Status::Dead, why));
    }
    for found in redundant {
        let message = redundant_message(&found, set);
        let one = finding(found.part, Status::Redundant, message);
        add(Finding { basis: Some(found.basis), one_of: found.twins, ..one });
    }
    for found in unneeded {
        let message = unused_message(&found, &uses.of(found.part), set);
        let one_of = found.instead.into_iter().filter(|rule| *rule != found.part.whole_rule()).collect();
        add(Finding { one_of, ..finding(found.part, Status::Unused, message) });
    }
    for (part, message) in broad {
        add(finding(part, Status::Overbroad, message));
    }
    for (part, contradiction) in &uses.contradictions {
        let edges: Vec<String> = contradiction.edges.iter().cloned().collect();
        let message = format!(
            "{} connections worked although it denies them: {}; the network plugin does not enforce it, or not yet",
            thousands(contradiction.hits),
            words::some(&edges)
        );
        let (hits, last_hit) = (contradiction.hits, contradiction.last);
        add(Finding { hits, last_hit, ..finding(*part, Status::NotEnforced, message) });
    }
    // What is said about a whole says it about what is in it.
    let whole: Vec<Part> = findings
        .values()
        .filter(|finding| matches!(finding.status, Status::Dead | Status::Redundant | Status::Unused))
        .map(|finding| finding.part)
        .collect();
    let is_inside = |part: Part| {
        let outer = [part.whole_rule(), part.whole_policy()];
        outer.into_iter().any(|outer| outer != part && whole.binary_search(&outer).is_ok())
    };
    let mut findings: Vec<Finding> = findings.into_values().collect();
    findings.retain(|finding| finding.status == Status::NotEnforced || !is_inside(finding.part));
    findings.sort_by(|a, b| place(a, set).cmp(&place(b, set)));
    findings
}

/// What findings are sorted by.
fn place<'f>(finding: &'f Finding, set: PolicySet<'_>) -> (String, Option<Direction>, &'f Part, Status) {
    (finding.part.of(set).id(), finding.part.direction, &finding.part, finding.status)
}

fn redundant_message(found: &redundant::Redundant, set: PolicySet<'_>) -> String {
    let today = match found.basis {
        Basis::Structure => "",
        Basis::Today => ", as long as there are no other pods than today's",
    };
    if found.part.rule.is_none() {
        return format!("the pods that it isolates are isolated by other policies{today}, and it allows nothing");
    }
    let allows = words::allows(found.part, set);
    if !found.twins.is_empty() {
        let twins: Vec<String> = found.twins.iter().map(|twin| twin.name(set)).collect();
        return format!("{allows}: one of this and {} is enough{today}", twins.join(", "));
    }
    match found.covered {
        Some(rule) => format!("{allows}: all of it is allowed by {} too{today}", rule.name(set)),
        None => format!("{allows}: all of it is allowed elsewhere too{today}"),
    }
}

fn unused_message(found: &needs::Unneeded, used: &uses::Use, set: PolicySet<'_>) -> String {
    let allows = words::allows(found.part, set);
    if used.hits > 0 {
        let instead: Vec<String> = found.instead.iter().map(|rule| rule.name(set)).collect();
        return format!(
            "{allows}: its {} connections are also allowed by {}; one of them is enough",
            thousands(used.hits),
            words::some(&instead)
        );
    }
    match used.attempts {
        0 => format!("{allows}: never used"),
        attempts => format!("{allows}: never used, only {} attempts failed", thousands(attempts)),
    }
}

#[cfg(test)]
mod tests;
