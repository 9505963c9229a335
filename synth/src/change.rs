//! What a new version of one policy changes, in words: `egress: +shop/db 5432/TCP, -203.0.113.9/32 443/TCP`.
//!
//! It compares what is written, peer by peer and port by port. What the change does to connections is [`crate::diff`].

use std::collections::BTreeSet;

use crate::inventory::Inventory;
use crate::label::{Labels, Selector};
use crate::policy::{Block, Direction, Namespaces, Peer, Policy, PolicyPort, Rule};
use crate::words;

/// Elements named one by one in each part.
const NAMED: usize = 8;

/// A peer and a port that a rule lists; `None` is everyone, and every port.
type Allowed = (Option<Peer>, Option<PolicyPort>);

/// The parts of a policy that differ, each in words; none where the two read alike. Peers are called by the workload of
/// `inventory` that they select, where it is one and the inventory is at hand.
pub fn changes(old: &Policy, new: &Policy, inventory: Option<&Inventory>) -> Vec<String> {
    let mut found = Vec::new();
    if old.id() != new.id() {
        found.push(format!("was {}", old.id()));
    }
    found.extend(labels(&old.labels, &new.labels));
    if old.subject != new.subject {
        found.push(format!("podSelector: {} instead of {}", new.subject, old.subject));
    }
    for direction in Direction::ALL {
        let words = match (old.rules(direction), new.rules(direction)) {
            (None, None) => None,
            (None, Some(_)) => Some("isolated from now on".to_string()),
            (Some(_), None) => Some("no longer isolated".to_string()),
            (Some(old), Some(rules)) => rules_in_words(&new.namespace, old, rules, inventory),
        };
        found.extend(words.map(|words| format!("{direction}: {words}")));
    }
    if found.is_empty() && old.clone().without_places() != new.clone().without_places() {
        found.push("fields that have no effect".to_string());
    }
    found
}

fn labels(old: &Labels, new: &Labels) -> Option<String> {
    let missing = |from: &Labels, of: &Labels| {
        let gone = of.iter().filter(|(key, value)| from.get(*key) != Some(value));
        gone.map(|(key, value)| format!("{key}={value}")).collect()
    };
    let (added, removed): (Vec<String>, Vec<String>) = (missing(old, new), missing(new, old));
    signed(added, removed).map(|words| format!("labels: {words}"))
}

fn rules_in_words(namespace: &str, old: &[Rule], new: &[Rule], inventory: Option<&Inventory>) -> Option<String> {
    let (before, after) = (allowed(old), allowed(new));
    let words = |allowed: &Allowed, inventory| {
        let (peer, port) = allowed;
        let peer = peer.as_ref().map_or("everyone".to_string(), |peer| self::peer(peer, namespace, inventory));
        match port {
            Some(port) => format!("{peer} {port}"),
            None => format!("{peer} every port"),
        }
    };
    let sides = |inventory| -> [Vec<String>; 2] {
        [after.difference(&before), before.difference(&after)]
            .map(|side| side.map(|allowed| words(allowed, inventory)).collect())
    };
    let [mut added, mut removed] = sides(inventory);
    // Another selector for the same workload: its name would be on both sides.
    if added.iter().any(|words| removed.contains(words)) {
        [added, removed] = sides(None);
    }
    let alike = |old: &Rule, new: &Rule| old.peers == new.peers && old.ports == new.ports;
    let differs = old.len() != new.len() || !old.iter().zip(new).all(|(old, new)| alike(old, new));
    signed(added, removed).or_else(|| differs.then(|| "the same, written in another way".to_string()))
}

fn allowed(rules: &[Rule]) -> BTreeSet<Allowed> {
    let mut all = BTreeSet::new();
    for rule in rules {
        let peers: Vec<Option<&Peer>> = options(rule.peers.listed());
        for port in options(rule.ports.listed()) {
            all.extend(peers.iter().map(|peer| (peer.cloned(), port.cloned())));
        }
    }
    all
}

/// The elements; where there are none, `None`, for everything.
fn options<T>(listed: &[T]) -> Vec<Option<&T>> {
    if listed.is_empty() { vec![None] } else { listed.iter().map(Some).collect() }
}

/// `+a, +b, -c`.
fn signed(mut added: Vec<String>, mut removed: Vec<String>) -> Option<String> {
    let mut all = Vec::new();
    for (sign, words) in [('+', &mut added), ('-', &mut removed)] {
        words.sort();
        words.dedup();
        let more = words.len().saturating_sub(NAMED);
        all.extend(words.iter().take(words.len() - more).map(|word| format!("{sign}{word}")));
        if more > 0 {
            all.push(format!("{sign}{more} more"));
        }
    }
    (!all.is_empty()).then(|| all.join(", "))
}

fn peer(peer: &Peer, own: &str, inventory: Option<&Inventory>) -> String {
    let (namespaces, pods) = match peer {
        Peer::Block(Block { cidr, except }) if except.is_empty() => return cidr.to_string(),
        Peer::Block(Block { cidr, except }) => {
            let except: Vec<String> = except.iter().map(ToString::to_string).collect();
            return format!("{cidr} except {}", except.join(" and "));
        }
        Peer::Pods { namespaces, pods } => (namespaces, pods),
    };
    if let Some(workload) = inventory.and_then(|inventory| only_workload(namespaces, pods, own, inventory)) {
        return workload;
    }
    let namespace = match namespaces {
        Namespaces::Own => own.to_string(),
        Namespaces::Matching(selector) if selector.is_everything() => "every namespace".to_string(),
        Namespaces::Matching(selector) => {
            words::only_namespace(selector).map(str::to_string).unwrap_or_else(|| format!("namespaces {selector}"))
        }
    };
    if pods.is_everything() { format!("all pods of {namespace}") } else { format!("{namespace} {pods}") }
}

