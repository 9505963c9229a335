//! Declarations to connections: who will connect to which pods, on which port of theirs.

use std::collections::{BTreeMap, BTreeSet};

use capture::{Protocol, Timestamp};

use super::{Connection, Kind};
use crate::endpoint::{Endpoint, Pod, Workload};
use crate::inventory::{Declaration, DeclaredTarget, Inventory, ScrapedPort, Service, Target, WorkloadInfo};
use crate::platform::is_image;
use crate::policy::Origin;

/// Who serves a declared connection, by workload (all nodes together) and port.
type Servers = BTreeMap<(Option<Workload>, u16), BTreeSet<Endpoint>>;

/// Images of programs that scrape what annotations and monitors say.
const SCRAPERS: [&str; 3] = ["prometheus/prometheus", "prom/prometheus", "victoriametrics/vmagent"];

/// Labels of nodes with an API server; the second is the older one.
const CONTROL_PLANE: [&str; 2] = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

/// Everything that objects declare, sorted.
pub(super) fn connections(inventory: &Inventory) -> Vec<Connection> {
    let api = api_server(inventory);
    let scrapers = scrapers(inventory);
    let mut found = Vec::new();
    for declaration in &inventory.declarations {
        match &declaration.target {
            DeclaredTarget::Service { namespace, name, port } => {
                found.extend(called(declaration, (namespace, name, *port), &api, inventory));
            }
            DeclaredTarget::Scraped { .. } => {
                let name = format!("{} {}", declaration.kind, declaration.name);
                let servers = monitored(&declaration.target, inventory);
                found.extend(scraped(&name, &declaration.origin, servers, &scrapers));
            }
        }
    }
    found.extend(annotated(&scrapers, inventory));
    found.sort_by(|a, b| (a.kind, &a.name, &a.servers, a.port).cmp(&(b.kind, &b.name, &b.servers, b.port)));
    // A target is scraped once, whoever says so; what names it first is a monitor, else an annotation.
    let mut known: BTreeSet<(Vec<Endpoint>, Option<u16>)> = BTreeSet::new();
    found.retain(|connection| {
        connection.kind != Kind::Scrape || known.insert((connection.servers.clone(), connection.port))
    });
    found
}

/// From where API servers connect to pods, and what is to be known about that. Where agents of konnectivity run, they
/// do it for them (KEP-1281).
fn api_server(inventory: &Inventory) -> (Vec<Endpoint>, &'static str) {
    let agents = inventory.workloads.iter().filter(|(workload, _)| workload.name == "konnectivity-agent");
    let agents: BTreeSet<Endpoint> = agents.flat_map(|(workload, info)| ends(workload, info, inventory)).collect();
    if !agents.is_empty() {
        return (agents.into_iter().collect(), "the API server, through the agents of konnectivity");
    }
    let servers: BTreeSet<Endpoint> = inventory
        .api_servers()
        .keys()
        .map(|ip| match inventory.node_name(*ip) {
            Some(name) => Endpoint::Node(name.to_string()),
            None => Endpoint::external(*ip),
        })
        .collect();
    if !servers.is_empty() {
        return (servers.into_iter().collect(), "the API server, at the endpoints of default/kubernetes");
    }
    let nodes =
        inventory.nodes.iter().filter(|(_, node)| CONTROL_PLANE.iter().any(|key| node.labels.contains_key(*key)));
    let nodes: Vec<Endpoint> = nodes.map(|(name, _)| Endpoint::Node(name.clone())).collect();
    if !nodes.is_empty() {
        return (nodes, "the API server, on the nodes of the control plane");
    }
    (Vec::new(), "the API server; its addresses are not in the cluster input (no endpoints of default/kubernetes)")
}

/// The workload, or the nodes that its pods use the network of.
fn ends(workload: &Workload, info: &WorkloadInfo, inventory: &Inventory) -> Vec<Endpoint> {
    if !info.host_network {
        return vec![Endpoint::Workload(workload.clone())];
    }
    let pods = info.pods.iter().map(|id| inventory.pod(*id));
    let nodes: BTreeSet<Endpoint> = pods.filter_map(|pod| pod.node.clone().map(Endpoint::Node)).collect();
    nodes.into_iter().collect()
}

