//! Names of peers: DNS answers (RFC 1035, RFC 3596) and the server name of a TLS ClientHello (RFC 6066 §3).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use simple_dns::{Packet, PacketFlag, rdata::RData};

use crate::flow::Socket;

/// How many (address, name, asker) facts are kept; beyond it they are counted in [`Names::dropped`].
pub const MAX_NAMES: usize = 200_000;

/// Which names stood for which addresses, and for whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    by_address: BTreeMap<IpAddr, BTreeMap<String, BTreeSet<IpAddr>>>,
    facts: usize,
    dropped: u64,
}

impl Names {
    /// Notes that `asker` reached, or was told, `address` under `name`.
    pub fn insert(&mut self, address: IpAddr, name: &str, asker: IpAddr) {
        if self.facts >= MAX_NAMES {
            self.dropped += 1;
            return;
        }
        let askers = self.by_address.entry(address).or_default().entry(name.to_ascii_lowercase()).or_default();
        self.facts += usize::from(askers.insert(asker));
    }

    /// The names of `address` and who used each, by name.
    pub fn of(&self, address: IpAddr) -> impl Iterator<Item = (&str, &BTreeSet<IpAddr>)> {
        self.by_address.get(&address).into_iter().flatten().map(|(name, askers)| (name.as_str(), askers))
    }

    /// Facts that did not fit under [`MAX_NAMES`].
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// What a DNS message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dns {
    /// QR clear.
    Query,
    /// QR set: each address of the answer with the name that was asked for, whatever chain of CNAMEs led there.
    Response(Vec<(IpAddr, String)>),
}

/// Whether `port` is one where DNS is spoken: 53, 5353 (OpenShift's pods), and the unprivileged numbers in use.
pub fn is_dns_port(port: u16) -> bool {
    matches!(port, 53 | 5353 | 1053 | 8053 | 9053)
}

/// Reads a DNS message of a UDP datagram; `None` where it is none.
pub fn dns(message: &[u8]) -> Option<Dns> {
    let packet = Packet::parse(message).ok()?;
    if !packet.has_flags(PacketFlag::RESPONSE) {
        return Some(Dns::Query);
    }
    let mut asked: BTreeMap<String, String> = BTreeMap::new();
    for question in &packet.questions {
        let name = question.qname.to_string();
        asked.insert(name.to_ascii_lowercase(), name);
    }
    // A chain's links may come in any order (RFC 1034 §3.6.2 only expects the usual one), so the CNAMEs are followed
    // until nothing new turns up; each pass that goes on resolves at least one more owner.
    loop {
        let before = asked.len();
        for record in &packet.answers {
            if let RData::CNAME(target) = &record.rdata
                && let Some(question) = asked.get(&record.name.to_string().to_ascii_lowercase()).cloned()
            {
                asked.entry(target.0.to_string().to_ascii_lowercase()).or_insert(question);
            }
        }
        if asked.len() == before {
            break;
        }
    }
    let mut addresses = Vec::new();
    for record in &packet.answers {
        let address = match &record.rdata {
            RData::A(a) => IpAddr::V4(a.address.into()),
            RData::AAAA(aaaa) => IpAddr::V6(aaaa.address.into()).to_canonical(),
            _ => continue,
        };
        if let Some(question) = asked.get(&record.name.to_string().to_ascii_lowercase())
            && is_host_name(question)
        {
            addresses.push((address, question.clone()));
        }
    }
    Some(Dns::Response(addresses))
}

/// Streams of DNS over TCP that are put together at a time; the answers of others are read only where one segment
/// holds the whole message.
const MAX_STREAMS: usize = 4096;

/// DNS over TCP (RFC 1035 §4.2.2): messages with their length in front, several on one connection, cut into segments
/// anywhere.
#[derive(Debug, Default)]
pub struct DnsStreams {
    streams: HashMap<(Socket, Socket), Stream>,
}

#[derive(Debug)]
struct Stream {
    next: u32,
    pending: Vec<u8>,
}

