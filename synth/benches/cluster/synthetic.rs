//! A cluster out of a seed: the same numbers give the same objects.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};
use synth::cluster::{
    Action, ClusterKind, ClusterPeer, ClusterPolicy, ClusterPort, ClusterPorts, ClusterRule, PodPeer, Tier,
};
use synth::endpoint::{Node, NodeAddressKind, Pod, Workload};
use synth::inventory::{Inventory, PodId, WorkloadInfo};
use synth::label::{Labels, NAMESPACE_NAME, Requirement, Selector};
use synth::policy::{Block, Lines, Namespaces, Origin, Peer, Peers, Policy, PolicyPort, PortMatch, Ports, Rule};
use synth::port::{ContainerPort, PortRange, Protocol};

/// How much of everything there is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// All pods, those of the system included.
    pub pods: usize,
    /// Workloads, the two of the system not included.
    pub workloads: usize,
    /// NetworkPolicies.
    pub policies: usize,
    /// Namespaces, `kube-system` not included.
    pub namespaces: usize,
}

impl Size {
    /// Ten pods to a workload, ten workloads and ten policies to a namespace.
    pub const fn of(pods: usize) -> Size {
        Size { pods, workloads: pods / 10, policies: pods / 10, namespaces: pods / 100 }
    }
}

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(z ^ (z >> 31)) * end as u128) >> 64) as usize
    }

    /// True in so many cases of a hundred.
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// What stands in `team` of namespaces and pods.
const TEAMS: [&str; 12] = [
    "payments", "search", "growth", "data", "platform", "identity", "mobile", "ads", "media", "risk", "billing", "ops",
];
/// What stands in `env` of namespaces.
const ENVS: [&str; 3] = ["prod", "staging", "dev"];
/// What stands in `tier` of pods.
const TIERS: [&str; 4] = ["frontend", "backend", "cache", "database"];
/// Where workloads listen, with the name of the port.
pub const LISTENING: [(&str, u16); 8] = [
    ("http", 8080),
    ("http", 80),
    ("https", 8443),
    ("grpc", 9090),
    ("postgres", 5432),
    ("redis", 6379),
    ("kafka", 9092),
    ("metrics", 9100),
];
/// Pods to a node.
const PODS_PER_NODE: usize = 50;

/// The name of the namespace of a number.
fn namespace_name(namespace: usize) -> String {
    format!("team-{namespace}")
}

