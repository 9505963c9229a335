//! A document as a tree that knows its lines, with scalars as kubectl reads them.
//!
//! kubectl turns YAML into JSON with a YAML 1.1 reader before anything looks at the object, so an unquoted `yes`, `0777`
//! or `~` never arrives as a string. The tree keeps that distinction: what kubectl would not see as a string is not a
//! [`Value::String`] here either. JSON is read by the same function, being YAML.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, NonFiniteFloatPolicy, Spanned};

use super::field::Unquoted;

/// Levels of nesting a document may have. Kubernetes objects stay below 20, CRD schemas below 100.
const NESTING: usize = 128;

/// Longest key, in characters, that JSON text may have; YAML itself stops at 1024.
const LONGEST_KEY: usize = 65_536;

/// Events that aliases may stand for in one document, which is what bounds a document that is mostly aliases.
const ALIASED: usize = 1_000_000;

/// A value and the line it starts at.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// 1-based line; that of its key for a value that is not written (`spec:`).
    pub line: u32,
    /// The value.
    pub value: Value,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, `~`, or nothing at all.
    Null,
    /// `true`, and unquoted `y`, `yes`, `on` and their opposites.
    Bool(bool),
    /// A whole number in any of YAML's notations.
    Integer(i128),
    /// Any other number.
    Float(f64),
    /// Text.
    String(String),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys in the order written, each once.
    Mapping(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// 1-based line.
    pub line: u32,
    /// The key as JSON would have it: an unquoted `yes` is `true`.
    pub text: String,
}

impl Value {
    /// JSON's word for the kind of value, as Go's decoder says it.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Integer(_) | Value::Float(_) => "number",
            Value::String(_) => "string",
            Value::Sequence(_) => "array",
            Value::Mapping(_) => "object",
        }
    }
}

impl Node {
    /// The value of a mapping's key; `None` for an absent key, a null value, or where this is no mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let Value::Mapping(entries) = &self.value else {
            return None;
        };
        let (_, node) = entries.iter().find(|(name, _)| name.text == key)?;
        (node.value != Value::Null).then_some(node)
    }

    /// The text, where it is text.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The same as JSON, without places.
    pub fn to_value(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Integer(value) => i64::try_from(*value).map_or_else(|_| (*value as f64).into(), Into::into),
            Value::Float(value) => (*value).into(),
            Value::String(text) => text.clone().into(),
            Value::Sequence(items) => items.iter().map(Node::to_value).collect(),
            Value::Mapping(entries) => {
                entries.iter().map(|(key, value)| (key.text.clone(), value.to_value())).collect()
            }
        }
    }

    /// The items, where it is a list.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }
}

/// Why a document is not YAML, or is more than is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NodeError {
    /// 1-based line.
    pub line: u32,
    /// One line, without file or line number.
    pub message: String,
}

/// Reads one document. `first_line` is the line number of the first line of `text`. A text without any value, as
/// between two `---`, is [`Value::Null`].
///
/// # Errors
/// Malformed YAML, a key given twice, several documents, unknown anchors, and documents nested deeper than 128 levels
/// or expanding to millions of nodes by aliases.
pub fn parse(text: &str, first_line: u32) -> Result<Node, NodeError> {
    match serde_saphyr::from_str_with_options::<Scanned>(text, options()) {
        Ok(Scanned(root)) => Ok(Builder { text, first_line }.node(root)),
        Err(error) => Err(explain(&error, first_line)),
    }
}

/// Reads one document straight into a type, without a tree: four times faster, for objects whose places do not matter.
/// A plain scalar that YAML 1.1 takes for a bool or a number is refused where text is wanted, as kubectl refuses it.
///
/// # Errors
/// As [`parse`], and values that do not fit the type.
pub fn read<T: serde::de::DeserializeOwned>(text: &str, first_line: u32) -> Result<T, NodeError> {
    let mut options = options();
    options.no_schema = true;
    serde_saphyr::from_str_with_options(text, options).map_err(|error| explain(&error, first_line))
}

fn options() -> serde_saphyr::Options {
    let alias_limits = {
        let mut limits = serde_saphyr::options::AliasLimits::default();
        limits.max_total_replayed_events = ALIASED;
        limits
    };
    serde_saphyr::options! {
        with_snippet: false,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        alias_limits: alias_limits,
        // The input's own length bounds what it holds; only nesting and aliases cost more than they show.
        budget: serde_saphyr::budget! {
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
            max_total_comment_bytes: usize::MAX,
            max_depth: NESTING,
            flow_nesting_limit: NESTING,
            simple_key_max_lookahead: LONGEST_KEY,
        },
    }
}

