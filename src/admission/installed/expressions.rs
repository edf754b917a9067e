//! Expressions of mutations: what the chart's mutations ask of their parameter, a `PlacementPolicy`, as CEL.
//!
//! Words used throughout: `policy` is the name of the policy in question, `rank` the place of a level in its order, least
//! sensitive first, `needed` the `nodeSelector` keys that a pod must carry for it, `own` those of its keys that it
//! carries. A list written `[x].exists(name, …)` means: let `name` be x in ….

use k8s_openapi::api::admissionregistration::v1::Variable;

use crate::admission::constants::variable;
use rempart_core::{admission::LONGEST_ANNOTATION, keys::STAMP_DOMAIN};

/// How many `nodeSelector` entries are searched for keys that are not needed. The CEL budget of one expression is finite
/// and a request may be 3 MiB; beyond the cap nothing is removed, which only narrows where the pod may run.
const LONGEST_SELECTOR: usize = 1000;

/// The rank of the policy's minimum, where it has one.
const LEAST: &str =
    "!has(params.spec.minimumLevel) ? [] : [params.spec.levels.map(l, l.name).indexOf(params.spec.minimumLevel)]";

/// The policy.
pub(super) fn policy() -> [Variable; 3] {
    [
        variable("policy", "params.metadata.name"),
        variable("levels", "params.spec.levels.map(l, l.name)"),
        variable("categories", "params.spec.?categories.orValue([]).map(c, c.name)"),
    ]
}

/// What a namespace says.
pub(super) fn of_namespace() -> [Variable; 2] {
    [
        variable("namespaceLevel", "namespaceObject.metadata.?labels[?'rempart.dev/sensitivity']"),
        variable("namespaceCategories", "namespaceObject.metadata.?labels[?'rempart.dev/categories']"),
    ]
}

/// What a pod says. It carries its workload's annotations as a mirror, which admission keeps on templates.
pub(super) fn of_pod() -> [Variable; 5] {
    [
        variable("workloadLevel", "object.metadata.?annotations[?'rempart.dev/workload-sensitivity']"),
        variable("workloadCategories", "object.metadata.?annotations[?'rempart.dev/workload-categories']"),
        variable("podLevel", "object.metadata.?annotations[?'rempart.dev/sensitivity']"),
        variable("podCategories", "object.metadata.?annotations[?'rempart.dev/categories']"),
        variable("selector", "object.spec.?nodeSelector.orValue({})"),
    ]
}

/// The `nodeSelector` of a pod template.
pub(super) fn selector_of_template() -> Variable {
    variable("selector", "variables.template.?spec.?nodeSelector.orValue({})")
}

/// What follows from what is said, the same for a pod and for a template: the keys that are missing, and those of the
/// policy's that are surplus.
pub(super) fn needs() -> Vec<Variable> {
    vec![
        variable("saidLevels", "[variables.namespaceLevel, variables.workloadLevel, variables.podLevel].unwrapOpt()"),
        variable(
            "ranks",
            "// -1: a level that the policy does not know\n\
             variables.saidLevels.map(l, variables.levels.indexOf(l))",
        ),
        variable("least", LEAST),
        variable(
            "rank",
            "// of the effective level: the most sensitive of what is said, and never below the minimum\n\
             variables.ranks.size() == 0\n  \
             ? variables.levels.indexOf(params.spec.defaultLevel)\n  \
             : (variables.ranks + variables.least).max()",
        ),
        variable(
            "tooLong",
            format!(
                "[variables.workloadLevel, variables.podLevel, variables.workloadCategories, variables.podCategories]\n  \
                 .unwrapOpt().exists(v, v.size() > {LONGEST_ANNOTATION})"
            ),
        ),
        variable(
            "saidCategories",
            "variables.tooLong ? [] : [\n  \
             variables.namespaceCategories.optMap(v, v.split('.')),\n  \
             variables.workloadCategories.optMap(v, v.split(',')),\n  \
             variables.podCategories.optMap(v, v.split(','))\n\
             ].unwrapOpt().flatten()",
        ),
        variable(
            "understood",
            "!variables.tooLong\n  \
             && variables.ranks.all(r, r >= 0)\n  \
             && variables.saidCategories.all(c, c in variables.categories)",
        ),
        variable(
            "demandingLevel",
            "// requirements accumulate: a level requires something when it or one below it does\n\
             params.spec.levels.exists(i, l, i <= variables.rank && has(l.require))\n  \
             ? [variables.levels[variables.rank]] : []",
        ),
        variable(
            "demandingCategories",
            "params.spec.?categories.orValue([])\n  \
             .filter(c, has(c.require) && c.name in variables.saidCategories).map(c, c.name)",
        ),
        variable(
            "exceptions",
            "// that are for this level in this namespace: one at most\n\
             !has(params.spec.exceptions) ? [] : params.spec.exceptions.filter(e,\n  \
             request.namespace in e.namespaces && variables.rank <= variables.levels.indexOf(e.level)).map(e, e.name)",
        ),
        variable(
            "needed",
            format!(
                "// the nodeSelector keys; that of an exception stands for that of the level\n\
                 variables.demandingLevel.map(l, variables.exceptions.size() > 0\n  \
                 ? 'exception.{STAMP_DOMAIN}/' + variables.policy + '.' + variables.exceptions[0]\n  \
                 : 'clearance.{STAMP_DOMAIN}/' + variables.policy + '.' + l)\n\
                 + variables.demandingCategories.map(c, 'category.{STAMP_DOMAIN}/' + variables.policy + '.' + c)"
            ),
        ),
        variable("missing", "variables.needed.filter(k, variables.selector[?k] != optional.of('true'))"),
        variable(
            "ownPrefixes",
            format!("['clearance', 'category', 'exception'].map(p, p + '.{STAMP_DOMAIN}/' + variables.policy + '.')"),
        ),
        variable(
            "own",
            format!(
                "// keys of this policy that are there; beyond {LONGEST_SELECTOR} entries none is searched for, which \
                 only narrows\n\
                 variables.selector.size() > {LONGEST_SELECTOR} ? [] :\n  \
                 variables.selector.filter(k, variables.ownPrefixes.exists(p, k.startsWith(p)))"
            ),
        ),
        variable("surplus", "variables.own.filter(k, !(k in variables.needed))"),
    ]
}

