//! Packets to flows.
//!
//! What is kept of a conversation does not depend on the order in which its packets come, so files can be read in any
//! order, and a packet costs one search in a table. DNS over TCP alone waits to be put together.
//!
//! `packet -> ends -> connection (episode) | datagram -> settle -> gather (row) -> flow`

mod clocks;
mod connection;
mod datagram;
mod ends;
mod episode;
mod gather;
mod limit;
mod live;
mod pile;
mod repeated;
mod row;
mod settle;
mod table;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::decode::{Decoded, Decoder};
use crate::flow::{Flow, Socket};
use crate::frame::Frame;
use crate::names::{self, Dns, DnsStreams, Names};
use crate::packet::{Addresses, Packet, Quoted, Sctp, Tcp, Tcp4, Transport, Udp, flag};
use crate::protocol::Protocol;
use crate::time::Timestamp;

use clocks::Clocks;
use connection::{Connections, Segment};
use datagram::{Datagram, Datagrams};
use ends::{Address, Ends};
use gather::{Gathered, Moments, passed};
pub use limit::Limits;
use live::Live;
pub use live::{Flushed, Row, Sight};

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

/// What an allocation costs besides its bytes, about.
const ALLOCATION: usize = 32;

/// Bytes of DNS over TCP that wait at most, with all that they cost.
const MAX_DNS_BYTES: usize = 16 << 20;

/// When something about addresses changes, in ascending order.
pub type Turnovers = HashMap<IpAddr, Vec<Timestamp>>;

/// What is known before the first packet.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// When addresses change hands. A conversation never spans such a moment.
    pub turnovers: Turnovers,
    /// When something else changes about who an address stands for. A flow of several conversations never spans such a
    /// moment.
    pub moments: Turnovers,
    /// How many capture files there are; 0 stands for one.
    pub sources: u16,
    /// For a flow log: a flow of several conversations never leaves a stretch of so many nanoseconds, counted from the
    /// Unix epoch. Such flows are in [`Tracked::rows`] then.
    pub grain: Option<i64>,
    /// For a recorder: conversations leave by [`Tracker::flush`], and stay as long as they are open.
    pub live: bool,
    /// What may be held.
    pub limits: Limits,
}

/// Counts of what was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Where the frames ended.
    pub decoded: Decoded,
    /// Conversations of which only ICMP errors were seen; they are no flows.
    pub remnants: u64,
    /// Conversations that were settled before their end, because there were too many; what came of them later counts as
    /// another one.
    pub evicted: u64,
    /// Conversations of which views at several capture points were not joined, because there were too many.
    pub unjoined: u64,
    /// Resets and ICMP errors that were not kept until their conversations were settled, because there were too many.
    pub forgotten: u64,
    /// Attempts and one-way conversations that are in no flow, because there were too many different ones.
    pub dropped: u64,
    /// Conversations that worked and are in no flow, because there were too many different ones.
    pub lost: u64,
}

/// What tracking found.
#[derive(Debug, Clone, Default)]
pub struct Tracked {
    /// The flows, sorted.
    pub flows: Vec<Flow>,
    /// Where there is a [`Settings::grain`]: flows of one conversation or several with which nothing else can be joined,
    /// each as the first of its conversations ([`Opening::Seen`](crate::Opening::Seen)), sorted. [`rows::join`](crate::rows::join) makes of them what
    /// would be in `flows` otherwise.
    pub rows: Vec<Flow>,
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
    decoder: Decoder,
    conversations: Conversations,
}

/// Everything behind the decoder.
#[derive(Debug, Default)]
struct Conversations {
    v4: Family<Ipv4Addr>,
    v6: Family<Ipv6Addr>,
    limits: Limits,
    live: bool,
    sources: u16,
    latest: Timestamp,
    evicted: u64,
    clocks: Clocks,
    names: Names,
    dns_streams: DnsStreams,
    dns_segments: Vec<DnsSegment>,
    dns_bytes: usize,
}

/// The conversations between addresses of one family.
#[derive(Debug)]
struct Family<A: Address> {
    turnovers: Moments<A>,
    tcp: Connections<A>,
    sctp: Connections<A>,
    udp: Datagrams<A>,
    gathered: Gathered<A>,
    live: Live<A>,
}

impl<A: Address> Default for Family<A> {
    fn default() -> Family<A> {
        Family {
            turnovers: Moments::default(),
            tcp: Connections::default(),
            sctp: Connections::default(),
            udp: Datagrams::default(),
            gathered: Gathered::default(),
            live: Live::default(),
        }
    }
}

