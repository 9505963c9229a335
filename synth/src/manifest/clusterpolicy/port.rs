//! Elements of `protocols` (v1alpha2) and `ports` (v1alpha1).

use std::num::NonZeroU16;
use std::ops::RangeInclusive;

use super::Decoder;
use crate::cluster::{ClusterKind, ClusterPort};
use crate::manifest::field::{Field, Fields, protocol};
use crate::manifest::schema::{exactly_one, integer, required};
use crate::policy::{PolicyPort, PortMatch};
use crate::port::{PortRange, Protocol};

/// The numbers that ports may have.
const NUMBERS: RangeInclusive<i32> = 1..=65535;

impl Decoder {
    /// `None` only if there is a problem.
    pub(super) fn port(&mut self, field: Field) -> Option<ClusterPort> {
        match self.dialect.kind {
            ClusterKind::ClusterNetworkPolicy => self.element_of_protocols(field),
            _ => self.element_of_ports(field),
        }
    }

    fn element_of_protocols(&mut self, field: Field) -> Option<ClusterPort> {
        let (name, field) = exactly_one(field, &["tcp", "udp", "sctp", "destinationNamedPort"], &mut self.problems)?;
        let protocol = match name {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => return self.named(&field),
        };
        let (_, port) = exactly_one(field, &["destinationPort"], &mut self.problems)?;
        let (name, field) = exactly_one(port, &["number", "range"], &mut self.problems)?;
        if name == "number" {
            let number = integer(&field, NUMBERS, &mut self.problems)?;
            return numbers(protocol, number, number);
        }
        let fields = field.fields(&["start", "end"], &mut self.problems);
        let (start, end) = (self.number(&fields, "start"), self.number(&fields, "end"));
        let (start, end) = (start?, end?);
        if start >= end {
            self.problems.invalid(fields.at(), "object", &["Start port must be less than End port".to_string()]);
        }
        numbers(protocol, start, end)
    }

    fn element_of_ports(&mut self, field: Field) -> Option<ClusterPort> {
        let (name, field) = exactly_one(field, &["portNumber", "portRange", "namedPort"], &mut self.problems)?;
        if name == "namedPort" {
            return self.named(&field);
        }
        let [first, last] = if name == "portNumber" { ["port", "port"] } else { ["start", "end"] };
        let fields = field.fields(&["protocol", first, last], &mut self.problems);
        let protocol = match fields.get("protocol") {
            // "If not specified, this field defaults to TCP."
            None => Some(Protocol::Tcp),
            Some(field) => protocol(&field, &mut self.problems),
        };
        let start = self.number(&fields, first);
        let end = if last == first { start } else { self.number(&fields, last) };
        let (start, end) = (start?, end?);
        // "The End value must be greater than Start." No schema says so; a range of one port has a meaning, others have
        // none.
        if start > end {
            self.problems.invalid(fields.at(), "object", &["Start port must be less than End port".to_string()]);
        }
        numbers(protocol?, start, end)
    }

    fn number(&mut self, fields: &Fields, name: &str) -> Option<i32> {
        let field = required(fields, name, &mut self.problems)?;
        integer(&field, NUMBERS, &mut self.problems)
    }

    /// No schema restricts the name; one that no container port can have matches none.
    fn named(&mut self, field: &Field) -> Option<ClusterPort> {
        let name = field.string(&mut self.problems)?;
        // To Go's decoder empty text is as if absent.
        if name.is_empty() {
            self.problems.at(field, "Required value");
        }
        Some(ClusterPort::Named(name.to_string()))
    }
}

fn numbers(protocol: Protocol, from: i32, to: i32) -> Option<ClusterPort> {
    let bound = |number: i32| u16::try_from(number).ok().and_then(NonZeroU16::new);
    let range = PortRange::new(bound(from)?, bound(to)?)?;
    Some(ClusterPort::Number(PolicyPort { protocol, port: PortMatch::Range(range) }))
}
