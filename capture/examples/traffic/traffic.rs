//! Who talks when: conversations begin, take turns, and end.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{self, Write};

use crate::cluster::{CLIENTS, Cluster, Socket, Talk, View, node_address, pod_address};
use crate::connection::{Connection, Course};
use crate::random::{Random, mix};
use crate::truth::Truth;
use crate::wire::Capture;

/// What the connections are like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Short,
    Long,
    Full,
}

impl Kind {
    /// Bytes of a frame that are kept.
    pub(crate) fn snap(self) -> u32 {
        if self == Kind::Full { 262_144 } else { 128 }
    }
}

/// Packets a second, about.
const RATE: u64 = 100_000;
/// Captures are at least this long, in microseconds, so that repeated SYNs fit.
const SHORTEST: u64 = 10_000_000;
/// Ports of clients, the first and how many: of connections that are open already, of the others, and of DNS. All are
/// ephemeral ports of Linux (`ip_local_port_range`).
const RUNNING_PORTS: (u16, u16) = (32768, 1000);
const PORTS: (u16, u16) = (33768, 27000);
const DNS_PORTS: (u16, u16) = (32768, 28000);

/// Traffic while it is made.
pub(crate) struct Traffic {
    kind: Kind,
    packets: u64,
    /// Microseconds.
    duration: u64,
    random: Random,
    cluster: Cluster,
    truth: Truth,
    connections: Vec<Connection>,
    free: Vec<u32>,
    /// When each connection goes on.
    turns: BinaryHeap<Reverse<(u64, u32)>>,
    /// Ports taken by a client for a Service, or for DNS.
    ports: HashMap<(u32, u32), u16>,
}

impl Traffic {
    pub(crate) fn new(kind: Kind, packets: u64, seed: u64) -> Traffic {
        let mut random = Random::new(seed);
        let cluster = Cluster::new(&mut random);
        Traffic {
            kind,
            packets,
            duration: (packets * 1_000_000 / RATE).max(SHORTEST),
            random,
            cluster,
            truth: Truth::default(),
            connections: Vec::new(),
            free: Vec::new(),
            turns: BinaryHeap::new(),
            ports: HashMap::new(),
        }
    }

    /// Writes the traffic; returns what it was.
    pub(crate) fn write<W: Write>(mut self, mut capture: Capture<W>) -> io::Result<Truth> {
        if self.kind == Kind::Short {
            // Conversations begin until they will have filled the file; then they end.
            let (mut begin, mut planned) = (0, 0);
            while planned < self.packets {
                self.run(begin, &mut capture)?;
                planned += u64::from(self.begin_short(begin));
                begin += u64::from(self.random.below(200));
            }
        } else {
            self.begin_long();
            // Those that are open when the file is full stay so.
            let lookups = self.packets / 3000;
            for number in 0..lookups {
                let begin = self.duration * 3 / 4 * number / lookups;
                self.run(begin, &mut capture)?;
                self.begin_lookup(begin);
            }
        }
        self.run(u64::MAX, &mut capture)?;
        capture.finish()?;
        Ok(self.truth)
    }

    /// Writes what happens before `end`.
    fn run<W: Write>(&mut self, end: u64, capture: &mut Capture<W>) -> io::Result<()> {
        while let Some(&Reverse((time, index))) = self.turns.peek()
            && time < end
            && (self.kind == Kind::Short || capture.frames < self.packets)
        {
            self.turns.pop();
            let connection = &mut self.connections[index as usize];
            if let Some(segment) = connection.pop() {
                capture.write(time, connection, segment)?;
            }
            match connection.wait(&mut self.random) {
                Some(wait) => self.turns.push(Reverse((time + u64::from(wait), index))),
                None => self.free.push(index),
            }
        }
        Ok(())
    }

    /// Begins a short connection and now and then a DNS lookup; returns how many frames they will be.
    fn begin_short(&mut self, time: u64) -> u32 {
        let mut planned = 0;
        if self.random.chance(140) {
            planned += self.begin_lookup(time);
        }
        let course = self.course(7);
        let mut connection = self.connection(course);
        let lifetime = (50_000 << self.random.below(7)) + self.random.below(50_000);
        let lifetime = (lifetime + self.random.below(lifetime)).min(5_000_000);
        connection.open(course, &mut self.random);
        connection.fill_short(lifetime, &mut self.random);
        planned += connection.waiting() * connection.copies();
        self.add(time, connection);
        planned
    }

