//! Runs of the program without traffic, and what they print.
//!
//! A case is a folder of manifests, of which the first line of one says what the case shows, and `args` with one run of
//! the program a line. `expected` is the transcript, compared byte for byte; `RINGFENCE_UPDATE=1` writes it anew.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::program::run;

/// The folders in a folder, sorted.
pub fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// Compares every case in a folder.
pub fn check(folder: &Path) {
    let update = std::env::var_os("RINGFENCE_UPDATE").is_some();
    let mut wrong = String::new();
    for case in folders(folder) {
        let mut transcript = String::new();
        for args in fs::read_to_string(case.join("args")).unwrap().lines() {
            let run = run(&case, args);
            writeln!(transcript, "$ ringfence {args}").unwrap();
            for (mark, stream) in [('>', &run.stdout), ('!', &run.stderr)] {
                stream.lines().for_each(|line| writeln!(transcript, "{mark} {line}").unwrap());
            }
            writeln!(transcript, "exit {}\n", run.exit).unwrap();
        }
        let expected = case.join("expected");
        if update {
            fs::write(&expected, &transcript).unwrap();
        }
        if fs::read_to_string(&expected).ok().as_ref() != Some(&transcript) {
            writeln!(wrong, "{} differs, now it is:\n{transcript}", expected.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}RINGFENCE_UPDATE=1 accepts what the program does now");
}
