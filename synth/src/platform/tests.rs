//! What is recognized, and which policies ask for more than it can do.

use super::*;
use crate::graph::Graph;
use crate::inventory::Options;
use crate::manifest::Objects;

fn inventory(objects: &[String]) -> Inventory {
    let mut read = Objects::default();
    let documents: Vec<String> = objects.iter().map(|object| format!("---\n{object}\n")).collect();
    read.load("dump.yaml", &documents.concat());
    assert_eq!(read.problems, []);
    Inventory::build(&read, &Options::default())
}

fn daemon(name: &str, containers: &str) -> String {
    format!(
        "{{kind: DaemonSet, metadata: {{name: {name}, namespace: kube-system}}, spec: {{template: {{metadata: {{labels: \
         {{app: {name}}}}}, spec: {{hostNetwork: true, containers: [{containers}]}}}}}}}}"
    )
}

fn node(annotations: &str) -> String {
    format!(
        "{{kind: Node, metadata: {{name: n1, annotations: {{{annotations}}}}}, spec: {{podCIDR: 10.1.0.0/24}}, status: \
         {{addresses: [{{type: InternalIP, address: 192.168.0.1}}]}}}}"
    )
}

/// A pod of namespace shop with labels `app: NAME`.
fn pod(name: &str, annotations: &str, containers: &str) -> String {
    format!(
        "{{kind: Pod, metadata: {{name: {name}, namespace: shop, labels: {{app: {name}}}, annotations: \
         {{{annotations}}}}}, spec: {{nodeName: n1, containers: [{containers}]}}, status: {{podIP: 10.1.0.5}}}}"
    )
}

fn policy(name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: {name}, namespace: shop}}, spec: \
         {{{spec}}}}}"
    )
}

const AGENT: &str = "{name: aws-eks-nodeagent, image: registry.example/amazon/aws-network-policy-agent:v1.2.0, args: \
                     [--enable-network-policy=SWITCH]}";

#[test]
fn plugins_and_whether_they_enforce() {
    let aws = |agent: &str| daemon("aws-node", &format!("{{name: aws-node, image: x/amazon-k8s-cni:v1.19.0}}{agent}"));
    let agent = |switch: &str| format!(", {}", AGENT.replace("SWITCH", switch));
    let kindnet =
        |tag: &str| daemon("kindnet", &format!("{{name: kindnet-cni, image: 'docker.io/kindest/kindnetd:{tag}'}}"));
    let flannel = || daemon("kube-flannel-ds", "{name: kube-flannel, image: ghcr.io/flannel-io/flannel:v0.26.1}");
    let flannel_node = "flannel.alpha.coreos.com/public-ip: 192.168.0.1";
    for (what, objects, names, enforces) in [
        ("nothing to tell", vec![node("")], vec![], None),
        ("flannel alone", vec![flannel()], vec!["flannel"], Some(false)),
        ("flannel by the nodes alone: who knows what runs beside it", vec![node(flannel_node)], vec!["flannel"], None),
        (
            "flannel with a controller of policies",
            vec![flannel(), daemon("kube-network-policies", "{image: x/networking/kube-network-policies:v0.7}")],
            vec!["flannel", "kube-network-policies"],
            Some(true),
        ),
        (
            "Canal is one name",
            vec![daemon("canal", "{image: docker.io/calico/node:v3.28.0}, {image: docker.io/flannel/flannel:v0.24}")],
            vec!["Canal"],
            Some(true),
        ),
        ("Calico", vec![daemon("calico-node", "{image: 'quay.io/calico/node:v3.28.0'}")], vec!["Calico"], Some(true)),
        (
            "another program of the same project",
            vec![daemon("other", "{image: quay.io/calico/typha:v3}")],
            vec![],
            None,
        ),
        ("Cilium by the nodes", vec![node("network.cilium.io/ipv4-cilium-host: 10.1.0.1")], vec!["Cilium"], Some(true)),
        (
            "Dataplane V2 is not called Cilium",
            vec![daemon("anetd", "{image: gke.gcr.io/cilium/cilium:v1.14}")],
            vec!["GKE Dataplane V2"],
            Some(true),
        ),
        ("kindnet of kind 0.23", vec![kindnet("v20240513-cd2ac642")], vec!["kindnet"], Some(false)),
        ("kindnet between the two", vec![kindnet("v20240715-585640e9")], vec!["kindnet"], None),
        ("kindnet of kind 0.24", vec![kindnet("v20240813-c6f155d6")], vec!["kindnet"], Some(true)),
        ("kindnet with numbers", vec![kindnet("v1.2.0")], vec!["kindnet"], Some(false)),
        ("kindnet without a tag that says it", vec![kindnet("stable")], vec!["kindnet"], None),
        ("AWS without its agent", vec![aws("")], vec!["AWS VPC CNI"], Some(false)),
        ("AWS, agent off", vec![aws(&agent("false"))], vec!["AWS VPC CNI"], Some(false)),
        ("AWS, agent on", vec![aws(&agent("true"))], vec!["AWS VPC CNI"], Some(true)),
        ("AWS, images unknown", vec![daemon("aws-node", "{name: aws-node}")], vec!["AWS VPC CNI"], None),
        ("Azure alone", vec![daemon("azure-cns", "{image: x/azure-cns:v1}")], vec!["Azure CNI"], Some(false)),
        (
            "Azure with NPM",
            vec![daemon("azure-cns", "{image: x/azure-cns:v1}"), daemon("azure-npm", "{image: x/azure-npm:v1.5}")],
            vec!["Azure CNI", "Azure NPM"],
            Some(true),
        ),
        (
            "k3s enforces beside its flannel",
            vec![node(&format!("k3s.io/hostname: n1, {flannel_node}"))],
            vec!["flannel", "k3s network policy controller"],
            Some(true),
        ),
        (
            "k3s told not to",
            vec![node("k3s.io/node-args: '[\"server\",\"--disable-network-policy\"]'")],
            vec!["k3s network policy controller"],
            Some(false),
        ),
        (
            "kube-router without its firewall",
            vec![daemon("kube-router", "{image: docker.io/cloudnativelabs/kube-router, args: [--run-firewall=false]}")],
            vec!["kube-router"],
            Some(false),
        ),
        ("Multus says nothing of policies", vec![daemon("kube-multus-ds", "{}")], vec!["Multus"], None),
        (
            "a Deployment of the same name is none",
            vec![
                daemon("cilium", "{}")
                    .replace("DaemonSet", "Deployment")
                    .replace("hostNetwork: true", "hostNetwork: false"),
            ],
            vec![],
            None,
        ),
    ] {
        let platform = Platform::of(&inventory(&objects));
        let found: Vec<&str> = platform.plugins().map(|plugin| plugin.name).collect();
        assert_eq!((found, platform.enforces()), (names, enforces), "{what}");
    }
}

