//! What a pod that does not exist yet could reach, and be reached from: rows for people and objects for programs.

use std::io::{self, Write};

use serde::Serialize;
use synth::exposure::{ClusterRuleId, Exposure, Ports, Scope, Who};
use synth::inventory::Inventory;
use synth::policy::{Direction, PolicySet};
use synth::port::Protocol;

use crate::ports::{Range, ranges};
use crate::table;

/// Writes one row for each entry, and below them the workloads that no NetworkPolicy protects.
pub(crate) fn table(
    out: &mut impl Write,
    exposures: &[Exposure],
    policies: PolicySet,
    inventory: &Inventory,
) -> io::Result<()> {
    let mut rows = Vec::new();
    for exposure in exposures {
        for direction in Direction::ALL {
            let side = exposure.side(direction);
            let row = |peer: String, ports: String| [name(exposure, inventory), direction.to_string(), peer, ports];
            for entry in &side.entries {
                let rules: Vec<String> = entry.narrowed.iter().map(|id| rule(*id, direction, policies)).collect();
                let less =
                    if rules.is_empty() { String::new() } else { format!(" (less for some: {})", rules.join(", ")) };
                rows.push(row(entry.who.to_string(), format!("{}{less}", entry.ports)));
            }
            let unknown = side.unknown.iter().map(|id| rule(*id, direction, policies));
            rows.extend(unknown.map(|rule| row(format!("domain names ({rule})"), "unknown".to_string())));
        }
    }
    table::write(out, ["WORKLOAD", "DIRECTION", "PEER", "ALLOWED"], &rows)?;
    let unprotected: Vec<[String; 2]> = exposures
        .iter()
        .map(|exposure| (exposure, exposure.unprotected().map(Direction::name).collect::<Vec<_>>().join(", ")))
        .filter(|(_, directions)| !directions.is_empty())
        .map(|(exposure, directions)| [name(exposure, inventory), directions])
        .collect();
    if !unprotected.is_empty() {
        writeln!(out)?;
        table::write(out, ["NOT PROTECTED", "DIRECTION"], &unprotected)?;
    }
    Ok(())
}

/// The workload, and its pods where others of the same workload are exposed otherwise.
fn name(exposure: &Exposure, inventory: &Inventory) -> String {
    if exposure.whole {
        return exposure.workload.to_string();
    }
    format!("{} ({})", exposure.workload, pods(exposure, inventory).join(", "))
}

fn pods<'a>(exposure: &Exposure, inventory: &'a Inventory) -> Vec<&'a str> {
    exposure.pods.iter().map(|id| inventory.pod(*id).name.as_str()).collect()
}

fn rule(id: ClusterRuleId, direction: Direction, policies: PolicySet) -> String {
    let policy = policies.cluster.get(id.policy).map(|policy| policy.id()).unwrap_or_default();
    format!("{policy} {direction} rule {}", id.rule)
}

/// Writes one object a line: the entries, and the directions in which no NetworkPolicy protects the pods.
pub(crate) fn json(
    out: &mut impl Write,
    exposures: &[Exposure],
    policies: PolicySet,
    inventory: &Inventory,
) -> io::Result<()> {
    for exposure in exposures {
        let workload = exposure.workload.to_string();
        let some = if exposure.whole { Vec::new() } else { pods(exposure, inventory) };
        for direction in Direction::ALL {
            for entry in &exposure.side(direction).entries {
                for peer in Peer::of(&entry.who) {
                    let narrowed = entry.narrowed.iter().map(|id| rule(*id, direction, policies)).collect();
                    let allowed = Allowed::of(&entry.ports);
                    let row =
                        Row { workload: &workload, pods: &some, direction: direction.name(), peer, allowed, narrowed };
                    line(out, &row)?;
                }
            }
            for id in &exposure.side(direction).unknown {
                let peer = Peer::DomainNames { unknown: rule(*id, direction, policies) };
                let row = Row {
                    workload: &workload,
                    pods: &some,
                    direction: direction.name(),
                    peer,
                    allowed: Vec::new(),
                    narrowed: Vec::new(),
                };
                line(out, &row)?;
            }
        }
        let unprotected: Vec<&str> = exposure.unprotected().map(Direction::name).collect();
        if !unprotected.is_empty() {
            line(out, &Unprotected { workload: &workload, pods: &some, unprotected })?;
        }
    }
    Ok(())
}

fn line(out: &mut impl Write, row: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, row)?;
    writeln!(out)
}

/// What a description of peers is allowed.
#[derive(Debug, Serialize)]
struct Row<'a> {
    workload: &'a str,
    /// Only where the workload's pods differ.
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    pods: &'a [&'a str],
    direction: &'static str,
    peer: Peer,
    allowed: Vec<Allowed>,
    /// Rules that take some of it from some of the peers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    narrowed: Vec<String>,
}

