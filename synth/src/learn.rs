//! Which edges make rules, and why the others do not.

use std::collections::{BTreeMap, BTreeSet};

use capture::Outcome;

use crate::declare::Declared;
use crate::endpoint::{Endpoint, Workload};
use crate::evidence::{Certainty, Evidence};
use crate::graph::{Class, Edge, Graph};
use crate::inventory::Inventory;
use crate::label::Selector;
use crate::special::is_group_address;

/// Why an edge makes no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It never worked: an attempt is not a use.
    Attempt,
    /// The cloud's metadata service.
    Metadata,
    /// One side is an address of pods whose holder is not known.
    Unresolved,
    /// Nothing but port numbers tells who the client is.
    Guessed,
    /// The kubelet, or anybody else on a pod's own node: always allowed.
    Probe,
    /// A datagram or two that nobody answered, to a port that nobody declares.
    OneWay,
    /// The source is translated later; policies see the other view.
    Translated,
    /// Multicast or broadcast, which NetworkPolicy does not speak of.
    Multicast,
    /// Neither side is a pod with a network of its own.
    NoPod,
    /// Excluded by the user.
    Excluded,
}

impl Reason {
    /// Words for a summary.
    pub fn text(self) -> &'static str {
        match self {
            Reason::Attempt => "only attempts, never established",
            Reason::Metadata => "cloud metadata service",
            Reason::Unresolved => "unresolved address",
            Reason::Guessed => "guessed direction",
            Reason::Probe => "probes and other traffic from the pod's own node, always allowed",
            Reason::OneWay => "a stray datagram to an undeclared port",
            Reason::Translated => "seen before its source was translated",
            Reason::Multicast => "multicast or broadcast",
            Reason::NoPod => "no pod on either side",
            Reason::Excluded => "excluded",
        }
    }
}

/// What was watched.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// Nodes, namespaces and pod labels; everything where all are empty.
    pub nodes: Vec<String>,
    /// Namespaces.
    pub namespaces: Vec<String>,
    /// Labels of pods.
    pub selectors: Vec<Selector>,
}

impl Watched {
    /// Whether the pods of a workload were watched: all of them have to be.
    pub fn covers(&self, workload: &Workload, inventory: &Inventory) -> bool {
        if self.nodes.is_empty() && self.namespaces.is_empty() && self.selectors.is_empty() {
            return true;
        }
        self.namespaces.contains(&workload.namespace)
            || inventory.workloads.get(workload).is_some_and(|info| {
                info.pods.iter().map(|id| inventory.pod(*id)).all(|pod| {
                    pod.node.as_ref().is_some_and(|node| self.nodes.contains(node))
                        || self.selectors.iter().any(|selector| selector.matches(&pod.labels))
                })
            })
    }
}

/// What the user decides.
#[derive(Debug, Clone, Default)]
pub struct Choices {
    /// Allow the metadata service for the workloads that used it.
    pub allow_metadata: bool,
    /// Edges that make no rule although they were seen.
    pub exclude: Vec<Declared>,
}

/// Whether a later view of every connection showed another source. The client's own policies see the pod, the server's
/// the other source.
pub fn is_translated(evidence: &Evidence) -> bool {
    evidence.connections > 0 && evidence.translated == evidence.connections
}

/// The declaration that excludes an edge.
pub fn exclusion<'a>(edge: &Edge, choices: &'a Choices) -> Option<&'a Declared> {
    choices.exclude.iter().find(|declared| declared.matches(&edge.key))
}

/// One-way datagrams that repeat this often are meant.
pub(crate) const REPEATED_DATAGRAMS: u64 = 3;
pub(crate) const REPEATED_SOCKETS: u64 = 2;

