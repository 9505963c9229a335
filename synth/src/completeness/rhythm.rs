//! How often an edge is in use.

use capture::activity::NARROWEST;
use capture::time::SECOND;
use capture::{Activity, Timestamp};
use hdrhistogram::Histogram;

use super::HOUR;
use crate::window::{DAY, Window};

/// Connections that follow each other within this time, in nanoseconds, are one use: a job opens several.
const USE: i64 = 600 * SECOND;

/// How often an edge is in use, in plain words; the most often comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rhythm {
    /// For half of the window at least, without a pause that can be told: of ten minutes, or of a bin where the bins of
    /// [`Activity`] are wider, as they are of an edge that is used hourly for months.
    Throughout,
    /// Less than 45 minutes from one use to the next.
    Often,
    /// Up to 90 minutes.
    Hourly,
    /// Up to 18 hours.
    EveryFewHours,
    /// Up to 30 hours.
    Daily,
    /// Up to 5 days.
    EveryFewDays,
    /// Up to 9 days.
    Weekly,
    /// More than that.
    Seldom,
    /// One use only, of ten minutes or more.
    ForAWhile,
    /// One short use only.
    Once,
}

impl Rhythm {
    /// Words for people and for the machine format.
    pub fn name(self) -> &'static str {
        match self {
            Rhythm::Throughout => "throughout",
            Rhythm::Often => "several times an hour",
            Rhythm::Hourly => "about hourly",
            Rhythm::EveryFewHours => "every few hours",
            Rhythm::Daily => "about daily",
            Rhythm::EveryFewDays => "every few days",
            Rhythm::Weekly => "about weekly",
            Rhythm::Seldom => "less than weekly",
            Rhythm::ForAWhile => "for a while",
            Rhythm::Once => "once",
        }
    }

    /// That of an edge whose connections were opened at these times, and which was last seen at `last`: the median time
    /// from the beginning of a use to that of the next, as far as it was watched.
    pub fn of(activity: &Activity, last: Timestamp, window: &Window) -> Rhythm {
        let apart = USE.max(activity.width());
        let mut uses: Vec<Timestamp> = Vec::new();
        let mut before: Option<Timestamp> = None;
        for time in activity.iter() {
            if before.is_none_or(|before| time.since(before) > apart) {
                uses.push(time);
            }
            before = Some(time);
        }
        let mut periods: Vec<i64> = uses.windows(2).map(|pair| window.watched_between(pair[0], pair[1])).collect();
        periods.sort_unstable();
        let Some(period) = periods.get(periods.len() / 2) else {
            let used = uses.first().map_or(0, |first| window.watched_between(*first, last.max(*first)));
            return match used {
                used if used < USE => Rhythm::Once,
                used if used < window.watched() / 2 => Rhythm::ForAWhile,
                _ => Rhythm::Throughout,
            };
        };
        match *period {
            period if period < 3 * HOUR / 4 => Rhythm::Often,
            period if period <= 3 * HOUR / 2 => Rhythm::Hourly,
            period if period <= 18 * HOUR => Rhythm::EveryFewHours,
            period if period <= 30 * HOUR => Rhythm::Daily,
            period if period <= 5 * DAY => Rhythm::EveryFewDays,
            period if period <= 9 * DAY => Rhythm::Weekly,
            _ => Rhythm::Seldom,
        }
    }
}

/// Minutes that are told apart at most: 20 years.
const MAX_MINUTES: u64 = 20 * 366 * 24 * 60;

const MINUTE: i64 = 60 * SECOND;

/// Times from one connection to the next of the same edge, of any number of edges. They are as exact as the bins of
/// [`Activity`] are narrow: none is shorter than a minute, and where bins are wider, what lies in neighbouring ones is no
/// gap.
#[derive(Debug, Clone, Default)]
pub struct Gaps {
    /// In minutes; made with the first gap, because most edges of a flood have none.
    histogram: Option<Histogram<u64>>,
    longest: Option<i64>,
}

impl Gaps {
    /// Adds those of one edge, less the time that nobody watched.
    pub fn add(&mut self, activity: &Activity, window: &Window) {
        let mut before: Option<Timestamp> = None;
        for time in activity.iter() {
            let neighbours = |before: Timestamp| activity.width() > NARROWEST && time.since(before) <= activity.width();
            if let Some(before) = before.filter(|before| !neighbours(*before)) {
                self.note(window.watched_between(before, time));
            }
            before = Some(time);
        }
    }

