//! When to stop: SIGTERM, SIGINT.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

/// Whether somebody asked for an end.
#[derive(Debug, Clone)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Waits for signals from now on; the second one ends the process at once.
    pub(crate) fn on_signals() -> anyhow::Result<Stop> {
        let stop = Stop(Arc::default());
        let asked = stop.0.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("waiting for signals")?;
        let (mut terminate, mut interrupt) = {
            let _guard = runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        std::thread::Builder::new().name("signals".to_string()).spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = terminate.recv() => {}
                        _ = interrupt.recv() => {}
                    }
                    if asked.swap(true, Ordering::Relaxed) {
                        std::process::exit(130);
                    }
                }
            });
        })?;
        Ok(stop)
    }

    /// Whether it was.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Asks for an end.
    pub(crate) fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
