//! `ringfence snapshot`: a live cluster's objects, reduced, as one file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::args::{LiveCluster, SnapshotArgs, SnapshotFormat};
use crate::bar::Bar;
use crate::cluster::{self, Read, Server};
use crate::exit::Exit;
use crate::summary::number;

/// Runs the command.
pub(crate) fn run(args: &SnapshotArgs, out: &mut impl Write) -> anyhow::Result<Exit> {
    let (server, read) = take(&args.live, &args.namespace, args.quiet)?;
    {
        let mut err = io::stderr().lock();
        for problem in &read.problems {
            writeln!(err, "warning: {}: {problem}", server.name)?;
        }
    }
    if read.dump.is_empty() {
        bail!("{}: nothing could be read, so nothing is written", server.name);
    }
    let by_name = args.output.extension().is_some_and(|end| end == "yaml" || end == "yml");
    let by_name = if by_name { SnapshotFormat::Yaml } else { SnapshotFormat::Json };
    let text = match args.format.unwrap_or(by_name) {
        SnapshotFormat::Json => read.dump.to_json(),
        SnapshotFormat::Yaml => read.dump.to_yaml(),
    };
    if args.output.as_os_str() == "-" {
        out.write_all(text.as_bytes())?;
    } else {
        write(&args.output, text.as_bytes()).with_context(|| args.output.display().to_string())?;
    }
    if !args.quiet {
        let objects = number(read.dump.len() as u64);
        let taken = read.dump.taken.map(|time| format!(", {time}")).unwrap_or_default();
        writeln!(io::stderr(), "{}: {objects} objects{taken}", server.name)?;
    }
    Ok(if read.problems.is_empty() { Exit::Fine } else { Exit::Unusable })
}

/// Reads the cluster, and shows on a terminal how far it is.
pub(crate) fn take(wanted: &LiveCluster, namespaces: &[String], quiet: bool) -> anyhow::Result<(Server, Read)> {
    let bar = Bar::new(quiet, "objects", None);
    let progress = |what: &str, objects: usize| {
        bar.say(what);
        bar.at(objects as u64);
    };
    cluster::wait(async {
        let server = cluster::connect(wanted).await?;
        let read = cluster::read(&server, namespaces, progress).await?;
        Ok((server, read))
    })
}

/// Replaces a file as a whole or not at all; its owner alone may read it, for names and addresses are nobody else's
/// business. What is no file, such as a pipe or a device, is written to.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    // A link stays one.
    let target = fs::canonicalize(path);
    let path = target.as_deref().unwrap_or(path);
    let name = path.file_name().ok_or_else(|| io::Error::other("no file name"))?.to_string_lossy();
    // Beside it, because a rename does not cross file systems.
    let temporary: PathBuf = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}
