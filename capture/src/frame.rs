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
    /// 9, PPP, with or without HDLC-like framing (RFC 1661, RFC 1662).
    Ppp,
    /// 50, PPP in HDLC-like framing, or Cisco's HDLC.
    PppHdlc,
    /// 166 and 204, PPP behind a byte that tells the direction.
    PppWithDirection,
    /// 51, PPPoE without the Ethernet header (RFC 2516).
    PppEther,
    /// 104, Cisco's HDLC.
    CiscoHdlc,
    /// 100, 802.2 without a link header before it (RFC 1483).
    LlcSnap,
    /// 109, OpenBSD's view into IPsec, decrypted.
    Enc,
    /// 117, OpenBSD's packet filter log.
    Pflog,
    /// 192, per-packet information: a header before another link type.
    Ppi,
    /// 219, MPLS labels.
    Mpls,
    /// 239, Linux netfilter log: `iptables -j NFLOG`.
    Nflog,
    /// 258, Apple's view of several interfaces: a header before another link type.
    Pktap,
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
            9 => LinkType::Ppp,
            12 | 14 | 101 => LinkType::RawIp,
            50 => LinkType::PppHdlc,
            51 => LinkType::PppEther,
            100 => LinkType::LlcSnap,
            104 => LinkType::CiscoHdlc,
            108 => LinkType::Loop,
            109 => LinkType::Enc,
            113 => LinkType::LinuxSll,
            117 => LinkType::Pflog,
            166 | 204 => LinkType::PppWithDirection,
            192 => LinkType::Ppi,
            219 => LinkType::Mpls,
            228 => LinkType::RawIpv4,
            229 => LinkType::RawIpv6,
            239 => LinkType::Nflog,
            258 => LinkType::Pktap,
            276 => LinkType::LinuxSll2,
            other => LinkType::Unknown(other as u16),
        }
    }
}

impl LinkType {
    /// A number of the registry, of which [`LinkType::from_number`] makes the same again.
    pub fn number(self) -> u16 {
        match self {
            LinkType::Null => 0,
            LinkType::Ethernet => 1,
            LinkType::Ppp => 9,
            LinkType::PppHdlc => 50,
            LinkType::PppEther => 51,
            LinkType::LlcSnap => 100,
            LinkType::RawIp => 101,
            LinkType::CiscoHdlc => 104,
            LinkType::Loop => 108,
            LinkType::Enc => 109,
            LinkType::LinuxSll => 113,
            LinkType::Pflog => 117,
            LinkType::PppWithDirection => 166,
            LinkType::Ppi => 192,
            LinkType::Mpls => 219,
            LinkType::RawIpv4 => 228,
            LinkType::RawIpv6 => 229,
            LinkType::Nflog => 239,
            LinkType::Pktap => 258,
            LinkType::LinuxSll2 => 276,
            LinkType::Unknown(number) => number,
        }
    }
}

/// The registry's name without its prefix, `LINUX_SLL2`; `link type 400` where there is none to say.
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
            LinkType::Ppp => "PPP",
            LinkType::PppHdlc => "PPP_HDLC",
            LinkType::PppWithDirection => "PPP_WITH_DIR",
            LinkType::PppEther => "PPP_ETHER",
            LinkType::CiscoHdlc => "C_HDLC",
            LinkType::LlcSnap => "ATM_RFC1483",
            LinkType::Enc => "ENC",
            LinkType::Pflog => "PFLOG",
            LinkType::Ppi => "PPI",
            LinkType::Mpls => "MPLS",
            LinkType::Nflog => "NFLOG",
            LinkType::Pktap => "PKTAP",
            &LinkType::UNDESCRIBED => "undescribed interface",
            &LinkType::Unknown(number @ 147..=162) => return write!(f, "USER{}", number - 147),
            LinkType::Unknown(number) => match UNREAD.iter().find(|(other, _)| other == number) {
                Some((_, name)) => name,
                None => return write!(f, "link type {number}"),
            },
        })
    }
}

