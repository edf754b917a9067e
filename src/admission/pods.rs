//! Validation of new pods: what a pod must look like when every mutation is done. The truth of Rempart's admission.
//!
//! One text of what is judged, in several validations of one policy that differ in what they skip. A pod that is complete
//! by its own words is skipped by a match condition, which costs next to nothing. What its namespace says no match
//! condition can see; so there is a validation for each floor that a namespace's label may set, which has the floor as a
//! constant and is matched where the label says at least so much. Those of lower floors match as well: a label that
//! changes between two looks of one request leaves it judged by one of them.

use k8s_openapi::api::admissionregistration::v1::{Validation, Variable};

use super::{
    CompiledValidation, MutationMode, constants,
    constants::{level_names, variable},
    matching::{Labelled, Target, condition, demand},
    statements::{self, Note, RefusalCase, notes},
};
use rempart_core::{
    keys,
    policy::{EnforcementMode, Policy},
};

/// A kubelet's own pod, for a static one that it has placed already.
pub(super) const MIRROR_POD: &str = "object.metadata.?annotations[?'kubernetes.io/config.mirror'].hasValue()\n  \
     && 'system:nodes' in request.userInfo.?groups.orValue([])\n  \
     && request.userInfo.username == 'system:node:' + object.spec.?nodeName.orValue('')";

/// What the rank of a pod is at least, beside what it and its workload say.
#[derive(Clone, Copy)]
enum Floor {
    /// That of the default where nothing is said, and that of the minimum.
    Unsaid,
    /// This, whatever is said.
    Always(usize),
}

/// Makes a validation of new pods, by its name, its description, its namespaces and what it skips.
type NewPods<'a> = dyn Fn(&str, &str, Labelled, Option<String>) -> CompiledValidation + 'a;

/// The validations of new pods for `policy`, each with the end of its name. `mutation` says who gives pods what they need.
pub(super) fn validations(policy: &Policy, mutation: &MutationMode) -> Vec<CompiledValidation> {
    let new_pods = |name: &str, description: &str, labelled, complete| {
        new_pods((policy, mutation), name, description, labelled, complete)
    };
    let mut compiled = match policy.mode {
        EnforcementMode::Enforce => of_enforced(policy, &new_pods),
        EnforcementMode::Warn | EnforcementMode::Audit => vec![of_unenforced(policy, &new_pods)],
    };
    let names = level_names(policy);
    let unknown = vec![
        demand(keys::CATEGORIES, "DoesNotExist", &[]),
        demand(keys::SENSITIVITY, "Exists", &[]),
        demand(keys::SENSITIVITY, "NotIn", &names),
    ];
    compiled.push(new_pods(
        "pods-labels",
        "New pods in namespaces labelled with categories, or with a level that the policy does not know.",
        Labelled::Either(vec![
            ("categories", vec![demand(keys::CATEGORIES, "Exists", &[])]),
            ("unknown-level", unknown),
        ]),
        None,
    ));
    compiled
}

/// Of a policy that warns or watches, each pod is matched by one validation, so that nothing is said twice.
fn of_unenforced(policy: &Policy, new_pods: &NewPods<'_>) -> CompiledValidation {
    let none = || demand(keys::CATEGORIES, "DoesNotExist", &[]);
    let known = vec![none(), demand(keys::SENSITIVITY, "In", &level_names(policy))];
    new_pods(
        "pods",
        "New pods in namespaces that say no level, or one of the policy.",
        Labelled::Either(vec![
            ("no-level", vec![none(), demand(keys::SENSITIVITY, "DoesNotExist", &[])]),
            ("known-level", known),
        ]),
        Some(complete(policy, Floor::Unsaid)),
    )
}

fn of_enforced(policy: &Policy, new_pods: &NewPods<'_>) -> Vec<CompiledValidation> {
    let names = level_names(policy);
    // Matched everywhere, so that no label that changes meanwhile leaves a pod unjudged. A silent pod that has the key of
    // the default has what a label below that could ask for as well.
    let mut compiled = vec![new_pods(
        "pods",
        "New pods in every namespace that the policy governs, by what they say, or else by the default level.",
        Labelled::Only(vec![]),
        Some(complete(policy, Floor::Unsaid)),
    )];
    // Of a label that is not above the minimum nothing follows that does not everywhere.
    let above_minimum = names.iter().enumerate().skip(policy.levels.minimum_rank().saturating_add(1));
    for (rank, name) in above_minimum.filter(|(rank, _)| policy.levels.demands_at(*rank)) {
        let above: Vec<&str> = names.iter().skip(rank).copied().collect();
        compiled.push(new_pods(
            &format!("pods-from-{name}"),
            &format!("New pods in namespaces labelled {}.", above.join(", ")),
            Labelled::Only(vec![demand(keys::SENSITIVITY, "In", &above)]),
            Some(complete(policy, Floor::Always(rank))),
        ));
    }
    compiled
}

