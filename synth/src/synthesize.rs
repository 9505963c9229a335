//! Edges to policies: one per workload, nothing allowed that was not seen.
//!
//! Every deciding edge becomes a grant to each of its sides that is a pod; grants with the same ports share a rule.

mod awaited;
mod grant;
mod name;
mod peer;
mod port;

use std::collections::{BTreeMap, BTreeSet};

use capture::Outcome;

use crate::declare::{Declared, Side};
use crate::endpoint::{Endpoint, Workload};
use crate::evidence::Evidence;
use crate::graph::{Class, Edge, Graph, Key};
use crate::inventory::Inventory;
use crate::label::{Labels, Selector};
use crate::learn::{Choices, Reason, Watched, decide, exclusion};
use crate::policy::{Direction, Origin, Peers, Policy, Ports, Rule};
use crate::resolve::Resolved;
use crate::select::Groups;

pub use awaited::Awaited;
pub(crate) use awaited::rules_for;
pub use grant::Notes;
pub(crate) use grant::PUBLIC_ADDRESSES;

use grant::{Grants, Why};
use name::Names;

/// The label that marks generated policies, and its value.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "ringfence");

/// Name of the policy that denies everything else in a namespace.
pub const DEFAULT_DENY: &str = "default-deny";

/// What the user decides about the set.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// About single edges.
    pub choices: Choices,
    /// Edges that were not seen but are wanted.
    pub include: Vec<Declared>,
    /// Edges that objects declare and nobody saw. They are added to policies that are made anyhow; alone they isolate
    /// nobody.
    pub awaited: Vec<Awaited>,
    /// What was watched.
    pub watched: Watched,
    /// Add [`DEFAULT_DENY`] to every namespace that got a policy.
    pub default_deny: bool,
    /// Allow DNS also for workloads that were not seen asking.
    pub dns_for_all: bool,
    /// Policies of an earlier run. A policy for the same pods keeps their name, whatever it would be called today.
    pub kept: Vec<Policy>,
}

/// A generated policy and why it is as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The policy.
    pub policy: Policy,
    /// The workloads it isolates; empty for [`DEFAULT_DENY`].
    pub workloads: Vec<Workload>,
    /// Comments on the whole.
    pub header: Vec<String>,
    /// Comments on the ingress rules.
    pub ingress: Vec<Notes>,
    /// Comments on the egress rules.
    pub egress: Vec<Notes>,
}

/// The generated set.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The policies, sorted by namespace and name.
    pub policies: Vec<Planned>,
    /// Workloads that got no policy because no flow makes a rule for them.
    pub silent: Vec<Workload>,
    /// Workloads with flows that got no policy because they were not watched.
    pub unwatched: Vec<Workload>,
    /// Workloads that were not seen asking for names, and can no longer do so.
    pub without_dns: Vec<Workload>,
    /// Workloads whose policy allows nothing in one direction, because nothing was seen there.
    pub one_directed: Vec<(Workload, Direction)>,
    /// Workloads that no label tells apart.
    pub merged: Vec<Vec<Workload>>,
    /// Other things the user should look at.
    pub findings: Vec<String>,
}

