//! `generate -o DIR` again and again: what it wrote is kept up to date, and nothing else is touched.

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
fn what_is_stale_goes_and_what_is_not_ours_stays() {
    for (what, more, left) in [
        ("an empty directory goes too", None, vec!["shop/api.yaml", "shop/db.yaml", "shop/web.yaml"]),
        (
            "one with something else stays",
            Some(("out/data/notes.txt", "by hand")),
            vec!["data/notes.txt", "shop/api.yaml", "shop/db.yaml", "shop/web.yaml"],
        ),
    ] {
        let place = Place::written();
        if let Some((name, text)) = more {
            place.write(name, text);
        }
        place.traffic(&[WEB, DB]);
        place.cluster(&PODS[..3]);
        let run = place.generate("");
        assert!(plan(&run).contains(&"- data/cache.yaml  selects no pod of the cluster input"), "{what}: {run:#?}");
        assert_eq!(place.names(), left, "{what}");
        assert_eq!(place.path("out/data").exists(), more.is_some(), "{what}");
    }
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

/// All or nothing: what is in the way is named, and no file is written.
#[test]
fn what_is_in_the_way_is_named() {
    let ours = BY_HAND.replace("name: mine", "name: api, labels: {app.kubernetes.io/managed-by: ringfence}");
    let theirs = BY_HAND.replace("name: mine", "name: api");
    for (what, name, text, words) in [
        (
            "a file of another policy",
            "out/shop/api.yaml",
            BY_HAND,
            "shop/api.yaml is hand-written, and shop/api would be",
        ),
        ("a policy of the same name", "out/shop/api.yaml", &theirs, "shop/api.yaml:1 is a hand-written shop/api"),
        ("in another file", "out/all.yaml", &theirs, "all.yaml:1 is a hand-written shop/api"),
        ("ours beside theirs", "out/all.yaml", &format!("{BY_HAND}---\n{ours}"), "all.yaml:6 holds shop/api"),
        (
            "ours in a List",
            "out/all.yaml",
            &format!("kind: List\nitems:\n- {}\n", ours.trim_end().replace('\n', "\n  ")),
            "all.yaml:3 holds shop/api",
        ),
        ("a file where the directory would be", "out/shop", "text", "shop is no directory, and shop/api would be"),
        ("a directory where the file would be", "out/shop/api.yaml/x", "text", "shop/api.yaml is a directory"),
    ] {
        let place = Place::new();
        place.write(name, text);
        for args in ["", "--check"] {
            let run = place.generate(args);
            assert_eq!(run.exit, 2, "{what}: {}", run.stderr);
            assert!(run.stderr.contains("nothing is written") && run.stderr.contains(words), "{what}: {}", run.stderr);
            assert_eq!(place.names(), [name.trim_start_matches("out/")], "{what}");
        }
        assert_eq!(place.text(name), *text, "{what}");
    }
}

#[test]
fn a_file_that_is_partly_ours_is_hand_written() {
    let place = Place::written();
    let old = place.text("out/shop/web.yaml").replace("web", "old");
    let mixed = format!("{BY_HAND}---\n{old}");
    place.write("out/shop/mixed.yaml", &mixed);
    let run = place.generate("");
    let warning = "warning: shop/mixed.yaml holds policies of ringfence beside something else: it stays as it is";
    assert_eq!((run.exit, plan(&run)), (0, vec![warning, "No changes. 4 policies are up to date."]));
    assert_eq!(place.text("out/shop/mixed.yaml"), mixed);
}

#[test]
fn what_cannot_be_read_stops_everything() {
    for (name, text, words) in [
        ("out/shop/bad.yaml", "kind: Pod\nmetadata: [\n".as_bytes(), "out/shop/bad.yaml:2: "),
        ("out/bad.json", b"{\"kind\": oops}", "out/bad.json:1: "),
        ("out/kustomization.yaml", b"resources: [\n", "out/kustomization.yaml:1: "),
        ("out/bad.yaml", b"kind: \xff\n", "out/bad.yaml: not UTF-8"),
        (
            "out/bad.yaml",
            b"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec: {podselector: {}}\n",
            "out/bad.yaml:4: ",
        ),
    ] {
        let place = Place::new();
        fs::create_dir_all(place.path(name).parent().unwrap()).unwrap();
        fs::write(place.path(name), text).unwrap();
        let run = place.generate("");
        assert_eq!(run.exit, 2, "{name}: {}", run.stderr);
        assert!(run.stderr.contains(words) && run.stderr.contains("nothing is written"), "{name}: {}", run.stderr);
        assert_eq!(fs::read_dir(place.path("out")).unwrap().count(), 1, "{name}");
    }
    let place = Place::new();
    place.write("out", "a file");
    let run = place.generate("");
    assert_eq!((run.exit, run.stderr.contains("out: not a directory")), (2, true), "{}", run.stderr);
}

#[test]
fn only_what_is_selected_is_removed() {
    for (what, args, cluster, removed) in [
        ("everything", "", &PODS[..], vec!["data/cache.yaml", "shop/api.yaml", "shop/db.yaml"]),
        ("a namespace", "-n data", &PODS[..], vec!["data/cache.yaml"]),
        ("another", "-n shop", &PODS[..], vec!["shop/api.yaml", "shop/db.yaml"]),
        ("labels", "-l app=db", &PODS[..], vec!["shop/db.yaml"]),
        ("both", "-n data -l app=db", &PODS[..], vec![]),
        ("labels know nothing of pods that are gone", "-l app=db", &[PODS[0], PODS[3]], vec![]),
        ("the rest was not watched", "--watched shop", &PODS[..], vec!["shop/api.yaml", "shop/db.yaml"]),
    ] {
        let place = Place::written();
        place.cluster(cluster);
        place.traffic(&[
            "00:00:01 10.1.0.5:40000 -> 198.51.100.1:443 TCP established",
            "00:00:02 10.1.0.11:4000 -> 198.51.100.1:443 TCP unanswered",
        ]);
        let run = place.generate(args);
        assert_eq!(run.exit, 0, "{what}: {}", run.stderr);
        let all = ["data/cache.yaml", "shop/api.yaml", "shop/db.yaml", "shop/web.yaml"];
        let left: Vec<&str> = all.into_iter().filter(|name| !removed.contains(name)).collect();
        assert_eq!(place.names(), left, "{what}: {}", run.stderr);
    }
}

/// A policy goes only where the run saw enough to say that nobody needs it.
#[test]
fn silence_of_a_run_that_saw_little_removes_nothing() {
    let place = Place::written();
    let before = place.files();
    place.traffic(&["00:00:01 10.1.0.5:40000 -> 10.1.0.7:8080 TCP unanswered"]);
    let all = "data/cache.yaml, shop/api.yaml, shop/db.yaml, shop/web.yaml";
    let run = place.generate("");
    let said = format!("stays, nothing was learned: {all}");
    assert_eq!((run.exit, plan(&run)), (3, vec![said.as_str(), "No changes. 0 policies are up to date."]));
    assert_eq!(place.files(), before);

    place.traffic(&[WEB]);
    place.write("more.yaml", "kind: Pod\nmetadata: 7\n");
    let run = place.generate("--cluster more.yaml");
    assert_eq!(run.exit, 2);
    assert!(
        plan(&run).contains(&"stays, not all input could be read: data/cache.yaml, shop/db.yaml"),
        "{}",
        run.stderr
    );

    place.cluster(&PODS);
    place.traffic(&[WEB, CACHE]);
    let run = place.generate("--watched shop");
    assert!(plan(&run).contains(&"stays, not watched: data/cache.yaml"), "{}", run.stderr);
    assert!(place.path("out/data/cache.yaml").exists());
}

#[test]
fn names_and_files_stay() {
    let place = Place::written();
    // By hand: another file, another name, and two policies in one file.
    let web = place.text("out/shop/web.yaml").replace("name: web\n", "name: site\n");
    let (api, db) = (place.text("out/shop/api.yaml"), place.text("out/shop/db.yaml"));
    for gone in ["web", "api", "db"] {
        fs::remove_file(place.path(&format!("out/shop/{gone}.yaml"))).unwrap();
    }
    place.write("out/teams/front.yaml", &web);
    place.write("out/back.yaml", &format!("# the back\n---\n{api}---\n{db}"));
    // A second workload called web: its policy, and not the one that is there, gets the kind.
    let more = "---\nkind: Pod\nmetadata: {namespace: shop, name: web-1, labels: {app: w}, ownerReferences: [{kind: \
                Deployment, name: web, controller: true}]}\nspec: {nodeName: n1}\nstatus: {podIP: 10.1.0.13}\n";
    place.write("cluster.yaml", &(place.text("cluster.yaml") + more));
    let before = place.files();
    place.traffic(&[WEB, DB, CACHE, "00:00:05 10.1.0.13:4000 -> 10.1.0.7:8080 TCP established"]);
    let run = place.generate("");
    let said = [
        "~ back.yaml  shop/api ingress: +shop/web 8080/TCP",
        "+ shop/web-deployment.yaml",
        "Plan: 1 to add, 1 to change, 0 to remove",
    ];
    assert_eq!(plan(&run), said, "{}", run.stderr);
    assert_eq!(place.names(), ["back.yaml", "data/cache.yaml", "shop/web-deployment.yaml", "teams/front.yaml"]);
    assert_eq!(place.files()[Path::new("teams/front.yaml")], before[Path::new("teams/front.yaml")]);
    assert!(place.text("out/back.yaml").ends_with(&format!("---\n{db}")), "the other policy keeps its bytes");
    assert_eq!(place.generate("--check").exit, 0);

    // A policy less in the file, and one more in the other's usual place.
    place.traffic(&[WEB, CACHE]);
    let run = place.generate("");
    assert!(plan(&run)[0].contains("-shop/db (nothing seen that makes a rule for shop/Pod/db)"), "{}", run.stderr);
    assert!(!place.text("out/back.yaml").contains("name: db"));
}

#[test]
fn a_policy_that_is_there_twice_is_kept_once() {
    let place = Place::written();
    place.write("out/again.yaml", &place.text("out/shop/api.yaml"));
    let run = place.generate("");
    let said = ["- again.yaml  shop/api is also in shop/api.yaml", "Plan: 0 to add, 0 to change, 1 to remove"];
    assert_eq!(plan(&run), said);
    assert_eq!(place.names().len(), 4);
}

#[test]
fn names_stay_in_another_cluster() {
    let place = Place::new();
    let map = "--map-namespace shop=prod --map-namespace data=data";
    assert_eq!(place.generate(map).exit, 0);
    let web = place.text("out/prod/web.yaml").replace("name: web\n", "name: site\n");
    fs::remove_file(place.path("out/prod/web.yaml")).unwrap();
    place.write("out/prod/site.yaml", &web);
    place.write("out/shop/other.yaml", &web.replace("namespace: prod", "namespace: elsewhere"));
    let run = place.generate(map);
    assert_eq!(plan(&run), ["No changes. 4 policies are up to date."], "{}", run.stderr);
    place.traffic(&[WEB, CACHE]);
    let run = place.generate(map);
    let said = [
        "~ prod/api.yaml  egress: -prod app=db 5432/TCP",
        "- prod/db.yaml  nothing seen that makes a rule for shop/Pod/db",
        "Plan: 0 to add, 1 to change, 1 to remove",
    ];
    assert_eq!(plan(&run), said, "what is of no namespace that is mapped stays");
}

#[test]
fn lists_for_kustomize() {
    let list = |entries: &[&str]| {
        let head = "# Managed by ringfence, which writes it anew; without this line the file is yours.\n\
                    apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n";
        entries.iter().fold(head.to_string(), |text, entry| text + &format!("- {entry}\n"))
    };
    let place = Place::written();
    let added = ["+ data/kustomization.yaml", "+ kustomization.yaml", "+ shop/kustomization.yaml"];
    let run = place.generate("--kustomize");
    assert_eq!(plan(&run), [&added[..], &["Plan: 3 to add, 0 to change, 0 to remove"]].concat());
    assert_eq!(place.text("out/kustomization.yaml"), list(&["data", "shop"]));
    assert_eq!(place.text("out/shop/kustomization.yaml"), list(&["api.yaml", "db.yaml", "web.yaml"]));
    assert_eq!(place.generate("--kustomize --check").exit, 0);

    // A list that names a file that is gone would break the build, so lists are kept without the option too.
    place.traffic(&[WEB, DB]);
    let run = place.generate("");
    let said = [
        "- data/cache.yaml  nothing seen that makes a rule for data/Pod/cache",
        "- data/kustomization.yaml  lists nothing any more",
        "~ kustomization.yaml  resources: -data",
        "~ shop/api.yaml  egress: -data/cache 6379/TCP",
        "Plan: 0 to add, 2 to change, 2 to remove",
    ];
    assert_eq!(plan(&run), said);
    assert!(!place.path("out/data").exists());
    assert_eq!(place.text("out/kustomization.yaml"), list(&["shop"]));
    let run = run_check(&place);
    assert_eq!(run.exit, 0, "lists are no policies: {}", run.stderr);
}

fn run_check(place: &Place) -> Run {
    run(place.0.path(), "check --pcap traffic.pcap --cluster cluster.yaml --policies out")
}

#[test]
fn lists_that_are_hand_written() {
    for (text, said) in [
        ("resources:\n- shop\n- data\n", vec![]),
        ("resources: [./shop/, data/cache.yaml]\n", vec![]),
        (
            "# mine\nresources:\n- shop\n",
            vec!["warning: kustomization.yaml is hand-written; its resources lack the line: - data"],
        ),
        (
            "",
            vec![
                "warning: kustomization.yaml is hand-written; its resources lack the line: - data",
                "warning: kustomization.yaml is hand-written; its resources lack the line: - shop",
            ],
        ),
    ] {
        let place = Place::written();
        place.write("out/kustomization.yaml", text);
        let run = place.generate("--kustomize");
        let found: Vec<&str> = plan(&run).into_iter().filter(|line| line.starts_with("warning")).collect();
        assert_eq!(found, said, "{text}");
        assert_eq!(place.text("out/kustomization.yaml"), text);
        assert!(place.path("out/shop/kustomization.yaml").exists());
        assert_eq!(place.generate("--kustomize --check").exit, 0, "warnings are no changes: {text}");
    }
    let place = Place::written();
    place.write("out/kustomization.yml", "resources: [shop/api.yaml, shop/db.yaml, shop/web.yaml, data/cache.yaml]\n");
    place.traffic(&[WEB, DB]);
    let run = place.generate("");
    let warning =
        "warning: kustomization.yml is hand-written and lists a file that is removed: delete - data/cache.yaml";
    assert!(plan(&run).contains(&warning), "{}", run.stderr);
    assert!(!place.path("out/kustomization.yaml").exists(), "kustomize refuses two");
}

#[cfg(unix)]
#[test]
fn links_lead_nowhere() {
    use std::os::unix::fs::symlink;
    // A namespace's directory that is elsewhere.
    let place = Place::new();
    fs::create_dir_all(place.path("out")).unwrap();
    fs::create_dir(place.path("elsewhere")).unwrap();
    symlink(place.path("elsewhere"), place.path("out/shop")).unwrap();
    let run = place.generate("");
    assert_eq!(run.exit, 2, "{}", run.stderr);
    assert!(run.stderr.contains("shop is a symbolic link that leads out of the directory"), "{}", run.stderr);
    assert_eq!(fs::read_dir(place.path("elsewhere")).unwrap().count(), 0);
    assert!(!place.path("out/data").exists());

    // One that is inside is followed, and read once.
    fs::remove_file(place.path("out/shop")).unwrap();
    fs::create_dir(place.path("out/front")).unwrap();
    symlink("front", place.path("out/shop")).unwrap();
    let run = place.generate("");
    assert_eq!(plan(&run)[1], "+ front/api.yaml", "{}", run.stderr);
    assert_eq!(place.generate("--check").exit, 0);

    // A file that is elsewhere is neither read nor written nor removed.
    let place = Place::new();
    place.write("theirs.yaml", BY_HAND);
    fs::create_dir_all(place.path("out/shop")).unwrap();
    symlink(place.path("theirs.yaml"), place.path("out/shop/api.yaml")).unwrap();
    let run = place.generate("");
    assert_eq!(run.exit, 2, "{}", run.stderr);
    assert!(run.stderr.contains("shop/api.yaml is a symbolic link"), "{}", run.stderr);
    assert_eq!(place.text("theirs.yaml"), BY_HAND);

    // The directory itself may be a link.
    let place = Place::new();
    fs::create_dir(place.path("real")).unwrap();
    symlink("real", place.path("out")).unwrap();
    assert_eq!(place.generate("").exit, 0);
    assert!(place.path("real/shop/api.yaml").exists());
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

/// A dump in the directory is input, not somebody's policies.
#[test]
fn the_input_may_lie_in_the_directory() {
    let place = Place::new();
    let ours = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {namespace: shop, name: api, labels: \
                {app.kubernetes.io/managed-by: ringfence}}\nspec: {podSelector: {}}\n";
    place.write("cluster.yaml", &(place.text("cluster.yaml") + ours));
    let run = run(place.0.path(), "generate --pcap traffic.pcap --cluster cluster.yaml -o .");
    assert_eq!(run.exit, 0, "{}", run.stderr);
    assert!(place.path("shop/api.yaml").exists());
}
