//! What a change breaks and opens, the rules that changed, and why each address.

use std::collections::{BTreeMap, BTreeSet};

use synth::check::Kind;
use synth::diff::Side;
use synth::endpoint::Workload;
use synth::part::{Part, PolicyIndex};
use synth::policy::{AnyPolicy, Direction, Peer};
use synth::revision::{Change, RuleChange};
use synth::words;

use super::{cell, place, row, seen, table};
use crate::report::budget;
use crate::report::facts::{self, Facts};
use crate::summary::number;

/// Observed edges that the change denies, and those that are denied without it too.
pub(super) fn breaks(facts: &Facts<'_>, change: &facts::Change<'_>) -> Vec<budget::Part> {
    let newly: BTreeSet<_> = change.stopped.iter().map(|stopped| &stopped.edge.key).collect();
    let mut rows = Vec::new();
    for finding in facts.edges().filter(|finding| finding.kind == Kind::WouldDeny) {
        let key = &finding.edge.key;
        let when = if newly.contains(key) { "" } else { "denied already; " };
        rows.push(row(&[
            cell(&key.client.to_string()),
            cell(&format!("{}:{}/{}", key.server, key.port, key.protocol)),
            seen(finding.evidence),
            cell(&format!("{when}{}", finding.message)),
        ]));
    }
    if rows.is_empty() {
        return vec![budget::Part::Text("\n### What breaks if merged\n\nNothing that was seen working.\n".to_string())];
    }
    let heading = format!("### What breaks if merged ({})", rows.len());
    vec![table(&heading, &["Client", "Server", "Seen", "Why"], rows, "denied edges")]
}

/// Connectivity that is new, what nobody was seen to need first.
pub(super) fn opens(facts: &Facts<'_>, change: &facts::Change<'_>) -> Vec<budget::Part> {
    let mut rows = Vec::new();
    // What is open altogether is said once.
    let open = |side: &Side<'_>, direction| matches!(side, Side::Workload(workload) if change.diff.opened.contains(&(*workload, direction)));
    let is_open = |gained: &synth::diff::Change<'_>| {
        open(&gained.client, Direction::Egress) || open(&gained.server, Direction::Ingress)
    };
    for gained in change.diff.gained.iter().filter(|gained| !is_open(gained)) {
        let observed = facts.observed.touches(gained);
        let mut ports = gained.allowed.to_string();
        if !gained.unknown.is_empty() {
            ports = format!("{ports} perhaps {}", gained.unknown).trim_start().to_string();
        }
        let outside = matches!((&gained.client, &gained.server), (Side::Outside(_), _) | (_, Side::Outside(_)));
        let text = row(&[
            cell(&gained.client.to_string()),
            cell(&gained.server.to_string()),
            cell(&ports),
            if observed { "seen".to_string() } else { "**never seen**".to_string() },
        ]);
        rows.push((observed, !outside, text));
    }
    rows.sort();
    let everything = change.diff.opened.iter().map(|(workload, direction)| {
        let workload = cell(&workload.to_string());
        let (client, server) = match direction {
            Direction::Ingress => ("anyone whose own policies allow it".to_string(), workload),
            Direction::Egress => (workload, "anyone whose own policies allow it".to_string()),
        };
        row(&[client, server, format!("all: no longer isolated for {direction}"), String::new()])
    });
    let rows: Vec<String> = everything.chain(rows.into_iter().map(|(.., text)| text)).collect();
    let count = rows.len();
    let mut parts = match count {
        0 => vec![budget::Part::Text(
            "\n### What opens\n\nNothing: whatever can connect after it could before.\n".to_string(),
        )],
        _ => vec![table(
            &format!("### What opens ({})", number(count as u64)),
            &["Client", "Server", "Ports", "Traffic"],
            rows,
            "openings",
        )],
    };
    let names = |set: &BTreeSet<(&Workload, Direction)>| -> Vec<String> {
        let mut directions: BTreeMap<&Workload, Vec<&str>> = BTreeMap::new();
        set.iter().for_each(|(workload, direction)| directions.entry(workload).or_default().push(direction.name()));
        let line =
            |(workload, of): (&Workload, Vec<&str>)| format!("- {}: {}\n", cell(&workload.to_string()), of.join(", "));
        directions.into_iter().map(line).collect()
    };
    parts.push(budget::Part::Rows {
        head: "\nIsolated from now on, so that only what rules allow can connect:\n".to_string(),
        rows: names(&change.diff.isolated),
        foot: String::new(),
        what: "workloads",
        is_table: false,
    });
    parts
}

