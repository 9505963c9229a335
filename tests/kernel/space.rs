//! Namespaces, and what runs in them. Everything that was started ends with the network, also where a test fails.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::program::{Run, command};
use crate::shared::skipped;

/// One network at a time: the machine has two cores.
static ONE: Mutex<()> = Mutex::new(());

/// Namespaces of one test.
pub struct Network {
    prefix: String,
    children: Vec<Child>,
    scratch: TempDir,
    _one: std::sync::MutexGuard<'static, ()>,
}

/// A connection that somebody keeps open.
pub struct Held(Mutex<ChildStdin>);

/// A recorder at work: its place among the children.
pub struct Recorder(usize);

fn script() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "tests", "kernel", "network"].iter().collect()
}

fn installed(program: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|directory| directory.join(program).is_file())
}

impl Network {
    /// Makes the namespaces; `None`, with a line, where this machine or user cannot.
    pub fn new(tests: &str) -> Option<Network> {
        let one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_root = std::fs::read_to_string("/proc/self/status")
            .is_ok_and(|status| status.lines().any(|line| line.starts_with("Uid:\t0\t")));
        if !is_root {
            skipped(tests, "not root");
            return None;
        }
        let programs =
            ["ip", "bridge", "nft", "sysctl", "nginx", "redis-server", "redis-cli", "dnsmasq", "curl", "dig"];
        if let Some(missing) = programs.into_iter().find(|program| !installed(program)) {
            skipped(tests, &format!("{missing} is not installed"));
            return None;
        }
        let prefix = format!("rfk{}", std::process::id());
        let made = Command::new(script()).args(["up", &prefix]).output().unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let network = Network { prefix, children: Vec::new(), scratch, _one: one };
        if !made.status.success() {
            skipped(tests, &format!("no namespaces: {}", String::from_utf8_lossy(&made.stderr).trim()));
            return None;
        }
        Some(network)
    }

    /// A program in a namespace.
    pub fn within(&self, space: &str, program: &str) -> Command {
        let mut within = Command::new("ip");
        within.args(["netns", "exec", &format!("{}-{space}", self.prefix), program]);
        within.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        within
    }

    fn start(&mut self, mut command: Command) -> usize {
        self.children.push(command.spawn().unwrap());
        self.children.len() - 1
    }

    /// Runs a program to its end; whether it went well.
    pub fn done(&self, mut command: Command) -> bool {
        command.status().unwrap().success()
    }

