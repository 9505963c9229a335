//! `host-network-only` and `host-network-peer`: selectors that reach only pods on their node's network.

use super::suggest::namespaces;
use super::{Context, Findings, Id, listed, peer_line, rules};
use crate::policy::{Namespaces, Peer, Peers, Policy};

pub(super) fn check(context: &Context<'_>, policy: &Policy, found: &mut Findings) {
    let index = &context.index;
    if only_host(context, index.subject(policy)) {
        let owners = context.owners(index.subject(policy));
        let message = format!(
            "every pod it selects is on the host network ({owners}): most network plugins apply no policy to them"
        );
        let fix = "protect these ports by the node's firewall, or take the pods off the host network".to_string();
        found.add(Id::HostNetworkOnly, policy, policy.subject_line, message, fix);
    }
    for (_, _, rule) in rules(policy) {
        let Peers::Any(list) = &rule.peers else { continue };
        for (at, peer) in list.iter().enumerate() {
            let Peer::Pods { namespaces: spaces, pods } = peer else { continue };
            // "All namespaces" speaks of no pod in particular, and where `podSelector` is left out neither do others.
            if pods.is_everything() && !matches!(spaces, Namespaces::Matching(selector) if !selector.is_everything()) {
                continue;
            }
            if !only_host(context, index.peer(&policy.namespace, spaces, pods)) {
                continue;
            }
            let groups = || index.peer(&policy.namespace, spaces, pods);
            let homes: std::collections::BTreeSet<String> =
                groups().take(1000).map(|group| index.pod(group).namespace.clone()).collect();
            let message = format!(
                "every pod it matches is on the host network ({} of {}): to most network plugins these are their nodes' \
                 addresses, which no selector matches",
                context.owners(groups()),
                namespaces(homes)
            );
            found.add(Id::HostNetworkPeer, policy, peer_line(rule, at), message, addresses(context));
        }
    }
}

fn only_host<'i>(context: &Context<'_>, groups: impl Iterator<Item = u32> + 'i) -> bool {
    let mut any = false;
    for group in groups {
        if !context.index.pod(group).host_network {
            return false;
        }
        any = true;
    }
    any
}

/// The nodes' own addresses as far as they are known.
fn addresses(context: &Context<'_>) -> String {
    use crate::endpoint::NodeAddressKind::Status;
    let nodes = context.input.inventory.nodes.values();
    let own = nodes.flat_map(|node| node.addresses.iter().filter(|(_, kind)| **kind == Status).map(|(ip, _)| *ip));
    let blocks: Vec<String> = own.map(|ip| ipnet::IpNet::from(ip).to_string()).collect();
    if blocks.is_empty() {
        "allow the nodes' addresses by ipBlock".to_string()
    } else {
        format!("allow the nodes' addresses by ipBlock: {}", listed(blocks, 3))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{deployment, ids, policy};

    #[test]
    fn pods_on_the_host_network() {
        let host = |name: &str| {
            deployment("x", name, &format!("app: {name}"))
                .replace("spec: {containers", "spec: {hostNetwork: true, containers")
        };
        let cluster = host("exporter") + &deployment("x", "web", "app: web");
        let of = |subject: &str, peer: &str| {
            let labels = |name: &str| format!("{{matchLabels: {{{name}}}}}");
            let peer = format!("{{from: [{{podSelector: {}}}]}}", labels(peer));
            vec![policy("x", "a", &format!("{{podSelector: {}, ingress: [{peer}]}}", labels(subject))), cluster.clone()]
        };
        assert!(ids(&of("app: web", "app: web")).is_empty());
        assert_eq!(ids(&of("app: exporter", "app: web")), ["host-network-only"]);
        assert_eq!(ids(&of("app: web", "app: exporter")), ["host-network-peer"]);
    }
}
