//! Which pod's port was meant: translations and views.

use capture::{Activity, Talk};

use super::*;

#[test]
fn the_port_is_the_pods() {
    assert_rows(&[
        (
            "a pod that was dialled itself",
            &["TCP web-1:40000 > api-1:8080 established"],
            &["web -> api:8080/TCP established handshake app"],
        ),
        (
            "both views of a Service's connection",
            &["TCP web-1:40000 > svc-api:80 = api-1:8080 established"],
            &["web -> api:8080/TCP established handshake app via shop/api:80"],
        ),
        (
            "swapped views: the clock of the backend's node is ahead",
            &["TCP web-1:40000 > api-1:8080 = svc-api:80 established"],
            &["web -> api:8080/TCP established handshake app via shop/api:80"],
        ),
        (
            "a Service that was never joined, with one workload behind it",
            &["TCP web-1:40000 > svc-api:80 established"],
            &["web -> api:8080/TCP established handshake app via shop/api:80"],
        ),
        (
            "or several: a row for each",
            &["TCP web-1:40000 > svc-pool:80 established"],
            &[
                "web -> api:8080/TCP established handshake app via shop/pool:80 ambiguous",
                "web -> old:8080/TCP established handshake app via shop/pool:80 ambiguous",
            ],
        ),
        (
            "once one is joined, that one is meant",
            &["TCP web-1:40000 > svc-pool:80 = old-1:8080 established"],
            &["web -> old:8080/TCP established handshake app via shop/pool:80"],
        ),
        (
            "a nodePort",
            &["TCP 198.51.100.1:40000 > n2:30080 = api-1:8080 established"],
            &["198.51.100.1 -> api:8080/TCP established handshake external via shop/api:80"],
        ),
        (
            "a Service without endpoints",
            &["TCP web-1:40000 > svc-empty:80 refused"],
            &["web -> ?10.96.0.9:80/TCP refused handshake app via shop/empty:80"],
        ),
        (
            "a Service's address on a port it does not have is nobody's",
            &["TCP web-1:40000 > svc-api:81 unanswered"],
            &["web -> ?10.96.0.1:81/TCP unanswered handshake app"],
        ),
        (
            "a half handshake is inferred",
            &["TCP web-1:40000 > api-1:8080 established half"],
            &["web -> api:8080/TCP established inferred app"],
        ),
        (
            "outcomes are kept apart",
            &["TCP web-1:40000 > api-1:8080 established", "TCP web-1:40001 > api-1:8080 refused"],
            &["web -> api:8080/TCP established handshake app", "web -> api:8080/TCP refused handshake app"],
        ),
        (
            "replicas of one workload with each other",
            &["TCP db-1:40000 > db-2:7000 established"],
            &["db -> db:7000/TCP established handshake app"],
        ),
    ]);
}

#[test]
fn a_connection_counts_once_whatever_its_backends() {
    let resolved = resolved(&["TCP web-1:40000 > svc-api:80 established", "TCP web-2:40000 > svc-api:80 established"]);
    let edge = resolved.graph.edges().next().unwrap();
    let evidence = &edge.outcomes[&Outcome::Established];
    assert_eq!((evidence.connections, evidence.client_pods().len(), evidence.server_pods().len()), (2, 2, 2));
    assert_eq!(resolved.doubts, Doubts { conversations: 2, ..Doubts::default() });
}

#[test]
fn doubts_are_counted() {
    let resolved = resolved(&[
        "TCP web-1:40000 > svc-pool:80 established",
        "TCP web-1:20000 <> db-1:10000 established",
        "TCP web-1:40001 > svc-empty:80 unanswered",
        "TCP 10.0.1.77:40001 > api-1:8080 established",
    ]);
    assert_eq!(resolved.doubts, Doubts { conversations: 4, unresolved: 2, guessed: 1, ambiguous: 1 });
}

