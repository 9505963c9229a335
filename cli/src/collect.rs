//! `ringfence collect`: the flow logs of all agents, fetched through the API server's pod proxy and merged.

mod fetch;

use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use futures::StreamExt;

use crate::args::CollectArgs;
use crate::bar::Bar;
use crate::cluster::{self, Server, explained};
use crate::exit::Exit;
use crate::log::{self, Log};

use fetch::{Agent, agents, fetch};

/// Logs that are fetched at a time: the API server carries every byte of them.
const AT_A_TIME: usize = 4;

/// Runs the command.
pub(crate) fn run(args: &CollectArgs) -> anyhow::Result<Exit> {
    if args.output.as_os_str() == "-" {
        bail!("-o -: a flow log is a file, not a stream");
    }
    let parts = Parts::beside(&args.output)?;
    let (server, (fetched, mut failed)) = cluster::wait(async {
        let server = cluster::connect(&args.live).await?;
        let fetched = all(&server, args, &parts.directory).await?;
        Ok((server, fetched))
    })?;
    let mut logs = Vec::new();
    for (agent, path) in fetched {
        // One that cannot be read costs the others nothing.
        match Log::open_read(&path) {
            Ok(_) => logs.push(path),
            Err(error) => failed.push((agent, error.context("it sent no flow log that can be read"))),
        }
    }
    failed.sort_by(|a, b| a.0.cmp(&b.0));
    let mut err = io::stderr().lock();
    for (agent, error) in &failed {
        writeln!(err, "error: {agent}: {error:#}")?;
    }
    if logs.is_empty() {
        bail!("{}: no agent gave its flow log, so {} is not written", server.name, args.output.display());
    }
    log::write(&args.output, &logs)?;
    if !args.quiet {
        let all = logs.len() + failed.len();
        writeln!(err, "{}: flow logs of {} of {all} agents in {}", server.name, logs.len(), args.output.display())?;
    }
    Ok(if failed.is_empty() { Exit::Fine } else { Exit::Unusable })
}

/// Agents and what became of each: its log's file, or why there is none. Both sorted by name.
type Fetched = (Vec<(String, PathBuf)>, Vec<(String, anyhow::Error)>);

/// Fetches the log of every agent.
async fn all(server: &Server, args: &CollectArgs, directory: &Path) -> anyhow::Result<Fetched> {
    let found = agents(server, &args.namespace, &args.selector).await.map_err(|error| explained(error, server))?;
    if found.is_empty() {
        bail!(
            "{}: no pod in namespace {} has the labels {}: is the agent installed there?",
            server.name,
            args.namespace,
            args.selector
        );
    }
    let count = found.len();
    let bar = Bar::new(args.quiet, "agents", Some(count as u64));
    let one = |(index, agent): (usize, Agent)| async move {
        let path = directory.join(format!("{index}.log"));
        let done = fetch(server, &args.namespace, &agent, args.port, &path).await;
        (agent.label(), done.map(|()| path))
    };
    let mut answers = futures::stream::iter(found.into_iter().enumerate().map(one)).buffer_unordered(AT_A_TIME);
    let (mut fetched, mut failed) = (Vec::new(), Vec::new());
    while let Some((agent, answer)) = answers.next().await {
        match answer {
            Ok(path) => fetched.push((agent, path)),
            Err(error) => failed.push((agent, error)),
        }
        bar.at((fetched.len() + failed.len()) as u64);
    }
    drop(bar);
    fetched.sort();
    failed.sort_by(|a, b| a.0.cmp(&b.0));
    Ok((fetched, failed))
}

/// A directory for logs on their way, beside the file they end in; it is gone when the work is.
struct Parts {
    directory: PathBuf,
}

impl Parts {
    fn beside(output: &Path) -> anyhow::Result<Parts> {
        let name = output.file_name().with_context(|| format!("{}: no name of a file", output.display()))?;
        let directory = output.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
        DirBuilder::new().mode(0o700).create(&directory).with_context(|| directory.display().to_string())?;
        Ok(Parts { directory })
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[cfg(test)]
mod tests;
