//! Who held an address when.

use super::*;

/// A pod with 10.0.0.1 since `start`. `end`: empty while it runs, `?` where it is over and nobody knows since when,
/// else the time at which its container ended.
fn pod(name: &str, start: &str, end: &str) -> String {
    let terminated = match end {
        "" => String::new(),
        "?" => ", phase: Failed".to_string(),
        end => format!(
            ", phase: Succeeded, containerStatuses: [{{state: {{terminated: {{finishedAt: '2026-11-01T{end}Z'}}}}}}]"
        ),
    };
    format!(
        "{{kind: Pod, metadata: {{name: {name}, uid: '{name} {start}'}}, \
         status: {{podIP: 10.0.0.1, startTime: '2026-11-01T{start}Z'{terminated}}}}}"
    )
}

fn built(files: &[Vec<String>]) -> Inventory {
    let names = ["first.yaml", "second.yaml", "third.yaml"];
    let files: Vec<(&str, Vec<String>)> = names.into_iter().zip(files.iter().cloned()).collect();
    Inventory::build(&read(&files), &Options::default())
}

/// Dumps of one cluster, the first the oldest: they share objects of a namespace.
fn dumps(files: &[Vec<String>]) -> Inventory {
    let files: Vec<Vec<String>> = files
        .iter()
        .enumerate()
        .map(|(age, objects)| {
            let shared = |kind: &str| {
                format!("{{kind: {kind}, metadata: {{name: s, uid: {kind}, resourceVersion: '{}'}}}}", age + 1)
            };
            objects.iter().cloned().chain([shared("Service"), shared("Deployment")]).collect()
        })
        .collect();
    built(&files)
}

