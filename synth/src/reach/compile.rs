//! A set of policies over classes: every selector answered once, equal peers kept once.

use rustc_hash::FxHashMap;

use super::access::{Access, ClassSet};
use super::classes::{Classes, Kind};
use super::opened::Opened;
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
    /// What ingress rules grant.
    pub(super) opened: Opened,
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
        // By peer, `None` for everyone: the servers and ports of every rule. Single peers are the same again and again,
        // lists of them seldom.
        let mut opened: FxHashMap<Option<Term<'a>>, Vec<(PortSet, ClassSet)>> = FxHashMap::default();
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
            for rule in policy.rules(Direction::Ingress).unwrap_or_default() {
                let servers = compiler.named.network(&rule.ports, &subjects, classes);
                for peer in terms(policy, rule) {
                    opened.entry(peer).or_default().extend(servers.iter().cloned());
                }
            }
            let granted = rules[at(Direction::Egress)].iter().flat_map(|(peers, ports)| {
                let peers = &compiler.peers[*peers as usize];
                compiler.named.network(ports, peers, classes)
            });
            let granted = granted.collect();
            network.push(Network { rules, granted });
        }
        let opened = opened.into_iter().map(|(peer, servers)| (classes.peers(peer), servers));
        let opened = Opened::new(opened, count);
        let tiers = compiler.tiers(set.cluster);
        Compiled { network, isolating, isolated, opened, tiers, peers: compiler.peers }
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
    named: Named<'a>,
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
            let outside = (0..).zip(&classes.ends).filter(|(_, end)| end.kind != Kind::Pods).map(|(end, _)| end);
            parts.push(part(outside.collect(), Some(&rule.ports), rule.action, false));
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
        let everywhere = || by_end(classes, |end| cluster_port_set(ports, classes.subject(end)));
        cells(self.cluster.entry(ports).or_insert_with(everywhere).within(servers))
    }
}

fn by_end(classes: &Classes<'_>, ports: impl Fn(u32) -> PortSet) -> Access {
    classes.all.iter().map(|end| (ports(end), ClassSet::from_iter([end]))).collect()
}

fn cells(access: Access) -> Vec<(PortSet, ClassSet)> {
    access.cells().map(|(ports, servers)| (ports.clone(), servers.clone())).collect()
}
