//! Random clusters and flows, judged by brute force: parts are deleted, and every connection is asked about again.

use std::collections::{BTreeMap, BTreeSet};

use capture::{Outcome, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;

use super::redundant::redundant;
use super::*;
use crate::endpoint::Endpoint;
use crate::evaluate::oracle::{self, Cluster};
use crate::evaluate::{Decision, Family, Party};
use crate::evidence::{Certainty, End, Evidence};
use crate::graph::{Class, Edge, Key};
use crate::inventory::{PodId, WorkloadInfo};
use crate::part::Shape;
use crate::port::Protocol;

const PORTS: [u16; 9] = [1, 53, 80, 81, 82, 200, 443, 444, 65535];

const OUTSIDE: [&str; 9] = [
    "10.0.1.77",
    "10.0.2.3",
    "10.0.2.9",
    "192.168.0.2",
    "192.168.0.9",
    "8.8.8.8",
    "fd00::3",
    "fd00::99",
    "2001:db8::1",
];

/// The cluster's pods, each a workload of its own. Their nodes are not told, so that nobody is on anybody's own node.
fn inventory(cluster: &Cluster) -> Inventory {
    let mut inventory = Inventory::default();
    inventory.pods = cluster.pods.clone();
    inventory.pods.iter_mut().for_each(|pod| pod.node = None);
    inventory.namespaces = cluster.namespaces.clone();
    let info = |(id, pod): (PodId, &crate::endpoint::Pod)| {
        let info = WorkloadInfo { pods: vec![id], host_network: pod.host_network, ..WorkloadInfo::default() };
        (pod.workload.clone(), info)
    };
    inventory.workloads = inventory.pod_ids().map(info).collect();
    inventory
}

fn ends(inventory: &Inventory) -> Vec<End> {
    let pods =
        inventory.pod_ids().flat_map(|(id, pod)| pod.addresses.iter().map(move |ip| End { ip: *ip, pod: Some(id) }));
    pods.chain(OUTSIDE.iter().map(|ip| End { ip: ip.parse().unwrap(), pod: None })).collect()
}

/// Every connection that two ends of one family can have.
fn connections(inventory: &Inventory) -> Vec<(End, End)> {
    let ends = ends(inventory);
    let pairs = ends.iter().flat_map(|client| ends.iter().map(move |server| (*client, *server)));
    let like = |(client, server): &(End, End)| {
        Family::of(client.ip) == Family::of(server.ip) && (client.pod.is_some() || server.pod.is_some())
    };
    pairs.filter(like).collect()
}

fn party<'a>(end: &End, inventory: &'a Inventory) -> Party<'a> {
    crate::replay::party(end, inventory)
}

/// What every side of every connection decides.
fn decisions(set: PolicySet<'_>, inventory: &Inventory, options: Options) -> Vec<[Decision; 2]> {
    let evaluator = inventory.evaluator(set).with_options(options);
    let mut decisions = Vec::new();
    for (client, server) in connections(inventory) {
        for protocol in Protocol::ALL {
            for port in PORTS {
                let verdict = evaluator.verdict(party(&client, inventory), party(&server, inventory), protocol, port);
                decisions.push(Direction::ALL.map(|direction| verdict.side(direction).decision));
            }
        }
    }
    decisions
}

fn without(
    set: PolicySet<'_>,
    parts: impl IntoIterator<Item = Part>,
) -> (Vec<crate::policy::Policy>, Vec<crate::cluster::ClusterPolicy>) {
    let mut removed = Removed::default();
    parts.into_iter().for_each(|part| removed.insert(part));
    removed.from(set)
}

fn decisions_without(
    set: PolicySet<'_>,
    parts: impl IntoIterator<Item = Part>,
    inventory: &Inventory,
    options: Options,
) -> Vec<[Decision; 2]> {
    let (network, cluster) = without(set, parts);
    decisions(PolicySet { network: &network, cluster: &cluster }, inventory, options)
}

/// Rules that allow, with their peers and ports where there are several.
fn parts(rules: &[(Part, Shape)]) -> Vec<Part> {
    let all = rules.iter().filter(|(_, shape)| shape.allows).flat_map(|(rule, shape)| {
        let peers = (0..shape.peers).filter(|_| shape.peers > 1).map(|at| rule.with_peer(at));
        let ports = (0..shape.ports).filter(|_| shape.ports > 1).map(|at| rule.with_port(at));
        std::iter::once(*rule).chain(peers).chain(ports)
    });
    all.collect()
}

