//! Peers, ports and comments of rules between pods.

use super::*;

#[test]
fn an_edge_is_a_rule_on_both_sides() {
    let flows = ["TCP web-1:1 > api-2:8080", "TCP web-2:1 > db-1:5432"];
    let plan = planned(&flows, &cluster(&[]), &Options::default());
    assert_eq!(egress(&plan, "shop/web"), ["data/app=db : 5432/TCP", "app=api : 8080/TCP"]);
    assert_eq!(ingress(&plan, "shop/api"), ["app=web : 8080/TCP"]);
    assert_eq!(ingress(&plan, "data/db"), ["shop/app=web : 5432/TCP"]);
    let web = &plan.policies.iter().find(|planned| planned.policy.name == "web").unwrap().policy;
    assert_eq!(web.subject.to_string(), "app=web");
}

#[test]
fn peers_with_the_same_ports_share_a_rule_and_no_others() {
    let flows = [
        "TCP web-1:1 > db-1:1",
        "TCP web-1:1 > db-1:2",
        "TCP web-1:1 > cache-1:1",
        "TCP web-1:1 > cache-1:2",
        "TCP web-1:1 > api-1:1",
        "UDP web-1:1 > cron-1:1",
    ];
    let plan = planned(&flows, &cluster(&[]), &Options::default());
    assert_eq!(
        egress(&plan, "shop/web"),
        ["app=api : 1/TCP", "data/app=cache, data/app=db : 1/TCP 2/TCP", "app=cron : 1/UDP"]
    );
}

#[test]
fn replicas_talk_to_each_other_only_if_they_did() {
    let plan = planned(&["TCP web-1:1 > web-2:7000"], &cluster(&[]), &Options::default());
    assert_eq!(egress(&plan, "shop/web"), ["app=web : 7000/TCP"]);
    assert_eq!(ingress(&plan, "shop/web"), ["app=web : 7000/TCP"]);
}

#[test]
fn many_ports_are_a_range_with_a_note() {
    let flows: Vec<String> = (20_000..20_020).map(|port| format!("TCP web-1:1 > db-1:{port}")).collect();
    let plan = planned(&flows, &cluster(&[]), &Options::default());
    assert_eq!(ingress(&plan, "data/db"), ["shop/app=web : 20000-20019/TCP"]);
    assert!(text(&plan).contains("20 ports seen of the range"));
    let refused = [flows, vec!["TCP cron-1:1 > db-1:20010 refused".to_string()]].concat();
    let refused: Vec<String> = refused.into_iter().filter(|flow| !flow.ends_with(":20010")).collect();
    let plan = planned(&refused, &cluster(&[]), &Options::default());
    for (id, direction) in [("data/db", Direction::Ingress), ("shop/web", Direction::Egress)] {
        let rules = rules(&plan, id, direction);
        assert_eq!(rules[0].matches('/').count(), 20, "{id}: 19 ports one by one, and the peer's slash: {rules:?}");
        assert!(!rules[0].contains("20010"), "{id}");
    }
}

#[test]
fn dns_goes_over_both_protocols() {
    let pods = |port: &str| pod(("dns2/dns2-1", "10.0.3.53", "n3", "app: dns2", port));
    let service = |udp: &str, tcp: &str| {
        let ports = format!(
            "selector: {{app: dns2}}, ports: [{{name: u, port: 53, protocol: UDP, targetPort: {udp}}}, \
             {{name: t, port: 53, targetPort: {tcp}}}]"
        );
        super::service("dns2/dns2", "10.96.0.53", &ports)
    };
    for (what, more, flow, expected) in [
        ("UDP was seen", vec![], "UDP web-1:1 > dns-1:53", "kube-system/k8s-app=kube-dns : 53/TCP 53/UDP"),
        ("TCP was seen", vec![], "TCP web-1:1 > dns-1:53", "kube-system/k8s-app=kube-dns : 53/TCP 53/UDP"),
        (
            "OpenShift's pods listen on 5353",
            vec![pods(""), service("5353", "5353")],
            "UDP web-1:1 > 10.96.0.53:53",
            "dns2/app=dns2 : 5353/TCP 5353/UDP",
        ),
        (
            "each protocol has a target port of its own",
            vec![pods(""), service("5353", "5354")],
            "UDP web-1:1 > 10.96.0.53:53",
            "dns2/app=dns2 : 5354/TCP 5353/UDP",
        ),
        (
            "by name",
            vec![
                pods("{name: dns, containerPort: 5353, protocol: UDP}, {name: dns-tcp, containerPort: 5354}"),
                service("dns", "dns-tcp"),
            ],
            "UDP web-1:1 > 10.96.0.53:53",
            "dns2/app=dns2 : 5354/TCP 5353/UDP",
        ),
        ("NodeLocal DNSCache", vec![], "UDP web-1:1 > 169.254.20.10:53 dns", "169.254.20.10/32 : 53/TCP 53/UDP"),
    ] {
        let plan = planned(&[flow], &cluster(&more), &Options::default());
        assert_eq!(egress(&plan, "shop/web"), [expected], "{what}");
    }
}

