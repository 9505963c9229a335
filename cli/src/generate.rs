//! `ringfence generate`: policies that allow exactly what was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use anyhow::{Context, bail};
use synth::carry::{Carried, Mapping, carry};
use synth::expected::awaited_edges;
use synth::graph::Edge;
use synth::inventory::Inventory;
use synth::learn::{Choices, Reason, Watched, exclusion, known_from_the_middle, left_out, seen_from_peers_only};
use synth::platform::{Platform, limits};
use synth::policy::{Direction, Policy};
use synth::prove::{Proof, prove};
use synth::render::render;
use synth::resolve::resolve;
use synth::synthesize::{Options, Plan, Planned, synthesize};

use crate::args::GenerateArgs;
use crate::complaint::{Code, Complain, has_colour};
use crate::directory::{Directory, Scope, Wanted};
use crate::exit::Exit;
use crate::input::Unnamed;
use crate::selection::Selection;
use crate::summary::{self, number};
use crate::{account, cluster, completeness, declared, input};

/// Edges named one by one in each list of the summary.
const NAMED: usize = 5;

/// Runs the command.
pub(crate) fn run(args: &GenerateArgs, out: &mut impl Write) -> anyhow::Result<Exit> {
    let to_stdout = args.output.as_os_str() == "-";
    let about_files = [
        (args.check, "--check compares with files"),
        (args.refresh_evidence, "--refresh-evidence rewrites files"),
        (args.kustomize, "--kustomize lists files"),
    ];
    if let Some((_, what)) = about_files.into_iter().find(|(given, _)| *given && to_stdout) {
        bail!("{what}: it needs -o DIR");
    }
    let selection = Selection::new(&args.selected)?;
    let exclude = declared::read(&args.exclude)?;
    let include = declared::read(&args.include)?;
    if args.cluster.clusters.is_empty() && !args.cluster.live.is_asked() && !cluster::is_there() {
        bail!(
            "policies select pods by label: give the cluster's objects with --cluster FILE, or a kubeconfig (KUBECONFIG, \
             --kubeconfig, --context) to read them from the live cluster"
        );
    }
    let directory = if to_stdout {
        None
    } else {
        Some(Directory::read(&args.output, &args.cluster.clusters).complain(Code::Manifest, || {
            "mend the files that are named, or move them out of the directory".to_string()
        })?)
    };
    let log = input::logs(args.flows.all())?;
    let cluster = input::cluster_with(&args.cluster, log.as_ref(), Unnamed::Live, args.quiet)?;
    if directory.is_none() {
        // What a directory holds may be of pods that are gone.
        selection.is_there(&cluster.inventory, None)?;
    }
    let mapping = match args.mapped.as_slice() {
        [] => None,
        pairs => Some(Mapping::new(pairs, &cluster.inventory).context("--map-namespace")?),
    };
    let mut watched = watched(&args.watched, &cluster.inventory)?;
    let traffic = input::traffic(args.flows.all(), log, &cluster.inventory, args.quiet)?;
    if args.watched.is_empty() {
        watched.nodes = traffic.nodes.clone().unwrap_or_default();
    }
    let resolved = resolve(&traffic.tracked.flows, &traffic.tracked.names, &cluster.inventory);
    let options = Options {
        choices: Choices { allow_metadata: args.allow_metadata, exclude },
        include,
        awaited: awaited_edges(&resolved.graph, &cluster.inventory, |kind| {
            args.declared.iter().any(|asked| asked.has(kind))
        }),
        watched,
        default_deny: args.default_deny,
        dns_for_all: args.dns_for_all,
        kept: directory.as_ref().map(|directory| directory.kept(mapping.as_ref())).unwrap_or_default(),
    };
    let plan = synthesize(&resolved, &cluster.inventory, &options);
    let mut proof = prove(&plan, &resolved.graph, &cluster.inventory, &options.choices);
    let left = left_out(&resolved.graph, &cluster.inventory, &options.choices);
    let chosen: Vec<&Planned> = plan
        .policies
        .iter()
        .filter(|planned| match planned.workloads.first() {
            Some(workload) => selection.has(workload, &cluster.inventory),
            None => {
                args.selected.selector.is_none()
                    && args.selected.namespace.as_ref().is_none_or(|namespace| *namespace == planned.policy.namespace)
            }
        })
        .collect();
    summary::input(&cluster, &traffic, &resolved.doubts, args.quiet)?;
    let learned = completeness::measure(&resolved.graph, &traffic, &args.flows.reading);
    completeness::print(learned.as_ref(), args.quiet)?;
    account::write(args.flows.reading.summary.as_deref(), &traffic, &resolved.doubts, learned.as_ref())?;
    let carried = mapping.as_ref().map(|mapping| carry(&chosen, mapping, &cluster.inventory));
    proof.broken.extend(carried.iter().flat_map(|carried| carried.broken.iter().cloned()));
    if !proof.holds() {
        report_failure(&proof)?;
        return Ok(Exit::Findings);
    }
    // What is handed out; the rest of the report is in the learning cluster's terms.
    let given: Vec<&Planned> = match &carried {
        Some(carried) => carried.policies.iter().collect(),
        None => chosen.clone(),
    };
    let mut changed = false;
    if let Some(directory) = &directory {
        let wanted = Wanted {
            policies: &given,
            refresh: args.refresh_evidence,
            kustomize: args.kustomize,
            inventory: mapping.is_none().then_some(&cluster.inventory),
        };
        let scope = Scope {
            selection: &selection,
            inventory: &cluster.inventory,
            mapping: mapping.as_ref(),
            plan: &plan,
            watched: &options.watched,
            is_complete: cluster.problems.is_empty() && traffic.unreadable().is_none(),
            fits: !resolved.doubts.is_of_another(),
        };
        let changes = directory.plan(wanted, &scope)?;
        if !args.quiet {
            changes.show(&mut io::stderr().lock(), has_colour())?;
        }
        changed = args.check && !changes.is_empty();
        if !args.check {
            changes.write()?;
        }
    } else {
        for planned in &given {
            write!(out, "---\n{}", render(planned))?;
        }
        out.flush()?;
    }
    if !args.quiet {
        report(&plan, &proof, &left, &options.choices, &cluster.inventory, given.len())?;
        carried.as_ref().map(report_carried).transpose()?;
        let written: Vec<Policy> = chosen.iter().map(|planned| planned.policy.clone()).collect();
        let platform = Platform::of(&cluster.inventory);
        for limit in limits(&platform, (&written).into(), &resolved.graph, &cluster.inventory) {
            writeln!(io::stderr(), "warning: {}: {} [{}]", limit.limit.name(), limit.message, limit.source)?;
        }
        let middle = known_from_the_middle(&resolved.graph, &cluster.inventory, &options.choices);
        if !middle.is_empty() {
            let names: Vec<String> = middle.iter().map(ToString::to_string).collect();
            writeln!(
                io::stderr(),
                "with connections older than the recording, of which only the middle was seen: {}",
                names.join(", ")
            )?;
        }
        let from_peers = seen_from_peers_only(&resolved.graph, &cluster.inventory);
        if !from_peers.is_empty() {
            let names: Vec<String> = from_peers.iter().map(ToString::to_string).collect();
            writeln!(
                io::stderr(),
                "seen only from their peers, as if their nodes had not been captured: {}",
                names.join(", ")
            )?;
        }
    }
    let any_learned = plan.policies.iter().any(|planned| !planned.workloads.is_empty());
    Ok(if !cluster.problems.is_empty() || traffic.unreadable().is_some() {
        Exit::Unusable
    } else if !any_learned {
        Exit::Insufficient
    } else if changed {
        Exit::Findings
    } else {
        Exit::Fine
    })
}

