//! Parts of policies of which only a corner is used.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroU16;

use capture::Protocol;
use ipnet::IpNet;

use super::matched::Workloads;
use super::uses::{Use, Uses};
use crate::cluster::{ClusterPeer, ClusterPort};
use crate::endpoint::Workload;
use crate::evaluate::Options;
use crate::label::{NAMESPACE_NAME, Requirement, Selector};
use crate::part::{Part, PolicyIndex, Removed, Shape};
use crate::policy::{Block, Direction, Namespaces, Peer, Peers, PolicyPort, PolicySet, PortMatch};
use crate::port::PortRange;
use crate::select::Groups;
use crate::synthesize::PUBLIC_ADDRESSES;
use crate::words;

/// A selector is too broad if fewer than one in so many of the workloads that it matches used it; so is a range of ports.
const FEW: usize = 10;

/// A range of addresses is too broad if it is this many bits wider than the smallest that covers those seen.
const WIDER: u8 = 8;

/// What would suffice in the place of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suffices {
    /// These elements of `from` or `to`: in the place of one, or of none where everyone is meant.
    Peers(Vec<Peer>),
    /// These elements of `ports`, likewise.
    Ports(Vec<PolicyPort>),
}

/// Too broad: which part, in words, and what would suffice, where that can be written down.
pub(super) type Found = (Part, String, Option<Suffices>);

/// Finds parts that are used, but by few of those they are for, and says what would suffice.
pub(super) fn broad(
    set: PolicySet<'_>,
    rules: &[(Part, Shape)],
    uses: &Uses,
    workloads: &Workloads<'_>,
    options: Options,
    removed: &Removed,
) -> Vec<Found> {
    let broad = Broad { set, uses, workloads, options, groups: workloads.groups() };
    let left = rules.iter().filter(|(rule, shape)| shape.allows && !removed.contains(*rule));
    let mut found: Vec<Found> = left.flat_map(|(rule, _)| broad.rule(*rule)).collect();
    found.retain(|(part, ..)| !removed.contains(*part));
    found
}

struct Broad<'a> {
    set: PolicySet<'a>,
    uses: &'a Uses,
    workloads: &'a Workloads<'a>,
    options: Options,
    groups: Groups,
}

/// In words, and what would suffice.
type Why = Option<(String, Option<Suffices>)>;

