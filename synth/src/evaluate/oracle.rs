//! A second reading of the API references, by brute force on the objects' JSON: it knows nothing of decoding, defaults,
//! selectors or CIDR types of the crate, and of cluster-wide policies neither their types nor their course. On random
//! tiny clusters the evaluator has to come to the same answers.

mod clusterpolicy;
mod generate;
mod networkpolicy;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::{Decider, Decision, Evaluator, Namespaces, Options, Party, Side};
use crate::cluster::ClusterPolicy;
use crate::endpoint::NodeAddressKind::{Gateway, Status};
use crate::endpoint::{Node, Pod};
use crate::label::Labels;
use crate::manifest;
use crate::manifest::node::parse;
use crate::policy::{Direction, Policy, PolicySet};
use crate::port::{ContainerPort, Protocol};

pub(crate) use generate::cluster;

/// What the oracle sees of one end: everything about it, as flat as it gets.
#[derive(Clone)]
struct End {
    pod: Option<(String, String, Labels)>,
    on_host: bool,
    ips: Vec<IpAddr>,
    runs_on: Option<String>,
    is_node: Option<String>,
    ports: Vec<(String, u16, String)>,
}

/// A connection from one side.
#[derive(Clone, Copy)]
struct Connection<'e> {
    /// `ingress` or `egress`.
    direction: &'static str,
    subject: &'e End,
    peer: &'e End,
    server: &'e End,
    protocol: &'static str,
    port: u16,
}

/// What decides on a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Exempt,
    /// A rule of a cluster-wide policy, both by index.
    Rule(usize, usize),
    NetworkPolicies,
    Nobody,
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

