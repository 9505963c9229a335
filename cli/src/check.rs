//! `ringfence check`: policies held against the observed edges.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::value::RawValue;
use synth::check::{Finding, check};
use synth::policy::{AnyPolicy, PolicySet};
use synth::resolve::resolve;

use crate::args::{CheckArgs, FindingsFormat};
use crate::exit::Exit;
use crate::finding::{self, Item, Place};
use crate::ignore::{IgnoredFinding, Ignores};
use crate::row::Row;
use crate::selection::Selection;
use crate::summary::number;
use crate::{account, catalogue, ignore, input, markdown, sarif, summary, table};

#[derive(Serialize)]
struct Report<'a> {
    findings: Vec<&'a RawValue>,
    /// Only with `--ignore`, as the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<Vec<IgnoredFinding<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expired: Option<Vec<&'a RawValue>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    kind: &'static str,
    edge: Row<'a>,
    policies: Vec<String>,
    message: &'a str,
}

/// Runs the command.
pub(crate) fn run(args: &CheckArgs, out: &mut impl Write) -> anyhow::Result<Exit> {
    let selection = Selection::new(&args.selected)?;
    let ignores = Ignores::read(&args.ignored.files)?;
    let cluster = input::cluster(&args.cluster)?;
    let proposed = input::proposed(&args.policies)?;
    let traffic = input::traffic(&args.flows.pcaps, &args.flows.reading, &cluster.inventory, args.quiet)?;
    let resolved = resolve(&traffic.tracked.flows, &traffic.tracked.names, &cluster.inventory);
    let policies = input::policies(&cluster.inventory, proposed.as_ref().map(|proposed| &proposed.inventory));
    let findings = check(&resolved.graph, policies, proposed.is_some(), &cluster.inventory);
    let mut rules = catalogue::check();
    rules.push(ignore::rule());
    let places = places(policies);
    let found: Vec<(Item, &Finding<'_>)> =
        findings.iter().map(|finding| Ok((item(finding, &places)?, finding))).collect::<anyhow::Result<_>>()?;
    let mut sorted = ignores.sort(&rules, found)?;
    let asked = |finding: &Finding<'_>| {
        selection.touches([&finding.edge.key.client, &finding.edge.key.server], &cluster.inventory)
    };
    sorted.shown.retain(|(_, finding)| asked(finding));
    sorted.hidden.retain(|(_, finding, _)| asked(finding));
    match args.output {
        FindingsFormat::Table => print(sorted.shown.iter().map(|(_, finding)| *finding), out)?,
        FindingsFormat::Json => {
            let report = Report {
                findings: sorted.shown.iter().map(|(item, _)| &*item.details).collect(),
                ignored: (!ignores.is_empty()).then(|| sorted.ignored_json()),
                expired: (!ignores.is_empty()).then(|| sorted.expired_json()),
            };
            serde_json::to_writer(&mut *out, &report)?;
            writeln!(out)?;
        }
        FindingsFormat::Sarif => sarif::write(out, "check", &rules, sorted.items(), sorted.ignored())?,
        FindingsFormat::Markdown => markdown::write(out, "check", &rules, sorted.items(), sorted.ignored())?,
    }
    out.flush()?;
    summary::input(&cluster, &traffic, &resolved.doubts, args.quiet)?;
    account::write(args.flows.reading.summary.as_deref(), &traffic, &resolved.doubts)?;
    sorted.warn(args.quiet)?;
    let mut err = io::stderr().lock();
    let refused = proposed.as_ref().map(|proposed| proposed.problems.as_slice()).unwrap_or_default();
    for problem in refused {
        writeln!(err, "error: {problem}")?;
    }
    if !args.quiet {
        let edges = resolved.graph.edges().count();
        writeln!(
            err,
            "{} edges held against {} policies: {} findings{}",
            number(edges as u64),
            policies.len(),
            sorted.shown.len(),
            sorted.ignored_words()
        )?;
        let pods = resolved.graph.endpoints().any(|endpoint| endpoint.workload().is_some());
        if !pods {
            writeln!(
                err,
                "warning: none of the edges touches a pod of the cluster input, so no policy applies to them"
            )?;
        }
    }
    Ok(if !refused.is_empty() || !cluster.problems.is_empty() || traffic.unreadable().is_some() {
        Exit::Unusable
    } else {
        finding::exit(sorted.items())
    })
}

/// A finding in the shape of all outputs; `places` are those of the policies.
fn item(finding: &Finding<'_>, places: &BTreeMap<String, Place>) -> anyhow::Result<Item> {
    let details = Entry {
        kind: finding.kind.name(),
        edge: Row::new(finding.edge, finding.outcome, finding.evidence),
        policies: finding.policies.clone(),
        message: &finding.message,
    };
    let key = finding.edge.key.to_string();
    let message = format!("{key}: {}", finding.message);
    let severity = catalogue::severity(finding.kind);
    let item = Item::new(finding.kind.name(), severity, key, message, &details)?;
    Ok(item.at(finding.policies.iter().filter_map(|policy| places.get(policy)).cloned()))
}

/// Where each policy stands, by its id.
fn places(policies: PolicySet<'_>) -> BTreeMap<String, Place> {
    let network = policies.network.iter().map(AnyPolicy::Network);
    let all = network.chain(policies.cluster.iter().map(AnyPolicy::Cluster));
    all.filter_map(|policy| Some((policy.id(), Place::of(&policy.origin())?))).collect()
}

fn print<'a>(findings: impl Iterator<Item = &'a Finding<'a>>, out: &mut impl Write) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    for finding in findings {
        let key = &finding.edge.key;
        lines.push([
            finding.kind.name().to_string(),
            key.client.to_string(),
            key.server.to_string(),
            format!("{}/{}", key.port, key.protocol),
            finding.outcome.to_string(),
            finding.evidence.connections.to_string(),
            finding.message.clone(),
        ]);
    }
    if lines.is_empty() {
        return Ok(());
    }
    table::write(out, ["FINDING", "CLIENT", "SERVER", "PORT", "OUTCOME", "COUNT", "WHY"], &lines)?;
    Ok(())
}