/// `--watched`: a label selector where it has an operator, else a node or a namespace of the cluster input.
pub(crate) fn watched(values: &[String], inventory: &Inventory) -> anyhow::Result<Watched> {
    let mut watched = Watched::default();
    for value in values {
        let is_node = inventory.nodes.contains_key(value);
        let is_namespace = inventory.namespaces.labels(value).is_some();
        if let Some(node) = value.strip_prefix("node/") {
            watched.nodes.push(node.to_string());
        } else if let Some(namespace) = value.strip_prefix("namespace/") {
            watched.namespaces.push(namespace.to_string());
        } else if is_node && is_namespace {
            bail!(
                "--watched {value}: both a node and a namespace have this name; write node/{value} or namespace/{value}"
            );
        } else if is_node {
            watched.nodes.push(value.clone());
        } else if is_namespace {
            watched.namespaces.push(value.clone());
        } else if value.contains(['=', '(', '!']) {
            watched.selectors.push(value.parse().context("--watched")?);
        } else {
            bail!(
                "--watched {value}: no node and no namespace of the cluster input has this name, and a label selector has an operator"
            );
        }
    }
    Ok(watched)
}

/// What carrying policies to another cluster leaves to look at.
fn report_carried(carried: &Carried) -> anyhow::Result<()> {
    let mut err = io::stderr().lock();
    let policies = number(carried.policies.len() as u64);
    writeln!(err, "gate: {policies} policies, their namespaces renamed back, are what was proved")?;
    for finding in &carried.findings {
        writeln!(err, "warning: {finding}")?;
    }
    if !carried.left.is_empty() {
        let names = carried.left.iter().cloned().collect::<Vec<_>>().join(", ");
        writeln!(err, "not written, no --map-namespace names them (NAME=NAME keeps the name): {names}")?;
    }
    Ok(())
}

