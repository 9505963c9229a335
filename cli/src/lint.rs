//! `ringfence lint`: mistakes in policies, no flows needed.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::bail;
use serde::Serialize;
use serde_json::value::RawValue;
use synth::inventory::{Inventory, Options};
use synth::lint::{Finding, Input, Knowledge, is_finding, lint};
use synth::manifest::Problem;

use crate::args::{FindingsFormat, LintArgs};
use crate::exit::Exit;
use crate::finding::{self, Item, Place};
use crate::ignore::{IgnoredFinding, Ignores};
use crate::input::Unnamed;
use crate::summary::number;
use crate::{catalogue, cluster, complaint, ignore, input, markdown, sarif};

#[derive(Serialize)]
struct Report<'a> {
    findings: Vec<&'a RawValue>,
    /// Only with `--ignore`, as the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<Vec<IgnoredFinding<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expired: Option<Vec<&'a RawValue>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: &'static str,
    severity: &'static str,
    file: &'a str,
    line: u32,
    policy: Policy<'a>,
    message: &'a str,
    fix: &'a str,
}

#[derive(Serialize)]
struct Policy<'a> {
    kind: &'a str,
    namespace: Option<&'a str>,
    name: &'a str,
}

/// Runs the command.
pub(crate) fn run(args: &LintArgs, out: &mut impl Write) -> anyhow::Result<Exit> {
    let paths: Vec<PathBuf> = args.paths.iter().chain(&args.cluster.clusters).cloned().collect();
    let live = &args.cluster.live;
    // Policies alone can be judged without a cluster.
    let unnamed = if args.policies.is_empty() { Unnamed::Live } else { Unnamed::Nothing };
    let none_named = paths.is_empty() && args.policies.is_empty() && !live.is_asked();
    if none_named && !cluster::is_there() {
        bail!("nothing to read: name files or directories, --cluster or --policies, or have a kubeconfig");
    }
    let stdin = paths.iter().chain(&args.policies).filter(|path| path.as_os_str() == "-").count();
    if stdin > 1 {
        bail!("`-`: stdin can be read only once");
    }
    let ignores = Ignores::read(&args.ignored.files)?;
    let mut objects = input::cluster_objects(&paths, live, unnamed, args.quiet)?;
    let proposed = (!args.policies.is_empty()).then(|| input::objects(&args.policies)).transpose()?;
    // Whatever comes with the policies, such as their Namespace, is there once they are.
    if let Some(proposed) = &proposed {
        objects.add_cluster(proposed);
    }
    let policies = proposed.as_ref().unwrap_or(&objects).policy_set();
    let of_policies = proposed.iter().flat_map(|objects| &objects.problems);
    let problems: BTreeSet<&Problem> = objects.problems.iter().chain(of_policies).collect();
    let problems: Vec<Problem> = problems.into_iter().cloned().collect();
    let inventory = Inventory::build(&objects, &Options { pod_ranges: args.cluster.pod_ranges.clone() });
    let lint_input = Input { policies, problems: &problems, objects: &objects, inventory: &inventory };
    let mut rules = catalogue::lint();
    rules.push(ignore::rule());
    let found = lint(&lint_input).into_iter().map(|finding| Ok((item(&finding)?, finding)));
    let mut sorted = ignores.sort(&rules, found.collect::<anyhow::Result<_>>()?)?;
    if let Some(namespace) = &args.namespace {
        let asked = |finding: &Finding| finding.policy.namespace.as_ref() == Some(namespace);
        sorted.shown.retain(|(_, finding)| asked(finding));
        sorted.hidden.retain(|(_, finding, _)| asked(finding));
    }
    match args.output {
        FindingsFormat::Table => print(sorted.shown.iter().map(|(_, finding)| finding), out)?,
        FindingsFormat::Json => {
            let report = Report {
                findings: sorted.shown.iter().map(|(item, _)| &*item.details).collect(),
                ignored: (!ignores.is_empty()).then(|| sorted.ignored_json()),
                expired: (!ignores.is_empty()).then(|| sorted.expired_json()),
            };
            serde_json::to_writer(&mut *out, &report)?;
            writeln!(out)?;
        }
        FindingsFormat::Sarif => sarif::write(out, "lint", &rules, sorted.items(), sorted.ignored())?,
        FindingsFormat::Markdown => markdown::write(out, "lint", &rules, sorted.items(), sorted.ignored())?,
    }
    out.flush()?;
    let unreadable: Vec<&Problem> = problems.iter().filter(|problem| !is_finding(problem)).collect();
    sorted.warn(args.quiet)?;
    let mut err = io::stderr().lock();
    complaint::problems(unreadable.iter().copied(), &mut err)?;
    if !args.quiet {
        match Knowledge::of(&lint_input) {
            Knowledge::Nothing => {
                writeln!(err, "no pods and no workloads in the input: what policies select is not checked")?;
            }
            Knowledge::Broken => writeln!(
                err,
                "parts of the input cannot be used: that something selects nothing is only said where something close is at hand"
            )?,
            Knowledge::Dump | Knowledge::Manifests => {}
        }
        let count = policies.network.len() + policies.cluster.len();
        writeln!(
            err,
            "{} policies, {} pods or pod templates: {} findings{}",
            number(count as u64),
            number(inventory.pods.len() as u64),
            number(sorted.shown.len() as u64),
            sorted.ignored_words()
        )?;
    }
    Ok(if !unreadable.is_empty() { Exit::Unusable } else { finding::exit(sorted.items()) })
}

