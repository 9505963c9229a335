//! Pairs of rules, and what the second is to the first.

use super::*;
use crate::manifest::Objects;

fn policies(specs: &[(&str, &str)]) -> Vec<Policy> {
    let mut objects = Objects::default();
    for (name, spec) in specs {
        let text = format!(
            "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: {name}, namespace: shop}}, spec: {{{spec}}}}}"
        );
        objects.load("policies.yaml", &text);
    }
    assert_eq!(objects.problems, []);
    objects.policies
}

/// `change old -> new`, by the numbers of the rules.
fn rules(old: &str, new: &str) -> Vec<String> {
    let spec = |rules: &str| format!("podSelector: {{}}, ingress: [{rules}]");
    let (old, new) = (policies(&[("p", &spec(old))]), policies(&[("p", &spec(new))]));
    let number = |part: Option<Part>| part.and_then(|part| part.rule).map_or("-".to_string(), |rule| rule.to_string());
    let revision = revision((&old).into(), (&new).into());
    assert_eq!(revision.policies, []);
    let line = |rule: &RuleChange| format!("{} {} -> {}", rule.change.name(), number(rule.old), number(rule.new));
    revision.rules.iter().map(line).collect()
}

#[test]
fn rules_are_compared_by_what_is_written() {
    let web = "{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}";
    for (old, new, expected, what) in [
        (web, web, vec![], "the same"),
        ("", web, vec!["added - -> 0"], "a new rule"),
        (web, "", vec!["removed 0 -> -"], "a rule that is gone"),
        (
            web,
            "{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}, {port: 81}]}",
            vec!["widened 0 -> 0"],
            "one port more",
        ),
        (
            "{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80, endPort: 90}]}",
            web,
            vec!["narrowed 0 -> 0"],
            "one port of a range",
        ),
        (web, "{from: [{podSelector: {}}], ports: [{port: 80}]}", vec!["widened 0 -> 0"], "all pods"),
        (web, "{ports: [{port: 80}]}", vec!["widened 0 -> 0"], "everybody"),
        (
            web,
            "{from: [{podSelector: {matchLabels: {app: web, tier: front}}}], ports: [{port: 80}]}",
            vec!["narrowed 0 -> 0"],
            "pods that have one more label",
        ),
        (
            web,
            "{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}",
            vec!["widened 0 -> 0"],
            "of all namespaces, this one among them",
        ),
        (
            web,
            "{from: [{namespaceSelector: {matchLabels: {a: b}}, podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}",
            vec!["changed 0 -> 0"],
            "whether this namespace is among them is not written",
        ),
        (
            web,
            "{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 81}]}",
            vec!["changed 0 -> 0"],
            "another port",
        ),
        (
            web,
            "{from: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 81}]}",
            vec!["removed 0 -> -", "added - -> 0"],
            "nothing in common",
        ),
        (
            "{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}",
            "{from: [{ipBlock: {cidr: 10.0.0.0/9}}, {ipBlock: {cidr: 10.128.0.0/9}}]}",
            vec![],
            "two halves are the whole",
        ),
        (
            "{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}",
            "{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}",
            vec!["widened 0 -> 0"],
            "an exception less",
        ),
        (
            "{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}",
            "{from: [{ipBlock: {cidr: 203.0.113.9/32}}]}",
            vec!["narrowed 0 -> 0"],
            "one address of all",
        ),
        (
            "{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}, {ports: [{port: 1}]}",
            "{ports: [{port: 1}]}, {from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}",
            vec![],
            "the order means nothing",
        ),
        (
            web,
            "{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80, protocol: UDP}]}",
            vec!["changed 0 -> 0"],
            "another protocol",
        ),
        (
            web,
            "{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: http}]}",
            vec!["changed 0 -> 0"],
            "a name",
        ),
        (
            "{from: [{podSelector: {matchLabels: {app: idle}}}], ports: [{port: 80}]}, \
             {from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}",
            "{from: [{podSelector: {matchLabels: {app: web}}}, {podSelector: {matchLabels: {app: x}}}], ports: [{port: 80}]}",
            vec!["removed 0 -> -", "widened 1 -> 0"],
            "the best pair counts, not the first",
        ),
    ] {
        assert_eq!(rules(old, new), expected, "{what}");
    }
}

#[test]
fn policies_as_a_whole() {
    for (old, new, expected, what) in [
        ("podSelector: {}, ingress: []", "podSelector: {}, ingress: []", None, "the same"),
        (
            "podSelector: {}, ingress: []",
            "podSelector: {}, policyTypes: [Ingress, Egress]",
            Some(Change::Changed),
            "it isolates more",
        ),
        ("podSelector: {matchLabels: {a: b}}", "podSelector: {}", Some(Change::Changed), "it selects more"),
        ("podSelector: {}", "podSelector: {matchLabels: {a: b}}", Some(Change::Changed), "it selects less"),
        (
            "podSelector: {matchLabels: {a: c}}",
            "podSelector: {matchLabels: {a: b}}",
            Some(Change::Changed),
            "it selects others",
        ),
    ] {
        let (old, new) = (policies(&[("p", old)]), policies(&[("p", new)]));
        let revision = revision((&old).into(), (&new).into());
        assert_eq!(revision.policies.first().map(|policy| policy.change), expected, "{what}");
    }
    let rule = "podSelector: {}, ingress: [{}], egress: [{}]";
    let (old, new) = (policies(&[("gone", rule)]), policies(&[("new", rule)]));
    let revision = revision((&old).into(), (&new).into());
    let changes: Vec<Change> = revision.policies.iter().map(|policy| policy.change).collect();
    assert_eq!(changes, [Change::Removed, Change::Added]);
    assert_eq!(revision.rules.len(), 4, "its rules come and go with it");
}
