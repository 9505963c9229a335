//! Parts of policies that can be deleted: a policy, a rule, one of its peers, one of its ports.

use std::collections::BTreeSet;

use crate::cluster::{Action, ClusterPeer, ClusterPolicy, ClusterPort, ClusterPorts, PodPeer};
use crate::label::Selector;
use crate::policy::{AnyPolicy, Direction, Origin, Peers, Policy, PolicySet, Ports};

/// One policy of a [`PolicySet`], by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PolicyIndex {
    /// Of [`PolicySet::network`].
    Network(usize),
    /// Of [`PolicySet::cluster`].
    Cluster(usize),
}

/// A part of a policy, by indices into the object as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// Whose.
    pub policy: PolicyIndex,
    /// In which direction; `None` for the whole policy.
    pub direction: Option<Direction>,
    /// Which rule; `None` for all of them.
    pub rule: Option<usize>,
    /// Which element of `from` or `to`; `None` for the rule.
    pub peer: Option<usize>,
    /// Which element of `ports`; `None` for the rule.
    pub port: Option<usize>,
}

impl Part {
    /// A whole policy.
    pub fn policy(policy: PolicyIndex) -> Part {
        Part { policy, direction: None, rule: None, peer: None, port: None }
    }

    /// A whole rule.
    pub fn rule(policy: PolicyIndex, direction: Direction, rule: usize) -> Part {
        Part { direction: Some(direction), rule: Some(rule), ..Part::policy(policy) }
    }

    /// A peer of this rule.
    pub fn with_peer(self, peer: usize) -> Part {
        Part { peer: Some(peer), ..self }
    }

    /// A port of this rule.
    pub fn with_port(self, port: usize) -> Part {
        Part { port: Some(port), ..self }
    }

    /// The rule that it is, or is in.
    pub fn whole_rule(self) -> Part {
        Part { peer: None, port: None, ..self }
    }

    /// The policy that it is, or is in.
    pub fn whole_policy(self) -> Part {
        Part::policy(self.policy)
    }

    /// Its policy.
    pub fn of<'a>(self, set: PolicySet<'a>) -> AnyPolicy<'a> {
        match self.policy {
            PolicyIndex::Network(index) => AnyPolicy::Network(&set.network[index]),
            PolicyIndex::Cluster(index) => AnyPolicy::Cluster(&set.cluster[index]),
        }
    }

    /// Where it was written.
    pub fn origin(self, set: PolicySet<'_>) -> Origin {
        let policy = self.of(set);
        let line = match (policy, self.direction, self.rule) {
            (AnyPolicy::Network(policy), Some(direction), Some(rule)) => {
                policy.rules(direction).and_then(|rules| rules.get(rule)).map_or(0, |rule| {
                    let listed = |lines: &[u32], at: Option<usize>| at.and_then(|at| lines.get(at).copied());
                    let part = listed(&rule.lines.peers, self.peer).or(listed(&rule.lines.ports, self.port));
                    part.unwrap_or(rule.lines.rule)
                })
            }
            (AnyPolicy::Cluster(policy), Some(direction), Some(rule)) => {
                policy.rules(direction).get(rule).map_or(0, |rule| rule.line)
            }
            _ => 0,
        };
        let origin = policy.origin();
        Origin { line: if line == 0 { origin.line } else { line }, ..origin }
    }

    /// Its name inside its policy: `ingress rule 0, peer 1`; empty for the whole policy.
    pub fn inside(self) -> String {
        let mut text = self.direction.map(|direction| direction.name().to_string()).unwrap_or_default();
        for (what, at) in [("rule", self.rule), ("peer", self.peer), ("port", self.port)] {
            if let Some(at) = at {
                let comma = if what == "rule" { "" } else { "," };
                text += &format!("{comma} {what} {at}");
            }
        }
        text
    }

    /// Its name: `ingress rule 0, peer 1 of shop/api`.
    pub fn name(self, set: PolicySet<'_>) -> String {
        let (inside, id) = (self.inside(), self.of(set).id());
        if inside.is_empty() { id } else { format!("{inside} of {id}") }
    }
}

