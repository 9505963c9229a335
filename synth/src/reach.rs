//! Who can reach whom: the evaluator's answers for a whole cluster at once, as sets.
//!
//! [`Classes`] are pods and addresses that no policy tells apart, [`Access`] is a function from classes to ports, and a
//! [`Row`] is what one class can reach. Rows are computed one at a time: together, those of a large cluster would not
//! fit. The course through the tiers is the evaluator's own.

mod access;
mod atoms;
mod classes;
mod compile;
mod grants;
mod index;
pub mod listing;
mod opened;
pub mod summary;
pub(crate) mod term;

use crate::cluster::Tier;
use crate::evaluate::Decision;
use crate::evaluate::course::{Algebra, Course, Outcome};
use crate::inventory::PodId;
use crate::policy::{Direction, PolicySet};
use crate::port::Protocol;
use crate::ports::PortSet;

pub use access::{Access, ClassSet};
pub use classes::Classes;
use compile::{Compiled, at, at_tier};
pub(crate) use grants::{Gone, Grants};

/// What one class can reach. What a pod can do to itself, and what its own node can do to it, is always allowed and not
/// in here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Row {
    /// For certain.
    pub allowed: Access,
    /// If a domain name stands for the address; disjoint from `allowed`.
    pub unknown: Access,
}

impl Row {
    /// What is here and not in `other`: allowed and not for certain there, or unknown here and denied there.
    pub fn beyond(&self, other: &Row) -> Row {
        let mut unknown = self.unknown.clone();
        unknown.subtract(&other.unknown);
        unknown.subtract(&other.allowed);
        let mut allowed = self.allowed.clone();
        allowed.subtract(&other.allowed);
        Row { allowed, unknown }
    }

    /// Whether nothing can be reached.
    pub fn is_empty(&self) -> bool {
        self.allowed.is_empty() && self.unknown.is_empty()
    }
}

/// Connectivity under one set of policies.
pub struct Reach<'a> {
    classes: &'a Classes<'a>,
    compiled: Compiled<'a>,
}