impl DnsStreams {
    /// Takes a segment of a resolver to a client; returns the messages that it completes. Segments seen before, as at a
    /// second capture point, add nothing. After a gap reading starts anew at the next segment that begins a message.
    pub fn take(&mut self, from: Socket, to: Socket, sequence: u32, payload: &[u8]) -> Vec<Dns> {
        if payload.is_empty() {
            return Vec::new();
        }
        if self.streams.len() >= MAX_STREAMS && !self.streams.contains_key(&(from, to)) {
            self.streams.clear();
        }
        let fresh = || Stream { next: sequence, pending: Vec::new() };
        let stream = self.streams.entry((from, to)).or_insert_with(fresh);
        // Serial arithmetic: how far the segment lies behind what is expected next.
        let behind = stream.next.wrapping_sub(sequence);
        if behind != 0 && behind < 1 << 31 {
            return Vec::new();
        }
        if behind != 0 {
            *stream = fresh();
        }
        stream.next = sequence.wrapping_add(payload.len() as u32);
        stream.pending.extend_from_slice(payload);
        let mut messages = Vec::new();
        while let Some((length, rest)) = stream.pending.split_at_checked(2) {
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            let Some(message) = rest.get(..length) else { break };
            match dns(message) {
                Some(message) => messages.push(message),
                // Reading did not start at a message.
                None => {
                    stream.pending.clear();
                    break;
                }
            }
            stream.pending.drain(..2 + length);
        }
        messages
    }
}

/// The server name in a TLS ClientHello at the start of `segment`.
///
/// Walks the record instead of using a TLS library, because a hello with a post-quantum key share fills two segments
/// and a snap length cuts it anywhere: what lies before the cut still counts.
pub fn server_name(segment: &[u8]) -> Option<String> {
    // RFC 8446 §5.1: handshake record, legacy version 3.x; §4: ClientHello is handshake type 1.
    let [22, 3, _, _, _, 1, _, _, _, hello @ ..] = segment else {
        return None;
    };
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
            let name = std::str::from_utf8(name).ok()?;
            return is_host_name(name).then(|| name.to_ascii_lowercase());
        }
        extensions = body.get(length..)?;
    }
}

/// Names end up in comments and reports, so nothing but a host name gets through.
fn is_host_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

fn skip_vector8(data: &[u8]) -> Option<&[u8]> {
    data.get(1 + usize::from(*data.first()?)..)
}

