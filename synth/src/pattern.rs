//! Patterns of text, as people write them for names.

/// Whether `text` is what `pattern` says, `*` being any text or none.
pub fn is_like(text: &str, pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return text == pattern };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match text.split_once(part) {
            Some((_, behind)) => text = behind,
            None => return false,
        }
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (text, pattern, fits) in [
            ("shop/web", "shop/web", true),
            ("shop/web", "shop/*", true),
            ("shop/web", "*", true),
            ("shop/web", "*web", true),
            ("shop/web", "*o*/*b", true),
            ("shop/web", "shop", false),
            ("shop/web", "*shop", false),
            ("shop/web", "web*", false),
            ("aba", "ab*ba", false),
            ("aXbXc", "a*b*b*c", false),
            ("", "*", true),
            ("a.b", "a?b", false),
        ] {
            assert_eq!(is_like(text, pattern), fits, "{text} {pattern}");
        }
    }
}
