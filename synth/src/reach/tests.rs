use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::cluster::{
    Action, ClusterKind, ClusterPeer, ClusterPolicy, ClusterPort, ClusterPorts, ClusterRule, PodPeer,
};
use crate::endpoint::{Node, Pod};
use crate::evaluate::oracle::{self, Cluster};
use crate::evaluate::{Options, Party};
use crate::inventory::Inventory;
use crate::label::{Labels, Requirement, Selector};
use crate::policy::{Origin, PolicyPort, PortMatch};
use crate::port::PortRange;

fn selector() -> impl Strategy<Value = Selector> {
    let requirement = (select(vec!["a", "b"]), select(vec!["", "x", "y"]), 0..4u8).prop_map(|(key, value, how)| {
        let (key, values) = (key.to_string(), [value.to_string()].into());
        match how {
            0 => Requirement::In { key, values },
            1 => Requirement::NotIn { key, values },
            2 => Requirement::Exists { key },
            _ => Requirement::Absent { key },
        }
    });
    vec(requirement, 0..2).prop_map(|requirements| requirements.into_iter().collect())
}

fn pods() -> impl Strategy<Value = PodPeer> {
    (selector(), selector()).prop_map(|(namespaces, pods)| PodPeer { namespaces, pods })
}

fn cluster_rule(egress: bool) -> impl Strategy<Value = ClusterRule> {
    let network = |text: &str| text.parse().unwrap();
    let networks = select(vec![
        vec![network("10.0.1.0/24")],
        vec![network("192.168.0.1/32"), network("fd00::/64")],
        vec![network("0.0.0.0/0")],
    ]);
    let outward = prop_oneof![
        networks.prop_map(ClusterPeer::Networks),
        selector().prop_map(ClusterPeer::Nodes),
        Just(ClusterPeer::DomainNames(vec!["example.com".to_string()])),
        Just(ClusterPeer::Unknown),
    ];
    let peer = prop_oneof![3 => pods().prop_map(ClusterPeer::Pods), u32::from(egress) * 3 => outward];
    let number = select(vec![(Protocol::Tcp, 80, 80), (Protocol::Tcp, 1, 443), (Protocol::Udp, 53, 53)]);
    let port = prop_oneof![
        number.prop_map(|(protocol, from, to): (Protocol, u16, u16)| {
            let range = PortRange::new(from.try_into().unwrap(), to.try_into().unwrap()).unwrap();
            ClusterPort::Number(PolicyPort { protocol, port: PortMatch::Range(range) })
        }),
        select(vec!["p", "q"]).prop_map(|name| ClusterPort::Named(name.to_string())),
    ];
    let ports = prop_oneof![Just(ClusterPorts::All), vec(port, 1..3).prop_map(ClusterPorts::Any)];
    (select(vec![Action::Accept, Action::Deny, Action::Pass]), vec(peer, 1..3), ports).prop_map(
        |(action, mut peers, ports)| {
            // The API takes names in Accept rules only.
            if action != Action::Accept {
                peers.retain(|peer| !matches!(peer, ClusterPeer::DomainNames(_)));
            }
            ClusterRule { name: String::new(), action, peers, ports, line: 0 }
        },
    )
}

pub(crate) fn cluster_policy() -> impl Strategy<Value = ClusterPolicy> {
    let rules = |egress| vec(cluster_rule(egress), 0..3);
    let tier = select(vec![Tier::Admin, Tier::Baseline]);
    (tier, 0..3, select(vec!["c", "d"]), pods(), rules(false), rules(true)).prop_map(
        |(tier, priority, name, subject, ingress, egress)| ClusterPolicy {
            kind: ClusterKind::ClusterNetworkPolicy,
            name: name.to_string(),
            labels: Labels::new(),
            created: None,
            version: 0,
            origin: Origin::default(),
            tier,
            priority,
            subject,
            ingress,
            egress,
        },
    )
}

fn inventory(cluster: &Cluster) -> Inventory {
    let mut inventory = Inventory::default();
    inventory.pods = cluster.pods.clone();
    inventory.namespaces = cluster.namespaces.clone();
    let labelled = |value: &str| Node { labels: Labels::from([("a".into(), value.into())]), ..Node::default() };
    inventory.nodes = BTreeMap::from([("n1".to_string(), labelled("x")), ("n2".to_string(), labelled("y"))]);
    inventory
}

