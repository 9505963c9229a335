//! How much of the traffic has been learned: what is new still, what is still missing, and how often each edge is in use.
//!
//! The sample is the connections of the edges that worked. New edges that still appear are counted; from the edges that
//! were seen once and twice, [`estimate`] infers what was not seen at all; [`rhythm`] tells an edge that is used nightly
//! from one that is used hourly. An estimate knows only what is like the sample: what runs less often than the
//! [`Window`] is long may not be in it, and nothing here foretells it.
//!
//! Counted are edges that are able to make a rule: established, answered, or one-way and repeated, between resolved ends,
//! in a direction that is not guessed. What a server's outside clients are, once it has as many as make it public, is one
//! edge: one more of them is nothing new.

pub mod estimate;
pub mod rhythm;

use std::collections::{BTreeMap, BTreeSet};

use capture::time::SECOND;
use capture::{Activity, Outcome, Protocol, Timestamp};

use crate::endpoint::{Endpoint, Workload};
use crate::evidence::{Certainty, Evidence};
use crate::graph::{Edge, Graph};
use crate::learn::{REPEATED_DATAGRAMS, REPEATED_SOCKETS};
use crate::synthesize::PUBLIC_ADDRESSES;
use crate::window::Window;

use estimate::{chao1, chao2, unseen_share};
use rhythm::{Gaps, Rhythm};

/// One hour in nanoseconds.
pub const HOUR: i64 = 3600 * SECOND;

/// A connection that lasted so long, in nanoseconds, was in use all the time: its edge is not rare.
pub const HELD: i64 = 600 * SECOND;

/// How far learning has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Policies of today would deny much of tomorrow: less than an hour was watched, or more than 5 % of the edges are new
    /// in the last quarter of the window, or more than 5 % of the connections are estimated to go to edges not seen yet.
    Learning,
    /// Between the two.
    Settling,
    /// At least an hour was watched, no edge is new in the last quarter of the window, 1 % of the connections at most are
    /// estimated to go to edges not seen yet, and less than one edge or 5 % of them is estimated to be missing.
    Stable,
}

impl State {
    /// The word of the machine format.
    pub fn name(self) -> &'static str {
        match self {
            State::Learning => "learning",
            State::Settling => "settling",
            State::Stable => "stable",
        }
    }
}

/// What is said of some edges together.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    /// How far learning has come.
    pub state: State,
    /// Edges.
    pub edges: u64,
    /// Their connections. Those to a Service whose backend was not seen count once for each workload that may have been
    /// meant.
    pub connections: u64,
    /// Edges first seen in the last hour that was watched.
    pub new_last_hour: u64,
    /// Edges first seen in the last quarter of what was watched.
    pub new_last_quarter: u64,
    /// New edges an hour, in the last quarter of what was watched.
    pub new_per_hour: f64,
    /// When the last new edge was first seen.
    pub last_new: Option<Timestamp>,
    /// The share of connections that go to edges not seen yet, 0 to 1 ([`unseen_share`]); `None` without connections.
    pub unseen_connections: Option<f64>,
    /// At least so many edges were not seen yet ([`chao1`], over connections).
    pub unseen_edges: f64,
    /// The same over days ([`chao2`]); `None` where the window has less than two.
    pub unseen_edges_by_day: Option<f64>,
    /// Median of the times from one connection to the next of the same edge, in nanoseconds, to about 1 %.
    pub median_gap: Option<i64>,
    /// The longest of them.
    pub longest_gap: Option<i64>,
    /// Edges by rhythm.
    pub rhythms: BTreeMap<Rhythm, u64>,
}

/// How much has been learned, in all and of each workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Completeness {
    /// What was watched.
    pub window: Window,
    /// Of all edges.
    pub total: Learned,
    /// Of the edges of each workload, on either side. One without edges is not in it.
    pub workloads: BTreeMap<Workload, Learned>,
}

/// One edge, or the outside clients of a public server.
struct Sighting<'a> {
    workloads: BTreeSet<&'a Workload>,
    connections: u64,
    /// The only connection was held open.
    held: bool,
    first: Timestamp,
    last: Timestamp,
    activity: Activity,
}

