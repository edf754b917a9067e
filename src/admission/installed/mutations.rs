//! Mutations: the chart's `MutatingAdmissionPolicy`s, which take each `PlacementPolicy` as their parameter.
//!
//! Nothing rests on them: what a pod must look like in the end is the validations' to say, which fail closed. So they fail
//! open, on an API server that does not know their parameter's kind yet too.

use k8s_openapi::{
    api::admissionregistration::v1::{
        JSONPatch, MatchCondition, MutatingAdmissionPolicy, MutatingAdmissionPolicySpec, Mutation, ParamKind, Variable,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};

use super::{expressions, wishes};
use crate::{
    admission::{
        DESCRIPTION, completion,
        constants::variable,
        matching::{Target, condition, resources},
        pods::MIRROR_POD,
        statements,
    },
    api::{GROUP, VERSION},
};

/// All of them.
pub(super) fn all() -> [MutatingAdmissionPolicy; 4] {
    [pods(), pods_floor(), templates(), scheduling()]
}

/// Gives pods their keys where the namespace says nothing.
fn pods() -> MutatingAdmissionPolicy {
    let conditions = vec![condition("not-complete", format!("!{}", expressions::complete(false)))];
    of_pods(
        "rempart-pods",
        "Gives each new pod the nodeSelector keys that it needs, and takes those of ours that it does not, in namespaces \
         whose labels say nothing. A pod that is complete is skipped by the match condition; should somebody's webhook take \
         its selector away afterwards, the validation refuses it and says so.",
        conditions,
    )
}

/// Gives pods their keys where the namespace has a say, which no match condition can see.
fn pods_floor() -> MutatingAdmissionPolicy {
    of_pods(
        "rempart-pods-floor",
        "Gives each new pod the nodeSelector keys that it needs, and takes those of ours that it does not, in namespaces \
         with a level or categories of their own. It fails on purpose where nothing is to be changed, and failurePolicy \
         Ignore leaves the pod as it is: an empty patch would cost as much as a real one. The API server counts these \
         exits among the errors of this policy in its metrics.",
        vec![],
    )
}

fn of_pods(name: &str, description: &str, conditions: Vec<MatchCondition>) -> MutatingAdmissionPolicy {
    let mut variables: Vec<Variable> = expressions::policy().into();
    variables.extend(expressions::of_namespace());
    variables.extend(expressions::of_pod());
    variables.extend(expressions::needs());
    variables.push(variable("mirrorPod", format!("// of a kubelet, which placed it already\n{MIRROR_POD}")));
    variables.push(variable("complete", expressions::complete(true)));
    let patch = format!(
        "// The first patch that changes something. Where there is none, asking for it is an error,\n\
         // and the pod stays as it is: an empty patch would cost as much as a real one.\n\
         [\n  variables.mirrorPod || variables.complete ? [] :\n  {}\n].filter(patch, patch.size() > 0)[0]",
        expressions::patched_selector("'/spec'")
    );
    mutation(name, description, &Target::new(&["CREATE"], &[("", &["pods"])]), conditions, variables, vec![patch])
}

/// Gives pod templates what their pods would be given, and mirrors the workload's own annotations onto its template.
fn templates() -> MutatingAdmissionPolicy {
    let mut variables: Vec<Variable> = expressions::policy().into();
    variables.extend(expressions::of_namespace());
    variables.extend(statements::of_workload());
    variables.push(expressions::selector_of_template());
    variables.extend(expressions::needs());
    variables.extend([
        variable("at", "request.kind.kind == 'CronJob' ? '/spec/jobTemplate/spec/template' : '/spec/template'"),
        variable("notes", "// the annotations of the template\nvariables.template.?metadata.?annotations.orValue({})"),
        variable(
            "mirror",
            "// what they must say of the workload, neither more nor less\n\
             {'rempart.dev/workload-sensitivity': variables.workloadLevel,\n \
             'rempart.dev/workload-categories': variables.workloadCategories}",
        ),
        variable("mirrorStale", "variables.mirror.filter(k, k in variables.notes && !variables.mirror[k].hasValue())"),
        variable(
            "mirrorMissing",
            "variables.mirror.filter(k, variables.mirror[k].hasValue() && variables.mirror[k] != variables.notes[?k])",
        ),
    ]);
    variables.extend(completion::mark());
    let mirror = "// the mirror, whether it is understood or not: it must never lag behind\n\
         variables.notes.size() == 0\n  \
         ? (variables.mirrorMissing.size() == 0 ? [] : [JSONPatch{\n      \
         op: 'add', path: variables.at + '/metadata/annotations',\n      \
         value: variables.mirrorMissing.transformMapEntry(i, k, {k: variables.mirror[k].value()})}])\n  \
         : variables.mirrorStale.map(k, JSONPatch{op: 'remove', path: variables.at + '/metadata/annotations/' + jsonpatch.escapeKey(k)})\n    \
         + variables.mirrorMissing.map(k, JSONPatch{op: 'add', path: variables.at + '/metadata/annotations/' + jsonpatch.escapeKey(k), value: variables.mirror[k].value()})";
    mutation(
        "rempart-templates",
        "Gives pod templates what their pods would be given, so that the pods arrive complete, and mirrors the workload's \
         own annotations onto its template, so that they reach the pods at all. Marks the template with the level that it was \
         completed for, by which bindings of mutations skip its pods. Only where a rollout happens anyway: an \
         unrelated update or an install of Rempart rolls nothing.",
        &Target::templates(),
        vec![
            condition("template-of-its-own", statements::TEMPLATE_OF_ITS_OWN),
            condition("touched", statements::TOUCHED),
        ],
        variables,
        vec![mirror.to_owned(), expressions::patched_selector("variables.at + '/spec'"), completion::PATCH.to_owned()],
    )
}

/// Gives pods what their level wishes of the scheduler.
fn scheduling() -> MutatingAdmissionPolicy {
    let mut variables: Vec<Variable> = expressions::policy().into();
    variables.extend(expressions::of_namespace());
    variables.extend(expressions::of_pod());
    variables.extend(expressions::needs());
    variables.extend(wishes::variables());
    mutation(
        "rempart-scheduling",
        "Gives each new pod what its level prefers among the nodes that it may use, how it is spread over them, and how long \
         it stays on one that does not answer. It decides nothing about where a pod may run. It fails on purpose where \
         nothing is to be changed, and failurePolicy Ignore leaves the pod as it is.",
        &Target::new(&["CREATE"], &[("", &["pods"])]),
        vec![condition("not-in-place", wishes::not_in_place())],
        variables,
        vec![wishes::patch()],
    )
}

fn mutation(
    name: &str,
    description: &str,
    target: &Target,
    conditions: Vec<MatchCondition>,
    variables: Vec<Variable>,
    patches: Vec<String>,
) -> MutatingAdmissionPolicy {
    let patch = |expression| Mutation {
        patch_type: "JSONPatch".to_owned(),
        json_patch: Some(JSONPatch { expression: Some(expression) }),
        apply_configuration: None,
    };
    MutatingAdmissionPolicy {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            annotations: Some([(DESCRIPTION.to_owned(), description.to_owned())].into()),
            ..ObjectMeta::default()
        },
        spec: Some(MutatingAdmissionPolicySpec {
            failure_policy: Some("Ignore".to_owned()),
            match_conditions: Some(conditions).filter(|conditions| !conditions.is_empty()),
            match_constraints: Some(resources(Some(target), LabelSelector::default())),
            mutations: Some(patches.into_iter().map(patch).collect()),
            param_kind: Some(ParamKind {
                api_version: Some(format!("{GROUP}/{VERSION}")),
                kind: Some("PlacementPolicy".to_owned()),
            }),
            // Another mutation may take away what this one gave: look again.
            reinvocation_policy: Some("IfNeeded".to_owned()),
            variables: Some(variables),
        }),
    }
}
