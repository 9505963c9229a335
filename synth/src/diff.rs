//! What a change of policies does: connectivity gained and lost.

mod observed;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::addresses::AddressSet;
use crate::endpoint::Workload;
use crate::policy::Direction;
use crate::ports::PortSet;
use crate::reach::listing::{Addresses, Granularity, Listing, Ports};
use crate::reach::{Reach, Row};

pub use observed::{Observed, Stopped};

/// One side of a change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side<'a> {
    /// Pods of a workload.
    Workload(&'a Workload),
    /// Addresses outside.
    Outside(AddressSet),
}

impl<'a> Side<'a> {
    fn by_range(&self) -> Vec<Side<'a>> {
        match self {
            Side::Workload(workload) => vec![Side::Workload(workload)],
            Side::Outside(set) => set.cidrs().map(|net| Side::Outside(AddressSet::of(net))).collect(),
        }
    }
}

impl fmt::Display for Side<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Side::Workload(workload) => workload.fmt(f),
            Side::Outside(addresses) => addresses.fmt(f),
        }
    }
}

/// Ports that some pods of one side can, or could, connect to on the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change<'a> {
    /// Who connects.
    pub client: Side<'a>,
    /// To whom.
    pub server: Side<'a>,
    /// Allowed for certain on the one side of the change, and not on the other.
    pub allowed: PortSet,
    /// Unknown on the one side, denied on the other.
    pub unknown: PortSet,
}

/// What a change of policies does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff<'a> {
    /// What can be done only after it, sorted.
    pub gained: Vec<Change<'a>>,
    /// What can be done only before it, sorted.
    pub lost: Vec<Change<'a>>,
    /// Workloads of which some pod is isolated after it, and none was before.
    pub isolated: BTreeSet<(&'a Workload, Direction)>,
    /// Workloads of which some pod was isolated before it, and none is after.
    pub opened: BTreeSet<(&'a Workload, Direction)>,
    /// Workloads that are only there after it.
    pub added: BTreeSet<&'a Workload>,
    /// Workloads that were only there before it.
    pub removed: BTreeSet<&'a Workload>,
}

impl Diff<'_> {
    /// Whether the change does nothing.
    pub fn is_empty(&self) -> bool {
        *self == Diff::default()
    }
}

/// Two sets of policies on one cluster, which have to share their classes: what no policy of either tells apart is
/// compared once.
pub fn policies<'a>(old: &Reach<'a>, new: &Reach<'a>) -> Diff<'a> {
    let classes = old.classes();
    let listing = Listing::new(classes, Granularity::Workload);
    let mut rows: FxHashMap<u32, (Rc<Row>, Rc<Row>)> = FxHashMap::default();
    for class in 0..classes.len() as u32 {
        let (before, after) = (old.row(class), new.row(class));
        if before != after {
            rows.insert(class, (Rc::new(after.beyond(&before)), Rc::new(before.beyond(&after))));
        }
    }
    let nothing: Rc<Row> = Rc::default();
    let gained = |class: u32| rows.get(&class).map_or(&nothing, |(gained, _)| gained).clone();
    let lost = |class: u32| rows.get(&class).map_or(&nothing, |(_, lost)| lost).clone();
    let mut diff = Diff { gained: changes(&listing, gained), lost: changes(&listing, lost), ..Diff::default() };
    for unit in 0..listing.len() {
        for direction in Direction::ALL {
            let isolated =
                |reach: &Reach<'_>| listing.classes_of(unit).any(|class| reach.is_isolated(class, direction));
            diff.isolation(listing.name(unit).workload(), direction, isolated(old), isolated(new));
        }
    }
    diff
}

/// The changes of every class, by name.
fn changes<'a>(listing: &Listing<'a>, row: impl Fn(u32) -> Rc<Row>) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    let mut addresses = Addresses::new(listing.classes());
    let name = |unit: u32| Side::Workload(listing.name(unit).workload());
    for client in 0..listing.len() {
        if listing.classes_of(client).all(|class| row(class).is_empty()) {
            continue;
        }
        for (server, ports) in listing.changes(client, &row) {
            changes.push(Change::new(name(client), name(server), ports));
        }
        for (ports, set) in listing.to_outside(client, &row, &mut addresses) {
            changes.push(Change::new(name(client), Side::Outside(set), ports));
        }
    }
    for (server, sets) in listing.from_outside(&row) {
        for (ports, set) in sets {
            changes.push(Change::new(Side::Outside(set), name(server), ports));
        }
    }
    changes.sort();
    changes
}

impl<'a> Change<'a> {
    /// The same, one range of addresses at a time.
    pub fn by_range(&self) -> impl Iterator<Item = Change<'a>> {
        let (client, server) = (self.client.by_range(), self.server.by_range());
        let pairs = client.into_iter().flat_map(move |client| {
            let with = server.clone();
            with.into_iter().map(move |server| (client.clone(), server))
        });
        let (allowed, unknown) = (self.allowed.clone(), self.unknown.clone());
        pairs.map(move |(client, server)| Change { client, server, allowed: allowed.clone(), unknown: unknown.clone() })
    }

    fn new(client: Side<'a>, server: Side<'a>, ports: Ports) -> Change<'a> {
        Change { client, server, allowed: ports.allowed, unknown: ports.unknown }
    }
}

impl<'a> Diff<'a> {
    fn isolation(&mut self, workload: &'a Workload, direction: Direction, before: bool, after: bool) {
        match (before, after) {
            (false, true) => _ = self.isolated.insert((workload, direction)),
            (true, false) => _ = self.opened.insert((workload, direction)),
            _ => {}
        }
    }
}

