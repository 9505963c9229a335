//! What can be wrong with a capture file.

use std::{fmt, io};

/// Why a capture cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system does not open the file.
    #[error("{name}: cannot be opened")]
    Open {
        /// As the user named it.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// There are no bytes, not even a header: a capture that was never flushed.
    #[error("{name}: unreadable: the file is empty")]
    Empty {
        /// As the user named it.
        name: String,
    },
    /// The first bytes belong to no format known here.
    #[error("{name}: neither pcap nor pcapng: it begins with {magic:02x?}")]
    NotACapture {
        /// As the user named it.
        name: String,
        /// The first four bytes, after decompression; 0 for those that a shorter file lacks.
        magic: [u8; 4],
    },
    /// A compression that is not read.
    #[error("{name}: compressed with {compression}, which is not read; gzip and zstd are")]
    Compressed {
        /// As the user named it.
        name: String,
        /// The program that wrote it.
        compression: &'static str,
    },
    /// The header at the start of the file cannot be read. Faults further on are [`CaptureFile::damage`](super::CaptureFile::damage).
    #[error("{name}: malformed header: {what}")]
    Malformed {
        /// As the user named it.
        name: String,
        /// What is wrong with it.
        what: Fault,
    },
    /// The system fails in the middle of reading.
    #[error("{name}: cannot be read at byte {offset}")]
    Read {
        /// As the user named it.
        name: String,
        /// How far the reading had come, after decompression.
        offset: u64,
        /// What the system says.
        source: io::Error,
    },
}

/// What is wrong at some place of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file ends inside a header or record, as when the capturing process was killed.
    #[error("cut short: {have} of {need} bytes")]
    CutShort {
        /// Bytes of the record, as far as it tells.
        need: u64,
        /// Bytes that are there.
        have: u64,
    },
    /// A compressed file ends before its compressed data do.
    #[error("the compressed data are cut short")]
    CompressedCut,
    /// Data that cannot be decompressed, or whose checksum is wrong.
    #[error("the compressed data are corrupt")]
    CompressedCorrupt,
    /// zstd: data that need more memory to decompress than a capture may take.
    #[error("the compressed data need a window of more than {limit} bytes")]
    CompressedWindow {
        /// The largest window in bytes.
        limit: u64,
    },
    /// A record longer than any capture's.
    #[error("a record of {length} bytes is not believable")]
    TooLong {
        /// As claimed, in bytes.
        length: u32,
    },
    /// A version of the format whose layout is not known here.
    #[error("unknown version {major}.{minor} of the format")]
    Version {
        /// 2 in pcap, 1 in pcapng.
        major: u16,
        /// Changes nothing here.
        minor: u16,
    },
    /// pcap: a link type with reserved bits, which no format known here sets.
    #[error("unknown flags in the link type {field:#010x}")]
    LinkType {
        /// The header's field, link type and flags.
        field: u32,
    },
    /// pcapng: a section that tells no byte order.
    #[error("unknown byte order {magic:02x?}")]
    ByteOrder {
        /// In file order; 1a2b3c4d or its reverse is expected.
        magic: [u8; 4],
    },
    /// pcapng: a block shorter than a block can be, or not of whole 32-bit words.
    #[error("a block cannot be {length} bytes long")]
    BlockLength {
        /// As claimed, in bytes.
        length: u32,
    },
    /// pcapng: the length at the start of a block differs from the one at its end.
    #[error("a block says that it is {first} bytes long and then {last}")]
    BlockLengths {
        /// In the block's header.
        first: u32,
        /// In its last four bytes.
        last: u32,
    },
    /// pcapng: the fields of a block, or its packet, do not fit into it.
    #[error("a block of type {kind} holds {have} bytes where {need} are needed")]
    BlockTooShort {
        /// The block type.
        kind: u32,
        /// Bytes needed.
        need: u64,
        /// Bytes there.
        have: u64,
    },
    /// pcapng: an option of an interface does not fit into its block.
    #[error("option {code} holds {have} bytes where {need} are needed")]
    OptionTooLong {
        /// The option's code.
        code: u16,
        /// Bytes needed.
        need: u64,
        /// Bytes there.
        have: u64,
    },
    /// pcapng: interfaces without end.
    #[error("more than {limit} interfaces")]
    Interfaces {
        /// The most that are kept.
        limit: u32,
    },
}

/// Where the reading of a file ended before the file did, or where it stepped over something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The frame, from 1, that would have been next; all before it were read.
    pub packet: u64,
    /// Where its record starts, in bytes after decompression.
    pub offset: u64,
    /// What is wrong there.
    pub what: Fault,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "packet {}, byte {}: {}", self.packet, self.offset, self.what)
    }
}
