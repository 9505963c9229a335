//! Random clusters whose few labels, addresses and ports meet often.

use std::collections::BTreeSet;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

use super::Cluster;
use crate::endpoint::{Pod, Workload};
use crate::label::Labels;
use crate::port::{ContainerPort, Protocol};

/// The nodes and their addresses.
pub(super) const NODES: [(&str, &str); 4] =
    [("n1", "192.168.0.1"), ("n1", "fd00::1:1"), ("n2", "192.168.0.2"), ("n2", "fd00::1:2")];

fn labels() -> impl Strategy<Value = Labels> {
    btree_map(select(vec!["a", "b"]), select(vec!["", "x", "y"]), 0..3)
        .prop_map(|labels| labels.into_iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
}

fn pod(index: usize) -> impl Strategy<Value = Pod> {
    let port = (select(vec!["p", "q"]), select(vec![80u16, 81, 443]), select(Protocol::ALL.to_vec()));
    let node = option::weighted(0.8, select(vec!["n1", "n2"]));
    let count = prop_oneof![1 => Just(0), 5 => Just(1), 5 => Just(2)];
    (labels(), node, proptest::bool::weighted(0.15), count, vec(port, 0..4)).prop_map(
        move |(labels, node, host_network, count, ports)| {
            let (namespace, name) = (format!("ns{}", index % 2 + 1), format!("pod{index}"));
            let mut addresses: Vec<String> = if host_network {
                NODES.iter().filter(|(of, _)| node == Some(of)).map(|(_, ip)| ip.to_string()).collect()
            } else {
                vec![format!("10.0.{}.{index}", index % 2 + 1), format!("fd00::{index}")]
            };
            addresses.truncate(count);
            let port = |(name, number, protocol): (&str, u16, Protocol)| ContainerPort {
                name: Some(name.to_string()),
                number,
                protocol,
            };
            Pod {
                workload: Workload { namespace: namespace.clone(), kind: "Pod".to_string(), name: name.clone() },
                namespace,
                name,
                labels,
                addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
                node: node.map(str::to_string),
                host_network,
                ports: ports.into_iter().map(port).collect(),
                probed: Default::default(),
                finished: false,
            }
        },
    )
}

fn selector() -> impl Strategy<Value = Value> {
    let key = || select(vec!["a", "b", "kubernetes.io/metadata.name"]);
    let value = || select(vec!["", "x", "y", "ns1"]);
    let expression = (key(), select(vec!["In", "NotIn", "Exists", "DoesNotExist"]), vec(value(), 1..3)).prop_map(
        |(key, operator, values)| match operator {
            "In" | "NotIn" => json!({"key": key, "operator": operator, "values": values}),
            _ => json!({"key": key, "operator": operator}),
        },
    );
    prop_oneof![
        2 => Just(json!({})),
        3 => (key(), value()).prop_map(|(key, value)| json!({"matchLabels": {key: value}})),
        2 => vec(expression.clone(), 1..3).prop_map(|all| json!({"matchExpressions": all})),
        1 => (key(), value(), expression).prop_map(|(key, value, one)| {
            json!({"matchLabels": {key: value}, "matchExpressions": [one]})
        }),
    ]
}

fn peer() -> impl Strategy<Value = Value> {
    let block =
        |cidr: &'static str, except: &'static [&'static str]| json!({"ipBlock": {"cidr": cidr, "except": except}});
    prop_oneof![
        2 => selector().prop_map(|pods| json!({"podSelector": pods})),
        2 => selector().prop_map(|namespaces| json!({"namespaceSelector": namespaces, "podSelector": null})),
        2 => (selector(), selector()).prop_map(|(a, b)| json!({"namespaceSelector": a, "podSelector": b})),
        2 => select(vec![
            block("10.0.0.0/8", &["10.0.1.0/24", "10.0.2.3/32"]),
            block("10.0.1.0/24", &[]),
            block("192.168.0.0/24", &["192.168.0.2/32"]),
            block("0.0.0.0/0", &["10.0.0.0/8"]),
            block("fd00::/64", &["fd00::2/127"]),
            block("::/0", &[]),
        ]),
    ]
}

fn port() -> impl Strategy<Value = Value> {
    let protocol = || select(vec!["TCP", "UDP", "SCTP"]);
    prop_oneof![
        Just(json!({})),
        protocol().prop_map(|protocol| json!({"protocol": protocol})),
        (protocol(), select(vec![80, 81, 443]))
            .prop_map(|(protocol, port)| json!({"protocol": protocol, "port": port})),
        (protocol(), select(vec!["p", "q"])).prop_map(|(protocol, port)| json!({"protocol": protocol, "port": port})),
        Just(json!({"port": 81, "endPort": 443})),
        Just(json!({"port": "p", "protocol": null})),
    ]
}

/// A list under `key`: absent, null, empty, or some.
fn some(
    key: &'static str,
    item: impl Strategy<Value = Value> + 'static,
) -> BoxedStrategy<Option<(&'static str, Value)>> {
    let listed = vec(item, 1..3).prop_map(move |items| Some((key, json!(items))));
    let rest = select(vec![None, Some((key, json!(null))), Some((key, json!([])))]);
    prop_oneof![2 => listed, 1 => rest].boxed()
}

fn object(fields: impl IntoIterator<Item = Option<(&'static str, Value)>>) -> Value {
    fields.into_iter().flatten().map(|(key, value)| (key.to_string(), value)).collect::<Map<_, _>>().into()
}

pub(super) fn policy() -> impl Strategy<Value = Value> {
    let rule = |field| (some(field, peer()), some("ports", port())).prop_map(|(peers, ports)| object([peers, ports]));
    let types = some("policyTypes", select(vec![json!("Ingress"), json!("Egress")]));
    let lists = (some("ingress", rule("from")), some("egress", rule("to")), types);
    (select(vec!["ns1", "ns2"]), selector(), lists).prop_map(|(namespace, pods, (ingress, egress, types))| {
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "p", "namespace": namespace},
            "spec": object([Some(("podSelector", pods)), ingress, egress, types]),
        })
    })
}

