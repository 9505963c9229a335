//! One cluster, and flows as one line of text each.

mod class;
mod order;
mod orient;
mod place;

use capture::flow::Speech;
use capture::time::SECOND;
use capture::{Opening, Proof, Side};

use super::*;
use crate::inventory::Options;
use crate::manifest::Objects;

/// Pods as (name, address, node, labels, ports); the workload is the name up to the last dash.
const PODS: [(&str, &str, &str, &str, &str); 9] = [
    ("web-1", "10.0.1.11", "n1", "app: web", ""),
    ("web-2", "10.0.2.11", "n2", "app: web", ""),
    ("api-1", "10.0.1.2", "n1", "app: api, pool: x", "{containerPort: 8080}"),
    ("api-2", "10.0.2.2", "n2", "app: api, pool: x", "{containerPort: 8080}"),
    ("old-1", "10.0.1.3", "n1", "app: old, pool: x", "{containerPort: 8080}"),
    ("stat-1", "10.0.1.4", "n1", "app: stat", "{containerPort: 8125, protocol: UDP}"),
    ("db-1", "10.0.1.5", "n1", "app: db", ""),
    ("db-2", "10.0.2.5", "n2", "app: db", ""),
    ("dns-1", "10.0.1.53", "n1", "app: dns", "{containerPort: 53}, {containerPort: 53, protocol: UDP}"),
];

/// Services as (name, address, spec).
const SERVICES: [(&str, &str, &str); 6] = [
    (
        "api",
        "10.96.0.1",
        "type: NodePort, selector: {app: api}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]",
    ),
    ("pool", "10.96.0.2", "selector: {pool: x}, ports: [{port: 80, targetPort: 8080}]"),
    ("empty", "10.96.0.9", "selector: {app: nothing}, ports: [{port: 80}]"),
    ("dns", "10.96.0.10", "selector: {app: dns}, ports: [{name: u, port: 53, protocol: UDP}, {name: t, port: 53}]"),
    ("names", "10.96.0.11", "selector: {app: dns}, ports: [{port: 53, protocol: UDP}]"),
    ("kubernetes", "10.96.0.100", "ports: [{name: https, port: 443, targetPort: 6443}]"),
];

fn cluster() -> Inventory {
    let mut text = String::new();
    for (name, address, node, labels, ports) in PODS {
        let (workload, _) = name.rsplit_once('-').unwrap();
        text.push_str(&format!(
            "---\n{{kind: Pod, metadata: {{name: {name}, namespace: shop, labels: {{{labels}}}, ownerReferences: \
             [{{kind: StatefulSet, name: {workload}, controller: true}}]}}, spec: {{nodeName: {node}, \
             containers: [{{ports: [{ports}]}}]}}, status: {{podIP: {address}}}}}\n"
        ));
    }
    for (name, address, spec) in SERVICES {
        let namespace = if name == "kubernetes" { "default" } else { "shop" };
        text.push_str(&format!(
            "---\n{{kind: Service, metadata: {{name: {name}, namespace: {namespace}}}, \
             spec: {{clusterIP: {address}, {spec}}}}}\n"
        ));
    }
    text.push_str(
        "---\n{kind: Endpoints, metadata: {name: kubernetes, namespace: default}, \
         subsets: [{addresses: [{ip: 192.168.0.1}], ports: [{name: https, port: 6443}]}]}\n",
    );
    for number in [1, 2] {
        text.push_str(&format!(
            "---\n{{kind: Node, metadata: {{name: n{number}}}, spec: {{podCIDR: 10.0.{number}.0/24}}, \
             status: {{addresses: [{{address: 192.168.0.{number}}}]}}}}\n"
        ));
    }
    let mut objects = Objects::default();
    objects.load("cluster.yaml", &text);
    assert_eq!(objects.problems, []);
    Inventory::build(&objects, &Options::default())
}

fn socket(text: &str) -> Socket {
    // A pod's or Service's name stands for its address.
    let (host, port) = text.rsplit_once(':').unwrap();
    let pod = PODS.iter().find(|(name, ..)| *name == host).map(|(_, address, ..)| *address);
    let service = SERVICES.iter().find(|(name, ..)| host.strip_prefix("svc-") == Some(name)).map(|(_, ip, _)| *ip);
    let node = match host {
        "n1" => Some("192.168.0.1"),
        "n2" => Some("192.168.0.2"),
        _ => None,
    };
    let address = pod.or(service).or(node).unwrap_or(host);
    Socket { ip: address.parse().unwrap(), port: port.parse().unwrap() }
}

