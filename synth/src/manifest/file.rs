//! A file of a directory of manifests: its policies, and whether all of it was written by this program.
//!
//! Only policies are decoded; of everything else it is enough that it can be read as YAML.

use std::ops::Range;
use std::sync::Arc;

use super::document::{self, Document, Form};
use super::node::{Node, Value};
use super::{Problem, Source, foreign_group, networkpolicy};
use crate::policy::{Origin, Policy};
use crate::synthesize::is_managed;

/// A NetworkPolicy and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The policy, with its place.
    pub policy: Policy,
    /// Bytes of the file from its first line, comments before it included, to its end, without the `---` between
    /// documents. That of a List's item is empty.
    pub text: Range<usize>,
}

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    /// Its NetworkPolicies, in the order of the file.
    pub policies: Vec<Written>,
    /// Whether something else than YAML documents that are NetworkPolicies is in it: other objects, JSON, a List.
    pub has_other: bool,
    /// What cannot be read, or is a NetworkPolicy that the API server would refuse.
    pub problems: Vec<Problem>,
}

impl File {
    /// Reads a file; `name` is what places in it are called.
    pub fn read(name: &str, text: &str) -> File {
        let name: Arc<str> = Arc::from(name);
        let mut file = File::default();
        let split = document::split(text);
        for unreadable in split.unreadable {
            file.problem(&name, unreadable.line, unreadable.message);
        }
        for document in split.documents {
            file.document(&name, text, document);
        }
        file
    }

    /// Whether all of it was written by this program, as far as that shows: it holds policies, each of them has the label
    /// [`crate::synthesize::MANAGED_BY`], and there is nothing beside them.
    pub fn is_managed(&self) -> bool {
        !self.has_other && !self.policies.is_empty() && self.policies.iter().all(|written| is_managed(&written.policy))
    }

    /// Whether some of its policies are managed, and something else is not.
    pub fn is_mixed(&self) -> bool {
        !self.is_managed() && self.policies.iter().any(|written| is_managed(&written.policy))
    }

    fn problem(&mut self, name: &Arc<str>, line: u32, message: String) {
        let origin = Origin { file: name.clone(), line };
        self.problems.push(Problem { origin, message, object: None, unquoted: None });
    }

    fn document(&mut self, name: &Arc<str>, text: &str, document: Document<'_>) {
        let source = Source::Text(document);
        let tree = match source.tree() {
            Ok(tree) => tree,
            Err(refused) => return self.problem(name, refused.line, refused.message),
        };
        if document.form != Form::Yaml {
            self.has_other = true;
            return self.object(name, &tree, 0..0);
        }
        let start = document.text.as_ptr() as usize - text.as_ptr() as usize;
        let inside = document.text.trim_start_matches(['\r', '\n']);
        let end = start + document.text.len();
        self.object(name, &tree, end - inside.len()..end);
    }

    fn object(&mut self, name: &Arc<str>, tree: &Node, text: Range<usize>) {
        let kind = tree.get("kind").and_then(Node::text).unwrap_or_default();
        match kind {
            "NetworkPolicy" if foreign_group(tree).is_none() => match networkpolicy::decode(tree, name) {
                Ok(policy) => self.policies.push(Written { policy, text }),
                Err(invalid) => self.problems.extend(invalid.into_iter().map(|invalid| {
                    let origin = Origin { file: invalid.file.clone(), line: invalid.line };
                    let message = invalid.sentence();
                    Problem { origin, message, object: Some(invalid.object), unquoted: None }
                })),
            },
            list if list.ends_with("List") => {
                self.has_other = true;
                for item in tree.get("items").and_then(Node::items).unwrap_or_default() {
                    self.object(name, item, 0..0);
                }
            }
            // Comments alone are no object.
            _ => self.has_other |= tree.value != Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "# web, 2 pods
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: web
  namespace: shop
  labels:
    app.kubernetes.io/managed-by: ringfence
spec:
  podSelector: {}
";

    #[test]
    fn what_is_managed() {
        let theirs = OURS.replace("managed-by: ringfence", "managed-by: helm");
        let calico = OURS.replace("networking.k8s.io/v1", "projectcalico.org/v3");
        let item = |text: &str| text.replace('\n', "\n  ").replace("# web, 2 pods\n  api", "items:\n- api");
        let list = format!("kind: List\n{}", item(OURS).trim_end());
        for (what, text, managed, mixed, policies) in [
            ("what is written", OURS.to_string(), true, false, 1),
            ("after a marker", format!("---\n{OURS}"), true, false, 1),
            ("several", format!("{OURS}---\n{OURS}"), true, false, 2),
            ("comments beside it", format!("# ours\n---\n{OURS}---\n# that is all\n"), true, false, 1),
            ("of somebody else", theirs.clone(), false, false, 1),
            ("both", format!("{OURS}---\n{theirs}"), false, true, 2),
            ("another object beside it", format!("{OURS}---\nkind: ConfigMap\n"), false, true, 1),
            ("a policy of another API group", calico, false, false, 0),
            ("a List", list, false, true, 1),
            ("no object at all", "replicas: 3\n".to_string(), false, false, 0),
            ("nothing", String::new(), false, false, 0),
        ] {
            let file = File::read("a.yaml", &text);
            assert_eq!(file.problems, [], "{what}");
            let found = (file.is_managed(), file.is_mixed(), file.policies.len());
            assert_eq!(found, (managed, mixed, policies), "{what}: {text}");
        }
    }

    #[test]
    fn each_policy_has_its_text() {
        let second = OURS.replace("name: web", "name: api");
        for text in [format!("{OURS}---\n{second}"), format!("---\n{OURS}---\n\n{second}")] {
            let file = File::read("a.yaml", &text);
            let texts: Vec<&str> = file.policies.iter().map(|written| &text[written.text.clone()]).collect();
            assert_eq!(texts, [OURS, &second]);
        }
    }

    #[test]
    fn what_cannot_be_read_has_its_place() {
        for (text, line, words) in [
            (format!("{OURS}---\nkind: [\n"), 12, ""),
            (OURS.replace("podSelector: {}", "podSelektor: {}"), 10, "podSelektor"),
            ("{{ if .Values.policies }}\nkind: NetworkPolicy\n".to_string(), 1, ""),
        ] {
            let problems = File::read("a.yaml", &text).problems;
            let found: Vec<(u32, bool)> =
                problems.iter().map(|problem| (problem.origin.line, problem.message.contains(words))).collect();
            assert_eq!(found, [(line, true)], "{problems:?}");
        }
    }
}
