//! Where the plain path answers, the complete path answers the same.

use std::path::{Path, PathBuf};

use super::*;
use crate::CaptureFile;

fn captures(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { captures(&path) } else { vec![path] }).collect()
}

/// Where both paths answer; panics where they differ.
fn compare(link: LinkType, data: &[u8]) -> bool {
    let plain = plain(link, data, Ports::DEFAULT);
    let complete = parse(&frame(link, data), Ports::DEFAULT);
    if let Some(packet) = plain {
        assert_eq!(Ok(packet), complete, "{link} {data:02x?}");
    }
    if let Some(segment) = tcp4(link, data) {
        assert_eq!(Some(Packet::from(segment)), plain, "{link} {data:02x?}");
    }
    plain.is_some()
}

#[test]
fn in_recordings() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let shared = std::env::var_os("RINGFENCE_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let mut answered = 0;
    for path in [captures(&root.join("pcaps")), captures(&shared.join("pcaps"))].concat() {
        let Ok(mut file) = CaptureFile::open(&path) else { continue };
        while let Ok(Some(frame)) = file.next() {
            answered += u32::from(compare(frame.link, frame.data));
        }
    }
    assert!(answered > 2000, "{answered} frames");
}

#[test]
fn most_frames_take_the_shortest() {
    for (link, header) in
        [(LinkType::Ethernet, vec![0; 12]), (LinkType::LinuxSll, vec![0; 14]), (LinkType::LinuxSll2, vec![])]
    {
        let mut data = [&header[..], &[8, 0]].concat();
        data.resize(if link == LinkType::LinuxSll2 { 20 } else { data.len() }, 0);
        data.extend_from_slice(&v4());
        assert!(tcp4(link, &data).is_some() && compare(link, &data), "{link}");
    }
}

#[test]
fn usual_frames_take_it() {
    let (v4, v6) = (v4(), v6());
    let mut datagram = v4[..20].to_vec();
    (datagram[9], datagram[3]) = (17, 30);
    datagram.extend_from_slice(&[0, 99, 0, 53, 0, 10, 0, 0, 1, 2]);
    let tagged = [&in_ethernet(&v4)[..12], &[0x81, 0, 0, 5, 8, 0], &v4].concat();
    for (link, data) in [
        (LinkType::Ethernet, in_ethernet(&v4)),
        (LinkType::Ethernet, in_ethernet(&v6)),
        (LinkType::Ethernet, in_ethernet(&datagram)),
        (LinkType::Ethernet, tagged),
        (LinkType::Ethernet, in_udp(8472, &[8, 0, 0, 0, 0, 0, 1, 0], &in_ethernet(&v4))),
        (LinkType::LinuxSll, [&[0; 14], &[8, 0][..], &v4].concat()),
        (LinkType::LinuxSll2, [&[8, 0][..], &[0; 18], &v4].concat()),
        (LinkType::RawIp, v4.clone()),
        (LinkType::RawIpv6, v6.clone()),
    ] {
        assert!(compare(link, &data), "{link} {data:02x?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn in_damaged_frames(
        which in 0usize..5,
        link in 0usize..4,
        damage in proptest::collection::vec((0usize..130, any::<u8>()), 0..4),
        cut in 0usize..200,
    ) {
        let link = [LinkType::Ethernet, LinkType::LinuxSll, LinkType::LinuxSll2, LinkType::RawIp][link];
        let ip = match which {
            0 => v4(),
            1 => v6(),
            2 => in_udp(53, &[1, 0, 0, 0], &[0; 32])[14..].to_vec(),
            3 => in_udp(4789, &[8, 0, 0, 0, 0, 0, 1, 0], &in_ethernet(&v4()))[14..].to_vec(),
            _ => in_udp(4789, &[8, 0, 0, 0, 0, 0, 1, 0], &in_ethernet(&v6()))[14..].to_vec(),
        };
        let mut data = match link {
            LinkType::LinuxSll => [&[0; 14], &[8, 0][..], &ip].concat(),
            LinkType::LinuxSll2 => [&[8, 0][..], &[0; 18], &ip].concat(),
            LinkType::RawIp => ip,
            _ => in_ethernet(&ip),
        };
        for (at, value) in damage {
            if let Some(byte) = data.get_mut(at) { *byte = value; }
        }
        data.truncate(cut.max(1));
        compare(link, &data);
    }
}
