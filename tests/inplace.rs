//! `generate -o DIR` again and again: what it wrote is kept up to date, and nothing else is touched.

mod kustomize;
mod names;
mod stale;
mod way;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::packets::{ETHERNET, pcap};
use crate::program::{Run, run};
use crate::traffic;

/// Pods as (namespace, name, address); each is a workload of its own.
const PODS: [(&str, &str, &str); 4] = [
    ("shop", "web", "10.1.0.5"),
    ("shop", "api", "10.1.0.7"),
    ("shop", "db", "10.1.0.9"),
    ("data", "cache", "10.1.0.11"),
];

const WEB: &str = "00:00:01 10.1.0.5:40000 -> 10.1.0.7:8080 TCP established";
const DB: &str = "00:00:02 10.1.0.7:40001 -> 10.1.0.9:5432 TCP established";
const CACHE: &str = "00:00:03 10.1.0.7:40002 -> 10.1.0.11:6379 TCP established";
const OUTSIDE: &str = "00:00:04 10.1.0.7:40003 -> 203.0.113.9:443 TCP established";
const USUAL: [&str; 3] = [WEB, DB, CACHE];

/// A policy that somebody wrote by hand.
const BY_HAND: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {namespace: shop, name: mine}\n\
                       spec: {podSelector: {matchLabels: {app: mine}}}   # odd   spacing\n";

