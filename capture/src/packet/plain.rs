//! The usual frame, read with as few checks as it takes: no tunnel, no fragment, no extension header.

use std::net::Ipv4Addr;

use super::ethertype::{IPV4, IPV6};
use super::ip::ipv6_addresses;
use super::{Addresses, Lead, Packet, Ports, Tcp, Transport, Udp};
use crate::frame::LinkType;

/// A TCP segment over IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tcp4<'a> {
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    pub(crate) tcp: Tcp<'a>,
}

/// Most of all frames: TCP over IPv4 without options behind the link header alone. `None` leaves it to [`plain`], which
/// would have read the same.
#[inline(always)]
pub(crate) fn tcp4<'a>(link: LinkType, data: &'a [u8]) -> Option<Tcp4<'a>> {
    let (kind, start) = match link {
        LinkType::Ethernet => (12, 14),
        LinkType::LinuxSll => (14, 16),
        LinkType::LinuxSll2 => (0, 20),
        _ => return None,
    };
    let (link, rest) = data.split_at_checked(start)?;
    let header: &[u8; 40] = rest.first_chunk()?;
    let is_ipv4 = [link[kind], link[kind + 1]] == IPV4.to_be_bytes() && header[0] == 0x45;
    // All of the fragment field but "don't fragment" is zero.
    let is_whole = (header[6] & 0x3f) | header[7] == 0;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let length = 20 + usize::from(header[32] >> 4) * 4;
    if !(is_ipv4 && is_whole && header[9] == 6 && total >= 40 && length >= 40) {
        return None;
    }
    let word = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
    Some(Tcp4 {
        source: Ipv4Addr::from(word(12)),
        destination: Ipv4Addr::from(word(16)),
        tcp: Tcp {
            source: u16::from_be_bytes([header[20], header[21]]),
            destination: u16::from_be_bytes([header[22], header[23]]),
            sequence: u32::from_be_bytes(word(24)),
            acknowledgment: u32::from_be_bytes(word(28)),
            flags: header[33],
            lead: Lead::within(rest, length, total),
            payload: rest.get(length..total.min(rest.len())).unwrap_or_default(),
        },
    })
}

impl<'a> From<Tcp4<'a>> for Packet<'a> {
    fn from(Tcp4 { source, destination, tcp }: Tcp4<'a>) -> Packet<'a> {
        Packet { addresses: Addresses::V4 { source, destination }, transport: Transport::Tcp(tcp) }
    }
}

/// Reads a frame of TCP, or of UDP between ports that are no tunnel's, or of either in one VXLAN; `None` leaves it to
/// [`parse`](super::parse), which would have read the same.
#[inline]
pub(crate) fn plain<'a>(link: LinkType, data: &'a [u8], ports: &Ports) -> Option<Packet<'a>> {
    Plain { ports, opened: false }.link(link, data)
}

#[derive(Clone, Copy)]
struct Plain<'p> {
    ports: &'p Ports,
    /// Whether it is the inside of a tunnel.
    opened: bool,
}

impl Plain<'_> {
    #[inline]
    fn link<'a>(self, link: LinkType, data: &'a [u8]) -> Option<Packet<'a>> {
        let (kind, start) = match link {
            LinkType::Ethernet => return self.ethernet(data),
            LinkType::LinuxSll => (be16(data, 14)?, 16),
            LinkType::LinuxSll2 => (be16(data, 0)?, 20),
            LinkType::RawIp | LinkType::RawIpv4 | LinkType::RawIpv6 => match data.first()? >> 4 {
                4 => (IPV4, 0),
                6 => (IPV6, 0),
                _ => return None,
            },
            _ => return None,
        };
        self.ethertype(kind, data.get(start..)?)
    }

    #[inline]
    fn ethernet<'a>(self, data: &'a [u8]) -> Option<Packet<'a>> {
        match be16(data, 12)? {
            0x8100 => self.ethertype(be16(data, 16)?, &data[18..]),
            kind => self.ethertype(kind, &data[14..]),
        }
    }

    #[inline]
    fn ethertype<'a>(self, kind: u16, data: &'a [u8]) -> Option<Packet<'a>> {
        match kind {
            IPV4 => self.ipv4(data),
            IPV6 => self.ipv6(data),
            _ => None,
        }
    }

    /// What a VXLAN header of RFC 7348 §5 is before.
    #[inline(never)]
    fn vxlan<'a>(self, data: &'a [u8]) -> Option<Packet<'a>> {
        match data {
            [8, 0, 0, 0, _, _, _, 0, inside @ ..] if !self.opened => Plain { opened: true, ..self }.ethernet(inside),
            _ => None,
        }
    }

    #[inline]
    fn ipv4<'a>(self, data: &'a [u8]) -> Option<Packet<'a>> {
        let header: &[u8; 20] = data.first_chunk()?;
        let length = usize::from(header[0] & 15) * 4;
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        // All of the fragment field but "don't fragment" is zero.
        let whole = (header[6] & 0x3f) | header[7] == 0;
        if header[0] >> 4 != 4 || length < 20 || !whole {
            return None;
        }
        let addresses = Addresses::V4 {
            source: Ipv4Addr::new(header[12], header[13], header[14], header[15]),
            destination: Ipv4Addr::new(header[16], header[17], header[18], header[19]),
        };
        let body = data.get(length..total.min(data.len()))?;
        self.transport(header[9], addresses, body)
    }

    #[inline(never)]
    fn ipv6<'a>(self, data: &'a [u8]) -> Option<Packet<'a>> {
        let header: &[u8; 40] = data.first_chunk()?;
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        if header[0] >> 4 != 6 || length == 0 {
            return None;
        }
        let body = data.get(40..data.len().min(40 + length))?;
        self.transport(header[6], ipv6_addresses(header), body)
    }

    #[inline(always)]
    fn transport<'a>(self, protocol: u8, addresses: Addresses, data: &'a [u8]) -> Option<Packet<'a>> {
        match protocol {
            6 => {
                let header: &[u8; 20] = data.first_chunk()?;
                let length = usize::from(header[12] >> 4) * 4;
                if length < 20 {
                    return None;
                }
                let payload = data.get(length..).unwrap_or_default();
                let tcp = Tcp {
                    source: u16::from_be_bytes([header[0], header[1]]),
                    destination: u16::from_be_bytes([header[2], header[3]]),
                    sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
                    acknowledgment: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
                    flags: header[13],
                    lead: Lead::within(data, length, data.len()),
                    payload,
                };
                Some(Packet { addresses, transport: Transport::Tcp(tcp) })
            }
            17 => {
                let (header, payload) = data.split_first_chunk::<8>()?;
                let source = u16::from_be_bytes([header[0], header[1]]);
                let destination = u16::from_be_bytes([header[2], header[3]]);
                let length = usize::from(u16::from_be_bytes([header[4], header[5]])).checked_sub(8)?;
                let payload = &payload[..payload.len().min(length)];
                if self.ports.any(source, destination) {
                    return if self.ports.vxlan(destination) { self.vxlan(payload) } else { None };
                }
                // What begins like a message of WireGuard wants a closer look.
                if matches!(payload, [1..=4, 0, 0, 0, ..]) {
                    return None;
                }
                let udp = Udp { source, destination, payload, length: length as u32, opaque: None };
                Some(Packet { addresses, transport: Transport::Udp(udp) })
            }
            _ => None,
        }
    }
}

#[inline]
fn be16(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*data.get(at..)?.first_chunk()?))
}
