//! One frame, read down to the transport header that the endpoints exchanged.
//!
//! Tunnels are opened (VXLAN, Geneve, GRE, IP in IP), because the endpoints are the pods inside. Only bytes that are
//! there are trusted: captures are cut at a snap length, and checksums on virtual interfaces are never filled in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::frame::{Frame, LinkType};
use crate::protocol::Protocol;

/// The addresses of a packet and what its transport header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Of the innermost IP header.
    pub addresses: Addresses,
    /// The transport header.
    pub transport: Transport<'a>,
}

/// Source and destination of one IP header: always of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Addresses {
    /// IPv4, or IPv6 with two IPv4-mapped addresses: policies and pods name only the IPv4 address.
    V4 {
        /// The sender.
        source: Ipv4Addr,
        /// The receiver.
        destination: Ipv4Addr,
    },
    /// IPv6.
    V6 {
        /// The sender.
        source: Ipv6Addr,
        /// The receiver.
        destination: Ipv6Addr,
    },
}

impl Addresses {
    /// Those of a packet from `source` to `destination`; `None` where their families differ.
    pub fn new(source: IpAddr, destination: IpAddr) -> Option<Addresses> {
        match (source.to_canonical(), destination.to_canonical()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Some(Addresses::V4 { source, destination }),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Some(Addresses::V6 { source, destination }),
            _ => None,
        }
    }

    /// The sender.
    pub fn source(self) -> IpAddr {
        match self {
            Addresses::V4 { source, .. } => source.into(),
            Addresses::V6 { source, .. } => IpAddr::V6(source).to_canonical(),
        }
    }

    /// The receiver.
    pub fn destination(self) -> IpAddr {
        match self {
            Addresses::V4 { destination, .. } => destination.into(),
            Addresses::V6 { destination, .. } => IpAddr::V6(destination).to_canonical(),
        }
    }
}

/// A transport header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport<'a> {
    /// RFC 9293 §3.1.
    Tcp(Tcp<'a>),
    /// RFC 768.
    Udp(Udp<'a>),
    /// RFC 9260 §3.
    Sctp(Sctp),
    /// An ICMP or ICMPv6 "destination unreachable" that quotes a packet (RFC 792, RFC 4443 §3.1).
    Unreachable(Quoted),
}

/// A TCP segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcp<'a> {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number; 0 without the ACK flag.
    pub acknowledgment: u32,
    /// The flags FIN 1, SYN 2, RST 4, PSH 8, ACK 16.
    pub flags: u8,
    /// As much of the payload as was captured.
    pub payload: &'a [u8],
}

/// TCP flag bits.
pub mod flag {
    /// The sender is finished.
    pub const FIN: u8 = 1;
    /// Opens a connection.
    pub const SYN: u8 = 2;
    /// Ends a connection at once.
    pub const RST: u8 = 4;
    /// The acknowledgment number counts.
    pub const ACK: u8 = 16;
}

/// A UDP datagram, or the first fragment of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Udp<'a> {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// As much of the payload as was captured.
    pub payload: &'a [u8],
}

/// An SCTP packet, by its first chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sctp {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// Verification tag: the initiate tag of the receiver.
    pub tag: u32,
    /// The first chunk.
    pub chunk: Chunk,
}

/// What the first chunk of an SCTP packet does to the association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chunk {
    /// INIT with the sender's initiate tag.
    Init {
        /// The initiate tag.
        tag: u32,
    },
    /// INIT ACK with the sender's initiate tag; the packet's verification tag is the one of the INIT.
    InitAck {
        /// The initiate tag.
        tag: u32,
    },
    /// ABORT.
    Abort,
    /// Everything else.
    Other,
}

/// The packet that an ICMP error quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted {
    /// Its protocol.
    pub protocol: Protocol,
    /// Its addresses; the source is whoever receives the error.
    pub addresses: Addresses,
    /// Its source port.
    pub source_port: u16,
    /// Its destination port.
    pub destination_port: u16,
    /// Its TCP sequence number; of no meaning for other protocols.
    pub sequence: u32,
}

