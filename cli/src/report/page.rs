//! The page: style, script and data in one file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::model::Page;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

/// In the order in which they use each other; they share one function.
const SCRIPTS: &[&str] = &[
    include_str!("page/element.js"),
    include_str!("page/words.js"),
    include_str!("page/data.js"),
    include_str!("page/state.js"),
    include_str!("page/filter.js"),
    include_str!("page/coverage.js"),
    include_str!("page/headline.js"),
    include_str!("page/legend.js"),
    include_str!("page/curve.js"),
    include_str!("page/viewport.js"),
    include_str!("page/boxes.js"),
    include_str!("page/draw.js"),
    include_str!("page/pointer.js"),
    include_str!("page/map.js"),
    include_str!("page/table.js"),
    include_str!("page/lists.js"),
    include_str!("page/rows.js"),
    include_str!("page/sources.js"),
    include_str!("page/change.js"),
    include_str!("page/workload.js"),
    include_str!("page/edge.js"),
    include_str!("page/policy.js"),
    include_str!("page/finding.js"),
    include_str!("page/overview.js"),
    include_str!("page/panel.js"),
    include_str!("page/keys.js"),
    include_str!("page/print.js"),
    include_str!("page/main.js"),
];

/// The page with its data.
///
/// # Errors
/// None in practice: the data is text and numbers.
pub(super) fn page(data: &Page<'_>) -> anyhow::Result<String> {
    let script = format!("(() => {{\n\"use strict\";\n{}}})();\n", SCRIPTS.concat());
    // In this order, so that nothing of the data is taken for a mark.
    let marks = [
        ("STYLE-HASH", hash(STYLE)),
        ("SCRIPT-HASH", hash(&script)),
        ("/*STYLE*/", STYLE.to_string()),
        ("/*SCRIPT*/", script),
        ("/*DATA*/", quoted(&serde_json::to_string(data)?)),
    ];
    Ok(marks.into_iter().fold(TEMPLATE.to_string(), |page, (mark, text)| replaced(page, mark, &text)))
}

/// Puts a text in the place of a mark.
fn replaced(page: String, mark: &str, text: &str) -> String {
    match page.find(mark) {
        Some(at) => [&page[..at], text, &page[at + mark.len()..]].concat(),
        None => page,
    }
}

/// What the page's policy knows a style or script by (CSP level 3, §2.3.1).
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// JSON that ends no element and no line of a script, whatever its strings hold.
fn quoted(json: &str) -> String {
    let mut quoted = String::with_capacity(json.len() + json.len() / 50);
    for letter in json.chars() {
        match letter {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => quoted.push_str(&format!("\\u{:04x}", u32::from(letter))),
            _ => quoted.push(letter),
        }
    }
    quoted
}
