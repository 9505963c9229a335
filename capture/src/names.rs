//! Names of peers: DNS answers and the server name of a TLS ClientHello.

mod dns;
mod hello;
mod streams;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

use foldhash::fast::RandomState;

pub use self::dns::{Dns, dns, is_dns_port};
pub use self::hello::server_name;
pub use self::streams::DnsStreams;

/// How many (address, name, asker) facts are kept; beyond it they are counted in [`Names::dropped`].
pub const MAX_NAMES: usize = 200_000;

/// Which names stood for which addresses, and for whom.
#[derive(Debug, Clone, Default)]
pub struct Names {
    by_address: BTreeMap<IpAddr, BTreeMap<String, BTreeSet<IpAddr>>>,
    known: Fingerprints,
    dropped: u64,
}

/// The facts that are kept, 64 bits each: nearly every fact comes many times, and is told here without a search.
#[derive(Debug, Clone, Default)]
struct Fingerprints {
    /// Random, so that no capture is made to hold two facts of one fingerprint.
    key: RandomState,
    facts: HashSet<u64, BuildIdentity>,
}

impl Names {
    /// Notes that `asker` reached, or was told, `address` under `name`, of which the case does not matter.
    pub fn insert(&mut self, address: IpAddr, name: &str, asker: IpAddr) {
        let fingerprint = self.known.of(address, name, asker);
        if self.known.facts.contains(&fingerprint) {
            return;
        }
        if self.known.facts.len() >= MAX_NAMES {
            self.dropped += 1;
            return;
        }
        self.known.facts.insert(fingerprint);
        self.by_address.entry(address).or_default().entry(name.to_ascii_lowercase()).or_default().insert(asker);
    }

    /// The names of `address` and who used each, by name.
    pub fn of(&self, address: IpAddr) -> impl Iterator<Item = (&str, &BTreeSet<IpAddr>)> {
        self.by_address.get(&address).into_iter().flatten().map(|(name, askers)| (name.as_str(), askers))
    }

    /// Each address, a name of it and who used that, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, &str, IpAddr)> {
        self.by_address.iter().flat_map(|(address, names)| {
            let facts = names.iter().flat_map(|(name, askers)| askers.iter().map(move |asker| (name.as_str(), *asker)));
            facts.map(|(name, asker)| (*address, name, asker))
        })
    }

    /// Counts facts that somebody else had no room for.
    pub fn leave_out(&mut self, facts: u64) {
        self.dropped = self.dropped.saturating_add(facts);
    }

    /// How often a fact did not fit under [`MAX_NAMES`].
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl PartialEq for Names {
    fn eq(&self, other: &Names) -> bool {
        (&self.by_address, self.dropped) == (&other.by_address, other.dropped)
    }
}

impl Eq for Names {}

impl Fingerprints {
    fn of(&self, address: IpAddr, name: &str, asker: IpAddr) -> u64 {
        let mut hasher = self.key.build_hasher();
        for ip in [address, asker] {
            match ip {
                IpAddr::V4(ip) => hasher.write_u32(ip.to_bits()),
                IpAddr::V6(ip) => hasher.write_u128(ip.to_bits()),
            }
        }
        hasher.write_u8(u8::from(address.is_ipv4()) << 1 | u8::from(asker.is_ipv4()));
        let mut lower = [0; 64];
        for piece in name.as_bytes().chunks(lower.len()) {
            let lower = &mut lower[..piece.len()];
            lower.copy_from_slice(piece);
            lower.make_ascii_lowercase();
            hasher.write(lower);
        }
        hasher.finish()
    }
}

/// Fingerprints are hashes already.
type BuildIdentity = std::hash::BuildHasherDefault<Identity>;

#[derive(Debug, Clone, Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0 << 8 | u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// Names end up in comments and reports, so nothing but a host name gets through.
fn is_host_name(name: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=253).contains(&name.len()) && name.iter().all(is_letter)
}

#[cfg(test)]
mod tests;
