//! What goes wrong with files: each fault is named with its place, and the rest is still used.

use std::fs;

use crate::packets::{ETHERNET, pcap};
use crate::program::run;
use crate::traffic;

/// `web` talks to `api`.
const CLUSTER: &str = "kind: Pod
metadata: {namespace: shop, name: web, labels: {app: web}}
status: {phase: Running, podIP: 10.1.0.5}
---
kind: Pod
metadata: {namespace: shop, name: api, labels: {app: api}}
status: {phase: Running, podIP: 10.1.0.7}
";

const TRAFFIC: &str = "00:00:01 10.1.0.5:40000 -> 10.1.0.7:8080 TCP established
00:00:02 10.1.0.5:40001 -> 10.1.0.7:9090 TCP established
";

const LINK_USER0: u32 = 147;

/// A directory with `cluster.yaml`, `traffic.pcap` and more files.
pub fn directory(more: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let usual = [("cluster.yaml", CLUSTER.as_bytes().to_vec()), ("traffic.pcap", capture())];
    for (name, bytes) in usual.iter().chain(more) {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    directory
}

pub fn capture() -> Vec<u8> {
    pcap(ETHERNET, &traffic::frames(TRAFFIC))
}

/// A file, arguments, the exit code, words of stderr, and words of stdout.
pub type Row = ((&'static str, Vec<u8>), &'static str, i32, &'static [&'static str], &'static [&'static str]);

