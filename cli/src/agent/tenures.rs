//! Who holds which address of the node: lists and events of pods in, changes out. Time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use capture::Timestamp;
use capture::time::SECOND;
use serde_json::Value;
use synth::manifest::reduce::Reduced;

/// A workload by kind and name, in the pod's namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub(crate) kind: String,
    pub(crate) name: String,
}

/// What is known of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodRef {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    /// The top owner: a Deployment rather than its ReplicaSet; the pod itself where it has none.
    pub(crate) owner: Owner,
    pub(crate) labels: BTreeMap<String, String>,
    /// The object, reduced as in a snapshot.
    pub(crate) object: Reduced,
}

/// A change of identity on the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// A pod holds an address from a time on. Told again where its labels or its owner changed.
    Held { ip: IpAddr, pod: PodRef, from: Timestamp },
    /// It no longer does, from `at` on, which a clock that was set back may show before `from`.
    Released { ip: IpAddr, uid: String, at: Timestamp },
    /// A pod on the network of its node, whose addresses these are; it holds none of its own.
    OnHost { node: String, ips: Vec<IpAddr>, pod: PodRef },
    /// Everything that the API server has of this node has been told.
    Complete { pods: usize },
}

/// A pod as the API server shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) pod: PodRef,
    node: String,
    ips: BTreeSet<IpAddr>,
    host_network: bool,
    started: Option<Timestamp>,
    /// Whether all of its containers are over for good.
    finished: bool,
    /// When the last container ended, where all have.
    ended: Option<Timestamp>,
    /// When it is to be gone: the request and its grace period.
    deletion: Option<Timestamp>,
}

impl Seen {
    /// Reads a reduced Pod (`v1`); `None` where it has no uid.
    pub(crate) fn of(object: Reduced, owner: Owner) -> Option<Seen> {
        let value = object.value();
        let (metadata, spec, status) = (&value["metadata"], &value["spec"], &value["status"]);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let time = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
        let listed = status["podIPs"].as_array().into_iter().flatten().map(|entry| &entry["ip"]);
        let ips = listed.chain([&status["podIP"]]).filter_map(|ip| ip.as_str()?.parse::<IpAddr>().ok());
        let ips = ips.map(|ip| ip.to_canonical()).collect();
        let states = status["containerStatuses"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ends: Vec<Option<Timestamp>> =
            states.iter().map(|status| time(&status["state"]["terminated"]["finishedAt"])).collect();
        // The API cuts times to seconds: the container was there until the end of this one.
        let ended = ends.iter().copied().collect::<Option<Vec<_>>>().and_then(|ends| ends.into_iter().max());
        let uid = text(&metadata["uid"]);
        if uid.is_empty() {
            return None;
        }
        Some(Seen {
            node: text(&spec["nodeName"]),
            ips,
            host_network: spec["hostNetwork"].as_bool().unwrap_or_default(),
            started: time(&status["startTime"]),
            finished: matches!(status["phase"].as_str(), Some("Succeeded" | "Failed")),
            ended: ended.map(|end| end.plus(SECOND)),
            deletion: time(&metadata["deletionTimestamp"]),
            pod: PodRef {
                namespace: text(&metadata["namespace"]),
                name: text(&metadata["name"]),
                uid,
                owner,
                labels: labels(&metadata["labels"]),
                object,
            },
        })
    }

    /// When it let go of its addresses, if it is gone or over at `now`.
    fn end(&self, now: Timestamp) -> Timestamp {
        // A deletion may be done before its time, or forced.
        self.ended.or(self.deletion).map_or(now, |end| end.min(now))
    }
}

fn labels(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_string()))).collect()
}

/// A pod that has been told.
#[derive(Debug)]
struct Known {
    seen: Seen,
    /// From when it holds which address; empty once it is over.
    held: BTreeMap<IpAddr, Timestamp>,
    /// Addresses that its status still names, and that a younger pod has.
    lost: BTreeSet<IpAddr>,
}

impl Known {
    /// Of two pods with one address the greater one has it: an address is given away when it is free.
    fn age(&self) -> (Option<Timestamp>, &str) {
        (self.seen.started, &self.seen.pod.uid)
    }
}

/// The state: the pods of the node that the API server has.
#[derive(Debug, Default)]
pub(crate) struct Tenures {
    known: BTreeMap<String, Known>,
}

