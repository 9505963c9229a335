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
        // Reading traffic takes its time, and somebody may work in the directory meanwhile.
        if let Some(known) = self.known.get(&change.path)
            && fs::read_to_string(&path)? != *known
        {
            return Err(io::Error::other("somebody else changed it meanwhile"));
        }
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
    // Hidden, so that the next run does not look at one that a crash left.
    let name = |number: u32| path.with_file_name(format!(".ringfence-{}-{number}.part", std::process::id()));
    let open = |at: &Path| OpenOptions::new().write(true).create_new(true).open(at);
    // One that a crash left may be of a process with this number.
    let mut temporary = name(0);
    let mut opened = open(&temporary);
    for number in 1..100 {
        if opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
            temporary = name(number);
            opened = open(&temporary);
        }
    }
    let written = opened.and_then(|mut file| {
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
    written
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn changes(root: &Path, files: &[(&str, Action)]) -> Changes {
        let change =
            |(path, action): &(&str, Action)| Change { path: path.into(), action: action.clone(), words: Vec::new() };
        Changes { root: root.to_path_buf(), files: files.iter().map(change).collect(), ..Changes::default() }
    }

    #[test]
    fn each_file_as_a_whole() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir_all(path("a/b")).unwrap();
        fs::write(path("a/b/old.yaml"), "old").unwrap();
        fs::write(path("kept.yaml"), "before").unwrap();
        fs::set_permissions(path("kept.yaml"), fs::Permissions::from_mode(0o640)).unwrap();
        let text = |text: &str| text.to_string();
        let files = [
            ("a/b/old.yaml", Action::Remove),
            ("kept.yaml", Action::Change(text("after"))),
            ("new/one.yaml", Action::Add(text("one"))),
        ];
        changes(root.path(), &files).write().unwrap();
        assert_eq!(fs::read_to_string(path("kept.yaml")).unwrap(), "after");
        assert_eq!(fs::metadata(path("kept.yaml")).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_to_string(path("new/one.yaml")).unwrap(), "one");
        assert!(!path("a").exists(), "directories that are empty now are gone");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2, "nothing else is left behind");
    }

    #[test]
    fn a_failure_in_the_middle_says_what_was_done() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::write(path("old.yaml"), "old").unwrap();
        // A file where a directory has to be made.
        fs::write(path("b"), "").unwrap();
        fs::write(path("there.yaml"), "theirs").unwrap();
        let add = || Action::Add("text".to_string());
        let files = [("a.yaml", add()), ("b/c.yaml", add()), ("d.yaml", add()), ("old.yaml", Action::Remove)];
        let error = changes(root.path(), &files).write().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: ", path("b/c.yaml").display())), "{error}");
        let said = "; done before it: + a.yaml; not done: + b/c.yaml, + d.yaml, - old.yaml";
        assert!(error.ends_with(said), "{error}");
        assert!(path("a.yaml").exists() && !path("d.yaml").exists() && path("old.yaml").exists());

        let mut meanwhile = changes(root.path(), &[("there.yaml", Action::Change("ours".to_string()))]);
        meanwhile.known = BTreeMap::from([("there.yaml".into(), "as it was read".to_string())]);
        let error = meanwhile.write().unwrap_err().to_string();
        assert!(error.contains("somebody else changed it meanwhile"), "{error}");
        fs::write(path(&format!(".ringfence-{}-0.part", std::process::id())), "left").unwrap();
        meanwhile.known.clear();
        meanwhile.write().unwrap();
        assert_eq!(fs::read_to_string(path("there.yaml")).unwrap(), "ours");
        fs::write(path("there.yaml"), "theirs").unwrap();

        let error = changes(root.path(), &[("there.yaml", add())]).write().unwrap_err().to_string();
        assert!(
            error.contains("somebody else made it meanwhile") && error.contains("done before it: nothing"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(path("there.yaml")).unwrap(), "theirs");
    }
}
