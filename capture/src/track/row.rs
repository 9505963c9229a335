//! Conversations that differ in nothing but the client's port and the time, as one row.
//!
//! What a million connections from one client to one server leave behind is a count. Only conversations that nothing
//! else can be joined with come here, so that a row says the same as they did.

use std::net::IpAddr;

use super::connection::BATCH;
use super::ends::{Address, Key, Seed, socket};
use super::table::Table;
use crate::activity::Activity;
use crate::flow::{Flow, Latencies, Opening, Outcome, Proof, Socket};
use crate::protocol::Protocol;
use crate::talk::Talks;
use crate::time::Timestamp;

/// What the conversations of a row have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alike<A> {
    pub(super) protocol: Protocol,
    pub(super) outcome: Outcome,
    pub(super) proof: Proof,
    pub(super) dns: bool,
    pub(super) client: A,
    pub(super) dialled: (A, u16),
    pub(super) served: Option<(A, u16)>,
    /// A later view showed another source address.
    pub(super) translated: bool,
    /// How often something about the addresses had changed before.
    pub(super) phase: u32,
    /// When the stretch of time began that no row leaves ([`Settings::grain`](super::Settings::grain)).
    pub(super) stretch: Timestamp,
}

impl<A: Address> Alike<A> {
    /// What most have in common.
    pub(super) const PLAIN: Alike<A> = Alike {
        protocol: Protocol::Tcp,
        outcome: Outcome::Established,
        proof: Proof::Handshake,
        dns: false,
        client: A::NONE,
        dialled: (A::NONE, 0),
        served: None,
        translated: false,
        phase: 0,
        stretch: Timestamp::MIN,
    };
}

impl<A: Address> Key for Alike<A> {
    fn hashed(&self, seed: &Seed) -> u64 {
        let (server, port) = self.served.unwrap_or((A::NONE, 0));
        let words = u64::from(self.protocol as u8) << 24
            | u64::from(self.outcome as u8) << 16
            | u64::from(self.proof as u8) << 8
            | u64::from(self.translated) << 1
            | u64::from(self.dns);
        let ports = u64::from(self.dialled.1) << 48 | u64::from(port) << 32 | words;
        let ends = seed.fold(self.client.mixed(self.dialled.0, seed), ports);
        let when = u64::from(self.phase) ^ (self.stretch.0 as u64).rotate_left(13);
        seed.fold(ends, server.mixed(A::NONE, seed) ^ when)
    }

    fn touch(&self) -> u64 {
        u64::from(self.phase)
    }
}

/// One conversation on its way into a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Single {
    /// Whether it is in a row already, which is only to learn when it was last heard.
    pub(super) counted: bool,
    pub(super) client_port: u16,
    pub(super) identity: u32,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// Microseconds.
    pub(super) latency: Option<u32>,
    pub(super) datagrams: u32,
    pub(super) talk: Talks,
}

/// What tells one conversation of a row from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Sample {
    first: Timestamp,
    client_port: u16,
    identity: u32,
}

#[derive(Debug)]
struct Row {
    /// The earliest of the conversations: a row of one is printed as what it is.
    sample: Sample,
    connections: u64,
    last: Timestamp,
    newest: Timestamp,
    latency: Latencies,
    datagrams: u64,
    activity: Activity,
    talk: Talks,
}

/// All rows of one family.
#[derive(Debug)]
pub(super) struct Rows<A: Address> {
    table: Table<Alike<A>, Row>,
    waiting: Vec<(u32, Alike<A>, Single)>,
    /// Room for [`Table::warm`].
    numbers: Vec<u32>,
    /// Rows that are held at most; of attempts and one-way conversations a quarter.
    pub(super) limit: usize,
    /// Rows of attempts and one-way conversations.
    attempts: usize,
    /// Attempts and one-way conversations for which there was no room.
    pub(super) dropped: u64,
    /// Conversations that worked, for which there was no room.
    pub(super) lost: u64,
}

impl<A: Address> Default for Rows<A> {
    fn default() -> Rows<A> {
        Rows {
            table: Table::default(),
            waiting: Vec::with_capacity(BATCH),
            numbers: Vec::new(),
            limit: usize::MAX,
            attempts: 0,
            dropped: 0,
            lost: 0,
        }
    }
}

