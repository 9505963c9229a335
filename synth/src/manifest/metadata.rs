//! `apiVersion`, `kind` and `metadata`, which every object has.

use super::field::{Field, Fields, Problems};
use super::node::Node;
use super::selector::labels;
use super::validation::{dns_label, label_key, subdomain};
use crate::label::Labels;

/// `metadata` of any object (`meta/v1 ObjectMeta`).
const METADATA: [&str; 15] = [
    "name",
    "generateName",
    "namespace",
    "labels",
    "annotations",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "finalizers",
    "managedFields",
    "selfLink",
];

/// All annotations of an object together, keys and values, in bytes.
const ANNOTATIONS: usize = 256 * 1024;

/// Which rules an object has to meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    /// A server holds it already (`metadata.uid` is set): what only other versions of the server refuse stays in force,
    /// so it is read as evaluators do.
    Server,
    /// It is still to be applied: what the newest server refuses is refused.
    Manifest,
}

/// Where objects of a kind live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Namespace,
    Cluster,
}

/// What is written in `metadata`, whether or not it is valid; empty text is as if absent.
pub(super) struct Written<'n> {
    /// `name`, or `generateName`.
    pub(super) name: Option<&'n str>,
    pub(super) namespace: Option<&'n str>,
    /// `resourceVersion` as a number, 0 where it is none.
    pub(super) version: u64,
    pub(super) strictness: Strictness,
}

impl<'n> Written<'n> {
    pub(super) fn of(node: &'n Node) -> Written<'n> {
        let metadata = node.get("metadata");
        let text = |name| metadata.and_then(|metadata| metadata.get(name)).and_then(Node::text);
        Written {
            name: text("name").or(text("generateName")).filter(|name| !name.is_empty()),
            namespace: text("namespace").filter(|namespace| !namespace.is_empty()),
            version: text("resourceVersion").and_then(|text| text.parse().ok()).unwrap_or(0),
            strictness: if text("uid").is_some() { Strictness::Server } else { Strictness::Manifest },
        }
    }
}

/// Checks that the object is of `kind` in one of `versions`, the first of which is the one to use.
pub(super) fn type_meta(root: &Fields, kind: &str, versions: &[&str], problems: &mut Problems) {
    let newest = versions.first().copied().unwrap_or_default();
    match root.string("apiVersion", problems) {
        Some((_, version)) if versions.contains(&version) => {}
        Some((field, version)) => {
            let gone = if version == "extensions/v1beta1" { ", gone since Kubernetes 1.16" } else { "" };
            let words = format!("no matches for kind {kind:?} in version {version:?}{gone}");
            problems.at(&field, format!("{words}: use {newest:?}"));
        }
        None if root.get("apiVersion").is_none() => {
            problems.absent(root.at(), "apiVersion", &format!("apiVersion not set: use {newest:?}"));
        }
        None => {}
    }
    match root.string("kind", problems) {
        Some((_, written)) if written == kind => {}
        Some((field, written)) => problems.at(&field, format!("no {kind} but a {written:?}")),
        None if root.get("kind").is_none() => problems.absent(root.at(), "kind", "kind not set"),
        None => {}
    }
}

/// Checks `metadata`, of which the labels and the time of creation are of use.
pub(super) fn metadata(root: &Fields, scope: Scope, problems: &mut Problems) -> (Labels, Option<capture::Timestamp>) {
    let Some(metadata) = root.get("metadata") else {
        problems.absent(root.at(), "metadata.name", "Required value: name or generateName is required");
        return (Labels::new(), None);
    };
    let metadata = metadata.fields(&METADATA, problems);
    let mut named = false;
    for (field, prefix) in [("name", false), ("generateName", true)] {
        if let Some((field, name)) = metadata.string(field, problems)
            && !name.is_empty()
        {
            named = true;
            problems.invalid(&field, name, &subdomain(name, prefix));
        }
    }
    if !named && metadata.get("name").is_none_or(|name| name.node.text().is_some()) {
        problems.absent(metadata.at(), "name", "Required value: name or generateName is required");
    }
    // kubectl and the server both drop the namespace of an object that has no place in one, whatever it is:
    // EnsureObjectNamespaceMatchesRequestNamespace in apiserver.
    if let Some((field, namespace)) = metadata.string("namespace", problems)
        && scope == Scope::Namespace
        && !namespace.is_empty()
    {
        problems.invalid(&field, namespace, &dns_label(namespace));
    }
    for name in ["uid", "resourceVersion", "selfLink"] {
        metadata.string(name, problems);
    }
    for name in ["ownerReferences", "finalizers", "managedFields"] {
        metadata.list(name, problems);
    }
    if let Some(map) = metadata.get("annotations") {
        annotations(map, problems);
    }
    let labels = metadata.get("labels").map(|map| labels(map, problems)).unwrap_or_default();
    time(&metadata, "deletionTimestamp", problems);
    (labels, time(&metadata, "creationTimestamp", problems))
}

fn annotations(map: Field, problems: &mut Problems) {
    let fields = map.entries(problems);
    let mut size = 0;
    for (key, field, value) in fields.strings(problems) {
        let at = Field { node: field.node, path: fields.at().path.clone() };
        // "The rule is QualifiedName except that case doesn't matter": ValidateAnnotations in apimachinery.
        problems.invalid(&at, &key.text, &label_key(&key.text.to_lowercase()));
        size += key.text.len() + value.len();
    }
    if size > ANNOTATIONS {
        problems.at(fields.at(), format!("Too long: may not be more than {ANNOTATIONS} bytes"));
    }
}

fn time(metadata: &Fields, name: &str, problems: &mut Problems) -> Option<capture::Timestamp> {
    let (field, text) = metadata.string(name, problems)?;
    match text.parse() {
        Ok(time) => Some(time),
        Err(error) => {
            problems.at(&field, format!("Invalid value: {error}"));
            None
        }
    }
}
