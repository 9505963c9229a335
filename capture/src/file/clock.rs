//! The clocks of pcapng interfaces (draft-ietf-opsawg-pcapng §4.2).

use crate::{Timestamp, time};

/// The times that packets may have: [`Timestamp::MIN`] and [`Timestamp::MAX`] stand for none.
const FIRST: i64 = Timestamp::MIN.0 + 1;
const LAST: i64 = Timestamp::MAX.0 - 1;

/// How an interface counts time: options if_tsresol and if_tsoffset.
#[derive(Clone, Copy, Default)]
pub(super) struct Clock {
    pub(super) scale: Scale,
    /// Seconds.
    pub(super) offset: i64,
}

/// What a tick is worth in nanoseconds.
#[derive(Clone, Copy)]
pub(super) enum Scale {
    Times(u64),
    Over(u64),
    /// Seconds divided by this power of two.
    Binary(u32),
}

/// Microseconds, where the interface does not say.
impl Default for Scale {
    fn default() -> Scale {
        Scale::Times(1_000)
    }
}

impl Scale {
    /// if_tsresol: a negative power of ten, or of two if the highest bit is set.
    pub(super) fn from_resolution(resolution: u8) -> Scale {
        match (resolution, resolution.checked_sub(9)) {
            (0x80.., _) => Scale::Binary(u32::from(resolution & 0x7f)),
            // 2^64 ticks of less than 10^-28 s are no nanosecond: any divisor that leaves none will do.
            (_, Some(finer)) => Scale::Over(10_u64.checked_pow(u32::from(finer)).unwrap_or(u64::MAX)),
            (_, None) => Scale::Times(10_u64.pow(9 - u32::from(resolution))),
        }
    }
}

impl Clock {
    #[inline]
    pub(super) fn time(self, ticks: u64) -> Timestamp {
        // Nearly every clock: decimal and without an offset.
        if let (Scale::Times(factor), 0) = (self.scale, self.offset)
            && let Some(nanoseconds) = ticks.checked_mul(factor)
            && nanoseconds <= LAST as u64
        {
            return Timestamp(nanoseconds as i64);
        }
        self.exact_time(ticks)
    }

    fn exact_time(self, ticks: u64) -> Timestamp {
        let second = i128::from(time::SECOND);
        let since_offset = match self.scale {
            Scale::Times(factor) => i128::from(ticks) * i128::from(factor),
            Scale::Over(divisor) => i128::from(ticks / divisor),
            Scale::Binary(shift) => (i128::from(ticks) * second) >> shift,
        };
        let nanoseconds = since_offset + i128::from(self.offset) * second;
        Timestamp(nanoseconds.clamp(i128::from(FIRST), i128::from(LAST)) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks() {
        for (resolution, offset, ticks, nanoseconds) in [
            (6, 0, 1_500_000, 1_500_000_000),
            (0, 0, 3, 3_000_000_000),
            (3, 0, 3, 3_000_000),
            (9, 0, 3, 3),
            (12, 0, 3_999, 3),
            (28, 0, u64::MAX, 1),
            (29, 0, 1 << 63, 0),
            (127, 0, 1 << 63, 0),
            (0x80, 0, 3, 3_000_000_000),
            (0x8a, 0, 1_536, 1_500_000_000),
            (0xff, 0, 1 << 63, 0),
            (6, 10, 1, 10_000_001_000),
            (6, -10, 1, -9_999_999_000),
            (9, 0, i64::MAX as u64, i64::MAX - 1),
            (0, 0, u64::MAX, i64::MAX - 1),
            (0, i64::MAX, u64::MAX, i64::MAX - 1),
            (0, i64::MIN, 0, i64::MIN + 1),
        ] {
            let clock = Clock { scale: Scale::from_resolution(resolution), offset };
            assert_eq!(clock.time(ticks), Timestamp(nanoseconds), "{resolution:#x} {offset} {ticks}");
        }
    }
}
