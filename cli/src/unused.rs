//! `ringfence unused`: allow rules that no observed flow needs.

use std::fs;
use std::io::{self, Write};

use anyhow::bail;

use capture::time::SECOND;
use serde::Serialize;
use serde_json::value::RawValue;
use synth::policy::{AnyPolicy, PolicySet};
use synth::render::count;
use synth::resolve::resolve;
use synth::unused::gate::{duration, gate};
use synth::unused::suggest::suggest;
use synth::unused::{Finding, unused};

use crate::args::{FindingsFormat, UnusedArgs};
use crate::exit::Exit;
use crate::finding::{self, Item, Place, Severity};
use crate::ignore::{IgnoredFinding, Ignores};
use crate::input::Unnamed;
use crate::selection::Selection;
use crate::summary::number;
use crate::watch::Coverage;
use crate::{
    account, captures, catalogue, completeness, generate, ignore, input, markdown, sarif, suggestions, summary, table,
};

#[derive(Serialize)]
struct Report<'a> {
    window: Window,
    coverage: Covered,
    /// How much of the traffic has been learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    completeness: Option<completeness::Report<'a>>,
    findings: Vec<&'a RawValue>,
    /// Only with `--ignore`, as the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<Vec<IgnoredFinding<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expired: Option<Vec<&'a RawValue>>,
}

#[derive(Serialize)]
struct Window {
    from: Option<String>,
    to: Option<String>,
    gaps: Vec<[String; 2]>,
}

#[derive(Serialize)]
struct Covered {
    nodes: [usize; 2],
    pods: [usize; 2],
    lost: u64,
}

#[derive(Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    place: PartPlace,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate: Option<&'static str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    missing: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    basis: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    one_of: Vec<PartPlace>,
    last_hit: Option<String>,
    hits: u64,
    message: &'a str,
}

#[derive(Serialize)]
struct PartPlace {
    policy: Policy,
    direction: Option<&'static str>,
    rule: Option<usize>,
    peer: Option<usize>,
    port: Option<usize>,
    file: String,
    line: u32,
}

#[derive(Serialize)]
struct Policy {
    kind: &'static str,
    namespace: Option<String>,
    name: String,
}

impl PartPlace {
    fn new(part: synth::part::Part, set: PolicySet<'_>) -> PartPlace {
        let origin = part.origin(set);
        let policy = match part.of(set) {
            AnyPolicy::Network(policy) => {
                Policy { kind: "NetworkPolicy", namespace: Some(policy.namespace.clone()), name: policy.name.clone() }
            }
            AnyPolicy::Cluster(policy) => {
                Policy { kind: policy.kind.name(), namespace: None, name: policy.name.clone() }
            }
        };
        PartPlace {
            policy,
            direction: part.direction.map(|direction| direction.name()),
            rule: part.rule,
            peer: part.peer,
            port: part.port,
            file: origin.file.to_string(),
            line: origin.line,
        }
    }
}

impl<'a> Entry<'a> {
    fn new(finding: &'a Finding, set: PolicySet<'_>) -> Entry<'a> {
        let stands = finding.missing.is_empty();
        Entry {
            place: PartPlace::new(finding.part, set),
            status: if stands { finding.status.name() } else { "insufficient_evidence" },
            candidate: (!stands).then(|| finding.status.name()),
            missing: &finding.missing,
            basis: finding.basis.map(|basis| basis.name()),
            one_of: finding.one_of.iter().map(|part| PartPlace::new(*part, set)).collect(),
            last_hit: finding.last_hit.map(|time| time.to_string()),
            hits: finding.hits,
            message: &finding.message,
        }
    }
}

/// How long anything else has to have been watched where nobody says so, in nanoseconds.
pub(crate) const RECORDINGS: i64 = 24 * 3600 * SECOND;

/// How long captures have to cover where nobody says so, in nanoseconds: whoever made them knew what for.
pub(crate) const CAPTURES: i64 = 3600 * SECOND;

