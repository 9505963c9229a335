//! What is declared, by whom it would be used, and when it counts as seen.

use capture::{Flow, Names, Opening, Outcome, Proof, Socket};

use super::*;
use crate::inventory::Options;
use crate::manifest::Objects;
use crate::policy::Policy;
use crate::render::render;
use crate::resolve::{Resolved, resolve};
use crate::synthesize::synthesize;

const NODES: [&str; 2] = [
    "{kind: Node, metadata: {name: cp}, status: {addresses: [{type: InternalIP, address: 192.168.0.1}]}}",
    "{kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 192.168.0.2}]}}",
];

const API: [&str; 2] = [
    "{kind: Service, metadata: {name: kubernetes, namespace: default}, spec: {clusterIP: 10.96.0.1, ports: [{port: 443}]}}",
    "{kind: EndpointSlice, metadata: {name: kubernetes, namespace: default, labels: {kubernetes.io/service-name: \
     kubernetes}}, endpoints: [{addresses: [192.168.0.1]}], ports: [{port: 6443}]}",
];

fn pod(name: &str, ip: &str, ports: &str, more: &str) -> String {
    format!(
        "{{kind: Pod, metadata: {{name: {name}, namespace: shop, labels: {{app: {name}}}{more}}}, spec: {{nodeName: n1, \
         containers: [{{name: app, ports: [{ports}]}}]}}, status: {{podIP: {ip}}}}}"
    )
}

fn hook(port: &str) -> String {
    format!(
        "{{kind: ValidatingWebhookConfiguration, metadata: {{name: guard}}, webhooks: [{{name: a.guard, clientConfig: \
         {{service: {{namespace: shop, name: guard{port}}}}}}}, {{name: b.guard, clientConfig: {{url: \
         'https://elsewhere.example'}}}}]}}"
    )
}

/// A pod behind a Service whose target port has a name.
fn guard() -> [String; 2] {
    let service = "{kind: Service, metadata: {name: guard, namespace: shop}, spec: {clusterIP: 10.96.0.7, selector: {app: \
                   guard}, ports: [{port: 443, targetPort: hooks}]}}";
    [pod("guard", "10.0.0.7", "{name: hooks, containerPort: 9443}", ""), service.to_string()]
}

fn prometheus() -> String {
    pod("prom", "10.0.0.9", "", ", annotations: {}")
        .replace("name: app,", "name: p, image: 'quay.io/prometheus/prometheus:v2.53.0',")
}

fn read(objects: &[String]) -> Inventory {
    let mut read = Objects::default();
    let documents: Vec<String> = objects.iter().map(|object| format!("---\n{object}\n")).collect();
    read.load("dump.yaml", &documents.concat());
    assert_eq!((read.problems.len(), read.ignored.len()), (0, 0), "{:?} {:?}", read.problems, read.ignored);
    Inventory::build(&read, &Options::default())
}

fn texts(objects: &[&str]) -> Vec<String> {
    objects.iter().map(ToString::to_string).collect()
}

fn time(clock: &str) -> Timestamp {
    format!("2026-11-01T{clock}Z").parse().unwrap()
}

/// Established flows as (client, server, port).
fn seen(flows: &[(&str, &str, u16)], inventory: &Inventory) -> Resolved {
    let flow = |(number, (client, server, port)): (usize, &(&str, &str, u16))| Flow {
        protocol: Protocol::Tcp,
        opening: Opening::Seen {
            client: Socket { ip: client.parse().unwrap(), port: 40_000 },
            dialled: Socket { ip: server.parse().unwrap(), port: *port },
            served: None,
            proof: Proof::Handshake,
            identity: number as u32,
        },
        outcome: Outcome::Established,
        first: time("10:00:00"),
        last: time("10:00:01"),
        connections: 1,
        newest: time("10:00:00"),
        latency: Default::default(),
        datagrams: 0,
        activity: Default::default(),
        talk: Default::default(),
        translated: false,
        dns: false,
    };
    let flows: Vec<Flow> = flows.iter().enumerate().map(flow).collect();
    resolve(&flows, &Names::default(), inventory)
}

