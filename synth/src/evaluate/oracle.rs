//! A second reading of the API reference, by brute force on the objects' JSON: it knows nothing of decoding, defaults,
//! selectors or CIDR types of the crate. On random tiny clusters the evaluator has to come to the same answers.

use std::net::IpAddr;
use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::{Evaluator, Namespaces, Options, Party};
use crate::endpoint::{Pod, Workload};
use crate::label::Labels;
use crate::manifest::networkpolicy::decode;
use crate::manifest::node::parse;
use crate::policy::{Direction, Policy};
use crate::port::{ContainerPort, Protocol};

/// What the oracle sees of one end: everything about it, as flat as it gets.
struct End {
    pod: Option<(String, String, Labels)>,
    ips: Vec<IpAddr>,
    runs_on: Option<String>,
    is_node: Option<String>,
    ports: Vec<(String, u16, String)>,
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn selects(selector: &Value, labels: &Labels) -> bool {
    let empty = Map::new();
    let wanted = selector.get("matchLabels").and_then(Value::as_object).unwrap_or(&empty);
    for (key, value) in wanted {
        if labels.get(key).map(String::as_str) != value.as_str() {
            return false;
        }
    }
    for expression in list(selector, "matchExpressions") {
        let found = labels.get(expression["key"].as_str().unwrap());
        let listed = list(expression, "values").iter().any(|value| value.as_str() == found.map(String::as_str));
        let holds = match expression["operator"].as_str().unwrap() {
            "In" => found.is_some() && listed,
            "NotIn" => !(found.is_some() && listed),
            "Exists" => found.is_some(),
            "DoesNotExist" => found.is_none(),
            other => panic!("{other}"),
        };
        if !holds {
            return false;
        }
    }
    true
}

fn bits(ip: IpAddr) -> (u32, u128) {
    match ip {
        IpAddr::V4(ip) => (32, u128::from(u32::from(ip))),
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => (32, u128::from(u32::from(ip))),
            None => (128, u128::from(ip)),
        },
    }
}

fn within(cidr: &Value, ip: IpAddr) -> bool {
    let (base, length) = cidr.as_str().unwrap().split_once('/').unwrap();
    let ((width, base), (family, ip)) = (bits(base.parse().unwrap()), bits(ip));
    let host = width - length.parse::<u32>().unwrap();
    width == family && base.checked_shr(host) == ip.checked_shr(host)
}

fn peer_fits(peer: &Value, namespace: &str, end: &End, namespaces: &Namespaces, options: Options) -> bool {
    if let Some(block) = peer.get("ipBlock") {
        let in_block =
            |&ip: &IpAddr| within(&block["cidr"], ip) && !list(block, "except").iter().any(|cidr| within(cidr, ip));
        return (end.pod.is_none() || options.ip_block_matches_pods) && end.ips.iter().any(in_block);
    }
    let Some((of, _, labels)) = &end.pod else { return false };
    let there = |key: &str| peer.get(key).filter(|selector| !selector.is_null());
    let in_namespace = match there("namespaceSelector") {
        None => of == namespace,
        Some(selector) => {
            let mut all = namespaces.labels(of).cloned().unwrap_or_default();
            all.insert("kubernetes.io/metadata.name".to_string(), of.clone());
            selects(selector, &all)
        }
    };
    in_namespace && there("podSelector").is_none_or(|selector| selects(selector, labels))
}

fn port_fits(item: &Value, server: &End, protocol: &str, port: u16) -> bool {
    if item.get("protocol").and_then(Value::as_str).unwrap_or("TCP") != protocol {
        return false;
    }
    match item.get("port").unwrap_or(&Value::Null) {
        Value::Null => true,
        Value::String(name) => {
            let is = |(other, number, of): &(String, u16, String)| other == name && *number == port && of == protocol;
            server.pod.is_some() && server.ports.iter().any(is)
        }
        number => {
            let first = number.as_u64().unwrap();
            let last = item.get("endPort").and_then(Value::as_u64).unwrap_or(first);
            first <= u64::from(port) && u64::from(port) <= last
        }
    }
}

