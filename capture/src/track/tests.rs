//! Conversations are scripted as packets at points of view; what the tracker makes of them is compared.

mod talk;

use proptest::prelude::*;

use super::*;
use crate::flow::{Opening, Outcome, Proof};
use crate::packet::{Chunk, Lead, Quoted, Sctp, flag};
use crate::talk::{Talk, Talks};
use crate::time::SECOND;

pub(super) const SYN: u8 = flag::SYN;
pub(super) const SYN_ACK: u8 = flag::SYN | flag::ACK;
pub(super) const ACK: u8 = flag::ACK;
pub(super) const RST: u8 = flag::RST;
pub(super) const RST_ACK: u8 = flag::RST | flag::ACK;
pub(super) const FIN_ACK: u8 = flag::FIN | flag::ACK;

fn socket(text: &str) -> Socket {
    let address: std::net::SocketAddr = text.parse().unwrap();
    Socket { ip: address.ip(), port: address.port() }
}

#[derive(Debug, Clone)]
pub(super) enum Sent {
    Tcp(&'static str, &'static str, u8, u32, u32, &'static [u8]),
    Udp(&'static str, &'static str, &'static [u8]),
    Sctp(&'static str, &'static str, u32, Chunk),
    Unreachable(Protocol, &'static str, &'static str, u32),
}

/// Feeds events, each at its time in microseconds.
pub(super) fn track(events: &[(i64, Sent)]) -> Tracked {
    let mut tracker = Tracker::default();
    for (time, event) in events {
        feed(&mut tracker, Timestamp(time * 1000), event);
    }
    tracker.finish()
}

pub(super) fn feed(tracker: &mut Tracker, time: Timestamp, event: &Sent) {
    let (from, to, transport) = match event {
        Sent::Tcp(from, to, flags, sequence, acknowledgment, payload) => {
            let (source, destination) = (socket(from).port, socket(to).port);
            let (sequence, acknowledgment, flags) = (*sequence, *acknowledgment, *flags);
            let tcp = Tcp { source, destination, sequence, acknowledgment, flags, lead: Lead::of(payload), payload };
            (socket(from).ip, socket(to).ip, Transport::Tcp(tcp))
        }
        Sent::Udp(from, to, payload) => {
            let udp = Udp {
                source: socket(from).port,
                destination: socket(to).port,
                payload,
                length: payload.len() as u32,
                opaque: None,
            };
            (socket(from).ip, socket(to).ip, Transport::Udp(udp))
        }
        Sent::Sctp(from, to, tag, chunk) => {
            let sctp = Sctp { source: socket(from).port, destination: socket(to).port, tag: *tag, chunk: *chunk };
            (socket(from).ip, socket(to).ip, Transport::Sctp(sctp))
        }
        Sent::Unreachable(protocol, client, server, sequence) => {
            let (client, server) = (socket(client), socket(server));
            let quoted = Quoted {
                protocol: *protocol,
                addresses: Addresses::new(client.ip, server.ip).unwrap(),
                source_port: client.port,
                destination_port: server.port,
                sequence: *sequence,
            };
            (server.ip, client.ip, Transport::Unreachable(quoted))
        }
    };
    tracker.conversations.packet(0, time, &Packet { addresses: Addresses::new(from, to).unwrap(), transport });
}

pub(super) const C: &str = "10.0.0.1:40000";
pub(super) const S: &str = "10.0.0.2:8080";
pub(super) const VIP: &str = "10.96.0.9:80";

pub(super) fn tcp(from: &'static str, to: &'static str, flags: u8, sequence: u32, acknowledgment: u32) -> Sent {
    Sent::Tcp(from, to, flags, sequence, acknowledgment, b"")
}

fn data(from: &'static str, to: &'static str, sequence: u32) -> Sent {
    Sent::Tcp(from, to, ACK, sequence, 7, b"k")
}

/// A connection with initial sequence numbers 100 and 500, at one point.
pub(super) fn whole(server: &'static str, at: i64) -> Vec<(i64, Sent)> {
    vec![
        (at, tcp(C, server, SYN, 100, 0)),
        (at + 300, tcp(server, C, SYN_ACK, 500, 101)),
        (at + 320, tcp(C, server, ACK, 101, 501)),
        (at + 400, Sent::Tcp(C, server, ACK, 101, 501, b"GET / HTTP/1.1\r\n")),
        (at + 900, tcp(server, C, ACK, 501, 117)),
        (at + 990, tcp(C, server, FIN_ACK, 117, 501)),
    ]
}

/// Outcome and proof of each flow, for tables.
fn summary(tracked: &Tracked) -> Vec<(Outcome, Option<Proof>)> {
    let proof = |opening: &Opening| match opening {
        Opening::Seen { proof, .. } | Opening::Alike { proof, .. } => Some(*proof),
        Opening::Unseen { .. } => None,
    };
    let alike = |flow: &Flow| vec![(flow.outcome, proof(&flow.opening)); flow.connections as usize];
    tracked.flows.iter().flat_map(alike).collect()
}

#[test]
fn outcomes_of_tcp() {
    use Outcome::*;
    use Proof::*;
    let syn = (0, tcp(C, S, SYN, 100, 0));
    let syn_ack = (300, tcp(S, C, SYN_ACK, 500, 101));
    type Row = (&'static str, Vec<(i64, Sent)>, Vec<(Outcome, Option<Proof>)>);
    let rows: Vec<Row> = vec![
        ("a whole connection", whole(S, 0), vec![(Established, Some(Handshake))]),
        ("SYN and SYN-ACK", vec![syn.clone(), syn_ack.clone()], vec![(Established, Some(Handshake))]),
        ("a retried SYN is one attempt", vec![syn.clone(), (9, syn.1.clone())], vec![(Unanswered, Some(Handshake))]),
        (
            "another number is another connection",
            vec![syn.clone(), (9, tcp(C, S, SYN, 777, 0))],
            vec![(Unanswered, Some(Handshake)); 2],
        ),
        ("a reset answers", vec![syn.clone(), (200, tcp(S, C, RST_ACK, 0, 101))], vec![(Refused, Some(Handshake))]),
        (
            "a probe resets behind its SYN",
            vec![syn.clone(), syn_ack.clone(), (310, tcp(C, S, RST, 101, 0))],
            vec![(Refused, Some(Handshake))],
        ),
        (
            "a client that had sent a byte and reset, whose reset the server's FIN crosses, was no probe",
            vec![
                syn.clone(),
                syn_ack.clone(),
                (900, tcp(S, C, FIN_ACK, 501, 101)),
                (901, tcp(C, S, RST_ACK, 102, 501)),
                (940, tcp(C, S, RST, 101, 0)),
            ],
            vec![(Established, Some(Handshake))],
        ),
        (
            "nor was one that closed at once, and to which the server spoke",
            vec![
                syn.clone(),
                syn_ack.clone(),
                (320, tcp(C, S, FIN_ACK, 101, 501)),
                (330, Sent::Tcp(S, C, ACK, 501, 101, b"220 ready\r\n")),
                (340, tcp(C, S, RST, 101, 0)),
            ],
            vec![(Established, Some(Handshake))],
        ),
        (
            "a reset after data is an end",
            [whole(S, 0), vec![(2000, tcp(C, S, RST_ACK, 117, 501))]].concat(),
            vec![(Established, Some(Handshake))],
        ),
        (
            "the server may end it early",
            vec![syn.clone(), syn_ack.clone(), (310, tcp(S, C, RST_ACK, 501, 101))],
            vec![(Established, Some(Handshake))],
        ),
        (
            "a firewall says no",
            vec![syn.clone(), (90, Sent::Unreachable(Protocol::Tcp, C, S, 100))],
            vec![(Refused, Some(Handshake))],
        ),
        ("only the answer is seen", vec![syn_ack.clone()], vec![(Established, Some(HalfHandshake))]),
        (
            "only the client is seen",
            vec![syn.clone(), (320, tcp(C, S, ACK, 101, 501))],
            vec![(Established, Some(HalfHandshake))],
        ),
        (
            "the middle of one",
            vec![(0, tcp(C, S, ACK, 5000, 6000)), (9, tcp(S, C, ACK, 6000, 5000))],
            vec![(Established, None)],
        ),
        ("the middle of one, one side, with data", vec![(0, data(C, S, 5000))], vec![(Established, None)]),
        (
            "the answer and much more was lost",
            vec![syn.clone(), (900_000, data(C, S, 200_000))],
            vec![(Established, Some(HalfHandshake))],
        ),
        ("a lone ACK is a probe", vec![(0, tcp(C, S, ACK, 5000, 6000))], vec![(Unanswered, None)]),
        (
            "a lone ACK and a reset",
            vec![(0, tcp(C, S, ACK, 5000, 6000)), (9, tcp(S, C, RST, 6000, 0))],
            vec![(Refused, None)],
        ),
        ("a segment without ACK is a probe", vec![(0, tcp(C, S, flag::FIN, 5000, 0))], vec![(Unanswered, None)]),
        ("a bare reset answers too", vec![syn.clone(), (200, tcp(S, C, RST, 0, 0))], vec![(Refused, Some(Handshake))]),
        (
            "a challenge ACK is no answer",
            vec![syn.clone(), (9, tcp(S, C, ACK, 70, 0x9000_0000)), (12, tcp(C, S, RST, 0x9000_0000, 0))],
            vec![(Refused, Some(Handshake)), (Unanswered, None)],
        ),
        (
            "refused, then the same sockets again",
            [
                vec![syn.clone(), (200, tcp(S, C, RST_ACK, 0, 101))],
                vec![(1_200_000, tcp(C, S, SYN, 777, 0)), (1_200_300, tcp(S, C, SYN_ACK, 9, 778))],
            ]
            .concat(),
            vec![(Refused, Some(Handshake)), (Established, Some(Handshake))],
        ),
        ("a stray reset refuses what nobody saw", vec![(0, tcp(C, S, RST, 5000, 0))], vec![(Refused, None)]),
        (
            "a SYN with data, which the answer acknowledges",
            vec![
                (0, Sent::Tcp(C, S, SYN, 100, 0, b"hello")),
                (300, tcp(S, C, SYN_ACK, 500, 106)),
                (320, tcp(C, S, ACK, 106, 501)),
            ],
            vec![(Established, Some(Handshake))],
        ),
        (
            "a SYN with data, refused",
            vec![(0, Sent::Tcp(C, S, SYN, 100, 0, b"hello")), (300, tcp(S, C, RST_ACK, 0, 106))],
            vec![(Refused, Some(Handshake))],
        ),
        (
            "both open at once",
            vec![
                (0, tcp(C, S, SYN, 100, 0)),
                (10, tcp(S, C, SYN, 500, 0)),
                (90, tcp(S, C, SYN_ACK, 500, 101)),
                (95, tcp(C, S, SYN_ACK, 100, 501)),
                (300, data(C, S, 101)),
            ],
            vec![(Established, Some(Handshake))],
        ),
    ];
    for (what, events, expected) in rows {
        assert_eq!(summary(&track(&events)), expected, "{what}");
    }
}

#[test]
fn one_number_for_many_targets_is_a_scan() {
    let targets = ["10.0.0.2:21", "10.0.0.2:8080", "10.0.0.2:9999", "10.0.0.3:8080"];
    let mut events: Vec<_> =
        targets.iter().enumerate().map(|(at, target)| (at as i64, tcp(C, target, SYN, 777, 0))).collect();
    events.push((9, tcp("10.0.0.2:8080", C, SYN_ACK, 1, 778)));
    events.push((9, tcp("10.0.0.3:8080", C, SYN_ACK, 2, 778)));
    events.push((9, tcp("10.0.0.2:21", C, RST_ACK, 0, 778)));
    let found: Vec<(Socket, Outcome)> = track(&events)
        .flows
        .iter()
        .map(|flow| match &flow.opening {
            Opening::Seen { dialled, served: None, .. } => (*dialled, flow.outcome),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        ("10.0.0.2:21", Outcome::Refused),
        ("10.0.0.2:8080", Outcome::Established),
        ("10.0.0.2:9999", Outcome::Unanswered),
        ("10.0.0.3:8080", Outcome::Established),
    ];
    assert_eq!(found, expected.map(|(server, outcome)| (socket(server), outcome)));
}

#[test]
fn copies_of_attempts_count_once_however_late_they_come() {
    // Two files of one busy tuple, whose clocks are three seconds apart.
    let attempts = (0..300).map(|attempt| (attempt * 20_000, tcp(C, S, SYN, attempt as u32 * 1000, 0)));
    let mut events: Vec<_> = attempts.clone().chain(attempts.map(|(time, event)| (time + 3_000_000, event))).collect();
    events.sort_by_key(|(time, _)| *time);
    assert_eq!(summary(&track(&events)).len(), 300);
}

#[test]
fn views_of_one_connection_join() {
    // At the client's interface it goes to the Service's address, 95 µs later at the server's to the pod's.
    let events: Vec<_> = whole(VIP, 0).into_iter().chain(whole(S, 95)).collect();
    let tracked = track(&events);
    assert_eq!(tracked.flows.len(), 1);
    let flow = &tracked.flows[0];
    assert_eq!(
        flow.opening,
        Opening::Seen {
            client: socket(C),
            dialled: socket(VIP),
            served: Some(socket(S)),
            proof: Proof::Handshake,
            identity: 100,
        }
    );
    assert_eq!((flow.first, flow.last), (Timestamp(0), Timestamp(1_085_000)));
}

#[test]
fn a_tuple_used_again_is_a_second_connection() {
    let mut events = vec![(0, data(C, S, 9))];
    events.extend(whole(S, 10_000_000));
    events.extend(whole(S, 90_000_000).into_iter().map(|(time, event)| match event {
        Sent::Tcp(from, to, flags, sequence, acknowledgment, payload) if from == C => {
            (time, Sent::Tcp(from, to, flags, sequence + 1000, acknowledgment, payload))
        }
        Sent::Tcp(from, to, flags, sequence, acknowledgment, payload) => {
            (time, Sent::Tcp(from, to, flags, sequence, acknowledgment + 1000, payload))
        }
        other => (time, other),
    }));
    let tracked = track(&events);
    assert_eq!(summary(&tracked).len(), 3);
    let lasts: Vec<i64> = tracked.flows.iter().map(|flow| flow.last.since(flow.first)).collect();
    assert!(lasts.iter().all(|length| *length < SECOND), "{lasts:?}");
}

#[test]
fn outcomes_of_udp() {
    use Outcome::*;
    let ask = |at| (at, Sent::Udp(C, S, b"?"));
    let answer = |at| (at, Sent::Udp(S, C, b"!"));
    for (what, events, outcome, client, datagrams) in [
        ("question and answer", vec![ask(0), answer(5)], Answered, C, 0),
        ("no answer, seen twice", vec![ask(0), ask(9)], OneWay, C, 1),
        ("no answer, asked twice", vec![ask(0), ask(900_000)], OneWay, C, 2),
        ("the first sender is the client", vec![answer(0), ask(5)], Answered, S, 0),
        ("refused", vec![ask(0), (5, Sent::Unreachable(Protocol::Udp, C, S, 0))], Refused, C, 1),
        (
            "an answer that came too late",
            vec![ask(0), answer(5), (9, Sent::Unreachable(Protocol::Udp, S, C, 0))],
            Answered,
            C,
            0,
        ),
    ] {
        let tracked = track(&events);
        assert_eq!(tracked.flows.len(), 1, "{what}");
        let flow = &tracked.flows[0];
        let Opening::Seen { client: found, .. } = &flow.opening else { panic!("{what}") };
        assert_eq!((flow.outcome, *found, flow.datagrams), (outcome, socket(client), datagrams), "{what}");
    }
    assert_eq!(track(&[(0, Sent::Unreachable(Protocol::Udp, C, S, 0))]).tally.remnants, 1);
}

#[test]
fn the_dns_bit_beats_the_order() {
    let response = b"\0\x07\x81\x80\0\0\0\0\0\0\0\0";
    let events =
        [(0, Sent::Udp("10.0.0.9:53", C, response)), (5, Sent::Udp(C, "10.0.0.9:53", b"\0\x07\x01\0\0\0\0\0\0\0\0\0"))];
    let tracked = track(&events);
    let Opening::Seen { client, .. } = &tracked.flows[0].opening else { panic!() };
    assert_eq!((*client, tracked.flows[0].dns), (socket(C), true));
}

#[test]
fn outcomes_of_sctp() {
    use Outcome::*;
    let init = (0, Sent::Sctp(C, S, 0, Chunk::Init { tag: 7 }));
    for (what, rest, outcome) in [
        (
            "an association",
            vec![(1, Sent::Sctp(S, C, 7, Chunk::InitAck { tag: 9 })), (2, Sent::Sctp(C, S, 9, Chunk::Other))],
            Established,
        ),
        ("an abort", vec![(1, Sent::Sctp(S, C, 7, Chunk::Abort))], Refused),
        (
            "an ICMP error, whose quote ends before the tag",
            vec![(1, Sent::Unreachable(Protocol::Sctp, C, S, 0))],
            Refused,
        ),
        ("nothing", vec![(3_000_000, init.1.clone())], Unanswered),
    ] {
        let events: Vec<_> = std::iter::once(init.clone()).chain(rest).collect();
        assert_eq!(summary(&track(&events)), [(outcome, Some(Proof::Handshake))], "{what}");
    }
}

#[test]
fn an_address_that_changes_hands_starts_afresh() {
    let change = Timestamp(10 * SECOND);
    let turnovers = Turnovers::from([(socket(C).ip, vec![change])]);
    let mut tracker = Tracker::new(Settings { turnovers, ..Settings::default() }, Decoder::default());
    for second in [1, 9, 11] {
        feed(&mut tracker, Timestamp(second * SECOND), &Sent::Udp(C, S, b"?"));
    }
    let flows = tracker.finish().flows;
    assert_eq!(flows.iter().map(|flow| flow.datagrams).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn a_connection_is_one_line_of_the_cache() {
    assert_eq!(size_of::<(ends::Ends<Ipv4Addr>, episode::Episode)>(), 64);
}

#[test]
fn activity_is_when_connections_were_opened() {
    let minutes = |minutes: &[i64]| minutes.iter().map(|minute| Timestamp(minute * 60 * SECOND)).collect::<Vec<_>>();
    // Fifty connections of four minutes alike, one of which lasts until the ninth; and one that nobody saw opening.
    let mut events: Vec<(i64, Sent)> = Vec::new();
    for port in 0..50u16 {
        let client: &'static str = Box::leak(format!("10.0.0.1:{}", 20_000 + port).into_boxed_str());
        let at = i64::from(port % 4) * 2 * 60_000_000 + 1_000;
        events.push((at, tcp(client, S, SYN, u32::from(port) * 1000 + 1, 0)));
        events.push((at + 300, tcp(S, client, SYN_ACK, u32::from(port) + 7, u32::from(port) * 1000 + 2)));
        events.push((9 * 60_000_000, tcp(client, S, ACK, u32::from(port) * 1000 + 2, u32::from(port) + 8)));
    }
    events.push((5 * 60_000_000, data("10.0.0.9:1", S, 4)));
    let flows = track(&events).flows;
    let found: Vec<(u64, Vec<Timestamp>)> =
        flows.iter().map(|flow| (flow.connections, flow.activity.iter().collect())).collect();
    assert_eq!(found, [(50, minutes(&[0, 2, 4, 6])), (1, minutes(&[5]))]);
}

pub(super) fn busy() -> Vec<(i64, Sent)> {
    let mut events = vec![(0, data(C, S, 9))];
    for at in [20_000_000, 20_000_400] {
        events.extend(whole(if at % 1000 == 0 { VIP } else { S }, at));
    }
    events.extend([
        (30_000_000, tcp("10.0.0.1:1111", S, SYN, 5, 0)),
        (30_000_100, tcp(S, "10.0.0.1:1111", RST_ACK, 0, 6)),
        (31_000_000, Sent::Udp(C, S, b"?")),
        (31_000_010, Sent::Udp(S, C, b"!")),
        (32_000_000, tcp("10.0.0.1:2222", S, SYN, 5, 0)),
        (32_000_100, tcp(S, "10.0.0.1:2222", SYN_ACK, 8, 6)),
        (32_000_200, tcp("10.0.0.1:2222", S, RST, 6, 0)),
        (33_000_000, Sent::Udp("10.0.0.1:3333", S, b"?")),
        (33_000_200, Sent::Unreachable(Protocol::Udp, "10.0.0.1:3333", S, 0)),
        (34_000_000, tcp("10.0.0.1:1111", S, SYN, 90, 0)),
        (34_000_100, tcp(S, "10.0.0.1:1111", SYN_ACK, 8, 91)),
        (34_000_200, data("10.0.0.1:1111", S, 91)),
        (34_500_000, tcp("10.0.0.1:1111", S, RST_ACK, 92, 9)),
    ]);
    events
}

/// Conversations that use the same ports again and again, each seen whole or from the client's side only.
pub(super) fn again(courses: &[(u8, bool, i64)]) -> Vec<(i64, Sent)> {
    let mut events = Vec::new();
    let mut at = 0;
    // What each says shows in nothing but its talk.
    let words: [(&[u8], &[u8]); 3] = [
        (b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200"),
        (b"*1\r\n$4\r\nPING\r\n\r\n", b"+OK\r\n-------"),
        (b"hello, hello!!!!", b"220 good day"),
    ];
    for ((course, half, gap), (request, response)) in courses.iter().zip(words.into_iter().cycle()) {
        at += 3_000_000 + gap;
        // A step in 4 µs, as RFC 9293 §3.4.1 has it.
        let number = (at / 4) as u32;
        let (ours, theirs) = (number, number ^ 0x4000_0000);
        let syn = (at, tcp(C, S, SYN, ours, 0));
        let syn_ack = (at + 300, tcp(S, C, SYN_ACK, theirs, ours + 1));
        let talk = [
            (at + 320, tcp(C, S, ACK, ours + 1, theirs + 1)),
            (at + 400, Sent::Tcp(C, S, ACK, ours + 1, theirs + 1, request)),
            (at + 700, Sent::Tcp(S, C, ACK, theirs + 1, ours + 17, response)),
            (at + 800, Sent::Tcp(C, S, ACK, ours + 17, theirs + 13, b"SSH-2.0-")),
            (at + 900, tcp(C, S, FIN_ACK, ours + 25, theirs + 13)),
        ];
        let one = match course {
            0 => vec![syn, (at + 90, tcp(S, C, RST_ACK, 0, ours + 1))],
            1 => vec![syn.clone(), (at + 1_000_000, syn.1)],
            2 => vec![syn, syn_ack, (at + 350, tcp(C, S, RST, ours + 1, 0))],
            3 => vec![syn, (at + 90, Sent::Unreachable(Protocol::Tcp, C, S, ours))],
            4 => [vec![syn, syn_ack], talk.to_vec(), vec![(at + 950, tcp(C, S, RST_ACK, ours + 26, theirs + 13))]]
                .concat(),
            _ => [vec![syn, syn_ack], talk.to_vec()].concat(),
        };
        events.extend(one.into_iter().filter(|(_, event)| match event {
            Sent::Tcp(from, ..) => !half || *from == C,
            _ => true,
        }));
    }
    events
}

#[test]
fn floods_stay_within_limits() {
    let number = |n: u32| Sent::Tcp("10.0.0.1:1", "10.0.0.2:2", SYN, n.wrapping_mul(0x9e37_79b9), 0, b"");
    for (what, same_tuple, same_number) in
        [("one tuple", true, false), ("one number", false, true), ("neither", false, false)]
    {
        let limits = Limits { conversations: 2_000, flows: 400 };
        let mut tracker = Tracker::new(Settings { limits, ..Settings::default() }, Decoder::default());
        let mut most = 0;
        for n in 0..20_000u32 {
            let source = std::net::Ipv4Addr::from(if same_tuple { 7 } else { 0x0b00_0000 + n });
            let Sent::Tcp(_, _, flags, sequence, acknowledgment, payload) = number(if same_number { 1 } else { n })
            else {
                unreachable!()
            };
            let tcp =
                Tcp { source: 1, destination: 2, sequence, acknowledgment, flags, lead: Lead::of(payload), payload };
            let addresses = Addresses::V4 { source, destination: std::net::Ipv4Addr::from(9) };
            let packet = Packet { addresses, transport: Transport::Tcp(tcp) };
            tracker.conversations.packet(0, Timestamp(i64::from(n) * 1000), &packet);
            most = most.max(tracker.conversations.v4.tcp.len());
        }
        assert!(most < 2_200, "{what}: {most} rows");
        let Tracked { flows, tally, .. } = tracker.finish();
        let counted: u64 = flows.iter().map(|flow| flow.connections).sum();
        assert_eq!(counted + tally.dropped, 20_000, "{what}: {tally:?}");
        // Attempts with one number may be views of each other, and stay single as long as there are few.
        assert_eq!(flows.len(), [100, 1, 20_000][usize::from(same_tuple) + 2 * usize::from(same_number)], "{what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn order_does_not_matter_where_ports_are_used_again(
        courses in proptest::collection::vec((0u8..6, any::<bool>(), 0i64..2_000_000), 1..4),
        delays in proptest::collection::vec(0i64..2_000_000, 29),
    ) {
        let events = again(&courses);
        let mut order: Vec<usize> = (0..events.len()).collect();
        order.sort_by_key(|index| events[*index].0 + delays[*index % delays.len()]);
        let shuffled: Vec<_> = order.into_iter().map(|index| events[index].clone()).collect();
        prop_assert_eq!(track(&shuffled).flows, track(&events).flows);
    }

    #[test]
    fn order_within_two_seconds_does_not_matter(delays in proptest::collection::vec(0i64..2_000_000, 22)) {
        let events = busy();
        let mut order: Vec<usize> = (0..events.len()).collect();
        order.sort_by_key(|index| events[*index].0 + delays[*index % delays.len()]);
        let shuffled: Vec<_> = order.into_iter().map(|index| events[index].clone()).collect();
        prop_assert_eq!(track(&shuffled).flows, track(&events).flows);
    }
}
