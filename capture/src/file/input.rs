//! The bytes of a file, a window at a time.

use std::io::{self, Read};

use super::{Fault, Stop};

/// Bytes asked of the source at a time: large enough that the system call does not show, small enough for the cache.
pub(super) const CHUNK: usize = 256 * 1024;

/// What a reader of a format takes its records from.
pub(super) struct Input {
    source: Box<dyn Read + Send>,
    window: Vec<u8>,
    /// What of the window is available and not yet consumed.
    start: usize,
    end: usize,
    /// Where in the source the window begins.
    base: u64,
}

impl Input {
    pub(super) fn new(source: Box<dyn Read + Send>) -> Input {
        Input { source, window: vec![0; CHUNK], start: 0, end: 0, base: 0 }
    }

    /// The next `length` bytes, or as many as there are.
    pub(super) fn peek(&mut self, length: usize) -> Result<&[u8], Stop> {
        self.want(length)?;
        let bytes = self.bytes();
        Ok(&bytes[..length.min(bytes.len())])
    }

    /// Makes `length` bytes available, or as many as there are.
    #[inline]
    pub(super) fn want(&mut self, length: usize) -> Result<(), Stop> {
        if self.end - self.start >= length {
            return Ok(());
        }
        self.refill(length)
    }

    /// Makes a record of `length` bytes available: false if the source has ended before it, a fault if it ends in it.
    #[inline]
    pub(super) fn fill(&mut self, length: usize) -> Result<bool, Stop> {
        self.want(length)?;
        match self.end - self.start {
            0 => Ok(false),
            have if have < length => Err(Stop::Fault(Fault::CutShort { need: length as u64, have: have as u64 })),
            _ => Ok(true),
        }
    }

    #[inline(never)]
    fn refill(&mut self, length: usize) -> Result<(), Stop> {
        self.window.copy_within(self.start..self.end, 0);
        self.base += self.start as u64;
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
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
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
        debug_assert!(self.start <= self.end);
        at
    }

    /// Bytes that were consumed; `at` counts from a position `consume` returned.
    #[inline]
    pub(super) fn consumed(&self, at: usize, length: usize) -> &[u8] {
        &self.window[at..at + length]
    }

    /// How many bytes were consumed so far.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }
}