/// The workloads that scrape: Prometheus by its owner, its image, or where that is not known its label.
fn scrapers(inventory: &Inventory) -> Vec<Endpoint> {
    let is_scraper = |(workload, info): &(&Workload, &WorkloadInfo)| {
        let mut images = info.containers.values().flatten();
        let labelled = info.labels.get("app.kubernetes.io/name").is_some_and(|name| name == "prometheus");
        let is_scraper = |image: &String| is_image(image, &SCRAPERS);
        matches!(workload.kind.as_str(), "Prometheus" | "PrometheusAgent") || labelled || images.any(is_scraper)
    };
    let workloads = inventory.workloads.iter().filter(is_scraper);
    let found: BTreeSet<Endpoint> = workloads.flat_map(|(workload, info)| ends(workload, info, inventory)).collect();
    found.into_iter().collect()
}

/// The connections of the API server to a Service.
fn called(
    declaration: &Declaration,
    (namespace, name, port): (&str, &str, u16),
    (clients, who): &(Vec<Endpoint>, &str),
    inventory: &Inventory,
) -> Vec<Connection> {
    let kind = match declaration.kind.as_str() {
        "ValidatingWebhookConfiguration" => Kind::ValidatingWebhook,
        "MutatingWebhookConfiguration" => Kind::MutatingWebhook,
        "APIService" => Kind::ApiService,
        _ => Kind::ConversionWebhook,
    };
    let connection = |servers: Vec<Endpoint>, number: Option<u16>, note: String| Connection {
        kind,
        name: format!("{} {}", declaration.kind, declaration.name),
        origin: declaration.origin.clone(),
        clients: clients.clone(),
        servers,
        protocol: Protocol::Tcp,
        port: number,
        service: Some(format!("{namespace}/{name}:{port}")),
        note,
    };
    let unknown = |why: String| vec![connection(Vec::new(), None, why)];
    let service = inventory.services.iter().find(|service| service.namespace == namespace && service.name == name);
    let Some(service) = service else {
        return unknown(format!("Service {namespace}/{name} is not in the cluster input"));
    };
    let of_port = service.ports.iter().find(|known| known.port == port && known.protocol == Protocol::Tcp);
    let Some(of_port) = of_port else {
        return unknown(format!("Service {namespace}/{name} has no port {port}"));
    };
    let mut servers = Servers::new();
    for (target, number) in inventory.targets(service, of_port) {
        insert(&mut servers, target, number, inventory);
    }
    if servers.is_empty() {
        return unknown(format!("nothing stands behind Service {namespace}/{name}"));
    }
    let from = |((_, number), servers): ((Option<Workload>, u16), BTreeSet<Endpoint>)| {
        connection(servers.into_iter().collect(), Some(number), format!("called by {who}"))
    };
    servers.into_iter().map(from).collect()
}

fn insert(servers: &mut Servers, target: Target, number: u16, inventory: &Inventory) {
    let endpoint = match target {
        Target::Pod(id) => of_pod(inventory.pod(id)),
        Target::Address(ip) => Some(inventory.endpoint(ip, Timestamp::MAX.plus(-1))),
    };
    // A template's pod on the host network has no node yet.
    let Some(endpoint) = endpoint else { return };
    servers.entry((endpoint.workload().cloned(), number)).or_default().insert(endpoint);
}

fn of_pod(pod: &Pod) -> Option<Endpoint> {
    match pod.host_network {
        true => pod.node.clone().map(Endpoint::Node),
        false => Some(Endpoint::Workload(pod.workload.clone())),
    }
}

/// What a monitor selects.
fn monitored(target: &DeclaredTarget, inventory: &Inventory) -> Servers {
    let DeclaredTarget::Scraped { pods, selector, namespaces, port } = target else { return Servers::new() };
    let in_namespace = |namespace: &String| namespaces.as_ref().is_none_or(|namespaces| namespaces.contains(namespace));
    let mut servers = Servers::new();
    if *pods {
        for (id, pod) in inventory.pod_ids().filter(|(_, pod)| !pod.finished && in_namespace(&pod.namespace)) {
            if selector.matches(&pod.labels) {
                for number in numbers(port, pod) {
                    insert(&mut servers, Target::Pod(id), number, inventory);
                }
            }
        }
        return servers;
    }
    let selected = inventory.services.iter().filter(|service| in_namespace(&service.namespace));
    for service in selected.filter(|service| selector.matches(&service.labels)) {
        serve(service, port, &mut servers, inventory);
    }
    servers
}