impl Tracker {
    /// A tracker that knows what `settings` say.
    pub fn new(settings: Settings, decoder: Decoder) -> Tracker {
        fn moments<A: Address>(all: &Turnovers) -> Moments<A> {
            all.iter().filter_map(|(ip, at)| Some((A::of(ip.to_canonical())?, at.clone()))).collect()
        }
        let mut conversations = Conversations {
            sources: settings.sources.max(1),
            limits: settings.limits,
            live: settings.live,
            ..Conversations::default()
        };
        conversations.v4.turnovers = moments(&settings.turnovers);
        conversations.v6.turnovers = moments(&settings.turnovers);
        conversations.v4.gathered.moments = moments(&settings.moments);
        conversations.v6.gathered.moments = moments(&settings.moments);
        conversations.v4.gathered.grain = settings.grain;
        conversations.v6.gathered.grain = settings.grain;
        Tracker { decoder, conversations }
    }

    /// Takes one frame. `source` numbers the capture file, for the measurement of clock skew.
    #[inline]
    pub fn frame(&mut self, source: u16, frame: &Frame<'_>) {
        if let Some(Tcp4 { source: from, destination: to, tcp }) = self.decoder.tcp4(frame) {
            self.conversations.segment(source, frame.time, from, to, &tcp);
        } else {
            self.unusual(source, frame);
        }
    }

    #[inline(never)]
    fn unusual(&mut self, source: u16, frame: &Frame<'_>) {
        if let Some(packet) = self.decoder.decode(frame) {
            self.conversations.packet(source, frame.time, &packet);
        }
    }

    /// The flows of everything taken so far.
    pub fn finish(self) -> Tracked {
        let mut conversations = self.conversations;
        conversations.read_dns_segments();
        conversations.gather(|_, _| true);
        let tally = conversations.tally(self.decoder.finish());
        let mut flows = Vec::with_capacity(conversations.v4.gathered.len() + conversations.v6.gathered.len());
        let mut rows = Vec::new();
        conversations.v4.gathered.finish(&mut flows, &mut rows);
        conversations.v6.gathered.finish(&mut flows, &mut rows);
        flows.sort_unstable();
        rows.sort_unstable();
        Tracked { flows, rows, names: conversations.names, tally, skew: conversations.clocks.skew() }
    }
}

impl Conversations {
    fn tally(&self, decoded: Decoded) -> Tally {
        let (v4, v6) = (&self.v4, &self.v6);
        Tally {
            decoded,
            remnants: v4.gathered.remnants + v6.gathered.remnants,
            evicted: self.evicted,
            unjoined: v4.gathered.unjoined + v6.gathered.unjoined,
            forgotten: [&v4.tcp, &v4.sctp].map(|it| it.forgotten).iter().sum::<u64>()
                + [&v6.tcp, &v6.sctp].map(|it| it.forgotten).iter().sum::<u64>(),
            dropped: v4.gathered.rows.dropped + v6.gathered.rows.dropped,
            lost: [v4.gathered.lost, v4.gathered.rows.lost, v6.gathered.lost, v6.gathered.rows.lost].iter().sum(),
        }
    }

    /// A TCP segment over IPv4.
    #[inline(always)]
    fn segment(&mut self, source: u16, time: Timestamp, from: Ipv4Addr, to: Ipv4Addr, tcp: &Tcp<'_>) {
        let opens = tcp.flags & (flag::SYN | flag::ACK | flag::RST) == flag::SYN;
        if opens && self.sources > 1 || may_hold_names(tcp) {
            self.extra(source, time, Addresses::V4 { source: from, destination: to }, tcp);
        }
        if self.v4.tcp(time, from, to, tcp) {
            self.flushed(time);
        }
    }

    /// What a segment tells besides its part in a connection.
    #[inline(never)]
    fn extra(&mut self, source: u16, time: Timestamp, addresses: Addresses, tcp: &Tcp<'_>) {
        if may_hold_names(tcp) {
            self.tcp_names(time, addresses, tcp);
        }
        if self.sources > 1 && tcp.flags & (flag::SYN | flag::ACK | flag::RST) == flag::SYN {
            let client = Socket { ip: addresses.source(), port: tcp.source };
            self.clocks.note(source, self.sources, time, (client, tcp.sequence));
        }
    }

    fn flushed(&mut self, time: Timestamp) {
        self.latest = self.latest.max(time);
        self.relieve();
    }

