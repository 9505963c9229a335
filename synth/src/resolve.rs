//! Flows to edges: who the addresses were, which way an unseen opening went, and which pod's port was meant.
//!
//! ```text
//! flow --orient--> conversation --join--> conversation --place--> edge
//! ```

mod join;
mod orient;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use capture::{Activity, Flow, Latencies, Names, Outcome, Protocol, Socket, Talks, Timestamp};

use crate::endpoint::{Endpoint, Unresolved, ends, single};
use crate::evidence::{Certainty, End, Evidence, MAX_HISTOGRAMS};
use crate::graph::{Class, Edge, Graph, Key};
use crate::inventory::{Backend, Frontend, Holder, Inventory};

/// A flow with a client and a server.
#[derive(Debug, Clone)]
struct Conversation {
    protocol: Protocol,
    client: IpAddr,
    /// The client's port; `None` for several conversations alike, each from a port of its own.
    client_port: Option<u16>,
    dialled: Socket,
    served: Option<Socket>,
    certainty: Certainty,
    outcome: Outcome,
    connections: u64,
    first: Timestamp,
    last: Timestamp,
    /// The first packet of the conversation that began last.
    newest: Timestamp,
    activity: Activity,
    latency: Latencies,
    datagrams: u64,
    dns: bool,
    talk: Talks,
    /// What translation keeps: TCP's initial sequence number, SCTP's initiate tag; `None` where there is none.
    identity: Option<u32>,
    /// Another view showed the same connection with another source address.
    translated: bool,
}

impl Conversation {
    /// The client's address and port, if it is one conversation.
    fn client_socket(&self) -> Option<Socket> {
        self.client_port.map(|port| Socket { ip: self.client, port })
    }

    /// When the last of them was opened; `None` where nobody was seen opening any.
    fn opened(&self) -> Option<Timestamp> {
        let seen = self.identity.is_some() || self.client_port.is_none() || self.certainty == Certainty::FirstPacket;
        seen.then_some(self.newest)
    }
}

/// Counts of what could not be said with certainty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doubts {
    /// Conversations.
    pub conversations: u64,
    /// Conversations with an unresolved side.
    pub unresolved: u64,
    /// Conversations whose direction is guessed.
    pub guessed: u64,
    /// Conversations with a Service whose backend could not be told.
    pub ambiguous: u64,
}

impl Doubts {
    /// Whether the objects and the traffic seem to be of different times or clusters: more than 5 % of the conversations are
    /// unresolved.
    pub fn is_of_another(&self) -> bool {
        self.unresolved * 20 > self.conversations
    }
}

/// What resolving gives.
#[derive(Debug, Clone, Default)]
pub struct Resolved {
    /// The edges.
    pub graph: Graph,
    /// What is doubtful about them.
    pub doubts: Doubts,
    /// Clients that sent datagrams to the Service's own address although NodeLocal DNSCache may answer there, and the
    /// address: `(client, address)`.
    pub dns_frontends: BTreeSet<(Endpoint, IpAddr)>,
}

/// Resolves flows against an inventory. The result does not depend on the order of `flows`.
pub fn resolve(flows: &[Flow], names: &Names, inventory: &Inventory) -> Resolved {
    let mut conversations = orient::orient(flows, inventory);
    join::views(&mut conversations, inventory);
    join::translations(&mut conversations, inventory);
    let mut places = Places { api_servers: inventory.api_servers(), ..Places::default() };
    for conversation in &conversations {
        places.place(conversation, inventory);
    }
    places.finish(names, inventory)
}

/// Addresses of clouds' metadata services: AWS, GCP, Azure and others; ECS task credentials; EKS pod identity; AWS over
/// IPv6; Alibaba; Oracle's older one.
pub fn is_metadata(ip: IpAddr) -> bool {
    const V4: [[u8; 4]; 5] =
        [[169, 254, 169, 254], [169, 254, 170, 2], [169, 254, 170, 23], [100, 100, 100, 200], [192, 0, 0, 192]];
    match ip {
        IpAddr::V4(ip) => V4.contains(&ip.octets()),
        IpAddr::V6(ip) => matches!(ip.segments(), [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254 | 0x23]),
    }
}

/// Edges while they are being put together.
#[derive(Default)]
struct Places {
    edges: BTreeMap<Key, BTreeMap<Outcome, Box<Evidence>>>,
    dns: BTreeSet<Key>,
    api: BTreeSet<Key>,
    doubts: Doubts,
    dns_frontends: BTreeSet<(Endpoint, IpAddr)>,
    histograms: usize,
    api_servers: BTreeMap<IpAddr, u16>,
}

/// One possible server of a conversation.
struct Server {
    end: End,
    port: u16,
    endpoint: Endpoint,
}

