//! Packets of this machine's interfaces to what a flow log takes, a few seconds at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Instant;

use anyhow::Context;
use capture::live::{
    Change, Counters, Filter, Interfaces, Kind, Live, MAX_NAMED, Pattern, is_for_others, own_addresses,
};
use capture::packet::TunnelPorts;
use capture::time::SECOND;
use capture::track::{Flushed, SETTLED};
use capture::{Decoder, Flow, Limits, Opening, Outcome, Protocol, Settings, Socket, Tally, Timestamp, Tracker};
use rustc_hash::FxHashSet;

use super::clock::{Clock, Set, system};
use super::hot::Hot;
use crate::log::HOUR;

/// What an interface shows in its first so many nanoseconds, all of it: connections older than the recording are found so.
const YOUNG: i64 = 30 * SECOND;

/// Interfaces are looked for this often, in nanoseconds.
const LOOK: i64 = SECOND;

/// And the machine's own addresses this often.
const ADDRESSES: i64 = 10 * SECOND;

/// Rows of one flush at most, a quarter as many of attempts: more are counted and not written. A flood of addresses fills no
/// disk.
const MAX_ROWS: usize = 40_000;

/// Conversations held at most; each takes 64 bytes, or 128 for IPv6.
const MAX_CONVERSATIONS: usize = 150_000;

/// Edges that are told from new ones at most.
const MAX_EDGES: usize = 1 << 18;

/// What to record.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) tunnels: TunnelPorts,
    /// Bytes of the kernel's ring.
    pub(crate) ring: u32,
    pub(crate) server_names: bool,
}

/// An interface while it was recorded.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) name: String,
    pub(crate) since: Timestamp,
    /// When it ended, if it did not go on until the harvest.
    pub(crate) until: Option<Timestamp>,
    /// Frames since the last harvest.
    pub(crate) frames: u64,
    /// Of these, frames for other machines.
    pub(crate) foreign: u64,
    /// The port of a switch.
    switched: bool,
}

impl Watched {
    /// An interface becomes the port of a switch after it was made, and may be used before anybody looks again.
    fn is_new(&self, time: Timestamp, started: Timestamp) -> bool {
        self.since > started && time.since(self.since) < 2 * LOOK
    }

    /// The socket of all interfaces.
    pub(crate) fn socket(since: Timestamp) -> Watched {
        Watched { name: "all interfaces".to_string(), since, until: None, frames: 0, foreign: 0, switched: true }
    }
}

/// What came since the last harvest.
#[derive(Debug, Default)]
pub(crate) struct Harvest {
    pub(crate) at: Timestamp,
    pub(crate) flushed: Flushed,
    /// Interfaces that were recorded.
    pub(crate) watched: Vec<Watched>,
    /// Of the socket.
    pub(crate) counters: Counters,
    pub(crate) tally: Tally,
    /// Names that were left out.
    pub(crate) unnamed: u64,
    /// The clock was set: the last time.
    pub(crate) set: Option<Set>,
}

/// Numbers for people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Conversations counted.
    pub(crate) connections: u64,
    /// Different client, dialled and served addresses and ports among those that worked.
    pub(crate) edges: usize,
    /// Of these, how many are new within the last hour.
    pub(crate) new_edges: usize,
    /// Packets that passed the filter.
    pub(crate) packets: u64,
    /// Packets that the kernel lost.
    pub(crate) lost: u64,
    /// When the last new edge was seen, or the recording began.
    pub(crate) last_new: Timestamp,
    /// Interfaces that are recorded.
    pub(crate) interfaces: usize,
    /// Conversations held.
    pub(crate) held: usize,
}

