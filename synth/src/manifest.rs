//! YAML and JSON to objects.
//!
//! One file is cut into documents ([`document`]); each is read by its kind. What cannot be read is an error with its
//! place, and nothing else is lost.

pub mod clusterpolicy;
pub(crate) mod declaration;
pub mod document;
pub mod dump;
mod field;
pub mod file;
pub(crate) mod kept;
mod labels;
mod metadata;
pub mod networkpolicy;
pub mod node;
pub(crate) mod object;
mod observed;
pub mod reduce;
mod schema;
mod selector;
mod validation;

pub use field::{Invalid, Unquoted};
pub use observed::ObservedPod;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use self::declaration::{Declaring, Reader, is_declaring};
use self::document::{Document, Form, TypedList};
use self::node::{Key, Node, Value};
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
    pub(crate) declaring: Vec<Stored<Declaring>>,
    /// The NetworkPolicies.
    pub policies: Vec<Policy>,
    /// The cluster-wide policies.
    pub cluster_policies: Vec<ClusterPolicy>,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// Objects of kinds that are of no use here, by kind.
    pub ignored: BTreeMap<String, u64>,
    /// When the objects of a file were read from the API server, where it says so ([`document::TAKEN`]).
    pub taken: BTreeMap<Arc<str>, capture::Timestamp>,
}

impl Objects {
    /// Reads one file: YAML documents, a YAML List, or JSON.
    pub fn load(&mut self, file: &str, text: &str) {
        let file: Arc<str> = Arc::from(file);
        let document::Split { documents, unreadable, taken } = document::split(text);
        for unreadable in unreadable {
            self.problem(&file, unreadable.line, unreadable.message);
        }
        match taken.as_deref().map(str::parse::<capture::Timestamp>) {
            Some(Ok(time)) => drop(self.taken.insert(file.clone(), time)),
            Some(Err(error)) => self.problem(&file, 1, format!("annotation {}: {error}", document::TAKEN)),
            None => {}
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
        self.declaring.extend_from_slice(&other.declaring);
        self.taken.extend(other.taken.iter().map(|(file, time)| (file.clone(), *time)));
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
            None => match (source.read::<Option<Head>>()?, source.list()) {
                // Comments alone, or `null`.
                (None, _) => return Ok(()),
                (Some(Head { kind: Some(kind) }), _) => kind,
                (Some(_), Some(list)) => list.kind.to_string(),
                (Some(_), None) => return Err(source.refuse("an object without `kind`")),
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
            "NetworkPolicy" | "ClusterNetworkPolicy" | "AdminNetworkPolicy" | "BaselineAdminNetworkPolicy" => {
                self.policy(file, &kind, source)?;
            }
            // Most have no webhook, and are the largest objects of all.
            "CustomResourceDefinition" if !source.mentions("Webhook") => {}
            declaring if is_declaring(declaring) => {
                self.declaring.push(Stored { object: declaration::read(&kind, source)?, origin });
            }
            list if list.ends_with("List") => self.list(file, &*source.tree()?),
            _ => match custom(source) {
                Some(object) => self.controllers.push(Stored { object: Controller { kind, object }, origin }),
                None => *self.ignored.entry(kind).or_default() += 1,
            },
        }
        Ok(())
    }

    fn policy(&mut self, file: &Arc<str>, kind: &str, source: &Source<'_>) -> Result<(), Refused> {
        let tree = source.tree()?;
        if let Some(group) = foreign_group(&tree) {
            *self.ignored.entry(format!("{kind}.{group}")).or_default() += 1;
            return Ok(());
        }
        let decoded = match kind {
            "NetworkPolicy" => networkpolicy::decode(&tree, file).map(|policy| self.policies.push(policy)),
            _ => clusterpolicy::decode(&tree, file).map(|policy| self.cluster_policies.push(policy)),
        };
        if let Err(invalid) = decoded {
            self.refused(source, invalid);
        }
        Ok(())
    }

    /// A List that could not be cut by its text: in flow style, with anchors, or inside another.
    fn list(&mut self, file: &Arc<str>, tree: &Node) {
        let text = |key| tree.get(key).and_then(Node::text);
        let list = text("kind").and_then(|kind| TypedList::new(kind, text("apiVersion").unwrap_or_default()));
        for item in tree.get("items").and_then(Node::items).unwrap_or_default() {
            let kind = item.get("kind").and_then(Node::text);
            let source = Source::Tree(item, list);
            if let Err(refused) = self.object(file, &source, kind) {
                self.unreadable(file, &source, refused);
            }
        }
    }
}

/// The API group of an object of a network plugin that has a kind of policy of the same name, as Calico, Antrea and the
/// plugin of AWS have. The groups of Kubernetes itself have no dot or end in `.k8s.io`: another of these is a mistake.
fn foreign_group(tree: &Node) -> Option<&str> {
    foreign_group_of(tree.get("apiVersion").and_then(Node::text)?)
}

fn foreign_group_of(version: &str) -> Option<&str> {
    let (group, _) = version.split_once('/')?;
    (group.contains('.') && !group.ends_with(".k8s.io")).then_some(group)
}

/// An object of somebody else's kind that makes pods from a template, as an Argo Rollout does. What is not written like a
/// Deployment is none, and no mistake either.
fn custom(source: &Source<'_>) -> Option<object::Controller> {
    if !source.mentions("containers") || !source.mentions("template") {
        return None;
    }
    let read = source.read::<object::Controller>().ok()?;
    makes_pods(&read).then_some(read)
}

/// Whether an object of any kind is written like a Deployment.
fn makes_pods(read: &object::Controller) -> bool {
    let template = read.spec.template.as_ref();
    let containers = template.and_then(|template| template.spec.containers.as_ref());
    containers.is_some_and(|containers| !containers.is_empty()) && !read.metadata.name.is_empty()
}

/// Why an object could not be read.
struct Refused {
    line: u32,
    message: String,
}

/// An object that has not been read yet.
enum Source<'a> {
    Text(Document<'a>),
    Tree(&'a Node, Option<TypedList<'a>>),
}

impl Source<'_> {
    fn line(&self) -> u32 {
        match self {
            // A document may begin with blank lines and comments.
            Source::Text(document) => {
                let blank = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
                document.line + document.text.lines().take_while(blank).count() as u32
            }
            Source::Tree(tree, _) => tree.line,
        }
    }