/// The layer at which reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Ethernet, Linux cooked or loopback header.
    Link,
    /// IPv4 or IPv6 with its extension headers.
    Ip,
    /// TCP, UDP or SCTP.
    Transport,
    /// VXLAN, Geneve or GRE.
    Tunnel,
}

/// Why a frame yields no packet. Every frame is either a packet or exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skipped {
    /// The link type is not known (its LINKTYPE number).
    UnknownLink(u16),
    /// ARP, LLDP and whatever else is not IP.
    NotIp,
    /// The snap length cut the frame before the ports.
    Truncated(Layer),
    /// The header contradicts itself.
    Malformed(Layer),
    /// A fragment other than the first: it carries no ports.
    Fragment,
    /// ICMP that quotes no packet: echo, neighbour discovery, redirects and the like.
    Icmp,
    /// Encrypted: ESP, or WireGuard inside UDP is not told apart from other UDP.
    Encrypted,
    /// Another IP protocol (its number).
    OtherProtocol(u8),
    /// More than [`MAX_TUNNELS`] tunnels inside each other.
    TooDeep,
}

impl Skipped {
    /// Words for a summary.
    pub fn text(self) -> String {
        let layer = |layer: Layer| match layer {
            Layer::Link => "link",
            Layer::Ip => "IP",
            Layer::Transport => "transport",
            Layer::Tunnel => "tunnel",
        };
        match self {
            Skipped::UnknownLink(number) => format!("unknown link type {number}"),
            Skipped::NotIp => "not IP".to_string(),
            Skipped::Truncated(at) => format!("cut in the {} header", layer(at)),
            Skipped::Malformed(at) => format!("malformed {} header", layer(at)),
            Skipped::Fragment => "later fragment".to_string(),
            Skipped::Icmp => "ICMP".to_string(),
            Skipped::Encrypted => "encrypted (ESP)".to_string(),
            Skipped::OtherProtocol(number) => format!("IP protocol {number}"),
            Skipped::TooDeep => "too many tunnels".to_string(),
        }
    }
}

/// How many tunnels inside each other are opened.
pub const MAX_TUNNELS: u8 = 4;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_TEB: u16 = 0x6558;

/// Reads a frame.
///
/// # Errors
/// [`Skipped`] says why the frame holds no packet that counts.
pub fn parse<'a>(frame: &Frame<'a>) -> Result<Packet<'a>, Skipped> {
    let data = frame.data;
    match frame.link {
        LinkType::Ethernet => ethernet(data, 0),
        // LINKTYPE_LINUX_SLL: 16 bytes, the protocol in the last two.
        LinkType::LinuxSll => ethertype(be16(data, 14, Layer::Link)?, tail(data, 16, Layer::Link)?, 0),
        // LINKTYPE_LINUX_SLL2: 20 bytes, the protocol in the first two.
        LinkType::LinuxSll2 => ethertype(be16(data, 0, Layer::Link)?, tail(data, 20, Layer::Link)?, 0),
        LinkType::RawIp | LinkType::RawIpv4 | LinkType::RawIpv6 => ip(by_version(data)?, 0),
        // LINKTYPE_NULL carries the address family in the byte order of the recording machine, LINKTYPE_LOOP in
        // network order. Families are below 256, so the version nibble behind it decides without knowing the order.
        LinkType::Null | LinkType::Loop => ip(by_version(tail(data, 4, Layer::Link)?)?, 0),
        LinkType::Unknown(number) => Err(Skipped::UnknownLink(number)),
    }
}

fn ethernet(data: &[u8], depth: u8) -> Result<Packet<'_>, Skipped> {
    ethertype(be16(data, 12, Layer::Link)?, tail(data, 14, Layer::Link)?, depth)
}

