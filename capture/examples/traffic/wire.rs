//! Segments as the records of a pcap file.
//!
//! Headers are right in every length and in IPv4's checksum. The checksums of TCP and UDP are zero: on a virtual
//! interface they are offloaded, and nobody ever fills them in.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};

use crate::cluster::{Socket, Talk};
use crate::connection::{CLIENT, Connection, SERVER, Segment, flag};
use crate::payload::Payload;
use crate::random::mix;

/// When the capture begins: 2026-11-21T00:00:00Z, in seconds.
const START: u64 = 1_795_219_200;

/// Linux' port of VXLAN.
const VXLAN: u16 = 8472;

/// Writes frames, in the order of time.
pub(crate) struct Capture<W> {
    out: W,
    snap: usize,
    payload: Payload,
    frame: Vec<u8>,
    message: Vec<u8>,
    /// The time of the last frame, in microseconds since the beginning.
    last: u64,
    identification: u16,
    /// Frames written.
    pub(crate) frames: u64,
}

/// Where a frame is seen.
#[derive(Clone, Copy)]
enum Place {
    /// At the client's interface.
    Pod { vlan: Option<u16> },
    /// On the node's bridge, after translation.
    Bridge,
    /// Between nodes, inside VXLAN.
    Tunnel([Ipv4Addr; 2]),
}

