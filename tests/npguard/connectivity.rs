//! Who can reach whom on which ports: between workloads, and between a workload and addresses outside.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use synth::addresses::AddressSet;
use synth::endpoint::Workload;
use synth::policy::Direction;
use synth::port::{PortRange, Protocol};
use synth::ports::PortSet;

/// One end of a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    Workload(Workload),
    Outside(AddressSet),
}

/// Rows in one form: addresses that a workload may reach, or be reached from, by what they are allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connectivity {
    pairs: BTreeMap<(Workload, Workload), PortSet>,
    outside: BTreeMap<(Workload, Direction), BTreeMap<PortSet, AddressSet>>,
}

impl Connectivity {
    /// Adds a row. What a workload may do to itself is not compared, nor is IPv6, of which the analyzer knows nothing.
    pub fn add(&mut self, client: &End, server: &End, ports: &PortSet) {
        let v4 = AddressSet::of("0.0.0.0/0".parse().unwrap());
        let mut outside = |workload: &Workload, direction: Direction, addresses: &AddressSet| {
            let addresses = addresses.intersection(&v4);
            if !addresses.is_empty() {
                let sets = self.outside.entry((workload.clone(), direction)).or_default();
                let set = sets.entry(ports.clone()).or_default();
                *set = set.union(&addresses);
            }
        };
        match (client, server) {
            _ if ports.is_empty() => {}
            (End::Workload(client), End::Workload(server)) if client == server => {}
            (End::Workload(client), End::Workload(server)) => {
                let known = self.pairs.entry((client.clone(), server.clone())).or_default();
                *known = known.union(ports);
            }
            (End::Workload(client), End::Outside(addresses)) => outside(client, Direction::Egress, addresses),
            (End::Outside(addresses), End::Workload(server)) => outside(server, Direction::Ingress, addresses),
            (End::Outside(_), End::Outside(_)) => {}
        }
    }

    /// How many rows there are.
    pub fn count(&self) -> usize {
        self.pairs.len() + self.outside.values().map(BTreeMap::len).sum::<usize>()
    }

    /// Where ours differ from these, in words.
    pub fn differences(&self, ours: &Connectivity) -> Vec<String> {
        let mut differing = Vec::new();
        let pairs: BTreeSet<_> = self.pairs.keys().chain(ours.pairs.keys()).collect();
        for pair in pairs {
            let of = |side: &Connectivity| side.pairs.get(pair).cloned().unwrap_or_default();
            let (theirs, ours) = (of(self), of(ours));
            if theirs != ours {
                differing.push(format!("{} -> {}: theirs {theirs}, ours {ours}", pair.0, pair.1));
            }
        }
        let ends: BTreeSet<_> = self.outside.keys().chain(ours.outside.keys()).collect();
        for end in ends {
            let of = |side: &Connectivity| side.outside.get(end).cloned().unwrap_or_default();
            let (theirs, ours) = (of(self), of(ours));
            if theirs != ours {
                let text = |sets: &BTreeMap<PortSet, AddressSet>| {
                    let sets: Vec<String> = sets.iter().map(|(ports, set)| format!("{ports} of {set}")).collect();
                    sets.join("; ")
                };
                differing.push(format!("{} {} outside: theirs {}, ours {}", end.0, end.1, text(&theirs), text(&ours)));
            }
        }
        differing
    }
}

/// A row of the program: `{"client": ..., "server": ..., "allowed": [...]}`.
pub fn add_row(connectivity: &mut Connectivity, row: &Value) {
    let ports: PortSet = row["allowed"].as_array().unwrap().iter().map(range).collect();
    connectivity.add(&end(&row["client"]), &end(&row["server"]), &ports);
}

fn end(value: &Value) -> End {
    if let Some(cidr) = value["cidr"].as_str() {
        return End::Outside(AddressSet::of(cidr.parse().unwrap()));
    }
    let mut parts = value.as_str().unwrap().splitn(3, '/').map(str::to_string);
    let mut next = || parts.next().unwrap();
    End::Workload(Workload { namespace: next(), kind: next(), name: next() })
}

fn range(value: &Value) -> (Protocol, PortRange) {
    let port = |key: &str| u16::try_from(value[key].as_u64().unwrap()).unwrap().try_into().unwrap();
    let protocol = Protocol::from_name(value["protocol"].as_str().unwrap()).unwrap();
    (protocol, PortRange::new(port("from"), port("to")).unwrap())
}

#[test]
fn rows_of_the_program_are_understood() {
    let mut ours = Connectivity::default();
    for row in [
        r#"{"client": "a/Pod/x", "server": "a/Pod/y", "allowed": [{"protocol": "TCP", "from": 80, "to": 81}]}"#,
        r#"{"client": "a/Pod/x", "server": "a/Pod/x", "allowed": [{"protocol": "TCP", "from": 80, "to": 81}]}"#,
        r#"{"client": {"cidr": "10.0.0.0/9"}, "server": "a/Pod/x", "allowed": [{"protocol": "UDP", "from": 53, "to": 53}]}"#,
        r#"{"client": {"cidr": "10.128.0.0/9"}, "server": "a/Pod/x", "allowed": [{"protocol": "UDP", "from": 53, "to": 53}]}"#,
        r#"{"client": {"cidr": "::/0"}, "server": "a/Pod/x", "allowed": [{"protocol": "UDP", "from": 53, "to": 53}]}"#,
    ] {
        add_row(&mut ours, &serde_json::from_str(row).unwrap());
    }
    assert_eq!(
        Connectivity::default().differences(&ours),
        [
            "a/Pod/x -> a/Pod/y: theirs none, ours 80-81/TCP",
            "a/Pod/x ingress outside: theirs , ours 53/UDP of 10.0.0.0/8",
        ]
    );
    assert_eq!(ours.count(), 2);
}
