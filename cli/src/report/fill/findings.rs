//! Findings of all kinds, and what was left out on purpose.

use std::collections::{BTreeMap, BTreeSet};

use synth::review::Standing;

use super::PolicyIndices;
use super::policies::selects;
use crate::report::facts::{Facts, Found};
use crate::report::fold::{Folded, Spot};
use crate::report::model::{Finding, LeftOut};

pub(super) fn findings(facts: &Facts<'_>, folded: &Folded<'_>, index: &PolicyIndices) -> Vec<Finding> {
    let by_key: BTreeMap<_, usize> =
        facts.review.edges.iter().zip(&folded.drawn).map(|(reviewed, drawn)| (&reviewed.edge.key, *drawn)).collect();
    let help: BTreeMap<String, String> =
        crate::catalogue::all().into_iter().map(|rule| (rule.id, rule.description)).collect();
    let mut all: Vec<Finding> = facts
        .found
        .iter()
        .map(|(item, found)| {
            let mut edges: BTreeSet<usize> = BTreeSet::new();
            let mut policies: BTreeSet<usize> = BTreeSet::new();
            let mut nodes: BTreeSet<usize> = BTreeSet::new();
            match found {
                Found::Edge(finding) => {
                    edges.extend(by_key.get(&finding.edge.key));
                    policies.extend(finding.policies.iter().filter_map(|id| index.ids.get(id)));
                }
                Found::Rule(finding) => {
                    policies.extend(index.policies.get(&finding.part.policy));
                    let any = finding.part.of(facts.set);
                    nodes.extend(folded.spots.iter().enumerate().filter_map(|(at, spot)| {
                        let Spot::Workload(workload) = spot else { return None };
                        let pods = &facts.inventory.workloads.get(workload)?.pods;
                        pods.iter().any(|id| selects(any, facts, *id)).then_some(at)
                    }));
                }
                Found::Exposure(finding) => {
                    edges.extend(finding.rows.iter().filter_map(|row| by_key.get(&row.edge.key)))
                }
            }
            nodes.extend(edges.iter().flat_map(|at| [folded.edges[*at].0, folded.edges[*at].1]));
            Finding {
                rule: item.rule.clone(),
                severity: item.severity.name(),
                message: item.message.clone(),
                about: item.key.clone(),
                nodes: nodes.into_iter().collect(),
                edges: edges.into_iter().collect(),
                policies: policies.into_iter().collect(),
                file: item.place.as_ref().map(|place| place.file.clone()),
                line: item.place.as_ref().map(|place| place.line),
                help: help.get(&item.rule).cloned(),
            }
        })
        .collect();
    let spot =
        |workload: &synth::endpoint::Workload| folded.spots.binary_search(&Spot::Workload(workload.clone())).ok();
    all.extend(facts.open.iter().map(|open| {
        Finding {
            rule: "not_isolated".to_string(),
            severity: "note",
            message: format!(
                "nothing isolates it for {}, and it has {} there",
                open.direction,
                synth::render::count(open.edges.len() as u64, "edge")
            ),
            about: open.workload.to_string(),
            nodes: spot(open.workload).into_iter().collect(),
            edges: open
                .edges
                .iter()
                .filter_map(|edge| by_key.get(&edge.key).copied())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            policies: Vec::new(),
            file: None,
            line: None,
            help: Some(
                "Everything is allowed in a direction that no policy isolates. `ringfence generate` writes one."
                    .to_string(),
            ),
        }
    }));
    all.extend(facts.limits.iter().map(|limit| Finding {
        rule: limit.limit.name().to_string(),
        severity: "warning",
        message: limit.message.clone(),
        about: limit.component.to_string(),
        nodes: Vec::new(),
        edges: Vec::new(),
        policies: limit.policies.iter().filter_map(|id| index.ids.get(id).copied()).collect(),
        file: None,
        line: None,
        help: Some(limit.source.to_string()),
    }));
    all
}

pub(super) fn left_out(facts: &Facts<'_>, folded: &Folded<'_>) -> Vec<LeftOut> {
    let mut by_reason: BTreeMap<_, BTreeSet<usize>> = BTreeMap::new();
    for (reviewed, drawn) in facts.review.edges.iter().zip(&folded.drawn) {
        if let Standing::LeftOut(reason) = reviewed.standing {
            by_reason.entry(reason).or_default().insert(*drawn);
        }
    }
    let entry = |(reason, edges): (synth::learn::Reason, BTreeSet<usize>)| {
        let nodes: BTreeSet<usize> = edges.iter().flat_map(|at| [folded.edges[*at].0, folded.edges[*at].1]).collect();
        let connections: u64 = edges
            .iter()
            .flat_map(|at| &folded.edges[*at].2)
            .flat_map(|reviewed| reviewed.edge.outcomes.values())
            .map(|evidence| evidence.connections)
            .sum();
        LeftOut {
            reason: reason.text(),
            text: format!(
                "{}, {}",
                synth::render::count(edges.len() as u64, "edge"),
                synth::render::count(connections, "connection")
            ),
            nodes: nodes.into_iter().collect(),
            edges: edges.into_iter().collect(),
        }
    };
    by_reason.into_iter().map(entry).collect()
}
