//! Live traffic on a real kernel: two nodes of network namespaces (`kernel/network`), real servers and clients, and recorders
//! on both nodes at once. Needs root, and programs that `.ci/setup` installs.

pub mod flood;
pub mod space;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::program::run;
use space::Network;

/// The cluster that the namespaces stand for.
pub const CLUSTER: &str = include_str!("kernel/cluster.yaml");

/// `client -> server:port/protocol outcome direction`, and connections.
pub fn edges(directory: &Path, args: &str) -> BTreeMap<String, u64> {
    let shown = run(directory, &format!("flows -o json -q {args}"));
    assert_eq!(shown.exit, 0, "{}", shown.stderr);
    let side = |side: &Value| match side["type"].as_str().unwrap() {
        "workload" => side["name"].as_str().unwrap().to_string(),
        "node" => format!("node {}", side["name"].as_str().unwrap()),
        _ => side["ip"].as_str().or(side["cidr"].as_str()).unwrap().to_string(),
    };
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| row[field].as_str().unwrap().to_string();
        let (client, server) = (side(&row["client"]), side(&row["server"]));
        let edge = format!(
            "{client} -> {server}:{}/{} {} {}",
            row["port"],
            text("protocol"),
            text("outcome"),
            text("direction")
        );
        (edge, row["connections"].as_u64().unwrap())
    };
    shown.stdout.lines().map(row).collect()
}

#[track_caller]
pub fn assert_edges(what: &str, found: &BTreeMap<String, u64>, expected: &[(&str, u64)]) {
    let lines = |edges: &mut dyn Iterator<Item = (String, u64)>| {
        edges.map(|(edge, count)| format!("{edge} x {count}")).collect::<Vec<_>>().join("\n")
    };
    let mut expected: Vec<(String, u64)> = expected.iter().map(|(edge, count)| (edge.to_string(), *count)).collect();
    expected.sort();
    assert_eq!(
        lines(&mut found.iter().map(|(edge, count)| (edge.clone(), *count))),
        lines(&mut expected.into_iter()),
        "{what}"
    );
}

#[test]
fn two_nodes_are_recorded_as_they_talk() {
    let Some(mut network) = Network::new("two nodes") else { return };
    let directory = tempfile::tempdir().unwrap();
    let log = |name: &str| directory.path().join(name).display().to_string();
    fs::write(directory.path().join("cluster.yaml"), CLUSTER).unwrap();
    network.serve_http("a2", &["10.244.2.10:8080", "[fd00:2::10]:8080"]);
    network.serve_http("ext", &["198.51.100.100:443", "[2001:db8::100]:443"]);
    network.serve_http("n2", &["198.51.100.2:10250"]);
    network.serve_redis("b1", "10.244.1.11", 8081);
    network.serve_dns("a2", "10.244.2.10", 5353);
    // Older than the recording.
    let old = network.hold("a1", "10.244.1.11:8081");
    let recorders = [("n1", "any"), ("n2", "veth*,eth0,flannel.1")].map(|(node, interfaces)| {
        network.record(node, &format!("-i {interfaces} --observer {node} --flush 1s --log {}", log(node)))
    });
    // From the pod of one node to the Service, whose pod is on the other.
    for _ in 0..7 {
        network.fetch("a1", "http://10.96.0.10/");
    }
    for _ in 0..3 {
        network.fetch("a1", "http://[fd00:96::10]/");
    }
    // To a pod of the same node, directly and by the Service.
    network.redis("a1", "10.244.1.11", 8081, 2);
    network.redis("a1", "10.96.0.10", 81, 4);
    for _ in 0..5 {
        network.dig("a1", "10.96.0.10", 53);
    }
    // Out of the cluster, masqueraded, and into it.
    network.fetch("b2", "http://198.51.100.100:443/");
    network.fetch("b2", "http://[2001:db8::100]:443/");
    network.fetch("ext", "http://198.51.100.2:30080/");
    // To a node's own server, and from a node.
    network.fetch("b2", "http://198.51.100.2:10250/");
    network.fetch("a1", "http://198.51.100.2:10250/");
    network.fetch("n1", "http://10.96.0.10/");
    // Refused, and nobody there.
    network.attempt("a1", "10.244.1.11:9");
    network.attempt("b2", "10.96.0.99:80");
    // A pod that comes while it is recorded, and talks at once.
    network.add_pod("1", "c", "12");
    network.fetch("c1", "http://10.96.0.10/");
    // Still open when the recording ends.
    let open = network.hold("b2", "10.244.1.11:8081");
    network.wait(Duration::from_secs(4));
    old.talk();
    open.talk();
    network.wait(Duration::from_secs(1));
    for recorder in recorders {
        let end = network.stop(recorder);
        assert_eq!(end.exit, 0, "{}", end.stderr);
    }
    let expected = [
        ("a1 -> a2:8080/TCP established handshake", 10),
        ("a1 -> b1:8081/TCP established handshake", 6 + 1),
        ("a1 -> a2:5353/UDP answered first_packet", 5),
        ("a1 -> b1:9/TCP refused handshake", 1),
        ("a1 -> node n2:10250/TCP established handshake", 1),
        ("b2 -> 198.51.100.100:443/TCP established handshake", 1),
        ("b2 -> 2001:db8::100:443/TCP established handshake", 1),
        ("b2 -> node n2:10250/TCP established inferred", 1),
        ("b2 -> 10.96.0.99:80/TCP unanswered handshake", 1),
        ("b2 -> b1:8081/TCP established handshake", 1),
        ("198.51.100.100 -> a2:8080/TCP established handshake", 1),
        ("c1 -> a2:8080/TCP established handshake", 1),
        ("node n1 -> a2:8080/TCP established inferred", 1),
        // Masqueraded, the same connection comes from the node: a view of its own, and what the other side's policy sees.
        ("node n1 -> node n2:10250/TCP established inferred", 1),
    ];
    let both = format!("--log {} {} --cluster cluster.yaml", log("n1"), log("n2"));
    assert_edges("both nodes", &edges(directory.path(), &both), &expected);
    // Merged, in either order, it is the same.
    for (name, order) in [("one", ["n1", "n2"]), ("two", ["n2", "n1"])] {
        let logs = order.map(log).join(" ");
        assert_eq!(run(directory.path(), &format!("merge -q -o {name}.db {logs}")).exit, 0);
        let merged = format!("--log {name}.db --cluster cluster.yaml");
        assert_edges("merged", &edges(directory.path(), &merged), &expected);
    }
    // What was learned makes policies that allow it.
    let generated = run(directory.path(), &format!("generate {both}"));
    assert_eq!(generated.exit, 0, "{}", generated.stderr);
    assert!(generated.stderr.contains("none denied"), "{}", generated.stderr);
}

