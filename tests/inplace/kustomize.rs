//! Lists for kustomize.

use super::{DB, Place, WEB, plan};
use crate::program;

#[test]
fn lists_for_kustomize() {
    let list = |entries: &[&str]| {
        let head = "# Managed by ringfence, which writes it anew; without this line the file is yours.\n\
                    apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n";
        entries.iter().fold(head.to_string(), |text, entry| text + &format!("- {entry}\n"))
    };
    let place = Place::written();
    let added = ["+ data/kustomization.yaml", "+ kustomization.yaml", "+ shop/kustomization.yaml"];
    let run = place.generate("--kustomize");
    assert_eq!(plan(&run), [&added[..], &["Plan: 3 to add, 0 to change, 0 to remove"]].concat());
    assert_eq!(place.text("out/kustomization.yaml"), list(&["data", "shop"]));
    assert_eq!(place.text("out/shop/kustomization.yaml"), list(&["api.yaml", "db.yaml", "web.yaml"]));
    assert_eq!(place.generate("--kustomize --check").exit, 0);

    // A list that names a file that is gone would break the build, so lists are kept without the option too.
    place.traffic(&[WEB, DB]);
    let run = place.generate("");
    let said = [
        "- data/cache.yaml  nothing seen that makes a rule for data/Pod/cache",
        "- data/kustomization.yaml  lists nothing any more",
        "~ kustomization.yaml  resources: -data",
        "~ shop/api.yaml  egress: -data/cache 6379/TCP",
        "Plan: 0 to add, 2 to change, 2 to remove",
    ];
    assert_eq!(plan(&run), said);
    assert!(!place.path("out/data").exists());
    assert_eq!(place.text("out/kustomization.yaml"), list(&["shop"]));
    let run = program::run(place.0.path(), "check --pcap traffic.pcap --cluster cluster.yaml --policies out");
    assert_eq!(run.exit, 0, "lists are no policies: {}", run.stderr);
}

#[test]
fn lists_that_are_hand_written() {
    for (text, said) in [
        ("resources:\n- shop\n- data\n", vec![]),
        ("resources: [./shop/, data/cache.yaml]\n", vec![]),
        (
            "# mine\nresources:\n- shop\n",
            vec!["warning: kustomization.yaml is hand-written; its resources lack the line: - data"],
        ),
        (
            "",
            vec![
                "warning: kustomization.yaml is hand-written; its resources lack the line: - data",
                "warning: kustomization.yaml is hand-written; its resources lack the line: - shop",
            ],
        ),
    ] {
        let place = Place::written();
        place.write("out/kustomization.yaml", text);
        let run = place.generate("--kustomize");
        let found: Vec<&str> = plan(&run).into_iter().filter(|line| line.starts_with("warning")).collect();
        assert_eq!(found, said, "{text}");
        assert_eq!(place.text("out/kustomization.yaml"), text);
        assert!(place.path("out/shop/kustomization.yaml").exists());
        assert_eq!(place.generate("--kustomize --check").exit, 0, "warnings are no changes: {text}");
    }
    let place = Place::written();
    place.write("out/kustomization.yml", "resources: [shop/api.yaml, shop/db.yaml, shop/web.yaml, data/cache.yaml]\n");
    place.traffic(&[WEB, DB]);
    let run = place.generate("");
    let warning =
        "warning: kustomization.yml is hand-written and lists a file that is removed: delete - data/cache.yaml";
    assert!(plan(&run).contains(&warning), "{}", run.stderr);
    assert!(!place.path("out/kustomization.yaml").exists(), "kustomize refuses two");
}
