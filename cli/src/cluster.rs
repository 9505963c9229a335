//! The live cluster: which API server, how it is asked, and what goes wrong with it.
//!
//! Objects come in as JSON through the door that dumps come through, reduced in the same way: `connect` finds the server,
//! `list` reads one kind page by page, `read` all of them.

mod kinds;
mod list;
mod read;
mod retry;

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config, Error};

use crate::args::LiveCluster;

pub(crate) use read::{Read, read};
pub(crate) use retry::{briefly, patiently, retried};

/// How long a connection may take to come up.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may be silent. A page of 500 pods takes a busy server seconds.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a watch may be silent. An API server sends a bookmark about once a minute even where nothing happens: what is
/// silent for longer is a connection to nobody, and the watch is begun again where it was.
const SILENCE_OF_WATCH: Duration = Duration::from_secs(150);

/// An API server and what the user calls it.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) client: Client,
    /// `context staging (https://10.0.0.1:6443)`.
    pub(crate) name: String,
}

/// Whether this is what a live cluster is called where other objects have the name of their file.
pub(crate) fn is_name(name: &str) -> bool {
    name.ends_with(')')
        && ["context ", "this cluster ("].iter().any(|start| name.starts_with(start))
        && name.contains("(http")
}

/// Whether there is a cluster that kubectl would talk to: a kubeconfig with a current context, or the one this program
/// runs in.
pub(crate) fn is_there() -> bool {
    match kubeconfig(None) {
        Ok(Some(kubeconfig)) => kubeconfig.current_context.is_some_and(|name| !name.is_empty()),
        Ok(None) => Config::incluster().is_ok(),
        // Somebody wrote it, and will want to know what is wrong with it.
        Err(_) => true,
    }
}

/// Runs what waits for the network.
pub(crate) fn wait<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?.block_on(work)
}

/// Finds the API server; nothing is asked of it yet.
///
/// # Errors
///
/// Neither a kubeconfig nor a cluster around this program, or one that cannot be used.
pub(crate) async fn connect(wanted: &LiveCluster) -> anyhow::Result<Server> {
    server(wanted, Some(SILENCE)).await
}

/// The same for watches, which are silent where nothing happens.
pub(crate) async fn watching(wanted: &LiveCluster) -> anyhow::Result<Server> {
    server(wanted, Some(SILENCE_OF_WATCH)).await
}

async fn server(wanted: &LiveCluster, silence: Option<Duration>) -> anyhow::Result<Server> {
    let kubeconfig = kubeconfig(wanted.kubeconfig.as_deref())?;
    let (mut config, context) = match kubeconfig {
        Some(kubeconfig) => of_context(kubeconfig, wanted.context.as_deref()).await?,
        None => match (Config::incluster(), &wanted.context) {
            (Ok(config), None) => (config, "this cluster".to_string()),
            (Err(InClusterError::ReadEnvironmentVariable(_)), None) => {
                bail!("no kubeconfig: set KUBECONFIG, or give --kubeconfig FILE")
            }
            (Err(error), None) => return Err(error).context("no kubeconfig, and the cluster around cannot be used"),
            (_, Some(context)) => {
                bail!("--context {context}: there is no kubeconfig: set KUBECONFIG, or give --kubeconfig FILE")
            }
        },
    };
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = silence;
    config.reset_reader_on_write = true;
    // `retried` does it, for connections too, and knows when to stop.
    config.default_retry = false;
    let name = format!("{context} ({})", config.cluster_url.to_string().trim_end_matches('/'));
    let client = Client::try_from(config).with_context(|| name.clone())?;
    Ok(Server { client, name })
}

/// The configuration of a context, and its name.
async fn of_context(kubeconfig: Kubeconfig, wanted: Option<&str>) -> anyhow::Result<(Config, String)> {
    let Some(context) = wanted.or(kubeconfig.current_context.as_deref()).filter(|name| !name.is_empty()) else {
        bail!("the kubeconfig has no current context: choose one with --context NAME{}", known(&kubeconfig));
    };
    let context = context.to_string();
    if !kubeconfig.contexts.iter().any(|named| named.name == context) {
        bail!("the kubeconfig has no context {context:?}{}", known(&kubeconfig));
    }
    let options = KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    Ok((config.with_context(|| format!("context {context}"))?, format!("context {context}")))
}

/// `; there are a, b`.
fn known(kubeconfig: &Kubeconfig) -> String {
    let mut names: Vec<&str> = kubeconfig.contexts.iter().map(|named| named.name.as_str()).collect();
    names.sort_unstable();
    if names.is_empty() { String::new() } else { format!("; there are {}", names.join(", ")) }
}

/// The file asked for, else those of `KUBECONFIG`, else `~/.kube/config`; `None` where there is none. As for kubectl,
/// files of `KUBECONFIG` need not be there.
fn kubeconfig(file: Option<&Path>) -> anyhow::Result<Option<Kubeconfig>> {
    if let Some(file) = file {
        let read = Kubeconfig::read_from(file).with_context(|| format!("--kubeconfig {}", file.display()))?;
        return Ok(Some(read));
    }
    let listed: Vec<PathBuf> = std::env::var_os("KUBECONFIG").iter().flat_map(std::env::split_paths).collect();
    let mut files: Vec<PathBuf> = listed.into_iter().filter(|path| !path.as_os_str().is_empty()).collect();
    if files.is_empty() {
        files.extend(std::env::home_dir().map(|home| home.join(".kube").join("config")));
    }
    let mut merged: Option<Kubeconfig> = None;
    for file in files {
        let read = match Kubeconfig::read_from(&file) {
            Ok(read) => read,
            Err(KubeconfigError::ReadConfig(error, _)) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("kubeconfig {}", file.display())),
        };
        merged = Some(match merged {
            Some(before) => before.merge(read).with_context(|| format!("kubeconfig {}", file.display()))?,
            None => read,
        });
    }
    Ok(merged)
}

/// What an error of the API server means, and what to do.
pub(crate) fn explained(error: Error, server: &Server) -> anyhow::Error {
    let words = match &error {
        Error::Api(status) if status.code == 401 => {
            format!("{} does not accept the credentials of the kubeconfig: log in again", server.name)
        }
        Error::Api(status) if status.code == 403 => {
            format!("{} does not allow it: {}", server.name, status.message)
        }
        Error::Api(status) => format!("{}: {} ({})", server.name, status.message, status.code),
        Error::Auth(_) => format!("no credentials for {}", server.name),
        Error::Service(_) | Error::HyperError(_) | Error::ReadEvents(_) => {
            format!("{} cannot be reached: is it running, and is the address right?", server.name)
        }
        _ => format!("{}: not an answer of an API server", server.name),
    };
    match error {
        Error::Api(_) => anyhow::anyhow!(words),
        error => anyhow::Error::new(error).context(words),
    }
}
