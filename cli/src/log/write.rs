//! Appending what an observer saw.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::Context;
use capture::{Flow, Tally, Timestamp};
use ipnet::IpNet;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params_from_iter};

use super::coverage;
use super::open::tell;
use super::seal::{Seals, checksum};
use super::table::{FLOW, FOLD, Mode, NAME, OBSERVER, PENDING, POD, SKEW, TENURE, Table};
use super::{Kind, Log, ObserverId, row};
use crate::source::Source;

/// What an observer saw since it last told.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Flows of several conversations and the starts of their stretches ([`row::stretch`]); what is in the log under the
    /// same key is added to.
    pub(crate) counted: Vec<(Timestamp, Flow)>,
    /// Conversations that are kept alone.
    pub(crate) alone: Vec<Flow>,
    /// All attempts that are too young to be given up, with the starts of their stretches; those of the last flush go.
    pub(crate) pending: Vec<(Timestamp, Flow)>,
    /// Pods that are new or have changed.
    pub(crate) pods: Vec<KnownPod>,
    /// Tenures that are new or have ended.
    pub(crate) tenures: Vec<Tenure>,
    /// Ranges that stand for outside addresses, and how many conversations since.
    pub(crate) folded: BTreeMap<IpNet, u64>,
    /// Address, name and asker.
    pub(crate) names: Vec<(IpAddr, String, IpAddr)>,
    /// What was watched; counters count what came since.
    pub(crate) sources: Vec<Source>,
    /// What became of frames since.
    pub(crate) tally: Tally,
    /// Names of addresses that were left out since.
    pub(crate) unnamed: u64,
    /// Nanoseconds by which the clock of the second of two `sources` is ahead of the first's.
    pub(crate) skew: BTreeMap<(u16, u16), i64>,
}

/// A pod as an observer knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownPod {
    /// `metadata.uid`.
    pub(crate) uid: String,
    /// `metadata.resourceVersion`.
    pub(crate) version: u64,
    /// `metadata.namespace`.
    pub(crate) namespace: String,
    /// `metadata.name`.
    pub(crate) name: String,
    /// Kind and name of the top owner, where it is known.
    pub(crate) owner: Option<(String, String)>,
    /// `spec.nodeName`.
    pub(crate) node: String,
    /// JSON, reduced to what identity needs.
    pub(crate) object: String,
}

/// That a pod held an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tenure {
    pub(crate) address: IpAddr,
    /// Its uid; empty for the observer's own node.
    pub(crate) pod: String,
    pub(crate) since: Timestamp,
    /// `None` where it still does.
    pub(crate) until: Option<Timestamp>,
}

impl Log {
    /// The observer of a name, which is new if nobody has it. `grain` is its [`capture::Settings::grain`] in nanoseconds.
    pub(crate) fn observer(&mut self, name: &str, kind: Kind, node: &str, grain: i64) -> anyhow::Result<ObserverId> {
        self.change(|writer| writer.observer(name, kind, node, grain))
    }

    /// Whether captures are in the log, whatever else decided what was read of them: a name behind `+`.
    pub(crate) fn has_capture(&self, name: &str) -> anyhow::Result<bool> {
        let files = name.split('+').next().unwrap_or(name);
        let text = "SELECT count(*) FROM observer WHERE name = ?1 OR substr(name, 1, length(?1) + 1) = ?1 || '+'";
        Ok(self.connection.query_row(text, [files], |row| row.get::<_, i64>(0))? > 0)
    }

    /// Adds captures and their observer: all of it, or nothing.
    pub(crate) fn append_capture(&mut self, name: &str, grain: i64, batch: &Batch) -> anyhow::Result<i64> {
        self.change(|writer| {
            let observer = writer.observer(name, Kind::Capture, "", grain)?;
            writer.append(observer, batch)
        })
    }

    /// Adds a flush: all of it is in the log, or nothing. Returns its number.
    pub(crate) fn append(&mut self, observer: ObserverId, batch: &Batch) -> anyhow::Result<i64> {
        self.change(|writer| writer.append(observer, batch))
    }

