//! TCP connections and SCTP associations, as their packets come.
//!
//! Each pair of sockets holds a chain of [`Episode`]s, one for each initial sequence number (SCTP: initiate tag) of a
//! client, and one for what belongs to none of them. Nothing here depends on the order of the packets: an opening, its
//! answer and its refusal name the number; segments are counted; and what only all packets together explain waits as
//! [`Loose`] until the conversation is settled ([`super::settle`]).

use std::collections::HashMap;

use super::ends::{Address, Ends, other};
use super::episode::Episode;
use super::settle;
use super::table::{NONE, Table};
use crate::flow::Speech;
use crate::packet::{Chunk, Lead, Tcp, flag};
use crate::talk::Start;
use crate::time::Timestamp;

/// Episodes of a pair that a packet is compared with, the newest first.
const RECENT: usize = 8;

/// Loose ends of one conversation, and of all, that are kept; further ones are counted.
const MAX_LOOSE: usize = 8;
const MAX_LOOSE_ENDS: usize = 1 << 17;

/// Something seen whose meaning depends on what else there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Loose {
    pub(super) time: Timestamp,
    pub(super) side: usize,
    pub(super) what: LooseEnd,
}

/// What a [`Loose`] was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LooseEnd {
    /// A reset: the number that it refuses, and the one that it probes behind.
    Reset { refusal: Option<u32>, probe: u32 },
    /// An ABORT with its verification tag.
    Abort { tag: u32 },
    /// An ICMP error quotes a packet of the side; TCP's sequence number.
    Unreachable { sequence: Option<u32> },
}

/// A TCP segment without its ports.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub(super) sequence: u32,
    pub(super) acknowledgment: u32,
    pub(super) flags: u8,
    pub(super) has_payload: bool,
    pub(super) lead: Lead,
}

impl Segment {
    #[inline]
    pub(super) fn new(tcp: &Tcp<'_>) -> Segment {
        Segment {
            sequence: tcp.sequence,
            acknowledgment: tcp.acknowledgment,
            flags: tcp.flags,
            has_payload: !tcp.payload.is_empty(),
            lead: tcp.lead,
        }
    }
}

/// A segment that waits for its turn.
#[derive(Debug, Clone, Copy)]
struct Waiting<A> {
    time: Timestamp,
    ends: Ends<A>,
    hash: u32,
    side: u8,
    segment: Segment,
}

/// Segments that wait at most: enough that their searches overlap, and few enough that what they find stays near.
pub(super) const BATCH: usize = 64;

/// All connections of one family and protocol.
#[derive(Debug)]
pub(super) struct Connections<A: Address> {
    pub(super) table: Table<Ends<A>, Episode>,
    waiting: Vec<Waiting<A>>,
    /// Room for [`Table::warm`].
    numbers: Vec<u32>,
    // Keyed hashing: whoever sends packets chooses these keys.
    pub(super) loose: HashMap<Ends<A>, Vec<Loose>>,
    loose_ends: usize,
    /// Loose ends that were not kept.
    pub(super) forgotten: u64,
}

impl<A: Address> Default for Connections<A> {
    fn default() -> Connections<A> {
        Connections {
            table: Table::default(),
            waiting: Vec::with_capacity(BATCH),
            numbers: Vec::new(),
            loose: HashMap::new(),
            loose_ends: 0,
            forgotten: 0,
        }
    }
}

impl<A: Address> Connections<A> {
    /// Rows held.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Takes a TCP segment, now or soon: nothing here depends on their order. True if it was now.
    #[inline(always)]
    pub(super) fn take(&mut self, time: Timestamp, ends: Ends<A>, side: usize, segment: Segment) -> bool {
        let hash = self.table.hash(&ends);
        self.waiting.push(Waiting { time, ends, hash, side: side as u8, segment });
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
        let mut numbers = std::mem::take(&mut self.numbers);
        self.table.warm(waiting.iter().map(|waiting| waiting.hash), &mut numbers);
        for (Waiting { time, ends, side, segment, .. }, number) in waiting.drain(..).zip(&numbers) {
            let side = usize::from(side) & 1;
            let newest = self.table.warmed(*number, &ends);
            if !newest.is_some_and(|newest| plain(newest, time, side, &segment)) {
                self.tcp(time, ends, side, &segment);
            }
        }
        (self.waiting, self.numbers) = (waiting, numbers);
    }

