//! DNS messages (RFC 1035 §4, RFC 3596).
//!
//! They are read by hand, because most need only a look at their start, because a snap length cuts them anywhere, and
//! because the time has to be linear in the message whatever its names point at.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use super::is_host_name;

/// What a DNS message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dns {
    /// QR clear.
    Query,
    /// QR set: each address of the answer with the name that was asked for, in lower case, whatever chain of CNAMEs led
    /// there. Of a message that is cut short, the answers before the cut.
    Response(Vec<(IpAddr, String)>),
}

/// Whether `port` is one where DNS is spoken: 53, 5353 (OpenShift's pods), and the unprivileged numbers in use.
pub fn is_dns_port(port: u16) -> bool {
    matches!(port, 53 | 5353 | 1053 | 8053 | 9053)
}

/// Reads a DNS message of a UDP datagram, as far as it was captured; `None` where it is none.
pub fn dns(message: &[u8]) -> Option<Dns> {
    Some(match start(message)? {
        Start::Query => Dns::Query,
        Start::Response { questions, answers } => match read(message, questions, answers) {
            Ok(Read { addresses, .. }) => Dns::Response(addresses),
            Err(Malformed) => Dns::Response(Vec::new()),
        },
    })
}

/// Reads a DNS message of which nothing is missing; `None` where it is none.
pub(super) fn whole(message: &[u8]) -> Option<Dns> {
    let (questions, answers) = match start(message)? {
        Start::Query => return Some(Dns::Query),
        Start::Response { questions, answers } => (questions, answers),
    };
    let read = read(message, questions, answers).ok()?;
    (!read.is_cut).then_some(Dns::Response(read.addresses))
}

/// Pointers in one name: a name of 255 bytes has at most 127 labels.
const MOST_POINTERS: usize = 127;

/// Length of the header.
const HEADER: usize = 12;

/// What the header tells.
enum Start {
    Query,
    Response { questions: u16, answers: u16 },
}

/// Reads the header (§4.1.1), and looks whether it and the first question can be what they seem to be: other things
/// are spoken on these ports too.
fn start(message: &[u8]) -> Option<Start> {
    let header: &[u8; HEADER] = message.first_chunk()?;
    let count = |at| u16::from_be_bytes([header[at], header[at + 1]]);
    let [questions, answers, authorities, additional] = [4, 6, 8, 10].map(count);
    // RFC 6895 §2.2: the opcodes that are assigned; §2.1: the bit that must be zero.
    if !matches!(header[2] >> 3 & 0xf, 0..=2 | 4..=6) || header[3] & 0x40 != 0 {
        return None;
    }
    if questions == 0 && answers == 0 && authorities == 0 && additional == 0 && message.len() > HEADER {
        return None;
    }
    if questions > 0 {
        let mut reader = Reader { message, at: HEADER };
        // The first name has nothing to point at.
        let class = match reader.skip_name() {
            Ok(Ended::Root) => reader.take(4).map(|rest| u16::from_be_bytes([rest[2], rest[3]])),
            Ok(Ended::Pointer) | Err(Bad::Malformed) => return None,
            Err(Bad::Cut) => Err(Bad::Cut),
        };
        // RFC 6762 §5.4: the highest bit is multicast DNS' own.
        if !matches!(class.map(|class| class & 0x7fff), Err(_) | Ok(1 | 3 | 4 | 254 | 255)) {
            return None;
        }
    }
    let is_response = header[2] & 0x80 != 0;
    Some(if is_response { Start::Response { questions, answers } } else { Start::Query })
}

/// What the body of a response holds.
struct Read {
    addresses: Vec<(IpAddr, String)>,
    is_cut: bool,
}

/// A body that contradicts itself.
struct Malformed;

/// A name in lower case, each label with its length in front.
type Name = Vec<u8>;

