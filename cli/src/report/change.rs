//! What proposed policies change, in rows of text: for the comment and for the page.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use synth::diff::Side;
use synth::endpoint::Workload;
use synth::part::{Part, PolicyIndex};
use synth::policy::{AnyPolicy, Direction, Policy, PolicySet};
use synth::review::Review;
use synth::revision::{self, PolicyChange, RuleChange};
use synth::words;

use super::facts::{self, Facts};
use crate::finding::Place;

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    pub(super) opens: Vec<Pair>,
    pub(super) closes: Vec<Pair>,
    /// Workloads that are isolated from now on, and the directions.
    pub(super) isolated: Vec<(String, String)>,
    /// Each policy that changed as a whole, then its rules.
    pub(super) rules: Vec<Rule>,
}

/// Ports of one side that another can connect to after it and not before, or the other way round.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Pair {
    pub(super) client: String,
    pub(super) server: String,
    pub(super) ports: String,
    /// Whether traffic of it was seen; nothing where it is about everybody.
    pub(super) seen: Option<bool>,
}

/// A policy or a rule that changed.
#[derive(Debug, Serialize)]
pub(super) struct Rule {
    /// `added`, `removed`, `widened`, `narrowed` or `changed`.
    pub(super) change: &'static str,
    pub(super) policy: String,
    pub(super) text: String,
    /// What it was, where it was something else.
    pub(super) was: Option<String>,
    /// What was seen of it.
    pub(super) evidence: Option<String>,
    /// What to think of: nothing needs it, nothing needs what is new.
    pub(super) note: Option<&'static str>,
    pub(super) place: Option<String>,
}

/// Whoever is not isolated may be reached by these.
const ANYONE: &str = "anyone whose own policies allow it";

impl Change {
    pub(super) fn new(facts: &Facts<'_>, change: &facts::Change<'_>) -> Change {
        let mut directions: BTreeMap<&Workload, Vec<&str>> = BTreeMap::new();
        for (workload, direction) in &change.diff.isolated {
            directions.entry(workload).or_default().push(direction.name());
        }
        let isolated = directions.into_iter().map(|(workload, of)| (workload.to_string(), of.join(", "))).collect();
        Change { opens: opens(facts, change), closes: closes(facts, change), isolated, rules: rules(facts, change) }
    }

    /// Openings that nobody was seen to need.
    pub(super) fn unneeded(&self) -> usize {
        self.opens.iter().filter(|pair| pair.seen != Some(true)).count()
    }
}

/// Whether a side is a workload of a set, in a direction.
fn is_in(set: &BTreeSet<(&Workload, Direction)>, side: &Side<'_>, direction: Direction) -> bool {
    matches!(side, Side::Workload(workload) if set.contains(&(*workload, direction)))
}

/// What is open altogether first, then what nobody was seen to need, that with the outside before the rest.
fn opens(facts: &Facts<'_>, change: &facts::Change<'_>) -> Vec<Pair> {
    let opened = &change.diff.opened;
    let everything = opened.iter().map(|(workload, direction)| {
        let workload = workload.to_string();
        let (client, server) = match direction {
            Direction::Ingress => (ANYONE.to_string(), workload),
            Direction::Egress => (workload, ANYONE.to_string()),
        };
        Pair { client, server, ports: format!("all: no longer isolated for {direction}"), seen: None }
    });
    let mut pairs = Vec::new();
    for gained in &change.diff.gained {
        // What is open altogether is said once.
        if is_in(opened, &gained.client, Direction::Egress) || is_in(opened, &gained.server, Direction::Ingress) {
            continue;
        }
        let mut ports = gained.allowed.to_string();
        if !gained.unknown.is_empty() {
            ports = format!("{ports} perhaps {}", gained.unknown).trim_start().to_string();
        }
        let seen = facts.observed.touches(gained);
        let outside = matches!((&gained.client, &gained.server), (Side::Outside(_), _) | (_, Side::Outside(_)));
        let (client, server) = (gained.client.to_string(), gained.server.to_string());
        pairs.push((seen, !outside, Pair { client, server, ports, seen: Some(seen) }));
    }
    pairs.sort();
    everything.chain(pairs.into_iter().map(|(.., pair)| pair)).collect()
}

/// What nobody was seen to use. What is isolated from now on is said once, and that of each pair of everybody.
fn closes(facts: &Facts<'_>, change: &facts::Change<'_>) -> Vec<Pair> {
    let isolated = &change.diff.isolated;
    let lost = change.diff.lost.iter().filter(|lost| {
        !is_in(isolated, &lost.client, Direction::Egress) && !is_in(isolated, &lost.server, Direction::Ingress)
    });
    let pair = |lost: &synth::diff::Change<'_>| Pair {
        client: lost.client.to_string(),
        server: lost.server.to_string(),
        ports: lost.allowed.to_string(),
        seen: Some(false),
    };
    lost.filter(|lost| !facts.observed.touches(lost)).map(pair).collect()
}

