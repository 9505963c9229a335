//! `diff`: what one set of manifests allows and another does not.

use std::fs;
use std::path::Path;

use serde_json::Value;
use synth::ports::PortSet;

use super::case::Case;
use super::connectivity::{Connectivity, add_row};
use super::list::end;
use super::text;

/// What is gained and what is lost.
#[derive(Default)]
struct Change {
    gained: Connectivity,
    lost: Connectivity,
}

/// Compares every pair of cases that the suite compares; the number of lines compared. Differences start with the name of
/// the file.
pub fn compare(folder: &Path, differing: &mut Vec<(String, String)>) -> usize {
    let mut compared = 0;
    for entry in fs::read_dir(folder.join("_diff")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_string();
        let (old, new) = name.split_once("__TO__").unwrap();
        let (old, new) = (Case::read(folder.join(old)), Case::read(folder.join(new)));
        let mut found = Vec::new();
        let theirs = read(&fs::read_to_string(&path).unwrap(), &old, &new, &mut found);
        let manifests =
            format!("{} {}", old.folder.join("manifests").display(), new.folder.join("manifests").display());
        let run = new.run("diff -o json", &manifests);
        let answer: Value = serde_json::from_str(&run.stdout).unwrap();
        let mut ours = Change::default();
        for (key, set) in [("gained", &mut ours.gained), ("lost", &mut ours.lost)] {
            answer[key].as_array().unwrap().iter().for_each(|row| add_row(set, row));
        }
        for (what, theirs, ours) in [("gained", &theirs.gained, &ours.gained), ("lost", &theirs.lost, &ours.lost)] {
            found.extend(theirs.differences(ours).into_iter().map(|difference| format!("{what} {difference}")));
            compared += theirs.count();
        }
        differing.extend(found.into_iter().map(|difference| (name.clone(), difference)));
    }
    compared
}

/// `diff-type: changed, source: A, destination: B, ref1: UDP 53, ref2: TCP 53,9090, workloads-diff-info: ...`.
fn read(output: &str, old: &Case, new: &Case, differing: &mut Vec<String>) -> Change {
    let mut change = Change::default();
    for line in output.lines().filter(|line| line.starts_with("diff-type:")) {
        let between = |from: &str, to: &str| {
            let (_, rest) = line.split_once(from).unwrap();
            rest.split_once(to).map_or(rest, |(value, _)| value).to_string()
        };
        let name = |name: &str| end(name, new).or_else(|_| end(name, old));
        let ports = |text: &str| -> PortSet { text::connections(text).numbers().clone() };
        let before = ports(&between(", ref1: ", ", ref2: "));
        let after = ports(&between(", ref2: ", ", workloads-diff-info"));
        match (name(&between(", source: ", ", destination: ")), name(&between(", destination: ", ", ref1: "))) {
            (Ok(client), Ok(server)) => {
                change.gained.add(&client, &server, &after.difference(&before));
                change.lost.add(&client, &server, &before.difference(&after));
            }
            (client, server) => differing.extend(client.err().into_iter().chain(server.err())),
        }
    }
    change
}
