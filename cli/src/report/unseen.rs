//! What was not seen, in sentences: whoever reads a report has to know where it is blind.

use synth::endpoint::Endpoint;
use synth::expected::Kind;
use synth::learn::{Choices, known_from_the_middle, seen_from_peers_only};
use synth::render::count;
use synth::unused::gate::{duration, shortcomings};

use super::facts::Facts;
use super::verdict::some;
use crate::summary::number;

/// All that is known to be missing, the most important first.
pub(super) fn unseen(facts: &Facts<'_>) -> Vec<String> {
    let mut unseen: Vec<String> = shortcomings(&facts.gate, &facts.coverage.watch).into_iter().map(sentence).collect();
    if facts.inventory.pods.is_empty() {
        unseen.push("No pods are in the cluster input, so every address counts as outside.".to_string());
    }
    let watch = &facts.coverage.watch;
    if let Some(window) = &watch.window {
        let longest = window.gaps().iter().map(|(from, to)| to.since(*from)).max();
        if let Some(longest) = longest {
            let gaps = count(window.gaps().len() as u64, "gap");
            unseen.push(format!("The recording has {gaps}, the longest {}.", duration(longest)));
        }
    }
    let (seen, all) = facts.coverage.nodes;
    if seen < all {
        let pods = facts.inventory.pods.iter().filter_map(|pod| pod.node.as_deref());
        let names = facts.inventory.nodes.keys().map(String::as_str).chain(pods);
        let mut blind: Vec<String> = names.filter(|name| !watch.nodes.contains(*name)).map(str::to_string).collect();
        blind.sort();
        blind.dedup();
        unseen.push(format!("Nothing of {} of {all} nodes was seen: {}.", all - seen, some(&blind)));
    }
    let silent: Vec<String> = facts
        .inventory
        .workloads
        .iter()
        .filter(|(workload, info)| !info.host_network && !facts.was_seen(workload))
        .map(|(workload, _)| workload.to_string())
        .collect();
    if !silent.is_empty() {
        unseen.push(format!(
            "{} no traffic at all: {}.",
            have(silent.len(), "workload showed", "workloads showed"),
            some(&silent)
        ));
    }
    let names = |workloads: Vec<String>| some(&workloads);
    let from_peers: Vec<String> =
        seen_from_peers_only(facts.graph, facts.inventory).iter().map(ToString::to_string).collect();
    if !from_peers.is_empty() {
        unseen.push(format!(
            "Seen only from their peers, as if their nodes had not been watched: {}.",
            names(from_peers)
        ));
    }
    let middle: Vec<String> = known_from_the_middle(facts.graph, facts.inventory, &Choices::default())
        .iter()
        .map(ToString::to_string)
        .collect();
    if !middle.is_empty() {
        unseen.push(format!(
            "With connections older than the recording, of which only the middle was seen: {}.",
            names(middle)
        ));
    }
    let idle: Vec<String> = facts
        .declared
        .iter()
        .filter(|item| matches!(item.kind, Kind::CronJob | Kind::AtZero))
        .map(|item| item.name.clone())
        .collect();
    if !idle.is_empty() {
        unseen.push(format!("Did not run while somebody watched: {}.", names(idle)));
    }
    let awaited: Vec<&synth::expected::Expected> =
        facts.declared.iter().filter(|item| !matches!(item.kind, Kind::CronJob | Kind::AtZero)).collect();
    if !awaited.is_empty() {
        let denied = awaited.iter().filter(|item| item.allowed == Some(false)).count();
        let who: Vec<String> = awaited.iter().map(|item| item.name.clone()).collect();
        let denied = if denied > 0 { format!(", and {} denied", are(denied)) } else { String::new() };
        unseen.push(format!("Declared by objects and not seen{denied}: {}.", some(&who)));
    }
    let doubts = facts.doubts;
    for (doubtful, what) in [
        (doubts.unresolved, "conversations have a side in the pods' addresses that no pod is known for"),
        (doubts.guessed, "conversations show no hint of their direction, and make no rule"),
        (doubts.ambiguous, "connections went to a Service whose backend was not seen"),
        (facts.traffic.folded.values().sum(), "conversations with outside addresses are known by range only"),
    ] {
        if doubtful > 0 {
            unseen.push(format!("{} of {} {what}.", number(doubtful), number(doubts.conversations)));
        }
    }
    for source in &facts.traffic.sources {
        if let Some(damage) = &source.damage {
            unseen.push(format!("{} is damaged: {damage}.", source.name));
        }
    }
    let unresolved = facts.graph.endpoints().filter(|endpoint| matches!(endpoint, Endpoint::Unresolved { .. }));
    let unresolved: Vec<String> = unresolved.map(|endpoint| endpoint.to_string()).collect();
    if !unresolved.is_empty() {
        unseen.push(format!("Addresses without a pod: {}.", some(&unresolved)));
    }
    unseen
}

fn sentence(text: String) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => text,
    }
}

fn have(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", number(count as u64), if count == 1 { one } else { many })
}

fn are(count: usize) -> String {
    have(count, "is", "are")
}
