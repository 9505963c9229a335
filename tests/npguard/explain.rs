//! `list --explain`: for every pair the ports that are allowed and denied, and the policies and rules that say so.

use std::collections::BTreeSet;
use std::net::IpAddr;

use synth::evaluate::{Evaluator, Matched, Party, Side};
use synth::exposure::Ports;
use synth::inventory::Inventory;
use synth::policy::{Direction, Policy};
use synth::port::Protocol;
use synth::ports::PortSet;

use super::case::{Case, READING};
use super::names::resolve;
use super::text;

/// What the analyzer says about some ports of a pair.
struct Piece {
    allowed: bool,
    ports: Ports,
    /// By direction: whether it is allowed, and why.
    sides: Vec<(Direction, bool, BTreeSet<Reason>)>,
}

/// Why a side allows or denies something. Rules count from 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// This rule of the policy allows it.
    Allows(String, usize),
    /// The rule fits the peer, but not the port.
    NotThePort(String, usize),
    /// No rule of the policy fits the peer.
    NotThePeer(String),
}

/// Compares a case; the number of pieces compared.
pub fn compare(case: &Case, differing: &mut Vec<String>) -> usize {
    let evaluator = Evaluator::new(case.inventory.policy_set(), &case.inventory.namespaces).with_options(READING);
    let asked = Asked { evaluator: &evaluator, inventory: &case.inventory };
    let outputs = case.expected(["explain", "explain-exposure"]);
    outputs.map(|output| compare_output(&output, &asked, differing)).sum()
}

fn compare_output(output: &str, asked: &Asked, differing: &mut Vec<String>) -> usize {
    let output = output.split("Exposure Analysis Result:").next().unwrap_or_default();
    let (specific, default) = output.split_once("# All Connections due to the system default").unwrap_or((output, ""));
    let mut compared = 0;
    for part in specific.split("\nConnections between ").skip(1) {
        let (pair, body) = part.split_once(":\n").unwrap();
        let pieces = read(body);
        compared += pieces.len();
        differing.extend(asked.pair(pair, &pieces).into_iter().map(|difference| format!("{pair}: {difference}")));
    }
    for pair in default.lines().filter(|line| line.contains(" => ")) {
        compared += 1;
        let sides = Direction::ALL.map(|direction| (direction, true, BTreeSet::new())).to_vec();
        let pieces = [Piece { allowed: true, ports: Ports::everything(), sides }];
        differing.extend(asked.pair(pair, &pieces).into_iter().map(|difference| format!("{pair}: {difference}")));
    }
    compared
}

fn read(body: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for line in body.lines() {
        let depth = line.len() - line.trim_start_matches('\t').len();
        let words = line.trim();
        match depth {
            1 => {
                let (verdict, rest) = words.split_once(' ').unwrap();
                let (ports, _) = rest.split_once(" due to ").unwrap();
                let allowed = verdict == "Allowed";
                pieces.push(Piece { allowed, ports: text::connections(ports), sides: Vec::new() });
            }
            2 => {
                let direction = if words.starts_with("Ingress") { Direction::Ingress } else { Direction::Egress };
                let side = (direction, words.contains("(Allowed)"), BTreeSet::new());
                pieces.last_mut().unwrap().sides.push(side);
            }
            3 => {
                pieces.last_mut().unwrap().sides.last_mut().unwrap().2.insert(reason(words));
            }
            _ => {}
        }
    }
    pieces
}

/// `NetworkPolicy 'ns/name' allows connections by Ingress rule #1`, `... selects P, and Egress rule #2 selects Q, but the
/// protocols and ports do not match`, `... selects P, but Q is not allowed by any Ingress rule`.
fn reason(words: &str) -> Reason {
    let (_, rest) = words.split_once('\'').unwrap();
    let (policy, rest) = rest.split_once('\'').unwrap();
    let policy = policy.to_string();
    let rule = rest.split_once(" rule #").map(|(_, rest)| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<usize>().unwrap() - 1
    });
    match rule {
        Some(rule) if rest.contains("allows connections by") => Reason::Allows(policy, rule),
        // "but named ports of the rule have no match in the configuration of the destination peer" is of this kind.
        Some(rule) if rest.contains("but ") => Reason::NotThePort(policy, rule),
        None if rest.contains("is not allowed by any") => Reason::NotThePeer(policy),
        _ => panic!("a reason of a new kind: {words}"),
    }
}

