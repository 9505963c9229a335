//! Edges that somebody writes down: seen but not wanted (`--exclude`), wanted but not seen (`--include`).
//!
//! One a line, `client -> server:port/PROTOCOL  # reason`, in the notation of the tables:
//! `shop/cart -> data/Redis/main:6379/TCP`, `shop/* -> 203.0.113.0/24:443/TCP`, `node:n1 -> shop/api:*/TCP`.

use std::net::IpAddr;
use std::sync::Arc;

use capture::Protocol;
use ipnet::IpNet;

use crate::endpoint::{Endpoint, Workload};
use crate::graph::Key;
use crate::policy::Origin;

/// One side of a declared edge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// `*`.
    Any,
    /// `namespace/name` or `namespace/Kind/name`; `*` for any name.
    Workload {
        /// The namespace.
        namespace: String,
        /// The kind, where it is given.
        kind: Option<String>,
        /// The name; `None` for any.
        name: Option<String>,
    },
    /// `node:NAME`, `node:*`.
    Node(Option<String>),
    /// An address or a range.
    Addresses(IpNet),
}

/// A declared edge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Declared {
    /// Who opens the connections.
    pub client: Side,
    /// Who accepts them.
    pub server: Side,
    /// On which port; `None` for any.
    pub port: Option<u16>,
    /// Over which protocol; `None` for any.
    pub protocol: Option<Protocol>,
    /// Why.
    pub reason: String,
    /// Where it is written.
    pub origin: Origin,
}

/// What is wrong with a declared edge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {problem}")]
pub struct DeclareError {
    /// Where.
    pub origin: Origin,
    /// What.
    pub problem: String,
}

/// Reads a file of declared edges; blank lines and lines that begin with `#` are skipped.
///
/// # Errors
/// Every line that cannot be read, with its place.
pub fn parse(file: &str, text: &str) -> Result<Vec<Declared>, Vec<DeclareError>> {
    let file: Arc<str> = Arc::from(file);
    let mut edges = Vec::new();
    let mut errors = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let origin = Origin { file: file.clone(), line: index as u32 + 1 };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match declared(line, &origin) {
            Ok(edge) => edges.push(edge),
            Err(problem) => errors.push(DeclareError { origin, problem }),
        }
    }
    if errors.is_empty() { Ok(edges) } else { Err(errors) }
}

fn declared(line: &str, origin: &Origin) -> Result<Declared, String> {
    let (edge, reason) = line.split_once('#').ok_or("a reason is required: `... # reason`")?;
    let reason = reason.trim();
    if reason.is_empty() {
        return Err("the reason is empty".to_string());
    }
    let (client, server) = edge.split_once("->").ok_or("expected `client -> server:port/PROTOCOL  # reason`")?;
    let (server, port, protocol) = socket(server.trim())?;
    Ok(Declared {
        client: side(client.trim())?,
        server: side(server)?,
        port,
        protocol,
        reason: reason.to_string(),
        origin: origin.clone(),
    })
}

/// `server:port/PROTOCOL`, where port and protocol may be absent or `*`.
fn socket(text: &str) -> Result<(&str, Option<u16>, Option<Protocol>), String> {
    let is_port = |tail: &str| tail.split('/').next().is_some_and(|port| port == "*" || port.parse::<u16>().is_ok());
    let bracketed = text.starts_with('[') && text.ends_with(']');
    let Some((server, tail)) = text.rsplit_once(':').filter(|(_, tail)| !bracketed && is_port(tail)) else {
        return Ok((text, None, None));
    };
    let (port, protocol) = tail.split_once('/').unwrap_or((tail, "*"));
    let port = match port {
        "*" => None,
        number => Some(number.parse().map_err(|_| format!("{number:?} is not a port"))?),
    };
    let protocol = match protocol {
        "*" => None,
        name => Some(Protocol::from_name(name).ok_or_else(|| format!("{name:?} is not TCP, UDP or SCTP"))?),
    };
    Ok((server, port, protocol))
}

