//! The rules that the schema of a CustomResourceDefinition states, in the API server's words (`kube-openapi`,
//! `validation/errors`, and `apiextensions-apiserver`, `apiserver/validation`).

use std::ops::RangeInclusive;

use super::field::{Field, Fields, Problems};
use super::node::Value;

/// `required`.
pub(super) fn required<'n>(fields: &Fields<'n>, name: &str, problems: &mut Problems) -> Option<Field<'n>> {
    let field = fields.get(name);
    if field.is_none() {
        problems.absent(fields.at(), name, "Required value");
    }
    field
}

/// The one of `names` that is set (`minProperties: 1`, `maxProperties: 1`) and its value.
pub(super) fn exactly_one<'n>(
    field: Field<'n>,
    names: &[&'static str],
    problems: &mut Problems,
) -> Option<(&'static str, Field<'n>)> {
    let fields = field.fields(names, problems);
    let mut set: Vec<_> = names.iter().filter_map(|name| Some((*name, fields.get(name)?))).collect();
    match set.len() {
        1 => set.pop(),
        0 => {
            // What has other fields, or is no object, has been reported as that.
            let Value::Mapping(entries) = &fields.at().node.value else { return None };
            if entries.iter().all(|(key, _)| names.contains(&key.text.as_str())) {
                let path = &fields.at().path;
                problems.invalid(fields.at(), 0, &[format!("{path} in body should have at least 1 properties")]);
            }
            None
        }
        count => {
            problems.at(fields.at(), format!("Too many: {count}: must have at most 1 items"));
            None
        }
    }
}

/// The items of a list of so many (`minItems`, `maxItems`).
pub(super) fn items<'n>(list: &Field<'n>, count: RangeInclusive<usize>, problems: &mut Problems) -> Vec<Field<'n>> {
    let items = list.items(problems);
    if let Some(given) = list.node.items().map(<[_]>::len) {
        if given < *count.start() {
            let words = format!("{} in body should have at least {} items", list.path, count.start());
            problems.invalid(list, given, &[words]);
        }
        if given > *count.end() {
            problems.at(list, format!("Too many: {given}: must have at most {} items", count.end()));
        }
    }
    items
}

/// A whole number of 32 bits in a range (`minimum`, `maximum`).
pub(super) fn integer(field: &Field, range: RangeInclusive<i32>, problems: &mut Problems) -> Option<i32> {
    let number = field.int32(problems)?;
    let path = &field.path;
    if number < *range.start() {
        let words = format!("{path} in body should be greater than or equal to {}", range.start());
        problems.invalid(field, number, &[words]);
        return None;
    }
    if number > *range.end() {
        let words = format!("{path} in body should be less than or equal to {}", range.end());
        problems.invalid(field, number, &[words]);
        return None;
    }
    Some(number)
}

/// One of a few words (`enum`) and what it stands for.
pub(super) fn choice<T: Copy>(field: &Field, supported: &[(&str, T)], problems: &mut Problems) -> Option<T> {
    let word = field.string(problems)?;
    let found = supported.iter().find(|(name, _)| *name == word).map(|(_, meaning)| *meaning);
    if found.is_none() {
        problems.unsupported(field, word, &supported.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }
    found
}
