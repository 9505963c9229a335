//! What objects declare and nobody saw, through the program.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::packets::{ETHERNET, pcap};
use crate::program::run;
use crate::{shared, traffic};

/// `declared` of `check -o json`.
fn declared(directory: &Path, args: &str) -> Vec<Value> {
    let run = run(directory, &format!("check -o json {args}"));
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:#?}"));
    report["declared"].as_array().unwrap().clone()
}

/// The folder case `awaited` with its traffic.
fn case() -> tempfile::TempDir {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases/awaited");
    let directory = tempfile::tempdir().unwrap();
    fs::copy(folder.join("cluster.yaml"), directory.path().join("cluster.yaml")).unwrap();
    let script = fs::read_to_string(folder.join("traffic.txt")).unwrap();
    fs::write(directory.path().join("traffic.pcap"), pcap(ETHERNET, &traffic::frames(&script))).unwrap();
    directory
}

const INPUT: &str = "--pcap traffic.pcap --cluster cluster.yaml";

/// The verdicts on the connections that have rules, by kind.
fn verdicts(items: &[Value]) -> Vec<(String, Option<bool>)> {
    let with_rules = items.iter().filter(|item| !item["rules"].as_array().unwrap().is_empty());
    with_rules.map(|item| (item["kind"].as_str().unwrap().to_string(), item["allowed"].as_bool())).collect()
}

#[test]
fn what_is_declared_is_denied_until_it_is_generated() {
    let directory = case();
    for (kinds, expected) in [
        ("", [false, false, false]),
        ("--declared webhooks", [true, true, false]),
        ("--declared scrapes", [false, false, true]),
        ("--declared webhooks,scrapes", [true, true, true]),
        ("--declared all", [true, true, true]),
    ] {
        let out = tempfile::tempdir().unwrap();
        let path = out.path().display();
        let generated = run(directory.path(), &format!("generate {kinds} -o {path} {INPUT}"));
        assert_eq!(generated.exit, 0, "{kinds}: {}", generated.stderr);
        let again = run(directory.path(), &format!("generate {kinds} --check -o {path} {INPUT}"));
        assert_eq!(again.exit, 0, "{kinds}: the same again: {}", again.stderr);
        let found = verdicts(&declared(directory.path(), &format!("--policies {path} {INPUT}")));
        let kinds_found = ["validating_webhook", "conversion_webhook", "scrape"];
        let expected: Vec<_> = kinds_found.iter().map(ToString::to_string).zip(expected.map(Some)).collect();
        assert_eq!(found, expected, "{kinds}");
    }
}

/// The rule in the report, put into a policy by hand, allows what it is for.
#[test]
fn the_rule_in_the_report_works() {
    let directory = case();
    let items = declared(directory.path(), INPUT);
    let item = items.iter().find(|item| item["kind"] == "validating_webhook").unwrap();
    let rule = item["rules"][0]["yaml"].as_str().unwrap();
    let indented: String = rule.lines().map(|line| format!("  {line}\n")).collect();
    let head = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {namespace: shop, name: guard}\nspec:\n  \
                podSelector: {matchLabels: {app: guard}}\n";
    for (text, allowed) in [(head.to_string(), false), (format!("{head}{indented}"), true)] {
        fs::write(directory.path().join("policy.yaml"), &text).unwrap();
        let items = declared(directory.path(), &format!("--policies policy.yaml {INPUT}"));
        let item = items.iter().find(|item| item["kind"] == "validating_webhook").unwrap();
        assert_eq!(item["allowed"], allowed, "{text}");
    }
}

#[test]
fn unknown_kinds_are_refused_by_name() {
    let directory = case();
    let run = run(directory.path(), &format!("generate --declared jobs {INPUT}"));
    assert_eq!(run.exit, 2);
    assert!(run.stderr.contains("webhooks, scrapes, all"), "{}", run.stderr);
}

/// Objects of an awkward cluster, as kubectl prints them.
#[test]
fn an_awkward_cluster() {
    let Some(cluster) = shared::folder().map(|folder| folder.join("trap-cluster")).filter(|folder| folder.is_dir())
    else {
        return shared::skipped("awaited", "no awkward cluster in the shared folder");
    };
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("empty.pcap"), pcap(ETHERNET, &[])).unwrap();
    let args = format!("--pcap empty.pcap --cluster {}", cluster.display());
    let table = run(directory.path(), &format!("check {args}"));
    assert_eq!(table.exit, 0, "{}", table.stderr);
    assert!(!table.stderr.contains("of other kinds ignored"), "every kind is read: {}", table.stderr);
    assert!(table.stderr.contains("network plugin: Cilium"), "{}", table.stderr);
    let items = declared(directory.path(), &args);
    let said: Vec<String> =
        items.iter().map(|item| format!("{} {} {}", item["kind"], item["servers"][0]["name"], item["port"])).collect();
    assert_eq!(said, ["\"validating_webhook\" \"ingress-nginx-controller\" 8443"]);
}

/// What Prometheus scrapes in a real application, by its ServiceMonitors.
#[test]
fn monitors_of_a_real_application() {
    let application = shared::folder().map(|folder| folder.join("apps/kube-prometheus"));
    let Some(application) = application.filter(|folder| folder.is_dir()) else {
        return shared::skipped("awaited", "no applications in the shared folder");
    };
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("empty.pcap"), pcap(ETHERNET, &[])).unwrap();
    let path = application.display();
    let args = format!("--pcap empty.pcap --cluster {path}/manifests --policies {path}/policies");
    let items = declared(directory.path(), &args);
    let scrapes: Vec<&Value> = items.iter().filter(|item| item["kind"] == "scrape").collect();
    let scraped: Vec<&str> = scrapes.iter().map(|item| item["servers"][0]["name"].as_str().unwrap()).collect();
    for name in ["alertmanager-main", "blackbox-exporter", "grafana", "kube-state-metrics", "prometheus-operator"] {
        assert!(scraped.contains(&name), "{name}: {scraped:?}");
    }
    // Its owners wrote policies for these very connections.
    assert!(scrapes.iter().all(|item| item["allowed"] == true), "{scrapes:#?}");
}
