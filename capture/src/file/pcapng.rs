//! pcapng: sections of blocks (draft-ietf-opsawg-pcapng).

use super::clock::{Clock, Scale};
use super::input::Input;
use super::options::options;
use super::order::ByteOrder;
use super::{Fault, Interface, LARGEST_RECORD, Record, Step, Stop};
use crate::{LinkType, Timestamp};

/// Section Header Block (§4.1). Reads the same in either byte order.
const SECTION: u32 = 0x0a0d_0d0a;
/// Interface Description Block (§4.2).
const INTERFACE: u32 = 1;
/// Packet Block (appendix A), obsolete.
const PACKET: u32 = 2;
/// Simple Packet Block (§4.4).
const SIMPLE: u32 = 3;
/// Interface Statistics Block (§4.6).
const STATISTICS: u32 = 5;
/// Enhanced Packet Block (§4.3).
const ENHANCED: u32 = 6;

/// Type and both lengths, the least a block can be (§3.1).
const SMALLEST_BLOCK: u32 = 12;

/// More interfaces than any capture has; a file of nothing but descriptions must not fill the memory.
const MOST_INTERFACES: usize = 65_536;

/// Longest name of an interface that is kept, in bytes: a few kilobytes of compressed descriptions unpack to gigabytes of
/// names.
const LONGEST_NAME: usize = 256;

/// A file after its first section header.
pub(super) struct Pcapng {
    order: ByteOrder,
    /// The interfaces of the current section, by their number in it.
    section: Vec<Description>,
    /// Those of all sections.
    interfaces: Vec<Interface>,
    /// Where in `interfaces` stand the frames that name none of their section.
    undescribed: Option<u32>,
    latest: Timestamp,
}

/// What a packet needs to know of its interface.
#[derive(Clone, Copy)]
struct Description {
    index: u32,
    link: LinkType,
    /// 0 for no limit.
    snap_length: u32,
    clock: Clock,
}

impl Pcapng {
    /// Reads the first section header if `magic` is one; consumes nothing if not.
    pub(super) fn open(magic: [u8; 4], input: &mut Input) -> Result<Option<Pcapng>, Stop> {
        if u32::from_le_bytes(magic) != SECTION {
            return Ok(None);
        }
        let mut pcapng = Pcapng {
            order: ByteOrder::Little,
            section: Vec::new(),
            interfaces: Vec::new(),
            undescribed: None,
            latest: Timestamp::default(),
        };
        if let Some((_, length)) = pcapng.block(input)? {
            pcapng.open_section(&input.bytes()[8..length - 4])?;
            input.consume(length);
        }
        Ok(Some(pcapng))
    }

    pub(super) fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Steps to the next packet if the section is little-endian, and the packet an Enhanced Packet Block without faults
    /// of which all is in the window.
    #[inline]
    pub(super) fn quick(&mut self, input: &mut Input) -> Option<Record> {
        let order = ByteOrder::Little;
        if self.order != order {
            return None;
        }
        let bytes = input.bytes();
        let head: &[u8; 28] = bytes.first_chunk()?;
        let [kind, claimed, interface] = [0, 4, 8].map(|at| order.u32(head, at));
        let [high, low, captured, original_length] = [12, 16, 20, 24].map(|at| order.u32(head, at));
        let length = claimed as usize;
        let is_sound = kind == ENHANCED
            && claimed <= LARGEST_RECORD
            && claimed.is_multiple_of(4)
            && length <= bytes.len()
            && captured as usize + 32 <= length
            && order.u32(bytes, length - 4) == claimed;
        if !is_sound {
            return None;
        }
        let description = self.section.get(interface as usize)?;
        let at = input.consume(length) + 28;
        let time = description.clock.time(u64::from(high) << 32 | u64::from(low));
        let (link, interface) = (description.link, description.index);
        self.latest = time;
        self.interfaces[interface as usize].frames += 1;
        Some(Record { time, link, interface, at, length: captured as usize, original_length })
    }

