//! Programs run as the kernel runs them, on packets that etherparse builds.

use etherparse::PacketBuilder;

use super::*;

/// What the kernel does with a packet: bytes taken. `random` is what the random number is.
fn run(program: &[Instruction], protocol: u32, packet: &[u8], interface: u32, random: u32) -> u32 {
    let (mut a, mut x, mut memory) = (0u32, 0u32, [0u32; 16]);
    let load = |at: u32, bytes: u32| -> Option<u32> {
        match at {
            ancillary::PROTOCOL => return Some(protocol),
            ancillary::INTERFACE => return Some(interface),
            ancillary::RANDOM => return Some(random),
            _ => {}
        }
        let bytes = packet.get(at as usize..(at + bytes) as usize)?;
        Some(bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    };
    let mut at = 0;
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        let loaded = match code {
            code::LD_WORD => load(k, 4),
            code::LD_HALF => load(k, 2),
            code::LD_BYTE => load(k, 1),
            code::LD_WORD_X => load(x + k, 4),
            code::LD_HALF_X => load(x + k, 2),
            code::LD_BYTE_X => load(x + k, 1),
            code::LD_LENGTH => Some(packet.len() as u32),
            _ => Some(a),
        };
        // A load beyond the end drops the packet.
        let Some(loaded) = loaded else { return 0 };
        a = loaded;
        let holds = match code {
            code::LDX_HEADER => {
                let Some(byte) = load(k, 1) else { return 0 };
                x = 4 * (byte & 15);
                continue;
            }
            code::LD => {
                a = k;
                continue;
            }
            code::LD_MEMORY => {
                a = memory[k as usize];
                continue;
            }
            code::ST => {
                memory[k as usize] = a;
                continue;
            }
            code::LDX_MEMORY => {
                x = memory[k as usize];
                continue;
            }
            code::STX => {
                memory[k as usize] = x;
                continue;
            }
            code::ADD => {
                a = a.wrapping_add(k);
                continue;
            }
            code::ADD_X => {
                a = a.wrapping_add(x);
                continue;
            }
            code::AND => {
                a &= k;
                continue;
            }
            code::SHIFT_RIGHT => {
                a >>= k;
                continue;
            }
            code::MULTIPLY => {
                a = a.wrapping_mul(k);
                continue;
            }
            code::XOR => {
                a ^= k;
                continue;
            }
            code::XOR_X => {
                a ^= x;
                continue;
            }
            code::TAX => {
                x = a;
                continue;
            }
            code::TXA => {
                a = x;
                continue;
            }
            code::JUMP => {
                at += k as usize;
                continue;
            }
            code::RETURN => return k,
            code::JUMP_EQUAL => a == k,
            code::JUMP_SET => a & k != 0,
            code::JUMP_NOT_BELOW_X => a >= x,
            _ => continue,
        };
        at += usize::from(if holds { jt } else { jf });
    }
}

fn ip(v6: bool) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    match v6 {
        false => PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64),
        true => PacketBuilder::ipv6([1; 16], [2; 16], 64),
    }
}

fn tcp(v6: bool, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut step = ip(v6).tcp(40000, 443, 7, 1024);
    if flags & 2 != 0 {
        step = step.syn();
    }
    if flags & 1 != 0 {
        step = step.fin();
    }
    if flags & 4 != 0 {
        step = step.rst();
    }
    if flags & 16 != 0 {
        step = step.ack(9);
    }
    let mut bytes = Vec::new();
    step.write(&mut bytes, payload).unwrap();
    bytes
}

fn udp(v6: bool, from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    ip(v6).udp(from, to).write(&mut bytes, payload).unwrap();
    bytes
}

fn vxlan(v6: bool, inside: &[u8], inside_v6: bool) -> Vec<u8> {
    let kind: [u8; 2] = if inside_v6 { [0x86, 0xdd] } else { [8, 0] };
    udp(v6, 50000, 4789, &[&[8, 0, 0, 0, 0, 0, 7, 0], &[0; 12][..], &kind, inside].concat())
}

fn usual() -> Filter {
    Filter { vxlan: vec![4789, 8472], opaque: vec![6081, 51820], ..Filter::default() }
}

/// Whether packets of both families pass, with no luck and with luck.
fn passes(filter: &Filter, build: impl Fn(bool) -> Vec<u8>) -> Vec<(bool, bool)> {
    let mixed = |mixture| Filter { mixture, ..filter.clone() }.compile();
    assert!(mixed(0).len() < 4096, "{}", mixed(0).len());
    let both = |v6: bool| {
        let (protocol, packet) = (if v6 { IPV6 } else { IPV4 }, build(v6));
        let take = |mixture, random| run(&mixed(mixture), protocol, &packet, 3, random) > 0;
        ((0..5).all(|mixture| take(mixture, 77)), (0..20 * SAMPLE).any(|mixture| take(mixture, 5 * SAMPLE)))
    };
    vec![both(false), both(true)]
}

