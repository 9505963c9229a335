//! Sets of IP addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

use crate::policy::Block;
use crate::ranges::Ranges;

/// A set of addresses of both families, in one form only: equal sets are equal values. IPv4-mapped IPv6 addresses are
/// the IPv4 ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressSet {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

impl AddressSet {
    /// No address.
    pub fn empty() -> AddressSet {
        AddressSet::default()
    }

    /// Every address of both families.
    pub fn everything() -> AddressSet {
        AddressSet { v4: Ranges::of(0, u32::MAX), v6: Ranges::of(0, u128::MAX) }
    }

    /// The addresses of one range.
    pub fn of(net: IpNet) -> AddressSet {
        let mut set = AddressSet::empty();
        match net {
            IpNet::V4(net) => set.v4.insert(net.network().into(), net.broadcast().into()),
            IpNet::V6(net) => set.v6.insert(net.network().into(), net.broadcast().into()),
        }
        set
    }

    /// The addresses of an `ipBlock`.
    pub fn of_block(block: &Block) -> AddressSet {
        block.except.iter().fold(AddressSet::of(block.cidr), |rest, net| rest.difference(&AddressSet::of(*net)))
    }

    /// Adds the addresses from `first` to `last`, both included; nothing where they are of different families.
    pub fn insert(&mut self, first: IpAddr, last: IpAddr) {
        match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => self.v4.insert(first.into(), last.into()),
            (IpAddr::V6(first), IpAddr::V6(last)) => self.v6.insert(first.into(), last.into()),
            _ => {}
        }
    }

    /// What is in either set.
    pub fn union(&self, other: &AddressSet) -> AddressSet {
        AddressSet { v4: self.v4.union(&other.v4), v6: self.v6.union(&other.v6) }
    }

    /// What is in both sets.
    pub fn intersection(&self, other: &AddressSet) -> AddressSet {
        AddressSet { v4: self.v4.intersection(&other.v4), v6: self.v6.intersection(&other.v6) }
    }

    /// What is in this set and not in the other.
    pub fn difference(&self, other: &AddressSet) -> AddressSet {
        AddressSet { v4: self.v4.difference(&other.v4), v6: self.v6.difference(&other.v6) }
    }

    /// Whether an address is in the set.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match ip.to_canonical() {
            IpAddr::V4(ip) => self.v4.contains(ip.into()),
            IpAddr::V6(ip) => self.v6.contains(ip.into()),
        }
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// The lowest address, IPv4 before IPv6.
    pub fn first(&self) -> Option<IpAddr> {
        self.ranges().next().map(|(first, _)| first)
    }

    /// The ranges, both ends included, IPv4 before IPv6, ascending.
    pub fn ranges(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> {
        let v4 = |(first, last): (u32, u32)| (IpAddr::V4(first.into()), IpAddr::V4(last.into()));
        let v6 = |(first, last): (u128, u128)| (IpAddr::V6(first.into()), IpAddr::V6(last.into()));
        self.v4.iter().map(v4).chain(self.v6.iter().map(v6))
    }

    /// The fewest CIDRs that are exactly this set, IPv4 before IPv6, ascending.
    pub fn cidrs(&self) -> impl Iterator<Item = IpNet> {
        let v4 = |(first, last): (u32, u32)| Ipv4Subnets::new(Ipv4Addr::from(first), Ipv4Addr::from(last), 0);
        let v6 = |(first, last): (u128, u128)| Ipv6Subnets::new(Ipv6Addr::from(first), Ipv6Addr::from(last), 0);
        self.v4.iter().flat_map(v4).map(IpNet::V4).chain(self.v6.iter().flat_map(v6).map(IpNet::V6))
    }
}

/// `10.0.0.0/8, 2001:db8::/32`; where that is shorter, `0.0.0.0/0 except 10.0.0.0/8`; `no address` for the empty set.
impl fmt::Display for AddressSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("no address");
        }
        let v4 = AddressSet { v4: self.v4.clone(), v6: Ranges::default() };
        let v6 = AddressSet { v4: Ranges::default(), v6: self.v6.clone() };
        let words: Vec<String> = [v4, v6].iter().filter(|set| !set.is_empty()).map(AddressSet::shortest).collect();
        f.write_str(&words.join(", "))
    }
}

impl AddressSet {
    /// A set of one family in words.
    fn shortest(&self) -> String {
        let list = |set: &AddressSet| set.cidrs().map(|net| net.to_string()).collect::<Vec<_>>();
        let plain = list(self);
        // Of one range there is nothing shorter.
        let hull = (plain.len() > 2).then(|| self.hull()).flatten();
        let except = hull.map(|hull| (hull, list(&AddressSet::of(hull).difference(self))));
        match except {
            Some((hull, except)) if except.len() + 1 < plain.len() => format!("{hull} except {}", except.join(", ")),
            _ => plain.join(", "),
        }
    }

    /// The smallest CIDR around a set of one family.
    fn hull(&self) -> Option<IpNet> {
        let mut hull = self.cidrs().next()?;
        for net in self.cidrs() {
            while !hull.contains(&net) {
                hull = hull.supernet()?;
            }
        }
        Some(hull)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(nets: &[&str]) -> AddressSet {
        nets.iter().fold(AddressSet::empty(), |set, net| set.union(&AddressSet::of(net.parse().unwrap())))
    }

    #[test]
    fn families_are_apart_and_forms_are_one() {
        let halves = set(&["0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"]);
        assert_eq!(halves, AddressSet::everything());
        assert_eq!(halves.to_string(), "0.0.0.0/0, ::/0");
        let rest = halves.difference(&set(&["10.0.0.0/8", "::/0"]));
        assert!(rest.contains("::ffff:9.255.255.255".parse().unwrap()) && !rest.contains("10.0.0.0".parse().unwrap()));
        assert_eq!(rest.ranges().count(), 2);
        assert_eq!(rest.to_string(), "0.0.0.0/0 except 10.0.0.0/8");
        assert_eq!(rest.union(&set(&["10.0.0.0/8"])).to_string(), "0.0.0.0/0");
        assert_eq!(set(&["10.0.0.1/32", "10.0.0.9/32", "fd00::/8"]).to_string(), "10.0.0.1/32, 10.0.0.9/32, fd00::/8");
    }

    #[test]
    fn a_block_is_its_range_without_the_exceptions() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let block = Block { cidr: net("10.0.0.0/8"), except: vec![net("10.128.0.0/9"), net("10.0.0.0/16")] };
        assert_eq!(
            AddressSet::of_block(&block),
            set(&[
                "10.64.0.0/10",
                "10.32.0.0/11",
                "10.16.0.0/12",
                "10.8.0.0/13",
                "10.4.0.0/14",
                "10.2.0.0/15",
                "10.1.0.0/16"
            ])
        );
    }
}