/// Rules that changed.
pub(super) fn rules(facts: &Facts<'_>, change: &facts::Change<'_>) -> budget::Part {
    let mut rows: Vec<(String, String)> = Vec::new();
    for policy in &change.revision.policies {
        let (set, index) = match (policy.new, policy.old) {
            (Some(new), _) => (facts.set, new),
            (None, Some(old)) => (change.before, old),
            (None, None) => continue,
        };
        let id = Part::policy(index).of(set).id();
        let what = match policy.change {
            Change::Added => "the policy is new",
            Change::Removed => "the policy is gone",
            Change::Widened => "it selects more pods, or isolates another direction",
            Change::Narrowed => "it selects fewer pods, or no longer isolates a direction",
            Change::Changed => "it selects other pods, or is asked in another order",
        };
        let text = row(&[sign(policy.change), cell(&id), what.to_string(), place(Part::policy(index), set)]);
        rows.push((id, text));
    }
    for rule in &change.revision.rules {
        let (set, part) = match (rule.new, rule.old) {
            (Some(new), _) => (facts.set, new),
            (None, Some(old)) => (change.before, old),
            (None, None) => continue,
        };
        let direction = part.direction.map_or("", Direction::name);
        let mut text = format!("{direction} {}", cell(&words::allows(part, set)));
        if let (Some(old), Some(_)) = (rule.old, rule.new) {
            text += &format!("<br>was: {}", cell(&words::allows(old, change.before)));
        }
        let id = part.of(set).id();
        let text = row(&[sign(rule.change), cell(&id), text, evidence(facts, change, rule)]);
        rows.push((id, text));
    }
    if rows.is_empty() {
        return budget::Part::Text("\n### Rules\n\nNo rule changes.\n".to_string());
    }
    // Each policy, then its rules.
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    let rows = rows.into_iter().map(|(_, text)| text).collect();
    table("### Rules", &["", "Policy", "Rule", "Evidence"], rows, "rules")
}

fn sign(change: Change) -> String {
    match change {
        Change::Added => "➕ added",
        Change::Removed => "➖ removed",
        Change::Widened => "🔺 widened",
        Change::Narrowed => "🔻 narrowed",
        Change::Changed => "✏️ changed",
    }
    .to_string()
}

/// What was seen of the rule; of one that allows more, whether anything needs that.
fn evidence(facts: &Facts<'_>, change: &facts::Change<'_>, rule: &RuleChange) -> String {
    let find = |review: &synth::review::Review<'_>, part: Option<Part>| {
        review.rules.iter().find(|used| Some(used.rule) == part).cloned()
    };
    let (old, new) = (find(&change.review, rule.old), find(&facts.review, rule.new));
    let Some(new) = new else {
        let used = old.as_ref().and_then(|old| change.review.evidence(old));
        return used.map_or("nothing used it".to_string(), |used| cell(&format!("used by {used}")));
    };
    let Some(text) = facts.review.evidence(&new) else { return "**no traffic that needs it**".to_string() };
    let more = old.is_some_and(|old| new.edges.iter().all(|edge| old.edges.contains(edge)));
    let more = if more && rule.change != Change::Narrowed { "; **nothing seen needs what is new**" } else { "" };
    format!("{}{more}", cell(&text))
}

/// Each range that a new or wider rule names, and why.
pub(super) fn addresses(facts: &Facts<'_>, change: &facts::Change<'_>) -> Option<budget::Part> {
    let mut rows = Vec::new();
    for rule in &change.revision.rules {
        let Some(part) = rule.new else { continue };
        let (PolicyIndex::Network(index), Some(direction), Some(number)) = (part.policy, part.direction, part.rule)
        else {
            continue;
        };
        let AnyPolicy::Network(policy) = part.of(facts.set) else { continue };
        let Some(written) = policy.rules(direction).and_then(|rules| rules.get(number)) else { continue };
        debug_assert_eq!(facts.set.network[index].name, policy.name);
        let used = facts.review.rules.iter().find(|used| used.rule == part);
        for peer in written.peers.listed() {
            let Peer::Block(block) = peer else { continue };
            let inside =
                used.into_iter().flat_map(|used| &used.edges).map(|at| facts.review.edges[*at].edge).filter_map(
                    |edge| {
                        let (outcome, evidence) = edge.used()?;
                        let addresses = match direction {
                            Direction::Ingress => evidence.client_addresses(),
                            Direction::Egress => evidence.server_addresses(),
                        };
                        addresses.iter().any(|ip| block.contains(*ip)).then_some((edge, (outcome, evidence)))
                    },
                );
            let why = synth::review::evidence(inside, direction);
            let except =
                if block.except.is_empty() { String::new() } else { format!(" except {}", block.except.len()) };
            rows.push(row(&[
                format!("`{}`{except}", block.cidr),
                cell(&format!("{} {direction}", policy.id())),
                why.map_or("**nothing was seen there**".to_string(), |why| cell(&why)),
            ]));
        }
    }
    (!rows.is_empty()).then(|| table("### Why these addresses", &["Range", "Rule of", "Traffic"], rows, "ranges"))
}
