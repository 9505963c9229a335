//! A recorder and the log that it writes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use capture::file::Interface;
use capture::packet::Skipped;
use capture::{LinkType, Timestamp};

use super::clock::Set;
use super::fold::Fold;
use super::recorder::{Harvest, Progress, Recorder, Watched};
use crate::log::{Batch, KnownPod, Log, ObserverId, Tenure};
use crate::source::Source;

/// Rows that wait for a disk that is full, at most. Beyond it recording ends: what is not written down is no evidence.
const MAX_WAITING: usize = 500_000;

/// What a log may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Nanoseconds after which what was seen for the last time leaves.
    pub(crate) keep: i64,
    /// Bytes beyond which the oldest leaves before that.
    pub(crate) size: u64,
}

/// The kernel hands packets over a tenth of a second after they came at the latest ([`capture::live`]), and a busy machine
/// later.
const LEFT: Duration = Duration::from_millis(300);

/// How often a log is held against its bounds.
const BOUNDED: Duration = Duration::from_secs(60);

/// A recording.
pub(crate) struct Session {
    pub(crate) recorder: Recorder,
    log: Log,
    observer: ObserverId,
    /// What could not be written yet.
    waiting: VecDeque<Batch>,
    /// When the last flush was written.
    pub(crate) written: Option<Timestamp>,
    /// When the socket was opened: tells this run from others.
    started: Timestamp,
    /// The clock was set back, and whoever notes pods has not been told.
    set_back: Option<Set>,
    flushed: Instant,
    every: Duration,
    bounds: Option<Bounds>,
    /// When the log was last held against them.
    bounded: Instant,
    fold: Fold,
    /// Conversations with outside addresses of which only a range was written.
    pub(crate) folded: u64,
    /// Pods and tenures that are new.
    pods: Vec<KnownPod>,
    tenures: Vec<Tenure>,
}

impl Session {
    /// Records into `log`, `every` so often; `max_external` outside addresses are kept apart.
    pub(crate) fn new(
        recorder: Recorder,
        log: Log,
        observer: ObserverId,
        every: Duration,
        max_external: usize,
        bounds: Option<Bounds>,
    ) -> Session {
        Session {
            log,
            observer,
            waiting: VecDeque::new(),
            written: None,
            started: recorder.now(),
            set_back: None,
            flushed: Instant::now(),
            every,
            bounds,
            bounded: Instant::now(),
            fold: Fold::new(max_external),
            folded: 0,
            pods: Vec::new(),
            tenures: Vec::new(),
            recorder,
        }
    }

    /// Lets go of what the log is not to hold.
    fn bound(&mut self, Bounds { keep, size }: Bounds) -> anyhow::Result<()> {
        self.bounded = Instant::now();
        let now = self.recorder.now();
        self.log.forget(self.observer, now.plus(-keep))?;
        if let Some(until) = self.log.shrink(self.observer, size, now)? {
            tracing::warn!(%until, size, "the flow log is full: what was last seen before this time is gone");
        }
        Ok(())
    }

    /// Records for a moment, and writes if it is time.
    pub(crate) fn step(&mut self) -> anyhow::Result<()> {
        self.recorder.step(200)?;
        if self.flushed.elapsed() >= self.every {
            self.flush(false)?;
        }
        if let Some(bounds) = self.bounds
            && self.bounded.elapsed() >= BOUNDED
            && let Err(error) = self.bound(bounds)
        {
            tracing::error!("the flow log cannot be made smaller: {error:#}");
        }
        Ok(())
    }

    /// That the clock was set back, told once.
    pub(crate) fn set_back(&mut self) -> Option<Set> {
        self.set_back.take()
    }

    /// Notes what is known of pods.
    pub(crate) fn note(&mut self, pod: Option<KnownPod>, tenure: Option<Tenure>) {
        if let Some(tenure) = &tenure {
            self.fold.is_inside(tenure.address);
            self.recorder.changes_hands(tenure.address, tenure.until.unwrap_or(tenure.since));
        }
        self.pods.extend(pod);
        self.tenures.extend(tenure);
    }

    /// Notes that this machine's own addresses are those of its node.
    pub(crate) fn note_own_node(&mut self) {
        let of_node = |ip: &&std::net::IpAddr| match ip {
            std::net::IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
            std::net::IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
        };
        let own = self.recorder.own_addresses().iter().filter(of_node);
        let tenure =
            |ip: &std::net::IpAddr| Tenure { address: *ip, pod: String::new(), since: self.started, until: None };
        self.tenures.extend(own.map(tenure));
    }

