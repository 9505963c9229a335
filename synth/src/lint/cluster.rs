//! `no-subject`, `same-priority`, `unreachable-rule`: cluster-wide policies, which are lists of decisions in an order.

use std::collections::BTreeMap;

use super::suggest::{self, Meant};
use super::{Context, Finding, Findings, Id, Knowledge, Object, Severity};
use crate::addresses::AddressSet;
use crate::cluster::{
    Action, ClusterKind, ClusterPeer, ClusterPolicy, ClusterPort, ClusterPorts, ClusterRule, PodPeer, Tier,
};
use crate::label::{Requirement, Selector};
use crate::policy::{Direction, PortMatch};
use crate::port::PortRange;
use crate::ports::PortSet;

pub(super) fn check(context: &Context<'_>, found: &mut Findings) {
    let mut newest: BTreeMap<(ClusterKind, &str), &ClusterPolicy> = BTreeMap::new();
    for policy in context.input.policies.cluster {
        let known = newest.entry((policy.kind, &policy.name)).or_insert(policy);
        if policy.version >= known.version {
            *known = policy;
        }
    }
    let mut policies: Vec<&ClusterPolicy> = newest.into_values().collect();
    policies.sort_by_key(|policy| policy.rank());
    for policy in &policies {
        subject(context, policy, found);
        for direction in Direction::ALL {
            unreachable(policy, direction, found);
        }
    }
    same_priority(context, &policies, found);
}

fn add(
    found: &mut Findings,
    id: Id,
    severity: Severity,
    policy: &ClusterPolicy,
    line: u32,
    message: String,
    fix: String,
) {
    let mut origin = policy.origin.clone();
    if line > 0 {
        origin.line = line;
    }
    found.list.insert(Finding { origin, id, policy: Object::cluster(policy), message, fix, severity });
}

/// The pods of a subject: "hostNetwork pods are never selected".
fn selected<'i>(context: &'i Context<'_>, subject: &'i PodPeer) -> impl Iterator<Item = u32> + 'i {
    let groups = context.index.across(&subject.namespaces, &subject.pods);
    groups.filter(|group| !context.index.pod(*group).host_network)
}

fn subject(context: &Context<'_>, policy: &ClusterPolicy, found: &mut Findings) {
    let PodPeer { namespaces, pods } = &policy.subject;
    let matched = context.index.matching(namespaces);
    if context.knowledge == Knowledge::Nothing || matched.guessed || selected(context, &policy.subject).next().is_some()
    {
        return;
    }
    let (what, meant) = if matched.list.is_empty() {
        let meant = suggest::namespace(context, namespaces).map(|meant| match meant {
            Meant::Name(name, _) => format!("write {}: {name}", crate::label::NAMESPACE_NAME),
            Meant::Close(fix) => fix,
        });
        (format!("no namespace has {namespaces}"), meant.into_iter().collect())
    } else {
        let place = suggest::places(&context.index, &matched);
        let what = if pods.is_everything() { String::new() } else { format!(" with {pods}") };
        (format!("{place} holds no pod{what} that is not on the host network"), suggest::pods(context, pods, &matched))
    };
    let severity = match context.knowledge {
        Knowledge::Dump => Severity::Error,
        // The rest of the cluster is not in the input.
        _ if meant.is_empty() => return,
        _ => Severity::Warning,
    };
    let fix = meant.into_iter().next().unwrap_or_else(|| "correct the subject, or remove the policy".to_string());
    add(found, Id::NoSubject, severity, policy, 0, format!("selects nothing: {what}"), fix);
}

/// Policies of one rank that some pod is under. Of the two APIs a cluster has one, and a BaselineAdminNetworkPolicy has
/// no priority.
fn same_priority(context: &Context<'_>, policies: &[&ClusterPolicy], found: &mut Findings) {
    let mut by_rank: BTreeMap<(Tier, i32), Vec<&ClusterPolicy>> = BTreeMap::new();
    for policy in policies.iter().filter(|policy| policy.kind != ClusterKind::BaselineAdminNetworkPolicy) {
        by_rank.entry((policy.tier, policy.priority)).or_default().push(policy);
    }
    for ((tier, priority), equals) in by_rank {
        for (at, policy) in equals.iter().enumerate() {
            let others: Vec<&&ClusterPolicy> =
                equals[..at].iter().filter(|other| common(policy, other) && overlap(context, policy, other)).collect();
            let Some(first) = others.first() else { continue };
            let message = format!(
                "has tier {} and priority {priority}, as {} has, and both select the same pods: which one is asked first is \
                 not defined",
                tier.name(),
                first.id()
            );
            let fix = "give them different priorities, the lower one first".to_string();
            add(found, Id::SamePriority, Id::SamePriority.severity(), policy, 0, message, fix);
        }
    }
}

/// Whether both have rules in some direction.
fn common(a: &ClusterPolicy, b: &ClusterPolicy) -> bool {
    Direction::ALL.into_iter().any(|direction| !a.rules(direction).is_empty() && !b.rules(direction).is_empty())
}

