//! A comment for a pull request: what breaks, what opens, what was not seen, why each address.

use std::collections::{BTreeMap, BTreeSet};

use synth::check::Kind;
use synth::diff::Side;
use synth::endpoint::Workload;
use synth::part::{Part, PolicyIndex};
use synth::policy::{AnyPolicy, Direction, Peer, PolicySet};
use synth::render::count;
use synth::revision::{Change, RuleChange};
use synth::words;

use super::budget::{self, fit};
use super::facts::{self, Facts};
use super::unseen::unseen;
use super::verdict::{Status, Verdict};
use crate::finding::Severity;
use crate::markdown::escaped;
use crate::summary::number;

/// A comment on GitHub may have 65,536 characters; a few are left for whoever posts it.
const LIMIT: usize = 65_000;

/// Longest text of a cell: a rule with a hundred peers says no more than one with ten.
const CELL: usize = 360;

/// Where rows are that did not fit.
const ELSEWHERE: &str = "see `ringfence report --html`";

/// The comment, always below 65,000 characters.
pub(super) fn comment(facts: &Facts<'_>, verdict: &Verdict, marker: &str) -> String {
    let marker: String =
        marker.chars().filter(|letter| letter.is_ascii_alphanumeric() || "-_./".contains(*letter)).collect();
    let mut parts = vec![budget::Part::Text(head(facts, verdict, &marker))];
    match &facts.change {
        Some(change) => {
            parts.extend(breaks(facts, change));
            parts.extend(opens(facts, change));
            parts.push(rules(facts, change));
            parts.extend(addresses(facts, change));
        }
        None => parts.extend(denied(facts)),
    }
    parts.push(blind(facts));
    parts.extend(folded(facts));
    parts.push(budget::Part::Text(foot(facts)));
    fit(&parts, LIMIT, ELSEWHERE)
}

/// Text for a cell.
fn cell(text: &str) -> String {
    let short: String = text.chars().take(CELL).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("{}{more}", escaped(&short))
}

fn head(facts: &Facts<'_>, verdict: &Verdict, marker: &str) -> String {
    let sign = match verdict.status {
        Status::Safe => "✅",
        Status::Denies => "❌",
        Status::Insufficient | Status::Unread | Status::Findings => "⚠️",
        Status::Observed => "ℹ️",
    };
    let title = facts.names.title.as_deref().map(|title| format!("{}: ", cell(title))).unwrap_or_default();
    let mut text = format!("<!-- ringfence-report: {marker} -->\n## {sign} {title}{}\n\n", cell(&verdict.headline));
    text += &format!("{}\n\n", sentence(&escaped(&verdict.detail)));
    if verdict.status == Status::Denies && !verdict.missing.is_empty() {
        text += &format!("The evidence is thin as well: {}.\n\n", escaped(&verdict.missing.join("; ")));
    }
    if let Some(change) = &facts.change {
        let of = |wanted: Change| change.revision.rules.iter().filter(|rule| rule.change == wanted).count();
        let words = [Change::Added, Change::Removed, Change::Widened, Change::Narrowed, Change::Changed]
            .map(|wanted| format!("{} {}", number(of(wanted) as u64), wanted.name()));
        text += &format!("**Rules**: {}. ", words.join(", "));
    }
    let coverage = facts.coverage;
    let watched = coverage.watch.window.as_ref().map_or("nothing".to_string(), |window| {
        let (from, to) = (window.from().date(), window.to().date());
        let days = if from == to { from } else { format!("{from} to {to}") };
        format!("{} ({days})", crate::completeness::duration(window.watched()))
    });
    text += &format!(
        "**Watched**: {watched}, {} of {} nodes, {} of {} pods, {} lost{}.\n",
        coverage.nodes.0,
        coverage.nodes.1,
        coverage.pods.0,
        coverage.pods.1,
        count(coverage.watch.lost, "packet"),
        facts.learned.map_or(String::new(), |learned| format!(", {}", learned.total.state.name())),
    );
    text
}

fn sentence(text: &str) -> String {
    if text.ends_with('.') { text.to_string() } else { format!("{text}.") }
}

