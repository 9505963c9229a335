//! `ringfence check`: policies held against the observed edges.

use std::io::{self, Write};

use serde::Serialize;
use synth::check::{Finding, check};
use synth::resolve::resolve;

use crate::args::{CheckArgs, CheckFormat};
use crate::exit::Exit;
use crate::row::Row;
use crate::selection::Selection;
use crate::summary::number;
use crate::{account, input, summary, table};

#[derive(Serialize)]
struct Report<'a> {
    findings: Vec<Entry<'a>>,
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
    let cluster = input::cluster(&args.cluster)?;
    let proposed = input::proposed(&args.policies)?;
    let traffic = input::traffic(&args.flows.pcaps, &args.flows.reading, &cluster.inventory, args.quiet)?;
    let resolved = resolve(&traffic.tracked.flows, &traffic.tracked.names, &cluster.inventory);
    let policies = input::policies(&cluster.inventory, proposed.as_ref().map(|proposed| &proposed.inventory));
    let findings = check(&resolved.graph, policies, proposed.is_some(), &cluster.inventory);
    let findings: Vec<&Finding<'_>> = findings
        .iter()
        .filter(|finding| selection.touches([&finding.edge.key.client, &finding.edge.key.server], &cluster.inventory))
        .collect();
    match args.output {
        CheckFormat::Table => print(&findings, out)?,
        CheckFormat::Json => {
            let findings = findings
                .iter()
                .map(|finding| Entry {
                    kind: finding.kind.name(),
                    edge: Row::new(finding.edge, finding.outcome, finding.evidence),
                    policies: finding.policies.clone(),
                    message: &finding.message,
                })
                .collect();
            serde_json::to_writer(&mut *out, &Report { findings })?;
            writeln!(out)?;
        }
    }
    out.flush()?;
    summary::input(&cluster, &traffic, &resolved.doubts, args.quiet)?;
    account::write(args.flows.reading.summary.as_deref(), &traffic, &resolved.doubts, None)?;
    let mut err = io::stderr().lock();
    let refused = proposed.as_ref().map(|proposed| proposed.problems.as_slice()).unwrap_or_default();
    for problem in refused {
        writeln!(err, "error: {problem}")?;
    }
    if !args.quiet {
        let edges = resolved.graph.edges().count();
        writeln!(
            err,
            "{} edges held against {} policies: {} findings",
            number(edges as u64),
            policies.len(),
            findings.len()
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
    } else if findings.is_empty() {
        Exit::Fine
    } else {
        Exit::Findings
    })
}

fn print(findings: &[&Finding<'_>], out: &mut impl Write) -> anyhow::Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
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
    table::write(out, ["FINDING", "CLIENT", "SERVER", "PORT", "OUTCOME", "COUNT", "WHY"], &lines)?;
    Ok(())
}
