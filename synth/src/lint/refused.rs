//! `rejected` and `yaml-boolean`: what kubectl and the API server refuse.

use super::{Context, Finding, Findings, Id, Object, rules, suggest};
use crate::label::{Requirement, Selector};
use crate::manifest::{Problem, Unquoted};
use crate::policy::{Namespaces, Peer, Peers};

/// Fields of a NetworkPolicy's spec, at any depth.
const FIELDS: [&str; 19] = [
    "podSelector",
    "policyTypes",
    "ingress",
    "egress",
    "from",
    "to",
    "ports",
    "namespaceSelector",
    "ipBlock",
    "cidr",
    "except",
    "matchLabels",
    "matchExpressions",
    "key",
    "operator",
    "values",
    "protocol",
    "port",
    "endPort",
];

/// Whether it is somebody's mistake in an object, and no unreadable input.
pub(super) fn is_finding(problem: &Problem) -> bool {
    is_policy(problem) || problem.object.is_some() && problem.unquoted.is_some()
}

/// Whether it is about a policy.
pub(super) fn is_policy(problem: &Problem) -> bool {
    problem.object.as_deref().is_some_and(|object| Object::read(object).kind.ends_with("NetworkPolicy"))
}

pub(super) fn check(context: &Context<'_>, found: &mut Findings) {
    for problem in context.input.problems.iter().filter(|problem| is_finding(problem)) {
        let Some(object) = &problem.object else { continue };
        let prefix = format!("{object}: ");
        let sentence = problem.message.strip_prefix(&prefix).unwrap_or(&problem.message);
        let (id, message, fix) = match &problem.unquoted {
            Some((Unquoted::Bool, written)) => {
                let what = written.as_deref().map_or("a bool".to_string(), |text| format!("the bool {text}"));
                let path = sentence.split(": ").next().unwrap_or(sentence);
                let message = if sentence.contains("a key without quotes") {
                    sentence.to_string()
                } else {
                    format!("{path} is {what} to kubectl, not text: the object is refused")
                };
                (Id::YamlBoolean, message, quote(written.as_deref()))
            }
            Some((Unquoted::Number, written)) => (Id::Rejected, sentence.to_string(), quote(written.as_deref())),
            None => (Id::Rejected, sentence.to_string(), fix(sentence)),
        };
        let severity = id.severity();
        let (origin, policy) = (problem.origin.clone(), Object::read(object));
        found.list.insert(Finding { origin, id, policy, message, fix, severity });
    }
    for policy in &context.judged {
        let peers = rules(policy).flat_map(|(_, _, rule)| match &rule.peers {
            Peers::Any(list) => list.iter().enumerate().map(|(at, peer)| (super::peer_line(rule, at), peer)).collect(),
            Peers::Everyone => Vec::new(),
        });
        let mut selectors: Vec<(u32, &Selector)> = vec![(policy.subject_line, &policy.subject)];
        for (line, peer) in peers {
            if let Peer::Pods { namespaces, pods } = peer {
                selectors.push((line, pods));
                if let Namespaces::Matching(namespaces) = namespaces {
                    selectors.push((line, namespaces));
                }
            }
        }
        for (line, selector) in selectors {
            for key in selector.requirements().map(Requirement::key).filter(|key| matches!(*key, "true" | "false")) {
                let message =
                    format!("the label key {key:?} is what kubectl makes of an unquoted yes, on, y or no, off, n");
                found.add(Id::YamlBoolean, policy, line, message, "write the key in quotes".to_string());
            }
        }
    }
}

fn quote(written: Option<&str>) -> String {
    match written {
        Some(text) => format!("write it in quotes: \"{text}\""),
        None => "write it in quotes".to_string(),
    }
}

/// What to do about a refusal, by the API server's own words.
fn fix(sentence: &str) -> String {
    let value = || {
        let rest = sentence.split_once("value: \"")?.1;
        Some(&rest[..rest.find('"')?])
    };
    if let Some(path) = sentence.strip_prefix("unknown field \"") {
        return unknown(path.trim_end_matches('"'));
    }
    let known = [
        (
            "must specify a peer",
            "write podSelector, namespaceSelector or ipBlock; for every peer leave the whole list out",
        ),
        ("may not specify both ipBlock and another peer", "make them two items of the list"),
        ("unknown object type \"nil\"", "write the value, or leave the line out"),
        ("must be a strict subset of `cidr`", "write a smaller range inside the cidr, or leave it out"),
        ("may not be specified when `port` is not specified", "write port, the first of the range, beside endPort"),
        ("may not be specified when `port` is non-numeric", "write the port's number; a name cannot begin a range"),
        ("must be greater than or equal to `port`", "swap port and endPort"),
        ("must be specified when `operator` is 'In' or 'NotIn'", "list the values, or use Exists or DoesNotExist"),
        ("may not be specified when `operator` is 'Exists'", "leave the values out, or use In or NotIn"),
        ("not a valid selector operator", "use In, NotIn, Exists or DoesNotExist"),
        ("may not specify more than two policyTypes", "write Ingress, Egress, or both"),
        ("name or generateName is required", "give the policy a name"),
        ("apiVersion", "write apiVersion: networking.k8s.io/v1"),
        ("must be between 1 and 65535", "write a port number from 1 to 65535; for all ports leave port out"),
    ];
    if let Some((_, fix)) = known.iter().find(|(words, _)| sentence.contains(words)) {
        return (*fix).to_string();
    }
    match value() {
        Some(value) if sentence.contains("Unsupported value") => {
            let supported = ["TCP", "UDP", "SCTP", "Ingress", "Egress"];
            match supported.iter().find(|name| name.eq_ignore_ascii_case(value)) {
                Some(name) => format!("write {name}"),
                None => "write one of the supported values".to_string(),
            }
        }
        Some(value) if sentence.contains("must be a valid CIDR value") => match value.parse::<std::net::IpAddr>() {
            Ok(ip) => format!("write {}", ipnet::IpNet::from(ip)),
            Err(_) => "write an address, a slash and the length of the prefix".to_string(),
        },
        Some(value) if sentence.contains("bits set beyond the prefix") => match value.parse::<ipnet::IpNet>() {
            Ok(net) => format!("write {}", net.trunc()),
            Err(_) => "write the first address of the range".to_string(),
        },
        Some(value) if sentence.contains("must contain at least one letter") && value.parse::<u16>().is_ok() => {
            format!("write the number without quotes: {value}")
        }
        _ => "correct the value: until then the policy is not in force".to_string(),
    }
}