impl<W: Write> Capture<W> {
    /// A file whose frames are cut at `snap` bytes.
    pub(crate) fn new(mut out: W, snap: u32) -> io::Result<Capture<W>> {
        for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, snap, 1_u32] {
            out.write_all(&word.to_le_bytes())?;
        }
        Ok(Capture {
            out,
            snap: snap as usize,
            payload: Payload::new(),
            frame: Vec::with_capacity(2048),
            message: Vec::with_capacity(512),
            last: 0,
            identification: 0,
            frames: 0,
        })
    }

    /// Writes all copies of one segment.
    pub(crate) fn write(&mut self, time: u64, connection: &mut Connection, segment: Segment) -> io::Result<()> {
        let side = segment.side;
        if !segment.again {
            connection.before[side] = connection.next[side];
            let consumed = u32::from(segment.flags & (flag::SYN | flag::FIN) != 0);
            let length = if connection.talk == Talk::Dns { 0 } else { u32::from(segment.length) };
            connection.next[side] = connection.next[side].wrapping_add(length + consumed);
        }
        let mut message = std::mem::take(&mut self.message);
        message.clear();
        self.payload.fill(connection, segment, self.snap, &mut message);
        let served = connection.served.unwrap_or(connection.dialled);
        self.record(time, connection, segment, connection.dialled, &message, Place::Pod { vlan: connection.vlan })?;
        if connection.served.is_some() {
            self.record(time + 2, connection, segment, served, &message, Place::Bridge)?;
        }
        if let Some(nodes) = connection.tunnel {
            self.record(time + 4, connection, segment, served, &message, Place::Tunnel(nodes))?;
        }
        self.message = message;
        if segment.length > 0 {
            connection.spoken[side] = true;
        }
        Ok(())
    }

    fn record(
        &mut self,
        time: u64,
        connection: &Connection,
        segment: Segment,
        server: Socket,
        message: &[u8],
        place: Place,
    ) -> io::Result<()> {
        // Copies come after what they are copies of, at any resolution.
        let copy = !matches!(place, Place::Pod { .. });
        self.last = time.max(self.last + u64::from(copy));
        self.frames += 1;
        self.identification = self.identification.wrapping_add(1);
        let ends = if segment.side == CLIENT { [connection.client, server] } else { [server, connection.client] };
        let dns = connection.talk == Talk::Dns;
        let payload = if dns { message.len() } else { usize::from(segment.length) };
        let transport = if dns {
            8
        } else if segment.flags & flag::SYN != 0 {
            40
        } else {
            32
        };
        let ip = if ends[0].ip.is_ipv4() { 20 } else { 40 };
        let inner = ip + transport + payload;

        self.frame.clear();
        let mut hops = 64;
        match place {
            Place::Pod { vlan } => {
                self.ethernet(ends[0].ip, ends[1].ip);
                if let Some(vlan) = vlan {
                    self.frame.extend_from_slice(&0x8100_u16.to_be_bytes());
                    self.frame.extend_from_slice(&vlan.to_be_bytes());
                }
            }
            Place::Bridge => {
                self.ethernet(ends[0].ip, ends[1].ip);
                hops = 63;
            }
            Place::Tunnel([client, server]) => {
                let nodes = if segment.side == CLIENT { [client, server] } else { [server, client] };
                self.tunnel(nodes.map(IpAddr::V4), inner, ends);
                hops = 63;
            }
        }
        self.frame.extend_from_slice(if ip == 20 { &[8, 0] } else { &[0x86, 0xdd] });
        self.ip([ends[0].ip, ends[1].ip], transport + payload, if dns { 17 } else { 6 }, hops);
        self.frame.extend_from_slice(&ends[0].port.to_be_bytes());
        self.frame.extend_from_slice(&ends[1].port.to_be_bytes());
        if dns {
            self.frame.extend_from_slice(&((8 + payload) as u16).to_be_bytes());
            self.frame.extend_from_slice(&[0, 0]);
        } else {
            self.tcp(time, connection, segment);
        }
        let original = self.frame.len() + payload;
        self.frame.extend_from_slice(message);
        self.frame.truncate(self.snap.min(original));

        let (seconds, micros) = (START + self.last / 1_000_000, self.last % 1_000_000);
        let mut header = [0; 16];
        header[..4].copy_from_slice(&(seconds as u32).to_le_bytes());
        header[4..8].copy_from_slice(&(micros as u32).to_le_bytes());
        header[8..12].copy_from_slice(&(self.frame.len() as u32).to_le_bytes());
        header[12..].copy_from_slice(&(original as u32).to_le_bytes());
        self.out.write_all(&header)?;
        self.out.write_all(&self.frame)
    }

    /// Ends the file; returns its duration in microseconds.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.out.flush()?;
        Ok(self.last)
    }

    /// Addresses alone; the type follows.
    fn ethernet(&mut self, from: IpAddr, to: IpAddr) {
        for ip in [to, from] {
            let number = match ip {
                IpAddr::V4(ip) => u64::from(u32::from(ip)),
                IpAddr::V6(ip) => mix(u128::from(ip) as u64),
            };
            self.frame.extend_from_slice(&[0x0a, 0x58]);
            self.frame.extend_from_slice(&(number as u32).to_be_bytes());
        }
    }

    /// RFC 7348 §5, around a packet of `inner` bytes.
    fn tunnel(&mut self, nodes: [IpAddr; 2], inner: usize, ends: [Socket; 2]) {
        self.ethernet(nodes[0], nodes[1]);
        self.frame.extend_from_slice(&[8, 0]);
        let udp = 8 + 8 + 14 + inner;
        self.ip(nodes, udp, 17, 64);
        let port = 49152 + (mix(u64::from(ends[0].port) << 16 | u64::from(ends[1].port)) % 16384) as u16;
        for number in [port, VXLAN, udp as u16, 0] {
            self.frame.extend_from_slice(&number.to_be_bytes());
        }
        self.frame.extend_from_slice(&[8, 0, 0, 0, 0, 0, 1, 0]);
        self.ethernet(ends[0].ip, ends[1].ip);
    }

    fn ip(&mut self, [from, to]: [IpAddr; 2], length: usize, protocol: u8, hops: u8) {
        match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let mut header = [0x45, 0, 0, 0, 0, 0, 0x40, 0, hops, protocol, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                header[2..4].copy_from_slice(&((20 + length) as u16).to_be_bytes());
                header[4..6].copy_from_slice(&self.identification.to_be_bytes());
                header[12..16].copy_from_slice(&from.octets());
                header[16..].copy_from_slice(&to.octets());
                let sum: u32 = header.chunks_exact(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
                let sum = (sum & 0xffff) + (sum >> 16);
                let sum = (sum & 0xffff) + (sum >> 16);
                header[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
                self.frame.extend_from_slice(&header);
            }
            (from, to) => {
                self.frame.extend_from_slice(&[0x60, 0, 0, 0]);
                self.frame.extend_from_slice(&(length as u16).to_be_bytes());
                self.frame.extend_from_slice(&[protocol, hops]);
                for ip in [from, to] {
                    match ip {
                        IpAddr::V4(ip) => self.frame.extend_from_slice(&ip.to_ipv6_mapped().octets()),
                        IpAddr::V6(ip) => self.frame.extend_from_slice(&ip.octets()),
                    }
                }
            }
        }
    }

    /// What follows the ports: RFC 9293 §3.1, with the options that Linux sends.
    fn tcp(&mut self, time: u64, connection: &Connection, segment: Segment) {
        let other = if segment.side == CLIENT { SERVER } else { CLIENT };
        let acknowledged = if segment.flags & flag::ACK != 0 { connection.next[other] } else { 0 };
        let opening = segment.flags & flag::SYN != 0;
        self.frame.extend_from_slice(&connection.before[segment.side].to_be_bytes());
        self.frame.extend_from_slice(&acknowledged.to_be_bytes());
        // Length of the header in words, flags, window, no checksum, no urgent data.
        let (words, window) = if opening { (10, 64240_u16) } else { (8, 501) };
        self.frame.extend_from_slice(&[words << 4, segment.flags]);
        self.frame.extend_from_slice(&window.to_be_bytes());
        self.frame.extend_from_slice(&[0; 4]);
        if opening {
            // Largest segment 1460, selective acknowledgments.
            self.frame.extend_from_slice(&[2, 4, 5, 0xb4, 4, 2]);
        } else {
            self.frame.extend_from_slice(&[1, 1]);
        }
        let clock = |side: usize| ((time / 1000) as u32).wrapping_add(connection.subject >> side);
        self.frame.extend_from_slice(&[8, 10]);
        self.frame.extend_from_slice(&clock(segment.side).to_be_bytes());
        self.frame.extend_from_slice(&if acknowledged == 0 { 0 } else { clock(other) }.to_be_bytes());
        if opening {
            self.frame.extend_from_slice(&[1, 3, 3, 7]);
        }
    }
}
