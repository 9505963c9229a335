//! What is too old, or too much, leaves: an agent's disk is not its own.

use anyhow::Context;
use capture::Timestamp;
use rusqlite::types::Value;

use super::open::tell;
use super::table::{COVERAGE, FLOW, INTERFACE, POD, TENURE};
use super::{Log, ObserverId};

/// How much of the span of a log that is too large leaves at a time: one part in so many.
const PARTS: i64 = 8;

impl Log {
    /// Bytes that the log's rows take.
    pub(crate) fn used(&self) -> anyhow::Result<u64> {
        let read = |name: &str| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let used = || anyhow::Ok((read("page_count")? - read("freelist_count")?) * read("page_size")?);
        let used = used().map_err(tell).with_context(|| self.path.display().to_string())?;
        Ok(u64::try_from(used).unwrap_or_default())
    }

    /// Takes out what an observer saw for the last time before `before`; how many rows of flows those were. Pods that held
    /// addresses then go with them.
    pub(crate) fn forget(&mut self, observer: ObserverId, before: Timestamp) -> anyhow::Result<usize> {
        let at = [Value::Integer(observer.0), Value::Integer(before.0)];
        self.change(|writer| {
            let flows = writer.remove(&FLOW, "observer = ?1 AND last < ?2", &at)?;
            writer.remove(&TENURE, "observer = ?1 AND until IS NOT NULL AND until < ?2", &at)?;
            // Pods on the network of their node hold no address.
            let homeless = "observer = ?1 AND uid NOT IN (SELECT pod FROM tenure WHERE observer = ?1) \
                            AND object NOT LIKE '%\"hostNetwork\":true%'";
            writer.remove(&POD, homeless, &at[..1])?;
            writer.remove(&COVERAGE, "observer = ?1 AND until IS NOT NULL AND until < ?2", &at)?;
            let without = "observer = ?1 AND NOT EXISTS (SELECT 1 FROM coverage WHERE coverage.observer = interface.observer \
                           AND coverage.source = interface.source AND coverage.run = interface.run)";
            writer.remove(&INTERFACE, without, &at[..1])?;
            Ok(flows)
        })
    }

    /// Takes out what is oldest until the log's rows take `most` bytes at most, or nothing is left of before `now`; up to when
    /// that was, if anything left.
    pub(crate) fn shrink(
        &mut self,
        observer: ObserverId,
        most: u64,
        now: Timestamp,
    ) -> anyhow::Result<Option<Timestamp>> {
        let mut gone = None;
        while self.used()? > most {
            let text = "SELECT min(last) FROM flow WHERE observer = ?1";
            let oldest: Option<i64> = self.connection.query_row(text, [observer.0], |row| row.get(0))?;
            let Some(oldest) = oldest.map(Timestamp).filter(|oldest| *oldest < now) else { break };
            let before = oldest.plus((now.since(oldest) / PARTS).max(1));
            self.forget(observer, before)?;
            gone = Some(before);
        }
        Ok(gone)
    }
}
