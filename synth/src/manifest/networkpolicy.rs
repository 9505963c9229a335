//! `networking.k8s.io/v1` NetworkPolicy: strict decoding, the API server's validation, and its defaults.
//!
//! Sentences in quotes are the API reference's (`k8s.io/api/networking/v1/types.go`); messages are those of
//! `pkg/apis/networking/validation` and of strict decoding, so that what is refused here reads as it does in kubectl.

use std::num::NonZeroU16;
use std::sync::Arc;

use super::field::{Field, Fields, Problems, protocol};
use super::metadata::{Scope, Strictness, Written, metadata, type_meta};
use super::node::{Node, Value};
use super::selector::selector;
use super::validation::{Cidr, cidr, port_name, port_number};
use crate::label::Selector;
use crate::policy::{
    Block, Direction, Ignored, Lines, Namespaces, Origin, Peer, Peers, Policy, PolicyPort, PortMatch, Ports, Rule,
};
use crate::port::{PortRange, Protocol};

pub use super::field::Invalid;

/// The one version that servers know since Kubernetes 1.16.
const API_VERSION: &str = "networking.k8s.io/v1";

/// Decodes one NetworkPolicy and applies the defaults of the API server. An object that has a `metadata.uid` comes out
/// of a cluster, and may hold CIDRs with host bits, leading zeros or IPv4-mapped addresses, which are normalised.
///
/// # Errors
/// Everything that kubectl or the API server would refuse about the object, in the order of the document's sections.
pub fn decode(node: &Node, file: &Arc<str>) -> Result<Policy, Vec<Invalid>> {
    let written = Written::of(node);
    // Requests without a namespace go to the one of kubectl's context, which is `default` unless it is set.
    let namespace = written.namespace.unwrap_or("default");
    let strictness = written.strictness;

    let object = format!("NetworkPolicy {namespace}/{}", written.name.unwrap_or("?"));
    let mut decoder = Decoder { strictness, problems: Problems::new(file, object), ignored: Vec::new() };
    // There is no status any more; servers up to 1.27 printed one.
    let known = ["apiVersion", "kind", "metadata", "spec", "status"];
    let root = Field::root(node).fields(&known, &mut decoder.problems);
    type_meta(&root, "NetworkPolicy", &[API_VERSION], &mut decoder.problems);
    let (labels, created) = metadata(&root, Scope::Namespace, &mut decoder.problems);
    let spec = decoder.spec(&root);

    let found = decoder.problems.into_found();
    if !found.is_empty() {
        return Err(found);
    }
    let Spec { subject, subject_line, ingress, egress, ignored } = spec;
    let origin = Origin { file: Arc::clone(file), line: node.line };
    let (namespace, name) = (namespace.to_string(), written.name.unwrap_or_default().to_string());
    let version = written.version;
    Ok(Policy { namespace, name, labels, created, version, origin, subject, subject_line, ingress, egress, ignored })
}

/// The field of a rule that has its peers.
pub(super) fn peers_field(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    }
}

struct Spec {
    subject: Selector,
    subject_line: u32,
    ingress: Option<Vec<Rule>>,
    egress: Option<Vec<Rule>>,
    ignored: Vec<Ignored>,
}

struct Decoder {
    strictness: Strictness,
    problems: Problems,
    ignored: Vec<Ignored>,
}

