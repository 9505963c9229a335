//! `no-dns`: pods that may connect to others, and cannot find out where those are.
//!
//! Judged for each set of policies that some pod is under, not for each pod. A pod that may connect nowhere at all, or
//! only to single addresses, is meant to be so.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::index::is_over;
use super::{Context, Findings, Id, Knowledge, listed};
use crate::cluster::{Action, ClusterPeer, ClusterPort, ClusterPorts, Tier};
use crate::endpoint::Pod;
use crate::label::{Labels, NAMESPACE_NAME, Selector};
use crate::policy::{Block, Direction, Namespaces, Peer, Peers, Policy, PolicyPort, PortMatch, Ports, Rule};
use crate::port::Protocol;

/// Where resolvers of clusters are, and the label they have carried since Kubernetes had another one than CoreDNS.
const HOMES: [&str; 2] = ["kube-system", "openshift-dns"];
const LABEL: (&str, &str) = ("k8s-app", "kube-dns");

/// A resolver and its UDP port.
struct Resolver<'a> {
    pod: &'a Pod,
    port: u16,
}

pub(super) fn check(context: &Context<'_>, found: &mut Findings) {
    if context.knowledge == Knowledge::Nothing {
        return;
    }
    let resolvers = resolvers(context);
    for namespace in context.effective.keys() {
        let mut isolating: Vec<&Policy> = context.effective(namespace).to_vec();
        isolating.retain(|policy| policy.egress.is_some());
        isolating.sort_by_key(|policy| &policy.origin);
        let (wide, narrow): (Vec<&Policy>, Vec<&Policy>) =
            isolating.into_iter().partition(|policy| policy.subject.is_everything());
        let mut of_group: HashMap<u32, Vec<usize>> = HashMap::new();
        for (at, policy) in narrow.iter().enumerate() {
            for group in context.index.subject(policy) {
                of_group.entry(group).or_default().push(at);
            }
        }
        let mut alike: BTreeMap<Vec<usize>, Vec<u32>> = BTreeMap::new();
        for group in context.index.groups_of(namespace) {
            let pod = context.index.pod(group);
            let resolver = resolvers.iter().any(|resolver| std::ptr::eq(resolver.pod, pod));
            let own = of_group.remove(&group).unwrap_or_default();
            let isolated = !own.is_empty() || !wide.is_empty();
            if isolated && !pod.host_network && !resolver && !is_over(pod) {
                alike.entry(own).or_default().push(group);
            }
        }
        for (own, groups) in alike {
            let policies: Vec<&Policy> = own.iter().map(|at| narrow[*at]).chain(wide.iter().copied()).collect();
            judge(context, &policies, &groups, &resolvers, found);
        }
    }
}

/// The resolvers that can be selected.
fn resolvers<'a>(context: &Context<'a>) -> Vec<Resolver<'a>> {
    let index = &context.index;
    let labelled = Selector::from_labels(&Labels::from([(LABEL.0.to_string(), LABEL.1.to_string())]));
    let mut groups: BTreeSet<u32> = index.across(&Selector::everything(), &labelled).collect();
    groups.extend(HOMES.into_iter().flat_map(|home| index.groups_of(home)));
    let mut found = Vec::new();
    for group in groups {
        let pod = index.pod(group);
        let services = index.services(group).iter().flat_map(|service| &service.ports);
        let targets: BTreeSet<u16> =
            services.filter(|port| super::port::is_dns(port)).filter_map(|port| port.target_on(pod)).collect();
        let known = targets.into_iter().next();
        let port = known.or_else(|| labelled.matches(&pod.labels).then_some(53));
        if let Some(port) = port.filter(|_| !pod.host_network) {
            found.push(Resolver { pod, port });
        }
    }
    found
}