pub fn hold(rows: Vec<Row>) {
    let mut wrong = String::new();
    for (file, args, exit, stderr, stdout) in rows {
        let directory = directory(std::slice::from_ref(&file));
        let run = run(directory.path(), args);
        let missing: Vec<&&str> = stderr
            .iter()
            .filter(|words| !run.stderr.contains(**words))
            .chain(stdout.iter().filter(|words| !run.stdout.contains(**words)))
            .collect();
        let silent = stdout.is_empty() && !run.stdout.is_empty();
        if run.exit != exit || !missing.is_empty() || silent {
            wrong += &format!("{args} with {}: exit {exit} and {missing:?} expected: {run:#?}\n", file.0);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

pub fn none() -> (&'static str, Vec<u8>) {
    ("unused", Vec::new())
}

#[test]
fn captures() {
    let cut = |bytes: usize| {
        let mut file = capture();
        file.truncate(file.len() - bytes);
        file
    };
    let flows = "flows --pcap bad.pcap --cluster cluster.yaml -o json";
    hold(vec![
        (("bad.pcap", vec![]), flows, 2, &["bad.pcap", "empty"], &[]),
        (("bad.pcap", b"just text".to_vec()), flows, 2, &["bad.pcap", "neither pcap nor pcapng"], &[]),
        (("bad.pcap", capture()[..10].to_vec()), flows, 2, &["bad.pcap", "cut short"], &[]),
        (none(), "flows --pcap gone.pcap", 2, &["gone.pcap", "No such file"], &[]),
        (none(), "flows --pcap .", 2, &[".", "directory"], &[]),
        // The last packet is cut: everything before it counts.
        (
            ("bad.pcap", cut(3)),
            flows,
            0,
            &["warning: bad.pcap: packet 14", "cut short", "the 13 frames before it count"],
            &["\"port\":8080", "\"port\":9090"],
        ),
        (
            ("bad.pcap", pcap(LINK_USER0, &traffic::frames(TRAFFIC))),
            flows,
            2,
            &["14 of 14 frames hold no flow", "error: none of the frames can be read: USER0"],
            &[],
        ),
        (
            ("bad.pcap", pcap(LINK_USER0, &traffic::frames(TRAFFIC))),
            "check --pcap bad.pcap --cluster cluster.yaml -q",
            2,
            &["error: none of the frames can be read: USER0"],
            &[],
        ),
        // One file that can be read is enough.
        (
            ("bad.pcap", pcap(LINK_USER0, &traffic::frames(TRAFFIC))),
            "flows --pcap bad.pcap traffic.pcap",
            0,
            &["bad.pcap: 14 frames", "  USER0: 14 frames that nobody can read", "14 of 28 frames hold no flow"],
            &["8080/TCP", "9090/TCP"],
        ),
        (("bad.pcap", b"\xfd7zXZ\0\0".to_vec()), flows, 2, &["bad.pcap: compressed with xz"], &[]),
        (none(), "flows --pcap traffic.pcap --summary -", 2, &["--summary -: stdout holds the data"], &[]),
        (
            none(),
            "flows --pcap traffic.pcap --summary gone/s.json",
            2,
            &["--summary gone/s.json: No such file"],
            &["8080/TCP"],
        ),
        (none(), "flows --pcap traffic.pcap --vxlan-port 0", 2, &["--vxlan-port", "0 is not in 1..=65535"], &[]),
        // A capture without flows is readable, and is not enough to generate from.
        (("bad.pcap", pcap(ETHERNET, &[])), flows, 0, &["bad.pcap: 0 frames, no frames"], &[]),
        (("bad.pcap", pcap(ETHERNET, &[])), "check --pcap bad.pcap --cluster cluster.yaml", 0, &["0 findings"], &[]),
        (
            ("bad.pcap", pcap(ETHERNET, &[])),
            "generate --pcap bad.pcap --cluster cluster.yaml",
            3,
            &["0 policies", "shop/Pod/web"],
            &[],
        ),
        (
            ("bad.pcap", pcap(ETHERNET, &traffic::frames("00:00:01 10.1.0.50:1024 -> 10.1.0.7:8080 TCP established"))),
            "generate --pcap bad.pcap --cluster cluster.yaml",
            3,
            &["unresolved", "do not fit together"],
            &[],
        ),
        // What is broken in one file costs nothing of the other.
        (
            ("bad.pcap", cut(3)),
            "flows --pcap traffic.pcap bad.pcap",
            0,
            &["warning: bad.pcap: packet 14", "traffic.pcap: 14 frames"],
            &["8080/TCP", "9090/TCP"],
        ),
    ]);
}

#[test]
fn cluster_objects() {
    let flows = "flows --pcap traffic.pcap --cluster bad.yaml cluster.yaml -o json";
    let used: &[&str] = &["\"name\":\"web\"", "\"name\":\"api\""];
    let text = |text: &str| ("bad.yaml", text.as_bytes().to_vec());
    hold(vec![
        (text(""), flows, 2, &["bad.yaml", "empty"], &[]),
        (none(), "flows --pcap traffic.pcap --cluster gone.yaml", 2, &["gone.yaml", "No such file"], &[]),
        (("bad.yaml", vec![0xff, 0xfe, 0x00]), flows, 2, &["bad.yaml", "UTF-8"], &[]),
        (
            text("kind: Pod\nmetadata: {name: a\n---\nkind: Namespace\nmetadata: {name: a}\n"),
            flows,
            2,
            &["--> bad.yaml:"],
            used,
        ),
        (text("kind: Pod\nmetadata: {name: a, labels: [1]}\n"), flows, 2, &["--> bad.yaml:2"], used),
        (
            text(
                "kind: List\nitems:\n- kind: Pod\n  metadata: {name: a}\n- kind: Pod\n  metadata: {name: b, labels: 7}\n",
            ),
            flows,
            2,
            &["--> bad.yaml:6"],
            used,
        ),
        (
            text(
                "{\"kind\": \"List\", \"items\": [{\"kind\": \"Pod\",\n\"metadata\": {\"name\": \"b\",\n\"labels\": 7}}]}",
            ),
            flows,
            2,
            &["--> bad.yaml:3"],
            used,
        ),
        (text("kind: Pod\nmetadata:\n  name: a\n  name: b\n"), flows, 2, &["--> bad.yaml:4", "name"], used),
        (text("metadata: {name: a}\n"), flows, 2, &["--> bad.yaml:1", "kind"], used),
        // Things that are odd but not wrong are warnings.
        (
            text(
                "kind: Service\nmetadata: {namespace: shop, name: gone}\nspec: {clusterIP: 10.96.0.9, selector: {app: gone}, ports: [{port: 80}]}\n",
            ),
            flows,
            0,
            &["warning: bad.yaml:1", "shop/gone has no endpoints"],
            used,
        ),
        (
            text("kind: Pod\nmetadata: {namespace: shop, name: new}\nstatus: {phase: Pending}\n"),
            flows,
            0,
            &["warning: bad.yaml:1", "shop/new has no address"],
            used,
        ),
        (
            text("kind: Pod\nmetadata: {namespace: shop, name: odd}\nstatus: {phase: Running, podIP: 10.1.0}\n"),
            flows,
            0,
            &["warning: bad.yaml:1", "\"10.1.0\" is not an address"],
            used,
        ),
        (
            text("kind: ConfigMap\nmetadata: {name: c}\n"),
            flows,
            0,
            &["1 objects of other kinds ignored: 1 ConfigMap"],
            used,
        ),
        (
            text("kind: Pod\nmetadata: {name: a}\n---\n{]\n"),
            "generate --pcap traffic.pcap --cluster bad.yaml cluster.yaml",
            2,
            &["--> bad.yaml:4"],
            &["name: web", "name: api"],
        ),
    ]);
    let twice = "kind: Pod\nmetadata: {namespace: shop, name: twin}\nstatus: {phase: Running, podIP: 10.1.0.5}\n";
    let both = format!("{CLUSTER}---\n{twice}");
    hold(vec![(
        text(&both),
        "flows --pcap traffic.pcap --cluster bad.yaml -o json",
        0,
        &["warning: 10.1.0.5 belongs to shop/twin and to shop/web at the same time"],
        &["\"type\":\"unresolved\",\"ip\":\"10.1.0.5\""],
    )]);
}

/// Policies that the API server refuses are refused with its words, and those beside them are used: the good one here
/// denies what `web` does.
#[test]
fn policies() {
    const HEAD: &str =
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {namespace: shop, name: bad}\n";
    const GOOD: &str = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {namespace: shop, name: good}\nspec: {podSelector: {}}\n";
    let rows: [(&str, &[&str]); 9] = [
        (
            "spec:\n  podSelector: {}\n  ingress:\n  - from: [{}]\n",
            &["policies.yaml:7", "spec.ingress[0].from[0]: Required value: must specify a peer"],
        ),
        ("spec:\n  podSelector: {}\n  egress: {to: []}\n", &["policies.yaml:6", "spec.egress"]),
        ("spec:\n  podSelector: {}\n  ingres: []\n", &["policies.yaml:6", "unknown field \"spec.ingres\""]),
        (
            "spec:\n  podSelector: {}\n  ingress:\n  - from:\n    - ipBlock: {cidr: 10.0.0.0/33}\n",
            &["policies.yaml:8", "spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"10.0.0.0/33\"", "valid CIDR"],
        ),
        (
            "spec:\n  podSelector: {}\n  ingress:\n  - from:\n    - ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/24]}\n",
            &["policies.yaml:8", "except[0]: Invalid value", "strict subset"],
        ),
        (
            "spec:\n  podSelector: {}\n  ingress:\n  - ports: [{port: 90000}]\n",
            &["policies.yaml:7", "ports[0].port: Invalid value: 90000", "between 1 and 65535"],
        ),
        (
            "spec:\n  podSelector: {}\n  ingress:\n  - ports: [{protocol: tcp}]\n",
            &["policies.yaml:7", "Unsupported value: \"tcp\""],
        ),
        ("spec:\n  podSelector: {matchLabels: {app: a, app: b}}\n", &["policies.yaml:5", "app"]),
        ("spec:\n  podSelector: {}\n  policyTypes: [Inbound]\n", &["policies.yaml:6", "policyTypes[0]"]),
    ];
    for (spec, words) in rows {
        let file = ("policies.yaml", format!("{HEAD}{spec}{GOOD}").into_bytes());
        let args = "check --pcap traffic.pcap --cluster cluster.yaml --policies policies.yaml";
        let directory = directory(std::slice::from_ref(&file));
        let run = run(directory.path(), args);
        assert_eq!(run.exit, 2, "{spec}\n{}", run.stderr);
        assert!(words.iter().all(|words| run.stderr.contains(words)), "{spec}: {words:?}\n{}", run.stderr);
        assert!(run.stdout.contains("would_deny"), "{spec}: the good policy is not used\n{}", run.stdout);
    }
}
