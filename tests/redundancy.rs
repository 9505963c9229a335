//! Which rules and policies `unused` calls redundant, and that of those which can stand for one another one stays.

use std::fs;

use serde_json::Value;

use crate::program;
use crate::unused::{all, directory, findings, from, judge, message, place, policy, shop, traffic, workload};

#[test]
fn of_twins_one_has_to_stay() {
    let rules = format!("  ingress:\n{}", from("web", "8080"));
    let found = judge(&(shop() + &policy("a", "api", &rules) + &policy("b", "api", &rules)), &traffic());
    assert_eq!(all(&found), ["redundant shop/b ingress 0"]);
    assert_eq!(
        (&found[0]["basis"], place(&found[0]["one_of"][0])),
        (&Value::from("structure"), "shop/a ingress 0".into())
    );
    assert!(
        message(&found[0]).contains("one of this and ingress rule 0 of shop/a is enough"),
        "{}",
        message(&found[0])
    );
    assert!(found[0]["one_of"][0]["line"].as_u64() < found[0]["line"].as_u64());
}

/// Two rules that overlap only in what was seen: neither is redundant, and one of them is needed.
#[test]
fn of_rules_that_allow_the_same_flows_one_has_to_stay() {
    let rule = |other: &str| {
        let either = format!("{{matchExpressions: [{{key: app, operator: In, values: [web, {other}]}}]}}");
        format!("  - {{from: [{{podSelector: {either}}}], ports: [{{port: 8080}}]}}\n")
    };
    let others = workload("shop", "job", "10.1.0.8") + &workload("shop", "cart", "10.1.0.9");
    let policy = policy("api", "api", &format!("  ingress:\n{}{}", rule("job"), rule("cart")));
    let found = judge(&(shop() + &others + &policy), &traffic());
    assert_eq!(all(&found), ["unused shop/api ingress 1"]);
    assert_eq!((&found[0]["hits"], place(&found[0]["one_of"][0])), (&Value::from(49), "shop/api ingress 0".into()));
    assert!(message(&found[0]).ends_with("one of them is enough"), "{}", message(&found[0]));
}

/// A rule that is allowed elsewhere can go; the policy that alone isolates a pod can not, whatever its rules are.
#[test]
fn redundancy_respects_isolation() {
    let inside = format!("  ingress:\n{}", from("web", "8080"));
    let outside = "  ingress:\n  - {from: [{podSelector: {}}], ports: [{port: 8080}]}";
    let found = judge(&(shop() + &policy("all", "", outside) + &policy("api", "api", &inside)), &traffic());
    assert_eq!(all(&found), ["redundant shop/api ingress 0"]);
    assert_eq!(found[0]["basis"], "structure");
    // Nothing but these two isolates, and each about other pods.
    let deny = policy("api", "api", "  ingress: []") + &policy("web", "web", "  policyTypes: [Ingress]");
    assert_eq!(all(&judge(&(shop() + &deny), "")), Vec::<String>::new());
    // A policy without rules is needed for as long as nothing else isolates all of its pods, in each of its directions.
    let deny = |types: &str| policy("deny", "api", &format!("  policyTypes: [{types}]"));
    let api = policy("api", "api", &inside);
    assert_eq!(all(&judge(&(shop() + &deny("Ingress") + &api), &traffic())), ["redundant shop/deny"]);
    assert_eq!(all(&judge(&(shop() + &deny("Ingress, Egress") + &api), &traffic())), Vec::<String>::new());
    assert_eq!(all(&judge(&(shop() + &policy("deny", "", "  ingress: []") + &api), &traffic())), Vec::<String>::new());
}

#[test]
fn one_of_two_deny_alls_can_go() {
    let deny = "  policyTypes: [Ingress, Egress]";
    let found = judge(&(shop() + &policy("one", "", deny) + &policy("two", "", deny)), "");
    assert_eq!(all(&found), ["redundant shop/two"]);
    assert_eq!((&found[0]["rule"], &found[0]["direction"]), (&Value::Null, &Value::Null));
}

/// What can stand in for a rule whatever pods come, and what only as long as there are none but today's.
#[test]
fn redundant_by_structure_or_today() {
    let cluster = shop() + &workload("shop", "job", "10.1.0.6");
    let rule = |selector: &str| format!("  - {{from: [{{podSelector: {selector}}}], ports: [{{port: 8080}}]}}\n");
    let both = |one: &str, two: &str| policy("api", "api", &format!("  ingress:\n{}{}", rule(one), rule(two)));
    let structure =
        both("{matchLabels: {app: web}}", "{matchExpressions: [{key: app, operator: In, values: [web, job]}]}");
    let found = judge(&(cluster.clone() + &structure), &traffic());
    assert_eq!(
        (all(&found)[0].as_str(), &found[0]["basis"]),
        ("redundant shop/api ingress 0", &Value::from("structure"))
    );
    let today = both(
        "{matchLabels: {app: web}}",
        "{matchExpressions: [{key: app, operator: NotIn, values: [api, db]}, {key: tier, operator: DoesNotExist}]}",
    );
    let found = judge(&(cluster + &today), &traffic());
    assert_eq!((all(&found)[0].as_str(), &found[0]["basis"]), ("redundant shop/api ingress 0", &Value::from("today")));
    assert!(message(&found[0]).ends_with("as long as there are no other pods than today's"), "{}", message(&found[0]));
}

/// The definitions of a public analyzer: a set of policies is vacuous if it allows what no policy would have denied, two
/// are equivalent if they allow the same, and a policy is redundant if the others are equivalent to all. Whatever `unused`
/// calls redundant, `diff` sees no difference without.
#[test]
fn redundant_means_no_difference() {
    let api = policy("api", "api", &format!("  ingress:\n{}", from("web", "8080")));
    let wider = policy("wide", "", "  ingress:\n  - {from: [{podSelector: {}}], ports: [{port: 8080}]}");
    let directory = directory(&(shop() + &api + &wider), &[("t.pcap", &traffic())]);
    assert_eq!(all(&findings(&directory, "--pcap t.pcap")), ["redundant shop/api ingress 0"]);
    let difference = |old: &str, new: &str| {
        fs::write(directory.path().join("old.yaml"), old).unwrap();
        fs::write(directory.path().join("new.yaml"), new).unwrap();
        fs::write(directory.path().join("pods.yaml"), shop()).unwrap();
        program::run(directory.path(), "diff old.yaml new.yaml --cluster pods.yaml -q -o json").stdout
    };
    let none = "{\"gained\":[],\"lost\":[]";
    assert!(difference(&(api.clone() + &wider), &wider).starts_with(none));
    assert!(!difference(&(api.clone() + &wider), &api).starts_with(none));
    assert!(!difference(&api, &policy("api", "api", "  ingress: []")).starts_with(none));
}
