//! `namespace-unknown`, `no-pod`, `no-peer-pod`, `no-namespace`, `metadata-name`: selectors that match nothing.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::index::{BUILT_IN, Matched};
use super::suggest::{self, Meant};
use super::{Context, Findings, Id, Knowledge, Severity, peer_line, rules};
use crate::label::{NAMESPACE_NAME, Requirement, Selector};
use crate::policy::{Namespaces, Peer, Peers, Policy};

/// Policies of namespaces without pods, once for each namespace.
pub(super) fn namespaces_unknown(context: &Context<'_>, found: &mut Findings) {
    if matches!(context.knowledge, Knowledge::Nothing | Knowledge::Broken) {
        return;
    }
    let mut by_namespace: BTreeMap<&str, Vec<&Policy>> = BTreeMap::new();
    for policy in &context.judged {
        if context.index.groups_of(&policy.namespace).is_empty() {
            by_namespace.entry(&policy.namespace).or_default().push(policy);
        }
    }
    for (name, policies) in by_namespace {
        let system = BUILT_IN.contains(&name) && name != "default";
        let Some(first) = policies.iter().min_by_key(|policy| &policy.origin) else { continue };
        let exists = context.index.is_declared(name);
        // Its pods may be in files of their own.
        if (system || exists) && context.knowledge == Knowledge::Manifests {
            continue;
        }
        let what = if exists { "holds no pods" } else { "is not in the input" };
        let more = match policies.len() - 1 {
            0 => String::new(),
            1 => "; so it is for another policy of it".to_string(),
            more => format!("; so it is for {more} more policies of it"),
        };
        let inhabited = context.index.names().iter().filter(|other| !context.index.groups_of(other).is_empty());
        let near = suggest::nearest(name, inhabited.copied().filter(|other| *other != name));
        let fix = match near {
            Some(other) if !exists => format!("did you mean namespace {other}?"),
            _ if name == "default" => {
                "write metadata.namespace: without it the policy goes wherever kubectl's context points".to_string()
            }
            _ => "correct metadata.namespace, or add the namespace's pods to the input".to_string(),
        };
        found.add(Id::NamespaceUnknown, first, 0, format!("namespace {name} {what}: it selects nothing{more}"), fix);
    }
}

pub(super) fn check(context: &Context<'_>, policy: &Policy, found: &mut Findings) {
    subject(context, policy, found);
    for (_, _, rule) in rules(policy) {
        let Peers::Any(list) = &rule.peers else { continue };
        for (at, peer) in list.iter().enumerate() {
            let Peer::Pods { namespaces, pods } = peer else { continue };
            let line = peer_line(rule, at);
            let known = match namespaces {
                Namespaces::Own => true,
                Namespaces::Matching(selector) => namespace(context, policy, selector, line, found),
            };
            if known && !found.explained.contains(&std::ptr::from_ref(peer)) {
                peer_pods(context, policy, namespaces, pods, line, found);
            }
        }
    }
}

fn subject(context: &Context<'_>, policy: &Policy, found: &mut Findings) {
    let (index, selector) = (&context.index, &policy.subject);
    let own = index.only(&policy.namespace);
    if !index.is_inhabited(&own) || index.subject(policy).next().is_some() {
        return;
    }
    let suggestions = suggest::pods(context, selector, &own);
    let severity = match context.knowledge {
        Knowledge::Dump => Severity::Error,
        Knowledge::Broken if suggestions.is_empty() => return,
        Knowledge::Manifests if suggestions.is_empty() && is_foreign(context, selector, &own) => return,
        _ => Severity::Warning,
    };
    let message = format!("selects nothing: {}", none(context, selector, &own));
    found.add_as(Id::NoPod, severity, policy, policy.subject_line, message, fix(context, suggestions));
}

/// Whether a selector asks for a vendor's label, `longhorn.io/component`, that no pod of the namespace has: such labels
/// are written by the vendor's controller, on pods that no manifest speaks of.
fn is_foreign(context: &Context<'_>, selector: &Selector, spaces: &Rc<Matched>) -> bool {
    vendors(selector).any(|key| !context.index.has_key(key, spaces))
}

