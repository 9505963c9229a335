//! Policies held against what plugins and meshes can do.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::table::{Lack, MESHES, Mesh, PLUGINS, When};
use super::{Component, Limit, Platform, members, version};
use crate::endpoint::NodeAddressKind;
use crate::graph::Graph;
use crate::inventory::Inventory;
use crate::policy::{Direction, Peer, Peers, Policy, PolicySet, PortMatch, Ports, Rule};
use crate::port::Protocol;

/// What a component cannot do of what the policies ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which component.
    pub component: &'static str,
    /// What it is.
    pub limit: Limit,
    /// The policies that ask for it, sorted; `namespace/name`.
    pub policies: Vec<String>,
    /// What it means.
    pub message: String,
    /// Where that is documented.
    pub source: &'static str,
}

/// Ranges that are wider than this hold nodes only by the way: IPv4 and IPv6.
const NARROW: (u8, u8) = (16, 48);

/// What the components cannot do, only where a policy uses it, in the order of the components. `graph` is what was
/// seen of meshes.
pub fn limits(platform: &Platform, policies: PolicySet<'_>, graph: &Graph, inventory: &Inventory) -> Vec<Finding> {
    let mut found = Vec::new();
    if platform.enforces() == Some(false) && !policies.is_empty() {
        found.extend(not_enforced(platform, policies));
    } else {
        for component in &platform.components {
            let plugin = PLUGINS.iter().find(|plugin| plugin.name == component.name);
            let lacks = plugin.map(|plugin| plugin.limits).unwrap_or_default();
            found.extend(lacks.iter().filter_map(|lack| lacking(component, lack, policies, inventory)));
        }
    }
    for component in &platform.components {
        if let Some(mesh) = MESHES.iter().find(|mesh| mesh.name == component.name) {
            found.extend(tunnel_seen(mesh, graph, inventory));
            found.extend(tunnel_denied(mesh, policies, inventory));
            found.extend(inside_ports(mesh, policies, inventory));
        }
    }
    found
}

fn not_enforced(platform: &Platform, policies: PolicySet<'_>) -> Option<Finding> {
    let first = platform.plugins().find(|plugin| plugin.enforces == Some(false))?;
    let mut ids: Vec<String> = policies.network.iter().map(Policy::id).collect();
    ids.extend(policies.cluster.iter().map(|policy| policy.id()));
    ids.sort();
    let names = platform.plugin_names().unwrap_or_default();
    let count = if ids.len() == 1 { "the policy has".to_string() } else { format!("all {} policies have", ids.len()) };
    Some(Finding {
        component: first.name,
        limit: Limit::NotEnforced,
        policies: ids,
        message: format!(
            "{names} does not enforce NetworkPolicies, and nothing else was recognized: {count} no effect"
        ),
        source: first.source,
    })
}

/// All rules of a NetworkPolicy.
fn rules(policy: &Policy) -> impl Iterator<Item = &Rule> {
    Direction::ALL.into_iter().flat_map(|direction| policy.rules(direction).unwrap_or_default())
}

fn lacking(component: &Component, lack: &Lack, policies: PolicySet<'_>, inventory: &Inventory) -> Option<Finding> {
    let condition = match lack.when {
        When::Always => String::new(),
        When::Before(major, minor) => {
            let known = component.version.as_deref().and_then(version)?;
            if known >= (major, minor) {
                return None;
            }
            format!(" before {major}.{minor}")
        }
        When::Unless(setting) => format!(", unless {setting}"),
    };
    let asks = |policy: &&Policy| rules(policy).any(|rule| uses(rule, lack.limit, inventory));
    let ids = sorted(policies.network.iter().filter(asks));
    (!ids.is_empty()).then(|| Finding {
        component: component.name,
        limit: lack.limit,
        policies: ids,
        message: format!("{}{condition}: {}", component.name, lack.effect),
        source: lack.source,
    })
}

fn sorted<'a>(policies: impl Iterator<Item = &'a Policy>) -> Vec<String> {
    policies.map(Policy::id).collect::<BTreeSet<String>>().into_iter().collect()
}

/// Whether a rule asks for something.
fn uses(rule: &Rule, limit: Limit, inventory: &Inventory) -> bool {
    let ports = rule.ports.listed();
    let block = |inside: &dyn Fn(&IpNet) -> bool| {
        rule.peers.listed().iter().any(|peer| matches!(peer, Peer::Block(block) if inside(&block.cidr)))
    };
    match limit {
        Limit::EndPort => {
            ports.iter().any(|port| matches!(&port.port, PortMatch::Range(range) if range.from() != range.to()))
        }
        Limit::NamedPort => rule.ports.has_names(),
        Limit::Sctp => ports.iter().any(|port| port.protocol == Protocol::Sctp),
        // A wider range may be meant for the world outside alone.
        Limit::BlockPods => {
            block(&|cidr| inventory.pod_ranges.iter().any(|range| range.contains(cidr)) && !is_node(cidr, inventory))
        }
        Limit::BlockNodes => block(&|cidr| is_node(cidr, inventory)),
        Limit::NotEnforced | Limit::TunnelSeen | Limit::TunnelDenied | Limit::InsidePort => false,
    }
}

