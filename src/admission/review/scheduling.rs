//! Scheduling of a reviewed pod: what it carries of what hints are about, and the operations that give it hints.

use std::borrow::Cow;

use json_patch::{PatchOperation, jsonptr::PointerBuf};
use serde::{Deserialize, de::Error as _};
use serde_json::{Error, Value, json, value::RawValue};

use rempart_core::{
    scheduling::{
        PodScheduling, REVISION_LABELS, STEPS, SchedulingHints, SpreadConstraint, SpreadHint, UNREACHABLE_TAINTS,
    },
    selector::Labels,
};

use super::{
    add,
    decode::{self, Fields, MOST_ENTRIES, each},
};

/// What a pod has whose hints are to be added: what operations need to know beside the hints.
#[derive(Default)]
pub(super) struct SchedulingParts {
    pub(super) carried: PodScheduling,
    affinity: AffinityDepth,
    has_tolerations: bool,
}

/// How far down the terms of preferred node affinity something is there.
#[derive(Clone, Copy, Default)]
enum AffinityDepth {
    /// No affinity.
    #[default]
    Nothing,
    /// Affinity, and none to nodes.
    Affinity,
    /// Affinity to nodes, and none that is preferred.
    NodeAffinity,
    /// Terms of it.
    Preferred,
}

/// Reads what a pod carries with this `spec`, these `labels` and this `controller`.
pub(super) fn read(
    spec: Option<&RawValue>,
    labels: &Labels,
    controller: Option<String>,
) -> Result<SchedulingParts, Error> {
    let Fields { affinity, topology_spread_constraints, tolerations, .. } = decode::fields(spec)?;
    let Fields { node_affinity, .. } = decode::fields(affinity)?;
    let Fields { preferred, .. } = decode::fields(node_affinity)?;
    let revision = REVISION_LABELS.into_iter().find_map(|label| Some((label, labels.get(label)?.clone())));
    let mut carried = PodScheduling { controller, revision, ..PodScheduling::default() };
    let keys = &mut carried.preferred_keys;
    each(preferred, |term: &RawValue| {
        let Fields { preference, .. } = decode::fields(Some(term))?;
        each(decode::fields(preference)?.match_expressions, |expression: Expression<'_>| {
            if rempart_core::keys::is_stamp(&expression.key) && !keys.contains(expression.key.as_ref()) {
                bounded(keys.len())?;
                keys.insert(expression.key.into_owned());
            }
            Ok(())
        })
    })?;
    let constraints = &mut carried.constraints;
    each(topology_spread_constraints, |found: Constraint<'_>| {
        bounded(constraints.len())?;
        constraints.push(SpreadConstraint {
            key: found.topology_key.into_owned(),
            when_unsatisfiable: found.when_unsatisfiable.into_owned(),
            max_skew: found.max_skew,
            min_domains: found.min_domains,
        });
        Ok(())
    })?;
    let tolerated = &mut carried.tolerated;
    each(tolerations, |found: Toleration<'_>| {
        let ends_it = found.effect.is_empty() || found.effect == "NoExecute";
        if let (true, true, Some(seconds)) = (ends_it, UNREACHABLE_TAINTS.contains(&found.key.as_ref()), found.seconds)
        {
            bounded(tolerated.len())?;
            tolerated.push((found.key.into_owned(), seconds));
        }
        Ok(())
    })?;
    let is_list = |list: Option<&RawValue>| list.is_some_and(|list| list.get().starts_with('['));
    let depth = match (decode::is_map(affinity), decode::is_map(node_affinity), is_list(preferred)) {
        (false, ..) => AffinityDepth::Nothing,
        (true, false, _) => AffinityDepth::Affinity,
        (true, true, false) => AffinityDepth::NodeAffinity,
        (true, true, true) => AffinityDepth::Preferred,
    };
    Ok(SchedulingParts { carried, affinity: depth, has_tolerations: is_list(tolerations) })
}

fn bounded(kept: usize) -> Result<(), Error> {
    if kept < MOST_ENTRIES { Ok(()) } else { Err(Error::custom("more than any pod needs")) }
}

