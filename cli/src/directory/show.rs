//! What would change, on stderr.

use std::fmt;
use std::io::{self, Write};

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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn shown(changes: &Changes, coloured: bool) -> String {
        let mut text = Vec::new();
        changes.show(&mut text, coloured).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn change(path: &str, action: Action, words: &[&str]) -> Change {
        Change { path: path.into(), action, words: words.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn a_line_for_each_file_and_one_for_all() {
        let changes = Changes {
            files: vec![
                change("shop/api.yaml", Action::Add(String::new()), &[]),
                change("shop/old.yaml", Action::Remove, &["selects no pod"]),
                change("shop/web.yaml", Action::Change(String::new()), &["ingress: +a 1/TCP", "egress: -b 2/TCP"]),
            ],
            stays: BTreeMap::from([("not watched", BTreeSet::from(["a/b.yaml".into(), "a/c.yaml".into()]))]),
            warnings: vec!["look".to_string()],
            ..Changes::default()
        };
        let plain = "+ shop/api.yaml\n- shop/old.yaml  selects no pod\n\
                     ~ shop/web.yaml  ingress: +a 1/TCP; egress: -b 2/TCP\nstays, not watched: a/b.yaml, a/c.yaml\n\
                     warning: look\nPlan: 1 to add, 1 to change, 1 to remove\n";
        assert_eq!(shown(&changes, false), plain);
        let coloured = shown(&changes, true);
        for head in [
            "\x1b[32m+ shop/api.yaml\x1b[0m\n",
            "\x1b[31m- shop/old.yaml\x1b[0m  s",
            "\x1b[33m~ shop/web.yaml\x1b[0m  i",
        ] {
            assert!(coloured.contains(head), "{coloured:?}");
        }
        let without =
            ["\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[0m"].iter().fold(coloured, |text, code| text.replace(code, ""));
        assert_eq!(without, plain, "colours are all that differs");
    }

    #[test]
    fn nothing_to_do() {
        for (policies, said) in [
            (0, "No changes. 0 policies are up to date.\n"),
            (1, "No changes. 1 policy is up to date.\n"),
            (1200, "No changes. 1,200 policies are up to date.\n"),
        ] {
            assert_eq!(shown(&Changes { policies, ..Changes::default() }, true), said);
        }
    }
}