/// A cluster, traffic, and the directory `out`.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        place.cluster(&PODS);
        place.traffic(&USUAL);
        place
    }

    /// With the policies of the usual traffic in `out`.
    fn written() -> Place {
        let place = Place::new();
        assert_eq!(place.generate("").exit, 0);
        place
    }

    fn cluster(&self, pods: &[(&str, &str, &str)]) {
        let pod = |(namespace, name, ip): &(&str, &str, &str)| {
            format!(
                "---\nkind: Pod\nmetadata: {{namespace: {namespace}, name: {name}, labels: {{app: {name}}}}}\n\
                 spec: {{nodeName: n1}}\nstatus: {{phase: Running, podIP: {ip}}}\n"
            )
        };
        self.write("cluster.yaml", &pods.iter().map(pod).collect::<String>());
    }

    fn traffic(&self, lines: &[&str]) {
        fs::write(self.path("traffic.pcap"), pcap(ETHERNET, &traffic::frames(&lines.join("\n")))).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn generate(&self, args: &str) -> Run {
        run(self.0.path(), &format!("generate --pcap traffic.pcap --cluster cluster.yaml -o out {args}"))
    }

    /// Text and time of every file in `out`.
    fn files(&self) -> BTreeMap<PathBuf, (String, SystemTime)> {
        let mut files = BTreeMap::new();
        let mut left = vec![self.path("out")];
        while let Some(path) = left.pop() {
            if path.is_dir() {
                left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else if let Ok(text) = fs::read_to_string(&path) {
                let time = fs::symlink_metadata(&path).unwrap().modified().unwrap();
                files.insert(path.strip_prefix(self.path("out")).unwrap().to_path_buf(), (text, time));
            }
        }
        files
    }

    fn names(&self) -> Vec<String> {
        self.files().keys().map(|path| path.display().to_string()).collect()
    }
}

/// What is said about files.
fn plan(run: &Run) -> Vec<&str> {
    let is_said = |line: &&str| {
        ["+ ", "~ ", "- ", "Plan: ", "No changes.", "stays, "].iter().any(|start| line.starts_with(start))
            || line.starts_with("warning: ") && line.contains(".yaml")
    };
    run.stderr.lines().filter(is_said).collect()
}

#[test]
fn the_same_again_changes_nothing() {
    let place = Place::new();
    let first = place.generate("");
    let added = ["+ data/cache.yaml", "+ shop/api.yaml", "+ shop/db.yaml", "+ shop/web.yaml"];
    assert_eq!(plan(&first), [&added[..], &["Plan: 4 to add, 0 to change, 0 to remove"]].concat());
    assert!(!first.stderr.contains('\u{1b}'), "no colours where nobody looks: {}", first.stderr);
    let before = place.files();
    for args in ["", "--check", "--refresh-evidence", "--check --refresh-evidence"] {
        let again = place.generate(args);
        assert_eq!((again.exit, plan(&again)), (0, vec!["No changes. 4 policies are up to date."]), "{args}");
        assert_eq!(place.files(), before, "{args}");
    }
    assert_eq!(place.generate("-q").stderr, "");
}

#[test]
fn a_check_writes_nothing() {
    let place = Place::new();
    let checked = place.generate("--check");
    assert_eq!((checked.exit, plan(&checked).last().copied()), (1, Some("Plan: 4 to add, 0 to change, 0 to remove")));
    assert!(!place.path("out").exists());
    assert_eq!(place.generate("").exit, 0);
    let before = place.files();
    place.traffic(&[WEB, DB]);
    let checked = place.generate("--check");
    assert_eq!(checked.exit, 1);
    assert_eq!(plan(&checked), plan(&place.generate("")), "the same is said");
    assert_ne!(place.files(), before);
}

#[test]
fn equal_rules_keep_every_byte() {
    let place = Place::written();
    let by_hand = place.text("out/shop/db.yaml").replace("spec:\n", "spec:\n  # agreed with the database team\n");
    place.write("out/shop/db.yaml", &by_hand);
    let before = place.files();
    place.traffic(&[WEB, WEB.replace("01 ", "09 ").replace("40000", "41000").as_str(), DB, CACHE]);
    for args in ["", "--check"] {
        let again = place.generate(args);
        assert_eq!((again.exit, plan(&again)), (0, vec!["No changes. 4 policies are up to date."]), "{args}");
        assert_eq!(place.files(), before, "{args}");
    }
    let said = [
        "~ shop/api.yaml  comments",
        "~ shop/db.yaml  comments",
        "~ shop/web.yaml  comments",
        "Plan: 0 to add, 3 to change, 0 to remove",
    ];
    let checked = place.generate("--check --refresh-evidence");
    assert_eq!((checked.exit, plan(&checked)), (1, said.to_vec()));
    assert_eq!(place.files(), before);
    assert_eq!(plan(&place.generate("--refresh-evidence")), said);
    assert!(place.text("out/shop/api.yaml").contains("# 2 connections from 1/1 pods"));
    assert!(!place.text("out/shop/db.yaml").contains("agreed"));
    assert_eq!(place.files()[Path::new("data/cache.yaml")], before[Path::new("data/cache.yaml")]);
}

#[test]
fn changes_are_said_in_words() {
    let place = Place::written();
    let labelled = place.text("out/shop/web.yaml").replace("  labels:\n", "  labels:\n    team: x\n");
    place.write("out/shop/web.yaml", &labelled);
    place.traffic(&[WEB, CACHE, OUTSIDE]);
    let run = place.generate("");
    let said = [
        "~ shop/api.yaml  egress: +203.0.113.9/32 443/TCP, -shop/db 5432/TCP",
        "- shop/db.yaml  nothing seen that makes a rule for shop/Pod/db",
        "~ shop/web.yaml  labels: -team=x",
        "Plan: 0 to add, 2 to change, 1 to remove",
    ];
    assert_eq!((run.exit, plan(&run)), (0, said.to_vec()));
    assert_eq!(place.names(), ["data/cache.yaml", "shop/api.yaml", "shop/web.yaml"]);
    assert_eq!(place.generate("--check").exit, 0);
}

#[test]
fn hand_written_files_are_never_touched() {
    let place = Place::written();
    place.write("out/shop/mine.yaml", BY_HAND);
    place.write("out/shop/values.yaml", "replicas:   3\n");
    place.write("out/app.json", "{\"kind\":   \"ConfigMap\"}");
    place.write("out/README.md", "text");
    place.write("out/.git/config.yaml", "{{ not yaml");
    place.write("out/data/empty.yaml", "");
    let by_hand = |place: &Place| {
        let mut files = place.files();
        let names =
            ["shop/mine.yaml", "shop/values.yaml", "app.json", "README.md", ".git/config.yaml", "data/empty.yaml"];
        names.map(|name| files.remove(Path::new(name)))
    };
    let before = by_hand(&place);
    assert!(before.iter().all(Option::is_some));
    for lines in [&USUAL[..], &[WEB, OUTSIDE], &[DB]] {
        place.traffic(lines);
        assert_eq!(place.generate("--refresh-evidence --default-deny").exit, 0);
        assert_eq!(by_hand(&place), before);
    }
}

/// What the API server fills in is neither written nor left where it was pasted.
#[test]
fn no_fields_of_the_server() {
    let place = Place::written();
    let pasted = place.text("out/shop/web.yaml").replace(
        "metadata:\n",
        "metadata:\n  creationTimestamp: \"2026-11-01T00:00:00Z\"\n  uid: 0e9a\n  resourceVersion: \"7\"\n  generation: 1\n",
    );
    place.write("out/shop/web.yaml", &pasted);
    let run = place.generate("");
    assert_eq!(plan(&run)[0], "~ shop/web.yaml  fields that have no effect", "{}", run.stderr);
    for (name, (text, _)) in place.files() {
        for field in
            ["status", "creationTimestamp", "resourceVersion", "uid", "generation", "managedFields", "selfLink"]
        {
            assert!(!text.contains(&format!("{field}:")), "{} has {field}", name.display());
        }
    }
}

#[test]
fn options_about_files_need_files() {
    let place = Place::new();
    for option in ["--check", "--refresh-evidence", "--kustomize"] {
        let run = run(place.0.path(), &format!("generate --pcap traffic.pcap --cluster cluster.yaml {option}"));
        assert_eq!((run.exit, run.stdout.as_str()), (2, ""), "{option}");
        assert!(run.stderr.contains(option) && run.stderr.contains("-o DIR"), "{}", run.stderr);
    }
}
