//! What one cluster taught, for another: the generated policies with their namespaces renamed.
//!
//! Policies that select by label mean the same in both clusters once the namespaces have the other's names. Addresses do
//! not: those of the learning cluster's nodes, and those outside that it happened to use, are findings, each with its rule.
//! The policies are proved before they are renamed, in the learning cluster's terms; after it they are read back from their
//! YAML, and renaming them back has to give what was proved.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::inventory::Inventory;
use crate::label::{NAMESPACE_NAME, Requirement, Selector};
use crate::manifest::Objects;
use crate::policy::{Block, Direction, Namespaces, Peer, Peers, Policy};
use crate::render::render;
use crate::synthesize::Planned;

/// Which namespace of the learning cluster is which of the other. No two become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    forth: BTreeMap<String, String>,
    back: BTreeMap<String, String>,
}

/// Why namespaces cannot be mapped so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// One namespace has two names in the other cluster.
    #[error("{from} cannot be both {first} and {second}")]
    Twice {
        /// The namespace.
        from: String,
        /// One name.
        first: String,
        /// Another.
        second: String,
    },
    /// Two namespaces have one name in the other cluster.
    #[error("{first} and {second} cannot both be {to}: their policies and their pods would be one")]
    Merged {
        /// A namespace.
        first: String,
        /// Another.
        second: String,
        /// The name.
        to: String,
    },
    /// A name that a namespace of the learning cluster has already, which is not mapped.
    #[error("{from} cannot be {to}: the learning cluster has a namespace {to} too; map that one as well")]
    Taken {
        /// The namespace.
        from: String,
        /// The name.
        to: String,
    },
    /// The learning cluster has no such namespace.
    #[error("the cluster input has no namespace {from}")]
    Unknown {
        /// The name.
        from: String,
    },
}

impl Mapping {
    /// From pairs of names, the learning cluster's first. Namespaces that are not named keep their names.
    ///
    /// # Errors
    ///
    /// The mapping is not one to one over the namespaces of `inventory`, or names one that is not there.
    pub fn new(pairs: &[(String, String)], inventory: &Inventory) -> Result<Mapping, MappingError> {
        let (mut forth, mut back) = (BTreeMap::new(), BTreeMap::new());
        for (from, to) in pairs {
            if inventory.namespaces.labels(from).is_none() {
                return Err(MappingError::Unknown { from: from.clone() });
            }
            if let Some(first) = forth.insert(from.clone(), to.clone()).filter(|first| first != to) {
                return Err(MappingError::Twice { from: from.clone(), first, second: to.clone() });
            }
            if let Some(first) = back.insert(to.clone(), from.clone()).filter(|first| first != from) {
                return Err(MappingError::Merged { first, second: from.clone(), to: to.clone() });
            }
        }
        let stays = |to: &String| inventory.namespaces.labels(to).is_some() && !forth.contains_key(to);
        if let Some((to, from)) = back.iter().find(|(to, _)| stays(to)) {
            return Err(MappingError::Taken { from: from.clone(), to: to.clone() });
        }
        Ok(Mapping { forth, back })
    }

    /// What a namespace of the other cluster is called in the learning one; `None` where no namespace becomes it.
    pub fn original(&self, namespace: &str) -> Option<&str> {
        self.back.get(namespace).map(String::as_str)
    }

    /// Whether a namespace is named; one that keeps its name may be.
    pub fn names(&self, namespace: &str) -> bool {
        self.forth.contains_key(namespace)
    }
}

/// Policies for another cluster.
#[derive(Debug, Clone, Default)]
pub struct Carried {
    /// The policies of the namespaces that are mapped, sorted by their new namespace and name.
    pub policies: Vec<Planned>,
    /// Namespaces with policies that are not mapped: theirs are left out.
    pub left: BTreeSet<String>,
    /// What of the policies may not hold in the other cluster, each with its rule, in words.
    pub findings: Vec<String>,
    /// What is wrong with the result: renamed back it is not what was proved. Empty, or a defect.
    pub broken: Vec<String>,
}

/// Renames the namespaces of policies of `inventory`'s cluster.
pub fn carry(planned: &[&Planned], mapping: &Mapping, inventory: &Inventory) -> Carried {
    let mut carried = Carried::default();
    for original in planned {
        let namespace = &original.policy.namespace;
        if !mapping.names(namespace) {
            carried.left.insert(namespace.clone());
            continue;
        }
        let mut policy = (*original).clone();
        rename(&mut policy.policy, &mapping.forth);
        if policy.policy.namespace != *namespace {
            policy.header.push(format!("Learned in namespace {namespace}; the evidence names the learning cluster."));
        }
        // The policy is what is handed out, the text what is checked.
        carried.broken.extend(differs(&policy, &original.policy, mapping));
        carried.findings.extend(addresses(&policy.policy, inventory));
        carried.findings.extend(foreign_peers(&policy.policy, &original.policy, mapping));
        carried.policies.push(policy);
    }
    let id = |planned: &Planned| (planned.policy.namespace.clone(), planned.policy.name.clone());
    carried.policies.sort_by_key(id);
    carried
}

