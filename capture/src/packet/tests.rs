//! Packets are built by `etherparse`, an independent implementation, and read back here.

use std::net::IpAddr;

use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::*;
use crate::frame::LinkType;
use crate::time::Timestamp;

fn frame(link: LinkType, data: &[u8]) -> Frame<'_> {
    Frame { time: Timestamp(0), link, interface: 0, data, original_length: data.len() as u32 }
}

/// By the complete path, and by the plain one where it answers.
fn read(link: LinkType, data: &[u8]) -> Result<Packet<'_>, Skipped> {
    let read = parse(&frame(link, data), Ports::DEFAULT).map_err(|stop| match stop {
        Stop::Skipped(reason) => reason,
        Stop::Fragment(_) => Skipped::UnfinishedFragment,
    });
    if let Some(packet) = plain(link, data, Ports::DEFAULT) {
        assert_eq!(Ok(packet), read, "{link} {data:02x?}");
    }
    read
}

/// Bytes in hexadecimal, spaces where one likes.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn tcp_over(builder: etherparse::PacketBuilderStep<etherparse::IpHeaders>, payload: &[u8]) -> Vec<u8> {
    let builder = builder.tcp(40000, 8080, 7, 1024).syn().ack(9);
    let mut data = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut data, payload).unwrap();
    data
}

fn ethernet2() -> etherparse::PacketBuilderStep<etherparse::Ethernet2Header> {
    PacketBuilder::ethernet2([2; 6], [4; 6])
}

fn expect_tcp(packet: Result<Packet<'_>, Skipped>, source: &str, destination: &str, payload: &[u8]) {
    let packet = packet.unwrap();
    assert_eq!(packet.addresses.source(), source.parse::<IpAddr>().unwrap());
    assert_eq!(packet.addresses.destination(), destination.parse::<IpAddr>().unwrap());
    let Transport::Tcp(tcp) = packet.transport else { panic!("{packet:?}") };
    assert_eq!((tcp.source, tcp.destination, tcp.sequence, tcp.acknowledgment), (40000, 8080, 7, 9));
    assert_eq!((tcp.flags, tcp.payload), (flag::SYN | flag::ACK, payload));
}

fn v4() -> Vec<u8> {
    tcp_over(PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64), b"hello")
}

fn v6() -> Vec<u8> {
    let (mut source, mut destination) = ([0; 16], [0; 16]);
    (source[0], source[15], destination[0], destination[15]) = (0xfd, 1, 0xfd, 2);
    tcp_over(PacketBuilder::ipv6(source, destination, 64), b"hello")
}

/// An IPv6 packet with `ext` (next-header chain) between its header and the TCP segment.
fn v6_with(first: u8, ext: &[u8]) -> Vec<u8> {
    let plain = v6();
    let mut data = plain[..40].to_vec();
    data[6] = first;
    data[4..6].copy_from_slice(&((plain.len() - 40 + ext.len()) as u16).to_be_bytes());
    data.extend_from_slice(ext);
    data.extend_from_slice(&plain[40..]);
    data
}

fn in_udp(port: u16, header: &[u8], inner: &[u8]) -> Vec<u8> {
    let payload = [header, inner].concat();
    let builder = ethernet2().ipv4([192, 168, 0, 1], [192, 168, 0, 2], 64).udp(50000, port);
    let mut data = Vec::new();
    builder.write(&mut data, &payload).unwrap();
    data
}

fn in_ethernet(inner: &[u8]) -> Vec<u8> {
    let kind: [u8; 2] = if inner[0] >> 4 == 6 { [0x86, 0xdd] } else { [8, 0] };
    [&[2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4], &kind[..], inner].concat()
}

