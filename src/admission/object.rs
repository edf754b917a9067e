//! Admission objects of one shape: the four kinds of admission policies and bindings, and their digests.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::{
    api::admissionregistration::v1::{
        MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Serialize;

/// The kinds of which admission is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AdmissionKind {
    /// A `MutatingAdmissionPolicy`.
    Mutation,
    /// A `MutatingAdmissionPolicyBinding`.
    MutatingBinding,
    /// A `ValidatingAdmissionPolicy`.
    Validation,
    /// A `ValidatingAdmissionPolicyBinding`.
    ValidatingBinding,
}

impl AdmissionKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Mutation, Self::MutatingBinding, Self::Validation, Self::ValidatingBinding];

    /// The kind as the API has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mutation => "MutatingAdmissionPolicy",
            Self::MutatingBinding => "MutatingAdmissionPolicyBinding",
            Self::Validation => "ValidatingAdmissionPolicy",
            Self::ValidatingBinding => "ValidatingAdmissionPolicyBinding",
        }
    }

    /// Its plural, as the API has it.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Mutation => "mutatingadmissionpolicies",
            Self::MutatingBinding => "mutatingadmissionpolicybindings",
            Self::Validation => "validatingadmissionpolicies",
            Self::ValidatingBinding => "validatingadmissionpolicybindings",
        }
    }
}

/// The labels that a digest covers, beside owners: by them people find what is ours, and remove it when all else has gone.
/// Those of the chart's objects are the chart's and of who manages its releases.
const LABELS: [&str; 3] = ["app.kubernetes.io/name", "app.kubernetes.io/managed-by", super::POLICY_LABEL];

/// What tells whether an admission policy or binding with `metadata` and `spec` is what it must be.
pub fn digest(metadata: &ObjectMeta, spec: &impl Serialize) -> u64 {
    let mut hasher = DefaultHasher::new();
    if !metadata.name.as_deref().is_some_and(super::is_of_chart) {
        let label = |key| metadata.labels.as_ref().and_then(|labels| labels.get(key));
        LABELS.map(label).hash(&mut hasher);
        metadata.owner_references.iter().flatten().map(|owner| &owner.uid).collect::<Vec<_>>().hash(&mut hasher);
    }
    // What is typed can be written as JSON, and one that could not would differ from all that can.
    serde_json::to_string(spec).ok().hash(&mut hasher);
    hasher.finish()
}

/// An admission policy or binding that a `PlacementPolicy` must have.
#[derive(Clone, Debug, PartialEq)]
pub enum AdmissionObject {
    /// A binding of a mutation.
    MutatingBinding(MutatingAdmissionPolicyBinding),
    /// A validation.
    Validation(ValidatingAdmissionPolicy),
    /// A binding of a validation.
    ValidatingBinding(ValidatingAdmissionPolicyBinding),
}

impl AdmissionObject {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> AdmissionKind {
        match self {
            Self::MutatingBinding(_) => AdmissionKind::MutatingBinding,
            Self::Validation(_) => AdmissionKind::Validation,
            Self::ValidatingBinding(_) => AdmissionKind::ValidatingBinding,
        }
    }

    /// Its metadata.
    #[must_use]
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::MutatingBinding(object) => &object.metadata,
            Self::Validation(object) => &object.metadata,
            Self::ValidatingBinding(object) => &object.metadata,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// What tells it from one that somebody altered.
    #[must_use]
    pub fn digest(&self) -> u64 {
        match self {
            Self::MutatingBinding(object) => digest(&object.metadata, &object.spec),
            Self::Validation(object) => digest(&object.metadata, &object.spec),
            Self::ValidatingBinding(object) => digest(&object.metadata, &object.spec),
        }
    }
}
