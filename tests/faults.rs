//! What goes wrong while traffic is recorded, in the namespaces of `kernel`: more connections than anybody looks at, a recorder
//! that does not get to run, one that is killed, and a clock that is set.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fakeapi::{Answer, FakeApi, failure};
use crate::kernel::flood::{Flood, seconds};
use crate::kernel::space::{Network, signal, until};
use crate::kernel::{CLUSTER, assert_edges, edges};
use crate::program::run;
use crate::shared::{noted, skipped};

const SERVER: &str = "10.244.1.11:8081";

/// What a log says of a flood.
#[derive(Debug)]
struct Found {
    /// Connections with a handshake.
    established: u64,
    /// All that it counts.
    all: u64,
    /// Packets that the kernel had no room for.
    packets_lost: u64,
    /// Connections that the recorder had no room for.
    left_out: u64,
}

fn found(directory: &Path, log: &str) -> Found {
    let edges = edges(directory, &format!("--log {log} --summary summary.json"));
    let summary: Value = serde_json::from_slice(&std::fs::read(directory.join("summary.json")).unwrap()).unwrap();
    let limits = &summary["limits"];
    Found {
        established: edges.iter().filter(|(edge, _)| edge.ends_with("established handshake")).map(|(_, n)| n).sum(),
        all: edges.values().sum(),
        packets_lost: summary["lost"].as_u64().unwrap(),
        left_out: ["lost", "dropped"].map(|limit| limits[limit].as_u64().unwrap()).into_iter().sum(),
    }
}

impl Found {
    /// Nothing is counted twice, and what is not counted is among what is said to be lost: a connection without its SYN or its
    /// SYN-ACK misses one packet at least.
    #[track_caller]
    fn is_true_of(&self, made: u64) {
        assert!(self.established <= made && self.all <= made, "{made} made: {self:?}");
        assert!(made <= self.established + self.packets_lost + self.left_out, "{made} made: {self:?}");
    }
}

#[test]
fn ten_thousand_connections_a_second() {
    let Some(mut network) = Network::new("a flood of connections") else { return };
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.db").display().to_string();
    let _server = Flood::serve(&network, "b1", SERVER);
    let recorder = network.record("n1", &format!("-i any,!lo --observer n1 --flush 1s --log {log}"));
    let begun = Instant::now();
    let flood = Flood::call(&network, "a1", SERVER, 10_000);
    network.wait(seconds(10));
    let made = flood.stop();
    let rate = made as f64 / begun.elapsed().as_secs_f64();
    let end = network.stop(recorder);
    assert_eq!(end.exit, 0, "{}", end.stderr);
    let found = found(directory.path(), &log);
    noted(&format!("{made} connections, {rate:.0} a second: {found:?}"));
    found.is_true_of(made);
    if found.packets_lost + found.left_out == 0 {
        assert_eq!(found.all, made);
    }
}

/// A recorder that does not run for a while, with little room: packets are lost, and whoever reads the log is told.
#[test]
fn what_is_lost_is_said() {
    let Some(mut network) = Network::new("a recorder that stands still") else { return };
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.db").display().to_string();
    std::fs::write(directory.path().join("cluster.yaml"), CLUSTER).unwrap();
    let _server = Flood::serve(&network, "b1", SERVER);
    let args = format!("-i any,!lo --ring 256K --observer n1 --flush 1s --log {log}");
    let recorder = network.record("n1", &args);
    let flood = Flood::call(&network, "a1", SERVER, 2_000);
    network.wait(Duration::from_secs(2));
    signal(network.process(&recorder), "STOP");
    network.wait(Duration::from_secs(3));
    signal(network.process(&recorder), "CONT");
    network.wait(Duration::from_secs(2));
    let made = flood.stop();
    let end = network.stop(recorder);
    assert_eq!(end.exit, 0, "{}", end.stderr);
    assert!(end.stderr.contains("warning: the kernel lost"), "{}", end.stderr);
    let found = found(directory.path(), &log);
    noted(&format!("{made} connections, a pause of 3 s: {found:?}"));
    found.is_true_of(made);
    assert!(found.packets_lost > 0 && found.all < made, "{made} made: {found:?}");
    // Those who draw conclusions say it too.
    let input = format!("--log {log} --cluster cluster.yaml");
    let generated = run(directory.path(), &format!("generate --summary summary.json {input}"));
    assert_eq!(generated.exit, 0, "{}", generated.stderr);
    assert!(generated.stderr.contains(" lost while capturing"), "{}", generated.stderr);
    std::fs::write(directory.path().join("policies.yaml"), &generated.stdout).unwrap();
    let unused = run(directory.path(), &format!("unused -o json --policies policies.yaml {input}"));
    let report: Value = serde_json::from_str(&unused.stdout).unwrap();
    assert_eq!(report["coverage"]["lost"].as_u64(), Some(found.packets_lost), "{report}");
}

