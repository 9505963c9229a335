//! The syntax rules of names, labels, ports and CIDRs, in the API server's words (`k8s.io/apimachinery`,
//! `util/validation` and `core/validation`). Each function returns what is wrong, nothing where all is well.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
    and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
    start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
    alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
    '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex \
    used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// `IsDNS1123Subdomain`; a prefix (`generateName`) may end in a dash.
pub(super) fn subdomain(name: &str, prefix: bool) -> Vec<String> {
    // NameIsDNSSubdomain masks a trailing dash of a prefix, because characters will follow it.
    let masked = match name.strip_suffix('-') {
        Some(start) if prefix && !start.is_empty() => format!("{start}a"),
        _ => name.to_string(),
    };
    let mut wrong = longer_than(253, &masked);
    if !masked.split('.').all(is_dns_label) {
        wrong.push(SUBDOMAIN.to_string());
    }
    wrong
}

/// `IsDNS1123Label`, the rule for namespaces.
pub(super) fn dns_label(name: &str) -> Vec<String> {
    let mut wrong = longer_than(63, name);
    if !is_dns_label(name) {
        let dots = name.contains('.') && name.split('.').all(is_dns_label);
        wrong.push(if dots { "must not contain dots" } else { LABEL }.to_string());
    }
    wrong
}

/// `IsQualifiedName`, the rule for keys of labels and annotations.
pub(super) fn label_key(key: &str) -> Vec<String> {
    let parts: Vec<&str> = key.split('/').collect();
    let mut wrong = Vec::new();
    let name = match parts.as_slice() {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                wrong.push("prefix part must be non-empty".to_string());
            } else {
                wrong.extend(subdomain(prefix, false).into_iter().map(|words| format!("prefix part {words}")));
            }
            name
        }
        _ => {
            return vec![format!(
                "a qualified name {QUALIFIED} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_string());
    }
    wrong.extend(longer_than(63, name).into_iter().map(|words| format!("name part {words}")));
    if !is_qualified(name) {
        wrong.push(format!("name part {QUALIFIED}"));
    }
    wrong
}

/// `IsValidLabelValue`.
pub(super) fn label_value(value: &str) -> Vec<String> {
    let mut wrong = longer_than(63, value);
    if !value.is_empty() && !is_qualified(value) {
        wrong.push(LABEL_VALUE.to_string());
    }
    wrong
}

/// `IsValidPortName`.
pub(super) fn port_name(name: &str) -> Vec<String> {
    let mut wrong = longer_than(15, name);
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        wrong.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_string());
    }
    if !name.bytes().any(|b| b.is_ascii_lowercase()) {
        wrong.push("must contain at least one letter (a-z)".to_string());
    }
    if name.contains("--") {
        wrong.push("must not contain consecutive hyphens".to_string());
    }
    if name.starts_with('-') || name.ends_with('-') {
        wrong.push("must not begin or end with a hyphen".to_string());
    }
    wrong
}

/// `DomainName` of network-policy-api, with `*.` before it or without.
pub(super) fn domain_name(name: &str) -> bool {
    let edge = |b: u8| b.is_ascii_alphanumeric();
    let name = name.strip_prefix("*.").unwrap_or(name);
    let name = name.strip_suffix('.').unwrap_or(name);
    name.contains('.') && name.split('.').all(|label| encloses(label, edge, |b| matches!(b, b'-' | b'_')))
}

/// `IsValidPortNum`.
pub(super) fn port_number(number: i32) -> Vec<String> {
    if (1..=65535).contains(&number) { Vec::new() } else { vec!["must be between 1 and 65535, inclusive".to_string()] }
}

/// A CIDR with its host bits masked, and what a server that validates strictly (KEP-4858) holds against it. Other
/// servers have stored such values, hence the network is there even so.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cidr {
    pub(super) net: IpNet,
    pub(super) objection: Option<Objection>,
}

/// What is unusual about a CIDR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Objection {
    LeadingZeros,
    Mapped,
    HostBits,
}

impl Objection {
    pub(super) fn words(self) -> &'static str {
        match self {
            Objection::LeadingZeros => "must not have leading 0s in IP or prefix length",
            Objection::Mapped => "must not have an IPv4-mapped IPv6 address",
            Objection::HostBits => "must not have bits set beyond the prefix length",
        }
    }
}

/// `IsValidCIDRForLegacyField`; `None` is "must be a valid CIDR value".
pub(super) fn cidr(text: &str) -> Option<Cidr> {
    let (address, length) = text.split_once('/')?;
    if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let bits: u8 = length
        .trim_start_matches('0')
        .parse()
        .or_else(|error| {
            // "/0" and "/00" are all zeros and leave nothing to parse.
            if length.bytes().all(|b| b == b'0') { Ok(0) } else { Err(error) }
        })
        .ok()?;
    let strict: Option<IpAddr> = address.parse().ok();
    let ip = strict.or_else(|| without_leading_zeros(address))?;
    let net = match ip {
        IpAddr::V4(ip) => IpNet::V4(Ipv4Net::new(ip, bits).ok()?),
        IpAddr::V6(ip) => IpNet::V6(Ipv6Net::new(ip, bits).ok()?),
    };
    let mapped = matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some());
    let objection = if strict.is_none() || (length.len() > 1 && length.starts_with('0')) {
        Some(Objection::LeadingZeros)
    } else if mapped {
        Some(Objection::Mapped)
    } else if net.addr() != net.network() {
        Some(Objection::HostBits)
    } else {
        None
    };
    Some(Cidr { net: unmapped(net.trunc()), objection })
}

/// `::ffff:10.0.0.0/104` is 10.0.0.0/8 to Go's `net.IPNet`.
fn unmapped(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let Some(ip) = v6.network().to_ipv4_mapped() else {
        return net;
    };
    let Some(bits) = v6.prefix_len().checked_sub(96) else {
        return net;
    };
    Ipv4Net::new(ip, bits).map_or(net, IpNet::V4)
}

