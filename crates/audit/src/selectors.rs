//! Label selectors, as Kubernetes defines them, on raw objects.

use serde_json::{Map, Value};

/// Whether the labels of an object meet a selector. `hidden` labels are as good as absent. What makes no sense matches
/// nothing.
pub(super) fn matches(selector: &Value, object: &Value, hidden: impl Fn(&str) -> bool) -> bool {
    let label = |key: &str| match object.pointer("/metadata/labels").and_then(|labels| labels.get(key)) {
        Some(value) if !hidden(key) => value.as_str(),
        _ => None,
    };
    let exact = selector.get("matchLabels").and_then(Value::as_object).into_iter().flat_map(Map::iter);
    let expressions = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    exact.into_iter().all(|(key, value)| label(key).is_some() && label(key) == value.as_str())
        && expressions.into_iter().all(|expression| {
            let Some(key) = expression.get("key").and_then(Value::as_str) else { return false };
            let found = label(key);
            let values = expression.get("values").and_then(Value::as_array);
            let listed = |found: &str| values.is_some_and(|values| values.iter().any(|value| value == found));
            match expression.get("operator").and_then(Value::as_str) {
                Some("In") => found.is_some_and(listed),
                Some("NotIn") => !found.is_some_and(listed),
                Some("Exists") => found.is_some(),
                Some("DoesNotExist") => found.is_none(),
                _ => false,
            }
        })
}

/// Whether a selector has any term.
pub(super) fn says_anything(selector: &Value) -> bool {
    let labels = selector.get("matchLabels").and_then(Value::as_object).is_some_and(|labels| !labels.is_empty());
    let expressions = selector.get("matchExpressions").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    labels || expressions
}
