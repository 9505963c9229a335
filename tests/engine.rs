//! `reach`, `explain` and `diff`: folder cases, and what has to hold of any input.

use std::path::Path;

use crate::transcripts;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/engine");

#[test]
fn every_folder_holds_what_it_promises() {
    transcripts::check(Path::new(FOLDER));
}
