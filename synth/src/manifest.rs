//! YAML and JSON to objects.
//!
//! One file is cut into documents ([`document`]); each is read by its kind. What cannot be read is an error with its
//! place, and nothing else is lost.

pub mod document;
mod field;
mod labels;
pub mod networkpolicy;
pub mod node;
pub(crate) mod object;
mod selector;
mod validation;

pub use field::{Invalid, Unquoted};

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use self::document::{Document, Form};
use self::node::{Node, Value};
use crate::cluster::ClusterPolicy;
use crate::policy::{Origin, Policy, PolicySet};

/// An object and where it was read.
#[derive(Debug, Clone)]
pub(crate) struct Stored<T> {
    pub(crate) object: T,
    pub(crate) origin: Origin,
}

/// A workload controller and its kind.
#[derive(Debug, Clone)]
pub(crate) struct Controller {
    pub(crate) kind: String,
    pub(crate) object: object::Controller,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub origin: Origin,
    /// What, with the object's name where it is known.
    pub message: String,
    /// The object, `NetworkPolicy shop/api`, where it could be read as YAML and the API server would refuse it.
    pub object: Option<String>,
    /// Where quotes would help: the kind of the scalar, and how it is written if that can be told.
    pub unquoted: Option<(Unquoted, Option<String>)>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)
    }
}

/// Everything read from manifests and dumps, in the order of reading.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    pub(crate) namespaces: Vec<Stored<object::Namespace>>,
    pub(crate) nodes: Vec<Stored<object::Node>>,
    pub(crate) pods: Vec<Stored<object::Pod>>,
    pub(crate) services: Vec<Stored<object::Service>>,
    pub(crate) slices: Vec<Stored<object::EndpointSlice>>,
    pub(crate) endpoints: Vec<Stored<object::Endpoints>>,
    pub(crate) controllers: Vec<Stored<Controller>>,
    /// The NetworkPolicies.
    pub policies: Vec<Policy>,
    /// The cluster-wide policies.
    pub cluster_policies: Vec<ClusterPolicy>,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// Objects of kinds that are of no use here, by kind.
    pub ignored: BTreeMap<String, u64>,
}

impl Objects {
    /// Reads one file: YAML documents, a YAML List, or JSON.
    pub fn load(&mut self, file: &str, text: &str) {
        let file: Arc<str> = Arc::from(file);
        let (documents, unreadable) = document::split(text);
        for unreadable in unreadable {
            self.problem(&file, unreadable.line, unreadable.message);
        }
        for document in documents {
            let kind = document::kind(&document);
            let source = Source::Text(document);
            if let Err(refused) = self.object(&file, &source, kind) {
                self.unreadable(&file, &source, refused);
            }
        }
    }

    /// Adds what `other` holds of the cluster, all but its policies and problems.
    pub fn add_cluster(&mut self, other: &Objects) {
        self.namespaces.extend_from_slice(&other.namespaces);
        self.nodes.extend_from_slice(&other.nodes);
        self.pods.extend_from_slice(&other.pods);
        self.services.extend_from_slice(&other.services);
        self.slices.extend_from_slice(&other.slices);
        self.endpoints.extend_from_slice(&other.endpoints);
        self.controllers.extend_from_slice(&other.controllers);
    }

