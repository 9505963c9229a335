//! Packets to flows.
//!
//! Every fact about a conversation is kept so that it does not matter in which order packets arrive: minima and maxima
//! of times, flags that are only ever set, and handshakes keyed by their numbers. Files of one run are still read in
//! the order of time ([`crate::merge`]), because a 5-tuple is used again after minutes; what reordering within seconds
//! can do to a tuple is settled at the end.

mod connection;
mod datagram;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use crate::flow::{Flow, Socket, Speech};
use crate::frame::Frame;
use crate::names::{self, Dns, Names};
use crate::packet::{self, Packet, Skipped, Tcp, Transport, Udp};
use crate::protocol::Protocol;
use crate::time::Timestamp;

use connection::Connections;
use datagram::Datagrams;

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

/// When addresses change hands, in ascending order. A conversation never spans such a moment.
pub type Turnovers = HashMap<IpAddr, Vec<Timestamp>>;

/// Counts of what was read. Every frame is in `packets` or in one bucket of `skipped`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Frames read.
    pub frames: u64,
    /// Frames that held a packet of TCP, UDP or SCTP, or an ICMP error that quotes one.
    pub packets: u64,
    /// Frames that held none, by reason.
    pub skipped: BTreeMap<Skipped, u64>,
    /// Conversations of which only resets or ICMP errors were seen; they are no flows.
    pub remnants: u64,
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
    connections: Connections,
    datagrams: Datagrams,
    names: Names,
    tally: Tally,
}

impl Tracker {
    /// A tracker that knows when addresses change hands.
    pub fn new(turnovers: Turnovers) -> Tracker {
        Tracker { turnovers, ..Tracker::default() }
    }

    /// Takes one frame. `source` numbers the capture file, for the measurement of clock skew.
    pub fn frame(&mut self, source: u16, frame: &Frame<'_>) {
        self.tally.frames += 1;
        match packet::parse(frame) {
            Ok(packet) => {
                self.tally.packets += 1;
                self.packet(source, frame.time, &packet);
            }
            Err(reason) => *self.tally.skipped.entry(reason).or_default() += 1,
        }
    }

    fn packet(&mut self, source: u16, time: Timestamp, packet: &Packet<'_>) {
        let from = |port| Socket { ip: packet.source, port };
        let to = |port| Socket { ip: packet.destination, port };
        match &packet.transport {
            Transport::Tcp(tcp) => {
                let (sender, receiver) = (from(tcp.source), to(tcp.destination));
                let (pair, side) = self.pair(Protocol::Tcp, sender, receiver, time);
                self.connections.tcp(source, time, pair, side, tcp, speech(tcp.payload));
                self.tcp_names(packet, tcp);
            }
            Transport::Udp(udp) => {
                let (pair, side) = self.pair(Protocol::Udp, from(udp.source), to(udp.destination), time);
                let message = self.udp_names(packet, udp);
                self.datagrams.datagram(time, pair, side, udp.payload, message.as_ref());
            }
            Transport::Sctp(sctp) => {
                let (pair, side) = self.pair(Protocol::Sctp, from(sctp.source), to(sctp.destination), time);
                self.connections.sctp(source, time, pair, side, sctp);
            }
            Transport::Unreachable(quoted) => {
                let client = Socket { ip: quoted.source, port: quoted.source_port };
                let server = Socket { ip: quoted.destination, port: quoted.destination_port };
                let (pair, side) = self.pair(quoted.protocol, client, server, time);
                match quoted.protocol {
                    Protocol::Udp => self.datagrams.refused(time, pair, side),
                    Protocol::Tcp => self.connections.unreachable(time, pair, side, Some(quoted.sequence)),
                    Protocol::Sctp => self.connections.unreachable(time, pair, side, None),
                }
            }
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

    fn tcp_names(&mut self, packet: &Packet<'_>, tcp: &Tcp<'_>) {
        if tcp.payload.is_empty() {
            return;
        }
        if tcp.payload[0] == 22
            && let Some(name) = names::server_name(tcp.payload)
        {
            self.names.insert(packet.destination, &name, packet.source);
        }
        if names::is_dns_port(tcp.source)
            && let Some(Dns::Response(answers)) = names::dns_over_tcp(tcp.payload)
        {
            for (address, name) in answers {
                self.names.insert(address, &name, packet.destination);
            }
        }
    }

    fn udp_names(&mut self, packet: &Packet<'_>, udp: &Udp<'_>) -> Option<Dns> {
        if !names::is_dns_port(udp.source) && !names::is_dns_port(udp.destination) {
            return None;
        }
        let message = names::dns(udp.payload)?;
        if let Dns::Response(answers) = &message {
            for (address, name) in answers {
                self.names.insert(*address, name, packet.destination);
            }
        }
        Some(message)
    }

    /// The flows of everything taken so far.
    pub fn finish(self) -> Tracked {
        let mut tally = self.tally;
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
