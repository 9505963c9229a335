//! An object of an API server to what of it is read here: what is dropped is never stored and never leaves the cluster.
//!
//! Identity needs few fields. Environments, commands, volumes, probes' headers, `managedFields` and all annotations but
//! a few are dropped; of policies, which are judged as they are written, `spec` stays whole; of kinds
//! that are of no use here, the name. The types that read objects also write them, so that there is no second list of
//! fields that could differ from the first.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::declaration::{self, Reader, is_declaring};
use super::foreign_group_of;
use super::object;

/// An object that does not fit its type, which would not be read from a dump either.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{object}: {message}")]
pub struct Misfit {
    /// `Pod shop/web-1`.
    pub object: String,
    /// What does not fit, in words.
    pub message: String,
}

/// An object of which nothing is left but what is read; only [`reduce`] makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduced(Value);

impl Reduced {
    /// The object, `apiVersion` and `kind` first.
    pub fn value(&self) -> &Value {
        &self.0
    }
}

/// An object with what is read of it and nothing else. Read as a manifest it says the same
/// as the whole object, and reducing it again changes nothing.
///
/// # Errors
///
/// [`Misfit`] where it is no object of its kind.
pub fn reduce(object: &Value) -> Result<Reduced, Misfit> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let misfit = |error: serde_json::Error| Misfit { object: name_of(object), message: error.to_string() };
    let mut fields = fields(version, kind, object).map_err(misfit)?;
    without_nulls(&mut fields);
    if let Some(spec) = object.get("spec").filter(|_| is_policy(version, kind)) {
        fields["spec"] = spec.clone();
    }
    let mut reduced = Map::new();
    reduced.insert("apiVersion".to_string(), version.into());
    reduced.insert("kind".to_string(), kind.into());
    if let Value::Object(fields) = fields {
        reduced.extend(fields);
    }
    Ok(Reduced(Value::Object(reduced)))
}

/// `Pod shop/web-1`, `Node a`.
fn name_of(object: &Value) -> String {
    let metadata = |key: &str| object.get("metadata")?.get(key)?.as_str();
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or("object");
    let name = metadata("name").unwrap_or("without a name");
    metadata("namespace").map_or_else(|| format!("{kind} {name}"), |namespace| format!("{kind} {namespace}/{name}"))
}

fn is_policy(version: &str, kind: &str) -> bool {
    let is_kind =
        matches!(kind, "NetworkPolicy" | "ClusterNetworkPolicy" | "AdminNetworkPolicy" | "BaselineAdminNetworkPolicy");
    is_kind && foreign_group_of(version).is_none()
}

fn fields(version: &str, kind: &str, object: &Value) -> serde_json::Result<Value> {
    match kind {
        "Node" => kept::<object::Node>(object),
        "Pod" => kept::<object::Pod>(object),
        "Service" => kept::<object::Service>(object),
        "EndpointSlice" => kept::<object::EndpointSlice>(object),
        "Endpoints" => kept::<object::Endpoints>(object),
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" | "CronJob" | "ReplicationController" => {
            kept::<object::Controller>(object)
        }
        // `Namespace` reads nothing but metadata.
        "Namespace" => kept::<object::Namespace>(object),
        _ if is_policy(version, kind) => kept::<object::Namespace>(object),
        // What has no webhook leads nowhere, and its schema is the largest object of all.
        "CustomResourceDefinition" if !has_webhook(object) => kept::<object::Namespace>(object),
        declaring if is_declaring(declaring) => declaration::reduced(declaring, &Parsed(object))?,
        _ => match Parsed(object).read::<object::Controller>() {
            Ok(controller) if super::makes_pods(&controller) => serde_json::to_value(controller),
            _ => kept::<OnlyName>(object),
        },
    }
}

fn has_webhook(object: &Value) -> bool {
    object.get("spec").and_then(|spec| spec.get("conversion")).is_some_and(|conversion| conversion.is_object())
}

/// An object of which nothing but its existence is of interest.
#[derive(Debug, Default, Serialize, serde::Deserialize)]
#[serde(default)]
struct OnlyName {
    metadata: Name,
}

#[derive(Debug, Default, Serialize, serde::Deserialize)]
#[serde(default)]
struct Name {
    name: String,
    namespace: Option<String>,
}

fn kept<T: DeserializeOwned + Serialize>(object: &Value) -> serde_json::Result<Value> {
    serde_json::to_value(Parsed(object).read::<T>()?)
}

struct Parsed<'a>(&'a Value);

impl Reader for Parsed<'_> {
    type Error = serde_json::Error;

    fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(self.0)
    }
}

/// Absent fields are not written.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
