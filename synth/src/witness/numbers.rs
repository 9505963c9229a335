//! Numbers for named ports.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::ClusterPort;
use crate::policy::{PolicyPort, PolicySet, PortMatch};
use crate::port::PortRange;
use crate::ranges::Ranges;
use crate::reach::term::port_names;

/// A number for each named port: from 65535 down, in no range of a rule where that can be. Of numbers that the rules
/// treat alike one is always left, which then shows what happens to a port without a name.
pub(super) fn of(sets: &[PolicySet<'_>]) -> BTreeMap<String, u16> {
    let names: BTreeSet<&str> = sets.iter().flat_map(|set| port_names(*set)).collect();
    let mut used: Ranges<u16> = Ranges::default();
    // The first numbers of stretches that all rules treat alike.
    let mut first: BTreeSet<u16> = BTreeSet::from([1]);
    for range in sets.iter().flat_map(|set| ranges(*set)) {
        used.insert(range.from(), range.to());
        first.insert(range.from());
        first.extend(range.to().checked_add(1));
    }
    let (used, first) = (&used, &first);
    let free = |is_used: bool| {
        (1..=u16::MAX).rev().filter(move |port| used.contains(*port) == is_used && !first.contains(port))
    };
    names.into_iter().map(str::to_string).zip(free(false).chain(free(true))).collect()
}

/// The numbers and ranges of rules.
fn ranges<'a>(set: PolicySet<'a>) -> impl Iterator<Item = PortRange> + 'a {
    let rules = set.network.iter().flat_map(|policy| policy.ingress.iter().chain(&policy.egress).flatten());
    let network = rules.flat_map(|rule| rule.ports.listed());
    let rules = set.cluster.iter().flat_map(|policy| policy.ingress.iter().chain(&policy.egress));
    let cluster = rules.flat_map(|rule| rule.ports.listed()).filter_map(|port| match port {
        ClusterPort::Number(port) => Some(port),
        ClusterPort::Named(_) => None,
    });
    network.chain(cluster).filter_map(|port: &PolicyPort| match port.port {
        PortMatch::Range(range) => Some(range),
        PortMatch::Every | PortMatch::Named(_) => None,
    })
}
