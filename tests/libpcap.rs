//! libpcap as an oracle: of every pcap file that it reads, the same frames come out here.

use std::fs;
use std::path::{Path, PathBuf};

use capture::CaptureFile;
use pcap::{Capture, Error, Precision};

use crate::recordings::RECORDINGS;

/// A frame as both readers tell it: microseconds since the Unix epoch, length on the wire, bytes.
type Frame = (i64, u32, Vec<u8>);

/// The frames up to the first that libpcap cannot read; `None` where it refuses the file.
fn libpcap(path: &Path) -> Option<(Vec<Frame>, bool)> {
    let mut capture = Capture::from_file_with_precision(path, Precision::Micro).ok()?;
    let mut frames = Vec::new();
    loop {
        match capture.next_packet() {
            Ok(packet) => {
                let (seconds, fraction) = (packet.header.ts.tv_sec, packet.header.ts.tv_usec);
                // libpcap passes on whatever a writer put there, signed; here no fraction is longer than its second.
                let fraction = i64::from(fraction as u32).min(1_000_000);
                let time = seconds * 1_000_000 + fraction;
                frames.push((time, packet.header.len, packet.data.to_vec()));
            }
            Err(Error::NoMorePackets) => return Some((frames, true)),
            Err(_) => return Some((frames, false)),
        }
    }
}

fn ours(path: &Path) -> Vec<Frame> {
    let mut file = CaptureFile::open(path).unwrap_or_else(|error| panic!("libpcap opens what we do not: {error}"));
    let mut frames = Vec::new();
    while let Some(frame) = file.next().unwrap() {
        frames.push((frame.time.0.div_euclid(1_000), frame.original_length, frame.data.to_vec()));
    }
    frames
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The snap length of a pcap file; `None` where the file is none. pcapng is for [`capture`]'s own tests, because libpcap
/// refuses much of it.
fn snap_length(path: &Path) -> Option<usize> {
    const MAGICS: [u32; 2] = [0xa1b2_c3d4, 0xa1b2_3c4d];
    let bytes = fs::read(path).unwrap();
    let word = |at: usize| Some(*bytes.get(at..)?.first_chunk::<4>()?);
    let read = [u32::from_le_bytes, u32::from_be_bytes]
        .into_iter()
        .find(|read| MAGICS.contains(&read(word(0).unwrap_or_default())))?;
    // 0 says nothing.
    Some(read(word(16)?) as usize).map(|length| if length == 0 { usize::MAX } else { length })
}

#[test]
fn the_same_frames_as_libpcap() {
    let mut paths: Vec<PathBuf> = RECORDINGS.iter().flat_map(|recording| files(&recording.folder())).collect();
    match crate::shared::folder() {
        Some(shared) => paths.extend(files(&shared.join("pcaps"))),
        None => crate::shared::skipped("libpcap", "no public captures; only the recordings are compared"),
    }
    let mut compared = 0;
    for path in paths {
        let Some(snap_length) = snap_length(&path) else { continue };
        // Of headers alone either reader may refuse what the other lets pass.
        let Some((theirs, whole)) = libpcap(&path).filter(|(frames, _)| !frames.is_empty()) else { continue };
        let mut ours = ours(&path);
        // libpcap cuts records that are longer than the file says they are.
        ours.iter_mut().for_each(|(_, _, bytes)| bytes.truncate(snap_length));
        if !whole {
            ours.truncate(theirs.len());
        }
        assert_eq!(ours.len(), theirs.len(), "{}: frames", path.display());
        for (index, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert_eq!(ours, theirs, "{}: frame {}", path.display(), index + 1);
        }
        compared += 1;
    }
    assert!(compared >= 2, "{compared}: the recordings at least");
}
