//! One connection explained: the verdict, everything behind it, and what it depends on.

mod name;

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::endpoint::Pod;
use crate::evaluate::{Decision, Evaluator, Family, Options, Party, Verdict};
use crate::inventory::{Inventory, PodId, ServicePort, Target};
use crate::policy::PolicySet;
use crate::port::Protocol;
use crate::reach::Classes;

pub use name::{NameError, Named, find, server};

/// A connection between everything that two names stand for.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// Pairs of ends that policies treat alike, never empty.
    pub cases: Vec<Case>,
    /// What the server's name was translated from: `namespace/name:port` of a Service.
    pub service: Option<String>,
    /// What is worth knowing besides.
    pub notes: Vec<String>,
}

impl Explanation {
    /// What all cases come to: allowed if all are.
    pub fn decision(&self) -> Decision {
        self.cases.iter().map(|case| case.verdict.decision()).max().unwrap_or(Decision::Denied)
    }
}

/// Ends that policies treat alike.
#[derive(Debug, Clone)]
pub struct Case {
    /// The clients.
    pub client: Ends,
    /// The servers.
    pub server: Ends,
    /// The port of the servers themselves.
    pub port: u16,
    /// The verdict.
    pub verdict: Verdict,
    /// What of it other network plugins may see differently.
    pub depends: Vec<Dependence>,
}

/// One side of a case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ends {
    /// Pods, ascending.
    Pods(Vec<PodId>),
    /// An address.
    Address(IpAddr),
}

/// A verdict that would be another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependence {
    /// If this were so.
    pub on: Open,
    /// Then it would be this.
    pub decision: Decision,
}

/// What the API leaves open, as it would be the other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Open {
    /// `ipBlock` matches addresses of pods, or does not.
    IpBlockMatchesPods(bool),
    /// Pods on the host network are their nodes, or pods like others.
    HostNetworkIsNode(bool),
    /// The source of outside traffic is a node's address by the time policies see it.
    SourceIsNode,
}

impl Open {
    /// `if ...`.
    pub fn text(self) -> &'static str {
        match self {
            Open::IpBlockMatchesPods(true) => "if ipBlock matches addresses of pods",
            Open::IpBlockMatchesPods(false) => "if ipBlock does not match addresses of pods, as with Cilium",
            Open::HostNetworkIsNode(true) => "if pods on the host network count as their nodes",
            Open::HostNetworkIsNode(false) => "if pods on the host network are selected like others",
            Open::SourceIsNode => "if policies see a node's address as the source (externalTrafficPolicy: Cluster)",
        }
    }

    /// The word of the machine format.
    pub fn name(self) -> &'static str {
        match self {
            Open::IpBlockMatchesPods(_) => "ip_block_matches_pods",
            Open::HostNetworkIsNode(_) => "host_network",
            Open::SourceIsNode => "source_translation",
        }
    }
}

/// A port as typed: a number, or a name to look up on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortName<'a> {
    /// `8080`.
    Number(u16),
    /// `http`.
    Name(&'a str),
}

impl<'a> PortName<'a> {
    /// Reads a port; `None` for numbers that are none.
    pub fn parse(written: &'a str) -> Option<PortName<'a>> {
        if written.bytes().all(|byte| byte.is_ascii_digit()) {
            return written.parse().ok().filter(|port| *port > 0).map(PortName::Number);
        }
        Some(PortName::Name(written))
    }
}

/// Why there is nothing to explain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// A Service as the client.
    #[error("{0} is a Service: connections come from the pods behind it, which have other names")]
    ServiceClient(String),
    /// The server has no such port.
    #[error("{server} has no {protocol} port {port}; it has {has}")]
    NoPort {
        /// The server.
        server: String,
        /// As typed.
        port: String,
        /// Its protocol.
        protocol: Protocol,
        /// The ports there are.
        has: String,
    },
    /// An IPv4 and an IPv6 end.
    #[error("one of them has only IPv4 addresses and the other only IPv6: there is no connection to decide about")]
    Families,
    /// A Service without pods or endpoints.
    #[error("nothing stands behind {0}")]
    NoBackend(String),
}

