//! Cuts a file into objects before anything is parsed, so that one broken document costs nothing but itself.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The text of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document<'a> {
    /// Its text. An item of a block List starts with its dash, which makes it a YAML sequence of one.
    pub text: &'a str,
    /// 1-based line of the text's first line in its file.
    pub line: u32,
    /// How it is written.
    pub form: Form,
    /// The List it is an item of, where that says what its items are.
    pub list: Option<TypedList<'a>>,
}

/// A List of one kind, whose items need not name it: `kind: PodList`, as the API server sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypedList<'a> {
    /// `Pod`.
    pub kind: &'a str,
    /// `apiVersion` of the List and its items.
    pub version: &'a str,
}

impl<'a> TypedList<'a> {
    /// `kind` is the List's.
    pub fn new(kind: &'a str, version: &'a str) -> Option<TypedList<'a>> {
        let kind = kind.strip_suffix("List").filter(|kind| !kind.is_empty())?;
        Some(TypedList { kind, version })
    }
}

/// How an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A JSON object.
    Json,
    /// A YAML document.
    Yaml,
    /// One `- ` item of a YAML List, its dash indented by this many columns.
    YamlItem(usize),
}

/// A document that could not even be cut out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// 1-based line.
    pub line: u32,
    /// What is wrong, in words.
    pub message: String,
}

/// What a file was cut into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split<'a> {
    /// The objects.
    pub documents: Vec<Document<'a>>,
    /// What could not be cut out.
    pub unreadable: Vec<Unreadable>,
    /// [`TAKEN`] of its first List that has it.
    pub taken: Option<String>,
}

/// The annotation of a List that says when its objects were read from the API server, RFC 3339.
pub const TAKEN: &str = "ringfence.dev/taken";

/// The objects of a file: JSON (one or several values, Lists opened) or YAML (documents, block Lists opened).
pub fn split(text: &str) -> Split<'_> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if is_json(text) { split_json(text) } else { split_yaml(text) }
}

/// JSON begins with a brace and a quoted key; a flow mapping of YAML may begin with a brace too.
fn is_json(text: &str) -> bool {
    let Some(inside) = text.trim_start().strip_prefix('{') else { return text.trim_start().starts_with('[') };
    inside.trim_start().starts_with(['"', '}']) || inside.trim_start().is_empty()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonHead<'a> {
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    api_version: Option<&'a RawValue>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

impl<'a> JsonHead<'a> {
    fn list(&self) -> Option<TypedList<'a>> {
        let text = |value: Option<&'a RawValue>| value.and_then(|value| serde_json::from_str::<&str>(value.get()).ok());
        TypedList::new(text(self.kind)?, text(self.api_version).unwrap_or_default())
    }

    fn taken(&self) -> Option<String> {
        let metadata: serde_json::Value = serde_json::from_str(self.metadata?.get()).ok()?;
        Some(metadata.get("annotations")?.get(TAKEN)?.as_str()?.to_string())
    }
}

fn split_json(text: &str) -> Split<'_> {
    let mut taken = None;
    let mut documents = Vec::new();
    let mut unreadable = Vec::new();
    let mut lines = Lines { text, offset: 0, line: 1 };
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<JsonHead>();
    let mut start = 0;
    while let Some(head) = values.next() {
        match head {
            Ok(head @ JsonHead { items: Some(_), .. }) => {
                let list = head.list();
                taken = taken.or_else(|| head.taken());
                documents.extend(head.items.into_iter().flatten().map(|item| {
                    let offset = item.get().as_ptr() as usize - text.as_ptr() as usize;
                    Document { text: item.get(), line: lines.at(offset), form: Form::Json, list }
                }));
            }
            Ok(JsonHead { items: None, .. }) => {
                let end = values.byte_offset();
                let value = text[start..end].trim_start();
                let offset = end - value.len();
                documents.push(Document { text: value, line: lines.at(offset), form: Form::Json, list: None });
            }
            Err(error) => {
                // The text of serde_json ends in its own line and column.
                let full = error.to_string();
                let message = full.rsplit_once(" at line ").map_or(full.as_str(), |(message, _)| message);
                let message = match text[start..].trim_start().starts_with('[') {
                    true => "a JSON array; objects are expected, one after the other or in a List".to_string(),
                    false => format!("not JSON: {message}"),
                };
                unreadable.push(Unreadable { line: error.line() as u32, message });
                break;
            }
        }
        start = values.byte_offset();
    }
    Split { documents, unreadable, taken }
}

/// Turns ascending byte offsets into line numbers.
struct Lines<'a> {
    text: &'a str,
    offset: usize,
    line: u32,
}

