//! Nodes are granted by address.

use super::*;

const NODE_1: &str = "192.168.0.1/32";

fn api(spec: &str) -> String {
    service(
        "shop/api",
        "10.96.0.21",
        &format!("selector: {{app: api}}, ports: [{{port: 80, targetPort: 8080, nodePort: 30080}}], {spec}"),
    )
}

/// A pod of a DaemonSet on a node's own network that declares 9100.
fn daemon(node: u8) -> String {
    format!(
        "{{kind: Pod, metadata: {{name: exporter-{node}, namespace: ops, labels: {{app: exporter}}, ownerReferences: \
         [{{kind: DaemonSet, name: exporter, controller: true}}]}}, spec: {{nodeName: n{node}, hostNetwork: true, \
         containers: [{{ports: [{{containerPort: 9100}}]}}]}}, status: {{podIP: 192.168.0.{node}}}}}"
    )
}

#[test]
fn clients_on_nodes() {
    for (what, more, flows, expected) in [
        ("seen from one node", vec![], vec!["TCP 192.168.0.1:1 > api-2:8080"], "192.168.0.1/32 : 8080/TCP"),
        (
            "seen from two nodes, where nothing says that it runs on more",
            vec![],
            vec!["TCP 192.168.0.1:1 > api-2:8080", "TCP 192.168.0.2:1 > api-1:8080"],
            "192.168.0.1/32, 192.168.0.2/32 : 8080/TCP",
        ),
        (
            "seen from two nodes of a DaemonSet on three",
            vec![daemon(1), daemon(2), daemon(3)],
            vec!["TCP 192.168.0.1:1 > api-2:8080", "TCP 192.168.0.2:1 > api-1:8080"],
            "192.168.0.1/32, 192.168.0.2/32, 192.168.0.3/32 : 8080/TCP",
        ),
        (
            "tunnels and nothing else where tunnels were seen",
            vec![daemon(1), daemon(2), daemon(3)],
            vec!["TCP 10.0.1.0:1 > api-2:8080", "TCP 10.0.2.0:1 > api-1:8080"],
            "10.0.1.0/32, 10.0.2.0/32, 10.0.3.0/32 : 8080/TCP",
        ),
        (
            "ports are extended one by one",
            vec![daemon(1), daemon(2), daemon(3)],
            vec!["TCP 192.168.0.1:1 > api-2:8080", "TCP 192.168.0.2:1 > api-1:8080", "TCP 192.168.0.1:1 > api-2:9"],
            "192.168.0.1/32 : 9/TCP 8080/TCP; 192.168.0.2/32, 192.168.0.3/32 : 8080/TCP",
        ),
        (
            "any node may forward a NodePort",
            vec![api("type: NodePort")],
            vec!["TCP 192.168.0.1:1 > api-2:8080"],
            "192.168.0.1/32, 192.168.0.2/32, 192.168.0.3/32 : 8080/TCP",
        ),
        (
            "not with externalTrafficPolicy: Local",
            vec![api("type: NodePort, externalTrafficPolicy: Local")],
            vec!["TCP 192.168.0.1:1 > api-2:8080"],
            "192.168.0.1/32 : 8080/TCP",
        ),
        (
            "nor to a ClusterIP",
            vec![api("type: ClusterIP")],
            vec!["TCP 192.168.0.1:1 > api-2:8080"],
            "192.168.0.1/32 : 8080/TCP",
        ),
    ] {
        let plan = planned(&flows, &cluster(&more), &Options::default());
        assert_eq!(ingress(&plan, "shop/api").join("; "), expected, "{what}");
    }
}

#[test]
fn servers_on_nodes() {
    let kubernetes =
        service("default/kubernetes", "10.96.0.100", "ports: [{name: https, port: 443, targetPort: 6443}]");
    let endpoints = "{kind: Endpoints, metadata: {name: kubernetes, namespace: default}, subsets: [{addresses: \
                     [{ip: 192.168.0.1}, {ip: 192.168.0.2}, {ip: 'fd01::1'}], ports: [{name: https, port: 6443}]}]}";
    let api_servers = vec![kubernetes, endpoints.to_string()];
    for (what, more, flow, expected) in [
        ("one that runs there", vec![], "TCP web-1:1 > 192.168.0.1:5000", format!("{NODE_1} : 5000/TCP")),
        (
            "the kubelet runs everywhere",
            vec![],
            "TCP web-1:1 > 192.168.0.1:10250",
            format!("{NODE_1}, 192.168.0.2/32, 192.168.0.3/32 : 10250/TCP"),
        ),
        ("but not over UDP", vec![], "UDP web-1:1 > 192.168.0.1:10250", format!("{NODE_1} : 10250/UDP")),
        (
            "a DaemonSet runs where its pods do",
            vec![daemon(1), daemon(2)],
            "TCP web-1:1 > 192.168.0.1:9100",
            format!("{NODE_1}, 192.168.0.2/32 : 9100/TCP"),
        ),
        ("on its ports", vec![daemon(1), daemon(2)], "TCP web-1:1 > 192.168.0.1:9101", format!("{NODE_1} : 9101/TCP")),
        (
            "all API servers of the family seen",
            api_servers.clone(),
            "TCP web-1:1 > 192.168.0.1:6443",
            format!("{NODE_1}, 192.168.0.2/32 : 6443/TCP"),
        ),
        (
            "whatever address was dialled, and at the pod's port",
            api_servers.clone(),
            "TCP web-1:1 > 10.96.0.100:443",
            format!("{NODE_1}, 192.168.0.2/32 : 6443/TCP"),
        ),
        (
            "another port of the same node is nobody's",
            api_servers,
            "TCP web-1:1 > 192.168.0.1:6444",
            format!("{NODE_1} : 6444/TCP"),
        ),
    ] {
        let plan = planned(&[flow], &cluster(&more), &Options::default());
        assert_eq!(egress(&plan, "shop/web"), [expected], "{what}");
    }
}

#[test]
fn addresses_that_were_not_seen_say_why_they_are_there() {
    let flows = ["TCP 192.168.0.1:1 > api-2:8080", "TCP 192.168.0.2:1 > api-1:8080"];
    let text = text(&planned(&flows, &cluster(&[daemon(1), daemon(2), daemon(3)]), &Options::default()));
    assert!(text.contains("# node:n1\n"), "{text}");
    assert!(
        text.contains("# node:n3, not seen: seen from 2 nodes; ops/DaemonSet/exporter and others run on all 3\n"),
        "{text}"
    );
    let text = super::text(&planned(
        &["TCP web-1:1 > 192.168.0.1:9100"],
        &cluster(&[daemon(1), daemon(2)]),
        &Options::default(),
    ));
    assert!(text.contains("# node:n2, not seen: ops/DaemonSet/exporter runs on these nodes\n"), "{text}");
}

#[test]
fn pods_on_the_host_network_get_no_policy() {
    let plan = planned(&["TCP web-1:1 > 192.168.0.1:9100"], &cluster(&[daemon(1)]), &Options::default());
    assert_eq!(ids(&plan), ["shop/web"]);
    assert!(!names_of(&plan.silent).contains(&"exporter"), "nor are they called silent");
}