/// Explains connections from `client` to a port of `server`.
///
/// # Errors
/// The client is a Service, or nothing listens at the port.
pub fn explain(
    set: PolicySet<'_>,
    inventory: &Inventory,
    options: Options,
    client: &Named,
    server: &Named,
    protocol: Protocol,
    port: PortName<'_>,
) -> Result<Explanation, ExplainError> {
    let mut notes = Vec::new();
    let clients = match client {
        Named::Service { index, .. } => return Err(ExplainError::ServiceClient(service_name(inventory, *index))),
        Named::Pods { pods, .. } => sides(inventory, pods, options, &mut notes),
        Named::Address(ip) => vec![Target::Address(*ip)],
    };
    let (servers, service, hides_source) = servers(inventory, server, protocol, port, options, &mut notes)?;
    // Who names an address asks about connections of its family.
    let family = match (client.family(), server.family()) {
        (Some(ours), Some(theirs)) if ours != theirs => return Err(ExplainError::Families),
        (ours, theirs) => ours.or(theirs),
    };
    let has = |end: &Target| family.is_none_or(|family| has_family(inventory, *end, family));
    let clients: Vec<Target> = clients.into_iter().filter(has).collect();
    let servers: Vec<(Target, u16)> = servers.into_iter().filter(|(end, _)| has(end)).collect();
    if clients.is_empty() || servers.is_empty() {
        return Err(ExplainError::Families);
    }
    let classes = Classes::new(inventory, &[set], options);
    let mut grouped: BTreeMap<(Group, Group, u16), Alike> = BTreeMap::new();
    for (server, port) in &servers {
        for client in &clients {
            let key = (group(&classes, client), group(&classes, server), *port);
            let alike = grouped.entry(key).or_default();
            alike.clients.push(*client);
            alike.servers.push(*server);
        }
    }
    let evaluator = |options| inventory.evaluator(set).with_options(options);
    let mut cases: Vec<Case> = Vec::new();
    for ((_, _, port), alike) in grouped {
        let (client, server) = representatives(inventory, &alike);
        // What stands for a workload without pods stands for several, which are not the same pod.
        let twin = match (client, server) {
            (Target::Pod(one), Target::Pod(other)) if one == other => another_replica(inventory, one),
            _ => None,
        };
        let from = party(inventory, client, family);
        let to = twin.as_ref().map_or_else(|| party(inventory, server, family), Party::pod);
        let verdict = evaluator(options).verdict(from, to, protocol, port);
        let decision = verdict.decision();
        let mut depends = Vec::new();
        for on in [
            Open::IpBlockMatchesPods(!options.ip_block_matches_pods),
            Open::HostNetworkIsNode(!options.host_network_is_node),
        ] {
            let other = match on {
                Open::IpBlockMatchesPods(matches) => Options { ip_block_matches_pods: matches, ..options },
                Open::HostNetworkIsNode(is_node) => Options { host_network_is_node: is_node, ..options },
                Open::SourceIsNode => options,
            };
            let other = evaluator(other).verdict(from, to, protocol, port).decision();
            if other != decision {
                depends.push(Dependence { on, decision: other });
            }
        }
        if hides_source && matches!(client, Target::Address(_)) {
            depends.extend(translated(&evaluator(options), inventory, to, protocol, port, decision));
        }
        if family.is_none() {
            notes.extend(one_family_only(&evaluator(options), from, to, protocol, port));
        }
        cases.push(Case { client: ends(&alike.clients), server: ends(&alike.servers), port, verdict, depends });
    }
    cases.sort_by(|a, b| (&a.client, &a.server, a.port).cmp(&(&b.client, &b.server, b.port)));
    Ok(Explanation { cases, service, notes })
}

/// What ends have in common that policies treat alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Class(u32),
    /// A pod that is over and of no class.
    Pod(PodId),
    Address(IpAddr),
}

/// Pods with addresses of both families may be allowed in one of them only.
fn one_family_only(
    evaluator: &Evaluator<'_>,
    from: Party<'_>,
    to: Party<'_>,
    protocol: Protocol,
    port: u16,
) -> Option<String> {
    let (Party::Pod { pod: client, .. }, Party::Pod { pod: server, .. }) = (from, to) else { return None };
    let address = |pod: &Pod, family| pod.addresses.iter().copied().find(|ip| Family::of(*ip) == family);
    let decision = |family| {
        let (from, to) = (address(client, family)?, address(server, family)?);
        let at = |pod, ip| Party::Pod { pod, address: Some(ip) };
        Some(evaluator.verdict(at(client, from), at(server, to), protocol, port).decision())
    };
    let (v4, v6) = (decision(Family::V4)?, decision(Family::V6)?);
    (v4 != v6).then(|| format!("over IPv4 it is {}, over IPv6 {}", v4.name(), v6.name()))
}

/// Whether a connection of a family can end there; a pod that has no address yet may come to have any.
fn has_family(inventory: &Inventory, end: Target, family: Family) -> bool {
    match end {
        Target::Pod(pod) => {
            let addresses = &inventory.pod(pod).addresses;
            addresses.is_empty() || addresses.iter().any(|ip| Family::of(*ip) == family)
        }
        Target::Address(ip) => Family::of(ip) == family,
    }
}

