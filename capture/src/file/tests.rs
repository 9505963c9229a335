mod write;

use std::io::{self, Cursor};

use proptest::prelude::*;

use self::write::*;
use super::order::ByteOrder::{Big, Little};
use super::*;

/// A frame that outlives its file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    time: i64,
    link: LinkType,
    interface: u32,
    data: Vec<u8>,
    original_length: u32,
}

#[derive(Debug)]
struct Outcome {
    frames: Vec<Seen>,
    damage: Option<Damage>,
    statistics: FileStatistics,
}

fn seen(time: i64, link: LinkType, interface: u32, data: &[u8]) -> Seen {
    Seen { time, link, interface, data: data.to_vec(), original_length: data.len() as u32 }
}

fn read_from(reader: Box<dyn Read + Send>) -> Result<Outcome, FileError> {
    let mut file = CaptureFile::from_reader("test".to_string(), reader)?;
    let mut frames = Vec::new();
    while let Some(frame) = file.next()? {
        let Frame { time: Timestamp(time), link, interface, data, original_length } = frame;
        frames.push(Seen { time, link, interface, data: data.to_vec(), original_length });
    }
    assert!(matches!(file.next(), Ok(None)), "the end stays the end");
    let statistics = file.statistics();
    assert_eq!(statistics.frames, frames.len() as u64);
    assert_eq!(statistics.interfaces.iter().map(|interface| interface.frames).sum::<u64>(), statistics.frames);
    for frame in &frames {
        assert_eq!(statistics.interfaces[frame.interface as usize].link, frame.link);
    }
    Ok(Outcome { frames, damage: file.damage().cloned(), statistics })
}

fn read(bytes: &[u8]) -> Result<Outcome, FileError> {
    read_from(Box::new(Cursor::new(bytes.to_vec())))
}

/// A pipe whose writer is slow.
struct Trickle(Cursor<Vec<u8>>, usize);

impl Read for Trickle {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = out.len().min(self.1);
        self.0.read(&mut out[..count])
    }
}

/// A disk that fails after its last byte.
struct Failing(Cursor<Vec<u8>>);

impl Read for Failing {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.0.read(out)? {
            0 => Err(io::Error::other("bad sector")),
            count => Ok(count),
        }
    }
}

#[test]
fn reads_pcap_of_either_order_and_resolution() {
    for (magic, fraction) in [(MICRO, 1_000), (NANO, 1), (MODIFIED, 1_000)] {
        for order in [Little, Big] {
            let outcome = read(&pcap(order, magic)).unwrap();
            assert_eq!(
                outcome.frames,
                [
                    seen(3_000_000_000_000_000_000 + 5 * fraction, LinkType::Ethernet, 0, b"first frame"),
                    seen(3_000_000_001_000_000_000 + 999_999 * fraction, LinkType::Ethernet, 0, b""),
                    seen(1_000_000_000, LinkType::Ethernet, 0, b"earlier"),
                ]
            );
            assert_eq!(outcome.damage, None);
            let expected = Interface { frames: 3, ..Interface::new(None, LinkType::Ethernet) };
            assert_eq!(outcome.statistics.interfaces, [expected]);
        }
    }
}

#[test]
fn reads_pcap_of_before_1993() {
    for (version, lengths, data) in [
        ([2, 4], [4, 9], "abcd"),
        ([2, 3], [4, 9], "abcd"),
        ([2, 3], [9, 4], "abcd"), // version 2.3 with the lengths of 2.2
        ([2, 2], [9, 4], "abcd"),
        ([543, 0], [9, 4], "abcd"), // DG/UX
    ] {
        let mut bytes = pcap_header(Big, MICRO, 1);
        bytes.splice(4..8, u16s(Big, &version));
        for _ in 0..2 {
            bytes.extend(u32s(Big, &[1, 0, lengths[0], lengths[1]]));
            bytes.extend(data.as_bytes());
        }
        let outcome = read(&bytes).unwrap();
        let expected = Seen { original_length: 9, ..seen(1_000_000_000, LinkType::Ethernet, 0, data.as_bytes()) };
        assert_eq!(outcome.frames, [expected.clone(), expected], "{version:?} {lengths:?}");
        assert_eq!(outcome.damage, None);
    }
}

