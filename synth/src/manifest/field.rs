//! Strict reading of an object's fields, with every problem collected under its path.

use std::sync::Arc;

use super::node::{Key, Node, Value};
use crate::port::Protocol;

/// One thing the API server, or kubectl before it, refuses about an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {object}: {}{message}", prefix(path, message))]
pub struct Invalid {
    /// The file as the user named it.
    pub file: Arc<str>,
    /// 1-based line of the value, or of the key that is not known.
    pub line: u32,
    /// Kind and `namespace/name`: `NetworkPolicy shop/api`.
    pub object: String,
    /// `spec.ingress[0].from[1].ipBlock.cidr`.
    pub path: String,
    /// What is wrong, in the API server's words.
    pub message: String,
    /// Whether it is a bool or a number to YAML 1.1 where text is wanted: in quotes it would be text.
    pub unquoted: Option<Unquoted>,
}

/// What a scalar without quotes is to YAML 1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unquoted {
    /// `yes`, `on`, `y`, `true` and their opposites.
    Bool,
    /// `1.10`, `0777`, `1e3`.
    Number,
}

impl Invalid {
    /// Everything but the place: `NetworkPolicy shop/api: spec.egress: ...`.
    pub fn sentence(&self) -> String {
        format!("{}: {}{}", self.object, prefix(&self.path, &self.message), self.message)
    }
}

/// `path: `, except where the sentence has the path in it already, as for unknown fields.
fn prefix(path: &str, message: &str) -> String {
    if message.contains(&format!("{path:?}")) { String::new() } else { format!("{path}: ") }
}

/// The problems of one object, in the order found.
pub(super) struct Problems {
    file: Arc<str>,
    object: String,
    found: Vec<Invalid>,
}

impl Problems {
    pub(super) fn new(file: &Arc<str>, object: String) -> Problems {
        Problems { file: Arc::clone(file), object, found: Vec::new() }
    }

    pub(super) fn into_found(self) -> Vec<Invalid> {
        self.found
    }

    fn push(&mut self, line: u32, path: String, message: String) {
        let (file, object) = (Arc::clone(&self.file), self.object.clone());
        self.found.push(Invalid { file, line, object, path, message, unquoted: None });
    }

    /// Marks what was found last.
    fn unquoted(&mut self, unquoted: Option<Unquoted>) {
        if let Some(last) = self.found.last_mut() {
            last.unquoted = unquoted;
        }
    }

    /// `Invalid value: "x": words`, once per sentence in `words`.
    pub(super) fn invalid(&mut self, at: &Field, value: impl std::fmt::Debug, words: &[String]) {
        for words in words {
            self.at(at, format!("Invalid value: {value:?}: {words}"));
        }
    }

    /// A value that is none of `supported`.
    pub(super) fn unsupported(&mut self, at: &Field, value: &str, supported: &[&str]) {
        let supported = supported.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(", ");
        self.at(at, format!("Unsupported value: {value:?}: supported values: {supported}"));
    }

    /// `message` about a field.
    pub(super) fn at(&mut self, at: &Field, message: impl Into<String>) {
        self.push(at.node.line, at.path.clone(), message.into());
    }

    /// A key of labels that arrives as another one.
    pub(super) fn unquoted_key(&mut self, map: &Field, key: &Key) {
        let message = format!("a key without quotes is read as {:?}: write it in quotes", key.text);
        self.push(key.line, map.path.clone(), message);
        self.unquoted(Some(Unquoted::Bool));
    }

    /// `message` about a field that is absent from `parent`.
    pub(super) fn absent(&mut self, parent: &Field, name: &str, message: &str) {
        self.push(parent.node.line, parent.child(name), message.to_string());
    }
}

/// A node and its path.
#[derive(Debug, Clone)]
pub(super) struct Field<'n> {
    pub(super) node: &'n Node,
    pub(super) path: String,
}

/// The entries of a mapping.
pub(super) struct Fields<'n> {
    at: Field<'n>,
    entries: &'n [(Key, Node)],
}

