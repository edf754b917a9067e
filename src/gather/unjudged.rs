//! Unjudged objects: what objects of other kinds say to Rempart, wherever they say it.
//!
//! Takes an object whose pods are not judged here, and returns every key of ours in it. Its levels and categories can be
//! checked all the same, and that it is not judged is never passed over in silence.

use std::sync::Arc;

use super::metadata::{self, UnplacedDiagnostic};
use crate::{
    diagnostic::{position::TextSpan, source::FileId},
    manifest::node::ManifestNode,
};
use rempart_core::{keys, name::quoted, sensitivity::SensitivityStatement};

/// An object that says a level or categories, and whose pods are not judged.
#[derive(Clone, Debug)]
pub struct UnjudgedObject {
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub file: FileId,
    /// What it says, place by place; never empty.
    pub statements: Vec<UnjudgedStatement>,
}

/// A level or categories in an object that is not judged.
#[derive(Clone, Debug)]
pub struct UnjudgedStatement {
    /// The way to the map that says it.
    pub path: String,
    /// What it says.
    pub statement: SensitivityStatement,
    /// Where the keys and their values stand.
    pub spans: Vec<(&'static str, TextSpan, TextSpan)>,
}

impl std::fmt::Display for UnjudgedObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", quoted(&self.kind), self.namespace, quoted(&self.name))
    }
}

/// What `node` says anywhere, and keys like ours that nobody reads.
pub(super) fn statements(node: &ManifestNode<'_>, faults: &mut Vec<UnplacedDiagnostic>) -> Vec<UnjudgedStatement> {
    let mut found = Vec::new();
    walk(node, &mut String::new(), &mut found, faults);
    found
}

fn walk(
    node: &ManifestNode<'_>,
    path: &mut String,
    found: &mut Vec<UnjudgedStatement>,
    faults: &mut Vec<UnplacedDiagnostic>,
) {
    let length = path.len();
    for (i, item) in node.items().iter().enumerate() {
        if !item.entries().is_empty() || !item.items().is_empty() {
            path.extend(["[", &i.to_string(), "]"]);
            walk(item, path, found, faults);
            path.truncate(length);
        }
    }
    let mut said =
        UnjudgedStatement { path: path.clone(), statement: SensitivityStatement::default(), spans: Vec::new() };
    for entry in node.entries() {
        let value = &entry.value;
        let field = match &*entry.key {
            keys::SENSITIVITY => Some((keys::SENSITIVITY, &mut said.statement.sensitivity)),
            keys::CATEGORIES => Some((keys::CATEGORIES, &mut said.statement.categories)),
            _ => None,
        };
        if let Some((key, field)) = field {
            if let Ok(text) = value.text() {
                *field = Some(text.into());
                said.spans.push((key, entry.key_span, value.span));
            }
        } else if entry.key.contains('/') {
            let text = metadata::LocatedText { said: "", span: value.span, key: entry.key_span };
            faults.extend(metadata::misspelt(&vec![(&entry.key, text)], "annotation"));
        } else if !value.entries().is_empty() || !value.items().is_empty() {
            if length > 0 {
                path.push('.');
            }
            path.push_str(&entry.key);
            walk(value, path, found, faults);
            path.truncate(length);
        }
    }
    if !said.statement.is_silent() {
        found.push(said);
    }
}
