//! Validation of bindings of pods to nodes: whoever binds a pod decides where it runs, so only listed schedulers may.

use k8s_openapi::api::admissionregistration::v1::Validation;

use super::{
    CompiledValidation, cel,
    matching::{Labelled, Target, condition},
};
use rempart_core::policy::Policy;

/// The validation of bindings for `policy`, where the users `schedulers` may bind.
pub(super) fn compiled(policy: &Policy, schedulers: &[String]) -> CompiledValidation {
    let listed = cel::list(schedulers);
    let name = policy.name.as_str();
    CompiledValidation {
        audits: Vec::new(),
        name: "bindings".to_owned(),
        description:
            "Bindings of pods to nodes: only the schedulers of the chart value admission.schedulers make them."
                .to_owned(),
        target: Target::new(&["CREATE"], &[("", &["pods/binding", "bindings"])]),
        labelled: Labelled::Only(vec![]),
        // It reads only the user's name: an error in the rest cannot hold up a listed scheduler.
        conditions: vec![condition("not-a-listed-scheduler", format!("!(request.userInfo.username in {listed})"))],
        variables: vec![],
        validations: vec![Validation {
            expression: "false".to_owned(),
            message: Some("only the schedulers of the chart value admission.schedulers bind pods here".to_owned()),
            message_expression: Some(format!(
                "'pod ' + request.namespace + '/' + object.metadata.name + ': user ' + request.userInfo.username + ' may \
                 not bind it to node '\n  \
                 + object.target.?name.orValue('') + ': where PlacementPolicy {name} applies, only these schedulers bind \
                 pods: '\n  \
                 + {listed}.join(', ') + '; leave spec.schedulerName to one of them, or add the user to the chart value \
                 admission.schedulers'"
            )),
            reason: Some("Forbidden".to_owned()),
        }],
    }
}
