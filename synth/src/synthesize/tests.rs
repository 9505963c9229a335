//! One cluster, flows as one line of text each, and rules as one line of text each.

mod choose;
mod node;
mod outside;
mod property;
mod rule;

use capture::time::SECOND;
use capture::{Flow, Names, Opening, Proof, Protocol, Socket, Timestamp};

use super::*;
use crate::declare;
use crate::label::Requirement;
use crate::manifest::Objects;
use crate::policy::{Namespaces, Peer, PortMatch};
use crate::render::render;
use crate::resolve::resolve;

/// Pods as (name, address, node, labels, ports); the namespace stands before a slash, `shop` otherwise, and the workload
/// is a StatefulSet of the name up to the last dash.
type PodRow<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str);

const PODS: [PodRow<'_>; 8] = [
    ("web-1", "10.0.1.11", "n1", "app: web", ""),
    ("web-2", "10.0.2.11", "n2", "app: web", ""),
    ("api-1", "10.0.1.12", "n1", "app: api", "{containerPort: 8080}"),
    ("api-2", "10.0.2.12", "n2", "app: api", "{containerPort: 8080}"),
    ("cron-1", "10.0.1.13", "n1", "app: cron", ""),
    ("data/db-1", "10.0.1.14", "n1", "app: db", "{containerPort: 9125, protocol: UDP}"),
    ("data/cache-1", "10.0.2.15", "n2", "app: cache", ""),
    ("kube-system/dns-1", "10.0.1.53", "n1", "k8s-app: kube-dns", ""),
];

fn pod((name, address, node, labels, ports): PodRow<'_>) -> String {
    let (namespace, name) = name.split_once('/').unwrap_or(("shop", name));
    let (workload, _) = name.rsplit_once('-').unwrap();
    format!(
        "{{kind: Pod, metadata: {{name: {name}, namespace: {namespace}, labels: {{{labels}}}, ownerReferences: \
         [{{kind: StatefulSet, name: {workload}, controller: true}}]}}, spec: {{nodeName: {node}, \
         containers: [{{ports: [{ports}]}}]}}, status: {{podIP: {address}}}}}"
    )
}

fn node(number: u8) -> String {
    format!(
        "{{kind: Node, metadata: {{name: n{number}}}, spec: {{podCIDR: 10.0.{number}.0/24}}, \
         status: {{addresses: [{{address: 192.168.0.{number}}}]}}}}"
    )
}

/// A Service as (namespace/name, address, rest of the spec).
fn service(name: &str, address: &str, spec: &str) -> String {
    let (namespace, name) = name.split_once('/').unwrap();
    format!(
        "{{kind: Service, metadata: {{name: {name}, namespace: {namespace}}}, spec: {{clusterIP: {address}, {spec}}}}}"
    )
}

fn load(objects: &[String]) -> Inventory {
    let text: String = objects.iter().map(|object| format!("---\n{object}\n")).collect();
    let mut objects = Objects::default();
    objects.load("cluster.yaml", &text);
    assert_eq!(objects.problems, []);
    Inventory::build(&objects, &Default::default())
}

/// The cluster, three nodes, and more objects.
fn cluster(more: &[String]) -> Inventory {
    let dns = "selector: {k8s-app: kube-dns}, ports: [{name: u, port: 53, protocol: UDP}, {name: t, port: 53}]";
    let mut objects: Vec<String> = PODS.into_iter().map(pod).chain([1, 2, 3].map(node)).collect();
    objects.push(service("kube-system/kube-dns", "10.96.0.10", dns));
    objects.extend_from_slice(more);
    load(&objects)
}

