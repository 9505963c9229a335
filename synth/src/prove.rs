//! The gate: the generated set, read back from its own YAML, has to allow every edge it was made from, together with
//! the policies that are in the cluster already.

use std::collections::BTreeSet;

use crate::endpoint::Workload;
use crate::evaluate::{Decider, Decision, Evaluator, Options, Side};
use crate::evidence::{End, Evidence};
use crate::graph::{Edge, Graph};
use crate::inventory::Inventory;
use crate::learn::{Choices, Reason, decide};
use crate::manifest::Objects;
use crate::policy::{AnyPolicy, Direction, Policy, PolicySet};
use crate::reach::{Classes, Reach};
use crate::render::render;
use crate::replay::{denial, pairs, party};
use crate::synthesize::{Plan, is_managed};

/// What replaying the traffic showed.
#[derive(Debug, Clone, Default)]
pub struct Proof {
    /// What is wrong with the YAML itself: it cannot be read back, or reads differently.
    pub broken: Vec<String>,
    /// Edges that were replayed.
    pub replayed: u64,
    /// Edges that the set denies, and where.
    pub denied: Vec<String>,
    /// Edges that policies of the cluster deny already and that the set does not decide.
    pub denied_before: Vec<String>,
    /// Edges that were excluded and that the set allows all the same, because labels tell nobody apart.
    pub excluded_but_allowed: Vec<String>,
    /// How tight the set is.
    pub tightness: Tightness,
}

/// Ordered pairs of different pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tightness {
    /// Pairs that may talk on at least one port.
    pub allowed: u64,
    /// Pairs of workloads' pods between which an edge was seen.
    pub observed: u64,
    /// All pairs.
    pub all: u64,
}

impl Proof {
    /// Whether the set may be handed out.
    pub fn holds(&self) -> bool {
        self.broken.is_empty() && self.denied.is_empty()
    }
}

/// Replays the deciding edges of `graph` and the declared ones of `plan`.
pub fn prove(plan: &Plan, graph: &Graph, inventory: &Inventory, choices: &Choices) -> Proof {
    let mut proof = Proof::default();
    let generated = read_back(plan, &mut proof.broken);
    let replaced: BTreeSet<(&str, &str)> =
        generated.iter().map(|policy| (policy.namespace.as_str(), policy.name.as_str())).collect();
    let existing: Vec<Policy> = inventory
        .policies
        .iter()
        .filter(|policy| !is_managed(policy) && !replaced.contains(&(policy.namespace.as_str(), policy.name.as_str())))
        .cloned()
        .collect();
    let count = generated.len();
    let all: Vec<Policy> = generated.into_iter().chain(existing).collect();
    let set = PolicySet { network: &all, cluster: &inventory.cluster_policies };
    let evaluator = inventory.evaluator(set);
    let mut observed: BTreeSet<(&Workload, &Workload)> = BTreeSet::new();
    for edge in graph.edges() {
        match decide(edge, inventory, choices) {
            Ok((_, evidence)) => {
                proof.replayed += 1;
                replay(edge, evidence, &evaluator, count, inventory, &mut proof);
                observed.extend(workloads(edge));
            }
            Err(Reason::Excluded) if is_granted(edge, &evaluator, count, inventory) => {
                proof.excluded_but_allowed.push(edge.key.to_string());
            }
            Err(_) => {}
        }
    }
    proof.tightness = tightness(set, &observed, inventory);
    proof
}

/// Whether generated policies speak about an edge and let it through.
fn is_granted(edge: &Edge, evaluator: &Evaluator<'_>, generated: usize, inventory: &Inventory) -> bool {
    let Some((_, evidence)) = edge.used() else { return false };
    let isolates = |end: &End, direction| {
        let pod = end.pod.map(|pod| inventory.pod(pod));
        pod.is_some_and(|pod| evaluator.isolating(pod, direction).any(|(policy, _)| policy < generated))
    };
    evidence.pairs.keys().any(|(client, server)| {
        let (from, to) = (party(client, inventory), party(server, inventory));
        (isolates(client, Direction::Egress) || isolates(server, Direction::Ingress))
            && evaluator.allowed(from, to, edge.key.protocol, edge.key.port)
    })
}

