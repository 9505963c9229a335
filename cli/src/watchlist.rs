//! What `check --exposures` prints.

use std::io::{self, Write};

use serde::Serialize;
use synth::watchlist::rule::Severity;
use synth::watchlist::{Finding, Row};

use crate::finding::Item;
use crate::row;
use crate::summary::number;
use crate::{catalogue, table};

/// Rows of one exposure in the machine formats; `rows` counts all of them.
const ROWS: usize = 100;

/// The machine format.
#[derive(Serialize)]
struct Entry<'a> {
    id: String,
    severity: &'static str,
    about: &'a str,
    message: &'a str,
    why: &'a str,
    fix: &'a str,
    /// The row with the most connections.
    edge: Option<row::Row<'a>>,
    rows: usize,
    edges: Vec<row::Row<'a>>,
}

/// An exposure in the shape of all outputs.
///
/// # Errors
/// None in practice: details are made of text and numbers.
pub(crate) fn item(finding: &Finding<'_>) -> anyhow::Result<Item> {
    let rule = finding.rule;
    let details = Entry {
        id: catalogue::exposure_id(rule),
        severity: finding.severity.name(),
        about: &finding.about,
        message: &finding.message,
        why: &rule.why,
        fix: &rule.fix,
        edge: busiest(&finding.rows).map(machine),
        rows: finding.rows.len(),
        edges: finding.rows.iter().take(ROWS).map(machine).collect(),
    };
    let severity = finding.severity.into();
    Item::new(&catalogue::exposure_id(rule), severity, finding.about.clone(), finding.message.clone(), &details)
}

/// The first of those with the most connections.
fn busiest<'r, 'a>(rows: &'r [Row<'a>]) -> Option<&'r Row<'a>> {
    rows.iter().rev().max_by_key(|row| row.evidence.connections)
}

fn machine<'a>(row: &Row<'a>) -> row::Row<'a> {
    row::Row::new(row.edge, row.outcome, row.evidence)
}

/// Writes exposures for people, under a heading of their own; an empty line first where something stands above.
///
/// # Errors
/// Whatever writing fails with.
pub(crate) fn print<'a>(
    findings: impl Iterator<Item = &'a Finding<'a>>,
    below: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let lines: Vec<[String; 6]> = findings
        .map(|finding| {
            let connections: u64 = finding.rows.iter().map(|row| row.evidence.connections).sum();
            [
                catalogue::exposure_id(finding.rule),
                finding.severity.name().to_string(),
                finding.about.clone(),
                finding.rows.len().to_string(),
                connections.to_string(),
                finding.message.clone(),
            ]
        })
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    if below {
        writeln!(out)?;
    }
    table::write(out, ["EXPOSURE", "SEVERITY", "ABOUT", "EDGES", "COUNT", "WHAT"], &lines)
}

/// Tells people how many there are, and what was not looked at.
///
/// # Errors
/// Whatever writing fails with.
pub(crate) fn tell<'a>(
    findings: impl Iterator<Item = &'a Finding<'a>>,
    guessed: usize,
    err: &mut impl Write,
) -> io::Result<()> {
    let mut counts = [(Severity::Error, "errors", 0), (Severity::Warning, "warnings", 0), (Severity::Note, "notes", 0)];
    for finding in findings {
        counts.iter_mut().filter(|(severity, ..)| *severity == finding.severity).for_each(|(.., count)| *count += 1);
    }
    let words = counts.map(|(_, word, count)| format!("{} {word}", number(count)));
    writeln!(err, "exposures: {}", words.join(", "))?;
    if guessed > 0 {
        let guessed = number(guessed as u64);
        writeln!(err, "{guessed} edges whose direction is guessed were not looked at for exposures")?;
    }
    Ok(())
}
