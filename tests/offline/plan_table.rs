//! `rempart plan`'s view of every case of the admission table (see tests/admission/README.md): each object is written as
//! a manifest, read, gathered and planned, and must fare as it does with the API server.

#[path = "../cluster/admission/short.rs"]
#[expect(dead_code, reason = "the cluster's tests use the rest")]
mod short;

use std::{collections::BTreeSet, path::Path};

use rempart::{
    diagnostic::source::SourceMap,
    gather::{GatherSettings, GatheredObjects},
    manifest::read::read,
};
use rempart_core::{
    instant::Timestamp,
    keys,
    plan::{PlacementOutcome, Plan, PlanAssumptions, UnrestrictedReason, plan},
    policy::EnforcementMode,
};
use serde_json::{Value, json};

fn yaml(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The fixtures' policy `name` as a manifest. One may be `like` another.
fn policy(fixtures: &Value, name: &str) -> Value {
    let listed = fixtures["policies"].as_array().unwrap();
    let found = listed.iter().find(|policy| policy["name"] == name).unwrap();
    let spec = crate::admission_fixtures::spec_of(listed, found);
    json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": {"name": name}, "spec": spec})
}

/// Who refuses what a plan can see: the rest needs a user, a change or a server.
const SEEN: [&str; 3] = ["pods", "workloads", "namespaces"];

/// Whether somebody undoes the mutations of the fixtures' policy `name`.
fn is_undone(fixtures: &Value, name: &str) -> bool {
    fixtures["policies"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|policy| policy["name"] == name && policy["mutations"] == false)
}

/// Whether the case is about an object as a manifest can say it.
fn is_plannable(case: &Value, fixtures: &Value) -> bool {
    let kinds = ["Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Namespace"];
    let kind = case["create"]["kind"].as_str().unwrap_or_default();
    let by = case["expect"]["by"].as_str();
    let refused = case["expect"]["refused"].as_str().unwrap_or_default();
    let policies: Vec<&str> = case["policies"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    kinds.contains(&kind)
        && case["subresource"].is_null()
        && case["user"].is_null()
        && by.is_none_or(|by| SEEN.contains(&by))
        // A policy that is being deleted, and mutations that somebody undoes, are states of a server.
        && !policies.contains(&"leaving")
        && !policies.iter().any(|name| is_undone(fixtures, name))
        // What an owner controls is the owner's business.
        && (kind == "Pod" || case["create"]["ownerReferences"].is_null())
        && !refused.contains("Rempart's operator")
}

/// What the plan makes of a case; an answer only where it differs from what the case expects.
fn disagreement(case: &Value, fixtures: &Value) -> Option<String> {
    let case = short::expanded(case);
    let namespace = case["in"].as_str().or(case["named"].as_str()).unwrap_or("claims");
    let own = case["create"]["kind"] == "Namespace";
    let labels = if own { &case["create"]["labels"] } else { &case["namespace"] };
    let mut manifests: Vec<Value> = case["policies"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|name| policy(fixtures, name.as_str().unwrap()))
        .collect();
    manifests.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}));
    if !own {
        manifests.push(short::spelt_out(&case["create"], namespace));
    }
    let mut sources = SourceMap::default();
    let file = sources.add("case", manifests.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n---\n"));
    let mut gathered = GatheredObjects::new("default");
    read(file, sources.text(file), &mut |found| gathered.take(file, found));
    let located = gathered.into_inventory(&GatherSettings { exempt: vec!["kube-system".into(), "kube-public".into()] });
    if located.is_faulty() {
        return Some(format!("cannot be read: {:?}", located.diagnostics));
    }
    let plan = plan(&located.inventory, Timestamp::from_seconds(1_800_000_000), PlanAssumptions::default());
    if own { of_namespace(&case, &plan) } else { of_workload(&case, &plan) }
}

fn of_namespace(case: &Value, plan: &Plan<'_>) -> Option<String> {
    let refused = plan.namespaces.iter().flat_map(|namespace| &namespace.refusals);
    let told: Vec<String> = refused
        .filter(|refused| refused.in_force)
        .map(|refused| refused.refusal.told_of_namespace().to_string())
        .collect();
    match case["expect"]["refused"].as_str() {
        Some(expected) => {
            let message = expected.split_once(": ").map_or(expected, |(_, message)| message);
            (!told.iter().any(|told| told == message)).then(|| format!("refuses with {told:?}, not {message:?}"))
        }
        None => (!told.is_empty()).then(|| format!("refuses with {told:?}")),
    }
}

fn of_workload(case: &Value, plan: &Plan<'_>) -> Option<String> {
    let [planned] = plan.workloads.as_slice() else { return Some("is no single workload".into()) };
    let (expect, message) = (&case["expect"], plan.message(planned));
    if let Some(expected) = expect["refused"].as_str() {
        let expected = expected.split_once(": ").map_or(expected, |(_, message)| message);
        let told = planned.outcome == PlacementOutcome::Refused && message.contains(expected);
        return (!told).then(|| format!("is {:?} with {message:?}, not refused with {expected:?}", planned.outcome));
    }
    for warning in expect["warned"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let warning = warning.split_once(": ").map_or(warning, |(_, message)| message);
        if planned.outcome != PlacementOutcome::Unrestricted(UnrestrictedReason::NotEnforced)
            || !message.contains(warning)
        {
            return Some(format!("is {:?} with {message:?}, and does not warn of {warning:?}", planned.outcome));
        }
    }
    if planned.outcome == PlacementOutcome::Refused {
        return Some(format!("is refused with {message:?}"));
    }
    for (name, expected) in expect["levels"].as_object().into_iter().flatten() {
        let found = planned.judgement.policies.iter().find(|levelled| levelled.policy.name.as_str() == name);
        let found = found.map(|found| json!({"level": found.level.as_str(), "from": found.source.to_string()}));
        if found.as_ref() != Some(expected) {
            return Some(format!("finds {found:?} by policy {name}, not {expected}"));
        }
    }
    if let Some(selector) = expect["nodeSelector"].as_object() {
        let governing = |key: &&String| {
            let policy = keys::policy_asked(key).and_then(|policy| plan.inventory.world.policies.get(policy));
            policy.is_some_and(|policy| policy.mode == EnforcementMode::Enforce)
        };
        let expected: BTreeSet<String> = selector.keys().filter(governing).cloned().collect();
        let asks = plan.demand(planned).map(|demand| demand.asks.as_slice()).unwrap_or_default();
        let asked: BTreeSet<String> = asks
            .iter()
            .flat_map(|ask| {
                let level = ask.level.map(|(_, level)| match ask.exception {
                    Some(exception) => keys::exception(ask.policy, exception),
                    None => keys::clearance(ask.policy, level),
                });
                level.into_iter().chain(ask.categories.iter().map(|category| keys::category(ask.policy, category)))
            })
            .collect();
        if asked != expected {
            return Some(format!("asks for {asked:?}, not {expected:?}"));
        }
    }
    None
}

#[test]
fn a_plan_agrees_with_the_api_server_on_every_case_that_a_manifest_can_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/admission");
    let fixtures = yaml(&folder.join("fixtures.yaml"));
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let (mut judged, mut differences) = (0, Vec::new());
    for path in files {
        for case in yaml(&path)["cases"].as_array().into_iter().flatten().filter(|case| is_plannable(case, &fixtures)) {
            judged += 1;
            if let Some(difference) = disagreement(case, &fixtures) {
                let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                differences.push(format!("{file}: {}: {difference}", case["name"]));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(judged >= 120, "only {judged} cases were judged");
}
