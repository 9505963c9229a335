//! The TLS ClientHello (RFC 8446 §4.1.2).

use super::is_host_name;

/// The server name (RFC 6066 §3) in a ClientHello at the start of `segment`, as it is written there.
///
/// Walks the record instead of using a TLS library, because a hello with a post-quantum key share fills two segments
/// and a snap length cuts it anywhere: what lies before the cut still counts.
#[inline]
pub fn server_name(segment: &[u8]) -> Option<&str> {
    // RFC 8446 §5.1: handshake record, legacy version 3.x; §4: ClientHello is handshake type 1.
    let [22, 3, _, _, _, 1, _, _, _, hello @ ..] = segment else {
        return None;
    };
    name_of(hello)
}

fn name_of(hello: &[u8]) -> Option<&str> {
    // §4.1.2: version (2) and random (32), then session id, cipher suites, compression methods, extensions.
    let rest = skip_vector8(hello.get(34..)?)?;
    let rest = skip_vector16(rest)?;
    let rest = skip_vector8(rest)?;
    let mut extensions = rest.get(2..)?;
    loop {
        let [kind_high, kind_low, length_high, length_low, body @ ..] = extensions else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        if (*kind_high, *kind_low) == (0, 0) {
            // RFC 6066 §3: list length (2), name type host_name (0), name length (2), name.
            let [_, _, 0, high, low, name @ ..] = body else {
                return None;
            };
            let name = name.get(..usize::from(u16::from_be_bytes([*high, *low])))?;
            return std::str::from_utf8(name).ok().filter(|name| is_host_name(name.as_bytes()));
        }
        extensions = body.get(length..)?;
    }
}

fn skip_vector8(data: &[u8]) -> Option<&[u8]> {
    data.get(1 + usize::from(*data.first()?)..)
}

fn skip_vector16(data: &[u8]) -> Option<&[u8]> {
    let [high, low, ..] = data else { return None };
    data.get(2 + usize::from(u16::from_be_bytes([*high, *low]))..)
}
