//! Checks of admission: whether the API server has what the chart installs and what each policy must have, by content.
//!
//! The operator's own comparison decides. What differs is named by a comparison of the specs, for people alone.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};
use kube::core::DeserializeGuard;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Check, CheckResults, Examined, ExaminedKind, FindingCode, grants::arguments, unread};
use crate::{
    admission::{
        AdmissionKind, AdmissionObject, AdmissionSettings, CLUSTER_ROLE,
        installed::{InstalledAdmission, objects_of_release},
    },
    api::{PlacementPolicy, PlacementPool},
    doctor::release::{self, Release},
    operator::{
        cache::{ClusterCache, Observation, WatchChange},
        reconcile::admission::{
            comparison::{faults_of_chart, faults_of_policies, objects_of, pool_labels},
            propagation::{AdmissionFault, AdmissionFaultKind},
        },
        watch::decode::{AdmissionResource, admission_object, declared_object},
    },
};

pub(super) const CHART: Check = Check {
    name: "AdmissionOfChart",
    asks: "whether what the chart installs for admission is there, unaltered, and nothing passes for it",
    needs: &[
        ExaminedKind::Deployment,
        ExaminedKind::ValidatingAdmissionPolicy,
        ExaminedKind::ValidatingAdmissionPolicyBinding,
    ],
    live: false,
    examine: chart,
};

pub(super) const POLICIES: Check = Check {
    name: "AdmissionOfPolicies",
    asks: "whether the API server holds pods to each policy as it says",
    needs: &[
        ExaminedKind::Deployment,
        ExaminedKind::PlacementPolicy,
        ExaminedKind::PlacementPool,
        ExaminedKind::ClusterRole,
        ExaminedKind::ValidatingAdmissionPolicy,
        ExaminedKind::ValidatingAdmissionPolicyBinding,
    ],
    live: false,
    examine: policies,
};

/// The kind that is looked at, of a kind of which admission is made.
fn examined_kind(kind: AdmissionKind) -> ExaminedKind {
    match kind {
        AdmissionKind::Mutation => ExaminedKind::MutatingAdmissionPolicy,
        AdmissionKind::MutatingBinding => ExaminedKind::MutatingAdmissionPolicyBinding,
        AdmissionKind::Validation => ExaminedKind::ValidatingAdmissionPolicy,
        AdmissionKind::ValidatingBinding => ExaminedKind::ValidatingAdmissionPolicyBinding,
        AdmissionKind::Webhook => ExaminedKind::MutatingWebhookConfiguration,
    }
}

/// What of `examined` the operator's comparison looks at, as the operator's cache has it.
fn cached(examined: &Examined) -> ClusterCache {
    fn admission<K: AdmissionResource + DeserializeOwned>(examined: &Examined, cache: &mut ClusterCache) {
        for object in examined.known(examined_kind(K::KIND)) {
            if let Some((name, decoded)) = guarded::<K>(object) {
                cache.observe(admission_object(WatchChange::Applied(name, decoded)));
            }
        }
    }
    let mut cache = ClusterCache::default();
    admission::<MutatingAdmissionPolicy>(examined, &mut cache);
    admission::<MutatingAdmissionPolicyBinding>(examined, &mut cache);
    admission::<ValidatingAdmissionPolicy>(examined, &mut cache);
    admission::<ValidatingAdmissionPolicyBinding>(examined, &mut cache);
    admission::<MutatingWebhookConfiguration>(examined, &mut cache);
    for object in examined.known(ExaminedKind::PlacementPolicy) {
        if let Some((name, decoded)) = guarded::<PlacementPolicy>(object) {
            cache.observe(Observation::Policy(WatchChange::Applied(name, declared_object(decoded))));
        }
    }
    for object in examined.known(ExaminedKind::PlacementPool) {
        if let Some((name, decoded)) = guarded::<PlacementPool>(object) {
            cache.observe(Observation::Pool(WatchChange::Applied(name, declared_object(decoded))));
        }
    }
    cache
}

/// The name of `object`, and the object as its type, or why it is not one.
fn guarded<K: kube::Resource + DeserializeOwned>(object: &Value) -> Option<(String, DeserializeGuard<K>)> {
    let name = object.pointer("/metadata/name")?.as_str()?.to_owned();
    Some((name, DeserializeGuard::deserialize(object).ok()?))
}

/// Says which kinds that `release` rests on were not read, beside those without which nothing is checked.
fn tell_unread(examined: &Examined, release: &Release, check: &'static str, results: &mut CheckResults) {
    for kind in AdmissionKind::ALL.into_iter().filter(|kind| release.mutation.keeps(*kind)) {
        let kind = examined_kind(kind);
        if let (false, Err(why)) = (CHART.needs.contains(&kind), examined.read(kind)) {
            results.unchecked.push(unread(check, kind, &why));
        }
    }
}

