//! Capture files: pcap and pcapng, plain or compressed, from a path or a pipe. One front end lends frame after frame out
//! of one buffer.
//!
//! `bytes → [compression →] input (a window at a time) → pcap | pcapng (records) → CaptureFile (frames)`
//!
//! libpcap is not used here: it refuses pcapng files whose interfaces differ in link type or snap length, and
//! compressed files.

mod clock;
mod compression;
mod fault;
mod input;
mod interface;
mod options;
mod order;
mod pcap;
mod pcapng;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use self::compression::Compression;
pub use self::fault::{Damage, Fault, FileError};
use self::input::Input;
pub use self::interface::Interface;
use self::pcap::Pcap;
use self::pcapng::Pcapng;
use crate::{Frame, LinkType, Timestamp};

/// The longest record believed, in bytes. libpcap's largest snap length is 256 KiB, or 128 MiB for D-Bus and USB, which
/// carry no networks; a length beyond is garbage.
const LARGEST_RECORD: u32 = 16 * 1024 * 1024;

/// What a file tells about itself, complete once all frames are read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileStatistics {
    /// Frames read, those of an unknown link type included.
    pub frames: u64,
    /// Records that hold no frame that can be read, while those behind them do.
    pub damaged: u64,
    /// The first of them.
    pub first_damaged: Option<Damage>,
    /// In file order; one for pcap.
    pub interfaces: Vec<Interface>,
}

/// A capture, read from its start to its end.
///
/// A file that is cut short or garbled is read as far as it goes: a capture of a process that was killed is as good as
/// any up to there.
pub struct CaptureFile {
    name: String,
    input: Input,
    format: Format,
    current: Option<Record>,
    frames: u64,
    damaged: u64,
    first_damaged: Option<Damage>,
    ended: bool,
    damage: Option<Damage>,
}

enum Format {
    Pcap(Pcap),
    Pcapng(Box<Pcapng>),
}

/// What a format knows of a frame; its bytes stay in the input.
#[derive(Clone, Copy)]
struct Record {
    time: Timestamp,
    link: LinkType,
    interface: u32,
    at: usize,
    length: usize,
    original_length: u32,
}

/// What a format found.
enum Step {
    Frame(Record),
    /// A record that is stepped over, and where it was.
    Damaged {
        offset: u64,
        what: Fault,
    },
}

impl Record {
    #[inline]
    fn frame<'a>(&self, input: &'a Input) -> Frame<'a> {
        Frame {
            time: self.time,
            link: self.link,
            interface: self.interface,
            data: input.consumed(self.at, self.length),
            original_length: self.original_length,
        }
    }
}

/// Why a format goes no further.
enum Stop {
    Fault(Fault),
    Read(io::Error),
}

/// A decompressor reports bad data as it would a failing disk; only the latter is a failure to read.
impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        match error.downcast::<Fault>() {
            Ok(fault) => Stop::Fault(fault),
            Err(error) => Stop::Read(error),
        }
    }
}

impl From<Stop> for io::Error {
    fn from(stop: Stop) -> io::Error {
        match stop {
            Stop::Fault(fault) => io::Error::other(fault),
            Stop::Read(error) => error,
        }
    }
}