/// The patch of the `nodeSelector` in the pod spec that the CEL string `at` leads to. What is not understood is left as it
/// is, so that validation can say what is wrong with it.
pub(super) fn patched_selector(at: &str) -> String {
    format!(
        "!variables.understood ? [] :\n  \
         variables.selector.size() == 0\n    \
         ? (variables.missing.size() == 0 ? [] : [JSONPatch{{\n        \
         op: 'add', path: {at} + '/nodeSelector',\n        \
         value: variables.missing.transformMapEntry(i, k, {{k: 'true'}})}}])\n    \
         : variables.surplus.map(k, JSONPatch{{op: 'remove', path: {at} + '/nodeSelector/' + jsonpatch.escapeKey(k)}})\n      \
         + variables.missing.map(k, JSONPatch{{op: 'add', path: {at} + '/nodeSelector/' + jsonpatch.escapeKey(k), value: 'true'}})"
    )
}

/// Whether a pod carries exactly the keys that it needs, as nearly every pod does, since templates are given them. Says in
/// one go what the variables say one by one, because variables cost time and match conditions cannot see them. Whoever
/// finds it false looks closer. With `namespace` the namespace has a say; match conditions cannot see it either.
pub(super) fn complete(namespace: bool) -> String {
    let of = |kind: &str| match (namespace, kind) {
        (false, _) => "",
        (true, "level") => "\n  dyn(namespaceObject).metadata.?labels[?'rempart.dev/sensitivity'],",
        (true, _) => "\n  dyn(namespaceObject).metadata.?labels[?'rempart.dev/categories'].optMap(v, v.split('.')),",
    };
    let (level, categories) = (of("level"), of("categories"));
    format!(
        "[object.spec.?nodeSelector.orValue(dyn({{}}))].exists(selector,\n\
         [params.spec.levels.map(l, l.name)].exists(levels,\n\
         [[{level}\n  \
         object.metadata.?annotations[?'rempart.dev/workload-sensitivity'],\n  \
         object.metadata.?annotations[?'rempart.dev/sensitivity']\n\
         ].unwrapOpt()].exists(said,\n\
         [[{categories}\n  \
         object.metadata.?annotations[?'rempart.dev/workload-categories'].optMap(v, v.split(',', 33)),\n  \
         object.metadata.?annotations[?'rempart.dev/categories'].optMap(v, v.split(',', 33))   // more than 32 are not known anyway\n\
         ].unwrapOpt().flatten()].exists(categories,\n\
         [said.size() == 0 ? [levels.indexOf(params.spec.defaultLevel)]\n  \
         : said.map(l, levels.indexOf(l)) + ({LEAST})].exists(ranks,\n  \
         ranks.min() >= 0\n  \
         && categories.all(c, params.spec.?categories.orValue([]).exists(known, known.name == c))\n  \
         && selector.size() <= {LONGEST_SELECTOR}\n  \
         && [\n    \
         (!params.spec.levels.exists(i, l, i <= ranks.max() && has(l.require)) ? []\n      \
         : !has(params.spec.exceptions)\n        \
         || !params.spec.exceptions.exists(e, request.namespace in e.namespaces && ranks.max() <= levels.indexOf(e.level))\n        \
         ? ['clearance.{STAMP_DOMAIN}/' + params.metadata.name + '.' + levels[ranks.max()]]\n        \
         : params.spec.exceptions.filter(e, request.namespace in e.namespaces && ranks.max() <= levels.indexOf(e.level))\n          \
         .map(e, 'exception.{STAMP_DOMAIN}/' + params.metadata.name + '.' + e.name))\n    \
         + (categories.size() == 0 ? [] :\n      \
         params.spec.categories.filter(c, has(c.require) && c.name in categories)\n        \
         .map(c, 'category.{STAMP_DOMAIN}/' + params.metadata.name + '.' + c.name))\n  \
         ].exists(needed,\n    \
         needed.all(k, selector[?k] == optional.of('true'))\n    \
         && selector.filter(k, k.contains('.{STAMP_DOMAIN}/' + params.metadata.name + '.')).size() == needed.size())\n\
         )))))"
    )
}
