//! `list`: what every workload can reach.

use super::case::Case;
use super::connectivity::{Connectivity, End, add_row};
use super::names::resolve;
use super::text;

/// Compares a case; the number of rows compared.
pub fn compare(case: &Case, differing: &mut Vec<String>) -> usize {
    let run = case.run("reach -o json --granularity workload", &case.manifests());
    let mut ours = Connectivity::default();
    run.stdout.lines().for_each(|line| add_row(&mut ours, &serde_json::from_str(line).unwrap()));
    let mut compared = 0;
    for output in case.expected(["list", "exposure"]) {
        let output = output.split("Exposure Analysis Result:").next().unwrap_or_default();
        let theirs = read(output, case, differing);
        differing.extend(theirs.differences(&ours));
        compared += theirs.count();
    }
    compared
}

fn read(output: &str, case: &Case, differing: &mut Vec<String>) -> Connectivity {
    let mut theirs = Connectivity::default();
    for line in output.lines().filter(|line| !line.trim().is_empty()) {
        let (pair, connections) = line.rsplit_once(" : ").unwrap();
        let (client, server) = pair.split_once(" => ").unwrap();
        match (end(client, case), end(server, case)) {
            (Ok(client), Ok(server)) => theirs.add(&client, &server, text::connections(connections).numbers()),
            (client, server) => differing.extend(client.err().into_iter().chain(server.err())),
        }
    }
    theirs
}

/// An end by the analyzer's name.
pub fn end(name: &str, case: &Case) -> Result<End, String> {
    match text::addresses(name) {
        Some(addresses) => Ok(End::Outside(addresses)),
        None => resolve(name, &case.inventory).map(End::Workload),
    }
}
