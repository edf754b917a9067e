//! Admission stays bound to each policy as its mode and namespaces say, whoever alters the bindings.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use rempart_core::keys;
use rempart_lab::eventually;
use serde_json::{Value, json};

use crate::{
    harness::{Context, Trial},
    world::{SOON, TENANT_LABEL, World, create, create_dry, pod, refusal},
};

const MUTATING: &str = "MutatingAdmissionPolicyBinding";
const VALIDATING: &str = "ValidatingAdmissionPolicyBinding";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("bindings::a_policy_has_the_bindings_of_its_mode_and_no_others", of_each_mode),
        Trial::new("bindings::a_policy_without_selector_governs_all_but_the_exempt_namespaces", without_selector),
        Trial::new("bindings::a_binding_that_somebody_deletes_is_restored", deleted),
        Trial::new("bindings::a_binding_whose_labels_are_taken_is_restored", unlabelled),
        Trial::new("bindings::a_binding_in_the_name_of_a_policy_that_is_not_there_is_ended", surplus),
        Trial::new("bindings::a_warned_author_applies_what_an_enforced_one_cannot", warn_and_audit),
        // For a moment it widens bindings to the namespaces of others.
        Trial::serial("bindings::a_binding_that_somebody_alters_is_restored", altered),
        Trial::new("bindings::no_pod_is_wrongly_refused_while_a_policy_takes_hold", takes_hold),
    ]
}

fn api(client: &Client, kind: &str) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
    Api::all_with(client.clone(), &ApiResource::from_gvk(&gvk))
}