/// The pod's name, `two`, or `nobody`.
fn holder(inventory: &Inventory, clock: &str) -> String {
    match inventory.holder(ip("10.0.0.1"), time(clock)) {
        Holder::Pod(pod) => inventory.pod(pod).name.clone(),
        Holder::Unresolved(Unresolved::TwoHolders) => "two".to_string(),
        Holder::Unresolved(Unresolved::NoHolder) => "nobody".to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn an_address_belongs_to_a_pod_for_an_interval() {
    let running = |name: &str, start: &str| pod(name, start, "");
    for (what, files, asked) in [
        (
            "from its startTime on, and 5 s of slack before",
            vec![vec![running("a", "10:00:00")]],
            vec![("09:59:54.9", "nobody"), ("09:59:55", "a"), ("10:00:00", "a"), ("23:00:00", "a")],
        ),
        (
            "until finishedAt, which is cut to seconds, and 5 s of slack after",
            vec![vec![pod("a", "10:00:00", "10:05:00")]],
            vec![("10:05:00.9", "a"), ("10:05:05.9", "a"), ("10:05:06", "nobody")],
        ),
        (
            "a gap between two pods is nobody's",
            vec![vec![pod("a", "10:00:00", "10:05:00"), running("b", "10:10:00")]],
            vec![("10:05:03", "a"), ("10:07:00", "nobody"), ("10:09:56", "b"), ("10:10:00", "b")],
        ),
        (
            "slack decides nothing where two pods are near",
            vec![vec![pod("a", "10:00:00", "10:05:00"), running("b", "10:05:08")]],
            vec![("10:05:02", "a"), ("10:05:04", "nobody"), ("10:05:07", "b")],
        ),
        (
            "slack never takes from a holder",
            vec![vec![pod("a", "10:00:00", "10:05:00"), running("b", "10:05:01")]],
            vec![("10:05:00.9", "a"), ("10:05:01", "b")],
        ),
        (
            "one dump shows two pods running",
            vec![vec![running("a", "10:00:00"), running("b", "10:05:00")]],
            vec![("10:04:59", "a"), ("10:05:00", "two"), ("23:00:00", "two")],
        ),
        (
            "one dump shows two pods running since the same second",
            vec![vec![running("a", "10:00:00"), running("b", "10:00:00")]],
            vec![("10:00:00", "two"), ("23:00:00", "two")],
        ),
        (
            "a later dump shows the next holder",
            vec![vec![running("a", "10:00:00")], vec![running("b", "10:05:00")]],
            vec![("10:04:59.9", "a"), ("10:05:00", "b")],
        ),
        (
            "a pod that is over ends when the next one comes",
            vec![vec![pod("a", "10:00:00", "?"), running("b", "10:05:00")]],
            vec![("10:04:59.9", "a"), ("10:05:00", "b")],
        ),
        (
            "a known end is believed even if the next pod came before it",
            vec![vec![pod("a", "10:00:00", "10:10:00"), running("b", "10:05:00")]],
            vec![("10:04:59", "a"), ("10:05:00", "two"), ("10:10:00.9", "two"), ("10:10:01", "b")],
        ),
        (
            "three in turn",
            vec![vec![running("a", "10:00:00")], vec![running("b", "11:00:00")], vec![running("c", "12:00:00")]],
            vec![("10:30:00", "a"), ("11:30:00", "b"), ("12:30:00", "c")],
        ),
    ] {
        let inventory = dumps(&files);
        for (clock, expected) in asked {
            assert_eq!(holder(&inventory, clock), expected, "{what}: at {clock}");
        }
    }
}

#[test]
fn two_holders_at_once_are_a_warning() {
    let inventory = built(&[vec![pod("a", "10:00:00", ""), pod("b", "10:05:00", "")]]);
    let expected = "10.0.0.1 belongs to default/a and to default/b at the same time: its flows are unresolved";
    assert_eq!(inventory.warnings, [expected]);
    let parts = [vec![pod("a", "10:00:00", "")], vec![pod("b", "10:05:00", "")]];
    assert_eq!(built(&parts).warnings, [expected], "two files of one dump");
    let inventory = dumps(&parts);
    assert_eq!(inventory.warnings, [""; 0], "the first is gone from the second dump");
    let over: Vec<bool> = inventory.pods.iter().map(|pod| pod.finished).collect();
    assert_eq!(over, [true, false]);
}

#[test]
fn a_stateful_pod_comes_back_under_its_name() {
    let inventory = built(&[vec![pod("db-0", "10:00:00", "")], vec![pod("db-0", "11:00:00", "")]]);
    assert_eq!(inventory.pods.len(), 2, "another uid is another pod");
    let at = |clock| inventory.holder(ip("10.0.0.1"), time(clock));
    assert_eq!((at("10:30:00"), at("11:30:00")), (Holder::Pod(PodId(0)), Holder::Pod(PodId(1))));
    assert_eq!(workloads(&inventory), ["default/Pod/db-0"]);
}

#[test]
fn a_pod_moves_from_one_address_to_another() {
    let at = |ip: &str, start: &str| pod("db-0", start, "").replace("10.0.0.1", ip);
    let inventory = built(&[vec![at("10.0.0.1", "10:00:00")], vec![at("10.0.0.2", "11:00:00")]]);
    let now = inventory.endpoint(ip("10.0.0.2"), time("11:30:00"));
    assert_eq!(now.to_string(), "default/Pod/db-0");
    assert_eq!(inventory.endpoint(ip("10.0.0.2"), time("10:30:00")).to_string(), "?10.0.0.2", "not yet");
}

#[test]
fn turnovers_are_the_moments_at_which_addresses_change_hands() {
    let inventory = built(&[vec![pod("a", "10:00:00", "10:05:00"), pod("b", "10:10:00", "")]]);
    assert_eq!(inventory.turnovers().into_iter().collect::<Vec<_>>(), [(ip("10.0.0.1"), vec![time("10:10:00")])]);
}

#[test]
fn a_pod_without_start_time_was_there_when_it_was_created_or_always() {
    for (metadata, early, what) in [
        ("creationTimestamp: '2026-11-01T10:00:00Z'", "?10.0.0.1", "creationTimestamp"),
        ("uid: u", "default/Pod/a", "neither"),
    ] {
        let inventory =
            inventory(&[&format!("{{kind: Pod, metadata: {{name: a, {metadata}}}, status: {{podIP: 10.0.0.1}}}}")]);
        assert_eq!(inventory.endpoint(ip("10.0.0.1"), time("09:00:00")).to_string(), early, "{what}");
        assert_eq!(inventory.endpoint(ip("10.0.0.1"), time("10:00:00")).to_string(), "default/Pod/a", "{what}");
    }
}

#[test]
fn a_dump_that_shows_both_alive_is_believed_whatever_another_shows() {
    let (a, b) = (pod("a", "10:00:00", ""), pod("b", "10:05:00", ""));
    for (what, files) in [
        ("the earlier dump first", [vec![a.clone()], vec![a.clone(), b.clone()]]),
        ("the later dump first", [vec![a.clone(), b.clone()], vec![a.clone()]]),
    ] {
        let inventory = built(&files);
        let found = ["10:04:59", "10:05:00"].map(|clock| holder(&inventory, clock));
        assert_eq!(found, ["a", "two"], "{what}");
    }
}

/// A snapshot says when it was taken: what a later one no longer has was gone by then.
#[test]
fn a_later_snapshot_bounds_what_it_no_longer_has() {
    let shared = |age: u32| {
        ["Service", "Deployment"]
            .map(|kind| format!("{{kind: {kind}, metadata: {{name: s, uid: {kind}, resourceVersion: '{age}'}}}}"))
    };
    // Another pod of the namespace, without which the file would say nothing about it.
    let other =
        "{kind: Pod, metadata: {name: o, uid: o}, status: {podIP: 10.0.0.2, startTime: '2026-11-01T09:00:00Z'}}";
    let next = pod("b", "11:00:00", "");
    for (taken, with_next, asked) in [
        (Some("10:30:00"), false, vec![("10:29:59", "a"), ("10:30:06", "nobody"), ("23:00:00", "nobody")]),
        (None, false, vec![("10:30:06", "a"), ("23:00:00", "a")]),
        (Some("11:30:00"), true, vec![("10:59:59", "a"), ("11:00:01", "b")]),
        // A clock that is behind takes nothing away.
        (Some("09:00:00"), false, vec![("10:00:06", "nobody")]),
    ] {
        let mut objects = Objects::default();
        let file = |lines: Vec<String>| lines.iter().map(|line| format!("---\n{line}\n")).collect::<String>();
        objects.load("first", &file([vec![pod("a", "10:00:00", "")], shared(1).to_vec()].concat()));
        let later = [vec![other.to_string()], shared(2).to_vec(), vec![next.clone(); usize::from(with_next)]].concat();
        let head = |clock| format!("metadata:\n  annotations:\n    ringfence.dev/taken: '2026-11-01T{clock}Z'\n");
        let head = taken.map(head).unwrap_or_default();
        let items: String = later.iter().map(|line| format!("- {line}\n")).collect();
        objects.load("second", &format!("apiVersion: v1\nkind: List\n{head}items:\n{items}"));
        assert_eq!(objects.problems, []);
        let inventory = Inventory::build(&objects, &Options::default());
        for (clock, expected) in asked {
            assert_eq!(holder(&inventory, clock), expected, "taken {taken:?}: at {clock}");
        }
    }
}
