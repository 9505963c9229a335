//! Exit codes.

use std::process::ExitCode;

/// How a run ended, for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Nothing to report.
    Fine,
    /// Findings; the gate failed; files would change.
    Findings,
    /// Bad usage, or input that cannot be read, wholly or in part.
    Unusable,
    /// Not enough evidence to say anything.
    Insufficient,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Fine => 0,
            Exit::Findings => 1,
            Exit::Unusable => 2,
            Exit::Insufficient => 3,
        })
    }
}
