//! What was watched: sources, their interfaces and counters.

use std::collections::BTreeMap;

use capture::file::Interface;
use capture::packet::{Opaque, Skipped};
use capture::{LinkType, Tally, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, Row};

use super::table::{COVERAGE, INTERFACE, Mode, TALLY};
use super::write::Writer;
use super::{ObserverId, damaged};
use crate::source::{Fault, Source};

fn write_fault(fault: Option<&Fault>) -> String {
    fault.map_or_else(String::new, |fault| format!("{}:{}:{}", fault.packet, fault.offset, fault.message))
}

fn read_fault(text: &str) -> anyhow::Result<Option<Fault>> {
    if text.is_empty() {
        return Ok(None);
    }
    let read = || {
        let mut parts = text.splitn(3, ':');
        let (packet, offset) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Fault { packet, offset, message: parts.next()?.to_string() })
    };
    read().map(Some).ok_or_else(|| damaged("a place in a capture file that is none"))
}

/// As `skew` names a source.
pub(super) fn key(source: &Source) -> String {
    format!("{} {}", source.id, source.run)
}

fn count(count: u64) -> Value {
    Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

fn text(text: &str) -> Value {
    Value::Text(text.to_string())
}

pub(super) fn put_source(writer: &mut Writer<'_>, observer: ObserverId, source: &Source) -> anyhow::Result<()> {
    let time = |time: Option<Timestamp>| time.map_or(Value::Null, |time| Value::Integer(time.0));
    let key = vec![Value::Integer(observer.0), text(&source.id), Value::Integer(source.run)];
    let values = vec![
        text(&source.name),
        Value::Integer(source.position),
        time(source.span.map(|(from, _)| from)),
        time(source.span.map(|(_, to)| to)),
        count(source.frames),
        count(source.damaged),
        Value::Text(write_fault(source.first_damaged.as_ref())),
        Value::Text(write_fault(source.damage.as_ref())),
    ];
    writer.put(&COVERAGE, &[key.clone(), values].concat(), Mode::Add)?;
    for (number, interface) in source.interfaces.iter().enumerate() {
        let known = |value: Option<u64>| value.map_or(Value::Null, count);
        let values = vec![
            Value::Integer(number as i64),
            interface.name.as_deref().map_or(Value::Null, text),
            Value::Integer(i64::from(interface.link.number())),
            count(interface.frames),
            known(interface.received),
            known(interface.accepted),
            known(interface.dropped_by_interface),
            known(interface.dropped_by_system),
        ];
        writer.put(&INTERFACE, &[key.clone(), values].concat(), Mode::Add)?;
    }
    Ok(())
}

/// The sources of an observer, in their order.
pub(super) fn sources(connection: &Connection, observer: ObserverId) -> anyhow::Result<Vec<Source>> {
    let mut interfaces: BTreeMap<(String, i64), Vec<Interface>> = BTreeMap::new();
    let mut statement = connection.prepare_cached(
        "SELECT source, run, name, link, frames, received, accepted, lost_by_interface, lost_by_system \
         FROM interface WHERE observer = ?1 ORDER BY source, run, number",
    )?;
    let mut rows = statement.query([observer.0])?;
    while let Some(row) = rows.next()? {
        let known = |at: usize| row.get::<_, Option<i64>>(at).map(|count| count.map(|count| count as u64));
        interfaces.entry((row.get(0)?, row.get(1)?)).or_default().push(Interface {
            name: row.get(2)?,
            link: LinkType::from_number(row.get(3)?),
            frames: row.get::<_, i64>(4)? as u64,
            received: known(5)?,
            accepted: known(6)?,
            dropped_by_interface: known(7)?,
            dropped_by_system: known(8)?,
        });
    }
    let mut statement = connection.prepare_cached(
        "SELECT source, run, name, position, started, until, frames, damaged, first_damaged, damage \
         FROM coverage WHERE observer = ?1 ORDER BY position, source, run",
    )?;
    let mut rows = statement.query([observer.0])?;
    let mut sources = Vec::new();
    while let Some(row) = rows.next()? {
        let key: (String, i64) = (row.get(0)?, row.get(1)?);
        sources.push(source(row, interfaces.remove(&key).unwrap_or_default())?);
    }
    Ok(sources)
}

fn source(row: &Row<'_>, interfaces: Vec<Interface>) -> anyhow::Result<Source> {
    let time = |at: usize| row.get::<_, Option<i64>>(at).map(|time| time.map(Timestamp));
    Ok(Source {
        id: row.get(0)?,
        run: row.get(1)?,
        name: row.get(2)?,
        position: row.get(3)?,
        span: time(4)?.zip(time(5)?),
        frames: row.get::<_, i64>(6)? as u64,
        damaged: row.get::<_, i64>(7)? as u64,
        first_damaged: read_fault(row.get_ref(8)?.as_str()?)?,
        damage: read_fault(row.get_ref(9)?.as_str()?)?,
        interfaces,
    })
}

/// What stands before the name of a reason in `tally.counter`.
const SKIPPED: &str = "skipped ";
/// The same of a tunnel.
const OPAQUE: &str = "opaque ";

/// The counters of a tally that stand for themselves.
fn fields(tally: &mut Tally) -> [(&'static str, &mut u64); 9] {
    [
        ("frames", &mut tally.decoded.frames),
        ("packets", &mut tally.decoded.packets),
        ("fragments evicted", &mut tally.decoded.evicted),
        ("remnants", &mut tally.remnants),
        ("evicted", &mut tally.evicted),
        ("unjoined", &mut tally.unjoined),
        ("forgotten", &mut tally.forgotten),
        ("dropped", &mut tally.dropped),
        ("lost", &mut tally.lost),
    ]
}

/// The counter of names that were left out.
const UNNAMED: &str = "names left out";

pub(super) fn put_tally(
    writer: &mut Writer<'_>,
    observer: ObserverId,
    tally: &Tally,
    unnamed: u64,
) -> anyhow::Result<()> {
    let mut tally = tally.clone();
    let mut counters: BTreeMap<String, u64> = BTreeMap::from([(UNNAMED.to_string(), unnamed)]);
    counters.extend(fields(&mut tally).map(|(name, count)| (name.to_string(), *count)));
    counters
        .extend(tally.decoded.skipped.iter().map(|(reason, count)| (format!("{SKIPPED}{}", reason.name()), *count)));
    counters.extend(tally.decoded.opaque.iter().map(|(tunnel, count)| (format!("{OPAQUE}{}", tunnel.name()), *count)));
    for (counter, value) in counters.into_iter().filter(|(_, value)| *value > 0) {
        let row = [Value::Integer(observer.0), Value::Text(counter), count(value)];
        writer.put(&TALLY, &row, Mode::Add)?;
    }
    Ok(())
}

/// Adds up the tallies of all observers; and the names that were left out.
pub(super) fn tally(connection: &Connection) -> anyhow::Result<(Tally, u64)> {
    let mut tally = Tally::default();
    let mut unnamed = 0;
    let mut statement =
        connection.prepare("SELECT counter, sum(count) FROM tally GROUP BY counter ORDER BY counter")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let count = row.get::<_, i64>(1)? as u64;
        let unknown = || damaged(&format!("there is no counter `{name}`"));
        if name == UNNAMED {
            unnamed = count;
        } else if let Some(reason) = name.strip_prefix(SKIPPED) {
            tally.decoded.skipped.insert(Skipped::from_name(reason).ok_or_else(unknown)?, count);
        } else if let Some(tunnel) = name.strip_prefix(OPAQUE) {
            let tunnel = Opaque::ALL.into_iter().find(|known| known.name() == tunnel).ok_or_else(unknown)?;
            tally.decoded.opaque.insert(tunnel, count);
        } else {
            let mut known = fields(&mut tally);
            *known.iter_mut().find(|(field, _)| *field == name).ok_or_else(unknown)?.1 = count;
        }
    }
    Ok((tally, unnamed))
}
