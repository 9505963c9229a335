//! What policies decide about peers that are only described.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::ports::{Ports, Rest};
use super::who::Relation;
use super::{ClusterRuleId, Entry, Scope, Side, Who};
use crate::addresses::AddressSet;
use crate::cluster::{Action, ClusterPeer, ClusterPolicy, ClusterPort, ClusterPorts, ClusterRule, PodPeer, Tier};
use crate::endpoint::{NodeAddressKind, Pod};
use crate::evaluate::{Namespaces, Options};
use crate::inventory::Inventory;
use crate::policy::{self, Direction, Peer, Peers, PolicySet};
use crate::port::ContainerPort;

/// A rule in the order in which rules are asked.
struct Decision {
    peers: Vec<Who>,
    ports: Ports,
    action: Action,
    /// `None` for rules of NetworkPolicies.
    rule: Option<ClusterRuleId>,
}

/// The decisions about one subject in one direction.
#[derive(Default)]
struct Decisions {
    admin: Vec<Decision>,
    network: Vec<Decision>,
    baseline: Vec<Decision>,
    isolated: bool,
}

impl Decisions {
    fn peers(&self) -> impl Iterator<Item = &Who> {
        self.admin.iter().chain(&self.network).chain(&self.baseline).flat_map(|decision| &decision.peers)
    }
}

/// Policies and the cluster they are asked about.
pub(super) struct Decider<'a> {
    policies: PolicySet<'a>,
    inventory: &'a Inventory,
    options: Options,
    by_namespace: BTreeMap<&'a str, Vec<usize>>,
    /// Indices of the cluster-wide policies in the order in which they are asked.
    ranked: Vec<usize>,
    /// Where pods have their addresses, by family.
    pod_ranges: [AddressSet; 2],
}

