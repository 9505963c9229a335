//! TCP connections and SCTP associations.
//!
//! Each pair of sockets holds a row of [`Episode`]s, one for each initial sequence number (SCTP: initiate tag) of a
//! client. Translation of the server's address keeps the numbers of both sides, so the views of one connection before
//! and after a Service's translation are the answered episodes with the same client and the same two numbers; the
//! SYN-ACK names the client's in its acknowledgment. Without an answer one number alone proves nothing, because
//! scanners use one for many targets; such views stay apart, and only who knows the Services can join them.

use std::collections::{BTreeMap, HashMap};

use super::reorder::Waiting;
use super::{Event, HIGH, LOW, Pair};
use crate::flow::{Flow, Opening, Outcome, Proof, Side, Socket, Speech};
use crate::packet::{Chunk, flag};
use crate::protocol::Protocol;
use crate::time::{SECOND, Timestamp};

/// Clock samples kept for the measurement of skew.
const MAX_CLOCK_SAMPLES: usize = 100_000;

/// Episodes of a pair that a repeated or late SYN is compared with.
const RECENT: usize = 8;

/// Where no answer was captured, a segment belongs to a connection if its number lies this close behind the initial
/// one.
const EARLY: u32 = 1 << 16;

/// This many segments of one side without payload are a connection of which only that side was captured; fewer are a
/// probe.
const SEGMENTS: u8 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    protocol: Protocol,
    client: Socket,
    identity: u32,
}

/// What was seen of one connection between one pair of sockets.
#[derive(Debug, Clone)]
struct Episode {
    /// The end that opened it, and its number; `None` where nobody was seen opening it.
    client: Option<(usize, u32)>,
    first: Timestamp,
    last: Timestamp,
    opened: Option<Timestamp>,
    answered: Option<Timestamp>,
    /// The server's own number, of its answer.
    server_identity: u32,
    /// Segments of each side that belong to an open connection, and whether any held payload.
    spoke: [u8; 2],
    payload: bool,
    speech: [Speech; 2],
    refused: bool,
    /// The client reset at its first sequence number: it was probing.
    probing: bool,
}

impl Episode {
    fn new(client: Option<(usize, u32)>, time: Timestamp) -> Episode {
        Episode {
            client,
            first: time,
            last: time,
            opened: None,
            answered: None,
            server_identity: 0,
            spoke: [0; 2],
            payload: false,
            speech: [Speech::default(); 2],
            refused: false,
            probing: false,
        }
    }

    fn touch(&mut self, time: Timestamp) {
        self.first = self.first.min(time);
        self.last = self.last.max(time);
    }

    fn join(&mut self, other: &Episode) {
        self.touch(other.first);
        self.touch(other.last);
        let earlier = |own: Option<Timestamp>, other: Option<Timestamp>| own.into_iter().chain(other).min();
        self.opened = earlier(self.opened, other.opened);
        if self.answered.is_none() {
            self.server_identity = other.server_identity;
        }
        self.answered = earlier(self.answered, other.answered);
        for side in [LOW, HIGH] {
            self.spoke[side] = self.spoke[side].saturating_add(other.spoke[side]);
            self.speech[side].request |= other.speech[side].request;
            self.speech[side].response |= other.speech[side].response;
        }
        self.payload |= other.payload;
        self.refused |= other.refused;
        self.probing |= other.probing;
    }

    fn outcome(&self) -> Outcome {
        let works = match self.client {
            Some(_) => (self.answered.is_some() || self.spoke != [0; 2]) && !self.probing,
            None => self.payload || !self.spoke.contains(&0) || self.spoke.iter().any(|count| *count >= SEGMENTS),
        };
        if works {
            Outcome::Established
        } else if self.refused || self.probing {
            Outcome::Refused
        } else {
            Outcome::Unanswered
        }
    }
}

/// All connections and associations.
#[derive(Debug, Default)]
pub(super) struct Connections {
    // Keyed hashing: whoever sends packets chooses these keys.
    pairs: HashMap<Pair, Vec<Episode>>,
    clocks: HashMap<Key, Vec<(u16, Timestamp)>>,
    remnants: u64,
}

