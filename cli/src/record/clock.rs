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
    /// When that was last asked.
    adjusted: Instant,
    /// The latest packet.
    latest: Option<Timestamp>,
}

/// That the clock was set, or that this machine slept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Set {
    /// What it would have shown.
    pub(crate) before: Timestamp,
    /// And what it shows.
    pub(crate) after: Timestamp,
}

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
        Clock { known: (time, instant), adjusted: instant, latest: None }
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
    pub(crate) fn adjust(&mut self, instant: Instant, system: impl FnOnce() -> Timestamp) -> Option<Set> {
        let before = self.now(instant);
        // Packets have waited in the ring since somebody last looked, at most.
        let asleep = instant.saturating_duration_since(std::mem::replace(&mut self.adjusted, instant));
        let waited = self.latest.map_or(0, |_| i64::try_from(asleep.as_nanos()).unwrap_or(i64::MAX));
        let after = self.latest.take().unwrap_or_else(system);
        let is_back = before.since(after) > SET.saturating_add(waited);
        if after > before || is_back {
            self.known = (after, instant);
        }
        (is_back || after.since(before) > SET).then_some(Set { before, after })
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
        // We slept, and nothing came in the second half of it.
        clock.packet(at(1008));
        assert_eq!((clock.adjust(later(15), || unreachable!()), clock.now(later(15))), (None, at(1015)));
        // Set ahead.
        clock.packet(at(5000));
        assert_eq!(clock.adjust(later(16), || unreachable!()), Some(Set { before: at(1016), after: at(5000) }));
        assert_eq!(clock.now(later(17)), at(5001));
        // Set back: the packets show it.
        clock.packet(at(1500));
        clock.packet(at(1490));
        assert_eq!(clock.adjust(later(18), || unreachable!()), Some(Set { before: at(5002), after: at(1500) }));
        assert_eq!(clock.now(later(19)), at(1501));
        // No packets: the system's clock does.
        assert_eq!(clock.adjust(later(20), || at(900)), Some(Set { before: at(1502), after: at(900) }));
        assert_eq!(clock.adjust(later(20), || at(900)), None);
    }
}