impl<'a> Decider<'a> {
    pub(super) fn new(policies: PolicySet<'a>, inventory: &'a Inventory, options: Options) -> Decider<'a> {
        let mut by_namespace: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, policy) in policies.network.iter().enumerate() {
            by_namespace.entry(&policy.namespace).or_default().push(index);
        }
        let mut ranked: Vec<usize> = (0..policies.cluster.len()).collect();
        ranked.sort_by_key(|index| policies.cluster[*index].rank());
        let pod_ranges = [true, false].map(|v4| {
            let of_family = inventory.pod_ranges.iter().filter(|range| matches!(range, IpNet::V4(_)) == v4);
            of_family.fold(AddressSet::empty(), |set, range| set.union(&AddressSet::of(*range)))
        });
        Decider { policies, inventory, options, by_namespace, ranked, pod_ranges }
    }

    /// The NetworkPolicies and the cluster-wide policies that select a pod and say something about the direction.
    pub(super) fn selecting(&self, pod: &Pod, direction: Direction) -> (Vec<usize>, Vec<usize>) {
        if self.options.is_node(pod) {
            return (Vec::new(), Vec::new());
        }
        let own = self.by_namespace.get(pod.namespace.as_str()).into_iter().flatten().copied();
        let network = own.filter(|index| {
            let policy = &self.policies.network[*index];
            policy.rules(direction).is_some() && policy.subject.matches(&pod.labels)
        });
        let cluster = self.ranked.iter().copied().filter(|index| {
            let policy = &self.policies.cluster[*index];
            let PodPeer { namespaces, pods } = &policy.subject;
            !policy.rules(direction).is_empty()
                && !pod.host_network
                && self.inventory.namespaces.matches(namespaces, &pod.namespace)
                && pods.matches(&pod.labels)
        });
        (network.collect(), cluster.collect())
    }

    /// What these policies decide; `server` has the ports by which names are numbers, where the server exists.
    pub(super) fn side(
        &self,
        direction: Direction,
        network: &[usize],
        cluster: &[usize],
        server: Option<&[ContainerPort]>,
    ) -> Side {
        let known = &self.inventory.namespaces;
        let mut decisions = Decisions { isolated: !network.is_empty(), ..Decisions::default() };
        let mut unknown = Vec::new();
        for &policy in cluster {
            let ClusterPolicy { tier, .. } = &self.policies.cluster[policy];
            for (rule, body) in self.policies.cluster[policy].rules(direction).iter().enumerate() {
                let rule = ClusterRuleId { policy, rule };
                if body.peers.iter().any(|peer| matches!(peer, ClusterPeer::DomainNames(_))) {
                    unknown.push(rule);
                }
                let decision = self.cluster_decision(body, rule, server);
                match tier {
                    Tier::Admin => decisions.admin.push(decision),
                    Tier::Baseline => decisions.baseline.push(decision),
                }
            }
        }
        for &policy in network {
            let policy = &self.policies.network[policy];
            for rule in policy.rules(direction).unwrap_or_default() {
                let peers = self.peers(&rule.peers, &policy.namespace);
                let ports = Ports::of_rule(&rule.ports, server);
                decisions.network.push(Decision { peers, ports, action: Action::Accept, rule: None });
            }
        }
        let mut narrowed: BTreeMap<Who, Vec<ClusterRuleId>> = BTreeMap::new();
        let everyone = [Who::EntireCluster];
        let pods = decisions.peers().chain(&everyone).filter(|who| !matches!(who, Who::External(_)));
        let pods = distinct(pods, known, |who| {
            let (ports, rules) = decide(&decisions, who, known);
            narrowed.insert(who.clone(), rules);
            ports
        });
        let pods = pods.into_iter().map(|(who, ports)| {
            let narrowed = narrowed.remove(&who).unwrap_or_default();
            Entry { who, ports, narrowed }
        });
        let addresses =
            partition(decisions.peers(), |who| Ports::from(decide(&decisions, who, known).0.numbers().clone()));
        let addresses = addresses.into_iter().filter(|(_, ports)| !ports.is_empty());
        let addresses = addresses.map(|(who, ports)| Entry { who, ports, narrowed: Vec::new() });
        Side { isolated: decisions.isolated, entries: pods.chain(addresses).collect(), unknown }
    }

    fn peers(&self, peers: &Peers, own: &str) -> Vec<Who> {
        let Peers::Any(list) = peers else {
            return vec![Who::EntireCluster, Who::External(AddressSet::everything())];
        };
        let mut found = Vec::new();
        for peer in list {
            match peer {
                Peer::Pods { namespaces, pods } => {
                    let scope = match namespaces {
                        policy::Namespaces::Own => Some(Scope::Named(own.to_string())),
                        policy::Namespaces::Matching(selector) => Scope::matching(selector),
                    };
                    found.extend(scope.and_then(|scope| Who::selected(scope, pods)));
                }
                Peer::Block(block) => {
                    found.extend(self.addresses(AddressSet::of_block(block), self.options.ip_block_matches_pods));
                }
            }
        }
        found
    }

    /// Addresses; every pod too where pods are matched by address and all that may come have theirs among these.
    fn addresses(&self, addresses: AddressSet, match_pods: bool) -> impl Iterator<Item = Who> {
        // One family is enough: a pod of a dual-stack cluster has addresses of both, and either may be used.
        let all = |ranges: &AddressSet| !ranges.is_empty() && ranges.difference(&addresses).is_empty();
        let unknown = self.inventory.pod_ranges.is_empty();
        let every_v4 = |addresses: &AddressSet| {
            let whole = (IpAddr::from([0; 4]), IpAddr::from([255; 4]));
            addresses.ranges().next() == Some(whole)
        };
        let every_pod = match_pods && (self.pod_ranges.iter().any(all) || unknown && every_v4(&addresses));
        [every_pod.then_some(Who::EntireCluster), Some(Who::External(addresses))].into_iter().flatten()
    }

    fn cluster_decision(&self, rule: &ClusterRule, id: ClusterRuleId, server: Option<&[ContainerPort]>) -> Decision {
        let mut peers = Vec::new();
        for peer in &rule.peers {
            match peer {
                ClusterPeer::Pods(PodPeer { namespaces, pods }) => {
                    peers.extend(Scope::matching(namespaces).and_then(|scope| Who::selected(scope, pods)));
                }
                ClusterPeer::Networks(nets) => {
                    let set = nets.iter().fold(AddressSet::empty(), |set, net| set.union(&AddressSet::of(*net)));
                    // "networks" are matched against pod addresses as well, whatever ipBlock does.
                    peers.extend(self.addresses(set, true));
                }
                ClusterPeer::Nodes(selector) => {
                    let nodes = self.inventory.nodes.values().filter(|node| selector.matches(&node.labels));
                    let ips = nodes.flat_map(|node| &node.addresses);
                    let ips = ips.filter(|(_, kind)| **kind == NodeAddressKind::Status).map(|(ip, _)| *ip);
                    let set = ips.fold(AddressSet::empty(), |set, ip| set.union(&AddressSet::of(IpNet::from(ip))));
                    peers.push(Who::External(set));
                }
                ClusterPeer::DomainNames(_) => {}
                // Fail closed: nobody is accepted by what is not understood, and everybody is denied.
                ClusterPeer::Unknown => {
                    if rule.action != Action::Accept {
                        peers.extend([Who::EntireCluster, Who::External(AddressSet::everything())]);
                    }
                }
            }
        }
        let unknown = rule.peers.contains(&ClusterPeer::Unknown);
        let ports = match &rule.ports {
            ClusterPorts::All => Ports::everything(),
            ClusterPorts::Any(list) => list
                .iter()
                .map(|port| match port {
                    ClusterPort::Number(port) => Ports::of_port(port, server),
                    ClusterPort::Named(name) => Ports::of_name(None, name, server),
                })
                .collect(),
        };
        let action = if unknown && rule.action == Action::Pass { Action::Deny } else { rule.action };
        Decision { peers, ports, action, rule: Some(id) }
    }
}

