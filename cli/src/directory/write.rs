//! Writing what changes: each file as a whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use anyhow::bail;

use super::plan::{Action, Change, Changes};

impl Changes {
    /// Does it. What goes, goes last: a run that ends in the middle leaves a policy too many rather than one too few.
    ///
    /// # Errors
    /// A file cannot be written: what was written before it, and what was not, is named.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let mut order: Vec<&Change> = self.files.iter().collect();
        order.sort_by_key(|change| change.action == Action::Remove);
        for (number, change) in order.iter().enumerate() {
            let Err(error) = self.one(change) else { continue };
            let list = |changes: &[&Change]| match changes {
                [] => "nothing".to_string(),
                some => some.iter().map(|change| change.to_string()).collect::<Vec<_>>().join(", "),
            };
            bail!(
                "{}: {error}; done before it: {}; not done: {}",
                self.root.join(&change.path).display(),
                list(&order[..number]),
                list(&order[number..])
            );
        }
        Ok(())
    }

    fn one(&self, change: &Change) -> io::Result<()> {
        let path = self.root.join(&change.path);
        match &change.action {
            Action::Add(text) => {
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent)?;
                }
                // It was free when it was looked at.
                match path.symlink_metadata() {
                    Ok(_) => Err(io::Error::other("somebody else made it meanwhile")),
                    Err(_) => replace(&path, text),
                }
            }
            Action::Change(text) => replace(&path, text),
            Action::Remove => {
                fs::remove_file(&path)?;
                self.remove_empty(&change.path);
                Ok(())
            }
        }
    }

    /// Removes the directories that held a file and are empty now; the system refuses others.
    fn remove_empty(&self, path: &Path) {
        for parent in path.ancestors().skip(1).filter(|parent| *parent != Path::new("")) {
            if fs::remove_dir(self.root.join(parent)).is_err() {
                return;
            }
        }
    }
}

/// Writes beside the file, because a rename does not cross file systems, and puts it in its place.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::other("no file name"))?.to_string_lossy();
    // Hidden, so that the next run does not look at one that a crash left. The name may be as long as names can be.
    let temporary = path.with_file_name(format!(".ringfence-{}.part", std::process::id()));
    let written = OpenOptions::new().write(true).create_new(true).open(&temporary).and_then(|mut file| {
        if let Ok(old) = fs::metadata(path) {
            file.set_permissions(old.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))
}