/// Whether a range is there for the nodes in it.
fn is_node(cidr: &IpNet, inventory: &Inventory) -> bool {
    let narrow = match cidr {
        IpNet::V4(net) => net.prefix_len() >= NARROW.0,
        IpNet::V6(net) => net.prefix_len() >= NARROW.1,
    };
    let own = |(ip, kind): (&std::net::IpAddr, &NodeAddressKind)| {
        // The tunnel addresses are in the pods' own ranges.
        cidr.contains(ip) && (*kind == NodeAddressKind::Status || cidr.prefix_len() == cidr.max_prefix_len())
    };
    narrow && inventory.nodes.values().flat_map(|node| &node.addresses).any(own)
}

/// Connections that were seen on the tunnel's port: the port that was meant is inside.
fn tunnel_seen(mesh: &Mesh, graph: &Graph, inventory: &Inventory) -> Option<Finding> {
    let (port, which) = mesh.tunnel?;
    let members = members(mesh, inventory);
    let edges = graph.edges().filter(|edge| {
        edge.key.protocol == Protocol::Tcp
            && edge.key.port == port
            && edge.used().is_some()
            && edge.key.server.workload().is_some_and(|workload| members.contains_key(workload))
    });
    let count = edges.count();
    let what = if count == 1 { "1 edge goes".to_string() } else { format!("{count} edges go") };
    (count > 0).then(|| Finding {
        component: mesh.name,
        limit: Limit::TunnelSeen,
        policies: Vec::new(),
        message: format!(
            "{what} to port {port}, the tunnel of {} ({which}): the real port is hidden, and whoever may reach {port} \
             may reach every port of the pod; only the mesh's own policies tell them apart",
            mesh.name
        ),
        source: mesh.source,
    })
}

/// Whether a rule lets pods in on some ports, and whether one of those is the tunnel's.
fn lets_in(rule: &Rule, tunnel: u16) -> Option<bool> {
    let pods = match &rule.peers {
        Peers::Everyone => true,
        Peers::Any(peers) => peers.iter().any(|peer| matches!(peer, Peer::Pods { .. })),
    };
    let tunnelled = match &rule.ports {
        Ports::All => true,
        Ports::Any(ports) => ports.iter().filter(|port| port.protocol == Protocol::Tcp).any(|port| match &port.port {
            PortMatch::Every => true,
            PortMatch::Range(range) => range.contains(tunnel),
            PortMatch::Named(_) => false,
        }),
    };
    pods.then_some(tunnelled)
}

/// Policies that let pods reach ports of the mesh's pods, of which none lets them reach the tunnel.
fn tunnel_denied(mesh: &Mesh, policies: PolicySet<'_>, inventory: &Inventory) -> Option<Finding> {
    let (port, which) = mesh.tunnel?;
    let evaluator = inventory.evaluator(policies);
    let mut ids: BTreeSet<String> = BTreeSet::new();
    let mut workloads: Vec<String> = Vec::new();
    for (workload, info) in members(mesh, inventory) {
        let Some(pod) = info.pods.first().map(|id| inventory.pod(*id)) else { continue };
        let isolating: Vec<(usize, &[Rule])> = evaluator.isolating(pod, Direction::Ingress).collect();
        let said: BTreeSet<bool> =
            isolating.iter().flat_map(|(_, rules)| *rules).filter_map(|rule| lets_in(rule, port)).collect();
        if said.contains(&true) || said.is_empty() {
            continue;
        }
        let letting = isolating.iter().filter(|(_, rules)| rules.iter().any(|rule| lets_in(rule, port).is_some()));
        ids.extend(letting.map(|(policy, _)| policies.network[*policy].id()));
        workloads.push(workload.to_string());
    }
    (!ids.is_empty()).then(|| Finding {
        component: mesh.name,
        limit: Limit::TunnelDenied,
        policies: ids.into_iter().collect(),
        message: format!(
            "{} sends {which} to port {port}: rules for the real ports alone deny them; allow {port}/TCP from the same \
             peers, and out of them, for {}",
            mesh.name,
            workloads.join(", ")
        ),
        source: mesh.source,
    })
}

/// Policies that name ports which are only used inside of pods.
fn inside_ports(mesh: &Mesh, policies: PolicySet<'_>, inventory: &Inventory) -> Option<Finding> {
    let is_inside = |rule: &Rule| {
        let single = |port: &PortMatch| matches!(port, PortMatch::Range(range) if range.from() == range.to() && mesh.inside.contains(&range.from()));
        rule.ports.listed().iter().any(|port| port.protocol == Protocol::Tcp && single(&port.port))
    };
    let members = members(mesh, inventory);
    let selects = |policy: &&Policy| {
        let of_policy = members.iter().filter(|(workload, _)| workload.namespace == policy.namespace);
        of_policy.flat_map(|(_, info)| &info.pods).any(|id| policy.subject.matches(&inventory.pod(*id).labels))
    };
    let ids = sorted(policies.network.iter().filter(|policy| rules(policy).any(is_inside)).filter(selects));
    (!ids.is_empty()).then(|| Finding {
        component: mesh.name,
        limit: Limit::InsidePort,
        policies: ids,
        message: format!(
            "{} redirects to these ports inside of the pod, after policies are applied: rules for them match nothing",
            mesh.name
        ),
        source: mesh.source,
    })
}