    /// Any TCP segment.
    #[inline(never)]
    fn tcp(&mut self, time: Timestamp, ends: Ends<A>, side: usize, segment: &Segment) {
        let (sequence, acknowledgment) = (segment.sequence, segment.acknowledgment);
        let control = segment.flags & (flag::SYN | flag::ACK | flag::RST);
        if control & flag::RST != 0 {
            let refusal = (control & flag::ACK != 0).then(|| acknowledgment.wrapping_sub(1));
            self.reset(time, ends, side, refusal, sequence.wrapping_sub(1));
        } else if control == flag::SYN {
            let episode = self.episode(time, ends, side, sequence);
            episode.open(time, segment.has_payload);
            episode.begin(side, Start::of(segment.lead));
        } else if control == flag::SYN | flag::ACK {
            self.answer(time, ends, side, acknowledgment.wrapping_sub(1), sequence);
        } else {
            self.segment(time, ends, side, segment);
        }
    }

    /// Any SCTP packet.
    pub(super) fn sctp(&mut self, time: Timestamp, ends: Ends<A>, side: usize, tag: u32, chunk: Chunk) {
        match chunk {
            Chunk::Init { tag } => self.episode(time, ends, side, tag).open(time, false),
            // RFC 9260 §3.1: the verification tag of an answer is the initiate tag of the INIT.
            Chunk::InitAck { tag: own } => self.answer(time, ends, side, tag, own),
            Chunk::Abort => self.abort(time, ends, side, tag),
            Chunk::Other => self.chunk(time, ends, side),
        }
    }

    /// The number of the newest of the recent episodes that `fits`.
    fn recent(&self, ends: &Ends<A>, fits: impl Fn(&Episode) -> bool) -> Option<u32> {
        let mut number = self.table.newest(ends)?;
        for _ in 0..RECENT {
            let episode = self.table.get(number).1;
            if fits(episode) {
                return Some(number);
            }
            number = episode.next;
            if number == NONE {
                break;
            }
        }
        None
    }

    /// A new episode of the sockets.
    fn push(&mut self, time: Timestamp, ends: Ends<A>, client: Option<(usize, u32)>) -> u32 {
        let mut episode = Episode::new(client, time, NONE);
        if let Some(number) = self.table.newest(&ends) {
            let newest = self.table.at(number);
            newest.set_older();
            if newest.has_loose() {
                episode.set_loose();
            }
            episode.next = number;
        }
        self.table.push(ends, episode)
    }

    /// The episode that `side` opened with `number`, made where there is none.
    fn episode(&mut self, time: Timestamp, ends: Ends<A>, side: usize, number: u32) -> &mut Episode {
        let client = Some((side, number));
        let at = self.recent(&ends, |episode| episode.client() == client);
        let at = at.unwrap_or_else(|| self.push(time, ends, client));
        self.table.at(at)
    }

    fn answer(&mut self, time: Timestamp, ends: Ends<A>, side: usize, number: u32, own: u32) {
        self.episode(time, ends, other(side), number).answer(time, own);
    }

    /// A reset of TCP. A server refuses by acknowledging exactly the SYN; a probing client resets right behind its SYN.
    fn reset(&mut self, time: Timestamp, ends: Ends<A>, side: usize, refusal: Option<u32>, probe: u32) {
        if let Some(number) = refusal
            && let Some(at) = self.recent(&ends, |episode| episode.client() == Some((other(side), number)))
        {
            self.table.at(at).refuse(time);
        } else if let Some(at) = self.recent(&ends, |episode| episode.client() == Some((side, probe))) {
            self.table.at(at).probe(time);
        } else if let Some(episode) = self.open_at(&ends, time)
            && (episode.is_within(side, probe) || refusal.is_some_and(|number| episode.is_within(other(side), number)))
        {
            episode.reset(time, side);
        } else {
            self.loosen(ends, Loose { time, side, what: LooseEnd::Reset { refusal, probe } });
        }
    }