#[derive(Deserialize)]
struct Expression<'a> {
    #[serde(borrow, default)]
    key: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct Constraint<'a> {
    #[serde(borrow)]
    topology_key: Cow<'a, str>,
    #[serde(borrow)]
    when_unsatisfiable: Cow<'a, str>,
    max_skew: i64,
    min_domains: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Toleration<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    effect: Cow<'a, str>,
    #[serde(rename = "tolerationSeconds")]
    seconds: Option<i64>,
}

/// The operations that give a pod that has `parts` these `hints`. It has a spec.
pub(super) fn operations(parts: &SchedulingParts, hints: &SchedulingHints) -> Vec<PatchOperation> {
    let SchedulingHints { rank_key, spread, tolerations } = hints;
    let mut operations = Vec::new();
    if let Some(key) = rank_key {
        operations.extend(preferred(parts, key));
    }
    operations.extend(spread.iter().flat_map(|hint| spread_operations(parts, hint)));
    let toleration = |(taint, seconds): &(&str, u64)| json!({"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds});
    if parts.has_tolerations {
        // The scheduler's and the taints' controller go by the first that fits.
        let first = || at(&["tolerations", "0"]);
        operations.extend(tolerations.iter().map(|found| add(first(), toleration(found))));
    } else if !tolerations.is_empty() {
        operations.push(add(at(&["tolerations"]), tolerations.iter().map(toleration).collect()));
    }
    operations
}

/// Where `further` is in a pod.
fn at(further: &[&str]) -> PointerBuf {
    PointerBuf::from_tokens(["spec"].iter().chain(further).copied())
}

/// The steps of preferred node affinity on the rank that `key` tells.
fn preferred(parts: &SchedulingParts, key: &str) -> Vec<PatchOperation> {
    const TERMS: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    let steps = STEPS.map(|(step, weight)| {
        json!({"weight": weight, "preference": {
            "matchExpressions": [{"key": key, "operator": "Gt", "values": [step.to_string()]}]}})
    });
    let steps: Vec<Value> = steps.into();
    match parts.affinity {
        AffinityDepth::Nothing => vec![add(at(&["affinity"]), json!({"nodeAffinity": {TERMS: steps}}))],
        AffinityDepth::Affinity => vec![add(at(&["affinity", "nodeAffinity"]), json!({TERMS: steps}))],
        AffinityDepth::NodeAffinity => vec![add(at(&["affinity", "nodeAffinity", TERMS]), steps.into())],
        AffinityDepth::Preferred => {
            steps.into_iter().map(|step| add(at(&["affinity", "nodeAffinity", TERMS, "-"]), step)).collect()
        }
    }
}

fn spread_operations(parts: &SchedulingParts, hint: &SpreadHint) -> Vec<PatchOperation> {
    const CONSTRAINTS: &str = "topologySpreadConstraints";
    match hint {
        SpreadHint::Added { spread, counted: (label, value) } => {
            let mut constraint = json!({
                "topologyKey": spread.across.key(),
                "maxSkew": spread.max_skew,
                "whenUnsatisfiable": spread.when_unsatisfiable(),
                "labelSelector": {"matchLabels": {*label: value}},
                "nodeAffinityPolicy": "Honor",
                "nodeTaintsPolicy": "Honor",
            });
            if let (Some(domains), Some(fields)) = (spread.min_domains, constraint.as_object_mut()) {
                fields.insert("minDomains".to_owned(), domains.into());
            }
            let (pointer, value) = if parts.carried.constraints.is_empty() {
                (at(&[CONSTRAINTS]), json!([constraint]))
            } else {
                (at(&[CONSTRAINTS, "-"]), constraint)
            };
            vec![add(pointer, value)]
        }
        SpreadHint::Tightened { index, max_skew, min_domains } => {
            let fields = [("maxSkew", max_skew), ("minDomains", min_domains)];
            let index = index.to_string();
            let set =
                |(field, value): (&str, &Option<u16>)| Some(add(at(&[CONSTRAINTS, &index, field]), (*value)?.into()));
            fields.into_iter().filter_map(set).collect()
        }
    }
}
