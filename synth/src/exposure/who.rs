//! Who may come: descriptions of pods by labels, compared by what they select.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::addresses::AddressSet;
use crate::evaluate::Namespaces;
use crate::label::{Labels, NAMESPACE_NAME, Requirement, Selector};

/// The other side of a connection that could be made one day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// Every pod that may come, in any namespace.
    EntireCluster,
    /// Pods with certain labels, or in certain namespaces, or both.
    Selected {
        /// The namespaces they may be in.
        namespaces: Scope,
        /// Their labels.
        pods: Selector,
    },
    /// Addresses; those of pods too where an `ipBlock` matches pods.
    External(AddressSet),
}

/// Namespaces that exist or may come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// All of them.
    All,
    /// One, by its name: a policy's own, or selected by the label that every namespace carries.
    Named(String),
    /// Those with certain labels.
    Matching(Selector),
}

impl Scope {
    /// The namespaces that `selector` selects; `None` where it can select none.
    pub fn matching(selector: &Selector) -> Option<Scope> {
        let selector = normal(selector)?;
        if selector.is_everything() {
            return Some(Scope::All);
        }
        let name = selector.requirements().find_map(|requirement| match requirement {
            Requirement::In { key, values } if key == NAMESPACE_NAME && values.len() == 1 => values.first().cloned(),
            _ => None,
        });
        let alone = selector.requirements().count() == 1;
        Some(name.filter(|_| alone).map_or(Scope::Matching(selector), Scope::Named))
    }

    /// What the namespaces' labels have to be.
    pub fn selector(&self) -> Selector {
        match self {
            Scope::All => Selector::everything(),
            Scope::Named(name) => Selector::from_iter([Requirement::equals(NAMESPACE_NAME, name)]),
            Scope::Matching(selector) => selector.clone(),
        }
    }

    fn relation(&self, of: &Scope, known: &Namespaces) -> Relation {
        // The labels of a namespace that exists are known.
        if let (Scope::Matching(selector), Scope::Named(name)) = (self, of)
            && known.labels(name).is_some()
        {
            return if known.matches(selector, name) { Relation::Covers } else { Relation::Apart };
        }
        if let (Scope::Named(name), Scope::Matching(selector)) = (self, of)
            && known.labels(name).is_some()
            && !known.matches(selector, name)
        {
            return Relation::Apart;
        }
        relation(&self.selector(), &of.selector())
    }
}

/// How a description of pods stands to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Relation {
    /// No pod fits both.
    Apart,
    /// Some pods may fit both.
    Partly,
    /// Every pod that fits the other one fits this one.
    Covers,
}

impl Who {
    /// The pods with labels `pods` in `namespaces`; `None` where there can be none.
    pub fn selected(namespaces: Scope, pods: &Selector) -> Option<Who> {
        let pods = normal(pods)?;
        Some(match namespaces {
            Scope::All if pods.is_everything() => Who::EntireCluster,
            namespaces => Who::Selected { namespaces, pods },
        })
    }

    /// Whether every pod, or every address, that `other` describes fits this description too. The labels of namespaces
    /// that exist are taken as they are.
    pub fn covers(&self, other: &Who, known: &Namespaces) -> bool {
        self.relation(other, known) == Relation::Covers
    }

    /// Whether a pod of `namespace` with these labels fits the description.
    pub fn fits(&self, namespace: &str, labels: &Labels, known: &Namespaces) -> bool {
        match self {
            Who::EntireCluster => true,
            Who::Selected { namespaces, pods } => {
                let inside = match namespaces {
                    Scope::All => true,
                    Scope::Named(name) => name == namespace,
                    Scope::Matching(selector) => known.matches(selector, namespace),
                };
                inside && pods.matches(labels)
            }
            Who::External(_) => false,
        }
    }

