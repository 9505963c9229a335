//! Packets from the interfaces of this machine.
//!
//! One socket sees all interfaces, so that nothing is lost when one appears. It shows what comes in at each and not what
//! goes out, or every packet would show at each interface on its way; and of that only what [`Filter`] lets through.

mod filter;
mod interfaces;
mod program;

use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

pub use filter::{Filter, HotEdge, MAX_HOT, MAX_NAMED, SAMPLE};
pub use interfaces::{Change, Interface, Interfaces, Kind, Pattern, own_addresses};
pub use program::Instruction;

use crate::frame::{Frame, LinkType};
use crate::time::{SECOND, Timestamp};

/// Bytes of a packet that may be copied: the filter says of each how many are.
const SNAP: i32 = 2048 + 64;

/// How long the kernel fills a block of the ring before it wakes us, in milliseconds.
const BLOCK: i32 = 100;

/// What can go wrong while capturing.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The kernel lets nobody capture without the capability.
    #[error("capturing needs the capability CAP_NET_RAW (root has it): {0}")]
    Permission(String),
    /// libpcap says no.
    #[error("capturing: {0}")]
    Capture(#[from] pcap::Error),
    /// A system call failed.
    #[error("capturing: {0}: {1}")]
    System(&'static str, std::io::Error),
}

/// What the kernel counted since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that passed the filter.
    pub received: u64,
    /// Of these, packets for which there was no room.
    pub dropped: u64,
    /// Packets that interfaces lost.
    pub dropped_by_interface: u64,
}

/// An open socket.
pub struct Live {
    capture: pcap::Capture<pcap::Active>,
    counters: Counters,
    /// What libpcap said last; its counters have 32 bits and wrap around.
    last: [u32; 3],
}

impl Live {
    /// Opens the socket, with room for `ring` bytes of packets.
    ///
    /// # Errors
    /// Without CAP_NET_RAW, and where memory is short.
    pub fn open(ring: u32) -> Result<Live, LiveError> {
        let inactive = pcap::Capture::from_device("any")?
            .snaplen(SNAP)
            .buffer_size(i32::try_from(ring).unwrap_or(i32::MAX))
            .timeout(BLOCK)
            // For nanoseconds libpcap has the kernel stamp every packet, and not only those that pass.
            .precision(pcap::Precision::Micro)
            .immediate_mode(false)
            .promisc(false);
        let mut capture = inactive.open().map_err(|error| match error {
            pcap::Error::PcapError(text) if text.contains("permitted") || text.contains("ermission") => {
                LiveError::Permission(text)
            }
            other => LiveError::Capture(other),
        })?;
        capture.set_datalink(pcap::Linktype(276))?;
        let capture = capture.setnonblock()?;
        let live = Live { capture, counters: Counters::default(), last: [0; 3] };
        live.set(libc::SOL_PACKET, IGNORE_OUTGOING, &1i32, "ignoring outgoing packets (Linux 4.20)")?;
        Ok(live)
    }

    /// Changes what passes, from the next packet on. Nothing is lost in between.
    ///
    /// # Errors
    /// Where the kernel does not take the program.
    pub fn filter(&mut self, filter: &Filter) -> Result<(), LiveError> {
        let program: Vec<libc::sock_filter> = filter
            .compile()
            .into_iter()
            .map(|Instruction { code, jt, jf, k }| libc::sock_filter { code, jt, jf, k })
            .collect();
        let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
        self.set(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program, "the packet filter")
    }

    /// Sets an option of libpcap's socket, which it knows nothing of.
    #[allow(unsafe_code)]
    fn set<T>(&self, level: i32, option: i32, value: &T, what: &'static str) -> Result<(), LiveError> {
        let fd = std::os::fd::AsRawFd::as_raw_fd(&self.capture.as_fd());
        // SAFETY: the pointer and the size are those of one value that lives; what it points to lives, too. The kernel
        // copies both.
        let done = unsafe {
            libc::setsockopt(fd, level, option, std::ptr::from_ref(value).cast(), size_of::<T>() as libc::socklen_t)
        };
        if done == 0 { Ok(()) } else { Err(LiveError::System(what, std::io::Error::last_os_error())) }
    }

    /// Waits up to `milliseconds` for packets and hands over those that are there; how many there were.
    ///
    /// # Errors
    /// Where the socket fails.
    pub fn read(&mut self, milliseconds: u16, mut take: impl FnMut(&Frame<'_>)) -> Result<usize, LiveError> {
        let mut waiting = [PollFd::new(self.capture.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waiting, PollTimeout::from(milliseconds)) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => return Ok(0),
            Ok(_) => {}
            Err(error) => return Err(LiveError::System("waiting for packets", error.into())),
        }
        let read = self.capture.dispatch(None, |packet| take(&frame(&packet)));
        match read {
            // An interface of the many went down; the others go on.
            Err(pcap::Error::PcapError(text)) if text.contains("went down") || text.contains("disappeared") => Ok(0),
            other => Ok(other?),
        }
    }

    /// What the kernel counted since the start.
    ///
    /// # Errors
    /// Where the socket fails.
    pub fn counters(&mut self) -> Result<Counters, LiveError> {
        let stat = self.capture.stats()?;
        let now = [stat.received, stat.dropped, stat.if_dropped];
        let [received, dropped, by_interface] = [0, 1, 2].map(|at| u64::from(now[at].wrapping_sub(self.last[at])));
        self.last = now;
        self.counters.received += received;
        self.counters.dropped += dropped;
        self.counters.dropped_by_interface += by_interface;
        Ok(self.counters)
    }
}

/// `PACKET_IGNORE_OUTGOING` (linux/if_packet.h): libpcap's own direction filter clones every packet first.
const IGNORE_OUTGOING: i32 = 23;

/// Whether a packet is for another machine: a switch that does not know better sends it everywhere.
pub fn is_for_others(frame: &Frame<'_>) -> bool {
    // LINKTYPE_LINUX_SLL2: the packet type is in byte 10; 3 is PACKET_OTHERHOST.
    frame.data.get(10) == Some(&3)
}

/// A packet with its interface's index. libpcap was asked for microseconds.
fn frame<'a>(packet: &pcap::Packet<'a>) -> Frame<'a> {
    let pcap::PacketHeader { ts, len, .. } = *packet.header;
    let data = packet.data;
    // LINKTYPE_LINUX_SLL2: the index is in bytes 4 to 7.
    let interface = data.get(4..8).map_or(0, |bytes| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)));
    let time = Timestamp(ts.tv_sec.saturating_mul(SECOND).saturating_add(ts.tv_usec.saturating_mul(1000)));
    Frame { time, link: LinkType::LinuxSll2, interface, data, original_length: len }
}
