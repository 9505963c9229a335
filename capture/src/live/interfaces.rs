//! The interfaces of this machine, and which of them are recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;

use crate::time::{SECOND, Timestamp};

/// Names of interfaces: `any`, or a name in which `*` stands for anything and `?` for one letter. Behind a `!` those that
/// are not meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern {
    name: String,
    excludes: bool,
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Pattern, String> {
        let (name, excludes) = text.strip_prefix('!').map_or((text, false), |name| (name, true));
        // linux/if.h: IFNAMSIZ counts the final zero.
        match name {
            "" => Err("an interface has a name".to_string()),
            name if name.contains(['/', ' ']) => {
                Err(format!("{name:?}: no interface has a slash or a space in its name"))
            }
            name if !name.contains('*') && name.len() > 15 => {
                Err(format!("{name}: no interface has more than 15 letters"))
            }
            name => Ok(Pattern { name: name.to_string(), excludes }),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}{}", if self.excludes { "!" } else { "" }, self.name))
    }
}

impl Pattern {
    /// Whether it asks for one interface by its name.
    pub fn is_literal(&self) -> bool {
        !self.excludes && self.is_name()
    }

    fn is_name(&self) -> bool {
        self.name != "any" && !self.name.contains(['*', '?'])
    }

    /// Whether it stands for an interface. One that only repeats what others show has to be named.
    fn takes(&self, name: &str, kind: Kind) -> bool {
        match self.name.as_str() {
            "any" => !kind.repeats(),
            pattern if self.is_name() => pattern == name,
            pattern => !kind.repeats() && fits(pattern.as_bytes(), name.as_bytes()),
        }
    }
}

/// Whether a name fits a pattern with `*` and `?`.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=name.len()).any(|skipped| fits(rest, &name[skipped..])),
        ([b'?', pattern @ ..], [_, name @ ..]) => fits(pattern, name),
        ([one, pattern @ ..], [two, name @ ..]) => one == two && fits(pattern, name),
        _ => false,
    }
}

/// What an interface is, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One end of a cable: a pod's veth, an uplink, an overlay device.
    Point,
    /// The same as the port of a switch: what comes in there may be for anybody behind the others.
    Port,
    /// A bridge: each packet came in through one of its ports before.
    Bridge,
    /// A port of a bond: each packet comes in through the bond, too.
    BondPort,
    /// The loopback device.
    Loopback,
}

impl Kind {
    fn repeats(self) -> bool {
        matches!(self, Kind::Bridge | Kind::BondPort)
    }

    /// sysfs of the network namespace says what it is.
    fn of(name: &str) -> Kind {
        let has = |entry: &str| Path::new("/sys/class/net").join(name).join(entry).exists();
        match name {
            "lo" => Kind::Loopback,
            _ if has("bridge") => Kind::Bridge,
            _ if has("bonding_slave") => Kind::BondPort,
            _ if has("master") => Kind::Port,
            _ => Kind::Point,
        }
    }
}

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name when it was last looked at.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Whether it is recorded.
    pub recorded: bool,
    /// When it was first seen.
    pub since: Timestamp,
}

/// What became of an interface that is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is there.
    Came(String),
    /// It is no longer there.
    Went(String),
}

/// An interface is in its place this long after it came, in nanoseconds.
const SETTLED: i64 = 10 * SECOND;

/// Once in so many times everything is asked.
const THOROUGH: u32 = 16;

/// All interfaces by index.
#[derive(Debug)]
pub struct Interfaces {
    patterns: Vec<Pattern>,
    refreshed: u32,
    known: BTreeMap<u32, Interface>,
}

impl Interfaces {
    /// Of the names of `patterns`, none of them known yet.
    pub fn new(patterns: Vec<Pattern>) -> Interfaces {
        Interfaces { patterns, refreshed: 0, known: BTreeMap::new() }
    }

    /// Looks what is there.
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub fn refresh(&mut self, now: Timestamp) -> std::io::Result<Vec<Change>> {
        let list = nix::net::if_::if_nameindex()?;
        let there: Vec<(u32, String)> =
            list.into_iter().map(|one| (one.index(), one.name().to_string_lossy().into_owned())).collect();
        Ok(self.update(there, now, Kind::of))
    }

