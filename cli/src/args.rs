//! What the user types.

mod input;
mod judging;
mod policies;
mod recording;
mod report;
mod value;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use synth::lint::{Id, Severity};

pub(crate) use input::{
    ClusterInput, FlowInput, Flows, LiveCluster, OptionalFlowInput, Reading, Selected, Tunnels, Window,
};
pub(crate) use judging::{CheckArgs, EvidenceGate, FindingsFormat, Ignored, LintArgs, UnusedArgs};
pub(crate) use policies::{
    DiffArgs, DiffFormat, ExplainArgs, ExplainFormat, Granularity, PluginOptions, ReachArgs, ReachFormat,
};
pub(crate) use recording::{AgentArgs, CollectArgs, LiveArgs, MergeArgs, RecordArgs, SnapshotArgs, SnapshotFormat};
pub(crate) use report::ReportArgs;
use value::names;

/// Least-privilege NetworkPolicies from recorded traffic, proved against it
///
/// Ringfence reads captures and what `kubectl get -o yaml` prints, finds out which workloads really talk to each
/// other, writes the smallest NetworkPolicies that allow exactly that, and replays the traffic against them before it
/// prints them. Data goes to stdout, everything else to stderr.
#[derive(Debug, Parser)]
#[command(name = "ringfence", version, propagate_version = true, after_help = EXITS)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) logging: Logging,
}

