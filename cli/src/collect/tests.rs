use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::args::LiveCluster;
use crate::fakeapi::{Answer, FakeApi, failure};

fn pod(name: &str, node: &str, phase: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"nodeName": node}, "status": {"phase": phase}})
}

fn args(server: &FakeApi, directory: &Path) -> CollectArgs {
    let kubeconfig = directory.join("config");
    server.kubeconfig(&kubeconfig);
    CollectArgs {
        live: LiveCluster { kubeconfig: Some(kubeconfig), context: None },
        namespace: "ringfence".to_string(),
        selector: "app.kubernetes.io/name=ringfence".to_string(),
        port: 9753,
        output: directory.join("all.log"),
        quiet: true,
    }
}

/// What becomes of each agent's log, as `pod: bytes` and `pod: words`.
fn collected(server: &FakeApi) -> (Vec<String>, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let args = args(server, directory.path());
    let parts = Parts::beside(&args.output).unwrap();
    let (fetched, failed) = cluster::wait(async {
        let server = cluster::connect(&args.live).await?;
        all(&server, &args, &parts.directory).await
    })
    .unwrap();
    let text = |(agent, path): (String, PathBuf)| format!("{agent}: {}", fs::read_to_string(path).unwrap());
    let words = |(agent, error): (String, anyhow::Error)| format!("{agent}: {error:#}");
    let answer = (fetched.into_iter().map(text).collect(), failed.into_iter().map(words).collect());
    let directory = parts.directory.clone();
    drop(parts);
    assert!(!directory.exists(), "nothing stays behind");
    answer
}

#[test]
fn every_agent_is_asked() {
    let long = "x".repeat(200_000);
    let body = long.clone();
    let server = FakeApi::start(move |asked, before| match asked.path.as_str() {
        "/api/v1/namespaces/ringfence/pods" => {
            assert_eq!(asked.query["labelSelector"], "app.kubernetes.io/name=ringfence");
            let (items, next) = match asked.query.get("continue") {
                None => (vec![pod("r-2", "b", "Running"), pod("r-1", "a", "Running")], "more"),
                Some(_) => {
                    (vec![pod("r-3", "c", "Running"), pod("r-4", "d", "Pending"), pod("r-5", "e", "Running")], "")
                }
            };
            Answer::Json(200, json!({"metadata": {"continue": next}, "items": items}))
        }
        "/api/v1/namespaces/ringfence/pods/r-1:9753/proxy/log" => Answer::Bytes(b"log of a".to_vec()),
        // It breaks off, and is fetched anew from its beginning.
        "/api/v1/namespaces/ringfence/pods/r-2:9753/proxy/log" if before == 0 => Answer::Cut(b"log of nobody".to_vec()),
        "/api/v1/namespaces/ringfence/pods/r-2:9753/proxy/log" => Answer::Bytes(body.clone().into_bytes()),
        "/api/v1/namespaces/ringfence/pods/r-3:9753/proxy/log" if before == 0 => {
            failure(503, "ServiceUnavailable", "error trying to reach service")
        }
        "/api/v1/namespaces/ringfence/pods/r-3:9753/proxy/log" => Answer::Bytes(b"log of c".to_vec()),
        _ => failure(403, "Forbidden", "may not get pods/proxy"),
    });
    let (fetched, failed) = collected(&server);
    assert_eq!(fetched, ["node a (r-1): log of a", &format!("node b (r-2): {long}"), "node c (r-3): log of c"]);
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert_eq!(failed[0], "node d (r-4): it does not run: its pod is Pending");
    assert!(failed[1].starts_with("node e (r-5): its flow log cannot be fetched: context fake"), "{failed:?}");
    assert!(failed[1].ends_with("may not get pods/proxy"), "{failed:?}");
}

#[test]
fn no_agents_and_no_answers() {
    let nobody = FakeApi::start(|_, _| Answer::Json(200, json!({"metadata": {}, "items": []})));
    let stopped = FakeApi::start(|_, _| Answer::Json(200, json!({"items": [pod("r-1", "a", "Failed")]})));
    let nonsense = FakeApi::start(|asked, _| match asked.path.ends_with("/log") {
        true => Answer::Bytes(b"<html>".to_vec()),
        false => Answer::Json(200, json!({"items": [pod("r-1", "a", "Running")]})),
    });
    for (server, words) in [
        (nobody, "is the agent installed there?"),
        (stopped, "no agent gave its flow log"),
        (nonsense, "no agent gave its flow log"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let error = run(&args(&server, directory.path())).unwrap_err();
        assert!(error.to_string().contains(words), "{error:#}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "only the kubeconfig");
    }
}
