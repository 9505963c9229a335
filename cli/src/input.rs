//! What the arguments stand for: captures read to flows, objects to an inventory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use capture::merge;
use capture::packet::TunnelPorts;
use capture::{CaptureFile, Decoder, LinkType, Settings, Tally, Timestamp, Tracked, Tracker};
use ipnet::IpNet;
use synth::inventory::{Inventory, Options};
use synth::manifest::{Objects, Problem};
use synth::policy::{Origin, PolicySet};
use synth::window::Window;

use crate::args::{self, ClusterInput, Flows, LiveCluster, Reading, Tunnels};
use crate::bar::Bar;
use crate::complaint::{Code, Complain};
use crate::log::{self, Log};
use crate::source::Source;
use crate::{cluster, feed, snapshot, summary};

/// The cluster's objects and what could not be read of them.
pub(crate) struct Cluster {
    pub(crate) inventory: Inventory,
    pub(crate) problems: Vec<Problem>,
    pub(crate) ignored: BTreeMap<String, u64>,
}

/// Flows and where they come from.
pub(crate) struct Traffic {
    pub(crate) tracked: Tracked,
    pub(crate) sources: Vec<Source>,
    /// Whether nothing but capture files was read, now or into a flow log.
    pub(crate) only_captures: bool,
    /// The nodes that were watched, where agents and nobody else watched.
    pub(crate) nodes: Option<Vec<String>>,
    /// Rows of a flow log that are partly outside of the time that was asked for, and conversations in them.
    pub(crate) straddling: Option<(u64, u64)>,
    /// Ranges that stand for outside addresses, and conversations that are written so.
    pub(crate) folded: BTreeMap<IpNet, u64>,
}

impl Traffic {
    /// Captures whose flows are elsewhere.
    pub(crate) fn of_sources(sources: Vec<Source>, tally: Tally) -> Traffic {
        let tracked = Tracked { tally, ..Tracked::default() };
        Traffic { tracked, sources, only_captures: true, nodes: None, straddling: None, folded: BTreeMap::new() }
    }

    /// When somebody watched, as far as it was asked for; `None` where nobody did.
    pub(crate) fn window(&self, asked: &args::Window) -> Option<Window> {
        // `--until` is exclusive.
        let (since, until) = (asked.since.unwrap_or(Timestamp::MIN), asked.until.map(|until| until.plus(-1)));
        let spans = self.sources.iter().filter_map(|source| source.span);
        Window::of(spans)?.within(since, until.unwrap_or(Timestamp::MAX))
    }

    /// The link types of all frames, if nobody can read any of them.
    pub(crate) fn unreadable(&self) -> Option<BTreeSet<LinkType>> {
        let interfaces = self.sources.iter().flat_map(|source| &source.interfaces);
        let links: BTreeSet<LinkType> =
            interfaces.filter(|interface| interface.frames > 0).map(|interface| interface.link).collect();
        (!links.is_empty() && !links.iter().copied().any(is_readable)).then_some(links)
    }
}

/// Whether the packets in the frames of a link type can be found.
pub(crate) fn is_readable(link: LinkType) -> bool {
    !matches!(link, LinkType::Unknown(_))
}

/// What is read where the user names no cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unnamed {
    /// Nothing: the inventory is empty.
    Nothing,
    /// The cluster that kubectl would talk to, where there is one.
    Live,
}

/// Reads the cluster input.
pub(crate) fn cluster(input: &ClusterInput, unnamed: Unnamed, quiet: bool) -> anyhow::Result<Cluster> {
    cluster_with(input, None, unnamed, quiet)
}

/// Reads the cluster input, and the pods that the observers of flow logs knew and it does not have.
pub(crate) fn cluster_with(
    input: &ClusterInput,
    log: Option<&Log>,
    unnamed: Unnamed,
    quiet: bool,
) -> anyhow::Result<Cluster> {
    let mut objects = cluster_objects(&input.clusters, &input.live, unnamed, quiet)?;
    if let Some(log) = log {
        objects.add_observed("flow log", log.pods()?);
    }
    let mut cluster = resolved(&objects, &Options { pod_ranges: input.pod_ranges.clone() });
    if let Some(log) = log {
        cluster.inventory.fold(log.folded()?.into_keys());
    }
    Ok(cluster)
}

/// Objects of files and of the live cluster; both may be there, an older dump beside what is there now.
pub(crate) fn cluster_objects(
    paths: &[PathBuf],
    wanted: &LiveCluster,
    unnamed: Unnamed,
    quiet: bool,
) -> anyhow::Result<Objects> {
    let mut objects = objects(paths)?;
    if wanted.is_asked() || (paths.is_empty() && unnamed == Unnamed::Live && cluster::is_there()) {
        live(wanted, quiet, &mut objects)
            .with_context(|| "reading the live cluster, which --cluster FILE makes unnecessary".to_string())
            .complain(Code::Cluster, || {
                "`kubectl cluster-info` says whether it answers; --cluster FILE reads a dump instead".to_string()
            })?;
    }
    Ok(objects)
}

