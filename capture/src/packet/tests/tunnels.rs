//! What may be around the packet that counts.

use super::*;

/// `inner` in an IPv4 packet of a protocol.
fn in_ip(protocol: u8, header: &str, inner: &[u8]) -> Vec<u8> {
    let body = [&hex(header), inner].concat();
    let mut data = v4()[..20].to_vec();
    data[9] = protocol;
    data[2..4].copy_from_slice(&((20 + body.len()) as u16).to_be_bytes());
    [data, body].concat()
}

#[test]
fn in_datagrams() {
    let (v4, v6) = (v4(), v6());
    let (frame, mac) = (in_ethernet(&v4), "020202020202 040404040404");
    let in_vxlan = in_udp(8472, &hex("08000000 00000100"), &in_ethernet(&v4));
    let length = format!("{:04x}", v4.len());
    let extended = format!("{:04x}", v4.len() + 12);
    for (port, header, inner, what) in [
        (4789, "08000000 00000100", &frame, "VXLAN"),
        (4789, "88000007 00000100", &frame, "VXLAN with a group policy"),
        (4789, "08abcdef 00000199", &frame, "VXLAN with reserved bits"),
        (4789, "08000000 00000100", &in_vxlan, "VXLAN in VXLAN"),
        (4789, "0c000001 00000100", &v4, "VXLAN-GPE on VXLAN's port"),
        (4789, "0c000001 00000100", &frame, "VXLAN with reserved bits as VXLAN-GPE has them"),
        (4790, "0c000001 00000100", &v4, "VXLAN-GPE, IPv4"),
        (4790, "0c000003 00000100", &frame, "VXLAN-GPE, Ethernet"),
        (4790, "08000000 00000100", &frame, "VXLAN-GPE, flag P clear"),
        (4790, "0c000004 00000100 0fc2 0201 00000101", &v4, "VXLAN-GPE, NSH, IPv4"),
        (6081, "01006558 00000100 00010200", &frame, "Geneve with an option"),
        (6081, "00800800 00000100", &v4, "Geneve without Ethernet"),
        (6635, "00011140", &v4, "MPLS in UDP"),
        (2152, &format!("30ff {length} 00000001"), &v4, "GTP-U"),
        (2152, &format!("36ff {extended} 00000001 0007 00 85 010005c0 01000000"), &v4, "GTP-U with extension headers"),
        (1701, "0002 0001 0001 ff03 0021", &v4, "L2TP"),
        (1701, "4a02 0040 0001 0001 0000 0000 0002 aaaa 0021", &v4, "L2TP with length, numbers and padding"),
        (4341, "80000001 00000001", &v4, "LISP"),
        (5072, "1112 11 04 00000000 aaaa bbbbbbbb", &v4, "AYIYA"),
        (37008, "0100 0001 0a01ff 00 01", &frame, "TZSP"),
    ] {
        let data = in_udp(port, &hex(header), inner);
        let read = read(LinkType::Ethernet, &data);
        assert!(matches!(read, Ok(Packet { transport: Transport::Tcp(_), .. })), "{what}: {read:?}");
        expect_tcp(read, "10.0.0.1", "10.0.0.2", b"hello");
    }
    for (port, header, what) in [
        (3544, "", "Teredo"),
        (3544, "0001 0000 0000000000000000 00", "Teredo with authentication"),
        (3544, "0001 0204 aaaa bbbbbbbb 0000000000000000 00 0000 1234 01020304", "with origin too"),
        (2152, "32ff 0045 00000001 0001 00 00", "GTP-U with a sequence number"),
    ] {
        let read_it = in_udp(port, &hex(header), &v6);
        let read = read(LinkType::Ethernet, &read_it);
        assert!(matches!(read, Ok(Packet { transport: Transport::Tcp(_), .. })), "{what}: {read:?}");
        expect_tcp(read, "fd00::1", "fd00::2", b"hello");
    }
    let arp = in_udp(4789, &hex("08000000 00000100"), &hex(&format!("{mac} 0806 0001")));
    assert_eq!(read(LinkType::Ethernet, &arp), Err(Skipped::NotIp), "ARP in a tunnel is no conversation of its ends");
}

#[test]
fn what_is_no_tunnel_is_a_conversation() {
    let (v4, frame) = (v4(), in_ethernet(&v4()));
    for (port, header, inner, what) in [
        (4789, "", &b"not VXLAN".to_vec(), "text"),
        (4789, "", &vec![], "nothing"),
        (4789, "00000000 00000100", &frame, "VXLAN without flag I"),
        (4789, "08000000 00000100", &frame[..20].to_vec(), "a datagram too short for its inner IP header"),
        (4789, "08abcdef 00000100", &vec![7; 60], "reserved bits, and no frame"),
        (6081, "41006558 00000100 00010200", &frame, "Geneve of version 1"),
        (6081, "3f006558 00000100", &frame, "Geneve with more options than bytes"),
        (2152, "32 01 0004 00000000 0001 00 00", &vec![], "GTP echo"),
        (2152, "30ff 0fff 00000001", &v4, "GTP-U longer than its datagram"),
        (3544, "0000 1234 01020304", &v4, "IPv4 in Teredo"),
        (1701, "c802 000c 0001 0000 0000 0000", &vec![], "L2TP control"),
        (6635, "00011140", &vec![7; 60], "MPLS before anything"),
        (53, "08000000 00000100", &frame, "another port"),
    ] {
        let data = in_udp(port, &hex(header), inner);
        let Ok(Packet { transport: Transport::Udp(udp), .. }) = read(LinkType::Ethernet, &data) else {
            panic!("{what}: {:?}", read(LinkType::Ethernet, &data))
        };
        assert_eq!((udp.source, udp.destination, udp.payload.len()), (50000, port, hex(header).len() + inner.len()));
    }
}

