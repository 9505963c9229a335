//! The evaluator: whether policies allow a connection, and why.
//!
//! A connection is allowed if the client's side allows it out and the server's side allows it in; the two know nothing
//! of each other. `subject` is the pod on whose side a policy is asked, `peer` the other one. Sentences in quotes are
//! from the API references (`k8s.io/api/networking/v1/types.go`, `network-policy-api/apis/v1alpha2`) and the Network
//! Policies page of the Kubernetes documentation.
//!
//! `course` is the order of the tiers, `cluster` which rules of cluster-wide policies match; the rules of
//! NetworkPolicies are matched here. Replies are not asked about: "Reply traffic for those allowed connections will also
//! be implicitly allowed." Neither are pods that are over; callers leave them out.

mod cluster;
pub(crate) mod course;
mod namespaces;
mod party;
mod verdict;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use crate::cluster::{ClusterPeer, ClusterPolicy, ClusterPorts, ClusterRule, Tier};
use crate::endpoint::{Node, Pod};
use crate::policy::{self, AnyPolicy, Direction, Peer, Peers, Policy, PolicyPort, PolicySet, PortMatch, Ports, Rule};
use crate::port::{PortRange, Protocol};
use crate::ports::PortSet;

pub(crate) use cluster::port_set as cluster_port_set;
use course::{Algebra, Course, Outcome};
pub use namespaces::Namespaces;
pub use party::{Family, Party};
pub use verdict::{Allow, ClusterMatch, Decider, Decision, Exempt, Matched, NearMiss, Side, Verdict};

/// Where the API leaves the answer open and network plugins differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Options {
    /// Whether `ipBlock` matches addresses of pods. The conformance tests expect it, and Calico and
    /// kube-network-policies do so; Cilium does not.
    pub ip_block_matches_pods: bool,
    /// Whether pods on the host network are their node: no selector matches them. "This is the most common
    /// implementation." Cluster-wide policies never select them, whatever is said here.
    pub host_network_is_node: bool,
    /// Whether pods that are over count as if they were gone. The evaluator itself answers about any pod; whoever lists
    /// pods leaves them out.
    pub finished_are_gone: bool,
}

impl Options {
    /// Whether a pod counts as its node.
    pub fn is_node(self, pod: &Pod) -> bool {
        self.host_network_is_node && pod.host_network
    }

    /// Whether a pod is there at all.
    pub fn counts(self, pod: &Pod) -> bool {
        !(self.finished_are_gone && pod.finished)
    }
}

impl Default for Options {
    fn default() -> Options {
        Options { ip_block_matches_pods: true, host_network_is_node: true, finished_are_gone: true }
    }
}

/// A connection seen from one side.
#[derive(Clone, Copy)]
struct View<'a> {
    direction: Direction,
    subject: Party<'a>,
    peer: Party<'a>,
    /// Ports are those of the server, in either direction.
    server: Party<'a>,
    /// The family of the connection, where it is known.
    family: Option<Family>,
}

impl<'a> View<'a> {
    fn both(client: Party<'a>, server: Party<'a>, family: Option<Family>) -> (View<'a>, View<'a>) {
        let egress = View { direction: Direction::Egress, subject: client, peer: server, server, family };
        let ingress = View { direction: Direction::Ingress, subject: server, peer: client, server, family };
        (egress, ingress)
    }

    /// The addresses that the peer may use in this connection.
    fn peer_addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let family = self.family;
        self.peer.addresses().iter().copied().filter(move |ip| family.is_none_or(|family| family == Family::of(*ip)))
    }

    /// The pod that policies are asked about, or why they have no say.
    fn subject(self, options: Options) -> Result<&'a Pod, Exempt> {
        let subject = self.subject.selectable(options).ok_or(Exempt::NotAPod)?;
        // "Other pods that are allowed (exception: a pod cannot block access to itself)".
        if let Some(peer) = self.peer.selectable(options)
            && (std::ptr::eq(peer, subject) || (peer.namespace == subject.namespace && peer.name == subject.name))
        {
            return Err(Exempt::Itself);
        }
        // "When a pod is isolated for ingress, the only allowed connections into the pod are those from the pod's node
        // and those allowed by the ingress list of some NetworkPolicy." Of egress no such thing is said there.
        let node = self.peer.node(options);
        if self.direction == Direction::Ingress && node.is_some() && node == subject.node.as_deref() {
            return Err(Exempt::OwnNode);
        }
        Ok(subject)
    }
}