    /// Pods and addresses are apart here; what an address says about pods is decided where pod addresses are known.
    pub(super) fn relation(&self, of: &Who, known: &Namespaces) -> Relation {
        match (self, of) {
            (Who::External(ours), Who::External(theirs)) => {
                let both = ours.intersection(theirs);
                match () {
                    () if both == *theirs => Relation::Covers,
                    () if both.is_empty() => Relation::Apart,
                    () => Relation::Partly,
                }
            }
            (Who::External(_), _) | (_, Who::External(_)) => Relation::Apart,
            (Who::EntireCluster, _) => Relation::Covers,
            (_, Who::EntireCluster) => Relation::Partly,
            (Who::Selected { namespaces, pods }, Who::Selected { namespaces: of_namespaces, pods: of_pods }) => {
                match (namespaces.relation(of_namespaces, known), relation(pods, of_pods)) {
                    (Relation::Apart, _) | (_, Relation::Apart) => Relation::Apart,
                    (Relation::Covers, Relation::Covers) => Relation::Covers,
                    _ => Relation::Partly,
                }
            }
        }
    }
}

/// `every pod`, `pods app=web in shop`, `every pod in namespaces team=a`, `10.0.0.0/8`.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::EntireCluster => f.write_str("every pod"),
            Who::External(addresses) => write!(f, "{addresses}"),
            Who::Selected { namespaces, pods } => {
                if pods.is_everything() {
                    f.write_str("every pod")?
                } else {
                    write!(f, "pods {pods}")?
                }
                match namespaces {
                    Scope::All => f.write_str(" in any namespace"),
                    Scope::Named(name) => write!(f, " in {name}"),
                    Scope::Matching(selector) => write!(f, " in namespaces {selector}"),
                }
            }
        }
    }
}

/// What a selector demands of one label.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Demand<'a> {
    /// Whether the label may be missing.
    absent: bool,
    values: Values<'a>,
}

