//! The shared verdict tables, asked of `reach`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use crate::program::run_with_input;
use crate::shared;

/// A case as the objects that `kubectl get` would print.
fn objects(case: &Value) -> Value {
    let mut items = Vec::new();
    for (name, labels) in case["namespaces"].as_object().unwrap() {
        items.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}));
    }
    for pod in case["pods"].as_array().unwrap() {
        let port =
            |port: &Value| json!({"name": port["name"], "containerPort": port["port"], "protocol": port["protocol"]});
        let ports: Vec<Value> = pod["ports"].as_array().unwrap().iter().map(port).collect();
        items.push(json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"namespace": pod["namespace"], "name": pod["name"], "labels": pod["labels"]},
            "spec": {"containers": [{"name": "c", "ports": ports}]},
            "status": {"phase": "Running", "podIP": pod["ip"]},
        }));
    }
    items.extend(case["policies"].as_array().unwrap().iter().cloned());
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// Protocol, first and last port.
type Ranges = BTreeSet<(String, u64, u64)>;

/// The ports that `reach` prints, by client and server.
fn printed(stdout: &str) -> BTreeMap<(String, String), Ranges> {
    let mut pairs = BTreeMap::new();
    for line in stdout.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let (Some(client), Some(server)) = (row["client"].as_str(), row["server"].as_str()) else { continue };
        let range = |range: &Value| {
            let number = |key: &str| range[key].as_u64().unwrap();
            (range["protocol"].as_str().unwrap().to_string(), number("from"), number("to"))
        };
        let ranges = row["allowed"].as_array().unwrap().iter().map(range).collect();
        assert_eq!(pairs.insert((client.to_string(), server.to_string()), ranges), None, "a pair stands once");
    }
    pairs
}

#[test]
fn reach_prints_every_shared_verdict() {
    let Some(folder) = shared::folder().map(|folder| folder.join("conformance")).filter(|folder| folder.is_dir())
    else {
        return shared::skipped("conformance", "no cases beside the workspace");
    };
    let mut wrong = Vec::new();
    let mut compared = 0;
    for name in ["cyclonus.jsonl", "fuzz.jsonl"] {
        for line in fs::read_to_string(folder.join(name)).unwrap().lines() {
            let case: Value = serde_json::from_str(line).unwrap();
            let input = objects(&case).to_string();
            let run = run_with_input(&folder, "reach -o json -q --granularity pod --cluster -", input.as_bytes());
            assert_eq!(run.exit, 0, "{}: {}", case["id"], run.stderr);
            let pairs = printed(&run.stdout);
            let names = || {
                case["pods"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|pod| format!("{}/{}", pod["namespace"].as_str().unwrap(), pod["name"].as_str().unwrap()))
            };
            for (port, rows) in case["expected"].as_object().unwrap() {
                let (number, protocol) = port.split_once('/').unwrap();
                let number: u64 = number.parse().unwrap();
                for (client, row) in names().zip(rows.as_array().unwrap()) {
                    for (server, expected) in names().zip(row.as_str().unwrap().chars()) {
                        if client == server {
                            continue;
                        }
                        compared += 1;
                        let ranges = pairs.get(&(client.clone(), server.clone())).into_iter().flatten();
                        let allowed =
                            ranges.into_iter().any(|(of, from, to)| of == protocol && (*from..=*to).contains(&number));
                        if allowed != (expected == '.') {
                            wrong.push(format!("{} {client} -> {server}:{port} expected {expected}", case["id"]));
                        }
                    }
                }
            }
        }
    }
    assert!(compared > 0 && wrong.is_empty(), "{} of {compared}: {:#?}", wrong.len(), &wrong[..wrong.len().min(10)]);
}