/// A recorder at work.
pub(crate) struct Recorder {
    live: Live,
    interfaces: Interfaces,
    tracker: Tracker,
    filter: Filter,
    options: Options,
    own: BTreeSet<IpAddr>,
    clock: Clock,
    started: Timestamp,
    looked: Timestamp,
    /// When `own` was asked for.
    addressed: Timestamp,
    /// By index; those that went since the last harvest.
    watched: BTreeMap<u32, Watched>,
    went: Vec<Watched>,
    /// As of the last harvest.
    counters: Counters,
    tally: Tally,
    edges: Edges,
    hot: Hot,
    progress: Progress,
    set: Option<Set>,
}

/// Which edges were seen, and when the younger ones were first.
struct Edges {
    key: RandomState,
    known: FxHashSet<u64>,
    recent: VecDeque<Timestamp>,
}

impl Recorder {
    /// Opens the socket.
    ///
    /// # Errors
    /// Without CAP_NET_RAW; if an interface that was named is not there.
    pub(crate) fn open(options: Options) -> anyhow::Result<Recorder> {
        let live = Live::open(options.ring)?;
        let started = system();
        let settings = Settings {
            grain: Some(HOUR),
            live: true,
            limits: Limits { conversations: MAX_CONVERSATIONS, flows: MAX_ROWS },
            ..Settings::default()
        };
        let mut recorder = Recorder {
            live,
            interfaces: Interfaces::new(options.patterns.clone()),
            tracker: Tracker::new(settings, Decoder::new(options.tunnels.clone())),
            filter: Filter::default(),
            own: BTreeSet::new(),
            clock: Clock::new(started, Instant::now()),
            started,
            looked: started,
            addressed: started,
            watched: BTreeMap::new(),
            went: Vec::new(),
            counters: Counters::default(),
            tally: Tally::default(),
            edges: Edges { key: RandomState::new(), known: FxHashSet::default(), recent: VecDeque::new() },
            hot: Hot::default(),
            progress: Progress { last_new: started, ..Progress::default() },
            set: None,
            options,
        };
        recorder.look(started)?;
        let present =
            |pattern: &Pattern| recorder.interfaces.iter().any(|(_, interface)| interface.name == pattern.to_string());
        if let Some(missing) =
            recorder.options.patterns.iter().find(|pattern| pattern.is_literal() && !present(pattern))
        {
            anyhow::bail!("no interface is called {missing}; a pattern such as '{missing}*' waits for one");
        }
        Ok(recorder)
    }

    /// Looks which interfaces there are, and asks the kernel for what is wanted of them.
    fn look(&mut self, now: Timestamp) -> anyhow::Result<()> {
        self.looked = now;
        for change in self.interfaces.refresh(now).context("the list of interfaces")? {
            match change {
                Change::Came(name) => tracing::info!(interface = name, "recording"),
                Change::Went(name) => tracing::info!(interface = name, "gone"),
            }
        }
        if self.own.is_empty() || now.since(self.addressed) >= ADDRESSES {
            self.own = own_addresses().context("the addresses of this machine")?;
            self.addressed = now;
        }
        let gone: Vec<u32> = self
            .watched
            .iter()
            .filter(|(index, watched)| {
                self.interfaces.get(**index).is_none_or(|there| {
                    !there.recorded || there.name != watched.name || watched.switched != (there.kind == Kind::Port)
                })
            })
            .map(|(index, _)| *index)
            .collect();
        self.went.extend(gone.iter().filter_map(|index| self.watched.remove(index)));
        for (index, interface) in self.interfaces.iter().filter(|(_, interface)| interface.recorded) {
            self.watched.entry(index).or_insert_with(|| Watched {
                name: interface.name.clone(),
                since: interface.since.max(self.started),
                until: None,
                frames: 0,
                foreign: 0,
                switched: interface.kind == Kind::Port,
            });
        }
        let young = |since: Timestamp| (0..YOUNG).contains(&now.since(since));
        let indices = |test: &dyn Fn(&capture::live::Interface) -> bool| -> Vec<u32> {
            let fitting = self.interfaces.iter().filter(|(_, interface)| test(interface));
            fitting.map(|(index, _)| index).take(MAX_NAMED).collect()
        };
        let everything = young(self.started);
        let filter = Filter {
            everything,
            young: if everything { Vec::new() } else { indices(&|one| one.recorded && young(one.since)) },
            unwanted: indices(&|one| !one.recorded),
            server_names: self.options.server_names,
            hot: self.hot.edges(now),
            vxlan: self.options.tunnels.vxlan.iter().copied().collect(),
            opaque: self.options.tunnels.geneve.iter().copied().chain(OPAQUE).collect(),
        };
        if filter != self.filter {
            self.live.filter(&filter)?;
            self.filter = filter;
        }
        Ok(())
    }