/// The values that a label may have where it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Values<'a> {
    Only(BTreeSet<&'a str>),
    Except(BTreeSet<&'a str>),
}

impl<'a> Demand<'a> {
    /// Any value or none.
    fn nothing() -> Demand<'a> {
        Demand { absent: true, values: Values::Except(BTreeSet::new()) }
    }

    fn of(requirement: &'a Requirement) -> Demand<'a> {
        let listed = |values: &'a BTreeSet<String>| values.iter().map(String::as_str).collect();
        let (absent, values) = match requirement {
            Requirement::In { values, .. } => (false, Values::Only(listed(values))),
            Requirement::NotIn { values, .. } => (true, Values::Except(listed(values))),
            Requirement::Exists { .. } => (false, Values::Except(BTreeSet::new())),
            Requirement::Absent { .. } => (true, Values::Only(BTreeSet::new())),
        };
        Demand { absent, values }
    }

    fn and(&self, other: &Demand<'a>) -> Demand<'a> {
        let values = match (&self.values, &other.values) {
            (Values::Only(a), Values::Only(b)) => Values::Only(a & b),
            (Values::Except(a), Values::Except(b)) => Values::Except(a | b),
            (Values::Only(a), Values::Except(b)) | (Values::Except(b), Values::Only(a)) => Values::Only(a - b),
        };
        Demand { absent: self.absent && other.absent, values }
    }

    fn is_impossible(&self) -> bool {
        !self.absent && matches!(&self.values, Values::Only(values) if values.is_empty())
    }

    fn requirements(&self, key: &str) -> Vec<Requirement> {
        let key = key.to_string();
        let owned = |values: &BTreeSet<&str>| values.iter().map(|value| value.to_string()).collect();
        match (&self.values, self.absent) {
            // A list of values and the missing label together is more than one requirement can say, and no conjunction
            // of requirements comes to it: `In` never allows the missing label.
            (Values::Only(_), true) => vec![Requirement::Absent { key }],
            (Values::Only(values), false) => vec![Requirement::In { values: owned(values), key }],
            (Values::Except(values), true) if values.is_empty() => Vec::new(),
            (Values::Except(values), true) => vec![Requirement::NotIn { values: owned(values), key }],
            (Values::Except(values), false) if values.is_empty() => vec![Requirement::Exists { key }],
            (Values::Except(values), false) => {
                vec![Requirement::Exists { key: key.clone() }, Requirement::NotIn { values: owned(values), key }]
            }
        }
    }
}

/// What `selector` demands of each label it mentions.
fn demands(selector: &Selector) -> BTreeMap<&str, Demand<'_>> {
    let mut demands: BTreeMap<&str, Demand<'_>> = BTreeMap::new();
    for requirement in selector.requirements() {
        let known = demands.entry(requirement.key()).or_insert_with(Demand::nothing);
        *known = known.and(&Demand::of(requirement));
    }
    demands
}

/// The one form in which selectors that select the same are equal; `None` where it can select nothing.
fn normal(selector: &Selector) -> Option<Selector> {
    let demands = demands(selector);
    if demands.values().any(Demand::is_impossible) {
        return None;
    }
    Some(demands.iter().flat_map(|(key, demand)| demand.requirements(key)).collect())
}

/// How the objects that `selector` selects stand to those that `of` selects.
fn relation(selector: &Selector, of: &Selector) -> Relation {
    let of = demands(of);
    let mut covers = true;
    for (key, demand) in demands(selector) {
        let other = of.get(key).cloned().unwrap_or_else(Demand::nothing);
        let both = demand.and(&other);
        if both.is_impossible() {
            return Relation::Apart;
        }
        covers &= both == other;
    }
    if covers { Relation::Covers } else { Relation::Partly }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(text: &str) -> Selector {
        if text.is_empty() { Selector::everything() } else { text.parse().unwrap() }
    }

    #[test]
    fn selectors_have_one_form() {
        for (written, form) in [
            ("a in (x),a", Some("a=x")),
            ("a in (x,y),a notin (y,z)", Some("a=x")),
            ("a notin (x),a notin (y)", Some("a notin (x, y)")),
            ("a notin (x),a", Some("a notin (x),a")),
            ("a notin (x),!a", Some("!a")),
            ("a in (x,y),a in (z)", None),
            ("a=x,!a", None),
            ("a,!a", None),
        ] {
            assert_eq!(normal(&selector(written)).map(|form| form.to_string()).as_deref(), form, "{written}");
        }
    }

    #[test]
    fn selectors_compare_by_what_they_select() {
        use Relation::{Apart, Covers, Partly};
        for (left, right, expected) in [
            ("", "a=x", Covers),
            ("a=x", "", Partly),
            ("a in (x,y)", "a=x,b=z", Covers),
            ("a notin (x,y)", "a notin (x,y,z)", Covers),
            ("a notin (x,y,z)", "a notin (x,y)", Partly),
            ("a notin (x)", "!a", Covers),
            ("a", "a notin (x)", Partly),
            ("a", "!a", Apart),
            ("a=x", "a=y", Apart),
            ("a=x", "b=y", Partly),
        ] {
            assert_eq!(relation(&selector(left), &selector(right)), expected, "{left} to {right}");
        }
    }

    #[test]
    fn namespaces_that_exist_are_known_by_all_their_labels() {
        let mut known = Namespaces::new();
        known.insert("shop", Labels::from([("team".to_string(), "a".to_string())]));
        let pods = |scope: &Scope, text: &str| Who::selected(scope.clone(), &selector(text)).unwrap();
        let shop = Scope::matching(&selector("kubernetes.io/metadata.name=shop")).unwrap();
        let other = Scope::Named("other".to_string());
        assert_eq!(shop, Scope::Named("shop".to_string()));
        let team = |name: &str| Scope::matching(&selector(&format!("team={name}"))).unwrap();
        assert!(pods(&team("a"), "").covers(&pods(&shop, "app=web"), &known));
        assert_eq!(pods(&team("b"), "").relation(&pods(&shop, ""), &known), Relation::Apart);
        assert_eq!(pods(&shop, "").relation(&pods(&team("b"), ""), &known), Relation::Apart);
        assert_eq!(pods(&team("b"), "").relation(&pods(&other, ""), &known), Relation::Partly);
        assert_eq!(pods(&Scope::All, "").to_string(), "every pod");
        assert_eq!(pods(&shop, "app=web").to_string(), "pods app=web in shop");
    }
}
