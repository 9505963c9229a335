//! How much has been learned: words for people, and an object for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};

use capture::time::SECOND;
use serde::Serialize;
use synth::completeness::{Completeness, HOUR, Learned, State, completeness};
use synth::graph::Graph;
use synth::window::Window;

use crate::args::Reading;
use crate::input::Traffic;
use crate::summary::number;

/// Workloads that are named; the others are counted.
const NAMED: usize = 5;

/// What the captures say about learning; `None` where they have no frame in the time that was asked for.
pub(crate) fn measure(graph: &Graph, traffic: &Traffic, reading: &Reading) -> Option<Completeness> {
    Some(completeness(graph, &traffic.window(&reading.window)?))
}

/// Tells people, unless `quiet`.
pub(crate) fn print(completeness: Option<&Completeness>, quiet: bool) -> io::Result<()> {
    let Some(completeness) = completeness.filter(|it| !quiet && it.total.edges > 0) else { return Ok(()) };
    let mut err = io::stderr().lock();
    let Completeness { window, total, workloads } = completeness;
    writeln!(err, "{}", sentence(total, window))?;
    // Shorter than that, everything is new and seen once.
    if window.watched() < HOUR {
        return Ok(());
    }
    let rhythms: Vec<String> =
        total.rhythms.iter().map(|(rhythm, count)| format!("{} {}", number(*count), rhythm.name())).collect();
    writeln!(err, "edges in use: {}", rhythms.join(", "))?;
    let learning: Vec<String> = workloads
        .iter()
        .filter(|(_, learned)| learned.state == State::Learning)
        .map(|(workload, _)| workload.to_string())
        .collect();
    if !learning.is_empty() {
        let more = match learning.len().checked_sub(NAMED) {
            None | Some(0) => String::new(),
            Some(more) => format!(" and {} more", number(more as u64)),
        };
        let named = learning[..learning.len().min(NAMED)].join(", ");
        writeln!(err, "still learning, {} of {} workloads: {named}{more}", learning.len(), workloads.len())?;
    }
    Ok(())
}

/// `learning: 12 new edges in the last hour of 3 h; about 9 % of connections would go to edges not seen yet`.
pub(crate) fn sentence(learned: &Learned, window: &Window) -> String {
    let watched = window.watched();
    let (hour, quarter) = (learned.new_last_hour, learned.new_last_quarter);
    let new = match learned.last_new {
        _ if watched < HOUR => format!("watched for {} only", duration(watched)),
        _ if hour > 0 => format!("{} in the last hour of {}", new_edges(hour), duration(watched)),
        _ if quarter > 0 => {
            format!("{} in the last {} of {}", new_edges(quarter), duration(watched / 4), duration(watched))
        }
        last => {
            let since = last.map_or(watched, |last| window.watched_between(last, window.to()));
            format!("no new edge in the last {} of {}", duration(since), duration(watched))
        }
    };
    if learned.connections == learned.edges && learned.edges > 0 {
        return format!(
            "{}: {new}; each edge was seen once, so nothing can be told of those not seen",
            learned.state.name()
        );
    }
    let share = learned.unseen_connections.unwrap_or(1.0) * 100.0;
    let share = if share < 1.0 { "less than 1".to_string() } else { format!("about {share:.0}") };
    let mut text = format!("{}: {new}; {share} % of connections would go to edges not seen yet", learned.state.name());
    let missing = learned.unseen_edges.max(learned.unseen_edges_by_day.unwrap_or(0.0)).round() as u64;
    if missing > 0 {
        text += &format!(", at least {} beside the {} seen", number(missing), number(learned.edges));
    }
    text
}

fn new_edges(count: u64) -> String {
    format!("{} new edge{}", number(count), if count == 1 { "" } else { "s" })
}

