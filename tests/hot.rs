//! A UDP edge that sends more than anybody needs to see: once it is known, the kernel hands over a sample of it, and what
//! the log says of it stays true. Needs what `kernel` needs, and python3.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

use capture::Timestamp;
use capture::time::SECOND;
use rusqlite::Connection;
use serde_json::Value;

use crate::kernel::space::Network;
use crate::kernel::{CLUSTER, assert_edges, edges};
use crate::program::run;
use crate::shared::skipped;

/// Answers whatever comes to two ports.
const SERVER: &str = r#"
import select, socket
both = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
for port, one in zip((8125, 8126), both):
    one.bind(("10.244.1.11", port))
print("ready", flush=True)
while True:
    for one in select.select(both, [], [])[0]:
        data, sender = one.recvfrom(2048)
        one.sendto(data, sender)
"#;

/// Asks one port from one socket for so many seconds, and says each second how often it has asked; then the other port from
/// three sockets, once each, while it goes on.
const CLIENT: &str = r#"
import socket, sys, time
def open(port):
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.connect(("10.244.1.11", port))
    one.settimeout(5)
    return one
def ask(one):
    one.send(b"question")
    one.recv(100)
hot, asked, begun, told = open(8125), 0, time.monotonic(), 0
while told < int(sys.argv[1]):
    ask(hot)
    asked += 1
    if time.monotonic() - begun >= told + 1:
        told += 1
        print(asked, flush=True)
        if told > 10 and told <= 13:
            ask(open(8126))
"#;

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn python(
    network: &Network,
    space: &str,
    program: &str,
    argument: &str,
) -> (Running, impl Iterator<Item = String> + use<>) {
    let mut command = network.within(space, "python3");
    command.args(["-c", program, argument]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    (Running(child), lines)
}

/// Packets that the kernel handed over, as of the last flush.
fn received(log: &Path) -> u64 {
    let text = "SELECT sum(received) FROM interface WHERE source = 'socket'";
    Connection::open(log).unwrap().query_row(text, [], |row| row.get::<_, i64>(0)).unwrap() as u64
}

#[test]
fn a_hot_edge_stays_in_the_kernel_and_is_told_truly() {
    if std::process::Command::new("python3").arg("-V").output().is_err() {
        return skipped("a hot edge", "python3 is not installed");
    }
    let Some(mut network) = Network::new("a hot edge") else { return };
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.db");
    std::fs::write(directory.path().join("cluster.yaml"), CLUSTER).unwrap();
    let (_server, mut ready) = python(&network, "b1", SERVER, "");
    assert_eq!(ready.next().as_deref(), Some("ready"));
    let recorder = network.record("n1", &format!("-i any,!lo --observer n1 --flush 1s --log {}", log.display()));
    let (_client, told) = python(&network, "a1", CLIENT, "20");
    let mut told = told.map(|line| line.parse::<u64>().unwrap());
    // An answered conversation is known after two seconds and a flush, and hot with the next look.
    let whole = told.nth(1).unwrap();
    let asked = told.nth(7).unwrap();
    let before = received(&log);
    assert!(before >= whole, "{before}: what is not known is seen whole, which is twice {whole}");
    let asked = told.last().unwrap() - asked;
    let ended = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let ended = Timestamp(i64::try_from(ended.as_nanos()).unwrap());
    network.wait(Duration::from_millis(1500));
    let passed = received(&log) - before;
    assert!(asked > 5_000, "{asked} questions in ten seconds are not hot on this machine");
    assert!(passed < 2 * asked / 10, "{passed} packets of {asked} questions and as many answers");
    assert_eq!(network.stop(recorder).exit, 0);
    let args = "--log log.db --cluster cluster.yaml";
    let expected = [("a1 -> b1:8125/UDP answered first_packet", 1), ("a1 -> b1:8126/UDP answered first_packet", 3)];
    assert_edges("hot", &edges(directory.path(), args), &expected);
    // A sample shows when it was last heard, too: it is less than a second behind.
    let shown = run(directory.path(), &format!("flows -o json -q {args}"));
    let row = shown.stdout.lines().find(|line| line.contains("8125")).unwrap();
    let row: Value = serde_json::from_str(row).unwrap();
    let last: Timestamp = row["last_seen"].as_str().unwrap().parse().unwrap();
    let behind = ended.since(last);
    assert!((-SECOND..3 * SECOND).contains(&behind), "{behind} ns");
}
