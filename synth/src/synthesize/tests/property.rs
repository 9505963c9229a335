//! What holds for every small graph.

use proptest::prelude::*;

use super::*;
use crate::evaluate::{Evaluator, Party};
use crate::prove::prove;

/// Pods of three workloads in one namespace and one in another.
const PLAYERS: [&str; 6] = ["web-1", "web-2", "api-1", "api-2", "cron-1", "data/db-1"];

/// Edges as (client, server, port), as indices into [`PLAYERS`].
fn edges() -> impl Strategy<Value = BTreeSet<(usize, usize, u16)>> {
    let edge = (0..PLAYERS.len(), 0..PLAYERS.len(), 1..4u16).prop_filter("a pod and itself", |(a, b, _)| a != b);
    proptest::collection::btree_set(edge, 1..12)
}

fn lines(edges: &BTreeSet<(usize, usize, u16)>) -> Vec<String> {
    let short = |index: usize| PLAYERS[index].rsplit('/').next().unwrap();
    edges.iter().map(|(client, server, port)| format!("TCP {}:9 > {}:{port}", short(*client), short(*server))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn allowed_is_what_was_seen_and_nothing_else(edges in edges()) {
        let inventory = cluster(&[]);
        let plan = planned(&lines(&edges), &inventory, &Options::default());
        let policies: Vec<Policy> = plan.policies.iter().map(|planned| planned.policy.clone()).collect();
        let evaluator = Evaluator::new(&policies, &inventory.namespaces);
        let pods: Vec<_> = PLAYERS
            .iter()
            .map(|id| {
                let name = id.rsplit('/').next().unwrap();
                inventory.pods.iter().find(|pod| pod.name == name).unwrap()
            })
            .collect();
        // Pods of one workload stand for each other; nothing else may follow from what was seen.
        let seen: BTreeSet<_> =
            edges.iter().map(|(client, server, port)| (&pods[*client].workload, &pods[*server].workload, *port)).collect();
        let isolated = |workload| seen.iter().any(|(client, server, _)| *client == workload || *server == workload);
        for client in &pods {
            for server in pods.iter().filter(|server| server.name != client.name) {
                for port in 1..5 {
                    let expected = seen.contains(&(&client.workload, &server.workload, port))
                        || !isolated(&client.workload) && !isolated(&server.workload);
                    let found = evaluator.allowed(Party::pod(client), Party::pod(server), Protocol::Tcp, port);
                    prop_assert_eq!(found, expected, "{} -> {}:{}", client.name, server.name, port);
                    prop_assert!(!isolated(&client.workload)
                        || !evaluator.allowed(Party::pod(client), Party::pod(server), Protocol::Udp, port));
                }
            }
        }
    }

    #[test]
    fn no_two_rules_have_the_same_ports(edges in edges()) {
        let plan = planned(&lines(&edges), &cluster(&[]), &Options::default());
        for planned in &plan.policies {
            for direction in Direction::ALL {
                let rules = planned.policy.rules(direction).unwrap_or_default();
                let ports: BTreeSet<String> =
                    rules.iter().map(|rule| line(rule).split_once(" : ").unwrap().1.to_string()).collect();
                prop_assert_eq!(ports.len(), rules.len());
            }
        }
    }

    #[test]
    fn the_same_input_gives_the_same_bytes(
        edges in edges(),
        objects in Just(objects()).prop_shuffle(),
        seed in Just(FLOWS.to_vec()).prop_shuffle(),
    ) {
        let options = Options { default_deny: true, dns_for_all: true, ..Options::default() };
        let mut flows: Vec<String> = lines(&edges).into_iter().chain(FLOWS.iter().map(ToString::to_string)).collect();
        let expected = text(&planned(&flows, &load(&super::property::objects()), &options));
        flows = seed.into_iter().map(ToString::to_string).chain(lines(&edges).into_iter().rev()).collect();
        prop_assert_eq!(text(&planned(&flows, &load(&objects), &options)), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_gate_holds(
        chosen in proptest::sample::subsequence(ANYTHING.to_vec(), 0..ANYTHING.len()),
        edges in edges(),
        default_deny: bool,
        dns_for_all: bool,
        allow_metadata: bool,
    ) {
        let inventory = cluster(&around());
        let choices = Choices { allow_metadata, ..Choices::default() };
        let options = Options { choices: choices.clone(), default_deny, dns_for_all, ..Options::default() };
        let flows: Vec<String> = chosen.into_iter().map(ToString::to_string).chain(lines(&edges)).collect();
        let resolved = seen(&flows, &inventory);
        let plan = synthesize(&resolved, &inventory, &options);
        let proof = prove(&plan, &resolved.graph, &inventory, &choices);
        prop_assert!(proof.holds() && proof.denied_before.is_empty(), "{proof:?}");
        let unique: BTreeSet<String> = ids(&plan).into_iter().collect();
        prop_assert_eq!(unique.len(), plan.policies.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Policies that somebody gave other names, those of others among them, keep the names that they have.
    #[test]
    fn names_that_were_given_stay(
        chosen in proptest::sample::subsequence(ANYTHING.to_vec(), 0..ANYTHING.len()),
        edges in edges(),
        turn in 0..3usize,
        given in proptest::collection::vec(any::<bool>(), 32),
    ) {
        let inventory = cluster(&around());
        let flows: Vec<String> = chosen.into_iter().map(ToString::to_string).chain(lines(&edges)).collect();
        let resolved = seen(&flows, &inventory);
        let mut options = Options { default_deny: true, ..Options::default() };
        let plan = synthesize(&resolved, &inventory, &options);
        let mut kept: Vec<Policy> = plan.policies.iter().map(|planned| planned.policy.clone()).collect();
        for namespace in kept.iter().map(|policy| policy.namespace.clone()).collect::<BTreeSet<_>>() {
            let mut own: Vec<&mut Policy> = kept.iter_mut().filter(|policy| policy.namespace == namespace).collect();
            let mut names: Vec<String> = own.iter().map(|policy| policy.name.clone()).collect();
            let turn = turn % names.len();
            names.rotate_left(turn);
            for (index, (policy, name)) in own.iter_mut().zip(names).enumerate() {
                policy.name = if given[index % given.len()] { format!("given-{index}") } else { name };
            }
        }
        let findings = plan.findings.clone();
        kept.sort_by_key(Policy::id);
        options.kept = kept.iter().rev().cloned().collect();
        let again = synthesize(&resolved, &inventory, &options);
        let mut found: Vec<Policy> = again.policies.iter().map(|planned| planned.policy.clone()).collect();
        found.sort_by_key(Policy::id);
        prop_assert_eq!(found, kept);
        prop_assert_eq!(&again.findings, &findings);
        prop_assert!(prove(&again, &resolved.graph, &inventory, &options.choices).holds());
    }
}

/// Services and pods of every sort.
fn around() -> Vec<String> {
    let twin = |name: &str, address: &str| pod((name, address, "n3", "app: twin", ""));
    let public = "type: LoadBalancer, selector: {app: api}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]";
    let endpoints = "{kind: Endpoints, metadata: {name: kubernetes, namespace: default}, subsets: [{addresses: \
                     [{ip: 192.168.0.1}, {ip: 192.168.0.2}], ports: [{name: https, port: 6443}]}]}";
    let done = "{kind: Pod, metadata: {name: cron-0, namespace: shop, labels: {app: cron, old: 'yes'}, \
                ownerReferences: [{kind: StatefulSet, name: cron, controller: true}]}, spec: {nodeName: n3}, \
                status: {podIP: 10.0.3.30, phase: Succeeded}}";
    let host = "{kind: Pod, metadata: {name: host-1, namespace: ops, labels: {app: host}}, \
                spec: {nodeName: n2, hostNetwork: true}, status: {podIP: 192.168.0.2}}";
    vec![
        twin("left-1", "10.0.3.21"),
        twin("right-1", "10.0.3.22"),
        service("shop/api", "10.96.0.21", public),
        service("shop/twins", "10.96.0.22", "selector: {app: twin}, ports: [{port: 80}]"),
        service("default/kubernetes", "10.96.0.100", "ports: [{name: https, port: 443, targetPort: 6443}]"),
        endpoints.to_string(),
        done.to_string(),
        host.to_string(),
    ]
}

const ANYTHING: [&str; 30] = [
    "UDP web-1:1 > 10.96.0.10:53",
    "TCP api-1:1 > dns-1:53",
    "UDP cron-1:1 > 169.254.20.10:53 dns",
    "UDP dns-1:1 > 203.0.113.53:53 dns",
    "TCP web-1:1 > 10.96.0.21:80",
    "TCP web-1:1 > 10.96.0.22:80",
    "TCP web-1:1 > 10.96.0.100:443",
    "TCP api-1:1 > 192.168.0.2:6443",
    "TCP api-1:1 > 192.168.0.2:10250",
    "TCP 192.168.0.1:1 > api-2:8080",
    "TCP 192.168.0.2:1 > api-2:8080",
    "TCP 10.0.1.1:1 > api-2:8080",
    "TCP 10.0.1.0:1 > web-2:9",
    "TCP 192.168.0.2:1 > 10.0.3.21:80",
    "TCP 192.168.0.1:1 > web-1:8081",
    "TCP 203.0.113.1:1 > api-1:8080",
    "TCP 203.0.113.2:1 > 192.168.0.1:30080 id=77",
    "TCP 192.168.0.1:5 > api-2:8080 id=77",
    "TCP 10.0.3.21:1 > 10.0.3.22:7000",
    "TCP 10.0.3.30:1 > db-1:5432",
    "TCP 10.0.1.99:1 > db-1:5432",
    "TCP web-1:1 > web-1:80",
    "TCP web-1:1 > 169.254.169.254:80",
    "UDP web-1:1 > 224.0.0.251:5353 sent=4 oneway",
    "UDP db-1:7946 > cache-1:7946 sent=3 oneway",
    "SCTP web-1:1 > db-1:3868",
    "TCP web-1:1 > 2001:db8::1:443",
    "TCP 2001:db8::2:1 > web-1:443",
    "TCP cron-1:1 > db-1:1 refused",
    "TCP cron-1:1 > 203.0.113.9:443 unanswered",
];

const FLOWS: [&str; 8] = [
    "UDP web-1:1 > 10.96.0.10:53",
    "UDP web-2:1 > dns-1:53 at=3",
    "TCP 192.168.0.1:1 > api-2:8080",
    "TCP 192.168.0.2:1 > api-1:8080",
    "TCP web-1:1 > 203.0.113.8:443",
    "TCP web-1:1 > 203.0.113.9:443",
    "TCP web-1:1 > 10.0.3.21:80",
    "TCP cron-1:1 > db-1:9 refused",
];

fn objects() -> Vec<String> {
    let twin = |name: &str, address: &str| pod((name, address, "n3", "app: twin", ""));
    let dns = "selector: {k8s-app: kube-dns}, ports: [{name: u, port: 53, protocol: UDP}, {name: t, port: 53}]";
    let more =
        [twin("left-1", "10.0.3.21"), twin("right-1", "10.0.3.22"), service("kube-system/kube-dns", "10.96.0.10", dns)];
    PODS.into_iter().map(pod).chain([1, 2, 3].map(node)).chain(more).collect()
}
