//! Which application protocol is spoken, as far as the first eight bytes of a side tell.
//!
//! Only what eight bytes make nearly certain has a name here. MongoDB names its operation behind the twelfth byte, and
//! `get key` begins memcached's text as well as an inline command of Redis: neither is recognised by that.

mod start;

use std::fmt;

pub(crate) use start::Start;

/// An application protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Talk {
    /// AMQP's protocol header, any version (AMQP 0-9-1 §4.2.2, AMQP 1.0 §2.2).
    Amqp,
    /// Cassandra's OPTIONS or STARTUP, protocol versions 3 to 5 (CQL binary protocol v4 §2, §4.1).
    Cassandra,
    /// FTP: a login behind a banner (RFC 959 §5.4).
    Ftp,
    /// HTTP/1: a request line with a path, or a status line (RFC 9112 §3, §4).
    Http,
    /// HTTP/2 without TLS: the connection preface (RFC 9113 §3.4).
    Http2,
    /// IMAP's greeting (RFC 9051 §7.1.1).
    Imap,
    /// Kafka's ApiVersions request, with which its clients begin (Kafka protocol guide; KIP-35).
    Kafka,
    /// LDAP's bind request with a short message (RFC 4511 §4.2).
    Ldap,
    /// memcached's text protocol: what its server answers (memcached's protocol.txt).
    Memcached,
    /// MQTT's CONNECT (MQTT 3.1.1 §3.1, MQTT 5.0 §3.1).
    Mqtt,
    /// MySQL's greeting, protocol 10 (MySQL client/server protocol, HandshakeV10).
    MySql,
    /// NATS: the server's INFO (NATS client protocol).
    Nats,
    /// POP3's greeting (RFC 1939 §3).
    Pop3,
    /// PostgreSQL without TLS: a StartupMessage of protocol 3, a request for authentication, or a server that refuses to
    /// encrypt (PostgreSQL manual, Message Formats).
    PostgreSql,
    /// PostgreSQL's SSLRequest whose answer was not seen (PostgreSQL manual, SSL Session Encryption).
    PostgreSqlSslRequest,
    /// Redis: an array of bulk strings, an inline PING, or a reply to one (Redis serialization protocol).
    Redis,
    /// SMB 1 to 3 over TCP (MS-SMB2 §2.1).
    Smb,
    /// SMTP: a greeting of the client (RFC 5321 §4.1.1.1).
    Smtp,
    /// The banner `220` of SMTP or FTP, where the client does not tell which (RFC 5321 §4.2, RFC 959 §5.4).
    SmtpOrFtp,
    /// SSH's identification string (RFC 4253 §4.2).
    Ssh,
    /// Telnet's option negotiation (RFC 854).
    Telnet,
    /// A TLS record (RFC 8446 §5.1).
    Tls,
    /// VNC's ProtocolVersion (RFC 6143 §7.1.1).
    Vnc,
}

/// What a protocol's first bytes say about what follows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Secrecy {
    /// Everything can be read on the way.
    Clear,
    /// It begins in the clear and may change to TLS later (STARTTLS and its like), or to what nobody saw.
    MayChange,
    /// It is encrypted.
    Encrypted,
}

impl Talk {
    /// All of them, by name.
    pub const ALL: [Talk; 23] = [
        Talk::Amqp,
        Talk::Cassandra,
        Talk::Ftp,
        Talk::Http,
        Talk::Http2,
        Talk::Imap,
        Talk::Kafka,
        Talk::Ldap,
        Talk::Memcached,
        Talk::Mqtt,
        Talk::MySql,
        Talk::Nats,
        Talk::Pop3,
        Talk::PostgreSql,
        Talk::PostgreSqlSslRequest,
        Talk::Redis,
        Talk::Smb,
        Talk::Smtp,
        Talk::SmtpOrFtp,
        Talk::Ssh,
        Talk::Telnet,
        Talk::Tls,
        Talk::Vnc,
    ];

