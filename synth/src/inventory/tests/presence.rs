//! How many pods a workload is to have, when a CronJob runs, and whether anything was there in a window.

use super::*;

fn pod(name: &str, owner: &str, status: &str) -> String {
    let (kind, owner) = owner.split_once('/').unwrap();
    format!(
        "{{kind: Pod, metadata: {{name: {name}, namespace: x, ownerReferences: [{{kind: {kind}, name: {owner}, \
         controller: true}}]}}, status: {{{status}}}}}"
    )
}

const TEMPLATE: &str = "template: {spec: {containers: [{name: app, image: registry.example/app:1.2, args: \
                        [--enable-network-policy=false, --v=2]}]}}";

fn of<'a>(inventory: &'a Inventory, name: &str) -> &'a WorkloadInfo {
    let found = inventory.workloads.iter().find(|(workload, _)| workload.to_string() == name);
    found.unwrap_or_else(|| panic!("no {name}")).1
}

#[test]
fn replicas_are_those_of_the_owner_or_of_what_it_owns() {
    let controller = |kind: &str, name: &str, more: &str, spec: &str| {
        format!("{{kind: {kind}, metadata: {{name: {name}, namespace: x{more}}}, spec: {{{spec}}}}}")
    };
    let owned =
        |kind: &str, name: &str| format!(", ownerReferences: [{{kind: {kind}, name: {name}, controller: true}}]");
    let inventory = inventory(&[
        &controller("Deployment", "zero", "", &format!("replicas: 0, {TEMPLATE}")),
        &controller("Deployment", "unsaid", "", TEMPLATE),
        &controller("Deployment", "odd", "", &format!("replicas: many, {TEMPLATE}")),
        &controller("Rollout", "canary", "", &format!("replicas: 4, {TEMPLATE}")),
        &controller("ReplicaSet", "canary-1", &owned("Rollout", "canary"), &format!("replicas: 3, {TEMPLATE}")),
        &controller("StatefulSet", "a", &owned("Database", "db"), &format!("replicas: 2, {TEMPLATE}")),
        &controller("StatefulSet", "b", &owned("Database", "db"), &format!("replicas: 1, {TEMPLATE}")),
    ]);
    for (name, replicas) in [
        ("x/Deployment/zero", Some(0)),
        ("x/Deployment/unsaid", None),
        ("x/Deployment/odd", None),
        ("x/Rollout/canary", Some(4)),
        ("x/Database/db", Some(3)),
    ] {
        assert_eq!(of(&inventory, name).replicas, replicas, "{name}");
    }
    assert!(of(&inventory, "x/Deployment/zero").is_at_zero() && !of(&inventory, "x/Deployment/unsaid").is_at_zero());
    let zero = of(&inventory, "x/Deployment/zero");
    assert_eq!(zero.origin.as_ref().map(ToString::to_string).as_deref(), Some("dump.yaml:2"));
    assert!(zero.containers["app"].contains("registry.example/app:1.2"));
    assert_eq!(zero.flags.iter().collect::<Vec<_>>(), ["--enable-network-policy=false"], "no other argument is kept");
}

#[test]
fn when_a_cron_job_runs() {
    let spec =
        format!("schedule: 15 2 * * *, timeZone: Europe/Berlin, suspend: true, jobTemplate: {{spec: {{{TEMPLATE}}}}}");
    let status = "lastScheduleTime: '2026-11-01T02:15:00Z', lastSuccessfulTime: '2026-11-01T02:19:30Z'";
    let inventory = inventory(&[&format!(
        "{{kind: CronJob, metadata: {{name: report, namespace: x}}, spec: {{{spec}}}, status: {{{status}}}}}"
    )]);
    let schedule = of(&inventory, "x/CronJob/report").schedule.clone().unwrap();
    assert_eq!(
        schedule,
        Schedule {
            cron: "15 2 * * *".to_string(),
            time_zone: Some("Europe/Berlin".to_string()),
            suspended: true,
            last_scheduled: Some(time("02:15:00")),
            last_succeeded: Some(time("02:19:30")),
        }
    );
    assert_eq!(of(&inventory, "x/CronJob/report").replicas, None);
}

#[test]
fn whether_a_pod_existed_in_a_window() {
    let ended =
        |at: &str| format!("containerStatuses: [{{state: {{terminated: {{finishedAt: '2026-11-01T{at}Z'}}}}}}]");
    let started = |at: &str| format!("podIP: 10.0.0.1, startTime: '2026-11-01T{at}Z'");
    let (from, to) = (time("10:00:00"), time("11:00:00"));
    for (what, status, expected) in [
        ("over before it", format!("phase: Succeeded, {}, {}", started("08:00:00"), ended("09:00:00")), Presence::No),
        ("over in it", format!("phase: Failed, {}, {}", started("08:00:00"), ended("10:30:00")), Presence::Yes),
        ("began in it, end unknown", format!("phase: Succeeded, {}", started("10:30:00")), Presence::Yes),
        ("began before it, end unknown", format!("phase: Succeeded, {}", started("08:00:00")), Presence::Unknown),
        ("alive since before", format!("phase: Running, {}", started("08:00:00")), Presence::Yes),
        ("began after it", format!("phase: Running, {}", started("12:00:00")), Presence::No),
        ("on the host network or not yet placed, but alive", "phase: Running".to_string(), Presence::Yes),
    ] {
        let inventory = inventory(&[&pod("p", "Job/j", &status)]);
        let workload = inventory.workloads.keys().next().unwrap();
        assert_eq!(inventory.existed(workload, from, to), expected, "{what}");
    }
    let template = format!("{{kind: Deployment, metadata: {{name: d, namespace: x}}, spec: {{{TEMPLATE}}}}}");
    let inventory = inventory(&[&template]);
    let workload = inventory.workloads.keys().next().unwrap();
    assert_eq!(inventory.existed(workload, Timestamp::MIN, Timestamp::MAX), Presence::No, "made from a template");
}

#[test]
fn kinds_of_others_are_read_only_where_they_make_pods() {
    let mut objects = Objects::default();
    objects.load(
        "dump.yaml",
        "kind: Issuer\nmetadata: {name: a}\nspec: {template: {spec: {containers: 7}}}\n---\n\
         kind: Rollout\nmetadata: {name: b}\nspec: {template: {spec: {containers: [{name: c}]}}}\n---\n\
         kind: ConfigMap\nmetadata: {name: c}\ndata: {x: 'template containers'}\n",
    );
    assert_eq!(objects.problems, []);
    assert_eq!(objects.ignored.keys().collect::<Vec<_>>(), ["ConfigMap", "Issuer"]);
    assert_eq!(objects.controllers.len(), 1);
}
