//! Mistakes in policies that show without any traffic: what the API server refuses, what selects nothing, and what
//! means something else than it reads.
//!
//! Each family of checks is a file. `index` finds pods by namespace and labels without looking at all of them;
//! `suggest` says what was probably meant. A finding is a statement about the input: where a dump of a cluster was
//! read, everything is known; plain manifests are part of a cluster, and there what only *may* be elsewhere is held
//! back unless something close to it is at hand (see [`Knowledge`]).

mod address;
mod cluster;
mod dns;
mod host;
mod index;
mod label;
mod mixture;
mod port;
mod refused;
mod repeated;
mod scope;
mod selects;
mod suggest;

pub(crate) use suggest::likeness;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use self::index::Index;
use crate::cluster::ClusterPolicy;
use crate::inventory::Inventory;
use crate::manifest::{Objects, Problem};
use crate::policy::{Direction, Origin, Policy, PolicySet, Rule};

/// What a finding is about; the names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id {
    /// The API server, or kubectl before it, refuses the policy: it is not in force at all.
    Rejected,
    /// `yes`, `on`, `y`, `true` or an opposite stands without quotes as a label, which kubectl's YAML 1.1 reads as a
    /// bool: the object is refused, or for a key, has another key than is written. Also of pods and workloads.
    YamlBoolean,
    /// The policy's namespace is not in the input, or holds no pods.
    NamespaceUnknown,
    /// The policy's `podSelector` matches no pod of its namespace.
    NoPod,
    /// A peer matches no pod in any of its namespaces.
    NoPeerPod,
    /// A peer's `namespaceSelector` matches no namespace.
    NoNamespace,
    /// A peer's `namespaceSelector` asks for a label such as `name` that no namespace carries, with the name of a
    /// namespace as value: `kubernetes.io/metadata.name` is the label that every namespace has.
    MetadataName,
    /// The policy selects only pods on their node's network, to which most network plugins apply no policy.
    HostNetworkOnly,
    /// A peer matches only pods on their node's network, which most network plugins know only as the node's address.
    HostNetworkPeer,
    /// Rules of a direction that `policyTypes` does not list.
    RulesIgnored,
    /// `matchLabels` without a label in a peer: it matches every pod, or every namespace.
    EmptyMatchLabels,
    /// An empty `podSelector` with rules: the policy isolates every pod of the namespace, or its name speaks of one
    /// workload while it applies to all.
    IsolatesNamespace,
    /// `namespaceSelector` and `podSelector` as two list items (either is enough) where one item (both at once) seems
    /// meant, or as one item where two seem meant.
    AndOr,
    /// No pod that the rule is about has a port of this name and protocol.
    NamedPort,
    /// The number is a Service's port, but policies see the pod's port, which is another.
    ServicePort,
    /// A selector asks for a label that a rollout or a run sets anew, such as `pod-template-hash`.
    VolatileLabel,
    /// A workload is isolated for egress, may connect elsewhere, and cannot reach DNS.
    NoDns,
    /// An `ipBlock` inside the pods' own addresses: not every network plugin lets it match pods, and they change.
    IpBlockPods,
    /// An `ipBlock` for a Service's cluster address: policies see the address of a pod behind it.
    IpBlockService,
    /// Two different policies of the same name in the same namespace: only one of them can be in force.
    DuplicateName,
    /// A rule that the policy has already.
    DuplicateRule,
    /// A cluster-wide policy selects no pod.
    NoSubject,
    /// Two cluster-wide policies of one tier and priority are about the same pods: which one is asked first is not
    /// defined.
    SamePriority,
    /// A rule of a cluster-wide policy that is never asked: rules before it match everything that it matches.
    UnreachableRule,
}

impl Id {
    /// All of them, in the order of the documentation.
    pub const ALL: [Id; 24] = [
        Id::Rejected,
        Id::YamlBoolean,
        Id::NamespaceUnknown,
        Id::NoPod,
        Id::NoPeerPod,
        Id::NoNamespace,
        Id::MetadataName,
        Id::HostNetworkOnly,
        Id::HostNetworkPeer,
        Id::RulesIgnored,
        Id::EmptyMatchLabels,
        Id::IsolatesNamespace,
        Id::AndOr,
        Id::NamedPort,
        Id::ServicePort,
        Id::VolatileLabel,
        Id::NoDns,
        Id::IpBlockPods,
        Id::IpBlockService,
        Id::DuplicateName,
        Id::DuplicateRule,
        Id::NoSubject,
        Id::SamePriority,
        Id::UnreachableRule,
    ];

