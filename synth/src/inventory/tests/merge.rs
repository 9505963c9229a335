//! Several dumps of one cluster.

use proptest::prelude::*;

use super::*;

/// Everything of an inventory in a fixed order.
fn text(inventory: &Inventory) -> String {
    let tenures: BTreeMap<_, _> = inventory.tenures.iter().collect();
    let node_of: BTreeMap<_, _> = inventory.node_of.iter().collect();
    let frontends: BTreeMap<_, _> = inventory.frontends.iter().collect();
    let Inventory { pods, namespaces, nodes, workloads, services, policies, pod_ranges, warnings, .. } = inventory;
    let cluster_policies = &inventory.cluster_policies;
    format!(
        "{pods:#?}{namespaces:#?}{nodes:#?}{workloads:#?}{services:#?}{policies:#?}{cluster_policies:#?}\
         {pod_ranges:#?}{warnings:#?}{tenures:#?}{node_of:#?}{frontends:#?}"
    )
}

fn pod(name: &str, uid: &str, version: u32, address: &str, more: &str) -> String {
    format!(
        "{{kind: Pod, metadata: {{name: {name}, namespace: shop, uid: {uid}, resourceVersion: '{version}', \
         labels: {{app: web}}}}, spec: {{nodeName: n1}}, status: {{podIP: '{address}', {more}}}}}"
    )
}

fn policy(version: u32, app: &str) -> String {
    format!(
        "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: p, namespace: shop, \
         resourceVersion: '{version}'}}, spec: {{podSelector: {{matchLabels: {{app: {app}}}}}}}}}"
    )
}

fn cluster_policy(name: &str, version: u32, tier: &str, priority: u32) -> String {
    format!(
        "{{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {{name: {name}, \
         resourceVersion: '{version}'}}, spec: {{tier: {tier}, priority: {priority}, subject: {{namespaces: {{}}}}}}}}"
    )
}

fn admin_policy(name: &str, priority: u32) -> String {
    format!(
        "{{apiVersion: policy.networking.k8s.io/v1alpha1, kind: AdminNetworkPolicy, metadata: {{name: {name}}}, \
         spec: {{priority: {priority}, subject: {{namespaces: {{}}}}}}}}"
    )
}

/// Three dumps of one cluster, taken one after the other.
fn dumps() -> Vec<(&'static str, Vec<String>)> {
    let start = |clock: &str| format!("startTime: '2026-11-01T{clock}Z'");
    let node = |version: u32, more: &str| {
        format!(
            "{{kind: Node, metadata: {{name: n1, resourceVersion: '{version}'}}, spec: {{podCIDR: 10.0.0.0/24}}, \
             status: {{addresses: [{{address: 192.168.0.1}}{more}]}}}}"
        )
    };
    let service = |version: u32, address: &str| {
        format!(
            "{{kind: Service, metadata: {{name: web, namespace: shop, resourceVersion: '{version}'}}, \
             spec: {{clusterIP: {address}, selector: {{app: web}}, ports: [{{port: 80, nodePort: 30080}}]}}}}"
        )
    };
    let waiting = pod("late", "u9", 7, "", "phase: Pending");
    vec![
        (
            "monday.yaml",
            vec![
                node(1, ""),
                service(2, "10.96.0.1"),
                pod("web-1", "u1", 3, "10.0.0.1", &start("10:00:00")),
                pod("web-2", "u2", 4, "10.0.0.2", &start("10:00:00")),
                waiting.clone(),
                policy(5, "old"),
                cluster_policy("a", 6, "Baseline", 1),
                cluster_policy("b", 7, "Admin", 20),
            ],
        ),
        (
            "tuesday.yaml",
            vec![
                node(11, ", {address: 192.168.0.9}"),
                pod("web-1", "u3", 12, "10.0.0.1", &start("11:00:00")),
                pod("web-2", "u2", 13, "10.0.0.2", "phase: Failed, startTime: '2026-11-01T10:00:00Z'"),
                pod("web-3", "u4", 14, "10.0.0.2", &start("11:30:00")),
                waiting,
                policy(15, "new"),
                cluster_policy("b", 17, "Admin", 5),
                admin_policy("b", 10),
            ],
        ),
        (
            "wednesday.yaml",
            vec![
                service(22, "10.96.0.2"),
                pod("web-3", "u4", 14, "10.0.0.2", &start("11:30:00")),
                pod("web-4", "u5", 23, "10.0.0.2", &start("12:00:00")),
            ],
        ),
    ]
}

