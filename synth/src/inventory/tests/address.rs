//! Nodes and ranges: what an address is that no pod holds.

use super::*;

const NODE: &str = "{kind: Node, metadata: {name: n1, annotations: {ANNOTATIONS}}, spec: {podCIDRs: [CIDRS]}, \
                    status: {addresses: [{type: InternalIP, address: 192.168.0.1}, \
                    {type: InternalIP, address: 'fd01::1'}, {type: Hostname, address: n1}]}}";

fn node(annotations: &str, cidrs: &str) -> String {
    NODE.replace("ANNOTATIONS", annotations).replace("CIDRS", cidrs)
}

fn addresses(inventory: &Inventory) -> Vec<String> {
    inventory.nodes["n1"].addresses.iter().map(|(ip, kind)| format!("{ip} {kind:?}")).collect()
}

#[test]
fn a_node_has_many_addresses() {
    for (what, annotations, cidrs, more) in [
        ("both families of its status", "", "", vec![]),
        (
            "tunnel and bridge of its podCIDRs",
            "",
            "10.0.1.0/24, 'fd00:1::/64'",
            vec!["10.0.1.0 Tunnel", "10.0.1.1 Gateway", "fd00:1:: Tunnel", "fd00:1::1 Gateway"],
        ),
        (
            "flannel",
            "flannel.alpha.coreos.com/public-ip: 192.168.9.1, flannel.alpha.coreos.com/public-ipv6: 'fd09::1', \
             flannel.alpha.coreos.com/backend-type: vxlan",
            "",
            vec!["192.168.9.1 Plugin", "fd09::1 Plugin"],
        ),
        (
            "Calico",
            "projectcalico.org/IPv4Address: 192.168.0.1/24, projectcalico.org/IPv4IPIPTunnelAddr: 10.9.0.0, \
             projectcalico.org/IPv4VXLANTunnelAddr: 10.9.0.1, projectcalico.org/IPv6Address: 'fd09::1/64'",
            "",
            vec!["10.9.0.0 Plugin", "10.9.0.1 Plugin", "fd09::1 Plugin"],
        ),
        (
            "Cilium, old and new; its health endpoint is not the node",
            "network.cilium.io/ipv4-cilium-host: 10.9.0.7, io.cilium.network.ipv4-cilium-host: 10.9.0.8, \
             network.cilium.io/ipv4-health-ip: 10.9.0.9",
            "",
            vec!["10.9.0.7 Plugin", "10.9.0.8 Plugin"],
        ),
    ] {
        let inventory = inventory(&[&node(annotations, cidrs)]);
        let mut found = addresses(&inventory);
        let mut expected: Vec<String> = more.into_iter().map(ToString::to_string).collect();
        expected.extend(["192.168.0.1 Status".to_string(), "fd01::1 Status".to_string()]);
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{what}");
        assert!(inventory.nodes["n1"].addresses.keys().all(|ip| inventory.node_name(*ip) == Some("n1")), "{what}");
    }
}

#[test]
fn pods_know_addresses_of_nodes_that_are_not_in_the_dump() {
    let inventory = inventory(&[
        "{kind: Pod, metadata: {name: a}, spec: {nodeName: n1}, \
          status: {podIP: 10.0.0.1, hostIP: 192.168.0.1, hostIPs: [{ip: 192.168.0.1}, {ip: 'fd01::1'}]}}",
        "{kind: Pod, metadata: {name: b}, spec: {nodeName: n2, hostNetwork: true}, status: {podIP: 192.168.0.2}}",
    ]);
    assert_eq!(addresses(&inventory), ["192.168.0.1 Status", "fd01::1 Status"]);
    assert_eq!(inventory.node_name(ip("192.168.0.2")), Some("n2"), "a pod on the host network has its node's address");
}

#[test]
fn pods_on_the_host_network_are_their_node() {
    let inventory = inventory(&["{kind: Pod, metadata: {name: agent}, spec: {nodeName: n1, hostNetwork: true}, \
          status: {podIP: 192.168.0.1, startTime: '2026-11-01T10:00:00Z'}}"]);
    for clock in ["09:00:00", "11:00:00"] {
        assert_eq!(inventory.holder(ip("192.168.0.1"), time(clock)), Holder::Node("n1"), "whenever it ran: {clock}");
    }
    let info = inventory.workloads.values().next().unwrap();
    assert!(info.host_network);
    let names: Vec<&str> = inventory.host_pods("n1").map(|pod| pod.name.as_str()).collect();
    assert_eq!(names, ["agent"]);
    assert!(inventory.pod_ranges.is_empty(), "no pod range lies around a node");
}