#[test]
fn node_local_dns_may_answer_at_the_services_address() {
    let daemon = "{kind: Pod, metadata: {name: node-local-dns-x, namespace: kube-system, labels: {k8s-app: \
                  node-local-dns}, ownerReferences: [{kind: DaemonSet, name: node-local-dns, controller: true}]}, \
                  spec: {nodeName: n1, hostNetwork: true}, status: {podIP: 192.168.0.1}}";
    let flows = ["UDP web-1:1 > 10.96.0.10:53"];
    let plan = planned(&flows, &cluster(&[daemon.to_string()]), &Options::default());
    let expected = "kube-system/k8s-app=kube-dns, 10.96.0.10/32 : 53/TCP 53/UDP";
    assert_eq!(egress(&plan, "shop/web"), [expected]);
    let plan = planned(&flows, &cluster(&[]), &Options::default());
    assert_eq!(egress(&plan, "shop/web"), ["kube-system/k8s-app=kube-dns : 53/TCP 53/UDP"], "it does not run");
}

#[test]
fn those_who_were_not_seen_asking_are_listed_or_given_dns() {
    let flows = ["UDP web-1:1 > dns-1:53", "TCP web-1:1 > api-1:8080", "TCP 203.0.113.1:1 > db-1:5432"];
    let plan = planned(&flows, &cluster(&[]), &Options::default());
    assert_eq!(names_of(&plan.without_dns), ["db", "dns", "api"]);
    assert_eq!(egress(&plan, "shop/api"), [""; 0]);
    let plan = planned(&flows, &cluster(&[]), &Options { dns_for_all: true, ..Options::default() });
    assert_eq!(names_of(&plan.without_dns), ["dns"], "the resolver itself");
    for id in ["shop/api", "data/db", "shop/web"] {
        assert_eq!(egress(&plan, id)[0..1].len(), 1);
        let dns = egress(&plan, id).into_iter().filter(|rule| rule.ends_with("53/TCP 53/UDP")).count();
        assert_eq!(dns, 1, "{id}");
    }
    assert_eq!(egress(&plan, "shop/cron"), ["no policy"], "one that is silent stays so");
    let from = &ingress(&plan, "kube-system/dns")[0];
    assert!(from.contains("data/app=db") && from.contains("shop/app=api"), "{from}");
}

#[test]
fn workloads_that_no_label_tells_apart_share_a_policy() {
    let twin = |name: &str, address: &str| pod((name, address, "n3", "app: twin", ""));
    let inventory = cluster(&[twin("left-1", "10.0.3.21"), twin("right-1", "10.0.3.22")]);
    let flows = ["TCP 10.0.3.21:1 > db-1:5432", "TCP web-1:1 > 10.0.3.22:80"];
    let plan = planned(&flows, &inventory, &Options::default());
    assert_eq!(ids(&plan), ["data/db", "shop/left", "shop/web"]);
    assert_eq!(plan.merged.iter().map(|group| names_of(group)).collect::<Vec<_>>(), [["left", "right"]]);
    assert_eq!(
        (egress(&plan, "shop/left"), ingress(&plan, "shop/left")),
        (vec!["data/app=db : 5432/TCP".to_string()], vec!["app=web : 80/TCP".to_string()])
    );
    let share = "# No label tells these workloads apart, so they share one policy: shop/StatefulSet/left, shop/StatefulSet/right";
    assert!(text(&plan).contains(share));
}

#[test]
fn the_evidence_of_a_rule_is_one_line() {
    let api = service("shop/api", "10.96.0.21", "selector: {app: api}, ports: [{port: 80, targetPort: 8080}]");
    let day = 86_400;
    let flows = [
        "TCP web-1:1 > 10.96.0.21:80".to_string(),
        format!("TCP web-2:1 > api-1:8080 at={}", 3 * day),
        "UDP cache-1:1 > db-1:9125 oneway".to_string(),
        "TCP api-1:1 > db-1:5432".to_string(),
        "TCP cron-1:1 > db-1:5432".to_string(),
    ];
    let plan = planned(&flows, &cluster(&[api]), &Options::default());
    let text = text(&plan);
    for (comment, what) in [
        (
            "# 2 connections from 2/2 pods, 2026-11-01 .. 2026-11-04, handshake seen, via Service shop/api:80\n",
            "ingress",
        ),
        ("# 2 connections to 2/2 pods, 2026-11-01 .. 2026-11-04, handshake seen, via Service shop/api:80\n", "egress"),
        ("# 1 conversation from 1/1 pods, 2026-11-01, first packet seen, no answer seen\n", "one-way"),
        ("# shop/StatefulSet/api: 1\n", "peers that share a rule have their own counts"),
    ] {
        assert!(text.contains(comment), "{what}: {text}");
    }
}

#[test]
fn one_body_of_evidence_is_counted_once() {
    // Both ports of the DNS rule rest on the same conversations.
    let plan = planned(&["UDP web-1:1 > dns-1:53", "UDP web-1:2 > dns-1:53"], &cluster(&[]), &Options::default());
    assert!(text(&plan).contains("# 2 conversations to 1/1 pods"));
}
