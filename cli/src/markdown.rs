//! Findings as GitHub Flavored Markdown, for pull requests: a table for each rule.

use std::io::{self, Write};

use crate::finding::{Item, Rule};
use crate::ignore::Hidden;
use crate::summary::number;

/// Writes the findings of `command`, rules in their order, then those that are ignored.
///
/// # Errors
/// Whatever writing fails with.
pub(crate) fn write<'a>(
    out: &mut impl Write,
    command: &str,
    rules: &[Rule],
    shown: impl IntoIterator<Item = &'a Item>,
    hidden: impl IntoIterator<Item = (&'a Item, &'a Hidden)>,
) -> io::Result<()> {
    let shown: Vec<&Item> = shown.into_iter().collect();
    let hidden: Vec<(&Item, &Hidden)> = hidden.into_iter().collect();
    let ignored = match hidden.len() {
        0 => String::new(),
        count => format!(", {} ignored", number(count as u64)),
    };
    writeln!(out, "## ringfence {command}: {}{ignored}", plural(shown.len(), "finding"))?;
    for rule in rules {
        let of_rule: Vec<&&Item> = shown.iter().filter(|item| item.rule == rule.id).collect();
        if of_rule.is_empty() {
            continue;
        }
        writeln!(out, "\n### `{}`: {} ({})\n", rule.id, escaped(&rule.summary), number(of_rule.len() as u64))?;
        writeln!(out, "{}\n", escaped(&rule.description))?;
        writeln!(out, "| Severity | Finding | Place | Fingerprint |\n|---|---|---|---|")?;
        for item in of_rule {
            let place = item.place.as_ref().map(|place| escaped(&place.to_string())).unwrap_or_default();
            let (severity, message, fingerprint) = (item.severity.name(), escaped(&item.message), item.fingerprint());
            writeln!(out, "| {severity} | {message} | {place} | `{fingerprint}` |")?;
        }
    }
    if !hidden.is_empty() {
        writeln!(out, "\n### Ignored\n\n| Rule | About | Reason | Ignored in |\n|---|---|---|---|")?;
        for (item, why) in hidden {
            let (about, reason, place) = (escaped(&item.key), escaped(&why.reason), escaped(&why.place.to_string()));
            writeln!(out, "| `{}` | {about} | {reason} | {place} |", item.rule)?;
        }
    }
    Ok(())
}

/// `1 finding`, `2 findings`.
fn plural(count: usize, word: &str) -> String {
    format!("{} {word}{}", number(count as u64), if count == 1 { "" } else { "s" })
}

/// Text that means itself in a cell of a table: names come from captures, and whoever sends packets chooses them.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' => escaped.extend(['\\', letter]),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // Would tell somebody of this name.
            '@' => escaped.push_str("&#64;"),
            _ if letter.is_control() => escaped.push(' '),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::tests::item;
    use crate::finding::{Place, Severity};

    #[test]
    fn text_means_itself() {
        for (text, expected) in [
            ("a|b", "a\\|b"),
            ("`x`", "\\`x\\`"),
            ("two\nlines\r", "two lines "),
            ("<script> & [a](b)", "&lt;script&gt; &amp; \\[a\\](b)"),
            ("a -> b_c", "a -&gt; b\\_c"),
            ("@all #1", "&#64;all \\#1"),
            ("\\|", "\\\\\\|"),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }

    #[test]
    fn a_report() {
        let rules = [
            Rule::new("dead", Severity::Note, "matches nothing", "Remove it."),
            Rule::new("unused", Severity::Warning, "never used", "Tighten it."),
        ];
        let place = Place { file: "a|b.yaml".to_string(), line: 3 };
        let shown = [item("unused", Severity::Warning, "x | y").at([place.clone()])];
        let hidden = Hidden { reason: "known".to_string(), place };
        let mut out = Vec::new();
        write(&mut out, "unused", &rules, &shown, [(&item("dead", Severity::Note, "z"), &hidden)]).unwrap();
        let expected = format!(
            "## ringfence unused: 1 finding, 1 ignored

### `unused`: never used (1)

Tighten it.

| Severity | Finding | Place | Fingerprint |
|---|---|---|---|
| warning | x \\| y is wrong | a\\|b.yaml:3 | `{}` |

### Ignored

| Rule | About | Reason | Ignored in |
|---|---|---|---|
| `dead` | z | known | a\\|b.yaml:3 |
",
            shown[0].fingerprint()
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let mut out = Vec::new();
        write(&mut out, "lint", &rules, [], []).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "## ringfence lint: 0 findings\n");
    }
}
