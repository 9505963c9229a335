//! Tunnels inside UDP.
//!
//! A port alone proves nothing: each reader asks the header too, and says [`Skipped::Malformed`] where it is none of its
//! tunnel. The datagram is an ordinary conversation then.

use super::bytes::{be16, byte, tail};
use super::ethertype::{IPV4, IPV6, is_familiar};
use super::ports;
use super::skipped::{Layer, Skipped};
use super::{Read, Reader, Stop, Udp};

const NO_TUNNEL: Skipped = Skipped::Malformed(Layer::Tunnel);

impl Reader<'_> {
    /// Reads what the datagram carries; `None` where its ports are no tunnel's.
    pub(super) fn tunnel<'a>(self, udp: &Udp<'a>) -> Option<Read<'a>> {
        let data = udp.payload;
        let either = |port| udp.destination == port || udp.source == port;
        Some(match udp.destination {
            port if self.ports.vxlan(port) => self.vxlan(data, false),
            port if self.ports.geneve(port) => self.geneve(data),
            ports::VXLAN_GPE => self.vxlan(data, true),
            ports::MPLS => self.mpls_in_udp(data),
            // RFC 9300 §5.3: eight bytes, then IP.
            ports::LISP => self.packet_inside(udp, 8),
            ports::TZSP => self.tzsp(data),
            _ if either(ports::GTP_U) => self.gtp(udp),
            _ if either(ports::TEREDO) => self.teredo(udp),
            _ if either(ports::L2TP) => self.l2tp(data),
            _ if either(ports::AYIYA) => self.ayiya(udp),
            _ => return None,
        })
    }

    /// RFC 7348 §5: flag I, and a network identifier. Receivers ignore the rest, which senders set (group policy,
    /// Cisco); where they do, the inner frame has to look like one. In VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe §3.1) flag P
    /// says that the last byte of the flags tells what is inside; `extended` is where the port says so too.
    fn vxlan(self, data: &[u8], extended: bool) -> Read<'_> {
        let flags = byte(data, 0, Layer::Tunnel)?;
        let next = byte(data, 3, Layer::Tunnel)?;
        let inside = tail(data, 8, Layer::Tunnel)?;
        if flags & 8 == 0 {
            return Err(NO_TUNNEL.into());
        }
        let exact = flags == 8 && data[1..4] == [0; 3] && data[7] == 0;
        let says = flags & 4 != 0 && matches!(next, 1..=5);
        if exact || !(extended && says) && is_familiar(be16(inside, 12, Layer::Link)?) {
            return self.deeper()?.ethernet(inside);
        }
        if says { self.next_protocol(next, inside) } else { Err(NO_TUNNEL.into()) }
    }

    /// RFC 8926 §3.4: version 0, length of the options in words of four bytes, and an ethertype.
    fn geneve(self, data: &[u8]) -> Read<'_> {
        let first = byte(data, 0, Layer::Tunnel)?;
        let kind = be16(data, 2, Layer::Tunnel)?;
        if first >> 6 != 0 || !(matches!(kind, 0x6558 | IPV4 | IPV6) || is_familiar(kind)) {
            return Err(NO_TUNNEL.into());
        }
        let inside = tail(data, 8 + usize::from(first & 0x3f) * 4, Layer::Tunnel)?;
        let reader = self.deeper()?;
        if kind == 0x6558 { reader.ethernet(inside) } else { reader.ethertype(kind, inside) }
    }

    /// RFC 7510 §3.
    fn mpls_in_udp(self, data: &[u8]) -> Read<'_> {
        match self.mpls(data) {
            Err(Stop::Skipped(Skipped::NotIp)) => Err(NO_TUNNEL.into()),
            read => read,
        }
    }

    /// 3GPP TS 29.281 §5.1: version 1, protocol type GTP, message 255 (a packet), length of what follows eight bytes.
    /// Flags E, S and PN bring four bytes more, and E extension headers in words of four bytes, the last of which
    /// names the next.
    fn gtp<'a>(self, udp: &Udp<'a>) -> Read<'a> {
        let data = udp.payload;
        let flags = byte(data, 0, Layer::Tunnel)?;
        let kind = byte(data, 1, Layer::Tunnel)?;
        let length = u32::from(be16(data, 2, Layer::Tunnel)?);
        if flags >> 4 != 3 || kind != 255 || length + 8 > udp.length {
            return Err(NO_TUNNEL.into());
        }
        let mut at = if flags & 7 == 0 { 8 } else { 12 };
        if flags & 4 != 0 {
            while byte(data, at - 1, Layer::Tunnel)? != 0 {
                match byte(data, at, Layer::Tunnel)? {
                    0 => return Err(NO_TUNNEL.into()),
                    words => at += usize::from(words) * 4,
                }
            }
        }
        self.packet_inside(udp, at)
    }

    /// RFC 4380 §5.1.1: authentication and origin may precede the IPv6 packet.
    fn teredo<'a>(self, udp: &Udp<'a>) -> Read<'a> {
        let mut at = 0;
        let begins = |at: usize| be16(udp.payload, at, Layer::Tunnel);
        let length = |at: usize| byte(udp.payload, at, Layer::Tunnel).map(usize::from);
        if begins(at)? == 1 {
            at += 13 + length(2)? + length(3)?;
        }
        if begins(at)? == 0 {
            at += 8;
        }
        match byte(udp.payload, at, Layer::Tunnel)? >> 4 {
            6 => self.packet_inside(udp, at),
            _ => Err(NO_TUNNEL.into()),
        }
    }

    /// RFC 2661 §3.1: a data message of version 2; length, sequence numbers and padding are optional.
    fn l2tp(self, data: &[u8]) -> Read<'_> {
        let flags = be16(data, 0, Layer::Tunnel)?;
        let has = |bit: u16| flags & bit != 0;
        // Control messages, and version 3.
        if has(0x8000) || flags & 15 != 2 {
            return Err(NO_TUNNEL.into());
        }
        let mut at = 6 + if has(0x4000) { 2 } else { 0 } + if has(0x0800) { 4 } else { 0 };
        if has(0x0200) {
            at += 2 + usize::from(be16(data, at, Layer::Tunnel)?);
        }
        self.deeper()?.ppp(tail(data, at, Layer::Tunnel)?)
    }

    /// Identity and signature have lengths of their own; operation 1 forwards what the next header names.
    fn ayiya<'a>(self, udp: &Udp<'a>) -> Read<'a> {
        let data = udp.payload;
        let identity = 1_usize << (byte(data, 0, Layer::Tunnel)? >> 4);
        let signature = usize::from(byte(data, 1, Layer::Tunnel)? >> 4) * 4;
        let operation = byte(data, 2, Layer::Tunnel)? & 15;
        let next = byte(data, 3, Layer::Tunnel)?;
        if operation != 1 || !matches!(next, 4 | 41) {
            return Err(NO_TUNNEL.into());
        }
        self.packet_inside(udp, 8 + identity + signature)
    }

    /// Version 1, a received or transmitted frame, encapsulated protocol 1 (Ethernet); then tags up to an empty one.
    fn tzsp(self, data: &[u8]) -> Read<'_> {
        let kind = byte(data, 1, Layer::Tunnel)?;
        if byte(data, 0, Layer::Tunnel)? != 1 || kind > 1 || be16(data, 2, Layer::Tunnel)? != 1 {
            return Err(NO_TUNNEL.into());
        }
        let mut rest = tail(data, 4, Layer::Tunnel)?;
        loop {
            rest = match byte(rest, 0, Layer::Tunnel)? {
                0 => tail(rest, 1, Layer::Tunnel)?,
                1 => return self.deeper()?.ethernet(&rest[1..]),
                _ => tail(rest, 2 + usize::from(byte(rest, 1, Layer::Tunnel)?), Layer::Tunnel)?,
            };
        }
    }

    /// An IP packet behind a header that proves little: it has to fit into the datagram.
    fn packet_inside<'a>(self, udp: &Udp<'a>, at: usize) -> Read<'a> {
        let data = tail(udp.payload, at, Layer::Tunnel)?;
        let length = match byte(data, 0, Layer::Tunnel)? >> 4 {
            4 => usize::from(be16(data, 2, Layer::Tunnel)?),
            6 => usize::from(be16(data, 4, Layer::Tunnel)?) + 40,
            _ => return Err(NO_TUNNEL.into()),
        };
        if length < 20 || at + length > udp.length as usize {
            return Err(NO_TUNNEL.into());
        }
        self.deeper()?.ip(data)
    }
}
