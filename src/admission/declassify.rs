//! Validation of what lowers a sensitivity: a level or category that a namespace, a workload or a pod template says no more, and
//! a namespace that its labels take out of the policy. Whoever has the verb `declassify` on the policy may.
//!
//! Only what the request itself lowers is judged, by the object as it was and as it will be: not by its namespace, whose label
//! somebody may lower later, and not by its owner. A namespace is judged by its old labels: a selector of what is matched
//! would see the new ones, by which it may have gone already. The twin is [`rempart_core::declassification`].

use k8s_openapi::{
    api::admissionregistration::v1::{AuditAnnotation, MatchCondition, Validation, Variable},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use super::{
    CompiledValidation,
    cel::{list, string},
    constants::{self, variable},
    matching::{Labelled, Target, condition, selected_by},
    statements::{self, TEMPLATE_OF_ITS_OWN, quoted},
};
use crate::api::GROUP;
use rempart_core::{
    declassification::{CLUSTER_ROLE, MOST_CATEGORIES, VERB},
    keys,
    policy::{EnforcementMode, Policy},
};

/// The names of the validations.
const NAMESPACES: &str = "declassify-namespaces";
const WORKLOADS: &str = "declassify-workloads";

/// Our annotations on a pod template, as a CEL list.
const OF_TEMPLATE: &str = "['rempart.dev/sensitivity', 'rempart.dev/categories', \
     'rempart.dev/workload-sensitivity', 'rempart.dev/workload-categories']";

/// The validations of what lowers, by `policy`, which governs the namespaces of `selector`.
pub(super) fn compiled(policy: &Policy, selector: Option<&LabelSelector>) -> [CompiledValidation; 2] {
    [namespaces(policy, selector), workloads(policy)]
}

fn namespaces(policy: &Policy, selector: Option<&LabelSelector>) -> CompiledValidation {
    let selector = selector.cloned().unwrap_or_default();
    let mut variables = vec![
        variable("now", "object.metadata.?labels.orValue({})"),
        variable("before", "oldObject.metadata.?labels.orValue({})"),
    ];
    let selected = selected(&selector, "l");
    variables.extend(selected.as_ref().map(|selected| {
        let keys = list(selected_by(&selector));
        variable(
            "leftBy",
            format!(
                "// the labels that take it out of the policy\n\
                 [variables.now].exists(l, {selected}) ? [] :\n  \
                 {keys}.filter(k, variables.now[?k] != variables.before[?k])"
            ),
        )
    }));
    let pair = |key, separator| Pair { key, of: "", now: "now", before: "before", noun: "label", separator }.text();
    variables.extend([
        variable("levels", format!("[[{}]]", pair(keys::SENSITIVITY, None))),
        variable("categories", format!("[[{}]]", pair(keys::CATEGORIES, Some('.')))),
    ]);
    variables.extend(lowered(policy));
    let name = policy.name.as_str();
    let left = selected.as_ref().map(|_| {
        format!("variables.leftBy.size() > 0 ?\n    'label ' + variables.leftBy.join(', ') + ' would take it out of PlacementPolicy \
         {name}' :\n  ")
    });
    let also = left.as_ref().map_or("", |_| "variables.leftBy.size() + ");
    let mut conditions = vec![condition("changes-labels", "object.metadata.?labels != oldObject.metadata.?labels")];
    // By its old labels, whatever the request makes of them.
    conditions.extend(selected.map(|selected| {
        let expression = format!("[oldObject.metadata.?labels.orValue(dyn({{}}))].exists(l, {selected})");
        condition("was-governed", expression)
    }));
    variables.push(lowered_text(policy, "'namespace ' + object.metadata.name", also, &left.unwrap_or_default()));
    CompiledValidation {
        audits: vec![audit()],
        name: NAMESPACES.to_owned(),
        description: "Labels by which a namespace said a level or categories, or was under the policy.".to_owned(),
        // Labels can be changed through each.
        target: Target::new(&["UPDATE"], &[("", &["namespaces", "namespaces/status", "namespaces/finalize"])]),
        labelled: Labelled::Anywhere,
        conditions,
        variables,
        validations: vec![validation(policy, "label")],
    }
}

fn workloads(policy: &Policy) -> CompiledValidation {
    let template =
        |of: &str| format!("request.kind.kind == 'CronJob' ? {of}.spec.jobTemplate.spec.template : {of}.spec.template");
    let notes = |of: &str| {
        format!(
            "request.kind.kind == 'CronJob'\n  \
             ? {of}.spec.jobTemplate.spec.template.?metadata.?annotations.orValue({{}})\n  \
             : {of}.spec.template.?metadata.?annotations.orValue({{}})"
        )
    };
    let mut variables = vec![
        variable("own", "object.metadata.?annotations.orValue({})"),
        variable("ownBefore", "oldObject.metadata.?annotations.orValue({})"),
        variable("notes", notes("object")),
        variable("notesBefore", notes("oldObject")),
        variable("at", "request.kind.kind == 'CronJob' ? ' of spec.jobTemplate.spec.template' : ' of spec.template'"),
        variable(
            "speaks",
            format!(
                "// whether its own annotations reach its pods\n{}",
                TEMPLATE_OF_ITS_OWN.replace("object.metadata", "oldObject.metadata")
            ),
        ),
    ];
    let groups = |own: &str, mirror: &str, separator| {
        let pair = |key, of, now, before| Pair { key, of, now, before, noun: "annotation", separator }.text();
        let of_template = pair(own, "variables.at", "notes", "notesBefore");
        let (own_pair, mirrored) =
            (pair(own, "", "own", "ownBefore"), pair(mirror, "variables.at", "notes", "notesBefore"));
        let (own, mirror) = (string(own), string(mirror));
        format!(
            "// what the workload says, and what its template gives to pods, where admission has not put the mirror so\n\
             (variables.speaks ? [[{own_pair},\n   {of_template}]] : [])\n\
             + (variables.speaks && variables.notes[?{mirror}] == variables.own[?{own}] ? [] : [[{mirrored},\n   {of_template}]])"
        )
    };
    variables.extend([
        variable("levels", groups(keys::SENSITIVITY, keys::WORKLOAD_SENSITIVITY, None)),
        variable("categories", groups(keys::CATEGORIES, keys::WORKLOAD_CATEGORIES, Some(','))),
    ]);
    variables.extend(lowered(policy));
    let [now, before] = ["object", "oldObject"].map(|of| format!("({})", template(of)));
    let altered = |keys: &str, now: &str, before: &str| {
        format!(
            "{keys}.exists(k,\n  {before}.?metadata.?annotations[?k].hasValue()\n  \
             && {before}.?metadata.?annotations[?k] != {now}.?metadata.?annotations[?k])"
        )
    };
    let conditions: Vec<MatchCondition> = vec![condition(
        "alters-what-it-said",
        format!(
            "{}\n|| {}",
            altered("['rempart.dev/sensitivity', 'rempart.dev/categories']", "object", "oldObject"),
            altered(OF_TEMPLATE, &now, &before)
        ),
    )];
    variables.push(lowered_text(policy, statements::SUBJECT, "", ""));
    CompiledValidation {
        audits: vec![audit()],
        name: WORKLOADS.to_owned(),
        description: "Annotations by which a workload or its pod template said a level or categories.".to_owned(),
        target: Target::templates_and_statuses(&["UPDATE"]),
        labelled: Labelled::Only(vec![]),
        conditions,
        variables,
        validations: vec![validation(policy, "annotation")],
    }
}

/// Something that was said and may be said otherwise, by the names of the variables that hold the maps.
struct Pair<'a> {
    key: &'a str,
    /// What follows the key where it is told, as CEL.
    of: &'a str,
    now: &'a str,
    before: &'a str,
    noun: &'a str,
    /// What parts its categories.
    separator: Option<char>,
}

