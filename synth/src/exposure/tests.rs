//! Objects in YAML, exposure as lines `workload direction: who -> ports`; and newcomers against the evaluator.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::cluster::Tier;
use crate::cluster::{
    Action, ClusterKind, ClusterPeer, ClusterPolicy, ClusterPort, ClusterPorts, ClusterRule, PodPeer,
};
use crate::evaluate::{Evaluator, Party};
use crate::inventory;
use crate::label::{Requirement, Selector};
use crate::manifest::Objects;
use crate::policy::{self, Lines, Origin, Peer, Peers, Policy, PolicyPort, PortMatch, Rule};
use crate::port::{PortRange, Protocol};

const CLUSTER: [&str; 4] = [
    "{kind: Namespace, apiVersion: v1, metadata: {name: shop, labels: {team: a}}}",
    "{kind: Namespace, apiVersion: v1, metadata: {name: ops, labels: {team: b}}}",
    "{kind: Pod, apiVersion: v1, metadata: {name: api, namespace: shop, labels: {app: api}}, spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}, status: {podIP: 10.0.0.1}}",
    "{kind: Pod, apiVersion: v1, metadata: {name: tool, namespace: ops, labels: {app: tool}}, spec: {containers: [{name: c}]}, status: {podIP: 10.0.0.2}}",
];

fn read(policies: &[&str]) -> Inventory {
    let mut objects = Objects::default();
    let documents: Vec<String> = CLUSTER.iter().chain(policies).map(|object| format!("---\n{object}\n")).collect();
    objects.load("objects.yaml", &documents.concat());
    assert_eq!(objects.problems, []);
    Inventory::build(&objects, &inventory::Options::default())
}

/// A policy of `shop` for `api`.
fn api(spec: &str) -> String {
    format!(
        "{{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {{name: p, namespace: shop}}, \
         spec: {{podSelector: {{matchLabels: {{app: api}}}}, {spec}}}}}"
    )
}

/// The exposure of `api` in one direction.
fn lines_of(side: &Side) -> Vec<String> {
    let line = |entry: &Entry| {
        let narrowed = if entry.narrowed.is_empty() { "" } else { " at most" };
        format!("{} -> {}{narrowed}", entry.who, entry.ports)
    };
    side.entries.iter().map(line).collect()
}

fn lines(spec: &str, direction: Direction) -> Vec<String> {
    let inventory = read(&[&api(spec)]);
    let options = Options { ip_block_matches_pods: false, ..Options::default() };
    let exposures = analyse(inventory.policy_set(), &inventory, options);
    let exposure = exposures.iter().find(|exposure| exposure.workload.name == "api").unwrap();
    lines_of(exposure.side(direction))
}

#[test]
fn descriptions_are_entries() {
    for (rules, expected, shows) in [
        ("", vec![], "nothing allowed"),
        ("{}", vec!["every pod -> all", "0.0.0.0/0, ::/0 -> all"], "everyone"),
        ("{from: [{namespaceSelector: {}}]}", vec!["every pod -> all"], "every namespace is no address"),
        ("{from: [{podSelector: {}}]}", vec!["every pod in shop -> all"], "the policy's own namespace"),
        (
            "{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}]}",
            vec!["every pod in shop -> all"],
            "its own namespace by name is the same",
        ),
        (
            "{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}",
            vec!["pods app=web in any namespace -> 80/TCP"],
            "labels in any namespace",
        ),
        (
            "{from: [{podSelector: {}}], ports: [{port: http}, {port: none}]}",
            vec!["every pod in shop -> 8080/TCP"],
            "names are those of the subject",
        ),
        (
            "{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}, {from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [web]}]}}], ports: [{port: 81}]}",
            vec!["pods app=web in shop -> 80-81/TCP"],
            "one description, one entry",
        ),
        (
            "{from: [{podSelector: {}}], ports: [{port: 80}]}, {from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 81}]}",
            vec!["every pod in shop -> 80/TCP", "pods app=web in shop -> 80-81/TCP"],
            "the narrower has what the wider has",
        ),
        (
            "{from: [{namespaceSelector: {}}], ports: [{port: 80, endPort: 90}]}, {from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 81}]}",
            vec!["every pod -> 80-90/TCP"],
            "and is left out where it has no more",
        ),
        (
            "{from: [{namespaceSelector: {matchLabels: {team: a}}}], ports: [{port: 80}]}, {from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 81}]}",
            vec!["pods app=web in shop -> 80-81/TCP", "every pod in namespaces team=a -> 80/TCP"],
            "labels of a namespace that exists are known",
        ),
        (
            "{from: [{podSelector: {matchLabels: {app: web}, matchExpressions: [{key: app, operator: DoesNotExist}]}}]}",
            vec![],
            "no pod can have this",
        ),
        (
            "{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}], ports: [{port: 80}]}, {from: [{ipBlock: {cidr: 10.0.0.0/16}}], ports: [{port: 81}]}, {from: [{ipBlock: {cidr: 10.1.0.0/16}}], ports: [{port: 80}]}",
            vec!["10.0.0.0/16 -> 80-81/TCP", "10.0.0.0/8 except 10.0.0.0/16 -> 80/TCP"],
            "addresses by what they are allowed",
        ),
    ] {
        assert_eq!(lines(&format!("ingress: [{rules}]"), Direction::Ingress), expected, "{shows}");
    }
}

