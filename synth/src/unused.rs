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
mod edit;
pub mod gate;
mod matched;
mod needs;
mod redundant;
pub mod suggest;
mod uses;

use std::collections::BTreeMap;

use capture::Timestamp;

use crate::evaluate::{Evaluator, Options};
use crate::graph::Graph;
use crate::inventory::Inventory;
use crate::part::{self, Part, PolicyIndex, Removed};
use crate::policy::{AnyPolicy, Direction, PolicyPort, PolicySet, PortMatch};
use crate::render::{count, thousands};
use crate::words;

pub use broad::Suffices;
pub use redundant::Basis;
pub use uses::behind;

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
    /// Connections that may have been its, but nobody knows: the other end is a pod that is not known, the direction is
    /// guessed, or the source may have been translated on the way.
    pub unclear: u64,
    /// What it means, and what would suffice instead.
    pub message: String,
    /// What would suffice instead of something that is too broad, where it can be written down.
    pub suffices: Option<Suffices>,
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
    let dead = dead::dead(set, &rules, &workloads, options);
    let of_dead: Vec<Part> = dead.iter().map(|found| found.part).collect();
    let (redundant, sizes) = redundant::redundant(set, &rules, inventory, options, &of_dead, &mut removed);
    // What is redundant of the cluster-wide policies decides nothing any more, and what comes after it does.
    let masked = removed.masked(set);
    let evaluator = inventory.evaluator(PolicySet { cluster: &masked, ..set });
    let readings: Vec<Evaluator<'_>> =
        redundant::variants(options).into_iter().map(|options| evaluator.clone().with_options(options)).collect();
    let uses = uses::Uses::new(graph, &readings, inventory, proposed);
    let size = |rule: Part| sizes.get(&rule).copied().unwrap_or_default();
    let unneeded = needs::unneeded(&rules, &uses, size, |part| is_other_dns(part, set, &uses), &mut removed);
    let broad = broad::broad(set, &rules, &uses, &workloads, options, &removed);

    let finding = |part: Part, status: Status, message: String| {
        let used = uses.of(part);
        Finding {
            part,
            status,
            basis: None,
            hits: used.hits,
            last_hit: used.last,
            unclear: uses.of(part.whole_rule()).unclear,
            message,
            suffices: None,
            one_of: Vec::new(),
            missing: Vec::new(),
        }
    };
    let mut findings: BTreeMap<(Part, Status), Finding> = BTreeMap::new();
    let mut add = |finding: Finding| _ = findings.insert((finding.part, finding.status), finding);
    for dead::Dead { part, why, unknown } in dead {
        add(Finding { missing: unknown, ..finding(part, Status::Dead, why) });
    }
    // Where all rules of a policy can go, so can the policy, if others isolate its pods.
    let mut gone = Removed::default();
    redundant.iter().for_each(|found| gone.insert(found.part));
    let hollow = if redundant.is_empty() { Vec::new() } else { redundant::hollow(set, inventory, options, &gone) };
    for found in redundant {
        let mut message = redundant_message(&found, set);
        if hollow.contains(&found.part.whole_policy()) && found.part.rule.is_some() {
            message += "; so is the whole policy";
        }
        let one = finding(found.part, Status::Redundant, message);
        add(Finding { basis: Some(found.basis), one_of: found.twins, ..one });
    }
    for found in unneeded {
        let message = unused_message(&found, &uses.of(found.part), set);
        let one_of = found.instead.into_iter().filter(|rule| *rule != found.part.whole_rule()).collect();
        add(Finding { one_of, ..finding(found.part, Status::Unused, message) });
    }
    for (part, message, suffices) in broad {
        add(Finding { suffices, ..finding(part, Status::Overbroad, message) });
    }
    for (part, contradiction) in &uses.contradictions {
        let edges: Vec<String> = contradiction.edges.iter().cloned().collect();
        let message = format!(
            "{} worked although it denies them: {}; the network plugin does not enforce it, or not yet",
            count(contradiction.hits, "connection"),
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

/// Whether a port is that of DNS over one transport, beside the same port over the other that was used.
fn is_other_dns(part: Part, set: PolicySet<'_>, uses: &uses::Uses) -> bool {
    let (PolicyIndex::Network(index), Some(direction), Some(number), Some(port)) =
        (part.policy, part.direction, part.rule, part.port)
    else {
        return false;
    };
    let Some(rule) = set.network[index].rules(direction).and_then(|rules| rules.get(number)) else { return false };
    let ports = rule.ports.listed();
    let is_dns = |port: &PolicyPort| match &port.port {
        PortMatch::Range(range) => range.from() == range.to() && capture::names::is_dns_port(range.from()),
        PortMatch::Named(name) => name.starts_with("dns"),
        PortMatch::Every => false,
    };
    // CoreDNS' own manifests name the ports `dns` and `dns-tcp`.
    let stem = |port: &PortMatch| match port {
        PortMatch::Named(name) => Some(name.trim_end_matches("-tcp").to_string()),
        PortMatch::Range(range) => Some(range.from().to_string()),
        PortMatch::Every => None,
    };
    let twin = |(at, other): (usize, &PolicyPort)| {
        at != port
            && other.protocol != ports[port].protocol
            && stem(&other.port) == stem(&ports[port].port)
            && uses.of(part.whole_rule().with_port(at)).hits > 0
    };
    ports.get(port).is_some_and(is_dns) && ports.iter().enumerate().any(twin)
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
        let twins: Vec<String> = found.twins.iter().map(|twin| twin.name(set)).collect();
        let opens = Direction::ALL.iter().any(|direction| match found.part.of(set) {
            AnyPolicy::Network(policy) => policy.rules(*direction).is_some_and(|rules| !rules.is_empty()),
            AnyPolicy::Cluster(_) => true,
        });
        return match twins.is_empty() {
            _ if opens => format!("it isolates its pods and then allows everything: nothing changes without it{today}"),
            true => format!("the pods that it isolates are isolated by other policies{today}, and it allows nothing"),
            false => format!("it allows nothing, and one of this and {} is enough{today}", twins.join(", ")),
        };
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
            "{allows}: its {} also allowed by {}; one of them is enough",
            if used.hits == 1 {
                "1 connection is".to_string()
            } else {
                format!("{} connections are", thousands(used.hits))
            },
            words::some(&instead)
        );
    }
    match used.attempts {
        0 => format!("{allows}: never used"),
        attempts => format!("{allows}: never used, {} failed", count(attempts, "attempt")),
    }
}

#[cfg(test)]
mod tests;
