//! The line that a terminal shows while something is recorded.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::recorder::Progress;
use crate::summary::number;

/// How often it changes.
const EVERY: Duration = Duration::from_secs(1);

/// The line, and what it showed last.
#[derive(Debug, Default)]
pub(crate) struct Line {
    shown: Option<(Instant, u64)>,
}

impl Line {
    /// Shows what is there if it is time.
    pub(crate) fn show(&mut self, now: Instant, progress: impl FnOnce() -> Progress) -> io::Result<()> {
        if self.shown.is_some_and(|(shown, _)| now.saturating_duration_since(shown) < EVERY) {
            return Ok(());
        }
        let progress = progress();
        let rate = self.shown.map_or(0.0, |(shown, connections)| {
            let passed = now.saturating_duration_since(shown).as_secs_f64();
            progress.connections.saturating_sub(connections) as f64 / passed.max(0.001)
        });
        // Connections are counted at each flush, so the rate is that of the last one until the next.
        if self.shown.is_none_or(|(_, connections)| connections != progress.connections) {
            self.shown = Some((now, progress.connections));
        }
        write!(io::stderr(), "\r\x1b[K{}", text(&progress, rate))?;
        io::stderr().flush()
    }

    /// Takes the line away.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        write!(io::stderr(), "\r\x1b[K")
    }
}

fn text(progress: &Progress, rate: f64) -> String {
    let Progress { connections, edges, new_edges, lost, interfaces, .. } = *progress;
    format!(
        "{} connections, {rate:.0}/s; {} edges, {} of them new within the hour; {} packets lost; {interfaces} interfaces",
        number(connections),
        number(edges as u64),
        number(new_edges as u64),
        number(lost)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_recorded() {
        let progress = Progress { connections: 1204, edges: 34, new_edges: 2, interfaces: 5, ..Progress::default() };
        assert_eq!(
            text(&progress, 12.4),
            "1,204 connections, 12/s; 34 edges, 2 of them new within the hour; 0 packets lost; 5 interfaces"
        );
    }
}
