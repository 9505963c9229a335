use super::*;
use crate::label::{Labels, Requirement};
use crate::manifest::node::parse;

fn read(text: &str) -> Result<Policy, Vec<Invalid>> {
    decode(&parse(text, 1).unwrap(), &Arc::from("policies.yaml"))
}

/// A policy with `spec` as its JSON.
fn with_spec(spec: &str) -> Result<Policy, Vec<Invalid>> {
    let metadata = r#"{"name": "api", "namespace": "shop"}"#;
    read(&format!(
        r#"{{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {metadata}, "spec": {spec}}}"#
    ))
}

/// What is wrong with a policy whose only ingress rule is `rule`, without file and object.
fn wrong(rule: &str) -> Vec<String> {
    match with_spec(&format!(r#"{{"podSelector": {{}}, "ingress": [{rule}]}}"#)) {
        Ok(_) => Vec::new(),
        Err(found) => found.iter().map(|invalid| format!("{}: {}", invalid.path, invalid.message)).collect(),
    }
}

#[test]
fn a_problem_names_file_line_object_and_path() {
    let text = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: api\n  namespace: shop\nspec:\n  \
                podSelector: {}\n  ingres: []\n  ingress:\n  - from:\n    - {}\n    ports:\n    - protocol: tcp\n";
    let found = read(text).unwrap_err();
    let lines: Vec<_> = found.iter().map(Invalid::to_string).collect();
    assert_eq!(
        lines,
        [
            "policies.yaml:8: NetworkPolicy shop/api: unknown field \"spec.ingres\"",
            "policies.yaml:13: NetworkPolicy shop/api: spec.ingress[0].ports[0].protocol: Unsupported value: \"tcp\": \
             supported values: \"TCP\", \"UDP\", \"SCTP\"",
            "policies.yaml:11: NetworkPolicy shop/api: spec.ingress[0].from[0]: Required value: must specify a peer",
        ]
    );
}

#[test]
fn policy_types_decide_what_is_isolated() {
    for (spec, ingress, egress, shows) in [
        (r"{}", Some(0), None, "absent types: ingress"),
        (r#"{"policyTypes": []}"#, Some(0), None, "empty types are absent ones"),
        (r#"{"policyTypes": null, "ingress": null}"#, Some(0), None, "so are null ones"),
        (r#"{"egress": []}"#, Some(0), None, "an empty egress list does not isolate for egress"),
        (r#"{"egress": [{}]}"#, Some(0), Some(1), "an egress rule does, and ingress comes with it"),
        (r#"{"ingress": [{}]}"#, Some(1), None, "one rule that allows everything"),
        (r#"{"policyTypes": ["Egress"], "ingress": [{}]}"#, None, Some(0), "rules of an unlisted direction are idle"),
        (r#"{"policyTypes": ["Ingress"], "egress": [{}]}"#, Some(0), None, "in either direction"),
        (r#"{"policyTypes": ["Egress"]}"#, None, Some(0), "egress without rules denies all of it"),
        (r#"{"policyTypes": ["Ingress", "Ingress"]}"#, Some(0), None, "a type given twice passes"),
        (r#"{"policyTypes": ["Egress", "Ingress"]}"#, Some(0), Some(0), "in any order"),
    ] {
        let policy = with_spec(spec).unwrap_or_else(|found| panic!("{spec}: {found:?}"));
        let counts = (policy.ingress.map(|rules| rules.len()), policy.egress.map(|rules| rules.len()));
        assert_eq!(counts, (ingress, egress), "{spec}: {shows}");
    }
}

#[test]
fn empty_and_absent_mean_what_the_api_says() {
    let tcp = |port| Ports::Any(vec![PolicyPort { protocol: Protocol::Tcp, port }]);
    let range = |from, to| PortRange::new(NonZeroU16::new(from).unwrap(), NonZeroU16::new(to).unwrap()).unwrap();
    let app = || Selector::from_labels(&Labels::from([("app".to_string(), String::new())]));
    let pods = |namespaces, pods| Peers::Any(vec![Peer::Pods { namespaces, pods }]);
    let everywhere = || Namespaces::Matching(Selector::everything());
    for (rule, peers, ports, shows) in [
        (r"{}", Peers::Everyone, Ports::All, "an empty rule allows everything"),
        (r#"{"from": [], "ports": []}"#, Peers::Everyone, Ports::All, "so do empty lists"),
        (r#"{"from": null, "ports": null}"#, Peers::Everyone, Ports::All, "and null"),
        (r#"{"ports": [{}]}"#, Peers::Everyone, tcp(PortMatch::Every), "an empty port is TCP, every port"),
        (
            r#"{"ports": [{"protocol": "UDP"}]}"#,
            Peers::Everyone,
            Ports::Any(vec![PolicyPort { protocol: Protocol::Udp, port: PortMatch::Every }]),
            "a protocol alone is all of its ports",
        ),
        (r#"{"ports": [{"port": 80}]}"#, Peers::Everyone, tcp(PortMatch::Range(range(80, 80))), "a number"),
        (
            r#"{"ports": [{"port": 80, "endPort": 80}]}"#,
            Peers::Everyone,
            tcp(PortMatch::Range(range(80, 80))),
            "an end equal to the port",
        ),
        (
            r#"{"ports": [{"protocol": null, "port": 8000, "endPort": 9000}]}"#,
            Peers::Everyone,
            tcp(PortMatch::Range(range(8000, 9000))),
            "a range",
        ),
        (r#"{"ports": [{"port": "web"}]}"#, Peers::Everyone, tcp(PortMatch::Named("web".into())), "a name"),
        (r#"{"from": [{"podSelector": {}}]}"#, pods(Namespaces::Own, Selector::everything()), Ports::All, "own"),
        (
            r#"{"from": [{"namespaceSelector": {}}]}"#,
            pods(everywhere(), Selector::everything()),
            Ports::All,
            "all pods everywhere",
        ),
        (
            r#"{"from": [{"namespaceSelector": {}, "podSelector": null}]}"#,
            pods(everywhere(), Selector::everything()),
            Ports::All,
            "a null podSelector is as if absent",
        ),
        (
            r#"{"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": ""}}}]}"#,
            pods(everywhere(), app()),
            Ports::All,
            "both in one item, with an empty label value",
        ),
    ] {
        let policy = with_spec(&format!(r#"{{"ingress": [{rule}]}}"#)).unwrap_or_else(|f| panic!("{rule}: {f:?}"));
        let expected = Rule { peers, ports, lines: Lines::default() };
        assert_eq!(policy.without_places().ingress, Some(vec![expected]), "{rule}: {shows}");
    }
}

#[test]
fn refuses_what_the_api_server_refuses() {
    for (rule, expected) in [
        // Ports.
        (
            r#"{"ports": [{"protocol": "tcp"}]}"#,
            r#"ports[0].protocol: Unsupported value: "tcp": supported values: "TCP", "UDP", "SCTP""#,
        ),
        (r#"{"ports": [{"port": 0}]}"#, "ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"),
        (
            r#"{"ports": [{"port": 65536}]}"#,
            "ports[0].port: Invalid value: 65536: must be between 1 and 65535, inclusive",
        ),
        (
            r#"{"ports": [{"port": "80"}]}"#,
            r#"ports[0].port: Invalid value: "80": must contain at least one letter (a-z)"#,
        ),
        (r#"{"ports": [{"port": true}]}"#, "ports[0].port: cannot unmarshal bool into a field of type int32"),
        (r#"{"ports": [{"port": 99999999999}]}"#, "ports[0].port: cannot unmarshal number into a field of type int32"),
        (
            r#"{"ports": [{"endPort": 80}]}"#,
            "ports[0].endPort: Invalid value: 80: may not be specified when `port` is not specified",
        ),
        (
            r#"{"ports": [{"port": "web", "endPort": 80}]}"#,
            "ports[0].endPort: Invalid value: 80: may not be specified when `port` is non-numeric",
        ),
        (
            r#"{"ports": [{"port": 80, "endPort": 79}]}"#,
            "ports[0].endPort: Invalid value: 79: must be greater than or equal to `port`",
        ),
        (
            r#"{"ports": [{"port": 80, "endPort": 70000}]}"#,
            "ports[0].endPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (
            r#"{"ports": [{"port": 80, "endPort": "90"}]}"#,
            "ports[0].endPort: cannot unmarshal string into a field of type int32",
        ),
        // Peers.
        (r#"{"from": [{}]}"#, "from[0]: Required value: must specify a peer"),
        (r#"{"from": [{"podSelector": null}]}"#, "from[0]: Required value: must specify a peer"),
        (
            r#"{"from": [{"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}]}"#,
            "from[0]: Forbidden: may not specify both ipBlock and another peer",
        ),
        (r#"{"from": [{"ipBlock": {}}]}"#, "from[0].ipBlock.cidr: Required value"),
        (r#"{"from": [{"ipBlock": {"cidr": ""}}]}"#, "from[0].ipBlock.cidr: Required value"),
        (
            r#"{"from": [{"ipBlock": {"cidr": "10.0.0.1"}}]}"#,
            "from[0].ipBlock.cidr: Invalid value: \"10.0.0.1\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or \
             2001:db8::/64)",
        ),
        (
            r#"{"from": [{"ipBlock": {"cidr": "1.2.3.4/24"}}]}"#,
            "from[0].ipBlock.cidr: Invalid value: \"1.2.3.4/24\": must not have bits set beyond the prefix length",
        ),
        (
            r#"{"from": [{"ipBlock": {"cidr": "010.0.0.0/8"}}]}"#,
            "from[0].ipBlock.cidr: Invalid value: \"010.0.0.0/8\": must not have leading 0s in IP or prefix length",
        ),
        (
            r#"{"from": [{"ipBlock": {"cidr": "::ffff:10.0.0.0/104"}}]}"#,
            "from[0].ipBlock.cidr: Invalid value: \"::ffff:10.0.0.0/104\": must not have an IPv4-mapped IPv6 address",
        ),
        (
            r#"{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}}]}"#,
            "from[0].ipBlock.except[0]: Invalid value: \"10.0.0.0/8\": must be a strict subset of `cidr`",
        ),
        (
            r#"{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/9"]}}]}"#,
            "from[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/9\": must be a strict subset of `cidr`",
        ),
        (
            r#"{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["2001:db8::/64"]}}]}"#,
            "from[0].ipBlock.except[0]: Invalid value: \"2001:db8::/64\": must be a strict subset of `cidr`",
        ),
        // Selectors.
        (
            r#"{"from": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": []}]}}]}"#,
            "from[0].podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is \
             'In' or 'NotIn'",
        ),
        (
            r#"{"from": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": [""]}]}}]}"#,
            "from[0].podSelector.matchExpressions[0].values: Forbidden: may not be specified when `operator` is \
             'Exists' or 'DoesNotExist'",
        ),
        (
            r#"{"from": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "in", "values": ["b"]}]}}]}"#,
            "from[0].podSelector.matchExpressions[0].operator: Invalid value: \"in\": not a valid selector operator",
        ),
        (
            r#"{"from": [{"podSelector": {"matchExpressions": [{"key": "a"}]}}]}"#,
            "from[0].podSelector.matchExpressions[0].operator: Invalid value: \"\": not a valid selector operator",
        ),
        (
            r#"{"from": [{"podSelector": {"matchLabels": {"app": 1}}}]}"#,
            "from[0].podSelector.matchLabels.app: cannot unmarshal number into a field of type string: write it in \
             quotes",
        ),
        (
            r#"{"from": [{"podSelector": {"matchLabels": {"app": ~}}}]}"#,
            "from[0].podSelector.matchLabels.app: unknown object type \"nil\" in \
             spec.ingress[0].from[0].podSelector.matchLabels.app",
        ),
        (
            r#"{"from": [{"podSelector": {"app": "web"}}]}"#,
            "from[0].podSelector.app: unknown field \"spec.ingress[0].from[0].podSelector.app\"",
        ),
        (
            r#"{"from": [{"matchLabels": {"app": "web"}, "podSelector": {}}]}"#,
            "from[0].matchLabels: unknown field \"spec.ingress[0].from[0].matchLabels\"",
        ),
        // Shapes.
        (r#"{"to": []}"#, "to: unknown field \"spec.ingress[0].to\""),
        (r#"{"from": {"podSelector": {}}}"#, "from: cannot unmarshal object into a field of type array"),
        (r#"{"from": [null]}"#, "from[0]: unknown object type \"nil\" in spec.ingress[0].from[0]"),
        (r#"{"from": ["all"]}"#, "from[0]: cannot unmarshal string into a field of type object"),
    ] {
        let found = wrong(rule);
        let expected = format!("spec.ingress[0].{expected}");
        assert!(found.contains(&expected), "{rule}\n  expected {expected}\n  found {found:#?}");
    }
    assert_eq!(wrong("null"), ["spec.ingress[0]: unknown object type \"nil\" in spec.ingress[0]"]);
    assert_eq!(wrong(r#"{"from": [{"podSelector": {"matchExpressions": [{"operator": "?"}]}}]}"#).len(), 3);
}

#[test]
fn refuses_whole_sections() {
    for (spec, expected) in [
        (r#"{"egress": {}}"#, "spec.egress: cannot unmarshal object into a field of type array"),
        (
            r#"{"policyTypes": ["ingress"]}"#,
            r#"spec.policyTypes[0]: Unsupported value: "ingress": supported values: "Ingress", "Egress""#,
        ),
        (
            r#"{"policyTypes": ["Ingress", "Egress", "Egress"]}"#,
            "spec.policyTypes: Invalid value: [\"Ingress\", \"Egress\", \"Egress\"]: may not specify more than two \
             policyTypes",
        ),
        (
            r#"{"policyTypes": ["Egress"], "ingress": [{"from": [{}]}]}"#,
            "spec.ingress[0].from[0]: Required value: must specify a peer",
        ),
        (r"[]", "spec: cannot unmarshal array into a field of type object"),
    ] {
        let found = with_spec(spec).unwrap_err();
        let found: Vec<_> = found.iter().map(|invalid| format!("{}: {}", invalid.path, invalid.message)).collect();
        assert_eq!(found, [expected], "{spec}");
    }
}

#[test]
fn metadata() {
    let head = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nspec: {podSelector: {}}\n";
    let policy = read(&format!(
        "{head}metadata:\n  name: api\n  creationTimestamp: 2026-11-01T08:00:00Z\n  labels: {{team: a}}\n  uid: 1-2\nstatus: {{}}\n"
    ))
    .unwrap();
    assert_eq!((policy.namespace.as_str(), policy.name.as_str()), ("default", "api"), "no namespace is default");
    assert_eq!(policy.created.map(|time| time.to_string()).as_deref(), Some("2026-11-01T08:00:00Z"));
    assert_eq!(policy.labels.get("team").map(String::as_str), Some("a"));
    assert_eq!((policy.origin.to_string().as_str(), policy.id().as_str()), ("policies.yaml:1", "default/api"));
    assert!(read(&format!("{head}metadata: {{generateName: api-, creationTimestamp: null}}\n")).is_ok());

    for (metadata, path, message) in [
        ("{}", "metadata.name", "Required value: name or generateName is required"),
        ("{name: \"\"}", "metadata.name", "Required value: name or generateName is required"),
        ("{name: 80}", "metadata.name", "cannot unmarshal number into a field of type string: write it in quotes"),
        ("{name: Api}", "metadata.name", "Invalid value: \"Api\": a lowercase RFC 1123 subdomain must consist"),
        ("{name: a, namespace: a.b}", "metadata.namespace", "Invalid value: \"a.b\": must not contain dots"),
        ("{name: a, labels: {on: yes}}", "metadata.labels.true", "cannot unmarshal bool into a field of type string"),
        ("{name: a, labels: {a: \"-\"}}", "metadata.labels", "Invalid value: \"-\": a valid label must be"),
        ("{name: a, annotations: {a/b/c: x}}", "metadata.annotations", "Invalid value: \"a/b/c\": a qualified name"),
        ("{name: a, creationTimestamp: now}", "metadata.creationTimestamp", "Invalid value: \"now\" is not an RFC"),
        ("{name: a, owner: b}", "metadata.owner", "unknown field \"metadata.owner\""),
    ] {
        let found = read(&format!("{head}metadata: {metadata}\n")).unwrap_err();
        assert_eq!(found.len(), 1, "{metadata}: {found:?}");
        assert_eq!(found[0].path, path, "{metadata}");
        assert!(found[0].message.starts_with(message), "{metadata}: {}", found[0].message);
    }
}

#[test]
fn only_the_one_version() {
    for (head, message) in [
        (
            "apiVersion: extensions/v1beta1\nkind: NetworkPolicy",
            "no matches for kind \"NetworkPolicy\" in version \"extensions/v1beta1\", gone since Kubernetes 1.16: use \
             \"networking.k8s.io/v1\"",
        ),
        (
            "apiVersion: v1\nkind: NetworkPolicy",
            "no matches for kind \"NetworkPolicy\" in version \"v1\": use \"networking.k8s.io/v1\"",
        ),
        ("kind: NetworkPolicy", "apiVersion not set: use \"networking.k8s.io/v1\""),
        ("apiVersion: networking.k8s.io/v1", "kind not set"),
        ("apiVersion: networking.k8s.io/v1\nkind: Ingress", "no NetworkPolicy but a \"Ingress\""),
    ] {
        let found = read(&format!("{head}\nmetadata: {{name: a}}\nspec: {{}}\n")).unwrap_err();
        assert_eq!(found.iter().map(|invalid| invalid.message.as_str()).collect::<Vec<_>>(), [message], "{head}");
    }
}

#[test]
fn stored_objects_keep_what_older_servers_accepted() {
    let text = |metadata: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {metadata}\nspec:\n  podSelector:\n    \
             matchExpressions: [{{key: a, operator: In, values: [\"-\"]}}]\n  ingress:\n  - from:\n    - ipBlock: \
             {{cidr: 010.1.2.3/8, except: [\"::ffff:10.1.2.0/120\"]}}\n"
        )
    };
    let policy = read(&text("{name: a, uid: 0b1c}")).unwrap();
    let Some([Rule { peers: Peers::Any(peers), .. }]) = policy.ingress.as_deref() else { panic!("{policy:?}") };
    let except = vec!["10.1.2.0/24".parse().unwrap()];
    assert_eq!(peers[..], [Peer::Block(Block { cidr: "10.0.0.0/8".parse().unwrap(), except })]);
    assert_eq!(policy.subject.requirements().collect::<Vec<_>>(), [&Requirement::equals("a", "-")]);

    let paths: Vec<_> = read(&text("{name: a}")).unwrap_err().into_iter().map(|invalid| invalid.path).collect();
    let block = "spec.ingress[0].from[0].ipBlock";
    let expected =
        ["spec.podSelector.matchExpressions[0].values[0]", &format!("{block}.cidr"), &format!("{block}.except[0]")];
    assert_eq!(paths, expected);
}
