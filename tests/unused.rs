//! `unused` through the program: what each finding is said of, and what it is not said of. [`crate::evidence`] is about
//! how much has to be watched first, [`crate::redundancy`] about what is allowed twice.

use std::fmt::Write;
use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::packets::{ETHERNET, Frame, pcap};
use crate::program::{self, Run};
use crate::reports;
use crate::traffic;

/// Two namespaces with labels, and `shop/web`, `shop/api` and `data/db` with a pod each.
pub fn shop() -> String {
    let mut text = String::new();
    for (name, team) in [("shop", "sales"), ("data", "storage")] {
        let labels = format!("{{kubernetes.io/metadata.name: {name}, team: {team}}}");
        writeln!(text, "kind: Namespace\nmetadata: {{name: {name}, labels: {labels}}}\n---").unwrap();
    }
    text + &workload("shop", "web", "10.1.0.5")
        + &workload("shop", "api", "10.1.0.7")
        + &workload("data", "db", "10.1.1.9")
}

/// A Deployment whose name is the label `app` of its one pod.
pub fn workload(namespace: &str, name: &str, ip: &str) -> String {
    let owner = format!("ownerReferences: [{{kind: Deployment, name: {name}, controller: true}}]");
    let ports = "containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]";
    format!(
        "kind: Deployment\nmetadata: {{namespace: {namespace}, name: {name}}}\n\
         spec: {{selector: {{matchLabels: {{app: {name}}}}}, template: {{metadata: {{labels: {{app: {name}}}}}}}}}\n---\n\
         kind: Pod\nmetadata: {{namespace: {namespace}, name: {name}-1, labels: {{app: {name}}}, {owner}}}\n\
         spec: {{nodeName: n1, {ports}}}\nstatus: {{phase: Running, podIPs: [{{ip: {ip}}}]}}\n---\n"
    )
}

/// A NetworkPolicy about the pods `app=NAME` of `shop`, or all where the name is empty.
pub fn policy(name: &str, app: &str, rules: &str) -> String {
    let subject = if app.is_empty() { String::new() } else { format!("matchLabels: {{app: {app}}}") };
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{namespace: shop, name: {name}}}\n\
         spec:\n  podSelector: {{{subject}}}\n{rules}\n---\n"
    )
}

/// `from` a pod of the own namespace on a port.
pub fn from(app: &str, port: &str) -> String {
    format!("  - {{from: [{{podSelector: {{matchLabels: {{app: {app}}}}}}}], ports: [{{port: {port}}}]}}\n")
}

/// A connection an hour for two days.
pub fn hourly(client: &str, server: &str) -> String {
    (0..=48).map(|hour| format!("{hour}:00:01 {client}:{} -> {server} TCP established\n", 40_000 + hour)).collect()
}

/// Connections of `web` to `api:8080`.
pub fn traffic() -> String {
    hourly("10.1.0.5", "10.1.0.7:8080")
}

/// A directory with `cluster.yaml` and captures.
pub fn directory(cluster: &str, captures: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("cluster.yaml"), cluster).unwrap();
    for (name, script) in captures {
        fs::write(directory.path().join(name), pcap(ETHERNET, &traffic::frames(script))).unwrap();
    }
    directory
}

/// Runs `unused` on `cluster.yaml`.
pub fn run(directory: &TempDir, args: &str) -> Run {
    program::run(directory.path(), &format!("unused --cluster cluster.yaml {args}"))
}

/// Its findings as JSON.
pub fn findings(directory: &TempDir, args: &str) -> Vec<Value> {
    let run = run(directory, &format!("{args} -q -o json"));
    assert_eq!(run.stderr, "");
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:#?}"));
    let found = report["findings"].as_array().unwrap().clone();
    let stands = found.iter().any(|finding| finding["status"] != "insufficient_evidence");
    assert_eq!(
        run.exit,
        if found.is_empty() {
            0
        } else if stands {
            1
        } else {
            3
        },
        "{run:#?}"
    );
    found
}

/// The findings on a cluster and one capture of two days.
pub fn judge(cluster: &str, script: &str) -> Vec<Value> {
    findings(&directory(cluster, &[("t.pcap", script)]), "--pcap t.pcap")
}

/// `unused shop/api ingress 0 peer 1`.
pub fn short(finding: &Value) -> String {
    let text = |key: &str| finding[key].as_str().unwrap_or_default();
    let mut line = format!("{} {}", text("status"), place(finding));
    if let Some(candidate) = finding["candidate"].as_str() {
        write!(line, " ({candidate})").unwrap();
    }
    line
}

