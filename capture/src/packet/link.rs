//! Link headers: the LINKTYPE_ registry, <https://www.tcpdump.org/linktypes.html>.

use super::bytes::{be16, byte, tail};
use super::skipped::{Layer, Skipped};
use super::{Read, Reader};
use crate::frame::LinkType;

impl Reader<'_> {
    /// Reads a frame from its first byte.
    pub(super) fn link(self, link: LinkType, data: &[u8]) -> Read<'_> {
        let after = |length| tail(data, length, Layer::Link);
        match link {
            LinkType::Ethernet => self.ethernet(data),
            // 16 bytes, the protocol in the last two.
            LinkType::LinuxSll => self.ethertype(be16(data, 14, Layer::Link)?, after(16)?),
            // 20 bytes, the protocol in the first two.
            LinkType::LinuxSll2 => self.ethertype(be16(data, 0, Layer::Link)?, after(20)?),
            LinkType::RawIp | LinkType::RawIpv4 | LinkType::RawIpv6 => self.ip(data),
            // An address family, in the byte order of the recording machine or of the network. Families are below 256,
            // so the version nibble behind it decides without knowing the order.
            LinkType::Null | LinkType::Loop => self.ip(after(4)?),
            LinkType::Ppp | LinkType::PppHdlc => match byte(data, 0, Layer::Link)? {
                // Cisco HDLC's unicast and multicast addresses, which the registry allows here.
                0x0f | 0x8f => self.cisco_hdlc(data),
                _ => self.ppp(data),
            },
            // A byte for the direction, before the address or in its place.
            LinkType::PppWithDirection => match after(1)? {
                [0x03, rest @ ..] | rest => self.ppp(rest),
            },
            LinkType::PppEther => self.pppoe(data),
            LinkType::CiscoHdlc => self.cisco_hdlc(data),
            LinkType::Mpls => self.mpls(data),
            LinkType::LlcSnap => self.llc(data),
            LinkType::Nflog => self.ip(nflog(data)?),
            // OpenBSD: family, parameters index and flags, four bytes each.
            LinkType::Enc => self.ip(after(12)?),
            // The first byte is the header's length without its padding to four bytes.
            LinkType::Pflog => self.ip(after(usize::from(byte(data, 0, Layer::Link)?).next_multiple_of(4))?),
            // Apple: lengths and link type are little endian; the header's length, its kind, the link type.
            LinkType::Pktap => self.within(le32(data, 8)?, after(le32(data, 0)? as usize)?),
            // Version, flags, the header's length, the link type; little endian.
            LinkType::Ppi => self.within(le32(data, 4)?, after(usize::from(le16(data, 2)?))?),
            LinkType::Unknown(number) => Err(Skipped::UnknownLink(number).into()),
        }
    }

    /// Reads what a header that names the link type itself is put before.
    fn within(self, link: u32, data: &[u8]) -> Read<'_> {
        match LinkType::from_number(link) {
            LinkType::Pktap | LinkType::Ppi => Err(Skipped::Malformed(Layer::Link).into()),
            link => self.link(link, data),
        }
    }

    /// Reads a frame of IEEE 802.3.
    pub(super) fn ethernet(self, data: &[u8]) -> Read<'_> {
        self.ethertype(be16(data, 12, Layer::Link)?, tail(data, 14, Layer::Link)?)
    }

    /// Address and control, and an ethertype.
    fn cisco_hdlc(self, data: &[u8]) -> Read<'_> {
        self.ethertype(be16(data, 2, Layer::Link)?, tail(data, 4, Layer::Link)?)
    }

    /// RFC 2516 §4: version and type 1, code 0 for a session's data, session, length.
    pub(super) fn pppoe(self, data: &[u8]) -> Read<'_> {
        match be16(data, 0, Layer::Link)? {
            0x1100 => self.ppp(tail(data, 6, Layer::Link)?),
            _ => Err(Skipped::NotIp.into()),
        }
    }

    /// RFC 1661 §2 and §6.5: address and control may be left out, and the first byte of a protocol below 256.
    pub(super) fn ppp(self, data: &[u8]) -> Read<'_> {
        let data = match data {
            [0xff, 0x03, rest @ ..] => rest,
            // No protocol has this number, so it is the address, cut behind it.
            [0xff] => return Err(Skipped::Truncated(Layer::Link).into()),
            _ => data,
        };
        let first = byte(data, 0, Layer::Link)?;
        let (protocol, rest) = if first & 1 == 1 {
            (u16::from(first), tail(data, 1, Layer::Link)?)
        } else {
            (be16(data, 0, Layer::Link)?, tail(data, 2, Layer::Link)?)
        };
        match protocol {
            0x0021 => self.ipv4(rest),
            0x0057 => self.ipv6(rest),
            0x0281 | 0x0283 => self.mpls(rest),
            _ => Err(Skipped::NotIp.into()),
        }
    }

    /// IEEE 802.2, with IP behind a SNAP header (RFC 1042) or under its own service access point.
    pub(super) fn llc(self, data: &[u8]) -> Read<'_> {
        match data {
            [0xaa, 0xaa, 0x03, 0, 0, 0, rest @ ..] => {
                self.ethertype(be16(rest, 0, Layer::Link)?, tail(rest, 2, Layer::Link)?)
            }
            [0x06, 0x06, 0x03, rest @ ..] => self.ip(rest),
            [] | [0xaa] | [0xaa, 0xaa] => Err(Skipped::Truncated(Layer::Link).into()),
            _ => Err(Skipped::NotIp.into()),
        }
    }
}

/// Four bytes of header, then type-length-value entries in the byte order of the recording machine, padded to four
/// bytes. 9 is the packet.
fn nflog(data: &[u8]) -> Result<&[u8], Skipped> {
    let mut entries = tail(data, 4, Layer::Link)?;
    loop {
        let head = entries.first_chunk::<4>().ok_or(Skipped::Truncated(Layer::Link))?;
        // No type needs two bytes, so the one that is zero tells the order.
        let (length, kind) = if head[3] == 0 {
            (u16::from_le_bytes([head[0], head[1]]), head[2])
        } else {
            (u16::from_be_bytes([head[0], head[1]]), head[3])
        };
        let length = usize::from(length);
        if length < 4 {
            return Err(Skipped::Malformed(Layer::Link));
        }
        if kind == 9 {
            return Ok(&entries[4..entries.len().min(length)]);
        }
        entries = tail(entries, length.next_multiple_of(4), Layer::Link)?;
    }
}

fn le16(data: &[u8], at: usize) -> Result<u16, Skipped> {
    be16(data, at, Layer::Link).map(u16::swap_bytes)
}

fn le32(data: &[u8], at: usize) -> Result<u32, Skipped> {
    Ok(u32::from(le16(data, at)?) | u32::from(le16(data, at + 2)?) << 16)
}
