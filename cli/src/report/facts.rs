//! Everything that is known before anything is written.

use std::path::PathBuf;

use synth::check::{self, Unisolated};
use synth::completeness::Completeness;
use synth::diff::{Diff, Observed, Stopped};
use synth::endpoint::Endpoint;
use synth::expected::Expected;
use synth::graph::Graph;
use synth::inventory::Inventory;
use synth::policy::PolicySet;
use synth::resolve::Doubts;
use synth::review::Review;
use synth::revision::Revision;
use synth::unused::{self, gate::Gate};
use synth::{platform, watchlist};

use crate::args::ReportArgs;
use crate::finding::Item;
use crate::input::Traffic;
use crate::watch::Coverage;

/// What a finding is of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found<'a> {
    /// An edge and the policies.
    Edge(&'a check::Finding<'a>),
    /// A part of a policy.
    Rule(&'a unused::Finding),
    /// Traffic that deserves a look.
    Exposure(&'a watchlist::Finding<'a>),
}

/// How the input was named.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) title: Option<String>,
    pub(super) flows: Vec<String>,
    pub(super) cluster: Vec<String>,
    pub(super) policies: Vec<String>,
}

impl Names {
    pub(super) fn new(args: &ReportArgs) -> Names {
        let names = |paths: &[PathBuf]| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        let flows = args.flows.all();
        Names {
            title: args.title.clone(),
            flows: names(flows.pcaps).into_iter().chain(names(flows.logs)).collect(),
            cluster: names(&args.cluster.clusters),
            policies: names(&args.policies),
        }
    }
}

/// What proposed policies change.
pub(super) struct Change<'a> {
    /// The policies that they replace.
    pub(super) before: PolicySet<'a>,
    /// Those held against what was seen.
    pub(super) review: Review<'a>,
    pub(super) revision: Revision,
    pub(super) diff: Diff<'a>,
    /// Observed edges that it stops.
    pub(super) stopped: Vec<Stopped<'a>>,
}

/// Everything.
pub(super) struct Facts<'a> {
    pub(super) names: Names,
    /// Objects of all sides that could not be read, or that the API server would refuse: places and messages.
    pub(super) refused: Vec<String>,
    pub(super) inventory: &'a Inventory,
    pub(super) traffic: &'a Traffic,
    pub(super) doubts: &'a Doubts,
    pub(super) graph: &'a Graph,
    /// The policies that the report is about.
    pub(super) set: PolicySet<'a>,
    /// Whether they are in the cluster yet.
    pub(super) proposed: bool,
    pub(super) review: Review<'a>,
    /// Findings that nobody ignores.
    pub(super) found: Vec<(&'a Item, Found<'a>)>,
    /// How many somebody does.
    pub(super) ignored: usize,
    /// How many of these are edges that would be denied.
    pub(super) ignored_denials: usize,
    pub(super) declared: Vec<Expected>,
    pub(super) open: Vec<Unisolated<'a>>,
    pub(super) limits: Vec<platform::Finding>,
    pub(super) coverage: &'a Coverage,
    pub(super) gate: Gate,
    pub(super) learned: Option<&'a Completeness>,
    pub(super) observed: &'a Observed<'a>,
    pub(super) change: Option<Change<'a>>,
}

impl<'a> Facts<'a> {
    /// Findings about edges.
    pub(super) fn edges(&self) -> impl Iterator<Item = &'a check::Finding<'a>> + '_ {
        self.found.iter().filter_map(|(_, found)| match found {
            Found::Edge(finding) => Some(*finding),
            _ => None,
        })
    }

    /// Findings about parts of policies.
    pub(super) fn rules(&self) -> impl Iterator<Item = &'a unused::Finding> + '_ {
        self.found.iter().filter_map(|(_, found)| match found {
            Found::Rule(finding) => Some(*finding),
            _ => None,
        })
    }

    /// Traffic that deserves a look.
    pub(super) fn exposures(&self) -> impl Iterator<Item = &'a watchlist::Finding<'a>> + '_ {
        self.found.iter().filter_map(|(_, found)| match found {
            Found::Exposure(finding) => Some(*finding),
            _ => None,
        })
    }

    /// Whether anything at all was seen of a workload.
    pub(super) fn was_seen(&self, workload: &synth::endpoint::Workload) -> bool {
        let endpoint = Endpoint::Workload(workload.clone());
        !self.graph.from(&endpoint).is_empty() || !self.graph.to(&endpoint).is_empty()
    }
}
