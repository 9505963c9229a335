use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::diff;
use crate::evaluate::oracle;
use crate::evaluate::{Decision, Evaluator, Options, Party};
use crate::manifest::Objects;
use crate::policy::{self, Direction, Peer, Peers, Policy, Ports, Rule};
use crate::reach::{Classes, Reach};

/// Policies as (namespace, spec).
fn policies(specs: &[(&str, &str)]) -> Vec<Policy> {
    let mut objects = Objects::default();
    for (index, (namespace, spec)) in specs.iter().enumerate() {
        let metadata = format!("{{name: p{index}, namespace: {namespace}}}");
        let policy =
            format!("{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {metadata}, spec: {spec}}}");
        objects.load("policies.yaml", &policy);
    }
    assert_eq!(objects.problems, []);
    objects.policies
}

fn known(namespaces: &[(&str, &[(&str, &str)])]) -> Namespaces {
    let labels = |labels: &[(&str, &str)]| {
        labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect::<Labels>()
    };
    namespaces.iter().map(|(name, of)| (name.to_string(), labels(of))).collect()
}

/// Pods and namespaces, `shop/app=web`.
fn names(witnesses: &Witnesses) -> Vec<String> {
    witnesses.inventory.pods.iter().map(|pod| format!("{}/{}", pod.namespace, pod.name)).collect()
}

/// What the change does between made-up pods, one line each.
fn changes(old: PolicySet<'_>, new: PolicySet<'_>, known: &Namespaces) -> Vec<String> {
    let witnesses = cluster(&[old, new], known);
    let classes = Classes::new(&witnesses.inventory, &[old, new], Options::default());
    let diff = diff::policies(&Reach::new(&classes, old), &Reach::new(&classes, new));
    let side = |side: &diff::Side<'_>| side.to_string().replace("/Pods/", "/");
    let change = |sign: &str, it: &diff::Change<'_>| {
        let unknown = if it.unknown.is_empty() { String::new() } else { format!(" ?{}", it.unknown) };
        format!("{sign} {} -> {} {}{unknown}", side(&it.client), side(&it.server), it.allowed)
    };
    let isolation = |sign: &str, (workload, direction): &(&Workload, Direction)| {
        format!("{sign} {}/{} {direction}", workload.namespace, workload.name)
    };
    let gained = diff.gained.iter().map(|it| change("+", it));
    let lost = diff.lost.iter().map(|it| change("-", it));
    let isolated = diff.isolated.iter().map(|it| isolation("isolated", it));
    let opened = diff.opened.iter().map(|it| isolation("opened", it));
    gained.chain(lost).chain(isolated).chain(opened).collect()
}