/// No node is known.
static NO_NODES: BTreeMap<String, Node> = BTreeMap::new();

/// Answers for a set of policies.
#[derive(Debug, Clone)]
pub struct Evaluator<'a> {
    policies: PolicySet<'a>,
    namespaces: &'a Namespaces,
    nodes: &'a BTreeMap<String, Node>,
    options: Options,
    by_namespace: HashMap<&'a str, Vec<usize>>,
    /// Indices of cluster-wide policies of the tier Admin, in the order in which they are asked.
    admin: Vec<usize>,
    /// The same of the tier Baseline.
    baseline: Vec<usize>,
}

impl<'a> Evaluator<'a> {
    /// An evaluator of `policies` with default [`Options`] that knows no nodes.
    pub fn new(policies: impl Into<PolicySet<'a>>, namespaces: &'a Namespaces) -> Evaluator<'a> {
        let policies = policies.into();
        let mut by_namespace: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, policy) in policies.network.iter().enumerate() {
            by_namespace.entry(&policy.namespace).or_default().push(index);
        }
        let mut order: Vec<usize> = (0..policies.cluster.len()).collect();
        order.sort_by_key(|&index| policies.cluster[index].rank());
        let (admin, baseline) = order.into_iter().partition(|&index| policies.cluster[index].tier == Tier::Admin);
        let options = Options::default();
        Evaluator { policies, namespaces, nodes: &NO_NODES, options, by_namespace, admin, baseline }
    }

    /// The same with other options.
    pub fn with_options(mut self, options: Options) -> Evaluator<'a> {
        self.options = options;
        self
    }

    /// The same with the nodes of the cluster, by name, which `nodes` of cluster-wide policies select.
    pub fn with_nodes(mut self, nodes: &'a BTreeMap<String, Node>) -> Evaluator<'a> {
        self.nodes = nodes;
        self
    }

    /// The NetworkPolicies asked, which indices in verdicts refer to.
    pub fn policies(&self) -> &'a [Policy] {
        self.policies.network
    }

    /// The cluster-wide policies asked, which [`ClusterMatch::policy`] refers to.
    pub fn cluster_policies(&self) -> &'a [ClusterPolicy] {
        self.policies.cluster
    }

    /// The policies behind what a side decided: the cluster-wide one, or the NetworkPolicies that isolate the subject.
    pub fn deciders(&self, side: &Side) -> Vec<AnyPolicy<'a>> {
        let cluster = |rule: &ClusterMatch| AnyPolicy::Cluster(&self.policies.cluster[rule.policy]);
        let network = |policy: &usize| AnyPolicy::Network(&self.policies.network[*policy]);
        match side.decider {
            Decider::Cluster => side.last_word().map(cluster).into_iter().collect(),
            Decider::NetworkPolicies => side.isolating.iter().map(network).collect(),
            Decider::Exempt(_) | Decider::Nobody => Vec::new(),
        }
    }

    /// The peers of a rule of a cluster-wide policy, by index, that match the other side of a connection for certain.
    pub(crate) fn cluster_peers(
        &self,
        rule: &'a ClusterRule,
        direction: Direction,
        client: Party,
        server: Party,
    ) -> Vec<usize> {
        let matches = |peer: &ClusterPeer| {
            party::families(&client, &server).any(|family| {
                let (egress, ingress) = View::both(client, server, family);
                let view = if direction == Direction::Egress { egress } else { ingress };
                self.matches_for_certain(peer, view)
            })
        };
        rule.peers.iter().enumerate().filter(|(_, peer)| matches(peer)).map(|(at, _)| at).collect()
    }

    /// The options it answers with.
    pub fn options(&self) -> Options {
        self.options
    }

    /// Whether `client` may connect to `port` of `server`, with every reason. `port` is the port of the server itself,
    /// not of a Service before it; 0 stands for an unknown one, which only rules for all ports cover. Pods with
    /// addresses of both families are allowed if they are in one of them, and the reasons are of the one that is.
    pub fn verdict(&self, client: Party, server: Party, protocol: Protocol, port: u16) -> Verdict {
        let verdicts = party::families(&client, &server).map(|family| {
            let (egress, ingress) = View::both(client, server, family);
            Verdict { egress: self.side(egress, protocol, port), ingress: self.side(ingress, protocol, port) }
        });
        verdicts.min_by_key(Verdict::decision).unwrap_or_else(|| unreachable!("there is always a family, or any"))
    }

    /// [`Verdict::allowed`] without the reasons.
    pub fn allowed(&self, client: Party, server: Party, protocol: Protocol, port: u16) -> bool {
        party::families(&client, &server).any(|family| {
            let (egress, ingress) = View::both(client, server, family);
            let allowed = |view: View| {
                let network = |list: &Ports| port_is_in(list, self.named_by(view), protocol, port);
                let cluster = |list: &ClusterPorts| self.cluster_port_matches(list, view, protocol, port);
                self.outcome(view, true, network, cluster).allowed
            };
            allowed(egress) && allowed(ingress)
        })
    }

    /// Every port on which `client` may connect to `server`, for certain.
    pub fn allowed_ports(&self, client: Party, server: Party) -> PortSet {
        let mut allowed = PortSet::empty();
        for family in party::families(&client, &server) {
            let (egress, ingress) = View::both(client, server, family);
            let out = self.side_ports(egress).allowed;
            if !out.is_empty() {
                allowed = allowed.union(&out.intersection(&self.side_ports(ingress).allowed));
            }
        }
        allowed
    }

    /// The policies that isolate a pod in a direction, ascending, with their rules: "A pod is isolated for egress if
    /// there is any NetworkPolicy that both selects the pod and has "Egress" in its policyTypes", and so for ingress.
    /// None isolates a pod that counts as its node.
    pub fn isolating(&self, pod: &Pod, direction: Direction) -> impl Iterator<Item = (usize, &'a [Rule])> {
        let own = if self.options.is_node(pod) { None } else { self.by_namespace.get(pod.namespace.as_str()) };
        own.into_iter().flatten().filter_map(move |&index| {
            let policy = &self.policies.network[index];
            let rules = policy.rules(direction)?;
            policy.subject.matches(&pod.labels).then_some((index, rules))
        })
    }

    /// One side with every reason.
    fn side(&self, view: View, protocol: Protocol, port: u16) -> Side {
        let subject = match view.subject(self.options) {
            Ok(subject) => subject,
            Err(exempt) => return Side::exempt(exempt),
        };
        let mut side = Side::default();
        self.network_policies(view, subject, protocol, port, &mut side);
        let ports = |ports: &ClusterPorts| self.cluster_port_matches(ports, view, protocol, port);
        let mut course = Course::new(true);
        self.tier(Tier::Admin, view, subject, &mut course, &true, ports, |rule| side.cluster.push(rule));
        course.tier_is_over();
        if course.is_decided() || side.isolating.is_empty() {
            self.tier(Tier::Baseline, view, subject, &mut course, &true, ports, |rule| side.cluster.push(rule));
            if side.cluster.iter().any(|rule| rule.certain) {
                side.decider = Decider::Cluster;
            }
        } else {
            course.network_policies(&true, &!side.allowing.is_empty());
            side.decider = Decider::NetworkPolicies;
        }
        let outcome = course.finish();
        side.decision = match (outcome.allowed, outcome.unknown) {
            (true, _) => Decision::Allowed,
            (false, true) => Decision::Unknown,
            (false, false) => Decision::Denied,
        };
        side
    }

    /// What the NetworkPolicies say about one connection.
    fn network_policies(&self, view: View, subject: &Pod, protocol: Protocol, port: u16, side: &mut Side) {
        for (policy, rules) in self.isolating(subject, view.direction) {
            side.isolating.push(policy);
            for (rule, body) in rules.iter().enumerate() {
                let peers: Vec<_> = self.peers(policy, body, view).collect();
                let ports: Vec<_> = ports(&body.ports, self.named_by(view), protocol, port).collect();
                let matched = match (peers.first(), ports.first()) {
                    (Some(&peer), None) => Matched::Peer(peer),
                    (None, Some(&port)) => Matched::Port(port),
                    _ => {
                        let pairs = peers.iter().flat_map(|&peer| ports.iter().map(move |&port| (peer, port)));
                        side.allowing.extend(pairs.map(|(peer, port)| Allow { policy, rule, peer, port }));
                        continue;
                    }
                };
                side.near.push(NearMiss { policy, rule, matched });
            }
        }
    }

    /// One side without reasons, for one connection or for sets of ports. `everything` is what is asked about, `network`
    /// and `cluster` what is left of it on the ports of a rule.
    fn outcome<A: Algebra>(
        &self,
        view: View,
        everything: A,
        network: impl Fn(&Ports) -> A,
        cluster: impl Fn(&ClusterPorts) -> A,
    ) -> Outcome<A> {
        let mut course = Course::new(everything.clone());
        let Ok(subject) = view.subject(self.options) else { return course.finish() };
        self.tier(Tier::Admin, view, subject, &mut course, &everything, &cluster, |_| ());
        course.tier_is_over();
        let mut granted: Option<A> = None;
        // "The traffic must match both ports and from."
        'policies: for (policy, rules) in self.isolating(subject, view.direction) {
            let granted = granted.get_or_insert_with(|| everything.nothing());
            for rule in rules {
                let ports = network(&rule.ports);
                if !ports.is_nothing() && self.peers(policy, rule, view).next().is_some() {
                    granted.unite(&ports);
                    if granted.is_everything() {
                        break 'policies;
                    }
                }
            }
        }
        match granted {
            Some(granted) => course.network_policies(&everything, &granted),
            None => self.tier(Tier::Baseline, view, subject, &mut course, &everything, &cluster, |_| ()),
        }
        course.finish()
    }

    /// Takes a course through the rules of one tier, each of which `matched` until it is decided.
    #[expect(clippy::too_many_arguments, reason = "a tier, who asks, and what is done with its rules")]
    fn tier<A: Algebra>(
        &self,
        tier: Tier,
        view: View,
        subject: &Pod,
        course: &mut Course<A>,
        everything: &A,
        ports: impl Fn(&ClusterPorts) -> A,
        mut matched: impl FnMut(ClusterMatch),
    ) {
        for (policy, object) in self.of_tier(tier, subject) {
            for (rule, body) in object.rules(view.direction).iter().enumerate() {
                if course.is_decided() {
                    return;
                }
                let Some(found) = self.cluster_peer(body, view) else { continue };
                let ports = if found.closed { everything.clone() } else { ports(&body.ports) };
                if !ports.is_nothing() {
                    course.rule(found.action, found.certain, ports);
                    matched(ClusterMatch {
                        policy,
                        rule,
                        peer: found.peer,
                        action: found.action,
                        certain: found.certain,
                    });
                }
            }
        }
    }

    /// Every port that one side allows.
    fn side_ports(&self, view: View) -> Outcome<PortSet> {
        let network = |ports: &Ports| port_set(ports, self.named_by(view));
        let cluster = |ports: &ClusterPorts| cluster_port_set(ports, view.server.selectable_cluster_wide());
        self.outcome(view, PortSet::everything(), network, cluster)
    }

    /// The pod whose container ports the names of ports in NetworkPolicies mean.
    fn named_by<'v>(&self, view: View<'v>) -> Option<&'v Pod> {
        view.server.selectable(self.options)
    }

    fn cluster_port_matches(&self, ports: &ClusterPorts, view: View, protocol: Protocol, port: u16) -> bool {
        match ports {
            ClusterPorts::All => true,
            ClusterPorts::Any(list) => {
                let server = view.server.selectable_cluster_wide();
                cluster::ports(list, server).any(|(of, range)| of == protocol && range.contains(port))
            }
        }
    }

    /// The elements of `from` or `to` that match the peer; `None` for a rule that has none. "If this field is empty or
    /// missing, this rule matches all sources (traffic not restricted by source)." "Items in this list are combined
    /// using a logical OR operation."
    fn peers<'r>(&'r self, policy: usize, rule: &'r Rule, view: View<'r>) -> impl Iterator<Item = Option<usize>> + 'r {
        let (everyone, list) = match &rule.peers {
            Peers::Everyone => (Some(None), [].as_slice()),
            Peers::Any(list) => (None, list.as_slice()),
        };
        let own = self.policies.network[policy].namespace.as_str();
        let listed = list.iter().enumerate().filter(move |(_, peer)| self.peer_matches(own, peer, view));
        everyone.into_iter().chain(listed.map(|(index, _)| Some(index)))
    }

    fn peer_matches(&self, own: &str, peer: &Peer, view: View) -> bool {
        let pod = view.peer.selectable(self.options);
        match peer {
            Peer::Pods { namespaces, pods } => pod.is_some_and(|pod| {
                let namespace = match namespaces {
                    // "Otherwise it selects the pods matching podSelector in the policy's own namespace."
                    policy::Namespaces::Own => pod.namespace == own,
                    // "If podSelector is also set, then the NetworkPolicyPeer as a whole selects the pods matching
                    // podSelector in the namespaces selected by namespaceSelector. Otherwise it selects all pods in the
                    // namespaces selected by namespaceSelector."
                    policy::Namespaces::Matching(selector) => self.namespaces.matches(selector, &pod.namespace),
                };
                namespace && pods.matches(&pod.labels)
            }),
            // "This selects particular IP CIDR ranges [...]. These should be cluster-external IPs, since Pod IPs are
            // ephemeral and unpredictable": should, and the conformance tests select pods that way.
            Peer::Block(block) => {
                let reachable = self.options.ip_block_matches_pods || pod.is_none();
                reachable && view.peer_addresses().any(|ip| block.contains(ip))
            }
        }
    }
}

