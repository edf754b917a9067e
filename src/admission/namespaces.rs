//! Validation of namespaces: their labels say the level and the categories of all that runs in them. A label that the
//! policy does not know would stop every pod, so it is refused where it is written.

use super::{
    CompiledValidation,
    constants::variable,
    matching::{Labelled, Target, condition},
    statements::{self, Note, notes},
};
use rempart_core::policy::Policy;

/// The validation of namespaces for `policy`.
pub(super) fn compiled(policy: &Policy) -> CompiledValidation {
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
    variables.push(variable("fine", "variables.wrongLevels.size() + variables.wrongCategories.size() == 0"));
    CompiledValidation {
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
            "['rempart.dev/sensitivity', 'rempart.dev/categories'].exists(k,\n  \
             object.metadata.?labels[?k].hasValue()\n  \
             && object.metadata.?labels[?k] != oldObject.?metadata.?labels[?k])",
        )],
        variables,
        validations: vec![statements::refusal(
            "'namespace ' + object.metadata.name",
            statements::wrong_note_cases(policy),
            "a label of rempart.dev names what the PlacementPolicy does not have",
        )],
    }
}
