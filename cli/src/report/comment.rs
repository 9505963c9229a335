//! A comment for a pull request: what breaks, what opens, what was not seen, why each address.

mod change;
mod standing;

use synth::part::Part;
use synth::policy::PolicySet;
use synth::render::count;
use synth::revision::Change;

use super::budget::{self, fit};
use super::change as change_rows;
use super::facts::Facts;
use super::unseen::unseen;
use super::verdict::{Status, Verdict};
use crate::markdown::escaped;
use crate::summary::number;

/// A comment on GitHub may have 65,536 characters; a few are left for whoever posts it.
const LIMIT: usize = 65_000;

/// Longest text of a cell: a rule with a hundred peers says no more than one with ten.
const CELL: usize = 360;

/// Where rows are that did not fit.
const ELSEWHERE: &str = "see `ringfence report --html`";

/// The comment, always below 65,000 characters.
pub(super) fn comment(
    facts: &Facts<'_>,
    rows: Option<&change_rows::Change>,
    verdict: &Verdict,
    marker: &str,
) -> String {
    let mut parts = vec![budget::Part::Text(head(facts, verdict, marker))];
    match &facts.change {
        Some(change) => {
            parts.extend(change::breaks(facts, change));
            if let Some(rows) = rows {
                parts.extend(change::opens(rows));
                parts.push(change::rules(rows));
            }
            parts.extend(change::addresses(facts, change));
        }
        None => parts.extend(standing::denied(facts)),
    }
    parts.push(blind(facts));
    parts.extend(standing::folded(facts, rows));
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
        Status::Safe if verdict.opens => "⚠️",
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

fn seen(evidence: &synth::evidence::Evidence) -> String {
    let (first, last) = (evidence.first.date(), evidence.last.date());
    let when = if first == last { first } else { format!("{first} .. {last}") };
    format!("{}, {when}", count(evidence.connections, "connection"))
}

fn place(part: Part, set: PolicySet<'_>) -> String {
    crate::finding::Place::of(&part.origin(set)).map(|place| cell(&place.to_string())).unwrap_or_default()
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

fn foot(facts: &Facts<'_>) -> String {
    let ignored =
        if facts.ignored > 0 { format!(", {} ignored", count(facts.ignored as u64, "finding")) } else { String::new() };
    let exposures = facts.exposures().count();
    let list = |names: &[String]| match names {
        [] => "none".to_string(),
        names => names
            .iter()
            .map(|name| format!("`{}`", name.replace(|letter: char| letter == '`' || letter.is_control(), " ")))
            .collect::<Vec<_>>()
            .join(", "),
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
