//! Capture files into a flow log: `ringfence record --pcap`, and `--pcap` beside `--log`.
//!
//! Files that are given together are tracked together, so that views of one connection in several of them join. They are one
//! observer, named by what they hold: the same files are never counted twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use capture::file::FileError;
use capture::time::SECOND;
use capture::track::{Limits, Turnovers};
use capture::{CaptureFile, Flow, Opening, Settings, Timestamp, Tracked};
use sha2::{Digest, Sha256};
use synth::inventory::Inventory;

use crate::args::{RecordArgs, Tunnels};
use crate::exit::Exit;
use crate::input::{self, Traffic, Unnamed};
use crate::log::{Batch, HOUR, Log, stretch};
use crate::source::Source;
use crate::summary::number;
use crate::{captures, summary};

/// Rows of several conversations that captures give at most at a finer grain than an hour.
const MAX_ROWS: usize = 200_000;

/// Lengths of the stretches that rows do not leave, the first that gives few enough rows is taken. Addresses change hands at
/// whole seconds, so that a row of a second never spans that, whatever cluster it is held against later.
const GRAINS: [i64; 3] = [SECOND, 60 * SECOND, HOUR];

/// More rows than without a grain have to fit while captures are read.
const LIMITS: Limits = Limits { conversations: 1_200_000, flows: 2_000_000 };

/// Runs `record` on capture files.
pub(crate) fn run(args: &RecordArgs, _: &mut impl Write) -> anyhow::Result<Exit> {
    if args.pcaps.is_empty() {
        anyhow::bail!("record needs --pcap FILE: live interfaces are not recorded yet");
    }
    input::check(&args.pcaps)?;
    let cluster = input::cluster(&args.cluster, Unnamed::Nothing, args.quiet)?;
    let mut log = Log::create_or_open(&args.log)?;
    let fed = feed(&mut log, &args.pcaps, &args.tunnels, &cluster.inventory, args.quiet);
    let closed = log.close();
    let fed = fed?;
    closed?;
    let refused = summary::objects(&cluster, None)?;
    captures::damage(&fed.traffic)?;
    if !args.quiet {
        captures::contents(&fed.traffic)?;
        let mut err = io::stderr().lock();
        match fed.rows {
            None => writeln!(err, "{}: holds these captures already, nothing is added", args.log.display())?,
            Some((rows, grain)) => {
                let stretch = if grain == SECOND {
                    "second"
                } else if grain == HOUR {
                    "hour"
                } else {
                    "minute"
                };
                writeln!(err, "{}: {} rows, none longer than a {stretch}", args.log.display(), number(rows as u64))?;
            }
        }
    }
    Ok(if refused || fed.traffic.unreadable().is_some() { Exit::Unusable } else { Exit::Fine })
}

/// What became of captures.
pub(crate) struct Fed {
    /// What they held; the flows are in the log.
    traffic: Traffic,
    /// Rows and their grain; `None` where the log has the captures already.
    rows: Option<(usize, i64)>,
}

/// Reads captures into a log, unless it has them.
pub(crate) fn feed(
    log: &mut Log,
    paths: &[PathBuf],
    tunnels: &Tunnels,
    inventory: &Inventory,
    quiet: bool,
) -> anyhow::Result<Fed> {
    let (turnovers, moments) = (inventory.turnovers(), inventory.moments());
    let again = paths.iter().all(|path| path.is_file());
    let mut grains = GRAINS.into_iter();
    let (tracked, mut sources, grain) = loop {
        let grain = grains.next().unwrap_or(HOUR);
        let taps: Vec<Tap> = paths.iter().map(|path| Tap::open(path)).collect::<Result<_, _>>()?;
        let named = paths.iter().zip(&taps);
        let files = named.map(|(path, tap)| tap.capture(path)).collect::<Result<Vec<_>, _>>()?;
        let settings = Settings {
            turnovers: turnovers.clone(),
            moments: moments.clone(),
            grain: Some(grain),
            limits: LIMITS,
            ..Settings::default()
        };
        let (tracked, mut sources) = input::captures(files, settings, tunnels, (None, None), quiet)?;
        for ((source, tap), path) in sources.iter_mut().zip(taps).zip(paths) {
            source.id = tap.finish().with_context(|| path.display().to_string())?;
        }
        // With longer stretches more fits; what came through a pipe cannot be read again.
        if again && grain < HOUR && tracked.tally.lost + tracked.tally.dropped > 0 {
            continue;
        }
        break (tracked, sources, grain);
    };
    let mut seen: BTreeMap<String, i64> = BTreeMap::new();
    for source in &mut sources {
        let count = seen.entry(source.id.clone()).or_default();
        source.run = *count;
        *count += 1;
    }
    let Tracked { flows, rows, names, tally, skew } = tracked;
    let (counted, grain) = coarsened(rows, grain, &moments);
    let name = name(&sources, tunnels, &turnovers, &moments, grain);
    let traffic = Traffic::of_sources(sources, tally);
    if log.has_capture(&name)? {
        return Ok(Fed { traffic, rows: None });
    }
    let rows = counted.len() + flows.len();
    let batch = Batch {
        counted,
        alone: flows,
        names: names.iter().map(|(address, name, asker)| (address, name.to_string(), asker)).collect(),
        sources: traffic.sources.clone(),
        tally: traffic.tracked.tally.clone(),
        unnamed: names.dropped(),
        skew,
        ..Batch::default()
    };
    log.append_capture(&name, grain, &batch)?;
    Ok(Fed { traffic, rows: Some((rows, grain)) })
}

