//! An observed connection put to the evaluator.

use crate::evaluate::{Decision, Evaluator, Party, Side, Verdict};
use crate::evidence::{End, Evidence};
use crate::graph::Edge;
use crate::inventory::Inventory;
use crate::learn::is_translated;

/// One end as policies see it.
pub fn party<'a>(end: &End, inventory: &'a Inventory) -> Party<'a> {
    match end.pod {
        Some(pod) => Party::Pod { pod: inventory.pod(pod), address: Some(end.ip) },
        None => Party::Address { ip: end.ip, node: inventory.node_name(end.ip) },
    }
}

/// The verdict on an observed pair of ends, where it is that they are denied. What a domain name stands for is not known
/// here, so nobody denies it; and of translated connections the server's policies may have seen another source than this
/// view shows.
pub(crate) fn denial(
    evaluator: &Evaluator<'_>,
    edge: &Edge,
    evidence: &Evidence,
    (client, server): (End, End),
    inventory: &Inventory,
) -> Option<Verdict> {
    let (from, to) = (party(&client, inventory), party(&server, inventory));
    let (protocol, port) = (edge.key.protocol, edge.key.port);
    if evaluator.allowed(from, to, protocol, port) {
        return None;
    }
    let verdict = evaluator.verdict(from, to, protocol, port);
    let denied = |side: &Side| side.decision == Decision::Denied;
    let ingress = denied(&verdict.ingress) && !is_translated(evidence);
    (denied(&verdict.egress) || ingress).then_some(verdict)
}
