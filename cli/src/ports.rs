//! Sets of ports in the machine formats.

use serde::Serialize;
use synth::ports::PortSet;

/// One range of one protocol.
#[derive(Debug, Serialize)]
pub(crate) struct Range {
    protocol: &'static str,
    from: u16,
    to: u16,
}

/// A set as a list.
pub(crate) fn ranges(ports: &PortSet) -> Vec<Range> {
    let range = |(protocol, range): (synth::port::Protocol, synth::port::PortRange)| Range {
        protocol: protocol.name(),
        from: range.from(),
        to: range.to(),
    };
    ports.iter().map(range).collect()
}

/// A client or server of static connectivity.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Party {
    /// `namespace/pod`, or `namespace/Kind/name`.
    Name(String),
    /// Addresses outside.
    Outside {
        /// The range.
        cidr: String,
    },
}