    /// The word of the machine format.
    pub fn name(self) -> &'static str {
        match self {
            Id::Rejected => "rejected",
            Id::YamlBoolean => "yaml-boolean",
            Id::NamespaceUnknown => "namespace-unknown",
            Id::NoPod => "no-pod",
            Id::NoPeerPod => "no-peer-pod",
            Id::NoNamespace => "no-namespace",
            Id::MetadataName => "metadata-name",
            Id::HostNetworkOnly => "host-network-only",
            Id::HostNetworkPeer => "host-network-peer",
            Id::RulesIgnored => "rules-ignored",
            Id::EmptyMatchLabels => "empty-match-labels",
            Id::IsolatesNamespace => "isolates-namespace",
            Id::AndOr => "and-or",
            Id::NamedPort => "named-port",
            Id::ServicePort => "service-port",
            Id::VolatileLabel => "volatile-label",
            Id::NoDns => "no-dns",
            Id::IpBlockPods => "ip-block-pods",
            Id::IpBlockService => "ip-block-service",
            Id::DuplicateName => "duplicate-name",
            Id::DuplicateRule => "duplicate-rule",
            Id::NoSubject => "no-subject",
            Id::SamePriority => "same-priority",
            Id::UnreachableRule => "unreachable-rule",
        }
    }

    /// One line for the list of checks.
    pub fn summary(self) -> &'static str {
        match self {
            Id::Rejected => "the API server refuses the policy, so it is not in force",
            Id::YamlBoolean => "unquoted yes, on, y, true ... as a label of a policy, pod or workload",
            Id::NamespaceUnknown => "the policy's namespace is not in the input, or holds no pods",
            Id::NoPod => "the podSelector matches no pod of the policy's namespace",
            Id::NoPeerPod => "a peer matches no pod",
            Id::NoNamespace => "a namespaceSelector matches no namespace",
            Id::MetadataName => "a namespace is selected by a label `name` instead of kubernetes.io/metadata.name",
            Id::HostNetworkOnly => "the policy selects only pods on the host network, where it has no effect",
            Id::HostNetworkPeer => "a peer matches only pods on the host network, which selectors do not match",
            Id::RulesIgnored => "rules of a direction that policyTypes does not list",
            Id::EmptyMatchLabels => "matchLabels without a label in a peer matches everything",
            Id::IsolatesNamespace => "an empty podSelector applies rules to every pod of the namespace",
            Id::AndOr => "namespaceSelector and podSelector in two list items (or) where one (and) is meant",
            Id::NamedPort => "no pod concerned has a port of this name and protocol",
            Id::ServicePort => "a Service's port where the pod's port is another",
            Id::VolatileLabel => "a selector on pod-template-hash and other labels that change with a rollout",
            Id::NoDns => "a workload isolated for egress cannot resolve names",
            Id::IpBlockPods => "an ipBlock inside the pods' own addresses",
            Id::IpBlockService => "an ipBlock for a Service's cluster address",
            Id::DuplicateName => "two different policies of one name in one namespace",
            Id::DuplicateRule => "the same rule twice in a policy",
            Id::NoSubject => "a cluster-wide policy selects no pod",
            Id::SamePriority => "cluster-wide policies of one tier and priority about the same pods",
            Id::UnreachableRule => "a rule of a cluster-wide policy behind others that match all it matches",
        }
    }

    /// How bad it is where the input leaves no doubt.
    pub fn severity(self) -> Severity {
        match self {
            Id::Rejected
            | Id::YamlBoolean
            | Id::NoPod
            | Id::NoNamespace
            | Id::MetadataName
            | Id::HostNetworkOnly
            | Id::RulesIgnored
            | Id::NamedPort
            | Id::ServicePort
            | Id::DuplicateName
            | Id::NoSubject => Severity::Error,
            _ => Severity::Warning,
        }
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The policy, or this part of it, does not do what is written.
    Error,
    /// It does, but that is probably not what was meant.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// The object a finding is about: a policy, or for [`Id::YamlBoolean`] any object with labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    /// `kind`.
    pub kind: String,
    /// `metadata.namespace`; `None` for kinds without one.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

impl Object {
    fn network(policy: &Policy) -> Object {
        let (namespace, name) = (Some(policy.namespace.clone()), policy.name.clone());
        Object { kind: "NetworkPolicy".to_string(), namespace, name }
    }

    fn cluster(policy: &ClusterPolicy) -> Object {
        Object { kind: policy.kind.name().to_string(), namespace: None, name: policy.name.clone() }
    }

    /// Reads [`Problem::object`]: neither kinds nor names hold blanks or slashes.
    fn read(text: &str) -> Object {
        let (kind, name) = text.split_once(' ').unwrap_or(("", text));
        let (namespace, name) = name.split_once('/').map_or((None, name), |(space, name)| (Some(space), name));
        Object { kind: kind.to_string(), namespace: namespace.map(str::to_string), name: name.to_string() }
    }
}

/// `NetworkPolicy shop/api`.
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Where.
    pub origin: Origin,
    /// What kind of mistake.
    pub id: Id,
    /// In which object.
    pub policy: Object,
    /// What is wrong, without the object's name: a sentence without its full stop.
    pub message: String,
    /// What to do about it.
    pub fix: String,
    /// How bad it is.
    pub severity: Severity,
}

