//! The agents of a cluster, and the log of one.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use futures::{AsyncReadExt, pin_mut};
use kube::Error;
use kube::api::{GetParams, ListParams};
use kube::core::Request;
use serde::Deserialize;

use crate::cluster::{Server, briefly, explained, retried};

/// Pods a page.
const PAGE: u32 = 500;
/// Bytes that are written at once.
const CHUNK: usize = 64 * 1024;

/// A pod that records.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Agent {
    pub(super) node: String,
    pub(super) pod: String,
    phase: String,
}

impl Agent {
    /// `node a (ringfence-x2x4c)`.
    pub(super) fn label(&self) -> String {
        format!("node {} ({})", self.node, self.pod)
    }
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Page {
    metadata: PageMetadata,
    items: Vec<Pod>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PageMetadata {
    name: String,
    r#continue: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pod {
    metadata: PageMetadata,
    spec: Spec,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: String,
}

/// The agents, by node.
pub(super) async fn agents(server: &Server, namespace: &str, selector: &str) -> kube::Result<Vec<Agent>> {
    let request = Request::new(format!("/api/v1/namespaces/{namespace}/pods"));
    let mut found = Vec::new();
    let mut params = ListParams::default().labels(selector).limit(PAGE);
    loop {
        let page: Page = retried(|| async {
            let text = server.client.request_text(request.list(&params).map_err(Error::BuildRequest)?).await?;
            serde_json::from_str(&text).map_err(Error::SerdeError)
        })
        .await?;
        found.extend(page.items.into_iter().map(|pod| Agent {
            node: pod.spec.node_name,
            pod: pod.metadata.name,
            phase: pod.status.phase,
        }));
        match page.metadata.r#continue.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => break,
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Fetches the log of an agent into a file, anew if the connection breaks.
///
/// # Errors
///
/// The agent does not run or does not answer, or the file cannot be written.
pub(super) async fn fetch(
    server: &Server,
    namespace: &str,
    agent: &Agent,
    port: u16,
    path: &Path,
) -> anyhow::Result<()> {
    if agent.phase != "Running" {
        bail!("it does not run: its pod is {}", if agent.phase.is_empty() { "Unknown" } else { &agent.phase });
    }
    let request = Request::new(format!("/api/v1/namespaces/{namespace}/pods/{}:{port}/proxy", agent.pod));
    let fetched = briefly(|| async {
        let request = request.get("log", &GetParams::default()).map_err(Error::BuildRequest)?;
        let body = server.client.request_stream(request).await?;
        pin_mut!(body);
        let mut file = match File::create(path) {
            Ok(file) => file,
            Err(error) => return Ok(Err(error)),
        };
        let mut chunk = vec![0; CHUNK];
        loop {
            // What breaks on the way may work the next time; a full disk will not.
            let count = body.read(&mut chunk).await.map_err(Error::ReadEvents)?;
            if count == 0 {
                return Ok(file.sync_all());
            }
            if let Err(error) = file.write_all(&chunk[..count]) {
                return Ok(Err(error));
            }
        }
    })
    .await;
    match fetched {
        Ok(written) => written.with_context(|| path.display().to_string()),
        Err(error) => Err(explained(error, server).context("its flow log cannot be fetched")),
    }
}
