//! NetworkPolicy v1 after all defaulting: the one place where absent, null and empty fields have got their meaning.
//!
//! Values of these types are made by [`crate::manifest`] from YAML or JSON, and by [`crate::synthesize`]. Indices into
//! `rules`, `peers` and `ports` are those of the object as written.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::cluster::{ClusterPeer, ClusterPolicy};
use crate::label::Selector;
use crate::port::{PortRange, Protocol};

/// The policies of a cluster, which are only ever evaluated together.
#[derive(Debug, Clone, Copy, Default)]
pub struct PolicySet<'a> {
    /// The NetworkPolicies.
    pub network: &'a [Policy],
    /// The cluster-wide policies, in any order.
    pub cluster: &'a [ClusterPolicy],
}

impl PolicySet<'_> {
    /// How many policies there are, of both kinds.
    pub fn len(&self) -> usize {
        self.network.len() + self.cluster.len()
    }

    /// Whether some policy selects nodes as peers.
    pub fn selects_nodes(&self) -> bool {
        let rules = self.cluster.iter().flat_map(|policy| policy.ingress.iter().chain(&policy.egress));
        rules.flat_map(|rule| &rule.peers).any(|peer| matches!(peer, ClusterPeer::Nodes(_)))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> From<&'a [Policy]> for PolicySet<'a> {
    fn from(network: &'a [Policy]) -> PolicySet<'a> {
        PolicySet { network, cluster: &[] }
    }
}

impl<'a> From<&'a Vec<Policy>> for PolicySet<'a> {
    fn from(network: &'a Vec<Policy>) -> PolicySet<'a> {
        PolicySet { network, cluster: &[] }
    }
}

/// A policy of either kind.
#[derive(Debug, Clone, Copy)]
pub enum AnyPolicy<'a> {
    /// A NetworkPolicy.
    Network(&'a Policy),
    /// A cluster-wide policy.
    Cluster(&'a ClusterPolicy),
}

impl AnyPolicy<'_> {
    /// `namespace/name`, or `Kind/name` of a cluster-wide policy.
    pub fn id(self) -> String {
        match self {
            AnyPolicy::Network(policy) => policy.id(),
            AnyPolicy::Cluster(policy) => policy.id(),
        }
    }

    /// Where it was read.
    pub fn origin(self) -> Origin {
        match self {
            AnyPolicy::Network(policy) => policy.origin.clone(),
            AnyPolicy::Cluster(policy) => policy.origin.clone(),
        }
    }

    /// `metadata.creationTimestamp`.
    pub fn created(self) -> Option<capture::Timestamp> {
        match self {
            AnyPolicy::Network(policy) => policy.created,
            AnyPolicy::Cluster(policy) => policy.created,
        }
    }
}

/// A direction as seen from the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Connections that peers open to the subject.
    Ingress,
    /// Connections that the subject opens to peers.
    Egress,
}

impl Direction {
    /// Both.
    pub const ALL: [Direction; 2] = [Direction::Ingress, Direction::Egress];

    /// `ingress` or `egress`.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Where an object was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The file as the user named it; empty for objects that were never in a file.
    pub file: Arc<str>,
    /// 1-based line of the object's first key, 0 where it is about all of the file.
    pub line: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// A NetworkPolicy (`networking.k8s.io/v1`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// `metadata.namespace`, `default` where absent.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.labels`.
    pub labels: crate::label::Labels,
    /// `metadata.creationTimestamp`, nanoseconds since the Unix epoch.
    pub created: Option<capture::Timestamp>,
    /// `metadata.resourceVersion` as a number, 0 where there is none; the higher is the newer.
    pub version: u64,
    /// Where it was read.
    pub origin: Origin,
    /// `spec.podSelector`: the subject's pods, in the policy's own namespace.
    pub subject: Selector,
    /// 1-based line of `spec.podSelector`, the object's own where it is absent, 0 where there is no file.
    pub subject_line: u32,
    /// The ingress rules where the policy isolates for ingress (effective `policyTypes`); `None` where it does not.
    pub ingress: Option<Vec<Rule>>,
    /// The egress rules where the policy isolates for egress; `None` where it does not.
    pub egress: Option<Vec<Rule>>,
    /// What was written and has no effect, in the order of the file.
    pub ignored: Vec<Ignored>,
}

/// A part of a NetworkPolicy that the API server accepts and nobody enforces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ignored {
    /// Rules of a direction that `policyTypes` does not list.
    Rules {
        /// Their direction.
        direction: Direction,
        /// How many.
        count: usize,
        /// 1-based line of the first.
        line: u32,
    },
    /// `matchLabels` with no label, and no `matchExpressions` beside it: the selector selects everything.
    MatchLabels {
        /// Whether it is the subject's selector; else a peer's.
        subject: bool,
        /// 1-based line of the selector.
        line: u32,
    },
}