#[test]
fn every_link_type() {
    let (v4, v6) = (v4(), v6());
    let mut padded = in_ethernet(&v4);
    padded.extend_from_slice(&[0; 9]);
    let vlan = |tags: &[[u8; 4]]| [&[0; 12], tags.concat().as_slice(), &[8, 0], &v4].concat();
    for (link, data, what) in [
        (LinkType::Ethernet, padded, "padding is not payload"),
        (LinkType::Ethernet, vlan(&[[0x81, 0, 0, 5]]), "802.1Q"),
        (LinkType::Ethernet, vlan(&[[0x88, 0xa8, 0, 5], [0x81, 0, 0, 6]]), "802.1ad"),
        (LinkType::Ethernet, vlan(&[[0x88, 0xa8, 0, 5], [0x81, 0, 0, 6], [0x81, 0, 0, 7]]), "a third tag"),
        (LinkType::LinuxSll, [&[0; 14], &[8, 0][..], &v4].concat(), "SLL"),
        (LinkType::LinuxSll2, [&[8, 0][..], &[0; 18], &v4].concat(), "SLL2"),
        (LinkType::RawIp, v4.clone(), "raw"),
        (LinkType::Null, [&[2, 0, 0, 0][..], &v4].concat(), "null, little endian"),
        (LinkType::Null, [&[0, 0, 0, 2][..], &v4].concat(), "null, big endian"),
    ] {
        assert!(read(link, &data).is_ok(), "{what}");
        expect_tcp(read(link, &data), "10.0.0.1", "10.0.0.2", b"hello");
    }
    expect_tcp(read(LinkType::RawIp, &v6), "fd00::1", "fd00::2", b"hello");
    assert_eq!(read(LinkType::Unknown(147), &v4), Err(Skipped::UnknownLink(147)));
    assert_eq!(read(LinkType::Ethernet, &[&[0; 12], &[8, 6][..], &[0; 28]].concat()), Err(Skipped::NotIp));
}

