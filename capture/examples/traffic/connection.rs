//! One conversation, as a row of segments that is made while it goes on.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use crate::cluster::{Socket, Talk};
use crate::random::Random;

/// TCP's flags.
pub(crate) mod flag {
    pub(crate) const FIN: u8 = 1;
    pub(crate) const SYN: u8 = 2;
    pub(crate) const RST: u8 = 4;
    pub(crate) const PSH: u8 = 8;
    pub(crate) const ACK: u8 = 16;
}
use flag::{ACK, FIN, PSH, RST, SYN};

/// Index of the sides.
pub(crate) const CLIENT: usize = 0;
pub(crate) const SERVER: usize = 1;

/// Payload of a full segment: 1500 bytes less the headers of IPv4 and TCP with timestamps.
const FULL: u16 = 1448;

/// One segment or datagram.
#[derive(Clone, Copy)]
pub(crate) struct Segment {
    /// Microseconds since the one before.
    pub(crate) delay: u32,
    /// Who sends it.
    pub(crate) side: usize,
    pub(crate) flags: u8,
    /// Bytes of payload; of DNS whether it is about IPv6.
    pub(crate) length: u16,
    /// Whether it repeats the bytes that its side sent last.
    pub(crate) again: bool,
}

/// How a conversation goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// With an opening and, mostly, an end.
    Whole,
    /// Open since before the capture.
    Running,
    Refused,
    Unanswered,
}

/// A conversation that goes on.
pub(crate) struct Connection {
    pub(crate) talk: Talk,
    pub(crate) client: Socket,
    pub(crate) dialled: Socket,
    /// The server's address behind the Service, where the capture shows it too.
    pub(crate) served: Option<Socket>,
    /// The nodes of both sides, where a copy inside VXLAN was captured as well.
    pub(crate) tunnel: Option<[Ipv4Addr; 2]>,
    pub(crate) vlan: Option<u16>,
    /// The next sequence number of each side.
    pub(crate) next: [u32; 2],
    /// How far each side was before its last segment.
    pub(crate) before: [u32; 2],
    /// What the two talk about: a number that the payload is made from.
    pub(crate) subject: u32,
    /// Whether each side has sent payload.
    pub(crate) spoken: [bool; 2],
    queue: VecDeque<Segment>,
    /// Segments to go before the end.
    budget: u32,
    /// Microseconds from the client to the server and back.
    round_trip: u32,
    /// Microseconds between segments, on average over a pause.
    pace: u32,
    bulk: bool,
    closed: bool,
}

impl Connection {
    /// A conversation about nothing yet, with random numbers at both sides.
    pub(crate) fn new(talk: Talk, client: Socket, dialled: Socket, random: &mut Random) -> Connection {
        let next = [random.next() as u32, random.next() as u32];
        Connection {
            talk,
            client,
            dialled,
            served: None,
            tunnel: None,
            vlan: None,
            next,
            before: next,
            subject: random.next() as u32,
            spoken: [false; 2],
            queue: VecDeque::new(),
            budget: 0,
            round_trip: random.between(60, 900),
            pace: 0,
            bulk: false,
            closed: false,
        }
    }

    /// Captured copies of each of its segments.
    pub(crate) fn copies(&self) -> u32 {
        1 + u32::from(self.served.is_some()) + u32::from(self.tunnel.is_some())
    }

    /// Puts the opening in the queue, and for attempts everything.
    pub(crate) fn open(&mut self, course: Course, random: &mut Random) {
        match course {
            Course::Whole => {
                self.push(0, CLIENT, SYN, 0);
                if random.chance(5) {
                    self.push_again(1_000_000 + random.below(30_000), CLIENT, SYN, 0);
                }
                self.push(self.round_trip, SERVER, SYN | ACK, 0);
                let delay = random.between(10, 60);
                self.push(delay, CLIENT, ACK, 0);
            }
            Course::Running => self.spoken = [true; 2],
            Course::Refused => {
                self.next[SERVER] = 0;
                self.push(0, CLIENT, SYN, 0);
                self.push(self.round_trip, SERVER, RST | ACK, 0);
                self.closed = true;
            }
            Course::Unanswered => {
                self.push(0, CLIENT, SYN, 0);
                self.push_again(1_000_000 + random.below(30_000), CLIENT, SYN, 0);
                self.push_again(2_000_000 + random.below(60_000), CLIENT, SYN, 0);
                self.closed = true;
            }
        }
    }

