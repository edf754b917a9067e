//! Admission objects: what the API server is given so that it holds pods to a `PlacementPolicy`.
//!
//! [`compile`] takes a policy, its namespace selector and [`AdmissionSettings`], and returns its [`AdmissionObjects`].
//! Validations are compiled for each policy: its levels, categories and keys stand in the expressions as constants, and
//! the namespaces that it governs in what is matched. So a validation looks nothing up, and what a policy does not govern
//! never reaches one. [`installed`] is what the chart installs for all of them: mutations, and what holds always.

mod cel;
pub mod completion;
mod constants;
mod declassify;
pub mod installed;
mod matching;
mod mutation_bindings;
mod mutation_webhook;
mod namespaces;
mod nodes;
mod object;
mod pod_bindings;
mod pod_updates;
mod pods;
pub mod review;
mod statements;
mod workloads;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::admissionregistration::v1::{
        AuditAnnotation, MatchCondition, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
        ValidatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicySpec, Validation, Variable,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference},
};

use self::matching::{Labelled, Target, governed, resources};
pub use self::{
    matching::selected_by,
    mutation_webhook::path as webhook_path,
    object::{AdmissionKind, AdmissionObject, authorities_digest, but_authorities, digest},
};
use crate::operator::names::MANAGED_BY;
use rempart_core::policy::{EnforcementMode, Policy};

/// Every object's label with the name of its `PlacementPolicy`.
pub const POLICY_LABEL: &str = "rempart.dev/policy";
/// Every object's annotation that says what it is for.
const DESCRIPTION: &str = "kubernetes.io/description";

/// What admission is told beside a policy: at its installation, and by the pools that there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdmissionSettings {
    /// The namespaces that no policy governs.
    pub exempt: Vec<String>,
    /// The users that may bind pods to nodes where a policy applies.
    pub schedulers: Vec<String>,
    /// The labels by which pools select nodes.
    pub pool_labels: BTreeSet<String>,
    /// Who adds to pods and pod templates what they need.
    pub mutation: MutationMode,
    /// The identifier of the chart's `ClusterRole`, which owns what is made here: it ends with the chart, whoever
    /// uninstalls it first and deletes policies later.
    pub owner: Option<String>,
    /// The same of the `ClusterRole` by which mutations may be bound, which ends when others are to do it.
    pub mutation_owner: Option<String>,
}

impl AdmissionSettings {
    /// Whether the webhook's authorities are not known.
    #[must_use]
    pub fn awaits_authorities(&self) -> bool {
        matches!(&self.mutation, MutationMode::Webhook(webhook) if webhook.authorities.is_none())
    }
}

/// Who adds to pods and pod templates what they need. What nobody adds, the validations refuse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MutationMode {
    /// Mutating admission policies, inside the API server: stable since Kubernetes 1.36.
    #[default]
    Policies,
    /// A webhook of the operator's, for API servers that do not serve those.
    Webhook(WebhookSettings),
    /// Nobody: manifests say it themselves.
    None,
}

impl MutationMode {
    /// The `ClusterRole` of the chart by which mutations may be bound; nothing where there is nothing to bind.
    #[must_use]
    pub fn cluster_role(&self) -> Option<&'static str> {
        match self {
            Self::Policies => Some("rempart-mutation-policies"),
            Self::Webhook(_) => Some("rempart-mutation-webhook"),
            Self::None => None,
        }
    }

    /// Whether objects of `kind` are made, compared and removed.
    #[must_use]
    pub fn keeps(&self, kind: AdmissionKind) -> bool {
        match kind {
            AdmissionKind::Validation | AdmissionKind::ValidatingBinding => true,
            AdmissionKind::Mutation | AdmissionKind::MutatingBinding => *self == Self::Policies,
            AdmissionKind::Webhook => matches!(self, Self::Webhook(_)),
        }
    }
}

/// The namespaces that no policy governs where those `listed` are exempt: the operator's `own` is, whatever is said. Each once
/// and in order, since the texts that name them are compared.
#[must_use]
pub fn exempt_namespaces(mut listed: Vec<String>, own: &str) -> Vec<String> {
    listed.push(own.to_owned());
    listed.sort_unstable();
    listed.dedup();
    listed
}

/// How API servers reach the webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Where.
    pub address: WebhookAddress,
    /// The authorities that its certificates come from, in PEM; nothing where they are not known, to whoever only compares.
    pub authorities: Option<String>,
}

/// Where the webhook is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookAddress {
    /// Behind a `Service`, at its port 443.
    Service {
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
    },
    /// At a URL, for an operator that runs outside the cluster.
    Url(String),
}

/// The `ClusterRole` of the chart by which validations and bindings may be kept.
pub const CLUSTER_ROLE: &str = "rempart-admission";

/// The objects that one policy must have, by kind and name.
pub type AdmissionObjects = BTreeMap<(AdmissionKind, String), AdmissionObject>;

/// A validation before it has a full name and the namespaces of its policy.
#[derive(Clone, Debug)]
struct CompiledValidation {
    name: String,
    description: String,
    target: Target,
    labelled: Labelled,
    conditions: Vec<MatchCondition>,
    variables: Vec<Variable>,
    validations: Vec<Validation>,
    /// What of a request the audit log of the API server is given, refused or not.
    audits: Vec<AuditAnnotation>,
}

