//! The gate finds what is wrong, and nothing where nothing is.

use capture::{Flow, Names, Opening, Outcome, Proof as Seen, Protocol, Socket, Timestamp};

use super::*;
use crate::inventory::Options;
use crate::label::Selector;
use crate::manifest::networkpolicy::decode;
use crate::manifest::node::parse;
use crate::policy::{Origin, Peer, Peers, PolicyPort, PortMatch, Ports, Rule};
use crate::port::PortRange;
use crate::resolve::{Resolved, resolve};
use crate::synthesize::{self, Planned, synthesize};

/// shop/web with two pods, shop/api and data/db with one each, and more objects.
fn cluster(more: &[&str]) -> Inventory {
    let pods = [
        ("web-1", "shop", "web", "10.0.0.1"),
        ("web-2", "shop", "web", "10.0.0.2"),
        ("api-1", "shop", "api", "10.0.0.3"),
        ("db-1", "data", "db", "10.0.0.4"),
    ];
    let pod = |(name, namespace, app, ip): (&str, &str, &str, &str)| {
        format!(
            "---\n{{kind: Pod, metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {app}}}, \
             ownerReferences: [{{kind: Deployment, name: {app}, controller: true}}]}}, status: {{podIP: {ip}}}}}\n"
        )
    };
    let text: String = pods.into_iter().map(pod).chain(more.iter().map(|object| format!("---\n{object}\n"))).collect();
    let mut objects = Objects::default();
    objects.load("cluster.yaml", &text);
    assert_eq!(objects.problems, []);
    Inventory::build(&objects, &Options::default())
}

/// An established connection.
fn flow(client: &str, server: &str, port: u16) -> Flow {
    let first: Timestamp = "2026-11-01T12:00:00Z".parse().unwrap();
    Flow {
        protocol: Protocol::Tcp,
        opening: Opening::Seen {
            client: Socket { ip: client.parse().unwrap(), port: 40_000 },
            dialled: Socket { ip: server.parse().unwrap(), port },
            served: None,
            proof: Seen::Handshake,
            identity: u32::from(port),
        },
        outcome: Outcome::Established,
        first,
        last: first,
        connections: 1,
        newest: first,
        activity: capture::Activity::at(first),
        latency: Default::default(),
        datagrams: 0,
        dns: false,
        talk: Default::default(),
        translated: false,
    }
}

/// web -> api:80, web -> db:5432, and an address outside -> web:443.
fn resolved(inventory: &Inventory) -> Resolved {
    let flows =
        [flow("10.0.0.1", "10.0.0.3", 80), flow("10.0.0.2", "10.0.0.4", 5432), flow("203.0.113.9", "10.0.0.1", 443)];
    resolve(&flows, &Names::default(), inventory)
}

fn proved(plan: &Plan, resolved: &Resolved, inventory: &Inventory) -> Proof {
    prove(plan, &resolved.graph, inventory, &Choices::default())
}

/// A NetworkPolicy of namespace shop.
fn existing(name: &str, labels: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: {name}, namespace: shop, \
         labels: {{{labels}}}}}, spec: {{{spec}}}}}"
    )
}

#[test]
fn an_honest_plan_holds() {
    let inventory = cluster(&[]);
    let resolved = resolved(&inventory);
    let plan = synthesize(&resolved, &inventory, &synthesize::Options::default());
    let proof = proved(&plan, &resolved, &inventory);
    assert!(proof.holds(), "{proof:?}");
    assert_eq!((proof.replayed, proof.denied_before.len()), (3, 0));
}

