//! What a log holds.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use capture::{Names, Timestamp};
use ipnet::IpNet;
use synth::manifest::ObservedPod;

use super::row::{self, Recorded};
use super::table::{FLOW, PENDING, Table};
use super::{Log, ObserverId, coverage, damaged};
use crate::source::Source;

/// An observer and what it watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watcher {
    pub(crate) id: ObserverId,
    pub(crate) name: String,
    /// [`super::Kind::name`].
    pub(crate) kind: String,
    /// The node it watched, or nothing.
    pub(crate) node: String,
    /// In their order.
    pub(crate) sources: Vec<Source>,
    /// By address: from when, until when.
    pub(crate) tenures: HashMap<IpAddr, Vec<(Timestamp, Option<Timestamp>)>>,
}

/// Address, uid of the pod, from when and until when.
type Held = (IpAddr, String, Timestamp, Option<Timestamp>);

impl Log {
    /// All observers by name.
    pub(crate) fn watchers(&self) -> anyhow::Result<Vec<Watcher>> {
        let mut statement = self.connection.prepare("SELECT id, name, kind, node FROM observer ORDER BY name")?;
        let mut rows = statement.query([])?;
        let mut watchers = Vec::new();
        while let Some(row) = rows.next()? {
            let id = ObserverId(row.get(0)?);
            let mut tenures: HashMap<_, Vec<_>> = HashMap::new();
            for (address, _, since, until) in self.tenures(id)? {
                tenures.entry(address).or_default().push((since, until));
            }
            watchers.push(Watcher {
                id,
                name: row.get(1)?,
                kind: row.get(2)?,
                node: row.get(3)?,
                sources: coverage::sources(&self.connection, id)?,
                tenures,
            });
        }
        Ok(watchers)
    }

    /// Who held what at an observer, by address and time. What it knew of no end of ended at the latest when somebody else
    /// held the address: an agent that starts anew is not told of what went meanwhile.
    fn tenures(&self, observer: ObserverId) -> anyhow::Result<Vec<Held>> {
        let text = "SELECT address, pod, since, until FROM tenure WHERE observer = ?1 ORDER BY address, since, pod";
        let mut statement = self.connection.prepare_cached(text)?;
        let mut rows = statement.query([observer.0])?;
        let mut tenures = Vec::new();
        while let Some(row) = rows.next()? {
            let address = address(row.get_ref(0)?.as_str()?)?;
            let until = row.get::<_, Option<i64>>(3)?.map(Timestamp);
            tenures.push((address, row.get(1)?, Timestamp(row.get(2)?), until));
        }
        end_replaced(&mut tenures);
        Ok(tenures)
    }

    /// The pods that observers knew, each as often as observers knew it.
    pub(crate) fn pods(&self) -> anyhow::Result<Vec<ObservedPod>> {
        let mut held: BTreeMap<(ObserverId, String), Vec<_>> = BTreeMap::new();
        for watcher in self.watchers()? {
            for (address, pod, since, until) in self.tenures(watcher.id)? {
                held.entry((watcher.id, pod)).or_default().push((address, since, until));
            }
        }
        let mut statement = self
            .connection
            .prepare("SELECT observer, uid, owner_kind, owner_name, object FROM pod ORDER BY uid, observer")?;
        let mut rows = statement.query([])?;
        let mut pods = Vec::new();
        while let Some(row) = rows.next()? {
            let (kind, name): (String, String) = (row.get(2)?, row.get(3)?);
            let key = (ObserverId(row.get(0)?), row.get(1)?);
            pods.push(ObservedPod {
                object: row.get(4)?,
                owner: (!kind.is_empty()).then_some((kind, name)),
                tenures: held.remove(&key).unwrap_or_default(),
            });
        }
        Ok(pods)
    }

