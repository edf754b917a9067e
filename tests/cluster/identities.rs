//! The operator's two identities: what the token of each can do, and that neither frees itself by it.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::{
    api::{
        admissionregistration::v1::{MutatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
        authentication::v1::{SelfSubjectReview, TokenRequest},
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use rempart::operator::component::OperatorComponent;
use rempart_core::keys;
use rempart_lab::eventually;
use serde_json::{Value, json};

use crate::{
    harness::{Context, Trial},
    world::{SOON, World, api_of, create, create_dry, merge, pod, refusal, workload},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("identities::the_operators_token_stamps_and_does_nothing_else", stolen_token),
        Trial::new("identities::who_stamps_and_moves_writes_no_admission_object", no_admission_object),
        Trial::new("identities::who_keeps_admission_touches_no_node_and_no_workload", admission_token),
        Trial::serial("identities::without_its_keeper_admission_goes_on_and_an_edit_that_waits_is_told", keeper_lost),
        Trial::serial("identities::what_is_altered_of_the_chart_is_told_until_it_is_put_right", altered),
    ]
}

const NAMESPACE: &str = "rempart-system";
const PLACEMENT: OperatorComponent = OperatorComponent::Placement;
const ADMISSION: OperatorComponent = OperatorComponent::Admission;

/// A client with the token of a half of the operator.
async fn token_of(context: &Context, component: OperatorComponent) -> Result<Client> {
    let kubeconfig = context.cluster.service_account_kubeconfig(NAMESPACE, component.name()).await?;
    let kubeconfig = kube::config::Kubeconfig::read_from(&kubeconfig)?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// A half of the operator, as if somebody had granted it everything.
fn unbound(context: &Context, component: OperatorComponent) -> Result<Client> {
    let user = format!("system:serviceaccount:{NAMESPACE}:{}", component.name());
    Ok(context.cluster.client_as(&user, &["system:masters"])?)
}

async fn stolen_token(context: &Context) -> Result<()> {
    let world = &World::new(context, "stolen").await?;
    let namespace = world.namespace(context, &[]).await?;
    let node = world.node(context, "gouv").await?;
    let thief = token_of(context, PLACEMENT).await?;
    // What the roles do not give.
    for object in [pod(&namespace, "own", &[]), workload("Deployment", &namespace, "own", &[])] {
        let said = refusal(create(&thief, &object).await)?;
        ensure!(said.contains("cannot create resource"), "{said}");
    }
    let secrets: Api<k8s_openapi::api::core::v1::Secret> = Api::all(thief.clone());
    refusal(secrets.list(&ListParams::default()).await.map(|found| found.items.len()))?;
    // What the roles give and admission takes.
    let of_node = |metadata: Value, spec: Value| {
        let mut object = json!({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec});
        object["metadata"]["name"] = json!(node);
        object
    };
    for (metadata, spec) in [
        (json!({}), json!({"unschedulable": true})),
        (json!({}), json!({"taints": [{"key": "own", "effect": "NoExecute"}]})),
        (json!({"labels": {"team": "own"}}), json!({})),
        (json!({"annotations": {"team": "own"}}), json!({})),
        (json!({"finalizers": ["example.org/own"]}), json!({})),
    ] {
        let said = refusal(merge(&thief, &of_node(metadata, spec), None).await)?;
        ensure!(said.contains("Rempart's operator may change its own stamps and nothing else of a node"), "{said}");
    }
    // Of a workload it may note a move, and nothing else.
    let space = world.namespace(context, &[]).await?;
    for kind in ["Deployment", "StatefulSet", "DaemonSet", "CronJob"] {
        let object = workload(kind, &space, "app", &[]);
        create(&world.admin, &object).await?;
        let patch = |metadata: Value, template: Value, spec: Value| {
            let mut object =
                json!({"apiVersion": object["apiVersion"], "kind": kind, "metadata": metadata, "spec": spec});
            object["metadata"]["name"] = json!("app");
            object["metadata"]["namespace"] = json!(space);
            let at = if kind == "CronJob" { "/spec/jobTemplate/spec" } else { "/spec" };
            if kind == "CronJob" {
                object["spec"]["jobTemplate"] = json!({"spec": {}});
            }
            if let Some(at) = object.pointer_mut(at) {
                at["template"] = template;
            }
            object
        };
        let noted = patch(json!({}), json!({"metadata": {"annotations": {keys::MIGRATION: "now"}}}), json!({}));
        merge(&thief, &noted, None).await.with_context(|| format!("the operator moves a {kind}"))?;
        let containers = json!({"spec": {"containers": [{"name": "main", "image": "example.test/other"}]}});
        for wrong in [
            patch(json!({}), containers, json!({})),
            patch(json!({}), json!({"metadata": {"annotations": {"team": "own"}}}), json!({})),
            patch(json!({}), json!({"metadata": {"labels": {"team": "own"}}}), json!({})),
            patch(json!({}), json!({"spec": {"nodeSelector": {"team": "own"}}}), json!({})),
            // No admission asks for a pool: it would be a place of the thief's choice.
            patch(json!({}), json!({"spec": {"nodeSelector": {keys::POOL: "own"}}}), json!({})),
            patch(json!({"labels": {"team": "own"}}), json!({}), json!({})),
            patch(json!({"annotations": {keys::SENSITIVITY: "public"}}), json!({}), json!({})),
            patch(
                json!({}),
                json!({}),
                if kind == "CronJob" { json!({"suspend": true}) } else { json!({"minReadySeconds": 7}) },
            ),
        ] {
            let said = refusal(merge(&thief, &wrong, None).await)?;
            ensure!(said.contains("Rempart's operator may note a move in the pod template"), "{wrong}: {said}");
        }
    }
    // Where no policy reaches, nobody would put right what it puts into a template.
    let agent = workload("DaemonSet", "kube-system", &world.id, &[]);
    create(&world.admin, &agent).await?;
    let key = world.clearance("restricted");
    let selecting = |value: Value| {
        let template = json!({"spec": {"nodeSelector": {key.as_str(): value}}});
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "spec": {"template": template},
            "metadata": {"name": world.id, "namespace": "kube-system"}})
    };
    let said = refusal(merge(&thief, &selecting(json!("true")), None).await)?;
    ensure!(said.contains(&format!("nor put {key} into its nodeSelector: no policy asks for it there")), "{said}");
    merge(&world.admin, &selecting(json!("true")), None).await?;
    merge(&thief, &selecting(Value::Null), None).await.context("the operator frees a template")?;
    api_of(&world.admin, &agent).delete(&world.id, &DeleteParams::default()).await?;
    Ok(())
}

