//! Sets of ports.

use std::fmt;
use std::num::NonZeroU16;

use crate::port::{PortRange, Protocol};

/// A set of ports of the three protocols, in one form only: per protocol sorted ranges that neither overlap nor touch.
/// Equal sets are therefore equal values.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortSet {
    /// In the order of [`Protocol::ALL`].
    ranges: [Vec<PortRange>; 3],
}

impl PortSet {
    /// No port.
    pub fn empty() -> PortSet {
        PortSet::default()
    }

    /// Every port of every protocol.
    pub fn everything() -> PortSet {
        PortSet { ranges: [const { PortRange::ALL }; 3].map(|range| vec![range]) }
    }

    /// Adds a range of one protocol.
    pub fn insert(&mut self, protocol: Protocol, range: PortRange) {
        let ranges = &mut self.ranges[index(protocol)];
        // Everything that overlaps or touches the new range becomes one with it.
        let start = ranges.partition_point(|known| u32::from(known.to()) + 1 < u32::from(range.from()));
        let end = ranges.partition_point(|known| u32::from(known.from()) <= u32::from(range.to()) + 1);
        let joined = ranges[start..end].iter().fold(range, |all, known| hull(all, *known));
        ranges.splice(start..end, [joined]);
    }

    /// What is in either set.
    pub fn union(&self, other: &PortSet) -> PortSet {
        let mut union = self.clone();
        for (protocol, range) in other.iter() {
            union.insert(protocol, range);
        }
        union
    }

    /// What is in both sets.
    pub fn intersection(&self, other: &PortSet) -> PortSet {
        let mut both = PortSet::empty();
        for (protocol, ours) in self.iter() {
            for theirs in &other.ranges[index(protocol)] {
                if let Some(range) = between(ours.from().max(theirs.from()), ours.to().min(theirs.to())) {
                    both.insert(protocol, range);
                }
            }
        }
        both
    }

    /// What is in this set and not in the other.
    pub fn difference(&self, other: &PortSet) -> PortSet {
        let mut rest = PortSet::empty();
        for (protocol, ours) in self.iter() {
            let mut next = u32::from(ours.from());
            let last = u32::from(ours.to());
            for theirs in other.ranges[index(protocol)].iter().filter(|range| range.from() <= ours.to()) {
                rest.insert_some(protocol, next, u32::from(theirs.from()) - 1);
                next = next.max(u32::from(theirs.to()) + 1);
            }
            rest.insert_some(protocol, next, last);
        }
        rest
    }

    fn insert_some(&mut self, protocol: Protocol, from: u32, to: u32) {
        if let (Ok(from), Ok(to)) = (u16::try_from(from), u16::try_from(to))
            && let Some(range) = between(from, to)
        {
            self.insert(protocol, range);
        }
    }

    /// Whether the port is in the set; port 0 never is.
    pub fn contains(&self, protocol: Protocol, port: u16) -> bool {
        self.ranges[index(protocol)].iter().any(|range| range.contains(port))
    }

    /// Whether no port is in the set.
    pub fn is_empty(&self) -> bool {
        self.ranges.iter().all(Vec::is_empty)
    }

    /// Whether every port of every protocol is in the set.
    pub fn is_everything(&self) -> bool {
        self.ranges.iter().all(|ranges| ranges[..] == [PortRange::ALL])
    }

    /// How many ports there are, of all protocols together.
    pub fn count(&self) -> u32 {
        self.iter().map(|(_, range)| u32::from(range.to()) - u32::from(range.from()) + 1).sum()
    }

    /// The ranges, by protocol and then ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Protocol, PortRange)> {
        Protocol::ALL.into_iter().flat_map(|protocol| self.ranges[index(protocol)].iter().map(move |&r| (protocol, r)))
    }
}

impl Extend<(Protocol, PortRange)> for PortSet {
    fn extend<I: IntoIterator<Item = (Protocol, PortRange)>>(&mut self, ranges: I) {
        for (protocol, range) in ranges {
            self.insert(protocol, range);
        }
    }
}

