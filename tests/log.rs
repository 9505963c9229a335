//! Flow logs: every command gives the same answer with `--log` as with the captures that were recorded in it, and a log
//! that is damaged gives none.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;

use crate::input::directory;
use crate::packets::{ETHERNET, pcap};
use crate::program::{Run, run, run_with_input};
use crate::recordings::RECORDINGS;
use crate::{shared, traffic};

/// Runs a command on captures, and on a log of them.
fn both(directory: &Path, args: &str, captures: &str, log: &str, cluster: &str) -> [Run; 2] {
    [("--pcap", captures), ("--log", log)]
        .map(|(option, files)| run(directory, &format!("{args} {option} {files} {cluster}")))
}

/// Records captures in a log and holds the answers of all commands against each other.
fn hold(directory: &Path, captures: &str, cluster: &str, commands: &[&str]) -> String {
    let recorded = run(directory, &format!("record -q --log flows.db --pcap {captures} {cluster}"));
    if recorded.exit != 0 {
        return format!("record: {recorded:?}\n");
    }
    let mut wrong = String::new();
    for command in commands {
        let [read, logged] = both(directory, command, captures, "flows.db", cluster);
        if read != logged {
            let difference = read.stdout.lines().zip(logged.stdout.lines()).find(|(one, two)| one != two);
            wrong += &format!(
                "{command}: {} and {}, {difference:?}\n{}\n{}\n",
                read.exit, logged.exit, read.stderr, logged.stderr
            );
        }
    }
    wrong
}

const COMMANDS: [&str; 8] = [
    "flows -o json --summary summary.json",
    "flows",
    "generate",
    "generate --default-deny",
    "check --exposures -o json",
    "unused -o json --min-window 1s",
    "diff cluster.yaml cluster.yaml",
    "flows -o json -q --summary summary.json",
];

#[test]
fn recordings_answer_the_same_from_a_log() {
    for recording in &RECORDINGS {
        let directory = tempfile::tempdir().unwrap();
        fs::copy(recording.folder().join("cluster.yaml"), directory.path().join("cluster.yaml")).unwrap();
        let mut names = Vec::new();
        for path in recording.paths() {
            let name = path.file_name().unwrap().to_str().unwrap().to_string();
            fs::copy(&path, directory.path().join(&name)).unwrap();
            names.push(name);
        }
        let wrong = hold(directory.path(), &names.join(" "), "--cluster cluster.yaml", &COMMANDS);
        assert_eq!(wrong, "", "{}", recording.name);
        let summary = |option: &str, files: &str| {
            let args = format!("flows -q --summary {option}.json --{option} {files} --cluster cluster.yaml");
            assert_eq!(run(directory.path(), &args).exit, 0);
            fs::read_to_string(directory.path().join(format!("{option}.json"))).unwrap()
        };
        assert_eq!(summary("pcap", &names.join(" ")), summary("log", "flows.db"));
    }
}