impl<'a> Reach<'a> {
    /// Connectivity under `set`, which has to be one of those that `classes` were made for.
    pub fn new(classes: &'a Classes<'a>, set: PolicySet<'a>) -> Reach<'a> {
        Reach { classes, compiled: Compiled::new(classes, set) }
    }

    /// The classes.
    pub fn classes(&self) -> &'a Classes<'a> {
        self.classes
    }

    /// Whether NetworkPolicies isolate the pods of a class.
    pub fn is_isolated(&self, class: u32, direction: Direction) -> bool {
        let isolated = &self.compiled.isolated[at(direction)];
        self.classes.classes[class as usize].ends.iter().any(|end| isolated.contains(*end))
    }

    /// What a class can reach.
    pub fn row(&self, class: u32) -> Row {
        let mut row = Row::default();
        for end in &self.classes.classes[class as usize].ends {
            let outcome = self.outcome(*end);
            row.allowed.unite(&self.classes.fold(outcome.allowed));
            row.unknown.unite(&self.classes.fold(outcome.unknown));
        }
        row.unknown.subtract(&row.allowed);
        row
    }

    /// What an end can reach.
    fn outcome(&self, client: u32) -> Outcome<Access> {
        let egress = self.egress(client);
        // What the servers say matters where the client's own side does not deny.
        let mut servers = egress.allowed.classes();
        servers.unite(&egress.unknown.classes());
        Outcome::both(egress, self.ingress(client, &servers))
    }

    /// Whether two sets of policies decide alike on the side of a direction.
    pub(crate) fn side_equals(&self, other: &Reach<'_>, direction: Direction) -> bool {
        self.classes.all.iter().all(|client| match direction {
            Direction::Egress => self.egress(client) == other.egress(client),
            Direction::Ingress => {
                let servers = self.classes.partners(client);
                self.ingress(client, &servers) == other.ingress(client, &servers)
            }
        })
    }

    /// The rules of a tier that ask about connections of a client.
    fn rules(&self, tier: Tier, direction: Direction, client: u32) -> impl Iterator<Item = &compile::Ordered> {
        self.compiled.tiers[at_tier(tier)].iter().filter(move |rule| {
            let end = if direction == Direction::Egress { &rule.subjects } else { &rule.peers };
            rule.direction == direction && end.contains(client)
        })
    }

    /// What the client's own side lets through.
    fn egress(&self, client: u32) -> Outcome<Access> {
        let Compiled { network, isolating, isolated, .. } = &self.compiled;
        let everything = Access::of(PortSet::everything(), self.classes.partners(client));
        let rules = |tier: Tier| self.rules(tier, Direction::Egress, client);
        let mut egress = Course::new(everything.clone());
        rules(Tier::Admin).for_each(|rule| egress.rule(rule.action, rule.certain, rule.servers.clone()));
        egress.tier_is_over();
        if isolated[at(Direction::Egress)].contains(client) {
            let mut granted = Access::none();
            let policies = &isolating[at(Direction::Egress)][client as usize];
            policies.iter().for_each(|policy| granted.unite(&network[*policy as usize].granted));
            egress.network_policies(&everything, &granted);
        }
        rules(Tier::Baseline).for_each(|rule| egress.rule(rule.action, rule.certain, rule.servers.clone()));
        egress.finish()
    }

    /// What the servers' side lets through of an end.
    fn ingress(&self, client: u32, servers: &ClassSet) -> Outcome<Access> {
        let Compiled { isolated, opened, .. } = &self.compiled;
        let everything = Access::of(PortSet::everything(), servers.clone());
        let rules = |tier: Tier| self.rules(tier, Direction::Ingress, client);
        let mut ingress = Course::new(everything.clone());
        rules(Tier::Admin).for_each(|rule| ingress.rule(rule.action, rule.certain, rule.servers.clone()));
        ingress.tier_is_over();
        let isolated = &isolated[at(Direction::Ingress)];
        ingress.network_policies(&everything.within(isolated), &opened.to(client, servers));
        rules(Tier::Baseline).for_each(|rule| ingress.rule(rule.action, rule.certain, rule.servers.clone()));
        ingress.finish()
    }

    /// Whether a pod may connect to a pod: [`crate::evaluate::Evaluator::verdict`] without the reasons.
    pub fn decision(&self, client: PodId, server: PodId, protocol: Protocol, port: u16) -> Decision {
        let classes = self.classes;
        let (from, to) = (classes.of_pod(client), classes.of_pod(server));
        let own_node = || {
            let (from, to) = (classes.inventory.pod(client), classes.inventory.pod(server));
            classes.options.is_node(from) && from.node.is_some() && from.node == to.node
        };
        // Classes are at hand, and the pods of a large cluster are not: they are looked at where it matters.
        if client == server || from.is_none_or(|from| classes.is_node(from)) && own_node() {
            return Decision::Allowed;
        }
        let (Some(from), Some(to)) = (from, to) else { return Decision::Denied };
        let ends = |class: u32| classes.classes[class as usize].ends.iter().copied();
        let pairs = ends(from).flat_map(|from| ends(to).map(move |to| (from, to)));
        let pairs = pairs.filter(|(from, to)| classes.are_partners(*from, *to));
        let decisions = pairs.map(|(from, to)| {
            let egress = self.side(Direction::Egress, from, to, to, protocol, port);
            if !(egress.allowed || egress.unknown) {
                return Decision::Denied;
            }
            let both = Outcome::both(egress, self.side(Direction::Ingress, to, from, to, protocol, port));
            match (both.allowed, both.unknown) {
                (true, _) => Decision::Allowed,
                (false, true) => Decision::Unknown,
                (false, false) => Decision::Denied,
            }
        });
        decisions.min().unwrap_or(Decision::Denied)
    }

    /// One side of one connection.
    fn side(
        &self,
        direction: Direction,
        subject: u32,
        peer: u32,
        server: u32,
        protocol: Protocol,
        port: u16,
    ) -> Outcome<bool> {
        let Compiled { network, rules, isolating, peers, ports, tiers, .. } = &self.compiled;
        let mut course = Course::new(true);
        let ask = |tier: Tier, course: &mut Course<bool>| {
            let asked = tiers[at_tier(tier)].iter().filter(|rule| {
                rule.direction == direction && rule.subjects.contains(subject) && rule.peers.contains(peer)
            });
            for rule in asked {
                // Only rules for all traffic cover a port that is not known.
                let matched = rule
                    .servers
                    .ports(server)
                    .is_some_and(|ports| ports.contains(protocol, port) || port == 0 && ports.is_everything());
                course.rule(rule.action, rule.certain, matched);
            }
        };
        ask(Tier::Admin, &mut course);
        course.tier_is_over();
        let policies = &isolating[at(direction)][subject as usize];
        if policies.is_empty() {
            ask(Tier::Baseline, &mut course);
        } else {
            let granting =
                policies.iter().flat_map(|policy| &rules[network[*policy as usize].rules[at(direction)].clone()]);
            let mut matching = granting.filter(|rule| {
                ports[rule.ports as usize].holds(server, protocol, port) && peers[rule.peers as usize].contains(peer)
            });
            course.network_policies(&true, &matching.next().is_some());
        }
        course.finish()
    }
}

#[cfg(test)]
mod tests;
