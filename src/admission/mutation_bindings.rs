//! Bindings of mutations. The mutations are the chart's: they take each `PlacementPolicy` as their parameter.
//!
//! Nothing rests on them. What they miss, the validations refuse.

use k8s_openapi::{
    api::admissionregistration::v1::{MutatingAdmissionPolicyBinding, MutatingAdmissionPolicyBindingSpec, ParamRef},
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta},
};

use super::{
    AdmissionObject,
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
/// Gives pods what their level wishes of the scheduler. Bound only where a level wishes anything.
const SCHEDULING: &str = "rempart-scheduling";

/// A mutation with the namespaces and the objects for which it is bound.
pub(super) struct BoundMutation {
    pub(super) mutation: &'static str,
    /// How its name ends.
    pub(super) end: String,
    /// The namespaces.
    pub(super) namespaces: LabelSelector,
    pub(super) objects: LabelSelector,
}

impl BoundMutation {
    /// Whether it is about pod templates rather than pods.
    pub(super) fn completes_templates(&self) -> bool {
        self.mutation == TEMPLATES
    }

    /// Whether it gives nothing but wishes.
    pub(super) fn is_of_wishes(&self) -> bool {
        self.mutation == SCHEDULING
    }

    /// A word for its namespaces. The names of what binds it hold it: when the namespaces change, those of before and of now
    /// stand side by side until the policy's validations have followed.
    pub(super) fn scope(&self) -> u64 {
        digest(&ObjectMeta::default(), &self.namespaces) & 0xffff_ffff
    }
}

/// The names of the mutations that are bound, which the chart installs.
#[cfg(test)]
pub(super) fn mutations() -> impl Iterator<Item = &'static str> {
    [PODS, PODS_FLOOR, TEMPLATES, SCHEDULING].into_iter()
}

/// What is bound for `policy`, whose identifier is `uid` and which governs the namespaces of `selector`, all but the `exempt`
/// ones where there is none.
pub(super) fn bound(
    policy: &Policy,
    uid: Option<&str>,
    selector: Option<&LabelSelector>,
    exempt: &[String],
) -> Vec<BoundMutation> {
    let exceptions: Vec<&str> =
        policy.exceptions.values().flat_map(|exception| &exception.namespaces).map(String::as_str).collect();
    let exceptional =
        |operator| (!exceptions.is_empty()).then(|| demand("kubernetes.io/metadata.name", operator, &exceptions));
    let uncategorized = || demand(keys::CATEGORIES, "DoesNotExist", &[]);
    let bind = |mutation, end: String, also: Vec<LabelSelectorRequirement>, objects| BoundMutation {
        mutation,
        end,
        namespaces: governed(selector, exempt, also),
        objects,
    };
    // Where a mark tells what a pod needs.
    let marked = |mutation, end: String, level: LabelSelectorRequirement, of| {
        let namespaces = [uncategorized(), level].into_iter().chain(exceptional("NotIn")).collect();
        bind(mutation, end, namespaces, completion::unmarked(policy, uid, of))
    };
    let unsaid = demand(keys::SENSITIVITY, "DoesNotExist", &[]);
    let mut bindings = vec![marked(PODS, "pods".to_owned(), unsaid, NamespaceLevel::Unsaid)];
    bindings.extend(policy.levels.iter().enumerate().map(|(rank, level)| {
        let name = level.name.as_str();
        let said = demand(keys::SENSITIVITY, "In", &[name]);
        marked(PODS_FLOOR, format!("pods-floor-{name}"), said, NamespaceLevel::Said(rank))
    }));
    let all = |mutation, end: &str, namespaces| bind(mutation, end.to_owned(), namespaces, LabelSelector::default());
    bindings.push(all(PODS_FLOOR, "pods-categories", vec![demand(keys::CATEGORIES, "Exists", &[])]));
    let excepted =
        exceptional("In").map(|namespaces| all(PODS_FLOOR, "pods-exceptions", vec![uncategorized(), namespaces]));
    bindings.extend(excepted);
    bindings.push(all(TEMPLATES, "templates", vec![]));
    // A pod that has its keys has no wishes yet, so marks tell nothing here.
    bindings.extend(policy.has_wishes().then(|| all(SCHEDULING, "scheduling", vec![])));
    bindings
}

/// The bindings of the chart's mutations for the policy `policy`, which the `ClusterRole` `owner` owns.
pub(super) fn bindings(
    policy: &str,
    bound: Vec<BoundMutation>,
    owner: Option<(&str, &str)>,
) -> impl Iterator<Item = AdmissionObject> {
    let param_ref = ParamRef {
        name: Some(policy.to_owned()),
        // A mutation without its parameter changes nothing, and what it misses is refused.
        parameter_not_found_action: Some("Allow".to_owned()),
        ..ParamRef::default()
    };
    bound.into_iter().map(move |bound| {
        let full = format!("{}.{:08x}", object_name(policy, &bound.end), bound.scope());
        let mut resources = resources(None, bound.namespaces);
        resources.object_selector = Some(bound.objects);
        let spec = MutatingAdmissionPolicyBindingSpec {
            policy_name: Some(bound.mutation.to_owned()),
            param_ref: Some(param_ref.clone()),
            match_resources: Some(resources),
        };
        let metadata = metadata(&full, policy, None, owner);
        AdmissionObject::MutatingBinding(MutatingAdmissionPolicyBinding { metadata, spec: Some(spec) })
    })
}
