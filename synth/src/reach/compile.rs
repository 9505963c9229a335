//! A set of policies over classes: every selector answered once, equal peers kept once.

use std::ops::Range;

use rustc_hash::FxHashMap;

use super::access::{Access, ClassSet};
use super::classes::{Classes, Kind};
use super::opened::Opened;
use super::term::Term;
use crate::cluster::{Action, ClusterPeer, ClusterPolicy, ClusterPorts, ClusterRule, Tier};
use crate::evaluate::{cluster_port_set, port_is_in, port_set};
use crate::policy::{Direction, Peers, Policy, PolicySet, Ports, Rule};
use crate::port::Protocol;
use crate::ports::PortSet;

/// All policies, compiled. Classes here are the ends of [`Classes`].
pub(super) struct Compiled<'a> {
    /// The distinct sets of peers.
    pub(super) peers: Vec<ClassSet>,
    /// The distinct lists of ports.
    pub(super) ports: Vec<PortList<'a>>,
    /// By policy.
    pub(super) network: Vec<Network>,
    /// The rules of all policies, one after the other.
    pub(super) rules: Vec<Granting>,
    /// By direction and end: the policies that isolate it.
    pub(super) isolating: [Vec<Vec<u32>>; 2],
    /// By direction: the ends that some policy isolates.
    pub(super) isolated: [ClassSet; 2],
    /// What ingress rules grant.
    pub(super) opened: Opened,
    /// Rules of cluster-wide policies by tier, in the order in which they are asked.
    pub(super) tiers: [Vec<Ordered>; 2],
}

/// A NetworkPolicy.
pub(super) struct Network {
    /// By direction: which of the rules are its.
    pub(super) rules: [Range<usize>; 2],
    /// What its egress rules grant.
    pub(super) granted: Access,
}

/// A rule of a NetworkPolicy: its peers and its ports, by index. Small, so that many are at hand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Granting {
    pub(super) peers: u32,
    pub(super) ports: u32,
}

/// A list of ports, which stands for the same numbers on every server or, where names are in it, not.
pub(super) struct PortList<'a> {
    written: &'a Ports,
    /// On every server; `None` where there are names.
    everywhere: Option<PortSet>,
    /// By server, where there are names.
    by_server: Access,
}

impl PortList<'_> {
    /// Whether a port of a server is in it.
    pub(super) fn holds(&self, server: u32, protocol: Protocol, port: u16) -> bool {
        // A port that is not known is in no set of ports.
        if port == 0 {
            return port_is_in(self.written, None, protocol, port);
        }
        let ports = self.everywhere.as_ref().or_else(|| self.by_server.ports(server));
        ports.is_some_and(|ports| ports.contains(protocol, port))
    }

    /// What it stands for on some servers.
    fn on(&self, servers: &ClassSet) -> Vec<(PortSet, ClassSet)> {
        match &self.everywhere {
            Some(ports) => vec![(ports.clone(), servers.clone())],
            None => cells(self.by_server.within(servers)),
        }
    }
}

/// A rule of a cluster-wide policy, or that part of it whose peers are certain or are not.
pub(super) struct Ordered {
    pub(super) direction: Direction,
    pub(super) subjects: ClassSet,
    pub(super) peers: ClassSet,
    /// The servers, which are subjects or peers, with the ports that the rule is about.
    pub(super) servers: Access,
    pub(super) action: Action,
    pub(super) certain: bool,
}

/// The place of a direction in pairs.
pub(super) fn at(direction: Direction) -> usize {
    match direction {
        Direction::Ingress => 0,
        Direction::Egress => 1,
    }
}

/// The place of a tier in pairs.
pub(super) fn at_tier(tier: Tier) -> usize {
    match tier {
        Tier::Admin => 0,
        Tier::Baseline => 1,
    }
}

impl<'a> Compiled<'a> {
    pub(super) fn new(classes: &Classes<'a>, set: PolicySet<'a>) -> Compiled<'a> {
        let count = classes.ends.len();
        let mut compiler =
            Compiler { classes, peers: Vec::new(), known: FxHashMap::default(), lists: Lists::default() };
        let mut isolating = [vec![Vec::new(); count], vec![Vec::new(); count]];
        let mut isolated = [ClassSet::default(), ClassSet::default()];
        let mut network = Vec::with_capacity(set.network.len());
        let mut all_rules = Vec::new();
        // By peer, `None` for everyone: the servers and ports of every rule. Single peers are the same again and again,
        // lists of them seldom.
        let mut opened: FxHashMap<Option<Term<'a>>, Vec<(PortSet, ClassSet)>> = FxHashMap::default();
        for (number, policy) in (0..).zip(set.network) {
            let subjects = classes.yes(&Term::subject(policy));
            for direction in Direction::ALL.into_iter().filter(|direction| policy.rules(*direction).is_some()) {
                isolated[at(direction)].unite(&subjects);
                subjects.iter().for_each(|end| isolating[at(direction)][end as usize].push(number));
            }
            let mut granted = Vec::new();
            let rules = Direction::ALL.map(|direction| {
                let first = all_rules.len();
                for rule in policy.rules(direction).unwrap_or_default() {
                    let (peers, ports) = (compiler.peers_of(policy, rule), compiler.lists.number(&rule.ports, classes));
                    all_rules.push(Granting { peers, ports });
                    let list = &compiler.lists.lists[ports as usize];
                    match direction {
                        Direction::Ingress => {
                            let servers = list.on(&subjects);
                            for peer in terms(policy, rule) {
                                opened.entry(peer).or_default().extend(servers.iter().cloned());
                            }
                        }
                        Direction::Egress => granted.extend(list.on(&compiler.peers[peers as usize])),
                    }
                }
                first..all_rules.len()
            });
            network.push(Network { rules, granted: granted.into_iter().collect() });
        }
        let opened = opened.into_iter().map(|(peer, servers)| (classes.peers(peer), servers));
        let opened = Opened::new(opened, count);
        let tiers = compiler.tiers(set.cluster);
        let (peers, ports) = (compiler.peers, compiler.lists.lists);
        Compiled { peers, ports, network, rules: all_rules, isolating, isolated, opened, tiers }
    }
}

