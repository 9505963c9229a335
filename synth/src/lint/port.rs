//! `named-port` and `service-port`: ports that no pod concerned listens on.

use std::collections::BTreeSet;

use super::{Context, Findings, Id, listed, port_line, rules, suggest};
use crate::inventory::ServicePort;
use crate::policy::{Direction, Namespaces, Peer, Peers, Policy, PolicyPort, PortMatch, Ports, Rule};
use crate::port::Protocol;

/// Of more kinds of pods than this, nothing is said about what none of them has: such a rule is about pods in general.
const MANY: usize = 2000;

pub(super) fn check(context: &Context<'_>, policy: &Policy, found: &mut Findings) {
    for (direction, _, rule) in rules(policy) {
        let Ports::Any(ports) = &rule.ports else { continue };
        if let (Direction::Egress, Peers::Any(peers)) = (direction, &rule.peers)
            && peers.iter().all(|peer| matches!(peer, Peer::Block(_)))
        {
            addresses_only(policy, rule, ports, found);
            continue;
        }
        let interesting = |port: &PolicyPort| match &port.port {
            PortMatch::Named(_) => true,
            PortMatch::Range(range) => range.from() == range.to(),
            PortMatch::Every => false,
        };
        if !ports.iter().any(interesting) {
            continue;
        }
        let Some(servers) = servers(context, policy, direction, rule) else { continue };
        for (at, port) in ports.iter().enumerate() {
            let line = port_line(rule, at);
            match &port.port {
                PortMatch::Named(name) => named(context, policy, direction, &servers, name, port.protocol, line, found),
                PortMatch::Range(range) if range.from() == range.to() => {
                    numbered(context, policy, ports, &servers, range.from(), port.protocol, line, found);
                }
                _ => {}
            }
        }
    }
}

/// The pods whose ports a rule is about, as groups; `None` where they are too many to say anything, or not all known.
fn servers(context: &Context<'_>, policy: &Policy, direction: Direction, rule: &Rule) -> Option<Vec<u32>> {
    let index = &context.index;
    let mut groups: Vec<u32> = Vec::new();
    match (direction, &rule.peers) {
        (Direction::Ingress, _) => groups.extend(index.subject(policy).take(MANY)),
        (Direction::Egress, Peers::Everyone) => groups.extend(index.all().take(MANY)),
        (Direction::Egress, Peers::Any(list)) => {
            for peer in list {
                let Peer::Pods { namespaces, pods } = peer else { continue };
                if matches!(namespaces, Namespaces::Matching(selector) if index.matching(selector).guessed) {
                    return None;
                }
                groups.extend(index.peer(&policy.namespace, namespaces, pods).take(MANY));
            }
        }
    }
    let known = !groups.is_empty() && groups.len() < MANY;
    groups.retain(|group| !index.pod(*group).host_network);
    (known && !groups.is_empty()).then_some(groups)
}

