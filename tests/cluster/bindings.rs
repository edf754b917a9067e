//! Each policy has the admission policies and bindings that its mode and namespaces ask for, whoever alters them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use rempart::api::PlacementPolicy;
use rempart_core::keys;
use rempart_lab::eventually;
use serde_json::{Value, json};

use crate::{
    harness::{Context, Trial},
    world::{SOON, TENANT_LABEL, World, create, create_dry, pod, refusal},
};

const MUTATING: &str = "MutatingAdmissionPolicyBinding";
const VALIDATION: &str = "ValidatingAdmissionPolicy";
const VALIDATING: &str = "ValidatingAdmissionPolicyBinding";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("bindings::a_policy_has_the_admission_of_its_mode_and_no_other", of_each_mode),
        Trial::new("bindings::a_policy_without_selector_governs_all_but_the_exempt_namespaces", without_selector),
        Trial::new("bindings::what_somebody_deletes_is_restored", deleted),
        Trial::new("bindings::what_loses_its_labels_is_restored", unlabelled),
        Trial::new("bindings::what_is_in_the_name_of_a_policy_that_is_not_there_is_ended", surplus),
        Trial::new("bindings::a_warned_author_applies_what_an_enforced_one_cannot", warn_and_audit),
        // For a moment it widens bindings to the namespaces of others.
        Trial::serial("bindings::what_somebody_alters_is_restored", altered),
        Trial::new("bindings::no_pod_is_wrongly_refused_while_a_policy_takes_hold", takes_hold),
    ]
}

fn api(client: &Client, kind: &str) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
    Api::all_with(client.clone(), &ApiResource::from_gvk(&gvk))
}