    /// Puts all of a short conversation in the queue: its exchanges with pauses that sum up to `lifetime`
    /// microseconds, and its end.
    pub(crate) fn fill_short(&mut self, lifetime: u32, random: &mut Random) {
        if self.closed {
            return;
        }
        let exchanges = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3][random.below(14) as usize];
        for number in 0..exchanges {
            let think = if number == 0 { random.between(20, 200) } else { lifetime / exchanges };
            self.exchange(think, random);
        }
        self.close(lifetime / exchanges, random);
    }

    /// Makes a long conversation of about `budget` segments over `lifetime` microseconds.
    pub(crate) fn fill_long(&mut self, budget: u32, lifetime: u64, bulk: bool, random: &mut Random) {
        self.budget = budget;
        self.pace = u32::try_from(lifetime / u64::from(budget.max(1))).unwrap_or(u32::MAX).max(1);
        self.bulk = bulk;
        // Everything begins with a request; a connection that is open already is only there if somebody says something.
        self.exchange(50, random);
    }

    /// Puts DNS in the queue: a question about IPv4, and for half of the clients at once one about IPv6.
    pub(crate) fn ask(&mut self, answered: bool, random: &mut Random) {
        let pair = random.chance(500);
        self.push(0, CLIENT, 0, 0);
        if pair {
            self.push(12, CLIENT, 0, 1);
        }
        if answered {
            self.push(self.round_trip, SERVER, 0, 0);
            if pair {
                self.push(25, SERVER, 0, 1);
            }
        }
        self.closed = true;
    }

    /// Segments in the queue.
    pub(crate) fn waiting(&self) -> u32 {
        self.queue.len() as u32
    }

    /// The next segment.
    pub(crate) fn pop(&mut self) -> Option<Segment> {
        self.queue.pop_front()
    }

    /// When the next segment comes, in microseconds from now; `None` at the end.
    pub(crate) fn wait(&mut self, random: &mut Random) -> Option<u32> {
        if self.queue.is_empty() && !self.closed && self.pace > 0 {
            self.continue_long(random);
        }
        self.queue.front().map(|segment| segment.delay)
    }

    fn continue_long(&mut self, random: &mut Random) {
        if self.budget == 0 {
            return self.close(self.pace, random);
        }
        if self.bulk {
            self.burst(random);
        } else {
            let think = random.between(self.pace.saturating_mul(2), self.pace.saturating_mul(5) + 1);
            self.exchange(think, random);
        }
        self.budget = self.budget.saturating_sub(self.waiting());
    }

    /// A request and its response.
    fn exchange(&mut self, think: u32, random: &mut Random) {
        let request = random.between(70, 700) as u16;
        self.push(think, CLIENT, PSH | ACK, request);
        if random.chance(5) {
            self.push_again(random.between(200_000, 220_000), CLIENT, PSH | ACK, request);
        }
        if random.chance(100) {
            self.push(self.round_trip, SERVER, ACK, 0);
        }
        let full = [0, 0, 0, 0, 0, 0, 0, 0, 1, 2][random.below(10) as usize];
        let delay = self.round_trip + random.below(3000);
        for _ in 0..full {
            self.push(delay / full, SERVER, ACK, FULL);
        }
        self.push(if full == 0 { delay } else { 3 }, SERVER, PSH | ACK, random.between(40, 1400) as u16);
        if random.chance(250) {
            self.push(random.between(20, 60), CLIENT, ACK, 0);
        }
    }

    /// Full segments of the server, every second one acknowledged.
    fn burst(&mut self, random: &mut Random) {
        const SEGMENTS: u32 = 16;
        let pause = self.pace.saturating_mul(SEGMENTS * 3 / 2);
        for number in 0..SEGMENTS {
            let delay = if number == 0 { random.between(pause / 2, pause / 2 * 3 + 1) } else { random.between(2, 12) };
            self.push(delay, SERVER, ACK, FULL);
            if number % 2 == 1 {
                self.push(random.between(5, 30), CLIENT, ACK, 0);
            }
        }
    }

    fn close(&mut self, pause: u32, random: &mut Random) {
        self.closed = true;
        match random.below(100) {
            // Still open when the capture ends.
            0..3 => {}
            3..9 => self.push(pause, CLIENT, RST | ACK, 0),
            kind => {
                let (one, other) = if kind < 80 { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
                self.push(pause, one, FIN | ACK, 0);
                self.push(self.round_trip, other, FIN | ACK, 0);
                self.push(20, one, ACK, 0);
            }
        }
    }

    fn push(&mut self, delay: u32, side: usize, flags: u8, length: u16) {
        self.queue.push_back(Segment { delay, side, flags, length, again: false });
    }

    fn push_again(&mut self, delay: u32, side: usize, flags: u8, length: u16) {
        self.queue.push_back(Segment { delay, side, flags, length, again: true });
    }
}
