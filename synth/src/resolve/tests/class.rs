//! What edges are for, and what names they have.

use super::*;

#[test]
fn the_first_class_that_fits() {
    assert_rows(&[
        (
            "metadata before everything",
            &["TCP web-1:40000 > 169.254.169.254:80 established", "UDP web-1:40000 > 169.254.169.254:53 answered dns"],
            &[
                "web -> 169.254.169.254:80/TCP established handshake metadata",
                "web -> 169.254.169.254:53/UDP answered first_packet metadata",
            ],
        ),
        (
            "metadata over IPv6",
            &["TCP web-1:40000 > fd00:ec2::254:80 established"],
            &["web -> fd00:ec2::254:80/TCP established handshake metadata"],
        ),
        ("DNS over TCP", &["TCP web-1:40000 > dns-1:53 established"], &["web -> dns:53/TCP established handshake dns"]),
        (
            "DNS on another port, by what was read",
            &["UDP web-1:40000 > db-1:5353 answered dns"],
            &["web -> db:5353/UDP answered first_packet dns"],
        ),
        (
            "DNS through a Service whose pods have another port",
            &["UDP web-1:40000 > svc-dns:53 = db-1:5353 answered"],
            &["web -> db:5353/UDP answered first_packet dns via shop/dns:53"],
        ),
        (
            "NodeLocal DNSCache",
            &["UDP web-1:40000 > 169.254.20.10:53 answered dns"],
            &["web -> 169.254.20.10:53/UDP answered first_packet dns"],
        ),
        (
            "SCTP to 53 is not DNS",
            &["SCTP web-1:4 > db-1:53 established"],
            &["web -> db:53/SCTP established handshake app"],
        ),
        (
            "the API server by its node",
            &["TCP web-1:40000 > n1:6443 established"],
            &["web -> node:n1:6443/TCP established handshake apiserver"],
        ),
        (
            "the API server by its Service",
            &["TCP web-1:40000 > svc-kubernetes:443 established"],
            &["web -> node:n1:6443/TCP established handshake apiserver via default/kubernetes:443"],
        ),
        (
            "another port of its node",
            &["TCP web-1:40000 > n1:10250 established"],
            &["web -> node:n1:10250/TCP established handshake node"],
        ),
        (
            "outside, either way",
            &["TCP web-1:40000 > 203.0.113.1:443 established", "TCP 203.0.113.1:40000 > web-1:80 established"],
            &[
                "web -> 203.0.113.1:443/TCP established handshake external",
                "203.0.113.1 -> web:80/TCP established handshake external",
            ],
        ),
        (
            "a pod nobody knows",
            &["TCP 10.0.1.99:40000 > api-1:8080 established"],
            &["?10.0.1.99 -> api:8080/TCP established handshake app"],
        ),
    ]);
}

#[test]
fn probes_come_from_the_pods_own_node() {
    assert_rows(&[
        (
            "each kubelet probes its own pods",
            &["TCP n1:40000 > web-1:8081 established", "TCP n2:40000 > web-2:8081 established"],
            &[
                "node:n1 -> web:8081/TCP established handshake probe",
                "node:n2 -> web:8081/TCP established handshake probe",
            ],
        ),
        (
            "the bridge is the node",
            &["TCP 10.0.1.1:40000 > web-1:8081 established"],
            &["node:n1 -> web:8081/TCP established handshake probe"],
        ),
        (
            "as is its tunnel",
            &["TCP 10.0.2.0:40000 > web-2:8081 established"],
            &["node:n2 -> web:8081/TCP established handshake probe"],
        ),
        (
            "a refused probe is one",
            &["TCP n1:40000 > web-1:8081 refused"],
            &["node:n1 -> web:8081/TCP refused handshake probe"],
        ),
        (
            "another node's agent uses the port too",
            &["TCP n1:40000 > web-1:8081 established", "TCP n1:40001 > web-2:8081 established"],
            &["node:n1 -> web:8081/TCP established handshake node x2"],
        ),
        (
            "so nobody can say which of them the kubelet is",
            &["TCP n1:40000 > web-1:8081 established", "TCP n2:40001 > web-1:8081 established"],
            &[
                "node:n1 -> web:8081/TCP established handshake node",
                "node:n2 -> web:8081/TCP established handshake node",
            ],
        ),
        (
            "other ports are not touched by it",
            &["TCP n1:40000 > web-1:8081 established", "TCP n2:40001 > web-1:9100 established"],
            &[
                "node:n1 -> web:8081/TCP established handshake probe",
                "node:n2 -> web:9100/TCP established handshake node",
            ],
        ),
    ]);
}

#[test]
fn without_a_cluster_everything_is_external() {
    let flows = ["TCP web-1:40000 > svc-api:80 established", "UDP web-1:5 > 169.254.169.254:53 answered"];
    let flows: Vec<Flow> = flows.iter().map(|line| flow(line)).collect();
    let resolved = resolve(&flows, &Names::default(), &Inventory::default());
    assert_eq!(
        rows(&resolved),
        [
            "10.0.1.11 -> 10.96.0.1:80/TCP established handshake external",
            "10.0.1.11 -> 169.254.169.254:53/UDP answered first_packet metadata",
        ]
    );
}

#[test]
fn names_are_those_the_client_used() {
    let mut names = Names::default();
    let server: IpAddr = "203.0.113.1".parse().unwrap();
    names.insert(server, "A.example", "10.0.1.11".parse().unwrap());
    names.insert(server, "b.example", "10.0.1.2".parse().unwrap());
    let lines = [
        "TCP web-2:40000 > 203.0.113.1:443 established",
        "TCP api-1:40000 > 203.0.113.1:443 established",
        "TCP db-1:40000 > 203.0.113.1:443 established",
        "TCP web-1:40000 > 203.0.113.2:443 established",
    ];
    let flows: Vec<Flow> = lines.iter().map(|line| flow(line)).collect();
    let resolved = resolve(&flows, &names, &cluster());
    let named: Vec<(String, Vec<&str>)> = resolved
        .graph
        .edges()
        .map(|edge| {
            let evidence = &edge.outcomes[&Outcome::Established];
            (edge.key.client.to_string(), evidence.names.iter().map(String::as_str).collect())
        })
        .collect();
    for (client, server_names, what) in [
        ("shop/StatefulSet/api", vec!["b.example"], "its own"),
        ("shop/StatefulSet/db", vec!["a.example", "b.example"], "it asked before the capture: everybody's"),
        ("shop/StatefulSet/web", vec!["a.example"], "another pod of the workload asked"),
        ("shop/StatefulSet/web", vec![], "nobody asked for this address"),
    ] {
        assert!(named.contains(&(client.to_string(), server_names)), "{what}: {named:?}");
    }
}

#[test]
fn dns_at_the_services_own_address_is_remembered() {
    // NodeLocal DNSCache may answer there; only synthesize knows whether it runs.
    let resolved = resolved(&[
        "UDP web-1:40000 > svc-dns:53 answered",
        "UDP db-1:40000 > svc-dns:53 = dns-1:53 answered",
        "UDP api-1:40000 > dns-1:53 answered",
    ]);
    let found: Vec<String> = resolved.dns_frontends.iter().map(|(client, ip)| format!("{client} {ip}")).collect();
    assert_eq!(found, ["shop/StatefulSet/web 10.96.0.10"]);
}

#[test]
fn amazons_resolver_serves_dns_and_nothing_else() {
    let found = rows(&resolved(&["UDP web-1:40000 > 169.254.169.253:53 answered dns"]));
    assert_eq!(found, ["web -> 169.254.169.253:53/UDP answered first_packet dns"]);
}
