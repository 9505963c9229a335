//! What a side's first eight bytes are.

use super::Talk;
use crate::flow::Speech;
use crate::packet::Lead;

/// What the first bytes of a segment are, in six bits. The greater says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub(crate) enum Start {
    /// Nothing that is known.
    #[default]
    Nothing,
    // Those that mean something beside what the other side says.
    /// One byte `N`, or `S`.
    LoneN,
    LoneS,
    /// `USER `.
    User,
    /// MySQL's SSLRequest.
    MySqlSslRequest,
    /// OPTIONS begins requests of HTTP, RTSP and SIP.
    Options,
    // Those that mean something where nothing was said before.
    Banner,
    Ehlo,
    ImapGreeting,
    KafkaRequest,
    MemcachedReply,
    MySqlGreeting,
    NatsInfo,
    Pop3Greeting,
    PostgreSqlAuthentication,
    RedisWord,
    Telnet,
    /// A method and no path.
    HttpMethod,
    // Those that mean the same anywhere in a connection.
    Amqp,
    Cassandra,
    ClientHello,
    Http2Preface,
    HttpRequest,
    HttpStatus,
    LdapBind,
    MqttConnect,
    PostgreSqlSslRequest,
    PostgreSqlStartup,
    RedisArray,
    ServerHello,
    Smb,
    Ssh,
    TlsRecord,
    Vnc,
}

impl Start {
    /// All but nothing, by number.
    const ALL: [Start; 33] = [
        Start::LoneN,
        Start::LoneS,
        Start::User,
        Start::MySqlSslRequest,
        Start::Options,
        Start::Banner,
        Start::Ehlo,
        Start::ImapGreeting,
        Start::KafkaRequest,
        Start::MemcachedReply,
        Start::MySqlGreeting,
        Start::NatsInfo,
        Start::Pop3Greeting,
        Start::PostgreSqlAuthentication,
        Start::RedisWord,
        Start::Telnet,
        Start::HttpMethod,
        Start::Amqp,
        Start::Cassandra,
        Start::ClientHello,
        Start::Http2Preface,
        Start::HttpRequest,
        Start::HttpStatus,
        Start::LdapBind,
        Start::MqttConnect,
        Start::PostgreSqlSslRequest,
        Start::PostgreSqlStartup,
        Start::RedisArray,
        Start::ServerHello,
        Start::Smb,
        Start::Ssh,
        Start::TlsRecord,
        Start::Vnc,
    ];

    /// Bits that hold any of them.
    pub(crate) const BITS: u32 = 6;

    /// From its number.
    pub(crate) fn from_bits(bits: u16) -> Start {
        let at = usize::from(bits).checked_sub(1);
        at.and_then(|at| Start::ALL.get(at)).copied().unwrap_or_default()
    }

    /// What the payload begins with.
    #[inline]
    pub(crate) fn of(lead: Lead) -> Start {
        // Half of all segments have no payload, and most of the others begin with none of these bytes.
        if lead == Lead::default() || !(KNOWN[usize::from(lead.first())] || is_greeting(lead)) {
            return Start::Nothing;
        }
        Start::look(lead)
    }

