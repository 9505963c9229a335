//! Namespaces and their labels.

use std::collections::BTreeMap;

use crate::label::{Labels, NAMESPACE_NAME, Selector};

/// The labels of namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces(BTreeMap<String, Labels>);

impl Namespaces {
    /// No namespace known: each has its name's label and no other.
    pub fn new() -> Namespaces {
        Namespaces::default()
    }

    /// Adds a namespace, or replaces its labels. "The Kubernetes control plane sets an immutable label
    /// kubernetes.io/metadata.name on all namespaces, the value of the label is the namespace name."
    pub fn insert(&mut self, name: impl Into<String>, mut labels: Labels) {
        let name = name.into();
        labels.insert(NAMESPACE_NAME.to_string(), name.clone());
        self.0.insert(name, labels);
    }

    /// The labels of a namespace that was inserted; `None` means that a verdict resting on other labels than its name
    /// is a guess.
    pub fn labels(&self, name: &str) -> Option<&Labels> {
        self.0.get(name)
    }

    /// The namespaces that were inserted, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Labels)> {
        self.0.iter().map(|(name, labels)| (name.as_str(), labels))
    }

    /// The names of the namespaces that were inserted, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether `selector` selects the namespace, which need not have been inserted.
    pub fn matches(&self, selector: &Selector, name: &str) -> bool {
        if selector.is_everything() {
            return true;
        }
        match self.0.get(name) {
            Some(labels) => selector.matches(labels),
            None => selector.matches(&Labels::from([(NAMESPACE_NAME.to_string(), name.to_string())])),
        }
    }
}

impl FromIterator<(String, Labels)> for Namespaces {
    fn from_iter<I: IntoIterator<Item = (String, Labels)>>(entries: I) -> Namespaces {
        let mut namespaces = Namespaces::new();
        for (name, labels) in entries {
            namespaces.insert(name, labels);
        }
        namespaces
    }
}
