//! Objects are written in flow style, one a line, and read by the same door as everything else.

mod address;
mod merge;
mod owner;
mod presence;
mod service;
mod tenure;

use super::*;
use crate::manifest::Objects;

/// Files as (name, objects).
fn read(files: &[(&str, Vec<String>)]) -> Objects {
    let mut objects = Objects::default();
    for (file, lines) in files {
        let documents: Vec<String> = lines.iter().map(|line| format!("---\n{line}\n")).collect();
        objects.load(file, &documents.concat());
    }
    assert_eq!(objects.problems, []);
    objects
}

/// The inventory of one file.
fn inventory(objects: &[&str]) -> Inventory {
    let lines = objects.iter().map(ToString::to_string).collect();
    Inventory::build(&read(&[("dump.yaml", lines)]), &Options::default())
}

/// A time of 2026-11-01.
fn time(clock: &str) -> Timestamp {
    format!("2026-11-01T{clock}Z").parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The names of the workloads.
fn workloads(inventory: &Inventory) -> Vec<String> {
    inventory.workloads.keys().map(ToString::to_string).collect()
}