#[test]
fn names_of_ports_of_pods_to_come_stay_names() {
    let rules = "policyTypes: [Egress], egress: [{ports: [{port: http}, {port: 443}]}, {to: [{podSelector: {}}], ports: [{protocol: TCP}]}]";
    let expected = ["every pod -> 443/TCP, http/TCP", "every pod in shop -> all/TCP", "0.0.0.0/0, ::/0 -> 443/TCP"];
    assert_eq!(lines(rules, Direction::Egress), expected);
    assert_eq!(lines(rules, Direction::Ingress), ["every pod -> all", "0.0.0.0/0, ::/0 -> all"]);
}

#[test]
fn an_ip_block_around_all_pods_is_every_pod() {
    let inventory = read(&[&api("ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]")]);
    for (ip_block_matches_pods, expected) in
        [(true, &["every pod -> all", "10.0.0.0/8 -> all"][..]), (false, &["10.0.0.0/8 -> all"])]
    {
        let options = Options { ip_block_matches_pods, ..Options::default() };
        let exposures = analyse(inventory.policy_set(), &inventory, options);
        assert_eq!(lines_of(&exposures[1].ingress), expected);
    }
}

#[test]
fn pods_that_policies_tell_apart_are_apart() {
    let pod = |name: &str, labels: &str, more: &str| {
        format!(
            "{{kind: Pod, apiVersion: v1, metadata: {{name: {name}, namespace: shop, labels: {{{labels}}}, ownerReferences: \
             [{{kind: ReplicaSet, name: web, controller: true, apiVersion: apps/v1, uid: u}}]}}, spec: {{containers: []{more}}}, \
             status: {{podIP: 10.0.1.1}}}}"
        )
    };
    let policy = api("policyTypes: [Ingress]");
    let host = pod("web-c", "app: api", ", hostNetwork: true");
    let inventory = read(&[&policy, &pod("web-a", "app: web", ""), &pod("web-b", "app: api", ""), &host]);
    let groups = |options: Options| -> Vec<(Vec<String>, Vec<Direction>, bool)> {
        let exposures = analyse(inventory.policy_set(), &inventory, options);
        let names = |exposure: &Exposure| exposure.pods.iter().map(|id| inventory.pod(*id).name.clone()).collect();
        let web = exposures.iter().filter(|exposure| exposure.workload.name == "web");
        web.map(|exposure| (names(exposure), exposure.unprotected().collect(), exposure.whole)).collect()
    };
    let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let both = Direction::ALL.to_vec();
    let egress = vec![Direction::Egress];
    let expected = vec![(names(&["web-a", "web-c"]), both.clone(), false), (names(&["web-b"]), egress.clone(), false)];
    assert_eq!(groups(Options::default()), expected);
    let expected = vec![(names(&["web-a"]), both, false), (names(&["web-b", "web-c"]), egress, false)];
    let options = Options { host_network_is_node: false, ..Options::default() };
    assert_eq!(groups(options), expected);

    // No cluster-wide policy selects the one on the host network.
    let everyone = [cluster_policy(Tier::Baseline, &[(Action::Deny, "", &[])])];
    let exposures = analyse(PolicySet { network: &[], cluster: &everyone }, &inventory, options);
    let of_web = exposures.iter().find(|exposure| inventory.pod(exposure.pods[0]).name == "web-a").unwrap();
    let on_host = exposures.iter().find(|exposure| inventory.pod(exposure.pods[0]).name == "web-c").unwrap();
    let open = analyse(PolicySet::default(), &inventory, options).remove(0).egress;
    assert_eq!((on_host.egress == open, of_web.egress == open), (true, false));
}

