//! Flows to rows of the log and back.

use std::net::IpAddr;

use capture::activity::NARROWEST;
use capture::flow::{Flow, Opening, Side, Socket};
use capture::time::SECOND;
use capture::track::Turnovers;
use capture::{Activity, Protocol, Timestamp};
use rusqlite::Row;
use rusqlite::types::Value;

use super::{codes, column, damaged};

/// One hour, in nanoseconds: the longest stretch.
pub(crate) const HOUR: i64 = 3600 * SECOND;

/// The columns of a table of flows behind the observer.
pub(super) type Columns = Vec<Value>;

/// When the stretch of a flow of several conversations begins: a multiple of `grain` nanoseconds, or the last of `moments` of
/// its addresses behind that.
pub(crate) fn stretch(flow: &Flow, grain: i64, moments: &Turnovers) -> Timestamp {
    let start = flow.first.floor(grain);
    let (Opening::Seen { client: Socket { ip: client, .. }, dialled, served, .. }
    | Opening::Alike { client, dialled, served, .. }) = &flow.opening
    else {
        return start;
    };
    let ends = [Some(*client), Some(dialled.ip), served.map(|served| served.ip)];
    let passed = ends.into_iter().flatten().filter_map(|ip| {
        let at = moments.get(&ip)?;
        at[..at.partition_point(|moment| *moment <= flow.first)].last().copied()
    });
    passed.max().unwrap_or(start).max(start)
}

/// The row of a flow of several conversations within one stretch.
pub(super) fn counted(flow: &Flow, stretch: Timestamp) -> Columns {
    columns(flow, Some(stretch))
}

/// The row of a conversation that is kept alone.
pub(super) fn alone(flow: &Flow) -> Columns {
    columns(flow, None)
}

fn columns(flow: &Flow, stretch: Option<Timestamp>) -> Columns {
    let (client, dialled, served, opened, identity, speech) = match &flow.opening {
        Opening::Seen { client, dialled, served, proof, identity } => {
            (*client, *dialled, *served, codes::opened(*proof), *identity, 0)
        }
        Opening::Alike { client, dialled, served, proof } => {
            (Socket { ip: *client, port: 0 }, *dialled, *served, codes::opened(*proof), 0, 0)
        }
        Opening::Unseen { sides } => {
            (sides[0].socket, sides[1].socket, None, codes::UNSEEN, 0, codes::speech_bits(sides))
        }
    };
    let text = |word: &str| Value::Text(word.to_string());
    let address = |ip: IpAddr| Value::Text(ip.to_string());
    let count = |count: u64| Value::Integer(i64::try_from(count).unwrap_or(i64::MAX));
    let is_alone = stretch.is_none();
    let stretch = stretch.unwrap_or(flow.first);
    let (minutes, activity) = match bitmap(&flow.activity, stretch) {
        Some(minutes) => (minutes, String::new()),
        None => (0, column::write_bins(&flow.activity)),
    };
    let (client_port, identity_of_key) = if is_alone { (i64::from(client.port), identity) } else { (-1, 0) };
    vec![
        address(client.ip),
        Value::Integer(client_port),
        address(dialled.ip),
        Value::Integer(i64::from(dialled.port)),
        served.map_or_else(|| text(""), |served| address(served.ip)),
        Value::Integer(served.map_or(-1, |served| i64::from(served.port))),
        text(flow.protocol.name()),
        text(flow.outcome.name()),
        text(opened),
        Value::Integer(i64::from(flow.dns)),
        Value::Integer(i64::from(flow.translated)),
        Value::Integer(i64::from(is_alone)),
        Value::Integer(i64::from(identity_of_key)),
        Value::Integer(stretch.0),
        count(flow.connections),
        count(flow.datagrams),
        Value::Integer(flow.first.0),
        Value::Integer(i64::from(client.port)),
        Value::Integer(i64::from(identity)),
        Value::Integer(flow.last.0),
        Value::Integer(flow.newest.0),
        Value::Integer(minutes),
        Value::Text(activity),
        Value::Integer(codes::talk_bits(flow.talk)),
        Value::Integer(speech),
        Value::Text(column::write_histogram(flow.latency.iter())),
    ]
}

