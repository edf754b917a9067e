//! Installed admission: the admission policies and bindings of the chart, as the API server must have them.
//!
//! The chart and the operator have the same texts. [`render`] makes that of the mutations, and [`InstalledAdmission`] tells
//! the digest of each object in a release's namespace.

mod expressions;
mod mutations;
mod wishes;

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};
use serde_json::Value;

use super::{
    MutationMode, cel,
    object::{AdmissionKind, digest},
};

/// The files of the chart, with marks where the chart writes its labels, its namespace and the exempt ones.
const MUTATIONS: &str = include_str!("../../../charts/rempart/files/admission/mutations.yaml");
const NODE_MUTATIONS: &str = include_str!("../../../charts/rempart/files/admission/node-mutations.yaml");
const GUARDS: &str = include_str!("../../../charts/rempart/files/admission/guards.yaml");
const LABELS: &str = "${LABELS}";
const NAMESPACE: &str = "${NAMESPACE}";
const EXEMPT: &str = "${EXEMPT}";

const HEADER: &str = "# Generated from src/admission by `make admission`. Do not edit.\n\
     #\n\
     # Mutations, which take each PlacementPolicy as their parameter. The chart writes its labels where they are marked.\n";

/// The chart's mutations.
pub fn mutations() -> impl Iterator<Item = MutatingAdmissionPolicy> {
    mutations::all().into_iter()
}

/// The chart's file of mutations: its name and its text.
///
/// # Errors
/// When a mutation cannot be written as YAML, which would be a mistake in its type.
pub fn render() -> Result<(String, String), serde_saphyr::ser::Error> {
    let mut text = HEADER.to_owned();
    for mutation in mutations::all() {
        let yaml = serde_saphyr::to_string(&mutation)?;
        // Only an object begins so.
        text.push_str("---\n");
        text.push_str(&yaml.replacen("\nmetadata:\n", &format!("\nmetadata:\n  labels: {LABELS}\n"), 1));
    }
    Ok(("mutations.yaml".to_owned(), text))
}

