//! Facts to the data of the page.

mod coverage;
mod endpoints;
mod findings;
mod policies;

use std::collections::{BTreeMap, BTreeSet};

use capture::Outcome;
use synth::part::{Part, PolicyIndex};
use synth::review::Reviewed;

use super::change::Change;
use super::facts::Facts;
use super::fold::{Spot, fold};
use super::layout::{HEIGHT, Thing, layout, width_of};
use super::model::{Edge, Inputs, Page, Verdict};

/// Names of one outside address that are written.
const NAMES: usize = 20;

/// The box of what is outside, and that of machines.
const OUTSIDE: &str = "outside the cluster";
const MACHINES: &str = "nodes";
const UNKNOWN: &str = "not resolved";

/// The page's data.
pub(super) fn fill<'c>(facts: &Facts<'_>, change: Option<&'c Change>, verdict: &super::verdict::Verdict) -> Page<'c> {
    let folded = fold(&facts.review, facts.inventory);
    let index = PolicyIndices::new(facts);
    let mut nodes = endpoints::nodes(facts, &folded, &index);
    let areas: BTreeSet<(u8, String)> = folded.spots.iter().map(area).collect();
    let areas: Vec<(u8, String)> = areas.into_iter().collect();
    let number = |spot: &Spot| areas.binary_search(&area(spot)).unwrap_or_default();
    let things: Vec<Thing> = folded
        .spots
        .iter()
        .zip(&nodes)
        .map(|(spot, node)| Thing { width: width_of(&node.name), area: number(spot) })
        .collect();
    let pairs: BTreeSet<(usize, usize)> = folded.edges.iter().map(|(client, server, _)| (*client, *server)).collect();
    let names: Vec<String> = areas.iter().map(|(_, name)| name.clone()).collect();
    let (places, boxes) = layout(&things, &names, &pairs);
    for (at, (node, place)) in nodes.iter_mut().zip(places).enumerate() {
        node.area = things[at].area;
        node.namespace = matches!(folded.spots[at], Spot::Workload(_)).then_some(node.area);
        (node.x, node.y, node.width, node.height) = (round(place.x), round(place.y), round(place.width), HEIGHT);
    }
    Page {
        schema: 1,
        tool: concat!("ringfence ", env!("CARGO_PKG_VERSION")).to_string(),
        title: facts.names.title.clone(),
        verdict: Verdict {
            status: verdict.status.name(),
            headline: verdict.headline.clone(),
            detail: verdict.detail.clone(),
        },
        inputs: Inputs {
            flows: facts.names.flows.clone(),
            cluster: facts.names.cluster.clone(),
            policies: facts.names.policies.clone(),
        },
        coverage: coverage::coverage(facts),
        change,
        namespaces: boxes,
        nodes,
        edges: folded.edges.iter().map(|(client, server, edges)| edge(*client, *server, edges, &index)).collect(),
        policies: policies::policies(facts, &folded, &index),
        rules: policies::rules(facts, &folded, &index),
        findings: findings::findings(facts, &folded, &index),
        left_out: findings::left_out(facts, &folded),
    }
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The box of a spot; namespaces come first.
fn area(spot: &Spot) -> (u8, String) {
    match spot {
        Spot::Workload(workload) => (0, workload.namespace.clone()),
        Spot::Node(_) => (1, MACHINES.to_string()),
        Spot::Unresolved(_) => (2, UNKNOWN.to_string()),
        Spot::External(_) => (3, OUTSIDE.to_string()),
    }
}

/// Numbers of policies and rules in the lists of the page.
struct PolicyIndices {
    policies: BTreeMap<PolicyIndex, usize>,
    rules: BTreeMap<Part, usize>,
    /// By policy.
    rules_of: BTreeMap<PolicyIndex, Vec<usize>>,
    /// By name, as findings have it.
    ids: BTreeMap<String, usize>,
}

impl PolicyIndices {
    fn new(facts: &Facts<'_>) -> PolicyIndices {
        let network = (0..facts.set.network.len()).map(PolicyIndex::Network);
        let all = network.chain((0..facts.set.cluster.len()).map(PolicyIndex::Cluster));
        let policies: BTreeMap<PolicyIndex, usize> = all.enumerate().map(|(at, index)| (index, at)).collect();
        let ids = policies.iter().map(|(index, at)| (Part::policy(*index).of(facts.set).id(), *at)).collect();
        let rules = facts.review.rules.iter().enumerate().map(|(at, used)| (used.rule, at)).collect();
        let mut rules_of: BTreeMap<PolicyIndex, Vec<usize>> = BTreeMap::new();
        for (at, used) in facts.review.rules.iter().enumerate() {
            rules_of.entry(used.rule.policy).or_default().push(at);
        }
        PolicyIndices { policies, rules, rules_of, ids }
    }
}

/// One edge of the page out of those that are drawn as one.
fn edge(client: usize, server: usize, edges: &[&Reviewed<'_>], index: &PolicyIndices) -> Edge {
    let mut outcomes: BTreeMap<Outcome, u64> = BTreeMap::new();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut rules: BTreeSet<usize> = BTreeSet::new();
    let (mut client_pods, mut server_pods) = (BTreeSet::new(), BTreeSet::new());
    let all = || edges.iter().flat_map(|reviewed| &reviewed.edge.outcomes);
    for (outcome, evidence) in all() {
        *outcomes.entry(*outcome).or_default() += evidence.connections;
        names.extend(evidence.names.iter().map(String::as_str));
        client_pods.extend(evidence.client_pods());
        server_pods.extend(evidence.server_pods());
    }
    for reviewed in edges {
        rules.extend(reviewed.rules.iter().filter_map(|rule| index.rules.get(rule)));
    }
    let first = all().map(|(_, evidence)| evidence.first).min().unwrap_or_default();
    let last = all().map(|(_, evidence)| evidence.last).max().unwrap_or_default();
    let best = all().map(|(_, evidence)| evidence.certainty).min();
    let worst = edges.iter().min_by_key(|reviewed| reviewed.standing);
    // An edge that nobody drew does not come here.
    let key = worst.map(|reviewed| &reviewed.edge.key);
    Edge {
        client,
        server,
        protocol: key.map_or("", |key| key.protocol.name()),
        port: key.map_or(0, |key| key.port),
        class: worst.map_or("", |reviewed| reviewed.edge.class.name()),
        verdict: worst.map_or("", |reviewed| reviewed.standing.name()),
        why: worst.and_then(|reviewed| reviewed.why.clone()),
        connections: outcomes.values().sum(),
        outcomes: outcomes.into_iter().map(|(outcome, count)| (outcome.name(), count)).collect(),
        direction: best.map_or("", |certainty| certainty.name()),
        client_pods: client_pods.len(),
        server_pods: server_pods.len(),
        first: first.to_string(),
        last: last.to_string(),
        service: all().find_map(|(_, evidence)| evidence.service()).map(str::to_string),
        names: names.into_iter().take(NAMES).map(str::to_string).collect(),
        ambiguous: all().any(|(_, evidence)| evidence.ambiguous),
        rules: rules.into_iter().collect(),
    }
}
