//! Views of one conversation before and after address translation.

use std::cmp::Ordering;
use std::collections::HashMap;

use capture::time::SECOND;
use capture::{Outcome, Protocol, Socket};

use super::Conversation;
use crate::inventory::Inventory;

/// Views of one conversation are at most this far apart, in nanoseconds.
const APART: i64 = 2 * SECOND;

/// Joins the view that shows a Service's address with the one that shows its backend, where tracking could not: same
/// client socket, a backend of the Service, and nothing that speaks against it ([`Conversation::may_be`]).
pub(super) fn views(conversations: &mut Vec<Conversation>, inventory: &Inventory) {
    conversations.sort_by(|a, b| {
        let key = |found: &Conversation| {
            (found.first, found.protocol, found.client, found.client_port, found.dialled, found.last)
        };
        key(a).cmp(&key(b))
    });
    let mut by_client: HashMap<(Protocol, Socket), Vec<usize>> = HashMap::new();
    for (index, conversation) in conversations.iter().enumerate().filter(|(_, found)| found.served.is_none()) {
        if let Some(client) = conversation.client_socket() {
            by_client.entry((conversation.protocol, client)).or_default().push(index);
        }
    }
    let mut absorbed = vec![false; conversations.len()];
    for index in 0..conversations.len() {
        let dialling = &conversations[index];
        let Some(client) = dialling.client_socket().filter(|_| dialling.served.is_none()) else { continue };
        let Some(frontend) = inventory.frontend(dialling.dialled.ip, dialling.protocol, dialling.dialled.port) else {
            continue;
        };
        let candidates = &by_client[&(dialling.protocol, client)];
        if candidates.len() < 2 {
            continue;
        }
        let backends = inventory.backends(frontend, dialling.dialled.ip.is_ipv4(), dialling.first);
        let apart = |other: &Conversation| other.first.since(dialling.first).abs();
        let nearest = candidates
            .iter()
            .copied()
            .filter(|candidate| {
                let other = &conversations[*candidate];
                *candidate != index
                    && !absorbed[*candidate]
                    && dialling.may_be(other)
                    && backends.iter().any(|backend| backend.socket() == other.dialled)
            })
            .min_by_key(|candidate| {
                let other = &conversations[*candidate];
                (rank(other.outcome), apart(other), other.dialled)
            });
        if let Some(other) = nearest {
            absorbed[other] = true;
            let view = conversations[other].clone();
            conversations[index].absorb(view);
        }
    }
    let mut absorbed = absorbed.into_iter();
    conversations.retain(|_| absorbed.next() != Some(true));
}

impl Conversation {
    /// Whether two views with the same client socket can be of one conversation: the same number where both show one;
    /// the same time where one capture began in the middle; first datagrams 2 s apart at most.
    fn may_be(&self, other: &Conversation) -> bool {
        match (self.identity, other.identity) {
            (Some(own), Some(foreign)) => own == foreign,
            _ if self.protocol == Protocol::Udp => self.first.since(other.first).abs() <= APART,
            _ => self.first <= other.last.plus(APART) && other.first <= self.last.plus(APART),
        }
    }

    fn absorb(&mut self, view: Conversation) {
        self.served = Some(view.dialled);
        // Two views of one opening are one time, on whichever side of a minute's end they fall.
        match (self.connections, view.connections) {
            (1, 1) if self.first <= view.first => {}
            (1, 1) => self.activity = view.activity,
            _ => self.activity.merge(&view.activity),
        }
        self.talk.merge(view.talk);
        self.first = self.first.min(view.first);
        self.last = self.last.max(view.last);
        self.datagrams = self.datagrams.max(view.datagrams);
        self.newest = self.first;
        if self.latency.iter().next().is_none() {
            self.latency = view.latency;
        }
        self.identity = self.identity.or(view.identity);
        self.dns |= view.dns;
        // What either view shows to have worked did, and is as certain as that view.
        match rank(self.outcome).cmp(&rank(view.outcome)) {
            Ordering::Less => {}
            Ordering::Equal => self.certainty = self.certainty.min(view.certainty),
            Ordering::Greater => (self.outcome, self.certainty) = (view.outcome, view.certainty),
        }
    }
}

/// Lower says more: what worked did, and a refusal says more than silence.
fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Established | Outcome::Answered => 0,
        Outcome::Refused => 1,
        Outcome::OneWay | Outcome::Unanswered | Outcome::Unknown => 2,
    }
}

/// Marks the views from before a translation of the source: the same number within 2 s from another client to a
/// backend of the Service that was dialled. Policies see the translated source.
pub(super) fn translations(conversations: &mut [Conversation], inventory: &Inventory) {
    let mut by_identity: HashMap<(Protocol, u32), Vec<usize>> = HashMap::new();
    for (index, conversation) in conversations.iter().enumerate() {
        if let Some(identity) = conversation.identity {
            by_identity.entry((conversation.protocol, identity)).or_default().push(index);
        }
    }
    for group in by_identity.into_values().filter(|group| group.len() > 1) {
        for &index in &group {
            let before = &conversations[index];
            let Some(frontend) = inventory.frontend(before.dialled.ip, before.protocol, before.dialled.port) else {
                continue;
            };
            if before.served.is_some() {
                continue;
            }
            let backends = inventory.backends(frontend, before.dialled.ip.is_ipv4(), before.first);
            let translated = group.iter().any(|other| {
                let after = &conversations[*other];
                let server = after.served.unwrap_or(after.dialled);
                after.client != before.client
                    && after.first.since(before.first).abs() <= APART
                    && backends.iter().any(|backend| backend.socket() == server)
            });
            conversations[index].translated |= translated;
        }
    }
}
