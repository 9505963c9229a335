//! What `deploy/` holds, before a real API server: it takes all of it, it grants what is needed and nothing else, and the
//! chart renders the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::apiserver::{Caller, Server, documents, path_of, server};
use crate::program::run;
use crate::shared::skipped;

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
const BUILD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/apiserver/build");

/// The manifests in the order of `kustomization.yaml`, which has to name all of them: the namespace is first.
fn manifests() -> Vec<Value> {
    let folder = Path::new(DEPLOY).join("kubernetes");
    let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let [kustomization] = documents(&text("kustomization.yaml")).try_into().unwrap();
    let named: Vec<&str> = kustomization["resources"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let there = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let there: BTreeSet<String> = there.filter(|name| name != "kustomization.yaml").collect();
    assert_eq!(there, named.iter().map(ToString::to_string).collect());
    named.into_iter().flat_map(|name| documents(&text(name))).collect()
}

/// Creates the manifests, once in this process, each after a dry run.
pub fn install(server: &Server) {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        for object in manifests() {
            for how in ["dryRun=All&fieldValidation=Strict", "fieldValidation=Strict"] {
                let answer = server.admin().create(&format!("{}?{how}", path_of(&object)), &object);
                assert_eq!(answer.status, 201, "{how}: {object}: {}", answer.text);
            }
        }
    });
}

/// One test, because there is one cluster and these are its objects.
#[test]
fn manifests_are_accepted_and_grant_what_is_needed() {
    let Some(server) = server("API server") else { return };
    install(server);
    the_agent_pod_is_admitted(server);
    the_agent_may(server);
    people_may(server);
}

/// Pods of the DaemonSet pass the admission of their namespace, and of no namespace with a stricter level.
fn the_agent_pod_is_admitted(server: &Server) {
    let daemons =
        server.admin().get("/apis/apps/v1/namespaces/ringfence/daemonsets/ringfence-agent").expect_status(200);
    let template = &daemons["spec"]["template"];
    let mut pod =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"]});
    pod["metadata"]["name"] = json!("agent-of-a-test");
    let path = "/api/v1/namespaces/ringfence/pods?dryRun=All";
    let admitted = server.admin().create(path, &pod).expect_status(201);
    assert_eq!(admitted["spec"]["priority"], 2_000_001_000);
    let label = |level: &str| json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": level}}});
    server.namespace("baseline");
    server.admin().patch("/api/v1/namespaces/baseline", &label("baseline")).expect_status(200);
    let refused = server.admin().create("/api/v1/namespaces/baseline/pods?dryRun=All", &pod);
    assert_eq!(refused.status, 403);
    for reason in ["host namespaces", "hostPath volumes", "NET_RAW"] {
        assert!(refused.text.contains(reason), "{reason}: {}", refused.text);
    }
}

/// What may be done besides what everybody may do who is authenticated: `verb resource.group`, or a path.
fn rights(server: &Server, caller: &Caller, namespace: &str) -> BTreeSet<String> {
    let plain = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "nobody"}});
    let answer = server.admin().create("/api/v1/namespaces/default/serviceaccounts", &plain);
    assert!(matches!(answer.status, 201 | 409), "{answer:?}");
    let all = |caller: &Caller| {
        let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
                            "spec": {"namespace": namespace}});
        let status = caller.create(path, &review).expect_status(201)["status"].take();
        assert_eq!(status["incomplete"], false, "{status}");
        let list = |rule: &Value, key: &str| -> Vec<String> {
            let values = rule[key].as_array().into_iter().flatten();
            values.map(|value| value.as_str().unwrap().to_string()).collect()
        };
        let mut rights = BTreeSet::new();
        for rule in status["resourceRules"].as_array().unwrap() {
            for verb in list(rule, "verbs") {
                for group in list(rule, "apiGroups") {
                    let dot = if group.is_empty() { "" } else { "." };
                    rights.extend(list(rule, "resources").iter().map(|kind| format!("{verb} {kind}{dot}{group}")));
                }
            }
            assert_eq!(rule.get("resourceNames"), None, "{rule}");
        }
        for rule in status["nonResourceRules"].as_array().unwrap() {
            rights.extend(
                list(rule, "nonResourceURLs")
                    .iter()
                    .flat_map(|url| list(rule, "verbs").into_iter().map(move |verb| format!("{verb} {url}"))),
            );
        }
        rights
    };
    all(caller).difference(&all(&server.account("default", "nobody"))).cloned().collect()
}

fn set(rights: &[&str]) -> BTreeSet<String> {
    rights.iter().map(ToString::to_string).collect()
}