/// `namespace/name` of the one workload of which pods are selected.
fn only_workload(namespaces: &Namespaces, pods: &Selector, own: &str, inventory: &Inventory) -> Option<String> {
    let in_namespace = |namespace: &str| match namespaces {
        Namespaces::Own => namespace == own,
        Namespaces::Matching(selector) => inventory.namespaces.matches(selector, namespace),
    };
    let mut selected = inventory
        .pods
        .iter()
        .filter(|pod| !pod.host_network && pods.matches(&pod.labels) && in_namespace(&pod.namespace))
        .map(|pod| &pod.workload);
    let first = selected.next()?;
    selected.all(|other| other == first).then(|| format!("{}/{}", first.namespace, first.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Options;
    use crate::manifest::Objects;

    fn policy(labels: &str, spec: &str) -> Policy {
        let mut objects = Objects::default();
        let head = "apiVersion: networking.k8s.io/v1, kind: NetworkPolicy";
        objects.load(
            "p",
            &format!("{{{head}, metadata: {{name: web, namespace: shop, labels: {{{labels}}}}}, spec: {{{spec}}}}}"),
        );
        assert_eq!(objects.problems, []);
        objects.policies.remove(0)
    }

    fn inventory() -> Inventory {
        let mut objects = Objects::default();
        for (namespace, name) in [("shop", "db"), ("shop", "api"), ("data", "db")] {
            objects.load("c", &format!(
                "{{kind: Pod, metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}, status: {{}}}}"
            ));
        }
        Inventory::build(&objects, &Options::default())
    }

    #[test]
    fn in_words() {
        let to = |rules: &str| format!("podSelector: {{}}, policyTypes: [Egress], egress: [{rules}]");
        let db = "{to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}]}";
        let api = "{to: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 80}, {port: 53, protocol: UDP}]}";
        let both = "{to: [{podSelector: {matchLabels: {app: db}}}, {podSelector: {matchLabels: {app: api}}}], ports: [{port: 5432}]}";
        let outside = "{to: [{ipBlock: {cidr: 203.0.113.9/32}}], ports: [{port: 443}]}";
        let range = "{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}], ports: [{port: 80, endPort: 90}]}";
        let far = "{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: data}}, podSelector: {}}]}";
        let narrow = db.replace("{app: db}", "{app: db, tier: x}");
        let wide = "{to: [{podSelector: {}}], ports: [{port: 1}]}";
        for (what, old, new, expected) in [
            ("nothing", to(db), to(db), ""),
            ("a rule more and one less", to(outside), to(db), "egress: +shop/db 5432/TCP, -203.0.113.9/32 443/TCP"),
            ("a peer more", to(db), to(both), "egress: +shop/api 5432/TCP"),
            ("ports", to(""), to(api), "egress: +shop/api 53/UDP, +shop/api 80/TCP"),
            ("a range", to(""), to(range), "egress: +0.0.0.0/0 except 10.0.0.0/8 80-90/TCP"),
            ("another namespace, all ports", to(""), to(far), "egress: +data/db every port"),
            ("several workloads", to(""), to(wide), "egress: +all pods of shop 1/TCP"),
            ("everyone", to("{}"), to(""), "egress: -everyone every port"),
            ("a selector for nobody", to(db), to(&narrow), "egress: +shop app=db,tier=x 5432/TCP, -shop/db 5432/TCP"),
            (
                "another order",
                to(&format!("{db}, {outside}")),
                to(&format!("{outside}, {db}")),
                "egress: the same, written in another way",
            ),
            (
                "directions",
                "policyTypes: [Ingress]".to_string(),
                "policyTypes: [Egress]".to_string(),
                "ingress: no longer isolated; egress: isolated from now on",
            ),
            (
                "the subject",
                "podSelector: {}, policyTypes: [Ingress]".to_string(),
                "podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]".to_string(),
                "podSelector: app=web instead of everything",
            ),
            (
                "what has no effect",
                "policyTypes: [Ingress], egress: [{}]".to_string(),
                "policyTypes: [Ingress]".to_string(),
                "fields that have no effect",
            ),
        ] {
            let found = changes(&policy("", &old), &policy("", &new), Some(&inventory())).join("; ");
            assert_eq!(found, expected, "{what}");
        }
        let (old, new) = (policy("a: b, team: x", ""), policy("a: c", ""));
        assert_eq!(changes(&old, &new, None), ["labels: +a=c, -a=b, -team=x"]);
    }

    #[test]
    fn a_selector_that_changes_shows_itself() {
        let to = |labels: &str| {
            format!("policyTypes: [Egress], egress: [{{to: [{{podSelector: {{matchExpressions: [{labels}]}}}}]}}]")
        };
        let old = policy("", &to("{key: app, operator: In, values: [db]}"));
        let new = policy("", &to("{key: app, operator: NotIn, values: [api]}"));
        let expected = "egress: +shop app notin (api) every port, -shop app=db every port";
        assert_eq!(changes(&old, &new, Some(&inventory())), [expected]);
    }

    #[test]
    fn long_lists_are_cut() {
        let ports = (1..=20).map(|port| format!("{{port: {port}}}")).collect::<Vec<_>>().join(", ");
        let old = policy("", "policyTypes: [Ingress], ingress: []");
        let new = policy("", &format!("policyTypes: [Ingress], ingress: [{{ports: [{ports}]}}]"));
        let [found] = &changes(&old, &new, None)[..] else { panic!("one part") };
        assert_eq!(found.matches("everyone").count(), NAMED);
        assert!(found.ends_with(", +12 more"), "{found}");
    }
}
