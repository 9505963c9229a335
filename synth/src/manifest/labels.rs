//! Why labels of pods and workloads cannot be read: what kubectl, whose YAML is 1.1, does not take for text.
//!
//! Asked only about objects that were refused, so that reading dumps costs nothing more.

use std::sync::Arc;

use super::field::{Field, Invalid, Problems, Unquoted};
use super::node::{Node, Value};

/// Where objects that make pods have labels, and what selects by them.
const PLACES: [&[&str]; 6] = [
    &["metadata", "labels"],
    &["spec", "selector"],
    &["spec", "selector", "matchLabels"],
    &["spec", "template", "metadata", "labels"],
    &["spec", "jobTemplate", "metadata", "labels"],
    &["spec", "jobTemplate", "spec", "template", "metadata", "labels"],
];

/// Every label of an object that is a bool or a number without quotes, key or value.
pub(super) fn unquoted(tree: &Node, file: &Arc<str>) -> Vec<Invalid> {
    let text = |node: &Node, name: &str| node.get(name).and_then(Node::text).map(str::to_string);
    let metadata = tree.get("metadata");
    let name = metadata.and_then(|metadata| text(metadata, "name"));
    let (Some(kind), Some(name)) = (text(tree, "kind"), name) else { return Vec::new() };
    let object = match metadata.and_then(|metadata| text(metadata, "namespace")) {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None if kind == "Namespace" || kind == "Node" => format!("{kind} {name}"),
        None => format!("{kind} default/{name}"),
    };
    let mut problems = Problems::new(file, object);
    for place in PLACES {
        let node = place.iter().try_fold(tree, |node, name| node.get(name));
        let Some((node, Value::Mapping(entries))) = node.map(|node| (node, &node.value)) else { continue };
        // A controller's selector is not the map of labels that a Service's is.
        if entries.iter().any(|(key, _)| matches!(key.text.as_str(), "matchLabels" | "matchExpressions")) {
            continue;
        }
        let map = Field { node, path: place.join(".") };
        for (key, _) in entries {
            // Label keys are words; only as an unquoted bool does one become these.
            if matches!(key.text.as_str(), "true" | "false") {
                problems.unquoted_key(&map, key);
            }
        }
        map.entries(&mut problems).strings(&mut problems);
    }
    let mut found = problems.into_found();
    found.retain(|invalid| matches!(invalid.unquoted, Some(Unquoted::Bool | Unquoted::Number)));
    found.sort_by_key(|invalid| invalid.line);
    found
}

#[cfg(test)]
mod tests {
    use crate::manifest::{Objects, Unquoted};

    /// Line, object, and scalar as written.
    type Place = (u32, Option<String>, Option<(Unquoted, Option<String>)>);

    fn problems(file: &str, text: &str) -> Vec<Place> {
        let mut objects = Objects::default();
        objects.load(file, text);
        objects.problems.into_iter().map(|problem| (problem.origin.line, problem.object, problem.unquoted)).collect()
    }

    #[test]
    fn labels_that_are_no_text_are_named_wherever_they_stand() {
        let bool = |text: &str| Some((Unquoted::Bool, Some(text.to_string())));
        let number = |text: &str| Some((Unquoted::Number, Some(text.to_string())));
        for word in ["yes", "no", "on", "off", "y", "n", "Yes", "OFF", "true", "False"] {
            let deployment = format!(
                "kind: Deployment\nmetadata: {{name: api, namespace: shop}}\nspec:\n  template:\n    metadata:\n      \
                 labels:\n        canary: {word}\n"
            );
            let object = Some("Deployment shop/api".to_string());
            assert_eq!(problems("a.yaml", &deployment), [(7, object, bool(word))], "{word}");
            let pod = format!("kind: Pod\nmetadata:\n  name: api\n  labels:\n    canary: {word} # why not\n");
            assert_eq!(problems("a.yaml", &pod), [(5, Some("Pod default/api".to_string()), bool(word))], "{word}");
            let policy = format!(
                "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: api, namespace: shop}}\nspec:\n  \
                 podSelector:\n    matchLabels:\n      canary: {word}\n"
            );
            let object = Some("NetworkPolicy shop/api".to_string());
            assert_eq!(problems("a.yaml", &policy), [(7, object, bool(word))], "{word}");
        }
        let cron = "kind: CronJob\nmetadata: {name: b, namespace: x, labels: {v: 1.10}}\nspec:\n  jobTemplate:\n    spec:\n      \
                    template:\n        metadata:\n          labels:\n            on: 1\n";
        let object = || Some("CronJob x/b".to_string());
        let expected = [(2, object(), number("1.10")), (9, object(), bool("on")), (9, object(), number("1"))];
        assert_eq!(problems("a.yaml", cron), expected, "each is named");
        let list = "kind: List\nitems: [{kind: Namespace, metadata: {name: x, labels: {a: off}}}]\n";
        assert_eq!(problems("a.yaml", list), [(2, Some("Namespace x".to_string()), Some((Unquoted::Bool, None)))]);
        assert_eq!(problems("a.yaml", "kind: Pod\nmetadata: {name: [1]}\n")[0].1, None, "another reason");
    }
}