/// `kind clients -> servers:port verdict`.
fn found(objects: &[String], flows: &[(&str, &str, u16)]) -> Vec<String> {
    let inventory = read(objects);
    let resolved = seen(flows, &inventory);
    let window = Some((time("10:00:00"), time("11:00:00")));
    let ends = |ends: &[Endpoint]| match ends {
        [] => "?".to_string(),
        ends => ends.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    };
    expected(&resolved.graph, inventory.policy_set(), window, &inventory)
        .into_iter()
        .map(|item| {
            let verdict = match item.allowed {
                Some(true) => "allowed",
                Some(false) => "denied",
                None => "unknown",
            };
            let port = item.port.map(|port| format!(":{port}")).unwrap_or_default();
            format!("{} {} -> {}{port} {verdict}", item.kind.name(), ends(&item.clients), ends(&item.servers))
        })
        .collect()
}

#[test]
fn webhooks_lead_through_their_service_to_the_port_of_the_pod() {
    let base = || [texts(&NODES), texts(&API), guard().to_vec()].concat();
    let with = |more: &[String]| [base(), more.to_vec()].concat();
    let listed = "validating_webhook node:cp -> shop/Pod/guard:9443 allowed";
    let reference = "service: {namespace: shop, name: guard, port: 443}";
    let api_service = format!("{{kind: APIService, metadata: {{name: v1.guard}}, spec: {{{reference}}}}}");
    let local = "{kind: APIService, metadata: {name: v1.apps}, spec: {service: null}}".to_string();
    let crd = |conversion: &str| {
        format!(
            "{{kind: CustomResourceDefinition, metadata: {{name: guards.example}}, spec: {{conversion: {{strategy: {conversion}}}}}}}"
        )
    };
    let mutating = hook("").replace("Validating", "Mutating");
    let isolated = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: g, namespace: shop}, spec: {podSelector: {}}}";
    for (what, objects, flows, expected) in [
        ("nothing declared", base(), vec![], vec![]),
        ("not seen", with(&[hook("")]), vec![], vec![listed]),
        ("isolated", with(&[hook(""), isolated.to_string()]), vec![], vec![&listed.replace("allowed", "denied")]),
        ("seen from the API server", with(&[hook("")]), vec![("192.168.0.1", "10.0.0.7", 9443)], vec![]),
        ("seen from another node", with(&[hook("")]), vec![("192.168.0.2", "10.0.0.7", 9443)], vec![listed]),
        ("seen on another port", with(&[hook("")]), vec![("192.168.0.1", "10.0.0.7", 8080)], vec![listed]),
        (
            "another port of the Service",
            with(&[hook(", port: 444")]),
            vec![],
            vec!["validating_webhook node:cp -> ? unknown"],
        ),
        ("a mutating one", with(&[mutating]), vec![], vec!["mutating_webhook node:cp -> shop/Pod/guard:9443 allowed"]),
        (
            "an aggregated API",
            with(&[api_service, local]),
            vec![],
            vec!["api_service node:cp -> shop/Pod/guard:9443 allowed"],
        ),
        (
            "a conversion",
            with(&[crd(&format!("Webhook, webhook: {{clientConfig: {{{reference}}}}}"))]),
            vec![],
            vec!["conversion_webhook node:cp -> shop/Pod/guard:9443 allowed"],
        ),
        (
            "a conversion of v1beta1",
            with(&[crd(&format!("Webhook, webhookClientConfig: {{{reference}}}"))]),
            vec![],
            vec!["conversion_webhook node:cp -> shop/Pod/guard:9443 allowed"],
        ),
        ("no conversion", with(&[crd("None")]), vec![], vec![]),
        (
            "the Service is not there",
            [texts(&NODES), texts(&API), vec![hook("")]].concat(),
            vec![],
            vec!["validating_webhook node:cp -> ? unknown"],
        ),
        (
            "no address of an API server",
            [guard().to_vec(), vec![hook("")]].concat(),
            vec![],
            vec!["validating_webhook ? -> shop/Pod/guard:9443 unknown"],
        ),
        (
            "no address, but a node was seen calling",
            [vec![NODES[0].to_string()], guard().to_vec(), vec![hook("")]].concat(),
            vec![("192.168.0.1", "10.0.0.7", 9443)],
            vec![],
        ),
        (
            "the control plane's nodes",
            [
                vec![
                    NODES[0].replace("{name: cp}", "{name: cp, labels: {node-role.kubernetes.io/control-plane: ''}}"),
                    NODES[1].to_string(),
                ],
                guard().to_vec(),
                vec![hook("")],
            ]
            .concat(),
            vec![],
            vec![listed],
        ),
        (
            "agents of konnectivity",
            with(&[hook(""), pod("konnectivity-agent", "10.0.0.8", "", "")]),
            vec![],
            vec!["validating_webhook shop/Pod/konnectivity-agent -> shop/Pod/guard:9443 allowed"],
        ),
    ] {
        assert_eq!(found(&objects, &flows), expected, "{what}");
    }
}

