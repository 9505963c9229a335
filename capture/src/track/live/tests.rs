//! What a recorder adds up to, whenever it flushes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::tests::{ACK, C, FIN_ACK, RST_ACK, S, SYN, SYN_ACK, Sent, VIP, again, busy, feed, tcp, track};
use super::super::{Limits, Settings};
use super::*;
use crate::decode::Decoder;
use crate::flow::{Opening, Socket};
use crate::packet::Chunk;

const HOUR: i64 = 3600 * SECOND;
const SECONDS: i64 = 1_000_000;

fn recorder() -> Tracker {
    Tracker::new(Settings { grain: Some(HOUR), live: true, ..Settings::default() }, Decoder::default())
}

/// What a flow log holds: counts by everything that tells rows apart.
#[derive(Debug, Default)]
struct Log {
    rows: BTreeMap<String, u64>,
    pending: Vec<String>,
}

fn name(flow: &Flow) -> String {
    let served = |served: &Option<Socket>| served.map_or(String::new(), |served| format!(" = {served}"));
    let opening = match &flow.opening {
        Opening::Seen { client, dialled, served: by, proof, .. } => {
            format!("{} -> {dialled}{} {proof:?}", client.ip, served(by))
        }
        Opening::Alike { client, dialled, served: by, proof } => {
            format!("{client} -> {dialled}{} {proof:?}", served(by))
        }
        Opening::Unseen { sides: [low, high] } => format!("{} - {} Unseen", low.socket, high.socket),
    };
    let translated = if flow.translated { " translated" } else { "" };
    format!("{opening} {:?}{translated}", flow.outcome)
}

impl Log {
    fn flush(&mut self, tracker: &mut Tracker, now: i64) {
        let flushed = tracker.flush(Timestamp(now * 1000), &|_, _| true);
        for (stretch, flow) in &flushed.rows {
            assert!(*stretch <= flow.first, "{stretch} {flow:?}");
            *self.rows.entry(name(flow)).or_default() += flow.connections;
        }
        self.pending = flushed.pending.iter().map(|(_, flow)| name(flow)).collect();
    }

    fn lines(&self) -> Vec<String> {
        self.rows.iter().map(|(row, count)| format!("{count} {row}")).collect()
    }
}

/// Feeds events, flushing every five seconds and long after the last.
fn record(events: &[(i64, Sent)]) -> Log {
    let mut tracker = recorder();
    let mut log = Log::default();
    let mut next = 5 * SECONDS;
    for (time, event) in events {
        while *time >= next {
            log.flush(&mut tracker, next);
            next += 5 * SECONDS;
        }
        feed(&mut tracker, Timestamp(time * 1000), event);
    }
    let end = events.iter().map(|(time, _)| *time).max().unwrap_or_default();
    for later in [3, 10, 140, 150, 300] {
        log.flush(&mut tracker, end + later * SECONDS);
    }
    assert_eq!(log.pending, [""; 0]);
    log
}