/// Runs the command.
pub(crate) fn run(args: &UnusedArgs, out: &mut impl Write) -> anyhow::Result<Exit> {
    let selection = Selection::new(&args.selected)?;
    let ignores = Ignores::read(&args.ignored.files)?;
    let log = input::logs(args.flows.all())?;
    let cluster = input::cluster_with(&args.cluster, log.as_ref(), Unnamed::Live, args.quiet)?;
    let proposed = input::proposed(&args.policies)?;
    selection.is_there(&cluster.inventory, proposed.as_ref().map(|proposed| &proposed.inventory))?;
    let inventory = &cluster.inventory;
    if inventory.pods.is_empty() {
        bail!(
            "no pods in the cluster input: give --cluster a dump of the cluster that was captured, or a kubeconfig for it"
        );
    }
    let mut watched = generate::watched(&args.watched, inventory)?;
    let traffic = input::traffic(args.flows.all(), log, inventory, args.quiet)?;
    if args.watched.is_empty() {
        watched.nodes = traffic.nodes.clone().unwrap_or_default();
    }
    let resolved = resolve(&traffic.tracked.flows, &traffic.tracked.names, inventory);
    let set = input::policies(inventory, proposed.as_ref().map(|proposed| &proposed.inventory));
    let options = (&args.plugin).into();
    let mut findings = unused(&resolved.graph, set, proposed.is_some(), inventory, options);
    let reading = &args.flows.reading;
    let coverage = Coverage::new(&traffic, &reading.window, &resolved.doubts, &resolved.graph, inventory, watched);
    gate(
        &mut findings,
        &args.gate.gate(if traffic.only_captures { CAPTURES } else { RECORDINGS }),
        &coverage.watch,
        set,
        inventory,
        options,
    );
    let learned = completeness::measure(&resolved.graph, &traffic, reading);
    let mut rules = catalogue::unused();
    rules.push(ignore::rule());
    let found = findings.into_iter().map(|finding| Ok((item(&finding, set)?, finding)));
    let mut sorted = ignores.sort(&rules, found.collect::<anyhow::Result<_>>()?)?;
    let is_asked = |finding: &Finding| selection.has_policy(finding.part.of(set), inventory);
    sorted.shown.retain(|(_, finding)| is_asked(finding));
    sorted.hidden.retain(|(_, finding, _)| is_asked(finding));
    let findings: Vec<&Finding> = sorted.shown.iter().map(|(_, finding)| finding).collect();
    match args.output {
        FindingsFormat::Json => {
            let watch = &coverage.watch;
            let gaps = watch.window.as_ref().map(|window| window.gaps()).unwrap_or_default();
            let report = Report {
                window: Window {
                    from: watch.window.as_ref().map(|window| window.from().to_string()),
                    to: watch.window.as_ref().map(|window| window.to().to_string()),
                    gaps: gaps.iter().map(|(from, to)| [from.to_string(), to.to_string()]).collect(),
                },
                coverage: Covered {
                    nodes: [coverage.nodes.0, coverage.nodes.1],
                    pods: [coverage.pods.0, coverage.pods.1],
                    lost: watch.lost,
                },
                completeness: learned.as_ref().map(completeness::Report::new),
                findings: sorted.shown.iter().map(|(item, _)| &*item.details).collect(),
                ignored: (!ignores.is_empty()).then(|| sorted.ignored_json()),
                expired: (!ignores.is_empty()).then(|| sorted.expired_json()),
            };
            serde_json::to_writer(&mut *out, &report)?;
            writeln!(out)?;
        }
        FindingsFormat::Table => print(&findings, set, out)?,
        FindingsFormat::Sarif => sarif::write(out, "unused", &rules, sorted.items(), sorted.ignored())?,
        FindingsFormat::Markdown => markdown::write(out, "unused", &rules, sorted.items(), sorted.ignored())?,
    }
    out.flush()?;
    let refused = summary::objects(&cluster, proposed.as_ref())?;
    captures::damage(&traffic)?;
    account::write(reading.summary.as_deref(), &traffic, &resolved.doubts, learned.as_ref())?;
    sorted.warn(args.quiet)?;
    if !args.quiet {
        summary::traffic(&traffic, &resolved.doubts, &cluster)?;
        completeness::print(learned.as_ref(), args.quiet)?;
        tell(&findings, set, &coverage, &sorted.ignored_words())?;
    }
    if let Some(directory) = &args.suggest {
        let suggestions =
            suggest(&findings, &resolved.graph, set, inventory, options, |file| fs::read_to_string(file).ok())?;
        suggestions::write(&suggestions, set, directory, args.quiet)?;
    }
    let standing = finding::exit(sorted.items()) == Exit::Findings;
    Ok(if refused || traffic.unreadable().is_some() {
        Exit::Unusable
    } else if standing {
        Exit::Findings
    } else if findings.is_empty() {
        Exit::Fine
    } else {
        Exit::Insufficient
    })
}