/// Admission policies and bindings of a policy: by kind and name, their specs.
type Specs = BTreeMap<(&'static str, String), Value>;

/// What they must be, written out from the contract and not from the code; of validations, what they match.
fn contract(world: &World, uid: &str, mode: &str, selector: &Value) -> Specs {
    let id = &world.id;
    let demand = |key: &str, operator: &str| json!({"key": key, "operator": operator});
    let level =
        |operator: &str, values: &[&str]| json!({"key": keys::SENSITIVITY, "operator": operator, "values": values});
    let none = |key: &str| demand(key, "DoesNotExist");
    let levels = ["public", "internal", "restricted", "secret"];
    let governed = |also: &[Value]| {
        let exempt = json!({
            "key": "kubernetes.io/metadata.name", "operator": "NotIn",
            "values": ["kube-node-lease", "kube-public", "kube-system", "rempart-system"],
        });
        let mut namespaces = selector.clone();
        namespaces["matchExpressions"] = [exempt].iter().chain(also).cloned().collect();
        namespaces
    };
    let of = |namespaces: Value, objects: Value| json!({"matchPolicy": "Equivalent", "namespaceSelector": namespaces, "objectSelector": objects});
    let bound = |namespaces: Value| of(namespaces, json!({}));
    // Pods whose mark is one that is right there are passed over.
    let others = |marks: &[&str]| {
        let marks: Vec<_> = marks.iter().map(|mark| format!("{}.{mark}", &uid[..8])).collect();
        json!({"matchExpressions": [{"key": format!("completed.rempart.dev/{id}"), "operator": "NotIn", "values": marks}]})
    };
    let mut specs = Specs::new();
    let none_of_both = [none(keys::CATEGORIES), none(keys::SENSITIVITY)];
    let said = |name: &str| vec![none(keys::CATEGORIES), level("In", &[name])];
    let [public, internal, restricted, secret] = ["public_keyless", "internal", "restricted", "secret"];
    let mutations: [(&str, &str, Vec<Value>, Value); 7] = [
        ("pods", "pods", none_of_both.into(), others(&[public, internal, restricted, secret, "internal_default"])),
        (
            "pods-floor",
            "pods-floor-public",
            said("public"),
            others(&[public, internal, restricted, secret, "public_namespace_keyless"]),
        ),
        (
            "pods-floor",
            "pods-floor-internal",
            said("internal"),
            others(&[internal, restricted, secret, "internal_namespace"]),
        ),
        (
            "pods-floor",
            "pods-floor-restricted",
            said("restricted"),
            others(&[restricted, secret, "restricted_namespace"]),
        ),
        ("pods-floor", "pods-floor-secret", said("secret"), others(&[secret, "secret_namespace"])),
        ("pods-floor", "pods-categories", vec![demand(keys::CATEGORIES, "Exists")], json!({})),
        ("templates", "templates", vec![], json!({})),
    ];
    for (policy, end, also, objects) in mutations.into_iter().filter(|_| mode == "Enforce") {
        let spec = json!({
            "policyName": format!("rempart-{policy}"),
            "paramRef": {"name": id, "parameterNotFoundAction": "Allow"},
            "matchResources": of(governed(&also), objects),
        });
        specs.insert((MUTATING, format!("rempart.{id}.{end}")), spec);
    }
    let action = if mode == "Enforce" { "Deny" } else { mode };
    let mut validation = |end: &str, also: &[Value], alternatives: &[(&str, Value)]| {
        let mode = if mode == "Enforce" { String::new() } else { format!(".{}", mode.to_lowercase()) };
        let name = format!("rempart.{id}.{end}{mode}");
        specs.insert((VALIDATION, name.clone()), json!({"failurePolicy": "Fail", "namespaces": governed(also)}));
        let spec = json!({"policyName": name, "validationActions": [action]});
        if alternatives.is_empty() {
            specs.insert((VALIDATING, name), spec);
            return;
        }
        for (binding, expressions) in alternatives {
            let mut spec = spec.clone();
            spec["matchResources"] = bound(json!({"matchExpressions": expressions}));
            specs.insert((VALIDATING, format!("{name}.{binding}")), spec);
        }
    };
    if mode == "Enforce" {
        validation("pods", &[], &[]);
        validation("pods-from-internal", &[level("In", &levels[1..])], &[]);
        validation("pods-from-restricted", &[level("In", &levels[2..])], &[]);
        validation("pods-from-secret", &[level("In", &levels[3..])], &[]);
    } else {
        let no_level = json!([none(keys::CATEGORIES), none(keys::SENSITIVITY)]);
        let known = json!([none(keys::CATEGORIES), level("In", &levels)]);
        validation("pods", &[], &[("no-level", no_level), ("known-level", known)]);
    }
    let unknown = json!([none(keys::CATEGORIES), demand(keys::SENSITIVITY, "Exists"), level("NotIn", &levels)]);
    let labelled = [("categories", json!([demand(keys::CATEGORIES, "Exists")])), ("unknown-level", unknown)];
    validation("pods-labels", &[], &labelled);
    for end in ["pod-updates", "workloads", "namespaces", "bindings", "declassify-workloads"] {
        validation(end, &[], &[]);
    }
    for end in ["declassify-namespaces", "nodes"] {
        validation(end, &[], &[]);
    }
    // Matched everywhere but in exempt namespaces, as what leaves the policy's must be: a condition decides.
    let everywhere = json!({"matchExpressions": governed(&[])["matchExpressions"]});
    for ((kind, name), spec) in &mut specs {
        if *kind == VALIDATION && (name.contains(".declassify-namespaces") || name.contains(".nodes")) {
            spec["namespaces"] = everywhere.clone();
        }
    }
    specs
}

/// The admission objects of the policy that are there, as [`contract`] has them.
async fn found(world: &World) -> Result<Specs> {
    let of_contract = |((kind, name), spec): ((&'static str, String), Value)| match kind {
        // The end of the name says for which namespaces it is.
        MUTATING => ((kind, name.rsplit_once('.').map_or("", |(name, _)| name).to_owned()), spec),
        VALIDATION => {
            let namespaces = &spec["matchConstraints"]["namespaceSelector"];
            let mut brief = json!({"failurePolicy": spec["failurePolicy"], "namespaces": namespaces});
            if !spec["paramKind"].is_null() {
                brief["paramKind"] = spec["paramKind"].clone();
            }
            ((kind, name), brief)
        }
        _ => ((kind, name), spec),
    };
    Ok(world.admission().await?.into_iter().map(of_contract).collect())
}

async fn eventually_bound(world: &World, mode: &str, selector: &Value) -> Result<()> {
    let policy = Api::<PlacementPolicy>::all(world.admin.clone()).get(&world.id).await?;
    let expected = contract(world, &policy.metadata.uid.context("a uid")?, mode, selector);
    eventually(format!("the admission of {}", world.id), SOON, async || {
        let found = found(world).await?;
        ensure!(found == expected, "it is {found:#?} instead of {expected:#?}");
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
    let binding = api(&world.admin, VALIDATING).get(&format!("rempart.{}.pods", world.id)).await?;
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
    // Removed by a merge patch: a null.
    let of_bindings = [
        json!({"matchResources": {"namespaceSelector": {"matchLabels": {"nobody": "here"}}}}),
        json!({"matchResources": {"namespaceSelector": {"matchExpressions": null}}}),
        json!({"matchResources": {"namespaceSelector": null}}),
        json!({"matchResources": {"objectSelector": {"matchLabels": {"nobody": "here"}}}}),
        json!({"matchResources": {"excludeResourceRules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["pods"]},
        ]}}),
        json!({"matchResources": {"resourceRules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["services"]},
        ]}}),
        json!({"matchResources": {"matchPolicy": "Exact"}}),
        json!({"matchResources": null}),
    ];
    let of_validating = [
        json!({"policyName": "rempart-stamps"}),
        json!({"validationActions": ["Audit"]}),
        json!({"validationActions": ["Deny", "Audit"]}),
    ];
    let of_validations = [
        json!({"failurePolicy": "Ignore"}),
        json!({"matchConditions": [{"name": "never", "expression": "false"}]}),
        json!({"matchConditions": null}),
        json!({"validations": [{"expression": "true"}]}),
        json!({"variables": [{"name": "fine", "expression": "true"}],
            "validations": [{"expression": "variables.fine"}]}),
        json!({"matchConstraints": {"matchPolicy": "Exact"}}),
        json!({"matchConstraints": {"namespaceSelector": {"matchLabels": {"nobody": "here"}}}}),
        json!({"matchConstraints": {"objectSelector": {"matchLabels": {"nobody": "here"}}}}),
    ];
    let name = |end: &str| format!("rempart.{}.{end}", world.id);
    let admission = world.admission().await?;
    let mutating = admission.keys().find(|(kind, found)| *kind == MUTATING && found.starts_with(&name("pods.")));
    let mutating = mutating.context("no mutation of pods")?.1.clone();
    let cases = of_bindings.iter().map(|patch| (MUTATING, mutating.clone(), patch));
    let cases = cases.chain(of_bindings.iter().map(|patch| (VALIDATING, name("pods-labels.categories"), patch)));
    let cases = cases.chain(of_validating.iter().map(|patch| (VALIDATING, name("pods"), patch)));
    let cases = cases.chain(of_validations.iter().map(|patch| (VALIDATION, name("pods"), patch)));
    for (kind, name, patch) in cases {
        let objects = api(&world.admin, kind);
        let before = objects.get(&name).await?;
        let patch = json!({"spec": patch});
        let after = objects
            .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .with_context(|| patch.to_string())?;
        ensure!(before.resource_version() != after.resource_version(), "{patch} altered nothing");
        eventually(format!("{kind} {name} to be as it was before {patch}"), SOON, async || {
            let found = objects.get(&name).await?;
            ensure!(found.data["spec"] == before.data["spec"], "it is {:#}", found.data["spec"]);
            anyhow::Ok(())
        })
        .await?;
    }
    eventually_bound(&world, "Enforce", &expected).await
}

async fn deleted(context: &Context) -> Result<()> {
    let world = World::new(context, "deleted").await?;
    for (kind, name) in world.admission().await?.into_keys() {
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
    for (kind, name) in world.admission().await?.into_keys() {
        api(&world.admin, kind)
            .patch(&name, &PatchParams::default(), &Patch::Merge(&json!({"metadata": {"labels": labels}})))
            .await?;
        eventually(format!("{kind} {name} to have its labels again"), SOON, async || {
            let object = api(&world.admin, kind).get(&name).await?;
            ensure!(object.labels().get("rempart.dev/policy") == Some(&world.id), "{:?}", object.labels());
            anyhow::Ok(())
        })
        .await?;
    }
    Ok(())
}

async fn surplus(context: &Context) -> Result<()> {
    let world = World::new(context, "surplus").await?;
    let ghost = context.unique("ghost");
    for kind in [VALIDATION, VALIDATING] {
        let mut object = api(&world.admin, kind).get(&format!("rempart.{}.workloads", world.id)).await?;
        let name = format!("rempart.{ghost}.workloads");
        object.metadata = kube::api::ObjectMeta { name: Some(name.clone()), ..kube::api::ObjectMeta::default() };
        api(&world.admin, kind).create(&kube::api::PostParams::default(), &object).await?;
        eventually(format!("{kind} {name} to be gone"), SOON, async || {
            ensure!(api(&world.admin, kind).get_opt(&name).await?.is_none(), "it is there");
            anyhow::Ok(())
        })
        .await?;
    }
    eventually_bound(&world, "Enforce", &tenant(&world)).await
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
