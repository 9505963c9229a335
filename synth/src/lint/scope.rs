//! `rules-ignored`, `empty-match-labels`, `isolates-namespace`: policies that do more, or less, than they seem to.

use std::collections::BTreeSet;

use super::{Context, Findings, Id, listed};
use crate::label::Selector;
use crate::policy::{Direction, Ignored, Namespaces, Peer, Peers, Policy, PortMatch, Ports, Rule};
use crate::port::PortRange;
use crate::ports::PortSet;

pub(super) fn check(context: &Context<'_>, policy: &Policy, found: &mut Findings) {
    for ignored in &policy.ignored {
        match *ignored {
            Ignored::Rules { direction, count, line } => {
                let (rules, are) = if count == 1 { ("rule", "is") } else { ("rules", "are") };
                let kind = match direction {
                    Direction::Ingress => "Ingress",
                    Direction::Egress => "Egress",
                };
                let message = format!("{count} {direction} {rules} {are} ignored: policyTypes does not list {kind}");
                let fix = format!("add {kind} to policyTypes, or leave the {rules} out");
                found.add(Id::RulesIgnored, policy, line, message, fix);
            }
            Ignored::MatchLabels { subject: false, line } => {
                let message = "matchLabels has no label, so the selector matches everything".to_string();
                let fix = "write the labels, or {} where everything is meant".to_string();
                found.add(Id::EmptyMatchLabels, policy, line, message, fix);
            }
            Ignored::MatchLabels { subject: true, .. } => {}
        }
    }
    if policy.subject.is_everything() {
        whole_namespace(context, policy, found);
    }
}

fn whole_namespace(context: &Context<'_>, policy: &Policy, found: &mut Findings) {
    let has_rules = Direction::ALL.into_iter().any(|direction| !policy.rules(direction).unwrap_or_default().is_empty());
    let pods = || context.index.groups_of(&policy.namespace).map(|group| context.index.pod(group));
    let workloads: BTreeSet<String> =
        pods().map(|pod| format!("{} {}", pod.workload.kind, pod.workload.name)).collect();
    if workloads.len() == 1 {
        return;
    }
    let of = if workloads.is_empty() { String::new() } else { format!(" ({})", listed(workloads, 3)) };
    let namespace = &policy.namespace;
    if let Some(named) = spoken_of(context, policy, has_rules) {
        let message = format!(
            "podSelector is empty: the policy, named after {named}, applies to every pod of namespace {namespace}{of}"
        );
        let labels = context.index.groups_of(namespace).find_map(|group| {
            let workload = &context.index.pod(group).workload;
            let info = context.input.inventory.workloads.get(workload)?;
            (workload.name == named)
                .then(|| info.selector.clone().unwrap_or_else(|| Selector::from_labels(&info.labels)))
        });
        let fix = match labels.filter(|labels| !labels.is_everything()) {
            Some(labels) => format!("select {named}: {labels}"),
            None => format!("select {named} by its labels"),
        };
        found.add(Id::IsolatesNamespace, policy, policy.subject_line, message, fix);
        return;
    }
    let empty_labels =
        policy.ignored.iter().any(|ignored| matches!(ignored, Ignored::MatchLabels { subject: true, .. }));
    let isolates = Direction::ALL.into_iter().filter(|direction| {
        let rules = policy.rules(*direction).unwrap_or_default();
        !rules.is_empty() && (empty_labels || !is_template(context, policy, *direction))
    });
    let isolates: Vec<&str> = isolates.map(Direction::name).collect();
    if isolates.is_empty() {
        return;
    }
    let why = if empty_labels { "matchLabels has no label" } else { "podSelector is empty" };
    let message = format!(
        "{why}: every pod of namespace {namespace} is isolated for {}{of}, and the rules are those of each of them",
        isolates.join(" and ")
    );
    let fix = "name the pods that are meant; to isolate a namespace on purpose, write a policy without rules for it"
        .to_string();
    found.add(Id::IsolatesNamespace, policy, policy.subject_line, message, fix);
}

/// The workload that the policy's name speaks of and its rules do not.
fn spoken_of(context: &Context<'_>, policy: &Policy, has_rules: bool) -> Option<String> {
    let idiom = |word: &str| policy.name.split(['-', '.']).any(|part| part == word);
    if !has_rules && (idiom("default") || idiom("all")) {
        return None;
    }
    let dashed = format!("-{}-", policy.name.replace('.', "-"));
    let index = &context.index;
    let mut named: Vec<(&str, u32)> = index
        .groups_of(&policy.namespace)
        .map(|group| (index.pod(group).workload.name.as_str(), group))
        .filter(|(name, _)| *name != policy.namespace && dashed.contains(&format!("-{name}-")))
        .collect();
    named.sort_by_key(|(name, group)| (std::cmp::Reverse(name.len()), *group));
    let (name, group) = *named.first()?;
    // `allow-from-prometheus` says who may come.
    let peer = super::rules(policy).any(|(_, _, rule)| match &rule.peers {
        Peers::Everyone => false,
        Peers::Any(list) => list.iter().any(|peer| match peer {
            Peer::Pods { namespaces: Namespaces::Own, pods } => {
                !pods.is_everything() && pods.matches(&index.pod(group).labels)
            }
            _ => false,
        }),
    });
    let partner = ["from", "to"].iter().any(|word| dashed.contains(&format!("-{word}-{name}-")));
    (!peer && !partner).then(|| name.to_string())
}

