//! One frame, read down to the transport header that the endpoints exchanged.
//!
//! Tunnels are opened (VXLAN, Geneve, GRE, IP in IP and others), because the endpoints are the pods inside. Only bytes
//! that are there are trusted: captures are cut at a snap length, and checksums on virtual interfaces are never filled in.
//!
//! ```text
//! plain (the usual headers, or nothing) -> link -> ethertype -> ip -> transport -> the packet
//!                                                     ^          `---> fragment
//!                                                     `---- tunnel, gre <--'
//! ```
//!
//! Reading is stateless: of a fragmented packet it yields fragments, and the [`Decoder`](crate::Decoder) joins them.

mod bytes;
mod ethertype;
mod gre;
mod ip;
mod lead;
mod link;
mod opaque;
mod plain;
mod ports;
mod skipped;
mod transport;
mod tunnel;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::frame::Frame;
use crate::protocol::Protocol;

pub(crate) use ip::{Datagram, Fragment};
pub use lead::Lead;
pub(crate) use plain::{Tcp4, plain, tcp4};
pub(crate) use ports::Ports;
pub use ports::TunnelPorts;
pub use skipped::{Layer, Opaque, Skipped};

/// The addresses of a packet and what its transport header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Of the innermost IP header.
    pub addresses: Addresses,
    /// The transport header.
    pub transport: Transport<'a>,
}

/// Source and destination of one IP header: always of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Addresses {
    /// IPv4, or IPv6 with two IPv4-mapped addresses: policies and pods name only the IPv4 address.
    V4 {
        /// The sender.
        source: Ipv4Addr,
        /// The receiver.
        destination: Ipv4Addr,
    },
    /// IPv6.
    V6 {
        /// The sender.
        source: Ipv6Addr,
        /// The receiver.
        destination: Ipv6Addr,
    },
}

impl Addresses {
    /// Those of a packet from `source` to `destination`; `None` where their families differ.
    pub fn new(source: IpAddr, destination: IpAddr) -> Option<Addresses> {
        match (source.to_canonical(), destination.to_canonical()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Some(Addresses::V4 { source, destination }),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Some(Addresses::V6 { source, destination }),
            _ => None,
        }
    }

    /// The sender.
    pub fn source(self) -> IpAddr {
        match self {
            Addresses::V4 { source, .. } => source.into(),
            Addresses::V6 { source, .. } => IpAddr::V6(source).to_canonical(),
        }
    }

    /// The receiver.
    pub fn destination(self) -> IpAddr {
        match self {
            Addresses::V4 { destination, .. } => destination.into(),
            Addresses::V6 { destination, .. } => IpAddr::V6(destination).to_canonical(),
        }
    }
}

/// A transport header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport<'a> {
    /// RFC 9293 §3.1.
    Tcp(Tcp<'a>),
    /// RFC 768.
    Udp(Udp<'a>),
    /// RFC 9260 §3.
    Sctp(Sctp),
    /// An ICMP or ICMPv6 "destination unreachable" that quotes a packet (RFC 792, RFC 4443 §3.1).
    Unreachable(Quoted),
}

/// A TCP segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcp<'a> {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number; 0 without the ACK flag.
    pub acknowledgment: u32,
    /// The flags FIN 1, SYN 2, RST 4, PSH 8, ACK 16.
    pub flags: u8,
    /// What the payload begins with.
    pub lead: Lead,
    /// As much of the payload as was captured.
    pub payload: &'a [u8],
}

/// TCP flag bits.
pub mod flag {
    /// The sender is finished.
    pub const FIN: u8 = 1;
    /// Opens a connection.
    pub const SYN: u8 = 2;
    /// Ends a connection at once.
    pub const RST: u8 = 4;
    /// The acknowledgment number counts.
    pub const ACK: u8 = 16;
}

/// A UDP datagram, or the first fragments of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Udp<'a> {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// As much of the payload as was captured.
    pub payload: &'a [u8],
    /// Bytes of payload on the wire, as the UDP header says.
    pub length: u32,
    /// The encrypted tunnel that it belongs to.
    pub opaque: Option<Opaque>,
}

/// An SCTP packet, by the chunk that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sctp {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// Verification tag: the initiate tag of the receiver.
    pub tag: u32,
    /// An ABORT wherever it is, else the first chunk.
    pub chunk: Chunk,
}

/// What a chunk of an SCTP packet does to the association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chunk {
    /// INIT with the sender's initiate tag.
    Init {
        /// The initiate tag.
        tag: u32,
    },
    /// INIT ACK with the sender's initiate tag; the packet's verification tag is the one of the INIT.
    InitAck {
        /// The initiate tag.
        tag: u32,
    },
    /// ABORT.
    Abort,
    /// Everything else.
    Other,
}

/// The packet that an ICMP error quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted {
    /// Its protocol.
    pub protocol: Protocol,
    /// Its addresses; the source is whoever receives the error.
    pub addresses: Addresses,
    /// Its source port.
    pub source_port: u16,
    /// Its destination port.
    pub destination_port: u16,
    /// Its TCP sequence number; of no meaning for other protocols.
    pub sequence: u32,
}

/// How many tunnels inside each other are opened.
pub const MAX_TUNNELS: u8 = 8;

/// Reads a frame.
///
/// # Errors
/// [`Stop`] says why the frame alone holds no packet that counts.
pub(crate) fn parse<'a>(frame: &Frame<'a>, ports: &Ports) -> Read<'a> {
    Reader { ports, depth: 0 }.link(frame.link, frame.data)
}

/// A packet, or why there is none.
pub(crate) type Read<'a> = Result<Packet<'a>, Stop<'a>>;

/// Why one frame alone yields no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop<'a> {
    /// It never will.
    Skipped(Skipped),
    /// It is a part of one.
    Fragment(Fragment<'a>),
}

impl From<Skipped> for Stop<'_> {
    fn from(reason: Skipped) -> Self {
        Stop::Skipped(reason)
    }
}

/// Reads headers; its methods are in the files of their layers.
#[derive(Debug, Clone, Copy)]
struct Reader<'p> {
    ports: &'p Ports,
    /// Tunnels opened so far.
    depth: u8,
}

impl Reader<'_> {
    /// For what is inside one more tunnel. Whatever can hold itself goes through here, so that no frame can make
    /// reading recurse without end.
    fn deeper(self) -> Result<Self, Skipped> {
        if self.depth >= MAX_TUNNELS { Err(Skipped::TooDeep) } else { Ok(Reader { depth: self.depth + 1, ..self }) }
    }
}

#[cfg(test)]
mod tests;
