//! Folder cases of `lint`: `tests/lint/<name>/`.
//!
//! A case is manifests, of which the first line of one says what the case shows, and `args` with one run of the program
//! a line. `expected` is the transcript, compared byte for byte; `RINGFENCE_UPDATE=1` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::program::run;
use crate::shared;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/lint");

/// The folders in a folder, sorted.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

#[test]
fn every_folder_holds_what_it_promises() {
    let update = std::env::var_os("RINGFENCE_UPDATE").is_some();
    let mut wrong = String::new();
    for case in folders(Path::new(FOLDER)) {
        let mut transcript = String::new();
        for args in fs::read_to_string(case.join("args")).unwrap().lines() {
            let run = run(&case, args);
            writeln!(transcript, "$ ringfence {args}").unwrap();
            for (mark, stream) in [('>', &run.stdout), ('!', &run.stderr)] {
                stream.lines().for_each(|line| writeln!(transcript, "{mark} {line}").unwrap());
            }
            writeln!(transcript, "exit {}\n", run.exit).unwrap();
        }
        let expected = case.join("expected");
        if update {
            fs::write(&expected, &transcript).unwrap();
        }
        if fs::read_to_string(&expected).ok().as_ref() != Some(&transcript) {
            writeln!(wrong, "{} differs, now it is:\n{transcript}", expected.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}RINGFENCE_UPDATE=1 accepts what the program does now");
}

/// Neither the order of files nor reading one twice changes a byte.
#[test]
fn files_in_any_order() {
    let case = Path::new(FOLDER).join("sock-shop");
    let found = |files: &str| run(&case, &format!("lint -q {files}")).stdout;
    let expected = found("workloads.yaml policies.yaml");
    for files in [
        "policies.yaml workloads.yaml",
        "policies.yaml workloads.yaml policies.yaml",
        "--cluster workloads.yaml policies.yaml",
    ] {
        assert_eq!(found(files), expected, "{files}");
    }
    let apart = found("--cluster workloads.yaml --policies policies.yaml");
    assert_eq!(apart, expected, "--policies");
}

#[test]
fn every_check_is_in_the_help() {
    let help = run(Path::new(FOLDER), "lint --help");
    assert_eq!(help.exit, 0);
    for id in synth::lint::Id::ALL {
        assert!(help.stdout.contains(&format!(" {} ", id.name())), "{}", id.name());
    }
}

/// What is found in the policies of real applications, each looked at: `hello-server-allow-from-hello-client` is two
/// policies, node-exporter is on the host network, and longhorn-csi-plugin is made at run time by a container of the
/// manifests, which no linter can know.
#[test]
fn policies_of_real_applications() {
    let Some(applications) = shared::folder().map(|folder| folder.join("apps")).filter(|folder| folder.is_dir()) else {
        return shared::skipped("lint", "no applications in the shared folder");
    };
    let known = BTreeMap::from([
        ("gke-hello", vec!["error[duplicate-name]: NetworkPolicy default/hello-server-allow-from-hello-client"]),
        ("kube-prometheus", vec!["error[host-network-only]: NetworkPolicy monitoring/node-exporter"]),
        ("longhorn", vec!["warning[no-peer-pod]: NetworkPolicy longhorn-system/longhorn-manager"]),
    ]);
    let mut wrong = String::new();
    for application in folders(&applications) {
        let name = application.file_name().unwrap().to_str().unwrap();
        let expected = known.get(name).cloned().unwrap_or_default();
        let run = run(&application, "lint -q .");
        let found: Vec<&str> = run.stdout.lines().filter(|line| !line.starts_with(' ')).collect();
        let fits =
            found.len() == expected.len() && found.iter().zip(&expected).all(|(line, words)| line.contains(words));
        if !fits || run.exit != i32::from(!expected.is_empty()) {
            writeln!(wrong, "{name}: {run:#?}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