#[test]
fn udp_views_join() {
    let both = ["UDP web-1:5000 > svc-dns:53 oneway", "UDP web-1:5000 > dns-1:53 answered"];
    let joined: &[&str] = &["web -> dns:53/UDP answered first_packet dns via shop/dns:53"];
    let apart: &[&str] =
        &["web -> dns:53/UDP answered first_packet dns", "web -> dns:53/UDP oneway first_packet dns via shop/dns:53"];
    for (what, first, second, expected) in [
        ("at once", "at=0", "at=0", joined),
        ("2 s apart", "at=0", "at=2", joined),
        ("2 s apart, with clocks the other way", "at=2", "at=0", joined),
        ("3 s apart", "at=0", "at=3", apart),
    ] {
        let flows = [format!("{} {first}", both[0]), format!("{} {second}", both[1])];
        assert_eq!(rows(&resolved(&[&flows[0], &flows[1]])), expected, "{what}");
    }
    assert_rows(&[
        ("another socket", &[both[0], "UDP web-1:5001 > dns-1:53 answered"], apart),
        (
            "a server that is not behind the Service",
            &[both[0], "UDP web-1:5000 > db-1:53 answered"],
            &[
                "web -> db:53/UDP answered first_packet dns",
                "web -> dns:53/UDP oneway first_packet dns via shop/dns:53",
            ],
        ),
        (
            "two views of a TCP connection that was open before the capture",
            &["TCP web-1:40000 <> svc-pool:80 established", "TCP web-1:40000 <> old-1:8080 established"],
            &["web -> old:8080/TCP established inferred app via shop/pool:80"],
        ),
        (
            "a refusal seen at one point only",
            &["UDP web-1:5000 > svc-dns:53 oneway", "UDP web-1:5000 > dns-1:53 refused"],
            &["web -> dns:53/UDP refused first_packet dns via shop/dns:53"],
        ),
    ]);
}

#[test]
fn of_several_views_the_nearest_joins() {
    assert_rows(&[(
        "two backends in turn",
        &[
            "UDP web-1:5000 > svc-pool:80 oneway at=0",
            "UDP web-1:5000 > api-1:8080 answered at=1.5",
            "UDP web-1:5000 > old-1:8080 answered at=0.1",
        ],
        // The Service has no UDP port, so nothing joins, and nothing is invented.
        &[
            "web -> api:8080/UDP answered first_packet app",
            "web -> old:8080/UDP answered first_packet app",
            "web -> ?10.96.0.2:80/UDP oneway first_packet app",
        ],
    )]);
    let resolved = resolved(&[
        "TCP web-1:40000 <> svc-pool:80 established at=0",
        "TCP web-1:40000 <> api-1:8080 established at=1.5",
        "TCP web-1:40000 <> old-1:8080 established at=0.1",
    ]);
    assert_eq!(
        rows(&resolved),
        [
            "web -> api:8080/TCP established inferred app",
            "web -> old:8080/TCP established inferred app via shop/pool:80",
        ]
    );
}

#[test]
fn a_translated_source_is_marked() {
    let before = "TCP 198.51.100.1:5000 > n1:30080 established id=9";
    let after = "TCP 192.168.0.1:33333 > api-2:8080 established id=9";
    let seen = "198.51.100.1 -> api:8080/TCP established handshake external via shop/api:80";
    let node = "node:n1 -> api:8080/TCP established handshake node";
    let translated = format!("{seen} translated");
    for (what, flows, expected) in [
        ("the view behind the node is what policies see", vec![before.into(), after.into()], &translated),
        ("whichever clock is ahead", vec![format!("{before} at=2"), after.into()], &translated),
        ("3 s apart is another connection", vec![before.into(), format!("{after} at=3")], &seen.to_string()),
        ("as is another number", vec![before.into(), after.replace("id=9", "id=8")], &seen.to_string()),
    ] {
        let flows: Vec<&str> = flows.iter().map(String::as_str).collect();
        assert_eq!(rows(&resolved(&flows)), [node, expected.as_str()], "{what}");
    }
    let alone = rows(&resolved(&[before]));
    assert_eq!(alone, [seen], "nothing was translated");
}