    /// Counts what an earlier run of a recorder left pending, as it was: that run comes to no other end.
    pub(crate) fn adopt(&mut self, observer: ObserverId) -> anyhow::Result<()> {
        self.change(|writer| {
            let left = writer.rows(&PENDING, observer)?;
            for row in &left {
                writer.put(&FLOW, row, Mode::Add)?;
            }
            writer.clear(&PENDING, observer)?;
            writer.flushed(observer).map(drop)
        })
    }

    /// Runs `write` in a transaction: all that it puts is there afterwards, or nothing.
    pub(super) fn change<T>(&mut self, write: impl FnOnce(&mut Writer<'_>) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let run = || {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let seals = Seals::read(&transaction)?;
            let mut writer = Writer { transaction, seals };
            let done = write(&mut writer)?;
            writer.seals.write(&writer.transaction)?;
            writer.transaction.commit()?;
            anyhow::Ok(done)
        };
        run().map_err(tell).with_context(|| self.path.display().to_string())
    }
}

/// A log in the middle of a change.
pub(super) struct Writer<'a> {
    transaction: Transaction<'a>,
    seals: Seals,
}

impl Writer<'_> {
    fn observer(&mut self, name: &str, kind: Kind, node: &str, grain: i64) -> anyhow::Result<ObserverId> {
        let known = self.transaction.query_row("SELECT id FROM observer WHERE name = ?1", [name], |row| row.get(0));
        if let Some(id) = known.optional()? {
            return Ok(ObserverId(id));
        }
        let text = "SELECT coalesce(max(id), 0) + 1 FROM observer";
        let id: i64 = self.transaction.query_row(text, [], |row| row.get(0))?;
        let texts = [name, kind.name(), node].map(|text| Value::Text(text.to_string()));
        let numbers = [grain, 0].map(Value::Integer);
        let row: Vec<Value> = [Value::Integer(id)].into_iter().chain(texts).chain(numbers).collect();
        self.put(&OBSERVER, &row, Mode::Join)?;
        Ok(ObserverId(id))
    }

    fn append(&mut self, observer: ObserverId, batch: &Batch) -> anyhow::Result<i64> {
        let id = Value::Integer(observer.0);
        let with = |columns: Vec<Value>| [vec![id.clone()], columns].concat();
        for (stretch, flow) in &batch.counted {
            self.put(&FLOW, &with(row::counted(flow, *stretch)), Mode::Add)?;
        }
        for flow in &batch.alone {
            self.put(&FLOW, &with(row::alone(flow)), Mode::Add)?;
        }
        self.clear(&PENDING, observer)?;
        for (stretch, flow) in &batch.pending {
            self.put(&PENDING, &with(row::counted(flow, *stretch)), Mode::Add)?;
        }
        let text = |text: &str| Value::Text(text.to_string());
        for pod in &batch.pods {
            let (kind, name) = pod.owner.as_ref().map_or(("", ""), |(kind, name)| (kind, name));
            let version = Value::Integer(i64::try_from(pod.version).unwrap_or(i64::MAX));
            let rest = [&*pod.namespace, &*pod.name, kind, name, &*pod.node, &*pod.object].map(text);
            self.put(&POD, &with([vec![text(&pod.uid), version], rest.to_vec()].concat()), Mode::Join)?;
        }
        for Tenure { address, pod, since, until } in &batch.tenures {
            let until = until.map_or(Value::Null, |until| Value::Integer(until.0));
            let columns = vec![text(&address.to_string()), text(pod), Value::Integer(since.0), until];
            self.put(&TENURE, &with(columns), Mode::Join)?;
        }
        for (range, connections) in &batch.folded {
            let count = Value::Integer(i64::try_from(*connections).unwrap_or(i64::MAX));
            self.put(&FOLD, &with(vec![text(&range.to_string()), count]), Mode::Add)?;
        }
        for (address, name, asker) in &batch.names {
            let columns = vec![text(&address.to_string()), text(name), text(&asker.to_string())];
            self.put(&NAME, &with(columns), Mode::Join)?;
        }
        for source in &batch.sources {
            coverage::put_source(self, observer, source)?;
        }
        coverage::put_tally(self, observer, &batch.tally, batch.unnamed)?;
        for ((one, two), ahead) in &batch.skew {
            let keys = [one, two].map(|at| batch.sources.get(usize::from(*at)).map(coverage::key));
            let [Some(one), Some(two)] = keys else { continue };
            let (one, two, ahead) = if one <= two { (one, two, *ahead) } else { (two, one, -ahead) };
            self.put(&SKEW, &with(vec![text(&one), text(&two), Value::Integer(ahead)]), Mode::Join)?;
        }
        self.flushed(observer)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.transaction
    }

    /// Puts a row into a table, together with what is there under its key.
    pub(super) fn put(&mut self, table: &Table, row: &[Value], mode: Mode) -> anyhow::Result<()> {
        let (key, values) = row.split_at(table.keys());
        let known = {
            let mut statement = self.transaction.prepare_cached(&table.select_one())?;
            statement
                .query_row(params_from_iter(key), |row| {
                    (0..values.len()).map(|at| row.get(at)).collect::<Result<Vec<Value>, _>>()
                })
                .optional()?
        };
        let combined = match &known {
            None => values.to_vec(),
            Some(known) => table.combine(known, values, mode),
        };
        if known.as_ref() == Some(&combined) {
            return Ok(());
        }
        let sum = |values: &[Value]| checksum(table, key.iter().chain(values).map(ValueRef::from));
        if let Some(known) = &known {
            self.seals.remove(table, sum(known));
        }
        self.seals.add(table, sum(&combined));
        let mut statement = self.transaction.prepare_cached(&table.replace())?;
        statement.execute(params_from_iter(key.iter().chain(&combined)))?;
        Ok(())
    }

    /// An observer's rows of a table.
    fn rows(&self, table: &Table, observer: ObserverId) -> anyhow::Result<Vec<Vec<Value>>> {
        let mut statement = self.transaction.prepare_cached(&table.select_of())?;
        let row = |row: &rusqlite::Row<'_>| (0..table.columns.len()).map(|at| row.get(at)).collect();
        let rows = statement.query_map([observer.0], row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Takes an observer's rows out of a table.
    pub(super) fn clear(&mut self, table: &Table, observer: ObserverId) -> anyhow::Result<()> {
        self.remove(table, "observer = ?1", &[Value::Integer(observer.0)]).map(drop)
    }

    /// Takes the rows out of a table that a condition holds for; how many there were.
    pub(super) fn remove(&mut self, table: &Table, condition: &str, values: &[Value]) -> anyhow::Result<usize> {
        let mut statement = self.transaction.prepare_cached(&table.select_where(condition))?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            let values = (0..table.columns.len()).map(|at| row.get_ref(at)).collect::<Result<Vec<_>, _>>()?;
            self.seals.remove(table, checksum(table, values.into_iter()));
        }
        drop(rows);
        let text = format!("DELETE FROM {} WHERE {condition}", table.name);
        Ok(self.transaction.prepare_cached(&text)?.execute(params_from_iter(values))?)
    }

    /// Counts a flush; its number.
    fn flushed(&mut self, observer: ObserverId) -> anyhow::Result<i64> {
        let text = "SELECT id, name, kind, node, grain, flush + 1 FROM observer WHERE id = ?1";
        let row: Vec<Value> = self
            .transaction
            .prepare_cached(text)?
            .query_row([observer.0], |row| (0..6).map(|at| row.get(at)).collect::<Result<_, _>>())?;
        self.put(&OBSERVER, &row, Mode::Join)?;
        match row.last() {
            Some(Value::Integer(flush)) => Ok(*flush),
            _ => Ok(0),
        }
    }
}
