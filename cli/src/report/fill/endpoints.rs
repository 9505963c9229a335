//! Endpoints to the nodes of the map.

use std::collections::{BTreeMap, BTreeSet};

use synth::endpoint::Endpoint;
use synth::inventory::PodId;
use synth::part::PolicyIndex;
use synth::policy::Direction;

use super::PolicyIndices;
use crate::report::facts::Facts;
use crate::report::fold::{Folded, Spot};
use crate::report::model::Node;

pub(super) fn nodes(facts: &Facts<'_>, folded: &Folded<'_>, index: &PolicyIndices) -> Vec<Node> {
    let evaluator = facts.inventory.evaluator(facts.set);
    let mut names: BTreeMap<&Endpoint, BTreeSet<&str>> = BTreeMap::new();
    for reviewed in &facts.review.edges {
        let evidence = reviewed.edge.outcomes.values();
        names
            .entry(&reviewed.edge.key.server)
            .or_default()
            .extend(evidence.flat_map(|it| &it.names).map(String::as_str));
    }
    let node = |spot: &Spot| {
        let mut node = Node {
            class: "workload",
            namespace: None,
            area: 0,
            kind: None,
            name: String::new(),
            x: 0.0,
            y: 0.0,
            width: 0.0,
            height: 0.0,
            pods: None,
            members: None,
            ingress: None,
            egress: None,
            policies: Vec::new(),
        };
        match spot {
            Spot::Workload(workload) => {
                (node.kind, node.name) = (Some(workload.kind.clone()), workload.name.clone());
                let info = facts.inventory.workloads.get(workload);
                let all: Vec<PodId> = info.map(|info| info.pods.clone()).unwrap_or_default();
                let living: Vec<PodId> = all.iter().copied().filter(|id| !facts.inventory.pod(*id).finished).collect();
                node.pods = Some(living.len());
                // Of one whose pods are all over, what they had counts.
                let pods = if living.is_empty() { all } else { living };
                if info.is_some_and(|info| !info.host_network) {
                    let isolating = |direction| -> BTreeSet<usize> {
                        let of = |id: &PodId| {
                            evaluator
                                .isolating(facts.inventory.pod(*id), direction)
                                .map(|(at, _)| at)
                                .collect::<Vec<_>>()
                        };
                        pods.iter().flat_map(of).collect()
                    };
                    let word = |policies: &BTreeSet<usize>| Some(if policies.is_empty() { "open" } else { "isolated" });
                    let [ingress, egress] = [isolating(Direction::Ingress), isolating(Direction::Egress)];
                    (node.ingress, node.egress) = (word(&ingress), word(&egress));
                    let network =
                        ingress.union(&egress).filter_map(|at| index.policies.get(&PolicyIndex::Network(*at)));
                    node.policies = network.copied().collect();
                }
            }
            Spot::Node(name) => (node.class, node.name) = ("node", name.clone()),
            Spot::Unresolved(endpoint) => (node.class, node.name) = ("unresolved", address(endpoint)),
            Spot::External(first) => {
                let members = folded.members.get(first).map_or(std::slice::from_ref(first), Vec::as_slice);
                node.class = "external";
                let known: BTreeSet<&str> =
                    members.iter().filter_map(|member| names.get(member)).flatten().copied().collect();
                let name = known.first().map(|name| name.to_string());
                node.name = match (members, name) {
                    ([one], None) => address(one),
                    ([_], Some(name)) => name,
                    (several, None) => format!("{} addresses", crate::summary::number(several.len() as u64)),
                    (several, Some(name)) => format!("{name} + {}", several.len() - 1),
                };
                let is_plain = matches!(members, [one] if node.name == address(one));
                node.members = (!is_plain).then(|| members.iter().map(address).collect());
            }
        }
        node
    };
    folded.spots.iter().map(node).collect()
}

fn address(endpoint: &Endpoint) -> String {
    endpoint.to_string().trim_start_matches('?').to_string()
}
