//! Manifest nodes: a tree of what a manifest says, each part of it with the place where it says so.
//!
//! Nodes borrow the text that they were read from. Scalars keep their characters; what these mean is asked of
//! [`YamlScalar::meaning`], so that nothing is lost before somebody knows what a field is for.

use std::{borrow::Cow, ops::Deref};

use super::scalar::{ShortScalar, YamlScalar};
use crate::diagnostic::position::TextSpan;

/// An object of a manifest: its tree, and the keys that stand in it more than once.
#[derive(Clone, Debug, PartialEq)]
pub struct ManifestObject<'t> {
    /// What it says. Of a key that stands in it more than once, the last value, as kubectl sends it.
    pub node: ManifestNode<'t>,
    /// The keys that stand in it more than once, in the order of the file.
    pub repeated: Vec<RepeatedKey<'t>>,
}

impl<'t> From<ManifestNode<'t>> for ManifestObject<'t> {
    fn from(node: ManifestNode<'t>) -> Self {
        Self { node, repeated: Vec::new() }
    }
}

impl<'t> Deref for ManifestObject<'t> {
    type Target = ManifestNode<'t>;

    fn deref(&self) -> &Self::Target {
        &self.node
    }
}

/// A key that stands in a map once more.
#[derive(Clone, Debug, PartialEq)]
pub struct RepeatedKey<'t> {
    /// The way to it within its object, as [`ManifestNode::find`] takes it.
    pub path: String,
    /// The key itself.
    pub key: String,
    /// Where it stood before.
    pub first: TextSpan,
    /// Where it stands again.
    pub again: TextSpan,
    /// Whether its value is another one there.
    pub differs: bool,
    /// Its value before, which counts no more.
    pub dropped: ManifestNode<'t>,
}

/// A value, with the place where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ManifestNode<'t> {
    /// Where it stands. Of a value that an alias or a merge key repeats: where the original stands.
    pub span: TextSpan,
    /// What it is.
    pub content: NodeContent<'t>,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeContent<'t> {
    /// A text, number, boolean or nothing.
    Scalar(YamlScalar<'t>),
    /// Values in order.
    List(Vec<ManifestNode<'t>>),
    /// Values by key, in the order of the file. No key occurs twice: the last of them counts.
    Map(Vec<MapEntry<'t>>),
}

/// One key of a map, with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct MapEntry<'t> {
    /// The key, as kubectl would send it: an unquoted `on` is `true`.
    pub key: Cow<'t, str>,
    /// Where the key stands.
    pub key_span: TextSpan,
    /// The value.
    pub value: ManifestNode<'t>,
}

impl<'t> ManifestNode<'t> {
    /// The value of `key`; `None` also when this is no map.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&ManifestNode<'t>> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of `key`; `None` also when this is no map.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&MapEntry<'t>> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The values of a list; none when this is no list.
    #[must_use]
    pub fn items(&self) -> &[ManifestNode<'t>] {
        match &self.content {
            NodeContent::List(items) => items,
            _ => &[],
        }
    }

    /// The entries of a map; none when this is no map.
    #[must_use]
    pub fn entries(&self) -> &[MapEntry<'t>] {
        match &self.content {
            NodeContent::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Whether `other` says the same, wherever it stands.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        match (&self.content, &other.content) {
            (NodeContent::Scalar(one), NodeContent::Scalar(other)) => one.meaning() == other.meaning(),
            (NodeContent::List(one), NodeContent::List(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.says_the_same(other))
            }
            (NodeContent::Map(one), NodeContent::Map(theirs)) => {
                let same =
                    |entry: &MapEntry<'t>| other.get(&entry.key).is_some_and(|value| entry.value.says_the_same(value));
                one.len() == theirs.len() && one.iter().all(same)
            }
            _ => false,
        }
    }

    /// Whether this is `null`, `~` or nothing at all.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.content, NodeContent::Scalar(scalar) if scalar.is_null())
    }

    /// The string that this is.
    ///
    /// # Errors
    /// What it is instead. An unquoted `true`, `no`, `y`, `~` or `8080` is no string to kubectl, whatever the writer
    /// thought.
    pub fn text(&self) -> Result<&str, TypeMismatch> {
        let mistyped = |hint| TypeMismatch { span: self.span, found: self.describe(), hint };
        match &self.content {
            NodeContent::Scalar(scalar) => scalar.as_text().ok_or_else(|| {
                let written = scalar.text.as_ref();
                mistyped(if written.is_empty() {
                    None
                } else {
                    Some(format!("put it in quotes: \"{}\"", ShortScalar(written)))
                })
            }),
            NodeContent::List(_) | NodeContent::Map(_) => Err(mistyped(None)),
        }
    }

    /// What this is, for a sentence: `a map`, `the number 3`, `the boolean false (written NO)`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.content {
            NodeContent::Scalar(scalar) => scalar.describe(),
            NodeContent::List(_) => "a list".to_owned(),
            NodeContent::Map(_) => "a map".to_owned(),
        }
    }
}

/// A value that is not of the type that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a string, found {found}")]
pub struct TypeMismatch {
    /// Where it stands.
    pub span: TextSpan,
    /// What it is, as [`ManifestNode::describe`] says.
    pub found: String,
    /// What to write instead, if that can be guessed.
    pub hint: Option<String>,
}
