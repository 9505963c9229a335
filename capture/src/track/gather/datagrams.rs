//! UDP conversations to flows.

use super::super::datagram::{Conversation, Datagrams};
use super::super::ends::{Address, Ends, HIGH, LOW, Seed, other};
use super::super::repeated::Repeated;
use super::super::row::{Alike, Single};
use super::Gathered;
use crate::flow::{Outcome, Proof};
use crate::protocol::Protocol;
use crate::talk::Talks;

/// The side of the client.
fn asking_side<A: Address>(ends: &Ends<A>, conversation: &Conversation) -> usize {
    let side = conversation.client();
    // Nobody sends from a group's address; what is sent to one may look like an answer, as with mDNS.
    if ends.end(side).0.is_group() { other(side) } else { side }
}

/// The row of a conversation, and what it adds to it; `sources` is the number of files.
pub(in super::super) fn row_of<A: Address>(
    datagrams: &Datagrams<A>,
    ends: &Ends<A>,
    conversation: &Conversation,
    sources: u16,
) -> (Alike<A>, Single) {
    let side = asking_side(ends, conversation);
    let (client, client_port) = ends.end(side);
    let outcome = conversation.outcome();
    let alike = Alike {
        protocol: Protocol::Udp,
        outcome,
        proof: Proof::FirstPacket,
        dns: conversation.is_dns(),
        client,
        dialled: ends.end(other(side)),
        ..Alike::PLAIN
    };
    let single = Single {
        counted: false,
        client_port,
        identity: 0,
        first: conversation.first(),
        last: conversation.last,
        latency: None,
        datagrams: match outcome {
            Outcome::Answered => 0,
            _ => datagrams.different(ends, conversation, sources),
        },
        talk: Talks::default(),
    };
    (alike, single)
}

impl<A: Address> Gathered<A> {
    /// Takes the conversations that are `ripe` out of `datagrams`; `sources` is the number of files.
    pub(in super::super) fn datagrams(
        &mut self,
        datagrams: &mut Datagrams<A>,
        sources: u16,
        ripe: impl Fn(&Conversation) -> bool,
    ) {
        let mut sockets = Repeated::new(datagrams.len() * 2);
        let seed = Seed::KNOWN;
        let number = |(ip, port): (A, u16)| (seed.fold(ip.mixed(A::NONE, &seed), u64::from(port)) >> 32) as u32;
        for (ends, _) in datagrams.conversations() {
            sockets.insert(number(ends.end(LOW)));
            sockets.insert(number(ends.end(HIGH)));
        }
        let mut keep = Vec::with_capacity(datagrams.len());
        for (ends, conversation) in datagrams.conversations() {
            let ripe = ripe(conversation);
            keep.push(!ripe);
            if !ripe {
                continue;
            }
            if !conversation.is_sent() {
                self.remnants += 1;
                continue;
            }
            let (alike, single) = row_of(datagrams, ends, conversation, sources);
            let asking = (alike.client, single.client_port);
            self.put(alike, single, !sockets.contains(number(asking)));
        }
        datagrams.retain(&keep);
        self.rows.flush();
    }
}
