//! Parts of policies whose deletion changes nothing, because everything they allow is allowed elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::ClusterPeer;
use crate::evaluate::Options;
use crate::inventory::Inventory;
use crate::part::{Part, PolicyIndex, Removed, Shape};
use crate::policy::{Direction, Peer, Peers, PolicySet, Ports, Rule};
use crate::reach::{Classes, Gone, Grants, Reach};
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

/// Finds redundant parts and removes them, the narrowest first: together they can go, and with those that are `dead`.
/// Returns them with the sizes of all rules.
pub(super) fn redundant(
    set: PolicySet<'_>,
    rules: &[(Part, Shape)],
    inventory: &Inventory,
    options: Options,
    dead: &[Part],
    removed: &mut Removed,
) -> (Vec<Redundant>, BTreeMap<Part, u128>) {
    let witnesses = witness::cluster(&[set], &inventory.namespaces);
    let made_up = Classes::new(&witnesses.inventory, &[set], options);
    let today: Vec<Classes<'_>> =
        variants(options).into_iter().map(|options| Classes::new(inventory, &[set], options)).collect();
    let sizes = match today.first() {
        Some(today) => {
            let now = Grants::new(today, set, false);
            rules.iter().map(|(rule, _)| (*rule, now.size(*rule))).collect()
        }
        None => BTreeMap::new(),
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

    let mut found = Vec::new();
    if complete {
        let none = BTreeSet::new();
        let mut search =
            Search { set, sizes: &sizes, basis: Basis::Structure, dead, idle: &none, removed: removed.clone() };
        if !by_name {
            found.extend(search.cluster(rules, &[&made_up]));
        }
        let rules: Vec<(Part, Shape)> = rules.iter().copied().filter(|(rule, _)| !by_pod_address(*rule, set)).collect();
        found.extend(search.network(&rules, &[&made_up]));
        *removed = search.removed;
    }
    dead.iter().for_each(|part| removed.insert(*part));
    if has_pods {
        let idle = idle(set, inventory);
        let mut search =
            Search { set, sizes: &sizes, basis: Basis::Today, dead: &[], idle: &idle, removed: removed.clone() };
        let today: Vec<&Classes<'_>> = today.iter().collect();
        found.extend(search.cluster(rules, &today));
        found.extend(search.network(rules, &today));
        *removed = search.removed;
    }
    (found, sizes)
}

/// NetworkPolicies that select pods, and none that is not over.
fn idle(set: PolicySet<'_>, inventory: &Inventory) -> BTreeSet<PolicyIndex> {
    let mut idle = BTreeSet::new();
    for (index, policy) in set.network.iter().enumerate() {
        let pods = inventory.pods.iter();
        let mut selected =
            pods.filter(|pod| pod.namespace == policy.namespace && policy.subject.matches(&pod.labels)).peekable();
        if selected.peek().is_some() && selected.all(|pod| pod.finished) {
            idle.insert(PolicyIndex::Network(index));
        }
    }
    idle
}

/// The ways in which network plugins read the policies, where it is not said which: what a rule for addresses allows
/// pods is nothing to rely on.
pub(super) fn variants(options: Options) -> Vec<Options> {
    match options.ip_block_matches_pods {
        true => vec![options, Options { ip_block_matches_pods: false, ..options }],
        false => vec![options],
    }
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

/// The search for what is redundant among some pods.
struct Search<'s> {
    set: PolicySet<'s>,
    sizes: &'s BTreeMap<Part, u128>,
    basis: Basis,
    /// What selects nothing today: nobody relies on it, and it is nothing to find either.
    dead: &'s [Part],
    /// Policies whose pods are all over: of what they will allow, today's pods say nothing.
    idle: &'s BTreeSet<PolicyIndex>,
    removed: Removed,
}

impl Search<'_> {
    fn found(&mut self, part: Part) -> Redundant {
        self.removed.insert(part);
        Redundant { part, basis: self.basis, covered: None, twins: Vec::new() }
    }

    /// What nobody relies on.
    fn others(&self) -> Removed {
        let mut others = self.removed.clone();
        self.dead.iter().for_each(|part| others.insert(*part));
        others
    }

    fn network(&mut self, rules: &[(Part, Shape)], classes: &[&Classes<'_>]) -> Vec<Redundant> {
        // What is gone of the cluster-wide policies decides nothing any more.
        let (_, left) = self.removed.from(self.set);
        let set = PolicySet { cluster: &left, ..self.set };
        let several = self.basis == Basis::Structure;
        let grants: Vec<Grants<'_>> = classes.iter().map(|classes| Grants::new(classes, set, several)).collect();
        let mut others = self.others();
        let mut found = Vec::new();
        let mut ours: Vec<(Part, Shape)> =
            rules.iter().copied().filter(|(rule, _)| matches!(rule.policy, PolicyIndex::Network(_))).collect();
        ours.retain(|(rule, _)| !self.idle.contains(&rule.policy));
        // Of two that say the same the later one goes.
        ours.sort_by_key(|(rule, _)| (self.sizes.get(rule).copied().unwrap_or_default(), std::cmp::Reverse(*rule)));
        for (rule, _) in &ours {
            let gone = Gone { own: &self.removed, others: &others };
            if others.contains(*rule) || grants.iter().any(|grants| grants.adds(*rule, gone)) {
                continue;
            }
            let beside: BTreeSet<Part> = grants.iter().flat_map(|grants| grants.beside(*rule, gone)).collect();
            let covers = |one: Part, other: Part| grants.iter().all(|grants| !grants.adds_to(other, one, gone));
            let covering: Vec<Part> = beside.into_iter().filter(|other| covers(*other, *rule)).collect();
            let twins = covering.iter().copied().filter(|other| covers(*rule, *other)).collect();
            let covered = covering.first().copied();
            others.insert(*rule);
            found.push(Redundant { covered, twins, ..self.found(*rule) });
        }
        for (rule, shape) in &ours {
            let peers = (0..shape.peers).rev().filter(|_| shape.peers > 1).map(|at| rule.with_peer(at));
            let ports = (0..shape.ports).rev().filter(|_| shape.ports > 1).map(|at| rule.with_port(at));
            for part in peers.chain(ports) {
                let gone = Gone { own: &self.removed, others: &others };
                if !others.contains(part) && !grants.iter().any(|grants| grants.adds(part, gone)) {
                    others.insert(part);
                    found.push(self.found(part));
                }
            }
        }
        for index in (0..set.network.len()).rev() {
            let part = Part::policy(PolicyIndex::Network(index));
            let policy = &set.network[index];
            if others.contains(part) || self.idle.contains(&part.policy) {
                continue;
            }
            let of = |direction: &Direction| policy.rules(*direction);
            let has_rules = Direction::ALL.iter().filter_map(of).any(|rules| !rules.is_empty());
            // What isolates pods and then allows everything changes nothing where nobody else isolates them.
            let mut opens = Direction::ALL.iter().filter_map(of).map(|rules| {
                let all = |rule: &Rule| rule.peers == Peers::Everyone && rule.ports == Ports::All;
                rules.iter().any(all)
            });
            let changes_nothing = match has_rules {
                false => !grants.iter().any(|grants| grants.isolates_alone(index, &others)),
                true => opens.all(|opens| opens) && self.is_vacuous(part, &others, classes),
            };
            if changes_nothing {
                let alike = |grants: &Grants<'_>| grants.isolating_alike(index, &others);
                let twins = if has_rules { Vec::new() } else { grants.first().map(alike).unwrap_or_default() };
                let twins = twins.into_iter().map(|twin| Part::policy(PolicyIndex::Network(twin))).collect();
                others.insert(part);
                found.push(Redundant { twins, ..self.found(part) });
            }
        }
        found
    }

    /// Whether nothing changes without a policy, with and without what is dead.
    fn is_vacuous(&self, part: Part, others: &Removed, classes: &[&Classes<'_>]) -> bool {
        let alike = |gone: &Removed| {
            let mut without = gone.clone();
            without.insert(part);
            let (with, without) = (gone.from(self.set), without.from(self.set));
            let same = |direction| classes.iter().all(|classes| same(classes, &with, &without, direction));
            Direction::ALL.into_iter().all(same)
        };
        alike(&self.removed) && (self.dead.is_empty() || alike(others))
    }

    /// Cluster-wide policies are lists of decisions, so each part is deleted and all that is left is asked anew: they are
    /// few.
    fn cluster(&mut self, rules: &[(Part, Shape)], classes: &[&Classes<'_>]) -> Vec<Redundant> {
        let mut found = Vec::new();
        let ours = rules.iter().filter(|(rule, shape)| shape.allows && matches!(rule.policy, PolicyIndex::Cluster(_)));
        for (rule, shape) in ours.rev() {
            let Some(direction) = rule.direction else { continue };
            let peers = (0..shape.peers).rev().filter(|_| shape.peers > 1).map(|at| rule.with_peer(at));
            let ports = (0..shape.ports).rev().filter(|_| shape.ports > 1).map(|at| rule.with_port(at));
            for part in std::iter::once(*rule).chain(peers).chain(ports) {
                let others = self.others();
                if others.contains(part) {
                    continue;
                }
                // With and without what is dead: neither is to change.
                let alike = |gone: &Removed| {
                    let mut without = gone.clone();
                    without.insert(part);
                    let (with, without) = (gone.from(self.set), without.from(self.set));
                    classes.iter().all(|classes| same(classes, &with, &without, direction))
                };
                if alike(&self.removed) && (self.dead.is_empty() || alike(&others)) {
                    found.push(self.found(part));
                }
            }
        }
        found
    }
}

type Policies = (Vec<crate::policy::Policy>, Vec<crate::cluster::ClusterPolicy>);

/// Whether two sets of policies decide alike on the side of a direction.
fn same(classes: &Classes<'_>, one: &Policies, two: &Policies, direction: Direction) -> bool {
    let [one, two] = [one, two].map(|(network, cluster)| Reach::new(classes, PolicySet { network, cluster }));
    one.side_equals(&two, direction)
}
