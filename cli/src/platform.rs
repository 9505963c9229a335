//! The network plugin and the mesh, and what of the policies they cannot do: rows for people and objects for programs.

use std::io::{self, Write};

use serde::Serialize;
use synth::platform::{Component, Finding, Platform, Role};

use crate::table;

/// One entry of `platform`.
#[derive(Debug, Serialize)]
pub(crate) struct Entry<'a> {
    role: &'static str,
    name: &'a str,
    version: Option<&'a str>,
    enforces: Option<bool>,
    evidence: &'a [String],
    source: Option<&'a str>,
    findings: Vec<Limit<'a>>,
}

/// What it cannot do.
#[derive(Debug, Serialize)]
struct Limit<'a> {
    id: &'static str,
    policies: &'a [String],
    message: &'a str,
    source: &'a str,
}

/// One entry for each component; where no network plugin is recognized, one that says so.
pub(crate) fn entries<'a>(platform: &'a Platform, findings: &'a [Finding]) -> Vec<Entry<'a>> {
    let entry = |component: &'a Component| {
        let own = findings.iter().filter(|finding| finding.component == component.name);
        let limit = |finding: &'a Finding| Limit {
            id: finding.limit.name(),
            policies: &finding.policies,
            message: &finding.message,
            source: finding.source,
        };
        Entry {
            role: component.role.name(),
            name: component.name,
            version: component.version.as_deref(),
            enforces: component.enforces,
            evidence: &component.evidence,
            source: Some(component.source),
            findings: own.map(limit).collect(),
        }
    };
    let unknown = Entry {
        role: Role::NetworkPlugin.name(),
        name: "unknown",
        version: None,
        enforces: None,
        evidence: &[],
        source: None,
        findings: Vec::new(),
    };
    let known = platform.components.iter().map(entry);
    if platform.plugins().next().is_none() { std::iter::once(unknown).chain(known).collect() } else { known.collect() }
}

/// Writes one row for each finding.
pub(crate) fn table(out: &mut impl Write, findings: &[Finding]) -> io::Result<()> {
    let row = |finding: &Finding| {
        let policies = match finding.policies.as_slice() {
            [] => "-".to_string(),
            [one] => one.clone(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        };
        let why = format!("{} [{}]", finding.message, finding.source);
        [finding.component.to_string(), finding.limit.name().to_string(), policies, why]
    };
    let rows: Vec<[String; 4]> = findings.iter().map(row).collect();
    table::write(out, ["PLATFORM", "LIMIT", "POLICIES", "WHY"], &rows)
}

/// One line about what was recognized.
pub(crate) fn line(platform: &Platform) -> String {
    let said = |component: &Component| {
        let version = component.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        format!("{}{version}", component.name)
    };
    let of = |role: Role| -> Vec<String> {
        platform.components.iter().filter(|component| component.role == role).map(said).collect()
    };
    let plugins = of(Role::NetworkPlugin);
    let mut line = match (plugins.is_empty(), platform.enforces()) {
        (true, _) => "network plugin: unknown, nothing in the cluster input names it".to_string(),
        (false, enforces) => {
            let what = match enforces {
                Some(true) => "enforces policies",
                Some(false) => "does not enforce policies",
                None => "whether it enforces policies is not known",
            };
            format!("network plugin: {}, {what}", plugins.join(" and "))
        }
    };
    let meshes = of(Role::Mesh);
    if !meshes.is_empty() {
        line.push_str(&format!("; mesh: {}", meshes.join(" and ")));
    }
    line
}