fn judge(
    context: &Context<'_>,
    policies: &[&Policy],
    groups: &[u32],
    resolvers: &[Resolver<'_>],
    found: &mut Findings,
) {
    let rules = || policies.iter().flat_map(|policy| policy.egress.iter().flatten().map(move |rule| (*policy, rule)));
    if rules().all(|(_, rule)| single_addresses(rule)) {
        return;
    }
    if rules().any(|(policy, rule)| allows(context, policy, rule, resolvers)) {
        return;
    }
    if groups.iter().all(|group| accepted(context, context.index.pod(*group), resolvers)) {
        return;
    }
    // Where some policy is about fewer pods than all, the mistake is there.
    let Some(first) = policies.iter().find(|policy| policy.egress.as_ref().is_some_and(|rules| !rules.is_empty()))
    else {
        return;
    };
    let port = resolvers.first().map_or(53, |resolver| resolver.port);
    let names: BTreeSet<String> = groups
        .iter()
        .map(|group| &context.index.pod(*group).workload)
        .map(|workload| format!("{} {}", workload.kind, workload.name))
        .collect();
    let close = rules().find_map(|(policy, rule)| near(policy, rule, port)).unwrap_or_default();
    let message = format!(
        "{} may connect to others but not to DNS: no egress rule allows {port}/UDP to a resolver, so no name is found{close}",
        listed(names, 2)
    );
    let (home, labels) = match resolvers.first() {
        Some(resolver) if resolver.pod.labels.get(LABEL.0).is_some_and(|value| value == LABEL.1) => {
            (resolver.pod.namespace.as_str(), format!("{}: {}", LABEL.0, LABEL.1))
        }
        Some(resolver) => {
            let labels = crate::inventory::stable(&resolver.pod.labels);
            (resolver.pod.namespace.as_str(), Selector::from_labels(&labels).to_string())
        }
        None => (HOMES[0], format!("{}: {}", LABEL.0, LABEL.1)),
    };
    let fix = format!(
        "allow egress to podSelector {labels} and namespaceSelector {NAMESPACE_NAME}: {home}, in one item, ports {port}/UDP \
         and {port}/TCP"
    );
    found.add(Id::NoDns, first, 0, message, fix);
}

/// Whoever may connect only to single addresses needs no names.
fn single_addresses(rule: &Rule) -> bool {
    let single =
        |peer: &Peer| matches!(peer, Peer::Block(block) if block.cidr.prefix_len() == block.cidr.max_prefix_len());
    matches!(&rule.peers, Peers::Any(list) if list.iter().all(single))
}

/// Whether a rule lets its subject ask a resolver. Which addresses resolve is not known, so any block with the port
/// counts.
fn allows(context: &Context<'_>, policy: &Policy, rule: &Rule, resolvers: &[Resolver<'_>]) -> bool {
    let reached = |resolver: &Resolver<'_>| covers(&rule.ports, Protocol::Udp, resolver.port, Some(resolver.pod));
    let usual = || [53, 5353].into_iter().any(|port| covers(&rule.ports, Protocol::Udp, port, None));
    let Peers::Any(list) = &rule.peers else {
        return usual() || resolvers.iter().any(reached);
    };
    list.iter().any(|peer| match peer {
        Peer::Block(block) => usual() && (rule.ports != Ports::All || !answers_otherwise(context, block, resolvers)),
        Peer::Pods { namespaces, pods } if !resolvers.is_empty() => {
            resolvers.iter().filter(|it| reached(it)).any(|it| {
                let space = match namespaces {
                    Namespaces::Own => it.pod.namespace == policy.namespace,
                    Namespaces::Matching(selector) => may_match(context, selector, &it.pod.namespace),
                };
                space && pods.matches(&it.pod.labels)
            })
        }
        // The resolvers are not in the input. A rule that names their port beyond the own namespace is meant for them;
        // one for all ports is if it fits the usual ones.
        Peer::Pods { namespaces: Namespaces::Own, pods } => {
            let own = context.index.within(&policy.namespace, pods).next().is_some();
            usual() && rule.ports != Ports::All && (own || policy.namespace == HOMES[0])
        }
        Peer::Pods { namespaces: Namespaces::Matching(selector), pods } => {
            let usual_labels = Labels::from([(LABEL.0.to_string(), LABEL.1.to_string())]);
            let named = rule.ports != Ports::All;
            let fits = HOMES.into_iter().any(|home| may_match(context, selector, home)) && pods.matches(&usual_labels);
            usual() && (named || fits)
        }
    })
}

/// Whether a block is one address of the cluster that is known to be no resolver's.
fn answers_otherwise(context: &Context<'_>, block: &Block, resolvers: &[Resolver<'_>]) -> bool {
    let ip = block.cidr.addr();
    let single = block.cidr.prefix_len() == block.cidr.max_prefix_len();
    let service = context.index.service_of(ip).is_some_and(|service| !service.ports.iter().any(super::port::is_dns));
    let resolver = |pod: &Pod| resolvers.iter().any(|resolver| resolver.pod.workload == pod.workload);
    single && (service || context.index.pod_at(ip).is_some_and(|pod| !resolver(pod)))
}

