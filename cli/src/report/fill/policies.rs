//! Policies and rules, each with what used it.

use std::collections::{BTreeMap, BTreeSet};

use synth::inventory::PodId;
use synth::part::{Part, PolicyIndex};
use synth::policy::{AnyPolicy, Direction};
use synth::render::render;
use synth::synthesize::{Notes, Planned, is_managed};
use synth::words;

use super::PolicyIndices;
use crate::finding::Place;
use crate::report::facts::Facts;
use crate::report::fold::{Folded, Spot};
use crate::report::model::{Policy, Rule};

pub(super) fn policies(facts: &Facts<'_>, folded: &Folded<'_>, index: &PolicyIndices) -> Vec<Policy> {
    let policy = |(policy, _): (&PolicyIndex, &usize)| {
        let any = Part::policy(*policy).of(facts.set);
        let place = Place::of(&any.origin());
        let rules = index.rules_of.get(policy).cloned().unwrap_or_default();
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
                AnyPolicy::Network(network) => Some(text(facts, index.rules_of.get(policy), network)),
                AnyPolicy::Cluster(_) => None,
            },
            rules,
        }
    };
    index.policies.iter().map(policy).collect()
}

pub(super) fn selects(policy: AnyPolicy<'_>, facts: &Facts<'_>, id: PodId) -> bool {
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
fn text(facts: &Facts<'_>, rules: Option<&Vec<usize>>, policy: &synth::policy::Policy) -> String {
    let notes = |direction: Direction| -> Vec<Notes> {
        let all = rules.into_iter().flatten().map(|at| &facts.review.rules[*at]);
        let note = |used| Notes {
            rule: facts.review.evidence(used).unwrap_or_else(|| "not seen".to_string()),
            peers: Vec::new(),
        };
        all.filter(|used| used.rule.direction == Some(direction)).map(note).collect()
    };
    render(&Planned {
        policy: policy.clone(),
        workloads: Vec::new(),
        header: Vec::new(),
        ingress: notes(Direction::Ingress),
        egress: notes(Direction::Egress),
    })
}

pub(super) fn rules(facts: &Facts<'_>, folded: &Folded<'_>, index: &PolicyIndices) -> Vec<Rule> {
    let mut found: BTreeMap<Part, &synth::unused::Finding> = BTreeMap::new();
    for finding in facts.rules() {
        // What is said of a whole policy is said of each of its rules; what is said of a peer or port only of that.
        let is_of = |rule: &Part| match finding.part.rule {
            Some(_) => *rule == finding.part.whole_rule(),
            None => finding.part.direction.is_none_or(|it| rule.direction == Some(it)),
        };
        let of_policy = index.rules_of.get(&finding.part.policy).into_iter().flatten();
        for rule in of_policy.map(|at| facts.review.rules[*at].rule).filter(is_of) {
            let known = found.entry(rule).or_insert(finding);
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