impl Decoder {
    fn spec(&mut self, root: &Fields) -> Spec {
        let Some(spec) = root.get("spec") else {
            // Every field of the spec is optional, hence so is the spec: it isolates all pods of the namespace.
            return Spec {
                subject: Selector::everything(),
                subject_line: root.at().node.line,
                ingress: Some(Vec::new()),
                egress: None,
                ignored: Vec::new(),
            };
        };
        let spec = spec.fields(&["podSelector", "ingress", "egress", "policyTypes"], &mut self.problems);
        // "This field is optional. If it is not specified, it defaults to an empty selector."
        let subject_line = spec.get("podSelector").map_or(root.at().node.line, |field| field.node.line);
        let subject = spec.get("podSelector").map(|field| self.selector(field, true)).unwrap_or_default();
        let ingress = self.rules(&spec, Direction::Ingress);
        let egress = self.rules(&spec, Direction::Egress);
        let types = self.policy_types(&spec);
        let (isolates_ingress, isolates_egress) = if types.is_empty() {
            // "If this field is not specified, it will default based on the existence of ingress or egress rules;
            // policies that contain an egress section are assumed to affect egress, and all policies (whether or not
            // they contain an ingress section) are assumed to affect ingress." An empty egress list is no section:
            // SetDefaults_NetworkPolicy looks at its length.
            (true, !egress.is_empty())
        } else {
            (types.contains(&Direction::Ingress), types.contains(&Direction::Egress))
        };
        let mut ignored = std::mem::take(&mut self.ignored);
        for (direction, isolates, rules) in
            [(Direction::Ingress, isolates_ingress, &ingress), (Direction::Egress, isolates_egress, &egress)]
        {
            if let (false, Some(first)) = (isolates, rules.first()) {
                ignored.push(Ignored::Rules { direction, count: rules.len(), line: first.lines.rule });
            }
        }
        ignored.sort_by_key(|ignored| match ignored {
            Ignored::Rules { line, .. } | Ignored::MatchLabels { line, .. } => *line,
        });
        let (ingress, egress) = (isolates_ingress.then_some(ingress), isolates_egress.then_some(egress));
        Spec { subject, subject_line, ingress, egress, ignored }
    }

    fn policy_types(&mut self, spec: &Fields) -> Vec<Direction> {
        let items = spec.list("policyTypes", &mut self.problems);
        if items.len() > 2
            && let Some(list) = spec.get("policyTypes")
        {
            let given: Vec<_> = items.iter().map(|item| item.node.text().unwrap_or("?")).collect();
            self.problems.at(&list, format!("Invalid value: {given:?}: may not specify more than two policyTypes"));
            return Vec::new();
        }
        let mut types = Vec::new();
        for item in items {
            // "Valid options are ["Ingress"], ["Egress"], or ["Ingress", "Egress"]."
            match item.string(&mut self.problems) {
                Some("Ingress") => types.push(Direction::Ingress),
                Some("Egress") => types.push(Direction::Egress),
                Some(other) => self.problems.unsupported(&item, other, &["Ingress", "Egress"]),
                None => {}
            }
        }
        types
    }

    fn rules(&mut self, spec: &Fields, direction: Direction) -> Vec<Rule> {
        let items = spec.list(direction.name(), &mut self.problems);
        items.into_iter().map(|item| self.rule(item, direction)).collect()
    }

    fn rule(&mut self, field: Field, direction: Direction) -> Rule {
        let peers_field = peers_field(direction);
        let line = field.node.line;
        let fields = field.fields(&["ports", peers_field], &mut self.problems);
        let mut lines = Lines { rule: line, ..Lines::default() };
        let ports = fields.list("ports", &mut self.problems);
        lines.ports = ports.iter().map(|item| item.node.line).collect();
        // "If this field is empty or missing, this rule matches all ports (traffic not restricted by port)."
        let ports = if ports.is_empty() {
            Ports::All
        } else {
            Ports::Any(ports.into_iter().filter_map(|item| self.port(item)).collect())
        };
        let peers = fields.list(peers_field, &mut self.problems);
        lines.peers = peers.iter().map(|item| item.node.line).collect();
        // "If this field is empty or missing, this rule matches all sources (traffic not restricted by source)."
        let peers = if peers.is_empty() {
            Peers::Everyone
        } else {
            Peers::Any(peers.into_iter().filter_map(|item| self.peer(item)).collect())
        };
        Rule { peers, ports, lines }
    }

