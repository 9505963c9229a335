//! What is typed for a report.

use std::path::PathBuf;

use super::{ClusterInput, EvidenceGate, FlowInput, Ignored, PluginOptions};

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("written").args(["html", "markdown", "sarif"]).required(true).multiple(true))]
pub(crate) struct ReportArgs {
    /// A page with a map of all workloads; one file that needs nothing else
    #[arg(long, value_name = "FILE|-")]
    pub(crate) html: Option<PathBuf>,
    /// A comment for a pull request, always below 65,000 characters
    #[arg(long, value_name = "FILE|-")]
    pub(crate) markdown: Option<PathBuf>,
    /// All findings as SARIF 2.1.0
    #[arg(long, value_name = "FILE|-")]
    pub(crate) sarif: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) flows: FlowInput,
    #[command(flatten)]
    pub(crate) cluster: ClusterInput,
    /// Policies that are proposed, instead of those in the cluster input; `-` for stdin
    #[arg(long, value_name = "FILE|DIR|-", num_args = 1..)]
    pub(crate) policies: Vec<PathBuf>,
    /// What the proposed policies replace [default: the policies in the cluster input]
    #[arg(long, value_name = "FILE|DIR", requires = "policies")]
    pub(crate) base: Option<PathBuf>,
    /// What the report is about, in its title
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    /// The name in the hidden mark by which a later comment replaces this one
    #[arg(long, value_name = "NAME", default_value = "policies", value_parser = marker)]
    pub(crate) marker: String,
    /// What was watched: a node, a namespace, or a label selector; everything where absent
    #[arg(long, value_name = "NODE|NS|SELECTOR", num_args = 1..)]
    pub(crate) watched: Vec<String>,
    /// A workload that is meant to use the API server: NAMESPACE/NAME, `*` for any text
    #[arg(long = "known-api-client", value_name = "WORKLOAD", num_args = 1..)]
    pub(crate) api_clients: Vec<String>,
    #[command(flatten)]
    pub(crate) gate: EvidenceGate,
    #[command(flatten)]
    pub(crate) plugin: PluginOptions,
    #[command(flatten)]
    pub(crate) ignored: Ignored,
    /// No summary, only errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// A name that can stand in a comment of HTML.
fn marker(text: &str) -> Result<String, String> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
    match !text.is_empty() && text.len() <= 100 && text.chars().all(fits) && !text.contains("--") {
        true => Ok(text.to_string()),
        false => Err("up to 100 letters, digits and any of - _ . / without two hyphens in a row".to_string()),
    }
}
