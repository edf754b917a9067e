//! Bindings of mutations. The mutations are the chart's: they take each `PlacementPolicy` as their parameter.
//!
//! Nothing rests on them. What they miss, the validations refuse.

use k8s_openapi::{
    api::admissionregistration::v1::{MutatingAdmissionPolicyBinding, MutatingAdmissionPolicyBindingSpec, ParamRef},
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta},
};

use super::{
    AdmissionObject, AdmissionSettings,
    completion::{self, NamespaceLevel},
    matching::{demand, governed, resources},
    metadata,
    object::digest,
    object_name,
};
use rempart_core::{keys, policy::Policy};

/// Gives pods their keys where the namespace says nothing, so that a pod can be judged by itself, which a match condition
/// can do; no match condition sees a namespace.
const PODS: &str = "rempart-pods";
/// Gives pods their keys where the namespace may have a say.
const PODS_FLOOR: &str = "rempart-pods-floor";
/// Completes templates.
const TEMPLATES: &str = "rempart-templates";

/// A mutation with the namespaces and the objects for which it is bound.
struct MutationBinding {
    mutation: &'static str,
    /// How its name ends.
    end: String,
    /// The namespaces, beyond those that the policy governs.
    namespaces: Vec<LabelSelectorRequirement>,
    objects: LabelSelector,
}

/// The names of the mutations that are bound, which the chart installs.
#[cfg(test)]
pub(super) fn mutations() -> impl Iterator<Item = &'static str> {
    [PODS, PODS_FLOOR, TEMPLATES].into_iter()
}

/// What `policy` is bound to, where its identifier is `uid`.
fn bound(policy: &Policy, uid: Option<&str>) -> Vec<MutationBinding> {
    let exceptions: Vec<&str> =
        policy.exceptions.values().flat_map(|exception| &exception.namespaces).map(String::as_str).collect();
    let exceptional =
        |operator| (!exceptions.is_empty()).then(|| demand("kubernetes.io/metadata.name", operator, &exceptions));
    let uncategorized = || demand(keys::CATEGORIES, "DoesNotExist", &[]);
    // Where a mark tells what a pod needs.
    let marked = |mutation, end: String, level: LabelSelectorRequirement, of| MutationBinding {
        mutation,
        end,
        namespaces: [uncategorized(), level].into_iter().chain(exceptional("NotIn")).collect(),
        objects: completion::unmarked(policy, uid, of),
    };
    let unsaid = demand(keys::SENSITIVITY, "DoesNotExist", &[]);
    let mut bindings = vec![marked(PODS, "pods".to_owned(), unsaid, NamespaceLevel::Unsaid)];
    bindings.extend(policy.levels.iter().enumerate().map(|(rank, level)| {
        let name = level.name.as_str();
        let said = demand(keys::SENSITIVITY, "In", &[name]);
        marked(PODS_FLOOR, format!("pods-floor-{name}"), said, NamespaceLevel::Said(rank))
    }));
    let all = |mutation, end: &str, namespaces| MutationBinding {
        mutation,
        end: end.to_owned(),
        namespaces,
        objects: LabelSelector::default(),
    };
    bindings.push(all(PODS_FLOOR, "pods-categories", vec![demand(keys::CATEGORIES, "Exists", &[])]));
    let excepted =
        exceptional("In").map(|namespaces| all(PODS_FLOOR, "pods-exceptions", vec![uncategorized(), namespaces]));
    bindings.extend(excepted);
    bindings.push(all(TEMPLATES, "templates", vec![]));
    bindings
}

/// The bindings of mutations for `policy`, which governs the namespaces of `selector`.
///
/// Their names say for which namespaces they are: when these change, those of before and of now stand side by side until
/// the policy's validations have followed.
pub(super) fn bindings(
    policy: &Policy,
    uid: Option<&str>,
    selector: Option<&LabelSelector>,
    settings: &AdmissionSettings,
) -> Vec<AdmissionObject> {
    let AdmissionSettings { exempt, owner, .. } = settings;
    let name = policy.name.as_str();
    let param_ref = ParamRef {
        name: Some(name.to_owned()),
        // A mutation without its parameter changes nothing, and what it misses is refused.
        parameter_not_found_action: Some("Allow".to_owned()),
        ..ParamRef::default()
    };
    let binding = |bound: MutationBinding| {
        let namespaces = governed(selector, exempt, bound.namespaces);
        let governs = digest(&ObjectMeta::default(), &namespaces);
        let mut resources = resources(None, namespaces);
        resources.object_selector = Some(bound.objects);
        let spec = MutatingAdmissionPolicyBindingSpec {
            policy_name: Some(bound.mutation.to_owned()),
            param_ref: Some(param_ref.clone()),
            match_resources: Some(resources),
        };
        let full = format!("{}.{:08x}", object_name(name, &bound.end), governs & 0xffff_ffff);
        let metadata = metadata(&full, name, None, owner.as_deref());
        AdmissionObject::MutatingBinding(MutatingAdmissionPolicyBinding { metadata, spec: Some(spec) })
    };
    bound(policy, uid).into_iter().map(binding).collect()
}
