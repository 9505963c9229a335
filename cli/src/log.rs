//! The flow log: flows, coverage and what observers knew of pods, in one SQLite file.
//!
//! `schema.sql` says what is in it. A recorder appends a [`Batch`] every few seconds, in one transaction each: whoever kills
//! it loses what was not flushed, and nothing else. All that is read is held against checksums first ([`seal`]).
//!
//! ```text
//! Batch --append--> Log --merge--> Log --read--> Traffic, pods
//! ```

mod codes;
mod column;
mod copy;
mod coverage;
mod forget;
mod merge;
mod open;
mod read;
mod row;
mod seal;
mod table;
#[cfg(test)]
mod tests;
mod traffic;
mod write;

use std::path::PathBuf;

use rusqlite::Connection;

pub(crate) use self::copy::copy;
pub(crate) use self::merge::{combine, write};
pub(crate) use self::row::{HOUR, stretch};
pub(crate) use self::write::Batch;
pub(crate) use self::write::{KnownPod, Tenure};

/// An open flow log.
#[derive(Debug)]
pub(crate) struct Log {
    connection: Connection,
    /// What errors name.
    path: PathBuf,
}

/// What an observer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A pod of a DaemonSet that watches its node.
    Agent,
    /// A recorder on one machine.
    Record,
    /// Capture files.
    Capture,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Agent => "agent",
            Kind::Record => "record",
            Kind::Capture => "capture",
        }
    }
}

/// Local number of an observer in one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ObserverId(i64);

/// What is wrong with a log whose bytes are not those that were written.
fn damaged(what: &str) -> anyhow::Error {
    anyhow::anyhow!("the flow log is damaged: {what}; nothing of it is used")
}
