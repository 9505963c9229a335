//! Every input that fuzzing kept, through what it was kept for: none may panic or take long.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[path = "fuzz/bodies.rs"]
mod bodies;

/// Unoptimised and on a busy machine; the slowest takes a few milliseconds.
const LIMIT: Duration = Duration::from_secs(5);

fn replay(target: &str, body: fn(&[u8])) {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "tests", "fuzz", "corpus", target].iter().collect();
    let mut inputs = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let data = fs::read(&path).unwrap();
        let start = Instant::now();
        body(&data);
        assert!(start.elapsed() < LIMIT, "{} takes {:?}", path.display(), start.elapsed());
        inputs += 1;
    }
    assert!(inputs > 0, "{} is empty", folder.display());
}

#[test]
fn file() {
    replay("file", bodies::file);
}

#[test]
fn packet() {
    replay("packet", bodies::packet);
}

#[test]
fn pipeline() {
    replay("pipeline", bodies::pipeline);
}

#[test]
fn dns() {
    replay("dns", bodies::dns);
}

#[test]
fn tls() {
    replay("tls", bodies::tls);
}

#[test]
fn manifest() {
    replay("manifest", bodies::manifest);
}