fn report_failure(proof: &Proof) -> anyhow::Result<()> {
    let mut err = io::stderr().lock();
    writeln!(err, "error: the policies do not pass the gate, so nothing is written; this is a defect of ringfence:")?;
    for broken in &proof.broken {
        writeln!(err, "  {broken}")?;
    }
    for denied in &proof.denied {
        writeln!(err, "  denied although seen: {denied}")?;
    }
    Ok(())
}

fn report(
    plan: &Plan,
    proof: &Proof,
    left: &BTreeMap<Reason, Vec<&Edge>>,
    choices: &Choices,
    inventory: &Inventory,
    written: usize,
) -> anyhow::Result<()> {
    let mut err = io::stderr().lock();
    let workloads: usize = plan.policies.iter().map(|planned| planned.workloads.len()).sum();
    let rules: usize = plan
        .policies
        .iter()
        .flat_map(|planned| Direction::ALL.map(|direction| planned.policy.rules(direction).map_or(0, <[_]>::len)))
        .sum();
    let of = inventory.workloads.values().filter(|info| !info.host_network).count();
    writeln!(err, "{written} policies; {workloads} of {of} workloads isolated, {rules} rules")?;
    writeln!(err, "gate: {} edges replayed, none denied", number(proof.replayed))?;
    writeln!(
        err,
        "tightness: {} of {} pairs of pods may talk, {} were seen to",
        number(proof.tightness.allowed),
        number(proof.tightness.all),
        number(proof.tightness.observed)
    )?;
    for (reason, edges) in left {
        let connections: u64 =
            edges.iter().flat_map(|edge| edge.outcomes.values()).map(|evidence| evidence.connections).sum();
        writeln!(
            err,
            "left out, {}: {} edges, {} connections",
            reason.text(),
            number(edges.len() as u64),
            number(connections)
        )?;
        for edge in edges.iter().take(NAMED) {
            match exclusion(edge, choices) {
                Some(declared) => writeln!(err, "  {}  # {}", edge.key, declared.reason)?,
                None => writeln!(err, "  {}", edge.key)?,
            }
        }
        if edges.len() > NAMED {
            writeln!(err, "  ... and {} more", number((edges.len() - NAMED) as u64))?;
        }
    }
    let list = |items: &[String]| items.join(", ");
    let names =
        |workloads: &[synth::endpoint::Workload]| list(&workloads.iter().map(ToString::to_string).collect::<Vec<_>>());
    for group in &plan.merged {
        writeln!(err, "warning: no label tells these apart, so they share one policy: {}", names(group))?;
    }
    for denied in &proof.denied_before {
        writeln!(err, "warning: seen although policies of the cluster deny it: {denied}")?;
    }
    for edge in &proof.excluded_but_allowed {
        writeln!(
            err,
            "warning: excluded, but allowed all the same, because no label tells its ends from others: {edge}"
        )?;
    }
    let is_used = |declared: &&synth::declare::Declared| {
        let mut excluded = left.get(&Reason::Excluded).into_iter().flatten();
        excluded.any(|edge| declared.matches(&edge.key))
    };
    for declared in choices.exclude.iter().filter(|declared| !is_used(declared)) {
        writeln!(err, "warning: {}: no observed edge is that one, so nothing is excluded", declared.origin)?;
    }
    for finding in &plan.findings {
        writeln!(err, "warning: {finding}")?;
    }
    if !plan.silent.is_empty() {
        writeln!(err, "no policy, nothing seen that makes a rule: {}", names(&plan.silent))?;
    }
    if !plan.unwatched.is_empty() {
        writeln!(err, "no policy, not watched: {}", names(&plan.unwatched))?;
    }
    let mut one_directed: BTreeMap<Direction, BTreeSet<String>> = BTreeMap::new();
    for (workload, direction) in &plan.one_directed {
        one_directed.entry(*direction).or_default().insert(workload.to_string());
    }
    for (direction, workloads) in one_directed {
        writeln!(
            err,
            "isolated without any {direction} rule, none was seen: {}",
            list(&workloads.into_iter().collect::<Vec<_>>())
        )?;
    }
    if !plan.without_dns.is_empty() {
        writeln!(
            err,
            "not seen asking for names, so not allowed to (--dns-for-all allows it): {}",
            names(&plan.without_dns)
        )?;
    }
    Ok(())
}
