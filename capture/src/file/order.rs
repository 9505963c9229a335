//! The byte order of the host that wrote a capture.

/// Both formats tell their order by how a known number reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

/// Each reads the number at byte `at` of `bytes`, which the caller has checked to be there. The choice is between two
/// values and not between two paths, so it compiles to a select.
impl ByteOrder {
    #[inline]
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let number = u16::from_le_bytes(array(bytes, at));
        if self == ByteOrder::Big { number.swap_bytes() } else { number }
    }

    #[inline]
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let number = u32::from_le_bytes(array(bytes, at));
        if self == ByteOrder::Big { number.swap_bytes() } else { number }
    }

    #[inline]
    pub(super) fn u64(self, bytes: &[u8], at: usize) -> u64 {
        let number = u64::from_le_bytes(array(bytes, at));
        if self == ByteOrder::Big { number.swap_bytes() } else { number }
    }
}

#[inline]
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("a range of N bytes makes an array of N bytes")
}
