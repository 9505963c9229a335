//! Test data beside the project: an examiner, real applications, public captures. Tests that need it are skipped where
//! it is not there.

use std::path::PathBuf;

/// The folder: `RINGFENCE_SHARED`, else `shared` beside the workspace.
pub fn folder() -> Option<PathBuf> {
    let folder = match std::env::var_os("RINGFENCE_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => [env!("CARGO_MANIFEST_DIR"), "..", "..", "shared"].iter().collect(),
    };
    folder.is_dir().then_some(folder)
}

/// Says that a test did nothing.
#[expect(clippy::print_stderr, reason = "a test that was skipped has to say so")]
pub fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}
