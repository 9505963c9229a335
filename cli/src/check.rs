//! `ringfence check`: policies held against the observed edges.

use std::io::{self, Write};

use serde::Serialize;
use synth::check::{Finding, Kind, Unisolated, check, unisolated};
use synth::expected::{Expected, expected};
use synth::platform::{Limit, Platform, limits};
use synth::resolve::resolve;

use crate::args::{CheckArgs, CheckFormat};
use crate::exit::Exit;
use crate::row::Row;
use crate::selection::Selection;
use crate::summary::number;
use crate::{account, expected, input, isolation, platform, summary, table};

#[derive(Serialize)]
struct Report<'a> {
    findings: Vec<Entry<'a>>,
    declared: Vec<expected::Entry<'a>>,
    not_isolated: Vec<isolation::Entry<'a>>,
    platform: Vec<platform::Entry<'a>>,
}

/// What is said beside the findings.
struct Beside<'a> {
    declared: Vec<&'a Expected>,
    open: Vec<&'a Unisolated<'a>>,
    platform: &'a Platform,
    limits: &'a [synth::platform::Finding],
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
    let window = expected::window(&traffic, &args.flows.reading.window);
    let declared = expected(&resolved.graph, policies, window, &cluster.inventory);
    let open = unisolated(&resolved.graph, policies, &cluster.inventory);
    let plugins = Platform::of(&cluster.inventory);
    let limits = limits(&plugins, policies, &resolved.graph, &cluster.inventory);
    let touches = |item: &&Expected| {
        let mut ends = item.clients.iter().chain(&item.servers);
        selection.is_everything() || ends.any(|end| selection.touches([end, end], &cluster.inventory))
    };
    let beside = Beside {
        declared: declared.iter().filter(touches).collect(),
        open: open.iter().filter(|open| selection.has(open.workload, &cluster.inventory)).collect(),
        platform: &plugins,
        limits: &limits,
    };
    match args.output {
        CheckFormat::Table => print(&findings, &beside, out)?,
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
            let declared = beside.declared.iter().copied().map(Into::into).collect();
            let not_isolated = beside.open.iter().copied().map(Into::into).collect();
            let platform = platform::entries(&plugins, &limits);
            serde_json::to_writer(&mut *out, &Report { findings, declared, not_isolated, platform })?;
            writeln!(out)?;
        }
    }
    out.flush()?;
    summary::input(&cluster, &traffic, &resolved.doubts, args.quiet)?;
    account::write(args.flows.reading.summary.as_deref(), &traffic, &resolved.doubts)?;
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
        if !args.cluster.clusters.is_empty() {
            writeln!(err, "{}", platform::line(beside.platform))?;
        }
        let awaited: Vec<_> = beside.declared.iter().filter(|item| !item.rules.is_empty()).collect();
        if !awaited.is_empty() {
            let denied = awaited.iter().filter(|item| item.allowed == Some(false)).count();
            let all = awaited.len();
            writeln!(err, "{all} declared connections were not seen, {denied} are denied: see `generate --declared`")?;
        }
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
    } else if findings.is_empty() && !limits.iter().any(|finding| finding.limit == Limit::NotEnforced) {
        Exit::Fine
    } else {
        Exit::Findings
    })
}

/// Findings first; uncovered edges are counted by workload. Each kind of thing has a heading of its own.
fn print(findings: &[&Finding<'_>], beside: &Beside<'_>, out: &mut impl Write) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    for finding in findings.iter().filter(|finding| finding.kind != Kind::Uncovered) {
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
    let mut gap = "";
    if !lines.is_empty() {
        table::write(out, ["FINDING", "CLIENT", "SERVER", "PORT", "OUTCOME", "COUNT", "WHY"], &lines)?;
        gap = "\n";
    }
    if !beside.open.is_empty() {
        write!(out, "{gap}")?;
        isolation::table(out, &beside.open)?;
        gap = "\n";
    }
    if !beside.declared.is_empty() {
        write!(out, "{gap}")?;
        expected::table(out, &beside.declared)?;
        gap = "\n";
    }
    if !beside.limits.is_empty() {
        write!(out, "{gap}")?;
        platform::table(out, beside.limits)?;
    }
    Ok(())
}
