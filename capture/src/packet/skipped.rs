//! Where a frame ends that yields no packet.

/// The layer at which reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Ethernet, Linux cooked, PPP and whatever else is below IP.
    Link,
    /// IPv4 or IPv6 with its extension headers.
    Ip,
    /// TCP, UDP or SCTP.
    Transport,
    /// VXLAN, Geneve, GRE and the like.
    Tunnel,
}

impl Layer {
    fn text(self) -> &'static str {
        match self {
            Layer::Link => "link",
            Layer::Ip => "IP",
            Layer::Transport => "transport",
            Layer::Tunnel => "tunnel",
        }
    }
}

/// Why a frame yields no packet. Every frame is either a packet or exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skipped {
    /// The link type is not known (its LINKTYPE number).
    UnknownLink(u16),
    /// ARP, LLDP and whatever else is not IP.
    NotIp,
    /// The snap length cut the frame before the ports.
    Truncated(Layer),
    /// The header contradicts itself.
    Malformed(Layer),
    /// A fragment of a packet that another frame yielded.
    Fragment,
    /// A fragment of a packet whose ports were not seen.
    UnfinishedFragment,
    /// A fragment that overlaps another of its packet with different bytes: nobody can know what the receiver made of
    /// them (RFC 5722 §3 has it drop them all).
    OverlappingFragment,
    /// ICMP that quotes no packet: echo, neighbour discovery, redirects and the like.
    Icmp,
    /// ESP: encrypted, without ports. ESP and WireGuard inside UDP are packets.
    Encrypted,
    /// Another IP protocol (its number).
    OtherProtocol(u8),
    /// More than [`MAX_TUNNELS`](super::MAX_TUNNELS) tunnels inside each other.
    TooDeep,
}

impl Skipped {
    /// Words for a summary.
    pub fn text(self) -> String {
        match self {
            Skipped::UnknownLink(number) => format!("unknown link type {number}"),
            Skipped::NotIp => "not IP".to_string(),
            Skipped::Truncated(at) => format!("cut in the {} header", at.text()),
            Skipped::Malformed(at) => format!("malformed {} header", at.text()),
            Skipped::Fragment => "later fragment".to_string(),
            Skipped::UnfinishedFragment => "fragment without its first".to_string(),
            Skipped::OverlappingFragment => "overlapping fragment".to_string(),
            Skipped::Icmp => "ICMP".to_string(),
            Skipped::Encrypted => "encrypted (ESP)".to_string(),
            Skipped::OtherProtocol(number) => format!("IP protocol {number}"),
            Skipped::TooDeep => "too many tunnels".to_string(),
        }
    }

    /// A name for programs, stable and in snake case: `truncated_ip`, `ip_protocol_89`, `unknown_link_253`.
    pub fn name(self) -> String {
        match self {
            Skipped::UnknownLink(number) => format!("unknown_link_{number}"),
            Skipped::NotIp => "not_ip".to_string(),
            Skipped::Truncated(at) => format!("truncated_{}", at.text().to_ascii_lowercase()),
            Skipped::Malformed(at) => format!("malformed_{}", at.text().to_ascii_lowercase()),
            Skipped::Fragment => "fragment".to_string(),
            Skipped::UnfinishedFragment => "fragment_unfinished".to_string(),
            Skipped::OverlappingFragment => "fragment_overlapping".to_string(),
            Skipped::Icmp => "icmp".to_string(),
            Skipped::Encrypted => "opaque_esp".to_string(),
            Skipped::OtherProtocol(number) => format!("ip_protocol_{number}"),
            Skipped::TooDeep => "too_deep".to_string(),
        }
    }
}

impl Skipped {
    /// Reads what [`Skipped::name`] writes.
    pub fn from_name(name: &str) -> Option<Skipped> {
        let layers = [Layer::Link, Layer::Ip, Layer::Transport, Layer::Tunnel];
        let layered = layers.into_iter().flat_map(|layer| [Skipped::Truncated(layer), Skipped::Malformed(layer)]);
        let plain = [
            Skipped::NotIp,
            Skipped::Fragment,
            Skipped::UnfinishedFragment,
            Skipped::OverlappingFragment,
            Skipped::Icmp,
            Skipped::Encrypted,
            Skipped::TooDeep,
        ];
        let number = |prefix: &str| name.strip_prefix(prefix);
        let link = || number("unknown_link_")?.parse().ok().map(Skipped::UnknownLink);
        let protocol = || number("ip_protocol_")?.parse().ok().map(Skipped::OtherProtocol);
        plain.into_iter().chain(layered).find(|reason| reason.name() == name).or_else(link).or_else(protocol)
    }
}

/// An encrypted tunnel: who talks to whom inside it cannot be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Opaque {
    /// WireGuard, on any port.
    WireGuard,
    /// IPsec ESP, bare or inside UDP (RFC 4303, RFC 3948).
    Esp,
}

impl Opaque {
    /// All of them.
    pub const ALL: [Opaque; 2] = [Opaque::WireGuard, Opaque::Esp];

    /// Words for a summary.
    pub fn text(self) -> &'static str {
        match self {
            Opaque::WireGuard => "WireGuard",
            Opaque::Esp => "IPsec ESP",
        }
    }

    /// A name for programs, stable and in snake case.
    pub fn name(self) -> &'static str {
        match self {
            Opaque::WireGuard => "wireguard",
            Opaque::Esp => "esp",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for name in [
            "unknown_link_253",
            "not_ip",
            "truncated_link",
            "truncated_ip",
            "truncated_transport",
            "truncated_tunnel",
            "malformed_link",
            "malformed_ip",
            "malformed_transport",
            "malformed_tunnel",
            "fragment",
            "fragment_unfinished",
            "fragment_overlapping",
            "icmp",
            "opaque_esp",
            "ip_protocol_89",
            "too_deep",
        ] {
            assert_eq!(Skipped::from_name(name).map(Skipped::name).as_deref(), Some(name));
        }
        assert_eq!(Skipped::from_name("ip_protocol_256"), None);
        assert_eq!(Skipped::from_name("other"), None);
    }
}
