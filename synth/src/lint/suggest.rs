//! What a selector that matches nothing was probably meant to be.

use std::collections::BTreeSet;
use std::rc::Rc;

use strsim::osa_distance;

use super::index::{Index, Matched};
use super::{Context, listed};
use crate::label::{Labels, NAMESPACE_NAME, Requirement, Selector};

/// Keys under which a namespace's name is looked for by mistake.
const NAME_KEYS: [&str; 6] =
    ["name", "namespace", "ns", "kubernetes.io/name", "kubernetes.io/namespace", "metadata.name"];

/// Texts this much alike may be one another's typing mistake, lower is closer: letters missing, added, changed or
/// swapped, else one being a part of the other (`redis` and `redis-cart`).
pub(crate) fn likeness(written: &str, other: &str) -> Option<usize> {
    let (written, other) = (written.to_lowercase(), other.to_lowercase());
    let (short, long) = (written.len().min(other.len()), written.len().max(other.len()));
    // Of three letters one may be wrong, of eight two, beyond that three.
    let allowed = match short {
        0..=2 => 0,
        3..=5 => 1,
        6..=8 => 2,
        _ => 3,
    };
    let distance = if long - short > allowed { usize::MAX } else { osa_distance(&written, &other) };
    if distance <= allowed {
        return Some(distance);
    }
    (short >= 4 && (written.contains(&other) || other.contains(&written))).then_some(10 + long - short)
}

/// The one of `candidates` that is most like `written`.
pub(super) fn nearest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let ranked = candidates.into_iter().filter_map(|candidate| Some((likeness(written, candidate)?, candidate)));
    ranked.min().map(|(_, candidate)| candidate)
}

/// What pods of `spaces`, or elsewhere, a selector may have been meant for: sentences, the most probable first.
pub(super) fn pods(context: &Context<'_>, selector: &Selector, spaces: &Rc<Matched>) -> Vec<String> {
    let index = &context.index;
    let home = match spaces.list.as_slice() {
        [only] => Some(index.name(*only)),
        _ => None,
    };
    let mut found = Vec::new();
    found.extend(home.and_then(|home| on_the_controller(context, selector, home)));
    for requirement in selector.requirements() {
        let Requirement::In { key, values } = requirement else { continue };
        for value in values {
            // What some pod has is not where the mistake is.
            if has(index, key, value, spaces) {
                continue;
            }
            if is_name(key) {
                let known = other_key(index, key, value, spaces);
                found.extend(known.or_else(|| workload(context, value, home?)));
            }
            let other = nearest(value, index.values(key, spaces));
            found.extend(other.map(|other| format!("did you mean {key}={other}?")));
        }
    }
    found.extend(elsewhere(index, selector, spaces));
    found
}

fn has(index: &Index<'_>, key: &str, value: &str, spaces: &Rc<Matched>) -> bool {
    index.among(spaces, &[Requirement::equals(key, value)].into_iter().collect()).next().is_some()
}

/// "A Deployment's own labels are not its pods'."
fn on_the_controller(context: &Context<'_>, selector: &Selector, home: &str) -> Option<String> {
    let carries = |labels: &Option<Labels>| labels.as_ref().is_some_and(|labels| selector.matches(labels));
    let controller = context.input.objects.controllers.iter().find(|stored| {
        let metadata = &stored.object.object.metadata;
        let namespace = metadata.namespace.as_deref().filter(|name| !name.is_empty()).unwrap_or("default");
        namespace == home && carries(&metadata.labels)
    })?;
    let (kind, name) = (&controller.object.kind, &controller.object.object.metadata.name);
    let labels = template_labels(context, home, kind, name)?;
    Some(format!("the labels of {kind} {name} itself do not count, its pods have {labels}"))
}

/// `app=api,tier=web`: what selects the pods of a workload.
fn template_labels(context: &Context<'_>, namespace: &str, kind: &str, name: &str) -> Option<String> {
    let workload =
        crate::endpoint::Workload { namespace: namespace.to_string(), kind: kind.to_string(), name: name.to_string() };
    let info = context.input.inventory.workloads.get(&workload)?;
    let selector = info.selector.clone().unwrap_or_else(|| Selector::from_labels(&info.labels));
    (!selector.is_everything()).then(|| selector.to_string())
}

/// Whether a key is one of those that people name workloads by, so that one may stand for another.
fn is_name(key: &str) -> bool {
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    matches!(
        name,
        "app" | "name" | "k8s-app" | "component" | "instance" | "run" | "service" | "workload" | "role" | "tier"
    )
}

/// The same value under another key: `name`, `app`, `k8s-app` and `app.kubernetes.io/name` are easily confused.
fn other_key(index: &Index<'_>, key: &str, value: &str, spaces: &Rc<Matched>) -> Option<String> {
    let others = index.keys().filter(|other| *other != key && is_name(other) && has(index, other, value, spaces));
    let ranked = others.map(|other| (likeness(key, other).unwrap_or(usize::MAX), other));
    let (_, other) = ranked.min()?;
    Some(format!("did you mean {other}={value}?"))
}

