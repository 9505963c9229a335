//! The first bytes of a payload.

/// The first eight bytes of a payload, with zeroes behind its end. All that a segment says about who speaks is in there,
/// and they are read without asking how many there are, because no branch of a processor foretells that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lead(u64);

impl Lead {
    const LENGTH: usize = 8;

    /// Those of `payload`.
    pub fn of(payload: &[u8]) -> Lead {
        let mut bytes = [0; Lead::LENGTH];
        let length = payload.len().min(Lead::LENGTH);
        bytes[..length].copy_from_slice(&payload[..length]);
        Lead(u64::from_le_bytes(bytes))
    }

    /// [`Lead::of`] the payload that begins and ends at these places of `data`, which is at least eight bytes long; that of
    /// an empty one if it ends before it begins.
    #[inline(always)]
    pub(super) fn within(data: &[u8], begin: usize, end: usize) -> Lead {
        let at = begin.min(data.len().saturating_sub(Lead::LENGTH));
        let Some(bytes) = data.get(at..).and_then(|rest| rest.first_chunk()) else { return Lead::default() };
        let length = end.min(data.len()).saturating_sub(begin).min(Lead::LENGTH) as u32;
        // Shifted in two steps, because no shift is as wide as the number.
        let surplus = (u64::BITS - 8 * length) / 2;
        let word = u64::from_le_bytes(*bytes).wrapping_shr(8 * (begin - at) as u32);
        Lead(word << surplus << surplus >> surplus >> surplus)
    }

    /// As they stand in the payload.
    pub fn bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }

    /// The same as one number, the first byte lowest.
    #[inline]
    pub(crate) fn word(self) -> u64 {
        self.0
    }

    /// The first one; 0 of an empty payload.
    #[inline]
    pub fn first(self) -> u8 {
        self.0 as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_at_every_place() {
        let data: Vec<u8> = (1..=60).collect();
        for begin in 0..70 {
            for end in 0..70 {
                let payload = data.get(begin..end.min(data.len())).unwrap_or_default();
                assert_eq!(Lead::within(&data, begin, end), Lead::of(payload), "{begin}..{end}");
            }
        }
    }
}