#[test]
fn what_a_change_of_policies_does() {
    const OPS: (&str, &[(&str, &str)]) = ("ops", &[("team", "ops")]);
    for (shows, old, new, namespaces, expected) in [
        (
            "another peer",
            "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}",
            "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: api}}}]}]}",
            &[][..],
            &["+ shop/app=api -> shop/app=db all", "- shop/app=web -> shop/app=db all"][..],
        ),
        (
            "another subject",
            "{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 80}]}]}",
            "{podSelector: {matchLabels: {app: queue}}, ingress: [{ports: [{port: 80}]}]}",
            &[],
            &[
                "+ (other namespace)/other -> shop/app=db 1-79/TCP, 81-65535/TCP, all/UDP, all/SCTP",
                "+ shop/app=db -> shop/app=db 1-79/TCP, 81-65535/TCP, all/UDP, all/SCTP",
                "+ shop/app=queue -> shop/app=db 1-79/TCP, 81-65535/TCP, all/UDP, all/SCTP",
                "+ shop/other -> shop/app=db 1-79/TCP, 81-65535/TCP, all/UDP, all/SCTP",
                "+ 0.0.0.0/0, ::/0 -> shop/app=db 1-79/TCP, 81-65535/TCP, all/UDP, all/SCTP",
                "- (other namespace)/other -> shop/app=queue 1-79/TCP, 81-65535/TCP, all/UDP, all/SCTP",
                "- shop/app=db -> shop/app=queue 1-79/TCP, 81-65535/TCP, all/UDP, all/SCTP",
                "- shop/app=queue -> shop/app=queue 1-79/TCP, 81-65535/TCP, all/UDP, all/SCTP",
                "- shop/other -> shop/app=queue 1-79/TCP, 81-65535/TCP, all/UDP, all/SCTP",
                "- 0.0.0.0/0, ::/0 -> shop/app=queue 1-79/TCP, 81-65535/TCP, all/UDP, all/SCTP",
                "isolated shop/app=queue ingress",
                "opened shop/app=db ingress",
            ],
        ),
        (
            "a namespaceSelector more; namespaces that are known have their names",
            "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}",
            "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: ops}}, \
             podSelector: {matchLabels: {app: web}}}]}]}",
            &[OPS],
            &[
                "+ (namespace with team=ops)/app=web -> shop/app=db all",
                "+ ops/app=web -> shop/app=db all",
                "- shop/app=web -> shop/app=db all",
            ],
        ),
        (
            "another address range",
            "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}",
            "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}]}",
            &[],
            &["- 10.1.0.0/16 -> shop/other all"],
        ),
        (
            "a longer range of ports",
            "{podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: 8000, endPort: 8080}]}]}",
            "{podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: 8000, endPort: 8090}]}]}",
            &[],
            &["+ shop/other -> shop/other 8081-8090/TCP"],
        ),
        (
            "a number in place of a name",
            "{podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: http}, {port: web}]}]}",
            "{podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: web}, {port: 65535}]}]}",
            &[],
            &["+ shop/other -> shop/other 65535/TCP", "- shop/other -> shop/other 65534/TCP"],
        ),
        (
            "labels as expressions",
            "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}",
            "{podSelector: {matchExpressions: [{key: app, operator: In, values: [db]}]}, \
             ingress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [web]}]}}]}]}",
            &[],
            &[],
        ),
        (
            "another value than any that is listed",
            "{podSelector: {}, ingress: [{from: [{podSelector: {matchExpressions: \
             [{key: app, operator: NotIn, values: [web]}]}}]}]}",
            "{podSelector: {}, ingress: [{from: [{podSelector: {matchExpressions: \
             [{key: app, operator: DoesNotExist}]}}]}]}",
            &[],
            &[
                "- shop/app=(other) -> shop/app=(other) all",
                "- shop/app=(other) -> shop/app=web all",
                "- shop/app=(other) -> shop/other all",
            ],
        ),
        (
            "another namespace by its name",
            "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: a}}}]}]}",
            "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchExpressions: \
             [{key: kubernetes.io/metadata.name, operator: In, values: [b]}]}}]}]}",
            &[],
            &["+ b/other -> shop/other all", "- a/other -> shop/other all"],
        ),
    ] {
        let (old, new) = (policies(&[("shop", old)]), policies(&[("shop", new)]));
        assert_eq!(changes((&old).into(), (&new).into(), &known(namespaces)), expected, "{shows}");
    }
}

#[test]
fn pods_are_made_for_what_selectors_tell_apart() {
    let from = |peer: &str| format!("{{podSelector: {{}}, ingress: [{{from: [{peer}]}}]}}");
    let web = from("{podSelector: {matchLabels: {app: web}}}");
    let two = from("{podSelector: {matchLabels: {app: web, tier: x}}}, {podSelector: {matchLabels: {app: db}}}");
    let alike = from("{podSelector: {matchExpressions: [{key: app, operator: In, values: [web, api]}]}}");
    let labelled = from("{podSelector: {matchExpressions: [{key: app, operator: Exists}]}}");
    let impossible = from(
        "{podSelector: {matchLabels: {app: web}, \
                           matchExpressions: [{key: app, operator: NotIn, values: [web]}]}}",
    );
    let elsewhere = from("{namespaceSelector: {matchLabels: {team: ops}}, podSelector: {matchLabels: {app: mon}}}");
    let named = from(
        "{namespaceSelector: {matchExpressions: \
                      [{key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system]}]}}",
    );
    for (spec, expected, shows) in [
        ("{podSelector: {}}", &["(other namespace)/other", "shop/other"][..], "nothing is asked"),
        (&web, &["(other namespace)/other", "shop/app=web", "shop/other"], "a value"),
        (
            &two,
            &["(other namespace)/other", "shop/app=db", "shop/app=web,tier=x", "shop/other"],
            "half of what a selector wants is nothing",
        ),
        (&alike, &["(other namespace)/other", "shop/app=api", "shop/other"], "values that are always listed together"),
        (&labelled, &["(other namespace)/other", "shop/app=(other)", "shop/other"], "any value"),
        (&impossible, &["(other namespace)/other", "shop/other"], "nothing matches"),
        (
            &elsewhere,
            &[
                "(namespace with team=ops)/app=mon",
                "(namespace with team=ops)/other",
                "(other namespace)/other",
                "monitoring/app=mon",
                "monitoring/other",
                "shop/other",
            ],
            "only where it applies; a known namespace that no selector asks about is any other",
        ),
        (&named, &["(other namespace)/other", "kube-system/other", "shop/other"], "names that are listed"),
    ] {
        let policies = policies(&[("shop", spec)]);
        let known = known(&[("monitoring", &[("team", "ops")]), ("default", &[("team", "dev")])]);
        let witnesses = cluster(&[(&policies).into()], &known);
        assert_eq!(names(&witnesses), expected, "{shows}");
        assert!(witnesses.complete, "{shows}");
    }
}

