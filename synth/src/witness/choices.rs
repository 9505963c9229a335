//! Labels that selectors can tell apart.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::label::{Labels, Requirement, Selector};

/// Pairs of selectors that are tried where not every combination is.
const PAIRS: usize = 100_000;

/// A set of selectors, by index: one bit each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Answers(Vec<u64>);

impl Answers {
    fn of(count: usize, holds: impl Fn(usize) -> bool) -> Answers {
        let mut words = vec![0; count.div_ceil(64)];
        (0..count).filter(|at| holds(*at)).for_each(|at| words[at / 64] |= 1 << (at % 64));
        Answers(words)
    }

    fn has(&self, at: usize) -> bool {
        self.0[at / 64] >> (at % 64) & 1 == 1
    }

    fn without(&mut self, at: usize) {
        self.0[at / 64] &= !(1 << (at % 64));
    }

    fn both(&self, other: &Answers) -> Answers {
        Answers(self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect())
    }
}

/// One way to have, or not to have, a label.
struct Choice {
    /// `None` where the key is absent.
    value: Option<String>,
    /// The selectors that this choice does not rule out.
    holds: Answers,
}

/// Which of a key's choices is taken, by key; 0 is always "absent".
type Picked = Vec<usize>;

/// For each key that some selectors ask about, the choices that make a difference to them.
pub(super) struct Choices<'a> {
    selectors: usize,
    /// The keys that most selectors ask about come first: they leave the fewest combinations for the rest.
    keys: Vec<(&'a str, Vec<Choice>)>,
}

impl<'a> Choices<'a> {
    /// What `selectors` can tell apart. Where there is not room for all of it, the first ones count most.
    pub(super) fn new(selectors: &[&'a Selector]) -> Choices<'a> {
        let mut asked: BTreeMap<&'a str, Vec<(usize, &'a Requirement)>> = BTreeMap::new();
        for (at, selector) in selectors.iter().enumerate() {
            selector.requirements().for_each(|it| asked.entry(it.key()).or_default().push((at, it)));
        }
        let mut asked: Vec<_> = asked.into_iter().collect();
        asked.sort_by_key(|(key, requirements)| (std::cmp::Reverse(requirements.len()), *key));
        let keys = asked.into_iter().map(|(key, requirements)| (key, choices(selectors.len(), &requirements)));
        Choices { selectors: selectors.len(), keys: keys.collect() }
    }

    /// Labels for everything that the selectors can tell apart, and whether that is all: where it would be more than
    /// `limit`, labels that each selector matches, or matches but for one key, or that two of them match. Labels that
    /// the same selectors match are there once, the fewest of them; no labels at all are always there.
    pub(super) fn labels(&self, limit: usize) -> (Vec<Labels>, bool) {
        let (found, all) = match self.all(limit) {
            Some(found) => (found, true),
            None => (self.some(limit), false),
        };
        let labels = |picked: &Picked| -> Labels {
            let chosen = self.keys.iter().zip(picked);
            chosen.filter_map(|((key, of), at)| Some((key.to_string(), of[*at].value.clone()?))).collect()
        };
        (found.values().map(labels).collect(), all)
    }

    /// How many selectors there are.
    pub(super) fn selectors(&self) -> usize {
        self.selectors
    }

    /// Every combination, key by key; combinations that the same selectors can still match are one from there on.
    fn all(&self, limit: usize) -> Option<BTreeMap<Answers, Picked>> {
        let mut found = BTreeMap::from([(Answers::of(self.selectors, |_| true), Picked::new())]);
        let labels = |picked: &Picked| picked.iter().filter(|at| **at > 0).count();
        for (_, choices) in &self.keys {
            let mut next: BTreeMap<Answers, Picked> = BTreeMap::new();
            for (answers, picked) in &found {
                for (at, choice) in choices.iter().enumerate() {
                    let picked: Picked = picked.iter().copied().chain([at]).collect();
                    match next.entry(answers.both(&choice.holds)) {
                        Entry::Vacant(entry) => _ = entry.insert(picked),
                        Entry::Occupied(mut entry) => {
                            let known = entry.get();
                            if (labels(&picked), &picked) < (labels(known), known) {
                                entry.insert(picked);
                            }
                        }
                    }
                }
                if next.len() > limit {
                    return None;
                }
            }
            found = next;
        }
        Some(found)
    }

    /// Up to `limit` combinations, those first without which a selector would have no part in it.
    fn some(&self, limit: usize) -> BTreeMap<Answers, Picked> {
        let mut found = BTreeMap::new();
        let selectors = 0..self.selectors;
        let nothing = std::iter::once_with(|| self.pick(|_, _| true));
        let each = selectors.clone().map(|at| self.pick(|_, choice| choice.holds.has(at)));
        let but_one = selectors.clone().flat_map(|at| {
            (0..self.keys.len()).map(move |but| self.pick(|key, choice| choice.holds.has(at) != (key == but)))
        });
        let pairs = selectors.clone().flat_map(|a| (a + 1..self.selectors).map(move |b| (a, b))).take(PAIRS);
        let pairs = pairs.map(|(a, b)| self.pick(|_, choice| choice.holds.has(a) && choice.holds.has(b)));
        for picked in nothing.chain(each).chain(but_one).chain(pairs).flatten() {
            if found.len() >= limit {
                break;
            }
            let everything = Answers::of(self.selectors, |_| true);
            let chosen = self.keys.iter().zip(&picked).map(|((_, choices), at)| &choices[*at].holds);
            let answers = chosen.fold(everything, |answers, holds| answers.both(holds));
            found.entry(answers).or_insert(picked);
        }
        found
    }

    /// The first choice of each key that fits, where every key has one.
    fn pick(&self, fits: impl Fn(usize, &Choice) -> bool) -> Option<Picked> {
        let keys = self.keys.iter().enumerate();
        keys.map(|(key, (_, choices))| choices.iter().position(|choice| fits(key, choice))).collect()
    }
}

/// The choices of one key: absent, the values that are listed, and one that is not. Of those that no selector tells
/// apart the first stands for all.
fn choices(selectors: usize, requirements: &[(usize, &Requirement)]) -> Vec<Choice> {
    let listed: BTreeSet<&str> = requirements.iter().flat_map(|(_, requirement)| values(requirement)).collect();
    // Real values have no parentheses, but what a server holds already may break that rule.
    let mut other = "(other)".to_string();
    while listed.contains(other.as_str()) {
        other = format!("({other})");
    }
    let mut known = BTreeSet::new();
    let candidates = std::iter::once(None).chain(listed.into_iter().map(Some)).chain([Some(other.as_str())]);
    let choices = candidates.map(|value| {
        let mut holds = Answers::of(selectors, |_| true);
        let failed = requirements.iter().filter(|(_, requirement)| !requirement.holds_for(value));
        failed.for_each(|(at, _)| holds.without(*at));
        Choice { value: value.map(str::to_string), holds }
    });
    choices.filter(|choice| known.insert(choice.holds.clone())).collect()
}

/// The values that a requirement lists.
pub(super) fn values(requirement: &Requirement) -> impl Iterator<Item = &str> {
    let values = match requirement {
        Requirement::In { values, .. } | Requirement::NotIn { values, .. } => Some(values),
        Requirement::Exists { .. } | Requirement::Absent { .. } => None,
    };
    values.into_iter().flatten().map(String::as_str)
}
