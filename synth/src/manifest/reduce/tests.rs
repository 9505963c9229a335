use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::*;
use crate::manifest::Objects;
use crate::manifest::document::{Form, split};
use crate::manifest::dump::Dump;
use crate::manifest::node;
use crate::policy::Policy;

#[test]
fn what_is_kept() {
    let meta = json!({"name": "a", "namespace": "shop", "uid": "1", "resourceVersion": "7"});
    let with = |mut object: Value, extra: Value| {
        for (key, value) in extra.as_object().unwrap() {
            object[key] = value.clone();
        }
        object
    };
    let spec = json!({"podSelector": {}, "policyTypes": null, "ingres": [{"from": []}]});
    for (object, expected, shows) in [
        (
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": with(meta.clone(), json!({
                "managedFields": [{"manager": "x"}],
                "annotations": {"prometheus.io/port": "80", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a-1", "uid": "2", "controller": true}],
            })), "spec": {
                "nodeName": "n", "volumes": [{"secret": {"secretName": "s"}}],
                "containers": [{
                    "name": "c", "image": "i", "command": ["/agent", "--enable-network-policy=true"], "args": ["--token=x"],
                    "env": [{"name": "PASSWORD", "value": "x"}], "envFrom": [{"secretRef": {"name": "s"}}],
                    "ports": [{"containerPort": 80, "hostPort": 0, "name": "http"}],
                    "livenessProbe": {"httpGet": {"port": "http", "path": "/", "httpHeaders": [{"name": "Authorization", "value": "x"}]}},
                    "readinessProbe": {"exec": {"command": ["psql", "password=x"]}},
                }],
            }, "status": {"podIP": "10.0.0.1", "phase": "Running", "message": "x"}}),
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": with(meta.clone(), json!({
                "annotations": {"prometheus.io/port": "80"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "a-1", "controller": true}],
            })), "spec": {
                "nodeName": "n",
                "containers": [{
                    "name": "c", "image": "i", "command": ["--enable-network-policy=true"],
                    "ports": [{"name": "http", "containerPort": 80}],
                    "livenessProbe": {"httpGet": {"port": "http"}},
                    "readinessProbe": {},
                }],
            }, "status": {"phase": "Running", "podIP": "10.0.0.1"}}),
            "a pod without environment, commands, volumes and headers",
        ),
        (
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                   "metadata": with(meta.clone(), json!({"managedFields": []})), "spec": spec, "status": {}}),
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": spec}),
            "a policy's spec as it is written, mistakes included",
        ),
        (
            json!({"apiVersion": "crd.projectcalico.org/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": spec}),
            json!({"apiVersion": "crd.projectcalico.org/v1", "kind": "NetworkPolicy", "metadata": {"name": "a", "namespace": "shop"}}),
            "somebody else's policy is counted",
        ),
        (
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {"password": "x"}}),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "shop"}}),
            "a Secret's name at most",
        ),
        (
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "x"},
                   "spec": {"versions": [{"schema": {}}], "conversion": {"strategy": "Webhook", "webhook": {"clientConfig":
                   {"caBundle": "x", "service": {"name": "s", "namespace": "n", "port": 443, "path": "/"}}}}}}),
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "x"},
                   "spec": {"conversion": {"strategy": "Webhook", "webhook": {"clientConfig":
                   {"service": {"namespace": "n", "name": "s", "port": 443}}}}}}),
            "where a conversion webhook leads",
        ),
        (
            json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "x"}, "spec":
                   {"replicas": 2, "strategy": {}, "template": {"metadata": {}, "spec": {"containers": [{"name": "c", "env": []}]}}}}),
            json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "x"}, "spec":
                   {"template": {"metadata": {"name": ""}, "spec": {"containers": [{"name": "c"}]}}, "replicas": 2}}),
            "a custom controller is a controller",
        ),
    ] {
        let reduced = reduce(&object).unwrap().0;
        assert_eq!(reduced, expected, "{shows}");
        assert_eq!(reduce(&reduced).unwrap().0, reduced, "{shows}, again");
    }
}

#[test]
fn misfits_are_named() {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "shop"},
                     "spec": {"containers": [{"ports": [{"containerPort": 70000}]}]}});
    let misfit = reduce(&pod).unwrap_err();
    assert_eq!(misfit.object, "Pod shop/a");
    assert!(misfit.message.contains("70000"), "{misfit}");
    assert_eq!(reduce(&json!({})).unwrap().0["kind"], "", "what is no object at all breaks nothing");
}

