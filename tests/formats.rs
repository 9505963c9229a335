//! docs/formats.md names every field that programs read.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::docs::Place;
use crate::snippets::{pages, spans};

/// Names of fields, at any depth. Those of counts by name are no fields.
fn fields(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                into.insert(name.clone());
                if !["buckets", "opaque", "rhythm"].contains(&name.as_str()) {
                    fields(member, into);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| fields(item, into)),
        _ => {}
    }
}

#[test]
fn every_field_is_on_the_page_of_formats() {
    let place = Place::new();
    let run = |text: &str| place.run(text).1;
    run("ringfence generate --log week.db --cluster dump.yaml -o before -q && cp -r before after");
    // A port that nobody used, and a label that no pod has.
    run("sed -i 's/port: 9113/port: 9114/' after/shop/api.yaml && sed -i 's/app: web/app: wap/' after/shop/web.yaml");
    fs::write(place.0.path().join("known.yaml"), "- {id: unused, reason: known}\n").unwrap();
    let mut found = BTreeSet::new();
    for command in [
        "flows --log week.db --summary summary.json",
        "check --log week.db --policies after --exposures",
        "unused --log week.db --policies after",
        "unused --log week.db --policies after --min-window 1s --ignore known.yaml",
        "diff before after --log week.db",
        "reach --policies after",
        "reach --policies after --exposure",
        "explain shop/web shop/api:8080 --policies before",
        "explain shop/worker shop/api:8080 --policies before",
        "lint --policies after",
    ] {
        let printed = run(&format!("ringfence {command} --cluster dump.yaml -o json -q"));
        assert!(printed.starts_with('{'), "{command}: {printed}");
        printed.lines().for_each(|line| fields(&serde_json::from_str(line).unwrap(), &mut found));
    }
    let summary = fs::read_to_string(place.0.path().join("summary.json")).unwrap();
    fields(&serde_json::from_str(&summary).unwrap(), &mut found);
    assert!(found.len() > 60, "{found:?}");
    let page = pages().into_iter().find(|(name, _)| name == "docs/formats.md").unwrap();
    let named: BTreeSet<String> = spans(&page.0, &page.1).into_iter().map(|(_, span)| span).collect();
    let missing: Vec<&String> = found.iter().filter(|field| !named.contains(*field)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
