//! Parts of policies of which only a corner is used.

use std::collections::BTreeSet;
use std::net::IpAddr;

use capture::Protocol;
use ipnet::IpNet;

use super::matched::Workloads;
use super::uses::{Use, Uses};
use super::words;
use crate::cluster::{ClusterPeer, ClusterPort};
use crate::endpoint::Workload;
use crate::evaluate::Options;
use crate::part::{Part, PolicyIndex, Removed, Shape};
use crate::policy::{Direction, Peer, Peers, PolicyPort, PolicySet, PortMatch};

/// A selector is too broad if fewer than one in so many of the workloads that it matches used it; so is a range of ports.
const FEW: usize = 10;

/// A range of addresses is too broad if it is this many bits wider than the smallest that covers those seen.
const WIDER: u8 = 8;

/// A rule for everyone that is used by so many addresses outside the cluster is meant for everyone: a public server.
const PUBLIC: usize = 20;

/// Finds parts that are used, but by few of those they are for, and says what would suffice.
pub(super) fn broad(
    set: PolicySet<'_>,
    rules: &[(Part, Shape)],
    uses: &Uses,
    workloads: &Workloads<'_>,
    options: Options,
    removed: &Removed,
) -> Vec<(Part, String)> {
    let broad = Broad { set, uses, workloads, options };
    let left = rules.iter().filter(|(rule, shape)| shape.allows && !removed.contains(*rule));
    let mut found: Vec<(Part, String)> = left.flat_map(|(rule, _)| broad.rule(*rule)).collect();
    found.retain(|(part, _)| !removed.contains(*part));
    found
}

struct Broad<'a> {
    set: PolicySet<'a>,
    uses: &'a Uses,
    workloads: &'a Workloads<'a>,
    options: Options,
}

impl Broad<'_> {
    fn rule(&self, part: Part) -> Vec<(Part, String)> {
        let (Some(direction), Some(number)) = (part.direction, part.rule) else { return Vec::new() };
        let mut found = Vec::new();
        let mut add = |part: Part, why: Option<String>| found.extend(why.map(|why| (part, why)));
        match part.policy {
            PolicyIndex::Network(index) => {
                let policy = &self.set.network[index];
                let Some(rule) = policy.rules(direction).and_then(|rules| rules.get(number)) else { return found };
                if rule.peers == Peers::Everyone {
                    add(part, self.everyone(&self.uses.of(part), direction));
                }
                for (at, peer) in rule.peers.listed().iter().enumerate() {
                    let part = part.with_peer(at);
                    let used = self.uses.of(part);
                    add(
                        part,
                        match peer {
                            Peer::Block(block) => self.network(&used, block.cidr, &words::block(block)),
                            _ => {
                                self.selector(&used, &self.workloads.peer(&policy.namespace, peer).unwrap_or_default())
                            }
                        },
                    );
                }
                if rule.ports.listed().is_empty() {
                    add(part, all_ports(&self.uses.of(part)));
                }
                for (at, port) in rule.ports.listed().iter().enumerate() {
                    add(part.with_port(at), few_ports(&self.uses.of(part.with_port(at)), port));
                }
            }
            PolicyIndex::Cluster(index) => {
                let Some(rule) = self.set.cluster[index].rules(direction).get(number) else { return found };
                for (at, peer) in rule.peers.iter().enumerate() {
                    let part = part.with_peer(at);
                    let used = self.uses.of(part);
                    add(
                        part,
                        match peer {
                            ClusterPeer::Pods(pods) => self.selector(&used, &self.workloads.cluster(pods)),
                            ClusterPeer::Networks(networks) => match networks.as_slice() {
                                [network] => self.network(&used, *network, &network.to_string()),
                                _ => None,
                            },
                            _ => None,
                        },
                    );
                }
                if rule.ports.listed().is_empty() {
                    add(part, all_ports(&self.uses.of(part)));
                }
                for (at, port) in rule.ports.listed().iter().enumerate() {
                    if let ClusterPort::Number(port) = port {
                        add(part.with_port(at), few_ports(&self.uses.of(part.with_port(at)), port));
                    }
                }
            }
        }
        found
    }

    fn selector(&self, used: &Use, matched: &BTreeSet<&Workload>) -> Option<String> {
        let count = used.workloads.iter().filter(|workload| matched.contains(workload)).count();
        (count > 0 && count * FEW < matched.len()).then(|| {
            format!(
                "{count} of the {} workloads that it selects used it; it would suffice to select {}",
                matched.len(),
                names(used)
            )
        })
    }

    fn everyone(&self, used: &Use, direction: Direction) -> Option<String> {
        let all = self.workloads.all();
        let few = used.workloads.len() * FEW < all.len().max(1);
        let is_used = !used.workloads.is_empty() || !used.addresses.is_empty();
        (is_used && few && used.addresses.len() < PUBLIC).then(|| {
            let who = if direction == Direction::Ingress { "is for everyone" } else { "leads everywhere" };
            let mut suffice: Vec<String> = Vec::new();
            if !used.workloads.is_empty() {
                suffice.push(names(used));
            }
            suffice.extend((!used.addresses.is_empty()).then(|| addresses(&used.addresses)));
            format!("it {who}; it would suffice to list {}", suffice.join(" and "))
        })
    }

    fn network(&self, used: &Use, network: IpNet, written: &str) -> Option<String> {
        let mut seen = used.addresses.clone();
        if self.options.ip_block_matches_pods && seen.is_empty() {
            // Only pods used it: a selector would do, and says why.
            return (!used.workloads.is_empty())
                .then(|| format!("of {written} only pods were used; it would suffice to select {}", names(used)));
        }
        seen.retain(|ip| network.contains(ip));
        let smallest = smallest(&seen)?;
        let wider = smallest.prefix_len().saturating_sub(network.prefix_len());
        (wider > WIDER).then(|| {
            let pods = if used.workloads.is_empty() { String::new() } else { format!(" and {}", names(used)) };
            format!("of {written} only {} was used{pods}; {smallest} would suffice", addresses(&seen))
        })
    }
}

/// The smallest range that covers all of these addresses; `None` where there are none or two families.
fn smallest(addresses: &BTreeSet<IpAddr>) -> Option<IpNet> {
    let (first, last) = (addresses.first()?, addresses.last()?);
    let mut network = IpNet::from(*first);
    while !network.contains(last) {
        network = network.supernet()?;
    }
    Some(network)
}

fn all_ports(used: &Use) -> Option<String> {
    (!used.ports.is_empty()).then(|| format!("it is for all ports; it would suffice to list {}", ports(&used.ports)))
}

fn few_ports(used: &Use, port: &PolicyPort) -> Option<String> {
    let size = match &port.port {
        PortMatch::Every => usize::from(u16::MAX),
        PortMatch::Range(range) => usize::from(range.to() - range.from()) + 1,
        PortMatch::Named(_) => 1,
    };
    let count = used.ports.len();
    (count > 0 && count * FEW < size)
        .then(|| format!("{count} of its {size} ports used; it would suffice to list {}", ports(&used.ports)))
}

fn ports(ports: &BTreeSet<(Protocol, u16)>) -> String {
    words::some(&ports.iter().map(|(protocol, port)| format!("{port}/{protocol}")).collect::<Vec<_>>())
}

fn names(used: &Use) -> String {
    words::some(&used.workloads.iter().map(ToString::to_string).collect::<Vec<_>>())
}

fn addresses(addresses: &BTreeSet<IpAddr>) -> String {
    words::some(&addresses.iter().map(ToString::to_string).collect::<Vec<_>>())
}
