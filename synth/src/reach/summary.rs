//! A cluster's connectivity in a few numbers.

use super::Reach;
use crate::policy::Direction;

/// Numbers of pods and of ordered pairs of them. What the pods of a node let the node do is not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Pods.
    pub pods: u64,
    /// Kinds of pods that policies tell apart.
    pub classes: u64,
    /// Pods that some NetworkPolicy isolates for ingress.
    pub isolated_ingress: u64,
    /// The same for egress.
    pub isolated_egress: u64,
    /// Ordered pairs of different pods.
    pub pairs: u64,
    /// Pairs that may connect on some port.
    pub allowed: u64,
    /// Pairs that may connect on every port.
    pub open: u64,
    /// Pairs of which only the network plugin knows.
    pub unknown: u64,
    /// Pods that some address outside may connect to.
    pub from_outside: u64,
    /// Pods that may connect to some address outside.
    pub to_outside: u64,
}

impl Summary {
    /// Counts. The rows of all classes are computed, one after the other.
    pub fn of(reach: &Reach<'_>) -> Summary {
        let classes = reach.classes();
        let size = |class: u32| classes.pods(class).len() as u64;
        let all = 0..classes.len() as u32;
        let of_pods = || all.clone().filter(|class| !classes.outside().contains(*class));
        let isolated = |direction| of_pods().filter(|class| reach.is_isolated(*class, direction)).map(size).sum();
        let pods: u64 = of_pods().map(size).sum();
        let mut summary = Summary {
            pods,
            classes: of_pods().count() as u64,
            isolated_ingress: isolated(Direction::Ingress),
            isolated_egress: isolated(Direction::Egress),
            pairs: pods * pods.saturating_sub(1),
            ..Summary::default()
        };
        let mut entered = super::ClassSet::default();
        for class in all.clone() {
            let row = reach.row(class);
            if classes.outside().contains(class) {
                entered.unite(&row.allowed.classes());
                continue;
            }
            let pairs = |servers: &super::ClassSet| -> u64 {
                let others = |server: u32| size(server) - u64::from(server == class);
                servers.iter().map(others).sum::<u64>() * size(class)
            };
            for (ports, servers) in row.allowed.cells() {
                let count = pairs(servers);
                summary.allowed += count;
                if ports.is_everything() {
                    summary.open += count;
                }
            }
            let allowed = row.allowed.classes();
            summary.unknown += pairs(&row.unknown.classes().difference(&allowed).difference(classes.outside()));
            if allowed.iter().any(|server| classes.outside().contains(server)) {
                summary.to_outside += size(class);
            }
        }
        summary.from_outside = entered.iter().map(size).sum();
        summary
    }
}