#[test]
fn incoming_halves_are_joined() {
    const B: &str = "10.0.1.7:8080";
    const NODE: &str = "192.0.2.1:51000";
    const OUT: &str = "203.0.113.5:443";
    let at = |seconds: i64| seconds * SECONDS;
    let dialled = |to| (at(1), tcp(C, to, SYN, 100, 0));
    type Row = (&'static str, Vec<(i64, Sent)>, &'static [&'static str]);
    let rows: Vec<Row> = vec![
        (
            "a Service: the answer comes from the backend",
            vec![dialled(VIP), (at(1) + 300, tcp(B, C, SYN_ACK, 500, 101))],
            &["1 10.0.0.1 -> 10.96.0.9:80 = 10.0.1.7:8080 Handshake Established"],
        ),
        (
            "with its end, which shows in halves too",
            vec![
                dialled(VIP),
                (at(1) + 300, tcp(B, C, SYN_ACK, 500, 101)),
                (at(20), tcp(C, VIP, FIN_ACK, 900_000, 800_000)),
                (at(20) + 9, tcp(B, C, FIN_ACK, 800_000, 900_001)),
            ],
            &["1 10.0.0.1 -> 10.96.0.9:80 = 10.0.1.7:8080 Handshake Established"],
        ),
        (
            "refused by the backend",
            vec![dialled(VIP), (at(1) + 300, tcp(B, C, RST_ACK, 0, 101))],
            &["1 10.0.0.1 -> 10.96.0.9:80 = 10.0.1.7:8080 Handshake Refused"],
        ),
        (
            "masqueraded on its way out",
            vec![dialled(OUT), (at(1) + 300, tcp(OUT, NODE, SYN_ACK, 500, 101))],
            &["1 10.0.0.1 -> 203.0.113.5:443 Handshake Established"],
        ),
        (
            "translated on both sides: the policy sees the other client",
            vec![dialled(VIP), (at(1) + 300, tcp(B, NODE, SYN_ACK, 500, 101))],
            &[
                "1 10.0.0.1 -> 10.96.0.9:80 Handshake Established translated",
                "1 192.0.2.1 -> 10.0.1.7:8080 HalfHandshake Established",
            ],
        ),
        (
            "an answer to nobody: a client on the node itself",
            vec![(at(1), tcp(B, NODE, SYN_ACK, 500, 101))],
            &["1 192.0.2.1 -> 10.0.1.7:8080 HalfHandshake Established"],
        ),
        (
            "one number for many targets tells nothing",
            vec![dialled(VIP), (at(1), tcp(C, S, SYN, 100, 0)), (at(1) + 300, tcp(B, NODE, SYN_ACK, 500, 101))],
            &[
                "1 10.0.0.1 -> 10.0.0.2:8080 Handshake Unanswered",
                "1 10.0.0.1 -> 10.96.0.9:80 Handshake Unanswered",
                "1 192.0.2.1 -> 10.0.1.7:8080 HalfHandshake Established",
            ],
        ),
        (
            "both views of one handshake, as on a bridge",
            vec![
                dialled(VIP),
                (at(1) + 5, tcp(C, B, SYN, 100, 0)),
                (at(1) + 300, tcp(B, C, SYN_ACK, 500, 101)),
                (at(1) + 305, tcp(VIP, C, SYN_ACK, 500, 101)),
            ],
            &["1 10.0.0.1 -> 10.96.0.9:80 = 10.0.1.7:8080 Handshake Established"],
        ),
        (
            "SCTP by its initiate tag",
            vec![
                (at(1), Sent::Sctp(C, VIP, 0, Chunk::Init { tag: 77 })),
                (at(1) + 300, Sent::Sctp(B, C, 77, Chunk::InitAck { tag: 88 })),
            ],
            &["1 10.0.0.1 -> 10.96.0.9:80 = 10.0.1.7:8080 Handshake Established"],
        ),
        (
            "UDP by its socket",
            vec![(at(1), Sent::Udp(C, VIP, b"ask")), (at(1) + 300, Sent::Udp(B, C, b"answer"))],
            &["1 10.0.0.1 -> 10.96.0.9:80 = 10.0.1.7:8080 FirstPacket Answered"],
        ),
        (
            "UDP that was masqueraded and kept its port",
            vec![(at(1), Sent::Udp(C, OUT, b"ask")), (at(1) + 300, Sent::Udp(OUT, "192.0.2.1:40000", b"answer"))],
            &["1 10.0.0.1 -> 203.0.113.5:443 FirstPacket Answered"],
        ),
        (
            "nobody answers",
            vec![dialled(S), (at(1), Sent::Udp(C, S, b"ask"))],
            &["1 10.0.0.1 -> 10.0.0.2:8080 FirstPacket OneWay", "1 10.0.0.1 -> 10.0.0.2:8080 Handshake Unanswered"],
        ),
        (
            "older than the recording",
            vec![(at(1), Sent::Tcp(C, S, ACK, 5000, 7000, b"data")), (at(400), tcp(S, C, ACK, 9_000_000, 5004))],
            &["1 10.0.0.1:40000 - 10.0.0.2:8080 Unseen Established"],
        ),
        ("a lone end proves nothing", vec![(at(1), tcp(C, S, FIN_ACK, 5000, 7000))], &[]),
    ];
    for (what, events, expected) in rows {
        assert_eq!(record(&events).lines(), expected, "{what}");
    }
}

#[test]
fn attempts_wait_and_are_counted_once() {
    let mut tracker = recorder();
    let mut log = Log::default();
    feed(&mut tracker, Timestamp(0), &tcp(C, S, SYN, 100, 0));
    log.flush(&mut tracker, SECONDS);
    assert_eq!((log.lines().len(), log.pending.len()), (0, 1));
    feed(&mut tracker, Timestamp(SECOND), &tcp(C, S, SYN, 100, 0));
    feed(&mut tracker, Timestamp(3 * SECOND), &tcp(S, C, SYN_ACK, 500, 101));
    log.flush(&mut tracker, 6 * SECONDS);
    log.flush(&mut tracker, 12 * SECONDS);
    assert_eq!(log.lines(), ["1 10.0.0.1 -> 10.0.0.2:8080 Handshake Established"]);
    assert_eq!(log.pending, [""; 0]);
    // What comes later only says that it is still there.
    feed(&mut tracker, Timestamp(4000 * SECOND), &Sent::Tcp(C, S, ACK, 101, 501, b"x"));
    let flushed = tracker.flush(Timestamp(4001 * SECOND), &|_, _| true);
    let [(stretch, flow)] = &flushed.rows[..] else { panic!("{flushed:?}") };
    assert_eq!((*stretch, flow.connections, flow.last), (Timestamp(0), 0, Timestamp(4000 * SECOND)));
    assert_eq!(tracker.held(), 1);
    feed(&mut tracker, Timestamp(4002 * SECOND), &tcp(C, S, FIN_ACK, 102, 501));
    feed(&mut tracker, Timestamp(4002 * SECOND), &tcp(S, C, FIN_ACK, 501, 103));
    log.flush(&mut tracker, 4008 * SECONDS);
    log.flush(&mut tracker, 4013 * SECONDS);
    assert_eq!((tracker.held(), log.lines().len()), (0, 1));
}

#[test]
fn who_cannot_see_answers_does_not_know() {
    let mut tracker = recorder();
    feed(&mut tracker, Timestamp(0), &tcp(C, S, SYN, 100, 0));
    let flushed = tracker.flush(Timestamp(131 * SECOND), &|_, _| false);
    assert_eq!(flushed.rows.iter().map(|(_, flow)| flow.outcome.name()).collect::<Vec<_>>(), ["unknown"]);
}

#[test]
fn no_row_spans_a_change_of_holder() {
    let mut tracker = recorder();
    let ip = "10.0.0.1".parse().unwrap();
    feed(&mut tracker, Timestamp(10 * SECOND), &tcp(C, S, SYN, 100, 0));
    feed(&mut tracker, Timestamp(10 * SECOND), &tcp(S, C, SYN_ACK, 500, 101));
    tracker.changes_hands(ip, Timestamp(20 * SECOND));
    feed(&mut tracker, Timestamp(30 * SECOND), &tcp("10.0.0.1:41000", S, SYN, 900, 0));
    feed(&mut tracker, Timestamp(30 * SECOND), &tcp(S, "10.0.0.1:41000", SYN_ACK, 500, 901));
    let flushed = tracker.flush(Timestamp(40 * SECOND), &|_, _| true);
    let mut stretches: Vec<Timestamp> = flushed.rows.iter().map(|(stretch, _)| *stretch).collect();
    stretches.sort_unstable();
    assert_eq!(stretches, [Timestamp(0), Timestamp(20 * SECOND)]);
}

#[test]
fn floods_stay_within_limits() {
    let limits = Limits { conversations: 2_000, flows: 400 };
    let settings = Settings { grain: Some(HOUR), live: true, limits, ..Settings::default() };
    let mut tracker = Tracker::new(settings, Decoder::default());
    let mut log = Log::default();
    let mut most = 0;
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    for n in 0..20_000u32 {
        let from = leak(format!("10.9.0.1:{}", 20_000 + n % 40_000));
        feed(&mut tracker, Timestamp(i64::from(n) * 1000), &tcp(from, S, SYN, n.wrapping_mul(0x9e37_79b9), 0));
        most = most.max(tracker.held());
        if n.is_multiple_of(7_000) {
            log.flush(&mut tracker, i64::from(n));
        }
    }
    for later in [140, 300] {
        log.flush(&mut tracker, later * SECONDS);
    }
    assert!(most < 2_200, "{most}");
    assert_eq!(log.lines(), ["20000 10.9.0.1 -> 10.0.0.2:8080 Handshake Unanswered"]);
}

/// The counts of what a capture of the same packets gives.
fn captured(events: &[(i64, Sent)]) -> Vec<String> {
    let mut log = Log::default();
    track(events).flows.iter().for_each(|flow| *log.rows.entry(name(flow)).or_default() += flow.connections);
    log.lines()
}

#[test]
fn a_recording_counts_what_a_capture_counts() {
    let events = busy();
    assert_eq!(record(&events).lines(), captured(&events));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn whenever_it_flushes(
        courses in proptest::collection::vec((0u8..6, any::<bool>(), 0i64..2_000_000), 1..4),
        gap in 1i64..20_000_000,
    ) {
        let events: Vec<_> = again(&courses).into_iter().map(|(at, event)| (at + gap, event)).collect();
        prop_assert_eq!(record(&events).lines(), captured(&events));
    }
}

/// What was open when the clock was set back is counted and let go; what began since is neither cut in two nor counted twice.
#[test]
fn a_clock_that_is_set_back_cuts_only_what_is_older() {
    let mut tracker = recorder();
    let mut log = Log::default();
    let open =
        |at: i64, number: u32| [(at, tcp(C, S, SYN, number, 0)), (at + 300, tcp(S, C, SYN_ACK, 500, number + 1))];
    let end = |at: i64, number: u32| {
        [(at, tcp(C, S, FIN_ACK, number + 1, 501)), (at + 9, tcp(S, C, FIN_ACK, 501, number + 2))]
    };
    let feed_all = |tracker: &mut Tracker, events: &[(i64, Sent)]| {
        events.iter().for_each(|(at, sent)| feed(tracker, Timestamp(at * 1000), sent))
    };
    feed_all(&mut tracker, &open(7200 * SECONDS, 100));
    log.flush(&mut tracker, 7201 * SECONDS);
    assert_eq!((log.lines(), log.pending.len()), (Vec::new(), 1));
    // The opening of a younger one is there when the clock is found to have been set.
    let younger = open(10 * SECONDS, 9_000_000);
    feed_all(&mut tracker, &younger[..1]);
    tracker.let_go(Timestamp(11 * SECOND), &|_, _| true);
    feed_all(&mut tracker, &younger[1..]);
    feed_all(&mut tracker, &end(12 * SECONDS, 9_000_000));
    log.flush(&mut tracker, 13 * SECONDS);
    log.flush(&mut tracker, 60 * SECONDS);
    assert_eq!(log.lines(), ["2 10.0.0.1 -> 10.0.0.2:8080 Handshake Established"]);
    assert_eq!(tracker.held(), 0);
}