/// What is allowed to those of whom no more is known than that they are `who`, and the rules that may take some of it
/// from some of them.
fn decide(decisions: &Decisions, who: &Who, known: &Namespaces) -> (Ports, Vec<ClusterRuleId>) {
    let relation = |decision: &Decision| {
        decision.peers.iter().map(|peer| peer.relation(who, known)).max().unwrap_or(Relation::Apart)
    };
    let mut outcome = Outcome::default();
    // What no tier has decided, and what of it the Admin tier has not passed on.
    let (mut rest, mut admin) = (Rest::everything(), Rest::everything());
    // What of it some of them were passed on.
    let mut passed: Vec<(Ports, Option<ClusterRuleId>)> = Vec::new();
    for decision in &decisions.admin {
        let part = admin.part(&decision.ports);
        match (relation(decision), decision.action) {
            // Those of them who are accepted have an entry of their own.
            (Relation::Apart, _) | (Relation::Partly, Action::Accept) => {}
            (Relation::Covers, Action::Pass) => admin.remove(&part),
            (Relation::Partly, Action::Pass) => passed.push((part, decision.rule)),
            (Relation::Covers, Action::Accept) => {
                let not_for_all = passed.iter().filter(|(ports, _)| ports.may_overlap(&part));
                outcome.narrowed.extend(not_for_all.filter_map(|(_, rule)| *rule));
                outcome.allow(&part);
                admin.remove(&part);
                rest.remove(&part);
            }
            (Relation::Covers, Action::Deny) => {
                if !passed.iter().any(|(ports, _)| ports.may_overlap(&part)) {
                    admin.remove(&part);
                    rest.remove(&part);
                }
                outcome.deny(part, decision);
            }
            (Relation::Partly, Action::Deny) => outcome.deny(part, decision),
        }
    }
    if decisions.isolated {
        for decision in decisions.network.iter().filter(|decision| relation(decision) == Relation::Covers) {
            outcome.allow(&rest.part(&decision.ports));
        }
        return outcome.done();
    }
    for decision in &decisions.baseline {
        let part = rest.part(&decision.ports);
        match (relation(decision), decision.action) {
            (Relation::Apart, _) | (Relation::Partly, Action::Accept | Action::Pass) => {}
            (Relation::Covers, Action::Accept | Action::Pass) => {
                outcome.allow(&part);
                rest.remove(&part);
            }
            (relation, Action::Deny) => {
                if relation == Relation::Covers {
                    rest.remove(&part);
                }
                outcome.deny(part, decision);
            }
        }
    }
    outcome.allow(&rest.all());
    outcome.done()
}