fn cluster_policy(tier: Tier, rules: &[(Action, &str, &[ClusterPort])]) -> ClusterPolicy {
    let rule = |(action, pods, ports): &(Action, &str, &[ClusterPort])| ClusterRule {
        name: String::new(),
        action: *action,
        peers: vec![match *pods {
            "" => ClusterPeer::Pods(PodPeer { namespaces: Selector::everything(), pods: Selector::everything() }),
            "?" => ClusterPeer::Unknown,
            "dns" => ClusterPeer::DomainNames(vec!["example.com".to_string()]),
            team => ClusterPeer::Pods(PodPeer { namespaces: team.parse().unwrap(), pods: Selector::everything() }),
        }],
        ports: if ports.is_empty() { ClusterPorts::All } else { ClusterPorts::Any(ports.to_vec()) },
        line: 0,
    };
    let everyone = PodPeer { namespaces: Selector::everything(), pods: Selector::everything() };
    let rules: Vec<ClusterRule> = rules.iter().map(rule).collect();
    ClusterPolicy {
        kind: ClusterKind::ClusterNetworkPolicy,
        name: tier.name().to_string(),
        labels: Labels::new(),
        created: None,
        version: 0,
        origin: Origin::default(),
        tier,
        priority: 1,
        subject: everyone,
        ingress: Vec::new(),
        egress: rules,
    }
}

#[test]
fn cluster_wide_policies_are_asked_in_their_order() {
    use Action::{Accept, Deny, Pass};
    let all: &[ClusterPort] = &[];
    let number = |port: u16| {
        let port = PortMatch::Range(PortRange::single(port.try_into().unwrap()));
        [ClusterPort::Number(PolicyPort { protocol: Protocol::Tcp, port })]
    };
    let ssh = number(22);
    let http = [ClusterPort::Named("http".to_string())];
    let nothing = "every pod -> 22/TCP, http/TCP";
    let isolating =
        "policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], ports: [{port: 22}, {port: http}]}]";
    let open = "policyTypes: [Ingress]";
    for (spec, admin, baseline, expected, shows) in [
        (isolating, vec![], vec![(Deny, "", all)], vec![nothing], "Baseline says nothing about isolated pods"),
        (open, vec![], vec![(Deny, "", all)], vec!["0.0.0.0/0, ::/0 -> all"], "but about others"),
        (
            open,
            vec![],
            vec![(Accept, "team=a", all), (Deny, "", all)],
            vec!["every pod in namespaces team=a -> all", "0.0.0.0/0, ::/0 -> all"],
            "in order",
        ),
        (
            open,
            vec![(Deny, "", &ssh[..])],
            vec![],
            vec!["every pod -> 1-21/TCP, 23-65535/TCP, all/UDP, all/SCTP", "0.0.0.0/0, ::/0 -> all"],
            "a Deny for all of them takes its ports",
        ),
        (
            isolating,
            vec![(Deny, "", &ssh[..])],
            vec![],
            vec!["every pod -> http/TCP at most"],
            "and perhaps a name, which may be the same port",
        ),
        (
            isolating,
            vec![(Deny, "", &http[..])],
            vec![],
            vec!["every pod -> 22/TCP at most"],
            "as a name may be a number",
        ),
        (
            isolating,
            vec![(Deny, "team=a", all)],
            vec![],
            vec!["every pod -> 22/TCP, http/TCP at most", "every pod in namespaces team=a -> none"],
            "a Deny for some of them is an exception",
        ),
        (
            isolating,
            vec![(Accept, "team=a", all), (Deny, "", all)],
            vec![],
            vec!["every pod in namespaces team=a -> all"],
            "an Accept before it is not",
        ),
        (
            isolating,
            vec![(Pass, "team=a", all), (Deny, "", all)],
            vec![],
            vec!["every pod -> 22/TCP, http/TCP at most"],
            "who is passed on is not denied",
        ),
        (isolating, vec![(Deny, "?", all)], vec![], vec![], "an unknown peer is everybody to a Deny"),
        (isolating, vec![(Accept, "?", all)], vec![], vec![nothing], "and nobody to an Accept"),
    ] {
        let inventory = read(&[&api(spec)]);
        let cluster = [cluster_policy(Tier::Baseline, &baseline), cluster_policy(Tier::Admin, &admin)];
        let policies = PolicySet { network: &inventory.policies, cluster: &cluster };
        let options = Options { ip_block_matches_pods: false, ..Options::default() };
        let exposures = analyse(policies, &inventory, options);
        assert_eq!(lines_of(&exposures[1].egress), expected, "{shows}");
    }
    let inventory = read(&[]);
    let cluster = [cluster_policy(Tier::Admin, &[(Accept, "dns", all)])];
    let exposures = analyse(PolicySet { network: &[], cluster: &cluster }, &inventory, Options::default());
    assert_eq!(exposures[0].egress.unknown, [ClusterRuleId { policy: 0, rule: 0 }]);
    assert!(exposures[0].unprotected().eq(Direction::ALL));
}

