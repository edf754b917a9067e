//! Unheard keys: keys of ours in objects that are judged, where nobody reads them.
//!
//! Takes an object with the ways to the maps that are heard in it, and returns a warning for each key of ours elsewhere,
//! with the place to write it. A level that nobody hears is worse than none: whoever wrote it believes that it holds.

use super::{
    key_walk::{WalkedValue, sensitive, walk},
    metadata::{KNOWN, PREFIX, UnplacedDiagnostic},
};
use crate::{diagnostic::suggest, manifest::node::ManifestNode};
use rempart_core::name::quoted;

/// Warnings of keys of ours in `node` outside of the maps `heard`, or of those of which other warnings tell. `remedy` says
/// where to write them.
pub(super) fn elsewhere(node: &ManifestNode<'_>, heard: &[String], remedy: &str) -> Vec<UnplacedDiagnostic> {
    let heard: Vec<String> = heard.iter().map(|path| plain(path)).collect();
    let mut found = Vec::new();
    walk(node, &mut |path, value| {
        let WalkedValue::Entry(entry) = value else { return };
        if !entry.key.starts_with(PREFIX) || heard.contains(&plain(path)) {
            return;
        }
        let key = quoted(&entry.key);
        let place = if path.is_empty() { "the top of the object".to_owned() } else { quoted(path) };
        let told = if sensitive(&entry.key).is_some() {
            let message = format!("{key} has no effect at {place}: nobody reads it there");
            UnplacedDiagnostic::warning("Unheard", message).hint(remedy)
        } else if KNOWN.contains(&&*entry.key) {
            return;
        } else {
            let message = format!("{key} has no effect at {place}: Rempart reads no such key");
            let meant = suggest::nearest(&entry.key, KNOWN).map_or_else(|| "take it out".to_owned(), suggest::meant);
            UnplacedDiagnostic::warning("UnknownAnnotation", message).hint(meant)
        };
        found.push(told.at_place(entry.key_span));
    });
    found
}

/// `path` with every step after a point: an entry of a map is one whether it is written `a.b` or `a[b]`.
fn plain(path: &str) -> String {
    path.replace('[', ".").replace(']', "")
}