/// What a field that is not known may have been.
fn unknown(path: &str) -> String {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let holder = parent.rsplit('.').next().unwrap_or(parent);
    let holder = holder.split('[').next().unwrap_or(holder);
    match (holder, name) {
        ("egress", "from") => "rules of egress have `to`".to_string(),
        ("ingress", "to") => "rules of ingress have `from`".to_string(),
        ("from" | "to" | "spec", "matchLabels" | "matchExpressions") => {
            format!("indent it below podSelector or namespaceSelector: {name} belongs to a selector")
        }
        ("ingress" | "egress", "podSelector" | "namespaceSelector" | "ipBlock") => {
            let list = if holder == "ingress" { "from" } else { "to" };
            format!("make it an item of `{list}`")
        }
        ("podSelector" | "namespaceSelector", name) if !FIELDS.contains(&name) => {
            match suggest::nearest(name, ["matchLabels", "matchExpressions"]) {
                Some(field) => format!("did you mean {field}?"),
                None => "labels stand below matchLabels".to_string(),
            }
        }
        ("", "ingress" | "egress" | "podSelector" | "policyTypes") => "indent it below spec".to_string(),
        _ if FIELDS.contains(&name) => format!("{name} does not belong here: check the indentation"),
        _ => match suggest::nearest(name, FIELDS) {
            Some(field) => format!("did you mean {field}?"),
            None => "leave it out".to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::findings;
    use super::{fix, unknown};

    #[test]
    fn fixes_fit_what_is_wrong() {
        for (sentence, expected) in [
            ("spec.ingress[0].ports[0].protocol: Unsupported value: \"tcp\": supported values: \"TCP\"", "write TCP"),
            (
                "x.cidr: Invalid value: \"10.0.0.1\": must be a valid CIDR value, (e.g. 10.9.8.0/24)",
                "write 10.0.0.1/32",
            ),
            ("x.cidr: Invalid value: \"2001:db8::1\": must be a valid CIDR value", "write 2001:db8::1/128"),
            ("x: Invalid value: \"10.1.2.3/24\": must not have bits set beyond the prefix length", "write 10.1.2.0/24"),
            (
                "x.port: Invalid value: \"80\": must contain at least one letter (a-z)",
                "write the number without quotes: 80",
            ),
        ] {
            assert_eq!(fix(sentence), expected);
        }
        for (path, expected) in [
            ("spec.ingres", "did you mean ingress?"),
            ("spec.egress[0].from", "rules of egress have `to`"),
            (
                "spec.ingress[0].from[0].matchLabels",
                "indent it below podSelector or namespaceSelector: matchLabels belongs to a selector",
            ),
            ("spec.podSelector.app", "labels stand below matchLabels"),
            ("spec.ingress[0].podSelector", "make it an item of `from`"),
            ("ingress", "indent it below spec"),
            ("spec.podSelector.ports", "ports does not belong here: check the indentation"),
        ] {
            assert_eq!(unknown(path), expected, "{path}");
        }
    }

    #[test]
    fn what_is_refused_is_a_finding_of_its_object() {
        let policy = |selector: &str| {
            format!(
                "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: a, namespace: x}}\nspec:\n  \
                 podSelector: {selector}\n"
            )
        };
        let pod = "kind: Pod\nmetadata:\n  name: p\n  namespace: x\n  labels:\n    canary: yes\n";
        for (text, expected) in [
            (policy("{matchLabels: {app: web}}"), &[][..]),
            (policy("{matchLabel: {app: web}}"), &["5 rejected: did you mean matchLabels?"]),
            (policy("{matchLabels: {app: yes}}"), &["5 yaml-boolean: write it in quotes: \"yes\""]),
            (policy("{matchLabels: {app: 1.10}}"), &["5 rejected: write it in quotes: \"1.10\""]),
            (policy("{matchLabels: {on: a}}"), &["5 yaml-boolean: write the key in quotes"]),
            (pod.to_string(), &["6 yaml-boolean: write it in quotes: \"yes\""]),
        ] {
            let found: Vec<String> = findings(&[("a.yaml", &text)])
                .iter()
                .map(|finding| format!("{} {}: {}", finding.origin.line, finding.id.name(), finding.fix))
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
