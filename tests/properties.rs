//! What holds for any traffic: what worked is allowed and nothing else, and neither the order of files and packets nor
//! repetition changes a byte.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use capture::{CaptureFile, LinkType, Protocol};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::FileFailurePersistence;
use synth::evaluate::{Evaluator, Party};
use synth::inventory::{Inventory, Options};
use synth::manifest::Objects;

use crate::packets::{ETHERNET, Frame, SECOND, pcap};
use crate::program::run;
use crate::recordings::RECORDINGS;
use crate::traffic::{self, Conversation};

/// Four workloads in two namespaces, seven pods, and a Service in front of `api`.
const CLUSTER: &str = include_str!("properties.yaml");

const SERVICE: &str = "10.96.0.20:80";
const PROTOCOLS: [Protocol; 3] = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
const PORTS: [u16; 3] = [8080, 9090, 5432];

/// Failures that were found once are tried first.
pub fn config(cases: u32) -> ProptestConfig {
    let regressions = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/regressions.txt");
    let failure_persistence = Some(Box::new(FileFailurePersistence::Direct(regressions)) as _);
    ProptestConfig { cases, failure_persistence, ..ProptestConfig::default() }
}

fn inventory() -> Inventory {
    let mut objects = Objects::default();
    objects.load("properties.yaml", CLUSTER);
    assert_eq!(objects.problems, []);
    Inventory::build(&objects, &Options::default())
}

/// Opened in plain sight, with known ends.
const PLAIN: [&str; 6] =
    ["TCP established", "TCP refused", "TCP unanswered", "TCP probe", "UDP answered", "SCTP established"];

/// Of which packets alone do not say who opened them, or whether they worked.
const DOUBTFUL: [&str; 4] = ["TCP midstream", "UDP oneway", "UDP refused", "SCTP refused"];