impl Lines<'_> {
    fn at(&mut self, offset: usize) -> u32 {
        self.line += self.text.as_bytes()[self.offset..offset].iter().filter(|byte| **byte == b'\n').count() as u32;
        self.offset = offset;
        self.line
    }
}

fn split_yaml(text: &str) -> Split<'_> {
    let mut split = Split::default();
    let (mut start, mut first_line) = (0, 1);
    let (mut offset, mut line) = (0, 0);
    for content in text.split_inclusive('\n') {
        line += 1;
        // YAML 1.2 §9.1.2: `---` and `...` in the first column mark documents even inside scalars.
        let marker = ["---", "..."].into_iter().find(|marker| {
            content
                .strip_prefix(marker)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
        });
        if let Some(marker) = marker {
            push_yaml(&mut split, &text[start..offset], first_line);
            start = offset + marker.len();
            first_line = line;
        }
        offset += content.len();
    }
    push_yaml(&mut split, &text[start..], first_line);
    split
}

fn push_yaml<'a>(split: &mut Split<'a>, text: &'a str, line: u32) {
    let blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with(['#', '%']);
    if text.lines().all(blank) {
        return;
    }
    match list_items(text, line) {
        Some(items) => {
            split.documents.extend(items);
            split.taken = split.taken.take().or_else(|| taken(text));
        }
        None => split.documents.push(Document { text, line, form: Form::Yaml, list: None }),
    }
}

/// [`TAKEN`] in the head of a List in block style, before its items.
fn taken(text: &str) -> Option<String> {
    let head = text.lines().take_while(|line| line.trim_end() != "items:");
    let value = head.filter_map(|line| line.trim().strip_prefix(TAKEN)?.strip_prefix(':')).next()?;
    Some(value.trim().trim_matches(['"', '\'']).to_string())
}

/// The items of a `kind: List` in block style, as kubectl prints it. `None` where the document is no such List; one in
/// another style is read whole.
fn list_items(text: &str, first_line: u32) -> Option<Vec<Document<'_>>> {
    let is_list = |line: &str| {
        line.strip_prefix("kind:").is_some_and(|kind| kind.trim().trim_matches(['"', '\'']).ends_with("List"))
    };
    if !text.lines().any(is_list) || has_anchors(text) {
        return None;
    }
    let written = |key: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(key))?;
        Some(value.trim().trim_matches(['"', '\'']))
    };
    let list = TypedList::new(written("kind:")?, written("apiVersion:").unwrap_or_default());
    let mut items = Vec::new();
    let mut open: Option<(usize, u32)> = None;
    let mut indent = None;
    let mut inside = false;
    let mut offset = 0;
    for (number, content) in text.split_inclusive('\n').enumerate() {
        let line = first_line + number as u32;
        let trimmed = content.trim_start_matches(' ');
        let column = content.len() - trimmed.len();
        let blank = trimmed.trim_end().is_empty() || trimmed.starts_with('#');
        if !inside {
            inside = content.trim_end() == "items:";
        } else if !blank {
            let dash = trimmed == "-" || trimmed.starts_with("- ") || trimmed.starts_with("-\n");
            let expected = *indent.get_or_insert(column);
            if column <= expected {
                if let Some((start, line)) = open.take() {
                    items.push(Document { text: &text[start..offset], line, form: Form::YamlItem(expected), list });
                }
                if column == expected && dash {
                    open = Some((offset, line));
                } else {
                    inside = false;
                }
            }
        }
        offset += content.len();
    }
    if let (Some((start, line)), Some(indent)) = (open, indent) {
        items.push(Document { text: &text[start..], line, form: Form::YamlItem(indent), list });
    }
    (!items.is_empty()).then_some(items)
}

/// Whether aliases could reach from one item into another.
fn has_anchors(text: &str) -> bool {
    [": &", "- &"].iter().any(|mark| {
        text.match_indices(mark).any(|(at, _)| text[at + 3..].starts_with(|first: char| first.is_ascii_alphanumeric()))
    })
}

/// The `kind` of a document, where it can be read off without parsing.
pub fn kind<'a>(document: &Document<'a>) -> Option<&'a str> {
    let indent = match document.form {
        Form::Json => return json_kind(document.text),
        Form::Yaml => 0,
        Form::YamlItem(indent) => indent + 2,
    };
    document.text.lines().find_map(|line| {
        let body = line.get(indent..)?;
        let before = &line[..indent];
        if before.bytes().any(|byte| byte != b' ' && byte != b'-') {
            return None;
        }
        let value = body.strip_prefix("kind:")?.trim();
        let value = value.split(" #").next().unwrap_or(value).trim().trim_matches(['"', '\'']);
        (!value.is_empty()).then_some(value)
    })
}

