//! Parts of policies whose deletion changes nothing, because everything they allow is allowed elsewhere.

use std::collections::BTreeMap;

use crate::cluster::ClusterPeer;
use crate::evaluate::Options;
use crate::inventory::Inventory;
use crate::part::{Part, PolicyIndex, Removed, Shape};
use crate::policy::{Direction, Peer, PolicySet};
use crate::reach::{Classes, Grants, Reach};
use crate::witness;

/// Why a part is redundant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    /// Whatever pods there are.
    Structure,
    /// With the pods that there are today: others may come that make a difference.
    Today,
}

impl Basis {
    /// The word of the machine format.
    pub fn name(self) -> &'static str {
        match self {
            Basis::Structure => "structure",
            Basis::Today => "today",
        }
    }
}

/// A part that can go.
pub(super) struct Redundant {
    pub(super) part: Part,
    pub(super) basis: Basis,
    /// One rule that allows all of it, where one alone does.
    pub(super) covered: Option<Part>,
    /// Rules that say the same, of which one has to stay.
    pub(super) twins: Vec<Part>,
}

/// Finds redundant parts and removes them, the narrowest first: together they can go. Returns them with the sizes of all
/// rules.
pub(super) fn redundant(
    set: PolicySet<'_>,
    rules: &[(Part, Shape)],
    inventory: &Inventory,
    options: Options,
    removed: &mut Removed,
) -> (Vec<Redundant>, BTreeMap<Part, u128>) {
    let witnesses = witness::cluster(&[set], &inventory.namespaces);
    let made_up = Classes::new(&witnesses.inventory, &[set], options);
    let today = Classes::new(inventory, &[set], options);
    let sizes = {
        let now = Grants::new(&today, set, false);
        rules.iter().map(|(rule, _)| (*rule, now.size(*rule))).collect()
    };
    let has_pods = inventory.pods.iter().any(|pod| !options.is_node(pod));
    // Where not everything that could be told apart is there, nothing holds whatever pods there are. Made-up pods have
    // no addresses, which `networks` of cluster-wide policies match, and none is on the host network, where the two kinds
    // of policies may differ.
    let asked = || set.cluster.iter().flat_map(|policy| policy.ingress.iter().chain(&policy.egress));
    // A name may stand for a number that another rule lists, and there it matters which comes first.
    let by_name = asked().any(|rule| rule.ports.has_names());
    let by_address = asked().flat_map(|rule| &rule.peers).any(|peer| matches!(peer, ClusterPeer::Networks(_)));
    let complete = witnesses.complete && !by_address && (options.host_network_is_node || set.cluster.is_empty());
    let worlds = [(Basis::Structure, &made_up, complete), (Basis::Today, &today, has_pods)];
    let mut found = Vec::new();
    for (basis, classes, _) in worlds.into_iter().filter(|(.., holds)| *holds) {
        if basis == Basis::Today || !by_name {
            found.extend(cluster(set, rules, classes, basis, removed));
        }
        // What is gone of the cluster-wide policies decides nothing any more.
        let (_, left) = removed.from(set);
        let grants = Grants::new(classes, PolicySet { cluster: &left, ..set }, basis == Basis::Structure);
        let rules: Vec<(Part, Shape)> =
            rules.iter().copied().filter(|(rule, _)| basis == Basis::Today || !by_pod_address(*rule, set)).collect();
        found.extend(network(set, &rules, &grants, &sizes, basis, removed));
    }
    (found, sizes)
}

/// Policies of which no rule is left and that isolate nobody who is not isolated without them: they can go as a whole.
pub(super) fn hollow(set: PolicySet<'_>, inventory: &Inventory, options: Options, removed: &Removed) -> Vec<Part> {
    let witnesses = witness::cluster(&[set], &inventory.namespaces);
    if !witnesses.complete {
        return Vec::new();
    }
    let made_up = Classes::new(&witnesses.inventory, &[set], options);
    let grants = Grants::new(&made_up, set, true);
    let mut removed = removed.clone();
    let mut found = Vec::new();
    for (index, policy) in set.network.iter().enumerate() {
        let part = Part::policy(PolicyIndex::Network(index));
        let mut rules = Direction::ALL.into_iter().flat_map(|direction| {
            let count = policy.rules(direction).map_or(0, <[_]>::len);
            (0..count).map(move |number| Part::rule(PolicyIndex::Network(index), direction, number))
        });
        let is_hollow = !removed.contains(part) && rules.all(|rule| removed.contains(rule));
        let touched = removed.iter().any(|gone| gone.policy == part.policy);
        if is_hollow && touched && !grants.isolates_alone(index, &removed) {
            removed.insert(part);
            found.push(part);
        }
    }
    found
}

