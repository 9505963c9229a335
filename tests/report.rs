//! `ringfence report`: comments that stay short and say what they should, and pages that are one sound file.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::packets::{ETHERNET, pcap};
use crate::program::run;
use crate::traffic;
use crate::transcripts::folders;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cases");

/// A copy of a case with its traffic as a capture.
pub fn copy(case: &Path) -> tempfile::TempDir {
    let work = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        fs::copy(&entry, work.path().join(entry.file_name().unwrap())).unwrap();
    }
    let script = fs::read_to_string(case.join("traffic.txt")).unwrap();
    fs::write(work.path().join("traffic.pcap"), pcap(ETHERNET, &traffic::frames(&script))).unwrap();
    work
}

/// The data of a page, as its script reads it.
pub fn data(page: &str) -> Value {
    let start = "<script type=\"application/json\" id=\"data\">";
    let (_, rest) = page.split_once(start).unwrap();
    let (json, _) = rest.split_once("</script>").unwrap();
    serde_json::from_str(json).unwrap()
}

/// Every index of the data is one of the list that it means.
fn assert_sound(name: &str, data: &Value) {
    let list = |key: &str| data[key].as_array().unwrap_or_else(|| panic!("{name}: {key}"));
    let within = |value: &Value, key: &str| {
        let at = value.as_u64().unwrap_or_else(|| panic!("{name}: {value} is no index of {key}")) as usize;
        assert!(at < list(key).len(), "{name}: {at} is none of {key}");
    };
    let all = |values: &Value, key: &str| values.as_array().unwrap().iter().for_each(|value| within(value, key));
    for node in list("nodes") {
        within(&node["box"], "namespaces");
        all(&node["policies"], "policies");
    }
    for edge in list("edges") {
        within(&edge["client"], "nodes");
        within(&edge["server"], "nodes");
        all(&edge["rules"], "rules");
        let counted: u64 =
            edge["outcomes"].as_array().unwrap().iter().map(|outcome| outcome[1].as_u64().unwrap()).sum();
        assert_eq!(edge["connections"].as_u64(), Some(counted), "{name}");
    }
    for policy in list("policies") {
        all(&policy["selects"], "nodes");
        all(&policy["rules"], "rules");
    }
    for rule in list("rules") {
        within(&rule["policy"], "policies");
        all(&rule["edges"], "edges");
    }
    for finding in list("findings").iter().chain(list("left_out")) {
        all(&finding["nodes"], "nodes");
        all(&finding["edges"], "edges");
    }
}

#[test]
fn every_case_has_a_page_and_a_comment() {
    for case in folders(Path::new(CASES)) {
        let work = copy(&case);
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let args = "--html page.html --markdown comment.md --pcap traffic.pcap --cluster cluster.yaml";
        let first = run(work.path(), &format!("report {args}"));
        assert!([0, 1, 2, 3].contains(&first.exit) && first.stdout.is_empty(), "{name}: {}", first.stderr);
        let read = |file: &str| fs::read_to_string(work.path().join(file)).unwrap();
        let (page, comment) = (read("page.html"), read("comment.md"));
        assert!(comment.starts_with("<!-- ringfence-report: policies -->\n## "), "{name}: {comment}");
        assert!(!page.contains("/*DATA*/") && !page.contains("-HASH"), "{name}: a mark is left");
        let known = data(&page);
        assert_sound(&name, &known);
        // All that `flows` shows is in it.
        let flows = run(work.path(), "flows -o json -q --pcap traffic.pcap --cluster cluster.yaml");
        let sum = |values: &mut dyn Iterator<Item = u64>| values.sum::<u64>();
        let shown = sum(&mut flows
            .stdout
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["connections"].as_u64().unwrap()));
        let drawn =
            sum(&mut known["edges"].as_array().unwrap().iter().map(|edge| edge["connections"].as_u64().unwrap()));
        assert_eq!(drawn, shown, "{name}");
        // The same input gives the same bytes.
        run(work.path(), &format!("report {args}"));
        assert_eq!((read("page.html"), read("comment.md")), (page, comment), "{name}");
    }
}

