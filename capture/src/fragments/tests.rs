use super::*;
use crate::decode::{Decoded, Decoder};
use crate::frame::{Frame, LinkType};
use crate::packet::Transport;

/// An IPv4 packet of UDP from port 1000 to 2000, 64 bytes of payload: 72 bytes behind the IP header.
fn datagram() -> Vec<u8> {
    let mut body = vec![0x03, 0xe8, 0x07, 0xd0, 0, 72, 0, 0];
    body.extend(8..72);
    body
}

/// The bytes of a body from `start` to `end`, as a fragment of an IPv4 packet.
fn v4(protocol: u8, body: &[u8], start: usize, end: usize) -> Vec<u8> {
    let more = if end < body.len() { 0x2000 } else { 0 };
    let mut data = vec![0x45, 0];
    data.extend(((20 + end - start) as u16).to_be_bytes());
    data.extend([0, 77]);
    data.extend((more | (start / 8) as u16).to_be_bytes());
    data.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    data.extend(&body[start..end]);
    data
}

/// The same for IPv6; `next` is what the body begins with.
fn v6(next: u8, body: &[u8], start: usize, end: usize) -> Vec<u8> {
    let mut data = vec![0x60, 0, 0, 0];
    data.extend(((8 + end - start) as u16).to_be_bytes());
    data.extend([44, 64]);
    data.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    data.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    data.extend([next, 0]);
    data.extend((start as u16 | u16::from(end < body.len())).to_be_bytes());
    data.extend([0, 0, 0, 77]);
    data.extend(&body[start..end]);
    data
}

/// What the decoder yields for frames one second apart: the destination port of each packet, and the counts.
fn decode(frames: &[Vec<u8>]) -> (Vec<Option<u16>>, Decoded) {
    let mut decoder = Decoder::default();
    let mut ports = Vec::new();
    for (index, data) in frames.iter().enumerate() {
        let time = Timestamp(index as i64 * SECOND);
        let frame = Frame { time, link: LinkType::RawIp, interface: 0, data, original_length: data.len() as u32 };
        let port = decoder.decode(&frame).map(|packet| match packet.transport {
            Transport::Tcp(tcp) => tcp.destination,
            Transport::Udp(udp) => udp.destination,
            other => panic!("{other:?}"),
        });
        ports.push(port);
        let decoded = decoder.decoded();
        assert_eq!(decoded.frames, decoded.packets + decoded.skipped.values().sum::<u64>(), "{decoded:?}");
    }
    (ports, decoder.finish())
}

const PORT: Option<u16> = Some(2000);

#[test]
fn any_order() {
    let body = datagram();
    let (first, second, last) = (v4(17, &body, 0, 24), v4(17, &body, 24, 48), v4(17, &body, 48, 72));
    for (frames, ports, later, what) in [
        (vec![&first, &second, &last], vec![PORT, None, None], 2, "in order"),
        (vec![&last, &second, &first], vec![None, None, PORT], 2, "the first comes last"),
        (vec![&second, &first, &last], vec![None, PORT, None], 2, "the first in between"),
        (vec![&first, &first, &last, &last], vec![PORT, PORT, None, None], 2, "seen twice, as whole packets are"),
        (vec![&last, &last, &first], vec![None, None, PORT], 2, "waiting twice"),
    ] {
        let (found, decoded) = decode(&frames.into_iter().cloned().collect::<Vec<_>>());
        assert_eq!(found, ports, "{what}");
        assert_eq!(decoded.skipped, [(Skipped::Fragment, later)].into(), "{what}");
    }
    let (found, decoded) = decode(&[second, last]);
    assert_eq!(found, [None, None]);
    assert_eq!(decoded.skipped, [(Skipped::UnfinishedFragment, 2)].into(), "without the first");
}

