//! Admission bindings: which of them each policy must have, and what each binds.
//!
//! Takes a policy's name and spec, and returns its [`PolicyBindings`], every field written out as the API server would.
//! The admission policies are the chart's. A binding ties one of them to one `PlacementPolicy` as its parameter, in the
//! namespaces that the policy governs.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::admissionregistration::v1::{
        MatchResources, MutatingAdmissionPolicyBindingSpec, ParamRef, ValidatingAdmissionPolicyBindingSpec,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta},
};

use crate::api::{PlacementPolicySpec, PolicyMode};
use crate::operator::{
    cache::{ClusterCache, ObservedBinding},
    names::MANAGED_BY,
};
use rempart_core::keys;

/// Every binding's label with the name of its `PlacementPolicy`.
pub const POLICY_LABEL: &str = "rempart.dev/policy";

/// The mutations that policies are bound to: the admission policy, how the binding's name begins, and the namespaces.
///
/// With a dash and the policy's name after it, which may hold dashes too, no two make the same name: none begins as
/// another followed by a dash.
const MUTATIONS: [(&str, &str, NamespaceFloor); 4] = [
    ("rempart-pods", "rempart-pods", NamespaceFloor::Absent),
    ("rempart-pods-floor", "rempart-floor", NamespaceFloor::Sensitivity),
    ("rempart-pods-floor", "rempart-categories", NamespaceFloor::CategoriesAlone),
    ("rempart-templates", "rempart-templates", NamespaceFloor::Any),
];

/// The validations that policies are bound to, likewise.
const VALIDATIONS: [(&str, &str, NamespaceFloor); 7] = [
    ("rempart-pods", "rempart-pods", NamespaceFloor::Absent),
    ("rempart-pods-floor", "rempart-floor", NamespaceFloor::Sensitivity),
    ("rempart-pods-floor", "rempart-categories", NamespaceFloor::CategoriesAlone),
    ("rempart-pod-updates", "rempart-pod-updates", NamespaceFloor::Any),
    ("rempart-workloads", "rempart-workloads", NamespaceFloor::Any),
    ("rempart-namespaces", "rempart-namespaces", NamespaceFloor::Any),
    ("rempart-bindings", "rempart-bindings", NamespaceFloor::Any),
];

/// Mutations of the chart that need no binding of ours.
const STATIC_MUTATIONS: [&str; 2] = ["rempart-stale-keys", "rempart-stale-keys-templates"];
/// Validations of the chart that need no binding of ours.
const STATIC_VALIDATIONS: [&str; 2] = ["rempart-stamps", "rempart-operator"];

/// What a namespace's labels say about the level of its pods. Pods of namespaces that say nothing can be judged by
/// themselves, which a match condition can do; no match condition sees a namespace.
#[derive(Clone, Copy)]
enum NamespaceFloor {
    Any,
    Absent,
    Sensitivity,
    CategoriesAlone,
}

impl NamespaceFloor {
    fn expressions(self) -> Vec<LabelSelectorRequirement> {
        let demand = |key: &str, operator: &str| LabelSelectorRequirement {
            key: key.to_owned(),
            operator: operator.to_owned(),
            values: None,
        };
        match self {
            Self::Any => vec![],
            Self::Absent => vec![demand(keys::SENSITIVITY, "DoesNotExist"), demand(keys::CATEGORIES, "DoesNotExist")],
            Self::Sensitivity => vec![demand(keys::SENSITIVITY, "Exists")],
            Self::CategoriesAlone => {
                vec![demand(keys::SENSITIVITY, "DoesNotExist"), demand(keys::CATEGORIES, "Exists")]
            }
        }
    }
}

/// The bindings that one policy must have, by name.
#[derive(Clone, Debug, Default)]
pub struct PolicyBindings {
    /// Of mutations.
    pub mutating: BTreeMap<String, MutatingAdmissionPolicyBindingSpec>,
    /// Of validations.
    pub validating: BTreeMap<String, ValidatingAdmissionPolicyBindingSpec>,
}

impl PolicyBindings {
    /// Whether all of them are in `cache`, as they are here.
    #[must_use]
    pub fn are_in(&self, cache: &ClusterCache) -> bool {
        self.missing_from(cache).next().is_none()
    }

    /// Those that are not in `cache`, or otherwise than here.
    pub fn missing_from<'a>(&'a self, cache: &'a ClusterCache) -> impl Iterator<Item = String> + 'a {
        let mutating = self.mutating.iter().filter(|(name, spec)| !bound(cache.mutating_bindings.get(name), spec));
        let validating =
            self.validating.iter().filter(|(name, spec)| !bound(cache.validating_bindings.get(name), spec));
        mutating
            .map(|(name, _)| format!("MutatingAdmissionPolicyBinding {name}"))
            .chain(validating.map(|(name, _)| format!("ValidatingAdmissionPolicyBinding {name}")))
    }
}

fn bound<S: PartialEq>(found: Option<&ObservedBinding<S>>, spec: &S) -> bool {
    found.is_some_and(|found| found.meta.deletion_timestamp.is_none() && found.spec.as_ref() == Some(spec))
}