    /// Takes the packets that come within `milliseconds`, or sooner.
    pub(crate) fn step(&mut self, milliseconds: u16) -> anyhow::Result<()> {
        let Recorder { live, interfaces, tracker, watched, clock, started, hot, .. } = self;
        let mut unknown = false;
        let read = live.read(milliseconds, |frame| {
            clock.packet(frame.time);
            match watched.get_mut(&frame.interface) {
                Some(watched) => {
                    watched.frames += 1;
                    hot.frame(frame);
                    // A switch's other ports are its business; what a lone interface sees of others is not for this machine.
                    if watched.switched || !is_for_others(frame) || watched.is_new(frame.time, *started) {
                        tracker.frame(0, frame);
                    } else {
                        watched.foreign += 1;
                    }
                }
                // It came since somebody looked; its first packets count.
                None if interfaces.get(frame.interface).is_none() => {
                    unknown = true;
                    tracker.frame(0, frame);
                }
                None => {}
            }
        })?;
        let instant = Instant::now();
        if read > 0
            && let Some(set) = self.clock.adjust(instant, system)
        {
            self.set(set);
        }
        let now = self.clock.now(instant);
        if unknown || now.since(self.looked) >= LOOK {
            self.look(now)?;
        }
        Ok(())
    }

    /// What is watched ends with the old time and begins anew with the new one. Conversations that began before the clock was
    /// set back are counted as they are: nothing tells how old they are now.
    fn set(&mut self, set: Set) {
        let Set { before, after } = set;
        let seconds = after.since(before) / SECOND;
        tracing::warn!(seconds, "the clock was set, or this machine slept");
        if after < before {
            self.tracker.let_go(after, &|_, _| true);
        }
        for watched in self.watched.values_mut() {
            let anew = Watched { since: after, frames: 0, foreign: 0, ..watched.clone() };
            let ended = Watched { until: Some(before), ..std::mem::replace(watched, anew) };
            self.went.push(ended);
        }
        self.started = self.started.plus(after.since(before));
        self.looked = after;
        self.addressed = after;
        self.set = Some(set);
    }

    /// The addresses of this machine itself.
    pub(crate) fn own_addresses(&self) -> &BTreeSet<IpAddr> {
        &self.own
    }