#[test]
fn configured_ports() {
    let ports = Ports::new(&TunnelPorts { vxlan: [14789].into(), geneve: [16081].into() });
    let frame_of = |port, header: &str| in_udp(port, &hex(header), &in_ethernet(&v4()));
    for (port, header, opened) in [
        (14789, "08000000 00000100", true),
        (16081, "00006558 00000100", true),
        (4789, "08000000 00000100", false),
        (6081, "00006558 00000100", false),
    ] {
        let data = frame_of(port, header);
        let complete = parse(&frame(LinkType::Ethernet, &data), &ports).unwrap();
        assert_eq!(matches!(complete.transport, Transport::Tcp(_)), opened, "{port}");
        assert!(plain(LinkType::Ethernet, &data, &ports).is_none_or(|packet| packet == complete), "{port}");
    }
}

#[test]
fn in_packets() {
    let (v4, v6) = (v4(), v6());
    let frame = in_ethernet(&v4);
    for (protocol, header, inner, what) in [
        (4, "", &v4, "IP in IP"),
        (47, "0000 0800", &v4, "GRE"),
        (47, "b000 0800 00000000 00000009 00000001", &v4, "GRE with checksum, key and sequence"),
        (47, "4000 0800 0000 0000 0800 00 04 01020304 0000 0000", &v4, "GRE with routing"),
        (47, "2000 6558 00000900", &frame, "NVGRE"),
        (47, "0000 8847 00011140", &v4, "MPLS in GRE"),
        (47, "3081 880b 0030 0001 00000001 00000000 ff03 0021", &v4, "PPTP"),
        (47, "3001 880b 0030 0001 00000001 21", &v4, "PPTP with a compressed protocol"),
        (47, "0000 88be", &frame, "ERSPAN I"),
        (47, "1000 88be 00000001 10010000 00000000", &frame, "ERSPAN II"),
        (47, "1000 22eb 00000001 20010000 00000000 00000000", &frame, "ERSPAN III"),
        (47, "1000 22eb 00000001 20010000 00000000 00000001 0000000000000000", &frame, "ERSPAN III, longer"),
        (47, "0000 883e 00000000", &v4, "WCCP 2"),
        (47, "0000 883e", &v4, "WCCP 1"),
        (51, "0401 0000 00000001 00000001", &v4, "an authentication header before IP in IP"),
        (97, "3000", &frame, "Ethernet in IP"),
        (137, "00011140", &v4, "MPLS in IP"),
    ] {
        let data = in_ip(protocol, header, inner);
        assert!(read(LinkType::RawIp, &data).is_ok(), "{what}: {:?}", read(LinkType::RawIp, &data));
        expect_tcp(read(LinkType::RawIp, &data), "10.0.0.1", "10.0.0.2", b"hello");
    }
    expect_tcp(read(LinkType::RawIp, &in_ip(41, "", &v6)), "fd00::1", "fd00::2", b"hello");
    expect_tcp(read(LinkType::RawIp, &in_ip(47, "0000 86dd", &v6)), "fd00::1", "fd00::2", b"hello");
    for (protocol, header, reason) in [
        (47, "2001 880b 0000 0001", Skipped::NotIp),
        (47, "0002 0800 00000000", Skipped::OtherProtocol(47)),
        (50, "00000001 00000001", Skipped::Encrypted),
        (89, "02010030", Skipped::OtherProtocol(89)),
        (6, "9c40", Skipped::Malformed(Layer::Transport)),
        (41, "6000", Skipped::Malformed(Layer::Ip)),
    ] {
        assert_eq!(read(LinkType::RawIp, &in_ip(protocol, header, &[])), Err(reason), "{protocol} {header}");
    }
}

#[test]
fn opaque_tunnels_are_conversations() {
    let message = |kind: u8, length: usize| {
        [vec![kind, 0, 0, 0, 1, 2, 3, 4, 9, 9, 9, 0, 0, 0, 0, 0], vec![7; length - 16]].concat()
    };
    let huge_counter = [&[4, 0, 0, 0, 1, 2, 3, 4, 9, 9, 9, 9, 9, 9, 9, 9][..], &[7; 48]].concat();
    for (port, payload, opaque) in [
        (51820, message(1, 148), Some(Opaque::WireGuard)),
        (51871, message(2, 92), Some(Opaque::WireGuard)),
        (9, message(3, 64), Some(Opaque::WireGuard)),
        (51820, message(4, 32), Some(Opaque::WireGuard)),
        (51820, message(4, 1456), Some(Opaque::WireGuard)),
        (51820, message(1, 147), None),
        (51820, message(4, 40), None),
        (51820, huge_counter, None),
        (4500, hex("00000301 00000001 aabb"), Some(Opaque::Esp)),
        (4500, hex("00000000 0102030405060708"), None),
        (4500, hex("ff"), None),
    ] {
        let data = in_udp(port, &[], &payload);
        let Ok(Packet { transport: Transport::Udp(udp), .. }) = read(LinkType::Ethernet, &data) else { panic!() };
        assert_eq!((udp.opaque, udp.length as usize), (opaque, payload.len()), "{port} {:02x?}", &payload[..1]);
        let cut = &data[..data.len().min(42 + 16)];
        let Ok(Packet { transport: Transport::Udp(udp), .. }) = read(LinkType::Ethernet, cut) else { panic!() };
        assert_eq!((udp.opaque, udp.length as usize), (opaque, payload.len()), "the same with little captured");
    }
}
