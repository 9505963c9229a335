//! Compressed captures: which compression it is, and the bytes behind it.

mod ahead;
mod gzip;
mod source;
mod zstd;

use std::io::Read;

use self::ahead::Ahead;
use self::gzip::Gzip;
use self::zstd::Zstd;
use super::input::Input;
use super::{Fault, Stop};

/// The longest of the magic numbers below, in bytes.
pub(super) const MAGIC: usize = 6;

/// A compression, known by the first bytes of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// One that is not read, by the name of its program.
    Foreign(&'static str),
}

impl Compression {
    /// The compression of a file that begins with `first`, of which [`MAGIC`] bytes are looked at.
    pub(super) fn detect(first: &[u8]) -> Option<Compression> {
        Some(match first {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            _ if zstd::is_frame(first) => Compression::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Foreign("xz"),
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31 | 0x17, ..] => Compression::Foreign("bzip2"),
            [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => Compression::Foreign("lz4"),
            [0x5d, 0, 0, ..] => Compression::Foreign("lzma"),
            [0x1f, 0x9d, ..] => Compression::Foreign("compress"),
            [b'P', b'K', 3, 4, ..] => Compression::Foreign("zip"),
            _ => return None,
        })
    }
}

/// What is compressed in `compressed`, decompressed a little ahead of its reader.
pub(super) fn gzip(compressed: Input) -> Input {
    unpacked(Gzip::new(compressed))
}

/// As [`gzip`].
///
/// # Errors
/// Where there is no memory for the decompressor.
pub(super) fn zstd(compressed: Input) -> Result<Input, Stop> {
    Ok(unpacked(Zstd::new(compressed).map_err(Stop::Read)?))
}

fn unpacked(unpacker: impl Read + Send + 'static) -> Input {
    Input::new(Box::new(Ahead::new(Box::new(unpacker))))
}

/// A decompressor's verdict on its data as an error of a [`Read`]; [`Input`] tells it from those of the system.
fn bad(fault: Fault) -> std::io::Error {
    std::io::Error::other(fault)
}