#[test]
fn reads_pcapng_of_either_order() {
    for order in [Little, Big] {
        let outcome = read(&pcapng_blocks(order).concat()).unwrap();
        assert_eq!(outcome.frames, pcapng_frames());
        assert_eq!(outcome.damage, None);
        let interface =
            |name: Option<&str>, link, frames| Interface { frames, ..Interface::new(name.map(str::to_string), link) };
        let found = &outcome.statistics.interfaces;
        assert_eq!(
            *found,
            [
                Interface {
                    received: Some(1000),
                    accepted: Some(900),
                    dropped_by_interface: Some(30),
                    dropped_by_system: Some(4),
                    ..interface(Some("eth0"), LinkType::Ethernet, 3)
                },
                Interface {
                    dropped_by_interface: Some(30),
                    dropped_by_system: Some(5),
                    ..interface(Some("any"), LinkType::LinuxSll, 2)
                },
                interface(None, LinkType::Unknown(147), 2),
                interface(None, LinkType::UNDESCRIBED, 1),
            ]
        );
        let dropped: Vec<_> = found.iter().map(Interface::dropped).collect();
        assert_eq!(dropped, [Some(34), Some(35), None, None]);
    }
}

#[test]
fn headers_alone_are_captures_of_nothing() {
    for bytes in [pcap_header(Little, MICRO, 1), section(Big), gzip(&section(Little)), zstd(&section(Little))] {
        let outcome = read(&bytes).unwrap();
        assert_eq!((outcome.frames.len(), outcome.damage), (0, None));
    }
}

#[test]
fn pieces_of_any_size_and_compression_change_nothing() {
    for (name, (bytes, _, compressed)) in samples() {
        let whole = read(&bytes).unwrap();
        assert_eq!(whole.damage, None, "{name}");
        for size in [1, 2, 3, 7, 64] {
            let outcome = read_from(Box::new(Trickle(Cursor::new(bytes.clone()), size))).unwrap();
            assert_eq!(outcome.frames, whole.frames, "{name} by {size}");
            assert_eq!(outcome.damage, None, "{name} by {size}");
        }
        if !compressed {
            assert_eq!(read(&gzip(&bytes)).unwrap().frames, whole.frames, "gzip {name}");
            assert_eq!(read(&zstd(&bytes)).unwrap().frames, whole.frames, "zstd {name}");
        }
    }
}

#[test]
fn records_longer_than_the_window() {
    let mut bytes = pcap_header(Little, MICRO, 1);
    let mut sizes: Vec<usize> = (0..3_000).map(|n| n * 7919 % 1_500).collect();
    sizes.extend([3_000_000, 1, 262_144 - 16, 262_144, 0]);
    for (number, &size) in sizes.iter().enumerate() {
        bytes.extend(pcap_record(Little, MICRO, (number as u32, 0), &vec![number as u8; size]));
    }
    for bytes in [gzip(&bytes), zstd(&bytes), bytes] {
        let outcome = read(&bytes).unwrap();
        assert_eq!(outcome.damage, None);
        assert_eq!(outcome.frames.len(), sizes.len());
        for (number, (frame, &size)) in outcome.frames.iter().zip(&sizes).enumerate() {
            assert_eq!(frame.time, number as i64 * 1_000_000_000);
            assert!(frame.data == vec![number as u8; size], "frame {number}");
        }
    }
}

#[test]
fn compressed_parts_follow_each_other_and_padding_is_ignored() {
    let bytes = pcap(Little, MICRO);
    let whole = read(&bytes).unwrap().frames;
    let skippable = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"yes"].concat();
    for (parts, what) in [
        (vec![gzip(&bytes[..30]), gzip(b""), gzip(&bytes[30..])], "gzip"),
        (vec![zstd(&bytes[..30]), zstd(b""), zstd(&bytes[30..])], "zstd"),
        (vec![skippable.clone(), zstd(&bytes[..2]), skippable.clone(), zstd(&bytes[2..]), skippable], "skippable"),
    ] {
        for tail in [&b""[..], &[0; 512], b"\x1e garbage"] {
            let outcome = read(&[&parts.concat(), tail].concat()).unwrap();
            assert_eq!((&outcome.frames, outcome.damage), (&whole, None), "{what} {tail:x?}");
        }
    }
}