/// What admission is made of: one of each kind, by the names of those that confine the operator where there are such.
fn admission_objects() -> [Value; 4] {
    let object = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    [
        object("ValidatingAdmissionPolicyBinding", "rempart-operator", json!({"validationActions": ["Audit"]})),
        object("ValidatingAdmissionPolicy", "rempart-operator", json!({"failurePolicy": "Ignore"})),
        object("MutatingAdmissionPolicy", "rempart-pods", json!({"reinvocationPolicy": "Never"})),
        object("MutatingAdmissionPolicyBinding", "rempart.own.pods", json!({"policyName": "rempart-pods"})),
    ]
}

async fn no_admission_object(context: &Context) -> Result<()> {
    context.rempart().await?;
    let world = &World::ungoverned(context, "placing").await?;
    let thief = token_of(context, PLACEMENT).await?;
    for object in admission_objects() {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        for (verb, refused) in [
            ("create", refusal(create(&thief, &object).await)),
            ("patch", refusal(merge(&thief, &object, None).await)),
            ("delete", refusal(api_of(&thief, &object).delete(name, &DeleteParams::default()).await.map(drop))),
        ] {
            let said = refused.with_context(|| format!("{verb} {object}"))?;
            ensure!(said.contains(&format!("cannot {verb} resource")), "{verb} {object}: {said}");
        }
    }
    // Nor does it become the other by a token of that one, nor give itself what it lacks.
    let said = refusal(
        Api::<k8s_openapi::api::core::v1::ServiceAccount>::namespaced(thief.clone(), NAMESPACE)
            .create_token_request(ADMISSION.name(), &PostParams::default(), &TokenRequest::default())
            .await,
    )?;
    ensure!(said.contains("cannot create resource \"serviceaccounts/token\""), "{said}");
    let who = SelfSubjectReview::default();
    let who = Api::<SelfSubjectReview>::all(thief).create(&PostParams::default(), &who).await?;
    let name = who.status.and_then(|status| status.user_info?.username).unwrap_or_default();
    ensure!(name == format!("system:serviceaccount:{NAMESPACE}:rempart"), "these are another's refusals: {name}");
    // What people declare is the officers', though somebody grants the operator everything.
    let thief = unbound(context, PLACEMENT)?;
    let mut policy = world.policy();
    policy["spec"]["mode"] = json!("Audit");
    let said = refusal(create(&thief, &policy).await)?;
    ensure!(said.contains("Rempart's operator may change its status, not what people declare"), "{said}");
    Ok(())
}

