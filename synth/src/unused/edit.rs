//! Policies as they were written, without some of their elements: comments and order stay.
//!
//! Only block style is edited, line by line, and whoever asks reads the result back and compares; where it does not say
//! what it should, the policy is written anew.

/// The lines of one object, taken out of its file.
pub(super) struct Object {
    /// Lines without the indentation that the object had in a list; `None` once they are gone.
    lines: Vec<Option<String>>,
    /// 1-based line in the file of the first.
    first: usize,
}

/// Where a list element stands.
struct Item {
    start: usize,
    end: usize,
    /// Column of its dash, and of its keys.
    dash: usize,
    keys: usize,
}

/// Spaces before the first character that is none; `None` for blank lines.
fn indent(line: &str) -> Option<usize> {
    line.find(|character: char| character != ' ')
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

impl Object {
    /// The object whose first key stands on line `line`, with the comments right before it; `None` where it is not in
    /// block style.
    pub(super) fn cut(text: &str, line: u32) -> Option<Object> {
        let lines: Vec<&str> = text.lines().collect();
        let at = (line as usize).checked_sub(1)?;
        let begin = lines.get(at)?;
        let column = indent(begin)?;
        let in_list = begin[column..].starts_with("- ");
        let keys = if in_list { column + 1 + indent(&begin[column + 1..])? } else { column };
        if !begin[keys..].starts_with(|character: char| character.is_ascii_alphabetic() || character == '"') {
            return None;
        }
        let is_inside = |line: &&&str| {
            !line.starts_with("---")
                && !line.starts_with("...")
                && indent(line).is_none_or(|at| at >= keys || is_comment(line))
        };
        let mut end = at + 1 + lines[at + 1..].iter().take_while(is_inside).count();
        // Comments and blank lines at the end belong to what comes next.
        while end > at + 1 && (lines[end - 1].trim().is_empty() || is_comment(lines[end - 1]) && keys > 0) {
            end -= 1;
        }
        let mut start = at;
        while start > 0 && is_comment(lines[start - 1]) && indent(lines[start - 1]) == Some(column) {
            start -= 1;
        }
        let out = |(number, line): (usize, &&str)| {
            let rest = match number {
                number if number == at - start => &line[keys..],
                _ if is_comment(line) => line.get(indent(line).unwrap_or_default().min(keys)..).unwrap_or_default(),
                _ => line.get(keys..).unwrap_or_default(),
            };
            Some(rest.trim_end().to_string())
        };
        let lines = lines[start..end].iter().enumerate().map(out).collect();
        Some(Object { lines, first: start + 1 })
    }

    fn at(&self, line: u32) -> Option<usize> {
        let at = (line as usize).checked_sub(self.first)?;
        self.lines.get(at)?.as_ref().map(|_| at)
    }

    fn line(&self, at: usize) -> &str {
        self.lines.get(at).and_then(Option::as_deref).unwrap_or_default()
    }

    /// The list element that begins on a line, with the comments right before it.
    fn item(&self, line: u32) -> Option<Item> {
        let at = self.at(line)?;
        let text = self.line(at);
        let dash = indent(text)?;
        let rest = text[dash..].strip_prefix('-')?;
        let keys = dash + 1 + indent(rest)?;
        let mut end = at + 1;
        let mut next = end;
        while next < self.lines.len() {
            let text = self.line(next);
            let inside = indent(text).is_some_and(|column| column > dash);
            next += 1;
            match (inside, text.is_empty() || is_comment(text)) {
                (true, false) => end = next,
                (_, true) => {}
                (false, false) => break,
            }
        }
        let mut start = at;
        while start > 0 && is_comment(self.line(start - 1)) && indent(self.line(start - 1)) == Some(dash) {
            start -= 1;
        }
        Some(Item { start, end, dash, keys })
    }

    /// Deletes the list element that begins on a line.
    pub(super) fn delete(&mut self, line: u32) -> Option<()> {
        let Item { start, end, .. } = self.item(line)?;
        self.lines[start..end].iter_mut().for_each(|line| *line = None);
        Some(())
    }

    /// Puts others in the place of a list element. `write` appends them with this indentation.
    pub(super) fn replace(&mut self, line: u32, write: impl Fn(&mut String, usize)) -> Option<()> {
        let Item { start, end, dash, .. } = self.item(line)?;
        let mut text = String::new();
        write(&mut text, dash);
        self.lines[start..end].iter_mut().for_each(|line| *line = None);
        self.lines[start] = Some(text.trim_end().to_string());
        Some(())
    }

    /// Adds a key with a list to the list element that begins on a line.
    pub(super) fn add(&mut self, line: u32, key: &str, write: impl Fn(&mut String, usize)) -> Option<()> {
        let Item { start, end, dash, keys } = self.item(line)?;
        let at = self.at(line)?;
        let only = self.line(at)[keys..].trim_end();
        let mut text = String::new();
        if only == "{}" {
            text += &format!("{:dash$}- {key}:\n", "");
            write(&mut text, dash + 2);
            self.lines[start..end].iter_mut().for_each(|line| *line = None);
            self.lines[start] = Some(text.trim_end().to_string());
            return Some(());
        }
        let last = (at..end).rev().find(|at| self.lines[*at].is_some())?;
        text += &format!("{}\n{:keys$}{key}:\n", self.line(last), "");
        write(&mut text, keys);
        self.lines[last] = Some(text.trim_end().to_string());
        Some(())
    }

    /// Writes `key: []` where all of a list is gone. The list's first element stood on line `line`.
    pub(super) fn empty(&mut self, line: u32, key: &str) -> Option<()> {
        let begin = (line as usize).checked_sub(self.first)?;
        let head = format!("{key}:");
        let at = (0..begin.min(self.lines.len())).rev().find(|at| self.line(*at).trim() == head)?;
        let text = format!("{} []", self.line(at).trim_end());
        self.lines[at] = Some(text);
        Some(())
    }

    /// Takes out what the API server keeps for itself, which an object that is applied again must not carry.
    pub(super) fn strip_server_fields(&mut self) {
        let fields = ["creationTimestamp:", "generation:", "managedFields:", "resourceVersion:", "selfLink:", "uid:"];
        let Some(metadata) = (0..self.lines.len()).find(|at| self.line(*at).trim_end() == "metadata:") else { return };
        let mut at = metadata + 1;
        let Some(column) = indent(self.line(at)).filter(|column| *column > 0) else { return };
        while at < self.lines.len() && indent(self.line(at)).is_none_or(|here| here >= column) {
            let own = indent(self.line(at)) == Some(column);
            if own && fields.iter().any(|field| self.line(at).trim_start().starts_with(field)) {
                self.lines[at] = None;
                while at + 1 < self.lines.len() && indent(self.line(at + 1)).is_some_and(|here| here > column)
                    || self.line(at + 1).trim_start().starts_with("- ") && indent(self.line(at + 1)) == Some(column)
                {
                    at += 1;
                    self.lines[at] = None;
                }
            }
            at += 1;
        }
    }

    /// What is left, as a document.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for line in self.lines.iter().flatten() {
            text += line;
            text.push('\n');
        }
        text
    }
}
