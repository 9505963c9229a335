//! Whether what was watched suffices to act on a finding.
//!
//! Silence proves nothing about a time, a place or a workload that nobody watched. Only findings that rest on silence
//! are asked: that a part selects nothing, is allowed elsewhere or is not enforced shows without any.

use std::collections::BTreeSet;

use capture::Timestamp;
use capture::time::SECOND;

use super::matched::Workloads;
use super::{Finding, Status};
use crate::endpoint::Workload;
use crate::evaluate::Options;
use crate::inventory::{Inventory, Presence};
use crate::learn::Watched;
use crate::part::{Part, PolicyIndex};
use crate::policy::{AnyPolicy, Block, Peer, PolicySet};
use crate::render::{count, thousands};
use crate::window::Window;

/// What was watched.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// When; `None` where nothing was.
    pub window: Option<Window>,
    /// Packets seen.
    pub packets: u64,
    /// Packets that are known to be missing: lost while capturing.
    pub lost: u64,
    /// Packets that were seen and could not be read: damaged, cut too short, or in tunnels that are encrypted.
    pub unreadable: u64,
    /// What those were, in words.
    pub unreadable_as: Vec<String>,
    /// Conversations, and how many of them worked and are in no flow, because there were too many.
    pub conversations: u64,
    /// See [`Watch::conversations`].
    pub dropped: u64,
    /// Conversations with a side inside the pods' addresses that no pod held.
    pub unresolved: u64,
    /// Which pods were watched.
    pub watched: Watched,
    /// Nodes of which something was seen.
    pub nodes: BTreeSet<String>,
}

/// What is asked of the evidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gate {
    /// How long somebody has to have watched, in nanoseconds.
    pub min_window: i64,
    /// The share of packets that may be lost or unreadable, and of conversations that may be left out.
    pub max_loss: f64,
    /// The share of conversations that may have an unresolved side.
    pub max_unresolved: f64,
}

impl Default for Gate {
    fn default() -> Gate {
        Gate { min_window: 24 * 3600 * SECOND, max_loss: 0.001, max_unresolved: 0.05 }
    }
}

/// Selectors that match more workloads than this are not about each of them.
const FEW: usize = 10;

/// Notes in each of `findings` what is missing.
pub fn gate(
    findings: &mut [Finding],
    gate: &Gate,
    watch: &Watch,
    set: PolicySet<'_>,
    inventory: &Inventory,
    options: Options,
) {
    let workloads = Workloads::new(inventory, options);
    let everywhere = of_all(gate, watch);
    for finding in findings {
        let rests_on_silence = match finding.status {
            Status::Unused => true,
            // What was used says that much; that nothing else is needed rests on silence.
            Status::Overbroad => true,
            Status::Dead | Status::Redundant | Status::NotEnforced => false,
        };
        let unclear = (finding.unclear > 0).then(|| {
            format!(
                "{} may have been its: of pods that are not known, without a known direction, or translated on the way",
                count(finding.unclear, "connection")
            )
        });
        if !rests_on_silence {
            // Who is not known may be whom it selects.
            if finding.status == Status::Dead {
                finding.missing.extend(unclear);
            }
            continue;
        }
        let about = About::new(finding.part, set, &workloads);
        let mut missing = window(gate, watch, finding.part.of(set));
        missing.extend(everywhere.iter().cloned());
        missing.extend(about.unwatched(watch, inventory));
        missing.extend(about.unseen(watch, inventory));
        missing.extend(about.idle(watch, inventory));
        if finding.status == Status::Unused {
            missing.extend(about.nodes(inventory));
        }
        missing.extend(unclear);
        finding.missing.extend(missing);
    }
}

/// What is missing before silence means anything at all, whatever it is about.
pub fn shortcomings(gate: &Gate, watch: &Watch) -> Vec<String> {
    too_short(gate, watch).into_iter().chain(of_all(gate, watch)).collect()
}

