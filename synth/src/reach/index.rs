//! Pods found by their labels, without asking each.

use rustc_hash::FxHashMap;

use super::term::Scope;
use crate::endpoint::Pod;
use crate::evaluate::Namespaces;
use crate::label::{NAMESPACE_NAME, Requirement, Selector};

/// Groups of pods that have their namespace and all labels of interest in common, by number.
pub(super) struct Index<'a> {
    namespaces: &'a Namespaces,
    /// By group: one of its pods.
    pods: Vec<&'a Pod>,
    by_namespace: FxHashMap<&'a str, Vec<u32>>,
    by_label: FxHashMap<(&'a str, &'a str), Vec<u32>>,
    /// The namespaces with pods that a selector selects.
    matching: FxHashMap<&'a Selector, Vec<&'a str>>,
}

impl<'a> Index<'a> {
    /// `groups` are numbers with one pod of each; the labels of interest are those with one of `keys`.
    pub(super) fn new(
        groups: impl Iterator<Item = (u32, &'a Pod)>,
        keys: &rustc_hash::FxHashSet<&'a str>,
        namespaces: &'a Namespaces,
    ) -> Index<'a> {
        let mut index = Index {
            namespaces,
            pods: Vec::new(),
            by_namespace: FxHashMap::default(),
            by_label: FxHashMap::default(),
            matching: FxHashMap::default(),
        };
        for (group, pod) in groups {
            debug_assert_eq!(group as usize, index.pods.len());
            index.pods.push(pod);
            index.by_namespace.entry(&pod.namespace).or_default().push(group);
            for (key, value) in pod.labels.iter().filter(|(key, _)| keys.contains(key.as_str())) {
                index.by_label.entry((key, value)).or_default().push(group);
            }
        }
        index
    }

    /// The groups whose pods are in the scope and match the selector, ascending.
    pub(super) fn select(&mut self, scope: Scope<'a>, pods: &Selector) -> Vec<u32> {
        let everywhere = matches!(scope, Scope::Matching(selector) if selector.is_everything());
        let namespaces: Vec<&str> = match scope {
            Scope::One(name) => vec![name],
            Scope::Matching(_) if everywhere => Vec::new(),
            Scope::Matching(selector) => self.selected(selector).to_vec(),
        };
        let there = |name: &str| self.by_namespace.get(name).into_iter().flatten();
        let in_scope: usize = namespaces.iter().map(|name| self.by_namespace.get(name).map_or(0, Vec::len)).sum();
        let labelled = self.rarest(pods);
        let mut found: Vec<u32> = match labelled {
            Some(labelled) if everywhere || labelled.iter().map(|groups| groups.len()).sum::<usize>() < in_scope => {
                let wanted: rustc_hash::FxHashSet<&str> = namespaces.into_iter().collect();
                let groups = labelled.into_iter().flatten().copied();
                groups
                    .filter(|group| everywhere || wanted.contains(self.pods[*group as usize].namespace.as_str()))
                    .collect()
            }
            _ if everywhere => (0..self.pods.len() as u32).collect(),
            _ => namespaces.iter().flat_map(|name| there(name)).copied().collect(),
        };
        if !pods.is_everything() {
            found.retain(|group| pods.matches(&self.pods[*group as usize].labels));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The namespaces with pods that a selector selects.
    fn selected(&mut self, selector: &'a Selector) -> &[&'a str] {
        let (by_namespace, namespaces) = (&self.by_namespace, self.namespaces);
        self.matching.entry(selector).or_insert_with(|| {
            // Most name their namespaces.
            let named = selector.requirements().find_map(|requirement| match requirement {
                Requirement::In { key, values } if key == NAMESPACE_NAME => Some(values),
                _ => None,
            });
            let known = |name: &String| by_namespace.get_key_value(name.as_str()).map(|(name, _)| *name);
            let candidates: Vec<&str> = match named {
                Some(values) => values.iter().filter_map(known).collect(),
                None => by_namespace.keys().copied().collect(),
            };
            candidates.into_iter().filter(|name| namespaces.matches(selector, name)).collect()
        })
    }

    /// The groups that meet the condition of `selector` that the fewest do, by value, where labels tell.
    fn rarest<'s>(&'s self, selector: &'s Selector) -> Option<Vec<&'s Vec<u32>>> {
        let labelled = selector.requirements().filter_map(|requirement| match requirement {
            Requirement::In { key, values } => {
                let groups = values.iter().filter_map(|value| self.by_label.get(&(key.as_str(), value.as_str())));
                Some(groups.collect::<Vec<_>>())
            }
            _ => None,
        });
        labelled.min_by_key(|groups| groups.iter().map(|of| of.len()).sum::<usize>())
    }
}