impl CaptureFile {
    /// Opens the file at `path` and reads its header; `-` is standard input.
    ///
    /// # Errors
    /// See [`FileError`]; a header without frames is none.
    pub fn open(path: &Path) -> Result<CaptureFile, FileError> {
        if path.as_os_str() == "-" {
            return CaptureFile::from_reader("stdin".to_string(), Box::new(io::stdin()));
        }
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => CaptureFile::from_reader(name, Box::new(file)),
            Err(source) => Err(FileError::Open { name, source }),
        }
    }

    /// Reads the header of the capture that `reader` yields; `name` is for the errors. The reader is asked for large
    /// pieces and needs no buffer of its own.
    ///
    /// # Errors
    /// As [`CaptureFile::open`].
    pub fn from_reader(name: String, reader: Box<dyn Read + Send>) -> Result<CaptureFile, FileError> {
        let stopped = |stop| match stop {
            Stop::Fault(what) => FileError::Malformed { name: name.clone(), what },
            Stop::Read(source) => FileError::Read { name: name.clone(), offset: 0, source },
        };
        let mut input = Input::new(reader);
        match Compression::detect(input.peek(compression::MAGIC).map_err(stopped)?) {
            Some(Compression::Gzip) => input = compression::gzip(input),
            Some(Compression::Zstd) => input = compression::zstd(input).map_err(stopped)?,
            Some(Compression::Foreign(compression)) => return Err(FileError::Compressed { name, compression }),
            None => {}
        }
        let first = input.peek(4).map_err(stopped)?;
        if first.is_empty() {
            return Err(FileError::Empty { name });
        }
        let mut magic = [0; 4];
        magic[..first.len()].copy_from_slice(first);
        match Format::detect(magic, &mut input).map_err(stopped)? {
            Some(format) => {
                let (current, damage, first_damaged) = (None, None, None);
                Ok(CaptureFile {
                    name,
                    input,
                    format,
                    current,
                    frames: 0,
                    damaged: 0,
                    first_damaged,
                    ended: false,
                    damage,
                })
            }
            None => Err(FileError::NotACapture { name, magic }),
        }
    }

    /// Goes to the next frame and tells its time, or `None` at the end: of the file, or of what of it can be read, see
    /// [`CaptureFile::damage`].
    ///
    /// # Errors
    /// [`FileError::Read`] only, and nothing but `None` after it.
    pub fn advance(&mut self) -> Result<Option<Timestamp>, FileError> {
        match self.quick() {
            Some(record) => {
                self.current = Some(record);
                Ok(Some(record.time))
            }
            None => self.advance_slowly(),
        }
    }

    #[inline(never)]
    fn advance_slowly(&mut self) -> Result<Option<Timestamp>, FileError> {
        self.current = None;
        if self.ended {
            return Ok(None);
        }
        loop {
            let step = match &mut self.format {
                Format::Pcap(pcap) => pcap.next(&mut self.input).map(|record| record.map(Step::Frame)),
                Format::Pcapng(pcapng) => pcapng.next(&mut self.input),
            };
            match step {
                Ok(Some(Step::Frame(record))) => {
                    self.frames += 1;
                    self.current = Some(record);
                    return Ok(Some(record.time));
                }
                Ok(Some(Step::Damaged { offset, what })) => {
                    let packet = self.frames + self.damaged + 1;
                    self.damaged += 1;
                    self.first_damaged.get_or_insert(Damage { packet, offset, what });
                }
                Ok(None) => {
                    self.ended = true;
                    return Ok(None);
                }
                Err(stop) => return self.stop(stop).map(|()| None),
            }
        }
    }

    /// Hands the frame that [`CaptureFile::advance`] went to, and those behind it, to `take`, up to the first that is
    /// later than `until`; goes to that one and tells its time, or `None` as [`CaptureFile::advance`] does.
    ///
    /// # Errors
    /// As [`CaptureFile::advance`].
    pub fn run(&mut self, until: Timestamp, mut take: impl FnMut(&Frame<'_>)) -> Result<Option<Timestamp>, FileError> {
        loop {
            match self.current() {
                Some(frame) if frame.time > until => return Ok(Some(frame.time)),
                Some(frame) => take(&frame),
                None => {}
            }
            while let Some(record) = self.quick() {
                if record.time > until {
                    self.current = Some(record);
                    return Ok(Some(record.time));
                }
                take(&record.frame(&self.input));
            }
            if self.advance_slowly()?.is_none() {
                return Ok(None);
            }
        }
    }

    /// The next record if what is left of the window holds it, as it does but for one time in thousands.
    #[inline(always)]
    fn quick(&mut self) -> Option<Record> {
        let record = match &mut self.format {
            Format::Pcap(pcap) => pcap.quick(&mut self.input),
            Format::Pcapng(pcapng) => pcapng.quick(&mut self.input),
        };
        self.frames += u64::from(record.is_some());
        record
    }

    /// The frame that [`CaptureFile::advance`] went to.
    #[inline]
    pub fn current(&self) -> Option<Frame<'_>> {
        self.current.as_ref().map(|record| record.frame(&self.input))
    }

    /// [`CaptureFile::advance`] and [`CaptureFile::current`] in one.
    ///
    /// # Errors
    /// As [`CaptureFile::advance`].
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend its items")]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, FileError> {
        self.advance()?;
        Ok(self.current())
    }

    #[cold]
    fn stop(&mut self, stop: Stop) -> Result<(), FileError> {
        self.ended = true;
        let offset = self.input.offset();
        match stop {
            Stop::Fault(what) => {
                self.damage = Some(Damage { packet: self.frames + self.damaged + 1, offset, what });
                Ok(())
            }
            Stop::Read(source) => Err(FileError::Read { name: self.name.clone(), offset, source }),
        }
    }

    /// What made the reading end before the file did; `None` as long as nothing has.
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    /// The path as it was given, or `stdin`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is known of the file so far.
    pub fn statistics(&self) -> FileStatistics {
        let interfaces = match &self.format {
            Format::Pcap(pcap) => vec![Interface { frames: self.frames, ..Interface::new(None, pcap.link()) }],
            Format::Pcapng(pcapng) => pcapng.interfaces().to_vec(),
        };
        let first_damaged = self.first_damaged.clone();
        FileStatistics { frames: self.frames, damaged: self.damaged, first_damaged, interfaces }
    }
}

impl Format {
    /// Reads the header of the format that begins with `magic`.
    fn detect(magic: [u8; 4], input: &mut Input) -> Result<Option<Format>, Stop> {
        if let Some(pcap) = Pcap::open(magic, input)? {
            return Ok(Some(Format::Pcap(pcap)));
        }
        Ok(Pcapng::open(magic, input)?.map(|pcapng| Format::Pcapng(Box::new(pcapng))))
    }
}
