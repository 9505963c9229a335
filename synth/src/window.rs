//! What was watched, and when.

use std::collections::BTreeSet;

use capture::Timestamp;
use capture::time::SECOND;

/// 24 hours, in nanoseconds.
pub const DAY: i64 = 24 * 3600 * SECOND;

/// Two captures this close, in nanoseconds, follow each other without a gap.
const CLOSE: i64 = 60 * SECOND;

/// The time that was watched by anybody: from the first frame to the last, less the gaps between captures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Sorted, apart from each other, at least one.
    spans: Vec<(Timestamp, Timestamp)>,
}

impl Window {
    /// Of spans from a first to a last frame, in any order; `None` where there are none.
    pub fn of(spans: impl IntoIterator<Item = (Timestamp, Timestamp)>) -> Option<Window> {
        let mut sorted: Vec<(Timestamp, Timestamp)> = spans.into_iter().filter(|(from, to)| from <= to).collect();
        sorted.sort_unstable();
        let mut spans: Vec<(Timestamp, Timestamp)> = Vec::new();
        for (from, to) in sorted {
            match spans.last_mut() {
                Some((_, end)) if from <= end.plus(CLOSE) => *end = to.max(*end),
                _ => spans.push((from, to)),
            }
        }
        (!spans.is_empty()).then_some(Window { spans })
    }

    /// What of it is between two times; `None` if nothing is.
    pub fn within(&self, since: Timestamp, until: Timestamp) -> Option<Window> {
        Window::of(self.spans.iter().map(|(from, to)| ((*from).max(since), (*to).min(until))))
    }

    /// The first frame.
    pub fn from(&self) -> Timestamp {
        self.spans.first().map_or(Timestamp::MIN, |(from, _)| *from)
    }

    /// The last frame.
    pub fn to(&self) -> Timestamp {
        self.spans.last().map_or(Timestamp::MAX, |(_, to)| *to)
    }

    /// The stretches in which somebody watched, ascending.
    pub fn spans(&self) -> &[(Timestamp, Timestamp)] {
        &self.spans
    }

    /// When nobody watched in between, ascending.
    pub fn gaps(&self) -> Vec<(Timestamp, Timestamp)> {
        self.spans.windows(2).map(|pair| (pair[0].1, pair[1].0)).collect()
    }

    /// How long it was watched, in nanoseconds.
    pub fn watched(&self) -> i64 {
        self.watched_between(self.from(), self.to())
    }

    /// How long it was watched between two times, in nanoseconds.
    pub fn watched_between(&self, from: Timestamp, to: Timestamp) -> i64 {
        // Spans of before `from` need no look: there may be many edges and many files.
        let begin = self.spans.partition_point(|(_, end)| *end < from);
        let spans = self.spans[begin..].iter().take_while(|(start, _)| *start < to);
        spans.fold(0i64, |sum, (start, end)| sum.saturating_add((*end).min(to).since((*start).max(from)).max(0)))
    }

    /// The moment from which on it was watched for `length` nanoseconds more; the first frame where it was not watched for
    /// so long.
    pub fn before_end(&self, length: i64) -> Timestamp {
        let mut left = length;
        for (from, to) in self.spans.iter().rev() {
            if to.since(*from) >= left {
                return to.plus(-left);
            }
            left -= to.since(*from);
        }
        self.from()
    }

    /// The 24 hours, counted from the first frame, that a time belongs to. Less than 24 hours at the end belong to those
    /// before.
    pub(crate) fn day(&self, time: Timestamp) -> usize {
        let last = (self.to().since(self.from()) / DAY - 1).max(0);
        usize::try_from((time.since(self.from()).max(0) / DAY).min(last)).unwrap_or(0)
    }

    /// The days in which anything was watched.
    pub(crate) fn days(&self) -> BTreeSet<usize> {
        self.spans.iter().flat_map(|(from, to)| self.day(*from)..=self.day(*to)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * SECOND)
    }

    fn window(spans: &[(i64, i64)]) -> Window {
        Window::of(spans.iter().map(|(from, to)| (at(*from), at(*to)))).unwrap()
    }

    #[test]
    fn gaps_are_what_nobody_watched() {
        let two = window(&[(1000, 1100), (0, 300), (200, 400), (430, 500)]);
        assert_eq!((two.from(), two.to()), (at(0), at(1100)));
        assert_eq!(two.gaps(), [(at(500), at(1000))]);
        assert_eq!(two.watched(), 600 * SECOND);
        assert_eq!(two.watched_between(at(450), at(1050)), 100 * SECOND);
        assert_eq!(two.watched_between(at(600), at(700)), 0);
        assert_eq!(two.watched_between(at(700), at(600)), 0);
        for (length, from) in [(0, 1100), (100, 1000), (150, 450), (600, 0), (700, 0)] {
            assert_eq!(two.before_end(length * SECOND), at(from), "{length}");
        }
        assert_eq!(two.within(at(300), at(450)), Some(window(&[(300, 450)])));
        assert_eq!(two.within(at(600), at(700)), None);
        assert_eq!(Window::of([]), None);
        assert_eq!(Window::of([(Timestamp::MAX, Timestamp::MIN)]), None);
    }

    #[test]
    fn one_instant_and_all_of_time() {
        let instant = window(&[(7, 7)]);
        assert_eq!((instant.watched(), instant.before_end(5), instant.day(at(7))), (0, at(7), 0));
        let all = Window::of([(Timestamp::MIN, Timestamp::MAX)]).unwrap();
        assert_eq!(all.watched(), i64::MAX);
        assert_eq!(all.days().first(), Some(&0));
    }

    #[test]
    fn days_are_counted_from_the_first_frame() {
        const DAY: i64 = 86_400;
        let week = window(&[(100, 100 + 2 * DAY), (100 + 4 * DAY, 100 + 6 * DAY + 7)]);
        let days: Vec<usize> = week.days().into_iter().collect();
        assert_eq!(days, [0, 1, 2, 4, 5]);
        assert_eq!(
            [0, 99 + DAY, 100 + DAY, 100 + 6 * DAY, 100 + 9 * DAY].map(|time| week.day(at(time))),
            [0, 0, 1, 5, 5]
        );
        assert_eq!(window(&[(0, 2 * DAY - 1)]).days().len(), 1);
    }
}
