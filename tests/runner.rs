//! A runner of GitHub's and of GitLab's, for a repository with branches: it runs the steps of action.yml and the scripts
//! of ringfence.yml as they are shipped. `tests/action/gh` and `curl` play the two APIs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::apiserver::documents;
use crate::input::directory;
use crate::program::{command, run};
use crate::shared::skipped;

pub const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
pub const PLAYED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/action");

/// The directory of the policies. Nothing of a name may be run, which would leave a file behind.
pub const POLICIES: &str = "net policies; $(touch pwned)";

pub const MARK: &str = "<!-- ringfence-report: policies -->\n";

pub type Words = BTreeMap<String, String>;

/// Names and their values.
pub type Values<'a> = &'a [(&'a str, &'a str)];

/// A repository, what was recorded, and the comments so far.
pub struct Request {
    pub directory: tempfile::TempDir,
    pub base: String,
}

/// How a job ended.
pub struct Job {
    pub exit: i32,
    pub log: String,
    pub summary: String,
    pub outputs: Words,
    /// Actions that it would have used.
    pub used: Vec<String>,
}

/// A policy for `api`, which `web` reaches on these ports.
pub fn policy(ports: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{namespace: shop, name: api}}
spec:
  podSelector: {{matchLabels: {{app: api}}}}
  ingress:
  - from: [{{podSelector: {{matchLabels: {{app: web}}}}}}]
    ports: [{ports}]
"
    )
}

