use std::num::NonZeroU16;

use super::*;
use crate::cluster::ClusterPeer;
use crate::label::{Labels, Requirement, Selector};
use crate::manifest::node::parse;
use crate::policy::{PolicyPort, PortMatch};
use crate::port::{PortRange, Protocol};

mod refused;

fn read(text: &str) -> Result<ClusterPolicy, Vec<Invalid>> {
    let read = decode(&parse(text, 1).unwrap(), &Arc::from("policies.yaml"));
    assert_ne!(read, Err(Vec::new()), "{text}: refused without a reason");
    read
}

/// A policy of a kind with `metadata` and `spec` as JSON, in the newest version that there is of it.
fn object(kind: &str, metadata: &str, spec: &str) -> String {
    let version = if kind == "ClusterNetworkPolicy" { "v1alpha2" } else { "v1alpha1" };
    format!(
        r#"{{"apiVersion": "policy.networking.k8s.io/{version}", "kind": "{kind}", "metadata": {metadata}, "spec": {spec}}}"#
    )
}

fn with_spec(kind: &str, spec: &str) -> Result<ClusterPolicy, Vec<Invalid>> {
    read(&object(kind, r#"{"name": "default"}"#, spec))
}

/// The whole `spec` around an ingress and an egress rule list.
fn spec(kind: &str, rules: &str) -> String {
    let place = match kind {
        "ClusterNetworkPolicy" => r#""tier": "Admin", "priority": 5, "#,
        "AdminNetworkPolicy" => r#""priority": 5, "#,
        _ => "",
    };
    format!(r#"{{{place}"subject": {{"namespaces": {{}}}}, {rules}}}"#)
}

/// The only rule of an egress list.
fn egress(kind: &str, rule: &str) -> ClusterRule {
    let read = with_spec(kind, &spec(kind, &format!(r#""egress": [{rule}]"#)));
    let mut policy = read.unwrap_or_else(|found| panic!("{rule}: {found:#?}"));
    policy.egress.pop().unwrap()
}

/// `path: message` of everything that is wrong.
fn wrong(read: Result<ClusterPolicy, Vec<Invalid>>) -> Vec<String> {
    let found = read.err().unwrap_or_default();
    found.iter().map(|invalid| format!("{}: {}", invalid.path, invalid.message)).collect()
}

fn app(value: &str) -> Selector {
    Selector::from_labels(&Labels::from([("app".to_string(), value.to_string())]))
}

fn everything() -> PodPeer {
    PodPeer { namespaces: Selector::everything(), pods: Selector::everything() }
}

fn number(protocol: Protocol, from: u16, to: u16) -> ClusterPort {
    let range = PortRange::new(NonZeroU16::new(from).unwrap(), NonZeroU16::new(to).unwrap()).unwrap();
    ClusterPort::Number(PolicyPort { protocol, port: PortMatch::Range(range) })
}

#[test]
fn a_whole_policy() {
    let text = "# why\napiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata:\n  name: dns\n  \
                labels: {team: a}\n  resourceVersion: '7'\n  creationTimestamp: 2026-11-01T08:00:00Z\nspec:\n  tier: \
                Baseline\n  priority: 1000\n  subject:\n    pods:\n      podSelector: {matchLabels: {app: web}}\n  \
                ingress:\n  - action: Deny\n    from:\n    - namespaces: {}\n  egress:\n  - name: to dns\n    action: \
                Accept\n    to:\n    - namespaces: {}\n    protocols:\n    - udp: {destinationPort: {number: 53}}\n  - \
                action: Pass\n    to: [{networks: [0.0.0.0/0]}]\n";
    let policy = read(text).unwrap();
    assert_eq!(
        policy,
        ClusterPolicy {
            kind: ClusterKind::ClusterNetworkPolicy,
            name: "dns".to_string(),
            labels: Labels::from([("team".to_string(), "a".to_string())]),
            created: Some("2026-11-01T08:00:00Z".parse().unwrap()),
            version: 7,
            origin: Origin { file: Arc::from("policies.yaml"), line: 2 },
            tier: Tier::Baseline,
            priority: 1000,
            subject: PodPeer { namespaces: Selector::everything(), pods: app("web") },
            ingress: vec![ClusterRule {
                name: String::new(),
                action: Action::Deny,
                peers: vec![ClusterPeer::Pods(everything())],
                ports: ClusterPorts::All,
                line: 16,
            }],
            egress: vec![
                ClusterRule {
                    name: "to dns".to_string(),
                    action: Action::Accept,
                    peers: vec![ClusterPeer::Pods(everything())],
                    ports: ClusterPorts::Any(vec![number(Protocol::Udp, 53, 53)]),
                    line: 20,
                },
                ClusterRule {
                    name: String::new(),
                    action: Action::Pass,
                    peers: vec![ClusterPeer::Networks(vec!["0.0.0.0/0".parse().unwrap()])],
                    ports: ClusterPorts::All,
                    line: 26,
                },
            ],
        }
    );
    assert_eq!(policy.id(), "ClusterNetworkPolicy/dns");
}

#[test]
fn subjects() {
    for (subject, namespaces, pods, shows) in [
        (r#"{"namespaces": {}}"#, Selector::everything(), Selector::everything(), "every pod"),
        (
            r#"{"namespaces": {"matchLabels": {"app": "a"}}, "pods": null}"#,
            app("a"),
            Selector::everything(),
            "all pods of some namespaces; null is as if absent",
        ),
        (
            r#"{"pods": {"namespaceSelector": {"matchLabels": {"app": "a"}}, "podSelector": {"matchLabels": {"app": "b"}}}}"#,
            app("a"),
            app("b"),
            "some pods of some namespaces",
        ),
        (r#"{"pods": {"podSelector": {}}}"#, Selector::everything(), Selector::everything(), "any namespace"),
    ] {
        let policy =
            with_spec("ClusterNetworkPolicy", &format!(r#"{{"tier": "Admin", "priority": 0, "subject": {subject}}}"#));
        let policy = policy.unwrap_or_else(|found| panic!("{subject}: {found:#?}"));
        assert_eq!(policy.subject, PodPeer { namespaces, pods }, "{subject}: {shows}");
        assert_eq!((policy.ingress, policy.egress), (Vec::new(), Vec::new()), "rules may be absent");
    }
}

#[test]
fn peers() {
    let networks = |nets: &[&str]| ClusterPeer::Networks(nets.iter().map(|net| net.parse().unwrap()).collect());
    let names = |names: &[&str]| ClusterPeer::DomainNames(names.iter().map(ToString::to_string).collect());
    let zone = Selector::from_iter([Requirement::Exists { key: "zone".to_string() }]);
    for (peer, expected, shows) in [
        (r#"{"namespaces": {}}"#, ClusterPeer::Pods(everything()), "every pod"),
        (
            r#"{"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "b"}}}}"#,
            ClusterPeer::Pods(PodPeer { namespaces: Selector::everything(), pods: app("b") }),
            "pods by their labels",
        ),
        (r#"{"nodes": {}}"#, ClusterPeer::Nodes(Selector::everything()), "every node"),
        (
            r#"{"nodes": {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}}"#,
            ClusterPeer::Nodes(zone),
            "nodes by their labels",
        ),
        (r#"{"networks": ["10.0.0.0/8", "FD00::/8"]}"#, networks(&["10.0.0.0/8", "fd00::/8"]), "both families"),
        (r#"{"networks": ["10.1.2.3/8"]}"#, networks(&["10.0.0.0/8"]), "isCIDR lets host bits pass"),
        (
            r#"{"domainNames": ["example.com", "*.Example.com.", "a_b.x-y.0"]}"#,
            names(&["example.com", "*.Example.com.", "a_b.x-y.0"]),
            "names as they are written",
        ),
    ] {
        for (kind, accept) in [("ClusterNetworkPolicy", "Accept"), ("AdminNetworkPolicy", "Allow")] {
            let rule = egress(kind, &format!(r#"{{"action": "{accept}", "to": [{peer}]}}"#));
            assert_eq!(rule.peers, std::slice::from_ref(&expected), "{kind}: {peer}: {shows}");
        }
    }
}

#[test]
fn ports() {
    use Protocol::{Sctp, Tcp, Udp};
    let named = |name: &str| ClusterPort::Named(name.to_string());
    // The same port as v1alpha2 and as v1alpha1 write it.
    for (protocols, ports, expected, shows) in [
        (
            r#"{"tcp": {"destinationPort": {"number": 80}}}"#,
            r#"{"portNumber": {"protocol": "TCP", "port": 80}}"#,
            number(Tcp, 80, 80),
            "a number",
        ),
        (
            r#"{"tcp": {"destinationPort": {"number": 65535, "range": null}}, "udp": null}"#,
            r#"{"portNumber": {"port": 65535}, "portRange": null}"#,
            number(Tcp, 65535, 65535),
            "TCP unless said otherwise",
        ),
        (
            r#"{"udp": {"destinationPort": {"range": {"start": 1, "end": 65535}}}}"#,
            r#"{"portRange": {"protocol": "UDP", "start": 1, "end": 65535}}"#,
            number(Udp, 1, 65535),
            "a range",
        ),
        (
            r#"{"sctp": {"destinationPort": {"range": {"start": 7, "end": 8}}}}"#,
            r#"{"portRange": {"protocol": "SCTP", "start": 7, "end": 8}}"#,
            number(Sctp, 7, 8),
            "a short one",
        ),
        (r#"{"destinationNamedPort": "web"}"#, r#"{"namedPort": "web"}"#, named("web"), "a name"),
        (r#"{"destinationNamedPort": "80"}"#, r#"{"namedPort": "80"}"#, named("80"), "which may be any text"),
    ] {
        let expected = ClusterPorts::Any(vec![expected]);
        for (kind, field, port) in
            [("ClusterNetworkPolicy", "protocols", protocols), ("AdminNetworkPolicy", "ports", ports)]
        {
            let rule =
                egress(kind, &format!(r#"{{"action": "Deny", "to": [{{"namespaces": {{}}}}], "{field}": [{port}]}}"#));
            assert_eq!(rule.ports, expected, "{kind}: {port}: {shows}");
        }
    }
    let absent = egress("ClusterNetworkPolicy", r#"{"action": "Deny", "to": [{"nodes": {}}], "protocols": null}"#);
    assert_eq!(absent.ports, ClusterPorts::All);
    let one = r#"{"action": "Deny", "to": [{"nodes": {}}], "ports": [{"portRange": {"start": 80, "end": 80}}]}"#;
    let one = egress("BaselineAdminNetworkPolicy", one);
    assert_eq!(one.ports, ClusterPorts::Any(vec![number(Tcp, 80, 80)]), "v1alpha1 has ranges of one port");
}

#[test]
fn the_three_kinds_say_the_same() {
    let pods = r#"{"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "a"}}}}"#;
    let rules = |accept: &str, ports: &str, port: &str| {
        format!(
            r#""subject": {pods},
            "ingress": [{{"name": "in", "action": "{accept}", "from": [{{"namespaces": {{}}}}, {pods}], "{ports}": [{port}]}}],
            "egress": [{{"action": "Deny", "to": [{{"networks": ["10.0.0.0/8"]}}, {{"nodes": {{}}}}, {pods}]}}]"#
        )
    };
    let cluster = rules("Accept", "protocols", r#"{"tcp": {"destinationPort": {"number": 80}}}"#);
    let admin = rules("Allow", "ports", r#"{"portNumber": {"protocol": "TCP", "port": 80}}"#);
    for (tier, priority, kind, expected) in [
        ("Admin", 7, ClusterKind::AdminNetworkPolicy, format!(r#"{{"priority": 7, {admin}}}"#)),
        ("Baseline", 0, ClusterKind::BaselineAdminNetworkPolicy, format!("{{{admin}}}")),
    ] {
        let written = with_spec(kind.name(), &expected).unwrap();
        let same = format!(r#"{{"tier": "{tier}", "priority": {priority}, {cluster}}}"#);
        let same = with_spec("ClusterNetworkPolicy", &same).unwrap();
        assert_eq!(written, ClusterPolicy { kind, ..same });
        assert_eq!((written.ingress[0].action, written.ingress[0].peers.len()), (Action::Accept, 2));
    }
}

#[test]
fn v1beta1_is_v1alpha2_without_host_bits() {
    let text = |net: &str| {
        let rules = format!(r#""egress": [{{"action": "Deny", "to": [{{"networks": ["{net}"]}}]}}]"#);
        let text = object("ClusterNetworkPolicy", r#"{"name": "a"}"#, &spec("ClusterNetworkPolicy", &rules));
        text.replace("v1alpha2", "v1beta1")
    };
    assert!(read(&text("10.0.0.0/8")).is_ok());
    assert_eq!(
        wrong(read(&text("10.0.0.1/8"))),
        ["spec.egress[0].to[0].networks[0]: Invalid value: \"10.0.0.1/8\": Invalid CIDR format provided"]
    );
}

#[test]
fn a_namespace_is_dropped_as_the_server_drops_it() {
    let spec = spec("ClusterNetworkPolicy", r#""ingress": []"#);
    let text = object("ClusterNetworkPolicy", r#"{"name": "a", "namespace": "Shop"}"#, &spec);
    assert_eq!(read(&text).unwrap().id(), "ClusterNetworkPolicy/a");
}

#[test]
fn stored_objects_keep_what_their_server_accepted() {
    let stored = |kind: &str, rules: &str| {
        let text = object(kind, r#"{"name": "default", "uid": "0b1c"}"#, &spec(kind, rules));
        read(&text).unwrap_or_else(|found| panic!("{rules}: {found:#?}"))
    };
    // A peer of a kind that is not known, which an older server prints as an empty one.
    for (direction, peers, expected) in [
        ("ingress", r#""from": [{"serviceAccounts": {}}]"#, vec![ClusterPeer::Unknown]),
        ("ingress", r#""from": [{"networks": ["10.0.0.0/8"]}]"#, vec![ClusterPeer::Unknown]),
        ("egress", r#""to": [{}, {"namespaces": {}}]"#, vec![ClusterPeer::Unknown, ClusterPeer::Pods(everything())]),
        ("egress", r#""to": [{"nodes": null}]"#, vec![ClusterPeer::Unknown]),
    ] {
        let rules = format!(r#""{direction}": [{{"action": "Deny", {peers}}}]"#);
        for kind in ["ClusterNetworkPolicy", "AdminNetworkPolicy"] {
            let policy = stored(kind, &rules);
            let rules = [policy.ingress, policy.egress].concat();
            assert_eq!(rules[0].peers, expected, "{kind}: {peers}");
        }
    }
    let domains = r#""egress": [{"action": "Deny", "to": [{"domainNames": ["example.com"]}]}]"#;
    let [rule] = &stored("BaselineAdminNetworkPolicy", domains).egress[..] else { panic!() };
    assert_eq!(rule.peers, [ClusterPeer::Unknown], "known to the other kinds only");

    // What only later versions refuse.
    let peers = r#"[{"networks": ["::ffff:a00:0/104", "10.0.0.0/8", "10.0.0.0/8"]}, {"namespaces": {}}]"#;
    let rule = format!(r#"{{"action": "Deny", "to": {peers}, "ports": [{{"namedPort": "web"}}]}}"#);
    let policy = stored("AdminNetworkPolicy", &format!(r#""egress": [{rule}]"#));
    let net = "10.0.0.0/8".parse().unwrap();
    assert_eq!(policy.egress[0].peers[0], ClusterPeer::Networks(vec![net, net, net]));
    let many = vec![r#"{"action": "Deny", "from": [{"namespaces": {}}], "protocols": []}"#; 26].join(", ");
    let policy = stored("ClusterNetworkPolicy", &format!(r#""ingress": [{many}]"#));
    assert_eq!((policy.ingress.len(), &policy.ingress[0].ports), (26, &ClusterPorts::All));

    // What leaves open which connections are meant.
    for (rules, expected) in [
        (r#""ingress": [{"action": "Log", "from": [{"namespaces": {}}]}]"#, "spec.ingress[0].action"),
        (r#""ingress": [{"action": "Deny", "from": []}]"#, "spec.ingress[0].from"),
        (r#""ingress": [{"action": "Deny", "from": ["all"]}]"#, "spec.ingress[0].from[0]"),
        (r#""ingress": [{"action": "Deny", "from": [{"namespaces": {}, "x": {}}]}]"#, "spec.ingress[0].from[0].x"),
        (
            r#""ingress": [{"action": "Deny", "from": [{"namespaces": {}}], "protocols": [{"icmp": {}}]}]"#,
            "spec.ingress[0].protocols[0].icmp",
        ),
    ] {
        let kind = "ClusterNetworkPolicy";
        let text = object(kind, r#"{"name": "default", "uid": "0b1c"}"#, &spec(kind, rules));
        let paths: Vec<_> = read(&text).unwrap_err().into_iter().map(|invalid| invalid.path).collect();
        assert_eq!(paths, [expected], "{rules}");
    }
}