/// Edges of one pair each.
fn graph(flows: &[(Index, Index, Index, Outcome)], inventory: &Inventory) -> Graph {
    let connections = connections(inventory);
    if connections.is_empty() {
        return Graph::default();
    }
    let endpoint = |end: &End| match end.pod {
        Some(pod) => Endpoint::Workload(inventory.pod(pod).workload.clone()),
        None => Endpoint::external(end.ip),
    };
    let mut edges: BTreeMap<Key, BTreeMap<Outcome, Box<Evidence>>> = BTreeMap::new();
    for (number, (pair, port, protocol, outcome)) in (1i64..).zip(flows) {
        let (client, server) = *pair.get(&connections);
        let key = Key {
            client: endpoint(&client),
            server: endpoint(&server),
            protocol: *protocol.get(&Protocol::ALL),
            port: *port.get(&PORTS),
        };
        let evidence = edges.entry(key).or_default().entry(*outcome).or_insert_with(|| Box::new(Evidence::none()));
        evidence.connections += 1;
        evidence.certainty = Certainty::Handshake;
        (evidence.first, evidence.last) = (Timestamp(1), Timestamp(number));
        evidence.pairs.note((client, server), Timestamp(number));
        evidence.pairs.seal();
    }
    Graph::new(edges.into_iter().map(|(key, outcomes)| Edge { key, class: Class::App, outcomes }).collect())
}

/// The sides of observed connections that are allowed.
fn allowed(graph: &Graph, set: PolicySet<'_>, inventory: &Inventory, options: Options) -> BTreeSet<(usize, Direction)> {
    let evaluator = inventory.evaluator(set).with_options(options);
    let used =
        graph.edges().flat_map(|edge| edge.outcomes.iter().map(move |(outcome, evidence)| (edge, outcome, evidence)));
    let mut allowed = BTreeSet::new();
    for (number, (edge, outcome, evidence)) in used.enumerate() {
        for (pair, (client, server)) in evidence.pairs.keys().enumerate() {
            let (from, to) = (party(client, inventory), party(server, inventory));
            let verdict = evaluator.verdict(from, to, edge.key.protocol, edge.key.port);
            let works = !matches!(outcome, Outcome::Refused | Outcome::Unanswered);
            for direction in Direction::ALL.into_iter().filter(|direction| works && verdict.side(*direction).allowed())
            {
                allowed.insert((number * 100 + pair, direction));
            }
        }
    }
    allowed
}

fn options() -> impl Strategy<Value = Options> {
    any::<[bool; 2]>().prop_map(|[ip_block_matches_pods, host_network_is_node]| Options {
        ip_block_matches_pods,
        host_network_is_node,
        finished_are_gone: true,
    })
}

