//! Policies held against edges, before, while and after the policies came.

use capture::{Flow, Names, Opening, Proof, Protocol, Socket};

use super::*;
use crate::inventory::Options;
use crate::manifest::Objects;
use crate::policy::Policy;
use crate::resolve::{Resolved, resolve};

fn cluster() -> Inventory {
    let pod = |name: &str, app: &str, ip: &str, more: &str| {
        format!(
            "---\n{{kind: Pod, metadata: {{name: {name}, namespace: shop, labels: {{app: {app}}}}}, spec: \
             {{nodeName: n1{more}}}, status: {{podIP: {ip}}}}}\n"
        )
    };
    let text = [
        pod("web", "web", "10.0.0.1", ""),
        pod("api", "api", "10.0.0.2", ""),
        pod("db", "db", "10.0.0.3", ""),
        pod("agent", "agent", "192.168.0.1", ", hostNetwork: true"),
    ];
    let mut objects = Objects::default();
    objects.load("cluster.yaml", &text.concat());
    assert_eq!(objects.problems, []);
    Inventory::build(&objects, &Options::default())
}

fn time(clock: &str) -> Timestamp {
    format!("2026-11-01T{clock}Z").parse().unwrap()
}

/// `client > server:port outcome FROM..TO`; a pod's name stands for its address.
fn flow(text: &str) -> Flow {
    let words: Vec<&str> = text.split_whitespace().collect();
    let address = |name: &str| {
        let address = match name {
            "web" => "10.0.0.1",
            "api" => "10.0.0.2",
            "db" => "10.0.0.3",
            "n1" => "192.168.0.1",
            other => other,
        };
        address.parse().unwrap()
    };
    let (server, port) = words[2].rsplit_once(':').unwrap();
    let (first, last) = words[4].split_once("..").unwrap();
    let outcome = [Outcome::Established, Outcome::Refused, Outcome::Unanswered, Outcome::Unknown]
        .into_iter()
        .find(|outcome| outcome.name() == words[3])
        .unwrap();
    Flow {
        protocol: Protocol::Tcp,
        opening: Opening::Seen {
            client: Socket { ip: address(words[0]), port: 40_000 },
            dialled: Socket { ip: address(server), port: port.parse().unwrap() },
            served: None,
            proof: Proof::Handshake,
            identity: time(first).0 as u32,
        },
        outcome,
        first: time(first),
        last: time(last),
        connections: 1,
        newest: time(first),
        activity: capture::Activity::at(time(first)),
        latency: Default::default(),
        datagrams: 0,
        dns: false,
        talk: Default::default(),
        translated: false,
    }
}

fn seen(lines: &[&str], inventory: &Inventory) -> Resolved {
    let flows: Vec<Flow> = lines.iter().map(|line| flow(line)).collect();
    resolve(&flows, &Names::default(), inventory)
}

/// Policies as (name, creation time or nothing, spec).
fn policies(policies: &[(&str, &str, &str)]) -> Vec<Policy> {
    let mut objects = Objects::default();
    for (name, created, spec) in policies {
        let created = match *created {
            "" => String::new(),
            clock => format!(", creationTimestamp: '2026-11-01T{clock}Z'"),
        };
        let text = format!(
            "---\n{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: {name}, namespace: \
             shop{created}}}, spec: {{{spec}}}}}\n"
        );
        objects.load("policies.yaml", &text);
    }
    assert_eq!(objects.problems, []);
    objects.policies
}

/// `kind client -> server:port outcome policies`.
fn found(lines: &[&str], set: &[(&str, &str, &str)], proposed: bool) -> Vec<String> {
    let inventory = cluster();
    let resolved = seen(lines, &inventory);
    let policies = policies(set);
    check(&resolved.graph, (&policies).into(), proposed, &inventory, Default::default())
        .into_iter()
        .map(|finding| {
            let name = |endpoint: &crate::endpoint::Endpoint| {
                endpoint.workload().map_or(endpoint.to_string(), |workload| workload.name.clone())
            };
            let key = &finding.edge.key;
            let edge = format!("{} -> {}:{} {}", name(&key.client), name(&key.server), key.port, finding.outcome);
            format!("{} {edge} {}", finding.kind.name(), finding.policies.join(",")).trim_end().to_string()
        })
        .collect()
}

