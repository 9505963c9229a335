//! What holds without a change too: findings, and what only some want to read.

use synth::check::Kind;

use super::{cell, place, row, seen, table};
use crate::finding::Severity;
use crate::report::budget;
use crate::report::change::{Change, Pair};
use crate::report::facts::{self, Facts};
use crate::summary::number;

/// Without a change: what is wrong with the policies there are.
pub(super) fn denied(facts: &Facts<'_>) -> Vec<budget::Part> {
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

/// What only some want to read.
pub(super) fn folded(facts: &Facts<'_>, change: Option<&Change>) -> Vec<budget::Part> {
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
    let pair = |pair: &Pair| row(&[cell(&pair.client), cell(&pair.server), cell(&pair.ports)]);
    let closed: Vec<String> = change.into_iter().flat_map(|change| &change.closes).map(pair).collect();
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