fn options() -> impl Strategy<Value = Options> {
    (any::<bool>(), proptest::bool::weighted(0.7)).prop_map(|(ip_block_matches_pods, host_network_is_node)| Options {
        ip_block_matches_pods,
        host_network_is_node,
        ..Options::default()
    })
}

/// Whether policies have no say between two pods.
fn is_exempt(client: &Pod, server: &Pod, options: Options) -> bool {
    let own_node = options.is_node(client) && client.node.is_some() && client.node == server.node;
    (&client.namespace, &client.name) == (&server.namespace, &server.name) || own_node
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn sets_agree_with_single_verdicts(
        cluster in oracle::cluster(),
        cluster_policies in prop_oneof![1 => Just(Vec::new()), 2 => vec(cluster_policy(), 1..4)],
        options in options(),
    ) {
        let (policies, inventory) = (cluster.decoded(), inventory(&cluster));
        let set = PolicySet { network: &policies, cluster: &cluster_policies };
        let evaluator = inventory.evaluator(set).with_options(options);
        // Classes made for more policies than are asked are finer, and no less right.
        let half = PolicySet { network: &policies[policies.len() / 2..], cluster: &[] };
        let classes = Classes::new(&inventory, &[half, set], options);
        let reach = Reach::new(&classes, set);
        let ports = || Protocol::ALL.into_iter().flat_map(|protocol| [53, 80, 81, 443, 444].map(|port| (protocol, port)));
        let decision = |row: &Row, class: u32, (protocol, port): (Protocol, u16)| {
            let has = |access: &Access| access.ports(class).is_some_and(|ports| ports.contains(protocol, port));
            match (has(&row.allowed), has(&row.unknown)) {
                (true, _) => Decision::Allowed,
                (false, true) => Decision::Unknown,
                (false, false) => Decision::Denied,
            }
        };
        let outside: Vec<IpAddr> =
            ["10.0.2.9", "10.0.1.77", "8.8.8.8", "fd00::99", "2001:db8::1"].map(|ip| ip.parse().unwrap()).to_vec();
        let class_of = |ip: &IpAddr| classes.outside().iter().find(|class| classes.addresses(*class).contains(*ip)).unwrap();
        for (from, client) in inventory.pod_ids() {
            let row = reach.row(classes.of_pod(from).unwrap());
            for (to, server) in inventory.pod_ids() {
                // A port that is not known is in no set; lists of NetworkPolicies may hold it all the same.
                if cluster_policies.is_empty() {
                    let expected = evaluator.verdict(Party::pod(client), Party::pod(server), Protocol::Tcp, 0).decision();
                    prop_assert_eq!(reach.decision(from, to, Protocol::Tcp, 0), expected, "{:?} -> {:?}", client, server);
                }
                for (protocol, port) in ports() {
                    let verdict = evaluator.verdict(Party::pod(client), Party::pod(server), protocol, port);
                    let expected = verdict.decision();
                    prop_assert_eq!(reach.decision(from, to, protocol, port), expected,
                        "{:?} -> {:?} {}/{}", client, server, port, protocol);
                    if !is_exempt(client, server, options) {
                        let found = decision(&row, classes.of_pod(to).unwrap(), (protocol, port));
                        prop_assert_eq!(found, expected, "row: {:?} -> {:?} {}/{}", client, server, port, protocol);
                    }
                }
            }
            for ip in &outside {
                for (protocol, port) in ports() {
                    let expected = evaluator.verdict(Party::pod(client), Party::outside(*ip), protocol, port).decision();
                    prop_assert_eq!(decision(&row, class_of(ip), (protocol, port)), expected, "{:?} -> {}", client, ip);
                    let expected = evaluator.verdict(Party::outside(*ip), Party::pod(client), protocol, port).decision();
                    let inward = reach.row(class_of(ip));
                    let found = decision(&inward, classes.of_pod(from).unwrap(), (protocol, port));
                    prop_assert_eq!(found, expected, "{} -> {:?}", ip, client);
                }
            }
        }
    }
}