/// A workload of that name whose pods carry other labels.
fn workload(context: &Context<'_>, value: &str, home: &str) -> Option<String> {
    let pods = context.index.groups_of(home).map(|group| context.index.pod(group));
    let workload = pods.map(|pod| &pod.workload).find(|workload| workload.name == value)?;
    let labels = template_labels(context, home, &workload.kind, &workload.name)?;
    Some(format!("the pods of {} {} have {labels}", workload.kind, workload.name))
}

/// The namespaces in which the selector does match.
fn elsewhere(index: &Index<'_>, selector: &Selector, spaces: &Matched) -> Option<String> {
    if spaces.all {
        return None;
    }
    let others = index.across(&Selector::everything(), selector).filter(|group| !index.is_among(*group, spaces));
    let names: BTreeSet<String> = others.take(1000).map(|group| index.pod(group).namespace.clone()).collect();
    (!names.is_empty()).then(|| format!("there are such pods in {}", namespaces(names)))
}

/// `namespace shop`, `any namespace`: some namespaces, of those with pods where any has.
pub(super) fn places(index: &Index<'_>, spaces: &Matched) -> String {
    if spaces.all {
        return "any namespace".to_string();
    }
    let held = spaces.list.iter().filter(|namespace| !index.groups_in(**namespace).is_empty());
    namespaces(held.map(|namespace| index.name(*namespace).to_string()))
}

/// `namespace shop`, `namespaces a, b and 3 more`.
pub(super) fn namespaces(names: impl IntoIterator<Item = String>) -> String {
    let names: Vec<String> = names.into_iter().collect();
    let word = if names.len() == 1 { "namespace" } else { "namespaces" };
    format!("{word} {}", listed(names, 3))
}

/// What a selector of namespaces that matches none was meant to be.
pub(super) enum Meant {
    /// `kubernetes.io/metadata.name` under another key: the namespaces that exist, and the key that was written.
    Name(String, String),
    /// Something close.
    Close(String),
}

/// What a selector of namespaces may have been meant to be.
pub(super) fn namespace(context: &Context<'_>, selector: &Selector) -> Option<Meant> {
    let index = &context.index;
    let exists = |name: &str| index.names().binary_search(&name).is_ok();
    let labels = || index.names().iter().filter_map(|name| index.namespace_labels(name));
    for requirement in selector.requirements() {
        let Requirement::In { key, values } = requirement else { continue };
        for value in values {
            let held = |labels: &Labels| labels.get(key) == Some(value);
            if key != NAMESPACE_NAME && labels().any(held) {
                continue;
            }
            let named = NAME_KEYS.contains(&key.as_str()) || !labels().any(|labels| labels.contains_key(key));
            if key != NAMESPACE_NAME && named && exists(value) {
                return Some(Meant::Name(value.clone(), key.clone()));
            }
            if key == NAMESPACE_NAME {
                if exists(value) {
                    continue;
                }
                let names = index.names().iter().copied();
                let other = nearest(value, names)?;
                return Some(Meant::Close(format!("did you mean {key}: {other}?")));
            }
            let values: BTreeSet<&str> = labels().filter_map(|labels| labels.get(key)).map(String::as_str).collect();
            if let Some(other) = nearest(value, values) {
                return Some(Meant::Close(format!("did you mean {key}: {other}?")));
            }
            let keys: BTreeSet<&str> = labels()
                .flat_map(|labels| labels.iter().filter(|(_, held)| *held == value).map(|(key, _)| key.as_str()))
                .collect();
            if let Some(other) = keys.into_iter().next() {
                return Some(Meant::Close(format!("did you mean {other}: {value}?")));
            }
            if NAME_KEYS.contains(&key.as_str())
                && let Some(other) = nearest(value, index.names().iter().copied())
            {
                return Some(Meant::Close(format!("did you mean {NAMESPACE_NAME}: {other}?")));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::likeness;

    #[test]
    fn what_may_be_a_typing_mistake() {
        for (written, other, expected) in [
            ("frontned", "frontend", Some(1)),
            ("chekout", "checkout", Some(1)),
            ("API", "api", Some(0)),
            ("apii", "api", Some(1)),
            ("recomendationservise", "recommendationservice", Some(2)),
            ("redis", "redis-cart", Some(15)),
            ("web", "api", None),
            ("v1", "v2", None),
            ("app", "api", Some(1)),
            ("longhorn-csi-plugin", "longhorn-ui", None),
            ("db", "mariadb", None),
        ] {
            assert_eq!(likeness(written, other), expected, "{written} for {other}");
        }
    }
}
