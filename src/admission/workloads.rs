//! Validation of workloads: what is wrong with one is said to the person who applies it, rather than to the controller
//! that later creates its pods. On UPDATE only what the request changes is judged.

use k8s_openapi::api::admissionregistration::v1::Validation;

use super::{
    CompiledValidation,
    constants::variable,
    matching::{Labelled, Target, condition},
    statements::{self, Note, RefusalCase, TEMPLATE_OF_ITS_OWN, notes},
};
use rempart_core::policy::Policy;

/// The validation of workloads for `policy`.
pub(super) fn compiled(policy: &Policy) -> CompiledValidation {
    let mut variables = statements::of_workload();
    variables.extend([
        variable("templateAt", "request.kind.kind == 'CronJob' ? 'spec.jobTemplate.spec.template' : 'spec.template'"),
        variable("annotationsBefore", "oldObject.?metadata.?annotations.orValue({})"),
        variable(
            "templateAnnotationsBefore",
            "request.kind.kind == 'CronJob'\n  \
             ? oldObject.?spec.?jobTemplate.?spec.?template.?metadata.?annotations.orValue({})\n  \
             : oldObject.?spec.?template.?metadata.?annotations.orValue({})",
        ),
        variable(
            "levelNotes",
            notes([
                Note::new("variables.workloadLevel")
                    .other_than("variables.annotationsBefore[?'rempart.dev/sensitivity']")
                    .standing("'annotation rempart.dev/sensitivity'"),
                Note::new("variables.podLevel")
                    .other_than("variables.templateAnnotationsBefore[?'rempart.dev/sensitivity']")
                    .standing("'annotation rempart.dev/sensitivity of ' + variables.templateAt"),
            ]),
        ),
        variable(
            "categoryNotes",
            notes([
                Note::new("variables.workloadCategories")
                    .other_than("variables.annotationsBefore[?'rempart.dev/categories']")
                    .standing("'annotation rempart.dev/categories'")
                    .separated_by(","),
                Note::new("variables.podCategories")
                    .other_than("variables.templateAnnotationsBefore[?'rempart.dev/categories']")
                    .standing("'annotation rempart.dev/categories of ' + variables.templateAt")
                    .separated_by(","),
            ]),
        ),
    ]);
    variables.extend(statements::wrong_notes(policy));
    variables.extend([
        variable(
            "misplaced",
            "// these reach the Job, never its pods\n\
             request.kind.kind != 'CronJob' ? [] : ['rempart.dev/sensitivity', 'rempart.dev/categories'].filter(k,\n  \
             object.spec.jobTemplate.?metadata.?annotations[?k].hasValue()\n  \
             && object.spec.jobTemplate.?metadata.?annotations[?k] != oldObject.?spec.?jobTemplate.?metadata.?annotations[?k])",
        ),
        variable(
            "started",
            "// a Job whose template can no longer change, and that has not come to its end\n\
             request.kind.kind == 'Job' && request.operation == 'UPDATE'\n  \
             && (!oldObject.spec.?suspend.orValue(false) || oldObject.?status.?startTime.hasValue())\n  \
             && !object.?status.?conditions.orValue([]).exists(c, c.type in ['Complete', 'Failed'] && c.status == 'True')",
        ),
        variable(
            "late",
            "// what is put on such a Job, and its template does not say already\n\
             !variables.started ? [] : ['rempart.dev/sensitivity', 'rempart.dev/categories'].filter(k,\n  \
             object.metadata.?annotations[?k].hasValue()\n  \
             && object.metadata.?annotations[?k] != oldObject.metadata.?annotations[?k]\n  \
             && object.metadata.?annotations[?k] != variables.template.?metadata.?annotations[?k]\n  \
             && object.metadata.?annotations[?k] != variables.template.?metadata.?annotations[?('rempart.dev/workload-' + k.split('/')[1])])",
        ),
        variable(
            "fine",
            "variables.longNotes.size() + variables.wrongLevels.size() + variables.wrongCategories.size()\n  \
             + variables.misplaced.size() + variables.late.size() == 0",
        ),
    ]);
    CompiledValidation {
        audits: Vec::new(),
        name: "workloads".to_owned(),
        description: "Annotations of ours on workloads and their pod templates.".to_owned(),
        target: Target::templates_and_statuses(&["CREATE", "UPDATE"]),
        labelled: Labelled::Only(vec![]),
        conditions: vec![
            condition(
                "template-of-its-own-or-a-job-that-may-have-started",
                format!("(request.kind.kind == 'Job' && request.operation == 'UPDATE') || (\n{TEMPLATE_OF_ITS_OWN}\n)"),
            ),
            condition(
                "created-or-annotations-or-template-changed",
                "request.operation == 'CREATE'\n\
                 || object.metadata.?annotations != oldObject.metadata.?annotations\n\
                 || (request.kind.kind == 'CronJob'\n  \
                 ? object.spec.jobTemplate != oldObject.spec.jobTemplate\n  \
                 : object.spec.template != oldObject.spec.template)",
            ),
        ],
        variables,
        validations: vec![refusal(policy)],
    }
}

fn refusal(policy: &Policy) -> Validation {
    let mut cases = statements::wrong_note_cases(policy);
    cases.extend([
        RefusalCase {
            when: "variables.misplaced.size() > 0",
            says: "'annotation ' + variables.misplaced.join(', ')\n    \
                 + ' of spec.jobTemplate would reach the Job but never its pods; put it on the CronJob\\'s metadata or on \
                 spec.jobTemplate.spec.template.metadata'"
                .to_owned(),
        },
        RefusalCase {
            when: "variables.late.size() > 0",
            says: "'annotation ' + variables.late.join(', ')\n    \
                 + ' comes too late: the Job has started, and the template of its pods can no longer change; let it end, or \
                 delete it and create it again with the annotation'"
                .to_owned(),
        },
    ]);
    let message = "an annotation of rempart.dev is not understood here, or would reach no pod";
    statements::refusal(statements::SUBJECT, cases, message)
}