impl Connections {
    pub(super) fn take(&mut self, waiting: &Waiting) {
        let Waiting { time, pair, side, source, .. } = *waiting;
        match waiting.event {
            Event::Tcp { flags, sequence, acknowledgment, length, speech } => {
                let control = flags & (flag::SYN | flag::ACK | flag::RST);
                if control & flag::RST != 0 {
                    let refusal = (flags & flag::ACK != 0).then(|| acknowledgment.wrapping_sub(1));
                    self.reset(time, pair, side, refusal, sequence.wrapping_sub(1));
                } else if control == flag::SYN {
                    self.open(source, time, pair, side, sequence);
                } else if control == flag::SYN | flag::ACK {
                    self.answer(time, pair, side, acknowledgment.wrapping_sub(1), sequence);
                } else {
                    self.segment(time, pair, side, Segment { flags, sequence, acknowledgment, length, speech });
                }
            }
            Event::Sctp { tag, chunk } => match chunk {
                Chunk::Init { tag } => self.open(source, time, pair, side, tag),
                // RFC 9260 §3.1: the verification tag of an answer is the initiate tag of the INIT.
                Chunk::InitAck { tag: own } => self.answer(time, pair, side, tag, own),
                Chunk::Abort => self.abort(time, pair, side, tag),
                Chunk::Other => self.chunk(time, pair, side),
            },
            Event::Unreachable { sequence } => self.unreachable(time, pair, side, sequence),
            Event::Datagram { .. } => {}
        }
    }

    /// The episode that `side` opened with `identity`, made where there is none.
    fn episode(&mut self, time: Timestamp, pair: Pair, side: usize, identity: u32) -> &mut Episode {
        let episodes = self.pairs.entry(pair).or_default();
        let client = Some((side, identity));
        let recent = episodes.len().saturating_sub(RECENT);
        let known = episodes[recent..].iter().rposition(|episode| episode.client == client).map(|at| at + recent);
        let at = known.unwrap_or_else(|| {
            episodes.push(Episode::new(client, time));
            episodes.len() - 1
        });
        let episode = &mut episodes[at];
        episode.touch(time);
        episode
    }

    fn open(&mut self, source: u16, time: Timestamp, pair: Pair, side: usize, identity: u32) {
        let episode = self.episode(time, pair, side, identity);
        episode.opened = Some(episode.opened.map_or(time, |known| known.min(time)));
        let key = Key { protocol: pair.protocol, client: end(&pair, side), identity };
        if self.clocks.len() < MAX_CLOCK_SAMPLES {
            let seen = self.clocks.entry(key).or_default();
            if !seen.iter().any(|(known, _)| *known == source) {
                seen.push((source, time));
            }
        }
    }

    fn answer(&mut self, time: Timestamp, pair: Pair, side: usize, identity: u32, own: u32) {
        let episode = self.episode(time, pair, other(side), identity);
        if episode.answered.is_none() {
            episode.answered = Some(time);
            episode.server_identity = own;
        }
    }

    /// A reset of TCP. A server refuses by acknowledging exactly the SYN; a probing client resets right behind its SYN.
    fn reset(&mut self, time: Timestamp, pair: Pair, side: usize, refusal: Option<u32>, probe: u32) {
        let episodes = self.pairs.entry(pair).or_default();
        let recent = episodes.len().saturating_sub(RECENT);
        let refused = |episode: &Episode| refusal.is_some_and(|number| episode.client == Some((other(side), number)));
        let probing = |episode: &Episode| episode.client == Some((side, probe));
        if let Some(episode) = episodes[recent..].iter_mut().rev().find(|episode| refused(episode)) {
            episode.refused = true;
            episode.touch(time);
        } else if let Some(episode) = episodes[recent..].iter_mut().rev().find(|episode| probing(episode)) {
            episode.probing = true;
            episode.touch(time);
        } else if let Some(episode) = episodes.last_mut() {
            // A reset without an acknowledgment answers whatever the other side sent last.
            let answers = episode.client.is_none_or(|(client, _)| client != side);
            episode.refused |= refusal.is_none() && answers || episode.client.is_none() && episode.spoke[side] == 0;
            // A client that resets before it has acknowledged anything never saw a handshake's answer.
            episode.probing |= episode.client.is_some_and(|(client, _)| client == side)
                && episode.answered.is_none()
                && episode.spoke[side] == 0;
            episode.touch(time);
        } else {
            self.remnants += 1;
        }
    }