/// The decimal reading of `010.0.0.0` that `ParseCIDRSloppy` keeps from Go 1.16, also at the end of an IPv6 address and
/// in its groups.
fn without_leading_zeros(address: &str) -> Option<IpAddr> {
    let short = |group: &str| match group.trim_start_matches('0') {
        "" if !group.is_empty() => "0".to_string(),
        rest => rest.to_string(),
    };
    let dotted = |text: &str| text.split('.').map(short).collect::<Vec<_>>().join(".");
    if !address.contains(':') {
        return dotted(address).parse::<Ipv4Addr>().ok().map(IpAddr::V4);
    }
    let groups = address.split(':').map(|group| if group.contains('.') { dotted(group) } else { short(group) });
    groups.collect::<Vec<_>>().join(":").parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

fn longer_than(limit: usize, text: &str) -> Vec<String> {
    if text.len() > limit { vec![format!("must be no more than {limit} characters")] } else { Vec::new() }
}

fn is_dns_label(label: &str) -> bool {
    let edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    encloses(label, edge, |b| b == b'-')
}

fn is_qualified(name: &str) -> bool {
    encloses(name, |b| b.is_ascii_alphanumeric(), |b| matches!(b, b'-' | b'_' | b'.'))
}

/// Whether `text` starts and ends with `edge` characters and has nothing but those and `inner` ones between.
fn encloses(text: &str, edge: impl Fn(u8) -> bool, inner: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let ends = bytes.first().copied().is_some_and(&edge) && bytes.last().copied().is_some_and(&edge);
    ends && bytes.iter().all(|&b| edge(b) || inner(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let long = "a".repeat(254);
        for (name, prefix, problems, shows) in [
            ("api", false, 0, "a name"),
            ("api.v1-x", false, 0, "dots and dashes inside"),
            ("api-", false, 1, "dash at the end"),
            ("api-", true, 0, "which a prefix may have"),
            ("API", false, 1, "capitals"),
            ("a..b", false, 1, "an empty label between dots"),
            ("", false, 1, "nothing"),
            (long.as_str(), false, 1, "254 characters"),
        ] {
            assert_eq!(subdomain(name, prefix).len(), problems, "{name}: {shows}");
        }
        assert!(dns_label("shop").is_empty());
        assert_eq!(dns_label("shop.eu"), ["must not contain dots"]);
        assert_eq!(dns_label("Shop"), [LABEL]);
    }

    #[test]
    fn labels() {
        let long = "x".repeat(64);
        for (key, problems, shows) in [
            ("app", 0, "a name"),
            ("app.kubernetes.io/name", 0, "with a prefix"),
            ("A_b.c-d", 0, "every character a name may have"),
            ("/app", 1, "an empty prefix"),
            ("Example.com/app", 1, "capitals in a prefix"),
            ("a/b/c", 1, "two slashes"),
            ("", 2, "nothing: too short and without the right characters"),
            ("app!", 1, "a character it may not have"),
            (long.as_str(), 1, "64 characters"),
        ] {
            assert_eq!(label_key(key).len(), problems, "{key}: {shows}");
        }
        assert!(label_value("").is_empty() && label_value("v1.2_x").is_empty());
        assert_eq!(label_value("-v1"), [LABEL_VALUE]);
        assert_eq!(label_value(&long), ["must be no more than 63 characters"]);
    }

    #[test]
    fn ports() {
        for (name, expected) in [
            ("http", &[][..]),
            ("80", &["must contain at least one letter (a-z)"]),
            ("a--b", &["must not contain consecutive hyphens"]),
            ("-a", &["must not begin or end with a hyphen"]),
            ("HTTP1x", &["must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"]),
            ("a-very-long-name", &["must be no more than 15 characters"]),
        ] {
            assert_eq!(port_name(name), expected, "{name}");
        }
        assert!(port_number(1).is_empty() && port_number(65535).is_empty());
        assert_eq!((port_number(0).len(), port_number(65536).len(), port_number(-1).len()), (1, 1, 1));
    }

    #[test]
    fn cidrs() {
        let bits = Some(Objection::HostBits);
        let zeros = Some(Objection::LeadingZeros);
        let mapped = Some(Objection::Mapped);
        for (text, expected) in [
            ("10.9.8.0/24", Some(("10.9.8.0/24", None))),
            ("0.0.0.0/0", Some(("0.0.0.0/0", None))),
            ("2001:db8::/64", Some(("2001:db8::/64", None))),
            ("2001:DB8:0::/64", Some(("2001:db8::/64", None))),
            ("1.2.3.4/24", Some(("1.2.3.0/24", bits))),
            ("2001:db8::1/64", Some(("2001:db8::/64", bits))),
            ("010.0.0.0/8", Some(("10.0.0.0/8", zeros))),
            ("10.0.0.0/08", Some(("10.0.0.0/8", zeros))),
            ("10.0.0.0/00", Some(("0.0.0.0/0", zeros))),
            ("::ffff:10.0.0.0/104", Some(("10.0.0.0/8", mapped))),
            ("::ffff:10.0.0.0/24", Some(("::/24", mapped))),
            ("10.0.0.0", None),
            ("10.0.0.0/33", None),
            ("10.0.0.0/+8", None),
            ("10.0.0.0/", None),
            ("10.0.0/8", None),
            ("300.0.0.0/8", None),
            ("fe80::1%eth0/64", None),
            ("", None),
        ] {
            let expected = expected.map(|(net, objection)| Cidr { net: net.parse().unwrap(), objection });
            assert_eq!(cidr(text), expected, "{text}");
        }
    }
}