#[test]
fn a_plan_that_denies_an_edge_is_found() {
    type Damage = fn(&mut Planned);
    let inventory = cluster(&[]);
    let resolved = resolved(&inventory);
    for (id, damage, side, what) in [
        (
            "shop/api",
            (|planned| drop(planned.policy.ingress.as_mut().unwrap().pop())) as Damage,
            "shop/Deployment/web -> shop/Deployment/api:80/TCP (10.0.0.1 -> 10.0.0.3), ingress by shop/api",
            "a rule is gone",
        ),
        (
            "shop/web",
            |planned| {
                let port = PortRange::single(std::num::NonZeroU16::new(81).unwrap());
                let ports = vec![PolicyPort { protocol: Protocol::Tcp, port: PortMatch::Range(port) }];
                for rule in planned.policy.egress.as_mut().unwrap().iter_mut() {
                    if rule.ports != Ports::All && format!("{rule:?}").contains("\"api\"") {
                        rule.ports = Ports::Any(ports.clone());
                    }
                }
            },
            "shop/Deployment/web -> shop/Deployment/api:80/TCP (10.0.0.1 -> 10.0.0.3), egress by shop/web",
            "another port",
        ),
        (
            "shop/web",
            |planned| {
                let block = crate::policy::Block { cidr: "203.0.113.8/32".parse().unwrap(), except: Vec::new() };
                planned.policy.ingress.as_mut().unwrap()[0].peers = Peers::Any(vec![Peer::Block(block)]);
            },
            "203.0.113.9 -> shop/Deployment/web:443/TCP (203.0.113.9 -> 10.0.0.1), ingress by shop/web",
            "another address",
        ),
        (
            "shop/api",
            |planned| planned.policy.subject = Selector::everything(),
            "203.0.113.9 -> shop/Deployment/web:443/TCP (203.0.113.9 -> 10.0.0.1)",
            "a subject that is too wide does no harm where another policy allows",
        ),
    ] {
        let mut plan = synthesize(&resolved, &inventory, &synthesize::Options::default());
        damage(plan.policies.iter_mut().find(|planned| planned.policy.id() == id).unwrap());
        let proof = proved(&plan, &resolved, &inventory);
        assert_eq!(proof.broken, [""; 0], "{what}: the YAML says the same");
        if what.contains("no harm") {
            assert!(proof.holds(), "{what}: {proof:?}");
        } else {
            assert_eq!(proof.denied, [side], "{what}");
            assert!(!proof.holds(), "{what}");
        }
    }
}

#[test]
fn a_policy_that_renders_differently_is_found() {
    let inventory = cluster(&[]);
    let resolved = resolved(&inventory);
    let original = synthesize(&resolved, &inventory, &synthesize::Options::default());
    for (what, damage) in [
        // An empty list of peers is everyone once it is read, and an empty list of ports is all.
        ("no peers", (|rule| rule.peers = Peers::Any(Vec::new())) as fn(&mut Rule)),
        ("no ports", |rule| rule.ports = Ports::Any(Vec::new())),
        ("a port by a name that cannot be", |rule| {
            let port = PolicyPort { protocol: Protocol::Tcp, port: PortMatch::Named("not a name!".to_string()) };
            rule.ports = Ports::Any(vec![port]);
        }),
    ] {
        let mut plan = original.clone();
        damage(&mut plan.policies.last_mut().unwrap().policy.ingress.as_mut().unwrap()[0]);
        let proof = proved(&plan, &resolved, &inventory);
        assert!(!proof.broken.is_empty() && !proof.holds(), "{what}: {proof:?}");
    }
    let mut plan = original;
    plan.policies[0].policy.name = "Not A Name".to_string();
    assert!(!proved(&plan, &resolved, &inventory).holds(), "a name the API refuses");
}

#[test]
fn policies_of_the_cluster_count() {
    let deny = "podSelector: {matchLabels: {app: api}}";
    let allow = "podSelector: {matchLabels: {app: api}}, ingress: [{}]";
    let managed = "app.kubernetes.io/managed-by: ringfence";
    for (what, policy, without_api, denied, before) in [
        ("one that denies as ours allow: ours add to it", existing("old", "", deny), false, 0, 0),
        ("one that denies what none of ours decides", existing("old", "", deny), true, 0, 1),
        ("one that allows what ours forgot", existing("old", "", allow), false, 0, 0),
        ("one of ours is replaced", existing("old", managed, deny), true, 0, 0),
        ("one of the same name is replaced", existing("web", "", "podSelector: {}"), true, 0, 0),
    ] {
        let inventory = cluster(&[&policy]);
        let resolved = resolved(&inventory);
        let mut plan = synthesize(&resolved, &inventory, &synthesize::Options::default());
        for planned in &mut plan.policies {
            // The plan's own names avoid those of the cluster.
            planned.policy.name = planned.workloads[0].name.clone();
        }
        if without_api {
            plan.policies.retain(|planned| planned.policy.name != "api");
        }
        let proof = proved(&plan, &resolved, &inventory);
        assert_eq!((proof.denied.len(), proof.denied_before.len()), (denied, before), "{what}: {proof:?}");
    }
    let inventory = cluster(&[&existing("old", "", allow)]);
    let resolved = resolved(&inventory);
    let mut plan = synthesize(&resolved, &inventory, &synthesize::Options::default());
    let api = plan.policies.iter_mut().find(|planned| planned.policy.name == "api").unwrap();
    api.policy.ingress = Some(Vec::new());
    assert!(proved(&plan, &resolved, &inventory).holds(), "what the cluster allows is not denied");
}

