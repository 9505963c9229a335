//! Which policies of an earlier run are to go.
//!
//! A policy that this run does not write is over only if the run could have written it, and saw enough to say that nobody
//! needs it. Whatever else it may be, it stays.

use synth::carry::Mapping;
use synth::endpoint::Workload;
use synth::inventory::Inventory;
use synth::learn::Watched;
use synth::policy::Policy;
use synth::synthesize::Plan;

use crate::selection::Selection;

/// What a run is about, and what it could see.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// `-n` and `-l`.
    pub(crate) selection: &'a Selection,
    /// The learning cluster.
    pub(crate) inventory: &'a Inventory,
    /// Where the policies are for another.
    pub(crate) mapping: Option<&'a Mapping>,
    /// What was made of the traffic.
    pub(crate) plan: &'a Plan,
    /// What was watched.
    pub(crate) watched: &'a Watched,
    /// Whether all input could be read.
    pub(crate) is_complete: bool,
    /// Whether the objects and the traffic are of one cluster and time.
    pub(crate) fits: bool,
}

/// What becomes of a policy that this run does not write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is over, and why.
    Goes(String),
    /// It may be over, but that is not known, and why.
    Stays(&'static str),
    /// The run is not about it.
    Elsewhere,
}

impl Scope<'_> {
    /// What becomes of a policy that is in the directory and is not written.
    pub(super) fn fate(&self, policy: &Policy) -> Fate {
        let namespace = match self.mapping {
            Some(mapping) => mapping.original(&policy.namespace),
            None => Some(policy.namespace.as_str()),
        };
        let Some(namespace) = namespace else { return Fate::Elsewhere };
        let selected = self.selected(namespace, policy);
        if !self.selection.has_all(namespace, &selected, policy.subject.is_everything(), self.inventory) {
            return Fate::Elsewhere;
        }
        if !self.is_complete {
            return Fate::Stays("not all input could be read");
        }
        if !self.fits {
            return Fate::Stays("cluster and traffic do not fit together");
        }
        if self.plan.policies.iter().all(|planned| planned.workloads.is_empty()) {
            return Fate::Stays("nothing was learned");
        }
        if selected.iter().any(|workload| !self.watched.covers(workload, self.inventory)) {
            return Fate::Stays("not watched");
        }
        let silent: Vec<String> =
            selected.iter().filter(|workload| self.plan.silent.contains(workload)).map(ToString::to_string).collect();
        Fate::Goes(if selected.is_empty() {
            "selects no pod of the cluster input".to_string()
        } else if policy.subject.is_everything() {
            "isolates the whole namespace, which is not asked for".to_string()
        } else if silent.is_empty() {
            "its pods have another policy".to_string()
        } else {
            format!("nothing seen that makes a rule for {}", silent.join(", "))
        })
    }

    /// The workloads of which a policy selects pods.
    fn selected(&self, namespace: &str, policy: &Policy) -> Vec<&Workload> {
        let workloads = self.inventory.workloads.iter();
        workloads
            .filter(|(workload, info)| workload.namespace == namespace && !info.host_network)
            .filter(|(_, info)| info.pods.iter().any(|pod| policy.subject.matches(&self.inventory.pod(*pod).labels)))
            .map(|(workload, _)| workload)
            .collect()
    }
}