/// Whether `kind` was read, so that what is not among its objects is missing.
fn is_read(examined: &Examined, kind: AdmissionKind) -> bool {
    examined.read(examined_kind(kind)).is_ok()
}

fn found_release(examined: &Examined) -> Release {
    release::found(examined.known(ExaminedKind::Deployment), &examined.release).release
}

fn chart(examined: &Examined, results: &mut CheckResults) {
    let release = found_release(examined);
    let Release { namespace, exempt, mutation, schedulers: _ } = &release;
    tell_unread(examined, &release, CHART.name, results);
    let installed = InstalledAdmission::of_release(namespace, exempt, mutation);
    let (Ok(installed), Ok(objects)) = (installed, objects_of_release(namespace, exempt, mutation)) else {
        // A mistake in texts that are compiled in, which a test finds.
        return results.leave(CHART.name, "this version does not know what it installs", "report it");
    };
    let cache = cached(examined);
    let faults = faults_of_chart(&installed, &cache.admission);
    for fault in faults.into_iter().filter(|fault| is_read(examined, fault.kind)) {
        let expected = objects.iter().find(|object| {
            object.get("kind").is_some_and(|kind| kind == fault.kind.as_str())
                && object.pointer("/metadata/name").is_some_and(|name| *name == fault.name)
        });
        tell(&fault, None, expected.and_then(|object| object.get("spec")).cloned(), examined, results);
    }
}

fn policies(examined: &Examined, results: &mut CheckResults) {
    let release = found_release(examined);
    tell_unread(examined, &release, POLICIES.name, results);
    let owner = |name: &str| {
        let mut roles = examined.known(ExaminedKind::ClusterRole).iter();
        let role = roles.find(|role| role.pointer("/metadata/name").is_some_and(|found| found == name))?;
        Some(role.pointer("/metadata/uid")?.as_str()?.to_owned())
    };
    let cache = cached(examined);
    let mut settings = AdmissionSettings {
        exempt: release.exempt.clone(),
        schedulers: release.schedulers.clone(),
        pool_labels: pool_labels(&cache),
        owner: owner(CLUSTER_ROLE),
        mutation_owner: release.mutation.cluster_role().and_then(owner),
        mutation: release.mutation,
    };
    if settings.owner.is_none() || (settings.mutation.cluster_role().is_some() && settings.mutation_owner.is_none()) {
        let message = format!(
            "the ClusterRoles that own what is made for policies, as {CLUSTER_ROLE}, are not there, or say no uid"
        );
        return results.leave(
            POLICIES.name,
            message,
            "upgrade the release, or export them by `kubectl get clusterroles -o yaml`",
        );
    }
    for (name, record) in cache.policies.iter() {
        if let Err(error) = &record.object {
            let message = format!("PlacementPolicy {name} cannot be read: {error}");
            results.leave(POLICIES.name, message, "`rempart lint` says what is wrong with it");
        }
    }
    let (lacking, orphaned) = faults_of_policies(&cache, &settings);
    settings.pool_labels = pool_labels(&cache);
    for (policy, faults) in &lacking {
        let object = cache.policies.get(policy).and_then(|record| record.object.as_ref().ok());
        let objects = object.and_then(|object| objects_of(policy, object, &settings)).unwrap_or_default();
        for fault in faults.iter().filter(|fault| is_read(examined, fault.kind)) {
            let expected = objects.get(&(fault.kind, fault.name.clone())).and_then(spec_of);
            tell(fault, Some(policy), expected, examined, results);
        }
    }
    for fault in orphaned.iter().filter(|fault| is_read(examined, fault.kind)) {
        tell(fault, None, None, examined, results);
    }
}

fn spec_of(object: &AdmissionObject) -> Option<Value> {
    match object {
        AdmissionObject::MutatingBinding(object) => serde_json::to_value(&object.spec).ok(),
        AdmissionObject::Validation(object) => serde_json::to_value(&object.spec).ok(),
        AdmissionObject::ValidatingBinding(object) => serde_json::to_value(&object.spec).ok(),
        // Where its authorities stand nobody compares.
        AdmissionObject::Webhook(_) => None,
    }
}

