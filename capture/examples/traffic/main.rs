//! Writes a capture of made-up traffic of a cluster, for benchmarks: the same bytes for the same arguments.
//!
//! ```text
//! cargo run --release -p ringfence-capture --example traffic -- KIND PACKETS OUT [--truth FILE] [--seed NUMBER]
//! ```
//!
//! - `short`: about one TCP connection for ten packets, 10,000 new ones a second of 50 ms to 5 s each; snap length 128.
//! - `long`: 18,000 connections, at most one for fifty packets: requests on connections kept alive, bulk transfers,
//!   some open since before the capture; snap length 128.
//! - `full`: 2,000 long connections, mostly bulk, with whole packets.
//!
//! In all of them: 300 clients; Services seen at the dialled address only, at both, or dialled by the pods' addresses;
//! 8 % IPv6; 5 % copies inside VXLAN, VLAN tags; DNS with answers, 4 % of the packets in `short` and 0.1 % in the
//! others, whose point is few conversations; repeated SYNs and segments, resets, refused and unanswered attempts.
//!
//! `--truth` lists the edges. Where nothing in the packets could prove that two views are one conversation (attempts,
//! DNS, connections that are open already) there is one view only, so the list is what a tool can know from packets
//! alone, without the cluster's objects.

mod cluster;
mod connection;
mod payload;
mod random;
mod traffic;
mod truth;
mod wire;

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;

use traffic::{Kind, Traffic};
use wire::Capture;

const USAGE: &str = "usage: traffic short|long|full PACKETS OUT [--truth FILE] [--seed NUMBER]";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or(USAGE);
    let kind = match next()?.as_str() {
        "short" => Kind::Short,
        "long" => Kind::Long,
        "full" => Kind::Full,
        _ => return Err(USAGE.into()),
    };
    let packets: u64 = next()?.parse()?;
    let out = next()?;
    let (mut truth, mut seed) = (None, 1);
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or(USAGE)?;
        match option.as_str() {
            "--truth" => truth = Some(value),
            "--seed" => seed = value.parse()?,
            _ => return Err(USAGE.into()),
        }
    }
    let capture = Capture::new(BufWriter::with_capacity(1 << 20, File::create(out)?), kind.snap())?;
    let found = Traffic::new(kind, packets, seed).write(capture)?;
    if let Some(path) = truth {
        found.write(BufWriter::new(File::create(path)?))?;
    }
    Ok(())
}