/// Whether a selector matches a namespace, as far as its labels are known.
fn may_match(context: &Context<'_>, selector: &Selector, name: &str) -> bool {
    let namespaces = &context.input.inventory.namespaces;
    let named: Selector =
        selector.requirements().filter(|requirement| requirement.key() == NAMESPACE_NAME).cloned().collect();
    namespaces.matches(selector, name) || !context.index.is_declared(name) && namespaces.matches(&named, name)
}

/// Whether ports hold one of a pod; of an unknown pod only its port is known, and names that speak for themselves.
fn covers(ports: &Ports, protocol: Protocol, number: u16, pod: Option<&Pod>) -> bool {
    let holds = |port: &PolicyPort| {
        port.protocol == protocol
            && match (&port.port, pod) {
                (PortMatch::Every, _) => true,
                (PortMatch::Range(range), _) => range.contains(number),
                (PortMatch::Named(name), None) => name.contains("dns"),
                (PortMatch::Named(name), Some(pod)) => pod
                    .ports
                    .iter()
                    .any(|port| port.name.as_ref() == Some(name) && port.number == number && port.protocol == protocol),
            }
    };
    match ports {
        Ports::All => true,
        Ports::Any(list) => list.iter().any(holds),
    }
}

/// What a rule that seems meant for DNS lacks.
fn near(policy: &Policy, rule: &Rule, port: u16) -> Option<String> {
    if rule.ports == Ports::All {
        return None;
    }
    let has = |protocol, number| covers(&rule.ports, protocol, number, None);
    let what = if has(Protocol::Udp, port) {
        "leads to no resolver".to_string()
    } else if has(Protocol::Tcp, port) {
        format!("allows {port}/TCP only")
    } else if has(Protocol::Udp, 53) {
        format!("allows port 53, and the resolvers listen on {port}")
    } else {
        return None;
    };
    let place = if rule.lines.rule > 0 { format!(" at line {}", rule.lines.rule) } else { String::new() };
    Some(format!(" (the rule{place} of {} {what})", policy.name))
}

