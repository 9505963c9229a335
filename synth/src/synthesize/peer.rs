//! Peers of a rule: selectors for pods, addresses for everything else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use capture::Protocol;
use ipnet::IpNet;

use crate::endpoint::NodeAddressKind;
use crate::endpoint::Workload;
use crate::inventory::Inventory;
use crate::label::{NAMESPACE_NAME, Requirement};
use crate::policy::{Block, Namespaces, Peer};
use crate::select::Group;

/// The pods of a group, as seen from a policy in `namespace`.
pub(super) fn pods(group: &Group, namespace: &str) -> Peer {
    let namespaces = if group.namespace == namespace {
        Namespaces::Own
    } else {
        Namespaces::Matching([Requirement::equals(NAMESPACE_NAME, &group.namespace)].into_iter().collect())
    };
    Peer::Pods { namespaces, pods: group.selector.clone() }
}

/// A range without exceptions.
pub(super) fn block(cidr: IpNet) -> Peer {
    Peer::Block(Block { cidr, except: Vec::new() })
}

/// Any address of a family except those of pods.
pub(super) fn world(ipv4: bool, pod_ranges: &[IpNet]) -> Peer {
    let cidr = if ipv4 { IpNet::V4(Default::default()) } else { IpNet::V6(Default::default()) };
    let same = |range: &&IpNet| matches!((range, &cidr), (IpNet::V4(_), IpNet::V4(_)) | (IpNet::V6(_), IpNet::V6(_)));
    Peer::Block(Block { cidr, except: pod_ranges.iter().filter(same).copied().collect() })
}

/// Ranges as the fewest that hold exactly the same addresses.
pub(super) fn exact(ranges: impl Iterator<Item = IpNet>) -> Vec<IpNet> {
    let mut ranges = IpNet::aggregate(&ranges.collect());
    ranges.sort();
    ranges
}

/// Ports of daemons that run on every node: kubelet, its read-only port, kube-proxy's health and metrics.
const ON_EVERY_NODE: [u16; 4] = [10250, 10255, 10256, 10249];

/// The addresses of a server on nodes: those observed, and those of the other nodes where the same server runs there,
/// with the reason.
pub(super) fn server_addresses(
    observed: &BTreeSet<IpAddr>,
    protocol: Protocol,
    port: u16,
    api_server: bool,
    inventory: &Inventory,
) -> (BTreeSet<IpAddr>, Option<String>) {
    if api_server {
        let all = inventory.api_servers();
        let more = all.iter().filter(|(ip, number)| **number == port && same_family(observed, **ip)).map(|(ip, _)| *ip);
        let addresses: BTreeSet<IpAddr> = observed.iter().copied().chain(more).collect();
        let reason = (addresses.len() > observed.len()).then(|| "all endpoints of default/kubernetes".to_string());
        return (addresses, reason);
    }
    let (nodes, reason) = if ON_EVERY_NODE.contains(&port) && protocol == Protocol::Tcp {
        (inventory.nodes.keys().cloned().collect(), "runs on every node".to_string())
    } else {
        let daemons: Vec<_> = inventory
            .pods
            .iter()
            .filter(|pod| {
                pod.host_network
                    && !pod.finished
                    && pod.workload.kind == "DaemonSet"
                    && pod.ports.iter().any(|declared| declared.protocol == protocol && declared.number == port)
            })
            .collect();
        let Some(first) = daemons.first() else { return (observed.clone(), None) };
        let nodes: BTreeSet<String> = daemons.iter().filter_map(|pod| pod.node.clone()).collect();
        (nodes, format!("{} runs on these nodes", first.workload))
    };
    extend(observed, &nodes, reason, inventory)
}

/// The addresses of a client on nodes: those observed; those of all nodes that run the same DaemonSet on their network
/// where it was seen on several of them and nothing less explains it; those of all nodes where any may forward.
pub(super) fn client_addresses(
    observed: &BTreeSet<IpAddr>,
    seen: &BTreeSet<&String>,
    forwarded: Option<&str>,
    inventory: &Inventory,
) -> (BTreeSet<IpAddr>, Option<String>) {
    if let Some(service) = forwarded {
        let nodes = inventory.nodes.keys().cloned().collect();
        return extend(observed, &nodes, format!("any node may forward for Service {service}"), inventory);
    }
    if seen.len() < 2 {
        return (observed.clone(), None);
    }
    let api: BTreeSet<&str> = inventory.api_servers().keys().filter_map(|ip| inventory.node_name(*ip)).collect();
    if seen.iter().all(|name| api.contains(name.as_str())) {
        let nodes = api.into_iter().map(str::to_string).collect();
        return extend(observed, &nodes, "all nodes with an API server".to_string(), inventory);
    }
    let mut daemons: BTreeMap<&Workload, BTreeSet<String>> = BTreeMap::new();
    for pod in inventory.pods.iter().filter(|pod| pod.host_network && !pod.finished && pod.workload.kind == "DaemonSet")
    {
        daemons.entry(&pod.workload).or_default().extend(pod.node.clone());
    }
    // The smallest set of nodes that covers those seen; the first by name among equals.
    let running = daemons.into_iter().filter(|(_, nodes)| seen.iter().all(|name| nodes.contains(*name)));
    match running.min_by_key(|(_, nodes)| nodes.len()) {
        Some((daemon, nodes)) => {
            let reason = format!("seen from {} nodes; {daemon} and others run on all {}", seen.len(), nodes.len());
            extend(observed, &nodes, reason, inventory)
        }
        None => (observed.clone(), None),
    }
}

/// Adds the addresses of `nodes` that are of the same kinds and families as the observed ones.
fn extend(
    observed: &BTreeSet<IpAddr>,
    nodes: &BTreeSet<String>,
    reason: String,
    inventory: &Inventory,
) -> (BTreeSet<IpAddr>, Option<String>) {
    let all = || inventory.nodes.values().flat_map(|node| &node.addresses);
    let kinds: BTreeSet<(NodeAddressKind, bool)> =
        all().filter(|(ip, _)| observed.contains(ip)).map(|(ip, kind)| (*kind, ip.is_ipv4())).collect();
    let of_nodes = nodes.iter().filter_map(|name| inventory.nodes.get(name)).flat_map(|node| &node.addresses);
    let more = of_nodes.filter(|(ip, kind)| kinds.contains(&(**kind, ip.is_ipv4()))).map(|(ip, _)| *ip);
    let addresses: BTreeSet<IpAddr> = observed.iter().copied().chain(more).collect();
    let reason = (addresses.len() > observed.len()).then_some(reason);
    (addresses, reason)
}

fn same_family(observed: &BTreeSet<IpAddr>, ip: IpAddr) -> bool {
    observed.iter().any(|known| known.is_ipv4() == ip.is_ipv4())
}