#[test]
fn tightness_counts_ordered_pairs_of_different_pods() {
    let inventory = cluster(&[]);
    let resolved = resolved(&inventory);
    let count = |plan: &Plan| proved(plan, &resolved, &inventory).tightness;
    // Four pods are twelve pairs. Seen: two pods of web to api, and to db.
    assert_eq!(count(&Plan::default()), Tightness { allowed: 12, observed: 4, all: 12 }, "nothing is isolated");
    let plan = synthesize(&resolved, &inventory, &synthesize::Options::default());
    assert_eq!(count(&plan), Tightness { allowed: 4, observed: 4, all: 12 }, "everything is");
    let mut some = plan;
    some.policies.retain(|planned| planned.policy.name == "db");
    // Into db only web may go (2), out of db nobody; the other three pods are free (6).
    assert_eq!(count(&some), Tightness { allowed: 8, observed: 4, all: 12 });
}

#[test]
fn pods_that_are_over_or_on_the_host_network_are_in_no_pair() {
    let inventory = cluster(&[
        "{kind: Pod, metadata: {name: done, namespace: shop, labels: {app: web}}, status: {podIP: 10.0.0.9, \
          phase: Succeeded}}",
        "{kind: Pod, metadata: {name: host, namespace: shop}, spec: {hostNetwork: true, nodeName: n1}, \
          status: {podIP: 192.168.0.1}}",
    ]);
    let resolved = resolved(&inventory);
    assert_eq!(proved(&Plan::default(), &resolved, &inventory).tightness.all, 12);
}

/// Values that YAML 1.1 takes for something else than text.
const AWKWARD: [&str; 22] = [
    "on",
    "off",
    "y",
    "n",
    "yes",
    "no",
    "true",
    "null",
    "1e3",
    "0777",
    "0o17",
    "0x1f",
    "1_000",
    "",
    "~",
    "2024-01-01",
    "1.10",
    "12:30:45",
    ".inf",
    "NaN",
    "-1",
    "007",
];

#[test]
fn awkward_labels_come_back_as_they_were() {
    for value in AWKWARD {
        let values = [value.to_string(), "b".to_string()];
        let selector: Selector = [
            crate::label::Requirement::equals("app", value),
            crate::label::Requirement::NotIn { key: "tier".to_string(), values: values.into() },
        ]
        .into_iter()
        .collect();
        assert_round_trip(&selector, value);
    }
    for key in AWKWARD.into_iter().filter(|key| !key.is_empty() && *key != "~" && *key != "-1" && *key != ".inf") {
        // Those that are left are valid label keys, but for a colon.
        let key = key.replace(':', "-");
        let selector: Selector = [
            crate::label::Requirement::equals(&key, "v"),
            crate::label::Requirement::Exists { key: format!("{key}2") },
            crate::label::Requirement::Absent { key: format!("{key}3") },
        ]
        .into_iter()
        .collect();
        assert_round_trip(&selector, &key);
    }
}

fn assert_round_trip(selector: &Selector, what: &str) {
    let policy = Policy {
        namespace: "shop".to_string(),
        name: "p".to_string(),
        labels: [("app".to_string(), "1e3".to_string()), ("on".to_string(), "no".to_string())].into(),
        created: None,
        version: 0,
        origin: Origin::default(),
        subject: selector.clone(),
        subject_line: 0,
        ingress: Some(vec![Rule {
            peers: Peers::Any(vec![Peer::Pods {
                namespaces: crate::policy::Namespaces::Matching(selector.clone()),
                pods: selector.clone(),
            }]),
            ports: Ports::All,
            lines: Default::default(),
        }]),
        egress: None,
        ignored: Vec::new(),
    };
    let planned =
        Planned { policy, workloads: Vec::new(), header: Vec::new(), ingress: Vec::new(), egress: Vec::new() };
    let text = render(&planned);
    let tree = parse(&text, 1).unwrap_or_else(|error| panic!("{what}: {error:?}\n{text}"));
    match decode(&tree, &"f".into()) {
        Ok(read) => assert!(read.without_places() == planned.policy, "{what}:\n{text}"),
        // The API allows fewer values than YAML has traps; such a label is on no pod.
        Err(invalid) => {
            assert!(what == "~" || what.contains(':') || what.starts_with(['-', '.']), "{what}: {invalid:?}")
        }
    }
    // Our own reader knows YAML 1.2; kubectl's takes these plain words for something else.
    for line in text.lines() {
        let scalar = line.rsplit_once(": ").map_or_else(|| line.trim_start_matches([' ', '-']), |(_, value)| value);
        let plain = AWKWARD.contains(&scalar.trim()) && !scalar.trim().is_empty();
        assert!(!plain, "{what}: {line:?} is not quoted");
        let key = line.trim_start().split_once(':').map(|(key, _)| key).unwrap_or_default();
        assert!(key.is_empty() || !AWKWARD.contains(&key), "{what}: the key of {line:?} is not quoted");
    }
}