/// The objects of `policy`, which governs the namespaces of `selector`, all but the exempt ones where there is none. By
/// its identifier `uid` mutations skip what is marked as complete.
#[must_use]
pub fn compile(
    policy: &Policy,
    uid: Option<&str>,
    selector: Option<&LabelSelector>,
    settings: &AdmissionSettings,
) -> AdmissionObjects {
    let AdmissionSettings { exempt, schedulers, pool_labels, mutation, owner, mutation_owner } = settings;
    let owner = owner.as_deref().map(|uid| (CLUSTER_ROLE, uid));
    let name = policy.name.as_str();
    let mut validations = pods::validations(policy, mutation);
    validations.extend([
        pod_updates::compiled(policy),
        workloads::compiled(policy),
        namespaces::compiled(policy, selector),
        pod_bindings::compiled(policy, schedulers),
    ]);
    validations.extend(declassify::compiled(policy, selector));
    validations.push(nodes::compiled(pool_labels));
    // What denies and what does not never share a name: a binding that denies would bind, for a moment, what another
    // mode made of its validation.
    let (action, mode) = match policy.mode {
        EnforcementMode::Enforce => ("Deny", ""),
        EnforcementMode::Warn => ("Warn", ".warn"),
        EnforcementMode::Audit => ("Audit", ".audit"),
    };
    let mut objects = Vec::new();
    for compiled in validations {
        let full = object_name(name, &format!("{}{mode}", compiled.name));
        let binding = |binding: &str, match_resources| {
            AdmissionObject::ValidatingBinding(ValidatingAdmissionPolicyBinding {
                metadata: metadata(binding, name, None, owner),
                spec: ValidatingAdmissionPolicyBindingSpec {
                    policy_name: full.clone(),
                    param_ref: None,
                    match_resources,
                    validation_actions: vec![action.to_owned()],
                },
            })
        };
        let matched = match compiled.labelled {
            Labelled::Only(also) => {
                objects.push(binding(&full, None));
                governed(selector, exempt, also)
            }
            Labelled::Anywhere => {
                objects.push(binding(&full, None));
                governed(None, exempt, [])
            }
            Labelled::Either(alternatives) => {
                objects.extend(alternatives.into_iter().map(|(end, also)| {
                    binding(&format!("{full}.{end}"), Some(resources(None, governed(None, &[], also))))
                }));
                governed(selector, exempt, [])
            }
        };
        let spec = ValidatingAdmissionPolicySpec {
            audit_annotations: Some(compiled.audits).filter(|audits| !audits.is_empty()),
            // What cannot be judged must not pass.
            failure_policy: Some("Fail".to_owned()),
            match_conditions: Some(compiled.conditions).filter(|conditions| !conditions.is_empty()),
            match_constraints: Some(resources(Some(&compiled.target), matched)),
            param_kind: None,
            validations: Some(compiled.validations),
            variables: Some(compiled.variables).filter(|variables| !variables.is_empty()),
        };
        let metadata = metadata(&full, name, Some(&compiled.description), owner);
        objects.push(AdmissionObject::Validation(ValidatingAdmissionPolicy {
            metadata,
            spec: Some(spec),
            status: None,
        }));
    }
    if policy.mode == EnforcementMode::Enforce {
        let bound = mutation_bindings::bound(policy, uid, selector, exempt);
        let owner = mutation.cluster_role().zip(mutation_owner.as_deref());
        match mutation {
            MutationMode::Policies => objects.extend(mutation_bindings::bindings(name, bound, owner)),
            MutationMode::Webhook(webhook) => {
                objects.push(mutation_webhook::configuration(name, bound, webhook, owner));
            }
            MutationMode::None => {}
        }
    }
    objects.into_iter().map(|object| ((object.kind(), object.name().to_owned()), object)).collect()
}

/// The name of an object of the policy `policy`. No policy's name holds a dot, so no two make the same.
fn object_name(policy: &str, what: &str) -> String {
    format!("rempart.{policy}.{what}")
}

/// The policy whose object has this `name`, if it is one that a policy can have, now or by another spec.
#[must_use]
pub fn policy_of(name: &str) -> Option<&str> {
    let (policy, what) = name.strip_prefix("rempart.")?.split_once('.')?;
    let ends = [
        "pods",
        "pod-updates",
        "workloads",
        "namespaces",
        "bindings",
        "declassify-namespaces",
        "declassify-workloads",
        "nodes",
        "templates",
        "mutations",
        "scheduling",
    ];
    let end = what.split('.').next().unwrap_or_default();
    let is_ours = ends.contains(&end) || end.starts_with("pods-");
    (!policy.is_empty() && is_ours).then_some(policy)
}

/// Whether an admission policy or binding of this `name` may be the chart's.
fn is_of_chart(name: &str) -> bool {
    name.starts_with("rempart-")
}

/// Whether an admission policy or binding of this `name` may be the chart's, or is one that a policy can have.
#[must_use]
pub fn is_ours(name: &str) -> bool {
    is_of_chart(name) || policy_of(name).is_some()
}

/// What makes a `ClusterRole` of the chart the owner of an object: it ends with the role.
#[must_use]
pub fn owned_by_role(name: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: "rbac.authorization.k8s.io/v1".to_owned(),
        kind: "ClusterRole".to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        ..OwnerReference::default()
    }
}

/// The metadata of the object `name` of the policy `policy`, which a `ClusterRole` owns, by name and identifier.
fn metadata(name: &str, policy: &str, description: Option<&str>, owner: Option<(&str, &str)>) -> ObjectMeta {
    let text = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    let labels = [("app.kubernetes.io/name", "rempart"), MANAGED_BY, (POLICY_LABEL, policy)];
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(labels.map(text).into()),
        annotations: description.map(|description| [text((DESCRIPTION, description))].into()),
        owner_references: owner.map(|(name, uid)| vec![owned_by_role(name, uid)]),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests;
