//! Findings as SARIF, markdown and with an ignore file, through the program.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::packets::{ETHERNET, pcap};
use crate::program::run;
use crate::recordings::RECORDINGS;
use crate::traffic;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests");

/// What the schema of SARIF 2.1.0 requires of the parts that are written: required properties, their types, no others,
/// and its limits.
fn assert_sarif(log: &Value) {
    let run =
        object(&object(log, &["$schema", "version", "runs"])["runs"][0], &["tool", "automationDetails", "results"]);
    assert_eq!((&log["version"], log["runs"].as_array().unwrap().len()), (&Value::from("2.1.0"), 1));
    assert!(text(&log["$schema"]).ends_with("sarif-schema-2.1.0.json"));
    object(&run["automationDetails"], &["id"]);
    let driver = object(&object(&run["tool"], &["driver"])["driver"], &["name", "semanticVersion", "version", "rules"]);
    assert_eq!(driver["name"], "ringfence");
    let rules = driver["rules"].as_array().unwrap();
    let ids: Vec<&str> = rules.iter().map(|rule| text(&rule["id"])).collect();
    for (at, rule) in rules.iter().enumerate() {
        object(rule, &["id", "shortDescription", "fullDescription", "defaultConfiguration"]);
        for description in ["shortDescription", "fullDescription"] {
            assert!(!text(&object(&rule[description], &["text"])["text"]).is_empty());
        }
        level(&object(&rule["defaultConfiguration"], &["level"])["level"]);
        assert!(!ids[..at].contains(&ids[at]), "`rules` is a set: {}", ids[at]);
    }
    for result in run["results"].as_array().unwrap() {
        let optional = ["relatedLocations", "suppressions"];
        let allowed = ["ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints", "properties"];
        let known: Vec<&str> =
            allowed.into_iter().chain(optional.into_iter().filter(|key| result.get(key).is_some())).collect();
        object(result, &known);
        assert_eq!(ids[result["ruleIndex"].as_u64().unwrap() as usize], text(&result["ruleId"]));
        level(&result["level"]);
        let message = text(&object(&result["message"], &["text"])["text"]);
        assert!(!message.is_empty() && !message.contains('\n'), "{message}");
        let locations = result["locations"].as_array().unwrap().iter();
        locations.chain(result["relatedLocations"].as_array().into_iter().flatten()).for_each(location);
        let fingerprint = text(&object(&result["partialFingerprints"], &["ringfence/v1"])["ringfence/v1"]);
        assert!(fingerprint.len() == 16 && u64::from_str_radix(fingerprint, 16).is_ok());
        assert!(result["properties"].is_object() && result["properties"].get("tags").is_none());
        for suppression in result["suppressions"].as_array().into_iter().flatten() {
            object(suppression, &["kind", "status", "justification"]);
            assert_eq!((text(&suppression["kind"]), text(&suppression["status"])), ("external", "accepted"));
        }
    }
}

/// An object with exactly these keys.
fn object<'a>(value: &'a Value, keys: &[&str]) -> &'a Value {
    let mut found: Vec<&str> =
        value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(String::as_str).collect();
    let mut keys = keys.to_vec();
    found.sort_unstable();
    keys.sort_unstable();
    assert_eq!(found, keys, "{value}");
    value
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn level(value: &Value) {
    assert!(["none", "note", "warning", "error"].contains(&text(value)), "{value}");
}

fn location(location: &Value) {
    if location.get("logicalLocations").is_some() {
        let logical = &object(location, &["logicalLocations"])["logicalLocations"][0];
        assert!(!text(&object(logical, &["fullyQualifiedName"])["fullyQualifiedName"]).is_empty());
        return;
    }
    let physical =
        object(&object(location, &["physicalLocation"])["physicalLocation"], &["artifactLocation", "region"]);
    let uri = text(&object(&physical["artifactLocation"], &["uri"])["uri"]);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%:".contains(&byte);
    assert!(!uri.is_empty() && uri.bytes().all(plain), "{uri}");
    assert!(object(&physical["region"], &["startLine"])["startLine"].as_u64() >= Some(1));
}

