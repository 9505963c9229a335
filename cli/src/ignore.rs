//! `--ignore FILE`: findings that somebody decided to live with, why, and until when.
//!
//! ```yaml
//! - id: uncovered shop/Deployment/web -> *     # a rule and what it is about, `*` for any text
//!   reason: the mesh encrypts and authorizes these
//!   expires: 2027-01-31                        # the last day on which it holds, in UTC
//! - id: volatile-label                         # a rule: all of its findings
//!   reason: canaries are selected on purpose
//! - id: 2b98ab4ea2a1ea0e                       # a fingerprint: this one finding
//!   reason: ticket 4711
//! ```

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use capture::Timestamp;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use synth::manifest::node::{self, Node, Value};
use synth::pattern::is_like;

use crate::catalogue;
use crate::complaint::{Code, Complain};
use crate::finding::{Item, Place, Rule, Severity};

/// Fixes the date for tests, as `2026-11-01`.
const TODAY: &str = "RINGFENCE_TODAY";

/// The id of the finding about an entry that no longer holds.
pub(crate) const EXPIRED: &str = "ignore-expired";

/// Why a finding is not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hidden {
    /// `reason` of the entry.
    pub(crate) reason: String,
    /// Where the entry stands.
    pub(crate) place: Place,
}

/// An ignored finding in the machine formats.
#[derive(Debug, Serialize)]
pub(crate) struct IgnoredFinding<'a> {
    finding: &'a RawValue,
    reason: &'a str,
    file: &'a str,
    line: u32,
}

/// One entry of a file.
#[derive(Debug)]
struct Entry {
    /// `id` as written.
    id: String,
    /// The rule; any where only a fingerprint is given.
    rule: Option<String>,
    about: About,
    reason: String,
    /// The last day on which it holds.
    expires: Option<String>,
    place: Place,
    /// How many findings it fits.
    fits: Cell<usize>,
}

#[derive(Debug, PartialEq, Eq)]
enum About {
    Everything,
    Key(String),
    Fingerprint(String),
}

/// All entries of all files.
#[derive(Debug, Default)]
pub(crate) struct Ignores {
    entries: Vec<Entry>,
    /// The day in UTC, `2026-11-01`.
    today: String,
}

/// Findings told apart; `T` is whatever the command keeps beside each.
#[derive(Debug)]
pub(crate) struct Sorted<T> {
    /// Those that nobody ignores.
    pub(crate) shown: Vec<(Item, T)>,
    /// Those that somebody does.
    pub(crate) hidden: Vec<(Item, T, Hidden)>,
    /// Entries that no longer hold, each a finding of the rule [`EXPIRED`].
    pub(crate) expired: Vec<Item>,
    /// What else to tell people, one line each: entries that fit nothing.
    pub(crate) warnings: Vec<String>,
}

impl<T> Sorted<T> {
    /// All that is to be reported: the findings and the entries that no longer hold.
    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        self.shown.iter().map(|(item, _)| item).chain(&self.expired)
    }

    /// What is ignored, and why.
    pub(crate) fn ignored(&self) -> impl Iterator<Item = (&Item, &Hidden)> {
        self.hidden.iter().map(|(item, _, why)| (item, why))
    }

    /// What is ignored, for the machine formats.
    pub(crate) fn ignored_json(&self) -> Vec<IgnoredFinding<'_>> {
        let entries = self.ignored().map(|(item, why)| (&*item.details, why.reason.as_str(), &why.place));
        entries
            .map(|(finding, reason, Place { file, line })| IgnoredFinding { finding, reason, file, line: *line })
            .collect()
    }

    /// The entries that no longer hold, for the machine formats.
    pub(crate) fn expired_json(&self) -> Vec<&RawValue> {
        self.expired.iter().map(|item| &*item.details).collect()
    }

    /// Tells people about entries that no longer hold or fit nothing.
    ///
    /// # Errors
    /// Whatever writing to stderr fails with.
    pub(crate) fn warn(&self, quiet: bool) -> io::Result<()> {
        let mut err = io::stderr().lock();
        for item in &self.expired {
            let place = item.place.as_ref().map(ToString::to_string).unwrap_or_default();
            writeln!(err, "error: {place}: {}", item.message)?;
        }
        for warning in self.warnings.iter().filter(|_| !quiet) {
            writeln!(err, "warning: {warning}")?;
        }
        Ok(())
    }

    /// `, 3 ignored`, or nothing.
    pub(crate) fn ignored_words(&self) -> String {
        match self.hidden.len() {
            0 => String::new(),
            count => format!(", {} ignored", crate::summary::number(count as u64)),
        }
    }
}