impl<A: Address> Rows<A> {
    /// Rows held.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Counts a conversation.
    pub(super) fn add(&mut self, alike: Alike<A>, single: Single) {
        self.waiting.push((self.table.hash(&alike), alike, single));
        if self.waiting.len() >= BATCH {
            self.flush();
        }
    }

    /// Counts the conversations that wait.
    pub(super) fn flush(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        self.table.warm(waiting.iter().map(|(hash, ..)| *hash), &mut self.numbers);
        let numbers = std::mem::take(&mut self.numbers);
        for ((_, alike, single), number) in waiting.drain(..).zip(&numbers) {
            match self.table.warmed(*number, &alike) {
                Some(row) => row.count(&single),
                None => self.count(alike, &single),
            }
        }
        (self.waiting, self.numbers) = (waiting, numbers);
    }

    fn count(&mut self, alike: Alike<A>, single: &Single) {
        let known = self.table.newest(&alike);
        let works = matches!(alike.outcome, Outcome::Established | Outcome::Answered);
        let (held, limit) = match works {
            true => (self.table.len() - self.attempts, self.limit),
            false => (self.attempts, self.limit / 4),
        };
        if known.is_none() && held >= limit {
            *(if works { &mut self.lost } else { &mut self.dropped }) += 1;
            return;
        }
        self.attempts += usize::from(known.is_none() && !works);
        let number = known.unwrap_or_else(|| self.table.push(alike, Row::new(single)));
        self.table.at(number).count(single);
    }

    /// Takes all rows out, as flows to be recorded, with the stretches that they do not leave.
    pub(super) fn take(&mut self) -> Vec<(Timestamp, Flow)> {
        self.flush();
        self.attempts = 0;
        let table = std::mem::take(&mut self.table);
        table.iter().map(|(alike, row)| (alike.stretch, row.flow(alike, true))).collect()
    }

    /// The rows as flows; each as the first of its conversations if they are to be recorded.
    pub(super) fn flows(&self, recorded: bool) -> impl Iterator<Item = Flow> {
        self.table.iter().map(move |(alike, row)| row.flow(alike, recorded))
    }
}

impl Sample {
    fn of(single: &Single) -> Sample {
        Sample { first: single.first, client_port: single.client_port, identity: single.identity }
    }
}

impl Row {
    /// Of no conversation yet.
    fn new(single: &Single) -> Row {
        Row {
            sample: Sample::of(single),
            connections: 0,
            last: single.last,
            newest: single.first,
            latency: Latencies::default(),
            datagrams: 0,
            activity: Activity::default(),
            talk: Talks::default(),
        }
    }

    fn count(&mut self, single: &Single) {
        self.sample = self.sample.min(Sample::of(single));
        self.last = self.last.max(single.last);
        self.newest = self.newest.max(single.first);
        if single.counted {
            return;
        }
        self.connections += 1;
        self.datagrams += u64::from(single.datagrams);
        self.activity.note(single.first);
        self.talk.merge(single.talk);
        if let Some(latency) = single.latency {
            self.latency.record(latency);
        }
    }

    fn flow<A: Address>(&self, alike: &Alike<A>, recorded: bool) -> Flow {
        let client: IpAddr = alike.client.into();
        let (dialled, served, proof) = (socket(alike.dialled), alike.served.map(socket), alike.proof);
        let opening = if recorded || self.connections == 1 {
            let client = Socket { ip: client, port: self.sample.client_port };
            Opening::Seen { client, dialled, served, proof, identity: self.sample.identity }
        } else {
            Opening::Alike { client, dialled, served, proof }
        };
        Flow {
            protocol: alike.protocol,
            opening,
            outcome: alike.outcome,
            connections: self.connections,
            first: self.sample.first,
            last: self.last,
            newest: self.newest,
            activity: self.activity.clone(),
            latency: self.latency.clone(),
            datagrams: self.datagrams,
            dns: alike.dns,
            talk: self.talk,
            translated: alike.translated,
        }
    }
}
