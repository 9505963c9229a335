//! Classic pcap: a header, then records (draft-ietf-opsawg-pcap).

use super::input::Input;
use super::order::ByteOrder;
use super::{Fault, LARGEST_RECORD, Record, Stop};
use crate::{LinkType, Timestamp, time};

/// Length of the file header (draft-ietf-opsawg-pcap §4).
const FILE_HEADER: usize = 24;

/// Length of a record's header but for the modified format (§5).
const USUAL_HEADER: usize = 16;

/// Bits of the link type field that no writer may set (draft-ietf-opsawg-pcap §4): neither link type nor length of the
/// frame check sequence.
const RESERVED: u32 = 0x03ff_0000;

/// A file after its header.
pub(super) struct Pcap {
    order: ByteOrder,
    /// Nanoseconds in the unit of a record's second word.
    fraction: i64,
    /// Length of a record's header.
    header: usize,
    lengths: Lengths,
    link: LinkType,
    /// Little-endian, with [`USUAL_HEADER`], and the captured length first.
    is_usual: bool,
}

/// In which order a record's header has the captured and the original length: libpcap sf-pcap.c `lengths_swapped`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lengths {
    CapturedFirst,
    /// Files of before 1993, and of DG/UX.
    OriginalFirst,
    /// Version 2.3 changed the order, and some wrote the version without the change: the captured one is the smaller.
    Either,
}

/// The header of a record.
struct Header {
    seconds: u32,
    /// In the file's unit.
    fraction: u32,
    captured: u32,
    original: u32,
}

impl Pcap {
    /// Reads the file header if `magic` is one of this format; consumes nothing if not.
    pub(super) fn open(magic: [u8; 4], input: &mut Input) -> Result<Option<Pcap>, Stop> {
        let (order, fraction, header) = match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => (ByteOrder::Little, 1_000, 16),
            [0xa1, 0xb2, 0xc3, 0xd4] => (ByteOrder::Big, 1_000, 16),
            [0x4d, 0x3c, 0xb2, 0xa1] => (ByteOrder::Little, 1, 16),
            [0xa1, 0xb2, 0x3c, 0x4d] => (ByteOrder::Big, 1, 16),
            // Alexey Kuznetzov's format: libpcap sf-pcap.c `struct pcap_sf_patched_pkthdr` puts eight bytes about the
            // interface between the lengths and the data.
            [0x34, 0xcd, 0xb2, 0xa1] => (ByteOrder::Little, 1_000, 24),
            [0xa1, 0xb2, 0xcd, 0x34] => (ByteOrder::Big, 1_000, 24),
            _ => return Ok(None),
        };
        if !input.fill(FILE_HEADER)? {
            return Ok(None);
        }
        let bytes = input.bytes();
        let (major, minor) = (order.u16(bytes, 4), order.u16(bytes, 6));
        let lengths = match (major, minor) {
            (2, 0..=2) | (543, 0) => Lengths::OriginalFirst,
            (2, 3) => Lengths::Either,
            (2, _) => Lengths::CapturedFirst,
            _ => return Err(Stop::Fault(Fault::Version { major, minor })),
        };
        let link = order.u32(bytes, 20);
        if link & RESERVED != 0 {
            return Err(Stop::Fault(Fault::LinkType { field: link }));
        }
        let link = LinkType::from_number(link);
        input.consume(FILE_HEADER);
        let is_usual = (order, header, lengths) == (ByteOrder::Little, USUAL_HEADER, Lengths::CapturedFirst);
        Ok(Some(Pcap { order, fraction, header, lengths, link, is_usual }))
    }

    pub(super) fn link(&self) -> LinkType {
        self.link
    }

    /// Steps to the next record if the file is of the usual kind, and all of the record is in the window.
    #[inline(always)]
    pub(super) fn quick(&mut self, input: &mut Input) -> Option<Record> {
        if !self.is_usual {
            return None;
        }
        let bytes = input.bytes();
        let head: &[u8; USUAL_HEADER] = bytes.first_chunk()?;
        let [seconds, fraction, captured, original] = [0, 4, 8, 12].map(|at| ByteOrder::Little.u32(head, at));
        let length = captured as usize;
        if captured > LARGEST_RECORD || bytes.len() - USUAL_HEADER < length {
            return None;
        }
        let at = input.consume(USUAL_HEADER + length) + USUAL_HEADER;
        Some(self.record(&Header { seconds, fraction, captured, original }, at))
    }

    /// Steps to the next record; `None` at the end of the file.
    pub(super) fn next(&mut self, input: &mut Input) -> Result<Option<Record>, Stop> {
        if !input.fill(self.header)? {
            return Ok(None);
        }
        let bytes = input.bytes().first_chunk().expect("a record header was filled, at least 16 bytes");
        let header = self.read_header(bytes);
        if header.captured > LARGEST_RECORD {
            return Err(Stop::Fault(Fault::TooLong { length: header.captured }));
        }
        let length = self.header + header.captured as usize;
        input.fill(length)?;
        Ok(Some(self.record(&header, input.consume(length) + self.header)))
    }

    fn read_header(&self, bytes: &[u8; 16]) -> Header {
        let [seconds, fraction, mut captured, mut original] = [0, 4, 8, 12].map(|at| self.order.u32(bytes, at));
        if self.lengths == Lengths::OriginalFirst || self.lengths == Lengths::Either && captured > original {
            (captured, original) = (original, captured);
        }
        Header { seconds, fraction, captured, original }
    }

    #[inline]
    fn record(&self, header: &Header, at: usize) -> Record {
        Record {
            time: self.time(header.seconds, header.fraction),
            link: self.link,
            interface: 0,
            at,
            length: header.captured as usize,
            original_length: header.original,
        }
    }

    /// Seconds are unsigned and reach 2106. More than a second of fractions is a writer's garbage, and the seconds are
    /// all there is to believe.
    #[inline]
    fn time(&self, seconds: u32, fraction: u32) -> Timestamp {
        let fraction = (i64::from(fraction) * self.fraction).min(time::SECOND);
        Timestamp(i64::from(seconds) * time::SECOND + fraction)
    }
}
