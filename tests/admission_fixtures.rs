//! The policies of the admission table, as its fixtures write them.

use serde_json::Value;

/// Fields of a fixture that are no fields of a spec.
const OF_FIXTURES: [&str; 5] = ["name", "like", "spec", "ending", "mutations"];

/// The spec of the policy `fixture`, one of those that are `listed`: its own, or that of the one it is like, but for the
/// fields that it gives.
pub(crate) fn spec_of(listed: &[Value], fixture: &Value) -> Value {
    let like = listed.iter().find(|other| !fixture["like"].is_null() && other["name"] == fixture["like"]);
    let mut spec = like.map_or_else(|| fixture["spec"].clone(), |like| like["spec"].clone());
    let given = fixture.as_object().into_iter().flatten().filter(|(field, _)| !OF_FIXTURES.contains(&field.as_str()));
    for (field, value) in given {
        spec[field] = value.clone();
    }
    spec
}
