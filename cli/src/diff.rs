//! `ringfence diff`: what a change of policies does.

use std::collections::BTreeSet;
use std::io::{self, Write};

use anyhow::bail;
use serde::Serialize;
use synth::diff::{self, Change, Diff, Observed, Side, Stopped};
use synth::endpoint::Workload;
use synth::inventory::{Inventory, Options};
use synth::policy::{Direction, PolicySet};
use synth::reach::{Classes, Reach};
use synth::resolve::resolve;
use synth::witness::{self, Witnesses};

use crate::args::{DiffArgs, DiffFormat};
use crate::exit::Exit;
use crate::input::Cluster;
use crate::input::Unnamed;
use crate::log::Log;
use crate::ports::{Party, Range, ranges};
use crate::row::Row;
use crate::selection::Selection;
use crate::summary::number;
use crate::{account, captures, input, summary, table};

#[derive(Serialize)]
struct Report<'a> {
    gained: Vec<Entry>,
    lost: Vec<Entry>,
    isolated: Vec<Isolation>,
    opened: Vec<Isolation>,
    added: Vec<String>,
    removed: Vec<String>,
    stopped: Vec<Lost<'a>>,
}

#[derive(Serialize)]
struct Entry {
    client: Party,
    server: Party,
    allowed: Vec<Range>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<Range>,
    observed: Option<bool>,
}

#[derive(Serialize)]
struct Isolation {
    workload: String,
    direction: &'static str,
}

/// Observed traffic that the change stops.
#[derive(Serialize)]
struct Lost<'a> {
    edge: Row<'a>,
    policies: &'a [String],
}

/// The two sides, and the pods they are held against.
struct Sides {
    old: Cluster,
    new: Cluster,
    /// The cluster given beside them.
    common: Option<Cluster>,
    /// Pods made up from selectors, where there are no others.
    made_up: Option<Witnesses>,
}

impl Sides {
    fn read(args: &DiffArgs, log: Option<&Log>) -> anyhow::Result<Sides> {
        let options = Options { pod_ranges: args.cluster.pod_ranges.clone() };
        let [old, new] = [&args.old, &args.new].map(|path| input::side(path, &options));
        let (old, new) = (old?, new?);
        let given = !args.cluster.clusters.is_empty() || args.cluster.live.is_asked();
        let read = || input::cluster_with(&args.cluster, log, Unnamed::Nothing, args.quiet);
        let common = given.then(read).transpose()?;
        let made_up = (common.is_none() && old.inventory.pods.is_empty() && new.inventory.pods.is_empty()).then(|| {
            let mut namespaces = old.inventory.namespaces.clone();
            for (name, labels) in new.inventory.namespaces.iter() {
                namespaces.insert(name, labels.clone());
            }
            witness::cluster(&[old.inventory.policy_set(), new.inventory.policy_set()], &namespaces)
        });
        Ok(Sides { old, new, common, made_up })
    }

    /// The cluster that both are held against; `None` where each has its own.
    fn shared(&self) -> Option<&Inventory> {
        let has_pods = |cluster: &Cluster| !cluster.inventory.pods.is_empty();
        if let Some(made_up) = &self.made_up {
            return Some(&made_up.inventory);
        }
        match &self.common {
            Some(cluster) => Some(&cluster.inventory),
            None if !has_pods(&self.new) => Some(&self.old.inventory),
            None if !has_pods(&self.old) || alike(&self.old.inventory, &self.new.inventory) => {
                Some(&self.new.inventory)
            }
            None => None,
        }
    }
}

impl Sides {
    /// The policies of a side. Cluster-wide policies of the common cluster stay in force where neither side has any.
    fn policies<'a>(&'a self, side: &'a Cluster) -> PolicySet<'a> {
        let neither = [&self.old, &self.new].iter().all(|side| side.inventory.cluster_policies.is_empty());
        match &self.common {
            Some(common) if neither => input::policies(&common.inventory, Some(&side.inventory)),
            _ => side.inventory.policy_set(),
        }
    }
}

/// Whether two clusters differ in nothing that policies look at.
fn alike(a: &Inventory, b: &Inventory) -> bool {
    a.pods == b.pods && a.namespaces == b.namespaces && a.nodes == b.nodes
}

