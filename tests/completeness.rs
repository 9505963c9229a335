//! How much has been learned: what `flows` and `generate` say about captures of hours and days.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::packets::{ETHERNET, pcap};
use crate::program::{self, Run};
use crate::traffic;

/// `web`, `api`, `backup` and `db`.
const PODS: [(&str, &str); 4] = [("web", "10.1.0.5"), ("api", "10.1.0.7"), ("backup", "10.1.0.8"), ("db", "10.1.0.9")];

/// A directory with `cluster.yaml` and a capture of each script.
fn directory(scripts: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let pod = |(name, ip): &(&str, &str)| {
        format!(
            "kind: Pod\nmetadata: {{namespace: shop, name: {name}, labels: {{app: {name}}}}}\nstatus: {{phase: Running, podIP: {ip}}}\n"
        )
    };
    let pods: Vec<String> = PODS.iter().map(pod).collect();
    fs::write(directory.path().join("cluster.yaml"), pods.join("---\n")).unwrap();
    for (name, script) in scripts {
        fs::write(directory.path().join(name), pcap(ETHERNET, &traffic::frames(script))).unwrap();
    }
    directory
}

/// Two days: `web` to `api` four times an hour, `backup` to `db` each night for three minutes.
fn two_days() -> String {
    let mut script = String::new();
    let mut port = 20_000;
    let mut line = |minute: u32, client: &str, server: &str| {
        port += 1;
        writeln!(script, "{}:{}:00 {client}:{port} -> {server} TCP established", minute / 60, minute % 60).unwrap();
    };
    for minute in (0..=2 * 1440).step_by(15) {
        line(minute, "10.1.0.5", "10.1.0.7:8080");
    }
    for night in [0, 1440] {
        (0..3).for_each(|minute| line(night + 120 + minute, "10.1.0.8", "10.1.0.9:5432"));
    }
    script
}

fn run_in(directory: &Path, args: &str) -> Run {
    program::run(directory, &format!("{args} --cluster cluster.yaml"))
}

fn learned(directory: &Path, args: &str) -> (Run, Value) {
    let run = run_in(directory, &format!("{args} --summary summary.json"));
    assert_eq!(run.exit, 0, "{run:#?}");
    let account: Value = serde_json::from_str(&fs::read_to_string(directory.join("summary.json")).unwrap()).unwrap();
    (run, account["completeness"].clone())
}

#[test]
fn two_days_that_bring_nothing_new_are_stable() {
    let directory = directory(&[("traffic.pcap", &two_days())]);
    for command in ["flows", "generate -o out"] {
        let (run, found) = learned(directory.path(), &format!("{command} --pcap traffic.pcap"));
        assert_eq!(
            found["total"],
            json!({
                "state": "stable", "edges": 2, "connections": 199,
                "new_edges": { "last_hour": 0, "last_quarter": 0, "per_hour": 0.0, "last": "2026-11-01T02:00:00Z" },
                "unseen_connections": 0.0, "unseen_edges": { "chao1": 0.0, "chao2": 0.0 },
                "gaps": { "median": 900, "longest": 1438 * 60 },
                "rhythm": { "about daily": 1, "several times an hour": 1 },
            })
        );
        assert_eq!(found["window"]["from"], "2026-11-01T00:00:00Z");
        assert_eq!((&found["window"]["watched"], &found["window"]["gaps"]), (&json!(172_800), &json!([])));
        let names: Vec<&str> =
            found["workloads"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["api", "backup", "db", "web"]);
        assert_eq!(found["workloads"][1]["rhythm"], json!({ "about daily": 1 }));
        assert_eq!(found["workloads"][1]["kind"], "Pod");
        for line in [
            "stable: no new edge in the last 1 d 22 h of 2 d; less than 1 % of connections would go to edges not seen yet\n",
            "edges in use: 1 several times an hour, 1 about daily\n",
        ] {
            assert!(run.stderr.contains(line), "{line}\n{}", run.stderr);
        }
        assert!(!run.stderr.contains("still learning"), "{}", run.stderr);
    }
}