/// The numbers of a port that is named on the pod.
fn numbers(port: &ScrapedPort, pod: &Pod) -> Vec<u16> {
    match port {
        ScrapedPort::Number(number) => vec![*number],
        ScrapedPort::Named(name) | ScrapedPort::Container(name) => {
            let named = pod.ports.iter().filter(|port| port.name.as_ref() == Some(name));
            named.filter(|port| port.protocol == Protocol::Tcp).map(|port| port.number).collect()
        }
    }
}

/// What stands behind a port of a Service.
fn serve(service: &Service, port: &ScrapedPort, servers: &mut Servers, inventory: &Inventory) {
    for of_port in service.ports.iter().filter(|known| known.protocol == Protocol::Tcp) {
        let by_name = matches!(port, ScrapedPort::Named(name) if *name == of_port.name);
        for (target, number) in inventory.targets(service, of_port) {
            let wanted = match (port, target) {
                (ScrapedPort::Named(_), _) => {
                    if by_name {
                        vec![number]
                    } else {
                        Vec::new()
                    }
                }
                (_, Target::Pod(id)) => numbers(port, inventory.pod(id)),
                (ScrapedPort::Number(number), Target::Address(_)) => vec![*number],
                (ScrapedPort::Container(_), Target::Address(_)) => Vec::new(),
            };
            for number in wanted {
                insert(servers, target, number, inventory);
            }
        }
    }
}

/// What `prometheus.io/scrape` asks for, on pods and on Services. Without `prometheus.io/port` every declared port is
/// scraped, as the usual configuration does.
fn annotated(scrapers: &[Endpoint], inventory: &Inventory) -> Vec<Connection> {
    let asks = |annotations: &BTreeMap<String, String>| {
        annotations.get("prometheus.io/scrape").is_some_and(|value| value == "true")
    };
    let number = |annotations: &BTreeMap<String, String>| -> Option<u16> {
        annotations.get("prometheus.io/port").and_then(|text| text.trim().parse().ok())
    };
    let mut found = Vec::new();
    for (workload, info) in inventory.workloads.iter().filter(|(_, info)| asks(&info.annotations)) {
        let mut servers = Servers::new();
        for id in info.pods.iter().filter(|id| !inventory.pod(**id).finished) {
            let declared = inventory.pod(*id).ports.iter().filter(|port| port.protocol == Protocol::Tcp);
            let wanted = match number(&info.annotations) {
                Some(number) => vec![number],
                None => declared.map(|port| port.number).collect(),
            };
            for number in wanted {
                insert(&mut servers, Target::Pod(*id), number, inventory);
            }
        }
        let origin = info.origin.clone().unwrap_or_default();
        found.extend(scraped(&format!("annotation prometheus.io/scrape of {workload}"), &origin, servers, scrapers));
    }
    for service in inventory.services.iter().filter(|service| asks(&service.annotations)) {
        let mut servers = Servers::new();
        match number(&service.annotations) {
            Some(number) => serve(service, &ScrapedPort::Number(number), &mut servers, inventory),
            None => {
                for port in service.ports.iter().filter(|port| port.protocol == Protocol::Tcp) {
                    for (target, number) in inventory.targets(service, port) {
                        insert(&mut servers, target, number, inventory);
                    }
                }
            }
        }
        let name = format!("annotation prometheus.io/scrape of Service {}/{}", service.namespace, service.name);
        found.extend(scraped(&name, &service.origin, servers, scrapers));
    }
    found
}

fn scraped(name: &str, origin: &Origin, servers: Servers, scrapers: &[Endpoint]) -> Vec<Connection> {
    let note = match scrapers {
        [] => "scraped by somebody unknown: no workload of the cluster input runs Prometheus".to_string(),
        [one] => format!("scraped by {one}"),
        many => format!("scraped by one of {} workloads that run Prometheus", many.len()),
    };
    let of = |((_, number), servers): ((Option<Workload>, u16), BTreeSet<Endpoint>)| {
        // A workload does not scrape itself over the network but through its own address.
        let clients: Vec<Endpoint> = scrapers.iter().filter(|scraper| !servers.contains(scraper)).cloned().collect();
        (!clients.is_empty() || scrapers.is_empty()).then(|| Connection {
            kind: Kind::Scrape,
            name: name.to_string(),
            origin: origin.clone(),
            clients,
            servers: servers.into_iter().collect(),
            protocol: Protocol::Tcp,
            port: Some(number),
            service: None,
            note: note.clone(),
        })
    };
    servers.into_iter().filter_map(of).collect()
}