/// What a rule of either kind of policy is made of, for deleting parts of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Elements of `from` or `to`; 0 where everyone is meant.
    pub peers: usize,
    /// Elements of `ports`; 0 where all are meant.
    pub ports: usize,
    /// Whether it allows, as rules of NetworkPolicies do and others may.
    pub allows: bool,
}

/// All rules of a set, in order, with what they are made of.
pub fn rules(set: PolicySet<'_>) -> Vec<(Part, Shape)> {
    let mut rules = Vec::new();
    for (index, policy) in set.network.iter().enumerate() {
        for direction in Direction::ALL {
            for (number, rule) in policy.rules(direction).unwrap_or_default().iter().enumerate() {
                let shape = Shape { peers: rule.peers.listed().len(), ports: rule.ports.listed().len(), allows: true };
                rules.push((Part::rule(PolicyIndex::Network(index), direction, number), shape));
            }
        }
    }
    for (index, policy) in set.cluster.iter().enumerate() {
        for direction in Direction::ALL {
            for (number, rule) in policy.rules(direction).iter().enumerate() {
                let allows = rule.action == Action::Accept;
                let shape = Shape { peers: rule.peers.len(), ports: rule.ports.listed().len(), allows };
                rules.push((Part::rule(PolicyIndex::Cluster(index), direction, number), shape));
            }
        }
    }
    rules
}

/// A set of parts that are gone. Whoever deletes all peers, or all ports, of a rule deletes the rule: an empty list would
/// allow everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed(BTreeSet<Part>);

impl Removed {
    /// Adds a part.
    pub fn insert(&mut self, part: Part) {
        self.0.insert(part);
    }

    /// Takes one back.
    pub fn restore(&mut self, part: Part) {
        self.0.remove(&part);
    }

    /// Whether a part is gone, on its own or with what it is in.
    pub fn contains(&self, part: Part) -> bool {
        self.0.contains(&part) || self.0.contains(&part.whole_rule()) || self.0.contains(&part.whole_policy())
    }

