//! The recordings in `pcaps/` against what `edges.txt` says really happened.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::program::{Run, run};

/// A folder of `pcaps/`.
pub struct Recording {
    pub name: &'static str,
    captures: &'static [&'static str],
    /// Lines of `edges.txt` that the packets show otherwise, and what they show.
    shown: &'static [(&'static str, &'static [&'static str])],
}

pub const RECORDINGS: [Recording; 2] = [
    Recording {
        name: "shop",
        captures: &["node-a.pcap", "node-b.pcap"],
        shown: &[
            // nmap's connect scan resets right behind the handshake: a probe, not a use.
            ("shop/worker -> shop/api:8080/TCP answered 1", &["shop/worker -> shop/api:8080/TCP refused 1"]),
            // The exporter has its nodes' addresses, and so it is the nodes.
            (
                "monitoring/prometheus -> monitoring/node-exporter:9100/TCP answered 4",
                &[
                    "monitoring/prometheus -> node:node-a:9100/TCP answered 2",
                    "monitoring/prometheus -> node:node-b:9100/TCP answered 2",
                ],
            ),
            // Behind the masquerade the same connections come from the nodes: views of their own.
            (
                "",
                &[
                    "node:node-a -> 203.0.113.80:443/TCP answered 1",
                    "node:node-b -> 203.0.113.80:443/TCP answered 2",
                    "node:node-b -> node:node-a:6443/TCP answered 1",
                    "node:node-b -> node:node-a:9100/TCP answered 2",
                ],
            ),
        ],
    },
    Recording {
        name: "ledger",
        captures: &["capture.pcapng.gz"],
        // Both ends of the tunnel use one port, and the far end happens to send first.
        shown: &[(
            "node:node-a -> 203.0.113.90:51820/UDP answered 1",
            &["203.0.113.90 -> node:node-a:51820/UDP answered 1"],
        )],
    },
];

impl Recording {
    pub fn folder(&self) -> PathBuf {
        [env!("CARGO_MANIFEST_DIR"), "..", "pcaps", self.name].iter().collect()
    }

    /// The capture files.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.captures.iter().map(|name| self.folder().join(name)).collect()
    }

    /// Runs a command on the recording and its cluster.
    pub fn run(&self, args: &str) -> Run {
        let captures = self.captures.join(" ");
        run(&self.folder(), &format!("{args} --pcap {captures} --cluster cluster.yaml"))
    }

    /// What the packets show, one connection count an edge and outcome.
    fn expected(&self) -> BTreeMap<String, u64> {
        let text = fs::read_to_string(self.folder().join("edges.txt")).unwrap();
        let mut lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        for (line, instead) in self.shown {
            let before = lines.len();
            lines.retain(|known| known != line);
            assert!(line.is_empty() || lines.len() + 1 == before, "edges.txt has no {line:?}");
            lines.extend(*instead);
        }
        lines
            .into_iter()
            .map(|line| {
                let (edge, count) = line.rsplit_once(' ').unwrap();
                (edge.to_string(), count.parse().unwrap())
            })
            .collect()
    }
}

/// A row of `flows -o json` in the words of `edges.txt`.
fn edge(row: &Value) -> (String, u64) {
    let text = |value: &Value| value.as_str().unwrap().to_string();
    let side = |side: &Value| match side["type"].as_str().unwrap() {
        "workload" => format!("{}/{}", text(&side["namespace"]), text(&side["name"])),
        "node" => format!("node:{}", text(&side["name"])),
        "external" => text(&side["ip"]),
        other => panic!("{other}: {row}"),
    };
    let outcome = match row["outcome"].as_str().unwrap() {
        "established" | "answered" => "answered",
        "oneway" => "one-way",
        attempt => attempt,
    };
    let (client, server) = (side(&row["client"]), side(&row["server"]));
    let (port, protocol) = (&row["port"], text(&row["protocol"]));
    (format!("{client} -> {server}:{port}/{protocol} {outcome}"), row["connections"].as_u64().unwrap())
}

#[test]
fn flows_are_the_true_edges() {
    for recording in &RECORDINGS {
        let run = recording.run("flows -o json");
        assert_eq!(run.exit, 0, "{}", run.stderr);
        let rows: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let found: BTreeMap<String, u64> = rows.iter().map(edge).collect();
        assert_eq!(found.len(), rows.len(), "one row an edge and outcome");
        assert_eq!(found, recording.expected(), "{}", recording.name);
    }
}

#[test]
fn generated_policies_pass_the_gate_and_the_check() {
    for recording in &RECORDINGS {
        let policies = tempfile::tempdir().unwrap();
        let path = policies.path().display();
        let generated = recording.run(&format!("generate --default-deny -o {path}"));
        assert_eq!(generated.exit, 0, "{}", generated.stderr);
        let again = recording.run(&format!("generate --default-deny --check -o {path}"));
        assert_eq!(again.exit, 0, "{}", again.stderr);
        let checked = recording.run(&format!("check --policies {path}"));
        assert_eq!((checked.exit, checked.stdout.as_str()), (0, ""), "{}", checked.stderr);
    }
}

/// Files and stdout hold the same documents.
#[test]
fn a_directory_holds_what_stdout_does() {
    for recording in &RECORDINGS {
        let directory = tempfile::tempdir().unwrap();
        let written = recording.run(&format!("generate -o {}", directory.path().display()));
        assert_eq!((written.exit, written.stdout.as_str()), (0, ""));
        let printed = recording.run("generate").stdout;
        for document in printed.split("---\n").filter(|document| !document.is_empty()) {
            let field = |name: &str| {
                let line = document.lines().find_map(|line| line.strip_prefix(&format!("  {name}: ")));
                line.unwrap_or_else(|| panic!("no {name}: {document}"))
            };
            let file = directory.path().join(field("namespace")).join(format!("{}.yaml", field("name")));
            assert_eq!(fs::read_to_string(&file).unwrap(), document);
        }
    }
}
