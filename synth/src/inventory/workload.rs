//! Workloads: which pods they own and what selects them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use capture::Timestamp;

use super::PodId;
use super::build::namespace_of;
use crate::label::{Labels, Requirement, Selector};
use crate::manifest::object::{self, OwnerReference};
use crate::manifest::{Controller, Stored};
use crate::policy::Origin;

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
    /// `spec.serviceAccountName` of its first pod that names one; the API server fills in `default` where none does.
    pub service_account: Option<String>,
    /// Whether the cluster input holds no pod of it and one was made from its template.
    pub from_template: bool,
    /// `spec.replicas`: the owner's own, else the sum of those of the controllers it owns; `None` where nothing says it.
    pub replicas: Option<u32>,
    /// When a CronJob runs.
    pub schedule: Option<Schedule>,
    /// Where the owner was read, or its first pod where it is not in the input.
    pub origin: Option<Origin>,
    /// The containers of its template or pods, init containers included: names and their images, empty where unknown.
    pub containers: BTreeMap<String, BTreeSet<String>>,
    /// Arguments of those containers that switch policies on or off.
    pub flags: BTreeSet<String>,
    /// Annotations of its template or pods that speak of meshes and scraping.
    pub annotations: BTreeMap<String, String>,
}

impl WorkloadInfo {
    /// Whether it is to have no pod: `spec.replicas` is 0.
    pub fn is_at_zero(&self) -> bool {
        self.replicas == Some(0)
    }

    /// Notes what a pod or a template is made of.
    pub(super) fn note(&mut self, metadata: &object::Metadata, spec: &object::PodSpec) {
        for container in spec.containers.iter().chain(&spec.init_containers).flatten() {
            let images = self.containers.entry(container.name.clone().unwrap_or_default()).or_default();
            images.extend(container.image.clone());
            self.flags.extend(container.command.0.iter().chain(&container.args.0).cloned());
        }
        for (key, value) in &metadata.annotations.0 {
            self.annotations.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
}

/// When a CronJob runs (`batch/v1`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// `spec.schedule`, five fields or `@daily` and the like.
    pub cron: String,
    /// `spec.timeZone`; the controller manager's own where absent.
    pub time_zone: Option<String>,
    /// `spec.suspend`.
    pub suspended: bool,
    /// `status.lastScheduleTime`.
    pub last_scheduled: Option<Timestamp>,
    /// `status.lastSuccessfulTime`.
    pub last_succeeded: Option<Timestamp>,
}

impl Schedule {
    pub(super) fn of(controller: &object::Controller) -> Option<Schedule> {
        let status = controller.status.as_ref();
        let time = |text: Option<&String>| text.and_then(|text| text.parse().ok());
        Some(Schedule {
            cron: controller.spec.schedule.clone()?,
            time_zone: controller.spec.time_zone.clone(),
            suspended: controller.spec.suspend.unwrap_or_default(),
            last_scheduled: time(status.and_then(|status| status.last_schedule_time.as_ref())),
            last_succeeded: time(status.and_then(|status| status.last_successful_time.as_ref())),
        })
    }
}

/// Whether any pod of a workload existed in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Presence {
    /// None did, as far as the input goes: pods that are gone from it left no trace.
    No,
    /// One is over and began before the window, and nothing says when it ended.
    Unknown,
    /// One did.
    Yes,
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
    by_name: HashMap<(String, String, String), &'a Stored<Controller>>,
}

impl<'a> Owners<'a> {
    pub(super) fn new(controllers: &'a [Stored<Controller>]) -> Owners<'a> {
        let by_name = controllers
            .iter()
            .map(|stored| {
                let metadata = &stored.object.object.metadata;
                ((namespace_of(metadata), stored.object.kind.clone(), metadata.name.clone()), stored)
            })
            .collect();
        Owners { by_name }
    }

    pub(super) fn get(&self, namespace: &str, kind: &str, name: &str) -> Option<&'a object::Controller> {
        self.stored(namespace, kind, name).map(|stored| &stored.object.object)
    }

    /// The same with its place.
    pub(super) fn stored(&self, namespace: &str, kind: &str, name: &str) -> Option<&'a Stored<Controller>> {
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

    /// The owner of an owner that is gone from the dump while its pods are there: by [`owner_by_hash`], and a CronJob
    /// names its Jobs after itself and the minute.
    fn inferred(&self, namespace: &str, labels: &Labels, owner: OwnerReference) -> (String, String) {
        if let Some((kind, name)) = owner_by_hash(&owner.kind, &owner.name, labels) {
            return (kind.to_string(), name.to_string());
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

/// Kind and name of what owns a ReplicaSet, told by the labels of its pods: the Deployment controller, and Argo Rollouts,
/// put their hash both into the ReplicaSet's name and into a label of their own, so both are certain.
pub fn owner_by_hash<'a>(kind: &str, name: &'a str, labels: &Labels) -> Option<(&'static str, &'a str)> {
    let hashes = [("pod-template-hash", "Deployment"), ("rollouts-pod-template-hash", "Rollout")];
    hashes.into_iter().filter(|_| kind == "ReplicaSet").find_map(|(label, owner)| {
        let name = name.strip_suffix(labels.get(label)?.as_str())?.strip_suffix('-')?;
        Some((owner, name))
    })
}

/// The owner that controls an object. A static pod's mirror is controlled by its Node, which is no workload.
pub(super) fn controlling(owners: Option<&[OwnerReference]>) -> Option<&OwnerReference> {
    owners?.iter().find(|owner| owner.controller == Some(true) && owner.kind != "Node" && !owner.name.is_empty())
}

/// `spec.selector` as a [`Selector`]; `None` where it is absent or names a controller-uid, as a Job's does.
pub(super) fn lasting_selector(controller: &object::Controller) -> Option<Selector> {
    let selector = selector_of(controller.spec.selector.as_ref()?);
    let uid = |requirement: &Requirement| requirement.key().ends_with("controller-uid");
    (!selector.is_everything() && !selector.requirements().any(uid)).then_some(selector)
}

/// `metav1.LabelSelector` as a [`Selector`].
pub(super) fn selector_of(written: &object::LabelSelector) -> Selector {
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
    selector
}
