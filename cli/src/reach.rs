//! `ringfence reach`: who can reach whom.

use std::io::{self, Write};
use std::rc::Rc;

use anyhow::bail;
use rustc_hash::FxHashMap;
use serde::Serialize;
use synth::addresses::AddressSet;
use synth::exposure;
use synth::reach::listing::{self, Addresses, Listing, Name};
use synth::reach::summary::Summary;
use synth::reach::{Classes, Reach, Row};

use crate::args::{Granularity, ReachArgs, ReachFormat};
use crate::drawing::{self, Arrow, Node};
use crate::exit::Exit;
use crate::input::Unnamed;
use crate::ports::{Party, Range, ranges};
use crate::selection::Selection;
use crate::summary::number;
use crate::{input, summary, table};

/// One row.
struct Pair<'l, 'a> {
    client: End<'l, 'a>,
    server: End<'l, 'a>,
    ports: &'l listing::Ports,
}

enum End<'l, 'a> {
    Unit(Name<'a>),
    Outside(&'l AddressSet),
}

#[derive(Serialize)]
struct Entry {
    client: Party,
    server: Party,
    allowed: Vec<Range>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    partly: Vec<Range>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<Range>,
}

/// Runs the command.
pub(crate) fn run(args: &ReachArgs, out: &mut impl Write) -> anyhow::Result<Exit> {
    let selection = Selection::new(&args.selected)?;
    let cluster = input::cluster(&args.cluster, Unnamed::Live, args.quiet)?;
    let proposed = input::proposed(&args.policies)?;
    let inventory = &cluster.inventory;
    selection.is_there(inventory, proposed.as_ref().map(|proposed| &proposed.inventory))?;
    let set = input::policies(inventory, proposed.as_ref().map(|proposed| &proposed.inventory));
    if args.exposure {
        let mut exposures = exposure::analyse(set, inventory, (&args.plugin).into());
        exposures.retain(|exposure| selection.has(&exposure.workload, inventory));
        match args.output {
            ReachFormat::Table => crate::exposure::table(out, &exposures, set, inventory)?,
            ReachFormat::Json => crate::exposure::json(out, &exposures, set, inventory)?,
            _ => bail!("--exposure is a table or -o json"),
        }
        out.flush()?;
        let refused = summary::objects(&cluster, proposed.as_ref())?;
        return Ok(if refused { Exit::Unusable } else { Exit::Fine });
    }
    let classes = Classes::new(inventory, &[set], (&args.plugin).into());
    let reach = Reach::new(&classes, set);
    let granularity = match args.granularity {
        Granularity::Pod => listing::Granularity::Pod,
        Granularity::Workload => listing::Granularity::Workload,
    };
    let listing = Listing::new(&classes, granularity);
    let asked = |pair: &Pair<'_, '_>| {
        let has = |end: &End<'_, '_>| matches!(end, End::Unit(name) if selection.has(name.workload(), inventory));
        selection.is_everything() || has(&pair.client) || has(&pair.server)
    };
    let mut listed = 0;
    let mut lines = Vec::new();
    let mut arrows = Vec::new();
    if args.output != ReachFormat::Summary {
        each(&reach, &listing, |pair| {
            if !asked(&pair) {
                return Ok(());
            }
            listed += 1;
            match args.output {
                ReachFormat::Table => lines.push(line(&pair)),
                ReachFormat::Json => json(&pair, out)?,
                ReachFormat::Dot | ReachFormat::Mermaid => arrows.push(arrow(&pair)),
                ReachFormat::Summary => {}
            }
            Ok(())
        })?;
    }
    match args.output {
        ReachFormat::Table if !lines.is_empty() => table::write(out, ["CLIENT", "SERVER", "PORTS"], &lines)?,
        ReachFormat::Dot => drawing::dot("reach", &arrows, out)?,
        ReachFormat::Mermaid => drawing::mermaid(&arrows, out)?,
        ReachFormat::Summary => numbers(&Summary::of(&reach), out)?,
        _ => {}
    }
    out.flush()?;
    let refused = summary::objects(&cluster, proposed.as_ref())?;
    if !args.quiet && set.selects_nodes() {
        writeln!(
            io::stderr(),
            "nodes are listed by the pods on their network; of others, ask `explain POD ADDRESS:PORT`"
        )?;
    }
    if !args.quiet {
        summary::unused(&cluster, proposed.as_ref())?;
        let mut err = io::stderr().lock();
        let pods: usize = (0..classes.len() as u32).map(|class| classes.pods(class).len()).sum();
        writeln!(
            err,
            "{} pods of {} kinds that {} policies tell apart{}",
            number(pods as u64),
            number((0..classes.len() as u32).filter(|class| !classes.pods(*class).is_empty()).count() as u64),
            number(set.len() as u64),
            if args.output == ReachFormat::Summary {
                String::new()
            } else {
                format!(", {} pairs listed", number(listed))
            }
        )?;
    }
    Ok(if refused { Exit::Unusable } else { Exit::Fine })
}

/// Every pair, by client and then by server, those outside last.
fn each<'a>(
    reach: &Reach<'a>,
    listing: &Listing<'a>,
    mut found: impl FnMut(Pair<'_, 'a>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    // Workloads of one class come up together often enough, and rows are small.
    let mut rows: FxHashMap<u32, Rc<Row>> = FxHashMap::default();
    let mut addresses = Addresses::new(reach.classes());
    for client in 0..listing.len() {
        let mut row = |class: u32| Rc::clone(rows.entry(class).or_insert_with(|| Rc::new(reach.row(class))));
        let name = listing.name(client);
        for (server, ports) in listing.pairs(client, &mut row) {
            found(Pair { client: End::Unit(name), server: End::Unit(listing.name(server)), ports: &ports })?;
        }
        for (ports, set) in listing.to_outside(client, &mut row, &mut addresses) {
            found(Pair { client: End::Unit(name), server: End::Outside(&set), ports: &ports })?;
        }
    }
    for (server, sets) in listing.from_outside(|class| Rc::new(reach.row(class))) {
        for (ports, set) in &sets {
            found(Pair { client: End::Outside(set), server: End::Unit(listing.name(server)), ports })?;
        }
    }
    Ok(())
}

fn json(pair: &Pair<'_, '_>, out: &mut impl Write) -> anyhow::Result<()> {
    let parties = |end: &End<'_, '_>| -> Vec<String> {
        match end {
            End::Unit(name) => vec![name.to_string()],
            End::Outside(set) => set.cidrs().map(|net| net.to_string()).collect(),
        }
    };
    let party = |end: &End<'_, '_>, text: &String| match end {
        End::Unit(_) => Party::Name(text.clone()),
        End::Outside(_) => Party::Outside { cidr: text.clone() },
    };
    for client in parties(&pair.client) {
        for server in parties(&pair.server) {
            let entry = Entry {
                client: party(&pair.client, &client),
                server: party(&pair.server, &server),
                allowed: ranges(&pair.ports.allowed),
                partly: ranges(&pair.ports.partly),
                unknown: ranges(&pair.ports.unknown),
            };
            serde_json::to_writer(&mut *out, &entry)?;
            writeln!(out)?;
        }
    }
    Ok(())
}

/// The ports in words.
pub(crate) fn words(ports: &listing::Ports) -> String {
    let mut words = Vec::new();
    if !ports.allowed.is_empty() {
        words.push(ports.allowed.to_string());
    }
    if !ports.partly.is_empty() {
        let which = if ports.partly == ports.allowed { String::new() } else { format!("{}: ", ports.partly) };
        words.push(format!("({which}not between all of their pods)"));
    }
    if !ports.unknown.is_empty() {
        words.push(format!("unknown, depends on a domain name: {}", ports.unknown));
    }
    words.join(" ")
}

fn text(end: &End<'_, '_>) -> String {
    match end {
        End::Unit(name) => name.to_string(),
        End::Outside(set) => set.to_string(),
    }
}

fn line(pair: &Pair<'_, '_>) -> [String; 3] {
    [text(&pair.client), text(&pair.server), words(pair.ports)]
}

fn arrow(pair: &Pair<'_, '_>) -> Arrow {
    let node = |end: &End<'_, '_>| match end {
        End::Unit(Name::Pod(pod)) => Node { group: pod.namespace.clone(), id: text(end), label: pod.name.clone() },
        End::Unit(Name::Workload(workload)) => Node {
            group: workload.namespace.clone(),
            id: text(end),
            label: format!("{} {}", workload.kind, workload.name),
        },
        End::Outside(_) => Node { group: String::new(), id: text(end), label: text(end) },
    };
    let dashed = pair.ports.allowed.is_empty() || !pair.ports.partly.is_empty();
    Arrow { from: node(&pair.client), to: node(&pair.server), label: words(pair.ports), dashed }
}

fn numbers(summary: &Summary, out: &mut impl Write) -> anyhow::Result<()> {
    let share = |part: u64, all: u64| {
        let percent = if all == 0 { 0.0 } else { part as f64 * 100.0 / all as f64 };
        format!("{} ({percent:.2} %)", number(part))
    };
    let Summary { pods, pairs, .. } = *summary;
    for (what, value) in [
        ("pods", number(pods)),
        ("kinds of pods that policies tell apart", number(summary.classes)),
        ("pods isolated for ingress", share(summary.isolated_ingress, pods)),
        ("pods isolated for egress", share(summary.isolated_egress, pods)),
        ("ordered pairs of pods", number(pairs)),
        ("pairs allowed on some port", share(summary.allowed, pairs)),
        ("pairs allowed on every port", share(summary.open, pairs)),
        ("pairs that depend on a domain name", share(summary.unknown, pairs)),
        ("pods that some outside address may connect to", share(summary.from_outside, pods)),
        ("pods that may connect to some outside address", share(summary.to_outside, pods)),
    ] {
        writeln!(out, "{what:46}  {value}")?;
    }
    Ok(())
}
