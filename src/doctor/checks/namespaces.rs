//! Checks of namespaces: which policies govern them, what hides in exempt ones, and which say no level.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Check, CheckResults, Examined, ExaminedKind, FindingCode};
use crate::{
    api::PlacementPolicy,
    convert,
    doctor::{
        examined::named,
        release::{self, Release},
    },
};
use rempart_core::{
    keys,
    policy::{EnforcementMode, Policy},
    selector::Labels,
    text::counted,
};

pub(super) const GOVERNED: Check = Check {
    name: "Policies",
    asks: "whether policies are in Enforce, and govern something",
    needs: &[ExaminedKind::PlacementPolicy, ExaminedKind::Namespace],
    live: false,
    examine: governed,
};

pub(super) const EXEMPT: Check = Check {
    name: "ExemptNamespaces",
    asks: "whether the namespaces that no policy governs exist, and hold nothing sensitive",
    needs: &[ExaminedKind::Namespace],
    live: false,
    examine: exempt,
};

pub(super) const LEVELS: Check = Check {
    name: "NamespaceLevels",
    asks: "whether governed namespaces say their level by label, which is the boundary that nobody lowers",
    needs: &[ExaminedKind::PlacementPolicy, ExaminedKind::Namespace],
    live: false,
    examine: levels,
};

fn found_release(examined: &Examined) -> Release {
    release::found(examined.known(ExaminedKind::Deployment), &examined.release).release
}

