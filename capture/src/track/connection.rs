//! TCP connections and SCTP associations.
//!
//! A connection is known by its client's socket and initial sequence number (SCTP: initiate tag). Address translation
//! of the server keeps both, so the views before and after a Service's translation meet in one [`Connection`]. The
//! SYN-ACK names the same number in its acknowledgment.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use super::{HIGH, LOW, Pair};
use crate::flow::{Flow, Opening, Outcome, Proof, Side, Socket, Speech};
use crate::packet::{Chunk, Sctp, Tcp, flag};
use crate::protocol::Protocol;
use crate::time::{SECOND, Timestamp};

/// Clock samples kept for the measurement of skew.
const MAX_CLOCK_SAMPLES: usize = 100_000;

/// Resets kept for a pair whose opening has not been seen yet.
const MAX_EARLY_RESETS: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    protocol: Protocol,
    client: Socket,
    identity: u32,
}

/// One server address under which a connection was seen.
#[derive(Debug, Clone, Copy)]
struct View {
    server: Socket,
    opened: Timestamp,
    answered: Timestamp,
}

impl View {
    fn first(&self) -> Timestamp {
        self.opened.min(self.answered)
    }
}

#[derive(Debug)]
struct Connection {
    key: Key,
    views: Vec<View>,
    first: Timestamp,
    last: Timestamp,
    opened: bool,
    answered: bool,
    /// Anything but the opening, its answer and resets, by the client and by the server: proof that the handshake was
    /// completed even where its answer is not in the capture.
    client_spoke: bool,
    server_spoke: bool,
    refused: bool,
    /// The client reset at its first sequence number: it was probing.
    probing: bool,
}

impl Connection {
    fn touch(&mut self, time: Timestamp) {
        self.first = self.first.min(time);
        self.last = self.last.max(time);
    }

    fn spoke(&mut self, sender: Socket) {
        if sender == self.key.client { self.client_spoke = true } else { self.server_spoke = true }
    }

    fn established(&self) -> bool {
        (self.answered || self.client_spoke || self.server_spoke) && !self.probing
    }
}

/// Packets of a pair between whose opening and themselves nothing was seen.
#[derive(Debug, Clone, Copy)]
struct Burst {
    first: Timestamp,
    last: Timestamp,
    spoke: [bool; 2],
    speech: [Speech; 2],
}

impl Burst {
    fn join(&mut self, other: &Burst) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        for side in [LOW, HIGH] {
            self.spoke[side] |= other.spoke[side];
            self.speech[side].request |= other.speech[side].request;
            self.speech[side].response |= other.speech[side].response;
        }
    }
}

/// Packets of a pair that belong to no connection whose opening was seen. Those of the last seconds are kept apart:
/// they may have overtaken the SYN of a connection that uses the pair again.
#[derive(Debug)]
struct Orphan {
    settled: Option<Burst>,
    recent: Burst,
}

/// Packets this far apart, in nanoseconds, have not overtaken each other.
const SETTLED: i64 = 4 * SECOND;

impl Orphan {
    fn add(&mut self, burst: Burst) {
        if burst.first > self.recent.last.plus(SETTLED) {
            let done = std::mem::replace(&mut self.recent, burst);
            self.settle(done);
        } else if burst.last.plus(SETTLED) < self.recent.first {
            self.settle(burst);
        } else {
            self.recent.join(&burst);
        }
    }

    fn settle(&mut self, burst: Burst) {
        match &mut self.settled {
            Some(settled) => settled.join(&burst),
            None => self.settled = Some(burst),
        }
    }
}

/// A reset or ICMP error that came before the opening it answers.
#[derive(Debug, Clone, Copy)]
struct EarlyReset {
    key: Key,
    time: Timestamp,
    by_client: bool,
}

#[derive(Debug, Default)]
struct PairState {
    connections: Vec<u32>,
    orphan: Option<Box<Orphan>>,
    resets: Vec<EarlyReset>,
    reset_only: bool,
}

/// All connections and associations.
#[derive(Debug, Default)]
pub(super) struct Connections {
    connections: Vec<Connection>,
    // Keyed hashing: whoever sends packets chooses these keys.
    by_key: HashMap<Key, u32>,
    pairs: HashMap<Pair, PairState>,
    clocks: HashMap<Key, Vec<(u16, Timestamp)>>,
}

