//! Which side is the server where nobody was seen opening the conversation.

use super::*;

/// Asserts that the flows give `row`, among others.
fn assert_row(what: &str, flows: &[&str], row: &str) {
    let found = rows(&resolved(flows));
    assert!(found.iter().any(|found| found == row), "{what}: expected\n{row}\nin {found:#?}");
}

#[test]
fn evidence_in_its_order() {
    // Each case brings the next rung's evidence for the other side along.
    assert_row(
        "a declared port, although the other's served a handshake elsewhere",
        &["TCP web-1:6000 <> api-1:8080 established", "TCP db-1:50000 > web-1:6000 established"],
        "web -> api:8080/TCP established inferred app",
    );
    assert_row(
        "a Service's port",
        &["TCP web-1:6000 <> svc-api:80 established", "TCP db-1:50000 > web-1:6000 established"],
        "web -> api:8080/TCP established inferred app via shop/api:80",
    );
    assert_row(
        "the API server's port",
        &["TCP web-1:6000 <> n1:6443 established", "TCP db-1:50000 > web-1:6000 established"],
        "web -> node:n1:6443/TCP established inferred apiserver",
    );
    let many = ["TCP old-1:1 <> db-1:7000 established", "TCP old-1:2 <> db-1:7000 established"];
    assert_row(
        "a handshake elsewhere, although many converge on the other",
        &["TCP web-1:6000 <> db-1:7000 established", many[0], many[1], "TCP api-1:50000 > web-1:6000 established"],
        "db -> web:6000/TCP established inferred app",
    );
    assert_row(
        "a handshake with another pod of the workload",
        &["TCP web-1:6000 <> db-1:7000 established", "TCP api-1:50000 > db-2:7000 established"],
        "web -> db:7000/TCP established inferred app",
    );
    assert_row(
        "a handshake that was refused proves nothing",
        &["TCP web-1:6000 <> db-1:7000 established", "TCP api-1:50000 > db-1:7000 refused"],
        "db -> web:6000/TCP established guessed app",
    );
    assert_row(
        "three clients on one port, although it asks",
        &["TCP web-1:6000 <> db-1:7000 established asks=7000", many[0], many[1]],
        "web -> db:7000/TCP established inferred app",
    );
    assert_row(
        "two are not many, so the one who asks is the client",
        &["TCP web-1:6000 <> db-1:7000 established asks=7000", many[0]],
        "db -> web:6000/TCP established inferred app",
    );
    assert_row(
        "bytes, although the other's number is registered",
        &["TCP web-1:40000 <> db-1:443 established answers=40000"],
        "db -> web:40000/TCP established inferred app",
    );
    assert_row(
        "a registered number against an ephemeral one",
        &["TCP web-1:50000 <> db-1:6379 established"],
        "web -> db:6379/TCP established inferred app",
    );
    assert_row(
        "a registered number against one that is not ephemeral is a guess",
        &["TCP web-1:20000 <> db-1:6379 established"],
        "web -> db:6379/TCP established guessed app",
    );
    assert_row(
        "no evidence: the lower port",
        &["TCP web-1:20000 <> db-1:10000 established"],
        "web -> db:10000/TCP established guessed app",
    );
    assert_row(
        "a low port alone decides nothing",
        &["TCP web-1:500 <> db-1:20000 established"],
        "db -> web:500/TCP established guessed app",
    );
}

