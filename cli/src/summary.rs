//! What people are told on stderr about the input.

use std::io::{self, Write};

use capture::Timestamp;
use synth::manifest::Objects;
use synth::resolve::Doubts;

use crate::input::{Cluster, Traffic};

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

/// Reports what could not be read of the cluster's objects and of those given beside it, and warnings about them unless
/// `quiet`; whether something could not be read.
pub(crate) fn objects(cluster: &Cluster, proposed: Option<&Objects>, quiet: bool) -> io::Result<bool> {
    let mut err = io::stderr().lock();
    for problem in &cluster.problems {
        writeln!(err, "error: {problem}")?;
    }
    let refused = proposed.map(|objects| objects.problems.as_slice()).unwrap_or_default();
    for problem in refused {
        writeln!(err, "error: {problem}")?;
    }
    if !quiet {
        for warning in &cluster.inventory.warnings {
            writeln!(err, "warning: {warning}")?;
        }
    }
    Ok(!cluster.problems.is_empty() || !refused.is_empty())
}

/// Reports problems always, and the summary of the input unless `quiet`.
pub(crate) fn input(cluster: &Cluster, traffic: &Traffic, doubts: &Doubts, quiet: bool) -> anyhow::Result<()> {
    let mut err = io::stderr().lock();
    for problem in &cluster.problems {
        writeln!(err, "error: {problem}")?;
    }
    for observer in &traffic.observers {
        if let Some(damage) = &observer.damage {
            writeln!(
                err,
                "warning: {}: {damage}; the {} frames before it count",
                observer.name,
                number(observer.frames)
            )?;
        }
    }
    if quiet {
        return Ok(());
    }
    for warning in &cluster.inventory.warnings {
        writeln!(err, "warning: {warning}")?;
    }
    for observer in &traffic.observers {
        let span = match observer.span.times {
            Some((first, last)) => format!("{} .. {}", to_second(first), to_second(last)),
            None => "no frames".to_string(),
        };
        let lost = if observer.dropped > 0 {
            format!(", {} lost while capturing", number(observer.dropped))
        } else {
            String::new()
        };
        writeln!(err, "{}: {} frames, {span}{lost}", observer.name, number(observer.frames))?;
    }
    let tally = &traffic.tracked.tally;
    if !tally.skipped.is_empty() {
        let buckets: Vec<String> =
            tally.skipped.iter().map(|(reason, count)| format!("{} {}", number(*count), reason.text())).collect();
        writeln!(
            err,
            "{} of {} frames hold no flow: {}",
            number(tally.frames - tally.packets),
            number(tally.frames),
            buckets.join(", ")
        )?;
    }
    if tally.remnants > 0 {
        writeln!(err, "{} conversations showed only resets or ICMP errors", number(tally.remnants))?;
    }
    if tally.hurried > 0 {
        writeln!(
            err,
            "{} packets came too fast to be put in order over the whole of two seconds",
            number(tally.hurried)
        )?;
    }
    for ((first, second), skew) in &traffic.tracked.skew {
        if skew.abs() >= SKEW {
            let (first, second, skew) = if *skew < 0 { (second, first, -skew) } else { (first, second, *skew) };
            let name = |index: u16| traffic.observers[usize::from(index)].name.as_str();
            writeln!(
                err,
                "the clock of {} is {} ms ahead of that of {}",
                name(*second),
                skew / 1_000_000,
                name(*first)
            )?;
        }
    }
    let ignored: u64 = cluster.ignored.values().sum();
    if ignored > 0 {
        let kinds: Vec<String> = cluster.ignored.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        writeln!(err, "{} objects of other kinds ignored: {}", number(ignored), kinds.join(", "))?;
    }
    if tally.frames > 0 && doubts.conversations == 0 {
        writeln!(err, "no flows: none of the frames belongs to a conversation")?;
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
    if doubts.unresolved * 20 > doubts.conversations {
        writeln!(
            err,
            "warning: dump and capture do not fit together: more than 5 % of the conversations are unresolved"
        )?;
    }
    Ok(())
}