/// The reader's error in the words of somebody who has the file open.
fn explain(error: &serde_saphyr::Error, first_line: u32) -> NodeError {
    let line = error.location().map_or(first_line, |location| shift(location, first_line));
    let message = match error.without_snippet() {
        serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => format!("key {key:?} already set in map"),
        serde_saphyr::Error::DuplicateMappingKey { .. } => "key already set in map".to_string(),
        serde_saphyr::Error::MultipleDocuments { .. } => "a second document begins here".to_string(),
        serde_saphyr::Error::Budget { .. } => format!("nested deeper than {NESTING} levels, or too many aliases"),
        other => {
            let text = other.to_string();
            let text = text.split(" at line ").next().unwrap_or(&text);
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        }
    };
    NodeError { line, message }
}

fn shift(location: Location, first_line: u32) -> u32 {
    let below = u32::try_from(location.line().saturating_sub(1)).unwrap_or(u32::MAX);
    first_line.saturating_add(below)
}

/// What the reader makes of a document, before scalars are read again as kubectl reads them.
struct Scanned(Spanned<Raw>);

enum Raw {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    String(String),
    Sequence(Vec<Scanned>),
    Mapping(Vec<(Spanned<String>, Scanned)>),
}

impl<'de> Deserialize<'de> for Scanned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scanned, D::Error> {
        Spanned::deserialize(deserializer).map(Scanned)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::String(value.to_string()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Mapping(entries))
    }
}

struct Builder<'t> {
    text: &'t str,
    first_line: u32,
}

impl Builder<'_> {
    fn node(&self, Spanned { value, defined, .. }: Spanned<Raw>) -> Node {
        let value = match value {
            Raw::Null => Value::Null,
            // The reader makes a scalar something else than text only if it is plain or carries a tag such as !!int;
            // with a tag, even a quoted one, whose source is not in YAML 1.1's tables, its reading stands.
            Raw::Bool(value) => self.plain(defined).unwrap_or(Value::Bool(value)),
            Raw::Integer(value) => self.plain(defined).unwrap_or(Value::Integer(value)),
            Raw::Float(value) => self.plain(defined).unwrap_or(Value::Float(value)),
            Raw::String(text) => match resolve(&text) {
                Some(value) if self.is_plain(&text, defined) => value,
                _ => Value::String(text),
            },
            Raw::Sequence(items) => Value::Sequence(items.into_iter().map(|Scanned(item)| self.node(item)).collect()),
            Raw::Mapping(entries) => Value::Mapping(entries.into_iter().map(|entry| self.entry(entry)).collect()),
        };
        Node { line: shift(defined, self.first_line), value }
    }

    fn entry(&self, (key, Scanned(value)): (Spanned<String>, Scanned)) -> (Key, Node) {
        let line = shift(key.defined, self.first_line);
        let resolved = resolve(&key.value).filter(|_| self.is_plain(&key.value, key.defined));
        let text = match resolved {
            Some(Value::Bool(value)) => value.to_string(),
            Some(Value::Integer(value)) => value.to_string(),
            _ => key.value,
        };
        let mut node = self.node(value);
        if node.value == Value::Null {
            node.line = line;
        }
        (Key { line, text }, node)
    }

    /// A scalar that the reader takes for a bool or a number, read by YAML 1.1's rules: `yEs` is text there.
    fn plain(&self, location: Location) -> Option<Value> {
        let source = self.source(location)?;
        match resolve(source) {
            Some(value) => Some(value),
            None if self.is_plain(source, location) => Some(Value::String(source.to_string())),
            None => None,
        }
    }

    fn source(&self, location: Location) -> Option<&str> {
        let span = location.span();
        let start = usize::try_from(span.byte_offset()?).ok()?;
        let length = usize::try_from(span.byte_len()?).ok()?;
        self.text.get(start..start.checked_add(length)?)
    }

    /// Whether `value` is written without quotes, tag or block header.
    fn is_plain(&self, value: &str, location: Location) -> bool {
        if self.source(location) != Some(value) {
            return false;
        }
        // The span leaves out what stands before a scalar: a tag on its line, the `|` or `>` of a block above it.
        let start = location.span().byte_offset().and_then(|offset| usize::try_from(offset).ok()).unwrap_or(0);
        let before = self.text[..start].trim_end();
        let word = before.rsplit(char::is_whitespace).next().unwrap_or(before);
        !word.starts_with(['!', '|', '>'])
    }
}