/// By policy: the policy as a whole, then its rules.
fn rules(facts: &Facts<'_>, change: &facts::Change<'_>) -> Vec<Rule> {
    let mut rows: Vec<(String, Rule)> = Vec::new();
    for policy in &change.revision.policies {
        let (set, index) = match (policy.new, policy.old) {
            (Some(new), _) => (facts.set, new),
            (None, Some(old)) => (change.before, old),
            (None, None) => continue,
        };
        let part = Part::policy(index);
        let id = part.of(set).id();
        let row = Rule {
            change: policy.change.name(),
            policy: id.clone(),
            text: whole(policy, change.before, facts.set),
            was: None,
            evidence: None,
            note: None,
            place: place(part, set),
        };
        rows.push((id, row));
    }
    let by_part = |review: &Review<'_>| -> BTreeMap<Part, usize> {
        review.rules.iter().enumerate().map(|(at, used)| (used.rule, at)).collect()
    };
    let (before, after) = (by_part(&change.review), by_part(&facts.review));
    for rule in &change.revision.rules {
        let (set, part) = match (rule.new, rule.old) {
            (Some(new), _) => (facts.set, new),
            (None, Some(old)) => (change.before, old),
            (None, None) => continue,
        };
        let direction = part.direction.map_or("", Direction::name);
        let was = rule.old.filter(|_| rule.new.is_some()).map(|old| words::allows(old, change.before));
        let (evidence, note) = evidence(facts, change, rule, (&before, &after));
        let id = part.of(set).id();
        let row = Rule {
            change: rule.change.name(),
            policy: id.clone(),
            text: format!("{direction} {}", words::allows(part, set)),
            was,
            evidence,
            note,
            place: place(part, set),
        };
        rows.push((id, row));
    }
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    rows.into_iter().map(|(_, row)| row).collect()
}

fn place(part: Part, set: PolicySet<'_>) -> Option<String> {
    Place::of(&part.origin(set)).map(|place| place.to_string())
}

/// What became of a policy as a whole.
fn whole(policy: &PolicyChange, before: PolicySet<'_>, after: PolicySet<'_>) -> String {
    let network = |index: Option<PolicyIndex>, set: PolicySet<'_>| -> Option<Policy> {
        match Part::policy(index?).of(set) {
            AnyPolicy::Network(policy) => Some(policy.clone()),
            AnyPolicy::Cluster(_) => None,
        }
    };
    match policy.change {
        revision::Change::Added => return "the policy is new".to_string(),
        revision::Change::Removed => return "the policy is gone".to_string(),
        _ => {}
    }
    let (Some(old), Some(new)) = (network(policy.old, before), network(policy.new, after)) else {
        return "the policy selects others, or is asked in another order, or its rules are others".to_string();
    };
    let mut what = Vec::new();
    if old.subject != new.subject {
        what.push(format!("it selects pods {} instead of {}", new.subject, old.subject));
    }
    for direction in Direction::ALL {
        match (old.rules(direction).is_some(), new.rules(direction).is_some()) {
            (false, true) => what.push(format!("it isolates for {direction} too")),
            (true, false) => what.push(format!("it no longer isolates for {direction}")),
            _ => {}
        }
    }
    what.join("; ")
}

/// What was seen of the rule; of one that allows more, whether anything needs that.
fn evidence(
    facts: &Facts<'_>,
    change: &facts::Change<'_>,
    rule: &RuleChange,
    (before, after): (&BTreeMap<Part, usize>, &BTreeMap<Part, usize>),
) -> (Option<String>, Option<&'static str>) {
    let old = rule.old.and_then(|part| before.get(&part)).map(|at| &change.review.rules[*at]);
    let new = rule.new.and_then(|part| after.get(&part)).map(|at| &facts.review.rules[*at]);
    let Some(new) = new else {
        return match old.and_then(|old| change.review.evidence(old)) {
            Some(used) => (Some(format!("used by {used}")), None),
            None => (None, Some("nothing used it")),
        };
    };
    let Some(text) = facts.review.evidence(new) else { return (None, Some("no traffic that needs it")) };
    let is_enough = old.is_some_and(|old| new.edges.iter().all(|edge| old.edges.binary_search(edge).is_ok()));
    let note = is_enough && rule.change != revision::Change::Narrowed;
    (Some(text), note.then_some("nothing seen needs what is new"))
}
