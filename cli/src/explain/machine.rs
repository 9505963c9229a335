//! An explanation for programs: one object.

use std::io::Write;

use serde::Serialize;
use synth::evaluate::{Decider, Exempt, Matched, Side};
use synth::explain::{Case, Ends, Explanation};
use synth::policy::{Direction, Origin};

use super::Asked;

#[derive(Serialize)]
struct Report<'a> {
    client: &'a str,
    server: &'a str,
    protocol: &'static str,
    decision: &'static str,
    service: Option<&'a str>,
    cases: Vec<Entry<'a>>,
    notes: &'a [String],
}

#[derive(Serialize)]
struct Entry<'a> {
    client: Vec<String>,
    server: Vec<String>,
    port: u16,
    decision: &'static str,
    egress: SideEntry<'a>,
    ingress: SideEntry<'a>,
    depends: Vec<Depends>,
}

#[derive(Serialize)]
struct SideEntry<'a> {
    decision: &'static str,
    decided_by: &'static str,
    cluster: Vec<ClusterRule<'a>>,
    isolating: Vec<PolicyEntry<'a>>,
    allowing: Vec<RuleEntry<'a>>,
    near: Vec<NearEntry<'a>>,
}

#[derive(Serialize)]
struct PolicyEntry<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    name: &'a str,
    file: &'a str,
    line: u32,
}

#[derive(Serialize)]
struct ClusterRule<'a> {
    policy: PolicyEntry<'a>,
    tier: &'static str,
    priority: i32,
    rule: usize,
    name: &'a str,
    peer: usize,
    action: &'static str,
    certain: bool,
    line: u32,
}

#[derive(Serialize)]
struct RuleEntry<'a> {
    policy: PolicyEntry<'a>,
    rule: usize,
    peer: Option<usize>,
    port: Option<usize>,
    line: u32,
}

#[derive(Serialize)]
struct NearEntry<'a> {
    policy: PolicyEntry<'a>,
    rule: usize,
    matched: &'static str,
    element: Option<usize>,
    line: u32,
}

#[derive(Serialize)]
struct Depends {
    on: &'static str,
    decision: &'static str,
    text: &'static str,
}

/// Writes the object.
pub(super) fn write(asked: &Asked<'_>, explanation: &Explanation, out: &mut impl Write) -> anyhow::Result<()> {
    let report = Report {
        client: asked.client,
        server: asked.server,
        protocol: asked.protocol.name(),
        decision: explanation.decision().name(),
        service: explanation.service.as_deref(),
        cases: explanation.cases.iter().map(|case| entry(asked, case)).collect(),
        notes: &explanation.notes,
    };
    serde_json::to_writer(&mut *out, &report)?;
    writeln!(out)?;
    Ok(())
}

fn entry<'a>(asked: &Asked<'a>, case: &'a Case) -> Entry<'a> {
    let names = |ends: &Ends| match ends {
        Ends::Address(ip) => vec![ip.to_string()],
        Ends::Pods(pods) => pods
            .iter()
            .map(|id| {
                let pod = asked.inventory.pod(*id);
                format!("{}/{}", pod.namespace, pod.name)
            })
            .collect(),
    };
    let depends = case.depends.iter().map(|depends| Depends {
        on: depends.on.name(),
        decision: depends.decision.name(),
        text: depends.on.text(),
    });
    Entry {
        client: names(&case.client),
        server: names(&case.server),
        port: case.port,
        decision: case.verdict.decision().name(),
        egress: side(asked, &case.verdict.egress, Direction::Egress),
        ingress: side(asked, &case.verdict.ingress, Direction::Ingress),
        depends: depends.collect(),
    }
}

fn side<'a>(asked: &Asked<'a>, side: &'a Side, direction: Direction) -> SideEntry<'a> {
    let network = |index: usize| {
        let policy = &asked.set.network[index];
        policy_entry("NetworkPolicy", Some(&policy.namespace), &policy.name, &policy.origin)
    };
    let lines =
        |policy: usize, rule: usize| &asked.set.network[policy].rules(direction).unwrap_or_default()[rule].lines;
    let cluster = side.cluster.iter().map(|found| {
        let policy = &asked.set.cluster[found.policy];
        let body = &policy.rules(direction)[found.rule];
        ClusterRule {
            policy: policy_entry(policy.kind.name(), None, &policy.name, &policy.origin),
            tier: policy.tier.name(),
            priority: policy.priority,
            rule: found.rule,
            name: &body.name,
            peer: found.peer,
            action: found.action.name(),
            certain: found.certain,
            line: body.line,
        }
    });
    let allowing = side.allowing.iter().map(|allow| RuleEntry {
        policy: network(allow.policy),
        rule: allow.rule,
        peer: allow.peer,
        port: allow.port,
        line: lines(allow.policy, allow.rule).rule,
    });
    let near = side.near.iter().map(|near| {
        let (matched, element) = match near.matched {
            Matched::Peer(peer) => ("peer", peer),
            Matched::Port(port) => ("port", port),
        };
        let line = lines(near.policy, near.rule).rule;
        NearEntry { policy: network(near.policy), rule: near.rule, matched, element, line }
    });
    SideEntry {
        decision: side.decision.name(),
        decided_by: match side.decider {
            Decider::Exempt(Exempt::NotAPod) => "not_a_pod",
            Decider::Exempt(Exempt::OwnNode) => "own_node",
            Decider::Exempt(Exempt::Itself) => "itself",
            Decider::Cluster => "cluster_policy",
            Decider::NetworkPolicies => "network_policies",
            Decider::Nobody => "nobody",
        },
        cluster: cluster.collect(),
        isolating: side.isolating.iter().map(|policy| network(*policy)).collect(),
        allowing: allowing.collect(),
        near: near.collect(),
    }
}

fn policy_entry<'a>(
    kind: &'static str,
    namespace: Option<&'a str>,
    name: &'a str,
    origin: &'a Origin,
) -> PolicyEntry<'a> {
    PolicyEntry { kind, namespace, name, file: &origin.file, line: origin.line }
}
