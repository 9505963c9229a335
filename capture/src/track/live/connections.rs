//! TCP connections and SCTP associations to rows, while they go on.

use super::super::Family;
use super::super::connection::{Connections, Loose};
use super::super::ends::{Address, Ends, HIGH, LOW, other};
use super::super::episode::Episode;
use super::super::gather::{latency, proof, unopened};
use super::super::row::{Alike, Single};
use super::super::settle::settle;
use super::super::table::NONE;
use super::{Live, Moment, OVER, PENDING, SETTLED};
use crate::flow::Outcome;
use crate::protocol::Protocol;
use crate::time::Timestamp;

/// What becomes of an episode.
struct Fate {
    count: Option<Outcome>,
    leaves: bool,
}

impl<A: Address> Family<A> {
    /// Counts what can be counted of one protocol, and lets go of what is over.
    pub(super) fn connections(&mut self, protocol: Protocol, moment: Moment<'_>, evicted: &mut u64) {
        let mut table = std::mem::take(match protocol {
            Protocol::Sctp => &mut self.sctp,
            Protocol::Tcp | Protocol::Udp => &mut self.tcp,
        });
        let views = match protocol {
            Protocol::Sctp => &mut self.live.sctp,
            Protocol::Tcp | Protocol::Udp => &mut self.live.tcp,
        };
        views.connections(&mut table.table, &mut table.loose);
        let mut keep = vec![false; table.len()];
        for number in 0..table.len() as u32 {
            let (ends, newest) = table.row(number);
            let (ends, mut newest) = (*ends, *newest);
            if newest.is_older() {
                continue;
            }
            if newest.next == NONE && !newest.has_loose() {
                keep[number as usize] = !self.episode(protocol, &ends, &mut newest, moment, evicted);
                *table.table.at(number) = newest;
                continue;
            }
            self.chain(protocol, &mut table, number, moment, evicted, &mut keep);
        }
        table.retain(&keep);
        let views = match protocol {
            Protocol::Sctp => &mut self.live.sctp,
            Protocol::Tcp | Protocol::Udp => &mut self.live.tcp,
        };
        views.joined.retain(|ends, _| table.table.newest(ends).is_some());
        match protocol {
            Protocol::Sctp => self.sctp = table,
            Protocol::Tcp | Protocol::Udp => self.tcp = table,
        }
    }

    /// Several episodes of the same sockets, or one with loose ends. What is over leaves from the old end of the chain.
    fn chain(
        &mut self,
        protocol: Protocol,
        table: &mut Connections<A>,
        newest: u32,
        moment: Moment<'_>,
        evicted: &mut u64,
        keep: &mut [bool],
    ) {
        let ends = *table.row(newest).0;
        let mut rows: Vec<u32> = Vec::new();
        let mut next = newest;
        while next != NONE {
            rows.push(next);
            next = table.row(next).1.next;
        }
        let loose: Vec<Loose> = table.loose.get(&ends).cloned().unwrap_or_default();
        let mut settled = settle(rows.iter().map(|row| *table.row(*row).1).collect(), &loose);
        // What is loose may still find its owner.
        let waits = loose.iter().any(|loose| moment.now.since(loose.time) < OVER && !moment.forces(loose.time));
        let leaves: Vec<bool> = settled
            .iter_mut()
            .map(|episode| match episode.is_empty() {
                true => !waits,
                false => self.episode(protocol, &ends, episode, moment, evicted) && !waits,
            })
            .collect();
        let mut over = true;
        for row in rows.into_iter().rev() {
            let client = table.row(row).1.client();
            let place = settled.iter().position(|episode| episode.client() == client);
            match place {
                Some(place) => table.table.at(row).become_settled(&settled[place]),
                // Another one took it in.
                None => table.table.at(row).become_settled(&Episode::new(None, Timestamp::MAX, NONE)),
            }
            over &= place.is_none_or(|place| leaves[place]);
            keep[row as usize] = !over;
        }
    }

