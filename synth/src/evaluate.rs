//! The evaluator: whether NetworkPolicies allow a connection, and why.
//!
//! A connection is allowed if the client's side allows it out and the server's side allows it in; the two know nothing
//! of each other. `subject` is the pod on whose side a policy is asked, `peer` the other one. Sentences in quotes are
//! from the API reference (`k8s.io/api/networking/v1/types.go`) and the Network Policies page of the Kubernetes
//! documentation.
//!
//! Replies are not asked about: "Reply traffic for those allowed connections will also be implicitly allowed."
//! Neither are pods that are over; callers leave them out.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::endpoint::Pod;
use crate::label::{Labels, NAMESPACE_NAME, Selector};
use crate::policy::{self, Direction, Peer, Peers, Policy, PolicyPort, PortMatch, Ports, Rule};
use crate::port::{PortRange, Protocol};
use crate::ports::PortSet;

/// The labels of namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces(BTreeMap<String, Labels>);

impl Namespaces {
    /// No namespace known: each has its name's label and no other.
    pub fn new() -> Namespaces {
        Namespaces::default()
    }

    /// Adds a namespace, or replaces its labels. "The Kubernetes control plane sets an immutable label
    /// kubernetes.io/metadata.name on all namespaces, the value of the label is the namespace name."
    pub fn insert(&mut self, name: impl Into<String>, mut labels: Labels) {
        let name = name.into();
        labels.insert(NAMESPACE_NAME.to_string(), name.clone());
        self.0.insert(name, labels);
    }

    /// The labels of a namespace that was inserted; `None` means that a verdict resting on other labels than its name
    /// is a guess.
    pub fn labels(&self, name: &str) -> Option<&Labels> {
        self.0.get(name)
    }

    /// The names of the namespaces that were inserted, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether `selector` selects the namespace, which need not have been inserted.
    pub fn matches(&self, selector: &Selector, name: &str) -> bool {
        if selector.is_everything() {
            return true;
        }
        match self.0.get(name) {
            Some(labels) => selector.matches(labels),
            None => selector.matches(&Labels::from([(NAMESPACE_NAME.to_string(), name.to_string())])),
        }
    }
}

impl FromIterator<(String, Labels)> for Namespaces {
    fn from_iter<I: IntoIterator<Item = (String, Labels)>>(entries: I) -> Namespaces {
        let mut namespaces = Namespaces::new();
        for (name, labels) in entries {
            namespaces.insert(name, labels);
        }
        namespaces
    }
}

/// One end of a connection.
#[derive(Debug, Clone, Copy)]
pub enum Party<'a> {
    /// A pod. One on the host network counts as its node's addresses.
    Pod {
        /// The pod.
        pod: &'a Pod,
        /// The address the connection uses; `None` where any of the pod's may be meant.
        address: Option<IpAddr>,
    },
    /// An address that is no pod's.
    Address {
        /// The address.
        ip: IpAddr,
        /// The node it belongs to.
        node: Option<&'a str>,
    },
}

impl<'a> Party<'a> {
    /// A pod at any of its addresses.
    pub fn pod(pod: &'a Pod) -> Party<'a> {
        Party::Pod { pod, address: None }
    }

    /// An address that is neither a pod's nor a node's.
    pub fn outside(ip: IpAddr) -> Party<'static> {
        Party::Address { ip, node: None }
    }

    /// The pod, where policies can select it.
    ///
    /// Of a pod on the host network: "The network plugin cannot properly distinguish hostNetwork pod traffic, and so it
    /// ignores hostNetwork pods when matching podSelector and namespaceSelector. Traffic to/from hostNetwork pods is
    /// treated the same as all other traffic to/from the node IP. (This is the most common implementation.)"
    fn selectable(self) -> Option<&'a Pod> {
        match self {
            Party::Pod { pod, .. } if !pod.host_network => Some(pod),
            _ => None,
        }
    }

    /// The node whose address this is.
    fn node(self) -> Option<&'a str> {
        match self {
            Party::Pod { pod, .. } if pod.host_network => pod.node.as_deref(),
            Party::Pod { .. } => None,
            Party::Address { node, .. } => node,
        }
    }

    /// Whether one of its addresses, or the one the connection uses, is in `block`.
    fn is_in(self, block: &policy::Block) -> bool {
        match self {
            Party::Pod { pod, address: None } => pod.addresses.iter().any(|&ip| block.contains(ip)),
            Party::Pod { address: Some(ip), .. } | Party::Address { ip, .. } => block.contains(ip),
        }
    }
}

