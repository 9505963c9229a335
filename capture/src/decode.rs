//! Frames to packets: reads headers, and counts where each frame ended.

use std::collections::BTreeMap;

use crate::frame::Frame;
use crate::packet::{self, Packet, Skipped};

/// Where frames ended: each in `packets`, or in one bucket of `skipped`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Frames read.
    pub frames: u64,
    /// Frames that held a packet of TCP, UDP or SCTP, or an ICMP error that quotes one.
    pub packets: u64,
    /// Frames that held none, by reason.
    pub skipped: BTreeMap<Skipped, u64>,
}

/// Reads the frames of a capture.
#[derive(Debug, Default)]
pub struct Decoder {
    decoded: Decoded,
}

impl Decoder {
    /// Reads one frame; `None` where it holds no packet that counts.
    pub fn decode<'a>(&'a mut self, frame: &Frame<'a>) -> Option<Packet<'a>> {
        self.decoded.frames += 1;
        match packet::parse(frame) {
            Ok(packet) => {
                self.decoded.packets += 1;
                Some(packet)
            }
            Err(reason) => {
                *self.decoded.skipped.entry(reason).or_default() += 1;
                None
            }
        }
    }

    /// Where all frames ended.
    pub fn finish(self) -> Decoded {
        self.decoded
    }
}
