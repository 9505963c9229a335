//! A change of policies, rule by rule: added, removed, widened, narrowed.
//!
//! Rules are compared as they are written: a rule is wider than another if each of its peers and ports takes in theirs. What a
//! change means for pods and addresses is [`crate::diff`].

use std::collections::BTreeMap;

use crate::addresses::AddressSet;
use crate::cluster::{ClusterPolicy, ClusterRule};
use crate::label::Selector;
use crate::part::{Part, PolicyIndex};
use crate::policy::{
    AnyPolicy, Direction, Namespaces, Peer, Peers, Policy, PolicyPort, PolicySet, PortMatch, Ports, Rule,
};

/// What became of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It allows all that it did, and more.
    Widened,
    /// It allows less, and nothing new.
    Narrowed,
    /// It allows other things.
    Changed,
}

impl Change {
    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Widened => "widened",
            Change::Narrowed => "narrowed",
            Change::Changed => "changed",
        }
    }
}

/// A rule that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleChange {
    /// How.
    pub change: Change,
    /// The rule in the old set; `None` where it was added.
    pub old: Option<Part>,
    /// The rule in the new set; `None` where it was removed.
    pub new: Option<Part>,
}

/// A policy that changed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyChange {
    /// Added, removed, or changed: it selects other pods or isolates other directions. Neither is wider or narrower: whoever is
    /// isolated by it may do less, and whoever its rules are for may do more.
    pub change: Change,
    /// In the old set.
    pub old: Option<PolicyIndex>,
    /// In the new set.
    pub new: Option<PolicyIndex>,
}

/// What changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revision {
    /// By name of the policy.
    pub policies: Vec<PolicyChange>,
    /// By name of the policy, then in the order of the rules, old ones before new ones. Rules of policies that are new or gone
    /// are among them.
    pub rules: Vec<RuleChange>,
}

impl Revision {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty() && self.rules.is_empty()
    }
}

/// Compares the NetworkPolicies of two sets, and which cluster-wide policies are new, gone or changed. Policies are the same if
/// their names are.
pub fn revision(old: PolicySet<'_>, new: PolicySet<'_>) -> Revision {
    let mut revision = Revision::default();
    let mut ids: BTreeMap<String, (Option<PolicyIndex>, Option<PolicyIndex>)> = BTreeMap::new();
    for (set, is_new) in [(old, false), (new, true)] {
        let network = (0..set.network.len()).map(PolicyIndex::Network);
        for index in network.chain((0..set.cluster.len()).map(PolicyIndex::Cluster)) {
            let sides = ids.entry(Part::policy(index).of(set).id()).or_default();
            *(if is_new { &mut sides.1 } else { &mut sides.0 }) = Some(index);
        }
    }
    for sides in ids.into_values() {
        revision.policy(sides, old, new);
    }
    revision
}

impl Revision {
    fn policy(&mut self, sides: (Option<PolicyIndex>, Option<PolicyIndex>), old: PolicySet<'_>, new: PolicySet<'_>) {
        let rules = |index: Option<PolicyIndex>, set: PolicySet<'_>| -> Vec<Part> {
            let Some(index) = index else { return Vec::new() };
            let count = |direction| match Part::policy(index).of(set) {
                AnyPolicy::Network(policy) => policy.rules(direction).map_or(0, <[Rule]>::len),
                AnyPolicy::Cluster(policy) => policy.rules(direction).len(),
            };
            let of = |direction| (0..count(direction)).map(move |rule| Part::rule(index, direction, rule));
            Direction::ALL.into_iter().flat_map(of).collect()
        };
        let whole = |change| PolicyChange { change, old: sides.0, new: sides.1 };
        match sides {
            (Some(before), Some(after)) => match (Part::policy(before).of(old), Part::policy(after).of(new)) {
                (AnyPolicy::Network(before), AnyPolicy::Network(after)) => {
                    self.policies.extend(subject(before, after).map(whole));
                    for direction in Direction::ALL {
                        self.direction(sides, direction, (before, after));
                    }
                }
                (AnyPolicy::Cluster(before), AnyPolicy::Cluster(after)) => {
                    let rules = |policy: &ClusterPolicy| {
                        let all = policy.ingress.iter().chain(&policy.egress);
                        all.map(|rule| ClusterRule { line: 0, ..rule.clone() }).collect::<Vec<_>>()
                    };
                    let alike = (&before.subject, before.ingress.len(), before.priority)
                        == (&after.subject, after.ingress.len(), after.priority)
                        && rules(before) == rules(after);
                    self.policies.extend((!alike).then(|| whole(Change::Changed)));
                }
                _ => {}
            },
            (None, Some(_)) => {
                self.policies.push(whole(Change::Added));
                let added = |new| RuleChange { change: Change::Added, old: None, new: Some(new) };
                self.rules.extend(rules(sides.1, new).into_iter().map(added));
            }
            (Some(_), None) => {
                self.policies.push(whole(Change::Removed));
                let removed = |old| RuleChange { change: Change::Removed, old: Some(old), new: None };
                self.rules.extend(rules(sides.0, old).into_iter().map(removed));
            }
            (None, None) => {}
        }
    }

    fn direction(
        &mut self,
        sides: (Option<PolicyIndex>, Option<PolicyIndex>),
        direction: Direction,
        (old, new): (&Policy, &Policy),
    ) {
        let (Some(before), Some(after)) = sides else { return };
        let (was, is) = (old.rules(direction).unwrap_or_default(), new.rules(direction).unwrap_or_default());
        let same = |a: &Rule, b: &Rule| covers(a, b) && covers(b, a);
        let mut left: Vec<usize> = (0..is.len()).collect();
        let mut gone = Vec::new();
        for (at, rule) in was.iter().enumerate() {
            match left.iter().position(|other| same(rule, &is[*other])) {
                Some(place) => _ = left.remove(place),
                None => gone.push(at),
            }
        }
        // Each rule that is gone goes with the one that is most like it, if any is: those that are wider or narrower first.
        let mut found: Vec<(usize, RuleChange)> = Vec::new();
        for wanted in [Change::Widened, Change::Narrowed, Change::Changed] {
            gone.retain(|at| {
                let rule = &was[*at];
                let is_like = |other: &Rule| match wanted {
                    Change::Widened => covers(other, rule),
                    Change::Narrowed => covers(rule, other),
                    _ => peers_alike(rule, other) || ports_alike(rule, other),
                };
                let Some(place) = left.iter().position(|other| is_like(&is[*other])) else { return true };
                let new = Part::rule(after, direction, left.remove(place));
                let old = Some(Part::rule(before, direction, *at));
                found.push((*at, RuleChange { change: wanted, old, new: Some(new) }));
                false
            });
        }
        for at in gone {
            let old = Some(Part::rule(before, direction, at));
            found.push((at, RuleChange { change: Change::Removed, old, new: None }));
        }
        found.sort_by_key(|(at, _)| *at);
        self.rules.extend(found.into_iter().map(|(_, change)| change));
        let added =
            |rule| RuleChange { change: Change::Added, old: None, new: Some(Part::rule(after, direction, rule)) };
        self.rules.extend(left.into_iter().map(added));
    }
}