/// Every call of the agent works, and it has no other right, in its own namespace or in others.
fn the_agent_may(server: &Server) {
    let agent = server.account("ringfence", "ringfence-agent");
    let expected = set(&["list pods", "watch pods", "get replicasets.apps", "get jobs.batch"]);
    for namespace in ["ringfence", "default", "kube-system"] {
        assert_eq!(rights(server, &agent, namespace), expected, "{namespace}");
    }
    server.apply(
        "{apiVersion: v1, kind: Node, metadata: {name: agents}}
---
{apiVersion: v1, kind: Pod, metadata: {name: here, namespace: watched}, spec: {nodeName: agents, containers: [{name: a, image: a}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: there, namespace: watched}, spec: {nodeName: others, containers: [{name: a, image: a}]}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web-5d4f8, namespace: watched}
spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: a, image: a}]}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: nightly-28, namespace: watched}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}
",
    );
    let pods = agent.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dagents").expect_status(200);
    let names: Vec<&Value> = pods["items"].as_array().unwrap().iter().map(|pod| &pod["metadata"]["name"]).collect();
    assert_eq!(names, ["here"]);
    let version = pods["metadata"]["resourceVersion"].as_str().unwrap();
    let watch = "/api/v1/pods?watch=true&timeoutSeconds=1&fieldSelector=spec.nodeName%3Dagents";
    assert_eq!(agent.get(&format!("{watch}&resourceVersion={version}")).status, 200);
    agent.get("/apis/apps/v1/namespaces/watched/replicasets/web-5d4f8").expect_status(200);
    agent.get("/apis/batch/v1/namespaces/watched/jobs/nightly-28").expect_status(200);
    for refused in [
        "/api/v1/secrets",
        "/api/v1/nodes",
        "/apis/apps/v1/replicasets",
        "/apis/apps/v1/deployments",
        "/api/v1/namespaces/watched/pods/here",
        "/api/v1/namespaces/watched/pods/here/log",
    ] {
        assert_eq!(agent.get(refused).status, 403, "{refused}");
    }
    assert_eq!(agent.delete("/api/v1/namespaces/watched/pods/here").status, 403);
}

/// The roles for people, each bound to an account of its own.
fn people_may(server: &Server) {
    let bind = |kind: &str, role: &str| {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": role}});
        server.admin().create("/api/v1/namespaces/default/serviceaccounts", &account).expect_status(201);
        let namespace = if kind == "Role" { "namespaces/ringfence/rolebindings" } else { "clusterrolebindings" };
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": format!("{}Binding", kind), "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": role, "namespace": "default"}],
        });
        server.admin().create(&format!("/apis/rbac.authorization.k8s.io/v1/{namespace}"), &binding).expect_status(201);
        server.account("default", role)
    };
    let collector = bind("Role", "ringfence-collector");
    assert_eq!(rights(server, &collector, "ringfence"), set(&["list pods", "get pods/proxy"]));
    assert_eq!(rights(server, &collector, "default"), set(&[]));
    let viewer = bind("ClusterRole", "ringfence-viewer");
    let kinds = "namespaces nodes pods services replicationcontrollers endpointslices.discovery.k8s.io deployments.apps \
        replicasets.apps statefulsets.apps daemonsets.apps jobs.batch cronjobs.batch networkpolicies.networking.k8s.io \
        clusternetworkpolicies.policy.networking.k8s.io adminnetworkpolicies.policy.networking.k8s.io \
        baselineadminnetworkpolicies.policy.networking.k8s.io \
        validatingwebhookconfigurations.admissionregistration.k8s.io \
        mutatingwebhookconfigurations.admissionregistration.k8s.io apiservices.apiregistration.k8s.io \
        customresourcedefinitions.apiextensions.k8s.io servicemonitors.monitoring.coreos.com \
        podmonitors.monitoring.coreos.com rollouts.argoproj.io networkpolicies.crd.projectcalico.org \
        globalnetworkpolicies.crd.projectcalico.org ciliumnetworkpolicies.cilium.io \
        ciliumclusterwidenetworkpolicies.cilium.io networkpolicies.crd.antrea.io";
    let expected = kinds.split_whitespace().flat_map(|kind| [format!("get {kind}"), format!("list {kind}")]).collect();
    assert_eq!(rights(server, &viewer, "default"), expected);
}

/// Helm, where it is installed or was built.
fn helm() -> Result<PathBuf, String> {
    if Command::new("helm").arg("version").output().is_ok_and(|output| output.status.success()) {
        return Ok("helm".into());
    }
    let built = Command::new("bash").args([BUILD, "--kept", "helm"]).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim_end().to_string();
    if built.status.success() { Ok(text(built.stdout).into()) } else { Err(text(built.stderr)) }
}

/// What the chart renders, in the manifests' order.
fn rendered(helm: &Path, settings: &[&str]) -> Vec<Value> {
    let output = Command::new(helm)
        .args(["template", "ringfence", "-n", "ringfence", "--kube-version", "1.36.0"])
        .arg(Path::new(DEPLOY).join("helm/ringfence"))
        .args(settings)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    sorted(documents(&String::from_utf8(output.stdout).unwrap()))
}

fn sorted(mut objects: Vec<Value>) -> Vec<Value> {
    objects.sort_by_cached_key(|object| (object["kind"].to_string(), object["metadata"]["name"].to_string()));
    objects
}

