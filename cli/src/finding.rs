//! One shape of a finding, whichever command found it and however it is written: table, JSON, SARIF, markdown.
//!
//! A command makes [`Item`]s and brings the [`Rule`]s they are of. [`crate::ignore`] takes out those that somebody
//! decided to live with, and [`crate::sarif`] and [`crate::markdown`] write the rest; the machine format of each command
//! is in [`Item::details`].

use std::fmt;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use synth::policy::Origin;

use crate::cluster;
use crate::exit::Exit;

/// How much a finding matters; the worst comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// Something is wrong.
    Error,
    /// Something is probably wrong.
    Warning,
    /// Worth knowing; does not count for the exit code.
    Note,
}

impl Severity {
    /// The word of the machine formats, which is also SARIF's `level` (2.1.0 §3.27.10).
    pub(crate) fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// What findings can be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Stable: `unused`, `not_enforced`, `exposure/etcd-access`.
    pub(crate) id: String,
    /// One line without a full stop.
    pub(crate) summary: String,
    /// What it means and what to do, in sentences.
    pub(crate) description: String,
    /// How much such a finding matters if nothing else is said.
    pub(crate) severity: Severity,
}

impl Rule {
    /// A rule.
    pub(crate) fn new(id: &str, severity: Severity, summary: &str, description: &str) -> Rule {
        Rule { id: id.to_string(), severity, summary: summary.to_string(), description: description.to_string() }
    }
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The file as the user named it.
    pub(crate) file: String,
    /// 1-based.
    pub(crate) line: u32,
}

impl Place {
    /// The place of an object that was read from a file; `None` for stdin, a live cluster, and objects that were in no file.
    pub(crate) fn of(origin: &Origin) -> Option<Place> {
        let is_file = !matches!(&*origin.file, "" | "stdin") && !cluster::is_name(&origin.file);
        let known = origin.line > 0 && is_file;
        known.then(|| Place { file: origin.file.to_string(), line: origin.line })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// One finding.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// The id of its [`Rule`].
    pub(crate) rule: String,
    /// How much it matters.
    pub(crate) severity: Severity,
    /// What it is about: text that stays the same when lines move, when findings come in another order and when things
    /// are counted again: `shop/Deployment/web -> shop/Deployment/api:8080/TCP`.
    pub(crate) key: String,
    /// Where it can be mended; `None` where that is in no file of the input.
    pub(crate) place: Option<Place>,
    /// Other places that have to do with it.
    pub(crate) related: Vec<Place>,
    /// What is wrong, on one line.
    pub(crate) message: String,
    /// The finding in the machine format of its command.
    pub(crate) details: Box<RawValue>,
}

impl Item {
    /// A finding without a place.
    ///
    /// # Errors
    /// Details that are no JSON, such as a map with keys that are no text.
    pub(crate) fn new(
        rule: &str,
        severity: Severity,
        key: String,
        message: String,
        details: &impl Serialize,
    ) -> anyhow::Result<Item> {
        let (rule, details) = (rule.to_string(), to_raw_value(details)?);
        Ok(Item { rule, severity, key, place: None, related: Vec::new(), message, details })
    }

    /// The same finding at a place, and at others that have to do with it.
    pub(crate) fn at(mut self, places: impl IntoIterator<Item = Place>) -> Item {
        let mut places = places.into_iter();
        self.place = places.next();
        self.related = places.collect();
        self
    }

    /// 16 hexadecimal digits of rule and key: FNV-1a of 64 bits (RFC 9923), which is the same on every machine and in
    /// every version.
    pub(crate) fn fingerprint(&self) -> String {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in self.rule.bytes().chain([0]).chain(self.key.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        format!("{hash:016x}")
    }
}

/// Whether findings count for the exit code: notes do not.
pub(crate) fn exit<'a>(items: impl IntoIterator<Item = &'a Item>) -> Exit {
    match items.into_iter().any(|item| item.severity != Severity::Note) {
        true => Exit::Findings,
        false => Exit::Fine,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An item without details.
    pub(crate) fn item(rule: &str, severity: Severity, key: &str) -> Item {
        Item::new(rule, severity, key.to_string(), format!("{key} is wrong"), &serde_json::json!({})).unwrap()
    }

    #[test]
    fn fingerprints_are_of_rule_and_key_alone() {
        let one = item("unused", Severity::Warning, "shop/api ingress");
        let moved = Item { message: "3 of 7".to_string(), severity: Severity::Note, ..one.clone() }
            .at([Place { file: "a.yaml".to_string(), line: 7 }]);
        assert_eq!(one.fingerprint(), moved.fingerprint());
        assert_eq!(one.fingerprint(), "952be1580d1d5fdd", "it may not change with a version");
        for other in [("unused", "shop/api egress"), ("dead", "shop/api ingress"), ("unuse", "dshop/api ingress")] {
            assert_ne!(item(other.0, Severity::Warning, other.1).fingerprint(), one.fingerprint());
        }
    }

    #[test]
    fn notes_do_not_count() {
        let note = item("a", Severity::Note, "x");
        assert_eq!(exit([&note]), Exit::Fine);
        assert_eq!(exit([&note, &item("a", Severity::Warning, "x")]), Exit::Findings);
    }

    #[test]
    fn only_files_are_places() {
        let at = |file: &str, line| Place::of(&Origin { file: file.into(), line }).map(|place| place.to_string());
        assert_eq!(at("a/b.yaml", 3).as_deref(), Some("a/b.yaml:3"));
        assert_eq!([at("stdin", 3), at("", 3), at("a.yaml", 0)], [None, None, None]);
        assert_eq!(at("context staging (https://10.0.0.1:6443)", 3), None);
    }
}
