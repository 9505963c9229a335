//! Encrypted tunnels inside UDP.

use super::skipped::Opaque;
use super::{Udp, ports};

/// Tells which encrypted tunnel a datagram belongs to.
pub(super) fn recognize(udp: &Udp<'_>) -> Option<Opaque> {
    // RFC 3948 §2: four zero bytes mark IKE, one byte 0xff keeps the translation alive; all else begins with the index
    // of an association.
    let ipsec = udp.source == ports::IPSEC_NAT || udp.destination == ports::IPSEC_NAT;
    match udp.payload {
        [1..=4, 0, 0, 0, ..] if is_wireguard(udp) => Some(Opaque::WireGuard),
        [0, 0, 0, 0, ..] => None,
        [_, _, _, _, ..] if ipsec && udp.length >= 8 => Some(Opaque::Esp),
        _ => None,
    }
}

/// The WireGuard paper, §5.4: type and three zero bytes. Handshake messages have one length each; data is padded to 16
/// bytes, and its counter starts at 0 with every handshake, at most two minutes apart.
fn is_wireguard(udp: &Udp<'_>) -> bool {
    match (udp.payload.first(), udp.length) {
        (Some(1), 148) | (Some(2), 92) | (Some(3), 64) => true,
        (Some(4), length) if length >= 32 && length % 16 == 0 => {
            udp.payload.get(8..16).is_some_and(|counter| counter[5..] == [0; 3])
        }
        _ => false,
    }
}
