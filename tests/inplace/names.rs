//! Names of policies and files that people chose.

use std::fs;
use std::path::Path;

use super::{CACHE, DB, Place, WEB, plan};

#[test]
fn names_and_files_stay() {
    let place = Place::written();
    // By hand: another file, another name, and two policies in one file.
    let web = place.text("out/shop/web.yaml").replace("name: web\n", "name: site\n");
    let (api, db) = (place.text("out/shop/api.yaml"), place.text("out/shop/db.yaml"));
    for gone in ["web", "api", "db"] {
        fs::remove_file(place.path(&format!("out/shop/{gone}.yaml"))).unwrap();
    }
    place.write("out/teams/front.yaml", &web);
    place.write("out/back.yaml", &format!("# the back\n---\n{api}---\n{db}"));
    // A second workload called web: its policy, and not the one that is there, gets the kind.
    let more = "---\nkind: Pod\nmetadata: {namespace: shop, name: web-1, labels: {app: w}, ownerReferences: [{kind: \
                Deployment, name: web, controller: true}]}\nspec: {nodeName: n1}\nstatus: {podIP: 10.1.0.13}\n";
    place.write("cluster.yaml", &(place.text("cluster.yaml") + more));
    let before = place.files();
    place.traffic(&[WEB, DB, CACHE, "00:00:05 10.1.0.13:4000 -> 10.1.0.7:8080 TCP established"]);
    let run = place.generate("");
    let said = [
        "~ back.yaml  shop/api ingress: +shop/web 8080/TCP",
        "+ shop/web-deployment.yaml",
        "Plan: 1 to add, 1 to change, 0 to remove",
    ];
    assert_eq!(plan(&run), said, "{}", run.stderr);
    assert_eq!(place.names(), ["back.yaml", "data/cache.yaml", "shop/web-deployment.yaml", "teams/front.yaml"]);
    assert_eq!(place.files()[Path::new("teams/front.yaml")], before[Path::new("teams/front.yaml")]);
    assert!(place.text("out/back.yaml").ends_with(&format!("---\n{db}")), "the other policy keeps its bytes");
    assert_eq!(place.generate("--check").exit, 0);

    // A policy less in the file, and one more in the other's usual place.
    place.traffic(&[WEB, CACHE]);
    let run = place.generate("");
    assert!(plan(&run)[0].contains("-shop/db (nothing seen that makes a rule for shop/Pod/db)"), "{}", run.stderr);
    assert!(!place.text("out/back.yaml").contains("name: db"));
}

#[test]
fn a_policy_that_is_there_twice_is_kept_once() {
    let place = Place::written();
    place.write("out/again.yaml", &place.text("out/shop/api.yaml"));
    let run = place.generate("");
    let said = ["- again.yaml  shop/api is also in shop/api.yaml", "Plan: 0 to add, 0 to change, 1 to remove"];
    assert_eq!(plan(&run), said);
    assert_eq!(place.names().len(), 4);
}

#[test]
fn names_stay_in_another_cluster() {
    let place = Place::new();
    let map = "--map-namespace shop=prod --map-namespace data=data";
    assert_eq!(place.generate(map).exit, 0);
    let web = place.text("out/prod/web.yaml").replace("name: web\n", "name: site\n");
    fs::remove_file(place.path("out/prod/web.yaml")).unwrap();
    place.write("out/prod/site.yaml", &web);
    place.write("out/shop/other.yaml", &web.replace("namespace: prod", "namespace: elsewhere"));
    let run = place.generate(map);
    assert_eq!(plan(&run), ["No changes. 4 policies are up to date."], "{}", run.stderr);
    place.traffic(&[WEB, CACHE]);
    let run = place.generate(map);
    let said = [
        "~ prod/api.yaml  egress: -prod app=db 5432/TCP",
        "- prod/db.yaml  nothing seen that makes a rule for shop/Pod/db",
        "Plan: 0 to add, 1 to change, 1 to remove",
    ];
    assert_eq!(plan(&run), said, "what is of no namespace that is mapped stays");
}
