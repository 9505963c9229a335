//! What is held at most, whatever a capture contains.
//!
//! Where there are too many conversations, those that are over go first, then those that have been idle for long, then
//! the older half. They leave as the flows that they are so far, so no edge is lost while there is room for edges; what
//! comes later of a conversation that was still alive counts as another one.

use super::ends::Address;
use super::live::Moment;
use super::{Conversations, Family};
use crate::flow::Outcome;
use crate::protocol::Protocol;
use crate::time::{SECOND, Timestamp};

/// After this time, in nanoseconds, nobody repeats an opening any more.
const LONG: i64 = 150 * SECOND;

/// A packet that is reordered comes within this time, in nanoseconds.
const SHORT: i64 = 5 * SECOND;

/// What is held at most; each row of a table takes 64 bytes, or 128 for IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Conversations that are not settled yet.
    pub conversations: usize,
    /// Flows of each address family that differ in more than ports and times, and a quarter as many of attempts and
    /// one-way conversations.
    pub flows: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { conversations: 1_200_000, flows: 500_000 }
    }
}

/// Which conversations leave.
#[derive(Debug, Clone, Copy)]
struct Leaving {
    /// Those that are over, and were last heard before this.
    over: Timestamp,
    /// Any that were last heard before this.
    idle: Timestamp,
}

impl Conversations {
    /// Settles conversations if there are too many, until a quarter of the room is free.
    pub(super) fn relieve(&mut self) {
        if self.v4.len() + self.v6.len() <= self.limits.conversations {
            return;
        }
        let enough = self.limits.conversations - self.limits.conversations / 4;
        if self.live {
            return self.relieve_live(enough);
        }
        let (long, short) = (self.latest.plus(-LONG), self.latest.plus(-SHORT));
        let gentle = [Leaving { over: long, idle: Timestamp::MIN }, Leaving { over: short, idle: long }];
        for leaving in gentle {
            self.settle(leaving);
            if self.v4.len() + self.v6.len() <= enough {
                return;
            }
        }
        let median = self.median();
        // At least something leaves, even where all were heard at one time.
        let idle = median.plus(1);
        self.settle(Leaving { over: idle, idle });
        if self.v4.len() + self.v6.len() > enough {
            self.settle(Leaving { over: Timestamp::MAX, idle: Timestamp::MAX });
        }
    }

    /// When half of the conversations had been heard for the last time.
    fn median(&self) -> Timestamp {
        let mut heard: Vec<Timestamp> = self.v4.heard().chain(self.v6.heard()).collect();
        let middle = heard.len() / 2;
        heard.select_nth_unstable(middle).1.to_owned()
    }

    /// The same for a recorder: what is over leaves, then the older half.
    fn relieve_live(&mut self, enough: usize) {
        let sight = |_, _| true;
        for half in [false, true] {
            let idle = if half { self.median().plus(1) } else { Timestamp::MIN };
            self.sweep(Moment { now: self.latest, sight: &sight, idle, ahead: Timestamp::MAX });
            if self.v4.len() + self.v6.len() <= enough {
                return;
            }
        }
        self.sweep(Moment { now: self.latest, sight: &sight, idle: Timestamp::MAX, ahead: Timestamp::MAX });
    }

    fn settle(&mut self, leaving: Leaving) {
        self.evicted += self.v4.alive(leaving) + self.v6.alive(leaving);
        let Leaving { over, idle } = leaving;
        self.gather(|last, is_over| last < idle || is_over && last < over);
    }

    /// Settles the conversations that are `ripe`, by when they were last heard and whether they are over.
    pub(super) fn gather(&mut self, ripe: impl Fn(Timestamp, bool) -> bool) {
        self.v4.gather(self.sources, self.limits.flows, &ripe);
        self.v6.gather(self.sources, self.limits.flows, &ripe);
    }
}

impl<A: Address> Family<A> {
    pub(super) fn len(&self) -> usize {
        self.tcp.len() + self.sctp.len() + self.udp.len()
    }

    /// When each conversation was last heard.
    fn heard(&self) -> impl Iterator<Item = Timestamp> {
        let connections = [&self.tcp, &self.sctp].into_iter().flat_map(|table| table.episodes());
        let datagrams = self.udp.conversations().map(|(_, conversation)| conversation.last);
        connections.map(|(_, episode)| episode.last).chain(datagrams)
    }

    /// How many of those that leave are not known to be over.
    fn alive(&self, leaving: Leaving) -> u64 {
        let connections = [&self.tcp, &self.sctp].into_iter().flat_map(|table| table.episodes());
        let open = connections.filter(|(_, episode)| {
            !episode.is_over() && episode.last < leaving.idle && episode.outcome() == Outcome::Established
        });
        let datagrams = self.udp.conversations().filter(|(_, conversation)| conversation.last < leaving.idle);
        open.count() as u64 + datagrams.count() as u64
    }

    fn gather(&mut self, sources: u16, flows: usize, ripe: impl Fn(Timestamp, bool) -> bool) {
        self.flush();
        self.gathered.rows.limit = flows;
        for (connections, protocol) in [(&mut self.tcp, Protocol::Tcp), (&mut self.sctp, Protocol::Sctp)] {
            self.gathered.connections(connections, protocol, |episode| ripe(episode.last, episode.is_over()));
        }
        self.gathered.datagrams(&mut self.udp, sources, |conversation| ripe(conversation.last, false));
    }
}
