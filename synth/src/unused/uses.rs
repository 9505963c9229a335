//! Which parts of policies observed flows use, and which of them each flow needs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use capture::{Outcome, Protocol, Timestamp};

use crate::cluster::{Action, ClusterPorts};
use crate::endpoint::{Endpoint, Workload};
use crate::evaluate::{Decider, Decision, Evaluator, Matched, Party, Side, cluster_port_set};
use crate::evidence::{Certainty, End, Evidence};
use crate::graph::{Edge, Graph};
use crate::inventory::Inventory;
use crate::learn::is_translated;
use crate::part::{Part, PolicyIndex, Removed};
use crate::policy::{AnyPolicy, Direction};
use crate::replay::{pairs, party};

/// What used a rule, peer or port.
#[derive(Debug, Clone, Default)]
pub(super) struct Use {
    /// Connections of the edges that it allows.
    pub(super) hits: u64,
    /// When one of those was last seen.
    pub(super) last: Option<Timestamp>,
    /// Connections that it would have allowed and that failed all the same; they are no use.
    pub(super) attempts: u64,
    /// Of a rule: connections that it may have allowed, but nobody knows: their other end is a pod that is not known, their
    /// direction is guessed, or their source may have been translated on the way.
    pub(super) unclear: u64,
    /// Who was at the other end: workloads with a network of their own ...
    pub(super) workloads: BTreeSet<Workload>,
    /// ... and addresses of anybody else.
    pub(super) addresses: BTreeSet<IpAddr>,
    /// On which ports of the server.
    pub(super) ports: BTreeSet<(Protocol, u16)>,
}

/// One way in which a side of a flow is allowed: a rule with those of its peers and ports that match; `None` where it has
/// none and hence is for everyone or for all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Alternative {
    pub(super) rule: Part,
    pub(super) peers: Vec<Option<usize>>,
    pub(super) ports: Vec<Option<usize>>,
}

impl Alternative {
    /// Whether it still allows the flow without what is `removed`.
    pub(super) fn is_left(&self, removed: &Removed) -> bool {
        let any = |elements: &[Option<usize>], part: fn(Part, usize) -> Part| {
            elements.iter().any(|at| at.is_none_or(|at| !removed.contains(part(self.rule, at))))
        };
        !removed.contains(self.rule) && any(&self.peers, Part::with_peer) && any(&self.ports, Part::with_port)
    }
}

/// What denied a flow that worked all the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Contradiction {
    /// Connections.
    pub(super) hits: u64,
    pub(super) last: Option<Timestamp>,
    /// The edges, as text.
    pub(super) edges: BTreeSet<String>,
}

/// Everything that was observed about a set of policies.
#[derive(Debug, Default)]
pub(super) struct Uses {
    pub(super) parts: BTreeMap<Part, Use>,
    /// The ways in which sides of flows are allowed, each list once: one of them has to stay.
    pub(super) needs: BTreeSet<Vec<Alternative>>,
    /// By policy and direction.
    pub(super) contradictions: BTreeMap<Part, Contradiction>,
}