fn ethertype(mut kind: u16, mut data: &[u8], depth: u8) -> Result<Packet<'_>, Skipped> {
    // IEEE 802.1Q and 802.1ad: any number of tags, each four bytes.
    while matches!(kind, 0x8100 | 0x88a8 | 0x9100) {
        kind = be16(data, 2, Layer::Link)?;
        data = tail(data, 4, Layer::Link)?;
    }
    match kind {
        ETHERTYPE_IPV4 => ip(ipv4(data)?, depth),
        ETHERTYPE_IPV6 => ip(ipv6(data)?, depth),
        _ => Err(Skipped::NotIp),
    }
}

fn by_version(data: &[u8]) -> Result<Ip<'_>, Skipped> {
    match data.first().map(|byte| byte >> 4) {
        Some(4) => ipv4(data),
        Some(6) => ipv6(data),
        Some(_) => Err(Skipped::NotIp),
        None => Err(Skipped::Truncated(Layer::Ip)),
    }
}

/// An IP header with its extension headers taken off.
struct Ip<'a> {
    protocol: u8,
    addresses: Addresses,
    body: &'a [u8],
}

fn ip(header: Ip<'_>, depth: u8) -> Result<Packet<'_>, Skipped> {
    transport(header.protocol, header.addresses, header.body, depth)
}

fn ipv4(data: &[u8]) -> Result<Ip<'_>, Skipped> {
    let header = data.get(..20).ok_or(Skipped::Truncated(Layer::Ip))?;
    let length = usize::from(header[0] & 15) * 4;
    if header[0] >> 4 != 4 || length < 20 {
        return Err(Skipped::Malformed(Layer::Ip));
    }
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if total != 0 && total < length {
        return Err(Skipped::Malformed(Layer::Ip));
    }
    if u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0 {
        return Err(Skipped::Fragment);
    }
    let body = tail(data, length, Layer::Ip)?;
    Ok(Ip {
        protocol: header[9],
        addresses: Addresses::V4 {
            source: Ipv4Addr::new(header[12], header[13], header[14], header[15]),
            destination: Ipv4Addr::new(header[16], header[17], header[18], header[19]),
        },
        // The total length drops Ethernet padding; 0 is what segmentation offload leaves for giant frames.
        body: if total == 0 { body } else { &body[..body.len().min(total - length)] },
    })
}

fn ipv6(data: &[u8]) -> Result<Ip<'_>, Skipped> {
    let header = data.get(..40).ok_or(Skipped::Truncated(Layer::Ip))?;
    if header[0] >> 4 != 6 {
        return Err(Skipped::Malformed(Layer::Ip));
    }
    let payload = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let addresses = ipv6_addresses(ipv6_address(&header[8..24]), ipv6_address(&header[24..40]));
    let mut body = tail(data, 40, Layer::Ip)?;
    if payload != 0 {
        body = &body[..body.len().min(payload)];
    }
    let mut protocol = header[6];
    loop {
        // RFC 8200 §4: all but the fragment header carry their length in units of eight bytes, without the first
        // eight; the authentication header (RFC 4302) in units of four, without the first eight.
        let length = match protocol {
            0 | 43 | 60 | 135 | 139 | 140 => (usize::from(byte(body, 1, Layer::Ip)?) + 1) * 8,
            51 => (usize::from(byte(body, 1, Layer::Ip)?) + 2) * 4,
            44 => {
                if be16(body, 2, Layer::Ip)? & 0xfff8 != 0 {
                    return Err(Skipped::Fragment);
                }
                8
            }
            _ => {
                return Ok(Ip { protocol, addresses, body });
            }
        };
        protocol = byte(body, 0, Layer::Ip)?;
        body = tail(body, length, Layer::Ip)?;
    }
}

fn ipv6_address(bytes: &[u8]) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(bytes);
    Ipv6Addr::from(octets)
}

