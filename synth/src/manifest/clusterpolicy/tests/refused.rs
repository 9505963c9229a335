//! What is refused, and in which words.

use super::*;

#[test]
fn a_problem_names_file_line_object_and_path() {
    let text = "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata:\n  name: deny\nspec:\n  \
                tier: admin\n  subject: {}\n  ingress:\n  - action: Deny\n    form: []\n    from:\n    - ipBlock: {}\n";
    let lines: Vec<_> = read(text).unwrap_err().iter().map(Invalid::to_string).collect();
    assert_eq!(
        lines,
        [
            "policies.yaml:6: ClusterNetworkPolicy deny: spec.tier: Unsupported value: \"admin\": supported values: \
             \"Admin\", \"Baseline\"",
            "policies.yaml:6: ClusterNetworkPolicy deny: spec.priority: Required value",
            "policies.yaml:7: ClusterNetworkPolicy deny: spec.subject: Invalid value: 0: spec.subject in body should \
             have at least 1 properties",
            "policies.yaml:10: ClusterNetworkPolicy deny: unknown field \"spec.ingress[0].form\"",
            "policies.yaml:12: ClusterNetworkPolicy deny: unknown field \"spec.ingress[0].from[0].ipBlock\"",
        ]
    );
}

#[test]
fn sections() {
    let cluster = "ClusterNetworkPolicy";
    let admin = "AdminNetworkPolicy";
    let baseline = "BaselineAdminNetworkPolicy";
    let subject = r#""subject": {"namespaces": {}}"#;
    let fields = |fields: &str| format!("{{{fields}, {subject}}}");
    for (kind, spec, expected) in [
        (cluster, "null".to_string(), "spec: Required value"),
        (cluster, fields(r#""priority": 1"#), "spec.tier: Required value"),
        (
            cluster,
            fields(r#""tier": "NetworkPolicy", "priority": 1"#),
            "spec.tier: Unsupported value: \"NetworkPolicy\": supported values: \"Admin\", \"Baseline\"",
        ),
        (cluster, fields(r#""tier": "Admin""#), "spec.priority: Required value"),
        (
            admin,
            fields(r#""priority": 1001"#),
            "spec.priority: Invalid value: 1001: spec.priority in body should be less than or equal to 1000",
        ),
        (
            admin,
            fields(r#""priority": -1"#),
            "spec.priority: Invalid value: -1: spec.priority in body should be greater than or equal to 0",
        ),
        (admin, fields(r#""priority": "1""#), "spec.priority: cannot unmarshal string into a field of type int32"),
        (admin, fields(r#""priority": 1, "tier": "Admin""#), "spec.tier: unknown field \"spec.tier\""),
        (baseline, fields(r#""priority": 1"#), "spec.priority: unknown field \"spec.priority\""),
        (baseline, "{}".to_string(), "spec.subject: Required value"),
        (baseline, "[]".to_string(), "spec: cannot unmarshal array into a field of type object"),
        (
            baseline,
            r#"{"subject": {"namespaces": {}, "pods": {"namespaceSelector": {}, "podSelector": {}}}}"#.to_string(),
            "spec.subject: Too many: 2: must have at most 1 items",
        ),
        (
            baseline,
            r#"{"subject": {"pods": null}}"#.to_string(),
            "spec.subject: Invalid value: 0: spec.subject in body should have at least 1 properties",
        ),
        (
            baseline,
            r#"{"subject": {"namespaceSelector": {}}}"#.to_string(),
            "spec.subject.namespaceSelector: unknown field \"spec.subject.namespaceSelector\"",
        ),
        (
            baseline,
            r#"{"subject": {"pods": {"podSelector": {}}}}"#.to_string(),
            "spec.subject.pods.namespaceSelector: Required value",
        ),
        (
            cluster,
            r#"{"tier": "Admin", "priority": 1, "subject": {"pods": {}}}"#.to_string(),
            "spec.subject.pods.podSelector: Required value",
        ),
        (
            baseline,
            r#"{"subject": {"namespaces": {"matchLabels": {"a b": "c"}}}}"#.to_string(),
            "spec.subject.namespaces.matchLabels: Invalid value: \"a b\": name part must consist of",
        ),
        (
            cluster,
            fields(r#""tier": "Admin", "priority": 1, "ingress": {}"#),
            "spec.ingress: cannot unmarshal object into a field of type array",
        ),
    ] {
        let found = wrong(with_spec(kind, &spec));
        // The server stops at what it cannot unmarshal; here the rest is read even so.
        assert!(found[0].starts_with(expected), "{kind} {spec}\n  expected {expected}\n  found {found:#?}");
    }
}

#[test]
fn rules() {
    let long = "é".repeat(101);
    for (rule, expected) in [
        (r#"{"from": [{"namespaces": {}}]}"#.to_string(), "action: Required value"),
        (
            r#"{"action": "Allow", "from": [{"namespaces": {}}]}"#.to_string(),
            "action: Unsupported value: \"Allow\": supported values: \"Accept\", \"Deny\", \"Pass\"",
        ),
        (
            format!(r#"{{"name": "{long}", "action": "Deny", "from": [{{"namespaces": {{}}}}]}}"#),
            "name: Too long: may not be more than 100 characters",
        ),
        (r#"{"action": "Deny"}"#.to_string(), "from: Required value"),
        (
            r#"{"action": "Deny", "from": []}"#.to_string(),
            "from: Invalid value: 0: spec.ingress[0].from in body should have at least 1 items",
        ),
        (
            format!(r#"{{"action": "Deny", "from": [{}]}}"#, vec![r#"{"namespaces": {}}"#; 26].join(", ")),
            "from: Too many: 26: must have at most 25 items",
        ),
        (
            r#"{"action": "Deny", "from": [{"namespaces": {}}], "ports": []}"#.to_string(),
            "ports: unknown field \"spec.ingress[0].ports\"",
        ),
        (
            r#"{"action": "Deny", "from": [{"namespaces": {}}], "protocols": []}"#.to_string(),
            "protocols: Invalid value: 0: spec.ingress[0].protocols in body should have at least 1 items",
        ),
        (
            r#"{"action": "Deny", "from": [{"networks": ["10.0.0.0/8"]}]}"#.to_string(),
            "from[0].networks: unknown field \"spec.ingress[0].from[0].networks\"",
        ),
        (
            r#"{"action": "Deny", "from": [{}]}"#.to_string(),
            "from[0]: Invalid value: 0: spec.ingress[0].from[0] in body should have at least 1 properties",
        ),
        (
            r#"{"action": "Deny", "from": [null]}"#.to_string(),
            "from[0]: unknown object type \"nil\" in spec.ingress[0].from[0]",
        ),
        (
            r#"{"action": "Deny", "from": [{"namespaces": {"labelSelector": {}}}]}"#.to_string(),
            "from[0].namespaces.labelSelector: unknown field \"spec.ingress[0].from[0].namespaces.labelSelector\"",
        ),
    ] {
        let kind = "ClusterNetworkPolicy";
        let found = wrong(with_spec(kind, &spec(kind, &format!(r#""ingress": [{rule}]"#))));
        assert_eq!(found, [format!("spec.ingress[0].{expected}")], "{rule}");
    }
    for (kind, most) in [("ClusterNetworkPolicy", 25), ("AdminNetworkPolicy", 100), ("BaselineAdminNetworkPolicy", 100)]
    {
        let rules = |count| vec![r#"{"action": "Deny", "from": [{"namespaces": {}}]}"#; count].join(", ");
        let read = |count| with_spec(kind, &spec(kind, &format!(r#""ingress": [{}]"#, rules(count))));
        assert!(read(most).is_ok());
        let expected = format!("spec.ingress: Too many: {}: must have at most {most} items", most + 1);
        assert_eq!(wrong(read(most + 1)), [expected]);
    }
    let kind = "BaselineAdminNetworkPolicy";
    assert_eq!(
        wrong(with_spec(kind, &spec(kind, r#""ingress": [{"action": "Pass", "from": [{"namespaces": {}}]}]"#))),
        ["spec.ingress[0].action: Unsupported value: \"Pass\": supported values: \"Allow\", \"Deny\""]
    );
}

#[test]
fn peers() {
    let many: Vec<_> = (0..26).map(|byte| format!("\"10.{byte}.0.0/16\"")).collect();
    let many = format!(r#"{{"networks": [{}]}}"#, many.join(", "));
    for (action, peer, expected) in [
        ("Accept", r#"{"namespaces": {}, "nodes": {}}"#, ": Too many: 2: must have at most 1 items"),
        ("Accept", r#"{"pods": {"namespaceSelector": {}}}"#, ".pods.podSelector: Required value"),
        (
            "Accept",
            r#"{"networks": []}"#,
            ".networks: Invalid value: 0: spec.egress[0].to[0].networks in body should have at least 1 items",
        ),
        ("Accept", &many, ".networks: Too many: 26: must have at most 25 items"),
        ("Accept", r#"{"networks": "10.0.0.0/8"}"#, ".networks: cannot unmarshal string into a field of type array"),
        (
            "Accept",
            r#"{"networks": ["10.0.0.1"]}"#,
            ".networks[0]: Invalid value: \"10.0.0.1\": Invalid CIDR format provided",
        ),
        (
            "Accept",
            r#"{"networks": ["010.0.0.0/8"]}"#,
            ".networks[0]: Invalid value: \"010.0.0.0/8\": Invalid CIDR format provided",
        ),
        (
            "Accept",
            r#"{"networks": ["::ffff:10.0.0.0/104"]}"#,
            ".networks[0]: Invalid value: \"::ffff:10.0.0.0/104\": Invalid CIDR format provided",
        ),
        ("Accept", r#"{"networks": ["10.0.0.0/8", "10.0.0.0/8"]}"#, ".networks[1]: Duplicate value: \"10.0.0.0/8\""),
        (
            "Deny",
            r#"{"domainNames": ["example.com"]}"#,
            ".domainNames: Forbidden: domainNames is only supported for Accept rules",
        ),
        (
            "Accept",
            r#"{"domainNames": []}"#,
            ".domainNames: Invalid value: 0: spec.egress[0].to[0].domainNames in body should have at least 1 items",
        ),
    ] {
        let rules = format!(r#""egress": [{{"action": "{action}", "to": [{peer}]}}]"#);
        let found = wrong(with_spec("ClusterNetworkPolicy", &spec("ClusterNetworkPolicy", &rules)));
        assert_eq!(found, [format!("spec.egress[0].to[0]{expected}")], "{peer}");
    }
    for name in
        ["com", "*.com", "*", "a.*.com", "*example.com", "-a.com", "a-.com", "_a.com", "a..com", ".com", "a b.com"]
    {
        let rules = format!(r#""egress": [{{"action": "Accept", "to": [{{"domainNames": ["{name}"]}}]}}]"#);
        let found = wrong(with_spec("ClusterNetworkPolicy", &spec("ClusterNetworkPolicy", &rules)));
        let path = "spec.egress[0].to[0].domainNames[0]";
        assert_eq!(found.len(), 1, "{name}");
        assert!(found[0].starts_with(&format!("{path}: Invalid value: {name:?}: {path} in body should match '^(")));
    }
    let rules = |peer: &str| format!(r#""egress": [{{"action": "Deny", "to": [{peer}]}}]"#);
    let domains = rules(r#"{"domainNames": ["example.com"]}"#);
    assert_eq!(
        wrong(with_spec("AdminNetworkPolicy", &spec("AdminNetworkPolicy", &domains))),
        ["spec.egress[0].to[0].domainNames: Forbidden: domainNames is only supported for Allow rules"]
    );
    assert_eq!(
        wrong(with_spec("BaselineAdminNetworkPolicy", &spec("BaselineAdminNetworkPolicy", &domains))),
        ["spec.egress[0].to[0].domainNames: unknown field \"spec.egress[0].to[0].domainNames\""]
    );
}

#[test]
fn ports() {
    for (kind, port, expected) in [
        ("ClusterNetworkPolicy", "{}", ": Invalid value: 0: PATH in body should have at least 1 properties"),
        ("ClusterNetworkPolicy", r#"{"icmp": {}}"#, ".icmp: unknown field \"PATH.icmp\""),
        (
            "ClusterNetworkPolicy",
            r#"{"tcp": {"destinationPort": {"number": 80}}, "destinationNamedPort": "web"}"#,
            ": Too many: 2: must have at most 1 items",
        ),
        (
            "ClusterNetworkPolicy",
            r#"{"tcp": {}}"#,
            ".tcp: Invalid value: 0: PATH.tcp in body should have at least 1 properties",
        ),
        (
            "ClusterNetworkPolicy",
            r#"{"udp": {"destinationPort": {}}}"#,
            ".udp.destinationPort: Invalid value: 0: PATH.udp.destinationPort in body should have at least 1 properties",
        ),
        (
            "ClusterNetworkPolicy",
            r#"{"tcp": {"destinationPort": 80}}"#,
            ".tcp.destinationPort: cannot unmarshal number into a field of type object",
        ),
        (
            "ClusterNetworkPolicy",
            r#"{"tcp": {"destinationPort": {"number": 1, "range": {"start": 1, "end": 2}}}}"#,
            ".tcp.destinationPort: Too many: 2: must have at most 1 items",
        ),
        (
            "ClusterNetworkPolicy",
            r#"{"tcp": {"destinationPort": {"number": 0}}}"#,
            ".tcp.destinationPort.number: Invalid value: 0: PATH.tcp.destinationPort.number in body should be greater \
             than or equal to 1",
        ),
        (
            "ClusterNetworkPolicy",
            r#"{"tcp": {"destinationPort": {"range": {"start": 1, "end": 65536}}}}"#,
            ".tcp.destinationPort.range.end: Invalid value: 65536: PATH.tcp.destinationPort.range.end in body should be \
             less than or equal to 65535",
        ),
        (
            "ClusterNetworkPolicy",
            r#"{"tcp": {"destinationPort": {"range": {"start": 80}}}}"#,
            ".tcp.destinationPort.range.end: Required value",
        ),
        (
            "ClusterNetworkPolicy",
            r#"{"tcp": {"destinationPort": {"range": {"start": 80, "end": 80}}}}"#,
            ".tcp.destinationPort.range: Invalid value: \"object\": Start port must be less than End port",
        ),
        ("ClusterNetworkPolicy", r#"{"destinationNamedPort": ""}"#, ".destinationNamedPort: Required value"),
        (
            "ClusterNetworkPolicy",
            r#"{"destinationNamedPort": 80}"#,
            ".destinationNamedPort: cannot unmarshal number into a field of type string: write it in quotes",
        ),
        ("AdminNetworkPolicy", "{}", ": Invalid value: 0: PATH in body should have at least 1 properties"),
        ("AdminNetworkPolicy", r#"{"portNumber": {}}"#, ".portNumber.port: Required value"),
        (
            "AdminNetworkPolicy",
            r#"{"portNumber": {"protocol": "tcp", "port": 80}}"#,
            ".portNumber.protocol: Unsupported value: \"tcp\": supported values: \"TCP\", \"UDP\", \"SCTP\"",
        ),
        ("AdminNetworkPolicy", r#"{"portRange": {"end": 80}}"#, ".portRange.start: Required value"),
        (
            "AdminNetworkPolicy",
            r#"{"portRange": {"start": 81, "end": 80}}"#,
            ".portRange: Invalid value: \"object\": Start port must be less than End port",
        ),
        (
            "AdminNetworkPolicy",
            r#"{"namedPort": "web", "portNumber": {"port": 1}}"#,
            ": Too many: 2: must have at most 1 items",
        ),
        ("AdminNetworkPolicy", r#"{"port": 80}"#, ".port: unknown field \"PATH.port\""),
    ] {
        let field = if kind == "ClusterNetworkPolicy" { "protocols" } else { "ports" };
        let path = format!("spec.ingress[0].{field}[0]");
        let rules =
            format!(r#""ingress": [{{"action": "Deny", "from": [{{"namespaces": {{}}}}], "{field}": [{port}]}}]"#);
        let expected = format!("{path}{}", expected.replace("PATH", &path));
        assert_eq!(wrong(with_spec(kind, &spec(kind, &rules))), [expected], "{kind}: {port}");
    }
}

#[test]
fn named_ports_of_what_has_none() {
    for (kind, field, port, others) in [
        ("ClusterNetworkPolicy", "protocols", "destinationNamedPort", "networks/nodes/domainNames"),
        ("AdminNetworkPolicy", "ports", "namedPort", "networks/nodes/domainNames"),
        ("BaselineAdminNetworkPolicy", "ports", "namedPort", "networks/nodes"),
    ] {
        for (peer, refused) in [
            (r#"{"nodes": {}}"#, true),
            (r#"{"namespaces": {}}, {"networks": ["10.0.0.0/8"]}"#, true),
            (r#"{"namespaces": {}}"#, false),
        ] {
            let rules =
                format!(r#""egress": [{{"action": "Deny", "to": [{peer}], "{field}": [{{"{port}": "web"}}]}}]"#);
            let words = format!(
                "spec.egress[0]: Invalid value: \"object\": {others} peer cannot be set with namedPorts since there are \
                 no namedPorts for {others}"
            );
            let expected = if refused { vec![words] } else { Vec::new() };
            assert_eq!(wrong(with_spec(kind, &spec(kind, &rules))), expected, "{kind}: {peer}");
        }
    }
}

#[test]
fn versions() {
    let group = "policy.networking.k8s.io";
    for (version, kind, newest) in [
        ("policy.networking.k8s.io/v1alpha1", "ClusterNetworkPolicy", "v1alpha2"),
        ("policy.networking.k8s.io/v1alpha2", "AdminNetworkPolicy", "v1alpha1"),
        ("networking.k8s.io/v1", "BaselineAdminNetworkPolicy", "v1alpha1"),
        ("v1", "ClusterNetworkPolicy", "v1alpha2"),
    ] {
        let text = object(kind, r#"{"name": "default"}"#, &spec(kind, r#""ingress": []"#));
        let (_, rest) = text.split_once(", ").unwrap();
        let expected =
            format!("apiVersion: no matches for kind {kind:?} in version {version:?}: use \"{group}/{newest}\"");
        assert_eq!(wrong(read(&format!(r#"{{"apiVersion": "{version}", {rest}"#))), [expected]);
        let expected = format!("apiVersion: apiVersion not set: use \"{group}/{newest}\"");
        assert_eq!(wrong(read(&format!("{{{rest}"))), [expected]);
    }
    let found = wrong(read("kind: Ingress\nmetadata: {name: a}\n"));
    assert_eq!(found[1], "kind: no ClusterNetworkPolicy but a \"Ingress\"");
}

#[test]
fn names() {
    let words = "Only one baseline admin network policy with metadata.name=\"default\" can be created in the cluster";
    for (kind, metadata, expected) in [
        ("ClusterNetworkPolicy", "{}", "metadata.name: Required value: name or generateName is required".to_string()),
        (
            "BaselineAdminNetworkPolicy",
            r#"{"name": "base"}"#,
            format!("metadata.name: Invalid value: \"base\": {words}"),
        ),
        (
            "BaselineAdminNetworkPolicy",
            r#"{"generateName": "default"}"#,
            format!("metadata.generateName: Invalid value: \"default\": {words}"),
        ),
        (
            "AdminNetworkPolicy",
            r#"{"name": "a", "owner": "b"}"#,
            "metadata.owner: unknown field \"metadata.owner\"".to_string(),
        ),
    ] {
        let text = object(kind, metadata, &spec(kind, r#""ingress": []"#));
        assert_eq!(wrong(read(&text)), [expected], "{kind}: {metadata}");
    }
}