fn any_selector() -> impl Strategy<Value = Selector> {
    let values = || proptest::collection::btree_set(prop_oneof![Just("x"), Just("y"), Just("z")], 1..3);
    let owned = |values: std::collections::BTreeSet<&str>| values.into_iter().map(str::to_string).collect();
    let requirement = (prop_oneof![Just("a"), Just("b")], values(), 0..4u8).prop_map(move |(key, values, kind)| {
        let key = key.to_string();
        match kind {
            0 => Requirement::In { key, values: owned(values) },
            1 => Requirement::NotIn { key, values: owned(values) },
            2 => Requirement::Exists { key },
            _ => Requirement::Absent { key },
        }
    });
    proptest::collection::vec(requirement, 0..3).prop_map(|list| list.into_iter().collect())
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let namespaces = prop_oneof![
        Just(policy::Namespaces::Own),
        any_selector().prop_map(policy::Namespaces::Matching),
        Just(policy::Namespaces::Matching(
            [Requirement::equals("kubernetes.io/metadata.name", "two")].into_iter().collect()
        )),
    ];
    let peer = (namespaces, any_selector()).prop_map(|(namespaces, pods)| Peer::Pods { namespaces, pods });
    let peers = prop_oneof![
        1 => Just(Peers::Everyone),
        4 => proptest::collection::vec(peer, 1..3).prop_map(Peers::Any),
    ];
    let port = (80..84u16, 0..2u16).prop_map(|(from, more)| PolicyPort {
        protocol: Protocol::Tcp,
        port: PortMatch::Range(PortRange::new(from.try_into().unwrap(), (from + more).try_into().unwrap()).unwrap()),
    });
    let ports = prop_oneof![
        1 => Just(policy::Ports::All),
        4 => proptest::collection::vec(port, 1..3).prop_map(policy::Ports::Any),
    ];
    (peers, ports).prop_map(|(peers, ports)| Rule { peers, ports, lines: Lines::default() })
}

fn any_labels() -> impl Strategy<Value = Labels> {
    let value = prop_oneof![Just("x"), Just("y"), Just("z")].prop_map(str::to_string);
    proptest::collection::btree_map(prop_oneof![Just("a"), Just("b")].prop_map(str::to_string), value, 0..3)
}

fn pod(namespace: &str, name: &str, labels: Labels) -> Pod {
    Pod {
        namespace: namespace.to_string(),
        name: name.to_string(),
        workload: Workload { namespace: namespace.to_string(), kind: "Pod".to_string(), name: name.to_string() },
        labels,
        addresses: Vec::new(),
        node: None,
        host_network: false,
        ports: Vec::new(),
        probed: Default::default(),
        finished: false,
    }
}

/// A policy of namespace `one` with these ingress rules.
fn isolating(rules: Vec<Rule>) -> Policy {
    Policy {
        namespace: "one".to_string(),
        name: "p".to_string(),
        labels: Labels::new(),
        created: None,
        version: 0,
        origin: Origin::default(),
        subject: Selector::everything(),
        subject_line: 0,
        ingress: Some(rules),
        egress: None,
        ignored: Vec::new(),
    }
}

/// One pod in namespace `one`; the labels of namespaces `one` and `two`.
fn with_subject(one: Labels, two: Labels) -> Inventory {
    let mut inventory = Inventory::default();
    inventory.namespaces.insert("one", one);
    inventory.namespaces.insert("two", two);
    let subject = pod("one", "pod", Labels::new());
    inventory.workloads.entry(subject.workload.clone()).or_default().pods.push(PodId(0));
    inventory.pods.push(subject);
    inventory
}

