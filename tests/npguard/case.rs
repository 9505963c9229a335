//! A case: manifests in a folder, and what the analyzer printed for them.

use std::fs;
use std::path::{Path, PathBuf};

use synth::evaluate::Options;
use synth::inventory::{self, Inventory};
use synth::manifest::Objects;

use crate::program::{Run, run};

/// How the analyzer reads clusters.
pub const READING: Options =
    Options { ip_block_matches_pods: false, host_network_is_node: false, finished_are_gone: false };

/// The same in options of the program.
const READING_ARGS: &str = "--ip-block-matches-pods no --host-network pods --finished keep";

/// A folder of the suite.
pub struct Case {
    pub name: String,
    pub folder: PathBuf,
    pub inventory: Inventory,
}

impl Case {
    /// All of them, sorted.
    pub fn all(folder: &Path) -> Vec<Case> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut folders: Vec<PathBuf> = entries.filter(|path| path.join("manifests").is_dir()).collect();
        folders.sort();
        folders.into_iter().map(Case::read).collect()
    }

    /// One case.
    pub fn read(folder: PathBuf) -> Case {
        let name = folder.file_name().unwrap().to_str().unwrap().to_string();
        let mut objects = Objects::default();
        for file in files(&folder.join("manifests")) {
            objects.load(&file.display().to_string(), &fs::read_to_string(&file).unwrap());
        }
        let inventory = Inventory::build(&objects, &inventory::Options::default());
        Case { name, folder, inventory }
    }

    /// Its manifests as an option of the program.
    pub fn manifests(&self) -> String {
        let files = files(&self.folder.join("manifests"));
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        format!("--cluster {}", names.join(" "))
    }

    /// Runs the program as the analyzer reads clusters.
    pub fn run(&self, command: &str, input: &str) -> Run {
        run(&self.folder, &format!("{command} {READING_ARGS} {input}"))
    }

    /// Those of the outputs that the suite has for this case.
    pub fn expected(&self, outputs: [&str; 2]) -> impl Iterator<Item = String> {
        outputs
            .into_iter()
            .filter_map(|output| fs::read_to_string(self.folder.join(format!("expected.{output}.txt"))).ok())
    }
}

/// The manifests in and below a folder, in the program's order. Outputs of the analyzer lie beside them.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let mut found = Vec::new();
    for entry in entries {
        let extension = entry.extension().and_then(|extension| extension.to_str());
        let is_output = entry.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("_output"));
        if entry.is_dir() {
            found.extend(files(&entry));
        } else if matches!(extension, Some("yaml" | "yml" | "json")) && !is_output {
            found.push(entry);
        }
    }
    found
}