pub fn place(part: &Value) -> String {
    let namespace = part["policy"]["namespace"].as_str().map(|name| format!("{name}/")).unwrap_or_default();
    let mut line = format!("{namespace}{}", part["policy"]["name"].as_str().unwrap());
    line += &part["direction"].as_str().map(|name| format!(" {name}")).unwrap_or_default();
    line += &part["rule"].as_u64().map(|number| format!(" {number}")).unwrap_or_default();
    for key in ["peer", "port"] {
        line += &part[key].as_u64().map(|number| format!(" {key} {number}")).unwrap_or_default();
    }
    line
}

/// All findings, each short.
pub fn all(findings: &[Value]) -> Vec<String> {
    findings.iter().map(short).collect()
}

pub fn message(finding: &Value) -> &str {
    finding["message"].as_str().unwrap()
}

#[test]
fn a_policy_that_denies_what_works_is_not_enforced() {
    let found = judge(&(shop() + &policy("api", "api", &format!("  ingress:\n{}", from("web", "9090")))), &traffic());
    assert_eq!(all(&found), ["not_enforced shop/api ingress", "unused shop/api ingress 0"]);
    assert_eq!((&found[0]["hits"], &found[0]["rule"]), (&Value::from(49), &Value::Null));
    assert!(
        message(&found[0]).contains("shop/Deployment/web -> shop/Deployment/api:8080/TCP"),
        "{}",
        message(&found[0])
    );
    // Policies that are only proposed deny nothing yet.
    let directory = directory(&shop(), &[("t.pcap", &traffic())]);
    let proposed = policy("api", "api", &format!("  ingress:\n{}", from("web", "9090")));
    fs::write(directory.path().join("proposed.yaml"), proposed).unwrap();
    assert_eq!(all(&findings(&directory, "--pcap t.pcap --policies proposed.yaml")), ["unused shop/api ingress 0"]);
}

#[test]
fn attempts_are_no_use() {
    let cluster =
        shop() + &policy("api", "api", &format!("  ingress:\n{}{}", from("web", "8080"), from("web", "9090")));
    let script = traffic()
        + "00:00:02 10.1.0.5:41000 -> 10.1.0.7:9090 TCP refused\n00:00:03 10.1.0.5:41001 -> 10.1.0.7:9090 TCP unanswered\n";
    let found = judge(&cluster, &script);
    assert_eq!(all(&found), ["unused shop/api ingress 1"]);
    assert_eq!((&found[0]["hits"], &found[0]["last_hit"]), (&Value::from(0), &Value::Null));
    assert!(message(&found[0]).ends_with("never used, 2 attempts failed"), "{}", message(&found[0]));
}

#[test]
fn what_selects_nothing_is_dead() {
    let host = "kind: Pod\nmetadata: {namespace: shop, name: agent, labels: {app: agent}}\n\
                spec: {nodeName: n1, hostNetwork: true}\nstatus: {phase: Running, podIPs: [{ip: 192.168.0.1}]}\n---\n";
    let peers = "{podSelector: {matchLabels: {app: web}}}, {podSelector: {matchLabels: {app: wbe}}}, {podSelector: {matchLabels: {app: agent}}}";
    let rules = format!(
        "  ingress:\n  - {{from: [{peers}], ports: [{{port: http}}, {{port: htpp}}]}}\n{}",
        from("cart", "8080")
    );
    let found = judge(
        &(shop() + host + &policy("api", "api", &rules) + &policy("gone", "gone", "  ingress: [{}]")),
        &traffic(),
    );
    assert_eq!(
        all(&found),
        [
            "dead shop/api ingress 0 port 1",
            "dead shop/api ingress 0 peer 1",
            "dead shop/api ingress 0 peer 2",
            "dead shop/api ingress 1",
            "dead shop/gone",
        ]
    );
    assert_eq!(message(&found[0]), "no pod that it is about has a TCP port of this name");
    assert!(message(&found[2]).contains("only pods on their nodes' network"), "{}", message(&found[2]));
}

