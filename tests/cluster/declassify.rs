//! What lowers a sensitivity, tried by those who may change the object and nothing else.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use kube::{Client, api::PostParams};
use rempart::{
    admission::{AdmissionObject, AdmissionSettings},
    api::PlacementPolicy,
    operator::reconcile::admission::objects_of,
};
use rempart_core::keys;
use rempart_lab::{ControlPlane, ControlPlaneOptions, eventually};
use serde_json::{Value, json};

use crate::{
    harness::{Context, Trial},
    world::{self, SOON, TENANT_LABEL, World, api_of, apply, create, merge, refusal, workload},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("declassify::who_may_change_a_deployment_may_not_lower_it", deployment),
        Trial::new("declassify::the_audit_log_says_who_lowered_what_where_a_policy_only_warns", audit_log),
        Trial::new("declassify::who_may_label_a_namespace_may_not_lower_it_or_take_it_out", namespace),
    ]
}

/// Gives `user` a role of its own with `rules`, in the whole cluster.
async fn grant(world: &World, user: &str, name: &str, rules: Value) -> Result<()> {
    let api = "rbac.authorization.k8s.io";
    let version = format!("{api}/v1");
    world
        .apply(json!({"apiVersion": version, "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}))
        .await?;
    world
        .apply(json!({
            "apiVersion": version, "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": api, "kind": "User", "name": user}],
        }))
        .await?;
    Ok(())
}

/// The verb, on the policy of the world alone.
async fn may_declassify(world: &World, user: &str) -> Result<()> {
    let rules = json!([{
        "apiGroups": ["rempart.dev"], "resources": ["placementpolicies"], "resourceNames": [world.id], "verbs": ["declassify"],
    }]);
    grant(world, user, &format!("{user}-lowers"), rules).await
}

fn told(said: &str, user: &str, what: &str, world: &World) -> Result<()> {
    let expected = format!(
        "{what}: that needs the verb declassify on PlacementPolicy {}, which user {user} does not have; leave the",
        world.id
    );
    ensure!(said.contains(&expected), "{said}");
    Ok(())
}

async fn deployment(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    let user = context.unique("deployer");
    let resources = json!([{
        "apiGroups": ["apps"], "resources": ["deployments", "deployments/status", "replicasets"],
        "verbs": ["get", "list", "watch", "update", "patch"],
    }]);
    grant(world, &user, &user, resources).await?;
    let deployer: Client = context.cluster.client_as(&user, &[])?;
    let first =
        create(&world.admin, &workload("Deployment", &namespace, "api", &[(keys::SENSITIVITY, "internal")])).await?;
    world.eventually_placed(&namespace, 1).await?;
    let of = |level: Value| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "api", "namespace": namespace, "annotations": {keys::SENSITIVITY: level}}})
    };
    eventually("the user to raise it", SOON, async || merge(&deployer, &of(json!("secret")), None).await.map(drop))
        .await?;
    let falls = |to: &str| format!("annotation {} would lower its level from secret to {to}", keys::SENSITIVITY);
    for (level, to) in [(json!("internal"), "internal"), (Value::Null, "none")] {
        for subresource in [None, Some("status")] {
            let said = refusal(merge(&deployer, &of(level.clone()), subresource).await)?;
            told(&said, &user, &falls(to), world)?;
        }
    }
    // The whole object, as a file of before has it.
    let mut old = serde_json::to_value(&first)?;
    for field in ["resourceVersion", "uid", "managedFields", "creationTimestamp", "generation"] {
        old["metadata"].as_object_mut().map(|metadata| metadata.remove(field));
    }
    let (api, put) = (api_of(&deployer, &old), serde_json::from_value(old.clone())?);
    let replaced = api.replace("api", &PostParams::default(), &put).await;
    told(&refusal(replaced)?, &user, &falls("internal"), world)?;
    // As kubectl does it: it takes the annotations of the revision before.
    let kubeconfig = context.cluster.user_kubeconfig(&user, &[])?;
    eventually("a revision to go back to", SOON, async || {
        let listed = ["get", "replicasets", "-n", &namespace, "-o", "name"];
        let found = context.cluster.kubectl(listed).kubeconfig(&kubeconfig).output().await?;
        ensure!(found.stdout.lines().count() == 2, "{found:?}");
        anyhow::Ok(())
    })
    .await?;
    let undo = ["rollout", "undo", "deployment/api", "-n", &namespace];
    let undone = context.cluster.kubectl(undo).kubeconfig(&kubeconfig).output().await?;
    ensure!(!undone.status.success(), "{undone:?}");
    told(&undone.stderr, &user, &falls("internal"), world)?;

    may_declassify(world, &user).await?;
    eventually("who has the verb to lower it", SOON, async || {
        merge(&deployer, &of(json!("internal")), None).await.map(drop)
    })
    .await?;
    Ok(())
}

