//! A cluster as far as agents see one: two nodes of network namespaces (`kernel`), a real API server (`apiserver`), an agent on
//! each node under its own ServiceAccount with the shipped rights, and a person who collects what they learned.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use capture::Timestamp;
use capture::time::SECOND;
use serde_json::{Value, json};

use crate::apiserver::{Caller, Server, documents, path_of};
use crate::kernel::flood::{Flood, seconds};
use crate::kernel::space::{Network, until_within};
use crate::kernel::{CLUSTER, assert_edges, edges};
use crate::program::{command, run};
use crate::shared::skipped;

/// Where the API server is, seen from the nodes.
const ADDRESS: &str = "198.51.100.200";

fn deploy(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "deploy", "kubernetes", name].iter().collect();
    fs::read_to_string(path).unwrap()
}

fn now() -> Timestamp {
    let passed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(passed.as_nanos()).unwrap())
}

/// The pod of the DaemonSet on a node, as the kubelet would report it.
fn agent_pod(node: &str, ip: &str) -> Value {
    let daemon_set = documents(&deploy("agent.yaml")).remove(0);
    let template = &daemon_set["spec"]["template"];
    let mut spec = template["spec"].clone();
    spec["nodeName"] = json!(node);
    // No admission plugin of a scheduler runs here.
    spec.as_object_mut().unwrap().remove("priorityClassName");
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("ringfence-agent-{node}"), "namespace": "ringfence", "labels": template["metadata"]["labels"]},
        "spec": spec,
        "status": {
            "phase": "Running", "hostIP": ip, "podIP": ip, "podIPs": [{"ip": ip}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

/// The kubeconfig of somebody on a node.
fn on_node(caller: &Caller, at: &Path) -> String {
    let text = fs::read_to_string(&caller.kubeconfig).unwrap();
    fs::write(at, text.replace("127.0.0.1", ADDRESS)).unwrap();
    at.display().to_string()
}

#[test]
fn agents_learn_and_a_person_collects() {
    let tests = "agents";
    let Some(mut network) = Network::new(tests) else { return };
    network.join(ADDRESS);
    let server = match Server::start(&[ADDRESS]) {
        Ok(server) => server,
        Err(why) => return skipped(tests, &why),
    };
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    server.namespace("ringfence");
    server.apply(&deploy("access.yaml"));
    server.apply(CLUSTER);
    for (node, ip) in [("n1", "198.51.100.1"), ("n2", "198.51.100.2")] {
        server.apply(&agent_pod(node, ip).to_string());
    }
    let account = on_node(&server.account("ringfence", "ringfence-agent"), &directory.path().join("agent"));
    let agents = ["n1", "n2"].map(|node| {
        let args = format!("agent -v --node {node} --kubeconfig {account} --flush 1s --log {}", path(node));
        network.run(node, &args, "listen")
    });
    for (node, agent) in ["n1", "n2"].iter().zip(&agents) {
        let begun = Instant::now();
        loop {
            let ready = network.answer(node, "http://127.0.0.1:9753/readyz");
            if ready == "ok\n" {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{node}: {ready}{}", network.said(agent));
            network.wait(Duration::from_millis(100));
        }
        assert_eq!(network.answer(node, "http://127.0.0.1:9753/healthz"), "ok\n");
    }
    network.serve_http("a2", &["10.244.2.10:8080"]);
    network.serve_redis("b1", "10.244.1.11", 8081);
    (0..3).for_each(|_| network.fetch("a1", "http://10.96.0.10/"));
    network.redis("b2", "10.96.0.10", 81, 2);
    network.wait(Duration::from_secs(2));
    // Load on both nodes, from here to the end.
    let _servers = [("b1", "10.244.1.11:9000"), ("a2", "10.244.2.10:9000")]
        .map(|(space, address)| Flood::serve(&network, space, address));
    let floods = [("a2", "10.244.1.11:9000"), ("a1", "10.244.2.10:9000")]
        .map(|(space, address)| Flood::call(&network, space, address, 50));
    // The API server goes away for a while. A pod comes meanwhile and talks at once.
    server.stop();
    network.reach("down");
    let came = now().floor(SECOND);
    network.add_pod("1", "d", "13");
    network.fetch("d1", "http://10.96.0.10/");
    (0..2).for_each(|_| network.fetch("a1", "http://10.96.0.10/"));
    network.wait(seconds(3));
    for node in ["n1", "n2"] {
        // What is learned waits for nobody.
        assert_eq!(network.answer(node, "http://127.0.0.1:9753/readyz"), "ok\n");
    }
    // A pod leaves, another one gets its address, and the store forgets how that went: the agents have to list their pods anew.
    server.restart();
    server.admin().delete("/api/v1/namespaces/shop/pods/b2?gracePeriodSeconds=0");
    let b2 = documents(CLUSTER).into_iter().find(|one| one["metadata"]["name"] == "b2").unwrap();
    let mut heir = b2.clone();
    heir["metadata"] = json!({"name": "heir", "namespace": "shop", "labels": {"app": "heir"}});
    heir["status"]["startTime"] = json!(now().floor(SECOND).to_string());
    let mut newcomer = b2;
    newcomer["metadata"] = json!({"name": "d1", "namespace": "shop", "labels": {"app": "d1"}});
    newcomer["spec"]["nodeName"] = json!("n1");
    newcomer["status"] = json!({"phase": "Running", "startTime": came.to_string(), "podIP": "10.244.1.13"});
    [heir, newcomer].iter().for_each(|pod| server.apply(&pod.to_string()));
    server.compact();
    server.stop();
    server.restart();
    network.reach("up");
    let metrics = |network: &Network, node: &str, name: &str| -> Option<f64> {
        let text = network.answer(node, "http://127.0.0.1:9753/metrics");
        let line = text.lines().find(|line| line.starts_with(&format!("ringfence_{name}{{")))?;
        line.rsplit_once(' ')?.1.parse().ok()
    };
    // Pods with two addresses each, and one with one. The watch is tried again after pauses that
    // grow.
    for (node, told, count) in [("n2", "the heir", 8.0), ("n1", "the newcomer", 7.0)] {
        let changes = || metrics(&network, node, "pod_changes_total");
        until_within(Duration::from_secs(90), told, || changes().is_some_and(|changes| changes >= count));
    }
    for agent in &agents {
        let said = network.said(agent);
        assert!(said.contains("too old resource version"), "{said}");
    }
    // Clocks of the cluster and of packets are five seconds apart at most.
    network.wait(Duration::from_secs(6));
    network.redis("b2", "10.96.0.10", 81, 1);
    let [to_b1, to_a2] = floods.map(Flood::stop);
    network.wait(Duration::from_secs(4));
    assert!(metrics(&network, "n1", "connections_total").unwrap() >= 5.0);
    let kubeconfig = server.admin().kubeconfig.display().to_string();
    let collected = run(directory.path(), &format!("collect --kubeconfig {kubeconfig} -o week.db"));
    assert_eq!(collected.exit, 0, "{}", collected.stderr);
    assert!(collected.stderr.contains("2 of 2 agents"), "{}", collected.stderr);
    // The pods of the agents' time are known, those that are gone too.
    let expected = [
        ("a1 -> a2:8080/TCP established handshake", 5),
        ("b2 -> b1:8081/TCP established handshake", 2),
        ("heir -> b1:8081/TCP established handshake", 1),
        ("d1 -> a2:8080/TCP established handshake", 1),
        ("a2 -> b1:9000/TCP established handshake", to_b1),
        ("a1 -> a2:9000/TCP established handshake", to_a2),
    ];
    let all = edges(directory.path(), &format!("--log week.db --kubeconfig {kubeconfig}"));
    let of_pods = all.into_iter().filter(|(edge, _)| !edge.contains("node") && !edge.contains(ADDRESS)).collect();
    assert_edges("collected", &of_pods, &expected);
    // What comes out of it is taken by the API server.
    let generated = run(directory.path(), &format!("generate --log week.db --kubeconfig {kubeconfig}"));
    assert_eq!(generated.exit, 0, "{}", generated.stderr);
    for policy in documents(&generated.stdout) {
        let path = path_of(&policy) + "?dryRun=All&fieldValidation=Strict";
        server.admin().create(&path, &policy).expect_status(201);
    }
    for agent in agents {
        let end = network.stop(agent);
        assert_eq!(end.exit, 0, "{}", end.stderr);
    }
    // Without an agent on one node the other's log is still fetched, and the exit says that something is missing.
    let nobody = command(directory.path())
        .args(["collect", "-q", "--kubeconfig", &kubeconfig, "-o", "none.db"])
        .output()
        .unwrap();
    assert_eq!(nobody.status.code(), Some(2));
}
