//! Findings as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format"), which code hosts and editors show at
//! the lines of the files.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::finding::{Item, Place, Rule};
use crate::ignore::Hidden;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// §3.13.
#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

/// §3.14.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool<'a>,
    automation_details: Automation,
    results: Vec<Result<'a>>,
}

/// §3.17: which of the program's analyses this is, so that one does not replace another where they are collected. An id
/// that ends in `/` names a category.
#[derive(Serialize)]
struct Automation {
    id: String,
}

/// §3.18.
#[derive(Serialize)]
struct Tool<'a> {
    driver: Driver<'a>,
}

/// §3.19.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver<'a> {
    name: &'static str,
    semantic_version: &'static str,
    version: &'static str,
    rules: Vec<Descriptor<'a>>,
}

/// §3.49.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    id: &'a str,
    short_description: Text<'a>,
    full_description: Text<'a>,
    default_configuration: Configuration,
}

/// §3.50.
#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

/// §3.11.
#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
}

/// §3.27.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Result<'a> {
    rule_id: &'a str,
    rule_index: usize,
    level: &'static str,
    message: Text<'a>,
    locations: [Location<'a>; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Location<'a>>,
    partial_fingerprints: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suppressions: Vec<Suppression>,
    properties: &'a RawValue,
}

/// §3.28: a line of a file, or what the finding is about where that is in no file.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Location<'a> {
    PhysicalLocation(Physical),
    LogicalLocations([Logical<'a>; 1]),
}

/// §3.29.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    region: Region,
}

/// §3.4.
#[derive(Serialize)]
struct Artifact {
    uri: String,
}

/// §3.30.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
}

/// §3.33.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Logical<'a> {
    fully_qualified_name: &'a str,
}

/// §3.35.
#[derive(Serialize)]
struct Suppression {
    kind: &'static str,
    status: &'static str,
    justification: String,
}

/// Writes findings of `command`, those that are ignored last. Every item's rule has to be among `rules`.
///
/// # Errors
/// Whatever writing fails with.
pub(crate) fn write<'a>(
    out: &mut impl Write,
    command: &str,
    rules: &'a [Rule],
    shown: impl IntoIterator<Item = &'a Item>,
    hidden: impl IntoIterator<Item = (&'a Item, &'a Hidden)>,
) -> anyhow::Result<()> {
    let index: BTreeMap<&str, usize> = rules.iter().enumerate().map(|(at, rule)| (rule.id.as_str(), at)).collect();
    let found = shown.into_iter().map(|item| (item, None));
    let found = found.chain(hidden.into_iter().map(|(item, why)| (item, Some(why))));
    let results = found.map(|(item, why)| result(item, why, &index)).collect::<anyhow::Result<_>>()?;
    let version = env!("CARGO_PKG_VERSION");
    let rules = rules.iter().map(descriptor).collect();
    let driver = Driver { name: "ringfence", semantic_version: version, version, rules };
    let automation_details = Automation { id: format!("ringfence/{command}/") };
    let run = Run { tool: Tool { driver }, automation_details, results };
    serde_json::to_writer_pretty(&mut *out, &Log { schema: SCHEMA, version: "2.1.0", runs: [run] })?;
    writeln!(out)?;
    Ok(())
}

fn descriptor(rule: &Rule) -> Descriptor<'_> {
    Descriptor {
        id: &rule.id,
        short_description: Text { text: &rule.summary },
        full_description: Text { text: &rule.description },
        default_configuration: Configuration { level: rule.severity.name() },
    }
}

