//! Flows while packets keep coming: what is certain is counted, once, and what is not yet waits.
//!
//! A recorder asks for [`Tracker::flush`] every few seconds. Conversations stay where they are until they are over, so
//! that what comes later belongs to them; a mark says that they are counted. The way to a row is the same as for captures.
//!
//! Where only incoming packets are captured, at each interface, the two directions of a translated connection show at
//! different sockets: the opening as the client dialled it, the answer as the server sent it. They are joined by the
//! client's initial number, which the answer acknowledges ([`views`]), UDP by its sockets.

mod connections;
mod datagrams;
mod views;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ends::Address;
use super::gather::passed;
use super::row::Rows;
use super::{Conversations, Family, Tally, Tracker};
use crate::flow::Flow;
use crate::names::Names;
use crate::protocol::Protocol;
use crate::time::{SECOND, Timestamp};

use views::Views;

/// Nothing overtakes a packet by more, in nanoseconds: what is younger may still turn out to be something else.
pub const SETTLED: i64 = 2 * SECOND;

/// An attempt waits this long for its answer: TCP repeats its SYN for about two minutes (RFC 9293 §3.8.3, R2).
pub(super) const PENDING: i64 = 130 * SECOND;

/// How long a conversation that is over is remembered: the copies of its last packets come no later.
const OVER: i64 = 5 * SECOND;

/// UDP that is idle for so long has ended; what comes then is another conversation.
const IDLE: i64 = 130 * SECOND;

/// A row of a flow log: the start of the stretch of time that its conversations do not leave, and what is to be added to
/// it. A flow of 0 connections only says when those that were counted before were last heard.
pub type Row = (Timestamp, Flow);

/// What came since the last flush.
#[derive(Debug, Clone, Default)]
pub struct Flushed {
    /// To be added to the log.
    pub rows: Vec<Row>,
    /// Conversations of which nobody knows yet what they will be, as they are now: all of them, instead of those of the
    /// last flush.
    pub pending: Vec<Row>,
    /// Names of addresses.
    pub names: Names,
}

/// What is known of one family besides its tables.
#[derive(Debug)]
pub(super) struct Live<A: Address> {
    tcp: Views<A>,
    sctp: Views<A>,
    udp: Views<A>,
    /// Flows that nobody was seen opening.
    unopened: Vec<Row>,
    pending: Rows<A>,
    /// The last flush: what was heard since is new.
    flushed: Timestamp,
}

impl<A: Address> Default for Live<A> {
    fn default() -> Live<A> {
        Live {
            tcp: Views::default(),
            sctp: Views::default(),
            udp: Views::default(),
            unopened: Vec::new(),
            pending: Rows::default(),
            flushed: Timestamp::MIN,
        }
    }
}

/// Whether the observer would have seen an answer, by client and dialled address.
pub type Sight<'a> = &'a dyn Fn(IpAddr, IpAddr) -> bool;

/// When to let go of what.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) now: Timestamp,
    pub(super) sight: Sight<'a>,
    /// Conversations that were last heard before this leave in any case.
    pub(super) idle: Timestamp,
    /// And those that were heard after this.
    pub(super) ahead: Timestamp,
}

impl Moment<'_> {
    /// Whether what was last heard at `last` leaves in any case.
    pub(super) fn forces(&self, last: Timestamp) -> bool {
        last < self.idle || last > self.ahead
    }
}

impl Tracker {
    /// What is to be added to a flow log since the last call. `now` is the time of the clock that stamps packets.
    pub fn flush(&mut self, now: Timestamp, sight: Sight<'_>) -> Flushed {
        let conversations = &mut self.conversations;
        conversations.read_dns_segments();
        conversations.sweep(Moment { now, sight, idle: Timestamp::MIN, ahead: Timestamp::MAX });
        let mut flushed = Flushed { names: std::mem::take(&mut conversations.names), ..Flushed::default() };
        conversations.v4.drain(now, &mut flushed);
        conversations.v6.drain(now, &mut flushed);
        flushed
    }

    /// The clock was set back to `now`: counts conversations that were heard later as they are, and forgets them. What began
    /// since goes on.
    pub fn let_go(&mut self, now: Timestamp, sight: Sight<'_>) {
        self.conversations.sweep(Moment { now, sight, idle: Timestamp::MIN, ahead: now });
        self.conversations.latest = self.conversations.latest.min(now);
    }

    /// Says that an address changes hands. No conversation spans the moment, and no row.
    pub fn changes_hands(&mut self, ip: IpAddr, at: Timestamp) {
        fn note<A: Address>(family: &mut Family<A>, ip: IpAddr, at: Timestamp) {
            let Some(ip) = A::of(ip.to_canonical()) else { return };
            family.flush();
            for moments in [&mut family.turnovers, &mut family.gathered.moments] {
                let known = moments.entry(ip).or_default();
                let position = known.partition_point(|moment| *moment < at);
                if known.get(position) != Some(&at) {
                    known.insert(position, at);
                }
            }
        }
        note::<Ipv4Addr>(&mut self.conversations.v4, ip, at);
        note::<Ipv6Addr>(&mut self.conversations.v6, ip, at);
    }

    /// Counts of what was read so far.
    pub fn tally(&self) -> Tally {
        self.conversations.tally(self.decoder.decoded().clone())
    }

    /// Conversations held.
    pub fn held(&self) -> usize {
        self.conversations.v4.len() + self.conversations.v6.len()
    }
}

impl Conversations {
    /// Counts what can be counted, and lets go of what is over.
    pub(super) fn sweep(&mut self, moment: Moment<'_>) {
        self.v4.sweep(moment, self.limits.flows, &mut self.evicted);
        self.v6.sweep(moment, self.limits.flows, &mut self.evicted);
    }
}

impl<A: Address> Family<A> {
    fn sweep(&mut self, moment: Moment<'_>, flows: usize, evicted: &mut u64) {
        self.flush();
        self.gathered.rows.limit = flows;
        // What waits is what it is now: all of it is told again, and what does not fit is not lost.
        self.live.pending.limit = flows;
        self.connections(Protocol::Tcp, moment, evicted);
        self.connections(Protocol::Sctp, moment, evicted);
        self.datagrams(moment, evicted);
        self.gathered.rows.flush();
    }

    fn drain(&mut self, now: Timestamp, flushed: &mut Flushed) {
        flushed.rows.extend(self.gathered.rows.take());
        flushed.rows.append(&mut self.live.unopened);
        flushed.pending.extend(self.live.pending.take());
        self.live.flushed = now;
    }

    /// The start of the stretch that a row with these addresses at this time does not leave.
    fn stretch(&self, ends: [A; 2], time: Timestamp) -> Timestamp {
        let gathered = &self.gathered;
        let hour = gathered.grain.map_or(Timestamp::MIN, |grain| time.floor(grain));
        let latest = |ip: A| {
            let passed = passed(&gathered.moments, ip, time).checked_sub(1)?;
            Some(gathered.moments[&ip][passed as usize])
        };
        ends.into_iter().filter_map(latest).fold(hour, Timestamp::max)
    }
}

#[cfg(test)]
mod tests;
