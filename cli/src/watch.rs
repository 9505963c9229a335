//! What the captures watched, as far as they and the flows tell.

use std::collections::BTreeSet;

use capture::Timestamp;
use capture::packet::Skipped;
use capture::time::SECOND;
use synth::endpoint::Endpoint;
use synth::graph::Graph;
use synth::inventory::Inventory;
use synth::learn::Watched;
use synth::resolve::Doubts;
use synth::unused::gate::Watch;

use crate::args::Window;
use crate::input::{Observer, Traffic};

/// A time without a frame in any file is a gap if it is longer than this, in nanoseconds, and lies between files: those
/// that a recorder rotates follow each other closely.
const GAP: i64 = 60 * SECOND;

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
        let (window, gaps) = spans(&traffic.observers, window);
        let damaged: u64 = traffic.observers.iter().map(|observer| observer.statistics.damaged).sum();
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
            window,
            gaps,
            packets: tally.decoded.frames + damaged,
            lost: traffic.observers.iter().map(Observer::dropped).sum(),
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

type Span = (Timestamp, Timestamp);

/// The time that the files cover together, inside the window asked for, and what between them nobody watched.
fn spans(observers: &[Observer], window: &Window) -> (Option<Span>, Vec<Span>) {
    let (since, until) = (window.since.unwrap_or(Timestamp::MIN), window.until.unwrap_or(Timestamp::MAX));
    let cut = |(first, last): Span| (first.max(since), last.min(until));
    let mut spans: Vec<Span> = observers.iter().filter_map(|observer| observer.span.times).map(cut).collect();
    spans.retain(|(first, last)| first <= last);
    spans.sort_unstable();
    let Some((from, mut to)) = spans.first().copied() else { return (None, Vec::new()) };
    let mut gaps = Vec::new();
    for (first, last) in spans {
        if first.since(to) > GAP {
            gaps.push((to, first));
        }
        to = to.max(last);
    }
    (Some((from, to)), gaps)
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
