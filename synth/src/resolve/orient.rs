//! Which side is the server, for flows whose opening nobody saw.

use std::collections::{HashMap, HashSet};

use capture::{Flow, Opening, Outcome, Proof, Protocol, Side, Socket, Timestamp};

use super::Conversation;
use crate::endpoint::Endpoint;
use crate::evidence::Certainty;
use crate::inventory::{Holder, Inventory};

/// This many different sockets behind a port make it a server's.
const MANY: usize = 3;

/// What the other flows tell about sockets.
#[derive(Default)]
struct Known {
    /// Servers of handshakes: exact sockets, and ports of workloads.
    sockets: HashSet<(Protocol, Socket)>,
    ports: HashSet<(Protocol, Endpoint, u16)>,
    /// Sockets at the other ends of conversations without a handshake.
    converge: HashMap<(Protocol, Socket), HashSet<Socket>>,
    /// UDP: how often a socket sent second, and first.
    answers: HashMap<Socket, usize>,
    opens: HashMap<Socket, usize>,
}

/// Gives every flow a client and a server.
pub(super) fn orient(flows: &[Flow], inventory: &Inventory) -> Vec<Conversation> {
    let known = Known::of(flows, inventory);
    flows.iter().map(|flow| conversation(flow, &known, inventory)).collect()
}

impl Known {
    fn of(flows: &[Flow], inventory: &Inventory) -> Known {
        let mut known = Known::default();
        for flow in flows {
            match &flow.opening {
                Opening::Seen { client, dialled, served, proof, .. } => {
                    if *proof == Proof::FirstPacket {
                        *known.opens.entry(*client).or_default() += 1;
                        *known.answers.entry(*dialled).or_default() += usize::from(flow.outcome == Outcome::Answered);
                    } else if flow.outcome == Outcome::Established {
                        known.serves(flow, inventory, [Some(*dialled), *served]);
                    }
                }
                // Clients that did nothing else are nobody's servers; and whom they dialled more than once, is.
                Opening::Alike { dialled, served, proof, .. } => {
                    if *proof == Proof::FirstPacket {
                        let answered = if flow.outcome == Outcome::Answered { flow.connections as usize } else { 0 };
                        *known.answers.entry(*dialled).or_default() += answered;
                    } else if flow.outcome == Outcome::Established {
                        known.serves(flow, inventory, [Some(*dialled), *served]);
                    }
                }
                Opening::Unseen { sides: [low, high] } => {
                    for (here, there) in [(low, high), (high, low)] {
                        known.converge.entry((flow.protocol, here.socket)).or_default().insert(there.socket);
                    }
                }
            }
        }
        known
    }

    fn serves(&mut self, flow: &Flow, inventory: &Inventory, servers: [Option<Socket>; 2]) {
        for socket in servers.into_iter().flatten() {
            self.sockets.insert((flow.protocol, socket));
            self.ports.insert((flow.protocol, inventory.endpoint(socket.ip, flow.first), socket.port));
        }
    }
}

fn conversation(flow: &Flow, known: &Known, inventory: &Inventory) -> Conversation {
    let mut conversation = Conversation {
        protocol: flow.protocol,
        client: std::net::IpAddr::from([0, 0, 0, 0]),
        client_port: None,
        dialled: Socket { ip: std::net::IpAddr::from([0, 0, 0, 0]), port: 0 },
        served: None,
        certainty: Certainty::Guessed,
        outcome: flow.outcome,
        connections: flow.connections,
        first: flow.first,
        last: flow.last,
        newest: flow.newest,
        activity: flow.activity.clone(),
        latency: flow.latency.clone(),
        datagrams: flow.datagrams,
        dns: flow.dns,
        talk: flow.talk,
        identity: None,
        translated: flow.translated,
    };
    let mut client_is = |client: Socket| {
        (conversation.client, conversation.client_port) = (client.ip, Some(client.port));
    };
    match &flow.opening {
        Opening::Alike { client, dialled, served, proof } => {
            (conversation.client, conversation.dialled, conversation.served) = (*client, *dialled, *served);
            conversation.certainty = match proof {
                Proof::Handshake => Certainty::Handshake,
                Proof::HalfHandshake => Certainty::Inferred,
                Proof::FirstPacket => Certainty::FirstPacket,
            };
            conversation.service_first(flow.protocol, inventory);
        }
        Opening::Seen { client, dialled, served, proof: Proof::FirstPacket, .. } => {
            let turned = !flow.dns && sent_by_server(*client, *dialled, flow.first, known, inventory);
            let (client, dialled) = if turned { (dialled, client) } else { (client, dialled) };
            client_is(*client);
            (conversation.dialled, conversation.served) = (*dialled, *served);
            conversation.certainty = if turned { Certainty::Inferred } else { Certainty::FirstPacket };
        }
        Opening::Seen { client, dialled, served, proof, identity } => {
            client_is(*client);
            (conversation.dialled, conversation.served) = (*dialled, *served);
            conversation.identity = Some(*identity);
            conversation.certainty =
                if *proof == Proof::Handshake { Certainty::Handshake } else { Certainty::Inferred };
            conversation.service_first(flow.protocol, inventory);
        }
        Opening::Unseen { sides } => {
            let mut server = None;
            for test in LADDER {
                let [low, high] = [&sides[0], &sides[1]].map(|side| test(side, flow, known, inventory));
                if low != high {
                    server = Some(usize::from(high));
                    break;
                }
            }
            let lower = usize::from(sides[1].socket.port < sides[0].socket.port);
            let index = server.unwrap_or(lower);
            client_is(sides[1 - index].socket);
            conversation.dialled = sides[index].socket;
            conversation.certainty = if server.is_some() { Certainty::Inferred } else { Certainty::Guessed };
        }
    }
    conversation
}