/// Where network plugins differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether `ipBlock` matches addresses of pods. The conformance tests expect it, and Calico and
    /// kube-network-policies do so; Cilium does not.
    pub ip_block_matches_pods: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { ip_block_matches_pods: true }
    }
}

/// Whether a connection is allowed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The client's side.
    pub egress: Side,
    /// The server's side.
    pub ingress: Side,
}

impl Verdict {
    /// Whether both sides allow it: "For a connection from a source pod to a destination pod to be allowed, both the
    /// egress policy on the source pod and the ingress policy on the destination pod need to allow the connection."
    pub fn allowed(&self) -> bool {
        self.egress.allowed() && self.ingress.allowed()
    }

    /// One of the sides.
    pub fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }
}

/// What the policies of one side say. Policies are indices into the evaluator's list, ascending; rules, peers and ports
/// are indices into the object as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Side {
    /// Why policies have no say here; all lists are empty then.
    pub subject_exempt: Option<Exempt>,
    /// The policies that isolate the subject.
    pub isolating: Vec<usize>,
    /// Every combination of rule, peer and port that allows the connection.
    pub allowing: Vec<Allow>,
    /// Rules of isolating policies of which only one half fits. Rules without peers or ports have that half fit always.
    pub near: Vec<NearMiss>,
}

impl Side {
    /// Whether this side allows the connection: exempt, isolated by none, or allowed by some.
    pub fn allowed(&self) -> bool {
        self.subject_exempt.is_some() || self.isolating.is_empty() || !self.allowing.is_empty()
    }
}

/// Why policies have no say on a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exempt {
    /// The subject is an outside address, a node, or a pod on its node's network: nothing selects it.
    NotAPod,
    /// The peer is the node the subject runs on, connecting to it.
    OwnNode,
    /// Subject and peer are the same pod.
    Itself,
}

/// A rule that allows a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Allow {
    /// Index of the policy.
    pub policy: usize,
    /// Index of the rule in its direction.
    pub rule: usize,
    /// Index in `from` or `to`; `None` where the rule has no peers and hence is for everyone.
    pub peer: Option<usize>,
    /// Index in `ports`; `None` where the rule has no ports and hence is for all.
    pub port: Option<usize>,
}

/// A rule that half fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NearMiss {
    /// Index of the policy.
    pub policy: usize,
    /// Index of the rule in its direction.
    pub rule: usize,
    /// The half that fits.
    pub matched: Matched,
}

/// The half of a rule that fits, by the first element that does; `None` as in [`Allow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Matched {
    /// The peer fits, no port does.
    Peer(Option<usize>),
    /// The port fits, no peer does.
    Port(Option<usize>),
}

/// A connection seen from one side.
#[derive(Clone, Copy)]
struct View<'a> {
    direction: Direction,
    subject: Party<'a>,
    peer: Party<'a>,
    /// Ports are those of the server, in either direction.
    server: Party<'a>,
}

impl<'a> View<'a> {
    fn both(client: Party<'a>, server: Party<'a>) -> (View<'a>, View<'a>) {
        let egress = View { direction: Direction::Egress, subject: client, peer: server, server };
        let ingress = View { direction: Direction::Ingress, subject: server, peer: client, server };
        (egress, ingress)
    }

    /// The subject and nothing, or no subject and the reason.
    fn subject(self) -> Result<&'a Pod, Exempt> {
        let subject = self.subject.selectable().ok_or(Exempt::NotAPod)?;
        // "Other pods that are allowed (exception: a pod cannot block access to itself)".
        if let Some(peer) = self.peer.selectable()
            && (std::ptr::eq(peer, subject) || (peer.namespace == subject.namespace && peer.name == subject.name))
        {
            return Err(Exempt::Itself);
        }
        // "When a pod is isolated for ingress, the only allowed connections into the pod are those from the pod's node
        // and those allowed by the ingress list of some NetworkPolicy." Of egress no such thing is said there.
        if self.direction == Direction::Ingress
            && self.peer.node().is_some()
            && self.peer.node() == subject.node.as_deref()
        {
            return Err(Exempt::OwnNode);
        }
        Ok(subject)
    }
}

