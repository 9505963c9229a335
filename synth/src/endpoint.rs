//! Who can be on one side of a flow: a pod of a workload, a node, or an address.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::label::Labels;
use crate::port::ContainerPort;

/// A workload: the top owner of pods (Deployment, StatefulSet, DaemonSet, CronJob, Job, bare Pod, or a custom owner).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Workload {
    /// `metadata.namespace` of the owner.
    pub namespace: String,
    /// Its kind, `Deployment`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Workload {
    /// `namespace/Kind/name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.kind, self.name)
    }
}

/// A pod, reduced to what identity and NetworkPolicy need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// Its top owner.
    pub workload: Workload,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `status.podIPs`, IPv4-mapped addresses unmapped; empty where none was assigned yet.
    pub addresses: Vec<IpAddr>,
    /// `spec.nodeName`.
    pub node: Option<String>,
    /// `spec.hostNetwork`: the pod has its node's addresses, and no selector of a cluster-wide policy matches it; on
    /// those of NetworkPolicies network plugins differ.
    pub host_network: bool,
    /// Ports declared by containers and by restartable init containers.
    pub ports: Vec<ContainerPort>,
    /// Port numbers that the kubelet probes (`livenessProbe`, `readinessProbe`, `startupProbe`).
    pub probed: BTreeSet<u16>,
    /// Whether the pod is over (`status.phase` Succeeded or Failed, or gone from a later dump).
    pub finished: bool,
}

/// What kind of address of a node it is; the nodes of a cluster have the same kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeAddressKind {
    /// `status.addresses`, a pod's `status.hostIPs`.
    Status,
    /// The first address of a podCIDR: the tunnel device of flannel and others.
    Tunnel,
    /// The second address of a podCIDR: the bridge to the pods.
    Gateway,
    /// An annotation of the network plugin.
    Plugin,
}

/// A node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Its addresses, both families.
    pub addresses: BTreeMap<IpAddr, NodeAddressKind>,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `metadata.annotations` of network plugins.
    pub annotations: BTreeMap<String, String>,
}

impl Node {
    /// Whether `nodes` of a cluster-wide policy finds it at one of these addresses: "It selects the nodeIPs as the peer
    /// type by matching on the IPs present in the node.Status.Addresses field". A pod on its network that has no address
    /// yet will have these, so no address is one of them.
    pub(crate) fn is_at(&self, addresses: impl Iterator<Item = IpAddr>) -> bool {
        let mut addresses = addresses.peekable();
        addresses.peek().is_none()
            || addresses.any(|ip| self.addresses.get(&ip.to_canonical()) == Some(&NodeAddressKind::Status))
    }
}

/// One resolved side of a flow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// Pods of a workload.
    Workload(Workload),
    /// A node, by name; pods on the host network are their node.
    Node(String),
    /// An address outside the cluster; or several, where an observer had no room to keep them apart and wrote down the range
    /// that holds them. Host bits are zero.
    External(IpNet),
    /// An address of pods or Services whose holder at that moment is not known.
    Unresolved {
        /// The address.
        ip: IpAddr,
        /// Why it has no holder.
        reason: Unresolved,
    },
}

/// Why an address inside a pod range has no holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unresolved {
    /// No pod of the inventory held it at that moment.
    NoHolder,
    /// Two pods held it at that moment.
    TwoHolders,
    /// It is a Service's address, and nothing stood behind the port that was dialled.
    NoBackend,
}

impl Unresolved {
    /// For people and for `reason` in the machine format.
    pub fn text(self) -> &'static str {
        match self {
            Unresolved::NoHolder => "no pod of the cluster input held this address then",
            Unresolved::NoBackend => "the Service with this address had no endpoint for this port then",
            Unresolved::TwoHolders => "two pods of the cluster input held this address then",
        }
    }
}

/// The address of a range that holds just one.
pub fn single(range: &IpNet) -> Option<IpAddr> {
    (range.prefix_len() == range.max_prefix_len()).then(|| range.addr())
}

/// The first and the last address of a range; one where there is no other.
pub fn ends(range: &IpNet) -> impl Iterator<Item = IpAddr> + use<> {
    let (first, last) = (range.network(), range.broadcast());
    std::iter::once(first).chain((first != last).then_some(last))
}

impl Endpoint {
    /// One address outside the cluster.
    pub fn external(ip: IpAddr) -> Endpoint {
        Endpoint::External(IpNet::from(ip))
    }

    /// The workload, where it is one.
    pub fn workload(&self) -> Option<&Workload> {
        match self {
            Endpoint::Workload(workload) => Some(workload),
            _ => None,
        }
    }
}

impl fmt::Display for Endpoint {
    /// `namespace/Kind/name`, `node:NAME`, the address or the range, or `?address`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Workload(workload) => workload.fmt(f),
            Endpoint::Node(name) => write!(f, "node:{name}"),
            Endpoint::External(range) => match single(range) {
                Some(ip) => ip.fmt(f),
                None => range.fmt(f),
            },
            Endpoint::Unresolved { ip, .. } => write!(f, "?{ip}"),
        }
    }
}
