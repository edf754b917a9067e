//! Repeated keys: what is told of a key that stands in an object twice.
//!
//! Takes an object with the keys that stand in it more than once, and returns a diagnostic for each that somebody should
//! know. The last one counts in a cluster: where a level is lost or ambiguous by that, no answer could be trusted.

use std::collections::BTreeSet;

use super::{GatheredObjects, key_walk::said_within, kind::ObjectClass, metadata};
use crate::{
    diagnostic::{Diagnostic, Severity, source::FileId},
    manifest::node::{ManifestObject, RepeatedKey},
};
use rempart_core::{name::quoted, text::ListDisplay};

/// The fields of any object that say which one it is.
const IDENTITY: [&str; 5] = ["apiVersion", "kind", "metadata", "metadata.name", "metadata.namespace"];

impl GatheredObjects<'_> {
    /// Tells of keys that stand in `object` twice. Of an object that nobody judges, only those are told by which a level is
    /// lost.
    pub(super) fn repeated(&mut self, file: FileId, known: ObjectClass, object: &ManifestObject<'_>) {
        if object.repeated.is_empty() {
            return;
        }
        let kind = object.get("kind").and_then(|kind| kind.text().ok()).unwrap_or_default();
        let name = object.get("metadata").and_then(|metadata| metadata.get("name")?.text().ok());
        let about = name.map_or_else(|| quoted(kind), |name| format!("{} {}", quoted(kind), quoted(name)));
        let told = object.repeated.iter().filter_map(|twin| {
            let lost = lost(twin, object);
            let is_of_ours = !lost.is_empty() || (metadata::is_ours(&twin.key) && twin.differs);
            let told = told(twin, &lost, matches!(known, ObjectClass::Own(_)))?;
            let told = match (known, is_of_ours) {
                (ObjectClass::Other, false) => return None,
                (ObjectClass::Other, true) => Diagnostic { severity: Severity::Warning, ..told },
                _ => told,
            };
            Some(told.at(file, twin.again).of(about.clone()))
        });
        self.diagnostics.extend(told.collect::<Vec<_>>());
    }
}

/// The keys of ours that say something else, or nothing, where `twin` stands again.
fn lost(twin: &RepeatedKey<'_>, object: &ManifestObject<'_>) -> Vec<&'static str> {
    let before = said_within(&twin.dropped);
    if before.is_empty() {
        return Vec::new();
    }
    let found = object.node.find(&twin.path);
    let now: BTreeSet<_> = if found.whole { said_within(found.node) } else { Vec::new() }.into_iter().collect();
    let lost: BTreeSet<_> = before.into_iter().filter(|said| !now.contains(said)).map(|(_, key, _)| key).collect();
    lost.into_iter().collect()
}

/// What is told of a key that stands in an object twice; of one of ours, where every field decides, if it `is_own`.
fn told(twin: &RepeatedKey<'_>, lost: &[&str], is_own: bool) -> Option<Diagnostic> {
    let (key, line) = (quoted(&twin.key), twin.first.start.line);
    // What a cluster wrote about itself says nothing to anybody here.
    if twin.path.starts_with("status.") {
        return None;
    }
    if !lost.is_empty() {
        let lost = ListDisplay(lost.iter());
        let message = format!("the key `{key}` is on line {line} already, and what it says there of {lost} is lost");
        let hint = format!("write one `{key}` with what both hold");
        return Some(Diagnostic::error("DuplicateKey", message).hint(hint));
    }
    let decides = is_own || metadata::is_ours(&twin.key) || IDENTITY.contains(&twin.path.as_str());
    let (severity, rest) = match (twin.differs, decides) {
        (false, _) => (Severity::Warning, ""),
        (true, false) => (Severity::Warning, ", with another value: the last one counts"),
        (true, true) => (Severity::Error, ", with another value"),
    };
    let message = format!("the key `{key}` is on line {line} already{rest}");
    // Every manifest begins with these: most often another one begins here.
    let hint = if matches!(twin.path.as_str(), "apiVersion" | "kind" | "metadata") {
        "remove one of the two; or, where another object begins, write a line --- before it"
    } else {
        "remove one of the two"
    };
    Some(Diagnostic::new(severity, "DuplicateKey", message).hint(hint))
}