/// The names of all bindings that the policy `name` may have, in whatever mode: of mutations, and of validations.
pub fn names(name: &str) -> (impl Iterator<Item = String>, impl Iterator<Item = String>) {
    let of = move |prefix: &str| format!("{prefix}-{name}");
    (MUTATIONS.iter().map(move |(_, prefix, _)| of(prefix)), VALIDATIONS.iter().map(move |(_, prefix, _)| of(prefix)))
}

/// The bindings of the policy `name`, everywhere but in the `exempt` namespaces.
///
/// Every field that the API server would fill in is written out, so that what is read back equals what was meant.
#[must_use]
pub fn bindings(name: &str, spec: &PlacementPolicySpec, exempt: &[String]) -> PolicyBindings {
    let param_ref = ParamRef {
        name: Some(name.to_owned()),
        // Without its parameter a policy cannot be evaluated, and what cannot be evaluated clears nothing.
        parameter_not_found_action: Some("Deny".to_owned()),
        ..ParamRef::default()
    };
    let matching = |floor: NamespaceFloor| MatchResources {
        match_policy: Some("Equivalent".to_owned()),
        namespace_selector: Some(namespaces(spec.namespace_selector.as_ref(), exempt, floor)),
        object_selector: Some(LabelSelector::default()),
        ..MatchResources::default()
    };
    let mut bindings = PolicyBindings::default();
    if spec.mode == PolicyMode::Enforce {
        for (policy, binding, floor) in MUTATIONS {
            let spec = MutatingAdmissionPolicyBindingSpec {
                policy_name: Some(policy.to_owned()),
                param_ref: Some(param_ref.clone()),
                match_resources: Some(matching(floor)),
            };
            bindings.mutating.insert(format!("{binding}-{name}"), spec);
        }
    }
    let action = match spec.mode {
        PolicyMode::Enforce => "Deny",
        PolicyMode::Warn => "Warn",
        PolicyMode::Audit => "Audit",
    };
    for (policy, binding, floor) in VALIDATIONS {
        let spec = ValidatingAdmissionPolicyBindingSpec {
            policy_name: policy.to_owned(),
            param_ref: Some(param_ref.clone()),
            match_resources: Some(matching(floor)),
            validation_actions: vec![action.to_owned()],
        };
        bindings.validating.insert(format!("{binding}-{name}"), spec);
    }
    bindings
}

/// The mutations and validations that the chart must have installed.
#[must_use]
pub fn admission_policies() -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
    let mutations = MUTATIONS.iter().map(|(policy, _, _)| *policy).chain(STATIC_MUTATIONS);
    let validations = VALIDATIONS.iter().map(|(policy, _, _)| *policy).chain(STATIC_VALIDATIONS);
    (mutations.collect(), validations.collect())
}

/// The metadata of the binding `name` of the policy `policy`.
#[must_use]
pub fn metadata(name: &str, policy: &str) -> ObjectMeta {
    let labels = [("app.kubernetes.io/name", "rempart"), MANAGED_BY, (POLICY_LABEL, policy)];
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
        ..ObjectMeta::default()
    }
}

fn namespaces(selector: Option<&LabelSelector>, exempt: &[String], floor: NamespaceFloor) -> LabelSelector {
    let LabelSelector { match_labels, match_expressions } = selector.cloned().unwrap_or_default();
    let mut expressions = match_expressions.unwrap_or_default();
    for expression in &mut expressions {
        // An empty list is not kept, and what is read back would differ for ever from what was meant.
        expression.values = expression.values.take().filter(|values| !values.is_empty());
    }
    if !exempt.is_empty() {
        expressions.push(LabelSelectorRequirement {
            key: "kubernetes.io/metadata.name".to_owned(),
            operator: "NotIn".to_owned(),
            values: Some(exempt.to_vec()),
        });
    }
    expressions.extend(floor.expressions());
    LabelSelector {
        match_labels: match_labels.filter(|labels| !labels.is_empty()),
        match_expressions: Some(expressions).filter(|expressions| !expressions.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(selector: &str) -> PlacementPolicySpec {
        serde_saphyr::from_str(&format!(
            "{{mode: Enforce, defaultLevel: low, levels: [{{name: low}}], namespaceSelector: {selector}}}"
        ))
        .unwrap()
    }

    #[test]
    fn no_two_policies_share_a_binding() {
        let prefixes: BTreeSet<_> = MUTATIONS.iter().chain(&VALIDATIONS).map(|(_, prefix, _)| *prefix).collect();
        for a in &prefixes {
            for b in &prefixes {
                assert!(a == b || !b.starts_with(&format!("{a}-")), "{b}-x may be {a}-… of another policy");
            }
        }
    }

    #[test]
    fn nothing_is_written_that_would_read_back_otherwise() {
        let spec = spec("{matchLabels: {}, matchExpressions: [{key: team, operator: Exists, values: []}]}");
        for binding in bindings("state", &spec, &[]).mutating.values() {
            let selector =
                binding.match_resources.as_ref().and_then(|found| found.namespace_selector.as_ref()).unwrap();
            assert_eq!(selector.match_labels, None);
            assert!(selector.match_expressions.iter().flatten().all(|expression| expression.values.is_none()));
        }
    }
}