/// Answers for a set of policies.
#[derive(Debug, Clone)]
pub struct Evaluator<'a> {
    policies: &'a [Policy],
    namespaces: &'a Namespaces,
    options: Options,
    by_namespace: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Evaluator<'a> {
    /// An evaluator of `policies` with default [`Options`].
    pub fn new(policies: &'a [Policy], namespaces: &'a Namespaces) -> Evaluator<'a> {
        Evaluator::with_options(policies, namespaces, Options::default())
    }

    /// An evaluator of `policies`.
    pub fn with_options(policies: &'a [Policy], namespaces: &'a Namespaces, options: Options) -> Evaluator<'a> {
        let mut by_namespace: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, policy) in policies.iter().enumerate() {
            by_namespace.entry(&policy.namespace).or_default().push(index);
        }
        Evaluator { policies, namespaces, options, by_namespace }
    }

    /// The policies asked, which indices in verdicts refer to.
    pub fn policies(&self) -> &'a [Policy] {
        self.policies
    }

    /// Whether `client` may connect to `port` of `server`, with every reason. `port` is the port of the server itself,
    /// not of a Service before it; 0 stands for an unknown one, which only rules for all ports cover.
    pub fn verdict(&self, client: Party, server: Party, protocol: Protocol, port: u16) -> Verdict {
        let (egress, ingress) = View::both(client, server);
        Verdict { egress: self.side(egress, protocol, port), ingress: self.side(ingress, protocol, port) }
    }

    /// [`Verdict::allowed`] without the reasons.
    pub fn allowed(&self, client: Party, server: Party, protocol: Protocol, port: u16) -> bool {
        let (egress, ingress) = View::both(client, server);
        self.side_allowed(egress, protocol, port) && self.side_allowed(ingress, protocol, port)
    }

    /// Every port on which `client` may connect to `server`.
    pub fn allowed_ports(&self, client: Party, server: Party) -> PortSet {
        let (egress, ingress) = View::both(client, server);
        let out = self.side_ports(egress);
        if out.is_empty() { out } else { out.intersection(&self.side_ports(ingress)) }
    }

    /// The policies that isolate a pod in a direction, ascending, with their rules: "A pod is isolated for egress if
    /// there is any NetworkPolicy that both selects the pod and has "Egress" in its policyTypes", and so for ingress.
    /// None isolates a pod on the host network.
    pub fn isolating(&self, pod: &Pod, direction: Direction) -> impl Iterator<Item = (usize, &'a [Rule])> {
        let own = if pod.host_network { None } else { self.by_namespace.get(pod.namespace.as_str()) };
        own.into_iter().flatten().filter_map(move |&index| {
            let policy = &self.policies[index];
            let rules = policy.rules(direction)?;
            policy.subject.matches(&pod.labels).then_some((index, rules))
        })
    }

    fn side(&self, view: View, protocol: Protocol, port: u16) -> Side {
        let subject = match view.subject() {
            Ok(subject) => subject,
            Err(exempt) => {
                return Side { subject_exempt: Some(exempt), ..Side::default() };
            }
        };
        let mut side = Side::default();
        for (policy, rules) in self.isolating(subject, view.direction) {
            side.isolating.push(policy);
            for (rule, body) in rules.iter().enumerate() {
                let peers: Vec<_> = self.peers(policy, body, view).collect();
                let ports: Vec<_> = ports(body, view.server, protocol, port).collect();
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
        side
    }

    fn side_allowed(&self, view: View, protocol: Protocol, port: u16) -> bool {
        let Ok(subject) = view.subject() else { return true };
        let mut isolated = false;
        for (policy, rules) in self.isolating(subject, view.direction) {
            isolated = true;
            // "The traffic must match both ports and from."
            let allows = |rule: &Rule| {
                ports(rule, view.server, protocol, port).next().is_some()
                    && self.peers(policy, rule, view).next().is_some()
            };
            if rules.iter().any(allows) {
                return true;
            }
        }
        !isolated
    }

    fn side_ports(&self, view: View) -> PortSet {
        let Ok(subject) = view.subject() else {
            return PortSet::everything();
        };
        let mut isolated = false;
        let mut set = PortSet::empty();
        for (policy, rules) in self.isolating(subject, view.direction) {
            isolated = true;
            for rule in rules.iter().filter(|rule| self.peers(policy, rule, view).next().is_some()) {
                match &rule.ports {
                    Ports::All => return PortSet::everything(),
                    Ports::Any(list) => {
                        set.extend(
                            list.iter()
                                .flat_map(|port| numbers(port, view.server).map(move |range| (port.protocol, range))),
                        );
                    }
                }
            }
        }
        if isolated { set } else { PortSet::everything() }
    }

    /// The elements of `from` or `to` that match the peer; `None` for a rule that has none. "If this field is empty or
    /// missing, this rule matches all sources (traffic not restricted by source)." "Items in this list are combined
    /// using a logical OR operation."
    fn peers<'r>(&'r self, policy: usize, rule: &'r Rule, view: View<'r>) -> impl Iterator<Item = Option<usize>> + 'r {
        let (everyone, list) = match &rule.peers {
            Peers::Everyone => (Some(None), [].as_slice()),
            Peers::Any(list) => (None, list.as_slice()),
        };
        let own = self.policies[policy].namespace.as_str();
        let listed = list.iter().enumerate().filter(move |(_, peer)| self.peer_matches(own, peer, view.peer));
        everyone.into_iter().chain(listed.map(|(index, _)| Some(index)))
    }

    fn peer_matches(&self, own: &str, peer: &Peer, party: Party) -> bool {
        match peer {
            Peer::Pods { namespaces, pods } => party.selectable().is_some_and(|pod| {
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
                let reachable = self.options.ip_block_matches_pods || party.selectable().is_none();
                reachable && party.is_in(block)
            }
        }
    }
}

