//! Workloads: top owners, selectors, templates.

use super::*;
use crate::label::Selector;

/// A pod of namespace x with an owner (`Kind/name`, none where empty) and labels.
fn pod(name: &str, owner: &str, labels: &str) -> String {
    let owners = match owner.split_once('/') {
        Some((kind, name)) => format!(", ownerReferences: [{{kind: {kind}, name: {name}, controller: true}}]"),
        None => String::new(),
    };
    format!(
        "{{kind: Pod, metadata: {{name: {name}, namespace: x, labels: {{{labels}}}{owners}}}, status: {{podIP: 10.0.0.1}}}}"
    )
}

/// A controller of namespace x.
fn controller(what: &str, owner: &str, spec: &str) -> String {
    let (kind, name) = what.split_once('/').unwrap();
    pod(name, owner, "")
        .replace("kind: Pod", &format!("kind: {kind}"))
        .replace("status: {", &format!("spec: {{{spec}}}, status: {{"))
}

fn built(lines: Vec<String>) -> Inventory {
    Inventory::build(&read(&[("dump.yaml", lines)]), &Options::default())
}

#[test]
fn a_pod_belongs_to_its_top_owner() {
    for (what, objects, expected) in [
        (
            "through the ReplicaSet",
            vec![pod("p", "ReplicaSet/web-7d9", ""), controller("ReplicaSet/web-7d9", "Deployment/web", "")],
            "x/Deployment/web",
        ),
        (
            "a ReplicaSet that is gone has the Deployment's name and the pod's hash",
            vec![pod("p", "ReplicaSet/web-7d9", "pod-template-hash: 7d9")],
            "x/Deployment/web",
        ),
        ("without the hash nothing is guessed", vec![pod("p", "ReplicaSet/web-7d9", "")], "x/ReplicaSet/web-7d9"),
        (
            "another hash proves nothing",
            vec![pod("p", "ReplicaSet/web-7d9", "pod-template-hash: abc")],
            "x/ReplicaSet/web-7d9",
        ),
        (
            "through the Job",
            vec![pod("p", "Job/backup-29", ""), controller("Job/backup-29", "CronJob/backup", "")],
            "x/CronJob/backup",
        ),
        ("a Job of its own", vec![pod("p", "Job/import", ""), controller("Job/import", "", "")], "x/Job/import"),
        ("a StatefulSet that is not in the dump", vec![pod("p", "StatefulSet/db", "")], "x/StatefulSet/db"),
        ("a static pod's mirror is a bare pod", vec![pod("p", "Node/n1", "")], "x/Pod/p"),
        ("no owner", vec![pod("p", "", "")], "x/Pod/p"),
        (
            "an owner that does not control it",
            vec![pod("p", "ConfigMap/c", "").replace("controller: true", "controller: false")],
            "x/Pod/p",
        ),
        (
            "a custom owner",
            vec![pod("p", "ReplicaSet/web-5f", ""), controller("ReplicaSet/web-5f", "Rollout/web", "")],
            "x/Rollout/web",
        ),
        (
            "an owner of the same name in another namespace is not meant",
            vec![
                pod("p", "ReplicaSet/web-5f", ""),
                controller("ReplicaSet/web-5f", "Deployment/web", "").replace("namespace: x", "namespace: other"),
            ],
            "x/ReplicaSet/web-5f",
        ),
    ] {
        let inventory = built(objects);
        assert_eq!(inventory.pods[0].workload.to_string(), expected, "{what}");
    }
}

#[test]
fn a_cycle_of_owners_ends() {
    let objects = vec![
        pod("p", "ReplicaSet/a", ""),
        controller("ReplicaSet/a", "ReplicaSet/b", ""),
        controller("ReplicaSet/b", "ReplicaSet/a", ""),
    ];
    assert_eq!(workloads(&built(objects)).len(), 1);
}

