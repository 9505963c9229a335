//! What was watched: a capture file, or an interface for a while.

use capture::Timestamp;
use capture::file::{FileStatistics, Interface};

/// A capture file, or an interface from when it was attached to when it was let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// The file's hash, or the interface's name.
    pub(crate) id: String,
    /// Tells sources of one id apart: files given twice by a number, an interface by when it was attached.
    pub(crate) run: i64,
    /// For people.
    pub(crate) name: String,
    /// In the order in which it was given.
    pub(crate) position: i64,
    /// From and to; `None` where a file holds no frame.
    pub(crate) span: Option<(Timestamp, Timestamp)>,
    pub(crate) frames: u64,
    /// Records of a file that were stepped over.
    pub(crate) damaged: u64,
    pub(crate) first_damaged: Option<Fault>,
    /// Where reading ended before the file did.
    pub(crate) damage: Option<Fault>,
    pub(crate) interfaces: Vec<Interface>,
}

/// What is wrong with a capture file at one place: [`capture::Damage`] in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) packet: u64,
    pub(crate) offset: u64,
    pub(crate) message: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "packet {}, byte {}: {}", self.packet, self.offset, self.message)
    }
}

impl From<&capture::Damage> for Fault {
    fn from(damage: &capture::Damage) -> Fault {
        Fault { packet: damage.packet, offset: damage.offset, message: damage.what.to_string() }
    }
}

impl Source {
    /// A capture file; its id is its hash, or its name where nobody needs that.
    pub(crate) fn file(
        name: &str,
        position: usize,
        span: Option<(Timestamp, Timestamp)>,
        statistics: FileStatistics,
        damage: Option<&capture::Damage>,
    ) -> Source {
        let FileStatistics { frames, damaged, first_damaged, interfaces } = statistics;
        Source {
            id: name.to_string(),
            run: 0,
            name: name.to_string(),
            position: position as i64,
            span,
            frames,
            damaged,
            first_damaged: first_damaged.as_ref().map(Fault::from),
            damage: damage.map(Fault::from),
            interfaces,
        }
    }

    /// Packets lost during the capture, as far as anybody says so.
    pub(crate) fn dropped(&self) -> u64 {
        self.interfaces.iter().filter_map(Interface::dropped).sum()
    }
}
