//! From classes to names: what pods or workloads can reach, pair by pair.

use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::access::{Access, ClassSet};
use super::{Classes, Row};
use crate::addresses::AddressSet;
use crate::endpoint::{Pod, Workload};
use crate::inventory::{Inventory, PodId};
use crate::ports::PortSet;

/// What is listed as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Granularity {
    /// Each pod.
    Pod,
    /// All pods of a workload together.
    Workload,
}

/// One client or server of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name<'a> {
    /// A pod.
    Pod(&'a Pod),
    /// A workload.
    Workload(&'a Workload),
}

impl<'a> Name<'a> {
    /// Its workload.
    pub fn workload(self) -> &'a Workload {
        match self {
            Name::Pod(pod) => &pod.workload,
            Name::Workload(workload) => workload,
        }
    }
}

impl std::fmt::Display for Name<'_> {
    /// `namespace/pod`, or `namespace/Kind/name`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Name::Pod(pod) => write!(f, "{}/{}", pod.namespace, pod.name),
            Name::Workload(workload) => workload.fmt(f),
        }
    }
}

/// What can be done between one client and one server, all their pods together.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ports {
    /// What some pair of their pods may do.
    pub allowed: PortSet,
    /// What of it not every pair may.
    pub partly: PortSet,
    /// What some pair may do if a domain name stands for the server; disjoint from `allowed`.
    pub unknown: PortSet,
}

/// The pods that are listed as one, and their classes.
struct Unit<'a> {
    name: Name<'a>,
    /// Each class with how many of the pods it has.
    members: Vec<(u32, u64)>,
    size: u64,
}

/// The units of a cluster, sorted by name.
pub struct Listing<'a> {
    classes: &'a Classes<'a>,
    units: Vec<Unit<'a>>,
    /// By class: its units, with how many pods each has of it.
    of_class: Vec<Vec<(u32, u64)>>,
    /// By pod.
    of_pod: FxHashMap<PodId, u32>,
    /// Pods that policies can select, by node; empty where no pod counts as its node.
    on_node: FxHashMap<&'a str, Vec<PodId>>,
}

/// What is collected of one pair.
#[derive(Default)]
struct Sum {
    allowed: PortSet,
    common: Option<PortSet>,
    unknown: PortSet,
    pairs: u64,
}

impl Sum {
    fn add(&mut self, ports: &PortSet, pairs: u64) {
        self.pairs += pairs;
        match &mut self.common {
            None => (self.allowed, self.common) = (ports.clone(), Some(ports.clone())),
            Some(common) if *common == *ports && self.allowed == *ports => {}
            Some(common) => {
                self.allowed = self.allowed.union(ports);
                *common = common.intersection(ports);
            }
        }
    }

    fn ports(self, all_pairs: u64) -> Ports {
        let partly = match self.common {
            Some(common) if self.pairs == all_pairs => self.allowed.difference(&common),
            _ => self.allowed.clone(),
        };
        Ports { unknown: self.unknown.difference(&self.allowed), partly, allowed: self.allowed }
    }
}

