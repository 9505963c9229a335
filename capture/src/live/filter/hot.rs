//! Datagrams of hot edges.

use std::net::IpAddr;

use super::super::program::{Label, Program, code};
use super::{HotEdge, Place};

/// Samples the datagrams of a hot edge, in both directions, where the packet is of its family.
pub(super) fn hot(program: &mut Program, place: Place, edge: &HotEdge, sample: Label) {
    let Place { base, is_v6, .. } = place;
    let words = |ip: IpAddr| -> Vec<u32> {
        match ip {
            IpAddr::V4(ip) => vec![ip.to_bits()],
            IpAddr::V6(ip) => {
                ip.octets().chunks(4).map(|word| word.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))).collect()
            }
        }
    };
    let (client, server) = (words(edge.client), words(edge.server));
    if (client.len() == 4) != is_v6 || client.len() != server.len() {
        return;
    }
    let (source, destination) = if is_v6 { (8, 24) } else { (12, 16) };
    for (from, to, port) in [(&client, &server, 2), (&server, &client, 0)] {
        let other = program.label();
        place.half(program, port);
        program.step_unless(code::JUMP_EQUAL, u32::from(edge.port), other);
        for (at, words) in [(source, from), (destination, to)] {
            for (offset, word) in (0..).step_by(4).zip(words) {
                program.push(code::LD_WORD, base + at + offset);
                program.step_unless(code::JUMP_EQUAL, *word, other);
            }
        }
        program.jump(sample);
        program.place(other);
    }
}
