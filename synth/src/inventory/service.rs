//! Services: which addresses and ports lead to which pods.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use capture::{Protocol, Socket, Timestamp};

use super::{Holder, Inventory, PodId};
use crate::label::{Labels, Selector};
use crate::policy::Origin;

/// A Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `spec.selector`; `None` where the endpoints are written by somebody else.
    pub selector: Option<Selector>,
    /// `spec.ports`.
    pub ports: Vec<ServicePort>,
    /// Whether the world outside reaches it: type NodePort or LoadBalancer, or with externalIPs.
    pub public: bool,
    /// `spec.externalTrafficPolicy` is not `Local`: the source of outside traffic may become a node's address.
    pub hides_source: bool,
    /// Its cluster addresses; none for a headless Service.
    pub cluster_ips: Vec<IpAddr>,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `metadata.annotations` that speak of scraping.
    pub annotations: BTreeMap<String, String>,
    /// Where it was read.
    pub origin: Origin,
    /// The pods that its selector matches, those that are over included.
    pub(super) pods: Vec<PodId>,
    /// Endpoints of its EndpointSlices (or Endpoints): address, port name, protocol, port, and whether it is serving.
    pub(super) endpoints: BTreeSet<SliceEntry>,
}

/// One address and port of an EndpointSlice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SliceEntry {
    pub(super) ip: IpAddr,
    pub(super) port_name: String,
    pub(super) protocol: Protocol,
    /// `None` for all ports.
    pub(super) port: Option<u16>,
    pub(super) serving: bool,
}

/// One port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// `name`, empty where absent.
    pub name: String,
    /// `protocol`.
    pub protocol: Protocol,
    /// `port`.
    pub port: u16,
    /// `targetPort`.
    pub target: TargetPort,
    /// `nodePort`.
    pub node_port: Option<u16>,
}

/// `targetPort`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetPort {
    /// A number, or absent: the Service's own port.
    Number(u16),
    /// The name of a container port.
    Named(String),
}

/// What a dialled address and port belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frontend {
    /// Index in `Inventory::services`.
    pub service: usize,
    /// Index in [`Service::ports`].
    pub port: usize,
    /// Whether it is the nodePort of a node's address.
    pub node_port: bool,
}

/// An address and port behind a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Backend {
    /// The address.
    pub ip: IpAddr,
    /// The port after translation.
    pub port: u16,
    /// The pod, where it is one.
    pub pod: Option<PodId>,
}

/// Who is at an end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A pod.
    Pod(PodId),
    /// An address that is no pod's.
    Address(IpAddr),
}

impl Backend {
    /// Address and port.
    pub fn socket(&self) -> Socket {
        Socket { ip: self.ip, port: self.port }
    }
}

impl Inventory {
    /// The Service behind a dialled address and port.
    pub fn frontend(&self, ip: IpAddr, protocol: Protocol, port: u16) -> Option<Frontend> {
        self.frontends.get(&(ip, protocol, port)).copied()
    }

    /// `namespace/name:port` of a frontend.
    pub fn frontend_name(&self, frontend: Frontend) -> String {
        let service = &self.services[frontend.service];
        format!("{}/{}:{}", service.namespace, service.name, service.ports[frontend.port].port)
    }

