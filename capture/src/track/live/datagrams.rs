//! UDP conversations to rows, while they go on.

use rustc_hash::FxHashMap;

use super::super::Family;
use super::super::ends::{Address, Ends, other};
use super::super::gather::row_of;
use super::super::row::{Alike, Single};
use super::views::Joined;
use super::{IDLE, Moment, OVER, PENDING, SETTLED};
use crate::flow::Outcome;
use crate::time::{SECOND, Timestamp};

/// An answer comes this long after its question at most, in nanoseconds: what resolvers wait for one (resolv.conf(5)).
const ANSWER: i64 = 5 * SECOND;

impl<A: Address> Family<A> {
    /// Joins questions with the answers that were seen at other sockets: the answer goes to the socket that asked, and
    /// nobody else was asked from there; or it comes from the socket that was asked and goes to the same port, whose address
    /// was translated.
    fn join_datagrams(&mut self) {
        let mut askers: FxHashMap<(A, u16), Vec<u32>> = FxHashMap::default();
        let mut asked: FxHashMap<((A, u16), u16), Vec<u32>> = FxHashMap::default();
        let mut alone: Vec<(u32, usize)> = Vec::new();
        for (number, (ends, conversation)) in (0..).zip(self.udp.conversations()) {
            let Some(side) = conversation.only_sender().filter(|_| !conversation.is_counted()) else { continue };
            let (from, to) = (ends.end(side), ends.end(other(side)));
            askers.entry(from).or_default().push(number);
            asked.entry((to, from.1)).or_default().push(number);
            alone.push((number, side));
        }
        for (number, side) in alone {
            let udp = &self.udp;
            let (ends, answer) = udp.get(number);
            let (ends, answer) = (*ends, *answer);
            let (from, to) = (ends.end(side), ends.end(other(side)));
            let waits = |row: &u32| {
                let (_, question) = udp.get(*row);
                let after = answer.first().since(question.first());
                *row != number && question.only_sender().is_some() && (0..=ANSWER).contains(&after)
            };
            let dialled = |row: u32| {
                let (ends, question) = udp.get(row);
                ends.end(question.only_sender().map_or(side, other))
            };
            let of_socket = askers.get(&to).into_iter().flatten().copied().filter(waits);
            // A resolver's Service and its pods mostly share the port; else the last question is the one.
            let question = of_socket
                .max_by_key(|row| (dialled(*row).1 == from.1, udp.get(*row).1.first(), std::cmp::Reverse(*row)))
                .or_else(|| asked.get(&(from, to.1)).into_iter().flatten().copied().find(waits));
            let Some(question) = question else { continue };
            if udp.get(question).1.is_counted() || udp.get(number).1.is_counted() {
                continue;
            }
            let (dialled_ends, served) = (*udp.get(question).0, (dialled(question) != from).then_some(from));
            self.udp.at(question).answer_elsewhere(answer.last);
            self.udp.at(number).set_counted();
            self.live.udp.joined.insert(dialled_ends, Joined { served, translated: false });
            self.live.udp.shadows.insert(ends, dialled_ends);
        }
    }

    /// Counts what can be counted of UDP, and lets go of what has been idle.
    pub(super) fn datagrams(&mut self, moment: Moment<'_>, evicted: &mut u64) {
        self.join_datagrams();
        self.reflect_datagrams();
        let mut udp = std::mem::take(&mut self.udp);
        let mut keep = Vec::with_capacity(udp.len());
        let mut counted: Vec<u32> = Vec::new();
        for (number, (ends, conversation)) in (0..).zip(udp.conversations()) {
            let quiet = moment.now.since(conversation.last);
            let forced = moment.forces(conversation.last);
            // A question of DNS is asked once from its socket.
            let is_over = quiet >= if conversation.is_dns() { OVER } else { IDLE } || forced;
            if !conversation.is_sent() {
                keep.push(!is_over);
                self.gathered.remnants += u64::from(is_over);
                continue;
            }
            if conversation.is_counted() && self.live.udp.shadows.contains_key(ends) {
                keep.push(!is_over);
                continue;
            }
            let outcome = conversation.outcome();
            let age = moment.now.since(conversation.first());
            let sure = match outcome {
                Outcome::Answered => age >= SETTLED,
                Outcome::Refused => true,
                _ => age >= PENDING,
            };
            let heard = conversation.is_counted() && conversation.last >= self.live.flushed;
            let counts = !conversation.is_counted() && (sure || forced);
            let (alike, single) = row_of(&udp, ends, conversation, 1);
            let served = self.live.udp.joined.get(ends).and_then(|joined| joined.served);
            let alike = Alike { served, ..alike };
            if counts || heard {
                *evicted += u64::from(forced && counts);
                self.gathered.count(alike, Single { counted: !counts, ..single });
                counted.push(number);
            } else if !conversation.is_counted() {
                self.live.pend(alike, single, &self.gathered);
                keep.push(true);
                continue;
            }
            keep.push(!is_over);
        }
        counted.into_iter().for_each(|number| udp.at(number).set_counted());
        udp.retain(&keep);
        let known = |ends: &Ends<A>| udp.number(ends).is_some();
        self.live.udp.joined.retain(|ends, _| known(ends));
        self.live.udp.shadows.retain(|shadow, dialled| known(shadow) && known(dialled));
        self.udp = udp;
    }

    /// What is heard of an answer is heard of its question.
    fn reflect_datagrams(&mut self) {
        let heard: Vec<(u32, Timestamp)> = self
            .live
            .udp
            .shadows
            .iter()
            .filter_map(|(shadow, dialled)| {
                let last = self.udp.number(shadow).map(|number| self.udp.at(number).last)?;
                Some((self.udp.number(dialled)?, last))
            })
            .collect();
        heard.into_iter().for_each(|(number, last)| self.udp.at(number).answer_elsewhere(last));
    }
}