/// A text of the chart that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InstalledError {
    /// It is no YAML.
    #[error("the chart's admission policies are no YAML: {0}")]
    Yaml(#[from] serde_saphyr::Error),
    /// It is not of its kind.
    #[error("the chart's admission policies: {0}")]
    Decode(#[from] serde_json::Error),
    /// It is of a kind that the chart does not install.
    #[error("the chart's admission policies: {0:?} is no kind of theirs")]
    Kind(String),
}

/// What a release in `namespace` installs, where these namespaces are `exempt` and `mutation` says who completes pods, without
/// its labels.
///
/// # Errors
/// [`InstalledError`], which would be a mistake in the texts.
pub fn objects_of_release(
    namespace: &str,
    exempt: &[String],
    mutation: &MutationMode,
) -> Result<Vec<Value>, InstalledError> {
    let exempt = cel::list(exempt);
    let mutations = (*mutation == MutationMode::Policies).then_some([MUTATIONS, NODE_MUTATIONS]);
    let mut objects = Vec::new();
    for file in mutations.into_iter().flatten().chain([GUARDS]) {
        let text = file.replace(LABELS, "{}").replace(NAMESPACE, namespace).replace(EXEMPT, &exempt);
        objects.extend(serde_saphyr::from_multiple::<Value>(&text)?);
    }
    Ok(objects)
}

/// What the chart installs: the digest of each object, by kind and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstalledAdmission(BTreeMap<(AdmissionKind, String), u64>);

impl InstalledAdmission {
    /// What a release in `namespace` installs, where these namespaces are `exempt` and `mutation` says who completes pods, in
    /// the order of their names.
    ///
    /// # Errors
    /// [`InstalledError`], which would be a mistake in the texts.
    pub fn of_release(namespace: &str, exempt: &[String], mutation: &MutationMode) -> Result<Self, InstalledError> {
        let mut digests = BTreeMap::new();
        for object in objects_of_release(namespace, exempt, mutation)? {
            let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
            let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let (kind, digest) = match kind.as_str() {
                "MutatingAdmissionPolicy" => {
                    let object: MutatingAdmissionPolicy = serde_json::from_value(object)?;
                    (AdmissionKind::Mutation, digest(&object.metadata, &object.spec))
                }
                "MutatingAdmissionPolicyBinding" => {
                    let object: MutatingAdmissionPolicyBinding = serde_json::from_value(object)?;
                    (AdmissionKind::MutatingBinding, digest(&object.metadata, &object.spec))
                }
                "ValidatingAdmissionPolicy" => {
                    let object: ValidatingAdmissionPolicy = serde_json::from_value(object)?;
                    (AdmissionKind::Validation, digest(&object.metadata, &object.spec))
                }
                "ValidatingAdmissionPolicyBinding" => {
                    let object: ValidatingAdmissionPolicyBinding = serde_json::from_value(object)?;
                    (AdmissionKind::ValidatingBinding, digest(&object.metadata, &object.spec))
                }
                _ => return Err(InstalledError::Kind(kind)),
            };
            digests.insert((kind, name), digest);
        }
        Ok(Self(digests))
    }

    /// Whether there is such an object.
    #[must_use]
    pub fn contains(&self, kind: AdmissionKind, name: &str) -> bool {
        self.iter().any(|(of, found, _)| (of, found) == (kind, name))
    }

    /// Each object: its kind, its name and its digest.
    pub fn iter(&self) -> impl Iterator<Item = (AdmissionKind, &str, u64)> {
        self.0.iter().map(|((kind, name), digest)| (*kind, name.as_str(), *digest))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::admission::{is_ours, mutation_bindings};

    #[test]
    fn the_texts_are_what_is_expected() {
        let installed = InstalledAdmission::of_release("rempart-system", &[], &MutationMode::Policies).unwrap();
        let names: Vec<_> = installed.iter().map(|(kind, name, _)| format!("{} {name}", kind.as_str())).collect();
        assert_eq!(
            names,
            [
                "MutatingAdmissionPolicy rempart-pods",
                "MutatingAdmissionPolicy rempart-pods-floor",
                "MutatingAdmissionPolicy rempart-scheduling",
                "MutatingAdmissionPolicy rempart-stamps",
                "MutatingAdmissionPolicy rempart-templates",
                "MutatingAdmissionPolicyBinding rempart-stamps",
                "ValidatingAdmissionPolicy rempart-operator",
                "ValidatingAdmissionPolicy rempart-records",
                "ValidatingAdmissionPolicy rempart-stamps",
                "ValidatingAdmissionPolicyBinding rempart-operator",
                "ValidatingAdmissionPolicyBinding rempart-records",
                "ValidatingAdmissionPolicyBinding rempart-stamps",
            ]
        );
        assert!(installed.iter().all(|(_, name, _)| is_ours(name)));
        let bound: BTreeSet<_> = mutation_bindings::mutations().collect();
        let mutations = installed.iter().filter(|(kind, ..)| *kind == AdmissionKind::Mutation);
        // That of nodes is bound by the chart.
        let mutations = mutations.filter(|(_, name, _)| !installed.contains(AdmissionKind::MutatingBinding, name));
        assert_eq!(mutations.map(|(_, name, _)| name).collect::<BTreeSet<_>>(), bound, "what is bound is installed");
    }

    #[test]
    fn another_release_has_other_guards() {
        let of = |namespace, exempt: &[&str]| {
            let exempt: Vec<String> = exempt.iter().map(ToString::to_string).collect();
            InstalledAdmission::of_release(namespace, &exempt, &MutationMode::Policies).unwrap()
        };
        let differ = |one: &InstalledAdmission, other: &InstalledAdmission| -> Vec<String> {
            let pairs = one.iter().zip(other.iter()).filter(|(one, other)| one != other);
            let names: BTreeSet<_> = pairs.map(|((_, name, _), _)| name.to_owned()).collect();
            names.into_iter().collect()
        };
        assert_eq!(differ(&of("a", &[]), &of("b", &[])), ["rempart-operator", "rempart-records", "rempart-stamps"]);
        assert_eq!(differ(&of("a", &["cilium"]), &of("a", &["cilium", "longhorn-system"])), ["rempart-operator"]);
    }
}