    /// An ABORT of SCTP; the verification tag is the receiver's.
    fn abort(&mut self, time: Timestamp, pair: Pair, side: usize, tag: u32) {
        let Some(episode) = self.pairs.get_mut(&pair).and_then(|episodes| episodes.last_mut()) else {
            self.remnants += 1;
            return;
        };
        episode.touch(time);
        match episode.client {
            Some((client, identity)) if client != side => episode.refused |= identity == tag,
            // Before its COOKIE ECHO the client has not agreed to anything.
            Some((client, _)) => episode.probing |= episode.spoke[client] == 0,
            None => episode.refused |= episode.spoke[side] == 0,
        }
    }

    /// An ICMP error quotes a packet of `side`. The quote of an SCTP packet ends before the initiate tag.
    fn unreachable(&mut self, time: Timestamp, pair: Pair, side: usize, sequence: Option<u32>) {
        let Some(episodes) = self.pairs.get_mut(&pair) else {
            self.remnants += 1;
            return;
        };
        let meant = |episode: &&mut Episode| {
            episode
                .client
                .is_some_and(|(client, identity)| client == side && sequence.is_none_or(|quoted| quoted == identity))
        };
        if let Some(episode) = episodes.iter_mut().rev().take(RECENT).find(meant) {
            episode.refused = true;
            episode.touch(time);
        }
    }

    fn segment(&mut self, time: Timestamp, pair: Pair, side: usize, segment: Segment) {
        let episodes = self.pairs.entry(pair).or_default();
        let fits = |episode: &Episode| match episode.client {
            // Once answered, numbers wrap around and tell nothing.
            _ if episode.answered.is_some() => true,
            None => true,
            Some((client, identity)) => {
                let number = if client == side { segment.sequence } else { segment.acknowledgment };
                segment.flags & flag::ACK != 0 && number.wrapping_sub(identity.wrapping_add(1)) < EARLY
                    || episode.spoke != [0; 2]
            }
        };
        let at = episodes.iter().rposition(fits).unwrap_or_else(|| {
            // Older than every opening that was seen, or a probe of something else.
            episodes.insert(0, Episode::new(None, time));
            0
        });
        let episode = &mut episodes[at];
        episode.touch(time);
        // RFC 9293 §3.4: every segment of an open connection acknowledges.
        if segment.flags & flag::ACK != 0 {
            episode.spoke[side] = episode.spoke[side].saturating_add(1);
            episode.payload |= segment.length > 0;
            episode.speech[side].request |= segment.speech.request;
            episode.speech[side].response |= segment.speech.response;
        }
    }

    fn chunk(&mut self, time: Timestamp, pair: Pair, side: usize) {
        let episodes = self.pairs.entry(pair).or_default();
        if episodes.is_empty() {
            episodes.push(Episode::new(None, time));
        }
        if let Some(episode) = episodes.last_mut() {
            episode.touch(time);
            episode.spoke[side] = episode.spoke[side].saturating_add(1);
            episode.payload = true;
        }
    }

    /// The flows, the clock skew between sources, and how many resets and errors belonged to nothing.
    pub(super) fn finish(self) -> (Vec<Flow>, BTreeMap<(u16, u16), i64>, u64) {
        let mut flows = Vec::with_capacity(self.pairs.len());
        let mut remnants = self.remnants;
        // Answered episodes by client and the numbers of both sides: views of one connection.
        let mut answered: HashMap<(Key, u32), Vec<(Socket, Episode)>> = HashMap::new();
        for (pair, episodes) in self.pairs {
            for episode in settle(episodes) {
                match episode.client {
                    None if episode.spoke == [0; 2] && !episode.refused => remnants += 1,
                    None => flows.push(unseen(&pair, &episode)),
                    Some((side, identity)) => {
                        let key = Key { protocol: pair.protocol, client: end(&pair, side), identity };
                        let view = (end(&pair, other(side)), episode);
                        if view.1.answered.is_some() {
                            answered.entry((key, view.1.server_identity)).or_default().push(view);
                        } else {
                            flows.push(seen(key, vec![view]));
                        }
                    }
                }
            }
        }
        for ((key, _), views) in answered {
            flows.push(seen(key, views));
        }
        (flows, skew(self.clocks), remnants)
    }
}

/// Copies of one opening that came late, from a file whose clock is behind, are this close in nanoseconds: a client
/// repeats its SYN for about two minutes.
const COPIES: i64 = 130 * SECOND;