/// Whether a policy of one name selects other pods, or isolates other directions.
fn subject(old: &Policy, new: &Policy) -> Option<Change> {
    let directions = |policy: &Policy| Direction::ALL.map(|direction| policy.rules(direction).is_some());
    let alike = directions(old) == directions(new) && old.subject == new.subject;
    (!alike).then_some(Change::Changed)
}

/// Whether one rule allows, by what is written, all that another does.
pub fn covers(wide: &Rule, narrow: &Rule) -> bool {
    let peers = match (&wide.peers, &narrow.peers) {
        (Peers::Everyone, _) => true,
        (Peers::Any(_), Peers::Everyone) => false,
        (Peers::Any(wide), Peers::Any(narrow)) => all_peers(wide, narrow),
    };
    let ports = match (&wide.ports, &narrow.ports) {
        (Ports::All, _) => true,
        (Ports::Any(_), Ports::All) => false,
        (Ports::Any(wide), Ports::Any(narrow)) => {
            narrow.iter().all(|port| wide.iter().any(|other| port_covers(other, port)))
        }
    };
    peers && ports
}

/// Blocks are held against all blocks together: two halves are the whole.
fn all_peers(wide: &[Peer], narrow: &[Peer]) -> bool {
    let blocks = wide.iter().filter_map(|peer| match peer {
        Peer::Block(block) => Some(AddressSet::of_block(block)),
        Peer::Pods { .. } => None,
    });
    let addresses = blocks.fold(AddressSet::empty(), |all, block| all.union(&block));
    narrow.iter().all(|peer| match peer {
        Peer::Block(block) => AddressSet::of_block(block).difference(&addresses).is_empty(),
        Peer::Pods { namespaces, pods } => wide.iter().any(|other| match other {
            Peer::Pods { namespaces: theirs, pods: others } => {
                let reaches = match (theirs, namespaces) {
                    (Namespaces::Own, Namespaces::Own) => true,
                    (Namespaces::Matching(all), Namespaces::Own) => all.is_everything(),
                    (Namespaces::Own, Namespaces::Matching(_)) => false,
                    (Namespaces::Matching(wide), Namespaces::Matching(narrow)) => selects(wide, narrow),
                };
                reaches && selects(others, pods)
            }
            Peer::Block(_) => false,
        }),
    })
}

/// Whether a selector asks for no more than another.
fn selects(wide: &Selector, narrow: &Selector) -> bool {
    wide.requirements().all(|requirement| narrow.requirements().any(|other| other == requirement))
}

fn port_covers(wide: &PolicyPort, narrow: &PolicyPort) -> bool {
    wide.protocol == narrow.protocol
        && match (&wide.port, &narrow.port) {
            (PortMatch::Every, _) => true,
            (PortMatch::Range(wide), PortMatch::Range(narrow)) => {
                wide.from() <= narrow.from() && narrow.to() <= wide.to()
            }
            (PortMatch::Named(one), PortMatch::Named(other)) => one == other,
            _ => false,
        }
}

fn peers_alike(one: &Rule, other: &Rule) -> bool {
    one.peers == other.peers || one.peers.listed().iter().any(|peer| other.peers.listed().contains(peer))
}

fn ports_alike(one: &Rule, other: &Rule) -> bool {
    one.ports == other.ports
}

#[cfg(test)]
mod tests;