/// Runs the command.
pub(crate) fn run(args: &DiffArgs, out: &mut impl Write) -> anyhow::Result<Exit> {
    let selection = Selection::new(&args.selected)?;
    let flows = args.flows.any();
    let log = flows.map(input::logs).transpose()?.flatten();
    let sides = Sides::read(args, log.as_ref())?;
    let shared = sides.shared();
    // Traffic was seen before the change.
    let cluster = shared.unwrap_or(&sides.old.inventory);
    selection.is_there(cluster, Some(&sides.new.inventory))?;
    if flows.is_some() && sides.made_up.is_some() {
        bail!("what was observed can only be told of pods: give --cluster a dump of the cluster that was captured");
    }
    let (old, new) = (sides.policies(&sides.old), sides.policies(&sides.new));
    let options = (&args.plugin).into();
    let traffic = flows.map(|flows| input::traffic(flows, log, cluster, args.quiet)).transpose()?;
    let resolved = traffic.as_ref().map(|traffic| resolve(&traffic.tracked.flows, &traffic.tracked.names, cluster));
    let observed = resolved.as_ref().map(|resolved| Observed::new(&resolved.graph, cluster));
    let stopped: Vec<Stopped<'_>> = observed
        .iter()
        .flat_map(|observed| {
            let [old, new] = [old, new].map(|set| cluster.evaluator(set).with_options(options));
            observed.stopped(&old, &new)
        })
        .filter(|stopped| selection.touches([&stopped.edge.key.client, &stopped.edge.key.server], cluster))
        .collect();
    let mut report = |diff: Diff<'_>| -> anyhow::Result<()> {
        let diff = selected(diff, &selection, cluster);
        match args.output {
            DiffFormat::Table => print(&diff, observed.as_ref(), &stopped, out),
            DiffFormat::Json => json(&diff, observed.as_ref(), &stopped, out),
        }
    };
    match shared {
        Some(inventory) => {
            let classes = Classes::new(inventory, &[old, new], options);
            report(diff::policies(&Reach::new(&classes, old), &Reach::new(&classes, new)))?;
        }
        None => {
            let [before, after] = [(&sides.old, old), (&sides.new, new)]
                .map(|(side, set)| (Classes::new(&side.inventory, &[set], options), set));
            report(diff::clusters(&Reach::new(&before.0, before.1), &Reach::new(&after.0, after.1)))?;
        }
    }
    out.flush()?;
    let mut refused = summary::objects(&sides.old, Some(&sides.new))?;
    if let Some(common) = &sides.common {
        refused |= summary::objects(common, None)?;
    }
    if let (Some(traffic), Some(resolved)) = (&traffic, &resolved) {
        account::write(args.flows.reading.summary.as_deref(), traffic, &resolved.doubts, None)?;
        refused |= traffic.unreadable().is_some();
        captures::damage(traffic)?;
        if !args.quiet {
            summary::traffic(traffic, &resolved.doubts, sides.common.as_ref().unwrap_or(&sides.old))?;
        }
    }
    if !args.quiet {
        summary::unused(&sides.old, Some(&sides.new))?;
        if sides.made_up.is_none() && (old.selects_nodes() || new.selects_nodes()) {
            writeln!(
                io::stderr(),
                "warning: policies select nodes; only those with pods on their network are compared: an empty diff does not prove that nothing changes"
            )?;
        }
        let (before, after) = (number(old.len() as u64), number(new.len() as u64));
        let pods = number(cluster.pods.len() as u64);
        let mut err = io::stderr().lock();
        match &sides.made_up {
            None => writeln!(err, "{before} policies before, {after} after, held against {pods} pods")?,
            Some(made_up) => {
                writeln!(
                    err,
                    "{before} policies before, {after} after; no pods in the input: held against {pods} kinds of pods made up from the selectors, each named after the labels that matter"
                )?;
                for (name, port) in &made_up.ports {
                    writeln!(err, "port {port} stands for the port named {name}")?;
                }
                if !made_up.complete {
                    writeln!(
                        err,
                        "warning: there is more that the selectors could tell apart (too many combinations, or nodes): an empty diff does not prove that nothing changes"
                    )?;
                }
            }
        }
        if observed.is_some() {
            writeln!(err, "{} observed edges would be stopped", number(stopped.len() as u64))?;
        }
    }
    Ok(match (refused, stopped.is_empty()) {
        (true, _) => Exit::Unusable,
        (false, true) => Exit::Fine,
        (false, false) => Exit::Findings,
    })
}

