//! What the episodes of one pair of sockets were, once all packets are there.

use std::collections::{HashMap, HashSet};

use super::connection::{Loose, LooseEnd};
use super::ends::{HIGH, LOW, other};
use super::episode::Episode;
use crate::flow::Outcome;
use crate::time::SECOND;

/// Copies of one opening that came late, from a file whose clock is behind, are this close in nanoseconds: a client
/// repeats its SYN for about two minutes.
const COPIES: i64 = 130 * SECOND;

/// The connections behind `episodes`, by client and time: copies of one are one, loose ends are tied, and segments that
/// came before the opening they belong to are joined to it.
pub(super) fn settle(mut episodes: Vec<Episode>, loose: &[Loose]) -> Vec<Episode> {
    episodes.sort_by_key(|episode| (episode.client(), episode.first()));
    episodes.dedup_by(|later, earlier| {
        let opened = earlier.client().is_some();
        let same = opened && earlier.client() == later.client() && later.first() <= earlier.last.plus(COPIES);
        if same {
            earlier.join(later);
        }
        same
    });
    with_data(&mut episodes);
    unseen(&mut episodes);
    let mut loose = loose.to_vec();
    loose.sort_unstable();
    for loose in &loose {
        tie(&mut episodes, loose);
    }
    crossing(&mut episodes);
    unanswered(&mut episodes);
    // What held the place of loose ends that are tied now.
    if episodes.len() > 1 {
        episodes.retain(|episode| !episode.is_empty());
    }
    episodes
}

/// The answer to a SYN with payload acknowledges the payload too, where the server takes it (RFC 7413 §3): as if another
/// number had been answered that nobody was seen opening with.
fn with_data(episodes: &mut Vec<Episode>) {
    let mut at = 0;
    while at < episodes.len() {
        let answer = episodes[at];
        let opening = match answer.client() {
            Some((side, number)) if answer.opened().is_none() => {
                episodes.iter_mut().find(|episode| !episode.is_answered() && episode.is_answered_by(side, number))
            }
            _ => None,
        };
        match opening {
            Some(opening) => {
                opening.join(&answer);
                episodes.remove(at);
            }
            None => at += 1,
        }
    }
}

/// The last episode that somebody was seen opening before `loose`; else the one that nobody was.
fn latest<'a>(episodes: &'a mut [Episode], loose: &Loose) -> Option<&'a mut Episode> {
    episodes
        .iter_mut()
        .filter(|episode| episode.client().is_none() || episode.first() <= loose.time)
        .max_by_key(|episode| (episode.client().is_some(), episode.first()))
}

fn tie(episodes: &mut [Episode], loose: &Loose) {
    let Loose { time, side, what } = *loose;
    let opened = |episodes: &[Episode], side: usize, number: u32| {
        episodes.iter().position(|episode| episode.client() == Some((side, number)))
    };
    match what {
        LooseEnd::Reset { refusal, probe } => {
            let with_data = |number: u32| {
                episodes.iter().position(|it| !it.is_answered() && it.is_answered_by(other(side), number))
            };
            let refused =
                refusal.and_then(|number| opened(episodes, other(side), number).or_else(|| with_data(number)));
            let probing = opened(episodes, side, probe);
            if let Some(at) = refused {
                episodes[at].refuse(time);
            } else if let Some(at) = probing {
                episodes[at].probe(time);
            } else if let Some(episode) = latest(episodes, loose) {
                let by_client = episode.client().map(|(client, _)| client == side);
                let answered = episode.answered().is_some_and(|answered| answered <= time);
                match by_client {
                    // A reset without an acknowledgment answers whatever the other side sent last.
                    Some(false) if refusal.is_none() => episode.refuse(time),
                    // A client that resets before it has acknowledged anything never saw a handshake's answer.
                    Some(true) if !answered && !episode.spoke(side) => episode.probe(time),
                    None if episode.is_spoken() && (refusal.is_none() || !episode.spoke(side)) => episode.refuse(time),
                    _ => episode.reset(time, side),
                }
            }
        }
        LooseEnd::Abort { tag } => {
            let Some(episode) = latest(episodes, loose) else { return };
            match episode.client() {
                Some((client, number)) if client != side && number == tag => episode.refuse(time),
                // Before its COOKIE ECHO the client has not agreed to anything.
                Some((client, _)) if client == side && !episode.spoke(client) => episode.probe(time),
                None if episode.is_spoken() && !episode.spoke(side) => episode.refuse(time),
                _ => episode.reset(time, side),
            }
        }
        LooseEnd::Unreachable { sequence } => {
            let meant = |episode: &&mut Episode| {
                episode
                    .client()
                    .is_some_and(|(client, number)| client == side && sequence.is_none_or(|quoted| quoted == number))
            };
            if let Some(episode) = episodes.iter_mut().filter(meant).max_by_key(|episode| episode.first()) {
                episode.refuse(time);
            }
        }
    }
}

