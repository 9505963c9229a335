//! Ports as policies and pods know them.

use std::fmt;
use std::num::NonZeroU16;

pub use capture::Protocol;

/// An inclusive range of port numbers, 1..=65535 (`NetworkPolicyPort.port` and `.endPort`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    from: NonZeroU16,
    to: NonZeroU16,
}

impl PortRange {
    /// Every port there is.
    pub const ALL: PortRange = PortRange { from: NonZeroU16::MIN, to: NonZeroU16::MAX };

    /// `from..=to`; `None` where `to` is below `from`.
    pub fn new(from: NonZeroU16, to: NonZeroU16) -> Option<PortRange> {
        (from <= to).then_some(PortRange { from, to })
    }

    /// One port.
    pub fn single(port: NonZeroU16) -> PortRange {
        PortRange { from: port, to: port }
    }

    /// The lowest port.
    pub fn from(self) -> u16 {
        self.from.get()
    }

    /// The highest port.
    pub fn to(self) -> u16 {
        self.to.get()
    }

    /// Whether `port` lies inside; port 0, which a flow may carry, lies in no range.
    pub fn contains(self, port: u16) -> bool {
        (self.from()..=self.to()).contains(&port)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to { write!(f, "{}", self.from) } else { write!(f, "{}-{}", self.from, self.to) }
    }
}

/// A port that a container declares (`containers[].ports[]`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerPort {
    /// `ports[].name`, where there is one.
    pub name: Option<String>,
    /// `ports[].containerPort`.
    pub number: u16,
    /// `ports[].protocol`, TCP where absent.
    pub protocol: Protocol,
}
