//! One table of rules, and a property: what is split over observers adds up to the whole.

use std::fmt::Write as _;

use capture::{Activity, Latencies, Proof, Side, Talks};
use proptest::prelude::*;

use super::*;
use crate::inventory::Options;
use crate::manifest::Objects;

const MINUTE: i64 = 60 * SECOND;

fn at(minute: i64) -> Timestamp {
    Timestamp(1_793_491_200 * SECOND).plus(minute * MINUTE)
}

/// A Service 10.96.0.1:80 before 10.0.1.1:8080 and 10.0.2.1:8080, and pods on three nodes.
fn inventory() -> Inventory {
    let mut text = "kind: Service\nmetadata: {name: api, namespace: x}\n\
         spec: {clusterIP: 10.96.0.1, selector: {app: api}, ports: [{port: 80, targetPort: 8080}]}\n"
        .to_string();
    for node in 0..3 {
        for pod in 1..4 {
            let app = if pod == 1 && node > 0 { "api" } else { "other" };
            let _ = write!(
                text,
                "---\nkind: Pod\nmetadata: {{name: p{node}{pod}, namespace: x, labels: {{app: {app}}}}}\n\
                 status: {{podIP: 10.0.{node}.{pod}}}\n"
            );
        }
    }
    let mut objects = Objects::default();
    objects.load("test.yaml", &text);
    Inventory::build(&objects, &Options::default())
}

fn observer(name: &str, pods: &[&str], spans: &[(i64, i64)]) -> Observer {
    let tenures = pods.iter().map(|ip| (ip.parse().unwrap(), vec![(Timestamp::MIN, None)])).collect();
    let spans = spans.iter().map(|(from, to)| (at(*from), at(*to))).collect();
    Observer { name: name.to_string(), tenures, spans }
}

fn socket(text: &str) -> Socket {
    let address: std::net::SocketAddr = text.parse().unwrap();
    Socket { ip: address.ip(), port: address.port() }
}

/// `CLIENT -> DIALLED [=> SERVED] OUTCOME COUNT @FIRST..LAST` in minutes, or `LOW = HIGH ...` where nobody saw the opening.
fn row(observer: usize, text: &str) -> Row {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (ends, rest) = words.split_at(words.len() - 3);
    let (from, to) = rest[2].trim_start_matches('@').split_once("..").unwrap();
    let (first, last) = (at(from.parse().unwrap()), at(to.parse().unwrap()));
    let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.name() == rest[0]).unwrap();
    let udp = matches!(outcome, Outcome::Answered | Outcome::OneWay);
    let opening = if ends[1] == "=" {
        let side = |text| Side { socket: socket(text), speech: Default::default() };
        Opening::Unseen { sides: [side(ends[0]), side(ends[2])] }
    } else {
        let client = Socket { ip: ends[0].parse().unwrap(), port: 40000 };
        let served = ends.get(4).map(|text| socket(text));
        Opening::Seen { client, dialled: socket(ends[2]), served, proof: Proof::Handshake, identity: 0 }
    };
    let flow = Flow {
        protocol: if udp { Protocol::Udp } else { Protocol::Tcp },
        opening,
        outcome,
        connections: rest[1].parse().unwrap(),
        first,
        last,
        newest: last,
        activity: Activity::at(first),
        latency: Latencies::default(),
        datagrams: 0,
        dns: false,
        talk: Talks::default(),
        translated: false,
    };
    Row { observer, alone: ends[1] == "=", flow }
}

/// Observer and row as [`row`] reads it, without times.
fn said(row: &Row) -> String {
    let flow = &row.flow;
    let ends = match &flow.opening {
        Opening::Seen { client, dialled, served: Some(served), .. } => {
            format!("{} -> {dialled} => {served}", client.ip)
        }
        Opening::Seen { client, dialled, .. } => format!("{} -> {dialled}", client.ip),
        Opening::Unseen { sides: [low, high] } => format!("{} = {}", low.socket, high.socket),
        Opening::Alike { .. } => unreachable!("no row is alike"),
    };
    format!("{} {ends} {} {}", row.observer, flow.outcome, flow.connections)
}

