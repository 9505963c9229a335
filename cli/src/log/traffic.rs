//! A log as traffic: what capture files would have given.

use std::collections::BTreeMap;

use anyhow::Context;
use capture::{Timestamp, Tracked, rows};
use synth::inventory::Inventory;
use synth::observers::{Observer, Row, reconcile};

use super::open::tell;
use super::read::Watcher;
use super::{Kind, Log, coverage};
use crate::args::Window;
use crate::input::Traffic;
use crate::source::Source;

/// Rows that are partly before `--since`, or partly behind `--until`.
#[derive(Debug, Default)]
struct Straddling {
    rows: u64,
    conversations: u64,
}

impl Log {
    /// All that was seen in the time that was asked for. Rows that are partly outside count in full: nobody can tell their
    /// conversations apart.
    pub(crate) fn traffic(&self, inventory: &Inventory, asked: &Window) -> anyhow::Result<Traffic> {
        self.read_traffic(inventory, asked).map_err(tell).with_context(|| self.path.display().to_string())
    }

    fn read_traffic(&self, inventory: &Inventory, asked: &Window) -> anyhow::Result<Traffic> {
        let watchers = self.watchers()?;
        let index: BTreeMap<_, usize> = watchers.iter().enumerate().map(|(at, watcher)| (watcher.id, at)).collect();
        let (since, until) = (asked.since.unwrap_or(Timestamp::MIN), asked.until.unwrap_or(Timestamp::MAX));
        let mut straddling = Straddling::default();
        let mut found = Vec::new();
        self.flows(|recorded| {
            let flow = recorded.flow;
            if flow.last < since || flow.first >= until {
                return;
            }
            if flow.first < since || flow.last >= until {
                straddling.rows += 1;
                straddling.conversations += flow.connections;
            }
            let observer = index.get(&super::ObserverId(recorded.observer)).copied().unwrap_or_default();
            found.push(Row { observer, alone: recorded.alone, flow });
        })?;
        let observers: Vec<Observer> = watchers.iter().map(observer).collect();
        let found = reconcile(found, &observers, inventory);
        let (alone, counted): (Vec<Row>, Vec<Row>) = found.into_iter().partition(|row| row.alone);
        let mut flows = rows::join(counted.into_iter().map(|row| row.flow), &inventory.moments());
        flows.extend(alone.into_iter().map(|row| row.flow));
        flows.sort_unstable();
        let (tally, unnamed) = coverage::tally(&self.connection)?;
        let names = self.names(unnamed)?;
        let skew = self.skew(&watchers)?;
        let only_captures = watchers.iter().all(|watcher| watcher.kind == Kind::Capture.name());
        // Agents say which node they watch; of others, that pods were watched is assumed.
        let agents = !watchers.is_empty() && watchers.iter().all(|watcher| !watcher.node.is_empty());
        let nodes = agents.then(|| watchers.iter().map(|watcher| watcher.node.clone()).collect());
        let sources = watchers.into_iter().flat_map(named).collect();
        Ok(Traffic {
            tracked: Tracked { flows, rows: Vec::new(), names, tally, skew },
            sources,
            only_captures,
            nodes,
            folded: self.folded()?,
            straddling: (straddling.rows > 0).then_some((straddling.rows, straddling.conversations)),
        })
    }

    /// Differences of clocks by the places of sources among all of them.
    fn skew(&self, watchers: &[Watcher]) -> anyhow::Result<BTreeMap<(u16, u16), i64>> {
        let mut places = BTreeMap::new();
        let all = watchers.iter().flat_map(|watcher| watcher.sources.iter().map(move |source| (watcher.id, source)));
        for (place, (observer, source)) in all.enumerate() {
            places.insert((observer, coverage::key(source)), place as u16);
        }
        let mut skew = BTreeMap::new();
        for (observer, [one, two], ahead) in self.skews()? {
            let (one, two) = (places.get(&(observer, one)), places.get(&(observer, two)));
            match (one, two) {
                (Some(one), Some(two)) if one <= two => skew.insert((*one, *two), ahead),
                (Some(one), Some(two)) => skew.insert((*two, *one), -ahead),
                _ => None,
            };
        }
        Ok(skew)
    }
}

fn observer(watcher: &Watcher) -> Observer {
    Observer {
        name: watcher.name.clone(),
        tenures: watcher.tenures.clone(),
        spans: watcher.sources.iter().filter_map(|source| source.span).collect(),
    }
}

/// The sources of an observer under names that tell them from those of others.
fn named(watcher: Watcher) -> impl Iterator<Item = Source> {
    let is_capture = watcher.kind == Kind::Capture.name();
    watcher.sources.into_iter().map(move |mut source| {
        if !is_capture {
            source.name = format!("{} {}", watcher.name, source.name);
        }
        source
    })
}
