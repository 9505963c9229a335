//! Random logs: merging is a union, what is written is read, and who is killed loses no batch in part.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Command, Stdio};

use capture::flow::{Side, Socket, Speech};
use capture::time::SECOND;
use capture::{Activity, Decoded, Flow, LinkType, Opening, Outcome, Proof, Protocol, Talk, Tally, Timestamp};
use proptest::prelude::*;
use rusqlite::types::Value;

use super::row::Recorded;
use super::table::TABLES;
use super::*;
use crate::source::{Fault, Source};

/// All rows of all tables in order, with the names of observers in place of their numbers.
fn dump(log: &Log) -> Vec<String> {
    let mut names = BTreeMap::new();
    let mut lines = Vec::new();
    for table in TABLES {
        let mut statement = log.connection.prepare(&table.select_all()).unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let mut values: Vec<Value> = (0..table.columns.len()).map(|at| row.get(at).unwrap()).collect();
            let Value::Integer(id) = values.remove(0) else { panic!("{table:?}") };
            if table.name == "observer" {
                names.insert(id, format!("{:?}", values[0]));
            }
            lines.push(format!("{} {} {values:?}", table.name, names[&id]));
        }
    }
    lines.sort();
    lines
}

fn merged(paths: &[&Path]) -> Vec<String> {
    let mut all = Log::temporary().unwrap();
    combine(&mut all, &paths.iter().map(|path| path.to_path_buf()).collect::<Vec<_>>()).unwrap();
    dump(&all)
}

prop_compose! {
    fn flows()(
        client in 1u8..4, port in 0u16..3, server in 1u8..4, opening in 0u8..5, outcome in 0usize..6, second in 0i64..20_000,
        length in 0i64..10_000, connections in 1u64..5, latency in 0u32..3, protocol in 0usize..3,
    ) -> Flow {
        let socket = |host: u8, port: u16| Socket { ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)), port };
        let (first, last) = (Timestamp(second * SECOND + 7), Timestamp((second + length) * SECOND + 7));
        let opening = match opening {
            0 => {
                let speech = Speech { request: port == 1, response: port == 2 };
                let side = |host, port, speech| Side { socket: socket(host, port), speech };
                Opening::Unseen { sides: [side(client, port, speech), side(server, 80, Speech::default())] }
            }
            kind => Opening::Seen {
                client: socket(client, 40000 + port),
                dialled: socket(server, 80),
                served: (kind == 2).then(|| socket(9, 8080)),
                proof: [Proof::Handshake, Proof::HalfHandshake, Proof::FirstPacket][usize::from(kind) % 3],
                identity: u32::from(port) * 1_000_000_007,
            },
        };
        let mut activity = Activity::at(first);
        if matches!(opening, Opening::Unseen { .. }) && connections > 1 {
            activity.note(last);
        }
        Flow {
            protocol: Protocol::ALL[protocol],
            opening,
            outcome: Outcome::ALL[outcome],
            connections,
            first,
            last,
            newest: first,
            activity,
            latency: (0..latency).map(|value| (value * 100, value + 1)).collect(),
            datagrams: connections / 2,
            dns: port == 2,
            talk: (port == 1).then_some(Talk::Tls).into_iter().collect(),
            translated: client == 3,
        }
    }
}