/// Puts other names of namespaces into a policy: its own, and those that its peers are selected by.
fn rename(policy: &mut Policy, names: &BTreeMap<String, String>) {
    let renamed = |name: &String| names.get(name).unwrap_or(name).clone();
    if let Some(name) = names.get(&policy.namespace) {
        policy.namespace = name.clone();
    }
    for rule in policy.ingress.iter_mut().chain(&mut policy.egress).flatten() {
        let Peers::Any(peers) = &mut rule.peers else { continue };
        for peer in peers {
            if let Peer::Pods { namespaces: Namespaces::Matching(selector), .. } = peer {
                *selector = selector.requirements().cloned().map(|written| requirement(written, renamed)).collect();
            }
        }
    }
}

fn requirement(written: Requirement, renamed: impl Fn(&String) -> String) -> Requirement {
    match written {
        Requirement::In { key, values } if key == NAMESPACE_NAME => {
            Requirement::In { key, values: values.iter().map(renamed).collect() }
        }
        Requirement::NotIn { key, values } if key == NAMESPACE_NAME => {
            Requirement::NotIn { key, values: values.iter().map(renamed).collect() }
        }
        other => other,
    }
}

/// Reads a renamed policy back from its YAML and renames it back; `None` where that is the original.
fn differs(planned: &Planned, original: &Policy, mapping: &Mapping) -> Option<String> {
    let id = planned.policy.id();
    let mut objects = Objects::default();
    objects.load(&id, &render(planned));
    if let Some(problem) = objects.problems.first() {
        return Some(problem.to_string());
    }
    let Some(mut read) = objects.policies.pop().map(Policy::without_places) else {
        return Some(format!("{id}: does not read back as a NetworkPolicy"));
    };
    rename(&mut read, &mapping.back);
    (read != *original).then(|| format!("{id}: renamed back it is not {}, which was proved", original.id()))
}

/// Each rule with addresses that are the learning cluster's own, or that it happened to talk to.
fn addresses(policy: &Policy, inventory: &Inventory) -> Vec<String> {
    let mut findings = Vec::new();
    for (direction, index, peers) in rules(policy) {
        let blocks = peers.iter().filter_map(|peer| match peer {
            Peer::Block(block) => Some(block),
            Peer::Pods { .. } => None,
        });
        let mut words: Vec<String> = blocks.filter_map(|block| address(block, inventory)).collect();
        words.sort();
        words.dedup();
        if !words.is_empty() {
            let rule = format!("{}: {direction} rule {index}", policy.id());
            findings.push(format!("{rule} has addresses of the learning cluster: {}", words.join(", ")));
        }
    }
    findings
}

/// What an address is to the learning cluster; `None` for what is the same everywhere.
fn address(block: &Block, inventory: &Inventory) -> Option<String> {
    let cidr = &block.cidr;
    if cidr.prefix_len() == 0 {
        let except: Vec<String> = block.except.iter().map(ToString::to_string).collect();
        return (!except.is_empty()).then(|| format!("the pod ranges {}, as exceptions of {cidr}", except.join(", ")));
    }
    let link_local = match cidr.network() {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    // NodeLocal DNS and the metadata service are where they are by convention.
    if link_local {
        return None;
    }
    let nodes = nodes(cidr, inventory);
    Some(match nodes.is_empty() {
        true => format!("{cidr} (outside)"),
        false => format!("{cidr} (node {})", nodes.into_iter().collect::<Vec<_>>().join(", ")),
    })
}

fn nodes<'a>(cidr: &IpNet, inventory: &'a Inventory) -> BTreeSet<&'a str> {
    let inside = |node: &crate::endpoint::Node| node.addresses.keys().any(|ip| cidr.contains(ip));
    inventory.nodes.iter().filter(|(_, node)| inside(node)).map(|(name, _)| name.as_str()).collect()
}

/// Each rule with peers in namespaces that nobody mapped: they are taken to have the same names there.
fn foreign_peers(policy: &Policy, original: &Policy, mapping: &Mapping) -> Vec<String> {
    let mut findings = Vec::new();
    for (direction, index, peers) in rules(original) {
        let selected = peers.iter().filter_map(|peer| match peer {
            Peer::Pods { namespaces: Namespaces::Matching(selector), .. } => Some(names_in(selector)),
            _ => None,
        });
        let foreign: BTreeSet<String> = selected.flatten().filter(|name| !mapping.names(name)).collect();
        if !foreign.is_empty() {
            let names = foreign.into_iter().collect::<Vec<_>>().join(", ");
            let rule = format!("{}: {direction} rule {index}", policy.id());
            findings.push(format!("{rule} selects pods of {names}, taken to have this name in the other cluster too"));
        }
    }
    findings
}

fn names_in(selector: &Selector) -> Vec<String> {
    let named = selector.requirements().filter_map(|requirement| match requirement {
        Requirement::In { key, values } if key == NAMESPACE_NAME => Some(values.iter().cloned()),
        _ => None,
    });
    named.flatten().collect()
}

fn rules(policy: &Policy) -> impl Iterator<Item = (Direction, usize, &[Peer])> {
    Direction::ALL.into_iter().flat_map(|direction| {
        let rules = policy.rules(direction).unwrap_or_default().iter().enumerate();
        rules.map(move |(index, rule)| (direction, index, rule.peers.listed()))
    })
}

#[cfg(test)]
mod tests;