    /// Counts an episode if it is time; whether it is over.
    fn episode(
        &mut self,
        protocol: Protocol,
        ends: &Ends<A>,
        episode: &mut Episode,
        moment: Moment<'_>,
        evicted: &mut u64,
    ) -> bool {
        let views = match protocol {
            Protocol::Sctp => &self.live.sctp,
            Protocol::Tcp | Protocol::Udp => &self.live.tcp,
        };
        if views.shadows.contains_key(ends) && episode.is_counted() {
            return is_over(episode, moment);
        }
        let joined = views.joined.get(ends).copied();
        let Fate { count, leaves } = fate(episode, moment);
        let heard = episode.is_counted() && episode.last >= self.live.flushed;
        let Some((side, identity)) = episode.client() else {
            if count.is_some() || heard {
                let mut flow = unopened(protocol, ends, episode);
                flow.connections = u64::from(count.is_some());
                let stretch = self.stretch([ends.end(LOW).0, ends.end(HIGH).0], flow.first);
                // Each is a row of its own.
                if self.live.unopened.len() < self.gathered.rows.limit {
                    self.live.unopened.push((stretch, flow));
                } else {
                    self.gathered.lost += flow.connections;
                }
                episode.set_counted();
            } else if leaves && !episode.is_counted() {
                self.gathered.remnants += 1;
            }
            return leaves;
        };
        let (client, client_port) = ends.end(side);
        let dialled = ends.end(other(side));
        let outcome = match count.unwrap_or(episode.outcome()) {
            Outcome::Unanswered if !(moment.sight)(client.into(), dialled.0.into()) => Outcome::Unknown,
            outcome => outcome,
        };
        let alike = Alike {
            protocol,
            outcome,
            proof: proof(outcome, episode.opened().is_some(), episode.is_answered()),
            client,
            dialled,
            served: joined.and_then(|joined| joined.served),
            translated: joined.is_some_and(|joined| joined.translated),
            ..Alike::PLAIN
        };
        let single = Single {
            counted: count.is_none(),
            client_port,
            identity,
            first: episode.first(),
            last: episode.last,
            latency: latency(episode),
            datagrams: 0,
            talk: episode.talk(),
        };
        if count.is_some() || heard {
            *evicted += u64::from(moment.forces(episode.last) && !episode.is_over());
            self.gathered.count(alike, single);
            episode.set_counted();
        } else if !episode.is_counted() {
            self.live.pend(alike, single, &self.gathered);
        }
        leaves
    }
}

impl<A: Address> Live<A> {
    /// Notes what may still become something else: an attempt that is answered, an opening that turns out to be a probe.
    pub(super) fn pend(&mut self, alike: Alike<A>, single: Single, gathered: &super::super::gather::Gathered<A>) {
        self.pending.add(gathered.placed(alike, single.first), Single { counted: false, ..single });
    }
}

fn is_over(episode: &Episode, moment: Moment<'_>) -> bool {
    episode.is_over() && moment.now.since(episode.last) >= OVER || moment.forces(episode.last)
}

/// Whether it is time to count an episode, and whether nothing more is to come of it.
fn fate(episode: &Episode, moment: Moment<'_>) -> Fate {
    let Moment { now, .. } = moment;
    let (quiet, age) = (now.since(episode.last), now.since(episode.first()));
    let forced = moment.forces(episode.last);
    let over = is_over(episode, moment);
    if episode.is_counted() {
        return Fate { count: None, leaves: over };
    }
    let outcome = episode.outcome();
    match (episode.client(), outcome) {
        (_, Outcome::Established) => {
            // A probing client's reset comes at once; and what seems to have been open may be opened a moment later.
            let sure = age >= SETTLED || forced;
            Fate { count: sure.then_some(outcome), leaves: sure && over }
        }
        (Some(_), Outcome::Refused) => Fate { count: Some(outcome), leaves: over },
        (Some(_), _) => {
            let silent = age >= PENDING || forced;
            Fate { count: silent.then_some(Outcome::Unanswered), leaves: silent }
        }
        // Segments that prove no connection, and a refusal of nobody knows what.
        (None, Outcome::Refused) if quiet >= SETTLED => Fate { count: Some(outcome), leaves: over },
        (None, _) => Fate { count: None, leaves: quiet >= PENDING || forced },
    }
}