#[test]
fn what_prometheus_scrapes() {
    let annotated = |more: &str| {
        pod(
            "web",
            "10.0.0.5",
            "{name: http, containerPort: 80}, {name: metrics, containerPort: 9100}",
            &format!(", annotations: {{prometheus.io/scrape: 'true'{more}}}"),
        )
    };
    let web = || annotated("").replace("'true'", "'false'");
    let service = |more: &str| {
        format!(
            "{{kind: Service, metadata: {{name: web, namespace: shop, labels: {{app: web}}{more}}}, spec: {{clusterIP: 10.96.0.5, \
         selector: {{app: web}}, ports: [{{name: m, port: 90, targetPort: metrics}}]}}}}"
        )
    };
    let monitor = |kind: &str, list: &str, more: &str| {
        format!(
            "{{kind: {kind}, metadata: {{name: m, namespace: watch}}, spec: {{selector: {{matchLabels: {{app: web}}}}, \
         namespaceSelector: {{matchNames: [shop]}}, {list}: [{{{more}}}]}}}}"
        )
    };
    let scrape = |port: u16| format!("scrape shop/Pod/prom -> shop/Pod/web:{port} allowed");
    for (what, objects, flows, expected) in [
        ("a port by number", vec![prometheus(), annotated(", prometheus.io/port: '9100'")], vec![], vec![scrape(9100)]),
        ("all declared ports", vec![prometheus(), annotated("")], vec![], vec![scrape(80), scrape(9100)]),
        (
            "seen",
            vec![prometheus(), annotated(", prometheus.io/port: '9100'")],
            vec![("10.0.0.9", "10.0.0.5", 9100)],
            vec![],
        ),
        ("not to be scraped", vec![prometheus(), web()], vec![], vec![]),
        (
            "nobody scrapes",
            vec![annotated(", prometheus.io/port: '9100'")],
            vec![],
            vec!["scrape ? -> shop/Pod/web:9100 unknown".to_string()],
        ),
        (
            "a Service",
            vec![prometheus(), web(), service(", annotations: {prometheus.io/scrape: 'true'}")],
            vec![],
            vec![scrape(9100)],
        ),
        (
            "a ServiceMonitor by the Service's name of the port",
            vec![prometheus(), web(), service(""), monitor("ServiceMonitor", "endpoints", "port: m")],
            vec![],
            vec![scrape(9100)],
        ),
        (
            "by the container's",
            vec![prometheus(), web(), service(""), monitor("ServiceMonitor", "endpoints", "targetPort: metrics")],
            vec![],
            vec![scrape(9100)],
        ),
        (
            "a name that nobody has",
            vec![prometheus(), web(), service(""), monitor("ServiceMonitor", "endpoints", "port: metrics")],
            vec![],
            vec![],
        ),
        (
            "a PodMonitor",
            vec![prometheus(), web(), monitor("PodMonitor", "podMetricsEndpoints", "port: metrics")],
            vec![],
            vec![scrape(9100)],
        ),
        (
            "a PodMonitor by number",
            vec![prometheus(), web(), monitor("PodMonitor", "podMetricsEndpoints", "portNumber: 9101")],
            vec![],
            vec![scrape(9101)],
        ),
        (
            "its own namespace only",
            vec![
                prometheus(),
                web(),
                monitor("PodMonitor", "podMetricsEndpoints", "port: metrics").replace("matchNames: [shop]", ""),
            ],
            vec![],
            vec![],
        ),
        (
            "any namespace",
            vec![
                prometheus(),
                web(),
                monitor("PodMonitor", "podMetricsEndpoints", "port: metrics")
                    .replace("matchNames: [shop]", "any: true"),
            ],
            vec![],
            vec![scrape(9100)],
        ),
        (
            "a target that two declare is one",
            vec![
                prometheus(),
                annotated(", prometheus.io/port: '9100'"),
                monitor("PodMonitor", "podMetricsEndpoints", "port: metrics"),
            ],
            vec![],
            vec![scrape(9100)],
        ),
        (
            "on the host network it is the node, and no policy of its own",
            vec![
                prometheus(),
                NODES[1].to_string(),
                annotated(", prometheus.io/port: '9100'").replace("nodeName: n1", "nodeName: n1, hostNetwork: true"),
            ],
            vec![],
            vec!["scrape shop/Pod/prom -> node:n1:9100 allowed".to_string()],
        ),
    ] {
        assert_eq!(found(&objects, &flows), expected, "{what}");
    }
}

