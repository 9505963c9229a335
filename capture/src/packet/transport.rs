//! TCP, UDP, SCTP and what ICMP errors quote.

use super::bytes::{be16, be32, byte, tail};
use super::skipped::{Layer, Skipped};
use super::{Addresses, Chunk, Lead, Packet, Quoted, Read, Reader, Sctp, Stop, Tcp, Transport, Udp, ip, opaque};
use crate::protocol::Protocol;

impl Reader<'_> {
    /// Reads what follows the IP headers.
    pub(super) fn transport(self, protocol: u8, addresses: Addresses, data: &[u8]) -> Read<'_> {
        let packet = |transport| Ok(Packet { addresses, transport });
        match protocol {
            6 => packet(Transport::Tcp(tcp(data)?)),
            17 => self.udp(addresses, data),
            132 => packet(Transport::Sctp(sctp(data)?)),
            1 => packet(Transport::Unreachable(icmp(data, |kind, code| kind == 3 && code != 4)?)),
            58 => packet(Transport::Unreachable(icmp(data, |kind, _| kind == 1)?)),
            4 => self.deeper()?.ipv4(data),
            41 => self.deeper()?.ipv6(data),
            47 => self.gre(data),
            // RFC 3378: four bits of version 3, twelve reserved.
            97 => self.deeper()?.ethernet(tail(data, 2, Layer::Tunnel)?),
            // RFC 4023 §3.
            137 => self.mpls(data),
            50 => Err(Skipped::Encrypted.into()),
            other => Err(Skipped::OtherProtocol(other).into()),
        }
    }

    fn udp(self, addresses: Addresses, data: &[u8]) -> Read<'_> {
        let mut udp = udp(data)?;
        if self.ports.any(udp.source, udp.destination) {
            let whole = data.len() >= 8 + udp.length as usize;
            match self.tunnel(&udp) {
                // What is no tunnel after all is an ordinary conversation. Where a snap length cut it, nobody knows.
                None | Some(Err(Stop::Skipped(Skipped::Malformed(Layer::Tunnel | Layer::Link | Layer::Ip)))) => {}
                Some(Err(Stop::Skipped(Skipped::Truncated(_)))) if whole => {}
                Some(read) => return read,
            }
        }
        udp.opaque = opaque::recognize(&udp);
        Ok(Packet { addresses, transport: Transport::Udp(udp) })
    }
}

/// RFC 9293 §3.1.
fn tcp(data: &[u8]) -> Result<Tcp<'_>, Skipped> {
    // Ports, numbers and flags are in the first 14 bytes; a short snap length may end anywhere behind them.
    let header = data.get(..14).ok_or(Skipped::Truncated(Layer::Transport))?;
    let length = usize::from(header[12] >> 4) * 4;
    if length < 20 {
        return Err(Skipped::Malformed(Layer::Transport));
    }
    let payload = data.get(length..).unwrap_or_default();
    Ok(Tcp {
        source: u16::from_be_bytes([header[0], header[1]]),
        destination: u16::from_be_bytes([header[2], header[3]]),
        sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        acknowledgment: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        flags: header[13],
        lead: Lead::of(payload),
        payload,
    })
}

/// RFC 768. Length 0 is that of a jumbogram (RFC 2675 §4), or of a giant that the network card would have cut.
fn udp(data: &[u8]) -> Result<Udp<'_>, Skipped> {
    let source = be16(data, 0, Layer::Transport)?;
    let destination = be16(data, 2, Layer::Transport)?;
    let payload = data.get(8..).unwrap_or_default();
    let length = match be16(data, 4, Layer::Transport) {
        Ok(0) | Err(_) => payload.len(),
        Ok(1..=7) => return Err(Skipped::Malformed(Layer::Transport)),
        Ok(length) => usize::from(length) - 8,
    };
    let payload = &payload[..payload.len().min(length)];
    Ok(Udp { source, destination, payload, length: length as u32, opaque: None })
}

/// RFC 9260 §3. INIT and INIT ACK stand alone; an ABORT may follow other control chunks.
fn sctp(data: &[u8]) -> Result<Sctp, Skipped> {
    let chunk = match data.get(12) {
        Some(1) => Chunk::Init { tag: be32(data, 16, Layer::Transport)? },
        Some(2) => Chunk::InitAck { tag: be32(data, 16, Layer::Transport)? },
        _ if has_abort(data) => Chunk::Abort,
        _ => Chunk::Other,
    };
    Ok(Sctp {
        source: be16(data, 0, Layer::Transport)?,
        destination: be16(data, 2, Layer::Transport)?,
        tag: be32(data, 4, Layer::Transport)?,
        chunk,
    })
}

fn has_abort(data: &[u8]) -> bool {
    let mut chunks = data.get(12..).unwrap_or_default();
    while let Some(kind) = chunks.first() {
        if *kind == 6 {
            return true;
        }
        // RFC 9260 §3.2: the length counts the chunk's header, not the padding to four bytes.
        let length = be16(chunks, 2, Layer::Transport).map_or(0, usize::from);
        if length < 4 {
            return false;
        }
        chunks = chunks.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

/// `refusing(type, code)`: whether the error says that the quoted packet was not delivered.
fn icmp(data: &[u8], refusing: impl Fn(u8, u8) -> bool) -> Result<Quoted, Skipped> {
    if !refusing(byte(data, 0, Layer::Transport)?, byte(data, 1, Layer::Transport)?) {
        return Err(Skipped::Icmp);
    }
    let quoted = tail(data, 8, Layer::Transport)?;
    let ip = match ip::header(quoted) {
        Ok(ip) => ip,
        Err(Skipped::Truncated(layer)) => return Err(Skipped::Truncated(layer)),
        Err(_) => return Err(Skipped::Icmp),
    };
    let protocol = match ip.protocol {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        132 => Protocol::Sctp,
        // A quote of another error, or of a tunnel, is nobody's flow.
        _ => return Err(Skipped::Icmp),
    };
    if ip.piece.is_some_and(|piece| piece.offset != 0) {
        return Err(Skipped::Icmp);
    }
    // RFC 792 promises the first eight bytes of the transport header: the ports, and TCP's sequence number.
    Ok(Quoted {
        protocol,
        addresses: ip.addresses,
        source_port: be16(ip.body, 0, Layer::Transport)?,
        destination_port: be16(ip.body, 2, Layer::Transport)?,
        sequence: be32(ip.body, 4, Layer::Transport)?,
    })
}
