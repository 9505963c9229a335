//! Ends of connections that no policy can tell apart.

use std::collections::BTreeSet;
use std::net::IpAddr;

use rustc_hash::{FxHashMap, FxHashSet};

use super::access::{Access, ClassSet};
use super::atoms::Atoms;
use super::index::Index;
use super::term::{Term, port_names};
use crate::addresses::AddressSet;
use crate::endpoint::Pod;
use crate::evaluate::{Family, Options};
use crate::inventory::{Inventory, PodId};
use crate::policy::PolicySet;
use crate::port::ContainerPort;

/// What an end is, apart from the answers it gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Pods that selectors can match.
    Pods,
    /// Pods on the host network that selectors of NetworkPolicies can match; to cluster-wide ones they are their node.
    HostPods,
    /// Pods that count as their node.
    Hosts,
    /// Addresses of nobody.
    Outside,
}

/// Which connections an end takes part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Lane {
    /// All.
    Any,
    /// Those of one family, and with ends that have only the other.
    Only(Family),
    /// A pod with addresses of both families, in one of them.
    Face(Family),
}

impl Lane {
    /// The addresses of a pod in it.
    fn addresses(self, pod: &Pod) -> impl Iterator<Item = IpAddr> + '_ {
        pod.addresses.iter().copied().filter(move |ip| match self {
            Lane::Any => true,
            Lane::Only(family) | Lane::Face(family) => Family::of(*ip) == family,
        })
    }
}

/// Ends of connections that are the same to every policy: pods, in one family or any, or addresses outside.
#[derive(Debug)]
pub(super) struct End {
    pub(super) kind: Kind,
    lane: Lane,
    /// One of its pods, which stands for all; none outside.
    pub(super) pod: Option<PodId>,
}

/// One class.
#[derive(Debug, Default)]
pub(super) struct Class {
    /// One end, or two of pods that are told apart by family.
    pub(super) ends: Vec<u32>,
    /// Its pods, ascending.
    pub(super) pods: Vec<PodId>,
    /// Its addresses, outside.
    pub(super) addresses: AddressSet,
}

/// The pods of a cluster and the addresses outside in classes: those of one class are the same to every policy that the
/// classes were made for.
///
/// Classes are numbered in the order of their first pod; those outside come last.
pub struct Classes<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) options: Options,
    pub(super) ends: Vec<End>,
    pub(super) classes: Vec<Class>,
    /// By pod; none of a pod that does not count.
    of_pod: Vec<Option<u32>>,
    /// The ends that answer a question with yes.
    yes: FxHashMap<Term<'a>, ClassSet>,
    /// Every end.
    pub(super) all: ClassSet,
    /// The ends of each lane but `Any`.
    lanes: FxHashMap<Lane, ClassSet>,
    /// By end: its classes, where ends are not the classes themselves.
    classes_of: Option<Vec<Vec<u32>>>,
    /// The classes outside.
    outside: ClassSet,
}

/// What pods have to have in common to be asked together.
#[derive(PartialEq, Eq, Hash)]
struct GroupKey<'a> {
    namespace: &'a str,
    /// The node that it is found by, where nodes are asked about.
    node: Option<&'a str>,
    kind: Kind,
    lane: Lane,
    labels: Vec<(&'a str, &'a str)>,
    ports: Vec<&'a ContainerPort>,
    atoms: Vec<u32>,
}

/// What ends differ in.
#[derive(PartialEq, Eq, Hash)]
struct EndKey<'a> {
    kind: Kind,
    lane: Lane,
    yes: Vec<u32>,
    ports: Vec<&'a ContainerPort>,
}

