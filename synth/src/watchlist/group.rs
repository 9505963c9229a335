//! Rows that a rule is about, as findings: grouped, counted, folded and put into words.

use std::collections::{BTreeMap, BTreeSet};

use super::fits::Context;
use super::rule::{By, Rule, Severity};
use super::{Finding, Row};
use crate::endpoint::Endpoint;
use crate::lint::listed;

/// What stands for the names of addresses that nobody was seen asking for.
const NAMELESS: &str = "addresses without a name";

/// How many of something are listed before the rest is counted.
const ENDPOINTS: usize = 3;
const NAMES: usize = 5;
const PORTS: usize = 8;
const EDGES: usize = 4;

/// The findings of a rule, by what they are about.
pub(super) fn findings<'a>(rule: &'a Rule, rows: Vec<Row<'a>>, context: &Context<'_>) -> Vec<Finding<'a>> {
    let mut groups: BTreeMap<String, Vec<Row<'a>>> = BTreeMap::new();
    for row in rows {
        groups.entry(about(&rule.group, &row)).or_default().push(row);
    }
    groups.retain(|_, rows| is_enough(rule, rows));
    if let Some(fold) = &rule.fold {
        groups = folded(groups, fold.over, &fold.group);
    }
    groups.into_iter().map(|(about, rows)| finding(rule, about, rows, context)).collect()
}

/// `shop/Deployment/web -> *:2379/TCP`: what all edges of a group share.
fn about(group: &[By], row: &Row<'_>) -> String {
    let key = &row.edge.key;
    let namespace = |endpoint: &Endpoint| match endpoint.workload() {
        Some(workload) => format!("{}/*", workload.namespace),
        None => endpoint.to_string(),
    };
    let side = |whole, space, endpoint: &Endpoint| match (group.contains(&whole), group.contains(&space)) {
        (true, _) => endpoint.to_string(),
        (false, true) => namespace(endpoint),
        (false, false) => "*".to_string(),
    };
    let client = side(By::Client, By::ClientNamespace, &key.client);
    let server = match group.contains(&By::Names) {
        true => names(row),
        false => side(By::Server, By::ServerNamespace, &key.server),
    };
    match group.contains(&By::Port) {
        true => format!("{client} -> {server}:{}/{}", key.port, key.protocol),
        false => format!("{client} -> {server}"),
    }
}

fn names(row: &Row<'_>) -> String {
    let names: Vec<&str> = row.evidence.names.iter().map(String::as_str).collect();
    if names.is_empty() { NAMELESS.to_string() } else { names.join(", ") }
}

fn is_enough(rule: &Rule, rows: &[Row<'_>]) -> bool {
    let least = rule.at_least;
    let ports = || rows.iter().map(|row| (row.edge.key.protocol, row.edge.key.port)).collect::<BTreeSet<_>>().len();
    let addresses = || rows.iter().flat_map(|row| row.evidence.server_addresses()).collect::<BTreeSet<_>>().len();
    (least.ports == 0 || ports() >= least.ports) && (least.addresses == 0 || addresses() >= least.addresses)
}

/// More groups than `over` that are alike in `group` become one.
fn folded<'a>(groups: BTreeMap<String, Vec<Row<'a>>>, over: usize, group: &[By]) -> BTreeMap<String, Vec<Row<'a>>> {
    let mut alike: BTreeMap<String, Vec<(String, Vec<Row<'a>>)>> = BTreeMap::new();
    for (name, rows) in groups {
        alike.entry(about(group, &rows[0])).or_default().push((name, rows));
    }
    let fold = |(whole, parts): (String, Vec<(String, Vec<Row<'a>>)>)| match parts.len() > over {
        true => {
            let mut rows: Vec<Row<'a>> = parts.into_iter().flat_map(|(_, rows)| rows).collect();
            rows.sort_by(|a, b| a.edge.key.cmp(&b.edge.key));
            vec![(whole, rows)]
        }
        false => parts,
    };
    alike.into_iter().flat_map(fold).collect()
}

fn finding<'a>(rule: &'a Rule, about: String, rows: Vec<Row<'a>>, context: &Context<'_>) -> Finding<'a> {
    let mut message = says(rule, &rows, context);
    let is_collector = |row: &Row<'_>| {
        row.edge.key.client.workload().is_some_and(|client| context.is_named(client, &context.list.collectors))
    };
    let mut severity = rule.severity;
    if let Some(because) = rule.if_collector.as_ref().filter(|_| rows.iter().all(is_collector)) {
        severity = Severity::Note;
        message += &format!("; {because}");
    }
    if rows.iter().all(|row| row.evidence.ambiguous) {
        message += "; which backend of the Service was reached was not seen";
    }
    Finding { rule, severity, about, rows, message }
}

/// The rule's words with what was seen in place of `{clients}` and so on.
fn says(rule: &Rule, rows: &[Row<'_>], context: &Context<'_>) -> String {
    let mut said = String::new();
    let mut rest = rule.says.as_str();
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, behind) = behind.split_once('}').unwrap_or((behind, ""));
        said += before;
        said += &value(name, rule, rows, context);
        rest = behind;
    }
    said + rest
}

fn value(name: &str, rule: &Rule, rows: &[Row<'_>], context: &Context<'_>) -> String {
    let sorted = |texts: BTreeSet<String>, shown| listed(texts, shown);
    match name {
        "clients" => {
            // Sorted as endpoints are: as text, 10.0.0.10 would come before 10.0.0.9.
            let all: BTreeSet<&Endpoint> = rows.iter().map(|row| &row.edge.key.client).collect();
            listed(all.into_iter().map(Endpoint::to_string), ENDPOINTS)
        }
        "servers" => {
            let all: BTreeSet<&Endpoint> = rows.iter().map(|row| &row.edge.key.server).collect();
            listed(all.into_iter().map(Endpoint::to_string), ENDPOINTS)
        }
        "ports" => {
            let all: BTreeSet<_> = rows.iter().map(|row| (row.edge.key.protocol, row.edge.key.port)).collect();
            listed(all.into_iter().map(|(protocol, port)| format!("{port}/{protocol}")), PORTS)
        }
        "names" => {
            let named: BTreeSet<String> = rows.iter().flat_map(|row| row.evidence.names.clone()).collect();
            if named.is_empty() { NAMELESS.to_string() } else { sorted(named, NAMES) }
        }
        "services" => sorted(rows.iter().flat_map(|row| row.evidence.services.keys().cloned()).collect(), ENDPOINTS),
        "talks" => {
            let spoken = |row: &Row<'_>| {
                rule.talks
                    .iter()
                    .map(|talk| talk.0)
                    .filter(|talk| row.evidence.talks.contains(*talk))
                    .collect::<Vec<_>>()
            };
            sorted(rows.iter().flat_map(spoken).map(|talk| talk.to_string()).collect(), NAMES)
        }
        "account" => {
            let clients = rows.iter().filter_map(|row| row.edge.key.client.workload());
            let accounts: BTreeSet<Option<&str>> = clients.map(|client| context.service_account(client)).collect();
            match accounts.contains(&None) {
                true => "the input does not say as which service account it runs".to_string(),
                false => "it runs as the default service account of its namespace".to_string(),
            }
        }
        "edges" => listed(rows.iter().map(|row| format!("{} {}", row.edge.key, row.outcome)), EDGES),
        _ => format!("{{{name}}}"),
    }
}
