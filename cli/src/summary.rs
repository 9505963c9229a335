//! What people are told on stderr about the input.

use std::io::{self, Write};

use capture::Timestamp;
use synth::resolve::Doubts;

use crate::input::{Cluster, Traffic};
use crate::{captures, complaint};

/// A time without its fraction, for people.
pub(crate) fn to_second(time: Timestamp) -> String {
    let text = time.to_string();
    match text.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => text,
    }
}

/// A number with thousands separated: `1,204`.
pub(crate) fn number(value: u64) -> String {
    synth::render::thousands(value)
}

/// Differences between the clocks of two files above this, in nanoseconds, are worth a line.
const SKEW: i64 = 10_000_000;

/// What stands in the cluster's objects, and in those given beside them, that nobody may rely on: what was ignored, and
/// which of two policies of one name counts.
pub(crate) fn unused(cluster: &Cluster, proposed: Option<&Cluster>) -> io::Result<()> {
    let mut err = io::stderr().lock();
    for cluster in std::iter::once(cluster).chain(proposed) {
        for duplicate in &cluster.inventory.duplicates {
            writeln!(err, "warning: {duplicate}")?;
        }
        let count: u64 = cluster.ignored.values().sum();
        if count > 0 {
            let kinds: Vec<String> = cluster.ignored.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            writeln!(err, "{} objects of other kinds ignored: {}", number(count), kinds.join(", "))?;
        }
    }
    Ok(())
}

/// Reports what could not be read of the cluster's objects and of those given beside it; whether there was anything.
pub(crate) fn objects(cluster: &Cluster, proposed: Option<&Cluster>) -> io::Result<bool> {
    let mut err = io::stderr().lock();
    let refused = proposed.map(|proposed| proposed.problems.as_slice()).unwrap_or_default();
    complaint::problems(cluster.problems.iter().chain(refused), &mut err)?;
    Ok(!cluster.problems.is_empty() || !refused.is_empty())
}

/// Reports problems always, and the summary of the input unless `quiet`.
pub(crate) fn input(cluster: &Cluster, traffic: &Traffic, doubts: &Doubts, quiet: bool) -> io::Result<()> {
    objects(cluster, None)?;
    captures::damage(traffic)?;
    if quiet {
        return Ok(());
    }
    self::traffic(traffic, doubts, cluster)
}

/// Warnings about the objects, and what the captures held.
pub(crate) fn traffic(traffic: &Traffic, doubts: &Doubts, cluster: &Cluster) -> io::Result<()> {
    let mut err = io::stderr().lock();
    for warning in &cluster.inventory.warnings {
        writeln!(err, "warning: {warning}")?;
    }
    drop(err);
    captures::contents(traffic)?;
    let mut err = io::stderr().lock();
    let tally = &traffic.tracked.tally;
    if !tally.decoded.skipped.is_empty() {
        let buckets: Vec<String> = tally
            .decoded
            .skipped
            .iter()
            .map(|(reason, count)| format!("{} {}", number(*count), reason.text()))
            .collect();
        writeln!(
            err,
            "{} of {} frames hold no flow: {}",
            number(tally.decoded.frames - tally.decoded.packets),
            number(tally.decoded.frames),
            buckets.join(", ")
        )?;
    }
    for (tunnel, count) in &tally.decoded.opaque {
        writeln!(err, "{} frames of {}: inner traffic not visible", number(*count), tunnel.text())?;
    }
    if tally.remnants > 0 {
        writeln!(err, "{} conversations showed only ICMP errors", number(tally.remnants))?;
    }
    for (count, what) in [
        (tally.evicted, "conversations were settled before their end, because there were too many"),
        (
            tally.unjoined,
            "conversations whose views at several capture points were not joined, because there were too many",
        ),
        (tally.decoded.evicted, "fragmented packets were given up early, because there were too many"),
        (tally.forgotten, "resets and ICMP errors were forgotten, because there were too many"),
        (
            tally.dropped,
            "attempts and one-way conversations are not listed, because there were too many different ones",
        ),
        (tally.lost, "conversations that worked are not listed, because there were too many different ones"),
    ] {
        if count > 0 {
            writeln!(err, "warning: {} {what}", number(count))?;
        }
    }
    let folded: u64 = traffic.folded.values().sum();
    if folded > 0 {
        writeln!(
            err,
            "{} conversations with outside addresses are known by range only, {} ranges: their recorder kept no more \
             apart (--max-external)",
            number(folded),
            number(traffic.folded.len() as u64)
        )?;
    }
    let unnamed = traffic.tracked.names.dropped();
    if unnamed > 0 {
        writeln!(err, "{} times a name of an address was left out: there are too many", number(unnamed))?;
    }
    for ((first, second), skew) in &traffic.tracked.skew {
        if skew.abs() >= SKEW {
            let (first, second, skew) = if *skew < 0 { (second, first, -skew) } else { (first, second, *skew) };
            let name = |index: u16| traffic.sources[usize::from(index)].name.as_str();
            writeln!(
                err,
                "the clock of {} is {} ms ahead of that of {}",
                name(*second),
                skew / 1_000_000,
                name(*first)
            )?;
        }
    }
    unused(cluster, None)?;
    if tally.decoded.frames > 0 && doubts.conversations == 0 {
        writeln!(err, "no flows: no conversation in what was read, or none in the time that was asked for")?;
    }
    if doubts.guessed > 0 {
        writeln!(
            err,
            "{} conversations without a hint of their direction: the lower port is called the server, and they make no rule",
            number(doubts.guessed)
        )?;
    }
    if doubts.ambiguous > 0 {
        writeln!(
            err,
            "{} connections to Services whose backend was not seen: one row per possible backend",
            number(doubts.ambiguous)
        )?;
    }
    if doubts.unresolved > 0 {
        writeln!(
            err,
            "{} of {} conversations have an unresolved side",
            number(doubts.unresolved),
            number(doubts.conversations)
        )?;
    }
    // Above 5 % the dump and the capture are of different times or clusters.
    if doubts.is_of_another() {
        writeln!(
            err,
            "warning: dump and capture do not fit together: more than 5 % of the conversations are unresolved"
        )?;
    }
    Ok(())
}