/// One of the kinds of cluster-wide policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cluster,
    Admin,
    Baseline,
}

/// `namespaces` or `pods`.
fn pods(kind: Kind) -> BoxedStrategy<Value> {
    let unlabelled = selector().prop_map(move |pods| match kind {
        Kind::Cluster => json!({"pods": {"podSelector": pods}}),
        _ => json!({"pods": {"namespaceSelector": {}, "podSelector": pods}}),
    });
    prop_oneof![
        2 => selector().prop_map(|namespaces| json!({"namespaces": namespaces})),
        1 => unlabelled,
        1 => (selector(), selector()).prop_map(|(a, b)| json!({"pods": {"namespaceSelector": a, "podSelector": b}})),
    ]
    .boxed()
}

/// A peer in a rule of some action; in an object out of a cluster it may be of a kind that is not known.
fn cluster_peer(kind: Kind, direction: &'static str, accepts: bool, stored: bool) -> BoxedStrategy<Value> {
    let names =
        vec!["example.com", "*.svcs.example.com", "*.Cluster.Local.", "a.pod", "a.ns1.svc.cluster", "a.cluster.local"];
    let names = subsequence(names, 1..3).prop_map(|names| json!({"domainNames": names}));
    let cidrs = vec!["10.0.1.9/24", "10.0.2.0/24", "192.168.0.0/24", "0.0.0.0/0", "fd00::/64", "fd00::2/127", "::/0"];
    let networks = subsequence(cidrs, 1..3).prop_map(|cidrs| json!({"networks": cidrs}));
    let nodes = selector().prop_map(|nodes| json!({"nodes": nodes}));
    let (egress, named) = (u32::from(direction == "egress"), u32::from(accepts && kind != Kind::Baseline));
    let mut unknown = vec![json!({}), json!({"serviceAccounts": {}}), json!({"namespaces": null})];
    if direction == "ingress" {
        unknown.push(json!({"networks": ["0.0.0.0/0"]}));
    } else if kind == Kind::Baseline {
        unknown.push(json!({"domainNames": ["example.com"]}));
    }
    prop_oneof![
        6 => pods(kind),
        4 * egress => networks,
        2 * egress => nodes,
        2 * egress * named => names,
        u32::from(stored) => select(unknown),
    ]
    .boxed()
}

/// An element of `protocols` or `ports`.
fn cluster_port(kind: Kind, with_names: bool) -> BoxedStrategy<Value> {
    let protocol = || select(Protocol::ALL.to_vec());
    let ranges = select(vec![(80, 80), (80, 80), (81, 81), (443, 443), (81, 443), (1, 65535)]);
    let numbers = (protocol(), ranges, any::<bool>()).prop_map(move |(protocol, (start, end), explicit)| {
        let name = protocol.name();
        match (kind, start == end) {
            (Kind::Cluster, true) => json!({name.to_lowercase(): {"destinationPort": {"number": start}}}),
            (Kind::Cluster, false) => {
                json!({name.to_lowercase(): {"destinationPort": {"range": {"start": start, "end": end}}}})
            }
            (_, true) if name == "TCP" && !explicit => json!({"portNumber": {"port": start}}),
            (_, true) => json!({"portNumber": {"protocol": name, "port": start}}),
            (_, false) => json!({"portRange": {"protocol": name, "start": start, "end": end}}),
        }
    });
    let names = select(vec!["p", "q"]).prop_map(move |name| match kind {
        Kind::Cluster => json!({"destinationNamedPort": name}),
        _ => json!({"namedPort": name}),
    });
    prop_oneof![2 => numbers, u32::from(with_names) => names].boxed()
}

