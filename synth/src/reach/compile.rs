//! A set of policies over classes: every selector answered once, equal peers kept once.

use rustc_hash::FxHashMap;

use super::access::{Access, ClassSet};
use super::classes::{Classes, Kind};
use super::term::Term;
use crate::cluster::{Action, ClusterPeer, ClusterPolicy, ClusterPorts, ClusterRule, Tier};
use crate::evaluate::{cluster_port_set, port_set};
use crate::policy::{Direction, Peers, Policy, PolicySet, Ports, Rule};
use crate::ports::PortSet;

/// All policies, compiled. Classes here are the ends of [`Classes`].
pub(super) struct Compiled<'a> {
    /// The distinct sets of peers.
    pub(super) peers: Vec<ClassSet>,
    /// By policy.
    pub(super) network: Vec<Network<'a>>,
    /// By direction and end: the policies that isolate it.
    pub(super) isolating: [Vec<Vec<u32>>; 2],
    /// By direction: the ends that some policy isolates.
    pub(super) isolated: [ClassSet; 2],
    /// Which ports servers open to one set of peers.
    pub(super) opened: Vec<Access>,
    /// By end: which of `opened` are for it, but for `to_all`.
    pub(super) opened_to: Vec<Vec<u32>>,
    /// What servers open to every end.
    pub(super) to_all: Access,
    /// Rules of cluster-wide policies by tier, in the order in which they are asked.
    pub(super) tiers: [Vec<Ordered>; 2],
}

/// A NetworkPolicy.
pub(super) struct Network<'a> {
    /// By direction: the rules' peers, by index, and their ports.
    pub(super) rules: [Vec<(u32, &'a Ports)>; 2],
    /// What its egress rules grant.
    pub(super) granted: Access,
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
            Compiler { classes, peers: Vec::new(), known: FxHashMap::default(), named: Named::default() };
        let mut isolating = [vec![Vec::new(); count], vec![Vec::new(); count]];
        let mut isolated = [ClassSet::default(), ClassSet::default()];
        let mut network = Vec::with_capacity(set.network.len());
        // By set of peers: the servers and ports of every rule.
        let mut opened: FxHashMap<u32, Vec<(PortSet, ClassSet)>> = FxHashMap::default();
        for (number, policy) in (0..).zip(set.network) {
            let subjects = classes.yes(&Term::subject(policy));
            for direction in Direction::ALL.into_iter().filter(|direction| policy.rules(*direction).is_some()) {
                isolated[at(direction)].unite(&subjects);
                subjects.iter().for_each(|end| isolating[at(direction)][end as usize].push(number));
            }
            let mut rules = |direction| -> Vec<(u32, &'a Ports)> {
                let rules: &'a [Rule] = policy.rules(direction).unwrap_or_default();
                rules.iter().map(|rule| (compiler.peers_of(policy, rule), &rule.ports)).collect()
            };
            let rules = [rules(Direction::Ingress), rules(Direction::Egress)];
            for (peers, ports) in &rules[at(Direction::Ingress)] {
                let servers = compiler.named.network(ports, &subjects, classes);
                opened.entry(*peers).or_default().extend(servers);
            }
            let granted = rules[at(Direction::Egress)].iter().flat_map(|(peers, ports)| {
                let peers = &compiler.peers[*peers as usize];
                compiler.named.network(ports, peers, classes)
            });
            let granted = granted.collect();
            network.push(Network { rules, granted });
        }
        let mut compiled = Compiled {
            network,
            isolating,
            isolated,
            opened: Vec::with_capacity(opened.len()),
            opened_to: vec![Vec::new(); count],
            to_all: Access::none(),
            tiers: compiler.tiers(set.cluster),
            peers: compiler.peers,
        };
        let mut opened: Vec<_> = opened.into_iter().collect();
        opened.sort_unstable_by_key(|(peers, _)| *peers);
        for (peers, servers) in opened {
            let access: Access = servers.into_iter().collect();
            let peers = &compiled.peers[peers as usize];
            if *peers == classes.all {
                compiled.to_all = compiled.to_all.union(&access);
                continue;
            }
            let index = compiled.opened.len() as u32;
            peers.iter().for_each(|end| compiled.opened_to[end as usize].push(index));
            compiled.opened.push(access);
        }
        compiled
    }
}

struct Compiler<'a, 'c> {
    classes: &'c Classes<'a>,
    peers: Vec<ClassSet>,
    known: FxHashMap<Option<Vec<Term<'a>>>, u32>,
    named: Named<'a>,
}

impl<'a> Compiler<'a, '_> {
    /// The index of a rule's peers.
    fn peers_of(&mut self, policy: &'a Policy, rule: &'a Rule) -> u32 {
        let terms = match &rule.peers {
            Peers::Everyone => None,
            Peers::Any(peers) => Some(peers.iter().map(|peer| Term::peer(&policy.namespace, peer)).collect::<Vec<_>>()),
        };
        if let Some(index) = self.known.get(&terms) {
            return *index;
        }
        let set = match &terms {
            None => self.classes.all.clone(),
            Some(terms) => self.united(terms),
        };
        let index = self.peers.len() as u32;
        self.peers.push(set);
        self.known.insert(terms, index);
        index
    }

    fn united(&self, terms: &[Term<'a>]) -> ClassSet {
        let mut set = ClassSet::default();
        terms.iter().for_each(|term| set.unite(&self.classes.yes(term)));
        set
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
                Some(ports) => self.named.cluster(ports, servers, classes).into_iter().collect(),
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

/// Lists of ports with names in them, and what they stand for on every end.
#[derive(Default)]
struct Named<'a> {
    network: FxHashMap<&'a Ports, Access>,
    cluster: FxHashMap<&'a ClusterPorts, Access>,
}

impl<'a> Named<'a> {
    /// The ports of a rule on its servers.
    fn network(&mut self, ports: &'a Ports, servers: &ClassSet, classes: &Classes<'a>) -> Vec<(PortSet, ClassSet)> {
        if !ports.has_names() {
            return vec![(port_set(ports, None), servers.clone())];
        }
        let everywhere = || by_end(classes, |end| port_set(ports, classes.subject(end)));
        cells(self.network.entry(ports).or_insert_with(everywhere).within(servers))
    }

    /// The same of a cluster-wide rule.
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
    classes.all.iter().map(|end| (ports(end), ClassSet::from_iter([end]))).collect()
}

fn cells(access: Access) -> Vec<(PortSet, ClassSet)> {
    access.cells().map(|(ports, servers)| (ports.clone(), servers.clone())).collect()
}
