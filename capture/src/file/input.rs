//! The bytes of a capture, a window at a time, decompressed where they are compressed.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::GzDecoder;

use super::{Fault, Stop};

/// Bytes asked of the source at a time: large enough that the system call does not show, small enough for the cache.
const CHUNK: usize = 256 * 1024;

/// What a reader of a format takes its records from.
pub(super) struct Input {
    source: Box<dyn Read + Send>,
    compressed: bool,
    window: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
}

impl Input {
    /// Reads `source`, through a decompressor if its first bytes ask for one.
    ///
    /// gzip is the only compression known; zstd (28 b5 2f fd) would be the second arm here.
    pub(super) fn new(source: Box<dyn Read + Send>) -> Result<Input, Stop> {
        let mut plain = Input::over(source, false);
        match plain.peek(2)? {
            [0x1f, 0x8b] => Ok(Input::over(Box::new(Gzip::new(plain.into_source())), true)),
            _ => Ok(plain),
        }
    }

    fn over(source: Box<dyn Read + Send>, compressed: bool) -> Input {
        Input { source, compressed, window: vec![0; CHUNK], start: 0, end: 0, offset: 0 }
    }

    fn into_source(self) -> Box<dyn Read + Send> {
        let mut seen = self.window;
        seen.truncate(self.end);
        seen.drain(..self.start);
        Box::new(Cursor::new(seen).chain(self.source))
    }

    /// The next `length` bytes, or as many as there are.
    pub(super) fn peek(&mut self, length: usize) -> Result<&[u8], Stop> {
        self.refill(length)?;
        let bytes = self.bytes();
        Ok(&bytes[..length.min(bytes.len())])
    }

    /// Makes a record of `length` bytes available: false if the source has ended before it, a fault if it ends in it.
    #[inline]
    pub(super) fn fill(&mut self, length: usize) -> Result<bool, Stop> {
        if self.end - self.start >= length {
            return Ok(true);
        }
        self.refill(length)?;
        match self.end {
            0 => Ok(false),
            have if have < length => Err(Stop::Fault(Fault::CutShort { need: length as u64, have: have as u64 })),
            _ => Ok(true),
        }
    }

    #[inline(never)]
    fn refill(&mut self, length: usize) -> Result<(), Stop> {
        self.window.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < length {
            // Doubling only once the window is full: a record's length is a claim, the bytes that arrive are not.
            if self.end == self.window.len() {
                self.window.resize(self.window.len() * 2, 0);
            }
            let limit = self.window.len().min(self.end + CHUNK);
            match self.source.read(&mut self.window[self.end..limit]) {
                Ok(0) => break,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.stop(error)),
            }
        }
        Ok(())
    }

    /// A decompressor reports bad data as it would a failing disk; only the latter is a failure to read.
    fn stop(&self, error: io::Error) -> Stop {
        match error.kind() {
            io::ErrorKind::UnexpectedEof if self.compressed => Stop::Fault(Fault::CompressedCut),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData if self.compressed => {
                Stop::Fault(Fault::CompressedCorrupt)
            }
            _ => Stop::Read(error),
        }
    }

    /// What is available and not yet consumed.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.window[self.start..self.end]
    }

    /// Steps over `length` available bytes and returns where the window holds them, until the next `fill`.
    #[inline]
    pub(super) fn consume(&mut self, length: usize) -> usize {
        let at = self.start;
        self.start += length;
        self.offset += length as u64;
        debug_assert!(self.start <= self.end);
        at
    }

    /// Bytes that were consumed; `at` counts from a position `consume` returned.
    #[inline]
    pub(super) fn consumed(&self, at: usize, length: usize) -> &[u8] {
        &self.window[at..at + length]
    }

    /// How many bytes were consumed so far, after decompression.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }
}

/// The members of a gzip file, one after the other (RFC 1952 §2.2). What follows the last member is ignored unless it
/// could be another one, as gzip(1) does: tapes and block devices pad.
///
/// `flate2::bufread::MultiGzDecoder` takes such padding for a corrupt member.
struct Gzip {
    member: Option<GzDecoder<BufReader<Box<dyn Read + Send>>>>,
}

impl Gzip {
    fn new(source: Box<dyn Read + Send>) -> Gzip {
        Gzip { member: Some(GzDecoder::new(BufReader::with_capacity(CHUNK, source))) }
    }
}

impl Read for Gzip {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(out)?;
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            let more = member.get_mut().fill_buf()?.first() == Some(&0x1f);
            self.member = self.member.take().filter(|_| more).map(|member| GzDecoder::new(member.into_inner()));
        }
        Ok(0)
    }
}