async fn admission_token(context: &Context) -> Result<()> {
    let world = &World::new(context, "keeping").await?;
    let namespace = world.namespace(context, &[]).await?;
    let node = world.node(context, "gouv").await?;
    create(&world.admin, &workload("Deployment", &namespace, "app", &[])).await?;
    let of_node =
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "labels": {keys::POOL: "own"}}});
    let of_workload = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "app", "namespace": namespace},
        "spec": {"template": {"metadata": {"annotations": {keys::MIGRATION: "now"}}}}});
    let mutation = &admission_objects()[2];
    // What its role does not give.
    let thief = token_of(context, ADMISSION).await?;
    for object in [&of_node, &of_workload, mutation] {
        let said = refusal(merge(&thief, object, None).await)?;
        ensure!(said.contains("cannot patch resource"), "{object}: {said}");
    }
    for object in [&pod(&namespace, "own", &[]), mutation] {
        let said = refusal(create(&thief, object).await)?;
        ensure!(said.contains("cannot create resource"), "{object}: {said}");
    }
    // What its role gives and admission takes: of a policy all but the finalizers.
    let lax = |metadata: Value, spec: Value| {
        let mut object = json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": metadata, "spec": spec});
        object["metadata"]["name"] = json!(world.id);
        object
    };
    for object in [
        lax(json!({}), json!({"mode": "Audit"})),
        lax(json!({"labels": {"team": "own"}}), json!({})),
        lax(json!({"annotations": {"team": "own"}}), json!({})),
        lax(json!({"finalizers": ["rempart.dev/admission", "example.org/own"]}), json!({})),
        // Of an owner that is not there the garbage collector deletes it.
        lax(
            json!({"ownerReferences": [{"apiVersion": "v1", "kind": "Namespace", "name": "gone", "uid": "gone"}]}),
            json!({}),
        ),
    ] {
        let said = refusal(merge(&thief, &object, None).await)?;
        ensure!(said.contains("rempart-admission may hold a PlacementPolicy by a finalizer"), "{object}: {said}");
    }
    // Though somebody grants it everything.
    let thief = unbound(context, ADMISSION)?;
    // Of Secrets that of the webhook's authorities, and none that the API server fills with a token.
    let secret = |name: &str, kind: &str, metadata: Value| {
        let mut object = json!({"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata});
        object["metadata"]["name"] = json!(name);
        object["metadata"]["namespace"] = json!(NAMESPACE);
        object
    };
    let token = json!({"annotations": {"kubernetes.io/service-account.name": "rempart"}});
    let owned = json!({"ownerReferences": [{"apiVersion": "v1", "kind": "Namespace", "name": "gone", "uid": "gone"}]});
    let mut elsewhere = secret("rempart-webhook", "Opaque", json!({}));
    elsewhere["metadata"]["namespace"] = json!(namespace);
    for object in [
        secret("own", "Opaque", json!({})),
        secret("rempart-webhook", "kubernetes.io/service-account-token", token.clone()),
        secret("rempart-webhook", "Opaque", token),
        secret("rempart-webhook", "Opaque", owned),
        elsewhere,
    ] {
        let said = refusal(create_dry(&thief, &object).await)?;
        ensure!(said.contains("rempart-admission may write the authorities of its webhook"), "{object}: {said}");
    }
    create_dry(&thief, &secret("rempart-webhook", "Opaque", json!({}))).await.context("the authorities are written")?;
    // A stamp is refused by another policy as well, and either may speak first.
    let of_node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}});
    for (object, sentence) in [
        (&of_node, "rempart-admission may change nothing of a node"),
        (&of_workload, "rempart-admission may write nothing of a workload"),
        (&world.provider("gouv"), "rempart-admission may hold a PlacementPolicy by a finalizer"),
    ] {
        let mut object = object.clone();
        object["metadata"]["labels"]["own"] = json!("own");
        let said = refusal(merge(&thief, &object, None).await)?;
        ensure!(said.contains(sentence), "{object}: {said}");
    }
    Ok(())
}