impl Connections {
    pub(super) fn tcp(&mut self, source: u16, time: Timestamp, pair: Pair, side: usize, tcp: &Tcp<'_>, speech: Speech) {
        let (sender, receiver) = ends(&pair, side);
        let key = |client, identity| Key { protocol: Protocol::Tcp, client, identity };
        match tcp.flags & (flag::SYN | flag::ACK | flag::RST) {
            flags if flags & flag::RST != 0 => {
                // A server refuses by acknowledging exactly the SYN; a probing client resets right behind its SYN.
                let refusal = key(receiver, tcp.acknowledgment.wrapping_sub(1));
                let probe = key(sender, tcp.sequence.wrapping_sub(1));
                self.reset(time, pair, (flags & flag::ACK != 0).then_some(refusal), Some(probe));
            }
            flag::SYN => {
                let index = self.view(time, pair, key(sender, tcp.sequence), receiver, false);
                self.clock(source, time, index);
            }
            flags if flags == flag::SYN | flag::ACK => {
                self.view(time, pair, key(receiver, tcp.acknowledgment.wrapping_sub(1)), sender, true);
            }
            _ => self.speak(time, pair, side, speech),
        }
    }

    pub(super) fn sctp(&mut self, source: u16, time: Timestamp, pair: Pair, side: usize, sctp: &Sctp) {
        let (sender, receiver) = ends(&pair, side);
        let key = |client, identity| Key { protocol: Protocol::Sctp, client, identity };
        match sctp.chunk {
            Chunk::Init { tag } => {
                let index = self.view(time, pair, key(sender, tag), receiver, false);
                self.clock(source, time, index);
            }
            // RFC 9260 §3.1: the verification tag of an answer is the initiate tag of the INIT.
            Chunk::InitAck => {
                self.view(time, pair, key(receiver, sctp.tag), sender, true);
            }
            Chunk::Abort => self.reset(time, pair, Some(key(receiver, sctp.tag)), None),
            Chunk::Other => self.speak(time, pair, side, Speech::default()),
        }
    }

    /// An ICMP error quotes a packet that `side` sent; `sequence` is known for TCP.
    pub(super) fn unreachable(&mut self, time: Timestamp, pair: Pair, side: usize, sequence: Option<u32>) {
        let (client, _) = ends(&pair, side);
        match sequence {
            Some(identity) => self.reset(time, pair, Some(Key { protocol: pair.protocol, client, identity }), None),
            // The quote of an SCTP packet ends before the initiate tag, so the pair has to do.
            None => {
                let latest = self.latest(&pair, time).map(|index| self.connections[index].key);
                self.reset(time, pair, latest.filter(|key| key.client == client), None);
            }
        }
    }

