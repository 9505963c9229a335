//! What is kept of fields that may hold anything: annotations and arguments of a few names, nothing else of them.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Annotations whose keys say who scrapes a pod or a Service, which mesh a pod is in and which plugin a node has, by
/// their beginnings. All others, of which some are as large as the object, are dropped while reading.
const ANNOTATIONS: [&str; 18] = [
    "prometheus.io/",
    "istio.io/",
    "sidecar.istio.io/",
    "traffic.sidecar.istio.io/",
    "ambient.istio.io/",
    "linkerd.io/",
    "config.linkerd.io/",
    "consul.hashicorp.com/connect-inject",
    "kuma.io/",
    "k8s.v1.cni.cncf.io/networks",
    "flannel.alpha.coreos.com/",
    "projectcalico.org/",
    "network.cilium.io/",
    "io.cilium.network.",
    "node.antrea.io/",
    "k3s.io/",
    "k8s.ovn.org/node-",
    "alpha.kubernetes.io/provided-node-ip",
];

/// Arguments that switch policies off or on, by their beginnings: the agent of the AWS VPC CNI, kube-router, and
/// kindnet.
const FLAGS: [&str; 3] = ["--enable-network-policy", "--run-firewall", "--network-policy"];

/// Whether an annotation is kept.
pub fn is_kept(key: &str) -> bool {
    ANNOTATIONS.iter().any(|start| key.starts_with(start))
}

/// `metadata.annotations`, reduced to those of [`ANNOTATIONS`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Annotations(pub BTreeMap<String, String>);

impl Annotations {
    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Annotations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of annotations")
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<Annotations, E> {
                Ok(Annotations::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
                let mut kept = BTreeMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    if is_kept(&key) {
                        // The API server takes nothing but text; a number without quotes says the same in a manifest.
                        let text = match map.next_value::<Value>()? {
                            Value::String(text) => text,
                            Value::Null => String::new(),
                            other => other.to_string(),
                        };
                        kept.insert(key, text);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Annotations(kept))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// `command` or `args` of a container, reduced to those of [`FLAGS`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Flags(pub Vec<String>);

impl Flags {
    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Flags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Value::Array(written) = Value::deserialize(deserializer)? else { return Ok(Flags::default()) };
        let is_kept = |text: &str| FLAGS.iter().any(|start| text.starts_with(start));
        let kept = written.into_iter().filter_map(|value| match value {
            Value::String(text) if is_kept(&text) => Some(text),
            _ => None,
        });
        Ok(Flags(kept.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_asks_for_is_dropped() {
        let annotations: Annotations = serde_json::from_str(
            r#"{"prometheus.io/scrape": "true", "prometheus.io/port": 8080, "kubectl.kubernetes.io/last-applied-configuration": "{}", "x": null}"#,
        )
        .unwrap();
        let expected = [("prometheus.io/port", "8080"), ("prometheus.io/scrape", "true")];
        assert_eq!(annotations.0, expected.map(|(key, value)| (key.to_string(), value.to_string())).into());
        let flags: Flags = serde_json::from_str(r#"["-c", "--enable-network-policy=true", 7, "--v=2"]"#).unwrap();
        assert_eq!(flags.0, ["--enable-network-policy=true"]);
    }
}
