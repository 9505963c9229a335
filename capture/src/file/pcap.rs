//! Classic pcap: a header, then records (draft-ietf-opsawg-pcap).

use super::input::Input;
use super::order::ByteOrder;
use super::{Fault, LARGEST_RECORD, Record, Stop};
use crate::{LinkType, Timestamp, time};

/// Length of the file header (draft-ietf-opsawg-pcap §4).
const FILE_HEADER: usize = 24;

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
    link: LinkType,
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
        if major != 2 {
            return Err(Stop::Fault(Fault::Version { major, minor }));
        }
        let link = order.u32(bytes, 20);
        if link & RESERVED != 0 {
            return Err(Stop::Fault(Fault::LinkType { field: link }));
        }
        let link = LinkType::from_number(link);
        input.consume(FILE_HEADER);
        Ok(Some(Pcap { order, fraction, header, link }))
    }

    pub(super) fn link(&self) -> LinkType {
        self.link
    }

    /// Steps to the next record; `None` at the end of the file.
    #[inline]
    pub(super) fn next(&mut self, input: &mut Input) -> Result<Option<Record>, Stop> {
        if !input.fill(self.header)? {
            return Ok(None);
        }
        let header: &[u8; 16] = input.bytes().first_chunk().expect("a record header was filled, at least 16 bytes");
        let seconds = self.order.u32(header, 0);
        let fraction = self.order.u32(header, 4);
        let captured = self.order.u32(header, 8);
        let original_length = self.order.u32(header, 12);
        if captured > LARGEST_RECORD {
            return Err(Stop::Fault(Fault::TooLong { length: captured }));
        }
        let length = captured as usize;
        if !input.fill(self.header + length)? {
            return Ok(None);
        }
        Ok(Some(Record {
            time: self.time(seconds, fraction),
            link: self.link,
            interface: 0,
            at: input.consume(self.header + length) + self.header,
            length,
            original_length,
        }))
    }

    /// Seconds are unsigned and reach 2106. More than a second of fractions is a writer's garbage, and the seconds are
    /// all there is to believe.
    #[inline]
    fn time(&self, seconds: u32, fraction: u32) -> Timestamp {
        let fraction = (i64::from(fraction) * self.fraction).min(time::SECOND);
        Timestamp(i64::from(seconds) * time::SECOND + fraction)
    }
}