    /// Begins all long connections, with as many frames as the file holds and some to spare.
    fn begin_long(&mut self) {
        let (most, bulk) = if self.kind == Kind::Full { (2_000, 900) } else { (18_000, 300) };
        let count = most.min(self.packets / 50).max(1);
        let mut begun: Vec<(u64, u32, Connection)> = Vec::new();
        for _ in 0..count {
            let course = self.course(300);
            let mut connection = self.connection(course);
            connection.open(course, &mut self.random);
            let running = course == Course::Running;
            let within = if running { self.duration / 50 } else { self.duration * 3 / 4 };
            let begin = u64::from(self.random.below(u32::try_from(within).unwrap_or(u32::MAX)));
            // Some are much busier than others.
            let weight = match course {
                Course::Whole | Course::Running => 1 << self.random.below(6),
                Course::Refused | Course::Unanswered => 0,
            };
            begun.push((begin, weight, connection));
        }
        let total: u64 = begun.iter().map(|(_, weight, connection)| u64::from(weight * connection.copies())).sum();
        for (begin, weight, mut connection) in begun {
            if weight > 0 {
                let budget = self.packets * 11 / 10 * u64::from(weight) / total.max(1);
                let rest = self.duration - begin;
                let lifetime = if self.random.chance(250) { rest / 4 + rest / 2 } else { rest };
                let bulk = self.random.chance(bulk);
                connection.fill_long(budget as u32, lifetime, bulk, &mut self.random);
            }
            self.add(begin, connection);
        }
    }

    fn begin_lookup(&mut self, time: u64) -> u32 {
        let client = self.random.skewed(CLIENTS);
        let resolver = Cluster::resolver(client);
        let taken = self.ports.entry((client, u32::MAX)).or_default();
        *taken += 1;
        let client =
            Socket { ip: pod_address(resolver.ip.is_ipv6(), client), port: DNS_PORTS.0 + *taken % DNS_PORTS.1 };
        let answered = !self.random.chance(10);
        let mut connection = Connection::new(Talk::Dns, client, resolver, &mut self.random);
        connection.ask(answered, &mut self.random);
        self.truth.add(client.ip, resolver, "UDP", if answered { "answered" } else { "oneway" });
        let planned = connection.waiting();
        self.add(time, connection);
        planned
    }

    /// How the next connection goes; `running` are open already, in a thousand.
    fn course(&mut self, running: u32) -> Course {
        match self.random.below(1000) {
            number if number < running => Course::Running,
            number if number < running + 15 => Course::Refused,
            number if number < running + 25 => Course::Unanswered,
            _ => Course::Whole,
        }
    }

    /// A connection between somebody and a server that it uses.
    fn connection(&mut self, course: Course) -> Connection {
        let random = &mut self.random;
        let number = random.skewed(CLIENTS);
        let uses = &self.cluster.uses[number as usize];
        let used = &uses[random.skewed(uses.len() as u32) as usize];
        let service = &self.cluster.services[used.service as usize];
        let (pod, mut backend) = service.backend(used.six, random);
        let attempt = matches!(course, Course::Refused | Course::Unanswered);
        // What cannot be proved to be the same connection is seen at one place only.
        let view = match service.view {
            View::Both if course != Course::Whole => View::Dialled,
            view => view,
        };
        let (first, range) = if course == Course::Running { RUNNING_PORTS } else { PORTS };
        let taken = self.ports.entry((number, service.number << 1 | u32::from(course == Course::Running))).or_default();
        *taken = taken.wrapping_add(1);
        let spread = mix(u64::from(number) << 32 | u64::from(service.number)) % u64::from(range);
        let port = first + ((spread + u64::from(*taken)) % u64::from(range)) as u16;
        let client = Socket { ip: pod_address(used.six, number), port };
        if course == Course::Refused {
            // Nobody listens there.
            backend.port += 1;
        }
        let dialled = if view == View::Direct || attempt { backend } else { service.frontend(used.six) };
        let mut connection = Connection::new(service.talk, client, dialled, random);
        connection.served = (view == View::Both).then_some(backend);
        let crosses = (view != View::Dialled) && !service.outside() && node_address(pod) != node_address(number);
        connection.tunnel = (crosses && random.chance(70)).then(|| [node_address(number), node_address(pod)]);
        connection.vlan = (number % 64 == 7).then_some(100);
        let outcome = match course {
            Course::Whole | Course::Running => "established",
            Course::Refused => "refused",
            Course::Unanswered => "unanswered",
        };
        self.truth.add(client.ip, connection.served.unwrap_or(dialled), "TCP", outcome);
        connection
    }

    /// Lets a connection take its first turn.
    fn add(&mut self, time: u64, mut connection: Connection) {
        let Some(wait) = connection.wait(&mut self.random) else { return };
        let index = match self.free.pop() {
            Some(index) => {
                self.connections[index as usize] = connection;
                index
            }
            None => {
                self.connections.push(connection);
                (self.connections.len() - 1) as u32
            }
        };
        self.turns.push(Reverse((time + u64::from(wait), index)));
    }
}
