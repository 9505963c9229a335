//! When something happened, as a bounded set of time bins.

use crate::time::{SECOND, Timestamp};

/// The narrowest bin, in nanoseconds: one minute.
pub const NARROWEST: i64 = 60 * SECOND;

/// Bins that are told apart at most; where there are more, all of them become twice as wide.
pub const MAX_BINS: usize = 256;

/// The time bins in which something happened: those in which connections were opened.
///
/// A bin is a time divided by a width, counted from the Unix epoch. The width is the smallest power of two minutes at which
/// no more than [`MAX_BINS`] bins differ, so it follows from the times alone: notes and merges are commutative,
/// associative and idempotent, and none of them depends on the order of the others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Activity(Bins);

/// Most flows have one bin, for which a list would be twice as large.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Bins {
    #[default]
    None,
    /// One minute.
    One(i32),
    Many(Box<Many>),
}

/// At least two bins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Many {
    /// A bin is two to this power minutes wide.
    level: u8,
    /// Ascending, all different.
    bins: Vec<i32>,
}

/// The minute of a time. All times that can be expressed fit: 2^63 ns are 2^27.2 minutes.
fn minute(time: Timestamp) -> i32 {
    time.0.div_euclid(NARROWEST) as i32
}

impl Activity {
    /// At one time.
    pub fn at(time: Timestamp) -> Activity {
        Activity(Bins::One(minute(time)))
    }

    /// What [`Activity::width`] and [`Activity::iter`] told of another: bins that begin at `starts`, each `width` wide.
    /// `None` where no bins are that wide.
    pub fn of(width: i64, starts: impl IntoIterator<Item = Timestamp>) -> Option<Activity> {
        let level = (0..i32::BITS as u8 - 1).find(|level| NARROWEST << level == width)?;
        let mut bins: Vec<i32> = starts.into_iter().map(|start| minute(start) >> level).collect();
        bins.sort_unstable();
        bins.dedup();
        let mut many = Many { level, bins };
        many.fit();
        Some(Activity(match many.bins.as_slice() {
            [] => Bins::None,
            [minute] if many.level == 0 => Bins::One(*minute),
            _ => Bins::Many(Box::new(many)),
        }))
    }

    /// Notes a time.
    pub fn note(&mut self, time: Timestamp) {
        let minute = minute(time);
        match &mut self.0 {
            Bins::None => self.0 = Bins::One(minute),
            Bins::One(known) if *known == minute => {}
            Bins::One(known) => {
                let bins = vec![minute.min(*known), minute.max(*known)];
                self.0 = Bins::Many(Box::new(Many { level: 0, bins }));
            }
            Bins::Many(many) => many.note(minute),
        }
    }

    /// Takes in all of `other`.
    pub fn merge(&mut self, other: &Activity) {
        match (&mut self.0, &other.0) {
            (_, Bins::None) => {}
            (Bins::None, _) => *self = other.clone(),
            (Bins::Many(own), Bins::Many(foreign)) => own.merge(foreign),
            (Bins::Many(own), Bins::One(minute)) => own.note(*minute),
            (Bins::One(minute), Bins::Many(foreign)) => {
                let mut merged = foreign.clone();
                merged.note(*minute);
                self.0 = Bins::Many(merged);
            }
            (Bins::One(_), Bins::One(minute)) => self.note(Timestamp(i64::from(*minute) * NARROWEST)),
        }
    }

    /// How wide a bin is, in nanoseconds.
    pub fn width(&self) -> i64 {
        match &self.0 {
            Bins::None | Bins::One(_) => NARROWEST,
            Bins::Many(many) => NARROWEST << many.level,
        }
    }

    /// Where each bin begins, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Timestamp> {
        let bins = match &self.0 {
            Bins::None => &[],
            Bins::One(minute) => std::slice::from_ref(minute),
            Bins::Many(many) => many.bins.as_slice(),
        };
        let width = self.width();
        bins.iter().map(move |bin| Timestamp(i64::from(*bin).saturating_mul(width)))
    }

    /// How many bins there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Bins::None => 0,
            Bins::One(_) => 1,
            Bins::Many(many) => many.bins.len(),
        }
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.0 == Bins::None
    }
}

impl Many {
    fn note(&mut self, minute: i32) {
        let bin = minute >> self.level;
        // Connections are noted in about the order of time.
        match self.bins.last() {
            Some(last) if *last == bin => {}
            Some(last) if *last < bin => self.bins.push(bin),
            _ => {
                if let Err(at) = self.bins.binary_search(&bin) {
                    self.bins.insert(at, bin);
                }
            }
        }
        self.fit();
    }