#[test]
fn what_is_new_at_the_end_is_not_stable() {
    // Twelve edges in the last half hour, each seen once, and a refused one that does not count.
    let script = two_days()
        + "47:40:00 10.1.0.5:30000 -> 10.1.0.9:7000-7011 TCP established\n47:41:00 10.1.0.5:31000 -> 10.1.0.9:9999 TCP refused\n";
    let directory = directory(&[("traffic.pcap", &script)]);
    let (run, found) = learned(directory.path(), "flows --pcap traffic.pcap");
    let total = &found["total"];
    assert_eq!(
        (&total["state"], &total["edges"], &total["connections"]),
        (&json!("learning"), &json!(14), &json!(211))
    );
    assert_eq!(total["new_edges"]["last_hour"], 12);
    assert_eq!(total["new_edges"]["last"], "2026-11-02T23:40:00.011Z");
    // 12 of 211; 12 * 11 / 2; and over two days, in each of which two edges were seen, half of 12 * 11 / 6.
    assert_eq!(total["unseen_connections"], 0.0569);
    assert_eq!(total["unseen_edges"], json!({ "chao1": 66.0, "chao2": 11.0 }));
    let states: Vec<&str> =
        found["workloads"].as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["stable", "stable", "learning", "learning"]);
    for line in [
        "learning: 12 new edges in the last hour of 2 d; about 6 % of connections would go to edges not seen yet, at least 66 beside the 14 seen\n",
        "still learning, 2 of 4 workloads: shop/Pod/db, shop/Pod/web\n",
    ] {
        assert!(run.stderr.contains(line), "{line}\n{}", run.stderr);
    }
    // Of the first day alone nothing of that can be seen.
    let (_, found) = learned(directory.path(), "flows --pcap traffic.pcap --until 2026-11-02T00:00:00Z");
    assert_eq!((&found["total"]["state"], &found["total"]["edges"]), (&json!("stable"), &json!(2)));
    assert_eq!(found["total"]["unseen_edges"]["chao2"], Value::Null);
}

#[test]
fn gaps_between_captures_are_no_silence() {
    // Half an hour at noon of each of three days.
    let part = |day: u32| {
        let lines = (0..=6).map(|at| {
            let port = 20_000 + day * 100 + at;
            format!("{}:{}:00 10.1.0.5:{port} -> 10.1.0.7:8080 TCP established\n", day * 24 + 12, at * 5)
        });
        lines.collect::<String>()
    };
    let directory = directory(&[("a.pcap", &part(0)), ("b.pcap", &part(1)), ("c.pcap", &part(2))]);
    let (_, found) = learned(directory.path(), "flows --pcap c.pcap a.pcap b.pcap");
    assert_eq!(found["window"]["gaps"].as_array().unwrap().len(), 2, "{found}");
    assert_eq!(found["total"]["gaps"], json!({ "median": 300, "longest": 300 }));
    // The last frame of each comes a moment behind the half hour.
    assert_eq!(found["window"]["watched"], 5400);
}

#[test]
fn next_to_nothing_is_said_to_be_that() {
    let directory = directory(&[
        ("short.pcap", "00:00:01 10.1.0.5:40000 -> 10.1.0.7:8080 TCP established\n"),
        ("empty.pcap", ""),
        ("refused.pcap", "00:00:01 10.1.0.5:40000 -> 10.1.0.7:8080 TCP refused\n"),
    ]);
    let (run, found) = learned(directory.path(), "flows --pcap short.pcap");
    assert_eq!((&found["total"]["state"], &found["total"]["unseen_connections"]), (&json!("learning"), &json!(1.0)));
    let line =
        "learning: watched for a moment only; each edge was seen once, so nothing can be told of those not seen\n";
    assert!(run.stderr.contains(line), "{}", run.stderr);
    let (run, found) = learned(directory.path(), "flows --pcap empty.pcap");
    assert_eq!((found, run.stderr.contains("learning")), (Value::Null, false));
    let (run, found) = learned(directory.path(), "flows --pcap refused.pcap");
    assert_eq!((&found["total"]["edges"], run.stderr.contains("learning")), (&json!(0), false));
    // Who checks policies does not learn, and who is quiet hears nothing.
    fs::write(directory.path().join("pod.yaml"), "{kind: Pod, metadata: {name: web, namespace: shop}}").unwrap();
    let checked = run_in(directory.path(), "check --pcap short.pcap --cluster pod.yaml --summary checked.json");
    assert!(!checked.stderr.contains("learning"), "{}", checked.stderr);
    let account = fs::read_to_string(directory.path().join("checked.json")).unwrap();
    assert!(!account.contains("completeness") && account.contains("conversations"), "{account}");
    let (run, found) = learned(directory.path(), "flows -q --pcap short.pcap");
    assert_eq!((run.stderr.as_str(), &found["total"]["edges"]), ("", &json!(1)));
}