/// Reads a JSON object up to its `kind`, which kubectl prints second, and no further.
fn json_kind(text: &str) -> Option<&str> {
    struct UpToKind<'s, 'de>(&'s mut Option<&'de str>);

    impl<'de> Visitor<'de> for UpToKind<'_, 'de> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
            while let Some(key) = access.next_key::<&str>()? {
                if key == "kind" {
                    *self.0 = Some(access.next_value()?);
                    break;
                }
                access.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }

    let mut kind = None;
    // Stopping in the middle of an object is an error to the reader; what it has read so far counts.
    let _ = serde_json::Deserializer::from_str(text).deserialize_map(UpToKind(&mut kind));
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<(&str, u32, Option<&str>)> {
        let Split { documents, unreadable, .. } = split(text);
        assert_eq!(unreadable, []);
        documents.iter().map(|document| (document.text, document.line, kind(document))).collect()
    }

    #[test]
    fn yaml_documents() {
        let text = "# a comment\n---\nkind: Pod\n---\n\n--- # next\nkind: \"Node\"\n...\n";
        assert_eq!(cut(text), [("\nkind: Pod\n", 2, Some("Pod")), (" # next\nkind: \"Node\"\n", 6, Some("Node"))]);
        assert_eq!(cut("kind: A\ndata: |\n  ---\n  x\n").len(), 1, "an indented marker is text");
    }

    #[test]
    fn yaml_lists() {
        for (list, what) in [
            ("apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\n- kind: Node\nkind: List\n", "dashes in column 0"),
            (
                "kind: PodList\nitems:\n  # odd\n  - apiVersion: v1\n    kind: Pod\n\n  - kind: Node\n",
                "indented dashes",
            ),
        ] {
            let kinds: Vec<_> = cut(list).into_iter().map(|(_, line, kind)| (line, kind)).collect();
            let first = list.lines().position(|line| line.contains("- api")).unwrap() as u32 + 1;
            let second = list.lines().position(|line| line.contains("- kind")).unwrap() as u32 + 1;
            assert_eq!(kinds, [(first, Some("Pod")), (second, Some("Node"))], "{what}");
        }
        assert_eq!(cut("kind: List\nitems: []\n").len(), 1);
        assert_eq!(cut("kind: List\nitems:\n- &a\n  kind: Pod\n- *a\n").len(), 1, "aliases need the whole document");
    }

    #[test]
    fn json_values() {
        let text = "{\"kind\": \"List\",\n \"items\": [\n  {\"kind\": \"Pod\"},\n  {\"kind\": \"Node\"}]}\n{\"kind\": \"Pod\"}";
        let found: Vec<_> = cut(text).into_iter().map(|(_, line, kind)| (line, kind)).collect();
        assert_eq!(found, [(3, Some("Pod")), (4, Some("Node")), (5, Some("Pod"))]);
        assert_eq!(cut("{\"spec\": {\"kind\": \"x\"}, \"kind\": \"Pod\"}")[0].2, Some("Pod"), "its own kind");
        assert_eq!(split("{kind: Pod}").documents[0].form, Form::Yaml, "a flow mapping");
        assert!(split("[{\"kind\": \"Pod\"}]").unreadable[0].message.starts_with("a JSON array"));
        let Split { documents, unreadable, .. } = split("{\"kind\": \"Pod\"}\n{\"kind\": oops}");
        assert_eq!((documents.len(), unreadable.len(), unreadable[0].line), (1, 1, 2));
    }

    #[test]
    fn the_time_of_a_dump() {
        let time = "2026-11-21T08:00:00Z";
        let json = format!(
            "{{\"kind\": \"List\", \"metadata\": {{\"annotations\": {{\"{TAKEN}\": \"{time}\"}}}}, \"items\": []}}"
        );
        let head = format!("apiVersion: v1\nkind: List\nmetadata:\n  annotations:\n    {TAKEN}: \"{time}\"\n");
        let inside = format!("items:\n- kind: Pod\n  metadata:\n    annotations:\n      {TAKEN}: {time}\nkind: List\n");
        for (text, expected, shows) in [
            (json.as_str(), Some(time), "JSON"),
            (&format!("{head}items:\n- kind: Pod\n"), Some(time), "YAML"),
            (&inside, None, "an annotation of an item says nothing about the List"),
            ("kind: List\nitems:\n- kind: Pod\n", None, "what kubectl prints"),
        ] {
            assert_eq!(split(text).taken.as_deref(), expected, "{shows}");
        }
    }
}
