//! What the watch tells, as a flow log holds it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use capture::Timestamp;

use super::tenures::{Change, PodRef};
use crate::log::{KnownPod, Tenure};
use crate::record::clock::Set;
use crate::record::session::Session;

/// From when which pod holds an address, by address and uid.
#[derive(Debug, Default)]
pub(super) struct Known {
    held: BTreeMap<(IpAddr, String), Timestamp>,
}

impl Known {
    /// The clock was set back: whoever holds an address held it until then, and holds it anew.
    pub(super) fn set_back(&mut self, set: Set, session: &mut Session) {
        for ((ip, uid), since) in &mut self.held {
            let tenure = |since, until| Some(Tenure { address: *ip, pod: uid.clone(), since, until });
            session.note(None, tenure(*since, Some(set.before.max(*since))));
            session.note(None, tenure(set.after, None));
            *since = set.after;
        }
    }

    /// Takes a change into the log. No tenure ends before it began, whatever the clocks say.
    pub(super) fn take(&mut self, change: Change, session: &mut Session) {
        match change {
            Change::Held { ip, pod, from } => {
                let since = *self.held.entry((ip, pod.uid.clone())).or_insert(from);
                let tenure = Tenure { address: ip, pod: pod.uid.clone(), since, until: None };
                session.note(Some(known(&pod)), Some(tenure));
            }
            Change::Released { ip, uid, at } => {
                let Some(since) = self.held.remove(&(ip, uid.clone())) else { return };
                session.note(None, Some(Tenure { address: ip, pod: uid, since, until: Some(at.max(since)) }));
            }
            Change::OnHost { pod, .. } => session.note(Some(known(&pod)), None),
            Change::Complete { .. } => {}
        }
    }
}

fn known(pod: &PodRef) -> KnownPod {
    let object = pod.object.value();
    let text = |at: &str| object.pointer(at).and_then(|value| value.as_str()).unwrap_or_default();
    KnownPod {
        uid: pod.uid.clone(),
        version: text("/metadata/resourceVersion").parse().unwrap_or_default(),
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        owner: Some((pod.owner.kind.clone(), pod.owner.name.clone())),
        node: text("/spec/nodeName").to_string(),
        object: object.to_string(),
    }
}