#[test]
fn outside_addresses_beyond_those_that_are_kept_apart_become_ranges() {
    let Some(mut network) = Network::new("many outside addresses") else { return };
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.db").display().to_string();
    fs::write(directory.path().join("cluster.yaml"), CLUSTER).unwrap();
    let addresses: Vec<String> = (1..=6).map(|last| format!("203.0.113.{last}")).collect();
    for address in &addresses {
        assert!(network.done(network.ip("ext", &format!("address add {address}/32 dev lo"))));
    }
    assert!(network.done(network.ip("n1", "route add 203.0.113.0/24 via 198.51.100.100")));
    let listen: Vec<String> = addresses.iter().map(|address| format!("{address}:443")).collect();
    network.serve_http("ext", &listen.iter().map(String::as_str).collect::<Vec<_>>());
    let recorder = network.record("n1", &format!("-i any,!lo --observer n1 --max-external 2 --flush 1s --log {log}"));
    // In two flushes, so that what is kept apart stays so.
    for wait in [1500, 0] {
        addresses.iter().for_each(|address| network.fetch("a1", &format!("http://{address}:443/")));
        network.wait(Duration::from_millis(wait));
    }
    assert_eq!(network.stop(recorder).exit, 0);
    let input = format!("--log {log} --cluster cluster.yaml");
    assert_edges(
        "with a cap",
        &edges(directory.path(), &input),
        &[
            ("a1 -> 203.0.113.1:443/TCP established handshake", 2),
            ("a1 -> 203.0.113.2:443/TCP established handshake", 2),
            ("a1 -> 203.0.113.0/24:443/TCP established handshake", 8),
        ],
    );
    let shown = run(directory.path(), &format!("flows {input}"));
    let counted = "8 conversations with outside addresses are known by range only, 1 ranges";
    assert!(shown.stderr.contains(counted), "{}", shown.stderr);
    let shown = run(directory.path(), &format!("generate {input} -o -"));
    let rule = "# name not seen: 12, folded: more addresses than the recorder keeps apart\n    - ipBlock:\n        cidr: 203.0.113.0/24\n";
    assert!(shown.stdout.contains(rule), "{}", shown.stdout);
    assert!(shown.stderr.contains("/a1 allows all of 203.0.113.0/24"), "{}", shown.stderr);
}

#[test]
fn a_full_disk_is_waited_for() {
    let Some(mut network) = Network::new("a full disk") else { return };
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::new(&directory.path().join("disk"), "200k");
    let log = disk.0.join("log.db").display().to_string();
    network.serve_http("b1", &["10.244.1.11:8081"]);
    // The log is made, and then there is no room.
    let recorder = network.record("n1", &format!("-i any,!lo --observer n1 --flush 1s --log {log}"));
    let ballast = disk.0.join("ballast");
    let _ = fs::write(&ballast, vec![0; 200 << 10]);
    (0..20).for_each(|_| network.fetch("a1", "http://10.244.1.11:8081/"));
    network.wait(Duration::from_secs(3));
    disk.resize("20m");
    network.wait(Duration::from_secs(2));
    let end = network.stop(recorder);
    assert_eq!(end.exit, 0, "{}", end.stderr);
    assert!(end.stderr.contains("will try again"), "{}", end.stderr);
    assert_eq!(edges(directory.path(), &format!("--log {log}")).values().sum::<u64>(), 20);
}

/// A file system in memory.
struct Disk(std::path::PathBuf);

impl Disk {
    fn new(at: &Path, size: &str) -> Disk {
        fs::create_dir_all(at).unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).status().unwrap();
        assert!(mounted.success());
        Disk(at.to_path_buf())
    }

    fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
