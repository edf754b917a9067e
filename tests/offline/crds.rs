//! The definitions: the files say what the types say, and the schemas keep their own rules.

#![allow(clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

use std::{fs, path::Path};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use rempart::api::crds;

/// Where the definitions are kept: for `kubectl apply`, and for the chart.
const DIRECTORIES: [&str; 2] = ["crds", "charts/rempart/files/crds"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn files_are_generated_from_the_types() {
    let files = crds::render().unwrap();
    for directory in DIRECTORIES {
        for (name, expected) in &files {
            let actual = fs::read_to_string(root().join(directory).join(name)).unwrap_or_default();
            assert!(
                actual == *expected,
                "{directory}/{name} is not what src/api says: run `make crds`, look at the \
                 difference and commit it"
            );
        }
        let kept = fs::read_dir(root().join(directory)).unwrap().count();
        assert_eq!(kept, files.len(), "{directory} holds files that src/api does not generate: remove them");
    }
}

/// Calls `look` with the path and schema of every field of every kind.
fn every_schema(mut look: impl FnMut(&str, &JSONSchemaProps)) {
    fn walk(path: &str, schema: &JSONSchemaProps, look: &mut dyn FnMut(&str, &JSONSchemaProps)) {
        look(path, schema);
        for (name, property) in schema.properties.iter().flatten() {
            walk(&format!("{path}.{name}"), property, look);
        }
        if let Some(JSONSchemaPropsOrArray::Schema(item)) = &schema.items {
            walk(&format!("{path}[]"), item, look);
        }
        if let Some(JSONSchemaPropsOrBool::Schema(value)) = &schema.additional_properties {
            walk(&format!("{path}{{}}"), value, look);
        }
    }
    for crd in crds::crds() {
        for version in &crd.spec.versions {
            let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()).unwrap();
            walk(&crd.spec.names.kind, schema, &mut look);
        }
    }
}

#[test]
fn every_field_is_explained() {
    every_schema(|path, schema| {
        let is_field = !path.ends_with(['[', ']', '{', '}']) && !path.contains(".metadata");
        let text = schema.description.as_deref().unwrap_or_default();
        assert!(!is_field || text.ends_with('.'), "{path} is not explained by whole sentences: {text:?}");
        assert!(!text.contains("\n "), "{path}: the source's line breaks show");
    });
}

#[test]
fn every_field_of_a_spec_that_takes_a_value_shows_one() {
    every_schema(|path, schema| {
        let is_leaf = schema.properties.is_none() && path.contains(".spec.") && !path.ends_with([']', '}']);
        let text = schema.description.as_deref().unwrap_or_default();
        // A selector's own fields are known from everywhere else in Kubernetes.
        if is_leaf && !path.contains("Selector.") {
            assert!(text.contains("Example") || text.contains("such as"), "{path} has no example: {text:?}");
        }
    });
}

#[test]
fn everything_has_a_bound() {
    every_schema(|path, schema| match schema.type_.as_deref() {
        Some("string") => assert!(
            schema.max_length.is_some() || schema.enum_.is_some() || schema.format.is_some(),
            "{path} is text without maxLength"
        ),
        Some("array") => assert!(schema.max_items.is_some(), "{path} is a list without maxItems"),
        Some("object") if schema.additional_properties.is_some() => {
            assert!(schema.max_properties.is_some(), "{path} is a map without maxProperties");
        }
        Some("object" | "boolean" | "integer" | "number") => {}
        other => panic!("{path} has the type {other:?}"),
    });
}

#[test]
fn null_is_never_a_value_and_nothing_is_filled_in() {
    every_schema(|path, schema| {
        assert_eq!(schema.nullable, None, "{path}");
        assert_eq!(schema.default, None, "{path}");
    });
}

#[test]
fn every_list_says_how_it_is_merged() {
    every_schema(|path, schema| {
        if schema.type_.as_deref() == Some("array") {
            assert!(schema.x_kubernetes_list_type.is_some(), "{path}: x-kubernetes-list-type is missing");
        }
    });
}

#[test]
fn every_status_is_optional_throughout() {
    every_schema(|path, schema| {
        if path.contains(".status") && !path.contains(".conditions") {
            assert_eq!(schema.required, None, "{path}: a status of another version could not be decoded");
        }
    });
}
