//! Checksums of rows, so that a log that a disk or a copy changed is refused.
//!
//! SQLite notices a page that cannot be one, but not a digit of an address that became another. The checksums of a table's
//! rows are added up, so that a change of one row costs no look at the others.

use std::collections::BTreeMap;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use super::damaged;
use super::table::{TABLES, Table};

/// Rows of a table and the sum of their checksums, modulo 2^64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sum {
    rows: i64,
    sum: u64,
}

/// The seals of all tables, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seals(BTreeMap<&'static str, Sum>);

/// FNV-1a of 64 bits over the table's name and, for each value, its type, length and bytes; then mixed as in SplitMix64,
/// because sums need the upper bits to differ.
pub(super) fn checksum<'a>(table: &Table, values: impl Iterator<Item = ValueRef<'a>>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut take = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    take(table.name.as_bytes());
    for value in values {
        match value {
            ValueRef::Null => take(&[0]),
            ValueRef::Integer(number) => {
                take(&[1]);
                take(&number.to_le_bytes());
            }
            ValueRef::Real(number) => {
                take(&[2]);
                take(&number.to_le_bytes());
            }
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                take(&[3]);
                take(&(bytes.len() as u64).to_le_bytes());
                take(bytes);
            }
        }
    }
    let mut mixed = hash;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

impl Seals {
    /// Of tables without rows.
    pub(super) fn empty() -> Seals {
        Seals(TABLES.iter().map(|table| (table.name, Sum::default())).collect())
    }

    /// Those that the log holds.
    pub(super) fn read(connection: &Connection) -> anyhow::Result<Seals> {
        let mut seals = Seals::empty();
        let mut statement = connection.prepare_cached("SELECT \"table\", rows, sum FROM seal")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let seal = seals.0.get_mut(name.as_str()).ok_or_else(|| damaged("a seal of an unknown table"))?;
            *seal = Sum { rows: row.get(1)?, sum: row.get::<_, i64>(2)? as u64 };
        }
        Ok(seals)
    }

    /// Writes them into the log.
    pub(super) fn write(&self, connection: &Connection) -> anyhow::Result<()> {
        let mut statement = connection.prepare_cached("INSERT OR REPLACE INTO seal VALUES (?1, ?2, ?3)")?;
        for (name, Sum { rows, sum }) in &self.0 {
            statement.execute(params![name, rows, *sum as i64])?;
        }
        Ok(())
    }

    /// Notes a row that came.
    pub(super) fn add(&mut self, table: &Table, checksum: u64) {
        let seal = self.0.entry(table.name).or_default();
        *seal = Sum { rows: seal.rows + 1, sum: seal.sum.wrapping_add(checksum) };
    }

    /// Notes a row that went.
    pub(super) fn remove(&mut self, table: &Table, checksum: u64) {
        let seal = self.0.entry(table.name).or_default();
        *seal = Sum { rows: seal.rows - 1, sum: seal.sum.wrapping_sub(checksum) };
    }

    /// Reads all rows and holds them against the seals in the log.
    pub(super) fn verify(connection: &Connection) -> anyhow::Result<()> {
        let expected = Seals::read(connection)?;
        let mut found = Seals::empty();
        for table in TABLES {
            let mut statement = connection.prepare(&table.select_all())?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let values = (0..table.columns.len()).map(|at| row.get_ref(at)).collect::<Result<Vec<_>, _>>()?;
                found.add(table, checksum(table, values.into_iter()));
            }
        }
        let differs = TABLES.iter().find(|table| expected.0[table.name] != found.0[table.name]);
        match differs {
            None => Ok(()),
            Some(table) => Err(damaged(&format!("the rows of table `{}` do not add up", table.name))),
        }
    }
}
