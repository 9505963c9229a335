//! Elements of `from` and `to`, and the subject, which is one of them.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::{Decoder, PODS};
use crate::cluster::{Action, ClusterKind, ClusterPeer, PodPeer};
use crate::label::Selector;
use crate::manifest::field::Field;
use crate::manifest::metadata::Strictness;
use crate::manifest::node::Value;
use crate::manifest::schema::{exactly_one, required};
use crate::manifest::selector::selector;
use crate::manifest::validation::{Cidr, Objection, cidr, domain_name};
use crate::policy::Direction;

/// Most CIDRs or domain names of one peer.
const MOST: usize = 25;

/// The syntax of a domain name, as v1alpha2 has it.
const DOMAIN_NAME: &str =
    r"^(\*\.)?([a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+[a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?$";

/// Whether a peer can have containers, and so names of ports.
pub(super) fn has_named_ports(peer: &ClusterPeer) -> bool {
    matches!(peer, ClusterPeer::Pods(_) | ClusterPeer::Unknown)
}

impl Decoder {
    /// `None` only if there is a problem.
    pub(super) fn peer(&mut self, field: Field, direction: Direction, action: Option<Action>) -> Option<ClusterPeer> {
        let known = match direction {
            Direction::Ingress => &PODS,
            Direction::Egress => self.dialect.egress_peers,
        };
        // "If an implementation sees no fields are set then it can infer that the deployed CRD is of an incompatible
        // version with an unknown field." In a manifest an unknown field is a misspelt one: kubectl refuses it.
        let stored = self.strictness == Strictness::Server && matches!(field.node.value, Value::Mapping(_));
        if stored && known.iter().all(|name| field.node.get(name).is_none()) {
            return Some(ClusterPeer::Unknown);
        }
        let (name, field) = exactly_one(field, known, &mut self.problems)?;
        Some(match name {
            "networks" => ClusterPeer::Networks(self.networks(&field)),
            "nodes" => ClusterPeer::Nodes(self.selector(field)),
            "domainNames" => ClusterPeer::DomainNames(self.domain_names(&field, action)),
            pods => ClusterPeer::Pods(self.pods(pods, field)),
        })
    }

    /// `namespaces` or `pods`.
    pub(super) fn pods(&mut self, name: &str, field: Field) -> PodPeer {
        if name == "namespaces" {
            return PodPeer { namespaces: self.selector(field), pods: Selector::everything() };
        }
        let fields = field.fields(&["namespaceSelector", "podSelector"], &mut self.problems);
        // "NamespaceSelector follows standard label selector semantics; if empty, it selects all Namespaces", and
        // v1alpha2 has made it optional.
        let namespaces = match self.dialect.kind {
            ClusterKind::ClusterNetworkPolicy => fields.get("namespaceSelector"),
            _ => required(&fields, "namespaceSelector", &mut self.problems),
        };
        let namespaces = namespaces.map(|field| self.selector(field)).unwrap_or_default();
        let pods = required(&fields, "podSelector", &mut self.problems);
        PodPeer { namespaces, pods: pods.map(|field| self.selector(field)).unwrap_or_default() }
    }

    fn networks(&mut self, list: &Field) -> Vec<IpNet> {
        let texts = self.set(list);
        texts.into_iter().filter_map(|(field, text)| self.network(&field, text)).collect()
    }

    fn network(&mut self, field: &Field, text: &str) -> Option<IpNet> {
        let stored = self.strictness == Strictness::Server;
        let net = cidr(text).filter(|Cidr { objection, .. }| match objection {
            None => true,
            Some(Objection::HostBits) => self.host_bits || stored,
            // The first schemas of v1alpha1 let these pass.
            Some(Objection::Mapped) => stored,
            // Go's net.ParseCIDR does not take these, so nobody enforces them.
            Some(Objection::LeadingZeros) => false,
        });
        if net.is_none() {
            self.problems.invalid(field, text, &["Invalid CIDR format provided".to_string()]);
        }
        net.map(|cidr| cidr.net)
    }

    fn domain_names(&mut self, list: &Field, action: Option<Action>) -> Vec<String> {
        // "DomainNames is only supported for Accept rules." No schema says so, but what others would do is open.
        if action.is_some_and(|action| action != Action::Accept) {
            let (accept, ..) = self.dialect.actions[0];
            self.problems.at(list, format!("Forbidden: domainNames is only supported for {accept} rules"));
        }
        let texts = self.set(list);
        let names = texts.into_iter().map(|(field, text)| {
            // The pattern of v1alpha1 is a little wider than this.
            if self.strictness == Strictness::Manifest && !domain_name(text) {
                let words = format!("{} in body should match '{DOMAIN_NAME}'", field.path);
                self.problems.invalid(&field, text, &[words]);
            }
            text.to_string()
        });
        names.collect()
    }

    /// The items of a list that has each but once (`x-kubernetes-list-type: set`).
    fn set<'n>(&mut self, list: &Field<'n>) -> Vec<(Field<'n>, &'n str)> {
        let items = self.items(list, 1, MOST);
        let mut seen = BTreeSet::new();
        let texts = items.into_iter().filter_map(|field| {
            let text = field.string(&mut self.problems)?;
            if !seen.insert(text) && self.strictness == Strictness::Manifest {
                self.problems.at(&field, format!("Duplicate value: {text:?}"));
            }
            Some((field, text))
        });
        texts.collect()
    }

    fn selector(&mut self, field: Field) -> Selector {
        selector(field, self.strictness == Strictness::Server, &mut self.problems)
    }
}