/// Whether the namespace is isolated as a whole on purpose: a policy for all of its pods denies everything, or speaks of
/// the namespace as of one thing. Allowing everything, or DNS alone, is no isolation to worry about either.
fn is_template(context: &Context<'_>, policy: &Policy, direction: Direction) -> bool {
    let rules = policy.rules(direction).unwrap_or_default();
    let dns = |rule: &Rule| match &rule.ports {
        Ports::All => false,
        Ports::Any(list) => list.iter().all(|port| match &port.port {
            PortMatch::Range(range) => range.from() == range.to() && matches!(range.from(), 53 | 5353),
            PortMatch::Named(name) => name.contains("dns"),
            PortMatch::Every => false,
        }),
    };
    let other = Direction::ALL.into_iter().any(|other| policy.rules(other).is_some_and(<[Rule]>::is_empty));
    if other || rules.iter().all(dns) {
        return true;
    }
    let as_a_whole = |other: &&Policy| {
        let Some(rules) = other.rules(direction).filter(|_| other.subject.is_everything()) else { return false };
        rules.is_empty() || rules.iter().any(|rule| all_of_namespace(rule) || is_everything(rule))
    };
    context.effective(&policy.namespace).iter().any(as_a_whole)
}

fn is_everything(rule: &Rule) -> bool {
    let every_port = match &rule.ports {
        Ports::All => true,
        Ports::Any(list) => {
            let ranges = list.iter().filter_map(|port| match &port.port {
                PortMatch::Every => Some((port.protocol, PortRange::ALL)),
                PortMatch::Range(range) => Some((port.protocol, *range)),
                PortMatch::Named(_) => None,
            });
            ranges.collect::<PortSet>().is_everything()
        }
    };
    rule.peers == Peers::Everyone && every_port
}

/// `from: [{podSelector: {}}]`
fn all_of_namespace(rule: &Rule) -> bool {
    let Peers::Any(list) = &rule.peers else { return false };
    list.iter().any(|peer| matches!(peer, Peer::Pods { namespaces: Namespaces::Own, pods } if pods.is_everything()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{deployment, fixes, ids, policy};

    #[test]
    fn rules_without_their_type() {
        for (spec, expected) in [
            ("{podSelector: {matchLabels: {a: b}}, policyTypes: [Ingress], ingress: [{}]}", vec![]),
            (
                "{podSelector: {matchLabels: {a: b}}, policyTypes: [Ingress], egress: [{}]}",
                vec!["rules-ignored: add Egress to policyTypes, or leave the rule out"],
            ),
            (
                "{podSelector: {matchLabels: {a: b}}, policyTypes: [Egress], ingress: [{}, {ports: [{port: 80}]}]}",
                vec!["rules-ignored: add Ingress to policyTypes, or leave the rules out"],
            ),
            (
                "{podSelector: {matchLabels: {a: b}}, ingress: [{from: [{podSelector: {matchLabels: {}}}]}]}",
                vec!["empty-match-labels: write the labels, or {} where everything is meant"],
            ),
            ("{podSelector: {matchLabels: {a: b}}, ingress: [{from: [{podSelector: {}}]}]}", vec![]),
        ] {
            assert_eq!(fixes(&[policy("x", "a", spec)]), expected, "{spec}");
        }
    }

    #[test]
    fn whole_namespaces() {
        let cluster = deployment("x", "web", "app: web") + &deployment("x", "redis", "app: redis");
        let deny = policy("x", "default-deny", "{podSelector: {}, policyTypes: [Ingress, Egress]}");
        let from = "ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 6379}]}]";
        for (name, spec, with_deny, expected, shows) in [
            ("default-deny", "{podSelector: {}}".to_string(), false, &[][..], "the idiom"),
            ("default-deny", "{podSelector: {matchLabels: {}}}".to_string(), false, &[], "in other words"),
            ("default-deny", "{podSelector: {matchLabels: }}".to_string(), false, &[], "and others"),
            ("clients", format!("{{podSelector: {{}}, {from}}}"), false, &["isolates-namespace"], "rules for all"),
            ("clients", format!("{{podSelector: {{}}, {from}}}"), true, &[], "which are isolated anyway"),
            (
                "clients",
                format!("{{podSelector: {{matchLabels: }}, {from}}}"),
                true,
                &["isolates-namespace"],
                "labels were meant",
            ),
            ("redis", format!("{{podSelector: {{}}, {from}}}"), true, &["isolates-namespace"], "named after one"),
            ("redis-clients", "{podSelector: {}}".to_string(), false, &["isolates-namespace"], "without rules"),
            ("from-web", format!("{{podSelector: {{}}, {from}}}"), true, &[], "named after who comes"),
            ("allow-all", "{podSelector: {}, ingress: [{}]}".to_string(), false, &[], "no isolation"),
            (
                "same-namespace",
                "{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}".to_string(),
                false,
                &[],
                "a border",
            ),
            (
                "dns",
                "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: UDP}]}]}".to_string(),
                false,
                &[],
                "DNS for all",
            ),
        ] {
            let mut files = vec![policy("x", name, &spec), cluster.clone()];
            files.extend(with_deny.then(|| deny.clone()));
            assert_eq!(ids(&files), expected, "{name}: {shows}");
        }
    }
}
