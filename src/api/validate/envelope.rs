//! Schemas of what every object has, whatever its kind, which no definition states.
//!
//! Pure functions: the schema of `metadata`, and the name that the API server would generate.

use serde_json::{Value, json};

/// A schema that takes everything.
pub(super) fn anything() -> Value {
    json!({"x-kubernetes-preserve-unknown-fields": true})
}

/// The schema of `metadata`, with what a kind says of its objects' names.
pub(super) fn metadata(name: Option<Value>) -> Value {
    let text = || json!({"type": "string"});
    let number = || json!({"type": "integer"});
    let texts = || json!({"type": "object", "additionalProperties": {"type": "string"}});
    json!({
        "type": "object",
        "properties": {
            "name": name.unwrap_or_else(text),
            "generateName": text(),
            "namespace": text(),
            "labels": texts(),
            "annotations": texts(),
            "finalizers": {"type": "array", "items": text()},
            "ownerReferences": {"type": "array", "items": anything()},
            "managedFields": {"type": "array", "items": anything()},
            "selfLink": text(),
            "uid": text(),
            "resourceVersion": text(),
            "generation": number(),
            "creationTimestamp": text(),
            "deletionTimestamp": text(),
            "deletionGracePeriodSeconds": number(),
        },
    })
}

/// The name that the API server would make of `generateName`, where there is no name: what it adds is of this length.
pub(super) fn generated_name(object: &Value) -> Option<String> {
    let metadata = object.get("metadata")?;
    let named = metadata.get("name").is_some_and(|name| !name.is_null() && name != "");
    let base = metadata.get("generateName")?.as_str().filter(|base| !named && !base.is_empty())?;
    Some(base.chars().take(58).chain("xxxxx".chars()).collect())
}
