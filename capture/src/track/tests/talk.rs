//! What the first bytes of connections show.

use super::*;

/// The talk of all flows.
fn talk(events: &[(i64, Sent)]) -> String {
    let mut talks = Talks::default();
    track(events).flows.iter().for_each(|flow| talks.merge(flow.talk));
    let names: Vec<&str> = talks.iter().map(Talk::name).collect();
    names.join(", ")
}

#[test]
fn the_first_bytes_of_each_side_tell_what_is_spoken() {
    let said = |from, to, sequence, words| Sent::Tcp(from, to, ACK, sequence, 7, words);
    let open = vec![(0, tcp(C, S, SYN, 100, 0)), (300, tcp(S, C, SYN_ACK, 500, 101))];
    let ask = (400, Sent::Tcp(C, S, ACK, 101, 501, b"*1\r\n$4\r\nPING\r\n"));
    let with = |rest: Vec<(i64, Sent)>| [open.clone(), rest].concat();
    let rows = [
        ("a connection with HTTP", whole(S, 0), "HTTP"),
        ("two views of it", [whole(VIP, 0), whole(S, 95)].concat(), "HTTP"),
        ("only the server's word", with(vec![(9, said(S, C, 501, b"220 hello"))]), "SMTP or FTP"),
        ("what is said later", with(vec![(9, said(S, C, 501, b"hello")), (19, said(S, C, 506, b"220 hello"))]), ""),
        (
            "a word twice, once with less of it",
            with(vec![(9, said(C, S, 101, b"SS")), (19, said(C, S, 101, b"SSH-2.0-"))]),
            "SSH",
        ),
        ("one captured side", vec![open[0].clone(), ask.clone()], "Redis"),
        ("the other one", vec![open[1].clone(), (400, said(S, C, 501, b"HTTP/1.1 200"))], "HTTP"),
        (
            "a number that goes round",
            vec![
                (0, tcp(C, S, SYN, u32::MAX, 0)),
                (300, tcp(S, C, SYN_ACK, 500, 0)),
                (400, Sent::Tcp(C, S, ACK, 0, 501, b"SSH-2.0-x\r\n")),
            ],
            "SSH",
        ),
        (
            "a SYN with data",
            vec![(0, Sent::Tcp(C, S, SYN, 100, 0, b"GET / HTTP/1.1\r\n")), (300, tcp(S, C, SYN_ACK, 500, 116))],
            "HTTP",
        ),
        (
            "refused encryption",
            with(vec![
                (400, Sent::Tcp(C, S, ACK, 101, 501, b"\0\0\0\x08\x04\xd2\x16\x2f")),
                (500, Sent::Tcp(S, C, ACK, 501, 109, b"N")),
                (600, Sent::Tcp(C, S, ACK, 109, 502, b"\0\0\0\x54\0\x03\0\0user\0")),
            ]),
            "PostgreSQL",
        ),
        ("the middle of one", vec![(0, Sent::Tcp(C, S, ACK, 900, 700, b"*1\r\n$4\r\nPING\r\n"))], "Redis"),
        (
            "the middle of one, where the word may be anything",
            vec![(0, Sent::Tcp(S, C, ACK, 900, 700, b"220 lines"))],
            "",
        ),
        (
            "the middle of one, with an acknowledgment first",
            vec![
                (0, Sent::Tcp(S, C, ACK, 700, 900, b"abc")),
                (9, Sent::Tcp(C, S, ACK, 900, 703, b"GET / HTTP/1.1")),
                (19, Sent::Tcp(S, C, ACK, 703, 914, b"SSH-2.0-x")),
            ],
            "HTTP",
        ),
    ];
    for (what, mut events, expected) in rows {
        assert_eq!(talk(&events), expected, "{what}");
        events.reverse();
        assert_eq!(talk(&events), expected, "{what}, the last packet first");
    }
}
