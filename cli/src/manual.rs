//! What other programs need of the command line: completions for shells, manual pages.

use std::fs;
use std::io::Write;

use anyhow::Context;
use clap::CommandFactory;

use crate::args::{Args, CompletionsArgs, ManArgs};
use crate::exit::Exit;

/// `ringfence completions`.
pub(crate) fn completions(args: &CompletionsArgs, out: &mut impl Write) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "ringfence", &mut script);
    out.write_all(&script)?;
    Ok(Exit::Fine)
}

/// `ringfence man`.
pub(crate) fn pages(args: &ManArgs) -> anyhow::Result<Exit> {
    let directory = &args.directory;
    fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Args::command(), directory))
        .with_context(|| directory.display().to_string())?;
    Ok(Exit::Fine)
}