/// What is allowed so far.
#[derive(Default)]
struct Outcome {
    allowed: Ports,
    /// What was denied before, and whether something allowed since may be the same port of some peer: denied are only
    /// some of the peers, or a name whose number is not known.
    denied: Vec<(Ports, Option<ClusterRuleId>, bool)>,
    /// Rules that took something allowed from some of the peers otherwise.
    narrowed: Vec<ClusterRuleId>,
}

impl Outcome {
    fn allow(&mut self, ports: &Ports) {
        for (denied, _, hit) in &mut self.denied {
            *hit |= denied.may_overlap(ports);
        }
        self.allowed = self.allowed.union(ports);
    }

    fn deny(&mut self, ports: Ports, decision: &Decision) {
        self.denied.push((ports, decision.rule, false));
    }

    fn done(self) -> (Ports, Vec<ClusterRuleId>) {
        let denied = self.denied.into_iter().filter(|denied| denied.2).filter_map(|denied| denied.1);
        let rules: BTreeSet<ClusterRuleId> = self.narrowed.into_iter().chain(denied).collect();
        (self.allowed, rules.into_iter().collect())
    }
}

/// Descriptions of pods, each with its ports, without those that say what the wider ones together say.
pub(super) fn distinct<'w>(
    pods: impl Iterator<Item = &'w Who>,
    known: &Namespaces,
    mut ports: impl FnMut(&Who) -> Ports,
) -> Vec<(Who, Ports)> {
    let pods: BTreeSet<&Who> = pods.collect();
    let all: Vec<(Who, Ports)> = pods.into_iter().map(|who| (who.clone(), ports(who))).collect();
    // Of two that cover each other, because the labels of namespaces are known, the first is the wider.
    let wider = |one: usize, other: usize| {
        let (a, b) = (&all[one].0, &all[other].0);
        one != other && a.covers(b, known) && (one < other || !b.covers(a, known))
    };
    let union =
        |indices: &mut dyn Iterator<Item = &usize>| -> Ports { indices.map(|one| all[*one].1.clone()).collect() };
    let adds = |index: usize| {
        let (who, ports) = &all[index];
        let around: Vec<usize> = (0..all.len()).filter(|other| wider(*other, index)).collect();
        // An exception from the widest is no exception where a narrower one already is.
        let inside = |outer: &usize| !around.iter().any(|inner| wider(*outer, *inner));
        let nearest: Vec<usize> = around.iter().copied().filter(inside).collect();
        // An exception from the wider ones that hits some of these pods must not seem to be one from these as well.
        let hides = |other: usize| {
            let overlaps = other != index && !wider(other, index) && !wider(index, other);
            let left = || union(&mut nearest.iter().filter(|outer| !wider(**outer, other)).chain([&other]));
            overlaps && all[other].0.relation(who, known) == Relation::Partly && left().union(ports) != left()
        };
        *ports != union(&mut nearest.iter()) || (0..all.len()).any(hides)
    };
    (0..all.len()).filter(|index| adds(*index)).map(|index| all[index].clone()).collect()
}

/// All addresses by what they are allowed. `peers` are the descriptions that tell addresses apart.
pub(super) fn partition<'w>(
    peers: impl Iterator<Item = &'w Who>,
    mut ports: impl FnMut(&Who) -> Ports,
) -> Vec<(Who, Ports)> {
    let sets: BTreeSet<&AddressSet> = peers
        .filter_map(|who| match who {
            Who::External(addresses) => Some(addresses),
            _ => None,
        })
        .collect();
    let mut parts = vec![AddressSet::everything()];
    for set in sets {
        let split = |part: &AddressSet| [part.intersection(set), part.difference(set)];
        parts = parts.iter().flat_map(split).filter(|part| !part.is_empty()).collect();
    }
    let mut by_ports: BTreeMap<Ports, AddressSet> = BTreeMap::new();
    for part in parts {
        let who = Who::External(part.clone());
        let all = by_ports.entry(ports(&who)).or_default();
        *all = all.union(&part);
    }
    let mut entries: Vec<(Who, Ports)> =
        by_ports.into_iter().map(|(ports, addresses)| (Who::External(addresses), ports)).collect();
    entries.sort();
    entries
}
