//! Addresses that stand for nobody in particular, or for somebody near (RFC 6890).

use std::net::{IpAddr, Ipv4Addr};

/// Whether an address is not routed on the Internet (IANA special-purpose address registries): private use, shared, link
/// local, loopback, benchmarking and reserved ones. Documentation addresses count as the Internet, for which they stand.
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private()
                || ip.is_link_local()
                || ip.is_loopback()
                || a == 0
                || a >= 240
                || a == 100 && b & 0b1100_0000 == 64
                || a == 198 && b & 0b1111_1110 == 18
                || ip.octets()[..3] == [192, 0, 0]
        }
        IpAddr::V6(ip) => {
            // IPv4 in NAT64 (RFC 6052) is as private as it is itself.
            if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = ip.segments() {
                return is_private(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)).into());
            }
            ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local()
        }
    }
}

/// Multicast, broadcast, and no address at all.
pub fn is_group_address(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_multicast() || ip.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_private() {
        for (ip, private) in [
            ("10.1.2.3", true),
            ("172.31.0.1", true),
            ("172.32.0.1", false),
            ("192.168.0.1", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("169.254.169.254", true),
            ("198.19.0.1", true),
            ("192.0.0.192", true),
            ("168.63.129.16", false),
            ("203.0.113.9", false),
            ("fd00:ec2::254", true),
            ("fe80::1", true),
            ("64:ff9b::a00:1", true),
            ("64:ff9b::808:808", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_private(ip.parse().unwrap()), private, "{ip}");
        }
    }
}