/// Our evaluator and the pods it is asked about.
struct Asked<'a> {
    evaluator: &'a Evaluator<'a>,
    inventory: &'a Inventory,
}

impl<'a> Asked<'a> {
    fn pair(&self, pair: &str, pieces: &[Piece]) -> Vec<String> {
        let (client, server) = pair.split_once(" => ").unwrap();
        let (clients, servers) = match (self.parties(client), self.parties(server)) {
            (Ok(clients), Ok(servers)) => (clients, servers),
            (clients, servers) => return clients.err().into_iter().chain(servers.err()).collect(),
        };
        let mut differing = BTreeSet::new();
        let of = |allowed: bool| -> Ports {
            pieces.iter().filter(|piece| piece.allowed == allowed).map(|piece| piece.ports.clone()).collect()
        };
        let (allowed, denied) = (of(true), of(false));
        let rest = PortSet::everything().difference(allowed.numbers());
        if rest != *denied.numbers() {
            differing.insert(format!("theirs {allowed} allowed and {denied} denied"));
        }
        for (client, server) in clients.iter().flat_map(|client| servers.iter().map(move |server| (*client, *server))) {
            // Another pod of the same workload is meant.
            if let (Party::Pod { pod: client, .. }, Party::Pod { pod: server, .. }) = (client, server)
                && std::ptr::eq(client, server)
            {
                continue;
            }
            let ours = Ports::from(self.evaluator.allowed_ports(client, server));
            if ours != allowed {
                differing.insert(format!("theirs {allowed}, ours {ours}"));
            }
            for piece in pieces {
                let ends = piece
                    .ports
                    .numbers()
                    .iter()
                    .flat_map(|(protocol, range)| [(protocol, range.from()), (protocol, range.to())]);
                for (protocol, port) in ends {
                    differing.extend(self.piece(piece, client, server, protocol, port));
                }
            }
        }
        differing.into_iter().collect()
    }

    fn piece(&self, piece: &Piece, client: Party, server: Party, protocol: Protocol, port: u16) -> Vec<String> {
        let verdict = self.evaluator.verdict(client, server, protocol, port);
        let mut differing = Vec::new();
        for (direction, allowed, reasons) in &piece.sides {
            let side = verdict.side(*direction);
            let ours = reasons_of(side, self.evaluator.policies());
            if side.allowed() != *allowed || ours != *reasons {
                let word = |allowed: bool| if allowed { "allowed" } else { "denied" };
                let (theirs_word, ours_word) = (word(*allowed), word(side.allowed()));
                differing.push(format!(
                    "{direction} of {} {port}/{protocol}: theirs {theirs_word} {reasons:?}, ours {ours_word} {ours:?}",
                    piece.ports
                ));
            }
        }
        differing
    }

    /// The ends of an address range, or every pod of a workload.
    fn parties(&self, name: &str) -> Result<Vec<Party<'a>>, String> {
        if let Some(addresses) = text::addresses(name) {
            let ends: BTreeSet<IpAddr> = addresses.ranges().flat_map(|(first, last)| [first, last]).collect();
            return Ok(ends.into_iter().map(Party::outside).collect());
        }
        let workload = resolve(name, self.inventory)?;
        Ok(self.inventory.workloads[&workload].pods.iter().map(|id| Party::pod(self.inventory.pod(*id))).collect())
    }
}

/// Our reasons in its terms: where a side allows, the rules that do; where it denies, for every policy that isolates the
/// rules that fit the peer, or that none does.
fn reasons_of(side: &Side, policies: &[Policy]) -> BTreeSet<Reason> {
    let id = |policy: usize| policies[policy].id();
    if side.allowed() {
        return side.allowing.iter().map(|allow| Reason::Allows(id(allow.policy), allow.rule)).collect();
    }
    let mut reasons = BTreeSet::new();
    for &policy in &side.isolating {
        let near = side.near.iter().filter(|near| near.policy == policy && matches!(near.matched, Matched::Peer(_)));
        let near: Vec<Reason> = near.map(|near| Reason::NotThePort(id(policy), near.rule)).collect();
        if near.is_empty() {
            reasons.insert(Reason::NotThePeer(id(policy)));
        }
        reasons.extend(near);
    }
    reasons
}