/// What is missing for every finding.
fn of_all(gate: &Gate, watch: &Watch) -> Vec<String> {
    let mut missing = Vec::new();
    let exceeds = |part: u64, of: u64, limit: f64| part > 0 && part as f64 > of as f64 * limit;
    let all = watch.packets + watch.lost;
    if exceeds(watch.lost, all, gate.max_loss) {
        missing.push(format!(
            "{} of {} packets were lost while capturing ({} allowed)",
            thousands(watch.lost),
            thousands(all),
            percent(gate.max_loss)
        ));
    }
    if exceeds(watch.unreadable, watch.packets, gate.max_loss) {
        missing.push(format!(
            "{} of {} packets could not be read: {} ({} allowed)",
            thousands(watch.unreadable),
            thousands(watch.packets),
            watch.unreadable_as.join(", "),
            percent(gate.max_loss)
        ));
    }
    if exceeds(watch.dropped, watch.conversations + watch.dropped, gate.max_loss) {
        missing.push(format!("{} in no flow, because there were too many", count(watch.dropped, "conversation")));
    }
    if exceeds(watch.unresolved, watch.conversations, gate.max_unresolved) {
        missing.push(format!(
            "{} of {} conversations have an unresolved side: dump and capture do not fit together",
            thousands(watch.unresolved),
            thousands(watch.conversations)
        ));
    }
    missing
}

/// Whether anything was watched for long enough.
fn too_short(gate: &Gate, watch: &Watch) -> Option<String> {
    let asked = duration(gate.min_window);
    let Some(window) = &watch.window else { return Some(format!("nothing was watched ({asked} are asked for)")) };
    let all = window.watched();
    if all >= gate.min_window {
        return None;
    }
    let gaps = match window.gaps().len() {
        0 => String::new(),
        1 => ", with a gap".to_string(),
        count => format!(", with {count} gaps"),
    };
    Some(format!("only {} were watched{gaps} ({asked} are asked for)", duration(all)))
}

/// Whether the policy was watched for long enough.
fn window(gate: &Gate, watch: &Watch, policy: AnyPolicy<'_>) -> Vec<String> {
    let asked = duration(gate.min_window);
    if let Some(short) = too_short(gate, watch) {
        return vec![short];
    }
    let Some(window) = &watch.window else { return Vec::new() };
    let Some(created) = policy.created().filter(|created| *created > window.from()) else { return Vec::new() };
    let since = window.watched_between(created, window.to());
    if since < gate.min_window {
        let text = format!("the policy is younger than the window: of its time {} were watched", duration(since));
        return vec![format!("{text} ({asked} are asked for)")];
    }
    Vec::new()
}

/// Whom a part of a policy is about.
struct About<'a> {
    subject: BTreeSet<&'a Workload>,
    peers: BTreeSet<&'a Workload>,
    /// Whether it is about others than workloads.
    others: bool,
    blocks: Vec<&'a Block>,
}

