//! What a file tells of its interfaces.

use crate::LinkType;

/// One interface of a file. The counters are those of the capturing host, as far as the file has them: pcap has none,
/// and in pcapng the last Interface Statistics Block of an interface counts (draft-ietf-opsawg-pcapng §4.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// What the capturing host called it; pcap has no place for it.
    pub name: Option<String>,
    /// What its frames begin with.
    pub link: LinkType,
    /// Its frames in the file.
    pub frames: u64,
    /// Packets that reached it during the capture.
    pub received: Option<u64>,
    /// Packets that the capture's filter let through.
    pub accepted: Option<u64>,
    /// Packets that the interface had no room for.
    pub dropped_by_interface: Option<u64>,
    /// Packets that the operating system had no room for.
    pub dropped_by_system: Option<u64>,
}

impl Interface {
    pub(super) fn new(name: Option<String>, link: LinkType) -> Interface {
        Interface {
            name,
            link,
            frames: 0,
            received: None,
            accepted: None,
            dropped_by_interface: None,
            dropped_by_system: None,
        }
    }

    /// Packets lost during the capture, wherever that was, if the file says so.
    pub fn dropped(&self) -> Option<u64> {
        match (self.dropped_by_interface, self.dropped_by_system) {
            (None, None) => None,
            (interface, system) => Some(interface.unwrap_or(0).saturating_add(system.unwrap_or(0))),
        }
    }
}