const DENY_API: &str = "podSelector: {matchLabels: {app: api}}";
const WORKED: &str = "web > api:80 established 10:00:00..10:30:00";

#[test]
fn what_a_denied_edge_means_depends_on_when_the_policy_came() {
    for (what, flows, created, expected) in [
        ("no creation time: as old as the cluster", vec![WORKED], "", "not_enforced"),
        ("before the flow", vec![WORKED], "09:00:00", "not_enforced"),
        ("in the second in which it was opened", vec![WORKED], "10:00:00", "not_enforced"),
        ("while it was open: connections outlive policies on many plugins", vec![WORKED], "10:15:00", "would_deny"),
        ("after the flow", vec![WORKED], "11:00:00", "would_deny"),
        ("opened again since", vec![WORKED, "web > api:80 established 12:00:00..12:00:01"], "11:00:00", "not_enforced"),
        ("only refused since", vec![WORKED, "web > api:80 refused 12:00:00..12:00:00"], "11:00:00", "broken"),
        ("only unanswered since", vec![WORKED, "web > api:80 unanswered 12:00:00..12:00:00"], "11:00:00", "broken"),
        (
            "it failed before the policy came too",
            vec![WORKED, "web > api:80 refused 10:40:00..10:40:00"],
            "11:00:00",
            "would_deny",
        ),
        (
            "a connection that was open when the policy came, and new ones fail",
            vec!["web > api:80 established 10:00:00..11:30:00", "web > api:80 unanswered 12:00:00..12:00:00"],
            "11:00:00",
            "broken",
        ),
    ] {
        let expected = format!("{expected} web -> api:80 established shop/p");
        assert_eq!(found(&flows, &[("p", created, DENY_API)], false), [expected], "{what}");
    }
}

#[test]
fn proposed_policies_would_deny_whenever_they_were_made() {
    for created in ["", "09:00:00", "11:00:00"] {
        let expected = ["would_deny web -> api:80 established shop/p"];
        assert_eq!(found(&[WORKED], &[("p", created, DENY_API)], true), expected, "{created:?}");
    }
}

#[test]
fn the_oldest_policy_in_the_way_decides() {
    let both = [("old", "09:00:00", DENY_API), ("young", "11:00:00", "podSelector: {}, policyTypes: [Egress]")];
    // The old one alone denies it already, so nothing enforced it.
    let expected = ["not_enforced web -> api:80 established shop/old,shop/young"];
    assert_eq!(found(&[WORKED], &both, false), expected);
    // Whether they are in the way on one side or on two.
    let one_side = [("old", "09:00:00", DENY_API), ("young", "11:00:00", DENY_API)];
    assert_eq!(found(&[WORKED], &one_side, false), expected);
}

#[test]
fn edges_that_never_worked_are_no_finding() {
    for flow in ["web > api:80 refused 10:00:00..10:00:00", "web > api:80 unanswered 10:00:00..10:00:00"] {
        assert_eq!(found(&[flow], &[("p", "", DENY_API)], false), [""; 0], "{flow}");
        assert_eq!(found(&[flow], &[], false), [""; 0], "{flow}: nor uncovered");
    }
}

#[test]
fn uncovered_is_what_no_policy_speaks_about() {
    let nothing: [&str; 0] = [];
    let uncovered = |edge: &str| format!("uncovered {edge} established");
    let web = "podSelector: {matchLabels: {app: web}}";
    for (what, flow, set, expected) in [
        ("no policy at all", WORKED, vec![], Some("web -> api:80")),
        ("the server is isolated", WORKED, vec![format!("{DENY_API}, ingress: [{{}}]")], None),
        (
            "the client is isolated for egress",
            WORKED,
            vec![format!("{web}, policyTypes: [Egress], egress: [{{}}]")],
            None,
        ),
        (
            "for ingress is not for this edge",
            WORKED,
            vec![format!("{web}, policyTypes: [Ingress]")],
            Some("web -> api:80"),
        ),
        (
            "a third pod is isolated",
            WORKED,
            vec!["podSelector: {matchLabels: {app: db}}".to_string()],
            Some("web -> api:80"),
        ),
        (
            "the world to a pod",
            "203.0.113.9 > web:443 established 10:00:00..10:00:01",
            vec![],
            Some("203.0.113.9 -> web:443"),
        ),
        ("a pod to a node", "web > n1:9100 established 10:00:00..10:00:01", vec![], Some("web -> node:n1:9100")),
        ("a probe needs no policy", "n1 > web:80 established 10:00:00..10:00:01", vec![], None),
        ("metadata never gets a rule", "web > 169.254.169.254:80 established 10:00:00..10:00:01", vec![], None),
        ("no pod on either side", "203.0.113.9 > n1:22 established 10:00:00..10:00:01", vec![], None),
    ] {
        let set: Vec<(&str, &str, &str)> = set.iter().map(|spec| ("p", "", spec.as_str())).collect();
        let expected: Vec<String> = expected.into_iter().map(uncovered).collect();
        assert_eq!(found(&[flow], &set, false), expected, "{what}");
    }
    assert_eq!(found(&nothing, &[], false), [""; 0]);
}