    fn note(&mut self, gap: i64) {
        self.longest = self.longest.max(Some(gap));
        if self.histogram.is_none() {
            // Two significant digits: one percent.
            self.histogram = Histogram::new_with_bounds(1, MAX_MINUTES, 2).ok();
        }
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(u64::try_from(gap / MINUTE).unwrap_or(0).max(1));
        }
    }

    /// Their median in nanoseconds.
    pub fn median(&self) -> Option<i64> {
        let histogram = self.histogram.as_ref()?;
        let minutes = histogram.lowest_equivalent(histogram.value_at_quantile(0.5));
        Some(i64::try_from(minutes).unwrap_or(i64::MAX).saturating_mul(MINUTE))
    }

    /// The longest in nanoseconds.
    pub fn longest(&self) -> Option<i64> {
        self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity(minutes: impl IntoIterator<Item = i64>) -> Activity {
        let mut activity = Activity::default();
        minutes.into_iter().for_each(|minute| activity.note(Timestamp(minute * MINUTE)));
        activity
    }

    fn days(count: i64) -> Window {
        Window::of([(Timestamp(0), Timestamp(count * DAY))]).unwrap()
    }

    #[test]
    fn rhythms() {
        let week = 7 * 1440;
        let jobs = |period: usize, length: i64| {
            (60..week).step_by(period).flat_map(move |start| start..start + length).collect::<Vec<i64>>()
        };
        // The minutes, and the median and the longest gap in minutes.
        type Row = (&'static str, Vec<i64>, Rhythm, Option<(i64, i64)>);
        let rows: Vec<Row> = vec![
            ("every minute", (0..week).collect(), Rhythm::Throughout, None),
            (
                "every minute, but for a day",
                (0..week).filter(|at| at / 1440 != 3).collect(),
                Rhythm::EveryFewDays,
                Some((1472, 1472)),
            ),
            ("every six minutes of a day", (0..1440).step_by(6).collect(), Rhythm::ForAWhile, Some((6, 6))),
            ("every 20 minutes", (0..1440).step_by(20).collect(), Rhythm::Often, Some((20, 20))),
            ("hourly", (0..week).step_by(60).collect(), Rhythm::Hourly, Some((60, 60))),
            ("every six hours", jobs(360, 2), Rhythm::EveryFewHours, Some((1, 359))),
            ("nightly, for eight minutes", jobs(1440, 8), Rhythm::Daily, Some((1, 1433))),
            ("nightly, twice in two days", vec![180, 1620], Rhythm::Daily, Some((1440, 1440))),
            ("every three days", vec![1, 4321, 8641], Rhythm::EveryFewDays, Some((4320, 4320))),
            ("once", vec![500], Rhythm::Once, None),
            ("once, for three minutes", vec![500, 501, 502], Rhythm::Once, Some((1, 1))),
            ("never", vec![], Rhythm::Once, None),
        ];
        for (what, minutes, rhythm, gaps) in rows {
            let last = Timestamp(minutes.last().copied().unwrap_or_default() * MINUTE);
            let activity = activity(minutes);
            assert_eq!(Rhythm::of(&activity, last, &days(7)), rhythm, "{what}");
            let mut found = Gaps::default();
            found.add(&activity, &days(7));
            let found =
                found.median().zip(found.longest()).map(|(median, longest)| (median / MINUTE, longest / MINUTE));
            assert_eq!(found, gaps, "{what}");
        }
        assert_eq!(Rhythm::of(&activity([1, 10_000, 20_000]), Timestamp(0), &days(21)), Rhythm::Weekly);
        assert_eq!(Rhythm::of(&activity([1, 30_000]), Timestamp(0), &days(30)), Rhythm::Seldom);
        assert!(Rhythm::Daily < Rhythm::Once);
    }

    #[test]
    fn a_connection_that_stays_open_is_in_use() {
        let one = activity([500]);
        assert_eq!(Rhythm::of(&one, Timestamp(10_000 * MINUTE), &days(7)), Rhythm::Throughout);
        assert_eq!(Rhythm::of(&one, Timestamp(600 * MINUTE), &days(7)), Rhythm::ForAWhile);
        // A window as short as that says nothing.
        let short = Window::of([(Timestamp(500 * MINUTE), Timestamp(504 * MINUTE))]).unwrap();
        assert_eq!(Rhythm::of(&one, Timestamp(504 * MINUTE), &short), Rhythm::Once);
    }

    #[test]
    fn time_that_nobody_watched_is_no_gap() {
        // An hour each night was captured.
        let nights = Window::of((0..5).map(|day| (Timestamp(day * DAY), Timestamp(day * DAY + HOUR)))).unwrap();
        let hourly = activity((0..5).map(|day| day * 1440 + 30));
        assert_eq!(Rhythm::of(&hourly, Timestamp(0), &nights), Rhythm::Hourly);
        let mut gaps = Gaps::default();
        gaps.add(&hourly, &nights);
        assert_eq!((gaps.median(), gaps.longest()), (Some(HOUR), Some(HOUR)));
    }
}