/// Makes the policies.
pub fn synthesize(resolved: &Resolved, inventory: &Inventory, options: &Options) -> Plan {
    let groups = Groups::new(inventory);
    let mut plan = Plan::default();
    let mut declared = included(&options.include, inventory, &mut plan.findings);
    if options.dns_for_all {
        declared.extend(dns_for_all(&resolved.graph, inventory, &options.choices));
    }
    let mut grants = Grants::new(inventory, &groups);
    let mut exclusions: Vec<&Edge> = Vec::new();
    for edge in resolved.graph.edges() {
        match decide(edge, inventory, &options.choices) {
            Ok((outcome, evidence)) => grants.edge(edge, outcome, evidence, None),
            Err(Reason::Excluded) => exclusions.push(edge),
            Err(_) => {}
        }
    }
    for (edge, reason) in &declared {
        if let Some((outcome, evidence)) = edge.used() {
            grants.edge(edge, outcome, evidence, Some(Why::Wanted(reason.clone())));
        }
    }
    let awaited: Vec<(Edge, Why)> = options.awaited.iter().map(Awaited::edge).collect();
    for ranged in options.include.iter().filter(|declared| is_range(&declared.server) || is_range(&declared.client)) {
        grants.range(ranged);
    }
    grants.refused_ports(&resolved.graph);
    grants.local_dns(&resolved.dns_frontends);
    grants.settle();
    for (edge, why) in &awaited {
        if let Some((outcome, evidence)) = edge.used() {
            grants.edge(edge, outcome, evidence, Some(why.clone()));
        }
    }
    plan.findings.extend(grants.unwritten());
    let mut taken = Names::new(inventory, &options.kept);
    let names = name::of_groups(&mut taken, inventory, &groups, &options.kept);
    for (index, group) in groups.iter().enumerate() {
        if !grants.has(index) {
            plan.silent.extend(group.workloads.iter().cloned());
            continue;
        }
        if !group.workloads.iter().all(|workload| options.watched.covers(workload, inventory)) {
            plan.unwatched.extend(group.workloads.iter().cloned());
            continue;
        }
        let mut planned = one(index, &grants, &groups, inventory, &names[index], &mut plan);
        for edge in &exclusions {
            let own =
                |endpoint: &Endpoint| endpoint.workload().is_some_and(|workload| group.workloads.contains(workload));
            if let Some(declared) = exclusion(edge, &options.choices)
                && (own(&edge.key.client) || own(&edge.key.server))
            {
                planned.header.push(format!("Excluded although seen: {}: {}", edge.key, declared.reason));
            }
        }
        plan.policies.push(planned);
    }
    if options.default_deny {
        let namespaces: BTreeSet<String> =
            plan.policies.iter().map(|planned| planned.policy.namespace.clone()).collect();
        for namespace in namespaces {
            let name = taken.of_default_deny(&namespace, &options.kept);
            let is_kept = |policy: &Policy| policy.namespace == namespace && policy.name == name;
            if name != DEFAULT_DENY && !options.kept.iter().any(is_kept) {
                plan.findings
                    .push(format!("{namespace}/{DEFAULT_DENY} is somebody else's policy; ours is called {name}"));
            }
            plan.policies.push(default_deny(namespace, name));
        }
    }
    plan.policies.sort_by(|a, b| (&a.policy.namespace, &a.policy.name).cmp(&(&b.policy.namespace, &b.policy.name)));
    plan
}

/// The policy of one group.
fn one(
    index: usize,
    grants: &Grants<'_>,
    groups: &Groups,
    inventory: &Inventory,
    name: &str,
    plan: &mut Plan,
) -> Planned {
    let group = groups.get(index);
    let first = &group.workloads[0];
    let pods: usize = group.workloads.iter().map(|workload| inventory.workloads[workload].pods.len()).sum();
    let mut header = Vec::new();
    if group.workloads.len() == 1 {
        header.push(match pods {
            _ if inventory.workloads[first].from_template => format!("{first}, no pods yet, by its template"),
            1 => format!("{first}, 1 pod"),
            _ => format!("{first}, {pods} pods"),
        });
    } else {
        let others: Vec<String> = group.workloads.iter().map(ToString::to_string).collect();
        header.push(format!(
            "No label tells these workloads apart, so they share one policy: {}; {pods} pods",
            others.join(", ")
        ));
        plan.merged.push(group.workloads.clone());
    }
    let mut side = |direction: Direction| -> (Vec<Rule>, Vec<Notes>) {
        let written = grants.rules(index, direction, &mut plan.findings);
        if written.is_empty() {
            plan.one_directed.extend(group.workloads.iter().map(|workload| (workload.clone(), direction)));
        }
        written.into_iter().unzip()
    };
    let (ingress, ingress_notes) = side(Direction::Ingress);
    let (egress, egress_notes) = side(Direction::Egress);
    if !grants.asks_dns(index) {
        plan.without_dns.extend(group.workloads.iter().cloned());
    }
    Planned {
        policy: Policy {
            namespace: group.namespace.clone(),
            name: name.to_string(),
            labels: managed(),
            created: None,
            version: 0,
            origin: Origin::default(),
            subject: group.selector.clone(),
            subject_line: 0,
            ingress: Some(ingress),
            egress: Some(egress),
            ignored: Vec::new(),
        },
        workloads: group.workloads.clone(),
        header,
        ingress: ingress_notes,
        egress: egress_notes,
    }
}

fn managed() -> Labels {
    Labels::from([(MANAGED_BY.0.to_string(), MANAGED_BY.1.to_string())])
}

/// Whether a policy was made by this program.
pub fn is_managed(policy: &Policy) -> bool {
    policy.labels.get(MANAGED_BY.0).is_some_and(|value| value == MANAGED_BY.1)
}

