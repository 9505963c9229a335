//! One captured frame, and what its first byte belongs to.

use std::fmt;

use crate::Timestamp;

/// One record of a capture file. The bytes are lent by the reader until its next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When it was captured. A record that carries no time has the time of the frame before it.
    pub time: Timestamp,
    /// What `data` begins with.
    pub link: LinkType,
    /// Which of the file's interfaces saw it, from 0, counted on over the sections of a pcapng file: an index into
    /// [`FileStatistics::interfaces`](crate::file::FileStatistics::interfaces).
    pub interface: u32,
    /// The captured bytes, link header included; the snap length may have cut them.
    pub data: &'a [u8],
    /// Bytes the frame had on the wire, as the file claims; not always at least `data.len()`.
    pub original_length: u32,
}

/// What the first byte of a frame belongs to: the LINKTYPE_ registry, <https://www.tcpdump.org/linktypes.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkType {
    /// 1, IEEE 802.3.
    Ethernet,
    /// 113, Linux "cooked" capture: the `any` device as libpcap writes it.
    LinuxSll,
    /// 276, Linux "cooked" capture v2: the `any` device as tcpdump writes it.
    LinuxSll2,
    /// 101, IPv4 or IPv6 without a link header. Some systems write their DLT_RAW instead: 12, or 14 on OpenBSD.
    RawIp,
    /// 228, IPv4 without a link header.
    RawIpv4,
    /// 229, IPv6 without a link header.
    RawIpv6,
    /// 0, BSD loopback: a protocol family in the byte order of the capturing host.
    Null,
    /// 108, OpenBSD loopback: a protocol family in network byte order.
    Loop,
    /// Any other number of the registry.
    Unknown(u16),
}

impl LinkType {
    /// The link of a frame whose interface the file does not describe. The registry assigns 65535 to nobody.
    pub const UNDESCRIBED: LinkType = LinkType::Unknown(u16::MAX);

    /// Reads a number of the registry. Only the low 16 bits count: a pcap header keeps the length of the frame check
    /// sequence in the upper ones (draft-ietf-opsawg-pcap §4).
    pub fn from_number(number: u32) -> LinkType {
        match number & 0xffff {
            0 => LinkType::Null,
            1 => LinkType::Ethernet,
            12 | 14 | 101 => LinkType::RawIp,
            108 => LinkType::Loop,
            113 => LinkType::LinuxSll,
            228 => LinkType::RawIpv4,
            229 => LinkType::RawIpv6,
            276 => LinkType::LinuxSll2,
            other => LinkType::Unknown(other as u16),
        }
    }
}

/// The registry's name without its prefix, `LINUX_SLL2`; `link type 147` where there is none to say.
impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            LinkType::Ethernet => "ETHERNET",
            LinkType::LinuxSll => "LINUX_SLL",
            LinkType::LinuxSll2 => "LINUX_SLL2",
            LinkType::RawIp => "RAW",
            LinkType::RawIpv4 => "IPV4",
            LinkType::RawIpv6 => "IPV6",
            LinkType::Null => "NULL",
            LinkType::Loop => "LOOP",
            &LinkType::UNDESCRIBED => "undescribed interface",
            LinkType::Unknown(number) => return write!(f, "link type {number}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_registry() {
        for (number, link, printed) in [
            (0, LinkType::Null, "NULL"),
            (1, LinkType::Ethernet, "ETHERNET"),
            (12, LinkType::RawIp, "RAW"),
            (14, LinkType::RawIp, "RAW"),
            (101, LinkType::RawIp, "RAW"),
            (108, LinkType::Loop, "LOOP"),
            (113, LinkType::LinuxSll, "LINUX_SLL"),
            (147, LinkType::Unknown(147), "link type 147"),
            (228, LinkType::RawIpv4, "IPV4"),
            (229, LinkType::RawIpv6, "IPV6"),
            (276, LinkType::LinuxSll2, "LINUX_SLL2"),
            (65535, LinkType::UNDESCRIBED, "undescribed interface"),
            (0x2400_0001, LinkType::Ethernet, "ETHERNET"), // four bytes of frame check sequence
        ] {
            assert_eq!(LinkType::from_number(number), link, "{number}");
            assert_eq!(link.to_string(), printed, "{number}");
        }
    }
}
