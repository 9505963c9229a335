//! Which pods stand behind a dialled address and port.

use capture::Protocol::{Tcp, Udp};

use super::*;

const NODES: [&str; 2] = [
    "{kind: Node, metadata: {name: n1}, status: {addresses: [{address: 192.168.0.1}, {address: 'fd01::1'}]}}",
    "{kind: Node, metadata: {name: n2}, status: {addresses: [{address: 192.168.0.2}]}}",
];

/// Two pods of one Service that call their port `http` by different numbers, and one of another application.
const PODS: [&str; 3] = [
    "{kind: Pod, metadata: {name: web-1, namespace: shop, labels: {app: web}}, spec: {containers: [{ports: \
      [{name: http, containerPort: 8080}]}]}, status: {podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]}}",
    "{kind: Pod, metadata: {name: web-2, namespace: shop, labels: {app: web}}, spec: {containers: [{ports: \
      [{name: http, containerPort: 9090}]}]}, status: {podIP: 10.0.0.2}}",
    "{kind: Pod, metadata: {name: db, namespace: shop, labels: {app: db}}, status: {podIP: 10.0.0.3}}",
];

fn service(spec: &str) -> String {
    format!(
        "{{kind: Service, metadata: {{name: s, namespace: shop}}, spec: {{{spec}}}, status: {{loadBalancer: {{ingress: [{{ip: 203.0.113.9}}]}}}}}}"
    )
}

fn built(more: &[&str]) -> Inventory {
    let objects: Vec<&str> = NODES.iter().chain(&PODS).chain(more).copied().collect();
    inventory(&objects)
}

/// `service backends` behind an address and port at noon.
fn behind(inventory: &Inventory, address: &str, protocol: capture::Protocol, port: u16) -> String {
    let Some(frontend) = inventory.frontend(ip(address), protocol, port) else { return "nothing".to_string() };
    let backends: Vec<String> = inventory
        .backends(frontend, ip(address).is_ipv4(), time("12:00:00"))
        .iter()
        .map(|backend| format!("{}:{}", backend.ip, backend.port))
        .collect();
    format!("{} {}", inventory.frontend_name(frontend), backends.join(" "))
}

#[test]
fn every_address_of_a_service_leads_to_its_pods() {
    let spec = "type: LoadBalancer, clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, 'fd96::1'], \
                externalIPs: [198.51.100.7], selector: {app: web}, \
                ports: [{name: a, port: 80, targetPort: 8080, nodePort: 30080}, \
                        {name: u, port: 80, targetPort: 53, protocol: UDP}, {name: same, port: 7000}, \
                        {name: zero, port: 7001, targetPort: 0}, {name: named, port: 8000, targetPort: http}]";
    let inventory = built(&[&service(spec)]);
    for (address, protocol, port, expected, what) in [
        ("10.96.0.1", Tcp, 80, "shop/s:80 10.0.0.1:8080 10.0.0.2:8080", "the cluster address"),
        ("fd96::1", Tcp, 80, "shop/s:80 fd00::1:8080", "of the other family, backends of that family"),
        ("198.51.100.7", Tcp, 80, "shop/s:80 10.0.0.1:8080 10.0.0.2:8080", "an external address"),
        ("203.0.113.9", Tcp, 80, "shop/s:80 10.0.0.1:8080 10.0.0.2:8080", "the load balancer's"),
        ("192.168.0.1", Tcp, 30080, "shop/s:80 10.0.0.1:8080 10.0.0.2:8080", "nodePort"),
        ("192.168.0.2", Tcp, 30080, "shop/s:80 10.0.0.1:8080 10.0.0.2:8080", "on every node"),
        ("fd01::1", Tcp, 30080, "shop/s:80 fd00::1:8080", "and in both families"),
        ("192.168.0.1", Tcp, 80, "nothing", "the port is not the nodePort"),
        ("10.96.0.1", Tcp, 30080, "nothing", "nor the nodePort the port"),
        ("10.96.0.1", Udp, 80, "shop/s:80 10.0.0.1:53 10.0.0.2:53", "the protocol counts"),
        ("10.96.0.1", Tcp, 7000, "shop/s:7000 10.0.0.1:7000 10.0.0.2:7000", "no targetPort"),
        ("10.96.0.1", Tcp, 7001, "shop/s:7001 10.0.0.1:7001 10.0.0.2:7001", "targetPort 0 is none"),
        ("10.96.0.1", Tcp, 8000, "shop/s:8000 10.0.0.1:8080 10.0.0.2:9090", "a name is looked up on each pod"),
    ] {
        assert_eq!(behind(&inventory, address, protocol, port), expected, "{what}");
    }
    let service = &inventory.services[0];
    assert!(service.public && service.hides_source);
}

