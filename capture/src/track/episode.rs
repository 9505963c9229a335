//! What was seen of one connection or association between one pair of sockets.

use super::ends::{HIGH, LOW};
use crate::flow::{Outcome, Speech};
use crate::talk::{Start, Talks};
use crate::time::{SECOND, Timestamp};

/// This many segments of one side without payload are a connection of which only that side was captured; fewer are a
/// probe. Nobody asks for more.
const SEGMENTS: u16 = 3;

/// A packet comes this much too late at most, in nanoseconds.
const LATE: i64 = 2 * SECOND;

/// The segments of one connection follow each other closer than this, but for gaps in the capture; and a client that uses
/// its ports again half a second later chooses a number that is further away (RFC 9293 §3.4.1: a step in 4 µs).
const REACH: u32 = 1 << 17;

/// Yes or no, many of them.
mod mark {
    pub(super) const SEEN_OPENING: u16 = 1;
    pub(super) const CLIENT_IS_HIGH: u16 = 2;
    pub(super) const REFUSED: u16 = 4;
    pub(super) const PROBING: u16 = 8;
    pub(super) const PAYLOAD: u16 = 16;
    pub(super) const OLDER: u16 = 32;
    pub(super) const LOOSE: u16 = 64;
    /// FIN, or a reset behind the handshake, of each side.
    pub(super) const FINISHED: [u16; 2] = [128, 256];
    pub(super) const REQUEST: [u16; 2] = [512, 1024];
    pub(super) const RESPONSE: [u16; 2] = [2048, 4096];
    pub(super) const RESET: u16 = 8192;
    pub(super) const OPENED_WITH_DATA: u16 = 16384;
    pub(super) const COUNTED: u16 = 32768;
}

/// One connection between one pair of sockets: 48 bytes, and every operation on it commutes with every other, so that
/// the order in which packets come decides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Episode {
    pub(super) last: Timestamp,
    /// Of the first SYN (INIT), `MAX` where none was seen. Where nobody was seen opening it, of the first packet.
    opened: Timestamp,
    /// `MAX` where no SYN-ACK (INIT ACK) was seen.
    answered: Timestamp,
    /// Initial sequence number or initiate tag of each side: the client's, 0 where nobody was seen opening it; the
    /// server's is that of its first answer.
    initial: [u32; 2],
    /// About the highest sequence number of each side; where nobody was seen opening it, the lowest that a segment of
    /// either side named.
    reached: [u32; 2],
    /// The next older episode of the same sockets, in their table.
    pub(super) next: u32,
    marks: u16,
    /// Of each side: the number of segments that belong to an open connection, up to [`SEGMENTS`], in two bits, which is no
    /// more than whether there are any where somebody was seen opening it; and what its first bytes are, in [`Start::BITS`]. The first bytes are those behind the initial number; where nobody was seen
    /// opening it, those at the lowest number.
    said: u16,
}

/// Where [`Episode::said`] holds the number of each side's segments.
const SPOKE: [u32; 2] = [0, 2];
/// And where its first bytes.
const START: [u32; 2] = [4, 4 + Start::BITS];
const START_MASK: u16 = (1 << Start::BITS) - 1;

impl Episode {
    /// The end that opened it and its number; `None` where nobody was seen opening it. At `MAX` it only holds the place
    /// of what is to come.
    pub(super) fn new(client: Option<(usize, u32)>, time: Timestamp, next: u32) -> Episode {
        let (marks, initial) = match client {
            None => (0, [0, 0]),
            Some((LOW, number)) => (mark::SEEN_OPENING, [number, 0]),
            Some((_, number)) => (mark::SEEN_OPENING | mark::CLIENT_IS_HIGH, [0, number]),
        };
        Episode {
            last: if time == Timestamp::MAX { Timestamp::MIN } else { time },
            opened: if client.is_none() { time } else { Timestamp::MAX },
            answered: Timestamp::MAX,
            initial,
            reached: [0; 2],
            next,
            marks,
            said: 0,
        }
    }

    /// The end that opened it, and its number.
    #[inline]
    pub(super) fn client(&self) -> Option<(usize, u32)> {
        match self.marks & (mark::SEEN_OPENING | mark::CLIENT_IS_HIGH) {
            0 => None,
            mark::SEEN_OPENING => Some((LOW, self.initial[LOW])),
            _ => Some((HIGH, self.initial[HIGH])),
        }
    }