async fn namespace(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let name = world.namespace(context, &[(keys::SENSITIVITY, "secret"), (keys::CATEGORIES, "health")]).await?;
    let user = context.unique("labeller");
    let resources = json!([{
        "apiGroups": [""], "resources": ["namespaces", "namespaces/status", "namespaces/finalize"],
        "verbs": ["get", "update", "patch"],
    }]);
    grant(world, &user, &user, resources).await?;
    let labeller = context.cluster.client_as(&user, &[])?;
    let of =
        |labels: Value| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    eventually("the user to label it", SOON, async || {
        merge(&labeller, &of(json!({"team": "claims"})), None).await.map(drop)
    })
    .await?;
    let level = keys::SENSITIVITY;
    let attempts = [
        (json!({level: "restricted"}), format!("label {level} would lower its level from secret to restricted")),
        (json!({level: null}), format!("label {level} would lower its level from secret to none")),
        (json!({keys::CATEGORIES: null}), format!("label {} would drop category \"health\"", keys::CATEGORIES)),
        (
            json!({TENANT_LABEL: null, level: null}),
            format!("label {TENANT_LABEL} would take it out of PlacementPolicy {}", world.id),
        ),
    ];
    for (labels, what) in attempts {
        for subresource in [None, Some("status")] {
            told(&refusal(merge(&labeller, &of(labels.clone()), subresource).await)?, &user, &what, world)?;
        }
        // Which takes the whole object.
        let mut whole = serde_json::to_value(api_of(&labeller, &of(json!({}))).get(&name).await?)?;
        json_patch::merge(&mut whole["metadata"]["labels"], &labels);
        let path = format!("/api/v1/namespaces/{name}/finalize");
        let request = http::Request::put(path).header("Content-Type", "application/json");
        let answer = labeller.request::<Value>(request.body(serde_json::to_vec(&whole)?)?).await;
        told(&refusal(answer)?, &user, &what, world)?;
    }
    may_declassify(world, &user).await?;
    eventually("who has the verb to lower it", SOON, async || {
        merge(&labeller, &of(json!({level: "restricted"})), None).await.map(drop)
    })
    .await?;
    merge(&labeller, &of(json!({TENANT_LABEL: null})), None).await?;
    Ok(())
}

/// On a control plane of its own, since others write no audit log.
async fn audit_log(_: &Context) -> Result<()> {
    let log = PathBuf::from("audit.log");
    let options = ControlPlaneOptions { audit_log: Some(log.clone()), ..ControlPlaneOptions::default() };
    let cluster = ControlPlane::start(options).await?;
    let admin = cluster.admin();
    let policy: PlacementPolicy = serde_json::from_value(json!({
        "apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": {"name": "state"},
        "spec": {
            "mode": "Warn", "defaultLevel": "internal",
            "levels": [{"name": "internal"}, {"name": "secret", "require": {"qualifications": ["secnumcloud"]}}],
        },
    }))?;
    let compiled = objects_of("state", &policy, &AdmissionSettings::default()).context("it compiles")?;
    for object in compiled.into_values() {
        match object {
            AdmissionObject::Validation(validation) => drop(apply(&admin, &json!(validation)).await?),
            AdmissionObject::ValidatingBinding(binding) => drop(apply(&admin, &json!(binding)).await?),
            AdmissionObject::MutatingBinding(_) | AdmissionObject::Webhook(_) => {}
        }
    }
    // Until the API server has taken them up it says nothing, so it is lowered again and again.
    let user = "mallory";
    let role = |kind: &str, rest: Value| {
        let mut role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": user}});
        json_patch::merge(&mut role, &rest);
        role
    };
    let rules = json!([{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "patch"]}]);
    apply(&admin, &role("ClusterRole", json!({"rules": rules}))).await?;
    let bound = json!({
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    });
    apply(&admin, &role("ClusterRoleBinding", bound)).await?;
    let labeller = cluster.client_as(user, &[])?;
    world::namespace(&admin, "claims", &[(keys::SENSITIVITY, "secret")].into()).await?;
    let of = |level: Value| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "claims", "labels": {keys::SENSITIVITY: level}}});
    let path = cluster.dir().join(log);
    let key = "rempart.state.declassify-namespaces.warn/lowered";
    let entry = eventually("the audit log to say it", SOON, async || {
        merge(&labeller, &of(json!("secret")), None).await?;
        merge(&labeller, &of(json!("internal")), None).await?;
        let text = std::fs::read_to_string(&path)?;
        let entries = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let told = entries.into_iter().find(|entry| entry["annotations"][key].is_string());
        told.context("it says nothing")
    })
    .await?;
    // The trial acts as somebody else.
    ensure!(entry["impersonatedUser"]["username"] == user, "{entry}");
    let expected =
        format!("namespace claims: label {} would lower its level from secret to internal", keys::SENSITIVITY);
    ensure!(entry["annotations"][key] == expected, "{}", entry["annotations"]);
    cluster.stop().await;
    Ok(())
}
