//! What is in the way: other people's files, links, and what cannot be read.

use std::fs;

use super::{BY_HAND, Place, WEB, plan};
use crate::program::run;

/// All or nothing: what is in the way is named, and no file is written.
#[test]
fn what_is_in_the_way_is_named() {
    let ours = BY_HAND.replace("name: mine", "name: api, labels: {app.kubernetes.io/managed-by: ringfence}");
    let theirs = BY_HAND.replace("name: mine", "name: api");
    for (what, name, text, words) in [
        (
            "a file of another policy",
            "out/shop/api.yaml",
            BY_HAND,
            "shop/api.yaml is hand-written, and shop/api would be",
        ),
        ("a policy of the same name", "out/shop/api.yaml", &theirs, "shop/api.yaml:1 is a hand-written shop/api"),
        ("in another file", "out/all.yaml", &theirs, "all.yaml:1 is a hand-written shop/api"),
        ("ours beside theirs", "out/all.yaml", &format!("{BY_HAND}---\n{ours}"), "all.yaml:6 holds shop/api"),
        (
            "ours in a List",
            "out/all.yaml",
            &format!("kind: List\nitems:\n- {}\n", ours.trim_end().replace('\n', "\n  ")),
            "all.yaml:3 holds shop/api",
        ),
        ("a file where the directory would be", "out/shop", "text", "shop is no directory, and shop/api would be"),
        ("a directory where the file would be", "out/shop/api.yaml/x", "text", "shop/api.yaml is a directory"),
    ] {
        let place = Place::new();
        place.write(name, text);
        for args in ["", "--check"] {
            let run = place.generate(args);
            assert_eq!(run.exit, 2, "{what}: {}", run.stderr);
            assert!(run.stderr.contains("nothing is written") && run.stderr.contains(words), "{what}: {}", run.stderr);
            assert_eq!(place.names(), [name.trim_start_matches("out/")], "{what}");
        }
        assert_eq!(place.text(name), *text, "{what}");
    }
}

/// Also where the policy has a file of its own: of two of one name, the last that is applied counts.
#[test]
fn a_copy_by_hand_is_in_the_way() {
    let place = Place::written();
    place.write("out/copy.yaml", &place.text("out/shop/api.yaml").replace("managed-by: ringfence", "managed-by: me"));
    let before = place.files();
    place.traffic(&[WEB]);
    let run = place.generate("");
    assert_eq!((run.exit, place.files()), (2, before), "{}", run.stderr);
    assert!(run.stderr.contains("copy.yaml:2 is a hand-written shop/api"), "{}", run.stderr);
}

#[test]
fn a_file_that_is_partly_ours_is_hand_written() {
    let place = Place::written();
    let old = place.text("out/shop/web.yaml").replace("web", "old");
    let mixed = format!("{BY_HAND}---\n{old}");
    place.write("out/shop/mixed.yaml", &mixed);
    let run = place.generate("");
    let warning = "warning: shop/mixed.yaml holds policies of ringfence beside something else: it stays as it is";
    assert_eq!((run.exit, plan(&run)), (0, vec![warning, "No changes. 4 policies are up to date."]));
    assert_eq!(place.text("out/shop/mixed.yaml"), mixed);
}

#[test]
fn what_cannot_be_read_stops_everything() {
    for (name, text, words) in [
        ("out/shop/bad.yaml", "kind: Pod\nmetadata: [\n".as_bytes(), "out/shop/bad.yaml:2: "),
        ("out/bad.json", b"{\"kind\": oops}", "out/bad.json:1: "),
        ("out/kustomization.yaml", b"resources: [\n", "out/kustomization.yaml:1: "),
        ("out/bad.yaml", b"kind: \xff\n", "out/bad.yaml: not UTF-8"),
        (
            "out/bad.yaml",
            b"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec: {podselector: {}}\n",
            "out/bad.yaml:4: ",
        ),
    ] {
        let place = Place::new();
        fs::create_dir_all(place.path(name).parent().unwrap()).unwrap();
        fs::write(place.path(name), text).unwrap();
        let run = place.generate("");
        assert_eq!(run.exit, 2, "{name}: {}", run.stderr);
        assert!(run.stderr.contains(words) && run.stderr.contains("nothing is written"), "{name}: {}", run.stderr);
        assert_eq!(fs::read_dir(place.path("out")).unwrap().count(), 1, "{name}");
    }
    let place = Place::new();
    place.write("out", "a file");
    let run = place.generate("");
    assert_eq!((run.exit, run.stderr.contains("out: not a directory")), (2, true), "{}", run.stderr);
}

#[cfg(unix)]
#[test]
fn links_lead_nowhere() {
    use std::os::unix::fs::symlink;
    // A namespace's directory that is elsewhere.
    let place = Place::new();
    fs::create_dir_all(place.path("out")).unwrap();
    fs::create_dir(place.path("elsewhere")).unwrap();
    symlink(place.path("elsewhere"), place.path("out/shop")).unwrap();
    let run = place.generate("");
    assert_eq!(run.exit, 2, "{}", run.stderr);
    assert!(run.stderr.contains("shop is a symbolic link that leads out of the directory"), "{}", run.stderr);
    assert_eq!(fs::read_dir(place.path("elsewhere")).unwrap().count(), 0);
    assert!(!place.path("out/data").exists());

    // One that is inside is followed, and read once.
    fs::remove_file(place.path("out/shop")).unwrap();
    fs::create_dir(place.path("out/front")).unwrap();
    symlink("front", place.path("out/shop")).unwrap();
    let run = place.generate("");
    assert_eq!(plan(&run)[1], "+ front/api.yaml", "{}", run.stderr);
    assert_eq!(place.generate("--check").exit, 0);

    // A file that is elsewhere is neither read nor written nor removed.
    let place = Place::new();
    place.write("theirs.yaml", BY_HAND);
    fs::create_dir_all(place.path("out/shop")).unwrap();
    symlink(place.path("theirs.yaml"), place.path("out/shop/api.yaml")).unwrap();
    let run = place.generate("");
    assert_eq!(run.exit, 2, "{}", run.stderr);
    assert!(run.stderr.contains("shop/api.yaml is a symbolic link"), "{}", run.stderr);
    assert_eq!(place.text("theirs.yaml"), BY_HAND);

    // The directory itself may be a link.
    let place = Place::new();
    fs::create_dir(place.path("real")).unwrap();
    symlink("real", place.path("out")).unwrap();
    assert_eq!(place.generate("").exit, 0);
    assert!(place.path("real/shop/api.yaml").exists());
}

/// A dump in the directory is input, not somebody's policies.
#[test]
fn the_input_may_lie_in_the_directory() {
    let place = Place::new();
    let ours = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {namespace: shop, name: api, labels: \
                {app.kubernetes.io/managed-by: ringfence}}\nspec: {podSelector: {}}\n";
    place.write("cluster.yaml", &(place.text("cluster.yaml") + ours));
    let run = run(place.0.path(), "generate --pcap traffic.pcap --cluster cluster.yaml -o .");
    assert_eq!(run.exit, 0, "{}", run.stderr);
    assert!(place.path("shop/api.yaml").exists());
}