fn skip_vector16(data: &[u8]) -> Option<&[u8]> {
    let [high, low, ..] = data else { return None };
    data.get(2 + usize::from(u16::from_be_bytes([*high, *low]))..)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use simple_dns::rdata::{A, AAAA, CNAME};
    use simple_dns::{CLASS, Name, QCLASS, QTYPE, Question, ResourceRecord, TYPE};

    use super::*;

    fn response(question: &str, answers: &[(&str, RData<'static>)]) -> Vec<u8> {
        let mut packet = Packet::new_reply(7);
        let class = QCLASS::CLASS(CLASS::IN);
        packet.questions.push(Question::new(
            Name::new(question).unwrap().into_owned(),
            QTYPE::TYPE(TYPE::A),
            class,
            false,
        ));
        for (owner, data) in answers {
            let owner = Name::new(owner).unwrap().into_owned();
            packet.answers.push(ResourceRecord::new(owner, CLASS::IN, 30, data.clone()));
        }
        packet.build_bytes_vec().unwrap()
    }

    fn cname(target: &'static str) -> RData<'static> {
        RData::CNAME(CNAME(Name::new(target).unwrap()))
    }

    fn a(last: u32) -> RData<'static> {
        RData::A(A { address: 0xcb00_7100 + last })
    }

    fn client_hello(name: &str) -> Vec<u8> {
        let sni = [&[0, 0][..], &be(name.len() + 5), &be(name.len() + 3), &[0], &be(name.len()), name.as_bytes()];
        let before = [0, 23, 0, 0];
        let extensions = [&before[..], &sni.concat()].concat();
        let hello =
            [&[3, 3][..], &[9; 32], &[0], &[0, 2, 0x13, 1], &[1, 0], &be(extensions.len()), &extensions].concat();
        [&[22, 3, 1][..], &be(hello.len() + 4), &[1, 0], &be(hello.len()), &hello].concat()
    }

    fn be(length: usize) -> [u8; 2] {
        (length as u16).to_be_bytes()
    }

    #[test]
    fn answers_bear_the_name_that_was_asked_for() {
        let ip = |last: u8| IpAddr::from([203, 0, 113, last]);
        let asked = "Api.Example.com";
        for (answers, expected, what) in [
            (vec![(asked, a(1)), (asked, a(2))], vec![ip(1), ip(2)], "two addresses"),
            (vec![(asked, cname("cdn.net")), ("cdn.net", a(3))], vec![ip(3)], "a chain"),
            (
                vec![("cdn.net", a(3)), ("x.cdn.org", cname("cdn.net")), (asked, cname("x.cdn.org"))],
                vec![ip(3)],
                "back to front",
            ),
            (vec![(asked, cname("b.net")), ("b.net", cname("Api.Example.com"))], vec![], "a loop ends"),
            (vec![("elsewhere.org", a(4))], vec![], "an answer nobody asked for"),
        ] {
            let Some(Dns::Response(found)) = dns(&response(asked, &answers)) else { panic!("{what}") };
            assert_eq!(found.iter().map(|(ip, _)| *ip).collect::<Vec<_>>(), expected, "{what}");
            assert!(found.iter().all(|(_, name)| name.eq_ignore_ascii_case(asked)), "{what}");
        }
        let six = RData::AAAA(AAAA { address: 1 << 120 });
        let Some(Dns::Response(found)) = dns(&response(asked, &[(asked, six)])) else { panic!() };
        assert_eq!(found[0].0, "100::".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn tcp_carries_a_length() {
        let message = response("a.b", &[("a.b", a(1))]);
        let stream = [&be(message.len())[..], &message, &be(message.len()), &message].concat();
        let socket = |port| Socket { ip: IpAddr::from([10, 0, 0, 1]), port };
        // However the stream is cut, and however often each piece is seen, both messages come out once.
        for size in 1..=stream.len() {
            let mut streams = DnsStreams::default();
            let mut found = 0;
            for (at, piece) in stream.chunks(size).enumerate() {
                for _ in 0..2 {
                    found += streams.take(socket(53), socket(9), (at * size) as u32, piece).len();
                }
            }
            assert_eq!(found, 2, "pieces of {size}");
        }
        let mut streams = DnsStreams::default();
        assert_eq!(streams.take(socket(53), socket(9), 5, &message[3..]).len(), 0, "the middle of a message");
        assert_eq!(streams.take(socket(53), socket(9), 9000, &stream).len(), 2, "and after a gap");
        assert_eq!(dns(&Packet::new_query(3).build_bytes_vec().unwrap()), Some(Dns::Query));
    }

    #[test]
    fn finds_the_server_name() {
        let hello = client_hello("API.example.com");
        assert_eq!(server_name(&hello).as_deref(), Some("api.example.com"));
        let cut_behind_it = [&hello[..], &[0, 16, 1, 0]].concat();
        assert_eq!(server_name(&cut_behind_it).as_deref(), Some("api.example.com"));
        for length in 0..hello.len() {
            assert_eq!(server_name(&hello[..length]), None, "cut at {length}");
        }
        assert_eq!(server_name(&client_hello("a\nb: x")), None, "nothing but a host name");
        assert_eq!(server_name(b"GET / HTTP/1.1\r\n"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            let socket = |port| Socket { ip: IpAddr::from([10, 0, 0, 1]), port };
            let mut streams = DnsStreams::default();
            let _ = (dns(&data), streams.take(socket(53), socket(9), 7, &data), server_name(&data));
        }

        #[test]
        fn a_damaged_hello_never_panics(at in 0usize..90, value: u8) {
            let mut hello = client_hello("api.example.com");
            if let Some(byte) = hello.get_mut(at) { *byte = value; }
            let _ = server_name(&hello);
        }
    }
}
