//! Reduced objects as one file: a `v1 List` that `kubectl` and [`super::Objects::load`] read.

use std::collections::BTreeMap;
use std::fmt::Write;

use capture::Timestamp;
use serde_json::{Value, json};

use super::document::TAKEN;
use super::reduce::Reduced;
use crate::render;

/// What orders objects: kind, namespace, name, and the API version where two groups share a kind.
type Key = (String, String, String, String);

/// The objects of a cluster at one time, reduced. The same objects make the same file, whatever order they came in.
#[derive(Debug, Clone, Default)]
pub struct Dump {
    /// When the last of them was read.
    pub taken: Option<Timestamp>,
    /// The highest resource version of the lists that were read; 0 where none is known.
    pub version: u64,
    objects: BTreeMap<Key, Reduced>,
}

impl Dump {
    /// Adds an object; of two with one name the later one counts.
    pub fn add(&mut self, object: Reduced) {
        let reduced = object.value();
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_string();
        let metadata = |key: &str| text(reduced.get("metadata").and_then(|metadata| metadata.get(key)));
        let key = (text(reduced.get("kind")), metadata("namespace"), metadata("name"), text(reduced.get("apiVersion")));
        self.objects.insert(key, object);
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// As JSON, one object a line.
    pub fn to_json(&self) -> String {
        let mut text =
            format!("{{\"apiVersion\":\"v1\",\"kind\":\"List\",\"metadata\":{},\"items\":[", self.metadata());
        for (index, object) in self.objects.values().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(text, "{comma}\n{}", object.value());
        }
        text.push_str("\n]}\n");
        text
    }

    /// As YAML, in block style.
    pub fn to_yaml(&self) -> String {
        let mut text = "apiVersion: v1\nkind: List\n".to_string();
        render::push(&mut text, 0, &json!({ "metadata": self.metadata() }));
        if self.objects.is_empty() {
            text.push_str("items: []\n");
            return text;
        }
        text.push_str("items:\n");
        for object in self.objects.values() {
            render::push(&mut text, 0, &json!([object.value()]));
        }
        text
    }

    fn metadata(&self) -> Value {
        let mut metadata = json!({});
        if let Some(taken) = self.taken {
            metadata["annotations"] = json!({ TAKEN: taken.to_string() });
        }
        if self.version > 0 {
            metadata["resourceVersion"] = self.version.to_string().into();
        }
        metadata
    }
}