fn default_deny(namespace: String, name: String) -> Planned {
    Planned {
        policy: Policy {
            namespace,
            name,
            labels: managed(),
            created: None,
            version: 0,
            origin: Origin::default(),
            subject: Selector::everything(),
            subject_line: 0,
            ingress: Some(Vec::new()),
            egress: Some(Vec::new()),
            ignored: Vec::new(),
        },
        workloads: Vec::new(),
        header: vec!["Isolates every pod of the namespace; the other policies allow what was seen.".to_string()],
        ingress: Vec::new(),
        egress: Vec::new(),
    }
}

fn is_range(side: &Side) -> bool {
    matches!(side, Side::Addresses(_))
}

/// Included edges between workloads and nodes as edges of the graph; ranges are granted as they are written.
fn included(include: &[Declared], inventory: &Inventory, findings: &mut Vec<String>) -> Vec<(Edge, String)> {
    let mut edges = Vec::new();
    for declared in include {
        let (Some(port), Some(protocol)) = (declared.port, declared.protocol) else {
            findings.push(format!("{}: an included edge needs a port and a protocol; it is left out", declared.origin));
            continue;
        };
        let ends = |side: &Side| -> Vec<Endpoint> {
            let workloads = inventory.workloads.keys().filter(|workload| side.matches_workload(workload));
            let nodes =
                inventory.nodes.keys().map(|name| Endpoint::Node(name.clone())).filter(|node| side.matches(node));
            match side {
                Side::Addresses(_) => Vec::new(),
                Side::Node(_) => nodes.collect(),
                Side::Any | Side::Workload { .. } => workloads.cloned().map(Endpoint::Workload).collect(),
            }
        };
        let (clients, servers) = (ends(&declared.client), ends(&declared.server));
        for (side, found) in [(&declared.client, &clients), (&declared.server, &servers)] {
            if found.is_empty() && !is_range(side) {
                findings.push(format!("{}: no workload or node of the cluster input is meant", declared.origin));
            }
        }
        for client in &clients {
            for server in &servers {
                let edge = declared_edge(client, server, protocol, port, Class::App);
                edges.push((edge, declared.reason.clone()));
            }
        }
    }
    edges
}

fn declared_edge(client: &Endpoint, server: &Endpoint, protocol: capture::Protocol, port: u16, class: Class) -> Edge {
    let evidence = Evidence::none();
    let key = Key { client: client.clone(), server: server.clone(), protocol, port };
    Edge { key, class, outcomes: BTreeMap::from([(Outcome::Established, Box::new(evidence))]) }
}

/// DNS for the workloads that were not seen asking: from the resolvers that the others ask.
fn dns_for_all(graph: &Graph, inventory: &Inventory, choices: &Choices) -> Vec<(Edge, String)> {
    let deciding: Vec<&Edge> = graph.edges().filter(|edge| decide(edge, inventory, choices).is_ok()).collect();
    let resolvers: BTreeSet<(&Endpoint, u16)> = deciding
        .iter()
        .filter(|edge| edge.class == Class::Dns && edge.key.server.workload().is_some())
        .map(|edge| (&edge.key.server, edge.key.port))
        .collect();
    let asking: BTreeSet<&Endpoint> =
        deciding.iter().filter(|edge| edge.class == Class::Dns).map(|edge| &edge.key.client).collect();
    let talking: BTreeSet<&Endpoint> = deciding.iter().flat_map(|edge| [&edge.key.client, &edge.key.server]).collect();
    let mut edges = Vec::new();
    for client in talking.into_iter().filter(|endpoint| endpoint.workload().is_some() && !asking.contains(endpoint)) {
        for (server, port) in resolvers.iter().filter(|(server, _)| *server != client) {
            let reason = "not seen asking; added by --dns-for-all";
            let edge = declared_edge(client, server, capture::Protocol::Udp, *port, Class::Dns);
            edges.push((edge, reason.to_string()));
        }
    }
    edges
}

/// `peers` and `ports` of a rule.
fn rule(peers: Vec<crate::policy::Peer>, ports: Vec<crate::policy::PolicyPort>) -> Rule {
    Rule {
        peers: if peers.is_empty() { Peers::Everyone } else { Peers::Any(peers) },
        ports: if ports.is_empty() { Ports::All } else { Ports::Any(ports) },
        lines: Default::default(),
    }
}

#[cfg(test)]
mod tests;