impl Pair<'_> {
    /// As CEL: where it stands, and what was said and is, each in a list.
    fn text(&self) -> String {
        let Self { key, of, now, before, noun, separator } = self;
        let key_text = string(key);
        let of = if of.is_empty() { String::new() } else { format!(" + {of}") };
        let said = |map: &str| {
            let value = format!("variables.{map}[{key_text}]");
            let value = match separator {
                None => format!("[{value}]"),
                Some(separator) => format!("{value}.split('{separator}', {MOST_CATEGORIES})"),
            };
            format!("{key_text} in variables.{map} ? {value} : []")
        };
        format!(
            "{{'at': dyn(['{noun} {key}'{of}]),\n    'before': dyn({}),\n    'now': dyn({})}}",
            said(before),
            said(now)
        )
    }
}

/// What of `levels` and `categories` is lowered. Each is a list of groups of [`Pair`]s, which are judged together.
fn lowered(policy: &Policy) -> Vec<Variable> {
    let (was, will) = (was("p", policy), will("p", policy));
    let dropped = dropped("c", policy);
    vec![
        variable("fallen", format!("variables.levels.filter(g,\n  g.map(p, {was}).max()\n  > g.map(p, {will}).max())")),
        variable("dropped", format!("variables.categories.filter(g, g.exists(p, p.before.exists(c, {dropped})))")),
    ]
}

/// What each level is worth, by its name: never less than the minimum.
fn worths(policy: &Policy) -> String {
    let minimum = policy.levels.minimum_rank();
    let worths = policy
        .levels
        .iter()
        .enumerate()
        .map(|(rank, level)| format!("{}: {}", string(level.name.as_str()), rank.max(minimum)));
    format!("{{{}}}", worths.collect::<Vec<_>>().join(", "))
}

/// What an unknown level was worth. It may have been the highest before an edit of the policy, which refuses pods of it; one
/// that only warns leaves its correction to anybody.
fn unknown_worth(policy: &Policy) -> usize {
    match policy.mode {
        EnforcementMode::Enforce => policy.levels.iter().len().saturating_sub(1),
        EnforcementMode::Warn | EnforcementMode::Audit => policy.levels.minimum_rank(),
    }
}