#[test]
fn made_up_names_are_unlike_all_others() {
    let names = |selectors: &[Selector]| -> Vec<String> {
        let (labels, _) = Choices::new(&selectors.iter().collect::<Vec<_>>()).labels(PER_NAMESPACE);
        pods("shop", &labels, &BTreeMap::new())
            .into_iter()
            .map(|pod| pod.name)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    };
    let one = |requirement: Requirement| [requirement].into_iter().collect::<Selector>();
    let values = ["(other)", "((other))"].map(str::to_string).into();
    let not_in = Requirement::NotIn { key: "a".to_string(), values };
    let exists = Requirement::Exists { key: "a".to_string() };
    assert_eq!(names(&[one(not_in), one(exists)]), ["a=(((other)))", "a=((other))", "other"]);
    let both = [Requirement::equals("a", "x"), Requirement::equals("b", "y")].into_iter().collect();
    assert_eq!(names(&[one(Requirement::equals("a", "x,b=y")), both]), ["a=x,b=y", "a=x,b=y'", "other"]);
}

#[test]
fn named_ports_have_numbers_that_no_rule_lists() {
    for (ports, expected, shows) in [
        ("{port: http}, {port: dns, protocol: UDP}", &[("dns", 65535), ("http", 65534)][..], "from the highest down"),
        ("{port: a}, {port: b}, {port: 65534}", &[("a", 65533), ("b", 65532)], "65535 is left as one of no rule"),
        ("{port: a}, {port: 60000, endPort: 65535}", &[("a", 59999)], "below a range"),
        ("{port: a}, {port: 1, endPort: 65535}", &[("a", 65535)], "where rules list every number, one of many"),
        ("{port: 80}", &[], "no name"),
    ] {
        let policies = policies(&[("shop", &format!("{{podSelector: {{}}, ingress: [{{ports: [{ports}]}}]}}"))]);
        let witnesses = cluster(&[(&policies).into()], &Namespaces::new());
        let found: Vec<(&str, u16)> = witnesses.ports.iter().map(|(name, port)| (name.as_str(), *port)).collect();
        assert_eq!(found, expected, "{shows}");
        for pod in &witnesses.inventory.pods {
            assert_eq!(pod.ports.len(), 3 * expected.len());
        }
    }
}

/// A policy whose peers are `from`.
fn of_peers(namespace: &str, from: impl IntoIterator<Item = String>) -> Policy {
    let from = from.into_iter().collect::<Vec<_>>().join(", ");
    policies(&[(namespace, &format!("{{podSelector: {{}}, ingress: [{{from: [{from}]}}]}}"))]).remove(0)
}

#[test]
fn many_values_are_not_many_combinations() {
    let peers = (0..600).map(|at| format!("{{podSelector: {{matchLabels: {{app: a{at}, tier: t{}}}}}}}", at % 3));
    let policies = [of_peers("shop", peers)];
    let witnesses = cluster(&[PolicySet { network: &policies, cluster: &[] }], &Namespaces::new());
    assert_eq!(witnesses.inventory.pods.len(), 1 + 601);
    assert!(witnesses.complete);
}