fn ipv6_addresses(source: Ipv6Addr, destination: Ipv6Addr) -> Addresses {
    match (source.to_ipv4_mapped(), destination.to_ipv4_mapped()) {
        (Some(source), Some(destination)) => Addresses::V4 { source, destination },
        _ => Addresses::V6 { source, destination },
    }
}

fn transport(protocol: u8, addresses: Addresses, data: &[u8], depth: u8) -> Result<Packet<'_>, Skipped> {
    let packet = |transport| Ok(Packet { addresses, transport });
    match protocol {
        6 => packet(Transport::Tcp(tcp(data)?)),
        17 => {
            let udp = udp(data)?;
            match tunnel_in_udp(&udp) {
                Some(inner) if depth < MAX_TUNNELS => inner(udp.payload, depth + 1),
                Some(_) => Err(Skipped::TooDeep),
                None => packet(Transport::Udp(udp)),
            }
        }
        132 => packet(Transport::Sctp(sctp(data)?)),
        1 => packet(Transport::Unreachable(icmp(data, |kind, code| kind == 3 && code != 4)?)),
        58 => packet(Transport::Unreachable(icmp(data, |kind, _| kind == 1)?)),
        4 | 41 | 47 if depth >= MAX_TUNNELS => Err(Skipped::TooDeep),
        4 => ip(ipv4(data)?, depth + 1),
        41 => ip(ipv6(data)?, depth + 1),
        47 => gre(data, depth + 1),
        50 => Err(Skipped::Encrypted),
        other => Err(Skipped::OtherProtocol(other)),
    }
}

fn tcp(data: &[u8]) -> Result<Tcp<'_>, Skipped> {
    // Ports, numbers and flags are in the first 14 bytes; a short snap length may end anywhere behind them.
    let header = data.get(..14).ok_or(Skipped::Truncated(Layer::Transport))?;
    let length = usize::from(header[12] >> 4) * 4;
    if length < 20 {
        return Err(Skipped::Malformed(Layer::Transport));
    }
    Ok(Tcp {
        source: u16::from_be_bytes([header[0], header[1]]),
        destination: u16::from_be_bytes([header[2], header[3]]),
        sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        acknowledgment: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        flags: header[13],
        payload: data.get(length..).unwrap_or_default(),
    })
}

fn udp(data: &[u8]) -> Result<Udp<'_>, Skipped> {
    let header = data.get(..4).ok_or(Skipped::Truncated(Layer::Transport))?;
    Ok(Udp {
        source: u16::from_be_bytes([header[0], header[1]]),
        destination: u16::from_be_bytes([header[2], header[3]]),
        payload: data.get(8..).unwrap_or_default(),
    })
}

fn sctp(data: &[u8]) -> Result<Sctp, Skipped> {
    let header = data.get(..8).ok_or(Skipped::Truncated(Layer::Transport))?;
    let chunk = match data.get(12) {
        Some(kind @ 1..=2) => match data.get(16..20) {
            Some(tag) => {
                let tag = u32::from_be_bytes([tag[0], tag[1], tag[2], tag[3]]);
                if *kind == 1 { Chunk::Init { tag } } else { Chunk::InitAck { tag } }
            }
            None => return Err(Skipped::Truncated(Layer::Transport)),
        },
        Some(6) => Chunk::Abort,
        _ => Chunk::Other,
    };
    Ok(Sctp {
        source: u16::from_be_bytes([header[0], header[1]]),
        destination: u16::from_be_bytes([header[2], header[3]]),
        tag: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        chunk,
    })
}