fn any_cluster_rules() -> impl Strategy<Value = Vec<ClusterRule>> {
    let action = prop_oneof![Just(Action::Accept), Just(Action::Deny), Just(Action::Pass)];
    let rule = (action, any_selector(), any_selector(), proptest::option::of(80..84u16));
    let rule = rule.prop_map(|(action, namespaces, pods, port)| {
        let number = |port: u16| {
            let port = PortMatch::Range(PortRange::single(port.try_into().unwrap()));
            ClusterPort::Number(PolicyPort { protocol: Protocol::Tcp, port })
        };
        ClusterRule {
            name: String::new(),
            action,
            peers: vec![ClusterPeer::Pods(PodPeer { namespaces, pods })],
            ports: port.map_or(ClusterPorts::All, |port| ClusterPorts::Any(vec![number(port)])),
            line: 0,
        }
    });
    proptest::collection::vec(rule, 0..4)
}

proptest! {
    /// Under cluster-wide policies whoever comes is allowed no more than the entries say, and no less where no rule
    /// narrows them.
    #[test]
    fn newcomers_get_at_most_what_the_entries_say_under_cluster_wide_policies(
        admin in any_cluster_rules(),
        baseline in any_cluster_rules(),
        rules in proptest::option::of(proptest::collection::vec(any_rule(), 0..3)),
        one in any_labels(),
        two in any_labels(),
        newcomer in any_labels(),
        namespace in prop_oneof![Just("one"), Just("two"), Just("three")],
    ) {
        let mut cluster = [cluster_policy(Tier::Admin, &[]), cluster_policy(Tier::Baseline, &[])];
        cluster[0].ingress = admin;
        cluster[1].ingress = baseline;
        cluster[1].ingress.retain(|rule| rule.action != Action::Pass);
        let network: Vec<Policy> = rules.into_iter().map(isolating).collect();
        let inventory = with_subject(one, two);
        let client = pod(namespace, "newcomer", newcomer.clone());
        let policies = PolicySet { network: &network, cluster: &cluster };

        let exposures = analyse(policies, &inventory, Options::default());
        let ingress = &exposures[0].ingress;
        let ports = ingress.newcomer(namespace, &newcomer, &inventory.namespaces);
        let narrowed = ingress.entries.iter().any(|entry| !entry.narrowed.is_empty());
        let evaluator = Evaluator::new(policies, &inventory.namespaces);
        for port in 79..86 {
            let verdict = evaluator.verdict(Party::pod(&client), Party::pod(&inventory.pods[0]), Protocol::Tcp, port);
            let (allowed, listed) = (verdict.ingress.allowed(), ports.numbers().contains(Protocol::Tcp, port));
            prop_assert!(listed || !allowed, "port {} {:?}", port, ingress);
            prop_assert!(allowed || !listed || narrowed, "port {} {:?}", port, ingress);
        }
    }

    /// Whoever comes is allowed what the evaluator allows it once it is there.
    #[test]
    fn newcomers_get_what_the_entries_say(
        rules in proptest::collection::vec(proptest::collection::vec(any_rule(), 0..4), 1..3),
        one in any_labels(),
        two in any_labels(),
        newcomer in any_labels(),
        namespace in prop_oneof![Just("one"), Just("two"), Just("three")],
    ) {
        let policies: Vec<Policy> = rules.into_iter().map(isolating).collect();
        let inventory = with_subject(one, two);
        let client = pod(namespace, "newcomer", newcomer.clone());
        let exposures = analyse(PolicySet::from(&policies), &inventory, Options::default());
        let ports = exposures[0].ingress.newcomer(namespace, &newcomer, &inventory.namespaces);
        let evaluator = Evaluator::new(&policies, &inventory.namespaces);
        for port in 79..86 {
            let (client, server) = (Party::pod(&client), Party::pod(&inventory.pods[0]));
            let verdict = evaluator.verdict(client, server, Protocol::Tcp, port);
            prop_assert_eq!(verdict.ingress.allowed(), ports.numbers().contains(Protocol::Tcp, port), "port {}", port);
        }
        let outside = exposures[0].ingress.entries.iter().find(|entry| matches!(entry.who, Who::External(_)));
        let outside_allowed = outside.is_some_and(|entry| entry.ports.numbers().contains(Protocol::Tcp, 81));
        let ip: IpAddr = [192, 0, 2, 1].into();
        let verdict = evaluator.verdict(Party::outside(ip), Party::pod(&inventory.pods[0]), Protocol::Tcp, 81);
        prop_assert_eq!(verdict.allowed(), outside_allowed);
        // Its form does not change when it is put into that form again.
        let again: Vec<(Who, Ports)> =
            exposures[0].ingress.entries.iter().map(|entry| (entry.who.clone(), entry.ports.clone())).collect();
        prop_assert_eq!(canonical(again.clone(), &inventory.namespaces), again);
    }
}