/// The value of `app` of the workload of a number.
fn app(workload: usize) -> String {
    format!("app-{workload}")
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn selector(pairs: &[(&str, &str)]) -> Selector {
    Selector::from_labels(&labels(pairs))
}

/// The pods, workloads, namespaces and nodes. `dual`: pods and nodes have IPv6 addresses too.
pub fn inventory(size: Size, dual: bool, random: &mut Random) -> Inventory {
    let mut inventory = Inventory::default();
    inventory.namespaces.insert("kube-system", labels(&[("team", "platform"), ("env", "prod")]));
    for namespace in 0..size.namespaces {
        let (team, env) = (TEAMS[namespace % TEAMS.len()], random.pick(&ENVS));
        inventory.namespaces.insert(namespace_name(namespace), labels(&[("team", team), ("env", env)]));
    }
    let nodes = size.pods.div_ceil(PODS_PER_NODE);
    let addresses = |v4: u32, v6: u128| {
        let v4 = IpAddr::V4(Ipv4Addr::from(v4));
        std::iter::once(v4).chain(dual.then_some(IpAddr::V6(Ipv6Addr::from(v6)))).collect::<Vec<_>>()
    };
    let of_node = |node: usize| addresses(0xac10_0000 + node as u32 + 1, (0xfd01 << 112) + node as u128 + 1);
    for node in 0..nodes {
        let addresses = of_node(node).into_iter().map(|ip| (ip, NodeAddressKind::Status)).collect();
        let zone = ["a", "b", "c"][node % 3];
        let node = (format!("node-{node}"), Node { addresses, labels: labels(&[("zone", zone)]), ..Node::default() });
        inventory.nodes.extend([node]);
    }

    let mut pods: Vec<Pod> = Vec::with_capacity(size.pods);
    let system = |kind: &str, name: &str| Workload {
        namespace: "kube-system".to_string(),
        kind: kind.to_string(),
        name: name.to_string(),
    };
    let dns = 2.max(nodes / 50);
    // One agent on each node, on the node's network.
    for number in 0..nodes + dns {
        let host_network = number < nodes;
        let (workload, label) = match host_network {
            true => (system("DaemonSet", "node-agent"), ("k8s-app", "node-agent")),
            false => (system("Deployment", "coredns"), ("k8s-app", "kube-dns")),
        };
        let ports = match host_network {
            true => vec![("metrics", Protocol::Tcp, 9100)],
            false => vec![("dns", Protocol::Udp, 53), ("dns-tcp", Protocol::Tcp, 53)],
        };
        let node = number % nodes;
        let own = addresses(0x0a00_0000 + number as u32 + 1, (0xfd00 << 112) + number as u128 + 1);
        pods.push(Pod {
            namespace: workload.namespace.clone(),
            name: format!("{}-{number}", workload.name),
            workload,
            labels: labels(&[label, ("pod-template-hash", &format!("{:08x}", number * 7919))]),
            addresses: if host_network { of_node(node) } else { own },
            node: Some(format!("node-{node}")),
            host_network,
            ports: ports.into_iter().map(|(name, protocol, number)| container_port(name, protocol, number)).collect(),
            probed: Default::default(),
            finished: false,
        });
    }
    let rest = size.pods - pods.len();
    for workload in 0..size.workloads {
        let namespace = workload % size.namespaces;
        let name = app(workload);
        let (port_name, port) = LISTENING[workload % LISTENING.len()];
        let own = labels(&[
            ("app", &name),
            ("team", TEAMS[namespace % TEAMS.len()]),
            ("tier", random.pick(&TIERS)),
            ("version", ["v1", "v2"][random.below(2)]),
            ("pod-template-hash", &format!("{:08x}", workload * 2_654_435_761)),
        ]);
        for number in rest * workload / size.workloads..rest * (workload + 1) / size.workloads {
            let address = pods.len();
            pods.push(Pod {
                namespace: namespace_name(namespace),
                name: format!("{name}-{number}"),
                workload: Workload {
                    namespace: namespace_name(namespace),
                    kind: "Deployment".to_string(),
                    name: name.clone(),
                },
                labels: own.clone(),
                addresses: addresses(0x0a00_0000 + address as u32 + 1, (0xfd00 << 112) + address as u128 + 1),
                node: Some(format!("node-{}", random.below(nodes))),
                host_network: false,
                ports: vec![
                    container_port(port_name, Protocol::Tcp, port),
                    container_port("metrics", Protocol::Tcp, 9100),
                ],
                probed: Default::default(),
                finished: false,
            });
        }
    }
    pods.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    let mut workloads: BTreeMap<Workload, WorkloadInfo> = BTreeMap::new();
    for (id, pod) in (0..).map(PodId).zip(&pods) {
        let info = workloads.entry(pod.workload.clone()).or_default();
        info.pods.push(id);
        info.host_network = pod.host_network;
    }
    (inventory.pods, inventory.workloads) = (pods, workloads);
    inventory
}

fn container_port(name: &str, protocol: Protocol, number: u16) -> ContainerPort {
    ContainerPort { name: Some(name.to_string()), number, protocol }
}

/// The NetworkPolicies: in most namespaces a default deny for ingress or for both directions, the latter with DNS for
/// all, and then a policy per workload until there are as many as asked for. Three namespaces in a hundred have none.
pub fn policies(size: Size, random: &mut Random) -> Vec<Policy> {
    let covered: Vec<usize> = (0..size.namespaces).filter(|namespace| namespace % 33 != 7).collect();
    let mut policies = Vec::with_capacity(size.policies);
    for (at, namespace) in covered.iter().copied().enumerate() {
        let quota = size.policies * (at + 1) / covered.len() - size.policies * at / covered.len();
        let strict = random.chance(30);
        let mut own = Vec::new();
        if random.chance(90) {
            let egress = strict.then(Vec::new);
            own.push(policy(namespace, "default-deny", Selector::everything(), Some(Vec::new()), egress));
        }
        if strict {
            own.push(policy(namespace, "allow-dns", Selector::everything(), None, Some(vec![dns()])));
        }
        // All workloads of the namespace in turn, and once more where policies are left.
        let workloads = || (namespace..size.workloads).step_by(size.namespaces);
        let again = (0..).flat_map(|round| workloads().map(move |workload| (round, workload)));
        own.extend(again.take(quota).map(|(round, workload)| {
            let name = format!("{}-{round}", app(workload));
            let ingress = (0..1 + random.below(2)).map(|_| ingress(workload, namespace, size, random)).collect();
            let egress = random.chance(50).then(|| {
                let rules = (0..1 + random.below(2)).map(|_| egress(namespace, size, random));
                std::iter::once(dns()).chain(rules).collect()
            });
            policy(namespace, &name, selector(&[("app", &app(workload))]), Some(ingress), egress)
        }));
        own.truncate(quota);
        policies.extend(own);
    }
    policies.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    policies
}

fn policy(
    namespace: usize,
    name: &str,
    subject: Selector,
    ingress: Option<Vec<Rule>>,
    egress: Option<Vec<Rule>>,
) -> Policy {
    Policy {
        namespace: namespace_name(namespace),
        name: name.to_string(),
        labels: Labels::new(),
        created: None,
        version: 0,
        origin: Origin::default(),
        subject,
        subject_line: 0,
        ingress,
        egress,
        ignored: Vec::new(),
    }
}

fn rule(peers: Vec<Peer>, ports: Vec<PolicyPort>) -> Rule {
    let ports = if ports.is_empty() { Ports::All } else { Ports::Any(ports) };
    Rule { peers: Peers::Any(peers), ports, lines: Lines::default() }
}

fn range(from: u16, to: u16) -> PortMatch {
    let [from, to] = [from, to].map(|port| port.try_into().expect("no port is 0"));
    PortMatch::Range(PortRange::new(from, to).expect("ascending"))
}

fn port(protocol: Protocol, number: u16) -> PolicyPort {
    PolicyPort { protocol, port: range(number, number) }
}

/// Everyone's rule for DNS.
fn dns() -> Rule {
    let namespaces = Namespaces::Matching(selector(&[(NAMESPACE_NAME, "kube-system")]));
    let peer = Peer::Pods { namespaces, pods: selector(&[("k8s-app", "kube-dns")]) };
    rule(vec![peer], vec![port(Protocol::Udp, 53), port(Protocol::Tcp, 53)])
}

/// A rule that lets a few into a workload, on its port.
fn ingress(workload: usize, namespace: usize, size: Size, random: &mut Random) -> Rule {
    let peers = (0..1 + random.below(3)).map(|_| pods(namespace, size, random)).collect();
    let (name, number) = LISTENING[workload % LISTENING.len()];
    let named = |name: &str| PolicyPort { protocol: Protocol::Tcp, port: PortMatch::Named(name.to_string()) };
    let ports = match random.below(100) {
        0..50 => vec![port(Protocol::Tcp, number)],
        50..75 => vec![named(name)],
        75..90 => vec![port(Protocol::Tcp, number), named("metrics")],
        90..95 => vec![PolicyPort { protocol: Protocol::Tcp, port: range(8000, 8999) }],
        _ => Vec::new(),
    };
    rule(peers, ports)
}

/// A rule that lets a workload out.
fn egress(namespace: usize, size: Size, random: &mut Random) -> Rule {
    let net = |ip: u32, length| IpNet::V4(Ipv4Net::new_assert(ip.into(), length).trunc());
    // Public addresses, of which every tenth policy or so names some.
    let public = |random: &mut Random| 0x2d00_0000 + (random.below(size.policies.max(100)) as u32) * 4099;
    match random.below(100) {
        0..15 => {
            let private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];
            let except = private.map(|net| net.parse().expect("a range")).to_vec();
            rule(vec![Peer::Block(Block { cidr: net(0, 0), except })], vec![port(Protocol::Tcp, 443)])
        }
        15..30 => {
            let hosts = (0..3 + random.below(8)).map(|_| net(public(random), 32));
            let peers = hosts.map(|cidr| Peer::Block(Block { cidr, except: Vec::new() })).collect();
            rule(peers, vec![port(Protocol::Tcp, 5432)])
        }
        30..35 => {
            // Partners, or the company's own network, which pods are in.
            let cidr = if random.chance(50) { net(public(random), 24) } else { net(0x0a00_0000, 8) };
            let block = Block { cidr, except: Vec::new() };
            rule(vec![Peer::Block(block)], vec![port(Protocol::Tcp, 443), port(Protocol::Udp, 443)])
        }
        _ => {
            let peers = (0..1 + random.below(2)).map(|_| pods(namespace, size, random)).collect();
            let number = random.pick(&LISTENING).1;
            rule(peers, if random.chance(90) { vec![port(Protocol::Tcp, number)] } else { Vec::new() })
        }
    }
}