    /// An ABORT of SCTP; the verification tag is the receiver's.
    fn abort(&mut self, time: Timestamp, ends: Ends<A>, side: usize, tag: u32) {
        match self.open_at(&ends, time) {
            Some(episode) if episode.client().is_some_and(|(client, _)| episode.spoke(client)) => {
                episode.reset(time, side)
            }
            _ => self.loosen(ends, Loose { time, side, what: LooseEnd::Abort { tag } }),
        }
    }

    /// An ICMP error quotes a packet of `side`. The quote of an SCTP packet ends before the initiate tag.
    pub(super) fn unreachable(&mut self, time: Timestamp, ends: Ends<A>, side: usize, sequence: Option<u32>) {
        let quoted = |episode: &Episode| {
            episode.client().is_some_and(|(client, number)| client == side && sequence.is_none_or(|it| it == number))
        };
        if let Some(at) = self.recent(&ends, quoted) {
            self.table.at(at).refuse(time);
        } else if !self
            .open_at(&ends, time)
            .is_some_and(|episode| sequence.is_none_or(|number| episode.is_within(side, number)))
        {
            self.loosen(ends, Loose { time, side, what: LooseEnd::Unreachable { sequence } });
        }
    }

    /// The connection that is open at `time`: what comes then ends it and refuses nothing, whatever else was or will be
    /// seen.
    fn open_at(&mut self, ends: &Ends<A>, time: Timestamp) -> Option<&mut Episode> {
        let number = self.table.newest(ends)?;
        let newest = self.table.at(number);
        newest.answered().is_some_and(|answered| answered <= time).then_some(newest)
    }

    /// Keeps something for later.
    fn loosen(&mut self, ends: Ends<A>, loose: Loose) {
        let newest = self.table.newest(&ends).unwrap_or_else(|| self.push(Timestamp::MAX, ends, None));
        self.table.at(newest).set_loose();
        let room = self.loose_ends < MAX_LOOSE_ENDS;
        let known = self.loose.entry(ends).or_default();
        if known.contains(&loose) {
            return;
        }
        if room && known.len() < MAX_LOOSE {
            known.push(loose);
            self.loose_ends += 1;
        } else {
            self.forgotten += 1;
        }
    }

    /// An episode for what is older than every opening that was seen, belongs to one that is still to come, or probes
    /// something else.
    ///
    /// Which it is shows once nothing can overtake it any more. Until then it stays apart from what came long before,
    /// so there are two at most, and the younger one is added to what it belongs to before it begins anew.
    fn unseen(&mut self, time: Timestamp, ends: Ends<A>) -> u32 {
        if let Some(empty) = self.recent(&ends, Episode::is_empty) {
            self.table.at(empty).begin_anew(time);
            return empty;
        }
        let Some(one) = self.recent(&ends, |episode| episode.client().is_none()) else {
            return self.push(time, ends, None);
        };
        let newest = self.table.get(one).1.first();
        let Some(two) = self.recent(&ends, |episode| episode.client().is_none() && episode.first() != newest) else {
            return self.push(time, ends, None);
        };
        let (older, younger) = if newest < self.table.get(two).1.first() { (one, two) } else { (two, one) };
        let finished = *self.table.get(younger).1;
        if time < finished.first() {
            return older;
        }
        let opened = self.recent(&ends, |episode| episode.client().is_some() && settle::owns(episode, &finished));
        self.table.at(opened.unwrap_or(older)).join(&finished);
        self.table.at(younger).begin_anew(time);
        younger
    }

    fn segment(&mut self, time: Timestamp, ends: Ends<A>, side: usize, segment: &Segment) {
        // To which unanswered opening it belongs shows when all is there.
        let fits = |episode: &Episode| match episode.client() {
            None => episode.is_near(time),
            Some(_) => time >= episode.first() && episode.is_answered() && episode.is_within(side, segment.sequence),
        };
        let at = self.recent(&ends, fits).unwrap_or_else(|| self.unseen(time, ends));
        let episode = self.table.at(at);
        episode.touch(time);
        if episode.is_answered() {
            episode.reaches(side, segment.sequence);
            if episode.begins(side, segment.sequence) {
                episode.begin(side, Start::of(segment.lead));
            }
        } else if segment.flags & flag::ACK != 0 {
            episode.name(side, segment.sequence, segment.acknowledgment);
            if episode.is_lowest(side, segment.sequence) {
                episode.begin(side, Start::of(segment.lead));
            }
        }
        // RFC 9293 §3.4: every segment of an open connection acknowledges.
        if segment.flags & flag::ACK != 0 {
            episode.speak(time, side, segment.has_payload, segment.flags & flag::FIN != 0);
            episode.hear(side, Speech::of(segment.lead));
        }
    }

