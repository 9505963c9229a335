//! Zstandard (RFC 8878).

use std::io::{self, BufRead, Read};

use zstd::stream::raw::{DParameter, Decoder, Operation};

use super::bad;
use super::source::Source;
use crate::file::Fault;
use crate::file::input::Input;

/// The largest window, 2^27 bytes, that is decompressed: a header may ask for any, and it has to be kept in memory. It
/// is what zstd(1) opens unasked, and what `zstd --long` writes; other levels need at most 8 MiB.
const WINDOW_LOG: u32 = 27;

/// The frames of a file, one after the other; those that hold no data are skipped (§3.1.2). What follows the last frame
/// is ignored unless it could be another one, as with gzip.
pub(super) struct Zstd {
    source: Source,
    decoder: Decoder<'static>,
    in_frame: bool,
}

/// Whether `first` begins a frame or a skippable frame.
pub(super) fn is_frame(first: &[u8]) -> bool {
    matches!(first, [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

impl Zstd {
    pub(super) fn new(compressed: Input) -> io::Result<Zstd> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG))?;
        Ok(Zstd { source: Source::new(compressed), decoder, in_frame: false })
    }
}

impl Read for Zstd {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !out.is_empty() {
            if !self.in_frame && !is_frame(self.source.peek(4)?) {
                break;
            }
            let compressed = self.source.peek(1)?;
            let is_end = compressed.is_empty();
            let status = self.decoder.run_on_buffers(compressed, out).map_err(|error| bad(fault(&error)))?;
            self.source.consume(status.bytes_read);
            self.in_frame = status.remaining > 0;
            if status.bytes_written > 0 {
                return Ok(status.bytes_written);
            }
            if is_end && self.in_frame {
                return Err(bad(Fault::CompressedCut));
            }
        }
        Ok(0)
    }
}

/// The library hands its error codes on as words only.
fn fault(error: &io::Error) -> Fault {
    match error.to_string().contains("too much memory") {
        true => Fault::CompressedWindow { limit: 1 << WINDOW_LOG },
        false => Fault::CompressedCorrupt,
    }
}