/// What there is to judge, and what is known beside it.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The policies, as read: of one name there may be several.
    pub policies: PolicySet<'a>,
    /// What could not be read.
    pub problems: &'a [Problem],
    /// The cluster's objects, of which some things are asked that an inventory does not keep.
    pub objects: &'a Objects,
    /// The same objects, resolved.
    pub inventory: &'a Inventory,
}

/// How much of the cluster the input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knowledge {
    /// What an API server printed: what is not there does not exist.
    Dump,
    /// Manifests. Pods may be made by controllers, and namespaces by others: that a *subject* selects nothing is worth
    /// a warning; of a peer it is only if something close is at hand, or its labels' keys are in use there.
    Manifests,
    /// Some objects could not be read. Only what has something close at hand is reported to select nothing.
    Broken,
    /// No pod and no workload: nothing can be said about selectors of pods.
    Nothing,
}

impl Knowledge {
    /// How much of a cluster this input is.
    pub fn of(input: &Input<'_>) -> Knowledge {
        let served = |metadata: &crate::manifest::object::Metadata| metadata.uid.is_some();
        let unreadable = |problem: &Problem| !refused::is_finding(problem) || !refused::is_policy(problem);
        if input.inventory.pods.is_empty() {
            Knowledge::Nothing
        } else if input.problems.iter().any(unreadable) {
            Knowledge::Broken
        } else if input.objects.pods.iter().any(|pod| served(&pod.object.metadata) || pod.object.status.phase.is_some())
            || input.objects.namespaces.iter().any(|namespace| served(&namespace.object.metadata))
        {
            Knowledge::Dump
        } else {
            Knowledge::Manifests
        }
    }
}

/// Whether a problem is reported as a finding: an object that the API server would refuse is a mistake of its author,
/// text that is no YAML is unreadable input.
pub fn is_finding(problem: &Problem) -> bool {
    refused::is_finding(problem)
}

/// All findings, sorted by file, line and id.
pub fn lint(input: &Input<'_>) -> Vec<Finding> {
    let context = Context::new(input);
    let mut found = Findings::default();
    refused::check(&context, &mut found);
    repeated::names(&context, &mut found);
    selects::namespaces_unknown(&context, &mut found);
    for policy in &context.judged {
        repeated::rules_twice(policy, &mut found);
        label::check(&context, policy, &mut found);
        scope::check(&context, policy, &mut found);
        address::check(&context, policy, &mut found);
        mixture::check(&context, policy, &mut found);
        selects::check(&context, policy, &mut found);
        host::check(&context, policy, &mut found);
        port::check(&context, policy, &mut found);
    }
    dns::check(&context, &mut found);
    cluster::check(&context, &mut found);
    found.list.into_iter().collect()
}

/// What all checks look at.
struct Context<'a> {
    input: &'a Input<'a>,
    knowledge: Knowledge,
    index: Index<'a>,
    /// The policies that are judged: every one that is still to be applied, and the newest version of those that came
    /// out of a cluster. Those that read alike are judged once.
    judged: Vec<&'a Policy>,
    /// The policies that would be in force, one of a name, by namespace.
    effective: BTreeMap<&'a str, Vec<&'a Policy>>,
}

