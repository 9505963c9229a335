//! Which rules have to stay for what was observed: a smallest set of them, as far as a greedy choice finds it.

use std::collections::{BTreeMap, BTreeSet};

use super::uses::{Alternative, Uses};
use crate::part::{Part, Removed, Shape};

/// A part that no observed flow needs.
pub(super) struct Unneeded {
    pub(super) part: Part,
    /// The rules that allow what it was used for.
    pub(super) instead: BTreeSet<Part>,
}

/// Finds rules, then peers and ports of the others, that no flow needs, and removes them. Together they can go: of
/// several rules that allow the same flow, one stays.
pub(super) fn unneeded(
    rules: &[(Part, Shape)],
    uses: &Uses,
    size: impl Fn(Part) -> u128,
    spared: impl Fn(Part) -> bool,
    removed: &mut Removed,
) -> Vec<Unneeded> {
    let kept = cover(uses, size, removed);
    let mut found = Vec::new();
    for (rule, _) in rules.iter().filter(|(rule, shape)| shape.allows && !removed.contains(*rule)) {
        if !kept.contains(rule) {
            found.push(Unneeded { part: *rule, instead: BTreeSet::new() });
        }
    }
    found.iter().for_each(|unneeded| removed.insert(unneeded.part));
    let mut by_rule: BTreeMap<Part, Vec<&[Alternative]>> = BTreeMap::new();
    for need in &uses.needs {
        need.iter().for_each(|alternative| by_rule.entry(alternative.rule).or_default().push(need));
    }
    for (rule, shape) in rules.iter().filter(|(rule, _)| kept.contains(rule)) {
        let needs = by_rule.get(rule).map(Vec::as_slice).unwrap_or_default();
        let peers = (0..shape.peers).filter(|_| shape.peers > 1).map(|at| rule.with_peer(at));
        let ports = (0..shape.ports).filter(|_| shape.ports > 1).map(|at| rule.with_port(at));
        let mut parts: Vec<Part> = peers.chain(ports).filter(|part| !removed.contains(*part)).collect();
        // A resolver that cannot send a long answer over UDP is asked again over TCP (RFC 7766 §5): that it was not seen
        // does not make it unneeded.
        parts.retain(|part| !spared(*part));
        // The least used first, the last written first.
        parts.sort_by_key(|part| (uses.of(*part).hits, std::cmp::Reverse(*part)));
        for part in parts {
            removed.insert(part);
            if needs.iter().all(|need| need.iter().any(|alternative| alternative.is_left(removed))) {
                found.push(Unneeded { part, instead: BTreeSet::new() });
            } else {
                removed.restore(part);
            }
        }
    }
    for unneeded in &mut found {
        let used = |alternative: &&Alternative| {
            alternative.rule == unneeded.part.whole_rule()
                && unneeded.part.peer.is_none_or(|peer| alternative.peers.contains(&Some(peer)))
                && unneeded.part.port.is_none_or(|port| alternative.ports.contains(&Some(port)))
        };
        let needs = by_rule.get(&unneeded.part.whole_rule()).map(Vec::as_slice).unwrap_or_default();
        let of = needs.iter().filter(|need| need.iter().any(|alternative| used(&alternative)));
        let left = of
            .copied()
            .flatten()
            .filter(|alternative| alternative.is_left(removed))
            .map(|alternative| alternative.rule);
        unneeded.instead = left.collect();
    }
    found
}

/// Rules that together allow all flows: those without which one is denied, then always the one that allows the most of
/// what is left, the narrowest among equals.
fn cover(uses: &Uses, size: impl Fn(Part) -> u128, removed: &Removed) -> BTreeSet<Part> {
    let ways = |need: &Vec<Alternative>| -> BTreeSet<Part> {
        need.iter().filter(|alternative| alternative.is_left(removed)).map(|alternative| alternative.rule).collect()
    };
    let mut open: BTreeSet<BTreeSet<Part>> = uses.needs.iter().map(ways).filter(|ways| !ways.is_empty()).collect();
    let mut kept: BTreeSet<Part> =
        open.iter().filter(|ways| ways.len() == 1).flat_map(|ways| ways.first().copied()).collect();
    open.retain(|ways| ways.is_disjoint(&kept));
    while !open.is_empty() {
        let mut counts: BTreeMap<Part, usize> = BTreeMap::new();
        open.iter().flatten().for_each(|rule| *counts.entry(*rule).or_default() += 1);
        let best = counts
            .iter()
            .min_by_key(|(rule, count)| (std::cmp::Reverse(**count), size(**rule), **rule))
            .map(|(rule, _)| *rule);
        let Some(best) = best else { break };
        open.retain(|ways| !ways.contains(&best));
        kept.insert(best);
    }
    kept
}