/// What is written in a line of a document and is no text to YAML 1.1: the one word of this kind; `None` where there are
/// more, or none.
pub(super) fn written(line: &str, unquoted: Unquoted) -> Option<&str> {
    let fits = |word: &&str| match resolve(word) {
        Some(Value::Bool(_)) => unquoted == Unquoted::Bool,
        Some(Value::Integer(_) | Value::Float(_)) => unquoted == Unquoted::Number,
        _ => false,
    };
    let line = line.split(" #").next().unwrap_or(line);
    let words = line.split(|c: char| c.is_whitespace() || ",{}[]".contains(c));
    let mut words = words.map(|word| word.trim_end_matches(':')).filter(fits);
    words.next().filter(|_| words.next().is_none())
}

/// Reads a plain scalar as the YAML 1.1 reader of kubectl does (sigs.k8s.io/yaml, `goyaml.v2/resolve.go`); `None` where
/// that leaves text. Dates stay text there too.
fn resolve(plain: &str) -> Option<Value> {
    match plain {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Some(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Some(Value::Bool(false));
        }
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        ".nan" | ".NaN" | ".NAN" => return Some(Value::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(Value::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => return Some(Value::Float(f64::NEG_INFINITY)),
        _ => {}
    }
    let first = plain.chars().next()?;
    if first == '.' {
        return float(plain);
    }
    if !first.is_ascii_digit() && !matches!(first, '+' | '-') {
        return None;
    }
    let digits = plain.replace('_', "");
    integer(&digits).or_else(|| float(&digits))
}

/// Go's `strconv.ParseInt` with base 0, and beyond 64 bits what its big numbers read.
fn integer(text: &str) -> Option<Value> {
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = magnitude.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    Some(Value::Integer(if negative { -value } else { value }))
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn float(text: &str) -> Option<Value> {
    let allowed = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    if !text.chars().all(allowed) || !text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().map(Value::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        parse(&format!("key: {text}\n"), 1).unwrap().get("key").map_or(Value::Null, |node| node.value.clone())
    }

    #[test]
    fn scalars_are_what_kubectl_makes_of_them() {
        use Value::{Bool, Float, Integer, Null};
        let text = |text: &str| Value::String(text.to_string());
        for (written, expected, shows) in [
            ("y", Bool(true), "YAML 1.1 bool"),
            ("NO", Bool(false), "in capitals"),
            ("On", Bool(true), "capitalised"),
            ("yEs", text("yEs"), "but not in any case"),
            ("off", Bool(false), "off"),
            ("\"yes\"", text("yes"), "double quotes make text"),
            ("'n'", text("n"), "single quotes make text"),
            ("!!str yes", text("yes"), "a tag makes text"),
            ("! 5", text("5"), "so does the bare tag"),
            ("&anchor no", Bool(false), "an anchor does not"),
            ("|-\n  +0x1f", text("+0x1f"), "a block makes text"),
            (">- # why\n  yes", text("yes"), "also a folded one with a comment"),
            ("~", Null, "null"),
            ("NULL", Null, "null in capitals"),
            ("", Null, "nothing"),
            ("\"\"", text(""), "empty text is not null"),
            ("80", Integer(80), "decimal"),
            ("1_000", Integer(1000), "underscores"),
            ("0777", Integer(511), "octal of YAML 1.1"),
            ("0o17", Integer(15), "octal of YAML 1.2"),
            ("080", Float(80.0), "no octal, so a float"),
            ("0x1f", Integer(31), "hexadecimal"),
            ("-0x1F", Integer(-31), "negative hexadecimal, which YAML 1.2 leaves text"),
            ("0b101", Integer(5), "binary"),
            ("+12", Integer(12), "sign"),
            ("99999999999999999999", Integer(99_999_999_999_999_999_999), "beyond 64 bits"),
            ("1e3", Float(1000.0), "exponent"),
            ("1.5", Float(1.5), "fraction"),
            (".5", Float(0.5), "no leading digit"),
            (".inf", Float(f64::INFINITY), "infinity"),
            ("1.2.3", text("1.2.3"), "a version is text"),
            ("10.0.0.0/8", text("10.0.0.0/8"), "so is a CIDR"),
            ("2026-11-01", text("2026-11-01"), "and a date"),
            ("2026-11-01T00:00:00Z", text("2026-11-01T00:00:00Z"), "and a time"),
            ("-", Value::Sequence(vec![Node { line: 1, value: Null }]), "an empty item is null"),
            ("x", text("x"), "text"),
            ("\"\\ud83d\\ude00\"", text("\u{1f600}"), "JSON's surrogate pairs"),
        ] {
            if written == "-" {
                assert_eq!(parse("-\n", 1).unwrap().value, expected, "{shows}");
            } else {
                assert_eq!(value(written), expected, "{written:?}: {shows}");
            }
        }
    }

    #[test]
    fn words_that_are_no_text_are_found_in_their_line() {
        for (line, unquoted, expected) in [
            ("      canary: yes", Unquoted::Bool, Some("yes")),
            ("      version: 1.10 # not 1.1", Unquoted::Number, Some("1.10")),
            ("  matchLabels: {tier: y, app: web}", Unquoted::Bool, Some("y")),
            ("  matchLabels: {a: on, b: off}", Unquoted::Bool, None),
            ("      canary: \"yes\"", Unquoted::Bool, None),
            ("  on: 1", Unquoted::Bool, Some("on")),
            ("", Unquoted::Number, None),
        ] {
            assert_eq!(written(line, unquoted), expected, "{line}");
        }
    }

    #[test]
    fn lines_count_from_the_given_one() {
        let root = parse("# head\nspec:\n  rules:\n  - a: 1\n    b:\n  - c\n", 10).unwrap();
        let spec = root.get("spec").unwrap();
        let rules = spec.get("rules").unwrap().items().unwrap();
        let Value::Mapping(entries) = &rules[0].value else { panic!("{rules:?}") };
        assert_eq!((root.line, rules[0].line, rules[1].line), (11, 13, 15));
        assert_eq!((entries[1].0.line, entries[1].1.line), (14, 14), "an unwritten value has its key's line");
    }

    #[test]
    fn keys_are_text() {
        let root = parse("yes: 1\n80: 2\n\"on\": 3\n", 1).unwrap();
        let Value::Mapping(entries) = root.value else { panic!("not a mapping") };
        assert_eq!(entries.iter().map(|(key, _)| key.text.as_str()).collect::<Vec<_>>(), ["true", "80", "on"]);
    }

    #[test]
    fn aliases_and_merge_keys_are_expanded() {
        let root = parse("base: &b {x: 1, v: no}\nz:\n  <<: *b\n  x: 3\n", 1).unwrap();
        let z = root.get("z").unwrap();
        assert_eq!(z.get("x").unwrap().value, Value::Integer(3));
        assert_eq!(z.get("v").unwrap().value, Value::Bool(false));
    }

    #[test]
    fn refuses() {
        let deep = "[".repeat(5000) + &"]".repeat(5000);
        let blocks = (0..400).fold(String::new(), |text, depth| text + &" ".repeat(depth) + "a:\n");
        let bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_string()
            + &('b'..'k').fold(String::new(), |text, name| {
                let before = char::from(u8::try_from(name).unwrap() - 1);
                text + &format!("{name}: &{name} [{}]\n", vec![format!("*{before}"); 10].join(", "))
            });
        for (text, line, words) in [
            ("a: 1\nb: 2\na: 3\n", 9, "key \"a\" already set in map"),
            ("{\"a\": 1,\n\"a\": 2}", 8, "key \"a\" already set in map"),
            ("a: b: c\n", 7, "mapping values are not allowed in this context"),
            ("a: *nope\n", 7, "alias references unknown anchor"),
            ("a: 1\n---\nb: 2\n", 9, "a second document begins here"),
            (&deep, 7, "recursion limit exceeded"),
            (&blocks, 7 + 128, "nested deeper than 128 levels, or too many aliases"),
        ] {
            let error = parse(text, 7).unwrap_err();
            assert_eq!((error.line, error.message.as_str()), (line, words), "{}", &text[..text.len().min(40)]);
        }
        let error = parse(&bomb, 1).unwrap_err();
        assert!(!error.message.contains('\n'), "{error}");
    }

    #[test]
    fn large_documents_are_read() {
        let items = vec!["{\"metadata\": {\"name\": \"x\"}}"; 100_000].join(",\n");
        let root = parse(&format!("{{\"items\": [\n{items}]}}"), 1).unwrap();
        let items = root.get("items").unwrap().items().unwrap();
        assert_eq!((items.len(), items[99_999].line), (100_000, 100_001));
        let text = "x".repeat(1 << 20);
        assert_eq!(parse(&format!("{{\"{text}\": 1}}"), 1).unwrap_err().line, 1, "a key has its limit");
        assert_eq!(parse(&format!("{{\"a\": \"{text}\"}}"), 1).unwrap().get("a").unwrap().text(), Some(text.as_str()));
    }
}
