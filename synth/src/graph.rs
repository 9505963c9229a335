//! The observed edges between endpoints.

use std::collections::BTreeMap;
use std::fmt;

use capture::{Outcome, Protocol};
use petgraph::Direction::{Incoming, Outgoing};
use petgraph::graph::{DiGraph, NodeIndex};

use crate::endpoint::Endpoint;
use crate::evidence::Evidence;

/// What an edge is for; the first that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A cloud's metadata service.
    Metadata,
    /// A DNS resolver.
    Dns,
    /// The kubelet to a pod of its own node.
    Probe,
    /// The API server.
    ApiServer,
    /// A node on one side.
    Node,
    /// An address outside the cluster on one side.
    External,
    /// Between pods.
    App,
}

impl Class {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Class; 7] =
        [Class::Metadata, Class::Dns, Class::Probe, Class::ApiServer, Class::Node, Class::External, Class::App];

    /// The word of the machine format.
    pub fn name(self) -> &'static str {
        match self {
            Class::Metadata => "metadata",
            Class::Dns => "dns",
            Class::Probe => "probe",
            Class::ApiServer => "apiserver",
            Class::Node => "node",
            Class::External => "external",
            Class::App => "app",
        }
    }
}

/// What identifies an edge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Who opens the connections.
    pub client: Endpoint,
    /// Who accepts them.
    pub server: Endpoint,
    /// Over which protocol.
    pub protocol: Protocol,
    /// The server's port, after translation.
    pub port: u16,
}

impl fmt::Display for Key {
    /// `client -> server:port/PROTOCOL`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}:{}/{}", self.client, self.server, self.port, self.protocol)
    }
}

/// All flows between two endpoints on one server port.
#[derive(Debug, Clone)]
pub struct Edge {
    /// Who, to whom, and on which port.
    pub key: Key,
    /// What it is for.
    pub class: Class,
    /// What was observed, by outcome.
    pub outcomes: BTreeMap<Outcome, Box<Evidence>>,
}

impl Edge {
    /// Evidence that the edge worked: established, else answered, else one-way.
    pub fn used(&self) -> Option<(Outcome, &Evidence)> {
        [Outcome::Established, Outcome::Answered, Outcome::OneWay]
            .into_iter()
            .find_map(|outcome| self.outcomes.get(&outcome).map(|evidence| (outcome, &**evidence)))
    }
}

/// Endpoints and the edges between them, sorted. An endpoint without edges is not in it.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    graph: DiGraph<Endpoint, Edge>,
    nodes: BTreeMap<Endpoint, NodeIndex>,
}

impl Graph {
    /// Builds the graph.
    pub fn new(mut edges: Vec<Edge>) -> Graph {
        edges.sort_by(|a, b| a.key.cmp(&b.key));
        let mut graph = Graph::default();
        for edge in edges {
            let client = graph.node(&edge.key.client);
            let server = graph.node(&edge.key.server);
            graph.graph.add_edge(client, server, edge);
        }
        graph
    }

    fn node(&mut self, endpoint: &Endpoint) -> NodeIndex {
        *self.nodes.entry(endpoint.clone()).or_insert_with(|| self.graph.add_node(endpoint.clone()))
    }

    /// All edges, sorted by client, server, protocol and port.
    pub fn edges(&self) -> impl Iterator<Item = &Edge> {
        self.graph.edge_weights()
    }

    /// All endpoints, sorted.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.nodes.keys()
    }

    /// The edges that `endpoint` opens, sorted by server.
    pub fn from(&self, endpoint: &Endpoint) -> Vec<&Edge> {
        self.at(endpoint, Outgoing)
    }

    /// The edges that `endpoint` serves, sorted by client.
    pub fn to(&self, endpoint: &Endpoint) -> Vec<&Edge> {
        self.at(endpoint, Incoming)
    }

    fn at(&self, endpoint: &Endpoint, direction: petgraph::Direction) -> Vec<&Edge> {
        let Some(node) = self.nodes.get(endpoint) else { return Vec::new() };
        let mut edges: Vec<&Edge> = self.graph.edges_directed(*node, direction).map(|edge| edge.weight()).collect();
        edges.sort_by(|a, b| a.key.cmp(&b.key));
        edges
    }
}
