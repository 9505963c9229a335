//! Pods by namespace and label. A cluster of a hundred thousand pods has ten thousand policies with several selectors
//! each, so no selector is ever held against every pod: pods that are alike to all checks are one group, and labels lead
//! to the groups that carry them.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::iter;
use std::net::IpAddr;
use std::ops::Range;
use std::rc::Rc;

use super::Input;
use crate::endpoint::Pod;
use crate::inventory::{Holder, Inventory, Service};
use crate::label::{Labels, NAMESPACE_NAME, Requirement, Selector};
use crate::policy::{Namespaces, Policy};
use crate::port::ContainerPort;

/// Namespaces that every cluster has, whether or not the input says so.
pub(super) const BUILT_IN: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// Pods of one namespace with the same labels, ports and kind of network.
struct Group<'a> {
    namespace: u32,
    pod: &'a Pod,
}

/// Namespaces that a selector matches.
pub(super) struct Matched {
    /// Their indices, ascending.
    pub(super) list: Vec<u32>,
    set: HashSet<u32>,
    /// Whether others might too, whose labels the input does not tell.
    pub(super) guessed: bool,
    /// Whether it is all there are.
    pub(super) all: bool,
}

/// Groups of pods, indexed.
pub(super) struct Index<'a> {
    inventory: &'a Inventory,
    /// Sorted.
    names: Vec<&'a str>,
    /// Those of which the input holds the object, and hence all labels.
    declared: HashSet<&'a str>,
    /// By namespace.
    ranges: Vec<Range<u32>>,
    /// Sorted by namespace, as all lists of groups below.
    groups: Vec<Group<'a>>,
    /// By key and value.
    by_label: HashMap<&'a str, HashMap<&'a str, Vec<u32>>>,
    by_key: HashMap<&'a str, Vec<u32>>,
    /// Services whose selector matches the group.
    services: HashMap<u32, Vec<&'a Service>>,
    by_address: HashMap<IpAddr, &'a Service>,
    matched: RefCell<HashMap<Selector, Rc<Matched>>>,
}

impl<'a> Index<'a> {
    pub(super) fn new(input: &Input<'a>) -> Index<'a> {
        let inventory = input.inventory;
        let own = input.policies.network.iter().map(|policy| policy.namespace.as_str());
        let names: BTreeSet<&str> = inventory.namespaces.names().chain(own).chain(BUILT_IN).collect();
        let mut index = Index {
            inventory,
            names: names.into_iter().collect(),
            declared: input.objects.namespaces.iter().map(|stored| stored.object.metadata.name.as_str()).collect(),
            ranges: Vec::new(),
            groups: Vec::new(),
            by_label: HashMap::new(),
            by_key: HashMap::new(),
            services: HashMap::new(),
            by_address: HashMap::new(),
            matched: RefCell::default(),
        };
        index.group();
        for service in &inventory.services {
            index.by_address.extend(service.cluster_ips.iter().map(|ip| (*ip, service)));
            if let Some(selector) = &service.selector {
                let behind: Vec<u32> = index.within(&service.namespace, selector).collect();
                for group in behind {
                    index.services.entry(group).or_default().push(service);
                }
            }
        }
        index
    }

    fn group(&mut self) {
        type Likeness<'a> = (&'a Labels, &'a [ContainerPort], bool);
        let mut seen: HashMap<Likeness<'a>, u32> = HashMap::new();
        let mut pods = self.inventory.pods.iter().peekable();
        for (namespace, name) in self.names.iter().enumerate() {
            let first = self.groups.len() as u32;
            seen.clear();
            // Pods are sorted by namespace, as the names are.
            while let Some(pod) = pods.next_if(|pod| pod.namespace == *name) {
                let group = self.groups.len() as u32;
                let first = *seen.entry((&pod.labels, &pod.ports, pod.host_network)).or_insert(group);
                if first != group {
                    let known = &mut self.groups[first as usize];
                    if is_over(known.pod) {
                        known.pod = pod;
                    }
                    continue;
                }
                for (key, value) in &pod.labels {
                    self.by_label.entry(key).or_default().entry(value).or_default().push(group);
                    self.by_key.entry(key).or_default().push(group);
                }
                self.groups.push(Group { namespace: namespace as u32, pod });
            }
            self.ranges.push(first..self.groups.len() as u32);
        }
    }

    /// A pod of a group; the others differ from it in nothing that is asked here but name and address. It is over only
    /// if they all are.
    pub(super) fn pod(&self, group: u32) -> &'a Pod {
        self.groups[group as usize].pod
    }

    /// The Services that a group stands behind.
    pub(super) fn services(&self, group: u32) -> &[&'a Service] {
        self.services.get(&group).map(Vec::as_slice).unwrap_or_default()
    }