impl<'a> About<'a> {
    fn new(part: Part, set: PolicySet<'a>, workloads: &Workloads<'a>) -> About<'a> {
        let mut about = About { subject: BTreeSet::new(), peers: BTreeSet::new(), others: false, blocks: Vec::new() };
        let is_meant = |at: usize| part.peer.is_none_or(|peer| peer == at);
        match part.policy {
            PolicyIndex::Network(index) => {
                let policy = &set.network[index];
                about.subject = workloads.subject(&policy.namespace, &policy.subject);
                let rules = part.direction.and_then(|direction| policy.rules(direction)).unwrap_or_default();
                let Some(rule) = part.rule.and_then(|rule| rules.get(rule)) else { return about };
                about.others = rule.peers.listed().is_empty();
                for (_, peer) in rule.peers.listed().iter().enumerate().filter(|(at, _)| is_meant(*at)) {
                    match (workloads.peer(&policy.namespace, peer), peer) {
                        (Some(matched), _) => about.peers.extend(matched),
                        (None, Peer::Block(block)) => about.blocks.push(block),
                        (None, _) => about.others = true,
                    }
                }
            }
            PolicyIndex::Cluster(index) => {
                let policy = &set.cluster[index];
                about.subject = workloads.cluster(&policy.subject);
                let rules = part.direction.map(|direction| policy.rules(direction)).unwrap_or_default();
                let Some(rule) = part.rule.and_then(|rule| rules.get(rule)) else { return about };
                for (_, peer) in rule.peers.iter().enumerate().filter(|(at, _)| is_meant(*at)) {
                    match workloads.cluster_peer(peer) {
                        Some(matched) => about.peers.extend(matched),
                        None => about.others = true,
                    }
                }
            }
        }
        about
    }

    /// Workloads of which nobody can have seen a connection: it shows at either end.
    fn unwatched(&self, watch: &Watch, inventory: &Inventory) -> Option<String> {
        let blind = |workload: &&&Workload| !watch.watched.covers(workload, inventory);
        let subject: Vec<String> = self.subject.iter().filter(blind).map(ToString::to_string).collect();
        let peers_seen = !self.others && self.blocks.is_empty() && !self.peers.is_empty();
        let peers_seen = peers_seen && !self.peers.iter().any(|workload| blind(&workload));
        (!subject.is_empty() && !peers_seen)
            .then(|| format!("pods of {} were not watched", crate::words::some(&subject)))
    }

    /// Workloads on nodes of which nothing was seen.
    fn unseen(&self, watch: &Watch, inventory: &Inventory) -> Option<String> {
        let of = |workloads: &BTreeSet<&'a Workload>| -> BTreeSet<String> {
            let infos = workloads.iter().filter_map(|workload| inventory.workloads.get(*workload));
            let pods = infos.flat_map(|info| &info.pods).map(|id| inventory.pod(*id));
            pods.filter_map(|pod| pod.node.clone()).collect()
        };
        let is_unseen = |nodes: &BTreeSet<String>| !nodes.is_empty() && nodes.is_disjoint(&watch.nodes);
        let (subject, peers) = (of(&self.subject), of(&self.peers));
        // A connection shows at either end.
        let at_peers = !self.others && self.blocks.is_empty() && !peers.is_empty() && !is_unseen(&peers);
        (is_unseen(&subject) && !at_peers).then(|| {
            let nodes: Vec<String> = subject.into_iter().collect();
            format!("nothing of node {} was seen", crate::words::some(&nodes))
        })
    }

    /// Workloads that had no pod while somebody watched, and so no chance.
    fn idle(&self, watch: &Watch, inventory: &Inventory) -> Vec<String> {
        let spans = watch.window.as_ref().map(Window::spans).unwrap_or_default();
        let of = |matched: &BTreeSet<&'a Workload>| -> Vec<&'a Workload> {
            let is_few = matched.len() <= FEW;
            // Of many those count that are meant to be away most of the time.
            let counts = |workload: &&&Workload| {
                let info = inventory.workloads.get(**workload);
                is_few || info.is_some_and(|info| info.schedule.is_some() || info.is_at_zero())
            };
            matched.iter().filter(counts).copied().collect()
        };
        let matched: BTreeSet<&Workload> = of(&self.subject).into_iter().chain(of(&self.peers)).collect();
        let idle = matched.into_iter().filter_map(|workload| {
            let existed = |(from, to): &(Timestamp, Timestamp)| inventory.existed(workload, *from, *to);
            let presence = spans.iter().map(existed).max()?;
            if presence == Presence::Yes {
                return None;
            }
            let info = inventory.workloads.get(workload)?;
            let known = if presence == Presence::No { "did not run" } else { "may not have run" };
            Some(match (&info.schedule, info.is_at_zero()) {
                (Some(schedule), _) if schedule.suspended => format!("{workload} is suspended and {known}"),
                (Some(schedule), _) => format!("{workload} ({}) {known} while somebody watched", schedule.cron),
                (None, true) => format!("{workload} is scaled to zero"),
                (None, false) => format!("{workload} {known} while somebody watched"),
            })
        });
        idle.collect()
    }

    /// Addresses of nodes: what pods on the host network do there does not always pass where captures are made, and from a
    /// pod's own node it is allowed in any case, until the pod moves.
    fn nodes(&self, inventory: &Inventory) -> Option<String> {
        let nodes: BTreeSet<_> = inventory.nodes.values().flat_map(|node| node.addresses.keys()).collect();
        let holds = |block: &&&Block| nodes.iter().any(|ip| block.contains(**ip));
        let blocks: Vec<String> = self.blocks.iter().filter(holds).map(|block| block.cidr.to_string()).collect();
        (!blocks.is_empty()).then(|| {
            let blocks = crate::words::some(&blocks);
            format!("{blocks} holds addresses of nodes, whose own connections are not captured everywhere")
        })
    }
}

/// `36 h`, `90 min`, `12 s`: nanoseconds for people.
pub fn duration(nanoseconds: i64) -> String {
    let seconds = nanoseconds / SECOND;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn percent(share: f64) -> String {
    format!("{} %", (share * 100_000.0).round() / 1000.0)
}