/// A length of time in nanoseconds, in the two largest units that are not zero: `2 d 4 h`.
pub(crate) fn duration(nanoseconds: i64) -> String {
    let seconds = nanoseconds / SECOND;
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let Some(largest) = units.iter().position(|(length, _)| seconds >= *length) else { return "a moment".to_string() };
    let (length, unit) = units[largest];
    let mut text = format!("{} {unit}", seconds / length);
    if let Some((next, unit)) = units.get(largest + 1).filter(|(next, _)| seconds % length >= *next) {
        text += &format!(" {} {unit}", seconds % length / next);
    }
    text
}

/// `completeness` of the file of `--summary`.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    window: Watched,
    total: Row,
    /// Sorted; each edge belongs to the workloads on both sides.
    workloads: Vec<Named<'a>>,
}

#[derive(Debug, Serialize)]
struct Watched {
    from: String,
    to: String,
    /// Times between captures.
    gaps: Vec<[String; 2]>,
    /// Seconds, less the gaps.
    watched: i64,
}

#[derive(Debug, Serialize)]
struct Named<'a> {
    namespace: &'a str,
    kind: &'a str,
    name: &'a str,
    #[serde(flatten)]
    row: Row,
}

#[derive(Debug, Serialize)]
struct Row {
    state: &'static str,
    edges: u64,
    connections: u64,
    new_edges: New,
    /// Share of connections, 0 to 1: Good-Turing.
    unseen_connections: Option<f64>,
    unseen_edges: Missing,
    /// Seconds between connections of one edge.
    gaps: Option<Pauses>,
    /// Edges by how often they are in use.
    rhythm: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Serialize)]
struct New {
    last_hour: u64,
    last_quarter: u64,
    /// In the last quarter.
    per_hour: f64,
    /// When the last new edge was first seen.
    last: Option<String>,
}

/// Lower bounds.
#[derive(Debug, Serialize)]
struct Missing {
    /// Over connections.
    chao1: f64,
    /// Over days, of a window of two at least.
    chao2: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Pauses {
    median: i64,
    longest: i64,
}

impl<'a> Report<'a> {
    /// For the file.
    pub(crate) fn new(completeness: &'a Completeness) -> Report<'a> {
        let Completeness { window, total, workloads } = completeness;
        Report {
            window: Watched {
                from: window.from().to_string(),
                to: window.to().to_string(),
                gaps: window.gaps().iter().map(|(from, to)| [from.to_string(), to.to_string()]).collect(),
                watched: window.watched() / SECOND,
            },
            total: Row::new(total),
            workloads: workloads
                .iter()
                .map(|(workload, learned)| Named {
                    namespace: &workload.namespace,
                    kind: &workload.kind,
                    name: &workload.name,
                    row: Row::new(learned),
                })
                .collect(),
        }
    }
}

impl Row {
    fn new(learned: &Learned) -> Row {
        Row {
            state: learned.state.name(),
            edges: learned.edges,
            connections: learned.connections,
            new_edges: New {
                last_hour: learned.new_last_hour,
                last_quarter: learned.new_last_quarter,
                per_hour: rounded(learned.new_per_hour),
                last: learned.last_new.map(|time| time.to_string()),
            },
            unseen_connections: learned.unseen_connections.map(rounded),
            unseen_edges: Missing {
                chao1: rounded(learned.unseen_edges),
                chao2: learned.unseen_edges_by_day.map(rounded),
            },
            gaps: learned
                .median_gap
                .zip(learned.longest_gap)
                .map(|(median, longest)| Pauses { median: median / SECOND, longest: longest / SECOND }),
            rhythm: learned.rhythms.iter().map(|(rhythm, count)| (rhythm.name(), *count)).collect(),
        }
    }
}

/// To four decimals: more of an estimate is noise.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (seconds, text) in [
            (0, "a moment"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min 59 s"),
            (7200, "2 h"),
            (7201, "2 h"),
            (9000, "2 h 30 min"),
            (90_000, "1 d 1 h"),
            (86_400 * 14, "14 d"),
        ] {
            assert_eq!(duration(seconds * SECOND), text);
        }
    }
}
