//! `ringfence flows`: the observed edges.

use std::io::Write;

use capture::Outcome;
use synth::endpoint::Endpoint;
use synth::evidence::Evidence;
use synth::graph::Edge;
use synth::resolve::resolve;

use crate::args::{FlowsArgs, FlowsFormat};
use crate::exit::Exit;
use crate::row::Row;
use crate::selection::Selection;
use crate::{input, summary, table};

/// Runs the command.
pub(crate) fn run(args: &FlowsArgs, out: &mut impl Write) -> anyhow::Result<Exit> {
    let selection = Selection::new(&args.selected)?;
    let cluster = input::cluster(&args.cluster)?;
    let traffic = input::traffic(&args.flows, &cluster.inventory, args.quiet)?;
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
        FlowsFormat::Dot => dot(&edges, out)?,
        FlowsFormat::Mermaid => mermaid(&edges, out)?,
    }
    out.flush()?;
    summary::input(&cluster, &traffic, &resolved.doubts, args.quiet)?;
    Ok(if cluster.problems.is_empty() { Exit::Fine } else { Exit::Unusable })
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

/// Endpoints grouped by namespace, with a short name for each.
fn grouped<'a>(edges: &[&'a Edge]) -> Vec<(&'a str, Vec<(&'a Endpoint, String)>)> {
    let mut endpoints: Vec<&Endpoint> = edges.iter().flat_map(|edge| [&edge.key.client, &edge.key.server]).collect();
    endpoints.sort();
    endpoints.dedup();
    let mut groups: Vec<(&str, Vec<(&Endpoint, String)>)> = Vec::new();
    for endpoint in endpoints {
        let (group, label) = match endpoint {
            Endpoint::Workload(workload) => {
                (workload.namespace.as_str(), format!("{} {}", workload.kind, workload.name))
            }
            other => ("", other.to_string()),
        };
        match groups.iter_mut().find(|(name, _)| *name == group) {
            Some((_, members)) => members.push((endpoint, label)),
            None => groups.push((group, vec![(endpoint, label)])),
        }
    }
    groups.sort_by_key(|(name, _)| *name);
    groups
}

/// The label of an edge, and whether it ever worked.
fn edge_label(edge: &Edge) -> (String, bool) {
    let used = edge.used();
    let outcome = match used {
        Some(_) => String::new(),
        None => edge.outcomes.keys().map(|outcome| format!(" {outcome}")).collect(),
    };
    (format!("{}/{}{outcome}", edge.key.port, edge.key.protocol), used.is_some())
}

fn dot(edges: &[&Edge], out: &mut impl Write) -> anyhow::Result<()> {
    let quote = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    writeln!(out, "digraph flows {{\n  rankdir=LR;\n  node [shape=box];")?;
    for (index, (namespace, members)) in grouped(edges).iter().enumerate() {
        if !namespace.is_empty() {
            writeln!(out, "  subgraph cluster_{index} {{\n    label={};", quote(namespace))?;
        }
        for (endpoint, label) in members {
            writeln!(out, "    {} [label={}];", quote(&endpoint.to_string()), quote(label))?;
        }
        if !namespace.is_empty() {
            writeln!(out, "  }}")?;
        }
    }
    for edge in edges {
        let (label, worked) = edge_label(edge);
        let style = if worked { "" } else { ", style=dashed" };
        let (client, server) = (edge.key.client.to_string(), edge.key.server.to_string());
        writeln!(out, "  {} -> {} [label={}{style}];", quote(&client), quote(&server), quote(&label))?;
    }
    writeln!(out, "}}")?;
    Ok(())
}

fn mermaid(edges: &[&Edge], out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out, "flowchart LR")?;
    let groups = grouped(edges);
    let mut numbers: Vec<&Endpoint> = Vec::new();
    for (index, (namespace, members)) in groups.iter().enumerate() {
        if !namespace.is_empty() {
            writeln!(out, "  subgraph g{index}[\"{namespace}\"]")?;
        }
        for (endpoint, label) in members {
            writeln!(out, "    n{}[\"{}\"]", numbers.len(), label.replace('"', "#quot;"))?;
            numbers.push(endpoint);
        }
        if !namespace.is_empty() {
            writeln!(out, "  end")?;
        }
    }
    let number = |endpoint: &Endpoint| numbers.iter().position(|known| *known == endpoint).unwrap_or_default();
    for edge in edges {
        let (label, worked) = edge_label(edge);
        let arrow = if worked { "-->" } else { "-.->" };
        writeln!(out, "  n{} {arrow}|\"{label}\"| n{}", number(&edge.key.client), number(&edge.key.server))?;
    }
    Ok(())
}