    /// What the clock shows.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now(Instant::now())
    }

    /// Says that an address changes hands.
    pub(crate) fn changes_hands(&mut self, ip: IpAddr, at: Timestamp) {
        self.tracker.changes_hands(ip, at);
    }

    /// What came since the last time; `last` if nothing comes after it.
    pub(crate) fn harvest(&mut self, last: bool) -> anyhow::Result<Harvest> {
        let instant = Instant::now();
        if let Some(set) = self.clock.adjust(instant, system) {
            self.set(set);
        }
        let at = self.clock.now(instant);
        let (own, all) = (&self.own, self.interfaces.all_recorded());
        let inside = self.interfaces.iter().any(|(_, one)| one.kind == Kind::Loopback && one.recorded);
        let sight = |client: IpAddr, dialled: IpAddr| match own.contains(&dialled) || dialled.is_loopback() {
            // What the machine itself answers goes out, and only what goes out through the loopback device comes in again.
            true => inside && (own.contains(&client) || client.is_loopback()),
            false => all,
        };
        let flushed = self.tracker.flush(if last { at.plus(SETTLED) } else { at }, &sight);
        for (_, flow) in &flushed.rows {
            self.progress.connections += flow.connections;
            self.hot.note(flow);
            self.edges.note(flow, at, &mut self.progress.last_new);
        }
        let counters = self.live.counters()?;
        let tally = self.tracker.tally();
        let since = Counters {
            received: counters.received - self.counters.received,
            dropped: counters.dropped - self.counters.dropped,
            dropped_by_interface: counters.dropped_by_interface.saturating_sub(self.counters.dropped_by_interface),
        };
        let unnamed = flushed.names.dropped();
        let harvest = Harvest {
            at,
            flushed,
            watched: std::mem::take(&mut self.went).into_iter().chain(self.watched.values().cloned()).collect(),
            counters: since,
            tally: difference(&tally, &self.tally),
            unnamed,
            set: self.set.take(),
        };
        self.watched.values_mut().for_each(|watched| (watched.frames, watched.foreign) = (0, 0));
        (self.counters, self.tally) = (counters, tally);
        Ok(harvest)
    }

    /// Numbers for people.
    pub(crate) fn progress(&mut self) -> Progress {
        let now = self.now();
        self.edges.recent.retain(|at| now.since(*at) < HOUR);
        Progress {
            edges: self.edges.known.len(),
            new_edges: self.edges.recent.len(),
            packets: self.counters.received,
            lost: self.counters.dropped + self.counters.dropped_by_interface,
            interfaces: self.watched.len(),
            held: self.tracker.held(),
            ..self.progress
        }
    }
}

/// UDP ports of tunnels that are encrypted: WireGuard, and Cilium's.
const OPAQUE: [u16; 2] = [51820, 51871];

impl Edges {
    fn note(&mut self, flow: &Flow, at: Timestamp, last_new: &mut Timestamp) {
        if !matches!(flow.outcome, Outcome::Established | Outcome::Answered | Outcome::OneWay) {
            return;
        }
        let edge: (Protocol, IpAddr, Option<Socket>, Option<Socket>) = match &flow.opening {
            Opening::Seen { client, dialled, served, .. } => (flow.protocol, client.ip, Some(*dialled), *served),
            Opening::Alike { client, dialled, served, .. } => (flow.protocol, *client, Some(*dialled), *served),
            Opening::Unseen { sides: [low, high] } => (flow.protocol, low.socket.ip, Some(high.socket), None),
        };
        if self.known.len() < MAX_EDGES && self.known.insert(self.key.hash_one(edge)) {
            self.recent.push_back(at);
            *last_new = at;
        }
    }
}

/// What was counted since `before`.
fn difference(now: &Tally, before: &Tally) -> Tally {
    fn less<K: Ord + Clone>(now: &BTreeMap<K, u64>, before: &BTreeMap<K, u64>) -> BTreeMap<K, u64> {
        let since =
            now.iter().map(|(key, count)| (key.clone(), count.saturating_sub(before.get(key).copied().unwrap_or(0))));
        since.filter(|(_, count)| *count > 0).collect()
    }
    let mut tally = now.clone();
    tally.decoded.frames -= before.decoded.frames;
    tally.decoded.packets -= before.decoded.packets;
    tally.decoded.skipped = less(&now.decoded.skipped, &before.decoded.skipped);
    tally.decoded.opaque = less(&now.decoded.opaque, &before.decoded.opaque);
    tally.decoded.evicted = now.decoded.evicted.saturating_sub(before.decoded.evicted);
    tally.remnants -= before.remnants;
    tally.evicted -= before.evicted;
    tally.unjoined -= before.unjoined;
    tally.forgotten -= before.forgotten;
    tally.dropped -= before.dropped;
    tally.lost -= before.lost;
    tally
}