/// The rows with the starts of their stretches, which are made longer until there are few enough.
fn coarsened(rows: Vec<Flow>, grain: i64, moments: &Turnovers) -> (Vec<(Timestamp, Flow)>, i64) {
    let mut rows: Vec<(Timestamp, Flow)> = rows.into_iter().map(|row| (stretch(&row, grain, moments), row)).collect();
    let mut taken = grain;
    for grain in GRAINS.into_iter().filter(|longer| *longer > grain) {
        if rows.len() <= MAX_ROWS {
            break;
        }
        let mut joined: BTreeMap<_, (Timestamp, Flow)> = BTreeMap::new();
        for (_, row) in rows {
            let Opening::Seen { client, dialled, served, proof, .. } = row.opening else { continue };
            let start = stretch(&row, grain, moments);
            let key = (client.ip, dialled, served, row.protocol, row.outcome, proof, row.dns, row.translated, start);
            match joined.get_mut(&key) {
                Some((_, known)) => known.add(&row),
                None => {
                    joined.insert(key, (start, row));
                }
            }
        }
        rows = joined.into_values().collect();
        taken = grain;
    }
    (rows, taken)
}

/// The observer's name: the hash of the file, or that of the sorted hashes of several; and one of what else decides what is
/// in the log, where that is not as usual.
fn name(sources: &[Source], tunnels: &Tunnels, turnovers: &Turnovers, moments: &Turnovers, grain: i64) -> String {
    let mut hashes: Vec<&str> = sources.iter().map(|source| source.id.as_str()).collect();
    hashes.sort_unstable();
    let files = match hashes.as_slice() {
        [one] => (*one).to_string(),
        several => hex(Sha256::digest(several.join("\n")).as_slice()),
    };
    let ports = |ports: &[u16]| ports.iter().copied().collect::<BTreeSet<u16>>();
    let within =
        |at: &[Timestamp]| -> Vec<i64> { at.iter().map(|time| time.0).filter(|time| time % grain != 0).collect() };
    let changes: BTreeMap<String, (Vec<i64>, Vec<i64>)> = moments
        .iter()
        .map(|(ip, at)| {
            let turnovers = turnovers.get(ip).into_iter().flatten().map(|time| time.0).collect();
            (ip.to_string(), (turnovers, within(at)))
        })
        .filter(|(_, (turnovers, within)): &(String, (Vec<i64>, Vec<i64>))| !turnovers.is_empty() || !within.is_empty())
        .collect();
    let (vxlan, geneve) = (ports(&tunnels.vxlan), ports(&tunnels.geneve));
    if vxlan.is_empty() && geneve.is_empty() && changes.is_empty() && grain == SECOND {
        return format!("sha256:{files}");
    }
    let settings = format!("{vxlan:?} {geneve:?} {changes:?} {grain}");
    format!("sha256:{files}+{}", &hex(Sha256::digest(settings).as_slice())[..16])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file whose bytes are hashed while they are read.
#[derive(Clone)]
struct Tap(Arc<Mutex<Hashed>>);

struct Hashed {
    source: Box<dyn Read + Send>,
    digest: Sha256,
}

impl Tap {
    fn open(path: &Path) -> Result<Tap, FileError> {
        let source: Box<dyn Read + Send> = if path.as_os_str() == "-" {
            Box::new(io::stdin())
        } else {
            let name = path.display().to_string();
            Box::new(File::open(path).map_err(|source| FileError::Open { name, source })?)
        };
        Ok(Tap(Arc::new(Mutex::new(Hashed { source, digest: Sha256::new() }))))
    }

    fn capture(&self, path: &Path) -> Result<CaptureFile, FileError> {
        let name = if path.as_os_str() == "-" { "stdin".to_string() } else { path.display().to_string() };
        CaptureFile::from_reader(name, Box::new(self.clone()))
    }

    /// The hash of all bytes, of those too that nobody wanted to read.
    fn finish(mut self) -> io::Result<String> {
        io::copy(&mut self, &mut io::sink())?;
        let hashed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(hex(hashed.digest.clone().finalize().as_slice()))
    }
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut hashed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = hashed.source.read(buffer)?;
        hashed.digest.update(&buffer[..count]);
        Ok(count)
    }
}