impl<'a> Listing<'a> {
    /// Units of all pods that count.
    pub fn new(classes: &'a Classes<'a>, granularity: Granularity) -> Listing<'a> {
        let inventory: &'a Inventory = classes.inventory();
        let mut units: Vec<(Name<'a>, Vec<PodId>)> = match granularity {
            Granularity::Pod => {
                let pods = inventory.pod_ids().filter(|(_, pod)| classes.options().counts(pod));
                pods.map(|(id, pod)| (Name::Pod(pod), vec![id])).collect()
            }
            Granularity::Workload => {
                inventory.workloads.iter().map(|(name, info)| (Name::Workload(name), info.pods.clone())).collect()
            }
        };
        // Workloads that an inventory does not describe are known by their pods.
        if granularity == Granularity::Workload && inventory.workloads.is_empty() {
            let mut by_workload: std::collections::BTreeMap<&Workload, Vec<PodId>> = Default::default();
            inventory.pod_ids().for_each(|(id, pod)| by_workload.entry(&pod.workload).or_default().push(id));
            units = by_workload.into_iter().map(|(workload, pods)| (Name::Workload(workload), pods)).collect();
        }
        let mut listing = Listing {
            classes,
            units: Vec::new(),
            of_class: vec![Vec::new(); classes.len()],
            of_pod: FxHashMap::default(),
            on_node: FxHashMap::default(),
        };
        for (name, mut pods) in units {
            pods.retain(|pod| classes.of_pod(*pod).is_some());
            if !pods.is_empty() {
                listing.unit(name, &pods, granularity);
            }
        }
        if (0..classes.len() as u32).any(|class| classes.is_node(class)) {
            for (id, pod) in inventory.pod_ids().filter(|(_, pod)| !classes.options().is_node(pod)) {
                if let (Some(node), Some(_)) = (&pod.node, classes.of_pod(id)) {
                    listing.on_node.entry(node).or_default().push(id);
                }
            }
        }
        listing
    }

    fn unit(&mut self, name: Name<'a>, pods: &[PodId], granularity: Granularity) {
        let number = self.units.len() as u32;
        let info = self.classes.inventory().workloads.get(name.workload());
        // What stands for a workload without pods stands for as many as it will have.
        let several = granularity == Granularity::Workload
            && name.workload().kind != "Pod"
            && info.is_some_and(|info| info.from_template);
        let mut members: std::collections::BTreeMap<u32, u64> = Default::default();
        for pod in pods {
            self.of_pod.insert(*pod, number);
            if let Some(class) = self.classes.of_pod(*pod) {
                *members.entry(class).or_default() += if several { 2 } else { 1 };
            }
        }
        for (class, count) in &members {
            self.of_class[*class as usize].push((number, *count));
        }
        let size = members.values().sum();
        self.units.push(Unit { name, members: members.into_iter().collect(), size });
    }

    /// The classes.
    pub fn classes(&self) -> &'a Classes<'a> {
        self.classes
    }

    /// How many units there are; they are numbered in the order of their names.
    pub fn len(&self) -> u32 {
        self.units.len() as u32
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// The name of a unit.
    pub fn name(&self, unit: u32) -> Name<'a> {
        self.units[unit as usize].name
    }

    /// How many pods a unit has.
    pub fn size(&self, unit: u32) -> u64 {
        self.units[unit as usize].size
    }

    /// The classes of a unit's pods.
    pub fn classes_of(&self, unit: u32) -> impl Iterator<Item = u32> + '_ {
        self.units[unit as usize].members.iter().map(|(class, _)| *class)
    }

    /// What a unit can do with every other, and with itself where it has several pods, ascending; nothing where nothing
    /// is allowed. `row` gives what a class can reach.
    pub fn pairs(&self, client: u32, row: impl FnMut(u32) -> Rc<Row>) -> Vec<(u32, Ports)> {
        self.sums(client, row, true)
    }

    /// The same of rows that are differences: without what policies do not decide.
    pub fn changes(&self, client: u32, row: impl FnMut(u32) -> Rc<Row>) -> Vec<(u32, Ports)> {
        self.sums(client, row, false)
    }

    fn sums(&self, client: u32, mut row: impl FnMut(u32) -> Rc<Row>, own_node: bool) -> Vec<(u32, Ports)> {
        let unit = &self.units[client as usize];
        let mut sums: FxHashMap<u32, Sum> = FxHashMap::default();
        for (class, count) in &unit.members {
            let row = row(*class);
            self.each(client, *class, *count, &row.allowed, |server, ports, pairs| {
                sums.entry(server).or_default().add(ports, pairs);
            });
            self.each(client, *class, *count, &row.unknown, |server, ports, _| {
                let sum = sums.entry(server).or_default();
                sum.unknown = sum.unknown.union(ports);
            });
            if !own_node {
                continue;
            }
            self.on_own_node(client, *class, |server| sums.entry(server).or_default().add(&PortSet::everything(), 1));
        }
        let pairs = |server: u32| {
            if server == client { unit.size * (unit.size - 1) } else { unit.size * self.units[server as usize].size }
        };
        let mut sums: Vec<(u32, Ports)> =
            sums.into_iter().map(|(server, sum)| (server, sum.ports(pairs(server)))).collect();
        sums.sort_unstable_by_key(|(server, _)| *server);
        sums
    }

    /// Every unit that `access` of a client's class is about, with the number of pairs of pods. Pairs on one node, which
    /// policies do not decide, are left out.
    fn each(&self, client: u32, class: u32, count: u64, access: &Access, mut found: impl FnMut(u32, &PortSet, u64)) {
        let is_node = self.classes.is_node(class);
        for (ports, servers) in access.cells() {
            for server in servers.iter() {
                for (unit, members) in &self.of_class[server as usize] {
                    let same = *unit == client && server == class;
                    let mut pairs = if same { count * (count - 1) } else { count * members };
                    if is_node && !self.on_node.is_empty() {
                        pairs -= self.sharing_nodes(client, class, *unit, server).min(pairs);
                    }
                    if pairs > 0 {
                        found(*unit, ports, pairs);
                    }
                }
            }
        }
    }

    /// The pods of a unit in a class.
    fn pods(&self, unit: u32, class: u32) -> impl Iterator<Item = &'a Pod> + '_ {
        let pods = self.classes.pods(class).iter().filter(move |pod| self.of_pod.get(pod) == Some(&unit));
        pods.map(|pod| self.classes.inventory().pod(*pod))
    }

    /// How many pairs of such pods, of which the clients count as their nodes, share a node.
    fn sharing_nodes(&self, client: u32, class: u32, server: u32, servers: u32) -> u64 {
        if self.classes.is_node(servers) {
            return 0;
        }
        let mut nodes: FxHashMap<&str, u64> = FxHashMap::default();
        for pod in self.pods(client, class) {
            if let Some(node) = &pod.node {
                *nodes.entry(node).or_default() += 1;
            }
        }
        let shared = self.pods(server, servers).filter_map(|pod| nodes.get(pod.node.as_deref()?));
        shared.sum()
    }

    /// The unit of each pod that runs on the node of a client's pod, which it always admits.
    fn on_own_node(&self, client: u32, class: u32, mut found: impl FnMut(u32)) {
        if self.on_node.is_empty() || !self.classes.is_node(class) {
            return;
        }
        let nodes = self.pods(client, class).filter_map(|pod| pod.node.as_deref());
        let pods = nodes.filter_map(|node| self.on_node.get(node)).flatten();
        pods.filter_map(|pod| self.of_pod.get(pod)).for_each(|unit| found(*unit));
    }

    /// What addresses outside can reach: for each unit the sets of ports and whose they are.
    pub fn from_outside(&self, mut row: impl FnMut(u32) -> Rc<Row>) -> Vec<(u32, Vec<(Ports, AddressSet)>)> {
        // Most addresses are only ever asked about as servers, and alike as clients.
        let mut alike: FxHashMap<Rc<Row>, ClassSet> = FxHashMap::default();
        for class in self.classes.outside().iter() {
            alike.entry(row(class)).or_default().insert(class);
        }
        let mut found: FxHashMap<u32, FxHashMap<Ports, ClassSet>> = FxHashMap::default();
        for (row, classes) in &alike {
            let mut sums: FxHashMap<u32, Sum> = FxHashMap::default();
            for (ports, servers) in row.allowed.cells() {
                for (unit, count) in servers.iter().flat_map(|server| &self.of_class[server as usize]) {
                    sums.entry(*unit).or_default().add(ports, *count);
                }
            }
            for (unit, sum) in sums {
                let ports = sum.ports(self.units[unit as usize].size);
                found.entry(unit).or_default().entry(ports).or_default().unite(classes);
            }
        }
        let mut addresses = Addresses::new(self.classes);
        let mut sorted: Vec<_> =
            found.into_iter().map(|(unit, sets)| (unit, addresses.each(sets.into_iter().collect()))).collect();
        sorted.sort_unstable_by_key(|(unit, _)| *unit);
        sorted
    }

    /// What a unit can reach outside: sets of ports and whose they are.
    pub fn to_outside(
        &self,
        client: u32,
        mut row: impl FnMut(u32) -> Rc<Row>,
        addresses: &mut Addresses<'_>,
    ) -> Vec<(Ports, AddressSet)> {
        let unit = &self.units[client as usize];
        let outside = self.classes.outside();
        let rows: Vec<(Rc<Row>, u64)> = unit.members.iter().map(|(class, count)| (row(*class), *count)).collect();
        if let [(row, _)] = rows.as_slice()
            && row.unknown.is_empty()
        {
            let cells = row.allowed.cells().map(|(ports, classes)| {
                let ports = Ports { allowed: ports.clone(), ..Ports::default() };
                (ports, classes.intersection(outside))
            });
            return addresses.each(cells.filter(|(_, classes)| !classes.is_empty()).collect());
        }
        let mut sums: FxHashMap<u32, Sum> = FxHashMap::default();
        for (row, count) in &rows {
            for (ports, classes) in row.allowed.cells() {
                classes
                    .intersection(outside)
                    .iter()
                    .for_each(|class| sums.entry(class).or_default().add(ports, *count));
            }
            for (ports, classes) in row.unknown.cells() {
                for class in classes.intersection(outside).iter() {
                    let sum = sums.entry(class).or_default();
                    sum.unknown = sum.unknown.union(ports);
                }
            }
        }
        let mut alike: FxHashMap<Ports, ClassSet> = FxHashMap::default();
        for (class, sum) in sums {
            alike.entry(sum.ports(unit.size)).or_default().insert(class);
        }
        addresses.each(alike.into_iter().collect())
    }
}