    /// The side that did not open it.
    fn server(&self) -> usize {
        if self.marks & mark::CLIENT_IS_HIGH == 0 { HIGH } else { LOW }
    }

    /// When the opening was seen.
    pub(super) fn opened(&self) -> Option<Timestamp> {
        (self.opened != Timestamp::MAX && self.client().is_some()).then_some(self.opened)
    }

    /// When it was answered.
    pub(super) fn answered(&self) -> Option<Timestamp> {
        (self.answered != Timestamp::MAX).then_some(self.answered)
    }

    #[inline]
    pub(super) fn is_answered(&self) -> bool {
        self.answered != Timestamp::MAX
    }

    /// The server's own number; of no meaning where it was not answered.
    pub(super) fn server_number(&self) -> u32 {
        self.initial[self.server()]
    }

    /// When the handshake began, as far as it was seen; where nobody was seen opening it, the first packet.
    #[inline]
    pub(super) fn first(&self) -> Timestamp {
        self.opened.min(self.answered)
    }

    #[inline]
    pub(super) fn touch(&mut self, time: Timestamp) {
        self.last = self.last.max(time);
        if self.marks & mark::SEEN_OPENING == 0 {
            self.opened = self.opened.min(time);
        }
    }

    /// A SYN or INIT; a SYN may carry payload (RFC 7413), and then its answer acknowledges more than the number.
    pub(super) fn open(&mut self, time: Timestamp, with_data: bool) {
        self.marks |= if with_data { mark::OPENED_WITH_DATA } else { 0 };
        self.opened = self.opened.min(time);
        self.touch(time);
    }

    /// Whether a segment's number lies in reach of those that its side has used: not, and the segment may be of another
    /// connection between the same sockets, or behind a gap.
    #[inline]
    pub(super) fn is_within(&self, side: usize, sequence: u32) -> bool {
        sequence.wrapping_sub(self.reached[side]).wrapping_add(REACH) < 2 * REACH
    }

    /// [`Episode::is_within`], and from there further on.
    #[inline]
    pub(super) fn reaches(&mut self, side: usize, sequence: u32) -> bool {
        let is_within = self.is_within(side, sequence);
        if is_within && sequence.wrapping_sub(self.reached[side]) < REACH {
            self.reached[side] = sequence;
        }
        is_within
    }

    /// Whether an acknowledgment of `number` may answer the payload of the SYN that `side` opened it with.
    pub(super) fn is_answered_by(&self, side: usize, number: u32) -> bool {
        let behind = number.wrapping_sub(self.initial[side]);
        self.marks & mark::OPENED_WITH_DATA != 0
            && self.client().is_some_and(|(client, _)| client == side)
            && (1..=u32::from(u16::MAX)).contains(&behind)
    }

    /// Notes the numbers that a segment names of an episode that nobody was seen opening.
    #[inline]
    pub(super) fn name(&mut self, side: usize, sequence: u32, acknowledgment: u32) {
        for (side, number) in [(side, sequence), (side ^ 1, acknowledgment)] {
            let lower = number.wrapping_sub(self.reached[side]) > u32::MAX / 2;
            if lower || !self.is_spoken() {
                self.reached[side] = number;
                // What was heard so far came later.
                self.said &= !(START_MASK << START[side]);
            }
        }
    }

    /// Whether a segment of an answered episode holds its side's first bytes.
    #[inline]
    pub(super) fn begins(&self, side: usize, sequence: u32) -> bool {
        sequence.wrapping_sub(self.initial[side]) == 1
    }

    /// Whether a segment that was [named](Episode::name) is the first of its side, as far as is known.
    #[inline]
    pub(super) fn is_lowest(&self, side: usize, sequence: u32) -> bool {
        self.reached[side] == sequence
    }

    /// What the first bytes of a side are. Of several that begin at one number the one that says more.
    #[inline]
    pub(super) fn begin(&mut self, side: usize, start: Start) {
        if start as u16 > self.said >> START[side] & START_MASK {
            self.said = self.said & !(START_MASK << START[side]) | (start as u16) << START[side];
        }
    }

    /// What was known of a side's first bytes.
    #[inline]
    pub(super) fn start(&self, side: usize) -> Start {
        Start::from_bits(self.said >> START[side] & START_MASK)
    }

