//! Settled conversations to flows: the views of one connection are joined, and what nothing else can be joined with is
//! counted in a row.
//!
//! Translation of the server's address keeps the numbers of both sides, so the views of one connection before and after
//! a Service's translation are the answered episodes with the same client and the same two numbers. Without an answer
//! one number alone proves nothing, because scanners use one for many targets; such views stay apart, and only who
//! knows the Services can join them. Conversations whose number or client socket occurs nowhere else have no other view.

mod datagrams;

pub(super) use datagrams::row_of;

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use rustc_hash::{FxHashMap, FxHashSet};

use super::connection::Connections;
use super::ends::{Address, Ends, HIGH, LOW, Seed, other, socket};
use super::episode::Episode;
use super::repeated::Repeated;
use super::row::{Alike, Rows, Single};
use crate::activity::Activity;
use crate::flow::{Flow, Latencies, Opening, Outcome, Proof, Side};
use crate::protocol::Protocol;
use crate::talk::Talks;
use crate::time::Timestamp;

/// Flows that are kept one by one. Beyond it those that somebody was seen opening are counted in rows, where views of
/// them are not joined, and the others are added to one between the same addresses.
pub(super) const MAX_SINGLES: usize = 1 << 18;

/// A pair of sockets with more episodes than this leaves as a whole whenever some leave.
const MAX_CHAIN: usize = 64;

/// When something about an address changes, in ascending order.
pub(super) type Moments<A> = FxHashMap<A, Vec<Timestamp>>;

/// How many of the moments of `address` have passed at `time`.
#[inline]
pub(super) fn passed<A: Address>(moments: &Moments<A>, address: A, time: Timestamp) -> u32 {
    moments.get(&address).map_or(0, |at| at.partition_point(|moment| *moment <= time) as u32)
}

/// Where flows end.
#[derive(Debug)]
pub(super) struct Gathered<A: Address> {
    pub(super) rows: Rows<A>,
    /// Moments that no row spans.
    pub(super) moments: Moments<A>,
    /// A row never leaves a stretch of so many nanoseconds.
    pub(super) grain: Option<i64>,
    /// Flows that may have to do with others.
    pub(super) singles: Vec<Flow>,
    /// Flows that nobody was seen opening, once there are too many of them: by protocol, addresses and lower port.
    folded: BTreeMap<(Protocol, IpAddr, IpAddr, u16), Flow>,
    /// Conversations of which only ICMP errors were seen.
    pub(super) remnants: u64,
    /// Conversations for which there was no room, although they worked.
    pub(super) lost: u64,
    /// Conversations that went into a row although views of them could have been joined.
    pub(super) unjoined: u64,
}

impl<A: Address> Default for Gathered<A> {
    fn default() -> Gathered<A> {
        Gathered {
            rows: Rows::default(),
            moments: Moments::default(),
            grain: None,
            singles: Vec::new(),
            folded: BTreeMap::new(),
            remnants: 0,
            lost: 0,
            unjoined: 0,
        }
    }
}

/// What was seen of the opening: an attempt is whole without an answer.
pub(super) fn proof(outcome: Outcome, opened: bool, answered: bool) -> Proof {
    let whole = opened && (answered || outcome != Outcome::Established);
    if whole { Proof::Handshake } else { Proof::HalfHandshake }
}

/// Microseconds from the opening to its answer.
pub(super) fn latency(episode: &Episode) -> Option<u32> {
    let (opened, answered) = (episode.opened()?, episode.answered()?);
    (opened <= answered).then(|| u32::try_from(answered.since(opened) / 1000).unwrap_or(u32::MAX))
}

/// A conversation that nobody was seen opening, as a flow.
pub(super) fn unopened<A: Address>(protocol: Protocol, ends: &Ends<A>, episode: &Episode) -> Flow {
    let side = |side: usize| Side { socket: socket(ends.end(side)), speech: episode.speech(side) };
    Flow {
        protocol,
        opening: Opening::Unseen { sides: [side(LOW), side(HIGH)] },
        outcome: episode.outcome(),
        connections: 1,
        first: episode.first(),
        last: episode.last,
        newest: episode.first(),
        activity: Activity::at(episode.first()),
        latency: Latencies::default(),
        datagrams: 0,
        dns: false,
        talk: episode.talk(),
        translated: false,
    }
}

/// A view of a connection: the sockets, the client's side and what was seen.
type View<A> = (Ends<A>, usize, Episode);

