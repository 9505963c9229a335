//! What is typed to hold policies against what was seen, and against each other's mistakes.

use std::path::PathBuf;

use clap::ValueEnum;
use synth::unused::gate::Gate;

use super::value::{duration, percent};
use super::{ClusterInput, FlowInput, PluginOptions, Selected};

#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) flows: FlowInput,
    #[command(flatten)]
    pub(crate) cluster: ClusterInput,
    /// Policies to hold against the edges, instead of those in the cluster input; `-` for stdin
    #[arg(long, value_name = "FILE|DIR|-", num_args = 1..)]
    pub(crate) policies: Vec<PathBuf>,
    /// Also list traffic that deserves a second look, whatever policies say; errors and warnings count for the exit code
    #[arg(long)]
    pub(crate) exposures: bool,
    /// A workload that is meant to use the API server: NAMESPACE/NAME, `*` for any text
    #[arg(long = "known-api-client", value_name = "WORKLOAD", num_args = 1.., requires = "exposures")]
    pub(crate) api_clients: Vec<String>,
    #[command(flatten)]
    pub(crate) selected: Selected,
    #[command(flatten)]
    pub(crate) plugin: PluginOptions,
    #[command(flatten)]
    pub(crate) ignored: Ignored,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = FindingsFormat::Table)]
    pub(crate) output: FindingsFormat,
    /// No summary, only errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Findings that are left out.
#[derive(Debug, clap::Args)]
pub(crate) struct Ignored {
    /// Findings to leave out: a YAML list of `id`, `reason` and, if it is not for good, `expires`
    #[arg(long = "ignore", value_name = "FILE", num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UnusedArgs {
    /// Write each policy that can be smaller, without what is not needed, to NAMESPACE/NAME.yaml in a directory
    #[arg(long, value_name = "DIR")]
    pub(crate) suggest: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) flows: FlowInput,
    #[command(flatten)]
    pub(crate) cluster: ClusterInput,
    /// Policies to hold against the edges, instead of those in the cluster input; `-` for stdin
    #[arg(long, value_name = "FILE|DIR|-", num_args = 1..)]
    pub(crate) policies: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) selected: Selected,
    #[command(flatten)]
    pub(crate) gate: EvidenceGate,
    #[command(flatten)]
    pub(crate) plugin: PluginOptions,
    /// What was watched: a node, a namespace, or a label selector; everything where absent
    #[arg(long, value_name = "NODE|NS|SELECTOR", num_args = 1..)]
    pub(crate) watched: Vec<String>,
    #[command(flatten)]
    pub(crate) ignored: Ignored,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = FindingsFormat::Table)]
    pub(crate) output: FindingsFormat,
    /// No summary, only errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// What is asked of the evidence before silence means anything.
#[derive(Debug, clap::Args)]
pub(crate) struct EvidenceGate {
    /// How long somebody has to have watched: 90m, 24h, 7d (24h where absent; captures alone: 1h)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    min_window: Option<i64>,
    /// How many packets may have been lost or not been readable, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 0.1, value_parser = percent)]
    max_loss: f64,
    /// How many conversations may have a side that no pod is known for, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0, value_parser = percent)]
    max_unresolved: f64,
}

impl EvidenceGate {
    /// The gate; `min_window` is the default for the input at hand, in nanoseconds.
    pub(crate) fn gate(&self, min_window: i64) -> Gate {
        Gate {
            min_window: self.min_window.unwrap_or(min_window),
            max_loss: self.max_loss / 100.0,
            max_unresolved: self.max_unresolved / 100.0,
        }
    }
}

/// How findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FindingsFormat {
    Table,
    Json,
    /// SARIF 2.1.0, for code hosts and editors
    Sarif,
    /// Tables for a pull request
    Markdown,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LintArgs {
    /// Policies and what they are about, as --cluster; files or directories
    #[arg(value_name = "FILE|DIR")]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) cluster: ClusterInput,
    /// Policies to judge instead of those in the cluster input; `-` for stdin
    #[arg(long, value_name = "FILE|DIR|-", num_args = 1..)]
    pub(crate) policies: Vec<PathBuf>,
    /// Only policies of this namespace; all are read
    #[arg(short, long, value_name = "NAME", conflicts_with = "all_namespaces")]
    pub(crate) namespace: Option<String>,
    /// All namespaces (the default)
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    #[command(flatten)]
    pub(crate) ignored: Ignored,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = FindingsFormat::Table)]
    pub(crate) output: FindingsFormat,
    /// No summary, only errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}
