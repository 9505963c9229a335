//! `ringfence report`: what a person looks at before they merge.
//!
//! ```text
//! arguments -- facts (everything that the other commands would say) -- verdict -- page (--html), comment (--markdown), SARIF
//! ```

mod budget;
mod change;
mod comment;
mod facts;
mod fill;
mod fold;
mod layout;
mod model;
mod page;
mod unseen;
mod verdict;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use synth::check::{check, unisolated};
use synth::completeness::Completeness;
use synth::diff::{self, Observed};
use synth::expected::expected;
use synth::platform::{Platform, limits};
use synth::reach::{Classes, Reach};
use synth::resolve::resolve;
use synth::review::review;
use synth::revision::revision;
use synth::unused::gate::gate;
use synth::unused::unused;
use synth::watchlist::rule::Watchlist;
use synth::watchlist::watch;

use crate::args::ReportArgs;
use crate::exit::Exit;
use crate::ignore::{self, Ignores};
use crate::input::Unnamed;
use crate::watch::Coverage;
use crate::{
    account, captures, catalogue, check, completeness, generate, input, sarif, summary, unused as unused_command,
    watchlist,
};

use facts::{Change, Facts, Found, Names};

/// Runs the command.
pub(crate) fn run(args: &ReportArgs, out: &mut impl Write) -> anyhow::Result<Exit> {
    let outputs = [&args.html, &args.markdown, &args.sarif];
    if outputs.into_iter().flatten().filter(|path| path.as_os_str() == "-").count() > 1 {
        bail!("only one of --html, --markdown and --sarif can go to stdout: give the others a file");
    }
    own_files(args)?;
    let ignores = Ignores::read(&args.ignored.files)?;
    let log = input::logs(args.flows.all())?;
    let cluster = input::cluster_with(&args.cluster, log.as_ref(), Unnamed::Live, args.quiet)?;
    let inventory = &cluster.inventory;
    let proposed = input::proposed(&args.policies)?;
    let base = args.base.as_deref().map(|path| input::side(path, &Default::default())).transpose()?;
    let mut watched = generate::watched(&args.watched, inventory)?;
    let traffic = input::traffic(args.flows.all(), log, inventory, args.quiet)?;
    if args.watched.is_empty() {
        watched.nodes = traffic.nodes.clone().unwrap_or_default();
    }
    let resolved = resolve(&traffic.tracked.flows, &traffic.tracked.names, inventory);
    let graph = &resolved.graph;
    let set = input::policies(inventory, proposed.as_ref().map(|proposed| &proposed.inventory));
    let options = (&args.plugin).into();
    let coverage = Coverage::new(&traffic, &args.flows.reading.window, &resolved.doubts, graph, inventory, watched);
    let asked =
        args.gate.gate(if traffic.only_captures { unused_command::CAPTURES } else { unused_command::RECORDINGS });
    let learned: Option<Completeness> = completeness::measure(graph, &traffic, &args.flows.reading);

    // What the other commands find, as findings of one report.
    let denied = check(graph, set, proposed.is_some(), inventory, options);
    let mut idle = unused(graph, set, proposed.is_some(), inventory, options);
    gate(&mut idle, &asked, &coverage.watch, set, inventory, options);
    let list = Watchlist::built_in()?;
    let watch_options = synth::watchlist::Options { api_clients: args.api_clients.clone() };
    let watched = watch(&list, graph, inventory, &watch_options);
    let places = check::places(set);
    let mut rules = catalogue::check();
    rules.extend(
        catalogue::unused()
            .into_iter()
            .filter(|rule| rules.iter().all(|known| known.id != rule.id))
            .collect::<Vec<_>>(),
    );
    rules.extend(catalogue::exposures(&list));
    rules.push(ignore::rule());
    let mut found = Vec::new();
    for finding in &denied {
        found.push((check::item(finding, &places)?, Found::Edge(finding)));
    }
    for finding in &idle {
        found.push((unused_command::item(finding, set)?, Found::Rule(finding)));
    }
    for finding in &watched.findings {
        found.push((watchlist::item(finding)?, Found::Exposure(finding)));
    }
    let sorted = ignores.sort(&rules, found)?;

    let window = traffic.window(&args.flows.reading.window).map(|window| (window.from(), window.to()));
    let platform = Platform::of(inventory);
    let before = match (&base, &proposed) {
        (Some(base), _) => Some(input::policies(inventory, Some(&base.inventory))),
        (None, Some(_)) => Some(inventory.policy_set()),
        (None, None) => None,
    };
    let classes = before.map(|before| Classes::new(inventory, &[before, set], options));
    let observed = Observed::new(graph, inventory);
    let change = before.zip(classes.as_ref()).map(|(before, classes)| Change {
        before,
        review: review(graph, before, &[], inventory, options),
        revision: revision(before, set),
        diff: diff::policies(&Reach::new(classes, before), &Reach::new(classes, set)),
        stopped: {
            let [old, new] = [before, set].map(|set| inventory.evaluator(set).with_options(options));
            observed.stopped(&old, &new)
        },
    });
    let facts = Facts {
        names: Names::new(args),
        refused: [Some(&cluster), proposed.as_ref(), base.as_ref()]
            .into_iter()
            .flatten()
            .flat_map(|side| &side.problems)
            .map(ToString::to_string)
            .collect(),
        inventory,
        traffic: &traffic,
        doubts: &resolved.doubts,
        graph,
        set,
        proposed: proposed.is_some(),
        review: review(graph, set, &denied, inventory, options),
        found: sorted.shown.iter().map(|(item, found)| (item, *found)).collect(),
        ignored: sorted.hidden.len(),
        ignored_denials: sorted
            .hidden
            .iter()
            .filter(
                |(_, found, _)| matches!(found, Found::Edge(finding) if finding.kind == synth::check::Kind::WouldDeny),
            )
            .count(),
        declared: expected(graph, set, window, inventory),
        open: unisolated(graph, set, inventory),
        limits: limits(&platform, set, graph, inventory),
        coverage: &coverage,
        gate: asked,
        learned: learned.as_ref(),
        observed: &observed,
        change,
    };
    let rows = facts.change.as_ref().map(|change| change::Change::new(&facts, change));
    let verdict = verdict::verdict(&facts, rows.as_ref());
    if let Some(path) = &args.html {
        write_to(path, out, |out| {
            Ok(out.write_all(page::page(&fill::fill(&facts, rows.as_ref(), &verdict))?.as_bytes())?)
        })?;
    }
    if let Some(path) = &args.markdown {
        write_to(path, out, |out| {
            Ok(out.write_all(comment::comment(&facts, rows.as_ref(), &verdict, &args.marker).as_bytes())?)
        })?;
    }
    if let Some(path) = &args.sarif {
        write_to(path, out, |mut out| sarif::write(&mut out, "report", &rules, sorted.items(), sorted.ignored()))?;
    }
    out.flush()?;
    let mut refused = summary::objects(&cluster, proposed.as_ref())?;
    if let Some(base) = &base {
        refused |= summary::objects(base, None)?;
    }
    captures::damage(&traffic)?;
    account::write(args.flows.reading.summary.as_deref(), &traffic, &resolved.doubts, learned.as_ref())?;
    sorted.warn(args.quiet)?;
    if !args.quiet {
        summary::traffic(&traffic, &resolved.doubts, &cluster)?;
        writeln!(io::stderr(), "{}", verdict.headline)?;
    }
    Ok(if refused || traffic.unreadable().is_some() { Exit::Unusable } else { verdict.exit() })
}

/// Refuses outputs that would replace what is read, or each other.
fn own_files(args: &ReportArgs) -> anyhow::Result<()> {
    let flows = args.flows.all();
    let read =
        flows.pcaps.iter().chain(flows.logs).chain(&args.cluster.clusters).chain(&args.policies).chain(&args.base);
    let mut taken: Vec<PathBuf> = read.chain(&args.ignored.files).filter_map(|path| path.canonicalize().ok()).collect();
    for (option, path) in [("--html", &args.html), ("--markdown", &args.markdown), ("--sarif", &args.sarif)] {
        let Some(path) = path.as_ref().filter(|path| path.as_os_str() != "-") else { continue };
        let there = path.canonicalize().unwrap_or_else(|_| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        if taken.contains(&there) {
            bail!("{option} {}: it is read here, or written already", path.display());
        }
        taken.push(there);
    }
    Ok(())
}

/// Writes to a file, or to stdout for `-`.
fn write_to(
    path: &Path,
    out: &mut impl Write,
    write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if path.as_os_str() == "-" {
        return write(out);
    }
    let mut file = BufWriter::new(File::create(path).with_context(|| path.display().to_string())?);
    write(&mut file)?;
    file.flush().with_context(|| path.display().to_string())
}
