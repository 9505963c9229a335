//! ClusterNetworkPolicy, `policy.networking.k8s.io/v1alpha2`, and AdminNetworkPolicy and BaselineAdminNetworkPolicy,
//! `v1alpha1`.

use std::net::IpAddr;

use serde_json::Value;

use super::{Cluster, Connection, End, Why, list, namespace_labels, selects, within};
use crate::label::Labels;

fn kind(policy: &Value) -> &str {
    policy["kind"].as_str().unwrap()
}

fn tier_of(policy: &Value) -> &str {
    match kind(policy) {
        "AdminNetworkPolicy" => "Admin",
        "BaselineAdminNetworkPolicy" => "Baseline",
        _ => policy["spec"]["tier"].as_str().unwrap(),
    }
}

/// A pod by its own labels and its namespace's. "Note that host-networked pods are not included in subject selection",
/// nor "in this type of peer".
fn is_one_of(item: &Value, end: &End, cluster: &Cluster) -> bool {
    let Some((namespace, _, labels)) = end.pod.as_ref().filter(|_| !end.on_host) else { return false };
    let of_namespace = namespace_labels(&cluster.namespaces, namespace);
    if let Some(selector) = set(item, "namespaces") {
        return selects(selector, &of_namespace);
    }
    set(item, "pods").is_some_and(|pods| {
        set(pods, "namespaceSelector").is_none_or(|selector| selects(selector, &of_namespace))
            && selects(&pods["podSelector"], labels)
    })
}

/// A field that is there.
fn set<'v>(item: &'v Value, field: &str) -> Option<&'v Value> {
    item.get(field).filter(|value| !value.is_null())
}

fn node_labels(node: &Value) -> Labels {
    let labels = node["metadata"]["labels"].as_object().unwrap().iter();
    labels.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_string())).collect()
}

/// "It selects the nodeIPs as the peer type by matching on the IPs present in the node.Status.Addresses field." A pod on
/// the network of a node is going to have these.
fn is_node(selector: &Value, end: &End, cluster: &Cluster) -> bool {
    cluster.nodes.iter().any(|node| {
        let addresses = list(&node["status"], "addresses").iter();
        let mut addresses = addresses.map(|item| item["address"].as_str().unwrap().parse::<IpAddr>().unwrap());
        let to_be = end.on_host && end.ips.is_empty() && end.runs_on.as_deref() == node["metadata"]["name"].as_str();
        (to_be || addresses.any(|of| end.ips.contains(&of))) && selects(selector, &node_labels(node))
    })
}

/// Whether pods may have such a name: `web.ns1.svc.cluster.local`, of a cluster of any name.
fn is_of_pods(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_lowercase();
    let of_service = |label| name.starts_with(&format!("{label}.")) || name.contains(&format!(".{label}."));
    let ends = |label| name.ends_with(&format!(".{label}"));
    let suffix = name.strip_prefix("*.");
    of_service("svc")
        || of_service("pod")
        || ends("svc")
        || ends("pod")
        || ends("cluster.local")
        || suffix == Some("local")
}

fn peer_fits(item: &Value, end: &End, cluster: &Cluster, named: bool) -> bool {
    // What a name stands for is not in any object; pods have those of clusters only.
    let names = list(item, "domainNames");
    let outside = end.pod.is_none() || end.on_host;
    let name = named && names.iter().any(|name| outside || is_of_pods(name.as_str().unwrap()));
    let by_address = end.ips.iter().any(|&ip| list(item, "networks").iter().any(|cidr| within(cidr, ip)));
    let node = set(item, "nodes").is_some_and(|selector| is_node(selector, end, cluster));
    is_one_of(item, end, cluster) || by_address || node || name
}