impl<'a> Classes<'a> {
    /// The classes of the pods of `inventory`, and of all addresses, for any of the policies in `sets`.
    pub fn new(inventory: &'a Inventory, sets: &[PolicySet<'a>], options: Options) -> Classes<'a> {
        let terms: Vec<Term<'a>> = {
            let mut known = FxHashSet::default();
            sets.iter().flat_map(|set| Term::all(*set)).filter(|term| known.insert(*term)).collect()
        };
        let questions: Vec<(u32, AddressSet)> =
            (0..).zip(&terms).filter_map(|(at, term)| Some((at, term.addresses()?))).collect();
        let builder = Builder {
            inventory,
            options,
            keys: label_keys(&terms),
            names: sets.iter().flat_map(|set| port_names(*set)).collect(),
            cluster_wide: sets.iter().any(|set| !set.cluster.is_empty()),
            by_node: terms.iter().any(|term| matches!(term, Term::Nodes(_))),
            // Questions about addresses that pods with addresses of their own answer as well.
            of_pods: (0..)
                .zip(&terms)
                .filter(|(_, term)| matches!(term, Term::Network(_)) || options.ip_block_matches_pods)
                .map(|(at, _)| at)
                .collect(),
            terms,
            atoms: Atoms::new(&questions, false),
        };
        builder.build(&questions)
    }

    /// The ends that answer with yes.
    pub(super) fn yes(&self, term: &Term<'a>) -> ClassSet {
        self.yes.get(term).cloned().unwrap_or_default()
    }

    /// The ends that are a peer, or everyone.
    pub(super) fn peers(&self, term: Option<Term<'a>>) -> ClassSet {
        term.map_or_else(|| self.all.clone(), |term| self.yes(&term))
    }

    /// Whether an end takes part in connections of any family, whatever its peer has.
    pub(super) fn is_of_any_family(&self, end: u32) -> bool {
        self.ends[end as usize].lane == Lane::Any
    }

    /// Whether an end is a single pod.
    pub(super) fn is_one_pod(&self, end: u32) -> bool {
        let count = |class: &u32| self.classes[*class as usize].pods.len();
        match &self.classes_of {
            Some(classes_of) => classes_of[end as usize].iter().map(count).sum::<usize>() == 1,
            None => count(&end) == 1,
        }
    }

    /// The ends that `end` can connect to.
    pub(super) fn partners(&self, end: u32) -> ClassSet {
        let mut partners = self.all.clone();
        let mut without = |lane| {
            if let Some(ends) = self.lanes.get(&lane) {
                partners = partners.difference(ends);
            }
        };
        let other = |family| if family == Family::V4 { Family::V6 } else { Family::V4 };
        match self.ends[end as usize].lane {
            Lane::Any => {}
            Lane::Only(family) => without(Lane::Face(other(family))),
            Lane::Face(family) => {
                without(Lane::Face(other(family)));
                without(Lane::Only(other(family)));
            }
        }
        partners
    }

    /// Whether two ends can connect.
    pub(super) fn are_partners(&self, a: u32, b: u32) -> bool {
        match (self.ends[a as usize].lane, self.ends[b as usize].lane) {
            (Lane::Face(a), Lane::Face(b) | Lane::Only(b)) | (Lane::Only(a), Lane::Face(b)) => a == b,
            _ => true,
        }
    }

    /// One pod of an end, which stands for all, where NetworkPolicies can select it.
    pub(super) fn subject(&self, end: u32) -> Option<&'a Pod> {
        let end = &self.ends[end as usize];
        end.pod.filter(|_| end.kind != Kind::Hosts).map(|pod| self.inventory.pod(pod))
    }

    /// The same where cluster-wide policies can.
    pub(super) fn cluster_subject(&self, end: u32) -> Option<&'a Pod> {
        self.subject(end).filter(|pod| !pod.host_network)
    }

    /// From ends to their classes.
    pub(super) fn fold(&self, access: Access) -> Access {
        let Some(classes_of) = &self.classes_of else { return access };
        let of = |ends: &ClassSet| {
            ClassSet::from_many(ends.iter().flat_map(|end| classes_of[end as usize].iter().copied()).collect())
        };
        access.cells().map(|(ports, ends)| (ports.clone(), of(ends))).collect()
    }

    /// The class of a pod; `None` of one that does not count.
    pub fn of_pod(&self, pod: PodId) -> Option<u32> {
        self.of_pod[pod.0 as usize]
    }

    /// The pods of a class, ascending.
    pub fn pods(&self, class: u32) -> &[PodId] {
        &self.classes[class as usize].pods
    }

    /// The addresses of a class outside; none of one of pods.
    pub fn addresses(&self, class: u32) -> &AddressSet {
        &self.classes[class as usize].addresses
    }

    /// The classes outside.
    pub fn outside(&self) -> &ClassSet {
        &self.outside
    }

    /// Whether the pods of a class count as their node.
    pub fn is_node(&self, class: u32) -> bool {
        self.classes[class as usize].ends.iter().any(|end| self.ends[*end as usize].kind == Kind::Hosts)
    }

    /// The cluster.
    pub fn inventory(&self) -> &'a Inventory {
        self.inventory
    }

    /// The options that the classes were made with.
    pub fn options(&self) -> Options {
        self.options
    }

    /// How many classes there are.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether there is none, which never happens: outside there are addresses.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }
}