impl Policy {
    /// The rules of a direction; `None` where the policy does not isolate in it.
    pub fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }

    /// The policy alone, without where it was written: two that read alike are equal.
    pub fn without_places(mut self) -> Policy {
        self.origin = Origin::default();
        self.subject_line = 0;
        for rule in self.ingress.iter_mut().chain(&mut self.egress).flatten() {
            rule.lines = Lines::default();
        }
        self
    }

    /// `namespace/name`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// One element of `spec.ingress` or `spec.egress`: allowed are these ports of these peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `from` or `to`.
    pub peers: Peers,
    /// `ports`.
    pub ports: Ports,
    /// Where it was written.
    pub lines: Lines,
}

/// Where a rule and its elements were written: 1-based lines of the policy's file. Zero and empty where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    /// The rule.
    pub rule: u32,
    /// Each element of `from` or `to`.
    pub peers: Vec<u32>,
    /// Each element of `ports`.
    pub ports: Vec<u32>,
}

/// `from` or `to` of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peers {
    /// Absent, null or empty: every pod, node and outside address.
    Everyone,
    /// Any of these; never empty.
    Any(Vec<Peer>),
}

impl Peers {
    /// The elements as written; none where everyone is meant.
    pub fn listed(&self) -> &[Peer] {
        match self {
            Peers::Everyone => &[],
            Peers::Any(peers) => peers,
        }
    }
}

/// One element of `from` or `to`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// Pods, by `namespaceSelector` and `podSelector` (both have to match).
    Pods {
        /// Which namespaces.
        namespaces: Namespaces,
        /// Which of their pods; everything where `podSelector` is absent.
        pods: Selector,
    },
    /// Addresses (`ipBlock`).
    Block(Block),
}

/// The namespaces of a peer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespaces {
    /// No `namespaceSelector`: the policy's own.
    Own,
    /// Those whose labels match.
    Matching(Selector),
}

/// `ipBlock`: the addresses of `cidr` that are in none of `except`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    /// `ipBlock.cidr`, host bits masked.
    pub cidr: IpNet,
    /// `ipBlock.except`, each strictly inside `cidr`.
    pub except: Vec<IpNet>,
}

impl Block {
    /// Whether an address is in the block. Families never mix, except that an IPv4-mapped IPv6 address is the IPv4 one.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.cidr.contains(&ip) && !self.except.iter().any(|net| net.contains(&ip))
    }
}

/// `ports` of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Ports {
    /// Absent, null or empty: every port of every protocol.
    All,
    /// Any of these; never empty.
    Any(Vec<PolicyPort>),
}

impl Ports {
    /// The elements as written; none where all ports are meant.
    pub fn listed(&self) -> &[PolicyPort] {
        match self {
            Ports::All => &[],
            Ports::Any(ports) => ports,
        }
    }

    /// Whether what they stand for depends on the server.
    pub fn has_names(&self) -> bool {
        self.listed().iter().any(|port| matches!(port.port, PortMatch::Named(_)))
    }
}

/// One element of `ports`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyPort {
    /// `protocol`, TCP where absent.
    pub protocol: Protocol,
    /// `port` and `endPort`.
    pub port: PortMatch,
}

impl fmt::Display for PolicyPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.port {
            PortMatch::Every => write!(f, "every {} port", self.protocol),
            PortMatch::Range(range) => write!(f, "{range}/{}", self.protocol),
            PortMatch::Named(name) => write!(f, "{name}/{}", self.protocol),
        }
    }
}

/// `port` and `endPort`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortMatch {
    /// Absent: every port of the protocol.
    Every,
    /// A number, or a range of them.
    Range(PortRange),
    /// The name of a container port, looked up on the destination pod.
    Named(String),
}
