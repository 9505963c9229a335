//! What is said: HTTP, TLS, bytes of no known protocol, and DNS.

use crate::cluster::Talk;
use crate::connection::{CLIENT, Connection, Segment};
use crate::random::Random;

/// Bytes that segments are filled with.
const FILLER: usize = 4096;
/// No segment is longer.
const LONGEST: usize = 1500;

/// Fills segments.
pub(crate) struct Payload {
    filler: Vec<u8>,
    hello: Vec<u8>,
}

impl Payload {
    pub(crate) fn new() -> Payload {
        let mut random = Random::new(7);
        Payload { filler: (0..FILLER).map(|_| random.next() as u8).collect(), hello: client_hello("api.example.com") }
    }

    /// Appends the payload of `segment`, or as much of it as a capture cut at `snap` can hold.
    pub(crate) fn fill(&self, connection: &Connection, segment: Segment, snap: usize, out: &mut Vec<u8>) {
        let length = usize::from(segment.length).min(snap);
        let first = !connection.spoken[segment.side];
        let start = match (connection.talk, segment.side) {
            (Talk::Dns, side) => return dns(connection, side, segment.length == 1, out),
            _ if length == 0 => return,
            (Talk::Http, CLIENT) => &b"GET /api/v1/items?page=2 HTTP/1.1\r\nHost: api\r\nAccept: */*\r\n\r\n"[..],
            (Talk::Http, _) => b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n",
            (Talk::Tls, CLIENT) if first => &self.hello,
            (Talk::Tls, _) if first => &[22, 3, 3, 0, 122, 2, 0, 0, 118, 3, 3],
            (Talk::Tls, _) => &[23, 3, 3, (segment.length >> 8) as u8, segment.length as u8],
            (Talk::Binary, _) => &[0, 0, 0, 9],
        };
        out.extend_from_slice(&start[..start.len().min(length)]);
        let from = connection.before[segment.side] as usize % (FILLER - LONGEST);
        out.extend_from_slice(&self.filler[from..from + length - out.len()]);
    }
}

/// A DNS message (RFC 1035 §4) about a Service of the cluster, or a name outside.
fn dns(connection: &Connection, side: usize, six: bool, out: &mut Vec<u8>) {
    let number = connection.subject % 260;
    let record = if six { 28 } else { 1 };
    // The other family's question has an answer without records.
    let answers = u8::from(side != CLIENT && !six);
    let identification = (connection.subject >> 16) as u16 ^ record;
    out.extend_from_slice(&identification.to_be_bytes());
    out.extend_from_slice(if side == CLIENT { &[0x01, 0x00] } else { &[0x85, 0x80] });
    out.extend_from_slice(&[0, 1, 0, answers, 0, 0, 0, 0]);
    let (service, rest): (String, &[&str]) = if number < 240 {
        (format!("svc-{number}"), &["shop", "svc", "cluster", "local"])
    } else {
        (format!("api-{number}"), &["example", "com"])
    };
    for label in std::iter::once(service.as_str()).chain(rest.iter().copied()) {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out.extend_from_slice(&record.to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    if answers == 1 {
        let ip = if number < 240 { [10, 96, 0, number as u8 + 1] } else { [203, 0, 113, (number - 239) as u8] };
        out.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4]);
        out.extend_from_slice(&ip);
    }
}

/// RFC 8446 §4.1.2, with a server name and nothing else that matters.
fn client_hello(name: &str) -> Vec<u8> {
    let be = |number: usize| (number as u16).to_be_bytes();
    let server = [&[0, 0][..], &be(name.len() + 5), &be(name.len() + 3), &[0], &be(name.len()), name.as_bytes()];
    let extensions = server.concat();
    let hello =
        [&[3, 3][..], &[9; 32], &[32], &[5; 32], &[0, 4, 0x13, 1, 0x13, 2, 1, 0], &be(extensions.len()), &extensions]
            .concat();
    [&[22, 3, 1][..], &be(hello.len() + 4), &[1, 0], &be(hello.len()), &hello].concat()
}
