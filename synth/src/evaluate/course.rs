//! The order in which policies are asked, for single ports and for sets alike.
//!
//! Admin tier, NetworkPolicies, Baseline tier, default: in each direction a connection takes this course on its own.

use crate::cluster::Action;
use crate::ports::PortSet;

/// What a course can be run for: whether one connection is allowed, which ports are, which ports of which servers are.
pub(crate) trait Algebra: Clone {
    /// Adds what is in `other`.
    fn unite(&mut self, other: &Self);
    /// Leaves what is in `other` too.
    fn intersect(&mut self, other: &Self);
    /// Takes away what is in `other`.
    fn subtract(&mut self, other: &Self);
    /// Whether nothing is left.
    fn is_nothing(&self) -> bool;
    /// Whether it is known to be all there is; a set that cannot tell says no.
    fn is_everything(&self) -> bool;
    /// The empty value of this kind.
    fn nothing(&self) -> Self {
        let mut nothing = self.clone();
        nothing.subtract(self);
        nothing
    }
}

impl Algebra for bool {
    fn unite(&mut self, other: &bool) {
        *self |= other;
    }

    fn intersect(&mut self, other: &bool) {
        *self &= other;
    }

    fn subtract(&mut self, other: &bool) {
        *self &= !other;
    }

    fn is_nothing(&self) -> bool {
        !self
    }

    fn is_everything(&self) -> bool {
        *self
    }
}

impl Algebra for PortSet {
    fn unite(&mut self, other: &PortSet) {
        *self = self.union(other);
    }

    fn intersect(&mut self, other: &PortSet) {
        *self = self.intersection(other);
    }

    fn subtract(&mut self, other: &PortSet) {
        *self = self.difference(other);
    }

    fn is_nothing(&self) -> bool {
        self.is_empty()
    }

    fn is_everything(&self) -> bool {
        PortSet::is_everything(self)
    }
}

/// What the policies let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome<A> {
    /// Allowed for certain.
    pub(crate) allowed: A,
    /// Allowed if a domain name stands for the address, denied if it does not; disjoint from `allowed`.
    pub(crate) unknown: A,
}

impl<A: Algebra> Outcome<A> {
    /// Both directions together: allowed where both allow, unknown where neither denies and one is unknown.
    pub(crate) fn both(egress: Outcome<A>, ingress: Outcome<A>) -> Outcome<A> {
        let mut allowed = egress.allowed.clone();
        allowed.intersect(&ingress.allowed);
        let (mut unknown, mut other) = (egress.unknown, ingress.unknown);
        if !(unknown.is_nothing() && other.is_nothing()) {
            unknown.unite(&egress.allowed);
            other.unite(&ingress.allowed);
            unknown.intersect(&other);
            unknown.subtract(&allowed);
        }
        Outcome { allowed, unknown }
    }
}

/// One direction on its way through the tiers.
#[derive(Debug, Clone)]
pub(crate) struct Course<A> {
    /// Not decided yet.
    rest: A,
    /// Sent on to the next tier.
    passed: A,
    allowed: A,
    /// Matched by a rule of which only the network plugin knows whether it matches.
    maybe: A,
}

impl<A: Algebra> Course<A> {
    /// The start: `everything` is undecided.
    pub(crate) fn new(everything: A) -> Course<A> {
        let nothing = everything.nothing();
        Course { rest: everything, passed: nothing.clone(), allowed: nothing.clone(), maybe: nothing }
    }

    /// Whether rules of the same tier can still decide anything.
    pub(crate) fn is_decided(&self) -> bool {
        self.rest.is_nothing()
    }

    /// The next rule of a tier matches `matched`, or may match it.
    pub(crate) fn rule(&mut self, action: Action, certain: bool, mut matched: A) {
        matched.intersect(&self.rest);
        if !certain {
            self.maybe.unite(&matched);
            return;
        }
        match action {
            Action::Accept => self.allowed.unite(&matched),
            Action::Pass => self.passed.unite(&matched),
            Action::Deny => {}
        }
        self.rest.subtract(&matched);
    }

    /// The tier is over: what it did not decide, or passed on, comes to the next one.
    pub(crate) fn tier_is_over(&mut self) {
        self.rest.unite(&self.passed);
        self.passed.subtract(&self.rest);
    }

    /// What is `isolated` is decided by the NetworkPolicies, which allow `granted`.
    pub(crate) fn network_policies(&mut self, isolated: &A, granted: &A) {
        let mut allowed = self.rest.clone();
        allowed.intersect(isolated);
        allowed.intersect(granted);
        self.allowed.unite(&allowed);
        self.rest.subtract(isolated);
    }

    /// "If no policy decides, the traffic is allowed."
    pub(crate) fn finish(mut self) -> Outcome<A> {
        self.tier_is_over();
        self.allowed.unite(&self.rest);
        self.maybe.subtract(&self.allowed);
        Outcome { allowed: self.allowed, unknown: self.maybe }
    }
}
