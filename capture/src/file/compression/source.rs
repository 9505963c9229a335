//! The compressed bytes, as decompressors take them.

use std::io::{self, BufRead, Read};

use crate::file::input::Input;

/// A decompressor's source. It keeps the system's own errors, which a decompressor may dress up as its own.
pub(super) struct Source {
    input: Input,
    failure: Option<io::Error>,
}

impl Source {
    pub(super) fn new(input: Input) -> Source {
        Source { input, failure: None }
    }

    /// What the system said, if it is to blame for the last error.
    pub(super) fn failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// The next `length` bytes or more, or as many as there are; they stay.
    pub(super) fn peek(&mut self, length: usize) -> io::Result<&[u8]> {
        self.input.want(length)?;
        Ok(self.input.bytes())
    }
}

impl Read for Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut bytes = self.fill_buf()?;
        let count = bytes.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Source {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if let Err(stop) = self.input.want(1) {
            self.failure = Some(stop.into());
            return Err(io::Error::other("the compressed data cannot be read"));
        }
        Ok(self.input.bytes())
    }

    fn consume(&mut self, count: usize) {
        self.input.consume(count);
    }
}