    #[inline(never)]
    fn look(lead: Lead) -> Start {
        let (begin, end) = OF_FIRST[usize::from(lead.first())];
        let mut texts = TEXTS[usize::from(begin)..usize::from(end)].iter();
        if let Some(text) = texts.find(|text| lead.word() & text.mask == text.value) {
            return text.start;
        }
        match lead.bytes() {
            // Type, version, length up to 2^14 + 256 (RFC 8446 §5.1); ClientHello is handshake type 1, ServerHello 2 (§4).
            [22, 3, _, _, _, 1, ..] => Start::ClientHello,
            [22, 3, _, _, _, 2, ..] => Start::ServerHello,
            [22 | 23, 3, 1..=3, 0..=0x41, ..] => Start::TlsRecord,
            // Length, protocol 3.0 or 3.2; and the code 80877103.
            [0, 0, _, _, 0, 3, 0, 0 | 2] => Start::PostgreSqlStartup,
            [0, 0, 0, 8, 4, 210, 22, 47] => Start::PostgreSqlSslRequest,
            // Length, code; the kind of authentication is below 16.
            [b'R', 0, 0, 0, 8..=64, 0, 0, 0] => Start::PostgreSqlAuthentication,
            // Length, key 18, versions 0 to 4.
            [0, 0, 0, 9..=255, 0, 18, 0, 0..=4] => Start::KafkaRequest,
            // A session message of NetBIOS, or its direct form, and the start of an SMB header.
            [0, _, _, _, 0xfd..=0xff, b'S', b'M', b'B'] => Start::Smb,
            [b'A', b'M', b'Q', b'P', 0..=3, ..] => Start::Amqp,
            // Version, flags, stream, OPTIONS or STARTUP, three bytes of its length.
            [3..=5, 0, _, _, 1 | 5, 0, 0, 0] => Start::Cassandra,
            // A length of one byte or two.
            [0x10, 0..=0x7f, 0, 4, b'M', b'Q', b'T', b'T']
            | [0x10, 0..=0x7f, 0, 6, b'M', b'Q', b'I', b's']
            | [0x10, 0x80..=0xff, _, 0, 4, b'M', b'Q', b'T'] => Start::MqttConnect,
            // A sequence, a message number of one byte, and a bind request that ends where the sequence does.
            [0x30, whole, 2, 1, _, 0x60, bind, 2] if whole < 0x80 && bind.checked_add(5) == Some(whole) => {
                Start::LdapBind
            }
            // IAC and WILL, WONT, DO or DONT, twice.
            [255, 251..=254, _, 255, 250..=254, ..] => Start::Telnet,
            // `*`, digits, `\r\n$`.
            [b'*', b'1'..=b'9', b'\r', b'\n', b'$', ..]
            | [b'*', b'1'..=b'9', b'0'..=b'9', b'\r', b'\n', b'$', ..]
            | [b'*', b'1'..=b'9', b'0'..=b'9', b'0'..=b'9', b'\r', b'\n', b'$', ..] => Start::RedisArray,
            [b'N', 0, 0, 0, 0, 0, 0, 0] => Start::LoneN,
            [b'S', 0, 0, 0, 0, 0, 0, 0] => Start::LoneS,
            // Length 32, packet 1, and CLIENT_SSL among the capabilities.
            [32, 0, 0, 1, _, capabilities, ..] if capabilities & 8 != 0 => Start::MySqlSslRequest,
            // A version such as `8.0` or `10.6`.
            [_, _, 0, 0, 10, b'0'..=b'9', b'0'..=b'9' | b'.', _] => Start::MySqlGreeting,
            _ => Start::Nothing,
        }
    }

    /// The protocol that it shows.
    pub(crate) fn talk(self) -> Option<Talk> {
        Some(match self {
            Start::Nothing
            | Start::LoneN
            | Start::LoneS
            | Start::User
            | Start::MySqlSslRequest
            | Start::Options
            | Start::HttpMethod => return None,
            Start::Amqp => Talk::Amqp,
            Start::Banner => Talk::SmtpOrFtp,
            Start::Cassandra => Talk::Cassandra,
            Start::ClientHello | Start::ServerHello | Start::TlsRecord => Talk::Tls,
            Start::Ehlo => Talk::Smtp,
            Start::Http2Preface => Talk::Http2,
            Start::HttpRequest | Start::HttpStatus => Talk::Http,
            Start::ImapGreeting => Talk::Imap,
            Start::KafkaRequest => Talk::Kafka,
            Start::LdapBind => Talk::Ldap,
            Start::MemcachedReply => Talk::Memcached,
            Start::MqttConnect => Talk::Mqtt,
            Start::MySqlGreeting => Talk::MySql,
            Start::NatsInfo => Talk::Nats,
            Start::Pop3Greeting => Talk::Pop3,
            Start::PostgreSqlAuthentication | Start::PostgreSqlStartup => Talk::PostgreSql,
            Start::PostgreSqlSslRequest => Talk::PostgreSqlSslRequest,
            Start::RedisArray | Start::RedisWord => Talk::Redis,
            Start::Smb => Talk::Smb,
            Start::Ssh => Talk::Ssh,
            Start::Telnet => Talk::Telnet,
            Start::Vnc => Talk::Vnc,
        })
    }

    /// The same where nobody knows whether something was said before: only what means the same anywhere.
    pub(crate) fn anywhere(self) -> Start {
        if self >= Start::Amqp { self } else { Start::Nothing }
    }

    /// What it says about who speaks.
    const fn speech(self) -> Speech {
        let request = matches!(
            self,
            Start::ClientHello | Start::HttpRequest | Start::HttpMethod | Start::Options | Start::Http2Preface
        );
        let response = matches!(self, Start::ServerHello | Start::HttpStatus | Start::Banner | Start::Pop3Greeting);
        Speech { request, response }
    }
}

impl Speech {
    /// Reads the first bytes of a segment.
    #[inline]
    pub fn of(lead: Lead) -> Speech {
        // Most segments begin with none of these bytes.
        if TELLING[usize::from(lead.first())] { Start::look(lead).speech() } else { Speech::default() }
    }
}

/// A beginning in letters: the bytes that count, and what they are.
#[derive(Debug, Clone, Copy)]
struct Text {
    mask: u64,
    value: u64,
    start: Start,
}

const fn text(bytes: &[u8], start: Start) -> Text {
    let (mut mask, mut value, mut at) = (0, 0, 0);
    while at < bytes.len() {
        mask |= 0xff << (8 * at);
        value |= (bytes[at] as u64) << (8 * at);
        at += 1;
    }
    Text { mask, value, start }
}

