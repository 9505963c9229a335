//! What `deploy/github-action` and `deploy/gitlab` do with a pull request: `runner` runs what is shipped.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::program::command;
use crate::runner::{DEPLOY, MARK, PLAYED, POLICIES, Request, Values, policy, text, yaml};
use crate::shared::skipped;

/// One comment, whatever comes after it, and the words that reviewers and later steps go by.
#[test]
fn the_comment_follows_the_branch() {
    let Some(request) = Request::new() else { return };
    let rows = [
        // Nothing to say, and nobody who was told otherwise.
        ("elsewhere", "skipped", 0, ["", "", ""], None),
        ("denies", "denies", 1, ["1", "1", "0"], Some("Would deny 1 observed edge")),
        ("safe", "safe", 0, ["0", "0", "1"], Some("Safe to merge")),
        ("elsewhere", "skipped", 0, ["", "", ""], Some("No policy changes")),
    ];
    for (branch, verdict, exit, codes, words) in rows {
        let job = request.action(branch, &[("title", "$(touch pwned) `touch pwned`")]);
        assert_eq!((job.exit, job.outputs["verdict"].as_str()), (exit, verdict), "{branch}: {}", job.log);
        assert_eq!(["diff", "check", "unused"].map(|name| job.outputs[name].as_str()), codes, "{branch}: {}", job.log);
        let comments = request.comments();
        assert_eq!(comments.len(), usize::from(words.is_some()), "{branch}: {comments:?}");
        if let Some(words) = words {
            assert!(comments[0].starts_with(MARK) && comments[0].contains(words), "{branch}: {}", comments[0]);
            assert!(job.summary.contains(words), "{branch}: {}", job.summary);
        }
        assert_eq!(job.summary.contains("| `check` |"), verdict != "skipped", "{branch}: {}", job.summary);
        for file in ["html", "sarif"] {
            let there = Path::new(&job.outputs[file]).is_file();
            assert_eq!(there, verdict != "skipped", "{branch}: {file}: {}", job.outputs[file]);
        }
    }
    let calls = fs::read_to_string(request.path("calls")).unwrap();
    let changes: Vec<&str> = calls.lines().filter(|call| call.contains("--method")).collect();
    let methods: Vec<&str> = changes.iter().map(|call| call.split(' ').nth(2).unwrap()).collect();
    assert_eq!(methods, ["POST", "PATCH", "PATCH"], "{calls}");
}

