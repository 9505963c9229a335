//! Workloads that will run and did not while traffic was recorded: nothing is known of what they need.

use capture::Timestamp;

use super::{Expected, Kind};
use crate::endpoint::{Endpoint, Workload};
use crate::graph::Graph;
use crate::inventory::{Inventory, Presence, Schedule, WorkloadInfo};

/// CronJobs without a pod in the window, and workloads at zero. One with an edge that worked is not among them.
pub(super) fn quiet(graph: &Graph, window: Option<(Timestamp, Timestamp)>, inventory: &Inventory) -> Vec<Expected> {
    let mut found = Vec::new();
    for (workload, info) in inventory.workloads.iter().filter(|(_, info)| !info.host_network) {
        let (kind, message) = if let Some(schedule) = &info.schedule {
            let Some(window) = window else { continue };
            let Some(message) = did_not_run(workload, schedule, window, inventory) else { continue };
            (Kind::CronJob, message)
        } else if info.is_at_zero() {
            let ran = window.map(|(from, to)| inventory.existed(workload, from, to));
            if ran == Some(Presence::Yes) {
                continue;
            }
            (Kind::AtZero, "has no replicas: nothing is known of what it needs when it has some again".to_string())
        } else {
            continue;
        };
        let endpoint = Endpoint::Workload(workload.clone());
        let mut edges = graph.from(&endpoint).into_iter().chain(graph.to(&endpoint));
        if !edges.any(|edge| edge.used().is_some()) {
            found.push(item(kind, workload, info, message));
        }
    }
    found.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    found
}

fn item(kind: Kind, workload: &Workload, info: &WorkloadInfo, message: String) -> Expected {
    Expected {
        kind,
        name: format!("{} {}/{}", workload.kind, workload.namespace, workload.name),
        origin: info.origin.clone().unwrap_or_default(),
        clients: Vec::new(),
        servers: vec![Endpoint::Workload(workload.clone())],
        protocol: None,
        port: None,
        service: None,
        allowed: None,
        policies: Vec::new(),
        rules: Vec::new(),
        message,
    }
}

/// Why nothing is known of a CronJob; `None` where it ran.
fn did_not_run(
    workload: &Workload,
    schedule: &Schedule,
    (from, to): (Timestamp, Timestamp),
    inventory: &Inventory,
) -> Option<String> {
    let presence = inventory.existed(workload, from, to);
    if presence == Presence::Yes {
        return None;
    }
    let zone = schedule.time_zone.as_ref().map(|zone| format!(" {zone}")).unwrap_or_default();
    let when = format!("schedule \"{}\"{zone}", schedule.cron);
    let last = match schedule.last_scheduled {
        Some(last) => format!("last scheduled {last}"),
        None => "never scheduled as far as the input says".to_string(),
    };
    let what = match schedule.last_scheduled {
        _ if schedule.suspended => "is suspended and did not run in the window".to_string(),
        Some(last) if from <= last && last <= to => {
            "was scheduled in the window, but none of its pods is in the input: its traffic is unresolved".to_string()
        }
        _ if presence == Presence::Unknown => {
            "may have run in the window: the input does not say when its pods ended".to_string()
        }
        _ => format!("did not run between {from} and {to}"),
    };
    Some(format!("{what} ({when}, {last}): nothing is known of what it needs"))
}
