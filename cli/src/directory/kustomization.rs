//! `kustomization.yaml` of each directory with policies: the list of its files and directories.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use serde_json::json;
use synth::manifest::node::{self, Node, NodeError};
use synth::render::push;

use super::Directory;
use super::plan::{Action, Change};

/// The file's name, of the three that kustomize knows.
const NAME: &str = "kustomization.yaml";

/// How the first line of a file begins that is ours. Without it the file is somebody else's.
const MARK: &str = "# Managed by ringfence";

/// A file of kustomize.
#[derive(Debug)]
pub(super) struct Kustomization {
    name: String,
    text: String,
    is_managed: bool,
    /// `resources`, without `./` before and `/` after them.
    resources: BTreeSet<PathBuf>,
}

impl Kustomization {
    /// Reads a file's text.
    ///
    /// # Errors
    /// It is no YAML.
    pub(super) fn read(name: &str, text: String) -> Result<Kustomization, NodeError> {
        // A file of comments alone holds no document.
        let has_content = text.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
        let tree = if has_content { Some(node::parse(&text, 1)?) } else { None };
        let listed = |field: &str| {
            let items = tree.as_ref().and_then(|tree| tree.get(field)).and_then(Node::items).unwrap_or_default();
            items.iter().filter_map(Node::text).map(plain).collect::<Vec<PathBuf>>()
        };
        // `bases` is what directories in `resources` were called until kustomize 2.1.
        let resources = ["resources", "bases"].into_iter().flat_map(listed).collect();
        let is_managed = text.starts_with(MARK);
        Ok(Kustomization { name: name.to_string(), is_managed, resources, text })
    }
}

/// A path without `.` in it.
fn plain(text: &str) -> PathBuf {
    Path::new(text).components().filter(|part| *part != Component::CurDir).collect()
}

/// Whether kustomize reads a file of this name by itself.
pub(super) fn is_one(name: &Path) -> bool {
    ["kustomization.yaml", "kustomization.yml", "Kustomization"].iter().any(|known| name == Path::new(known))
}

/// What keeping the lists takes.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) changes: Vec<Change>,
    pub(super) warnings: Vec<String>,
    pub(super) conflicts: Vec<String>,
}

/// The lists for a directory that will hold `policies` and no longer `removed`. Files of ours are kept up to date once there
/// are any, whether or not it is `asked` for: a list that names a file that is gone breaks the build.
pub(super) fn lists(
    directory: &Directory,
    policies: &BTreeSet<PathBuf>,
    removed: &BTreeSet<PathBuf>,
    asked: bool,
) -> Lists {
    let is_used = asked || directory.kustomizations.values().flatten().any(|found| found.is_managed);
    let expected = if is_used { expected(policies) } else { BTreeMap::new() };
    let mut lists = Lists::default();
    let places: BTreeSet<&PathBuf> = expected.keys().chain(directory.kustomizations.keys()).collect();
    for place in places {
        let wanted = expected.get(place);
        let there = directory.kustomizations.get(place).map(Vec::as_slice).unwrap_or_default();
        if let Some(theirs) = there.iter().find(|found| !found.is_managed) {
            lists.theirs(place, theirs, wanted, policies, removed);
        }
        let has_theirs = there.iter().any(|found| !found.is_managed);
        for ours in there.iter().filter(|found| found.is_managed) {
            let path = place.join(&ours.name);
            // kustomize refuses a directory with two.
            match wanted.filter(|_| !has_theirs) {
                None if has_theirs => {
                    lists.change(path, Action::Remove, vec!["a hand-written list is beside it".to_string()]);
                }
                None => lists.change(path, Action::Remove, vec!["lists nothing any more".to_string()]),
                Some(wanted) if ours.text == text(wanted) => {}
                Some(wanted) => lists.change(path, Action::Change(text(wanted)), ours.words(wanted)),
            }
        }
        if let (true, Some(wanted)) = (there.is_empty(), wanted) {
            let path = place.join(NAME);
            match directory.root.join(&path).symlink_metadata() {
                Ok(_) => lists.conflicts.push(format!("{} is in the way of ours: it is no file", path.display())),
                Err(_) => lists.change(path, Action::Add(text(wanted)), Vec::new()),
            }
        }
    }
    lists
}

impl Lists {
    fn change(&mut self, path: PathBuf, action: Action, words: Vec<String>) {
        self.changes.push(Change { path, action, words });
    }

    /// What is wrong with somebody else's list.
    fn theirs(
        &mut self,
        place: &Path,
        theirs: &Kustomization,
        wanted: Option<&BTreeSet<PathBuf>>,
        policies: &BTreeSet<PathBuf>,
        removed: &BTreeSet<PathBuf>,
    ) {
        let path = place.join(&theirs.name);
        let path = path.display();
        for entry in wanted.into_iter().flatten() {
            let mut inside = policies.iter().filter_map(|policy| policy.strip_prefix(place).ok());
            let is_one_by_one = inside.clone().any(|file| file != entry && file.starts_with(entry))
                && inside.all(|file| !file.starts_with(entry) || theirs.resources.contains(file));
            if !theirs.resources.contains(entry) && !is_one_by_one {
                self.warnings
                    .push(format!("{path} is hand-written; its resources lack the line: - {}", entry.display()));
            }
        }
        for gone in removed.iter().filter_map(|gone| gone.strip_prefix(place).ok()) {
            if theirs.resources.contains(gone) {
                let gone = gone.display();
                self.warnings.push(format!("{path} is hand-written and lists a file that is removed: delete - {gone}"));
            }
        }
    }
}

impl Kustomization {
    fn words(&self, wanted: &BTreeSet<PathBuf>) -> Vec<String> {
        let added = wanted.difference(&self.resources).map(|entry| format!("+{}", entry.display()));
        let removed = self.resources.difference(wanted).map(|entry| format!("-{}", entry.display()));
        let all: Vec<String> = added.chain(removed).collect();
        if all.is_empty() { vec!["written anew".to_string()] } else { vec![format!("resources: {}", all.join(", "))] }
    }
}

/// What each directory has to list: its policies, and its directories that have some.
fn expected(policies: &BTreeSet<PathBuf>) -> BTreeMap<PathBuf, BTreeSet<PathBuf>> {
    let mut expected: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
    for policy in policies {
        let mut entry = policy.as_path();
        while let (Some(parent), Some(name)) = (entry.parent(), entry.file_name()) {
            expected.entry(parent.to_path_buf()).or_default().insert(name.into());
            entry = parent;
        }
    }
    expected
}

fn text(entries: &BTreeSet<PathBuf>) -> String {
    let names: Vec<String> = entries.iter().map(|entry| entry.to_string_lossy().into_owned()).collect();
    let mut text = format!("{MARK}, which writes it anew; without this line the file is yours.\n");
    let head = json!({ "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization" });
    push(&mut text, 0, &head);
    push(&mut text, 0, &json!({ "resources": names }));
    text
}