#[test]
fn ranges_tell_unresolved_from_external() {
    let pod = |ip: &str| format!("{{kind: Pod, metadata: {{name: a}}, status: {{podIP: '{ip}'}}}}");
    for (what, objects, option, ranges) in [
        ("podCIDRs", vec![node("", "10.0.0.0/24, 'fd00::/64'")], "", "10.0.0.0/24 fd00::/64"),
        ("podCIDR alone", vec![node("", "").replace("podCIDRs: []", "podCIDR: 10.0.0.0/24")], "", "10.0.0.0/24"),
        ("--pod-cidr", vec![node("", "")], "10.7.0.0/16", "10.7.0.0/16"),
        ("a pod inside one needs no other", vec![pod("10.7.1.2")], "10.7.0.0/16", "10.7.0.0/16"),
        ("the /24 around a pod", vec![pod("10.3.4.5")], "", "10.3.4.0/24"),
        ("the /64 around a pod", vec![pod("fd00:1:2:3:4::5")], "", "fd00:1:2:3::/64"),
        ("beside others", vec![node("", "10.0.0.0/24"), pod("10.3.4.5")], "", "10.0.0.0/24 10.3.4.0/24"),
        ("neighbours become one", vec![node("", "10.0.0.0/24"), pod("10.0.1.5")], "", "10.0.0.0/23"),
        ("an IPv4-mapped address", vec![pod("::ffff:10.3.4.5")], "", "10.3.4.0/24"),
    ] {
        let options = Options { pod_ranges: option.split_whitespace().map(|range| range.parse().unwrap()).collect() };
        let inventory = Inventory::build(&read(&[("f", objects)]), &options);
        let found: Vec<String> = inventory.pod_ranges.iter().map(ToString::to_string).collect();
        assert_eq!(found.join(" "), ranges, "{what}");
    }
}

#[test]
fn an_address_is_a_pod_a_node_unresolved_or_external() {
    let inventory = inventory(&[
        &node("", "10.0.0.0/24"),
        "{kind: Pod, metadata: {name: a}, status: {podIP: 10.0.0.5, podIPs: [{ip: 10.0.0.5}, {ip: 'fd00::5'}]}}",
    ]);
    for (address, expected, what) in [
        ("10.0.0.5", "default/Pod/a", "a pod"),
        ("fd00::5", "default/Pod/a", "its other family"),
        ("192.168.0.1", "node:n1", "a node"),
        ("10.0.0.1", "node:n1", "the bridge is the node, although it is in a pod range"),
        ("10.0.0.6", "?10.0.0.6", "a pod nobody knows"),
        ("203.0.113.1", "203.0.113.1", "outside"),
    ] {
        assert_eq!(inventory.endpoint(ip(address), time("10:00:00")).to_string(), expected, "{what}");
    }
}

#[test]
fn strange_addresses_are_said_and_crash_nothing() {
    let inventory =
        inventory(&[&node("", "nonsense, 10.0.0.0/33"), "{kind: Pod, metadata: {name: a}, status: {podIP: nonsense}}"]);
    let said = |text: &str| inventory.warnings.iter().any(|warning| warning.contains(text));
    assert!(said("\"nonsense\" is not an address") && said("has no address yet"), "{:?}", inventory.warnings);
}

#[test]
fn one_annotation_may_hold_both_families() {
    // k3s and the kubelet's --node-ip write them so.
    for key in ["k3s.io/internal-ip", "alpha.kubernetes.io/provided-node-ip"] {
        let inventory = inventory(&[&node(&format!("{key}: '192.168.9.1,fd09::1'"), "")]);
        let found = [ip("192.168.9.1"), ip("fd09::1")].map(|ip| inventory.node_name(ip));
        assert_eq!(found, [Some("n1"); 2], "{key}");
    }
}

#[test]
fn the_last_address_of_all_has_no_next() {
    let inventory = inventory(&[&node("", "255.255.255.255/32, 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128'")]);
    assert_eq!(inventory.node_name(ip("0.0.0.0")), None, "and does not begin anew");
}
