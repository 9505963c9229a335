//! Decompression on a second thread, a few pieces ahead of the reader.

use std::io::{self, Read};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use crate::file::input::CHUNK;

/// Pieces of [`CHUNK`] bytes on the way between the threads, the one being filled and the one being read included.
const PIECES: usize = 3;

/// What a reader yields, read ahead by a thread of its own. The first piece is read by whoever asks for it: small files
/// need no thread.
pub(super) struct Ahead {
    state: State,
}

enum State {
    /// The reader, and how many bytes it may still yield before it gets its thread.
    Here(Box<dyn Read + Send>, usize),
    There(There),
    Over,
}

struct There {
    full: Receiver<io::Result<Vec<u8>>>,
    empty: SyncSender<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
}

impl Ahead {
    pub(super) fn new(reader: Box<dyn Read + Send>) -> Ahead {
        Ahead { state: State::Here(reader, CHUNK) }
    }
}

impl Read for Ahead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let State::Here(_, 0) = self.state {
            self.state = match std::mem::replace(&mut self.state, State::Over) {
                State::Here(reader, _) => start(reader),
                other => other,
            };
        }
        match &mut self.state {
            State::Here(reader, left) => {
                let count = reader.read(out)?;
                *left = left.saturating_sub(count);
                Ok(count)
            }
            State::There(there) => {
                let read = there.read(out);
                if !matches!(read, Ok(1..)) {
                    self.state = State::Over;
                }
                read
            }
            State::Over => Ok(0),
        }
    }
}

impl There {
    /// As [`Read::read`] for a buffer that is not empty.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            // The thread may have ended with its last piece; then nobody wants the buffer.
            let _ = self.empty.send(std::mem::take(&mut self.piece));
            let ended = || io::Error::other("the decompressing thread has ended early");
            self.piece = self.full.recv().map_err(|_| ended())??;
            self.at = 0;
        }
        let rest = &self.piece[self.at..];
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

/// Gives the reader a thread, or leaves it where it is if there is none to be had.
///
/// Nobody waits for the thread: it ends when it has read everything, or when it finds that the other side is gone.
fn start(reader: Box<dyn Read + Send>) -> State {
    let (hand, taken) = mpsc::sync_channel(1);
    let (fill, full) = mpsc::sync_channel(PIECES);
    let (empty, emptied) = mpsc::sync_channel(PIECES);
    for _ in 1..PIECES {
        let _ = empty.send(Vec::new());
    }
    let work = move || {
        if let Ok(reader) = taken.recv() {
            fill_pieces(reader, &emptied, &fill);
        }
    };
    match thread::Builder::new().name("decompress".to_string()).spawn(work) {
        Ok(_) => {
            let _ = hand.send(reader);
            State::There(There { full, empty, piece: Vec::new(), at: 0 })
        }
        Err(_) => State::Here(reader, usize::MAX),
    }
}

/// Sends piece after piece, and an empty one or an error at the end.
fn fill_pieces(mut reader: Box<dyn Read + Send>, emptied: &Receiver<Vec<u8>>, fill: &SyncSender<io::Result<Vec<u8>>>) {
    while let Ok(mut piece) = emptied.recv() {
        piece.resize(CHUNK, 0);
        let mut length = 0;
        let result = loop {
            match reader.read(&mut piece[length..]) {
                Ok(0) => break Ok(()),
                Ok(count) => length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        piece.truncate(length);
        let is_last = length < CHUNK;
        if fill.send(Ok(piece)).is_err() {
            return;
        }
        if is_last {
            let _ = fill.send(result.map(|()| Vec::new()));
            return;
        }
    }
}