#[test]
fn what_did_not_run() {
    let template = "template: {metadata: {labels: {app: r}}, spec: {containers: [{name: r}]}}";
    let cron = |more: &str, status: &str| {
        format!(
            "{{kind: CronJob, metadata: {{name: r, namespace: shop}}, spec: {{schedule: 15 2 * * *{more}, jobTemplate: \
             {{spec: {{{template}}}}}}}, status: {{{status}}}}}"
        )
    };
    let zero = |replicas: u32| {
        format!(
            "{{kind: Deployment, metadata: {{name: z, namespace: shop}}, spec: {{replicas: {replicas}, {template}}}}}"
        )
    };
    let job = "{kind: Job, metadata: {name: r-1, namespace: shop, ownerReferences: [{kind: CronJob, name: r, controller: true}]}}";
    let run = |start: &str, end: &str| {
        format!(
            "{{kind: Pod, metadata: {{name: r-1-x, namespace: shop, labels: {{app: r}}, ownerReferences: [{{kind: Job, name: r-1, \
             controller: true}}]}}, status: {{phase: Succeeded, podIP: 10.0.0.6, startTime: '2026-11-01T{start}Z', containerStatuses: \
             [{{state: {{terminated: {{finishedAt: '2026-11-01T{end}Z'}}}}}}]}}}}"
        )
    };
    let never = "did not run between 2026-11-01T10:00:00Z and 2026-11-01T11:00:00Z";
    for (what, objects, expected) in [
        ("never", vec![cron("", "")], vec![("cron_job", never)]),
        (
            "before the window",
            vec![cron("", ""), job.to_string(), run("02:15:00", "02:16:00")],
            vec![("cron_job", never)],
        ),
        ("in the window", vec![cron("", ""), job.to_string(), run("10:15:00", "10:16:00")], vec![]),
        (
            "in the window, and the pod is gone",
            vec![cron("", "lastScheduleTime: '2026-11-01T10:15:00Z'")],
            vec![("cron_job", "none of its pods is in the input")],
        ),
        ("suspended", vec![cron(", suspend: true", "")], vec![("cron_job", "is suspended")]),
        ("at zero", vec![zero(0)], vec![("at_zero", "has no replicas")]),
        ("not at zero", vec![zero(1)], vec![]),
    ] {
        let inventory = read(&objects);
        let window = Some((time("10:00:00"), time("11:00:00")));
        let graph = Graph::default();
        let items = expected_of(&graph, window, &inventory);
        assert_eq!(items.len(), expected.len(), "{what}: {items:?}");
        for (item, (kind, words)) in items.iter().zip(expected) {
            assert!(item.kind.name() == kind && item.message.contains(words), "{what}: {item:?}");
            assert_eq!(item.origin.to_string(), "dump.yaml:2", "{what}");
        }
    }
    let inventory = read(&[cron("", ""), zero(0)]);
    let kinds: Vec<Kind> = expected_of(&Graph::default(), None, &inventory).iter().map(|item| item.kind).collect();
    assert_eq!(kinds, [Kind::AtZero], "without a window nobody can tell what did not run in it");
}