/// Tells `fault`, of an object of `policy` or of the chart, which must have the spec `expected`.
fn tell(
    fault: &AdmissionFault,
    policy: Option<&str>,
    expected: Option<Value>,
    examined: &Examined,
    results: &mut CheckResults,
) {
    let AdmissionFault { kind, name, fault } = fault;
    let object = format!("{} {name}", kind.as_str());
    let whose =
        policy.map_or_else(|| "this version of the chart".to_owned(), |policy| format!("PlacementPolicy {policy}"));
    let allows = allowed(*kind, name);
    let kept = policy.is_some();
    let restore = if kept {
        "rempart-admission restores it within moments when it runs: see its log".to_owned()
    } else {
        format!(
            "`kubectl delete {} --ignore-not-found`, then upgrade the release to its own version: `helm upgrade` alone leaves what \
             somebody added",
            arguments(&object)
        )
    };
    match fault {
        AdmissionFaultKind::Missing => {
            let message = format!("{whose} has it, and it is not there");
            results.find(FindingCode::AdmissionMissing, object, "", message, allows, restore);
        }
        AdmissionFaultKind::Altered => {
            let mut objects = examined.known(examined_kind(*kind)).iter();
            let there = objects.find(|there| there.pointer("/metadata/name").is_some_and(|found| found == name));
            let fields = expected
                .zip(there.and_then(|there| there.get("spec")))
                .map(|(expected, found)| differences(&without_nulls(&expected), &without_nulls(found)));
            let fields = fields.filter(|fields| !fields.is_empty()).unwrap_or_else(|| vec!["metadata".to_owned()]);
            let message = format!("it is not as {whose} has it: {}", few(&fields));
            let first = fields.into_iter().next().unwrap_or_default();
            let field = first.split_once(' ').map_or(first.as_str(), |(field, _)| field).to_owned();
            results.find(FindingCode::AdmissionAltered, object, field, message, allows, restore);
        }
        AdmissionFaultKind::Orphaned => {
            let message = "it is of a PlacementPolicy that is not there";
            let remedy = "apply the policy again, or delete it when rempart-admission, which would have, runs no more";
            results.find(
                FindingCode::AdmissionOrphaned,
                object,
                "",
                message,
                "nothing; it may refuse pods that nobody governs any more",
                remedy,
            );
        }
        AdmissionFaultKind::Foreign => {
            let message = "it is labelled as Rempart's or binds what is Rempart's, and Rempart has not made it";
            let remedy = format!("`kubectl delete {}`, if nobody needs it", arguments(&object));
            results.find(
                FindingCode::AdmissionForeign,
                object,
                "",
                message,
                "pods to be judged or changed by what no policy says",
                remedy,
            );
        }
    }
}

/// What it allows that an admission object is not as it must be.
fn allowed(kind: AdmissionKind, name: &str) -> String {
    let validates = matches!(kind, AdmissionKind::Validation | AdmissionKind::ValidatingBinding);
    let text = match name {
        "rempart-stamps" => "anybody who may write nodes to stamp them",
        "rempart-operator" => "who has the operator's token to do more than stamp, record and move",
        "rempart-records" => "records of workloads to be forged",
        _ if !validates => "nothing by itself: pods that nobody completes are refused, not let in",
        _ => "pods, bindings or levels that the policy refuses to be let in",
    };
    text.to_owned()
}

/// How many differences a sentence names.
const NAMED: usize = 3;

fn few(fields: &[String]) -> String {
    let named: Vec<&str> = fields.iter().take(NAMED).map(String::as_str).collect();
    match fields.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// What differs between `expected` and `found`, each as `spec.matchConditions[1] is added`.
fn differences(expected: &Value, found: &Value) -> Vec<String> {
    let operations = json_patch::diff(expected, found).0;
    let of = |operation: &json_patch::PatchOperation| {
        let what = match operation {
            json_patch::PatchOperation::Add(_) => "is added",
            json_patch::PatchOperation::Remove(_) => "is missing",
            json_patch::PatchOperation::Replace(_)
            | json_patch::PatchOperation::Move(_)
            | json_patch::PatchOperation::Copy(_)
            | json_patch::PatchOperation::Test(_) => "differs",
        };
        let mut path = "spec".to_owned();
        for part in operation.path().as_str().split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            if part.bytes().all(|byte| byte.is_ascii_digit()) {
                path.extend(["[", &part, "]"]);
            } else {
                path.push('.');
                path.push_str(&part);
            }
        }
        format!("{path} {what}")
    };
    let mut fields: Vec<String> = Vec::new();
    for field in operations.iter().map(of) {
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
    fields
}

/// `value` without fields that say nothing: as one writes them, and another does not.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept: BTreeMap<_, _> = fields.iter().filter(|(_, value)| !value.is_null()).collect();
            Value::Object(kept.into_iter().map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}