#[test]
fn broad_parts_and_what_would_suffice() {
    let crowd: String = (0..11).map(|at| workload("shop", &format!("w{at}"), &format!("10.1.0.{}", 20 + at))).collect();
    let with = |rule: &str| shop() + &crowd + &policy("api", "api", &format!("  ingress:\n  - {{{rule}}}"));
    let outside = hourly("10.200.3.4", "10.1.0.7:8080");
    let rows = [
        (
            "from: [{namespaceSelector: {}}], ports: [{port: 8080}]",
            traffic(),
            "peer 0",
            "1 of the 14 workloads that it selects used it; it would suffice to select shop/Deployment/web",
        ),
        (
            "from: [{podSelector: {}}], ports: [{port: 8080}]",
            traffic(),
            "peer 0",
            "1 of the 13 workloads that it selects used it; it would suffice to select shop/Deployment/web",
        ),
        (
            "from: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 8080}]",
            outside,
            "peer 0",
            "of 10.0.0.0/8 only 10.200.3.4 was used; 10.200.3.4/32 would suffice",
        ),
        (
            "from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 8000, endPort: 8999}]",
            traffic(),
            "port 0",
            "1 of its 1000 ports used; it would suffice to list 8080/TCP",
        ),
        (
            "from: [{podSelector: {matchLabels: {app: web}}}], ports: [{}]",
            traffic(),
            "port 0",
            "1 of its 65535 ports used; it would suffice to list 8080/TCP",
        ),
        (
            "from: [{podSelector: {matchLabels: {app: web}}}]",
            traffic(),
            "",
            "it is for all ports; it would suffice to list 8080/TCP",
        ),
    ];
    for (rule, script, part, why) in rows {
        let found = judge(&with(rule), &script);
        assert_eq!(all(&found), [format!("overbroad shop/api ingress 0 {part}").trim_end()], "{rule}");
        assert_eq!((message(&found[0]), &found[0]["hits"]), (why, &Value::from(49)));
    }
    // One of ten is enough, and a range that is at most eight bits wider.
    let few = crowd.split_inclusive("---\n").take(14).collect::<String>();
    for (rule, crowd, script) in [
        ("{podSelector: {}}", few, traffic()),
        ("{ipBlock: {cidr: 10.200.3.0/24}}", String::new(), hourly("10.200.3.4", "10.1.0.7:8080")),
    ] {
        let rule = format!("  ingress:\n  - {{from: [{rule}], ports: [{{port: 8080}}]}}");
        assert_eq!(all(&judge(&(shop() + &crowd + &policy("api", "api", &rule)), &script)), Vec::<String>::new());
    }
}

fn cluster_policy(name: &str, tier: &str, priority: u32, rules: &[(&str, &str, u16)]) -> String {
    let rules: String = rules
        .iter()
        .map(|(action, app, port)| {
            let peer = format!("pods: {{namespaceSelector: {{}}, podSelector: {{matchLabels: {{app: {app}}}}}}}");
            format!("  - {{action: {action}, from: [{{{peer}}}], protocols: [{{tcp: {{destinationPort: {{number: {port}}}}}}}]}}\n")
        })
        .collect();
    format!(
        "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {{name: {name}}}\n\
         spec:\n  tier: {tier}\n  priority: {priority}\n\
         \x20 subject: {{namespaces: {{matchLabels: {{kubernetes.io/metadata.name: shop}}}}}}\n  ingress:\n{rules}---\n"
    )
}

#[test]
fn accept_rules_of_cluster_wide_policies() {
    let deny = policy("deny", "", "  ingress: []");
    let admin =
        cluster_policy("admin", "Admin", 1, &[("Accept", "web", 8080), ("Accept", "web", 9090), ("Deny", "db", 1)]);
    let found = judge(&(shop() + &deny + &admin), &traffic());
    assert_eq!(all(&found), ["unused admin ingress 1"]);
    assert_eq!(
        (&found[0]["policy"]["kind"], &found[0]["policy"]["namespace"]),
        (&"ClusterNetworkPolicy".into(), &Value::Null)
    );
    // What the tier before accepts, and what nothing denies behind it, is accepted twice.
    let later = cluster_policy("later", "Admin", 2, &[("Accept", "web", 8080)]);
    let found = judge(&(shop() + &deny + &admin + &later), &traffic());
    assert_eq!(all(&found), ["unused admin ingress 1", "redundant later ingress 0"]);
    let baseline = cluster_policy("default", "Baseline", 1, &[("Accept", "web", 8080)]);
    assert_eq!(all(&judge(&(shop() + &baseline), &traffic())), ["redundant default ingress 0"]);
    let baseline = cluster_policy("default", "Baseline", 1, &[("Accept", "web", 8080), ("Deny", "web", 8080)]);
    assert_eq!(all(&judge(&(shop() + &baseline), &traffic())), Vec::<String>::new());
}

