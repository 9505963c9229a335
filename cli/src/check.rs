//! `ringfence check`: policies held against the observed edges.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anyhow::bail;
use serde::Serialize;
use serde_json::value::RawValue;
use synth::check::{Finding, Kind, Unisolated, check, unisolated};
use synth::expected::{Expected, expected};
use synth::graph::Edge;
use synth::inventory::Inventory;
use synth::platform::{Limit, Platform, limits};
use synth::policy::{AnyPolicy, PolicySet};
use synth::resolve::resolve;
use synth::watchlist::rule::Watchlist;
use synth::watchlist::watch;

use crate::args::{CheckArgs, FindingsFormat};
use crate::exit::Exit;
use crate::finding::{self, Item, Place};
use crate::ignore::{IgnoredFinding, Ignores};
use crate::input::Unnamed;
use crate::row::Row;
use crate::selection::Selection;
use crate::summary::number;
use crate::{
    account, catalogue, complaint, expected, ignore, input, isolation, markdown, platform, sarif, summary, table,
    watchlist,
};

#[derive(Serialize)]
struct Report<'a> {
    findings: Vec<&'a RawValue>,
    declared: Vec<expected::Entry<'a>>,
    not_isolated: Vec<isolation::Entry<'a>>,
    platform: Vec<platform::Entry<'a>>,
    /// Only with `--exposures`.
    #[serde(skip_serializing_if = "Option::is_none")]
    exposures: Option<Vec<&'a RawValue>>,
    /// Only with `--ignore`, as the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<Vec<IgnoredFinding<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expired: Option<Vec<&'a RawValue>>,
}

/// What is said beside the findings.
struct Beside<'a> {
    declared: Vec<&'a Expected>,
    open: Vec<&'a Unisolated<'a>>,
    platform: &'a Platform,
    limits: &'a [synth::platform::Finding],
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
    let log = input::logs(args.flows.all())?;
    let cluster = input::cluster_with(&args.cluster, log.as_ref(), Unnamed::Live, args.quiet)?;
    let proposed = input::proposed(&args.policies)?;
    selection.is_there(&cluster.inventory, proposed.as_ref().map(|proposed| &proposed.inventory))?;
    if cluster.inventory.pods.is_empty() && cluster.problems.is_empty() {
        bail!(
            "no pods in the cluster input, so no policy applies to anything: give --cluster a dump of the cluster that was \
             captured, or a kubeconfig for it"
        );
    }
    let traffic = input::traffic(args.flows.all(), log, &cluster.inventory, args.quiet)?;
    let resolved = resolve(&traffic.tracked.flows, &traffic.tracked.names, &cluster.inventory);
    let policies = input::policies(&cluster.inventory, proposed.as_ref().map(|proposed| &proposed.inventory));
    let options = (&args.plugin).into();
    let findings = check(&resolved.graph, policies, proposed.is_some(), &cluster.inventory, options);
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
    let window = traffic.window(&args.flows.reading.window).map(|window| (window.from(), window.to()));
    let declared = expected(&resolved.graph, policies, window, &cluster.inventory);
    let open = unisolated(&resolved.graph, policies, &cluster.inventory);
    let plugins = Platform::of(&cluster.inventory);
    let limits = limits(&plugins, policies, &resolved.graph, &cluster.inventory);
    let touches = |item: &&Expected| {
        let mut ends = item.clients.iter().chain(&item.servers);
        selection.is_everything() || ends.any(|end| selection.touches([end, end], &cluster.inventory))
    };
    let beside = Beside {
        declared: declared.iter().filter(touches).collect(),
        open: open.iter().filter(|open| selection.has(open.workload, &cluster.inventory)).collect(),
        platform: &plugins,
        limits: &limits,
    };
    let exposures = || sorted.shown.iter().filter_map(|(item, found)| Some((item, found.exposure()?)));
    let of_policies = || sorted.shown.iter().filter_map(|(item, found)| Some((item, found.policy()?)));
    match args.output {
        FindingsFormat::Table => {
            let is_above = print(of_policies().map(|(_, finding)| finding), &beside, out)?;
            watchlist::print(exposures().map(|(_, exposure)| exposure), is_above, out)?;
        }
        FindingsFormat::Json => {
            let report = Report {
                findings: of_policies().map(|(item, _)| &*item.details).collect(),
                declared: beside.declared.iter().copied().map(Into::into).collect(),
                not_isolated: beside.open.iter().copied().map(Into::into).collect(),
                platform: platform::entries(&plugins, &limits),
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
    complaint::problems(refused, &mut err)?;
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
        if !args.cluster.clusters.is_empty() {
            writeln!(err, "{}", platform::line(beside.platform))?;
        }
        let awaited: Vec<_> = beside.declared.iter().filter(|item| !item.rules.is_empty()).collect();
        if !awaited.is_empty() {
            let denied = awaited.iter().filter(|item| item.allowed == Some(false)).count();
            let all = awaited.len();
            writeln!(err, "{all} declared connections were not seen, {denied} are denied: see `generate --declared`")?;
        }
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
    } else if limits.iter().any(|finding| finding.limit == Limit::NotEnforced) {
        Exit::Findings
    } else {
        finding::exit(sorted.items())
    })
}

/// A finding in the shape of all outputs; `places` are those of the policies.
pub(crate) fn item(finding: &Finding<'_>, places: &BTreeMap<String, Place>) -> anyhow::Result<Item> {
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
pub(crate) fn places(policies: PolicySet<'_>) -> BTreeMap<String, Place> {
    let network = policies.network.iter().map(AnyPolicy::Network);
    let all = network.chain(policies.cluster.iter().map(AnyPolicy::Cluster));
    all.filter_map(|policy| Some((policy.id(), Place::of(&policy.origin())?))).collect()
}

/// Findings first; uncovered edges are counted by workload. Each kind of thing has a heading of its own. Returns whether
/// there was anything.
fn print<'a>(
    findings: impl Iterator<Item = &'a Finding<'a>>,
    beside: &Beside<'_>,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    let mut lines = Vec::new();
    for finding in findings.filter(|finding| finding.kind != Kind::Uncovered) {
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
    let mut gap = "";
    if !lines.is_empty() {
        table::write(out, ["FINDING", "CLIENT", "SERVER", "PORT", "OUTCOME", "COUNT", "WHY"], &lines)?;
        gap = "\n";
    }
    if !beside.open.is_empty() {
        write!(out, "{gap}")?;
        isolation::table(out, &beside.open)?;
        gap = "\n";
    }
    if !beside.declared.is_empty() {
        write!(out, "{gap}")?;
        expected::table(out, &beside.declared)?;
        gap = "\n";
    }
    if !beside.limits.is_empty() {
        write!(out, "{gap}")?;
        platform::table(out, beside.limits)?;
        gap = "\n";
    }
    Ok(!gap.is_empty())
}
