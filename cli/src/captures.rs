//! What people are told on stderr about each capture.

use std::io::{self, Write};

use capture::file::Interface;

use crate::input::{Traffic, is_readable};
use crate::source::Source;
use crate::summary::{number, to_second};

/// Interfaces of one capture that are listed; the others are counted.
const LISTED: usize = 16;

/// Reports what could not be read of captures.
pub(crate) fn damage(traffic: &Traffic) -> io::Result<()> {
    let mut err = io::stderr().lock();
    for Source { name, frames, damaged, first_damaged, damage, .. } in &traffic.sources {
        if let Some(first) = first_damaged {
            let damaged = number(*damaged);
            writeln!(err, "warning: {name}: {damaged} damaged records stepped over, the first at {first}")?;
        }
        if let Some(damage) = damage {
            let frames = number(*frames);
            writeln!(err, "warning: {name}: {damage}; the {frames} frames before it count")?;
        }
    }
    if let Some((rows, conversations)) = traffic.straddling {
        let (rows, conversations) = (number(rows), number(conversations));
        writeln!(
            err,
            "warning: {rows} rows of the flow log are partly outside of --since and --until; their {conversations} \
             conversations count in full"
        )?;
    }
    if let Some(links) = traffic.unreadable() {
        let links: Vec<String> = links.iter().map(ToString::to_string).collect();
        writeln!(err, "error: none of the frames can be read: {}", links.join(", "))?;
    }
    Ok(())
}

/// Reports what the captures held.
pub(crate) fn contents(traffic: &Traffic) -> io::Result<()> {
    let mut err = io::stderr().lock();
    for source in &traffic.sources {
        let span = match source.span {
            Some((first, last)) => format!("{} .. {}", to_second(first), to_second(last)),
            None => "no frames".to_string(),
        };
        let lost = match source.dropped() {
            0 => String::new(),
            dropped => format!(", {} lost while capturing", number(dropped)),
        };
        writeln!(err, "{}: {} frames, {span}{lost}", source.name, number(source.frames))?;
        let interfaces = &source.interfaces;
        if interfaces.len() > 1 || interfaces.iter().any(|interface| !is_readable(interface.link)) {
            for interface in interfaces.iter().take(LISTED) {
                writeln!(err, "  {}", line(interface))?;
            }
            if interfaces.len() > LISTED {
                writeln!(err, "  and {} more interfaces", interfaces.len() - LISTED)?;
            }
        }
    }
    Ok(())
}

fn line(interface: &Interface) -> String {
    let mut line = match &interface.name {
        Some(name) => format!("{} ({})", printable(name), interface.link),
        None => interface.link.to_string(),
    };
    line += &format!(": {} frames", number(interface.frames));
    if !is_readable(interface.link) {
        line += " that nobody can read";
    }
    // Counters that say that everything is there say nothing.
    for (count, complete, what) in [
        (interface.received, interface.frames, "received"),
        (interface.accepted, interface.frames, "accepted by the filter"),
        (interface.dropped_by_interface, 0, "lost by the interface"),
        (interface.dropped_by_system, 0, "lost by the system"),
    ] {
        if let Some(count) = count.filter(|count| *count != complete) {
            line += &format!(", {} {what}", number(count));
        }
    }
    line
}

/// A file may call its interfaces anything, and the terminal would obey.
fn printable(name: &str) -> String {
    name.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}
