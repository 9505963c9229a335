//! Both ends of a conversation as one key.

use std::fmt::Debug;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::flow::Socket;

/// Which end of [`Ends`] sent a packet; an index.
pub(super) const LOW: usize = 0;
/// The other one.
pub(super) const HIGH: usize = 1;

/// The end that `side` talks to.
pub(super) fn other(side: usize) -> usize {
    side ^ 1
}

/// An address of one family: conversations of each family have tables of their own, because an IPv4 key is less than
/// half as long.
pub(super) trait Address: Copy + Ord + Debug + std::hash::Hash + Into<IpAddr> {
    /// The unspecified address, where a field has to hold something.
    const NONE: Self;
    /// Two sockets in ascending order, addresses first, then ports; and whether they were not.
    fn sorted(one: (Self, u16), two: (Self, u16)) -> ((Self, u16), (Self, u16), bool);
    /// Both addresses in one number that depends on all of their bits.
    fn mixed(self, other: Self, seed: &Seed) -> u64;
    /// Whether it stands for several hosts: multicast, broadcast.
    fn is_group(self) -> bool;
    /// `ip`, if it is of this family.
    fn of(ip: IpAddr) -> Option<Self>;
}

impl Address for Ipv4Addr {
    const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

    /// As numbers: of two packets between the same sockets none foretells which the other is, so a branch would cost more
    /// than all of this.
    #[inline(always)]
    fn sorted(one: (Ipv4Addr, u16), two: (Ipv4Addr, u16)) -> ((Ipv4Addr, u16), (Ipv4Addr, u16), bool) {
        let number = |(ip, port): (Ipv4Addr, u16)| u64::from(ip.to_bits()) << 16 | u64::from(port);
        let socket = |number: u64| (Ipv4Addr::from_bits((number >> 16) as u32), number as u16);
        let (one, two) = (number(one), number(two));
        (socket(one.min(two)), socket(one.max(two)), one > two)
    }

    #[inline]
    fn mixed(self, other: Ipv4Addr, _: &Seed) -> u64 {
        u64::from(self.to_bits()) << 32 | u64::from(other.to_bits())
    }

    fn is_group(self) -> bool {
        self.is_multicast() || self.is_broadcast()
    }

    fn of(ip: IpAddr) -> Option<Ipv4Addr> {
        match ip {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        }
    }
}

impl Address for Ipv6Addr {
    const NONE: Ipv6Addr = Ipv6Addr::UNSPECIFIED;

    #[inline]
    fn sorted(one: (Ipv6Addr, u16), two: (Ipv6Addr, u16)) -> ((Ipv6Addr, u16), (Ipv6Addr, u16), bool) {
        if one <= two { (one, two, false) } else { (two, one, true) }
    }

    #[inline]
    fn mixed(self, other: Ipv6Addr, seed: &Seed) -> u64 {
        let half = |ip: Ipv6Addr| {
            let bits = ip.to_bits();
            seed.fold((bits >> 64) as u64, bits as u64)
        };
        half(self).rotate_left(17) ^ half(other)
    }

    fn is_group(self) -> bool {
        self.is_multicast()
    }

    fn of(ip: IpAddr) -> Option<Ipv6Addr> {
        match ip {
            IpAddr::V4(_) => None,
            IpAddr::V6(ip) => Some(ip),
        }
    }
}

/// Random numbers that go into every hash: whoever sends packets chooses the keys, and must not choose where they fall.
#[derive(Debug, Clone)]
pub(super) struct Seed([u64; 2]);

impl Default for Seed {
    fn default() -> Seed {
        let state = RandomState::new();
        Seed([state.hash_one(1), state.hash_one(2)])
    }
}

impl Seed {
    /// One that everybody knows: the first digits of pi and of e.
    pub(super) const KNOWN: Seed = Seed([0x3243_f6a8_885a_308d, 0x2b7e_1516_28ae_d2a7]);

    /// A folded multiplication: the halves of the 128-bit product of both numbers, each hidden by the seed.
    #[inline]
    pub(super) fn fold(&self, one: u64, two: u64) -> u64 {
        let product = u128::from(one ^ self.0[0]) * u128::from(two ^ self.0[1]);
        (product as u64) ^ ((product >> 64) as u64)
    }
}

/// What a [`Table`](super::table::Table) finds its entries by.
pub(super) trait Key: Copy + Eq {
    /// 64 bits of which any part is as good as another.
    fn hashed(&self, seed: &Seed) -> u64;
    /// Any part of it: reading it is the purpose.
    fn touch(&self) -> u64;
}

/// Both ends, the lower socket first, so that both directions are one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ends<A> {
    low: A,
    high: A,
    low_port: u16,
    high_port: u16,
    /// How often the addresses had changed hands before: an address' next holder starts afresh.
    epoch: u32,
}

impl<A: Address> Ends<A> {
    /// The key of a packet, and which end sent it.
    #[inline(always)]
    pub(super) fn new(source: (A, u16), destination: (A, u16), epoch: u32) -> (Ends<A>, usize) {
        let ((low, low_port), (high, high_port), swapped) = A::sorted(source, destination);
        (Ends { low, high, low_port, high_port, epoch }, if swapped { HIGH } else { LOW })
    }

    /// Address and port of one end.
    #[inline]
    pub(super) fn end(&self, side: usize) -> (A, u16) {
        if side == LOW { (self.low, self.low_port) } else { (self.high, self.high_port) }
    }
}

impl<A: Address> Key for Ends<A> {
    #[inline]
    fn hashed(&self, seed: &Seed) -> u64 {
        let rest = u64::from(self.low_port) << 48 | u64::from(self.high_port) << 32 | u64::from(self.epoch);
        seed.fold(self.low.mixed(self.high, seed), rest)
    }

    #[inline]
    fn touch(&self) -> u64 {
        u64::from(self.epoch)
    }
}

/// An end as flows have it.
pub(super) fn socket<A: Address>((ip, port): (A, u16)) -> Socket {
    Socket { ip: ip.into(), port }
}
