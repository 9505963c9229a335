//! Packets of scripted conversations, built by etherparse, and the capture file around them.

use std::net::{IpAddr, SocketAddr};

use etherparse::{
    IpHeaders, IpNumber, Ipv4Header, Ipv6Header, PacketBuilder, PacketBuilderStep, TcpHeader, icmpv4, icmpv6,
};

/// A frame: nanoseconds since the Unix epoch, and its bytes.
pub type Frame = (u64, Vec<u8>);

/// One second in nanoseconds.
pub const SECOND: u64 = 1_000_000_000;

/// Ethernet in the LINKTYPE_ registry.
pub const ETHERNET: u32 = 1;

/// What one packet carries.
pub enum Segment {
    /// A TCP segment; `flags` of the letters S, A, F, R.
    Tcp { flags: &'static str, sequence: u32, acknowledgment: u32, payload: Vec<u8> },
    /// A UDP datagram.
    Udp(Vec<u8>),
    /// An SCTP packet with one chunk.
    Sctp { tag: u32, chunk: u8, body: Vec<u8> },
    /// ICMP or ICMPv6 "port unreachable" about a segment in the other direction.
    Unreachable(Box<Segment>),
}

/// The bytes of an Ethernet frame that carries `segment`.
pub fn frame(from: SocketAddr, to: SocketAddr, segment: &Segment) -> Vec<u8> {
    let ip = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ip(ip(from.ip(), to.ip()));
    let mut bytes = Vec::new();
    match segment {
        Segment::Tcp { flags, sequence, acknowledgment, payload } => {
            let mut header = TcpHeader::new(from.port(), to.port(), *sequence, 64_000);
            (header.syn, header.ack) = (flags.contains('S'), flags.contains('A'));
            (header.fin, header.rst) = (flags.contains('F'), flags.contains('R'));
            header.acknowledgment_number = *acknowledgment;
            ip.tcp_header(header).write(&mut bytes, payload)
        }
        Segment::Udp(payload) => ip.udp(from.port(), to.port()).write(&mut bytes, payload),
        Segment::Sctp { tag, chunk, body } => {
            let mut packet = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
            packet.extend(tag.to_be_bytes());
            packet.extend([0; 4]); // The checksum: nobody verifies it, as offloading leaves it open.
            packet.extend([*chunk, 0]);
            packet.extend((body.len() as u16 + 4).to_be_bytes());
            packet.extend(body);
            ip.write(&mut bytes, IpNumber::SCTP, &packet)
        }
        Segment::Unreachable(about) => {
            let quoted = frame(to, from, about).split_off(14);
            return unreachable(ip, from.is_ipv4(), &quoted);
        }
    }
    .expect("a packet that fits its length fields");
    bytes
}

fn unreachable(ip: PacketBuilderStep<IpHeaders>, ip4: bool, quoted: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if ip4 {
        let port = icmpv4::DestUnreachableHeader::Port;
        ip.icmpv4(etherparse::Icmpv4Type::DestinationUnreachable(port)).write(&mut bytes, quoted)
    } else {
        let port = icmpv6::DestUnreachableCode::Port;
        ip.icmpv6(etherparse::Icmpv6Type::DestinationUnreachable(port)).write(&mut bytes, quoted)
    }
    .expect("an error message that fits its length fields");
    bytes
}

/// Length and protocol are filled in by the builder.
fn ip(from: IpAddr, to: IpAddr) -> IpHeaders {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let header = Ipv4Header::new(0, 64, IpNumber::TCP, from.octets(), to.octets());
            IpHeaders::Ipv4(header.expect("an empty payload fits"), Default::default())
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let (source, destination) = (from.octets(), to.octets());
            IpHeaders::Ipv6(Ipv6Header { source, destination, hop_limit: 64, ..Default::default() }, Default::default())
        }
        _ => panic!("{from} and {to} are of different families"),
    }
}

/// A pcap file of nanoseconds in little-endian order.
pub fn pcap(link: u32, frames: &[Frame]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_3c4d, 0x0004_0002, 0, 0, 262_144, link] {
        file.extend(u32::to_le_bytes(word));
    }
    for (time, bytes) in frames {
        let length = bytes.len() as u32;
        for word in [(time / SECOND) as u32, (time % SECOND) as u32, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(bytes);
    }
    file
}

/// A DNS message over UDP about `name`: the query without answers, a response with them. An answer is an address or
/// the name of a CNAME record, which the following answers belong to.
pub fn dns(name: &str, answers: &[&str], response: bool) -> Vec<u8> {
    let encode = |name: &str| -> Vec<u8> {
        name.split('.').flat_map(|part| [&[part.len() as u8], part.as_bytes()].concat()).chain([0]).collect()
    };
    let kind = |answer: &str| match answer.parse() {
        Ok(IpAddr::V4(ip)) => (1u16, ip.octets().to_vec()),
        Ok(IpAddr::V6(ip)) => (28, ip.octets().to_vec()),
        Err(_) => (5, encode(answer)),
    };
    let asked = answers.last().map_or(1, |last| kind(last).0);
    let answers = if response { answers } else { &[] };
    let flags: u16 = if response { 0x8180 } else { 0x0100 };
    let mut message: Vec<u8> =
        [0x2a17, flags, 1, answers.len() as u16, 0, 0].into_iter().flat_map(u16::to_be_bytes).collect();
    message.extend(encode(name));
    message.extend([asked, 1].into_iter().flat_map(u16::to_be_bytes));
    let mut owner = name;
    for answer in answers {
        let (kind, data) = kind(answer);
        message.extend(encode(owner));
        message.extend([kind, 1, 0, 300, data.len() as u16].into_iter().flat_map(u16::to_be_bytes));
        message.extend(data);
        if kind == 5 {
            owner = answer;
        }
    }
    message
}

/// A TLS ClientHello (RFC 8446 §4.1.2) with nothing but the server's name (RFC 6066 §3).
pub fn client_hello(name: &str) -> Vec<u8> {
    let prefixed = |bytes: Vec<u8>| [(bytes.len() as u16).to_be_bytes().to_vec(), bytes].concat();
    let host = [vec![0], prefixed(name.as_bytes().to_vec())].concat();
    let extension = [vec![0, 0], prefixed(prefixed(host))].concat();
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
    hello.extend(prefixed(extension));
    let handshake = [vec![1, 0], prefixed(hello)].concat();
    [vec![22, 3, 1], prefixed(handshake)].concat()
}
