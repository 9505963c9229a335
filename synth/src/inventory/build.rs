//! Objects to inventory. The result does not depend on the order in which files were read.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::net::IpAddr;

use capture::Protocol;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::declaration::declarations;
use super::service::SliceEntry;
use super::{Frontend, Inventory, PodId, Service, ServicePort, TargetPort};
use crate::endpoint::{Node, NodeAddressKind};
use crate::label::Selector;
use crate::manifest::declaration::Declaring;
use crate::manifest::object::{self, IntOrString, Metadata};
use crate::manifest::{Objects, Stored};
use crate::policy::AnyPolicy;

/// What the user adds to the cluster input.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Ranges in which pods have their addresses, besides those of the nodes.
    pub pod_ranges: Vec<IpNet>,
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
        inventory.declarations = declarations(objects);
        inventory.policies = objects.policies.clone();
        // The newest version comes first, and only the first of a name stays.
        inventory.policies.sort_by(|a, b| {
            (&a.namespace, &a.name, b.version, &a.origin).cmp(&(&b.namespace, &b.name, a.version, &b.origin))
        });
        let replaced = |kept: &AnyPolicy<'_>, dropped: &AnyPolicy<'_>| {
            format!("{}: {} stands here and at {}; this one counts", kept.origin(), kept.id(), dropped.origin())
        };
        let mut duplicates = Vec::new();
        inventory.policies.dedup_by(|next, kept| {
            let same = (&next.namespace, &next.name) == (&kept.namespace, &kept.name);
            // Of two dumps the newer one counts, which needs no words; of two manifests nobody can tell.
            if same && next.version == kept.version && next.clone().without_places() != kept.clone().without_places() {
                duplicates.push(replaced(&AnyPolicy::Network(kept), &AnyPolicy::Network(next)));
            }
            same
        });
        inventory.duplicates = duplicates;
        inventory.cluster_policies = objects.cluster_policies.clone();
        inventory
            .cluster_policies
            .sort_by(|a, b| (a.kind, &a.name, b.version, &a.origin).cmp(&(b.kind, &b.name, a.version, &b.origin)));
        inventory.cluster_policies.dedup_by(|a, b| (a.kind, &a.name) == (b.kind, &b.name));
        inventory.cluster_policies.sort_by(|a, b| a.rank().cmp(&b.rank()));
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
                let network = range.network();
                let next = match network {
                    IpAddr::V4(ip) => u32::from(ip).checked_add(1).map(|next| IpAddr::V4(next.into())),
                    IpAddr::V6(ip) => u128::from(ip).checked_add(1).map(|next| IpAddr::V6(next.into())),
                };
                addresses.entry(network).or_insert(NodeAddressKind::Tunnel);
                if let Some(next) = next.filter(|next| range.contains(next)) {
                    addresses.entry(next).or_insert(NodeAddressKind::Gateway);
                }
                self.pod_ranges.push(range);
            }
            for (key, value) in &node.metadata.annotations.0 {
                let listed = value.split(',').map(|entry| entry.trim().split('/').next().unwrap_or(entry));
                for ip in listed.filter(|_| is_address_annotation(key)).filter_map(address_of) {
                    addresses.entry(ip).or_insert(NodeAddressKind::Plugin);
                }
            }
            let labels = node.metadata.labels.clone().unwrap_or_default();
            let annotations = node.metadata.annotations.0.clone();
            self.nodes.insert(node.metadata.name.clone(), Node { addresses, labels, annotations });
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
                    "{}: Service {}/{} has no endpoints, it selects no pod: flows to it cannot be resolved",
                    stored.origin, service.namespace, service.name
                ));
            }
            self.service_addresses.extend(&service.cluster_ips);
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
        let mut cluster_ips: Vec<IpAddr> = Vec::new();
        for ip in texts.filter_map(|text| address_of(text)) {
            if !cluster_ips.contains(&ip) {
                cluster_ips.push(ip);
            }
        }
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
            labels: metadata.labels.clone().unwrap_or_default(),
            annotations: metadata.annotations.0.clone(),
            origin: stored.origin.clone(),
        }
    }
}

/// The newest version of each object, by kind-independent name, in the order of names.
pub(super) fn newest<T: Debug + Named>(stored: &[Stored<T>], metadata: impl Fn(&T) -> &Metadata) -> Vec<&Stored<T>> {
    let mut sorted: Vec<&Stored<T>> = stored.iter().collect();
    let key = |stored: &Stored<T>| {
        let metadata = metadata(&stored.object);
        (namespace_of(metadata), stored.object.kind().to_string(), metadata.name.clone())
    };
    sorted.sort_by(|a, b| {
        let age = |stored: &Stored<T>| version(metadata(&stored.object).resource_version.as_deref());
        key(a)
            .cmp(&key(b))
            .then_with(|| age(a).cmp(&age(b)))
            .then_with(|| debug_order(&a.object, &b.object))
            .then_with(|| b.origin.cmp(&a.origin))
    });
    // `dedup_by` keeps the first of a run, and the newest is the last.
    sorted.reverse();
    sorted.dedup_by(|a, b| key(a) == key(b));
    sorted.reverse();
    sorted
}

/// Objects of one type may be of several kinds.
pub(super) trait Named {
    fn kind(&self) -> &str {
        ""
    }
}

impl Named for object::Namespace {}
impl Named for object::Service {}
impl Named for object::EndpointSlice {}
impl Named for object::Endpoints {}
impl Named for Declaring {
    fn kind(&self) -> &str {
        &self.kind
    }
}
impl Named for crate::manifest::Controller {
    fn kind(&self) -> &str {
        &self.kind
    }
}

/// KEP-5504 makes resource versions comparable as numbers; before it they were so in practice.
pub(super) fn version(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Any order will do, as long as it does not depend on the order of reading.
pub(super) fn debug_order<T: Debug>(a: &T, b: &T) -> Ordering {
    format!("{a:?}").cmp(&format!("{b:?}"))
}

pub(super) fn namespace_of(metadata: &Metadata) -> String {
    metadata.namespace.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| "default".to_string())
}

pub(super) fn address_of(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

pub(super) fn protocol_of(text: Option<&str>) -> Protocol {
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