impl FromIterator<(Protocol, PortRange)> for PortSet {
    fn from_iter<I: IntoIterator<Item = (Protocol, PortRange)>>(ranges: I) -> PortSet {
        let mut set = PortSet::empty();
        set.extend(ranges);
        set
    }
}

/// `80/TCP, 8000-9000/TCP, all/UDP`; `none` and `all` for the two extremes.
impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        if self.is_everything() {
            return f.write_str("all");
        }
        for (count, (protocol, range)) in self.iter().enumerate() {
            if count > 0 {
                f.write_str(", ")?;
            }
            if range == PortRange::ALL { write!(f, "all/{protocol}")? } else { write!(f, "{range}/{protocol}")? }
        }
        Ok(())
    }
}

fn index(protocol: Protocol) -> usize {
    match protocol {
        Protocol::Tcp => 0,
        Protocol::Udp => 1,
        Protocol::Sctp => 2,
    }
}

/// `from..=to`, where that is a range.
fn between(from: u16, to: u16) -> Option<PortRange> {
    PortRange::new(NonZeroU16::new(from)?, NonZeroU16::new(to)?)
}

/// The range from the lower start to the higher end.
fn hull(a: PortRange, b: PortRange) -> PortRange {
    between(a.from().min(b.from()), a.to().max(b.to())).unwrap_or(a)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(ranges: &[(Protocol, u16, u16)]) -> PortSet {
        ranges.iter().map(|&(protocol, from, to)| (protocol, between(from, to).unwrap())).collect()
    }

    #[test]
    fn prints() {
        use Protocol::{Sctp, Tcp, Udp};
        for (ranges, printed, shows) in [
            (&[][..], "none", "nothing"),
            (&[(Tcp, 80, 80)], "80/TCP", "one port"),
            (&[(Tcp, 81, 90), (Tcp, 70, 80)], "70-90/TCP", "ranges that touch are one"),
            (&[(Tcp, 1, 5), (Tcp, 7, 9), (Tcp, 2, 8)], "1-9/TCP", "so are ranges that a third one joins"),
            (&[(Udp, 53, 53), (Tcp, 53, 53)], "53/TCP, 53/UDP", "protocols are apart"),
            (&[(Udp, 1, 65535), (Tcp, 443, 443)], "443/TCP, all/UDP", "all of one"),
            (&[(Udp, 1, 65535), (Tcp, 1, 65535), (Sctp, 1, 65535)], "all", "all of all"),
        ] {
            assert_eq!(set(ranges).to_string(), printed, "{shows}");
        }
        assert_eq!(set(&[(Udp, 1, 65535), (Tcp, 1, 65535), (Sctp, 1, 65535)]), PortSet::everything());
        assert_eq!(PortSet::everything().count(), 3 * 65535);
    }

    fn any_set() -> impl Strategy<Value = PortSet> {
        let port = || prop_oneof![1..20u16, 65530..=65535u16];
        let range = (0..3usize, port(), port());
        let pick =
            |(protocol, a, b): (usize, u16, u16)| (Protocol::ALL[protocol], between(a.min(b), a.max(b)).unwrap());
        proptest::collection::vec(range, 0..8).prop_map(move |ranges| ranges.into_iter().map(pick).collect())
    }

    proptest! {
        #[test]
        fn operations_agree_with_membership(a in any_set(), b in any_set()) {
            let (union, both, rest) = (a.union(&b), a.intersection(&b), a.difference(&b));
            for protocol in Protocol::ALL {
                for port in (0..25).chain(65525..=65535) {
                    let (in_a, in_b) = (a.contains(protocol, port), b.contains(protocol, port));
                    prop_assert_eq!(union.contains(protocol, port), in_a || in_b);
                    prop_assert_eq!(both.contains(protocol, port), in_a && in_b);
                    prop_assert_eq!(rest.contains(protocol, port), in_a && !in_b);
                }
            }
            prop_assert_eq!(&both.union(&rest), &a);
            prop_assert_eq!(union.count() + both.count(), a.count() + b.count());
            for ranges in union.ranges {
                prop_assert!(ranges.windows(2).all(|pair| u32::from(pair[0].to()) + 1 < u32::from(pair[1].from())));
            }
        }
    }
}
