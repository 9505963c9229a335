//! Where flows and objects come from, and which of them count.

use std::path::PathBuf;

use capture::Timestamp;
use ipnet::IpNet;

/// Where flows come from.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("traffic").args(["pcaps", "logs"]).required(true).multiple(true))]
pub(crate) struct FlowInput {
    /// Captures: pcap or pcapng, plain or compressed with gzip or zstd; `-` for stdin
    #[arg(long = "pcap", value_name = "FILE", num_args = 1..)]
    pcaps: Vec<PathBuf>,
    /// Flow logs, as `record` and `merge` write them; several count as one
    #[arg(long = "log", value_name = "LOG", num_args = 1..)]
    logs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// Where flows come from, if anywhere.
#[derive(Debug, clap::Args)]
pub(crate) struct OptionalFlowInput {
    /// Captures: pcap or pcapng, plain or compressed with gzip or zstd; `-` for stdin
    #[arg(long = "pcap", value_name = "FILE", num_args = 1..)]
    pcaps: Vec<PathBuf>,
    /// Flow logs, as `record` and `merge` write them; several count as one
    #[arg(long = "log", value_name = "LOG", num_args = 1..)]
    logs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// What both of them hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flows<'a> {
    pub(crate) pcaps: &'a [PathBuf],
    pub(crate) logs: &'a [PathBuf],
    pub(crate) reading: &'a Reading,
}

impl FlowInput {
    /// For reading.
    pub(crate) fn all(&self) -> Flows<'_> {
        Flows { pcaps: &self.pcaps, logs: &self.logs, reading: &self.reading }
    }
}

impl OptionalFlowInput {
    /// For reading, if there is anything to read.
    pub(crate) fn any(&self) -> Option<Flows<'_>> {
        let is_given = !self.pcaps.is_empty() || !self.logs.is_empty();
        is_given.then_some(Flows { pcaps: &self.pcaps, logs: &self.logs, reading: &self.reading })
    }
}

/// How captures are read.
#[derive(Debug, clap::Args)]
pub(crate) struct Reading {
    #[command(flatten)]
    pub(crate) window: Window,
    #[command(flatten)]
    pub(crate) tunnels: Tunnels,
    /// Write what was read, and what became of it, as one JSON object
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,
}

/// Where tunnels are looked for besides the usual UDP ports.
#[derive(Debug, clap::Args)]
pub(crate) struct Tunnels {
    /// A UDP port of VXLAN, besides 4789 and 8472
    #[arg(long = "vxlan-port", value_name = "PORT", num_args = 1.., value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) vxlan: Vec<u16>,
    /// A UDP port of Geneve, besides 6081
    #[arg(long = "geneve-port", value_name = "PORT", num_args = 1.., value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) geneve: Vec<u16>,
}

/// Which part of the traffic counts.
#[derive(Debug, clap::Args)]
pub(crate) struct Window {
    /// Only packets from this time on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Timestamp>,
    /// Only packets before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Timestamp>,
}

/// Where the cluster's objects come from.
#[derive(Debug, clap::Args)]
pub(crate) struct ClusterInput {
    /// Cluster objects as `kubectl get -o yaml|json` prints them, or plain manifests; files or directories
    #[arg(long = "cluster", value_name = "FILE|DIR", num_args = 1..)]
    pub(crate) clusters: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) live: LiveCluster,
    /// A range in which pods have their addresses, besides those of the nodes
    #[arg(long = "pod-cidr", value_name = "CIDR", num_args = 1..)]
    pub(crate) pod_ranges: Vec<IpNet>,
}

/// Which live cluster is read.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct LiveCluster {
    /// Read the live cluster of this kubeconfig [default: KUBECONFIG, ~/.kube/config, or the cluster around]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Read the live cluster of this context [default: the current one]
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
}

impl LiveCluster {
    /// Whether the user asks for a live cluster.
    pub(crate) fn is_asked(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some()
    }
}

/// What is written; all flows are read in any case.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Selected {
    /// Only this namespace
    #[arg(short, long, value_name = "NAME", conflicts_with = "all_namespaces")]
    pub(crate) namespace: Option<String>,
    /// All namespaces (the default)
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// Only workloads whose pods carry these labels
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub(crate) selector: Option<String>,
}
