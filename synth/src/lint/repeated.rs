//! `duplicate-name` and `duplicate-rule`.

use std::collections::HashMap;

use super::{Context, Findings, Id, rules};
use crate::policy::{Direction, Peer, Peers, Policy, PolicyPort, Ports};

/// Policies to be applied that have a name in common and differ. One that is in the cluster already is only what the
/// other replaces.
pub(super) fn names(context: &Context<'_>, found: &mut Findings) {
    let mut first: HashMap<(&str, &str), &Policy> = HashMap::new();
    for policy in &context.judged {
        // `generateName`: the server completes it.
        if policy.version != 0 || policy.name.ends_with('-') {
            continue;
        }
        if let Some(other) = first.insert((&policy.namespace, &policy.name), policy) {
            let message = format!(
                "another policy of this name is at {}; applied one after the other, the last replaces all",
                other.origin
            );
            found.add(
                Id::DuplicateName,
                policy,
                0,
                message,
                "give one of them another name, or make them one".to_string(),
            );
        }
    }
}

/// Rules that a policy has twice, whatever the order of their peers and ports.
pub(super) fn rules_twice(policy: &Policy, found: &mut Findings) {
    type Content<'p> = (Direction, Option<Vec<&'p Peer>>, Option<Vec<&'p PolicyPort>>);
    let mut seen: HashMap<Content<'_>, (usize, u32)> = HashMap::new();
    for (direction, at, rule) in rules(policy) {
        let peers = match &rule.peers {
            Peers::Everyone => None,
            Peers::Any(list) => Some(sorted(list)),
        };
        let ports = match &rule.ports {
            Ports::All => None,
            Ports::Any(list) => Some(sorted(list)),
        };
        let known = seen.entry((direction, peers, ports)).or_insert((at, rule.lines.rule));
        if known.0 != at {
            let message =
                format!("{direction} rule {at} allows what rule {} (line {}) allows already", known.0, known.1);
            found.add(Id::DuplicateRule, policy, rule.lines.rule, message, "leave one of them out".to_string());
        }
    }
}

fn sorted<T: Ord>(list: &[T]) -> Vec<&T> {
    let mut items: Vec<&T> = list.iter().collect();
    items.sort();
    items.dedup();
    items
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ids, policy};

    #[test]
    fn the_same_name() {
        let web = policy("x", "a", "{podSelector: {matchLabels: {app: web}}}");
        let api = policy("x", "a", "{podSelector: {matchLabels: {app: api}}}");
        let stored = |text: &str, version: u32| {
            text.replace("metadata: {", &format!("metadata: {{resourceVersion: \"{version}\", "))
        };
        for (files, expected, shows) in [
            (vec![web.clone(), api.clone()], &["duplicate-name"][..], "two that differ"),
            (vec![web.clone(), web.clone()], &[], "the same twice is one"),
            (vec![web.clone(), api.replace("namespace: x", "namespace: z")], &[], "in two namespaces"),
            (vec![stored(&web, 1), stored(&api, 2)], &[], "two dumps of one cluster"),
            (vec![stored(&web, 1), api.clone()], &[], "what is in the cluster is replaced"),
            (
                vec![web.replace("name: a,", "generateName: a-,"), api.replace("name: a,", "generateName: a-,")],
                &[],
                "the server names them",
            ),
        ] {
            assert_eq!(ids(&files), expected, "{shows}");
        }
    }

    #[test]
    fn the_same_rule() {
        let of = |rules: &str| {
            vec![policy("x", "a", &format!("{{podSelector: {{matchLabels: {{app: web}}}}, ingress: [{rules}]}}"))]
        };
        let rule = "{from: [{podSelector: {}}, {ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 80}]}";
        let turned = "{from: [{ipBlock: {cidr: 192.0.2.0/24}}, {podSelector: {}}], ports: [{port: 80, protocol: TCP}]}";
        assert_eq!(ids(&of(&format!("{rule}, {turned}"))), ["duplicate-rule"]);
        assert!(ids(&of(&format!("{rule}, {}", turned.replace("80", "81")))).is_empty());
    }
}