#[test]
fn too_many_combinations_are_sampled() {
    let selector = |at: usize| format!("{{podSelector: {{matchExpressions: [{{key: k{at}, operator: Exists}}]}}}}");
    let policies = [of_peers("shop", (0..12).map(selector))];
    let witnesses = cluster(&[PolicySet { network: &policies, cluster: &[] }], &Namespaces::new());
    assert!(!witnesses.complete);
    // One without labels here and elsewhere, one of each selector, one of each two.
    assert_eq!(witnesses.inventory.pods.len(), 2 + 12 + 12 * 11 / 2);
}

#[test]
fn there_is_a_limit_to_all_pods() {
    let peer = |at: usize| format!("{{namespaceSelector: {{}}, podSelector: {{matchLabels: {{app: a{at}}}}}}}");
    let policies: Vec<Policy> = (0..60).map(|at| of_peers(&format!("n{at}"), (0..400).map(peer))).collect();
    let witnesses = cluster(&[(&policies).into()], &Namespaces::new());
    assert!(!witnesses.complete);
    let count = witnesses.inventory.pods.len();
    assert!((TOTAL / 4..=TOTAL).contains(&count), "{count}");
}

/// Writes a selector differently.
fn reworded(selector: &Selector) -> Selector {
    let requirements = selector.requirements().cloned().flat_map(|requirement| match requirement {
        Requirement::NotIn { key, values } => {
            let one = |value| Requirement::NotIn { key: key.clone(), values: BTreeSet::from([value]) };
            values.into_iter().map(one).collect()
        }
        Requirement::In { key, values } => {
            vec![Requirement::Exists { key: key.clone() }, Requirement::In { key, values }]
        }
        Requirement::Absent { .. } | Requirement::Exists { .. } => vec![requirement],
    });
    requirements.collect()
}

/// Selectors, one for each value that one requirement lists, which together match the same.
fn by_value(selector: &Selector) -> Vec<Selector> {
    let several = selector.requirements().find_map(|requirement| match requirement {
        Requirement::In { key, values } if values.len() > 1 => Some((requirement, key, values)),
        _ => None,
    });
    let Some((several, key, values)) = several else { return vec![reworded(selector)] };
    let rest = || selector.requirements().filter(|requirement| *requirement != several).cloned();
    values.iter().map(|value| reworded(&rest().chain([Requirement::equals(key, value)]).collect())).collect()
}

/// The same rule as several.
fn spread(rule: &Rule) -> Vec<Rule> {
    let peers: Vec<Peers> = match &rule.peers {
        Peers::Everyone => vec![Peers::Everyone],
        Peers::Any(peers) => {
            let one = peers.iter().flat_map(|peer| match peer {
                Peer::Block(_) => vec![peer.clone()],
                Peer::Pods { namespaces, pods } => {
                    let namespaces = match namespaces {
                        policy::Namespaces::Own => vec![policy::Namespaces::Own],
                        policy::Namespaces::Matching(selector) => {
                            by_value(selector).into_iter().map(policy::Namespaces::Matching).collect()
                        }
                    };
                    let of = |pods: Selector| {
                        let pair = move |namespaces| Peer::Pods { namespaces, pods: pods.clone() };
                        namespaces.clone().into_iter().map(pair).collect::<Vec<_>>()
                    };
                    by_value(pods).into_iter().flat_map(of).collect()
                }
            });
            one.map(|peer| Peers::Any(vec![peer])).collect()
        }
    };
    let ports: Vec<Ports> = match &rule.ports {
        Ports::All => vec![Ports::All],
        Ports::Any(ports) => ports.iter().map(|port| Ports::Any(vec![port.clone()])).collect(),
    };
    let pairs = peers.iter().flat_map(|peers| ports.iter().map(move |ports| (peers.clone(), ports.clone())));
    pairs.map(|(peers, ports)| Rule { peers, ports, ..rule.clone() }).collect()
}