    fn packet(&mut self, source: u16, time: Timestamp, packet: &Packet<'_>) {
        let addresses = packet.addresses;
        let flushed = match &packet.transport {
            Transport::Tcp(tcp) => match addresses {
                Addresses::V4 { source: from, destination } => {
                    self.segment(source, time, from, destination, tcp);
                    false
                }
                Addresses::V6 { source: from, destination } => {
                    self.extra(source, time, addresses, tcp);
                    self.v6.tcp(time, from, destination, tcp)
                }
            },
            Transport::Udp(udp) => {
                let datagram = Datagram::new(time, source, udp.payload, self.udp_names(addresses, udp));
                match addresses {
                    Addresses::V4 { source, destination } => self.v4.udp(time, source, destination, udp, datagram),
                    Addresses::V6 { source, destination } => self.v6.udp(time, source, destination, udp, datagram),
                }
            }
            Transport::Sctp(sctp) => match addresses {
                Addresses::V4 { source, destination } => self.v4.sctp(time, source, destination, sctp),
                Addresses::V6 { source, destination } => self.v6.sctp(time, source, destination, sctp),
            },
            Transport::Unreachable(quoted) => match quoted.addresses {
                Addresses::V4 { source: from, destination } => {
                    self.v4.unreachable(source, time, from, destination, quoted)
                }
                Addresses::V6 { source: from, destination } => {
                    self.v6.unreachable(source, time, from, destination, quoted)
                }
            },
        };
        if flushed {
            self.flushed(time);
        }
    }

    fn tcp_names(&mut self, time: Timestamp, addresses: Addresses, tcp: &Tcp<'_>) {
        if tcp.lead.first() == HANDSHAKE
            && let Some(name) = names::server_name(tcp.payload)
        {
            self.names.insert(addresses.destination(), name, addresses.source());
        }
        if names::is_dns_port(tcp.source) {
            let from = Socket { ip: addresses.source(), port: tcp.source };
            let to = Socket { ip: addresses.destination(), port: tcp.destination };
            self.dns_bytes += tcp.payload.len() + size_of::<DnsSegment>() + ALLOCATION;
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

    fn udp_names(&mut self, addresses: Addresses, udp: &Udp<'_>) -> Option<DnsRole> {
        if !names::is_dns_port(udp.source) && !names::is_dns_port(udp.destination) {
            return None;
        }
        match names::dns(udp.payload)? {
            Dns::Query => Some(DnsRole::Query),
            Dns::Response(answers) => {
                for (address, name) in answers {
                    self.names.insert(address, &name, addresses.destination());
                }
                Some(DnsRole::Response)
            }
        }
    }
}

/// The first byte of a TLS record with a handshake message (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;

/// Whether a segment may hold a ClientHello or DNS answers.
#[inline]
fn may_hold_names(tcp: &Tcp<'_>) -> bool {
    tcp.lead.first() == HANDSHAKE || names::is_dns_port(tcp.source) && !tcp.payload.is_empty()
}

impl<A: Address> Family<A> {
    #[inline]
    fn ends(&self, from: (A, u16), to: (A, u16), time: Timestamp) -> (Ends<A>, usize) {
        let epoch = match self.turnovers.is_empty() {
            true => 0,
            false => passed(&self.turnovers, from.0, time) + passed(&self.turnovers, to.0, time),
        };
        Ends::new(from, to, epoch)
    }

    /// Takes a packet, now or soon; true if it is a moment to look how much is held. So do those below.
    #[inline(always)]
    fn tcp(&mut self, time: Timestamp, from: A, to: A, tcp: &Tcp<'_>) -> bool {
        let (ends, side) = self.ends((from, tcp.source), (to, tcp.destination), time);
        self.tcp.take(time, ends, side, Segment::new(tcp))
    }

    fn udp(&mut self, time: Timestamp, from: A, to: A, udp: &Udp<'_>, datagram: Datagram) -> bool {
        let (ends, side) = self.ends((from, udp.source), (to, udp.destination), time);
        self.udp.take(ends, side, datagram)
    }

    fn sctp(&mut self, time: Timestamp, from: A, to: A, sctp: &Sctp) -> bool {
        let (ends, side) = self.ends((from, sctp.source), (to, sctp.destination), time);
        self.sctp.sctp(time, ends, side, sctp.tag, sctp.chunk);
        true
    }

    /// The addresses are those that the error quotes.
    fn unreachable(&mut self, source: u16, time: Timestamp, from: A, to: A, quoted: &Quoted) -> bool {
        // What it quotes may wait.
        self.flush();
        let (ends, side) = self.ends((from, quoted.source_port), (to, quoted.destination_port), time);
        match quoted.protocol {
            Protocol::Tcp => self.tcp.unreachable(time, ends, side, Some(quoted.sequence)),
            Protocol::Sctp => self.sctp.unreachable(time, ends, side, None),
            Protocol::Udp => self.udp.unreachable(time, ends, side, source),
        }
        true
    }

    /// Takes what waits.
    fn flush(&mut self) {
        self.tcp.flush();
        self.udp.flush();
    }
}

#[cfg(test)]
mod tests;