#[test]
fn an_image_is_compared_by_whole_names() {
    assert!(is_image("quay.io/prometheus/prometheus:v2.53.0", &["prometheus"]));
    assert!(
        is_image("prometheus", &["prometheus"]) && is_image("r:5000/prom/prometheus@sha256:0", &["prom/prometheus"])
    );
    assert!(
        !is_image("quay.io/x/kube-prometheus:v1", &["prometheus"]) && !is_image("prometheus/adapter", &["prometheus"])
    );
}

fn found(objects: &[String]) -> Vec<String> {
    let inventory = inventory(objects);
    let platform = Platform::of(&inventory);
    let findings = limits(&platform, inventory.policy_set(), &Graph::default(), &inventory);
    findings
        .into_iter()
        .map(|finding| format!("{} {} {}", finding.component, finding.limit.name(), finding.policies.join(",")))
        .collect()
}

#[test]
fn limits_name_the_policies_that_use_what_is_missing() {
    let cilium = |tag: &str| daemon("cilium", &format!("{{image: 'quay.io/cilium/cilium:{tag}'}}"));
    let everyone = "podSelector: {}";
    let ports = |ports: &str| format!("{everyone}, ingress: [{{ports: [{ports}]}}]");
    let to =
        |cidr: &str| format!("{everyone}, policyTypes: [Egress], egress: [{{to: [{{ipBlock: {{cidr: {cidr}}}}}]}}]");
    let range = ports("{port: 8000, endPort: 8100}");
    for (what, plugin, spec, expected) in [
        ("a range, old", cilium("v1.15.3"), range.clone(), vec!["Cilium end-port shop/p"]),
        ("a range, new", cilium("v1.16.0"), range.clone(), vec![]),
        ("a range, age unknown", cilium("latest"), range.clone(), vec![]),
        ("a range of one port", cilium("v1.15.3"), ports("{port: 80, endPort: 80}"), vec![]),
        ("SCTP", cilium("v1.16.0"), ports("{port: 80, protocol: SCTP}"), vec!["Cilium sctp shop/p"]),
        ("a pod's address", cilium("v1.16.0"), to("10.1.0.5/32"), vec!["Cilium ip-block-pods shop/p"]),
        ("a node's address", cilium("v1.16.0"), to("192.168.0.1/32"), vec!["Cilium ip-block-nodes shop/p"]),
        ("a node's tunnel", cilium("v1.16.0"), to("10.1.0.1/32"), vec!["Cilium ip-block-nodes shop/p"]),
        ("the world", cilium("v1.16.0"), to("0.0.0.0/0"), vec![]),
        ("the world outside", cilium("v1.16.0"), to("203.0.113.0/24"), vec![]),
        (
            "a name",
            daemon("weave-net", "{image: docker.io/weaveworks/weave-kube:2.8.1}"),
            ports("{port: http}"),
            vec!["Weave Net named-port shop/p"],
        ),
        ("nothing that Calico lacks", daemon("calico-node", "{}"), range.clone(), vec![]),
        ("unknown plugin", daemon("other", "{}"), range.clone(), vec![]),
        (
            "what does not enforce has no finer limits",
            daemon("kube-flannel-ds", "{}"),
            range,
            vec!["flannel not-enforced shop/p"],
        ),
    ] {
        assert_eq!(found(&[node(""), pod("web", "", "{}"), plugin, policy("p", &spec)]), expected, "{what}");
    }
    assert_eq!(found(&[node(""), daemon("kube-flannel-ds", "{}")]), [""; 0], "no policy, nothing to enforce");
}