    /// Steps to the next packet over everything else; `None` at the end of the file. A packet whose block has its length
    /// at both ends, but cannot hold what it claims, is damaged alone.
    pub(super) fn next(&mut self, input: &mut Input) -> Result<Option<Step>, Stop> {
        while let Some((kind, length)) = self.block(input)? {
            let body = &input.bytes()[8..length - 4];
            let packet = match kind {
                ENHANCED => Some(self.enhanced(body)),
                SIMPLE => Some(self.simple(body)),
                PACKET => Some(self.packet(body)),
                _ => None,
            };
            match kind {
                SECTION => self.open_section(body)?,
                INTERFACE => self.describe(body)?,
                STATISTICS => self.count(body),
                _ => {}
            }
            let offset = input.offset();
            let at = input.consume(length);
            match packet {
                Some(Ok(mut record)) => {
                    self.latest = record.time;
                    self.interfaces[record.interface as usize].frames += 1;
                    record.at += at + 8;
                    return Ok(Some(Step::Frame(record)));
                }
                Some(Err(what)) => return Ok(Some(Step::Damaged { offset, what })),
                None => {}
            }
        }
        Ok(None)
    }

    /// Makes the next block available: its type and its length. The byte order changes with a section header, before
    /// the length that it concerns.
    fn block(&mut self, input: &mut Input) -> Result<Option<(u32, usize)>, Stop> {
        if !input.fill(SMALLEST_BLOCK as usize)? {
            return Ok(None);
        }
        let head: &[u8; 12] = input.bytes().first_chunk().expect("12 bytes were filled");
        let kind = self.order.u32(head, 0);
        if kind == SECTION {
            self.order = match ByteOrder::Little.u32(head, 8) {
                0x1a2b_3c4d => ByteOrder::Little,
                0x4d3c_2b1a => ByteOrder::Big,
                magic => {
                    return Err(Stop::Fault(Fault::ByteOrder { magic: magic.to_le_bytes() }));
                }
            };
        }
        let claimed = self.order.u32(head, 4);
        if claimed < SMALLEST_BLOCK || !claimed.is_multiple_of(4) {
            return Err(Stop::Fault(Fault::BlockLength { length: claimed }));
        }
        if claimed > LARGEST_RECORD {
            return Err(Stop::Fault(Fault::TooLong { length: claimed }));
        }
        let length = claimed as usize;
        if !input.fill(length)? {
            return Ok(None);
        }
        let repeated = self.order.u32(input.bytes(), length - 4);
        if repeated != claimed {
            return Err(Stop::Fault(Fault::BlockLengths { first: claimed, last: repeated }));
        }
        Ok(Some((kind, length)))
    }

    /// §4.1: byte-order magic, version, section length, options. The section length is advice, and often -1.
    fn open_section(&mut self, body: &[u8]) -> Result<(), Stop> {
        enough(SECTION, body, 16).map_err(Stop::Fault)?;
        let (major, minor) = (self.order.u16(body, 4), self.order.u16(body, 6));
        if major != 1 {
            return Err(Stop::Fault(Fault::Version { major, minor }));
        }
        self.section.clear();
        Ok(())
    }

    /// §4.2: link type, reserved, snap length, options.
    fn describe(&mut self, body: &[u8]) -> Result<(), Stop> {
        enough(INTERFACE, body, 8).map_err(Stop::Fault)?;
        if self.interfaces.len() >= MOST_INTERFACES {
            return Err(Stop::Fault(Fault::Interfaces { limit: MOST_INTERFACES as u32 }));
        }
        let link = LinkType::from_number(u32::from(self.order.u16(body, 0)));
        let (mut name, mut clock) = (None, Clock::default());
        for option in options(self.order, &body[8..]) {
            match option? {
                (2, value) => {
                    let value = &value[..value.len().min(LONGEST_NAME)];
                    name = Some(String::from_utf8_lossy(value).trim_end_matches('\0').to_string());
                }
                (9, &[resolution, ..]) => clock.scale = Scale::from_resolution(resolution),
                (14, value) if value.len() >= 8 => clock.offset = self.order.u64(value, 0) as i64,
                _ => {}
            }
        }
        let index = self.add(Interface::new(name, link));
        let snap_length = self.order.u32(body, 4);
        self.section.push(Description { index, link, snap_length, clock });
        Ok(())
    }