/// `refusing(type, code)`: whether the error says that the quoted packet was not delivered.
fn icmp(data: &[u8], refusing: impl Fn(u8, u8) -> bool) -> Result<Quoted, Skipped> {
    let header = data.get(..2).ok_or(Skipped::Truncated(Layer::Transport))?;
    if !refusing(header[0], header[1]) {
        return Err(Skipped::Icmp);
    }
    let quoted = data.get(8..).ok_or(Skipped::Truncated(Layer::Transport))?;
    let ip = by_version(quoted).map_err(|_| Skipped::Icmp)?;
    let protocol = match ip.protocol {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        132 => Protocol::Sctp,
        // A quote of another error, or of a tunnel, is nobody's flow.
        _ => return Err(Skipped::Icmp),
    };
    // RFC 792 promises the first eight bytes of the transport header: the ports, and TCP's sequence number.
    let head = ip.body.get(..8).ok_or(Skipped::Truncated(Layer::Transport))?;
    Ok(Quoted {
        protocol,
        addresses: ip.addresses,
        source_port: u16::from_be_bytes([head[0], head[1]]),
        destination_port: u16::from_be_bytes([head[2], head[3]]),
        sequence: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
    })
}

type Inner = for<'a> fn(&'a [u8], u8) -> Result<Packet<'a>, Skipped>;

/// The reader of what a datagram to a tunnel's port carries; `None` where its header is no tunnel's.
fn tunnel_in_udp(udp: &Udp<'_>) -> Option<Inner> {
    match udp.destination {
        // RFC 7348 §5: flag I set, the other flags and the reserved byte zero. 8472 is Linux' (flannel's) number.
        4789 | 8472 => matches!(udp.payload, [0x08, 0, 0, 0, _, _, _, 0, ..]).then_some(vxlan as Inner),
        // RFC 8926 §3.4: version 0 and a protocol type that can hold IP.
        6081 => matches!(udp.payload, [first, _, high, low, _, _, _, 0, ..]
                if first >> 6 == 0
                    && matches!(u16::from_be_bytes([*high, *low]), ETHERTYPE_TEB | ETHERTYPE_IPV4 | ETHERTYPE_IPV6))
        .then_some(geneve as Inner),
        _ => None,
    }
}

fn vxlan(data: &[u8], depth: u8) -> Result<Packet<'_>, Skipped> {
    ethernet(tail(data, 8, Layer::Tunnel)?, depth)
}

fn geneve(data: &[u8], depth: u8) -> Result<Packet<'_>, Skipped> {
    let options = usize::from(byte(data, 0, Layer::Tunnel)? & 0x3f) * 4;
    inside(be16(data, 2, Layer::Tunnel)?, tail(data, 8 + options, Layer::Tunnel)?, depth)
}

/// RFC 2784 and RFC 2890: checksum, key and sequence number are optional, four bytes each.
fn gre(data: &[u8], depth: u8) -> Result<Packet<'_>, Skipped> {
    let flags = be16(data, 0, Layer::Tunnel)?;
    if flags & 7 != 0 {
        return Err(Skipped::OtherProtocol(47));
    }
    let options = [0x8000, 0x2000, 0x1000].into_iter().filter(|bit| flags & bit != 0).count() * 4;
    inside(be16(data, 2, Layer::Tunnel)?, tail(data, 4 + options, Layer::Tunnel)?, depth)
}

fn inside(kind: u16, data: &[u8], depth: u8) -> Result<Packet<'_>, Skipped> {
    if kind == ETHERTYPE_TEB { ethernet(data, depth) } else { ethertype(kind, data, depth) }
}

fn byte(data: &[u8], at: usize, layer: Layer) -> Result<u8, Skipped> {
    data.get(at).copied().ok_or(Skipped::Truncated(layer))
}

fn be16(data: &[u8], at: usize, layer: Layer) -> Result<u16, Skipped> {
    Ok(u16::from_be_bytes([byte(data, at, layer)?, byte(data, at + 1, layer)?]))
}

fn tail(data: &[u8], from: usize, layer: Layer) -> Result<&[u8], Skipped> {
    data.get(from..).ok_or(Skipped::Truncated(layer))
}

#[cfg(test)]
mod tests;