impl<A: Address> Gathered<A> {
    /// Takes the connections that are `ripe`, with every view of them, out of `connections`.
    pub(super) fn connections(
        &mut self,
        connections: &mut Connections<A>,
        protocol: Protocol,
        ripe: impl Fn(&Episode) -> bool,
    ) {
        let mut numbers = Repeated::new(connections.len());
        // Views of one connection leave together.
        let seed = Seed::default();
        let view = |ends: &Ends<A>, episode: &Episode| {
            let (side, number) = episode.client()?;
            let (ip, port) = ends.end(side);
            let answered = if episode.is_answered() { u64::from(episode.server_number()) } else { 0 };
            let numbers = u64::from(number) << 32 | answered;
            Some(seed.fold(seed.fold(ip.mixed(A::NONE, &seed), u64::from(port)), numbers))
        };
        let mut green: FxHashSet<u64> = FxHashSet::default();
        let mut unseen: HashSet<(A, u16)> = HashSet::new();
        let mut some_unseen = false;
        for (ends, episode) in connections.episodes() {
            match episode.client() {
                Some((_, number)) => {
                    numbers.insert(number);
                    if !ripe(episode) {
                        green.extend(view(ends, episode));
                    }
                }
                None => some_unseen = true,
            }
        }
        if some_unseen {
            connections.settle(|ends, settled, _| {
                if settled.iter().any(|episode| episode.client().is_none()) {
                    unseen.extend([ends.end(LOW), ends.end(HIGH)]);
                }
                true
            });
        }
        // Views whose numbers occur elsewhere, by number; where they stand, or what they were settled to.
        let mut joinable: Vec<(u32, u32)> = Vec::new();
        let mut settled_views: Vec<View<A>> = Vec::new();
        let keep = connections.settle(|ends, settled, row| {
            let is_green = |episode: &Episode| view(ends, episode).is_some_and(|view| green.contains(&view));
            let stays = |episode: &Episode| !ripe(episode) || !green.is_empty() && is_green(episode);
            if settled.len() <= MAX_CHAIN && settled.iter().any(stays) {
                return false;
            }
            for episode in settled {
                let Some((side, number)) = episode.client() else {
                    self.unseen(protocol, ends, episode);
                    continue;
                };
                if numbers.contains(number) || !unseen.is_empty() && unseen.contains(&ends.end(side)) {
                    joinable.push((number, row.unwrap_or(u32::MAX - settled_views.len() as u32)));
                    if row.is_none() {
                        settled_views.push((*ends, side, *episode));
                    }
                } else {
                    self.alone(protocol, ends, (side, number), episode);
                }
            }
            true
        });
        joinable.sort_unstable();
        let view = |row: u32| match settled_views.get((u32::MAX - row) as usize) {
            Some(view) => *view,
            None => {
                let (ends, episode) = connections.row(row);
                (*ends, episode.client().map_or(LOW, |(side, _)| side), *episode)
            }
        };
        for same in joinable.chunk_by(|one, two| one.0 == two.0) {
            let views: Vec<View<A>> = same.iter().map(|(_, row)| view(*row)).collect();
            self.join(protocol, views, &unseen);
        }
        connections.retain(&keep);
        self.rows.flush();
    }

    /// A connection with which nothing else can be joined.
    #[inline]
    fn alone(&mut self, protocol: Protocol, ends: &Ends<A>, (side, identity): (usize, u32), episode: &Episode) {
        let (client, client_port) = ends.end(side);
        let outcome = episode.outcome();
        let proof = proof(outcome, episode.opened().is_some(), episode.is_answered());
        let dialled = ends.end(other(side));
        let alike = Alike { protocol, outcome, proof, client, dialled, ..Alike::PLAIN };
        let (first, last, latency) = (episode.first(), episode.last, latency(episode));
        let talk = episode.talk();
        let single = Single { counted: false, client_port, identity, first, last, latency, datagrams: 0, talk };
        self.put(alike, single, true);
    }

    /// Views with one number: answered ones with the same client and the same number of the server are of one
    /// connection.
    fn join(&mut self, protocol: Protocol, mut views: Vec<View<A>>, unseen: &HashSet<(A, u16)>) {
        let connection = |(ends, side, episode): &View<A>| {
            let server = episode.is_answered().then(|| episode.server_number());
            (ends.end(*side), server, server.is_none().then(|| ends.end(other(*side))))
        };
        views.sort_by_key(connection);
        let whole = |group: &[View<A>]| group.len() == views.len() && !unseen.contains(&group[0].0.end(group[0].1));
        for group in views.chunk_by(|one, two| connection(one) == connection(two)) {
            self.seen(protocol, group, whole(group));
        }
    }

