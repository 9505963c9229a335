//! `ringfence check`: policies held against the observed edges.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::value::RawValue;
use synth::check::{Finding, check};
use synth::graph::Edge;
use synth::inventory::Inventory;
use synth::policy::{AnyPolicy, PolicySet};
use synth::resolve::resolve;
use synth::watchlist::rule::Watchlist;
use synth::watchlist::watch;

use crate::args::{CheckArgs, FindingsFormat};
use crate::exit::Exit;
use crate::finding::{self, Item, Place};
use crate::ignore::{IgnoredFinding, Ignores};
use crate::row::Row;
use crate::selection::Selection;
use crate::summary::number;
use crate::{account, catalogue, ignore, input, markdown, sarif, summary, table, watchlist};

#[derive(Serialize)]
struct Report<'a> {
    findings: Vec<&'a RawValue>,
    /// Only with `--exposures`.
    #[serde(skip_serializing_if = "Option::is_none")]
    exposures: Option<Vec<&'a RawValue>>,
    /// Only with `--ignore`, as the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<Vec<IgnoredFinding<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expired: Option<Vec<&'a RawValue>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    kind: &'static str,
    edge: Row<'a>,
    policies: Vec<String>,
    message: &'a str,
}

/// What a finding is of.
enum Found<'a> {
    Policy(&'a Finding<'a>),
    Exposure(&'a synth::watchlist::Finding<'a>),
}

impl<'a> Found<'a> {
    fn policy(&self) -> Option<&'a Finding<'a>> {
        match self {
            Found::Policy(finding) => Some(finding),
            Found::Exposure(_) => None,
        }
    }

    fn exposure(&self) -> Option<&'a synth::watchlist::Finding<'a>> {
        match self {
            Found::Policy(_) => None,
            Found::Exposure(finding) => Some(finding),
        }
    }

