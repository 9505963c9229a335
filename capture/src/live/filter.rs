//! Which packets the kernel hands over, so that the cost follows connections and not bytes.
//!
//! Openings and ends of TCP connections (SYN, FIN, RST), of SCTP associations (INIT, INIT ACK, ABORT), datagrams, ICMP
//! errors, and fragments; of everything else one packet in [`SAMPLE`], so that connections older than the recording show too. The
//! same is asked of what is inside VXLAN. Of each packet no more bytes are copied than anybody reads.
//!
//! A cooked socket shows packets from the network header on; `tcp[tcpflags]` of libpcap's language would see IPv4 alone.

mod draw;
mod hot;

use std::net::IpAddr;

use super::program::{Instruction, Label, Program, ancillary, code};

/// About one of so many packets of open connections passes; a power of two.
pub const SAMPLE: u32 = 1024;

/// Bytes of headers: IPv6 in VXLAN in IPv6 with all options of TCP, and the first bytes of the payload.
const HEADERS: u32 = 256;

/// Bytes of what may hold names: DNS over UDP (RFC 9715 §3), a ClientHello in one segment.
const NAMES: u32 = 2048;

/// Datagrams between two addresses to one port of the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HotEdge {
    /// Who asks.
    pub client: IpAddr,
    /// Who answers.
    pub server: IpAddr,
    /// Its port.
    pub port: u16,
}

/// Hot edges that a filter names at most: the kernel takes 4096 instructions.
pub const MAX_HOT: usize = 16;

/// Interfaces that a list of a filter names at most.
pub const MAX_NAMED: usize = 64;

/// What passes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// All of TCP and SCTP, as at the beginning of a recording.
    pub everything: bool,
    /// The same for these interfaces, by index; [`MAX_NAMED`] at most.
    pub young: Vec<u32>,
    /// Nothing of these; [`MAX_NAMED`] at most.
    pub unwanted: Vec<u32>,
    /// What may be a ClientHello.
    pub server_names: bool,
    /// Decides which packets of open connections pass. To be changed from time to time: until then a packet that is repeated
    /// passes always or never.
    pub mixture: u32,
    /// Datagrams of which one in [`SAMPLE`] says enough; [`MAX_HOT`] at most.
    pub hot: Vec<HotEdge>,
    /// UDP ports of VXLAN.
    pub vxlan: Vec<u16>,
    /// UDP ports of tunnels that are not looked into.
    pub opaque: Vec<u16>,
}

/// Where X is kept while something else needs it, and whether all of the interface passes.
const SCRATCH: u32 = 0;
const ALL: u32 = 1;

/// What a part of the program is for.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Where the network header is.
    base: u32,
    /// How long it is; where that is not known, X holds it. A load from a known place is two instructions of the processor,
    /// one relative to X calls a function.
    header: Option<u32>,
    is_v6: bool,
    /// Not in a tunnel.
    outer: bool,
}

impl Place {
    /// Loads a byte from behind the network header.
    fn byte(self, program: &mut Program, offset: u32) {
        match self.header {
            Some(header) => program.push(code::LD_BYTE, self.base + header + offset),
            None => program.push(code::LD_BYTE_X, self.base + offset),
        }
    }

    /// Loads four bytes from behind the network header.
    fn word(self, program: &mut Program, offset: u32) {
        match self.header {
            Some(header) => program.push(code::LD_WORD, self.base + header + offset),
            None => program.push(code::LD_WORD_X, self.base + offset),
        }
    }

    /// Loads two bytes from behind the network header.
    fn half(self, program: &mut Program, offset: u32) {
        match self.header {
            Some(header) => program.push(code::LD_HALF, self.base + header + offset),
            None => program.push(code::LD_HALF_X, self.base + offset),
        }
    }
}

const IPV4: u32 = 0x0800;
const IPV6: u32 = 0x86dd;

impl Filter {
    /// The program.
    pub fn compile(&self) -> Vec<Instruction> {
        let mut program = Program::default();
        if !self.unwanted.is_empty() {
            program.push(code::LD_WORD, ancillary::INTERFACE);
            for index in self.unwanted.iter().take(MAX_NAMED) {
                program.take_if(code::JUMP_EQUAL, *index, 0);
            }
        }
        if !self.young.is_empty() {
            let (young, others) = (program.label(), program.label());
            program.push(code::LD, 0);
            program.push(code::ST, ALL);
            program.push(code::LD_WORD, ancillary::INTERFACE);
            for index in self.young.iter().take(MAX_NAMED) {
                program.jump_if(code::JUMP_EQUAL, *index, young);
            }
            program.jump(others);
            program.place(young);
            program.push(code::LD, 1);
            program.push(code::ST, ALL);
            program.place(others);
        }
        program.push(code::LD_WORD, ancillary::PROTOCOL);
        self.network(&mut program, 0, true);
        program.finish()
    }

    /// What A says is at `base`.
    fn network(&self, program: &mut Program, base: u32, outer: bool) {
        let (v4, v6) = (program.label(), program.label());
        program.jump_if(code::JUMP_EQUAL, IPV4, v4);
        program.jump_if(code::JUMP_EQUAL, IPV6, v6);
        program.take(0);
        program.place(v4);
        // Fragments have no ports, or only the first has: whoever puts them together needs all.
        program.push(code::LD_HALF, base + 6);
        program.take_if(code::JUMP_SET, 0x3fff, NAMES);
        let options = program.label();
        program.push(code::LD_BYTE, base);
        program.jump_unless(code::JUMP_EQUAL, 0x45, options);
        program.push(code::LD_BYTE, base + 9);
        self.transport(program, Place { base, header: Some(20), is_v6: false, outer });
        program.place(options);
        program.push(code::LDX_HEADER, base);
        program.push(code::LD_BYTE, base + 9);
        self.transport(program, Place { base, header: None, is_v6: false, outer });
        program.place(v6);
        program.push(code::LD_BYTE, base + 6);
        self.transport(program, Place { base, header: Some(40), is_v6: true, outer });
    }