#[test]
fn endpoints_say_who_serves() {
    let slice = |endpoints: &str, ports: &str| {
        format!(
            "{{kind: EndpointSlice, metadata: {{name: s-1, namespace: shop, labels: {{kubernetes.io/service-name: s}}}}, endpoints: [{endpoints}], ports: [{ports}]}}"
        )
    };
    let endpoint = |ip: &str, conditions: &str| format!("{{addresses: [{ip}], conditions: {{{conditions}}}}}");
    let ready = |ip: &str| endpoint(ip, "ready: true");
    let objects = "{kind: Endpoints, metadata: {name: s, namespace: shop}, \
                    subsets: [{addresses: [{ip: 203.0.113.5}], ports: [{name: p, port: 5432}]}]}";
    let selected = "clusterIP: 10.96.0.1, selector: {app: web}, ports: [{name: p, port: 80, targetPort: 8080}]";
    let free = "clusterIP: 10.96.0.1, ports: [{name: p, port: 80, targetPort: 1}]";
    let number = "{name: p, port: 8080}";
    for (what, spec, more, expected) in [
        ("all pods that the selector matches", selected, vec![], "shop/s:80 10.0.0.1:8080 10.0.0.2:8080"),
        (
            "not those that are not ready",
            selected,
            vec![slice(&[ready("10.0.0.1"), endpoint("10.0.0.2", "ready: false")].join(", "), number)],
            "shop/s:80 10.0.0.1:8080",
        ),
        (
            "nor those that the controller left out",
            selected,
            vec![slice(&ready("10.0.0.2"), number)],
            "shop/s:80 10.0.0.2:8080",
        ),
        (
            "one that is going but still serves",
            selected,
            vec![slice(&endpoint("10.0.0.1", "ready: false, serving: true, terminating: true"), number)],
            "shop/s:80 10.0.0.1:8080",
        ),
        ("no word is ready", selected, vec![slice(&endpoint("10.0.0.1", ""), number)], "shop/s:80 10.0.0.1:8080"),
        (
            "without a selector the endpoints' addresses and ports count",
            free,
            vec![slice(&ready("203.0.113.5"), "{name: p, port: 5432}")],
            "shop/s:80 203.0.113.5:5432",
        ),
        (
            "of the port with that name",
            free,
            vec![slice(&ready("203.0.113.5"), "{name: q, port: 1}, {name: p, port: 5432}")],
            "shop/s:80 203.0.113.5:5432",
        ),
        (
            "and that protocol",
            free,
            vec![slice(&ready("203.0.113.5"), "{name: p, port: 1, protocol: UDP}")],
            "shop/s:80 ",
        ),
        ("Endpoints where there is no slice", free, vec![objects.to_string()], "shop/s:80 203.0.113.5:5432"),
        (
            "slices know more than Endpoints",
            free,
            vec![objects.to_string(), slice(&ready("203.0.113.6"), "{name: p, port: 1}")],
            "shop/s:80 203.0.113.6:1",
        ),
        ("nobody", free, vec![], "shop/s:80 "),
    ] {
        let spec = service(spec);
        let objects: Vec<&str> = [spec.as_str()].into_iter().chain(more.iter().map(String::as_str)).collect();
        assert_eq!(behind(&built(&objects), "10.96.0.1", Tcp, 80), expected, "{what}");
    }
}

