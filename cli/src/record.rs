//! `ringfence record`: learn mode on one machine.
//!
//! `recorder` asks the kernel for packets and counts conversations, `session` writes them to the flow log, `clock` tells the
//! time of both. Capture files take the way through `feed`.

pub(crate) mod clock;
mod fold;
mod hot;
mod progress;
pub(crate) mod recorder;
pub(crate) mod session;
pub(crate) mod stop;

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use synth::render::count;

use crate::args::{LiveArgs, RecordArgs, Tunnels};
use crate::exit::Exit;
use crate::feed;
use crate::input::tunnel_ports;
use crate::log::{HOUR, Kind, Log};
use crate::summary::number;

use progress::Line;
use recorder::{Options, Progress, Recorder};
use session::Session;

/// Runs the command.
pub(crate) fn run(args: &RecordArgs, out: &mut impl Write) -> anyhow::Result<Exit> {
    match (args.pcaps.is_empty(), args.live.interfaces.is_empty()) {
        (false, true) => feed::run(args, out),
        (true, false) => live(args, &args.live),
        (true, true) => bail!("what is to be recorded? give interfaces with -i, or captures with --pcap"),
        (false, false) => bail!("-i and --pcap: one after the other; both can go to one log"),
    }
}

impl LiveArgs {
    /// What to record.
    pub(crate) fn options(&self, tunnels: &Tunnels) -> Options {
        Options {
            patterns: self.interfaces.clone(),
            tunnels: tunnel_ports(tunnels),
            ring: self.ring,
            server_names: self.server_names,
        }
    }

    /// How often the log is written.
    pub(crate) fn flush(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.flush).unwrap_or_default())
    }
}

/// The name of this machine: the kernel's, which is the node's in most clusters.
fn host_name() -> anyhow::Result<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").context("the name of this machine")?;
    Ok(name.trim().to_string())
}

fn live(args: &RecordArgs, live: &LiveArgs) -> anyhow::Result<Exit> {
    let observer = args.observer.clone().map_or_else(host_name, Ok)?;
    // Signals are waited for before anything is there that they could cut in two.
    let stop = stop::Stop::on_signals()?;
    let recorder = Recorder::open(live.options(&args.tunnels))?;
    let mut log = Log::create_or_open(&args.log)?;
    let id = log.observer(&observer, Kind::Record, "", HOUR)?;
    log.adopt(id)?;
    let mut session = Session::new(recorder, log, id, live.flush(), live.max_external, None);
    let begun = Instant::now();
    let is_over = |session: &mut Session| {
        let passed = begun.elapsed().as_nanos();
        let stable = args.until_stable.is_some_and(|quiet| {
            let last = session.recorder.progress().last_new;
            session.recorder.now().since(last) >= quiet
        });
        args.duration.is_some_and(|duration| passed >= duration as u128) || stable
    };
    if !args.quiet {
        let interfaces = session.recorder.progress().interfaces;
        let interfaces = count(interfaces as u64, "interface");
        writeln!(io::stderr(), "recording {interfaces} as {observer} into {}", args.log.display())?;
    }
    let mut line = (!args.quiet && io::stderr().is_terminal()).then(Line::default);
    while !stop.is_asked() && !is_over(&mut session) {
        session.step()?;
        if let Some(line) = &mut line {
            line.show(Instant::now(), || session.recorder.progress())?;
        }
    }
    if let Some(line) = &mut line {
        line.clear()?;
    }
    let progress = session.finish()?;
    if !args.quiet {
        report(&progress)?;
    }
    Ok(Exit::Fine)
}

fn report(progress: &Progress) -> io::Result<()> {
    let Progress { connections, edges, lost, .. } = *progress;
    let mut err = io::stderr().lock();
    writeln!(err, "{}, {}", count(connections, "connection"), count(edges as u64, "edge"))?;
    if lost > 0 {
        writeln!(err, "warning: the kernel lost {} packets: a larger --ring holds more", number(lost))?;
    }
    Ok(())
}
