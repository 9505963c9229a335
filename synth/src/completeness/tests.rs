use proptest::prelude::*;

use super::*;
use crate::graph::{Class, Key};

const MINUTE: i64 = 60 * SECOND;

fn endpoint(name: &str) -> Endpoint {
    match name.parse() {
        Ok(ip) => Endpoint::external(ip),
        Err(_) => {
            Endpoint::Workload(Workload { namespace: "shop".into(), kind: "Deployment".into(), name: name.into() })
        }
    }
}

/// `web -> api:8080`, with connections opened in these minutes, the last packet half a minute after the last of them.
fn edge(text: &str, connections: u64, minutes: impl IntoIterator<Item = i64>) -> Edge {
    let (client, server) = text.split_once(" -> ").unwrap();
    let (server, port) = server.rsplit_once(':').unwrap();
    let mut evidence = Evidence::none();
    for minute in minutes {
        let time = Timestamp(minute * MINUTE);
        evidence.activity.note(time);
        evidence.first = evidence.first.min(time);
        evidence.last = evidence.last.max(time.plus(MINUTE / 2));
    }
    (evidence.connections, evidence.certainty) = (connections, Certainty::Handshake);
    let key = Key {
        client: endpoint(client),
        server: endpoint(server),
        protocol: Protocol::Tcp,
        port: port.parse().unwrap(),
    };
    Edge { key, class: Class::App, outcomes: BTreeMap::from([(Outcome::Established, Box::new(evidence))]) }
}

fn with(mut edge: Edge, change: impl Fn(&mut Evidence)) -> Edge {
    edge.outcomes.values_mut().for_each(|evidence| change(evidence));
    edge
}

fn hours(count: i64) -> Window {
    Window::of([(Timestamp(0), Timestamp(count * HOUR))]).unwrap()
}

fn of(edges: Vec<Edge>, window: &Window) -> Completeness {
    completeness(&Graph::new(edges), window)
}

#[test]
fn nothing_and_next_to_nothing() {
    let none = of(vec![], &hours(24));
    assert_eq!((none.total.state, none.total.edges, none.total.unseen_connections), (State::Learning, 0, None));
    assert_eq!((none.total.last_new, none.total.median_gap, none.total.unseen_edges), (None, None, 0.0));
    assert!(none.workloads.is_empty());
    let instant = Window::of([(Timestamp(0), Timestamp(0))]).unwrap();
    let one = of(vec![edge("web -> api:80", 1, [0])], &instant);
    assert_eq!((one.total.state, one.total.unseen_connections), (State::Learning, Some(1.0)));
    assert_eq!((one.total.new_per_hour, one.total.unseen_edges), (0.0, 0.0));
    assert_eq!(one.workloads.len(), 2);
}

#[test]
fn words() {
    let often = |text: &str| edge(text, 500, (0..1440).step_by(7));
    let rows = [
        (
            "all seen often, nothing new",
            hours(24),
            vec![often("web -> api:80"), often("api -> db:5432")],
            State::Stable,
        ),
        (
            "the same, for half an hour",
            Window::of([(Timestamp(0), Timestamp(HOUR / 2))]).unwrap(),
            vec![often("web -> api:80")],
            State::Learning,
        ),
        (
            "a new edge in the last quarter, in a hundred",
            hours(24),
            (0..100).map(|port| often(&format!("web -> api:{port}"))).chain([edge("web -> db:1", 9, [1200])]).collect(),
            State::Settling,
        ),
        (
            "a new edge in the last quarter, in two",
            hours(24),
            vec![often("web -> api:80"), edge("web -> db:1", 9, [1200])],
            State::Learning,
        ),
        (
            "one of fifty connections to an edge seen once",
            hours(24),
            vec![edge("web -> api:80", 49, [1]), edge("web -> api:81", 1, [1])],
            State::Settling,
        ),
        ("one of ten", hours(24), vec![edge("web -> api:80", 9, [1]), edge("web -> api:81", 1, [1])], State::Learning),
        (
            "seen once each, but held open",
            hours(24),
            vec![with(edge("web -> api:80", 1, [1]), |it| it.last = Timestamp(23 * HOUR)), often("web -> api:81")],
            State::Stable,
        ),
        (
            "ten edges seen once among very many connections: many more are missing",
            hours(24),
            (0..10)
                .map(|port| edge(&format!("web -> api:{port}"), 1, [3]))
                .chain([edge("web -> db:1", 5000, [1])])
                .collect(),
            State::Settling,
        ),
        (
            "a day of each edge's own: over connections all is well, over days it is not",
            hours(240),
            (0..7).map(|day| edge(&format!("web -> api:{}", day + 1), 50, [day * 1440 + 5])).collect(),
            State::Settling,
        ),
    ];
    for (what, window, edges, state) in rows {
        let found = of(edges, &window).total;
        assert_eq!(found.state, state, "{what}: {found:?}");
    }
}

