//! Wishes: what a level wishes of the scheduler, as CEL over a pod and its parameter, a `PlacementPolicy`.
//!
//! The twin of the core's `SchedulingHints`. Variables that [`expressions`](super::expressions) make are named here.

use k8s_openapi::api::admissionregistration::v1::Variable;

use crate::admission::{cel, constants::variable, pods::MIRROR_POD};
use rempart_core::{
    keys::STAMP_DOMAIN,
    scheduling::{REVISION_LABELS, STEPS, SpreadDomain, UNREACHABLE_TAINTS},
};

/// Whether a pod has no node already: a kubelet's own, and those of `DaemonSet`s, have nothing to choose.
pub(super) fn not_in_place() -> String {
    format!(
        "!({MIRROR_POD})\n  \
         && !object.metadata.?ownerReferences.orValue([]).exists(o, o.?controller.orValue(false) && o.kind == 'DaemonSet')"
    )
}

/// What the variables of wishes are made of.
pub(super) fn variables() -> Vec<Variable> {
    let domains = [SpreadDomain::Provider, SpreadDomain::Region, SpreadDomain::Zone, SpreadDomain::Pool];
    let domains = domains.map(|across| format!("{}: {}", cel::string(across.as_str()), cel::string(across.key())));
    let steps = STEPS.map(|(above, weight)| format!("{{'above': dyn('{above}'), 'weight': dyn({weight})}}")).join(", ");
    vec![
        variable(
            "level",
            "// the effective one, where what is said is understood\n\
             variables.understood ? [params.spec.levels[variables.rank]] : []",
        ),
        variable(
            "preferred",
            "object.spec.?affinity.?nodeAffinity.?preferredDuringSchedulingIgnoredDuringExecution.orValue([])",
        ),
        variable(
            "rankKey",
            format!("variables.level.map(l, 'rank.{STAMP_DOMAIN}/' + variables.policy + '.' + l.name)"),
        ),
        variable(
            "steps",
            format!(
                "// of preferred node affinity, where something is preferred and they are not there\n\
                 !variables.level.exists(l, has(l.prefer) && l.prefer.size() > 0)\n    \
                 || variables.preferred.exists(t, t.preference.?matchExpressions.orValue([]).exists(e, e.key in variables.rankKey)) ? [] :\n  \
                 [{steps}].map(step, {{'weight': step.weight, 'preference': dyn({{\n    \
                 'matchExpressions': [{{'key': dyn(variables.rankKey[0]), 'operator': dyn('Gt'), 'values': dyn([step.above])}}]}})}})"
            ),
        ),
        variable("spreads", "// at most one\nvariables.level.filter(l, has(l.spread)).map(l, l.spread)"),
        variable("spreadKey", format!("variables.spreads.map(s, {{{}}}[s.across])", domains.join(", "))),
        variable("spreadAction", "variables.spreads.map(s, s.?whenUnsatisfiable.orValue('DoNotSchedule'))"),
        variable("constraints", "object.spec.?topologySpreadConstraints.orValue([])"),
        variable(
            "sameSpread",
            "// the place of the pod's own constraint of this kind: at most one\n\
             variables.spreads.size() == 0 ? [] :\n  \
             variables.constraints.transformList(i, c,\n    \
             c.topologyKey == variables.spreadKey[0] && c.whenUnsatisfiable == variables.spreadAction[0], i)",
        ),
        variable(
            "counted",
            format!(
                "// the label by which the pods of this one's workload and revision are told\n\
                 !object.metadata.?ownerReferences.orValue([]).exists(o, o.?controller.orValue(false)) ? [] :\n  \
                 {}.filter(k, object.metadata.?labels[?k].hasValue())",
                cel::list(REVISION_LABELS)
            ),
        ),
        variable("tolerations", "object.spec.?tolerations.orValue([])"),
        variable(
            "untolerated",
            format!(
                "// the taints of a node that does not answer that the pod tolerates for longer than the level says\n\
                 variables.level.exists(l, has(l.unreachableAfter)) ? {}.filter(k,\n    \
                 !variables.tolerations.exists(t, t.?key.orValue('') == k && t.?effect.orValue('') in ['', 'NoExecute']\n      \
                 && t.?tolerationSeconds.hasValue()\n      \
                 && t.tolerationSeconds <= duration(variables.level[0].unreachableAfter).getSeconds())) : []",
                cel::list(UNREACHABLE_TAINTS)
            ),
        ),
    ]
}