    /// Whether it is about what `-n` and `-l` ask for.
    fn is_asked(&self, selection: &Selection, inventory: &Inventory) -> bool {
        let touches = |edge: &Edge| selection.touches([&edge.key.client, &edge.key.server], inventory);
        match self {
            Found::Policy(finding) => touches(finding.edge),
            Found::Exposure(finding) => finding.rows.iter().any(|row| touches(row.edge)),
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &CheckArgs, out: &mut impl Write) -> anyhow::Result<Exit> {
    let selection = Selection::new(&args.selected)?;
    let ignores = Ignores::read(&args.ignored.files)?;
    let cluster = input::cluster(&args.cluster)?;
    let proposed = input::proposed(&args.policies)?;
    let traffic = input::traffic(&args.flows.pcaps, &args.flows.reading, &cluster.inventory, args.quiet)?;
    let resolved = resolve(&traffic.tracked.flows, &traffic.tracked.names, &cluster.inventory);
    let policies = input::policies(&cluster.inventory, proposed.as_ref().map(|proposed| &proposed.inventory));
    let findings = check(&resolved.graph, policies, proposed.is_some(), &cluster.inventory);
    let list = args.exposures.then(Watchlist::built_in).transpose()?;
    let watch_options = synth::watchlist::Options { api_clients: args.api_clients.clone() };
    let look = |list| watch(list, &resolved.graph, &cluster.inventory, &watch_options);
    let watched = list.as_ref().map(look);
    let mut rules = catalogue::check();
    rules.push(ignore::rule());
    let places = places(policies);
    let mut found: Vec<(Item, Found<'_>)> = Vec::new();
    for finding in &findings {
        found.push((item(finding, &places)?, Found::Policy(finding)));
    }
    if let (Some(list), Some(watched)) = (&list, &watched) {
        rules.extend(catalogue::exposures(list));
        for exposure in &watched.findings {
            found.push((watchlist::item(exposure)?, Found::Exposure(exposure)));
        }
    }
    let mut sorted = ignores.sort(&rules, found)?;
    sorted.shown.retain(|(_, found)| found.is_asked(&selection, &cluster.inventory));
    sorted.hidden.retain(|(_, found, _)| found.is_asked(&selection, &cluster.inventory));
    let exposures = || sorted.shown.iter().filter_map(|(item, found)| Some((item, found.exposure()?)));
    let of_policies = || sorted.shown.iter().filter_map(|(item, found)| Some((item, found.policy()?)));
    match args.output {
        FindingsFormat::Table => {
            print(of_policies().map(|(_, finding)| finding), out)?;
            watchlist::print(exposures().map(|(_, exposure)| exposure), of_policies().next().is_some(), out)?;
        }
        FindingsFormat::Json => {
            let report = Report {
                findings: of_policies().map(|(item, _)| &*item.details).collect(),
                exposures: args.exposures.then(|| exposures().map(|(item, _)| &*item.details).collect()),
                ignored: (!ignores.is_empty()).then(|| sorted.ignored_json()),
                expired: (!ignores.is_empty()).then(|| sorted.expired_json()),
            };
            serde_json::to_writer(&mut *out, &report)?;
            writeln!(out)?;
        }
        FindingsFormat::Sarif => sarif::write(out, "check", &rules, sorted.items(), sorted.ignored())?,
        FindingsFormat::Markdown => markdown::write(out, "check", &rules, sorted.items(), sorted.ignored())?,
    }
    out.flush()?;
    summary::input(&cluster, &traffic, &resolved.doubts, args.quiet)?;
    account::write(args.flows.reading.summary.as_deref(), &traffic, &resolved.doubts, None)?;
    sorted.warn(args.quiet)?;
    let mut err = io::stderr().lock();
    let refused = proposed.as_ref().map(|proposed| proposed.problems.as_slice()).unwrap_or_default();
    for problem in refused {
        writeln!(err, "error: {problem}")?;
    }
    if !args.quiet {
        let edges = resolved.graph.edges().count();
        writeln!(
            err,
            "{} edges held against {} policies: {} findings{}",
            number(edges as u64),
            policies.len(),
            of_policies().count(),
            sorted.ignored_words()
        )?;
        if let Some(watched) = &watched {
            watchlist::tell(exposures().map(|(_, exposure)| exposure), watched.guessed, &mut err)?;
        }
        let pods = resolved.graph.endpoints().any(|endpoint| endpoint.workload().is_some());
        if !pods {
            writeln!(
                err,
                "warning: none of the edges touches a pod of the cluster input, so no policy applies to them"
            )?;
        }
    }
    Ok(if !refused.is_empty() || !cluster.problems.is_empty() || traffic.unreadable().is_some() {
        Exit::Unusable
    } else {
        finding::exit(sorted.items())
    })
}

/// A finding in the shape of all outputs; `places` are those of the policies.
fn item(finding: &Finding<'_>, places: &BTreeMap<String, Place>) -> anyhow::Result<Item> {
    let details = Entry {
        kind: finding.kind.name(),
        edge: Row::new(finding.edge, finding.outcome, finding.evidence),
        policies: finding.policies.clone(),
        message: &finding.message,
    };
    let key = finding.edge.key.to_string();
    let message = format!("{key}: {}", finding.message);
    let severity = catalogue::severity(finding.kind);
    let item = Item::new(finding.kind.name(), severity, key, message, &details)?;
    Ok(item.at(finding.policies.iter().filter_map(|policy| places.get(policy)).cloned()))
}

/// Where each policy stands, by its id.
fn places(policies: PolicySet<'_>) -> BTreeMap<String, Place> {
    let network = policies.network.iter().map(AnyPolicy::Network);
    let all = network.chain(policies.cluster.iter().map(AnyPolicy::Cluster));
    all.filter_map(|policy| Some((policy.id(), Place::of(&policy.origin())?))).collect()
}

fn print<'a>(findings: impl Iterator<Item = &'a Finding<'a>>, out: &mut impl Write) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    for finding in findings {
        let key = &finding.edge.key;
        lines.push([
            finding.kind.name().to_string(),
            key.client.to_string(),
            key.server.to_string(),
            format!("{}/{}", key.port, key.protocol),
            finding.outcome.to_string(),
            finding.evidence.connections.to_string(),
            finding.message.clone(),
        ]);
    }
    if lines.is_empty() {
        return Ok(());
    }
    table::write(out, ["FINDING", "CLIENT", "SERVER", "PORT", "OUTCOME", "COUNT", "WHY"], &lines)?;
    Ok(())
}