/// Every edge: either what makes rules of it, or the reason why nothing does.
pub fn decide<'a>(edge: &'a Edge, inventory: &Inventory, choices: &Choices) -> Result<(Outcome, &'a Evidence), Reason> {
    let is_pod = |endpoint: &Endpoint| {
        endpoint
            .workload()
            .is_some_and(|workload| inventory.workloads.get(workload).is_some_and(|info| !info.host_network))
    };
    if !is_pod(&edge.key.client) && !is_pod(&edge.key.server) {
        return Err(Reason::NoPod);
    }
    if exclusion(edge, choices).is_some() {
        return Err(Reason::Excluded);
    }
    let Some((outcome, evidence)) = edge.used() else { return Err(Reason::Attempt) };
    let unresolved = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Unresolved { .. });
    if unresolved(&edge.key.client) || unresolved(&edge.key.server) {
        return Err(Reason::Unresolved);
    }
    match edge.class {
        Class::Metadata if !choices.allow_metadata => return Err(Reason::Metadata),
        Class::Probe => return Err(Reason::Probe),
        _ => {}
    }
    if matches!(edge.key.server, Endpoint::External(range) if is_group_address(range.addr())) {
        return Err(Reason::Multicast);
    }
    if evidence.certainty == Certainty::Guessed {
        return Err(Reason::Guessed);
    }
    if is_translated(evidence) && !is_pod(&edge.key.client) {
        return Err(Reason::Translated);
    }
    if outcome == Outcome::OneWay && !is_meant(edge, evidence, inventory) {
        return Err(Reason::OneWay);
    }
    Ok((outcome, evidence))
}

/// A one-way flow counts where its port is declared or it repeats.
fn is_meant(edge: &Edge, evidence: &Evidence, inventory: &Inventory) -> bool {
    let declared = evidence.server_pods().into_iter().any(|id| {
        let pod = inventory.pod(id);
        pod.ports.iter().any(|port| port.protocol == edge.key.protocol && port.number == edge.key.port)
            || inventory.services_of(id, edge.key.protocol, edge.key.port).next().is_some()
    });
    let on_host = |name: &str| {
        inventory
            .host_pods(name)
            .flat_map(|pod| &pod.ports)
            .any(|port| port.protocol == edge.key.protocol && port.number == edge.key.port)
    };
    let declared = declared || matches!(&edge.key.server, Endpoint::Node(name) if on_host(name));
    declared || evidence.datagrams >= REPEATED_DATAGRAMS || evidence.connections >= REPEATED_SOCKETS
}

/// The edges that make no rule, by reason.
pub fn left_out<'a>(graph: &'a Graph, inventory: &Inventory, choices: &Choices) -> BTreeMap<Reason, Vec<&'a Edge>> {
    let mut left: BTreeMap<Reason, Vec<&Edge>> = BTreeMap::new();
    for edge in graph.edges() {
        if let Err(reason) = decide(edge, inventory, choices) {
            left.entry(reason).or_default().push(edge);
        }
    }
    left
}

/// Workloads with edges that make rules and are known only from connections that were open before anybody watched: there may
/// be more of these, of which nothing was seen.
pub fn known_from_the_middle(graph: &Graph, inventory: &Inventory, choices: &Choices) -> BTreeSet<Workload> {
    let used = graph.edges().filter_map(|edge| Some((edge, decide(edge, inventory, choices).ok()?)));
    used.filter(|(_, (_, evidence))| evidence.connections > 0 && evidence.unopened == evidence.connections)
        .flat_map(|(edge, _)| [edge.key.client.workload(), edge.key.server.workload()])
        .flatten()
        .cloned()
        .collect()
}