/// Whether what a rule allows depends on the addresses of pods: a name stands for a port only where a pod is behind the
/// address.
fn by_pod_address(part: Part, set: PolicySet<'_>) -> bool {
    let (PolicyIndex::Network(index), Some(Direction::Egress), Some(number)) = (part.policy, part.direction, part.rule)
    else {
        return false;
    };
    let rule = set.network[index].rules(Direction::Egress).and_then(|rules| rules.get(number));
    rule.is_some_and(|rule| {
        rule.ports.has_names() && rule.peers.listed().iter().any(|peer| matches!(peer, Peer::Block(_)))
    })
}

fn network(
    set: PolicySet<'_>,
    rules: &[(Part, Shape)],
    grants: &Grants<'_>,
    sizes: &BTreeMap<Part, u128>,
    basis: Basis,
    removed: &mut Removed,
) -> Vec<Redundant> {
    let mut found = Vec::new();
    let mut ours: Vec<(Part, Shape)> =
        rules.iter().copied().filter(|(rule, _)| matches!(rule.policy, PolicyIndex::Network(_))).collect();
    // Of two that say the same the later one goes.
    ours.sort_by_key(|(rule, _)| (sizes.get(rule).copied().unwrap_or_default(), std::cmp::Reverse(*rule)));
    for (rule, _) in &ours {
        if !removed.contains(*rule) && !grants.adds(*rule, removed) {
            let others = siblings(set, rules, *rule, removed);
            let covered = others.iter().copied().find(|other| !grants.adds_to(*rule, *other, removed));
            let same =
                |other: &Part| !grants.adds_to(*rule, *other, removed) && !grants.adds_to(*other, *rule, removed);
            let twins = others.iter().copied().filter(same).collect();
            removed.insert(*rule);
            found.push(Redundant { part: *rule, basis, covered, twins });
        }
    }
    for (rule, shape) in &ours {
        let peers = (0..shape.peers).rev().filter(|_| shape.peers > 1).map(|at| rule.with_peer(at));
        let ports = (0..shape.ports).rev().filter(|_| shape.ports > 1).map(|at| rule.with_port(at));
        for part in peers.chain(ports) {
            if !removed.contains(part) && !grants.adds(part, removed) {
                removed.insert(part);
                found.push(Redundant { part, basis, covered: None, twins: Vec::new() });
            }
        }
    }
    for index in (0..set.network.len()).rev() {
        let part = Part::policy(PolicyIndex::Network(index));
        let policy = &set.network[index];
        let has_rules =
            Direction::ALL.iter().any(|direction| policy.rules(*direction).is_some_and(|it| !it.is_empty()));
        if !has_rules && !removed.contains(part) && !grants.isolates_alone(index, removed) {
            removed.insert(part);
            found.push(Redundant { part, basis, covered: None, twins: Vec::new() });
        }
    }
    found
}

/// The other rules of the same namespace and direction.
fn siblings(set: PolicySet<'_>, rules: &[(Part, Shape)], rule: Part, removed: &Removed) -> Vec<Part> {
    let namespace = |part: Part| match part.policy {
        PolicyIndex::Network(index) => Some(set.network[index].namespace.as_str()),
        PolicyIndex::Cluster(_) => None,
    };
    let like = |other: &&(Part, Shape)| {
        other.0 != rule
            && other.0.direction == rule.direction
            && namespace(other.0) == namespace(rule)
            && !removed.contains(other.0)
    };
    rules.iter().filter(like).map(|(other, _)| *other).collect()
}

/// Cluster-wide policies are lists of decisions, so each part is deleted and all that is left is asked anew: they are few.
fn cluster(
    set: PolicySet<'_>,
    rules: &[(Part, Shape)],
    classes: &Classes<'_>,
    basis: Basis,
    removed: &mut Removed,
) -> Vec<Redundant> {
    let mut found = Vec::new();
    let ours = rules.iter().filter(|(rule, shape)| shape.allows && matches!(rule.policy, PolicyIndex::Cluster(_)));
    for (rule, shape) in ours.rev() {
        let peers = (0..shape.peers).rev().filter(|_| shape.peers > 1).map(|at| rule.with_peer(at));
        let ports = (0..shape.ports).rev().filter(|_| shape.ports > 1).map(|at| rule.with_port(at));
        for part in std::iter::once(*rule).chain(peers).chain(ports) {
            if removed.contains(part) {
                continue;
            }
            let with = removed.from(set);
            removed.insert(part);
            let without = removed.from(set);
            if same(classes, &with, &without, rule.direction) {
                found.push(Redundant { part, basis, covered: None, twins: Vec::new() });
            } else {
                removed.restore(part);
            }
        }
    }
    found
}

type Policies = (Vec<crate::policy::Policy>, Vec<crate::cluster::ClusterPolicy>);

/// Whether two sets of policies decide alike on the side of a direction.
fn same(classes: &Classes<'_>, one: &Policies, two: &Policies, direction: Option<Direction>) -> bool {
    let [one, two] = [one, two].map(|(network, cluster)| Reach::new(classes, PolicySet { network, cluster }));
    direction.is_none_or(|direction| one.side_equals(&two, direction))
}