/// A zstd header that asks for a window of two gigabytes, and the largest that is granted.
#[test]
fn a_window_beyond_the_limit_is_refused() {
    let frame = |exponent: u8| [&[0x28, 0xb5, 0x2f, 0xfd, 0, exponent << 3][..], &[0x19, 0, 0], b"abc"].concat();
    let refused = read(&frame(31 - 10)).unwrap_err().to_string();
    assert_eq!(refused, "test: malformed header: the compressed data need a window of more than 134217728 bytes");
    let granted = read(&frame(27 - 10)).unwrap_err().to_string();
    assert_eq!(granted, "test: neither pcap nor pcapng: it begins with [61, 62, 63, 00]");
}

#[test]
fn large_compressed_files_are_read_by_a_thread() {
    let mut bytes = pcap_header(Little, MICRO, 1);
    for number in 0..20_000_u32 {
        let data: Vec<u8> = (0..100).map(|at| (number.wrapping_mul(2_654_435_761) >> (at % 29)) as u8).collect();
        bytes.extend(pcap_record(Little, MICRO, (number, 0), &data));
    }
    let whole = read(&bytes).unwrap();
    for compressed in [gzip(&bytes), zstd(&bytes)] {
        let outcome = read(&compressed).unwrap();
        assert!(outcome.frames == whole.frames && outcome.damage.is_none());
        // What goes wrong in the thread reaches the reader, behind the frames before it.
        let cut = read(&compressed[..compressed.len() / 2]).unwrap();
        assert!(cut.frames.len() > 5_000 && cut.frames[..] == whole.frames[..cut.frames.len()]);
        let Damage { packet, offset, what } = cut.damage.unwrap();
        assert_eq!((packet, what), (cut.frames.len() as u64 + 1, Fault::CompressedCut));
        assert_eq!(offset, 24 + 116 * cut.frames.len() as u64);
        let disk = Failing(Cursor::new(compressed[..compressed.len() / 2].to_vec()));
        let mut file = CaptureFile::from_reader("disk".to_string(), Box::new(disk)).unwrap();
        let error = loop {
            match file.next() {
                Ok(frame) => assert!(frame.is_some(), "the end of a disk that fails"),
                Err(error) => break error,
            }
        };
        let FileError::Read { offset, source, .. } = error else { panic!("{error}") };
        assert_eq!((offset, source.to_string().as_str()), (24 + 116 * file.frames, "bad sector"));
        // Nobody has to read to the end.
        let mut file = CaptureFile::from_reader("test".to_string(), Box::new(Cursor::new(compressed))).unwrap();
        for _ in 0..5_000 {
            assert!(file.next().unwrap().is_some());
        }
    }
}

/// A file that is given up while its source has nothing to say is given up at once.
#[test]
fn dropping_a_file_waits_for_nobody() {
    struct Silent(Cursor<Vec<u8>>, std::sync::mpsc::Receiver<()>);
    impl Read for Silent {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = self.0.read(out)?;
            if count == 0 {
                let _ = self.1.recv();
            }
            Ok(count)
        }
    }
    let mut bytes = pcap_header(Little, MICRO, 1);
    for number in 0..40_000_u32 {
        bytes.extend(pcap_record(Little, MICRO, (number, 0), &number.wrapping_mul(2_654_435_761).to_le_bytes()));
    }
    let mut compressed = gzip(&bytes);
    compressed.truncate(compressed.len() - 20);
    let (speak, listen) = std::sync::mpsc::channel();
    let silent = Silent(Cursor::new(compressed), listen);
    let mut file = CaptureFile::from_reader("pipe".to_string(), Box::new(silent)).unwrap();
    for _ in 0..20_000 {
        assert!(file.next().unwrap().is_some());
    }
    drop(file);
    drop(speak);
}

