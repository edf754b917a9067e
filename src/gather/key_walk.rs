//! Key walk: every key of ours in an object, wherever it stands.
//!
//! Takes a node, and returns the keys that say a level or categories with the way to the map that holds each. What the API
//! server and kubectl keep of an object in itself (`managedFields`, the annotation of the last `kubectl apply`) says nothing.

use super::metadata::PREFIX;
use crate::manifest::node::{ManifestNode, MapEntry};
use rempart_core::keys;

/// The annotation in which `kubectl apply` keeps what was applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What a walk comes to.
pub(super) enum WalkedValue<'w, 'n, 't> {
    /// An entry of a map.
    Entry(&'n MapEntry<'t>),
    /// A text in a map or list, with its key or number at the end of its path.
    Text(&'w str, &'n ManifestNode<'t>),
}

/// Whether any key in `node` may be of ours: most objects have none, and need no walk that remembers the way.
pub(super) fn has_ours(node: &ManifestNode<'_>) -> bool {
    node.items().iter().any(has_ours)
        || node.entries().iter().any(|entry| entry.key.starts_with(PREFIX) || has_ours(&entry.value))
}

/// Calls `visit` for each entry of each map in `node` and for each text, with the way to the map or list that holds it.
pub(super) fn walk<'n, 't>(node: &'n ManifestNode<'t>, visit: &mut dyn FnMut(&str, WalkedValue<'_, 'n, 't>)) {
    descend(node, &mut String::new(), visit);
}

fn descend<'n, 't>(
    node: &'n ManifestNode<'t>,
    path: &mut String,
    visit: &mut dyn FnMut(&str, WalkedValue<'_, 'n, 't>),
) {
    let length = path.len();
    for (i, item) in node.items().iter().enumerate() {
        path.extend(["[", &i.to_string(), "]"]);
        below(item, path, visit);
        path.truncate(length);
    }
    for entry in node.entries() {
        if entry.key == LAST_APPLIED || (entry.key == "managedFields" && path == "metadata") {
            continue;
        }
        visit(path, WalkedValue::Entry(entry));
        if length > 0 {
            path.push('.');
        }
        path.push_str(&entry.key);
        below(&entry.value, path, visit);
        path.truncate(length);
    }
}

fn below<'n, 't>(node: &'n ManifestNode<'t>, path: &mut String, visit: &mut dyn FnMut(&str, WalkedValue<'_, 'n, 't>)) {
    if node.entries().is_empty() && node.items().is_empty() {
        visit(path, WalkedValue::Text(path, node));
    } else {
        descend(node, path, visit);
    }
}

/// The key of ours that `key` is, if it says a level or categories.
pub(super) fn sensitive(key: &str) -> Option<&'static str> {
    [keys::SENSITIVITY, keys::CATEGORIES].into_iter().find(|known| *known == key)
}

/// What `node` says by keys of ours: the way to each with what it says there, in the order of the file.
pub(super) fn said_within(node: &ManifestNode<'_>) -> Vec<(String, &'static str, String)> {
    let mut found = Vec::new();
    walk(node, &mut |path, value| {
        if let WalkedValue::Entry(entry) = value
            && let Some(key) = sensitive(&entry.key)
        {
            let said = entry.value.text().map_or_else(|_| entry.value.describe(), str::to_owned);
            found.push((path.to_owned(), key, said));
        }
    });
    found
}

/// What a text says by keys of ours within it, as the values of a chart or a patch do: each key with its value, which is
/// empty where the text does not go on as `KEY: VALUE`.
///
/// Keys may be escaped there, as `rempart\.dev/sensitivity` for `helm --set` and `rempart.dev~1sensitivity` in a JSON patch.
/// A text that only mentions a key, as `metadata.annotations['rempart.dev/sensitivity']`, says nothing.
pub(super) fn said_in(text: &str) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    if !text.contains("rempart") {
        return found;
    }
    let plain = text.replace('\\', "").replace("~1", "/");
    if !plain.contains(PREFIX) {
        return found;
    }
    for key in [keys::SENSITIVITY, keys::CATEGORIES] {
        for (at, _) in plain.match_indices(key) {
            let after = plain.get(at.saturating_add(key.len())..).unwrap_or_default();
            let after = after.strip_prefix(['"', '\'']).unwrap_or(after);
            let is_pointer = plain.get(..at).is_some_and(|before| before.ends_with('/'));
            if let Some(value) = after.trim_start_matches([' ', '\t']).strip_prefix([':', '=']) {
                let value = value.trim_start_matches([' ', '\t', '"', '\'']);
                let end = value.find(['"', '\'', ',', '}', '#', '\n', '\r']).unwrap_or(value.len());
                found.push((key, value.get(..end).unwrap_or_default().trim().to_owned()));
            } else if is_pointer || after.trim().is_empty() {
                found.push((key, String::new()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_say_levels_as_values_and_patches_do() {
        let said = |text: &str| said_in(text).into_iter().map(|(_, value)| value).collect::<Vec<_>>();
        for (text, expected) in [
            ("podAnnotations:\n  rempart.dev/sensitivity: restricted # as agreed\n", vec!["restricted"]),
            ("{\"rempart.dev/sensitivity\": \"open\", \"a\": 1}", vec!["open"]),
            ("podAnnotations.rempart\\.dev/sensitivity=high", vec!["high"]),
            ("podAnnotations.rempart\\.dev/sensitivity", vec![""]),
            ("- op: add\n  path: /metadata/annotations/rempart.dev~1sensitivity\n  value: high\n", vec![""]),
            ("rempart.dev/sensitivity: a\nrempart.dev/categories: 'b'\n", vec!["a", "b"]),
            ("metadata.annotations['rempart.dev/sensitivity']", vec![]),
            ("the annotation rempart.dev/sensitivity says it", vec![]),
            ("rempart.dev/workload-sensitivity: a", vec![]),
        ] {
            assert_eq!(said(text), expected, "{text}");
        }
    }
}
