//! What generated policies are called.

use std::collections::{BTreeMap, BTreeSet};

use super::{DEFAULT_DENY, is_managed};
use crate::endpoint::Workload;
use crate::inventory::Inventory;
use crate::label::Selector;
use crate::policy::Policy;
use crate::select::{Group, Groups};

/// Longest name given: an object's may have 253 bytes (RFC 1123 subdomain), a file's 255 with its `.yaml`.
const LONGEST_NAME: usize = 250;

/// Names of policies that are taken, by namespace.
pub(super) struct Names {
    /// Policies of somebody else, which must not be replaced.
    foreign: BTreeSet<(String, String)>,
    given: BTreeSet<(String, String)>,
}

impl Names {
    /// Those of the cluster's policies that are neither labelled as ours nor what an earlier run wrote: tools that apply
    /// policies may put their own label in the place of ours.
    pub(super) fn new(inventory: &Inventory, kept: &[Policy]) -> Names {
        let subject = |policy: &Policy| (policy.namespace.clone(), policy.name.clone(), policy.subject.clone());
        let kept: BTreeSet<(String, String, Selector)> = kept.iter().map(subject).collect();
        let is_ours = |policy: &&Policy| is_managed(policy) || kept.contains(&subject(policy));
        let foreign = inventory.policies.iter().filter(|policy| !is_ours(policy));
        let foreign = foreign.map(|policy| (policy.namespace.clone(), policy.name.clone())).collect();
        Names { foreign, given: BTreeSet::new() }
    }

    /// The name of the policy that isolates all pods of a namespace: the one that it has, else [`DEFAULT_DENY`].
    pub(super) fn of_default_deny(&mut self, namespace: &str, kept: &[Policy]) -> String {
        let theirs = kept.iter().filter(|policy| policy.namespace == namespace && is_default_deny(policy));
        let mut wishes: Vec<String> = theirs.map(|policy| policy.name.clone()).collect();
        wishes.sort_by_key(|name| (name != DEFAULT_DENY, name.clone()));
        wishes.extend([DEFAULT_DENY.to_string(), format!("{DEFAULT_DENY}-ringfence")]);
        self.give(namespace, &wishes)
    }

    /// The first of `wishes` that nobody has, else the last one with a number.
    fn give(&mut self, namespace: &str, wishes: &[String]) -> String {
        let numbered =
            wishes.last().into_iter().flat_map(|last| (2u32..).map(move |number| format!("{last}-{number}")));
        let cut = |name: String| {
            let keep = name.len().saturating_sub(LONGEST_NAME);
            name[keep..].trim_start_matches(['-', '.']).to_string()
        };
        let free = wishes.iter().cloned().chain(numbered).map(cut).find(|name| self.is_free(namespace, name));
        let name = free.unwrap_or_default();
        self.given.insert((namespace.to_string(), name.clone()));
        name
    }

    fn is_free(&self, namespace: &str, name: &str) -> bool {
        let id = (namespace.to_string(), name.to_string());
        !self.foreign.contains(&id) && !self.given.contains(&id)
    }
}

/// Whether a policy selects every pod and allows nothing in either direction, as [`DEFAULT_DENY`] does.
fn is_default_deny(policy: &Policy) -> bool {
    let allows_nothing = |rules: &Option<Vec<_>>| rules.as_ref().is_some_and(Vec::is_empty);
    policy.subject.is_everything() && allows_nothing(&policy.ingress) && allows_nothing(&policy.egress)
}

/// The name of each group's policy: the one that it has already, else its workload's, with the kind where another workload
/// or a policy of somebody else has that name.
pub(super) fn of_groups(names: &mut Names, inventory: &Inventory, groups: &Groups, kept: &[Policy]) -> Vec<String> {
    let mut taken: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for workload in inventory.workloads.keys() {
        *taken.entry((&workload.namespace, &workload.name)).or_default() += 1;
    }
    let alone = |group: &Group| {
        let Workload { namespace, name, .. } = &group.workloads[0];
        taken.get(&(namespace.as_str(), name.as_str())) == Some(&1) && name != DEFAULT_DENY
    };
    let mut given = vec![String::new(); groups.iter().count()];
    for (index, name) in kept_names(names, inventory, groups, kept) {
        given[index] = names.give(&groups.get(index).namespace, &[name]);
    }
    // Those that can have their own name get it before anybody else is given a longer one.
    for first in [true, false] {
        for (index, group) in groups.iter().enumerate().filter(|(_, group)| alone(group) == first) {
            if !given[index].is_empty() {
                continue;
            }
            let Workload { namespace, kind, name } = &group.workloads[0];
            let with_kind = format!("{name}-{}", kind.to_ascii_lowercase());
            let last = format!("{with_kind}-ringfence");
            let wishes = if first { vec![name.clone(), with_kind, last] } else { vec![with_kind, last] };
            given[index] = names.give(namespace, &wishes);
        }
    }
    given
}

/// The names that groups have already: of the policy with the same selector, else of the one that selects all of the
/// group's pods and no others. Of several, the one that is called like the workload, else the first.
fn kept_names(names: &Names, inventory: &Inventory, groups: &Groups, kept: &[Policy]) -> BTreeMap<usize, String> {
    let mut by_selector = BTreeMap::new();
    for (index, group) in groups.iter().enumerate() {
        by_selector.insert((group.namespace.as_str(), &group.selector), index);
    }
    let mut found: BTreeMap<usize, (u8, bool, &str)> = BTreeMap::new();
    for policy in
        kept.iter().filter(|policy| !is_default_deny(policy) && names.is_free(&policy.namespace, &policy.name))
    {
        let same = by_selector.get(&(policy.namespace.as_str(), &policy.subject)).map(|index| (*index, 0));
        let selected = || selected(policy, inventory, groups).map(|index| (index, 1));
        let Some((index, distance)) = same.or_else(selected) else { continue };
        let rank = (distance, policy.name != groups.get(index).workloads[0].name, policy.name.as_str());
        let best = found.entry(index).or_insert(rank);
        *best = rank.min(*best);
    }
    found.into_iter().map(|(index, (_, _, name))| (index, name.to_string())).collect()
}

/// The group of which a policy selects all pods, if it selects no others.
fn selected(policy: &Policy, inventory: &Inventory, groups: &Groups) -> Option<usize> {
    let in_namespace = |pod: &&crate::endpoint::Pod| pod.namespace == policy.namespace && !pod.host_network;
    let mut only = None;
    for pod in inventory.pods.iter().filter(in_namespace).filter(|pod| policy.subject.matches(&pod.labels)) {
        let index = groups.of(&pod.workload)?;
        if *only.get_or_insert(index) != index {
            return None;
        }
    }
    let index = only?;
    let mut pods = groups.get(index).workloads.iter().flat_map(|workload| &inventory.workloads[workload].pods);
    pods.all(|pod| policy.subject.matches(&inventory.pod(*pod).labels)).then_some(index)
}
