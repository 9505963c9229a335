//! What is typed to learn from live clusters, interfaces and captures.

use std::path::PathBuf;

use capture::live::Pattern;
use clap::ValueEnum;

use super::value::{bytes, duration};
use super::{ClusterInput, LiveCluster, Tunnels};

#[derive(Debug, clap::Args)]
pub(crate) struct SnapshotArgs {
    #[command(flatten)]
    pub(crate) live: LiveCluster,
    /// Only these namespaces, and what is in none
    #[arg(short, long, value_name = "NAME")]
    pub(crate) namespace: Vec<String>,
    /// Where to, `-` for stdout; readable by its owner only
    #[arg(short, long, value_name = "FILE|-", default_value = "-")]
    pub(crate) output: PathBuf,
    /// How it is written [default: by the name of the file, else json, which is faster to read]
    #[arg(long, value_enum)]
    pub(crate) format: Option<SnapshotFormat>,
    /// No summary, only errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CollectArgs {
    #[command(flatten)]
    pub(crate) live: LiveCluster,
    /// The namespace of the agents
    #[arg(short, long, value_name = "NAME", default_value = "ringfence")]
    pub(crate) namespace: String,
    /// The labels of the agents' pods
    #[arg(short = 'l', long, value_name = "SELECTOR", default_value = "app.kubernetes.io/name=ringfence")]
    pub(crate) selector: String,
    /// The port on which agents serve their flow logs
    #[arg(long, value_name = "PORT", default_value_t = 9753)]
    pub(crate) port: u16,
    /// The flow log to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// No summary, only errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SnapshotFormat {
    Json,
    Yaml,
}

/// What is recorded, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct RecordArgs {
    #[command(flatten)]
    pub(crate) live: LiveArgs,
    /// Captures: pcap or pcapng, plain or compressed with gzip or zstd; `-` for stdin
    #[arg(long = "pcap", value_name = "FILE", num_args = 1..)]
    pub(crate) pcaps: Vec<PathBuf>,
    /// The flow log to write to
    #[arg(long, value_name = "LOG")]
    pub(crate) log: PathBuf,
    /// With the pods, conversations end where an address changes hands
    #[command(flatten)]
    pub(crate) cluster: ClusterInput,
    #[command(flatten)]
    pub(crate) tunnels: Tunnels,
    /// What this recorder is called in the log [default: the name of this machine]
    #[arg(long, value_name = "NAME")]
    pub(crate) observer: Option<String>,
    /// Stop after this time
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<i64>,
    /// Stop when no new edge has been seen for this long
    #[arg(long, value_name = "TIME", value_parser = duration, num_args = 0..=1, default_missing_value = "1h")]
    pub(crate) until_stable: Option<i64>,
    /// No summary, only errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// How interfaces are recorded.
#[derive(Debug, clap::Args)]
pub(crate) struct LiveArgs {
    /// Interfaces to record: a name, a pattern such as 'veth*' that follows interfaces as they come and go, or `any`; with
    /// a `!` in front, those that are not meant
    #[arg(short, long = "interface", value_name = "PATTERN", num_args = 1.., value_delimiter = ',')]
    pub(crate) interfaces: Vec<Pattern>,
    /// Room for packets in the kernel
    #[arg(long, value_name = "SIZE", default_value = "8M", value_parser = bytes)]
    pub(crate) ring: u32,
    /// Also look for server names in TLS, at a price for every packet
    #[arg(long)]
    pub(crate) server_names: bool,
    /// Outside addresses kept apart; beyond them ranges are written, /24 or /64 and then wider ones
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) max_external: usize,
    /// How often the log is written: what a crash can lose
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) flush: i64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AgentArgs {
    /// The node
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    pub(crate) node: String,
    /// The flow log to write to
    #[arg(long, value_name = "LOG")]
    pub(crate) log: PathBuf,
    /// How long the log keeps what was not seen again
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = duration)]
    pub(crate) keep: i64,
    /// How large the log may become; the oldest leaves first
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = bytes)]
    pub(crate) max_log: u32,
    /// Where metrics, health and the flow log are served
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:9753")]
    pub(crate) listen: std::net::SocketAddr,
    #[command(flatten)]
    pub(crate) live: LiveArgs,
    #[command(flatten)]
    pub(crate) cluster: LiveCluster,
    #[command(flatten)]
    pub(crate) tunnels: Tunnels,
}

#[derive(Debug, clap::Args)]
pub(crate) struct MergeArgs {
    /// Flow logs
    #[arg(value_name = "LOG", required = true)]
    pub(crate) logs: Vec<PathBuf>,
    /// The flow log to write
    #[arg(short, long, value_name = "LOG")]
    pub(crate) output: PathBuf,
    /// No summary, only errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}
