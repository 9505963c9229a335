//! What the captures watched, as far as they and the flows tell.

use std::collections::BTreeSet;

use capture::packet::Skipped;
use synth::endpoint::Endpoint;
use synth::graph::Graph;
use synth::inventory::Inventory;
use synth::learn::Watched;
use synth::resolve::Doubts;
use synth::unused::gate::Watch;

use crate::args::Window;
use crate::input::Traffic;
use crate::source::Source;

/// What was watched, and which part of the cluster shows in it.
pub(crate) struct Coverage {
    pub(crate) watch: Watch,
    /// Nodes of which something was seen, and all.
    pub(crate) nodes: (usize, usize),
    /// Living pods with a network of their own of which something was seen, and all.
    pub(crate) pods: (usize, usize),
}

impl Coverage {
    pub(crate) fn new(
        traffic: &Traffic,
        window: &Window,
        doubts: &Doubts,
        graph: &Graph,
        inventory: &Inventory,
        watched: Watched,
    ) -> Coverage {
        let tally = &traffic.tracked.tally;
        let damaged: u64 = traffic.sources.iter().map(|source| source.damaged).sum();
        let mut unreadable_as = Vec::new();
        let mut unreadable = damaged;
        if damaged > 0 {
            unreadable_as.push(format!("{damaged} damaged"));
        }
        for (reason, count) in tally.decoded.skipped.iter().filter(|(reason, _)| hides_flows(**reason)) {
            unreadable += count;
            unreadable_as.push(format!("{count} {}", reason.text()));
        }
        for (tunnel, count) in &tally.decoded.opaque {
            unreadable += count;
            unreadable_as.push(format!("{count} of {}", tunnel.text()));
        }
        let (nodes, pods) = seen(graph, inventory);
        let watch = Watch {
            window: traffic.window(window),
            packets: tally.decoded.frames + damaged,
            lost: traffic.sources.iter().map(Source::dropped).sum(),
            unreadable,
            unreadable_as,
            conversations: doubts.conversations,
            dropped: tally.lost,
            unresolved: doubts.unresolved,
            watched,
            nodes: nodes.iter().map(|name| name.to_string()).collect(),
        };
        let of_pods = inventory.pods.iter().filter_map(|pod| pod.node.as_deref());
        let all: BTreeSet<&str> = inventory.nodes.keys().map(String::as_str).chain(of_pods).collect();
        Coverage { watch, nodes: (nodes.len(), all.len()), pods }
    }
}

/// Whether a frame that ended so may have held a flow.
fn hides_flows(reason: Skipped) -> bool {
    matches!(reason, Skipped::Truncated(_) | Skipped::UnfinishedFragment | Skipped::TooDeep)
}

/// Nodes of which something was seen, and pods, of all.
fn seen<'a>(graph: &'a Graph, inventory: &'a Inventory) -> (BTreeSet<&'a str>, (usize, usize)) {
    let mut nodes: BTreeSet<&str> = BTreeSet::new();
    let mut pods = BTreeSet::new();
    for edge in graph.edges() {
        for endpoint in [&edge.key.client, &edge.key.server] {
            if let Endpoint::Node(name) = endpoint {
                nodes.insert(name);
            }
        }
        for evidence in edge.outcomes.values() {
            pods.extend(evidence.client_pods().into_iter().chain(evidence.server_pods()));
        }
    }
    nodes.extend(pods.iter().filter_map(|pod| inventory.pod(*pod).node.as_deref()));
    let lives = |pod: &synth::endpoint::Pod| !pod.finished && !pod.host_network && !pod.addresses.is_empty();
    let all = inventory.pods.iter().filter(|pod| lives(pod)).count();
    let seen = pods.iter().filter(|pod| lives(inventory.pod(**pod))).count();
    (nodes, (seen, all))
}
