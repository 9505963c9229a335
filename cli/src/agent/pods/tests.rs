use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::args::LiveCluster;
use crate::cluster;
use crate::fakeapi::{Answer, Asked, FakeApi, failure};

fn pod(name: &str, ip: &str, version: u32) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
           "metadata": {"namespace": "shop", "name": name, "uid": name, "resourceVersion": version.to_string(),
                        "labels": {"pod-template-hash": "7d9f"},
                        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{name}-7d9f"),
                                             "uid": "r", "controller": true}]},
           "spec": {"nodeName": "a", "containers": []},
           "status": {"phase": "Running", "podIP": ip, "startTime": "2026-11-21T08:00:10Z"}})
}

fn list(version: u32, items: Vec<Value>) -> Answer {
    Answer::Json(
        200,
        json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": version.to_string()}, "items": items}),
    )
}

fn event(kind: &str, object: Value) -> (Duration, Value) {
    (Duration::from_millis(20), json!({"type": kind, "object": object}))
}

fn is_watch(asked: &Asked) -> bool {
    asked.query.get("watch").is_some_and(|value| value == "true")
}

/// The first changes that a watch on node `a` of a server tells, in words, without the times of releases.
fn changes(server: &FakeApi, count: usize) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let kubeconfig = directory.path().join("config");
        server.kubeconfig(&kubeconfig);
        let wanted = LiveCluster { kubeconfig: Some(kubeconfig), context: None };
        let client = cluster::watching(&wanted).await.unwrap().client;
        let (sender, mut receiver) = mpsc::channel(16);
        let now = || "2026-11-21T09:00:00Z".parse().unwrap();
        let watching = watch(client, "a", now, sender);
        let reading = async {
            let mut words = Vec::new();
            while words.len() < count {
                let change = tokio::time::timeout(Duration::from_secs(30), receiver.recv()).await;
                words.push(match change.unwrap().unwrap() {
                    Change::Held { ip, pod, .. } => format!("+{ip} {}/{}", pod.owner.kind, pod.owner.name),
                    Change::Released { ip, uid, .. } => format!("-{ip} {uid}"),
                    Change::OnHost { pod, .. } => pod.name,
                    Change::Complete { pods } => format!("all {pods}"),
                });
            }
            // Whoever receives no more ends the watch.
            drop(receiver);
            words
        };
        futures::join!(watching, reading).1
    })
}

/// A watch that ends, one whose version is too old, one that breaks off, and a server that is gone for a moment: what was
/// missed is told each time.
#[test]
fn nothing_is_missed() {
    let lists = AtomicUsize::new(0);
    let watched = Mutex::new(Vec::new());
    let server = FakeApi::start(move |asked, _| {
        if asked.path != "/api/v1/pods" {
            return failure(404, "NotFound", "replicasets not found");
        }
        assert_eq!(asked.query.get("fieldSelector").map(String::as_str), Some("spec.nodeName=a"));
        if !is_watch(asked) {
            return match lists.fetch_add(1, Ordering::Relaxed) {
                0 => list(10, vec![pod("web", "10.0.0.1", 5)]),
                1 => failure(503, "ServiceUnavailable", "restarting"),
                // While nobody watched `api` went, and `db` came.
                _ => list(90, vec![pod("web", "10.0.0.1", 5), pod("db", "10.0.0.3", 80)]),
            };
        }
        let mut watched = watched.lock().unwrap();
        watched.push(asked.query["resourceVersion"].clone());
        match watched.len() {
            1 => Answer::Lines(vec![event("ADDED", pod("api", "10.0.0.2", 20))]),
            // The server ended it in good order: the watch goes on from the last version.
            2 => {
                assert_eq!(watched[1], "20");
                Answer::Cut(b"{\"type\": ".to_vec())
            }
            3 => {
                let expired = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410,
                                     "reason": "Expired", "message": "too old resource version: 20 (70)"});
                Answer::Lines(vec![event("ERROR", expired)])
            }
            _ => {
                assert_eq!(watched.last().unwrap(), "90", "from the new list on");
                let mut gone = pod("web", "10.0.0.1", 95);
                gone["metadata"]["deletionTimestamp"] = "2026-11-21T08:50:00Z".into();
                Answer::Lines(vec![event("DELETED", gone), (Duration::from_secs(60), json!({}))])
            }
        }
    });
    let expected = [
        "+10.0.0.1 Deployment/web",
        "all 1",
        "+10.0.0.2 Deployment/api",
        "-10.0.0.2 api",
        "+10.0.0.3 Deployment/db",
        "all 2",
        "-10.0.0.1 web",
    ];
    assert_eq!(changes(&server, expected.len()), expected);
}

/// Owners of owners are asked for once, with metadata alone; where the server does not say, the labels do.
#[test]
fn owners() {
    let owned = |kind: &str, name: &str| {
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {"name": "x",
               "ownerReferences": [{"apiVersion": "x/v1", "kind": kind, "name": name, "uid": "u", "controller": true}]}})
    };
    let mut job = pod("job", "10.0.0.4", 1);
    job["metadata"]["ownerReferences"][0]["apiVersion"] = "batch/v1".into();
    job["metadata"]["ownerReferences"][0]["kind"] = "Job".into();
    let mut mirror = pod("etcd", "10.0.0.5", 1);
    mirror["metadata"]["ownerReferences"][0]["kind"] = "Node".into();
    let mut second = pod("web2", "10.0.0.6", 1);
    second["metadata"]["ownerReferences"][0]["name"] = "web-7d9f".into();
    let pods =
        vec![pod("web", "10.0.0.1", 1), second, pod("api", "10.0.0.2", 1), pod("gone", "10.0.0.3", 1), job, mirror];
    let server = FakeApi::start(move |asked, _| match asked.path.as_str() {
        "/api/v1/pods" if is_watch(asked) => Answer::Lines(vec![(Duration::from_secs(60), json!({}))]),
        "/api/v1/pods" => list(10, pods.clone()),
        "/apis/apps/v1/namespaces/shop/replicasets/web-7d9f" => Answer::Json(200, owned("Rollout", "web")),
        "/apis/apps/v1/namespaces/shop/replicasets/api-7d9f" => failure(403, "Forbidden", "may not get replicasets"),
        "/apis/batch/v1/namespaces/shop/jobs/job-7d9f" => Answer::Json(200, owned("CronJob", "nightly")),
        _ => failure(404, "NotFound", "not found"),
    });
    let expected = [
        "+10.0.0.1 Rollout/web",
        "+10.0.0.6 Rollout/web",
        "+10.0.0.2 Deployment/api",
        "+10.0.0.3 Deployment/gone",
        "+10.0.0.4 CronJob/nightly",
        "+10.0.0.5 Pod/etcd",
        "all 6",
    ];
    assert_eq!(changes(&server, expected.len()), expected);
    let asked = server.asked();
    let of_web: Vec<&Asked> = asked.iter().filter(|asked| asked.path.ends_with("web-7d9f")).collect();
    assert_eq!(of_web.len(), 1, "asked for once");
    assert!(of_web[0].accept.contains("as=PartialObjectMetadata;"), "{of_web:?}");
}
