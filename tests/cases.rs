//! Folder cases: `tests/cases/<name>/`.
//!
//! A case is `cluster.yaml`, `traffic.txt` ([`crate::traffic`]; its first line says what the case shows), `args` with
//! one run of the program a line, and whatever other files the runs name. They happen one after the other in a copy
//! of the folder; `--pcap` and `--cluster` are added. `expected/` holds the transcript of the runs and every file
//! they wrote to `out/`; it is compared byte for byte, and `RINGFENCE_UPDATE=1` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::packets::{ETHERNET, pcap};
use crate::program;
use crate::traffic;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cases");

/// File contents by path in `expected/`.
type Files = BTreeMap<PathBuf, String>;

#[test]
fn every_folder_holds_what_it_promises() {
    let update = std::env::var_os("RINGFENCE_UPDATE").is_some();
    let mut wrong = String::new();
    for case in entries(Path::new(FOLDER)) {
        let actual = run(&case);
        let expected = case.join("expected");
        if update {
            let _ = fs::remove_dir_all(&expected);
            for (path, text) in &actual {
                let path = expected.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
        }
        compare(&case, &read(&expected), &actual, &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong}RINGFENCE_UPDATE=1 accepts what the program does now");
}

#[test]
fn every_case_says_what_it_shows() {
    for case in entries(Path::new(FOLDER)) {
        for file in ["cluster.yaml", "traffic.txt", "args", "expected/transcript"] {
            assert!(case.join(file).is_file(), "{} lacks {file}", case.display());
        }
        let script = fs::read_to_string(case.join("traffic.txt")).unwrap();
        assert!(script.starts_with("# "), "{}: traffic.txt does not say what the case shows", case.display());
    }
}

/// Neither the order of objects and files nor a second dump of the same cluster changes a byte.
#[test]
fn cluster_objects_in_any_order() {
    let mut wrong = String::new();
    for case in entries(Path::new(FOLDER)) {
        let work = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| fs::write(work.path().join(name), bytes).unwrap();
        let script = fs::read_to_string(case.join("traffic.txt")).unwrap();
        write("traffic.pcap", &pcap(ETHERNET, &traffic::frames(&script)));
        let text = fs::read_to_string(case.join("cluster.yaml")).unwrap();
        let objects: Vec<&str> = text.split("---\n").collect();
        write("whole.yaml", text.as_bytes());
        write("again.yaml", text.as_bytes());
        write("reverse.yaml", objects.iter().rev().copied().collect::<Vec<_>>().join("---\n").as_bytes());
        for command in ["flows -o json", "generate --default-deny", "check -o json"] {
            let [whole, others @ ..] =
                ["whole.yaml", "reverse.yaml", "whole.yaml again.yaml", "again.yaml reverse.yaml"].map(|files| {
                    let run = program::run(work.path(), &format!("{command} --pcap traffic.pcap --cluster {files}"));
                    without_places(&run.stdout)
                });
            for other in others.iter().filter(|other| **other != whole) {
                writeln!(wrong, "{}, {command}:\n{}", case.display(), first_difference(&whole, other)).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Output without the places in cluster files, which do differ where the files do.
fn without_places(text: &str) -> String {
    let mut text = text.to_string();
    let files = ["whole", "again", "reverse"].into_iter();
    for start in files.flat_map(|file| [format!("{file}.yaml:"), format!("\"{file}.yaml\",\"line\":")]) {
        let mut parts = text.split(start.as_str());
        let mut kept = parts.next().unwrap_or_default().to_string();
        for part in parts {
            kept += "PLACE";
            kept += part.trim_start_matches(|digit: char| digit.is_ascii_digit());
        }
        text = kept;
    }
    text
}

/// Runs a case in a copy of its folder.
fn run(case: &Path) -> Files {
    let work = tempfile::tempdir().unwrap();
    for file in entries(case).into_iter().filter(|path| path.is_file()) {
        fs::copy(&file, work.path().join(file.file_name().unwrap())).unwrap();
    }
    let text = |name: &str| {
        fs::read_to_string(case.join(name)).unwrap_or_else(|error| panic!("{}/{name}: {error}", case.display()))
    };
    let frames = traffic::frames(&text("traffic.txt"));
    fs::write(work.path().join("traffic.pcap"), pcap(ETHERNET, &frames)).unwrap();
    let mut transcript = String::new();
    for args in text("args").lines() {
        let run = program::run(work.path(), &format!("{args} --pcap traffic.pcap --cluster cluster.yaml"));
        writeln!(transcript, "$ ringfence {args}").unwrap();
        for (mark, stream) in [('>', &run.stdout), ('!', &run.stderr)] {
            assert!(stream.is_empty() || stream.ends_with('\n'), "{args}: the last line has no end: {stream}");
            stream.lines().for_each(|line| writeln!(transcript, "{mark} {line}").unwrap());
        }
        writeln!(transcript, "exit {}\n", run.exit).unwrap();
    }
    let written = read(&work.path().join("out"));
    let mut files: Files = written.into_iter().map(|(path, text)| (Path::new("out").join(path), text)).collect();
    files.insert("transcript".into(), transcript);
    files
}

fn compare(case: &Path, expected: &Files, actual: &Files, wrong: &mut String) {
    let paths: BTreeSet<&PathBuf> = expected.keys().chain(actual.keys()).collect();
    for path in paths {
        let name = format!("{}/expected/{}", case.file_name().unwrap().display(), path.display());
        match (expected.get(path), actual.get(path)) {
            (Some(expected), Some(actual)) if expected == actual => {}
            (Some(expected), Some(actual)) => {
                writeln!(wrong, "{name} differs:\n{}", first_difference(expected, actual)).unwrap();
            }
            (None, _) => writeln!(wrong, "{name} is missing").unwrap(),
            (_, None) => writeln!(wrong, "{name} was not written").unwrap(),
        }
    }
}

fn first_difference(expected: &str, actual: &str) -> String {
    let mut lines = expected.split('\n').zip(actual.split('\n')).enumerate();
    let (number, (expected, actual)) =
        lines.find(|(_, (expected, actual))| expected != actual).unwrap_or((0, ("(one ends early)", "")));
    format!("  line {}\n  expected {expected}\n  actual   {actual}", number + 1)
}

/// The files below a folder; none where there is no folder.
fn read(folder: &Path) -> Files {
    let mut files = Files::new();
    let mut left = vec![folder.to_path_buf()];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(entries(&path));
        } else if path.is_file() {
            files.insert(path.strip_prefix(folder).unwrap().to_path_buf(), fs::read_to_string(&path).unwrap());
        }
    }
    files
}

/// The paths in a folder, sorted.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
