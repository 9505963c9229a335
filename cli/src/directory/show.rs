//! What would change, on stderr.

use std::env;
use std::fmt;
use std::io::{self, IsTerminal, Write};

use synth::render::thousands;

use super::plan::{Action, Change, Changes};

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.action {
            Action::Add(_) => '+',
            Action::Change(_) => '~',
            Action::Remove => '-',
        };
        write!(f, "{sign} {}", self.path.display())
    }
}

impl Changes {
    /// Whether nothing changes.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Writes a line for each file and one for all, and what is left alone.
    pub(crate) fn show(&self, err: &mut impl Write, coloured: bool) -> io::Result<()> {
        for change in &self.files {
            let colour = match change.action {
                Action::Add(_) => "32",
                Action::Change(_) => "33",
                Action::Remove => "31",
            };
            let head = if coloured { format!("\x1b[{colour}m{change}\x1b[0m") } else { change.to_string() };
            match change.words.as_slice() {
                [] => writeln!(err, "{head}")?,
                words => writeln!(err, "{head}  {}", words.join("; "))?,
            }
        }
        for (why, paths) in &self.stays {
            let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            writeln!(err, "stays, {why}: {}", paths.join(", "))?;
        }
        for warning in &self.warnings {
            writeln!(err, "warning: {warning}")?;
        }
        let of = |is: fn(&Action) -> bool| self.files.iter().filter(|change| is(&change.action)).count();
        if self.is_empty() {
            let what = match self.policies {
                1 => "1 policy is".to_string(),
                several => format!("{} policies are", thousands(several as u64)),
            };
            writeln!(err, "No changes. {what} up to date.")
        } else {
            let added = of(|action| matches!(action, Action::Add(_)));
            let changed = of(|action| matches!(action, Action::Change(_)));
            let removed = of(|action| matches!(action, Action::Remove));
            writeln!(err, "Plan: {added} to add, {changed} to change, {removed} to remove")
        }
    }
}

/// Whether stderr takes colours: it is a terminal, and nobody said no (<https://no-color.org>).
pub(crate) fn is_coloured() -> bool {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_some_and(|value| value == "dumb");
    io::stderr().is_terminal() && !refused && !is_dumb
}