#[test]
fn a_cut_at_any_byte_leaves_the_frames_before_it() {
    for (name, (bytes, records, compressed)) in samples() {
        let whole = read(&bytes).unwrap();
        let mut clean = 0;
        for length in 0..=bytes.len() {
            match read(&bytes[..length]) {
                Ok(outcome) => {
                    let count = outcome.frames.len();
                    assert_eq!(outcome.frames, whole.frames[..count], "{name} at {length}");
                    match outcome.damage {
                        None => clean += 1,
                        Some(Damage { packet, what: Fault::CutShort { need, have }, .. }) if !compressed => {
                            assert_eq!(packet, count as u64 + 1, "{name} at {length}");
                            assert!(have < need, "{name} at {length}");
                        }
                        Some(Damage { what: Fault::CompressedCut, .. }) if compressed => {}
                        Some(damage) => panic!("{name} at {length}: {damage}"),
                    }
                }
                Err(FileError::Empty { .. }) => assert_eq!(length, 0, "{name}"),
                Err(FileError::NotACapture { .. }) => assert!(length < 4, "{name} at {length}"),
                Err(FileError::Malformed { .. }) => assert!(compressed || length < 28, "{name} at {length}"),
                Err(error) => panic!("{name} at {length}: {error}"),
            }
        }
        assert_eq!(clean, records, "{name}: only a cut between records goes unnoticed");
    }
}

#[test]
fn what_is_no_capture() {
    for (bytes, expected) in [
        (b"".to_vec(), "test: unreadable: the file is empty"),
        (gzip(b""), "test: unreadable: the file is empty"),
        (b"abc".to_vec(), "test: neither pcap nor pcapng: it begins with [61, 62, 63, 00]"),
        (b"kind: Pod\n".to_vec(), "test: neither pcap nor pcapng: it begins with [6b, 69, 6e, 64]"),
        (gzip(b"kind: Pod\n"), "test: neither pcap nor pcapng: it begins with [6b, 69, 6e, 64]"),
        (zstd(b""), "test: unreadable: the file is empty"),
        (zstd(b"kind: Pod\n"), "test: neither pcap nor pcapng: it begins with [6b, 69, 6e, 64]"),
        (vec![0x28, 0xb5, 0x2f, 0xfd], "test: malformed header: the compressed data are cut short"),
        (
            [&[0x28, 0xb5, 0x2f, 0xfd][..], &[0xff; 20]].concat(),
            "test: malformed header: the compressed data are corrupt",
        ),
        (b"\xfd7zXZ\0\0".to_vec(), "test: compressed with xz, which is not read; gzip and zstd are"),
        (b"BZh91AY&SY".to_vec(), "test: compressed with bzip2, which is not read; gzip and zstd are"),
        (vec![0x04, 0x22, 0x4d, 0x18, 0x64], "test: compressed with lz4, which is not read; gzip and zstd are"),
        (vec![0x1f, 0x8b, 0, 0, 0, 0, 0, 0, 0, 0], "test: malformed header: the compressed data are corrupt"),
        (vec![0x1f, 0x8b], "test: malformed header: the compressed data are cut short"),
        (pcap(Big, NANO)[..23].to_vec(), "test: malformed header: cut short: 23 of 24 bytes"),
        (
            [u32s(Little, &[MICRO]), u16s(Little, &[3, 0]), vec![0; 16]].concat(),
            "test: malformed header: unknown version 3.0 of the format",
        ),
        (pcap_header(Little, MICRO, 0x0030_0001), "test: malformed header: unknown flags in the link type 0x00300001"),
        (section(Little)[..20].to_vec(), "test: malformed header: cut short: 20 of 28 bytes"),
        (
            [u32s(Little, &[0x0a0d_0d0a, 28]), b"what".to_vec()].concat(),
            "test: malformed header: unknown byte order [77, 68, 61, 74]",
        ),
        (
            block(Little, 0x0a0d_0d0a, &u32s(Little, &[0x1a2b_3c4d])),
            "test: malformed header: a block of type 168627466 holds 4 bytes where 16 are needed",
        ),
        (
            block(Big, 0x0a0d_0d0a, &[u32s(Big, &[0x1a2b_3c4d]), u16s(Big, &[2, 0]), vec![0; 8]].concat()),
            "test: malformed header: unknown version 2.0 of the format",
        ),
    ] {
        assert_eq!(read(&bytes).unwrap_err().to_string(), expected);
    }
    let missing = CaptureFile::open(Path::new("/nowhere/x.pcap")).err().unwrap();
    assert!(matches!(missing, FileError::Open { name, .. } if name == "/nowhere/x.pcap"));
}