    /// How far behind the client's initial number the lowest of `unseen` is.
    pub(super) fn distance(&self, unseen: &Episode) -> u32 {
        let (client, number) = self.client().unwrap_or((LOW, 0));
        unseen.reached[client].wrapping_sub(number.wrapping_add(1))
    }

    pub(super) fn answer(&mut self, time: Timestamp, number: u32) {
        // Of two answers with different numbers the first counts, whichever came first.
        let server = self.server();
        if (time, number) < (self.answered, self.initial[server]) {
            (self.answered, self.initial[server]) = (time, number);
            self.reached = self.initial;
        }
        self.touch(time);
    }

    /// A segment or chunk of an open connection.
    #[inline]
    pub(super) fn speak(&mut self, time: Timestamp, side: usize, payload: bool, finished: bool) {
        self.touch(time);
        if self.client().is_some() {
            return self.go_on(time, side, payload, finished);
        }
        self.said += u16::from(self.spoken(side) < SEGMENTS) << SPOKE[side];
        self.mark(side, payload, finished);
    }

    /// The same of one that somebody was seen opening: of that nobody asks how many segments there were.
    #[inline]
    pub(super) fn go_on(&mut self, time: Timestamp, side: usize, payload: bool, finished: bool) {
        self.last = self.last.max(time);
        self.said |= 1 << SPOKE[side];
        self.mark(side, payload, finished);
    }

    #[inline]
    fn mark(&mut self, side: usize, payload: bool, finished: bool) {
        self.marks |= if payload { mark::PAYLOAD } else { 0 } | if finished { mark::FINISHED[side] } else { 0 };
    }

    /// Segments of a side, up to [`SEGMENTS`].
    #[inline]
    fn spoken(&self, side: usize) -> u16 {
        self.said >> SPOKE[side] & SEGMENTS
    }

    /// Whether a side spoke behind the handshake.
    pub(super) fn spoke(&self, side: usize) -> bool {
        self.spoken(side) != 0
    }

    #[inline]
    pub(super) fn is_spoken(&self) -> bool {
        self.spoke(LOW) || self.spoke(HIGH)
    }

    /// What the first bytes of a segment say about their sender.
    pub(super) fn hear(&mut self, side: usize, speech: Speech) {
        self.marks |= if speech.request { mark::REQUEST[side] } else { 0 };
        self.marks |= if speech.response { mark::RESPONSE[side] } else { 0 };
    }

    pub(super) fn speech(&self, side: usize) -> Speech {
        Speech { request: self.marks & mark::REQUEST[side] != 0, response: self.marks & mark::RESPONSE[side] != 0 }
    }

    /// The application protocols that the first bytes of both sides show. In the middle of a connection only what means
    /// the same anywhere counts.
    pub(super) fn talk(&self) -> Talks {
        if self.said >> START[LOW] == 0 {
            return Talks::default();
        }
        let said = [self.start(LOW), self.start(HIGH)];
        Talks::of(if self.client().is_some() { said } else { said.map(Start::anywhere) })
    }

    pub(super) fn refuse(&mut self, time: Timestamp) {
        self.marks |= mark::REFUSED;
        self.touch(time);
    }

    pub(super) fn is_refused(&self) -> bool {
        self.marks & mark::REFUSED != 0
    }

    /// The client reset at its first number: it was probing.
    pub(super) fn probe(&mut self, time: Timestamp) {
        self.marks |= mark::PROBING;
        self.touch(time);
    }

    /// One that had ended what it sent was not: its kernel resets at the first number too where the other side's FIN crosses
    /// its own reset or FIN (RFC 9293 §3.10.7.1: the number is that of the acknowledgment).
    pub(super) fn is_probing(&self) -> bool {
        self.marks & mark::PROBING != 0 && self.client().is_none_or(|(client, _)| !self.is_finished(client))
    }

    /// A reset or abort of an open connection by a side, which is done with it.
    pub(super) fn reset(&mut self, time: Timestamp, side: usize) {
        self.marks |= mark::RESET | mark::FINISHED[side];
        self.touch(time);
    }

    /// Whether no more is to come: a reset, a refusal, or a FIN of each side.
    pub(super) fn is_over(&self) -> bool {
        let both = mark::FINISHED[LOW] | mark::FINISHED[HIGH];
        self.marks & (mark::RESET | mark::REFUSED | mark::PROBING) != 0 || self.marks & both == both
    }

    /// Whether a side is finished.
    pub(super) fn is_finished(&self, side: usize) -> bool {
        self.marks & mark::FINISHED[side] != 0
    }

