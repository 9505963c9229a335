//! What people call the ends of a connection.

use std::net::IpAddr;

use crate::endpoint::Workload;
use crate::evaluate::Family;
use crate::inventory::{Inventory, PodId};
use crate::port::Protocol;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// Pods: one, or those of a workload.
    Pods {
        /// `namespace/pod` or `namespace/Kind/name`.
        name: String,
        /// The pods, never empty.
        pods: Vec<PodId>,
        /// The address they were named by.
        address: Option<IpAddr>,
    },
    /// An address that is no pod's own.
    Address(IpAddr),
    /// A Service.
    Service {
        /// Its index.
        index: usize,
        /// The address it was named by.
        address: Option<IpAddr>,
    },
}

impl Named {
    /// The family of the address that was named.
    pub fn family(&self) -> Option<Family> {
        match self {
            Named::Pods { address, .. } | Named::Service { address, .. } => address.map(Family::of),
            Named::Address(ip) => Some(Family::of(*ip)),
        }
    }
}

/// Why a name stands for nothing, or for too much.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is no such thing.
    #[error("{written}: no such pod, workload, Service or address in the cluster input{}", did_you_mean(.close))]
    Unknown {
        /// As typed.
        written: String,
        /// Names that are like it.
        close: Vec<String>,
    },
    /// There are several.
    #[error("{written}: which one? {}", .names.join(", "))]
    Ambiguous {
        /// As typed.
        written: String,
        /// All of them.
        names: Vec<String>,
    },
    /// No port follows.
    #[error("{0}: a server needs a port, as in shop/api:8080 or [2001:db8::1]:53/UDP")]
    NoPort(String),
}

fn did_you_mean(close: &[String]) -> String {
    if close.is_empty() { String::new() } else { format!("; did you mean {}?", close.join(" or ")) }
}

/// A server's name, port and protocol as typed: `SERVER:PORT`, `SERVER:PORT/UDP`, `[ADDRESS]:PORT`.
///
/// # Errors
/// There is no port.
pub fn server(written: &str) -> Result<(&str, &str, Protocol), NameError> {
    let none = || NameError::NoPort(written.to_string());
    let (socket, protocol) = match written.rsplit_once('/') {
        Some((socket, protocol)) => match Protocol::from_name(&protocol.to_uppercase()) {
            Some(protocol) => (socket, protocol),
            None => (written, Protocol::Tcp),
        },
        None => (written, Protocol::Tcp),
    };
    let (name, port) = socket.rsplit_once(':').ok_or_else(none)?;
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    // An IPv6 address without brackets has no port that could be told from it.
    let bare = !socket.starts_with('[') && socket.parse::<IpAddr>().is_ok();
    if bare || name.is_empty() || port.is_empty() { Err(none()) } else { Ok((name, port, protocol)) }
}

/// Finds what a name stands for. `namespace` is that of names without one.
///
/// # Errors
/// Nothing, or several things, have this name.
pub fn find(written: &str, namespace: Option<&str>, inventory: &Inventory) -> Result<Named, NameError> {
    let bare = written.strip_prefix('[').and_then(|written| written.strip_suffix(']')).unwrap_or(written);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(address(ip.to_canonical(), inventory));
    }
    let parts: Vec<&str> = written.split('/').collect();
    let (space, kind, name) = match parts.as_slice() {
        [name] => (namespace, None, *name),
        [space, name] => (Some(*space), None, *name),
        [space, kind, name] => (Some(*space), Some(*kind), *name),
        _ => return Err(NameError::Unknown { written: written.to_string(), close: Vec::new() }),
    };
    let all = candidates(inventory);
    let fits = |candidate: &&Candidate| {
        space.is_none_or(|space| space == candidate.namespace)
            && candidate.name == name
            && kind.is_none_or(|kind| candidate.is_kind(kind))
    };
    let mut found: Vec<&Candidate> = all.iter().filter(fits).collect();
    // A bare pod is its own workload; a Service is meant only where nothing else has the name.
    found.dedup_by(|next, kept| next.label == kept.label);
    if kind.is_none() && found.iter().any(|candidate| !candidate.is_service()) {
        found.retain(|candidate| !candidate.is_service());
    }
    match found.as_slice() {
        [one] => Ok(one.named.clone()),
        [] => {
            let mut close: Vec<(usize, &Candidate)> = Vec::new();
            for candidate in &all {
                close.extend(crate::lint::likeness(name, &candidate.name).map(|rank| (rank, candidate)));
            }
            close.sort_by(|a, b| (a.0, &a.1.label).cmp(&(b.0, &b.1.label)));
            // The same name elsewhere is the likeliest.
            let close = close.into_iter().map(|(_, candidate)| candidate.label.clone()).take(3).collect();
            Err(NameError::Unknown { written: written.to_string(), close })
        }
        several => {
            let names = several.iter().map(|candidate| candidate.label.clone()).collect();
            Err(NameError::Ambiguous { written: written.to_string(), names })
        }
    }
}

/// Something that can be named.
struct Candidate {
    namespace: String,
    kind: String,
    name: String,
    label: String,
    named: Named,
}

impl Candidate {
    fn is_service(&self) -> bool {
        matches!(self.named, Named::Service { .. })
    }

    fn is_kind(&self, kind: &str) -> bool {
        let short = match kind.to_lowercase().as_str() {
            "deploy" => "deployment".to_string(),
            "sts" => "statefulset".to_string(),
            "ds" => "daemonset".to_string(),
            "svc" => "service".to_string(),
            "po" => "pod".to_string(),
            "cj" => "cronjob".to_string(),
            other => other.to_string(),
        };
        self.kind.eq_ignore_ascii_case(&short)
    }
}

fn candidates(inventory: &Inventory) -> Vec<Candidate> {
    let workload = |(workload, info): (&Workload, &crate::inventory::WorkloadInfo)| Candidate {
        namespace: workload.namespace.clone(),
        kind: workload.kind.clone(),
        name: workload.name.clone(),
        label: workload.to_string(),
        named: Named::Pods { name: workload.to_string(), pods: info.pods.clone(), address: None },
    };
    let pod = |(id, pod): (PodId, &crate::endpoint::Pod)| {
        // A bare pod is a workload already.
        let bare = pod.workload.kind == "Pod" && pod.workload.name == pod.name;
        let name = format!("{}/{}", pod.namespace, pod.name);
        (!bare).then(|| Candidate {
            namespace: pod.namespace.clone(),
            kind: "Pod".to_string(),
            name: pod.name.clone(),
            label: format!("{}/Pod/{}", pod.namespace, pod.name),
            named: Named::Pods { name, pods: vec![id], address: None },
        })
    };
    let service = |(index, service): (usize, &crate::inventory::Service)| Candidate {
        namespace: service.namespace.clone(),
        kind: "Service".to_string(),
        name: service.name.clone(),
        label: format!("{}/Service/{}", service.namespace, service.name),
        named: Named::Service { index, address: None },
    };
    let workloads = inventory.workloads.iter().map(workload);
    let pods = inventory.pod_ids().filter_map(pod);
    workloads.chain(pods).chain(inventory.services.iter().enumerate().map(service)).collect()
}

fn address(ip: IpAddr, inventory: &Inventory) -> Named {
    if let Some(id) = inventory.pod_at(ip) {
        let pod = inventory.pod(id);
        return Named::Pods { name: format!("{}/{}", pod.namespace, pod.name), pods: vec![id], address: Some(ip) };
    }
    let service = inventory.services.iter().position(|service| service.cluster_ips.contains(&ip));
    service.map_or(Named::Address(ip), |index| Named::Service { index, address: Some(ip) })
}
