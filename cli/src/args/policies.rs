//! What is typed to ask what policies allow, whether seen or not.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{ClusterInput, OptionalFlowInput, Selected};

/// Where network plugins differ.
#[derive(Debug, clap::Args)]
pub(crate) struct PluginOptions {
    /// Whether ipBlock matches addresses of pods (Cilium: no)
    #[arg(long, value_enum, value_name = "yes|no", default_value_t = YesNo::Yes, hide_possible_values = true)]
    ip_block_matches_pods: YesNo,
    /// What pods on the host network are to NetworkPolicies: their nodes, or pods like others (OVN-Kubernetes)
    #[arg(long, value_enum, value_name = "nodes|pods", default_value_t = HostNetwork::Nodes, hide_possible_values = true)]
    host_network: HostNetwork,
    /// What happens to pods that are over
    #[arg(long, value_enum, value_name = "ignore|keep", default_value_t = Finished::Ignore, hide_possible_values = true)]
    finished: Finished,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum YesNo {
    Yes,
    No,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum HostNetwork {
    Nodes,
    Pods,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Finished {
    Ignore,
    Keep,
}

impl From<&PluginOptions> for synth::evaluate::Options {
    fn from(options: &PluginOptions) -> synth::evaluate::Options {
        synth::evaluate::Options {
            ip_block_matches_pods: options.ip_block_matches_pods == YesNo::Yes,
            host_network_is_node: options.host_network == HostNetwork::Nodes,
            finished_are_gone: options.finished == Finished::Ignore,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReachArgs {
    #[command(flatten)]
    pub(crate) cluster: ClusterInput,
    /// Policies to use instead of those in the cluster input; `-` for stdin
    #[arg(long, value_name = "FILE|DIR|-", num_args = 1..)]
    pub(crate) policies: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) selected: Selected,
    /// List each pod, or the pods of a workload together
    #[arg(long, value_enum, default_value_t = Granularity::Workload)]
    pub(crate) granularity: Granularity,
    /// List what pods that do not exist yet could reach, and which workloads no policy protects
    #[arg(long, conflicts_with = "granularity")]
    pub(crate) exposure: bool,
    #[command(flatten)]
    pub(crate) plugin: PluginOptions,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = ReachFormat::Table)]
    pub(crate) output: ReachFormat,
    /// No summary, only errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Granularity {
    Pod,
    Workload,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReachFormat {
    Table,
    Json,
    Dot,
    Mermaid,
    /// A few numbers instead of a list
    Summary,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// Who connects
    pub(crate) client: String,
    /// To whom, `SERVER:PORT` or `SERVER:PORT/PROTOCOL`; PORT is a number or a container port's name, PROTOCOL TCP if absent
    #[arg(value_name = "SERVER:PORT")]
    pub(crate) server: String,
    #[command(flatten)]
    pub(crate) cluster: ClusterInput,
    /// Policies to use instead of those in the cluster input; `-` for stdin
    #[arg(long, value_name = "FILE|DIR|-", num_args = 1..)]
    pub(crate) policies: Vec<PathBuf>,
    /// The namespace of names that have none
    #[arg(short, long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) plugin: PluginOptions,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = ExplainFormat::Text)]
    pub(crate) output: ExplainFormat,
    /// No warnings, only errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExplainFormat {
    Text,
    Json,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DiffArgs {
    /// Policies, or a dump, before the change; `-` for stdin
    #[arg(value_name = "OLD")]
    pub(crate) old: PathBuf,
    /// The same after it
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,
    #[command(flatten)]
    pub(crate) cluster: ClusterInput,
    #[command(flatten)]
    pub(crate) flows: OptionalFlowInput,
    #[command(flatten)]
    pub(crate) selected: Selected,
    #[command(flatten)]
    pub(crate) plugin: PluginOptions,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = DiffFormat::Table)]
    pub(crate) output: DiffFormat,
    /// No summary, only errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffFormat {
    Table,
    Json,
}