/// The peers of a rule, one by one; `None` for everyone.
fn terms<'a>(policy: &'a Policy, rule: &'a Rule) -> Vec<Option<Term<'a>>> {
    match &rule.peers {
        Peers::Everyone => vec![None],
        Peers::Any(peers) => peers.iter().map(|peer| Some(Term::peer(&policy.namespace, peer))).collect(),
    }
}

struct Compiler<'a, 'c> {
    classes: &'c Classes<'a>,
    peers: Vec<ClassSet>,
    known: FxHashMap<Vec<Option<Term<'a>>>, u32>,
    lists: Lists<'a>,
}

impl<'a> Compiler<'a, '_> {
    /// The index of a rule's peers.
    fn peers_of(&mut self, policy: &'a Policy, rule: &'a Rule) -> u32 {
        let terms = terms(policy, rule);
        if let Some(index) = self.known.get(&terms) {
            return *index;
        }
        let mut set = ClassSet::default();
        terms.iter().for_each(|term| set.unite(&self.classes.peers(*term)));
        let index = self.peers.len() as u32;
        self.peers.push(set);
        self.known.insert(terms, index);
        index
    }

    fn tiers(&mut self, policies: &'a [ClusterPolicy]) -> [Vec<Ordered>; 2] {
        let mut order: Vec<&ClusterPolicy> = policies.iter().collect();
        order.sort_by_key(|policy| policy.rank());
        let mut tiers = [Vec::new(), Vec::new()];
        for policy in order {
            let subjects = self.classes.yes(&Term::pods(&policy.subject));
            for direction in Direction::ALL {
                for rule in policy.rules(direction) {
                    tiers[at_tier(policy.tier)].extend(self.ordered(direction, &subjects, rule));
                }
            }
        }
        tiers
    }

    fn ordered(&mut self, direction: Direction, subjects: &ClassSet, rule: &'a ClusterRule) -> Vec<Ordered> {
        let classes = self.classes;
        let mut part = |peers: ClassSet, ports: Option<&'a ClusterPorts>, action, certain| {
            let servers = match direction {
                Direction::Ingress => subjects,
                Direction::Egress => &peers,
            };
            let servers = match ports {
                Some(ports) => self.lists.cluster(ports, servers, classes).into_iter().collect(),
                None => Access::of(PortSet::everything(), servers.clone()),
            };
            Ordered { direction, subjects: subjects.clone(), peers, servers, action, certain }
        };
        // It fails closed, see the evaluator.
        if rule.peers.contains(&ClusterPeer::Unknown) {
            let deny = rule.action != Action::Accept;
            return deny.then(|| part(classes.all.clone(), None, Action::Deny, true)).into_iter().collect();
        }
        let mut certain = ClassSet::default();
        for term in rule.peers.iter().flat_map(Term::cluster_peer) {
            certain.unite(&classes.yes(&term));
        }
        let mut parts = vec![part(certain, Some(&rule.ports), rule.action, true)];
        if rule.peers.iter().any(|peer| matches!(peer, ClusterPeer::DomainNames(_))) {
            let pods = rule.peers.iter().any(ClusterPeer::may_name_pods);
            let ends = (0..).zip(&classes.ends).filter(|(_, end)| pods || end.kind != Kind::Pods);
            let named = ends.map(|(end, _)| end).collect();
            parts.push(part(named, Some(&rule.ports), rule.action, false));
        }
        parts
    }
}

/// Lists of ports, each kept once.
#[derive(Default)]
struct Lists<'a> {
    lists: Vec<PortList<'a>>,
    known: FxHashMap<&'a Ports, u32>,
    /// Those with names of cluster-wide policies, and what they stand for on every end.
    cluster: FxHashMap<&'a ClusterPorts, Access>,
}

impl<'a> Lists<'a> {
    /// The index of a list.
    fn number(&mut self, written: &'a Ports, classes: &Classes<'a>) -> u32 {
        *self.known.entry(written).or_insert_with(|| {
            let (everywhere, by_server) = match written.has_names() {
                false => (Some(port_set(written, None)), Access::none()),
                true => (None, by_end(classes, |end| port_set(written, classes.subject(end)))),
            };
            self.lists.push(PortList { written, everywhere, by_server });
            self.lists.len() as u32 - 1
        })
    }

    /// The ports of a rule of a cluster-wide policy on its servers.
    fn cluster(
        &mut self,
        ports: &'a ClusterPorts,
        servers: &ClassSet,
        classes: &Classes<'a>,
    ) -> Vec<(PortSet, ClassSet)> {
        if !ports.has_names() {
            return vec![(cluster_port_set(ports, None), servers.clone())];
        }
        let everywhere = || by_end(classes, |end| cluster_port_set(ports, classes.cluster_subject(end)));
        cells(self.cluster.entry(ports).or_insert_with(everywhere).within(servers))
    }
}

fn by_end(classes: &Classes<'_>, ports: impl Fn(u32) -> PortSet) -> Access {
    Access::by_class(classes.all.iter().map(|end| (end, ports(end))))
}

fn cells(access: Access) -> Vec<(PortSet, ClassSet)> {
    access.cells().map(|(ports, servers)| (ports.clone(), servers.clone())).collect()
}