/// The elements of `ports` that match; `None` for a rule that has none. "If this field is empty or missing, this rule
/// matches all ports (traffic not restricted by port)." "Each item in this list is combined using a logical OR."
fn ports<'r>(
    rule: &'r Rule,
    server: Party<'r>,
    protocol: Protocol,
    port: u16,
) -> impl Iterator<Item = Option<usize>> + 'r {
    let (all, list) = match &rule.ports {
        Ports::All => (Some(None), [].as_slice()),
        Ports::Any(list) => (None, list.as_slice()),
    };
    let listed = list.iter().enumerate().filter(move |(_, entry)| port_matches(entry, server, protocol, port));
    all.into_iter().chain(listed.map(|(index, _)| Some(index)))
}

/// "If present, only traffic on the specified protocol AND port will be matched."
fn port_matches(entry: &PolicyPort, server: Party, protocol: Protocol, port: u16) -> bool {
    // "If this field is not provided, this matches all port names and numbers", so also one that is not known.
    let unknown = port == 0 && entry.port == PortMatch::Every;
    entry.protocol == protocol && (unknown || numbers(entry, server).any(|range| range.contains(port)))
}

/// The numbers an element of `ports` stands for on `server`. "This can either be a numerical or named port on a pod":
/// every container port of that name and protocol counts, on addresses there is none.
fn numbers<'r>(entry: &'r PolicyPort, server: Party<'r>) -> impl Iterator<Item = PortRange> + 'r {
    let (range, name) = match &entry.port {
        PortMatch::Every => (Some(PortRange::ALL), None),
        PortMatch::Range(range) => (Some(*range), None),
        PortMatch::Named(name) => (None, Some(name.as_str())),
    };
    let declared = server.selectable().filter(|_| name.is_some()).into_iter().flat_map(|pod| &pod.ports);
    let named = declared.filter(move |port| port.protocol == entry.protocol && port.name.as_deref() == name);
    range.into_iter().chain(named.filter_map(|port| std::num::NonZeroU16::new(port.number).map(PortRange::single)))
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
