//! `ringfence lint`: mistakes in policies, no flows needed.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::bail;
use serde::Serialize;
use synth::inventory::{Inventory, Options};
use synth::lint::{Finding, Input, Knowledge, is_finding, lint};
use synth::manifest::Problem;

use crate::args::{LintArgs, LintFormat};
use crate::exit::Exit;
use crate::input;
use crate::summary::number;

#[derive(Serialize)]
struct Report<'a> {
    findings: Vec<Entry<'a>>,
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
    if paths.is_empty() && args.policies.is_empty() {
        bail!("nothing to read: name files or directories, --cluster or --policies");
    }
    let stdin = paths.iter().chain(&args.policies).filter(|path| path.as_os_str() == "-").count();
    if stdin > 1 {
        bail!("`-`: stdin can be read only once");
    }
    let mut objects = input::objects(&paths)?;
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
    let mut findings = lint(&lint_input);
    if let Some(namespace) = &args.namespace {
        findings.retain(|finding| finding.policy.namespace.as_ref() == Some(namespace));
    }
    match args.output {
        LintFormat::Table => print(&findings, out)?,
        LintFormat::Json => {
            serde_json::to_writer(&mut *out, &Report { findings: findings.iter().map(entry).collect() })?;
            writeln!(out)?;
        }
    }
    out.flush()?;
    let unreadable: Vec<&Problem> = problems.iter().filter(|problem| !is_finding(problem)).collect();
    let mut err = io::stderr().lock();
    for problem in &unreadable {
        writeln!(err, "error: {problem}")?;
    }
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
            "{} policies, {} pods or pod templates: {} findings",
            number(count as u64),
            number(inventory.pods.len() as u64),
            number(findings.len() as u64)
        )?;
    }
    Ok(if !unreadable.is_empty() {
        Exit::Unusable
    } else if findings.is_empty() {
        Exit::Fine
    } else {
        Exit::Findings
    })
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
fn print(findings: &[Finding], out: &mut impl Write) -> io::Result<()> {
    for Finding { origin, id, policy, message, fix, severity } in findings {
        writeln!(out, "{origin}: {}[{}]: {policy}: {message}", severity.name(), id.name())?;
        writeln!(out, "    fix: {fix}")?;
    }
    Ok(())
}
