//! Test data beside the project: an examiner, real applications, public captures. Tests that need it are skipped where
//! it is not there.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Mutex;

/// The folder: `RINGFENCE_SHARED`, else `shared` beside the workspace.
pub fn folder() -> Option<PathBuf> {
    let folder = match std::env::var_os("RINGFENCE_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => [env!("CARGO_MANIFEST_DIR"), "..", "..", "shared"].iter().collect(),
    };
    folder.is_dir().then_some(folder)
}

/// Says that tests did nothing, once for each group of them. Past the test runner, which keeps what passing tests print
/// to itself.
pub fn skipped(tests: &str, why: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SAID.lock().unwrap().insert(tests.to_string()) {
        let _ = writeln!(io::stderr(), "skipped: {tests}: {why}");
    }
}

/// Says what was measured, past the test runner.
pub fn noted(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
