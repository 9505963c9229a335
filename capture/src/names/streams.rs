//! DNS over TCP (RFC 1035 §4.2.2).

use std::collections::{BTreeMap, HashMap};

use super::Dns;
use super::dns::whole;
use crate::flow::Socket;

/// Streams that are put together at a time. Of those given up the answers are read only where one segment holds the
/// whole message.
const MAX_STREAMS: usize = 4096;

/// Bytes of messages that wait for their rest, in all streams together.
const MAX_PENDING: usize = 4 << 20;

/// Messages with their length in front, several on one connection, cut into segments anywhere.
#[derive(Debug, Default)]
pub struct DnsStreams {
    streams: HashMap<(Socket, Socket), Stream>,
    /// The streams by when they last had a segment: the one that has been silent for longest is given up first.
    turns: BTreeMap<u64, (Socket, Socket)>,
    turn: u64,
    pending: usize,
}

#[derive(Debug)]
struct Stream {
    next: u32,
    turn: u64,
    pending: Vec<u8>,
}

impl DnsStreams {
    /// Takes a segment of a resolver to a client; returns the messages that it completes. Segments seen before, as at a
    /// second capture point, add nothing. After a gap reading starts anew at the next segment that begins a message.
    pub fn take(&mut self, from: Socket, to: Socket, sequence: u32, payload: &[u8]) -> Vec<Dns> {
        if payload.is_empty() {
            return Vec::new();
        }
        self.turn += 1;
        let fresh = || Stream { next: sequence, turn: 0, pending: Vec::new() };
        let stream = self.streams.entry((from, to)).or_insert_with(fresh);
        self.turns.remove(&std::mem::replace(&mut stream.turn, self.turn));
        self.turns.insert(self.turn, (from, to));
        // Serial arithmetic: how far the segment lies behind what is expected next.
        let behind = stream.next.wrapping_sub(sequence);
        if behind != 0 && behind < 1 << 31 {
            return Vec::new();
        }
        self.pending -= stream.pending.len();
        if behind != 0 {
            stream.pending.clear();
        }
        stream.next = sequence.wrapping_add(payload.len() as u32);
        stream.pending.extend_from_slice(payload);
        let messages = messages(&mut stream.pending);
        self.pending += stream.pending.len();
        while self.turns.len() > MAX_STREAMS || self.pending > MAX_PENDING {
            self.give_up();
        }
        messages
    }

    fn give_up(&mut self) {
        if let Some((_, key)) = self.turns.pop_first()
            && let Some(stream) = self.streams.remove(&key)
        {
            self.pending -= stream.pending.len();
        }
    }
}

/// Takes the messages that are complete out of `pending`.
fn messages(pending: &mut Vec<u8>) -> Vec<Dns> {
    let mut messages = Vec::new();
    let mut rest = pending.as_slice();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let Some((message, behind)) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length))) else { break };
        match whole(message) {
            Some(message) => messages.push(message),
            // Reading did not start at a message.
            None => {
                rest = &[];
                break;
            }
        }
        rest = behind;
    }
    let taken = pending.len() - rest.len();
    pending.drain(..taken);
    messages
}