impl<'a> Context<'a> {
    fn new(input: &'a Input<'a>) -> Context<'a> {
        let mut by_name: BTreeMap<(&str, &str), Vec<&Policy>> = BTreeMap::new();
        // kubectl applies the files of a directory by name: the last one wins.
        let mut policies: Vec<&Policy> = input.policies.network.iter().collect();
        policies.sort_by_key(|policy| &policy.origin);
        for policy in policies {
            by_name.entry((&policy.namespace, &policy.name)).or_default().push(policy);
        }
        let mut judged = Vec::new();
        let mut effective: BTreeMap<&str, Vec<&Policy>> = BTreeMap::new();
        for ((namespace, _), versions) in by_name {
            let newest = versions.iter().map(|policy| policy.version).max().unwrap_or_default();
            let mut kept: Vec<&Policy> = Vec::new();
            for policy in versions {
                let current = policy.version == 0 || policy.version == newest;
                if current && !kept.iter().any(|known| same_rules(known, policy)) {
                    kept.push(policy);
                }
            }
            // What is still to be applied replaces what is there; of several the last one does.
            let last = kept.iter().rev().find(|policy| policy.version == 0).or(kept.last());
            effective.entry(namespace).or_default().extend(last);
            judged.extend(kept);
        }
        let knowledge = Knowledge::of(input);
        Context { input, knowledge, index: Index::new(input), judged, effective }
    }

    fn effective(&self, namespace: &str) -> &[&'a Policy] {
        self.effective.get(namespace).map(Vec::as_slice).unwrap_or_default()
    }

    /// `Deployment api`, `Deployment api and 2 more`: whose pods these groups are. Of many it looks at the first only.
    fn owners(&self, groups: impl Iterator<Item = u32>) -> String {
        let mut names = BTreeSet::new();
        for group in groups.take(1000) {
            let workload = &self.index.pod(group).workload;
            names.insert(format!("{} {}", workload.kind, workload.name));
        }
        listed(names, 1)
    }
}

/// Whether two policies do the same, wherever they were written.
fn same_rules(a: &Policy, b: &Policy) -> bool {
    let bare = |rules: &Option<Vec<Rule>>| {
        rules
            .as_ref()
            .map(|rules| rules.iter().map(|rule| (rule.peers.clone(), rule.ports.clone())).collect::<Vec<_>>())
    };
    a.subject == b.subject && bare(&a.ingress) == bare(&b.ingress) && bare(&a.egress) == bare(&b.egress)
}

/// `a, b and 3 more`; all of them where one more than `shown` would be the rest.
pub(crate) fn listed(names: impl IntoIterator<Item = String>, shown: usize) -> String {
    let names: Vec<String> = names.into_iter().collect();
    match names.len().checked_sub(shown) {
        Some(rest) if rest > 1 => format!("{} and {rest} more", names[..shown].join(", ")),
        _ => match names.split_last() {
            Some((last, first)) if !first.is_empty() => format!("{} and {last}", first.join(", ")),
            _ => names.concat(),
        },
    }
}

/// What has been found so far, each once.
#[derive(Default)]
struct Findings {
    list: BTreeSet<Finding>,
    /// Peers, by their address in memory, that another finding explains.
    explained: BTreeSet<*const crate::policy::Peer>,
}

impl Findings {
    /// About a NetworkPolicy, at a line of its file; 0 for the policy's own.
    fn add(&mut self, id: Id, policy: &Policy, line: u32, message: String, fix: String) {
        self.add_as(id, id.severity(), policy, line, message, fix);
    }

    fn add_as(&mut self, id: Id, severity: Severity, policy: &Policy, line: u32, message: String, fix: String) {
        let mut origin = policy.origin.clone();
        if line > 0 {
            origin.line = line;
        }
        self.list.insert(Finding { origin, id, policy: Object::network(policy), message, fix, severity });
    }
}

/// Every rule of a policy with its direction.
fn rules(policy: &Policy) -> impl Iterator<Item = (Direction, usize, &Rule)> {
    Direction::ALL.into_iter().flat_map(move |direction| {
        policy.rules(direction).unwrap_or_default().iter().enumerate().map(move |(at, rule)| (direction, at, rule))
    })
}

/// The line of a peer, else of its rule.
fn peer_line(rule: &Rule, peer: usize) -> u32 {
    rule.lines.peers.get(peer).copied().unwrap_or(rule.lines.rule)
}

/// The line of a port, else of its rule.
fn port_line(rule: &Rule, port: usize) -> u32 {
    rule.lines.ports.get(port).copied().unwrap_or(rule.lines.rule)
}

#[cfg(test)]
mod tests;