/// Names of link types whose frames are not read: they hold no IP, or that of radio links.
const UNREAD: [(u16, &str); 58] = [
    (3, "AX25"),
    (6, "IEEE802_5"),
    (7, "ARCNET_BSD"),
    (8, "SLIP"),
    (10, "FDDI"),
    (99, "SYMANTEC_FIREWALL"),
    (105, "IEEE802_11"),
    (107, "FRELAY"),
    (112, "ECONET"),
    (114, "LTALK"),
    (119, "IEEE802_11_PRISM"),
    (122, "IP_OVER_FC"),
    (123, "SUNATM"),
    (127, "IEEE802_11_RADIOTAP"),
    (129, "ARCNET_LINUX"),
    (138, "APPLE_IP_OVER_IEEE1394"),
    (140, "MTP2"),
    (141, "MTP3"),
    (142, "SCCP"),
    (143, "DOCSIS"),
    (144, "LINUX_IRDA"),
    (163, "IEEE802_11_AVS"),
    (177, "LINUX_LAPD"),
    (187, "BLUETOOTH_HCI_H4"),
    (189, "USB_LINUX"),
    (195, "IEEE802_15_4_WITHFCS"),
    (197, "ERF"),
    (201, "BLUETOOTH_HCI_H4_WITH_PHDR"),
    (203, "LAPD"),
    (209, "IPMB_LINUX"),
    (215, "IEEE802_15_4_NONASK_PHY"),
    (220, "USB_LINUX_MMAPPED"),
    (224, "FC_2"),
    (226, "IPNET"),
    (227, "CAN_SOCKETCAN"),
    (230, "IEEE802_15_4_NOFCS"),
    (231, "DBUS"),
    (240, "NETANALYZER"),
    (241, "NETANALYZER_TRANSPARENT"),
    (242, "IPOIB"),
    (243, "MPEG_2_TS"),
    (245, "NFC_LLCP"),
    (247, "INFINIBAND"),
    (248, "SCTP"),
    (249, "USBPCAP"),
    (251, "BLUETOOTH_LE_LL"),
    (252, "WIRESHARK_UPPER_PDU"),
    (253, "NETLINK"),
    (254, "BLUETOOTH_LINUX_MONITOR"),
    (255, "BLUETOOTH_BREDR_BB"),
    (256, "BLUETOOTH_LE_LL_WITH_PHDR"),
    (259, "EPON"),
    (266, "USB_DARWIN"),
    (271, "VSOCK"),
    (272, "NORDIC_BLE"),
    (274, "ETHERNET_MPACKET"),
    (283, "IEEE802_15_4_TAP"),
    (290, "ETW"),
];

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
            (9, LinkType::Ppp, "PPP"),
            (50, LinkType::PppHdlc, "PPP_HDLC"),
            (51, LinkType::PppEther, "PPP_ETHER"),
            (104, LinkType::CiscoHdlc, "C_HDLC"),
            (105, LinkType::Unknown(105), "IEEE802_11"),
            (127, LinkType::Unknown(127), "IEEE802_11_RADIOTAP"),
            (147, LinkType::Unknown(147), "USER0"),
            (162, LinkType::Unknown(162), "USER15"),
            (220, LinkType::Unknown(220), "USB_LINUX_MMAPPED"),
            (239, LinkType::Nflog, "NFLOG"),
            (253, LinkType::Unknown(253), "NETLINK"),
            (258, LinkType::Pktap, "PKTAP"),
            (400, LinkType::Unknown(400), "link type 400"),
            (228, LinkType::RawIpv4, "IPV4"),
            (229, LinkType::RawIpv6, "IPV6"),
            (276, LinkType::LinuxSll2, "LINUX_SLL2"),
            (65535, LinkType::UNDESCRIBED, "undescribed interface"),
            (0x2400_0001, LinkType::Ethernet, "ETHERNET"), // four bytes of frame check sequence
        ] {
            assert_eq!(LinkType::from_number(number), link, "{number}");
            assert_eq!(link.to_string(), printed, "{number}");
            assert_eq!(LinkType::from_number(u32::from(link.number())), link, "{number}");
        }
    }
}
