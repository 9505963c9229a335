//! A hash table whose entries stand in the order in which they came, next to each other.
//!
//! A capture's packets ask for the conversations that were opened last, and those share cache lines and pages here. The
//! index holds 32 bits of each hash, the half of it from which the place of an entry follows, so that a search touches
//! one line of the index and one entry.

use super::ends::{Key, Seed};
use super::pile::Pile;

/// No entry.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Debug, Clone)]
#[repr(C, align(64))]
struct Entry<K, V> {
    key: K,
    value: V,
}

/// Entries by key. A key may have several, of which the table knows the newest; the values chain the others.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    seed: Seed,
    /// 0, or a hash in the upper half and an entry's number + 1 in the lower. A power of two of them.
    slots: Vec<u64>,
    used: usize,
    entries: Pile<Entry<K, V>>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Table<K, V> {
        Table { seed: Seed::default(), slots: vec![0; 64], used: 0, entries: Pile::default() }
    }
}

impl<K: Key, V> Table<K, V> {
    /// Entries, the chained ones included.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The hash by which entries are found.
    #[inline]
    pub(super) fn hash(&self, key: &K) -> u32 {
        (key.hashed(&self.seed) >> 32) as u32
    }

    /// The number of the newest entry of `key`.
    #[inline]
    pub(super) fn newest(&self, key: &K) -> Option<u32> {
        let at = self.slot(key, self.hash(key));
        (self.slots[at] as u32).checked_sub(1)
    }

    /// Tells for each of `hashes` the number of an entry whose key may have it, or [`NONE`], and reads that entry. All are
    /// asked of the memory at once, where searches would ask for one after the other.
    #[inline]
    pub(super) fn warm(&self, hashes: impl Iterator<Item = u32> + Clone, numbers: &mut Vec<u32>) {
        let mask = self.slots.len() - 1;
        let mut sum = hashes.clone().fold(0, |sum, hash| sum ^ self.slots[hash as usize & mask]);
        numbers.clear();
        numbers.extend(hashes.map(|hash| {
            let number = (self.slots[self.place(hash, |_| true)] as u32).wrapping_sub(1);
            if let Some(entry) = self.entries.get(number) {
                sum ^= entry.key.touch();
            }
            number
        }));
        std::hint::black_box(sum);
    }

    /// The entry that [`Table::warm`] found, if it is the one of `key`.
    #[inline]
    pub(super) fn warmed(&mut self, number: u32, key: &K) -> Option<&mut V> {
        self.entries.get_mut(number).filter(|entry| entry.key == *key).map(|entry| &mut entry.value)
    }

    /// Where `key` is, or would be.
    #[inline]
    fn slot(&self, key: &K, hash: u32) -> usize {
        self.place(hash, |number| self.get(number).0 == key)
    }

    /// The slot of this hash whose entry `fits`, or a free one.
    #[inline]
    fn place(&self, hash: u32, fits: impl Fn(u32) -> bool) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 || (slot >> 32) as u32 == hash && fits(slot as u32 - 1) {
                return at;
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds an entry that becomes the newest of `key`; returns its number.
    pub(super) fn push(&mut self, key: K, value: V) -> u32 {
        self.push_before(key, |_| value)
    }

    /// The same of an entry that is made of the number and the value of the newest until then.
    pub(super) fn push_before(&mut self, key: K, value: impl FnOnce(Option<(u32, &mut V)>) -> V) -> u32 {
        if self.used * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let hash = self.hash(&key);
        let at = self.slot(&key, hash);
        let older = (self.slots[at] as u32).checked_sub(1);
        self.used += usize::from(older.is_none());
        let number = self.entries.len() as u32;
        let value = value(older.map(|older| (older, self.at(older))));
        self.entries.push(Entry { key, value });
        self.slots[at] = u64::from(hash) << 32 | u64::from(number + 1);
        number
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.slots);
        self.slots = vec![0; old.len() * 2];
        old.into_iter().filter(|slot| *slot != 0).for_each(|slot| self.put(slot));
    }

    /// The entry of a number.
    #[inline]
    pub(super) fn at(&mut self, number: u32) -> &mut V {
        &mut self.entries.get_mut(number).expect(NUMBERED).value
    }

    /// All entries, in the order in which they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|entry| (&entry.key, &entry.value))
    }

    /// Key and value of a number.
    pub(super) fn get(&self, number: u32) -> (&K, &V) {
        let entry = self.entries.get(number).expect(NUMBERED);
        (&entry.key, &entry.value)
    }

    /// Keeps the entries whose numbers `keep` has; they get new numbers. `next` is where an entry holds the number of the
    /// next older one of its key. The newest of a key is kept if any is.
    pub(super) fn retain(&mut self, keep: &[bool], next: impl Fn(&mut V) -> &mut u32) {
        let mut kept = 0;
        let numbers: Vec<u32> = keep
            .iter()
            .map(|keep| {
                kept += u32::from(*keep);
                if *keep { kept - 1 } else { NONE }
            })
            .collect();
        self.entries.retain(keep);
        for entry in self.entries.iter_mut() {
            let next = next(&mut entry.value);
            if *next != NONE {
                *next = numbers[*next as usize];
            }
        }
        // The slots have all that is needed, in the order in which they go where they belong.
        let room = (self.entries.len() * 2).next_power_of_two().max(64);
        let old = std::mem::replace(&mut self.slots, vec![0; room]);
        self.used = 0;
        for slot in old.into_iter().filter(|slot| *slot != 0) {
            let number = numbers[(slot as u32 - 1) as usize];
            if number != NONE {
                self.put(slot >> 32 << 32 | u64::from(number + 1));
                self.used += 1;
            }
        }
    }

    /// Puts a slot of which no other has the key where it belongs.
    fn put(&mut self, slot: u64) {
        let mask = self.slots.len() - 1;
        let mut at = (slot >> 32) as usize & mask;
        while self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }
}

/// Numbers come from the table.
const NUMBERED: &str = "an entry has this number";

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    struct Number(u64);

    impl Key for Number {
        fn hashed(&self, seed: &Seed) -> u64 {
            // Few different hashes, so that entries collide.
            seed.fold(self.0 % 7, 1)
        }

        fn touch(&self) -> u64 {
            self.0
        }
    }

    proptest! {
        #[test]
        fn finds_what_a_map_finds(keys in proptest::collection::vec(0u64..300, 0..600)) {
            let mut table = Table::default();
            let mut map: HashMap<Number, usize> = HashMap::new();
            for (at, key) in keys.iter().enumerate() {
                let key = Number(*key);
                prop_assert_eq!(table.newest(&key).map(|number| *table.at(number)), map.get(&key).copied());
                table.push(key, at);
                map.insert(key, at);
            }
            for key in (0..300).map(Number) {
                prop_assert_eq!(table.newest(&key).map(|number| *table.at(number)), map.get(&key).copied());
            }
            prop_assert_eq!(table.len(), keys.len());
        }
    }
}
