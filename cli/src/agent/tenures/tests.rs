use serde_json::json;
use synth::manifest::reduce::reduce;

use super::*;

/// Seconds of the morning.
fn at(second: i64) -> Timestamp {
    "2026-11-21T08:00:00Z".parse::<Timestamp>().unwrap().plus(second * SECOND)
}

/// A running pod that began at second 10; `more` is merged into its metadata and status.
fn pod(name: &str, ip: &str, more: Value) -> Seen {
    let mut object = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "shop", "name": name, "uid": format!("uid-{name}"), "labels": {"app": "web"}},
        "spec": {"nodeName": "a"},
        "status": {"phase": "Running", "startTime": at(10).to_string()},
    });
    if !ip.is_empty() {
        object["status"]["podIP"] = ip.split(',').next().into();
        object["status"]["podIPs"] = ip.split(',').map(|ip| json!({"ip": ip})).collect();
    }
    for (key, value) in more.as_object().unwrap() {
        let section = match key.as_str() {
            "deletionTimestamp" | "labels" => "metadata",
            "hostNetwork" => "spec",
            _ => "status",
        };
        object[section][key] = value.clone();
    }
    let owner = Owner { kind: "Deployment".to_string(), name: "web".to_string() };
    Seen::of(reduce(&object).unwrap(), owner).unwrap()
}

fn over(finished: i64) -> Value {
    let states = json!([{"state": {"terminated": {"finishedAt": at(finished).to_string()}}}]);
    json!({"phase": "Succeeded", "containerStatuses": states})
}

enum Step {
    Apply(Seen),
    Delete(Seen),
    List(Vec<Seen>),
}

/// `+10.0.0.1 web 10` is held by web from second 10, `-10.0.0.1 web 30` released at second 30.
fn words(changes: Vec<Change>) -> Vec<String> {
    let second = |time: Timestamp| time.since(at(0)) / SECOND;
    let word = |change| match change {
        Change::Held { ip, pod, from } => format!("+{ip} {} {}", pod.name, second(from)),
        Change::Released { ip, uid, at } => format!("-{ip} {} {}", uid.trim_start_matches("uid-"), second(at)),
        Change::OnHost { node, ips, pod } => format!("{node} {ips:?} {}", pod.name),
        Change::Complete { pods } => format!("all {pods}"),
    };
    changes.into_iter().map(word).collect()
}