fn overlap(context: &Context<'_>, a: &ClusterPolicy, b: &ClusterPolicy) -> bool {
    if covers_pods(&a.subject, &b.subject) || covers_pods(&b.subject, &a.subject) {
        return true;
    }
    let namespaces = &context.input.inventory.namespaces;
    selected(context, &a.subject).any(|group| {
        let pod = context.index.pod(group);
        namespaces.matches(&b.subject.namespaces, &pod.namespace) && b.subject.pods.matches(&pod.labels)
    })
}

/// Rules behind others that match whatever they match: the first rule that matches decides, also to Pass.
fn unreachable(policy: &ClusterPolicy, direction: Direction, found: &mut Findings) {
    let rules = policy.rules(direction);
    for (at, rule) in rules.iter().enumerate() {
        let before = |peer: &ClusterPeer| {
            let earlier = rules[..at].iter();
            earlier.enumerate().find(|(_, other)| covers_ports(&other.ports, &rule.ports) && covers(other, peer))
        };
        let shadows: Option<Vec<usize>> = rule.peers.iter().map(|peer| before(peer).map(|(at, _)| at)).collect();
        let Some(shadow) = shadows.filter(|list| !list.is_empty()).and_then(|list| list.into_iter().max()) else {
            continue;
        };
        let what = |at: usize| match rules[at].name.as_str() {
            "" => format!("{direction} rule {at}"),
            name => format!("{direction} rule {at} ({name})"),
        };
        let action = rules[shadow].action;
        let message = format!("{} is never asked: {} matches before it, and says {action}", what(at), what(shadow));
        let fix = if action == rule.action {
            "leave it out".to_string()
        } else {
            "put it before that rule if it is the exception, or leave it out".to_string()
        };
        add(found, Id::UnreachableRule, Id::UnreachableRule.severity(), policy, rule.line, message, fix);
    }
}

/// Whether a rule's peers match everything that `peer` does.
fn covers(rule: &ClusterRule, peer: &ClusterPeer) -> bool {
    rule.peers.iter().any(|wider| match (wider, peer) {
        (ClusterPeer::Pods(wider), ClusterPeer::Pods(peer)) => covers_pods(wider, peer),
        (ClusterPeer::Networks(wider), ClusterPeer::Networks(nets)) => {
            let set = |nets: &[ipnet::IpNet]| {
                nets.iter().fold(AddressSet::empty(), |set, net| set.union(&AddressSet::of(*net)))
            };
            set(nets).difference(&set(wider)).is_empty()
        }
        (ClusterPeer::Nodes(wider), ClusterPeer::Nodes(nodes)) => implies(nodes, wider),
        (ClusterPeer::DomainNames(wider), ClusterPeer::DomainNames(names)) => {
            names.iter().all(|name| wider.contains(name))
        }
        // Of an unknown peer nothing is known but that Deny and Pass then deny everything.
        (ClusterPeer::Unknown, other) => rule.action != Action::Accept && *other != ClusterPeer::Unknown,
        _ => false,
    })
}

fn covers_pods(wider: &PodPeer, peer: &PodPeer) -> bool {
    implies(&peer.namespaces, &wider.namespaces) && implies(&peer.pods, &wider.pods)
}

/// Whether whatever `narrow` matches, `wide` does: each requirement of `wide` is met by one of `narrow`.
fn implies(narrow: &Selector, wide: &Selector) -> bool {
    let met = |wide: &Requirement| {
        narrow.requirements().any(|narrow| match (narrow, wide) {
            (Requirement::In { key: a, values: few }, Requirement::In { key: b, values: many }) => {
                a == b && few.is_subset(many)
            }
            (Requirement::In { key: a, .. }, Requirement::Exists { key: b }) => a == b,
            (Requirement::In { key: a, values: few }, Requirement::NotIn { key: b, values }) => {
                a == b && few.is_disjoint(values)
            }
            (Requirement::NotIn { key: a, values: many }, Requirement::NotIn { key: b, values: few }) => {
                a == b && few.is_subset(many)
            }
            _ => narrow == wide,
        })
    };
    wide.requirements().all(met)
}

