//! Flows: what packets prove about one conversation, and no more.

use std::fmt;
use std::net::IpAddr;

use crate::activity::Activity;
use crate::protocol::Protocol;
use crate::talk::Talks;
use crate::time::Timestamp;

/// An address and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Socket {
    /// The address; IPv4-mapped IPv6 addresses are IPv4.
    pub ip: IpAddr,
    /// The port, 0..=65535.
    pub port: u16,
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::net::SocketAddr::new(self.ip, self.port).fmt(f)
    }
}

/// How a conversation went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// TCP and SCTP: the handshake was completed.
    Established,
    /// UDP: both sides sent.
    Answered,
    /// UDP: only one side sent, and nothing refused it.
    OneWay,
    /// A reset, an abort or an ICMP error was the answer; or the client gave up at its first sequence number.
    Refused,
    /// Nothing was the answer.
    Unanswered,
    /// The observer could not have seen an answer.
    Unknown,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 6] = [
        Outcome::Established,
        Outcome::Answered,
        Outcome::OneWay,
        Outcome::Refused,
        Outcome::Unanswered,
        Outcome::Unknown,
    ];

    /// The word of the machine format.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Established => "established",
            Outcome::Answered => "answered",
            Outcome::OneWay => "oneway",
            Outcome::Refused => "refused",
            Outcome::Unanswered => "unanswered",
            Outcome::Unknown => "unknown",
        }
    }

    /// Whether the conversation failed, or is not known to have worked.
    pub fn is_attempt(self) -> bool {
        matches!(self, Outcome::Refused | Outcome::Unanswered | Outcome::Unknown)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What was seen of the opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proof {
    /// A SYN and its SYN-ACK (SCTP: INIT and INIT ACK), or the SYN of an attempt.
    Handshake,
    /// One half of an established connection's handshake: the other direction is not in the capture.
    HalfHandshake,
    /// The first UDP datagram, or the DNS query (QR bit).
    FirstPacket,
}

/// Who opened the conversation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Opening {
    /// Somebody was seen opening several conversations alike, each from a socket that did nothing else.
    Alike {
        /// Who opened them.
        client: IpAddr,
        /// The address that the client used: the server's before any translation.
        dialled: Socket,
        /// The server's address after translation, where second views of the conversations showed another one.
        served: Option<Socket>,
        /// What proves it, of each of them.
        proof: Proof,
    },
    /// Somebody was seen doing it.
    Seen {
        /// Who opened it.
        client: Socket,
        /// The address that the client used: the server's before any translation.
        dialled: Socket,
        /// The server's address after translation, where a second view of the conversation showed another one.
        served: Option<Socket>,
        /// What proves it.
        proof: Proof,
        /// TCP: the client's initial sequence number; SCTP: its initiate tag; UDP: 0. Address translation keeps it.
        identity: u32,
    },
    /// It was open before the capture began: two equal sides.
    Unseen {
        /// The sides, the lower socket first.
        sides: [Side; 2],
    },
}

/// One of two equal sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Side {
    /// Its address and port.
    pub socket: Socket,
    /// What its first bytes of a message look like, if anything.
    pub speech: Speech,
}

/// What application bytes say about their sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Speech {
    /// A request was seen: ClientHello, HTTP request line.
    pub request: bool,
    /// A response was seen: ServerHello, HTTP status line, server banner.
    pub response: bool,
}

/// How often each time from SYN to SYN-ACK (INIT to INIT ACK) was seen, to five significant bits: about 3 %.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Latencies(Vec<(u32, u32)>);

impl Latencies {
    /// Notes one, in microseconds.
    pub fn record(&mut self, microseconds: u32) {
        let shift = (u32::BITS - microseconds.leading_zeros()).saturating_sub(5);
        self.add(microseconds >> shift << shift, 1);
    }

    fn add(&mut self, value: u32, count: u32) {
        match self.0.binary_search_by_key(&value, |(known, _)| *known) {
            Ok(at) => self.0[at].1 = self.0[at].1.saturating_add(count),
            Err(at) => self.0.insert(at, (value, count)),
        }
    }

    /// Takes in all of `other`.
    pub fn merge(&mut self, other: &Latencies) {
        for (value, count) in &other.0 {
            self.add(*value, *count);
        }
    }

    /// Each value in microseconds and its count, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        self.0.iter().copied()
    }
}

/// From values and counts as [`Latencies::iter`] has them, in any order.
impl FromIterator<(u32, u32)> for Latencies {
    fn from_iter<I: IntoIterator<Item = (u32, u32)>>(pairs: I) -> Latencies {
        let mut latencies = Latencies::default();
        pairs.into_iter().for_each(|(value, count)| latencies.add(value, count));
        latencies
    }
}

/// One conversation (a TCP connection, an SCTP association, a UDP 5-tuple), or several that differ in nothing but the
/// client's port and the time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    /// The transport protocol.
    pub protocol: Protocol,
    /// Who opened it.
    pub opening: Opening,
    /// How it went.
    pub outcome: Outcome,
    /// How many conversations it stands for; 1 unless they are [`Opening::Alike`].
    pub connections: u64,
    /// The first packet, at whichever capture point was first; of the first conversation.
    pub first: Timestamp,
    /// The last packet, of any.
    pub last: Timestamp,
    /// The first packet of the conversation that began last.
    pub newest: Timestamp,
    /// When they were opened; where nobody was seen doing it, when the first packet came.
    pub activity: Activity,
    /// From SYN to SYN-ACK (INIT to INIT ACK) at the capture point nearest to the client.
    pub latency: Latencies,
    /// UDP that was not answered: how many different datagrams the clients were seen sending, four of each conversation
    /// at most; copies of one at several capture points are one, or two. 0 for everything else.
    pub datagrams: u64,
    /// UDP: a DNS message was read.
    pub dns: bool,
    /// TCP: the application protocols that their first bytes showed.
    pub talk: Talks,
    /// A later view showed another source address, and is a flow of its own.
    pub translated: bool,
}