#[test]
fn extension_headers_and_fragments() {
    let hop_by_hop = [6, 0, 1, 4, 0, 0, 0, 0];
    let chain = [60, 0, 1, 4, 0, 0, 0, 0, 6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let atomic_fragment = [6, 0, 0, 0, 0, 0, 0, 9];
    let first_fragment = [6, 0, 0, 1, 0, 0, 0, 9];
    let later_fragment = [6, 0, 5, 0x48, 0, 0, 0, 9];
    let authentication = [6, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1];
    for (first, ext) in
        [(0, &hop_by_hop[..]), (0, &chain), (43, &hop_by_hop), (44, &atomic_fragment), (51, &authentication)]
    {
        expect_tcp(read(LinkType::RawIp, &v6_with(first, ext)), "fd00::1", "fd00::2", b"hello");
    }
    assert_eq!(read(LinkType::RawIp, &v6_with(44, &first_fragment)), Err(Skipped::UnfinishedFragment));
    assert_eq!(read(LinkType::RawIp, &v6_with(44, &later_fragment)), Err(Skipped::UnfinishedFragment));
    let mut later = v4();
    later[7] = 100;
    assert_eq!(read(LinkType::RawIp, &later), Err(Skipped::UnfinishedFragment));
    let mut giant = v4();
    giant[2..4].copy_from_slice(&[0, 0]);
    expect_tcp(read(LinkType::RawIp, &giant), "10.0.0.1", "10.0.0.2", b"hello");
}

#[test]
fn tunnels_are_opened() {
    let (v4, v6) = (v4(), v6());
    let vxlan = [8, 0, 0, 0, 0, 0, 1, 0];
    let geneve = [1, 0, 0x65, 0x58, 0, 0, 1, 0, 0, 1, 2, 0];
    for (data, what) in [
        (in_udp(4789, &vxlan, &in_ethernet(&v4)), "VXLAN"),
        (in_udp(8472, &vxlan, &in_ethernet(&v4)), "flannel's VXLAN"),
        (in_udp(6081, &geneve, &in_ethernet(&v4)), "Geneve with an option"),
    ] {
        assert!(read(LinkType::Ethernet, &data).is_ok(), "{what}");
        expect_tcp(read(LinkType::Ethernet, &data), "10.0.0.1", "10.0.0.2", b"hello");
    }
    let outer = |protocol: u8, inner: &[u8]| {
        let mut data = v4[..20].to_vec();
        data[9] = protocol;
        data[2..4].copy_from_slice(&((20 + inner.len()) as u16).to_be_bytes());
        data.extend_from_slice(inner);
        data
    };
    expect_tcp(read(LinkType::RawIp, &outer(4, &v4)), "10.0.0.1", "10.0.0.2", b"hello");
    expect_tcp(read(LinkType::RawIp, &outer(41, &v6)), "fd00::1", "fd00::2", b"hello");
    let gre = [&[0x20, 0, 8, 0, 0, 0, 0, 9][..], &v4].concat();
    expect_tcp(read(LinkType::RawIp, &outer(47, &gre)), "10.0.0.1", "10.0.0.2", b"hello");
    let mut nested = v4.clone();
    for _ in 0..=MAX_TUNNELS {
        nested = outer(4, &nested);
    }
    assert_eq!(read(LinkType::RawIp, &nested), Err(Skipped::TooDeep));
    let plain = in_udp(4789, &[0, 1, 2, 3], b"not VXLAN at all");
    assert!(matches!(read(LinkType::Ethernet, &plain).unwrap().transport, Transport::Udp(_)));
}

#[test]
fn icmp_errors_quote_a_packet() {
    let quote = |kind: u8, code: u8| [&[kind, code, 0, 0, 0, 0, 0, 0], &v4()[..28]].concat();
    let over = |body: &[u8]| {
        let mut data = v4()[..20].to_vec();
        data[9] = 1;
        data[2..4].copy_from_slice(&((20 + body.len()) as u16).to_be_bytes());
        data.extend_from_slice(body);
        data
    };
    for (protocol, name) in [(6, Protocol::Tcp), (17, Protocol::Udp), (132, Protocol::Sctp)] {
        let mut body = quote(3, 3);
        body[8 + 9] = protocol;
        let data = over(&body);
        let Transport::Unreachable(quoted) = read(LinkType::RawIp, &data).unwrap().transport else { panic!() };
        assert_eq!((quoted.protocol, quoted.source_port, quoted.destination_port), (name, 40000, 8080));
        assert_eq!((quoted.addresses.source(), quoted.sequence), ("10.0.0.1".parse().unwrap(), 7));
    }
    let fragmentation_needed = 4;
    for (kind, code) in [(3, fragmentation_needed), (8, 0), (11, 0)] {
        assert_eq!(read(LinkType::RawIp, &over(&quote(kind, code))), Err(Skipped::Icmp));
    }
}

#[test]
fn a_cut_frame_says_where() {
    let data = in_ethernet(&v4());
    for length in 0..data.len() {
        let result = read(LinkType::Ethernet, &data[..length]);
        let layer = match length {
            0..14 => Layer::Link,
            14..34 => Layer::Ip,
            34..48 => Layer::Transport,
            _ => {
                assert!(result.is_ok(), "ports and flags are there at {length}");
                continue;
            }
        };
        assert_eq!(result, Err(Skipped::Truncated(layer)), "cut at {length}");
    }
}

#[test]
fn a_cut_tunnel_says_where_or_yields_the_same() {
    let (v4, v6) = (v4(), v6());
    let extended = v6_with(0, &[6, 0, 1, 4, 0, 0, 0, 0]);
    let tagged = [&in_ethernet(&v4)[..12], &[0x81, 0, 0, 5, 8, 0], &v4].concat();
    for data in [
        in_udp(4789, &[8, 0, 0, 0, 0, 0, 1, 0], &tagged),
        in_udp(4789, &[0x88, 0, 0, 7, 0, 0, 1, 0], &in_ethernet(&v4)),
        in_udp(6081, &[1, 0, 0x65, 0x58, 0, 0, 1, 0, 0, 1, 2, 0], &in_ethernet(&extended)),
        in_udp(4790, &[12, 0, 0, 4, 0, 0, 1, 0, 15, 0xc2, 2, 1, 0, 0, 1, 1], &v4),
        in_udp(2152, &[0x30, 255, 0, 4, 0, 0, 0, 1], &v4),
        in_udp(3544, &[0, 0, 0x12, 0x34, 1, 2, 3, 4], &v6),
        in_udp(1701, &[0, 2, 0, 1, 0, 1, 0xff, 3, 0, 0x21], &v4),
        in_udp(6635, &[0, 1, 0x11, 0x40], &v4),
    ] {
        let whole = read(LinkType::Ethernet, &data).unwrap();
        assert!(matches!(whole.transport, Transport::Tcp(_)), "{whole:?}");
        for length in 0..data.len() {
            match read(LinkType::Ethernet, &data[..length]) {
                Err(Skipped::Truncated(_)) => {}
                Ok(packet) => {
                    let ports = |packet: Packet<'_>| match packet.transport {
                        Transport::Tcp(tcp) => (tcp.source, tcp.destination, tcp.flags),
                        other => panic!("cut at {length}: {other:?} of {data:02x?}"),
                    };
                    assert_eq!((packet.addresses, ports(packet)), (whole.addresses, ports(whole)), "cut at {length}");
                }
                Err(reason) => panic!("cut at {length}: {reason:?} of {data:02x?}"),
            }
        }
    }
}

