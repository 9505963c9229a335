use capture::{Activity, Flow, Names, Opening, Proof, Protocol, Side, Socket, Talk, Talks, Timestamp};

use super::*;
use crate::inventory::Options as InventoryOptions;
use crate::manifest::Objects;
use crate::resolve::{is_metadata, resolve};

/// Workloads by address: 10.1.0.5 web and .6 admin (an identity of its own) and .7 api of shop, .10 db of data, .20
/// prometheus of monitoring, .30 a dashboard, .40 metrics-server of kube-system, .50-.79 jobs of batch.
fn inventory() -> Inventory {
    let mut text = String::from(
        "kind: Node
metadata: {name: cp}
status: {addresses: [{type: InternalIP, address: 192.168.0.1}]}
---
kind: Node
metadata: {name: n1}
status: {addresses: [{type: InternalIP, address: 192.168.0.2}]}
---
kind: Service
metadata: {namespace: default, name: kubernetes}
spec: {clusterIP: 10.96.0.1, ports: [{port: 443, targetPort: 6443}]}
---
kind: EndpointSlice
metadata: {namespace: default, name: kubernetes, labels: {kubernetes.io/service-name: kubernetes}}
endpoints: [{addresses: [192.168.0.1]}]
ports: [{port: 6443, protocol: TCP}]
---
kind: Service
metadata: {namespace: shop, name: web}
spec: {type: NodePort, clusterIP: 10.96.0.9, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
---
kind: Service
metadata: {namespace: data, name: db}
spec: {clusterIP: 10.96.0.10, selector: {app: db}, ports: [{port: 5432}]}
",
    );
    let mut pod = |namespace: &str, name: &str, ip: &str, labels: &str, spec: &str| {
        text += &format!(
            "---
kind: Pod
metadata: {{namespace: {namespace}, name: {name}, labels: {{{labels}}}}}
spec: {{nodeName: n1{spec}}}
status: {{phase: Running, podIP: {ip}}}
"
        );
    };
    let ports = ", containers: [{ports: [{name: https-api, containerPort: 4000}, {name: http, containerPort: 8080}]}]";
    pod("shop", "web", "10.1.0.5", "app: web", ", serviceAccountName: default");
    pod("shop", "admin", "10.1.0.6", "app: admin", ", serviceAccountName: admin");
    pod("shop", "api", "10.1.0.7", "app: api", ports);
    pod("data", "db", "10.1.0.10", "app: db", "");
    pod("monitoring", "prometheus-0", "10.1.0.20", "app.kubernetes.io/name: prometheus", "");
    pod("kubernetes-dashboard", "board", "10.1.0.30", "k8s-app: kubernetes-dashboard", "");
    pod("kube-system", "metrics-server", "10.1.0.40", "k8s-app: metrics-server", "");
    for job in 50..80 {
        pod("batch", &format!("job-{job}"), &format!("10.1.0.{job}"), "app: job", "");
    }
    let mut objects = Objects::default();
    objects.load("cluster.yaml", &text);
    assert_eq!(objects.problems, []);
    Inventory::build(&objects, &InventoryOptions::default())
}

/// `10.1.0.5 -> 10.1.0.7:80/TCP established HTTP`, or with `10.96.0.9:80=>10.1.0.7:8080` a Service and what is behind
/// it; `4000-4003` are four ports, and `10.9.0.1-4` as many addresses.
fn flows(script: &str) -> Vec<Flow> {
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.flat_map(conversations).collect()
}

fn conversations(line: &str) -> Vec<Flow> {
    let words: Vec<&str> = line.split(' ').collect();
    let [client, "->", server, outcome, talks @ ..] = &words[..] else { panic!("not a conversation: {line}") };
    let (sockets, protocol) = server.rsplit_once('/').unwrap();
    let (dialled, served) = sockets.split_once("=>").map_or((sockets, None), |(from, to)| (from, Some(to)));
    let range = |text: &str| -> Vec<u16> {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        (from.parse().unwrap()..=to.parse().unwrap()).collect()
    };
    let expand = |text: &str| -> Vec<Socket> {
        let (ip, ports) = text.rsplit_once(':').unwrap();
        let ips = match ip.rsplit_once('.') {
            Some((net, last)) if last.contains('-') => range(last).iter().map(|last| format!("{net}.{last}")).collect(),
            _ => vec![ip.trim_matches(['[', ']']).to_string()],
        };
        let of = |ip: String| range(ports).into_iter().map(move |port| Socket { ip: ip.parse().unwrap(), port });
        ips.into_iter().flat_map(of).collect()
    };
    let outcome = [Outcome::Established, Outcome::Answered, Outcome::OneWay, Outcome::Refused, Outcome::Unanswered]
        .into_iter()
        .find(|one| one.name() == *outcome)
        .unwrap();
    let talk: Talks = Talk::ALL.into_iter().filter(|talk| talks.join(" ") == talk.name()).collect();
    assert_eq!(talk.is_empty(), talks.is_empty(), "{line}");
    let client = Socket { ip: client.trim_matches(['[', ']']).parse().unwrap(), port: 50000 };
    let served = served.map(|served| expand(served)[0]);
    let flow = |dialled| Flow {
        protocol: Protocol::from_name(protocol).unwrap(),
        opening: Opening::Seen { client, dialled, served, proof: Proof::Handshake, identity: 1 },
        outcome,
        first: Timestamp(1),
        last: Timestamp(2),
        connections: 1,
        newest: Timestamp(1),
        activity: Activity::default(),
        talk,
        latency: Default::default(),
        datagrams: 1,
        dns: false,
        translated: false,
    };
    expand(dialled).into_iter().map(flow).collect()
}

/// `severity id about`, but for the notes that nearly all traffic makes.
fn found(script: &str, options: &Options, names: &Names) -> Vec<String> {
    let (list, inventory) = (Watchlist::built_in().unwrap(), inventory());
    let graph = resolve(&flows(script), names, &inventory).graph;
    let watched = watch(&list, &graph, &inventory, options);
    let line = |finding: &Finding<'_>| format!("{} {} {}", finding.severity.name(), finding.rule.id, finding.about);
    watched.findings.iter().map(line).collect()
}

/// Each row: traffic, and everything that is found in it.
#[test]
fn each_rule_and_its_opposite() {
    let rows: &[(&str, &[&str], &str)] = &[
        ("10.1.0.5 -> 192.168.0.1:2379/TCP established", &["error etcd-access shop/Pod/web -> *:2379/TCP"], "etcd"),
        ("10.1.0.40 -> 192.168.0.1:2379/TCP established", &[], "of the platform's own"),
        ("192.168.0.2 -> 192.168.0.1:2379/TCP established", &[], "a node, or the API server on its network"),
        ("10.1.0.5 -> 10.1.0.7:2379/TCP established", &[], "an application's own etcd"),
        ("10.1.0.5 -> 192.168.0.1:2379/UDP answered", &[], "another protocol"),
        (
            "10.1.0.5 -> 192.168.0.1:2379/TCP refused",
            &["warning control-plane-attempt shop/Pod/web -> *", "note failed-attempts shop/Pod/web -> *"],
            "an attempt reached nothing",
        ),
        (
            "10.1.0.5 -> 172.16.0.9:2380/TCP established",
            &["warning etcd-outside shop/Pod/web -> *:2380/TCP"],
            "outside",
        ),
        (
            "10.1.0.5 -> 192.168.0.2:10255/TCP established",
            &["error kubelet-read-only shop/Pod/web -> *:10255/TCP"],
            "open",
        ),
        ("10.1.0.5 -> 192.168.0.2:10250/TCP established", &["warning kubelet-access shop/Pod/web -> *:10250/TCP"], ""),
        (
            "10.1.0.20 -> 192.168.0.2:10250/TCP established",
            &["note kubelet-access monitoring/Pod/prometheus-0 -> *:10250/TCP"],
            "a collector",
        ),
        ("10.1.0.40 -> 192.168.0.2:10250/TCP established", &[], "metrics-server of kube-system"),
        ("192.168.0.1 -> 192.168.0.2:10250/TCP established", &[], "a collector on the host network, or the API server"),
        (
            "203.0.113.9 -> 192.168.0.2:10250/TCP established",
            &["error control-plane-from-internet * -> node:n1:10250/TCP"],
            "from the Internet",
        ),
        ("172.16.0.9 -> 192.168.0.2:10250/TCP established", &[], "a control plane beside the nodes"),
        (
            "10.1.0.5 -> 10.96.0.1:443/TCP established",
            &["warning api-server-unknown-client shop/Pod/web -> *"],
            "the default service account",
        ),
        ("10.1.0.6 -> 10.96.0.1:443/TCP established", &[], "an identity of its own"),
        ("10.1.0.40 -> 192.168.0.1:6443/TCP established", &[], "of the platform's own"),
        (
            "10.1.0.5 -> 169.254.170.23:80/TCP established",
            &["note pod-identity shop/Pod/web -> *"],
            "as EKS means it to be",
        ),
        ("10.1.0.5 -> 169.254.169.254:80/TCP established", &["warning metadata-access shop/Pod/web -> *"], ""),
        ("10.1.0.5 -> [fd00:ec2::254]:80/TCP established", &["warning metadata-access shop/Pod/web -> *"], "IPv6"),
        ("10.1.0.5 -> 169.254.169.254:53/TCP established", &[], "a resolver"),
        ("192.168.0.2 -> 169.254.169.254:80/TCP established", &[], "a node, whose credentials these are"),
        (
            "203.0.113.9 -> 10.1.0.30:8443/TCP established",
            &["error dashboard-from-outside * -> kubernetes-dashboard/Pod/board:8443/TCP"],
            "a dashboard",
        ),
        (
            "10.1.0.5 -> 10.1.0.30:8443/TCP established",
            &[
                "warning dashboard-access shop/Pod/web -> kubernetes-dashboard/Pod/board:8443/TCP",
                "note cross-namespace shop/* -> kubernetes-dashboard/*",
            ],
            "from another namespace",
        ),
        ("192.168.0.2 -> 10.1.0.30:8443/TCP established", &[], "kubectl proxy by way of the API server"),
        (
            "10.1.0.5 -> 10.1.0.40:44134/TCP established",
            &["error tiller-access shop/Pod/web -> kube-system/Pod/metrics-server:44134/TCP"],
            "Tiller",
        ),
        ("10.1.0.5 -> 192.168.0.2:2375/TCP established", &["error docker-api shop/Pod/web -> node:n1:2375/TCP"], ""),
        (
            "10.1.0.5 -> 192.168.0.2:2376/TCP established",
            &["warning docker-api-tls shop/Pod/web -> node:n1:2376/TCP"],
            "",
        ),
        (
            "10.1.0.5 -> 10.1.0.7:2375/TCP established",
            &["warning docker-in-docker shop/Pod/web -> shop/Pod/api:2375/TCP"],
            "in a pod",
        ),
        ("10.1.0.5 -> 10.1.0.7:2376/TCP established", &[], "in a pod, with TLS"),
        (
            "203.0.113.9 -> 10.1.0.10:5432/TCP established",
            &["error database-from-internet * -> data/Pod/db:5432/TCP"],
            "by its port",
        ),
        (
            "203.0.113.9 -> 10.1.0.10:6000/TCP established Redis",
            &["error database-from-internet * -> data/Pod/db:6000/TCP"],
            "by its first bytes",
        ),
        (
            "172.16.0.9 -> 10.1.0.10:5432/TCP established",
            &["warning database-from-outside * -> data/Pod/db:5432/TCP"],
            "from beside the cluster",
        ),
        (
            "203.0.113.9 -> 192.168.0.2:30080=>10.1.0.5:8080/TCP established",
            &["warning node-port-from-internet * -> shop/Pod/web:8080/TCP"],
            "NodePort",
        ),
        (
            "172.16.0.9 -> 192.168.0.2:30080=>10.1.0.5:8080/TCP established",
            &["note node-port-from-outside * -> shop/Pod/web:8080/TCP"],
            "NodePort",
        ),
        (
            "203.0.113.9 -> 10.1.0.5:8080/TCP established",
            &["note ingress-from-outside * -> shop/Pod/web:8080/TCP"],
            "not through a node's port",
        ),
        (
            "192.168.0.1 -> 10.1.0.5:8080/TCP established",
            &["note ingress-behind-node * -> shop/Pod/web:8080/TCP"],
            "another node, perhaps for somebody",
        ),
        ("192.168.0.2 -> 10.1.0.5:8080/TCP established", &[], "the kubelet of the pod's own node"),
        ("192.168.0.1 -> 10.1.0.7:8080/TCP established", &[], "no Service hides the source"),
        (
            "10.1.0.5 -> 203.0.113.9:443/TCP established TLS",
            &["note internet-egress shop/Pod/web -> addresses without a name:443/TCP"],
            "",
        ),
        ("10.1.0.5 -> 172.16.0.9:443/TCP established TLS", &[], "not the Internet"),
        ("10.1.0.5 -> 224.0.0.251:5353/UDP answered", &[], "multicast"),
        ("10.1.0.5 -> 203.0.113.9:514/UDP oneway", &[], "one datagram may be astray"),
        (
            "10.1.0.5 -> 203.0.113.9:5432/TCP established PostgreSQL",
            &[
                "warning clear-text-internet shop/Pod/web -> addresses without a name:5432/TCP",
                "note internet-egress shop/Pod/web -> addresses without a name:5432/TCP",
            ],
            "",
        ),
        (
            "10.1.0.5 -> 203.0.113.9:80/TCP established HTTP",
            &[
                "note internet-egress shop/Pod/web -> addresses without a name:80/TCP",
                "note clear-text-http-internet shop/Pod/web -> addresses without a name:80/TCP",
            ],
            "",
        ),
        (
            "10.1.0.5 -> 203.0.113.9:5432/TCP established PostgreSQL, asking for TLS",
            &["note internet-egress shop/Pod/web -> addresses without a name:5432/TCP"],
            "it may have become TLS",
        ),
        (
            "10.1.0.5 -> 10.1.0.7:8443/TCP established HTTP",
            &["warning clear-text-on-tls-port shop/Pod/web -> shop/Pod/api:8443/TCP"],
            "a port known for TLS",
        ),
        (
            "10.1.0.5 -> 10.1.0.7:4000/TCP established HTTP/2",
            &["warning clear-text-on-tls-port shop/Pod/web -> shop/Pod/api:4000/TCP"],
            "a port declared to be https",
        ),
        ("10.1.0.5 -> 10.1.0.7:4000/TCP established TLS", &[], "as declared"),
        ("10.1.0.5 -> 10.1.0.7:8080/TCP established HTTP", &[], "as declared"),
        (
            "10.1.0.5 -> 10.1.0.7:23/TCP established Telnet",
            &["warning clear-text-login shop/Pod/web -> shop/Pod/api:23/TCP"],
            "",
        ),
        (
            "10.1.0.5 -> 10.1.0.7:6379/TCP established Redis",
            &["note clear-text-store * -> shop/Pod/api:6379/TCP"],
            "nobody expected TLS",
        ),
        ("10.1.0.5 -> 10.1.0.7:3306/TCP established MySQL", &[], "it may have become TLS"),
        (
            "10.1.0.5 -> 10.1.0.10:9999/TCP established
             10.1.0.6 -> 10.1.0.10:9999/TCP established",
            &["note cross-namespace shop/* -> data/*"],
            "one line for two namespaces",
        ),
        ("10.1.0.5 -> 10.1.0.40:9999/TCP established", &[], "a service of the platform"),
        ("10.1.0.5 -> 10.1.0.7:7000-7014/TCP established", &[], "fifteen ports"),
        (
            "10.1.0.5 -> 10.1.0.7:7000-7015/TCP established",
            &["note wide-client shop/Pod/web -> shop/Pod/api"],
            "sixteen",
        ),
        (
            "10.1.0.5 -> 10.1.0.7:7000-7009/TCP established
             10.1.0.6 -> 10.1.0.7:7010-7019/TCP established",
            &["note wide-server * -> shop/Pod/api"],
            "twenty ports of one server",
        ),
        ("10.1.0.5 -> 10.1.0.7:7000-7008/TCP refused", &["note failed-attempts shop/Pod/web -> *"], "nine ports"),
        (
            "10.1.0.5 -> 10.1.0.7:7000-7009/TCP refused",
            &["warning port-scan shop/Pod/web -> shop/Pod/api"],
            "ten, and they are not listed again",
        ),
        (
            "10.1.0.5 -> 10.1.0.7:7000/TCP refused
             10.1.0.5 -> 10.1.0.7:7000/TCP established",
            &[],
            "honest refusals of an edge that works",
        ),
        ("10.1.0.5 -> 10.1.0.50-65:22/TCP unanswered", &["warning address-scan shop/Pod/web -> *"], "many addresses"),
        (
            "10.1.0.20 -> 10.1.0.50-65:9100/TCP unanswered",
            &["note address-scan monitoring/Pod/prometheus-0 -> *"],
            "targets that are gone",
        ),
        ("192.168.0.2 -> 10.1.0.5:7000-7015/TCP refused", &[], "the kubelet's probes of a pod that is not ready"),
        (
            "203.0.113.9 -> 10.1.0.5:7000-7009/TCP unanswered",
            &["note scan-from-internet * -> shop/Pod/web"],
            "as everywhere",
        ),
        ("203.0.113.9 -> 10.1.0.5:7000/TCP unanswered", &[], "a stray one"),
    ];
    let mut hit = BTreeSet::new();
    let mut wrong = String::new();
    for (script, expected, shows) in rows {
        let actual = found(script, &Options::default(), &Names::default());
        hit.extend(actual.iter().filter_map(|line| line.split(' ').nth(1)).map(str::to_string));
        if actual != *expected {
            wrong += &format!("{script} ({shows}): {actual:#?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let list = Watchlist::built_in().unwrap();
    let never: Vec<&str> = list.rules.iter().map(|rule| rule.id.as_str()).filter(|id| !hit.contains(*id)).collect();
    assert_eq!(never, [""; 0], "every rule is tested");
}

#[test]
fn who_may_use_the_api() {
    let found = |clients: &[&str]| {
        let options = Options { api_clients: clients.iter().map(ToString::to_string).collect() };
        found("10.1.0.5 -> 10.96.0.1:443/TCP established", &options, &Names::default()).len()
    };
    assert_eq!([&["shop/web"][..], &["shop/*"], &["*/Pod/web"], &["web"], &["data/web"]].map(found), [0, 0, 0, 1, 1]);
}

/// An API server prints an account for every pod; where there is none, somebody took it out.
#[test]
fn accounts_that_are_not_known() {
    let (list, inventory) = (Watchlist::built_in().unwrap(), inventory());
    let script = "10.1.0.5 -> 10.96.0.1:443/TCP established\n10.1.0.7 -> 10.96.0.1:443/TCP established";
    let graph = resolve(&flows(script), &Names::default(), &inventory).graph;
    let options = Options::default();
    let watched = watch(&list, &graph, &inventory, &options);
    let messages: Vec<&str> = watched.findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "shop/Pod/api talked to the API server, port 6443/TCP; the input does not say as which service account it runs",
            "shop/Pod/web talked to the API server, port 6443/TCP; it runs as the default service account of its namespace",
        ]
    );
}

#[test]
fn the_internet_by_name() {
    let mut names = Names::default();
    let client = "10.1.0.5".parse().unwrap();
    for last in 1..=60u8 {
        let name = format!("{}.example.com", if last <= 2 { 1 } else { last });
        names.insert(std::net::Ipv4Addr::new(203, 0, 113, last).into(), &name, client);
    }
    let found = |last: u8| {
        found(&format!("10.1.0.5 -> 203.0.113.1-{last}:443/TCP established TLS"), &Options::default(), &names)
    };
    assert_eq!(
        found(3),
        [
            "note internet-egress shop/Pod/web -> 1.example.com:443/TCP",
            "note internet-egress shop/Pod/web -> 3.example.com:443/TCP",
        ],
        "two addresses of one name are one finding"
    );
    assert_eq!(found(21).len(), 20);
    assert_eq!(found(22), ["note internet-egress shop/Pod/web -> *"], "too many to list each");
}

#[test]
fn findings_in_words() {
    let (list, inventory) = (Watchlist::built_in().unwrap(), inventory());
    let script = "10.1.0.5 -> 192.168.0.1:2379/TCP established
        10.1.0.5 -> 192.168.0.2:2379/TCP established
        10.1.0.20 -> 192.168.0.2:10250/TCP established
        10.1.0.5 -> 10.1.0.7:7000-7011/TCP refused
        10.1.0.6 -> 10.1.0.7:1/TCP unanswered
        203.0.113.9 -> 192.168.0.2:30080=>10.1.0.5:8080/TCP established";
    let mut flows = flows(script);
    // The same whatever the order; and what is guessed is counted.
    flows.reverse();
    flows.push(Flow {
        opening: Opening::Unseen {
            sides: [("10.1.0.7", 2379), ("192.168.0.2", 2380)].map(|(ip, port)| Side {
                socket: Socket { ip: ip.parse().unwrap(), port },
                speech: Default::default(),
            }),
        },
        ..flows[0].clone()
    });
    let graph = resolve(&flows, &Names::default(), &inventory).graph;
    let options = Options::default();
    let watched = watch(&list, &graph, &inventory, &options);
    let messages: Vec<&str> = watched.findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "shop/Pod/web reached etcd on node:cp and node:n1, port 2379/TCP",
            "203.0.113.9 reached shop/Pod/web:8080/TCP through the NodePort of shop/web:80",
            "shop/Pod/web was refused or not answered on many ports of shop/Pod/api: 7000/TCP, 7001/TCP, 7002/TCP, \
             7003/TCP, 7004/TCP, 7005/TCP, 7006/TCP, 7007/TCP and 4 more",
            "monitoring/Pod/prometheus-0 reached the kubelet on node:n1, port 10250/TCP; by its name or labels it collects metrics",
            "shop/Pod/admin -> shop/Pod/api:1/TCP unanswered",
        ]
    );
    assert_eq!(watched.guessed, 1);
}

