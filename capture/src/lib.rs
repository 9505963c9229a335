//! From bytes on the wire to flows. Knows networks, not Kubernetes.
//!
//! ```text
//! file --frames--> merge --frame--> decode --packets--> track --> flow --> rows (of a flow log)
//! live ----------------frame---------^ `----payload---> names
//! ```
//!
//! A [`CaptureFile`] yields [`Frame`]s, whatever the format. [`merge::read`] hands the frames of several files to one
//! [`Tracker`] in the order of time. A [`Decoder`] reads a frame down to the innermost transport header, or counts why
//! it cannot. The tracker joins packets to [`Flow`]s: who opened what to whom, and how it went; it decides only
//! what packets prove, [`Activity`] and [`Talks`] with it. `live` captures from interfaces through a filter in the kernel, and
//! [`Tracker::flush`] hands over what is certain while packets keep coming. DNS answers and TLS server names end up in [`Names`].

pub mod activity;
pub mod decode;
pub mod file;
pub mod flow;
mod fragments;
pub mod frame;
#[cfg(feature = "live")]
pub mod live;
pub mod merge;
pub mod names;
pub mod packet;
pub mod protocol;
pub mod rows;
pub mod talk;
pub mod time;
pub mod track;

pub use activity::Activity;
pub use decode::{Decoded, Decoder};
pub use file::{CaptureFile, Damage, FileError};
pub use flow::{Flow, Latencies, Opening, Outcome, Proof, Side, Socket};
pub use frame::{Frame, LinkType};
pub use names::Names;
pub use packet::TunnelPorts;
pub use protocol::Protocol;
pub use talk::{Secrecy, Talk, Talks};
pub use time::Timestamp;
pub use track::{Limits, Settings, Tally, Tracked, Tracker};
