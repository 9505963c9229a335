//! Which edges make rules, and who gets a policy.

use super::*;
use crate::learn::{Reason, left_out};

#[test]
fn what_makes_a_rule() {
    let service = service("data/stats", "10.96.0.20", "selector: {app: db}, ports: [{port: 9126, protocol: UDP}]");
    let inventory = cluster(&[service]);
    for (what, flows, expected) in [
        ("established", vec!["TCP web-1:1 > db-1:80"], None),
        ("answered", vec!["UDP web-1:1 > db-1:80"], None),
        ("an attempt is not a use: refused", vec!["TCP web-1:1 > db-1:80 refused"], Some(Reason::Attempt)),
        ("unanswered", vec!["TCP web-1:1 > db-1:80 unanswered"], Some(Reason::Attempt)),
        ("unknown", vec!["TCP web-1:1 > db-1:80 unknown"], Some(Reason::Attempt)),
        (
            "many attempts are none either",
            vec!["TCP web-1:1 > db-1:80 refused", "TCP web-1:2 > db-1:80 refused", "TCP web-1:3 > db-1:80 unanswered"],
            Some(Reason::Attempt),
        ),
        ("a refused datagram", vec!["UDP web-1:1 > db-1:80 refused sent=4"], Some(Reason::Attempt)),
        ("a stray datagram", vec!["UDP web-1:1 > db-1:80 oneway"], Some(Reason::OneWay)),
        ("two of one socket", vec!["UDP web-1:1 > db-1:80 oneway sent=2"], Some(Reason::OneWay)),
        ("three", vec!["UDP web-1:1 > db-1:80 oneway sent=3"], None),
        ("of two sockets", vec!["UDP web-1:1 > db-1:80 oneway", "UDP web-2:2 > db-1:80 oneway"], None),
        ("to a declared port", vec!["UDP web-1:1 > db-1:9125 oneway"], None),
        ("to a Service's port", vec!["UDP web-1:1 > db-1:9126 oneway"], None),
        ("metadata", vec!["TCP web-1:1 > 169.254.169.254:80"], Some(Reason::Metadata)),
        ("a pod nobody knows", vec!["TCP web-1:1 > 10.0.1.99:80"], Some(Reason::Unresolved)),
        ("a probe", vec!["TCP 192.168.0.1:1 > web-1:80"], Some(Reason::Probe)),
        ("multicast", vec!["UDP web-1:1 > 224.0.0.251:5353 oneway sent=4"], Some(Reason::Multicast)),
        ("broadcast", vec!["UDP web-1:1 > 255.255.255.255:67 oneway sent=4"], Some(Reason::Multicast)),
        ("nodes among themselves", vec!["TCP 192.168.0.1:1 > 192.168.0.2:6443"], Some(Reason::NoPod)),
        ("the world and a node", vec!["TCP 203.0.113.1:1 > 192.168.0.2:22"], Some(Reason::NoPod)),
    ] {
        let resolved = seen(&flows, &inventory);
        let left = left_out(&resolved.graph, &inventory, &Choices::default());
        let reasons: Vec<Reason> = left.keys().copied().collect();
        assert_eq!(reasons, expected.into_iter().collect::<Vec<_>>(), "{what}");
        let plan = synthesize(&resolved, &inventory, &Options::default());
        assert_eq!(plan.policies.is_empty(), expected.is_some(), "{what}");
    }
}

#[test]
fn a_guessed_direction_makes_no_rule() {
    let inventory = cluster(&[]);
    let socket = |port| Socket { ip: "10.0.1.11".parse().unwrap(), port };
    let other = Socket { ip: "10.0.1.14".parse().unwrap(), port: 20_001 };
    let side = |socket| capture::Side { socket, speech: Default::default() };
    let mut flow = flow("TCP web-1:1 > db-1:1");
    flow.opening = Opening::Unseen { sides: [side(socket(20_000)), side(other)] };
    let resolved = resolve(&[flow], &Names::default(), &inventory);
    let left = left_out(&resolved.graph, &inventory, &Choices::default());
    assert_eq!(left.into_keys().collect::<Vec<_>>(), [Reason::Guessed]);
}