#[test]
fn allowed_edges_are_fine() {
    let allow = "podSelector: {matchLabels: {app: api}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]";
    assert_eq!(found(&[WORKED], &[("p", "", allow)], false), [""; 0]);
    let probe = "n1 > api:80 established 10:00:00..10:00:01";
    assert_eq!(found(&[probe], &[("p", "", DENY_API)], false), [""; 0], "from its own node always");
}

#[test]
fn findings_are_sorted_by_kind_and_edge() {
    let flows = [
        "db > api:80 established 10:00:00..10:00:01",
        "web > db:5432 established 10:00:00..10:00:01",
        "api > db:5432 established 10:00:00..10:00:01",
        WORKED,
    ];
    let expected = [
        "would_deny db -> api:80 established shop/p",
        "would_deny web -> api:80 established shop/p",
        "uncovered api -> db:5432 established",
        "uncovered web -> db:5432 established",
    ];
    assert_eq!(found(&flows, &[("p", "", DENY_API)], true), expected);
}

#[test]
fn messages_name_what_comes_near() {
    let api = |rules: &str| format!("{DENY_API}, ingress: [{rules}]");
    let web = "from: [{podSelector: {matchLabels: {app: web}}}]";
    let from = |app: &str, port: u16| {
        format!("{{from: [{{podSelector: {{matchLabels: {{app: {app}}}}}}}], ports: [{{port: {port}}}]}}")
    };
    for (what, spec, part) in [
        (
            "nothing",
            api(""),
            "ingress: no rule of shop/p (policies.yaml:2) comes near: add a rule from podSelector app=web with port 80/TCP, \
             or run generate",
        ),
        (
            "the peer",
            api(&format!("{{{web}, ports: [{{port: 81}}]}}")),
            "ingress: nearest is rule 0 of shop/p (policies.yaml:2), where the peer fits, the port does not: add port \
             80/TCP to it",
        ),
        (
            "the port",
            api("{from: [{ipBlock: {cidr: 203.0.113.0/24}}], ports: [{port: 80}]}"),
            "ingress: nearest is rule 0 of shop/p (policies.yaml:2), where the port fits, the peer does not: add peer \
             podSelector app=web to it",
        ),
        (
            "the peer of one rule before the port of another",
            api(&format!("{}, {}", from("db", 80), from("web", 81))),
            "nearest is rule 1 of shop/p (policies.yaml:2), where the peer fits, the port does not: add port 80/TCP to it",
        ),
        (
            "other peers of the rule",
            api(
                "{from: [{podSelector: {matchLabels: {app: web}}}, {podSelector: {matchLabels: {app: db}}}], ports: [{port: 81}]}",
            ),
            "add port 80/TCP to it, which opens it to all 2 peers of the rule",
        ),
        (
            "other ports of the rule",
            api("{from: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 80}, {port: 81}]}"),
            "the port fits, the peer does not: add a rule from podSelector app=web with port 80/TCP",
        ),
        (
            "everyone, on another port",
            api("{ports: [{port: 81}]}"),
            "the peer fits, the port does not: add a rule from podSelector app=web with port 80/TCP",
        ),
        (
            "all ports of somebody else",
            api("{from: [{podSelector: {matchLabels: {app: db}}}]}"),
            "no rule of shop/p (policies.yaml:2) comes near",
        ),
        (
            "the client's side",
            "podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]".to_string(),
            "egress: no rule of shop/p (policies.yaml:2) comes near: add a rule to podSelector app=api with port 80/TCP",
        ),
    ] {
        let inventory = cluster();
        let resolved = seen(&[WORKED], &inventory);
        let policies = policies(&[("p", "", &spec)]);
        let findings = check(&resolved.graph, (&policies).into(), true, &inventory, Default::default());
        assert_eq!(findings.len(), 1, "{what}");
        assert!(findings[0].message.contains(part), "{what}: {}", findings[0].message);
    }
}

