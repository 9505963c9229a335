//! When to stop: SIGTERM, SIGINT.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// Whether somebody asked for an end.
#[derive(Debug, Clone)]
pub(crate) struct Stop(Arc<(AtomicBool, Notify)>);

impl Stop {
    /// Waits for signals from now on; the second one ends the process at once.
    pub(crate) fn on_signals() -> anyhow::Result<Stop> {
        let stop = Stop(Arc::default());
        let asked = stop.clone();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("waiting for signals")?;
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
                    if asked.is_asked() {
                        std::process::exit(130);
                    }
                    asked.ask();
                }
            });
        })?;
        Ok(stop)
    }

    /// Whether it was.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.0.load(Ordering::Relaxed)
    }

    /// Asks for an end.
    pub(crate) fn ask(&self) {
        self.0.0.store(true, Ordering::Relaxed);
        self.0.1.notify_one();
    }

    /// Waits until somebody does.
    pub(crate) async fn asked(&self) {
        while !self.is_asked() {
            self.0.1.notified().await;
        }
    }
}