/// Under load, nothing is lost but what came after the last flush, and the log goes on where it ended.
#[test]
fn a_killed_recorder_loses_its_last_flush() {
    const RATE: u64 = 1_000;
    let Some(mut network) = Network::new("a killed recorder") else { return };
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.db").display().to_string();
    let args = format!("-i any,!lo --observer n1 --flush 1s --log {log}");
    let _server = Flood::serve(&network, "b1", SERVER);
    let mut known = 0;
    for round in 0..2 {
        let recorder = network.record("n1", &args);
        let mut flood = Flood::call(&network, "a1", SERVER, RATE);
        network.wait(Duration::from_millis(2500 + round * 400));
        let before = flood.made();
        signal(network.process(&recorder), "KILL");
        let after = flood.made();
        network.ended(recorder);
        flood.stop();
        let all = found(directory.path(), &log).all;
        // A flush, the tenth of a second that packets wait in the kernel, and some time for a busy machine.
        let safe = known + before.saturating_sub(RATE * 5 / 2);
        assert!((safe..=known + after).contains(&all), "round {round}: {all}, between {safe} and {}", known + after);
        known = all;
    }
    // A clean end loses nothing.
    let recorder = network.record("n1", &args);
    let flood = Flood::call(&network, "a1", SERVER, RATE);
    network.wait(Duration::from_secs(1));
    let made = flood.stop();
    assert_eq!(network.stop(recorder).exit, 0);
    let found = found(directory.path(), &log);
    assert_eq!((found.all, found.packets_lost), (known + made, 0));
}

/// libfaketime, which stands between a program and its clock.
fn faketime() -> Option<PathBuf> {
    let libraries = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let mut found: Vec<PathBuf> = libraries
        .map(|directory| directory.path().join("faketime/libfaketimeMT.so.1"))
        .filter(|at| at.is_file())
        .collect();
    found.sort();
    found.pop()
}

/// The environment of a program whose clock is `offset` ahead of this machine's, as that file says at any moment.
fn clock<'a>(library: &'a Path, offset: &'a Path) -> [(&'a str, &'a Path); 5] {
    let one = Path::new("1");
    [
        ("LD_PRELOAD", library),
        ("FAKETIME_TIMESTAMP_FILE", offset),
        ("FAKETIME_NO_CACHE", one),
        // Setting a clock moves no monotonic one.
        ("FAKETIME_DONT_FAKE_MONOTONIC", one),
        ("DONT_FAKE_MONOTONIC", one),
    ]
}

/// Times that `text` selects in a log, in seconds since `begun` by the clock of this machine.
fn seconds_of(log: &Path, text: &str, begun: i64) -> Vec<[f64; 2]> {
    let log = rusqlite::Connection::open(log).unwrap();
    let mut statement = log.prepare(text).unwrap();
    let since = |time: i64| (time - begun) as f64 / 1e9;
    let rows = statement.query_map([], |row| Ok([since(row.get(0)?), since(row.get(1)?)])).unwrap();
    rows.map(Result::unwrap).collect()
}

fn now() -> i64 {
    let passed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(passed.as_nanos()).unwrap()
}