#[test]
fn a_translated_source_makes_a_rule_for_the_node() {
    let api = service(
        "shop/api",
        "10.96.0.21",
        "type: NodePort, selector: {app: api}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]",
    );
    let inventory = cluster(&[api]);
    let flows = ["TCP 203.0.113.1:1 > 192.168.0.1:30080 id=9", "TCP 192.168.0.1:33333 > api-2:8080 id=9"];
    let resolved = seen(&flows, &inventory);
    let left = left_out(&resolved.graph, &inventory, &Choices::default());
    assert_eq!(left.into_keys().collect::<Vec<_>>(), [Reason::Translated]);
    let plan = synthesize(&resolved, &inventory, &Options::default());
    let rules = ingress(&plan, "shop/api");
    assert!(rules.len() == 1 && rules[0].contains("192.168.0.1/32") && !rules[0].contains("203.0.113"), "{rules:?}");
}

#[test]
fn metadata_is_allowed_to_those_who_used_it_if_asked() {
    let options = Options { choices: Choices { allow_metadata: true, ..Choices::default() }, ..Options::default() };
    let flows = ["TCP web-1:1 > 169.254.169.254:80", "TCP api-1:1 > db-1:5432"];
    let plan = planned(&flows, &cluster(&[]), &options);
    assert_eq!(egress(&plan, "shop/web"), ["169.254.169.254/32 : 80/TCP"]);
    assert_eq!(egress(&plan, "shop/api"), ["data/app=db : 5432/TCP"]);
}

#[test]
fn excluded_edges_make_no_rule() {
    let choices = Choices { exclude: declared("shop/web -> *:6379/TCP # legacy"), ..Choices::default() };
    let options = Options { choices, ..Options::default() };
    let plan = planned(&["TCP web-1:1 > cache-1:6379", "TCP web-1:1 > db-1:5432"], &cluster(&[]), &options);
    assert_eq!(
        (ids(&plan), egress(&plan, "shop/web")),
        (vec!["data/db".to_string(), "shop/web".to_string()], vec!["data/app=db : 5432/TCP".to_string()])
    );
}

#[test]
fn included_edges_make_rules_for_both_sides() {
    for (line, id, direction, expected, what) in [
        ("shop/cron -> data/db:5432/TCP # nightly", "shop/cron", Direction::Egress, "data/app=db : 5432/TCP", "client"),
        (
            "shop/cron -> data/db:5432/TCP # nightly",
            "data/db",
            Direction::Ingress,
            "shop/app=cron : 5432/TCP",
            "server",
        ),
        (
            "shop/cron -> 203.0.113.0/24:443/TCP # partner",
            "shop/cron",
            Direction::Egress,
            "203.0.113.0/24 : 443/TCP",
            "a range",
        ),
        (
            "203.0.113.0/24 -> shop/cron:443/TCP # partner",
            "shop/cron",
            Direction::Ingress,
            "203.0.113.0/24 : 443/TCP",
            "a range of clients",
        ),
    ] {
        let options = Options { include: declared(line), ..Options::default() };
        let plan = planned(&[""; 0], &cluster(&[]), &options);
        assert_eq!(rules(&plan, id, direction), [expected], "{what}");
        let reason = line.split_once("# ").unwrap().1;
        assert!(text(&plan).contains(&format!("declared: {reason}")), "{what}: the reason is a comment");
    }
    for (line, finding) in [
        ("shop/cron -> data/db:*/TCP # all", "needs a port and a protocol"),
        ("shop/nobody -> data/db:1/TCP # typo", "no workload or node"),
    ] {
        let plan = planned(&[""; 0], &cluster(&[]), &Options { include: declared(line), ..Options::default() });
        assert!(plan.findings.iter().any(|found| found.contains(finding)), "{:?}", plan.findings);
    }
}

#[test]
fn silence_is_not_evidence() {
    let plan = planned(&["TCP web-1:1 > db-1:5432"], &cluster(&[]), &Options::default());
    assert_eq!(ids(&plan), ["data/db", "shop/web"]);
    assert_eq!(names_of(&plan.silent), ["cache", "dns", "api", "cron"]);
    assert_eq!(ingress(&plan, "shop/web"), [""; 0], "isolated all the same");
    let directed: Vec<String> =
        plan.one_directed.iter().map(|(workload, direction)| format!("{} {direction}", workload.name)).collect();
    assert_eq!(directed, ["db egress", "web ingress"]);
    assert!(text(&plan).contains("# No connection to these pods that makes a rule was seen.\n  ingress: []"));
}

