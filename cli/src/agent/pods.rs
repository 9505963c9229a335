//! The pods of one node, watched: no agent watches the whole cluster.

use std::pin::pin;

use capture::Timestamp;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use synth::manifest::reduce::reduce;
use tokio::sync::mpsc::Sender;

use super::owner::Owners;
use super::tenures::{Change, Seen, Tenures};

/// Pods a page of the list.
const PAGE: u32 = 500;

/// Watches the pods of `node` and sends what changes, until nobody receives any more. The watch goes on from the last
/// resource version; where that is too old, or after the API server was gone, the pods are listed anew, with pauses that
/// grow to 30 s, and what was missed is the difference. `now` is the clock.
pub(crate) async fn watch(client: Client, node: &str, now: impl Fn() -> Timestamp, changes: Sender<Change>) {
    let config = Config::default().fields(&format!("spec.nodeName={node}")).page_size(PAGE);
    let pods = Api::<Pod>::all(client.clone());
    let mut owners = Owners::new(client);
    let mut tenures = Tenures::default();
    let mut listed: Vec<Seen> = Vec::new();
    let mut events = pin!(watcher(pods, config).default_backoff());
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = changes.closed() => return,
        };
        let told = match event {
            Some(Ok(Event::Init)) => {
                listed.clear();
                Vec::new()
            }
            Some(Ok(Event::InitApply(pod))) => {
                listed.extend(seen(&pod, &mut owners).await);
                Vec::new()
            }
            Some(Ok(Event::InitDone)) => tenures.replace(std::mem::take(&mut listed), now()),
            Some(Ok(Event::Apply(pod))) => match seen(&pod, &mut owners).await {
                Some(seen) => tenures.apply(seen, now()),
                None => Vec::new(),
            },
            Some(Ok(Event::Delete(pod))) => match seen(&pod, &mut owners).await {
                Some(seen) => tenures.delete(seen, now()),
                None => Vec::new(),
            },
            Some(Err(error)) => {
                tracing::warn!(node, %error, "the watch on pods broke off; it is begun again");
                Vec::new()
            }
            None => return,
        };
        for change in told {
            if changes.send(change).await.is_err() {
                return;
            }
        }
    }
}

/// The pod with its owner; `None`, with a word in the log, where it is not one that anybody could name.
async fn seen(pod: &Pod, owners: &mut Owners) -> Option<Seen> {
    let whole = serde_json::to_value(pod).ok()?;
    let reduced = match reduce(&whole) {
        Ok(reduced) => reduced,
        Err(misfit) => {
            tracing::warn!(%misfit, "a pod cannot be read");
            return None;
        }
    };
    let owner = owners.of(&pod.metadata).await;
    let seen = Seen::of(reduced, owner);
    if seen.is_none() {
        tracing::warn!(pod = pod.name_any(), "a pod has no uid");
    }
    seen
}

#[cfg(test)]
mod tests;
