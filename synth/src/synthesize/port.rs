//! Port numbers to ports of a rule.

use std::collections::BTreeSet;
use std::num::NonZeroU16;

use capture::Protocol;

use crate::policy::{PolicyPort, PortMatch};
use crate::port::PortRange;

/// A range needs so many ports seen.
const RANGE_PORTS: usize = 16;

/// The ports of one peer. Ports that lie densely become a range: at least 16 of them seen, half of the span seen, and
/// none of it refused.
pub(super) fn ports(seen: &BTreeSet<(Protocol, u16)>, refused: &BTreeSet<(Protocol, u16)>) -> Vec<PolicyPort> {
    let mut ports = Vec::new();
    for protocol in Protocol::ALL {
        let of = |set: &BTreeSet<(Protocol, u16)>| -> Vec<u16> {
            set.iter().filter(|(other, _)| *other == protocol).map(|(_, port)| *port).collect()
        };
        let refused = of(refused);
        for range in spans(&of(seen), &refused) {
            ports.push(PolicyPort { protocol, port: PortMatch::Range(range) });
        }
    }
    ports
}

/// Whether a port of a rule is a range rather than one number.
pub(super) fn is_range(port: &PolicyPort) -> bool {
    matches!(&port.port, PortMatch::Range(range) if range.from() != range.to())
}

/// Whether a port was seen inside a range of ports.
pub(super) fn in_range(port: &PolicyPort, protocol: Protocol, number: u16) -> bool {
    is_range(port)
        && port.protocol == protocol
        && matches!(&port.port, PortMatch::Range(range) if range.contains(number))
}

fn spans(seen: &[u16], refused: &[u16]) -> Vec<PortRange> {
    let refused_in = |first: u16, last: u16| {
        let at = refused.partition_point(|port| *port < first);
        refused.get(at).is_some_and(|port| *port <= last)
    };
    let mut found = Vec::new();
    let mut pending = vec![seen];
    while let Some(run) = pending.pop() {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        if run.len() < RANGE_PORTS {
            found.extend(run.iter().filter_map(|port| NonZeroU16::new(*port)).map(PortRange::single));
        } else if usize::from(last - first) < 2 * run.len()
            && !refused_in(*first, *last)
            && let (Some(from), Some(to)) = (NonZeroU16::new(*first), NonZeroU16::new(*last))
        {
            found.extend(PortRange::new(from, to));
        } else {
            // Cut at the widest gap, one that holds a refused port if there is any: what is dense on either side stays
            // whole.
            let gap = |at: &usize| (refused_in(run[*at - 1], run[*at]), run[*at] - run[*at - 1]);
            let cut = (1..run.len()).rev().max_by_key(gap).unwrap_or(1);
            pending.extend([&run[..cut], &run[cut..]]);
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_need_reasons() {
        let text = |seen: &[u16], refused: &[u16]| {
            spans(seen, refused).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        let run: Vec<u16> = (20_000..20_016).collect();
        let sparse: Vec<u16> = (0..16).map(|step| 20_000 + step * 3).collect();
        let with_control: Vec<u16> = [21].into_iter().chain(run.iter().copied()).collect();
        assert_eq!(text(&run, &[]), "20000-20015");
        assert_eq!(text(&run[..15], &[]).split(' ').count(), 15, "too few");
        assert_eq!(text(&sparse, &[]).split(' ').count(), 16, "less than half of the span");
        assert_eq!(text(&with_control, &[]), "21 20000-20015");
        assert_eq!(text(&run, &[20_016]), "20000-20015", "refused beside it");
        let odd: Vec<u16> = (0..32).map(|step| 20_000 + step * 2).collect();
        assert_eq!(text(&odd, &[]), "20000-20062", "just half of the span");
        assert!(!text(&odd, &[20_031]).contains("20000-20062"), "refused inside");
    }
}