/// A peer as people write them.
fn pods(namespace: usize, size: Size, random: &mut Random) -> Peer {
    let neighbour = |namespace: usize, random: &mut Random| {
        let in_namespace = size.workloads.div_ceil(size.namespaces);
        app((namespace + size.namespaces * random.below(in_namespace)) % size.workloads)
    };
    let (namespaces, pods) = match random.below(100) {
        0..50 => (Namespaces::Own, selector(&[("app", &neighbour(namespace, random))])),
        50..75 => {
            let other = random.below(size.namespaces);
            let namespaces = selector(&[(NAMESPACE_NAME, &namespace_name(other))]);
            (Namespaces::Matching(namespaces), selector(&[("app", &neighbour(other, random))]))
        }
        75..85 => {
            let namespaces = selector(&[("team", random.pick(&TEAMS)), ("env", random.pick(&ENVS))]);
            (Namespaces::Matching(namespaces), Selector::everything())
        }
        85..92 => {
            let values = [random.pick(&TIERS), random.pick(&TIERS)].map(|tier| tier.to_string()).into();
            (Namespaces::Own, Selector::from_iter([Requirement::In { key: "tier".to_string(), values }]))
        }
        92..96 => {
            let values = [random.pick(&ENVS).to_string()].into();
            let namespaces = Selector::from_iter([Requirement::NotIn { key: "env".to_string(), values }]);
            (Namespaces::Matching(namespaces), selector(&[("tier", random.pick(&TIERS))]))
        }
        96..98 => (Namespaces::Matching(Selector::everything()), selector(&[("tier", random.pick(&TIERS))])),
        _ => (Namespaces::Matching(Selector::everything()), Selector::everything()),
    };
    Peer::Pods { namespaces, pods }
}