impl Places {
    fn place(&mut self, conversation: &Conversation, inventory: &Inventory) {
        let time = conversation.first;
        let frontend = inventory.frontend(conversation.dialled.ip, conversation.protocol, conversation.dialled.port);
        let servers = servers(conversation, frontend, inventory);
        let client = end(inventory, conversation.client, time);
        let client_endpoint = inventory.endpoint(conversation.client, time);
        let distinct: BTreeSet<(&Endpoint, u16)> =
            servers.iter().map(|server| (&server.endpoint, server.port)).collect();
        let ambiguous = distinct.len() > 1;
        let unresolved = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Unresolved { .. });
        let connections = conversation.connections;
        self.doubts.conversations += connections;
        self.doubts.ambiguous += connections * u64::from(ambiguous);
        self.doubts.guessed += connections * u64::from(conversation.certainty == Certainty::Guessed);
        self.doubts.unresolved += connections
            * u64::from(unresolved(&client_endpoint) || distinct.iter().any(|(endpoint, _)| unresolved(endpoint)));
        let is_dns = conversation.dns
            || conversation.dialled.port == 53 && matches!(conversation.protocol, Protocol::Udp | Protocol::Tcp);
        if is_dns && frontend.is_some() && conversation.served.is_none() {
            self.dns_frontends.insert((client_endpoint.clone(), conversation.dialled.ip));
        }
        let mut counted: BTreeSet<Key> = BTreeSet::new();
        for server in &servers {
            let key = Key {
                client: client_endpoint.clone(),
                server: server.endpoint.clone(),
                protocol: conversation.protocol,
                port: server.port,
            };
            // A resolver's pods may listen elsewhere (OpenShift: 5353) behind port 53 of their Service.
            let behind_53 =
                |pod| inventory.services_of(pod, conversation.protocol, server.port).any(|(_, port)| port.port == 53);
            if is_dns || server.end.pod.is_some_and(behind_53) {
                self.dns.insert(key.clone());
            }
            if self.api_servers.get(&server.end.ip) == Some(&server.port) {
                self.api.insert(key.clone());
            }
            let first_of_key = counted.insert(key.clone());
            let evidence = self
                .edges
                .entry(key)
                .or_default()
                .entry(conversation.outcome)
                .or_insert_with(|| Box::new(Evidence::none()));
            let opened = conversation.opened().unwrap_or(Timestamp::MIN);
            for client in spread(client, &client_endpoint) {
                for server in spread(server.end, &server.endpoint) {
                    evidence.pairs.note((client, server), opened);
                }
            }
            // Several backends of one workload are one edge, and the connection counts once there.
            if !first_of_key {
                continue;
            }
            let mut room = MAX_HISTOGRAMS - self.histograms;
            evidence.add(conversation, ambiguous, &mut room);
            self.histograms = MAX_HISTOGRAMS - room;
            if let Some(frontend) = frontend {
                *evidence.services.entry(inventory.frontend_name(frontend)).or_default() += connections;
                evidence.node_ports += connections * u64::from(frontend.node_port);
            }
        }
    }

    fn finish(mut self, names: &Names, inventory: &Inventory) -> Resolved {
        self.edges.values_mut().flat_map(BTreeMap::values_mut).for_each(|evidence| evidence.pairs.seal());
        for (key, outcomes) in &mut self.edges {
            // What a range of addresses was called is not told apart.
            if let Endpoint::External(range) = &key.server
                && let Some(ip) = single(range)
            {
                for evidence in outcomes.values_mut() {
                    evidence.names = names_for(ip, &key.client, evidence, names, inventory);
                }
            }
        }
        // Traffic from a node that only ever goes to the node's own pods is the kubelet's.
        let mut crosses: BTreeMap<(&Endpoint, Protocol, u16), bool> = BTreeMap::new();
        for (key, outcomes) in self.edges.iter().filter(|(key, _)| matches!(key.client, Endpoint::Node(_))) {
            let own = outcomes.values().all(|evidence| own_node(&key.client, evidence, inventory));
            *crosses.entry((&key.server, key.protocol, key.port)).or_default() |= !own;
        }
        let classes: Vec<Class> = self
            .edges
            .keys()
            .map(|key| {
                if self.dns.contains(key) && !is_metadata_key(key) {
                    return Class::Dns;
                }
                let probe = matches!(key.client, Endpoint::Node(_))
                    && key.server.workload().is_some()
                    && crosses.get(&(&key.server, key.protocol, key.port)) == Some(&false);
                classify(key, probe, self.api.contains(key))
            })
            .collect();
        let edges = self.edges.into_iter().zip(classes);
        let edges = edges.map(|((key, outcomes), class)| Edge { key, class, outcomes }).collect();
        Resolved { graph: Graph::new(edges), doubts: self.doubts, dns_frontends: self.dns_frontends }
    }
}

