//! UDP conversations: one per 5-tuple, however long it is idle.

use std::collections::HashMap;

use super::{HIGH, LOW, Pair};
use crate::flow::{Flow, Opening, Outcome, Proof};
use crate::names::Dns;
use crate::time::Timestamp;

#[derive(Debug)]
struct Conversation {
    /// First datagram of each side; `MAX` where it sent none.
    first: [Timestamp; 2],
    last: Timestamp,
    sent: [u32; 2],
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
    pub(super) fn datagram(&mut self, time: Timestamp, pair: Pair, side: usize, message: Option<&Dns>) {
        let conversation = self.conversation(pair);
        conversation.first[side] = time.min(conversation.first[side]);
        conversation.last = time.max(conversation.last);
        conversation.sent[side] = conversation.sent[side].saturating_add(1);
        match message {
            Some(Dns::Query) => conversation.asked[side] = true,
            Some(Dns::Response(_)) => conversation.answered[side] = true,
            None => {}
        }
    }

    /// An ICMP error quotes a datagram that `side` sent.
    pub(super) fn refused(&mut self, time: Timestamp, pair: Pair, side: usize) {
        let conversation = self.conversation(pair);
        conversation.refused[side] = true;
        conversation.last = time.max(conversation.last);
    }

    fn conversation(&mut self, pair: Pair) -> &mut Conversation {
        self.conversations.entry(pair).or_insert_with(|| Conversation {
            first: [Timestamp::MAX; 2],
            last: Timestamp::MIN,
            sent: [0; 2],
            refused: [false; 2],
            asked: [false; 2],
            answered: [false; 2],
        })
    }

    /// Adds the flows; returns how many conversations showed nothing but ICMP errors.
    pub(super) fn finish(self, flows: &mut Vec<Flow>) -> u64 {
        let mut remnants = 0;
        for (pair, conversation) in self.conversations {
            if conversation.sent == [0, 0] {
                remnants += 1;
            } else {
                flows.push(flow(&pair, &conversation));
            }
        }
        remnants
    }
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
        [0, _] | [_, 0] if conversation.refused[client] && conversation.sent[client] > 0 => Outcome::Refused,
        [0, _] | [_, 0] => Outcome::OneWay,
        _ => Outcome::Answered,
    };
    Flow {
        protocol: pair.protocol,
        opening: Opening::Seen { client: from, dialled: to, served: None, proof: Proof::FirstPacket, identity: 0 },
        outcome,
        first: conversation.first[LOW].min(conversation.first[HIGH]),
        last: conversation.last,
        latency: None,
        datagrams: conversation.sent[client],
        dns: conversation.asked != [false; 2] || conversation.answered != [false; 2],
    }
}