/// Whether the policies let `subject` and `peer` connect, as far as the subject's side goes.
fn side(
    cluster: &Cluster,
    direction: &str,
    (subject, peer, server): (&End, &End, &End),
    (protocol, port): (&str, u16),
    options: Options,
) -> bool {
    let Some((namespace, name, labels)) = &subject.pod else {
        return true;
    };
    if let Some((of, other, _)) = &peer.pod
        && of == namespace
        && other == name
    {
        return true;
    }
    if direction == "ingress" && peer.is_node.is_some() && peer.is_node == subject.runs_on {
        return true;
    }
    let (word, field) = if direction == "ingress" { ("Ingress", "from") } else { ("Egress", "to") };
    let applies = |policy: &&Value| {
        let types = list(&policy["spec"], "policyTypes");
        let listed = match (types.is_empty(), word) {
            (true, "Ingress") => true,
            (true, _) => !list(&policy["spec"], "egress").is_empty(),
            (false, _) => types.iter().any(|of| of == word),
        };
        let own = policy["metadata"].get("namespace").map_or("default", |namespace| namespace.as_str().unwrap());
        own == namespace && listed && selects(&policy["spec"]["podSelector"], labels)
    };
    let applying: Vec<&Value> = cluster.policies.iter().filter(applies).collect();
    applying.is_empty()
        || applying.iter().any(|policy| {
            list(&policy["spec"], direction).iter().any(|rule| {
                let (peers, ports) = (list(rule, field), list(rule, "ports"));
                let peer_ok = peers.iter().any(|item| peer_fits(item, namespace, peer, &cluster.namespaces, options));
                let port_ok = ports.iter().any(|item| port_fits(item, server, protocol, port));
                (peers.is_empty() || peer_ok) && (ports.is_empty() || port_ok)
            })
        })
}

/// Both ends with the addresses they have in one family, for each that they share; as they are where they share none.
fn families<'e>(client: &'e End, server: &'e End) -> impl Iterator<Item = (End, End)> + Clone + 'e {
    let only = |end: &End, width: u32| End {
        pod: end.pod.clone(),
        ips: end.ips.iter().copied().filter(|ip| width == 0 || bits(*ip).0 == width).collect(),
        runs_on: end.runs_on.clone(),
        is_node: end.is_node.clone(),
        ports: end.ports.clone(),
    };
    let shared = move |width: &u32| !only(client, *width).ips.is_empty() && !only(server, *width).ips.is_empty();
    let widths: Vec<u32> = [32, 128].into_iter().filter(shared).collect();
    let widths = if widths.is_empty() { vec![0] } else { widths };
    widths.into_iter().map(move |width| (only(client, width), only(server, width)))
}

#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) namespaces: Namespaces,
    pub(crate) pods: Vec<Pod>,
    policies: Vec<Value>,
}

impl Cluster {
    pub(crate) fn decoded(&self) -> Vec<Policy> {
        let file: Arc<str> = Arc::from("policies.json");
        let decoded = self.policies.iter().map(|value| decode(&parse(&value.to_string(), 1).unwrap(), &file));
        decoded.map(|policy| policy.unwrap_or_else(|found| panic!("{found:#?}"))).collect()
    }

    /// All pods, a node's address, and addresses outside, for both implementations.
    fn ends(&self, host_network_is_node: bool) -> Vec<(Party<'_>, End)> {
        let address = |text: &str, node: Option<&'static str>| {
            let ip: IpAddr = text.parse().unwrap();
            let is_node = node.map(str::to_string);
            (Party::Address { ip, node }, End { pod: None, ips: vec![ip], runs_on: None, is_node, ports: Vec::new() })
        };
        let pods = self.pods.iter().map(|pod| {
            let port = |port: &ContainerPort| {
                (port.name.clone().unwrap_or_default(), port.number, port.protocol.name().to_string())
            };
            let end = End {
                pod: (!(pod.host_network && host_network_is_node))
                    .then(|| (pod.namespace.clone(), pod.name.clone(), pod.labels.clone())),
                ips: pod.addresses.clone(),
                runs_on: pod.node.clone(),
                is_node: pod.node.clone().filter(|_| pod.host_network && host_network_is_node),
                ports: pod.ports.iter().map(port).collect(),
            };
            (Party::pod(pod), end)
        });
        let others = [address("192.168.0.2", Some("n2")), address("::ffff:10.0.2.9", None), address("fd00::99", None)];
        pods.chain(others).collect()
    }
}

