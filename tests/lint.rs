//! Folder cases of `lint`, and what it finds in real applications.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use crate::program::run;
use crate::{shared, transcripts};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/lint");

#[test]
fn every_folder_holds_what_it_promises() {
    transcripts::check(Path::new(FOLDER));
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
    for application in transcripts::folders(&applications) {
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