/// The episodes of a pair once all packets are there: copies of one are one, and segments far behind an opening whose
/// answer was not captured are its own where there is no other.
fn settle(mut episodes: Vec<Episode>) -> Vec<Episode> {
    if episodes.len() < 2 {
        return episodes;
    }
    episodes.sort_by_key(|episode| (episode.client, episode.first));
    let mut settled: Vec<Episode> = Vec::with_capacity(episodes.len());
    for episode in episodes {
        match settled.last_mut() {
            Some(last)
                if last.client.is_some()
                    && last.client == episode.client
                    && episode.first <= last.last.plus(COPIES) =>
            {
                last.join(&episode);
            }
            _ => settled.push(episode),
        }
    }
    if let [unseen, opened] = &settled[..]
        && unseen.client.is_none()
        && opened.outcome() == Outcome::Unanswered
        && opened.first <= unseen.first
        && unseen.outcome() == Outcome::Established
    {
        let mut opened = opened.clone();
        opened.join(unseen);
        return vec![opened];
    }
    settled
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    flags: u8,
    sequence: u32,
    acknowledgment: u32,
    length: u16,
    speech: Speech,
}

fn end(pair: &Pair, side: usize) -> Socket {
    if side == LOW { pair.low } else { pair.high }
}

fn other(side: usize) -> usize {
    if side == LOW { HIGH } else { LOW }
}

fn unseen(pair: &Pair, episode: &Episode) -> Flow {
    let side = |socket, side: usize| Side { socket, speech: episode.speech[side] };
    Flow {
        protocol: pair.protocol,
        opening: Opening::Unseen { sides: [side(pair.low, LOW), side(pair.high, HIGH)] },
        outcome: episode.outcome(),
        first: episode.first,
        last: episode.last,
        latency: None,
        datagrams: 0,
        dns: false,
    }
}

/// The flow of one connection from its views; never of none.
fn seen(key: Key, mut views: Vec<(Socket, Episode)>) -> Flow {
    let began = |episode: &Episode| episode.opened.into_iter().chain(episode.answered).min();
    views.sort_by_key(|(server, episode)| (began(episode), *server));
    let (dialled, first) = &views[0];
    let latency = match (first.opened, first.answered) {
        (Some(opened), Some(answered)) if opened <= answered => {
            Some(u32::try_from(answered.since(opened) / 1000).unwrap_or(u32::MAX))
        }
        _ => None,
    };
    let outcomes: Vec<Outcome> = views.iter().map(|(_, episode)| episode.outcome()).collect();
    // What one view shows of a connection holds for all of them; a probe's reset is the last word.
    let probing = views.iter().any(|(_, episode)| episode.probing);
    let outcome = if probing { Outcome::Refused } else { *outcomes.iter().min().unwrap_or(&Outcome::Unanswered) };
    let opened = views.iter().any(|(_, episode)| episode.opened.is_some());
    let answered = views.iter().any(|(_, episode)| episode.answered.is_some());
    let whole = opened && (answered || outcome != Outcome::Established);
    Flow {
        protocol: key.protocol,
        opening: Opening::Seen {
            client: key.client,
            dialled: *dialled,
            served: views[1..].last().map(|(server, _)| *server).filter(|server| server != dialled),
            proof: if whole { Proof::Handshake } else { Proof::HalfHandshake },
            identity: key.identity,
        },
        outcome,
        first: views.iter().map(|(_, episode)| episode.first).min().unwrap_or_default(),
        last: views.iter().map(|(_, episode)| episode.last).max().unwrap_or_default(),
        latency,
        datagrams: 0,
        dns: false,
    }
}

fn skew(clocks: HashMap<Key, Vec<(u16, Timestamp)>>) -> BTreeMap<(u16, u16), i64> {
    let mut samples: BTreeMap<(u16, u16), Vec<i64>> = BTreeMap::new();
    for mut seen in clocks.into_values().filter(|seen| seen.len() > 1) {
        seen.sort_unstable();
        for (at, (first, start)) in seen.iter().enumerate() {
            for (second, end) in &seen[at + 1..] {
                samples.entry((*first, *second)).or_default().push(end.since(*start));
            }
        }
    }
    samples
        .into_iter()
        .map(|(sources, mut differences)| {
            differences.sort_unstable();
            (sources, differences[differences.len() / 2])
        })
        .collect()
}
