//! Cluster-wide policies, a row or more for each sentence of `apis/v1alpha2/clusternetworkpolicy_types.go`.

mod peers;

use super::*;
use crate::cluster::Action;
use crate::endpoint::NodeAddressKind;
use crate::manifest::clusterpolicy;

use Decision::{Allowed, Denied, Unknown};

/// All pods.
const PODS: &str = r#"{"namespaces": {}}"#;
/// The pods of namespace ops.
const OPS: &str = r#"{"namespaces": {"matchLabels": {"team": "ops"}}}"#;
/// Isolates all pods of namespace shop in both directions and allows nothing.
const NOTHING: &str = r#"{"policyTypes": ["Ingress", "Egress"]}"#;
/// Isolates them and allows everything.
const EVERYTHING: &str = r#"{"policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]}"#;

/// An address of n1 that is not in its status.
const TUNNEL: &str = "10.244.1.0";

/// Pods with a label `app`.
fn app(value: &str) -> String {
    format!(r#"{{"pods": {{"namespaceSelector": {{}}, "podSelector": {{"matchLabels": {{"app": "{value}"}}}}}}}}"#)
}

/// An object of any kind and name; `spec` without its braces.
fn object(kind: &str, name: &str, spec: &str) -> String {
    let version = if kind == "ClusterNetworkPolicy" { "v1alpha2" } else { "v1alpha1" };
    let head = format!(r#""apiVersion": "policy.networking.k8s.io/{version}", "kind": "{kind}""#);
    format!(r#"{{{head}, "metadata": {{"name": "{name}"}}, "spec": {{{spec}}}}}"#)
}

/// The same as a server returns it, where peers may be of a kind that is not known.
fn stored(object: &str) -> String {
    object.replacen(r#""metadata": {"#, r#""metadata": {"uid": "0b1c", "#, 1)
}

/// A ClusterNetworkPolicy of all pods.
fn policy(name: &str, tier: &str, priority: u32, rules: &str) -> String {
    let spec = format!(r#""tier": "{tier}", "priority": {priority}, "subject": {PODS}, {rules}"#);
    object("ClusterNetworkPolicy", name, &spec)
}

fn admin(rules: &str) -> String {
    policy("a", "Admin", 5, rules)
}

fn baseline(rules: &str) -> String {
    policy("b", "Baseline", 5, rules)
}

/// A list of rules of an action, peers, and ports, which may be none.
fn rules(direction: Direction, rules: &[(&str, &str, &str)]) -> String {
    let field = if direction == Direction::Ingress { "from" } else { "to" };
    let rule = |(action, peers, ports): &(&str, &str, &str)| {
        let ports = if ports.is_empty() { String::new() } else { format!(r#", "protocols": [{ports}]"#) };
        format!(r#"{{"action": "{action}", "{field}": [{peers}]{ports}}}"#)
    };
    let rules: Vec<String> = rules.iter().map(rule).collect();
    format!(r#""{}": [{}]"#, direction.name(), rules.join(", "))
}

fn ingress(list: &[(&str, &str, &str)]) -> String {
    rules(Direction::Ingress, list)
}

fn egress(list: &[(&str, &str, &str)]) -> String {
    rules(Direction::Egress, list)
}

fn tcp(port: u16) -> String {
    format!(r#"{{"tcp": {{"destinationPort": {{"number": {port}}}}}}}"#)
}

fn cluster_policies(objects: &[String]) -> Vec<ClusterPolicy> {
    let decode = |text: &String| clusterpolicy::decode(&parse(text, 1).unwrap(), &Arc::from("t"));
    objects.iter().map(|text| decode(text).unwrap_or_else(|found| panic!("{text}: {found:?}"))).collect()
}

/// Node n1, `role: edge`, which has a tunnel too, and n2 without labels.
fn nodes() -> BTreeMap<String, Node> {
    let node = |ip: &str, labels: &[(&str, &str)]| Node {
        addresses: BTreeMap::from([(ip.parse().unwrap(), NodeAddressKind::Status)]),
        labels: labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        ..Node::default()
    };
    let mut n1 = node("192.168.0.1", &[("role", "edge")]);
    n1.addresses.insert(TUNNEL.parse().unwrap(), NodeAddressKind::Tunnel);
    BTreeMap::from([("n1".to_string(), n1), ("n2".to_string(), node("192.168.0.2", &[]))])
}

type Row<'r> = (&'r str, &'r str, Protocol, u16, (Decision, Decision), &'r str);

/// Rows of client, server, protocol, port, what egress and ingress come to, and what that shows.
#[track_caller]
fn check(specs: &[&str], objects: &[String], rows: &[Row]) {
    check_with(Options::default(), specs, objects, rows);
}

#[track_caller]
fn check_with(options: Options, specs: &[&str], objects: &[String], rows: &[Row]) {
    let (cluster, nodes) = (Cluster::new(), nodes());
    let (network, cluster_policies) = (policies(specs), cluster_policies(objects));
    let set = PolicySet { network: &network, cluster: &cluster_policies };
    let evaluator = Evaluator::new(set, &cluster.namespaces).with_nodes(&nodes).with_options(options);
    for &(client, server, protocol, port, expected, shows) in rows {
        let (from, to) = (cluster.party(client), cluster.party(server));
        let verdict = evaluator.verdict(from, to, protocol, port);
        let row = format!("{client} -> {server}:{port}/{protocol} under {specs:?} and {objects:#?}: {shows}");
        assert_eq!((verdict.egress.decision, verdict.ingress.decision), expected, "{row}");
        assert_eq!(evaluator.allowed(from, to, protocol, port), expected == (Allowed, Allowed), "{row}");
        if port > 0 {
            assert_eq!(evaluator.allowed_ports(from, to).contains(protocol, port), verdict.allowed(), "{row}");
        }
    }
}

#[test]
fn tiers() {
    let deny = || ingress(&[("Deny", PODS, "")]);
    let accept = || ingress(&[("Accept", PODS, "")]);
    check(
        &[EVERYTHING],
        &[admin(&deny())],
        &[
            ("web", "db", Tcp, 80, (Allowed, Denied), "the Admin tier is asked before the NetworkPolicies"),
            ("203.0.113.9", "db", Tcp, 80, (Allowed, Allowed), "which decide what it leaves"),
        ],
    );
    check(
        &[NOTHING],
        &[admin(&accept()), baseline(&deny())],
        &[
            ("mon", "db", Tcp, 80, (Allowed, Allowed), "accepted there, no later tier is asked"),
            ("mon", "web", Sctp, 0, (Allowed, Allowed), "not even about a port that is not known"),
        ],
    );
    check(
        &[EVERYTHING],
        &[baseline(&deny())],
        &[
            ("web", "db", Tcp, 80, (Allowed, Allowed), "NetworkPolicies are final for the pods they isolate"),
            ("web", "mon", Tcp, 80, (Allowed, Denied), "the Baseline tier is for all others"),
        ],
    );
    check(
        &[NOTHING],
        &[baseline(&format!("{}, {}", accept(), egress(&[("Accept", PODS, "")])))],
        &[("web", "db", Tcp, 80, (Denied, Denied), "and lifts nothing that they deny")],
    );
    check(
        &[r#"{"policyTypes": ["Egress"], "egress": [{}]}"#],
        &[baseline(&deny())],
        &[
            ("web", "db", Tcp, 80, (Allowed, Denied), "isolated for egress, asked for ingress: directions are apart"),
            ("mon", "db", Tcp, 80, (Allowed, Denied), "whoever connects"),
        ],
    );
    check(
        &[],
        &[admin(&ingress(&[("Deny", OPS, "")])), baseline(&ingress(&[("Deny", &app("web"), "")]))],
        &[
            ("mon", "db", Tcp, 80, (Allowed, Denied), "the first tier"),
            ("web", "db", Tcp, 80, (Allowed, Denied), "the last"),
            ("db", "web", Tcp, 80, (Allowed, Allowed), "what none decides is allowed"),
        ],
    );
}

#[test]
fn order_within_a_tier() {
    let deny = |name, priority| policy(name, "Admin", priority, &ingress(&[("Deny", PODS, "")]));
    let accept = |name, priority| policy(name, "Admin", priority, &ingress(&[("Accept", OPS, "")]));
    let from_ops = |ingress, shows| [("mon", "db", Tcp, 80, (Allowed, ingress), shows)];
    check(&[], &[deny("a", 8), accept("b", 7)], &from_ops(Allowed, "the lower number is asked first"));
    check(&[], &[deny("a", 7), accept("b", 8)], &from_ops(Denied, "and the higher one no more"));
    check(&[], &[deny("a", 10), accept("b", 9)], &from_ops(Allowed, "as numbers, not as text"));
    check(&[], &[accept("b", 7), deny("a", 7)], &from_ops(Denied, "of the same number by name, an order of our own"));
    check(&[], &[deny("b", 7), accept("a", 7)], &from_ops(Allowed, "not in the order of files"));
    let first = |list: &[_]| [admin(&ingress(list))];
    check(
        &[],
        &first(&[("Accept", OPS, ""), ("Deny", PODS, "")]),
        &from_ops(Allowed, "\"a rule that appears at the top of the ingress rules would take the highest precedence\""),
    );
    check(&[], &first(&[("Deny", PODS, ""), ("Accept", OPS, "")]), &from_ops(Denied, "whatever is below it"));
    check(
        &[],
        &first(&[("Deny", OPS, &tcp(81)), ("Accept", &app("web"), &tcp(80)), ("Deny", PODS, &tcp(80))]),
        &[
            ("mon", "db", Tcp, 80, (Allowed, Denied), "the first that matches: neither another port"),
            ("web", "db", Tcp, 80, (Allowed, Allowed), "nor another peer"),
            ("web", "db", Tcp, 81, (Allowed, Allowed), "none at all"),
        ],
    );
    check(
        &[],
        &[policy("a", "Baseline", 1, &ingress(&[("Accept", PODS, "")])), deny("b", 1000)],
        &from_ops(Denied, "a priority counts within its tier only"),
    );
    let last = policy("a", "Baseline", 9, &ingress(&[("Deny", PODS, "")]));
    let before = policy("z", "Baseline", 0, &ingress(&[("Accept", OPS, "")]));
    check(&[], &[last, before], &from_ops(Allowed, "priorities in the Baseline tier"));
}

#[test]
fn actions() {
    check(
        &[],
        &[admin(&format!("{}, {}", egress(&[("Accept", PODS, "")]), ingress(&[("Deny", OPS, "")])))],
        &[("mon", "db", Tcp, 80, (Allowed, Denied), "\"any ingress rules at the destination do apply\"")],
    );
    check(
        &[],
        &[admin(&egress(&[("Deny", &app("db"), "")]))],
        &[
            ("web", "db", Tcp, 80, (Denied, Allowed), "a denial is one of its direction"),
            ("db", "web", Tcp, 80, (Allowed, Allowed), "and not of the way back"),
        ],
    );
    let pass = |then: &str| admin(&ingress(&[("Pass", OPS, ""), (then, PODS, "")]));
    check(
        &[NOTHING],
        &[pass("Accept")],
        &[
            ("mon", "db", Tcp, 80, (Allowed, Denied), "passed on to the NetworkPolicies, which are final"),
            ("web", "db", Tcp, 80, (Denied, Allowed), "the next rule is for all others"),
        ],
    );
    let later = policy("z", "Admin", 9, &ingress(&[("Deny", PODS, "")]));
    check(
        &[EVERYTHING],
        &[pass("Deny"), later],
        &[("mon", "db", Tcp, 80, (Allowed, Allowed), "past the later policies of the tier too")],
    );
    check(
        &[],
        &[pass("Deny"), baseline(&ingress(&[("Deny", OPS, &tcp(80))]))],
        &[
            ("mon", "db", Tcp, 80, (Allowed, Denied), "passed on to the Baseline tier where nothing isolates"),
            ("mon", "db", Tcp, 81, (Allowed, Allowed), "and to the default"),
        ],
    );
    check(
        &[],
        &[baseline(&ingress(&[("Pass", OPS, ""), ("Deny", PODS, "")]))],
        &[
            ("mon", "db", Tcp, 80, (Allowed, Allowed), "after the Baseline tier comes the default"),
            ("web", "db", Tcp, 80, (Allowed, Denied), "for what is passed"),
        ],
    );
}

#[test]
fn there_is_no_isolation() {
    check(
        &[],
        &[admin(&ingress(&[("Accept", OPS, &tcp(80))])), baseline(&egress(&[("Accept", OPS, &tcp(80))]))],
        &[
            ("web", "db", Tcp, 81, (Allowed, Allowed), "what no rule matches goes on: rules are read as they are"),
            ("203.0.113.9", "db", Tcp, 80, (Allowed, Allowed), "from outside too"),
        ],
    );
    check(
        &[],
        &[admin(r#""ingress": []"#)],
        &[("web", "db", Tcp, 80, (Allowed, Allowed), "no rules \"do not affect ingress traffic\"")],
    );
}

#[test]
fn protocols() {
    let deny = |ports: &str| admin(&egress(&[("Deny", PODS, ports)]));
    check(
        &[],
        &[deny("")],
        &[
            ("mon", "db", Sctp, 65535, (Denied, Allowed), "no protocols: all traffic"),
            ("mon", "db", Tcp, 0, (Denied, Allowed), "of ports not known too"),
        ],
    );
    check(
        &[],
        &[deny(&tcp(80))],
        &[
            ("mon", "db", Tcp, 80, (Denied, Allowed), "one port"),
            ("mon", "db", Tcp, 81, (Allowed, Allowed), "of no other number"),
            ("mon", "db", Udp, 80, (Allowed, Allowed), "nor of another protocol"),
            ("mon", "db", Tcp, 0, (Allowed, Allowed), "nor one that is not known"),
        ],
    );
    let range = r#"{"destinationPort": {"range": {"start": 8000, "end": 9000}}}"#;
    check(
        &[],
        &[deny(&format!(r#"{{"udp": {range}}}, {{"sctp": {range}}}"#))],
        &[
            ("mon", "db", Udp, 8000, (Denied, Allowed), "a range has its start"),
            ("mon", "db", Udp, 9000, (Denied, Allowed), "and its end"),
            ("mon", "db", Udp, 9001, (Allowed, Allowed), "and no more"),
            ("mon", "db", Sctp, 8500, (Denied, Allowed), "any item may match"),
            ("mon", "db", Tcp, 8500, (Allowed, Allowed), "with its own protocol"),
        ],
    );
    let named = |name: &str| format!(r#"{{"destinationNamedPort": "{name}"}}"#);
    check(
        &[],
        &[deny(&format!("{}, {}", named("http"), named("quic")))],
        &[
            ("db", "web", Tcp, 80, (Denied, Allowed), "a name is of the server's containers"),
            ("db", "web", Tcp, 8080, (Denied, Allowed), "each that has it"),
            ("db", "web", Udp, 443, (Denied, Allowed), "whatever the protocol"),
            ("db", "web", Tcp, 443, (Allowed, Allowed), "which is that of the port"),
            ("db", "mon", Tcp, 9090, (Denied, Allowed), "another number on another pod"),
            ("db", "mon", Tcp, 80, (Allowed, Allowed), "where it is the only one"),
            ("web", "db", Tcp, 80, (Allowed, Allowed), "never the client's"),
        ],
    );
    check(
        &[],
        &[admin(&ingress(&[("Deny", PODS, &named("sql"))]))],
        &[
            ("web", "db", Tcp, 5432, (Allowed, Denied), "for ingress of the subject, which is the server"),
            ("db", "web", Tcp, 5432, (Allowed, Allowed), "not of the peer"),
        ],
    );
}

#[test]
fn an_unknown_peer_fails_closed() {
    let web = app("web");
    let peers = format!(r#"{web}, {{"serviceAccounts": {{}}}}"#);
    let one = |action| stored(&admin(&ingress(&[(action, &peers, &tcp(80))])));
    check(
        &[],
        &[one("Accept"), policy("z", "Admin", 9, &ingress(&[("Deny", PODS, "")]))],
        &[("web", "db", Tcp, 80, (Allowed, Denied), "\"treat the rule as matching no traffic\", its other peers too")],
    );
    for action in ["Deny", "Pass"] {
        check(
            &[],
            &[one(action)],
            &[
                ("web", "db", Tcp, 80, (Allowed, Denied), "\"treat the rule as a 'Deny all' rule\""),
                ("mon", "db", Tcp, 80, (Allowed, Denied), "whoever connects"),
                ("203.0.113.9", "db", Udp, 53, (Allowed, Denied), "from anywhere, on any port"),
                ("mon", "db", Tcp, 0, (Allowed, Denied), "even one not known"),
                ("db", "203.0.113.9", Tcp, 80, (Allowed, Allowed), "in its direction"),
                ("n1", "web", Tcp, 80, (Allowed, Allowed), "not from the pod's own node"),
                ("n2", "web", Tcp, 80, (Allowed, Denied), "though from another"),
            ],
        );
    }
    check(
        &[],
        &[stored(&admin(&ingress(&[("Accept", OPS, ""), ("Deny", "{}", "")])))],
        &[("mon", "db", Tcp, 80, (Allowed, Allowed), "rules before it are as they were")],
    );
}

#[test]
fn v1alpha1() {
    let ports = r#"[{"portNumber": {"port": 80}}, {"portRange": {"protocol": "UDP", "start": 1, "end": 9}}, {"namedPort": "quic"}]"#;
    let rule = |action: &str, peers: &str| format!(r#"{{"action": "{action}", "from": [{peers}], "ports": {ports}}}"#);
    let admin_policy = |priority: u32, rules: &str| {
        let spec = format!(r#""priority": {priority}, "subject": {PODS}, "ingress": [{rules}]"#);
        object("AdminNetworkPolicy", "a", &spec)
    };
    let baseline_policy = |rules: &str| {
        let spec = format!(r#""subject": {PODS}, "ingress": [{rules}]"#);
        object("BaselineAdminNetworkPolicy", "default", &spec)
    };
    let denied = [
        ("mon", "web", Tcp, 80, (Allowed, Denied), "a number, of TCP unless said otherwise"),
        ("mon", "web", Udp, 9, (Allowed, Denied), "a range"),
        ("mon", "web", Udp, 443, (Allowed, Denied), "a name, of any protocol"),
        ("mon", "web", Udp, 80, (Allowed, Allowed), "no more"),
    ];
    check(&[EVERYTHING], &[admin_policy(1, &rule("Deny", PODS))], &denied);
    check(&[], &[baseline_policy(&rule("Deny", PODS))], &denied);
    check(
        &[EVERYTHING],
        &[baseline_policy(&rule("Deny", PODS))],
        &[("mon", "web", Tcp, 80, (Allowed, Allowed), "a BaselineAdminNetworkPolicy is for pods not isolated")],
    );
    check(
        &[NOTHING],
        &[admin_policy(1, &rule("Allow", PODS))],
        &[("mon", "web", Tcp, 80, (Allowed, Allowed), "Allow is Accept")],
    );
    check(
        &[NOTHING],
        &[admin_policy(1, &rule("Pass", OPS)), baseline_policy(&rule("Allow", PODS))],
        &[("mon", "web", Tcp, 80, (Allowed, Denied), "Pass leaves it to the NetworkPolicies")],
    );
    let accept = policy("z", "Admin", 4, &ingress(&[("Accept", PODS, "")]));
    check(
        &[],
        &[admin_policy(5, &rule("Deny", PODS)), accept.clone()],
        &[("mon", "web", Tcp, 80, (Allowed, Allowed), "both versions share one list of priorities")],
    );
    check(
        &[],
        &[admin_policy(3, &rule("Deny", PODS)), accept],
        &[("mon", "web", Tcp, 80, (Allowed, Denied), "whichever comes first")],
    );
}

#[test]
fn a_verdict_says_which_rules_match() {
    let (cluster, nodes) = (Cluster::new(), nodes());
    let name = r#"{"domainNames": ["example.com"]}"#;
    let everywhere = r#"{"networks": ["0.0.0.0/0"]}"#;
    let network = policies(&[
        r#"{"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{"ports": [{"port": 80}]}, {"ports": [{"port": 81}]}]}"#,
    ]);
    let cluster_policies = cluster_policies(&[
        policy("last", "Baseline", 3, &ingress(&[("Pass", OPS, ""), ("Deny", PODS, "")])),
        policy("second", "Admin", 7, &ingress(&[("Accept", &app("agent"), ""), ("Deny", PODS, &tcp(5))])),
        policy(
            "first",
            "Admin",
            6,
            &format!(
                "{}, {}",
                ingress(&[
                    ("Deny", OPS, &tcp(9)),
                    ("Accept", &format!("{}, {OPS}, {PODS}", app("db")), &tcp(7)),
                    ("Pass", OPS, ""),
                ]),
                egress(&[("Accept", name, &tcp(443)), ("Accept", name, ""), ("Deny", everywhere, "")])
            ),
        ),
    ]);
    let set = PolicySet { network: &network, cluster: &cluster_policies };
    let evaluator = Evaluator::new(set, &cluster.namespaces).with_nodes(&nodes);
    let side = |client, server, port, direction| {
        evaluator.verdict(cluster.party(client), cluster.party(server), Tcp, port).side(direction).clone()
    };
    let matched = |policy, rule, peer, action| ClusterMatch { policy, rule, peer, action, certain: true };
    let ids = |side: &Side| -> Vec<String> { evaluator.deciders(side).into_iter().map(AnyPolicy::id).collect() };

    let accepted = side("mon", "db", 7, Direction::Ingress);
    assert_eq!(accepted.cluster, [matched(2, 1, 1, Action::Accept)], "the first peer that matches");
    assert_eq!((accepted.decider, accepted.decision), (Decider::Cluster, Allowed));
    assert_eq!(ids(&accepted), ["ClusterNetworkPolicy/first"]);
    assert_eq!(accepted.isolating, [0], "told even where the Admin tier decides");
    assert_eq!(accepted.near.len(), 2, "with what comes near");

    let passed = side("mon", "db", 80, Direction::Ingress);
    assert_eq!(passed.cluster, [matched(2, 2, 0, Action::Pass)], "and none of the policies after it");
    assert_eq!((passed.decider, passed.decision), (Decider::NetworkPolicies, Allowed));
    assert_eq!(ids(&passed), ["shop/p0"]);
    assert_eq!(passed.allowing, [Allow { policy: 0, rule: 0, peer: None, port: Some(0) }]);

    let isolated = side("web", "db", 82, Direction::Ingress);
    assert_eq!((isolated.cluster.as_slice(), isolated.decider), (&[][..], Decider::NetworkPolicies));
    assert_eq!(isolated.decision, Denied, "the Baseline tier has no say");

    let denied = side("web", "db", 5, Direction::Ingress);
    assert_eq!(denied.cluster, [matched(1, 1, 0, Action::Deny)], "rules that do not match are not told");
    assert_eq!((denied.decider, denied.decision), (Decider::Cluster, Denied));

    let last = side("mon", "web", 80, Direction::Ingress);
    let both = [matched(2, 2, 0, Action::Pass), matched(0, 0, 0, Action::Pass)];
    assert_eq!(last.cluster, both, "in the order in which they are asked, of both tiers");
    assert_eq!((last.decider, last.decision), (Decider::Cluster, Allowed), "the last of them passes it to the default");
    let last = side("db", "web", 80, Direction::Ingress);
    assert_eq!(last.cluster, [matched(0, 1, 0, Action::Deny)]);
    assert_eq!(ids(&last), ["ClusterNetworkPolicy/last"]);

    let maybe = |rule| ClusterMatch { certain: false, ..matched(2, rule, 0, Action::Accept) };
    let unknown = side("web", "203.0.113.9", 443, Direction::Egress);
    assert_eq!(unknown.cluster, [maybe(0), maybe(1), matched(2, 2, 0, Action::Deny)]);
    assert_eq!((unknown.decider, unknown.decision), (Decider::Cluster, Unknown));
    assert!(!unknown.allowed());
    let verdict = evaluator.verdict(cluster.party("web"), cluster.party("203.0.113.9"), Tcp, 443);
    assert_eq!((verdict.decision(), verdict.allowed()), (Unknown, false), "unknown out, allowed in");

    let nobody = side("web", "2001:db8::1", 80, Direction::Egress);
    assert_eq!(nobody.cluster, [maybe(1)], "of a rule that only may match nothing is decided");
    assert_eq!((nobody.decider, nobody.decision), (Decider::Nobody, Allowed));
    assert!(ids(&nobody).is_empty());

    let rules = format!("{}, {}", ingress(&[("Pass", OPS, "")]), egress(&[("Pass", everywhere, "")]));
    let lonely = super::cluster::cluster_policies(&[admin(&rules), baseline(&egress(&[("Accept", name, "")]))]);
    let alone = Evaluator::new(PolicySet { network: &[], cluster: &lonely }, &cluster.namespaces);
    let of_two = |client, server, direction| {
        alone.verdict(cluster.party(client), cluster.party(server), Tcp, 80).side(direction).clone()
    };
    let passed = of_two("mon", "db", Direction::Ingress);
    assert_eq!((passed.decider, passed.decision), (Decider::Cluster, Allowed), "a Pass with nothing after it");
    assert_eq!(passed.last_word(), Some(&matched(0, 0, 0, Action::Pass)));
    let passed = of_two("web", "203.0.113.9", Direction::Egress);
    assert_eq!(passed.cluster.last().map(|rule| rule.certain), Some(false));
    assert_eq!(passed.last_word(), Some(&matched(0, 0, 0, Action::Pass)), "what only may match has no last word");
    assert_eq!(of_two("web", "db", Direction::Ingress).decider, Decider::Nobody);

    let exempt = side("n2", "agent", 5, Direction::Ingress);
    assert_eq!((exempt.decider, exempt.cluster.len()), (Decider::Exempt(Exempt::NotAPod), 0));
    let itself = side("web", "web", 5, Direction::Ingress);
    assert_eq!((itself.subject_exempt(), itself.cluster.len()), (Some(Exempt::Itself), 0));

    let closed =
        super::cluster::cluster_policies(&[stored(&admin(&ingress(&[("Pass", &format!("{PODS}, {{}}"), "")])))]);
    let evaluator = Evaluator::new(PolicySet { network: &[], cluster: &closed }, &cluster.namespaces);
    let verdict = evaluator.verdict(cluster.party("web"), cluster.party("db"), Tcp, 80);
    assert_eq!(verdict.ingress.cluster, [matched(0, 0, 1, Action::Deny)], "the unknown peer, and what it comes to");
}
