//! IPv4 and IPv6.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::bytes::{be16, be32, byte, tail};
use super::skipped::{Layer, Skipped};
use super::{Addresses, Ports, Read, Reader, Stop};

/// An IP header with its extension headers taken off.
pub(super) struct Ip<'a> {
    pub(super) protocol: u8,
    pub(super) addresses: Addresses,
    /// What follows, without Ethernet padding.
    pub(super) body: &'a [u8],
    /// Bytes of `body` on the wire.
    length: usize,
    /// Where the body is a part of a packet.
    pub(super) piece: Option<Piece>,
}

/// Which part of a packet a fragment is.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    identification: u32,
    /// The protocol tells packets apart in IPv4 (RFC 791 §3.2), not in IPv6 (RFC 8200 §4.5).
    protocol: u8,
    /// In bytes.
    pub(super) offset: u32,
    more: bool,
}

/// What the fragments of one packet have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Datagram {
    addresses: Addresses,
    identification: u32,
    protocol: u8,
}

/// A part of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fragment<'a> {
    /// The packet.
    pub(crate) datagram: Datagram,
    /// What the packet's first byte belongs to, as this fragment says; in IPv6 the first fragment's word counts.
    pub(crate) protocol: u8,
    /// Where it begins, in bytes.
    pub(crate) offset: u32,
    /// Bytes it has on the wire.
    pub(crate) length: u32,
    /// Whether others follow it.
    pub(crate) more: bool,
    /// As much as was captured.
    pub(crate) bytes: &'a [u8],
    depth: u8,
}

impl<'a> Fragment<'a> {
    /// Reads `head`, the first bytes of the packet that the fragment belongs to.
    pub(crate) fn read<'h>(&self, protocol: u8, head: &'h [u8], ports: &Ports) -> Read<'h> {
        let (protocol, body, piece) = extensions(protocol, head)?;
        // RFC 8200 §4.5 knows no fragments of fragments.
        if piece.is_some() {
            return Err(Skipped::Malformed(Layer::Ip).into());
        }
        Reader { ports, depth: self.depth }.transport(protocol, self.datagram.addresses, body)
    }
}

impl Reader<'_> {
    /// Reads a packet whose header alone says which version it has.
    pub(super) fn ip(self, data: &[u8]) -> Read<'_> {
        self.body(header(data)?)
    }

    /// Reads an IPv4 packet.
    pub(super) fn ipv4(self, data: &[u8]) -> Read<'_> {
        self.body(ipv4(data)?)
    }

    /// Reads an IPv6 packet.
    pub(super) fn ipv6(self, data: &[u8]) -> Read<'_> {
        self.body(ipv6(data)?)
    }

    fn body(self, ip: Ip<'_>) -> Read<'_> {
        if let Some(Piece { identification, protocol, offset, more }) = ip.piece {
            let datagram = Datagram { addresses: ip.addresses, identification, protocol };
            return Err(Stop::Fragment(Fragment {
                datagram,
                protocol: ip.protocol,
                offset,
                length: if ip.length == usize::MAX { ip.body.len() } else { ip.length } as u32,
                more,
                bytes: ip.body,
                depth: self.depth,
            }));
        }
        match self.transport(ip.protocol, ip.addresses, ip.body) {
            // The packet is all there, and too short for what it says it holds.
            Err(Stop::Skipped(Skipped::Truncated(layer))) if ip.body.len() >= ip.length => {
                Err(Skipped::Malformed(layer).into())
            }
            read => read,
        }
    }
}

/// Reads an IP header of either version.
pub(super) fn header(data: &[u8]) -> Result<Ip<'_>, Skipped> {
    match byte(data, 0, Layer::Ip)? >> 4 {
        4 => ipv4(data),
        6 => ipv6(data),
        _ => Err(Skipped::NotIp),
    }
}