/// Keys with the prefix of somebody else than Kubernetes that a selector needs.
fn vendors(selector: &Selector) -> impl Iterator<Item = &str> {
    let needed = selector.requirements().filter_map(|requirement| match requirement {
        Requirement::In { key, .. } | Requirement::Exists { key } => Some(key.as_str()),
        _ => None,
    });
    needed.filter(|key| {
        let prefix = key.split_once('/').map_or("", |(prefix, _)| prefix);
        !prefix.is_empty() && !prefix.ends_with("kubernetes.io") && !prefix.ends_with("k8s.io")
    })
}

fn peer_pods(
    context: &Context<'_>,
    policy: &Policy,
    namespaces: &Namespaces,
    pods: &Selector,
    line: u32,
    found: &mut Findings,
) {
    let index = &context.index;
    let spaces = index.spaces(&policy.namespace, namespaces);
    // Of namespaces without any pod the input says nothing.
    if pods.is_everything() || index.among(&spaces, pods).next().is_some() || !index.is_inhabited(&spaces) {
        return;
    }
    let suggestions = suggest::pods(context, pods, &spaces);
    let spoken = |requirement: &Requirement| match requirement {
        Requirement::In { key, .. } | Requirement::Exists { key } => index.has_key(key, &spaces),
        _ => true,
    };
    let worth = match context.knowledge {
        Knowledge::Dump if !spaces.guessed => true,
        Knowledge::Manifests if !spaces.guessed => !suggestions.is_empty() || pods.requirements().all(spoken),
        _ => !suggestions.is_empty(),
    };
    if worth {
        let message = format!("this peer matches nothing: {}", none(context, pods, &spaces));
        found.add(Id::NoPeerPod, policy, line, message, fix(context, suggestions));
    }
}

/// `no pod of namespace shop has app=api`.
fn none(context: &Context<'_>, selector: &Selector, spaces: &Rc<Matched>) -> String {
    let index = &context.index;
    let alone = |requirement: &Requirement| {
        let one: Selector = [requirement.clone()].into_iter().collect();
        index.among(spaces, &one).next().is_some()
    };
    let together = selector.requirements().count() > 1 && selector.requirements().all(alone);
    let at_once = if together { " at once" } else { "" };
    format!("no pod of {} has {selector}{at_once}", suggest::places(index, spaces))
}

fn fix(context: &Context<'_>, mut suggestions: Vec<String>) -> String {
    suggestions.truncate(2);
    if !suggestions.is_empty() {
        return suggestions.join("; ");
    }
    if context.knowledge == Knowledge::Dump {
        "correct the labels, or remove it".to_string()
    } else {
        "correct the labels; if something beside these files makes such pods, lint a dump of the cluster".to_string()
    }
}