fn new_pods(
    (policy, mutation): (&Policy, &MutationMode),
    name: &str,
    description: &str,
    labelled: Labelled,
    complete: Option<String>,
) -> CompiledValidation {
    let condition = |complete: String| condition("not-complete-and-unassigned", format!("!({complete})"));
    CompiledValidation {
        audits: Vec::new(),
        name: name.to_owned(),
        description: description.to_owned(),
        target: Target::new(&["CREATE"], &[("", &["pods"])]),
        labelled,
        conditions: complete.map(condition).into_iter().collect(),
        variables: variables(policy),
        validations: vec![refusal(policy, mutation)],
    }
}

/// True for a pod that is not assigned to a node and carries the keys that it needs by `floor` and by what is said in its
/// annotations, which is nearly every pod, since templates are given them.
fn complete(policy: &Policy, floor: Floor) -> String {
    let ranks = constants::ranks(policy);
    let (default, minimum) = (policy.levels.default_rank(), policy.levels.minimum_rank());
    let rank = match floor {
        Floor::Unsaid if minimum == 0 => format!("said.size() == 0 ? {default} : said.map(l, {ranks}[l]).max()"),
        Floor::Unsaid => format!("said.size() == 0 ? {default} : ([{minimum}] + said.map(l, {ranks}[l])).max()"),
        Floor::Always(rank) => format!("([{rank}] + said.map(l, {ranks}[l])).max()"),
    };
    let is_enforced = policy.mode == EnforcementMode::Enforce;
    let has = |key: &str| format!("selector[?{key}] == optional.of('true')");
    let level = if is_enforced {
        let keys = constants::level_keys(policy);
        let keys = match constants::exception_keys(policy, "rank") {
            None => format!("{keys}[rank]"),
            Some(exceptions) => {
                format!("{keys}[rank].size() == 0 ? [] : {exceptions}.size() > 0 ? {exceptions} : {keys}[rank]")
            }
        };
        format!("\n  && [{rank}].exists(rank, ({keys}).all(k, {}))", has("k"))
    } else {
        String::new()
    };
    let categories = if policy.categories.is_empty() {
        "!('rempart.dev/workload-categories' in notes) && !('rempart.dev/categories' in notes)".to_owned()
    } else {
        let (known, keys) = (constants::categories(policy), constants::category_keys(policy));
        let key = format!("{keys}[c]");
        let held = if is_enforced { format!(" && (!(c in {keys}) || {})", has(&key)) } else { String::new() };
        // More than 32 are not known anyway.
        format!(
            "[notes[?'rempart.dev/workload-categories'], notes[?'rempart.dev/categories']]\n    \
             .all(v, !v.hasValue() || v.value().split(',', 33).all(c, c in {known}{held}))"
        )
    };
    format!(
        "!has(object.spec.nodeName)\n\
         && [object.metadata.?annotations.orValue(dyn({{}}))].exists(notes,\n   \
         [object.spec.?nodeSelector.orValue(dyn({{}}))].exists(selector,\n   \
         [[notes[?'rempart.dev/workload-sensitivity'], notes[?'rempart.dev/sensitivity']]\n    \
         .filter(v, v.hasValue()).map(v, v.value())].exists(said,\n  \
         said.all(l, l in {ranks}){level}\n  \
         && {categories})))"
    )
}

/// What is said of a pod, and what follows from it: the same for a new pod and for one whose last gate opens.
pub(super) fn needs(policy: &Policy) -> Vec<Variable> {
    let (levels, default) = (constants::levels(policy), policy.levels.default_rank());
    let ranks = match policy.levels.minimum_rank() {
        0 => format!("variables.levelNotes.map(n, {levels}.indexOf(n.value)).max()"),
        minimum => format!("([{minimum}] + variables.levelNotes.map(n, {levels}.indexOf(n.value))).max()"),
    };
    let level_keys = constants::level_keys(policy);
    let (categories, category_keys) = (constants::categories(policy), constants::category_keys(policy));
    // The key of an exception stands for that of the level.
    let level_key = match constants::exception_keys(policy, "variables.rank") {
        None => "variables.levelKey".to_owned(),
        Some(keys) => format!("(variables.levelKey.size() > 0 && {keys}.size() > 0 ? {keys} : variables.levelKey)"),
    };
    let mut variables = vec![
        variable(
            "levelNotes",
            format!(
                "// who says what, a workload by the mirror of its annotations that admission keeps on templates\n{}",
                notes([
                    Note::new("namespaceObject.metadata.?labels[?'rempart.dev/sensitivity']")
                        .standing("'label rempart.dev/sensitivity of the namespace'"),
                    Note::new("object.metadata.?annotations[?'rempart.dev/workload-sensitivity']")
                        .standing("'annotation rempart.dev/sensitivity of the workload'"),
                    Note::new("object.metadata.?annotations[?'rempart.dev/sensitivity']")
                        .standing("'annotation rempart.dev/sensitivity'"),
                ])
            ),
        ),
        variable(
            "categoryNotes",
            notes([
                Note::new("namespaceObject.metadata.?labels[?'rempart.dev/categories']")
                    .standing("'label rempart.dev/categories of the namespace'")
                    .separated_by("."),
                Note::new("object.metadata.?annotations[?'rempart.dev/workload-categories']")
                    .standing("'annotation rempart.dev/categories of the workload'")
                    .separated_by(","),
                Note::new("object.metadata.?annotations[?'rempart.dev/categories']")
                    .standing("'annotation rempart.dev/categories'")
                    .separated_by(","),
            ]),
        ),
    ];
    variables.extend(statements::wrong_notes(policy));
    variables.extend([
        variable(
            "understood",
            "variables.longNotes.size() + variables.wrongLevels.size() + variables.wrongCategories.size() == 0",
        ),
        variable(
            "rank",
            format!(
                "// of the effective level: the most sensitive of what is said, and never below the minimum\n\
                 variables.levelNotes.size() == 0 ? {default} :\n  {ranks}"
            ),
        ),
        variable(
            "levelKey",
            format!("// what the level asks of a node\nvariables.rank < 0 ? [] : {level_keys}[variables.rank]"),
        ),
        variable("saidCategories", "variables.categoryNotes.map(n, n.value.split(n.separator))"),
        variable(
            "demandingCategories",
            format!(
                "!variables.understood ? [] :\n  \
                 {categories}.filter(c, c in {category_keys} && variables.saidCategories.exists(said, c in said))"
            ),
        ),
        variable("needed", format!("{level_key}\n  + variables.demandingCategories.map(c, {category_keys}[c])")),
        variable("missing", "variables.needed.filter(k, object.spec.?nodeSelector[?k] != optional.of('true'))"),
    ]);
    variables
}