/// What one workload can do, by workload and by address.
struct Doings<'a> {
    pairs: BTreeMap<&'a Workload, Ports>,
    outward: Vec<(Ports, AddressSet)>,
    inward: Vec<(Ports, AddressSet)>,
    isolated: [bool; 2],
}

/// One cluster and its policies, workload by workload.
struct State<'r, 'a> {
    reach: &'r Reach<'a>,
    listing: Listing<'a>,
    units: BTreeMap<&'a Workload, u32>,
    rows: FxHashMap<u32, Rc<Row>>,
    inward: FxHashMap<u32, Vec<(Ports, AddressSet)>>,
}

impl<'r, 'a> State<'r, 'a> {
    fn new(reach: &'r Reach<'a>) -> State<'r, 'a> {
        let listing = Listing::new(reach.classes(), Granularity::Workload);
        let units = (0..listing.len()).map(|unit| (listing.name(unit).workload(), unit)).collect();
        let inward = listing.from_outside(|class| Rc::new(reach.row(class))).into_iter().collect();
        State { reach, listing, units, rows: FxHashMap::default(), inward }
    }

    fn doings(&mut self, workload: &Workload) -> Option<Doings<'a>> {
        let unit = *self.units.get(workload)?;
        let State { reach, listing, rows, .. } = self;
        let mut row = |class: u32| Rc::clone(rows.entry(class).or_insert_with(|| Rc::new(reach.row(class))));
        let mut addresses = Addresses::new(reach.classes());
        let name = |(server, ports): (u32, Ports)| (listing.name(server).workload(), ports);
        let pairs = listing.pairs(unit, &mut row).into_iter().map(name).collect();
        let outward = listing.to_outside(unit, &mut row, &mut addresses);
        let isolated =
            Direction::ALL.map(|direction| listing.classes_of(unit).any(|class| reach.is_isolated(class, direction)));
        Some(Doings { pairs, outward, inward: self.inward.remove(&unit).unwrap_or_default(), isolated })
    }
}

/// Two clusters, or two states of one, each with its own policies. Workloads are the same where their names are.
pub fn clusters<'a>(old: &Reach<'a>, new: &Reach<'a>) -> Diff<'a> {
    let (mut old, mut new) = (State::new(old), State::new(new));
    let workloads: BTreeSet<&'a Workload> = old.units.keys().chain(new.units.keys()).copied().collect();
    let mut diff = Diff::default();
    for workload in workloads {
        let (before, after) = (old.doings(workload), new.doings(workload));
        match (&before, &after) {
            (Some(before), Some(after)) => {
                for (at, direction) in Direction::ALL.into_iter().enumerate() {
                    diff.isolation(workload, direction, before.isolated[at], after.isolated[at]);
                }
            }
            (None, _) => _ = diff.added.insert(workload),
            (_, None) => _ = diff.removed.insert(workload),
        }
        beyond(workload, after.as_ref(), before.as_ref(), &mut diff.gained);
        beyond(workload, before.as_ref(), after.as_ref(), &mut diff.lost);
    }
    diff.gained.sort();
    diff.lost.sort();
    diff
}

/// What a workload can do here and not there.
fn beyond<'a>(
    workload: &'a Workload,
    here: Option<&Doings<'a>>,
    there: Option<&Doings<'a>>,
    into: &mut Vec<Change<'a>>,
) {
    let Some(here) = here else { return };
    let own = || Side::Workload(workload);
    for (server, ports) in &here.pairs {
        let other = there.and_then(|there| there.pairs.get(server));
        into.extend(ports.beyond(other).map(|ports| Change::new(own(), Side::Workload(server), ports)));
    }
    let outward = there.map_or(&[][..], |there| &there.outward);
    for (ports, addresses) in addresses_beyond(&here.outward, outward) {
        into.push(Change::new(own(), Side::Outside(addresses), ports));
    }
    let inward = there.map_or(&[][..], |there| &there.inward);
    for (ports, addresses) in addresses_beyond(&here.inward, inward) {
        into.push(Change::new(Side::Outside(addresses), own(), ports));
    }
}

impl Ports {
    /// What is here and not there.
    fn beyond(&self, there: Option<&Ports>) -> Option<Ports> {
        let nothing = Ports::default();
        let there = there.unwrap_or(&nothing);
        let allowed = self.allowed.difference(&there.allowed);
        let unknown = self.unknown.difference(&there.unknown).difference(&there.allowed);
        let some = !(allowed.is_empty() && unknown.is_empty());
        some.then(|| Ports { allowed, unknown, partly: PortSet::empty() })
    }
}

fn addresses_beyond(here: &[(Ports, AddressSet)], there: &[(Ports, AddressSet)]) -> BTreeMap<Ports, AddressSet> {
    let mut found: BTreeMap<Ports, AddressSet> = BTreeMap::new();
    let mut add = |ports: Option<Ports>, addresses: AddressSet| {
        if let Some(ports) = ports.filter(|_| !addresses.is_empty()) {
            let set = found.entry(ports).or_default();
            *set = set.union(&addresses);
        }
    };
    for (ports, addresses) in here {
        let mut left = addresses.clone();
        for (others, theirs) in there {
            add(ports.beyond(Some(others)), left.intersection(theirs));
            left = left.difference(theirs);
        }
        add(ports.beyond(None), left);
    }
    found
}

#[cfg(test)]
mod tests;