impl<'n> Field<'n> {
    pub(super) fn root(node: &'n Node) -> Field<'n> {
        Field { node, path: String::new() }
    }

    fn child(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) }
    }

    fn mismatch(&self, problems: &mut Problems, wanted: &str) {
        let kind = self.node.value.kind();
        let unquoted = match (wanted, &self.node.value) {
            ("string", Value::Bool(_)) => Some(Unquoted::Bool),
            ("string", Value::Integer(_) | Value::Float(_)) => Some(Unquoted::Number),
            _ => None,
        };
        let hint = if unquoted.is_some() { ": write it in quotes" } else { "" };
        problems.at(self, format!("cannot unmarshal {kind} into a field of type {wanted}{hint}"));
        problems.unquoted(unquoted);
    }

    /// The entries, of which only `known` keys are allowed; null is an empty mapping, as for Go's decoder.
    pub(super) fn fields(self, known: &[&str], problems: &mut Problems) -> Fields<'n> {
        let fields = self.entries(problems);
        for (key, _) in fields.entries {
            if !known.contains(&key.text.as_str()) {
                let path = fields.at.child(&key.text);
                problems.push(key.line, path.clone(), format!("unknown field {path:?}"));
            }
        }
        fields
    }

    /// The entries under any keys.
    pub(super) fn entries(self, problems: &mut Problems) -> Fields<'n> {
        let entries = match &self.node.value {
            Value::Mapping(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => {
                self.mismatch(problems, "object");
                &[]
            }
        };
        Fields { at: self, entries }
    }

    /// The items with their paths; null is an empty list. A null item is a problem: Go's decoder would read it as an
    /// empty object, which for a rule is everything, and kubectl refuses it.
    pub(super) fn items(&self, problems: &mut Problems) -> Vec<Field<'n>> {
        let items = match &self.node.value {
            Value::Sequence(items) => items.as_slice(),
            Value::Null => &[],
            _ => {
                self.mismatch(problems, "array");
                &[]
            }
        };
        let fields = items.iter().enumerate();
        let fields = fields.map(|(index, node)| Field { node, path: format!("{}[{index}]", self.path) });
        fields.filter(|field| field.is_there(problems)).collect()
    }

    fn is_there(&self, problems: &mut Problems) -> bool {
        let there = self.node.value != Value::Null;
        if !there {
            problems.at(self, format!("unknown object type \"nil\" in {}", self.path));
        }
        there
    }

    /// Text; anything else is a problem, and `None`.
    pub(super) fn string(&self, problems: &mut Problems) -> Option<&'n str> {
        let text = self.node.text();
        if text.is_none() {
            self.mismatch(problems, "string");
        }
        text
    }

    /// A whole number of 32 bits; anything else is a problem, and `None`.
    pub(super) fn int32(&self, problems: &mut Problems) -> Option<i32> {
        let number = match self.node.value {
            Value::Integer(number) => i32::try_from(number).ok(),
            // kubectl's way through JSON turns 80.0 into 80.
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 2e9 => format!("{number:.0}").parse().ok(),
            _ => None,
        };
        if number.is_none() {
            self.mismatch(problems, "int32");
        }
        number
    }
}

/// The name of a protocol.
pub(super) fn protocol(field: &Field, problems: &mut Problems) -> Option<Protocol> {
    let name = field.string(problems)?;
    let protocol = Protocol::from_name(name);
    if protocol.is_none() {
        problems.unsupported(field, name, &Protocol::ALL.map(Protocol::name));
    }
    protocol
}

impl<'n> Fields<'n> {
    /// The mapping itself.
    pub(super) fn at(&self) -> &Field<'n> {
        &self.at
    }

    /// A field that is present and not null.
    pub(super) fn get(&self, name: &str) -> Option<Field<'n>> {
        let node = self.at.node.get(name)?;
        Some(Field { node, path: self.at.child(name) })
    }

    /// The items of a list, none where it is absent.
    pub(super) fn list(&self, name: &str, problems: &mut Problems) -> Vec<Field<'n>> {
        self.get(name).map(|list| list.items(problems)).unwrap_or_default()
    }

    /// Text, `None` where it is absent or none.
    pub(super) fn string(&self, name: &str, problems: &mut Problems) -> Option<(Field<'n>, &'n str)> {
        let field = self.get(name)?;
        let text = field.string(problems)?;
        Some((field, text))
    }

    /// Keys and values of a `map[string]string`.
    pub(super) fn strings(&self, problems: &mut Problems) -> Vec<(&'n Key, Field<'n>, &'n str)> {
        let fields = self.entries.iter().map(|(key, node)| (key, Field { node, path: self.at.child(&key.text) }));
        let fields = fields.filter_map(|(key, field)| {
            let there = field.is_there(problems);
            let value = if there { field.string(problems) } else { None };
            value.map(|value| (key, field, value))
        });
        fields.collect()
    }
}
