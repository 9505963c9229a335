//! Sets of numbers as ranges: the one form in which ports and addresses are kept.

use std::fmt::Debug;

/// A number that can be an end of a range.
pub trait Bound: Copy + Ord + Debug {
    /// The next number; `None` after the highest.
    fn after(self) -> Option<Self>;
    /// The number before; `None` before the lowest.
    fn before(self) -> Option<Self>;
}

macro_rules! bound {
    ($($number:ty)*) => {$(
        impl Bound for $number {
            fn after(self) -> Option<$number> {
                self.checked_add(1)
            }

            fn before(self) -> Option<$number> {
                self.checked_sub(1)
            }
        }
    )*};
}
bound!(u16 u32 u128);

/// A set in one form only: inclusive ranges, ascending, that neither overlap nor touch. Equal sets are therefore equal
/// values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ranges<T> {
    ranges: Vec<(T, T)>,
}

impl<T> Default for Ranges<T> {
    fn default() -> Ranges<T> {
        Ranges { ranges: Vec::new() }
    }
}

impl<T: Bound> Ranges<T> {
    /// The numbers from `first` to `last`, both included; none where `last` is the lower.
    pub fn of(first: T, last: T) -> Ranges<T> {
        Ranges { ranges: if first <= last { vec![(first, last)] } else { Vec::new() } }
    }

    /// Adds the numbers from `first` to `last`, both included.
    pub fn insert(&mut self, first: T, last: T) {
        if first > last {
            return;
        }
        // Everything that overlaps or touches the new range becomes one with it.
        let start = self.ranges.partition_point(|known| known.1.after().is_some_and(|next| next < first));
        let end = self.ranges.partition_point(|known| last.after().is_none_or(|next| known.0 <= next));
        let touched = &self.ranges[start..end];
        let joined = touched.iter().fold((first, last), |all, known| (all.0.min(known.0), all.1.max(known.1)));
        self.ranges.splice(start..end, [joined]);
    }

    /// What is in either set.
    pub fn union(&self, other: &Ranges<T>) -> Ranges<T> {
        let (mut larger, smaller) =
            if self.ranges.len() >= other.ranges.len() { (self.clone(), other) } else { (other.clone(), self) };
        smaller.ranges.iter().for_each(|range| larger.insert(range.0, range.1));
        larger
    }

    /// What is in both sets.
    pub fn intersection(&self, other: &Ranges<T>) -> Ranges<T> {
        let mut both = Vec::new();
        let (mut ours, mut theirs) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        while let (Some(a), Some(b)) = (ours.peek(), theirs.peek()) {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last {
                both.push((first, last));
            }
            if a.1 < b.1 {
                ours.next()
            } else {
                theirs.next()
            };
        }
        Ranges { ranges: both }
    }

    /// What is in this set and not in the other.
    pub fn difference(&self, other: &Ranges<T>) -> Ranges<T> {
        let mut rest = Vec::new();
        for &(first, last) in &self.ranges {
            let mut next = Some(first);
            let from = other.ranges.partition_point(|range| range.1 < first);
            for taken in other.ranges[from..].iter().take_while(|range| range.0 <= last) {
                if let (Some(from), Some(to)) = (next, taken.0.before())
                    && from <= to
                {
                    rest.push((from, to));
                }
                next = taken.1.after();
            }
            rest.extend(next.filter(|from| *from <= last).map(|from| (from, last)));
        }
        Ranges { ranges: rest }
    }

    /// Whether `number` is in the set.
    pub fn contains(&self, number: T) -> bool {
        let at = self.ranges.partition_point(|range| range.1 < number);
        self.ranges.get(at).is_some_and(|range| range.0 <= number)
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges, both ends included, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (T, T)> {
        self.ranges.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_set() -> impl Strategy<Value = Ranges<u16>> {
        let number = || prop_oneof![0..20u16, 65530..=65535u16];
        proptest::collection::vec((number(), number()), 0..8).prop_map(|ranges| {
            let mut set = Ranges::default();
            ranges.into_iter().for_each(|(a, b)| set.insert(a.min(b), a.max(b)));
            set
        })
    }

    proptest! {
        #[test]
        fn operations_agree_with_membership(a in any_set(), b in any_set()) {
            let (union, both, rest) = (a.union(&b), a.intersection(&b), a.difference(&b));
            for number in (0..25).chain(65525..=65535) {
                let (in_a, in_b) = (a.contains(number), b.contains(number));
                prop_assert_eq!(union.contains(number), in_a || in_b);
                prop_assert_eq!(both.contains(number), in_a && in_b);
                prop_assert_eq!(rest.contains(number), in_a && !in_b);
            }
            prop_assert_eq!(&both.union(&rest), &a);
            prop_assert_eq!(&b.union(&a), &union);
            for set in [union, both, rest] {
                let apart = |pair: &[(u16, u16)]| u32::from(pair[0].1) + 1 < u32::from(pair[1].0);
                prop_assert!(set.ranges.windows(2).all(apart));
                prop_assert!(set.ranges.iter().all(|range| range.0 <= range.1));
            }
        }
    }
}