#[test]
fn inputs_say_what_fails_and_what_is_uploaded() {
    let Some(request) = Request::new() else { return };
    let hour = ("min-window", "1h");
    let rows: [(&str, Values<'_>, i32, &str); 6] = [
        ("denies", &[("fail-on", "never")], 0, "denies"),
        ("denies", &[("fail-on", "insufficient")], 1, "denies"),
        ("safe", &[hour], 0, "insufficient"),
        ("safe", &[hour, ("fail-on", "insufficient")], 3, "insufficient"),
        ("safe", &[("fail-on", "always")], 2, "safe"),
        ("unreadable", &[("fail-on", "never")], 2, "error"),
    ];
    for (branch, inputs, exit, verdict) in rows {
        let job = request.action(branch, inputs);
        assert_eq!((job.exit, job.outputs["verdict"].as_str()), (exit, verdict), "{inputs:?}: {}", job.log);
        assert_eq!(job.used, [""; 0]);
    }
    let job = request.action("safe", &[("upload-sarif", "true"), ("comment", "false"), ("name", "other")]);
    let [used] = <[String; 1]>::try_from(job.used).unwrap();
    let file = used.strip_prefix("github/codeql-action/upload-sarif@v4 ").unwrap();
    let findings: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert!(!findings["runs"][0]["results"].as_array().unwrap().is_empty());
    // The first of the rows above, and no other with another mark.
    assert_eq!(request.comments().len(), 1);
}

/// As for pull requests from forks.
#[test]
fn a_token_that_may_only_read_is_no_failure() {
    let Some(request) = Request::new() else { return };
    fs::write(request.path("read-only"), "").unwrap();
    let job = request.action("safe", &[]);
    assert_eq!(job.exit, 0, "{}", job.log);
    assert!(job.log.contains("::notice title=Ringfence::No comment: the API refuses it"), "{}", job.log);
    assert!(job.summary.contains("Safe to merge"), "{}", job.summary);
    assert_eq!(request.comments(), [""; 0]);
}

/// What would be merged is compared with what it is merged into, of which a shallow clone has only the name; the head of
/// a branch with the merge base, which a shallow clone cannot find.
#[test]
fn the_base_is_found_or_asked_for() {
    let Some(request) = Request::new() else { return };
    request.git("repository", &["checkout", "--quiet", "main"]);
    request.git("repository", &["merge", "--quiet", "--no-ff", "--message", "merge", "denies"]);
    let merged = request.git("repository", &["rev-parse", "HEAD"]);
    let origin = format!("file://{}", request.path("repository").display());
    let clone = |branch: &str, name: &str| {
        request.git(".", &["clone", "--quiet", "--depth=1", "--branch", branch, &origin, name]);
    };
    clone("main", "merge");
    clone("safe", "head");
    let job = request.action_in("merge", &[], &[("GITHUB_SHA", &merged)]);
    assert_eq!((job.exit, job.outputs["verdict"].as_str()), (1, "denies"), "{}", job.log);
    let job = request.action_in("head", &[], &[]);
    assert_eq!((job.exit, job.outputs["verdict"].as_str()), (2, "error"), "{}", job.log);
    assert!(job.log.contains("fetch-depth: 0"), "{}", job.log);
    let job = request.action_in("repository", &[("base", "safe")], &[("GITHUB_SHA", &merged)]);
    assert_eq!((job.exit, job.outputs["verdict"].as_str()), (1, "denies"), "{}", job.log);
}

/// The first policies, the last ones, and a file by two names.
#[test]
fn either_side_may_be_empty() {
    let Some(request) = Request::new() else { return };
    let branch = |name: &str| request.git("repository", &["checkout", "--quiet", "-b", name, &request.base]);
    branch("first");
    fs::create_dir(request.path("repository/first")).unwrap();
    request.write("first/api.yaml", &policy("{port: 8080}"));
    request.commit("first");
    branch("last");
    request.git("repository", &["rm", "-r", "--quiet", POLICIES]);
    request.commit("last");
    branch("link");
    let folder = request.path("repository").join(POLICIES);
    fs::rename(folder.join("api.yaml"), folder.join("api.txt")).unwrap();
    symlink("api.txt", folder.join("api.yaml")).unwrap();
    request.commit("link");
    let rows: [(&str, Values<'_>, &str, &str); 3] = [
        ("first", &[("policies", "./first/")], "denies", "1 added, 0 removed"),
        ("last", &[], "safe", "0 added, 1 removed"),
        ("link", &[], "safe", "0 added, 0 removed"),
    ];
    for (branch, inputs, verdict, words) in rows {
        let job = request.action(branch, inputs);
        assert_eq!(job.outputs["verdict"], verdict, "{branch}: {}", job.log);
        assert!(job.summary.contains(words), "{branch}: {}", job.summary);
    }
}

/// The lines of a log that the runner takes for commands.
fn commands(log: &str) -> Vec<&str> {
    let mut until: Option<String> = None;
    let mut commands = Vec::new();
    for line in log.lines().filter(|line| line.starts_with("::")) {
        match &until {
            Some(token) if line == token => until = None,
            Some(_) => {}
            None => {
                until = line.strip_prefix("::stop-commands::").map(|token| format!("::{token}::"));
                commands.push(line);
            }
        }
    }
    commands
}

#[test]
fn what_cannot_be_judged_is_said() {
    let Some(request) = Request::new() else { return };
    let rows: [(&str, Values<'_>, &str); 5] = [
        ("safe", &[("log", "gone*.db")], "`gone*.db` is no file"),
        ("safe", &[("snapshot", "gone.json")], "there is no `gone.json`"),
        ("safe", &[("policies", "gone")], "there is no `gone`"),
        ("safe", &[("policies", "../repository")], "below the top of the checkout"),
        ("unreadable", &[], "bad.yaml:2"),
    ];
    for (branch, inputs, words) in rows {
        let job = request.action(branch, inputs);
        assert_eq!((job.exit, job.outputs["verdict"].as_str()), (2, "error"), "{inputs:?}: {}", job.log);
        let [comment] = <[String; 1]>::try_from(request.comments()).unwrap();
        assert!(comment.starts_with(&format!("{MARK}## ⚠️ Not judged")), "{inputs:?}: {comment}");
        assert!(comment.contains(words) && !comment.contains("Safe"), "{inputs:?}: {comment}");
        assert_eq!((job.outputs["html"].as_str(), job.outputs["sarif"].as_str()), ("", ""));
    }
    // The program names the file, and what it says is no command to the runner.
    request.git("repository", &["checkout", "--quiet", "unreadable"]);
    request.write(&format!("{POLICIES}/a\n::warning::pwned.yaml"), "kind: NetworkPolicy\nmetadata: 7\n");
    request.commit("a name with a command in it");
    let job = request.action("unreadable", &[]);
    assert!(job.log.contains("::warning::pwned.yaml"), "{}", job.log);
    assert!(commands(&job.log).iter().any(|command| command.starts_with("::error ")), "{}", job.log);
    assert!(commands(&job.log).iter().all(|command| !command.contains("pwned")), "{}", job.log);
    let secret = request.path("secret.yaml");
    fs::write(&secret, "kind: NetworkPolicy\nmetadata: hunter2\n").unwrap();
    request.git("repository", &["checkout", "--quiet", "-b", "link", &request.base]);
    let link = request.path("repository").join(POLICIES).join("link.yaml");
    symlink(&secret, &link).unwrap();
    request.commit("link");
    let job = request.action("link", &[]);
    assert!(job.exit == 2 && job.log.contains("a symbolic link leaves"), "{}", job.log);
    assert!(!job.log.contains("hunter2"), "{}", job.log);
}

/// The release's archive is looked into only if its sum is right.
#[test]
fn a_release_is_checked() {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return skipped("releases", "there is none for this machine");
    }
    let Some(request) = Request::new() else { return };
    let program = command(request.directory.path()).get_program().to_str().unwrap().to_string();
    let packed = request.path("packed");
    fs::create_dir(&packed).unwrap();
    let inside = packed.join("kubectl-ringfence");
    fs::write(&inside, format!("#!/bin/sh\nexec '{program}' \"$@\"\n")).unwrap();
    fs::set_permissions(&inside, fs::Permissions::from_mode(0o755)).unwrap();
    let archive = request.path("archive.tar.gz");
    let status = Command::new("tar").arg("-C").arg(&packed).arg("-czf").arg(&archive).arg("kubectl-ringfence").status();
    assert!(status.unwrap().success());
    let sum: String = Sha256::digest(fs::read(&archive).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
    let wrong = "0".repeat(64);
    let rows = [
        (sum.as_str(), "0.1.0", 0, "== verdict\nverdict: safe"),
        (&wrong, "0.1.0", 2, "has another SHA-256"),
        ("", "0.1.0", 2, "needs the SHA-256"),
        (&sum, "0.1.0/../$(touch pwned)", 2, "is not like 0.1.0"),
        (&sum, "", 2, "neither `binary` nor `version`"),
    ];
    for (sum, version, exit, words) in rows {
        let releases = ("releases", "https://releases.example.com/");
        let job = request.action("safe", &[("binary", ""), ("version", version), ("sha256", sum), releases]);
        assert_eq!(job.exit, exit, "{version} {sum}: {}", job.log);
        assert!(job.log.contains(words), "{version} {sum}: {}", job.log);
    }
}

#[test]
fn gitlab_does_the_same() {
    let Some(request) = Request::new() else { return };
    let rows: [(&str, Values<'_>, i32, &str); 7] = [
        ("denies", &[], 1, "Would deny 1 observed edge"),
        ("denies", &[("RINGFENCE_FAIL_ON", "never")], 0, "Would deny 1 observed edge"),
        ("safe", &[], 0, "Safe to merge"),
        ("safe", &[("RINGFENCE_MIN_WINDOW", "1h"), ("RINGFENCE_FAIL_ON", "insufficient")], 3, "Insufficient evidence"),
        ("elsewhere", &[], 0, "No policy changes"),
        ("unreadable", &[("RINGFENCE_FAIL_ON", "never")], 2, "Not all of the input could be read"),
        ("safe", &[("RINGFENCE_POLICIES", "gone")], 2, "There is no gone"),
    ];
    for (branch, more, exit, words) in rows {
        let (ended, log) = request.gitlab(branch, more);
        assert_eq!(ended, exit, "{branch} {more:?}: {log}");
        let [comment] = <[String; 1]>::try_from(request.comments()).unwrap();
        assert!(comment.starts_with(MARK) && comment.contains(words), "{branch} {more:?}: {comment}");
    }
    let calls = fs::read_to_string(request.path("calls")).unwrap();
    assert_eq!(calls.lines().filter(|call| call.starts_with("POST")).count(), 1, "{calls}");
    let (ended, log) = request.gitlab("safe", &[("RINGFENCE_TOKEN", "")]);
    assert!(ended == 2 && log.contains("no comment: RINGFENCE_TOKEN is not set"), "{log}");
}

/// Every input of a script comes through its environment, and every action has a version.
#[test]
fn nothing_is_pasted_into_scripts() {
    let action = yaml("github-action/action.yml");
    let [review, collect] = ["example", "example-collect"].map(|name| yaml(&format!("github-action/{name}.yml")));
    let steps = [&action["runs"], &review["jobs"]["review"], &collect["jobs"]["collect"]];
    let mut scripts = 0;
    for step in steps.iter().flat_map(|job| job["steps"].as_array().unwrap()) {
        if let Some(run) = step.get("run") {
            assert!(!text(run).contains("${{"), "{run}");
            scripts += 1;
        }
        if let Some(used) = step.get("uses").map(text) {
            let (name, version) = used.split_once('@').unwrap();
            let number = version.strip_prefix('v').is_some_and(|version| version.parse::<u32>().is_ok());
            assert!(number || name.ends_with("deploy/github-action"), "{used}");
        }
    }
    assert_eq!(scripts, 6);
    // What the example gives is there.
    let given = review["jobs"]["review"]["steps"].as_array().unwrap().iter().find(|step| step["id"] == "ringfence");
    for name in given.unwrap()["with"].as_object().unwrap().keys() {
        assert!(action["inputs"].get(name).is_some(), "there is no input {name}");
    }
}

#[test]
fn shellcheck_finds_nothing() {
    let Ok(version) = Command::new("shellcheck").arg("--version").output() else {
        return skipped("shell scripts", "there is no shellcheck");
    };
    assert!(version.status.success());
    let scripts = [format!("{DEPLOY}/github-action"), PLAYED.to_string()];
    let mut files: Vec<PathBuf> = scripts
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_none_or(|extension| extension == "sh"))
        .collect();
    let job = &yaml("gitlab/ringfence.yml")["ringfence"];
    let work = tempfile::tempdir().unwrap();
    for part in ["script", "after_script"] {
        let lines: Vec<&str> = job[part].as_array().unwrap().iter().map(text).collect();
        files.push(work.path().join(part));
        fs::write(&files[files.len() - 1], format!("#!/bin/bash\n{}", lines.join("\n"))).unwrap();
    }
    files.sort();
    assert!(files.len() == 8, "{files:?}");
    let found = Command::new("shellcheck").args(&files).output().unwrap();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stdout));
}