/// Whether the selector matches a namespace, or may.
fn namespace(context: &Context<'_>, policy: &Policy, selector: &Selector, line: u32, found: &mut Findings) -> bool {
    let index = &context.index;
    let matched = index.matching(selector);
    if !matched.list.is_empty() {
        return true;
    }
    // Of a namespace that is asked for by its name, others' labels say nothing.
    let named = |requirement: &Requirement| matches!(requirement, Requirement::In { key, .. } if key == NAMESPACE_NAME);
    if matched.guessed && (index.declared() == 0 || selector.requirements().any(named)) {
        return true;
    }
    let by_name = selector.requirements().all(|requirement| requirement.key() == NAMESPACE_NAME);
    let dump = context.knowledge == Knowledge::Dump;
    let (id, fix) = match suggest::namespace(context, selector) {
        Some(Meant::Name(name, key)) if index.is_declared(&name) => {
            let fix = if matched.guessed {
                format!("did you mean {NAMESPACE_NAME}: {name}?")
            } else {
                format!("no namespace has a label {key}; write {NAMESPACE_NAME}: {name}")
            };
            (Id::MetadataName, fix)
        }
        // Whether the namespace has the label cannot be told without its object.
        Some(Meant::Name(..)) => return matched.guessed,
        Some(Meant::Close(fix)) if by_name || index.declared() > 0 => (Id::NoNamespace, fix),
        // One of those known only by name may have the labels.
        _ if matched.guessed => return true,
        _ => {
            let inhabited = || index.names().iter().filter(|name| !index.groups_of(name).is_empty()).count();
            let judged = match context.knowledge {
                Knowledge::Broken => false,
                Knowledge::Dump if by_name => index.declared() > 0 || inhabited() > 1,
                // The one Namespace object is that of the application itself; several describe a cluster.
                _ if by_name => index.declared() > 1,
                Knowledge::Dump => index.declared() > 0,
                // `network.openshift.io/policy-group` is on namespaces that no manifest speaks of.
                _ => index.declared() > 0 && vendors(selector).next().is_none(),
            };
            if !judged {
                return false;
            }
            let labels = if by_name { "correct the name" } else { "correct the labels, or label the namespace" };
            (Id::NoNamespace, format!("{labels}; until then the rule allows nothing from or to it"))
        }
    };
    let severity = if dump && !matched.guessed { id.severity() } else { Severity::Warning };
    let message = if matched.guessed {
        format!("this peer matches no namespace whose labels are known: none has {selector}")
    } else {
        format!("this peer matches nothing: no namespace has {selector}")
    };
    found.add_as(id, severity, policy, line, message, fix);
    false
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::super::tests::{deployment, findings, fixes, ids, namespace, pod, policy};

    #[test]
    fn subjects() {
        let select = |labels: &str| policy("shop", "a", &format!("{{podSelector: {{matchLabels: {{{labels}}}}}}}"));
        let web = deployment("shop", "web", "app.kubernetes.io/name: web, tier: front");
        let api = deployment("shop", "api", "app: api").replacen("metadata: {", "metadata: {labels: {team: a}, ", 1);
        let other = deployment("pay", "cart", "app: cart");
        let cluster = format!("{web}{api}{other}");
        for (labels, expected) in [
            ("app: api", vec![]),
            ("app: apii", vec!["no-pod: did you mean app=api?"]),
            ("app: web", vec!["no-pod: did you mean app.kubernetes.io/name=web?"]),
            ("team: a", vec!["no-pod: the labels of Deployment api itself do not count, its pods have app=api"]),
            ("example.com/part: api-cache", vec![]),
            (
                "part: api-cache",
                vec![
                    "no-pod: correct the labels; if something beside these files makes such pods, lint a dump of the cluster",
                ],
            ),
            ("app: cart", vec!["no-pod: there are such pods in namespace pay"]),
            (
                "app: api, tier: front",
                vec![
                    "no-pod: correct the labels; if something beside these files makes such pods, lint a dump of the cluster",
                ],
            ),
        ] {
            assert_eq!(fixes(&[select(labels), cluster.clone()]), expected, "{labels}");
        }
        let text = "kind: Pod\nmetadata: {name: [\n";
        assert!(ids(&[select("app: nothing"), cluster.clone(), text.to_string()]).is_empty(), "unreadable input");
        assert_eq!(ids(&[select("app: apii"), cluster, text.to_string()]), ["no-pod"], "but it is close");
        assert!(ids(&[select("app: nothing")]).is_empty(), "no pods at all");
    }

    #[test]
    fn namespaces_of_policies() {
        let of = |namespace: &str| policy(namespace, "a", "{podSelector: {}}");
        let api = deployment("shop", "api", "app: api");
        for (namespace, expected) in [
            ("shop", vec![]),
            ("shpo", vec!["namespace-unknown: did you mean namespace shop?"]),
            ("kube-system", vec![]),
            (
                "default",
                vec![
                    "namespace-unknown: write metadata.namespace: without it the policy goes wherever kubectl's context points",
                ],
            ),
        ] {
            assert_eq!(fixes(&[of(namespace), api.clone()]), expected, "{namespace}");
        }
        let two = of("pay") + &of("pay").replace("name: a", "name: b");
        assert_eq!(ids(&[two, api]), ["namespace-unknown"], "once for a namespace");
    }

    #[test]
    fn peers() {
        let from = |peer: &str| {
            policy("shop", "a", &format!("{{podSelector: {{}}, ingress: [{{from: [{{podSelector: {{}}}}, {peer}]}}]}}"))
        };
        let cluster = deployment("shop", "api", "app: api")
            + &namespace("monitoring", "purpose: watch")
            + &deployment("monitoring", "prometheus", "app: prometheus");
        for (peer, expected) in [
            ("{podSelector: {matchLabels: {app: api}}}", vec![]),
            ("{podSelector: {matchLabels: {app: apo}}}", vec!["no-peer-pod: did you mean app=api?"]),
            ("{podSelector: {matchLabels: {made: elsewhere}}}", vec![]),
            (
                "{podSelector: {matchLabels: {app: elsewhere}}}",
                vec![
                    "no-peer-pod: correct the labels; if something beside these files makes such pods, lint a dump of the cluster",
                ],
            ),
            (
                "{namespaceSelector: {matchLabels: {purpose: watch}}, podSelector: {matchLabels: {app: prometheus}}}",
                vec![],
            ),
            (
                "{namespaceSelector: {matchLabels: {purpose: watch}}, podSelector: {matchLabels: {app: promotheus}}}",
                vec!["no-peer-pod: did you mean app=prometheus?"],
            ),
            ("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}", vec![]),
            (
                "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitring}}}",
                vec!["no-namespace: did you mean kubernetes.io/metadata.name: monitoring?"],
            ),
            ("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}}", vec![]),
            (
                "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: kube-dns}}}",
                vec![],
            ),
        ] {
            assert_eq!(fixes(&[from(peer), cluster.clone()]), expected, "{peer}");
        }
    }

    #[test]
    fn selectors_of_namespaces() {
        let from = |labels: &str| {
            let peer = format!("{{namespaceSelector: {{matchLabels: {{{labels}}}}}}}");
            policy(
                "shop",
                "a",
                &format!("{{podSelector: {{matchLabels: {{app: api}}}}, ingress: [{{from: [{peer}]}}]}}"),
            )
        };
        let api = deployment("shop", "api", "app: api");
        let declared = api.clone() + &namespace("shop", "team: shop") + &namespace("monitoring", "purpose: watch");
        let nothing = "no-namespace: correct the labels, or label the namespace; until then the rule allows nothing from or to it";
        for (labels, expected) in [
            ("purpose: watch", vec![]),
            (
                "name: monitoring",
                vec!["metadata-name: no namespace has a label name; write kubernetes.io/metadata.name: monitoring"],
            ),
            ("name: monitorin", vec!["no-namespace: did you mean kubernetes.io/metadata.name: monitoring?"]),
            ("purpose: wach", vec!["no-namespace: did you mean purpose: watch?"]),
            ("use: watch", vec!["no-namespace: did you mean purpose: watch?"]),
            ("tier: gold", vec![nothing]),
            ("network.openshift.io/policy-group: ingress", vec![]),
            (
                "kubernetes.io/metadata.name: ingress-nginx",
                vec!["no-namespace: correct the name; until then the rule allows nothing from or to it"],
            ),
        ] {
            assert_eq!(fixes(&[from(labels), declared.clone()]), expected, "{labels}");
        }
        let partly = declared.clone() + &deployment("pay", "cart", "app: cart");
        for (labels, expected) in [
            ("purpose: watch", vec![]),
            ("name: monitoring", vec!["metadata-name: did you mean kubernetes.io/metadata.name: monitoring?"]),
            ("name: monitorin", vec!["no-namespace: did you mean kubernetes.io/metadata.name: monitoring?"]),
            ("purpose: wach", vec!["no-namespace: did you mean purpose: watch?"]),
            ("use: watch", vec!["no-namespace: did you mean purpose: watch?"]),
            ("name: pay", vec![]),
            ("tier: gold", vec![]),
            ("kubernetes.io/metadata.name: pay, purpose: wach", vec![]),
        ] {
            let served = pod("pay", "till", "app: till");
            for cluster in [partly.clone(), partly.clone() + &served] {
                assert_eq!(fixes(&[from(labels), cluster.clone()]), expected, "{labels}: pay has no object");
                let found = findings(&[("a.yaml", &from(labels)), ("b.yaml", &cluster)]);
                assert!(found.iter().all(|finding| finding.severity == Severity::Warning), "{labels}");
            }
        }
        for labels in ["tier: gold", "name: monitoring", "kubernetes.io/metadata.name: ingress-nginx"] {
            let cluster = api.clone() + &deployment("monitoring", "prometheus", "app: prometheus");
            assert!(ids(&[from(labels), cluster]).is_empty(), "{labels}: no objects");
        }
    }
}