impl Conversation {
    /// Clocks of two capture files may disagree on which view came first; the Service's address was dialled.
    fn service_first(&mut self, protocol: Protocol, inventory: &Inventory) {
        let Some(served) = self.served else { return };
        let is_service = |socket: Socket| inventory.frontend(socket.ip, protocol, socket.port).is_some();
        if !is_service(self.dialled) && is_service(served) {
            (self.dialled, self.served) = (served, Some(self.dialled));
        }
    }
}

/// UDP: whether the first datagram seen is a server's, whose client's came before the capture. Its port has to be
/// declared, or to have answered others more often than it opened; and nothing like it may hold for the other side.
fn sent_by_server(first: Socket, second: Socket, time: Timestamp, known: &Known, inventory: &Inventory) -> bool {
    let declares = |socket: Socket| is_declared(Protocol::Udp, socket, time, inventory);
    let count = |map: &HashMap<Socket, usize>, socket: Socket| map.get(&socket).copied().unwrap_or_default();
    let serves = |socket: Socket| declares(socket) || count(&known.answers, socket) > count(&known.opens, socket);
    serves(first) && !declares(second) && count(&known.answers, second) <= 1 && second.port >= EPHEMERAL
}

/// Whether one side of a flow is the server, by one kind of evidence.
type Evidence = fn(&Side, &Flow, &Known, &Inventory) -> bool;

/// The kinds of evidence; the first that tells the sides apart decides.
const LADDER: [Evidence; 5] = [declared, served_elsewhere, many_converge, speaks_as_server, registered];

/// A declared containerPort, or a Service's port.
fn declared(side: &Side, flow: &Flow, _: &Known, inventory: &Inventory) -> bool {
    is_declared(flow.protocol, side.socket, flow.first, inventory)
}

fn is_declared(protocol: Protocol, socket: Socket, time: Timestamp, inventory: &Inventory) -> bool {
    if inventory.frontend(socket.ip, protocol, socket.port).is_some() {
        return true;
    }
    let declares = |pod: &crate::endpoint::Pod| {
        pod.ports.iter().any(|port| port.protocol == protocol && port.number == socket.port)
    };
    match inventory.holder(socket.ip, time) {
        Holder::Pod(id) => {
            declares(inventory.pod(id)) || inventory.services_of(id, protocol, socket.port).next().is_some()
        }
        Holder::Node(name) => {
            inventory.api_servers().get(&socket.ip) == Some(&socket.port) || inventory.host_pods(name).any(declares)
        }
        _ => false,
    }
}

/// The same server, seen with a handshake elsewhere.
fn served_elsewhere(side: &Side, flow: &Flow, known: &Known, inventory: &Inventory) -> bool {
    known.sockets.contains(&(flow.protocol, side.socket))
        || known.ports.contains(&(flow.protocol, inventory.endpoint(side.socket.ip, flow.first), side.socket.port))
}

/// A port on which many clients converge.
fn many_converge(side: &Side, flow: &Flow, known: &Known, _: &Inventory) -> bool {
    known.converge.get(&(flow.protocol, side.socket)).is_some_and(|peers| peers.len() >= MANY)
}

/// Application bytes: this side answers, or the other asks, and not both.
fn speaks_as_server(side: &Side, flow: &Flow, _: &Known, _: &Inventory) -> bool {
    let Opening::Unseen { sides } = &flow.opening else { return false };
    let other = if sides[0].socket == side.socket { &sides[1] } else { &sides[0] };
    (side.speech.response || other.speech.request) && !(side.speech.request || other.speech.response)
}

/// Linux takes client ports from 32768 on (`ip_local_port_range`), IANA reserves 49152 and above for them.
const EPHEMERAL: u16 = 32768;

/// A registered number. That the other side's is in the ephemeral range follows where only one side passes.
fn registered(side: &Side, flow: &Flow, _: &Known, _: &Inventory) -> bool {
    let Opening::Unseen { sides } = &flow.opening else { return false };
    let other = if sides[0].socket == side.socket { &sides[1] } else { &sides[0] };
    is_registered(side.socket.port) && other.socket.port >= EPHEMERAL
}

/// System ports (RFC 6335 §6) and the user ports that servers in clusters use.
fn is_registered(port: u16) -> bool {
    const USER: [u16; 38] = [
        1433, 1521, 1883, 2049, 2181, 2379, 2380, 3000, 3306, 3389, 4222, 5000, 5432, 5601, 5671, 5672, 5900, 6379,
        6443, 8000, 8080, 8081, 8086, 8443, 8500, 8883, 9000, 9042, 9090, 9092, 9093, 9100, 9200, 9300, 10250, 11211,
        15672, 27017,
    ];
    (1..1024).contains(&port) || USER.contains(&port)
}
