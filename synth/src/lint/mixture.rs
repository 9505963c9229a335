//! `and-or`: "namespaceSelector and podSelector" in one item of `from` or `to` is not what the two are as two items.
//!
//! A stray dash turns "these pods in those namespaces" into "all pods of those namespaces, or these pods here". What is
//! written is legal and often right: "the ingress controller's namespace, or the front end". Where the second item
//! does match pods here and none there, it is taken to be meant.

use super::suggest::{namespaces, places};
use super::{Context, Findings, Id, peer_line, rules};
use crate::label::{NAMESPACE_NAME, Requirement, Selector};
use crate::policy::{Direction, Namespaces, Peer, Peers, Policy};

pub(super) fn check(context: &Context<'_>, policy: &Policy, found: &mut Findings) {
    for (direction, _, rule) in rules(policy) {
        let Peers::Any(list) = &rule.peers else { continue };
        let mut paired = None;
        for (at, pair) in list.windows(2).enumerate() {
            if paired == Some(at) {
                continue;
            }
            let (spaces, pods, named) = match (kind(&pair[0]), kind(&pair[1])) {
                (Kind::Namespaces(spaces), Kind::Pods(pods)) => (spaces, pods, &pair[1]),
                (Kind::Pods(pods), Kind::Namespaces(spaces)) => (spaces, pods, &pair[0]),
                _ => continue,
            };
            if two_items(context, policy, direction, spaces, pods, peer_line(rule, at + 1), found) {
                found.explained.insert(named);
                paired = Some(at + 1);
            }
        }
        for (at, peer) in list.iter().enumerate() {
            if let Peer::Pods { namespaces: Namespaces::Matching(spaces), pods } = peer
                && !pods.is_everything()
                && one_item(context, policy, spaces, pods, peer_line(rule, at), found)
            {
                found.explained.insert(peer);
            }
        }
    }
}

enum Kind<'p> {
    Namespaces(&'p Selector),
    Pods(&'p Selector),
    Other,
}

fn kind(peer: &Peer) -> Kind<'_> {
    match peer {
        Peer::Pods { namespaces: Namespaces::Matching(spaces), pods } if pods.is_everything() => {
            Kind::Namespaces(spaces)
        }
        Peer::Pods { namespaces: Namespaces::Own, pods } if !pods.is_everything() => Kind::Pods(pods),
        _ => Kind::Other,
    }
}

/// Two items, of which one selects namespaces and the other pods of this namespace.
fn two_items(
    context: &Context<'_>,
    policy: &Policy,
    direction: Direction,
    spaces: &Selector,
    pods: &Selector,
    line: u32,
    found: &mut Findings,
) -> bool {
    let index = &context.index;
    let own = context.input.inventory.namespaces.matches(spaces, &policy.namespace);
    if spaces.is_everything() || own {
        return false;
    }
    let here = index.within(&policy.namespace, pods).next().is_some();
    let there = index.across(spaces, pods).next().is_some();
    if here && !there {
        return false;
    }
    let those = described(spaces);
    let evidence = match (here, there) {
        (false, true) => format!(" No pod here has {pods}, but some there do."),
        (true, true) => format!(" Pods with {pods} are both here and there."),
        _ => String::new(),
    };
    let word = match direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    };
    let message = format!(
        "two items of `{word}` are an \"or\": every pod of {those}, or pods of namespace {} with {pods}.{evidence}",
        policy.namespace
    );
    let message = message.trim_end_matches('.').to_string();
    let fix = format!("for pods with {pods} in {those} only, make it one item: take away the dash of the second");
    found.add(Id::AndOr, policy, line, message, fix);
    true
}

/// One item whose halves match pods and namespaces, but never both at once.
fn one_item(
    context: &Context<'_>,
    policy: &Policy,
    spaces: &Selector,
    pods: &Selector,
    line: u32,
    found: &mut Findings,
) -> bool {
    let index = &context.index;
    let matched = index.matching(spaces);
    if matched.guessed || !index.is_inhabited(&matched) || index.across(spaces, pods).next().is_some() {
        return false;
    }
    if index.within(&policy.namespace, pods).next().is_none() {
        return false;
    }
    let message = format!(
        "one item is an \"and\": no pod of {} has {pods}; pods of namespace {} do",
        places(index, &matched),
        policy.namespace
    );
    let fix = format!(
        "for every pod of {}, or these pods of namespace {}, make them two items",
        described(spaces),
        policy.namespace
    );
    found.add(Id::AndOr, policy, line, message, fix);
    true
}

/// `namespace monitoring`, `namespaces with team=a`.
fn described(selector: &Selector) -> String {
    let only: Vec<&Requirement> = selector.requirements().collect();
    match only.as_slice() {
        [Requirement::In { key, values }] if key == NAMESPACE_NAME => namespaces(values.iter().cloned()),
        _ => format!("namespaces with {selector}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{deployment, ids, policy};

    #[test]
    fn one_item_or_two() {
        let of = |peers: &str| {
            policy(
                "shop",
                "a",
                &format!("{{podSelector: {{matchLabels: {{app: api}}}}, ingress: [{{from: [{peers}]}}]}}"),
            )
        };
        let cluster = deployment("shop", "api", "app: api")
            + &deployment("shop", "web", "app: web")
            + &deployment("watch", "prometheus", "app: prometheus")
            + &deployment("watch", "web", "app: web, kind: spare");
        let watch = "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: watch}}";
        let pods = |labels: &str| format!("podSelector: {{matchLabels: {{{labels}}}}}");
        for (peers, expected, shows) in [
            (format!("{{{watch}}}, {{{}}}", pods("app: prometheus")), &["and-or"][..], "they are there"),
            (format!("{{{}}}, {{{watch}}}", pods("app: prometheus")), &["and-or"], "in the other order"),
            (format!("{{{watch}}}, {{{}}}", pods("app: web")), &["and-or"], "they are in both"),
            (format!("{{{watch}}}, {{{}}}", pods("app: api")), &[], "they are here"),
            (format!("{{{watch}, {}}}", pods("app: prometheus")), &[], "one item"),
            (format!("{{{watch}, {}}}", pods("app: api")), &["and-or"], "one item, and they are here only"),
            (format!("{{namespaceSelector: {{}}}}, {{{}}}", pods("app: web")), &[], "every namespace"),
            (format!("{{{}}}, {{{}}}", watch.replace("watch", "shop"), pods("app: web")), &[], "the own namespace"),
        ] {
            assert_eq!(ids(&[of(&peers), cluster.clone()]), expected, "{shows}");
        }
    }
}