    /// Whether a word may stand in it; told cheaply where it has not been parsed.
    fn mentions(&self, word: &str) -> bool {
        match self {
            Source::Text(document) => document.text.contains(word),
            Source::Tree(..) => true,
        }
    }

    fn list(&self) -> Option<TypedList<'_>> {
        match self {
            Source::Text(document) => document.list,
            Source::Tree(_, list) => *list,
        }
    }

    /// A line of the file, where its text is at hand.
    fn text_of(&self, line: u32) -> Option<&str> {
        match self {
            Source::Text(document) => document.text.lines().nth(line.checked_sub(document.line)? as usize),
            Source::Tree(..) => None,
        }
    }

    fn refuse(&self, message: &str) -> Refused {
        Refused { line: self.line(), message: message.to_string() }
    }

    /// The object, with what its List says of it.
    fn tree(&self) -> Result<Cow<'_, Node>, Refused> {
        let mut tree = self.written_tree()?;
        if let Some(list) = self.list()
            && tree.get("kind").is_none()
            && let Value::Mapping(entries) = &mut tree.to_mut().value
        {
            let known = |key: &str| entries.iter().any(|(known, _)| known.text == key);
            let absent = [("apiVersion", list.version), ("kind", list.kind)].into_iter().filter(|(key, _)| !known(key));
            for (key, value) in absent.collect::<Vec<_>>() {
                let line = self.line();
                let value = Node { line, value: Value::String(value.to_string()) };
                entries.push((Key { line, text: key.to_string() }, value));
            }
        }
        Ok(tree)
    }

    fn written_tree(&self) -> Result<Cow<'_, Node>, Refused> {
        match self {
            Source::Tree(tree, _) => Ok(Cow::Borrowed(tree)),
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
}

