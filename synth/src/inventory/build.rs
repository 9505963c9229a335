//! Objects to inventory. The result does not depend on the order in which files were read.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;

use capture::time::SECOND;
use capture::{Protocol, Timestamp};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::service::SliceEntry;
use super::workload::{Owners, controlling, is_volatile, lasting_selector, stable};
use super::{
    Frontend, Inventory, Node, NodeAddressKind, PodId, Service, ServicePort, TargetPort, Tenure, WorkloadInfo,
};
use crate::endpoint::{Pod, Workload};
use crate::label::{Labels, Selector};
use crate::manifest::object::{self, IntOrString, Metadata};
use crate::manifest::{Objects, Stored};
use crate::port::ContainerPort;

/// What the user adds to the cluster input.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Ranges in which pods have their addresses, besides those of the nodes.
    pub pod_ranges: Vec<IpNet>,
}

/// A pod with what only the building needs.
struct Raw {
    pod: Pod,
    from: Timestamp,
    /// When it ended, where that is known.
    to: Option<Timestamp>,
    file: Arc<str>,
    uid: Option<String>,
}

impl Inventory {
    /// Resolves everything that was read. Of several versions of an object the newest counts; pods that a later dump
    /// no longer has keep their place in time.
    pub fn build(objects: &Objects, options: &Options) -> Inventory {
        let mut inventory = Inventory::default();
        inventory.namespaces(objects);
        inventory.nodes(objects);
        inventory.pods_and_workloads(objects);
        inventory.ranges(options);
        inventory.services(objects);
        inventory.policies = objects.policies.clone();
        inventory.policies.sort_by(|a, b| (&a.namespace, &a.name, &a.origin).cmp(&(&b.namespace, &b.name, &b.origin)));
        inventory.policies.dedup_by(|a, b| (&a.namespace, &a.name) == (&b.namespace, &b.name));
        inventory.warnings.sort();
        inventory.warnings.dedup();
        inventory
    }

    fn namespaces(&mut self, objects: &Objects) {
        for stored in newest(&objects.namespaces, |namespace| &namespace.metadata) {
            let name = stored.object.metadata.name.clone();
            self.namespaces.insert(name, stored.object.metadata.labels.clone().unwrap_or_default());
        }
    }

    fn nodes(&mut self, objects: &Objects) {
        let mut nodes: Vec<_> = objects.nodes.iter().collect();
        nodes.sort_by(|a, b| {
            let version = |node: &object::Node| version(node.metadata.resource_version.as_deref());
            let (a, b) = (&a.object, &b.object);
            (&a.metadata.name, version(a)).cmp(&(&b.metadata.name, version(b))).then_with(|| debug_order(a, b))
        });
        for stored in nodes {
            let node = &stored.object;
            let mut addresses = BTreeMap::new();
            for address in node.status.addresses.iter().flatten() {
                if let Some(ip) = address_of(&address.address) {
                    addresses.insert(ip, NodeAddressKind::Status);
                }
            }
            for range in pod_cidrs(node) {
                let first = |offset: u8| match range {
                    IpNet::V4(net) => IpAddr::V4((u32::from(net.network()) + u32::from(offset)).into()),
                    IpNet::V6(net) => IpAddr::V6((u128::from(net.network()) + u128::from(offset)).into()),
                };
                addresses.entry(first(0)).or_insert(NodeAddressKind::Tunnel);
                addresses.entry(first(1)).or_insert(NodeAddressKind::Gateway);
                self.pod_ranges.push(range);
            }
            for (key, value) in node.metadata.annotations.iter().flatten() {
                if is_address_annotation(key)
                    && let Some(ip) = address_of(value.split('/').next().unwrap_or(value))
                {
                    addresses.entry(ip).or_insert(NodeAddressKind::Plugin);
                }
            }
            let labels = node.metadata.labels.clone().unwrap_or_default();
            self.nodes.insert(node.metadata.name.clone(), Node { addresses, labels });
        }
    }

