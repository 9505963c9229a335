//! Policies without what is not needed.
//!
//! What is written allows a part of what the policies allowed, and every observed flow that they allowed: the flows are
//! replayed before anything is written, as for generated policies.

use std::collections::{BTreeMap, BTreeSet};

use super::edit::Object;
use super::{Finding, Status, Suffices, redundant};
use crate::evaluate::Options;
use crate::graph::Graph;
use crate::inventory::Inventory;
use crate::manifest::Objects;
use crate::part::{Part, PolicyIndex, Removed};
use crate::policy::{Direction, Peer, Peers, Policy, PolicyPort, PolicySet, Ports, Rule};
use crate::render;
use crate::replay::party;
use crate::synthesize::Planned;

/// A policy that can be smaller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// Which.
    pub policy: PolicyIndex,
    /// What is deleted or narrowed.
    pub parts: Vec<Part>,
    /// What is left of it as YAML; `None` where all of it can go.
    pub yaml: Option<String>,
    /// Whether its own comments and order are kept.
    pub kept: bool,
}

/// What was left undone, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suggestions {
    /// In the order of the policies.
    pub policies: Vec<Suggestion>,
    /// Findings that are not acted on, in words.
    pub left: Vec<String>,
}

/// Why nothing is suggested: a defect of this program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("without what is not needed, {edge} would be denied")]
pub struct GateError {
    /// The flow, in words.
    pub edge: String,
}

/// Writes the policies without the parts that `findings` say can go, and with what would suffice in the place of what
/// is too broad. Findings that are below the evidence gate are left alone. `text` is the content of a file.
///
/// # Errors
/// A flow that was allowed and would not be any more, although none was narrowed: nothing is suggested then.
pub fn suggest(
    findings: &[&Finding],
    graph: &Graph,
    set: PolicySet<'_>,
    inventory: &Inventory,
    options: Options,
    text: impl Fn(&str) -> Option<String>,
) -> Result<Suggestions, GateError> {
    let mut suggestions = Suggestions::default();
    let mut removed = Removed::default();
    let mut narrowed: BTreeMap<Part, &Suffices> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.missing.is_empty()) {
        let is_cluster_wide = matches!(finding.part.policy, PolicyIndex::Cluster(_));
        match (finding.status, &finding.suffices) {
            (Status::NotEnforced, _) => {}
            _ if is_cluster_wide => {
                suggestions.left.push(format!("{}: cluster-wide policies are not rewritten", finding.part.name(set)));
            }
            (Status::Unused | Status::Dead | Status::Redundant, _) => removed.insert(finding.part),
            (Status::Overbroad, Some(suffices)) => _ = narrowed.insert(finding.part, suffices),
            (Status::Overbroad, None) => {
                suggestions.left.push(format!("{}: {}", finding.part.name(set), finding.message));
            }
        }
    }
    redundant::hollow(set, inventory, options, &removed).into_iter().for_each(|policy| removed.insert(policy));
    let policies = loop {
        let policies: Vec<Option<Policy>> = set
            .network
            .iter()
            .enumerate()
            .map(|(index, policy)| tightened(index, policy, &removed, &narrowed))
            .collect();
        // However plugins read rules for addresses.
        let mut variants = redundant::variants(options).into_iter();
        let denied = variants.find_map(|options| denied(graph, set, &policies, inventory, options));
        let Some((denied, edge)) = denied else { break policies };
        let is_of = |part: &Part| matches!(part.policy, PolicyIndex::Network(index) if denied.contains(&index));
        let back: Vec<Part> = narrowed.keys().copied().filter(is_of).collect();
        if back.is_empty() {
            return Err(GateError { edge });
        }
        for part in back {
            narrowed.remove(&part);
            suggestions.left.push(format!("{}: {edge} would be denied", part.name(set)));
        }
    };
    for (index, (old, new)) in set.network.iter().zip(&policies).enumerate() {
        let is_own = |part: &Part| part.policy == PolicyIndex::Network(index);
        let parts: BTreeSet<Part> = removed.iter().chain(narrowed.keys().copied()).filter(is_own).collect();
        if parts.is_empty() {
            continue;
        }
        let (yaml, kept) = match new {
            None => (None, true),
            Some(new) => {
                let edited = text(&old.origin.file).and_then(|text| edited(&text, old, new, &parts, &narrowed));
                let kept = edited.is_some();
                (Some(edited.unwrap_or_else(|| anew(new))), kept)
            }
        };
        let (policy, parts) = (PolicyIndex::Network(index), parts.into_iter().collect());
        suggestions.policies.push(Suggestion { policy, parts, yaml, kept });
    }
    Ok(suggestions)
}

