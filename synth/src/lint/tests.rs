//! Inputs are written in flow style, several objects a text; the tables stand with the checks.

use std::collections::BTreeSet;

use super::*;
use crate::inventory::Options;

/// A NetworkPolicy with `spec` as it would stand in a file.
pub(super) fn policy(namespace: &str, name: &str, spec: &str) -> String {
    let head = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy";
    format!("{head}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n---\n")
}

/// A Deployment whose pods have `labels`.
pub(super) fn deployment(namespace: &str, name: &str, labels: &str) -> String {
    let template = format!("{{metadata: {{labels: {{{labels}}}}}, spec: {{containers: [{{name: c, ports: []}}]}}}}");
    let spec = format!("{{selector: {{matchLabels: {{{labels}}}}}, template: {template}}}");
    format!("kind: Deployment\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n---\n")
}

/// A pod as a server prints it.
pub(super) fn pod(namespace: &str, name: &str, labels: &str) -> String {
    let metadata = format!("{{name: {name}, namespace: {namespace}, labels: {{{labels}}}}}");
    format!("kind: Pod\nmetadata: {metadata}\nstatus: {{phase: Running}}\n---\n")
}

/// A Namespace.
pub(super) fn namespace(name: &str, labels: &str) -> String {
    format!("kind: Namespace\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n---\n")
}

/// A Service.
pub(super) fn service(namespace: &str, name: &str, selector: &str, ports: &str) -> String {
    let spec = format!("{{selector: {{{selector}}}, ports: {ports}}}");
    format!("kind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n---\n")
}

/// What is found in files.
pub(super) fn findings(files: &[(&str, &str)]) -> Vec<Finding> {
    let mut objects = Objects::default();
    for (name, text) in files {
        objects.load(name, text);
    }
    let inventory = Inventory::build(&objects, &Options::default());
    let policies = objects.policy_set();
    lint(&Input { policies, problems: &objects.problems, objects: &objects, inventory: &inventory })
}

fn of_texts(texts: &[String]) -> Vec<Finding> {
    let names: Vec<String> = (0..texts.len()).map(|at| format!("{at}.yaml")).collect();
    let files: Vec<(&str, &str)> = names.iter().zip(texts).map(|(name, text)| (name.as_str(), text.as_str())).collect();
    findings(&files)
}

/// The ids of what is found.
pub(super) fn ids(texts: &[String]) -> Vec<&'static str> {
    of_texts(texts).iter().map(|finding| finding.id.name()).collect()
}

/// `id: fix` of what is found.
pub(super) fn fixes(texts: &[String]) -> Vec<String> {
    of_texts(texts).iter().map(|finding| format!("{}: {}", finding.id.name(), finding.fix)).collect()
}

/// What is found about cluster-wide policies.
pub(super) fn lint_cluster_wide(policies: &[ClusterPolicy], cluster: &str) -> Vec<&'static str> {
    let mut objects = Objects::default();
    objects.load("cluster.yaml", cluster);
    let inventory = Inventory::build(&objects, &Options::default());
    let policies = PolicySet { network: &[], cluster: policies };
    let input = Input { policies, problems: &objects.problems, objects: &objects, inventory: &inventory };
    lint(&input).iter().map(|finding| finding.id.name()).collect()
}

#[test]
fn every_check_has_a_name_of_its_own_and_a_line_of_documentation() {
    let names: BTreeSet<&str> = Id::ALL.iter().map(|id| id.name()).collect();
    assert_eq!(names.len(), Id::ALL.len());
    assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
    assert!(Id::ALL.iter().all(|id| !id.summary().is_empty() && !id.summary().ends_with('.')));
}

#[test]
fn findings_come_by_file_and_line() {
    let twice = policy("x", "b", "{podSelector: {matchLabels: {tier: a}}, ingress: [{}, {}]}");
    let idle = policy("x", "a", "{podSelector: {matchLabels: {tier: a}}, policyTypes: [Ingress], egress: [{}]}");
    let places = |files: &[(&str, &str)]| -> Vec<(String, &str)> {
        findings(files).iter().map(|finding| (finding.origin.to_string(), finding.id.name())).collect()
    };
    let both = format!("{twice}{idle}");
    let found = places(&[("z.yaml", &idle), ("a.yaml", &both)]);
    let expected = [("a.yaml:4", "duplicate-rule"), ("a.yaml:9", "rules-ignored")];
    assert_eq!(found, expected.map(|(place, id)| (place.to_string(), id)), "what reads alike is judged once");
}
