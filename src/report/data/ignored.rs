//! Rows of what was not judged, in the documents of plans and impacts alike.

use schemars::JsonSchema;
use serde::Serialize;

use crate::report::location::{UnjudgedName, UnreadPath};

/// An object that says a level or categories, or would have pods, and is not judged.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "UnjudgedObject")]
pub(super) struct UnjudgedRow<'p> {
    /// Its kind; `document` of what is no Kubernetes object, as the values of a chart.
    kind: &'p str,
    /// Its namespace; empty where it has none.
    namespace: &'p str,
    /// Its name; of what is no Kubernetes object, the name of its file.
    name: &'p str,
    /// The levels and categories that it says, as they stand in it; of a text whose value cannot be told, the key.
    says: &'p [String],
}

/// A file or directory that may hold manifests and was not read.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UnreadPath")]
pub(super) struct UnreadRow<'p> {
    /// The path, as it was named.
    path: &'p str,
    /// Why, for people. Its words may change.
    reason: &'p str,
}

impl<'p> UnjudgedRow<'p> {
    pub(super) fn of(object: &'p UnjudgedName) -> Self {
        let UnjudgedName { kind, namespace, name, place: _, says } = object;
        Self { kind, namespace, name, says }
    }
}

impl<'p> UnreadRow<'p> {
    pub(super) fn of(unread: &'p UnreadPath) -> Self {
        let UnreadPath { path, reason } = unread;
        Self { path, reason }
    }
}