fn port_fits(item: &Value, server: &End, protocol: &str, port: u16) -> bool {
    let within = |first: &Value, last: &Value| {
        first.as_u64().unwrap() <= u64::from(port) && u64::from(port) <= last.as_u64().unwrap()
    };
    for (field, of) in [("tcp", "TCP"), ("udp", "UDP"), ("sctp", "SCTP")] {
        if let Some(transport) = set(item, field) {
            let destination = &transport["destinationPort"];
            return of == protocol
                && match set(destination, "number") {
                    Some(number) => within(number, number),
                    None => within(&destination["range"]["start"], &destination["range"]["end"]),
                };
        }
    }
    for (field, first, last) in [("portNumber", "port", "port"), ("portRange", "start", "end")] {
        if let Some(numbers) = set(item, field) {
            let of = set(numbers, "protocol").map_or("TCP", |of| of.as_str().unwrap());
            return of == protocol && within(&numbers[first], &numbers[last]);
        }
    }
    let name = set(item, "destinationNamedPort").or(set(item, "namedPort")).and_then(Value::as_str).unwrap();
    let is = |(other, number, of): &(String, u16, String)| other == name && *number == port && of == protocol;
    server.pod.is_some() && !server.on_host && server.ports.iter().any(is)
}

/// What a rule does about the connection: `Accept`, `Deny` or `Pass`.
fn action(
    policy: &Value,
    rule: &Value,
    connection: Connection,
    cluster: &Cluster,
    named: bool,
) -> Option<&'static str> {
    let action = match rule["action"].as_str().unwrap() {
        "Accept" | "Allow" => "Accept",
        "Deny" => "Deny",
        "Pass" => "Pass",
        other => panic!("{other}"),
    };
    let (field, known): (_, &[&str]) = match (connection.direction, kind(policy)) {
        ("ingress", _) => ("from", &["namespaces", "pods"]),
        (_, "BaselineAdminNetworkPolicy") => ("to", &["namespaces", "pods", "nodes", "networks"]),
        _ => ("to", &["namespaces", "pods", "nodes", "networks", "domainNames"]),
    };
    let peers = list(rule, field);
    // "For "Accept" rules, "fail closed" means: "treat the rule as matching no traffic". For "Deny" and "Pass" rules,
    // "fail closed" means: "treat the rule as a 'Deny all' rule"."
    if peers.iter().any(|item| known.iter().all(|field| set(item, field).is_none())) {
        return (action != "Accept").then_some("Deny");
    }
    let ports = [list(rule, "protocols"), list(rule, "ports")].concat();
    let port_ok = |item| port_fits(item, connection.server, connection.protocol, connection.port);
    let fits = peers.iter().any(|item| peer_fits(item, connection.peer, cluster, named))
        && (ports.is_empty() || ports.iter().any(port_ok));
    fits.then_some(action)
}

/// What the first rule of a tier that matches does, if every domain name stands for the peer's address, or none does.
pub(super) fn tier(cluster: &Cluster, tier: &str, connection: Connection, named: bool) -> Option<(&'static str, Why)> {
    let mut asked: Vec<(usize, &Value)> = cluster.cluster_policies.iter().enumerate().collect();
    asked.retain(|(_, policy)| tier_of(policy) == tier);
    asked.retain(|(_, policy)| is_one_of(&policy["spec"]["subject"], connection.subject, cluster));
    // "Policies with lower priority values have higher precedence." Those of the same one are asked by name, and the
    // newest kind first, which is up to the implementation.
    asked.sort_by_key(|(_, policy)| {
        let priority = policy["spec"].get("priority").map_or(0, |priority| priority.as_u64().unwrap());
        (priority, policy["metadata"]["name"].as_str().unwrap(), kind(policy) != "ClusterNetworkPolicy")
    });
    for (index, policy) in asked {
        for (number, rule) in list(&policy["spec"], connection.direction).iter().enumerate() {
            if let Some(action) = action(policy, rule, connection, cluster, named) {
                return Some((action, Why::Rule(index, number)));
            }
        }
    }
    None
}