/// A workload that is open.
#[derive(Debug, Serialize)]
struct Unprotected<'a> {
    workload: &'a str,
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    pods: &'a [&'a str],
    unprotected: Vec<&'static str>,
}

/// A description of peers. Selectors are in the form of `kubectl -l`, empty for everything.
#[derive(Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Peer {
    EntireCluster(&'static str),
    InNamespace { namespace: String, pod_selector: String },
    Selected { namespace_selector: String, pod_selector: String },
    Address { cidr: String },
    DomainNames { unknown: String },
}

impl Peer {
    fn of(who: &Who) -> Vec<Peer> {
        let text = |selector: &synth::label::Selector| match selector.is_everything() {
            true => String::new(),
            false => selector.to_string(),
        };
        match who {
            Who::EntireCluster => vec![Peer::EntireCluster("entire-cluster")],
            Who::Selected { namespaces: Scope::Named(name), pods } => {
                vec![Peer::InNamespace { namespace: name.clone(), pod_selector: text(pods) }]
            }
            Who::Selected { namespaces, pods } => {
                vec![Peer::Selected { namespace_selector: text(&namespaces.selector()), pod_selector: text(pods) }]
            }
            Who::External(addresses) => {
                addresses.cidrs().map(|cidr| Peer::Address { cidr: cidr.to_string() }).collect()
            }
        }
    }
}

/// A range of ports, or a port that the server names.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Allowed {
    Range(Range),
    Name { protocol: &'static str, name: String },
}

impl Allowed {
    fn of(ports: &Ports) -> Vec<Allowed> {
        let name =
            |(protocol, name): &(Protocol, String)| Allowed::Name { protocol: protocol.name(), name: name.clone() };
        ranges(ports.numbers()).into_iter().map(Allowed::Range).chain(ports.names().iter().map(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use synth::evaluate::Options;
    use synth::exposure::analyse;
    use synth::inventory;
    use synth::manifest::Objects;

    use super::*;

    const OBJECTS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: shop, labels: {app: api}}
spec: {containers: [{name: api}]}
status: {podIP: 10.0.0.1}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: api, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
  - to:
    - podSelector: {matchLabels: {app: db}}
    ports: [{port: 5432}, {port: sql}]
  - to: [{namespaceSelector: {matchLabels: {team: a}}}]
  - to: [{ipBlock: {cidr: 192.0.2.0/24}}]
    ports: [{protocol: UDP, port: 53}]
";

    fn written(write: impl FnOnce(&mut Vec<u8>, &[Exposure], PolicySet, &Inventory) -> io::Result<()>) -> String {
        let mut objects = Objects::default();
        objects.load("objects.yaml", OBJECTS);
        let inventory = Inventory::build(&objects, &inventory::Options::default());
        let exposures = analyse(inventory.policy_set(), &inventory, Options::default());
        let mut out = Vec::new();
        write(&mut out, &exposures, inventory.policy_set(), &inventory).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rows_for_people() {
        let expected = "\
WORKLOAD      DIRECTION  PEER                            ALLOWED
shop/Pod/api  ingress    every pod                       all
shop/Pod/api  ingress    0.0.0.0/0, ::/0                 all
shop/Pod/api  egress     pods app=db in shop             5432/TCP, sql/TCP
shop/Pod/api  egress     every pod in namespaces team=a  all
shop/Pod/api  egress     192.0.2.0/24                    53/UDP

NOT PROTECTED  DIRECTION
shop/Pod/api   ingress
";
        assert_eq!(written(table), expected);
    }

    #[test]
    fn objects_for_programs() {
        let found = written(json);
        let lines: Vec<&str> = found.lines().collect();
        let every = r#"[{"protocol":"TCP","from":1,"to":65535},{"protocol":"UDP","from":1,"to":65535},{"protocol":"SCTP","from":1,"to":65535}]"#;
        let row = |direction: &str, peer: &str, allowed: &str| {
            format!(r#"{{"workload":"shop/Pod/api","direction":"{direction}","peer":{peer},"allowed":{allowed}}}"#)
        };
        let expected = [
            row("ingress", r#""entire-cluster""#, every),
            row("ingress", r#"{"cidr":"0.0.0.0/0"}"#, every),
            row("ingress", r#"{"cidr":"::/0"}"#, every),
            row(
                "egress",
                r#"{"namespace":"shop","podSelector":"app=db"}"#,
                r#"[{"protocol":"TCP","from":5432,"to":5432},{"protocol":"TCP","name":"sql"}]"#,
            ),
            row("egress", r#"{"namespaceSelector":"team=a","podSelector":""}"#, every),
            row("egress", r#"{"cidr":"192.0.2.0/24"}"#, r#"[{"protocol":"UDP","from":53,"to":53}]"#),
            r#"{"workload":"shop/Pod/api","unprotected":["ingress"]}"#.to_string(),
        ];
        assert_eq!(lines, expected);
    }
}
