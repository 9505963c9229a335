//! Connections to a Service's address whose backend only somebody else saw.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use capture::{Flow, Opening, Protocol, Socket, Timestamp};

use super::{APART, Class, Observer, Row, class, group};
use crate::inventory::{Frontend, Inventory};

/// An observer's rows of one client, one dialled address and one class.
type Dialled = (Class, usize, IpAddr, Protocol, Socket);

/// Gives the rows that show a backend the address that was dialled, where another observer saw the same client dial it and
/// not the backend, and takes as many connections from the rows of that observer. What it saw beyond that stays.
///
/// A backend that it saw the client use directly is left alone: nobody can tell which connections went which way.
pub(super) fn translate(rows: &mut Vec<Row>, observers: &[Observer], inventory: &Inventory) {
    let frontend = |row: &Row| match &row.flow.opening {
        Opening::Seen { dialled, served: None, .. } => {
            inventory.frontend(dialled.ip, row.flow.protocol, dialled.port).map(|frontend| (*dialled, frontend))
        }
        _ => None,
    };
    let mut dialling: BTreeMap<Dialled, (Frontend, Vec<usize>)> = BTreeMap::new();
    let mut plain: BTreeMap<(IpAddr, Protocol), Vec<usize>> = BTreeMap::new();
    let mut seen: BTreeSet<(usize, IpAddr, Protocol, Socket)> = BTreeSet::new();
    for (index, row) in rows.iter().enumerate() {
        let (protocol, client, _, server) = group(&row.flow);
        match (frontend(row), &row.flow.opening) {
            (Some((dialled, frontend)), _) => {
                let key = (class(row.flow.outcome), row.observer, client, protocol, dialled);
                dialling.entry(key).or_insert((frontend, Vec::new())).1.push(index);
            }
            (None, Opening::Seen { served, .. }) => {
                seen.insert((row.observer, client, protocol, server));
                if served.is_none() {
                    plain.entry((client, protocol)).or_default().push(index);
                }
            }
            _ => {}
        }
    }
    // Rows that show a backend, and what was dialled; by whom they are spoken for.
    let mut translated: BTreeMap<usize, Socket> = BTreeMap::new();
    let mut spoken: BTreeSet<(usize, usize)> = BTreeSet::new();
    let mut taken: BTreeMap<usize, u64> = BTreeMap::new();
    for ((class_of, observer, client, protocol, dialled), (frontend, mut indices)) in dialling {
        indices.sort_by_key(|index| (rows[*index].flow.first, *index));
        let mut wanted: u64 = indices.iter().map(|index| rows[*index].flow.connections).sum();
        let from = indices.iter().map(|index| rows[*index].flow.first).min().unwrap_or(Timestamp::MAX).plus(-APART);
        let to = indices.iter().map(|index| rows[*index].flow.newest).max().unwrap_or(Timestamp::MIN).plus(APART);
        // By backend, how many each observer saw.
        let mut found: BTreeMap<Socket, BTreeMap<usize, u64>> = BTreeMap::new();
        for &index in plain.get(&(client, protocol)).into_iter().flatten() {
            let row = &rows[index];
            let flow = &row.flow;
            let Opening::Seen { dialled: backend, .. } = &flow.opening else { continue };
            let fits = class(flow.outcome) == class_of || class_of == Class::Vague;
            let in_time = from <= flow.newest && flow.first <= to && observers[observer].watched(flow);
            if row.observer == observer
                || !fits
                || !in_time
                || seen.contains(&(observer, client, protocol, *backend))
                || spoken.contains(&(observer, index))
                || translated.get(&index).is_some_and(|known| *known != dialled)
            {
                continue;
            }
            let backends = inventory.backends(frontend, dialled.ip.is_ipv4(), flow.first);
            let before = found.get(backend).and_then(|by| by.get(&row.observer)).copied().unwrap_or(0);
            if wanted == 0 && before == 0 || !backends.iter().any(|known| known.socket() == *backend) {
                continue;
            }
            let by = found.entry(*backend).or_default();
            let most = by.values().copied().max().unwrap_or(0);
            let now = by.entry(row.observer).or_default();
            *now += flow.connections;
            // Two observers of one backend saw the same connections.
            wanted = wanted.saturating_sub(now.saturating_sub(most));
            translated.insert(index, dialled);
            spoken.insert((observer, index));
        }
        let mut matched: u64 = found.values().filter_map(|by| by.values().max()).sum();
        for index in indices {
            let part = rows[index].flow.connections.min(matched);
            matched -= part;
            taken.insert(index, part);
        }
    }
    for (index, dialled_address) in translated {
        if let Opening::Seen { dialled, served, .. } = &mut rows[index].flow.opening {
            *served = Some(std::mem::replace(dialled, dialled_address));
        }
    }
    for (index, part) in &taken {
        rows[*index].flow.connections -= part;
    }
    let mut index = 0;
    rows.retain(|row| {
        index += 1;
        row.flow.connections > 0 || !taken.contains_key(&(index - 1))
    });
}

/// Joins the two views that one observer had of one conversation, before and after a Service's translation, so that they
/// count, or not, together.
pub(super) fn pair(rows: &mut Vec<Row>, inventory: &Inventory) {
    let mut views: BTreeMap<(usize, Protocol, Socket), Vec<usize>> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate().filter(|(_, row)| row.alone) {
        if let Opening::Seen { client, served: None, .. } = &row.flow.opening {
            views.entry((row.observer, row.flow.protocol, *client)).or_default().push(index);
        }
    }
    let mut absorbed = vec![false; rows.len()];
    for indices in views.values().filter(|indices| indices.len() > 1) {
        for &index in indices {
            let flow = &rows[index].flow;
            let Opening::Seen { dialled, identity, .. } = flow.opening else { continue };
            let Some(frontend) = inventory.frontend(dialled.ip, flow.protocol, dialled.port) else { continue };
            let backends = inventory.backends(frontend, dialled.ip.is_ipv4(), flow.first);
            let apart = |other: usize| rows[other].flow.first.since(flow.first).abs();
            let fits = |other: &usize| match rows[*other].flow.opening {
                Opening::Seen { dialled: backend, identity: theirs, .. } => {
                    let same = if flow.protocol == Protocol::Udp { apart(*other) <= APART } else { identity == theirs };
                    *other != index
                        && !absorbed[*other]
                        && same
                        && backends.iter().any(|known| known.socket() == backend)
                }
                _ => false,
            };
            let Some(nearest) = indices.iter().copied().filter(fits).min_by_key(|other| (apart(*other), *other)) else {
                continue;
            };
            absorbed[nearest] = true;
            let view = rows[nearest].flow.clone();
            absorb(&mut rows[index].flow, &view);
        }
    }
    let mut absorbed = absorbed.into_iter();
    rows.retain(|_| absorbed.next() != Some(true));
}

/// Takes in the view behind the translation.
fn absorb(flow: &mut Flow, view: &Flow) {
    if let (Opening::Seen { served, .. }, Opening::Seen { dialled: backend, .. }) = (&mut flow.opening, &view.opening) {
        *served = Some(*backend);
    }
    if class(view.outcome) < class(flow.outcome) {
        flow.outcome = view.outcome;
    }
    if view.first < flow.first {
        flow.activity = view.activity.clone();
    }
    if flow.latency.iter().next().is_none() {
        flow.latency = view.latency.clone();
    }
    flow.first = flow.first.min(view.first);
    flow.newest = flow.first;
    flow.last = flow.last.max(view.last);
    flow.datagrams = flow.datagrams.max(view.datagrams);
    flow.dns |= view.dns;
    flow.talk.merge(view.talk);
}