/// Another pod like the one that stands for a workload of which there is none.
fn another_replica(inventory: &Inventory, pod: PodId) -> Option<Pod> {
    let pod = inventory.pod(pod);
    let several =
        pod.workload.kind != "Pod" && inventory.workloads.get(&pod.workload).is_some_and(|info| info.from_template);
    several.then(|| Pod { name: format!("{} (another)", pod.name), ..pod.clone() })
}

fn party(inventory: &Inventory, end: Target, family: Option<Family>) -> Party<'_> {
    match end {
        Target::Pod(pod) => {
            let pod = inventory.pod(pod);
            let address = family.and_then(|family| pod.addresses.iter().copied().find(|ip| Family::of(*ip) == family));
            Party::Pod { pod, address }
        }
        Target::Address(ip) => Party::Address { ip, node: inventory.node_name(ip) },
    }
}

/// Clients and servers whose pairs policies treat alike.
#[derive(Default)]
struct Alike {
    clients: Vec<Target>,
    servers: Vec<Target>,
}

fn group(classes: &Classes<'_>, side: &Target) -> Group {
    match side {
        Target::Pod(pod) => classes.of_pod(*pod).map_or(Group::Pod(*pod), Group::Class),
        Target::Address(ip) => Group::Address(*ip),
    }
}

/// A pair that stands for all: of different pods, and not on one node, where there is such a pair.
fn representatives(inventory: &Inventory, alike: &Alike) -> (Target, Target) {
    let node = |end: &Target| match end {
        Target::Pod(pod) => inventory.pod(*pod).node.as_deref(),
        Target::Address(_) => None,
    };
    let pairs = || alike.clients.iter().flat_map(|client| alike.servers.iter().map(move |server| (*client, *server)));
    let differ = |(client, server): &(Target, Target)| client != server;
    let apart = |pair: &(Target, Target)| differ(pair) && (node(&pair.0).is_none() || node(&pair.0) != node(&pair.1));
    let found = pairs().find(apart).or_else(|| pairs().find(differ));
    found.unwrap_or((alike.clients[0], alike.servers[0]))
}

fn ends(sides: &[Target]) -> Ends {
    let mut pods: Vec<PodId> = Vec::new();
    for side in sides {
        match side {
            Target::Pod(pod) => pods.push(*pod),
            Target::Address(ip) => return Ends::Address(*ip),
        }
    }
    pods.sort_unstable();
    pods.dedup();
    Ends::Pods(pods)
}

/// Pods that count; where none does, all, with a note.
fn sides(inventory: &Inventory, pods: &[PodId], options: Options, notes: &mut Vec<String>) -> Vec<Target> {
    let counting: Vec<Target> =
        pods.iter().filter(|pod| options.counts(inventory.pod(**pod))).map(|pod| Target::Pod(*pod)).collect();
    if !counting.is_empty() {
        return counting;
    }
    let name = |pod: &PodId| {
        let Pod { namespace, name, .. } = inventory.pod(*pod);
        format!("{namespace}/{name}")
    };
    let names: Vec<String> = pods.iter().map(name).collect();
    let names = names.join(", ");
    notes.push(format!(
        "{names}: over; network plugins no longer apply policies to it, and its address may be another's"
    ));
    pods.iter().map(|pod| Target::Pod(*pod)).collect()
}

fn service_name(inventory: &Inventory, index: usize) -> String {
    let service = &inventory.services[index];
    format!("{}/Service/{}", service.namespace, service.name)
}

/// The servers with their own port, the Service they were reached through, and whether it may hide outside sources.
type Servers = (Vec<(Target, u16)>, Option<String>, bool);