    /// The policies, which are only ever evaluated together.
    pub fn policy_set(&self) -> PolicySet<'_> {
        PolicySet { network: &self.policies, cluster: &self.cluster_policies }
    }

    fn problem(&mut self, file: &Arc<str>, line: u32, message: String) {
        let origin = Origin { file: file.clone(), line };
        self.problems.push(Problem { origin, message, object: None, unquoted: None });
    }

    /// What the API server would refuse about an object.
    fn refused(&mut self, source: &Source<'_>, invalid: Vec<Invalid>) {
        self.problems.extend(invalid.into_iter().map(|invalid| {
            let message = invalid.sentence();
            let written = |kind| Some((kind, node::written(source.text_of(invalid.line)?, kind)?.to_string()));
            let unquoted = invalid.unquoted.map(|kind| (kind, written(kind).map(|(_, text)| text)));
            let origin = Origin { file: invalid.file, line: invalid.line };
            Problem { origin, message, object: Some(invalid.object), unquoted }
        }));
    }

    /// An object that does not fit its type: where labels are the reason, all of them are named.
    fn unreadable(&mut self, file: &Arc<str>, source: &Source<'_>, refused: Refused) {
        match source.tree().map(|tree| labels::unquoted(&tree, file)) {
            Ok(found) if !found.is_empty() => self.refused(source, found),
            _ => self.problem(file, refused.line, refused.message),
        }
    }

    /// Reads one object; `kind` is what could be read off without parsing.
    fn object(&mut self, file: &Arc<str>, source: &Source<'_>, kind: Option<&str>) -> Result<(), Refused> {
        #[derive(serde::Deserialize)]
        struct Head {
            kind: Option<String>,
        }
        let kind = match kind {
            Some(kind) => kind.to_string(),
            None => match source.read::<Option<Head>>()? {
                // Comments alone, or `null`.
                None => return Ok(()),
                Some(head) => head.kind.ok_or_else(|| source.refuse("an object without `kind`"))?,
            },
        };
        let origin = Origin { file: file.clone(), line: source.line() };
        match kind.as_str() {
            "Namespace" => self.namespaces.push(Stored { object: source.read()?, origin }),
            "Node" => self.nodes.push(Stored { object: source.read()?, origin }),
            "Pod" => self.pods.push(Stored { object: source.read()?, origin }),
            "Service" => self.services.push(Stored { object: source.read()?, origin }),
            "EndpointSlice" => self.slices.push(Stored { object: source.read()?, origin }),
            "Endpoints" => self.endpoints.push(Stored { object: source.read()?, origin }),
            "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" | "CronJob" | "ReplicationController" => {
                let object = source.read()?;
                self.controllers.push(Stored { object: Controller { kind, object }, origin });
            }
            "NetworkPolicy" => self.policy(file, source)?,
            list if list.ends_with("List") => self.list(file, &*source.tree()?),
            _ => *self.ignored.entry(kind).or_default() += 1,
        }
        Ok(())
    }

    fn policy(&mut self, file: &Arc<str>, source: &Source<'_>) -> Result<(), Refused> {
        match networkpolicy::decode(&*source.tree()?, file) {
            Ok(policy) => self.policies.push(policy),
            Err(invalid) => self.refused(source, invalid),
        }
        Ok(())
    }

    /// A List that could not be cut by its text: in flow style, with anchors, or inside another.
    fn list(&mut self, file: &Arc<str>, tree: &Node) {
        for item in tree.get("items").and_then(Node::items).unwrap_or_default() {
            let kind = item.get("kind").and_then(Node::text);
            let source = Source::Tree(item);
            if let Err(refused) = self.object(file, &source, kind) {
                self.unreadable(file, &source, refused);
            }
        }
    }
}

/// Why an object could not be read.
struct Refused {
    line: u32,
    message: String,
}

/// An object that has not been read yet.
enum Source<'a> {
    Text(Document<'a>),
    Tree(&'a Node),
}

impl Source<'_> {
    fn line(&self) -> u32 {
        match self {
            // A document may begin with blank lines and comments.
            Source::Text(document) => {
                let blank = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
                document.line + document.text.lines().take_while(blank).count() as u32
            }
            Source::Tree(tree) => tree.line,
        }
    }

    /// A line of the file, where its text is at hand.
    fn text_of(&self, line: u32) -> Option<&str> {
        match self {
            Source::Text(document) => document.text.lines().nth(line.checked_sub(document.line)? as usize),
            Source::Tree(_) => None,
        }
    }

    fn refuse(&self, message: &str) -> Refused {
        Refused { line: self.line(), message: message.to_string() }
    }

    fn tree(&self) -> Result<Cow<'_, Node>, Refused> {
        match self {
            Source::Tree(tree) => Ok(Cow::Borrowed(tree)),
            Source::Text(document) => {
                let tree = node::parse(document.text, document.line)
                    .map_err(|error| Refused { line: error.line, message: hint(error.message) })?;
                Ok(Cow::Owned(match (document.form, tree.value) {
                    (Form::YamlItem(_), Value::Sequence(mut items)) if items.len() == 1 => items.remove(0),
                    (_, value) => Node { line: tree.line, value },
                }))
            }
        }
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        let yaml = |error: node::NodeError| Refused { line: error.line, message: hint(error.message) };
        let without_place = |error: &serde_json::Error| {
            let text = error.to_string();
            text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_string()
        };
        match self {
            Source::Tree(tree) => {
                serde_json::from_value(tree.to_value()).map_err(|error| self.refuse(&without_place(&error)))
            }
            Source::Text(document) => match document.form {
                Form::Json => serde_json::from_str(document.text).map_err(|error| Refused {
                    line: document.line + (error.line() as u32).saturating_sub(1),
                    message: without_place(&error),
                }),
                Form::Yaml => node::read(document.text, document.line).map_err(yaml),
                Form::YamlItem(_) => {
                    let [item] = node::read::<[T; 1]>(document.text, document.line).map_err(yaml)?;
                    Ok(item)
                }
            },
        }
    }
}

/// `kubectl label --local -o yaml` and others print objects one after the other without `---`.
fn hint(message: String) -> String {
    if message.contains("\"apiVersion\" already set") || message.contains("\"kind\" already set") {
        format!("{message}: is a `---` missing between two documents?")
    } else {
        message
    }
}
