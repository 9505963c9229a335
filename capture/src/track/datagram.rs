//! UDP conversations: one per 5-tuple, however long it is idle. What is kept of one does not depend on the order in
//! which its datagrams come.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

use super::DnsRole;
use super::connection::BATCH;
use super::ends::{Address, Ends, HIGH, LOW, other};
use super::table::{NONE, Table};
use crate::flow::Outcome;
use crate::time::{SECOND, Timestamp};

/// So many datagrams of a one-way conversation are told apart; further ones add nothing that anybody asks for.
const TOLD_APART: usize = 4;

/// Copies of one datagram at several capture points are at most about this far apart, in nanoseconds.
const COPIES: i64 = SECOND / 20;

/// Conversations of which further files are kept apart; beyond it copies in several files may count twice.
const MAX_FURTHER: usize = 1 << 16;

/// One conversation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conversation {
    /// First datagram of each side; `MAX` where it sent none.
    first: [Timestamp; 2],
    pub(super) last: Timestamp,
    /// Marks of different datagrams in the file that was first to show one; 0 for none.
    marks: [u32; TOLD_APART],
    source: u16,
    flags: u16,
    /// Never set: a 5-tuple is one conversation.
    next: u32,
}

/// [`Conversation::flags`] of each side: an ICMP error quoted its datagram; it asked; it answered. And whether other
/// files showed it too.
const REFUSED: [u16; 2] = [1, 2];
const ASKED: [u16; 2] = [4, 8];
const ANSWERED: [u16; 2] = [16, 32];
const ELSEWHERE: u16 = 64;
/// It is in a row of a flow log; another conversation is what answered it.
const COUNTED: u16 = 128;
const ANSWERED_ELSEWHERE: u16 = 256;

/// A datagram without its sockets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Datagram {
    time: Timestamp,
    source: u16,
    mark: u32,
    dns: Option<DnsRole>,
}

impl Datagram {
    pub(super) fn new(time: Timestamp, source: u16, payload: &[u8], dns: Option<DnsRole>) -> Datagram {
        Datagram { time, source, mark: mark(time, payload), dns }
    }
}

/// A datagram that waits for its turn.
#[derive(Debug, Clone, Copy)]
struct Waiting<A> {
    ends: Ends<A>,
    hash: u32,
    side: u8,
    datagram: Datagram,
}

/// All UDP conversations of one family.
#[derive(Debug)]
pub(super) struct Datagrams<A: Address> {
    table: Table<Ends<A>, Conversation>,
    waiting: Vec<Waiting<A>>,
    /// Room for [`Table::warm`].
    numbers: Vec<u32>,
    /// Marks in further files.
    elsewhere: HashMap<(Ends<A>, u16), [u32; TOLD_APART]>,
}

impl<A: Address> Default for Datagrams<A> {
    fn default() -> Datagrams<A> {
        Datagrams {
            table: Table::default(),
            waiting: Vec::with_capacity(BATCH),
            numbers: Vec::new(),
            elsewhere: HashMap::new(),
        }
    }
}

impl<A: Address> Datagrams<A> {
    /// Conversations held.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    fn conversation(&mut self, ends: Ends<A>, source: u16) -> &mut Conversation {
        let number = self.table.newest(&ends).unwrap_or_else(|| {
            let first = [Timestamp::MAX; 2];
            let marks = [0; TOLD_APART];
            self.table.push(ends, Conversation { first, last: Timestamp::MIN, marks, source, flags: 0, next: NONE })
        });
        self.table.at(number)
    }

    /// Takes a datagram of `side`, seen in the file `source`, now or soon: nothing here depends on their order. True
    /// if it was now.
    pub(super) fn take(&mut self, ends: Ends<A>, side: usize, datagram: Datagram) -> bool {
        let hash = self.table.hash(&ends);
        self.waiting.push(Waiting { ends, hash, side: side as u8, datagram });
        let full = self.waiting.len() >= BATCH;
        if full {
            self.flush();
        }
        full
    }

    /// Takes what waits.
    #[inline(never)]
    pub(super) fn flush(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        self.table.warm(waiting.iter().map(|waiting| waiting.hash), &mut self.numbers);
        for Waiting { ends, side, datagram, .. } in waiting.drain(..) {
            self.datagram(ends, usize::from(side) & 1, &datagram);
        }
        self.waiting = waiting;
    }

    fn datagram(&mut self, ends: Ends<A>, side: usize, datagram: &Datagram) {
        let Datagram { time, source, mark, dns } = *datagram;
        let conversation = self.conversation(ends, source);
        conversation.first[side] = conversation.first[side].min(time);
        conversation.last = conversation.last.max(time);
        match dns {
            Some(DnsRole::Query) => conversation.flags |= ASKED[side],
            Some(DnsRole::Response) => conversation.flags |= ANSWERED[side],
            None => {}
        }
        // Only one-way conversations are asked how many datagrams there were.
        if conversation.first[other(side)] != Timestamp::MAX {
            return;
        }
        if conversation.source == source {
            if conversation.marks[TOLD_APART - 1] == 0 {
                note(&mut conversation.marks, mark);
            }
        } else {
            conversation.flags |= ELSEWHERE;
            let room = self.elsewhere.len() < MAX_FURTHER;
            if room || self.elsewhere.contains_key(&(ends, source)) {
                note(self.elsewhere.entry((ends, source)).or_default(), mark);
            }
        }
    }

    /// An ICMP error quotes a datagram of `side`.
    pub(super) fn unreachable(&mut self, time: Timestamp, ends: Ends<A>, side: usize, source: u16) {
        let conversation = self.conversation(ends, source);
        conversation.last = conversation.last.max(time);
        conversation.flags |= REFUSED[side];
    }

    /// A conversation and its sockets by number.
    pub(super) fn get(&self, number: u32) -> (&Ends<A>, &Conversation) {
        self.table.get(number)
    }

    /// A conversation by its number.
    pub(super) fn at(&mut self, number: u32) -> &mut Conversation {
        self.table.at(number)
    }

    /// The number of the conversation between two sockets.
    pub(super) fn number(&self, ends: &Ends<A>) -> Option<u32> {
        self.table.newest(ends)
    }

    /// All conversations.
    pub(super) fn conversations(&self) -> impl Iterator<Item = (&Ends<A>, &Conversation)> {
        self.table.iter()
    }

    /// How many different datagrams there were at least: clocks of files differ, so each file counts for itself.
    pub(super) fn different(&self, ends: &Ends<A>, conversation: &Conversation, sources: u16) -> u32 {
        let count = |marks: &[u32; TOLD_APART]| marks.iter().filter(|mark| **mark != 0).count() as u32;
        let mut most = count(&conversation.marks);
        if conversation.flags & ELSEWHERE != 0 {
            let further = (0..sources).filter_map(|source| self.elsewhere.get(&(*ends, source)));
            most = further.map(count).fold(most, u32::max);
        }
        most
    }

    /// Forgets those that `keep` does not hold, by the order of [`Datagrams::conversations`].
    pub(super) fn retain(&mut self, keep: &[bool]) {
        let gone: Vec<Ends<A>> =
            self.table.iter().zip(keep).filter(|(_, keep)| !**keep).map(|((ends, _), _)| *ends).collect();
        if !self.elsewhere.is_empty() {
            let mut gone = gone;
            gone.sort_unstable();
            self.elsewhere.retain(|(ends, _), _| gone.binary_search(ends).is_err());
        }
        self.table.retain(keep, |conversation| &mut conversation.next);
    }
}