    /// nginx, on `listen` addresses; each request is a connection.
    pub fn serve_http(&mut self, space: &str, listen: &[&str]) {
        let directory = self.scratch.path().join(space);
        std::fs::create_dir_all(&directory).unwrap();
        let at = directory.display();
        let listens: String = listen.iter().map(|address| format!("listen {address};")).collect();
        let config = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error;\nevents {{ worker_connections 64; }}\n\
             http {{ access_log off; client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;\n\
             uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;\nserver {{ {listens} location / {{ return 200 ok; }} }} }}"
        );
        let file = directory.join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let mut nginx = self.within(space, "nginx");
        nginx.arg("-c").arg(&file).arg("-e").arg(directory.join("error"));
        self.start(nginx);
        for address in listen {
            let fetch = || {
                let mut curl = self.within(space, "curl");
                curl.args(["-sf", "-o", "/dev/null", &format!("http://{address}/")]);
                self.done(curl)
            };
            until(&format!("nginx on {address}"), fetch);
        }
    }

    pub fn serve_redis(&mut self, space: &str, address: &str, port: u16) {
        let mut redis = self.within(space, "redis-server");
        redis.args(["--bind", address, "--port", &port.to_string(), "--save", "", "--protected-mode", "no"]);
        redis.current_dir(self.scratch.path());
        self.start(redis);
        until("redis", || {
            let mut ping = self.within(space, "redis-cli");
            ping.args(["-h", address, "-p", &port.to_string(), "ping"]);
            self.done(ping)
        });
    }

    pub fn serve_dns(&mut self, space: &str, address: &str, port: u16) {
        let mut dns = self.within(space, "dnsmasq");
        dns.args(["--no-daemon", "--no-resolv", "--no-hosts", "--bind-interfaces", "--address=/#/198.51.100.77"]);
        dns.args([&format!("--listen-address={address}"), &format!("--port={port}"), "--user=root", "--pid-file="]);
        self.start(dns);
        until("dnsmasq", || self.asked(space, address, port));
    }

    fn asked(&self, space: &str, address: &str, port: u16) -> bool {
        let mut dig = self.within(space, "dig");
        dig.args(["+tries=1", "+time=2", "-p", &port.to_string(), &format!("@{address}"), "shop.example"]);
        self.done(dig)
    }

    /// One HTTP request on a connection of its own.
    #[track_caller]
    pub fn fetch(&self, space: &str, url: &str) {
        let mut curl = self.within(space, "curl");
        curl.args(["-sf", "-m", "5", "-o", "/dev/null", url]);
        assert!(self.done(curl), "{space} {url}");
    }

    /// Connections to redis, one after the other.
    #[track_caller]
    pub fn redis(&self, space: &str, address: &str, port: u16, count: usize) {
        for _ in 0..count {
            let mut ping = self.within(space, "redis-cli");
            ping.args(["-h", address, "-p", &port.to_string(), "ping"]);
            assert!(self.done(ping), "{space} {address}:{port}");
        }
    }

    /// What an address answers to an HTTP request.
    pub fn answer(&self, space: &str, url: &str) -> String {
        let mut curl = self.within(space, "curl");
        let output = curl.args(["-s", "-m", "5", url]).stdout(Stdio::piped()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// One question over UDP.
    #[track_caller]
    pub fn dig(&self, space: &str, address: &str, port: u16) {
        assert!(self.asked(space, address, port), "{space} {address}:{port}");
    }

    /// `ip` with arguments in a space.
    pub fn ip(&self, space: &str, args: &str) -> Command {
        let mut ip = self.within(space, "ip");
        ip.args(args.split_whitespace());
        ip
    }

    /// A connection that does not come up.
    pub fn attempt(&self, space: &str, address: &str) {
        let mut curl = self.within(space, "curl");
        curl.args(["-s", "-m", "1", &format!("http://{address}/")]);
        assert!(!self.done(curl), "{space} {address}");
    }

    /// Opens a connection to redis and keeps it.
    pub fn hold(&mut self, space: &str, address: &str) -> Held {
        let (host, port) = address.rsplit_once(':').unwrap();
        let mut client = self.within(space, "redis-cli");
        client.args(["-h", host, "-p", port]).stdin(Stdio::piped());
        let mut child = client.spawn().unwrap();
        let held = Held(Mutex::new(child.stdin.take().unwrap()));
        self.children.push(child);
        held.talk();
        held
    }

    /// A pod more.
    pub fn add_pod(&self, node: &str, letter: &str, number: &str) {
        let made = Command::new(script()).args(["pod", &self.prefix, node, letter, number]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// Gives this machine an address beside the nodes.
    pub fn join(&self, address: &str) {
        let made = Command::new(script()).args(["api", &self.prefix, address]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// Takes that address off the wire, or puts it back.
    pub fn reach(&self, state: &str) {
        let link = format!("{}-api", self.prefix);
        assert!(Command::new("ip").args(["link", "set", &link, state]).status().unwrap().success());
    }

    /// Starts `ringfence record` on a node, and waits until it does.
    pub fn record(&mut self, node: &str, args: &str) -> Recorder {
        self.run(node, &format!("record {args}"), "recording")
    }

    /// Starts the program on a node, and waits until it has said `word`.
    pub fn run(&mut self, node: &str, args: &str, word: &str) -> Recorder {
        self.run_with(node, args, word, &[])
    }

    /// [`Network::run`] with an environment.
    pub fn run_with(&mut self, node: &str, args: &str, word: &str, environment: &[(&str, &Path)]) -> Recorder {
        let program = command(self.scratch.path());
        let mut record = self.within(node, env!("CARGO_BIN_EXE_ringfence"));
        record.args(args.split_whitespace());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => record.env(name, value),
                None => record.env_remove(name),
            };
        }
        record.envs(environment.iter().copied());
        let said = self.scratch.path().join(format!("record-{}", self.children.len()));
        record.stderr(std::fs::File::create(&said).unwrap());
        let place = self.start(record);
        until(args, || std::fs::read_to_string(&said).is_ok_and(|text| text.contains(word)));
        Recorder(place)
    }

    /// The process of a recorder.
    pub fn process(&self, recorder: &Recorder) -> u32 {
        self.children[recorder.0].id()
    }

    /// What it has said so far.
    pub fn said(&self, recorder: &Recorder) -> String {
        std::fs::read_to_string(self.scratch.path().join(format!("record-{}", recorder.0))).unwrap()
    }

    /// Ends a recorder by SIGTERM.
    pub fn stop(&mut self, recorder: Recorder) -> Run {
        signal(self.process(&recorder), "TERM");
        self.ended(recorder)
    }

    /// Waits for a recorder's end.
    pub fn ended(&mut self, Recorder(place): Recorder) -> Run {
        let exit = self.children[place].wait().unwrap().code().unwrap_or(-1);
        let stderr = self.said(&Recorder(place));
        Run { exit, stdout: String::new(), stderr }
    }

    pub fn wait(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// Sends a signal by its name.
pub fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().unwrap();
    assert!(sent.success());
}

#[track_caller]
pub fn until(what: &str, test: impl FnMut() -> bool) {
    until_within(Duration::from_secs(20), what, test);
}

/// Waits for something, for this long at most.
#[track_caller]
pub fn until_within(patience: Duration, what: &str, mut test: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !test() {
        assert!(begun.elapsed() < patience, "{what} does not come up");
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Held {
    /// Sends something on it.
    pub fn talk(&self) {
        let mut input = self.0.lock().unwrap();
        input.write_all(b"ping\n").unwrap();
        input.flush().unwrap();
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = Command::new(script()).args(["down", &self.prefix]).output();
    }
}