    /// The addresses and ports that a connection to `frontend` could have been sent to at `time`, of the family of
    /// `ip4`: serving pods that were alive then; else any that were; else, for a Service that selects pods, those of
    /// today, because the pods of then are gone but their workload is not; else the endpoints somebody wrote.
    pub fn backends(&self, frontend: Frontend, ip4: bool, time: Timestamp) -> Vec<Backend> {
        let service = &self.services[frontend.service];
        let port = &service.ports[frontend.port];
        let mut serving = BTreeSet::new();
        let mut alive = BTreeSet::new();
        let mut today = BTreeSet::new();
        for &id in &service.pods {
            let pod = self.pod(id);
            let Some(number) = port.target_on(pod) else { continue };
            let was_there = pod.host_network && !pod.finished || self.alive(id, time);
            for ip in pod.addresses.iter().filter(|ip| ip.is_ipv4() == ip4) {
                let backend = Backend { ip: *ip, port: number, pod: (!pod.host_network).then_some(id) };
                if !pod.finished {
                    today.insert(backend);
                }
                if was_there {
                    alive.insert(backend);
                    // Readiness is that of the dump's moment; of pods that are over it says nothing.
                    let ready = || service.endpoints.iter().any(|entry| entry.ip == *ip && entry.serving);
                    if pod.finished || service.endpoints.is_empty() || ready() {
                        serving.insert(backend);
                    }
                }
            }
        }
        let written = || -> BTreeSet<Backend> {
            let fits = |entry: &&SliceEntry| {
                entry.serving
                    && entry.protocol == port.protocol
                    && entry.port_name == port.name
                    && entry.ip.is_ipv4() == ip4
            };
            service.endpoints.iter().filter(fits).map(|entry| self.written_backend(entry, port.port, time)).collect()
        };
        let mut found = [serving, alive, today].into_iter().find(|backends| !backends.is_empty());
        if found.is_none() && service.selector.is_none() {
            found = Some(written());
        }
        found.unwrap_or_default().into_iter().collect()
    }

    fn written_backend(&self, entry: &SliceEntry, port: u16, time: Timestamp) -> Backend {
        let pod = match self.holder(entry.ip, time) {
            Holder::Pod(pod) => Some(pod),
            _ => None,
        };
        Backend { ip: entry.ip, port: entry.port.unwrap_or(port), pod }
    }

    /// Where a Service's port leads, as the objects say today: pods, or addresses that somebody wrote, with their port.
    pub fn targets(&self, service: &Service, port: &ServicePort) -> Vec<(Target, u16)> {
        let pods = service.pods.iter().filter(|id| !self.pod(**id).finished);
        let pods = pods.filter_map(|id| Some((Target::Pod(*id), port.target_on(self.pod(*id))?)));
        let written = service.endpoints.iter().filter(|entry| service.selector.is_none() && entry.serving);
        let written = written.filter(|entry| entry.protocol == port.protocol && entry.port_name == port.name);
        pods.chain(written.map(|entry| (Target::Address(entry.ip), entry.port.unwrap_or(port.port)))).collect()
    }

    /// The living pod that has an address of its own.
    pub fn pod_at(&self, ip: IpAddr) -> Option<PodId> {
        let held = |(_, pod): &(PodId, &crate::endpoint::Pod)| {
            !pod.finished && !pod.host_network && pod.addresses.contains(&ip.to_canonical())
        };
        self.pod_ids().find(held).map(|(id, _)| id)
    }

    /// Services whose backend at `port` the pod is, with the Service's own port.
    pub fn services_of(
        &self,
        id: PodId,
        protocol: Protocol,
        port: u16,
    ) -> impl Iterator<Item = (&Service, &ServicePort)> {
        let pod = self.pod(id);
        self.behind[id.0 as usize]
            .iter()
            .map(|index| &self.services[*index])
            .flat_map(|service| service.ports.iter().map(move |entry| (service, entry)))
            .filter(move |(_, entry)| entry.protocol == protocol && entry.target_on(pod) == Some(port))
    }

    /// Endpoints of `default/kubernetes`: the API servers.
    pub fn api_servers(&self) -> BTreeMap<IpAddr, u16> {
        self.services
            .iter()
            .filter(|service| service.namespace == "default" && service.name == "kubernetes")
            .flat_map(|service| &service.endpoints)
            .filter_map(|entry| Some((entry.ip, entry.port?)))
            .collect()
    }
}

impl ServicePort {
    /// The number of the target port on one pod; named ports are looked up there.
    pub fn target_on(&self, pod: &crate::endpoint::Pod) -> Option<u16> {
        match &self.target {
            TargetPort::Number(number) => Some(*number),
            TargetPort::Named(name) => pod
                .ports
                .iter()
                .find(|declared| declared.name.as_deref() == Some(name) && declared.protocol == self.protocol)
                .map(|declared| declared.number),
        }
    }
}