    /// Hands over all flows, pending attempts too, one after the other in the order of their keys.
    pub(super) fn flows(&self, mut take: impl FnMut(Recorded)) -> anyhow::Result<()> {
        let mut all = |table: &Table| -> anyhow::Result<()> {
            let mut statement = self.connection.prepare(&table.select_all())?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                take(row::read(row)?);
            }
            Ok(())
        };
        all(&FLOW)?;
        all(&PENDING)
    }

    /// Ranges that stand for outside addresses, and how many conversations of all observers are written so.
    pub(crate) fn folded(&self) -> anyhow::Result<BTreeMap<IpNet, u64>> {
        let mut statement = self.connection.prepare("SELECT range, sum(connections) FROM fold GROUP BY range")?;
        let mut rows = statement.query([])?;
        let mut folded = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let text = row.get_ref(0)?.as_str()?;
            let range = text.parse().map_err(|_| damaged(&format!("{text:?} is no range")))?;
            folded.insert(range, row.get::<_, i64>(1)? as u64);
        }
        Ok(folded)
    }

    /// The names of all observers.
    pub(super) fn names(&self, unnamed: u64) -> anyhow::Result<Names> {
        let mut names = Names::default();
        let mut statement =
            self.connection.prepare("SELECT DISTINCT address, name, asker FROM name ORDER BY address, name, asker")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (of, asker) = (address(row.get_ref(0)?.as_str()?)?, address(row.get_ref(2)?.as_str()?)?);
            names.insert(of, row.get_ref(1)?.as_str()?, asker);
        }
        names.leave_out(unnamed);
        Ok(names)
    }

    /// Observer, two of its sources as [`coverage::key`] names them, and how far the second's clock is ahead.
    pub(super) fn skews(&self) -> anyhow::Result<Vec<(ObserverId, [String; 2], i64)>> {
        let mut statement = self.connection.prepare("SELECT observer, one, two, ahead FROM skew ORDER BY 1, 2, 3")?;
        let rows =
            statement.query_map([], |row| Ok((ObserverId(row.get(0)?), [row.get(1)?, row.get(2)?], row.get(3)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Gives those without an end the start of the next holder of the address; they come by address and time. A node holds its
/// own addresses beside whoever else does.
fn end_replaced(tenures: &mut [Held]) {
    for at in 0..tenures.len() {
        let (before, behind) = tenures.split_at_mut(at + 1);
        let Some((address, pod, since, until @ None)) = before.last_mut() else { continue };
        let others = behind.iter().take_while(|(of, ..)| of == address);
        let mut later = others.filter(|(_, other, from, _)| !other.is_empty() && other != pod && from > since);
        if !pod.is_empty() {
            *until = later.next().map(|(.., from, _)| *from);
        }
    }
}

fn address(text: &str) -> anyhow::Result<IpAddr> {
    text.parse().map_err(|_| damaged(&format!("{text:?} is no address")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_holder_ends_what_has_no_end() {
        // Pod, from when and until when, 0 for no end; what is shown.
        type Row = (&'static str, &'static [(&'static str, i64, i64)], &'static [i64]);
        let rows: [Row; 7] = [
            ("a lone holder stays", &[("a", 1, 0)], &[0]),
            ("the next one ends it", &[("a", 1, 0), ("b", 5, 0)], &[5, 0]),
            ("an end that is known is believed", &[("a", 1, 7), ("b", 5, 0)], &[7, 0]),
            ("the next one of several", &[("a", 1, 0), ("b", 5, 6), ("c", 8, 0)], &[5, 6, 0]),
            ("a pod does not end itself", &[("a", 1, 0), ("a", 5, 0)], &[0, 0]),
            ("of two at once nobody knows", &[("a", 1, 0), ("b", 1, 0)], &[0, 0]),
            ("a node is no holder of its own", &[("", 1, 0), ("a", 3, 0), ("", 5, 0)], &[0, 0, 0]),
        ];
        let time = |time: i64| (time > 0).then_some(Timestamp(time));
        for (shows, held, expected) in rows {
            let [here, there] = ["10.0.0.1", "10.0.0.2"].map(|text| address(text).unwrap());
            let held = held.iter().map(|(pod, since, until)| (here, pod.to_string(), Timestamp(*since), time(*until)));
            // What happens to other addresses is nothing to it.
            let other = (there, "z".to_string(), Timestamp(9), None);
            let mut tenures: Vec<Held> = held.chain([other.clone()]).collect();
            end_replaced(&mut tenures);
            assert_eq!(tenures.pop(), Some(other), "{shows}");
            let ends: Vec<Option<Timestamp>> = tenures.into_iter().map(|(.., until)| until).collect();
            assert_eq!(ends, expected.iter().map(|end| time(*end)).collect::<Vec<_>>(), "{shows}");
        }
    }
}
