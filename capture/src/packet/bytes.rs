//! Reads from bytes that may end anywhere.

use super::skipped::{Layer, Skipped};

/// The byte at an offset.
pub(super) fn byte(data: &[u8], at: usize, layer: Layer) -> Result<u8, Skipped> {
    data.get(at).copied().ok_or(Skipped::Truncated(layer))
}

/// Two bytes in network order.
pub(super) fn be16(data: &[u8], at: usize, layer: Layer) -> Result<u16, Skipped> {
    Ok(u16::from_be_bytes([byte(data, at, layer)?, byte(data, at + 1, layer)?]))
}

/// Four bytes in network order.
pub(super) fn be32(data: &[u8], at: usize, layer: Layer) -> Result<u32, Skipped> {
    Ok(u32::from(be16(data, at, layer)?) << 16 | u32::from(be16(data, at + 2, layer)?))
}

/// Everything from an offset on.
pub(super) fn tail(data: &[u8], from: usize, layer: Layer) -> Result<&[u8], Skipped> {
    data.get(from..).ok_or(Skipped::Truncated(layer))
}
