//! One cluster, one policy, and an edge of each standing.

use capture::{Flow, Names, Opening, Proof, Protocol, Socket};

use super::*;
use crate::check::check;
use crate::inventory;
use crate::manifest::Objects;
use crate::resolve::resolve;

const CLUSTER: &str = "
{kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}, status: {podIP: 10.0.0.1}}
---
{kind: Pod, metadata: {name: api, namespace: shop, labels: {app: api}}, status: {podIP: 10.0.0.2}}
---
{kind: Pod, metadata: {name: db, namespace: shop, labels: {app: db}}, status: {podIP: 10.0.0.3}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: api, namespace: shop},
 spec: {podSelector: {matchLabels: {app: api}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}, {ports: [{port: 9}]}]}}
";

fn flow(client: &str, server: &str, port: u16, outcome: Outcome) -> Flow {
    let first: Timestamp = "2026-11-01T12:00:00Z".parse().unwrap();
    Flow {
        protocol: Protocol::Tcp,
        opening: Opening::Seen {
            client: Socket { ip: client.parse().unwrap(), port: 40_000 },
            dialled: Socket { ip: server.parse().unwrap(), port },
            served: None,
            proof: Proof::Handshake,
            identity: u32::from(port),
        },
        outcome,
        first,
        last: first,
        connections: 1204,
        newest: first,
        activity: capture::Activity::at(first),
        latency: Default::default(),
        datagrams: 0,
        dns: false,
        talk: Default::default(),
        translated: false,
    }
}

#[test]
fn every_edge_stands_somehow_and_every_rule_has_what_used_it() {
    let mut objects = Objects::default();
    objects.load("cluster.yaml", CLUSTER);
    assert_eq!(objects.problems, []);
    let inventory = Inventory::build(&objects, &inventory::Options::default());
    let flows = [
        flow("10.0.0.1", "10.0.0.2", 80, Outcome::Established),
        flow("10.0.0.3", "10.0.0.2", 80, Outcome::Established),
        flow("10.0.0.1", "10.0.0.3", 5432, Outcome::Established),
        flow("10.0.0.1", "10.0.0.2", 81, Outcome::Refused),
        flow("10.0.0.1", "169.254.169.254", 80, Outcome::Established),
    ];
    let resolved = resolve(&flows, &Names::default(), &inventory);
    let set = inventory.policy_set();
    let findings = check(&resolved.graph, set, true, &inventory, Options::default());
    let review = review(&resolved.graph, set, &findings, &inventory, Options::default());
    let lines: Vec<String> = review
        .edges
        .iter()
        .map(|reviewed| {
            let rules: Vec<String> = reviewed.rules.iter().map(|rule| rule.name(set)).collect();
            format!("{} {} {}", reviewed.edge.key, reviewed.standing.name(), rules.join(", ")).trim_end().to_string()
        })
        .collect();
    assert_eq!(
        lines,
        [
            "shop/Pod/db -> shop/Pod/api:80/TCP would_deny",
            "shop/Pod/web -> shop/Pod/api:80/TCP allowed ingress rule 0 of shop/api",
            "shop/Pod/web -> shop/Pod/api:81/TCP attempt",
            "shop/Pod/web -> shop/Pod/db:5432/TCP uncovered",
            "shop/Pod/web -> 169.254.169.254:80/TCP left_out",
        ]
    );
    let evidence: Vec<Option<String>> = review.rules.iter().map(|used| review.evidence(used)).collect();
    let seen = "1,204 connections from shop/Pod/web, 2026-11-01, handshake seen";
    assert_eq!(evidence, [Some(seen.to_string()), None]);
    let none = super::review(&resolved.graph, PolicySet::default(), &[], &inventory, Options::default());
    assert!(none.edges.iter().all(|reviewed| reviewed.standing == Standing::Observed));
}