#[test]
fn order_and_form_do_not_matter() {
    let object = |kind: &str, name: &str| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "labels": {"on": "yes"}}});
    let objects = [object("Service", "b"), object("Node", "z"), object("Service", "a")];
    let dump = |order: [usize; 3]| {
        let mut dump = Dump::default();
        (dump.taken, dump.version) = (Some("2026-11-21T08:00:00Z".parse().unwrap()), 12);
        order.iter().for_each(|index| dump.add(reduce(&objects[*index]).unwrap()));
        dump
    };
    let (json, yaml) = (dump([0, 1, 2]).to_json(), dump([2, 1, 0]).to_yaml());
    assert_eq!(json, dump([1, 2, 0]).to_json());
    let names: Vec<_> =
        json.lines().filter_map(|line| Some(line.split_once("\"name\":\"")?.1.chars().next())).collect();
    assert_eq!(names, [Some('z'), Some('a'), Some('b')]);
    let [from_json, from_yaml] = [&json, &yaml].map(|text| {
        let mut objects = Objects::default();
        objects.load("dump", text);
        assert_eq!(objects.problems, [], "{text}");
        objects
    });
    assert_eq!(from_json.taken.values().map(ToString::to_string).collect::<Vec<_>>(), ["2026-11-21T08:00:00Z"]);
    assert_eq!(from_json.taken, from_yaml.taken);
    assert_eq!(contents(&from_json), contents(&from_yaml));
    let empty = Dump::default();
    for text in [empty.to_json(), empty.to_yaml()] {
        let mut objects = Objects::default();
        objects.load("empty", &text);
        assert_eq!((objects.problems.len(), objects.taken.len()), (0, 0), "{text}");
    }
}

/// All that was read, without where it was.
fn contents(objects: &Objects) -> Vec<String> {
    let mut contents: Vec<String> = Vec::new();
    contents.extend(objects.namespaces.iter().map(|stored| format!("{:?}", stored.object)));
    contents.extend(objects.nodes.iter().map(|stored| format!("{:?}", stored.object)));
    contents.extend(objects.pods.iter().map(|stored| format!("{:?}", stored.object)));
    contents.extend(objects.services.iter().map(|stored| format!("{:?}", stored.object)));
    contents.extend(objects.slices.iter().map(|stored| format!("{:?}", stored.object)));
    contents.extend(objects.endpoints.iter().map(|stored| format!("{:?}", stored.object)));
    contents.extend(objects.controllers.iter().map(|stored| format!("{:?}", stored.object)));
    contents.extend(objects.declaring.iter().map(|stored| format!("{:?}", stored.object)));
    contents.extend(objects.policies.iter().cloned().map(Policy::without_places).map(|mut policy| {
        policy.ignored = Vec::new();
        format!("{policy:?}")
    }));
    contents.extend(objects.cluster_policies.iter().map(|policy| format!("{} {:?}", policy.id(), policy.subject)));
    contents
}

/// Dumps of the project, and those beside it where they are there.
fn dumps() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders = vec![root.join("tests/cases"), root.join("pcaps"), root.join("tests/engine")];
    let shared = std::env::var_os("RINGFENCE_SHARED").map_or(root.join("../shared"), PathBuf::from);
    folders.extend(["apps", "trap-cluster"].map(|name| shared.join(name)));
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_manifest =
                path.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known));
            match path.is_dir() {
                true => folders.push(path),
                false if is_manifest => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    found
}

/// Whatever is read from a file is read from its reduction too, so that an inventory of either is the same.
#[test]
fn a_reduction_reads_like_the_whole() {
    let (mut objects_read, mut kinds) = (0, BTreeSet::new());
    for path in dumps() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for document in split(&text).documents {
            let Ok(tree) = node::parse(document.text, document.line) else { continue };
            let value = tree.to_value();
            let mut value = match (document.form, value) {
                (Form::YamlItem(_), Value::Array(mut items)) if items.len() == 1 => items.remove(0),
                (_, value) => value,
            };
            // What the reader adds to items of a typed List, an API server's client adds too.
            if let (Some(list), Some(object)) = (document.list, value.as_object_mut()) {
                object.entry("apiVersion").or_insert(list.version.into());
                object.entry("kind").or_insert(list.kind.into());
            }
            let [mut whole, mut reduced] = [Objects::default(), Objects::default()];
            whole.load("dump", &value.to_string());
            // What cannot be read is refused by both, in other words.
            if !whole.problems.is_empty() || contents(&whole).is_empty() {
                continue;
            }
            let reduction = reduce(&value).unwrap_or_else(|misfit| panic!("{}: {misfit}", path.display())).0;
            reduced.load("dump", &reduction.to_string());
            assert_eq!(reduced.problems, [], "{}", path.display());
            assert_eq!(contents(&reduced), contents(&whole), "{}:{}", path.display(), document.line);
            assert_eq!(reduced.ignored, whole.ignored, "{}:{}", path.display(), document.line);
            assert!(!reduction.to_string().contains("managedFields"));
            objects_read += 1;
            kinds.insert(reduction["kind"].to_string());
        }
    }
    // The cases alone have about so many.
    assert!(objects_read > 150 && kinds.len() > 10, "{objects_read} objects of {kinds:?}");
}
