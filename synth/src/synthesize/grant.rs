//! What each group of pods needs, by peer and port, and the rules that say it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use capture::{Outcome, Protocol};
use ipnet::IpNet;

use super::{peer, port};
use crate::declare::{Declared, Side};
use crate::endpoint::{Endpoint, single};
use crate::evidence::{Certainty, Evidence};
use crate::graph::{Class, Edge, Graph};
use crate::inventory::{Inventory, PodId};
use crate::learn::is_translated;
use crate::policy::{Direction, Peer, PolicyPort, Rule};
use crate::render::thousands;
use crate::select::Groups;

/// A public server was reached from so many outside addresses.
pub(crate) const PUBLIC_ADDRESSES: usize = 20;

/// More outside addresses in one rule than this are worth a finding.
const MANY_ADDRESSES: usize = 64;

/// Comments on a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// The evidence of the whole rule, one line.
    pub rule: String,
    /// Who each peer is, in the order of the peers.
    pub peers: Vec<String>,
}

/// The other side of a grant. The order is the order of peers in a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Other {
    Group(usize),
    Node(String),
    /// An address of a node, and which node's.
    NodeAddress(IpAddr, String),
    External(IpNet),
    Range(IpNet),
    /// Any outside address of a family, IPv4 where true.
    World(bool),
}

/// What was seen of one port of one peer.
#[derive(Debug, Clone)]
struct Seen<'a> {
    outcome: Outcome,
    evidence: &'a Evidence,
    class: Class,
    declared: Option<Why>,
}

/// Why an edge that nobody saw is granted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// The user wants it.
    Wanted(String),
    /// An object of the cluster declares it.
    Awaited(String),
}