#[test]
fn only_the_watched_are_isolated() {
    let inventory = cluster(&[]);
    let flows = ["TCP web-1:1 > db-1:5432", "TCP cron-1:1 > db-1:5432"];
    for (what, watched, expected) in [
        ("everything", Watched::default(), vec!["data/db", "shop/cron", "shop/web"]),
        (
            "a namespace",
            Watched { namespaces: vec!["shop".into()], ..Watched::default() },
            vec!["shop/cron", "shop/web"],
        ),
        (
            "a node: only workloads that run nowhere else",
            Watched { nodes: vec!["n1".into()], ..Watched::default() },
            vec!["data/db", "shop/cron"],
        ),
        ("labels", Watched { selectors: vec!["app=web".parse().unwrap()], ..Watched::default() }, vec!["shop/web"]),
        (
            "together",
            Watched { nodes: vec!["n1".into(), "n2".into()], ..Watched::default() },
            vec!["data/db", "shop/cron", "shop/web"],
        ),
    ] {
        let plan = planned(&flows, &inventory, &Options { watched, ..Options::default() });
        assert_eq!(ids(&plan), expected, "{what}");
        assert_eq!(plan.unwatched.len(), 3 - expected.len(), "{what}");
    }
}

#[test]
fn default_deny_is_added_where_there_are_policies() {
    let options = Options { default_deny: true, ..Options::default() };
    let plan = planned(&["TCP web-1:1 > api-1:8080"], &cluster(&[]), &options);
    assert_eq!(ids(&plan), ["shop/api", "shop/default-deny", "shop/web"]);
    let deny = &plan.policies[1].policy;
    assert!(deny.subject.is_everything() && deny.ingress == Some(vec![]) && deny.egress == Some(vec![]));
    assert!(plan.policies.iter().all(|planned| is_managed(&planned.policy)));
}

#[test]
fn names_follow_the_workload() {
    let web = |kind: &str| {
        format!(
            "{{kind: Pod, metadata: {{name: w-{kind}, namespace: shop, labels: {{app: {kind}}}, ownerReferences: \
             [{{kind: {kind}, name: web, controller: true}}]}}, status: {{podIP: 10.0.3.7}}}}"
        )
    };
    let policy = |name: &str, labels: &str| {
        format!(
            "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: {name}, namespace: shop, \
             labels: {{{labels}}}}}, spec: {{podSelector: {{}}}}}}"
        )
    };
    let managed = "app.kubernetes.io/managed-by: ringfence";
    for (what, more, expected) in [
        ("its own", vec![], "web"),
        ("another workload has it", vec![web("Deployment")], "web-statefulset"),
        ("a policy of somebody else has it", vec![policy("web", "")], "web-statefulset"),
        ("a policy of ours has it", vec![policy("web", managed)], "web"),
        ("both names are taken", vec![policy("web", ""), policy("web-statefulset", "")], "web-statefulset-ringfence"),
    ] {
        let plan = planned(&["TCP web-1:1 > db-1:5432"], &cluster(&more), &Options::default());
        let names: Vec<&str> = plan
            .policies
            .iter()
            .filter(|planned| planned.workloads.iter().any(|workload| workload.name == "web"))
            .map(|planned| planned.policy.name.as_str())
            .collect();
        assert_eq!(names, [expected], "{what}");
    }
}

#[test]
fn a_workload_may_have_the_name_that_another_gets() {
    let more: Vec<String> = [("Deployment", "web", "a"), ("Deployment", "web-statefulset", "b")]
        .iter()
        .map(|(kind, name, app)| {
            format!(
                "{{kind: Pod, metadata: {{name: p-{app}, namespace: shop, labels: {{app: {app}}}, ownerReferences: \
                 [{{kind: {kind}, name: {name}, controller: true}}]}}, status: {{podIP: 10.0.3.{}}}}}",
                app.as_bytes()[0]
            )
        })
        .collect();
    let flows = ["TCP web-1:1 > db-1:5432", "TCP 10.0.3.97:1 > db-1:5432", "TCP 10.0.3.98:1 > db-1:5432"];
    let plan = planned(&flows, &cluster(&more), &Options::default());
    let names: BTreeSet<String> = ids(&plan).into_iter().collect();
    assert_eq!(names.len(), plan.policies.len(), "no two policies have one name: {:?}", ids(&plan));
}