    fn port(&mut self, field: Field) -> Option<PolicyPort> {
        let fields = field.fields(&["protocol", "port", "endPort"], &mut self.problems);
        let protocol = match fields.get("protocol") {
            // "If not specified, this field defaults to TCP."
            None => Some(Protocol::Tcp),
            Some(field) => protocol(&field, &mut self.problems),
        };
        let problems = &mut self.problems;
        let end = fields.get("endPort").and_then(|field| field.int32(problems).map(|end| (field, end)));
        let Some(port) = fields.get("port") else {
            // "This field cannot be defined if the port field is not defined or if the port field is defined as a named
            // (string) port."
            if let Some((field, end)) = end {
                problems.invalid(&field, end, &["may not be specified when `port` is not specified".to_string()]);
            }
            // "If this field is not provided, this matches all port names and numbers."
            return Some(PolicyPort { protocol: protocol?, port: PortMatch::Every });
        };
        if let Value::String(name) = &port.node.value {
            if let Some((field, end)) = end {
                problems.invalid(&field, end, &["may not be specified when `port` is non-numeric".to_string()]);
            }
            problems.invalid(&port, name, &port_name(name));
            return Some(PolicyPort { protocol: protocol?, port: PortMatch::Named(name.clone()) });
        }
        let number = port.int32(problems)?;
        problems.invalid(&port, number, &port_number(number));
        let last = match end {
            None => number,
            Some((field, end)) => {
                // "The endPort must be equal or greater than port."
                if end < number {
                    problems.invalid(&field, end, &["must be greater than or equal to `port`".to_string()]);
                }
                problems.invalid(&field, end, &port_number(end));
                end
            }
        };
        let bound = |number: i32| u16::try_from(number).ok().and_then(NonZeroU16::new);
        let range = PortRange::new(bound(number)?, bound(last)?)?;
        Some(PolicyPort { protocol: protocol?, port: PortMatch::Range(range) })
    }

    fn peer(&mut self, field: Field) -> Option<Peer> {
        let fields = field.fields(&["podSelector", "namespaceSelector", "ipBlock"], &mut self.problems);
        let pods = fields.get("podSelector").map(|field| self.selector(field, false));
        let namespaces = fields.get("namespaceSelector").map(|field| self.selector(field, false));
        let block = fields.get("ipBlock").map(|field| self.block(field));
        match (block, pods, namespaces) {
            (None, None, None) => {
                self.problems.at(fields.at(), "Required value: must specify a peer");
                None
            }
            (Some(block), None, None) => block.map(Peer::Block),
            // "If this field is set then neither of the other fields can be."
            (Some(_), _, _) => {
                self.problems.at(fields.at(), "Forbidden: may not specify both ipBlock and another peer");
                None
            }
            // "If namespaceSelector is also set, then the NetworkPolicyPeer as a whole selects the pods matching
            // podSelector in the Namespaces selected by NamespaceSelector. Otherwise it selects the pods matching
            // podSelector in the policy's own namespace."
            (None, pods, namespaces) => {
                let namespaces = namespaces.map_or(Namespaces::Own, Namespaces::Matching);
                Some(Peer::Pods { namespaces, pods: pods.unwrap_or_default() })
            }
        }
    }

    fn block(&mut self, field: Field) -> Option<Block> {
        let fields = field.fields(&["cidr", "except"], &mut self.problems);
        let outer = match fields.string("cidr", &mut self.problems) {
            Some((field, text)) if !text.is_empty() => self.cidr(&field, text),
            written => {
                if written.is_some() || fields.get("cidr").is_none() {
                    self.problems.absent(fields.at(), "cidr", "Required value");
                }
                None
            }
        };
        let mut except = Vec::new();
        for item in fields.list("except", &mut self.problems) {
            let Some(text) = item.string(&mut self.problems) else {
                continue;
            };
            let Some(inner) = self.cidr(&item, text) else { continue };
            // "Except values will be rejected if they are outside the cidr range", and so is the range itself.
            if outer.is_some_and(|outer| !outer.contains(&inner) || outer.prefix_len() >= inner.prefix_len()) {
                self.problems.invalid(&item, text, &["must be a strict subset of `cidr`".to_string()]);
            }
            except.push(inner);
        }
        Some(Block { cidr: outer?, except })
    }

    fn cidr(&mut self, field: &Field, text: &str) -> Option<ipnet::IpNet> {
        let Some(Cidr { net, objection }) = cidr(text) else {
            let words = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
            self.problems.invalid(field, text, &[words.to_string()]);
            return None;
        };
        if let Some(objection) = objection
            && self.strictness == Strictness::Manifest
        {
            self.problems.invalid(field, text, &[objection.words().to_string()]);
        }
        Some(net)
    }

    fn selector(&mut self, field: Field, subject: bool) -> Selector {
        let line = field.node.line;
        let written = matches!(&field.node.value, Value::Mapping(entries)
            if entries.iter().any(|(key, _)| key.text == "matchLabels"));
        let selector = selector(field, self.strictness == Strictness::Server, &mut self.problems);
        if written && selector.is_everything() {
            self.ignored.push(Ignored::MatchLabels { subject, line });
        }
        selector
    }
}

#[cfg(test)]
mod tests;
