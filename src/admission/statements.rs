//! Statements: what admission expressions read of what is said of a pod, and how they tell what is wrong with it.
//!
//! Variables and validations that several admission policies share. Each text is written once, and names the constants of
//! a policy as variables.

use k8s_openapi::api::admissionregistration::v1::{Validation, Variable};

use super::constants::{self, variable};
use rempart_core::{admission::LONGEST_ANNOTATION, policy::Policy};

/// What a workload says, and its pod template.
pub(super) fn of_workload() -> Vec<Variable> {
    vec![
        variable(
            "template",
            "request.kind.kind == 'CronJob' ? object.spec.jobTemplate.spec.template : object.spec.template",
        ),
        variable("workloadLevel", "object.metadata.?annotations[?'rempart.dev/sensitivity']"),
        variable("workloadCategories", "object.metadata.?annotations[?'rempart.dev/categories']"),
        variable("podLevel", "variables.template.?metadata.?annotations[?'rempart.dev/sensitivity']"),
        variable("podCategories", "variables.template.?metadata.?annotations[?'rempart.dev/categories']"),
    ]
}

/// Whether a template is not completed by that of its owner. A `ReplicaSet` of a `Deployment` and a `Job` of a `CronJob` come
/// from a template that is complete already; altering a `ReplicaSet`'s would make its `Deployment` create new ones without
/// end.
pub(super) const TEMPLATE_OF_ITS_OWN: &str = "!(request.kind.kind in ['ReplicaSet', 'Job']) ||\n  \
     !object.metadata.?ownerReferences.orValue([]).exists(o, o.?controller.orValue(false)\n    \
     && (request.kind.kind == 'ReplicaSet' || o.kind == 'CronJob'))";

/// Whether the request itself changes the template or our annotations, so that a rollout happens anyway; a `Job`'s template
/// can only change while it waits for its first start.
pub(super) const TOUCHED: &str = "request.operation == 'CREATE' || (\n  \
     !has(object.metadata.deletionTimestamp)\n  \
     && (request.kind.kind != 'Job' ||\n    \
     (oldObject.spec.?suspend.orValue(false) && !oldObject.?status.?startTime.hasValue()))\n  \
     && (object.metadata.?annotations[?'rempart.dev/sensitivity'] != oldObject.metadata.?annotations[?'rempart.dev/sensitivity']\n    \
     || object.metadata.?annotations[?'rempart.dev/categories'] != oldObject.metadata.?annotations[?'rempart.dev/categories']\n    \
     || (request.kind.kind == 'CronJob'\n      \
     ? object.spec.jobTemplate.spec.template != oldObject.spec.jobTemplate.spec.template\n      \
     : object.spec.template != oldObject.spec.template)))";

/// The object, as messages call it.
pub(super) const SUBJECT: &str = "request.kind.kind.lowerAscii() + ' ' + request.namespace + '/'\n  \
     + (object.metadata.?name.orValue('') != '' ? object.metadata.name : object.metadata.?generateName.orValue(''))";

/// `value`, a CEL expression, as a message shows it: quoted, its first 64 characters, control characters escaped. The
/// API server drops a message that holds a line break.
pub(super) fn quoted(value: &str) -> String {
    format!("strings.quote({value}.size() > 64 ? {value}.substring(0, 64) : {value})")
}

/// Something that may be said, as CEL.
pub(super) struct Note {
    value: &'static str,
    other_than: Option<&'static str>,
    place: &'static str,
    separator: Option<&'static str>,
}

impl Note {
    /// What the optional `value` holds.
    pub(super) fn new(value: &'static str) -> Self {
        Self { value, other_than: None, place: "''", separator: None }
    }

    /// Counts it only where it is not the optional `before`.
    pub(super) fn other_than(self, before: &'static str) -> Self {
        Self { other_than: Some(before), ..self }
    }

    /// Where it stands, for people.
    pub(super) fn standing(self, place: &'static str) -> Self {
        Self { place, ..self }
    }

    /// What parts its categories.
    pub(super) fn separated_by(self, separator: &'static str) -> Self {
        Self { separator: Some(separator), ..self }
    }
}