#[test]
fn evidence_for_both_sides_is_none() {
    assert_row(
        "both ports are declared: bytes decide",
        &["TCP api-1:8080 <> old-1:8080 established asks=8080"],
        // Both sides have that number, so both ask, and the guess takes the lower socket.
        "old -> api:8080/TCP established guessed app",
    );
    assert_row(
        "both served elsewhere: the one many converge on",
        &[
            "TCP web-1:6000 <> db-1:7000 established",
            "TCP api-1:50000 > db-1:7000 established",
            "TCP api-1:50001 > web-1:6000 established",
            "TCP old-1:1 <> db-1:7000 established",
            "TCP old-1:2 <> db-1:7000 established",
        ],
        "web -> db:7000/TCP established inferred app",
    );
    assert_row(
        "one asks and answers: the number decides",
        &["TCP web-1:50000 <> db-1:6379 established asks=6379 answers=6379"],
        "web -> db:6379/TCP established inferred app",
    );
    assert_row(
        "both numbers are registered and neither is ephemeral",
        &["TCP web-1:80 <> db-1:443 established"],
        "db -> web:80/TCP established guessed app",
    );
}

#[test]
fn sctp_follows_the_same_rules() {
    assert_row(
        "INIT was seen",
        &["SCTP web-1:40000 > db-1:3868 established"],
        "web -> db:3868/SCTP established handshake app",
    );
    assert_row(
        "a declared TCP port says nothing about SCTP",
        &["SCTP web-1:6000 <> api-1:8080 established"],
        "api -> web:6000/SCTP established guessed app",
    );
}

#[test]
fn the_first_datagram_may_be_the_servers() {
    for (what, flows, row) in [
        (
            "the first sender is the client",
            vec!["UDP web-1:40000 > db-1:7000 answered"],
            "web -> db:7000/UDP answered first_packet app",
        ),
        (
            "its port is declared",
            vec!["UDP stat-1:8125 > web-1:40000 answered"],
            "web -> stat:8125/UDP answered inferred app",
        ),
        (
            "it answers more often than it asks",
            vec![
                "UDP db-1:7000 > web-1:40000 answered",
                "UDP old-1:41000 > db-1:7000 answered",
                "UDP old-1:42000 > db-1:7000 answered",
            ],
            "web -> db:7000/UDP answered inferred app",
        ),
        (
            "one answer against one question is no evidence",
            vec!["UDP db-1:7000 > web-1:40000 answered", "UDP old-1:41000 > db-1:7000 answered"],
            "db -> web:40000/UDP answered first_packet app",
        ),
        (
            "DNS has its own bit",
            vec!["UDP stat-1:8125 > web-1:40000 answered dns"],
            "stat -> web:40000/UDP answered first_packet dns",
        ),
        (
            "a scanner that uses one source port is a client all the same",
            vec![
                "UDP stat-1:8125 > web-1:161 answered",
                "UDP stat-1:8125 > web-1:162 oneway",
                "UDP stat-1:8125 > web-1:163 oneway",
            ],
            "stat -> web:161/UDP answered first_packet app",
        ),
        (
            "a scanner of high ports whose own port nobody declares",
            vec![
                "UDP db-1:7000 > web-1:40001 answered",
                "UDP db-1:7000 > web-1:40002 oneway",
                "UDP db-1:7000 > web-1:40003 oneway",
            ],
            "db -> web:40001/UDP answered first_packet app",
        ),
        (
            "gossip has one port on both sides",
            vec![
                "UDP db-1:7946 > db-2:7946 answered",
                "UDP web-1:7946 > db-1:7946 answered",
                "UDP web-2:7946 > db-1:7946 answered",
            ],
            "db -> db:7946/UDP answered first_packet app",
        ),
        (
            "gossip on a high port",
            vec![
                "UDP db-1:47946 > db-2:47946 answered",
                "UDP web-1:47946 > db-1:47946 answered",
                "UDP web-2:47946 > db-1:47946 answered",
                "UDP web-1:47946 > db-2:47946 answered",
                "UDP web-2:47946 > db-2:47946 answered",
            ],
            "db -> db:47946/UDP answered first_packet app",
        ),
        (
            "the other's port is declared",
            vec!["UDP stat-1:8125 > svc-dns:53 answered"],
            "stat -> dns:53/UDP answered first_packet dns via shop/dns:53",
        ),
    ] {
        assert_row(what, &flows, row);
    }
}
