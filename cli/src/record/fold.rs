//! Outside addresses beyond those that a recorder keeps apart: a range stands for them.
//!
//! Who scans the Internet, and whom the whole Internet visits, would fill memory and disk. The first addresses are kept as they
//! are; later ones are written as the /24 (IPv6: /64) that holds them; when there are too many of these, as wider ones.
//! Conversations that worked and attempts have room of their own, so that a scan takes nothing from what makes rules.

use std::collections::BTreeMap;
use std::net::IpAddr;

use capture::{Flow, Opening};
use ipnet::IpNet;
use rustc_hash::FxHashSet;
use synth::special::{is_group_address, is_private};

/// Lengths of the prefixes, one step after the other. There are few enough of the last.
const V4: [u8; 4] = [32, 24, 16, 8];
const V6: [u8; 4] = [128, 64, 48, 8];

/// Addresses that share so many bits with one of the node's or of its pods may be those of other pods and nodes, and identity
/// needs them as they are.
const NEAR: (u8, u8) = (16, 32);

/// Which outside addresses are kept apart.
#[derive(Debug)]
pub(crate) struct Fold {
    max: usize,
    near: FxHashSet<IpNet>,
    worked: Known,
    attempts: Known,
}

/// Prefixes by step.
type Known = [FxHashSet<IpNet>; 4];

impl Fold {
    /// Keeps at most `max` addresses apart.
    pub(crate) fn new(max: usize) -> Fold {
        Fold { max, near: FxHashSet::default(), worked: Known::default(), attempts: Known::default() }
    }

    /// Says that an address is the node's or that of one of its pods.
    pub(crate) fn is_inside(&mut self, ip: IpAddr) {
        self.near.extend(prefix(ip, NEAR.0, NEAR.1));
    }

    /// Puts ranges in the place of addresses that are too many. Returns the ranges.
    fn flow(&mut self, flow: &mut Flow) -> Vec<IpNet> {
        let Fold { max, near, worked, attempts } = self;
        let known = if flow.outcome.is_attempt() { attempts } else { worked };
        let mut ranges = Vec::new();
        let mut put = |ip: &mut IpAddr| {
            if let Some(range) = fold(*ip, *max, near, known) {
                *ip = range.network();
                ranges.push(range);
            }
        };
        match &mut flow.opening {
            Opening::Alike { client, dialled, served, .. } => {
                put(client);
                put(&mut dialled.ip);
                served.iter_mut().for_each(|served| put(&mut served.ip));
            }
            Opening::Seen { client, dialled, served, .. } => {
                put(&mut client.ip);
                put(&mut dialled.ip);
                served.iter_mut().for_each(|served| put(&mut served.ip));
            }
            Opening::Unseen { sides } => {
                sides.iter_mut().for_each(|side| put(&mut side.socket.ip));
                sides.sort_unstable();
            }
        }
        ranges
    }

    /// All of several rows, and how many conversations stand for each range.
    pub(crate) fn rows<T>(&mut self, rows: &mut [(T, Flow)]) -> BTreeMap<IpNet, u64> {
        let mut folded = BTreeMap::new();
        for (_, flow) in rows {
            for range in self.flow(flow) {
                *folded.entry(range).or_default() += flow.connections;
            }
        }
        folded
    }
}

/// The range that stands for an address; `None` where it stands for itself.
fn fold(ip: IpAddr, max: usize, near: &FxHashSet<IpNet>, known: &mut Known) -> Option<IpNet> {
    let is_near = || prefix(ip, NEAR.0, NEAR.1).is_none_or(|range| near.contains(&range));
    if is_private(ip) || is_group_address(ip) || is_near() {
        return None;
    }
    let last = known.len() - 1;
    for (step, set) in known.iter_mut().enumerate() {
        let range = prefix(ip, V4[step], V6[step])?;
        if set.contains(&range) || set.len() < max || step == last {
            set.insert(range);
            return (step > 0).then_some(range);
        }
    }
    None
}

fn prefix(ip: IpAddr, v4: u8, v6: u8) -> Option<IpNet> {
    IpNet::new(ip, if ip.is_ipv4() { v4 } else { v6 }).ok().map(|range| range.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(fold_of: &mut Fold, ip: &str) -> String {
        let ip = ip.parse().unwrap();
        let Fold { max, near, worked, .. } = fold_of;
        fold(ip, *max, near, worked).map_or_else(|| ip.to_string(), |range| range.to_string())
    }

    #[test]
    fn ranges_stand_for_what_comes_later() {
        let mut fold = Fold::new(2);
        fold.is_inside("192.88.5.1".parse().unwrap());
        fold.is_inside("2001:db8:5::1".parse().unwrap());
        for (ip, expected, what) in [
            ("203.0.113.1", "203.0.113.1", "there is room"),
            ("203.0.113.2", "203.0.113.2", "and for a second"),
            ("203.0.113.3", "203.0.113.0/24", "and no more"),
            ("203.0.113.1", "203.0.113.1", "what is known stays as it is"),
            ("198.51.100.7", "198.51.100.0/24", "a second range"),
            ("198.51.100.8", "198.51.100.0/24", "which holds more"),
            ("198.51.101.8", "198.51.0.0/16", "ranges become wider"),
            ("9.9.9.9", "9.9.0.0/16", "as wide as these"),
            ("8.8.8.8", "8.0.0.0/8", "and wider"),
            ("7.8.8.8", "7.0.0.0/8", "the widest are as many as they are"),
            ("6.8.8.8", "6.0.0.0/8", "the widest are as many as they are"),
            ("10.1.2.3", "10.1.2.3", "a private address may be a pod's"),
            ("169.254.169.254", "169.254.169.254", "and this one is known to all"),
            ("192.88.200.9", "192.88.200.9", "near a pod"),
            ("2001:db8:9::9", "2001:db8:9::9", "near a pod"),
            ("2620:fe::9", "2600::/8", "IPv6 shares the room"),
        ] {
            assert_eq!(known(&mut fold, ip), expected, "{what}");
        }
        let mut fold = Fold::new(1);
        for (ip, expected) in [
            ("2620:fe::9", "2620:fe::9"),
            ("2620:fe::10", "2620:fe::/64"),
            ("2620:fe:0:1::9", "2620:fe::/48"),
            ("2620:fe:7::9", "2600::/8"),
        ] {
            assert_eq!(known(&mut fold, ip), expected);
        }
    }
}