    fn pods_and_workloads(&mut self, objects: &Objects) {
        let controllers: Vec<_> =
            newest(&objects.controllers, |controller| &controller.object.metadata).into_iter().cloned().collect();
        let owners = Owners::new(&controllers);
        let mut raw: Vec<Raw> =
            newest_pods(&objects.pods).into_iter().map(|stored| self.read_pod(stored, &owners)).collect();
        let owned: BTreeSet<Workload> = raw.iter().map(|raw| raw.pod.workload.clone()).collect();
        for stored in &controllers {
            if let Some(pod) = template_pod(stored, &owners)
                && !owned.contains(&pod.workload)
            {
                raw.push(Raw { pod, from: Timestamp::MAX, to: None, file: stored.origin.file.clone(), uid: None });
            }
        }
        raw.sort_by(|a, b| {
            let key = |raw: &Raw| (raw.from, raw.uid.clone());
            (&a.pod.namespace, &a.pod.name).cmp(&(&b.pod.namespace, &b.pod.name)).then_with(|| key(a).cmp(&key(b)))
        });
        self.tenures(&mut raw);
        for (index, raw) in raw.iter().enumerate() {
            let pod = &raw.pod;
            let info = self.workloads.entry(pod.workload.clone()).or_default();
            info.pods.push(PodId(index as u32));
            info.host_network |= pod.host_network;
            info.from_template |= raw.from == Timestamp::MAX;
        }
        self.pods = raw.into_iter().map(|raw| raw.pod).collect();
        for (workload, info) in &mut self.workloads {
            describe(workload, info, &self.pods, &owners);
        }
        for pod in &self.pods {
            if self.namespaces.labels(&pod.namespace).is_none() {
                self.namespaces.insert(&pod.namespace, Labels::new());
            }
        }
        for (index, pod) in self.pods.iter().enumerate().filter(|(_, pod)| pod.host_network && !pod.finished) {
            if let Some(node) = &pod.node {
                self.on_host.entry(node.clone()).or_default().push(PodId(index as u32));
            }
        }
        for (name, node) in &self.nodes {
            for ip in node.addresses.keys() {
                self.node_of.insert(*ip, name.clone());
            }
        }
    }

    fn read_pod(&mut self, stored: &Stored<object::Pod>, owners: &Owners<'_>) -> Raw {
        let object = &stored.object;
        let metadata = &object.metadata;
        let namespace = namespace_of(metadata);
        let labels = metadata.labels.clone().unwrap_or_default();
        let (kind, name) = match controlling(metadata.owner_references.as_deref()) {
            Some(owner) => owners.top(&namespace, &labels, owner.clone()),
            None => ("Pod".to_string(), metadata.name.clone()),
        };
        let status = &object.status;
        let mut addresses: Vec<IpAddr> = Vec::new();
        let listed = status.pod_ips.iter().flatten().map(|entry| entry.ip.as_str());
        for text in listed.chain(status.pod_ip.as_deref()).filter(|text| !text.is_empty()) {
            match address_of(text) {
                Some(ip) if !addresses.contains(&ip) => addresses.push(ip),
                Some(_) => {}
                None => self
                    .warnings
                    .push(format!("{}: pod {namespace}/{}: {text:?} is not an address", stored.origin, metadata.name)),
            }
        }
        let finished = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
        let host_network = object.spec.host_network.unwrap_or_default();
        if addresses.is_empty() && !finished {
            self.warnings.push(format!(
                "{}: pod {namespace}/{} has no address yet: its flows cannot be seen",
                stored.origin, metadata.name
            ));
        }
        if let Some(node) = &object.spec.node_name {
            let hosts =
                status.host_ips.iter().flatten().map(|entry| entry.ip.as_str()).chain(status.host_ip.as_deref());
            let node = self.nodes.entry(node.clone()).or_default();
            let of_pod = addresses.iter().copied().filter(|_| host_network);
            for ip in hosts.filter_map(address_of).chain(of_pod) {
                node.addresses.entry(ip).or_insert(NodeAddressKind::Status);
            }
        }
        let time = |text: Option<&String>| text.and_then(|text| text.parse::<Timestamp>().ok());
        let from = time(status.start_time.as_ref())
            .or_else(|| time(metadata.creation_timestamp.as_ref()))
            .unwrap_or(Timestamp::MIN);
        // The API cuts times to seconds.
        let to = finished.then(|| ended(status)).flatten().map(|end| end.plus(SECOND));
        Raw {
            pod: Pod {
                name: metadata.name.clone(),
                workload: Workload { namespace: namespace.clone(), kind, name },
                namespace,
                labels,
                addresses,
                node: object.spec.node_name.clone(),
                host_network,
                ports: container_ports(&object.spec),
                probed: probed_ports(&object.spec),
                finished,
            },
            from,
            to,
            file: stored.origin.file.clone(),
            uid: metadata.uid.clone(),
        }
    }

