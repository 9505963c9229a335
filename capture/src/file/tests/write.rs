//! Captures of every format, written piece by piece.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression as Level;
use flate2::write::GzEncoder;

use super::{Seen, seen};
use crate::LinkType;
use crate::file::order::ByteOrder::{self, Big, Little};

pub(super) fn u16s(order: ByteOrder, numbers: &[u16]) -> Vec<u8> {
    let bytes = |n: &u16| if order == Big { n.to_be_bytes() } else { n.to_le_bytes() };
    numbers.iter().flat_map(bytes).collect()
}

pub(super) fn u32s(order: ByteOrder, numbers: &[u32]) -> Vec<u8> {
    let bytes = |n: &u32| if order == Big { n.to_be_bytes() } else { n.to_le_bytes() };
    numbers.iter().flat_map(bytes).collect()
}

pub(super) fn u64s(order: ByteOrder, number: u64) -> Vec<u8> {
    if order == Big { number.to_be_bytes().to_vec() } else { number.to_le_bytes().to_vec() }
}

pub(super) const MICRO: u32 = 0xa1b2_c3d4;
pub(super) const NANO: u32 = 0xa1b2_3c4d;
pub(super) const MODIFIED: u32 = 0xa1b2_cd34;

pub(super) fn pcap_header(order: ByteOrder, magic: u32, link: u32) -> Vec<u8> {
    [u32s(order, &[magic]), u16s(order, &[2, 4]), u32s(order, &[0, 0, 65535, link])].concat()
}

pub(super) fn pcap_record(order: ByteOrder, magic: u32, time: (u32, u32), data: &[u8]) -> Vec<u8> {
    let length = data.len() as u32;
    let more: &[u8] = if magic == MODIFIED { &[7; 8] } else { &[] };
    [&u32s(order, &[time.0, time.1, length, length]), more, data].concat()
}

pub(super) fn pcap(order: ByteOrder, magic: u32) -> Vec<u8> {
    [
        pcap_header(order, magic, 1),
        pcap_record(order, magic, (3_000_000_000, 5), b"first frame"),
        pcap_record(order, magic, (3_000_000_001, 999_999), b""),
        pcap_record(order, magic, (1, 0), b"earlier"),
    ]
    .concat()
}

pub(super) fn block(order: ByteOrder, kind: u32, body: &[u8]) -> Vec<u8> {
    let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
    let length = (12 + body.len() + padding.len()) as u32;
    [&u32s(order, &[kind, length]), body, &padding, &u32s(order, &[length])].concat()
}

pub(super) fn section(order: ByteOrder) -> Vec<u8> {
    let body = [u32s(order, &[0x1a2b_3c4d]), u16s(order, &[1, 0]), u64s(order, u64::MAX)].concat();
    block(order, 0x0a0d_0d0a, &body)
}

pub(super) fn option(order: ByteOrder, code: u16, value: &[u8]) -> Vec<u8> {
    let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
    [&u16s(order, &[code, value.len() as u16]), value, &padding].concat()
}

pub(super) fn interface(order: ByteOrder, link: u16, snap_length: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = [u16s(order, &[link, 0]), u32s(order, &[snap_length])].concat();
    for (code, value) in options {
        body.extend(option(order, *code, value));
    }
    block(order, 1, &body)
}

pub(super) fn enhanced(order: ByteOrder, interface: u32, ticks: u64, data: &[u8]) -> Vec<u8> {
    let (high, low, length) = ((ticks >> 32) as u32, ticks as u32, data.len() as u32);
    let mut body = [&u32s(order, &[interface, high, low, length, length]), data].concat();
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend(option(order, 1, b"a comment"));
    block(order, 6, &body)
}

pub(super) fn simple(order: ByteOrder, original_length: u32, data: &[u8]) -> Vec<u8> {
    block(order, 3, &[&u32s(order, &[original_length]), data].concat())
}

