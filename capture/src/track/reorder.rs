//! Packets back in the order of their times.
//!
//! Interfaces of one capture are written one after the other, and files are merged by clocks that differ: a packet may
//! come up to [`WINDOW`] late. Everything that a conversation is decided by waits that long, so that arrival decides
//! nothing.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::{Event, Pair};
use crate::time::{SECOND, Timestamp};

/// How late a packet may come, in nanoseconds.
const WINDOW: i64 = 2 * SECOND;

/// Packets that wait at most, about 100 bytes each. Where a capture holds more in two seconds, the oldest go early and
/// are counted.
const CAPACITY: usize = 1 << 17;

/// A packet this far from the end of the queue is cheaper to keep apart.
const NEAR: usize = 256;

/// One packet that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Waiting {
    pub(super) time: Timestamp,
    pub(super) pair: Pair,
    /// Which end of the pair sent it.
    pub(super) side: usize,
    pub(super) event: Event,
    /// The number of the capture file.
    pub(super) source: u16,
}

/// The packets that wait, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Reorder {
    queue: VecDeque<Waiting>,
    late: BinaryHeap<Reverse<Waiting>>,
    latest: Option<Timestamp>,
    hurried: u64,
}

impl Reorder {
    /// Takes one packet.
    pub(super) fn push(&mut self, waiting: Waiting) {
        self.latest = self.latest.max(Some(waiting.time));
        match self.queue.back() {
            Some(last) if *last > waiting => {
                let at = self.queue.partition_point(|known| *known <= waiting);
                if self.queue.len() - at <= NEAR {
                    self.queue.insert(at, waiting);
                } else {
                    self.late.push(Reverse(waiting));
                }
            }
            _ => self.queue.push_back(waiting),
        }
    }

    /// Packets that went before the window was over.
    pub(super) fn hurried(&self) -> u64 {
        self.hurried
    }

    /// The next packet that nothing can overtake any more; the rest too once `finished`.
    pub(super) fn pop(&mut self, finished: bool) -> Option<Waiting> {
        let front = self.queue.front();
        let late = self.late.peek().map(|Reverse(waiting)| waiting);
        let next = match (front, late) {
            (Some(front), Some(late)) => front.min(late),
            (front, late) => front.or(late)?,
        };
        let safe = self.latest.is_some_and(|latest| next.time < latest.plus(-WINDOW));
        let full = self.queue.len() + self.late.len() > CAPACITY;
        let from_queue = front.is_some_and(|front| late.is_none_or(|late| front <= late));
        if !(safe || full || finished) {
            return None;
        }
        self.hurried += u64::from(full && !safe && !finished);
        if from_queue { self.queue.pop_front() } else { self.late.pop().map(|Reverse(waiting)| waiting) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::flow::Socket;
    use crate::protocol::Protocol;

    fn waiting(time: i64) -> Waiting {
        let socket = |port| Socket { ip: std::net::IpAddr::from([10, 0, 0, 1]), port };
        let pair = Pair { protocol: Protocol::Udp, low: socket(1), high: socket(2), epoch: 0 };
        Waiting { time: Timestamp(time), pair, side: 0, event: Event::Unreachable { sequence: None }, source: 0 }
    }

    proptest! {
        #[test]
        fn comes_out_sorted(delays in proptest::collection::vec(0..WINDOW, 1..600), step in 1i64..20_000_000) {
            let mut times: Vec<(i64, i64)> =
                delays.iter().enumerate().map(|(at, delay)| (at as i64 * step, at as i64 * step + delay)).collect();
            times.sort_by_key(|(_, arrival)| *arrival);
            let mut reorder = Reorder::default();
            let mut out = Vec::new();
            for (time, _) in times {
                reorder.push(waiting(time));
                while let Some(next) = reorder.pop(false) { out.push(next.time.0); }
            }
            while let Some(next) = reorder.pop(true) { out.push(next.time.0); }
            let expected: Vec<i64> = (0..delays.len() as i64).map(|at| at * step).collect();
            prop_assert_eq!(out, expected);
        }
    }
}
