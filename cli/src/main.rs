//! `ringfence`: from captured traffic and a cluster's objects to proved NetworkPolicies.
//!
//! Owns people, files and exit codes; everything that decides anything is in `capture` and `synth`. `args` is what the
//! user typed, `input` what it stands for, and each subcommand is a file. `log` is the flow log, `cluster` the live cluster.

mod account;
mod agent;
mod args;
mod bar;
mod captures;
mod catalogue;
mod check;
mod cluster;
mod collect;
mod complaint;
mod completeness;
mod declared;
mod diff;
mod drawing;
mod exit;
mod expected;
mod explain;
mod exposure;
mod feed;
mod finding;
mod flows;
mod generate;
mod ignore;
mod input;
mod isolation;
mod lint;
mod log;
mod logging;
mod manual;
mod markdown;
mod merge;
mod platform;
mod ports;
mod reach;
mod record;
mod report;
mod row;
mod sarif;
mod selection;
mod snapshot;
mod source;
mod suggestions;
mod summary;
mod table;
mod unused;
mod watch;
mod watchlist;

#[cfg(test)]
#[allow(dead_code, reason = "the end-to-end tests use the rest of it")]
#[path = "../../tests/fakeapi.rs"]
mod fakeapi;

use std::io::{self, Write};
use std::process::ExitCode;

use args::{Args, Command};
use complaint::is_closed_pipe;
use exit::Exit;

fn main() -> ExitCode {
    let args = match Args::read(std::env::args_os()) {
        Ok(args) => args,
        Err(error) => {
            // Help and version are answers, not errors; a closed pipe behind them is fine.
            let _ = error.print();
            return if error.use_stderr() { Exit::Unusable.into() } else { Exit::Fine.into() };
        }
    };
    logging::begin(args.logging);
    let mut out = io::BufWriter::new(io::stdout().lock());
    let done = match &args.command {
        Command::Flows(args) => flows::run(args, &mut out),
        Command::Generate(args) => generate::run(args, &mut out),
        Command::Check(args) => check::run(args, &mut out),
        Command::Reach(args) => reach::run(args, &mut out),
        Command::Explain(args) => explain::run(args, &mut out),
        Command::Diff(args) => diff::run(args, &mut out),
        Command::Unused(args) => unused::run(args, &mut out),
        Command::Report(args) => report::run(args, &mut out),
        Command::Lint(args) => lint::run(args, &mut out),
        Command::Snapshot(args) => snapshot::run(args, &mut out),
        Command::Collect(args) => collect::run(args),
        Command::Record(args) => record::run(args, &mut out),
        Command::Agent(args) => agent::run(args),
        Command::Completions(args) => manual::completions(args, &mut out),
        Command::Man(args) => manual::pages(args),
        Command::Merge(args) => merge::run(args),
    };
    let done = done.map_err(|error| complaint::of_command(error, args.command.name()));
    match done.and_then(|exit| out.flush().map(|()| exit).map_err(Into::into)) {
        Ok(exit) => exit.into(),
        // Whoever reads the output has seen enough: `| head` is no failure.
        Err(error) if is_closed_pipe(&error) => Exit::Fine.into(),
        Err(error) => {
            let _ = write!(io::stderr(), "{}", complaint::shown(&error));
            Exit::Unusable.into()
        }
    }
}
