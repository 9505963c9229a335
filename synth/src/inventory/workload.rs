//! Workloads: which pods they own and what selects them.

use std::collections::HashMap;

use super::PodId;
use super::build::namespace_of;
use crate::label::{Labels, Requirement, Selector};
use crate::manifest::object::{self, OwnerReference};
use crate::manifest::{Controller, Stored};

/// What is known about a workload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkloadInfo {
    /// Its pods, those that are over included.
    pub pods: Vec<PodId>,
    /// The owner's `spec.selector`, where it is one that stays (a Job's is its controller-uid).
    pub selector: Option<Selector>,
    /// Labels of the pod template, or of the bare pod.
    pub labels: Labels,
    /// Whether its pods use their node's network.
    pub host_network: bool,
    /// Whether the cluster input holds no pod of it and one was made from its template.
    pub from_template: bool,
}

/// Label keys that a controller sets anew for each rollout, run or pod. A selector made of them is wrong tomorrow.
pub(crate) fn is_volatile(key: &str) -> bool {
    const NAMES: [&str; 9] = [
        "pod-template-hash",
        "rollouts-pod-template-hash",
        "controller-revision-hash",
        "pod-template-generation",
        "controller-uid",
        "job-name",
        "pod-name",
        "pod-index",
        "job-completion-index",
    ];
    // The prefix does not matter: `batch.kubernetes.io/job-name`, `statefulset.kubernetes.io/pod-name` and kin.
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    NAMES.contains(&name) || key == "helm.sh/chart" || key == "app.kubernetes.io/version" || key == "chart"
}

/// `labels` without those that change.
pub(crate) fn stable(labels: &Labels) -> Labels {
    labels.iter().filter(|(key, _)| !is_volatile(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The controllers of a cluster by namespace, kind and name.
pub(super) struct Owners<'a> {
    by_name: HashMap<(String, String, String), &'a object::Controller>,
}

impl<'a> Owners<'a> {
    pub(super) fn new(controllers: &'a [Stored<Controller>]) -> Owners<'a> {
        let by_name = controllers
            .iter()
            .map(|stored| {
                let metadata = &stored.object.object.metadata;
                ((namespace_of(metadata), stored.object.kind.clone(), metadata.name.clone()), &stored.object.object)
            })
            .collect();
        Owners { by_name }
    }

    pub(super) fn get(&self, namespace: &str, kind: &str, name: &str) -> Option<&'a object::Controller> {
        self.by_name.get(&(namespace.to_string(), kind.to_string(), name.to_string())).copied()
    }

    /// Kind and name of the top owner of an object of `namespace`, following `ownerReferences`.
    pub(super) fn top(&self, namespace: &str, labels: &Labels, mut owner: OwnerReference) -> (String, String) {
        // Chains are Pod -> Job -> CronJob at most in practice; the bound ends a cycle.
        for _ in 0..8 {
            match self.get(namespace, &owner.kind, &owner.name) {
                Some(controller) => match controlling(controller.metadata.owner_references.as_deref()) {
                    Some(next) => owner = next.clone(),
                    None => break,
                },
                None => {
                    return self.inferred(namespace, labels, owner);
                }
            }
        }
        (owner.kind, owner.name)
    }

    /// The owner of an owner that is gone from the dump while its pods are there. The Deployment controller, and Argo
    /// Rollouts, put their hash both into the ReplicaSet's name and into a label of their own, so name and kind are
    /// certain; a CronJob names its Jobs after itself and the minute.
    fn inferred(&self, namespace: &str, labels: &Labels, owner: OwnerReference) -> (String, String) {
        let hashes = [("pod-template-hash", "Deployment"), ("rollouts-pod-template-hash", "Rollout")];
        for (label, kind) in hashes.into_iter().filter(|_| owner.kind == "ReplicaSet") {
            if let Some(hash) = labels.get(label)
                && let Some(name) = owner.name.strip_suffix(&format!("-{hash}"))
            {
                return (kind.to_string(), name.to_string());
            }
        }
        if owner.kind == "Job"
            && let Some((name, minute)) = owner.name.rsplit_once('-')
            && minute.bytes().all(|byte| byte.is_ascii_digit())
            && self.get(namespace, "CronJob", name).is_some()
        {
            return ("CronJob".to_string(), name.to_string());
        }
        (owner.kind, owner.name)
    }
}

/// The owner that controls an object. A static pod's mirror is controlled by its Node, which is no workload.
pub(super) fn controlling(owners: Option<&[OwnerReference]>) -> Option<&OwnerReference> {
    owners?.iter().find(|owner| owner.controller == Some(true) && owner.kind != "Node" && !owner.name.is_empty())
}

/// `spec.selector` as a [`Selector`]; `None` where it is absent or names a controller-uid, as a Job's does.
pub(super) fn lasting_selector(controller: &object::Controller) -> Option<Selector> {
    let written = controller.spec.selector.as_ref()?;
    let mut selector: Selector = Selector::from_labels(written.match_labels.as_ref().unwrap_or(&Labels::new()));
    for expression in written.match_expressions.iter().flatten() {
        let key = expression.key.clone();
        let values = expression.values.iter().flatten().cloned().collect();
        selector.insert(match expression.operator.as_str() {
            "In" => Requirement::In { key, values },
            "NotIn" => Requirement::NotIn { key, values },
            "Exists" => Requirement::Exists { key },
            _ => Requirement::Absent { key },
        });
    }
    let uid = |requirement: &Requirement| requirement.key().ends_with("controller-uid");
    (!selector.is_everything() && !selector.requirements().any(uid)).then_some(selector)
}
