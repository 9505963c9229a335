//! `policy.networking.k8s.io`: ClusterNetworkPolicy (v1alpha2), and AdminNetworkPolicy and BaselineAdminNetworkPolicy
//! (v1alpha1), which say the same in other words.
//!
//! Sentences in quotes are those of `apis/v1alpha2` and `apis/v1alpha1` in kubernetes-sigs/network-policy-api. Checked
//! is what the CustomResourceDefinitions of the experimental channel check, in the API server's words, and selectors,
//! which they leave to those who evaluate them. The shapes of v1alpha1 up to release v0.1.1, which had
//! `namespaces.namespaceSelector`, are refused.

mod peer;
mod port;

use std::sync::Arc;

use super::field::{Field, Fields, Invalid, Problems};
use super::metadata::{Scope, Strictness, Written, metadata, type_meta};
use super::networkpolicy::peers_field;
use super::node::Node;
use super::schema::{choice, exactly_one, integer, items, required};
use crate::cluster::{Action, ClusterKind, ClusterPolicy, ClusterPort, ClusterPorts, ClusterRule, PodPeer, Tier};
use crate::policy::{Direction, Origin};

/// Later than v1alpha2 and of the same fields; it refuses CIDRs with host bits.
const V1BETA1: &str = "policy.networking.k8s.io/v1beta1";

/// Most characters of a rule's name.
const NAME: usize = 100;

/// The peers of ingress rules and the subjects of all policies.
const PODS: [&str; 2] = ["namespaces", "pods"];

/// In what the three kinds differ.
#[derive(Debug)]
struct Dialect {
    kind: ClusterKind,
    /// `apiVersion`, the one to use first.
    versions: &'static [&'static str],
    spec: &'static [&'static str],
    actions: &'static [(&'static str, Action)],
    egress_peers: &'static [&'static str],
    /// The field for ports.
    ports: &'static str,
    /// Most rules of a direction, and most peers and ports of a rule.
    most: usize,
}

static DIALECTS: [Dialect; 3] = [
    Dialect {
        kind: ClusterKind::ClusterNetworkPolicy,
        versions: &["policy.networking.k8s.io/v1alpha2", V1BETA1],
        spec: &["tier", "priority", "subject", "ingress", "egress"],
        actions: &[("Accept", Action::Accept), ("Deny", Action::Deny), ("Pass", Action::Pass)],
        egress_peers: &["namespaces", "pods", "networks", "nodes", "domainNames"],
        ports: "protocols",
        most: 25,
    },
    Dialect {
        kind: ClusterKind::AdminNetworkPolicy,
        versions: &["policy.networking.k8s.io/v1alpha1"],
        spec: &["priority", "subject", "ingress", "egress"],
        actions: &[("Allow", Action::Accept), ("Deny", Action::Deny), ("Pass", Action::Pass)],
        egress_peers: &["namespaces", "pods", "networks", "nodes", "domainNames"],
        ports: "ports",
        most: 100,
    },
    Dialect {
        kind: ClusterKind::BaselineAdminNetworkPolicy,
        versions: &["policy.networking.k8s.io/v1alpha1"],
        spec: &["subject", "ingress", "egress"],
        actions: &[("Allow", Action::Accept), ("Deny", Action::Deny)],
        egress_peers: &["namespaces", "pods", "networks", "nodes"],
        ports: "ports",
        most: 100,
    },
];

/// Decodes one cluster-wide policy of any of the three kinds. In an object that has a `metadata.uid`, and so comes out
/// of a cluster, lists may be longer than the schema known here has them, and a peer of a kind that is not known is
/// [`ClusterPeer::Unknown`](crate::cluster::ClusterPeer::Unknown).
///
/// # Errors
/// Everything that kubectl or the API server would refuse about the object, in the order of the document's sections,
/// and what leaves open what the object means.
pub fn decode(node: &Node, file: &Arc<str>) -> Result<ClusterPolicy, Vec<Invalid>> {
    let kind = node.get("kind").and_then(Node::text);
    let [newest, ..] = &DIALECTS;
    let dialect = DIALECTS.iter().find(|dialect| Some(dialect.kind.name()) == kind).unwrap_or(newest);
    let written = Written::of(node);
    let name = dialect.kind.name();

    let mut decoder = Decoder {
        dialect,
        strictness: written.strictness,
        host_bits: node.get("apiVersion").and_then(Node::text) != Some(V1BETA1),
        problems: Problems::new(file, format!("{name} {}", written.name.unwrap_or("?"))),
    };
    let known = ["apiVersion", "kind", "metadata", "spec", "status"];
    let root = Field::root(node).fields(&known, &mut decoder.problems);
    type_meta(&root, name, dialect.versions, &mut decoder.problems);
    let (labels, created) = metadata(&root, Scope::Cluster, &mut decoder.problems);
    decoder.singleton(&root);
    let spec = decoder.spec(&root);

    let found = decoder.problems.into_found();
    let (true, Some(Spec { tier, priority, subject, ingress, egress })) = (found.is_empty(), spec) else {
        return Err(found);
    };
    Ok(ClusterPolicy {
        kind: dialect.kind,
        name: written.name.unwrap_or_default().to_string(),
        labels,
        created,
        version: written.version,
        origin: Origin { file: Arc::clone(file), line: node.line },
        tier,
        priority,
        subject,
        ingress,
        egress,
    })
}

struct Spec {
    tier: Tier,
    priority: i32,
    subject: PodPeer,
    ingress: Vec<ClusterRule>,
    egress: Vec<ClusterRule>,
}

struct Decoder {
    dialect: &'static Dialect,
    strictness: Strictness,
    /// Whether CIDRs may have bits beyond their prefix.
    host_bits: bool,
    problems: Problems,
}