pub fn yaml(file: &str) -> Value {
    let text = fs::read_to_string(Path::new(DEPLOY).join(file)).unwrap();
    let [value] = documents(&text).try_into().unwrap();
    value
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

impl Request {
    /// `None`, and a line that says so, where a program is missing that runners have.
    pub fn new() -> Option<Request> {
        for program in ["git", "jq"] {
            if Command::new(program).arg("--version").output().is_err() {
                skipped("pull requests", &format!("there is no {program}"));
                return None;
            }
        }
        let mut request = Request { directory: directory(&[]), base: String::new() };
        let record = "record --pcap traffic.pcap --cluster cluster.yaml --log flows.db";
        let recorded = run(request.directory.path(), record);
        assert_eq!(recorded.exit, 0, "{}", recorded.stderr);
        let cluster = fs::read_to_string(request.path("cluster.yaml")).unwrap();
        let objects = json!({"apiVersion": "v1", "kind": "List", "items": documents(&cluster)});
        fs::write(request.path("cluster.json"), objects.to_string()).unwrap();
        // The same mark in the words of somebody else.
        let stranger = json!([{"id": 1, "user": {"login": "mallory"}, "author": {"id": 1}, "body": MARK}]);
        fs::write(request.path("comments.json"), stranger.to_string()).unwrap();
        fs::create_dir_all(request.path("repository").join(POLICIES)).unwrap();
        request.git("repository", &["init", "--quiet", "--initial-branch=main"]);
        request.write("README.md", "A shop.\n");
        request.write(".gitignore", "ringfence-*/\nnote*.json\n");
        request.write(&format!("{POLICIES}/api.yaml"), &policy("{port: 8080}, {port: 9090}"));
        request.commit("policies");
        request.base = request.git("repository", &["rev-parse", "HEAD"]);
        let branches: [(&str, String, String); 4] = [
            ("denies", format!("{POLICIES}/api.yaml"), policy("{port: 8080}")),
            ("safe", format!("{POLICIES}/api.yaml"), policy("{port: 8080}, {port: 9090}, {port: 7070}")),
            ("elsewhere", "README.md".to_string(), "Another shop.\n".to_string()),
            ("unreadable", format!("{POLICIES}/bad.yaml"), "kind: NetworkPolicy\nmetadata: 7\n".to_string()),
        ];
        for (branch, file, text) in branches {
            request.git("repository", &["checkout", "--quiet", "-b", branch, &request.base]);
            request.write(&file, &text);
            request.commit(branch);
        }
        Some(request)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path("repository").join(name), text).unwrap();
    }

    pub fn commit(&self, subject: &str) {
        self.git("repository", &["add", "--all"]);
        self.git("repository", &["commit", "--quiet", "--message", subject]);
    }

    /// A command with the environment of a runner, and no more of this one than where programs are.
    fn runner(&self, program: &str, checkout: &str) -> Command {
        let mut command = Command::new(program);
        let path = format!("{PLAYED}:{}", std::env::var("PATH").unwrap());
        command.current_dir(self.path(checkout)).env_clear().env("PATH", path).env("HOME", self.directory.path());
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("STATE", self.directory.path()).env("LC_ALL", "C.UTF-8");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "somebody").env(format!("GIT_{who}_EMAIL"), "somebody@example.com");
        }
        command
    }

    pub fn git(&self, checkout: &str, args: &[&str]) -> String {
        let output = self.runner("git", checkout).args(args).output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_string()
    }

    /// Runs a script as both runners do; its exit code and what it printed.
    fn script(&self, checkout: &str, script: &str, environment: &Words) -> (i32, String) {
        let mut command = self.runner("bash", checkout);
        command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]).envs(environment);
        let output = command.output().unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (output.status.code().unwrap_or(-1), stdout + &stderr)
    }

    /// The comments of this program, and that the other is as it was.
    pub fn comments(&self) -> Vec<String> {
        let comments = fs::read_to_string(self.path("comments.json")).unwrap();
        let comments: Vec<Value> = serde_json::from_str(&comments).unwrap();
        assert_eq!(text(&comments[0]["body"]), MARK);
        comments[1..].iter().map(|comment| text(&comment["body"]).to_string()).collect()
    }

    /// The action on a branch.
    pub fn action(&self, branch: &str, inputs: Values<'_>) -> Job {
        self.git("repository", &["checkout", "--quiet", branch]);
        let job = self.action_in("repository", inputs, &[]);
        assert!(!self.path("repository/pwned").exists() && !self.path("pwned").exists(), "{}", job.log);
        job
    }

    /// The action in a checkout, with inputs and parts of the environment besides the usual.
    pub fn action_in(&self, checkout: &str, inputs: Values<'_>, more: Values<'_>) -> Job {
        let action = yaml("github-action/action.yml");
        let path = |name: &str| self.path(name).display().to_string();
        let event = json!({"pull_request": {"number": 7, "base": {"sha": self.base}}});
        fs::write(self.path("event.json"), event.to_string()).unwrap();
        let binary = command(self.directory.path()).get_program().to_str().unwrap().to_string();
        let (log, snapshot) = (path("flow*.db"), path("cluster.json"));
        let mut context = Words::from([
            ("github.token".to_string(), "secret".to_string()),
            ("github.event.pull_request.head.repo.fork".to_string(), "false".to_string()),
        ]);
        for (name, input) in action["inputs"].as_object().unwrap() {
            let default = expand(input.get("default").map_or("", text), &context);
            context.insert(format!("inputs.{name}"), default);
        }
        let usual = [
            ("binary", binary.as_str()),
            ("policies", POLICIES),
            ("log", &log),
            ("snapshot", &snapshot),
            ("min-window", "1s"),
        ];
        for (name, value) in usual.iter().chain(inputs) {
            assert!(context.insert(format!("inputs.{name}"), value.to_string()).is_some(), "there is no input {name}");
        }
        let mut job =
            Job { exit: 0, log: String::new(), summary: String::new(), outputs: Words::new(), used: Vec::new() };
        for step in action["runs"]["steps"].as_array().unwrap() {
            if step.get("if").is_some_and(|condition| !holds(text(condition), &context)) {
                continue;
            }
            if let Some(used) = step.get("uses") {
                job.used.push(format!("{} {}", text(used), expand(text(&step["with"]["sarif_file"]), &context)));
                continue;
            }
            let files = ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"].map(|name| (name.to_string(), path(name)));
            files.iter().for_each(|(_, file)| fs::write(file, "").unwrap());
            let mut environment = Words::from(files);
            for (name, value) in [
                ("GITHUB_ACTION_PATH", format!("{DEPLOY}/github-action")),
                ("GITHUB_EVENT_PATH", path("event.json")),
                ("GITHUB_REF", "refs/pull/7/merge".to_string()),
                ("GITHUB_REPOSITORY", "shop/policies".to_string()),
                ("GITHUB_SHA", "0".repeat(40)),
                ("RUNNER_TEMP", path("")),
            ] {
                environment.insert(name.to_string(), value);
            }
            environment.extend(more.iter().map(|(name, value)| (name.to_string(), value.to_string())));
            for (name, value) in step["env"].as_object().unwrap() {
                environment.insert(name.clone(), expand(text(value), &context));
            }
            let (exit, log) = self.script(checkout, text(&step["run"]), &environment);
            job.log += &format!("== {}\n{log}", text(&step["id"]));
            job.summary += &fs::read_to_string(path("GITHUB_STEP_SUMMARY")).unwrap();
            for line in fs::read_to_string(path("GITHUB_OUTPUT")).unwrap().lines() {
                let (name, value) = line.split_once('=').unwrap();
                context.insert(format!("steps.{}.outputs.{name}", text(&step["id"])), value.to_string());
            }
            job.exit = exit;
            if exit != 0 {
                break;
            }
        }
        for (name, output) in action["outputs"].as_object().unwrap() {
            job.outputs.insert(name.clone(), expand(text(&output["value"]), &context));
        }
        job
    }

    /// The job on GitLab, on a branch.
    pub fn gitlab(&self, branch: &str, more: Values<'_>) -> (i32, String) {
        self.git("repository", &["checkout", "--quiet", branch]);
        let file = yaml("gitlab/ringfence.yml");
        let mut environment = Words::new();
        for (name, value) in file["variables"].as_object().unwrap() {
            environment.insert(name.clone(), text(value).to_string());
        }
        let program = command(self.directory.path()).get_program().to_str().unwrap().to_string();
        for (name, value) in [
            ("CI_API_V4_URL", "https://gitlab.example.com/api/v4"),
            ("CI_DEFAULT_BRANCH", "main"),
            ("CI_MERGE_REQUEST_DIFF_BASE_SHA", &self.base),
            ("CI_MERGE_REQUEST_IID", "7"),
            ("CI_MERGE_REQUEST_PROJECT_ID", "5"),
            ("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", ""),
            ("RINGFENCE", &program),
            ("RINGFENCE_MIN_WINDOW", "1s"),
            ("RINGFENCE_POLICIES", POLICIES),
            ("RINGFENCE_TOKEN", "secret"),
        ]
        .iter()
        .chain(more)
        {
            environment.insert(name.to_string(), value.to_string());
        }
        let lines = |part: &str| {
            let lines: Vec<&str> = file["ringfence"][part].as_array().unwrap().iter().map(text).collect();
            lines.join("\n")
        };
        let (exit, log) = self.script("repository", &lines("script"), &environment);
        // Whose exit code counts for nothing, which is no reason to fail.
        let (after, comment) = self.script("repository", &lines("after_script"), &environment);
        assert_eq!(after, 0, "{comment}");
        assert!(!self.path("repository/pwned").exists(), "{log}");
        (exit, log + &comment)
    }
}