/// A finding in the shape of all outputs.
fn item(finding: &Finding) -> anyhow::Result<Item> {
    let Finding { origin, id, policy, message, fix, severity } = finding;
    let key = format!("{policy}: {}", lasting(message));
    let message = format!("{policy}: {message}. Fix: {fix}");
    let item = Item::new(id.name(), (*severity).into(), key, message, &entry(finding))?;
    Ok(item.at(Place::of(origin)))
}

/// What of a message stays when lines move, rules change places and things are counted again: everything but what
/// stands in parentheses, and numbers that are no ports.
fn lasting(message: &str) -> String {
    let mut depth = 0usize;
    let mut kept = String::new();
    for letter in message.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => kept.push(letter),
            _ => {}
        }
    }
    let words: Vec<&str> = kept.split_whitespace().collect();
    let is_count = |at: usize| {
        let before = at.checked_sub(1).map_or("", |before| words[before]);
        let behind = words.get(at + 1).copied().unwrap_or_default();
        words[at].bytes().all(|byte| byte.is_ascii_digit())
            && (matches!(before, "rule" | "line" | "rules" | "lines" | "and")
                || matches!(behind, "ingress" | "egress" | "more" | "rules" | "pods"))
    };
    let lasting = (0..words.len()).filter(|at| !is_count(*at)).map(|at| words[at]);
    lasting.collect::<Vec<_>>().join(" ")
}

fn entry(finding: &Finding) -> Entry<'_> {
    let policy = &finding.policy;
    Entry {
        id: finding.id.name(),
        severity: finding.severity.name(),
        file: &finding.origin.file,
        line: finding.origin.line,
        policy: Policy { kind: &policy.kind, namespace: policy.namespace.as_deref(), name: &policy.name },
        message: &finding.message,
        fix: &finding.fix,
    }
}

/// As compilers do, so that editors find the place.
fn print<'a>(findings: impl Iterator<Item = &'a Finding>, out: &mut impl Write) -> io::Result<()> {
    for Finding { origin, id, policy, message, fix, severity } in findings {
        writeln!(out, "{origin}: {}[{}]: {policy}: {message}", severity.name(), id.name())?;
        writeln!(out, "    fix: {fix}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::lasting;

    #[test]
    fn keys_outlive_edits() {
        for (message, expected) in [
            (
                "ingress rule 2 allows what rule 1 (line 93) allows already",
                "ingress rule allows what rule allows already",
            ),
            ("2 ingress rules are ignored", "ingress rules are ignored"),
            ("no pod (of a, b and 3 more) has app=web", "no pod has app=web"),
            (
                "80 is the port of Service shop/api, whose pods listen on 9090",
                "80 is the port of Service shop/api, whose pods listen on 9090",
            ),
        ] {
            assert_eq!(lasting(message), expected);
        }
    }
}