#[test]
fn a_mesh_hides_ports_from_policies() {
    let ambient = "{kind: Namespace, metadata: {name: shop, labels: {istio.io/dataplane-mode: ambient}}}".to_string();
    let web = || pod("web", "", "{name: web}");
    let open = |ports: &str| {
        policy("p", &format!("podSelector: {{}}, ingress: [{{from: [{{podSelector: {{}}}}], ports: [{ports}]}}]"))
    };
    let sidecar = || pod("web", "", "{name: web}, {name: linkerd-proxy}");
    for (what, objects, expected) in [
        (
            "the real port alone",
            vec![ambient.clone(), web(), open("{port: 80}")],
            vec!["Istio ambient tunnel-denied shop/p"],
        ),
        ("with the tunnel", vec![ambient.clone(), web(), open("{port: 80}, {port: 15008}")], vec![]),
        ("nothing let in", vec![ambient.clone(), web(), policy("p", "podSelector: {}")], vec![]),
        (
            "kept out of the mesh",
            vec![ambient, web().replace("app: web", "app: web, istio.io/dataplane-mode: none"), open("{port: 80}")],
            vec![],
        ),
        ("a sidecar of Linkerd", vec![sidecar(), open("{port: 80}")], vec!["Linkerd tunnel-denied shop/p"]),
        ("a sidecar of Istio keeps the port", vec![pod("web", "", "{name: istio-proxy}"), open("{port: 80}")], vec![]),
        (
            "a port inside of the pod",
            vec![pod("web", "", "{name: istio-proxy}"), open("{port: 80}, {port: 15006}")],
            vec!["Istio inside-port shop/p"],
        ),
        ("no mesh", vec![web(), open("{port: 80}, {port: 15006}")], vec![]),
    ] {
        assert_eq!(found(&objects), expected, "{what}");
    }
}

#[test]
fn every_row_of_the_table_can_be_found_and_has_a_source() {
    for plugin in PLUGINS {
        assert!(!plugin.source.is_empty() && plugin.limits.iter().all(|lack| !lack.source.is_empty()));
        let written: Vec<String> = plugin
            .daemons
            .iter()
            .map(|name| daemon(name, "{}"))
            .chain(plugin.images.iter().map(|image| daemon("d", &format!("{{image: 'registry.example/{image}:v1'}}"))))
            .chain(plugin.annotations.iter().map(|start| node(&format!("{start}x: value"))))
            .collect();
        assert!(!written.is_empty());
        for object in written {
            let platform = Platform::of(&inventory(std::slice::from_ref(&object)));
            assert!(platform.plugins().any(|known| known.name == plugin.name), "{}: {object}", plugin.name);
        }
        for name in plugin.covers {
            assert!(PLUGINS.iter().any(|other| other.name == *name), "{name}");
        }
    }
    assert!(PLUGINS.is_sorted_by_key(|plugin| plugin.name) && MESHES.is_sorted_by_key(|mesh| mesh.name));
    for mesh in MESHES {
        for name in mesh.workloads {
            let platform = Platform::of(&inventory(&[daemon(name, "{}")]));
            assert!(platform.components.iter().any(|known| known.name == mesh.name), "{name}");
        }
    }
}