#[test]
fn backends_are_those_of_the_moment() {
    let pod = |name: &str, address: &str, status: &str| {
        format!(
            "{{kind: Pod, metadata: {{name: {name}, namespace: shop, labels: {{app: job}}}}, status: {{podIP: {address}, {status}}}}}"
        )
    };
    let service = service("clusterIP: 10.96.0.1, selector: {app: job}, ports: [{port: 80}]");
    let inventory = built(&[
        &service,
        &pod(
            "morning",
            "10.0.0.7",
            "startTime: '2026-11-01T08:00:00Z', phase: Succeeded, containerStatuses: \
              [{state: {terminated: {finishedAt: '2026-11-01T09:00:00Z'}}}]",
        ),
        &pod("noon", "10.0.0.8", "startTime: '2026-11-01T11:00:00Z'"),
        &pod("evening", "10.0.0.9", "startTime: '2026-11-01T18:00:00Z'"),
    ]);
    assert_eq!(behind(&inventory, "10.96.0.1", Tcp, 80), "shop/s:80 10.0.0.8:80");
}

#[test]
fn headless_services_have_no_address() {
    let inventory = built(&["{kind: Service, metadata: {name: h, namespace: shop}, \
          spec: {clusterIP: None, clusterIPs: [None], selector: {app: db}, ports: [{port: 5432}]}}"]);
    let service = &inventory.services[0];
    assert!(service.cluster_ips.is_empty() && !service.public);
    let (id, _) = inventory.pod_ids().find(|(_, pod)| pod.name == "db").unwrap();
    assert_eq!(inventory.services_of(id, Tcp, 5432).count(), 1, "it still declares a port");
    assert_eq!(inventory.services_of(id, Udp, 5432).count(), 0);
}

#[test]
fn the_api_servers_are_the_endpoints_of_default_kubernetes() {
    let endpoints = |namespace: &str| {
        format!(
            "{{kind: Endpoints, metadata: {{name: kubernetes, namespace: {namespace}}}, subsets: \
             [{{addresses: [{{ip: 192.168.0.1}}, {{ip: 192.168.0.2}}], ports: [{{name: https, port: 6443}}]}}]}}"
        )
    };
    let service = |namespace: &str| {
        format!(
            "{{kind: Service, metadata: {{name: kubernetes, namespace: {namespace}}}, spec: {{clusterIP: 10.96.0.1, \
             ports: [{{name: https, port: 443, targetPort: 6443}}]}}}}"
        )
    };
    let inventory = built(&[&endpoints("default"), &service("default")]);
    let found: Vec<(IpAddr, u16)> = inventory.api_servers().into_iter().collect();
    assert_eq!(found, [(ip("192.168.0.1"), 6443), (ip("192.168.0.2"), 6443)]);
    assert_eq!(
        behind(&inventory, "10.96.0.1", Tcp, 443),
        "default/kubernetes:443 192.168.0.1:6443 192.168.0.2:6443",
        "its address leads there"
    );
    assert!(built(&[&endpoints("shop"), &service("shop")]).api_servers().is_empty(), "only that one");
}

#[test]
fn what_hides_the_source_and_what_is_public() {
    for (spec, public, hides, what) in [
        ("type: ClusterIP, clusterIP: 10.96.0.1", true, true, "status has a load balancer"),
        ("type: NodePort", true, true, "NodePort"),
        ("type: LoadBalancer, externalTrafficPolicy: Local", true, false, "Local keeps the source"),
        ("type: LoadBalancer, externalTrafficPolicy: Cluster", true, true, "Cluster does not"),
    ] {
        let inventory = built(&[&service(spec)]);
        let service = &inventory.services[0];
        assert_eq!((service.public, service.hides_source), (public, hides), "{what}");
    }
}

#[test]
fn a_service_that_leads_nowhere_is_a_warning() {
    let inventory = built(&[&service("clusterIP: 10.96.0.1, selector: {app: gone}, ports: [{port: 80}]")]);
    assert!(inventory.warnings.iter().any(|warning| warning.contains("shop/s has no endpoints")));
    assert_eq!(behind(&inventory, "10.96.0.1", Tcp, 80), "shop/s:80 ");
}

#[test]
fn a_cluster_address_is_listed_once() {
    let inventory = built(&[&service("clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, 'fd96::1'], ports: [{port: 80}]")]);
    assert_eq!(inventory.services[0].cluster_ips, [ip("10.96.0.1"), ip("fd96::1")]);
}