    /// A connection from its views; `alone` if nothing else can be joined with it.
    fn seen(&mut self, protocol: Protocol, views: &[View<A>], alone: bool) {
        let (ends, side, first) = views
            .iter()
            .min_by_key(|(ends, side, episode)| (episode.first(), ends.end(other(*side))))
            .unwrap_or(&views[0]);
        let dialled = ends.end(other(*side));
        let served = views
            .iter()
            .max_by_key(|(ends, side, episode)| (episode.first(), ends.end(other(*side))))
            .map(|(ends, side, _)| ends.end(other(*side)))
            .filter(|server| *server != dialled);
        // What one view shows of a connection holds for all of them; a probe's reset is the last word.
        let any = |test: fn(&Episode) -> bool| views.iter().any(|(_, _, episode)| test(episode));
        let outcomes = views.iter().map(|(_, _, episode)| episode.outcome());
        let outcome = match any(Episode::is_probing) {
            true => Outcome::Refused,
            false => outcomes.min().unwrap_or(Outcome::Unanswered),
        };
        let proof = proof(outcome, any(|episode| episode.opened().is_some()), any(Episode::is_answered));
        let (client, client_port) = ends.end(*side);
        let mut talk = Talks::default();
        views.iter().for_each(|(_, _, episode)| talk.merge(episode.talk()));
        let single = Single {
            counted: false,
            client_port,
            identity: first.client().map_or(0, |(_, number)| number),
            first: views.iter().map(|(_, _, episode)| episode.first()).min().unwrap_or_default(),
            last: views.iter().map(|(_, _, episode)| episode.last).max().unwrap_or_default(),
            latency: latency(first),
            datagrams: 0,
            talk,
        };
        let alike = Alike { protocol, outcome, proof, client, dialled, served, ..Alike::PLAIN };
        self.put(alike, single, alone);
    }

    /// Counts a conversation in a row.
    pub(super) fn count(&mut self, alike: Alike<A>, single: Single) {
        self.rows.add(self.placed(alike, single.first), single);
    }

    /// The row of a conversation that began at `time`.
    pub(super) fn placed(&self, mut alike: Alike<A>, time: Timestamp) -> Alike<A> {
        if let Some(grain) = self.grain {
            alike.stretch = time.floor(grain);
        }
        if !self.moments.is_empty() {
            let ends = [Some(alike.client), Some(alike.dialled.0), alike.served.map(|(server, _)| server)];
            for end in ends.into_iter().flatten() {
                let passed = passed(&self.moments, end, time);
                alike.phase += passed;
                if let (Some(_), Some(latest)) = (self.grain, passed.checked_sub(1)) {
                    alike.stretch = alike.stretch.max(self.moments[&end][latest as usize]);
                }
            }
        }
        alike
    }

    /// Puts a conversation into a row, or keeps it as it is.
    fn put(&mut self, alike: Alike<A>, single: Single, alone: bool) {
        let full = self.singles.len() >= MAX_SINGLES;
        if alone || full {
            self.unjoined += u64::from(!alone);
            self.count(alike, single);
            return;
        }
        let mut latency = Latencies::default();
        single.latency.into_iter().for_each(|microseconds| latency.record(microseconds));
        self.singles.push(Flow {
            protocol: alike.protocol,
            opening: Opening::Seen {
                client: socket((alike.client, single.client_port)),
                dialled: socket(alike.dialled),
                served: alike.served.map(socket),
                proof: alike.proof,
                identity: single.identity,
            },
            outcome: alike.outcome,
            connections: 1,
            first: single.first,
            last: single.last,
            newest: single.first,
            activity: Activity::at(single.first),
            latency,
            datagrams: u64::from(single.datagrams),
            dns: alike.dns,
            talk: single.talk,
            translated: alike.translated,
        });
    }

    /// A conversation that nobody was seen opening.
    fn unseen(&mut self, protocol: Protocol, ends: &Ends<A>, episode: &Episode) {
        if episode.is_empty() {
            self.remnants += 1;
            return;
        }
        let flow = unopened(protocol, ends, episode);
        if self.singles.len() < MAX_SINGLES {
            self.singles.push(flow);
            return;
        }
        self.unjoined += 1;
        let ((low, low_port), (high, high_port)) = (ends.end(LOW), ends.end(HIGH));
        let key = (protocol, low.into(), high.into(), low_port.min(high_port));
        let full = self.folded.len() >= MAX_SINGLES;
        match self.folded.get_mut(&key) {
            None if full => self.lost += 1,
            None => {
                self.folded.insert(key, flow);
            }
            Some(known) => {
                known.connections += 1;
                known.outcome = known.outcome.min(flow.outcome);
                known.first = known.first.min(flow.first);
                known.last = known.last.max(flow.last);
                known.newest = known.newest.max(flow.newest);
                known.activity.merge(&flow.activity);
                known.talk.merge(flow.talk);
            }
        }
    }

    /// Flows held.
    pub(super) fn len(&self) -> usize {
        self.rows.len() + self.singles.len() + self.folded.len()
    }

    /// All flows; the rows apart from them if they are to be recorded.
    pub(super) fn finish(self, flows: &mut Vec<Flow>, rows: &mut Vec<Flow>) {
        match self.grain {
            Some(_) => rows.extend(self.rows.flows(true)),
            None => flows.extend(self.rows.flows(false)),
        }
        flows.extend(self.singles);
        flows.extend(self.folded.into_values());
    }
}
