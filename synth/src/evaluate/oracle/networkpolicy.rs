//! NetworkPolicy, `networking.k8s.io/v1`.

use std::net::IpAddr;

use serde_json::Value;

use super::{Cluster, Connection, End, list, namespace_labels, selects, within};
use crate::evaluate::{Namespaces, Options};

fn peer_fits(peer: &Value, namespace: &str, end: &End, namespaces: &Namespaces, options: Options) -> bool {
    if let Some(block) = peer.get("ipBlock") {
        let in_block =
            |&ip: &IpAddr| within(&block["cidr"], ip) && !list(block, "except").iter().any(|cidr| within(cidr, ip));
        return (end.pod.is_none() || options.ip_block_matches_pods) && end.ips.iter().any(in_block);
    }
    let Some((of, _, labels)) = &end.pod else { return false };
    let there = |key: &str| peer.get(key).filter(|selector| !selector.is_null());
    let in_namespace = match there("namespaceSelector") {
        None => of == namespace,
        Some(selector) => selects(selector, &namespace_labels(namespaces, of)),
    };
    in_namespace && there("podSelector").is_none_or(|selector| selects(selector, labels))
}

fn port_fits(item: &Value, server: &End, protocol: &str, port: u16) -> bool {
    if item.get("protocol").and_then(Value::as_str).unwrap_or("TCP") != protocol {
        return false;
    }
    match item.get("port").unwrap_or(&Value::Null) {
        Value::Null => true,
        Value::String(name) => {
            let is = |(other, number, of): &(String, u16, String)| other == name && *number == port && of == protocol;
            server.pod.is_some() && server.ports.iter().any(is)
        }
        number => {
            let first = number.as_u64().unwrap();
            let last = item.get("endPort").and_then(Value::as_u64).unwrap_or(first);
            first <= u64::from(port) && u64::from(port) <= last
        }
    }
}

/// Whether the policies that isolate the subject allow the connection; `None` where none isolates it.
pub(super) fn tier(cluster: &Cluster, connection: Connection, options: Options) -> Option<bool> {
    let Connection { direction, subject, peer, server, protocol, port } = connection;
    let (namespace, _, labels) = subject.pod.as_ref()?;
    let (word, field) = if direction == "ingress" { ("Ingress", "from") } else { ("Egress", "to") };
    let applies = |policy: &&Value| {
        let types = list(&policy["spec"], "policyTypes");
        let listed = match (types.is_empty(), word) {
            (true, "Ingress") => true,
            (true, _) => !list(&policy["spec"], "egress").is_empty(),
            (false, _) => types.iter().any(|of| of == word),
        };
        let own = policy["metadata"].get("namespace").map_or("default", |namespace| namespace.as_str().unwrap());
        own == namespace && listed && selects(&policy["spec"]["podSelector"], labels)
    };
    let applying: Vec<&Value> = cluster.policies.iter().filter(applies).collect();
    let allows = |policy: &&Value| {
        list(&policy["spec"], direction).iter().any(|rule| {
            let (peers, ports) = (list(rule, field), list(rule, "ports"));
            let peer_ok = peers.iter().any(|item| peer_fits(item, namespace, peer, &cluster.namespaces, options));
            let port_ok = ports.iter().any(|item| port_fits(item, server, protocol, port));
            (peers.is_empty() || peer_ok) && (ports.is_empty() || port_ok)
        })
    };
    (!applying.is_empty()).then(|| applying.iter().any(allows))
}
