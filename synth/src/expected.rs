//! What objects declare and nobody saw: connections that come later, or seldom, and that policies made of traffic alone
//! would deny.
//!
//! Webhooks and aggregated APIs are called by the API server, perhaps once a month; scrape targets may be new; CronJobs
//! that did not run and workloads at zero will have connections of which nothing is known yet. `connections` finds who
//! declares what, `quiet` who did not run.

mod connections;
mod quiet;

use std::collections::BTreeSet;
use std::net::IpAddr;

use capture::{Protocol, Timestamp};

use crate::endpoint::{Endpoint, NodeAddressKind, Workload, ends};
use crate::evaluate::{Evaluator, Party};
use crate::graph::{Class, Edge, Graph, Key};
use crate::inventory::Inventory;
use crate::policy::{Direction, Origin, PolicySet};
use crate::select::Groups;
use crate::synthesize::{Awaited, rules_for};

/// What declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// ValidatingWebhookConfiguration.
    ValidatingWebhook,
    /// MutatingWebhookConfiguration.
    MutatingWebhook,
    /// APIService.
    ApiService,
    /// `spec.conversion` of a CustomResourceDefinition.
    ConversionWebhook,
    /// ServiceMonitor, PodMonitor, or annotations `prometheus.io/...`.
    Scrape,
    /// A CronJob without a pod in the window.
    CronJob,
    /// A workload with `spec.replicas: 0`.
    AtZero,
}

impl Kind {
    /// The word of the machine format.
    pub fn name(self) -> &'static str {
        match self {
            Kind::ValidatingWebhook => "validating_webhook",
            Kind::MutatingWebhook => "mutating_webhook",
            Kind::ApiService => "api_service",
            Kind::ConversionWebhook => "conversion_webhook",
            Kind::Scrape => "scrape",
            Kind::CronJob => "cron_job",
            Kind::AtZero => "at_zero",
        }
    }

    /// Whether the API server is the client.
    pub fn is_webhook(self) -> bool {
        matches!(self, Kind::ValidatingWebhook | Kind::MutatingWebhook | Kind::ApiService | Kind::ConversionWebhook)
    }
}

/// A declared connection.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Connection {
    kind: Kind,
    /// Kind and name of what declares it.
    name: String,
    origin: Origin,
    /// Who connects, sorted; empty where that is not known.
    clients: Vec<Endpoint>,
    /// One workload, or nodes, sorted; empty where that is not known.
    servers: Vec<Endpoint>,
    protocol: Protocol,
    /// The port of the pods.
    port: Option<u16>,
    service: Option<String>,
    note: String,
}

/// The rule of one workload that would allow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowing {
    /// Whose policy it belongs into.
    pub workload: Workload,
    /// In which direction.
    pub direction: Direction,
    /// `ingress:` or `egress:` and the rule, as it stands in a NetworkPolicy.
    pub yaml: String,
}

/// Something declared and not observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// What declares it.
    pub kind: Kind,
    /// Kind and name of the object.
    pub name: String,
    /// Where it was read.
    pub origin: Origin,
    /// Who will connect, sorted; empty where that is not known.
    pub clients: Vec<Endpoint>,
    /// To whom: one workload, or nodes; empty where that is not known.
    pub servers: Vec<Endpoint>,
    /// Over which protocol; `None` where no connection is known.
    pub protocol: Option<Protocol>,
    /// To which port of the pods.
    pub port: Option<u16>,
    /// Through which Service, `namespace/name:port`.
    pub service: Option<String>,
    /// Whether the policies at hand allow it; `None` where clients or servers are not known.
    pub allowed: Option<bool>,
    /// NetworkPolicies that isolate the workload in some direction, `namespace/name`, sorted.
    pub policies: Vec<String>,
    /// Rules that would allow it, one for each side that is a workload.
    pub rules: Vec<Allowing>,
    /// What it means.
    pub message: String,
}

/// What is declared and was not observed, sorted by kind and name. `window` is the time of the traffic, both ends
/// inclusive; without one nothing is said about what did not run.
pub fn expected(
    graph: &Graph,
    policies: PolicySet<'_>,
    window: Option<(Timestamp, Timestamp)>,
    inventory: &Inventory,
) -> Vec<Expected> {
    let unseen = unseen(graph, inventory);
    let quiet = quiet::quiet(graph, window, inventory);
    if unseen.is_empty() && quiet.is_empty() {
        return Vec::new();
    }
    let evaluator = inventory.evaluator(policies);
    let groups = Groups::new(inventory);
    let of = |connection: Connection| {
        let awaited = awaited(&connection);
        let workload = connection.servers.first().and_then(Endpoint::workload);
        let allowed = allowed(&connection, &evaluator, inventory);
        let tail = match allowed {
            Some(true) => "; the policies allow it",
            Some(false) => "; the policies deny it",
            None => "",
        };
        Expected {
            policies: workload.map(|workload| isolating(workload, &evaluator, inventory)).unwrap_or_default(),
            rules: rules_for(&awaited, inventory, &groups),
            message: format!("{}{tail}", connection.note),
            kind: connection.kind,
            name: connection.name,
            origin: connection.origin,
            clients: connection.clients,
            servers: connection.servers,
            protocol: connection.port.map(|_| connection.protocol),
            port: connection.port,
            service: connection.service,
            allowed,
        }
    };
    let mut found: Vec<Expected> = unseen.into_iter().map(of).collect();
    found.extend(quiet.into_iter().map(|mut quiet| {
        let workload = quiet.servers.first().and_then(Endpoint::workload);
        quiet.policies = workload.map(|workload| isolating(workload, &evaluator, inventory)).unwrap_or_default();
        if !quiet.policies.is_empty() {
            let policies = quiet.policies.join(", ");
            quiet.message.push_str(&format!("; {policies} isolate it, and what they do not allow will fail"));
        }
        quiet
    }));
    found
}

