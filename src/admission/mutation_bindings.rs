//! Bindings of mutations. The mutations are the chart's: they take each `PlacementPolicy` as their parameter.
//!
//! Nothing rests on them. What they miss, the validations refuse.

use k8s_openapi::{
    api::admissionregistration::v1::{MutatingAdmissionPolicyBinding, MutatingAdmissionPolicyBindingSpec, ParamRef},
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta},
};

use super::{
    AdmissionObject, AdmissionSettings,
    matching::{demand, governed, resources},
    metadata,
    object::digest,
    object_name,
};
use rempart_core::keys;

/// What a namespace's labels say about the level of its pods. Pods of namespaces that say nothing can be judged by
/// themselves, which a match condition can do; no match condition sees a namespace.
#[derive(Clone, Copy)]
enum NamespaceFloor {
    Any,
    Absent,
    Sensitivity,
    CategoriesAlone,
}

/// The mutations that policies are bound to: the admission policy, how the binding's name ends, and the namespaces.
const MUTATIONS: [(&str, &str, NamespaceFloor); 4] = [
    ("rempart-pods", "pods", NamespaceFloor::Absent),
    ("rempart-pods-floor", "pods-floor", NamespaceFloor::Sensitivity),
    ("rempart-pods-floor", "pods-categories", NamespaceFloor::CategoriesAlone),
    ("rempart-templates", "templates", NamespaceFloor::Any),
];

/// The names of the mutations that are bound, which the chart installs.
#[cfg(test)]
pub(super) fn mutations() -> impl Iterator<Item = &'static str> {
    MUTATIONS.iter().map(|(policy, _, _)| *policy)
}

impl NamespaceFloor {
    fn demands(self) -> Vec<LabelSelectorRequirement> {
        let of = |key, operator| demand(key, operator, &[]);
        match self {
            Self::Any => vec![],
            Self::Absent => vec![of(keys::SENSITIVITY, "DoesNotExist"), of(keys::CATEGORIES, "DoesNotExist")],
            Self::Sensitivity => vec![of(keys::SENSITIVITY, "Exists")],
            Self::CategoriesAlone => vec![of(keys::SENSITIVITY, "DoesNotExist"), of(keys::CATEGORIES, "Exists")],
        }
    }
}

/// The bindings of mutations for the policy `name`.
///
/// Their names say for which namespaces they are: when a policy's selector changes, those of before and of now stand side
/// by side until its validations have followed.
pub(super) fn bindings(
    name: &str,
    selector: Option<&LabelSelector>,
    settings: &AdmissionSettings,
) -> Vec<AdmissionObject> {
    let AdmissionSettings { exempt, owner, .. } = settings;
    let param_ref = ParamRef {
        name: Some(name.to_owned()),
        // A mutation without its parameter changes nothing, and what it misses is refused.
        parameter_not_found_action: Some("Allow".to_owned()),
        ..ParamRef::default()
    };
    let governs = digest(&ObjectMeta::default(), &governed(selector, exempt, []));
    let binding = |(policy, end, floor): (&str, &str, NamespaceFloor)| {
        let spec = MutatingAdmissionPolicyBindingSpec {
            policy_name: Some(policy.to_owned()),
            param_ref: Some(param_ref.clone()),
            match_resources: Some(resources(None, governed(selector, exempt, floor.demands()))),
        };
        let full = format!("{}.{:08x}", object_name(name, end), governs & 0xffff_ffff);
        let metadata = metadata(&full, name, None, owner.as_deref());
        AdmissionObject::MutatingBinding(MutatingAdmissionPolicyBinding { metadata, spec: Some(spec) })
    };
    MUTATIONS.into_iter().map(binding).collect()
}
