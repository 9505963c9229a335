//! What is fuzzed: one function a target. The fuzzer and the replay of its corpus in `tests/corpus.rs` share them.

use std::io::Cursor;
use std::net::IpAddr;

use capture::names::{self, DnsStreams};
use capture::{CaptureFile, Decoder, Frame, Limits, LinkType, Settings, Socket, Timestamp, Tracker};
use synth::inventory::{Inventory, Options};
use synth::manifest::Objects;

fn open(data: &[u8]) -> Option<CaptureFile> {
    CaptureFile::from_reader("fuzz".to_string(), Box::new(Cursor::new(data.to_vec()))).ok()
}

/// A capture file of any format and compression, to its end.
pub fn file(data: &[u8]) {
    let Some(mut file) = open(data) else { return };
    let (mut frames, mut bytes) = (0, 0);
    while let Ok(Some(frame)) = file.next() {
        frames += 1;
        bytes += frame.data.len();
        // A small compressed file may hold gigabytes.
        if bytes + 16 * frames > 64 << 20 {
            return;
        }
    }
    let statistics = file.statistics();
    assert_eq!(statistics.frames, frames as u64);
    assert_eq!(statistics.interfaces.iter().map(|interface| interface.frames).sum::<u64>(), statistics.frames);
    assert_eq!(statistics.damaged > 0, statistics.first_damaged.is_some());
}

/// A frame; the first two bytes are its link type.
pub fn packet(data: &[u8]) {
    let Some((link, data)) = data.split_first_chunk() else { return };
    let link = LinkType::from_number(u32::from(u16::from_le_bytes(*link)));
    let original_length = data.len() as u32;
    let mut decoder = Decoder::default();
    for time in [1, 2] {
        let _ = decoder.decode(&Frame { time: Timestamp(time), link, interface: 0, data, original_length });
    }
    let decoded = decoder.finish();
    assert_eq!(decoded.frames, 2);
    assert_eq!(decoded.packets + decoded.skipped.values().sum::<u64>(), decoded.frames);
}

/// A capture file to its flows, with room for all of them and with next to none.
pub fn pipeline(data: &[u8]) {
    for limits in [Limits::default(), Limits { conversations: 3, flows: 4 }] {
        let Some(mut file) = open(data) else { return };
        let settings = Settings { sources: 2, limits, ..Settings::default() };
        let mut tracker = Tracker::new(settings, Decoder::default());
        for number in 0..100_000_u32 {
            let Ok(Some(frame)) = file.next() else { break };
            tracker.frame((number & 1) as u16, &frame);
        }
        let tracked = tracker.finish();
        assert!(tracked.flows.is_sorted());
        assert!(tracked.flows.iter().all(|flow| flow.connections > 0 && flow.first <= flow.last));
    }
}

/// A DNS message, as a datagram and as a stream that comes in two pieces.
pub fn dns(data: &[u8]) {
    let _ = names::dns(data);
    let socket = |port| Socket { ip: IpAddr::from([10, 0, 0, 1]), port };
    let mut streams = DnsStreams::default();
    let (first, second) = data.split_at(data.len() / 2);
    streams.take(socket(53), socket(9), 0, first);
    streams.take(socket(53), socket(9), first.len() as u32, second);
}

/// A TCP segment that may be a TLS ClientHello.
pub fn tls(data: &[u8]) {
    if let Some(name) = names::server_name(data) {
        assert!(!name.is_empty() && name.is_ascii());
    }
}

/// Kubernetes manifests.
pub fn manifest(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut objects = Objects::default();
    objects.load("fuzz", text);
    let inventory = Inventory::build(&objects, &Options::default());
    let _ = (inventory.policy_set(), inventory.turnovers());
}
