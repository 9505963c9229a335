//! Who held which address when, and who stands behind which Service.

mod build;
mod declaration;
mod pods;
mod service;
mod workload;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use capture::Timestamp;
use capture::time::SECOND;
use ipnet::IpNet;

use crate::cluster::ClusterPolicy;
use crate::endpoint::{Endpoint, Node, Pod, Unresolved, Workload};
use crate::evaluate::{Evaluator, Namespaces};
use crate::policy::{Policy, PolicySet};

pub use build::Options;
pub use declaration::{Declaration, DeclaredTarget, ScrapedPort};
pub use service::{Backend, Frontend, Service, ServicePort, Target, TargetPort};
pub use workload::{Presence, Schedule, WorkloadInfo, owner_by_hash};
pub(crate) use workload::{is_volatile, stable};

/// Index of a pod in [`Inventory::pods`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodId(pub u32);

/// Clocks of the cluster and of the capture may differ: where nobody held an address at the moment of a flow, a single
/// holder this much earlier or later counts.
const SLACK: i64 = 5 * SECOND;

/// A pod held an address from `from` (inclusive) to `to` (exclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tenure {
    from: Timestamp,
    to: Timestamp,
    pod: PodId,
}

/// The cluster's objects, resolved: pure data, made once from everything that was read.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// All pods, those that are over included, sorted by namespace and name.
    pub pods: Vec<Pod>,
    /// The namespaces and their labels.
    pub namespaces: Namespaces,
    /// Those of pods whose Namespace is not in the input: their labels, but for the name, are not known.
    pub unlabelled: BTreeSet<String>,
    /// The nodes by name.
    pub nodes: BTreeMap<String, Node>,
    /// The workloads with their pods and selectors.
    pub workloads: BTreeMap<Workload, WorkloadInfo>,
    /// The Services, sorted by namespace and name.
    pub services: Vec<Service>,
    /// The NetworkPolicies, sorted by namespace and name.
    pub policies: Vec<Policy>,
    /// The cluster-wide policies, in the order in which they are asked.
    pub cluster_policies: Vec<ClusterPolicy>,
    /// What objects say about connections, sorted by kind and name.
    pub declarations: Vec<Declaration>,
    /// Ranges in which pods have their addresses.
    pub pod_ranges: Vec<IpNet>,
    /// Findings about the cluster input itself, in words.
    pub warnings: Vec<String>,
    /// Policies of one name of which only one counts, in words.
    pub duplicates: Vec<String>,
    /// Ranges that observers wrote down for outside addresses which they had no room to keep apart, by their first address.
    folded: BTreeMap<IpAddr, IpNet>,
    tenures: HashMap<IpAddr, Vec<Tenure>>,
    node_of: HashMap<IpAddr, String>,
    frontends: HashMap<(IpAddr, capture::Protocol, u16), Frontend>,
    service_addresses: HashSet<IpAddr>,
    /// By pod: the Services whose selector matches it.
    behind: Vec<Vec<usize>>,
    /// By pod: from when it was there, and until when; no end where it is over and nothing says since when.
    lives: Vec<(Timestamp, Option<Timestamp>)>,
    /// By node: the living pods on its network.
    on_host: HashMap<String, Vec<PodId>>,
}

/// Who an address belongs to at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder<'a> {
    /// A pod with an address of its own.
    Pod(PodId),
    /// A node, or a pod on its network.
    Node(&'a str),
    /// Nobody of the cluster.
    External,
    /// A pod, but it is not known which.
    Unresolved(Unresolved),
}