impl<'a> Sighting<'a> {
    fn of(edge: &'a Edge, evidence: &Evidence) -> Sighting<'a> {
        Sighting {
            workloads: [&edge.key.client, &edge.key.server].into_iter().filter_map(Endpoint::workload).collect(),
            connections: evidence.connections,
            held: evidence.connections == 1 && evidence.last.since(evidence.first) >= HELD,
            first: evidence.first,
            last: evidence.last,
            activity: evidence.activity.clone(),
        }
    }

    fn merge(&mut self, other: &Sighting<'_>) {
        self.connections += other.connections;
        self.held = false;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.activity.merge(&other.activity);
    }
}

/// The evidence of an edge that counts.
fn counted(edge: &Edge) -> Option<&Evidence> {
    let (outcome, evidence) = edge.used()?;
    let resolved = |endpoint: &Endpoint| !matches!(endpoint, Endpoint::Unresolved { .. });
    let repeats = evidence.datagrams >= REPEATED_DATAGRAMS || evidence.connections >= REPEATED_SOCKETS;
    let counts = resolved(&edge.key.client)
        && resolved(&edge.key.server)
        && !matches!(evidence.certainty, Certainty::Guessed | Certainty::Declared)
        && (outcome != Outcome::OneWay || repeats);
    counts.then_some(evidence)
}

/// Says how much of the traffic behind `graph` has been learned in `window`. Of an empty graph it says that.
pub fn completeness(graph: &Graph, window: &Window) -> Completeness {
    let sightings = sightings(graph);
    let all: Vec<&Sighting<'_>> = sightings.iter().collect();
    let mut by_workload: BTreeMap<&Workload, Vec<&Sighting<'_>>> = BTreeMap::new();
    for sighting in &sightings {
        for workload in &sighting.workloads {
            by_workload.entry(workload).or_default().push(sighting);
        }
    }
    let workloads = by_workload.into_iter().map(|(workload, all)| (workload.clone(), learned(&all, window))).collect();
    Completeness { window: window.clone(), total: learned(&all, window), workloads }
}

fn sightings(graph: &Graph) -> Vec<Sighting<'_>> {
    type Server<'a> = (&'a Endpoint, Protocol, u16);
    let server = |edge: &'_ Edge| -> Option<(Protocol, u16)> {
        matches!(edge.key.client, Endpoint::External(_)).then_some((edge.key.protocol, edge.key.port))
    };
    let mut outside: BTreeMap<Server<'_>, usize> = BTreeMap::new();
    for edge in graph.edges().filter(|edge| counted(edge).is_some()) {
        if let Some((protocol, port)) = server(edge) {
            *outside.entry((&edge.key.server, protocol, port)).or_default() += 1;
        }
    }
    let mut public: BTreeMap<Server<'_>, Sighting<'_>> = BTreeMap::new();
    let mut all = Vec::new();
    for edge in graph.edges() {
        let Some(evidence) = counted(edge) else { continue };
        let sighting = Sighting::of(edge, evidence);
        let key = server(edge).map(|(protocol, port)| (&edge.key.server, protocol, port));
        match key.filter(|key| outside.get(key).is_some_and(|clients| *clients >= PUBLIC_ADDRESSES)) {
            None => all.push(sighting),
            Some(key) => match public.get_mut(&key) {
                Some(known) => known.merge(&sighting),
                None => {
                    public.insert(key, sighting);
                }
            },
        }
    }
    all.extend(public.into_values());
    all
}

fn learned(sightings: &[&Sighting<'_>], window: &Window) -> Learned {
    let count = |test: &dyn Fn(&Sighting<'_>) -> bool| sightings.iter().filter(|it| test(it)).count() as u64;
    let watched = window.watched();
    let quarter = watched / 4;
    let since = |length: i64| {
        let from = window.before_end(length);
        count(&|it| it.first >= from)
    };
    let new_last_quarter = since(quarter);
    let connections = sightings.iter().map(|it| it.connections).sum();
    let once = count(&|it| it.connections == 1 && !it.held);
    let twice = count(&|it| it.connections == 2);
    let mut gaps = Gaps::default();
    let mut rhythms: BTreeMap<Rhythm, u64> = BTreeMap::new();
    for sighting in sightings {
        gaps.add(&sighting.activity, window);
        *rhythms.entry(Rhythm::of(&sighting.activity, sighting.last, window)).or_default() += 1;
    }
    let mut learned = Learned {
        state: State::Learning,
        edges: sightings.len() as u64,
        connections,
        new_last_hour: since(HOUR),
        new_last_quarter,
        new_per_hour: if quarter > 0 { new_last_quarter as f64 * HOUR as f64 / quarter as f64 } else { 0.0 },
        last_new: sightings.iter().map(|it| it.first).max(),
        unseen_connections: unseen_share(once, connections),
        unseen_edges: chao1(once, twice),
        unseen_edges_by_day: by_day(sightings, window),
        median_gap: gaps.median(),
        longest_gap: gaps.longest(),
        rhythms,
    };
    learned.state = state(&learned, watched);
    learned
}

/// Chao2 over the days of the window.
fn by_day(sightings: &[&Sighting<'_>], window: &Window) -> Option<f64> {
    let days = window.days();
    if days.len() < 2 {
        return None;
    }
    let (mut once, mut twice) = (0, 0);
    for sighting in sightings {
        let mut seen: BTreeSet<usize> = sighting.activity.iter().map(|time| window.day(time)).collect();
        // A packet is a use as well. Where there is one connection only, it was open all the while.
        let (first, last) = (window.day(sighting.first), window.day(sighting.last));
        seen.insert(last);
        if sighting.connections == 1 {
            seen.extend(first..=last);
        }
        match seen.intersection(&days).count() {
            1 => once += 1,
            2 => twice += 1,
            _ => {}
        }
    }
    chao2(once, twice, days.len() as u64)
}

/// What more than this share of makes it learning.
const MUCH: f64 = 0.05;

/// What is stable has no more than this share of connections to edges not seen yet.
const LITTLE: f64 = 0.01;

fn state(learned: &Learned, watched: i64) -> State {
    let share = learned.unseen_connections.unwrap_or(1.0);
    let edges = learned.edges as f64;
    let missing = learned.unseen_edges.max(learned.unseen_edges_by_day.unwrap_or(0.0));
    if watched < HOUR || learned.edges == 0 || learned.new_last_quarter as f64 > MUCH * edges || share > MUCH {
        State::Learning
    } else if learned.new_last_quarter == 0 && share <= LITTLE && (missing < 1.0 || missing <= MUCH * edges) {
        State::Stable
    } else {
        State::Settling
    }
}

#[cfg(test)]
mod tests;
