//! What single parts of NetworkPolicies grant that nothing else does.
//!
//! The question is asked on one side only: what the other end of a connection says changes nothing about who grants it
//! here.

use std::cell::RefCell;
use std::collections::BTreeSet;

use rustc_hash::{FxHashMap, FxHashSet};

use super::access::{Access, ClassSet};
use super::classes::Classes;
use super::compile::{Compiled, at, at_tier};
use super::term::Term;
use crate::cluster::Tier;
use crate::evaluate::course::{Algebra, Course};
use crate::evaluate::port_set;
use crate::part::{Part, PolicyIndex, Removed};
use crate::policy::{Direction, Peers, PolicyPort, PolicySet, Ports, Rule};
use crate::ports::PortSet;

/// The NetworkPolicies of a set over classes, part by part.
pub(crate) struct Grants<'a> {
    classes: &'a Classes<'a>,
    set: PolicySet<'a>,
    compiled: Compiled<'a>,
    /// Which pods there are besides those of the classes: made-up ones stand for several.
    several: bool,
    peers: RefCell<FxHashMap<Term<'a>, ClassSet>>,
}

impl<'a> Grants<'a> {
    /// `several`: each pod stands for any number of pods, as made-up ones do.
    pub(crate) fn new(classes: &'a Classes<'a>, set: PolicySet<'a>, several: bool) -> Grants<'a> {
        let compiled = Compiled::new(classes, set);
        Grants { classes, set, compiled, several, peers: RefCell::default() }
    }

    /// The ends that a policy is about.
    fn subjects(&self, policy: usize) -> ClassSet {
        self.classes.yes(&Term::subject(&self.set.network[policy]))
    }

    /// The ends that an element of `from` or `to` is, or everyone.
    fn peer(&self, policy: usize, rule: &'a Rule, peer: Option<usize>) -> ClassSet {
        let policy = &self.set.network[policy];
        let Some(peer) = peer else { return self.classes.all.clone() };
        let term = Term::peer(&policy.namespace, &rule.peers.listed()[peer]);
        self.peers.borrow_mut().entry(term).or_insert_with(|| self.classes.yes(&term)).clone()
    }

    /// What elements of a rule grant to `subject`: these peers (all where there are none), these ports.
    fn granted(&self, part: Part, subject: u32, peers: &[Option<usize>], ports: &[Option<usize>]) -> Access {
        let Some((policy, direction, rule)) = self.rule(part) else { return Access::none() };
        let mut ends = ClassSet::default();
        peers.iter().for_each(|peer| ends.unite(&self.peer(policy, rule, *peer)));
        let list: Vec<Option<&PolicyPort>> = ports.iter().map(|port| port.map(|at| &rule.ports.listed()[at])).collect();
        let on = |server: u32| {
            let pod = self.classes.subject(server);
            let sets = list.iter().map(|port| match port {
                None => PortSet::everything(),
                Some(port) => port_set(&Ports::Any(vec![(*port).clone()]), pod),
            });
            sets.fold(PortSet::empty(), |all, set| all.union(&set))
        };
        if direction == Direction::Ingress || !rule.ports.has_names() {
            return Access::of(on(subject), ends);
        }
        Access::by_class(ends.iter().map(|server| (server, on(server))).filter(|(_, ports)| !ports.is_empty()))
    }

    fn rule(&self, part: Part) -> Option<(usize, Direction, &'a Rule)> {
        let PolicyIndex::Network(policy) = part.policy else { return None };
        let (direction, rule) = (part.direction?, part.rule?);
        Some((policy, direction, self.set.network[policy].rules(direction)?.get(rule)?))
    }

    /// Whether a rule, peer or port of a NetworkPolicy grants what nothing else does.
    pub(crate) fn adds(&self, part: Part, gone: Gone<'_>) -> bool {
        self.adds_beyond(part, gone, |_| true)
    }

    /// Whether a rule grants what another one alone does not.
    pub(crate) fn adds_to(&self, rule: Part, other: Part, gone: Gone<'_>) -> bool {
        self.adds_beyond(rule, gone, |part| part == other)
    }

    /// The rules that are about a subject of a rule too, in its direction, and are not gone.
    pub(crate) fn beside(&self, part: Part, gone: Gone<'_>) -> BTreeSet<Part> {
        let Some((policy, direction, _)) = self.rule(part) else { return BTreeSet::new() };
        let isolating = |subject: u32| self.compiled.isolating[at(direction)][subject as usize].as_slice();
        let mut policies: Vec<u32> = self.subjects(policy).iter().flat_map(isolating).copied().collect();
        policies.sort_unstable();
        policies.dedup();
        let others = self.others(&policies, direction, part).map(|(other, _)| other);
        others.filter(|other| !gone.others.contains(*other)).collect()
    }

    fn adds_beyond(&self, part: Part, gone: Gone<'_>, counts: impl Fn(Part) -> bool) -> bool {
        let removed = gone.others;
        let Some((policy, direction, rule)) = self.rule(part) else { return false };
        let Some((peers, ports)) = elements(rule, part, gone.own) else { return false };
        let own = |only: Option<usize>, all: &[Option<usize>]| only.map_or(all.to_vec(), |at| vec![Some(at)]);
        let (of_peer, of_port) = (own(part.peer, &peers), own(part.port, &ports));
        // What is left of the rule without the part.
        let without = |all: &[Option<usize>], gone: Option<usize>| -> Vec<Option<usize>> {
            all.iter().copied().filter(|at| gone.is_none() || *at != gone).collect()
        };
        let (left_peers, left_ports) = elements(rule, part, removed).unwrap_or_default();
        let (rest_peers, rest_ports) = (without(&left_peers, part.peer), without(&left_ports, part.port));
        let is_whole = part.peer.is_none() && part.port.is_none();

        let mut known: FxHashSet<(&[u32], Option<u32>)> = FxHashSet::default();
        let subjects = self.subjects(policy);
        for subject in subjects.iter() {
            let isolating = self.compiled.isolating[at(direction)][subject as usize].as_slice();
            let alone = self.is_alone(subject);
            // Subjects of the same policies differ in the ports that names stand for, in who they are, in families, and in
            // what cluster-wide policies say before.
            let like = (direction == Direction::Ingress && self.has_names(isolating)
                || alone
                || !self.compiled.tiers[at_tier(Tier::Admin)].is_empty()
                || !self.classes.is_of_any_family(subject))
            .then_some(subject);
            if !known.insert((isolating, like)) {
                continue;
            }
            let mut granted = self.granted(part, subject, &of_peer, &of_port);
            granted = granted.within(&self.classes.partners(subject));
            if alone {
                granted.subtract(&Access::of(PortSet::everything(), [subject].into_iter().collect()));
            }
            if !is_whole {
                granted.subtract(&self.granted(part, subject, &rest_peers, &rest_ports));
            }
            for (other, rule) in self.others(isolating, direction, part).filter(|(other, _)| counts(*other)) {
                if granted.is_empty() {
                    break;
                }
                if let Some((peers, ports)) = elements(rule, other, removed) {
                    granted.subtract(&self.granted(other, subject, &peers, &ports));
                }
            }
            if !granted.is_empty() && self.is_asked(direction, subject, granted) {
                return true;
            }
        }
        false
    }

    /// The rules that also say something about a subject.
    fn others(&self, isolating: &[u32], direction: Direction, part: Part) -> impl Iterator<Item = (Part, &'a Rule)> {
        let set = self.set;
        let rules = isolating.iter().flat_map(move |policy| {
            let policy = *policy as usize;
            let rules = set.network[policy].rules(direction).unwrap_or_default().iter().enumerate();
            rules.map(move |(number, rule)| (Part::rule(PolicyIndex::Network(policy), direction, number), rule))
        });
        rules.filter(move |(other, _)| *other != part.whole_rule())
    }

    fn has_names(&self, isolating: &[u32]) -> bool {
        let policies = isolating.iter().map(|policy| &self.set.network[*policy as usize]);
        policies.flat_map(|policy| policy.ingress.iter().flatten()).any(|rule| rule.ports.has_names())
    }

    /// Whether an end is one pod, which always reaches itself.
    fn is_alone(&self, end: u32) -> bool {
        !self.several && self.classes.is_one_pod(end)
    }

    /// Whether the NetworkPolicies have a say about any of `granted`, or cluster-wide policies decide all of it before.
    fn is_asked(&self, direction: Direction, subject: u32, granted: Access) -> bool {
        let tier = &self.compiled.tiers[at_tier(Tier::Admin)];
        let rules = tier.iter().filter(|rule| rule.direction == direction && rule.subjects.contains(subject));
        let mut course = Course::new(granted.clone());
        for rule in rules {
            let matched = match direction {
                Direction::Egress => rule.servers.clone(),
                Direction::Ingress => {
                    let ports = rule.servers.ports(subject).cloned().unwrap_or_else(PortSet::empty);
                    Access::of(ports, rule.peers.clone())
                }
            };
            course.rule(rule.action, rule.certain, matched);
        }
        course.tier_is_over();
        let mut denied = course.clone();
        course.network_policies(&granted, &granted);
        denied.network_policies(&granted, &Access::none());
        course.finish() != denied.finish()
    }

    /// The other policies without rules that isolate the same ends in the same directions.
    pub(crate) fn isolating_alike(&self, policy: usize, removed: &Removed) -> Vec<usize> {
        let shape = |policy: usize| {
            let policy = &self.set.network[policy];
            Direction::ALL.map(|direction| policy.rules(direction).map(<[Rule]>::is_empty))
        };
        let is_like = |other: &usize| {
            *other != policy
                && shape(*other) == shape(policy)
                && !removed.contains(Part::policy(PolicyIndex::Network(*other)))
                && self.subjects(*other) == self.subjects(policy)
        };
        (0..self.set.network.len()).filter(is_like).collect()
    }

    /// Whether a NetworkPolicy isolates an end that nothing else isolates which is not `removed`.
    pub(crate) fn isolates_alone(&self, policy: usize, removed: &Removed) -> bool {
        let is_left = |other: &u32| {
            let other = *other as usize;
            other != policy && !removed.contains(Part::policy(PolicyIndex::Network(other)))
        };
        let mut directions =
            Direction::ALL.into_iter().filter(|direction| self.set.network[policy].rules(*direction).is_some());
        let subjects = self.subjects(policy);
        directions.any(|direction| {
            let isolating = &self.compiled.isolating[at(direction)];
            subjects.iter().any(|subject| !isolating[subject as usize].iter().any(is_left))
        })
    }

    /// About how much a rule allows, for telling small from large: pairs of ends, weighted by ports.
    pub(crate) fn size(&self, part: Part) -> u128 {
        let Some((policy, _, rule)) = self.rule(part) else { return 0 };
        let Some((peers, ports)) = elements(rule, part, &Removed::default()) else { return 0 };
        let subjects = self.subjects(policy);
        let Some(subject) = subjects.iter().next() else { return 0 };
        let granted = self.granted(part, subject, &peers, &ports);
        let cells = granted.cells().map(|(ports, ends)| u128::from(ports.count()) * u128::from(ends.len()));
        cells.sum::<u128>() * u128::from(subjects.len())
    }
}

/// What is deleted already.
#[derive(Clone, Copy)]
pub(crate) struct Gone<'r> {
    /// Of what is asked about.
    pub(crate) own: &'r Removed,
    /// Of everything else: what selects nothing today may select something tomorrow, but nobody relies on it.
    pub(crate) others: &'r Removed,
}

impl<'r> Gone<'r> {
    /// The same of both.
    #[cfg(test)]
    pub(crate) fn from(removed: &'r Removed) -> Gone<'r> {
        Gone { own: removed, others: removed }
    }
}

/// The elements of a rule that are not `removed`, `None` standing for everyone and for all ports; `None` where the rule
/// is gone.
#[expect(clippy::type_complexity, reason = "two lists of the same kind")]
fn elements(rule: &Rule, part: Part, removed: &Removed) -> Option<(Vec<Option<usize>>, Vec<Option<usize>>)> {
    let (peers, ports) = removed.left(part.whole_rule(), rule.peers.listed().len(), rule.ports.listed().len())?;
    let all = |listed: Vec<usize>, everything: bool| match everything {
        true => vec![None],
        false => listed.into_iter().map(Some).collect(),
    };
    Some((all(peers, rule.peers == Peers::Everyone), all(ports, rule.ports == Ports::All)))
}
