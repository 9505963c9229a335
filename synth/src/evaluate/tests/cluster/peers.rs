//! Who is a subject or a peer of a cluster-wide policy.

use super::*;

#[test]
fn subjects() {
    let of = |subject: &str| {
        let rules = format!("{}, {}", ingress(&[("Deny", PODS, "")]), egress(&[("Deny", PODS, "")]));
        object(
            "ClusterNetworkPolicy",
            "a",
            &format!(r#""tier": "Admin", "priority": 1, "subject": {subject}, {rules}"#),
        )
    };
    check(
        &[],
        &[of(OPS)],
        &[
            ("web", "mon", Tcp, 80, (Allowed, Denied), "pods of namespaces with a label"),
            ("mon", "web", Tcp, 80, (Denied, Allowed), "in both directions"),
            ("web", "db", Tcp, 80, (Allowed, Allowed), "no others"),
        ],
    );
    check(
        &[],
        &[of(r#"{"namespaces": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}"#)],
        &[("web", "mon", Tcp, 80, (Denied, Allowed), "of a namespace known only by its name")],
    );
    check(
        &[],
        &[of(&app("db"))],
        &[
            ("web", "db", Tcp, 80, (Allowed, Denied), "pods with a label"),
            ("db", "db", Tcp, 80, (Allowed, Allowed), "\"A Pod connecting to its own Pod IP is not subject to CNP\""),
            ("mon", "web", Tcp, 80, (Allowed, Allowed), "no others"),
        ],
    );
    let both = OPS.replace(r#"{"namespaces""#, r#"{"namespaceSelector""#);
    let both = both.replacen("}}}", r#"}}, "podSelector": {"matchLabels": {"app": "db"}}}"#, 1);
    check(
        &[],
        &[of(&format!(r#"{{"pods": {both}}}"#))],
        &[("web", "db", Tcp, 80, (Allowed, Allowed), "both selectors have to match")],
    );
    check(
        &[],
        &[of(PODS)],
        &[
            (
                "db",
                "agent",
                Tcp,
                80,
                (Allowed, Allowed),
                "\"host-networked pods are not included in subject selection\"",
            ),
            ("agent", "db", Tcp, 80, (Allowed, Allowed), "nor \"in this type of peer\""),
            ("n1", "203.0.113.9", Tcp, 80, (Allowed, Allowed), "nothing selects addresses"),
        ],
    );
}

#[test]
fn peers_of_ingress_are_pods() {
    check(
        &[],
        &[admin(&ingress(&[("Deny", PODS, "")]))],
        &[
            ("mon", "db", Tcp, 80, (Allowed, Denied), "every pod"),
            ("203.0.113.9", "db", Tcp, 80, (Allowed, Allowed), "no address outside"),
            ("n1", "web", Tcp, 80, (Allowed, Allowed), "not the pod's node"),
            ("n2", "web", Tcp, 80, (Allowed, Allowed), "nor another"),
            ("10.0.0.77", "db", Tcp, 80, (Allowed, Allowed), "nor an address among pods'"),
        ],
    );
    check(
        &[],
        &[admin(&ingress(&[("Deny", &format!("{OPS}, {}", app("web")), "")]))],
        &[
            ("mon", "db", Tcp, 80, (Allowed, Denied), "the first of two"),
            ("web", "db", Tcp, 80, (Allowed, Denied), "or the second"),
            ("db", "web", Tcp, 80, (Allowed, Allowed), "or none"),
        ],
    );
}

#[test]
fn networks() {
    let deny = |nets: &str| admin(&egress(&[("Deny", &format!(r#"{{"networks": [{nets}]}}"#), "")]));
    check(
        &[],
        &[deny(r#""0.0.0.0/0""#)],
        &[
            ("web", "203.0.113.9", Tcp, 80, (Denied, Allowed), "addresses outside"),
            ("web", "::ffff:203.0.113.9", Tcp, 80, (Denied, Allowed), "also written as IPv6"),
            ("web", "2001:db8::1", Tcp, 80, (Allowed, Allowed), "of their family"),
            ("web", "n2", Tcp, 80, (Denied, Allowed), "nodes"),
            ("web", "agent", Tcp, 80, (Denied, Allowed), "pods on a node's network"),
            (
                "web",
                "mon",
                Tcp,
                80,
                (Denied, Allowed),
                "and pods: \"that will deny all IPv4 pod-to-pod traffic as well\"",
            ),
            ("web", "db", Tcp, 80, (Allowed, Allowed), "but not between pods that have IPv6 too"),
        ],
    );
    check(
        &[],
        &[deny(r#""10.9.0.0/16", "10.0.1.0/24""#)],
        &[
            ("web", "10.9.1.1", Tcp, 80, (Denied, Allowed), "the first of two"),
            ("web", "mon", Tcp, 80, (Denied, Allowed), "the second"),
            ("web", "10.8.1.1", Tcp, 80, (Allowed, Allowed), "neither"),
        ],
    );
    check(&[], &[deny(r#""10.0.1.77/24""#)], &[("web", "mon", Tcp, 80, (Denied, Allowed), "host bits say nothing")]);
    check(
        &[],
        &[admin(&egress(&[("Pass", PODS, ""), ("Deny", r#"{"networks": ["0.0.0.0/0"]}"#, "")]))],
        &[
            ("web", "mon", Tcp, 80, (Allowed, Allowed), "\"add a rule that Passes all pod traffic before\""),
            ("web", "203.0.113.9", Tcp, 80, (Denied, Allowed), "it passes nothing else"),
        ],
    );
    let cluster = Cluster::new();
    let denied = cluster_policies(&[deny(r#""0.0.0.0/0""#)]);
    let options = Options { ip_block_matches_pods: false, ..Options::default() };
    let set = PolicySet { network: &[], cluster: &denied };
    let evaluator = Evaluator::new(set, &cluster.namespaces).with_options(options);
    let reached = evaluator.allowed(cluster.party("web"), cluster.party("mon"), Tcp, 80);
    assert!(!reached, "that ipBlock may pass pods over is a matter of NetworkPolicies");
    let at = |address: &str| Party::Pod { pod: &cluster.pods[1], address: Some(address.parse().unwrap()) };
    assert!(!evaluator.allowed(cluster.party("web"), at("10.0.0.2"), Tcp, 80));
    assert!(evaluator.allowed(cluster.party("web"), at("fd00::2"), Tcp, 80), "the connection's own address counts");
}

#[test]
fn nodes_by_their_labels() {
    let deny = |selector: &str| admin(&egress(&[("Deny", &format!(r#"{{"nodes": {selector}}}"#), "")]));
    check(
        &[],
        &[deny(r#"{"matchLabels": {"role": "edge"}}"#)],
        &[
            ("web", "n1", Tcp, 80, (Denied, Allowed), "a node with the label"),
            ("db", "agent", Tcp, 80, (Denied, Allowed), "and the pods on its network"),
            ("web", "n2", Tcp, 80, (Allowed, Allowed), "no other node"),
            ("db", "web", Tcp, 80, (Allowed, Allowed), "and no pod that runs there"),
        ],
    );
    check(
        &[],
        &[deny("{}")],
        &[
            (
                "web",
                "n1",
                Tcp,
                80,
                (Denied, Allowed),
                "\"if present but empty, it selects all Nodes\", the pod's own too",
            ),
            ("web", "n2", Tcp, 80, (Denied, Allowed), "each of them"),
            ("web", "192.168.0.3", Tcp, 80, (Allowed, Allowed), "and no other address"),
            ("web", "tunnel", Tcp, 80, (Allowed, Allowed), "nor one of a node that is not in its status"),
            ("web", "mon", Tcp, 80, (Allowed, Allowed), "nor a pod"),
        ],
    );
}

/// Network plugins differ in what they are to NetworkPolicies, not in what they are to cluster-wide ones.
#[test]
fn pods_on_the_host_network() {
    for host_network_is_node in [true, false] {
        let options = Options { host_network_is_node, ..Options::default() };
        check_with(
            options,
            &[],
            &[admin(&format!("{}, {}", ingress(&[("Deny", PODS, "")]), egress(&[("Deny", PODS, "")])))],
            &[
                ("db", "agent", Tcp, 80, (Allowed, Allowed), "no subject of ingress, no peer of egress"),
                ("agent", "db", Tcp, 80, (Allowed, Allowed), "and the other way round"),
            ],
        );
        check_with(
            options,
            &[],
            &[baseline(&egress(&[("Deny", r#"{"nodes": {"matchLabels": {"role": "edge"}}}"#, "")]))],
            &[("db", "agent", Tcp, 80, (Denied, Allowed), "but the address of a node")],
        );
        let named = format!("{PODS}, {}", r#"{"domainNames": ["example.com"]}"#);
        check_with(
            options,
            &[],
            &[admin(&egress(&[("Accept", &named, ""), ("Deny", r#"{"networks": ["0.0.0.0/0"]}"#, "")]))],
            &[
                ("web", "agent", Tcp, 80, (Unknown, Allowed), "which may have a name"),
                ("web", "mon", Tcp, 80, (Allowed, Allowed), "as pods need not"),
            ],
        );
    }
    let mut cluster = Cluster::new();
    cluster.pods[3].addresses.clear();
    let (denied, nodes) = (cluster_policies(&[admin(&egress(&[("Deny", r#"{"nodes": {}}"#, "")]))]), nodes());
    let evaluator = Evaluator::new(PolicySet { network: &[], cluster: &denied }, &cluster.namespaces);
    let evaluator = evaluator.with_nodes(&nodes);
    assert!(!evaluator.allowed(cluster.party("db"), cluster.party("agent"), Tcp, 80), "before it has the address");
    let at = |address: &str| Party::Pod { pod: &cluster.pods[3], address: Some(address.parse().unwrap()) };
    assert!(!evaluator.allowed(cluster.party("db"), at("192.168.0.1"), Tcp, 80));
    assert!(evaluator.allowed(cluster.party("db"), at(TUNNEL), Tcp, 80), "the connection's own address counts");
}

#[test]
fn domain_names() {
    let name = r#"{"domainNames": ["example.com", "*.example.com"]}"#;
    let everywhere = r#"{"networks": ["0.0.0.0/0", "::/0"]}"#;
    check(
        &[],
        &[admin(&egress(&[("Accept", name, &tcp(443)), ("Deny", everywhere, "")]))],
        &[
            ("web", "203.0.113.9", Tcp, 443, (Unknown, Allowed), "allowed if it has the name, denied if not"),
            ("web", "203.0.113.9", Tcp, 80, (Denied, Allowed), "denied on another port"),
            ("web", "n2", Tcp, 443, (Unknown, Allowed), "a node may have a name"),
        ],
    );
    check(
        &[],
        &[admin(&egress(&[("Accept", name, "")]))],
        &[("web", "203.0.113.9", Tcp, 443, (Allowed, Allowed), "allowed with the name and without it")],
    );
    check(
        &[],
        &[admin(&egress(&[("Deny", everywhere, ""), ("Accept", name, "")]))],
        &[("web", "203.0.113.9", Tcp, 443, (Denied, Allowed), "denied before the name is asked about")],
    );
    check(
        &[],
        &[admin(&egress(&[("Accept", &format!("{name}, {everywhere}"), ""), ("Deny", everywhere, "")]))],
        &[("web", "203.0.113.9", Tcp, 443, (Allowed, Allowed), "certain by another peer")],
    );
    check(
        &[NOTHING],
        &[admin(&egress(&[("Accept", name, "")]))],
        &[
            ("web", "203.0.113.9", Tcp, 443, (Unknown, Allowed), "the NetworkPolicies deny what has not the name"),
            ("web", "db", Tcp, 443, (Denied, Denied), "pods are taken to have no such name"),
        ],
    );
    let passed = admin(&egress(&[("Pass", everywhere, ""), ("Accept", name, "")]));
    check(
        &[NOTHING],
        &[passed],
        &[("web", "203.0.113.9", Tcp, 443, (Denied, Allowed), "passed on before the name is asked about")],
    );
    check(
        &[],
        &[baseline(&egress(&[("Accept", name, ""), ("Deny", everywhere, "")]))],
        &[("web", "203.0.113.9", Tcp, 443, (Unknown, Allowed), "in the Baseline tier the same")],
    );
    for (name, of_pods) in [
        ("mon.ops.svc.cluster.local", Unknown),
        ("*.svc.cluster.local", Unknown),
        ("*.CLUSTER.local.", Unknown),
        ("*.local", Unknown),
        ("10-0-1-1.ops.pod.k8s.example.com", Unknown),
        ("mon.ops.svc", Unknown),
        ("printer.local", Denied),
        ("cluster.local", Denied),
        ("svc1.example.com", Denied),
        ("*.com", Denied),
    ] {
        let peer = format!(r#"{{"domainNames": ["example.com", "{name}"]}}"#);
        let shows = format!("whether a pod may be {name} (NPEP-133)");
        check(
            &[],
            &[stored(&admin(&egress(&[("Accept", &peer, ""), ("Deny", PODS, ""), ("Deny", everywhere, "")])))],
            &[
                ("web", "mon", Tcp, 80, (of_pods, Allowed), &shows),
                ("web", "203.0.113.9", Tcp, 80, (Unknown, Allowed), "an address outside may be, whatever it is"),
            ],
        );
    }
}
