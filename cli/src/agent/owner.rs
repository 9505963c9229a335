//! The workload a pod belongs to: the owner of its ReplicaSet or Job, asked for once.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Error};
use synth::inventory::owner_by_hash;

use super::tenures::Owner;

/// How long an answer may take: pods are waiting for it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Owners that are remembered; a node has some hundred pods.
const REMEMBERED: usize = 4096;

/// Finds top owners, with metadata alone.
pub(super) struct Owners {
    client: Client,
    /// By namespace, kind and name: what owns it, `None` where nothing does.
    known: BTreeMap<(String, String, String), Option<Owner>>,
}

impl Owners {
    pub(super) fn new(client: Client) -> Owners {
        Owners { client, known: BTreeMap::new() }
    }

    /// The top owner of a pod; the pod itself where nobody owns it. Where the API server does not say, the labels do.
    pub(super) async fn of(&mut self, pod: &ObjectMeta) -> Owner {
        let Some(owner) = controlling(pod) else {
            return Owner { kind: "Pod".to_string(), name: pod.name.clone().unwrap_or_default() };
        };
        let direct = Owner { kind: owner.kind.clone(), name: owner.name.clone() };
        if !matches!((owner.api_version.as_str(), owner.kind.as_str()), ("apps/v1", "ReplicaSet") | ("batch/v1", "Job"))
        {
            return direct;
        }
        let namespace = pod.namespace.clone().unwrap_or_default();
        let key = (namespace, owner.kind.clone(), owner.name.clone());
        if let Some(top) = self.known.get(&key) {
            return top.clone().unwrap_or(direct);
        }
        match self.ask(&key).await {
            Answer::Top(top) => {
                if self.known.len() >= REMEMBERED {
                    self.known.clear();
                }
                self.known.insert(key, top.clone());
                top.unwrap_or(direct)
            }
            Answer::Unknown => {
                let labels = pod.labels.clone().unwrap_or_default();
                let told = owner_by_hash(&direct.kind, &direct.name, &labels);
                told.map(|(kind, name)| Owner { kind: kind.to_string(), name: name.to_string() }).unwrap_or(direct)
            }
        }
    }

    async fn ask(&self, (namespace, kind, name): &(String, String, String)) -> Answer {
        let asked = async {
            match kind.as_str() {
                "ReplicaSet" => Api::<PartialObjectMeta<ReplicaSet>>::namespaced(self.client.clone(), namespace)
                    .get(name)
                    .await
                    .map(|found| found.metadata),
                _ => Api::<PartialObjectMeta<Job>>::namespaced(self.client.clone(), namespace)
                    .get(name)
                    .await
                    .map(|found| found.metadata),
            }
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(metadata)) => {
                let top = controlling(&metadata);
                Answer::Top(top.map(|owner| Owner { kind: owner.kind.clone(), name: owner.name.clone() }))
            }
            // Gone before its pods: the next one asks again, which costs little.
            Ok(Err(Error::Api(status))) if status.code == 404 => Answer::Unknown,
            Ok(Err(error)) => {
                tracing::warn!(namespace, kind, name, %error, "the owner is not known");
                Answer::Unknown
            }
            Err(_) => {
                tracing::warn!(namespace, kind, name, "the API server does not say who the owner is");
                Answer::Unknown
            }
        }
    }
}

enum Answer {
    Top(Option<Owner>),
    Unknown,
}

/// The owner that controls an object. A static pod's mirror is controlled by its Node, which is no workload.
fn controlling(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    let owners = metadata.owner_references.iter().flatten();
    owners.into_iter().find(|owner| owner.controller == Some(true) && owner.kind != "Node")
}
