//! The decoder against public captures: all of them end well, and the conversations are those that tshark saw.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use capture::packet::Transport;
use capture::{CaptureFile, Decoded, Decoder};

/// Source, destination, protocol, source port, destination port.
type Conversation = (IpAddr, IpAddr, &'static str, u16, u16);

/// What is expected and not found, or found and not expected, where the oracle is wrong or nobody can know:
/// the capture's oracle, the difference, the reason.
const KNOWN: [(&str, &str, &str); 0] = [];

/// Ports whose datagrams the oracle lists as `outer` where it also lists what is inside.
const TUNNELS: [u16; 11] = [1701, 2152, 3544, 4341, 4789, 4790, 5072, 6081, 6635, 8472, 37008];

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The captures below the shared folder: name and path.
fn captures() -> Vec<(String, PathBuf)> {
    let Some(shared) = crate::shared::folder() else {
        crate::shared::skipped("captures", "no public captures");
        return Vec::new();
    };
    let folder = shared.join("pcaps");
    let is_capture = |name: &str| ["pcap", "pcapng", "pcap.gz", "pcapng.gz"].iter().any(|end| name.ends_with(end));
    let named = files(&folder).into_iter().map(|path| {
        let name = path.strip_prefix(&folder).unwrap().to_str().unwrap().replace('/', "__");
        (name, path)
    });
    named.filter(|(name, _)| is_capture(name)).collect()
}

/// Reads a capture as far as it can be read.
fn decode(path: &Path) -> (BTreeSet<Conversation>, Decoded) {
    let mut conversations = BTreeSet::new();
    let mut decoder = Decoder::default();
    if let Ok(mut file) = CaptureFile::open(path) {
        while let Ok(Some(frame)) = file.next() {
            let Some(packet) = decoder.decode(&frame) else { continue };
            let (protocol, source, destination) = match packet.transport {
                Transport::Tcp(tcp) => ("tcp", tcp.source, tcp.destination),
                Transport::Udp(udp) => ("udp", udp.source, udp.destination),
                Transport::Sctp(sctp) => ("sctp", sctp.source, sctp.destination),
                Transport::Unreachable(_) => continue,
            };
            let addresses = packet.addresses;
            conversations.insert((addresses.source(), addresses.destination(), protocol, source, destination));
        }
    }
    (conversations, decoder.finish())
}

/// The innermost conversations of an oracle; `None` where it calls a packet malformed. Columns: layer, source,
/// destination, protocol, ports, flags, network identifier, packets.
fn oracle(text: &str) -> Option<BTreeSet<Conversation>> {
    let mut lines = text.lines();
    if lines.next()? != "# tshark-malformed-packets=0" {
        return None;
    }
    let rows: Vec<Vec<&str>> = lines.skip(1).map(|line| line.split('\t').collect()).collect();
    let opened = rows.iter().any(|row| row[0] == "inner");
    let conversation = |row: &Vec<&str>| {
        let protocol = ["tcp", "udp", "sctp"].into_iter().find(|protocol| *protocol == row[3])?;
        let (source, destination) = (row[4].parse().unwrap(), row[5].parse().unwrap());
        let carrier = protocol == "udp" && (TUNNELS.contains(&source) || TUNNELS.contains(&destination));
        let keep = row[0] == "inner" || !(opened && carrier);
        keep.then(|| (row[1].parse().unwrap(), row[2].parse().unwrap(), protocol, source, destination))
    };
    Some(rows.iter().filter_map(conversation).collect())
}

#[test]
fn every_frame_of_every_capture_ends_in_one_bucket() {
    for (name, path) in captures() {
        let start = Instant::now();
        let (_, decoded) = decode(&path);
        // They take milliseconds; what hangs takes longer on any machine.
        assert!(start.elapsed() < Duration::from_secs(20), "{name}: {:?}", start.elapsed());
        assert_eq!(decoded.frames, decoded.packets + decoded.skipped.values().sum::<u64>(), "{name}: {decoded:?}");
    }
}

#[test]
fn the_same_conversations_as_tshark() {
    let captures = captures();
    let mut compared = 0;
    let mut differences = BTreeSet::new();
    for (name, path) in &captures {
        let oracle_path = crate::shared::folder().unwrap().join("pcaps/oracle").join(format!("{name}.tsv"));
        let Some(theirs) = fs::read_to_string(oracle_path).ok().and_then(|text| oracle(&text)) else { continue };
        let (ours, _) = decode(path);
        compared += 1;
        let line = |sign: &str, (source, destination, protocol, from, to): &Conversation| {
            (name.clone(), format!("{sign}{source}:{from} -> {destination}:{to}/{protocol}"))
        };
        differences.extend(theirs.difference(&ours).map(|missing| line("-", missing)));
        differences.extend(ours.difference(&theirs).map(|extra| line("+", extra)));
    }
    assert!(captures.is_empty() || compared > 50, "{compared} oracles");
    if !captures.is_empty() {
        let known: BTreeSet<(String, String)> =
            KNOWN.iter().map(|(name, difference, _)| (name.to_string(), difference.to_string())).collect();
        assert_eq!(differences, known, "left: what differs; right: what is known to differ");
    }
}

/// Client, server, protocol, port of the rows that the program prints.
fn rows(path: &Path) -> BTreeSet<(IpAddr, IpAddr, String, u16)> {
    let run = crate::program::run(Path::new("."), &format!("flows -o json -q --pcap {}", path.display()));
    let row = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let ip = |side: &str| row[side]["ip"].as_str().unwrap().parse().unwrap();
        let protocol = row["protocol"].as_str().unwrap().to_ascii_lowercase();
        (ip("client"), ip("server"), protocol, row["port"].as_u64().unwrap() as u16)
    };
    run.stdout.lines().map(row).collect()
}

#[test]
fn conversations_are_printed_and_whoever_sent_the_syn_is_the_client() {
    let mut wrong = BTreeSet::new();
    let mut clients = 0;
    for (name, path) in captures() {
        let oracle_path = crate::shared::folder().unwrap().join("pcaps/oracle").join(format!("{name}.tsv"));
        let Ok(text) = fs::read_to_string(oracle_path) else { continue };
        let Some(theirs) = oracle(&text) else { continue };
        // The same table, of the rows with a SYN alone.
        let header = text.lines().take(2);
        let only_syns: Vec<&str> =
            header.chain(text.lines().filter(|line| line.split('\t').nth(6) == Some("S"))).collect();
        let opened = oracle(&only_syns.join("\n")).unwrap();
        let ours = rows(&path);
        for (source, destination, protocol, from, to) in theirs {
            let there = ours.contains(&(source, destination, protocol.to_string(), to));
            let back = ours.contains(&(destination, source, protocol.to_string(), from));
            let opens = opened.contains(&(source, destination, protocol, from, to));
            clients += usize::from(opens);
            if !there && (opens || !back) {
                wrong.insert(format!("{name}: {source}:{from} -> {destination}:{to}/{protocol}, opened: {opens}"));
            }
        }
    }
    assert_eq!(wrong, BTreeSet::new());
    assert!(clients == 0 || clients > 40, "{clients} openings");
}