impl Uses {
    /// Replays all edges. What is used, and what is contradicted, is told by the first of `readings`; what is needed, by
    /// all. `proposed`: the policies are not in the cluster, so that nothing can contradict them.
    pub(super) fn new(graph: &Graph, readings: &[Evaluator<'_>], inventory: &Inventory, proposed: bool) -> Uses {
        let mut uses = Uses::default();
        let Some((evaluator, others)) = readings.split_first() else { return uses };
        for edge in graph.edges() {
            for (outcome, evidence) in &edge.outcomes {
                uses.edge(edge, *outcome, evidence, evaluator, inventory, proposed);
                for other in others.iter().filter(|_| !outcome.is_attempt()) {
                    uses.need(edge, evidence, other, inventory);
                }
            }
        }
        uses
    }

    /// What used a part.
    pub(super) fn of(&self, part: Part) -> Use {
        self.parts.get(&part).cloned().unwrap_or_default()
    }

    /// Notes how the sides of an edge that works are allowed.
    fn need(&mut self, edge: &Edge, evidence: &Evidence, evaluator: &Evaluator<'_>, inventory: &Inventory) {
        for ((client, server), _) in pairs(edge, evidence, evaluator) {
            let (from, to) = (party(&client, inventory), party(&server, inventory));
            let verdict = evaluator.verdict(from, to, edge.key.protocol, edge.key.port);
            // The server's policies saw another source than this view shows.
            let directions = Direction::ALL.into_iter();
            for direction in directions.filter(|it| *it == Direction::Egress || !is_translated(evidence)) {
                let ways = alternatives(verdict.side(direction), direction, evaluator, (from, to), edge);
                if !ways.is_empty() {
                    self.needs.insert(ways);
                }
            }
        }
    }

    fn edge(
        &mut self,
        edge: &Edge,
        outcome: Outcome,
        evidence: &Evidence,
        evaluator: &Evaluator<'_>,
        inventory: &Inventory,
        proposed: bool,
    ) {
        let works = !outcome.is_attempt();
        let mut hit: BTreeMap<Part, Hit> = BTreeMap::new();
        let mut denied: BTreeMap<Part, Timestamp> = BTreeMap::new();
        let mut unclear: BTreeSet<Part> = BTreeSet::new();
        for ((client, server), opened) in &pairs(edge, evidence, evaluator) {
            let seen = if *opened == Timestamp::MIN { evidence.last } else { *opened };
            let (from, to) = (party(client, inventory), party(server, inventory));
            let verdict = evaluator.verdict(from, to, edge.key.protocol, edge.key.port);
            for direction in Direction::ALL {
                // The server's policies saw another source than this view shows.
                if direction == Direction::Ingress && is_translated(evidence) {
                    continue;
                }
                let peer = if direction == Direction::Ingress { client } else { server };
                let side = verdict.side(direction);
                let alternatives = alternatives(side, direction, evaluator, (from, to), edge);
                for alternative in &alternatives {
                    let parts = std::iter::once(alternative.rule)
                        .chain(alternative.peers.iter().flatten().map(|at| alternative.rule.with_peer(*at)))
                        .chain(alternative.ports.iter().flatten().map(|at| alternative.rule.with_port(*at)));
                    parts.for_each(|part| hit.entry(part).or_default().note(peer, seen));
                }
                if works && is_doubtful(edge, evidence, direction) {
                    let near = side.near.iter().filter(|near| matches!(near.matched, Matched::Port(_)));
                    unclear
                        .extend(near.map(|near| Part::rule(PolicyIndex::Network(near.policy), direction, near.rule)));
                }
                if works && evidence.certainty == Certainty::Guessed {
                    // The other way round its port is not known.
                    let turned = evaluator.verdict(to, from, edge.key.protocol, 0);
                    let side = turned.side(direction);
                    let near = side.near.iter().filter(|near| matches!(near.matched, Matched::Peer(_)));
                    let near = near.map(|near| (near.policy, near.rule));
                    let all = near.chain(side.allowing.iter().map(|allow| (allow.policy, allow.rule)));
                    unclear.extend(all.map(|(policy, rule)| Part::rule(PolicyIndex::Network(policy), direction, rule)));
                }
                if works && !alternatives.is_empty() {
                    self.needs.insert(alternatives);
                }
                // Of a peer that nobody knows, nobody knows whether it is denied.
                let is_known = !is_doubtful(edge, evidence, direction) && evidence.certainty != Certainty::Guessed;
                let contradicts = matches!(outcome, Outcome::Established | Outcome::Answered) && !proposed && is_known;
                if contradicts && side.decision == Decision::Denied && *opened != Timestamp::MIN {
                    for part in older(side, direction, evaluator, *opened) {
                        let last = denied.entry(part).or_insert(*opened);
                        *last = (*last).max(*opened);
                    }
                }
            }
        }
        for part in unclear {
            self.parts.entry(part).or_default().unclear += evidence.connections;
        }
        for (part, Hit { last, peers }) in hit {
            let used = self.parts.entry(part).or_default();
            if !works {
                used.attempts += evidence.connections;
                continue;
            }
            used.hits += evidence.connections;
            used.last = used.last.max(Some(last));
            used.ports.insert((edge.key.protocol, edge.key.port));
            for peer in peers {
                let workload = peer.pod.map(|pod| inventory.pod(pod)).filter(|pod| !pod.host_network);
                match workload {
                    Some(pod) => _ = used.workloads.insert(pod.workload.clone()),
                    None => _ = used.addresses.insert(peer.ip),
                }
            }
        }
        for (part, last) in denied {
            let contradiction = self.contradictions.entry(part).or_default();
            contradiction.hits += evidence.connections;
            contradiction.last = contradiction.last.max(Some(last));
            contradiction
                .edges
                .insert(format!("{} -> {}:{}/{}", edge.key.client, edge.key.server, edge.key.port, edge.key.protocol));
        }
    }
}

/// The rules behind an edge: those that allow a side of any of its connections, sorted.
pub fn behind(edge: &Edge, evidence: &Evidence, evaluator: &Evaluator<'_>, inventory: &Inventory) -> Vec<Part> {
    let mut rules = BTreeSet::new();
    for ((client, server), _) in &pairs(edge, evidence, evaluator) {
        let (from, to) = (party(client, inventory), party(server, inventory));
        let verdict = evaluator.verdict(from, to, edge.key.protocol, edge.key.port);
        for direction in Direction::ALL.into_iter().filter(|it| *it == Direction::Egress || !is_translated(evidence)) {
            let ways = alternatives(verdict.side(direction), direction, evaluator, (from, to), edge);
            rules.extend(ways.into_iter().map(|way| way.rule));
        }
    }
    rules.into_iter().collect()
}

/// Whether the peer of a direction may be somebody else than it seems: the address of a pod that nobody knows, or somebody
/// outside who came through a Service, whose address a node may have replaced by its own behind this view.
fn is_doubtful(edge: &Edge, evidence: &Evidence, direction: Direction) -> bool {
    let peer = if direction == Direction::Ingress { &edge.key.client } else { &edge.key.server };
    let through = direction == Direction::Ingress && !evidence.services.is_empty() && evidence.translated == 0;
    matches!(peer, Endpoint::Unresolved { .. }) || through && matches!(peer, Endpoint::External(_))
}

/// What one edge did to a part.
#[derive(Default)]
struct Hit {
    last: Timestamp,
    peers: BTreeSet<End>,
}

impl Hit {
    fn note(&mut self, peer: &End, seen: Timestamp) {
        self.last = self.last.max(seen);
        self.peers.insert(*peer);
    }
}

/// Elements of a list; `None` for all that are in none.
type Places = BTreeSet<Option<usize>>;

/// The rules that allow one side; none where no rule has to, or none does.
fn alternatives(
    side: &Side,
    direction: Direction,
    evaluator: &Evaluator<'_>,
    (client, server): (Party<'_>, Party<'_>),
    edge: &Edge,
) -> Vec<Alternative> {
    match side.decider {
        Decider::NetworkPolicies => {
            let mut found: BTreeMap<Part, (Places, Places)> = BTreeMap::new();
            for allow in &side.allowing {
                let rule = Part::rule(PolicyIndex::Network(allow.policy), direction, allow.rule);
                let (peers, ports) = found.entry(rule).or_default();
                peers.insert(allow.peer);
                ports.insert(allow.port);
            }
            let alternative = |(rule, (peers, ports)): (Part, (Places, Places))| Alternative {
                rule,
                peers: peers.into_iter().collect(),
                ports: ports.into_iter().collect(),
            };
            found.into_iter().map(alternative).collect()
        }
        Decider::Cluster => {
            let Some(rule) = side.last_word().filter(|rule| rule.action == Action::Accept) else { return Vec::new() };
            let written = &evaluator.cluster_policies()[rule.policy].rules(direction)[rule.rule];
            let matches = |port: &&usize| {
                let alone = ClusterPorts::Any(vec![written.ports.listed()[**port].clone()]);
                let pod = match server {
                    Party::Pod { pod, .. } if !pod.host_network => Some(pod),
                    _ => None,
                };
                cluster_port_set(&alone, pod).contains(edge.key.protocol, edge.key.port)
            };
            let listed: Vec<usize> = (0..written.ports.listed().len()).collect();
            let ports: Vec<Option<usize>> = match listed.is_empty() {
                true => vec![None],
                false => listed.iter().filter(matches).map(|at| Some(*at)).collect(),
            };
            let part = Part::rule(PolicyIndex::Cluster(rule.policy), direction, rule.rule);
            let peers = evaluator.cluster_peers(written, direction, client, server);
            vec![Alternative { rule: part, peers: peers.into_iter().map(Some).collect(), ports }]
        }
        Decider::Exempt(_) | Decider::Nobody => Vec::new(),
    }
}

/// The policies that deny a side, where all of them are older than the flow: a policy without a time always was there.
fn older(side: &Side, direction: Direction, evaluator: &Evaluator<'_>, opened: Timestamp) -> Vec<Part> {
    let came = |policy: &AnyPolicy<'_>| policy.created().is_none_or(|created| created <= opened);
    let deciders = evaluator.deciders(side);
    // One that was there is enough to deny: a NetworkPolicy that came later took nothing away.
    let parts: Vec<PolicyIndex> = match side.decider {
        Decider::Cluster => side.last_word().map(|rule| PolicyIndex::Cluster(rule.policy)).into_iter().collect(),
        _ => side.isolating.iter().map(|policy| PolicyIndex::Network(*policy)).collect(),
    };
    let parts = parts.into_iter().zip(deciders).filter(|(_, policy)| came(policy));
    parts.map(|(policy, _)| Part { direction: Some(direction), ..Part::policy(policy) }).collect()
}