    /// The protocol is in A. Every way ends here.
    fn transport(&self, program: &mut Program, place: Place) {
        let (tcp, udp, sctp, icmp, sample) =
            (program.label(), program.label(), program.label(), program.label(), program.label());
        for (protocol, label) in [(6, tcp), (17, udp), (132, sctp), (1, icmp), (58, icmp)] {
            program.jump_if(code::JUMP_EQUAL, protocol, label);
        }
        // Extension headers: hop-by-hop, routing, fragment, destination options (RFC 8200 §4).
        for header in [0, 43, 44, 60] {
            program.take_if(code::JUMP_EQUAL, header, NAMES);
        }
        program.jump(sample);
        program.place(icmp);
        place.byte(program, 0);
        // "Destination unreachable": type 3 (RFC 792), type 1 (RFC 4443).
        program.take_if(code::JUMP_EQUAL, 3, HEADERS);
        program.take_if(code::JUMP_EQUAL, 1, HEADERS);
        program.take(0);
        program.place(tcp);
        let no = program.label();
        self.tcp(program, place, no);
        program.place(sctp);
        place.byte(program, 12);
        for chunk in [1, 2, 6] {
            program.take_if(code::JUMP_EQUAL, chunk, HEADERS);
        }
        self.open(program, sample);
        program.place(udp);
        self.udp(program, place, sample);
        program.place(sample);
        program.push(code::LD_WORD, ancillary::RANDOM);
        program.jump_if(code::JUMP_SET, SAMPLE - 1, no);
        program.take(HEADERS);
        program.place(no);
        program.take(0);
    }

    fn tcp(&self, program: &mut Program, place: Place, no: Label) {
        let base = place.base;
        place.byte(program, 13);
        // FIN, SYN, RST.
        program.take_if(code::JUMP_SET, 7, HEADERS);
        place.half(program, 0);
        program.take_if(code::JUMP_EQUAL, 53, NAMES);
        if self.server_names {
            let other = program.label();
            place.byte(program, 12);
            program.push(code::SHIFT_RIGHT, 2);
            program.push(code::AND, 0x3c);
            match place.header {
                Some(header) => program.push(code::ADD, header),
                None => program.push(code::ADD_X, 0),
            }
            program.push(code::TAX, 0);
            // A handshake record with a ClientHello (RFC 8446 §4, §5.1). A load beyond the end drops the packet, so what is too
            // short for a record goes the other way first.
            let short = program.label();
            self.is_shorter(program, base, short);
            program.push(code::LD_BYTE_X, base);
            program.jump_unless(code::JUMP_EQUAL, 22, other);
            program.push(code::LD_BYTE_X, base + 5);
            program.take_if(code::JUMP_EQUAL, 1, NAMES);
            program.place(short);
            program.place(other);
        }
        let drawn = program.label();
        self.open(program, drawn);
        program.place(drawn);
        draw::draw(program, place, self.mixture, no);
    }

    /// Goes to `short` where fewer than six bytes follow X.
    fn is_shorter(&self, program: &mut Program, base: u32, short: Label) {
        program.push(code::TXA, 0);
        program.push(code::STX, SCRATCH);
        program.push(code::ADD, base + 6);
        program.push(code::TAX, 0);
        program.push(code::LD_LENGTH, 0);
        let long = program.label();
        program.jump_if(code::JUMP_NOT_BELOW_X, 0, long);
        program.jump(short);
        program.place(long);
        program.push(code::LDX_MEMORY, SCRATCH);
    }

    /// Of an open connection: everything in the beginning; else it goes to `sample`.
    fn open(&self, program: &mut Program, sample: Label) {
        if self.everything {
            program.take(HEADERS);
            return;
        }
        if !self.young.is_empty() {
            program.push(code::LD_MEMORY, ALL);
            program.take_if(code::JUMP_EQUAL, 1, HEADERS);
        }
        program.jump(sample);
    }

    fn udp(&self, program: &mut Program, place: Place, sample: Label) {
        let Place { base, header, outer, .. } = place;
        let inside = program.label();
        place.half(program, 0);
        for port in [53, 5353] {
            program.take_if(code::JUMP_EQUAL, port, NAMES);
        }
        place.half(program, 2);
        for port in [53, 5353] {
            program.take_if(code::JUMP_EQUAL, port, NAMES);
        }
        // Options before a tunnel are nobody's habit.
        let tunnel = if outer && header.is_some() { inside } else { sample };
        for port in &self.opaque {
            program.jump_if(code::JUMP_EQUAL, u32::from(*port), sample);
        }
        for port in &self.vxlan {
            program.jump_if(code::JUMP_EQUAL, u32::from(*port), tunnel);
        }
        for edge in self.hot.iter().take(MAX_HOT) {
            hot::hot(program, place, edge, sample);
        }
        program.take(HEADERS);
        program.place(inside);
        let Some(header) = header.filter(|_| outer) else {
            // Nobody jumps here.
            return program.take(0);
        };
        // UDP 8, VXLAN 8, Ethernet 14 (RFC 7348 §5).
        let inner = base + header + 30;
        program.push(code::LD_HALF, inner - 2);
        self.network(program, inner, false);
    }
}

#[cfg(test)]
mod tests;
