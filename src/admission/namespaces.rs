//! Validation of namespaces: their labels say the level and the categories of all that runs in them. A label that the
//! policy does not know would stop every pod, so it is refused where it is written. Where the policy has each of its
//! namespaces say a level, one that says none is refused when it is made, when it comes under the policy and when its level
//! is taken away; one that was silent before goes on.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::{
    CompiledValidation,
    cel::list,
    constants::{level_names, variable},
    matching::{Labelled, Target, condition},
    statements::{self, Note, RefusalCase, notes},
};
use rempart_core::{keys, policy::Policy};

/// The validation of namespaces for `policy`.
pub(super) fn compiled(policy: &Policy, selector: Option<&LabelSelector>) -> CompiledValidation {
    let mut variables = vec![
        variable(
            "levelNotes",
            notes([Note::new("object.metadata.?labels[?'rempart.dev/sensitivity']")
                .other_than("oldObject.?metadata.?labels[?'rempart.dev/sensitivity']")
                .standing("'label rempart.dev/sensitivity'")]),
        ),
        variable(
            "categoryNotes",
            notes([Note::new("object.metadata.?labels[?'rempart.dev/categories']")
                .other_than("oldObject.?metadata.?labels[?'rempart.dev/categories']")
                .standing("'label rempart.dev/categories'")
                .separated_by(".")]),
        ),
    ];
    variables.extend(statements::wrong_notes(policy));
    let silenced = policy.requires_namespace_level.then(|| silenced(selector));
    let also = if silenced.is_some() { " && !variables.silenced" } else { "" };
    variables.extend(silenced.as_ref().map(|silenced| variable("silenced", silenced)));
    variables
        .push(variable("fine", format!("variables.wrongLevels.size() + variables.wrongCategories.size() == 0{also}")));
    let or_silenced = silenced.as_ref().map(|silenced| format!("\n|| ({silenced})")).unwrap_or_default();
    let mut cases = statements::wrong_note_cases(policy);
    cases.extend(silenced.map(|_| RefusalCase {
        when: "true",
        says: format!(
            "'has no label {}, by which PlacementPolicy {} has each of its namespaces say its level; levels, least to most \
             sensitive: {}'",
            keys::SENSITIVITY,
            policy.name,
            level_names(policy).join(", ")
        ),
    }));
    CompiledValidation {
        audits: Vec::new(),
        name: "namespaces".to_owned(),
        description: "Labels of ours that a namespace is given.".to_owned(),
        // Labels can be changed through each.
        target: Target::new(
            &["CREATE", "UPDATE"],
            &[("", &["namespaces", "namespaces/status", "namespaces/finalize"])],
        ),
        labelled: Labelled::Only(vec![]),
        // No namespace can be held up in its deletion.
        conditions: vec![condition(
            "changes-a-label-of-ours",
            format!(
                "['rempart.dev/sensitivity', 'rempart.dev/categories'].exists(k,\n  \
                 object.metadata.?labels[?k].hasValue()\n  \
                 && object.metadata.?labels[?k] != oldObject.?metadata.?labels[?k]){or_silenced}"
            ),
        )],
        variables,
        validations: vec![statements::refusal(
            "'namespace ' + object.metadata.name",
            cases,
            "a label of rempart.dev names what the PlacementPolicy does not have, or one that it demands is missing",
        )],
    }
}

/// Whether a request leaves a namespace without a level that had one, or that was not there, or that may not have been
/// under the policy of this `selector` before: of the labels that this asks for, one was changed. A namespace that is about
/// to go may go.
fn silenced(selector: Option<&LabelSelector>) -> String {
    let selector = selector.cloned().unwrap_or_default();
    let expressions = selector.match_expressions.unwrap_or_default();
    let mut selected: BTreeSet<String> = expressions.into_iter().map(|expression| expression.key).collect();
    selected.extend(selector.match_labels.unwrap_or_default().into_keys());
    let level = keys::SENSITIVITY;
    selected.insert(level.to_owned());
    let selected = list(&selected);
    format!(
        "!object.metadata.?labels[?'{level}'].hasValue() && !has(object.metadata.deletionTimestamp)\n  \
         && (request.operation == 'CREATE' || {selected}.exists(k,\n    \
         object.metadata.?labels[?k] != oldObject.?metadata.?labels[?k]))"
    )
}