    /// Its name, as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Talk::Amqp => "AMQP",
            Talk::Cassandra => "Cassandra",
            Talk::Ftp => "FTP",
            Talk::Http => "HTTP",
            Talk::Http2 => "HTTP/2",
            Talk::Imap => "IMAP",
            Talk::Kafka => "Kafka",
            Talk::Ldap => "LDAP",
            Talk::Memcached => "memcached",
            Talk::Mqtt => "MQTT",
            Talk::MySql => "MySQL",
            Talk::Nats => "NATS",
            Talk::Pop3 => "POP3",
            Talk::PostgreSql => "PostgreSQL",
            Talk::PostgreSqlSslRequest => "PostgreSQL, asking for TLS",
            Talk::Redis => "Redis",
            Talk::Smb => "SMB",
            Talk::Smtp => "SMTP",
            Talk::SmtpOrFtp => "SMTP or FTP",
            Talk::Ssh => "SSH",
            Talk::Telnet => "Telnet",
            Talk::Tls => "TLS",
            Talk::Vnc => "VNC",
        }
    }

    /// Whether what follows can be read on the way.
    pub fn secrecy(self) -> Secrecy {
        match self {
            Talk::Ssh | Talk::Tls => Secrecy::Encrypted,
            // STARTTLS (RFC 3207, 4217, 2595, 4511 §4.14), CLIENT_SSL of MySQL, `tls_required` of NATS, SMB 3's
            // encryption, TLS inside AMQP 1.0 and VNC.
            Talk::Amqp
            | Talk::Ftp
            | Talk::Imap
            | Talk::Ldap
            | Talk::MySql
            | Talk::Nats
            | Talk::Pop3
            | Talk::PostgreSqlSslRequest
            | Talk::Smb
            | Talk::Smtp
            | Talk::SmtpOrFtp
            | Talk::Vnc => Secrecy::MayChange,
            Talk::Cassandra
            | Talk::Http
            | Talk::Http2
            | Talk::Kafka
            | Talk::Memcached
            | Talk::Mqtt
            | Talk::PostgreSql
            | Talk::Redis
            | Talk::Telnet => Secrecy::Clear,
        }
    }
}

impl fmt::Display for Talk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A set of application protocols: those that the first bytes of TCP connections showed. Empty says nothing: the payload was
/// not captured, nobody spoke, it is no protocol that is known here, or it is not TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Talks(u32);

impl Talks {
    /// Adds one.
    pub fn insert(&mut self, talk: Talk) {
        self.0 |= 1 << talk as u8;
    }

    /// Takes in all of `other`.
    pub fn merge(&mut self, other: Talks) {
        self.0 |= other.0;
    }

    /// Whether it is among them.
    pub fn contains(self, talk: Talk) -> bool {
        self.0 & 1 << talk as u8 != 0
    }

    /// Whether none is known.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// All of them, by name.
    pub fn iter(self) -> impl Iterator<Item = Talk> {
        Talk::ALL.into_iter().filter(move |talk| self.contains(*talk))
    }

    /// What the beginnings of both sides' words say together.
    pub(crate) fn of(sides: [Start; 2]) -> Talks {
        let said = |start: Start| sides.contains(&start);
        let mut talks = Talks::default();
        sides.iter().filter_map(|start| start.talk()).for_each(|talk| talks.insert(talk));
        let mut becomes = |before: Talk, after: Option<Talk>| {
            talks.0 &= !(1 << before as u8);
            after.into_iter().for_each(|after| talks.insert(after));
        };
        if said(Start::PostgreSqlSslRequest) {
            match (said(Start::LoneN), said(Start::LoneS)) {
                (true, false) => becomes(Talk::PostgreSqlSslRequest, Some(Talk::PostgreSql)),
                (false, true) => becomes(Talk::PostgreSqlSslRequest, Some(Talk::Tls)),
                _ => {}
            }
        }
        if said(Start::Banner) {
            if said(Start::Ehlo) {
                becomes(Talk::SmtpOrFtp, Some(Talk::Smtp));
            } else if said(Start::User) {
                becomes(Talk::SmtpOrFtp, Some(Talk::Ftp));
            }
        }
        // The greeting is never encrypted, whatever follows it.
        if said(Start::MySqlGreeting) && said(Start::MySqlSslRequest) {
            becomes(Talk::MySql, Some(Talk::Tls));
        }
        talks
    }
}

impl FromIterator<Talk> for Talks {
    fn from_iter<I: IntoIterator<Item = Talk>>(all: I) -> Talks {
        let mut talks = Talks::default();
        all.into_iter().for_each(|talk| talks.insert(talk));
        talks
    }
}

#[cfg(test)]
mod tests;