/// The labels or annotations of `object` at `path`; what is no text is left out.
pub(super) fn texts(object: &Value, path: &str) -> Labels {
    let entries = object.pointer(path).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn name_of(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

/// The labels of each namespace, by its name.
fn namespaces(examined: &Examined) -> BTreeMap<String, Labels> {
    let of = |object: &Value| {
        let mut labels = texts(object, "/metadata/labels");
        // The API server gives it to each; an export written by hand may lack it.
        labels.entry("kubernetes.io/metadata.name".to_owned()).or_insert_with(|| name_of(object).to_owned());
        (name_of(object).to_owned(), labels)
    };
    examined.known(ExaminedKind::Namespace).iter().map(of).collect()
}

/// The namespaces that policies govern and none in `Enforce` does; nothing where no namespace or policy is known.
pub(super) fn governed_unenforced(examined: &Examined, release: &Release) -> Option<BTreeSet<String>> {
    let namespaces = namespaces(examined);
    let policies = judged(examined, GOVERNED.name, &mut CheckResults::default());
    if namespaces.is_empty() || policies.is_empty() {
        return None;
    }
    let governed = namespaces.iter().filter(|(name, labels)| {
        let mut governing = policies.iter().filter(|policy| policy.namespaces.matches(*labels)).peekable();
        let is_governed = governing.peek().is_some() && !release.exempt.contains(*name);
        is_governed && governing.all(|policy| policy.mode != EnforcementMode::Enforce)
    });
    Some(governed.map(|(name, _)| name.clone()).collect())
}

/// The policies that are not being deleted. Of those that cannot be judged, only that is told.
fn judged(examined: &Examined, check: &'static str, results: &mut CheckResults) -> Vec<Policy> {
    let (objects, undecodable) = examined.decoded::<PlacementPolicy>(ExaminedKind::PlacementPolicy);
    let mut policies = Vec::new();
    let mut wrong = undecodable;
    for object in objects.into_iter().filter(|object| object.metadata.deletion_timestamp.is_none()) {
        let name = object.metadata.name.clone().unwrap_or_default();
        match convert::policy(&name, &object.spec).value {
            Some(policy) => policies.push(policy),
            None => wrong.push(format!("PlacementPolicy {name} cannot be judged")),
        }
    }
    for message in wrong {
        results.leave(check, message, "`rempart lint` says what is wrong with it");
    }
    policies
}

fn governed(examined: &Examined, results: &mut CheckResults) {
    let release = found_release(examined);
    let namespaces = namespaces(examined);
    let policies = judged(examined, GOVERNED.name, results);
    if policies.is_empty() {
        results.find(
            FindingCode::NoPolicy,
            "PlacementPolicy",
            "",
            "there is no PlacementPolicy that could be judged",
            "every pod to run anywhere",
            "apply a policy; charts/rempart-catalogue has some to begin with",
        );
    }
    for policy in &policies {
        let object = format!("PlacementPolicy {}", policy.name);
        let mode = match policy.mode {
            EnforcementMode::Enforce => None,
            EnforcementMode::Warn => Some("Warn"),
            EnforcementMode::Audit => Some("Audit"),
        };
        if let Some(mode) = mode {
            results.find(
                FindingCode::PolicyNotEnforced,
                &object,
                "spec.mode",
                format!("it is in {mode}, and refuses nothing"),
                "pods of its levels to run anywhere",
                format!(
                    "`rempart plan --cluster --enforced` says what Enforce would do; then `kubectl patch placementpolicy {} --type \
                     merge -p '{{\"spec\":{{\"mode\":\"Enforce\"}}}}'`",
                    policy.name
                ),
            );
        }
        let governs =
            |(name, labels): (&String, &Labels)| !release.exempt.contains(name) && policy.namespaces.matches(labels);
        if !namespaces.iter().any(governs) {
            results.find(
                FindingCode::PolicyGovernsNothing,
                &object,
                "spec.namespaceSelector",
                "no namespace that is not exempt has the labels that it selects by",
                "pods that it is meant for to run anywhere",
                "correct its namespaceSelector, or label the namespaces",
            );
        }
        for (exception, of) in &policy.exceptions {
            for name in of.namespaces.iter().filter(|name| !namespaces.contains_key(*name)) {
                results.find(
                    FindingCode::ExceptionNamespaceMissing,
                    &object,
                    format!("spec.exceptions[{exception}].namespaces"),
                    format!("its exception {exception} names the namespace {name}, which does not exist"),
                    "whoever may create namespaces to make one by that name, and use the exception",
                    format!("leave {name} out of the exception, or create it: `kubectl create namespace {name}`"),
                );
            }
        }
    }
}

fn exempt(examined: &Examined, results: &mut CheckResults) {
    let found = release::found(examined.known(ExaminedKind::Deployment), &examined.release);
    let release = &found.release;
    let namespaces = namespaces(examined);
    let is_known = !found.halves.is_empty() || examined.release.exempt.is_some();
    if !is_known {
        let message = "which namespaces are exempt is not known: no Deployment of the operator is among what was read";
        results.leave(EXEMPT.name, message, "give the Deployments too, or name them with --exempt-namespaces");
    }
    for name in release.exempt.iter().filter(|name| is_known && !namespaces.contains_key(*name)) {
        results.find(
            FindingCode::ExemptNamespaceMissing,
            format!("Namespace {name}"),
            "exemptNamespaces",
            format!("no policy governs namespace {name}, which does not exist"),
            "whoever may create namespaces to make one by that name, where no policy holds",
            format!("leave {name} out of the chart's values exemptNamespaces and exemptNamespacePresets, or create it: `kubectl create namespace {name}`"),
        );
    }
    for (name, labels) in namespaces.iter().filter(|(name, _)| release.exempt.contains(name)) {
        for (key, value) in said(labels) {
            sensitive(&format!("Namespace {name}"), "labels", key, value, name, results);
        }
    }
    let workloads = ExaminedKind::ALL.into_iter().filter(|kind| kind.is_workload());
    for kind in workloads.clone() {
        for object in examined.known(kind) {
            let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
            let is_owned =
                object.pointer("/metadata/ownerReferences").and_then(Value::as_array).is_some_and(|owners| {
                    // What its controller says is told of that.
                    owners.iter().any(|owner| owner.get("controller").is_some_and(|controls| controls == true))
                });
            if is_owned || !release.exempt.iter().any(|exempt| exempt == namespace) {
                continue;
            }
            let template = match kind {
                ExaminedKind::CronJob => "/spec/jobTemplate/spec/template/metadata/annotations",
                _ => "/spec/template/metadata/annotations",
            };
            let mut annotations = texts(object, template);
            annotations.extend(texts(object, "/metadata/annotations"));
            for (key, value) in said(&annotations) {
                sensitive(&named(object), "annotations", key, value, namespace, results);
            }
        }
    }
    let unread: Vec<String> = workloads
        .filter_map(|kind| examined.read(kind).err().map(|why| format!("{} ({why})", kind.plural())))
        .collect();
    // From files, only what was exported is looked at, and who exports workloads exports those of exempt namespaces too.
    if !unread.is_empty() {
        let message =
            format!("whether exempt namespaces hold something sensitive is not known of {}", unread.join("; "));
        results.leave(
            EXEMPT.name,
            message,
            "give these kinds of the exempt namespaces too, or --cluster with the right to list them",
        );
    }
}

/// What `texts` say of sensitivity.
fn said(texts: &Labels) -> impl Iterator<Item = (&'static str, &str)> {
    [keys::SENSITIVITY, keys::CATEGORIES].into_iter().filter_map(|key| Some((key, texts.get(key)?.as_str())))
}

fn sensitive(object: &str, field: &str, key: &str, value: &str, namespace: &str, results: &mut CheckResults) {
    results.find(
        FindingCode::SensitiveInExemptNamespace,
        object,
        format!("metadata.{field}[{key}]"),
        format!("it says {key}: {value}, and no policy governs namespace {namespace}"),
        "what it calls sensitive to run on any node",
        "move it to a namespace that is governed, or take the namespace out of exemptNamespaces",
    );
}

/// How many namespaces a sentence names.
const NAMED: usize = 10;

fn levels(examined: &Examined, results: &mut CheckResults) {
    let release = found_release(examined);
    let namespaces = namespaces(examined);
    for policy in judged(examined, LEVELS.name, results) {
        let silent: BTreeSet<&str> = namespaces
            .iter()
            .filter(|(name, labels)| !release.exempt.contains(name) && policy.namespaces.matches(*labels))
            .filter(|(_, labels)| !labels.contains_key(keys::SENSITIVITY))
            .map(|(name, _)| name.as_str())
            .collect();
        if silent.is_empty() {
            continue;
        }
        let named: Vec<&str> = silent.iter().copied().take(NAMED).collect();
        let more = match silent.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let count = counted(silent.len(), "namespace that it governs says", "namespaces that it governs say");
        results.find(
            FindingCode::NamespaceWithoutLevel,
            format!("PlacementPolicy {}", policy.name),
            "spec.requireNamespaceLevel",
            format!("{count} no level: {}{more}", named.join(", ")),
            "whoever may create workloads there to say any level from the policy's minimumLevel on, and to delete and recreate one lower",
            format!("`kubectl label namespace NAME {}=LEVEL`, and set requireNamespaceLevel: true", keys::SENSITIVITY),
        );
    }
}
