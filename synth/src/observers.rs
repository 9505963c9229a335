//! Several observers' flows to the flows of one: what two of them saw counts once.
//!
//! A client's connections count at the observer that held the client then; where none did, at the one that held the server;
//! else at the first by name. What another saw is left out only where that one watched, and saw the same client use the
//! same server at all: an edge that one observer alone saw is never lost.

mod services;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use capture::time::SECOND;
use capture::{Flow, Opening, Outcome, Protocol, Socket, Timestamp};

use crate::inventory::Inventory;

/// Clocks of two observers are at most this far apart, in nanoseconds.
const APART: i64 = 2 * SECOND;

/// Somebody who watched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observer {
    /// Its name.
    pub name: String,
    /// Which addresses its pods, or its own node, held from when (inclusive) until when (exclusive; `None`: still).
    pub tenures: HashMap<IpAddr, Vec<(Timestamp, Option<Timestamp>)>>,
    /// When it watched.
    pub spans: Vec<(Timestamp, Timestamp)>,
}

impl Observer {
    fn held(&self, ip: IpAddr, time: Timestamp) -> bool {
        let held = |(from, to): &(Timestamp, Option<Timestamp>)| *from <= time && to.is_none_or(|to| time < to);
        self.tenures.get(&ip).is_some_and(|tenures| tenures.iter().any(held))
    }

    /// Whether it watched while the conversations of a flow began.
    fn watched(&self, flow: &Flow) -> bool {
        let holds =
            |(from, to): &(Timestamp, Timestamp)| from.plus(-APART) <= flow.first && flow.newest <= to.plus(APART);
        self.spans.iter().any(holds)
    }
}

/// Flows of one observer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Index of the observer.
    pub observer: usize,
    /// Whether other rows may be views of the same conversation, so that it is to be kept as it is.
    pub alone: bool,
    /// One conversation, or several alike within a stretch of time: [`Opening::Seen`] of the first, or
    /// [`Opening::Unseen`].
    pub flow: Flow,
}

/// What a client was seen doing with a server; of conversations that nobody saw opening, both sockets.
type Group = (Protocol, IpAddr, Option<u16>, Socket);

/// How much an outcome says. What worked hides no attempts, and no attempt hides what worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Worked,
    Failed,
    /// The observer could not have seen the answer, or saw none where nobody can know.
    Vague,
}

fn class(outcome: Outcome) -> Class {
    match outcome {
        Outcome::Established | Outcome::Answered => Class::Worked,
        Outcome::Refused | Outcome::Unanswered => Class::Failed,
        Outcome::OneWay | Outcome::Unknown => Class::Vague,
    }
}

fn group(flow: &Flow) -> Group {
    match &flow.opening {
        Opening::Seen { client: Socket { ip: client, .. }, dialled, served, .. }
        | Opening::Alike { client, dialled, served, .. } => (flow.protocol, *client, None, served.unwrap_or(*dialled)),
        Opening::Unseen { sides: [low, high] } => (flow.protocol, low.socket.ip, Some(low.socket.port), high.socket),
    }
}

/// The rows that count, in the order of `rows`. Rows of one observer alone stay as they are.
pub fn reconcile(mut rows: Vec<Row>, observers: &[Observer], inventory: &Inventory) -> Vec<Row> {
    let involved: BTreeSet<usize> = rows.iter().map(|row| row.observer).collect();
    if involved.len() < 2 {
        return rows;
    }
    services::pair(&mut rows, inventory);
    services::translate(&mut rows, observers, inventory);
    let mut groups: BTreeMap<Group, Vec<usize>> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        groups.entry(group(&row.flow)).or_default().push(index);
    }
    let mut by_name: Vec<usize> = involved.into_iter().collect();
    by_name.sort_by(|a, b| observers[*a].name.cmp(&observers[*b].name));
    let keeps: Vec<bool> = rows
        .iter()
        .map(|row| {
            let key = group(&row.flow);
            let others = || groups[&key].iter().map(|index| &rows[*index]);
            !is_known_better(row, &rows, &groups, observers)
                && !is_counted_elsewhere(row, key, others, &by_name, observers)
        })
        .collect();
    let mut keeps = keeps.into_iter();
    rows.retain(|_| keeps.next() == Some(true));
    rows
}

/// Whether the preferred observer is another one.
fn is_counted_elsewhere<'a, I: Iterator<Item = &'a Row>>(
    row: &Row,
    (_, client, _, server): Group,
    others: impl Fn() -> I,
    by_name: &[usize],
    observers: &[Observer],
) -> bool {
    let flow = &row.flow;
    let saw: BTreeSet<usize> =
        others().filter(|other| class(other.flow.outcome) == class(flow.outcome)).map(|other| other.observer).collect();
    let all = || by_name.iter().copied();
    let of_client = all().filter(|index| observers[*index].held(client, flow.first));
    let of_server = all().filter(|index| observers[*index].held(server.ip, flow.first));
    let counts = |index: &usize| *index == row.observer || saw.contains(index) && observers[*index].watched(flow);
    of_client.chain(of_server).chain(all()).find(counts) != Some(row.observer)
}

/// Whether another observer saw how it went, or how it began.
fn is_known_better(row: &Row, rows: &[Row], groups: &BTreeMap<Group, Vec<usize>>, observers: &[Observer]) -> bool {
    let flow = &row.flow;
    let others = |key: Group| {
        let found = groups.get(&key).into_iter().flatten().map(|index| &rows[*index]);
        found.filter(|other| other.observer != row.observer)
    };
    if let Opening::Unseen { sides: [low, high] } = &flow.opening {
        return [(low.socket, high.socket), (high.socket, low.socket)].into_iter().any(|(client, server)| {
            others((flow.protocol, client.ip, None, server)).any(|other| {
                let same_port = match &other.flow.opening {
                    Opening::Seen { client: seen, .. } => !other.alone || seen.port == client.port,
                    _ => false,
                };
                let overlaps = other.flow.first <= flow.last.plus(APART) && flow.first <= other.flow.last.plus(APART);
                class(other.flow.outcome) == Class::Worked && same_port && overlaps
            })
        });
    }
    class(flow.outcome) == Class::Vague
        && others(group(flow))
            .any(|other| class(other.flow.outcome) != Class::Vague && observers[other.observer].watched(flow))
}

#[cfg(test)]
mod tests;
