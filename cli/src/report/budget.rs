//! A text that stays below a limit: of the longest lists fewer rows are written, and how many are missing.

use crate::summary::number;

/// A part of a text.
#[derive(Debug)]
pub(super) enum Part {
    /// Always written.
    Text(String),
    /// A list or table: head, rows, foot; and what its rows are called.
    Rows { head: String, rows: Vec<String>, foot: String, what: &'static str, is_table: bool },
}

/// Rows that are kept of each list at least, if it has them.
const LEAST: usize = 3;

/// Puts parts together in at most `limit` characters; `elsewhere` says where the rest is.
pub(super) fn fit(parts: &[Part], limit: usize, elsewhere: &str) -> String {
    let mut caps: Vec<usize> = parts
        .iter()
        .map(|part| match part {
            Part::Text(_) => 0,
            Part::Rows { rows, .. } => rows.len(),
        })
        .collect();
    loop {
        let text = write(parts, &caps, elsewhere);
        if text.chars().count() <= limit {
            return text;
        }
        // The longest list of all gives way first.
        let length = |(at, part): (usize, &Part)| match part {
            Part::Rows { rows, .. } if caps[at] > LEAST => {
                Some((rows[..caps[at]].iter().map(|row| row.chars().count()).sum::<usize>(), at))
            }
            _ => None,
        };
        match parts.iter().enumerate().filter_map(length).max() {
            Some((_, at)) => caps[at] = (caps[at] * 3 / 4).max(LEAST),
            // What is left has been kept short where it was made; the end of it is not worth more than the limit.
            None => return text.chars().take(limit).collect(),
        }
    }
}

fn write(parts: &[Part], caps: &[usize], elsewhere: &str) -> String {
    let mut text = String::new();
    for (part, cap) in parts.iter().zip(caps) {
        match part {
            Part::Text(part) => text.push_str(part),
            Part::Rows { rows, .. } if rows.is_empty() => {}
            Part::Rows { head, rows, foot, what, is_table } => {
                text.push_str(head);
                rows[..*cap].iter().for_each(|row| text.push_str(row));
                if *cap < rows.len() {
                    let more = number((rows.len() - cap) as u64);
                    text.push_str(if *is_table { "\n" } else { "- " });
                    text.push_str(&format!("… and {more} more {what}: {elsewhere}\n"));
                }
                text.push_str(foot);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(what: &'static str, count: usize) -> Part {
        let rows = (0..count).map(|at| format!("- {what} {at}\n")).collect();
        Part::Rows { head: format!("{what}:\n"), rows, foot: String::new(), what, is_table: false }
    }

    #[test]
    fn long_lists_give_way() {
        let parts = [Part::Text("head\n".to_string()), list("few", 2), list("many", 1000), list("none", 0)];
        let text = fit(&parts, 500, "see the page");
        assert!(text.chars().count() <= 500, "{text}");
        assert!(text.starts_with("head\nfew:\n- few 0\n- few 1\nmany:\n- many 0\n"), "{text}");
        assert!(text.contains("more many: see the page"), "{text}");
        let shown = text.matches("- many").count();
        assert!(text.contains(&format!("… and {} more many", 1000 - shown)), "{text}");
        assert!(!fit(&parts, 100_000, "").contains("more"));
        assert_eq!(fit(&[Part::Text("é".repeat(9))], 4, ""), "éééé");
    }
}