/// A text with the values of its expressions.
fn expand(text: &str, context: &Words) -> String {
    let mut parts = text.split("${{");
    let mut filled = parts.next().unwrap().to_string();
    for part in parts {
        let (expression, rest) = part.split_once("}}").unwrap();
        filled += &(value(expression, context) + rest);
    }
    filled
}

/// A quoted text, `true`, or a name; an output that a step did not set is empty.
fn value(term: &str, context: &Words) -> String {
    let term = term.trim();
    match (context.get(term), term.strip_prefix('\'')) {
        (Some(value), _) => value.clone(),
        (None, Some(quoted)) => quoted.trim_end_matches('\'').to_string(),
        (None, None) if term.starts_with("steps.") => String::new(),
        (None, None) if term == "true" => term.to_string(),
        _ => panic!("{term} is nothing"),
    }
}

/// Comparisons, joined by `&&`.
fn holds(condition: &str, context: &Words) -> bool {
    let condition = condition.trim().strip_prefix("${{").and_then(|condition| condition.strip_suffix("}}")).unwrap();
    condition.split("&&").all(|term| match (term.split_once("!="), term.split_once("==")) {
        (Some((one, other)), _) => value(one, context) != value(other, context),
        (None, Some((one, other))) => value(one, context) == value(other, context),
        (None, None) => panic!("no comparison: {term}"),
    })
}
