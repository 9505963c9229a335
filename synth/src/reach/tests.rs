use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::endpoint::{NodeAddressKind, Pod};
use crate::evaluate::oracle::{self, Cluster};
use crate::evaluate::{Options, Party};
use crate::inventory::{self, Inventory};
use crate::manifest::Objects;

fn inventory(cluster: &Cluster) -> Inventory {
    let mut inventory = Inventory::default();
    inventory.pods = cluster.pods.clone();
    inventory.namespaces = cluster.namespaces.clone();
    inventory.nodes = cluster.decoded_nodes();
    inventory
}

fn options() -> impl Strategy<Value = Options> {
    any::<[bool; 3]>().prop_map(|[ip_block_matches_pods, host_network_is_node, finished_are_gone]| Options {
        ip_block_matches_pods,
        host_network_is_node,
        finished_are_gone,
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
        options in options(),
    ) {
        let (policies, inventory) = (cluster.decoded(), inventory(&cluster));
        let cluster_policies = cluster.decoded_cluster_policies();
        let set = PolicySet { network: &policies, cluster: &cluster_policies };
        let evaluator = inventory.evaluator(set).with_options(options);
        // Classes made for more policies than are asked are finer, and no less right.
        let half = PolicySet { network: &policies[policies.len() / 2..], cluster: &[] };
        let classes = Classes::new(&inventory, &[half, set], options);
        let reach = Reach::new(&classes, set);
        let ports = || Protocol::ALL.into_iter().flat_map(|protocol| [53, 80, 81, 82, 443, 444].map(|port| (protocol, port)));
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

/// To policies about nodes alone the two addresses of a pod differ as well.
#[test]
fn a_node_is_found_in_one_family() {
    let mut objects = Objects::default();
    objects.load(
        "objects.yaml",
        r#"
{kind: Pod, apiVersion: v1, metadata: {name: agent}, spec: {nodeName: n1, hostNetwork: true},
 status: {podIPs: [{ip: 192.168.0.1}, {ip: "fd00::1"}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: web}, spec: {nodeName: n2}, status: {podIPs: [{ip: 10.0.0.2}, {ip: "fd00::2"}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: web4}, spec: {nodeName: n2}, status: {podIPs: [{ip: 10.0.0.3}]}}
---
{kind: ClusterNetworkPolicy, apiVersion: policy.networking.k8s.io/v1alpha2, metadata: {name: a}, spec: {tier: Admin,
 priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{nodes: {}}]}]}}
"#,
    );
    assert_eq!(objects.problems, []);
    let mut inventory = Inventory::build(&objects, &inventory::Options::default());
    let node = inventory.nodes.get_mut("n1").unwrap();
    node.addresses.insert("fd00::1".parse().unwrap(), NodeAddressKind::Plugin);
    for host_network_is_node in [true, false] {
        let options = Options { host_network_is_node, ..Options::default() };
        let (set, [agent, web, web4]) = (inventory.policy_set(), [PodId(0), PodId(1), PodId(2)]);
        let classes = Classes::new(&inventory, &[set], options);
        let reach = Reach::new(&classes, set);
        let evaluator = inventory.evaluator(set).with_options(options);
        for (client, expected) in [(web, Decision::Allowed), (web4, Decision::Denied)] {
            assert_eq!(reach.decision(client, agent, Protocol::Tcp, 80), expected);
            let [from, to] = [client, agent].map(|pod| Party::pod(inventory.pod(pod)));
            assert_eq!(evaluator.verdict(from, to, Protocol::Tcp, 80).decision(), expected);
        }
    }
}