#[test]
fn the_newest_version_counts() {
    let inventory = Inventory::build(&read(&dumps()), &Options::default());
    assert_eq!(inventory.node_name(ip("192.168.0.9")), Some("n1"), "of nodes");
    assert_eq!(inventory.services[0].cluster_ips, [ip("10.96.0.2")], "of Services");
    let web_2 = inventory.pods.iter().find(|pod| pod.name == "web-2").unwrap();
    assert!(web_2.finished, "of pods");
    assert_eq!(inventory.pods.iter().filter(|pod| pod.name == "web-1").count(), 2, "two uids are two pods");
}

#[test]
fn the_newest_policy_counts_whatever_its_file_is_called() {
    let [old, new] = [("z.yaml", vec![policy(5, "old")]), ("a.yaml", vec![policy(15, "new")])];
    for files in [[old.clone(), new.clone()], [("a.yaml", old.1), ("z.yaml", new.1)]] {
        let inventory = Inventory::build(&read(&files), &Options::default());
        assert_eq!(inventory.policies[0].subject.to_string(), "app=new");
    }
}

#[test]
fn cluster_policies_are_in_the_order_in_which_they_are_asked() {
    let objects = [
        cluster_policy("last", 1, "Baseline", 0),
        cluster_policy("low", 2, "Admin", 30),
        cluster_policy("moved", 3, "Admin", 0),
        cluster_policy("b", 4, "Admin", 20),
        cluster_policy("moved", 9, "Admin", 10),
        admin_policy("b", 20),
        admin_policy("a", 20),
    ];
    let inventory = Inventory::build(&read(&[("dump.yaml", objects.to_vec())]), &Options::default());
    let ids: Vec<_> = inventory.cluster_policies.iter().map(|policy| policy.id()).collect();
    let expected = [
        "ClusterNetworkPolicy/moved",
        "AdminNetworkPolicy/a",
        "ClusterNetworkPolicy/b",
        "AdminNetworkPolicy/b",
        "ClusterNetworkPolicy/low",
        "ClusterNetworkPolicy/last",
    ];
    assert_eq!(ids, expected, "the newest of each kind and name, by tier, priority and name");
}

#[test]
fn the_place_in_a_warning_does_not_depend_on_the_order() {
    let file = |name: &'static str| (name, vec![pod("late", "u9", 7, "", "phase: Pending")]);
    let warnings = |files: &[_]| Inventory::build(&read(files), &Options::default()).warnings;
    let expected = warnings(&[file("a.yaml"), file("b.yaml")]);
    assert_eq!(expected.len(), 1);
    assert_eq!(warnings(&[file("b.yaml"), file("a.yaml")]), expected);
}

#[test]
fn versions_are_numbers() {
    let files =
        [("a.yaml", vec![pod("web", "u", 9, "10.0.0.1", "")]), ("b.yaml", vec![pod("web", "u", 10, "10.0.0.2", "")])];
    let inventory = Inventory::build(&read(&files), &Options::default());
    assert_eq!(inventory.pods[0].addresses, [ip("10.0.0.2")], "10 is newer than 9");
}

#[test]
fn the_same_dump_twice_changes_nothing() {
    let once = dumps();
    let twice: Vec<_> = once.iter().chain(&once).cloned().collect();
    let build = |files: &[(&str, Vec<String>)]| text(&Inventory::build(&read(files), &Options::default()));
    assert_eq!(build(&once), build(&twice));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_order_gives_the_same_inventory(order in Just(dumps()).prop_shuffle()) {
        let expected = text(&Inventory::build(&read(&dumps()), &Options::default()));
        prop_assert_eq!(text(&Inventory::build(&read(&order), &Options::default())), expected);
    }
}
