//! `ringfence merge`: flow logs to one.

use std::io::{self, Write};

use crate::args::MergeArgs;
use crate::complaint::{Code, Complain};
use crate::exit::Exit;
use crate::log;

/// Runs the command.
pub(crate) fn run(args: &MergeArgs) -> anyhow::Result<Exit> {
    log::write(&args.output, &args.logs)
        .complain(Code::FlowLog, || "flow logs come from `ringfence record`, `merge` and `collect`".to_string())?;
    if !args.quiet {
        writeln!(io::stderr(), "{}: {} logs merged", args.output.display(), args.logs.len())?;
    }
    Ok(Exit::Fine)
}