fn covers_ports(wider: &ClusterPorts, ports: &ClusterPorts) -> bool {
    let (wider, ports) = match (wider, ports) {
        (ClusterPorts::All, _) => return true,
        (ClusterPorts::Any(_), ClusterPorts::All) => return false,
        (ClusterPorts::Any(wider), ClusterPorts::Any(ports)) => (wider, ports),
    };
    let numbers = |list: &[ClusterPort]| -> PortSet {
        let ranges = list.iter().filter_map(|port| match port {
            ClusterPort::Number(port) => match &port.port {
                PortMatch::Every => Some((port.protocol, PortRange::ALL)),
                PortMatch::Range(range) => Some((port.protocol, *range)),
                PortMatch::Named(_) => None,
            },
            ClusterPort::Named(_) => None,
        });
        ranges.collect()
    };
    // A name can be any number, so only the same name covers it.
    let named = |port: &ClusterPort| match port {
        ClusterPort::Number(port) => matches!(port.port, PortMatch::Named(_)),
        ClusterPort::Named(_) => true,
    };
    numbers(ports).difference(&numbers(wider)).is_empty()
        && ports.iter().filter(|port| named(port)).all(|port| wider.contains(port))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::super::tests::{deployment, lint_cluster_wide, pod};
    use super::*;
    use crate::label::Labels;
    use crate::policy::{Origin, PolicyPort};
    use crate::port::Protocol;

    fn selector(text: &str) -> Selector {
        if text.is_empty() { Selector::everything() } else { text.parse().unwrap() }
    }

    fn pods(namespaces: &str, pods: &str) -> PodPeer {
        PodPeer { namespaces: selector(namespaces), pods: selector(pods) }
    }

    fn policy(name: &str, priority: i32, subject: PodPeer, egress: Vec<ClusterRule>) -> ClusterPolicy {
        ClusterPolicy {
            kind: ClusterKind::ClusterNetworkPolicy,
            name: name.to_string(),
            labels: Labels::new(),
            created: None,
            version: 0,
            origin: Origin::default(),
            tier: Tier::Admin,
            priority,
            subject,
            ingress: Vec::new(),
            egress,
        }
    }

    fn rule(action: Action, peer: ClusterPeer, ports: &[u16]) -> ClusterRule {
        let port = |number: &u16| {
            let range = PortRange::single(NonZeroU16::new(*number).unwrap());
            ClusterPort::Number(PolicyPort { protocol: Protocol::Tcp, port: PortMatch::Range(range) })
        };
        let ports =
            if ports.is_empty() { ClusterPorts::All } else { ClusterPorts::Any(ports.iter().map(port).collect()) };
        ClusterRule { name: String::new(), action, peers: vec![peer], ports, line: 0 }
    }

    fn everyone() -> Vec<ClusterRule> {
        vec![rule(Action::Deny, ClusterPeer::Pods(pods("", "")), &[])]
    }

    #[test]
    fn subjects() {
        let dump = pod("shop", "api", "app: api");
        let files = deployment("shop", "api", "app: api");
        for (subject, dumped, manifests, shows) in [
            (pods("", "app=api"), &[][..], &[][..], "a pod"),
            (pods("", "app=apo"), &["no-subject"], &["no-subject"], "a typing mistake"),
            (pods("", "tier=gold"), &["no-subject"], &[], "perhaps elsewhere"),
        ] {
            let policies = [policy("a", 1, subject, everyone())];
            assert_eq!(lint_cluster_wide(&policies, &dump), dumped, "{shows}");
            assert_eq!(lint_cluster_wide(&policies, &files), manifests, "{shows}");
        }
    }

    #[test]
    fn priorities() {
        let cluster = pod("shop", "api", "app: api, tier: back") + &pod("shop", "web", "app: web, tier: front");
        let of =
            |priority, labels: &str| policy(&format!("{priority}-{labels}"), priority, pods("", labels), everyone());
        for (first, second, expected) in [
            (of(1, "app=api"), of(1, "tier=back"), &["same-priority"][..]),
            (of(1, "app=api"), of(2, "tier=back"), &[]),
            (of(1, "app=api"), of(1, "tier=front"), &[]),
            (of(1, "app=api"), of(1, ""), &["same-priority"]),
        ] {
            assert_eq!(lint_cluster_wide(&[first, second], &cluster), expected);
        }
    }

    #[test]
    fn rules_that_are_never_asked() {
        let cluster = pod("shop", "api", "app: api");
        let all = |ports: &[u16]| rule(Action::Deny, ClusterPeer::Pods(pods("", "")), ports);
        let api = |ports: &[u16]| rule(Action::Accept, ClusterPeer::Pods(pods("team=a", "app=api")), ports);
        let net = |text: &str| rule(Action::Accept, ClusterPeer::Networks(vec![text.parse().unwrap()]), &[]);
        let one = |labels: &str| rule(Action::Pass, ClusterPeer::Pods(pods("", labels)), &[]);
        for (rules, expected, shows) in [
            (vec![all(&[]), api(&[80])], &["unreachable-rule"][..], "everything goes before"),
            (vec![api(&[80]), all(&[])], &[], "the exception comes first"),
            (vec![all(&[80]), api(&[80, 443])], &[], "one port is left"),
            (vec![all(&[80, 443]), api(&[443])], &["unreachable-rule"], "no port is left"),
            (vec![net("10.0.0.0/8"), net("10.1.0.0/16")], &["unreachable-rule"], "a range in a range"),
            (vec![net("10.1.0.0/16"), net("10.0.0.0/8")], &[], "a wider range"),
            (vec![all(&[]), net("10.0.0.0/8")], &[], "pods are not everything"),
            (vec![one("app in (a,b)"), one("app=a")], &["unreachable-rule"], "one of the values"),
            (vec![one("app"), one("app=a")], &["unreachable-rule"], "any value"),
            (vec![one("app=a"), one("app=b")], &[], "another value"),
        ] {
            let policies = [policy("a", 1, pods("", ""), rules)];
            assert_eq!(lint_cluster_wide(&policies, &cluster), expected, "{shows}");
        }
    }
}