pub(super) fn packet(order: ByteOrder, interface: u16, ticks: u64, data: &[u8]) -> Vec<u8> {
    let (high, low, length) = ((ticks >> 32) as u32, ticks as u32, data.len() as u32);
    let head = [u16s(order, &[interface, 3]), u32s(order, &[high, low, length, length])].concat();
    block(order, 2, &[&head, data].concat())
}

pub(super) fn statistics(order: ByteOrder, interface: u32, counters: &[(u16, u64)]) -> Vec<u8> {
    let mut body = u32s(order, &[interface, 0, 0]);
    for &(code, counter) in counters {
        body.extend(option(order, code, &u64s(order, counter)));
    }
    body.extend(option(order, 0, b""));
    block(order, 5, &body)
}

/// Two sections of different byte order, three interfaces, every kind of packet; one entry per block.
pub(super) fn pcapng_blocks(order: ByteOrder) -> Vec<Vec<u8>> {
    let other = if order == Big { Little } else { Big };
    vec![
        section(order),
        interface(order, 1, 8, &[(2, b"eth0"), (3, b"the first")]),
        interface(order, 113, 0, &[(2, b"any\0"), (9, &[9]), (14, &u64s(order, 100)), (0, b"")]),
        enhanced(order, 0, 1_700_000_000_000_001, b"micro"),
        block(order, 4, b"some name resolution"),
        enhanced(order, 1, 1_700_000_000_000_000_001, b"nano, offset"),
        simple(order, 5, b"whole"),
        simple(order, 1500, b"the snap"),
        packet(order, 1, 7, b"obsolete"),
        block(order, 0x8000_0bad, &[0xff; 1000]),
        statistics(order, 0, &[(4, 1), (5, 1)]),
        statistics(order, 0, &[(4, 1000), (5, 30), (6, 900), (7, 4)]),
        statistics(order, 1, &[(5, 30), (7, 4)]),
        statistics(order, 1, &[(7, 5)]),
        section(other),
        interface(other, 147, 0, &[(9, &[0x8a])]),
        enhanced(other, 0, 1_536, b"binary clock"),
        enhanced(other, 3, 2_000_000, b"whose?"),
        enhanced(other, 0, 2_048, b"on"),
    ]
}

pub(super) fn pcapng_frames() -> Vec<Seen> {
    vec![
        seen(1_700_000_000_000_001_000, LinkType::Ethernet, 0, b"micro"),
        seen(1_700_000_100_000_000_001, LinkType::LinuxSll, 1, b"nano, offset"),
        seen(1_700_000_100_000_000_001, LinkType::Ethernet, 0, b"whole"),
        Seen { original_length: 1500, ..seen(1_700_000_100_000_000_001, LinkType::Ethernet, 0, b"the snap") },
        seen(100_000_000_007, LinkType::LinuxSll, 1, b"obsolete"),
        seen(1_500_000_000, LinkType::Unknown(147), 2, b"binary clock"),
        seen(2_000_000_000, LinkType::UNDESCRIBED, 3, b"whose?"),
        seen(2_000_000_000, LinkType::Unknown(147), 2, b"on"),
    ]
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One file of every format, its number of records with the header, and whether it is compressed.
pub(super) fn samples() -> BTreeMap<String, (Vec<u8>, usize, bool)> {
    let mut samples = BTreeMap::new();
    for order in [Little, Big] {
        for (name, magic) in [("micro", MICRO), ("nano", NANO), ("modified", MODIFIED)] {
            samples.insert(format!("{order:?} pcap {name}"), (pcap(order, magic), 4, false));
        }
        let blocks = pcapng_blocks(order);
        samples.insert(format!("{order:?} pcapng"), (blocks.concat(), blocks.len(), false));
    }
    let plain = samples.clone();
    for (name, (bytes, ..)) in plain {
        samples.insert(format!("gzip {name}"), (gzip(&bytes), 1, true));
        samples.insert(format!("zstd {name}"), (zstd(&bytes), 1, true));
    }
    samples
}