fn namespace_labels(namespaces: &Namespaces, name: &str) -> Labels {
    let mut all = namespaces.labels(name).cloned().unwrap_or_default();
    all.insert("kubernetes.io/metadata.name".to_string(), name.to_string());
    all
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

/// Whether the subject's side lets it connect, if every domain name stands for the peer's address, or none does.
fn in_world(cluster: &Cluster, connection: Connection, options: Options, named: bool) -> (bool, Why) {
    let Connection { direction, subject, peer, .. } = connection;
    let Some((namespace, name, _)) = &subject.pod else {
        return (true, Why::Exempt);
    };
    if let Some((of, other, _)) = &peer.pod
        && of == namespace
        && other == name
    {
        return (true, Why::Exempt);
    }
    if direction == "ingress" && peer.is_node.is_some() && peer.is_node == subject.runs_on {
        return (true, Why::Exempt);
    }
    let mut last = Why::Nobody;
    match clusterpolicy::tier(cluster, "Admin", connection, named) {
        Some(("Accept", why)) => return (true, why),
        Some(("Deny", why)) => return (false, why),
        Some((_, why)) => last = why,
        None => {}
    }
    if let Some(allowed) = networkpolicy::tier(cluster, connection, options) {
        return (allowed, Why::NetworkPolicies);
    }
    match clusterpolicy::tier(cluster, "Baseline", connection, named) {
        Some((action, why)) => (action != "Deny", why),
        None => (true, last),
    }
}

/// One side: what all worlds have in common, and what decides where no name stands for the peer.
fn side(cluster: &Cluster, connection: Connection, options: Options) -> (Decision, Why) {
    let (allowed, why) = in_world(cluster, connection, options, false);
    // "DomainNames is only supported for Accept rules": names take nothing away.
    let decision = match allowed || in_world(cluster, connection, options, true).0 {
        true if allowed => Decision::Allowed,
        true => Decision::Unknown,
        false => Decision::Denied,
    };
    (decision, why)
}

/// Both ends with the addresses they have in one family, for each that they share; as they are where they share none.
/// One that has no address may come to have any.
fn families(client: &End, server: &End) -> Vec<(End, End)> {
    let only = |end: &End, width: u32| {
        let ips = end.ips.iter().copied().filter(|ip| bits(*ip).0 == width).collect();
        End { ips, ..end.clone() }
    };
    let may = |end: &End, width| end.ips.is_empty() || !only(end, width).ips.is_empty();
    let widths = [32, 128].into_iter().filter(|width| may(client, *width) && may(server, *width));
    let shared: Vec<_> = widths.map(|width| (only(client, width), only(server, width))).collect();
    if shared.is_empty() { vec![(client.clone(), server.clone())] } else { shared }
}

/// What the oracle says of a connection, out and in.
fn sides(
    cluster: &Cluster,
    families: &[(End, End)],
    (protocol, port): (&'static str, u16),
    options: Options,
) -> [(Decision, Why); 2] {
    let both = families.iter().map(|(client, server)| {
        let out = Connection { direction: "egress", subject: client, peer: server, server, protocol, port };
        let into = Connection { direction: "ingress", subject: server, peer: client, server, protocol, port };
        [out, into].map(|connection| side(cluster, connection, options))
    });
    both.min_by_key(|[out, into]| worse(out.0, into.0)).unwrap()
}

fn worse(one: Decision, other: Decision) -> Decision {
    match (one, other) {
        (Decision::Denied, _) | (_, Decision::Denied) => Decision::Denied,
        (Decision::Unknown, _) | (_, Decision::Unknown) => Decision::Unknown,
        _ => Decision::Allowed,
    }
}

/// What the evaluator says of one side.
fn found(side: &Side) -> (Decision, Why) {
    let why = match side.decider {
        Decider::Exempt(_) => Why::Exempt,
        Decider::Cluster => side.last_word().map(|rule| Why::Rule(rule.policy, rule.rule)).unwrap(),
        Decider::NetworkPolicies => Why::NetworkPolicies,
        Decider::Nobody => Why::Nobody,
    };
    (side.decision, why)
}

#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) namespaces: Namespaces,
    pub(crate) pods: Vec<Pod>,
    policies: Vec<Value>,
    cluster_policies: Vec<Value>,
    nodes: Vec<Value>,
}

impl Cluster {
    pub(crate) fn decoded(&self) -> Vec<Policy> {
        let file: Arc<str> = Arc::from("policies.json");
        let decode = |value: &Value| manifest::networkpolicy::decode(&parse(&value.to_string(), 1).unwrap(), &file);
        let decoded = self.policies.iter().map(decode);
        decoded.map(|policy| policy.unwrap_or_else(|found| panic!("{found:#?}"))).collect()
    }

    pub(crate) fn decoded_cluster_policies(&self) -> Vec<ClusterPolicy> {
        let file: Arc<str> = Arc::from("policies.json");
        let decode = |value: &Value| manifest::clusterpolicy::decode(&parse(&value.to_string(), 1).unwrap(), &file);
        let decoded = self.cluster_policies.iter().map(decode);
        decoded.map(|policy| policy.unwrap_or_else(|found| panic!("{found:#?}"))).collect()
    }

    pub(crate) fn decoded_nodes(&self) -> BTreeMap<String, Node> {
        let node = |value: &Value| {
            let name = value["metadata"]["name"].as_str().unwrap();
            let others = generate::NODES.iter().filter(|(of, _)| *of == name).map(|(_, ip)| (ip, Gateway));
            let status = list(&value["status"], "addresses").iter();
            let status = status.map(|item| (item["address"].as_str().unwrap(), Status));
            let addresses = others.map(|(ip, kind)| (*ip, kind)).chain(status);
            let addresses = addresses.map(|(ip, kind)| (ip.parse().unwrap(), kind));
            let labels = value["metadata"]["labels"].as_object().unwrap().iter();
            let labels = labels.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_string())).collect();
            (name.to_string(), Node { addresses: addresses.collect(), labels, ..Node::default() })
        };
        self.nodes.iter().map(node).collect()
    }

    /// All pods, one of them at one of its addresses, nodes' addresses and addresses outside, for both implementations.
    fn ends(&self, host_network_is_node: bool) -> Vec<(Party<'_>, End)> {
        let address = |text: &str, node: Option<&'static str>| {
            let ip: IpAddr = text.parse().unwrap();
            let is_node = node.map(str::to_string);
            let end = End { pod: None, on_host: false, ips: vec![ip], runs_on: None, is_node, ports: Vec::new() };
            (Party::Address { ip, node }, end)
        };
        let pods = self.pods.iter().map(|pod| {
            let port = |port: &ContainerPort| {
                (port.name.clone().unwrap_or_default(), port.number, port.protocol.name().to_string())
            };
            let end = End {
                pod: (!(pod.host_network && host_network_is_node))
                    .then(|| (pod.namespace.clone(), pod.name.clone(), pod.labels.clone())),
                on_host: pod.host_network,
                ips: pod.addresses.clone(),
                runs_on: pod.node.clone(),
                is_node: pod.node.clone().filter(|_| pod.host_network && host_network_is_node),
                ports: pod.ports.iter().map(port).collect(),
            };
            (Party::pod(pod), end)
        });
        let mut ends: Vec<_> = pods.collect();
        if let (Party::Pod { pod, .. }, end) = &ends[0]
            && let Some(&ip) = pod.addresses.last()
        {
            ends.push((Party::Pod { pod, address: Some(ip) }, End { ips: vec![ip], ..end.clone() }));
        }
        let others =
            [("192.168.0.2", Some("n2")), ("fd00::1:1", Some("n1")), ("::ffff:10.0.2.9", None), ("fd00::99", None)];
        ends.extend(others.map(|(text, node)| address(text, node)));
        ends
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn evaluator_agrees(
        cluster in cluster(),
        ip_block_matches_pods in any::<bool>(),
        host_network_is_node in proptest::bool::weighted(0.7),
        finished_are_gone in any::<bool>(),
    ) {
        let options = Options { ip_block_matches_pods, host_network_is_node, finished_are_gone };
        let (policies, cluster_policies) = (cluster.decoded(), cluster.decoded_cluster_policies());
        let (nodes, set) = (cluster.decoded_nodes(), PolicySet { network: &policies, cluster: &cluster_policies });
        let evaluator = Evaluator::new(set, &cluster.namespaces).with_nodes(&nodes).with_options(options);
        let ends = cluster.ends(host_network_is_node);
        for (client, from) in &ends {
            for (server, to) in &ends {
                // Nothing selects addresses.
                if matches!((client, server), (Party::Address { .. }, Party::Address { .. })) {
                    continue;
                }
                let set = evaluator.allowed_ports(*client, *server);
                let families = families(from, to);
                for protocol in Protocol::ALL {
                    for port in [0, 80, 81, 82, 443, 444] {
                        let expected = sides(&cluster, &families, (protocol.name(), port), options);
                        let total = worse(expected[0].0, expected[1].0);
                        let verdict = evaluator.verdict(*client, *server, protocol, port);
                        let said = [&verdict.egress, &verdict.ingress].map(found);
                        prop_assert_eq!(said, expected, "{:?} -> {:?}:{}/{}", client, server, port, protocol);
                        prop_assert_eq!(verdict.decision(), total);
                        let allowed = total == Decision::Allowed;
                        prop_assert_eq!(verdict.allowed(), allowed);
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
        extra in generate::policy(),
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
