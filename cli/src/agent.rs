//! `ringfence agent`: learn mode on one node of a cluster.
//!
//! `pods` watches the node's own pods, `owner` finds the workloads they belong to, `tenures` turns both into who held which
//! address when. The recorder of `record` writes that down with what it sees, in a thread of its own; `http` tells others how
//! it goes, and hands the flow log out.

mod http;
mod known;
pub(crate) mod metrics;
pub(crate) mod owner;
pub(crate) mod pods;
pub(crate) mod tenures;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc;

use crate::args::AgentArgs;
use crate::cluster;
use crate::exit::Exit;
use crate::log::{HOUR, Kind, Log};
use crate::record::clock::system;
use crate::record::recorder::Recorder;
use crate::record::session::{Bounds, Session};
use crate::record::stop::Stop;

use known::Known;
use metrics::Status;
use tenures::Change;

/// Changes of pods that may wait for the recorder.
const WAITING: usize = 4096;

/// How long a clean end may take before the connections of others are cut.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the command.
pub(crate) fn run(args: &AgentArgs) -> anyhow::Result<Exit> {
    let stop = Stop::on_signals()?;
    let mut options = args.live.options(&args.tunnels);
    if options.patterns.is_empty() {
        // What stays within the node's own network namespace is nobody's policy.
        options.patterns = ["any", "!lo"].into_iter().filter_map(|pattern| pattern.parse().ok()).collect();
    }
    let recorder = Recorder::open(options)?;
    if let Some(directory) = args.log.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    let mut log = Log::create_or_open(&args.log)?;
    let observer = log.observer(&args.node, Kind::Agent, &args.node, HOUR)?;
    log.adopt(observer)?;
    let bounds = Bounds { keep: args.keep, size: u64::from(args.max_log) };
    let session = Session::new(recorder, log, observer, args.live.flush(), args.live.max_external, Some(bounds));
    let status = Arc::new(Status::new(&args.node, &args.log));
    let (changes, told) = mpsc::channel(WAITING);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    // Before anything runs: a port that is taken or a cluster that is none ends the agent at once.
    let listener = runtime.block_on(http::listen(args.listen))?;
    let server = runtime.block_on(cluster::watching(&args.cluster))?;
    tracing::info!(node = args.node, cluster = server.name, listen = %args.listen, log = %args.log.display(), "recording");
    let recording = {
        let (status, stop) = (status.clone(), stop.clone());
        std::thread::Builder::new()
            .name("recorder".to_string())
            .spawn(move || {
                let done = record(session, told, &status, &stop);
                // Without the recorder there is no agent.
                stop.ask();
                done
            })
            .context("no thread")?
    };
    let served = runtime.block_on(async {
        let watch = pods::watch(server.client, &args.node, system, changes);
        let serve = http::serve(listener, status.clone(), args.log.clone());
        tokio::select! {
            () = watch => {}
            served = serve => served?,
            () = stop.asked() => {}
        }
        anyhow::Ok(())
    });
    // Whatever ended it, what was recorded is written first.
    stop.ask();
    let recorded = recording.join().map_err(|_| anyhow::anyhow!("the recorder panicked"))?;
    runtime.shutdown_timeout(GRACE);
    recorded?;
    served?;
    Ok(Exit::Fine)
}

/// Records until somebody asks for an end.
fn record(mut session: Session, mut told: mpsc::Receiver<Change>, status: &Status, stop: &Stop) -> anyhow::Result<()> {
    let mut known = Known::default();
    session.note_own_node();
    while !stop.is_asked() {
        while let Ok(change) = told.try_recv() {
            status.told(&change);
            known.take(change, &mut session);
        }
        session.step()?;
        if let Some(set) = session.set_back() {
            known.set_back(set, &mut session);
        }
        status.update(&mut session);
    }
    session.finish()?;
    Ok(())
}

/// Bytes of a flow log, with what stands beside it.
pub(crate) fn size(log: &Path) -> u64 {
    let beside = |end: &str| {
        let mut name = log.as_os_str().to_owned();
        name.push(end);
        std::fs::metadata(name).map_or(0, |found| found.len())
    };
    ["", "-wal"].into_iter().map(beside).sum()
}