/// The patch of a pod that lacks something; an error where there is nothing to do, which leaves the pod as it is and costs
/// less than an empty patch.
pub(super) fn patch() -> String {
    let (affinity, spread, tolerations) = (affinity_patch(), spread_patch(), toleration_patch());
    format!("[\n({affinity})\n+ ({spread})\n+ ({tolerations})\n].filter(patch, patch.size() > 0)[0]")
}

fn affinity_patch() -> String {
    const TERMS: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    format!(
        "variables.steps.size() == 0 ? [] :\n  \
         !object.spec.?affinity.hasValue()\n    \
         ? [JSONPatch{{op: 'add', path: '/spec/affinity', value: {{'nodeAffinity': {{'{TERMS}': variables.steps}}}}}}]\n    \
         : !object.spec.affinity.?nodeAffinity.hasValue()\n      \
         ? [JSONPatch{{op: 'add', path: '/spec/affinity/nodeAffinity', value: {{'{TERMS}': variables.steps}}}}]\n      \
         : variables.preferred.size() == 0\n        \
         ? [JSONPatch{{op: 'add', path: '/spec/affinity/nodeAffinity/{TERMS}', value: variables.steps}}]\n        \
         : variables.steps.map(step, JSONPatch{{op: 'add', path: '/spec/affinity/nodeAffinity/{TERMS}/-', value: step}})"
    )
}

fn spread_patch() -> String {
    let own = "'/spec/topologySpreadConstraints/' + string(variables.sameSpread[0])";
    format!(
        "variables.spreads.size() == 0 ? [] :\n  \
         variables.sameSpread.size() > 0\n    \
         ? (variables.constraints[variables.sameSpread[0]].maxSkew > variables.spreads[0].?maxSkew.orValue(1)\n        \
         ? [JSONPatch{{op: 'add', path: {own} + '/maxSkew', value: variables.spreads[0].?maxSkew.orValue(1)}}] : [])\n      \
         + (variables.constraints[variables.sameSpread[0]].?minDomains.orValue(1) < variables.spreads[0].?minDomains.orValue(1)\n        \
         ? [JSONPatch{{op: 'add', path: {own} + '/minDomains', value: variables.spreads[0].minDomains}}] : [])\n    \
         : variables.counted.size() == 0 ? [] :\n      \
         [{{'maxSkew': dyn(variables.spreads[0].?maxSkew.orValue(1)), 'topologyKey': dyn(variables.spreadKey[0]),\n        \
         'whenUnsatisfiable': dyn(variables.spreadAction[0]), ?'minDomains': variables.spreads[0].?minDomains,\n        \
         'nodeAffinityPolicy': dyn('Honor'), 'nodeTaintsPolicy': dyn('Honor'),\n        \
         'labelSelector': dyn({{'matchLabels': {{variables.counted[0]: object.metadata.labels[variables.counted[0]]}}}})}}]\n      \
         .map(constraint, variables.constraints.size() == 0\n        \
         ? JSONPatch{{op: 'add', path: '/spec/topologySpreadConstraints', value: [constraint]}}\n        \
         : JSONPatch{{op: 'add', path: '/spec/topologySpreadConstraints/-', value: constraint}})"
    )
}

fn toleration_patch() -> String {
    "// before the others, since the first that fits counts\n\
     variables.untolerated.size() == 0 ? [] : [variables.untolerated.map(k, {'key': dyn(k), 'operator': dyn('Exists'),\n    \
     'effect': dyn('NoExecute'), 'tolerationSeconds': dyn(duration(variables.level[0].unreachableAfter).getSeconds())})]\n  \
     .map(added, variables.tolerations.size() == 0\n    \
     ? [JSONPatch{op: 'add', path: '/spec/tolerations', value: added}]\n    \
     : added.map(t, JSONPatch{op: 'add', path: '/spec/tolerations/0', value: t}))[0]"
        .to_owned()
}
