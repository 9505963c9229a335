//! An observed connection put to the evaluator.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use capture::Timestamp;
use ipnet::IpNet;

use crate::cluster::ClusterPeer;
use crate::endpoint::{Endpoint, single};
use crate::evaluate::{Decision, Evaluator, Party, Side, Verdict};
use crate::evidence::{End, Evidence};
use crate::graph::Edge;
use crate::inventory::Inventory;
use crate::learn::is_translated;
use crate::policy::{Direction, Peer};

/// One end as policies see it.
pub fn party<'a>(end: &End, inventory: &'a Inventory) -> Party<'a> {
    match end.pod {
        Some(pod) => Party::Pod { pod: inventory.pod(pod), address: Some(end.ip) },
        None => Party::Address { ip: end.ip, node: inventory.node_name(end.ip) },
    }
}

/// The pairs of ends that policies have to be asked about, and when each was last seen opening a connection. Of a range of
/// outside addresses ([`Endpoint::External`]) nobody knows which it was: one address of each part that some policy tells from the
/// rest stands for it.
pub(crate) fn pairs(edge: &Edge, evidence: &Evidence, evaluator: &Evaluator<'_>) -> Vec<((End, End), Timestamp)> {
    let parts = [&edge.key.client, &edge.key.server].map(|endpoint| match endpoint {
        Endpoint::External(range) if single(range).is_none() => Some(parts(range, evaluator)),
        _ => None,
    });
    let seen = evidence.pairs.iter().map(|((client, server), opened)| ((*client, *server), *opened));
    if parts.iter().all(Option::is_none) {
        return seen.collect();
    }
    let ends = |end: End, parts: &Option<BTreeSet<IpAddr>>| -> Vec<End> {
        match parts {
            Some(parts) => parts.iter().map(|ip| End { ip: *ip, pod: None }).collect(),
            None => vec![end],
        }
    };
    let mut all: BTreeMap<(End, End), Timestamp> = BTreeMap::new();
    for ((client, server), opened) in seen {
        for client in ends(client, &parts[0]) {
            for server in ends(server, &parts[1]) {
                let known = all.entry((client, server)).or_insert(opened);
                *known = (*known).max(opened);
            }
        }
    }
    all.into_iter().collect()
}

/// The first address of each part of a range that the policies' ranges cut it into.
fn parts(range: &IpNet, evaluator: &Evaluator<'_>) -> BTreeSet<IpAddr> {
    let mut cuts: Vec<IpNet> = Vec::new();
    for policy in evaluator.policies() {
        let rules = Direction::ALL.into_iter().filter_map(|direction| policy.rules(direction)).flatten();
        for peer in rules.flat_map(|rule| rule.peers.listed()) {
            if let Peer::Block(block) = peer {
                cuts.push(block.cidr);
                cuts.extend(&block.except);
            }
        }
    }
    for policy in evaluator.cluster_policies() {
        for peer in policy.ingress.iter().chain(&policy.egress).flat_map(|rule| &rule.peers) {
            if let ClusterPeer::Networks(networks) = peer {
                cuts.extend(networks);
            }
        }
    }
    let after = |ip: IpAddr| -> Option<IpAddr> {
        match ip {
            IpAddr::V4(ip) => u32::from(ip).checked_add(1).map(|next| Ipv4Addr::from(next).into()),
            IpAddr::V6(ip) => u128::from(ip).checked_add(1).map(|next| Ipv6Addr::from(next).into()),
        }
    };
    let starts = cuts.into_iter().flat_map(|cut| [Some(cut.network()), after(cut.broadcast())]).flatten();
    starts.filter(|start| range.contains(start)).chain([range.network()]).collect()
}

/// The verdict on an observed pair of ends, where it is that they are denied. What a domain name stands for is not known
/// here, so nobody denies it; and of translated connections the server's policies may have seen another source than this
/// view shows.
pub(crate) fn denial(
    evaluator: &Evaluator<'_>,
    edge: &Edge,
    evidence: &Evidence,
    (client, server): (End, End),
    inventory: &Inventory,
) -> Option<Verdict> {
    let (from, to) = (party(&client, inventory), party(&server, inventory));
    let (protocol, port) = (edge.key.protocol, edge.key.port);
    if evaluator.allowed(from, to, protocol, port) {
        return None;
    }
    let verdict = evaluator.verdict(from, to, protocol, port);
    let denied = |side: &Side| side.decision == Decision::Denied;
    let ingress = denied(&verdict.ingress) && !is_translated(evidence);
    (denied(&verdict.egress) || ingress).then_some(verdict)
}