fn flows() -> impl Strategy<Value = Vec<(Index, Index, Index, Outcome)>> {
    let outcome = prop_oneof![4 => Just(Outcome::Established), 1 => Just(Outcome::Refused), 1 => Just(Outcome::OneWay)];
    proptest::collection::vec((any::<Index>(), any::<Index>(), any::<Index>(), outcome), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_part_is_redundant_if_its_deletion_changes_no_decision(
        cluster in oracle::cluster(),
        chosen in any::<Index>(),
        options in options(),
    ) {
        let (network, inventory) = (cluster.decoded(), inventory(&cluster));
        let set = PolicySet::from(&network);
        let all = parts(&part::rules(set));
        if all.is_empty() {
            return Ok(());
        }
        let part = *chosen.get(&all);
        let classes = crate::reach::Classes::new(&inventory, &[set], options);
        let grants = crate::reach::Grants::new(&classes, set, false);
        let changes = decisions(set, &inventory, options) != decisions_without(set, [part], &inventory, options);
        let adds = grants.adds(part, crate::reach::Gone::from(&Removed::default()));
        prop_assert!(!changes || adds, "{} changes something", part.name(set));
        // Whatever it adds shows at one of these addresses and ports, but for addresses that no end here has.
        let only_pods = network.iter().flat_map(|policy| policy.ingress.iter().chain(&policy.egress).flatten())
            .all(|rule| rule.peers.listed().iter().all(|peer| matches!(peer, crate::policy::Peer::Pods { .. })));
        let have_addresses = inventory.pods.iter().all(|pod| pod.addresses.len() == 2 && !pod.host_network);
        if only_pods && have_addresses {
            prop_assert_eq!(changes, adds, "{}", part.name(set));
        }
    }

    #[test]
    fn all_that_is_redundant_can_go_at_once(
        cluster in oracle::cluster(),
        other in oracle::cluster(),
        options in options(),
    ) {
        let (network, cluster_wide) = (cluster.decoded(), cluster.decoded_cluster_policies());
        let inventory = inventory(&cluster);
        let set = PolicySet { network: &network, cluster: &cluster_wide };
        let rules = part::rules(set);
        let workloads = matched::Workloads::new(&inventory, options);
        let dead: Vec<Part> = dead::dead(set, &rules, &workloads, options).iter().map(|dead| dead.part).collect();
        let (found, _) = redundant(set, &rules, &inventory, options, &dead, &mut Removed::default());
        let gone = |basis: Option<Basis>| found.iter().filter(move |it| basis.is_none_or(|basis| it.basis == basis)).map(|it| it.part);
        let names = |basis| gone(basis).map(|part| part.name(set)).collect::<Vec<_>>();
        let same = decisions(set, &inventory, options) == decisions_without(set, gone(None), &inventory, options);
        prop_assert!(same, "{:?}", names(None));
        // What is redundant by structure is so among any pods; those without labels for namespaces keep theirs.
        let mut others = self::inventory(&other);
        others.namespaces = inventory.namespaces.clone();
        let structure = Some(Basis::Structure);
        let same = decisions(set, &others, options) == decisions_without(set, gone(structure), &others, options);
        prop_assert!(same, "{:?}", names(structure));
    }

    #[test]
    fn what_is_found_can_go_at_once_and_nothing_more(
        cluster in oracle::cluster(),
        flows in flows(),
        chosen in any::<Index>(),
        options in options(),
    ) {
        let (network, cluster_wide) = (cluster.decoded(), cluster.decoded_cluster_policies());
        let inventory = inventory(&cluster);
        let set = PolicySet { network: &network, cluster: &cluster_wide };
        let graph = graph(&flows, &inventory);
        let findings = unused(&graph, set, false, &inventory, options);
        let gone: Vec<Part> = findings
            .iter()
            .filter(|finding| matches!(finding.status, Status::Dead | Status::Redundant | Status::Unused))
            .map(|finding| finding.part)
            .collect();
        let before = allowed(&graph, set, &inventory, options);
        // However plugins read rules for addresses.
        let still_allowed = |parts: &[Part]| {
            let (network, cluster) = without(set, parts.iter().copied());
            let left = PolicySet { network: &network, cluster: &cluster };
            redundant::variants(options).into_iter().all(|options| {
                allowed(&graph, set, &inventory, options).is_subset(&allowed(&graph, left, &inventory, options))
            })
        };
        prop_assert!(still_allowed(&gone), "{:#?}", findings);
        // What is suggested allows a part of what was allowed, and all that was seen.
        let all: Vec<&Finding> = findings.iter().collect();
        let suggestions = suggest::suggest(&all, &graph, set, &inventory, options, |_| None).unwrap();
        let mut suggested = network.clone();
        let mut deleted = BTreeSet::new();
        for suggestion in &suggestions.policies {
            let crate::part::PolicyIndex::Network(index) = suggestion.policy else { continue };
            match &suggestion.yaml {
                Some(yaml) => {
                    let mut objects = crate::manifest::Objects::default();
                    objects.load("suggested.yaml", yaml);
                    prop_assert_eq!(&objects.problems, &[]);
                    suggested[index] = objects.policies[0].clone();
                }
                None => _ = deleted.insert(index),
            }
        }
        let mut index = 0..;
        suggested.retain(|_| index.next().is_some_and(|index| !deleted.contains(&index)));
        let suggested = PolicySet { network: &suggested, cluster: &cluster_wide };
        prop_assert!(before.is_subset(&allowed(&graph, suggested, &inventory, options)), "{suggestions:#?}");
        let (old, new) = (decisions(set, &inventory, options), decisions(suggested, &inventory, options));
        let opened = |(old, new): (&[Decision; 2], &[Decision; 2])| old.iter().zip(new).any(|(old, new)| new < old);
        prop_assert!(!old.iter().zip(&new).any(opened), "{suggestions:#?}");
        // Nothing of what is left can go as well.
        let mut removed = Removed::default();
        gone.iter().for_each(|part| removed.insert(*part));
        let left: Vec<Part> = parts(&part::rules(set)).into_iter()
            .filter(|part| !removed.contains(*part) && matches!(part.policy, crate::part::PolicyIndex::Network(_)))
            .collect();
        if !left.is_empty() {
            let part = *chosen.get(&left);
            let more: Vec<Part> = gone.iter().copied().chain([part]).collect();
            prop_assert!(!still_allowed(&more), "{} is not needed: {findings:#?}", part.name(set));
        }
    }
}

const POLICIES: &str = "# Whatever stands before the first document.
---
# Who may talk to the API.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: api
  namespace: shop
  uid: 0b1c   # of the server
  labels: {team: shop}
spec:
  podSelector: {matchLabels: {app: api}}
  ingress:
    # The shop window.
    - from:
        - podSelector: {matchLabels: {app: web}}   # since 2024
        # Batch is gone.
        - podSelector:
            matchLabels: {app: batch}
      ports:
        - port: 8080   # HTTP

        - port: 9090
    # Nobody remembers.
    - from: [{podSelector: {matchLabels: {app: old}}}]
  egress:
  - {}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
";

/// Edits the policy of [`POLICIES`] as a finding for each part would have it.
fn edited(findings: &[(Part, Option<Suffices>)]) -> (Option<String>, bool) {
    let mut objects = crate::manifest::Objects::default();
    objects.load("p.yaml", POLICIES);
    let finding = |(part, suffices): &(Part, Option<Suffices>)| Finding {
        part: *part,
        status: if suffices.is_some() { Status::Overbroad } else { Status::Unused },
        basis: None,
        hits: 0,
        last_hit: None,
        unclear: 0,
        message: String::new(),
        suffices: suffices.clone(),
        one_of: Vec::new(),
        missing: Vec::new(),
    };
    let findings: Vec<Finding> = findings.iter().map(finding).collect();
    let all: Vec<&Finding> = findings.iter().collect();
    let set = PolicySet::from(&objects.policies);
    let text = |_: &str| Some(POLICIES.to_string());
    let suggested =
        suggest::suggest(&all, &Graph::default(), set, &Inventory::default(), Options::default(), text).unwrap();
    (suggested.policies[0].yaml.clone(), suggested.policies[0].kept)
}

#[test]
fn comments_and_order_of_a_file_are_kept() {
    let rule = |number| Part::rule(crate::part::PolicyIndex::Network(0), Direction::Ingress, number);
    let (text, kept) = edited(&[(rule(0).with_peer(1), None), (rule(0).with_port(1), None), (rule(1), None)]);
    assert!(kept);
    assert_eq!(
        text.unwrap(),
        "# Who may talk to the API.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: api
  namespace: shop
  labels: {team: shop}
spec:
  podSelector: {matchLabels: {app: api}}
  ingress:
    # The shop window.
    - from:
        - podSelector: {matchLabels: {app: web}}   # since 2024
      ports:
        - port: 8080   # HTTP

  egress:
  - {}
"
    );
    // A rule for everyone on all ports gets a list; one without rules stays as a list without any.
    let egress = Part::rule(crate::part::PolicyIndex::Network(0), Direction::Egress, 0);
    let port = crate::policy::PolicyPort {
        protocol: Protocol::Udp,
        port: crate::policy::PortMatch::Range(crate::port::PortRange::single(53.try_into().unwrap())),
    };
    let (text, kept) = edited(&[(rule(0), None), (rule(1), None), (egress, Some(Suffices::Ports(vec![port])))]);
    let text = text.unwrap();
    assert!(
        kept && text.contains("\n  ingress: []\n")
            && text.contains("\n  - ports:\n    - protocol: UDP\n      port: 53\n"),
        "{text}"
    );
    // An element of a list on one line cannot be taken out of its line.
    let (text, kept) = edited(&[(rule(1).with_peer(0), Some(Suffices::Peers(Vec::new())))]);
    assert!(!kept && text.unwrap().contains("name: api"));
}