/// Five cluster-wide policies: what platform teams are told to begin with.
pub fn cluster_policies() -> Vec<ClusterPolicy> {
    let everyone = || PodPeer { namespaces: Selector::everything(), pods: Selector::everything() };
    let namespaces = |pairs: &[(&str, &str)]| PodPeer { namespaces: selector(pairs), pods: Selector::everything() };
    let networks = |net: &str| ClusterPeer::Networks(vec![net.parse().expect("a range")]);
    let rule = |action, peer, ports: Vec<PolicyPort>| {
        let ports = ports.into_iter().map(ClusterPort::Number).collect::<Vec<_>>();
        let ports = if ports.is_empty() { ClusterPorts::All } else { ClusterPorts::Any(ports) };
        ClusterRule { name: String::new(), action, peers: vec![peer], ports, line: 0 }
    };
    let policy = |name: &str, tier, priority, subject, ingress, egress| ClusterPolicy {
        kind: ClusterKind::ClusterNetworkPolicy,
        name: name.to_string(),
        labels: Labels::new(),
        created: None,
        version: 0,
        origin: Origin::default(),
        tier,
        priority,
        subject,
        ingress,
        egress,
    };
    let resolvers = PodPeer {
        namespaces: selector(&[(NAMESPACE_NAME, "kube-system")]),
        pods: selector(&[("k8s-app", "kube-dns")]),
    };
    let dns =
        rule(Action::Accept, ClusterPeer::Pods(resolvers), vec![port(Protocol::Udp, 53), port(Protocol::Tcp, 53)]);
    let metadata = rule(Action::Deny, networks("169.254.169.254/32"), Vec::new());
    let monitoring =
        rule(Action::Accept, ClusterPeer::Pods(namespaces(&[("team", "ops")])), vec![port(Protocol::Tcp, 9100)]);
    let from_dev = rule(Action::Deny, ClusterPeer::Pods(namespaces(&[("env", "dev")])), Vec::new());
    let inside = rule(Action::Accept, ClusterPeer::Pods(namespaces(&[("team", "platform")])), Vec::new());
    let others = rule(Action::Deny, ClusterPeer::Pods(everyone()), Vec::new());
    vec![
        policy("dns", Tier::Admin, 1, everyone(), Vec::new(), vec![dns]),
        policy("no-metadata", Tier::Admin, 2, everyone(), Vec::new(), vec![metadata]),
        policy("monitoring", Tier::Admin, 3, everyone(), vec![monitoring], Vec::new()),
        policy("apart", Tier::Admin, 4, namespaces(&[("env", "prod")]), vec![from_dev], Vec::new()),
        policy("default", Tier::Baseline, 0, everyone(), vec![inside, others], Vec::new()),
    ]
}

/// The same policies with one in a hundred changed: a peer more, another port, or no policy at all.
pub fn changed(policies: &[Policy], random: &mut Random) -> Vec<Policy> {
    let mut changed: Vec<Policy> = policies.to_vec();
    for number in 0..policies.len().div_ceil(100) {
        let at = random.below(changed.len());
        let policy = &mut changed[at];
        let first = policy.ingress.iter_mut().flatten().next();
        match (number % 3, first) {
            (0, Some(Rule { peers: Peers::Any(peers), .. })) => {
                let new = selector(&[("app", "app-0")]);
                peers.push(Peer::Pods { namespaces: Namespaces::Matching(Selector::everything()), pods: new });
            }
            (1, Some(rule)) => rule.ports = Ports::Any(vec![port(Protocol::Tcp, 7777)]),
            _ => _ = changed.remove(at),
        }
    }
    changed
}
