//! What may be below IP.

use super::*;

/// `header` in hexadecimal, then IPv4 or IPv6.
fn before(header: &str, inner: &[u8]) -> Vec<u8> {
    [&hex(header), inner].concat()
}

#[test]
fn link_types() {
    let (v4, v6) = (v4(), v6());
    let mac = "020202020202 040404040404";
    for (link, header, what) in [
        (LinkType::Ppp, "ff03 0021", "PPP in HDLC-like framing"),
        (LinkType::Ppp, "0021", "PPP without address and control"),
        (LinkType::Ppp, "21", "PPP with a compressed protocol"),
        (LinkType::Ppp, "ff03 0281 00001140", "MPLS in PPP"),
        (LinkType::PppHdlc, "ff03 0021", "PPP_HDLC"),
        (LinkType::PppHdlc, "0f00 0800", "Cisco's HDLC as PPP_HDLC"),
        (LinkType::PppWithDirection, "01 ff03 0021", "direction, then framing"),
        (LinkType::PppWithDirection, "00 03 0021", "direction in place of the address"),
        (LinkType::PppEther, "1100 0001 0030 0021", "PPPoE"),
        (LinkType::CiscoHdlc, "0f00 0800", "C_HDLC"),
        (LinkType::Mpls, "00010040 00011140", "two labels"),
        (LinkType::LlcSnap, "aaaa03 000000 0800", "LLC and SNAP"),
        (LinkType::Enc, "00000002 00000000 00000000", "ENC"),
        (LinkType::Pflog, &format!("3d02 0000 {}", "00000000".repeat(15)), "PFLOG of 61 bytes"),
        (LinkType::Nflog, "02000014 0800 0100 08000100 0500 0a00 00000000 3100 0900", "NFLOG, little endian"),
        (LinkType::Nflog, "02000014 0008 0001 08000100 0005 000a 00000000 0031 0009", "NFLOG, big endian"),
        (LinkType::Ppi, "00 00 0800 65000000", "PPI before raw IP"),
        (LinkType::Pktap, "10000000 01000000 0c000000 00000000", "PKTAP before Apple's raw IP"),
        (LinkType::Ethernet, &format!("{mac} 8847 00001140"), "MPLS"),
        (LinkType::Ethernet, &format!("{mac} 8100 0005 8847 00001140"), "MPLS in a VLAN"),
        (LinkType::Ethernet, &format!("{mac} 8847 00011140 {mac} 0800"), "a pseudowire without control word"),
        (LinkType::Ethernet, &format!("{mac} 8847 00011140 00000000 {mac} 0800"), "a pseudowire with it"),
        (LinkType::Ethernet, &format!("{mac} 8847 00011140 420202020202 040404040404 0800"), "a MAC address like IPv4"),
        (LinkType::Ethernet, &format!("{mac} 8864 1100 0001 0030 0021"), "PPPoE session"),
        (LinkType::Ethernet, &format!("{mac} 0035 aaaa03 000000 0800"), "802.3 with SNAP"),
        (LinkType::Ethernet, &format!("{mac} 0035 060603"), "802.3 with IP's own access point"),
        (LinkType::Ethernet, &format!("{mac} 88e7 00000001 {mac} 8100 0005 0800"), "802.1ah"),
        (
            LinkType::Ethernet,
            &format!("{mac} 894f 0fc6 0101 00000101 00000000 00000000 00000000 00000000"),
            "NSH, type 1",
        ),
        (LinkType::Ethernet, &format!("{mac} 894f 0fc2 0203 00000101 {mac} 0800"), "NSH before Ethernet"),
        (LinkType::Ethernet, &format!("{mac} 8926 00000000 0800"), "VN-Tag"),
        (LinkType::Ethernet, &format!("{mac} 9100 0001 9100 0002 9200 0003 0800"), "old tags"),
    ] {
        let data = before(header, &v4);
        assert!(read(link, &data).is_ok(), "{what}: {:?}", read(link, &data));
        expect_tcp(read(link, &data), "10.0.0.1", "10.0.0.2", b"hello");
    }
    for (link, header, what) in [
        (LinkType::Ppp, "ff03 0057", "IPv6 in PPP"),
        (LinkType::Nflog, "0a000014 4500 0900", "NFLOG"),
        (LinkType::Ethernet, &format!("{mac} 8848 00002140"), "MPLS"),
    ] {
        assert!(read(link, &before(header, &v6)).is_ok(), "{what}");
        expect_tcp(read(link, &before(header, &v6)), "fd00::1", "fd00::2", b"hello");
    }
}

#[test]
fn not_ip() {
    let mac = "020202020202 040404040404";
    for (link, header, reason) in [
        (LinkType::Ppp, "ff03 c021 01010004", Skipped::NotIp),
        (LinkType::Ethernet, &format!("{mac} 8863 1109 0000 0000"), Skipped::NotIp),
        (LinkType::Ethernet, &format!("{mac} 0026 424203 0000"), Skipped::NotIp),
        (LinkType::Ethernet, &format!("{mac} 8847 00000040"), Skipped::Truncated(Layer::Link)),
        (LinkType::Nflog, "02000014 0300 0100", Skipped::Malformed(Layer::Link)),
        (LinkType::Pktap, "10000000 01000000 02010000 00000000", Skipped::Malformed(Layer::Link)),
        (LinkType::Pktap, "10000000 01000000 93000000 00000000", Skipped::UnknownLink(147)),
        (LinkType::Unknown(253), "0000", Skipped::UnknownLink(253)),
    ] {
        assert_eq!(read(link, &hex(header)), Err(reason), "{link} {header}");
    }
}

#[test]
fn no_frame_recurses_without_end() {
    // Ethernet in MPLS in Ethernet and so on, 10,000 times.
    let layer = hex("020202020202 040404040404 8847 00011140");
    assert_eq!(read(LinkType::Ethernet, &layer.repeat(10_000)), Err(Skipped::TooDeep));
    let backbone = hex("020202020202 040404040404 88e7 00000001");
    assert_eq!(read(LinkType::Ethernet, &backbone.repeat(10_000)), Err(Skipped::TooDeep));
}
