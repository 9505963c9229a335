//! What would change in a directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::bail;
use synth::change;
use synth::inventory::Inventory;
use synth::manifest::file::Written;
use synth::policy::Policy;
use synth::render::render;
use synth::synthesize::{MANAGED_BY, Planned, is_managed};

use super::stale::{Fate, Scope};
use super::{Directory, Manifest, kustomization};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The policies.
    pub(crate) policies: &'a [&'a Planned],
    /// Write comments anew where the rules are equal.
    pub(crate) refresh: bool,
    /// Write lists for kustomize.
    pub(crate) kustomize: bool,
    /// Where workloads of the policies are looked up, unless they are for another cluster.
    pub(crate) inventory: Option<&'a Inventory>,
}

/// What is done to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// It is made, with this text.
    Add(String),
    /// It has this text from now on.
    Change(String),
    /// It goes.
    Remove,
}

/// One file that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// Relative to the directory.
    pub(super) path: PathBuf,
    pub(super) action: Action,
    /// What changes, or why.
    pub(super) words: Vec<String>,
}

/// All that would change.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(super) root: PathBuf,
    /// Sorted by path.
    pub(super) files: Vec<Change>,
    /// What the files that change or go held when they were read.
    pub(super) known: BTreeMap<PathBuf, String>,
    /// Policies that were asked for.
    pub(super) policies: usize,
    /// What is left alone although it looks wrong.
    pub(super) warnings: Vec<String>,
    /// Files of policies that nobody asked for and that stay, by the reason.
    pub(super) stays: BTreeMap<&'static str, BTreeSet<PathBuf>>,
}

/// What becomes of one policy in a file.
enum Part {
    Stays,
    Replaced(String, Vec<String>),
    Goes(String),
}

impl Directory {
    /// What has to change for the directory to hold the policies that are asked for.
    ///
    /// # Errors
    /// Somebody else's files are where ours would go, or hold policies of the same name: all of them are named.
    pub(crate) fn plan(&self, wanted: Wanted<'_>, scope: &Scope<'_>) -> anyhow::Result<Changes> {
        let mut changes = Changes { root: self.root.clone(), policies: wanted.policies.len(), ..Changes::default() };
        let mut conflicts = Vec::new();
        let mut parts: BTreeMap<(&Path, usize), Part> = BTreeMap::new();
        let mut added: BTreeMap<PathBuf, Vec<&Planned>> = BTreeMap::new();
        let known = self.by_name();
        let theirs = self.of_others();
        for planned in wanted.policies {
            let id = planned.policy.id();
            if let Some((path, policy)) = theirs.get(&id) {
                conflicts.push(same_name(&id, path, policy));
                continue;
            }
            match known.get(id.as_str()).map(Vec::as_slice) {
                Some([first, others @ ..]) => {
                    parts.insert((first.path, first.number), first.updated(planned, wanted));
                    for other in others {
                        let words = format!("{} is also in {}", id, first.path.display());
                        parts.insert((other.path, other.number), Part::Goes(words));
                    }
                }
                _ => match self.free_place(planned) {
                    Ok(path) => added.entry(path).or_default().push(planned),
                    Err(conflict) => conflicts.push(conflict),
                },
            }
        }
        for (path, number, written) in self.managed() {
            parts.entry((path, number)).or_insert_with(|| match scope.fate(&written.policy) {
                Fate::Goes(why) => Part::Goes(why),
                Fate::Stays(why) => {
                    changes.stays.entry(why).or_default().insert(path.to_path_buf());
                    Part::Stays
                }
                Fate::Elsewhere => Part::Stays,
            });
        }
        for (path, manifest) in self.manifests.iter().filter(|(_, manifest)| manifest.file.is_managed()) {
            let parts = (0..manifest.file.policies.len()).filter_map(|number| parts.remove(&(path.as_path(), number)));
            let more = added.remove(path).unwrap_or_default();
            changes.files.extend(manifest.changed(path, parts.collect(), &more));
        }
        for (path, planned) in added {
            let text = planned.iter().map(|planned| render(planned)).collect::<Vec<_>>().join("---\n");
            changes.files.push(Change { path, action: Action::Add(text), words: Vec::new() });
        }
        let touched: BTreeSet<&Path> = changes.files.iter().map(|change| change.path.as_path()).collect();
        let read = self.manifests.iter().filter(|(path, _)| touched.contains(path.as_path()));
        changes.known = read.map(|(path, manifest)| (path.clone(), manifest.text.clone())).collect();
        let (policies, gone) = self.after(&changes);
        let lists = kustomization::lists(self, &policies, &gone, wanted.kustomize);
        changes.files.extend(lists.changes);
        changes.files.sort_by(|a, b| a.path.cmp(&b.path));
        conflicts.extend(lists.conflicts);
        if !conflicts.is_empty() {
            bail!("{}: nothing is written:\n  {}", self.root.display(), conflicts.join("\n  "));
        }
        for (path, _) in self.manifests.iter().filter(|(_, manifest)| manifest.file.is_mixed()) {
            let path = path.display();
            changes
                .warnings
                .push(format!("{path} holds policies of ringfence beside something else: it stays as it is"));
        }
        changes.warnings.extend(lists.warnings);
        Ok(changes)
    }