/// The elements of `ports` that match; `None` for a rule that has none. "If this field is empty or missing, this rule
/// matches all ports (traffic not restricted by port)." "Each item in this list is combined using a logical OR."
fn ports<'r>(
    ports: &'r Ports,
    server: Option<&'r Pod>,
    protocol: Protocol,
    port: u16,
) -> impl Iterator<Item = Option<usize>> + 'r {
    let (all, list) = match ports {
        Ports::All => (Some(None), [].as_slice()),
        Ports::Any(list) => (None, list.as_slice()),
    };
    let listed = list.iter().enumerate().filter(move |(_, entry)| port_matches(entry, server, protocol, port));
    all.into_iter().chain(listed.map(|(index, _)| Some(index)))
}

/// Whether the ports of a rule hold one of `server`.
pub(crate) fn port_is_in(list: &Ports, server: Option<&Pod>, protocol: Protocol, port: u16) -> bool {
    ports(list, server, protocol, port).next().is_some()
}

/// The ports of a rule on `server`.
pub(crate) fn port_set(ports: &Ports, server: Option<&Pod>) -> PortSet {
    match ports {
        Ports::All => PortSet::everything(),
        Ports::Any(list) => {
            list.iter().flat_map(|port| numbers(port, server).map(move |range| (port.protocol, range))).collect()
        }
    }
}

