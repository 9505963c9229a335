//! Which conversations are views of one another.

use rustc_hash::FxHashMap;

use super::super::connection::LooseEnd;
use super::super::ends::{Address, Ends, other};
use super::super::episode::Episode;
use super::super::table::{NONE, Table};
use super::PENDING;
use crate::time::{SECOND, Timestamp};

/// Views of one answer are at most this far apart in nanoseconds, in either direction.
const APART: i64 = 2 * SECOND;

/// What other views showed of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Joined<A> {
    /// Who answered, if not who was dialled.
    pub(super) served: Option<(A, u16)>,
    /// The answer went to another address than the client's, and its view is a conversation of its own.
    pub(super) translated: bool,
}

/// What is known of the views of one protocol.
#[derive(Debug)]
pub(super) struct Views<A: Address> {
    pub(super) joined: FxHashMap<Ends<A>, Joined<A>>,
    /// Views that are no conversations of their own, and the sockets of which they are views.
    pub(super) shadows: FxHashMap<Ends<A>, Ends<A>>,
}

impl<A: Address> Default for Views<A> {
    fn default() -> Views<A> {
        Views { joined: FxHashMap::default(), shadows: FxHashMap::default() }
    }
}

/// An answer that was seen at other sockets than the opening.
struct Answer<A> {
    number: u32,
    time: Timestamp,
    client: (A, u16),
    server: (A, u16),
}

/// The rows that are not counted with the numbers of their clients, in ascending order of the numbers.
struct Numbers(Vec<(u32, u32)>);

impl Numbers {
    fn of<A: Address>(table: &Table<Ends<A>, Episode>) -> Numbers {
        let uncounted = (0..).zip(table.iter()).filter(|(_, (_, episode))| !episode.is_counted());
        let mut numbers: Vec<(u32, u32)> =
            uncounted.filter_map(|(row, (_, episode))| Some((episode.client()?.1, row))).collect();
        numbers.sort_unstable();
        Numbers(numbers)
    }

    /// The rows of a number, in ascending order.
    fn rows(&self, number: u32) -> impl Iterator<Item = u32> {
        let from = self.0.partition_point(|(other, _)| *other < number);
        self.0[from..].iter().take_while(move |(other, _)| *other == number).map(|(_, row)| *row)
    }

    /// The answered rows whose number another one has, too: of all others nothing else was seen.
    fn answered<A: Address>(&self, table: &Table<Ends<A>, Episode>) -> Vec<u32> {
        let shared = self.0.chunk_by(|one, two| one.0 == two.0).filter(|group| group.len() > 1).flatten();
        let mut rows: Vec<u32> = shared.map(|(_, row)| *row).filter(|row| table.get(*row).1.is_answered()).collect();
        rows.sort_unstable();
        rows
    }
}

impl<A: Address> Views<A> {
    /// Joins openings with the answers and refusals that were seen at other sockets.
    pub(super) fn connections(
        &mut self,
        table: &mut Table<Ends<A>, Episode>,
        loose: &mut std::collections::HashMap<Ends<A>, Vec<super::super::connection::Loose>>,
    ) {
        let numbers = Numbers::of(table);
        for row in numbers.answered(table) {
            let (ends, view) = (*table.get(row).0, *table.get(row).1);
            let (Some((side, number)), Some(time)) = (view.client(), view.answered()) else { continue };
            let answer = Answer { number, time, client: ends.end(side), server: ends.end(other(side)) };
            let Some(opening) = answer.opening(table, &numbers, Some((row, &view))) else { continue };
            let (dialled_ends, opened) = (*table.get(opening).0, *table.get(opening).1);
            let Some((client_side, _)) = opened.client() else { continue };
            let (client, dialled) = (dialled_ends.end(client_side), dialled_ends.end(other(client_side)));
            let translated = client != answer.client && dialled != answer.server;
            let served = (dialled != answer.server && !translated).then_some(answer.server);
            table.at(opening).answer(time, view.server_number());
            self.joined.insert(dialled_ends, Joined { served, translated });
            if !translated {
                table.at(row).set_counted();
                self.shadows.insert(ends, dialled_ends);
            }
        }
        loose.retain(|ends, all| {
            all.retain(|loose| !self.refuse(table, &numbers, ends, loose.side, loose.what, loose.time));
            !all.is_empty()
        });
        self.reflect(table);
    }

