//! Connections by the thousand, from one namespace to another. Client and server are processes of this test binary: real
//! programs would cost more than the recorder that watches them.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, ChildStdin, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;
use tokio::time::sleep;

use super::space::Network;
use crate::shared::noted;

/// What a process is to be: `serve ADDRESS` or `call ADDRESS RATE`.
const ROLE: &str = "RINGFENCE_TEST_FLOOD";

/// Connections that are opened at once.
const CALLERS: u64 = 16;

/// How long something goes on: `RINGFENCE_TEST_SECONDS`, else `usual`.
pub fn seconds(usual: u64) -> Duration {
    Duration::from_secs(env::var("RINGFENCE_TEST_SECONDS").map_or(usual, |text| text.parse().unwrap()))
}

/// A server or a client; it ends with the test.
pub struct Flood {
    child: Child,
    input: Option<ChildStdin>,
    said: BufReader<ChildStderr>,
}

impl Flood {
    /// A server that takes connections and closes them.
    pub fn serve(network: &Network, space: &str, address: &str) -> Flood {
        let mut server = Flood::start(network, space, &format!("serve {address}"));
        assert_eq!(server.line(), "serving");
        server
    }

    /// A client that opens so many connections a second. Each sends a byte and is reset, so that its port is free at once.
    pub fn call(network: &Network, space: &str, address: &str, rate: u64) -> Flood {
        Flood::start(network, space, &format!("call {address} {rate}"))
    }

    fn start(network: &Network, space: &str, role: &str) -> Flood {
        let mut command = network.within(space, env::current_exe().unwrap().to_str().unwrap());
        command.args(["--exact", "kernel::flood::process", "--nocapture"]).env(ROLE, role);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (input, said) = (child.stdin.take(), BufReader::new(child.stderr.take().unwrap()));
        Flood { child, input, said }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim_end().to_string()
    }

    /// How many connections have come about so far; none failed.
    #[track_caller]
    pub fn made(&mut self) -> u64 {
        writeln!(self.input.as_mut().unwrap()).unwrap();
        self.count()
    }

    #[track_caller]
    fn count(&mut self) -> u64 {
        let line = self.line();
        line.strip_suffix(" made, 0 failed").unwrap_or_else(|| panic!("{line:?}")).parse().unwrap()
    }

    /// Ends the client when the connections that it has begun are there; how many it made.
    #[track_caller]
    pub fn stop(mut self) -> u64 {
        self.input = None;
        let made = self.count();
        assert!(self.child.wait().unwrap().success());
        made
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test but the process that [`Flood`] starts.
#[test]
fn process() {
    let Ok(role) = env::var(ROLE) else { return };
    let words: Vec<&str> = role.split(' ').collect();
    let address: SocketAddr = words[1].parse().unwrap();
    match words[0] {
        "serve" => serve(address),
        _ => call(address, words[2].parse().unwrap()),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn serve(address: SocketAddr) {
    let listen = async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        socket.listen(4096).unwrap().into_std().unwrap()
    };
    let listener = runtime().block_on(listen);
    listener.set_nonblocking(false).unwrap();
    noted("serving");
    loop {
        // A connection that was reset while it waited is none of ours.
        drop(listener.accept());
    }
}

/// What the callers count.
#[derive(Default)]
struct Counts {
    made: AtomicU64,
    failed: AtomicU64,
    over: AtomicBool,
}

impl Counts {
    fn say(&self) {
        let [made, failed] = [&self.made, &self.failed].map(|count| count.load(Ordering::Relaxed));
        noted(&format!("{made} made, {failed} failed"));
    }
}

/// Each line of input asks for the counts; its end is the end.
fn call(address: SocketAddr, rate: u64) {
    let counts = Arc::new(Counts::default());
    let asked = counts.clone();
    std::thread::spawn(move || {
        io::stdin().lock().lines().map_while(Result::ok).for_each(|_| asked.say());
        asked.over.store(true, Ordering::Relaxed);
    });
    runtime().block_on(async {
        let begun = Instant::now();
        let callers = (0..CALLERS).map(|caller| {
            let counts = counts.clone();
            async move {
                let mut own = 0;
                while !counts.over.load(Ordering::Relaxed) {
                    let due = begun.elapsed().as_micros() as u64 * rate / 1_000_000;
                    if own * CALLERS + caller >= due {
                        sleep(Duration::from_millis(1)).await;
                        continue;
                    }
                    own += 1;
                    let count = if connect(address).await.is_ok() { &counts.made } else { &counts.failed };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        futures::future::join_all(callers).await;
    });
    counts.say();
}

async fn connect(address: SocketAddr) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_zero_linger()?;
    let stream = socket.connect(address).await?;
    // A reset right behind the handshake would be a probe's.
    stream.try_write(b"x").map(drop)
}
