//! What was observed of an edge: who, how often, when, how sure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use capture::{Activity, Talks, Timestamp};
use hdrhistogram::Histogram;

use crate::inventory::PodId;

/// How the direction of a conversation is known; the best comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Certainty {
    /// SYN and SYN-ACK, or INIT and INIT ACK.
    Handshake,
    /// The first UDP datagram, or the DNS query.
    FirstPacket,
    /// One half of the handshake, or evidence without one.
    Inferred,
    /// The lower port. Makes no rule.
    Guessed,
    /// Somebody declared the edge; nobody saw it.
    Declared,
}

impl Certainty {
    /// The word of the machine format.
    pub fn name(self) -> &'static str {
        match self {
            Certainty::Handshake => "handshake",
            Certainty::FirstPacket => "first_packet",
            Certainty::Inferred => "inferred",
            Certainty::Guessed => "guessed",
            Certainty::Declared => "declared",
        }
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Certainty::Handshake => "handshake seen",
            Certainty::FirstPacket => "first packet seen",
            Certainty::Inferred => "direction inferred",
            Certainty::Guessed => "direction guessed",
            Certainty::Declared => "declared",
        }
    }
}

/// One end of an observed conversation: the address that policies see, and the pod that held it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct End {
    /// The address.
    pub ip: IpAddr,
    /// The pod, where it was one with an address of its own.
    pub pod: Option<PodId>,
}

/// Pairs of ends, the client first, each with the last time of an opening between them; `MIN` where none was seen.
///
/// Most edges of a flood have one pair, for which a map would be ten times as large.
#[derive(Debug, Clone, Default)]
pub struct Pairs {
    entries: Vec<((End, End), Timestamp)>,
    /// So many of the first entries are sorted and differ.
    sorted: usize,
}

impl Pairs {
    /// Notes an opening between two ends. Nothing is to be read before [`Pairs::seal`].
    pub(crate) fn note(&mut self, pair: (End, End), opened: Timestamp) {
        if let Ok(at) = self.entries[..self.sorted].binary_search_by_key(&pair, |(known, _)| *known) {
            self.entries[at].1 = opened.max(self.entries[at].1);
            return;
        }
        if self.entries.capacity() == 0 {
            self.entries.reserve_exact(1);
        }
        self.entries.push((pair, opened));
        if self.entries.len() - self.sorted > 16 + self.sorted / 2 {
            self.seal();
        }
    }

    /// Puts everything in order.
    pub(crate) fn seal(&mut self) {
        self.entries.sort_unstable_by_key(|(pair, opened)| (*pair, std::cmp::Reverse(*opened)));
        self.entries.dedup_by_key(|(pair, _)| *pair);
        self.sorted = self.entries.len();
    }

    /// The pairs, in order.
    pub fn keys(&self) -> impl Iterator<Item = &(End, End)> {
        self.entries.iter().map(|(pair, _)| pair)
    }

    /// The pairs with their times, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&(End, End), &Timestamp)> {
        self.entries.iter().map(|(pair, opened)| (pair, opened))
    }

    /// When an opening between two ends was last seen.
    pub fn get(&self, pair: &(End, End)) -> Option<&Timestamp> {
        let at = self.entries.binary_search_by_key(pair, |(known, _)| *known).ok()?;
        Some(&self.entries[at].1)
    }
}

/// Longest latency that is told apart, in microseconds.
const MAX_LATENCY: u64 = 60_000_000;

/// Histograms kept for one graph, about 1.5 KB each; edges beyond it have no latency.
pub const MAX_HISTOGRAMS: usize = 16_384;

/// Everything observed of one edge with one outcome.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Connections: TCP by SYN, UDP by 5-tuple.
    pub connections: u64,
    /// Different UDP datagrams sent by clients, four a connection at most.
    pub datagrams: u64,
    /// First packet of the first connection.
    pub first: Timestamp,
    /// Last packet of the last connection.
    pub last: Timestamp,
    /// When connections were opened.
    pub activity: Activity,
    /// The best certainty of the direction.
    pub certainty: Certainty,
    /// The pairs of ends that talked, and when one was last seen opening a connection.
    pub pairs: Pairs,
    /// Services that were dialled, `namespace/name:port`, with the number of connections.
    pub services: BTreeMap<String, u64>,
    /// Connections that dialled a port of a node which leads to a Service (`nodePort`).
    pub node_ports: u64,
    /// Names by which clients knew the server.
    pub names: BTreeSet<String>,
    /// Whether the server is one of several that the dialled Service could have chosen.
    pub ambiguous: bool,
    /// Connections of which a later view showed another source address: policies see that one instead.
    pub translated: u64,
    /// Connections that were open before anybody watched.
    pub unopened: u64,
    /// TCP: the application protocols that the first bytes of connections showed.
    pub talks: Talks,
    /// SYN to SYN-ACK in microseconds.
    pub latency: Option<Box<Histogram<u32>>>,
}

impl Evidence {
    /// Of no connection yet.
    pub(crate) fn none() -> Evidence {
        Evidence {
            connections: 0,
            datagrams: 0,
            first: Timestamp::MAX,
            last: Timestamp::MIN,
            activity: Activity::default(),
            certainty: Certainty::Declared,
            pairs: Pairs::default(),
            services: BTreeMap::new(),
            node_ports: 0,
            names: BTreeSet::new(),
            ambiguous: false,
            translated: 0,
            unopened: 0,
            talks: Talks::default(),
            latency: None,
        }
    }

    /// The client's pods.
    pub fn client_pods(&self) -> BTreeSet<PodId> {
        self.pairs.keys().filter_map(|(client, _)| client.pod).collect()
    }

    /// The server's pods.
    pub fn server_pods(&self) -> BTreeSet<PodId> {
        self.pairs.keys().filter_map(|(_, server)| server.pod).collect()
    }

    /// The client's addresses.
    pub fn client_addresses(&self) -> BTreeSet<IpAddr> {
        self.pairs.keys().map(|(client, _)| client.ip).collect()
    }

    /// The server's addresses.
    pub fn server_addresses(&self) -> BTreeSet<IpAddr> {
        self.pairs.keys().map(|(_, server)| server.ip).collect()
    }

    /// The Service that was dialled most often, the first by name among equals.
    pub fn service(&self) -> Option<&str> {
        let most = self.services.values().max()?;
        self.services.iter().find(|(_, count)| *count == most).map(|(name, _)| name.as_str())
    }

    /// Records `count` latencies in microseconds; `room` says whether a new histogram may be made.
    pub(crate) fn record_latency(&mut self, microseconds: u32, count: u32, room: &mut usize) {
        if self.latency.is_none() {
            if *room == 0 {
                return;
            }
            *room -= 1;
            // One significant digit: a rule's reader wants to know 2 ms from 20 ms.
            self.latency = Histogram::new_with_bounds(1, MAX_LATENCY, 1).ok().map(Box::new);
        }
        if let Some(histogram) = &mut self.latency {
            histogram.saturating_record_n(u64::from(microseconds).max(1), count);
        }
    }

    /// Median and 99th percentile of the latency in microseconds.
    pub fn latency_quantiles(&self) -> Option<(u64, u64)> {
        let histogram = self.latency.as_ref()?;
        Some((histogram.value_at_quantile(0.5), histogram.value_at_quantile(0.99)))
    }
}