impl Tenures {
    /// A pod as it is now.
    pub(crate) fn apply(&mut self, seen: Seen, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        let uid = seen.pod.uid.clone();
        let before = self.known.remove(&uid);
        if seen.host_network {
            let is_news = before.as_ref().is_none_or(|known| told(&known.seen) != told(&seen));
            if is_news && !seen.ips.is_empty() {
                let (node, ips) = (seen.node.clone(), seen.ips.iter().copied().collect());
                changes.push(Change::OnHost { node, ips, pod: seen.pod.clone() });
            }
            self.known.insert(uid, Known { seen, held: BTreeMap::new(), lost: BTreeSet::new() });
            return changes;
        }
        let was_over = before.as_ref().is_some_and(|known| known.seen.finished);
        // What was held before the first address was seen began with the pod; a later one when it was seen.
        let fresh = before.as_ref().is_none_or(|known| known.held.is_empty() && known.lost.is_empty());
        let is_news = before.as_ref().is_some_and(|known| {
            (&known.seen.pod.labels, &known.seen.pod.owner) != (&seen.pod.labels, &seen.pod.owner)
        });
        let (mut held, mut lost) = before.map(|known| (known.held, known.lost)).unwrap_or_default();
        lost.retain(|ip| seen.ips.contains(ip) || seen.ips.is_empty());
        let from = if fresh { seen.started.unwrap_or(now) } else { now };
        let hold = |ip: IpAddr, from: Timestamp| Change::Held { ip, pod: seen.pod.clone(), from };
        if !was_over {
            held.retain(|ip, since| {
                let stays = seen.ips.contains(ip) || seen.ips.is_empty();
                if !stays {
                    changes.push(Change::Released { ip: *ip, uid: uid.clone(), at: now });
                } else if is_news {
                    changes.push(hold(*ip, *since));
                }
                stays
            });
            for ip in seen.ips.difference(&lost) {
                held.entry(*ip).or_insert_with(|| {
                    changes.push(hold(*ip, from));
                    from
                });
            }
            if seen.finished {
                changes.extend(release(&uid, std::mem::take(&mut held).into_keys(), seen.end(now)));
            }
        }
        self.known.insert(uid.clone(), Known { seen, held, lost });
        self.hand_over(&uid, now, &mut changes);
        changes
    }

    /// Ends what the addresses of a pod were to older pods, or to itself where a younger one has them. A pod that is being
    /// deleted may be there long after its address is free, and its deletion may be missed.
    fn hand_over(&mut self, uid: &str, now: Timestamp, changes: &mut Vec<Change>) {
        let Some(known) = self.known.get(uid) else { return };
        let mut ended: Vec<(IpAddr, String)> = Vec::new();
        for ip in known.held.keys() {
            let holders = self.known.values().filter(|other| other.held.contains_key(ip));
            let youngest = holders.clone().map(Known::age).max();
            let older = holders.filter(|holder| Some(holder.age()) != youngest);
            ended.extend(older.map(|older| (*ip, older.seen.pod.uid.clone())));
        }
        for (ip, uid) in ended {
            let Some(known) = self.known.get_mut(&uid) else { continue };
            known.held.remove(&ip);
            known.lost.insert(ip);
            changes.extend(release(&uid, [ip], known.seen.end(now)));
        }
    }

    /// A pod that was deleted, in its last state.
    pub(crate) fn delete(&mut self, seen: Seen, now: Timestamp) -> Vec<Change> {
        // Whoever was not told yet has been there all the same.
        let mut changes = self.apply(seen.clone(), now);
        if let Some(known) = self.known.remove(&seen.pod.uid) {
            changes.extend(release(&seen.pod.uid, known.held.into_keys(), seen.end(now)));
        }
        changes
    }

    /// All pods that the API server has, after a time in which events may have been missed. Those that are no longer
    /// there were gone by the time that another pod had their address, at the latest now.
    pub(crate) fn replace(&mut self, list: Vec<Seen>, now: Timestamp) -> Vec<Change> {
        let there: BTreeSet<String> = list.iter().map(|seen| seen.pod.uid.clone()).collect();
        let gone: Vec<String> = self.known.keys().filter(|uid| !there.contains(*uid)).cloned().collect();
        let mut changes = Vec::new();
        for uid in gone {
            let Some(known) = self.known.remove(&uid) else { continue };
            let end = known.seen.end(now);
            for (ip, since) in known.held {
                let heirs = list.iter().filter(|seen| seen.ips.contains(&ip) && !seen.host_network);
                let next = heirs.filter_map(|seen| seen.started).filter(|start| *start > since).min();
                changes.extend(release(&uid, [ip], next.map_or(end, |next| next.min(end))));
            }
        }
        let pods = list.len();
        for seen in list {
            changes.extend(self.apply(seen, now));
        }
        changes.push(Change::Complete { pods });
        changes
    }
}

/// What of a pod on the host network is told.
fn told(seen: &Seen) -> (&BTreeSet<IpAddr>, &Owner, &BTreeMap<String, String>) {
    (&seen.ips, &seen.pod.owner, &seen.pod.labels)
}

/// At `at`, also where that is before it began: the clock may have been set back, of which the recorder knows more.
fn release(uid: &str, ips: impl IntoIterator<Item = IpAddr>, at: Timestamp) -> impl Iterator<Item = Change> {
    ips.into_iter().map(move |ip| Change::Released { ip, uid: uid.to_string(), at })
}

#[cfg(test)]
mod tests;
