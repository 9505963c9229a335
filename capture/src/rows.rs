//! Rows of a flow log to flows.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::flow::{Flow, Opening, Outcome, Proof, Socket};
use crate::protocol::Protocol;
use crate::time::Timestamp;
use crate::track::Turnovers;

/// What the conversations of one flow have in common.
type Alike = (IpAddr, Socket, Option<Socket>, Protocol, Outcome, Proof, bool, bool, usize);

impl Flow {
    /// Counts the conversations of `other`, which differ in nothing but the client's port and the time. The opening stays
    /// the one of whichever began first.
    pub fn add(&mut self, other: &Flow) {
        if (other.first, &other.opening) < (self.first, &self.opening) {
            self.opening = other.opening.clone();
        }
        self.connections = self.connections.saturating_add(other.connections);
        self.datagrams = self.datagrams.saturating_add(other.datagrams);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.newest = self.newest.max(other.newest);
        self.activity.merge(&other.activity);
        self.latency.merge(&other.latency);
        self.talk.merge(other.talk);
    }
}

/// The flows of rows ([`Tracked::rows`](crate::Tracked::rows)), sorted: those that are alike are one, unless somebody's holder changed in between.
/// What they hold depends neither on the order of `rows` nor on the stretches of time by which they are cut.
pub fn join(rows: impl IntoIterator<Item = Flow>, moments: &Turnovers) -> Vec<Flow> {
    let passed =
        |ip: IpAddr, time: Timestamp| moments.get(&ip).map_or(0, |at| at.partition_point(|moment| *moment <= time));
    let mut joined: BTreeMap<Alike, Flow> = BTreeMap::new();
    let mut flows = Vec::new();
    for row in rows {
        let Opening::Seen { client, dialled, served, proof, .. } = row.opening else {
            flows.push(row);
            continue;
        };
        let ends = [Some(client.ip), Some(dialled.ip), served.map(|server| server.ip)];
        let phase = ends.into_iter().flatten().map(|ip| passed(ip, row.first)).sum();
        let alike = (client.ip, dialled, served, row.protocol, row.outcome, proof, row.dns, row.translated, phase);
        match joined.get_mut(&alike) {
            Some(flow) => flow.add(&row),
            None => {
                joined.insert(alike, row);
            }
        }
    }
    flows.extend(joined.into_values().map(|mut flow| {
        if let (Opening::Seen { client, dialled, served, proof, .. }, 2..) = (&flow.opening, flow.connections) {
            flow.opening = Opening::Alike { client: client.ip, dialled: *dialled, served: *served, proof: *proof };
        }
        flow
    }));
    flows.sort_unstable();
    flows
}