impl declaration::Reader for Source<'_> {
    type Error = Refused;

    fn read<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        let yaml = |error: node::NodeError| Refused { line: error.line, message: hint(error.message) };
        let without_place = |error: &serde_json::Error| {
            let text = error.to_string();
            text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_string()
        };
        match self {
            Source::Tree(tree, _) => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_typed_lists_need_not_name_their_kind() {
        let policy = r#"{"metadata": {"name": "p", "namespace": "shop"}, "spec": {"podSelector": {}}}"#;
        let head = r#""kind": "NetworkPolicyList", "apiVersion": "networking.k8s.io/v1""#;
        for (text, form) in [
            (format!("{{{head}, \"items\": [{policy}]}}"), "JSON"),
            (format!("{{\"items\": [{policy}], {head}}}"), "JSON, items first"),
            (format!("kind: NetworkPolicyList\napiVersion: networking.k8s.io/v1\nitems:\n- {policy}\n"), "YAML"),
            (format!("kind: NetworkPolicyList\napiVersion: networking.k8s.io/v1\nitems: [{policy}]\n"), "a flow list"),
        ] {
            let mut objects = Objects::default();
            objects.load("list", &text);
            assert_eq!(objects.problems, [], "{form}");
            assert_eq!(objects.policies.iter().map(Policy::id).collect::<Vec<_>>(), ["shop/p"], "{form}");
        }
        let mut objects = Objects::default();
        objects.load("list", &format!("{{\"kind\": \"List\", \"items\": [{policy}]}}"));
        assert_eq!(objects.problems[0].message, "an object without `kind`", "a List of any kinds says nothing");
        objects.load("pods", r#"{"kind": "PodList", "items": [{"metadata": {"name": "a"}}]}"#);
        assert_eq!(objects.pods.len(), 1);
    }

    #[test]
    fn kinds_of_policy_belong_to_their_groups() {
        for (version, kind, ignored) in [
            ("networking.k8s.io/v1", "NetworkPolicy", None),
            ("extensions/v1beta1", "NetworkPolicy", None),
            ("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", None),
            ("policy.networking.k8s.io/v1alpha1", "BaselineAdminNetworkPolicy", None),
            ("networking.k8s.io/v1", "AdminNetworkPolicy", None),
            ("v1", "NetworkPolicy", None),
            ("projectcalico.org/v3", "NetworkPolicy", Some("NetworkPolicy.projectcalico.org")),
            ("crd.projectcalico.org/v1", "NetworkPolicy", Some("NetworkPolicy.crd.projectcalico.org")),
            ("crd.antrea.io/v1beta1", "ClusterNetworkPolicy", Some("ClusterNetworkPolicy.crd.antrea.io")),
            ("networking.k8s.aws/v1alpha1", "ClusterNetworkPolicy", Some("ClusterNetworkPolicy.networking.k8s.aws")),
            ("cilium.io/v2", "CiliumNetworkPolicy", Some("CiliumNetworkPolicy")),
        ] {
            let object = format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: default}}\n");
            let list = format!(
                "{{kind: List, items: [{{apiVersion: {version}, kind: {kind}, metadata: {{name: default}}}}]}}"
            );
            for text in [object, list] {
                let mut objects = Objects::default();
                objects.load("a.yaml", &text);
                let counted: Vec<_> = objects.ignored.keys().map(String::as_str).collect();
                assert_eq!(counted, Vec::from_iter(ignored), "{text}");
                if ignored.is_some() {
                    assert_eq!(objects.problems, [], "{text}");
                } else {
                    // None of the other kinds goes without a spec.
                    let read = objects.policies.len() + objects.cluster_policies.len();
                    assert_eq!(read, usize::from(objects.problems.is_empty()), "{text}");
                    assert_eq!(read == 1, version == "networking.k8s.io/v1" && kind == "NetworkPolicy", "{text}");
                }
            }
        }
    }

    #[test]
    fn every_kind_of_policy_is_read() {
        let text = "\
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a}, spec: {podSelector: {}}}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: a}
spec: {tier: Admin, priority: 0, subject: {namespaces: {}}}
---
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicyList
items:
- apiVersion: policy.networking.k8s.io/v1alpha1
  kind: AdminNetworkPolicy
  metadata: {name: a}
  spec: {priority: 0, subject: {namespaces: {}}}
---
apiVersion: policy.networking.k8s.io/v1alpha1
kind: BaselineAdminNetworkPolicy
metadata: {name: default}
spec: {subject: {namespaces: {}}}
";
        let mut objects = Objects::default();
        objects.load("a.yaml", text);
        assert_eq!(objects.problems, []);
        assert_eq!(objects.policies.len(), 1);
        let found: Vec<_> =
            objects.cluster_policies.iter().map(|policy| (policy.id(), policy.origin.to_string())).collect();
        let expected = [
            ("ClusterNetworkPolicy/a", "a.yaml:4"),
            ("AdminNetworkPolicy/a", "a.yaml:12"),
            ("BaselineAdminNetworkPolicy/default", "a.yaml:17"),
        ];
        assert_eq!(found, expected.map(|(id, place)| (id.to_string(), place.to_string())));
        assert_eq!(objects.policy_set().cluster.len(), 3);
    }
}
