//! Policies to YAML, with the evidence as comments.
//!
//! The scalars are written by serde-saphyr, which quotes what a YAML 1.1 reader such as kubectl's would take for
//! something else than text; the comments go between its pieces.

use serde_json::{Map, Value, json};

use crate::label::{Requirement, Selector};
use crate::policy::{Direction, Namespaces, Peer, Peers, PolicyPort, PortMatch, Ports, Rule};
use crate::synthesize::{Notes, Planned};

/// A number with thousands separated by commas: `1,204`.
pub fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 connection`, `1,204 connections`.
pub fn count(value: u64, what: &str) -> String {
    let plural = if value == 1 { "" } else { "s" };
    format!("{} {what}{plural}", thousands(value))
}

/// One policy as a YAML document without `---`. The fields that the API server would fill in are there.
pub fn render(planned: &Planned) -> String {
    let policy = &planned.policy;
    let mut text = String::new();
    for line in &planned.header {
        comment(&mut text, 0, line);
    }
    let types: Vec<&str> = [(Direction::Ingress, "Ingress"), (Direction::Egress, "Egress")]
        .into_iter()
        .filter(|(direction, _)| policy.rules(*direction).is_some())
        .map(|(_, name)| name)
        .collect();
    let head = json!({ "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy" });
    push(&mut text, 0, &head);
    push(
        &mut text,
        0,
        &json!({ "metadata": { "name": policy.name, "namespace": policy.namespace, "labels": policy.labels } }),
    );
    text.push_str("spec:\n");
    push(&mut text, 2, &json!({ "podSelector": selector(&policy.subject) }));
    push(&mut text, 2, &json!({ "policyTypes": types }));
    for (direction, notes) in [(Direction::Ingress, &planned.ingress), (Direction::Egress, &planned.egress)] {
        if let Some(rules) = policy.rules(direction) {
            direction_block(&mut text, direction, rules, notes, planned.workloads.is_empty());
        }
    }
    text
}

/// One rule under its direction, as it stands in `spec` of a policy.
pub(crate) fn render_rule(direction: Direction, rule: &Rule, notes: &Notes) -> String {
    let mut text = String::new();
    rule_block(&mut text, direction, rule, notes);
    let lines: Vec<&str> = text.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
    format!("{direction}:\n{}\n", lines.join("\n"))
}

fn direction_block(text: &mut String, direction: Direction, rules: &[Rule], notes: &[Notes], quiet: bool) {
    if rules.is_empty() {
        if !quiet {
            let what = match direction {
                Direction::Ingress => "No connection to these pods that makes a rule was seen.",
                Direction::Egress => "No connection from these pods that makes a rule was seen.",
            };
            comment(text, 2, what);
        }
        text.push_str(&format!("  {direction}: []\n"));
        return;
    }
    text.push_str(&format!("  {direction}:\n"));
    for (index, rule) in rules.iter().enumerate() {
        let none = Notes::default();
        rule_block(text, direction, rule, notes.get(index).unwrap_or(&none));
    }
}

fn rule_block(text: &mut String, direction: Direction, rule: &Rule, notes: &Notes) {
    if !notes.rule.is_empty() {
        comment(text, 2, &notes.rule);
    }
    let mut dash = "- ";
    if let Peers::Any(peers) = &rule.peers {
        let field = if direction == Direction::Ingress { "from" } else { "to" };
        text.push_str(&format!("  {dash}{field}:\n"));
        dash = "  ";
        for (index, peer) in peers.iter().enumerate() {
            if let Some(note) = notes.peers.get(index).filter(|note| !note.is_empty()) {
                comment(text, 4, note);
            }
            push(text, 4, &json!([peer_value(peer)]));
        }
    }
    match &rule.ports {
        Ports::All if dash == "- " => text.push_str("  - {}\n"),
        Ports::All => {}
        Ports::Any(ports) => {
            text.push_str(&format!("  {dash}ports:\n"));
            push(text, 4, &Value::Array(ports.iter().map(port_value).collect()));
        }
    }
}

fn comment(text: &mut String, indent: usize, line: &str) {
    // Names come from packets; whatever they hold, a comment ends with its line.
    // U+2028 and U+2029 end lines for readers of YAML 1.1, as kubectl's is.
    let breaks = |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    let clean: String = line.chars().map(|character| if breaks(character) { ' ' } else { character }).collect();
    text.push_str(&format!("{:indent$}# {clean}\n", ""));
}

/// Appends elements of `from` or `to`, indented.
pub(crate) fn peers(text: &mut String, indent: usize, peers: &[Peer]) {
    push(text, indent, &Value::Array(peers.iter().map(peer_value).collect()));
}

/// Appends elements of `ports`, indented.
pub(crate) fn ports(text: &mut String, indent: usize, ports: &[PolicyPort]) {
    push(text, indent, &Value::Array(ports.iter().map(port_value).collect()));
}

/// Appends a value in block style, indented by a number of columns, each line ended. Scalars are quoted where a reader of
/// YAML 1.1 would take them for something else.
pub fn push(text: &mut String, indent: usize, value: &Value) {
    let options = serde_saphyr::ser_options! { compact_list_indent: true, prefer_block_scalars: false };
    // Strings, numbers, lists and maps of JSON have no form that YAML lacks.
    let written = serde_saphyr::to_string_with_options(value, options).expect("JSON values are YAML values");
    for line in written.lines() {
        text.push_str(&format!("{:indent$}{line}\n", ""));
    }
}

fn selector(selector: &Selector) -> Value {
    let mut labels = Map::new();
    let mut expressions = Vec::new();
    for requirement in selector.requirements() {
        match requirement {
            Requirement::In { key, values } if values.len() == 1 && !labels.contains_key(key) => {
                labels.insert(key.clone(), values.first().cloned().unwrap_or_default().into());
            }
            Requirement::In { key, values } => {
                expressions.push(json!({ "key": key, "operator": "In", "values": values }));
            }
            Requirement::NotIn { key, values } => {
                expressions.push(json!({ "key": key, "operator": "NotIn", "values": values }));
            }
            Requirement::Exists { key } => expressions.push(json!({ "key": key, "operator": "Exists" })),
            Requirement::Absent { key } => expressions.push(json!({ "key": key, "operator": "DoesNotExist" })),
        }
    }
    let mut value = Map::new();
    if !labels.is_empty() {
        value.insert("matchLabels".to_string(), labels.into());
    }
    if !expressions.is_empty() {
        value.insert("matchExpressions".to_string(), expressions.into());
    }
    value.into()
}

fn peer_value(peer: &Peer) -> Value {
    match peer {
        Peer::Pods { namespaces: Namespaces::Own, pods } => json!({ "podSelector": selector(pods) }),
        Peer::Pods { namespaces: Namespaces::Matching(namespaces), pods } => {
            json!({ "namespaceSelector": selector(namespaces), "podSelector": selector(pods) })
        }
        Peer::Block(block) if block.except.is_empty() => json!({ "ipBlock": { "cidr": block.cidr } }),
        Peer::Block(block) => json!({ "ipBlock": { "cidr": block.cidr, "except": block.except } }),
    }
}

fn port_value(port: &PolicyPort) -> Value {
    let protocol = port.protocol.name();
    match &port.port {
        PortMatch::Every => json!({ "protocol": protocol }),
        PortMatch::Range(range) if range.from() == range.to() => json!({ "protocol": protocol, "port": range.from() }),
        PortMatch::Range(range) => json!({ "protocol": protocol, "port": range.from(), "endPort": range.to() }),
        PortMatch::Named(name) => json!({ "protocol": protocol, "port": name }),
    }
}