/// The recorder's clock is set two hours back, and then an hour ahead, while packets keep the time of the kernel: where there
/// are packets it goes by these, where there are none by its own, so that the clock is set again and again.
#[test]
fn a_clock_that_is_set() {
    let Some(mut network) = Network::new("a clock that is set") else { return };
    let Some(library) = faketime() else {
        return skipped("a clock that is set", "libfaketime is not installed");
    };
    let directory = tempfile::tempdir().unwrap();
    let (log, offset) = (directory.path().join("log.db"), directory.path().join("offset"));
    std::fs::write(directory.path().join("cluster.yaml"), CLUSTER).unwrap();
    let set = |text: &str| std::fs::write(&offset, text).unwrap();
    set("+0s");
    network.serve_redis("b1", "10.244.1.11", 8081);
    let begun = now();
    let args = format!("record -i any,!lo --observer n1 --flush 1s --log {}", log.display());
    let recorder = network.run_with("n1", &args, "recording", &clock(&library, &offset));
    let mut made: i64 = 0;
    for (offset, count) in [("+0s", 5), ("-7200s", 20), ("+3600s", 20), ("+0s", 5)] {
        set(offset);
        // Without packets the clock is the system's.
        network.wait(Duration::from_millis(2200));
        network.redis("a1", "10.244.1.11", 8081, count);
        made += count as i64;
        network.wait(Duration::from_millis(500));
    }
    let end = network.stop(recorder);
    assert_eq!(end.exit, 0, "{}", end.stderr);
    assert!(end.stderr.contains("the clock was set"), "{}", end.stderr);
    let took = (now() - begun) as f64 / 1e9;
    let input = format!("--log {} --cluster cluster.yaml", log.display());
    // What goes on of a connection that is open while the clock is set back is one that nobody was seen opening: one at a time
    // is open here.
    let backwards = end.stderr.matches("seconds=-").count() as i64;
    let counts = "SELECT sum(CASE opened WHEN 'handshake' THEN connections END), sum(connections) FROM flow";
    let log_file = rusqlite::Connection::open(&log).unwrap();
    let counts: (i64, i64) = log_file.query_row(counts, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(counts.0, made, "{}", end.stderr);
    assert!(backwards > 0 && counts.1 <= made + backwards, "{counts:?} {}", end.stderr);
    let edges = edges(directory.path(), &input);
    assert!(edges.keys().eq(["a1 -> b1:8081/TCP established handshake"]), "{edges:?}");
    let generated = run(directory.path(), &format!("generate {input}"));
    assert_eq!(generated.exit, 0, "{}", generated.stderr);
    // Connections were when they were, and nothing was watched for longer than the recorder ran.
    for [first, last] in seconds_of(&log, "SELECT first, last FROM flow", begun) {
        assert!(-1.0 <= first && first <= last && last <= took + 1.0, "{first} to {last} of {took}");
    }
    let watched = seconds_of(&log, "SELECT started, until FROM coverage", begun);
    for [from, to] in watched {
        assert!(from <= to && to - from <= took + 1.0, "{from} to {to} of {took}");
        assert!(-7201.0 <= from && to <= took + 3601.0, "{from} to {to} of {took}");
    }
}

/// A pod is deleted while the agent's clock is two hours behind what it was: what it did before is still its own.
#[test]
fn a_pod_that_goes_while_the_clock_is_behind() {
    const ADDRESS: &str = "198.51.100.200";
    let tests = "a pod that goes while the clock is behind";
    let Some(mut network) = Network::new(tests) else { return };
    let Some(library) = faketime() else { return skipped(tests, "libfaketime is not installed") };
    network.join(ADDRESS);
    let directory = tempfile::tempdir().unwrap();
    let [log, offset, kubeconfig] = ["log.db", "offset", "config"].map(|name| directory.path().join(name));
    std::fs::write(&offset, "+0s").unwrap();
    let shop = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}";
    std::fs::write(directory.path().join("cluster.yaml"), shop).unwrap();
    let begun = now();
    let started = capture::Timestamp(begun - 600_000_000_000).to_string();
    let pod = move |name: &str, ip: &str, version: &str| {
        json!({"apiVersion": "v1", "kind": "Pod",
               "metadata": {"namespace": "shop", "name": name, "uid": name, "resourceVersion": version},
               "spec": {"nodeName": "n1", "containers": [{"name": "c", "ports": [{"containerPort": 8081}]}]},
               "status": {"phase": "Running", "podIP": ip, "startTime": started}})
    };
    let watches = AtomicUsize::new(0);
    let server = FakeApi::start_at(ADDRESS, move |asked, _| {
        let pods = vec![pod("a1", "10.244.1.10", "5"), pod("b1", "10.244.1.11", "6")];
        if asked.path != "/api/v1/pods" {
            return failure(404, "NotFound", "not here");
        } else if !asked.query.contains_key("watch") {
            let metadata = json!({"resourceVersion": "10"});
            return Answer::Json(
                200,
                json!({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": pods}),
            );
        }
        let deleted = json!({"type": "DELETED", "object": pod("b1", "10.244.1.11", "20")});
        match watches.fetch_add(1, Ordering::Relaxed) {
            0 => Answer::Lines(vec![(Duration::from_secs(6), deleted)]),
            _ => Answer::Lines(vec![(Duration::from_secs(60), json!({}))]),
        }
    });
    server.kubeconfig(&kubeconfig);
    network.serve_redis("b1", "10.244.1.11", 8081);
    let args = format!("agent -v --node n1 --kubeconfig {} --flush 1s --log {}", kubeconfig.display(), log.display());
    let agent = network.run_with("n1", &args, "listen", &clock(&library, &offset));
    let ready = || network.answer("n1", "http://127.0.0.1:9753/readyz") == "ok\n";
    until("the agent", ready);
    network.redis("a1", "10.244.1.11", 8081, 5);
    std::fs::write(&offset, "-7200s").unwrap();
    let changes = || network.answer("n1", "http://127.0.0.1:9753/metrics").contains("pod_changes_total{node=\"n1\"} 3");
    until("the deletion", changes);
    network.wait(Duration::from_secs(2));
    let end = network.stop(agent);
    assert_eq!(end.exit, 0, "{}", end.stderr);
    let took = (now() - begun) as f64 / 1e9;
    let tenures = seconds_of(&log, "SELECT since, until FROM tenure WHERE pod = 'b1'", begun);
    for [since, until] in &tenures {
        assert!(since <= until && *since > -7202.0 && *until < took + 1.0, "{tenures:?} of {took}\n{}", end.stderr);
    }
    let input = format!("--log {} --cluster cluster.yaml", log.display());
    let expected = [("a1 -> b1:8081/TCP established handshake", 5)];
    let of_pods = edges(directory.path(), &input).into_iter().filter(|(edge, _)| !edge.contains(ADDRESS)).collect();
    assert_edges(&end.stderr, &of_pods, &expected);
}
