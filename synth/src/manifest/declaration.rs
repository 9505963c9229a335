//! Objects that say who will connect to whom, whether that was seen or not: admission webhooks, aggregated APIs,
//! conversion webhooks and what Prometheus scrapes. Reduced to the fields that say it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::object::{IntOrString, LabelSelector, Metadata};

/// One such object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaring {
    pub kind: String,
    pub metadata: Metadata,
    pub targets: Vec<Target>,
}

/// What it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A Service that the API server calls; `what` is the webhook's name, empty where there is one only.
    Service { what: String, service: ServiceReference },
    /// Ports that are scraped, of Services or, where `pods`, of pods.
    Scrape { pods: bool, selector: LabelSelector, namespaces: NamespaceNames, endpoint: Endpoint },
}

/// `admissionregistration.k8s.io/v1` ServiceReference; that of `apiregistration.k8s.io/v1` has the same fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct ServiceReference {
    pub namespace: String,
    pub name: String,
    /// 443 where absent.
    pub port: Option<u16>,
}

/// `namespaceSelector` of a monitor; its own namespace where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NamespaceNames {
    pub any: bool,
    pub match_names: Option<Vec<String>>,
}

/// `endpoints[]` and `podMetricsEndpoints[]` (`monitoring.coreos.com/v1`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    /// The name of the Service's port, or of the container's.
    pub port: Option<String>,
    pub port_number: Option<u16>,
    pub target_port: Option<IntOrString>,
    pub path: Option<String>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Webhooks {
    metadata: Metadata,
    webhooks: Option<Vec<Webhook>>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Webhook {
    name: String,
    client_config: ClientConfig,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct ClientConfig {
    /// Absent where the webhook has a URL, which is nobody's in the cluster as far as objects tell.
    service: Option<ServiceReference>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct ApiService {
    metadata: Metadata,
    /// Without a service the API server answers itself.
    spec: ClientConfig,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct CustomResource {
    metadata: Metadata,
    spec: CustomResourceSpec,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct CustomResourceSpec {
    conversion: Option<Conversion>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Conversion {
    /// `Webhook` where there is one; by this word such objects are told from the rest without being parsed.
    strategy: Option<String>,
    webhook: Option<ConversionWebhook>,
    /// v1beta1.
    webhook_client_config: Option<ClientConfig>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct ConversionWebhook {
    client_config: Option<ClientConfig>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Monitor {
    metadata: Metadata,
    spec: MonitorSpec,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct MonitorSpec {
    selector: LabelSelector,
    namespace_selector: Option<NamespaceNames>,
    endpoints: Option<Vec<Endpoint>>,
    pod_metrics_endpoints: Option<Vec<Endpoint>>,
}

/// Whether objects of this kind are read here.
pub fn is_declaring(kind: &str) -> bool {
    matches!(
        kind,
        "ValidatingWebhookConfiguration"
            | "MutatingWebhookConfiguration"
            | "APIService"
            | "CustomResourceDefinition"
            | "ServiceMonitor"
            | "PodMonitor"
    )
}

/// How an object is read as one type or another.
pub trait Reader {
    /// What goes wrong.
    type Error;
    /// The object as a type.
    fn read<T: DeserializeOwned>(&self) -> Result<T, Self::Error>;
}

/// Reads an object of one of these kinds.
pub fn read<R: Reader>(kind: &str, reader: &R) -> Result<Declaring, R::Error> {
    let service = |config: Option<ClientConfig>, what: &str| {
        let service = config.and_then(|config| config.service)?;
        Some(Target::Service { what: what.to_string(), service })
    };
    let (metadata, targets): (Metadata, Vec<Target>) = match kind {
        "APIService" => {
            let read: ApiService = reader.read()?;
            (read.metadata, service(Some(read.spec), "").into_iter().collect())
        }
        "CustomResourceDefinition" => {
            let read: CustomResource = reader.read()?;
            let conversion = read.spec.conversion.unwrap_or_default();
            let config = conversion.webhook.and_then(|webhook| webhook.client_config);
            (read.metadata, service(config.or(conversion.webhook_client_config), "").into_iter().collect())
        }
        "ServiceMonitor" | "PodMonitor" => {
            let Monitor { metadata, spec } = reader.read()?;
            let pods = kind == "PodMonitor";
            let endpoints = if pods { spec.pod_metrics_endpoints } else { spec.endpoints };
            let target = |endpoint| Target::Scrape {
                pods,
                selector: spec.selector.clone(),
                namespaces: spec.namespace_selector.clone().unwrap_or_default(),
                endpoint,
            };
            (metadata, endpoints.unwrap_or_default().into_iter().map(target).collect())
        }
        _ => {
            let read: Webhooks = reader.read()?;
            let webhooks = read.webhooks.unwrap_or_default();
            let targets = webhooks.into_iter().filter_map(|hook| service(Some(hook.client_config), &hook.name));
            (read.metadata, targets.collect())
        }
    };
    Ok(Declaring { kind: kind.to_string(), metadata, targets })
}

/// An object of one of these kinds with nothing but what [`read`] reads.
pub fn reduced<R: Reader>(kind: &str, reader: &R) -> Result<serde_json::Result<serde_json::Value>, R::Error> {
    Ok(match kind {
        "APIService" => serde_json::to_value(reader.read::<ApiService>()?),
        "CustomResourceDefinition" => serde_json::to_value(reader.read::<CustomResource>()?),
        "ServiceMonitor" | "PodMonitor" => serde_json::to_value(reader.read::<Monitor>()?),
        _ => serde_json::to_value(reader.read::<Webhooks>()?),
    })
}
