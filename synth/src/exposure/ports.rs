//! Ports of servers that may not exist yet: numbers, and names that nobody has given a number.

use std::collections::BTreeSet;
use std::fmt;

use crate::policy::{self, PolicyPort, PortMatch};
use crate::port::{ContainerPort, PortRange, Protocol};
use crate::ports::PortSet;

/// A set of ports, in one form only: a name is left out where every number of its protocol is in the set.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ports {
    numbers: PortSet,
    names: BTreeSet<(Protocol, String)>,
}

impl Ports {
    /// Every port of every protocol.
    pub fn everything() -> Ports {
        PortSet::everything().into()
    }

    /// These numbers and names.
    pub fn new(numbers: PortSet, names: BTreeSet<(Protocol, String)>) -> Ports {
        let mut ports = Ports { numbers, names };
        let numbers = &ports.numbers;
        ports.names.retain(|(protocol, _)| !is_full(numbers, *protocol));
        ports
    }

    /// The numbers.
    pub fn numbers(&self) -> &PortSet {
        &self.numbers
    }

    /// The names, of container ports of whichever server has them.
    pub fn names(&self) -> &BTreeSet<(Protocol, String)> {
        &self.names
    }

    /// What is in either set.
    pub fn union(&self, other: &Ports) -> Ports {
        Ports::new(self.numbers.union(&other.numbers), self.names.union(&other.names).cloned().collect())
    }

    /// Whether a server might have a port that is in both sets.
    pub fn may_overlap(&self, other: &Ports) -> bool {
        let named = |one: &Ports, other: &Ports| {
            one.names
                .iter()
                .any(|name| other.names.contains(name) || other.numbers.iter().any(|(protocol, _)| protocol == name.0))
        };
        !self.numbers.intersection(&other.numbers).is_empty() || named(self, other) || named(other, self)
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.names.is_empty()
    }

    /// The ports of a rule of a NetworkPolicy. `server` has the container ports by which names are numbers, where the
    /// server exists.
    pub(super) fn of_rule(ports: &policy::Ports, server: Option<&[ContainerPort]>) -> Ports {
        match ports {
            policy::Ports::All => Ports::everything(),
            policy::Ports::Any(list) => list.iter().map(|port| Ports::of_port(port, server)).collect(),
        }
    }

    /// The ports of one element of `ports`.
    pub(super) fn of_port(port: &PolicyPort, server: Option<&[ContainerPort]>) -> Ports {
        match &port.port {
            PortMatch::Every => PortSet::from_iter([(port.protocol, PortRange::ALL)]).into(),
            PortMatch::Range(range) => PortSet::from_iter([(port.protocol, *range)]).into(),
            PortMatch::Named(name) => Ports::of_name(Some(port.protocol), name, server),
        }
    }

    /// The ports of a name; of every protocol where none is given.
    pub(super) fn of_name(protocol: Option<Protocol>, name: &str, server: Option<&[ContainerPort]>) -> Ports {
        match server {
            Some(declared) => {
                let named = declared.iter().filter(|port| port.name.as_deref() == Some(name));
                let fitting = named.filter(|port| protocol.is_none_or(|protocol| protocol == port.protocol));
                let range = |port: &ContainerPort| {
                    Some((port.protocol, PortRange::single(std::num::NonZeroU16::new(port.number)?)))
                };
                fitting.filter_map(range).collect::<PortSet>().into()
            }
            None => {
                let protocols =
                    Protocol::ALL.into_iter().filter(|one| protocol.is_none_or(|protocol| protocol == *one));
                Ports::new(PortSet::empty(), protocols.map(|protocol| (protocol, name.to_string())).collect())
            }
        }
    }
}

fn is_full(numbers: &PortSet, protocol: Protocol) -> bool {
    numbers.iter().any(|range| range == (protocol, PortRange::ALL))
}

impl From<PortSet> for Ports {
    fn from(numbers: PortSet) -> Ports {
        Ports { numbers, names: BTreeSet::new() }
    }
}