#[test]
fn selection_and_the_ignore_file() {
    let two = policy("api", "api", &format!("  ingress:\n{}{}", from("web", "8080"), from("web", "9090")))
        + &policy("web", "web", &format!("  ingress:\n{}", from("api", "7070")));
    let directory = directory(&(shop() + &two), &[("t.pcap", &traffic())]);
    let found = |args: &str| all(&findings(&directory, &format!("--pcap t.pcap {args}")));
    assert_eq!(found(""), ["unused shop/api ingress 1", "unused shop/web ingress 0"]);
    assert_eq!(found("-n data"), Vec::<String>::new());
    assert_eq!(found("-l app=web"), ["unused shop/web ingress 0"]);
    let sarif = reports::results(directory.path(), "unused --cluster cluster.yaml --pcap t.pcap");
    assert_eq!(sarif.iter().map(|result| &result["ruleId"]).collect::<Vec<_>>(), ["unused", "unused"]);
    let print = sarif[0]["partialFingerprints"]["ringfence/v1"].as_str().unwrap();
    let line = sarif[0]["locations"][0]["physicalLocation"]["region"]["startLine"].as_u64();
    let json = findings(&directory, "--pcap t.pcap");
    assert_eq!(line, json[0]["line"].as_u64());
    let write = |expires: &str| {
        let text = format!("- {{id: \"{print}\", reason: for the audit, expires: {expires}}}\n");
        fs::write(directory.path().join("ignore.yaml"), text).unwrap();
    };
    write("2026-11-02");
    assert_eq!(found("--ignore ignore.yaml"), ["unused shop/web ingress 0"]);
    assert_eq!(run(&directory, "--pcap t.pcap -n shop -l app=api --ignore ignore.yaml").exit, 0);
    let markdown = run(&directory, "--pcap t.pcap --ignore ignore.yaml -o markdown").stdout;
    assert!(markdown.starts_with("## ringfence unused: 1 finding, 1 ignored\n"), "{markdown}");
    assert!(markdown.contains("| for the audit |"), "{markdown}");
    write("2026-11-01");
    let late = run(&directory, "--pcap t.pcap --ignore ignore.yaml");
    assert_eq!(late.exit, 1);
    assert!(late.stderr.contains("expired on 2026-11-01"), "{}", late.stderr);
    assert!(late.stdout.contains("ingress rule 1"), "{}", late.stdout);
}

/// The order of files, of packets within two seconds, of objects and policies changes no byte.
#[test]
fn the_same_findings_in_any_order() {
    let policies = policy("a", "api", &format!("  ingress:\n{}{}", from("web", "8080"), from("web", "9090")))
        + &policy("b", "api", &format!("  ingress:\n{}", from("web", "8080")))
        + &policy("c", "", "  ingress: []");
    let text = shop() + &policies;
    let directory = directory(&text, &[]);
    let write = |name: &str, frames: &[Frame]| fs::write(directory.path().join(name), pcap(ETHERNET, frames)).unwrap();
    let mut frames = traffic::frames(&traffic());
    write("whole.pcap", &frames);
    let (one, two): (Vec<_>, Vec<_>) = frames.iter().cloned().enumerate().partition(|(at, _)| at % 3 == 0);
    let strip = |frames: Vec<(usize, Frame)>| frames.into_iter().map(|(_, frame)| frame).collect::<Vec<_>>();
    write("one.pcap", &strip(one));
    write("two.pcap", &strip(two));
    frames.chunks_mut(4).for_each(<[Frame]>::reverse);
    write("mixed.pcap", &frames);
    let expected = run(&directory, "--pcap whole.pcap -q -o json").stdout;
    assert_eq!(expected.matches("\"status\"").count(), 2, "{expected}");
    for captures in ["mixed.pcap", "one.pcap two.pcap", "two.pcap one.pcap"] {
        assert_eq!(run(&directory, &format!("--pcap {captures} -q -o json")).stdout, expected, "{captures}");
    }
    let mut objects: Vec<&str> = text.split_inclusive("---\n").collect();
    objects.reverse();
    fs::write(directory.path().join("cluster.yaml"), objects.concat()).unwrap();
    let without_lines = |text: &str| -> Vec<Value> {
        let mut report: Value = serde_json::from_str(text).unwrap();
        let findings = report["findings"].as_array_mut().unwrap();
        for finding in findings.iter_mut() {
            finding["line"] = Value::Null;
            finding["one_of"].as_array_mut().into_iter().flatten().for_each(|twin| twin["line"] = Value::Null);
        }
        findings.clone()
    };
    let turned = run(&directory, "--pcap whole.pcap -q -o json").stdout;
    assert_eq!(without_lines(&turned), without_lines(&expected));
}

/// Where nobody is known, silence says nothing.
#[test]
fn a_cluster_without_pods_is_bad_usage() {
    let directory = directory(&policy("api", "api", "  ingress: [{}]"), &[("t.pcap", &traffic())]);
    let run = run(&directory, "--pcap t.pcap");
    assert_eq!(run.exit, 2);
    assert!(run.stderr.contains("no pods in the cluster input"), "{}", run.stderr);
}
