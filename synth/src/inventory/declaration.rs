//! Objects that declare connections: who they lead to, as they say it.

use super::build::{namespace_of, newest};
use super::workload::selector_of;
use crate::label::Selector;
use crate::manifest::Objects;
use crate::manifest::declaration::{Endpoint, Target};
use crate::manifest::object::IntOrString;
use crate::policy::Origin;

/// A connection that an object declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// `kind` of the object.
    pub kind: String,
    /// Its name, `namespace/name` where it has a namespace, and the webhook's where it has several.
    pub name: String,
    /// Where it was read.
    pub origin: Origin,
    /// Who serves it.
    pub target: DeclaredTarget,
}

/// Who serves a declared connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeclaredTarget {
    /// The pods behind a port of a Service.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its port.
        port: u16,
    },
    /// What Services, or pods, with these labels serve on a port.
    Scraped {
        /// Whether pods are selected, rather than Services.
        pods: bool,
        /// Their labels.
        selector: Selector,
        /// Their namespaces; `None` for all.
        namespaces: Option<Vec<String>>,
        /// Which port.
        port: ScrapedPort,
    },
}

/// A port that is scraped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScrapedPort {
    /// By the name that the Service, or the container where pods are selected, gives it.
    Named(String),
    /// By the name that the container gives it.
    Container(String),
    /// By its number on the pod.
    Number(u16),
}

impl ScrapedPort {
    fn of(endpoint: &Endpoint) -> Option<ScrapedPort> {
        match endpoint {
            Endpoint { port: Some(name), .. } if !name.is_empty() => Some(ScrapedPort::Named(name.clone())),
            Endpoint { port_number: Some(number), .. } => Some(ScrapedPort::Number(*number)),
            Endpoint { target_port: Some(IntOrString::Int(number)), .. } => Some(ScrapedPort::Number(*number)),
            Endpoint { target_port: Some(IntOrString::String(name)), .. } => Some(ScrapedPort::Container(name.clone())),
            _ => None,
        }
    }
}

/// The API server calls webhooks and aggregated APIs on this port where none is given.
const HTTPS: u16 = 443;

/// The newest version of each object.
pub(super) fn declarations(objects: &Objects) -> Vec<Declaration> {
    let mut found = Vec::new();
    for stored in newest(&objects.declaring, |declaring| &declaring.metadata) {
        let object = &stored.object;
        let name = match &object.metadata.namespace {
            Some(namespace) if !namespace.is_empty() => format!("{namespace}/{}", object.metadata.name),
            _ => object.metadata.name.clone(),
        };
        for target in &object.targets {
            let (name, target) = match target {
                Target::Service { what, service } => {
                    let name = if what.is_empty() { name.clone() } else { format!("{name}, webhook {what}") };
                    let port = service.port.unwrap_or(HTTPS);
                    let (namespace, service) = (service.namespace.clone(), service.name.clone());
                    (name, DeclaredTarget::Service { namespace, name: service, port })
                }
                Target::Scrape { pods, selector, namespaces, endpoint } => {
                    let Some(port) = ScrapedPort::of(endpoint) else { continue };
                    let named = namespaces.match_names.clone().unwrap_or_default();
                    let namespaces = match (namespaces.any, named.is_empty()) {
                        (true, _) => None,
                        (false, true) => Some(vec![namespace_of(&object.metadata)]),
                        (false, false) => Some(named),
                    };
                    let selector = selector_of(selector);
                    (name.clone(), DeclaredTarget::Scraped { pods: *pods, selector, namespaces, port })
                }
            };
            found.push(Declaration { kind: object.kind.clone(), name, origin: stored.origin.clone(), target });
        }
    }
    found.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
    found
}
