//! Addresses outside the cluster.

use super::*;

fn public_api() -> String {
    service(
        "shop/api",
        "10.96.0.21",
        "type: LoadBalancer, externalTrafficPolicy: Local, selector: {app: api}, ports: [{port: 80, targetPort: 8080}]",
    )
}

/// Connections of `count` outside addresses, no two of them neighbours.
fn clients(count: usize, port: u16) -> Vec<String> {
    (0..count).map(|index| format!("TCP 198.51.{}.{}:1 > api-1:{port}", index / 100, index % 100 * 2)).collect()
}

#[test]
fn a_public_server_is_open_to_the_world_but_not_to_pods() {
    let ranges = "10.0.1.0/24 10.0.2.0/23";
    let six = |flows: &[String]| -> Vec<String> {
        let more = "TCP 2001:db8::1:1 > api-1:8080".to_string();
        flows.iter().cloned().chain([more]).collect()
    };
    for (what, more, flows, listed, world) in [
        ("19 addresses are listed", vec![public_api()], clients(19, 8080), 19, vec![]),
        ("20 are the world", vec![public_api()], clients(20, 8080), 0, vec![format!("0.0.0.0/0 except {ranges}")]),
        ("on that port only", vec![public_api()], clients(20, 8081), 20, vec![]),
        ("without a public Service they are listed", vec![], clients(30, 8080), 30, vec![]),
        (
            "both families where both were seen",
            vec![public_api()],
            six(&clients(19, 8080)),
            0,
            vec![format!("0.0.0.0/0 except {ranges}"), "::/0".to_string()],
        ),
    ] {
        // A pod's address makes sure that the family's ranges are known; IPv6 has none here.
        let plan = planned(&flows, &cluster(&more), &Options::default());
        let rules = ingress(&plan, "shop/api");
        assert_eq!(rules.len(), 1, "{what}");
        let (peers, _) = rules[0].split_once(" : ").unwrap();
        let (open, single): (Vec<&str>, Vec<&str>) = peers.split(", ").partition(|peer| peer.contains("/0"));
        assert_eq!(single.len(), listed, "{what}");
        let mut open: Vec<String> = open.into_iter().map(ToString::to_string).collect();
        open.sort();
        assert_eq!(open, world, "{what}");
    }
    let plan = planned(&clients(24, 8080), &cluster(&[public_api()]), &Options::default());
    assert!(text(&plan).contains("# public: 24 addresses seen\n"));
}

#[test]
fn pod_ranges_of_the_same_family_are_excepted() {
    let six = "{kind: Node, metadata: {name: n9}, spec: {podCIDR: 'fd00:9::/64'}}".to_string();
    let flows: Vec<String> = (0..20).map(|index| format!("TCP 2001:db8::{}:1 > api-1:8080", 1 + index * 2)).collect();
    let plan = planned(&flows, &cluster(&[public_api(), six]), &Options::default());
    assert_eq!(ingress(&plan, "shop/api"), ["::/0 except fd00:9::/64 : 8080/TCP"]);
}

#[test]
fn addresses_are_aggregated_without_loss() {
    for (what, addresses, expected) in [
        ("one", vec!["203.0.113.9"], "203.0.113.9/32"),
        ("neighbours in one block", vec!["203.0.113.8", "203.0.113.9"], "203.0.113.8/31"),
        ("neighbours in two", vec!["203.0.113.9", "203.0.113.10"], "203.0.113.9/32, 203.0.113.10/32"),
        ("four", vec!["203.0.113.11", "203.0.113.8", "203.0.113.10", "203.0.113.9"], "203.0.113.8/30"),
        ("three of four", vec!["203.0.113.8", "203.0.113.9", "203.0.113.10"], "203.0.113.8/31, 203.0.113.10/32"),
        ("IPv6", vec!["2001:db8::1", "2001:db8::"], "2001:db8::/127"),
        ("both families", vec!["2001:db8::1", "203.0.113.9"], "203.0.113.9/32, 2001:db8::1/128"),
    ] {
        let flows: Vec<String> = addresses.iter().map(|ip| format!("TCP web-1:1 > {ip}:443")).collect();
        let plan = planned(&flows, &cluster(&[]), &Options::default());
        assert_eq!(egress(&plan, "shop/web"), [format!("{expected} : 443/TCP")], "{what}");
    }
}

#[test]
fn above_64_addresses_are_a_finding() {
    for (count, findings) in [(64, 0), (65, 1)] {
        let flows: Vec<String> = (0..count).map(|index| format!("TCP web-1:1 > 203.0.113.{}:443", index * 2)).collect();
        let plan = planned(&flows, &cluster(&[]), &Options::default());
        assert_eq!(plan.findings.len(), findings, "{count}: {:?}", plan.findings);
        assert_eq!(egress(&plan, "shop/web")[0].matches("/32").count(), count, "all are listed");
    }
}