impl FromIterator<Ports> for Ports {
    fn from_iter<I: IntoIterator<Item = Ports>>(sets: I) -> Ports {
        sets.into_iter().fold(Ports::default(), |all, set| all.union(&set))
    }
}

/// `80/TCP, http/TCP`; `none` and `all` for the two extremes.
impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.names.is_empty() || !self.numbers.is_empty() {
            write!(f, "{}", self.numbers)?;
        }
        for (count, (protocol, name)) in self.names.iter().enumerate() {
            let first = count == 0 && self.numbers.is_empty();
            write!(f, "{}{name}/{protocol}", if first { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// What of all ports is not decided yet.
#[derive(Debug, Clone)]
pub(super) struct Rest {
    numbers: PortSet,
    /// Names that are decided though their numbers, which nobody knows, are still in `numbers`.
    decided: BTreeSet<(Protocol, String)>,
}

impl Rest {
    pub(super) fn everything() -> Rest {
        Rest { numbers: PortSet::everything(), decided: BTreeSet::new() }
    }

    /// The part of `ports` that is undecided.
    pub(super) fn part(&self, ports: &Ports) -> Ports {
        let undecided = |name: &&(Protocol, String)| {
            !self.decided.contains(*name) && self.numbers.iter().any(|(protocol, _)| protocol == name.0)
        };
        let names = ports.names.iter().filter(undecided).cloned().collect();
        Ports { numbers: self.numbers.intersection(&ports.numbers), names }
    }

    /// Decides `ports`.
    pub(super) fn remove(&mut self, ports: &Ports) {
        self.numbers = self.numbers.difference(&ports.numbers);
        self.decided.extend(ports.names.iter().cloned());
    }

    /// Everything that is undecided.
    pub(super) fn all(&self) -> Ports {
        self.numbers.clone().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(numbers: &[(Protocol, u16, u16)], names: &[(Protocol, &str)]) -> Ports {
        let range = |from: u16, to: u16| PortRange::new(from.try_into().unwrap(), to.try_into().unwrap()).unwrap();
        Ports::new(
            numbers.iter().map(|&(protocol, from, to)| (protocol, range(from, to))).collect(),
            names.iter().map(|&(protocol, name)| (protocol, name.to_string())).collect(),
        )
    }

    #[test]
    fn a_name_counts_until_its_protocol_is_full() {
        use Protocol::{Tcp, Udp};
        let http = ports(&[(Tcp, 443, 443)], &[(Tcp, "http")]);
        assert_eq!(http.to_string(), "443/TCP, http/TCP");
        let tcp = ports(&[(Tcp, 1, 65535)], &[]);
        assert_eq!(http.union(&tcp), tcp);
        assert!(ports(&[], &[(Tcp, "http")]).may_overlap(&ports(&[(Tcp, 80, 80)], &[])));
        assert!(!ports(&[], &[(Tcp, "http")]).may_overlap(&ports(&[(Udp, 80, 80)], &[(Tcp, "https")])));
        assert_eq!(ports(&[], &[(Tcp, "http")]).to_string(), "http/TCP");
        assert_eq!((Ports::default().to_string(), Ports::everything().to_string()), ("none".into(), "all".into()));
    }

    #[test]
    fn names_are_numbers_where_the_server_is_known() {
        let declared = [
            ContainerPort { name: Some("web".into()), number: 80, protocol: Protocol::Tcp },
            ContainerPort { name: Some("web".into()), number: 81, protocol: Protocol::Udp },
        ];
        let of = |protocol, server| Ports::of_name(protocol, "web", server).to_string();
        assert_eq!(of(Some(Protocol::Tcp), Some(&declared)), "80/TCP");
        assert_eq!(of(None, Some(&declared)), "80/TCP, 81/UDP");
        assert_eq!(of(Some(Protocol::Sctp), Some(&declared)), "none");
        assert_eq!(of(Some(Protocol::Udp), None), "web/UDP");
    }
}