fn workloads(edge: &Edge) -> Option<(&Workload, &Workload)> {
    Some((edge.key.client.workload()?, edge.key.server.workload()?))
}

/// Parses the rendered YAML; what comes back has to be what was planned.
fn read_back(plan: &Plan, broken: &mut Vec<String>) -> Vec<Policy> {
    let mut generated = Vec::with_capacity(plan.policies.len());
    let mut ids = BTreeSet::new();
    for planned in &plan.policies {
        let id = planned.policy.id();
        if !ids.insert(id.clone()) {
            broken.push(format!("{id}: two policies have this name, and one would replace the other"));
        }
        let mut objects = Objects::default();
        objects.load(&id, &render(planned));
        broken.extend(objects.problems.iter().map(ToString::to_string));
        match objects.policies.pop() {
            Some(read) => {
                let read = read.without_places();
                if read != planned.policy {
                    broken.push(format!("{id}: reads back differently from what was planned"));
                }
                generated.push(read);
            }
            None => broken.push(format!("{id}: does not read back as a NetworkPolicy")),
        }
    }
    generated
}

fn replay(
    edge: &Edge,
    evidence: &Evidence,
    evaluator: &Evaluator<'_>,
    generated: usize,
    inventory: &Inventory,
    proof: &mut Proof,
) {
    for ((client, server), _) in pairs(edge, evidence, evaluator) {
        let Some(verdict) = denial(evaluator, edge, evidence, (client, server), inventory) else { continue };
        let denied = |side: &Side| side.decision == Decision::Denied;
        // What the Admin tier denies, no NetworkPolicy can allow.
        let ours = |side: &Side| {
            denied(side)
                && side.decider == Decider::NetworkPolicies
                && side.isolating.iter().any(|policy| *policy < generated)
        };
        let side = |direction: Direction| {
            let deciders = evaluator.deciders(verdict.side(direction)).into_iter().map(AnyPolicy::id);
            format!("{direction} by {}", deciders.collect::<Vec<_>>().join(", "))
        };
        let direction = if denied(&verdict.egress) { Direction::Egress } else { Direction::Ingress };
        let text = format!("{} ({} -> {}), {}", edge.key, client.ip, server.ip, side(direction));
        if ours(&verdict.egress) || ours(&verdict.ingress) {
            proof.denied.push(text);
        } else {
            proof.denied_before.push(text);
        }
        return;
    }
}

/// Pairs of today's pods, counted by classes of them that no policy tells apart.
fn tightness(set: PolicySet<'_>, observed: &BTreeSet<(&Workload, &Workload)>, inventory: &Inventory) -> Tightness {
    let classes = Classes::new(inventory, &[set], Options::default());
    let reach = Reach::new(&classes, set);
    let pods = |class: u32| if classes.is_node(class) { 0 } else { classes.pods(class).len() as u64 };
    let all: u64 = (0..classes.len() as u32).map(pods).sum();
    let mut sum = Tightness { allowed: 0, observed: 0, all: all * all.saturating_sub(1) };
    for client in (0..classes.len() as u32).filter(|class| pods(*class) > 0) {
        let servers = reach.row(client).allowed.classes();
        let others = |server: u32| pods(server) - u64::from(server == client);
        sum.allowed += pods(client) * servers.iter().map(others).sum::<u64>();
    }
    let size = |workload: &Workload| {
        let pods = inventory.workloads.get(workload).map(|info| info.pods.iter()).unwrap_or_default();
        pods.filter(|pod| classes.of_pod(**pod).is_some() && !inventory.pod(**pod).host_network).count() as u64
    };
    for (client, server) in observed {
        let clients = size(client);
        sum.observed += if client == server { clients * clients.saturating_sub(1) } else { clients * size(server) };
    }
    sum
}

#[cfg(test)]
mod tests;
