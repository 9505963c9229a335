//! Label maps and label selectors (`meta/v1 LabelSelector`).

use super::field::{Field, Problems};
use super::validation::{label_key, label_value};
use crate::label::{Labels, Requirement, Selector};

/// `metadata.labels` and `matchLabels`. Problems with keys and values stand under the map's own path, as the API server
/// reports them.
pub(super) fn labels(map: Field, problems: &mut Problems) -> Labels {
    let fields = map.entries(problems);
    let mut labels = Labels::new();
    for (key, field, value) in fields.strings(problems) {
        let at = Field { node: field.node, path: fields.at().path.clone() };
        problems.invalid(&at, &key.text, &label_key(&key.text));
        problems.invalid(&at, value, &label_value(value));
        labels.insert(key.text.clone(), value.to_string());
    }
    labels
}

/// A selector. `stored` tells of an object that a server holds already: values in its expressions may break the syntax
/// rules, as the API server lets stay what is stored (`AllowInvalidLabelValueInSelector`).
pub(super) fn selector(field: Field, stored: bool, problems: &mut Problems) -> Selector {
    let fields = field.fields(&["matchLabels", "matchExpressions"], problems);
    let mut selector = Selector::everything();
    if let Some(map) = fields.get("matchLabels") {
        // "A single {key,value} in the matchLabels map is equivalent to an element of matchExpressions, whose key field
        // is "key", the operator is "In", and the values array contains only "value". The requirements are ANDed."
        for (key, value) in labels(map, problems) {
            selector.insert(Requirement::equals(key, value));
        }
    }
    for expression in fields.list("matchExpressions", problems) {
        if let Some(requirement) = requirement(expression, stored, problems) {
            selector.insert(requirement);
        }
    }
    selector
}

fn requirement(field: Field, stored: bool, problems: &mut Problems) -> Option<Requirement> {
    let fields = field.fields(&["key", "operator", "values"], problems);
    let at = fields.at();
    let key = fields.string("key", problems).map(|(field, key)| {
        problems.invalid(&field, key, &label_key(key));
        key.to_string()
    });
    if fields.get("key").is_none() {
        for words in label_key("") {
            problems.absent(at, "key", &format!("Invalid value: \"\": {words}"));
        }
    }
    let values: Vec<_> = fields.list("values", problems);
    let given = values.len();
    let values = values.into_iter().filter_map(|item| {
        let value = item.string(problems)?;
        if !stored {
            problems.invalid(&item, value, &label_value(value));
        }
        Some(value.to_string())
    });
    let values = values.collect();
    let operator = fields.string("operator", problems);
    // Whatever is missing has been reported, and an object with a problem is never used.
    let key = key.unwrap_or_default();
    match operator.as_ref().map(|(_, name)| *name) {
        Some(name @ ("In" | "NotIn")) => {
            // "values is an array of string values. If the operator is In or NotIn, the values array must be non-empty."
            if given == 0 {
                let words = "Required value: must be specified when `operator` is 'In' or 'NotIn'";
                problems.absent(at, "values", words);
                return None;
            }
            Some(if name == "In" { Requirement::In { key, values } } else { Requirement::NotIn { key, values } })
        }
        Some(name @ ("Exists" | "DoesNotExist")) => {
            // "If the operator is Exists or DoesNotExist, the values array must be empty."
            if given > 0 {
                let words = "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                problems.absent(at, "values", words);
            }
            Some(if name == "Exists" { Requirement::Exists { key } } else { Requirement::Absent { key } })
        }
        other => {
            let words = format!("Invalid value: {:?}: not a valid selector operator", other.unwrap_or_default());
            match operator {
                Some((field, _)) => problems.at(&field, words),
                // A value that is no text has been reported as that.
                None if fields.get("operator").is_some() => {}
                None => problems.absent(at, "operator", &words),
            }
            None
        }
    }
}