async fn keeper_lost(context: &Context) -> Result<()> {
    let world = &World::new(context, "keeper").await?;
    let namespace = world.namespace(context, &[]).await?;
    let operator = context.take_operator().await?;
    operator.kill_admission().await;
    // What was in force stays in force.
    let unknown = pod(&namespace, "unknown", &[(keys::SENSITIVITY, "cosmic")]);
    let said = refusal(create(&world.admin, &unknown).await)?;
    ensure!(said.contains("no such level in PlacementPolicy"), "{said}");
    // An edit waits, and the one that runs says so.
    let mut policy = world.policy();
    policy["spec"]["levels"].as_array_mut().context("levels")?.push(json!({"name": "cosmic"}));
    world.apply(policy).await?;
    let message = world.eventually_condition("Enforced", "False", "AdmissionDiffers").await?;
    ensure!(message.contains(&format!("rempart.{}.", world.id)), "{message}");
    ensure!(message.contains("(altered)"), "{message}");
    let said = refusal(create(&world.admin, &unknown).await)?;
    ensure!(said.contains("no such level in PlacementPolicy"), "{said}");
    ensure!(operator.get("/metrics").await?.contains("rempart_admission_faults{"), "no metric tells of it");
    operator.terminate_placement().await;
    // Another takes over.
    context.rempart().await?;
    world.eventually_condition("Enforced", "True", "Bound").await?;
    create(&world.admin, &unknown).await?;
    Ok(())
}

async fn altered(context: &Context) -> Result<()> {
    let world = &World::new(context, "altered").await?;
    let mutations: Api<MutatingAdmissionPolicy> = Api::all(world.admin.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(world.admin.clone());
    let told = async |expected: &str| -> Result<()> {
        eventually(format!("{expected} to be told"), SOON, async || {
            let message = world.eventually_condition("Enforced", "False", "InstallationDiffers").await?;
            ensure!(message.contains(expected), "{message}");
            anyhow::Ok(())
        })
        .await?;
        let sample = async || {
            let metrics = context.operator_get("/metrics").await?;
            let told = metrics.lines().any(|line| line.starts_with("rempart_admission_faults{"));
            ensure!(told, "no metric tells of it");
            anyhow::Ok(())
        };
        eventually("a metric", SOON, sample).await?;
        Ok(())
    };

    // A condition that is never met leaves the policy there, and ends what it does.
    let before = mutations.get("rempart-templates").await?;
    let never =
        json!([{"op": "add", "path": "/spec/matchConditions/-", "value": {"name": "never", "expression": "false"}}]);
    let never = Patch::<()>::Json(serde_json::from_value(never)?);
    mutations.patch("rempart-templates", &PatchParams::default(), &never).await?;
    told("MutatingAdmissionPolicy rempart-templates (altered)").await?;
    let mut again = mutations.get("rempart-templates").await?;
    again.spec.clone_from(&before.spec);
    mutations.replace("rempart-templates", &PostParams::default(), &again).await?;
    world.eventually_condition("Enforced", "True", "Bound").await?;

    // A binding that is narrowed to nothing.
    let before = bindings.get("rempart-stamps").await?;
    let mut narrowed = before.clone();
    let nowhere =
        LabelSelector { match_labels: Some([("no".to_owned(), "where".to_owned())].into()), ..Default::default() };
    narrowed.spec.match_resources.get_or_insert_default().object_selector = Some(nowhere);
    bindings.replace("rempart-stamps", &PostParams::default(), &narrowed).await?;
    told("ValidatingAdmissionPolicyBinding rempart-stamps (altered)").await?;
    bindings.delete("rempart-stamps", &DeleteParams::default()).await?;
    told("ValidatingAdmissionPolicyBinding rempart-stamps (missing)").await?;
    let mut anew = before.clone();
    anew.metadata.resource_version = None;
    anew.metadata.uid = None;
    bindings.create(&PostParams::default(), &anew).await?;
    world.eventually_condition("Enforced", "True", "Bound").await?;
    Ok(())
}
