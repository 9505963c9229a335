//! What goes wrong, and what people are told: `tests/mistakes`.

use std::path::Path;

use crate::transcripts;

#[test]
fn people_are_told_what_where_and_what_next() {
    transcripts::check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/mistakes"));
}
