//! `list --exposure`: what pods that do not exist yet could reach.

use std::collections::{BTreeMap, BTreeSet};

use synth::addresses::AddressSet;
use synth::endpoint::Workload;
use synth::exposure::{self, Entry, Exposure, Ports, Scope, Side, Who, canonical};
use synth::inventory::Inventory;
use synth::label::{Requirement, Selector};
use synth::policy::Direction;

use super::case::{Case, READING};
use super::names::resolve;
use super::text;

/// What the analyzer says about one direction of a workload.
#[derive(Default)]
struct Theirs {
    pods: Vec<(Who, Ports)>,
    addresses: Vec<(Who, Ports)>,
    unprotected: bool,
}

/// Compares a case; the number of lines compared.
pub fn compare(case: &Case, differing: &mut Vec<String>) -> usize {
    let ours = exposure::analyse(case.inventory.policy_set(), &case.inventory, READING);
    let outputs = case.expected(["exposure", "explain-exposure"]);
    outputs.map(|output| compare_output(&output, &ours, case, differing)).sum()
}

fn compare_output(output: &str, ours: &[Exposure], case: &Case, differing: &mut Vec<String>) -> usize {
    let (_, output) = output.split_once("Exposure Analysis Result:").unwrap();
    let (theirs, lines) = read(output, &case.inventory, differing);
    let all: BTreeSet<&Workload> =
        theirs.keys().map(|(workload, _)| workload).chain(case.inventory.workloads.keys()).collect();
    for workload in all {
        let ours: Vec<&Exposure> = ours.iter().filter(|exposure| exposure.workload == *workload).collect();
        let [ours] = ours.as_slice() else {
            differing.push(format!("{workload}: {} groups of pods of ours", ours.len()));
            continue;
        };
        for direction in Direction::ALL {
            let nothing = Theirs::default();
            let theirs = theirs.get(&(workload.clone(), direction)).unwrap_or(&nothing);
            for difference in sides(theirs, ours.side(direction), &case.inventory) {
                differing.push(format!("{workload} {direction}: {difference}"));
            }
        }
    }
    lines
}

type Read = BTreeMap<(Workload, Direction), Theirs>;

fn read(output: &str, inventory: &Inventory, differing: &mut Vec<String>) -> (Read, usize) {
    let mut read = Read::new();
    let mut lines = 0;
    let mut of =
        |name: &str, direction: Direction, differing: &mut Vec<String>, put: &dyn Fn(&mut Theirs)| match resolve(
            name, inventory,
        ) {
            Ok(workload) => put(read.entry((workload, direction)).or_default()),
            Err(why) => differing.push(why),
        };
    for line in output.lines() {
        let (direction, arrow) =
            if line.contains("<=") { (Direction::Ingress, "<=") } else { (Direction::Egress, "=>") };
        if let Some((name, rest)) = line.split_once(arrow) {
            lines += 1;
            let (peer, connections) = rest.rsplit_once(" : ").unwrap();
            let ports = text::connections(connections);
            let entry = match text::addresses(peer.trim()) {
                Some(addresses) => (Who::External(addresses), ports),
                None => (text::who(peer.trim()), ports),
            };
            of(name.trim(), direction, differing, &|theirs| {
                let list = if matches!(entry.0, Who::External(_)) { &mut theirs.addresses } else { &mut theirs.pods };
                list.push(entry.clone());
            });
        } else if let Some((name, direction)) = line.split_once(" is not protected on ") {
            lines += 1;
            let direction = if direction == "Ingress" { Direction::Ingress } else { Direction::Egress };
            of(name, direction, differing, &|theirs| theirs.unprotected = true);
        }
    }
    (read, lines)
}

fn sides(theirs: &Theirs, ours: &Side, inventory: &Inventory) -> Vec<String> {
    let mut differing = Vec::new();
    if theirs.unprotected == ours.isolated {
        differing.push(format!("not protected: theirs {}, ours {}", theirs.unprotected, !ours.isolated));
    }
    let known = &inventory.namespaces;
    // It leaves out selectors of plain labels that a pod has already.
    let has_pod = |entry: &&Entry| {
        let plain = |selector: &Selector| {
            let one =
                |requirement: &Requirement| matches!(requirement, Requirement::In { values, .. } if values.len() == 1);
            !selector.is_everything() && selector.requirements().all(one)
        };
        let labels = match &entry.who {
            Who::Selected { namespaces, pods } => {
                *namespaces != Scope::All && plain(&namespaces.selector()) && plain(pods)
            }
            _ => false,
        };
        labels && inventory.pods.iter().any(|pod| entry.who.fits(&pod.namespace, &pod.labels, known))
    };
    let said: BTreeSet<&Who> = theirs.pods.iter().map(|(who, _)| who).collect();
    let left_out = ours.entries.iter().filter(has_pod).filter(|entry| !said.contains(&entry.who));
    let left_out = left_out.map(|entry| (entry.who.clone(), entry.ports.clone()));
    let theirs_pods = canonical(theirs.pods.iter().cloned().chain(left_out), known);
    let of = |entry: &Entry| (entry.who.clone(), entry.ports.clone());
    let (ours_addresses, ours_pods): (Vec<_>, Vec<_>) =
        ours.entries.iter().map(of).partition(|(who, _)| matches!(who, Who::External(_)));
    differing.extend(lists(&theirs_pods, &ours_pods));
    let v4 = AddressSet::of("0.0.0.0/0".parse().unwrap());
    let ours_v4 = ours_addresses.into_iter().filter_map(|(who, ports)| match who {
        Who::External(addresses) => Some((Who::External(addresses.intersection(&v4)), ports)),
        _ => None,
    });
    let of_v4 = |list: Vec<(Who, Ports)>| -> Vec<(Who, Ports)> { canonical(list, known) };
    differing.extend(lists(&of_v4(theirs.addresses.clone()), &of_v4(ours_v4.collect())));
    differing
}

fn lists(theirs: &[(Who, Ports)], ours: &[(Who, Ports)]) -> Vec<String> {
    let text = |list: &[(Who, Ports)]| {
        list.iter().map(|(who, ports)| format!("{who}: {ports}")).collect::<Vec<_>>().join("; ")
    };
    if theirs == ours { Vec::new() } else { vec![format!("theirs [{}], ours [{}]", text(theirs), text(ours))] }
}