/// The rule of findings about the entries themselves.
pub(crate) fn rule() -> Rule {
    let description = "An entry of an ignore file has passed its day and hides nothing any more. Mend what it was about, or decide again.";
    Rule::new(EXPIRED, Severity::Error, "an entry of an ignore file has expired", description)
}

impl Ignores {
    /// Reads the files of `--ignore`.
    ///
    /// # Errors
    /// Files that cannot be read, and every entry that is not as it should be, each with its place.
    pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Ignores> {
        Ignores::read_all(paths).complain(Code::List, || {
            "--ignore takes a YAML list of `id` and `reason`, and `expires` if it is not for good".to_string()
        })
    }

    fn read_all(paths: &[PathBuf]) -> anyhow::Result<Ignores> {
        if paths.is_empty() {
            return Ok(Ignores::default());
        }
        let mut entries = Vec::new();
        let mut errors = Vec::new();
        for path in paths {
            let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
            parse(&path.display().to_string(), &text, &mut entries, &mut errors);
        }
        if !errors.is_empty() {
            bail!("{}", errors.join("\n"));
        }
        Ok(Ignores { entries, today: today()? })
    }

    /// Whether there are files at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Tells findings apart; `rules` are those that the command could have found something of.
    ///
    /// # Errors
    /// None in practice: details are made of text and numbers.
    pub(crate) fn sort<T>(&self, rules: &[Rule], found: Vec<(Item, T)>) -> anyhow::Result<Sorted<T>> {
        let mut sorted = Sorted { shown: Vec::new(), hidden: Vec::new(), expired: Vec::new(), warnings: Vec::new() };
        for (item, beside) in found {
            match self.hide(&item) {
                Some(hidden) => sorted.hidden.push((item, beside, hidden)),
                None => sorted.shown.push((item, beside)),
            }
        }
        // What is about the findings of another command may wait for that.
        let concerned = |entry: &&Entry| match &entry.rule {
            Some(id) => rules.iter().any(|rule| rule.id == *id),
            None => true,
        };
        for entry in self.entries.iter().filter(concerned) {
            if let Some(day) = self.expiry(entry) {
                sorted.expired.push(entry.expired(day)?);
            } else if entry.fits.get() == 0 {
                let Entry { place, id, .. } = entry;
                sorted.warnings.push(format!("{place}: `{id}` fits no finding: it can be removed"));
            }
        }
        Ok(sorted)
    }

    /// The first entry that fits and still holds.
    fn hide(&self, item: &Item) -> Option<Hidden> {
        let mut hidden = None;
        for entry in self.entries.iter().filter(|entry| entry.fits(item)) {
            entry.fits.set(entry.fits.get() + 1);
            if hidden.is_none() && self.expiry(entry).is_none() {
                hidden = Some(Hidden { reason: entry.reason.clone(), place: entry.place.clone() });
            }
        }
        hidden
    }

    /// The last day of an entry that no longer holds.
    fn expiry<'e>(&self, entry: &'e Entry) -> Option<&'e str> {
        entry.expires.as_deref().filter(|day| *day < self.today.as_str())
    }
}

impl Entry {
    fn fits(&self, item: &Item) -> bool {
        self.rule.as_ref().is_none_or(|rule| *rule == item.rule)
            && match &self.about {
                About::Everything => true,
                About::Key(pattern) => is_like(&item.key, pattern),
                About::Fingerprint(fingerprint) => *fingerprint == item.fingerprint(),
            }
    }

    fn expired(&self, day: &str) -> anyhow::Result<Item> {
        let Entry { id, reason, place, .. } = self;
        let does = match self.fits.get() {
            0 => "it would fit nothing, so it can be removed".to_string(),
            1 => "the finding it hid is shown again".to_string(),
            count => format!("the {count} findings it hid are shown again"),
        };
        let message = format!("`{id}` ({reason}) expired on {day}: {does}");
        let details = json!({
            "id": EXPIRED, "file": place.file, "line": place.line,
            "ignored": id, "reason": reason, "expired": day, "message": message,
        });
        Ok(Item::new(EXPIRED, Severity::Error, id.clone(), message, &details)?.at([place.clone()]))
    }
}