/// Whether a cluster-wide policy lets the pod ask, whatever the others say.
fn accepted(context: &Context<'_>, pod: &Pod, resolvers: &[Resolver<'_>]) -> bool {
    let ports = |ports: &ClusterPorts| match ports {
        ClusterPorts::All => true,
        ClusterPorts::Any(list) => list.iter().any(|port| match port {
            ClusterPort::Named(name) => name.contains("dns"),
            ClusterPort::Number(port) => {
                let mut numbers = [53, 5353].into_iter().chain(resolvers.iter().map(|resolver| resolver.port));
                let one = Ports::Any(vec![port.clone()]);
                numbers.any(|number| covers(&one, Protocol::Udp, number, None))
            }
        }),
    };
    let namespaces = &context.input.inventory.namespaces;
    context.input.policies.cluster.iter().any(|policy| {
        policy.tier == Tier::Admin
            && namespaces.matches(&policy.subject.namespaces, &pod.namespace)
            && policy.subject.pods.matches(&pod.labels)
            && policy.rules(Direction::Egress).iter().any(|rule| {
                let reaches = |peer: &ClusterPeer| match peer {
                    ClusterPeer::Pods(peer) => {
                        resolvers.is_empty()
                            || resolvers.iter().any(|resolver| {
                                may_match(context, &peer.namespaces, &resolver.pod.namespace)
                                    && peer.pods.matches(&resolver.pod.labels)
                            })
                    }
                    ClusterPeer::Networks(_) | ClusterPeer::Nodes(_) => true,
                    ClusterPeer::DomainNames(_) | ClusterPeer::Unknown => false,
                };
                rule.action == Action::Accept && ports(&rule.ports) && rule.peers.iter().any(reaches)
            })
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{deployment, fixes, ids, pod, policy, service};

    fn cluster(port: u16) -> String {
        deployment("kube-system", "coredns", "k8s-app: kube-dns")
            + &service(
                "kube-system",
                "kube-dns",
                "k8s-app: kube-dns",
                &format!("[{{port: 53, targetPort: {port}, protocol: UDP}}]"),
            )
            + &deployment("x", "web", "app: web")
            + &deployment("x", "api", "app: api")
    }

    const API: &str = "{to: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 8080}]}";
    const ITEM: &str = "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: \
                        {matchLabels: {k8s-app: kube-dns}}";

    fn web(rules: &str) -> String {
        policy(
            "x",
            "web",
            &format!("{{podSelector: {{matchLabels: {{app: web}}}}, policyTypes: [Egress], egress: [{rules}]}}"),
        )
    }

    #[test]
    fn who_can_ask() {
        for (rules, port, expected, shows) in [
            (String::new(), 53, false, "nothing allowed at all"),
            (API.to_string(), 53, true, "no DNS"),
            (format!("{API}, {{to: [{{{ITEM}}}], ports: [{{port: 53, protocol: UDP}}]}}"), 53, false, "DNS"),
            (format!("{API}, {{to: [{{{ITEM}}}]}}"), 53, false, "all ports of it"),
            (format!("{API}, {{to: [{{{ITEM}}}], ports: [{{port: 53}}]}}"), 53, true, "TCP alone"),
            (
                format!("{API}, {{to: [{{{ITEM}}}], ports: [{{port: 53, protocol: UDP}}]}}"),
                5353,
                true,
                "the Service's port",
            ),
            (
                format!("{API}, {{to: [{{{ITEM}}}], ports: [{{port: 5353, protocol: UDP}}]}}"),
                5353,
                false,
                "the pods' port",
            ),
            (format!("{API}, {{ports: [{{port: 53, protocol: UDP}}]}}"), 53, false, "any resolver"),
            (
                format!(
                    "{API}, {{to: [{{podSelector: {{matchLabels: {{app: api}}}}}}], ports: [{{port: 53, protocol: UDP}}]}}"
                ),
                53,
                true,
                "no resolver there",
            ),
            (
                format!(
                    "{API}, {{to: [{{ipBlock: {{cidr: 169.254.20.10/32}}}}], ports: [{{port: 53, protocol: UDP}}]}}"
                ),
                53,
                false,
                "NodeLocal",
            ),
            ("{to: [{ipBlock: {cidr: 192.0.2.1/32}}]}".to_string(), 53, false, "one address"),
            (
                "{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 443}]}".to_string(),
                53,
                true,
                "the world needs names",
            ),
        ] {
            let found = ids(&[web(&rules), cluster(port)]);
            let expected: &[&str] = if expected { &["no-dns"] } else { &[] };
            let about: Vec<&str> = found.into_iter().filter(|id| *id == "no-dns").collect();
            assert_eq!(about, expected, "{shows}");
        }
    }

    #[test]
    fn policies_together() {
        let dns = policy(
            "x",
            "dns",
            "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: UDP}]}]}",
        );
        assert!(ids(&[web(API), dns, cluster(53)]).is_empty(), "another policy allows it");
        let deny = policy("x", "default-deny", "{podSelector: {}, policyTypes: [Egress]}");
        assert_eq!(fixes(&[web(API), deny, cluster(53)]).len(), 1, "only of web, not of api, which may nothing");
    }

    #[test]
    fn who_is_over() {
        let owned = |kind: &str| {
            let owner =
                format!("ownerReferences: [{{kind: {kind}, name: migrate, uid: u, controller: true}}], labels: ");
            pod("x", "migrate-1", "app: web").replacen("labels: ", &owner, 1)
        };
        let bare = pod("x", "migrate-1", "app: web");
        let second = pod("x", "migrate-2", "app: web");
        let over = |pod: &str| pod.replace("Running", "Succeeded");
        for (pods, expected, shows) in [
            (bare.clone(), true, "a bare pod that runs"),
            (over(&bare), false, "a bare pod that is over"),
            (over(&bare).replace("Succeeded", "Failed"), false, "one that failed"),
            (owned("Job"), true, "a Job that runs"),
            (over(&owned("Job")), false, "a Job that is over"),
            (over(&owned("CronJob")), true, "a CronJob runs again"),
            (over(&bare) + &second, true, "one of two alike is over"),
            (bare + &over(&second), true, "so is the other"),
        ] {
            let api = pod("x", "api", "app: api");
            let found = ids(&[web(API), pods + &api]);
            assert_eq!(found.contains(&"no-dns"), expected, "{shows}: {found:?}");
        }
    }

    #[test]
    fn resolvers_that_are_not_in_the_input() {
        let cluster = deployment("x", "web", "app: web") + &deployment("x", "api", "app: api");
        for (peer, expected, shows) in [
            (ITEM, &[][..], "the usual ones"),
            ("namespaceSelector: {}", &[], "any namespace"),
            ("podSelector: {matchLabels: {k8s-app: kube-dns}}", &["no-dns"], "the own namespace has none"),
        ] {
            let dns = format!("{API}, {{to: [{{{peer}}}], ports: [{{port: 53, protocol: UDP}}]}}");
            assert_eq!(ids(&[web(&dns), cluster.clone()]), expected, "{shows}");
        }
    }
}
