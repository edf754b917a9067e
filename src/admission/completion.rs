//! Completion marks: the label by which the API server knows pods that arrive complete, and does not ask the mutations.
//!
//! Whoever completes a pod template marks it with the level that it was completed for and with whose word that was. The
//! binding of a mutation skips pods whose mark is one of those that are right in its namespaces, by the policy as it is now:
//! an object selector costs next to nothing, and a match condition does not. A mark that is not right any more, by an edit
//! or by another label of the namespace, is no reason to skip, and the pod is completed as any other. A forged one gains
//! nothing: the validations never look at it.
//!
//! It tells no more than the object selector needs. A hash of the whole policy in it would restart, after every edit, whatever
//! is owned by a controller that writes its templates anew.

use k8s_openapi::{
    api::admissionregistration::v1::Variable,
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
};

use super::{constants::variable, matching::demand};
use rempart_core::{
    completion::{BY_DEFAULT, BY_NAMESPACE, IDENTIFIER, KEYLESS, MarkedBy},
    keys,
    policy::Policy,
};

/// What the labels of a namespace say of a level.
#[derive(Clone, Copy)]
pub(super) enum NamespaceLevel {
    /// Nothing.
    Unsaid,
    /// The level of this rank.
    Said(usize),
}

/// Objects whose mark is none of those by which a pod is complete where the namespace says `level`; every object where
/// the identifier `uid` of the policy is not known.
pub(super) fn unmarked(policy: &Policy, uid: Option<&str>, level: NamespaceLevel) -> LabelSelector {
    let Some(uid) = uid else { return LabelSelector::default() };
    let minimum = policy.levels.minimum_rank();
    let (least, silent) = match level {
        NamespaceLevel::Unsaid => (minimum, (policy.levels.default_rank(), MarkedBy::Default)),
        NamespaceLevel::Said(rank) => (rank.max(minimum), (rank.max(minimum), MarkedBy::Namespace)),
    };
    let said = (least..policy.levels.iter().len()).map(|rank| (rank, MarkedBy::Said));
    let marks: Vec<String> = said.chain([silent]).filter_map(|(rank, by)| policy.mark_at(uid, rank, by)).collect();
    if marks.is_empty() {
        return LabelSelector::default();
    }
    let marks: Vec<&str> = marks.iter().map(String::as_str).collect();
    let others: LabelSelectorRequirement = demand(&policy.mark_key(), "NotIn", &marks);
    LabelSelector { match_expressions: Some(vec![others]), match_labels: None }
}

/// The mark of a template, as variables of the mutation that completes it: at most one. There is none where a category is
/// said, where an exception may apply, or where a level is said that does not decide: then more than a level tells what
/// its pods need.
pub(super) fn mark() -> Vec<Variable> {
    vec![
        variable("labels", "// of the template\nvariables.template.?metadata.?labels.orValue({})"),
        variable("markKey", format!("'{}' + variables.policy", keys::COMPLETED)),
        variable(
            "markedBy",
            format!(
                "// whose word decides: the end of a mark, at most one\n\
                 !variables.understood || variables.saidCategories.size() > 0\n    \
                 || params.spec.?exceptions.orValue([]).exists(e, request.namespace in e.namespaces) ? [] :\n  \
                 [[variables.workloadLevel, variables.podLevel].unwrapOpt()].map(said,\n    \
                 said.size() == 0 ? [variables.namespaceLevel.hasValue() ? '{BY_NAMESPACE}' : '{BY_DEFAULT}'] :\n      \
                 said.all(l, l == variables.levels[variables.rank]) ? [''] : [])[0]"
            ),
        ),
        variable(
            "mark",
            format!(
                "variables.markedBy.map(end, params.metadata.uid.substring(0, {IDENTIFIER}) + '.'\n  \
                 + variables.levels[variables.rank] + end + (variables.demandingLevel.size() > 0 ? '' : '{KEYLESS}'))"
            ),
        ),
    ]
}

/// The patch that marks a template, or takes a mark that is not right any more.
pub(super) const PATCH: &str = "// the mark by which its pods are known to be complete\n\
     variables.mark.size() == 0\n  \
     ? (!(variables.markKey in variables.labels) ? [] : [JSONPatch{\n      \
     op: 'remove', path: variables.at + '/metadata/labels/' + jsonpatch.escapeKey(variables.markKey)}])\n  \
     : variables.labels[?variables.markKey] == optional.of(variables.mark[0]) ? [] :\n    \
     variables.labels.size() == 0\n      \
     ? [JSONPatch{op: 'add', path: variables.at + '/metadata/labels', value: {variables.markKey: variables.mark[0]}}]\n      \
     : [JSONPatch{op: 'add', path: variables.at + '/metadata/labels/' + jsonpatch.escapeKey(variables.markKey), value: variables.mark[0]}]";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::PlacementPolicySpec, convert};

    #[test]
    fn a_mark_is_right_for_the_levels_that_it_can_decide() {
        let spec = "{mode: Enforce, defaultLevel: internal, levels: [{name: public}, {name: internal}, \
            {name: secret, require: {qualifications: [hds]}}]}";
        let spec: PlacementPolicySpec = serde_saphyr::from_str(spec).unwrap();
        let policy = convert::policy_of_admission("state", &spec).unwrap();
        let marks = |uid, level| -> Vec<String> {
            let selector = unmarked(&policy, uid, level);
            let expressions = selector.match_expressions.into_iter().flatten();
            expressions.flat_map(|found| found.values.unwrap_or_default()).collect()
        };
        let uid = Some("0a1b2c3d-0000-0000-0000-000000000000");
        let table: [(NamespaceLevel, &[&str]); 4] = [
            (NamespaceLevel::Unsaid, &["public_keyless", "internal_keyless", "secret", "internal_default_keyless"]),
            (NamespaceLevel::Said(0), &["public_keyless", "internal_keyless", "secret", "public_namespace_keyless"]),
            (NamespaceLevel::Said(1), &["internal_keyless", "secret", "internal_namespace_keyless"]),
            (NamespaceLevel::Said(2), &["secret", "secret_namespace"]),
        ];
        for (level, expected) in table {
            let expected: Vec<_> = expected.iter().map(|mark| format!("0a1b2c3d.{mark}")).collect();
            assert_eq!(marks(uid, level), expected);
        }
        // Of a policy that is not known to be this one no mark is right.
        assert!(
            marks(None, NamespaceLevel::Unsaid).is_empty() && marks(Some("short"), NamespaceLevel::Unsaid).is_empty()
        );
    }
}