/// A table under a heading; nothing where it has no rows.
fn table(heading: &str, columns: &[&str], rows: Vec<String>, what: &'static str) -> budget::Part {
    let line = format!("| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len()));
    budget::Part::Rows { head: format!("\n{heading}\n\n{line}"), rows, foot: String::new(), what, is_table: true }
}

fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// Observed edges that the change denies, and those that are denied without it too.
fn breaks(facts: &Facts<'_>, change: &facts::Change<'_>) -> Vec<budget::Part> {
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

fn seen(evidence: &synth::evidence::Evidence) -> String {
    let (first, last) = (evidence.first.date(), evidence.last.date());
    let when = if first == last { first } else { format!("{first} .. {last}") };
    format!("{}, {when}", count(evidence.connections, "connection"))
}

/// Connectivity that is new, what nobody was seen to need first.
fn opens(facts: &Facts<'_>, change: &facts::Change<'_>) -> Vec<budget::Part> {
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
fn rules(facts: &Facts<'_>, change: &facts::Change<'_>) -> budget::Part {
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

fn place(part: Part, set: PolicySet<'_>) -> String {
    crate::finding::Place::of(&part.origin(set)).map(|place| cell(&place.to_string())).unwrap_or_default()
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
fn addresses(facts: &Facts<'_>, change: &facts::Change<'_>) -> Option<budget::Part> {
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

/// Without a change: what is wrong with the policies there are.
fn denied(facts: &Facts<'_>) -> Vec<budget::Part> {
    let rows: Vec<String> = facts
        .edges()
        .filter(|finding| finding.kind != Kind::Uncovered)
        .map(|finding| {
            let key = &finding.edge.key;
            row(&[
                format!("`{}`", finding.kind.name()),
                cell(&key.client.to_string()),
                cell(&format!("{}:{}/{}", key.server, key.port, key.protocol)),
                seen(finding.evidence),
                cell(&finding.message),
            ])
        })
        .collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let heading = format!("### Traffic and policies ({})", rows.len());
    vec![table(&heading, &["Finding", "Client", "Server", "Seen", "Why"], rows, "findings")]
}

/// What nobody saw.
fn blind(facts: &Facts<'_>) -> budget::Part {
    let rows: Vec<String> = unseen(facts).iter().map(|text| format!("- {}\n", cell(text))).collect();
    if rows.is_empty() {
        return budget::Part::Text("\n### What was not seen\n\nNothing is known to be missing.\n".to_string());
    }
    let head = "\n### What was not seen\n\n".to_string();
    budget::Part::Rows { head, rows, foot: String::new(), what: "gaps", is_table: false }
}

/// What only some want to read.
fn folded(facts: &Facts<'_>) -> Vec<budget::Part> {
    let details = |summary: String, columns: &[&str], rows: Vec<String>, what: &'static str| {
        let line = format!("| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len()));
        let head = format!("\n<details><summary>{summary}</summary>\n\n{line}");
        budget::Part::Rows { head, rows, foot: "\n</details>\n".to_string(), what, is_table: true }
    };
    let unneeded: Vec<String> = facts
        .rules()
        .map(|finding| {
            let stands = finding.missing.is_empty();
            let status = if stands { finding.status.name() } else { "insufficient_evidence" };
            let but = if stands { String::new() } else { format!("; but {}", finding.missing.join("; ")) };
            let place = place(finding.part, facts.set);
            row(&[
                format!("`{status}`"),
                cell(&finding.part.name(facts.set)),
                cell(&format!("{}{but}", finding.message)),
                place,
            ])
        })
        .collect();
    let exposures: Vec<String> = facts
        .found
        .iter()
        .filter(|(_, found)| matches!(found, facts::Found::Exposure(_)))
        .map(|(item, _)| {
            let severity = if item.severity == Severity::Error { "**error**" } else { item.severity.name() };
            row(&[severity.to_string(), format!("`{}`", item.rule), cell(&item.message)])
        })
        .collect();
    let uncovered: Vec<String> = facts
        .edges()
        .filter(|finding| finding.kind == Kind::Uncovered)
        .map(|finding| row(&[cell(&finding.edge.key.to_string()), seen(finding.evidence)]))
        .collect();
    let isolated = |side: &Side<'_>, direction| {
        let change = facts.change.as_ref();
        matches!(side, Side::Workload(workload) if change.is_some_and(|it| it.diff.isolated.contains(&(*workload, direction))))
    };
    // What is isolated from now on is said once, and that of each pair of everybody.
    let is_new = |lost: &synth::diff::Change<'_>| {
        isolated(&lost.client, Direction::Egress) || isolated(&lost.server, Direction::Ingress)
    };
    let closed: Vec<String> = facts
        .change
        .iter()
        .flat_map(|change| &change.diff.lost)
        .filter(|lost| !is_new(lost) && !facts.observed.touches(lost))
        .map(|lost| {
            row(&[cell(&lost.client.to_string()), cell(&lost.server.to_string()), cell(&lost.allowed.to_string())])
        })
        .collect();
    let limits: Vec<String> = facts
        .limits
        .iter()
        .map(|limit| row(&[limit.component.to_string(), cell(&limit.message), cell(&limit.policies.join(", "))]))
        .collect();
    let titled = |rows: &[String], what: &str| format!("{what} ({})", number(rows.len() as u64));
    vec![
        details(
            titled(&closed, "Closed, and nobody was seen to use it"),
            &["Client", "Server", "Ports"],
            closed,
            "pairs",
        ),
        details(
            titled(&unneeded, "Rules that nothing needs, or not all of"),
            &["Status", "Part", "What", "Place"],
            unneeded,
            "rules",
        ),
        details(
            titled(&exposures, "Traffic that deserves a second look"),
            &["Severity", "Rule", "What"],
            exposures,
            "exposures",
        ),
        details(titled(&uncovered, "Edges that no policy covers"), &["Edge", "Seen"], uncovered, "edges"),
        details(
            titled(&limits, "What the network plugin and the mesh cannot do"),
            &["Component", "What", "Policies"],
            limits,
            "limits",
        ),
    ]
}

fn foot(facts: &Facts<'_>) -> String {
    let ignored =
        if facts.ignored > 0 { format!(", {} ignored", count(facts.ignored as u64, "finding")) } else { String::new() };
    let exposures = facts.exposures().count();
    let list = |names: &[String]| match names {
        [] => "none".to_string(),
        names => names.iter().map(|name| format!("`{}`", name.replace('`', "'"))).collect::<Vec<_>>().join(", "),
    };
    format!(
        "\n<sub>ringfence {} · {}, {}, {}{ignored} · traffic {} · cluster {} · policies {}</sub>\n",
        env!("CARGO_PKG_VERSION"),
        count(facts.graph.edges().count() as u64, "edge"),
        policies(facts.set.len() as u64),
        count(exposures as u64, "exposure"),
        cut(list(&facts.names.flows)),
        cut(list(&facts.names.cluster)),
        cut(list(&facts.names.policies)),
    )
}

/// `1 policy`, `2 policies`.
fn policies(count: u64) -> String {
    format!("{} polic{}", number(count), if count == 1 { "y" } else { "ies" })
}

fn cut(text: String) -> String {
    match text.chars().count() {
        length if length > CELL => text.chars().take(CELL).chain("…`".chars()).collect(),
        _ => text,
    }
}