#[test]
fn a_workload_without_pods_is_made_from_its_template() {
    let template = "template: {metadata: {labels: {app: web}}, \
                    spec: {containers: [{ports: [{name: http, containerPort: 8080}]}]}}";
    for (what, objects, expected) in [
        ("a Deployment", vec![controller("Deployment/web", "", template)], vec!["x/Deployment/web 8080 app=web"]),
        (
            "a CronJob that never ran",
            vec![controller("CronJob/web", "", &format!("jobTemplate: {{spec: {{{template}}}}}"))],
            vec!["x/CronJob/web 8080 app=web"],
        ),
        (
            "its ReplicaSet is not another one",
            vec![
                controller("Deployment/web", "", template),
                controller("ReplicaSet/web-7d9", "Deployment/web", template),
            ],
            vec!["x/Deployment/web 8080 app=web"],
        ),
        (
            "one with a pod needs no stand-in",
            vec![controller("StatefulSet/web", "", template), pod("web-0", "StatefulSet/web", "app: web")],
            vec![],
        ),
        ("no template, no pod", vec![controller("Deployment/web", "", "selector: {}")], vec![]),
        ("a Job", vec![controller("Job/web", "", template)], vec!["x/Job/web 8080 app=web"]),
        (
            "a Deployment at zero",
            vec![controller("Deployment/web", "", &format!("replicas: 0, {template}"))],
            vec!["x/Deployment/web 8080 app=web"],
        ),
        (
            "a kind of somebody else",
            vec![controller("Rollout/web", "", &format!("strategy: {{canary: {{}}}}, {template}"))],
            vec!["x/Rollout/web 8080 app=web"],
        ),
        (
            "a StatefulSet at zero that an operator made",
            vec![controller("StatefulSet/prometheus-k8s", "Prometheus/k8s", &format!("replicas: 0, {template}"))],
            vec!["x/Prometheus/k8s 8080 app=web"],
        ),
        (
            "a run that is over is no workload of its own",
            vec![controller("Job/web-29", "CronJob/web", template)],
            vec![],
        ),
    ] {
        let inventory = built(objects);
        let found: Vec<String> = inventory
            .workloads
            .iter()
            .filter(|(_, info)| info.from_template)
            .map(|(workload, info)| {
                let labels = Selector::from_labels(&info.labels);
                format!("{workload} {} {labels}", inventory.pod(info.pods[0]).ports[0].number)
            })
            .collect();
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn the_owners_selector_is_kept_where_it_lasts() {
    for (what, workload, spec, labels, expected) in [
        ("a Deployment's", "Deployment/w", "matchLabels: {name: w}", "name: w, extra: e", Some("name=w")),
        (
            "expressions too",
            "Deployment/w",
            "matchExpressions: [{key: app, operator: In, values: [a, b]}, {key: old, operator: DoesNotExist}]",
            "app: a",
            Some("app in (a, b),!old"),
        ),
        (
            "a Job's is a controller-uid",
            "Job/w",
            "matchLabels: {batch.kubernetes.io/controller-uid: '1'}",
            "a: b",
            None,
        ),
        (
            "the hash of a ReplicaSet without Deployment is left out",
            "ReplicaSet/w",
            "matchLabels: {app: w, pod-template-hash: '9'}",
            "app: w",
            Some("app=w"),
        ),
        ("nothing but a hash is nothing", "ReplicaSet/w", "matchLabels: {pod-template-hash: '9'}", "app: w", None),
        ("none", "DaemonSet/w", "matchLabels: {}", "app: w", None),
    ] {
        let inventory =
            built(vec![controller(workload, "", &format!("selector: {{{spec}}}")), pod("p", workload, labels)]);
        let info = inventory.workloads.values().next().unwrap();
        assert_eq!(info.selector.as_ref().map(ToString::to_string).as_deref(), expected, "{what}");
    }
}

#[test]
fn an_empty_namespace_is_the_default_one() {
    let deployment = "{kind: Deployment, metadata: {name: web, namespace: ''}, \
                      spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}}}}";
    let inventory = inventory(&[deployment]);
    assert_eq!(workloads(&inventory), ["default/Deployment/web"]);
    assert!(inventory.workloads.values().all(|info| info.selector.is_some()), "its controller is found again");
}

#[test]
fn ports_and_probes_of_what_serves() {
    let pod = "{kind: Pod, metadata: {name: p, namespace: x}, status: {podIP: 10.0.0.1}, spec: {\
        initContainers: [{ports: [{containerPort: 1}]}, {restartPolicy: Always, ports: [{containerPort: 2, protocol: UDP}]}], \
        containers: [{ports: [{name: http, containerPort: 8080}], livenessProbe: {httpGet: {port: http}}, \
                      readinessProbe: {tcpSocket: {port: 9000}}, startupProbe: {grpc: {port: 50051}}}, \
                     {ports: [{name: admin, containerPort: 7000}], livenessProbe: {httpGet: {port: http}}}]}}";
    let inventory = inventory(&[pod]);
    let pod = &inventory.pods[0];
    let ports: Vec<String> = pod.ports.iter().map(|port| format!("{}/{}", port.number, port.protocol)).collect();
    assert_eq!(ports, ["2/UDP", "7000/TCP", "8080/TCP"], "a sidecar serves, an init container does not");
    let probed: Vec<u16> = pod.probed.iter().copied().collect();
    assert_eq!(probed, [8080, 9000, 50051], "names are looked up in the probe's own container");
}
