//! UDP edges that are known and send more than anybody needs to see.

use std::collections::BTreeMap;
use std::net::IpAddr;

use capture::live::{HotEdge, MAX_HOT, SAMPLE};
use capture::packet::Transport;
use capture::time::SECOND;
use capture::{Flow, Frame, Opening, Outcome, Protocol, Socket, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet};

/// One datagram in so many is looked at.
const LOOKED_AT: u64 = 32;

/// An edge is hot with more datagrams a second, and stays it with so many.
const HOT: u64 = 2_000;
const WARM: u64 = 500;

/// Edges that are known at most.
const MAX_KNOWN: usize = 1 << 16;

/// Who sends how much to whom.
#[derive(Debug, Default)]
pub(super) struct Hot {
    datagrams: u64,
    /// Datagrams looked at, by sender and receiver, since the last time that somebody asked.
    counted: FxHashMap<(Socket, Socket), u64>,
    /// Client and server's socket of what worked.
    known: FxHashSet<(IpAddr, Socket)>,
    hot: BTreeMap<HotEdge, u64>,
    asked: Option<Timestamp>,
}

/// LINKTYPE_LINUX_SLL2: the header's length, and the protocols behind it.
const HEADER: usize = 20;
const UDP: u8 = 17;

impl Hot {
    /// Counts a frame of the socket.
    #[inline]
    pub(super) fn frame(&mut self, frame: &Frame<'_>) {
        let is_udp = match frame.data.get(..2) {
            Some([8, 0]) => frame.data.get(HEADER + 9) == Some(&UDP),
            Some([0x86, 0xdd]) => frame.data.get(HEADER + 6) == Some(&UDP),
            _ => false,
        };
        if !is_udp {
            return;
        }
        self.datagrams += 1;
        // What is sampled stands for more.
        if self.datagrams.is_multiple_of(LOOKED_AT) || !self.hot.is_empty() {
            self.look(frame);
        }
    }

    #[inline(never)]
    fn look(&mut self, frame: &Frame<'_>) {
        let mut decoder = capture::Decoder::default();
        let Some(packet) = decoder.decode(frame) else { return };
        let Transport::Udp(udp) = packet.transport else { return };
        let from = Socket { ip: packet.addresses.source(), port: udp.source };
        let to = Socket { ip: packet.addresses.destination(), port: udp.destination };
        let is_sampled = [(from, to), (to, from)].into_iter().any(|(client, server)| {
            self.hot.contains_key(&HotEdge { client: client.ip, server: server.ip, port: server.port })
        });
        let stands_for = match is_sampled {
            true => u64::from(SAMPLE),
            false if self.datagrams.is_multiple_of(LOOKED_AT) => LOOKED_AT,
            false => return,
        };
        *self.counted.entry((from, to)).or_default() += stands_for;
    }

    /// Notes what worked.
    pub(super) fn note(&mut self, flow: &Flow) {
        let Opening::Seen { client, dialled, served, .. } = &flow.opening else { return };
        let works = flow.protocol == Protocol::Udp && matches!(flow.outcome, Outcome::Answered | Outcome::OneWay);
        if works && self.known.len() < MAX_KNOWN {
            self.known.extend([Some(*dialled), *served].into_iter().flatten().map(|server| (client.ip, server)));
        }
    }

    /// The hottest edges of the time since the last call. A known edge alone may be hot: what is new is seen whole.
    pub(super) fn edges(&mut self, now: Timestamp) -> Vec<HotEdge> {
        let passed = self.asked.map_or(SECOND, |asked| now.since(asked)).max(1);
        self.asked = Some(now);
        let mut counts: BTreeMap<HotEdge, u64> = BTreeMap::new();
        for ((from, to), count) in self.counted.drain() {
            let edge = [(from, to), (to, from)]
                .into_iter()
                .find(|(client, server)| self.known.contains(&(client.ip, *server)));
            if let Some((client, server)) = edge {
                let edge = HotEdge { client: client.ip, server: server.ip, port: server.port };
                *counts.entry(edge).or_default() += count;
            }
        }
        let rate = |count: u64| count.saturating_mul(SECOND as u64) / passed.unsigned_abs();
        let hot = &self.hot;
        let mut hottest: Vec<(u64, HotEdge)> = counts
            .into_iter()
            .map(|(edge, count)| (rate(count), edge))
            .filter(|(rate, edge)| *rate >= if hot.contains_key(edge) { WARM } else { HOT })
            .collect();
        hottest.sort_by_key(|(rate, edge)| (std::cmp::Reverse(*rate), *edge));
        hottest.truncate(MAX_HOT);
        self.hot = hottest.into_iter().map(|(rate, edge)| (edge, rate)).collect();
        self.hot.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use capture::flow::Proof;
    use capture::{Activity, Latencies, LinkType, Talks};

    use super::*;

    /// A datagram as the socket shows it.
    fn datagram(from: [u8; 4], to: [u8; 4], ports: [u16; 2]) -> Vec<u8> {
        let mut data = vec![8, 0];
        data.resize(HEADER, 0);
        data.extend([0x45, 0, 0, 29, 0, 0, 0, 0, 64, UDP, 0, 0]);
        data.extend(from.into_iter().chain(to));
        data.extend(ports.into_iter().flat_map(u16::to_be_bytes).chain([0, 9, 0, 0, 1]));
        data
    }

    #[test]
    fn known_edges_alone_get_hot() {
        let socket =
            |text: &str| text.parse::<std::net::SocketAddr>().map(|at| Socket { ip: at.ip(), port: at.port() });
        let (client, server) = (socket("10.0.0.1:5000").unwrap(), socket("10.0.0.2:8125").unwrap());
        let mut hot = Hot::default();
        let second = |hot: &mut Hot, count: usize, at: i64| {
            for number in 0..count {
                let (there, back) =
                    (([10, 0, 0, 1], [10, 0, 0, 2], [5000, 8125]), ([10, 0, 0, 2], [10, 0, 0, 1], [8125, 5000]));
                let (from, to, ports) = if number % 2 == 0 { there } else { back };
                let data = datagram(from, to, ports);
                let frame = Frame {
                    time: Timestamp(at),
                    link: LinkType::LinuxSll2,
                    interface: 1,
                    data: &data,
                    original_length: 49,
                };
                hot.frame(&frame);
            }
            hot.edges(Timestamp(at * SECOND))
        };
        assert_eq!(second(&mut hot, 10_000, 1), [], "nobody knows it");
        hot.note(&Flow {
            protocol: Protocol::Udp,
            opening: Opening::Seen { client, dialled: server, served: None, proof: Proof::FirstPacket, identity: 0 },
            outcome: Outcome::Answered,
            connections: 1,
            first: Timestamp(0),
            last: Timestamp(0),
            newest: Timestamp(0),
            activity: Activity::default(),
            latency: Latencies::default(),
            datagrams: 0,
            dns: false,
            talk: Talks::default(),
            translated: false,
        });
        assert_eq!(second(&mut hot, 1_000, 2), [], "not hot");
        let edge = HotEdge { client: client.ip, server: server.ip, port: 8125 };
        assert_eq!(second(&mut hot, 10_000, 3), [edge]);
        // What passes now is a sample of it.
        assert_eq!(second(&mut hot, 5, 4), [edge]);
        assert_eq!(second(&mut hot, 0, 5), [], "it is over");
    }
}
