//! The options at the end of a pcapng block (draft-ietf-opsawg-pcapng §3.5).

use super::order::ByteOrder;
use super::{Fault, Stop};

/// Each option's code and value, up to opt_endofopt or the end of the block: writers leave either out.
pub(super) fn options(order: ByteOrder, bytes: &[u8]) -> impl Iterator<Item = Result<(u16, &[u8]), Stop>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.len() < 4 {
            return None;
        }
        let code = order.u16(rest, 0);
        let length = usize::from(order.u16(rest, 2));
        rest = &rest[4..];
        if code == 0 {
            return None;
        }
        let Some(value) = rest.get(..length) else {
            let have = rest.len() as u64;
            rest = &[];
            return Some(Err(Stop::Fault(Fault::OptionTooLong { code, need: length as u64, have })));
        };
        // Values are padded to 32 bits; the last one's padding may be missing.
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Ok((code, value)))
    })
}
