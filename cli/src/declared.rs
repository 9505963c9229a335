//! Files of edges that the user declares.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, bail};
use synth::declare::{self, Declared};

use crate::complaint::{Code, Complain};

/// Reads `--exclude` or `--include` files.
pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<Declared>> {
    read_all(paths).complain(Code::List, || {
        "one edge a line, as `shop/web -> shop/api:8080/TCP  # reason`; `ringfence generate --help` has examples"
            .to_string()
    })
}

fn read_all(paths: &[PathBuf]) -> anyhow::Result<Vec<Declared>> {
    let mut edges = Vec::new();
    let mut errors = Vec::new();
    for path in paths {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        match declare::parse(&path.display().to_string(), &text) {
            Ok(found) => edges.extend(found),
            Err(found) => errors.extend(found.iter().map(ToString::to_string)),
        }
    }
    if !errors.is_empty() {
        bail!("{}", errors.join("\n"));
    }
    Ok(edges)
}
