//! The time of the packets' clock, which may be set while we watch.

use std::time::{Duration, Instant, SystemTime};

use capture::Timestamp;
use capture::time::SECOND;

/// A clock that was set by less, in nanoseconds, was not: packets wait in the ring.
const SET: i64 = 2 * SECOND;

/// The clock by which the kernel stamps packets, told from the packets and how long they are past.
#[derive(Debug)]
pub(crate) struct Clock {
    /// A time, and when that was.
    known: (Timestamp, Instant),
    /// The latest packet.
    latest: Option<Timestamp>,
}

/// That the clock was set back, by so many nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SetBack(pub(crate) i64);

fn after(time: Timestamp, passed: Duration) -> Timestamp {
    time.plus(i64::try_from(passed.as_nanos()).unwrap_or(i64::MAX))
}

/// The system's time.
pub(crate) fn system() -> Timestamp {
    let passed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    after(Timestamp(0), passed)
}

impl Clock {
    /// As the system's clock is now.
    pub(crate) fn new(time: Timestamp, instant: Instant) -> Clock {
        Clock { known: (time, instant), latest: None }
    }

    /// What the clock shows.
    pub(crate) fn now(&self, instant: Instant) -> Timestamp {
        after(self.known.0, instant.saturating_duration_since(self.known.1))
    }

    /// A packet came that has this time.
    pub(crate) fn packet(&mut self, time: Timestamp) {
        self.latest = Some(self.latest.map_or(time, |latest| latest.max(time)));
    }

    /// Takes the packets that came, all of a moment ago, or the system's time where none did.
    pub(crate) fn adjust(&mut self, instant: Instant, system: impl FnOnce() -> Timestamp) -> Option<SetBack> {
        let shown = self.now(instant);
        let packets = self.latest.take();
        let time = packets.unwrap_or_else(system);
        let back = shown.since(time);
        if back > SET {
            self.known = (time, instant);
            return Some(SetBack(back));
        }
        // What waited in the ring for a moment sets nothing back.
        if time > shown {
            self.known = (time, instant);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_tell_the_time() {
        let start = Instant::now();
        let later = |seconds: u64| start + Duration::from_secs(seconds);
        let at = |seconds: i64| Timestamp(seconds * SECOND);
        let mut clock = Clock::new(at(1000), start);
        assert_eq!(clock.now(later(5)), at(1005));
        clock.packet(at(1004));
        assert_eq!(clock.adjust(later(5), || unreachable!()), None);
        assert_eq!(clock.now(later(5)), at(1005), "a packet that waited");
        // Set ahead.
        clock.packet(at(5000));
        assert_eq!((clock.adjust(later(6), || unreachable!()), clock.now(later(7))), (None, at(5001)));
        // Set back: the packets show it.
        clock.packet(at(1500));
        clock.packet(at(1490));
        assert_eq!(clock.adjust(later(8), || unreachable!()), Some(SetBack(3502 * SECOND)));
        assert_eq!(clock.now(later(9)), at(1501));
        // No packets: the system's clock does.
        assert_eq!(clock.adjust(later(10), || at(900)), Some(SetBack(602 * SECOND)));
        assert_eq!(clock.adjust(later(10), || at(900)), None);
    }
}
