use super::*;
use crate::flow::Speech;
use crate::packet::Lead;

fn start(bytes: &[u8]) -> Start {
    Start::of(Lead::of(bytes))
}

fn talks(client: &[u8], server: &[u8]) -> String {
    let names: Vec<&str> = Talks::of([start(client), start(server)]).iter().map(Talk::name).collect();
    names.join(", ")
}

#[test]
fn first_bytes_of_both_sides() {
    let rows: &[(&[u8], &[u8], &str)] = &[
        (b"GET /health HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n", "HTTP"),
        (b"GET http://example.com/ HTTP/1.1\r\n", b"", "HTTP"),
        (b"POST /v1/push HTTP/1.1\r\n", b"", "HTTP"),
        (b"DELETE /v1/push HTTP/1.1\r\n", b"", "HTTP"),
        (b"", b"HTTP/1.0 301 Moved", "HTTP"),
        // What is asked of RTSP and SIP begins like that too, and of Redis like the second.
        (b"OPTIONS sip:a@b SIP/2.0", b"SIP/2.0 200 OK", ""),
        (b"GET key\r\n", b"$3\r\nfoo\r\n", ""),
        (b"CONNECT {\"verbose\":false}", b"INFO {\"server_id\":", "NATS"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\x12\x04\0\0\0\0\0", "HTTP/2"),
        (&[22, 3, 1, 2, 0, 1, 0, 1, 252], &[22, 3, 3, 0, 90, 2, 0, 0, 86], "TLS"),
        (&[23, 3, 3, 0, 40, 9, 9, 9], b"", "TLS"),
        (&[22, 3, 1, 2, 0, 1, 0, 1, 252], b"HTTP/1.1 400 Bad Request", "HTTP, TLS"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", b"SSH-2.0-Go\r\n", "SSH"),
        (b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n", "Redis"),
        (b"*12\r\n$4\r\nHSET\r\n", b"", "Redis"),
        (b"*123\r\n$4\r\nMSET\r\n", b"", "Redis"),
        (b"PING\r\n", b"-NOAUTH Authentication required.\r\n", "Redis"),
        (b"\0\0\0\x54\0\x03\0\0user\0app\0", b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0", "PostgreSQL"),
        (b"\0\0\0\x08\x04\xd2\x16\x2f", b"S", "TLS"),
        (b"\0\0\0\x08\x04\xd2\x16\x2f", b"N", "PostgreSQL"),
        (b"\0\0\0\x08\x04\xd2\x16\x2f", b"", "PostgreSQL, asking for TLS"),
        (b"N", b"S", ""),
        (b"\xc0\0\0\x01\x85\xa6\xff\x19\0\0\0\x01", b"\x4a\0\0\0\x0a8.4.3\0", "MySQL"),
        (b"\x20\0\0\x01\x85\xae\xff\x19\0\0\0\x01", b"\x4a\0\0\0\x0a11.4.2-MariaDB\0", "TLS"),
        (b"", b"\x5b\x01\0\0\x0a5.5.5-10.6.18-MariaDB\0", "MySQL"),
        (b"AMQP\0\0\x09\x01", b"\x01\0\0\0\0\x01\xff", "AMQP"),
        (b"\x10\x1a\0\x04MQTT\x04\x02", b"\x20\x02\0\0", "MQTT"),
        (b"\x10\x8a\x01\0\x04MQTT\x05\x02", b"", "MQTT"),
        (b"gets a b\r\n", b"VALUE a 0 3\r\n", "memcached"),
        (b"get a\r\n", b"END\r\n", "memcached"),
        (b"set a 0 0 3\r\nfoo\r\n", b"STORED\r\n", "memcached"),
        (b"EHLO mail\r\n", b"220 mx.example.com ESMTP\r\n", "SMTP"),
        (b"USER anonymous\r\n", b"220-welcome\r\n", "FTP"),
        (b"", b"220 ready\r\n", "SMTP or FTP"),
        (b"USER me\r\n", b"+OK ready\r\n", "POP3"),
        (b"a1 LOGIN", b"* OK [CAPABILITY IMAP4rev1]", "IMAP"),
        (b"\0\0\0\x23\0\x12\0\x04\0\0\0\x01\0\x09adminclient", b"", "Kafka"),
        (b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0", b"", "LDAP"),
        (b"\xff\xfd\x18\xff\xfd\x20", b"\xff\xfb\x18\xff\xfb\x20", "Telnet"),
        (b"\0\0\0\xfc\xfeSMB@\0", b"", "SMB"),
        (b"\x04\0\0\0\x05\0\0\0\0", b"\x84\0\0\0\x06\0\0\0\x40", "Cassandra"),
        (b"RFB 003.008\n", b"RFB 003.008\n", "VNC"),
        (b"hello world", b"\x16\x03", ""),
        (b"", b"", ""),
        // MongoDB: a length and a number are all that there is room for.
        (b"\x3a\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0", b"", ""),
    ];
    for (client, server, expected) in rows {
        assert_eq!(talks(client, server), *expected, "{client:?} {server:?}");
        assert_eq!(talks(server, client), *expected, "turned round: {client:?} {server:?}");
    }
}

#[test]
fn only_some_mean_the_same_in_the_middle() {
    for (bytes, talk) in [
        (&b"*3\r\n$3\r\nSET\r\n"[..], Some(Talk::Redis)),
        (b"+OK\r\n", None),
        (b"GET /", Some(Talk::Http)),
        (b"220 lines follow", None),
        (&[23, 3, 3, 0, 40, 9, 9, 9], Some(Talk::Tls)),
    ] {
        assert_eq!(start(bytes).anywhere().talk(), talk, "{bytes:?}");
    }
}

#[test]
fn every_start_survives_its_bits() {
    for bits in 0..1 << Start::BITS {
        let start = Start::from_bits(bits);
        assert!(start == Start::Nothing || start as u16 == bits, "{bits}: {start:?}");
    }
    assert_eq!(Start::from_bits(Start::Vnc as u16), Start::Vnc);
    for (at, talk) in Talk::ALL.into_iter().enumerate() {
        assert_eq!(talk as usize, at);
        assert!(Talk::ALL.iter().filter(|other| other.name() == talk.name()).count() == 1);
    }
}

#[test]
fn what_says_who_speaks() {
    let role = |bytes: &[u8]| {
        let Speech { request, response } = Speech::of(Lead::of(bytes));
        (request, response)
    };
    for request in ["GET ", "POST ", "PUT ", "HEAD ", "DELETE ", "PATCH ", "OPTIONS ", "PRI * HT", "GET /a", "PUT http"]
    {
        assert_eq!(role(request.as_bytes()), (true, false), "{request}");
    }
    for response in ["HTTP/1.1", "220 a", "220-a", "+OK a"] {
        assert_eq!(role(response.as_bytes()), (false, true), "{response}");
    }
    assert_eq!(role(&[22, 3, 1, 2, 0, 1, 0, 1]), (true, false));
    assert_eq!(role(&[22, 3, 9, 2, 0, 2, 0, 1]), (false, true));
    for neither in [&b"+OK\r\n"[..], b"GETS", b"*1\r\n$4\r\n", b"SSH-2.0-", b"", &[22, 3, 1, 2, 0, 3, 0, 1]] {
        assert_eq!(role(neither), (false, false), "{neither:?}");
    }
}
