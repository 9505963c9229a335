//! `--summary`: what was read and what became of it.

use std::fs;

use serde_json::{Value, json};

use crate::input::{self, capture};
use crate::program::run;
use crate::recordings::RECORDINGS;

fn summary(directory: &std::path::Path, file: &std::path::Path, args: &str) -> Value {
    let run = run(directory, &format!("{args} --summary {}", file.display()));
    assert!(file.exists(), "{run:#?}");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

fn sum(buckets: &Value) -> u64 {
    buckets.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
}

#[test]
fn every_frame_is_in_one_bucket() {
    let directory = tempfile::tempdir().unwrap();
    for recording in &RECORDINGS {
        let file = directory.path().join(recording.name);
        for args in
            ["flows", "generate", "check", "flows --since 2026-11-01T00:00:00Z", "flows --until 2000-01-01T00:00:00Z"]
        {
            let run = recording.run(&format!("{args} --summary {}", file.display()));
            let account: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            fs::remove_file(&file).unwrap();
            assert_eq!(sum(&account["buckets"]), account["frames"].as_u64().unwrap(), "{args}: {account}\n{run:?}");
            let captures = account["captures"].as_array().unwrap();
            assert_eq!(captures.len(), recording.paths().len());
            let frames: u64 = captures.iter().map(|capture| capture["frames"].as_u64().unwrap()).sum();
            assert_eq!(account["frames"], frames, "{args}");
            for capture in captures {
                let frames: u64 =
                    capture["interfaces"].as_array().unwrap().iter().map(|i| i["frames"].as_u64().unwrap()).sum();
                assert_eq!(capture["frames"], frames, "{args}: {capture}");
            }
        }
    }
}

/// A pcapng file of two interfaces, of which nobody can read the second; counters; a damaged packet; and a cut.
fn odd() -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let block = |kind: u32, body: &[u8]| {
        let length = body.len() as u32 + 12;
        [&words(&[kind, length]), body, &words(&[length])].concat()
    };
    let packet =
        |interface: u32, claimed: u32| block(6, &[words(&[interface, 0, 7, claimed, 64]), vec![0; 64]].concat());
    [
        block(0x0a0d_0d0a, &words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX])),
        block(1, &[words(&[1, 0, 4 << 16 | 2]), b"eth0".to_vec()].concat()),
        block(1, &[words(&[147, 0, 4 << 16 | 2]), b"u\x1b[1".to_vec()].concat()),
        packet(0, 64),
        packet(1, 64),
        packet(1, 65),
        packet(1, 64),
        block(5, &words(&[0, 0, 0, 8 << 16 | 4, 2000, 0, 8 << 16 | 5, 30, 0, 8 << 16 | 7, 4, 0])),
        packet(0, 64)[..50].to_vec(),
    ]
    .concat()
}

#[test]
fn losses_and_damage_have_their_place() {
    let directory = input::directory(&[("odd.pcapng", odd())]);
    let file = directory.path().join("summary.json");
    let mut account = summary(directory.path(), &file, "flows --pcap odd.pcapng traffic.pcap");
    let traffic = account["captures"].as_array_mut().unwrap().remove(1);
    assert_eq!((&traffic["frames"], &traffic["damage"]), (&json!(14), &Value::Null));
    let learned = account.as_object_mut().unwrap().remove("completeness").unwrap();
    assert_eq!((&learned["total"]["edges"], &learned["workloads"]), (&json!(2), &json!([])));
    assert_eq!(
        account,
        json!({
            "captures": [{
                "name": "odd.pcapng",
                "frames": 3,
                "first": "1970-01-01T00:00:00.000007Z",
                "last": "1970-01-01T00:00:00.000007Z",
                "interfaces": [
                    {
                        "name": "eth0", "link": "ETHERNET", "readable": true, "frames": 1, "received": 2000, "accepted": null,
                        "dropped": 34, "dropped_by_interface": 30, "dropped_by_system": 4
                    },
                    {
                        "name": "u\u{1b}[1", "link": "USER0", "readable": false, "frames": 2, "received": null,
                        "accepted": null, "dropped": null, "dropped_by_interface": null, "dropped_by_system": null
                    },
                ],
                "damaged_records": 1,
                "first_damaged": {
                    "packet": 3, "offset": 276,
                    "message": "a block of type 6 holds 64 bytes where 65 are needed"
                },
                "damage": { "packet": 5, "offset": 528, "message": "cut short: 50 of 96 bytes" },
            }],
            "frames": 17,
            "buckets": { "decoded": 14, "not_ip": 1, "unknown_link_147": 2 },
            "opaque": {},
            "opaque": {},
            "lost": 34,
            "limits": { "evicted": 0, "unjoined": 0, "forgotten": 0, "dropped": 0, "lost": 0, "fragments": 0, "names": 0, "folded": 0 },
            "conversations": { "all": 2, "remnants": 0, "guessed": 0, "ambiguous": 0, "unresolved": 0 },
        })
    );
    let run = run(directory.path(), "flows --pcap odd.pcapng traffic.pcap");
    for line in [
        "warning: odd.pcapng: 1 damaged records stepped over, the first at packet 3, byte 276: a block of type 6 holds 64",
        "warning: odd.pcapng: packet 5, byte 528: cut short: 50 of 96 bytes; the 3 frames before it count",
        "odd.pcapng: 3 frames, 1970-01-01T00:00:00Z .. 1970-01-01T00:00:00Z, 34 lost while capturing",
        "  eth0 (ETHERNET): 1 frames, 2,000 received, 30 lost by the interface, 4 lost by the system",
        "  u?[1 (USER0): 2 frames that nobody can read",
    ] {
        assert!(run.stderr.contains(line), "{line}\n{}", run.stderr);
    }
    assert_eq!(run.exit, 0);
}

/// The same frames, however they are compressed.
#[test]
fn compressed_captures_are_read_as_they_are() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &capture()).unwrap();
    let directory = input::directory(&[("traffic.pcap.gz", gzip.finish().unwrap())]);
    let [plain, compressed] =
        ["traffic.pcap", "traffic.pcap.gz"].map(|name| run(directory.path(), &format!("flows --pcap {name}")));
    assert_eq!((compressed.exit, &compressed.stdout), (0, &plain.stdout), "{}", compressed.stderr);
    assert!(plain.stdout.contains("8080/TCP"));
}
