//! What the traffic is, for whoever wants to compare.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;

use crate::cluster::Socket;

/// Conversations by client, server, protocol and outcome.
#[derive(Default)]
pub(crate) struct Truth {
    edges: BTreeMap<(IpAddr, Socket, &'static str, &'static str), u64>,
}

impl Truth {
    pub(crate) fn add(&mut self, client: IpAddr, server: Socket, protocol: &'static str, outcome: &'static str) {
        *self.edges.entry((client, server, protocol, outcome)).or_default() += 1;
    }

    /// Writes a line for each edge: client, server, port, protocol, outcome, conversations, with tabs between.
    pub(crate) fn write(&self, mut out: impl Write) -> io::Result<()> {
        for ((client, server, protocol, outcome), count) in &self.edges {
            writeln!(out, "{client}\t{}\t{}\t{protocol}\t{outcome}\t{count}", server.ip, server.port)?;
        }
        out.flush()
    }
}