#[test]
fn an_answer_that_nobody_could_have_seen_is_no_failure() {
    let flows = [WORKED, "web > api:80 unknown 12:00:00..12:00:00"];
    let expected = ["would_deny web -> api:80 established shop/p"];
    assert_eq!(found(&flows, &[("p", "11:00:00", DENY_API)], false), expected);
}

/// The message about the one finding.
fn message(flows: &[&str], created: &str, more: &str) -> String {
    let mut objects = Objects::default();
    let pod = |name: &str, ip: &str| {
        format!(
            "---\n{{kind: Pod, metadata: {{name: {name}, namespace: shop, labels: {{app: {name}}}}}, spec: {{nodeName: n1}}, status: {{podIP: {ip}}}}}\n"
        )
    };
    objects.load("cluster.yaml", &[pod("web", "10.0.0.1"), pod("api", "10.0.0.2"), format!("---\n{more}\n")].concat());
    assert_eq!(objects.problems, []);
    let inventory = Inventory::build(&objects, &Options::default());
    let resolved = seen(flows, &inventory);
    let policies = policies(&[("p", created, DENY_API)]);
    let findings = check(&resolved.graph, (&policies).into(), false, &inventory, Default::default());
    assert_eq!(findings.len(), 1);
    findings[0].message.clone()
}

#[test]
fn what_works_although_denied_usually_means() {
    let daemon = |name: &str| {
        format!(
            "{{kind: DaemonSet, metadata: {{name: {name}, namespace: kube-system}}, spec: {{template: {{spec: {{containers: [{{name: c}}]}}}}}}}}"
        )
    };
    for (what, created, more, words) in [
        (
            "no plugin known",
            "09:00:00",
            String::new(),
            "1 connection: the network plugin is not known; usually it does not enforce them",
        ),
        ("flannel", "09:00:00", daemon("kube-flannel-ds"), "1 connection: flannel does not enforce NetworkPolicies"),
        ("Calico", "09:00:00", daemon("calico-node"), "Calico enforces policies; usually such traffic goes past it"),
        ("just come", "09:59:57", daemon("calico-node"), "the policy was 3 s old and perhaps not in force yet"),
    ] {
        let said = message(&[WORKED], created, &more);
        assert!(said.starts_with("seen working although denied, ") && said.contains(words), "{what}: {said}");
    }
    let flows = [WORKED, "web > api:80 refused 12:00:00..12:00:00"];
    let said = message(&flows, "11:00:00", "");
    assert!(
        said.starts_with(
            "worked until these policies came (2026-11-01T11:00:00Z), and only failed since, 1 connection ("
        ),
        "{said}"
    );
    let said = message(&[WORKED], "11:00:00", "");
    assert!(said.contains("many network plugins keep connections that were open"), "{said}");
}

#[test]
fn traffic_that_nothing_isolates_by_workload_and_direction() {
    let inventory = cluster();
    let flows = [WORKED, "db > api:80 established 10:00:00..10:00:01", "web > db:5432 established 10:00:00..10:00:01"];
    let resolved = seen(&flows, &inventory);
    let listed = |set: &[(&str, &str, &str)]| -> Vec<String> {
        let policies = policies(set);
        let found = unisolated(&resolved.graph, (&policies).into(), &inventory);
        let line = |open: Unisolated<'_>| {
            let edges = open.edges.len();
            format!("{} {} {edges} {} {}", open.workload.name, open.direction, open.connections, open.uncovered)
        };
        found.into_iter().map(line).collect()
    };
    assert_eq!(listed(&[]), ["api ingress 2 2 2", "db ingress 1 1 1", "db egress 1 1 1", "web egress 2 2 2"]);
    let api = format!("{DENY_API}, ingress: [{{}}]");
    assert_eq!(listed(&[("p", "", &api)]), ["db ingress 1 1 1", "db egress 1 1 0", "web egress 2 2 1"]);
    assert_eq!(listed(&[("p", "", "podSelector: {}, policyTypes: [Ingress, Egress]")]), [""; 0]);
}