prop_compose! {
    fn batches()(
        counted in proptest::collection::vec(flows(), 0..6), alone in proptest::collection::vec(flows(), 0..4),
        pending in proptest::collection::vec(flows(), 0..3), version in 0u64..4, until in 0i64..3, packets in 0u64..5,
    ) -> Batch {
        let stretched = |flows: Vec<Flow>| -> Vec<(Timestamp, Flow)> {
            let seen = flows.into_iter().filter(|flow| matches!(flow.opening, Opening::Seen { .. }));
            seen.map(|flow| (stretch(&flow, HOUR, &Default::default()), flow)).collect()
        };
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
        let interface = capture::file::Interface {
            name: Some("eth0".to_string()), link: LinkType::Ethernet, frames: packets, received: Some(packets),
            accepted: None, dropped_by_interface: None, dropped_by_system: (packets > 2).then_some(1),
        };
        Batch {
            counted: stretched(counted),
            alone,
            pending: stretched(pending),
            pods: vec![KnownPod {
                uid: "u1".to_string(), version, namespace: "shop".to_string(), name: "web".to_string(),
                owner: (version > 1).then(|| ("Deployment".to_string(), "web".to_string())), node: "n1".to_string(),
                object: format!("{{\"version\":{version}}}"),
            }],
            tenures: vec![Tenure {
                address, pod: "u1".to_string(), since: Timestamp(0), until: (until > 0).then_some(Timestamp(until)),
            }],
            folded: (until > 1).then(|| ("203.0.113.0/24".parse().unwrap(), packets)).into_iter().collect(),
            names: vec![(address, format!("name-{version}.example"), address)],
            sources: vec![Source {
                id: "eth0".to_string(), run: 0, name: "eth0".to_string(), position: 0,
                span: Some((Timestamp(5), Timestamp(5 + until))), frames: packets, damaged: 0,
                first_damaged: None, damage: None, interfaces: vec![interface],
            }],
            tally: Tally { decoded: Decoded { frames: packets, packets, ..Decoded::default() }, ..Tally::default() },
            ..Batch::default()
        }
    }
}

/// Two observers, of which the second may not be there; and how many of the first's batches each of three logs has.
fn written(directory: &Path, name: &str, flushes: &[Batch], others: &[Batch]) -> PathBuf {
    let path = directory.join(name);
    let mut log = Log::create_or_open(&path).unwrap();
    for (name, batches) in [("node-a", flushes), ("node-b", others)] {
        for batch in batches {
            let observer = log.observer(name, Kind::Agent, name, HOUR).unwrap();
            log.append(observer, batch).unwrap();
        }
    }
    log.close().unwrap();
    path
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    /// Of one observer that goes on recording, logs are copies from different times; others have nothing to do with it.
    #[test]
    fn merging_is_commutative_associative_and_idempotent(
        batches in proptest::collection::vec(batches(), 3), other in proptest::collection::vec(batches(), 0..2),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let a = written(directory.path(), "a.db", &batches[..1], &other);
        let b = written(directory.path(), "b.db", &batches[..2], &[]);
        let c = written(directory.path(), "c.db", &batches, &[]);
        let all = merged(&[&a, &b, &c]);
        for order in [[&a, &c, &b], [&b, &a, &c], [&b, &c, &a], [&c, &a, &b], [&c, &b, &a]] {
            prop_assert_eq!(&merged(&order.map(PathBuf::as_path)), &all);
        }
        let (ab, bc) = (directory.path().join("ab.db"), directory.path().join("bc.db"));
        write(&ab, &[a.clone(), b.clone()]).unwrap();
        write(&bc, &[b.clone(), c.clone()]).unwrap();
        prop_assert_eq!(&merged(&[&ab, &c]), &all);
        prop_assert_eq!(&merged(&[&a, &bc]), &all);
        prop_assert_eq!(&merged(&[&ab, &bc, &ab, &c, &a]), &all);
        // The longest recording of an observer holds all that the shorter ones do.
        prop_assert_eq!(merged(&[&a, &b, &c]), merged(&[&a, &c]));
        if other.is_empty() {
            prop_assert_eq!(&dump(&Log::open_read(&c).unwrap()), &all);
        }
    }

    /// The same rows in any order make the same file but for the places of bytes.
    #[test]
    fn merged_files_are_the_same_bytes(batches in proptest::collection::vec(batches(), 2)) {
        let directory = tempfile::tempdir().unwrap();
        let a = written(directory.path(), "a.db", &batches[..1], &[]);
        let b = written(directory.path(), "b.db", &[], &batches[1..]);
        let (one, two) = (directory.path().join("one.db"), directory.path().join("two.db"));
        write(&one, &[a.clone(), b.clone()]).unwrap();
        write(&two, &[b, a.clone(), one.clone()]).unwrap();
        prop_assert!(std::fs::read(&one).unwrap() == std::fs::read(&two).unwrap());
    }

    #[test]
    fn flows_are_read_as_they_were_written(flow in flows()) {
        let mut log = Log::temporary().unwrap();
        let observer = log.observer("node-a", Kind::Record, "", SECOND).unwrap();
        let is_seen = matches!(flow.opening, Opening::Seen { .. });
        let counted = is_seen.then(|| (stretch(&flow, SECOND, &Default::default()), flow.clone()));
        log.append(observer, &Batch { counted: counted.into_iter().collect(), alone: vec![flow.clone()], ..Batch::default() })
            .unwrap();
        let mut found = Vec::new();
        log.flows(|recorded| found.push(recorded)).unwrap();
        let expected = |alone| Recorded { observer: 1, alone, flow: flow.clone() };
        let both: Vec<Recorded> = is_seen.then(|| expected(false)).into_iter().chain([expected(true)]).collect();
        prop_assert_eq!(found, both);
    }
}

