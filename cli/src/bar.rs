//! How far long work is, on a terminal.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often it is drawn.
const EVERY: Duration = Duration::from_millis(100);

/// Work that is shown, or not. The bar is gone when it is dropped.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// Work of which so much is to be done, if that is known.
    pub(crate) fn new(quiet: bool, what: &'static str, all: Option<u64>) -> Bar {
        let shown = !quiet && io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(all, target);
        let template = match all {
            Some(_) => "{bar:30} {human_pos} of {human_len} {prefix} {wide_msg}",
            None => "{spinner} {human_pos} {prefix}, {per_sec:.dim} {wide_msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(what);
        if shown {
            bar.enable_steady_tick(EVERY);
        }
        Bar(bar)
    }

    /// So much is done.
    pub(crate) fn at(&self, done: u64) {
        self.0.set_position(done);
    }

    /// What is being done.
    pub(crate) fn say(&self, what: &str) {
        self.0.set_message(what.to_string());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