/// The results of a run with `-o sarif`.
pub fn results(directory: &Path, args: &str) -> Vec<Value> {
    let run = run(directory, &format!("{args} -q -o sarif"));
    let log: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{args}: {error}: {run:#?}"));
    assert_sarif(&log);
    log["runs"][0]["results"].as_array().unwrap().clone()
}

fn fingerprints(results: &[Value]) -> Vec<String> {
    let mut found: Vec<String> =
        results.iter().map(|result| text(&result["partialFingerprints"]["ringfence/v1"]).to_string()).collect();
    found.sort();
    found
}

#[test]
fn sarif_of_recordings_and_cases() {
    for recording in &RECORDINGS {
        let run = recording.run("check -o sarif");
        let log: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_sarif(&log);
        assert!(!log["runs"][0]["results"].as_array().unwrap().is_empty(), "{}", recording.name);
    }
    let found = results(&Path::new(CASES).join("lint/dump"), "lint cluster.yaml");
    assert_eq!(found.len(), 11);
    assert_eq!(found[0]["locations"][0]["physicalLocation"]["region"]["startLine"], 50);
}

/// Blank lines above a policy and policies in another order change places, but not what a finding is known by.
#[test]
fn fingerprints_outlive_edits() {
    let work = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(work.path().join(name), bytes).unwrap();
    let case = Path::new(CASES).join("cases/findings");
    let script = fs::read_to_string(case.join("traffic.txt")).unwrap();
    write("traffic.pcap", &pcap(ETHERNET, &traffic::frames(&script)));
    let cluster = fs::read_to_string(case.join("cluster.yaml")).unwrap();
    write("before.yaml", cluster.as_bytes());
    let turned: Vec<&str> = cluster.split("---\n").collect::<Vec<_>>().into_iter().rev().collect();
    write("after.yaml", format!("\n\n{}", turned.join("---\n\n# a comment\n")).as_bytes());
    let check = |file: &str| results(work.path(), &format!("check --pcap traffic.pcap --cluster {file}"));
    let (before, after) = (check("before.yaml"), check("after.yaml"));
    assert_eq!(fingerprints(&before), fingerprints(&after));
    let lines = |results: &[Value]| -> Vec<u64> {
        let line = |result: &Value| result["locations"][0]["physicalLocation"]["region"]["startLine"].as_u64();
        results.iter().filter_map(line).collect()
    };
    assert_ne!(lines(&before), lines(&after));
    let lint = fs::read_to_string(Path::new(CASES).join("lint/dump/cluster.yaml")).unwrap();
    write("lint.yaml", lint.as_bytes());
    let moved: String = lint.lines().flat_map(|line| [line, "\n"]).collect::<String>();
    write("moved.yaml", format!("# one\n# two\n{moved}").as_bytes());
    let (before, after) = (results(work.path(), "lint lint.yaml"), results(work.path(), "lint moved.yaml"));
    assert_eq!(fingerprints(&before), fingerprints(&after));
    assert_eq!(before.len(), 11);
    assert_ne!(lines(&before), lines(&after));
}

/// An ignored finding is suppressed in SARIF, counts nothing, and comes back when its day has passed.
#[test]
fn what_is_ignored_does_not_count() {
    let work = tempfile::tempdir().unwrap();
    fs::copy(Path::new(CASES).join("lint/dump/cluster.yaml"), work.path().join("cluster.yaml")).unwrap();
    let all = results(work.path(), "lint cluster.yaml");
    let entries = |expires: &str| -> String {
        let entry = |print: String| format!("- id: \"{print}\"\n  reason: known\n  expires: {expires}\n");
        fingerprints(&all).into_iter().map(entry).collect()
    };
    fs::write(work.path().join("holds.yaml"), entries("2026-11-02")).unwrap();
    fs::write(work.path().join("past.yaml"), entries("2026-11-01")).unwrap();
    let holds = run(work.path(), "lint cluster.yaml --ignore holds.yaml");
    assert_eq!((holds.exit, holds.stdout.as_str()), (0, ""), "{}", holds.stderr);
    assert!(holds.stderr.contains("0 findings, 11 ignored"), "{}", holds.stderr);
    let suppressed = results(work.path(), "lint cluster.yaml --ignore holds.yaml");
    assert!(suppressed.iter().all(|result| result["suppressions"][0]["justification"] == "known (holds.yaml:1)"
        || text(&result["suppressions"][0]["justification"]).starts_with("known (holds.yaml:")));
    let past = run(work.path(), "lint cluster.yaml --ignore past.yaml -q");
    assert_eq!(past.exit, 1);
    assert_eq!(past.stderr.matches("expired on 2026-11-01").count(), 11, "{}", past.stderr);
    let expired = results(work.path(), "lint cluster.yaml --ignore past.yaml");
    assert_eq!(expired.iter().filter(|result| result["ruleId"] == "ignore-expired").count(), 11);
    assert_eq!(expired.len(), 22);
    let markdown = run(work.path(), "lint cluster.yaml --ignore holds.yaml -o markdown").stdout;
    assert!(markdown.starts_with("## ringfence lint: 0 findings, 11 ignored\n"), "{markdown}");
    assert_eq!(markdown.matches("| known | holds.yaml:").count(), 11, "{markdown}");
}

/// Exposures count for the exit code only where they were asked for, are no notes, and nobody ignores them.
#[test]
fn exposures_and_the_exit_code() {
    let work = tempfile::tempdir().unwrap();
    let case = Path::new(CASES).join("cases/exposures");
    let write = |name: &str, bytes: &[u8]| fs::write(work.path().join(name), bytes).unwrap();
    fs::copy(case.join("cluster.yaml"), work.path().join("cluster.yaml")).unwrap();
    let script = fs::read_to_string(case.join("traffic.txt")).unwrap();
    write("all.pcap", &pcap(ETHERNET, &traffic::frames(&script)));
    let harmless: Vec<&str> = script.lines().filter(|line| line.contains("sni") || line.contains("5432")).collect();
    write("harmless.pcap", &pcap(ETHERNET, &traffic::frames(&harmless.join("\n"))));
    write("known.yaml", b"- {id: exposure/etcd-access, reason: ours}\n");
    let check = |args: &str| run(work.path(), &format!("check --cluster cluster.yaml --policies out {args}"));
    assert_eq!(run(work.path(), "generate --pcap all.pcap --cluster cluster.yaml -o out -q").exit, 0);
    assert_eq!(check("--pcap all.pcap -q").exit, 0);
    assert_eq!(check("--pcap all.pcap -q --exposures").exit, 1);
    let notes = check("--pcap harmless.pcap --exposures");
    assert_eq!(notes.exit, 0, "{}", notes.stderr);
    assert!(notes.stderr.contains("exposures: 0 errors, 0 warnings, 2 notes"), "{}", notes.stderr);
    assert_eq!(check("--pcap all.pcap -q --known-api-client shop/web").exit, 2, "it needs --exposures");
    let sarif = |args: &str| results(work.path(), &format!("check --cluster cluster.yaml --policies out {args}"));
    let all = sarif("--pcap all.pcap --exposures");
    assert!(all.iter().all(|result| text(&result["ruleId"]).starts_with("exposure/")), "{all:#?}");
    let etcd = |results: &[Value]| results.iter().find(|one| one["ruleId"] == "exposure/etcd-access").cloned().unwrap();
    let (shown, known) = (etcd(&all), etcd(&sarif("--pcap all.pcap --exposures --ignore known.yaml")));
    assert_eq!(
        (&shown["level"], &shown["partialFingerprints"]),
        (&Value::from("error"), &known["partialFingerprints"])
    );
    assert_eq!(known["suppressions"][0]["justification"], "ours (known.yaml:1)");
    let edge = &shown["properties"]["edge"];
    assert_eq!((&edge["port"], &edge["outcome"]), (&Value::from(2379), &Value::from("established")));
    // Neither the order of captures nor reading one twice changes a byte.
    let twice = check("--pcap harmless.pcap all.pcap all.pcap --exposures -o json -q").stdout;
    assert_eq!(twice, check("--pcap all.pcap harmless.pcap --exposures -o json -q").stdout);
}