/// Workloads whose nodes show no sign of having been captured: they were seen only where their peers were, so what they
/// do among themselves or with the world outside may be missing.
///
/// A node was captured if two of its pods were seen talking to each other, if one of its pods was seen talking to the
/// node itself or to the world outside, or dialling a Service before translation.
pub fn seen_from_peers_only(graph: &Graph, inventory: &Inventory) -> Vec<Workload> {
    let node = |id| inventory.pod(id).node.as_deref();
    let mut captured: BTreeSet<&str> = BTreeSet::new();
    let mut seen: BTreeMap<&Workload, BTreeSet<&str>> = BTreeMap::new();
    for (edge, evidence) in graph.edges().flat_map(|edge| edge.outcomes.values().map(move |evidence| (edge, evidence)))
    {
        for (client, server) in evidence.pairs.keys() {
            let (from, to) = (client.pod.and_then(node), server.pod.and_then(node));
            for pod in [client.pod, server.pod].into_iter().flatten() {
                seen.entry(&inventory.pod(pod).workload).or_default().extend(node(pod));
            }
            let outside = |endpoint: &Endpoint, near: Option<&str>| match endpoint {
                Endpoint::External(_) => true,
                Endpoint::Node(name) => near == Some(name),
                Endpoint::Workload(_) | Endpoint::Unresolved { .. } => false,
            };
            if from == to || outside(&edge.key.server, from) || !evidence.services.is_empty() {
                captured.extend(from);
            }
            if outside(&edge.key.client, to) {
                captured.extend(to);
            }
        }
    }
    // Where nothing shows any node to have been captured, nothing tells the others apart.
    if captured.is_empty() {
        return Vec::new();
    }
    let unseen = |nodes: &BTreeSet<&str>| !nodes.is_empty() && nodes.is_disjoint(&captured);
    seen.into_iter().filter(|(_, nodes)| unseen(nodes)).map(|(workload, _)| workload.clone()).collect()
}

#[cfg(test)]
mod tests {
    use capture::{Flow, Names, Opening, Proof, Protocol, Socket, Timestamp};

    use super::*;
    use crate::inventory::Options;
    use crate::manifest::Objects;
    use crate::resolve::resolve;

    fn flow(client: &str, server: &str) -> Flow {
        let socket = |ip: &str, port| Socket { ip: ip.parse().unwrap(), port };
        Flow {
            protocol: Protocol::Tcp,
            opening: Opening::Seen {
                client: socket(client, 40000),
                dialled: socket(server, 80),
                served: None,
                proof: Proof::Handshake,
                identity: 1,
            },
            outcome: Outcome::Established,
            first: Timestamp(1),
            last: Timestamp(2),
            connections: 1,
            newest: Timestamp(1),
            activity: capture::Activity::at(Timestamp(1)),
            latency: Default::default(),
            datagrams: 0,
            dns: false,
            talk: Default::default(),
            translated: false,
        }
    }

    #[test]
    fn a_node_that_was_not_captured_shows_only_in_what_its_peers_saw() {
        let mut objects = Objects::default();
        for (name, ip, node) in [("a", "10.1.0.2", "n1"), ("b", "10.1.0.3", "n1"), ("far", "10.2.0.2", "n2")] {
            let pod = format!(
                "{{kind: Pod, metadata: {{name: {name}}}, spec: {{nodeName: {node}}}, status: {{podIP: {ip}}}}}"
            );
            objects.load("pods.yaml", &pod);
        }
        let inventory = Inventory::build(&objects, &Options::default());
        assert_eq!(objects.problems, []);
        let names = |flows: &[Flow]| -> Vec<String> {
            let graph = resolve(flows, &Names::default(), &inventory).graph;
            seen_from_peers_only(&graph, &inventory).into_iter().map(|workload| workload.name).collect()
        };
        let (inside, across, outside) =
            (flow("10.1.0.2", "10.1.0.3"), flow("10.2.0.2", "10.1.0.3"), flow("10.2.0.2", "192.0.2.1"));
        assert_eq!(names(std::slice::from_ref(&across)), [""; 0], "nothing shows any node to have been captured");
        assert_eq!(names(&[inside.clone(), across.clone()]), ["far"]);
        assert_eq!(names(&[inside, across, outside]), [""; 0], "its own way to the outside was seen");
    }
}