    /// Notes a SYN (`answer` false) or SYN-ACK of the connection `key` with `server`.
    fn view(&mut self, time: Timestamp, pair: Pair, key: Key, server: Socket, answer: bool) -> usize {
        let index = match self.by_key.entry(key) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let index = self.connections.len() as u32;
                self.connections.push(Connection {
                    key,
                    views: Vec::with_capacity(1),
                    first: time,
                    last: time,
                    opened: false,
                    answered: false,
                    client_spoke: false,
                    server_spoke: false,
                    refused: false,
                    probing: false,
                });
                *entry.insert(index)
            }
        };
        let connection = &mut self.connections[index as usize];
        connection.touch(time);
        connection.opened |= !answer;
        connection.answered |= answer;
        let known = connection.views.iter().position(|view| view.server == server);
        let at = known.unwrap_or_else(|| {
            connection.views.push(View { server, opened: Timestamp::MAX, answered: Timestamp::MAX });
            connection.views.len() - 1
        });
        let view = &mut connection.views[at];
        let moment = if answer { &mut view.answered } else { &mut view.opened };
        *moment = time.min(*moment);
        let state = self.pairs.entry(pair).or_default();
        if !state.connections.contains(&index) {
            state.connections.push(index);
        }
        index as usize
    }

    fn clock(&mut self, source: u16, time: Timestamp, index: usize) {
        if self.clocks.len() >= MAX_CLOCK_SAMPLES {
            return;
        }
        let seen = self.clocks.entry(self.connections[index].key).or_default();
        match seen.iter_mut().find(|(known, _)| *known == source) {
            Some((_, first)) => *first = time.min(*first),
            None => seen.push((source, time)),
        }
    }

    fn reset(&mut self, time: Timestamp, pair: Pair, refusal: Option<Key>, probe: Option<Key>) {
        let find = |key: Option<Key>| key.and_then(|key| self.by_key.get(&key).copied());
        if let Some(index) = find(refusal) {
            let connection = &mut self.connections[index as usize];
            connection.refused = true;
            connection.touch(time);
        } else if let Some(index) = find(probe) {
            let connection = &mut self.connections[index as usize];
            connection.probing = true;
            connection.touch(time);
        } else if let Some(index) = self.latest(&pair, time) {
            self.connections[index].touch(time);
        } else {
            let state = self.pairs.entry(pair).or_default();
            state.reset_only = true;
            let early = |key: Option<Key>, by_client| key.map(|key| EarlyReset { key, time, by_client });
            for reset in [early(refusal, false), early(probe, true)].into_iter().flatten() {
                if state.resets.len() < MAX_EARLY_RESETS {
                    state.resets.push(reset);
                }
            }
            if let Some(orphan) = &mut state.orphan {
                let silent = Burst { first: time, last: time, spoke: [false; 2], speech: [Speech::default(); 2] };
                orphan.add(silent);
            }
        }
    }

    fn speak(&mut self, time: Timestamp, pair: Pair, side: usize, speech: Speech) {
        if let Some(index) = self.latest(&pair, time) {
            let connection = &mut self.connections[index];
            connection.touch(time);
            connection.spoke(ends(&pair, side).0);
            return;
        }
        let mut burst = Burst { first: time, last: time, spoke: [false; 2], speech: [Speech::default(); 2] };
        burst.spoke[side] = true;
        burst.speech[side] = speech;
        let state = self.pairs.entry(pair).or_default();
        match &mut state.orphan {
            Some(orphan) => orphan.add(burst),
            None => state.orphan = Some(Box::new(Orphan { settled: None, recent: burst })),
        }
    }

    /// The connection of a pair that was opened last before `time`.
    fn latest(&self, pair: &Pair, time: Timestamp) -> Option<usize> {
        self.opened_before(&self.pairs.get(pair)?.connections, time)
    }

    fn opened_before(&self, connections: &[u32], time: Timestamp) -> Option<usize> {
        connections
            .iter()
            .map(|index| *index as usize)
            .filter(|index| self.connections[*index].first <= time)
            .max_by_key(|index| (self.connections[*index].first, self.connections[*index].key))
    }

    /// The flows, the clock skew between sources, and how many pairs showed nothing but resets.
    pub(super) fn finish(mut self) -> (Vec<Flow>, BTreeMap<(u16, u16), i64>, u64) {
        let mut flows = Vec::with_capacity(self.connections.len());
        let mut remnants = 0;
        let mut pairs: Vec<(Pair, PairState)> = std::mem::take(&mut self.pairs).into_iter().collect();
        pairs.sort_unstable_by_key(|(pair, _)| *pair);
        for (pair, state) in pairs {
            for reset in &state.resets {
                if let Some(index) = self.by_key.get(&reset.key) {
                    let connection = &mut self.connections[*index as usize];
                    connection.touch(reset.time);
                    if reset.by_client { connection.probing = true } else { connection.refused = true }
                }
            }
            remnants += u64::from(state.reset_only && state.orphan.is_none() && state.connections.is_empty());
            let Some(orphan) = state.orphan else { continue };
            let mut before = orphan.settled;
            // Packets that overtook their SYN belong to the connection it opened.
            match self.opened_before(&state.connections, orphan.recent.first) {
                Some(index) => {
                    let connection = &mut self.connections[index];
                    connection.touch(orphan.recent.last);
                    for side in [LOW, HIGH].into_iter().filter(|side| orphan.recent.spoke[*side]) {
                        connection.spoke(ends(&pair, side).0);
                    }
                }
                None => match &mut before {
                    Some(before) => before.join(&orphan.recent),
                    None => before = Some(orphan.recent),
                },
            }
            flows.extend(before.map(|burst| unseen(&pair, &burst)));
        }
        let skew = skew(self.clocks);
        flows.extend(self.connections.into_iter().map(seen));
        (flows, skew, remnants)
    }
}

/// Sender and receiver of a packet that `side` sent.
fn ends(pair: &Pair, side: usize) -> (Socket, Socket) {
    if side == LOW { (pair.low, pair.high) } else { (pair.high, pair.low) }
}

fn unseen(pair: &Pair, burst: &Burst) -> Flow {
    let side = |socket, side: usize| Side { socket, speech: burst.speech[side] };
    Flow {
        protocol: pair.protocol,
        opening: Opening::Unseen { sides: [side(pair.low, LOW), side(pair.high, HIGH)] },
        outcome: Outcome::Established,
        first: burst.first,
        last: burst.last,
        latency: None,
        datagrams: 0,
        dns: false,
    }
}

fn seen(mut connection: Connection) -> Flow {
    connection.views.sort_unstable_by_key(|view| (view.first(), view.server));
    let dialled = connection.views[0];
    let served = connection.views[1..].last().map(|view| view.server);
    let latency = (dialled.answered != Timestamp::MAX && dialled.opened <= dialled.answered)
        .then(|| u32::try_from(dialled.answered.since(dialled.opened) / 1000).unwrap_or(u32::MAX));
    let established = connection.established();
    let outcome = if established {
        Outcome::Established
    } else if connection.refused || connection.probing {
        Outcome::Refused
    } else {
        Outcome::Unanswered
    };
    let whole = connection.opened && (connection.answered || !established);
    Flow {
        protocol: connection.key.protocol,
        opening: Opening::Seen {
            client: connection.key.client,
            dialled: dialled.server,
            served,
            proof: if whole { Proof::Handshake } else { Proof::HalfHandshake },
            identity: connection.key.identity,
        },
        outcome,
        first: connection.first,
        last: connection.last,
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
