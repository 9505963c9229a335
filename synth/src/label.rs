//! Labels and label selectors (`meta/v1 LabelSelector`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// `metadata.labels`.
pub type Labels = BTreeMap<String, String>;

/// The label every namespace carries since Kubernetes 1.22 (KEP-2161); the API server keeps it equal to the name.
pub const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// One condition of a selector. `matchLabels: {k: v}` is `In { key: k, values: {v} }`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Requirement {
    /// The key is present and its value is listed.
    In {
        /// The label's key.
        key: String,
        /// The values, never empty.
        values: BTreeSet<String>,
    },
    /// The key is absent, or its value is not listed.
    NotIn {
        /// The label's key.
        key: String,
        /// The values, never empty.
        values: BTreeSet<String>,
    },
    /// The key is present.
    Exists {
        /// The label's key.
        key: String,
    },
    /// The key is absent (`DoesNotExist`).
    Absent {
        /// The label's key.
        key: String,
    },
}

impl Requirement {
    /// `key = value`.
    pub fn equals(key: impl Into<String>, value: impl Into<String>) -> Requirement {
        Requirement::In { key: key.into(), values: BTreeSet::from([value.into()]) }
    }

    /// The label's key.
    pub fn key(&self) -> &str {
        match self {
            Requirement::In { key, .. }
            | Requirement::NotIn { key, .. }
            | Requirement::Exists { key }
            | Requirement::Absent { key } => key,
        }
    }

    /// Whether `labels` meet the condition.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.holds_for(labels.get(self.key()).map(String::as_str))
    }

    /// Whether the value of the label meets the condition; `None` where the key is absent.
    pub fn holds_for(&self, value: Option<&str>) -> bool {
        match self {
            Requirement::In { values, .. } => value.is_some_and(|value| values.contains(value)),
            // "NotIn ... also matches objects without the key": labels.Requirement.Matches in apimachinery.
            Requirement::NotIn { values, .. } => value.is_none_or(|value| !values.contains(value)),
            Requirement::Exists { .. } => value.is_some(),
            Requirement::Absent { .. } => value.is_none(),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().join(", ");
        match self {
            Requirement::In { key, values } if values.len() == 1 => write!(f, "{key}={}", list(values)),
            Requirement::In { key, values } => write!(f, "{key} in ({})", list(values)),
            Requirement::NotIn { key, values } => write!(f, "{key} notin ({})", list(values)),
            Requirement::Exists { key } => f.write_str(key),
            Requirement::Absent { key } => write!(f, "!{key}"),
        }
    }
}

/// Conditions that all have to hold; none at all selects everything. Two selectors written in a different order are
/// equal.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector {
    requirements: BTreeSet<Requirement>,
}

impl Selector {
    /// The empty selector: everything.
    pub fn everything() -> Selector {
        Selector::default()
    }

    /// The selector that no object matches.
    pub fn nothing() -> Selector {
        let key = NAMESPACE_NAME.to_string();
        [Requirement::Exists { key: key.clone() }, Requirement::Absent { key }].into_iter().collect()
    }

    /// Selects objects that carry all of `labels`.
    pub fn from_labels(labels: &Labels) -> Selector {
        labels.iter().map(|(key, value)| Requirement::equals(key, value)).collect()
    }

    /// Whether every condition holds for `labels`.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(labels))
    }

    /// Whether the selector has no condition.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The conditions, sorted.
    pub fn requirements(&self) -> impl Iterator<Item = &Requirement> {
        self.requirements.iter()
    }

    /// Adds one condition.
    pub fn insert(&mut self, requirement: Requirement) {
        self.requirements.insert(requirement);
    }
}

impl FromIterator<Requirement> for Selector {
    fn from_iter<I: IntoIterator<Item = Requirement>>(requirements: I) -> Selector {
        Selector { requirements: requirements.into_iter().collect() }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_everything() {
            return f.write_str("everything");
        }
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{requirement}")?;
        }
        Ok(())
    }
}

/// What is wrong with a selector on the command line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a label selector such as app=web,tier!=cache,env in (a,b),!canary")]
pub struct SelectorError {
    text: String,
}

/// kubectl's form: `a=b,c!=d,e in (x,y),f notin (x),g,!h`.
impl std::str::FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Selector, SelectorError> {
        let bad = || SelectorError { text: text.to_string() };
        let mut terms = Vec::new();
        let (mut start, mut depth) = (0, 0usize);
        for (at, character) in text.char_indices() {
            match character {
                '(' => depth += 1,
                ')' => depth = depth.checked_sub(1).ok_or_else(bad)?,
                ',' if depth == 0 => {
                    terms.push(&text[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
        }
        terms.push(&text[start..]);
        terms.into_iter().map(|term| requirement(term.trim()).ok_or_else(bad)).collect()
    }
}

/// A label's value: letters, digits and `-_.`, or nothing.
fn value_of(text: &str) -> Option<String> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)).then(|| text.to_string())
}

fn requirement(term: &str) -> Option<Requirement> {
    let key = |text: &str| {
        let text = text.trim();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
        (!text.is_empty() && text.bytes().all(fits)).then(|| text.to_string())
    };
    let list = |text: &str| -> Option<BTreeSet<String>> {
        let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
        inner.split(',').map(value_of).collect()
    };
    let one = |text: &str| value_of(text).map(|value| BTreeSet::from([value]));
    if let Some((left, right)) = term.split_once(" notin ") {
        Some(Requirement::NotIn { key: key(left)?, values: list(right)? })
    } else if let Some((left, right)) = term.split_once(" in ") {
        Some(Requirement::In { key: key(left)?, values: list(right)? })
    } else if let Some((left, right)) = term.split_once("!=") {
        Some(Requirement::NotIn { key: key(left)?, values: one(right)? })
    } else if let Some((left, right)) = term.split_once("==").or_else(|| term.split_once('=')) {
        Some(Requirement::In { key: key(left)?, values: one(right)? })
    } else if let Some(absent) = term.strip_prefix('!') {
        Some(Requirement::Absent { key: key(absent)? })
    } else {
        Some(Requirement::Exists { key: key(term)? })
    }
}

#[cfg(test)]
mod selector_tests {
    use super::*;

    #[test]
    fn reads_what_kubectl_reads() {
        let text = "a=b,c!=d,e in (x, y),f notin (z),g,!h";
        let selector: Selector = text.parse().unwrap();
        assert_eq!(selector.to_string(), "a=b,e in (x, y),c notin (d),f notin (z),g,!h");
        for wrong in ["", "a=b,,c", "a in b", "a in (b", "=b", "a b"] {
            assert!(wrong.parse::<Selector>().is_err(), "{wrong}");
        }
    }
}