#[test]
fn an_included_node_is_all_of_its_addresses() {
    let options = Options { include: declared("node:n3 -> shop/cron:443/TCP # webhook"), ..Options::default() };
    let plan = planned(&[""; 0], &cluster(&[]), &options);
    assert_eq!(ingress(&plan, "shop/cron"), ["10.0.3.0/32, 10.0.3.1/32, 192.168.0.3/32 : 443/TCP"]);
    assert!(text(&plan).contains("# declared: webhook\n"), "{}", text(&plan));
}

/// Policies of an earlier run in namespace `shop`, as (name, selector); no selector is one that isolates everybody.
fn kept(policies: &[(&str, &str)]) -> Vec<Policy> {
    let mut objects = Objects::default();
    for (name, selector) in policies {
        let types = if selector.is_empty() { "Ingress, Egress" } else { "Ingress" };
        objects.load(
            name,
            &format!(
                "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: {name}, namespace: shop}}, \
                 spec: {{podSelector: {{matchLabels: {{{selector}}}}}, policyTypes: [{types}]}}}}"
            ),
        );
    }
    assert_eq!(objects.problems, []);
    objects.policies
}

#[test]
fn names_of_an_earlier_run_stay() {
    let another_web = "{kind: Pod, metadata: {name: w, namespace: shop, labels: {app: w}, ownerReferences: \
                       [{kind: Deployment, name: web, controller: true}]}, status: {podIP: 10.0.3.7}}";
    let foreign = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: site, namespace: shop}, \
                   spec: {podSelector: {}}}";
    let copy = &foreign.replace("podSelector: {}", "podSelector: {matchLabels: {app: web}}");
    for (what, more, earlier, expected) in [
        ("its own name, where another workload has it now", vec![another_web], vec![("web", "app: web")], "web"),
        ("any name for the same selector", vec![], vec![("site", "app: web, tier: front")], "site"),
        ("another selector for the same pods", vec![], vec![("site", "app: web")], "site"),
        ("one for some of the pods only", vec![], vec![("site", "app: web, zone: a")], "web"),
        ("one for other pods too", vec![], vec![("site", "tier: front")], "web"),
        ("one for nobody", vec![], vec![("site", "app: gone")], "web"),
        ("of several, the workload's own", vec![], vec![("site", "app: web"), ("web", "app: web")], "web"),
        ("of several, the first", vec![], vec![("z", "app: web"), ("site", "app: web")], "site"),
        (
            "the same selector before the same pods",
            vec![],
            vec![("a", "app: web"), ("site", "tier: front, app: web")],
            "site",
        ),
        ("the cluster's copy lost its label", vec![copy], vec![("site", "app: web")], "site"),
        ("somebody else has it", vec![foreign], vec![("site", "app: web")], "web"),
        ("one that isolates everybody is nobody's", vec![], vec![("site", "")], "web"),
    ] {
        let labels = "labels: {app: web, tier: front}";
        let own = format!(
            "{{kind: Pod, metadata: {{name: web-1, namespace: shop, {labels}, ownerReferences: \
                           [{{kind: StatefulSet, name: web, controller: true}}]}}, status: {{podIP: 10.0.1.11}}}}"
        );
        let own = own.replace("labels: {app: web,", "labels: {app: web, zone: a,");
        let other = own.replace("web-1", "web-2").replace("zone: a", "zone: b").replace("10.0.1.11", "10.0.2.11");
        let mate = "{kind: Pod, metadata: {name: mate, namespace: shop, labels: {app: mate, tier: front}}, \
                    status: {podIP: 10.0.1.12}}";
        let mut objects: Vec<String> = vec![own, other, mate.to_string()];
        objects.extend(more.iter().map(ToString::to_string));
        let options = Options { kept: kept(&earlier), ..Options::default() };
        let plan = planned(&["TCP web-1:1 > 10.0.1.12:8080"], &load(&objects), &options);
        let web = plan.policies.iter().find(|planned| planned.workloads.iter().any(|own| own.kind == "StatefulSet"));
        assert_eq!(web.map(|planned| planned.policy.name.as_str()), Some(expected), "{what}");
    }
}