fn servers(
    inventory: &Inventory,
    server: &Named,
    protocol: Protocol,
    port: PortName<'_>,
    options: Options,
    notes: &mut Vec<String>,
) -> Result<Servers, ExplainError> {
    let no_port = |server: String, has: Vec<String>| ExplainError::NoPort {
        server,
        port: match port {
            PortName::Number(number) => number.to_string(),
            PortName::Name(name) => name.to_string(),
        },
        protocol,
        has: if has.is_empty() { "none by name".to_string() } else { has.join(", ") },
    };
    match server {
        Named::Address(ip) => match port {
            PortName::Number(number) => {
                // A node port leads on to pods.
                let Some(frontend) = inventory.frontend(*ip, protocol, number) else {
                    return Ok((vec![(Target::Address(*ip), number)], None, false));
                };
                let service = &inventory.services[frontend.service];
                let name = inventory.frontend_name(frontend);
                behind(inventory, frontend.service, &service.ports[frontend.port], name, notes)
            }
            PortName::Name(_) => Err(no_port(ip.to_string(), Vec::new())),
        },
        Named::Pods { name, pods, .. } => {
            let mut servers = Vec::new();
            for side in sides(inventory, pods, options, notes) {
                let Target::Pod(id) = side else { continue };
                match port {
                    PortName::Number(number) => servers.push((side, number)),
                    PortName::Name(wanted) => {
                        let declared = inventory.pod(id).ports.iter();
                        let named = declared.filter(|declared| {
                            declared.protocol == protocol && declared.name.as_deref() == Some(wanted)
                        });
                        servers.extend(named.map(|declared| (side, declared.number)));
                    }
                }
            }
            if servers.is_empty() {
                let ports = pods.iter().flat_map(|pod| &inventory.pod(*pod).ports);
                let mut has: Vec<String> = ports
                    .map(|port| {
                        format!("{}/{} {}", port.number, port.protocol, port.name.as_deref().unwrap_or_default())
                    })
                    .map(|text| text.trim_end().to_string())
                    .collect();
                has.sort();
                has.dedup();
                return Err(no_port(name.clone(), has));
            }
            if let PortName::Number(number) = port {
                notes.extend(service_port_note(inventory, pods, protocol, number));
            }
            Ok((servers, None, false))
        }
        Named::Service { index, .. } => {
            let service = &inventory.services[*index];
            let wanted = service.ports.iter().find(|entry| {
                entry.protocol == protocol
                    && match port {
                        PortName::Number(number) => entry.port == number,
                        PortName::Name(name) => entry.name == name,
                    }
            });
            let Some(entry) = wanted else {
                let has = |entry: &ServicePort| format!("{}/{} {}", entry.port, entry.protocol, entry.name);
                let has = service.ports.iter().map(has).map(|text| text.trim_end().to_string()).collect();
                return Err(no_port(service_name(inventory, *index), has));
            };
            let name = format!("{}/{}:{}", service.namespace, service.name, entry.port);
            behind(inventory, *index, entry, name, notes)
        }
    }
}

/// The pods and addresses behind a Service's port.
fn behind(
    inventory: &Inventory,
    index: usize,
    port: &ServicePort,
    name: String,
    notes: &mut Vec<String>,
) -> Result<Servers, ExplainError> {
    let service = &inventory.services[index];
    let servers = inventory.targets(service, port);
    if servers.is_empty() {
        return Err(ExplainError::NoBackend(name));
    }
    notes.push(format!(
        "through Service {name}: policies see the pods and their own port; that a plugin sees the Service's address instead is not what the API says"
    ));
    if servers.iter().any(|(end, _)| matches!(end, Target::Address(_))) {
        notes.push("the Service leads to addresses outside; whether policies see them or the Service's own is up to the network plugin".to_string());
    }
    Ok((servers, Some(name), service.public && service.hides_source))
}

/// A hint for those who type a Service's port for its pods.
fn service_port_note(inventory: &Inventory, pods: &[PodId], protocol: Protocol, number: u16) -> Option<String> {
    let pod = *pods.first()?;
    let declared = inventory.pod(pod).ports.iter().any(|port| port.number == number && port.protocol == protocol);
    if declared {
        return None;
    }
    let of = |port: u16| inventory.services_of(pod, protocol, port);
    let ports = inventory.pod(pod).ports.iter().filter(|port| port.protocol == protocol);
    let behind = ports.flat_map(|port| of(port.number).map(move |(service, entry)| (service, entry, port.number)));
    let (service, _, target) =
        behind.into_iter().find(|(_, entry, target)| entry.port == number && *target != number)?;
    Some(format!(
        "{number} is the port of Service {}/{}; the pods listen on {target}, and that is what policies see",
        service.namespace, service.name
    ))
}

/// What comes out if the source is a node's address.
fn translated(
    evaluator: &Evaluator<'_>,
    inventory: &Inventory,
    server: Party<'_>,
    protocol: Protocol,
    port: u16,
    decision: Decision,
) -> Option<Dependence> {
    let nodes = inventory.nodes.iter().filter_map(|(name, node)| Some((name, *node.addresses.keys().next()?)));
    let through = nodes.map(|(name, ip)| {
        evaluator.verdict(Party::Address { ip, node: Some(name) }, server, protocol, port).decision()
    });
    let other = through.max()?;
    (other != decision).then_some(Dependence { on: Open::SourceIsNode, decision: other })
}

#[cfg(test)]
mod tests;
