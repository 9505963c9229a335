//! Readable traffic: one conversation a line.
//!
//! ```text
//! # what the traffic shows
//! 00:00:01 10.1.0.5:40000 -> 10.96.0.9:80 => 10.1.1.7:8080 TCP established sni api.example.com
//! 00:00:02 10.1.0.5:40001-40003 -> 10.96.0.10:53 UDP answered dns query api.example.com A edge.example.com 192.0.2.1
//! ```
//!
//! Times are of 2026-11-01 UTC. `=>` gives the server's address after Service translation, where that view of the
//! packets is in the capture too. `a-b` in place of a port, or of the last number of the client's IPv4 address, stands
//! for as many conversations, one a millisecond.
//!
//! Outcomes: TCP `established`, `refused` (RST), `unanswered`, `probe` (the client resets behind the SYN-ACK),
//! `midstream` (no handshake); UDP `answered`, `oneway`, `refused` (ICMP); SCTP `established`, `refused` (ABORT).

use std::net::{IpAddr, SocketAddr};

use crate::packets::{self, Frame, SECOND, Segment};

/// 2026-11-01T00:00:00Z in nanoseconds since the Unix epoch.
pub const DAY: u64 = 1_793_491_200 * SECOND;

const MICROSECOND: u64 = 1_000;

/// One conversation.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// Nanoseconds since the Unix epoch.
    pub at: u64,
    pub client: SocketAddr,
    /// The address that the client uses.
    pub dialled: SocketAddr,
    /// The one behind the Service, where it is seen.
    pub served: Option<SocketAddr>,
    /// `TCP established` and so on.
    pub course: String,
    /// What is said: the client's bytes and the server's.
    pub payload: [Vec<u8>; 2],
}

/// The frames of a script, by time.
pub fn frames(script: &str) -> Vec<Frame> {
    write(&parse(script))
}

/// The frames of conversations, by time.
pub fn write(conversations: &[Conversation]) -> Vec<Frame> {
    // Initial sequence numbers are as far apart as those of one second and the next (RFC 9293 §3.4.1), and never 0.
    let identity = |index: usize| (index as u32 + 1) * 250_000;
    let mut frames: Vec<Frame> =
        conversations.iter().enumerate().flat_map(|(index, one)| one.frames(identity(index))).collect();
    frames.sort_by_key(|(time, _)| *time);
    frames
}

/// Reads a script.
pub fn parse(script: &str) -> Vec<Conversation> {
    script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).flat_map(line).collect()
}

fn line(line: &str) -> Vec<Conversation> {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let served = (words.get(4) == Some(&"=>")).then(|| words.drain(4..6).nth(1)).flatten();
    let [time, client, "->", dialled, protocol, outcome, hint @ ..] = &words[..] else {
        panic!("not a conversation: {line}");
    };
    let [hours, minutes, seconds] = time.split(':').map(|part| part.parse::<u64>().unwrap()).collect::<Vec<_>>()[..]
    else {
        panic!("not a time: {line}");
    };
    let (clients, servers) = (expand(client), expand(dialled));
    let count = clients.len().max(servers.len());
    assert!(served.is_none() || servers.len() == 1, "one address behind one Service port: {line}");
    (0..count)
        .map(|index| Conversation {
            at: DAY + ((hours * 60 + minutes) * 60 + seconds) * SECOND + index as u64 * 1_000 * MICROSECOND,
            client: clients[index % clients.len()],
            dialled: servers[index % servers.len()],
            served: served.map(|served| served.parse().unwrap()),
            course: format!("{protocol} {outcome}"),
            payload: payload(hint),
        })
        .collect()
}

/// `10.0.0.1-3:80` and `10.0.0.1:80-82` are three sockets each.
fn expand(text: &str) -> Vec<SocketAddr> {
    let (ip, port) = text.rsplit_once(':').unwrap_or_else(|| panic!("no port: {text}"));
    let range = |text: &str| match text.split_once('-') {
        Some((first, last)) => first.parse::<u16>().unwrap()..=last.parse().unwrap(),
        None => text.parse().unwrap()..=text.parse().unwrap(),
    };
    let ips: Vec<IpAddr> = match ip.rsplit_once('.').filter(|(_, last)| last.contains('-')) {
        Some((net, hosts)) => range(hosts).map(|host| format!("{net}.{host}").parse().unwrap()).collect(),
        None => vec![ip.trim_matches(['[', ']']).parse().unwrap()],
    };
    ips.into_iter().flat_map(|ip| range(port).map(move |port| SocketAddr::new(ip, port))).collect()
}

