//! GRE and what it carries that is no ethertype.

use super::bytes::{be16, byte, tail};
use super::skipped::{Layer, Skipped};
use super::{Read, Reader};

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
const ACKNOWLEDGMENT: u16 = 0x0080;

impl Reader<'_> {
    /// RFC 2784, RFC 2890 and the routing entries of RFC 1701; version 1 is that of PPTP (RFC 2637 §4.1).
    pub(super) fn gre(self, data: &[u8]) -> Read<'_> {
        let inside = self.deeper()?;
        let flags = be16(data, 0, Layer::Tunnel)?;
        let kind = be16(data, 2, Layer::Tunnel)?;
        let words = |bits: &[u16]| bits.iter().filter(|bit| flags & **bit != 0).count() * 4;
        match flags & 7 {
            0 => {
                // The checksum and the routing offset share a word, which either brings.
                let mut length = 4 + words(&[CHECKSUM | ROUTING, KEY, SEQUENCE]);
                if flags & ROUTING != 0 {
                    length += routing(tail(data, length, Layer::Tunnel)?)?;
                }
                inside.carried(kind, flags & SEQUENCE != 0, tail(data, length, Layer::Tunnel)?)
            }
            // Without a sequence number it only acknowledges.
            1 if flags & SEQUENCE == 0 => Err(Skipped::NotIp.into()),
            1 => inside.ppp(tail(data, 8 + words(&[SEQUENCE, ACKNOWLEDGMENT]), Layer::Tunnel)?),
            _ => Err(Skipped::OtherProtocol(47).into()),
        }
    }

    fn carried(self, kind: u16, sequence: bool, data: &[u8]) -> Read<'_> {
        match kind {
            // ERSPAN (draft-foschiano-erspan): type I has no header of its own, and GRE no sequence number.
            0x88be if !sequence => self.ethernet(data),
            0x88be | 0x22eb => self.erspan(data),
            // WCCP: version 2 puts four bytes before the packet.
            0x883e => match byte(data, 0, Layer::Ip)? >> 4 {
                4 => self.ipv4(data),
                _ => self.ip(tail(data, 4, Layer::Tunnel)?),
            },
            // The tunnel is counted already.
            0x6558 => self.ethernet(data),
            kind => self.ethertype(kind, data),
        }
    }

    /// The header says its type: version 1 is type II, 2 type III.
    fn erspan(self, data: &[u8]) -> Read<'_> {
        match byte(data, 0, Layer::Tunnel)? >> 4 {
            1 => self.ethernet(tail(data, 8, Layer::Tunnel)?),
            2 => {
                // Frame type in five bits (0 Ethernet, 2 IP); the last bit announces eight bytes more.
                let word = be16(data, 10, Layer::Tunnel)?;
                let rest = tail(data, if word & 1 == 1 { 20 } else { 12 }, Layer::Tunnel)?;
                if word >> 10 & 31 == 2 { self.ip(rest) } else { self.ethernet(rest) }
            }
            _ => Err(Skipped::Malformed(Layer::Tunnel).into()),
        }
    }
}

/// Bytes of RFC 1701's routing entries: address family, offset, length; the last is empty.
fn routing(data: &[u8]) -> Result<usize, Skipped> {
    let mut at = 0;
    loop {
        let family = be16(data, at, Layer::Tunnel)?;
        let length = usize::from(byte(data, at + 3, Layer::Tunnel)?);
        at += 4 + length;
        if family == 0 && length == 0 {
            return Ok(at);
        }
    }
}