fn labels() -> impl Strategy<Value = Labels> {
    btree_map(select(vec!["a", "b"]), select(vec!["", "x", "y"]), 0..3)
        .prop_map(|labels| labels.into_iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
}

fn pod(index: usize) -> impl Strategy<Value = Pod> {
    let port = (select(vec!["p", "q"]), select(vec![80u16, 81, 443]), select(Protocol::ALL.to_vec()));
    let node = option::weighted(0.8, select(vec!["n1", "n2"]));
    (labels(), node, proptest::bool::weighted(0.15), any::<bool>(), vec(port, 0..4)).prop_map(
        move |(labels, node, host_network, dual, ports)| {
            let (namespace, name) = (format!("ns{}", index % 2 + 1), format!("pod{index}"));
            let own = if host_network { "192.168.0.1".to_string() } else { format!("10.0.{}.{index}", index % 2 + 1) };
            let mut addresses: Vec<IpAddr> = vec![own.parse().unwrap()];
            if dual {
                addresses.push(format!("fd00::{index}").parse().unwrap());
            }
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
                addresses,
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

fn policy() -> impl Strategy<Value = Value> {
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

pub(crate) fn cluster() -> impl Strategy<Value = Cluster> {
    let pods = (pod(1), pod(2), pod(3), pod(4)).prop_map(|(a, b, c, d)| vec![a, b, c, d]);
    (option::of(labels()), labels(), pods, vec(policy(), 0..5)).prop_map(|(first, second, pods, policies)| {
        // One of the namespaces may be known by its name only.
        let known = first.map(|labels| ("ns1".to_string(), labels)).into_iter();
        let namespaces = known.chain([("ns2".to_string(), second)]).collect();
        Cluster { namespaces, pods, policies }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn evaluator_agrees(
        cluster in cluster(),
        ip_block_matches_pods in any::<bool>(),
        host_network_is_node in proptest::bool::weighted(0.7),
    ) {
        let options = Options { ip_block_matches_pods, host_network_is_node, ..Options::default() };
        let policies = cluster.decoded();
        let evaluator = Evaluator::new(&policies, &cluster.namespaces).with_options(options);
        let ends = cluster.ends(host_network_is_node);
        for (client, from) in &ends {
            for (server, to) in &ends {
                let set = evaluator.allowed_ports(*client, *server);
                for protocol in Protocol::ALL {
                    for port in [0, 80, 81, 82, 443, 444] {
                        let at = (protocol.name(), port);
                        let sides = families(from, to).map(|(from, to)| (
                            side(&cluster, "egress", (&from, &to, &to), at, options),
                            side(&cluster, "ingress", (&to, &from, &to), at, options),
                        ));
                        let expected = sides.clone().find(|sides| *sides == (true, true)).or(sides.clone().next()).unwrap();
                        let verdict = evaluator.verdict(*client, *server, protocol, port);
                        let found = (verdict.egress.allowed(), verdict.ingress.allowed());
                        prop_assert_eq!(found, expected, "{:?} -> {:?}:{}/{}", client, server, port, protocol);
                        let allowed = expected == (true, true);
                        prop_assert_eq!(evaluator.allowed(*client, *server, protocol, port), allowed);
                        prop_assert!(port == 0 || set.contains(protocol, port) == allowed, "{} {}", set, port);
                    }
                }
            }
        }
    }

    /// The qualifier matters: a first rule in a direction that the policy does not cover isolates.
    #[test]
    fn a_rule_more_in_a_covered_direction_denies_nothing(
        cluster in cluster(),
        extra in policy(),
        at in any::<prop::sample::Index>(),
    ) {
        let before = cluster.decoded();
        prop_assume!(!before.is_empty());
        let mut after = before.clone();
        let wider = &mut after[at.index(before.len())];
        let extra = Cluster { policies: vec![extra], ..cluster.clone() }.decoded().remove(0);
        for direction in Direction::ALL {
            let (rules, more) = match direction {
                Direction::Ingress => (&mut wider.ingress, &extra.ingress),
                Direction::Egress => (&mut wider.egress, &extra.egress),
            };
            if let (Some(rules), Some(more)) = (rules, more) {
                rules.extend(more.iter().cloned());
            }
        }
        let (before, after) =
            (Evaluator::new(&before, &cluster.namespaces), Evaluator::new(&after, &cluster.namespaces));
        for (client, _) in cluster.ends(true) {
            for (server, _) in cluster.ends(true) {
                let lost = before.allowed_ports(client, server).difference(&after.allowed_ports(client, server));
                prop_assert!(lost.is_empty(), "{:?} -> {:?} lost {}", client, server, lost);
            }
        }
    }
}