    /// The parts, sorted.
    pub fn iter(&self) -> impl Iterator<Item = Part> + '_ {
        self.0.iter().copied()
    }

    /// The policies without these parts.
    pub fn from(&self, set: PolicySet<'_>) -> (Vec<Policy>, Vec<ClusterPolicy>) {
        let network = set.network.iter().enumerate().map(|(index, policy)| self.left_of_network(index, policy));
        let cluster = set.cluster.iter().enumerate().map(|(index, policy)| self.left_of_cluster(index, policy));
        (network.flatten().collect(), cluster.flatten().collect())
    }

    fn left_of_network(&self, index: usize, policy: &Policy) -> Option<Policy> {
        let index = PolicyIndex::Network(index);
        if self.contains(Part::policy(index)) {
            return None;
        }
        let mut policy = policy.clone();
        for (direction, rules) in [(Direction::Ingress, &mut policy.ingress), (Direction::Egress, &mut policy.egress)] {
            let mut number = 0;
            rules.iter_mut().for_each(|rules| {
                rules.retain_mut(|rule| {
                    let part = Part::rule(index, direction, number);
                    number += 1;
                    let (peers, ports) = match self.left(part, rule.peers.listed().len(), rule.ports.listed().len()) {
                        Some(left) => left,
                        None => return false,
                    };
                    if let Peers::Any(list) = &mut rule.peers {
                        keep(list, &peers);
                        keep(&mut rule.lines.peers, &peers);
                    }
                    if let Ports::Any(list) = &mut rule.ports {
                        keep(list, &ports);
                        keep(&mut rule.lines.ports, &ports);
                    }
                    true
                });
            });
        }
        Some(policy)
    }

    fn left_of_cluster(&self, index: usize, policy: &ClusterPolicy) -> Option<ClusterPolicy> {
        let index = PolicyIndex::Cluster(index);
        if self.contains(Part::policy(index)) {
            return None;
        }
        let mut policy = policy.clone();
        for (direction, rules) in [(Direction::Ingress, &mut policy.ingress), (Direction::Egress, &mut policy.egress)] {
            let mut number = 0;
            rules.retain_mut(|rule| {
                let part = Part::rule(index, direction, number);
                number += 1;
                let (peers, ports) = match self.left(part, rule.peers.len(), rule.ports.listed().len()) {
                    Some(left) => left,
                    None => return false,
                };
                keep(&mut rule.peers, &peers);
                if let ClusterPorts::Any(list) = &mut rule.ports {
                    keep(list, &ports);
                }
                true
            });
        }
        Some(policy)
    }

    /// The cluster-wide policies with what is gone of them in its place but without effect, so that indices stay.
    pub fn masked(&self, set: PolicySet<'_>) -> Vec<ClusterPolicy> {
        let nobody = || PodPeer { namespaces: Selector::nothing(), pods: Selector::nothing() };
        let mut policies = set.cluster.to_vec();
        for (index, policy) in policies.iter_mut().enumerate() {
            let index = PolicyIndex::Cluster(index);
            if self.contains(Part::policy(index)) {
                policy.subject = nobody();
            }
            for (direction, rules) in
                [(Direction::Ingress, &mut policy.ingress), (Direction::Egress, &mut policy.egress)]
            {
                for (number, rule) in rules.iter_mut().enumerate() {
                    let part = Part::rule(index, direction, number);
                    let is_gone = self.left(part, rule.peers.len(), rule.ports.listed().len()).is_none();
                    for (at, peer) in rule.peers.iter_mut().enumerate() {
                        if is_gone || self.contains(part.with_peer(at)) {
                            *peer = ClusterPeer::Pods(nobody());
                        }
                    }
                    if let ClusterPorts::Any(ports) = &mut rule.ports {
                        for (at, port) in ports.iter_mut().enumerate() {
                            if self.contains(part.with_port(at)) {
                                // No container port has an empty name.
                                *port = ClusterPort::Named(String::new());
                            }
                        }
                    }
                }
            }
        }
        policies
    }

    /// Which peers and ports of a rule are left; `None` where the rule is gone.
    pub fn left(&self, rule: Part, peers: usize, ports: usize) -> Option<(Vec<usize>, Vec<usize>)> {
        if self.contains(rule) {
            return None;
        }
        let left_peers: Vec<usize> = (0..peers).filter(|peer| !self.contains(rule.with_peer(*peer))).collect();
        let left_ports: Vec<usize> = (0..ports).filter(|port| !self.contains(rule.with_port(*port))).collect();
        let gone = peers > 0 && left_peers.is_empty() || ports > 0 && left_ports.is_empty();
        (!gone).then_some((left_peers, left_ports))
    }
}

/// Keeps the elements at these places, which ascend.
fn keep<T>(list: &mut Vec<T>, places: &[usize]) {
    let mut at = 0..;
    list.retain(|_| at.next().is_some_and(|at| places.binary_search(&at).is_ok()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Objects;

    const POLICIES: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p, namespace: a}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}, {podSelector: {matchLabels: {app: api}}}]
    ports: [{port: 80}, {port: 81}]
  - {}
";

    #[test]
    fn nothing_is_left_of_a_rule_without_peers_or_ports() {
        let mut objects = Objects::default();
        objects.load("p.yaml", POLICIES);
        let set = PolicySet::from(&objects.policies);
        assert_eq!(objects.problems, []);
        let all = rules(set);
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].1.peers, all[0].1.ports, all[1].1.peers), (2, 2, 0));
        let rule = all[0].0;
        assert_eq!(rule.with_peer(1).origin(set).line, 9);
        assert_eq!(rule.with_port(1).name(set), "ingress rule 0, port 1 of a/p");
        let mut removed = Removed::default();
        removed.insert(rule.with_peer(0));
        removed.insert(rule.with_port(1));
        let left = &removed.from(set).0[0];
        let first = &left.ingress.as_ref().unwrap()[0];
        assert_eq!((first.peers.listed().len(), first.ports.listed().len()), (1, 1));
        assert_eq!(first.lines.peers.len(), 1);
        removed.insert(rule.with_peer(1));
        assert_eq!(removed.from(set).0[0].ingress.as_ref().unwrap().len(), 1, "an empty `from` would allow everyone");
        removed.insert(Part::policy(rule.policy));
        assert!(removed.contains(rule.with_peer(0)) && removed.from(set).0.is_empty());
    }
}