/// RFC 791 §3.1.
fn ipv4(data: &[u8]) -> Result<Ip<'_>, Skipped> {
    let first = byte(data, 0, Layer::Ip)?;
    let header_length = usize::from(first & 15) * 4;
    if first >> 4 != 4 || header_length < 20 {
        return Err(Skipped::Malformed(Layer::Ip));
    }
    let header = data.first_chunk::<20>().ok_or(Skipped::Truncated(Layer::Ip))?;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if total != 0 && total < header_length {
        return Err(Skipped::Malformed(Layer::Ip));
    }
    let body = tail(data, header_length, Layer::Ip)?;
    // 0 is what segmentation offload leaves in giant frames.
    let length = if total == 0 { usize::MAX } else { total - header_length };
    let place = u16::from_be_bytes([header[6], header[7]]);
    let piece = Piece {
        identification: u32::from(u16::from_be_bytes([header[4], header[5]])),
        protocol: header[9],
        offset: u32::from(place & 0x1fff) * 8,
        more: place & 0x2000 != 0,
    };
    let ip = Ip {
        protocol: header[9],
        addresses: Addresses::V4 {
            source: Ipv4Addr::new(header[12], header[13], header[14], header[15]),
            destination: Ipv4Addr::new(header[16], header[17], header[18], header[19]),
        },
        body: &body[..body.len().min(length)],
        length,
        piece: (piece.more || piece.offset != 0).then_some(piece),
    };
    ip.without_extensions()
}

/// RFC 8200 §3.
fn ipv6(data: &[u8]) -> Result<Ip<'_>, Skipped> {
    if byte(data, 0, Layer::Ip)? >> 4 != 6 {
        return Err(Skipped::Malformed(Layer::Ip));
    }
    let header = data.first_chunk::<40>().ok_or(Skipped::Truncated(Layer::Ip))?;
    let body = &data[40..];
    // 0 is that of a jumbogram (RFC 2675), with its option or as segmentation offload leaves it.
    let length = match u16::from_be_bytes([header[4], header[5]]) {
        0 => usize::MAX,
        length => usize::from(length),
    };
    let ip = Ip {
        protocol: header[6],
        addresses: ipv6_addresses(header),
        body: &body[..body.len().min(length)],
        length,
        piece: None,
    };
    ip.without_extensions()
}

/// Those of an IPv6 header. With segments left in a routing header (RFC 8200 §4.4) the destination is the next stop.
pub(super) fn ipv6_addresses(header: &[u8; 40]) -> Addresses {
    let address = |at: usize| {
        let mut octets = [0; 16];
        octets.copy_from_slice(&header[at..at + 16]);
        Ipv6Addr::from(octets)
    };
    let (source, destination) = (address(8), address(24));
    match (source.to_ipv4_mapped(), destination.to_ipv4_mapped()) {
        (Some(source), Some(destination)) => Addresses::V4 { source, destination },
        _ => Addresses::V6 { source, destination },
    }
}

impl Ip<'_> {
    fn without_extensions(mut self) -> Result<Self, Skipped> {
        // Behind the fragment header of a later fragment, or in an IPv4 fragment, comes whatever the packet holds there.
        if self.piece.is_some() {
            return Ok(self);
        }
        let before = self.body.len();
        (self.protocol, self.body, self.piece) =
            extensions(self.protocol, self.body).map_err(|reason| match reason {
                Skipped::Truncated(layer) if before >= self.length => Skipped::Malformed(layer),
                reason => reason,
            })?;
        self.length = self.length.saturating_sub(before - self.body.len());
        Ok(self)
    }
}

/// Takes extension headers off, up to a fragment header: RFC 8200 §4. IPv4 has only the authentication header; others
/// are nobody's there.
fn extensions(mut protocol: u8, mut body: &[u8]) -> Result<(u8, &[u8], Option<Piece>), Skipped> {
    loop {
        // All but the fragment header carry their length in units of eight bytes, without the first eight; the
        // authentication header (RFC 4302 §2.2) in units of four, without the first eight.
        let length = match protocol {
            0 | 43 | 60 | 135 | 139 | 140 => (usize::from(byte(body, 1, Layer::Ip)?) + 1) * 8,
            51 => (usize::from(byte(body, 1, Layer::Ip)?) + 2) * 4,
            44 => {
                let place = be16(body, 2, Layer::Ip)?;
                let identification = be32(body, 4, Layer::Ip)?;
                let (offset, more) = (u32::from(place & 0xfff8), place & 1 == 1);
                if more || offset != 0 {
                    let piece = Piece { identification, protocol: 0, offset, more };
                    return Ok((byte(body, 0, Layer::Ip)?, tail(body, 8, Layer::Ip)?, Some(piece)));
                }
                // RFC 6946: an atomic fragment is a whole packet.
                8
            }
            _ => return Ok((protocol, body, None)),
        };
        protocol = byte(body, 0, Layer::Ip)?;
        body = tail(body, length, Layer::Ip)?;
    }
}