const ALWAYS: [(bool, bool); 2] = [(true, true); 2];
const SAMPLED: [(bool, bool); 2] = [(false, true); 2];
const NEVER: [(bool, bool); 2] = [(false, false); 2];

#[test]
fn cost_follows_connections() {
    let filter = usual();
    for (what, flags) in [("SYN", 2), ("SYN-ACK", 18), ("FIN", 17), ("RST", 4), ("RST-ACK", 20)] {
        assert_eq!(passes(&filter, |v6| tcp(v6, flags, b"")), ALWAYS, "{what}");
        for outer in [false, true] {
            let inside = |v6| vxlan(outer, &tcp(v6, flags, b""), v6);
            let program = filter.compile();
            let protocol = if outer { IPV6 } else { IPV4 };
            assert!([false, true].into_iter().all(|v6| run(&program, protocol, &inside(v6), 3, 77) > 0), "{what}");
        }
    }
    assert_eq!(passes(&filter, |v6| tcp(v6, 16, b"data")), SAMPLED);
    assert_eq!(passes(&filter, |v6| vxlan(v6, &tcp(v6, 16, b"data"), v6)), SAMPLED);
    assert_eq!(passes(&filter, |v6| udp(v6, 40000, 8125, b"data")), ALWAYS);
    assert_eq!(passes(&filter, |v6| vxlan(v6, &udp(v6, 40000, 8125, b"data"), v6)), ALWAYS);
    assert_eq!(passes(&filter, |v6| udp(v6, 51820, 51820, b"data")), SAMPLED);
    // Nothing is looked for in a tunnel's tunnel.
    assert_eq!(passes(&filter, |v6| vxlan(v6, &vxlan(v6, &tcp(v6, 2, b""), v6), v6)), SAMPLED);
    assert_eq!(run(&filter.compile(), 0x0806, &[0; 28], 3, 0), 0, "ARP");
}

/// A segment of an open connection with these numbers; with options in the IPv4 header.
fn numbered(v6: bool, sequence: u32, acknowledgment: u32, options: bool) -> Vec<u8> {
    let mut bytes = tcp(v6, 16, b"data");
    let header = if v6 { 40 } else { 20 };
    bytes[header + 4..header + 8].copy_from_slice(&sequence.to_be_bytes());
    bytes[header + 8..header + 12].copy_from_slice(&acknowledgment.to_be_bytes());
    if options && !v6 {
        bytes[0] = 0x46;
        bytes.splice(20..20, [1; 4]);
    }
    bytes
}

#[test]
fn one_in_many_whatever_the_numbers_are() {
    const COUNT: u32 = 200 * SAMPLE;
    type Numbers = fn(u32) -> (u32, u32);
    let streams: [(&str, Numbers); 5] = [
        ("data", |at| (at.wrapping_mul(1448), 77)),
        ("what acknowledges it", |at| (77, at.wrapping_mul(2896))),
        ("large data", |at| (at.wrapping_mul(65160), 3)),
        ("a power of two", |at| (at.wrapping_mul(1024), 1 << 31)),
        ("questions and answers", |at| (at / 2 * 100, at.div_ceil(2).wrapping_mul(4096))),
    ];
    let passing = |program: &[Instruction], v6: bool, packet: &[u8]| {
        u32::from(run(program, if v6 { IPV6 } else { IPV4 }, packet, 3, 77) == HEADERS)
    };
    for (v6, options) in [(false, false), (false, true), (true, false)] {
        let filter = Filter { mixture: 0x1234_5678, server_names: options, ..usual() };
        let program = filter.compile();
        for (what, numbers) in streams {
            let drawn: u32 =
                (0..COUNT).map(numbers).map(|(one, two)| passing(&program, v6, &numbered(v6, one, two, options))).sum();
            assert!((120..=300).contains(&drawn), "{what}: {drawn} of {COUNT}");
        }
        // What is repeated is drawn in its turn.
        let packet = numbered(v6, 5, 6, options);
        let drawn: u32 =
            (0..50 * SAMPLE).map(|mixture| passing(&Filter { mixture, ..filter.clone() }.compile(), v6, &packet)).sum();
        assert!((20..=90).contains(&drawn), "{drawn}");
    }
}

#[test]
fn everything_in_the_beginning() {
    let data = |v6| tcp(v6, 16, b"data");
    assert_eq!(passes(&Filter { everything: true, ..usual() }, data), ALWAYS);
    assert_eq!(passes(&Filter { young: vec![9, 3], ..usual() }, data), ALWAYS);
    assert_eq!(passes(&Filter { young: vec![9], ..usual() }, data), SAMPLED);
    assert_eq!(passes(&Filter { everything: true, unwanted: vec![3], ..usual() }, data), NEVER);
}

