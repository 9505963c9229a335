//! Packets to flows.
//!
//! Files of one run are read in the order of time ([`crate::merge`]); within them packets are put back into that order
//! (`reorder`). Names are taken at once, because their order decides nothing; DNS over TCP is put together at the end.

mod connection;
mod datagram;
mod reorder;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use crate::decode::{Decoded, Decoder};
use crate::flow::{Flow, Socket, Speech};
use crate::frame::Frame;
use crate::names::{self, Dns, DnsStreams, Names};
use crate::packet::{Chunk, Packet, Tcp, Transport, Udp};
use crate::protocol::Protocol;
use crate::time::Timestamp;

use connection::Connections;
use datagram::Datagrams;
use reorder::{Reorder, Waiting};

/// Both ends of a conversation, the lower socket first, so that both directions are one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Pair {
    protocol: Protocol,
    low: Socket,
    high: Socket,
    /// How often the addresses had changed hands before: an address' next holder starts afresh.
    epoch: u32,
}

/// Which end of a [`Pair`] sent a packet; an index.
const LOW: usize = 0;
const HIGH: usize = 1;

/// What a packet does to its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Tcp {
        flags: u8,
        sequence: u32,
        acknowledgment: u32,
        length: u16,
        speech: Speech,
    },
    Sctp {
        tag: u32,
        chunk: Chunk,
    },
    Datagram {
        mark: u64,
        dns: Option<DnsRole>,
    },
    /// An ICMP error quotes a packet that the side sent; the sequence number is TCP's.
    Unreachable {
        sequence: Option<u32>,
    },
}

/// Whether a datagram asks or answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum DnsRole {
    Query,
    Response,
}

/// A segment of DNS over TCP that waits to be read in the order of time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct DnsSegment {
    time: Timestamp,
    from: Socket,
    to: Socket,
    sequence: u32,
    payload: Box<[u8]>,
}

/// Bytes of DNS over TCP that wait at most.
const MAX_DNS_BYTES: usize = 16 << 20;

/// When addresses change hands, in ascending order. A conversation never spans such a moment.
pub type Turnovers = HashMap<IpAddr, Vec<Timestamp>>;

/// Counts of what was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Where the frames ended.
    pub decoded: Decoded,
    /// Conversations of which only resets or ICMP errors were seen; they are no flows.
    pub remnants: u64,
    /// Packets that were taken before everything that could have overtaken them had come, because too many were waiting.
    pub hurried: u64,
}

/// What tracking found.
#[derive(Debug, Clone, Default)]
pub struct Tracked {
    /// The flows, sorted.
    pub flows: Vec<Flow>,
    /// Names of addresses.
    pub names: Names,
    /// What was read.
    pub tally: Tally,
    /// Median difference in nanoseconds between the clocks of two sources (indices, lower first), positive where the
    /// second is ahead, measured at connections that both saw.
    pub skew: BTreeMap<(u16, u16), i64>,
}

/// Packets in, flows out.
#[derive(Debug, Default)]
pub struct Tracker {
    turnovers: Turnovers,
    decoder: Decoder,
    reorder: Reorder,
    connections: Connections,
    datagrams: Datagrams,
    names: Names,
    dns_streams: DnsStreams,
    dns_segments: Vec<DnsSegment>,
    dns_bytes: usize,
    tally: Tally,
}

impl Tracker {
    /// A tracker that knows when addresses change hands.
    pub fn new(turnovers: Turnovers) -> Tracker {
        Tracker { turnovers, ..Tracker::default() }
    }

    /// Takes one frame. `source` numbers the capture file, for the measurement of clock skew.
    pub fn frame(&mut self, source: u16, frame: &Frame<'_>) {
        let mut decoder = std::mem::take(&mut self.decoder);
        if let Some(packet) = decoder.decode(frame) {
            self.packet(source, frame.time, &packet);
        }
        self.decoder = decoder;
    }

    fn packet(&mut self, source: u16, time: Timestamp, packet: &Packet<'_>) {
        let from = |port| Socket { ip: packet.addresses.source(), port };
        let to = |port| Socket { ip: packet.addresses.destination(), port };
        let (protocol, sender, receiver, event) = match &packet.transport {
            Transport::Tcp(tcp) => {
                self.tcp_names(time, packet, tcp);
                let event = Event::Tcp {
                    flags: tcp.flags,
                    sequence: tcp.sequence,
                    acknowledgment: tcp.acknowledgment,
                    length: u16::try_from(tcp.payload.len()).unwrap_or(u16::MAX),
                    speech: speech(tcp.payload),
                };
                (Protocol::Tcp, from(tcp.source), to(tcp.destination), event)
            }
            Transport::Udp(udp) => {
                let dns = self.udp_names(packet, udp);
                let event = Event::Datagram { mark: datagram::mark(time, udp.payload), dns };
                (Protocol::Udp, from(udp.source), to(udp.destination), event)
            }
            Transport::Sctp(sctp) => {
                let event = Event::Sctp { tag: sctp.tag, chunk: sctp.chunk };
                (Protocol::Sctp, from(sctp.source), to(sctp.destination), event)
            }
            Transport::Unreachable(quoted) => {
                let client = Socket { ip: quoted.addresses.source(), port: quoted.source_port };
                let server = Socket { ip: quoted.addresses.destination(), port: quoted.destination_port };
                let sequence = (quoted.protocol == Protocol::Tcp).then_some(quoted.sequence);
                (quoted.protocol, client, server, Event::Unreachable { sequence })
            }
        };
        let (pair, side) = self.pair(protocol, sender, receiver, time);
        self.reorder.push(Waiting { time, pair, side, event, source });
        while let Some(waiting) = self.reorder.pop(false) {
            self.take(&waiting);
        }
    }

