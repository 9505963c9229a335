//! The tables of the log, and how two rows with one key become one.

use rusqlite::types::Value;

use super::column;

/// How a column behaves where a row with the same key is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Part of the key, which comes first.
    Key,
    /// A number: what a flush brings is added, of two logs the larger counts.
    Count,
    /// The larger; NULL is the smallest.
    Max,
    /// The smaller; NULL and '' are the largest.
    Min,
    /// Bits of either.
    Or,
    /// [`column::bins`]: those of either.
    Bins,
    /// [`column::histogram`]: each value's count as [`Rule::Count`].
    Histogram,
    /// With its neighbours of the same rule: the smaller row of them.
    Earliest,
    /// With its neighbours of the same rule: the larger row of them.
    Latest,
}

/// What brings two rows together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// One tells what came after the other.
    Add,
    /// Both tell the same, one maybe earlier.
    Join,
}

/// A table and its columns, in the order of `schema.sql`.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [(&'static str, Rule)],
}

use Rule::{Bins, Count, Earliest, Histogram, Key, Latest, Max, Min, Or};

/// Columns of [`FLOW`] and [`PENDING`].
const FLOW_COLUMNS: &[(&str, Rule)] = &[
    ("observer", Key),
    ("client", Key),
    ("client_port", Key),
    ("dialled", Key),
    ("dialled_port", Key),
    ("served", Key),
    ("served_port", Key),
    ("protocol", Key),
    ("outcome", Key),
    ("opened", Key),
    ("dns", Key),
    ("translated", Key),
    ("alone", Key),
    ("identity", Key),
    ("stretch", Key),
    ("connections", Count),
    ("datagrams", Count),
    ("first", Earliest),
    ("first_port", Earliest),
    ("first_identity", Earliest),
    ("last", Max),
    ("newest", Max),
    ("minutes", Or),
    ("activity", Bins),
    ("talks", Or),
    ("speech", Or),
    ("latency", Histogram),
];

pub(super) const OBSERVER: Table = Table {
    name: "observer",
    columns: &[("id", Key), ("name", Max), ("kind", Max), ("node", Max), ("grain", Max), ("flush", Max)],
};
pub(super) const FLOW: Table = Table { name: "flow", columns: FLOW_COLUMNS };
pub(super) const PENDING: Table = Table { name: "pending", columns: FLOW_COLUMNS };
pub(super) const POD: Table = Table {
    name: "pod",
    columns: &[
        ("observer", Key),
        ("uid", Key),
        ("version", Latest),
        ("namespace", Latest),
        ("name", Latest),
        ("owner_kind", Latest),
        ("owner_name", Latest),
        ("node", Latest),
        ("object", Latest),
    ],
};
pub(super) const TENURE: Table = Table {
    name: "tenure",
    columns: &[("observer", Key), ("address", Key), ("pod", Key), ("since", Key), ("until", Max)],
};
pub(super) const FOLD: Table =
    Table { name: "fold", columns: &[("observer", Key), ("range", Key), ("connections", Count)] };
pub(super) const NAME: Table =
    Table { name: "name", columns: &[("observer", Key), ("address", Key), ("name", Key), ("asker", Key)] };
pub(super) const COVERAGE: Table = Table {
    name: "coverage",
    columns: &[
        ("observer", Key),
        ("source", Key),
        ("run", Key),
        ("name", Min),
        ("position", Min),
        ("started", Min),
        ("until", Max),
        ("frames", Count),
        ("damaged", Count),
        ("first_damaged", Min),
        ("damage", Min),
    ],
};
pub(super) const INTERFACE: Table = Table {
    name: "interface",
    columns: &[
        ("observer", Key),
        ("source", Key),
        ("run", Key),
        ("number", Key),
        ("name", Max),
        ("link", Max),
        ("frames", Count),
        ("received", Count),
        ("accepted", Count),
        ("lost_by_interface", Count),
        ("lost_by_system", Count),
    ],
};
pub(super) const TALLY: Table =
    Table { name: "tally", columns: &[("observer", Key), ("counter", Key), ("count", Count)] };
