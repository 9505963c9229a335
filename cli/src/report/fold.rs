//! Which edges the map draws, and between what: outside addresses that do the same are one.

use std::collections::{BTreeMap, BTreeSet};

use synth::endpoint::{Endpoint, Workload};
use synth::inventory::Inventory;
use synth::review::{Review, Reviewed, Standing};

/// A node of the map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spot {
    /// A workload with a network of its own, or one of the host's that the edges name.
    Workload(Workload),
    /// A machine.
    Node(String),
    /// Outside addresses, by the first of them: [`Folded::members`] has all.
    External(Endpoint),
    /// An address of pods that no pod is known for.
    Unresolved(Endpoint),
}

/// Spots, and edges between them.
pub(super) struct Folded<'r> {
    /// Sorted.
    pub(super) spots: Vec<Spot>,
    /// Outside addresses by the first of those that are drawn as one, sorted.
    pub(super) members: BTreeMap<Endpoint, Vec<Endpoint>>,
    /// In the order of the graph: client, server and the edges that are drawn as one.
    pub(super) edges: Vec<(usize, usize, Vec<&'r Reviewed<'r>>)>,
    /// The drawn edge of each edge.
    pub(super) drawn: Vec<usize>,
}

/// One thing that an outside address does.
type Doing<'r> = (bool, &'r Endpoint, &'static str, u16, Standing, &'r [synth::part::Part]);

/// Puts outside addresses together that do just the same, with the same verdict. Workloads without any edge are spots too.
pub(super) fn fold<'r>(review: &'r Review<'r>, inventory: &Inventory) -> Folded<'r> {
    let mut doings: BTreeMap<&Endpoint, BTreeSet<Doing<'_>>> = BTreeMap::new();
    for reviewed in &review.edges {
        let key = &reviewed.edge.key;
        for (end, other, opens) in [(&key.client, &key.server, true), (&key.server, &key.client, false)] {
            if matches!(end, Endpoint::External(_)) {
                let doing = (opens, other, key.protocol.name(), key.port, reviewed.standing, &*reviewed.rules);
                doings.entry(end).or_default().insert(doing);
            }
        }
    }
    let mut alike: BTreeMap<BTreeSet<Doing<'_>>, Vec<Endpoint>> = BTreeMap::new();
    for (end, does) in doings {
        // Two outside addresses that talk to each other stay what they are.
        let is_between = does.iter().any(|(_, other, ..)| matches!(other, Endpoint::External(_)));
        let does = if is_between { BTreeSet::from([(true, end, "", 0, Standing::Observed, &[][..])]) } else { does };
        alike.entry(does).or_default().push(end.clone());
    }
    let mut spots: BTreeSet<Spot> = BTreeSet::new();
    let mut outside: BTreeMap<Endpoint, Endpoint> = BTreeMap::new();
    let mut members: BTreeMap<Endpoint, Vec<Endpoint>> = BTreeMap::new();
    for group in alike.into_values() {
        let Some(first) = group.first().cloned() else { continue };
        outside.extend(group.iter().map(|member| (member.clone(), first.clone())));
        spots.insert(Spot::External(first.clone()));
        members.insert(first, group);
    }
    let spot = |endpoint: &Endpoint| match endpoint {
        Endpoint::Workload(workload) => Spot::Workload(workload.clone()),
        Endpoint::Node(name) => Spot::Node(name.clone()),
        Endpoint::External(_) => Spot::External(outside.get(endpoint).unwrap_or(endpoint).clone()),
        Endpoint::Unresolved { .. } => Spot::Unresolved(endpoint.clone()),
    };
    spots.extend(
        review.edges.iter().flat_map(|reviewed| [&reviewed.edge.key.client, &reviewed.edge.key.server]).map(spot),
    );
    let own = inventory.workloads.iter().filter(|(_, info)| !info.host_network);
    spots.extend(own.map(|(workload, _)| Spot::Workload(workload.clone())));
    let spots: Vec<Spot> = spots.into_iter().collect();
    let index = |endpoint: &Endpoint| spots.binary_search(&spot(endpoint)).unwrap_or_default();
    let mut edges: Vec<(usize, usize, Vec<&Reviewed<'_>>)> = Vec::new();
    let mut known: BTreeMap<_, usize> = BTreeMap::new();
    let mut drawn = Vec::new();
    for reviewed in &review.edges {
        let key = &reviewed.edge.key;
        let (client, server) = (index(&key.client), index(&key.server));
        let at = *known.entry((client, server, key.protocol, key.port)).or_insert_with(|| {
            edges.push((client, server, Vec::new()));
            edges.len() - 1
        });
        edges[at].2.push(reviewed);
        drawn.push(at);
    }
    Folded { spots, members, edges, drawn }
}