/// Simultaneous open (RFC 9293 §3.5): two openings that answer each other are one connection, of whoever was first.
fn crossing(episodes: &mut Vec<Episode>) {
    let sides: HashSet<usize> = episodes.iter().filter_map(|episode| Some(episode.client()?.0)).collect();
    if sides.len() < 2 {
        return;
    }
    let by_opening: HashMap<(usize, u32), usize> =
        episodes.iter().enumerate().filter_map(|(at, episode)| Some((episode.client()?, at))).collect();
    let mut gone = HashSet::new();
    for at in 0..episodes.len() {
        let Some((side, _)) = episodes[at].client().filter(|_| episodes[at].is_answered()) else { continue };
        let Some(&across) = by_opening.get(&(other(side), episodes[at].server_number())) else { continue };
        if gone.contains(&at) || gone.contains(&across) {
            continue;
        }
        let when = |episode: &Episode| (episode.opened().is_none(), episode.opened(), episode.client());
        let (first, second) = if when(&episodes[at]) <= when(&episodes[across]) { (at, across) } else { (across, at) };
        // The other's opening acknowledges nothing, but it is the same connection at work.
        let other = episodes[second];
        episodes[first].answer(other.first(), other.client().map_or(0, |(_, number)| number));
        episodes[first].touch(other.last);
        [LOW, HIGH].into_iter().for_each(|side| episodes[first].begin(side, other.start(side)));
        gone.insert(second);
    }
    let mut at = 0..;
    episodes.retain(|_| at.next().is_some_and(|at| !gone.contains(&at)));
}

/// Where no answer was captured, a segment belongs to a connection if its number lies this close behind the initial
/// one.
const EARLY: u32 = 1 << 16;

/// Whether segments that fitted no opening when they came belong to `opened` after all.
pub(super) fn owns(opened: &Episode, unseen: &Episode) -> bool {
    let near = || unseen.is_spoken() && opened.distance(unseen) < EARLY;
    opened.first() <= unseen.first() && (opened.is_answered() || opened.is_spoken() || near())
}

/// Adds episodes that nobody was seen opening to the latest opening that owns them, and makes one of the others.
fn unseen(episodes: &mut Vec<Episode>) {
    let count = episodes.iter().take_while(|episode| episode.client().is_none()).count();
    let mut rest: Option<Episode> = None;
    for unseen in episodes.drain(..count).collect::<Vec<_>>() {
        let owner = episodes.iter_mut().filter(|episode| owns(episode, &unseen)).max_by_key(|episode| episode.first());
        match owner.or(rest.as_mut()) {
            Some(owner) => owner.join(&unseen),
            None => rest = Some(unseen),
        }
    }
    if let Some(rest) = rest {
        episodes.insert(0, rest);
    }
}

/// Segments far behind an opening whose answer was not captured are its own where there is no other.
fn unanswered(episodes: &mut Vec<Episode>) {
    if let [unseen, opened] = &mut episodes[..]
        && unseen.client().is_none()
        && opened.outcome() == Outcome::Unanswered
        && opened.first() <= unseen.first()
        && unseen.outcome() == Outcome::Established
    {
        opened.join(unseen);
        episodes.remove(0);
    }
}
