//! Cluster-wide policies in the form they are evaluated in: `policy.networking.k8s.io/v1alpha2` ClusterNetworkPolicy.
//!
//! AdminNetworkPolicy and BaselineAdminNetworkPolicy (v1alpha1) say the same in other fields and become the same type.
//! Unlike a NetworkPolicy these are ordered lists of decisions: the first rule that matches decides, a connection that
//! none matches goes on to the next tier. Sentences in quotes are from `apis/v1alpha2/clusternetworkpolicy_types.go`.

use std::fmt;

use ipnet::IpNet;

use crate::label::{Labels, Selector};
use crate::policy::{Direction, Origin, PolicyPort};

/// Which object a policy was written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClusterKind {
    /// v1alpha2 and v1beta1.
    ClusterNetworkPolicy,
    /// v1alpha1, tier Admin.
    AdminNetworkPolicy,
    /// v1alpha1, tier Baseline.
    BaselineAdminNetworkPolicy,
}

impl ClusterKind {
    /// `kind` of the object.
    pub fn name(self) -> &'static str {
        match self {
            ClusterKind::ClusterNetworkPolicy => "ClusterNetworkPolicy",
            ClusterKind::AdminNetworkPolicy => "AdminNetworkPolicy",
            ClusterKind::BaselineAdminNetworkPolicy => "BaselineAdminNetworkPolicy",
        }
    }
}

/// When a policy is asked: before the NetworkPolicies or after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Before the NetworkPolicies.
    Admin,
    /// After them, about pods that they do not isolate.
    Baseline,
}

impl Tier {
    /// `spec.tier`.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Admin => "Admin",
            Tier::Baseline => "Baseline",
        }
    }
}

/// A cluster-wide policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterPolicy {
    /// What it was written as.
    pub kind: ClusterKind,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `metadata.creationTimestamp`, nanoseconds since the Unix epoch.
    pub created: Option<capture::Timestamp>,
    /// `metadata.resourceVersion` as a number, 0 where there is none; the higher is the newer.
    pub version: u64,
    /// Where it was read.
    pub origin: Origin,
    /// `spec.tier`.
    pub tier: Tier,
    /// `spec.priority`, 0..=1000, lower first; a BaselineAdminNetworkPolicy has none and 0 here.
    pub priority: i32,
    /// `spec.subject`.
    pub subject: PodPeer,
    /// `spec.ingress`.
    pub ingress: Vec<ClusterRule>,
    /// `spec.egress`.
    pub egress: Vec<ClusterRule>,
}

impl ClusterPolicy {
    /// The rules of a direction, in their order.
    pub fn rules(&self, direction: Direction) -> &[ClusterRule] {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }

    /// `Kind/name`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.kind.name(), self.name)
    }

    /// What orders policies: tier, then priority; "if two policies of the same tier have the same priority", which is
    /// undefined, then by name, as kube-network-policies does, and kind.
    pub fn rank(&self) -> (Tier, i32, &str, ClusterKind) {
        (self.tier, self.priority, &self.name, self.kind)
    }
}

/// Pods by their namespaces' labels and their own: `namespaces`, or `pods.namespaceSelector` and `pods.podSelector`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodPeer {
    /// Which namespaces; empty for all.
    pub namespaces: Selector,
    /// Which of their pods; empty for all.
    pub pods: Selector,
}

/// One element of `spec.ingress` or `spec.egress`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterRule {
    /// `name`, which may be empty.
    pub name: String,
    /// `action`.
    pub action: Action,
    /// `from` or `to`, never empty.
    pub peers: Vec<ClusterPeer>,
    /// `protocols`, or `ports` of v1alpha1.
    pub ports: ClusterPorts,
    /// 1-based line of the rule in its file, 0 where there is none.
    pub line: u32,
}

/// `action` of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Allowed in this direction, whatever comes later (`Allow` of v1alpha1).
    Accept,
    /// Denied.
    Deny,
    /// This tier says no more about it.
    Pass,
}

impl Action {
    /// The word of v1alpha2.
    pub fn name(self) -> &'static str {
        match self {
            Action::Accept => "Accept",
            Action::Deny => "Deny",
            Action::Pass => "Pass",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One element of `from` or `to`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClusterPeer {
    /// `namespaces` or `pods`.
    Pods(PodPeer),
    /// `networks`; they match addresses of pods too.
    Networks(Vec<IpNet>),
    /// `nodes`, by their labels; egress only.
    Nodes(Selector),
    /// `domainNames`, `*.` for any labels before the rest; egress and Accept only. What they resolve to is not in any
    /// object: any address outside and any node, and pods where [`ClusterPeer::may_name_pods`].
    DomainNames(Vec<String>),
    /// No field that is known: a newer kind of peer. "Accept matches nothing, Deny and Pass deny everything": a policy
    /// has to fail closed.
    Unknown,
}

impl ClusterPeer {
    /// Whether it is by name, and pods may have such a name: NPEP-133 supports the names of Services and pods, though it
    /// recommends selectors. Those have a label `svc` or `pod`, or end in `.cluster.local`, or a wildcard stands for one
    /// that does. All other names are taken to be of nobody in the cluster but nodes.
    pub fn may_name_pods(&self) -> bool {
        let ClusterPeer::DomainNames(names) = self else { return false };
        names.iter().any(|name| {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let labelled = name.split('.').any(|label| label == "svc" || label == "pod");
            labelled || name == "*.local" || name.ends_with(".cluster.local")
        })
    }
}

/// `protocols` of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ClusterPorts {
    /// Absent or empty: all traffic.
    All,
    /// Any of these; never empty.
    Any(Vec<ClusterPort>),
}

impl ClusterPorts {
    /// The elements as written; none where all traffic is meant.
    pub fn listed(&self) -> &[ClusterPort] {
        match self {
            ClusterPorts::All => &[],
            ClusterPorts::Any(ports) => ports,
        }
    }

    /// Whether what they stand for depends on the server.
    pub fn has_names(&self) -> bool {
        self.listed().iter().any(|port| matches!(port, ClusterPort::Named(_)))
    }
}

/// One element of `protocols`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClusterPort {
    /// `tcp`, `udp` or `sctp` with `destinationPort`.
    Number(PolicyPort),
    /// `destinationNamedPort`: a container port's name, whatever its protocol.
    Named(String),
}