/// `TCP client > dialled [= served] outcome`, or `TCP side <> side outcome` where nobody was seen opening it. Then, in
/// any order: `at=SECONDS`, `id=NUMBER`, `sent=DATAGRAMS`, `dns`, `half`, and `asks=` or `answers=` with the port of the
/// side that was heard.
fn flow(text: &str) -> Flow {
    let mut words = text.split_whitespace().peekable();
    let mut next = || words.next().unwrap_or_else(|| panic!("{text}"));
    let protocol = Protocol::from_name(next()).unwrap();
    let (left, arrow, right) = (socket(next()), next(), socket(next()));
    let rest: Vec<&str> = words.collect();
    let (served, rest) = match rest[..] {
        ["=", served, ..] => (Some(socket(served)), &rest[2..]),
        _ => (None, &rest[..]),
    };
    let outcomes = [
        Outcome::Established,
        Outcome::Answered,
        Outcome::OneWay,
        Outcome::Refused,
        Outcome::Unanswered,
        Outcome::Unknown,
    ];
    let outcome = outcomes.into_iter().find(|outcome| outcome.name() == rest[0]).unwrap();
    let value = |key: &str| rest[1..].iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let number = |key: &str, otherwise: f64| value(key).map_or(otherwise, |text| text.parse().unwrap());
    let udp = protocol == Protocol::Udp;
    let heard = |key: &str, socket: Socket| value(key).is_some_and(|port| port == socket.port.to_string());
    let side =
        |socket| Side { socket, speech: Speech { request: heard("asks", socket), response: heard("answers", socket) } };
    let opening = if arrow == "<>" {
        Opening::Unseen { sides: [side(left.min(right)), side(left.max(right))] }
    } else {
        let proof = match () {
            () if udp => Proof::FirstPacket,
            () if rest.contains(&"half") => Proof::HalfHandshake,
            () => Proof::Handshake,
        };
        let identity = if udp { 0 } else { number("id", f64::from(left.port)) as u32 };
        Opening::Seen { client: left, dialled: right, served, proof, identity }
    };
    let noon: Timestamp = "2026-11-01T12:00:00Z".parse().unwrap();
    let first = noon.plus((number("at", 0.0) * SECOND as f64) as i64);
    Flow {
        protocol,
        opening,
        outcome,
        first,
        last: first.plus(SECOND),
        connections: 1,
        newest: first,
        activity: capture::Activity::at(first),
        latency: Default::default(),
        datagrams: if udp { number("sent", 1.0) as u64 } else { 0 },
        dns: rest.contains(&"dns"),
        talk: Default::default(),
        translated: false,
    }
}

fn resolved(lines: &[&str]) -> Resolved {
    let flows: Vec<Flow> = lines.iter().map(|line| flow(line)).collect();
    resolve(&flows, &Names::default(), &cluster())
}

/// `client -> server:port/PROTOCOL outcome certainty class`, then the number of connections where it is not one,
/// Services, and doubts; workloads by name alone.
fn rows(resolved: &Resolved) -> Vec<String> {
    let short = |endpoint: &Endpoint| match endpoint {
        Endpoint::Workload(workload) => workload.name.clone(),
        other => other.to_string(),
    };
    let mut rows = Vec::new();
    for edge in resolved.graph.edges() {
        let Key { client, server, protocol, port } = &edge.key;
        for (outcome, evidence) in &edge.outcomes {
            let mut row = format!("{} -> {}:{port}/{protocol} {outcome}", short(client), short(server));
            row.push_str(&format!(" {} {}", evidence.certainty.name(), edge.class.name()));
            if evidence.connections != 1 {
                row.push_str(&format!(" x{}", evidence.connections));
            }
            for service in evidence.services.keys() {
                row.push_str(&format!(" via {service}"));
            }
            for (said, word) in [(evidence.ambiguous, " ambiguous"), (evidence.translated > 0, " translated")] {
                row.push_str(if said { word } else { "" });
            }
            rows.push(row);
        }
    }
    rows
}

/// Rows of flows, what they become, and what that shows.
type Case<'a> = (&'a str, &'a [&'a str], &'a [&'a str]);

fn assert_rows(cases: &[Case<'_>]) {
    for (what, flows, expected) in cases {
        assert_eq!(rows(&resolved(flows)), *expected, "{what}");
    }
}
