//! What is declared and was not observed: rows for people and objects for programs.

use std::io::{self, Write};

use serde::Serialize;
use synth::endpoint::Endpoint;
use synth::expected::Expected;

use crate::row::Side;
use crate::table;

/// One entry of `declared`.
#[derive(Debug, Serialize)]
pub(crate) struct Entry<'a> {
    kind: &'static str,
    name: &'a str,
    file: &'a str,
    line: u32,
    clients: Vec<Side<'a>>,
    servers: Vec<Side<'a>>,
    protocol: Option<&'static str>,
    port: Option<u16>,
    service: Option<&'a str>,
    allowed: Option<bool>,
    policies: &'a [String],
    rules: Vec<Rule<'a>>,
    message: &'a str,
}

/// A rule that would allow it, as YAML under `ingress:` or `egress:`.
#[derive(Debug, Serialize)]
struct Rule<'a> {
    workload: String,
    direction: &'static str,
    yaml: &'a str,
}

impl<'a> From<&'a Expected> for Entry<'a> {
    fn from(item: &'a Expected) -> Entry<'a> {
        let rule = |rule: &'a synth::expected::Allowing| Rule {
            workload: rule.workload.to_string(),
            direction: rule.direction.name(),
            yaml: &rule.yaml,
        };
        Entry {
            kind: item.kind.name(),
            name: &item.name,
            file: &item.origin.file,
            line: item.origin.line,
            clients: item.clients.iter().map(Side::from).collect(),
            servers: item.servers.iter().map(Side::from).collect(),
            protocol: item.protocol.map(capture::Protocol::name),
            port: item.port,
            service: item.service.as_deref(),
            allowed: item.allowed,
            policies: &item.policies,
            rules: item.rules.iter().map(rule).collect(),
            message: &item.message,
        }
    }
}

/// Writes one row for each.
pub(crate) fn table(out: &mut impl Write, items: &[&Expected]) -> io::Result<()> {
    let ends = |ends: &[Endpoint]| match ends {
        [] => "unknown".to_string(),
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    };
    let row = |item: &&Expected| {
        let port = match (item.port, item.protocol) {
            (Some(port), Some(protocol)) => format!("{port}/{protocol}"),
            _ => "-".to_string(),
        };
        let clients =
            if item.protocol.is_none() && item.service.is_none() { "-".to_string() } else { ends(&item.clients) };
        [
            item.kind.name().to_string(),
            clients,
            ends(&item.servers),
            port,
            item.origin.to_string(),
            format!("{}: {}", item.name, item.message),
        ]
    };
    let rows: Vec<[String; 6]> = items.iter().map(row).collect();
    table::write(out, ["DECLARED, NOT SEEN", "CLIENT", "SERVER", "PORT", "WHERE", "WHY"], &rows)
}