/// Those of `notes` that are there, each `{where, value}`, with its `separator` where it has one. Without `optMap`: the type
/// checker of Kubernetes 1.30 takes two of them for one.
pub(super) fn notes<const N: usize>(notes: [Note; N]) -> String {
    let each = notes.map(|Note { value, other_than, place, separator }| {
        let differs = other_than.map_or_else(String::new, |before| format!(" && v != {before}"));
        let separator = separator.map_or_else(String::new, |separator| format!(", 'separator': '{separator}'"));
        format!(
            "[{value}].filter(v, v.hasValue(){differs})\n  .map(v, {{'where': {place}, 'value': v.value(){separator}}})"
        )
    });
    each.join("\n+ ")
}

/// What of `levelNotes` and `categoryNotes` is wrong: who says what, each `{where, value}`, those of categories with
/// their `separator`. Of each kind of mistake the first is told.
pub(super) fn wrong_notes(policy: &Policy) -> Vec<Variable> {
    let (levels, categories) = (constants::levels(policy), constants::categories(policy));
    vec![
        variable(
            "longNotes",
            format!(
                "(variables.levelNotes + variables.categoryNotes).filter(n, n.value.size() > {LONGEST_ANNOTATION})"
            ),
        ),
        variable("wrongLevels", format!("variables.levelNotes.filter(n, !(n.value in {levels}))")),
        variable(
            "wrongCategories",
            format!(
                "// each where and what, the first of each\n\
                 variables.longNotes.size() > 0 ? [] :\n  \
                 variables.categoryNotes.filter(n, !n.value.split(n.separator).all(c, c in {categories}))\n    \
                 .map(n, {{'where': n.where, 'value': n.value.split(n.separator).filter(c, !(c in {categories}))[0]}})"
            ),
        ),
    ]
}

/// One thing that may be wrong: when it is, and what is said then after the name of the object.
pub(super) struct RefusalCase {
    pub(super) when: &'static str,
    pub(super) says: String,
}

/// What may be wrong with notes; also of this the first is told.
pub(super) fn wrong_note_cases(policy: &Policy) -> Vec<RefusalCase> {
    let name = policy.name.as_str();
    let (levels, categories) = (constants::level_names(policy).join(", "), constants::categories_in_words(policy));
    let (level, category) = (quoted("variables.wrongLevels[0].value"), quoted("variables.wrongCategories[0].value"));
    vec![
        RefusalCase {
            when: "variables.longNotes.size() > 0",
            says: format!(
                "variables.longNotes[0].where + ' has ' + string(variables.longNotes[0].value.size())\n    \
                 + ' characters; at most {LONGEST_ANNOTATION} are allowed'"
            ),
        },
        RefusalCase {
            when: "variables.wrongLevels.size() > 0",
            says: format!(
                "variables.wrongLevels[0].where + ' is ' + {level}\n    \
                 + ': no such level in PlacementPolicy {name}; levels, least to most sensitive: {levels}'"
            ),
        },
        RefusalCase {
            when: "variables.wrongCategories.size() > 0",
            says: format!(
                "variables.wrongCategories[0].where + ' has ' + {category}\n    \
                 + ': no such category in PlacementPolicy {name}; categories: {categories}'"
            ),
        },
    ]
}

/// The refusal of whatever is not `variables.fine`. It is one validation, since each costs its own evaluation and its
/// own compilation; its message is that of the first of the `cases` that is so, and of the last one otherwise.
pub(super) fn refusal(subject: &str, mut cases: Vec<RefusalCase>, message: &str) -> Validation {
    let last = cases.pop().map_or_else(|| "''".to_owned(), |case| case.says);
    let before: Vec<_> = cases.iter().map(|RefusalCase { when, says }| format!("{when} ?\n    {says} :\n  ")).collect();
    let before = before.concat();
    Validation {
        expression: "variables.fine".to_owned(),
        message: Some(message.to_owned()),
        // It is evaluated on every request that matches, refused or not.
        message_expression: Some(format!("variables.fine ? '' :\n  {subject} + ': ' + (\n  {before}{last})")),
        reason: Some("Forbidden".to_owned()),
    }
}