/// What the pair `p` was worth.
fn was(p: &str, policy: &Policy) -> String {
    let (minimum, worths) = (policy.levels.minimum_rank(), worths(policy));
    format!("([{minimum}] + {p}.before.map(v, v in {worths} ? {worths}[v] : {})).max()", unknown_worth(policy))
}

/// What the pair `p` will be worth. That a new level is unknown others say.
fn will(p: &str, policy: &Policy) -> String {
    let (minimum, worths) = (policy.levels.minimum_rank(), worths(policy));
    let highest = policy.levels.iter().len().saturating_sub(1);
    let unknown = match unknown_worth(policy) {
        worth if worth == highest => worth.to_string(),
        worth => format!("({p}.before == {p}.now ? {worth} : {highest})"),
    };
    format!("([{minimum}] + {p}.now.map(v, v in {worths} ? {worths}[v] : {unknown})).max()")
}

/// Whether the category `c` is said no more by the group `g`.
fn dropped(c: &str, policy: &Policy) -> String {
    let counts = match policy.mode {
        EnforcementMode::Enforce => format!("{c} != ''"),
        EnforcementMode::Warn | EnforcementMode::Audit => format!("{c} in {}", constants::categories(policy)),
    };
    format!("{counts} && !g.exists(q, {c} in q.now)")
}

/// The variable that says what the request lowers, and is empty where it lowers nothing. `also` and `cases` are what `subject` may
/// be told of beside levels and categories.
fn lowered_text(policy: &Policy, subject: &str, also: &str, cases: &str) -> Variable {
    let (was, will, dropped) = (was("p", policy), will("p", policy), dropped("c", policy));
    let levels = constants::levels(policy);
    let unknown = match policy.mode {
        EnforcementMode::Enforce => format!(
            "\n    + (variables.fallen[0].exists(p, p.before.exists(v, !(v in {levels}))) ? ', as which an unknown level counts,' : '')"
        ),
        EnforcementMode::Warn | EnforcementMode::Audit => String::new(),
    };
    let category = quoted(&format!("g.filter(p, p.before.exists(c, {dropped}))[0].before.filter(c, {dropped})[0]"));
    variable(
        "lowered",
        format!(
            "{also}variables.fallen.size() + variables.dropped.size() == 0 ? '' :\n  {subject} + ': ' + (\n  {cases}\
             variables.fallen.size() > 0 ?\n    \
             variables.fallen[0].filter(p, {was} > {will})[0].at[0] + ' would lower its level from '\n    \
             + {levels}[variables.fallen[0].map(p, {was}).max()]{unknown}\n    \
             + ' to ' + (variables.fallen[0].exists(p, p.now.size() > 0)\n      \
             ? {levels}[variables.fallen[0].map(p, {will}).max()] : 'none') :\n  \
             [variables.dropped[0]].map(g, g.filter(p, p.before.exists(c, {dropped}))[0].at[0] + ' would drop category '\n    \
             + {category})[0])"
        ),
    )
}

/// What the audit log of the API server is given, whoever asks: with the entry's user it says who lowered what. What would be
/// empty is not written.
fn audit() -> AuditAnnotation {
    AuditAnnotation { key: "lowered".to_owned(), value_expression: "variables.lowered".to_owned() }
}

/// The refusal of what is lowered, but for whom the verb is given to. `noun`s are what says levels and categories.
fn validation(policy: &Policy, noun: &str) -> Validation {
    let name = policy.name.as_str();
    Validation {
        expression: format!(
            "variables.lowered == ''\n|| authorizer.group('{GROUP}').resource('placementpolicies').name('{name}').check('{VERB}').allowed()"
        ),
        message: Some(format!("what lowers a level or drops a category needs the verb {VERB} on the PlacementPolicy")),
        // It is evaluated on every request that matches, refused or not, and does not know the authorizer.
        message_expression: Some(format!(
            "variables.lowered == '' ? '' : variables.lowered\n  \
             + ': that needs the verb {VERB} on PlacementPolicy {name}, which user ' + request.userInfo.username\n  \
             + ' does not have; leave the {noun} as it was, or ask somebody to whom ClusterRole {CLUSTER_ROLE} is bound'"
        )),
        reason: Some("Forbidden".to_owned()),
    }
}

/// Whether `selector` selects by the labels `l`, as CEL; nothing where it selects everything.
fn selected(selector: &LabelSelector, l: &str) -> Option<String> {
    let same = selector.match_labels.iter().flatten().map(|(key, value)| {
        let (key, value) = (string(key), string(value));
        format!("{key} in {l} && {l}[{key}] == {value}")
    });
    let terms = selector.match_expressions.iter().flatten().map(|term| {
        let (key, values) = (string(&term.key), list(term.values.iter().flatten()));
        match term.operator.as_str() {
            "In" => format!("{key} in {l} && {l}[{key}] in {values}"),
            "NotIn" => format!("!({key} in {l} && {l}[{key}] in {values})"),
            "DoesNotExist" => format!("!({key} in {l})"),
            // Of what the definition does not let be written nothing is let go.
            _ => format!("{key} in {l}"),
        }
    });
    let all: Vec<_> = same.chain(terms).collect();
    (!all.is_empty()).then(|| all.join(" && "))
}
