use proptest::prelude::*;
use simple_dns::rdata::{A, AAAA, CNAME, RData};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, ResourceRecord, TYPE};

use super::*;
use crate::flow::Socket;

fn response(question: &str, answers: &[(&str, RData<'static>)]) -> Vec<u8> {
    let mut packet = Packet::new_reply(7);
    let class = QCLASS::CLASS(CLASS::IN);
    packet.questions.push(Question::new(Name::new(question).unwrap().into_owned(), QTYPE::TYPE(TYPE::A), class, false));
    for (owner, data) in answers {
        let owner = Name::new(owner).unwrap().into_owned();
        packet.answers.push(ResourceRecord::new(owner, CLASS::IN, 30, data.clone()));
    }
    packet.build_bytes_vec().unwrap()
}

fn cname(target: &'static str) -> RData<'static> {
    RData::CNAME(CNAME(Name::new(target).unwrap()))
}

fn a(last: u32) -> RData<'static> {
    RData::A(A { address: 0xcb00_7100 + last })
}

fn client_hello(name: &str) -> Vec<u8> {
    let sni = [&[0, 0][..], &be(name.len() + 5), &be(name.len() + 3), &[0], &be(name.len()), name.as_bytes()];
    let before = [0, 23, 0, 0];
    let extensions = [&before[..], &sni.concat()].concat();
    let hello = [&[3, 3][..], &[9; 32], &[0], &[0, 2, 0x13, 1], &[1, 0], &be(extensions.len()), &extensions].concat();
    [&[22, 3, 1][..], &be(hello.len() + 4), &[1, 0], &be(hello.len()), &hello].concat()
}

fn be(length: usize) -> [u8; 2] {
    (length as u16).to_be_bytes()
}

#[test]
fn answers_bear_the_name_that_was_asked_for() {
    let ip = |last: u8| IpAddr::from([203, 0, 113, last]);
    let asked = "Api.Example.com";
    for (answers, expected, what) in [
        (vec![(asked, a(1)), (asked, a(2))], vec![ip(1), ip(2)], "two addresses"),
        (vec![(asked, cname("cdn.net")), ("cdn.net", a(3))], vec![ip(3)], "a chain"),
        (
            vec![("cdn.net", a(3)), ("x.cdn.org", cname("cdn.net")), (asked, cname("x.cdn.org"))],
            vec![ip(3)],
            "back to front",
        ),
        (vec![(asked, cname("b.net")), ("b.net", cname("Api.Example.com"))], vec![], "a loop ends"),
        (vec![("elsewhere.org", a(4))], vec![], "an answer nobody asked for"),
    ] {
        let Some(Dns::Response(found)) = dns(&response(asked, &answers)) else { panic!("{what}") };
        assert_eq!(found.iter().map(|(ip, _)| *ip).collect::<Vec<_>>(), expected, "{what}");
        assert!(found.iter().all(|(_, name)| name.eq_ignore_ascii_case(asked)), "{what}");
    }
    let six = RData::AAAA(AAAA { address: 1 << 120 });
    let Some(Dns::Response(found)) = dns(&response(asked, &[(asked, six)])) else { panic!() };
    assert_eq!(found[0].0, "100::".parse::<IpAddr>().unwrap());
}

#[test]
fn tcp_carries_a_length() {
    let message = response("a.b", &[("a.b", a(1))]);
    let stream = [&be(message.len())[..], &message, &be(message.len()), &message].concat();
    let socket = |port| Socket { ip: IpAddr::from([10, 0, 0, 1]), port };
    // However the stream is cut, and however often each piece is seen, both messages come out once.
    for size in 1..=stream.len() {
        let mut streams = DnsStreams::default();
        let mut found = 0;
        for (at, piece) in stream.chunks(size).enumerate() {
            for _ in 0..2 {
                found += streams.take(socket(53), socket(9), (at * size) as u32, piece).len();
            }
        }
        assert_eq!(found, 2, "pieces of {size}");
    }
    let mut streams = DnsStreams::default();
    assert_eq!(streams.take(socket(53), socket(9), 5, &message[3..]).len(), 0, "the middle of a message");
    assert_eq!(streams.take(socket(53), socket(9), 9000, &stream).len(), 2, "and after a gap");
    assert_eq!(dns(&Packet::new_query(3).build_bytes_vec().unwrap()), Some(Dns::Query));
}

#[test]
fn finds_the_server_name() {
    let hello = client_hello("API.example.com");
    assert_eq!(server_name(&hello), Some("API.example.com"));
    let cut_behind_it = [&hello[..], &[0, 16, 1, 0]].concat();
    assert_eq!(server_name(&cut_behind_it), Some("API.example.com"));
    for length in 0..hello.len() {
        assert_eq!(server_name(&hello[..length]), None, "cut at {length}");
    }
    assert_eq!(server_name(&client_hello("a\nb: x")), None, "nothing but a host name");
    assert_eq!(server_name(b"GET / HTTP/1.1\r\n"), None);
}

#[test]
fn the_start_of_a_message_is_enough() {
    let asked = "api.example.com";
    let whole = response(asked, &[(asked, a(1)), (asked, a(2)), (asked, cname("b.org")), ("b.org", a(3))]);
    let whole = Packet::parse(&whole).unwrap().build_bytes_vec_compressed().unwrap();
    let ip = |last: u8| (IpAddr::from([203, 0, 113, last]), asked.to_string());
    let owner = 2 + 10; // each answer's owner is a pointer
    let question = 12 + 17 + 4;
    for (length, expected) in [
        (11, None),
        (12, Some(vec![])),
        (20, Some(vec![])), // in the question's name
        (question, Some(vec![])),
        (question + owner + 3, Some(vec![])), // in the first address
        (question + owner + 4, Some(vec![ip(1)])),
        (question + 2 * (owner + 4) + 1, Some(vec![ip(1), ip(2)])),
        (whole.len(), Some(vec![ip(1), ip(2), ip(3)])),
    ] {
        assert_eq!(dns(&whole[..length]), expected.map(Dns::Response), "{length}");
    }
    let mut query = Packet::new_query(3);
    query.questions.push(Question::new(Name::new(asked).unwrap(), QTYPE::ANY, QCLASS::ANY, true));
    let query = query.build_bytes_vec().unwrap();
    for length in 12..=query.len() {
        assert_eq!(dns(&query[..length]), Some(Dns::Query), "{length}");
    }
}

#[test]
fn what_is_no_message() {
    let good = response("a.b", &[("a.b", a(1))]);
    let with = |at: usize, byte: u8| {
        let mut message = good.clone();
        message[at] = byte;
        message
    };
    for (message, what) in [
        (with(2, 0x98), "opcode 3"),
        (with(3, 0x40), "the bit that is zero"),
        (with(12, 0x41), "a label of neither kind"),
        (with(12, 0xc0), "a pointer with nothing to point at"),
        (with(20, 77), "a class"),
        (vec![0; 40], "zeros"),
        (b"GET /index.html HTTP/1.1".to_vec(), "text"),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian".to_vec(), "text"),
    ] {
        assert_eq!(dns(&message), None, "{what}");
    }
    // What contradicts itself behind the question has no answers.
    for (message, what) in [(with(21, 0xc1), "a pointer forward"), (with(22, 21), "a pointer to itself")] {
        assert_eq!(dns(&message), Some(Dns::Response(vec![])), "{what}");
    }
}

/// Messages of 64 KiB that lead a careless reader in circles, down the same long names, or along one chain.
#[test]
fn hostile_messages_take_no_time() {
    let header = |answers: u16| [&[0, 7, 0x81, 0x80, 0, 1][..], &answers.to_be_bytes(), &[0; 4]].concat();
    let question = [&b"\x01a\x00"[..], &[0, 1, 0, 1]].concat();
    let fill = |record: &dyn Fn(usize, usize) -> Vec<u8>| {
        let mut message = [header(u16::MAX), question.clone()].concat();
        for number in 0.. {
            let record = record(number, message.len());
            if message.len() + record.len() > 65_535 {
                break;
            }
            message.extend(record);
        }
        message
    };
    let alias = |owner: &[u8], target: &[u8]| {
        [owner, &[0, 5, 0, 1, 0, 0, 0, 0], &(target.len() as u16).to_be_bytes(), target].concat()
    };
    let pointer = |to: usize| [0xc0 | (to >> 8) as u8, to as u8];
    let numbered = |number: usize| [&[4][..], format!("{number:04}").as_bytes(), &[0]].concat();
    let messages = [
        // Each target is a pointer to the one before it.
        fill(&|number, at| alias(&pointer(12), &pointer(if number == 0 { 12 } else { (at - 2).min(0x3fff) }))),
        // Each name goes on in the one before it.
        fill(&|_, at| {
            alias(&[&[1, b'x'][..], &pointer(if at < 20 { 12 } else { (at - 6).min(0x3ff0) })].concat(), &[0])
        }),
        // A chain that ends where the message begins.
        fill(&|number, _| alias(&numbered(9999 - number), &numbered(9998 - number))),
        fill(&|number, _| alias(&numbered(number), &numbered(number + 1))),
        // As many pointers to themselves as fit.
        fill(&|_, at| pointer(at.min(0x3fff)).to_vec()),
    ];
    let start = std::time::Instant::now();
    for message in &messages {
        assert!(matches!(dns(message), Some(Dns::Response(answers)) if answers.is_empty()));
    }
    // A quadratic reader takes minutes.
    assert!(start.elapsed() < std::time::Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn streams_are_bounded() {
    let socket = |number: u32| Socket { ip: IpAddr::from(number.to_be_bytes()), port: 53 };
    let client = socket(7);
    let message = response("a.b", &[("a.b", a(1))]);
    let message = [&be(message.len())[..], &message].concat();
    // Each begins a message of 64 KiB that never ends; meanwhile one finishes in time.
    let mut streams = DnsStreams::default();
    let begun = [&[0xff, 0xff][..], &[0; 40_000]].concat();
    for number in 0..10_000 {
        assert_eq!(streams.take(socket(number), client, 0, &begun).len(), 0);
        let (at, byte) = (number as usize % message.len(), number);
        let found = streams.take(socket(u32::MAX), client, byte, &message[at..=at]);
        assert_eq!(found.len(), usize::from(at + 1 == message.len()), "{number}");
    }
    // Many small messages in one segment are read in one go.
    let many = message.repeat(65_000 / message.len());
    let found = DnsStreams::default().take(socket(1), client, 0, &many);
    assert_eq!(found.len(), many.len() / message.len());
}

#[test]
fn names_are_bounded_and_repeat_for_nothing() {
    let mut names = Names::default();
    let ip = |number: usize| IpAddr::from((number as u32).to_be_bytes());
    for number in 0..MAX_NAMES + 10 {
        for name in ["API.example.com", "api.example.COM"] {
            names.insert(ip(number % (MAX_NAMES / 2 + 5)), name, ip(number / (MAX_NAMES / 2 + 5)));
        }
    }
    assert_eq!(names.dropped(), 20);
    let kept: usize = (0..MAX_NAMES).flat_map(|number| names.of(ip(number)).map(|(_, askers)| askers.len())).sum();
    assert_eq!(kept, MAX_NAMES);
    let long = ["x".repeat(63), "y".repeat(63), "z".repeat(63)].join(".");
    let mut names = Names::default();
    for name in [long.as_str(), &long.to_uppercase(), &long[1..]] {
        names.insert(ip(1), name, ip(2));
    }
    assert_eq!(names.of(ip(1)).map(|(name, _)| name).collect::<Vec<_>>(), [&long[1..], &long]);
}

/// What a library finds in a message.
fn library(message: &[u8]) -> Option<Dns> {
    let packet = Packet::parse(message).ok()?;
    if !packet.has_flags(PacketFlag::RESPONSE) {
        return Some(Dns::Query);
    }
    let lower = |name: &Name<'_>| name.to_string().to_ascii_lowercase();
    let mut asked: BTreeMap<String, String> =
        packet.questions.iter().map(|q| (lower(&q.qname), lower(&q.qname))).collect();
    for _ in &packet.answers {
        for record in &packet.answers {
            if let (RData::CNAME(target), Some(question)) = (&record.rdata, asked.get(&lower(&record.name)).cloned()) {
                asked.entry(lower(&target.0)).or_insert(question);
            }
        }
    }
    let addresses = packet.answers.iter().filter_map(|record| {
        let address = match &record.rdata {
            RData::A(a) => IpAddr::V4(a.address.into()),
            RData::AAAA(aaaa) => IpAddr::V6(aaaa.address.into()).to_canonical(),
            _ => return None,
        };
        Some((address, asked.get(&lower(&record.name)).filter(|name| is_host_name(name.as_bytes()))?.clone()))
    });
    Some(Dns::Response(addresses.collect()))
}

proptest! {
    #[test]
    fn no_bytes_panic(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        let socket = |port| Socket { ip: IpAddr::from([10, 0, 0, 1]), port };
        let mut streams = DnsStreams::default();
        let _ = (dns(&data), streams.take(socket(53), socket(9), 7, &data), server_name(&data));
    }

    #[test]
    fn answers_are_those_of_a_library(
        records in prop::collection::vec((0..4_usize, 0..4_usize, 0..4_u32), 0..8), asked in 0..4_usize, compress: bool,
    ) {
        let names = ["a.example", "b.example", "C.Example", "d-1.a.example"];
        let answer = |(owner, target, kind): (usize, usize, u32)| match kind {
            0 => (names[owner], cname(names[target])),
            1 => (names[owner], RData::AAAA(AAAA { address: target as u128 + (1 << 99) })),
            _ => (names[owner], a(target as u32)),
        };
        let answers: Vec<_> = records.into_iter().map(answer).collect();
        let mut message = response(names[asked], &answers);
        if compress {
            message = Packet::parse(&message).unwrap().build_bytes_vec_compressed().unwrap();
        }
        let found = dns(&message);
        prop_assert_eq!(&found, &library(&message));
        prop_assert_eq!(found, super::dns::whole(&message));
    }

    #[test]
    fn a_damaged_hello_never_panics(at in 0usize..90, value: u8) {
        let mut hello = client_hello("api.example.com");
        if let Some(byte) = hello.get_mut(at) { *byte = value; }
        let _ = server_name(&hello);
    }
}
