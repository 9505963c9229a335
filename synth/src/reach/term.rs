//! What policies ask about an end of a connection.

use ipnet::IpNet;

use crate::addresses::AddressSet;
use crate::cluster::{ClusterPeer, ClusterPort, PodPeer};
use crate::label::Selector;
use crate::policy::{Block, Namespaces, Peer, Policy, PolicySet, PortMatch};

/// One question; ends that answer all of them alike cannot be told apart. Compared by content, so that the same
/// selector in a thousand policies is one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Term<'a> {
    /// Is it one of these pods, those `on_host` network among them or not?
    Pods { namespaces: Scope<'a>, pods: &'a Selector, on_host: bool },
    /// Is its address in this `ipBlock`?
    Block(&'a Block),
    /// Is its address in this range of a cluster-wide policy?
    Network(IpNet),
    /// Is it a node with these labels, or a pod on its network?
    Nodes(&'a Selector),
}

/// In which namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope<'a> {
    One(&'a str),
    Matching(&'a Selector),
}

impl<'a> Term<'a> {
    /// The subject of a NetworkPolicy.
    pub(super) fn subject(policy: &'a Policy) -> Term<'a> {
        Term::Pods { namespaces: Scope::One(&policy.namespace), pods: &policy.subject, on_host: true }
    }

    /// A peer of a NetworkPolicy of the namespace `own`.
    pub(super) fn peer(own: &'a str, peer: &'a Peer) -> Term<'a> {
        match peer {
            Peer::Pods { namespaces: Namespaces::Own, pods } => {
                Term::Pods { namespaces: Scope::One(own), pods, on_host: true }
            }
            Peer::Pods { namespaces: Namespaces::Matching(namespaces), pods } => {
                Term::Pods { namespaces: Scope::Matching(namespaces), pods, on_host: true }
            }
            Peer::Block(block) => Term::Block(block),
        }
    }

    /// Subject or peer of a cluster-wide policy.
    pub(super) fn pods(peer: &'a PodPeer) -> Term<'a> {
        Term::Pods { namespaces: Scope::Matching(&peer.namespaces), pods: &peer.pods, on_host: false }
    }

    /// The questions of one peer of a cluster-wide policy; none of one that no object answers.
    pub(super) fn cluster_peer(peer: &'a ClusterPeer) -> Vec<Term<'a>> {
        match peer {
            ClusterPeer::Pods(pods) => vec![Term::pods(pods)],
            ClusterPeer::Networks(networks) => networks.iter().copied().map(Term::Network).collect(),
            ClusterPeer::Nodes(selector) => vec![Term::Nodes(selector)],
            ClusterPeer::DomainNames(_) | ClusterPeer::Unknown => Vec::new(),
        }
    }

    /// The addresses asked about, where it is about addresses.
    pub(super) fn addresses(self) -> Option<AddressSet> {
        match self {
            Term::Block(block) => Some(AddressSet::of_block(block)),
            Term::Network(net) => Some(AddressSet::of(net)),
            Term::Pods { .. } | Term::Nodes(_) => None,
        }
    }

    /// Everything that a set of policies asks.
    pub(crate) fn all(set: PolicySet<'a>) -> impl Iterator<Item = Term<'a>> {
        let network = set.network.iter().flat_map(|policy| {
            let rules = policy.ingress.iter().chain(&policy.egress).flatten();
            let peers = rules.flat_map(|rule| rule.peers.listed()).map(|peer| Term::peer(&policy.namespace, peer));
            std::iter::once(Term::subject(policy)).chain(peers)
        });
        let cluster = set.cluster.iter().flat_map(|policy| {
            let rules = policy.ingress.iter().chain(&policy.egress);
            let peers = rules.flat_map(|rule| &rule.peers).flat_map(Term::cluster_peer);
            std::iter::once(Term::pods(&policy.subject)).chain(peers)
        });
        network.chain(cluster)
    }
}

/// The names of ports that policies use.
pub(crate) fn port_names<'a>(set: PolicySet<'a>) -> impl Iterator<Item = &'a str> {
    let rules = set.network.iter().flat_map(|policy| policy.ingress.iter().chain(&policy.egress).flatten());
    let network = rules.flat_map(|rule| rule.ports.listed()).filter_map(|port| match &port.port {
        PortMatch::Named(name) => Some(name.as_str()),
        _ => None,
    });
    let rules = set.cluster.iter().flat_map(|policy| policy.ingress.iter().chain(&policy.egress));
    let cluster = rules.flat_map(|rule| rule.ports.listed()).filter_map(|port| match port {
        ClusterPort::Named(name) => Some(name.as_str()),
        ClusterPort::Number(_) => None,
    });
    network.chain(cluster)
}