/// `declared: a; b`, `declared, not observed: c`.
fn reasons(all: &[&Seen<'_>]) -> Option<String> {
    let all: BTreeSet<&Why> = all.iter().filter_map(|seen| seen.declared.as_ref()).collect();
    let of = |wanted: bool| -> Vec<&str> {
        let texts = all.iter().filter_map(|why| match why {
            Why::Wanted(text) => wanted.then_some(text.as_str()),
            Why::Awaited(text) => (!wanted).then_some(text.as_str()),
        });
        texts.collect()
    };
    let lines = [("declared: ", of(true)), ("declared, not observed: ", of(false))];
    let lines = lines.into_iter().filter(|(_, texts)| !texts.is_empty());
    let lines: Vec<String> = lines.map(|(start, texts)| format!("{start}{}", texts.join("; "))).collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

type Ports<'a> = BTreeMap<(Protocol, u16), Vec<Seen<'a>>>;

/// The grants of all groups.
pub(super) struct Grants<'a> {
    inventory: &'a Inventory,
    groups: &'a Groups,
    by_group: BTreeMap<(usize, Direction), BTreeMap<Other, Ports<'a>>>,
    /// Ports that a server refused.
    refused: BTreeMap<Other, BTreeSet<(Protocol, u16)>>,
    asks_dns: BTreeSet<usize>,
    /// Reasons for ranges that somebody declared.
    declared: BTreeMap<IpNet, BTreeSet<String>>,
    /// Once it is settled who gets a policy: those groups. Nobody else is granted anything any more.
    settled: Option<BTreeSet<usize>>,
    /// Groups that would have been granted something, and why.
    unwritten: BTreeSet<(usize, Why)>,
}

impl<'a> Grants<'a> {
    pub(super) fn new(inventory: &'a Inventory, groups: &'a Groups) -> Grants<'a> {
        Grants {
            inventory,
            groups,
            by_group: BTreeMap::new(),
            refused: BTreeMap::new(),
            asks_dns: BTreeSet::new(),
            declared: BTreeMap::new(),
            settled: None,
            unwritten: BTreeSet::new(),
        }
    }

    /// Ends the choice of who gets a policy.
    pub(super) fn settle(&mut self) {
        self.settled = Some(self.by_group.keys().map(|(group, _)| *group).collect());
    }

    /// What was not granted because nothing else isolates the group, in words.
    pub(super) fn unwritten(&self) -> Vec<String> {
        let mut by_group: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for (group, why) in &self.unwritten {
            let (Why::Wanted(text) | Why::Awaited(text)) = why;
            by_group.entry(*group).or_default().push(text);
        }
        let line = |(group, texts): (usize, Vec<&str>)| {
            let workload = &self.groups.get(group).workloads[0];
            format!("{workload} gets no policy, so nothing is written for what is declared: {}", texts.join("; "))
        };
        by_group.into_iter().map(line).collect()
    }

    fn group(&self, endpoint: &Endpoint) -> Option<usize> {
        self.groups.of(endpoint.workload()?)
    }

    fn other(&self, endpoint: &Endpoint) -> Option<Other> {
        match endpoint {
            Endpoint::Workload(workload) => self.groups.of(workload).map(Other::Group),
            Endpoint::Node(name) => Some(Other::Node(name.clone())),
            Endpoint::External(range) => Some(Other::External(*range)),
            Endpoint::Unresolved { .. } => None,
        }
    }

    /// Grants an edge to both of its sides.
    pub(super) fn edge(&mut self, edge: &'a Edge, outcome: Outcome, evidence: &'a Evidence, declared: Option<Why>) {
        let seen = Seen { outcome, evidence, class: edge.class, declared };
        let key = &edge.key;
        let mut ports = vec![(key.protocol, key.port)];
        if edge.class == Class::Dns {
            ports.extend(self.dns_twin(edge, evidence));
        }
        let (client, server) = (self.group(&key.client), self.group(&key.server));
        if let (Some(client), Some(other)) = (client, self.other(&key.server)) {
            self.add(client, Direction::Egress, other, &ports, &seen);
            if edge.class == Class::Dns {
                self.asks_dns.insert(client);
            }
        }
        if let (Some(server), Some(other)) = (server, self.other(&key.client))
            && !is_translated(evidence)
        {
            self.add(server, Direction::Ingress, other, &ports, &seen);
        }
    }

    fn add(&mut self, group: usize, direction: Direction, other: Other, ports: &[(Protocol, u16)], seen: &Seen<'a>) {
        if self.settled.as_ref().is_some_and(|settled| !settled.contains(&group)) {
            self.unwritten.extend(seen.declared.clone().map(|why| (group, why)));
            return;
        }
        let granted = self.by_group.entry((group, direction)).or_default().entry(other).or_default();
        // The twin of a DNS port rests on the same evidence.
        for port in ports {
            granted.entry(*port).or_default().push(seen.clone());
        }
    }

    /// DNS goes over UDP and TCP: the port of the other protocol, looked up in the resolver's Service where the two
    /// have different target ports.
    fn dns_twin(&self, edge: &Edge, evidence: &Evidence) -> Option<(Protocol, u16)> {
        let twin = match edge.key.protocol {
            Protocol::Udp => Protocol::Tcp,
            Protocol::Tcp => Protocol::Udp,
            Protocol::Sctp => return None,
        };
        let pod = evidence.server_pods().into_iter().next();
        let mapped = pod.and_then(|pod| {
            let (service, own) = self.inventory.services_of(pod, edge.key.protocol, edge.key.port).next()?;
            let other = service.ports.iter().find(|port| port.protocol == twin && port.port == own.port)?;
            other.target_on(self.inventory.pod(pod))
        });
        Some((twin, mapped.unwrap_or(edge.key.port)))
    }

    /// Grants a declared edge with a range on one side.
    pub(super) fn range(&mut self, declared: &Declared) {
        let (Some(port), Some(protocol)) = (declared.port, declared.protocol) else { return };
        let (range, side, direction) = match (&declared.client, &declared.server) {
            (side, Side::Addresses(range)) => (*range, side, Direction::Egress),
            (Side::Addresses(range), side) => (*range, side, Direction::Ingress),
            _ => return,
        };
        self.declared.entry(range).or_default().insert(declared.reason.clone());
        for workload in self.inventory.workloads.keys().filter(|workload| side.matches_workload(workload)) {
            if let Some(group) = self.groups.of(workload) {
                let granted = self.by_group.entry((group, direction)).or_default();
                granted.entry(Other::Range(range)).or_default().entry((protocol, port)).or_default();
            }
        }
    }

    /// Notes where servers refused: no range of ports may cover it.
    pub(super) fn refused_ports(&mut self, graph: &Graph) {
        for edge in graph.edges().filter(|edge| edge.outcomes.contains_key(&Outcome::Refused) && edge.used().is_none())
        {
            if let Some(server) = self.other(&edge.key.server) {
                self.refused.entry(server).or_default().insert((edge.key.protocol, edge.key.port));
            }
        }
    }

    /// Where NodeLocal DNSCache runs it also answers at the DNS Service's own address, on the node, before any
    /// translation: clients that used that address need it as it is.
    pub(super) fn local_dns(&mut self, frontends: &BTreeSet<(Endpoint, IpAddr)>) {
        let runs = self.inventory.workloads.iter().any(|(workload, info)| {
            workload.namespace == "kube-system"
                && info.host_network
                && info.labels.get("k8s-app").is_some_and(|app| app == "node-local-dns")
        });
        if !runs {
            return;
        }
        for (client, ip) in frontends {
            if let Some(group) = self.group(client) {
                let granted = self.by_group.entry((group, Direction::Egress)).or_default();
                let ports = granted.entry(Other::External(IpNet::from(*ip))).or_default();
                for protocol in [Protocol::Udp, Protocol::Tcp] {
                    ports.entry((protocol, 53)).or_default();
                }
            }
        }
    }

    /// Whether a group needs anything at all.
    pub(super) fn has(&self, group: usize) -> bool {
        Direction::ALL.into_iter().any(|direction| self.by_group.contains_key(&(group, direction)))
    }

    /// Whether a group asks a resolver.
    pub(super) fn asks_dns(&self, group: usize) -> bool {
        self.asks_dns.contains(&group)
    }

    /// The rules of a group in one direction, sorted by their ports.
    pub(super) fn rules(&self, group: usize, direction: Direction, findings: &mut Vec<String>) -> Vec<(Rule, Notes)> {
        let mut granted = self.by_group.get(&(group, direction)).cloned().unwrap_or_default();
        self.place_nodes(group, direction, &mut granted);
        if direction == Direction::Ingress {
            self.open_to_world(group, &mut granted);
        }
        let nothing = BTreeSet::new();
        let mut rules: BTreeMap<Vec<PolicyPort>, Vec<(Other, Ports<'a>)>> = BTreeMap::new();
        for (other, ports) in granted {
            // Refusals count where the server is: this group for ingress, the peer for egress.
            let server = match (direction, &other) {
                (Direction::Ingress, _) => Other::Group(group),
                (Direction::Egress, Other::NodeAddress(ip, _)) => {
                    Other::Node(self.inventory.node_name(*ip).unwrap_or_default().to_string())
                }
                (Direction::Egress, other) => other.clone(),
            };
            let refused = self.refused.get(&server).unwrap_or(&nothing);
            let seen: BTreeSet<(Protocol, u16)> = ports.keys().copied().collect();
            rules.entry(port::ports(&seen, refused)).or_default().push((other, ports));
        }
        rules
            .into_iter()
            .filter(|(ports, _)| !ports.is_empty())
            .map(|(ports, others)| self.rule(group, direction, ports, &others, findings))
            .collect()
    }

    /// Nodes are granted by address: those observed, and those of other nodes where the same thing runs there.
    fn place_nodes(&self, group: usize, direction: Direction, granted: &mut BTreeMap<Other, Ports<'a>>) {
        let mut by_port: BTreeMap<(Protocol, u16), Vec<(String, Seen<'a>)>> = BTreeMap::new();
        let nodes: Vec<Other> = granted.keys().filter(|other| matches!(other, Other::Node(_))).cloned().collect();
        for node in nodes {
            let (Other::Node(name), Some(ports)) = (&node, granted.remove(&node)) else { continue };
            for (port, seen) in ports {
                by_port.entry(port).or_default().extend(seen.into_iter().map(|seen| (name.clone(), seen)));
            }
        }
        for ((protocol, port), seen) in by_port {
            let names: BTreeSet<&String> = seen.iter().map(|(name, _)| name).collect();
            let mut observed: BTreeSet<IpAddr> = BTreeSet::new();
            for (name, seen) in &seen {
                let here = match direction {
                    Direction::Ingress => seen.evidence.client_addresses(),
                    Direction::Egress => seen.evidence.server_addresses(),
                };
                if seen.declared.is_some() {
                    observed.extend(self.inventory.nodes.get(name).into_iter().flat_map(|node| node.addresses.keys()));
                }
                observed.extend(here);
            }
            let api = seen.iter().any(|(_, seen)| seen.class == Class::ApiServer);
            let (addresses, reason) = match direction {
                Direction::Egress => peer::server_addresses(&observed, protocol, port, api, self.inventory),
                Direction::Ingress => {
                    let forwarded = self.forwarding_service(group, protocol, port);
                    peer::client_addresses(&observed, &names, forwarded.as_deref(), self.inventory)
                }
            };
            for ip in addresses {
                // An API server need not be a node of the cluster.
                let Some(name) = self.inventory.node_name(ip) else {
                    let outside = granted.entry(Other::External(IpNet::from(ip))).or_default();
                    outside.entry((protocol, port)).or_default();
                    continue;
                };
                let label = match &reason {
                    Some(reason) if !observed.contains(&ip) => format!("{name}, not seen: {reason}"),
                    _ => name.to_string(),
                };
                let of_address = |(node, seen): &&(String, Seen<'a>)| {
                    let ends = match direction {
                        Direction::Ingress => seen.evidence.client_addresses(),
                        Direction::Egress => seen.evidence.server_addresses(),
                    };
                    seen.declared.is_some() && node == name || ends.contains(&ip)
                };
                let here = granted.entry(Other::NodeAddress(ip, label)).or_default().entry((protocol, port));
                here.or_default().extend(seen.iter().filter(of_address).map(|(_, seen)| seen.clone()));
            }
        }
    }

    /// A Service of type NodePort or LoadBalancer whose traffic any node may forward to this group's port.
    fn forwarding_service(&self, group: usize, protocol: Protocol, port: u16) -> Option<String> {
        self.public_services(group, protocol, port).find(|(_, hides)| *hides).map(|(name, _)| name)
    }

    /// Services that lead the outside world to a group's port, and whether they hide its source.
    fn public_services(&self, group: usize, protocol: Protocol, port: u16) -> impl Iterator<Item = (String, bool)> {
        let pods =
            self.groups.get(group).workloads.iter().flat_map(|workload| &self.inventory.workloads[workload].pods);
        pods.flat_map(move |pod| self.inventory.services_of(*pod, protocol, port))
            .filter(|(service, _)| service.public)
            .map(|(service, _)| (format!("{}/{}", service.namespace, service.name), service.hides_source))
    }

    /// A port that the world reaches through a Service is open to all outside addresses of the families seen.
    fn open_to_world(&self, group: usize, granted: &mut BTreeMap<Other, Ports<'a>>) {
        let mut clients: BTreeMap<(Protocol, u16), BTreeSet<IpNet>> = BTreeMap::new();
        for (other, ports) in granted.iter() {
            if let Other::External(range) = other {
                for port in ports.keys() {
                    clients.entry(*port).or_default().insert(*range);
                }
            }
        }
        for ((protocol, port), clients) in clients {
            if clients.len() < PUBLIC_ADDRESSES || self.public_services(group, protocol, port).next().is_none() {
                continue;
            }
            for range in clients {
                let external = Other::External(range);
                let Some(seen) = granted.get_mut(&external).and_then(|ports| ports.remove(&(protocol, port))) else {
                    continue;
                };
                if granted.get(&external).is_some_and(BTreeMap::is_empty) {
                    granted.remove(&external);
                }
                let world = granted.entry(Other::World(range.addr().is_ipv4())).or_default();
                world.entry((protocol, port)).or_default().extend(seen);
            }
        }
    }

    fn rule(
        &self,
        group: usize,
        direction: Direction,
        ports: Vec<PolicyPort>,
        others: &[(Other, Ports<'a>)],
        findings: &mut Vec<String>,
    ) -> (Rule, Notes) {
        let namespace = &self.groups.get(group).namespace;
        let mut peers: Vec<(Peer, String)> = Vec::new();
        let mut addresses: BTreeMap<bool, BTreeMap<IpAddr, &Ports<'a>>> = BTreeMap::new();
        let mut outside: BTreeMap<IpNet, &Ports<'a>> = BTreeMap::new();
        for (other, seen) in others {
            match other {
                Other::Group(index) => {
                    let other = self.groups.get(*index);
                    let names: Vec<String> = other.workloads.iter().map(ToString::to_string).collect();
                    peers.push((peer::pods(other, namespace), self.peer_note(&names.join(", "), seen, others.len())));
                }
                Other::NodeAddress(ip, name) => {
                    peers.push((peer::block(IpNet::from(*ip)), format!("node:{name}")));
                    addresses.entry(true).or_default().insert(*ip, seen);
                }
                Other::External(range) => {
                    outside.insert(*range, seen);
                }
                Other::Range(range) => {
                    let reasons = self.declared.get(range).into_iter().flatten().cloned().collect::<Vec<_>>();
                    peers.push((peer::block(*range), format!("declared: {}", reasons.join("; "))));
                }
                Other::World(ipv4) => {
                    let seen_from: BTreeSet<IpAddr> =
                        seen.values().flatten().flat_map(|seen| seen.evidence.client_addresses()).collect();
                    let note = format!("public: {} addresses seen", thousands(seen_from.len() as u64));
                    peers.push((peer::world(*ipv4, &self.inventory.pod_ranges), note));
                }
                Other::Node(_) => {}
            }
        }
        for range in peer::exact(outside.keys().copied()) {
            let inside = || outside.iter().filter(|(part, _)| range.contains(*part));
            let ports: Vec<&Ports<'a>> = inside().map(|(_, seen)| *seen).collect();
            let mut note = outside_note(&ports);
            let folded = inside().filter(|(part, _)| single(part).is_none()).count();
            if folded > 0 {
                note.push_str(if note.is_empty() { "" } else { ", " });
                note.push_str("folded: more addresses than the recorder keeps apart");
                findings.push(format!(
                    "{direction} of {} allows all of {range}: the recorder met more outside addresses than it keeps apart (--max-external)",
                    self.groups.get(group).workloads[0],
                ));
            }
            peers.push((peer::block(range), note));
        }
        if outside.len() > MANY_ADDRESSES {
            findings.push(format!(
                "{} of {} lists {} outside addresses: consider a range instead",
                direction,
                self.groups.get(group).workloads[0],
                outside.len()
            ));
        }
        let all: Vec<&Seen<'a>> = others.iter().flat_map(|(_, ports)| ports.values().flatten()).collect();
        let mut note = self.evidence_line(direction, &all, others);
        if ports.iter().any(port::is_range) {
            let seen: BTreeSet<&(Protocol, u16)> = others.iter().flat_map(|(_, ports)| ports.keys()).collect();
            let inside = seen
                .iter()
                .filter(|(protocol, number)| ports.iter().any(|port| port::in_range(port, *protocol, *number)));
            note.push_str(&format!(", {} ports seen of the range", inside.count()));
        }
        let (peers, notes) = peers.into_iter().unzip();
        (super::rule(peers, ports), Notes { rule: note, peers: notes })
    }

    fn peer_note(&self, name: &str, ports: &Ports<'a>, among: usize) -> String {
        let seen: Vec<&Seen<'a>> = ports.values().flatten().collect();
        let count = connections(&unique(&seen));
        if among > 1 && count > 0 { format!("{name}: {}", thousands(count)) } else { name.to_string() }
    }

    /// `1,204 connections from 3/3 pods, 2026-11-01 .. 2026-11-14, handshake seen, via Service shop/api:80`.
    fn evidence_line(&self, direction: Direction, all: &[&Seen<'a>], others: &[(Other, Ports<'a>)]) -> String {
        let seen: Vec<&Seen<'a>> = unique(all).into_iter().filter(|seen| seen.declared.is_none()).collect();
        let reasons = reasons(all);
        if seen.is_empty() {
            return reasons.unwrap_or_else(|| "not seen".to_string());
        }
        let count = connections(&seen);
        let what = if seen.iter().all(|seen| matches!(seen.outcome, Outcome::Answered | Outcome::OneWay)) {
            "conversation"
        } else {
            "connection"
        };
        let mut line = format!("{} {what}{}", thousands(count), if count == 1 { "" } else { "s" });
        let mut pods: BTreeSet<PodId> = BTreeSet::new();
        for seen in &seen {
            match direction {
                Direction::Ingress => pods.extend(seen.evidence.client_pods()),
                Direction::Egress => pods.extend(seen.evidence.server_pods()),
            }
        }
        let total: usize = others
            .iter()
            .filter_map(|(other, _)| match other {
                Other::Group(index) => Some(*index),
                _ => None,
            })
            .flat_map(|index| &self.groups.get(index).workloads)
            .map(|workload| self.inventory.workloads[workload].pods.len())
            .sum();
        if total > 0 {
            let word = if direction == Direction::Ingress { "from" } else { "to" };
            line.push_str(&format!(" {word} {}/{total} pods", pods.len()));
        }
        let first = seen.iter().map(|seen| seen.evidence.first).min().unwrap_or_default();
        let last = seen.iter().map(|seen| seen.evidence.last).max().unwrap_or_default();
        let (first, last) = (first.date(), last.date());
        line.push_str(&if first == last { format!(", {first}") } else { format!(", {first} .. {last}") });
        let how: BTreeSet<Certainty> = seen.iter().map(|seen| seen.evidence.certainty).collect();
        let how: Vec<&str> = how.into_iter().map(Certainty::words).collect();
        line.push_str(&format!(", {}", how.join(" and ")));
        if seen.iter().any(|seen| seen.outcome == Outcome::OneWay) {
            line.push_str(", no answer seen");
        }
        if seen.iter().any(|seen| seen.evidence.ambiguous) {
            line.push_str(", backend not seen");
        }
        let services: BTreeSet<&str> =
            seen.iter().flat_map(|seen| seen.evidence.services.keys().map(String::as_str)).collect();
        if !services.is_empty() {
            let services: Vec<&str> = services.into_iter().collect();
            line.push_str(&format!(", via Service {}", services.join(", ")));
        }
        if let Some(reasons) = reasons {
            line.push_str(&format!("; and {reasons}"));
        }
        line
    }
}

/// One entry for each body of evidence, which may stand at several ports.
fn unique<'s, 'a>(seen: &[&'s Seen<'a>]) -> Vec<&'s Seen<'a>> {
    let mut known: Vec<*const Evidence> = Vec::new();
    let mut found = Vec::new();
    for seen in seen {
        let address: *const Evidence = seen.evidence;
        if !known.contains(&address) {
            known.push(address);
            found.push(*seen);
        }
    }
    found
}

/// How many connections there were. One whose backend was not seen stands at every edge it may have been, and counts
/// once.
fn connections(seen: &[&Seen<'_>]) -> u64 {
    let mut by_service: BTreeMap<Vec<&String>, u64> = BTreeMap::new();
    let mut sum = 0;
    for evidence in seen.iter().map(|seen| seen.evidence) {
        if evidence.ambiguous {
            let most = by_service.entry(evidence.services.keys().collect()).or_default();
            *most = evidence.connections.max(*most);
        } else {
            sum += evidence.connections;
        }
    }
    sum + by_service.into_values().sum::<u64>()
}

fn outside_note(inside: &[&Ports<'_>]) -> String {
    let seen: Vec<&Seen<'_>> = inside.iter().flat_map(|ports| ports.values().flatten()).collect();
    let seen = unique(&seen);
    let names: BTreeSet<&str> = seen.iter().flat_map(|seen| seen.evidence.names.iter().map(String::as_str)).collect();
    let count = connections(&seen);
    let dns = seen.iter().any(|seen| seen.class == Class::Dns);
    let mut name = names.into_iter().collect::<Vec<_>>().join(", ");
    let api = seen.iter().any(|seen| seen.class == Class::ApiServer && seen.declared.is_some());
    if name.is_empty() && api {
        name = "API server".to_string();
    } else if name.is_empty() {
        name = if dns || seen.is_empty() { "DNS resolver".to_string() } else { "name not seen".to_string() };
    }
    if count == 0 { name } else { format!("{name}: {}", thousands(count)) }
}
