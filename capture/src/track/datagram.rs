//! UDP conversations: one per 5-tuple, however long it is idle.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

use super::reorder::Waiting;
use super::{DnsRole, Event, HIGH, LOW, Pair};
use crate::flow::{Flow, Opening, Outcome, Proof};
use crate::time::{SECOND, Timestamp};

/// So many datagrams of a side are told apart; further ones add nothing that anybody asks for.
const TOLD_APART: usize = 4;

/// Copies of one datagram at several capture points are at most about this far apart, in nanoseconds.
const COPIES: i64 = SECOND / 20;

#[derive(Debug)]
struct Conversation {
    /// First datagram of each side; `MAX` where it sent none.
    first: [Timestamp; 2],
    last: Timestamp,
    sent: [bool; 2],
    /// Marks of different datagrams of each side and file, [`TOLD_APART`] of each at most.
    marks: [Vec<(u16, u64)>; 2],
    /// An ICMP error quoted a datagram of this side.
    refused: [bool; 2],
    asked: [bool; 2],
    answered: [bool; 2],
}

/// All UDP conversations.
#[derive(Debug, Default)]
pub(super) struct Datagrams {
    conversations: HashMap<Pair, Conversation>,
}

impl Datagrams {
    pub(super) fn take(&mut self, waiting: &Waiting) {
        let Waiting { time, side, source, .. } = *waiting;
        let conversation = self.conversation(waiting.pair);
        conversation.last = time.max(conversation.last);
        match waiting.event {
            Event::Datagram { mark, dns } => {
                conversation.first[side] = time.min(conversation.first[side]);
                conversation.sent[side] = true;
                conversation.asked[side] |= dns == Some(DnsRole::Query);
                conversation.answered[side] |= dns == Some(DnsRole::Response);
                let marks = &mut conversation.marks[side];
                let of_source = marks.iter().filter(|(other, _)| *other == source).count();
                if of_source < TOLD_APART && !marks.contains(&(source, mark)) {
                    marks.push((source, mark));
                }
            }
            Event::Unreachable { .. } => conversation.refused[side] = true,
            Event::Tcp { .. } | Event::Sctp { .. } => {}
        }
    }

    fn conversation(&mut self, pair: Pair) -> &mut Conversation {
        self.conversations.entry(pair).or_insert_with(|| Conversation {
            first: [Timestamp::MAX; 2],
            last: Timestamp::MIN,
            sent: [false; 2],
            marks: [Vec::new(), Vec::new()],
            refused: [false; 2],
            asked: [false; 2],
            answered: [false; 2],
        })
    }

    /// Adds the flows; returns how many conversations showed nothing but ICMP errors.
    pub(super) fn finish(self, flows: &mut Vec<Flow>) -> u64 {
        let mut remnants = 0;
        for (pair, conversation) in self.conversations {
            if conversation.sent == [false, false] {
                remnants += 1;
            } else {
                flows.push(flow(&pair, &conversation));
            }
        }
        remnants
    }
}

/// The same for copies of a datagram, different for most others. Copies on both sides of a tick differ, so one datagram
/// can count as two, but not as three.
pub(super) fn mark(time: Timestamp, payload: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    time.0.div_euclid(COPIES).hash(&mut hasher);
    payload[..payload.len().min(64)].hash(&mut hasher);
    hasher.finish()
}

/// How many different datagrams there were at least: clocks of files differ, so each file counts for itself.
fn different(marks: &[(u16, u64)]) -> u32 {
    let count = |source: u16| marks.iter().filter(|(other, _)| *other == source).count();
    marks.iter().map(|(source, _)| count(*source) as u32).max().unwrap_or_default()
}

fn flow(pair: &Pair, conversation: &Conversation) -> Flow {
    // RFC 1035 §4.1.1: QR is clear in a query. Otherwise the first sender is the client.
    let client = match (conversation.asked, conversation.answered) {
        ([true, false], [false, _]) | ([false, false], [false, true]) => LOW,
        ([false, true], [_, false]) | ([false, false], [true, false]) => HIGH,
        _ if conversation.first[LOW] <= conversation.first[HIGH] => LOW,
        _ => HIGH,
    };
    let (from, to) = if client == LOW { (pair.low, pair.high) } else { (pair.high, pair.low) };
    let outcome = match conversation.sent {
        [false, _] | [_, false] if conversation.refused[client] && conversation.sent[client] => Outcome::Refused,
        [false, _] | [_, false] => Outcome::OneWay,
        _ => Outcome::Answered,
    };
    Flow {
        protocol: pair.protocol,
        opening: Opening::Seen { client: from, dialled: to, served: None, proof: Proof::FirstPacket, identity: 0 },
        outcome,
        first: conversation.first[LOW].min(conversation.first[HIGH]),
        last: conversation.last,
        latency: None,
        datagrams: different(&conversation.marks[client]),
        dns: conversation.asked != [false; 2] || conversation.answered != [false; 2],
    }
}