fn expected_of(graph: &Graph, window: Option<(Timestamp, Timestamp)>, inventory: &Inventory) -> Vec<Expected> {
    expected(graph, inventory.policy_set(), window, inventory)
}

#[test]
fn the_rule_is_the_one_that_generate_writes() {
    let objects =
        [texts(&NODES), texts(&API), guard().to_vec(), vec![hook(""), pod("web", "10.0.0.5", "", "")]].concat();
    let inventory = read(&objects);
    let resolved = seen(&[("10.0.0.5", "10.0.0.7", 8080)], &inventory);
    let items = expected_of(&resolved.graph, None, &inventory);
    let rule = "ingress:\n\
                # declared, not observed: ValidatingWebhookConfiguration guard, webhook a.guard\n\
                - from:\n  \
                # node:cp\n  \
                - ipBlock:\n      \
                cidr: 192.168.0.1/32\n  \
                ports:\n  \
                - protocol: TCP\n    \
                port: 9443\n";
    assert_eq!(items[0].rules.iter().map(|rule| rule.yaml.as_str()).collect::<Vec<_>>(), [rule]);
    let awaited = awaited_edges(&resolved.graph, &inventory, Kind::is_webhook);
    let options = crate::synthesize::Options { awaited, ..Default::default() };
    let plan = synthesize(&resolved, &inventory, &options);
    let policy = plan.policies.iter().find(|planned| planned.policy.name == "guard").unwrap();
    let indented: String = rule.lines().skip(1).map(|line| format!("  {line}\n")).collect();
    assert!(render(policy).contains(&indented), "{}", render(policy));
    let policies: Vec<Policy> = plan.policies.iter().map(|planned| planned.policy.clone()).collect();
    let again = expected(&resolved.graph, (&policies).into(), None, &inventory);
    assert_eq!(again[0].allowed, Some(true), "the rule allows it");
    let none = awaited_edges(&resolved.graph, &inventory, |kind| kind == Kind::Scrape);
    assert_eq!(none, []);
}

/// Nobody is isolated by a rule for what was never seen.
#[test]
fn what_is_declared_makes_no_policy_of_its_own() {
    let objects = [texts(&NODES), texts(&API), guard().to_vec(), vec![hook("")]].concat();
    let inventory = read(&objects);
    let resolved = seen(&[], &inventory);
    let awaited = awaited_edges(&resolved.graph, &inventory, |_| true);
    assert_eq!(awaited.len(), 1);
    let plan = synthesize(&resolved, &inventory, &crate::synthesize::Options { awaited, ..Default::default() });
    assert!(plan.policies.is_empty());
    assert!(plan.findings[0].contains("shop/Pod/guard gets no policy"), "{:?}", plan.findings);
}
