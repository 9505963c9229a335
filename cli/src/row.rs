//! The machine format of an edge: one object per (client, server, protocol, port, outcome).

use serde::Serialize;
use synth::endpoint::{Endpoint, single};
use synth::evidence::Evidence;
use synth::graph::Edge;

use capture::Outcome;

/// One side.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Side<'a> {
    Workload {
        namespace: &'a str,
        kind: &'a str,
        name: &'a str,
    },
    Node {
        name: &'a str,
    },
    External {
        #[serde(skip_serializing_if = "Option::is_none")]
        ip: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cidr: Option<String>,
    },
    Unresolved {
        ip: String,
        reason: &'static str,
    },
}

impl<'a> From<&'a Endpoint> for Side<'a> {
    fn from(endpoint: &'a Endpoint) -> Side<'a> {
        match endpoint {
            Endpoint::Workload(workload) => {
                Side::Workload { namespace: &workload.namespace, kind: &workload.kind, name: &workload.name }
            }
            Endpoint::Node(name) => Side::Node { name },
            Endpoint::External(range) => match single(range) {
                Some(ip) => Side::External { ip: Some(ip.to_string()), cidr: None },
                None => Side::External { ip: None, cidr: Some(range.to_string()) },
            },
            Endpoint::Unresolved { ip, reason } => Side::Unresolved { ip: ip.to_string(), reason: reason.text() },
        }
    }
}

/// One row.
#[derive(Debug, Serialize)]
pub(crate) struct Row<'a> {
    client: Side<'a>,
    server: Side<'a>,
    protocol: &'static str,
    port: u16,
    outcome: &'static str,
    direction: &'static str,
    connections: u64,
    client_pods: usize,
    server_pods: usize,
    first_seen: String,
    last_seen: String,
    service: Option<&'a str>,
    names: Vec<&'a str>,
    class: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ambiguous: bool,
    /// Handshake latency, where it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_us: Option<Latency>,
}

/// Microseconds from SYN to SYN-ACK.
#[derive(Debug, Serialize)]
struct Latency {
    p50: u64,
    p99: u64,
}

impl<'a> Row<'a> {
    pub(crate) fn new(edge: &'a Edge, outcome: Outcome, evidence: &'a Evidence) -> Row<'a> {
        Row {
            client: (&edge.key.client).into(),
            server: (&edge.key.server).into(),
            protocol: edge.key.protocol.name(),
            port: edge.key.port,
            outcome: outcome.name(),
            direction: evidence.certainty.name(),
            connections: evidence.connections,
            client_pods: evidence.client_pods().len(),
            server_pods: evidence.server_pods().len(),
            first_seen: evidence.first.to_string(),
            last_seen: evidence.last.to_string(),
            service: evidence.service(),
            names: evidence.names.iter().map(String::as_str).collect(),
            class: edge.class.name(),
            ambiguous: evidence.ambiguous,
            latency_us: evidence.latency_quantiles().map(|(p50, p99)| Latency { p50, p99 }),
        }
    }
}