#[test]
fn names_are_whole() {
    let hello = [&[22, 3, 1, 2, 0, 1][..], &[7; 600]].concat();
    let filter = Filter { server_names: true, ..usual() };
    let bytes =
        |filter: &Filter, packet: &[u8], v6: bool| run(&filter.compile(), if v6 { IPV6 } else { IPV4 }, packet, 3, 77);
    for v6 in [false, true] {
        assert_eq!(bytes(&filter, &tcp(v6, 16, &hello), v6), NAMES);
        assert_eq!(bytes(&usual(), &tcp(v6, 16, &hello), v6), 0);
        assert_eq!(bytes(&filter, &tcp(v6, 16, &hello[..5]), v6), 0);
        assert_eq!(bytes(&filter, &tcp(v6, 16, &[23, 3, 3, 0, 9, 1, 1]), v6), 0);
        assert_eq!(bytes(&filter, &tcp(v6, 16, b""), v6), 0);
        assert_eq!(bytes(&usual(), &udp(v6, 53, 40000, &[0; 900]), v6), NAMES);
        assert_eq!(bytes(&usual(), &udp(v6, 40000, 53, &[0; 900]), v6), NAMES);
        assert_eq!(bytes(&usual(), &udp(v6, 40000, 54, &[0; 900]), v6), HEADERS);
    }
    // Sampled packets pass with server names, too.
    assert_eq!(passes(&filter, |v6| tcp(v6, 16, b"x")), SAMPLED);
    assert_eq!(passes(&filter, |v6| tcp(v6, 16, b"longer than a record")), SAMPLED);
}

#[test]
fn fragments_errors_and_sctp_pass() {
    let mut fragment = tcp(false, 16, b"data");
    fragment[7] = 9;
    let mut first = tcp(false, 16, b"data");
    first[6] = 0x20;
    let icmp = |kind: u8| {
        let mut bytes = Vec::new();
        ip(false).icmpv4_raw(kind, 3, [0; 4]).write(&mut bytes, &[0; 28]).unwrap();
        bytes
    };
    let sctp = |chunk: u8| {
        let mut bytes = Vec::new();
        ip(false).write(&mut bytes, 132.into(), &[&[0; 12][..], &[chunk, 0, 0, 4]].concat()).unwrap();
        bytes
    };
    let icmp6 = |kind: u8| {
        let mut bytes = Vec::new();
        ip(true).icmpv6_raw(kind, 3, [0; 4]).write(&mut bytes, &[0; 28]).unwrap();
        bytes
    };
    let program = usual().compile();
    for (what, packet, expected) in [
        ("a fragment", fragment, true),
        ("a first fragment", first, true),
        ("unreachable", icmp(3), true),
        ("echo", icmp(8), false),
        ("INIT", sctp(1), true),
        ("ABORT", sctp(6), true),
        ("DATA", sctp(0), false),
    ] {
        assert_eq!(run(&program, IPV4, &packet, 3, 77) > 0, expected, "{what}");
    }
    assert!(run(&program, IPV6, &icmp6(1), 3, 77) > 0);
    assert_eq!(run(&program, IPV6, &icmp6(128), 3, 77), 0);
}

#[test]
fn hot_edges_are_sampled_in_both_directions() {
    let (one, two): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
    let (three, four): (IpAddr, IpAddr) = ([1; 16].into(), [2; 16].into());
    let hot = vec![
        HotEdge { client: one, server: two, port: 8125 },
        HotEdge { client: three, server: four, port: 8125 },
        HotEdge { client: two, server: one, port: 9000 },
        HotEdge { client: four, server: three, port: 9000 },
    ];
    let filter = Filter { hot, ..usual() };
    assert_eq!(passes(&filter, |v6| udp(v6, 40000, 8125, b"x")), SAMPLED);
    assert_eq!(passes(&filter, |v6| udp(v6, 9000, 40000, b"x")), SAMPLED);
    assert_eq!(passes(&filter, |v6| udp(v6, 40000, 9000, b"x")), ALWAYS);
    assert_eq!(passes(&filter, |v6| udp(v6, 8125, 40000, b"x")), ALWAYS);
    let most = Filter {
        hot: vec![HotEdge { client: three, server: four, port: 1 }; MAX_HOT],
        young: vec![1; MAX_NAMED],
        unwanted: vec![2; MAX_NAMED],
        server_names: true,
        ..usual()
    };
    assert_eq!(passes(&most, |v6| udp(v6, 40000, 8125, b"x")), ALWAYS);
}