#[test]
fn the_chart_renders_the_manifests() {
    let helm = match helm() {
        Ok(helm) => helm,
        Err(why) => return skipped("Helm chart", &why),
    };
    let created = ["--set", "namespace.create=true"];
    let (chart, plain) = (rendered(&helm, &created), sorted(manifests()));
    assert_eq!(chart.len(), plain.len());
    for (chart, plain) in chart.iter().zip(&plain) {
        // serde_json compares mappings whatever their order.
        assert_eq!(chart, plain);
    }
    let changed = rendered(
        &helm,
        &[
            "--set",
            "agent.port=19753,image.repository=registry.example.com/r,agent.extraArgs={-v},agent.tolerations=null",
        ],
    );
    assert_eq!(changed.len(), plain.len() - 1, "the namespace is the release's");
    let daemons = changed.iter().find(|object| object["kind"] == "DaemonSet").unwrap();
    let spec = &daemons["spec"]["template"]["spec"];
    let agent = &spec["containers"][0];
    assert_eq!(agent["image"], "registry.example.com/r:0.1.0");
    assert_eq!(agent["args"], json!(["--log", "/var/lib/ringfence/flows.db", "--listen", "0.0.0.0:19753", "-v"]));
    assert_eq!(agent["ports"][0]["containerPort"], 19753);
    assert_eq!(spec.get("tolerations"), None);
}

/// The versions in `deploy/` are those of the program.
#[test]
fn versions_agree() {
    let version = env!("CARGO_PKG_VERSION");
    let [chart] = documents(&fs::read_to_string(Path::new(DEPLOY).join("helm/ringfence/Chart.yaml")).unwrap())
        .try_into()
        .unwrap();
    assert_eq!((&chart["version"], &chart["appVersion"]), (&json!(version), &json!(version)));
    let daemons = manifests().into_iter().find(|object| object["kind"] == "DaemonSet").unwrap();
    assert_eq!(daemons["spec"]["template"]["spec"]["containers"][0]["image"], format!("ringfence:{version}"));
    let dockerfile = fs::read_to_string(Path::new(DEPLOY).join("Dockerfile")).unwrap();
    let toolchain = concat!("FROM rust:", env!("CARGO_PKG_RUST_VERSION"), "-");
    assert!(dockerfile.contains(toolchain) && dockerfile.contains(&format!("ringfence:{version}")), "{dockerfile}");
}

/// `lint` has one thing to say, which the manifests say too: the agents' network is that of their nodes.
#[test]
fn lint_knows_that_agents_are_on_the_host_network() {
    let found = run(&Path::new(DEPLOY).join("kubernetes"), "lint -o json namespace.yaml policies.yaml agent.yaml");
    let findings: Value = serde_json::from_str(&found.stdout).unwrap();
    let findings = findings["findings"].as_array().unwrap();
    let ids: Vec<&Value> = findings.iter().map(|finding| &finding["id"]).collect();
    assert_eq!(ids, ["host-network-only", "host-network-only"], "{}", found.stdout);
}

/// The manifest for krew fits the archive, which holds the binary by the plugin's name and the licence.
#[test]
fn the_plugin_is_packed() {
    let directory = tempfile::tempdir().unwrap();
    // Whatever the binary is: this one packs quickly.
    let binary = directory.path().join("ringfence");
    fs::write(&binary, "#!/bin/sh\necho packed\n").unwrap();
    let pack = || {
        let packed = Command::new("bash")
            .arg(Path::new(DEPLOY).join("krew/fill.sh"))
            .args([&binary, Path::new("https://example.com/ringfence/"), directory.path()])
            .output()
            .unwrap();
        assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
        PathBuf::from(String::from_utf8(packed.stdout).unwrap().trim_end())
    };
    let archive = pack();
    let bytes = fs::read(&archive).unwrap();
    let sum: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let text = fs::read_to_string(directory.path().join("ringfence.yaml")).unwrap();
    let [plugin] = documents(&text).try_into().unwrap();
    assert_eq!(plugin["metadata"]["name"], "ringfence");
    assert_eq!(plugin["spec"]["version"], concat!("v", env!("CARGO_PKG_VERSION")));
    let [platform] = plugin["spec"]["platforms"].as_array().unwrap().as_slice() else { panic!("{plugin}") };
    let name = archive.file_name().unwrap().to_str().unwrap();
    let folder = concat!("https://example.com/ringfence/releases/download/v", env!("CARGO_PKG_VERSION"));
    assert_eq!(platform["uri"], format!("{folder}/{name}"));
    assert_eq!((&platform["sha256"], &platform["bin"]), (&json!(sum), &json!("kubectl-ringfence")));
    let unpacked = Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(directory.path()).status().unwrap();
    assert!(unpacked.success());
    for file in platform["files"].as_array().unwrap() {
        assert!(directory.path().join(file["from"].as_str().unwrap()).is_file(), "{file}");
    }
    let ran = Command::new(directory.path().join("kubectl-ringfence")).output().unwrap();
    assert_eq!(ran.stdout, b"packed\n");
    pack();
    assert_eq!(fs::read(&archive).unwrap(), bytes, "the same binary makes the same archive");
}
