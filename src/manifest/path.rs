//! Field paths in manifests: `spec.offers[0].zones[1].country`, or `metadata.annotations[rempart.dev/sensitivity]`
//! where a key has dots or slashes.
//!
//! Takes a path, and returns the deepest node on it that exists.

use super::node::ManifestNode;
use crate::diagnostic::position::TextSpan;

/// How far a path leads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathMatch<'a, 't> {
    /// The deepest node on the way that exists.
    pub node: &'a ManifestNode<'t>,
    /// Where the key of that node stands, or of the list that it is an item of; `None` for the root. What is missing or
    /// unknown is best shown there.
    pub key: Option<TextSpan>,
    /// How much of the path leads to that node, in bytes.
    pub reached: usize,
    /// Whether that is all of it.
    pub whole: bool,
}

impl<'t> ManifestNode<'t> {
    /// Follows `path` from here as far as it leads. The empty path leads here.
    #[must_use]
    pub fn find(&self, path: &str) -> PathMatch<'_, 't> {
        let mut found = PathMatch { node: self, key: None, reached: 0, whole: path.is_empty() };
        let mut rest = path;
        while let Some((step, after)) = split(rest) {
            let next = match step {
                PathStep::Key(key) => found.node.entry(key).map(|entry| (&entry.value, Some(entry.key_span))),
                PathStep::Bracket(name) => match found.node.entry(name) {
                    Some(entry) => Some((&entry.value, Some(entry.key_span))),
                    None => {
                        name.parse().ok().and_then(|at: usize| found.node.items().get(at)).map(|at| (at, found.key))
                    }
                },
            };
            let Some((node, key)) = next else { break };
            rest = after;
            found = PathMatch { node, key, reached: path.len() - rest.len(), whole: rest.is_empty() };
        }
        found
    }
}

/// Adds the step to `key` to `path`.
pub(super) fn extend(path: &mut String, key: &str) {
    if key.contains(['.', '[', ']', '/']) {
        path.push('[');
        path.push_str(key);
        path.push(']');
    } else {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
    }
}

enum PathStep<'p> {
    Key(&'p str),
    /// An index of a list, or a key of a map.
    Bracket(&'p str),
}

/// The first step of `path`, and what follows it.
fn split(path: &str) -> Option<(PathStep<'_>, &str)> {
    if let Some(inside) = path.strip_prefix('[') {
        return inside.split_once(']').map(|(name, rest)| (PathStep::Bracket(name), rest));
    }
    let path = path.strip_prefix('.').unwrap_or(path);
    if path.is_empty() {
        return None;
    }
    let (key, rest) = path.split_at(path.find(['.', '[']).unwrap_or(path.len()));
    Some((PathStep::Key(key), rest))
}