#[test]
fn who_held_what_when() {
    use Step::{Apply, Delete, List};
    let web = |more| pod("web", "10.0.0.1", more);
    let none = || json!({});
    type Row = (&'static str, Vec<(i64, Step)>, &'static [&'static str]);
    let rows: Vec<Row> = vec![
        (
            "from the start of the pod, told once",
            vec![(20, List(vec![web(none())])), (21, Apply(web(none()))), (22, List(vec![web(none())]))],
            &["+10.0.0.1 web 10", "all 1", "all 1"],
        ),
        (
            "a pod without an address holds none until it has one",
            vec![(11, Apply(pod("web", "", json!({"phase": "Pending"})))), (12, Apply(web(none())))],
            &["+10.0.0.1 web 10"],
        ),
        (
            "without a start since it was seen",
            vec![(12, Apply(web(json!({"startTime": null}))))],
            &["+10.0.0.1 web 12"],
        ),
        (
            "both families",
            vec![(12, Apply(pod("web", "10.0.0.1,fd00::1", none())))],
            &["+10.0.0.1 web 10", "+fd00::1 web 10"],
        ),
        (
            "a finished pod let go when its container ended, and has its address no more",
            vec![
                (20, Apply(web(none()))),
                (40, Apply(web(over(35)))),
                (50, Apply(web(over(35)))),
                (60, Delete(web(over(35)))),
            ],
            &["+10.0.0.1 web 10", "-10.0.0.1 web 36"],
        ),
        (
            "one that came and went between two lists is still told",
            vec![(40, List(vec![web(over(35))]))],
            &["+10.0.0.1 web 10", "-10.0.0.1 web 36", "all 1"],
        ),
        (
            "deleted: when its containers ended",
            vec![
                (20, Apply(web(none()))),
                (40, Delete(web(json!({"containerStatuses": over(38)["containerStatuses"]})))),
            ],
            &["+10.0.0.1 web 10", "-10.0.0.1 web 39"],
        ),
        (
            "deleted with a grace period that is not used up: when the delete was seen",
            vec![(20, Apply(web(none()))), (40, Delete(web(json!({"deletionTimestamp": at(60).to_string()}))))],
            &["+10.0.0.1 web 10", "-10.0.0.1 web 40"],
        ),
        (
            "deleted long ago, as the object says",
            vec![(20, Apply(web(none()))), (40, Delete(web(json!({"deletionTimestamp": at(30).to_string()}))))],
            &["+10.0.0.1 web 10", "-10.0.0.1 web 30"],
        ),
        (
            "a pod that is being deleted still has its address",
            vec![(20, Apply(web(none()))), (30, Apply(web(json!({"deletionTimestamp": at(60).to_string()}))))],
            &["+10.0.0.1 web 10"],
        ),
        (
            "gone while nobody watched: at the latest now",
            vec![(20, List(vec![web(none())])), (90, List(vec![]))],
            &["+10.0.0.1 web 10", "all 1", "-10.0.0.1 web 90", "all 0"],
        ),
        (
            "gone while nobody watched, and another has the address: when that one began",
            vec![
                (20, List(vec![web(none())])),
                (90, List(vec![pod("api", "10.0.0.1", json!({"startTime": at(70).to_string()}))])),
            ],
            &["+10.0.0.1 web 10", "all 1", "-10.0.0.1 web 70", "+10.0.0.1 api 70", "all 1"],
        ),
        (
            "another pod is seen with the address: it was free by then, whatever the older pod's status still says",
            vec![
                (20, Apply(web(none()))),
                (50, Apply(pod("api", "10.0.0.1", json!({"startTime": at(45).to_string()})))),
                (60, Apply(web(none()))),
                (90, Delete(web(none()))),
            ],
            &["+10.0.0.1 web 10", "+10.0.0.1 api 45", "-10.0.0.1 web 50"],
        ),
        (
            "the same where the younger pod is seen first, and is over first",
            vec![
                (50, Apply(pod("api", "10.0.0.1", json!({"startTime": at(45).to_string()})))),
                (55, Apply(web(none()))),
                (70, Delete(pod("api", "10.0.0.1", json!({"startTime": at(45).to_string()})))),
                (90, Apply(web(none()))),
            ],
            &["+10.0.0.1 api 45", "+10.0.0.1 web 10", "-10.0.0.1 web 55", "-10.0.0.1 api 70"],
        ),
        (
            "not before its containers ended, as far as they say",
            vec![
                (20, Apply(web(json!({"containerStatuses": over(38)["containerStatuses"]})))),
                (50, Apply(pod("api", "10.0.0.1", json!({"startTime": at(45).to_string()})))),
            ],
            &["+10.0.0.1 web 10", "+10.0.0.1 api 45", "-10.0.0.1 web 39"],
        ),
        (
            "one address of two",
            vec![
                (20, Apply(pod("web", "10.0.0.1,fd00::1", none()))),
                (50, Apply(pod("api", "10.0.0.1", json!({"startTime": at(45).to_string()})))),
                (60, Delete(pod("web", "10.0.0.1,fd00::1", none()))),
            ],
            &["+10.0.0.1 web 10", "+fd00::1 web 10", "+10.0.0.1 api 45", "-10.0.0.1 web 50", "-fd00::1 web 60"],
        ),
        (
            "a new sandbox has a new address, from when it was seen",
            vec![(20, Apply(web(none()))), (50, Apply(pod("web", "10.0.0.9", none())))],
            &["+10.0.0.1 web 10", "-10.0.0.1 web 50", "+10.0.0.9 web 50"],
        ),
        (
            "a status without addresses takes none away",
            vec![(20, Apply(web(none()))), (50, Apply(pod("web", "", none())))],
            &["+10.0.0.1 web 10"],
        ),
        (
            "new labels are told, from the beginning",
            vec![(20, Apply(web(none()))), (50, Apply(web(json!({"labels": {"app": "api"}}))))],
            &["+10.0.0.1 web 10", "+10.0.0.1 web 10"],
        ),
        (
            "on the host network nothing is held",
            vec![
                (20, Apply(pod("proxy", "192.168.0.1", json!({"hostNetwork": true})))),
                (30, Apply(pod("proxy", "192.168.0.1", json!({"hostNetwork": true})))),
                (40, Delete(pod("proxy", "192.168.0.1", json!({"hostNetwork": true})))),
            ],
            &["a [192.168.0.1] proxy"],
        ),
        (
            "a clock that is behind is believed: whoever writes it down knows whether it was set",
            vec![(5, Apply(web(none()))), (6, Delete(web(none())))],
            &["+10.0.0.1 web 10", "-10.0.0.1 web 6"],
        ),
    ];
    for (shows, steps, expected) in rows {
        let mut tenures = Tenures::default();
        let mut changes = Vec::new();
        for (second, step) in steps {
            changes.extend(match step {
                Apply(seen) => tenures.apply(seen, at(second)),
                Delete(seen) => tenures.delete(seen, at(second)),
                List(seen) => tenures.replace(seen, at(second)),
            });
        }
        assert_eq!(words(changes), expected, "{shows}");
    }
}

#[test]
fn what_a_pod_is_called() {
    let seen = pod("web-1", "::ffff:10.0.0.1", json!({}));
    let Some(Change::Held { ip, pod, .. }) = Tenures::default().apply(seen, at(20)).into_iter().next() else {
        panic!("held");
    };
    assert_eq!(ip.to_string(), "10.0.0.1", "as IPv4, which it is");
    assert_eq!((pod.namespace.as_str(), pod.name.as_str(), pod.uid.as_str()), ("shop", "web-1", "uid-web-1"));
    assert_eq!((pod.owner.kind.as_str(), pod.owner.name.as_str()), ("Deployment", "web"));
    assert_eq!(pod.labels["app"], "web");
    assert_eq!(pod.object.value()["status"]["podIP"], "::ffff:10.0.0.1");
    let nameless = reduce(&json!({"apiVersion": "v1", "kind": "Pod"})).unwrap();
    assert_eq!(Seen::of(nameless, pod.owner), None);
}
