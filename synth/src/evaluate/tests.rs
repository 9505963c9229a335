use std::net::IpAddr;
use std::sync::Arc;

use super::*;
use crate::endpoint::Workload;
use crate::label::Labels;
use crate::manifest::networkpolicy::decode;
use crate::manifest::node::parse;
use crate::port::ContainerPort;

use Protocol::{Sctp, Tcp, Udp};

mod cluster;

fn pod(namespace: &str, app: &str, address: &str, node: &str, ports: &[(&str, u16, Protocol)]) -> Pod {
    let port = |&(name, number, protocol): &(&str, u16, Protocol)| ContainerPort {
        name: Some(name.to_string()),
        number,
        protocol,
    };
    Pod {
        namespace: namespace.to_string(),
        name: app.to_string(),
        workload: Workload { namespace: namespace.to_string(), kind: "Pod".to_string(), name: app.to_string() },
        labels: Labels::from([("app".to_string(), app.to_string())]),
        addresses: vec![address.parse().unwrap()],
        node: Some(node.to_string()),
        host_network: false,
        ports: ports.iter().map(port).collect(),
        probed: Default::default(),
        finished: false,
    }
}

/// Namespaces shop and ops (team=ops); pods shop/web, shop/db, ops/mon, and ops/agent on the network of node n1.
struct Cluster {
    namespaces: Namespaces,
    pods: Vec<Pod>,
}

impl Cluster {
    fn new() -> Cluster {
        let mut namespaces = Namespaces::new();
        namespaces.insert("ops", Labels::from([("team".to_string(), "ops".to_string())]));
        let web = [("http", 80, Tcp), ("http", 8080, Tcp), ("quic", 443, Udp)];
        let mut db = pod("shop", "db", "10.0.0.2", "n2", &[("sql", 5432, Tcp)]);
        db.addresses.push("fd00::2".parse().unwrap());
        let mut agent = pod("ops", "agent", "192.168.0.1", "n1", &[("http", 80, Tcp)]);
        agent.host_network = true;
        let mon = pod("ops", "mon", "10.0.1.1", "n1", &[("http", 9090, Tcp)]);
        let mut web = pod("shop", "web", "10.0.0.1", "n1", &web);
        web.addresses.push("fd00::1".parse().unwrap());
        Cluster { namespaces, pods: vec![web, db, mon, agent] }
    }

    /// `web`, `db`, `mon`, `agent`; `n1`, `n2` and `tunnel` are nodes' addresses; all else is an address outside.
    fn party(&self, name: &str) -> Party<'_> {
        match name {
            "n1" => Party::Address { ip: "192.168.0.1".parse().unwrap(), node: Some("n1") },
            "tunnel" => Party::Address { ip: "10.244.1.0".parse().unwrap(), node: Some("n1") },
            "n2" => Party::Address { ip: "192.168.0.2".parse().unwrap(), node: Some("n2") },
            _ => match self.pods.iter().find(|pod| pod.name == name) {
                Some(pod) => Party::pod(pod),
                None => Party::outside(name.parse().unwrap()),
            },
        }
    }
}