/// Policies that together say the same.
fn rewritten(policy: &Policy) -> Vec<Policy> {
    let mut all = Vec::new();
    for subject in by_value(&policy.subject) {
        for direction in Direction::ALL {
            let Some(rules) = policy.rules(direction) else { continue };
            let rules: Vec<Rule> = rules.iter().flat_map(spread).collect();
            let (some, more) = rules.split_at(rules.len() / 2);
            // The last one is redundant.
            for rules in [some, more, some] {
                let mut part = Policy { subject: subject.clone(), ingress: None, egress: None, ..policy.clone() };
                *match direction {
                    Direction::Ingress => &mut part.ingress,
                    Direction::Egress => &mut part.egress,
                } = Some(rules.to_vec());
                all.push(part);
            }
        }
    }
    all
}

fn labels() -> impl Strategy<Value = Labels> {
    let key = select(vec!["a", "b", "c", NAMESPACE_NAME]);
    btree_map(key, select(vec!["", "x", "y", "ns1", "z"]), 0..4)
        .prop_map(|labels| labels.into_iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
}

/// Policies with one thing changed, or all.
fn changed(old: &[Policy], other: &[Policy], how: u8, at: &Index) -> Vec<Policy> {
    let mut new = old.to_vec();
    if new.is_empty() || other.is_empty() {
        return other.to_vec();
    }
    let (index, from) = (at.index(new.len()), other[at.index(other.len())].clone());
    let policy = &mut new[index];
    match how {
        0 => return other.to_vec(),
        1 => _ = new.remove(index),
        2 => new.push(from),
        3 => policy.subject = from.subject,
        4 => (policy.ingress, policy.egress) = (from.ingress, from.egress),
        5 => policy.namespace = from.namespace,
        _ => {
            policy.ingress.iter_mut().for_each(|rules| rules.extend(from.ingress.iter().flatten().cloned()));
            policy.egress.iter_mut().for_each(|rules| rules.extend(from.egress.iter().flatten().cloned()));
        }
    }
    new
}

/// What selectors answer about a pod.
fn answers(sets: &[PolicySet<'_>], namespaces: &Namespaces, pod: &Pod) -> Vec<bool> {
    let terms = sets.iter().flat_map(|set| Term::all(*set)).filter_map(|term| match term {
        Term::Pods { namespaces: scope, pods, .. } => {
            let is_in = match scope {
                Scope::One(name) => pod.namespace == name,
                Scope::Matching(selector) => namespaces.matches(selector, &pod.namespace),
            };
            Some(is_in && pods.matches(&pod.labels))
        }
        _ => None,
    });
    terms.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Real pods, with labels that no selector knows among them and in namespaces that none knows, have a made-up pod
    /// that stands for them: it may connect to the same. And where the change makes a difference to any of them, there
    /// is a difference between made-up pods.
    #[test]
    fn nothing_that_differs_is_missed(
        (base, other) in (oracle::cluster(), oracle::cluster()),
        (how, at, fewer) in (0..7u8, any::<Index>(), any::<bool>()),
        (of_known, of_foreign) in (labels(), vec(labels(), 2)),
        real in vec((select(vec!["ns1", "ns2", "x", "y", "known", "foreign0", "foreign1"]), labels()), 2..6),
    ) {
        let old_policies = base.decoded();
        let new_policies = changed(&old_policies, &other.decoded(), how, &at);
        let cluster_policies = base.decoded_cluster_policies();
        let fewer = cluster_policies.len() - usize::from(fewer && !cluster_policies.is_empty());
        let old = PolicySet { network: &old_policies, cluster: &cluster_policies };
        let new = PolicySet { network: &new_policies, cluster: &cluster_policies[..fewer] };
        let mut namespaces = base.namespaces.clone();
        namespaces.insert("known", of_known);
        let witnesses = cluster(&[old, new], &namespaces);
        for (index, labels) in of_foreign.into_iter().enumerate() {
            namespaces.insert(format!("foreign{index}"), labels);
        }
        let made_up = |namespace: &str, labels: &Labels, name: String| Pod {
            name,
            ..pods(namespace, std::slice::from_ref(labels), &witnesses.ports).remove(0)
        };
        // The first one twice: pods of one workload.
        let real: Vec<Pod> = real.iter().chain(&real[..1]).enumerate()
            .map(|(index, (namespace, labels))| made_up(namespace, labels, format!("real{index}"))).collect();
        let stand_ins: Vec<Pod> = real.iter().enumerate().map(|(index, pod)| {
            let wanted = answers(&[old, new], &namespaces, pod);
            let known = &witnesses.inventory.namespaces;
            let found = witnesses.inventory.pods.iter().find(|made| answers(&[old, new], known, made) == wanted);
            let found = found.unwrap_or_else(|| panic!("nobody stands for {pod:?} among {:?}", names(&witnesses)));
            made_up(&found.namespace, &found.labels, format!("stand-in{index}"))
        }).collect();

        let classes = Classes::new(&witnesses.inventory, &[old, new], Options::default());
        let is_empty = diff::policies(&Reach::new(&classes, old), &Reach::new(&classes, new)).is_empty();
        let evaluator = |set| Evaluator::new(set, &namespaces);
        let on_made_up = |set| Evaluator::new(set, &witnesses.inventory.namespaces);
        let (before, after) = (evaluator(old), evaluator(new));
        let (before_made_up, after_made_up) = (on_made_up(old), on_made_up(new));
        for (client, stand_in) in real.iter().zip(&stand_ins) {
            for (server, other) in real.iter().zip(&stand_ins) {
                let (from, to) = (Party::pod(client), Party::pod(server));
                let (ports, then) = (before.allowed_ports(from, to), after.allowed_ports(from, to));
                prop_assert!(!is_empty || ports == then, "{client:?} -> {server:?}: {ports}, then {then}");
                let (from, to) = (Party::pod(stand_in), Party::pod(other));
                prop_assert_eq!(ports, before_made_up.allowed_ports(from, to));
                prop_assert_eq!(then, after_made_up.allowed_ports(from, to));
            }
            for ip in ["10.0.1.9", "10.0.2.3", "192.168.0.2", "8.8.8.8", "fd00::9", "2001:db8::1"] {
                let outside = Party::outside(ip.parse().unwrap());
                for (protocol, port) in Protocol::ALL.into_iter().flat_map(|protocol| [(protocol, 80), (protocol, 444)]) {
                    let ask = |evaluator: &Evaluator<'_>, pod| -> [Decision; 2] {
                        let pod = Party::pod(pod);
                        [(pod, outside), (outside, pod)]
                            .map(|(from, to)| evaluator.verdict(from, to, protocol, port).decision())
                    };
                    let decisions = ask(&before, client);
                    prop_assert!(!is_empty || decisions == ask(&after, client), "{client:?} and {ip}");
                    prop_assert_eq!(decisions, ask(&before_made_up, stand_in));
                }
            }
        }
    }

    /// Requirements spread over peers, values over rules and policies, policies split, repeated and in another order.
    #[test]
    fn what_is_only_written_differently_is_no_change(
        (base, policies, rewritten) in oracle::cluster().prop_flat_map(|base| {
            let policies = base.decoded();
            let rewritten: Vec<Policy> = policies.iter().flat_map(rewritten).collect();
            (Just(base), Just(policies), Just(rewritten).prop_shuffle())
        }),
    ) {
        let (old, new) = ((&policies).into(), (&rewritten).into());
        prop_assert_eq!(changes(old, new, &base.namespaces), Vec::<String>::new());
    }

    /// The same sets, in any order, have the same pods.
    #[test]
    fn order_does_not_matter(
        (base, policies, shuffled) in oracle::cluster().prop_flat_map(|base| {
            let policies = base.decoded();
            (Just(base), Just(policies.clone()), Just(policies).prop_shuffle())
        }),
        split in any::<Index>(),
    ) {
        let one = cluster(&[(&policies).into()], &base.namespaces);
        let (first, second) = shuffled.split_at(split.index(shuffled.len() + 1));
        let other = cluster(&[second.into(), first.into()], &base.namespaces);
        prop_assert_eq!(&one.inventory.pods, &other.inventory.pods);
        prop_assert_eq!(&one.inventory.workloads, &other.inventory.workloads);
        prop_assert_eq!(one.ports, other.ports);
        prop_assert_eq!(one.complete, other.complete);
    }
}