/// Reads questions and answers (§4.1.2, §4.1.3).
fn read(message: &[u8], questions: u16, answers: u16) -> Result<Read, Malformed> {
    let mut reader = Reader { message, at: HEADER };
    let (mut asked, mut aliases, mut hosts) = (Vec::new(), Vec::new(), Vec::new());
    let mut body = || -> Result<(), Bad> {
        for _ in 0..questions {
            let name = reader.name()?;
            reader.take(4)?;
            asked.push(name);
        }
        for _ in 0..answers {
            let owner = reader.name()?;
            let &[kind_high, kind_low, _, _, _, _, _, _, high, low] = reader.take(10)? else { return Err(Bad::Cut) };
            let start = reader.at;
            let data = reader.take(usize::from(u16::from_be_bytes([high, low])))?;
            match (u16::from_be_bytes([kind_high, kind_low]), data) {
                (1, &[a, b, c, d]) => hosts.push((owner, IpAddr::from([a, b, c, d]))),
                (28, data) => {
                    let octets: [u8; 16] = data.try_into().map_err(|_| Bad::Malformed)?;
                    hosts.push((owner, Ipv6Addr::from(octets).to_canonical()));
                }
                (5, _) => aliases.push((owner, Reader { message, at: start }.name()?)),
                (1, _) => return Err(Bad::Malformed),
                _ => {}
            }
        }
        Ok(())
    };
    let is_cut = match body() {
        Ok(()) => false,
        Err(Bad::Cut) => true,
        Err(Bad::Malformed) => return Err(Malformed),
    };
    let questions = follow(asked, aliases);
    let named = |(owner, address)| Some((address, questions.get(&owner)?.clone()?));
    Ok(Read { addresses: hosts.into_iter().filter_map(named).collect(), is_cut })
}

/// Which question each name answers, in text; `None` for one that is no host name. The links of a chain may come in any
/// order (RFC 1034 §3.6.2 only expects the usual one); each is followed once.
fn follow(asked: Vec<Name>, mut aliases: Vec<(Name, Name)>) -> BTreeMap<Name, Option<String>> {
    aliases.sort_unstable();
    let mut found = BTreeMap::new();
    let mut open: Vec<_> = asked.into_iter().map(|name| (text(&name), name)).collect();
    while let Some((question, name)) = open.pop() {
        if found.contains_key(&name) {
            continue;
        }
        let first = aliases.partition_point(|(owner, _)| *owner < name);
        let targets = aliases[first..].iter().take_while(|(owner, _)| *owner == name);
        open.extend(targets.map(|(_, target)| (question.clone(), target.clone())));
        found.insert(name, question);
    }
    found
}

fn text(name: &[u8]) -> Option<String> {
    let mut text = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((length, labels)) = rest.split_first() {
        let (label, others) = labels.split_at_checked(usize::from(*length))?;
        // A dot inside a label is none between labels.
        if label.contains(&b'.') {
            return None;
        }
        if !text.is_empty() {
            text.push(b'.');
        }
        text.extend_from_slice(label);
        rest = others;
    }
    if is_host_name(&text) { String::from_utf8(text).ok() } else { None }
}

/// Why reading ends.
enum Bad {
    /// The message ends here: it, or its capture, is cut short.
    Cut,
    Malformed,
}

/// What a run of labels ends with.
enum Ended {
    Root,
    Pointer,
}

/// A place in a message.
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Bad> {
        let bytes = self.message.get(self.at..self.at + length).ok_or(Bad::Cut)?;
        self.at += length;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, Bad> {
        let byte = self.message.get(self.at).ok_or(Bad::Cut)?;
        self.at += 1;
        Ok(*byte)
    }

    /// Steps over the labels of a name, up to its end or to a pointer.
    fn skip_name(&mut self) -> Result<Ended, Bad> {
        loop {
            match self.byte()? {
                0 => return Ok(Ended::Root),
                length @ 1..=63 => _ = self.take(usize::from(length))?,
                0xc0.. => return Ok(Ended::Pointer),
                _ => return Err(Bad::Malformed),
            }
        }
    }

    /// Reads a name (§4.1.4). Pointers lead back, and a name has at most 255 bytes and [`MOST_POINTERS`], so that none takes
    /// long.
    fn name(&mut self) -> Result<Name, Bad> {
        let mut name = Vec::with_capacity(32);
        let mut begin = self.at;
        // Where reading goes on behind the name, once a pointer was followed.
        let mut behind = None;
        let mut pointers = 0;
        loop {
            match self.byte()? {
                0 => break,
                length @ 1..=63 => {
                    name.push(length);
                    name.extend(self.take(usize::from(length))?.iter().map(u8::to_ascii_lowercase));
                    if name.len() > 254 {
                        return Err(Bad::Malformed);
                    }
                }
                high @ 0xc0.. => {
                    let target = usize::from(u16::from_be_bytes([high & 0x3f, self.byte()?]));
                    behind.get_or_insert(self.at);
                    pointers += 1;
                    if !(HEADER..begin).contains(&target) || pointers > MOST_POINTERS {
                        return Err(Bad::Malformed);
                    }
                    (begin, self.at) = (target, target);
                }
                _ => return Err(Bad::Malformed),
            }
        }
        self.at = behind.unwrap_or(self.at);
        Ok(name)
    }
}