/// What is known while classes are made.
struct Builder<'a> {
    inventory: &'a Inventory,
    options: Options,
    /// The keys of labels that are asked about.
    keys: FxHashSet<&'a str>,
    /// The names of ports that are asked about.
    names: FxHashSet<&'a str>,
    /// Whether cluster-wide policies ask, to which pods on the host network are no pods.
    cluster_wide: bool,
    /// Whether nodes are asked about.
    by_node: bool,
    /// Questions about addresses that concern pods.
    of_pods: FxHashSet<u32>,
    terms: Vec<Term<'a>>,
    atoms: Atoms,
}

impl<'a> Builder<'a> {
    fn build(mut self, questions: &[(u32, AddressSet)]) -> Classes<'a> {
        let pods: Vec<(PodId, &'a Pod)> = self
            .inventory
            .pod_ids()
            .filter(|(id, pod)| self.options.counts(pod) || self.stands_for_next(*id))
            .collect();
        // Only where a pod's two families are told apart have they to be two classes.
        let apart = pods.iter().any(|(_, pod)| {
            let families: BTreeSet<Family> = pod.addresses.iter().map(|ip| Family::of(*ip)).collect();
            let node = |family| self.node_of(pod, Lane::Only(family));
            families.len() == 2
                && (pod.addresses.iter().any(|ip| !self.answers(pod, self.atoms.of(*ip)).is_empty())
                    || node(Family::V4) != node(Family::V6))
        });
        if apart {
            self.atoms = Atoms::new(questions, true);
        }

        let mut groups: FxHashMap<GroupKey<'a>, u32> = FxHashMap::default();
        let mut first: Vec<&'a Pod> = Vec::new();
        let mut members: Vec<Vec<PodId>> = Vec::new();
        for (id, pod) in pods {
            for lane in lanes(pod, apart) {
                let next = groups.len() as u32;
                let group = *groups.entry(self.group_key(pod, lane)).or_insert(next);
                if group == next {
                    first.push(pod);
                    members.push(Vec::new());
                }
                members[group as usize].push(id);
            }
        }
        let mut answers: Vec<Vec<u32>> = vec![Vec::new(); first.len()];
        let mut by_number: Vec<(&GroupKey<'a>, u32)> = groups.iter().map(|(key, group)| (key, *group)).collect();
        by_number.sort_unstable_by_key(|(_, group)| *group);
        self.ask(&by_number, &first, &mut answers);

        let mut classes = Classes {
            inventory: self.inventory,
            options: self.options,
            ends: Vec::new(),
            classes: Vec::new(),
            of_pod: vec![None; self.inventory.pods.len()],
            yes: FxHashMap::default(),
            all: ClassSet::default(),
            lanes: FxHashMap::default(),
            classes_of: None,
            outside: ClassSet::default(),
        };
        let mut known: FxHashMap<EndKey<'a>, u32> = FxHashMap::default();
        let mut ends_of: Vec<Vec<u32>> = vec![Vec::new(); self.inventory.pods.len()];
        for ((key, group), yes) in by_number.iter().zip(answers) {
            let key = EndKey { kind: key.kind, lane: key.lane, yes, ports: key.ports.clone() };
            let end = self.end(&mut classes, &mut known, key, members[*group as usize].first().copied());
            members[*group as usize].iter().for_each(|pod| ends_of[pod.0 as usize].push(end));
        }
        let mut of_ends: FxHashMap<Vec<u32>, u32> = FxHashMap::default();
        for (pod, ends) in (0..).map(PodId).zip(ends_of) {
            if ends.is_empty() {
                continue;
            }
            let next = classes.classes.len() as u32;
            let class = *of_ends.entry(ends.clone()).or_insert(next);
            if class == next {
                classes.classes.push(Class { ends, ..Class::default() });
            }
            classes.of_pod[pod.0 as usize] = Some(class);
            classes.classes[class as usize].pods.push(pod);
        }
        for (atom, addresses) in std::mem::take(&mut self.atoms.addresses).into_iter().enumerate() {
            let lane = self.atoms.family[atom].map_or(Lane::Any, Lane::Only);
            let yes = std::mem::take(&mut self.atoms.yes[atom]);
            let key = EndKey { kind: Kind::Outside, lane, yes, ports: Vec::new() };
            let end = self.end(&mut classes, &mut known, key, None);
            classes.outside.insert(classes.classes.len() as u32);
            classes.classes.push(Class { ends: vec![end], pods: Vec::new(), addresses });
        }
        if apart {
            let mut classes_of = vec![Vec::new(); classes.ends.len()];
            for (number, class) in (0..).zip(&classes.classes) {
                class.ends.iter().for_each(|end| classes_of[*end as usize].push(number));
            }
            classes.classes_of = Some(classes_of);
        }
        classes
    }

    /// The end of a key, made where it is new.
    fn end(
        &self,
        classes: &mut Classes<'a>,
        known: &mut FxHashMap<EndKey<'a>, u32>,
        key: EndKey<'a>,
        pod: Option<PodId>,
    ) -> u32 {
        if let Some(end) = known.get(&key) {
            return *end;
        }
        let end = classes.ends.len() as u32;
        let (kind, lane) = (key.kind, key.lane);
        for term in &key.yes {
            classes.yes.entry(self.terms[*term as usize]).or_default().insert(end);
        }
        classes.all.insert(end);
        if lane != Lane::Any {
            classes.lanes.entry(lane).or_default().insert(end);
        }
        classes.ends.push(End { kind, lane, pod });
        known.insert(key, end);
        end
    }

    /// Whether a pod that is over stands for those that its workload will run next: it is the last of a CronJob between
    /// runs, or of a Deployment whose pods were all evicted.
    fn stands_for_next(&self, id: PodId) -> bool {
        let pod = self.inventory.pod(id);
        let runs_again = !matches!(pod.workload.kind.as_str(), "Pod" | "Job");
        let info = self.inventory.workloads.get(&pod.workload).filter(|_| runs_again);
        info.is_some_and(|info| {
            let over = info.pods.iter().all(|pod| self.inventory.pod(*pod).finished);
            over && info.pods.last() == Some(&id)
        })
    }

    fn group_key(&self, pod: &'a Pod, lane: Lane) -> GroupKey<'a> {
        let kind = match pod.host_network {
            true if self.options.is_node(pod) => Kind::Hosts,
            true if self.cluster_wide => Kind::HostPods,
            _ => Kind::Pods,
        };
        // The addresses of a pod that is over are nobody's, whoever it stands for.
        let addresses = lane.addresses(pod).filter(|_| self.options.counts(pod));
        let atoms: BTreeSet<u32> = addresses.map(|ip| self.atoms.of(ip)).collect();
        let atoms = atoms.into_iter().collect();
        let node = self.node_of(pod, lane);
        // Nobody asks a node for labels and names of the pods on it.
        if kind == Kind::Hosts {
            return GroupKey { namespace: "", node, kind, lane, labels: Vec::new(), ports: Vec::new(), atoms };
        }
        let labels = pod.labels.iter().filter(|(key, _)| self.keys.contains(key.as_str()));
        let labels = labels.map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let named = |port: &&ContainerPort| port.name.as_deref().is_some_and(|name| self.names.contains(name));
        let ports: BTreeSet<&ContainerPort> = pod.ports.iter().filter(named).collect();
        let ports = ports.into_iter().collect();
        GroupKey { namespace: &pod.namespace, node, kind, lane, labels, ports, atoms }
    }

    /// The node that questions about nodes find a pod by.
    fn node_of(&self, pod: &'a Pod, lane: Lane) -> Option<&'a str> {
        let name = pod.node.as_deref().filter(|_| self.by_node && pod.host_network)?;
        self.inventory.nodes.get(name)?.is_at(lane.addresses(pod)).then_some(name)
    }

    /// The questions about addresses that a pod answers with yes for an address of an atom.
    fn answers(&self, pod: &Pod, atom: u32) -> Vec<u32> {
        let all = self.atoms.yes[atom as usize].iter().copied();
        if self.options.is_node(pod) { all.collect() } else { all.filter(|term| self.of_pods.contains(term)).collect() }
    }

    /// Asks every question; the numbers of those that are answered with yes, ascending.
    fn ask(&self, groups: &[(&GroupKey<'a>, u32)], first: &[&'a Pod], answers: &mut [Vec<u32>]) {
        for ((key, group), pod) in groups.iter().zip(first) {
            let yes: BTreeSet<u32> = key.atoms.iter().flat_map(|atom| self.answers(pod, *atom)).collect();
            answers[*group as usize].extend(yes);
        }
        let groups_of = |kind| groups.iter().filter(move |(key, _)| key.kind == kind).map(|(_, group)| *group);
        let pods: Vec<u32> = groups_of(Kind::Pods).chain(groups_of(Kind::HostPods)).collect();
        let numbered = (0..).zip(pods.iter().map(|group| first[*group as usize]));
        let mut index = Index::new(numbered, &self.keys, &self.inventory.namespaces);
        for (at, term) in (0..).zip(&self.terms) {
            match term {
                Term::Pods { namespaces, pods: selector, on_host } => {
                    let found = index.select(*namespaces, selector).into_iter().map(|found| pods[found as usize]);
                    for group in found.filter(|group| *on_host || !first[*group as usize].host_network) {
                        answers[group as usize].push(at);
                    }
                }
                Term::Nodes(selector) => {
                    for (key, group) in groups {
                        let node = key.node.and_then(|name| self.inventory.nodes.get(name));
                        if node.is_some_and(|node| selector.matches(&node.labels)) {
                            answers[*group as usize].push(at);
                        }
                    }
                }
                Term::Block(_) | Term::Network(_) => {}
            }
        }
        answers.iter_mut().for_each(|yes| yes.sort_unstable());
    }
}

/// The lanes of a pod.
fn lanes(pod: &Pod, apart: bool) -> Vec<Lane> {
    let families: BTreeSet<Family> = pod.addresses.iter().map(|ip| Family::of(*ip)).collect();
    match families.first() {
        Some(_) if apart && families.len() == 2 => families.into_iter().map(Lane::Face).collect(),
        Some(family) if apart => vec![Lane::Only(*family)],
        _ => vec![Lane::Any],
    }
}

/// The keys that selectors of pods ask about.
fn label_keys<'a>(terms: &[Term<'a>]) -> FxHashSet<&'a str> {
    let selectors = terms.iter().filter_map(|term| match term {
        Term::Pods { pods, .. } => Some(*pods),
        _ => None,
    });
    selectors.flat_map(|selector| selector.requirements()).map(|requirement| requirement.key()).collect()
}