#[test]
fn estimates_are_those_of_the_formulas() {
    // Three edges seen once, one twice, one 45 times.
    let edges = vec![
        edge("web -> api:1", 1, [10]),
        edge("web -> api:2", 1, [20]),
        edge("web -> api:3", 1, [30]),
        edge("web -> db:4", 2, [40, 50]),
        edge("cron -> db:5", 45, [5, 1500, 3000]),
    ];
    let found = of(edges, &hours(72));
    let total = &found.total;
    assert_eq!((total.edges, total.connections), (5, 50));
    assert_eq!(total.unseen_connections, Some(3.0 / 50.0));
    // 3 * 2 / (2 * 2).
    assert_eq!(total.unseen_edges, 1.5);
    // Four edges in one day of three, none in two: 2/3 * 4 * 3 / 2.
    assert_eq!(total.unseen_edges_by_day, Some(4.0));
    assert_eq!(total.last_new, Some(Timestamp(40 * MINUTE)));
    assert_eq!((total.new_last_hour, total.new_last_quarter, total.new_per_hour), (0, 0, 0.0));
    assert_eq!((total.median_gap, total.longest_gap), (Some(1488 * MINUTE), Some(1500 * MINUTE)));
    let rhythms = BTreeMap::from([(Rhythm::Daily, 1), (Rhythm::ForAWhile, 1), (Rhythm::Once, 3)]);
    assert_eq!(total.rhythms, rhythms);
    let by_name: Vec<(&str, u64, u64)> =
        found.workloads.iter().map(|(workload, it)| (workload.name.as_str(), it.edges, it.connections)).collect();
    assert_eq!(by_name, [("api", 3, 3), ("cron", 1, 45), ("db", 2, 47), ("web", 4, 5)]);
}

#[test]
fn only_what_could_make_a_rule_counts() {
    let unresolved = |mut edge: Edge| {
        let ip = "10.0.0.9".parse().unwrap();
        edge.key.server = Endpoint::Unresolved { ip, reason: crate::endpoint::Unresolved::NoHolder };
        edge
    };
    let outcome = |mut edge: Edge, outcome: Outcome| {
        edge.outcomes = edge.outcomes.into_values().map(|evidence| (outcome, evidence)).collect();
        edge
    };
    let seen = || edge("web -> api:80", 1, [1]);
    let rows = [
        ("an established connection", seen(), 1),
        ("an attempt", outcome(seen(), Outcome::Refused), 0),
        ("no answer", outcome(seen(), Outcome::Unanswered), 0),
        ("an answered datagram", outcome(seen(), Outcome::Answered), 1),
        ("a stray datagram", outcome(seen(), Outcome::OneWay), 0),
        ("three datagrams", with(outcome(seen(), Outcome::OneWay), |it| it.datagrams = 3), 1),
        ("a guessed direction", with(seen(), |it| it.certainty = Certainty::Guessed), 0),
        ("an unknown server", unresolved(seen()), 0),
        ("two ends of one workload", edge("web -> web:80", 1, [1]), 1),
    ];
    for (what, edge, expected) in rows {
        let found = of(vec![edge], &hours(2));
        assert_eq!(found.total.edges, expected, "{what}");
        assert!(found.workloads.values().all(|it| it.edges == 1), "{what}");
    }
}

#[test]
fn one_more_client_of_a_public_server_is_nothing_new() {
    let clients = |count: u8| -> Vec<Edge> {
        (0..count).map(|host| edge(&format!("192.0.2.{host} -> web:443"), 1, [i64::from(host) * 60])).collect()
    };
    let few = of(clients(19), &hours(24)).total;
    assert_eq!((few.edges, few.unseen_connections), (19, Some(1.0)));
    let many = of(clients(24), &hours(24)).total;
    assert_eq!((many.edges, many.connections, many.new_last_quarter), (1, 24, 0));
    assert_eq!(many.rhythms, BTreeMap::from([(Rhythm::Hourly, 1)]));
    assert_eq!(many.state, State::Stable);
    // What the pods call outside stays apart: each address needs a rule.
    let outward: Vec<Edge> = (0..24).map(|host| edge(&format!("web -> 192.0.2.{host}:443"), 1, [1])).collect();
    assert_eq!(of(outward, &hours(24)).total.edges, 24);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn never_nonsense_and_never_stable_too_early(
        edges in proptest::collection::vec((0u16..40, 1u64..9, 0i64..5000), 0..40),
        minutes in 0i64..5000,
    ) {
        let window = Window::of([(Timestamp(0), Timestamp(minutes * MINUTE))]).unwrap();
        let edges: BTreeMap<u16, (u64, i64)> = edges.into_iter().map(|(port, count, at)| (port, (count, at))).collect();
        let graph = |reverse: bool| {
            let mut all: Vec<Edge> = edges
                .iter()
                .map(|(port, (count, at))| edge(&format!("a{} -> b{}:{port}", port % 3, port % 4), *count, [at % (minutes + 1)]))
                .collect();
            if reverse {
                all.reverse();
            }
            all
        };
        let found = of(graph(false), &window);
        prop_assert_eq!(&found, &of(graph(true), &window));
        for it in std::iter::once(&found.total).chain(found.workloads.values()) {
            prop_assert!(it.unseen_connections.is_none_or(|share| (0.0..=1.0).contains(&share)), "{it:?}");
            prop_assert!(it.unseen_edges >= 0.0 && it.new_per_hour.is_finite() && it.unseen_edges.is_finite(), "{it:?}");
            prop_assert!(it.unseen_edges_by_day.is_none_or(|count| count.is_finite() && count >= 0.0), "{it:?}");
            prop_assert_eq!(it.unseen_edges_by_day.is_some(), minutes >= 2880);
            prop_assert!(it.state != State::Stable || minutes >= 60 && it.new_last_quarter == 0 && it.edges > 0, "{it:?}");
            prop_assert!(it.new_last_quarter <= it.edges && it.edges <= found.total.edges);
            prop_assert_eq!(it.rhythms.values().sum::<u64>(), it.edges);
        }
    }
}
