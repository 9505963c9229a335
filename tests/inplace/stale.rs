//! Which policies go when nobody needs them any more.

use super::{CACHE, DB, PODS, Place, WEB, plan};

#[test]
fn what_is_stale_goes_and_what_is_not_ours_stays() {
    for (what, more, left) in [
        ("an empty directory goes too", None, vec!["shop/api.yaml", "shop/db.yaml", "shop/web.yaml"]),
        (
            "one with something else stays",
            Some(("out/data/notes.txt", "by hand")),
            vec!["data/notes.txt", "shop/api.yaml", "shop/db.yaml", "shop/web.yaml"],
        ),
    ] {
        let place = Place::written();
        if let Some((name, text)) = more {
            place.write(name, text);
        }
        place.traffic(&[WEB, DB]);
        place.cluster(&PODS[..3]);
        let run = place.generate("");
        assert!(plan(&run).contains(&"- data/cache.yaml  selects no pod of the cluster input"), "{what}: {run:#?}");
        assert_eq!(place.names(), left, "{what}");
        assert_eq!(place.path("out/data").exists(), more.is_some(), "{what}");
    }
}

#[test]
fn only_what_is_selected_is_removed() {
    for (what, args, cluster, removed) in [
        ("everything", "", &PODS[..], vec!["data/cache.yaml", "shop/api.yaml", "shop/db.yaml"]),
        ("a namespace", "-n data", &PODS[..], vec!["data/cache.yaml"]),
        ("another", "-n shop", &PODS[..], vec!["shop/api.yaml", "shop/db.yaml"]),
        ("labels", "-l app=db", &PODS[..], vec!["shop/db.yaml"]),
        ("both", "-n data -l app=db", &PODS[..], vec![]),
        ("labels know nothing of pods that are gone", "-l app=db", &[PODS[0], PODS[3]], vec![]),
        ("the rest was not watched", "--watched shop", &PODS[..], vec!["shop/api.yaml", "shop/db.yaml"]),
    ] {
        let place = Place::written();
        place.cluster(cluster);
        place.traffic(&[
            "00:00:01 10.1.0.5:40000 -> 198.51.100.1:443 TCP established",
            "00:00:02 10.1.0.11:4000 -> 198.51.100.1:443 TCP unanswered",
        ]);
        let run = place.generate(args);
        assert_eq!(run.exit, 0, "{what}: {}", run.stderr);
        let all = ["data/cache.yaml", "shop/api.yaml", "shop/db.yaml", "shop/web.yaml"];
        let left: Vec<&str> = all.into_iter().filter(|name| !removed.contains(name)).collect();
        assert_eq!(place.names(), left, "{what}: {}", run.stderr);
    }
}

/// A policy goes only where the run saw enough to say that nobody needs it.
#[test]
fn silence_of_a_run_that_saw_little_removes_nothing() {
    let place = Place::written();
    let before = place.files();
    place.traffic(&["00:00:01 10.1.0.5:40000 -> 10.1.0.7:8080 TCP unanswered"]);
    let all = "data/cache.yaml, shop/api.yaml, shop/db.yaml, shop/web.yaml";
    let run = place.generate("");
    let said = format!("stays, nothing was learned: {all}");
    assert_eq!((run.exit, plan(&run)), (3, vec![said.as_str(), "No changes. 0 policies are up to date."]));
    assert_eq!(place.files(), before);

    place.traffic(&[WEB]);
    place.write("more.yaml", "kind: Pod\nmetadata: 7\n");
    let run = place.generate("--cluster more.yaml");
    assert_eq!(run.exit, 2);
    assert!(
        plan(&run).contains(&"stays, not all input could be read: data/cache.yaml, shop/db.yaml"),
        "{}",
        run.stderr
    );

    place.cluster(&PODS);
    place.traffic(&[WEB, CACHE]);
    let run = place.generate("--watched shop");
    assert!(plan(&run).contains(&"stays, not watched: data/cache.yaml"), "{}", run.stderr);
    assert!(place.path("out/data/cache.yaml").exists());
}

#[test]
fn the_policy_that_isolates_everybody() {
    let place = Place::new();
    assert_eq!(place.generate("--default-deny").exit, 0);
    for (what, args, removed) in [
        ("as it was", "--default-deny", 0),
        ("labels ask for workloads, and it is about none", "-l app=cache", 0),
        ("not asked for in this namespace", "-n data", 1),
        ("nor in the other", "", 1),
    ] {
        let run = place.generate(args);
        let gone = "default-deny.yaml  isolates the whole namespace, which is not asked for";
        assert_eq!(plan(&run).iter().filter(|line| line.ends_with(gone)).count(), removed, "{what}: {}", run.stderr);
    }
    // Under another name it is the same policy.
    assert_eq!(place.generate("--default-deny").exit, 0);
    let text = place.text("out/shop/default-deny.yaml").replace("name: default-deny", "name: closed");
    std::fs::remove_file(place.path("out/shop/default-deny.yaml")).unwrap();
    place.write("out/shop/closed.yaml", &text);
    let run = place.generate("--default-deny");
    assert_eq!(plan(&run), ["No changes. 6 policies are up to date."], "{}", run.stderr);
}