#[test]
fn damage_keeps_what_was_read() {
    let start = [section(Little), interface(Little, 1, 0, &[]), enhanced(Little, 0, 1, b"good")].concat();
    let long_option = u32s(Little, &[1, 0, 2 | 99 << 16]);
    for (rest, expected) in [
        (vec![0; 12], "a block cannot be 0 bytes long"),
        (u32s(Little, &[6, 8, 8]), "a block cannot be 8 bytes long"),
        (u32s(Little, &[6, 33, 0]), "a block cannot be 33 bytes long"),
        (u32s(Little, &[6, 0x7fff_fffc, 0]), "a record of 2147483644 bytes is not believable"),
        (u32s(Little, &[99, 16, 0, 12]), "a block says that it is 16 bytes long and then 12"),
        (u32s(Little, &[6, 40, 0]), "cut short: 12 of 40 bytes"),
        (block(Little, 1, &[0; 4]), "a block of type 1 holds 4 bytes where 8 are needed"),
        (block(Little, 1, &long_option), "option 2 holds 0 bytes where 99 are needed"),
        (section(Big)[..11].to_vec(), "cut short: 11 of 12 bytes"),
    ] {
        let outcome = read(&[&start[..], &rest].concat()).unwrap();
        assert_eq!(outcome.frames, [seen(1_000, LinkType::Ethernet, 0, b"good")], "{expected}");
        let damage = outcome.damage.unwrap();
        assert_eq!((damage.packet, damage.offset), (2, start.len() as u64), "{expected}");
        assert_eq!(damage.what.to_string(), expected);
    }
}

/// The lengths at both ends of the block agree, so that the next one begins where they say.
#[test]
fn a_damaged_packet_costs_no_others() {
    let good = |ticks, data| enhanced(Little, 0, ticks, data);
    let start = [section(Little), interface(Little, 1, 0, &[]), good(1, b"good")].concat();
    for (bad, expected) in [
        (block(Little, 6, &[0; 16]), "a block of type 6 holds 16 bytes where 20 are needed"),
        (block(Little, 2, &[0; 16]), "a block of type 2 holds 16 bytes where 20 are needed"),
        (block(Little, 3, &[]), "a block of type 3 holds 0 bytes where 4 are needed"),
        (simple(Little, 100, b"short"), "a block of type 3 holds 8 bytes where 100 are needed"),
        (
            block(Little, 6, &u32s(Little, &[0, 0, 0, u32::MAX, 0])),
            "a block of type 6 holds 0 bytes where 4294967295 are needed",
        ),
    ] {
        let outcome = read(&[&start[..], &bad, &bad, &good(2, b"on"), &[0; 12]].concat()).unwrap();
        let expected_frames = [seen(1_000, LinkType::Ethernet, 0, b"good"), seen(2_000, LinkType::Ethernet, 0, b"on")];
        assert_eq!(outcome.frames, expected_frames, "{expected}");
        let statistics = outcome.statistics;
        let first = statistics.first_damaged.unwrap();
        assert_eq!((statistics.damaged, first.packet, first.offset), (2, 2, start.len() as u64), "{expected}");
        assert_eq!(first.what.to_string(), expected);
        assert_eq!(outcome.damage.unwrap().packet, 5, "{expected}");
    }
}

#[test]
fn a_record_of_unbelievable_length_ends_a_pcap() {
    let mut bytes = pcap(Big, MICRO);
    let length = bytes.len() as u64;
    bytes.extend(u32s(Big, &[0, 0, 16 * 1024 * 1024 + 1, 60]));
    bytes.extend([0; 100]);
    let outcome = read(&bytes).unwrap();
    assert_eq!(outcome.frames.len(), 3);
    let what = Fault::TooLong { length: 16 * 1024 * 1024 + 1 };
    assert_eq!(outcome.damage, Some(Damage { packet: 4, offset: length, what }));
}

