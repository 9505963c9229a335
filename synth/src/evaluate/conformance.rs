//! The shared conformance cases: truth tables of cyclonus' cases and of random policies.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::{Evaluator, Namespaces, Party, Side};
use crate::endpoint::{Pod, Workload};
use crate::label::Labels;
use crate::manifest::networkpolicy::decode;
use crate::manifest::node::parse;
use crate::port::{ContainerPort, Protocol};

/// The folder beside the workspace, or the one named by `RINGFENCE_SHARED`.
fn shared() -> PathBuf {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    std::env::var_os("RINGFENCE_SHARED").map_or_else(beside, PathBuf::from)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_string()
}

fn labels(value: &Value) -> Labels {
    value.as_object().unwrap().iter().map(|(key, value)| (key.clone(), text(value))).collect()
}

fn pod(value: &Value) -> Pod {
    let (namespace, name) = (text(&value["namespace"]), text(&value["name"]));
    let port = |port: &Value| ContainerPort {
        name: port["name"].as_str().map(str::to_string),
        number: u16::try_from(port["port"].as_u64().unwrap()).unwrap(),
        protocol: Protocol::from_name(port["protocol"].as_str().unwrap()).unwrap(),
    };
    Pod {
        workload: Workload { namespace: namespace.clone(), kind: "Pod".to_string(), name: name.clone() },
        namespace,
        name,
        labels: labels(&value["labels"]),
        // A pod that a case creates has no address yet.
        addresses: value["ip"].as_str().unwrap().parse().into_iter().collect(),
        node: None,
        host_network: false,
        ports: value["ports"].as_array().unwrap().iter().map(port).collect(),
        probed: Default::default(),
        finished: false,
    }
}

fn letter(egress: &Side, ingress: &Side) -> char {
    match (egress.allowed(), ingress.allowed()) {
        (true, true) => '.',
        (true, false) => 'I',
        (false, true) => 'E',
        (false, false) => 'B',
    }
}

/// Compares one case; the number of verdicts compared, and those that differ in words.
fn compare(case: &Value, differing: &mut Vec<String>) -> usize {
    let file: Arc<str> = Arc::from("case.json");
    let policies = case["policies"].as_array().unwrap().iter();
    let policies: Vec<_> =
        policies.map(|policy| decode(&parse(&policy.to_string(), 1).unwrap(), &file).unwrap()).collect();
    let namespaces = case["namespaces"].as_object().unwrap().iter();
    let namespaces: Namespaces = namespaces.map(|(name, value)| (name.clone(), labels(value))).collect();
    let pods: Vec<Pod> = case["pods"].as_array().unwrap().iter().map(pod).collect();
    let evaluator = Evaluator::new(&policies, &namespaces);

    let mut compared = 0;
    for (key, rows) in case["expected"].as_object().unwrap() {
        let (port, protocol) = key.split_once('/').unwrap();
        let (port, protocol) = (port.parse().unwrap(), Protocol::from_name(protocol).unwrap());
        for (client, row) in pods.iter().zip(rows.as_array().unwrap()) {
            for (server, expected) in pods.iter().zip(row.as_str().unwrap().chars()) {
                // What a pod may do to itself is not defined.
                if expected == '=' || std::ptr::eq(client, server) {
                    continue;
                }
                compared += 1;
                let (client, server) = (Party::pod(client), Party::pod(server));
                let verdict = evaluator.verdict(client, server, protocol, port);
                let found = letter(&verdict.egress, &verdict.ingress);
                let fast = evaluator.allowed(client, server, protocol, port);
                let set = evaluator.allowed_ports(client, server).contains(protocol, port);
                if found != expected || fast != (expected == '.') || set != fast {
                    let id = &case["id"];
                    differing.push(format!("{id} {key} {client:?} -> {server:?}: {expected} expected, {found} found"));
                }
            }
        }
    }
    compared
}

#[test]
#[allow(clippy::print_stderr, reason = "the line tells a reader of the test's output what was compared")]
fn every_shared_verdict_agrees() {
    let folder = shared().join("conformance");
    if !folder.is_dir() {
        // Past the test runner, which keeps what passing tests print to itself.
        let _ = writeln!(std::io::stderr(), "skipped: conformance: no cases beside the workspace");
        return;
    }
    for name in ["cyclonus.jsonl", "fuzz.jsonl"] {
        let cases = fs::read_to_string(folder.join(name)).unwrap();
        let mut differing = Vec::new();
        let compared: usize =
            cases.lines().map(|line| compare(&serde_json::from_str(line).unwrap(), &mut differing)).sum();
        eprintln!("{name}: {} of {compared} verdicts agree", compared - differing.len());
        assert!(
            compared > 0 && differing.is_empty(),
            "{name}: {} differ\n{}",
            differing.len(),
            differing[..differing.len().min(10)].join("\n")
        );
    }
}