    /// Lays the pods of each address out in time. A pod without a known end holds its address until the next one
    /// comes, except where one file shows both alive: then nobody can tell them apart.
    fn tenures(&mut self, raw: &mut [Raw]) {
        let mut by_ip: BTreeMap<IpAddr, Vec<usize>> = BTreeMap::new();
        for (index, raw) in raw.iter().enumerate().filter(|(_, raw)| !raw.pod.host_network) {
            for ip in &raw.pod.addresses {
                by_ip.entry(*ip).or_default().push(index);
            }
        }
        for (ip, mut holders) in by_ip {
            holders.sort_by_key(|index| (raw[*index].from, *index));
            let mut tenures: Vec<Tenure> = Vec::with_capacity(holders.len());
            for (position, &index) in holders.iter().enumerate() {
                let next = holders[position + 1..].iter().find(|next| raw[**next].from > raw[index].from).copied();
                let to = match (raw[index].to, next) {
                    (Some(end), _) => end,
                    (None, Some(next)) if raw[index].pod.finished || raw[next].file != raw[index].file => {
                        let end = raw[next].from;
                        raw[index].pod.finished = true;
                        end
                    }
                    (None, _) => Timestamp::MAX,
                };
                tenures.push(Tenure { from: raw[index].from, to, pod: PodId(index as u32) });
            }
            for pair in tenures.windows(2).filter(|pair| pair[1].from < pair[0].to) {
                let name = |tenure: &Tenure| {
                    let pod = &raw[tenure.pod.0 as usize].pod;
                    format!("{}/{}", pod.namespace, pod.name)
                };
                self.warnings.push(format!(
                    "{ip} belongs to {} and to {} at the same time: its flows are unresolved",
                    name(&pair[0]),
                    name(&pair[1])
                ));
            }
            self.tenures.insert(ip, tenures);
        }
    }

    fn ranges(&mut self, options: &Options) {
        self.pod_ranges.extend(&options.pod_ranges);
        for ip in self.tenures.keys() {
            if !self.pod_ranges.iter().any(|range| range.contains(ip)) {
                let around = match ip {
                    IpAddr::V4(ip) => Ipv4Net::new(*ip, 24).map(|net| IpNet::V4(net.trunc())),
                    IpAddr::V6(ip) => Ipv6Net::new(*ip, 64).map(|net| IpNet::V6(net.trunc())),
                };
                self.pod_ranges.extend(around.ok());
            }
        }
        self.pod_ranges = IpNet::aggregate(&self.pod_ranges);
        self.pod_ranges.sort();
    }