/// The day in UTC.
fn today() -> anyhow::Result<String> {
    if let Ok(day) = std::env::var(TODAY) {
        if !is_day(&day) {
            bail!("{TODAY}: {day:?} is not a day such as 2026-11-01");
        }
        return Ok(day);
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    Ok(Timestamp(i64::try_from(since.as_nanos())?).date())
}

fn is_day(text: &str) -> bool {
    text.len() == 10 && format!("{text}T00:00:00Z").parse::<Timestamp>().is_ok()
}

fn parse(file: &str, text: &str, entries: &mut Vec<Entry>, errors: &mut Vec<String>) {
    let root = match node::parse(text, 1) {
        Ok(root) => root,
        Err(error) => return errors.push(format!("{file}:{}: {}", error.line, error.message)),
    };
    let known: BTreeSet<String> = catalogue::all().into_iter().map(|rule| rule.id).collect();
    let items = match &root.value {
        Value::Null => return,
        Value::Sequence(items) => items,
        other => {
            return errors.push(format!("{file}:{}: a list of entries is expected, not {}", root.line, other.kind()));
        }
    };
    for item in items {
        match entry(file, item, &known) {
            Ok(entry) => entries.push(entry),
            Err((line, message)) => errors.push(format!("{file}:{line}: {message}")),
        }
    }
}

fn entry(file: &str, item: &Node, known: &BTreeSet<String>) -> Result<Entry, (u32, String)> {
    let Value::Mapping(fields) = &item.value else {
        return Err((item.line, format!("an entry has `id` and `reason`, this is {}", item.value.kind())));
    };
    for (key, _) in fields {
        if !matches!(key.text.as_str(), "id" | "reason" | "expires") {
            return Err((key.line, format!("unknown field `{}`: an entry has `id`, `reason` and `expires`", key.text)));
        }
    }
    let text = |name: &str| match item.get(name) {
        None => Ok(None),
        Some(field) => match field.text().map(str::trim) {
            Some(text) if !text.is_empty() => Ok(Some(text.to_string())),
            Some(_) => Err((field.line, format!("`{name}` is empty"))),
            None => Err((field.line, format!("`{name}` is {}, not text: write it in quotes", field.value.kind()))),
        },
    };
    let missing = |name: &str| (item.line, format!("an entry without `{name}`"));
    let id = text("id")?.ok_or_else(|| missing("id"))?;
    let line = item.get("id").map_or(item.line, |field| field.line);
    let (rule, about) = read_id(&id, known).map_err(|message| (line, message))?;
    let reason = text("reason")?.ok_or_else(|| missing("reason"))?;
    let expires = text("expires")?;
    if let Some(day) = expires.as_deref().filter(|day| !is_day(day)) {
        let line = item.get("expires").map_or(item.line, |field| field.line);
        return Err((line, format!("`expires`: {day:?} is not a day such as 2026-11-01")));
    }
    let place = Place { file: file.to_string(), line: item.line };
    Ok(Entry { id, rule, about, reason, expires, place, fits: Cell::new(0) })
}

/// A rule, a fingerprint, or a rule with a fingerprint or with what its findings are about.
fn read_id(id: &str, known: &BTreeSet<String>) -> Result<(Option<String>, About), String> {
    let is_fingerprint = |word: &str| word.len() == 16 && word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if is_fingerprint(id) {
        return Ok((None, About::Fingerprint(id.to_string())));
    }
    let (rule, about) = match id.split_once(char::is_whitespace) {
        None => (id, About::Everything),
        Some((rule, about)) if is_fingerprint(about.trim()) => (rule, About::Fingerprint(about.trim().to_string())),
        Some((rule, about)) => (rule, About::Key(about.trim().to_string())),
    };
    match known.contains(rule) {
        true => Ok((Some(rule.to_string()), about)),
        false => Err(format!("`id`: no findings are called {rule:?}, and it is no fingerprint")),
    }
}

#[cfg(test)]
mod tests;
