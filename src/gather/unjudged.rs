//! Unjudged objects: what objects of other kinds say to Rempart, wherever they say it.
//!
//! Takes an object whose pods are not judged here, and returns every key of ours in it, in its texts too. Its levels and
//! categories can be checked all the same, and that it is not judged is never passed over in silence.

use std::sync::Arc;

use super::{
    key_walk::{self, WalkedValue, walk},
    metadata::{self, UnplacedDiagnostic},
};
use crate::{
    diagnostic::{position::TextSpan, source::FileId},
    manifest::node::ManifestNode,
};
use rempart_core::{keys, name::quoted, sensitivity::SensitivityStatement};

/// An object that says a level or categories, or has pods, and of which no pod is judged.
#[derive(Clone, Debug)]
pub struct UnjudgedObject {
    /// Its kind; nothing of a document that is no object.
    pub kind: Option<String>,
    /// Its namespace; nothing of a document that is no object.
    pub namespace: Option<Arc<str>>,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub file: FileId,
    /// What it says, place by place.
    pub statements: Vec<UnjudgedStatement>,
}

/// A level or categories in an object that is not judged.
#[derive(Clone, Debug)]
pub struct UnjudgedStatement {
    /// The way to the map that says it, or to the text within which it is said.
    pub path: String,
    /// What it says.
    pub statement: SensitivityStatement,
    /// Where the keys and their values stand; empty where a text says it.
    pub spans: Vec<(&'static str, TextSpan, TextSpan)>,
    /// The key that a text says it by, and where the text stands.
    pub within: Option<(&'static str, TextSpan)>,
}

impl UnjudgedObject {
    /// Where it says something first, by which key, and the way to the text within which it does.
    #[must_use]
    pub fn first(&self) -> Option<(&'static str, TextSpan, Option<&str>)> {
        let by_key = |said: &'_ UnjudgedStatement| said.spans.first().map(|(key, span, _)| (*key, *span));
        let found = self.statements.iter().filter_map(|said| {
            let within = said.within.map(|(key, span)| (key, span, Some(said.path.as_str())));
            by_key(said).map(|(key, span)| (key, span, None)).or(within)
        });
        found.min_by_key(|(_, span, _)| *span)
    }
}

impl std::fmt::Display for UnjudgedObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.kind, &self.namespace) {
            (Some(kind), Some(namespace)) => write!(f, "{} {namespace}/{}", quoted(kind), quoted(&self.name)),
            (Some(kind), None) => write!(f, "{} {}", quoted(kind), quoted(&self.name)),
            (None, _) => f.write_str("a document that is no Kubernetes object"),
        }
    }
}

/// What `node` says anywhere, and keys like ours that nobody reads.
pub(super) fn statements(node: &ManifestNode<'_>, faults: &mut Vec<UnplacedDiagnostic>) -> Vec<UnjudgedStatement> {
    let mut found: Vec<UnjudgedStatement> = Vec::new();
    walk(node, &mut |path, value| match value {
        WalkedValue::Entry(entry) => {
            if let Some(key) = key_walk::sensitive(&entry.key) {
                let Ok(text) = entry.value.text() else { return };
                let new = found.last().is_none_or(|said| said.path != path || said.spans.is_empty());
                if new {
                    found.push(UnjudgedStatement::at(path));
                }
                if let Some(said) = found.last_mut() {
                    said.add(key, text);
                    said.spans.push((key, entry.key_span, entry.value.span));
                }
            } else if entry.key.contains('/') {
                let text = metadata::LocatedText { said: "", span: entry.value.span, key: entry.key_span };
                faults.extend(metadata::misspelt(&vec![(&entry.key, text)], "annotation"));
            }
        }
        WalkedValue::Text(path, node) => {
            for (key, text) in node.text().map(key_walk::said_in).unwrap_or_default() {
                let mut said = UnjudgedStatement::at(path);
                said.add(key, &text);
                said.within = Some((key, node.span));
                found.push(said);
            }
        }
    });
    found
}

impl UnjudgedStatement {
    fn at(path: &str) -> Self {
        Self { path: path.to_owned(), statement: SensitivityStatement::default(), spans: Vec::new(), within: None }
    }

    fn add(&mut self, key: &'static str, text: &str) {
        let SensitivityStatement { sensitivity, categories } = &mut self.statement;
        let field = if key == keys::SENSITIVITY { sensitivity } else { categories };
        *field = Some(text.into());
    }
}