#[test]
fn the_exit_code_is_that_of_the_headline() {
    let work = copy(&Path::new(CASES).join("change"));
    let input = "--markdown - -q --pcap traffic.pcap --cluster cluster.yaml";
    for (args, exit, headline) in [
        ("--policies old.yaml --min-window 1s", 0, "✅ Safe to merge"),
        ("--policies old.yaml", 3, "⚠️ Insufficient evidence"),
        ("--policies mistake.yaml --base old.yaml", 1, "❌ Would deny"),
    ] {
        let shown = run(work.path(), &format!("report {input} {args}"));
        let first = shown.stdout.lines().nth(1).unwrap_or_default();
        assert_eq!((shown.exit, first.contains(headline)), (exit, true), "{args}: {first}\n{}", shown.stderr);
    }
    fs::write(work.path().join("bad.yaml"), "kind: NetworkPolicy\nmetadata: 7\n").unwrap();
    fs::create_dir(work.path().join("none")).unwrap();
    for (args, exit, headline) in [
        ("--policies old.yaml bad.yaml --min-window 1s", 2, "⚠️ Not all of the input could be read"),
        // Whoever deletes every policy proposes that there be none.
        ("--policies none --base old.yaml --min-window 1s", 0, "⚠️ Safe to merge, but opens"),
    ] {
        let shown = run(work.path(), &format!("report {input} {args}"));
        let first = shown.stdout.lines().nth(1).unwrap_or_default();
        assert_eq!((shown.exit, first.contains(headline)), (exit, true), "{args}: {first}\n{}", shown.stderr);
    }
    for (args, message) in [
        ("report --pcap traffic.pcap", "--html <FILE|->|--markdown <FILE|->|--sarif <FILE|->"),
        ("report --html - --markdown - --pcap traffic.pcap", "only one of --html, --markdown and --sarif"),
        ("report --markdown - --base old.yaml --pcap traffic.pcap", "--policies"),
        ("report --markdown gone/comment.md --pcap traffic.pcap --cluster cluster.yaml", "gone/comment.md"),
    ] {
        let shown = run(work.path(), args);
        assert_eq!(shown.exit, 2, "{args}");
        assert!(shown.stderr.contains(message), "{args}: {}", shown.stderr);
    }
}

/// Names come from whoever answers for names, and from whoever writes manifests.
#[test]
fn names_of_others_mean_nothing_but_themselves() {
    let work = tempfile::tempdir().unwrap();
    let name = "</script><script>alert(1)</script>|`@all`";
    let cluster = format!(
        "{{kind: Pod, metadata: {{name: web, namespace: shop, labels: {{app: web}}}}, status: {{podIP: 10.0.0.1}}}}\n---\n\
         {{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: '{name}', namespace: shop}}, spec: {{podSelector: {{}}}}}}\n"
    );
    fs::write(work.path().join("cluster.yaml"), cluster).unwrap();
    let script = "# names\n00:00:01 203.0.113.9:40000 -> 10.0.0.1:80 TCP established\n";
    fs::write(work.path().join("traffic.pcap"), pcap(ETHERNET, &traffic::frames(script))).unwrap();
    let title = "--title <img/src=x>[a](b)";
    let args = format!("--html page.html --markdown comment.md {title} --pcap traffic.pcap --cluster cluster.yaml");
    run(work.path(), &format!("report {args}"));
    let page = fs::read_to_string(work.path().join("page.html")).unwrap();
    assert!(!page.contains("<script>alert") && !page.contains("<img"), "what is said about it is data");
    assert_eq!(data(&page)["title"], "<img/src=x>[a](b)");
    let comment = fs::read_to_string(work.path().join("comment.md")).unwrap();
    assert!(!comment.contains("<script") && !comment.contains("<img") && !comment.contains("@all"), "{comment}");
}

/// A change of every policy of hundreds of workloads.
#[test]
fn a_comment_fits_whatever_changes() {
    let work = tempfile::tempdir().unwrap();
    let (mut cluster, mut old, mut new) = (String::new(), String::new(), String::new());
    for at in 0..400 {
        writeln!(
            cluster,
            "---\n{{kind: Pod, metadata: {{name: workload-with-a-long-name-{at}, namespace: shop, labels: {{app: a{at}}}}}, status: {{podIP: 10.0.{}.{}}}}}",
            at / 200,
            at % 200 + 1
        )
        .unwrap();
        for (text, port) in [(&mut old, 80), (&mut new, 443)] {
            writeln!(
                text,
                "---\n{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: policy-{at}, namespace: shop}}, spec: {{podSelector: {{matchLabels: {{app: a{at}}}}}, \
                 ingress: [{{from: [{{podSelector: {{matchLabels: {{app: a{}}}}}}}], ports: [{{port: {port}}}]}}]}}}}",
                (at + 1) % 400
            )
            .unwrap();
        }
    }
    for (file, text) in [("cluster.yaml", &cluster), ("old.yaml", &old), ("new.yaml", &new)] {
        fs::write(work.path().join(file), text).unwrap();
    }
    let mut script = "# every client at port 80\n".to_string();
    for at in 0..400_u32 {
        let ip = |at: u32| format!("10.0.{}.{}", at % 400 / 200, at % 200 + 1);
        writeln!(script, "00:00:01 {}:40000 -> {}:80 TCP established", ip(at + 1), ip(at)).unwrap();
    }
    fs::write(work.path().join("traffic.pcap"), pcap(ETHERNET, &traffic::frames(&script))).unwrap();
    let shown = run(
        work.path(),
        "report --markdown - -q --pcap traffic.pcap --cluster cluster.yaml --policies new.yaml --base old.yaml",
    );
    assert_eq!(shown.exit, 1, "{}", shown.stderr);
    let length = shown.stdout.chars().count();
    assert!((20_000..65_000).contains(&length), "{length}");
    assert!(shown.stdout.contains("### What breaks if merged (400)"));
    assert!(shown.stdout.contains("more denied edges: see `ringfence report --html`"), "{}", &shown.stdout[..3000]);
    assert!(shown.stdout.trim_end().ends_with("</sub>"), "the foot is there");
}

/// The cases that hold something to look at, for [`crate::page`].
pub fn busiest() -> PathBuf {
    Path::new(CASES).join("change")
}
