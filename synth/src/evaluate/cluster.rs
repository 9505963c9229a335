//! Which rules of cluster-wide policies match.

use super::{Evaluator, View, declared, numbers};
use crate::cluster::{Action, ClusterPeer, ClusterPolicy, ClusterPort, ClusterPorts, ClusterRule, PodPeer, Tier};
use crate::endpoint::Pod;
use crate::port::{PortRange, Protocol};
use crate::ports::PortSet;

/// How a rule's peers stand to the other side.
pub(super) struct PeerMatch {
    /// Index of the first that matches.
    pub(super) peer: usize,
    /// What the rule does about it.
    pub(super) action: Action,
    /// Whether it is certain.
    pub(super) certain: bool,
    /// Whether the rule is for all traffic, whatever its ports: it fails closed.
    pub(super) closed: bool,
}

impl<'a> Evaluator<'a> {
    /// The policies of a tier that have `subject` for a subject, in the order in which they are asked.
    pub(super) fn of_tier(&self, tier: Tier, subject: &Pod) -> impl Iterator<Item = (usize, &'a ClusterPolicy)> {
        let order = match tier {
            Tier::Admin => &self.admin,
            Tier::Baseline => &self.baseline,
        };
        let all = self.policies.cluster;
        let selects = |policy: &ClusterPolicy| !subject.host_network && self.selects(&policy.subject, subject);
        order.iter().map(|&index| (index, &all[index])).filter(move |(_, policy)| selects(policy))
    }

    /// Whether a pod that is not on the host network is one of these.
    fn selects(&self, peer: &PodPeer, pod: &Pod) -> bool {
        self.namespaces.matches(&peer.namespaces, &pod.namespace) && peer.pods.matches(&pod.labels)
    }

    pub(super) fn cluster_peer(&self, rule: &ClusterRule, view: View) -> Option<PeerMatch> {
        let action = rule.action;
        // "If an implementation sees no fields are set then it can infer that the deployed CRD is of an incompatible
        // version with an unknown field. In that case it should fail closed. For "Accept" rules, "fail closed" means:
        // "treat the rule as matching no traffic". For "Deny" and "Pass" rules, "fail closed" means: "treat the rule as
        // a 'Deny all' rule"."
        if let Some(peer) = rule.peers.iter().position(|peer| *peer == ClusterPeer::Unknown) {
            let all = PeerMatch { peer, action: Action::Deny, certain: true, closed: true };
            return (action != Action::Accept).then_some(all);
        }
        let found = |peer, certain| PeerMatch { peer, action, certain, closed: false };
        let certain = rule.peers.iter().position(|peer| self.matches_for_certain(peer, view));
        if let Some(peer) = certain {
            return Some(found(peer, true));
        }
        // Names are resolved outside the cluster's objects, and any address that is no pod's may be behind them.
        let outside = view.peer.selectable_cluster_wide().is_none();
        let named =
            |peer: &ClusterPeer| matches!(peer, ClusterPeer::DomainNames(_)) && (outside || peer.may_name_pods());
        rule.peers.iter().position(named).map(|peer| found(peer, false))
    }

    pub(super) fn matches_for_certain(&self, peer: &ClusterPeer, view: View) -> bool {
        match peer {
            ClusterPeer::Pods(pods) => view.peer.selectable_cluster_wide().is_some_and(|pod| self.selects(pods, pod)),
            // "Cluster-internal traffic will be checked against the rule as well."
            ClusterPeer::Networks(networks) => {
                view.peer_addresses().any(|ip| networks.iter().any(|net| net.contains(&ip.to_canonical())))
            }
            ClusterPeer::Nodes(selector) => {
                let node = view.peer.node_cluster_wide().and_then(|name| self.nodes.get(name));
                node.is_some_and(|node| node.is_at(view.peer_addresses()) && selector.matches(&node.labels))
            }
            ClusterPeer::DomainNames(_) | ClusterPeer::Unknown => false,
        }
    }
}

/// The ports of a rule on `server`.
pub(crate) fn port_set(ports: &ClusterPorts, server: Option<&Pod>) -> PortSet {
    match ports {
        ClusterPorts::All => PortSet::everything(),
        ClusterPorts::Any(list) => self::ports(list, server).collect(),
    }
}

/// The ports that elements of `protocols` stand for on the server, which has names for ports if it is a pod.
pub(super) fn ports<'r>(
    list: &'r [ClusterPort],
    server: Option<&'r Pod>,
) -> impl Iterator<Item = (Protocol, PortRange)> + 'r {
    list.iter().flat_map(move |port| {
        let (number, name) = match port {
            ClusterPort::Number(port) => (Some(port), None),
            ClusterPort::Named(name) => (None, Some(name)),
        };
        let numbered =
            number.into_iter().flat_map(move |port| numbers(port, server).map(|range| (port.protocol, range)));
        numbered.chain(name.into_iter().flat_map(move |name| declared(server, name)))
    })
}