    /// The managed policies by `namespace/name`; of several of one name, the one in its usual file comes first.
    fn by_name(&self) -> BTreeMap<String, Vec<Known<'_>>> {
        let mut known: BTreeMap<String, Vec<Known<'_>>> = BTreeMap::new();
        for (path, number, written) in self.managed() {
            let text = self.manifests.get(path).map_or("", |manifest| &manifest.text);
            let text = text.get(written.text.clone()).unwrap_or_default();
            known.entry(written.policy.id()).or_default().push(Known { path, number, written, text });
        }
        for (id, places) in &mut known {
            let usual = PathBuf::from(format!("{id}.yaml"));
            places.sort_by_key(|known| (known.path != usual, known.path, known.number));
        }
        known
    }

    /// The policies in files that are somebody else's, each with its file.
    fn of_others(&self) -> BTreeMap<String, (&Path, &Policy)> {
        let files = self.manifests.iter().filter(|(_, manifest)| !manifest.file.is_managed());
        let policies = files.flat_map(|(path, manifest)| {
            manifest.file.policies.iter().map(|written| (path.as_path(), &written.policy))
        });
        policies.map(|(path, policy)| (policy.id(), (path, policy))).collect()
    }

    /// The files with managed policies after the changes, and those that are gone.
    fn after(&self, changes: &Changes) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
        let mut policies: BTreeSet<PathBuf> = self.managed().map(|(path, ..)| path.to_path_buf()).collect();
        let mut gone = BTreeSet::new();
        for change in &changes.files {
            if change.action == Action::Remove {
                policies.remove(&change.path);
                gone.insert(change.path.clone());
            } else {
                policies.insert(change.path.clone());
            }
        }
        (policies, gone)
    }

    /// Where the file of a policy that is not there yet goes.
    fn free_place(&self, planned: &Planned) -> Result<PathBuf, String> {
        let policy = &planned.policy;
        let id = policy.id();
        let path = self.place(policy).map_err(|why| format!("{why}, and {id} would be written there"))?;
        let is_ours = self.manifests.get(&path).is_some_and(|manifest| manifest.file.is_managed());
        match self.root.join(&path).symlink_metadata() {
            Ok(found) if !is_ours => {
                let what = if found.is_symlink() {
                    "a symbolic link"
                } else if found.is_dir() {
                    "a directory"
                } else {
                    "hand-written"
                };
                Err(format!("{} is {what}, and {id} would be written there: move it away", path.display()))
            }
            _ => Ok(path),
        }
    }
}

/// Why a policy cannot be written where somebody else's file has one of its name.
fn same_name(id: &str, path: &Path, theirs: &Policy) -> String {
    let place = format!("{}:{}", path.display(), theirs.origin.line);
    match is_managed(theirs) {
        true => format!(
            "{place} holds {id}, which would be written, beside something else: move it to a file of its own, which is \
             then updated, or delete it there"
        ),
        false => format!(
            "{place} is a hand-written {id}, and a policy of this name would be written: rename it, or label it {}: {} to \
             have it replaced",
            MANAGED_BY.0, MANAGED_BY.1
        ),
    }
}

/// A managed policy in the directory.
struct Known<'a> {
    path: &'a Path,
    number: usize,
    written: &'a Written,
    text: &'a str,
}

impl Known<'_> {
    /// What a policy that is written anew loses is said.
    fn with_losses(&self, mut words: Vec<String>) -> Vec<String> {
        if self.text.lines().any(|line| line.trim() == "annotations:") {
            words.push("annotations added by hand go".to_string());
        }
        words
    }

    fn updated(&self, planned: &Planned, wanted: Wanted<'_>) -> Part {
        let old = &self.written.policy;
        let is_equal = old.clone().without_places() == planned.policy;
        let text = render(planned);
        match is_equal {
            true if !wanted.refresh || self.text == text => Part::Stays,
            true => Part::Replaced(text, self.with_losses(vec!["comments".to_string()])),
            false => Part::Replaced(text, self.with_losses(change::changes(old, &planned.policy, wanted.inventory))),
        }
    }
}

impl Manifest {
    /// The file with what becomes of each of its policies, and with more of them; `None` where nothing changes.
    fn changed(&self, path: &Path, parts: Vec<Part>, more: &[&Planned]) -> Option<Change> {
        if more.is_empty() && parts.iter().all(|part| matches!(part, Part::Stays)) {
            return None;
        }
        let is_alone = parts.len() + more.len() == 1;
        let mut texts: Vec<String> = Vec::new();
        let mut words = Vec::new();
        for (part, written) in parts.into_iter().zip(&self.file.policies) {
            let id = written.policy.id();
            match part {
                Part::Stays => texts.push(self.text.get(written.text.clone()).unwrap_or_default().to_string()),
                Part::Replaced(text, changed) => {
                    texts.push(text);
                    let named = |change: String| if is_alone { change } else { format!("{id} {change}") };
                    words.extend(changed.into_iter().map(named));
                }
                Part::Goes(why) if is_alone => words.push(why),
                Part::Goes(why) => words.push(format!("-{id} ({why})")),
            }
        }
        for planned in more {
            texts.push(render(planned));
            words.push(format!("+{}", planned.policy.id()));
        }
        // The last document of a file may lack its end of line.
        texts.iter_mut().filter(|text| !text.ends_with('\n')).for_each(|text| text.push('\n'));
        let action = if texts.is_empty() { Action::Remove } else { Action::Change(texts.join("---\n")) };
        Some(Change { path: path.to_path_buf(), action, words })
    }
}
