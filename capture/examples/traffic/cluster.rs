//! Who there is to talk: pods, the Services in front of them, and addresses outside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::random::{Random, mix};

/// Pods that open connections; those behind them only serve.
pub(crate) const CLIENTS: u32 = 300;
const NODES: u32 = 40;
const SERVICES: u32 = 240;
const OUTSIDE: u32 = 20;
/// Documentation addresses: RFC 5737, and RFC 3849 for IPv6.
const OUTSIDE_NETWORK: [u8; 2] = [203, 0];
/// Services that one client uses.
const USED: u32 = 26;

/// An address and a port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Socket {
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
}

/// What is said on a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Talk {
    Http,
    Tls,
    Binary,
    Dns,
}

/// Which addresses a capture shows of connections to a Service.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// Clients dial pods (a headless Service), or an address outside.
    Direct,
    /// Clients dial the Service's address, and the capture ends before it is translated.
    Dialled,
    /// Clients dial the Service's address, and the capture shows the pod's as well.
    Both,
}

/// A Service.
pub(crate) struct Service {
    pub(crate) number: u32,
    pub(crate) view: View,
    pub(crate) talk: Talk,
    port: u16,
    target: u16,
    first: u32,
    pods: u32,
}

impl Service {
    /// Whether it is not in the cluster.
    pub(crate) fn outside(&self) -> bool {
        self.number >= SERVICES
    }

    /// Its own address and port.
    pub(crate) fn frontend(&self, six: bool) -> Socket {
        Socket { ip: address(six, [10, 96], self.number), port: self.port }
    }

    /// One of the pods behind it, or of the addresses outside.
    pub(crate) fn backend(&self, six: bool, random: &mut Random) -> (u32, Socket) {
        let pod = self.first + random.below(self.pods);
        let ip = if self.outside() { address(six, OUTSIDE_NETWORK, 113 * 250 + pod) } else { pod_address(six, pod) };
        (pod, Socket { ip, port: self.target })
    }
}

/// One of the Services that a client uses, and whether it does so over IPv6.
pub(crate) struct Use {
    pub(crate) service: u32,
    pub(crate) six: bool,
}

/// All of them.
pub(crate) struct Cluster {
    pub(crate) services: Vec<Service>,
    /// By client.
    pub(crate) uses: Vec<Vec<Use>>,
}

impl Cluster {
    pub(crate) fn new(random: &mut Random) -> Cluster {
        const PORTS: [(u16, u16, Talk); 8] = [
            (80, 8080, Talk::Http),
            (443, 8443, Talk::Tls),
            (80, 3000, Talk::Http),
            (50051, 50051, Talk::Binary),
            (8080, 8080, Talk::Http),
            (6379, 6379, Talk::Binary),
            (443, 6443, Talk::Tls),
            (5432, 5432, Talk::Binary),
        ];
        let mut first = CLIENTS;
        let mut services: Vec<Service> = Vec::new();
        for number in 0..SERVICES {
            let (port, target, talk) = PORTS[(mix(u64::from(number)) % 8) as usize];
            let view = match number % 10 {
                0 => View::Both,
                1..=4 => View::Direct,
                _ => View::Dialled,
            };
            let pods = random.between(2, 9);
            services.push(Service { number, view, talk, port, target, first, pods });
            first += pods;
        }
        for number in SERVICES..SERVICES + OUTSIDE {
            let first = number - SERVICES;
            let (port, pods) = (443, 1);
            services.push(Service { number, view: View::Direct, talk: Talk::Tls, port, target: port, first, pods });
        }
        let used = |random: &mut Random| Use { service: random.below(SERVICES + OUTSIDE), six: random.chance(80) };
        let uses = (0..CLIENTS).map(|_| (0..USED).map(|_| used(random)).collect()).collect();
        Cluster { services, uses }
    }

    /// The resolver of a client: mostly the Service's address, for some a pod's. Its pods serve nothing else.
    pub(crate) fn resolver(client: u32) -> Socket {
        let six = client % 12 == 5;
        let ip =
            if client.is_multiple_of(4) { pod_address(six, 5000 + client % 8) } else { address(six, [10, 96], 9000) };
        Socket { ip, port: 53 }
    }
}

/// The address of a pod, one network for each node.
pub(crate) fn pod_address(six: bool, pod: u32) -> IpAddr {
    address(six, [10, 244], (pod % NODES) * 250 + pod / NODES)
}

/// The address of the node that a pod is on.
pub(crate) fn node_address(pod: u32) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 10, (pod % NODES + 1) as u8)
}

/// The `number`th address of a network.
fn address(six: bool, network: [u8; 2], number: u32) -> IpAddr {
    let (high, low) = ((number / 250) as u8, (number % 250 + 1) as u8);
    if six {
        let group = u16::from;
        let (first, second) = if network == OUTSIDE_NETWORK { (0x2001, 0xdb8) } else { (0xfd00, group(network[0])) };
        IpAddr::V6(Ipv6Addr::new(first, second, group(network[1]), group(high), 0, 0, 0, group(low)))
    } else {
        IpAddr::V4(Ipv4Addr::new(network[0], network[1], high, low))
    }
}
