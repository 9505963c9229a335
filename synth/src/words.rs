//! Parts of policies in words.

use crate::cluster::{ClusterPeer, ClusterPort};
use crate::label::{NAMESPACE_NAME, Requirement, Selector};
use crate::part::{Part, PolicyIndex};
use crate::policy::{Block, Direction, Namespaces, Peer, PolicyPort, PolicySet};

/// `from pods app=web on 8080/TCP`: what a rule, peer or port allows.
pub fn allows(part: Part, set: PolicySet<'_>) -> String {
    let (peers, ports) = listed(part, set);
    let pick = |all: &[String], at: Option<usize>, every: &str| match at {
        Some(at) => all.get(at).cloned().unwrap_or_default(),
        None if all.is_empty() => every.to_string(),
        None => some(all),
    };
    let (everyone, word) = match part.direction {
        Some(Direction::Egress) => ("everywhere", "to"),
        _ => ("everyone", "from"),
    };
    format!("{word} {} on {}", pick(&peers, part.peer, everyone), pick(&ports, part.port, "all ports"))
}

/// The first few of many.
pub(crate) fn some(all: &[String]) -> String {
    const SHOWN: usize = 3;
    match all.len() {
        count if count > SHOWN + 1 => format!("{} and {} more", all[..SHOWN].join(", "), count - SHOWN),
        _ => all.join(", "),
    }
}

fn listed(part: Part, set: PolicySet<'_>) -> (Vec<String>, Vec<String>) {
    let (Some(direction), Some(number)) = (part.direction, part.rule) else { return Default::default() };
    match part.policy {
        PolicyIndex::Network(index) => {
            let rule = set.network[index].rules(direction).and_then(|rules| rules.get(number));
            let Some(rule) = rule else { return Default::default() };
            (
                rule.peers.listed().iter().map(peer).collect(),
                rule.ports.listed().iter().map(PolicyPort::to_string).collect(),
            )
        }
        PolicyIndex::Cluster(index) => {
            let Some(rule) = set.cluster[index].rules(direction).get(number) else { return Default::default() };
            (rule.peers.iter().map(cluster_peer).collect(), rule.ports.listed().iter().map(cluster_port).collect())
        }
    }
}

fn peer(peer: &Peer) -> String {
    match peer {
        Peer::Pods { namespaces: Namespaces::Own, pods } if pods.is_everything() => {
            "all pods of its namespace".to_string()
        }
        Peer::Pods { namespaces: Namespaces::Own, pods } => format!("pods {pods}"),
        Peer::Pods { namespaces: Namespaces::Matching(namespaces), pods } => {
            let pods = if pods.is_everything() { "all pods".to_string() } else { format!("pods {pods}") };
            format!("{pods} {}", of(namespaces))
        }
        Peer::Block(block) => self::block(block),
    }
}

/// `of namespace shop`, `of namespaces env=prod`.
fn of(namespaces: &Selector) -> String {
    match only_namespace(namespaces) {
        _ if namespaces.is_everything() => "of all namespaces".to_string(),
        Some(name) => format!("of namespace {name}"),
        None => format!("of namespaces {namespaces}"),
    }
}

/// The one namespace that a selector names.
pub(crate) fn only_namespace(selector: &Selector) -> Option<&str> {
    let mut requirements = selector.requirements();
    match (requirements.next(), requirements.next()) {
        (Some(Requirement::In { key, values }), None) if key == NAMESPACE_NAME && values.len() == 1 => {
            values.first().map(String::as_str)
        }
        _ => None,
    }
}

/// A range without the parts left out of it.
pub(crate) fn block(block: &Block) -> String {
    let except: Vec<String> = block.except.iter().map(ToString::to_string).collect();
    match except.is_empty() {
        true => block.cidr.to_string(),
        false => format!("{} except {}", block.cidr, some(&except)),
    }
}

fn cluster_peer(peer: &ClusterPeer) -> String {
    match peer {
        ClusterPeer::Pods(pods) => {
            let of = of(&pods.namespaces);
            let which = if pods.pods.is_everything() { "all pods".to_string() } else { format!("pods {}", pods.pods) };
            format!("{which} {of}")
        }
        ClusterPeer::Networks(networks) => some(&networks.iter().map(ToString::to_string).collect::<Vec<_>>()),
        ClusterPeer::Nodes(selector) => format!("nodes {selector}"),
        ClusterPeer::DomainNames(names) => some(names),
        ClusterPeer::Unknown => "a kind of peer that is not known".to_string(),
    }
}

fn cluster_port(port: &ClusterPort) -> String {
    match port {
        ClusterPort::Number(port) => port.to_string(),
        ClusterPort::Named(name) => format!("port {name}"),
    }
}