    /// §4.3: interface, time in two words, captured and original length, data, options.
    fn enhanced(&mut self, body: &[u8]) -> Result<Record, Fault> {
        enough(ENHANCED, body, 20)?;
        let interface = self.order.u32(body, 0);
        self.timed(ENHANCED, interface, body)
    }

    /// Appendix A: as an Enhanced Packet Block, but the first word holds a 16-bit interface and a count of drops.
    fn packet(&mut self, body: &[u8]) -> Result<Record, Fault> {
        enough(PACKET, body, 20)?;
        let interface = u32::from(self.order.u16(body, 0));
        self.timed(PACKET, interface, body)
    }

    fn timed(&mut self, kind: u32, interface: u32, body: &[u8]) -> Result<Record, Fault> {
        let ticks = u64::from(self.order.u32(body, 4)) << 32 | u64::from(self.order.u32(body, 8));
        let captured = self.order.u32(body, 12) as usize;
        let original_length = self.order.u32(body, 16);
        enough(kind, &body[20..], captured)?;
        let description = self.description(interface);
        let time = description.clock.time(ticks);
        Ok(Record {
            time,
            link: description.link,
            interface: description.index,
            at: 20,
            length: captured,
            original_length,
        })
    }

    /// §4.4: original length and data of the section's first interface, padded; no time. The captured length is what
    /// the snap length leaves of the original.
    fn simple(&mut self, body: &[u8]) -> Result<Record, Fault> {
        enough(SIMPLE, body, 4)?;
        let original_length = self.order.u32(body, 0);
        let description = self.description(0);
        let captured = match description.snap_length {
            0 => original_length,
            limit => original_length.min(limit),
        } as usize;
        enough(SIMPLE, &body[4..], captured)?;
        Ok(Record {
            time: self.latest,
            link: description.link,
            interface: description.index,
            at: 4,
            length: captured,
            original_length,
        })
    }

    /// §4.6: interface, time in two words, options. The counters run from the start of the capture, so that the last
    /// block of an interface is the one that counts. A block that cannot be read costs its counters and no frames.
    fn count(&mut self, body: &[u8]) {
        if body.len() < 12 {
            return;
        }
        let Some(description) = self.section.get(self.order.u32(body, 0) as usize) else {
            return;
        };
        let interface = &mut self.interfaces[description.index as usize];
        for (code, value) in options(self.order, &body[12..]).map_while(Result::ok) {
            if value.len() < 8 {
                continue;
            }
            let counter = self.order.u64(value, 0);
            match code {
                4 => interface.received = Some(counter),
                5 => interface.dropped_by_interface = Some(counter),
                6 => interface.accepted = Some(counter),
                7 => interface.dropped_by_system = Some(counter),
                _ => {}
            }
        }
    }

    fn description(&mut self, interface: u32) -> Description {
        match self.section.get(interface as usize) {
            Some(description) => *description,
            None => self.undescribed(),
        }
    }

    #[cold]
    fn undescribed(&mut self) -> Description {
        let link = LinkType::UNDESCRIBED;
        let index = match self.undescribed {
            Some(index) => index,
            None => self.add(Interface::new(None, link)),
        };
        self.undescribed = Some(index);
        Description { index, link, snap_length: 0, clock: Clock::default() }
    }

    fn add(&mut self, interface: Interface) -> u32 {
        self.interfaces.push(interface);
        self.interfaces.len() as u32 - 1
    }
}

/// A part of a block of type `kind` must hold `need` bytes.
fn enough(kind: u32, part: &[u8], need: usize) -> Result<(), Fault> {
    let have = part.len();
    if have >= need {
        return Ok(());
    }
    Err(Fault::BlockTooShort { kind, need: need as u64, have: have as u64 })
}