impl Conversation {
    /// Whether a datagram was seen at all, not only an error that quotes one.
    pub(super) fn is_sent(&self) -> bool {
        self.first != [Timestamp::MAX; 2]
    }

    /// The side of the client.
    pub(super) fn client(&self) -> usize {
        let has = |flags: [u16; 2]| flags.map(|flag| self.flags & flag != 0);
        // RFC 1035 §4.1.1: QR is clear in a query. Otherwise the first sender is the client.
        match (has(ASKED), has(ANSWERED)) {
            ([true, false], [false, _]) | ([false, false], [false, true]) => LOW,
            ([false, true], [_, false]) | ([false, false], [true, false]) => HIGH,
            _ if self.first[LOW] <= self.first[HIGH] => LOW,
            _ => HIGH,
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        let client = self.client();
        let one_way = self.first.contains(&Timestamp::MAX);
        match one_way {
            false => Outcome::Answered,
            true if self.flags & ANSWERED_ELSEWHERE != 0 => Outcome::Answered,
            true if self.flags & REFUSED[client] != 0 && self.first[client] != Timestamp::MAX => Outcome::Refused,
            true => Outcome::OneWay,
        }
    }

    /// The only side that sent; `None` where both did.
    pub(super) fn only_sender(&self) -> Option<usize> {
        match self.first {
            [_, Timestamp::MAX] => Some(LOW),
            [Timestamp::MAX, _] => Some(HIGH),
            _ => None,
        }
    }

    /// Notes that another conversation is what answered it, and when that was last heard.
    pub(super) fn answer_elsewhere(&mut self, last: Timestamp) {
        self.flags |= ANSWERED_ELSEWHERE;
        self.last = self.last.max(last);
    }

    /// It is in a row of a flow log.
    pub(super) fn set_counted(&mut self) {
        self.flags |= COUNTED;
    }

    pub(super) fn is_counted(&self) -> bool {
        self.flags & COUNTED != 0
    }

    /// The first datagram.
    pub(super) fn first(&self) -> Timestamp {
        self.first[LOW].min(self.first[HIGH])
    }

    /// Whether a DNS message was read.
    pub(super) fn is_dns(&self) -> bool {
        self.flags & (ASKED[LOW] | ASKED[HIGH] | ANSWERED[LOW] | ANSWERED[HIGH]) != 0
    }
}

/// Adds a mark that is new, if there is room.
fn note(marks: &mut [u32; TOLD_APART], mark: u32) {
    for known in marks {
        if *known == mark {
            return;
        }
        if *known == 0 {
            *known = mark;
            return;
        }
    }
}

/// The same for copies of a datagram, different for most others, never 0. Copies on both sides of a tick differ, so one
/// datagram can count as two, but not as three.
fn mark(time: Timestamp, payload: &[u8]) -> u32 {
    let mut hasher = FxHasher::default();
    time.0.div_euclid(COPIES).hash(&mut hasher);
    payload[..payload.len().min(64)].hash(&mut hasher);
    ((hasher.finish() >> 20) as u32).max(1)
}
