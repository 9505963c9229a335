//! Facts to the data of the page.

use std::collections::{BTreeMap, BTreeSet};

use capture::Outcome;
use synth::completeness::{Completeness, State};
use synth::endpoint::Endpoint;
use synth::inventory::PodId;
use synth::part::{Part, PolicyIndex};
use synth::policy::{AnyPolicy, Direction};
use synth::render::render;
use synth::review::{Reviewed, Standing};
use synth::synthesize::{Notes, Planned, is_managed};
use synth::words;

use super::facts::{Facts, Found};
use super::fold::{Folded, Spot, fold};
use super::layout::{HEIGHT, Thing, layout, width_of};
use super::model::{Coverage, Edge, Finding, Inputs, Learning, LeftOut, Node, Page, Policy, Rule, Source, Verdict};
use super::unseen::unseen;
use crate::completeness;
use crate::finding::Place;

/// Names of one outside address that are written.
const NAMES: usize = 20;

/// The box of what is outside, and that of machines.
const OUTSIDE: &str = "outside the cluster";
const MACHINES: &str = "nodes";
const UNKNOWN: &str = "not resolved";

/// The page's data.
pub(super) fn fill(facts: &Facts<'_>, verdict: &super::verdict::Verdict) -> Page {
    let folded = fold(&facts.review, facts.inventory);
    let index = PolicyIndices::new(facts);
    let mut nodes = nodes(facts, &folded, &index);
    let areas: BTreeSet<(u8, String)> = folded.spots.iter().map(area).collect();
    let areas: Vec<(u8, String)> = areas.into_iter().collect();
    let number = |spot: &Spot| areas.binary_search(&area(spot)).unwrap_or_default();
    let things: Vec<Thing> = folded
        .spots
        .iter()
        .zip(&nodes)
        .map(|(spot, node)| Thing { width: width_of(&node.name), area: number(spot) })
        .collect();
    let pairs: BTreeSet<(usize, usize)> = folded.edges.iter().map(|(client, server, _)| (*client, *server)).collect();
    let names: Vec<String> = areas.iter().map(|(_, name)| name.clone()).collect();
    let (places, boxes) = layout(&things, &names, &pairs);
    for (at, (node, place)) in nodes.iter_mut().zip(places).enumerate() {
        node.area = things[at].area;
        node.namespace = matches!(folded.spots[at], Spot::Workload(_)).then_some(node.area);
        (node.x, node.y, node.width, node.height) = (round(place.x), round(place.y), round(place.width), HEIGHT);
    }
    Page {
        schema: 1,
        tool: concat!("ringfence ", env!("CARGO_PKG_VERSION")).to_string(),
        title: facts.names.title.clone(),
        verdict: Verdict {
            status: verdict.status.name(),
            headline: verdict.headline.clone(),
            detail: verdict.detail.clone(),
        },
        inputs: Inputs {
            flows: facts.names.flows.clone(),
            cluster: facts.names.cluster.clone(),
            policies: facts.names.policies.clone(),
        },
        coverage: coverage(facts),
        namespaces: boxes,
        nodes,
        edges: folded.edges.iter().map(|(client, server, edges)| edge(*client, *server, edges, &index)).collect(),
        policies: policies(facts, &folded, &index),
        rules: rules(facts, &folded, &index),
        findings: findings(facts, &folded, &index),
        left_out: left_out(facts, &folded),
    }
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The box of a spot; namespaces come first.
fn area(spot: &Spot) -> (u8, String) {
    match spot {
        Spot::Workload(workload) => (0, workload.namespace.clone()),
        Spot::Node(_) => (1, MACHINES.to_string()),
        Spot::Unresolved(_) => (2, UNKNOWN.to_string()),
        Spot::External(_) => (3, OUTSIDE.to_string()),
    }
}

/// Numbers of policies and rules in the lists of the page.
struct PolicyIndices {
    policies: BTreeMap<PolicyIndex, usize>,
    rules: BTreeMap<Part, usize>,
    /// By name, as findings have it.
    ids: BTreeMap<String, usize>,
}

impl PolicyIndices {
    fn new(facts: &Facts<'_>) -> PolicyIndices {
        let network = (0..facts.set.network.len()).map(PolicyIndex::Network);
        let all = network.chain((0..facts.set.cluster.len()).map(PolicyIndex::Cluster));
        let policies: BTreeMap<PolicyIndex, usize> = all.enumerate().map(|(at, index)| (index, at)).collect();
        let ids = policies.iter().map(|(index, at)| (Part::policy(*index).of(facts.set).id(), *at)).collect();
        let rules = facts.review.rules.iter().enumerate().map(|(at, used)| (used.rule, at)).collect();
        PolicyIndices { policies, rules, ids }
    }
}

fn nodes(facts: &Facts<'_>, folded: &Folded<'_>, index: &PolicyIndices) -> Vec<Node> {
    let evaluator = facts.inventory.evaluator(facts.set);
    let mut names: BTreeMap<&Endpoint, BTreeSet<&str>> = BTreeMap::new();
    for reviewed in &facts.review.edges {
        let evidence = reviewed.edge.outcomes.values();
        names
            .entry(&reviewed.edge.key.server)
            .or_default()
            .extend(evidence.flat_map(|it| &it.names).map(String::as_str));
    }
    let node = |spot: &Spot| {
        let mut node = Node {
            class: "workload",
            namespace: None,
            area: 0,
            kind: None,
            name: String::new(),
            x: 0.0,
            y: 0.0,
            width: 0.0,
            height: 0.0,
            pods: None,
            members: None,
            ingress: None,
            egress: None,
            policies: Vec::new(),
        };
        match spot {
            Spot::Workload(workload) => {
                (node.kind, node.name) = (Some(workload.kind.clone()), workload.name.clone());
                let info = facts.inventory.workloads.get(workload);
                let all: Vec<PodId> = info.map(|info| info.pods.clone()).unwrap_or_default();
                let living: Vec<PodId> = all.iter().copied().filter(|id| !facts.inventory.pod(*id).finished).collect();
                node.pods = Some(living.len());
                // Of one whose pods are all over, what they had counts.
                let pods = if living.is_empty() { all } else { living };
                if info.is_some_and(|info| !info.host_network) {
                    let isolating = |direction| -> BTreeSet<usize> {
                        let of = |id: &PodId| {
                            evaluator
                                .isolating(facts.inventory.pod(*id), direction)
                                .map(|(at, _)| at)
                                .collect::<Vec<_>>()
                        };
                        pods.iter().flat_map(of).collect()
                    };
                    let word = |policies: &BTreeSet<usize>| Some(if policies.is_empty() { "open" } else { "isolated" });
                    let [ingress, egress] = [isolating(Direction::Ingress), isolating(Direction::Egress)];
                    (node.ingress, node.egress) = (word(&ingress), word(&egress));
                    let network =
                        ingress.union(&egress).filter_map(|at| index.policies.get(&PolicyIndex::Network(*at)));
                    node.policies = network.copied().collect();
                }
            }
            Spot::Node(name) => (node.class, node.name) = ("node", name.clone()),
            Spot::Unresolved(endpoint) => (node.class, node.name) = ("unresolved", address(endpoint)),
            Spot::External(members) => {
                node.class = "external";
                let known: BTreeSet<&str> =
                    members.iter().filter_map(|member| names.get(member)).flatten().copied().collect();
                let first = known.first().map(|name| name.to_string());
                node.name = match (members.as_slice(), first) {
                    ([one], None) => address(one),
                    ([_], Some(name)) => name,
                    (several, None) => format!("{} addresses", crate::summary::number(several.len() as u64)),
                    (several, Some(name)) => format!("{name} + {}", several.len() - 1),
                };
                let is_plain = matches!(members.as_slice(), [one] if node.name == address(one));
                node.members = (!is_plain).then(|| members.iter().map(address).collect());
            }
        }
        node
    };
    folded.spots.iter().map(node).collect()
}

fn address(endpoint: &Endpoint) -> String {
    endpoint.to_string().trim_start_matches('?').to_string()
}

/// One edge of the page out of those that are drawn as one.
fn edge(client: usize, server: usize, edges: &[&Reviewed<'_>], index: &PolicyIndices) -> Edge {
    let mut outcomes: BTreeMap<Outcome, u64> = BTreeMap::new();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut rules: BTreeSet<usize> = BTreeSet::new();
    let (mut client_pods, mut server_pods) = (BTreeSet::new(), BTreeSet::new());
    let all = || edges.iter().flat_map(|reviewed| &reviewed.edge.outcomes);
    for (outcome, evidence) in all() {
        *outcomes.entry(*outcome).or_default() += evidence.connections;
        names.extend(evidence.names.iter().map(String::as_str));
        client_pods.extend(evidence.client_pods());
        server_pods.extend(evidence.server_pods());
    }
    for reviewed in edges {
        rules.extend(reviewed.rules.iter().filter_map(|rule| index.rules.get(rule)));
    }
    let first = all().map(|(_, evidence)| evidence.first).min().unwrap_or_default();
    let last = all().map(|(_, evidence)| evidence.last).max().unwrap_or_default();
    let best = all().map(|(_, evidence)| evidence.certainty).min();
    let worst = edges.iter().min_by_key(|reviewed| reviewed.standing);
    // An edge that nobody drew does not come here.
    let key = worst.map(|reviewed| &reviewed.edge.key);
    Edge {
        client,
        server,
        protocol: key.map_or("", |key| key.protocol.name()),
        port: key.map_or(0, |key| key.port),
        class: worst.map_or("", |reviewed| reviewed.edge.class.name()),
        verdict: worst.map_or("", |reviewed| reviewed.standing.name()),
        why: worst.and_then(|reviewed| reviewed.why.clone()),
        connections: outcomes.values().sum(),
        outcomes: outcomes.into_iter().map(|(outcome, count)| (outcome.name(), count)).collect(),
        direction: best.map_or("", |certainty| certainty.name()),
        client_pods: client_pods.len(),
        server_pods: server_pods.len(),
        first: first.to_string(),
        last: last.to_string(),
        service: all().find_map(|(_, evidence)| evidence.service()).map(str::to_string),
        names: names.into_iter().take(NAMES).map(str::to_string).collect(),
        ambiguous: all().any(|(_, evidence)| evidence.ambiguous),
        rules: rules.into_iter().collect(),
    }
}

fn policies(facts: &Facts<'_>, folded: &Folded<'_>, index: &PolicyIndices) -> Vec<Policy> {
    let policy = |(policy, _): (&PolicyIndex, &usize)| {
        let any = Part::policy(*policy).of(facts.set);
        let place = Place::of(&any.origin());
        let of_policy = |(rule, _): &(&Part, &usize)| rule.policy == *policy;
        let rules: Vec<usize> = index.rules.iter().filter(of_policy).map(|(_, at)| *at).collect();
        let selects = |(at, spot): (usize, &Spot)| {
            let Spot::Workload(workload) = spot else { return None };
            let pods = facts.inventory.workloads.get(workload).map(|info| info.pods.as_slice()).unwrap_or_default();
            pods.iter().any(|id| selects(any, facts, *id)).then_some(at)
        };
        Policy {
            kind: match any {
                AnyPolicy::Network(_) => "NetworkPolicy",
                AnyPolicy::Cluster(policy) => policy.kind.name(),
            },
            namespace: match any {
                AnyPolicy::Network(policy) => Some(policy.namespace.clone()),
                AnyPolicy::Cluster(_) => None,
            },
            name: match any {
                AnyPolicy::Network(policy) => policy.name.clone(),
                AnyPolicy::Cluster(policy) => policy.name.clone(),
            },
            file: place.as_ref().map(|place| place.file.clone()),
            line: place.as_ref().map(|place| place.line),
            managed: matches!(any, AnyPolicy::Network(policy) if is_managed(policy)),
            selects: folded.spots.iter().enumerate().filter_map(selects).collect(),
            text: match any {
                AnyPolicy::Network(network) => Some(text(facts, *policy, network)),
                AnyPolicy::Cluster(_) => None,
            },
            rules,
        }
    };
    index.policies.iter().map(policy).collect()
}

fn selects(policy: AnyPolicy<'_>, facts: &Facts<'_>, id: PodId) -> bool {
    let pod = facts.inventory.pod(id);
    if pod.host_network {
        return false;
    }
    match policy {
        AnyPolicy::Network(policy) => policy.namespace == pod.namespace && policy.subject.matches(&pod.labels),
        AnyPolicy::Cluster(policy) => {
            facts.inventory.namespaces.matches(&policy.subject.namespaces, &pod.namespace)
                && policy.subject.pods.matches(&pod.labels)
        }
    }
}

/// The policy as YAML, with the evidence of today beside its rules.
fn text(facts: &Facts<'_>, index: PolicyIndex, policy: &synth::policy::Policy) -> String {
    let notes = |direction: Direction| -> Vec<Notes> {
        let used = facts
            .review
            .rules
            .iter()
            .filter(|used| used.rule.policy == index && used.rule.direction == Some(direction));
        used.map(|used| Notes {
            rule: facts.review.evidence(used).unwrap_or_else(|| "not seen".to_string()),
            peers: Vec::new(),
        })
        .collect()
    };
    render(&Planned {
        policy: policy.clone(),
        workloads: Vec::new(),
        header: Vec::new(),
        ingress: notes(Direction::Ingress),
        egress: notes(Direction::Egress),
    })
}

fn rules(facts: &Facts<'_>, folded: &Folded<'_>, index: &PolicyIndices) -> Vec<Rule> {
    let mut found: BTreeMap<Part, &synth::unused::Finding> = BTreeMap::new();
    for finding in facts.rules() {
        // What is said of a whole policy is said of each of its rules; what is said of a peer or port only of that.
        let is_of = |rule: &&Part| match finding.part.rule {
            Some(_) => **rule == finding.part.whole_rule(),
            None => {
                rule.policy == finding.part.policy && finding.part.direction.is_none_or(|it| rule.direction == Some(it))
            }
        };
        for rule in index.rules.keys().filter(is_of) {
            let known = found.entry(*rule).or_insert(finding);
            // A finding of all of it says more than one of a part.
            if known.part.peer.or(known.part.port).is_some() && finding.part.peer.or(finding.part.port).is_none() {
                *known = finding;
            }
        }
    }
    let rule = |(used, at): (&synth::review::Used, usize)| {
        let Part { direction, rule, policy, .. } = used.rule;
        let finding = found.get(&used.rule);
        let line = Place::of(&used.rule.origin(facts.set)).map(|place| place.line);
        let is_seen = !used.edges.is_empty();
        let edges: BTreeSet<usize> = used.edges.iter().map(|edge| folded.drawn[*edge]).collect();
        debug_assert_eq!(index.rules.get(&used.rule), Some(&at));
        Rule {
            policy: index.policies.get(&policy).copied().unwrap_or_default(),
            direction: direction.map_or("", Direction::name),
            index: rule.unwrap_or_default(),
            text: words::allows(used.rule, facts.set),
            line,
            evidence: facts.review.evidence(used),
            edges: edges.into_iter().collect(),
            status: match finding {
                Some(finding) if finding.missing.is_empty() => Some(finding.status.name()),
                Some(_) => Some("insufficient_evidence"),
                None => is_seen.then_some("used"),
            },
            message: finding.map(|finding| match finding.missing.as_slice() {
                [] => finding.message.clone(),
                missing => format!("{}; but {}", finding.message, missing.join("; ")),
            }),
        }
    };
    facts.review.rules.iter().zip(0..).map(rule).collect()
}

fn findings(facts: &Facts<'_>, folded: &Folded<'_>, index: &PolicyIndices) -> Vec<Finding> {
    let by_key: BTreeMap<_, usize> =
        facts.review.edges.iter().zip(&folded.drawn).map(|(reviewed, drawn)| (&reviewed.edge.key, *drawn)).collect();
    let help: BTreeMap<String, String> =
        crate::catalogue::all().into_iter().map(|rule| (rule.id, rule.description)).collect();
    let mut all: Vec<Finding> = facts
        .found
        .iter()
        .map(|(item, found)| {
            let mut edges: BTreeSet<usize> = BTreeSet::new();
            let mut policies: BTreeSet<usize> = BTreeSet::new();
            let mut nodes: BTreeSet<usize> = BTreeSet::new();
            match found {
                Found::Edge(finding) => {
                    edges.extend(by_key.get(&finding.edge.key));
                    policies.extend(finding.policies.iter().filter_map(|id| index.ids.get(id)));
                }
                Found::Rule(finding) => {
                    policies.extend(index.policies.get(&finding.part.policy));
                    let any = finding.part.of(facts.set);
                    nodes.extend(folded.spots.iter().enumerate().filter_map(|(at, spot)| {
                        let Spot::Workload(workload) = spot else { return None };
                        let pods = &facts.inventory.workloads.get(workload)?.pods;
                        pods.iter().any(|id| selects(any, facts, *id)).then_some(at)
                    }));
                }
                Found::Exposure(finding) => {
                    edges.extend(finding.rows.iter().filter_map(|row| by_key.get(&row.edge.key)))
                }
            }
            nodes.extend(edges.iter().flat_map(|at| [folded.edges[*at].0, folded.edges[*at].1]));
            Finding {
                rule: item.rule.clone(),
                severity: item.severity.name(),
                message: item.message.clone(),
                about: item.key.clone(),
                nodes: nodes.into_iter().collect(),
                edges: edges.into_iter().collect(),
                policies: policies.into_iter().collect(),
                file: item.place.as_ref().map(|place| place.file.clone()),
                line: item.place.as_ref().map(|place| place.line),
                help: help.get(&item.rule).cloned(),
            }
        })
        .collect();
    let spot =
        |workload: &synth::endpoint::Workload| folded.spots.binary_search(&Spot::Workload(workload.clone())).ok();
    all.extend(facts.open.iter().map(|open| {
        Finding {
            rule: "not_isolated".to_string(),
            severity: "note",
            message: format!(
                "nothing isolates it for {}, and it has {} there",
                open.direction,
                synth::render::count(open.edges.len() as u64, "edge")
            ),
            about: open.workload.to_string(),
            nodes: spot(open.workload).into_iter().collect(),
            edges: open
                .edges
                .iter()
                .filter_map(|edge| by_key.get(&edge.key).copied())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            policies: Vec::new(),
            file: None,
            line: None,
            help: Some(
                "Everything is allowed in a direction that no policy isolates. `ringfence generate` writes one."
                    .to_string(),
            ),
        }
    }));
    all.extend(facts.limits.iter().map(|limit| Finding {
        rule: limit.limit.name().to_string(),
        severity: "warning",
        message: limit.message.clone(),
        about: limit.component.to_string(),
        nodes: Vec::new(),
        edges: Vec::new(),
        policies: limit.policies.iter().filter_map(|id| index.ids.get(id).copied()).collect(),
        file: None,
        line: None,
        help: Some(limit.source.to_string()),
    }));
    all
}

fn left_out(facts: &Facts<'_>, folded: &Folded<'_>) -> Vec<LeftOut> {
    let mut by_reason: BTreeMap<_, BTreeSet<usize>> = BTreeMap::new();
    for (reviewed, drawn) in facts.review.edges.iter().zip(&folded.drawn) {
        if let Standing::LeftOut(reason) = reviewed.standing {
            by_reason.entry(reason).or_default().insert(*drawn);
        }
    }
    let entry = |(reason, edges): (synth::learn::Reason, BTreeSet<usize>)| {
        let nodes: BTreeSet<usize> = edges.iter().flat_map(|at| [folded.edges[*at].0, folded.edges[*at].1]).collect();
        let connections: u64 = edges
            .iter()
            .flat_map(|at| &folded.edges[*at].2)
            .flat_map(|reviewed| reviewed.edge.outcomes.values())
            .map(|evidence| evidence.connections)
            .sum();
        LeftOut {
            reason: reason.text(),
            text: format!(
                "{}, {}",
                synth::render::count(edges.len() as u64, "edge"),
                synth::render::count(connections, "connection")
            ),
            nodes: nodes.into_iter().collect(),
            edges: edges.into_iter().collect(),
        }
    };
    by_reason.into_iter().map(entry).collect()
}

fn coverage(facts: &Facts<'_>) -> Coverage {
    let watch = &facts.coverage.watch;
    let window = watch.window.as_ref();
    let source = |source: &crate::source::Source| Source {
        name: source.name.clone(),
        from: source.span.map(|(from, _)| from.to_string()),
        to: source.span.map(|(_, to)| to.to_string()),
        frames: source.frames,
        lost: source.dropped(),
        damage: source.damage.as_ref().map(ToString::to_string),
    };
    Coverage {
        from: window.map(|window| window.from().to_string()),
        to: window.map(|window| window.to().to_string()),
        gaps: window
            .map(|window| window.gaps().iter().map(|(from, to)| [from.to_string(), to.to_string()]).collect())
            .unwrap_or_default(),
        nodes: [facts.coverage.nodes.0, facts.coverage.nodes.1],
        pods: [facts.coverage.pods.0, facts.coverage.pods.1],
        lost: watch.lost,
        connections: facts.doubts.conversations,
        unresolved: facts.doubts.unresolved,
        guessed: facts.doubts.guessed,
        ambiguous: facts.doubts.ambiguous,
        sources: facts.traffic.sources.iter().map(source).collect(),
        unseen: unseen(facts),
        learning: facts.learned.map(learning),
    }
}

fn learning(learned: &Completeness) -> Learning {
    let Completeness { window, total, workloads } = learned;
    let still: Vec<String> = workloads
        .iter()
        .filter(|(_, learned)| learned.state == State::Learning)
        .map(|(workload, _)| workload.to_string())
        .collect();
    let sentence = completeness::sentence(total, window);
    // The headline says the state.
    let mut facts = vec![sentence.split_once(": ").map_or(sentence.clone(), |(_, rest)| rest.to_string())];
    if !still.is_empty() && window.watched() >= synth::completeness::HOUR {
        let (count, all) = (still.len(), workloads.len());
        facts.push(format!("{count} of {all} workloads are still learning: {}", super::verdict::some(&still)));
    }
    Learning {
        status: match total.state {
            State::Learning => "learning",
            State::Settling => "settling",
            State::Stable => "settled",
        },
        headline: match total.state {
            State::Learning => "Still learning".to_string(),
            State::Settling => "Settling".to_string(),
            State::Stable => "Stable".to_string(),
        },
        facts,
    }
}
