//! Sets of ports.

use std::fmt;
use std::num::NonZeroU16;

use crate::port::{PortRange, Protocol};
use crate::ranges::Ranges;

/// A set of ports of the three protocols, in one form only: equal sets are equal values.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortSet {
    /// In the order of [`Protocol::ALL`]; 0 is in none.
    ranges: [Ranges<u16>; 3],
}

impl PortSet {
    /// No port.
    pub fn empty() -> PortSet {
        PortSet::default()
    }

    /// Every port of every protocol.
    pub fn everything() -> PortSet {
        PortSet { ranges: std::array::from_fn(|_| Ranges::of(PortRange::ALL.from(), PortRange::ALL.to())) }
    }

    /// One port.
    pub fn single(protocol: Protocol, port: NonZeroU16) -> PortSet {
        PortSet::from_iter([(protocol, PortRange::single(port))])
    }

    /// Adds a range of one protocol.
    pub fn insert(&mut self, protocol: Protocol, range: PortRange) {
        self.ranges[index(protocol)].insert(range.from(), range.to());
    }

    /// What is in either set.
    pub fn union(&self, other: &PortSet) -> PortSet {
        PortSet { ranges: std::array::from_fn(|protocol| self.ranges[protocol].union(&other.ranges[protocol])) }
    }

    /// What is in both sets.
    pub fn intersection(&self, other: &PortSet) -> PortSet {
        PortSet { ranges: std::array::from_fn(|protocol| self.ranges[protocol].intersection(&other.ranges[protocol])) }
    }

    /// What is in this set and not in the other.
    pub fn difference(&self, other: &PortSet) -> PortSet {
        PortSet { ranges: std::array::from_fn(|protocol| self.ranges[protocol].difference(&other.ranges[protocol])) }
    }

    /// Whether the port is in the set; port 0 never is.
    pub fn contains(&self, protocol: Protocol, port: u16) -> bool {
        self.ranges[index(protocol)].contains(port)
    }

    /// Whether no port is in the set.
    pub fn is_empty(&self) -> bool {
        self.ranges.iter().all(Ranges::is_empty)
    }

    /// Whether every port of every protocol is in the set.
    pub fn is_everything(&self) -> bool {
        *self == PortSet::everything()
    }

    /// How many ports there are, of all protocols together.
    pub fn count(&self) -> u32 {
        self.iter().map(|(_, range)| u32::from(range.to()) - u32::from(range.from()) + 1).sum()
    }

    /// The ranges, by protocol and then ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Protocol, PortRange)> {
        let ranges = |protocol| self.ranges[index(protocol)].iter().filter_map(|(from, to)| between(from, to));
        Protocol::ALL.into_iter().flat_map(move |protocol| ranges(protocol).map(move |range| (protocol, range)))
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

#[cfg(test)]
mod tests {
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
}