    /// Writes what came since the last time. Where the disk does not take it, it waits for the next time.
    fn flush(&mut self, last: bool) -> anyhow::Result<()> {
        self.flushed = Instant::now();
        let harvest = self.recorder.harvest(last)?;
        let at = harvest.at;
        let batch = self.batch(harvest);
        // Attempts that wait are told anew each time.
        self.waiting.iter_mut().for_each(|batch| batch.pending.clear());
        self.waiting.push_back(batch);
        while let Some(batch) = self.waiting.front() {
            match self.log.append(self.observer, batch) {
                Ok(_) => {
                    self.waiting.pop_front();
                    self.written = Some(at);
                }
                Err(error) if self.rows() > MAX_WAITING => {
                    return Err(error.context("more waits to be written than memory is for"));
                }
                Err(error) => {
                    tracing::error!(waiting = self.rows(), "cannot write, and will try again: {error:#}");
                    break;
                }
            }
        }
        Ok(())
    }

    /// Rows that wait to be written.
    pub(crate) fn rows(&self) -> usize {
        self.waiting.iter().map(|batch| batch.counted.len() + batch.names.len()).sum()
    }

    /// Writes the rest.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn finish(mut self) -> anyhow::Result<Progress> {
        // What the kernel has not handed over yet was there before the end.
        let end = Instant::now() + LEFT;
        while Instant::now() < end {
            self.recorder.step(50)?;
        }
        self.flush(true)?;
        if let Some(batch) = self.waiting.front() {
            self.log.append(self.observer, batch)?;
        }
        Ok(self.recorder.progress())
    }

    fn batch(&mut self, harvest: Harvest) -> Batch {
        let Harvest { at, mut flushed, watched, counters, mut tally, unnamed, set } = harvest;
        // Every frame is in one bucket.
        let foreign: u64 = watched.iter().map(|watched| watched.foreign).sum();
        if foreign > 0 {
            tally.decoded.frames += foreign;
            *tally.decoded.skipped.entry(Skipped::Foreign).or_default() += foreign;
        }
        self.recorder.own_addresses().iter().for_each(|ip| self.fold.is_inside(*ip));
        let folded = self.fold.rows(&mut flushed.rows);
        self.folded += folded.values().sum::<u64>();
        // Attempts that wait are told anew each time, and are counted when they are over.
        let waiting = self.fold.rows(&mut flushed.pending).into_keys().map(|range| (range, 0));
        let folded = waiting.chain(folded).collect();
        let mut sources: Vec<Source> = watched.iter().map(|watched| source(watched, at)).collect();
        if let Some(set) = set {
            self.started = set.after;
            self.set_back = (set.after < set.before).then_some(set);
        }
        // The kernel counts what it loses for the socket, not for the interfaces.
        let mut socket = source(&Watched::socket(self.started), at);
        for interface in &mut socket.interfaces {
            interface.received = Some(counters.received);
            interface.dropped_by_system = Some(counters.dropped);
            interface.dropped_by_interface = Some(counters.dropped_by_interface);
        }
        socket.id = "socket".to_string();
        sources.push(socket);
        Batch {
            counted: flushed.rows,
            pending: flushed.pending,
            folded,
            names: flushed.names.iter().map(|(ip, name, asker)| (ip, name.to_string(), asker)).collect(),
            sources,
            tally,
            unnamed,
            pods: std::mem::take(&mut self.pods),
            tenures: std::mem::take(&mut self.tenures),
            ..Batch::default()
        }
    }
}

/// An interface, from when it was attached until now.
fn source(watched: &Watched, at: Timestamp) -> Source {
    let interface = Interface {
        name: Some(watched.name.clone()),
        link: LinkType::LinuxSll2,
        frames: watched.frames,
        received: None,
        accepted: None,
        dropped_by_interface: None,
        dropped_by_system: None,
    };
    Source {
        id: watched.name.clone(),
        run: watched.since.0,
        name: watched.name.clone(),
        position: 0,
        span: Some((watched.since, watched.until.unwrap_or(at).max(watched.since))),
        frames: watched.frames,
        damaged: 0,
        first_damaged: None,
        damage: None,
        interfaces: vec![interface],
    }
}