/// "If present, only traffic on the specified protocol AND port will be matched."
fn port_matches(entry: &PolicyPort, server: Option<&Pod>, protocol: Protocol, port: u16) -> bool {
    // "If this field is not provided, this matches all port names and numbers", so also one that is not known.
    let unknown = port == 0 && entry.port == PortMatch::Every;
    entry.protocol == protocol && (unknown || numbers(entry, server).any(|range| range.contains(port)))
}

/// The numbers an element of `ports` stands for on `server`. "This can either be a numerical or named port on a pod":
/// every container port of that name and protocol counts, on addresses there is none.
fn numbers<'r>(entry: &'r PolicyPort, server: Option<&'r Pod>) -> impl Iterator<Item = PortRange> + 'r {
    let (range, name) = match &entry.port {
        PortMatch::Every => (Some(PortRange::ALL), None),
        PortMatch::Range(range) => (Some(*range), None),
        PortMatch::Named(name) => (None, Some(name.as_str())),
    };
    let named = name.into_iter().flat_map(move |name| declared(server, name));
    range.into_iter().chain(named.filter(|(protocol, _)| *protocol == entry.protocol).map(|(_, range)| range))
}

/// The container ports of a name.
fn declared<'r>(server: Option<&'r Pod>, name: &'r str) -> impl Iterator<Item = (Protocol, PortRange)> + 'r {
    let of_name = server.into_iter().flat_map(|pod| &pod.ports).filter(move |port| port.name.as_deref() == Some(name));
    of_name.filter_map(|port| Some((port.protocol, PortRange::single(std::num::NonZeroU16::new(port.number)?))))
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
pub(crate) mod oracle;
#[cfg(test)]
mod tests;
