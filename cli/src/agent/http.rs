//! What the agent serves: `/metrics`, `/healthz`, `/readyz`, and its flow log at `/log`.

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

use super::metrics::Status;
use crate::log;

/// Bytes of the log that are read at a time, and pieces that wait for a slow reader.
const PIECE: usize = 64 << 10;
const PIECES: usize = 4;

/// What the handlers know.
#[derive(Clone)]
struct Served {
    status: Arc<Status>,
    log: PathBuf,
    /// One copy of the log at a time: each takes as much disk as the log.
    copies: Arc<Semaphore>,
}

/// Takes the port.
pub(super) async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("--listen {address}"))
}

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, status: Arc<Status>, log: PathBuf) -> anyhow::Result<()> {
    let served = Served { status, log, copies: Arc::new(Semaphore::new(1)) };
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async |State(served): State<Served>| state(served.status.health())))
        .route("/readyz", get(async |State(served): State<Served>| state(served.status.readiness())))
        .route("/log", get(flow_log))
        .with_state(served);
    axum::serve(listener, router).await.context("serving")
}

fn state(state: Result<(), String>) -> Response {
    match state {
        Ok(()) => "ok\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason + "\n").into_response(),
    }
}

async fn metrics(State(served): State<Served>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], served.status.text()).into_response()
}

/// The flow log as it is now, as one file.
async fn flow_log(State(served): State<Served>) -> Response {
    let Ok(permit) = served.copies.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], "somebody else is fetching it\n")
            .into_response();
    };
    let copied = tokio::task::spawn_blocking(move || copy(&served.log)).await;
    let mut file = match copied {
        Ok(Ok(file)) => file,
        Ok(Err(error)) => return failed(&format!("{error:#}")),
        Err(error) => return failed(&error.to_string()),
    };
    let length = file.metadata().map_or(0, |found| found.len());
    let (pieces, sent) = mpsc::channel::<std::io::Result<Bytes>>(PIECES);
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let mut piece = vec![0; PIECE];
        loop {
            let read = file.read(&mut piece);
            let done = !matches!(read, Ok(1..));
            let next = match read {
                Ok(0) => break,
                read => read.map(|count| Bytes::copy_from_slice(&piece[..count])),
            };
            if pieces.blocking_send(next).is_err() || done {
                break;
            }
        }
    });
    let stream = futures::stream::unfold(sent, async |mut sent| sent.recv().await.map(|piece| (piece, sent)));
    let headers =
        [(header::CONTENT_TYPE, "application/vnd.sqlite3".to_string()), (header::CONTENT_LENGTH, length.to_string())];
    (headers, Body::from_stream(stream)).into_response()
}

fn failed(reason: &str) -> Response {
    tracing::error!(reason, "the flow log cannot be handed out");
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{reason}\n")).into_response()
}

/// Copies the log beside it, and opens the copy, which has no name any more.
fn copy(path: &Path) -> anyhow::Result<std::fs::File> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".copy-{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let copied = log::copy(path, &beside)
        .and_then(|()| std::fs::File::open(&beside).with_context(|| beside.display().to_string()));
    let _ = std::fs::remove_file(&beside);
    copied
}