/// A policy without what is removed, and with what suffices; `None` where it is gone.
fn tightened(index: usize, policy: &Policy, removed: &Removed, narrowed: &BTreeMap<Part, &Suffices>) -> Option<Policy> {
    let index = PolicyIndex::Network(index);
    if removed.contains(Part::policy(index)) {
        return None;
    }
    let mut policy = policy.clone();
    for (direction, rules) in [(Direction::Ingress, &mut policy.ingress), (Direction::Egress, &mut policy.egress)] {
        let Some(rules) = rules else { continue };
        let all = std::mem::take(rules).into_iter().enumerate();
        rules.extend(all.filter_map(|(number, rule)| {
            let part = Part::rule(index, direction, number);
            let (peers, ports) = removed.left(part, rule.peers.listed().len(), rule.ports.listed().len())?;
            let peers =
                replaced(part, rule.peers.listed(), &peers, Part::with_peer, |part| match narrowed.get(&part) {
                    Some(Suffices::Peers(peers)) => Some(peers.clone()),
                    _ => None,
                });
            let ports =
                replaced(part, rule.ports.listed(), &ports, Part::with_port, |part| match narrowed.get(&part) {
                    Some(Suffices::Ports(ports)) => Some(ports.clone()),
                    _ => None,
                });
            let everyone = |peers: Vec<Peer>| if peers.is_empty() { Peers::Everyone } else { Peers::Any(peers) };
            let all = |ports: Vec<PolicyPort>| if ports.is_empty() { Ports::All } else { Ports::Any(ports) };
            Some(Rule { peers: everyone(peers), ports: all(ports), lines: rule.lines })
        }));
    }
    Some(policy)
}

/// What is left of a list, with what stands in the place of its elements, or of an empty one.
fn replaced<T: Clone>(
    rule: Part,
    listed: &[T],
    left: &[usize],
    part: fn(Part, usize) -> Part,
    instead: impl Fn(Part) -> Option<Vec<T>>,
) -> Vec<T> {
    if listed.is_empty() {
        return instead(rule).unwrap_or_default();
    }
    left.iter().flat_map(|at| instead(part(rule, *at)).unwrap_or_else(|| vec![listed[*at].clone()])).collect()
}

/// The first flow that was allowed and is denied now, and by which policies; indices of the old ones.
fn denied(
    graph: &Graph,
    set: PolicySet<'_>,
    policies: &[Option<Policy>],
    inventory: &Inventory,
    options: Options,
) -> Option<(BTreeSet<usize>, String)> {
    let (places, network): (Vec<usize>, Vec<Policy>) =
        policies.iter().enumerate().filter_map(|(at, policy)| Some((at, policy.clone()?))).unzip();
    let old = inventory.evaluator(set).with_options(options);
    let new = inventory.evaluator(PolicySet { network: &network, ..set }).with_options(options);
    for edge in graph.edges() {
        let works = edge.outcomes.iter().filter(|(outcome, _)| !outcome.is_attempt());
        for (client, server) in works.flat_map(|(_, evidence)| evidence.pairs.keys()) {
            let (from, to) = (party(client, inventory), party(server, inventory));
            let (protocol, port) = (edge.key.protocol, edge.key.port);
            let (before, after) = (old.verdict(from, to, protocol, port), new.verdict(from, to, protocol, port));
            for direction in Direction::ALL {
                if before.side(direction).allowed() && !after.side(direction).allowed() {
                    let deniers = after.side(direction).isolating.iter().map(|policy| places[*policy]).collect();
                    return Some((deniers, edge.key.to_string()));
                }
            }
        }
    }
    None
}

/// The policy as it was written, without what is gone; `None` where that cannot be done line by line.
fn edited(
    text: &str,
    old: &Policy,
    new: &Policy,
    parts: &BTreeSet<Part>,
    narrowed: &BTreeMap<Part, &Suffices>,
) -> Option<String> {
    let mut object = Object::cut(text, old.origin.line)?;
    for part in parts {
        let (direction, number) = (part.direction?, part.rule?);
        let rule = old.rules(direction)?.get(number)?;
        let line = match (part.peer, part.port) {
            (Some(peer), _) => *rule.lines.peers.get(peer)?,
            (_, Some(port)) => *rule.lines.ports.get(port)?,
            (None, None) => rule.lines.rule,
        };
        let own = part.peer.is_some() || part.port.is_some();
        match narrowed.get(part) {
            None => object.delete(line)?,
            Some(Suffices::Peers(peers)) if own => {
                object.replace(line, |text, indent| render::peers(text, indent, peers))?;
            }
            Some(Suffices::Ports(ports)) if own => {
                object.replace(line, |text, indent| render::ports(text, indent, ports))?;
            }
            Some(Suffices::Peers(peers)) => {
                let key = if direction == Direction::Ingress { "from" } else { "to" };
                object.add(line, key, |text, indent| render::peers(text, indent, peers))?;
            }
            Some(Suffices::Ports(ports)) => {
                object.add(line, "ports", |text, indent| render::ports(text, indent, ports))?;
            }
        }
    }
    for direction in Direction::ALL {
        let gone = new.rules(direction).is_some_and(<[Rule]>::is_empty);
        if let Some(first) = old.rules(direction).and_then(<[Rule]>::first).filter(|_| gone) {
            object.empty(first.lines.rule, direction.name())?;
        }
    }
    object.strip_server_fields();
    let text = object.text();
    let mut objects = Objects::default();
    objects.load("suggested.yaml", &text);
    let [read] = objects.policies.as_slice() else { return None };
    let says = |policy: &Policy| {
        let policy = policy.clone().without_places();
        (policy.namespace, policy.name, policy.labels, policy.subject, policy.ingress, policy.egress)
    };
    (objects.problems.is_empty() && says(read) == says(new)).then_some(text)
}

/// The policy written anew.
fn anew(policy: &Policy) -> String {
    render::render(&Planned {
        policy: policy.clone(),
        workloads: Vec::new(),
        header: Vec::new(),
        ingress: Vec::new(),
        egress: Vec::new(),
    })
}