/// Adds the objects of a live cluster, as its snapshot would hold them.
fn live(wanted: &LiveCluster, quiet: bool, objects: &mut Objects) -> anyhow::Result<()> {
    let (server, read) = snapshot::take(wanted, &[], quiet)?;
    if !quiet {
        writeln!(io::stderr(), "{}: {} objects", server.name, summary::number(read.dump.len() as u64))?;
    }
    objects.load(&server.name, &read.dump.to_json());
    let origin = Origin { file: server.name.as_str().into(), line: 0 };
    objects.problems.extend(read.problems.into_iter().map(|message| Problem {
        origin: origin.clone(),
        message,
        object: None,
        unquoted: None,
    }));
    Ok(())
}

/// The flow logs, several as one; `None` without any.
pub(crate) fn logs(flows: Flows<'_>) -> anyhow::Result<Option<Log>> {
    let opened = match flows.logs {
        [] => Ok(None),
        // Captures beside it go into a copy.
        [one] if flows.pcaps.is_empty() => Log::open_read(one).map(Some),
        several => Log::temporary().and_then(|mut all| {
            log::combine(&mut all, several)?;
            Ok(Some(all))
        }),
    };
    opened.complain(Code::FlowLog, || {
        "flow logs come from `ringfence record`, `merge` and `collect`; captures go to --pcap".to_string()
    })
}

fn resolved(objects: &Objects, options: &Options) -> Cluster {
    let inventory = Inventory::build(objects, options);
    Cluster { inventory, problems: objects.problems.clone(), ignored: objects.ignored.clone() }
}

/// Policies given beside the cluster, with whatever else stands in their files; `None` where none are. A directory without
/// manifests proposes that there be none.
pub(crate) fn proposed(paths: &[PathBuf]) -> anyhow::Result<Option<Cluster>> {
    match paths {
        [] => Ok(None),
        [one] => side(one, &Options::default()).map(Some),
        several => Ok(Some(resolved(&objects(several)?, &Options::default()))),
    }
}

/// One side of a change. A directory without manifests is a side without policies.
pub(crate) fn side(path: &Path, options: &Options) -> anyhow::Result<Cluster> {
    let is_empty = path.is_dir() && manifest_files(path)?.is_empty();
    let objects = if is_empty { Objects::default() } else { objects(&[path.to_path_buf()])? };
    Ok(resolved(&objects, options))
}

/// The policies to hold something against: those of the cluster, or the `proposed` ones. Cluster-wide policies stay in
/// force where none is proposed: those who write NetworkPolicies seldom write them.
pub(crate) fn policies<'a>(inventory: &'a Inventory, proposed: Option<&'a Inventory>) -> PolicySet<'a> {
    let Some(proposed) = proposed else { return inventory.policy_set() };
    match proposed.cluster_policies.is_empty() {
        true => PolicySet { network: &proposed.policies, cluster: &inventory.cluster_policies },
        false => proposed.policy_set(),
    }
}

/// Reads manifests from files, directories and, for `-`, stdin.
pub(crate) fn objects(paths: &[PathBuf]) -> anyhow::Result<Objects> {
    read_objects(paths).complain(Code::Manifest, || {
        "YAML or JSON is read as `kubectl get -A -o yaml` and `ringfence snapshot` write it, from files and directories"
            .to_string()
    })
}

fn read_objects(paths: &[PathBuf]) -> anyhow::Result<Objects> {
    let mut objects = Objects::default();
    for path in paths {
        if path.as_os_str() == "-" {
            static TAKEN: AtomicBool = AtomicBool::new(false);
            if TAKEN.swap(true, Ordering::Relaxed) {
                bail!("-: stdin can be read only once");
            }
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).context("stdin")?;
            if text.trim().is_empty() {
                bail!("stdin: it is empty");
            }
            objects.load("stdin", &text);
            continue;
        }
        let files = manifest_files(path)?;
        if files.is_empty() {
            bail!("{}: no .yaml, .yml or .json file in this directory", path.display());
        }
        for file in files {
            match read_text(&file) {
                Ok(text) => objects.load(&file.display().to_string(), &text),
                // One file of many costs no others.
                Err(error) if path.is_dir() => objects.problems.push(Problem {
                    origin: Origin { file: file.display().to_string().into(), line: 0 },
                    message: format!("{error:#}"),
                    object: None,
                    unquoted: None,
                }),
                Err(error) => return Err(error.context(file.display().to_string())),
            }
        }
    }
    Ok(objects)
}

