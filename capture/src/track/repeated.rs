//! Which of many values occur more than once.

use rustc_hash::FxHashSet;

use super::ends::Seed;

/// Which values occur more than once: surely those that do, and a few others.
pub(super) struct Repeated {
    bits: Vec<u64>,
    twice: FxHashSet<u32>,
    seed: Seed,
}

impl Repeated {
    pub(super) fn new(expected: usize) -> Repeated {
        // 16 bits for each value: one in thirty is taken for repeated and goes the longer way.
        Repeated {
            bits: vec![0; (expected / 4).next_power_of_two().max(16)],
            twice: FxHashSet::default(),
            // No secret: what is taken for repeated must be so in every run, and costs nothing but time.
            seed: Seed::KNOWN,
        }
    }

    /// Notes a value; whether it, or one like it, had been noted.
    pub(super) fn insert(&mut self, value: u32) {
        let hash = self.seed.fold(u64::from(value), 0x9e37_79b9_7f4a_7c15);
        let word = (hash >> 6) as usize & (self.bits.len() - 1);
        let bit = 1 << (hash & 63);
        if self.bits[word] & bit != 0 {
            self.twice.insert(value);
        }
        self.bits[word] |= bit;
    }

    pub(super) fn contains(&self, value: u32) -> bool {
        self.twice.contains(&value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_repeat_and_few_others() {
        let mut repeated = Repeated::new(20_000);
        (0..10_000).chain(9_000..10_000).for_each(|value| repeated.insert(value));
        assert!((9_000..10_000).all(|value| repeated.contains(value)));
        let others = (0..9_000).filter(|value| repeated.contains(*value)).count();
        assert!(others < 600, "{others} of 9,000");
    }
}