    fn chunk(&mut self, time: Timestamp, ends: Ends<A>, side: usize) {
        let fits = |episode: &Episode| match episode.client() {
            None => episode.is_near(time),
            Some(_) => time >= episode.first(),
        };
        let at = self.recent(&ends, fits).unwrap_or_else(|| self.unseen(time, ends));
        self.table.at(at).speak(time, side, true, false);
    }

    /// Hands the episodes of each pair of sockets to `take`, settled, with the number of their row where they are as they
    /// stand there. Returns which rows it did not take, for [`Connections::retain`].
    pub(super) fn settle(&self, mut take: impl FnMut(&Ends<A>, &[Episode], Option<u32>) -> bool) -> Vec<bool> {
        let mut keep = vec![false; self.table.len()];
        let mut chain: Vec<(u32, Episode)> = Vec::new();
        for number in 0..self.table.len() as u32 {
            let (ends, newest) = self.table.get(number);
            if newest.is_older() {
                continue;
            }
            if newest.next == NONE && !newest.has_loose() {
                keep[number as usize] = !take(ends, std::slice::from_ref(newest), Some(number));
                continue;
            }
            chain.clear();
            let mut next = number;
            while next != NONE {
                let episode = *self.table.get(next).1;
                chain.push((next, episode));
                next = episode.next;
            }
            let loose = self.loose.get(ends).map_or(&[][..], Vec::as_slice);
            let settled = settle::settle(chain.iter().map(|(_, episode)| *episode).collect(), loose);
            if !take(ends, &settled, None) {
                chain.iter().for_each(|(number, _)| keep[*number as usize] = true);
            }
        }
        keep
    }

    /// Forgets the rows that `keep` does not hold.
    pub(super) fn retain(&mut self, keep: &[bool]) {
        self.table.retain(keep, |episode| (!episode.is_older(), &mut episode.next));
        let table = &self.table;
        self.loose.retain(|ends, _| table.newest(ends).is_some());
        self.loose_ends = self.loose.values().map(Vec::len).sum();
    }

    /// A row.
    pub(super) fn row(&self, number: u32) -> (&Ends<A>, &Episode) {
        self.table.get(number)
    }

    /// All episodes.
    pub(super) fn episodes(&self) -> impl Iterator<Item = (&Ends<A>, &Episode)> {
        self.table.iter()
    }
}

/// Takes a segment that opens, answers and resets nothing, and belongs to the newest episode of its sockets: almost all
/// packets of a capture. False, and nothing done, where it is not so. Does what [`Connections::tcp`] would.
#[inline(always)]
fn plain(newest: &mut Episode, time: Timestamp, side: usize, segment: &Segment) -> bool {
    // One that was the newest when the batch began may have become older.
    if segment.flags & (flag::SYN | flag::RST | flag::ACK) != flag::ACK || newest.is_older() {
        return false;
    }
    if newest.is_answered() {
        if time < newest.first() || !newest.reaches(side, segment.sequence) {
            return false;
        }
        if newest.begins(side, segment.sequence) {
            newest.begin(side, Start::of(segment.lead));
        }
        newest.go_on(time, side, segment.has_payload, segment.flags & flag::FIN != 0);
    } else {
        if newest.client().is_some() || !newest.is_near(time) {
            return false;
        }
        newest.name(side, segment.sequence, segment.acknowledgment);
        if newest.is_lowest(side, segment.sequence) {
            newest.begin(side, Start::of(segment.lead));
        }
        newest.hear(side, Speech::of(segment.lead));
        newest.speak(time, side, segment.has_payload, segment.flags & flag::FIN != 0);
    }
    true
}
