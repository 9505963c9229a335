//! Who can be reached on which ports, as a value.

use std::hash::{Hash, Hasher};

use roaring::RoaringBitmap;

use crate::evaluate::course::Algebra;
use crate::ports::PortSet;

/// A set of classes, by index.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClassSet(RoaringBitmap);

impl Eq for ClassSet {}

impl Hash for ClassSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Equal sets have these in common, and different ones seldom all three.
        (self.0.len(), self.0.min(), self.0.max()).hash(state);
    }
}

impl ClassSet {
    /// The classes from `first` up to, and without, `end`.
    pub fn range(first: u32, end: u32) -> ClassSet {
        ClassSet((first..end).collect())
    }

    /// Many classes at once, which is faster where they nearly are in their order.
    pub(super) fn from_many(mut classes: Vec<u32>) -> ClassSet {
        classes.sort_unstable();
        classes.dedup();
        let mut set = RoaringBitmap::new();
        // They ascend, so that none is refused.
        _ = set.append(classes);
        ClassSet(set)
    }

    /// Adds a class.
    pub fn insert(&mut self, class: u32) {
        self.0.insert(class);
    }

    /// Whether a class is in the set.
    pub fn contains(&self, class: u32) -> bool {
        self.0.contains(class)
    }

    /// How many classes are.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether no class is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The classes, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter()
    }

    /// Adds the classes of another set.
    pub fn unite(&mut self, other: &ClassSet) {
        self.0 |= &other.0;
    }

    /// Whether no class is in both sets.
    pub fn is_disjoint(&self, other: &ClassSet) -> bool {
        self.0.is_disjoint(&other.0)
    }

    /// What is in both sets.
    pub fn intersection(&self, other: &ClassSet) -> ClassSet {
        ClassSet(&self.0 & &other.0)
    }

    /// What is in this set and not in the other.
    pub fn difference(&self, other: &ClassSet) -> ClassSet {
        ClassSet(&self.0 - &other.0)
    }
}

impl FromIterator<u32> for ClassSet {
    fn from_iter<I: IntoIterator<Item = u32>>(classes: I) -> ClassSet {
        ClassSet(classes.into_iter().collect())
    }
}

/// Which ports of which classes: a function from classes to sets of ports, in one form only. Each set of ports stands
/// once, with all classes that have it; classes without any port are in none. Equal functions are equal values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Access {
    /// Sorted by ports; neither ports nor classes are empty, and no class is in two.
    cells: Vec<(PortSet, ClassSet)>,
}

impl Access {
    /// Nothing.
    pub fn none() -> Access {
        Access::default()
    }

    /// The same ports of every class of a set.
    pub fn of(ports: PortSet, classes: ClassSet) -> Access {
        let is_empty = ports.is_empty() || classes.is_empty();
        Access { cells: if is_empty { Vec::new() } else { vec![(ports, classes)] } }
    }

    /// From classes, each once, with the ports of each.
    pub(super) fn by_class(ports: impl Iterator<Item = (u32, PortSet)>) -> Access {
        let mut by_ports: rustc_hash::FxHashMap<PortSet, ClassSet> = Default::default();
        ports.for_each(|(class, ports)| by_ports.entry(ports).or_default().insert(class));
        Access::from_apart(by_ports.into_iter().collect())
    }

    /// Sets of ports with the classes that have them.
    pub fn cells(&self) -> impl Iterator<Item = (&PortSet, &ClassSet)> {
        self.cells.iter().map(|(ports, classes)| (ports, classes))
    }

    /// The ports of one class.
    pub fn ports(&self, class: u32) -> Option<&PortSet> {
        self.cells.iter().find(|(_, classes)| classes.contains(class)).map(|(ports, _)| ports)
    }

    /// The classes that have any port.
    pub fn classes(&self) -> ClassSet {
        let mut all = ClassSet::default();
        self.cells.iter().for_each(|(_, classes)| all.unite(classes));
        all
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// What is in either.
    pub fn union(&self, other: &Access) -> Access {
        let mut union = self.clone();
        union.unite(other);
        union
    }

    /// What is in both.
    pub fn intersection(&self, other: &Access) -> Access {
        let mut both = Vec::new();
        for (ports, classes) in &self.cells {
            for (their_ports, theirs) in other.cells.iter().filter(|(_, theirs)| !theirs.is_disjoint(classes)) {
                both.push((ports.intersection(their_ports), classes.intersection(theirs)));
            }
        }
        Access::from_apart(both)
    }

    /// What is here and not in the other.
    pub fn difference(&self, other: &Access) -> Access {
        let mut rest = Vec::new();
        // Of a cell that both have nothing is left, and no other one meets it.
        for (ports, classes) in self.cells.iter().filter(|cell| !other.has(cell)) {
            let mut left = classes.clone();
            for (their_ports, theirs) in other.cells.iter().filter(|(_, theirs)| !theirs.is_disjoint(classes)) {
                rest.push((ports.difference(their_ports), classes.intersection(theirs)));
                left.0 -= &theirs.0;
            }
            rest.push((ports.clone(), left));
        }
        Access::from_apart(rest)
    }

    /// What of it concerns some classes.
    pub fn within(&self, classes: &ClassSet) -> Access {
        let cells = self.cells.iter().filter(|(_, of)| !of.is_disjoint(classes));
        Access { cells: cells.map(|(ports, of)| (ports.clone(), of.intersection(classes))).collect() }
    }

    /// Whether one of its cells is this one.
    fn has(&self, (ports, classes): &(PortSet, ClassSet)) -> bool {
        let at = self.cells.binary_search_by(|(known, _)| known.cmp(ports));
        at.is_ok_and(|at| self.cells[at].1 == *classes)
    }

    /// Adds a cell of classes that are in no other one.
    fn insert(&mut self, ports: PortSet, classes: ClassSet) {
        if ports.is_empty() || classes.is_empty() {
            return;
        }
        match self.cells.binary_search_by(|(known, _)| known.cmp(&ports)) {
            Ok(at) => self.cells[at].1.unite(&classes),
            Err(at) => self.cells.insert(at, (ports, classes)),
        }
    }

    /// From cells of which no class is in two.
    fn from_apart(mut cells: Vec<(PortSet, ClassSet)>) -> Access {
        cells.retain(|(ports, classes)| !ports.is_empty() && !classes.is_empty());
        cells.sort_by(|a, b| a.0.cmp(&b.0));
        cells.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1.unite(&next.1);
            }
            same
        });
        Access { cells }
    }
}