fn side(text: &str) -> Result<Side, String> {
    let some = |name: &str| (name != "*").then(|| name.to_string());
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(range) = bare.parse::<IpNet>() {
        return Ok(Side::Addresses(range.trunc()));
    }
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(Side::Addresses(IpNet::from(ip.to_canonical())));
    }
    if text == "*" {
        return Ok(Side::Any);
    }
    if let Some(name) = text.strip_prefix("node:") {
        return Ok(Side::Node(some(name)));
    }
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    match text.split('/').collect::<Vec<_>>()[..] {
        [namespace, name] if is_name(namespace) && (name == "*" || is_name(name)) => {
            Ok(Side::Workload { namespace: namespace.to_string(), kind: None, name: some(name) })
        }
        [namespace, kind, name] if is_name(namespace) && is_name(kind) && (name == "*" || is_name(name)) => {
            Ok(Side::Workload { namespace: namespace.to_string(), kind: Some(kind.to_string()), name: some(name) })
        }
        _ => Err(format!("{text:?} is not namespace/name, namespace/Kind/name, node:NAME, an address, a range or *")),
    }
}

impl Side {
    /// Whether an endpoint is meant.
    pub fn matches(&self, endpoint: &Endpoint) -> bool {
        match (self, endpoint) {
            (Side::Any, _) => true,
            (Side::Workload { .. }, Endpoint::Workload(workload)) => self.matches_workload(workload),
            (Side::Node(name), Endpoint::Node(node)) => name.as_ref().is_none_or(|name| name == node),
            (Side::Addresses(range), Endpoint::External(others)) => range.contains(others),
            (Side::Addresses(range), Endpoint::Unresolved { ip, .. }) => range.contains(ip),
            _ => false,
        }
    }

    /// Whether a workload is meant.
    pub fn matches_workload(&self, workload: &Workload) -> bool {
        match self {
            Side::Any => true,
            Side::Workload { namespace, kind, name } => {
                *namespace == workload.namespace
                    && kind.as_ref().is_none_or(|kind| *kind == workload.kind)
                    && name.as_ref().is_none_or(|name| *name == workload.name)
            }
            Side::Node(_) | Side::Addresses(_) => false,
        }
    }
}

impl Declared {
    /// Whether an edge is meant.
    pub fn matches(&self, key: &Key) -> bool {
        self.client.matches(&key.client)
            && self.server.matches(&key.server)
            && self.port.is_none_or(|port| port == key.port)
            && self.protocol.is_none_or(|protocol| protocol == key.protocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_edges() {
        let text = "# comment\n\nshop/* -> data/StatefulSet/redis:6379/TCP # cache\n* -> [2001:db8::]/32:*/UDP # x";
        assert!(parse("f", text).is_err(), "brackets hold the whole range");
        let text =
            "shop/* -> data/StatefulSet/redis:6379/TCP # cache\n* -> [2001:db8::/32]:*/UDP # x\nnode:a -> 10.0.0.1 # y";
        let edges = parse("f", text).unwrap();
        assert_eq!(
            (edges[0].port, edges[0].protocol, edges[0].reason.as_str()),
            (Some(6379), Some(Protocol::Tcp), "cache")
        );
        assert_eq!(edges[1].server, Side::Addresses("2001:db8::/32".parse().unwrap()));
        assert_eq!((&edges[2].client, edges[2].port), (&Side::Node(Some("a".to_string())), None));
        let web =
            Endpoint::Workload(Workload { namespace: "shop".into(), kind: "Deployment".into(), name: "web".into() });
        assert!(edges[0].client.matches(&web) && !edges[0].server.matches(&web) && edges[1].client.matches(&web));
    }

    #[test]
    fn errors_name_the_line() {
        for (line, problem) in [
            ("a/b -> c/d:80/TCP", "reason"),
            ("a/b -> c/d:80/TCP #  ", "empty"),
            ("a/b c/d:80 # r", "expected"),
            ("a/b -> c/d:80/tcp # r", "tcp"),
            ("a -> c/d:80/TCP # r", "\"a\""),
        ] {
            let errors = parse("edges.txt", line).unwrap_err();
            assert!(
                errors[0].to_string().starts_with("edges.txt:1: ") && errors[0].problem.contains(problem),
                "{errors:?}"
            );
        }
    }
}
