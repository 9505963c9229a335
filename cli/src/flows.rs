//! `ringfence flows`: the observed edges.

use std::io::Write;

use capture::Outcome;
use synth::endpoint::Endpoint;
use synth::evidence::Evidence;
use synth::graph::Edge;
use synth::resolve::resolve;

use crate::args::{FlowsArgs, FlowsFormat};
use crate::drawing::{self, Arrow, Node};
use crate::exit::Exit;
use crate::input::Unnamed;
use crate::row::Row;
use crate::selection::Selection;
use crate::{account, completeness, input, summary, table};

/// Runs the command.
pub(crate) fn run(args: &FlowsArgs, out: &mut impl Write) -> anyhow::Result<Exit> {
    let selection = Selection::new(&args.selected)?;
    let log = input::logs(args.flows.all())?;
    let cluster = input::cluster_with(&args.cluster, log.as_ref(), Unnamed::Nothing, args.quiet)?;
    selection.is_there(&cluster.inventory, None)?;
    let traffic = input::traffic(args.flows.all(), log, &cluster.inventory, args.quiet)?;
    let resolved = resolve(&traffic.tracked.flows, &traffic.tracked.names, &cluster.inventory);
    let edges: Vec<&Edge> = resolved
        .graph
        .edges()
        .filter(|edge| selection.touches([&edge.key.client, &edge.key.server], &cluster.inventory))
        .collect();
    match args.output {
        FlowsFormat::Table => print(&edges, out)?,
        FlowsFormat::Json => {
            for (edge, outcome, evidence) in rows(&edges) {
                serde_json::to_writer(&mut *out, &Row::new(edge, outcome, evidence))?;
                writeln!(out)?;
            }
        }
        FlowsFormat::Dot => drawing::dot("flows", &arrows(&edges), out)?,
        FlowsFormat::Mermaid => drawing::mermaid(&arrows(&edges), out)?,
    }
    out.flush()?;
    summary::input(&cluster, &traffic, &resolved.doubts, args.quiet)?;
    let learned = completeness::measure(&resolved.graph, &traffic, &args.flows.reading);
    completeness::print(learned.as_ref(), args.quiet)?;
    account::write(args.flows.reading.summary.as_deref(), &traffic, &resolved.doubts, learned.as_ref())?;
    Ok(if cluster.problems.is_empty() && traffic.unreadable().is_none() { Exit::Fine } else { Exit::Unusable })
}

fn rows<'a>(edges: &'a [&Edge]) -> impl Iterator<Item = (&'a Edge, Outcome, &'a Evidence)> {
    edges.iter().flat_map(|edge| edge.outcomes.iter().map(|(outcome, evidence)| (*edge, *outcome, &**evidence)))
}

fn print(edges: &[&Edge], out: &mut impl Write) -> anyhow::Result<()> {
    let header = ["CLIENT", "SERVER", "PORT", "OUTCOME", "COUNT", "PODS", "FIRST", "LAST", "CLASS", "DIRECTION", "VIA"];
    let mut lines = Vec::new();
    for (edge, outcome, evidence) in rows(edges) {
        let mut via: Vec<&str> = evidence.service().into_iter().collect();
        via.extend(evidence.names.iter().map(String::as_str));
        if evidence.ambiguous {
            via.push("(one of several backends)");
        }
        lines.push([
            edge.key.client.to_string(),
            edge.key.server.to_string(),
            format!("{}/{}", edge.key.port, edge.key.protocol),
            outcome.to_string(),
            evidence.connections.to_string(),
            format!("{}:{}", evidence.client_pods().len(), evidence.server_pods().len()),
            summary::to_second(evidence.first),
            summary::to_second(evidence.last),
            edge.class.name().to_string(),
            evidence.certainty.name().to_string(),
            via.join(" "),
        ]);
    }
    table::write(out, header, &lines)?;
    Ok(())
}

fn node(endpoint: &Endpoint) -> Node {
    let (group, label) = match endpoint {
        Endpoint::Workload(workload) => (workload.namespace.clone(), format!("{} {}", workload.kind, workload.name)),
        other => (String::new(), other.to_string()),
    };
    Node { group, id: endpoint.to_string(), label }
}

fn arrows(edges: &[&Edge]) -> Vec<Arrow> {
    let arrow = |edge: &&Edge| {
        let used = edge.used();
        let outcome = match used {
            Some(_) => String::new(),
            None => edge.outcomes.keys().map(|outcome| format!(" {outcome}")).collect(),
        };
        let label = format!("{}/{}{outcome}", edge.key.port, edge.key.protocol);
        Arrow { from: node(&edge.key.client), to: node(&edge.key.server), label, dashed: used.is_none() }
    };
    edges.iter().map(arrow).collect()
}
