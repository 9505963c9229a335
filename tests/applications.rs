//! The manifests of real applications can be read, and their policies held against a capture.

use std::fs;
use std::path::{Path, PathBuf};

use crate::packets::{ETHERNET, pcap};
use crate::program::run;
use crate::shared;

/// The folders in a folder, sorted.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

#[test]
fn manifests_of_real_applications() {
    let Some(shared) = shared::folder().map(|folder| folder.join("apps")).filter(|folder| folder.is_dir()) else {
        return shared::skipped("applications", "no applications in the shared folder");
    };
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("empty.pcap"), pcap(ETHERNET, &[])).unwrap();
    let mut wrong = String::new();
    for application in folders(&shared) {
        let cluster = format!("--pcap {}/empty.pcap --cluster {}", directory.path().display(), application.display());
        let mut commands = vec![("flows".to_string(), 0), ("generate".to_string(), 3), ("check".to_string(), 0)];
        let policies = application.join("policies");
        if policies.is_dir() {
            commands.push((format!("check --policies {}", policies.display()), 0));
        }
        for (command, exit) in commands {
            let run = run(&application, &format!("{command} {cluster}"));
            // Every workload of the manifests is known by name.
            let named = command != "generate" || run.stderr.contains("no policy, nothing seen that makes a rule: ");
            if run.exit != exit || !named {
                wrong += &format!("{command} on {}: exit {}\n{}", application.display(), run.exit, run.stderr);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