impl Decoder {
    /// There is one BaselineAdminNetworkPolicy and one name for it.
    fn singleton(&mut self, root: &Fields) {
        let Some(metadata) =
            root.get("metadata").filter(|_| self.dialect.kind == ClusterKind::BaselineAdminNetworkPolicy)
        else {
            return;
        };
        let written = |name| metadata.node.get(name).filter(|node| node.text().is_some_and(|text| !text.is_empty()));
        let (path, node) = match (written("name"), written("generateName")) {
            (Some(name), _) if name.text() == Some("default") => return,
            (Some(name), _) => ("metadata.name", name),
            (None, Some(prefix)) => ("metadata.generateName", prefix),
            (None, None) => return,
        };
        let words =
            "Only one baseline admin network policy with metadata.name=\"default\" can be created in the cluster";
        let field = Field { node, path: path.to_string() };
        self.problems.invalid(&field, node.text().unwrap_or_default(), &[words.to_string()]);
    }

    /// `None` only if there is a problem.
    fn spec(&mut self, root: &Fields) -> Option<Spec> {
        let spec = required(root, "spec", &mut self.problems)?.fields(self.dialect.spec, &mut self.problems);
        let tier = match self.dialect.kind {
            ClusterKind::AdminNetworkPolicy => Some(Tier::Admin),
            ClusterKind::BaselineAdminNetworkPolicy => Some(Tier::Baseline),
            ClusterKind::ClusterNetworkPolicy => required(&spec, "tier", &mut self.problems).and_then(|field| {
                let tiers = [Tier::Admin, Tier::Baseline].map(|tier| (tier.name(), tier));
                choice(&field, &tiers, &mut self.problems)
            }),
        };
        let priority = match self.dialect.kind {
            ClusterKind::BaselineAdminNetworkPolicy => Some(0),
            _ => required(&spec, "priority", &mut self.problems)
                .and_then(|field| integer(&field, 0..=1000, &mut self.problems)),
        };
        let subject = required(&spec, "subject", &mut self.problems)
            .and_then(|field| exactly_one(field, &PODS, &mut self.problems))
            .map(|(name, field)| self.pods(name, field));
        let ingress = self.rules(&spec, Direction::Ingress);
        let egress = self.rules(&spec, Direction::Egress);
        Some(Spec { tier: tier?, priority: priority?, subject: subject?, ingress, egress })
    }

    fn rules(&mut self, spec: &Fields, direction: Direction) -> Vec<ClusterRule> {
        let Some(list) = spec.get(direction.name()) else { return Vec::new() };
        let rules = self.items(&list, 0, self.dialect.most);
        rules.into_iter().filter_map(|field| self.rule(field, direction)).collect()
    }

    /// `None` only if there is a problem.
    fn rule(&mut self, field: Field, direction: Direction) -> Option<ClusterRule> {
        let line = field.node.line;
        let peers_field = peers_field(direction);
        let fields = field.fields(&["name", "action", peers_field, self.dialect.ports], &mut self.problems);
        let name = fields.string("name", &mut self.problems).map(|(field, name)| {
            if self.strictness == Strictness::Manifest && name.chars().count() > NAME {
                self.problems.at(&field, format!("Too long: may not be more than {NAME} characters"));
            }
            name.to_string()
        });
        let action = required(&fields, "action", &mut self.problems)
            .and_then(|field| choice(&field, self.dialect.actions, &mut self.problems));
        // "This field must be defined and contain at least one item."
        let peers = required(&fields, peers_field, &mut self.problems).map(|list| {
            let peers = self.items(&list, 1, self.dialect.most);
            peers.into_iter().filter_map(|peer| self.peer(peer, direction, action)).collect()
        });
        let ports = self.ports(&fields);
        let rule = ClusterRule { name: name.unwrap_or_default(), action: action?, peers: peers?, ports, line };
        self.named_ports_of_pods(fields.at(), &rule);
        Some(rule)
    }

    fn ports(&mut self, fields: &Fields) -> ClusterPorts {
        // "If unspecified, protocol-specific attributes will not be used to match traffic."
        let Some(list) = fields.get(self.dialect.ports) else { return ClusterPorts::All };
        // The first schemas of v1alpha1 let an empty list pass.
        let least = if self.strictness == Strictness::Manifest { 1 } else { 0 };
        let ports = self.items(&list, least, self.dialect.most);
        if ports.is_empty() {
            return ClusterPorts::All;
        }
        ClusterPorts::Any(ports.into_iter().filter_map(|port| self.port(port)).collect())
    }

    /// "You can't use this in a rule that targets resources without named ports (e.g. Nodes or Networks)."
    fn named_ports_of_pods(&mut self, at: &Field, rule: &ClusterRule) {
        let ClusterPorts::Any(ports) = &rule.ports else { return };
        let named = ports.iter().any(|port| matches!(port, ClusterPort::Named(_)));
        // The first schemas of v1alpha1 let this pass; such a port is one of the pods among the peers.
        if !named || self.strictness == Strictness::Server || rule.peers.iter().all(peer::has_named_ports) {
            return;
        }
        let others: Vec<_> = self.dialect.egress_peers.iter().copied().filter(|name| !PODS.contains(name)).collect();
        let others = others.join("/");
        let words = format!("{others} peer cannot be set with namedPorts since there are no namedPorts for {others}");
        self.problems.invalid(at, "object", &[words]);
    }

    /// The items of a list; that it is too long is not held against an object that a server has taken.
    fn items<'n>(&mut self, list: &Field<'n>, least: usize, most: usize) -> Vec<Field<'n>> {
        let most = if self.strictness == Strictness::Server { usize::MAX } else { most };
        items(list, least..=most, &mut self.problems)
    }
}

#[cfg(test)]
mod tests;
