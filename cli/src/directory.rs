//! A directory of manifests that `generate -o DIR` writes to, again and again.
//!
//! What Ringfence wrote is told from everything else by the files alone ([`synth::manifest::file::File::is_managed`]), and
//! nothing else is ever touched. `plan` says what would change, `stale` which files are to go, `kustomization` keeps the
//! lists of kustomize, `show` says it on stderr, and `write` does it.

mod kustomization;
mod plan;
mod show;
mod stale;
mod write;

use std::collections::BTreeMap;
use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use synth::carry::Mapping;
use synth::manifest::file::{File, Written};
use synth::policy::Policy;

use kustomization::Kustomization;
pub(crate) use plan::Wanted;
pub(crate) use stale::Scope;

/// What is in the directory. Paths are relative to it.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    root: PathBuf,
    manifests: BTreeMap<PathBuf, Manifest>,
    /// By directory.
    kustomizations: BTreeMap<PathBuf, Vec<Kustomization>>,
}

/// A file of objects.
#[derive(Debug)]
struct Manifest {
    text: String,
    file: File,
}

impl Directory {
    /// Reads the manifests in a directory and below it. A directory that is not there is an empty one. Hidden files are not
    /// looked at, nor is what symbolic links lead to, nor the files in `input`.
    ///
    /// # Errors
    /// A file cannot be read, is no YAML, or holds a NetworkPolicy that the API server would refuse: all of them are named.
    pub(crate) fn read(root: &Path, input: &[PathBuf]) -> anyhow::Result<Directory> {
        let mut directory = Directory { root: root.to_path_buf(), ..Directory::default() };
        match fs::metadata(root) {
            Ok(found) if !found.is_dir() => bail!("{}: not a directory", root.display()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(directory),
            Err(error) => return Err(error).with_context(|| root.display().to_string()),
        }
        let input: Vec<PathBuf> = input.iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
        let is_input =
            |path: &Path| !input.is_empty() && fs::canonicalize(path).is_ok_and(|path| input.contains(&path));
        let mut problems = Vec::new();
        directory.read_below(Path::new(""), &is_input, &mut problems)?;
        if !problems.is_empty() {
            bail!(
                "{}: nothing is written, because not all of it can be read:\n  {}",
                root.display(),
                problems.join("\n  ")
            );
        }
        Ok(directory)
    }

    fn read_below(
        &mut self,
        below: &Path,
        is_input: &impl Fn(&Path) -> bool,
        problems: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let place = self.root.join(below);
        let entries: Vec<(PathBuf, FileType)> = fs::read_dir(&place)
            .and_then(|entries| {
                entries
                    .map(|entry| entry.and_then(|entry| Ok((entry.file_name().into(), entry.file_type()?))))
                    .collect()
            })
            .with_context(|| place.display().to_string())?;
        for (name, kind) in entries {
            let path = below.join(&name);
            let full = self.root.join(&path);
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            if kind.is_dir() {
                self.read_below(&path, is_input, problems)?;
            }
            if !kind.is_file() || !is_manifest(&name) && !kustomization::is_one(&name) || is_input(&full) {
                continue;
            }
            let shown = full.display().to_string();
            let bytes = fs::read(&full).with_context(|| shown.clone())?;
            let text = match String::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => {
                    problems.push(format!("{shown}: not UTF-8 text: {}", error.utf8_error()));
                    continue;
                }
            };
            if kustomization::is_one(&name) {
                match Kustomization::read(&name.to_string_lossy(), text) {
                    Ok(found) => self.kustomizations.entry(below.to_path_buf()).or_default().push(found),
                    Err(error) => problems.push(format!("{shown}:{}: {}", error.line, error.message)),
                }
                continue;
            }
            let file = File::read(&shown, &text);
            problems.extend(file.problems.iter().map(ToString::to_string));
            self.manifests.insert(path, Manifest { text, file });
        }
        problems.sort();
        Ok(())
    }

    /// The policies that Ringfence wrote, for their names to be kept: in the namespaces of the learning cluster.
    pub(crate) fn kept(&self, mapping: Option<&Mapping>) -> Vec<Policy> {
        let original = |policy: &Policy| {
            let namespace = match mapping {
                Some(mapping) => mapping.original(&policy.namespace)?,
                None => &policy.namespace,
            };
            Some(Policy { namespace: namespace.to_string(), ..policy.clone() })
        };
        self.managed().filter_map(|(_, _, written)| original(&written.policy)).collect()
    }

    /// The policies that Ringfence wrote, each with its file and its number in it, sorted.
    fn managed(&self) -> impl Iterator<Item = (&Path, usize, &Written)> {
        self.manifests.iter().filter(|(_, manifest)| manifest.file.is_managed()).flat_map(|(path, manifest)| {
            manifest.file.policies.iter().enumerate().map(|(number, written)| (path.as_path(), number, written))
        })
    }

    /// Where the policy of a name goes: `namespace/name.yaml`, through a link of the namespace's directory only if that
    /// stays inside.
    fn place(&self, policy: &Policy) -> Result<PathBuf, String> {
        let namespace = Path::new(&policy.namespace);
        let file = format!("{}.yaml", policy.name);
        match fs::symlink_metadata(self.root.join(namespace)) {
            Ok(found) if found.is_symlink() => {
                let root = fs::canonicalize(&self.root);
                let target = fs::canonicalize(self.root.join(namespace));
                match (&root, &target) {
                    (Ok(root), Ok(target)) if target.starts_with(root) && target.is_dir() => {
                        Ok(target.strip_prefix(root).unwrap_or(namespace).join(file))
                    }
                    _ => Err(format!("{} is a symbolic link that leads out of the directory", namespace.display())),
                }
            }
            Ok(found) if !found.is_dir() => Err(format!("{} is no directory", namespace.display())),
            _ => Ok(namespace.join(file)),
        }
    }
}

fn is_manifest(name: &Path) -> bool {
    name.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json")
}