/// `TCP client > server:port [outcome] [at=SECONDS] [sent=DATAGRAMS] [id=NUMBER] [dns]`; a pod's name stands for its
/// address.
fn flow(text: &str) -> Flow {
    let words: Vec<&str> = text.split_whitespace().collect();
    let socket = |text: &str| {
        let (host, port) = text.rsplit_once(':').unwrap();
        let named = PODS.iter().find(|(name, ..)| *name == host || name.ends_with(&format!("/{host}")));
        let address = named.map_or(host, |(_, address, ..)| *address);
        Socket { ip: address.parse().unwrap(), port: port.parse().unwrap() }
    };
    let protocol = Protocol::from_name(words[0]).unwrap();
    let udp = protocol == Protocol::Udp;
    let value =
        |key: &str| words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('=')?.parse::<i64>().ok());
    let outcomes = [
        Outcome::Answered,
        Outcome::OneWay,
        Outcome::Refused,
        Outcome::Unanswered,
        Outcome::Unknown,
        Outcome::Established,
    ];
    let usual = if udp { Outcome::Answered } else { Outcome::Established };
    let outcome = outcomes.into_iter().find(|outcome| words.contains(&outcome.name())).unwrap_or(usual);
    let (client, dialled) = (socket(words[1]), socket(words[3]));
    let noon: Timestamp = "2026-11-01T12:00:00Z".parse().unwrap();
    let first = noon.plus(value("at").unwrap_or(0) * SECOND);
    Flow {
        protocol,
        opening: Opening::Seen {
            client,
            dialled,
            served: None,
            proof: if udp { Proof::FirstPacket } else { Proof::Handshake },
            identity: value("id").map_or(u32::from(client.port), |id| id as u32),
        },
        outcome,
        first,
        last: first,
        connections: 1,
        newest: first,
        activity: capture::Activity::at(first),
        latency: Default::default(),
        datagrams: if udp { value("sent").unwrap_or(1) as u64 } else { 0 },
        dns: words.contains(&"dns"),
        talk: Default::default(),
        translated: false,
    }
}

fn seen<T: AsRef<str>>(flows: &[T], inventory: &Inventory) -> Resolved {
    let flows: Vec<Flow> = flows.iter().map(|line| flow(line.as_ref())).collect();
    resolve(&flows, &Names::default(), inventory)
}

fn planned<T: AsRef<str>>(flows: &[T], inventory: &Inventory, options: &Options) -> Plan {
    synthesize(&seen(flows, inventory), inventory, options)
}

/// A rule as `peers : ports`.
fn line(rule: &Rule) -> String {
    let peer = |peer: &Peer| match peer {
        Peer::Pods { namespaces: Namespaces::Own, pods } => pods.to_string(),
        Peer::Pods { namespaces: Namespaces::Matching(namespaces), pods } => {
            let name = |requirement: &Requirement| match requirement {
                Requirement::In { key, values } if key == crate::label::NAMESPACE_NAME => {
                    values.iter().cloned().collect::<Vec<_>>().join("|")
                }
                other => other.to_string(),
            };
            format!("{}/{pods}", namespaces.requirements().map(name).collect::<Vec<_>>().join(","))
        }
        Peer::Block(block) if block.except.is_empty() => block.cidr.to_string(),
        Peer::Block(block) => {
            let except: Vec<String> = block.except.iter().map(ToString::to_string).collect();
            format!("{} except {}", block.cidr, except.join(" "))
        }
    };
    let peers = match &rule.peers {
        Peers::Everyone => "everyone".to_string(),
        Peers::Any(peers) => peers.iter().map(peer).collect::<Vec<_>>().join(", "),
    };
    let ports = match &rule.ports {
        Ports::All => "all".to_string(),
        Ports::Any(ports) => ports.iter().map(port).collect::<Vec<_>>().join(" "),
    };
    format!("{peers} : {ports}")
}

fn port(port: &crate::policy::PolicyPort) -> String {
    match &port.port {
        PortMatch::Every => format!("*/{}", port.protocol),
        PortMatch::Range(range) => format!("{range}/{}", port.protocol),
        PortMatch::Named(name) => format!("{name}/{}", port.protocol),
    }
}

/// The rules of the policy `namespace/name` in one direction; `no policy` where there is none.
fn rules(plan: &Plan, id: &str, direction: Direction) -> Vec<String> {
    match plan.policies.iter().find(|planned| planned.policy.id() == id) {
        Some(planned) => planned.policy.rules(direction).unwrap_or_default().iter().map(line).collect(),
        None => vec!["no policy".to_string()],
    }
}

fn egress(plan: &Plan, id: &str) -> Vec<String> {
    rules(plan, id, Direction::Egress)
}

fn ingress(plan: &Plan, id: &str) -> Vec<String> {
    rules(plan, id, Direction::Ingress)
}

/// `namespace/name` of all policies.
fn ids(plan: &Plan) -> Vec<String> {
    plan.policies.iter().map(|planned| planned.policy.id()).collect()
}

fn names_of(workloads: &[Workload]) -> Vec<&str> {
    workloads.iter().map(|workload| workload.name.as_str()).collect()
}

/// The set as text.
fn text(plan: &Plan) -> String {
    plan.policies.iter().map(render).collect::<Vec<_>>().join("---\n")
}

fn declared(lines: &str) -> Vec<Declared> {
    declare::parse("edges.txt", lines).unwrap()
}