    /// The Service with a cluster address.
    pub(super) fn service_of(&self, ip: IpAddr) -> Option<&'a Service> {
        self.by_address.get(&ip).copied()
    }

    /// The pod that has an address today.
    pub(super) fn pod_at(&self, ip: IpAddr) -> Option<&'a Pod> {
        match self.inventory.holder(ip, capture::Timestamp::MAX.plus(-1)) {
            Holder::Pod(pod) => Some(self.inventory.pod(pod)),
            _ => None,
        }
    }

    /// Number of a namespace that is in the input, by its pods, its object or a policy, or that every cluster has.
    fn namespace(&self, name: &str) -> Option<usize> {
        self.names.binary_search(&name).ok()
    }

    /// Name of a namespace.
    pub(super) fn name(&self, namespace: u32) -> &'a str {
        self.names[namespace as usize]
    }

    /// Every namespace there is.
    pub(super) fn names(&self) -> &[&'a str] {
        &self.names
    }

    /// Whether the input holds the Namespace object.
    pub(super) fn is_declared(&self, name: &str) -> bool {
        self.declared.contains(name)
    }

    /// How many Namespace objects the input holds.
    pub(super) fn declared(&self) -> usize {
        self.declared.len()
    }

    /// Labels of a namespace as far as they are known.
    pub(super) fn namespace_labels(&self, name: &str) -> Option<&'a Labels> {
        self.inventory.namespaces.labels(name)
    }

    /// The groups of a namespace.
    pub(super) fn groups_of(&self, name: &str) -> Range<u32> {
        self.namespace(name).map_or(0..0, |namespace| self.ranges[namespace].clone())
    }

    /// The groups of a namespace by number.
    pub(super) fn groups_in(&self, namespace: u32) -> Range<u32> {
        self.ranges[namespace as usize].clone()
    }

    /// Every group.
    pub(super) fn all(&self) -> Range<u32> {
        0..self.groups.len() as u32
    }

    /// The groups of a namespace that a selector matches.
    pub(super) fn within(&self, name: &str, selector: &Selector) -> Box<dyn Iterator<Item = u32> + '_> {
        self.search(self.groups_of(name), selector)
    }

    /// The pods that a policy selects, as groups.
    pub(super) fn subject(&self, policy: &Policy) -> Box<dyn Iterator<Item = u32> + '_> {
        self.within(&policy.namespace, &policy.subject)
    }

    /// The namespaces of a peer of a policy of `own`.
    pub(super) fn spaces(&self, own: &str, namespaces: &Namespaces) -> Rc<Matched> {
        match namespaces {
            Namespaces::Own => self.only(own),
            Namespaces::Matching(selector) => self.matching(selector),
        }
    }

    /// One namespace.
    pub(super) fn only(&self, name: &str) -> Rc<Matched> {
        self.matching(&Selector::from_labels(&Labels::from([(NAMESPACE_NAME.to_string(), name.to_string())])))
    }

    /// The pods of a peer of a policy of `own`, as groups. Those on the host network are among them.
    pub(super) fn peer(
        &self,
        own: &str,
        namespaces: &Namespaces,
        pods: &Selector,
    ) -> Box<dyn Iterator<Item = u32> + '_> {
        match namespaces {
            Namespaces::Own => self.within(own, pods),
            Namespaces::Matching(selector) => self.across(selector, pods),
        }
    }

    /// The pods of all namespaces that match, as groups.
    pub(super) fn across(&self, namespaces: &Selector, pods: &Selector) -> Box<dyn Iterator<Item = u32> + '_> {
        self.among(&self.matching(namespaces), pods)
    }

    /// The pods of some namespaces, as groups.
    pub(super) fn among(&self, spaces: &Rc<Matched>, pods: &Selector) -> Box<dyn Iterator<Item = u32> + '_> {
        /// Above this many namespaces one look at the whole cluster is cheaper than one at each.
        const FEW: usize = 8;
        let spaces = Rc::clone(spaces);
        if spaces.list.len() > FEW && indexed(pods).next().is_some() {
            let groups = self.search(self.all(), pods);
            return Box::new(groups.filter(move |group| self.is_among(*group, &spaces)));
        }
        let mut namespaces = (0..spaces.list.len()).map(move |at| spaces.list[at]);
        let pods = pods.clone();
        let mut open: Option<Box<dyn Iterator<Item = u32> + '_>> = None;
        Box::new(iter::from_fn(move || {
            loop {
                if let Some(group) = open.as_mut().and_then(Iterator::next) {
                    return Some(group);
                }
                open = Some(self.search(self.groups_in(namespaces.next()?), &pods));
            }
        }))
    }

    /// Whether a group is of one of some namespaces.
    pub(super) fn is_among(&self, group: u32, spaces: &Matched) -> bool {
        spaces.set.contains(&self.groups[group as usize].namespace)
    }

    /// Whether any of some namespaces holds pods.
    pub(super) fn is_inhabited(&self, spaces: &Matched) -> bool {
        spaces.list.iter().any(|namespace| !self.groups_in(*namespace).is_empty())
    }

    /// The values that pods of some namespaces have under a key, in no order.
    pub(super) fn values<'i>(&'i self, key: &str, spaces: &'i Matched) -> impl Iterator<Item = &'a str> + 'i {
        let lists = self.by_label.get(key).into_iter().flatten();
        let held = lists.filter(|(_, groups)| groups.iter().any(|group| self.is_among(*group, spaces)));
        held.map(|(value, _)| *value)
    }

    /// The groups of a range that a selector matches, by its rarest label.
    fn search(&self, range: Range<u32>, selector: &Selector) -> Box<dyn Iterator<Item = u32> + '_> {
        if selector.is_everything() {
            return Box::new(range);
        }
        let selector = selector.clone();
        let rarest = indexed(&selector)
            .map(|requirement| self.postings(requirement, &range))
            .min_by_key(|lists| lists.iter().map(|list| list.len()).sum::<usize>());
        let matches = move |group: &u32| selector.matches(&self.pod(*group).labels);
        match rarest {
            Some(lists) => Box::new(lists.into_iter().flatten().copied().filter(matches)),
            None => Box::new(range.filter(matches)),
        }
    }

    /// The groups of a range that meet a requirement, in one list for each value.
    fn postings(&self, requirement: &Requirement, range: &Range<u32>) -> Vec<&[u32]> {
        match requirement {
            Requirement::In { key, values } => {
                let of_key = self.by_label.get(key.as_str());
                values.iter().map(|value| cut(of_key.and_then(|lists| lists.get(value.as_str())), range)).collect()
            }
            _ => vec![cut(self.by_key.get(requirement.key()), range)],
        }
    }

    /// The keys of all labels of pods, in no order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.by_key.keys().copied()
    }

    /// Whether some pod of some namespaces carries a key.
    pub(super) fn has_key(&self, key: &str, spaces: &Rc<Matched>) -> bool {
        let carries = [Requirement::Exists { key: key.to_string() }].into_iter().collect();
        self.among(spaces, &carries).next().is_some()
    }

    /// The namespaces that a selector matches.
    pub(super) fn matching(&self, selector: &Selector) -> Rc<Matched> {
        if let Some(known) = self.matched.borrow().get(selector) {
            return Rc::clone(known);
        }
        let by_name = selector.requirements().find_map(|requirement| match requirement {
            Requirement::In { key, values } if key == NAMESPACE_NAME => Some(values),
            _ => None,
        });
        let candidates: Vec<usize> = match by_name {
            Some(values) => values.iter().filter_map(|name| self.namespace(name)).collect(),
            None => (0..self.names.len()).collect(),
        };
        // Of a namespace without its object nothing is known but its name.
        let named: Selector =
            selector.requirements().filter(|requirement| requirement.key() == NAMESPACE_NAME).cloned().collect();
        let other = named != *selector;
        let mut matched = Matched { list: Vec::new(), set: HashSet::new(), guessed: false, all: false };
        for at in candidates {
            let name = self.names[at];
            if self.inventory.namespaces.matches(selector, name) {
                matched.list.push(at as u32);
            } else if other && !self.declared.contains(name) && !self.ranges[at].is_empty() {
                matched.guessed |= self.inventory.namespaces.matches(&named, name);
            }
        }
        matched.set = matched.list.iter().copied().collect();
        matched.all = matched.list.len() == self.names.len();
        let matched = Rc::new(matched);
        self.matched.borrow_mut().insert(selector.clone(), Rc::clone(&matched));
        matched
    }
}

/// Whether a pod is over and nothing will run it again. What a CronJob or any other controller made comes back.
pub(super) fn is_over(pod: &Pod) -> bool {
    pod.finished && matches!(pod.workload.kind.as_str(), "Pod" | "Job")
}

/// Requirements that labels lead to; what must be absent cannot be looked up.
fn indexed(selector: &Selector) -> impl Iterator<Item = &Requirement> {
    selector
        .requirements()
        .filter(|requirement| matches!(requirement, Requirement::In { .. } | Requirement::Exists { .. }))
}

/// The part of an ascending list that lies in a range.
fn cut<'l>(list: Option<&'l Vec<u32>>, range: &Range<u32>) -> &'l [u32] {
    let list = list.map(Vec::as_slice).unwrap_or_default();
    let from = list.partition_point(|group| *group < range.start);
    &list[from..from + list[from..].partition_point(|group| *group < range.end)]
}
