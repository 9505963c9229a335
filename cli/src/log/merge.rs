//! Logs to one log: a union, in which equal keys take the larger value.
//!
//! In whatever order logs are merged, and however often, the result is the same, byte by byte.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rusqlite::OptionalExtension;
use rusqlite::types::Value;

use super::open::{beside, tell};
use super::table::{Mode, OBSERVER, PENDING, TABLES};
use super::write::Writer;
use super::{Log, ObserverId};

/// Takes all that the logs at `from` hold into `into`. Observers are the same if their names are.
///
/// # Errors
/// A log that cannot be read, by its path; those before it are in.
pub(crate) fn combine(into: &mut Log, from: &[PathBuf]) -> anyhow::Result<()> {
    from.iter().try_for_each(|path| into.take(&Log::open_read(path)?))
}

/// Writes a log of all that those at `from` hold, and what `out` holds if it is a log already. Whoever reads `out` meanwhile
/// sees the old one.
///
/// # Errors
/// As [`combine`], or `out` cannot be written; it is then as before.
pub(crate) fn write(out: &Path, from: &[PathBuf]) -> anyhow::Result<()> {
    let mut all = Log::temporary()?;
    combine(&mut all, from)?;
    if fs::metadata(out).is_ok_and(|found| found.len() > 0) {
        // Closing it takes in what lies beside it, which would spoil another file of this name.
        Log::create_or_open(out)?.close()?;
        if beside(out).exists() {
            bail!("{}: another process is writing to it", out.display());
        }
        combine(&mut all, &[out.to_path_buf()])?;
    }
    let mut name = out.as_os_str().to_os_string();
    name.push(".part");
    let part = PathBuf::from(name);
    let clear = || [part.clone(), beside(&part)].iter().for_each(|path| drop(fs::remove_file(path)));
    clear();
    let written = Log::create_or_open(&part).and_then(|mut log| {
        log.take(&all)?;
        log.close()?;
        fs::rename(&part, out).with_context(|| out.display().to_string())
    });
    if written.is_err() {
        clear();
    }
    written
}

impl Log {
    /// Takes in all that another log holds.
    fn take(&mut self, other: &Log) -> anyhow::Result<()> {
        self.change(|writer| {
            // In the order of numbers here, so that the places of rows depend on nothing else.
            for (theirs, ours, newest) in observers(writer, other)? {
                for table in TABLES.into_iter().filter(|table| table.name != OBSERVER.name) {
                    if table.name == PENDING.name && !newest {
                        continue;
                    }
                    let mut statement = other.connection.prepare_cached(&table.select_of())?;
                    let mut rows = statement.query([theirs])?;
                    while let Some(row) = rows.next()? {
                        let columns = 0..table.columns.len();
                        let mut values: Vec<Value> = columns.map(|at| row.get(at)).collect::<Result<_, _>>()?;
                        values[0] = Value::Integer(ours.0);
                        writer.put(table, &values, Mode::Join)?;
                    }
                }
            }
            Ok(())
        })
        .map_err(tell)
    }
}

/// Puts the observers of `other`; their numbers there and here, and whether their pending attempts are no older than those
/// that are there, which go where they are older.
fn observers(writer: &mut Writer<'_>, other: &Log) -> anyhow::Result<Vec<(i64, ObserverId, bool)>> {
    let mut found = Vec::new();
    let mut statement =
        other.connection.prepare("SELECT id, name, kind, node, grain, flush FROM observer ORDER BY name")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let mut values: Vec<Value> = (0..OBSERVER.columns.len()).map(|at| row.get(at)).collect::<Result<_, _>>()?;
        let (theirs, name, flush): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(5)?);
        let known: Option<(i64, i64)> = writer
            .connection()
            .query_row("SELECT id, flush FROM observer WHERE name = ?1", [&name], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let id = match known {
            Some((id, _)) => id,
            None => {
                writer.connection().query_row("SELECT coalesce(max(id), 0) + 1 FROM observer", [], |row| row.get(0))?
            }
        };
        let age = known.map_or(Ordering::Greater, |(_, known)| flush.cmp(&known));
        if age == Ordering::Greater {
            writer.clear(&PENDING, ObserverId(id))?;
        }
        values[0] = Value::Integer(id);
        writer.put(&OBSERVER, &values, Mode::Join)?;
        found.push((theirs, ObserverId(id), age != Ordering::Less));
    }
    Ok(found)
}
