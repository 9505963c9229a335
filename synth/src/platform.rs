//! Which network plugin and which mesh a cluster has, and what of the policies at hand they cannot do.
//!
//! What is known of them stands in `table`. They are recognized by DaemonSets, images and annotations of nodes; what is
//! not recognized is unknown, and nothing is concluded from it. `limits` holds policies against what is recognized.

mod limits;
mod table;

use std::collections::{BTreeMap, BTreeSet};

pub use limits::{Finding, limits};

use self::table::{Enforcement, MESHES, Mesh, PLUGINS, Plugin};
use crate::endpoint::Workload;
use crate::inventory::{Inventory, WorkloadInfo};

/// Something that a plugin or a mesh cannot do, or does otherwise than policies say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// No policy has any effect.
    NotEnforced,
    /// `endPort`.
    EndPort,
    /// Ports by name.
    NamedPort,
    /// Protocol SCTP.
    Sctp,
    /// `ipBlock` around addresses of pods.
    BlockPods,
    /// `ipBlock` around addresses of nodes.
    BlockNodes,
    /// Connections were seen in a mesh's tunnel: their real port is hidden.
    TunnelSeen,
    /// A policy allows ports of pods of a mesh, but not the port of its tunnel.
    TunnelDenied,
    /// A policy names a port that is only used inside of pods.
    InsidePort,
}

impl Limit {
    /// The word of the machine format.
    pub fn name(self) -> &'static str {
        match self {
            Limit::NotEnforced => "not-enforced",
            Limit::EndPort => "end-port",
            Limit::NamedPort => "named-port",
            Limit::Sctp => "sctp",
            Limit::BlockPods => "ip-block-pods",
            Limit::BlockNodes => "ip-block-nodes",
            Limit::TunnelSeen => "tunnel-seen",
            Limit::TunnelDenied => "tunnel-denied",
            Limit::InsidePort => "inside-port",
        }
    }
}

/// What a component is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It connects pods, or enforces policies.
    NetworkPlugin,
    /// It takes connections between pods into its own hands.
    Mesh,
}

impl Role {
    /// The word of the machine format.
    pub fn name(self) -> &'static str {
        match self {
            Role::NetworkPlugin => "network_plugin",
            Role::Mesh => "mesh",
        }
    }
}

/// A network plugin or a mesh of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// What it is for.
    pub role: Role,
    /// Its name.
    pub name: &'static str,
    /// The tag of its image, where that is known and one.
    pub version: Option<String>,
    /// Whether it enforces NetworkPolicies; `None` where that is not known, and for a mesh.
    pub enforces: Option<bool>,
    /// By what it was recognized.
    pub evidence: Vec<String>,
    /// Where it is documented.
    pub source: &'static str,
    /// A part that leaves policies to others.
    delegated: bool,
}

/// The plugins and meshes of a cluster, by role and name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Platform {
    /// All that were recognized.
    pub components: Vec<Component>,
}

impl Platform {
    /// Recognizes them.
    pub fn of(inventory: &Inventory) -> Platform {
        let mut plugins: Vec<(&Plugin, Component)> =
            PLUGINS.iter().filter_map(|plugin| Some((plugin, recognize(plugin, inventory)?))).collect();
        let covered: BTreeSet<&str> = plugins.iter().flat_map(|(plugin, _)| plugin.covers.iter().copied()).collect();
        plugins.retain(|(plugin, _)| !covered.contains(plugin.name));
        let meshes = MESHES.iter().filter_map(|mesh| recognize_mesh(mesh, inventory));
        Platform { components: plugins.into_iter().map(|(_, component)| component).chain(meshes).collect() }
    }

    /// The network plugins.
    pub fn plugins(&self) -> impl Iterator<Item = &Component> {
        self.components.iter().filter(|component| component.role == Role::NetworkPlugin)
    }

    /// Whether anything enforces NetworkPolicies; `None` where that is not known.
    pub fn enforces(&self) -> Option<bool> {
        let mut said = self.plugins().filter(|plugin| !plugin.delegated).map(|plugin| plugin.enforces).peekable();
        said.peek()?;
        // One that enforces is enough. One of which it is not known leaves it open.
        said.try_fold(Some(false), |sum, enforces| match (sum, enforces) {
            (_, Some(true)) => Err(Some(true)),
            (Some(false), Some(false)) => Ok(Some(false)),
            _ => Ok(None),
        })
        .unwrap_or_else(|decided| decided)
    }

    /// The names of the network plugins, `Calico and Multus`; `None` where there is none.
    pub fn plugin_names(&self) -> Option<String> {
        let names: Vec<&str> = self.plugins().map(|plugin| plugin.name).collect();
        (!names.is_empty()).then(|| names.join(" and "))
    }
}

/// Workloads that a plugin may run as: on every node, on the node's network.
fn daemons(inventory: &Inventory) -> impl Iterator<Item = (&Workload, &WorkloadInfo)> {
    inventory.workloads.iter().filter(|(workload, info)| workload.kind == "DaemonSet" || info.host_network)
}

/// The repository of an image without its tag and digest, and the tag.
fn image_parts(image: &str) -> (&str, Option<&str>) {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        // A port of a registry is no tag.
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (image, None),
    }
}

/// Whether an image is one of those whose repository ends like this.
pub(crate) fn is_image(image: &str, ends: &[&str]) -> bool {
    let (repository, _) = image_parts(image);
    ends.iter().any(|end| repository.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('/')))
}

