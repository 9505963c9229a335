//! From bytes on the wire to flows.
pub mod protocol;
pub use protocol::Protocol;
pub mod time;
pub use time::Timestamp;
pub mod file;
pub mod frame;
pub use file::{CaptureFile, Damage, Fault, FileError, FileStatistics, Interface};
pub use frame::{Frame, LinkType};
