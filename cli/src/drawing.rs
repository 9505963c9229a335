//! Graphs for people: Graphviz and Mermaid.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// An end of an arrow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Node {
    /// The namespace it is drawn in; empty for none.
    pub(crate) group: String,
    /// What tells it from all others.
    pub(crate) id: String,
    /// What is written into it.
    pub(crate) label: String,
}

/// A connection.
pub(crate) struct Arrow {
    pub(crate) from: Node,
    pub(crate) to: Node,
    pub(crate) label: String,
    /// It is not, or not for certain, allowed or used.
    pub(crate) dashed: bool,
}

/// The nodes of arrows by group.
fn grouped(arrows: &[Arrow]) -> BTreeMap<&str, BTreeSet<&Node>> {
    let mut groups: BTreeMap<&str, BTreeSet<&Node>> = BTreeMap::new();
    for node in arrows.iter().flat_map(|arrow| [&arrow.from, &arrow.to]) {
        groups.entry(&node.group).or_default().insert(node);
    }
    groups
}

/// Graphviz.
pub(crate) fn dot(name: &str, arrows: &[Arrow], out: &mut impl Write) -> io::Result<()> {
    let quote = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    writeln!(out, "digraph {name} {{\n  rankdir=LR;\n  node [shape=box];")?;
    for (index, (group, nodes)) in grouped(arrows).into_iter().enumerate() {
        if !group.is_empty() {
            writeln!(out, "  subgraph cluster_{index} {{\n    label={};", quote(group))?;
        }
        for node in nodes {
            writeln!(out, "    {} [label={}];", quote(&node.id), quote(&node.label))?;
        }
        if !group.is_empty() {
            writeln!(out, "  }}")?;
        }
    }
    for arrow in arrows {
        let style = if arrow.dashed { ", style=dashed" } else { "" };
        writeln!(
            out,
            "  {} -> {} [label={}{style}];",
            quote(&arrow.from.id),
            quote(&arrow.to.id),
            quote(&arrow.label)
        )?;
    }
    writeln!(out, "}}")
}

/// Mermaid.
pub(crate) fn mermaid(arrows: &[Arrow], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "flowchart LR")?;
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, (group, nodes)) in grouped(arrows).into_iter().enumerate() {
        if !group.is_empty() {
            writeln!(out, "  subgraph g{index}[\"{}\"]", group.replace('"', "#quot;"))?;
        }
        for node in nodes {
            writeln!(out, "    n{}[\"{}\"]", numbers.len(), node.label.replace('"', "#quot;"))?;
            let next = numbers.len();
            numbers.insert(&node.id, next);
        }
        if !group.is_empty() {
            writeln!(out, "  end")?;
        }
    }
    for Arrow { from, to, label, dashed } in arrows {
        let line = if *dashed { "-.->" } else { "-->" };
        writeln!(out, "  n{} {line}|\"{label}\"| n{}", numbers[from.id.as_str()], numbers[to.id.as_str()])?;
    }
    Ok(())
}
