//! Matching: which requests reach an admission policy, of which objects and in which namespaces.
//!
//! Every field that the API server would fill in is written out, so that what is read back equals what was meant.

use std::collections::BTreeSet;

use k8s_openapi::{
    api::admissionregistration::v1::{MatchCondition, MatchResources, NamedRuleWithOperations},
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
};

/// Which operations on which resources.
#[derive(Clone, Debug)]
pub(super) struct Target(Vec<NamedRuleWithOperations>);

impl Target {
    /// These `operations` on the resources of these groups, `""` for the core group.
    pub(super) fn new(operations: &[&str], resources: &[(&str, &[&str])]) -> Self {
        let owned = |values: &[&str]| Some(values.iter().map(|value| (*value).to_owned()).collect());
        let rule = |(group, resources): &(&str, &[&str])| NamedRuleWithOperations {
            api_groups: owned(&[group]),
            api_versions: owned(&["v1"]),
            operations: owned(operations),
            resource_names: None,
            resources: owned(resources),
            scope: Some("*".to_owned()),
        };
        Self(resources.iter().map(rule).collect())
    }

    /// As rules, one for each group.
    pub(super) fn rules(&self) -> impl Iterator<Item = &NamedRuleWithOperations> {
        self.0.iter()
    }

    /// Objects with pod templates.
    pub(super) fn templates() -> Self {
        let resources: [(&str, &[&str]); 2] =
            [("apps", &["deployments", "statefulsets", "daemonsets", "replicasets"]), ("batch", &["jobs", "cronjobs"])];
        Self::new(&["CREATE", "UPDATE"], &resources)
    }

    /// Objects with pod templates, and their statuses, through which annotations can be changed too.
    pub(super) fn templates_and_statuses(operations: &[&str]) -> Self {
        let resources: [(&str, &[&str]); 2] = [
            (
                "apps",
                &[
                    "deployments",
                    "deployments/status",
                    "statefulsets",
                    "statefulsets/status",
                    "daemonsets",
                    "daemonsets/status",
                    "replicasets",
                    "replicasets/status",
                ],
            ),
            ("batch", &["jobs", "jobs/status", "cronjobs", "cronjobs/status"]),
        ];
        Self::new(operations, &resources)
    }
}

/// Which namespaces, beyond those that the policy governs, by their labels.
#[derive(Clone, Debug)]
pub(super) enum Labelled {
    /// Those that meet all of these.
    Only(Vec<LabelSelectorRequirement>),
    /// Those that meet all of one of these, each with the end of the name of a binding.
    Either(Vec<(&'static str, Vec<LabelSelectorRequirement>)>),
    /// All that are not exempt, whether the policy governs them or not: a match condition says.
    Anywhere,
}

/// A requirement of a label selector.
pub(super) fn demand(key: &str, operator: &str, values: &[&str]) -> LabelSelectorRequirement {
    LabelSelectorRequirement {
        key: key.to_owned(),
        operator: operator.to_owned(),
        values: (!values.is_empty()).then(|| values.iter().map(|value| (*value).to_owned()).collect()),
    }
}

/// A match condition.
pub(super) fn condition(name: &str, expression: impl Into<String>) -> MatchCondition {
    MatchCondition { name: name.to_owned(), expression: expression.into() }
}

/// The keys of the labels by which `selector` selects.
#[must_use]
pub fn selected_by(selector: &LabelSelector) -> BTreeSet<&str> {
    let expressions = selector.match_expressions.iter().flatten().map(|term| term.key.as_str());
    expressions.chain(selector.match_labels.iter().flatten().map(|(key, _)| key.as_str())).collect()
}

/// The namespaces that a policy governs, by its `selector`, but the `exempt` ones, and of these those that meet `also`.
pub(super) fn governed(
    selector: Option<&LabelSelector>,
    exempt: &[String],
    also: impl IntoIterator<Item = LabelSelectorRequirement>,
) -> LabelSelector {
    let LabelSelector { match_labels, match_expressions } = selector.cloned().unwrap_or_default();
    let mut expressions = match_expressions.unwrap_or_default();
    for expression in &mut expressions {
        // An empty list is not kept, and what is read back would differ for ever from what was meant.
        expression.values = expression.values.take().filter(|values| !values.is_empty());
    }
    if !exempt.is_empty() {
        let exempt: Vec<&str> = exempt.iter().map(String::as_str).collect();
        expressions.push(demand("kubernetes.io/metadata.name", "NotIn", &exempt));
    }
    expressions.extend(also);
    LabelSelector {
        match_labels: match_labels.filter(|labels| !labels.is_empty()),
        match_expressions: Some(expressions).filter(|expressions| !expressions.is_empty()),
    }
}

/// Requests of `target` in namespaces of `selector`; everything when there is no target.
pub(super) fn resources(target: Option<&Target>, selector: LabelSelector) -> MatchResources {
    MatchResources {
        exclude_resource_rules: None,
        match_policy: Some("Equivalent".to_owned()),
        namespace_selector: Some(selector),
        object_selector: Some(LabelSelector::default()),
        resource_rules: target.map(|target| target.0.clone()),
    }
}
