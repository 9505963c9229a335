//! What was read and what became of it, for programs: every frame is in one bucket.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use synth::completeness::Completeness;
use synth::resolve::Doubts;

use crate::completeness::Report;
use crate::input::{Traffic, is_readable};
use crate::source::{Fault, Source};

/// Writes the file of `--summary`, if there is to be one.
pub(crate) fn write(
    path: Option<&Path>,
    traffic: &Traffic,
    doubts: &Doubts,
    completeness: Option<&Completeness>,
) -> anyhow::Result<()> {
    let Some(path) = path else { return Ok(()) };
    let account = Account { completeness: completeness.map(Report::new), ..Account::new(traffic, doubts) };
    let text = serde_json::to_string(&account)? + "\n";
    fs::write(path, text).with_context(|| format!("--summary {}", path.display()))
}

/// The one object of the file.
#[derive(Debug, Serialize)]
struct Account<'a> {
    captures: Vec<Capture<'a>>,
    /// Of all captures: the sum of `buckets`.
    frames: u64,
    buckets: BTreeMap<String, u64>,
    /// Those of `buckets` that belong to tunnels whose inner traffic is not visible.
    opaque: BTreeMap<&'static str, u64>,
    /// Packets that the capturing hosts say they lost.
    lost: u64,
    limits: Limits,
    conversations: Conversations,
    /// How much has been learned, of commands that learn; not there where no frame was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    completeness: Option<Report<'a>>,
}

/// A file.
#[derive(Debug, Serialize)]
struct Capture<'a> {
    name: &'a str,
    frames: u64,
    first: Option<String>,
    last: Option<String>,
    interfaces: Vec<Interface<'a>>,
    /// Records stepped over; they are no frames.
    damaged_records: u64,
    first_damaged: Option<Damage>,
    /// Where reading ended before the file did.
    damage: Option<Damage>,
}

#[derive(Debug, Serialize)]
struct Interface<'a> {
    name: Option<&'a str>,
    link: String,
    readable: bool,
    frames: u64,
    received: Option<u64>,
    accepted: Option<u64>,
    dropped: Option<u64>,
    dropped_by_interface: Option<u64>,
    dropped_by_system: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Damage {
    packet: u64,
    offset: u64,
    message: String,
}

/// What did not fit into memory.
#[derive(Debug, Serialize)]
struct Limits {
    /// Conversations settled before their end.
    evicted: u64,
    /// Conversations of which several views were not joined.
    unjoined: u64,
    /// Resets and ICMP errors that were not kept.
    forgotten: u64,
    /// Attempts and one-way conversations that are in no flow.
    dropped: u64,
    /// Conversations that worked and are in no flow.
    lost: u64,
    /// Fragmented packets that were given up early.
    fragments: u64,
    /// Names of addresses left out.
    names: u64,
    /// Conversations with outside addresses that are known by range only.
    folded: u64,
}

#[derive(Debug, Serialize)]
struct Conversations {
    all: u64,
    /// Only ICMP errors were seen of these; they are no conversations.
    remnants: u64,
    guessed: u64,
    ambiguous: u64,
    unresolved: u64,
}

impl<'a> Account<'a> {
    fn new(traffic: &'a Traffic, doubts: &Doubts) -> Account<'a> {
        let (tally, sources) = (&traffic.tracked.tally, &traffic.sources);
        let frames: u64 = sources.iter().map(|source| source.frames).sum();
        let mut buckets = BTreeMap::from([
            ("decoded".to_string(), tally.decoded.packets),
            ("outside_window".to_string(), frames - tally.decoded.frames),
        ]);
        for (reason, count) in &tally.decoded.skipped {
            *buckets.entry(reason.name()).or_default() += count;
        }
        buckets.retain(|_, count| *count > 0);
        Account {
            captures: sources.iter().map(Capture::new).collect(),
            frames,
            buckets,
            opaque: tally.decoded.opaque.iter().map(|(tunnel, count)| (tunnel.name(), *count)).collect(),
            lost: sources.iter().map(Source::dropped).sum(),
            limits: Limits {
                evicted: tally.evicted,
                unjoined: tally.unjoined,
                forgotten: tally.forgotten,
                dropped: tally.dropped,
                lost: tally.lost,
                fragments: tally.decoded.evicted,
                folded: traffic.folded.values().sum(),
                names: traffic.tracked.names.dropped(),
            },
            conversations: Conversations {
                all: doubts.conversations,
                remnants: tally.remnants,
                guessed: doubts.guessed,
                ambiguous: doubts.ambiguous,
                unresolved: doubts.unresolved,
            },
            completeness: None,
        }
    }
}

impl<'a> Capture<'a> {
    fn new(source: &'a Source) -> Capture<'a> {
        Capture {
            name: &source.name,
            frames: source.frames,
            first: source.span.map(|(first, _)| first.to_string()),
            last: source.span.map(|(_, last)| last.to_string()),
            interfaces: source.interfaces.iter().map(Interface::from).collect(),
            damaged_records: source.damaged,
            first_damaged: source.first_damaged.as_ref().map(Damage::from),
            damage: source.damage.as_ref().map(Damage::from),
        }
    }
}

impl<'a> From<&'a capture::file::Interface> for Interface<'a> {
    fn from(interface: &'a capture::file::Interface) -> Interface<'a> {
        Interface {
            name: interface.name.as_deref(),
            link: interface.link.to_string(),
            readable: is_readable(interface.link),
            frames: interface.frames,
            received: interface.received,
            accepted: interface.accepted,
            dropped: interface.dropped(),
            dropped_by_interface: interface.dropped_by_interface,
            dropped_by_system: interface.dropped_by_system,
        }
    }
}

impl From<&Fault> for Damage {
    fn from(fault: &Fault) -> Damage {
        Damage { packet: fault.packet, offset: fault.offset, message: fault.message.clone() }
    }
}