#[test]
fn rules() {
    // 0 holds 10.0.0.x, 1 holds 10.0.1.x, 2 holds nobody; 3 watched only for a while.
    let observers = [
        observer("b", &["10.0.0.2", "10.0.0.3"], &[(0, 600)]),
        observer("c", &["10.0.1.1", "10.0.1.2"], &[(0, 600)]),
        observer("a", &[], &[(0, 600)]),
        observer("d", &["10.0.2.1"], &[(100, 200)]),
    ];
    let inventory = inventory();
    for (what, rows, expected) in [
        (
            "the client's observer counts",
            &[(1, "10.0.0.2 -> 10.0.1.2:80 established 5 @1..9"), (0, "10.0.0.2 -> 10.0.1.2:80 established 6 @2..9")][..],
            &["0 10.0.0.2 -> 10.0.1.2:80 established 6"][..],
        ),
        (
            "else the server's",
            &[(2, "192.0.2.1 -> 10.0.1.2:80 established 5 @1..9"), (1, "192.0.2.1 -> 10.0.1.2:80 established 6 @1..9")],
            &["1 192.0.2.1 -> 10.0.1.2:80 established 6"],
        ),
        (
            "else the first by name",
            &[
                (0, "192.0.2.1 -> 192.0.2.2:80 established 5 @1..9"),
                (2, "192.0.2.1 -> 192.0.2.2:80 established 6 @1..9"),
            ],
            &["2 192.0.2.1 -> 192.0.2.2:80 established 6"],
        ),
        (
            "what only one saw stays",
            &[(0, "10.0.0.2 -> 10.0.1.2:81 established 5 @1..9"), (1, "10.0.0.2 -> 10.0.1.2:80 established 6 @1..9")],
            &["0 10.0.0.2 -> 10.0.1.2:81 established 5", "1 10.0.0.2 -> 10.0.1.2:80 established 6"],
        ),
        (
            "what began while the preferred one did not watch stays",
            &[
                (3, "10.0.2.1 -> 10.0.1.2:80 established 1 @120..130"),
                (1, "10.0.2.1 -> 10.0.1.2:80 established 2 @110..130"),
                (1, "10.0.2.1 -> 10.0.1.2:80 established 4 @300..310"),
            ],
            &["3 10.0.2.1 -> 10.0.1.2:80 established 1", "1 10.0.2.1 -> 10.0.1.2:80 established 4"],
        ),
        (
            "one that knows no answer gives way to one that does",
            &[(0, "10.0.0.2 -> 10.0.1.2:80 unknown 5 @1..9"), (1, "10.0.0.2 -> 10.0.1.2:80 established 6 @1..9")],
            &["1 10.0.0.2 -> 10.0.1.2:80 established 6"],
        ),
        (
            "and so does one that saw datagrams go one way",
            &[(0, "10.0.0.2 -> 10.0.1.2:53 oneway 5 @1..9"), (1, "10.0.0.2 -> 10.0.1.2:53 answered 6 @1..9")],
            &["1 10.0.0.2 -> 10.0.1.2:53 answered 6"],
        ),
        (
            "but nothing gives way to who did not watch",
            &[(1, "10.0.2.1 -> 10.0.1.2:80 unknown 5 @1..9"), (3, "10.0.2.1 -> 10.0.1.2:80 established 6 @110..120")],
            &["1 10.0.2.1 -> 10.0.1.2:80 unknown 5", "3 10.0.2.1 -> 10.0.1.2:80 established 6"],
        ),
        (
            "attempts hide nothing that worked",
            &[(0, "10.0.0.2 -> 10.0.1.2:80 refused 5 @1..9"), (1, "10.0.0.2 -> 10.0.1.2:80 established 6 @1..9")],
            &["0 10.0.0.2 -> 10.0.1.2:80 refused 5", "1 10.0.0.2 -> 10.0.1.2:80 established 6"],
        ),
        (
            "of attempts one observer's word counts",
            &[(0, "10.0.0.2 -> 10.0.1.2:80 unanswered 5 @1..9"), (1, "10.0.0.2 -> 10.0.1.2:80 refused 5 @1..9")],
            &["0 10.0.0.2 -> 10.0.1.2:80 unanswered 5"],
        ),
        (
            "the backends of a Service are where they were seen",
            &[
                (0, "10.0.0.2 -> 10.96.0.1:80 established 5 @1..9"),
                (1, "10.0.0.2 -> 10.0.1.1:8080 established 3 @1..9"),
                (2, "10.0.0.2 -> 10.0.2.1:8080 established 2 @1..9"),
            ],
            &[
                "1 10.0.0.2 -> 10.96.0.1:80 => 10.0.1.1:8080 established 3",
                "2 10.0.0.2 -> 10.96.0.1:80 => 10.0.2.1:8080 established 2",
            ],
        ),
        (
            "connections whose backend nobody saw stay",
            &[
                (0, "10.0.0.2 -> 10.96.0.1:80 established 5 @1..9"),
                (1, "10.0.0.2 -> 10.0.1.1:8080 established 3 @1..9"),
            ],
            &["0 10.0.0.2 -> 10.96.0.1:80 established 2", "1 10.0.0.2 -> 10.96.0.1:80 => 10.0.1.1:8080 established 3"],
        ),
        (
            "another port is no backend, and another time neither",
            &[
                (0, "10.0.0.2 -> 10.96.0.1:80 established 5 @1..9"),
                (1, "10.0.0.2 -> 10.0.1.1:9090 established 3 @1..9"),
                (1, "10.0.0.2 -> 10.0.1.1:8080 established 3 @60..70"),
            ],
            &[
                "0 10.0.0.2 -> 10.96.0.1:80 established 5",
                "1 10.0.0.2 -> 10.0.1.1:9090 established 3",
                "1 10.0.0.2 -> 10.0.1.1:8080 established 3",
            ],
        ),
        (
            "a backend that is used directly too is left alone",
            &[
                (0, "10.0.0.2 -> 10.96.0.1:80 established 5 @1..9"),
                (0, "10.0.0.2 -> 10.0.1.1:8080 established 1 @1..9"),
                (1, "10.0.0.2 -> 10.0.1.1:8080 established 6 @1..9"),
            ],
            &["0 10.0.0.2 -> 10.96.0.1:80 established 5", "0 10.0.0.2 -> 10.0.1.1:8080 established 1"],
        ),
        (
            "a Service whose answer was not seen",
            &[(0, "10.0.0.2 -> 10.96.0.1:80 unknown 5 @1..9"), (1, "10.0.0.2 -> 10.0.1.1:8080 established 5 @1..9")],
            &["1 10.0.0.2 -> 10.96.0.1:80 => 10.0.1.1:8080 established 5"],
        ),
        (
            "one long connection is one",
            &[
                (0, "10.0.0.2:4000 = 10.0.1.2:80 established 1 @1..9"),
                (1, "10.0.0.2:4000 = 10.0.1.2:80 established 1 @1..9"),
                (1, "10.0.0.2:4001 = 10.0.1.2:80 established 1 @1..9"),
            ],
            &["0 10.0.0.2:4000 = 10.0.1.2:80 established 1", "1 10.0.0.2:4001 = 10.0.1.2:80 established 1"],
        ),
        (
            "whoever saw it opened knows more",
            &[
                (0, "10.0.0.2:4000 = 10.0.1.2:80 established 1 @5..9"),
                (1, "10.0.0.2 -> 10.0.1.2:80 established 1 @1..9"),
            ],
            &["1 10.0.0.2 -> 10.0.1.2:80 established 1"],
        ),
    ] {
        let rows: Vec<Row> = rows.iter().map(|(observer, text)| row(*observer, text)).collect();
        let found: Vec<String> = reconcile(rows, &observers, &inventory).iter().map(said).collect();
        assert_eq!(found, expected, "{what}");
    }
}

