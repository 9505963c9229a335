//! An explanation for people.

use std::io::Write;

use synth::cluster::Action;
use synth::evaluate::{Decider, Decision, Exempt, Matched, Side};
use synth::explain::{Case, Ends, Explanation};
use synth::policy::{Direction, Origin, Policy, Rule};

use super::Asked;

/// Pods named one by one; more are counted.
const NAMED: usize = 3;

/// Writes everything, the verdict first.
pub(super) fn write(asked: &Asked<'_>, explanation: &Explanation, out: &mut impl Write) -> anyhow::Result<()> {
    let decision = explanation.decision();
    let differ = explanation.cases.iter().any(|case| case.verdict.decision() != decision);
    for case in &explanation.cases {
        let (client, server) = (ends(asked, &case.client), ends(asked, &case.server));
        let decision = case.verdict.decision().name();
        writeln!(out, "{client} -> {server} {}/{}: {decision}", case.port, asked.protocol)?;
        for direction in [Direction::Egress, Direction::Ingress] {
            side(asked, case, direction, out)?;
        }
        for depends in &case.depends {
            writeln!(out, "  depends on the network plugin: {} {}", depends.decision.name(), depends.on.text())?;
        }
    }
    if differ {
        let all = if decision == Decision::Denied {
            "not all of these connections are allowed"
        } else {
            "not all are certain"
        };
        writeln!(out, "{} -> {}: {}, {all}", asked.client, asked.server, decision.name())?;
    }
    for note in &explanation.notes {
        writeln!(out, "note: {note}")?;
    }
    if asked.set.is_empty() {
        writeln!(out, "note: there is no policy in the input")?;
    }
    Ok(())
}

/// Pods by name, or an address.
fn ends(asked: &Asked<'_>, ends: &Ends) -> String {
    match ends {
        Ends::Address(ip) => match asked.inventory.node_name(*ip) {
            Some(node) => format!("{ip} (node {node})"),
            None => ip.to_string(),
        },
        Ends::Pods(pods) => {
            let name = |id: &synth::inventory::PodId| {
                let pod = asked.inventory.pod(*id);
                format!("{}/{}", pod.namespace, pod.name)
            };
            let first = &asked.inventory.pod(pods[0]).workload;
            let of_workload = asked.inventory.workloads.get(first).map_or(0, |info| info.pods.len());
            let from_template = asked.inventory.workloads.get(first).is_some_and(|info| info.from_template);
            if from_template && first.kind != "Pod" {
                return first.to_string();
            }
            if pods.len() == of_workload && pods.len() > 1 {
                return format!("{first} ({} pods)", pods.len());
            }
            let mut names: Vec<String> = pods.iter().take(NAMED).map(name).collect();
            if pods.len() > NAMED {
                names.push(format!("{} more", pods.len() - NAMED));
            }
            names.join(", ")
        }
    }
}

fn side(asked: &Asked<'_>, case: &Case, direction: Direction, out: &mut impl Write) -> anyhow::Result<()> {
    let side = case.verdict.side(direction);
    let whose = if direction == Direction::Egress { "client" } else { "server" };
    writeln!(out, "  {direction} ({whose}): {}, {}", side.decision.name(), reason(side))?;
    for rule in &side.cluster {
        let policy = &asked.set.cluster[rule.policy];
        let body = &policy.rules(direction)[rule.rule];
        let perhaps = if rule.certain { "" } else { "perhaps " };
        let name = if body.name.is_empty() { String::new() } else { format!(" {:?}", body.name) };
        writeln!(
            out,
            "    {perhaps}{}: {} ({} {}), rule {direction}[{}]{name}, peer {}{}",
            rule.action,
            policy.id(),
            policy.tier.name(),
            policy.priority,
            rule.rule,
            rule.peer,
            place(&policy.origin, body.line)
        )?;
    }
    for policy in &side.isolating {
        let policy = &asked.set.network[*policy];
        writeln!(out, "    isolated by {}{}", policy.id(), place(&policy.origin, policy.origin.line))?;
    }
    for allow in &side.allowing {
        let policy = &asked.set.network[allow.policy];
        let (path, line) = element(policy, direction, allow.rule, Some(allow.peer), Some(allow.port));
        writeln!(out, "    allowed by {} {path}{}", policy.id(), place(&policy.origin, line))?;
    }
    // Where something allows it, what nearly does is of no interest.
    for near in side.near.iter().filter(|_| side.allowing.is_empty()) {
        let policy = &asked.set.network[near.policy];
        let (path, line, words) = match near.matched {
            Matched::Peer(peer) => {
                let (path, line) = element(policy, direction, near.rule, Some(peer), None);
                (path, line, "the peer matches, the port does not")
            }
            Matched::Port(port) => {
                let (path, line) = element(policy, direction, near.rule, None, Some(port));
                (path, line, "the port matches, the peer does not")
            }
        };
        writeln!(out, "    nearly by {} {path}: {words}{}", policy.id(), place(&policy.origin, line))?;
    }
    Ok(())
}

fn reason(side: &Side) -> &'static str {
    match (side.decider, side.decision) {
        (Decider::Exempt(Exempt::NotAPod), ..) => "an address, or a pod that counts as its node: no policy selects it",
        (Decider::Exempt(Exempt::OwnNode), ..) => "a pod's own node always reaches it",
        (Decider::Exempt(Exempt::Itself), ..) => "a pod always reaches itself",
        (Decider::Cluster, Decision::Denied) => "a cluster-wide policy denies it",
        (Decider::Cluster, ..) if side.last_word().is_some_and(|rule| rule.action == Action::Pass) => {
            "passed on, and no later policy decides"
        }
        (Decider::Cluster, ..) => "a cluster-wide policy decides",
        (Decider::NetworkPolicies, Decision::Denied) => "isolated, and no rule allows it",
        (Decider::NetworkPolicies, Decision::Unknown) => "isolated, and only a rule for domain names may allow it",
        (Decider::NetworkPolicies, ..) => "isolated, and a rule allows it",
        (Decider::Nobody, ..) => "no policy isolates it",
    }
}

/// `ingress[0].from[1].ports[0]` and its line; the outer `None` of peer and port leaves them out.
fn element(
    policy: &Policy,
    direction: Direction,
    rule: usize,
    peer: Option<Option<usize>>,
    port: Option<Option<usize>>,
) -> (String, u32) {
    let body: &Rule = &policy.rules(direction).unwrap_or_default()[rule];
    let field = if direction == Direction::Ingress { "from" } else { "to" };
    let mut path = format!("{direction}[{rule}]");
    let mut line = body.lines.rule;
    match peer {
        Some(Some(peer)) => {
            path += &format!(".{field}[{peer}]");
            line = body.lines.peers.get(peer).copied().unwrap_or(line);
        }
        Some(None) => path += &format!(" (no {field}: everyone)"),
        None => {}
    }
    match port {
        Some(Some(port)) => {
            path += &format!(" ports[{port}]");
            line = if peer.is_none() { body.lines.ports.get(port).copied().unwrap_or(line) } else { line };
        }
        Some(None) => path += " (no ports: all)",
        None => {}
    }
    (path, line)
}

/// ` (file:line)`, nothing for what was in no file.
fn place(origin: &Origin, line: u32) -> String {
    if origin.file.is_empty() { String::new() } else { format!(" ({}:{line})", origin.file) }
}