    /// Takes one packet in the order of time.
    fn take(&mut self, waiting: &Waiting) {
        match waiting.pair.protocol {
            Protocol::Udp => self.datagrams.take(waiting),
            Protocol::Tcp | Protocol::Sctp => self.connections.take(waiting),
        }
    }

    fn pair(&self, protocol: Protocol, sender: Socket, receiver: Socket, time: Timestamp) -> (Pair, usize) {
        let epoch = if self.turnovers.is_empty() {
            0
        } else {
            let changes = |ip| self.turnovers.get(&ip).map_or(0, |at| at.partition_point(|change| *change <= time));
            (changes(sender.ip) + changes(receiver.ip)) as u32
        };
        if sender <= receiver {
            (Pair { protocol, low: sender, high: receiver, epoch }, LOW)
        } else {
            (Pair { protocol, low: receiver, high: sender, epoch }, HIGH)
        }
    }

    fn tcp_names(&mut self, time: Timestamp, packet: &Packet<'_>, tcp: &Tcp<'_>) {
        if tcp.payload.is_empty() {
            return;
        }
        if tcp.payload[0] == 22
            && let Some(name) = names::server_name(tcp.payload)
        {
            self.names.insert(packet.addresses.destination(), name, packet.addresses.source());
        }
        if names::is_dns_port(tcp.source) {
            let from = Socket { ip: packet.addresses.source(), port: tcp.source };
            let to = Socket { ip: packet.addresses.destination(), port: tcp.destination };
            self.dns_bytes += tcp.payload.len();
            self.dns_segments.push(DnsSegment { time, from, to, sequence: tcp.sequence, payload: tcp.payload.into() });
            if self.dns_bytes > MAX_DNS_BYTES {
                self.read_dns_segments();
            }
        }
    }

    /// Puts the segments of resolvers together, in the order of time.
    fn read_dns_segments(&mut self) {
        self.dns_bytes = 0;
        let mut segments = std::mem::take(&mut self.dns_segments);
        segments.sort_unstable();
        for DnsSegment { from, to, sequence, payload, .. } in segments {
            for message in self.dns_streams.take(from, to, sequence, &payload) {
                if let Dns::Response(answers) = message {
                    for (address, name) in answers {
                        self.names.insert(address, &name, to.ip);
                    }
                }
            }
        }
    }

    fn udp_names(&mut self, packet: &Packet<'_>, udp: &Udp<'_>) -> Option<DnsRole> {
        if !names::is_dns_port(udp.source) && !names::is_dns_port(udp.destination) {
            return None;
        }
        match names::dns(udp.payload)? {
            Dns::Query => Some(DnsRole::Query),
            Dns::Response(answers) => {
                for (address, name) in answers {
                    self.names.insert(address, &name, packet.addresses.destination());
                }
                Some(DnsRole::Response)
            }
        }
    }

    /// The flows of everything taken so far.
    pub fn finish(mut self) -> Tracked {
        while let Some(waiting) = self.reorder.pop(true) {
            self.take(&waiting);
        }
        self.read_dns_segments();
        let mut tally = self.tally;
        tally.decoded = self.decoder.finish();
        tally.hurried = self.reorder.hurried();
        let (mut flows, skew, remnants) = self.connections.finish();
        tally.remnants += remnants + self.datagrams.finish(&mut flows);
        flows.sort_unstable();
        Tracked { flows, names: self.names, tally, skew }
    }
}

/// What the first bytes of a segment say about their sender.
fn speech(payload: &[u8]) -> Speech {
    const REQUESTS: [&[u8]; 8] =
        [b"GET ", b"POST ", b"PUT ", b"HEAD ", b"DELETE ", b"PATCH ", b"OPTIONS ", b"PRI * HTTP/2"];
    const RESPONSES: [&[u8]; 4] = [b"HTTP/1.", b"220 ", b"220-", b"+OK "];
    match payload {
        // RFC 8446 §4: ClientHello is handshake type 1, ServerHello 2.
        [22, 3, _, _, _, kind @ 1..=2, ..] => Speech { request: *kind == 1, response: *kind == 2 },
        _ => Speech {
            request: REQUESTS.iter().any(|start| payload.starts_with(start)),
            response: RESPONSES.iter().any(|start| payload.starts_with(start)),
        },
    }
}

#[cfg(test)]
mod tests;
