//! Joins the fragments of IP packets, as far as their headers reach.
//!
//! Only the first [`HEAD`] bytes of a packet are kept: they hold the transport header, and that of a tunnel. A first
//! fragment that holds it alone yields its packet at once, and is yielded again at every further capture point, as whole
//! packets are. Later fragments wait for it.

use std::collections::{HashMap, VecDeque};

use crate::packet::{Datagram, Fragment, Ports, Skipped, Stop};
use crate::time::{SECOND, Timestamp};

/// Bytes kept of a packet.
const HEAD: usize = 256;

/// Packets remembered, and so at most a megabyte of their bytes.
const MAX_DATAGRAMS: usize = 4096;

/// How long fragments wait for each other, in nanoseconds (RFC 8200 §4.5: 60 seconds).
const PATIENCE: i64 = 60 * SECOND;

/// The packets of which fragments were seen.
#[derive(Debug, Default)]
pub(crate) struct Fragments {
    datagrams: HashMap<Datagram, Assembly>,
    /// The keys of `datagrams`, oldest first.
    order: VecDeque<(Timestamp, Datagram)>,
    /// The head of the packet that was joined last.
    joined: Vec<u8>,
    evicted: u64,
}

/// What came of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) step: Step,
    /// So many fragments before it waited, and need not any more: they end as this.
    pub(crate) released: Option<(u64, Skipped)>,
}

/// What to do with a fragment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is to be read by itself.
    Read,
    /// It completes the head of a packet of this protocol: [`Fragments::joined`].
    Joined(u8),
    /// It holds no packet.
    Skip(Skipped),
}

#[derive(Debug, Default)]
struct Assembly {
    state: State,
    head: Vec<u8>,
    /// Which bytes of `head` are there.
    there: [u64; HEAD / 64],
    /// Of the first fragment.
    protocol: Option<u8>,
    /// Length of the packet; of the last fragment.
    total: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The headers are not all there; so many fragments wait.
    Waiting(u64),
    /// A frame yielded the packet.
    Yielded,
    /// Fragments contradict each other.
    Overlapping,
}

impl Default for State {
    fn default() -> State {
        State::Waiting(0)
    }
}

impl Fragments {
    /// Takes a fragment.
    pub(crate) fn take(&mut self, time: Timestamp, fragment: &Fragment<'_>, ports: &Ports) -> Taken {
        self.make_room(time, &fragment.datagram);
        let order = &mut self.order;
        let assembly = self.datagrams.entry(fragment.datagram).or_insert_with(|| {
            order.push_back((time, fragment.datagram));
            Assembly::default()
        });
        let taken = assembly.take(fragment, ports);
        if let Step::Joined(_) = taken.step {
            self.joined.clear();
            self.joined.extend_from_slice(assembly.prefix());
        }
        taken
    }

    /// The bytes of [`Step::Joined`].
    pub(crate) fn joined(&self) -> &[u8] {
        &self.joined
    }

    /// Packets forgotten before their time because of too many others.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Forgets what is old, and the oldest if there are too many.
    fn make_room(&mut self, time: Timestamp, datagram: &Datagram) {
        while let Some((since, oldest)) = self.order.front() {
            if time.since(*since) <= PATIENCE {
                if self.datagrams.len() < MAX_DATAGRAMS || self.datagrams.contains_key(datagram) {
                    break;
                }
                self.evicted += 1;
            }
            self.datagrams.remove(oldest);
            self.order.pop_front();
        }
    }
}

impl Assembly {
    fn take(&mut self, fragment: &Fragment<'_>, ports: &Ports) -> Taken {
        let first = fragment.offset == 0;
        let readable = |protocol, bytes: &[u8]| {
            !matches!(fragment.read(protocol, bytes, ports), Err(Stop::Skipped(Skipped::Truncated(_))))
        };
        let alone = first && readable(fragment.protocol, fragment.bytes);
        if alone && self.state == State::Yielded {
            // The same packet at another capture point, or the next one with its number.
            *self = Assembly { state: State::Yielded, ..Assembly::default() };
        }
        if self.state == State::Overlapping || !self.keep(fragment) {
            return self.contradicted();
        }
        if first {
            self.protocol = Some(fragment.protocol);
        }
        if !fragment.more {
            self.total = Some(fragment.offset as usize + fragment.length as usize);
        }
        let State::Waiting(waiting) = self.state else {
            return Taken { step: if alone { Step::Read } else { Step::Skip(Skipped::Fragment) }, released: None };
        };
        let released = Some((waiting, Skipped::Fragment));
        if alone {
            self.state = State::Yielded;
            return Taken { step: Step::Read, released };
        }
        let prefix = self.prefix();
        let complete = prefix.len() == HEAD || self.total.is_some_and(|total| prefix.len() >= total);
        if let Some(protocol) = self.protocol
            && (complete || readable(protocol, prefix))
        {
            self.state = State::Yielded;
            return Taken { step: Step::Joined(protocol), released };
        }
        if first && fragment.bytes.len() < fragment.length as usize {
            // The snap length cut it, and no other fragment has what it lacks.
            return Taken { step: Step::Read, released: None };
        }
        self.state = State::Waiting(waiting + 1);
        Taken { step: Step::Skip(Skipped::UnfinishedFragment), released: None }
    }

    /// Fragments that contradict the packet that a frame yielded are themselves wrong, else all are.
    fn contradicted(&mut self) -> Taken {
        let released = match self.state {
            State::Waiting(waiting) => {
                self.state = State::Overlapping;
                Some((waiting, Skipped::OverlappingFragment))
            }
            State::Yielded | State::Overlapping => None,
        };
        Taken { step: Step::Skip(Skipped::OverlappingFragment), released }
    }

    /// Keeps what belongs to the head; false where other bytes were there.
    fn keep(&mut self, fragment: &Fragment<'_>) -> bool {
        let start = fragment.offset as usize;
        for (at, byte) in (start..HEAD).zip(fragment.bytes) {
            if at >= self.head.len() {
                self.head.resize(at + 1, 0);
            }
            let (word, bit) = (&mut self.there[at / 64], 1 << (at % 64));
            if *word & bit != 0 && self.head[at] != *byte {
                return false;
            }
            *word |= bit;
            self.head[at] = *byte;
        }
        true
    }

    /// The bytes up to the first that is missing.
    fn prefix(&self) -> &[u8] {
        let mut length = 0;
        for word in self.there {
            length += word.trailing_ones() as usize;
            if word != u64::MAX {
                break;
            }
        }
        &self.head[..length]
    }
}

#[cfg(test)]
mod tests;
