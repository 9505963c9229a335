//! np-guard's netpol-analyzer and its own test cases: its `list`, `list --exposure`, `list --explain` and `diff` against
//! ours, as sets.
//!
//! It reads `ipBlock` as not matching pods, pods on the host network as ordinary pods, and pods that are over as pods; it
//! leaves out what a workload may do to itself, and knows outside addresses as IPv4 ranges. Everything else has to agree,
//! or is in [`KNOWN`] with the reason why it is wrong about it.

mod case;
mod connectivity;
mod diff;
mod explain;
mod exposure;
mod list;
mod names;
mod text;

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::shared;

use case::Case;

/// Differences that are there, and why the analyzer is wrong: the case, the difference, the reason. One that is no
/// longer there is an error too.
const KNOWN: [(&str, &str, &str); 8] = [
    (SAME_OWNER, "list: default/Pod/internal-security -> default/Pod/pod-3: theirs 90/TCP, ours all", REFUSED),
    (SAME_OWNER, "list: default/Pod/pod-3 -> default/Pod/internal-security: theirs 90/TCP, ours all", REFUSED),
    (SAME_OWNER, "list: default/Pod/internal-security ingress outside: theirs , ours all of 0.0.0.0/0", REFUSED),
    (SAME_OWNER, "list: default/Pod/pod-3 ingress outside: theirs , ours all of 0.0.0.0/0", REFUSED),
    (NOT_IN_GAP, "list: default/Pod/internal-security -> default/Pod/pod-3: theirs 8050/TCP, ours all", REFUSED),
    (NOT_IN_GAP, "list: default/Pod/pod-3 -> default/Pod/internal-security: theirs none, ours all", REFUSED),
    (NOT_IN_GAP, "list: default/Pod/internal-security ingress outside: theirs , ours all of 0.0.0.0/0", REFUSED),
    (NOT_IN_GAP, "list: default/Pod/pod-3 ingress outside: theirs , ours all of 0.0.0.0/0", REFUSED),
];

const SAME_OWNER: &str = "example_pods_w_same_owner_and_labels_gap_with_good_match_expression";
const NOT_IN_GAP: &str = "example_pods_w_same_owner_and_labels_gap_with_policy_selector_not_in_gap";
const REFUSED: &str = "the API server refuses the policy: an underscore is no character of a name";

/// The folder of its cases.
fn folder() -> Option<PathBuf> {
    shared::folder().map(|folder| folder.join("conformance/np-guard")).filter(|folder| folder.is_dir())
}

/// Holds every case against ours: `compare` returns how many statements of theirs it compared, and adds those that differ.
fn compare_all(what: &str, compare: impl Fn(&Case, &mut Vec<String>) -> usize) {
    let Some(folder) = folder() else {
        return shared::skipped("np-guard", "no cases of np-guard in the shared folder");
    };
    let mut compared = 0;
    let mut all = Vec::new();
    for case in Case::all(&folder) {
        let mut differing = Vec::new();
        compared += compare(&case, &mut differing);
        all.extend(differing.into_iter().map(|difference| (case.name.clone(), difference)));
    }
    judge(what, compared, &all);
}

/// Fails unless the differences of the cases are exactly the known ones.
fn judge(what: &str, compared: usize, differing: &[(String, String)]) {
    let mut wrong = String::new();
    let mut met = BTreeSet::new();
    for (case, difference) in differing {
        let difference = format!("{what}: {difference}");
        match KNOWN.iter().position(|(name, known, _)| name == case && difference == *known) {
            Some(index) => {
                met.insert(index);
            }
            None => wrong += &format!("{case}: {difference}\n"),
        }
    }
    for (index, (case, known, why)) in KNOWN.iter().enumerate() {
        if known.starts_with(&format!("{what}: ")) && !met.contains(&index) {
            wrong += &format!("{case}: no longer differs: {known} ({why})\n");
        }
    }
    assert!(wrong.is_empty() && compared > 0, "{compared} compared\n{wrong}");
}

#[test]
fn exposure_agrees() {
    compare_all("exposure", exposure::compare);
}

#[test]
fn reasons_agree() {
    compare_all("explain", explain::compare);
}

#[test]
fn reachability_agrees() {
    compare_all("list", list::compare);
}

#[test]

fn changes_agree() {
    let Some(folder) = folder() else {
        return shared::skipped("np-guard", "no cases of np-guard in the shared folder");
    };
    let mut differing = Vec::new();
    let compared = diff::compare(&folder, &mut differing);
    judge("diff", compared, &differing);
}