    fn services(&mut self, objects: &Objects) {
        let mut entries: BTreeMap<(String, String), BTreeSet<SliceEntry>> = BTreeMap::new();
        for stored in newest(&objects.slices, |slice| &slice.metadata) {
            let slice = &stored.object;
            let labels = slice.metadata.labels.iter().flatten();
            let owner = labels.into_iter().find(|(key, _)| *key == "kubernetes.io/service-name");
            let Some((_, service)) = owner else { continue };
            let into = entries.entry((namespace_of(&slice.metadata), service.clone())).or_default();
            for endpoint in slice.endpoints.iter().flatten() {
                let conditions = endpoint.conditions.clone().unwrap_or_default();
                // API: "nil should be interpreted as true" for ready; serving defaults to ready.
                let ready = conditions.ready.unwrap_or(true);
                let serving = ready || conditions.serving == Some(true);
                let addresses = endpoint.addresses.iter().flatten().filter_map(|text| address_of(text));
                for ip in addresses {
                    into.extend(slice_entries(ip, slice.ports.as_deref(), serving));
                }
            }
        }
        for stored in newest(&objects.endpoints, |endpoints| &endpoints.metadata) {
            let key = (namespace_of(&stored.object.metadata), stored.object.metadata.name.clone());
            // EndpointSlices mirror Endpoints and know more.
            if entries.contains_key(&key) {
                continue;
            }
            let into = entries.entry(key).or_default();
            for subset in stored.object.subsets.iter().flatten() {
                for ip in subset.addresses.iter().flatten().filter_map(|entry| address_of(&entry.ip)) {
                    into.extend(slice_entries(ip, subset.ports.as_deref(), true));
                }
            }
        }
        let mut in_namespace: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, pod) in self.pods.iter().enumerate() {
            in_namespace.entry(pod.namespace.clone()).or_default().push(index);
        }
        self.behind = vec![Vec::new(); self.pods.len()];
        for stored in newest(&objects.services, |service| &service.metadata) {
            let mut service = self.read_service(stored, &entries);
            if let Some(selector) = &service.selector {
                for &index in in_namespace.get(&service.namespace).into_iter().flatten() {
                    if selector.matches(&self.pods[index].labels) {
                        service.pods.push(PodId(index as u32));
                        self.behind[index].push(self.services.len());
                    }
                }
            }
            if service.selector.is_some() && !service.cluster_ips.is_empty() && service.pods.is_empty() {
                self.warnings.push(format!(
                    "{}: Service {}/{} selects no pod: flows to it cannot be resolved",
                    stored.origin, service.namespace, service.name
                ));
            }
            self.services.push(service);
        }
    }

    fn read_service(
        &mut self,
        stored: &Stored<object::Service>,
        entries: &BTreeMap<(String, String), BTreeSet<SliceEntry>>,
    ) -> Service {
        let object::Service { metadata, spec, status } = &stored.object;
        let namespace = namespace_of(metadata);
        let index = self.services.len();
        let ports: Vec<ServicePort> = spec
            .ports
            .iter()
            .flatten()
            .map(|port| ServicePort {
                name: port.name.clone().unwrap_or_default(),
                protocol: protocol_of(port.protocol.as_deref()),
                port: port.port,
                target: match &port.target_port {
                    Some(IntOrString::Int(number)) if *number != 0 => TargetPort::Number(*number),
                    Some(IntOrString::String(name)) => TargetPort::Named(name.clone()),
                    _ => TargetPort::Number(port.port),
                },
                node_port: port.node_port.filter(|port| *port != 0),
            })
            .collect();
        let texts = spec.cluster_ips.iter().flatten().chain(spec.cluster_ip.as_ref());
        let mut cluster_ips: Vec<IpAddr> = texts.filter_map(|text| address_of(text)).collect();
        cluster_ips.dedup();
        let balancer = status.load_balancer.iter().flat_map(|balancer| balancer.ingress.iter().flatten());
        let balancer_ips = balancer.filter_map(|ingress| ingress.ip.as_deref()).filter_map(address_of);
        let external: Vec<IpAddr> =
            spec.external_ips.iter().flatten().filter_map(|text| address_of(text)).chain(balancer_ips).collect();
        for (port_index, port) in ports.iter().enumerate() {
            let frontend = |node_port| Frontend { service: index, port: port_index, node_port };
            for ip in cluster_ips.iter().chain(&external) {
                self.frontends.entry((*ip, port.protocol, port.port)).or_insert(frontend(false));
            }
            if let Some(number) = port.node_port {
                let addresses: Vec<IpAddr> = self.node_of.keys().copied().collect();
                for ip in addresses {
                    self.frontends.entry((ip, port.protocol, number)).or_insert(frontend(true));
                }
            }
        }
        let public = matches!(spec.r#type.as_deref(), Some("NodePort" | "LoadBalancer")) || !external.is_empty();
        let endpoints = entries.get(&(namespace.clone(), metadata.name.clone())).cloned().unwrap_or_default();
        let selector = spec.selector.as_ref().filter(|labels| !labels.is_empty()).map(Selector::from_labels);
        Service {
            namespace,
            name: metadata.name.clone(),
            selector,
            ports,
            public,
            hides_source: spec.external_traffic_policy.as_deref() != Some("Local"),
            cluster_ips,
            pods: Vec::new(),
            endpoints,
        }
    }
}