/// Minutes of the hour in which a stretch begins; `None` where there are others.
fn bitmap(activity: &Activity, stretch: Timestamp) -> Option<i64> {
    let hour = stretch.floor(HOUR);
    let mut minutes = 0;
    for start in activity.iter() {
        let minute = start.since(hour).div_euclid(NARROWEST);
        if activity.width() != NARROWEST || !(0..60).contains(&minute) {
            return None;
        }
        minutes |= 1 << minute;
    }
    Some(minutes)
}

/// A flow of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// Local number of the observer.
    pub(crate) observer: i64,
    /// Whether it is kept alone.
    pub(crate) alone: bool,
    /// As [`capture::Tracked::rows`] has it, or [`capture::Tracked::flows`] where it is alone.
    pub(crate) flow: Flow,
}

/// Reads a row with all columns, the observer first.
pub(super) fn read(row: &Row<'_>) -> anyhow::Result<Recorded> {
    let wrong = |column: &str| damaged(&format!("a value of column `{column}` has no meaning"));
    let address = |at: usize, name: &str| row.get_ref(at)?.as_str()?.parse::<IpAddr>().map_err(|_| wrong(name));
    let port = |at: usize, name: &str| u16::try_from(row.get::<_, i64>(at)?).map_err(|_| wrong(name));
    let count = |at: usize, name: &str| u64::try_from(row.get::<_, i64>(at)?).map_err(|_| wrong(name));
    let flag = |at: usize| row.get::<_, bool>(at);
    let word = |at: usize| anyhow::Ok(row.get_ref(at)?.as_str()?);
    let time = |at: usize| row.get::<_, i64>(at).map(Timestamp);

    let client = Socket { ip: address(1, "client")?, port: port(18, "first_port")? };
    let dialled = Socket { ip: address(3, "dialled")?, port: port(4, "dialled_port")? };
    let opening = if word(9)? == codes::UNSEEN {
        let [low, high] = codes::speech(row.get(25)?).ok_or_else(|| wrong("speech"))?;
        Opening::Unseen { sides: [Side { socket: client, speech: low }, Side { socket: dialled, speech: high }] }
    } else {
        let served = match word(5)? {
            "" => None,
            _ => Some(Socket { ip: address(5, "served")?, port: port(6, "served_port")? }),
        };
        let proof = codes::proof(word(9)?).ok_or_else(|| wrong("opened"))?;
        let identity = u32::try_from(row.get::<_, i64>(19)?).map_err(|_| wrong("first_identity"))?;
        Opening::Seen { client, dialled, served, proof, identity }
    };
    let stretch = time(14)?;
    let mut activity = column::read_bins(word(23)?).ok_or_else(|| wrong("activity"))?;
    let minutes: i64 = row.get(22)?;
    for minute in (0..60).filter(|minute| minutes & 1 << minute != 0) {
        activity.note(stretch.floor(HOUR).plus(minute * NARROWEST));
    }
    let latency = column::read_histogram(word(26)?).ok_or_else(|| wrong("latency"))?;
    let flow = Flow {
        protocol: Protocol::from_name(word(7)?).ok_or_else(|| wrong("protocol"))?,
        opening,
        outcome: codes::outcome(word(8)?).ok_or_else(|| wrong("outcome"))?,
        connections: count(15, "connections")?,
        first: time(17)?,
        last: time(20)?,
        newest: time(21)?,
        activity,
        latency: latency.into_iter().collect(),
        datagrams: count(16, "datagrams")?,
        dns: flag(10)?,
        talk: codes::talks(row.get(24)?).ok_or_else(|| wrong("talks"))?,
        translated: flag(11)?,
    };
    Ok(Recorded { observer: row.get(0)?, alone: flag(12)?, flow })
}