/// What is told on the way.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Logging {
    /// Say more about what is done, twice for everything; RUST_LOG names parts and levels
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// How it is said
    #[arg(long, global = true, value_enum, value_name = "text|json", default_value_t = LogFormat::Text, hide_possible_values = true)]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl Args {
    /// Reads a command line, of which the first word is the name that the program was called by: as a plugin of kubectl it
    /// is the file `kubectl-ringfence`, and its users type two words.
    ///
    /// # Errors
    /// What the user typed is not understood, or asks for help or the version.
    pub(crate) fn read(line: impl IntoIterator<Item = OsString>) -> Result<Args, clap::Error> {
        let line: Vec<OsString> = line.into_iter().collect();
        let mut command = Args::command();
        if line.first().is_some_and(|name| Path::new(name).file_stem() == Some("kubectl-ringfence".as_ref())) {
            command = command.bin_name("kubectl ringfence");
        }
        let matches = command.try_get_matches_from_mut(line)?;
        Args::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

const EXITS: &str =
    "Exit codes: 0 nothing to report, 1 findings, 2 bad usage or unreadable input, 3 not enough evidence.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the observed edges
    #[command(after_help = "Examples:
  ringfence flows --pcap node-a.pcap node-b.pcap --cluster dump.yaml
  tcpdump -w - -i any | ringfence flows --pcap - -o json")]
    Flows(FlowsArgs),
    /// Write least-privilege NetworkPolicies that allow exactly the observed edges
    #[command(after_help = "Examples:
  ringfence generate --pcap node-*.pcap --cluster dump.yaml -o policies/ --default-deny
  ringfence generate --pcap node-*.pcap --cluster dump.yaml -o policies/ --check     # what would change?
  ringfence generate --log week.db --cluster dump.yaml -o policies/ --kustomize -n shop
  ringfence generate --pcap node-*.pcap --cluster staging.json --map-namespace staging-shop=shop -o production/

Edges in --exclude and --include files, one a line, `*` for any workload, port or protocol, reason required:
  shop/web -> shop/api:8080/TCP  # moved to v2 next week
  shop/* -> 203.0.113.0/24:443/TCP  # the old provider")]
    Generate(GenerateArgs),
    /// Hold policies against the observed edges
    #[command(after_help = "Examples:
  ringfence check --pcap node-*.pcap --cluster dump.yaml
  ringfence check --pcap node-*.pcap --cluster dump.yaml --policies pull-request/ -o json
  ringfence check --pcap node-*.pcap --cluster dump.yaml --exposures --ignore known.yaml -o sarif

Findings are edges: denied although they work or worked, or covered by no policy. Beside them stand workloads with traffic
that nothing isolates; connections that objects declare and nobody saw (webhooks, aggregated APIs, scrape targets), CronJobs
that did not run and workloads without replicas; and what the network plugin or the mesh cannot do of what the policies ask.
Exits with 1 on findings and if nothing enforces the policies at all; the rest does not change it.")]
    Check(CheckArgs),
    /// Who can reach whom under the policies, whether seen or not
    #[command(after_help = "Examples:
  ringfence reach --cluster dump.yaml
  ringfence reach --cluster manifests/ -n shop -o mermaid
  ringfence reach --cluster dump.yaml --exposure
  ringfence reach --cluster dump.yaml --policies pull-request/ -o summary")]
    Reach(ReachArgs),
    /// The verdict on one connection, and every policy and rule behind it
    #[command(
        after_help = "Clients and servers are a pod or workload (shop/web, shop/Deployment/web, web with -n), an address, or a
Service (shop/Service/api, with the Service's port).

Examples:
  ringfence explain shop/web shop/api:8080 --cluster dump.yaml
  ringfence explain shop/web 10.96.0.10:53/UDP --cluster dump.yaml
  ringfence explain 203.0.113.9 shop/Deployment/web:https --cluster dump.yaml -o json

Exits with 0 if the connection is allowed, 1 if it is denied or only the network plugin knows."
    )]
    Explain(ExplainArgs),
    /// What a change of policies lets through and what it stops
    #[command(
        after_help = "OLD and NEW hold policies, or policies and workloads. With --cluster both are held against its pods; without, against
the workloads of their own; and where there are none at all, against pods made up from the selectors.

Examples:
  ringfence diff policies/ pull-request/ --cluster dump.yaml
  ringfence diff policies/ pull-request/ --cluster dump.yaml --pcap node-*.pcap   # exits with 1 if it stops what was seen
  ringfence diff main/deploy/ branch/deploy/ -o json"
    )]
    Diff(DiffArgs),
    /// Find allow rules that no observed flow needs
    #[command(after_help = "Every rule of every policy, down to its peers and ports, is one of
  unused        no observed flow needs it; attempts that failed are no use
  dead          it selects nothing that exists
  redundant     everything that it allows is allowed elsewhere
  overbroad     used, but by less than 10 % of what it is for, or by a corner of its range
  not_enforced  it denies what works all the same
or is needed. What is found can go together. What rests on silence is said only where enough was watched (--min-window,
--max-loss, --max-unresolved); below that it is insufficient_evidence.

Examples:
  ringfence unused --pcap node-*.pcap --cluster dump.yaml
  ringfence unused --pcap node-*.pcap --cluster dump.yaml --policies deploy/policies/ --min-window 7d -o json

Exits with 0 if all rules are needed, 1 on findings, 3 if all of them are below the evidence gate.")]
    Unused(UnusedArgs),
    /// Find mistakes in policies; no flows needed
    #[command(after_help = lint_help())]
    Lint(LintArgs),
    /// What a person looks at before they merge: a page with a map, a comment for a pull request, SARIF
    #[command(after_help = "Examples:
  ringfence report --html report.html --log week.db --cluster dump.yaml
  ringfence report --markdown comment.md --log week.db --cluster dump.yaml --policies pull-request/ --base main/
  ringfence report --html - --pcap node-*.pcap --cluster dump.yaml > report.html

Exits with 1 if observed traffic would be denied (or is, or nothing enforces the policies), 3 if the evidence does not suffice
to say so, and 0 otherwise; everything else that was found is in the report.")]
    Report(ReportArgs),
    /// Write the objects of a live cluster that the other commands need to one file
    #[command(after_help = "Examples:
  ringfence snapshot -o dump.json
  ringfence snapshot --context staging -n shop -n payments -o shop.yaml

Environments, commands, Secrets, ConfigMaps, managedFields and annotations that nobody needs are not written. Kinds that
may not be listed are named, and the rest is written; it exits with 2 then.")]
    Snapshot(SnapshotArgs),
    /// Fetch the flow logs of all agents through the API server and merge them
    #[command(after_help = "Examples:
  ringfence collect -o week.log
  ringfence collect --context staging --namespace monitoring -o week.log

Agents that do not answer are named, and the logs of the others are merged; it exits with 2 then.")]
    Collect(CollectArgs),
    /// Write what is seen into a flow log, which every command reads with --log
    #[command(
        after_help = "The log is made if it is not there, and added to if it is. The same captures are never counted twice.

Examples:
  ringfence record -i 'veth*,eth0,flannel.1' --log week.db --until-stable
  ringfence record -i any --duration 30m --log /var/lib/ringfence/flows.db
  ringfence record --pcap node-*.pcap --cluster dump.yaml --log week.db
  ringfence generate --log week.db --cluster dump.yaml -o policies/"
    )]
    Record(RecordArgs),
    /// Learn mode on one node of a cluster
    #[command(
        after_help = "Runs as a DaemonSet: see deploy/. It records all interfaces of its node but the loopback device, knows the pods of its
own node and no others, and hands out its flow log to `ringfence collect`.

Examples:
  ringfence agent --node \"$NODE_NAME\" --log /var/lib/ringfence/flows.db"
    )]
    Agent(AgentArgs),
    /// Completions for a shell, on stdout
    #[command(after_help = "Examples:
  ringfence completions bash > /etc/bash_completion.d/ringfence
  ringfence completions zsh > ~/.zfunc/_ringfence
  ringfence completions fish > ~/.config/fish/completions/ringfence.fish")]
    Completions(CompletionsArgs),
    /// Manual pages, one for each command, into a directory
    #[command(after_help = "Examples:
  ringfence man man1/
  MANPATH=.: man ringfence-generate")]
    Man(ManArgs),
    /// Make one flow log of several
    #[command(
        after_help = "What two logs have in common counts once, so logs can be merged in any order and again and again. A log that is
there as -o is one of them.

Examples:
  ringfence merge -o week.db monday.db tuesday.db"
    )]
    Merge(MergeArgs),
}

impl Command {
    /// As it is typed.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Command::Flows(_) => "flows",
            Command::Generate(_) => "generate",
            Command::Check(_) => "check",
            Command::Reach(_) => "reach",
            Command::Explain(_) => "explain",
            Command::Diff(_) => "diff",
            Command::Unused(_) => "unused",
            Command::Report(_) => "report",
            Command::Lint(_) => "lint",
            Command::Snapshot(_) => "snapshot",
            Command::Collect(_) => "collect",
            Command::Record(_) => "record",
            Command::Agent(_) => "agent",
            Command::Completions(_) => "completions",
            Command::Man(_) => "man",
            Command::Merge(_) => "merge",
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Where to; made if it is not there
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

/// Examples and the list of checks.
fn lint_help() -> String {
    let mut text = "Examples:
  ringfence lint manifests/
  ringfence lint --cluster dump.yaml -n shop
  ringfence lint --cluster dump.yaml --policies pull-request/ -o json

Checks (E error: it does not do what is written; W warning: that is probably not what was meant):
"
    .to_string();
    let width = Id::ALL.iter().map(|id| id.name().len()).max().unwrap_or_default();
    for id in Id::ALL {
        let mark = match id.severity() {
            Severity::Error => 'E',
            Severity::Warning => 'W',
        };
        text += &format!("  {mark} {:width$}  {}\n", id.name(), id.summary());
    }
    text + "
Without a dump of the cluster, what may be outside the files is reported to be missing only as a warning, or where
something close to it is at hand."
}

#[derive(Debug, clap::Args)]
pub(crate) struct FlowsArgs {
    #[command(flatten)]
    pub(crate) flows: FlowInput,
    #[command(flatten)]
    pub(crate) cluster: ClusterInput,
    #[command(flatten)]
    pub(crate) selected: Selected,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = FlowsFormat::Table)]
    pub(crate) output: FlowsFormat,
    /// No summary, only errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FlowsFormat {
    Table,
    Json,
    Dot,
    Mermaid,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GenerateArgs {
    #[command(flatten)]
    pub(crate) flows: FlowInput,
    #[command(flatten)]
    pub(crate) cluster: ClusterInput,
    #[command(flatten)]
    pub(crate) selected: Selected,
    /// A directory for one file per workload in one directory per namespace, updated in place, or `-` for stdout
    #[arg(short, long, value_name = "DIR|-", default_value = "-")]
    pub(crate) output: PathBuf,
    /// Write nothing; exit 1 if a file in the output directory would change
    #[arg(long)]
    pub(crate) check: bool,
    /// Write the evidence anew also where the rules are as they were
    #[arg(long)]
    pub(crate) refresh_evidence: bool,
    /// Also write a kustomization.yaml into each directory, with the list of its policies
    #[arg(long)]
    pub(crate) kustomize: bool,
    /// Add a policy `default-deny` to every namespace that gets a policy
    #[arg(long)]
    pub(crate) default_deny: bool,
    /// Allow DNS also for workloads that were not seen asking
    #[arg(long)]
    pub(crate) dns_for_all: bool,
    /// Allow the cloud's metadata service for the workloads that used it
    #[arg(long)]
    pub(crate) allow_metadata: bool,
    /// Edges that were seen but are not wanted
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) exclude: Vec<PathBuf>,
    /// Edges that were not seen but are wanted
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) include: Vec<PathBuf>,
    /// Also allow connections that objects declare and nobody saw, in policies that are written anyhow
    #[arg(long, value_enum, value_name = "KIND", num_args = 1.., value_delimiter = ',')]
    pub(crate) declared: Vec<DeclaredKind>,
    /// What was watched: a node, a namespace, or a label selector; everything where absent
    #[arg(long, value_name = "NODE|NS|SELECTOR", num_args = 1..)]
    pub(crate) watched: Vec<String>,
    /// Write the policies for another cluster, where this namespace has another name; only those of namespaces named here
    #[arg(long = "map-namespace", value_name = "FROM=TO", value_parser = names)]
    pub(crate) mapped: Vec<(String, String)>,
    /// No summary, only errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Declared connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeclaredKind {
    /// Of the API server to admission and conversion webhooks and to aggregated APIs
    Webhooks,
    /// Of Prometheus to what annotations, ServiceMonitors and PodMonitors name
    Scrapes,
    /// All of them
    All,
}

impl DeclaredKind {
    /// Whether a kind is asked for.
    pub(crate) fn has(self, kind: synth::expected::Kind) -> bool {
        match self {
            DeclaredKind::Webhooks => kind.is_webhook(),
            DeclaredKind::Scrapes => kind == synth::expected::Kind::Scrape,
            DeclaredKind::All => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_sound() {
        super::Args::command().debug_assert();
    }
}