fn recognize(plugin: &Plugin, inventory: &Inventory) -> Option<Component> {
    let mut evidence = Vec::new();
    let mut tags: BTreeSet<&str> = BTreeSet::new();
    let mut found: Vec<&WorkloadInfo> = Vec::new();
    for (workload, info) in daemons(inventory) {
        let images = info.containers.values().flatten();
        let own: Vec<&String> = images.filter(|image| is_image(image, plugin.images)).collect();
        let named = workload.kind == "DaemonSet" && plugin.daemons.contains(&workload.name.as_str());
        if named || !own.is_empty() {
            evidence.push(format!("{} {}/{}", workload.kind, workload.namespace, workload.name));
            tags.extend(own.into_iter().filter_map(|image| image_parts(image).1));
            found.push(info);
        }
    }
    let written = |key: &&String| plugin.annotations.iter().any(|start| key.starts_with(start));
    let annotated = inventory.nodes.values().flat_map(|node| node.annotations.keys()).filter(written).min();
    evidence.extend(annotated.map(|key| format!("annotation {key} of nodes")));
    if evidence.is_empty() {
        return None;
    }
    Some(Component {
        role: Role::NetworkPlugin,
        name: plugin.name,
        version: tags.first().filter(|_| tags.len() == 1).map(ToString::to_string),
        enforces: enforcement(plugin.enforces, &found, &tags, inventory),
        evidence,
        source: plugin.source,
        delegated: plugin.enforces == Enforcement::Delegated,
    })
}

fn enforcement(
    how: Enforcement,
    found: &[&WorkloadInfo],
    tags: &BTreeSet<&str>,
    inventory: &Inventory,
) -> Option<bool> {
    match how {
        Enforcement::Always => Some(true),
        Enforcement::Unknown | Enforcement::Delegated => None,
        // Annotations of nodes alone do not say what else runs there.
        Enforcement::Never => (!found.is_empty()).then_some(false),
        Enforcement::Dated { without, with, since } => {
            let one = |tag: &&str| match (date(tag), version(tag)) {
                (Some(date), _) if date >= with => Some(true),
                (Some(date), _) if date <= without => Some(false),
                (Some(_), _) => None,
                (None, version) => version.map(|version| version >= since),
            };
            let said: BTreeSet<Option<bool>> = tags.iter().map(one).collect();
            said.first().copied().flatten().filter(|_| said.len() == 1)
        }
        Enforcement::Agent { container, image, flag } => {
            let has = |info: &&WorkloadInfo| {
                let images = info.containers.values().flatten();
                info.containers.contains_key(container) || images.into_iter().any(|known| is_image(known, &[image]))
            };
            let given = |value: &str| found.iter().any(|info| info.flags.contains(&format!("{flag}={value}")));
            // Without images it is not known which containers there are.
            let known = found.iter().any(|info| info.containers.values().any(|images| !images.is_empty()));
            match found.iter().any(has) {
                true if given("true") => Some(true),
                true if given("false") => Some(false),
                true => None,
                false => known.then_some(false),
            }
        }
        Enforcement::Unless(off) => {
            let flagged = found.iter().any(|info| info.flags.contains(off));
            let noted = inventory.nodes.values().flat_map(|node| node.annotations.values());
            Some(!flagged && !noted.into_iter().any(|value| value.contains(off)))
        }
    }
}

/// `v20240813-c6f155d6` as 20240813.
fn date(tag: &str) -> Option<u32> {
    let digits: String = tag.trim_start_matches('v').chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|_| digits.len() == 8)
}

/// `v1.15.3-eks` as (1, 15).
fn version(tag: &str) -> Option<(u32, u32)> {
    let mut numbers = tag.trim_start_matches('v').split(['.', '-', '+']).map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Whether the pods of a workload are in a mesh.
fn is_member(mesh: &Mesh, workload: &Workload, info: &WorkloadInfo, inventory: &Inventory) -> bool {
    // What runs a mesh is not in it, though ztunnel's container has the name of the sidecar.
    if info.host_network || MESHES.iter().any(|mesh| mesh.workloads.contains(&workload.name.as_str())) {
        return false;
    }
    let container = mesh.containers.iter().any(|name| info.containers.contains_key(*name));
    let annotated = |(key, value): &(&str, &str)| info.annotations.get(*key).is_some_and(|known| known == value);
    let labelled = |(key, value, out): &(&str, &str, &str)| {
        let own = info.labels.get(*key).map(String::as_str);
        let space = inventory.namespaces.labels(&workload.namespace).and_then(|labels| labels.get(*key));
        own != Some(*out) && (own == Some(*value) || space.is_some_and(|known| known == value))
    };
    container || mesh.annotations.iter().any(annotated) || mesh.labels.iter().any(labelled)
}

/// The workloads in a mesh.
fn members<'a>(mesh: &Mesh, inventory: &'a Inventory) -> BTreeMap<&'a Workload, &'a WorkloadInfo> {
    inventory.workloads.iter().filter(|(workload, info)| is_member(mesh, workload, info, inventory)).collect()
}

fn recognize_mesh(mesh: &Mesh, inventory: &Inventory) -> Option<Component> {
    let own = inventory.workloads.keys().filter(|workload| mesh.workloads.contains(&workload.name.as_str()));
    let mut evidence: Vec<String> =
        own.map(|workload| format!("{} {}/{}", workload.kind, workload.namespace, workload.name)).collect();
    match members(mesh, inventory).len() {
        0 => {}
        1 => evidence.push("1 workload with pods in it".to_string()),
        count => evidence.push(format!("{count} workloads with pods in it")),
    }
    (!evidence.is_empty()).then_some(Component {
        role: Role::Mesh,
        name: mesh.name,
        version: None,
        enforces: None,
        evidence,
        source: mesh.source,
        delegated: true,
    })
}

#[cfg(test)]
mod tests;
