//! What is told on stderr about the work: events with fields, as text or JSON.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::args::{LogFormat, Logging};

/// Tells events from now on: warnings and errors, more if it is asked for.
pub(crate) fn begin(Logging { verbose, log_format }: Logging) {
    let level = match verbose {
        0 => "warn",
        1 => "ringfence=info,warn",
        2 => "ringfence=debug,info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // Nobody else sets one in this process.
    let _ = match log_format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