/// The addresses of sets of classes, of which the same come up again and again.
pub struct Addresses<'a> {
    classes: &'a Classes<'a>,
    known: FxHashMap<ClassSet, Rc<AddressSet>>,
}

impl<'a> Addresses<'a> {
    /// Nothing is known yet.
    pub fn new(classes: &'a Classes<'a>) -> Addresses<'a> {
        Addresses { classes, known: FxHashMap::default() }
    }

    fn of(&mut self, set: ClassSet) -> Rc<AddressSet> {
        let classes = self.classes;
        let united = |set: &ClassSet| {
            let mut all = AddressSet::empty();
            for (first, last) in set.iter().flat_map(|class| classes.addresses(class).ranges()) {
                all.insert(first, last);
            }
            Rc::new(all)
        };
        Rc::clone(self.known.entry(set).or_insert_with_key(united))
    }

    /// Of each, the lowest addresses first.
    fn each(&mut self, sets: Vec<(Ports, ClassSet)>) -> Vec<(Ports, AddressSet)> {
        let mut sets: Vec<_> = sets.into_iter().map(|(ports, set)| (ports, self.of(set).as_ref().clone())).collect();
        sets.sort_by(|a, b| (a.1.first(), &a.0).cmp(&(b.1.first(), &b.0)));
        sets
    }
}