/// From cells that may share classes, whose ports are united.
impl FromIterator<(PortSet, ClassSet)> for Access {
    fn from_iter<I: IntoIterator<Item = (PortSet, ClassSet)>>(cells: I) -> Access {
        // Cells of the same ports first, so that the rest is as short as the sets of ports are few.
        let mut by_ports: rustc_hash::FxHashMap<PortSet, ClassSet> = Default::default();
        for (ports, classes) in cells {
            by_ports.entry(ports).or_default().unite(&classes);
        }
        let mut all = Access::none();
        by_ports.into_iter().for_each(|(ports, classes)| all.unite(&Access::of(ports, classes)));
        all
    }
}

impl Algebra for Access {
    /// Cells that the other does not touch stay as they are: most additions are small.
    fn unite(&mut self, other: &Access) {
        if self.is_empty() {
            self.clone_from(other);
            return;
        }
        let mut new = Vec::new();
        for (their_ports, theirs) in &other.cells {
            let mut left = theirs.clone();
            for (ports, classes) in &mut self.cells {
                if left.is_disjoint(classes) {
                    continue;
                }
                let shared = classes.intersection(&left);
                left.0 -= &shared.0;
                let union = ports.union(their_ports);
                if union != *ports {
                    classes.0 -= &shared.0;
                    new.push((union, shared));
                }
            }
            new.push((their_ports.clone(), left));
        }
        self.cells.retain(|(_, classes)| !classes.is_empty());
        new.into_iter().for_each(|(ports, classes)| self.insert(ports, classes));
    }

    fn intersect(&mut self, other: &Access) {
        if !self.is_empty() {
            *self = self.intersection(other);
        }
    }

    fn subtract(&mut self, other: &Access) {
        if !self.is_empty() && !other.is_empty() {
            *self = self.difference(other);
        }
    }

    fn is_nothing(&self) -> bool {
        self.is_empty()
    }

    fn is_everything(&self) -> bool {
        false
    }

    fn nothing(&self) -> Access {
        Access::none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::port::{PortRange, Protocol};

    const CLASSES: u32 = 6;

    fn any_access() -> impl Strategy<Value = Access> {
        let range = (1..6u16, 1..6u16).prop_map(|(a, b)| {
            let [from, to] = [a.min(b), a.max(b)].map(|port| port.try_into().unwrap());
            PortSet::from_iter([(Protocol::Tcp, PortRange::new(from, to).unwrap())])
        });
        let classes = proptest::collection::vec(0..CLASSES, 0..4).prop_map(|of| of.into_iter().collect());
        proptest::collection::vec((range, classes), 0..5).prop_map(|cells| cells.into_iter().collect())
    }

    proptest! {
        #[test]
        fn operations_agree_with_membership(a in any_access(), b in any_access()) {
            let (union, both, rest) = (a.union(&b), a.intersection(&b), a.difference(&b));
            let has = |access: &Access, class, port| {
                access.ports(class).is_some_and(|ports| ports.contains(Protocol::Tcp, port))
            };
            for class in 0..CLASSES {
                for port in 1..7 {
                    let (in_a, in_b) = (has(&a, class, port), has(&b, class, port));
                    prop_assert_eq!(has(&union, class, port), in_a || in_b);
                    prop_assert_eq!(has(&both, class, port), in_a && in_b);
                    prop_assert_eq!(has(&rest, class, port), in_a && !in_b);
                }
            }
            // Canonical: whatever the way, the same function is the same value.
            prop_assert_eq!(&both.union(&rest), &a);
            prop_assert_eq!(&b.union(&a), &union);
            prop_assert_eq!(&a.difference(&rest), &both);
            for access in [union, both, rest] {
                let of: Vec<u64> = access.cells().map(|(_, classes)| classes.0.len()).collect();
                prop_assert_eq!(of.iter().sum::<u64>(), access.classes().0.len(), "no class stands twice");
                prop_assert!(access.cells.windows(2).all(|pair| pair[0].0 < pair[1].0));
                prop_assert!(access.cells().all(|(ports, classes)| !ports.is_empty() && !classes.is_empty()));
            }
        }
    }
}