/// A finding in the shape of all outputs.
pub(crate) fn item(finding: &Finding, set: PolicySet<'_>) -> anyhow::Result<Item> {
    let (status, about) = (finding.status, finding.about(set));
    let place = Place::of(&finding.part.origin(set));
    let related = finding.one_of.iter().filter_map(|part| Place::of(&part.origin(set)));
    let details = Entry::new(finding, set);
    let message = match finding.missing.is_empty() {
        true => format!("{} of {}: {}", status.name(), finding.part.name(set), finding.message),
        false => format!(
            "{} of {}: {}; but {}",
            status.name(),
            finding.part.name(set),
            finding.message,
            finding.missing.join("; ")
        ),
    };
    let (rule, severity) = match finding.missing.is_empty() {
        true => (status.name(), catalogue::unused_severity(status)),
        false => (catalogue::INSUFFICIENT, Severity::Note),
    };
    Ok(Item::new(rule, severity, about, message, &details)?.at(place.into_iter().chain(related)))
}

fn print(findings: &[&Finding], set: PolicySet<'_>, out: &mut impl Write) -> anyhow::Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    let lines: Vec<[String; 6]> = findings
        .iter()
        .map(|finding| {
            let (status, message) = match finding.missing.is_empty() {
                true => (finding.status.name().to_string(), finding.message.clone()),
                false => (
                    format!("insufficient ({})", finding.status.name()),
                    format!("{}; but {}", finding.message, finding.missing.join("; ")),
                ),
            };
            let inside = finding.part.inside();
            [
                status,
                finding.part.of(set).id(),
                if inside.is_empty() { "all of it".to_string() } else { inside },
                finding.hits.to_string(),
                finding.part.origin(set).to_string(),
                message,
            ]
        })
        .collect();
    table::write(out, ["FINDING", "POLICY", "PART", "HITS", "WHERE", "WHY"], &lines)?;
    Ok(())
}

/// What people are told on stderr.
fn tell(findings: &[&Finding], set: PolicySet<'_>, coverage: &Coverage, ignored: &str) -> io::Result<()> {
    let mut err = io::stderr().lock();
    let watch = &coverage.watch;
    if let Some(window) = &watch.window {
        let gaps = match window.gaps().len() {
            0 => String::new(),
            gaps => format!(", {}", count(gaps as u64, "gap")),
        };
        writeln!(
            err,
            "watched {} .. {} ({}{gaps}), something of {} of {} nodes and {} of {} pods",
            summary::to_second(window.from()),
            summary::to_second(window.to()),
            duration(window.watched()),
            coverage.nodes.0,
            coverage.nodes.1,
            coverage.pods.0,
            coverage.pods.1
        )?;
    }
    let below = findings.iter().filter(|finding| !finding.missing.is_empty()).count();
    let rules = synth::part::rules(set).iter().filter(|(_, shape)| shape.allows).count();
    let below = if below == 0 { String::new() } else { format!(", {below} of them below the evidence gate") };
    writeln!(
        err,
        "{} allow rules of {} policies held against the edges: {} findings{below}{ignored}",
        number(rules as u64),
        set.len(),
        findings.len()
    )
}