/// The newest version of each object, by kind-independent name, in the order of names.
fn newest<T: Debug + Named>(stored: &[Stored<T>], metadata: impl Fn(&T) -> &Metadata) -> Vec<&Stored<T>> {
    let mut sorted: Vec<&Stored<T>> = stored.iter().collect();
    let key = |stored: &Stored<T>| {
        let metadata = metadata(&stored.object);
        (namespace_of(metadata), stored.object.kind().to_string(), metadata.name.clone())
    };
    sorted.sort_by(|a, b| {
        let age = |stored: &Stored<T>| version(metadata(&stored.object).resource_version.as_deref());
        key(a).cmp(&key(b)).then_with(|| age(a).cmp(&age(b))).then_with(|| debug_order(&a.object, &b.object))
    });
    // `dedup_by` keeps the first of a run, and the newest is the last.
    sorted.reverse();
    sorted.dedup_by(|a, b| key(a) == key(b));
    sorted.reverse();
    sorted
}

/// Objects of one type may be of several kinds.
trait Named {
    fn kind(&self) -> &str {
        ""
    }
}

impl Named for object::Namespace {}
impl Named for object::Service {}
impl Named for object::EndpointSlice {}
impl Named for object::Endpoints {}
impl Named for crate::manifest::Controller {
    fn kind(&self) -> &str {
        &self.kind
    }
}

/// The newest version of each pod. Two pods of one name are two pods where their uids differ.
fn newest_pods(stored: &[Stored<object::Pod>]) -> Vec<&Stored<object::Pod>> {
    let mut by_uid: HashMap<(String, &str, Option<&str>), &Stored<object::Pod>> = HashMap::new();
    for candidate in stored {
        let metadata = &candidate.object.metadata;
        let key = (namespace_of(metadata), metadata.name.as_str(), metadata.uid.as_deref());
        let age = |stored: &Stored<object::Pod>| version(stored.object.metadata.resource_version.as_deref());
        by_uid
            .entry(key)
            .and_modify(|known| {
                let order = age(known).cmp(&age(candidate));
                if order.then_with(|| debug_order(&known.object, &candidate.object)) == Ordering::Less {
                    *known = candidate;
                }
            })
            .or_insert(candidate);
    }
    by_uid.into_values().collect()
}

/// KEP-5504 makes resource versions comparable as numbers; before it they were so in practice.
fn version(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Any order will do, as long as it does not depend on the order of reading.
fn debug_order<T: Debug>(a: &T, b: &T) -> Ordering {
    format!("{a:?}").cmp(&format!("{b:?}"))
}

fn namespace_of(metadata: &Metadata) -> String {
    metadata.namespace.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| "default".to_string())
}

