//! What `unused` must not say, because it is not known or would break what was seen.

use serde_json::Value;

use crate::evidence::{night, nightly};
use crate::unused::{all, directory, findings, from, hourly, judge, message, policy, shop, traffic, workload};

fn block(cidr: &str) -> String {
    format!("  - {{from: [{{ipBlock: {{cidr: {cidr}}}}}], ports: [{{port: 8080}}]}}\n")
}

fn standing<'f>(found: &'f [Value], what: &'f str) -> impl Iterator<Item = &'f Value> {
    found.iter().filter(move |finding| finding["status"] == what)
}

/// Whether `ipBlock` matches pods is up to the network plugin: no rule about pods can go because of one.
#[test]
fn a_range_is_no_stand_in_for_pods() {
    let rules = format!("  ingress:\n{}{}", from("web", "8080"), block("0.0.0.0/0"));
    let found =
        judge(&(shop() + &policy("api", "api", &rules)), &(traffic() + &hourly("203.0.113.5", "10.1.0.7:8080")));
    assert!(
        found.iter().all(|finding| finding["rule"] != 0 || finding["status"] == "insufficient_evidence"),
        "{found:#?}"
    );
}

/// What an overbroad range is said to suffice with leaves nobody out who was seen.
#[test]
fn what_would_suffice_covers_all_that_was_seen() {
    let found = judge(
        &(shop() + &policy("api", "api", &format!("  ingress:\n{}", block("0.0.0.0/0")))),
        &(traffic() + &hourly("203.0.113.5", "10.1.0.7:8080")),
    );
    let broad = standing(&found, "overbroad").next().unwrap();
    let (_, suffices) = message(broad).split_once("; ").unwrap();
    assert!(suffices.contains("203.0.113.5/32") && suffices.contains("shop/Deployment/web"), "{}", message(broad));
}

/// Labels of a namespace whose object is not in the input are not known.
#[test]
fn labels_of_namespaces_that_are_not_in_the_input() {
    let rules = format!(
        "  ingress:\n{}  - {{from: [{{namespaceSelector: {{matchLabels: {{team: storage}}}}}}]}}",
        from("web", "8080")
    );
    let without: String =
        shop().split_inclusive("---\n").filter(|object| !object.starts_with("kind: Namespace")).collect();
    let found = judge(&(without + &policy("api", "api", &rules)), &traffic());
    assert_eq!(standing(&found, "dead").count(), 0, "{found:#?}");
}

/// A selector for many may be there for the one that did not run.
#[test]
fn a_job_among_many() {
    let crowd: String = (0..12).map(|at| workload("shop", &format!("w{at}"), &format!("10.1.0.{}", 50 + at))).collect();
    let judge_on = |port: u16| {
        let everybody = policy(
            "api",
            "api",
            &format!("  ingress:\n  - {{from: [{{podSelector: {{}}}}], ports: [{{port: {port}}}]}}"),
        );
        let cron =
            nightly().split_inclusive("---\n").filter(|object| !object.contains("NetworkPolicy")).collect::<String>();
        judge(&(cron + &crowd + &everybody), &traffic())
    };
    for port in [8080, 9999] {
        let found = judge_on(port);
        let silent: Vec<&Value> = standing(&found, "unused").chain(standing(&found, "overbroad")).collect();
        assert_eq!(silent.len(), 0, "{found:#?}");
    }
}

/// Nobody watched while it ran.
#[test]
fn a_job_that_ran_in_a_gap() {
    let ran = nightly() + &night("2026-11-02T03:00:00Z", "2026-11-02T03:05:00Z");
    let lines: Vec<String> = traffic().lines().map(|line| format!("{line}\n")).collect();
    let directory = directory(&ran, &[("a.pcap", &lines[..25].concat()), ("b.pcap", &lines[30..].concat())]);
    let found = findings(&directory, "--pcap a.pcap b.pcap");
    assert_eq!(all(&found), ["insufficient_evidence shop/api ingress 1 (unused)"]);
}

/// Neither end of the rule is on a node of which anything was seen.
#[test]
fn a_node_that_no_capture_shows() {
    let far = (workload("shop", "queue", "10.1.2.8") + &workload("shop", "mill", "10.1.2.9"))
        .replace("nodeName: n1", "nodeName: n2");
    let found = judge(
        &(shop() + &far + &policy("queue", "queue", &format!("  ingress:\n{}", from("mill", "5672")))),
        &traffic(),
    );
    assert_eq!(all(&found), ["insufficient_evidence shop/queue ingress 0 (unused)"]);
}

/// Who was the client of a conversation without a handshake is a guess.
#[test]
fn a_direction_that_was_guessed() {
    let rules = format!(
        "  ingress:\n{}  - {{from: [{{namespaceSelector: {{}}, podSelector: {{matchLabels: {{app: db}}}}}}], ports: [{{port: 7000}}]}}",
        from("web", "8080")
    );
    let script = traffic() + "00:00:05 10.1.1.9:5000 -> 10.1.0.7:7000 TCP midstream\n";
    assert_eq!(standing(&judge(&(shop() + &policy("api", "api", &rules)), &script), "unused").count(), 0);
}

/// Nobody knows which labels the holder of an address had that no pod of the dump held.
#[test]
fn connections_of_pods_that_are_gone() {
    let rules = format!("  ingress:\n{}{}", from("web", "8080"), from("old", "8080"));
    let found = judge(&(shop() + &policy("api", "api", &rules)), &(traffic() + &hourly("10.1.0.99", "10.1.0.7:8080")));
    assert_eq!(standing(&found, "not_enforced").count(), 0, "{found:#?}");
    assert_eq!(standing(&found, "dead").count(), 0, "{found:#?}");
}

/// What is dead today may come alive: redundant by structure is what is so then, too.
#[test]
fn structure_holds_for_what_is_dead_today() {
    let both = "  - {from: [{podSelector: {matchLabels: {app: web}}}, {podSelector: {matchLabels: {app: cart}}}], ports: [{port: 8080}]}\n";
    let wide = "  - {from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [web, api]}]}}], ports: [{port: 8080}]}\n";
    let found = judge(&(shop() + &policy("api", "api", &format!("  ingress:\n{both}{wide}"))), &traffic());
    assert!(standing(&found, "redundant").all(|finding| finding["basis"] == "today"), "{found:#?}");
}

/// A policy without which nothing changes: its rules are allowed elsewhere and it isolates nobody alone, or it is the only
/// one and allows everything.
#[test]
fn whole_policies_are_redundant() {
    let wide = policy("wide", "", "  ingress:\n  - {from: [{podSelector: {}}], ports: [{port: 8080}]}");
    let found =
        judge(&(shop() + &policy("api", "api", &format!("  ingress:\n{}", from("web", "8080"))) + &wide), &traffic());
    assert_eq!(all(&found), ["redundant shop/api ingress 0"]);
    assert!(message(&found[0]).ends_with("so is the whole policy"), "{}", message(&found[0]));
    let found = judge(&(shop() + &policy("api", "api", "  ingress: [{}]")), &traffic());
    assert!(all(&found).contains(&"redundant shop/api".to_string()), "{found:#?}");
}

#[test]
fn of_two_deny_alls_one_has_to_stay() {
    let deny = "  policyTypes: [Ingress, Egress]";
    let found = judge(&(shop() + &policy("one", "", deny) + &policy("two", "", deny)), "");
    assert_eq!(found[0]["one_of"][0]["policy"]["name"], "one", "{found:#?}");
}