#[test]
fn lengths_that_contradict_themselves() {
    let datagram = |length: u16, captured: usize| {
        let mut data = v4()[..20].to_vec();
        (data[9], data[3]) = (17, 20 + captured as u8);
        data.extend_from_slice(&[0, 99, 0x27, 0x0f]);
        data.extend_from_slice(&length.to_be_bytes());
        data.extend_from_slice(&[7; 40]);
        data.truncate(20 + captured);
        data
    };
    for (length, captured, expected, what) in [
        (20, 20, Ok((12, 12)), "as it should be"),
        (12, 20, Ok((4, 4)), "trailing bytes are no payload"),
        (1000, 20, Ok((992, 12)), "more than there is: a giant that was cut into packets"),
        (0, 20, Ok((12, 12)), "a jumbogram"),
        (7, 20, Err(Skipped::Malformed(Layer::Transport)), "less than its header"),
    ] {
        let data = datagram(length, captured);
        let found = read(LinkType::RawIp, &data).map(|packet| match packet.transport {
            Transport::Udp(udp) => (udp.length, udp.payload.len()),
            other => panic!("{other:?}"),
        });
        assert_eq!(found, expected, "{what}");
    }
    let mut short = v4();
    short[32] = 0x40;
    assert_eq!(read(LinkType::RawIp, &short), Err(Skipped::Malformed(Layer::Transport)), "TCP's offset");
    let mut header = v4();
    header[0] = 0x44;
    assert_eq!(read(LinkType::RawIp, &header), Err(Skipped::Malformed(Layer::Ip)), "IPv4's header length");
    let mut total = v4();
    total[2..4].copy_from_slice(&19_u16.to_be_bytes());
    assert_eq!(read(LinkType::RawIp, &total), Err(Skipped::Malformed(Layer::Ip)), "IPv4's total length");
    // BIG TCP: IPv6 leaves the length out, with and without the jumbo payload option (RFC 2675 §2).
    for (first, options) in [(6, &[][..]), (0, &[6, 0, 0xc2, 4, 0, 1, 0, 0])] {
        let mut giant = v6_with(first, options);
        giant[4..6].copy_from_slice(&[0, 0]);
        expect_tcp(read(LinkType::RawIp, &giant), "fd00::1", "fd00::2", b"hello");
    }
}

#[test]
fn chunks_of_sctp() {
    let sctp = |chunks: &str| {
        let body = [&[0x9c, 0x40, 0x1f, 0x90, 0, 0, 0, 5, 0, 0, 0, 0][..], &hex(chunks)].concat();
        let mut data = v4()[..20].to_vec();
        (data[9], data[3]) = (132, 20 + body.len() as u8);
        [data, body].concat()
    };
    for (chunks, expected) in [
        ("01000014 00000009 00010000 00010001 00000001", Chunk::Init { tag: 9 }),
        ("02000014 0000000a 00010000 00010001 00000001", Chunk::InitAck { tag: 10 }),
        ("06000004", Chunk::Abort),
        ("03000010 00000001 00001000 00000000 06000004", Chunk::Abort),
        ("00030011 00000001 00010000 00000000 61000000 06000004", Chunk::Abort),
        ("03000010 00000001 00001000 00000000 00030011", Chunk::Other),
        ("03000000 06000004", Chunk::Other),
        ("", Chunk::Other),
    ] {
        let data = sctp(chunks);
        let Ok(Packet { transport: Transport::Sctp(sctp), .. }) = read(LinkType::RawIp, &data) else {
            panic!("{chunks}")
        };
        assert_eq!((sctp.source, sctp.destination, sctp.tag, sctp.chunk), (40000, 8080, 5, expected), "{chunks}");
    }
}

#[test]
fn buckets_have_names() {
    for (reason, name) in [
        (Skipped::UnknownLink(253), "unknown_link_253"),
        (Skipped::Truncated(Layer::Ip), "truncated_ip"),
        (Skipped::Malformed(Layer::Transport), "malformed_transport"),
        (Skipped::Encrypted, "opaque_esp"),
        (Skipped::OtherProtocol(89), "ip_protocol_89"),
    ] {
        assert_eq!(reason.name(), name);
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(data in proptest::collection::vec(any::<u8>(), 0..200), link in 0u32..300) {
        let _ = read(LinkType::from_number(link), &data);
    }

    #[test]
    fn damage_in_a_tunnel_never_panics(at in 0usize..110, value: u8) {
        let mut data = in_udp(4789, &[8, 0, 0, 0, 0, 0, 1, 0], &in_ethernet(&v6_with(0, &[6, 0, 1, 4, 0, 0, 0, 0])));
        if let Some(byte) = data.get_mut(at) { *byte = value; }
        let _ = read(LinkType::Ethernet, &data);
    }
}

mod links;
mod plain;
mod tunnels;
