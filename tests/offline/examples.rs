//! The examples that the API server is tried with: the code must read them as the API server does.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

use std::{fs, path::Path};

use rempart::{
    api::{CloudProvider, PlacementPolicy, PlacementPool},
    convert,
    diagnostic::FieldDiagnostic,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

fn documents<T: DeserializeOwned>(path: &Path) -> Vec<T> {
    let text = fs::read_to_string(path).unwrap();
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What the API server accepts.
fn accepted() -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["tests/api/accepted", "deploy/demo/catalogue"]
        .into_iter()
        .flat_map(|directory| fs::read_dir(root.join(directory)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let good = documents::<Table>(&root.join("tests/api/refused.yaml")).into_iter().flat_map(|table| table.good);
    let examples: Vec<Value> = files.flat_map(|path| documents(&path)).chain(good).collect();
    assert!(examples.len() > 20, "only {} examples were found", examples.len());
    examples
}

/// `tests/api/refused.yaml`, of which only the good objects matter here.
#[derive(Deserialize)]
struct Table {
    good: Vec<Value>,
}

/// The object as the code knows it, and what the code finds wrong with it; `None` when it cannot even
/// be decoded.
fn read(object: &Value) -> Option<(Value, Vec<FieldDiagnostic>)> {
    fn decoded<K: DeserializeOwned + Serialize>(object: &Value) -> Option<(K, Value)> {
        let decoded: K = serde_json::from_value(object.clone()).ok()?;
        let encoded = serde_json::to_value(&decoded).unwrap();
        Some((decoded, encoded))
    }
    let name = object["metadata"]["name"].as_str().unwrap();
    match object["kind"].as_str().unwrap() {
        "CloudProvider" => {
            let (object, encoded) = decoded::<CloudProvider>(object)?;
            Some((encoded, convert::provider(name, &object.spec).problems))
        }
        "PlacementPool" => {
            let (object, encoded) = decoded::<PlacementPool>(object)?;
            Some((encoded, convert::pool(name, &object.spec).problems))
        }
        "PlacementPolicy" => {
            let (object, encoded) = decoded::<PlacementPolicy>(object)?;
            Some((encoded, convert::policy(name, &object.spec).problems))
        }
        other => panic!("there is no kind {other}"),
    }
}

/// What decoding makes of an object: empty lists and nulls are as good as left out.
fn without_the_empty(value: Value) -> Value {
    let is_something = |value: &Value| !(value.is_null() || value.as_array().is_some_and(Vec::is_empty));
    match value {
        Value::Object(fields) => {
            fields.into_iter().map(|(k, v)| (k, without_the_empty(v))).filter(|(_, v)| is_something(v)).collect()
        }
        Value::Array(items) => items.into_iter().map(without_the_empty).collect(),
        // 1 and 1.0 are one number.
        Value::Number(number) => number.as_f64().into(),
        other => other,
    }
}

#[test]
fn no_field_of_an_example_is_lost_in_decoding() {
    for object in accepted() {
        let (encoded, _) = read(&object).unwrap_or_else(|| panic!("cannot be decoded: {object}"));
        assert_eq!(without_the_empty(encoded), without_the_empty(object));
    }
}

#[test]
fn what_the_api_server_accepts_the_code_finds_nothing_wrong_with() {
    for object in accepted() {
        let (_, problems) = read(&object).unwrap();
        assert!(problems.is_empty(), "{}: {problems:?}", object["metadata"]["name"]);
    }
}