    /// Notes when the same connection was last heard elsewhere, and whether it ended there.
    pub(super) fn hear_of(&mut self, last: Timestamp, finished: Option<usize>, reset: bool) {
        self.last = self.last.max(last);
        self.marks |= finished.map_or(0, |side| mark::FINISHED[side]) | if reset { mark::RESET } else { 0 };
    }

    /// It is in a row of a flow log.
    pub(super) fn set_counted(&mut self) {
        self.marks |= mark::COUNTED;
    }

    pub(super) fn is_counted(&self) -> bool {
        self.marks & mark::COUNTED != 0
    }

    /// Becomes what several rows together showed, at its own place in the chain.
    pub(super) fn become_settled(&mut self, settled: &Episode) {
        const PLACE: u16 = mark::OLDER | mark::LOOSE;
        let marks = settled.marks & !PLACE | self.marks & PLACE;
        *self = Episode { marks, next: self.next, ..*settled };
    }

    /// A newer episode of the same sockets leads to this one.
    pub(super) fn set_older(&mut self) {
        self.marks |= mark::OLDER;
    }

    pub(super) fn is_older(&self) -> bool {
        self.marks & mark::OLDER != 0
    }

    /// Something was seen that only all packets together explain.
    pub(super) fn set_loose(&mut self) {
        self.marks |= mark::LOOSE;
    }

    pub(super) fn has_loose(&self) -> bool {
        self.marks & mark::LOOSE != 0
    }

    /// Whether a packet at `time` cannot be told from those of this episode by its time alone.
    pub(super) fn is_near(&self, time: Timestamp) -> bool {
        self.first().plus(-LATE) <= time && time <= self.last.plus(LATE)
    }

    /// Whether a reset was seen.
    pub(super) fn is_reset(&self) -> bool {
        self.marks & mark::RESET != 0
    }

    /// Whether nothing was seen of it: what is loose had no episode to belong to.
    pub(super) fn is_empty(&self) -> bool {
        self.client().is_none() && self.opened == Timestamp::MAX
    }

    /// Starts over as an episode that nobody was seen opening, in its place of the chain.
    pub(super) fn begin_anew(&mut self, time: Timestamp) {
        let kept = self.marks & (mark::OLDER | mark::LOOSE);
        *self = Episode { marks: kept, ..Episode::new(None, time, self.next) };
    }

    /// Takes in what another row showed of the same connection.
    pub(super) fn join(&mut self, other: &Episode) {
        self.touch(other.last);
        if self.client().is_some() == other.client().is_some() {
            self.opened = self.opened.min(other.opened);
        }
        let server = self.server();
        let answer = |episode: &Episode| (episode.answered, episode.server_number());
        if answer(other) < answer(self) {
            (self.answered, self.initial[server]) = answer(other);
        }
        if self.client().is_none() && other.is_spoken() {
            self.name(LOW, other.reached[LOW], other.reached[HIGH]);
        }
        for side in [LOW, HIGH] {
            // What nobody was seen opening knows only its lowest number.
            let same = match (self.client(), other.client()) {
                (Some(_), Some(_)) => true,
                (None, _) => self.is_lowest(side, other.reached[side]),
                (Some((client, _)), None) => {
                    (side == client || self.is_answered()) && self.begins(side, other.reached[side])
                }
            };
            if same {
                self.begin(side, other.start(side));
            }
            let spoken = (self.spoken(side) + other.spoken(side)).min(SEGMENTS);
            self.said = self.said & !(SEGMENTS << SPOKE[side]) | spoken << SPOKE[side];
        }
        self.marks |= other.marks & !(mark::SEEN_OPENING | mark::CLIENT_IS_HIGH | mark::OLDER | mark::LOOSE);
    }

    pub(super) fn outcome(&self) -> Outcome {
        let works = match self.client() {
            Some(_) => (self.is_answered() || self.is_spoken()) && !self.is_probing(),
            None => {
                self.marks & mark::PAYLOAD != 0
                    || self.spoke(LOW) && self.spoke(HIGH)
                    || [LOW, HIGH].into_iter().any(|side| self.spoken(side) >= SEGMENTS)
            }
        };
        if works {
            Outcome::Established
        } else if self.is_refused() || self.is_probing() || self.client().is_none() && self.is_reset() {
            Outcome::Refused
        } else {
            Outcome::Unanswered
        }
    }
}
