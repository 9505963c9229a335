//! The rules, as they stand in `watchlist.yaml`.

use std::fmt;

use capture::{Protocol, Talk};
use ipnet::IpNet;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use crate::graph::Class;
use crate::manifest::node::{self, NodeError};

/// The rules that come with the program.
const BUILT_IN: &str = include_str!("../watchlist.yaml");

/// All rules, and what they share.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watchlist {
    /// Patterns of namespaces whose pods are the platform's own.
    pub platform: Vec<String>,
    /// Patterns of applications that collect metrics.
    pub collectors: Vec<String>,
    /// Where TLS is expected.
    pub tls: Tls,
    /// The rules; of a topic the first that fits takes an edge.
    pub rules: Vec<Rule>,
}

/// Ports at which TLS is expected.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// By number.
    pub ports: Vec<Ports>,
    /// By the name of the container port, as patterns.
    pub names: Vec<String>,
}

/// How much a finding matters; the worst comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Hardly ever meant.
    Error,
    /// Deserves an answer.
    Warning,
    /// For the record.
    Note,
}

impl Severity {
    /// The word of the machine format.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// What is looked for, and what it means. A condition that is not given holds for every edge.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Stable, `etcd-access`.
    pub id: String,
    /// How much it matters.
    pub severity: Severity,
    /// One line without a full stop.
    pub title: String,
    /// Why it matters, in sentences.
    pub why: String,
    /// What to do about it, in sentences.
    pub fix: String,
    /// Of the rules of a topic only the first that fits says something about an edge.
    pub(super) topic: String,
    #[serde(default)]
    pub(super) seen: Seen,
    #[serde(default)]
    pub(super) client: Party,
    #[serde(default)]
    pub(super) server: Party,
    #[serde(default)]
    pub(super) protocols: Vec<Named<Protocol>>,
    #[serde(default)]
    pub(super) ports: Vec<Ports>,
    #[serde(default)]
    pub(super) not_ports: Vec<Ports>,
    /// Application protocols, one of which the first bytes have to show.
    #[serde(default)]
    pub(super) talks: Vec<Named<Talk>>,
    /// Application protocols that stand in for a port.
    #[serde(default)]
    pub(super) or_talks: Vec<Named<Talk>>,
    #[serde(default)]
    pub(super) classes: Vec<Named<Class>>,
    #[serde(default)]
    pub(super) not_classes: Vec<Named<Class>>,
    /// A port of a node was dialled.
    #[serde(default)]
    pub(super) via_node_port: bool,
    /// The server is behind a public Service that hides the clients' addresses.
    #[serde(default)]
    pub(super) hides_source: bool,
    /// Client and server are workloads of two namespaces.
    #[serde(default)]
    pub(super) across_namespaces: bool,
    /// The server's port is one of [`Watchlist::tls`].
    #[serde(default)]
    pub(super) tls_expected: bool,
    /// What the edges of one finding have in common.
    pub(super) group: Vec<By>,
    /// How much of something makes a finding.
    #[serde(default)]
    pub(super) at_least: Least,
    /// Many findings become one.
    pub(super) fold: Option<Fold>,
    /// The finding in words, with `{clients}` and so on in place of what was seen.
    pub(super) says: String,
    /// Why it is but a note if every client is one of [`Watchlist::collectors`].
    pub(super) if_collector: Option<String>,
}

/// Which outcomes of an edge count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Seen {
    /// It worked.
    #[default]
    Used,
    /// It never worked: refused or not answered.
    Failed,
}

/// One side.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Party {
    pub(super) who: Vec<Who>,
    /// Whether it is of the platform's own namespaces.
    pub(super) platform: Option<bool>,
    pub(super) addresses: Vec<IpNet>,
    /// Patterns of the application's name: a label, or the workload's name.
    pub(super) applications: Vec<String>,
    pub(super) api_client: Option<ApiClient>,
}

/// What an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Who {
    /// A pod with a network of its own.
    Pod,
    /// A node, or a pod on its network.
    Node,
    /// An endpoint of `default/kubernetes` that is no node.
    ApiServer,
    /// An address outside the cluster that is not routed on the Internet.
    Private,
    /// Any other address outside the cluster.
    Internet,
    /// Multicast or broadcast.
    Everybody,
    /// An address of pods whose holder is not known.
    Unresolved,
}

/// What is known about a workload and the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ApiClient {
    /// It runs as the default service account and nobody listed it.
    Unknown,
}

/// A property that edges are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum By {
    Client,
    Server,
    /// Protocol and port.
    Port,
    /// The names by which clients know the server.
    Names,
    ClientNamespace,
    ServerNamespace,
}

/// How many different things a group has to hold.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Least {
    /// Protocols and ports.
    pub(super) ports: usize,
    /// Addresses of servers.
    pub(super) addresses: usize,
}

/// More findings than `over` that are alike in `group` become one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fold {
    pub(super) over: usize,
    pub(super) group: Vec<By>,
}

impl Watchlist {
    /// The rules that come with the program.
    ///
    /// # Errors
    /// None; a test reads them.
    pub fn built_in() -> Result<Watchlist, NodeError> {
        Watchlist::parse(BUILT_IN)
    }

    /// Reads rules.
    ///
    /// # Errors
    /// What is no YAML, and fields and values that are not known.
    pub fn parse(text: &str) -> Result<Watchlist, NodeError> {
        node::read(text, 1)
    }
}

/// Ports from one to another, both included; written `8080` or `2379-2380`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    from: u16,
    to: u16,
}

impl Ports {
    /// Whether a port is one of them.
    pub fn contains(self, port: u16) -> bool {
        (self.from..=self.to).contains(&port)
    }
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ports, D::Error> {
        struct Read;

        impl Visitor<'_> for Read {
            type Value = Ports;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port or two with a dash between them")
            }

            fn visit_u64<E: de::Error>(self, port: u64) -> Result<Ports, E> {
                let port = u16::try_from(port).map_err(|_| E::custom(format!("{port} is no port")))?;
                Ok(Ports { from: port, to: port })
            }

            fn visit_i64<E: de::Error>(self, port: i64) -> Result<Ports, E> {
                self.visit_u64(u64::try_from(port).map_err(|_| E::custom(format!("{port} is no port")))?)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Ports, E> {
                let wrong = || E::custom(format!("{text:?} is no range of ports"));
                let (from, to) = text.split_once('-').unwrap_or((text, text));
                let [from, to] = [from, to].map(|port| port.parse::<u16>().map_err(|_| wrong()));
                let ports = Ports { from: from?, to: to? };
                if ports.from <= ports.to { Ok(ports) } else { Err(wrong()) }
            }
        }

        deserializer.deserialize_any(Read)
    }
}

/// A value that is written as its name in the machine formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named<T>(pub(super) T);

/// What has a name.
pub(super) trait FromName: Sized {
    fn from_name(name: &str) -> Option<Self>;
}

impl FromName for Protocol {
    fn from_name(name: &str) -> Option<Protocol> {
        Protocol::from_name(name)
    }
}

impl FromName for Talk {
    fn from_name(name: &str) -> Option<Talk> {
        Talk::ALL.into_iter().find(|talk| talk.name() == name)
    }
}

impl FromName for Class {
    fn from_name(name: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|class| class.name() == name)
    }
}

impl<'de, T: FromName> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Named<T>, D::Error> {
        let name = String::deserialize(deserializer)?;
        T::from_name(&name).map(Named).ok_or_else(|| de::Error::custom(format!("{name:?} is not known")))
    }
}