/// Leaves the changes that touch a workload asked for.
fn selected<'a>(mut diff: Diff<'a>, selection: &Selection, inventory: &Inventory) -> Diff<'a> {
    if selection.is_everything() {
        return diff;
    }
    let has = |side: &Side<'_>| matches!(side, Side::Workload(workload) if selection.has(workload, inventory));
    let touched = |change: &Change<'_>| has(&change.client) || has(&change.server);
    diff.gained.retain(touched);
    diff.lost.retain(touched);
    for set in [&mut diff.isolated, &mut diff.opened] {
        set.retain(|(workload, _)| selection.has(workload, inventory));
    }
    for set in [&mut diff.added, &mut diff.removed] {
        set.retain(|workload| selection.has(workload, inventory));
    }
    diff
}

fn json(
    diff: &Diff<'_>,
    observed: Option<&Observed<'_>>,
    stopped: &[Stopped<'_>],
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let names = |workloads: &BTreeSet<&Workload>| workloads.iter().map(ToString::to_string).collect();
    let isolation = |set: &BTreeSet<(&Workload, Direction)>| {
        let entry = |(workload, direction): &(&Workload, Direction)| Isolation {
            workload: workload.to_string(),
            direction: direction.name(),
        };
        set.iter().map(entry).collect()
    };
    let report = Report {
        gained: diff.gained.iter().flat_map(|change| entries(change, observed)).collect(),
        lost: diff.lost.iter().flat_map(|change| entries(change, observed)).collect(),
        isolated: isolation(&diff.isolated),
        opened: isolation(&diff.opened),
        added: names(&diff.added),
        removed: names(&diff.removed),
        stopped: stopped
            .iter()
            .map(|stopped| Lost {
                edge: Row::new(stopped.edge, stopped.outcome, stopped.evidence),
                policies: &stopped.policies,
            })
            .collect(),
    };
    serde_json::to_writer(&mut *out, &report)?;
    writeln!(out)?;
    Ok(())
}

/// One entry for each range outside, and whether something was observed in just that range.
fn entries(change: &Change<'_>, observed: Option<&Observed<'_>>) -> Vec<Entry> {
    change
        .by_range()
        .map(|part| Entry {
            client: party(&part.client),
            server: party(&part.server),
            allowed: ranges(&part.allowed),
            unknown: ranges(&part.unknown),
            observed: observed.map(|observed| observed.touches(&part)),
        })
        .collect()
}

fn party(side: &Side<'_>) -> Party {
    match side {
        Side::Workload(workload) => Party::Name(workload.to_string()),
        Side::Outside(set) => Party::Outside { cidr: set.to_string() },
    }
}

fn print(
    diff: &Diff<'_>,
    observed: Option<&Observed<'_>>,
    stopped: &[Stopped<'_>],
    out: &mut impl Write,
) -> anyhow::Result<()> {
    for stopped in stopped {
        let (count, policies) = (number(stopped.evidence.connections), stopped.policies.join(", "));
        writeln!(out, "! stops {}, seen {count} times: denied by {policies}", stopped.edge.key)?;
    }
    for (sign, changes) in [("-", &diff.lost), ("+", &diff.gained)] {
        let lines: Vec<[String; 5]> = changes.iter().map(|change| line(sign, change, observed)).collect();
        for line in table::aligned(&lines) {
            writeln!(out, "{line}")?;
        }
    }
    for (words, set) in [("newly isolated for", &diff.isolated), ("no longer isolated for", &diff.opened)] {
        for (workload, direction) in set {
            writeln!(out, "~ {workload} is {words} {direction}")?;
        }
    }
    for (words, set) in [("is new", &diff.added), ("is gone", &diff.removed)] {
        for workload in set {
            writeln!(out, "~ {workload} {words}")?;
        }
    }
    Ok(())
}

fn line(sign: &str, change: &Change<'_>, observed: Option<&Observed<'_>>) -> [String; 5] {
    let mut ports: Vec<String> = Vec::new();
    if !change.allowed.is_empty() {
        ports.push(change.allowed.to_string());
    }
    if !change.unknown.is_empty() {
        ports.push(format!("perhaps, it depends on a domain name: {}", change.unknown));
    }
    let seen = match observed.map(|observed| observed.touches(change)) {
        Some(true) => "observed",
        Some(false) => "not observed",
        None => "",
    };
    let (client, server) = (change.client.to_string(), change.server.to_string());
    [sign.to_string(), client, format!("-> {server}"), ports.join("; "), seen.to_string()]
}
