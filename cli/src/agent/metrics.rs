//! How the agent is, for Prometheus and for the kubelet.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::tenures::Change;
use crate::record::session::Session;

/// Nothing was written for so long: the recorder is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// What is known of the recorder, by everybody.
#[derive(Debug)]
pub(crate) struct Status {
    log: PathBuf,
    bytes: Gauge,
    registry: Registry,
    connections: Counter,
    packets: Counter,
    lost: Counter,
    folded: Counter,
    edges: Gauge,
    new_edges: Gauge,
    held: Gauge,
    interfaces: Gauge,
    /// What the watch told.
    changes: Counter,
    unwritten: Gauge,
    written: Gauge<f64, AtomicU64>,
    /// The node's pods have been listed.
    listed: AtomicBool,
    /// When the recorder last turned.
    turned: Mutex<Instant>,
    /// And wrote.
    flushed: Mutex<Option<Instant>>,
}

impl Status {
    pub(super) fn new(node: &str, log: &Path) -> Status {
        let mut registry =
            Registry::with_prefix_and_labels("ringfence", [("node".into(), node.to_string().into())].into_iter());
        let (connections, packets, lost) = (Counter::default(), Counter::default(), Counter::default());
        let gauges: [Gauge; 5] = Default::default();
        let [edges, new_edges, held, interfaces, unwritten] = gauges;
        let (changes, folded) = (Counter::default(), Counter::default());
        let written = Gauge::<f64, AtomicU64>::default();
        registry.register("connections", "Connections and UDP conversations counted", connections.clone());
        registry.register("packets", "Packets that passed the in-kernel filter", packets.clone());
        registry.register("packets_lost", "Packets that passed and were lost: there was no room", lost.clone());
        registry.register(
            "external_folded",
            "Conversations with outside addresses that were written as ranges: there are too many",
            folded.clone(),
        );
        registry.register("edges", "Different clients and servers among conversations that worked", edges.clone());
        registry.register("edges_new", "Edges first seen within the last hour", new_edges.clone());
        registry.register("conversations_held", "Conversations in memory", held.clone());
        registry.register("interfaces", "Interfaces that are recorded", interfaces.clone());
        registry.register("pod_changes", "Addresses that pods of the node took or left", changes.clone());
        registry.register("rows_unwritten", "Rows that wait because the log could not be written", unwritten.clone());
        registry.register_with_unit(
            "log_written",
            "When the flow log was last written",
            Unit::Seconds,
            written.clone(),
        );
        let bytes = Gauge::default();
        registry.register_with_unit("log", "Size of the flow log", Unit::Bytes, bytes.clone());
        Status {
            log: log.to_path_buf(),
            bytes,
            registry,
            connections,
            packets,
            lost,
            folded,
            edges,
            new_edges,
            held,
            interfaces,
            changes,
            unwritten,
            written,
            listed: AtomicBool::new(false),
            turned: Mutex::new(Instant::now()),
            flushed: Mutex::new(None),
        }
    }

    /// Takes what the watch told.
    pub(super) fn told(&self, change: &Change) {
        match change {
            Change::Complete { .. } => self.listed.store(true, Ordering::Relaxed),
            Change::Held { .. } | Change::Released { .. } => {
                self.changes.inc();
            }
            Change::OnHost { .. } => {}
        }
    }

    /// Takes how the recorder is.
    pub(super) fn update(&self, session: &mut Session) {
        let set = |gauge: &Gauge, value: usize| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        let count = |counter: &Counter, value: u64| counter.inc_by(value.saturating_sub(counter.get()));
        *self.turned.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let progress = session.recorder.progress();
        count(&self.connections, progress.connections);
        count(&self.packets, progress.packets);
        count(&self.lost, progress.lost);
        count(&self.folded, session.folded);
        set(&self.edges, progress.edges);
        set(&self.new_edges, progress.new_edges);
        set(&self.held, progress.held);
        set(&self.interfaces, progress.interfaces);
        set(&self.unwritten, session.rows());
        if let Some(written) = session.written
            && self.written.get() != written.0 as f64 / 1e9
        {
            self.written.set(written.0 as f64 / 1e9);
            self.bytes.set(i64::try_from(super::size(&self.log)).unwrap_or(i64::MAX));
            *self.flushed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    /// Whether the recorder turns; else what is wrong.
    pub(super) fn health(&self) -> Result<(), String> {
        let still = self.turned.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        if still < STUCK { Ok(()) } else { Err(format!("the recorder has not turned for {} s", still.as_secs())) }
    }

    /// Whether everything is being learned; else what is missing.
    pub(super) fn readiness(&self) -> Result<(), String> {
        self.health()?;
        if !self.listed.load(Ordering::Relaxed) {
            return Err("the pods of this node have not been listed yet".to_string());
        }
        match *self.flushed.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Err("nothing has been written yet".to_string()),
            Some(flushed) if flushed.elapsed() > STUCK => {
                Err(format!("nothing has been written for {} s", flushed.elapsed().as_secs()))
            }
            Some(_) => Ok(()),
        }
    }

    /// In the text format of OpenMetrics.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