fn cluster_rule(kind: Kind, direction: &'static str, stored: bool) -> impl Strategy<Value = Value> {
    let actions = match kind {
        Kind::Cluster => vec!["Accept", "Deny", "Pass"],
        Kind::Admin => vec!["Allow", "Deny", "Pass"],
        Kind::Baseline => vec!["Allow", "Deny"],
    };
    let field = if direction == "ingress" { "from" } else { "to" };
    let fields = select(actions).prop_flat_map(move |action| {
        let accepts = action == "Accept" || action == "Allow";
        (Just(action), vec(cluster_peer(kind, direction, accepts, stored), 1..3))
    });
    fields.prop_flat_map(move |(action, peers)| {
        // Only pods have names for ports, and the API refuses names beside other peers.
        let with_names = peers.iter().all(|peer| peer.get("namespaces").or(peer.get("pods")).is_some());
        let ports = if kind == Kind::Cluster { "protocols" } else { "ports" };
        let listed = vec(cluster_port(kind, with_names), 1..3).prop_map(move |items| Some((ports, json!(items))));
        let ports = prop_oneof![2 => listed, 1 => select(vec![None, Some((ports, json!(null)))])];
        ports.prop_map(move |ports| object([Some(("action", json!(action))), Some((field, json!(peers))), ports]))
    })
}

fn cluster_policy() -> impl Strategy<Value = Value> {
    let kind = prop_oneof![4 => Just(Kind::Cluster), 3 => Just(Kind::Admin), 2 => Just(Kind::Baseline)];
    let shape = (kind, proptest::bool::weighted(0.3));
    shape.prop_flat_map(|(kind, stored)| {
        let subject = prop_oneof![2 => Just(json!({"namespaces": {}})), 3 => pods(kind)];
        let rules = |direction| vec(cluster_rule(kind, direction, stored), 0..4).prop_map(|rules| json!(rules));
        let place = (select(vec!["Admin", "Baseline"]), 0..3u32, select(vec!["a", "b", "c"]));
        (place, subject, rules("ingress"), rules("egress")).prop_map(
            move |((tier, priority, name), subject, ingress, egress)| {
                let (version, word) = match kind {
                    Kind::Cluster => ("v1alpha2", "ClusterNetworkPolicy"),
                    Kind::Admin => ("v1alpha1", "AdminNetworkPolicy"),
                    Kind::Baseline => ("v1alpha1", "BaselineAdminNetworkPolicy"),
                };
                let name = if kind == Kind::Baseline { "default" } else { name };
                let spec = [
                    (kind == Kind::Cluster).then(|| ("tier", json!(tier))),
                    (kind != Kind::Baseline).then(|| ("priority", json!(priority))),
                    Some(("subject", subject)),
                    Some(("ingress", ingress)),
                    Some(("egress", egress)),
                ];
                json!({
                    "apiVersion": format!("policy.networking.k8s.io/{version}"),
                    "kind": word,
                    "metadata": object([Some(("name", json!(name))), stored.then(|| ("uid", json!("0b1c")))]),
                    "spec": object(spec),
                })
            },
        )
    })
}

fn node(name: &'static str) -> impl Strategy<Value = Value> {
    let all: Vec<_> = NODES.into_iter().filter(|(of, _)| *of == name).map(|(_, ip)| ip).collect();
    // Not all addresses of a node need be in its status.
    let addresses = prop_oneof![2 => Just(all.clone()), 1 => subsequence(all, 0..3)];
    (labels(), addresses).prop_map(move |(labels, addresses)| {
        let addresses: Vec<_> = addresses.iter().map(|ip| json!({"type": "InternalIP", "address": ip})).collect();
        json!({"metadata": {"name": name, "labels": labels}, "status": {"addresses": addresses}})
    })
}

pub(crate) fn cluster() -> impl Strategy<Value = Cluster> {
    let pods = (pod(1), pod(2), pod(3), pod(4)).prop_map(|(a, b, c, d)| vec![a, b, c, d]);
    let cluster_policies = prop_oneof![1 => Just(Vec::new()), 4 => vec(cluster_policy(), 1..6)];
    let nodes = (node("n1"), option::weighted(0.8, node("n2")));
    let policies = (vec(policy(), 0..5), cluster_policies);
    (option::of(labels()), labels(), nodes, pods, policies).prop_map(
        |(first, second, (n1, n2), pods, (policies, mut cluster_policies))| {
            // One of the namespaces may be known by its name only, one of the nodes not at all.
            let known = first.map(|labels| ("ns1".to_string(), labels)).into_iter();
            let namespaces = known.chain([("ns2".to_string(), second)]).collect();
            let mut names = BTreeSet::new();
            let id = |policy: &Value| (policy["kind"].to_string(), policy["metadata"]["name"].to_string());
            cluster_policies.retain(|policy| names.insert(id(policy)));
            let nodes = [n1].into_iter().chain(n2).collect();
            Cluster { namespaces, pods, policies, cluster_policies, nodes }
        },
    )
}
