//! Pods and their workloads, and which pod had which address when.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use capture::Timestamp;
use capture::time::SECOND;

use super::build::{address_of, debug_order, namespace_of, newest, protocol_of, version};
use super::workload::{Owners, Schedule, controlling, is_volatile, lasting_selector, stable};
use super::{Inventory, PodId, Tenure, WorkloadInfo};
use crate::endpoint::{NodeAddressKind, Pod, Workload};
use crate::label::Labels;
use crate::manifest::object::{self, IntOrString};
use crate::manifest::{Controller, Objects, Stored};
use crate::port::ContainerPort;

/// A pod with what only the building needs.
struct Raw {
    pod: Pod,
    from: Timestamp,
    /// When it ended, where that is known.
    to: Option<Timestamp>,
    /// By when it was gone at the latest, `MAX` where nobody says.
    gone_by: Timestamp,
    /// Addresses it had before.
    former: Vec<IpAddr>,
    uid: Option<String>,
    service_account: Option<String>,
}

impl Inventory {
    pub(super) fn pods_and_workloads(&mut self, objects: &Objects) {
        let controllers: Vec<_> =
            newest(&objects.controllers, |controller| &controller.object.metadata).into_iter().cloned().collect();
        let owners = Owners::new(&controllers);
        let sightings = sightings(&objects.pods);
        let dumps = Dumps::new(objects);
        let mut raw: Vec<Raw> = Vec::with_capacity(sightings.len());
        for sighting in &sightings {
            let mut pod = self.read_pod(sighting.newest, &owners);
            pod.former = sighting.former.iter().filter(|ip| !pod.pod.addresses.contains(ip)).copied().collect();
            if let Some(gone_by) = dumps.lost(sighting) {
                pod.pod.finished = true;
                pod.gone_by = gone_by;
            }
            raw.push(pod);
        }
        let owned: BTreeSet<Workload> = raw.iter().map(|raw| raw.pod.workload.clone()).collect();
        let mut made: BTreeMap<Workload, Vec<&Stored<Controller>>> = BTreeMap::new();
        for stored in &controllers {
            if let Some(workload) = template_owner(stored, &owners)
                && !owned.contains(&workload)
            {
                made.entry(workload).or_default().push(stored);
            }
        }
        for (workload, templates) in &made {
            let pods = templates.iter().filter_map(|stored| template_pod(&stored.object.object, workload));
            raw.extend(pods.map(|pod| Raw {
                pod,
                from: Timestamp::MAX,
                to: None,
                gone_by: Timestamp::MAX,
                former: Vec::new(),
                uid: None,
                service_account: None,
            }));
        }
        raw.sort_by(|a, b| {
            let key = |raw: &Raw| (raw.from, raw.uid.clone());
            (&a.pod.namespace, &a.pod.name).cmp(&(&b.pod.namespace, &b.pod.name)).then_with(|| key(a).cmp(&key(b)))
        });
        // Of one name there is one pod at a time: the earlier one is over.
        for at in 1..raw.len() {
            let (earlier, later) = raw.split_at_mut(at);
            let (earlier, later) = (&mut earlier[at - 1].pod, &later[0].pod);
            earlier.finished |= (&earlier.namespace, &earlier.name) == (&later.namespace, &later.name);
        }
        self.tenures(&mut raw);
        for (index, raw) in raw.iter().enumerate() {
            let pod = &raw.pod;
            let info = self.workloads.entry(pod.workload.clone()).or_default();
            info.pods.push(PodId(index as u32));
            info.service_account = info.service_account.take().or_else(|| raw.service_account.clone());
            // A rollout may be changing it: as long as one pod has a network of its own, policies apply to it.
            info.host_network = pod.host_network && (info.pods.len() == 1 || info.host_network);
            info.from_template |= raw.from == Timestamp::MAX;
        }
        let end = |raw: &Raw| if raw.pod.finished { raw.to } else { Some(Timestamp::MAX) };
        self.lives = raw.iter().map(|raw| (raw.from, end(raw))).collect();
        self.pods = raw.into_iter().map(|raw| raw.pod).collect();
        for (workload, info) in &mut self.workloads {
            describe(workload, info, &self.pods, &owners);
        }
        self.make_up(&sightings, &controllers, &owners);
        for pod in &self.pods {
            if self.namespaces.labels(&pod.namespace).is_none() {
                self.namespaces.insert(&pod.namespace, Labels::new());
                self.unlabelled.insert(pod.namespace.clone());
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

    /// What workloads are made of, and how many pods they are to have.
    fn make_up(&mut self, sightings: &[Sighting<'_>], controllers: &[Stored<Controller>], owners: &Owners<'_>) {
        for stored in controllers {
            let controller = &stored.object.object;
            let workload = owner_of(stored, owners);
            let Some(info) = self.workloads.get_mut(&workload) else { continue };
            let is_top = workload.kind == stored.object.kind && workload.name == controller.metadata.name;
            if let Some(template) = controller.template() {
                info.note(&template.metadata, &template.spec);
            }
            if is_top {
                info.schedule = Schedule::of(controller);
                info.origin = Some(stored.origin.clone());
            }
            // An owner speaks for those it owns; what a Job runs at once is no number of replicas.
            let own = owners.get(&workload.namespace, &workload.kind, &workload.name);
            let speaks = is_top || own.is_none_or(|own| own.spec.replicas.is_none());
            if let Some(replicas) = controller.spec.replicas.filter(|_| speaks && workload.kind != "DaemonSet") {
                info.replicas = Some(info.replicas.unwrap_or_default().saturating_add(replicas));
            }
        }
        for sighting in sightings {
            let pod = &sighting.newest.object;
            let (namespace, kind, name) = identity(pod, owners);
            if let Some(info) = self.workloads.get_mut(&Workload { namespace, kind, name }) {
                info.note(&pod.metadata, &pod.spec);
                info.origin.get_or_insert_with(|| sighting.newest.origin.clone());
            }
        }
    }

    fn read_pod(&mut self, stored: &Stored<object::Pod>, owners: &Owners<'_>) -> Raw {
        let object = &stored.object;
        let metadata = &object.metadata;
        let (namespace, kind, name) = identity(object, owners);
        let labels = metadata.labels.clone().unwrap_or_default();
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
            gone_by: Timestamp::MAX,
            former: Vec::new(),
            uid: metadata.uid.clone(),
            service_account: object.spec.service_account_name.clone().filter(|name| !name.is_empty()),
        }
    }

    /// Lays the pods of each address out in time. A pod without a known end holds its address until the next one
    /// comes if it is over, by its phase or because a later dump no longer has it, and then no longer than to the time
    /// that dump was taken; two that are alive cannot be told apart.
    fn tenures(&mut self, raw: &mut [Raw]) {
        let mut by_ip: BTreeMap<IpAddr, Vec<usize>> = BTreeMap::new();
        for (index, raw) in raw.iter().enumerate().filter(|(_, raw)| !raw.pod.host_network) {
            for ip in raw.pod.addresses.iter().chain(&raw.former) {
                by_ip.entry(*ip).or_default().push(index);
            }
        }
        for (ip, mut holders) in by_ip {
            holders.sort_by_key(|index| (raw[*index].from, *index));
            let mut tenures: Vec<Tenure> = Vec::with_capacity(holders.len());
            for (position, &index) in holders.iter().enumerate() {
                let next = holders[position + 1..].iter().find(|next| raw[**next].from > raw[index].from).copied();
                let gone_by = raw[index].gone_by.max(raw[index].from);
                let to = match (raw[index].to, next) {
                    (Some(end), _) => end,
                    (None, Some(next)) if raw[index].pod.finished || raw[index].former.contains(&ip) => {
                        raw[next].from.min(gone_by)
                    }
                    (None, _) => gone_by,
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
}

/// A pod's newest version, and every file that has it.
struct Sighting<'a> {
    newest: &'a Stored<object::Pod>,
    files: BTreeSet<Arc<str>>,
    /// Addresses that older versions had: a pod gets another one when its sandbox is made anew, as after a reboot.
    former: BTreeSet<IpAddr>,
}

/// The pods of all files. Two pods of one name are two pods where their uids differ.
fn sightings(stored: &[Stored<object::Pod>]) -> Vec<Sighting<'_>> {
    let mut by_uid: BTreeMap<(String, &str, Option<&str>), Sighting<'_>> = BTreeMap::new();
    for candidate in stored {
        let metadata = &candidate.object.metadata;
        let key = (namespace_of(metadata), metadata.name.as_str(), metadata.uid.as_deref());
        let known = by_uid.entry(key).or_insert_with(|| Sighting {
            newest: candidate,
            files: BTreeSet::new(),
            former: BTreeSet::new(),
        });
        known.files.insert(candidate.origin.file.clone());
        let status = &candidate.object.status;
        let listed = status.pod_ips.iter().flatten().map(|entry| entry.ip.as_str());
        known.former.extend(listed.chain(status.pod_ip.as_deref()).filter_map(address_of));
        let order = age(known.newest).cmp(&age(candidate));
        let order = order.then_with(|| debug_order(&known.newest.object, &candidate.object));
        if order.then_with(|| candidate.origin.cmp(&known.newest.origin)) == Ordering::Less {
            known.newest = candidate;
        }
    }
    by_uid.into_values().collect()
}

fn age(pod: &Stored<object::Pod>) -> u64 {
    version(pod.object.metadata.resource_version.as_deref())
}

/// Which of several dumps of one cluster is the newest: dumps share objects of namespaces, and the later one has the
/// higher resource version. Files that share none, or only Namespaces and Nodes, are parts of one dump and say nothing
/// about each other; and a file speaks only about namespaces of which it holds pods.
struct Dumps {
    age: HashMap<Arc<str>, u64>,
    overlap: BTreeSet<(Arc<str>, Arc<str>)>,
    /// Files and the namespaces of which they hold pods.
    holds: BTreeSet<(Arc<str>, String)>,
    /// When they were taken, where they say so.
    taken: BTreeMap<Arc<str>, Timestamp>,
}

impl Dumps {
    fn new(objects: &Objects) -> Dumps {
        let mut dumps = Dumps {
            age: HashMap::new(),
            overlap: BTreeSet::new(),
            holds: BTreeSet::new(),
            taken: objects.taken.clone(),
        };
        let mut shared: BTreeMap<(Arc<str>, Arc<str>), usize> = BTreeMap::new();
        let mut with_uid: HashMap<&str, BTreeSet<&Arc<str>>> = HashMap::new();
        let pods = objects.pods.iter().map(|stored| (&stored.object.metadata, &stored.origin));
        for (metadata, origin) in pods.clone() {
            dumps.holds.insert((origin.file.clone(), namespace_of(metadata)));
        }
        let services = objects.services.iter().map(|stored| (&stored.object.metadata, &stored.origin));
        let controllers = objects.controllers.iter().map(|stored| (&stored.object.object.metadata, &stored.origin));
        for (metadata, origin) in pods.chain(services).chain(controllers) {
            let age = dumps.age.entry(origin.file.clone()).or_default();
            *age = (*age).max(version(metadata.resource_version.as_deref()));
            if let Some(uid) = &metadata.uid {
                with_uid.entry(uid).or_default().insert(&origin.file);
            }
        }
        for files in with_uid.values().filter(|files| files.len() > 1) {
            for here in files {
                for there in files.iter().filter(|there| *there != here) {
                    *shared.entry(((*here).clone(), (*there).clone())).or_default() += 1;
                }
            }
        }
        // A file with a newer version of one object is no dump of its own.
        dumps.overlap.extend(shared.into_iter().filter(|(_, count)| *count > 1).map(|(files, _)| files));
        dumps
    }

    /// Whether a later dump no longer has the pod, and when the first of them was taken: `MAX` where none says.
    fn lost(&self, sighting: &Sighting<'_>) -> Option<Timestamp> {
        let latest = sighting.files.iter().map(|file| self.age[file]).max().unwrap_or_default();
        let later = |file: &Arc<str>| self.age[file] > latest;
        let namespace = namespace_of(&sighting.newest.object.metadata);
        let speaks = |file: &Arc<str>| later(file) && self.holds.contains(&(file.clone(), namespace.clone()));
        let without = self.overlap.iter().filter(|(here, there)| sighting.files.contains(here) && speaks(there));
        without.map(|(_, there)| self.taken.get(there).copied().unwrap_or(Timestamp::MAX)).min()
    }
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

/// Namespace, kind and name of a pod's workload.
fn identity(pod: &object::Pod, owners: &Owners<'_>) -> (String, String, String) {
    let metadata = &pod.metadata;
    let namespace = namespace_of(metadata);
    let (kind, name) = match controlling(metadata.owner_references.as_deref()) {
        Some(owner) => owners.top(&namespace, metadata.labels.as_ref().unwrap_or(&Labels::new()), owner.clone()),
        None => ("Pod".to_string(), metadata.name.clone()),
    };
    // No API server takes an owner without a kind, but manifests for other tools hold some: pods of one name.
    (namespace, if kind.is_empty() { "Pod".to_string() } else { kind }, name)
}

/// The workload that a controller's pods belong to.
fn owner_of(stored: &Stored<Controller>, owners: &Owners<'_>) -> Workload {
    let metadata = &stored.object.object.metadata;
    let namespace = namespace_of(metadata);
    let (kind, name) = match controlling(metadata.owner_references.as_deref()) {
        Some(owner) => {
            let labels = metadata.labels.clone().unwrap_or_default();
            owners.top(&namespace, &labels, owner.clone())
        }
        None => (stored.object.kind.clone(), metadata.name.clone()),
    };
    Workload { namespace, kind, name }
}

/// The workload for which a controller's template may stand where there are no pods. One that is owned stands for its
/// owner if that has no template of its own, as operators do; ReplicaSets and Jobs do not, they are past or current
/// runs of an owner that has.
fn template_owner(stored: &Stored<Controller>, owners: &Owners<'_>) -> Option<Workload> {
    let controller = &stored.object.object;
    controller.template()?;
    let workload = owner_of(stored, owners);
    if controlling(controller.metadata.owner_references.as_deref()).is_none() {
        return Some(workload);
    }
    let lasting = matches!(stored.object.kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet" | "CronJob");
    let own = owners.get(&workload.namespace, &workload.kind, &workload.name);
    let speaks = own.is_some_and(|own| own.template().is_some());
    (lasting && !speaks && !workload.kind.is_empty()).then_some(workload)
}

/// The pod that stands for a workload without pods, so that plain manifests work.
fn template_pod(controller: &object::Controller, workload: &Workload) -> Option<Pod> {
    let template = controller.template()?;
    Some(Pod {
        name: format!("{}-*", controller.metadata.name),
        workload: workload.clone(),
        namespace: workload.namespace.clone(),
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