fn is_metadata_key(key: &Key) -> bool {
    matches!(key.server, Endpoint::External(range) if single(&range).is_some_and(is_metadata))
}

fn classify(key: &Key, probe: bool, api: bool) -> Class {
    let either = |test: fn(&Endpoint) -> bool| test(&key.client) || test(&key.server);
    if is_metadata_key(key) {
        Class::Metadata
    } else if probe {
        Class::Probe
    } else if api {
        Class::ApiServer
    } else if either(|endpoint| matches!(endpoint, Endpoint::Node(_))) {
        Class::Node
    } else if either(|endpoint| matches!(endpoint, Endpoint::External(_))) {
        Class::External
    } else {
        Class::App
    }
}

/// Whether all of a node's observed connections went to pods of that node.
fn own_node(client: &Endpoint, evidence: &Evidence, inventory: &Inventory) -> bool {
    let Endpoint::Node(name) = client else { return false };
    // The kubelet dials pods; whoever dials a Service only happens to be on this node.
    if !evidence.services.is_empty() {
        return false;
    }
    evidence
        .pairs
        .keys()
        .all(|(_, server)| server.pod.is_some_and(|pod| inventory.pod(pod).node.as_deref() == Some(name)))
}

fn end(inventory: &Inventory, ip: IpAddr, time: Timestamp) -> End {
    let pod = match inventory.holder(ip, time) {
        Holder::Pod(pod) => Some(pod),
        _ => None,
    };
    End { ip, pod }
}

/// One end; the first and the last address of a range, so that policies are asked for both.
fn spread(end: End, endpoint: &Endpoint) -> impl Iterator<Item = End> + use<> {
    let range = match endpoint {
        Endpoint::External(range) if single(range).is_none() => Some(ends(range)),
        _ => None,
    };
    let one = range.is_none().then_some(end);
    one.into_iter().chain(range.into_iter().flatten().map(|ip| End { ip, pod: None }))
}

/// The servers that a conversation may have had: one, or every backend of a Service whose choice was not seen.
fn servers(conversation: &Conversation, frontend: Option<Frontend>, inventory: &Inventory) -> Vec<Server> {
    let time = conversation.first;
    let at = |socket: Socket| Server {
        end: end(inventory, socket.ip, time),
        port: socket.port,
        endpoint: inventory.endpoint(socket.ip, time),
    };
    if let Some(served) = conversation.served {
        return vec![at(served)];
    }
    let Some(frontend) = frontend else { return vec![at(conversation.dialled)] };
    let backends: Vec<Backend> = inventory.backends(frontend, conversation.dialled.ip.is_ipv4(), time);
    if backends.is_empty() {
        let ip = conversation.dialled.ip;
        return vec![Server {
            end: End { ip, pod: None },
            port: conversation.dialled.port,
            endpoint: Endpoint::Unresolved { ip, reason: Unresolved::NoBackend },
        }];
    }
    backends
        .into_iter()
        .map(|backend| Server {
            end: End { ip: backend.ip, pod: backend.pod },
            port: backend.port,
            endpoint: match backend.pod {
                Some(pod) => Endpoint::Workload(inventory.pod(pod).workload.clone()),
                None => inventory.endpoint(backend.ip, time),
            },
        })
        .collect()
}

/// The names that this client used for an address; those that anybody used where it used none.
fn names_for(
    ip: IpAddr,
    client: &Endpoint,
    evidence: &Evidence,
    names: &Names,
    inventory: &Inventory,
) -> BTreeSet<String> {
    let addresses = evidence.client_addresses();
    let is_client = |asker: &IpAddr| {
        addresses.contains(asker) || client.workload().is_some_and(|workload| inventory.ever_held(*asker, workload))
    };
    let mut own = BTreeSet::new();
    let mut all = BTreeSet::new();
    for (name, askers) in names.of(ip) {
        if askers.iter().any(is_client) {
            own.insert(name.to_string());
        }
        all.insert(name.to_string());
    }
    if own.is_empty() { all } else { own }
}

impl Evidence {
    fn add(&mut self, conversation: &Conversation, ambiguous: bool, room: &mut usize) {
        self.connections += conversation.connections;
        self.datagrams += conversation.datagrams;
        self.first = self.first.min(conversation.first);
        self.last = self.last.max(conversation.last);
        self.activity.merge(&conversation.activity);
        self.talks.merge(conversation.talk);
        self.certainty = self.certainty.min(conversation.certainty);
        self.ambiguous |= ambiguous;
        self.translated += conversation.connections * u64::from(conversation.translated);
        self.unopened += conversation.connections * u64::from(conversation.opened().is_none());
        for (latency, count) in conversation.latency.iter() {
            self.record_latency(latency, count, room);
        }
    }
}

#[cfg(test)]
mod tests;