/// Conversations among the pods. The client ports go round among so many, so that small numbers use a 5-tuple again.
fn conversations(courses: &[&'static str], client_ports: usize) -> impl Strategy<Value = Vec<Conversation>> + use<> {
    let pods: Vec<IpAddr> = inventory().pods.iter().map(|pod| pod.addresses[0]).collect();
    let ends =
        (select(pods.clone()), select(pods)).prop_filter("a pod with itself", |(client, server)| client != server);
    let one = (ends, select(PORTS.to_vec()), select(courses.to_vec()), 0..600_u64, 0..3);
    prop::collection::vec(one, 1..24).prop_map(move |several| {
        let number = |(index, ((client, server), port, course, at, view)): (usize, ((_, IpAddr), _, &str, _, _))| {
            let server = SocketAddr::new(server, port);
            let by_service = view > 0 && is_api(server) && course.starts_with("TCP");
            Conversation {
                at: traffic::DAY + at * SECOND / 10,
                client: SocketAddr::new(client, 40_000 + (index % client_ports) as u16),
                dialled: if by_service { SERVICE.parse().unwrap() } else { server },
                served: (by_service && view > 1).then_some(server),
                course: course.to_string(),
                payload: [b"ping".to_vec(), b"pong".to_vec()],
            }
        };
        let mut conversations: Vec<Conversation> = several.into_iter().enumerate().map(number).collect();
        // Nobody has two connections between the same sockets at one time.
        let mut taken = BTreeSet::new();
        conversations.retain(|one| taken.insert((one.client, one.at)));
        conversations
    })
}

/// Whether the Service leads there.
fn is_api(socket: SocketAddr) -> bool {
    socket.port() == 8080 && ["10.1.0.7", "10.1.1.7"].contains(&socket.ip().to_string().as_str())
}

/// What flows, policies and the exit code look like for some captures in a directory.
fn outputs(directory: &Path, captures: &str) -> (String, String, i32) {
    let input = format!("--pcap {captures} --cluster cluster.yaml");
    let flows = run(directory, &format!("flows -o json {input}"));
    assert_eq!(flows.exit, 0, "{}", flows.stderr);
    let generated = run(directory, &format!("generate --default-deny {input}"));
    assert!([0, 3].contains(&generated.exit), "{}", generated.stderr);
    (flows.stdout, generated.stdout, generated.exit)
}

/// For each frame in turn, over and over: into which file it goes, and how much later it is written there.
fn places() -> impl Strategy<Value = Vec<(usize, u64)>> {
    prop::collection::vec((0..3_usize, 0..=2 * SECOND), 1..40)
}

/// Writes frames to several files out of order, one at least a link type; returns the files, the last first.
fn scatter(directory: &Path, frames: &[(u32, Frame)], places: &[(usize, u64)]) -> String {
    let mut files: BTreeMap<(u32, usize), Vec<(u64, Frame)>> = BTreeMap::new();
    for ((link, frame), (file, late)) in frames.iter().zip(places.iter().cycle()) {
        files.entry((*link, *file)).or_default().push((frame.0 + late, frame.clone()));
    }
    let mut names = Vec::new();
    for ((link, file), mut frames) in files {
        frames.sort_by_key(|(written, _)| *written);
        let frames: Vec<Frame> = frames.into_iter().map(|(_, frame)| frame).collect();
        let name = format!("{link}-{file}.pcap");
        fs::write(directory.join(&name), pcap(link, &frames)).unwrap();
        names.push(name);
    }
    names.reverse();
    names.join(" ")
}

/// Within two seconds any order is as good as another, also where a client uses its port again.
#[test]
fn packets_of_a_few_seconds_in_any_order() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("cluster.yaml"), CLUSTER).unwrap();
    let retry = |first: &str, second: &str| {
        let line = |second: u64, course| format!("00:00:0{second} 10.1.0.5:40000 -> 10.1.0.9:5432 {course}\n");
        line(1, first) + &line(2, second)
    };
    let mut wrong = String::new();
    for script in [
        retry("TCP refused", "TCP refused"),
        retry("TCP unanswered", "TCP established"),
        retry("TCP refused", "TCP established"),
        retry("TCP established", "TCP refused"),
        retry("TCP established", "TCP established"),
        retry("TCP established", "TCP probe"),
        retry("SCTP refused", "SCTP established"),
        retry("UDP refused", "UDP answered"),
    ] {
        let forward = traffic::frames(&script);
        let reverse: Vec<Frame> = forward.iter().rev().cloned().collect();
        let answers_first: Vec<Frame> = forward.chunks(2).flat_map(|pair| pair.iter().rev().cloned()).collect();
        let [forward, others @ ..] = [forward, reverse, answers_first].map(|frames| {
            fs::write(directory.path().join("one.pcap"), pcap(ETHERNET, &frames)).unwrap();
            outputs(directory.path(), "one.pcap").0
        });
        for other in others.iter().filter(|other| **other != forward) {
            wrong += &format!("{script}in order:\n{forward}in another:\n{other}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn what_worked_is_allowed_and_nothing_else(conversations in conversations(&PLAIN, 1_000)) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("cluster.yaml"), CLUSTER).unwrap();
        fs::write(directory.path().join("one.pcap"), pcap(ETHERNET, &traffic::write(&conversations))).unwrap();
        let (_, policies, exit) = outputs(directory.path(), "one.pcap");
        let mut objects = Objects::default();
        objects.load("stdout", &policies);
        prop_assert_eq!(&objects.problems, &[]);

        let inventory = inventory();
        let owner = |ip| &inventory.pods.iter().find(|pod| pod.addresses.contains(&ip)).unwrap().workload;
        let worked: BTreeSet<_> = conversations
            .iter()
            .filter(|one| ["TCP established", "UDP answered", "SCTP established"].contains(&one.course.as_str()))
            .map(|one| {
                // Whichever pod the Service chose, it was one of `api`.
                let seen = one.served.unwrap_or(one.dialled);
                let server = if seen.to_string() == SERVICE { "10.1.0.7:8080".parse().unwrap() } else { seen };
                let protocol = Protocol::from_name(one.course.split(' ').next().unwrap()).unwrap();
                (owner(one.client.ip()), owner(server.ip()), protocol, server.port())
            })
            .collect();
        prop_assert_eq!(exit, if worked.is_empty() { 3 } else { 0 });
        let isolated: BTreeSet<_> = worked.iter().flat_map(|(client, server, ..)| [*client, *server]).collect();

        let evaluator = Evaluator::new(&objects.policies, &inventory.namespaces);
        for client in &inventory.pods {
            for server in inventory.pods.iter().filter(|server| server.name != client.name) {
                for (protocol, port) in PROTOCOLS.into_iter().flat_map(|protocol| PORTS.map(|port| (protocol, port))) {
                    let allowed = evaluator.allowed(Party::pod(client), Party::pod(server), protocol, port);
                    let seen = worked.contains(&(&client.workload, &server.workload, protocol, port));
                    let open = !isolated.contains(&client.workload) && !isolated.contains(&server.workload);
                    let edge = format!("{} -> {}:{port}/{protocol}", client.name, server.name);
                    prop_assert!(allowed == seen || open && allowed, "{edge}: allowed {allowed}, seen {seen}");
                }
            }
        }
    }

    #[test]
    fn order_and_repetition_change_nothing(
        conversations in conversations(&[PLAIN.as_slice(), &DOUBTFUL].concat(), 3),
        places in places(),
    ) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("cluster.yaml"), CLUSTER).unwrap();
        let frames = traffic::write(&conversations);
        fs::write(directory.path().join("one.pcap"), pcap(ETHERNET, &frames)).unwrap();
        let once = outputs(directory.path(), "one.pcap");
        let frames: Vec<(u32, Frame)> = frames.into_iter().map(|frame| (ETHERNET, frame)).collect();
        let scattered = scatter(directory.path(), &frames, &places);
        prop_assert_eq!(&outputs(directory.path(), &scattered), &once);
        prop_assert_eq!(&outputs(directory.path(), "one.pcap one.pcap"), &once);
    }
}

proptest! {
    #![proptest_config(config(6))]

    #[test]
    fn recordings_in_any_order_are_the_same(places in places()) {
        for recording in &RECORDINGS {
            let directory = tempfile::tempdir().unwrap();
            fs::copy(recording.folder().join("cluster.yaml"), directory.path().join("cluster.yaml")).unwrap();
            let frames: Vec<(u32, Frame)> = recording.paths().iter().flat_map(|path| recorded(path)).collect();
            let captures: Vec<String> = recording.paths().iter().map(|path| path.display().to_string()).collect();
            let captures = captures.join(" ");
            let once = outputs(directory.path(), &captures);
            let scattered = scatter(directory.path(), &frames, &places);
            prop_assert_eq!(&outputs(directory.path(), &scattered), &once, "{}", recording.name);
            let twice = format!("{captures} {captures}");
            prop_assert_eq!(&outputs(directory.path(), &twice), &once, "{} twice", recording.name);
        }
    }
}

/// The frames of a recording with the numbers of their link types.
fn recorded(path: &Path) -> Vec<(u32, Frame)> {
    let mut file = CaptureFile::open(path).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = file.next().unwrap() {
        let link = match frame.link {
            LinkType::Ethernet => ETHERNET,
            LinkType::LinuxSll => 113,
            LinkType::LinuxSll2 => 276,
            LinkType::RawIp => 101,
            other => panic!("{other} in a recording"),
        };
        frames.push((link, (frame.time.0 as u64, frame.data.to_vec())));
    }
    frames
}
