//! What servers open to clients by ingress rules of NetworkPolicies.

use std::sync::OnceLock;

use rustc_hash::FxHashMap;

use super::access::{Access, ClassSet};
use crate::evaluate::course::Algebra;
use crate::ports::PortSet;

/// Peers that are at least so many ends are united once for all clients that are in the same ones.
const MANY: u64 = 64;

/// Which ports of which servers ingress rules grant to a client. Classes here are the ends of [`super::Classes`].
///
/// Large clusters have thousands of policies for all pods of a team or with a label, and only some hundred kinds of
/// clients to them: what is open to many is united once per kind, and only what is open to few for each client.
pub(super) struct Opened {
    /// Servers and ports by who may connect.
    grants: Vec<Access>,
    /// By client: the grants to few that it has.
    few: Vec<Vec<u32>>,
    /// By client: its kind.
    kind: Vec<u32>,
    kinds: Vec<Kind>,
}

/// Clients that have the same grants to many.
struct Kind {
    grants: Vec<u32>,
    /// Their union, made when it is first asked for.
    united: OnceLock<Access>,
}

impl Opened {
    /// `grants` are sets of clients and what is open to them; `count` is the number of ends.
    pub(super) fn new(grants: impl IntoIterator<Item = (ClassSet, Vec<(PortSet, ClassSet)>)>, count: usize) -> Opened {
        let mut by_clients: FxHashMap<ClassSet, Vec<(PortSet, ClassSet)>> = FxHashMap::default();
        for (clients, servers) in grants {
            by_clients.entry(clients).or_default().extend(servers);
        }
        let [mut few, mut many] = [vec![Vec::new(); count], vec![Vec::new(); count]];
        let mut grants = Vec::with_capacity(by_clients.len());
        for (number, (clients, servers)) in (0..).zip(by_clients) {
            let of = if clients.len() < MANY { &mut few } else { &mut many };
            clients.iter().for_each(|client| of[client as usize].push(number));
            grants.push(servers.into_iter().collect());
        }
        let mut known: FxHashMap<Vec<u32>, u32> = FxHashMap::default();
        let mut kinds = Vec::new();
        let kind = many.into_iter().map(|grants| {
            *known.entry(grants).or_insert_with_key(|grants| {
                kinds.push(Kind { grants: grants.clone(), united: OnceLock::new() });
                kinds.len() as u32 - 1
            })
        });
        let kind = kind.collect();
        Opened { grants, few, kind, kinds }
    }

    /// What some servers open to a client.
    pub(super) fn to(&self, client: u32, servers: &ClassSet) -> Access {
        let kind = &self.kinds[self.kind[client as usize] as usize];
        let many = kind.united.get_or_init(|| {
            let mut united = Access::none();
            kind.grants.iter().for_each(|grant| united.unite(&self.grants[*grant as usize]));
            united
        });
        let mut granted = many.within(servers);
        for grant in &self.few[client as usize] {
            granted.unite(&self.grants[*grant as usize].within(servers));
        }
        granted
    }
}