/// What the bindings of a policy are: by kind and name, their specs.
type Specs = BTreeMap<(&'static str, String), Value>;

/// What they must be, written out from the contract and not from the code.
fn contract(world: &World, mode: &str, selector: &Value) -> Specs {
    let id = &world.id;
    let no = |key: &str| json!({"key": key, "operator": "DoesNotExist"});
    let has = |key: &str| json!({"key": key, "operator": "Exists"});
    let floors = [
        ("rempart-pods", "rempart-pods", vec![no(keys::SENSITIVITY), no(keys::CATEGORIES)]),
        ("rempart-pods-floor", "rempart-floor", vec![has(keys::SENSITIVITY)]),
        ("rempart-pods-floor", "rempart-categories", vec![no(keys::SENSITIVITY), has(keys::CATEGORIES)]),
    ];
    let anywhere = |names: &[&'static str]| names.iter().map(|name| (*name, *name, vec![])).collect::<Vec<_>>();
    let spec = |policy: &str, floor: Vec<Value>| {
        let exempt = json!({
            "key": "kubernetes.io/metadata.name", "operator": "NotIn",
            "values": ["kube-node-lease", "kube-public", "kube-system", "rempart-system"],
        });
        let mut namespaces = selector.clone();
        namespaces["matchExpressions"] = [exempt].into_iter().chain(floor).collect();
        json!({
            "policyName": policy,
            "paramRef": {"name": id, "parameterNotFoundAction": "Deny"},
            "matchResources": {"matchPolicy": "Equivalent", "namespaceSelector": namespaces, "objectSelector": {}},
        })
    };
    let mut specs = Specs::new();
    if mode == "Enforce" {
        for (policy, binding, floor) in floors.clone().into_iter().chain(anywhere(&["rempart-templates"])) {
            specs.insert((MUTATING, format!("{binding}-{id}")), spec(policy, floor));
        }
    }
    let rest = anywhere(&["rempart-pod-updates", "rempart-workloads", "rempart-namespaces", "rempart-bindings"]);
    for (policy, binding, floor) in floors.into_iter().chain(rest) {
        let mut spec = spec(policy, floor);
        let action = if mode == "Enforce" { "Deny" } else { mode };
        spec["validationActions"] = json!([action]);
        specs.insert((VALIDATING, format!("{binding}-{id}")), spec);
    }
    specs
}

async fn eventually_bound(world: &World, mode: &str, selector: &Value) -> Result<()> {
    let expected = contract(world, mode, selector);
    eventually(format!("the bindings of {}", world.id), SOON, async || {
        let found = world.bindings().await?;
        ensure!(found == expected, "they are {found:#?} instead of {expected:#?}");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

fn tenant(world: &World) -> Value {
    json!({"matchLabels": {TENANT_LABEL: world.id}})
}

async fn of_each_mode(context: &Context) -> Result<()> {
    let world = World::new(context, "modes").await?;
    eventually_bound(&world, "Enforce", &tenant(&world)).await?;
    let binding = api(&world.admin, VALIDATING).get(&format!("rempart-pods-{}", world.id)).await?;
    let labels = [
        ("app.kubernetes.io/managed-by", "rempart"),
        ("app.kubernetes.io/name", "rempart"),
        ("rempart.dev/policy", world.id.as_str()),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    ensure!(*binding.labels() == BTreeMap::from(labels), "{:?}", binding.labels());

    for mode in ["Warn", "Audit", "Enforce"] {
        let mut policy = world.policy();
        policy["spec"]["mode"] = json!(mode);
        world.apply(policy).await?;
        eventually_bound(&world, mode, &tenant(&world)).await?;
        let (status, reason) = match mode {
            "Warn" => ("False", "ModeWarn"),
            "Audit" => ("False", "ModeAudit"),
            _ => ("True", "Bound"),
        };
        world.eventually_condition("Enforced", status, reason).await?;
    }
    Ok(())
}

async fn without_selector(context: &Context) -> Result<()> {
    // In Audit: it governs the namespaces of every other trial.
    let world = World::new(context, "everywhere").await?;
    let mut policy = world.policy();
    policy["spec"]["mode"] = json!("Audit");
    policy["spec"].as_object_mut().context("no spec")?.remove("namespaceSelector");
    world.apply(policy.clone()).await?;
    eventually_bound(&world, "Audit", &json!({})).await?;
    policy["spec"]["namespaceSelector"] = json!({});
    world.apply(policy.clone()).await?;
    eventually_bound(&world, "Audit", &json!({})).await?;
    policy["spec"]["namespaceSelector"] = tenant(&world);
    world.apply(policy).await?;
    eventually_bound(&world, "Audit", &tenant(&world)).await
}

async fn altered(context: &Context) -> Result<()> {
    let world = World::new(context, "altered").await?;
    let expected = tenant(&world);
    let alterations = [
        (json!({"paramRef": {"parameterNotFoundAction": "Allow"}}), true),
        (json!({"paramRef": {"name": "another"}}), false),
        (json!({"policyName": "rempart-bindings"}), false),
        (json!({"matchResources": {"namespaceSelector": {"matchLabels": {"nobody": "here"}}}}), true),
        (json!({"matchResources": {"namespaceSelector": {"matchExpressions": null}}}), true),
        (json!({"matchResources": {"namespaceSelector": null}}), true),
        (json!({"matchResources": {"objectSelector": {"matchLabels": {"nobody": "here"}}}}), true),
        (
            json!({"matchResources": {"excludeResourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["pods"]},
            ]}}),
            true,
        ),
        (
            json!({"matchResources": {"resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["services"]},
            ]}}),
            true,
        ),
        (json!({"matchResources": {"matchPolicy": "Exact"}}), true),
        (json!({"matchResources": null}), true),
    ];
    let of_validations =
        [(json!({"validationActions": ["Audit"]}), false), (json!({"validationActions": ["Deny", "Audit"]}), false)];
    let both = alterations.iter().filter(|(_, both)| *both).map(|(patch, _)| (MUTATING, patch));
    let validating = alterations.iter().chain(&of_validations).map(|(patch, _)| (VALIDATING, patch));
    for (kind, patch) in both.chain(validating) {
        let name = format!("rempart-pods-{}", world.id);
        let bindings = api(&world.admin, kind);
        let before = bindings.get(&name).await?;
        let patch = json!({"spec": patch});
        let after = bindings
            .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .with_context(|| patch.to_string())?;
        ensure!(before.resource_version() != after.resource_version(), "{patch} altered nothing");
        eventually_bound(&world, "Enforce", &expected).await.with_context(|| format!("after {kind} {patch}"))?;
    }
    Ok(())
}

async fn deleted(context: &Context) -> Result<()> {
    let world = World::new(context, "deleted").await?;
    for (kind, name) in contract(&world, "Enforce", &tenant(&world)).into_keys() {
        api(&world.admin, kind).delete(&name, &DeleteParams::default()).await?;
    }
    eventually_bound(&world, "Enforce", &tenant(&world)).await?;
    world.enforced(context).await?;
    let namespace = world.namespace(context, &[]).await?;
    let created = create_dry(&world.admin, &pod(&namespace, "web", &[])).await?;
    ensure!(created.data["spec"]["nodeSelector"] == json!({world.clearance("internal"): "true"}), "{:#}", created.data);
    refusal(create(&world.admin, &pod(&namespace, "bad", &[(keys::SENSITIVITY, "top")])).await)?;
    Ok(())
}

async fn unlabelled(context: &Context) -> Result<()> {
    let world = World::new(context, "unlabelled").await?;
    let labels =
        json!({"app.kubernetes.io/managed-by": null, "app.kubernetes.io/name": null, "rempart.dev/policy": null});
    for kind in [MUTATING, VALIDATING] {
        let name = format!("rempart-pods-{}", world.id);
        // Out of the operator's sight, and ineffective.
        let patch = json!({
            "metadata": {"labels": labels},
            "spec": {"matchResources": {"namespaceSelector": {"matchLabels": {"nobody": "here"}}}},
        });
        api(&world.admin, kind).patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        eventually_bound(&world, "Enforce", &tenant(&world)).await?;
        let binding = api(&world.admin, kind).get(&name).await?;
        ensure!(binding.labels().get("rempart.dev/policy") == Some(&world.id), "{:?}", binding.labels());
    }
    Ok(())
}

async fn surplus(context: &Context) -> Result<()> {
    let world = World::new(context, "surplus").await?;
    let name = format!("rempart-pods-{}", context.unique("ghost"));
    let mut binding = api(&world.admin, VALIDATING).get(&format!("rempart-pods-{}", world.id)).await?;
    binding.metadata = kube::api::ObjectMeta {
        name: Some(name.clone()),
        labels: binding.metadata.labels,
        ..kube::api::ObjectMeta::default()
    };
    api(&world.admin, VALIDATING).create(&kube::api::PostParams::default(), &binding).await?;
    eventually_bound(&world, "Enforce", &tenant(&world)).await?;
    ensure!(api(&world.admin, VALIDATING).get_opt(&name).await?.is_none());
    Ok(())
}

async fn warn_and_audit(context: &Context) -> Result<()> {
    let world = World::new(context, "lenient").await?;
    let namespace = world.namespace(context, &[]).await?;
    let odd = pod(&namespace, "odd", &[(keys::SENSITIVITY, "top")]).to_string();
    let attempt =
        async || context.cluster.kubectl(["create", "--dry-run=server", "-f", "-"]).stdin(odd.clone()).output().await;
    let sentence = "pod NS/odd: annotation rempart.dev/sensitivity is \"top\": no such level in PlacementPolicy";
    let sentence = format!("{} {}", sentence.replace("NS", &namespace), world.id);
    for (mode, succeeds, says) in [("Enforce", false, true), ("Warn", true, true), ("Audit", true, false)] {
        let mut policy = world.policy();
        policy["spec"]["mode"] = json!(mode);
        world.apply(policy).await?;
        eventually(format!("{mode} to be acted on"), SOON, async || {
            let attempt = attempt().await?;
            ensure!(attempt.status.success() == succeeds, "{attempt:?}");
            ensure!(attempt.stderr.contains(&sentence) == says, "{attempt:?}");
            ensure!(mode != "Warn" || attempt.stderr.starts_with("Warning: "), "{attempt:?}");
            anyhow::Ok(())
        })
        .await?;
        if mode != "Enforce" {
            eventually("nothing to be altered", SOON, async || {
                let created = create_dry(&world.admin, &pod(&namespace, "web", &[])).await?;
                ensure!(created.data["spec"]["nodeSelector"].is_null(), "{:#}", created.data["spec"]);
                anyhow::Ok(())
            })
            .await?;
        }
    }
    Ok(())
}

async fn takes_hold(context: &Context) -> Result<()> {
    context.rempart().await?;
    let world = World::ungoverned(context, "dawn").await?;
    let namespaces =
        [world.namespace(context, &[]).await?, world.namespace(context, &[(keys::SENSITIVITY, "restricted")]).await?];
    let made = async |name: &str, level: &str| {
        let mut made = Vec::new();
        for namespace in &namespaces {
            made.push(create_dry(&world.admin, &pod(namespace, name, &[(keys::SENSITIVITY, level)])).await);
        }
        made.into_iter().collect::<kube::Result<Vec<_>>>()
    };
    made("bad", "top").await.context("nothing governs these namespaces yet")?;
    world.apply(world.policy()).await?;
    // Good pods are made all the while, until bad ones are refused in both.
    for round in 1.. {
        made("good", "restricted").await.with_context(|| format!("refused in round {round}"))?;
        let mut refused = 0;
        for namespace in &namespaces {
            let bad = pod(namespace, "bad", &[(keys::SENSITIVITY, "top")]);
            refused += usize::from(create_dry(&world.admin, &bad).await.is_err());
        }
        if refused == namespaces.len() {
            break;
        }
    }
    Ok(())
}