/// Rules say what they mean, in words that the program fills in.
#[test]
fn the_rules_are_sound() {
    let list = Watchlist::built_in().unwrap();
    let ids: BTreeSet<&str> = list.rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(ids.len(), list.rules.len());
    for rule in &list.rules {
        assert!(rule.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", rule.id);
        assert!(!rule.title.ends_with('.') && rule.why.ends_with('.') && rule.fix.ends_with('.'), "{}", rule.id);
        let mut rest = rule.says.as_str();
        while let Some((_, behind)) = rest.split_once('{') {
            let (name, behind) = behind.split_once('}').unwrap();
            let known = ["clients", "servers", "ports", "names", "services", "talks", "edges", "account"];
            assert!(known.contains(&name), "{}: {name}", rule.id);
            rest = behind;
        }
        assert!(!rule.group.is_empty(), "{}", rule.id);
    }
    // What the gate leaves out as metadata is looked at here.
    let metadata = ["metadata-access", "pod-identity"];
    let ranges: Vec<ipnet::IpNet> = list
        .rules
        .iter()
        .filter(|rule| metadata.contains(&rule.id.as_str()))
        .flat_map(|rule| rule.server.addresses.clone())
        .collect();
    for ip in [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
    ] {
        let ip = ip.parse().unwrap();
        assert!(is_metadata(ip) && ranges.iter().any(|range| range.contains(&ip)), "{ip}");
    }
}

#[test]
fn rules_that_are_wrong() {
    let rule = "platform: []\ncollectors: []\ntls: {ports: [], names: []}\nrules:\n- id: a\n  severity: note\n  title: t\n  why: w\n  fix: f\n  topic: t\n  group: [client]\n  says: s\n";
    assert_eq!(Watchlist::parse(rule).unwrap().rules.len(), 1);
    for (line, words) in [
        ("  colour: red\n", "colour"),
        ("  ports: [70000]\n", "70000"),
        ("  ports: [9-8]\n", "9-8"),
        ("  protocols: [tcp]\n", "tcp"),
        ("  talks: [Esperanto]\n", "Esperanto"),
        ("  classes: [fancy]\n", "fancy"),
        ("  client: {who: [ghost]}\n", "ghost"),
        ("  server: {addresses: [10.0.0.0/99]}\n", ""),
    ] {
        let error = Watchlist::parse(&format!("{rule}{line}")).unwrap_err();
        assert!(error.message.contains(words) && error.line >= 5, "{line}: {error:?}");
    }
}