    /// Refuses the opening that a reset or abort at other sockets answers; whether there is one.
    fn refuse(
        &mut self,
        table: &mut Table<Ends<A>, Episode>,
        numbers: &Numbers,
        ends: &Ends<A>,
        side: usize,
        what: LooseEnd,
        time: Timestamp,
    ) -> bool {
        let number = match what {
            LooseEnd::Reset { refusal: Some(number), .. } => number,
            LooseEnd::Abort { tag } => tag,
            LooseEnd::Reset { .. } | LooseEnd::Unreachable { .. } => return false,
        };
        let answer = Answer { number, time, client: ends.end(other(side)), server: ends.end(side) };
        let Some(opening) = answer.opening(table, numbers, None) else { return false };
        let dialled_ends = *table.get(opening).0;
        let Some((client_side, _)) = table.get(opening).1.client() else { return false };
        if dialled_ends == *ends {
            return false;
        }
        let (client, dialled) = (dialled_ends.end(client_side), dialled_ends.end(other(client_side)));
        // What was translated twice may be anybody's; only the number says that it is this one's.
        let served = (dialled != answer.server && client == answer.client).then_some(answer.server);
        table.at(opening).refuse(time);
        self.joined.insert(dialled_ends, Joined { served, translated: false });
        true
    }

    /// Tells each view what the other one showed of the end of their connection.
    fn reflect(&mut self, table: &mut Table<Ends<A>, Episode>) {
        self.shadows.retain(|shadow, dialled| {
            let Some(own) = table.newest(dialled) else { return false };
            if let Some(view) = table.newest(shadow) {
                let (here, there) = (heard(table, own), heard(table, view));
                mirror(table, own, there);
                mirror(table, view, here);
            }
            true
        });
    }
}

/// When a chain was last heard, and who of client and server finished, and whether somebody reset.
type Heard = (Timestamp, [bool; 2], bool);

fn heard<A: Address>(table: &Table<Ends<A>, Episode>, newest: u32) -> Heard {
    let mut client = None;
    let mut next = newest;
    let mut chain: Vec<Episode> = Vec::new();
    while next != NONE && chain.len() < 4 {
        let episode = *table.get(next).1;
        client = client.or(episode.client());
        next = episode.next;
        chain.push(episode);
    }
    let client = client.map_or(0, |(side, _)| side);
    let any = |test: &dyn Fn(&Episode) -> bool| chain.iter().any(test);
    let last = chain.iter().map(|episode| episode.last).max().unwrap_or(Timestamp::MIN);
    let finished = [client, other(client)].map(|side| any(&|episode| episode.is_finished(side)));
    (last, finished, any(&Episode::is_reset))
}

/// Tells the newest opening of a chain.
fn mirror<A: Address>(table: &mut Table<Ends<A>, Episode>, newest: u32, (last, finished, reset): Heard) {
    let mut next = newest;
    while next != NONE {
        let episode = table.at(next);
        if let Some((client, _)) = episode.client() {
            for (side, is_finished) in [client, other(client)].into_iter().zip(finished) {
                episode.hear_of(last, is_finished.then_some(side), reset);
            }
            return;
        }
        next = episode.next;
    }
}

impl<A: Address> Answer<A> {
    /// The opening that it answers, among those with its number: of the same client socket, else of the same server, else
    /// the only one there is. `view` is where the answer was seen, if it is an episode.
    fn opening(
        &self,
        table: &Table<Ends<A>, Episode>,
        numbers: &Numbers,
        view: Option<(u32, &Episode)>,
    ) -> Option<u32> {
        let fits = |row: &u32| {
            let (_, opening) = table.get(*row);
            let between = opening.first().plus(-APART) <= self.time && self.time <= opening.first().plus(PENDING);
            let own = view.is_some_and(|(own, _)| own == *row);
            let waits = opening.opened().is_some() && !opening.is_counted() && !opening.is_refused();
            !own && between && waits
        };
        let rank = |row: &u32| {
            let (ends, opening) = table.get(*row);
            let (side, _) = opening.client()?;
            let (client, server) = (ends.end(side), ends.end(other(side)));
            match view {
                // Both were opened: two views of one handshake have the same client and the same two numbers.
                Some((own, view)) if view.opened().is_some() => {
                    let same = client == self.client && server != self.server;
                    let number = !opening.is_answered() || opening.server_number() == view.server_number();
                    let order = |row: u32, episode: &Episode| (episode.first(), row);
                    (same && number && order(*row, opening) < order(own, view)).then_some(0)
                }
                _ if opening.is_answered() => None,
                _ if client == self.client => Some(0),
                _ if server == self.server => Some(1),
                _ => Some(2),
            }
        };
        let mut ranked: Vec<(u8, u32)> =
            numbers.rows(self.number).filter(fits).filter_map(|row| Some((rank(&row)?, row))).collect();
        ranked.sort_unstable();
        match ranked[..] {
            // Somebody who uses one number for many targets leaves nothing to tell them apart by.
            [(1.., _), (1.., _), ..] => None,
            [(_, row), ..] => Some(row),
            [] => None,
        }
    }
}