fn payload(hint: &[&str]) -> [Vec<u8>; 2] {
    match hint {
        [] => [b"ping".to_vec(), b"pong".to_vec()],
        ["sni", name] => [packets::client_hello(name), b"pong".to_vec()],
        ["http"] => [b"GET / HTTP/1.1\r\n\r\n".to_vec(), b"HTTP/1.1 200 OK\r\n\r\n".to_vec()],
        ["dns", "query", name, _, answers @ ..] => {
            [packets::dns(name, answers, false), packets::dns(name, answers, true)]
        }
        other => panic!("unknown payload {other:?}"),
    }
}

const CLIENT: bool = true;
const SERVER: bool = false;

impl Conversation {
    /// Packets 300 µs apart. Translation takes 20 µs: the client's packets are seen before it first, the server's
    /// after it.
    fn frames(&self, identity: u32) -> Vec<Frame> {
        let mut frames = Vec::new();
        for (step, (sender, segment)) in self.segments(identity).iter().enumerate() {
            let time = self.at + step as u64 * 300 * MICROSECOND;
            let late = |late: bool| time + if late { 20 * MICROSECOND } else { 0 };
            let views = [(Some(self.dialled), late(*sender == SERVER)), (self.served, late(*sender == CLIENT))];
            for (server, time) in views {
                let Some(server) = server else { continue };
                let (from, to) = if *sender == CLIENT { (self.client, server) } else { (server, self.client) };
                frames.push((time, packets::frame(from, to, segment)));
            }
        }
        frames
    }

    fn segments(&self, identity: u32) -> Vec<(bool, Segment)> {
        let [request, response] = &self.payload;
        let (ours, theirs) = (identity, identity + 50_000);
        let tcp = |flags: &'static str, sequence: u32, acknowledgment: u32, payload: &[u8]| Segment::Tcp {
            flags,
            sequence,
            acknowledgment,
            payload: payload.to_vec(),
        };
        let init = |chunk: u8, tag: u32, own: u32| {
            let streams = [0, 1, 0, 0, 0, 1, 0, 1];
            let body = [&own.to_be_bytes()[..], &streams, &own.to_be_bytes()].concat();
            Segment::Sctp { tag, chunk, body }
        };
        let sctp = |chunk: u8, tag: u32, body: &[u8]| Segment::Sctp { tag, chunk, body: body.to_vec() };
        let syn = || (CLIENT, tcp("S", ours, 0, b""));
        let syn_ack = || (SERVER, tcp("SA", theirs, ours + 1, b""));
        let (asked, answered) = (ours + 1 + request.len() as u32, theirs + 1 + response.len() as u32);
        let talk =
            || [(CLIENT, tcp("A", ours + 1, theirs + 1, request)), (SERVER, tcp("A", theirs + 1, asked, response))];
        match self.course.as_str() {
            "TCP established" => {
                let close = [(CLIENT, tcp("FA", asked, answered, b"")), (SERVER, tcp("FA", answered, asked + 1, b""))];
                [syn(), syn_ack(), (CLIENT, tcp("A", ours + 1, theirs + 1, b""))]
                    .into_iter()
                    .chain(talk())
                    .chain(close)
                    .collect()
            }
            "TCP refused" => vec![syn(), (SERVER, tcp("RA", 0, ours + 1, b""))],
            "TCP unanswered" => vec![syn(), syn()],
            "TCP probe" => vec![syn(), syn_ack(), (CLIENT, tcp("R", ours + 1, 0, b""))],
            "TCP midstream" => talk().into(),
            "UDP answered" => {
                vec![(CLIENT, Segment::Udp(request.clone())), (SERVER, Segment::Udp(response.clone()))]
            }
            "UDP oneway" => vec![(CLIENT, Segment::Udp(request.clone()))],
            "UDP refused" => {
                let asked = || Segment::Udp(request.clone());
                vec![(CLIENT, asked()), (SERVER, Segment::Unreachable(Box::new(asked())))]
            }
            // RFC 9260 §3.3: INIT is chunk 1, INIT ACK 2, ABORT 6, COOKIE ECHO 10, COOKIE ACK 11.
            "SCTP established" => vec![
                (CLIENT, init(1, 0, ours)),
                (SERVER, init(2, ours, theirs)),
                (CLIENT, sctp(10, theirs, b"cookie!!")),
                (SERVER, sctp(11, ours, b"")),
            ],
            "SCTP refused" => vec![(CLIENT, init(1, 0, ours)), (SERVER, sctp(6, ours, b""))],
            other => panic!("unknown course {other:?}"),
        }
    }
}