pub(super) const SKEW: Table =
    Table { name: "skew", columns: &[("observer", Key), ("one", Key), ("two", Key), ("ahead", Max)] };

/// All tables but the seal; observers first, because the others name them.
pub(super) const TABLES: [&Table; 11] =
    [&OBSERVER, &FLOW, &PENDING, &POD, &TENURE, &FOLD, &NAME, &COVERAGE, &INTERFACE, &TALLY, &SKEW];

impl Table {
    /// How many columns the key has.
    pub(super) fn keys(&self) -> usize {
        self.columns.iter().take_while(|(_, rule)| *rule == Key).count()
    }

    /// `"client", "dialled"`, of some columns.
    fn names(columns: &[(&str, Rule)]) -> String {
        columns.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
    }

    /// The row of a key.
    pub(super) fn select_one(&self) -> String {
        let (keys, values) = self.columns.split_at(self.keys());
        let tests: Vec<String> =
            keys.iter().enumerate().map(|(at, (name, _))| format!("\"{name}\" = ?{}", at + 1)).collect();
        // A table of keys alone has no values to ask for.
        let asked = if values.is_empty() { "1".to_string() } else { Table::names(values) };
        format!("SELECT {asked} FROM {} WHERE {}", self.name, tests.join(" AND "))
    }

    /// All rows in the order of their keys.
    pub(super) fn select_all(&self) -> String {
        let keys = Table::names(&self.columns[..self.keys()]);
        format!("SELECT {} FROM {} ORDER BY {keys}", Table::names(self.columns), self.name)
    }

    /// Those of one observer, in the order of their keys.
    pub(super) fn select_of(&self) -> String {
        let keys = Table::names(&self.columns[..self.keys()]);
        format!("{} ORDER BY {keys}", self.select_where("observer = ?1"))
    }

    /// Those that a condition holds for, in any order.
    pub(super) fn select_where(&self, condition: &str) -> String {
        format!("SELECT {} FROM {} WHERE {condition}", Table::names(self.columns), self.name)
    }

    /// Writes a row, in place of one with its key.
    pub(super) fn replace(&self) -> String {
        let marks: Vec<String> = (1..=self.columns.len()).map(|at| format!("?{at}")).collect();
        format!("INSERT OR REPLACE INTO {} ({}) VALUES ({})", self.name, Table::names(self.columns), marks.join(", "))
    }

    /// Brings the values of two rows with one key together; both without the key.
    pub(super) fn combine(&self, known: &[Value], new: &[Value], mode: Mode) -> Vec<Value> {
        let rules: Vec<Rule> = self.columns[self.keys()..].iter().map(|(_, rule)| *rule).collect();
        let mut combined = Vec::with_capacity(known.len());
        while combined.len() < known.len() {
            let at = combined.len();
            let rule = rules[at];
            let group = match rule {
                Earliest | Latest => rules[at..].iter().take_while(|next| **next == rule).count(),
                _ => 1,
            };
            let (one, two) = (&known[at..at + group], &new[at..at + group]);
            match rule {
                Earliest | Latest => {
                    let takes_new = column::compare(two, one).is_lt() == (rule == Earliest);
                    combined.extend_from_slice(if takes_new { two } else { one });
                }
                Count => combined.push(column::count(&one[0], &two[0], mode)),
                Max => combined.push(column::larger(&one[0], &two[0])),
                Min => combined.push(column::smaller(&one[0], &two[0])),
                Or => combined.push(column::or(&one[0], &two[0])),
                Bins => combined.push(column::bins(&one[0], &two[0])),
                Histogram => combined.push(column::histogram(&one[0], &two[0], mode)),
                Key => {}
            }
        }
        combined
    }
}