#[test]
fn coverage_is_read_as_it_was_written() {
    let fault = |packet| Some(Fault { packet, offset: 7, message: "cut short: 3 of 9 bytes".to_string() });
    let source = Source {
        id: "abc".to_string(),
        run: 1,
        name: "node-a.pcap".to_string(),
        position: 2,
        span: None,
        frames: 0,
        damaged: 3,
        first_damaged: fault(4),
        damage: fault(9),
        interfaces: vec![capture::file::Interface {
            name: None,
            link: LinkType::UNDESCRIBED,
            frames: 0,
            received: Some(0),
            accepted: None,
            dropped_by_interface: Some(2),
            dropped_by_system: None,
        }],
    };
    let mut log = Log::temporary().unwrap();
    let observer = log.observer("node-a", Kind::Record, "", SECOND).unwrap();
    log.append(observer, &Batch { sources: vec![source.clone()], ..Batch::default() }).unwrap();
    assert_eq!(log.watchers().unwrap()[0].sources, [source]);
}

/// Counters grow with every flush; attempts are what the last one says, and go when they are answered.
#[test]
fn a_flush_adds_and_replaces() {
    let mut log = Log::temporary().unwrap();
    let observer = log.observer("node-a", Kind::Agent, "n1", HOUR).unwrap();
    let flow = |outcome, connections, second| (Timestamp(0), sample(outcome, connections, second));
    let flushes = [
        (vec![flow(Outcome::Established, 2, 10)], vec![flow(Outcome::Unanswered, 3, 20)]),
        (vec![flow(Outcome::Established, 1, 5)], vec![flow(Outcome::Unanswered, 1, 20)]),
        (vec![], vec![]),
    ];
    let mut seen = Vec::new();
    for (counted, pending) in flushes {
        log.append(observer, &Batch { counted, pending, ..Batch::default() }).unwrap();
        let mut found = Vec::new();
        log.flows(|recorded| found.push((recorded.flow.outcome, recorded.flow.connections, recorded.flow.first.0)))
            .unwrap();
        seen.push(found);
    }
    let (worked, tried) = (Outcome::Established, Outcome::Unanswered);
    let expected = [vec![(worked, 2, 10), (tried, 3, 20)], vec![(worked, 3, 5), (tried, 1, 20)], vec![(worked, 3, 5)]];
    assert_eq!(seen, expected);
}

#[test]
fn pods_are_read_with_what_they_held() {
    let mut log = Log::temporary().unwrap();
    let observer = log.observer("node-a", Kind::Agent, "n1", HOUR).unwrap();
    let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let tenure = |until: Option<i64>| Tenure {
        address,
        pod: "u1".to_string(),
        since: Timestamp(5),
        until: until.map(Timestamp),
    };
    let pod = |version: u64| KnownPod {
        uid: "u1".to_string(),
        version,
        namespace: "shop".to_string(),
        name: "web".to_string(),
        owner: Some(("Deployment".to_string(), "web".to_string())),
        node: "n1".to_string(),
        object: format!("{{\"version\":{version}}}"),
    };
    // The pod ends with a newer version, and an older one comes late.
    for (version, until) in [(2, None), (3, Some(9)), (1, None)] {
        let batch = Batch { pods: vec![pod(version)], tenures: vec![tenure(until)], ..Batch::default() };
        log.append(observer, &batch).unwrap();
    }
    let expected = synth::manifest::ObservedPod {
        object: "{\"version\":3}".to_string(),
        owner: Some(("Deployment".to_string(), "web".to_string())),
        tenures: vec![(address, Timestamp(5), Some(Timestamp(9)))],
    };
    assert_eq!(log.pods().unwrap(), [expected]);
}

