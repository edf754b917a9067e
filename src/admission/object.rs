//! Admission objects of one shape: the kinds of admission policies, bindings and webhooks, and their digests.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::{
    api::admissionregistration::v1::{
        MutatingAdmissionPolicyBinding, MutatingWebhook, MutatingWebhookConfiguration, ValidatingAdmissionPolicy,
        ValidatingAdmissionPolicyBinding,
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
    /// A `MutatingWebhookConfiguration`.
    Webhook,
}

impl AdmissionKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Mutation, Self::MutatingBinding, Self::Validation, Self::ValidatingBinding, Self::Webhook];

    /// The kind as the API has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mutation => "MutatingAdmissionPolicy",
            Self::MutatingBinding => "MutatingAdmissionPolicyBinding",
            Self::Validation => "ValidatingAdmissionPolicy",
            Self::ValidatingBinding => "ValidatingAdmissionPolicyBinding",
            Self::Webhook => "MutatingWebhookConfiguration",
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
            Self::Webhook => "mutatingwebhookconfigurations",
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

/// What of `webhooks` a digest covers: all but the authorities, which not everybody who compares knows.
pub fn but_authorities(webhooks: Option<&[MutatingWebhook]>) -> Vec<MutatingWebhook> {
    let mut webhooks = webhooks.unwrap_or_default().to_vec();
    for webhook in &mut webhooks {
        webhook.client_config.ca_bundle = None;
    }
    webhooks
}

/// What tells whether `webhooks` trust the authorities that they should; nothing where one trusts none of its own.
pub fn authorities_digest(webhooks: Option<&[MutatingWebhook]>) -> Option<u64> {
    let bundles: Option<Vec<_>> =
        webhooks.unwrap_or_default().iter().map(|webhook| webhook.client_config.ca_bundle.as_ref()).collect();
    let mut hasher = DefaultHasher::new();
    bundles?.iter().for_each(|bundle| bundle.0.hash(&mut hasher));
    Some(hasher.finish())
}

/// An admission policy, binding or webhook configuration that a `PlacementPolicy` must have.
#[derive(Clone, Debug, PartialEq)]
pub enum AdmissionObject {
    /// A binding of a mutation.
    MutatingBinding(MutatingAdmissionPolicyBinding),
    /// A validation.
    Validation(ValidatingAdmissionPolicy),
    /// A binding of a validation.
    ValidatingBinding(ValidatingAdmissionPolicyBinding),
    /// Webhooks.
    Webhook(MutatingWebhookConfiguration),
}

impl AdmissionObject {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> AdmissionKind {
        match self {
            Self::MutatingBinding(_) => AdmissionKind::MutatingBinding,
            Self::Validation(_) => AdmissionKind::Validation,
            Self::ValidatingBinding(_) => AdmissionKind::ValidatingBinding,
            Self::Webhook(_) => AdmissionKind::Webhook,
        }
    }

    /// Its metadata.
    #[must_use]
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::MutatingBinding(object) => &object.metadata,
            Self::Validation(object) => &object.metadata,
            Self::ValidatingBinding(object) => &object.metadata,
            Self::Webhook(object) => &object.metadata,
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
            Self::Webhook(object) => digest(&object.metadata, &but_authorities(object.webhooks.as_deref())),
        }
    }

    /// What tells whether it trusts the authorities that it should, where it trusts any.
    #[must_use]
    pub fn authorities(&self) -> Option<u64> {
        match self {
            Self::MutatingBinding(_) | Self::Validation(_) | Self::ValidatingBinding(_) => None,
            Self::Webhook(object) => authorities_digest(object.webhooks.as_deref()),
        }
    }
}
