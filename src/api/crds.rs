//! The `CustomResourceDefinition`s, as objects and as files.
//!
//! Generated from the types, so that what the API server accepts and what the code decodes cannot
//! drift apart. Pure: no client, no file system.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt as _;

use super::{CloudProvider, PlacementPolicy, PlacementPool, WorkloadPlacement, limits};

/// The first lines of each generated file.
const HEADER: &str = "# Generated from src/api by `make crds`. Do not edit.\n";

/// The definitions of all kinds.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let declared = [CloudProvider::crd(), PlacementPolicy::crd(), PlacementPool::crd()].into_iter().map(|crd| {
        let mut crd = finish(crd);
        schemas(&mut crd).for_each(bound_name);
        crd
    });
    declared.chain([record(finish(WorkloadPlacement::crd()))]).collect()
}

fn schemas(crd: &mut CustomResourceDefinition) -> impl Iterator<Item = &mut JSONSchemaProps> {
    crd.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut())
}

/// What nobody declares: it has no spec, and all of it is written by the one who writes its status. Were that a
/// subresource, a new record would take two requests.
fn record(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        version.subresources = None;
    }
    for schema in schemas(&mut crd) {
        schema.required = None;
        schema.properties.get_or_insert_default().remove("spec");
    }
    crd
}

/// Each definition as a file: its name and its text.
///
/// # Errors
/// When a definition cannot be written as YAML, which would be a mistake in its types.
pub fn render() -> Result<Vec<(String, String)>, serde_saphyr::ser::Error> {
    crds()
        .iter()
        .map(|crd| {
            let name = format!("{}.yaml", crd.spec.names.plural);
            let yaml = serde_saphyr::to_string(crd)?;
            Ok((name, format!("{HEADER}{yaml}")))
        })
        .collect()
}

/// Annotations by which Argo CD and Flux leave an object when its manifest, or the application that it is of, goes: with a
/// definition every policy, provider and pool would go. Helm has a word of its own, which the chart adds. As documented at
/// <https://argo-cd.readthedocs.io/en/stable/user-guide/sync-options/> and
/// <https://fluxcd.io/flux/components/kustomize/kustomizations/#controlling-the-apply-behavior-of-resources>.
const KEEP: [(&str, &str); 2] = [
    ("argocd.argoproj.io/sync-options", "Prune=false,Delete=false"),
    ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
];

/// Adds what the derived definition lacks.
fn finish(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    crd.metadata.labels = Some([("app.kubernetes.io/name".to_owned(), "rempart".to_owned())].into());
    crd.metadata.annotations = Some(KEEP.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    schemas(&mut crd).for_each(tidy);
    crd
}

/// Makes a derived schema one that an API server and a reader of `kubectl explain` can use.
fn tidy(schema: &mut JSONSchemaProps) {
    // The API server drops `null` where it is no value. Were it one, `has(level.require)` in an
    // admission policy would hold for it.
    schema.nullable = None;
    // The Rust name of a type means nothing to the reader of the API.
    schema.title = None;
    // What a decoder of ours puts in the place of a missing field is not for the API server to store.
    schema.default = None;
    if let Some(description) = &mut schema.description {
        *description = unwrap_lines(description);
    }
    let items = match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => Some(&mut **item),
        _ => None,
    };
    let values = match &mut schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(value)) => Some(&mut **value),
        _ => None,
    };
    let properties = schema.properties.iter_mut().flat_map(|properties| properties.values_mut());
    properties.chain(items).chain(values).for_each(tidy);
}

/// Joins the lines of each paragraph: where the source wraps is no concern of the reader's terminal.
fn unwrap_lines(text: &str) -> String {
    text.split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// States how long an object's own name may be: the names of providers and pools become values of
/// labels, and the API server bounds the cost of rules on a name by its length.
fn bound_name(root: &mut JSONSchemaProps) {
    let name = JSONSchemaProps {
        type_: Some("string".to_owned()),
        max_length: i64::try_from(limits::NAME).ok(),
        ..JSONSchemaProps::default()
    };
    let metadata = JSONSchemaProps {
        type_: Some("object".to_owned()),
        properties: Some([("name".to_owned(), name)].into()),
        ..JSONSchemaProps::default()
    };
    root.properties.get_or_insert_default().insert("metadata".to_owned(), metadata);
}
