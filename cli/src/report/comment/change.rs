//! What a change breaks and opens, the rules that changed, and why each address.

use std::collections::BTreeSet;

use synth::check::Kind;
use synth::part::PolicyIndex;
use synth::policy::{AnyPolicy, Direction, Peer};

use super::{cell, row, seen, table};
use crate::report::budget;
use crate::report::change::{Change, Pair, Rule};
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
        let ignored = match facts.ignored_denials {
            0 => String::new(),
            count => format!(" Denied and ignored (--ignore): {}.", number(count as u64)),
        };
        let text = format!("\n### What breaks if merged\n\nNothing that was seen working.{ignored}\n");
        return vec![budget::Part::Text(text)];
    }
    let heading = format!("### What breaks if merged ({})", rows.len());
    vec![table(&heading, &["Client", "Server", "Seen", "Why"], rows, "denied edges")]
}

/// Connectivity that is new, what nobody was seen to need first.
pub(super) fn opens(change: &Change) -> Vec<budget::Part> {
    let text = |pair: &Pair| {
        let seen = match pair.seen {
            Some(true) => "seen",
            Some(false) => "**never seen**",
            None => "",
        };
        row(&[cell(&pair.client), cell(&pair.server), cell(&pair.ports), seen.to_string()])
    };
    let rows: Vec<String> = change.opens.iter().map(text).collect();
    let mut parts = match rows.len() {
        0 => vec![budget::Part::Text("\n### What opens\n\nNothing.\n".to_string())],
        count => vec![table(
            &format!("### What opens ({})", number(count as u64)),
            &["Client", "Server", "Ports", "Traffic"],
            rows,
            "openings",
        )],
    };
    let line = |(workload, directions): &(String, String)| format!("- {}: {directions}\n", cell(workload));
    parts.push(budget::Part::Rows {
        head: "\nIsolated from now on, so that only what rules allow can connect:\n".to_string(),
        rows: change.isolated.iter().map(line).collect(),
        foot: String::new(),
        what: "workloads",
        is_table: false,
    });
    parts
}

/// Policies and rules that changed.
pub(super) fn rules(change: &Change) -> budget::Part {
    let text = |rule: &Rule| {
        let mut what = cell(&rule.text);
        if let Some(was) = &rule.was {
            what += &format!("<br>was: {}", cell(was));
        }
        let evidence = rule.evidence.as_deref().map(cell);
        let note = rule.note.map(|note| format!("**{note}**"));
        let seen: Vec<String> = [evidence, note].into_iter().flatten().collect();
        // A policy as a whole has no evidence; where it is says more.
        let last = match (seen.is_empty(), &rule.place) {
            (true, Some(place)) => cell(place),
            _ => seen.join("; "),
        };
        row(&[sign(rule.change), cell(&rule.policy), what, last])
    };
    if change.rules.is_empty() {
        return budget::Part::Text("\n### Rules\n\nNo rule changes.\n".to_string());
    }
    table("### Rules", &["", "Policy", "Rule", "Evidence"], change.rules.iter().map(text).collect(), "rules")
}

fn sign(change: &str) -> String {
    let mark = match change {
        "added" => "➕",
        "removed" => "➖",
        "widened" => "🔺",
        "narrowed" => "🔻",
        _ => "✏️",
    };
    format!("{mark} {change}")
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