impl Inventory {
    /// The policies of the cluster input.
    pub fn policy_set(&self) -> PolicySet<'_> {
        PolicySet { network: &self.policies, cluster: &self.cluster_policies }
    }

    /// An evaluator of policies on this cluster.
    pub fn evaluator<'a>(&'a self, policies: impl Into<PolicySet<'a>>) -> Evaluator<'a> {
        Evaluator::new(policies, &self.namespaces).with_nodes(&self.nodes)
    }

    /// The pod of an index.
    pub fn pod(&self, id: PodId) -> &Pod {
        &self.pods[id.0 as usize]
    }

    /// All pods with their indices.
    pub fn pod_ids(&self) -> impl Iterator<Item = (PodId, &Pod)> {
        self.pods.iter().enumerate().map(|(index, pod)| (PodId(index as u32), pod))
    }

    /// Who holds `ip` at `time`.
    pub fn holder(&self, ip: IpAddr, time: Timestamp) -> Holder<'_> {
        if let Some(tenures) = self.tenures.get(&ip) {
            let near = |slack: i64| {
                let mut found = tenures
                    .iter()
                    .filter(move |tenure| tenure.from.plus(-slack) <= time && time < tenure.to.plus(slack))
                    .map(|tenure| tenure.pod);
                (found.next(), found.next())
            };
            match near(0) {
                (Some(_), Some(_)) => return Holder::Unresolved(Unresolved::TwoHolders),
                (Some(pod), None) => return Holder::Pod(pod),
                (None, _) => {}
            }
            if let (Some(pod), None) = near(SLACK) {
                return Holder::Pod(pod);
            }
        }
        if let Some(node) = self.node_of.get(&ip) {
            return Holder::Node(node);
        }
        if self.service_addresses.contains(&ip) {
            Holder::Unresolved(Unresolved::NoBackend)
        } else if self.in_pod_range(ip) {
            Holder::Unresolved(Unresolved::NoHolder)
        } else {
            Holder::External
        }
    }

    /// [`Inventory::holder`] as an endpoint.
    pub fn endpoint(&self, ip: IpAddr, time: Timestamp) -> Endpoint {
        match self.holder(ip, time) {
            Holder::Pod(pod) => Endpoint::Workload(self.pod(pod).workload.clone()),
            Holder::Node(name) => Endpoint::Node(name.to_string()),
            Holder::External => Endpoint::External(self.folded.get(&ip).copied().unwrap_or_else(|| IpNet::from(ip))),
            Holder::Unresolved(reason) => Endpoint::Unresolved { ip, reason },
        }
    }

    /// Says that the first address of each of `ranges` stands for the range in flows, where it is nobody's of the cluster.
    /// Of several ranges with one first address the widest counts.
    pub fn fold(&mut self, ranges: impl IntoIterator<Item = IpNet>) {
        for range in ranges {
            let range = range.trunc();
            let known = self.folded.entry(range.network()).or_insert(range);
            if range.prefix_len() < known.prefix_len() {
                *known = range;
            }
        }
    }

    /// Whether pods have their addresses in a range that holds `ip`.
    fn in_pod_range(&self, ip: IpAddr) -> bool {
        self.pod_ranges.iter().any(|range| range.contains(&ip))
    }

    /// Whether the pod existed at `time`, give or take the slack of clocks.
    fn alive(&self, id: PodId, time: Timestamp) -> bool {
        self.pod(id).addresses.iter().any(|ip| {
            self.tenures
                .get(ip)
                .into_iter()
                .flatten()
                .any(|tenure| tenure.pod == id && tenure.from.plus(-SLACK) <= time && time < tenure.to.plus(SLACK))
        })
    }

    /// Whether any pod of `workload` existed between two times, both inclusive. One made from a template did not.
    pub fn existed(&self, workload: &Workload, from: Timestamp, to: Timestamp) -> Presence {
        let pods = self.workloads.get(workload).map(|info| info.pods.as_slice()).unwrap_or_default();
        let of = |id: &PodId| {
            let (began, ended) = self.lives.get(id.0 as usize).copied().unwrap_or((Timestamp::MAX, None));
            match ended {
                _ if began == Timestamp::MAX || began > to => Presence::No,
                _ if began >= from => Presence::Yes,
                Some(ended) if ended > from => Presence::Yes,
                Some(_) => Presence::No,
                None => Presence::Unknown,
            }
        };
        pods.iter().map(of).max().unwrap_or(Presence::No)
    }

    /// The node that has an address.
    pub fn node_name(&self, ip: IpAddr) -> Option<&str> {
        self.node_of.get(&ip).map(String::as_str)
    }

    /// The living pods on a node's own network.
    pub fn host_pods(&self, node: &str) -> impl Iterator<Item = &Pod> {
        self.on_host.get(node).into_iter().flatten().map(|id| self.pod(*id))
    }

    /// Whether a pod of `workload` ever held `ip`.
    pub fn ever_held(&self, ip: IpAddr, workload: &Workload) -> bool {
        self.tenures.get(&ip).into_iter().flatten().any(|tenure| self.pod(tenure.pod).workload == *workload)
    }

    /// Moments at which who an address stands for may change, in ascending order: those at which its own holder does, and
    /// for a Service's address those at which one of its backends comes or goes.
    pub fn moments(&self) -> capture::track::Turnovers {
        let of_address = |ip: &IpAddr| {
            let tenures = self.tenures.get(ip).into_iter().flatten();
            tenures.flat_map(|tenure| [tenure.from, tenure.to]).flat_map(|at| [at.plus(-SLACK), at, at.plus(SLACK)])
        };
        let mut moments: HashMap<IpAddr, BTreeSet<Timestamp>> = HashMap::new();
        for ip in self.tenures.keys() {
            moments.entry(*ip).or_default().extend(of_address(ip));
        }
        for ((ip, _, _), frontend) in &self.frontends {
            let backends = self.services[frontend.service].pods.iter().flat_map(|id| &self.pod(*id).addresses);
            moments.entry(*ip).or_default().extend(backends.flat_map(of_address));
        }
        let never = [Timestamp::MIN, Timestamp::MAX].map(|end| [end.plus(-SLACK), end, end.plus(SLACK)]).concat();
        moments
            .into_iter()
            .map(|(ip, at)| (ip, at.into_iter().filter(|at| !never.contains(at)).collect::<Vec<_>>()))
            .filter(|(_, at)| !at.is_empty())
            .collect()
    }

    /// Moments at which addresses change hands, for addresses that ever do.
    pub fn turnovers(&self) -> capture::track::Turnovers {
        let changing = self.tenures.iter().filter(|(_, tenures)| tenures.len() > 1);
        changing.map(|(ip, tenures)| (*ip, tenures.iter().skip(1).map(|tenure| tenure.from).collect())).collect()
    }
}

#[cfg(test)]
mod tests;
