//! Validation of what may not happen to a pod once it exists. Nothing else is judged on UPDATE: finalizers, labels and
//! status of pods that are older than a policy belong to their controllers.

use super::{
    CompiledValidation,
    constants::{categories_in_words, level_names, variable},
    matching::{Labelled, Target, condition},
    pods,
    statements::{self, RefusalCase, quoted},
};
use rempart_core::policy::{EnforcementMode, Policy};

/// Our annotations on a pod, as a CEL list.
const ANNOTATIONS: &str = "['rempart.dev/sensitivity', 'rempart.dev/categories', \
     'rempart.dev/workload-sensitivity', 'rempart.dev/workload-categories']";

/// The validation of changes of pods for `policy`.
pub(super) fn compiled(policy: &Policy) -> CompiledValidation {
    let changed = format!(
        "object.metadata.?annotations != oldObject.metadata.?annotations\n  \
         && {ANNOTATIONS}\n    \
         .exists(k, object.metadata.?annotations[?k] != oldObject.metadata.?annotations[?k])"
    );
    let ungated = "has(oldObject.spec.schedulingGates) && !has(object.spec.schedulingGates)";
    let mut conditions = format!("({changed})");
    let (from, to) = (quoted("variables.notesBefore[k]"), quoted("variables.notes[k]"));
    // Without `optMap`: the type checker of Kubernetes 1.30 takes two of them for one.
    let mut variables = vec![
        variable("notes", "dyn(object.metadata.?annotations.orValue({}))"),
        variable("notesBefore", "dyn(oldObject.metadata.?annotations.orValue({}))"),
        variable(
            "changed",
            format!(
                "{ANNOTATIONS}\n  \
                 .filter(k, variables.notes[?k] != variables.notesBefore[?k])\n  \
                 .map(k, {{'key': k,\n    \
                 'from': k in variables.notesBefore ? {from} : 'absent',\n    \
                 'to': k in variables.notes ? {to} : 'absent'}})"
            ),
        ),
    ];
    let mut cases = vec![RefusalCase {
        when: "variables.changed.size() > 0",
        says: "variables.changed.map(c,\n    \
             'annotation ' + c.key + ' cannot change from ' + c.from + ' to ' + c.to).join('; ')\n    \
             + ' once the pod exists; change it on the workload, or create the pod anew'"
            .to_owned(),
    }];
    let mut fine = "variables.changed.size() == 0".to_owned();
    // Only where admission adds the keys can their absence mean something.
    if policy.mode == EnforcementMode::Enforce {
        let (name, demand) = (policy.name.as_str(), pods::demand_in_words(policy));
        let missing = pods::missing_in_words();
        let (levels, categories) = (level_names(policy).join(", "), categories_in_words(policy));
        conditions = format!("{conditions}\n|| ({ungated})");
        variables.extend(pods::needs(policy));
        fine = format!("{fine}\n  && (!({ungated}) || (variables.understood && variables.missing.size() == 0))");
        cases.push(RefusalCase {
            when: "true",
            says: format!(
                "'its last scheduling gate cannot be removed: ' + (variables.understood\n    \
                 ? 'spec.nodeSelector lacks ' + {missing} + ', which '\n      \
                 + {demand} + ' of PlacementPolicy {name} needs; add it, or create the pod anew'\n    \
                 : 'a level or category of the pod, its workload or its namespace is unknown to PlacementPolicy {name}\
                 ; create the pod anew with levels among {levels} and categories among {categories}')"
            ),
        });
    }
    variables.push(variable("fine", fine));
    let message =
        "an annotation of rempart.dev cannot change once the pod exists, nor its last gate go while it lacks a key";
    CompiledValidation {
        audits: Vec::new(),
        name: "pod-updates".to_owned(),
        description: "Changes of our annotations on a pod, and the last scheduling gate of a pod that is not complete."
            .to_owned(),
        // An annotation can be changed through either.
        target: Target::new(&["UPDATE"], &[("", &["pods", "pods/status"])]),
        labelled: Labelled::Only(vec![]),
        conditions: vec![condition("changes-an-annotation-of-ours-or-opens-the-last-gate", conditions)],
        variables,
        validations: vec![statements::refusal(statements::SUBJECT, cases, message)],
    }
}