impl Broad<'_> {
    fn rule(&self, part: Part) -> Vec<Found> {
        let (Some(direction), Some(number)) = (part.direction, part.rule) else { return Vec::new() };
        let mut found = Vec::new();
        let mut add = |part: Part, why: Why| found.extend(why.map(|(why, suffices)| (part, why, suffices)));
        match part.policy {
            PolicyIndex::Network(index) => {
                let policy = &self.set.network[index];
                let Some(rule) = policy.rules(direction).and_then(|rules| rules.get(number)) else { return found };
                if rule.peers == Peers::Everyone {
                    add(part, self.everyone(&self.uses.of(part), direction, &policy.namespace));
                }
                for (at, peer) in rule.peers.listed().iter().enumerate() {
                    let part = part.with_peer(at);
                    let used = self.uses.of(part);
                    let why = match peer {
                        Peer::Block(block) => self.network(&used, block),
                        Peer::Pods { namespaces, pods } => {
                            let matched = self.workloads.peer(&policy.namespace, peer).unwrap_or_default();
                            let narrowed = || self.narrowed(&used, &policy.namespace, namespaces, pods);
                            self.selector(&used, &matched).map(|why| (why, narrowed()))
                        }
                    };
                    add(part, why);
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
                    let why = match peer {
                        ClusterPeer::Pods(pods) => self.selector(&used, &self.workloads.cluster(pods)),
                        ClusterPeer::Networks(networks) => match networks.as_slice() {
                            [network] => {
                                let block = Block { cidr: *network, except: Vec::new() };
                                self.network(&used, &block).map(|(why, _)| why)
                            }
                            _ => None,
                        },
                        _ => None,
                    };
                    // Cluster-wide policies are not written here.
                    add(part, why.map(|why| (why, None)));
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

    /// What selects only those that used a peer, and nobody that it did not select.
    fn narrowed(&self, used: &Use, own: &str, namespaces: &Namespaces, pods: &Selector) -> Option<Suffices> {
        let both = |one: &Selector, other: &Selector| -> Selector {
            one.requirements().chain(other.requirements()).cloned().collect()
        };
        let peers = used.workloads.iter().map(|workload| {
            let group = self.groups.get(self.groups.of(workload)?);
            let named: Selector = [Requirement::equals(NAMESPACE_NAME, &workload.namespace)].into_iter().collect();
            let namespaces = match namespaces {
                Namespaces::Matching(selector) if !selector.is_everything() || workload.namespace != own => {
                    Namespaces::Matching(both(&named, selector))
                }
                _ => Namespaces::Own,
            };
            Some(Peer::Pods { namespaces, pods: both(&group.selector, pods) })
        });
        Some(Suffices::Peers(peers.collect::<Option<BTreeSet<Peer>>>()?.into_iter().collect()))
    }

    fn everyone(&self, used: &Use, direction: Direction, own: &str) -> Why {
        let all = self.workloads.all();
        let few = used.workloads.len() * FEW < all.len().max(1);
        let is_used = !used.workloads.is_empty() || !used.addresses.is_empty();
        (is_used && few && used.addresses.len() < PUBLIC_ADDRESSES).then(|| {
            let who = if direction == Direction::Ingress { "is for everyone" } else { "leads everywhere" };
            let mut suffice: Vec<String> = Vec::new();
            if !used.workloads.is_empty() {
                suffice.push(names(used));
            }
            suffice.extend((!used.addresses.is_empty()).then(|| addresses(&used.addresses)));
            let everything = Selector::everything();
            let pods = self.narrowed(used, own, &Namespaces::Matching(everything.clone()), &everything);
            let blocks = used.addresses.iter().map(|ip| Block { cidr: IpNet::from(*ip), except: Vec::new() });
            let suffices = pods.map(|suffices| match suffices {
                Suffices::Peers(peers) => Suffices::Peers(peers.into_iter().chain(blocks.map(Peer::Block)).collect()),
                ports => ports,
            });
            (format!("it {who}; it would suffice to list {}", suffice.join(" and ")), suffices)
        })
    }

    fn network(&self, used: &Use, block: &Block) -> Why {
        let written = words::block(block);
        let mut seen = used.addresses.clone();
        if self.options.ip_block_matches_pods && seen.is_empty() {
            // A selector would do, and says why; it would also select pods elsewhere, so nobody writes it down here.
            let why = || format!("of {written} only pods were used; it would suffice to select {}", names(used));
            return (!used.workloads.is_empty()).then(|| (why(), None));
        }
        seen.retain(|ip| block.contains(*ip));
        let smallest = smallest(&seen)?;
        let wider = smallest.prefix_len().saturating_sub(block.cidr.prefix_len());
        (wider > WIDER).then(|| {
            let pods = if used.workloads.is_empty() { String::new() } else { format!(" and {}", names(used)) };
            let seen_there = addresses(&seen);
            let is_inside = |net: &IpNet| smallest.contains(net) && *net != smallest;
            let except = block.except.iter().copied().filter(is_inside).collect();
            let suffices = Suffices::Peers(vec![Peer::Block(Block { cidr: smallest, except })]);
            let why = format!("of {written} only {seen_there}{pods} was used; {smallest}{pods} would suffice");
            (why, used.workloads.is_empty().then_some(suffices))
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

fn all_ports(used: &Use) -> Why {
    let why = || format!("it is for all ports; it would suffice to list {}", ports(&used.ports));
    (!used.ports.is_empty()).then(|| (why(), only(&used.ports)))
}

fn few_ports(used: &Use, port: &PolicyPort) -> Why {
    let size = match &port.port {
        PortMatch::Every => usize::from(u16::MAX),
        PortMatch::Range(range) => usize::from(range.to() - range.from()) + 1,
        PortMatch::Named(_) => 1,
    };
    let count = used.ports.len();
    let why = || format!("{count} of its {size} ports used; it would suffice to list {}", ports(&used.ports));
    (count > 0 && count * FEW < size).then(|| (why(), only(&used.ports)))
}

/// These ports; `None` where one is not known.
fn only(ports: &BTreeSet<(Protocol, u16)>) -> Option<Suffices> {
    let port = |(protocol, port): &(Protocol, u16)| {
        let range = PortRange::single(NonZeroU16::new(*port)?);
        Some(PolicyPort { protocol: *protocol, port: PortMatch::Range(range) })
    };
    Some(Suffices::Ports(ports.iter().map(port).collect::<Option<_>>()?))
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
