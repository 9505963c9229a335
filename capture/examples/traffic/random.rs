//! Random numbers that are the same everywhere.

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// 0 to `end`, exclusive; `end` is not 0.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        (((self.next() >> 32) * u64::from(end)) >> 32) as u32
    }

    /// `start` to `end`, exclusive.
    pub(crate) fn between(&mut self, start: u32, end: u32) -> u32 {
        start + self.below(end - start)
    }

    /// 0 to `end`, exclusive, low numbers more often: some are always busier than others.
    pub(crate) fn skewed(&mut self, end: u32) -> u32 {
        self.below(end).min(self.below(end))
    }

    /// True so many times in a thousand.
    pub(crate) fn chance(&mut self, thousandths: u32) -> bool {
        self.below(1000) < thousandths
    }
}

/// Spreads the bits of `value`.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