fn result<'a>(item: &'a Item, why: Option<&Hidden>, index: &BTreeMap<&str, usize>) -> anyhow::Result<Result<'a>> {
    let rule_index = *index.get(item.rule.as_str()).ok_or_else(|| anyhow::anyhow!("no rule {}", item.rule))?;
    let logical = || Location::LogicalLocations([Logical { fully_qualified_name: &item.key }]);
    let justification = |why: &Hidden| format!("{} ({})", why.reason, why.place);
    let suppression = |why| Suppression { kind: "external", status: "accepted", justification: justification(why) };
    Ok(Result {
        rule_id: &item.rule,
        rule_index,
        level: item.severity.name(),
        message: Text { text: &item.message },
        locations: [item.place.as_ref().map_or_else(logical, physical)],
        related_locations: item.related.iter().map(physical).collect(),
        partial_fingerprints: BTreeMap::from([("ringfence/v1", item.fingerprint())]),
        suppressions: why.map(suppression).into_iter().collect(),
        properties: &item.details,
    })
}

fn physical<'a>(place: &Place) -> Location<'a> {
    let artifact_location = Artifact { uri: uri(&place.file) };
    Location::PhysicalLocation(Physical { artifact_location, region: Region { start_line: place.line } })
}

/// A path as a URI reference (RFC 3986): relative paths stay relative to where the program ran, absolute ones get the
/// scheme `file`.
fn uri(path: &str) -> String {
    let path = if cfg!(windows) { path.replace('\\', "/") } else { path.to_string() };
    let mut path = path.as_str();
    while let Some(rest) = path.strip_prefix("./") {
        path = rest.trim_start_matches('/');
    }
    let mut uri = if path.starts_with('/') { "file://".to_string() } else { String::new() };
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(byte)),
            _ => uri += &format!("%{byte:02X}"),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::finding::Severity;
    use crate::finding::tests::item;

    #[test]
    fn paths_are_uri_references() {
        for (path, expected) in [
            ("policies/a.yaml", "policies/a.yaml"),
            ("./policies/a.yaml", "policies/a.yaml"),
            (".//a.yaml", "a.yaml"),
            ("../a.yaml", "../a.yaml"),
            ("/etc/a b.yaml", "file:///etc/a%20b.yaml"),
            ("a:b%#?.yaml", "a%3Ab%25%23%3F.yaml"),
            ("größe.yaml", "gr%C3%B6%C3%9Fe.yaml"),
        ] {
            assert_eq!(uri(path), expected, "{path}");
        }
    }

    #[test]
    fn a_log() {
        let rules = [
            Rule::new("dead", Severity::Note, "matches nothing", "Remove it."),
            Rule::new("unused", Severity::Warning, "never used", "Tighten it."),
        ];
        let place = |line| Place { file: "a b.yaml".to_string(), line };
        let shown =
            [item("unused", Severity::Warning, "x").at([place(3), place(9)]), item("unused", Severity::Error, "y")];
        let hidden = Hidden { reason: "on \"holiday\"".to_string(), place: place(1) };
        let dead = item("dead", Severity::Note, "z");
        let mut out = Vec::new();
        write(&mut out, "unused", &rules, &shown, [(&dead, &hidden)]).unwrap();
        let log: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&log["version"], log["$schema"].as_str()), (&json!("2.1.0"), Some(SCHEMA)));
        let run = &log["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"][1]["id"], "unused");
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), 3);
        assert_eq!(
            results[0],
            json!({
                "ruleId": "unused",
                "ruleIndex": 1,
                "level": "warning",
                "message": {"text": "x is wrong"},
                "locations": [{
                    "physicalLocation": {"artifactLocation": {"uri": "a%20b.yaml"}, "region": {"startLine": 3}}
                }],
                "relatedLocations": [{
                    "physicalLocation": {"artifactLocation": {"uri": "a%20b.yaml"}, "region": {"startLine": 9}}
                }],
                "partialFingerprints": {"ringfence/v1": shown[0].fingerprint()},
                "properties": {},
            })
        );
        assert_eq!(results[1]["locations"], json!([{"logicalLocations": [{"fullyQualifiedName": "y"}]}]));
        assert_eq!(
            results[2]["suppressions"],
            json!([{"kind": "external", "status": "accepted", "justification": "on \"holiday\" (a b.yaml:1)"}])
        );
        assert!(write(&mut Vec::new(), "unused", &rules[..1], &shown, []).is_err(), "a rule that is not there");
    }
}