/// Policies of namespace shop, one per element of `specs`.
fn policies(specs: &[&str]) -> Vec<Policy> {
    let policy = |(index, spec): (usize, &&str)| {
        let metadata = format!(r#"{{"name": "p{index}", "namespace": "shop"}}"#);
        let head = r#""apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy""#;
        let text = format!(r#"{{{head}, "metadata": {metadata}, "spec": {spec}}}"#);
        decode(&parse(&text, 1).unwrap(), &Arc::from("t")).unwrap_or_else(|found| panic!("{spec}: {found:?}"))
    };
    specs.iter().enumerate().map(policy).collect()
}

/// `both`, or the side that blocks: `ingress`, `egress`, `neither`.
fn sides(verdict: &Verdict) -> &'static str {
    match (verdict.egress.allowed(), verdict.ingress.allowed()) {
        (true, true) => "both",
        (true, false) => "egress",
        (false, true) => "ingress",
        (false, false) => "neither",
    }
}

#[track_caller]
fn check(specs: &[&str], rows: &[(&str, &str, Protocol, u16, &str, &str)]) {
    let cluster = Cluster::new();
    let policies = policies(specs);
    let evaluator = Evaluator::new(&policies, &cluster.namespaces);
    for &(client, server, protocol, port, allowing, shows) in rows {
        let (client_party, server_party) = (cluster.party(client), cluster.party(server));
        let verdict = evaluator.verdict(client_party, server_party, protocol, port);
        let row = format!("{client} -> {server}:{port}/{protocol} under {specs:?}: {shows}");
        assert_eq!(sides(&verdict), allowing, "{row}");
        assert_eq!(evaluator.allowed(client_party, server_party, protocol, port), verdict.allowed(), "{row}");
        if port > 0 {
            let set = evaluator.allowed_ports(client_party, server_party);
            assert_eq!(set.contains(protocol, port), verdict.allowed(), "{row}");
        }
    }
}

#[test]
fn isolation() {
    check(&[], &[("web", "db", Tcp, 5432, "both", "no policy: not isolated")]);
    check(
        &[r#"{"podSelector": {"matchLabels": {"app": "db"}}}"#],
        &[
            ("web", "db", Tcp, 5432, "egress", "selected, no rule: nothing comes in"),
            ("db", "web", Tcp, 80, "both", "and everything goes out"),
            ("web", "mon", Tcp, 9090, "both", "others are not isolated"),
            ("203.0.113.9", "db", Tcp, 5432, "egress", "outside addresses are no exception"),
        ],
    );
    check(
        &[r#"{"policyTypes": ["Egress"], "ingress": [{}]}"#],
        &[
            ("web", "mon", Tcp, 9090, "ingress", "egress without rules denies it"),
            ("mon", "web", Tcp, 80, "both", "ingress rules of an egress policy do not isolate"),
            ("web", "db", Tcp, 5432, "ingress", "the server's side knows nothing of the client's"),
        ],
    );
    check(
        &[r#"{"policyTypes": ["Ingress", "Egress"]}"#],
        &[
            ("web", "db", Tcp, 5432, "neither", "both sides"),
            ("mon", "agent", Tcp, 80, "both", "policies select no pod of another namespace"),
        ],
    );
    check(
        &["{}", r#"{"ingress": [{"ports": [{"port": 80}]}]}"#],
        &[
            ("db", "web", Tcp, 80, "both", "rules of all policies add up"),
            ("db", "web", Tcp, 81, "egress", "to no more than they say"),
        ],
    );
}

#[test]
fn peers() {
    check(
        &[r#"{"ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "mon"}}}]}]}"#],
        &[("mon", "web", Tcp, 80, "egress", "a podSelector alone means the policy's own namespace")],
    );
    check(
        &[r#"{"ingress": [{"from": [{"podSelector": {}}]}]}"#],
        &[
            ("db", "web", Tcp, 80, "both", "an empty one all of its pods"),
            ("mon", "web", Tcp, 80, "egress", "and no other"),
        ],
    );
    check(
        &[r#"{"ingress": [{"from": [{"namespaceSelector": {}}]}]}"#],
        &[
            ("mon", "web", Tcp, 80, "both", "an empty namespaceSelector is every pod"),
            ("203.0.113.9", "web", Tcp, 80, "egress", "but no outside address"),
            ("n2", "web", Tcp, 80, "egress", "and no node"),
            ("agent", "db", Tcp, 80, "egress", "nor a pod on a node's network"),
        ],
    );
    let team =
        r#"{"namespaceSelector": {"matchLabels": {"team": "ops"}}, "podSelector": {"matchLabels": {"app": "db"}}}"#;
    check(
        &[&format!(r#"{{"ingress": [{{"from": [{team}]}}]}}"#)],
        &[("mon", "web", Tcp, 80, "egress", "both in one item have to match")],
    );
    let either =
        r#"{"namespaceSelector": {"matchLabels": {"team": "ops"}}}, {"podSelector": {"matchLabels": {"app": "db"}}}"#;
    check(
        &[&format!(r#"{{"ingress": [{{"from": [{either}]}}]}}"#)],
        &[("mon", "web", Tcp, 80, "both", "of two items either"), ("db", "web", Tcp, 80, "both", "the other one")],
    );
    let not_ops = r#"{"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["ops"]}]}"#;
    check(
        &[&format!(r#"{{"ingress": [{{"from": [{{"namespaceSelector": {not_ops}}}]}}]}}"#)],
        &[
            ("db", "web", Tcp, 80, "both", "NotIn holds where the key is missing, here of a namespace not known"),
            ("mon", "web", Tcp, 80, "egress", "and not where the value is listed"),
        ],
    );
    let named = r#"{"matchLabels": {"kubernetes.io/metadata.name": "shop"}}"#;
    check(
        &[&format!(r#"{{"ingress": [{{"from": [{{"namespaceSelector": {named}}}]}}]}}"#)],
        &[("db", "web", Tcp, 80, "both", "every namespace has the label of its name, even one not known")],
    );
    check(
        &[r#"{"ingress": [{"from": []}]}"#],
        &[("203.0.113.9", "web", Tcp, 80, "both", "no peers: everyone"), ("n2", "web", Sctp, 1, "both", "nodes too")],
    );
}

#[test]
fn blocks() {
    let block = r#"{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/24"]}}"#;
    check(
        &[&format!(r#"{{"ingress": [{{"from": [{block}]}}]}}"#)],
        &[
            ("10.9.9.9", "web", Tcp, 80, "both", "an address in the block"),
            ("::ffff:10.9.9.9", "web", Tcp, 80, "both", "also written as IPv6"),
            ("10.0.0.77", "web", Tcp, 80, "egress", "but not in its exception"),
            ("mon", "web", Tcp, 80, "both", "pods' addresses count"),
            ("fd00::9", "web", Tcp, 80, "egress", "families do not mix"),
        ],
    );
    check(
        &[&format!(r#"{{"ingress": [{{"from": [{block}, {{"ipBlock": {{"cidr": "10.0.0.2/32"}}}}]}}]}}"#)],
        &[("db", "web", Tcp, 80, "both", "an exception subtracts from its own item only")],
    );
    check(
        &[r#"{"ingress": [{"from": [{"ipBlock": {"cidr": "fd00::/64"}}]}]}"#],
        &[
            ("db", "web", Tcp, 80, "both", "any of a pod's addresses"),
            ("mon", "web", Tcp, 80, "egress", "of those that it has"),
        ],
    );
    check(
        &[
            r#"{"ingress": [{"from": [{"ipBlock": {"cidr": "fd00::/64"}}]}]}"#,
            r#"{"policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}"#,
        ],
        &[("db", "web", Tcp, 80, "egress", "a connection has one family, and must be allowed in it on both sides")],
    );
    check(
        &[r#"{"policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "192.168.0.1/32"}}]}]}"#],
        &[
            ("db", "n1", Tcp, 10250, "both", "a node by its address"),
            ("db", "agent", Tcp, 80, "both", "and so a pod on its network"),
        ],
    );

    let cluster = Cluster::new();
    let policies = policies(&[r#"{"ingress": [{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}"#]);
    let options = Options { ip_block_matches_pods: false, ..Options::default() };
    let evaluator = Evaluator::new(&policies, &cluster.namespaces).with_options(options);
    let to_db = |client| evaluator.allowed(cluster.party(client), cluster.party("db"), Tcp, 5432);
    assert!(!to_db("web"), "a plugin such as Cilium does not look at pods' addresses");
    assert!(to_db("203.0.113.9") && to_db("agent"), "only at those of others");
    let evaluator = Evaluator::new(&policies, &cluster.namespaces);
    let at = |address: &str| Party::Pod { pod: &cluster.pods[1], address: Some(address.parse::<IpAddr>().unwrap()) };
    assert!(evaluator.allowed(at("10.0.0.2"), cluster.party("web"), Tcp, 80));
    assert!(!evaluator.allowed(at("fd00::2"), cluster.party("web"), Tcp, 80), "the connection's own address counts");
}

#[test]
fn ports_of_rules() {
    check(
        &[r#"{"ingress": [{"ports": [{"protocol": "UDP"}, {"port": 8000, "endPort": 9000}]}]}"#],
        &[
            ("db", "web", Udp, 53, "both", "a protocol alone: every port of it"),
            ("db", "web", Udp, 0, "both", "even one not known"),
            ("db", "web", Tcp, 80, "egress", "and of no other"),
            ("db", "web", Tcp, 8000, "both", "a range includes its start"),
            ("db", "web", Tcp, 9000, "both", "and its end"),
            ("db", "web", Tcp, 9001, "egress", "and no more"),
            ("db", "web", Sctp, 8000, "egress", "the protocol is TCP unless it is said"),
            ("db", "web", Tcp, 0, "egress", "an unknown port is in no range"),
        ],
    );
    check(
        &[r#"{"ingress": [{"ports": [{}]}]}"#],
        &[
            ("db", "web", Tcp, 65535, "both", "an empty item is all of TCP"),
            ("db", "web", Udp, 443, "egress", "and nothing else"),
        ],
    );
    check(
        &[r#"{"ingress": [{}]}"#],
        &[("db", "web", Sctp, 0, "both", "no ports: every port of every protocol, known or not")],
    );
    check(
        &[r#"{"ingress": [{"ports": [{"port": "http"}]}], "egress": [{"ports": [{"port": "http"}]}]}"#],
        &[
            ("mon", "web", Tcp, 80, "both", "a name means the server's container port"),
            ("mon", "web", Tcp, 8080, "both", "each that has it"),
            ("mon", "web", Tcp, 9090, "egress", "never the client's"),
            ("db", "mon", Tcp, 9090, "both", "for egress too, with another number on another pod"),
            ("db", "mon", Tcp, 80, "ingress", "which is the only one there"),
            ("mon", "db", Tcp, 80, "egress", "a pod without the name has no such port"),
            ("web", "203.0.113.9", Tcp, 80, "ingress", "nor has an address"),
            ("web", "agent", Tcp, 80, "ingress", "nor a pod on a node's network"),
            ("mon", "web", Udp, 80, "egress", "name and protocol have to match"),
        ],
    );
    check(
        &[r#"{"ingress": [{"ports": [{"port": "quic"}]}]}"#],
        &[("mon", "web", Tcp, 443, "egress", "UDP's quic is not TCP's")],
    );
}

#[test]
fn exemptions() {
    check(
        &[r#"{"policyTypes": ["Ingress", "Egress"]}"#],
        &[
            ("n1", "web", Tcp, 80, "both", "a pod's own node may always connect to it"),
            ("agent", "web", Tcp, 80, "both", "so may pods on that node's network"),
            ("n1", "db", Tcp, 80, "egress", "another node may not"),
            ("web", "n1", Tcp, 80, "ingress", "and to the node egress rules apply"),
            ("web", "web", Udp, 1, "both", "a pod reaches itself"),
            ("203.0.113.9", "n1", Tcp, 22, "both", "nothing selects addresses"),
        ],
    );
    let cluster = Cluster::new();
    let policies = policies(&["{}"]);
    let evaluator = Evaluator::new(&policies, &cluster.namespaces);
    let exempt = |client, server| {
        let verdict = evaluator.verdict(cluster.party(client), cluster.party(server), Tcp, 80);
        (verdict.egress.subject_exempt(), verdict.ingress.subject_exempt())
    };
    assert_eq!(exempt("n1", "web"), (Some(Exempt::NotAPod), Some(Exempt::OwnNode)));
    assert_eq!(exempt("web", "web"), (Some(Exempt::Itself), Some(Exempt::Itself)));
    assert_eq!(exempt("db", "agent"), (None, Some(Exempt::NotAPod)));
    assert_eq!(evaluator.isolating(&cluster.pods[0], Direction::Ingress).count(), 1);
    assert_eq!(evaluator.isolating(&cluster.pods[3], Direction::Ingress).count(), 0);
}

#[test]
fn a_verdict_says_why() {
    let cluster = Cluster::new();
    let policies = policies(&[
        r#"{"podSelector": {"matchLabels": {"app": "db"}}}"#,
        r#"{"ingress": [
            {"from": [{"podSelector": {}}], "ports": [{"port": 1}]},
            {"from": [{"podSelector": {}}, {"namespaceSelector": {}}], "ports": [{"port": 5432}, {"port": "sql"}]},
            {"from": [{"ipBlock": {"cidr": "203.0.113.0/24"}}], "ports": [{"port": 1}, {"port": 5432}]},
            {"from": [{"ipBlock": {"cidr": "203.0.113.0/24"}}], "ports": [{"port": 1}]},
            {"ports": [{"port": 2}]}, {}
        ]}"#,
    ]);
    let verdict =
        Evaluator::new(&policies, &cluster.namespaces).verdict(cluster.party("web"), cluster.party("db"), Tcp, 5432);
    let side = verdict.side(Direction::Ingress);
    assert_eq!(side.isolating, [0, 1]);
    let allow = |rule, peer, port| Allow { policy: 1, rule, peer, port };
    let (zero, one) = (Some(0), Some(1));
    let second = [(zero, zero), (zero, one), (one, zero), (one, one)].map(|(peer, port)| allow(1, peer, port));
    assert_eq!(side.allowing, [&second[..], &[allow(5, None, None)]].concat());
    let near = |rule, matched| NearMiss { policy: 1, rule, matched };
    let expected = [near(0, Matched::Peer(zero)), near(2, Matched::Port(one)), near(4, Matched::Peer(None))];
    assert_eq!(side.near, expected, "the fourth rule fits in neither half");
    assert!(verdict.egress.isolating.is_empty() && verdict.allowed());
}

#[test]
fn allowed_ports_are_those_of_both_sides() {
    let cluster = Cluster::new();
    let policies = policies(&[
        r#"{"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"ports": [{"port": "http"}]}, {"ports": [{"port": 70, "endPort": 90}]}]}"#,
        r#"{"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Egress"], "egress": [{"ports": [{}]}]}"#,
    ]);
    let evaluator = Evaluator::new(&policies, &cluster.namespaces);
    let ports = |client, server| evaluator.allowed_ports(cluster.party(client), cluster.party(server)).to_string();
    assert_eq!(ports("mon", "web"), "70-90/TCP, 8080/TCP");
    assert_eq!(ports("db", "web"), "70-90/TCP, 8080/TCP");
    assert_eq!(ports("db", "mon"), "all/TCP");
    assert_eq!(ports("web", "mon"), "all");
}