    fn update(&mut self, there: Vec<(u32, String)>, now: Timestamp, kind: impl Fn(&str) -> Kind) -> Vec<Change> {
        let mut changes = Vec::new();
        let thorough = self.refreshed.is_multiple_of(THOROUGH);
        self.refreshed = self.refreshed.wrapping_add(1);
        let present: BTreeSet<u32> = there.iter().map(|(index, _)| *index).collect();
        self.known.retain(|index, interface| {
            let stays = present.contains(index);
            if !stays && interface.recorded {
                changes.push(Change::Went(interface.name.clone()));
            }
            stays
        });
        for (index, name) in there {
            let known = self.known.get(&index);
            // An interface is put into its place while it is new; later that is seldom, and asking costs.
            let is_settled = |known: &Interface| known.name == name && now.since(known.since) > SETTLED;
            if !thorough && known.is_some_and(is_settled) {
                continue;
            }
            let kind = kind(&name);
            if known.is_some_and(|known| known.name == name && known.kind == kind) {
                continue;
            }
            let named = |excludes: bool| {
                self.patterns.iter().any(|pattern| pattern.excludes == excludes && pattern.takes(&name, kind))
            };
            let recorded = named(false) && !named(true);
            let was = known.map(|known| (known.recorded, known.name.clone()));
            let since = known.filter(|known| known.recorded == recorded).map_or(now, |known| known.since);
            if let Some((true, old)) = &was
                && (!recorded || *old != name)
            {
                changes.push(Change::Went(old.clone()));
            }
            if recorded && was.is_none_or(|(recorded, old)| !recorded || old != name) {
                changes.push(Change::Came(name.clone()));
            }
            self.known.insert(index, Interface { name, kind, recorded, since });
        }
        changes
    }

    /// An interface by its index.
    pub fn get(&self, index: u32) -> Option<&Interface> {
        self.known.get(&index)
    }

    /// All of them by index.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Interface)> {
        self.known.iter().map(|(index, interface)| (*index, interface))
    }

    /// Whether everything that comes in at this machine from elsewhere is recorded.
    pub fn all_recorded(&self) -> bool {
        self.known.values().all(|interface| interface.recorded || !matches!(interface.kind, Kind::Point | Kind::Port))
    }
}

/// The addresses of this machine itself.
///
/// # Errors
/// Where the kernel does not say.
pub fn own_addresses() -> std::io::Result<BTreeSet<IpAddr>> {
    let of = |address: nix::ifaddrs::InterfaceAddress| {
        let storage = address.address?;
        let v4 = storage.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| storage.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    };
    Ok(nix::ifaddrs::getifaddrs()?.filter_map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * SECOND)
    }

    #[test]
    fn patterns_name_interfaces() {
        for (pattern, name, kind, expected) in [
            ("any", "eth0", Kind::Point, true),
            ("any", "lo", Kind::Loopback, true),
            ("any", "cni0", Kind::Bridge, false),
            ("veth*", "veth12", Kind::Point, true),
            ("veth*", "eth0", Kind::Point, false),
            ("*", "cni0", Kind::Bridge, false),
            ("cni0", "cni0", Kind::Bridge, true),
            ("eth?", "eth0", Kind::Point, true),
            ("eth?", "eth", Kind::Point, false),
            ("e*h*0", "enp0sh10", Kind::Point, true),
        ] {
            assert_eq!(pattern.parse::<Pattern>().unwrap().takes(name, kind), expected, "{pattern} {name}");
        }
        let mut interfaces = Interfaces::new(["any", "!lo", "!docker*"].map(|one| one.parse().unwrap()).to_vec());
        let there =
            ["lo", "docker0", "eth0"].into_iter().zip(1..).map(|(name, index)| (index, name.to_string())).collect();
        assert_eq!(interfaces.update(there, at(1), |_| Kind::Point), [Change::Came("eth0".to_string())]);
        assert!("".parse::<Pattern>().is_err() && "!".parse::<Pattern>().is_err() && "a/b".parse::<Pattern>().is_err());
        assert!("sixteen-letters-".parse::<Pattern>().is_err());
    }

    #[test]
    fn interfaces_come_and_go() {
        let mut interfaces = Interfaces::new(vec!["veth*".parse().unwrap()]);
        let kind = |_: &str| Kind::Point;
        let list = |names: &[(u32, &str)]| names.iter().map(|(index, name)| (*index, name.to_string())).collect();
        assert_eq!(
            interfaces.update(list(&[(1, "eth0"), (2, "veth1")]), at(1), kind),
            [Change::Came("veth1".to_string())]
        );
        assert!(!interfaces.all_recorded());
        assert_eq!(interfaces.update(list(&[(1, "eth0"), (2, "veth1")]), at(2), kind), []);
        // Runtimes make a veth under another name and rename it.
        assert_eq!(
            interfaces.update(list(&[(2, "tmp"), (3, "veth2")]), at(3), kind),
            [Change::Went("veth1".to_string()), Change::Came("veth2".to_string())]
        );
        assert_eq!(interfaces.get(3).map(|interface| (interface.recorded, interface.since)), Some((true, at(3))));
        assert_eq!(interfaces.update(list(&[]), at(4), kind), [Change::Went("veth2".to_string())]);
    }
}