/// One observer saw a conversation before and after a Service's translation, another only after it.
#[test]
fn two_views_count_together() {
    let observers = [observer("b", &["10.0.0.2"], &[(0, 600)]), observer("a", &[], &[(0, 600)])];
    let mut rows = vec![
        row(0, "10.0.0.2 -> 10.96.0.1:80 established 1 @1..9"),
        row(0, "10.0.0.2 -> 10.0.1.1:8080 established 1 @1..9"),
        row(1, "10.0.0.2 -> 10.0.1.1:8080 established 1 @1..9"),
    ];
    rows[0].alone = true;
    rows[1].alone = true;
    let said = |rows: &[Row]| rows.iter().map(said).collect::<Vec<_>>();
    let found = reconcile(rows.clone(), &observers, &inventory());
    assert_eq!(said(&found), ["0 10.0.0.2 -> 10.96.0.1:80 => 10.0.1.1:8080 established 1"]);
    // Nobody is known to have held the client: the first by name.
    let unknown = observers.map(|observer| Observer { tenures: HashMap::new(), ..observer });
    let found = reconcile(rows, &unknown, &inventory());
    assert_eq!(said(&found), ["1 10.0.0.2 -> 10.0.1.1:8080 established 1"]);
}

/// Client, dialled, served and outcome, with how many connections.
fn counts(rows: &[Row]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for row in rows {
        let text = said(row);
        let (what, count) = text.split_once(' ').unwrap().1.rsplit_once(' ').unwrap();
        *counts.entry(what.to_string()).or_default() += count.parse::<u64>().unwrap();
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Clients of three nodes, and one outside, use a Service, or pods directly; each node sees what its pods send and get,
    /// counted by the hour.
    #[test]
    fn what_is_split_adds_up(
        connections in proptest::collection::vec((0u8..4, 2u8..4, 0u8..5, 0u8..3, any::<bool>()), 1..60),
    ) {
        let inventory = inventory();
        let observers: Vec<Observer> = (0..3)
            .map(|node| {
                let pods: Vec<String> = (1..4).map(|pod| format!("10.0.{node}.{pod}")).collect();
                let pods: Vec<&str> = pods.iter().map(String::as_str).collect();
                observer(&format!("node-{node}"), &pods, &[(0, 600)])
            })
            .collect();
        let mut whole = Vec::new();
        let mut split: BTreeMap<(usize, String), u64> = BTreeMap::new();
        for (from, pod, to, hour, worked) in connections {
            let client = if from == 3 { "192.0.2.1".to_string() } else { format!("10.0.{from}.{pod}") };
            let outcome = if worked { "established" } else { "refused" };
            let (backend, service) = match to {
                // Nobody outside uses the Service's own address.
                0 | 1 if from < 3 => (format!("10.0.{}.1:8080", to + 1), true),
                _ => (format!("10.0.{}.2:9090", to % 3), false),
            };
            let server: u8 = backend.as_bytes()[5] - b'0';
            let times = format!("@{}..{}", hour * 60, hour * 60 + 59);
            let line = |ends: &str| format!("{client} -> {ends} {outcome} 1 {times}");
            let joined = if service { format!("10.96.0.1:80 => {backend}") } else { backend.clone() };
            whole.push(row(0, &line(&joined)));
            let at_client = if from == server || !service { &joined } else { "10.96.0.1:80" };
            let mut sees = |observer: u8, ends: &str| *split.entry((usize::from(observer), line(ends))).or_default() += 1;
            if from < 3 {
                sees(from, at_client);
            }
            if from != server {
                sees(server, &backend);
            }
        }
        let rows: Vec<Row> = split
            .into_iter()
            .map(|((observer, line), count)| row(observer, &line.replace(" 1 @", &format!(" {count} @"))))
            .collect();
        let found = reconcile(rows, &observers, &inventory);
        prop_assert_eq!(counts(&found), counts(&whole));
    }
}