/// The connections that `generate` is to allow although nobody saw them: those whose kind is `wanted` and whose sides
/// are known.
pub fn awaited_edges(graph: &Graph, inventory: &Inventory, wanted: impl Fn(Kind) -> bool) -> Vec<Awaited> {
    let unseen = unseen(graph, inventory).into_iter().filter(|connection| wanted(connection.kind));
    unseen.flat_map(|connection| awaited(&connection)).collect()
}

/// Connections that objects declare and that no edge shows.
fn unseen(graph: &Graph, inventory: &Inventory) -> Vec<Connection> {
    let declared = connections::connections(inventory);
    declared.into_iter().filter(|connection| !is_seen(connection, graph)).collect()
}

fn is_seen(connection: &Connection, graph: &Graph) -> bool {
    let of = |server: &Endpoint| graph.to(server).into_iter().any(|edge| shows(edge, connection));
    connection.servers.iter().any(of)
}

/// Whether an edge is the declared one. Of an unknown API server it is known that it is no pod; of an unknown scraper
/// nothing is.
fn shows(edge: &Edge, connection: &Connection) -> bool {
    let client = &edge.key.client;
    let outside = matches!(client, Endpoint::Node(_) | Endpoint::External(_)) && edge.class != Class::Probe;
    let fits = match connection.clients.is_empty() {
        true => connection.kind.is_webhook() && outside,
        false => connection.clients.contains(client) && edge.class != Class::Probe,
    };
    fits && edge.used().is_some() && edge.key.protocol == connection.protocol && Some(edge.key.port) == connection.port
}

/// A connection as edges.
fn awaited(connection: &Connection) -> Vec<Awaited> {
    let Some(port) = connection.port else { return Vec::new() };
    let class = if connection.kind.is_webhook() { Class::ApiServer } else { Class::App };
    let pairs =
        connection.clients.iter().flat_map(|client| connection.servers.iter().map(move |server| (client, server)));
    let of = |(client, server): (&Endpoint, &Endpoint)| {
        let key = Key { client: client.clone(), server: server.clone(), protocol: connection.protocol, port };
        Awaited { key, class, by: connection.name.clone() }
    };
    pairs.map(of).collect()
}

/// Whether the policies allow a connection between all of its ends.
fn allowed(connection: &Connection, evaluator: &Evaluator<'_>, inventory: &Inventory) -> Option<bool> {
    let port = connection.port?;
    let (clients, servers) = (all(&connection.clients, inventory), all(&connection.servers, inventory));
    if clients.is_empty() || servers.is_empty() {
        return None;
    }
    // Two addresses of different families are no connection.
    let family = |party: &Party| match party {
        Party::Address { ip, .. } => Some(ip.is_ipv4()),
        Party::Pod { .. } => None,
    };
    let meet = |a: &Party, b: &Party| family(a).is_none() || family(b).is_none() || family(a) == family(b);
    let reaches = |client: &Party| {
        let mut servers = servers.iter().filter(|server| meet(client, server));
        servers.all(|server| evaluator.allowed(*client, *server, connection.protocol, port))
    };
    Some(clients.iter().all(reaches))
}

fn all<'a>(endpoints: &'a [Endpoint], inventory: &'a Inventory) -> Vec<Party<'a>> {
    endpoints.iter().flat_map(|endpoint| parties(endpoint, inventory)).collect()
}

/// An endpoint as policies see it: the pods that are there, or the addresses.
fn parties<'a>(endpoint: &'a Endpoint, inventory: &'a Inventory) -> Vec<Party<'a>> {
    match endpoint {
        Endpoint::Workload(workload) => {
            let pods = inventory.workloads.get(workload).map(|info| info.pods.as_slice()).unwrap_or_default();
            pods.iter().map(|id| inventory.pod(*id)).filter(|pod| !pod.finished).map(Party::pod).collect()
        }
        Endpoint::Node(name) => {
            let addresses = inventory.nodes.get(name).into_iter().flat_map(|node| &node.addresses);
            let own = addresses.filter(|(_, kind)| **kind == NodeAddressKind::Status).map(|(ip, _)| *ip);
            own.map(|ip: IpAddr| Party::Address { ip, node: Some(name) }).collect()
        }
        Endpoint::External(range) => ends(range).map(Party::outside).collect(),
        Endpoint::Unresolved { .. } => Vec::new(),
    }
}

/// The NetworkPolicies that isolate pods of a workload.
fn isolating(workload: &Workload, evaluator: &Evaluator<'_>, inventory: &Inventory) -> Vec<String> {
    let pods = inventory.workloads.get(workload).map(|info| info.pods.as_slice()).unwrap_or_default();
    let mut found: BTreeSet<String> = BTreeSet::new();
    for pod in pods.iter().map(|id| inventory.pod(*id)).filter(|pod| !pod.finished) {
        for direction in Direction::ALL {
            found.extend(evaluator.isolating(pod, direction).map(|(policy, _)| evaluator.policies()[policy].id()));
        }
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests;
