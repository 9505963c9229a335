//! README.md and docs/, and the commands in them.
//!
//! In a block of `sh` a line is a command, in one of `console` a line behind `$ `; both go on behind a backslash. Other blocks
//! hold none.

use std::fs;
use std::path::Path;

use crate::shell::Line;

/// A command that a page shows.
pub struct Shown {
    /// `docs/identity.md:12`.
    pub place: String,
    pub text: String,
    /// In a block of `console`: the lines beneath.
    pub output: Option<Vec<String>>,
}

impl Shown {
    pub fn line(&self) -> Line {
        Line::parse(&self.text)
    }
}

/// README.md and the pages of docs/, by name, with their text.
pub fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = docs.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).collect();
    names.push("README.md".to_string());
    names.sort();
    assert!(names.len() > 1);
    names.into_iter().map(|name| (name.clone(), fs::read_to_string(root.join(name)).unwrap())).collect()
}

/// The commands of a page, in order.
pub fn commands(name: &str, text: &str) -> Vec<Shown> {
    let mut found: Vec<Shown> = Vec::new();
    let (mut block, mut goes_on) = (None, false);
    for (at, line) in text.lines().enumerate() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            block = if block.is_none() { Some(language.trim().to_string()) } else { None };
            goes_on = false;
            continue;
        }
        let command = match block.as_deref() {
            Some("sh") => Some(line).filter(|line| !line.trim().is_empty() && !line.starts_with('#')),
            Some("console") => line.strip_prefix("$ "),
            _ => continue,
        };
        if goes_on {
            let last = found.last_mut().unwrap();
            last.text += "\n";
            last.text += line;
        } else if let Some(command) = command {
            let output = (block.as_deref() == Some("console")).then(Vec::new);
            found.push(Shown { place: format!("{name}:{}", at + 1), text: command.to_string(), output });
        } else if let Some(output) = found.last_mut().and_then(|last| last.output.as_mut()) {
            output.push(line.to_string());
        }
        goes_on = line.ends_with('\\') && (goes_on || command.is_some());
    }
    found
}

/// Code in sentences and tables, with its place.
pub fn spans(name: &str, text: &str) -> Vec<(String, String)> {
    let (mut found, mut is_block) = (Vec::new(), false);
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
        } else if !is_block {
            let parts: Vec<&str> = line.split('`').collect();
            let place = format!("{name}:{}", at + 1);
            assert!(parts.len() % 2 == 1, "{place}: code that goes on in the next line");
            found.extend(parts.into_iter().skip(1).step_by(2).map(|span| (place.clone(), span.to_string())));
        }
    }
    found
}

#[test]
fn what_is_a_command() {
    let page = "`a b` and `c`\n```sh\nls a \\\n  b   # exits with 2\n# no command\n```\n```text\n$ none `x`\n```\n\
                ```console\n$ ls\none\n...\n```\n";
    let found = commands("page.md", page);
    let shown: Vec<(&str, &str)> = found.iter().map(|shown| (shown.place.as_str(), shown.text.as_str())).collect();
    assert_eq!(shown, [("page.md:3", "ls a \\\n  b   # exits with 2"), ("page.md:11", "ls")]);
    assert_eq!((found[0].line().exit(), &found[0].output), (2, &None));
    assert_eq!(found[1].output.as_ref().unwrap(), &["one", "..."]);
    let code: Vec<String> = spans("page.md", page).into_iter().map(|(_, span)| span).collect();
    assert_eq!(code, ["a b", "c"]);
}
