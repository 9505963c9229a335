//! What an ethertype announces, <https://www.iana.org/assignments/ieee-802-numbers>.

use super::bytes::{be16, be32, byte, tail};
use super::skipped::{Layer, Skipped};
use super::{Read, Reader};

pub(super) const IPV4: u16 = 0x0800;
pub(super) const IPV6: u16 = 0x86dd;
const TRANSPARENT_BRIDGING: u16 = 0x6558;
const PPP: u16 = 0x880b;
const NSH: u16 = 0x894f;
const MPLS: [u16; 2] = [0x8847, 0x8848];
/// A PPPoE session.
const PPPOE: u16 = 0x8864;
/// IEEE 802.1ah, the backbone's service tag.
const BACKBONE: u16 = 0x88e7;

/// Bytes of a tag between its ethertype and the next: IEEE 802.1Q, 802.1ad and what came before it; VN-Tag; 802.1BR.
fn tag_length(kind: u16) -> Option<usize> {
    match kind {
        0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => Some(2),
        0x8926 => Some(4),
        0x893f => Some(6),
        _ => None,
    }
}

/// Whether the number is one that frames with IP, or those around them, carry.
pub(super) fn is_familiar(kind: u16) -> bool {
    const ARP: u16 = 0x0806;
    matches!(kind, IPV4 | IPV6 | ARP | PPPOE | BACKBONE | NSH) || MPLS.contains(&kind) || tag_length(kind).is_some()
}

impl Reader<'_> {
    /// Reads what follows an ethertype.
    pub(super) fn ethertype(self, mut kind: u16, mut data: &[u8]) -> Read<'_> {
        // Any number of tags.
        while let Some(length) = tag_length(kind) {
            kind = be16(data, length, Layer::Link)?;
            data = tail(data, length + 2, Layer::Link)?;
        }
        match kind {
            IPV4 => self.ipv4(data),
            IPV6 => self.ipv6(data),
            0x8847 | 0x8848 => self.mpls(data),
            PPPOE => self.pppoe(data),
            PPP => self.ppp(data),
            NSH => self.nsh(data),
            TRANSPARENT_BRIDGING => self.deeper()?.ethernet(data),
            // Four bytes of tag, then the customer's frame.
            BACKBONE => self.deeper()?.ethernet(tail(data, 4, Layer::Link)?),
            // IEEE 802.3 §3.2.6: a length. Linux cooked captures have 4 for the same.
            0..=1500 => self.llc(data),
            _ => Err(Skipped::NotIp.into()),
        }
    }

    /// RFC 3032 §2.1: a stack of labels. Nothing says what is below; the first nibble does (RFC 4928 §3), and 0 begins
    /// the control word of a pseudowire (RFC 4385 §3), which may be left out.
    pub(super) fn mpls(self, data: &[u8]) -> Read<'_> {
        let mut rest = data;
        while be32(rest, 0, Layer::Link)? & 0x100 == 0 {
            rest = tail(rest, 4, Layer::Link)?;
        }
        let rest = tail(rest, 4, Layer::Link)?;
        let ethernet_at = |at: usize| be16(rest, at + 12, Layer::Link).is_ok_and(is_familiar);
        match byte(rest, 0, Layer::Ip)? >> 4 {
            // A MAC address can begin like that too.
            4 if rest[0] & 15 >= 5 => self.deeper()?.ipv4(rest),
            6 if !ethernet_at(0) => self.deeper()?.ipv6(rest),
            0 if ethernet_at(4) => self.deeper()?.ethernet(&rest[4..]),
            _ if ethernet_at(0) => self.deeper()?.ethernet(rest),
            _ => Err(Skipped::NotIp.into()),
        }
    }

    /// RFC 8300 §2.2: length in words of four bytes, next protocol.
    pub(super) fn nsh(self, data: &[u8]) -> Read<'_> {
        let length = usize::from(byte(data, 1, Layer::Tunnel)? & 0x3f) * 4;
        if length < 8 {
            return Err(Skipped::Malformed(Layer::Tunnel).into());
        }
        self.next_protocol(byte(data, 3, Layer::Tunnel)?, tail(data, length, Layer::Tunnel)?)
    }

    /// The numbers that NSH and VXLAN-GPE share.
    pub(super) fn next_protocol(self, number: u8, data: &[u8]) -> Read<'_> {
        let inside = self.deeper()?;
        match number {
            1 => inside.ipv4(data),
            2 => inside.ipv6(data),
            3 => inside.ethernet(data),
            4 => inside.nsh(data),
            5 => inside.mpls(data),
            _ => Err(Skipped::NotIp.into()),
        }
    }
}
