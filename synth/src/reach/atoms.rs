//! Addresses that no policy tells apart.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustc_hash::FxHashMap;

use crate::addresses::AddressSet;
use crate::evaluate::Family;

/// The address space cut at every border of a question.
pub(super) struct Atoms {
    /// The first address of each stretch, and its atom; the first stretch begins at the lowest address.
    v4: Vec<(u128, u32)>,
    v6: Vec<(u128, u32)>,
    /// By atom: the questions that its addresses answer with yes, ascending.
    pub(super) yes: Vec<Vec<u32>>,
    /// By atom: its addresses.
    pub(super) addresses: Vec<AddressSet>,
    /// By atom: the family of its addresses, where families are kept apart.
    pub(super) family: Vec<Option<Family>>,
}

impl Atoms {
    /// `questions` are sets of addresses with a number each. `apart`: atoms do not hold addresses of both families.
    pub(super) fn new(questions: &[(u32, AddressSet)], apart: bool) -> Atoms {
        let mut atoms =
            Atoms { v4: Vec::new(), v6: Vec::new(), yes: Vec::new(), addresses: Vec::new(), family: Vec::new() };
        let mut known: FxHashMap<(Option<Family>, Vec<u32>), u32> = FxHashMap::default();
        for family in [Family::V4, Family::V6] {
            let mut borders: BTreeMap<u128, (Vec<u32>, Vec<u32>)> = BTreeMap::from([(0, Default::default())]);
            for (question, set) in questions {
                for (first, last) in set.ranges().filter(|(first, _)| Family::of(*first) == family) {
                    borders.entry(number(first)).or_default().0.push(*question);
                    if let Some(after) = number(last).checked_add(1).filter(|after| *after <= highest(family)) {
                        borders.entry(after).or_default().1.push(*question);
                    }
                }
            }
            let mut yes: BTreeSet<u32> = BTreeSet::new();
            let mut stretches = Vec::with_capacity(borders.len());
            let starts: Vec<u128> = borders.keys().copied().collect();
            for (at, (start, (opened, closed))) in borders.into_iter().enumerate() {
                // One range of a question may begin right behind another.
                closed.iter().for_each(|question| {
                    yes.remove(question);
                });
                yes.extend(opened);
                let end = starts.get(at + 1).map_or(highest(family), |next| next - 1);
                let key = (apart.then_some(family), yes.iter().copied().collect::<Vec<u32>>());
                let atom = *known.entry(key).or_insert_with_key(|(family, yes)| {
                    atoms.yes.push(yes.clone());
                    atoms.addresses.push(AddressSet::empty());
                    atoms.family.push(*family);
                    atoms.yes.len() as u32 - 1
                });
                atoms.addresses[atom as usize].insert(address(family, start), address(family, end));
                stretches.push((start, atom));
            }
            match family {
                Family::V4 => atoms.v4 = stretches,
                Family::V6 => atoms.v6 = stretches,
            }
        }
        atoms
    }

    /// The atom of an address.
    pub(super) fn of(&self, ip: IpAddr) -> u32 {
        let ip = ip.to_canonical();
        let stretches = if ip.is_ipv4() { &self.v4 } else { &self.v6 };
        let at = stretches.partition_point(|(start, _)| *start <= number(ip));
        stretches.get(at.saturating_sub(1)).map_or(0, |(_, atom)| *atom)
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => ip.into(),
    }
}

fn address(family: Family, number: u128) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX))),
        Family::V6 => IpAddr::V6(Ipv6Addr::from(number)),
    }
}

fn highest(family: Family) -> u128 {
    match family {
        Family::V4 => u32::MAX.into(),
        Family::V6 => u128::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_cut_where_answers_differ() {
        let set = |net: &str| AddressSet::of(net.parse().unwrap());
        let hole = set("10.0.0.0/8").difference(&set("10.1.0.0/16"));
        let questions = [(7, hole), (8, set("10.0.0.0/9")), (9, set("fd00::/8")), (10, set("255.255.255.255/32"))];
        for apart in [false, true] {
            let atoms = Atoms::new(&questions, apart);
            let yes = |ip: &str| atoms.yes[atoms.of(ip.parse().unwrap()) as usize].clone();
            for (ip, expected) in [
                ("0.0.0.0", vec![]),
                ("10.0.0.0", vec![7, 8]),
                ("::ffff:10.1.0.0", vec![8]),
                ("10.2.0.0", vec![7, 8]),
                ("10.128.0.0", vec![7]),
                ("11.0.0.0", vec![]),
                ("255.255.255.255", vec![10]),
                ("::", vec![]),
                ("fd00::", vec![9]),
                ("ff00::", vec![]),
            ] {
                assert_eq!(yes(ip), expected, "{ip}");
            }
            let whole = atoms.addresses.iter().fold(AddressSet::empty(), |all, set| {
                assert!(all.intersection(set).is_empty());
                all.union(set)
            });
            assert_eq!(whole, AddressSet::everything());
            let same = atoms.of("0.0.0.0".parse().unwrap()) == atoms.of("::".parse().unwrap());
            assert_eq!(same, !apart);
        }
    }
}