fn read_text(file: &Path) -> anyhow::Result<String> {
    let text = String::from_utf8(fs::read(file)?)
        .map_err(|error| anyhow::anyhow!("not UTF-8 text: {}", error.utf8_error()))?;
    anyhow::ensure!(!text.trim().is_empty(), "the file is empty");
    Ok(text)
}

/// A file as it is; of a directory, all manifests in it and below it, sorted.
fn manifest_files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let metadata = fs::metadata(path).with_context(|| path.display().to_string())?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .with_context(|| path.display().to_string())?;
    entries.sort();
    let mut files = Vec::new();
    for entry in entries {
        // kustomize's own files are no objects.
        let is_kustomization = entry.file_stem().is_some_and(|stem| stem == "kustomization");
        let is_manifest = !is_kustomization
            && entry
                .extension()
                .and_then(|extension| extension.to_str())
                .is_some_and(|extension| matches!(extension, "yaml" | "yml" | "json"));
        if entry.is_dir() {
            files.extend(manifest_files(&entry)?);
        } else if is_manifest {
            files.push(entry);
        }
    }
    Ok(files)
}

/// The UDP ports of tunnels: the usual ones and those given.
pub(crate) fn tunnel_ports(tunnels: &Tunnels) -> TunnelPorts {
    let mut ports = TunnelPorts::default();
    ports.vxlan.extend(&tunnels.vxlan);
    ports.geneve.extend(&tunnels.geneve);
    ports
}

/// Reads the captures as one, by time, or the flow logs, or both. Addresses that change hands in `inventory` start new
/// conversations.
pub(crate) fn traffic(
    flows: Flows<'_>,
    log: Option<Log>,
    inventory: &Inventory,
    quiet: bool,
) -> anyhow::Result<Traffic> {
    let Reading { window, tunnels, summary } = flows.reading;
    if summary.as_ref().is_some_and(|path| path.as_os_str() == "-") {
        bail!("--summary -: stdout holds the data; give a file");
    }
    if let Some(mut log) = log {
        if !flows.pcaps.is_empty() {
            check(flows.pcaps)?;
            feed::feed(&mut log, flows.pcaps, tunnels, inventory, quiet)?;
        }
        return log.traffic(inventory, window);
    }
    check(flows.pcaps)?;
    let files = open(flows.pcaps)?;
    let settings = Settings { turnovers: inventory.turnovers(), moments: inventory.moments(), ..Settings::default() };
    let (tracked, sources) = captures(files, settings, tunnels, (window.since, window.until), quiet)?;
    Ok(Traffic { tracked, sources, only_captures: true, nodes: None, straddling: None, folded: BTreeMap::new() })
}

/// Opens captures.
fn open(pcaps: &[PathBuf]) -> anyhow::Result<Vec<CaptureFile>> {
    let opened = pcaps.iter().map(|path| CaptureFile::open(path)).collect::<Result<Vec<_>, _>>();
    opened.complain(Code::Capture, || {
        "captures are pcap or pcapng as tcpdump -w and Wireshark write them, also in gzip or zstd; `file NAME` says what it is"
            .to_string()
    })
}

/// What of `--pcap` needs no look into the files.
pub(crate) fn check(pcaps: &[PathBuf]) -> anyhow::Result<()> {
    if pcaps.iter().filter(|path| path.as_os_str() == "-").count() > 1 {
        bail!("--pcap -: stdin can be read only once");
    }
    if pcaps.len() > usize::from(u16::MAX) {
        bail!("--pcap: more than {} files", u16::MAX);
    }
    Ok(())
}

/// Tracks captures as one, by time, between two times, the second exclusive.
pub(crate) fn captures(
    mut files: Vec<CaptureFile>,
    settings: Settings,
    tunnels: &Tunnels,
    (since, until): (Option<Timestamp>, Option<Timestamp>),
    quiet: bool,
) -> anyhow::Result<(Tracked, Vec<Source>)> {
    let settings = Settings { sources: files.len() as u16, ..settings };
    let mut tracker = Tracker::new(settings, Decoder::new(tunnel_ports(tunnels)));
    let (since, until) = (since.unwrap_or(Timestamp::MIN), until.unwrap_or(Timestamp::MAX));
    let bar = Bar::new(quiet, "frames", None);
    let progress = |frames: u64| {
        if frames.is_multiple_of(1 << 16) {
            bar.at(frames);
        }
    };
    let spans = merge::read(&mut files, &mut tracker, since, until, progress)?;
    drop(bar);
    let sources = files.iter().zip(spans).enumerate();
    let sources =
        sources.map(|(at, (file, span))| Source::file(file.name(), at, span.times, file.statistics(), file.damage()));
    Ok((tracker.finish(), sources.collect()))
}
