//! Validation of what pools know nodes by: the labels that a `PlacementPool` selects by, and `spec.providerID`. Once a node is
//! registered they change only by who has the verb `label-nodes` on `placementpools`, and never by a kubelet: whoever could
//! alter them could take a node into a pool that it is none of.
//!
//! A node is no object of a namespace, so that every policy asks this of all nodes, each as its mode says.

use std::collections::BTreeSet;

use k8s_openapi::api::admissionregistration::v1::{AuditAnnotation, Validation};

use super::{
    CompiledValidation,
    cel::list,
    constants::variable,
    matching::{Labelled, Target, condition},
    statements::quoted,
};
use crate::api::GROUP;
use rempart_core::pool_membership::LABEL_VERB;

/// The validation of changes of nodes, where pools select by the labels `keys`.
pub(super) fn compiled(keys: &BTreeSet<String>) -> CompiledValidation {
    let (id, id_before) =
        (quoted("object.spec.?providerID.orValue('')"), quoted("oldObject.spec.?providerID.orValue('')"));
    let mut differs = "object.spec.?providerID != oldObject.spec.?providerID".to_owned();
    let mut changed = format!(
        "(object.spec.?providerID == oldObject.spec.?providerID ? [] :\n  \
         ['spec.providerID would change from ' + (oldObject.spec.?providerID.hasValue() ? {id_before} : 'absent')\n    \
         + ' to ' + (object.spec.?providerID.hasValue() ? {id} : 'absent')])"
    );
    // An empty list has elements of no type, and what is asked of them compiles nowhere.
    if !keys.is_empty() {
        let keys = list(keys);
        let (from, to) = (quoted("variables.before[k]"), quoted("variables.now[k]"));
        differs = format!(
            "{differs}\n\
             || (object.metadata.?labels != oldObject.metadata.?labels\n    \
             && {keys}.exists(k, object.metadata.?labels[?k] != oldObject.metadata.?labels[?k]))"
        );
        changed = format!(
            "{keys}.filter(k, variables.now[?k] != variables.before[?k])\n  \
             .map(k, 'label ' + k + ' would change from ' + (k in variables.before ? {from} : 'absent')\n    \
             + ' to ' + (k in variables.now ? {to} : 'absent'))\n\
             + {changed}"
        );
    }
    // Who may is told of too: it is how an officer finds out who took a node into a pool.
    let changes_told = AuditAnnotation { key: "changed".to_owned(), value_expression: "variables.told".to_owned() };
    CompiledValidation {
        audits: vec![changes_told],
        name: "nodes".to_owned(),
        description: "Labels that pools select by, and provider identifiers, of nodes that are registered.".to_owned(),
        // Labels can be changed through both.
        target: Target::new(&["UPDATE"], &[("", &["nodes", "nodes/status"])]),
        labelled: Labelled::Anywhere,
        conditions: vec![condition("changes-what-pools-know-it-by", differs)],
        variables: vec![
            variable("now", "object.metadata.?labels.orValue({})"),
            variable("before", "oldObject.metadata.?labels.orValue({})"),
            variable("changed", changed),
            // An API server drops a message that names many.
            variable(
                "told",
                "'node ' + object.metadata.name + ': ' + (variables.changed.size() <= 4 ? variables.changed.join('; ') :\n  \
                 [0, 1, 2].map(i, variables.changed[i]).join('; ') + '; and ' + string(variables.changed.size() - 3) + ' more')",
            ),
        ],
        validations: vec![Validation {
            expression: format!(
                "!('system:nodes' in request.userInfo.?groups.orValue([]))\n\
                 && authorizer.group('{GROUP}').resource('placementpools').check('{LABEL_VERB}').allowed()"
            ),
            message: Some("what PlacementPools know a node by changes only by those who provision nodes".to_owned()),
            // It does not know the authorizer.
            message_expression: Some(format!(
                "variables.told + ', by which PlacementPools know a node that is registered: '\n  \
                 + ('system:nodes' in request.userInfo.?groups.orValue([]) ? 'no kubelet changes that' :\n    \
                 'that needs the verb {LABEL_VERB} on placementpools, which user ' + request.userInfo.username + ' does not have')\n  \
                 + '; have it set when the node registers, or by a user of the chart value admission.nodeLabelers'"
            )),
            reason: Some("Forbidden".to_owned()),
        }],
    }
}