/// Both nodes see a connection between their pods; the client's counts.
#[test]
fn what_two_agents_saw_counts_once() {
    let mut log = Log::temporary().unwrap();
    for (name, host, connections) in [("node-b", 1, 3), ("node-a", 2, 4)] {
        let observer = log.observer(name, Kind::Agent, name, HOUR).unwrap();
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, host));
        let span = (Timestamp(0), Timestamp(HOUR));
        let source = Source::file("eth0", 0, Some(span), Default::default(), None);
        let batch = Batch {
            counted: vec![(Timestamp(0), sample(Outcome::Established, connections, 7))],
            tenures: vec![Tenure { address, pod: "u".to_string(), since: Timestamp(0), until: None }],
            sources: vec![source],
            ..Batch::default()
        };
        log.append(observer, &batch).unwrap();
    }
    let asked = crate::args::Window { since: None, until: None };
    let traffic = log.traffic(&Default::default(), &asked).unwrap();
    assert_eq!(traffic.tracked.flows.iter().map(|flow| flow.connections).collect::<Vec<_>>(), [3]);
    let names: Vec<&str> = traffic.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!((names, traffic.only_captures), (vec!["node-a eth0", "node-b eth0"], false));
}

fn sample(outcome: Outcome, connections: u64, first: i64) -> Flow {
    let socket = |host: u8, port: u16| Socket { ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)), port };
    Flow {
        protocol: Protocol::Tcp,
        opening: Opening::Seen {
            client: socket(1, 40000),
            dialled: socket(2, 80),
            served: None,
            proof: Proof::Handshake,
            identity: 1,
        },
        outcome,
        connections,
        first: Timestamp(first),
        last: Timestamp(first),
        newest: Timestamp(first),
        activity: Activity::at(Timestamp(first)),
        latency: Default::default(),
        datagrams: 0,
        dns: false,
        talk: Default::default(),
        translated: false,
    }
}

/// Rows of a batch of [`append_for_ever`].
const ROWS: i64 = 50;

/// Not a test but a program to be killed: appends until then to the log that the environment names.
#[test]
fn append_for_ever() {
    let Some(path) = std::env::var_os("RINGFENCE_TEST_APPEND_TO") else { return };
    let mut log = Log::create_or_open(Path::new(&path)).unwrap();
    let observer = log.observer("node-a", Kind::Record, "", SECOND).unwrap();
    loop {
        let start: i64 = log.connection.query_row("SELECT count(*) FROM flow", [], |row| row.get(0)).unwrap();
        let counted = (start..start + ROWS).map(|second| {
            let flow = sample(Outcome::Established, 1, second * SECOND);
            (flow.first, flow)
        });
        let flush = log.append(observer, &Batch { counted: counted.collect(), ..Batch::default() }).unwrap();
        use std::io::Write as _;
        writeln!(std::io::stderr(), "flushed {flush}").unwrap();
    }
}

#[test]
fn who_is_killed_loses_no_batch_in_part() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let mut told = 0;
    for round in 1..=4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "log::tests::append_for_ever", "--nocapture"])
            .env("RINGFENCE_TEST_APPEND_TO", &path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        for _ in 0..round * 7 {
            let line = lines.next().unwrap().unwrap();
            told = line.strip_prefix("flushed ").unwrap_or_else(|| panic!("{line}")).parse::<i64>().unwrap();
        }
        // SIGKILL, at whatever it does just now.
        child.kill().unwrap();
        child.wait().unwrap();
        let log = Log::open_read(&path).unwrap();
        let number = |text| log.connection.query_row(text, [], |row| row.get::<_, i64>(0)).unwrap();
        let (rows, flush) = (number("SELECT count(*) FROM flow"), number("SELECT flush FROM observer"));
        assert_eq!(rows, flush * ROWS, "round {round}");
        assert!(flush >= told, "flush {told} was told and {flush} are there");
        let check: String = log.connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
    }
    // Whoever opens it to write takes in what was left beside it.
    Log::create_or_open(&path).unwrap().close().unwrap();
    assert!(!open::beside(&path).exists());
    assert!(Log::open_read(&path).is_ok());
}