#[test]
fn tiny_first_fragments_are_joined() {
    // TCP's flags are in its second eight bytes.
    let mut tcp = vec![0x03, 0xe8, 0x07, 0xd0, 0, 0, 0, 7, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0];
    tcp.extend([0; 12]);
    let parts = |read: fn(u8, &[u8], usize, usize) -> Vec<u8>, protocol: u8, body: &[u8]| {
        vec![read(protocol, body, 0, 8), read(protocol, body, 8, 16), read(protocol, body, 16, body.len())]
    };
    // In IPv6 extension headers may be split too.
    let extended = [&[6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &tcp].concat();
    // VXLAN is decided by what is behind the UDP header.
    let mut inner = vec![0x45, 0, 0, 52, 0, 0, 0, 0, 64, 6, 0, 0, 10, 9, 0, 1, 10, 9, 0, 2];
    inner.extend(&tcp);
    let mut vxlan = vec![0x03, 0xe8, 0x12, 0xb5, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 1, 0];
    vxlan.extend([2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 8, 0]);
    vxlan.extend(&inner);
    let length = vxlan.len() as u16;
    vxlan[4..6].copy_from_slice(&length.to_be_bytes());
    for (frames, what) in [
        (parts(v4, 6, &tcp), "TCP in IPv4"),
        (parts(v6, 6, &tcp), "TCP in IPv6"),
        (parts(v6, 60, &extended), "extension headers"),
        (parts(v4, 17, &vxlan), "VXLAN"),
        (parts(v4, 4, &inner), "IP in IP"),
    ] {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let (found, decoded) = decode(&order.map(|index| frames[index].clone()));
            let packets: Vec<u16> = found.into_iter().flatten().collect();
            assert_eq!(packets, [2000], "{what} {order:?}");
            assert_eq!(decoded.skipped, [(Skipped::Fragment, 2)].into(), "{what} {order:?}");
        }
    }
}

#[test]
fn overlapping_fragments_are_never_joined() {
    let (body, mut other) = (datagram(), datagram());
    other[10] = 0xff;
    for (frames, ports, skipped, what) in [
        (
            vec![v4(17, &other, 8, 32), v4(17, &body, 0, 24), v4(17, &body, 24, 72)],
            vec![None; 3],
            vec![(Skipped::OverlappingFragment, 3)],
            "different bytes before the first",
        ),
        (
            vec![v4(17, &body, 0, 24), v4(17, &other, 8, 32), v4(17, &body, 24, 72)],
            vec![PORT, None, None],
            vec![(Skipped::Fragment, 1), (Skipped::OverlappingFragment, 1)],
            "different bytes behind it",
        ),
        (
            vec![v4(17, &body, 8, 32), v4(17, &body, 0, 24)],
            vec![None, PORT],
            vec![(Skipped::Fragment, 1)],
            "the same bytes",
        ),
    ] {
        let (found, decoded) = decode(&frames);
        assert_eq!(found, ports, "{what}");
        assert_eq!(decoded.skipped, skipped.into_iter().collect(), "{what}");
    }
}

#[test]
fn the_next_packet_with_the_number_is_another() {
    let (body, mut next) = (datagram(), datagram());
    (next[2], next[3], next[20]) = (0x0b, 0xb8, 0xff);
    let frames = [v4(17, &body, 0, 24), v4(17, &body, 24, 72), v4(17, &next, 0, 24), v4(17, &next, 24, 72)];
    assert_eq!(decode(&frames).0, [PORT, None, Some(3000), None]);
    // In IPv4 each protocol has its own numbers.
    let frames = [v4(6, &body, 24, 72), v4(17, &body, 0, 24)];
    assert_eq!(decode(&frames).1.skipped, [(Skipped::UnfinishedFragment, 1)].into());
}

#[test]
fn patience_ends() {
    let body = datagram();
    let mut frames = vec![v4(17, &body, 24, 72)];
    // Another second each.
    frames.extend((0..61).map(|_| v4(17, &body, 0, 72)));
    frames.push(v4(17, &body, 0, 24));
    let (found, decoded) = decode(&frames);
    assert_eq!(found.last(), Some(&PORT));
    assert_eq!(decoded.skipped, [(Skipped::UnfinishedFragment, 1)].into(), "the old one belongs to another packet");
    assert_eq!(decoded.evicted, 0);
}

#[test]
fn memory_is_bounded() {
    let body = datagram();
    let frame = |number: usize, start, end| {
        let mut data = v4(17, &body, start, end);
        data[13..15].copy_from_slice(&(number as u16).to_be_bytes());
        data
    };
    let mut decoder = Decoder::default();
    let mut take = |data: &[u8]| {
        let frame = Frame { time: Timestamp(0), link: LinkType::RawIp, interface: 0, data, original_length: 0 };
        decoder.decode(&frame).is_some()
    };
    (0..MAX_DATAGRAMS + 10).for_each(|number| assert!(!take(&frame(number, 24, 72))));
    (0..MAX_DATAGRAMS + 10).rev().take(100).for_each(|number| assert!(take(&frame(number, 0, 24))));
    let decoded = decoder.finish();
    assert_eq!(decoded.evicted, 10);
    assert_eq!(decoded.skipped[&Skipped::Fragment], 100);
    assert_eq!(decoded.skipped[&Skipped::UnfinishedFragment], MAX_DATAGRAMS as u64 - 90);
    assert_eq!(decoded.frames, decoded.packets + decoded.skipped.values().sum::<u64>());
}