/// The captures that an examiner made.
fn examined(kind: &str, seed: &str) -> Option<(tempfile::TempDir, Vec<String>)> {
    let program = shared::folder()?.join("examiner/examiner.py");
    let yaml = Command::new("python3").args(["-c", "import yaml"]).output();
    if !program.is_file() || !yaml.is_ok_and(|output| output.status.success()) {
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let made = Command::new("python3")
        .arg(program)
        .args(["make", "--kind", kind, "--seed", seed, "--out", "."])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let truth: serde_json::Value =
        serde_json::from_slice(&fs::read(directory.path().join("truth.json")).unwrap()).unwrap();
    let captures = truth["captures"].as_array().unwrap().iter();
    let captures = captures.map(|name| name.as_str().unwrap().to_string()).collect();
    Some((directory, captures))
}

fn answers_the_same(kind: &str) {
    let seeds = std::env::var("RINGFENCE_SEEDS").unwrap_or_else(|_| "3".to_string());
    for seed in seeds.split(',') {
        let Some((directory, captures)) = examined(kind, seed) else {
            return shared::skipped("log", "no examiner, or no python3 with PyYAML");
        };
        // Of the formats each file is the whole scenario.
        let groups: Vec<String> = if kind == "formats" { captures } else { vec![captures.join(" ")] };
        for group in groups {
            let _ = fs::remove_file(directory.path().join("flows.db"));
            let wrong = hold(directory.path(), &group, "--cluster cluster.yaml", &COMMANDS[..6]);
            assert_eq!(wrong, "", "{kind}, seed {seed}, {group}");
        }
    }
}

/// One test a kind, so that they run side by side.
macro_rules! kinds {
    ($($kind:ident)*) => { $(#[test] fn $kind() { answers_the_same(stringify!($kind)); })* };
}

kinds! {
    basic targetport scan midstream ipreuse hostnet nodelocaldns external dualstack sctp overlay formats labels stateful
    portrange policies
}

const TRAFFIC: &str = "00:00:01 10.1.0.5:40000 -> 10.1.0.7:8080 TCP established
00:00:02 10.1.0.5:40001 -> 10.1.0.7:9090 TCP established
00:03:00 10.1.0.5:40002 -> 10.1.0.7:8080 TCP established
00:03:00 10.1.0.5:40003 -> 10.1.0.7:7070 TCP refused
";

/// A directory with a log of [`TRAFFIC`].
fn logged() -> tempfile::TempDir {
    let directory = directory(&[("traffic.pcap", pcap(ETHERNET, &traffic::frames(TRAFFIC)))]);
    let recorded = run(directory.path(), "record --log flows.db --pcap traffic.pcap");
    assert_eq!(recorded.exit, 0, "{}", recorded.stderr);
    assert!(recorded.stderr.contains("flows.db: 4 rows, none longer than a second"), "{}", recorded.stderr);
    directory
}

fn bytes(directory: &Path, name: &str) -> Vec<u8> {
    fs::read(directory.join(name)).unwrap()
}

#[test]
fn the_same_captures_are_counted_once() {
    let directory = logged();
    let path = directory.path();
    let before = bytes(path, "flows.db");
    fs::copy(path.join("traffic.pcap"), path.join("copy.pcap")).unwrap();
    for again in ["--pcap traffic.pcap", "--pcap copy.pcap"] {
        let recorded = run(path, &format!("record --log flows.db {again}"));
        assert_eq!(recorded.exit, 0, "{}", recorded.stderr);
        assert!(recorded.stderr.contains("holds these captures already"), "{}", recorded.stderr);
    }
    let through_a_pipe = run_with_input(path, "record --log flows.db --pcap -", &bytes(path, "traffic.pcap"));
    assert!(through_a_pipe.stderr.contains("holds these captures already"), "{}", through_a_pipe.stderr);
    let answer = run(path, "flows -o json -q --log flows.db --cluster cluster.yaml");
    assert_eq!(answer.stdout.lines().count(), 3);
    for args in ["--log flows.db flows.db", "--log flows.db --pcap traffic.pcap", "--pcap copy.pcap --log flows.db"] {
        assert_eq!(run(path, &format!("flows -o json -q {args} --cluster cluster.yaml")), answer, "{args}");
    }
    // Merging gives the same bytes in whatever order and however often.
    run(path, "record -q --log other.db --pcap copy.pcap");
    let second = pcap(ETHERNET, &traffic::frames("00:10:00 10.1.0.7:40000 -> 10.1.0.5:5432 TCP established\n"));
    fs::write(path.join("second.pcap"), second).unwrap();
    run(path, "record -q --log second.db --pcap second.pcap");
    let orders =
        ["flows.db second.db", "second.db other.db flows.db", "second.db second.db other.db", "one.db flows.db"];
    let mut merged = Vec::new();
    for (order, out) in orders.iter().zip(["one.db", "two.db", "three.db", "one.db"]) {
        let run = run(path, &format!("merge -q -o {out} {order}"));
        assert_eq!((run.exit, run.stderr.as_str()), (0, ""), "{order}");
        merged.push(bytes(path, out));
    }
    // Where two logs name a file differently, the lesser name stays.
    assert!(merged[1] == merged[2] && merged[0] == merged[3], "merging depends on the order");
    run(path, "merge -q -o three.db one.db");
    assert!(bytes(path, "three.db") == merged[1], "merging is not idempotent");
    // But for the header, in which SQLite counts changes.
    assert!(before[100..] == bytes(path, "flows.db")[100..], "the log changed");
    let all = run(path, "flows -o json -q --log three.db --cluster cluster.yaml");
    assert_eq!((all.exit, all.stdout.lines().count()), (0, 4));
}

#[test]
fn a_log_is_added_to() {
    let directory = logged();
    let path = directory.path();
    let more = pcap(ETHERNET, &traffic::frames("00:10:00 10.1.0.5:41000 -> 10.1.0.7:8080 TCP established\n"));
    fs::write(path.join("more.pcap"), more).unwrap();
    assert_eq!(run(path, "record -q --log flows.db --pcap more.pcap").exit, 0);
    let [read, logged] = both(path, "flows -o json -q", "traffic.pcap more.pcap", "flows.db", "--cluster cluster.yaml");
    assert_eq!(read, logged);
}

#[test]
fn time_cuts_rows() {
    let directory = logged();
    let args = |window: &str| format!("flows -q -o json --cluster cluster.yaml {window}");
    for window in ["--since 2026-11-01T00:01:00Z", "--until 2026-11-01T00:01:00Z", "--since 2027-01-01T00:00:00Z"] {
        let [read, logged] = both(directory.path(), &args(window), "traffic.pcap", "flows.db", "");
        assert_eq!(read, logged, "{window}");
    }
    // Between the packets of one connection.
    let straddling = run(directory.path(), &format!("{} --log flows.db", args("--until 2026-11-01T00:00:01.000001Z")));
    assert!(straddling.stderr.contains("1 rows of the flow log are partly outside"), "{}", straddling.stderr);
    assert!(straddling.stdout.contains("\"port\":8080"), "{}", straddling.stdout);
}

#[test]
fn usage() {
    let directory = logged();
    for (args, words) in [
        ("record --log new.db", "--pcap"),
        ("record --pcap traffic.pcap", "--log"),
        ("merge -o out.db", "LOG"),
        ("flows --log gone.db", "gone.db: No such file"),
        ("merge -o out.db gone.db", "gone.db: No such file"),
        ("flows --log .", "directory"),
        ("flows --log flows.db --summary -", "--summary -"),
    ] {
        let run = run(directory.path(), args);
        assert!(run.exit == 2 && run.stderr.contains(words), "{args}: {run:?}");
    }
    assert!(!directory.path().join("out.db").exists() && !directory.path().join("new.db").exists());
}

/// Commands that read a log and that write to it; each has to refuse it, name it, and leave it as it is.
fn refused(directory: &Path, name: &str, words: &str) {
    let before = bytes(directory, name);
    for args in [
        format!("flows -o json --cluster cluster.yaml --log {name}"),
        format!("generate --cluster cluster.yaml --log {name} flows.db"),
        format!("merge -o merged.db {name}"),
        format!("record --log {name} --pcap traffic.pcap"),
    ] {
        let run = run(directory, &args);
        let is_told = run.stderr.contains(name) && run.stderr.contains(words) && !run.stderr.contains("panicked");
        assert!(run.exit == 2 && run.stdout.is_empty() && is_told, "{args}, {words:?}: {run:?}");
    }
    assert!(before == bytes(directory, name), "{name} changed");
    assert!(!directory.join("merged.db").exists());
}

#[test]
fn what_is_no_log_is_refused() {
    let directory = logged();
    let path = directory.path();
    fs::write(path.join("text.db"), "just text, and some more of it, so that it is no empty file\n".repeat(20))
        .unwrap();
    refused(path, "text.db", "not a flow log");
    let foreign = Connection::open(path.join("foreign.db")).unwrap();
    foreign.execute_batch("CREATE TABLE flow (x); INSERT INTO flow VALUES (1)").unwrap();
    drop(foreign);
    refused(path, "foreign.db", "another application");
    fs::copy(path.join("flows.db"), path.join("newer.db")).unwrap();
    Connection::open(path.join("newer.db")).unwrap().pragma_update(None, "user_version", 2).unwrap();
    refused(path, "newer.db", "version 2; this program reads version 1");
    fs::copy(path.join("flows.db"), path.join("changed.db")).unwrap();
    Connection::open(path.join("changed.db")).unwrap().execute_batch("UPDATE flow SET connections = 7").unwrap();
    refused(path, "changed.db", "table `flow` do not add up");
    fs::copy(path.join("flows.db"), path.join("other.db")).unwrap();
    Connection::open(path.join("other.db")).unwrap().execute_batch("ALTER TABLE flow ADD COLUMN more INTEGER").unwrap();
    refused(path, "other.db", "not those of its version");
    fs::write(path.join("empty.db"), "").unwrap();
    let empty = run(path, "flows --log empty.db");
    assert!(empty.exit == 2 && empty.stderr.contains("empty.db: it is empty"), "{empty:?}");
}

/// Whatever byte a disk changes, the answer is the same or none.
#[test]
fn a_flipped_byte_or_a_cut_is_noticed() {
    let directory = logged();
    let path = directory.path();
    let whole = bytes(path, "flows.db");
    let answer = run(path, "flows -o json -q --cluster cluster.yaml --log flows.db");
    assert_eq!(answer.exit, 0);
    let mut noticed = 0;
    // A prime, so that places in pages differ.
    let places: Vec<usize> = (0..whole.len()).step_by(1021).collect();
    for &at in &places {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        fs::write(path.join("flipped.db"), &flipped).unwrap();
        let run = run(path, "flows -o json -q --cluster cluster.yaml --log flipped.db");
        let is_told = run.exit == 2 && run.stdout.is_empty() && run.stderr.contains("flipped.db");
        assert!(run == answer || is_told, "byte {at}: {run:?}");
        noticed += usize::from(is_told);
        let _ = fs::remove_file(path.join("flipped.db-journal"));
    }
    assert!(noticed > 0, "of {}", places.len());
    for length in [100, 4096, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        fs::write(path.join("cut.db"), &whole[..length]).unwrap();
        refused(path, "cut.db", "");
    }
}

/// Every digit of every row is covered, wherever it lies.
#[test]
fn a_changed_digit_is_noticed() {
    let directory = logged();
    let path = directory.path();
    let whole = bytes(path, "flows.db");
    let address = b"10.1.0.7";
    let places: Vec<usize> = (0..whole.len() - address.len()).filter(|at| whole[*at..].starts_with(address)).collect();
    assert!(places.len() >= 3, "{places:?}");
    for at in places {
        let mut flipped = whole.clone();
        flipped[at + 7] = b'5';
        fs::write(path.join("flipped.db"), &flipped).unwrap();
        refused(path, "flipped.db", "damaged");
    }
}

/// A file system of its own, gone with the test; `None` where that is not allowed.
struct Mounted(PathBuf);

impl Mounted {
    fn new(path: PathBuf, options: &str) -> Option<Mounted> {
        fs::create_dir(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&path);
        mount.output().is_ok_and(|output| output.status.success()).then_some(Mounted(path))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    let directory = logged();
    let Some(small) = Mounted::new(directory.path().join("small"), "size=300k") else {
        return shared::skipped("log on a full disk", "only root may mount a file system");
    };
    let log = small.0.join("flows.db");
    fs::copy(directory.path().join("flows.db"), &log).unwrap();
    let mut many = String::new();
    for second in 0..50 {
        for port in 1..60 {
            many += &format!(
                "00:10:{second:02} 10.1.0.5:{} -> 10.1.0.7:{port} TCP established\n",
                40000 + second * 60 + port
            );
        }
    }
    fs::write(directory.path().join("many.pcap"), pcap(ETHERNET, &traffic::frames(&many))).unwrap();
    let full = run(directory.path(), "record --log small/flows.db --pcap many.pcap");
    assert!(full.exit == 2 && full.stderr.contains("small/flows.db: no space left"), "{full:?}");
    let [read, logged] =
        both(directory.path(), "flows -o json -q", "traffic.pcap", "small/flows.db", "--cluster cluster.yaml");
    assert_eq!(read, logged);
}

#[test]
fn a_log_is_read_where_nothing_can_be_written() {
    let directory = logged();
    let Some(media) = Mounted::new(directory.path().join("media"), "size=1m") else {
        return shared::skipped("log on read-only media", "only root may mount a file system");
    };
    fs::copy(directory.path().join("flows.db"), media.0.join("flows.db")).unwrap();
    // As a killed recorder leaves it, but for what it had not taken in.
    fs::copy(directory.path().join("flows.db"), media.0.join("killed.db")).unwrap();
    let killed = Connection::open(media.0.join("killed.db")).unwrap();
    killed.pragma_update(None, "journal_mode", "WAL").unwrap();
    drop(killed);
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&media.0).output().unwrap();
    assert!(remounted.status.success());
    for log in ["media/flows.db", "media/killed.db"] {
        let [read, logged] = both(directory.path(), "flows -o json -q", "traffic.pcap", log, "--cluster cluster.yaml");
        assert_eq!(read, logged, "{log}");
    }
    let written = run(directory.path(), "record --log media/flows.db --pcap traffic.pcap");
    assert!(written.exit == 2 && written.stderr.contains("media/flows.db"), "{written:?}");
}
