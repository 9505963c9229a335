//! Frames to packets: reads headers, joins fragments, and counts where each frame ended.

use std::collections::BTreeMap;

use crate::fragments::{Fragments, Step};
use crate::frame::Frame;
use crate::packet::{self, Fragment, Opaque, Packet, Ports, Skipped, Stop, Tcp4, Transport, TunnelPorts};
use crate::time::Timestamp;

/// Where frames ended: each in `packets`, or in one bucket of `skipped`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Frames read.
    pub frames: u64,
    /// Frames that held a packet of TCP, UDP or SCTP, or an ICMP error that quotes one.
    pub packets: u64,
    /// Frames that held none, by reason.
    pub skipped: BTreeMap<Skipped, u64>,
    /// Frames of tunnels whose inner traffic is not visible; all of them are in `packets` or `skipped` too.
    pub opaque: BTreeMap<Opaque, u64>,
    /// Fragmented packets forgotten before their time because of too many others.
    pub evicted: u64,
}

impl Decoded {
    fn skip(&mut self, reason: Skipped) {
        *self.skipped.entry(reason).or_default() += 1;
        if reason == Skipped::Encrypted {
            self.see(Opaque::Esp);
        }
    }

    fn see(&mut self, tunnel: Opaque) {
        *self.opaque.entry(tunnel).or_default() += 1;
    }

    /// Fragments that waited turn out to be `reason`.
    fn release(&mut self, frames: u64, reason: Skipped) {
        if frames == 0 {
            return;
        }
        if let Some(waiting) = self.skipped.get_mut(&Skipped::UnfinishedFragment) {
            *waiting = waiting.saturating_sub(frames);
        }
        self.skipped.retain(|_, count| *count > 0);
        *self.skipped.entry(reason).or_default() += frames;
    }
}

/// Reads the frames of a capture.
#[derive(Debug, Default)]
pub struct Decoder {
    /// [`Ports::DEFAULT`] where there are none.
    ports: Option<Box<Ports>>,
    fragments: Fragments,
    decoded: Decoded,
}

impl Decoder {
    /// A decoder that looks for tunnels behind other ports than the usual.
    pub fn new(ports: TunnelPorts) -> Decoder {
        Decoder { ports: Some(Box::new(Ports::new(&ports))), ..Decoder::default() }
    }

    /// Reads and counts one frame if it is of the most common kind; what [`Decoder::decode`] yields otherwise.
    #[inline(always)]
    pub(crate) fn tcp4<'a>(&mut self, frame: &Frame<'a>) -> Option<Tcp4<'a>> {
        let segment = packet::tcp4(frame.link, frame.data)?;
        self.decoded.frames += 1;
        self.decoded.packets += 1;
        Some(segment)
    }

    /// Reads one frame; `None` where it holds no packet that counts. A packet whose headers came in several fragments is
    /// yielded for the last of these.
    #[inline]
    pub fn decode<'a>(&'a mut self, frame: &Frame<'a>) -> Option<Packet<'a>> {
        self.decoded.frames += 1;
        let ports = self.ports.as_deref().unwrap_or(Ports::DEFAULT);
        if let Some(packet) = packet::plain(frame.link, frame.data, ports) {
            self.decoded.packets += 1;
            return Some(packet);
        }
        self.unusual(frame)
    }

    #[inline(never)]
    fn unusual<'a>(&'a mut self, frame: &Frame<'a>) -> Option<Packet<'a>> {
        let ports = self.ports.as_deref().unwrap_or(Ports::DEFAULT);
        let read = match packet::parse(frame, ports) {
            Ok(packet) => Ok(packet),
            Err(Stop::Skipped(reason)) => Err(reason),
            Err(Stop::Fragment(fragment)) => join(&mut self.fragments, &mut self.decoded, ports, frame.time, fragment),
        };
        match read {
            Ok(packet) => {
                self.decoded.packets += 1;
                if let Transport::Udp(udp) = packet.transport
                    && let Some(tunnel) = udp.opaque
                {
                    self.decoded.see(tunnel);
                }
                Some(packet)
            }
            Err(reason) => {
                self.decoded.skip(reason);
                None
            }
        }
    }

    /// Where the frames ended so far; fragments that wait are in [`Skipped::UnfinishedFragment`].
    pub fn decoded(&self) -> &Decoded {
        &self.decoded
    }

    /// Where all frames ended.
    pub fn finish(mut self) -> Decoded {
        self.decoded.evicted = self.fragments.evicted();
        self.decoded
    }
}

/// Reads a fragment, or what it completes. A fragment inside a fragmented tunnel takes its turn behind the outer one.
fn join<'a>(
    fragments: &'a mut Fragments,
    decoded: &mut Decoded,
    ports: &Ports,
    time: Timestamp,
    mut fragment: Fragment<'a>,
) -> Result<Packet<'a>, Skipped> {
    loop {
        let taken = fragments.take(time, &fragment, ports);
        if let Some((frames, reason)) = taken.released {
            decoded.release(frames, reason);
        }
        let read = match taken.step {
            Step::Read => fragment.read(fragment.protocol, fragment.bytes, ports),
            Step::Joined(protocol) => {
                return match fragment.read(protocol, fragments.joined(), ports) {
                    Ok(packet) => Ok(packet),
                    Err(Stop::Skipped(reason)) => Err(reason),
                    // Fragmented twice, and the outer fragments tiny: nobody does that.
                    Err(Stop::Fragment(_)) => Err(Skipped::UnfinishedFragment),
                };
            }
            Step::Skip(reason) => return Err(reason),
        };
        match read {
            Ok(packet) => return Ok(packet),
            Err(Stop::Skipped(reason)) => return Err(reason),
            Err(Stop::Fragment(inner)) => fragment = inner,
        }
    }
}
