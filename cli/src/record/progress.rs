//! The line that a terminal shows while something is recorded.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::recorder::Progress;
use crate::summary::number;

/// How often it changes.
const EVERY: Duration = Duration::from_secs(1);

/// Nothing was counted for so many seconds: there is no rate.
const LONG: f64 = 10.0;

/// The line, and what it showed last.
#[derive(Debug, Default)]
pub(crate) struct Line {
    shown: Option<Instant>,
    /// Connections, when they changed last, and their rate since the time before that.
    counted: Option<(u64, Instant, f64)>,
}

impl Line {
    /// Shows what is there if it is time.
    pub(crate) fn show(&mut self, now: Instant, progress: impl FnOnce() -> Progress) -> io::Result<()> {
        if self.shown.is_some_and(|shown| now.saturating_duration_since(shown) < EVERY) {
            return Ok(());
        }
        self.shown = Some(now);
        let progress = progress();
        // Connections are counted at each flush: the rate is that of the last one until the next.
        let (known, since, rate) = *self.counted.get_or_insert((progress.connections, now, 0.0));
        let passed = now.saturating_duration_since(since).as_secs_f64();
        let more = progress.connections.saturating_sub(known);
        let rate = if more == 0 && passed < LONG { rate } else { more as f64 / passed.max(0.001) };
        if more > 0 || passed >= LONG {
            self.counted = Some((progress.connections, now, rate));
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