    fn merge(&mut self, other: &Many) {
        while self.level < other.level {
            self.widen();
        }
        let further = self.level - other.level;
        self.bins.extend(other.bins.iter().map(|bin| bin >> further));
        self.bins.sort_unstable();
        self.bins.dedup();
        self.fit();
    }

    fn widen(&mut self) {
        self.level += 1;
        self.bins.iter_mut().for_each(|bin| *bin >>= 1);
        self.bins.dedup();
    }

    fn fit(&mut self) {
        while self.bins.len() > MAX_BINS {
            self.widen();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(minutes: &[i64]) -> Activity {
        let mut activity = Activity::default();
        minutes.iter().for_each(|minute| activity.note(Timestamp(minute * NARROWEST + 7)));
        activity
    }

    fn merged(one: &Activity, two: &Activity) -> Activity {
        let mut all = one.clone();
        all.merge(two);
        all
    }

    #[test]
    fn bins_widen_only_when_there_are_too_many() {
        let dense: Vec<i64> = (1000..1000 + MAX_BINS as i64).collect();
        assert_eq!((of(&dense).len(), of(&dense).width()), (256, NARROWEST));
        // An even number of minutes more: the bins of two minutes are half as many.
        let more: Vec<i64> = (1000..1000 + 2 * MAX_BINS as i64).collect();
        assert_eq!((of(&more).len(), of(&more).width()), (256, 2 * NARROWEST));
        // A week of minutes, and one a day: as many bins as differ decide, not how far they are apart.
        let week: Vec<i64> = (0..7 * 1440).collect();
        assert_eq!(of(&week).width(), 64 * NARROWEST);
        let nightly: Vec<i64> = (0..200).map(|day| day * 1440).collect();
        assert_eq!((of(&nightly).len(), of(&nightly).width()), (200, NARROWEST));
        let starts: Vec<Timestamp> = of(&[-1, 5]).iter().collect();
        assert_eq!(starts, [Timestamp(-NARROWEST), Timestamp(5 * NARROWEST)]);
        assert!(Activity::default().is_empty() && !of(&[0]).is_empty());
    }

    #[test]
    fn any_time_has_a_bin() {
        let mut activity = Activity::at(Timestamp::MIN);
        activity.note(Timestamp::MAX);
        assert_eq!(activity.len(), 2);
        assert!(activity.iter().all(|start| start < Timestamp::MAX));
    }

    #[test]
    fn one_bin_takes_no_room_of_its_own() {
        assert_eq!(size_of::<Activity>(), 16);
    }

    fn minutes() -> impl Strategy<Value = Vec<i64>> {
        // Few far apart, and many close together.
        prop_oneof![
            proptest::collection::vec(-3_000_000i64..30_000_000, 0..6),
            proptest::collection::vec(29_000_000i64..29_003_000, 0..700),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        #[test]
        fn merging_is_a_set_union(one in minutes(), two in minutes(), three in minutes()) {
            let (a, b, c) = (of(&one), of(&two), of(&three));
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
            prop_assert_eq!(merged(&a, &a), a.clone());
            prop_assert_eq!(merged(&merged(&a, &b), &b), merged(&a, &b));
            // The same as noting all times in one order or the other.
            let mut all = [one, two].concat();
            prop_assert_eq!(merged(&a, &b), of(&all));
            all.reverse();
            prop_assert_eq!(merged(&a, &b), of(&all));
        }

        #[test]
        fn width_and_starts_are_all_there_is(minutes in minutes()) {
            let activity = of(&minutes);
            prop_assert_eq!(Activity::of(activity.width(), activity.iter()), Some(activity));
            prop_assert_eq!(Activity::of(7, []), None);
        }

        #[test]
        fn the_width_is_the_smallest_that_fits(minutes in minutes()) {
            let activity = of(&minutes);
            let bins = |width: i64| {
                let width = width / NARROWEST;
                minutes.iter().map(|minute| minute.div_euclid(width)).collect::<std::collections::BTreeSet<i64>>()
            };
            let width = activity.width();
            let expected: Vec<Timestamp> = bins(width).into_iter().map(|bin| Timestamp(bin * width)).collect();
            prop_assert_eq!(activity.iter().collect::<Vec<_>>(), expected);
            prop_assert!(activity.len() <= MAX_BINS);
            prop_assert!(width == NARROWEST || bins(width / 2).len() > MAX_BINS);
        }
    }
}