#[test]
fn a_broken_statistics_block_costs_no_frames() {
    let mut bytes = [section(Big), interface(Big, 1, 0, &[])].concat();
    bytes.extend(statistics(Big, 7, &[(4, 1)]));
    bytes.extend(block(Big, 5, &[0; 8]));
    bytes.extend(block(Big, 5, &u32s(Big, &[0, 0, 0, 4 << 16 | 99])));
    bytes.extend(block(Big, 5, &u32s(Big, &[0, 0, 0, 4 << 16 | 4, 1])));
    bytes.extend(enhanced(Big, 0, 1, b"good"));
    let outcome = read(&bytes).unwrap();
    assert_eq!((outcome.frames.len(), outcome.damage), (1, None));
    let expected = Interface { frames: 1, ..Interface::new(None, LinkType::Ethernet) };
    assert_eq!(outcome.statistics.interfaces, [expected]);
}

#[test]
fn lengths_and_times_that_make_no_sense_are_kept_in_bounds() {
    let mut bytes = pcap_header(Little, MICRO, 147);
    bytes.extend(u32s(Little, &[u32::MAX, u32::MAX, 4, 2]));
    bytes.extend(b"data");
    let outcome = read(&bytes).unwrap();
    let time = 4_294_967_296_000_000_000;
    let expected = Seen { original_length: 2, ..seen(time, LinkType::Unknown(147), 0, b"data") };
    assert_eq!((outcome.frames, outcome.damage), (vec![expected], None));
}

#[test]
fn interfaces_without_end() {
    let mut bytes = section(Little);
    for _ in 0..65_537 {
        bytes.extend(interface(Little, 1, 0, &[]));
    }
    let damage = read(&bytes).unwrap().damage.unwrap();
    assert_eq!(damage.what, Fault::Interfaces { limit: 65_536 });
}

#[test]
fn long_names_of_interfaces_are_cut() {
    let name = "x".repeat(65_535);
    let bytes = [section(Little), interface(Little, 1, 0, &[(2, name.as_bytes())])].concat();
    let interfaces = read(&bytes).unwrap().statistics.interfaces;
    assert_eq!(interfaces[0].name.as_deref(), Some(&name[..256]));
}

#[test]
fn corrupt_compressed_data_are_damage() {
    for (mut bytes, checksum, frames) in [(gzip(&pcap(Little, MICRO)), 8, 3), (zstd(&pcap(Little, MICRO)), 4, 0)] {
        let checksum = bytes.len() - checksum;
        bytes[checksum] ^= 1;
        match read(&bytes) {
            Ok(outcome) => {
                assert_eq!(outcome.frames.len(), frames);
                assert_eq!(outcome.damage.unwrap().what, Fault::CompressedCorrupt);
            }
            // zstd yields a block only once all of it is sound.
            Err(error) => assert_eq!(
                (frames, error.to_string().as_str()),
                (0, "test: malformed header: the compressed data are corrupt")
            ),
        }
    }
}

#[test]
fn a_failing_disk_is_an_error_after_the_frames_before_it() {
    let reader = Failing(Cursor::new(pcap(Little, MICRO)));
    let mut file = CaptureFile::from_reader("disk".to_string(), Box::new(reader)).unwrap();
    for _ in 0..3 {
        assert!(file.next().unwrap().is_some());
    }
    assert!(matches!(file.next(), Err(FileError::Read { offset: 90, .. })));
    assert!(matches!(file.next(), Ok(None)));
    assert_eq!(file.damage(), None);
}

#[test]
fn any_byte_may_be_wrong() {
    for (_, (bytes, ..)) in samples() {
        for at in 0..bytes.len() {
            for wrong in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] = wrong;
                let _ = read(&bytes);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_end(start in 0..25_usize, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let start = match samples().into_values().nth(start) {
            Some((sample, ..)) => sample[..sample.len().min(28)].to_vec(),
            None => Vec::new(),
        };
        let bytes = [start, bytes].concat();
        if let Ok(outcome) = read(&bytes) && Compression::detect(&bytes).is_none() {
            prop_assert!(outcome.frames.len() <= bytes.len() / 12);
        }
    }

    #[test]
    fn any_blocks_end(blocks in prop::collection::vec((0..7_u32, prop::collection::vec(0..6_u8, 0..60)), 0..20)) {
        let bodies = blocks.iter().flat_map(|(kind, body)| block(Little, *kind, body));
        let bytes: Vec<u8> = section(Little).into_iter().chain(bodies).collect();
        let outcome = read(&bytes).unwrap();
        prop_assert!(outcome.frames.len() <= blocks.len());
    }
}