fn address_of(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

fn protocol_of(text: Option<&str>) -> Protocol {
    text.and_then(Protocol::from_name).unwrap_or(Protocol::Tcp)
}

fn pod_cidrs(node: &object::Node) -> Vec<IpNet> {
    let mut ranges: Vec<IpNet> = Vec::new();
    for text in node.spec.pod_cidrs.iter().flatten().chain(&node.spec.pod_cidr) {
        if let Ok(range) = text.parse::<IpNet>()
            && !ranges.contains(&range.trunc())
        {
            ranges.push(range.trunc());
        }
    }
    ranges
}

/// Annotations in which network plugins publish an address of the node: flannel, Calico's tunnels, Cilium's host
/// device, kube-router and k3s.
fn is_address_annotation(key: &str) -> bool {
    key.starts_with("flannel.alpha.coreos.com/public-ip")
        || key.starts_with("projectcalico.org/IP")
        || key.contains("cilium") && (key.contains("ipv4-cilium-host") || key.contains("ipv6-cilium-host"))
        || matches!(key, "k3s.io/internal-ip" | "k3s.io/external-ip" | "alpha.kubernetes.io/provided-node-ip")
}

fn ended(status: &object::PodStatus) -> Option<Timestamp> {
    let states =
        status.container_statuses.iter().flatten().filter_map(|status| status.state.as_ref()?.terminated.as_ref());
    states.filter_map(|terminated| terminated.finished_at.as_ref()?.parse().ok()).max()
}

/// Containers and restartable init containers (sidecars, KEP-753) own ports; other init containers are gone by the
/// time the pod serves.
fn serving_containers(spec: &object::PodSpec) -> impl Iterator<Item = &object::Container> {
    let sidecar = |container: &&object::Container| container.restart_policy.as_deref() == Some("Always");
    spec.containers.iter().flatten().chain(spec.init_containers.iter().flatten().filter(sidecar))
}

fn container_ports(spec: &object::PodSpec) -> Vec<ContainerPort> {
    let mut ports: Vec<ContainerPort> = serving_containers(spec)
        .flat_map(|container| container.ports.iter().flatten())
        .map(|port| ContainerPort {
            name: port.name.clone(),
            number: port.container_port,
            protocol: protocol_of(port.protocol.as_deref()),
        })
        .collect();
    ports.sort();
    ports.dedup();
    ports
}

fn probed_ports(spec: &object::PodSpec) -> BTreeSet<u16> {
    let mut probed = BTreeSet::new();
    for container in serving_containers(spec) {
        let probes = [&container.liveness_probe, &container.readiness_probe, &container.startup_probe];
        for probe in probes.into_iter().flatten() {
            for port in [&probe.http_get, &probe.tcp_socket, &probe.grpc].into_iter().flatten() {
                match &port.port {
                    Some(IntOrString::Int(number)) => {
                        probed.insert(*number);
                    }
                    Some(IntOrString::String(name)) => probed.extend(
                        container
                            .ports
                            .iter()
                            .flatten()
                            .filter(|declared| declared.name.as_ref() == Some(name))
                            .map(|declared| declared.container_port),
                    ),
                    None => {}
                }
            }
        }
    }
    probed
}

fn slice_entries(ip: IpAddr, ports: Option<&[object::EndpointPort]>, serving: bool) -> Vec<SliceEntry> {
    ports
        .unwrap_or_default()
        .iter()
        .map(|port| SliceEntry {
            ip,
            port_name: port.name.clone().unwrap_or_default(),
            protocol: protocol_of(port.protocol.as_deref()),
            port: port.port,
            serving,
        })
        .collect()
}

/// The pod that stands for a workload without pods, so that plain manifests work.
fn template_pod(stored: &Stored<crate::manifest::Controller>, owners: &Owners<'_>) -> Option<Pod> {
    let controller = &stored.object.object;
    let metadata = &controller.metadata;
    if controlling(metadata.owner_references.as_deref()).is_some() {
        return None;
    }
    let job = controller.spec.job_template.as_ref().and_then(|job| job.spec.template.as_ref());
    let template = job.or(controller.spec.template.as_ref())?;
    let namespace = namespace_of(metadata);
    // A ReplicaSet that lost its owner reference is still a workload of its own; one with an owner never gets here.
    debug_assert!(owners.get(&namespace, &stored.object.kind, &metadata.name).is_some());
    Some(Pod {
        name: format!("{}-*", metadata.name),
        workload: Workload {
            namespace: namespace.clone(),
            kind: stored.object.kind.clone(),
            name: metadata.name.clone(),
        },
        namespace,
        labels: template.metadata.labels.clone().unwrap_or_default(),
        addresses: Vec::new(),
        node: None,
        host_network: template.spec.host_network.unwrap_or_default(),
        ports: container_ports(&template.spec),
        probed: probed_ports(&template.spec),
        finished: false,
    })
}

/// Selector and labels of a workload.
fn describe(workload: &Workload, info: &mut WorkloadInfo, pods: &[Pod], owners: &Owners<'_>) {
    let first = &pods[info.pods[0].0 as usize];
    let mut common = stable(&first.labels);
    for id in &info.pods[1..] {
        let labels = &pods[id.0 as usize].labels;
        common.retain(|key, value| labels.get(key) == Some(value));
    }
    info.labels = common;
    let controller = owners.get(&workload.namespace, &workload.kind, &workload.name);
    info.selector = controller.and_then(lasting_selector).map(|selector| {
        // The selector of a ReplicaSet whose Deployment is not in the dump holds the template's hash.
        selector.requirements().filter(|requirement| !is_volatile(requirement.key())).cloned().collect()
    });
    info.selector = info.selector.take().filter(|selector| !selector.is_everything());
}