#[test]
fn outside_servers_are_named_in_comments() {
    let inventory = cluster(&[]);
    let mut names = Names::default();
    let client = "10.0.1.11".parse().unwrap();
    names.insert("203.0.113.8".parse().unwrap(), "b.example", client);
    names.insert("203.0.113.9".parse().unwrap(), "a.example", client);
    let flows: Vec<Flow> =
        ["TCP web-1:1 > 203.0.113.8:443", "TCP web-1:1 > 203.0.113.9:443", "TCP web-1:1 > 203.0.113.90:443"]
            .into_iter()
            .map(flow)
            .collect();
    let plan = synthesize(&resolve(&flows, &names, &inventory), &inventory, &Options::default());
    let text = text(&plan);
    for comment in ["# a.example, b.example: 2\n", "# name not seen: 1\n"] {
        assert!(text.contains(comment), "{comment}: {text}");
    }
}

#[test]
fn a_name_cannot_leave_its_comment() {
    let inventory = cluster(&[]);
    let mut names = Names::default();
    names.insert("203.0.113.8".parse().unwrap(), "a\n  evil: true\r\u{85}x", "10.0.1.11".parse().unwrap());
    let plan = synthesize(
        &resolve(&[flow("TCP web-1:1 > 203.0.113.8:443")], &names, &inventory),
        &inventory,
        &Options::default(),
    );
    assert!(text(&plan).lines().all(|line| !line.trim_start().starts_with("evil")));
}

#[test]
fn nor_can_a_name_by_the_line_breaks_of_yaml_1_1() {
    let inventory = cluster(&[]);
    // kubectl's reader takes these for ends of lines (YAML 1.1 §5.4).
    for breaking in ["\u{85}", "\u{2028}", "\u{2029}"] {
        let mut names = Names::default();
        names.insert("203.0.113.8".parse().unwrap(), &format!("a{breaking}b"), "10.0.1.11".parse().unwrap());
        let resolved = resolve(&[flow("TCP web-1:1 > 203.0.113.8:443")], &names, &inventory);
        let plan = synthesize(&resolved, &inventory, &Options::default());
        assert!(!text(&plan).contains(breaking), "{breaking:?}");
    }
}

#[test]
fn a_range_that_a_recorder_folded_is_allowed_as_it_is_and_found() {
    let mut inventory = cluster(&[]);
    let ranges = ["203.0.113.0/24", "10.0.2.128/25", "2001:db8:7::/64"];
    inventory.fold(ranges.map(|range| range.parse().unwrap()));
    let flows = [
        "TCP web-1:1 > 203.0.113.0:443",
        "TCP web-1:2 > 198.51.100.7:443",
        "TCP web-1:3 > 2001:db8:7:::443",
        // Pods have their addresses there: an observer that did not know it says nothing about any of them.
        "TCP web-1:4 > 10.0.2.128:443",
        "TCP 203.0.113.0:5 > api-1:8080",
    ];
    let plan = planned(&flows, &inventory, &Options::default());
    assert_eq!(egress(&plan, "shop/web"), ["198.51.100.7/32, 203.0.113.0/24, 2001:db8:7::/64 : 443/TCP"]);
    assert_eq!(ingress(&plan, "shop/api"), ["203.0.113.0/24 : 8080/TCP"]);
    assert!(text(&plan).contains("# name not seen: 1, folded: more addresses than the recorder keeps apart\n"));
    let folded: Vec<&String> = plan.findings.iter().filter(|finding| finding.contains("--max-external")).collect();
    assert_eq!(folded.len(), 3, "{folded:?}");
    // Whatever part of it a rule is for, nobody knows whether that was meant.
    let (seen, options) = (seen(&flows, &inventory), Default::default());
    for (rule, denied, what) in [
        ("{cidr: 203.0.113.0/24}", false, "all of it"),
        ("{cidr: 203.0.113.0/25}", true, "its first half"),
        ("{cidr: 203.0.113.128/25}", true, "its second half"),
        ("{cidr: 203.0.113.64/26}", true, "the middle"),
        ("{cidr: 203.0.113.0/24, except: [203.0.113.64/26]}", true, "all but the middle"),
        ("{cidr: 203.0.0.0/8}", false, "more than it"),
    ] {
        let policy = format!(
            "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: api, namespace: shop}}, spec: {{podSelector: \
             {{matchLabels: {{app: api}}}}, ingress: [{{from: [{{ipBlock: {rule}}}]}}]}}}}"
        );
        let policies = load(&[policy]).policies;
        let set = crate::policy::PolicySet { network: &policies, cluster: &[] };
        let findings = crate::check::check(&seen.graph, set, true, &inventory, options);
        let found = findings.iter().any(|finding| finding.kind == crate::check::Kind::WouldDeny);
        assert_eq!(found, denied, "{what}");
        let unused = crate::unused::unused(&seen.graph, set, true, &inventory, options);
        let said: Vec<&str> = unused.iter().map(|finding| finding.status.name()).collect();
        assert!(!said.contains(&"unused"), "{what}: it may have carried it: {said:?}");
    }
}