fn addresses_only(policy: &Policy, rule: &Rule, ports: &[PolicyPort], found: &mut Findings) {
    for (at, port) in ports.iter().enumerate() {
        if let PortMatch::Named(name) = &port.port {
            let message = format!(
                "port {name} is a name, and the addresses of an ipBlock have no named ports: it matches nothing"
            );
            found.add(Id::NamedPort, policy, port_line(rule, at), message, "write the number".to_string());
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "one place, told apart by its parts")]
fn named(
    context: &Context<'_>,
    policy: &Policy,
    direction: Direction,
    servers: &[u32],
    name: &str,
    protocol: Protocol,
    line: u32,
    found: &mut Findings,
) {
    let declared = || servers.iter().flat_map(|group| &context.index.pod(*group).ports);
    let called = || declared().filter(|port| port.name.as_deref() == Some(name));
    if called().any(|port| port.protocol == protocol) {
        return;
    }
    let who = match direction {
        Direction::Ingress => "no pod that the policy selects",
        Direction::Egress => "no pod that the rule leads to",
    };
    let message = format!("{who} has a {protocol} port named {name}: it matches nothing");
    let names: BTreeSet<&str> = declared().filter_map(|port| port.name.as_deref()).collect();
    let fix = if let Some(port) = called().next() {
        format!("port {name} is {}/{}: write protocol: {}", port.number, port.protocol, port.protocol)
    } else if let Some(near) = suggest::nearest(name, names) {
        format!("did you mean {near}?")
    } else {
        let all: BTreeSet<String> = declared()
            .map(|port| match &port.name {
                Some(name) => format!("{name} ({}/{})", port.number, port.protocol),
                None => format!("{}/{}", port.number, port.protocol),
            })
            .collect();
        if all.is_empty() { "write the number".to_string() } else { format!("they have {}", listed(all, 5)) }
    };
    found.add(Id::NamedPort, policy, line, message, fix);
}

#[expect(clippy::too_many_arguments, reason = "one place, told apart by its parts")]
fn numbered(
    context: &Context<'_>,
    policy: &Policy,
    ports: &[PolicyPort],
    servers: &[u32],
    number: u16,
    protocol: Protocol,
    line: u32,
    found: &mut Findings,
) {
    let index = &context.index;
    let mut behind: Option<(String, u16)> = None;
    for group in servers {
        let pod = index.pod(*group);
        if pod.ports.iter().any(|port| port.number == number && port.protocol == protocol) {
            return;
        }
        for service in index.services(*group) {
            for port in service.ports.iter().filter(|port| port.protocol == protocol) {
                match port.target_on(pod) {
                    // A Service sends connections there, declared or not.
                    Some(target) if target == number => return,
                    Some(target) if port.port == number && behind.is_none() => {
                        behind = Some((format!("{}/{}", service.namespace, service.name), target));
                    }
                    _ => {}
                }
            }
        }
    }
    let Some((service, target)) = behind else { return };
    // Both numbers: whoever wrote that knows.
    let covered = ports.iter().any(|port| {
        port.protocol == protocol
            && match &port.port {
                PortMatch::Every => true,
                PortMatch::Range(range) => range.contains(target),
                PortMatch::Named(name) => servers.iter().any(|group| {
                    let mut declared = index.pod(*group).ports.iter();
                    declared.any(|port| port.name.as_deref() == Some(name) && port.number == target)
                }),
            }
    });
    if !covered {
        let message = format!(
            "{number} is the port of Service {service}, whose pods listen on {target}: policies see the pod's port, and this \
             one is open on none"
        );
        found.add(Id::ServicePort, policy, line, message, format!("write port: {target}"));
    }
}

/// Which ports of a Service are DNS.
pub(super) fn is_dns(port: &ServicePort) -> bool {
    port.port == 53 && port.protocol == Protocol::Udp
}

#[cfg(test)]
mod tests {
    use super::super::tests::{deployment, fixes, policy, service};

    fn cluster() -> String {
        deployment("x", "api", "app: api").replace(
            "ports: []",
            "ports: [{name: http, containerPort: 8080}, {name: dns, containerPort: 53, protocol: UDP}]",
        ) + &deployment("x", "web", "app: web")
            + &service("x", "api", "app: api", "[{port: 80, targetPort: http}, {name: b, port: 53, protocol: UDP}]")
    }

    #[test]
    fn ports_of_ingress_and_egress() {
        for (ports, expected) in [
            ("{port: 8080}", vec![]),
            ("{port: 80}", vec!["service-port: write port: 8080"]),
            ("{port: 80}, {port: 8080}", vec![]),
            ("{port: 80}, {port: http}", vec![]),
            ("{port: 9999}", vec![]),
            ("{port: 80, protocol: UDP}", vec![]),
            ("{port: 53, protocol: UDP}", vec![]),
            ("{port: http}", vec![]),
            ("{port: htpp}", vec!["named-port: did you mean http?"]),
            ("{port: dns}", vec!["named-port: port dns is 53/UDP: write protocol: UDP"]),
            ("{port: metrics}", vec!["named-port: they have dns (53/UDP) and http (8080/TCP)"]),
        ] {
            let ingress = format!("{{podSelector: {{matchLabels: {{app: api}}}}, ingress: [{{ports: [{ports}]}}]}}");
            assert_eq!(fixes(&[policy("x", "a", &ingress), cluster()]), expected, "{ports}");
            let to = format!("{{to: [{{podSelector: {{matchLabels: {{app: api}}}}}}], ports: [{ports}]}}");
            let dns = "{ports: [{port: 53, protocol: UDP}]}";
            let egress =
                format!("{{podSelector: {{matchLabels: {{app: web}}}}, policyTypes: [Egress], egress: [{dns}, {to}]}}");
            assert_eq!(fixes(&[policy("x", "a", &egress), cluster()]), expected, "egress {ports}");
        }
    }

    #[test]
    fn addresses_have_no_names() {
        let block = |port: &str| {
            let to = format!("{{to: [{{ipBlock: {{cidr: 192.0.2.0/24}}}}], ports: [{{port: {port}}}]}}");
            let dns = "{ports: [{port: 53, protocol: UDP}]}";
            policy(
                "x",
                "a",
                &format!(
                    "{{podSelector: {{matchLabels: {{app: web}}}}, policyTypes: [Egress], egress: [{dns}, {to}]}}"
                ),
            )
        };
        assert_eq!(fixes(&[block("http"), cluster()]), ["named-port: write the number"]);
        assert!(fixes(&[block("80"), cluster()]).is_empty());
    }
}
