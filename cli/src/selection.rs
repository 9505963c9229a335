//! Which endpoints are written: `-n` and `-l`.

use anyhow::Context;
use synth::endpoint::{Endpoint, Workload};
use synth::inventory::Inventory;
use synth::label::Selector;
use synth::policy::AnyPolicy;

use crate::args::Selected;

/// The namespace and labels asked for.
pub(crate) struct Selection {
    namespace: Option<String>,
    selector: Option<Selector>,
}

impl Selection {
    /// Reads `-n` and `-l`.
    pub(crate) fn new(selected: &Selected) -> anyhow::Result<Selection> {
        let selector = selected.selector.as_deref().map(str::parse).transpose().context("--selector")?;
        Ok(Selection { namespace: selected.namespace.clone(), selector })
    }

    /// Whether a workload is asked for.
    pub(crate) fn has(&self, workload: &Workload, inventory: &Inventory) -> bool {
        let labelled = |selector: &Selector| {
            inventory
                .workloads
                .get(workload)
                .is_some_and(|info| info.pods.iter().any(|pod| selector.matches(&inventory.pod(*pod).labels)))
        };
        self.namespace.as_ref().is_none_or(|namespace| *namespace == workload.namespace)
            && self.selector.as_ref().is_none_or(labelled)
    }

    /// Whether a policy of a namespace is about nothing but what is asked for: labels ask for workloads, so that a policy of
    /// the whole namespace, or of nobody, is not meant by them.
    pub(crate) fn has_all(
        &self,
        namespace: &str,
        selected: &[&Workload],
        is_whole: bool,
        inventory: &Inventory,
    ) -> bool {
        let by_labels =
            || !is_whole && !selected.is_empty() && selected.iter().all(|workload| self.has(workload, inventory));
        self.namespace.as_ref().is_none_or(|own| own == namespace) && (self.selector.is_none() || by_labels())
    }

    /// Whether a policy is asked for: by its namespace, and by the workloads that it selects.
    pub(crate) fn has_policy(&self, policy: AnyPolicy<'_>, inventory: &Inventory) -> bool {
        let selects = |workload: &Workload| {
            let info = inventory.workloads.get(workload);
            let mut pods = info.into_iter().flat_map(|info| &info.pods).map(|pod| inventory.pod(*pod));
            pods.any(|pod| match policy {
                AnyPolicy::Network(policy) => policy.namespace == pod.namespace && policy.subject.matches(&pod.labels),
                AnyPolicy::Cluster(policy) => {
                    let namespaces = &policy.subject.namespaces;
                    inventory.namespaces.matches(namespaces, &pod.namespace) && policy.subject.pods.matches(&pod.labels)
                }
            })
        };
        let is_own = |policy: AnyPolicy<'_>| match (&self.namespace, policy) {
            (Some(namespace), AnyPolicy::Network(policy)) => policy.namespace == *namespace && self.selector.is_none(),
            _ => false,
        };
        self.is_everything()
            || is_own(policy)
            || inventory.workloads.keys().any(|workload| self.has(workload, inventory) && selects(workload))
    }

    /// Refuses what nothing in the input has: a name with a mistake in it would leave out everything, without a word.
    ///
    /// # Errors
    /// A namespace that no object is in, or labels that no pod has.
    pub(crate) fn is_there(&self, inventory: &Inventory, more: Option<&Inventory>) -> anyhow::Result<()> {
        let all = || std::iter::once(inventory).chain(more);
        if let Some(namespace) = &self.namespace {
            let has = |inventory: &Inventory| {
                inventory.namespaces.labels(namespace).is_some()
                    || inventory.workloads.keys().any(|workload| workload.namespace == *namespace)
                    || inventory.policies.iter().any(|policy| policy.namespace == *namespace)
            };
            anyhow::ensure!(all().any(has), "-n {namespace}: the input has no such namespace");
        }
        if let Some(selector) = &self.selector {
            let has = |inventory: &Inventory| inventory.pods.iter().any(|pod| selector.matches(&pod.labels));
            anyhow::ensure!(all().any(has), "-l {selector}: no pod of the input has these labels");
        }
        Ok(())
    }

    /// Whether nothing is left out.
    pub(crate) fn is_everything(&self) -> bool {
        self.namespace.is_none() && self.selector.is_none()
    }

    /// Whether one of two endpoints is asked for.
    pub(crate) fn touches(&self, ends: [&Endpoint; 2], inventory: &Inventory) -> bool {
        self.is_everything()
            || ends.into_iter().filter_map(Endpoint::workload).any(|workload| self.has(workload, inventory))
    }
}
