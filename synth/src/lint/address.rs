//! `ip-block-pods` and `ip-block-service`: addresses that selectors are for.

use ipnet::IpNet;

use super::{Context, Findings, Id, peer_line, rules};
use crate::label::Selector;
use crate::policy::{Block, Peer, Peers, Policy};

pub(super) fn check(context: &Context<'_>, policy: &Policy, found: &mut Findings) {
    for (_, _, rule) in rules(policy) {
        let Peers::Any(list) = &rule.peers else { continue };
        for (at, peer) in list.iter().enumerate() {
            if let Peer::Block(block) = peer {
                let line = peer_line(rule, at);
                if !service(context, policy, block, line, found) {
                    pods(context, policy, block, line, found);
                }
            }
        }
    }
}

/// A block for one address that is a Service's.
fn service(context: &Context<'_>, policy: &Policy, block: &Block, line: u32, found: &mut Findings) -> bool {
    let net = block.cidr;
    if net.prefix_len() != net.max_prefix_len() {
        return false;
    }
    let Some(service) = context.index.service_of(net.addr()) else { return false };
    let name = format!("{}/{}", service.namespace, service.name);
    // NodeLocal DNSCache answers on the cluster's DNS address from each node itself.
    let local = || context.index.within("kube-system", &Selector::from_labels(&node_local())).next().is_some();
    if service.ports.iter().any(super::port::is_dns) && local() {
        return true;
    }
    let message = format!(
        "{net} is the cluster address of Service {name}: it is translated before policies are asked, so this matches nothing"
    );
    let fix = match &service.selector {
        Some(selector) if service.namespace == policy.namespace => format!("select its pods: podSelector {selector}"),
        Some(selector) => format!("select its pods: {selector} in namespace {}", service.namespace),
        None => format!("allow the endpoints of Service {name}"),
    };
    found.add(Id::IpBlockService, policy, line, message, fix);
    true
}

fn node_local() -> crate::label::Labels {
    [("k8s-app".to_string(), "node-local-dns".to_string())].into_iter().collect()
}

/// A block inside the addresses of pods.
fn pods(context: &Context<'_>, policy: &Policy, block: &Block, line: u32, found: &mut Findings) {
    let inventory = context.input.inventory;
    let net = block.cidr;
    let inside = |range: &&IpNet| range.contains(&net);
    let Some(range) = inventory.pod_ranges.iter().find(inside) else { return };
    let single = net.prefix_len() == net.max_prefix_len();
    // Tunnels and bridges of nodes have addresses there too, and ipBlock is what those are for.
    if single && inventory.node_name(net.addr()).is_some() {
        return;
    }
    let message = if single {
        let holder = context.index.pod_at(net.addr());
        let held = holder.map(|pod| format!(", now of pod {}/{}", pod.namespace, pod.name)).unwrap_or_default();
        format!("{net} is an address of pods{held}: it changes, and not every network plugin lets ipBlock match pods")
    } else {
        format!("{net} lies inside the addresses of pods ({range}): not every network plugin lets ipBlock match pods")
    };
    let fix = "select pods by podSelector and namespaceSelector".to_string();
    found.add(Id::IpBlockPods, policy, line, message, fix);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ids, pod, policy};

    #[test]
    fn blocks() {
        let cluster = pod("x", "web", "app: web").replace("status: {", "status: {podIP: 10.1.2.3, ")
            + "kind: Node\nmetadata: {name: n}\nspec: {podCIDRs: [10.1.0.0/16]}\n---\n"
            + "kind: Service\nmetadata: {name: api, namespace: x}\nspec: {clusterIP: 10.96.0.7, ports: [{port: 80}]}\n---\n"
            + "kind: Service\nmetadata: {name: kube-dns, namespace: kube-system}\nspec: {clusterIP: 10.96.0.10, ports: [{port: 53, \
               protocol: UDP}]}\n---\n";
        let local = pod("kube-system", "node-local-dns", "k8s-app: node-local-dns");
        for (cidr, expected, shows) in [
            ("192.0.2.0/24", &[][..], "outside"),
            ("10.0.0.0/8", &[], "wider than the pods' range"),
            ("10.1.2.3/32", &["ip-block-pods"], "a pod"),
            ("10.1.2.0/24", &["ip-block-pods"], "some of them"),
            ("10.1.0.1/32", &[], "the bridge of a node"),
            ("10.96.0.7/32", &["ip-block-service"], "a Service"),
            ("10.96.0.0/16", &[], "their range"),
            ("10.96.0.10/32", &[], "DNS, which each node serves itself"),
        ] {
            let spec = format!(
                "{{podSelector: {{matchLabels: {{app: web}}}}, ingress: [{{from: [{{ipBlock: {{cidr: {cidr}}}}}]}}]}}"
            );
            assert_eq!(ids(&[policy("x", "a", &spec), cluster.clone() + &local]), expected, "{cidr}: {shows}");
        }
    }
}