/// What begins with these bytes, whatever follows: those with the same first byte next to each other, and of two that fit
/// the longer first.
const TEXTS: [Text; 48] = [
    // RFC 9110 §9. A target is a path, or an address where a proxy is asked. CONNECT is a word of NATS too.
    text(b"GET /", Start::HttpRequest),
    text(b"GET http", Start::HttpRequest),
    text(b"GET ", Start::HttpMethod),
    text(b"POST /", Start::HttpRequest),
    text(b"POST htt", Start::HttpRequest),
    text(b"POST ", Start::HttpMethod),
    text(b"PUT /", Start::HttpRequest),
    text(b"PUT http", Start::HttpRequest),
    text(b"PUT ", Start::HttpMethod),
    // RFC 5789.
    text(b"PATCH /", Start::HttpRequest),
    text(b"PATCH ", Start::HttpMethod),
    // What there is room for of `PRI * HTTP/2.0`.
    text(b"PRI * HT", Start::Http2Preface),
    text(b"PING\r\n", Start::RedisWord),
    text(b"HTTP/1.", Start::HttpStatus),
    text(b"HEAD /", Start::HttpRequest),
    text(b"HEAD htt", Start::HttpRequest),
    text(b"HEAD ", Start::HttpMethod),
    text(b"HELO ", Start::Ehlo),
    text(b"DELETE /", Start::HttpRequest),
    text(b"DELETE ", Start::HttpMethod),
    text(b"OPTIONS ", Start::Options),
    text(b"SSH-2.0-", Start::Ssh),
    text(b"SSH-1.", Start::Ssh),
    text(b"STORED\r\n", Start::MemcachedReply),
    text(b"+OK\r\n", Start::RedisWord),
    text(b"+OK ", Start::Pop3Greeting),
    text(b"+PONG\r\n", Start::RedisWord),
    text(b"-NOAUTH ", Start::RedisWord),
    text(b"-DENIED ", Start::RedisWord),
    text(b"-ERR ", Start::RedisWord),
    text(b"* OK ", Start::ImapGreeting),
    text(b"* PREAUT", Start::ImapGreeting),
    text(b"220 ", Start::Banner),
    text(b"220-", Start::Banner),
    text(b"EHLO ", Start::Ehlo),
    text(b"END\r\n\0\0\0", Start::MemcachedReply),
    text(b"ehlo ", Start::Ehlo),
    text(b"helo ", Start::Ehlo),
    // RFC 2033.
    text(b"LHLO ", Start::Ehlo),
    text(b"USER ", Start::User),
    text(b"user ", Start::User),
    text(b"INFO {", Start::NatsInfo),
    text(b"VALUE ", Start::MemcachedReply),
    text(b"VERSION ", Start::MemcachedReply),
    text(b"NOT_STOR", Start::MemcachedReply),
    text(b"gets ", Start::MemcachedReply),
    text(b"version\r", Start::MemcachedReply),
    text(b"RFB 003.", Start::Vnc),
];

/// By first byte: where its texts begin and end.
const OF_FIRST: [(u8, u8); 256] = {
    let mut index = [(0, 0); 256];
    let mut at = 0;
    while at < TEXTS.len() {
        let first = (TEXTS[at].value & 0xff) as usize;
        let (begin, end) = index[first];
        assert!(end == 0 || end as usize == at, "texts with one first byte stand together");
        index[first] = (if end == 0 { at as u8 } else { begin }, at as u8 + 1);
        at += 1;
    }
    index
};

/// The first bytes of what says who speaks: of texts, and of TLS.
const TELLING: [bool; 256] = {
    let mut telling = [false; 256];
    telling[22] = true;
    let mut at = 0;
    while at < TEXTS.len() {
        let Speech { request, response } = TEXTS[at].start.speech();
        telling[(TEXTS[at].value & 0xff) as usize] |= request || response;
        at += 1;
    }
    telling
};

/// The first bytes of what [`Start::look`] knows, MySQL's greeting apart, which begins with its length.
const KNOWN: [bool; 256] = {
    let mut known = [false; 256];
    let mut at = 0;
    while at < 256 {
        known[at] = OF_FIRST[at].1 != 0;
        at += 1;
    }
    let others = [0, 3, 4, 5, 0x10, 22, 23, 32, 0x30, 255, b'A', b'N', b'R', b'S', b'*'];
    let mut at = 0;
    while at < others.len() {
        known[others[at] as usize] = true;
        at += 1;
    }
    known
};

/// Whether it may be MySQL's greeting: packet 0, of less than 64 KiB, protocol 10.
#[inline]
fn is_greeting(lead: Lead) -> bool {
    lead.word() >> 16 & 0xff_ffff == 10 << 16
}
