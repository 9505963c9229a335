//! Names of the analyzer, `namespace/owner[Kind]`, as workloads of ours. It knows the direct owner of pods, we the top one.

use std::collections::BTreeSet;

use synth::endpoint::Workload;
use synth::inventory::Inventory;

/// The workload that a name stands for.
pub fn resolve(name: &str, inventory: &Inventory) -> Result<Workload, String> {
    let unknown = |why: &str| format!("{name} {why}");
    let (namespace, rest) = name.split_once('/').ok_or_else(|| unknown("has no namespace"))?;
    let (owner, kind) = rest.split_once('[').ok_or_else(|| unknown("has no kind"))?;
    let kind = kind.trim_end_matches(']');
    let itself = Workload { namespace: namespace.to_string(), kind: kind.to_string(), name: owner.to_string() };
    if inventory.workloads.contains_key(&itself) {
        return Ok(itself);
    }
    // An owner reference without a kind, which the API server refuses, is an owner of no kind to us.
    let nameless = Workload { kind: String::new(), ..itself };
    if kind == "Pod" && inventory.workloads.contains_key(&nameless) {
        return Ok(nameless);
    }
    // A ReplicaSet's pods are its name and five characters, a Job's too; both may have an owner of their own.
    let suffix = |pod: &str| {
        pod.strip_prefix(owner).and_then(|rest| rest.strip_prefix('-')).is_some_and(|rest| !rest.contains('-'))
    };
    let owned = inventory.pods.iter().filter(|pod| pod.namespace == namespace && suffix(&pod.name));
    let tops: BTreeSet<&Workload> = owned.map(|pod| &pod.workload).collect();
    let mut tops = tops.into_iter();
    match (tops.next(), tops.next()) {
        (Some(top), None)
            if matches!((kind, top.kind.as_str()), ("ReplicaSet", "Deployment" | "Rollout") | ("Job", "CronJob")) =>
        {
            Ok(top.clone())
        }
        (Some(_), Some(_)) => Err(unknown("is several workloads of ours")),
        _ => Err(unknown("is no workload of ours")),
    }
}
