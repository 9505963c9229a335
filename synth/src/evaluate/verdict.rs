//! Whether a connection is allowed, and why.

use crate::cluster::Action;
use crate::policy::Direction;

/// Whether a connection is allowed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The client's side.
    pub egress: Side,
    /// The server's side.
    pub ingress: Side,
}

impl Verdict {
    /// Both sides together: "For a connection from a source pod to a destination pod to be allowed, both the egress
    /// policy on the source pod and the ingress policy on the destination pod need to allow the connection."
    pub fn decision(&self) -> Decision {
        self.egress.decision.max(self.ingress.decision)
    }

    /// Whether both sides allow it for certain.
    pub fn allowed(&self) -> bool {
        self.decision() == Decision::Allowed
    }

    /// One of the sides.
    pub fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }
}

/// What is decided, the stronger the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// Allowed.
    Allowed,
    /// It depends on what a domain name stands for, which only the network plugin sees.
    Unknown,
    /// Denied.
    Denied,
}

impl Decision {
    /// `allowed`, `unknown`, `denied`.
    pub fn name(self) -> &'static str {
        match self {
            Decision::Allowed => "allowed",
            Decision::Unknown => "unknown",
            Decision::Denied => "denied",
        }
    }
}

/// What the policies of one side say. Policies are indices into the evaluator's list, ascending; rules, peers and ports
/// are indices into the object as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// What all of it comes to.
    pub decision: Decision,
    /// What decided.
    pub decider: Decider,
    /// Rules of cluster-wide policies that match, or may match, in the order in which they are asked; none after the
    /// one that decides.
    pub cluster: Vec<ClusterMatch>,
    /// The NetworkPolicies that isolate the subject. This and what follows is told also where the Admin tier decides.
    pub isolating: Vec<usize>,
    /// Every combination of rule, peer and port that allows the connection.
    pub allowing: Vec<Allow>,
    /// Rules of isolating policies of which only one half fits. Rules without peers or ports have that half fit always.
    pub near: Vec<NearMiss>,
}

impl Side {
    /// A side on which policies have no say.
    pub(super) fn exempt(exempt: Exempt) -> Side {
        Side { decider: Decider::Exempt(exempt), ..Side::default() }
    }

    /// Whether this side allows the connection for certain.
    pub fn allowed(&self) -> bool {
        self.decision == Decision::Allowed
    }

    /// The cluster-wide rule that decided, where one did: the last that matches for certain.
    pub fn last_word(&self) -> Option<&ClusterMatch> {
        self.cluster.iter().rfind(|rule| rule.certain).filter(|_| self.decider == Decider::Cluster)
    }

    /// Why policies have no say on this side.
    pub fn subject_exempt(&self) -> Option<Exempt> {
        match self.decider {
            Decider::Exempt(exempt) => Some(exempt),
            _ => None,
        }
    }
}

impl Default for Side {
    /// Nothing is said about the subject.
    fn default() -> Side {
        Side {
            decision: Decision::Allowed,
            decider: Decider::Nobody,
            cluster: Vec::new(),
            isolating: Vec::new(),
            allowing: Vec::new(),
            near: Vec::new(),
        }
    }
}

/// What decided on a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decider {
    /// Policies have no say.
    Exempt(Exempt),
    /// A cluster-wide rule, [`Side::last_word`]. Where it is a Pass, no policy comes after it, and the default is to
    /// allow.
    Cluster,
    /// The NetworkPolicies that isolate the subject.
    NetworkPolicies,
    /// No NetworkPolicy isolates the subject and no cluster-wide rule matches, at least not for certain.
    Nobody,
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

/// A rule of a cluster-wide policy that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterMatch {
    /// Index of the policy among the cluster-wide ones.
    pub policy: usize,
    /// Index of the rule in its direction.
    pub rule: usize,
    /// Index in `from` or `to` of the first that matches.
    pub peer: usize,
    /// What it does; a rule that fails closed denies whatever its action.
    pub action: Action,
    /// Whether it matches for certain; not where only domain names do.
    pub certain: bool,
}