#[test]
fn identity_is_bound_in_time() {
    let pod = |name: &str, from: &str, status: &str| {
        format!(
            "---\n{{kind: Pod, metadata: {{name: {name}, namespace: shop}}, status: {{podIP: 10.0.1.9, \
             startTime: '2026-11-01T{from}Z', {status}}}}}\n"
        )
    };
    let ended = "phase: Succeeded, containerStatuses: [{state: {terminated: {finishedAt: '2026-11-01T11:00:00Z'}}}]";
    let mut objects = Objects::default();
    objects.load("f", &[pod("job", "10:00:00", ended), pod("web", "12:00:00", "phase: Running")].concat());
    let inventory = Inventory::build(&objects, &Options::default());
    let at = |seconds: i32| format!("TCP 198.51.100.1:{} > 10.0.1.9:80 established at={seconds}", 5000 + seconds.abs());
    let flows: Vec<Flow> = [-5400, -1800, 60].into_iter().map(|seconds| flow(&at(seconds))).collect();
    assert_eq!(
        rows(&resolve(&flows, &Names::default(), &inventory)),
        [
            "198.51.100.1 -> job:80/TCP established handshake external",
            "198.51.100.1 -> web:80/TCP established handshake external",
            "198.51.100.1 -> ?10.0.1.9:80/TCP established handshake external",
        ]
    );
}

#[test]
fn times_and_talks_survive_every_join() {
    let with = |text: &str, talk: Talk| Flow { talk: [talk].into_iter().collect(), ..flow(text) };
    // Noon is where a minute begins.
    // The seconds behind noon at which the bins begin.
    type Row<'a> = (&'static str, &'a [Flow], &'a [i64], &'a [Talk]);
    let rows: [Row<'_>; 3] = [
        (
            "two views of one connection, on both sides of noon",
            &[
                with("TCP web-1:40000 > svc-api:80 established id=7 at=-0.05", Talk::Http),
                with("TCP web-1:40000 > api-1:8080 established id=7 at=0.05", Talk::Tls),
            ],
            &[-60],
            &[Talk::Http, Talk::Tls],
        ),
        (
            "two connections",
            &[
                with("TCP web-1:40000 > api-1:8080 established at=0.05", Talk::Http),
                with("TCP web-2:40000 > api-2:8080 established at=3700", Talk::Http),
            ],
            &[0, 3660],
            &[Talk::Http],
        ),
        (
            "many connections that nobody was seen opening, as one flow, and a view of one of them",
            &[
                Flow {
                    connections: 2,
                    activity: [0, 600].into_iter().fold(Activity::default(), |mut all, seconds| {
                        all.note(flow("TCP web-1:1 > api-1:1 established").first.plus(seconds * SECOND));
                        all
                    }),
                    ..with("TCP web-1:40000 <> svc-api:80 established", Talk::Redis)
                },
                with("TCP web-1:40000 <> api-1:8080 established at=120", Talk::Redis),
            ],
            &[0, 120, 600],
            &[Talk::Redis],
        ),
    ];
    let noon = flow("TCP web-1:1 > api-1:1 established").first;
    for (what, flows, seconds, talks) in rows {
        let last = flows.iter().map(|flow| flow.last).max().unwrap();
        let flows: Vec<Flow> = flows.iter().cloned().map(|flow| Flow { last, ..flow }).collect();
        for flows in [flows.clone(), flows.into_iter().rev().collect()] {
            let graph = resolve(&flows, &Names::default(), &cluster()).graph;
            let edges: Vec<&Edge> = graph.edges().collect();
            assert_eq!(edges.len(), 1, "{what}: {edges:#?}");
            let (_, evidence) = edges[0].used().unwrap();
            let found: Vec<i64> = evidence.activity.iter().map(|time| time.since(noon) / SECOND).collect();
            assert_eq!(
                (found.as_slice(), evidence.talks.iter().collect::<Vec<_>>().as_slice()),
                (seconds, talks),
                "{what}"
            );
        }
    }
}