/// What asks for a cleared node, in words, as CEL.
pub(super) fn demand_in_words(policy: &Policy) -> String {
    let levels = constants::levels(policy);
    format!(
        "(variables.levelKey.map(k, 'level ' + {levels}[variables.rank])\n      \
         + variables.demandingCategories.map(c, 'category ' + c)).join(', ')"
    )
}

/// How many of the keys that a pod lacks are named: an API server drops a message of more than 5 KiB, and a policy may demand
/// that much.
const NAMED_KEYS: usize = 3;

/// The keys that a pod lacks, in words, as CEL.
pub(super) fn missing_in_words() -> String {
    format!(
        "variables.missing.filter(k, variables.missing.indexOf(k) < {NAMED_KEYS}).map(k, k + '=true').join(', ')\n      \
         + (variables.missing.size() > {NAMED_KEYS} ? ' and ' + string(variables.missing.size() - {NAMED_KEYS}) + ' more' : '')"
    )
}

fn variables(policy: &Policy) -> Vec<Variable> {
    // Only where admission adds the keys can their absence mean something.
    let selected = match policy.mode {
        EnforcementMode::Enforce => " && variables.missing.size() == 0",
        EnforcementMode::Warn | EnforcementMode::Audit => "",
    };
    let mut variables = needs(policy);
    variables.push(variable(
        "fine",
        format!(
            "variables.understood && (\n  \
             ((variables.needed.size() == 0 || !has(object.spec.nodeName)){selected})\n  \
             || // of a kubelet, which placed it already\n  \
             {MIRROR_POD})"
        ),
    ));
    variables
}

fn refusal(policy: &Policy, mutation: &MutationMode) -> Validation {
    let (name, demand, missing) = (policy.name.as_str(), demand_in_words(policy), missing_in_words());
    let node = statements::quoted("object.spec.nodeName");
    let mark = format!("{}{name}", rempart_core::keys::COMPLETED);
    let where_marked =
        |text: &str| format!("\n    + ('{mark}' in object.metadata.?labels.orValue({{}})\n      ? '{text}' : '')");
    let remedy = match mutation {
        MutationMode::Policies => format!(
            "' needs; admission adds it, so another webhook or policy took it away: let that leave spec.nodeSelector alone'{}\n    \
             + '; within half a minute of an installation, or of an API server\\'s start, try again'",
            where_marked(&format!(", or remove label {mark}, by which admission takes the pod for complete"))
        ),
        MutationMode::Webhook(_) => format!(
            "' needs; the webhook of rempart-admission adds it, and did not answer, or another took it away: try again, and \
             look whether the pods of rempart-admission are ready'{}",
            where_marked(&format!("; or remove label {mark}, by which the webhook takes the pod for complete"))
        ),
        MutationMode::None => {
            "' needs; nothing adds it in this cluster: write it into spec.nodeSelector, of the pod template \
             where there is one'"
                .to_owned()
        }
    };
    let mut cases = statements::wrong_note_cases(policy);
    cases.extend([
        RefusalCase {
            when: "has(object.spec.nodeName) && variables.needed.size() > 0",
            says: format!(
                "'spec.nodeName is ' + {node} + ', but ' + {demand}\n    \
                 + ' of PlacementPolicy {name} is placed by kube-scheduler on cleared nodes; remove spec.nodeName'"
            ),
        },
        RefusalCase {
            when: "true",
            says: format!(
                "'spec.nodeSelector lacks ' + {missing} + ', which '\n    \
                 + {demand}\n    \
                 + ' of PlacementPolicy {name}' + {remedy}"
            ),
        },
    ]);
    statements::refusal(statements::SUBJECT, cases, "the pod may not run as it is where the PlacementPolicy applies")
}
