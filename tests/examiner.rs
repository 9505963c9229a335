//! An independent examiner makes clusters and traffic with known truth, and judges flows and policies.
//!
//! `RINGFENCE_SEEDS` replaces the fixed seeds, separated by commas. Without the examiner, python3 or PyYAML the tests
//! say so and pass.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::program::run;
use crate::shared;

const SEEDS: &str = "1,2";
const FLOWS: &str = "missing=0 unexpected=0 outcome_wrong=0 count_off=0";

/// The examiner's program, where it can run.
pub fn examiner() -> Result<PathBuf, &'static str> {
    let program = shared::folder().ok_or("no shared folder")?.join("examiner/examiner.py");
    let yaml = Command::new("python3").args(["-c", "import yaml"]).output();
    match yaml {
        _ if !program.is_file() => Err("no examiner in the shared folder"),
        Ok(output) if output.status.success() => Ok(program),
        _ => Err("the examiner needs python3 with PyYAML"),
    }
}

/// Runs a subcommand of the examiner in a directory; its output.
pub fn ask(program: &Path, directory: &Path, args: &str) -> String {
    let output =
        Command::new("python3").arg(program).args(args.split_whitespace()).current_dir(directory).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("Traceback"), "{args}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

fn examine(kind: &str, examine_one: fn(&Path, &Path, &str) -> Vec<String>) {
    let program = match examiner() {
        Ok(program) => program,
        Err(why) => return shared::skipped("examiner", why),
    };
    let seeds = std::env::var("RINGFENCE_SEEDS").unwrap_or_else(|_| SEEDS.to_string());
    for seed in seeds.split(',') {
        let directory = tempfile::tempdir().unwrap();
        ask(&program, directory.path(), &format!("make --kind {kind} --seed {seed} --out ."));
        let input = input(directory.path());
        let wrong = examine_one(&program, directory.path(), &input);
        assert!(wrong.is_empty(), "{kind}, seed {seed}:\n{}", wrong.join("\n"));
    }
}

/// The captures and objects of a scenario.
pub fn input(directory: &Path) -> String {
    let truth = truth(directory);
    let captures: Vec<&str> = truth["captures"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    format!("--pcap {} --cluster cluster.yaml", captures.join(" "))
}

fn truth(directory: &Path) -> Value {
    serde_json::from_slice(&fs::read(directory.join("truth.json")).unwrap()).unwrap()
}

/// What is wrong with the findings about policies that are there.
fn findings(program: &Path, directory: &Path, input: &str) -> Vec<String> {
    // These scenarios last minutes.
    let found = run(directory, &format!("unused -o json --min-window 1s {input}"));
    fs::write(directory.join("got.json"), &found.stdout).unwrap();
    let judged = ask(program, directory, "unused --truth truth.json --got got.json");
    let met = judged.trim_end().ends_with("wrong=0 missed=0") && !judged.contains("findings=0 ");
    if found.exit == 1 && met { Vec::new() } else { vec![format!("unused: exit {}, {judged}", found.exit)] }
}

/// What is wrong with the flows and policies of one scenario.
fn flows_and_policies(program: &Path, directory: &Path, input: &str) -> Vec<String> {
    let truth = truth(directory);
    let mut wrong = Vec::new();

    let flows = run(directory, &format!("flows -o json {input}"));
    fs::write(directory.join("got.ndjson"), &flows.stdout).unwrap();
    let judged = ask(program, directory, "flows --truth truth.json --got got.ndjson");
    if flows.exit != 0 || !judged.trim_end().ends_with(FLOWS) || judged.contains("first/last seen off") {
        wrong.push(format!("flows: exit {}, {judged}", flows.exit));
    }
    let rows: Vec<Value> = flows.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    wrong.extend(truth["edges"].as_array().unwrap().iter().filter_map(|edge| doubtful(edge, &rows)));

    for option in ["--default-deny", ""] {
        let generated = run(directory, &format!("generate {option} -o policies{option} {input}"));
        let args = format!("judge --one-sided --cluster cluster.yaml --truth truth.json --policies policies{option}");
        let judged = ask(program, directory, &args);
        let verdict = judged.trim_end().lines().last().unwrap_or_default();
        let required = "recall=100% excess=0 attempts_allowed=0 invalid=0 unisolated=0 overselect=0";
        // Without a default deny, workloads that nobody saw stay open to each other.
        let excess = option.is_empty() && verdict.starts_with("recall=100% excess=");
        let met =
            required.split(' ').all(|word| verdict.split(' ').any(|said| said == word || excess && word == "excess=0"));
        let one_sided = !option.is_empty() && judged.contains("one-sided excess");
        if generated.exit != 0 || !met || one_sided {
            wrong.push(format!("generate {option}: exit {}, {judged}", generated.exit));
        }
    }
    wrong
}

/// A true edge whose name is missing in its rows, or that claims a handshake where there was only other evidence.
fn doubtful(edge: &Value, rows: &[Value]) -> Option<String> {
    let side = |side: &Value| match side["type"].as_str().unwrap() {
        "workload" => ["namespace", "kind", "name"].map(|part| side[part].as_str().unwrap()).join("/"),
        "node" => format!("node:{}", side["name"].as_str().unwrap()),
        _ => format!("ext:{}", side["ip"].as_str().unwrap()),
    };
    let same = |row: &&Value| {
        edge["client"] == *side(&row["client"])
            && edge["server"] == *side(&row["server"])
            && edge["protocol"] == row["protocol"]
            && edge["port"] == row["port"]
    };
    let rows: Vec<&Value> = rows.iter().filter(same).collect();
    let named = |name: &Value| rows.iter().any(|row| row["names"].as_array().is_some_and(|names| names.contains(name)));
    let claimed = rows.iter().any(|row| row["direction"] == "handshake" && row["outcome"] == edge["outcome"]);
    if edge.get("server_name").is_some_and(|name| !name.is_null() && !named(name)) {
        Some(format!("no server_name: {edge}"))
    } else if edge.get("evidence").is_some_and(|evidence| !evidence.is_null()) && claimed {
        Some(format!("not a handshake: {edge}"))
    } else {
        None
    }
}

/// One test a kind, so that they run side by side.
macro_rules! kinds {
    ($($kind:ident)*) => { $(#[test] fn $kind() { examine(stringify!($kind), flows_and_policies); })* };
}

kinds! { basic targetport scan ipreuse hostnet nodelocaldns external dualstack sctp labels stateful portrange }

#[test]
fn policies() {
    examine("policies", findings);
}

#[test]
fn scale() {
    examine("scale:60", findings);
}
