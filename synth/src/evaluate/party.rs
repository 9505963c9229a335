//! Who is at an end of a connection, as policies see it.

use std::net::IpAddr;

use super::Options;
use crate::endpoint::Pod;

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

/// IPv4 or IPv6. A connection has one, and address rules of the other say nothing about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address; an IPv4-mapped one is IPv4.
    pub fn of(ip: IpAddr) -> Family {
        if ip.to_canonical().is_ipv4() { Family::V4 } else { Family::V6 }
    }
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

    /// The pod, where NetworkPolicies can select it.
    ///
    /// Of a pod on the host network: "The network plugin cannot properly distinguish hostNetwork pod traffic, and so it
    /// ignores hostNetwork pods when matching podSelector and namespaceSelector. Traffic to/from hostNetwork pods is
    /// treated the same as all other traffic to/from the node IP. (This is the most common implementation.)"
    pub(super) fn selectable(self, options: Options) -> Option<&'a Pod> {
        match self {
            Party::Pod { pod, .. } if !options.is_node(pod) => Some(pod),
            _ => None,
        }
    }

    /// The pod, where cluster-wide policies can select it: "Note that host-networked pods are not included in subject
    /// selection", nor "in this type of peer", whatever they are to NetworkPolicies.
    pub(super) fn selectable_cluster_wide(self) -> Option<&'a Pod> {
        match self {
            Party::Pod { pod, .. } if !pod.host_network => Some(pod),
            _ => None,
        }
    }

    /// The node whose network it is on, as cluster-wide policies see it.
    pub(super) fn node_cluster_wide(self) -> Option<&'a str> {
        match self {
            Party::Pod { pod, .. } => pod.node.as_deref().filter(|_| pod.host_network),
            Party::Address { node, .. } => node,
        }
    }

    /// The node whose address this is.
    pub(super) fn node(self, options: Options) -> Option<&'a str> {
        match self {
            Party::Pod { pod, .. } if options.is_node(pod) => pod.node.as_deref(),
            Party::Pod { .. } => None,
            Party::Address { node, .. } => node,
        }
    }

    /// The address the connection uses, or all that it may use.
    pub(super) fn addresses(&self) -> &[IpAddr] {
        match self {
            Party::Pod { pod, address: None } => &pod.addresses,
            Party::Pod { address: Some(ip), .. } | Party::Address { ip, .. } => std::slice::from_ref(ip),
        }
    }

    fn has(&self, family: Family) -> bool {
        self.addresses().iter().any(|ip| Family::of(*ip) == family)
    }
}

/// The families in which two parties can connect: those that both have, or `None`, for any, where they share none. One
/// that has no address yet may come to have any.
pub(super) fn families(client: &Party, server: &Party) -> impl Iterator<Item = Option<Family>> {
    let may = |party: &Party, family| party.has(family) || party.addresses().is_empty();
    let shared = |family| {
        let one = client.has(family) || server.has(family);
        (one && may(client, family) && may(server, family)).then_some(Some(family))
    };
    let [v4, v6] = [Family::V4, Family::V6].map(shared);
    let any = (v4.is_none() && v6.is_none()).then_some(None);
    v4.into_iter().chain(v6).chain(any)
}
