//! Every case of the admission table (tests/admission/README.md), sent to real API servers: one with mutating admission
//! policies, an older one with the webhook in their place, and one where nobody completes anything.
//!
//! On control planes of their own, without controllers and without the operator: admission alone answers, and the users
//! of the cases may do everything else.

mod random;
mod short;
mod variant;
mod webhook;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use http::{Method, Request};
use kube::{Client, client::Body};
use rempart::{
    admission::{AdmissionObject, AdmissionSettings, MutationMode},
    api::PlacementPolicy,
    operator::reconcile::admission::objects_of,
};
use rempart_core::keys;
use rempart_lab::{Component, ControlPlane, eventually};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use self::{
    short::{expanded, kind_of, merged, path_of, spelt_out},
    variant::{CompletedBy, NOBODY_ADDS, TableVariant},
    webhook::TableWebhook,
};
use crate::{
    harness::Trial,
    stamps::OPERATOR,
    world::{SOON, apply, create, merge},
};

/// Whose namespaces the canaries watch: a namespace for which one acts is known to admission with all its labels.
const HOLD: &str = "table.example/hold";
/// Where no policy applies, whatever its selector says.
const EXEMPT: [&str; 4] = ["kube-node-lease", "kube-public", "kube-system", "rempart-system"];

/// The table of a variant, or why it cannot be laid: each case fails by that then, and none tries again.
#[derive(Clone, Default)]
struct Shared(Arc<OnceCell<std::result::Result<Table, String>>>);

impl Shared {
    async fn table(&self, variant: TableVariant) -> Result<&Table> {
        let laid = self.0.get_or_init(async || Table::laid(variant).await.map_err(|error| format!("{error:#}"))).await;
        laid.as_ref().map_err(|error| anyhow::anyhow!("the table cannot be laid: {error}"))
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    TableVariant::all().flat_map(trials_of).collect()
}

fn trials_of(variant: TableVariant) -> Vec<Trial> {
    let shared = Shared::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/admission");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display())).path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    let mut trials = Vec::new();
    for file in files {
        let topic = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        for case in read(&file)["cases"].as_array().into_iter().flatten().filter(|case| variant.tries(case)) {
            let (case, shared) = (case.clone(), shared.clone());
            // The names live as long as the process, as those of all trials.
            let name = case["name"].as_str().unwrap_or_default();
            let name = format!("{}::{topic}::{name}", variant.prefix()).leak();
            let trial = Trial::new(name, async move |context| {
                let table = shared.table(variant).await?;
                table.play(&case, &context.unique("table")).await
            });
            let trial = trial.on(variant.kubernetes);
            trials.push(if variant.is_asked_for() { trial.asked_for() } else { trial });
        }
    }
    if variant == TableVariant::default() {
        trials.push(Trial::new("admission::random_requests_are_judged_as_the_core_judges_them", async move |_| {
            random::judged_as_by_the_core(shared.table(variant).await?).await
        }));
    }
    let least = if variant.completed_by == CompletedBy::Nobody { 100 } else { 200 };
    assert!(trials.len() >= least, "only {} cases were found for {variant:?}", trials.len());
    trials
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A control plane with the fixtures of the table.
struct Table {
    variant: TableVariant,
    webhook: Option<TableWebhook>,
    cluster: ControlPlane,
    admin: Client,
    /// The uids of the fixtures' nodes.
    uids: BTreeMap<String, String>,
}

/// What the API server answered.
struct Answer {
    code: u16,
    object: Value,
    warnings: Vec<String>,
}

impl Table {
    async fn laid(variant: TableVariant) -> Result<Self> {
        let cluster = ControlPlane::start(variant.options()).await?;
        let officer = json!([{"kind": "User", "name": "officer"}]);
        let labeler = json!([{"kind": "User", "name": "labeler"}]);
        let values = json!({"people": {"declassifiers": officer}, "admission": {"nodeLabelers": labeler}});
        cluster.install_chart(&values).await?;
        if variant == TableVariant::default() {
            for component in [Component::ControllerManager, Component::Scheduler, Component::Kwok] {
                cluster.kill(component).await?;
            }
        }
        let webhook = match variant.completed_by {
            CompletedBy::Webhook => Some(TableWebhook::start(cluster.admin())?),
            CompletedBy::Policies | CompletedBy::Nobody => None,
        };
        let mut table = Self { variant, webhook, admin: cluster.admin(), cluster, uids: BTreeMap::new() };
        let fixtures = expanded(&read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/admission/fixtures.yaml")));
        let everything = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "everything-but-declassify"},
            "rules": [{
                "apiGroups": ["*"], "resources": ["*"],
                "verbs": ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"],
            }],
        });
        apply(&table.admin, &everything).await?;
        let everything = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "everybody-may-do-everything"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "everything-but-declassify"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:authenticated"}],
        });
        apply(&table.admin, &everything).await?;
        let exempt = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "kube-public"}});
        apply(&table.admin, &exempt).await?;
        for node in fixtures["nodes"].as_array().into_iter().flatten() {
            table.node(node).await?;
        }
        // Mutating admission policies of somebody else.
        let others = fixtures["objects"].as_array().filter(|_| variant.completed_by == CompletedBy::Policies);
        for object in others.into_iter().flatten() {
            apply(&table.admin, object).await.with_context(|| format!("{object}"))?;
        }
        table.policies(&fixtures).await?;
        table.canaries().await?;
        Ok(table)
    }

    async fn node(&mut self, fixture: &Value) -> Result<()> {
        let name = fixture["name"].as_str().context("a node without a name")?;
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}});
        let made = create(&self.admin, &node).await?;
        self.uids.insert(name.to_owned(), made.metadata.uid.unwrap_or_default());
        if fixture["stamps"].is_object() {
            let operator = self.cluster.client_as(OPERATOR, &[])?;
            let stamps =
                json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": fixture["stamps"]}});
            eventually(format!("the stamps of {name}"), SOON, async || merge(&operator, &stamps, None).await.map(drop))
                .await?;
        }
        Ok(())
    }

    /// Records the fixtures' policies and binds them as the operator would.
    async fn policies(&self, fixtures: &Value) -> Result<()> {
        let listed = fixtures["policies"].as_array().context("no policies")?;
        let settings = AdmissionSettings {
            exempt: EXEMPT.map(str::to_owned).into(),
            schedulers: vec!["system:kube-scheduler".to_owned()],
            pool_labels: ["table.example/pool".to_owned()].into(),
            mutation: match (self.variant.completed_by, &self.webhook) {
                (_, Some(webhook)) => MutationMode::Webhook(webhook.settings.clone()),
                (CompletedBy::Nobody, None) => MutationMode::None,
                (CompletedBy::Policies | CompletedBy::Webhook, None) => MutationMode::Policies,
            },
            ..AdmissionSettings::default()
        };
        for policy in listed {
            let name = policy["name"].as_str().context("a policy without a name")?;
            let mut spec = crate::admission_fixtures::spec_of(listed, policy);
            spec["namespaceSelector"] = json!({"matchLabels": {label(name): "true"}});
            let ending = policy["ending"] == true;
            let object = json!({
                "apiVersion": "rempart.dev/v1alpha1",
                "kind": "PlacementPolicy",
                "metadata": {"name": name, "finalizers": if ending { json!(["rempart.dev/admission"]) } else { json!([]) }},
                "spec": spec,
            });
            let recorded =
                eventually(format!("the policy {name}"), SOON, async || apply(&self.admin, &object).await).await?;
            if let Some(webhook) = &self.webhook {
                webhook.knows(&serde_json::from_value(serde_json::to_value(recorded)?)?)?;
            }
            let typed: PlacementPolicy = serde_json::from_value(object.clone())?;
            let objects = objects_of(name, &typed, &settings).context("it cannot be compiled")?;
            for object in objects.into_values() {
                let object = match object {
                    AdmissionObject::MutatingBinding(object) if policy["mutations"] != false => json!(object),
                    AdmissionObject::Validation(object) if !ending => json!(object),
                    AdmissionObject::ValidatingBinding(object) if !ending => json!(object),
                    AdmissionObject::Webhook(object) if policy["mutations"] != false => json!(object),
                    AdmissionObject::MutatingBinding(_)
                    | AdmissionObject::Validation(_)
                    | AdmissionObject::ValidatingBinding(_)
                    | AdmissionObject::Webhook(_) => continue,
                };
                apply(&self.admin, &object).await.with_context(|| object.to_string())?;
            }
            if ending {
                crate::world::api_of(&self.admin, &object).delete(name, &kube::api::DeleteParams::default()).await?;
            }
        }
        Ok(())
    }

    /// Makes a mutation and a validation of `ConfigMap`s, after all others, and waits until both act: by then the API
    /// server has taken up all bindings.
    async fn canaries(&self) -> Result<()> {
        let rules = json!({"resourceRules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]},
        ]});
        let matching = json!({"namespaceSelector": {"matchLabels": {HOLD: "true"}}});
        let patch = "[JSONPatch{op: 'add', path: '/data', value: {'mutated': 'yes'}}]";
        let mutates = self.variant.completed_by == CompletedBy::Policies;
        let refuses = if mutates { "!('mutated' in object.?data.orValue({}))" } else { "false" };
        for (kind, spec) in [
            (
                "MutatingAdmissionPolicy",
                json!({
                    "matchConstraints": rules, "reinvocationPolicy": "Never", "failurePolicy": "Fail",
                    "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
                }),
            ),
            ("MutatingAdmissionPolicyBinding", json!({"policyName": "canary", "matchResources": matching})),
            (
                "ValidatingAdmissionPolicy",
                json!({
                    "matchConstraints": rules,
                    "validations": [{"expression": refuses, "message": "canary"}],
                }),
            ),
            (
                "ValidatingAdmissionPolicyBinding",
                json!({
                    "policyName": "canary", "matchResources": matching, "validationActions": ["Deny"],
                }),
            ),
        ] {
            let version = "admissionregistration.k8s.io/v1";
            if !mutates && kind.starts_with("Mutating") {
                continue;
            }
            apply(
                &self.admin,
                &json!({"apiVersion": version, "kind": kind, "metadata": {"name": "canary"}, "spec": spec}),
            )
            .await?;
        }
        self.namespace("canary", &json!({HOLD: "true", label("state"): "true", label("leaving"): "true"})).await?;
        self.known("canary").await?;
        // And until the parameters are there.
        let pod = spelt_out(&json!({"kind": "Pod"}), "canary");
        eventually("the parameters to be there", SOON, async || {
            let answer = self.send(Method::POST, "/api/v1/namespaces/canary/pods", &Value::Null, &pod).await?;
            let said = answer.object["message"].as_str().unwrap_or_default();
            let is_judged =
                answer.code == 201 || (self.variant.completed_by == CompletedBy::Nobody && said.contains(NOBODY_ADDS));
            ensure!(is_judged, "{}", answer.object);
            anyhow::Ok(())
        })
        .await?;
        Ok(())
    }

    /// Waits until admission knows the namespace with the labels that hold it.
    async fn known(&self, namespace: &str) -> Result<()> {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "canary"}});
        let path = format!("/api/v1/namespaces/{namespace}/configmaps");
        eventually(format!("admission to know {namespace}"), SOON, async || {
            let answer = self.send(Method::POST, &path, &Value::Null, &map).await?;
            ensure!(
                answer.object["message"].as_str().is_some_and(|said| said.ends_with("canary")),
                "{}",
                answer.object
            );
            anyhow::Ok(())
        })
        .await?;
        Ok(())
    }

    async fn namespace(&self, name: &str, labels: &Value) -> Result<()> {
        create(
            &self.admin,
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}),
        )
        .await?;
        let account =
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}});
        create(&self.admin, &account).await?;
        Ok(())
    }

    /// Sends a request as `user`, or as the administrator when that is nobody.
    async fn send(&self, method: Method, path: &str, user: &Value, body: &Value) -> Result<Answer> {
        let content = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let mut request =
            Request::builder().method(method).uri(format!("{path}?dryRun=All")).header("Content-Type", content);
        if let Some(name) = user["name"].as_str() {
            request = request.header("Impersonate-User", name);
        }
        for group in user["groups"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            request = request.header("Impersonate-Group", group);
        }
        let response = self.admin.send(request.body(Body::from(serde_json::to_vec(body)?))?).await?;
        let code = response.status().as_u16();
        let warnings = response.headers().get_all("Warning").iter().map(|value| unquoted(value.as_bytes())).collect();
        let bytes = response.into_body().collect_bytes().await?;
        Ok(Answer { code, object: serde_json::from_slice(&bytes)?, warnings })
    }

    /// Plays one case in a namespace of its own, and compares.
    async fn play(&self, case: &Value, own: &str) -> Result<()> {
        let case = &self.with_uids(&expanded(case));
        let namespace = case["in"].as_str().or(case["named"].as_str()).unwrap_or(own);
        let mut holds = serde_json::Map::from_iter([(HOLD.to_owned(), json!("true"))]);
        for policy in case["policies"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            holds.insert(label(policy), json!("true"));
        }
        let holds = Value::Object(holds);
        let existing = case.get("existing").filter(|existing| existing["kind"] != "Node");
        let of_namespace = existing.filter(|existing| existing["kind"] == "Namespace").unwrap_or(case);
        let labels = if of_namespace == case { &case["namespace"] } else { &of_namespace["labels"] };
        let before = if case["predates"] == true { labels.clone() } else { merged(labels, &holds) };
        if case.get("in").is_none() {
            self.namespace(namespace, &before).await?;
        }
        let existing = match existing {
            Some(short) if short["kind"] != "Namespace" => Some(self.make(short, namespace).await?),
            _ => None,
        };
        if case["deleting"] == true {
            let object = existing.as_ref().context("nothing to delete")?;
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            crate::world::api_of(&self.admin, object).delete(name, &kube::api::DeleteParams::default()).await?;
        }
        if case["predates"] == true {
            let patch =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": holds}});
            merge(&self.admin, &patch, None).await?;
        }
        if case.get("in").is_none() {
            self.known(namespace).await?;
        }
        let answer = self.ask(case, namespace, &holds).await?;
        let generated = case["create"].get("generateName").and(answer.object["details"]["name"].as_str());
        let told = |text: &str| {
            let text = text.replace(&format!("{namespace}x"), "claims").replace(namespace, "claims");
            generated.map_or(text.clone(), |name| {
                text.replace(name, case["create"]["generateName"].as_str().unwrap_or_default())
            })
        };
        compare(self.variant, &case["expect"], &answer, existing.as_ref(), told)
            .with_context(|| format!("{:#}", answer.object))
    }

    fn with_uids(&self, value: &Value) -> Value {
        let text =
            self.uids.iter().fold(value.to_string(), |text, (node, uid)| text.replace(&format!("uid({node})"), uid));
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Really creates an object, with its status.
    async fn make(&self, short: &Value, namespace: &str) -> Result<Value> {
        let object = spelt_out(short, namespace);
        let made = create(&self.admin, &object).await.with_context(|| object.to_string())?;
        let made = if short["status"].is_object() {
            let name = made.metadata.name.clone();
            let status = json!({
                "apiVersion": object["apiVersion"], "kind": object["kind"], "status": short["status"],
                "metadata": {"name": name, "namespace": namespace},
            });
            merge(&self.admin, &status, Some("status")).await?
        } else {
            made
        };
        Ok(serde_json::to_value(made)?)
    }

    /// Sends the request of the case.
    async fn ask(&self, case: &Value, namespace: &str, holds: &Value) -> Result<Answer> {
        let user = &case["user"];
        let subresource = case["subresource"].as_str();
        if let Some(short) = case.get("create") {
            let mut object = spelt_out(short, namespace);
            if short["kind"] == "Namespace" {
                object["metadata"]["labels"] = merged(&object["metadata"]["labels"], holds);
                // The namespace of the case is there already.
                object["metadata"]["name"] = json!(format!("{namespace}x"));
            }
            let path = match (short["kind"].as_str(), subresource) {
                (Some("Binding"), Some(_)) => {
                    let pod = object["metadata"]["name"].as_str().unwrap_or_default();
                    format!("/api/v1/namespaces/{namespace}/pods/{pod}/binding")
                }
                _ => path_of(&object, None),
            };
            return self.send(Method::POST, &path, user, &object).await;
        }
        let target = spelt_out(case.get("existing").context("neither create nor existing")?, namespace);
        let name = target["metadata"]["name"].as_str().context("the existing object has no name")?;
        let mut path = path_of(&target, Some(name));
        if let Some(subresource) = subresource {
            path = format!("{path}/{subresource}");
        }
        match case.get("replace") {
            Some(short) => self.send(Method::PUT, &path, user, &spelt_out(short, namespace)).await,
            None => self.send(Method::PATCH, &path, user, &case["change"]).await,
        }
    }
}

/// Says in what the answer is not what the case expects. `told` puts the table's names for those of the run.
fn compare(
    variant: TableVariant,
    expect: &Value,
    answer: &Answer,
    before: Option<&Value>,
    told: impl Fn(&str) -> String,
) -> Result<()> {
    let said = told(answer.object["message"].as_str().unwrap_or_default());
    let warned: Vec<String> = answer
        .warnings
        .iter()
        .map(|text| told(text))
        .filter_map(|text| {
            Some(text.strip_prefix("Validation failed for ValidatingAdmissionPolicy ")?.split_once(": ")?.1.to_owned())
        })
        .collect();
    if let Some(stamps) = expect.get("putBack").filter(|_| variant.completed_by == CompletedBy::Policies) {
        ensure!(answer.code < 300, "refused with {said:?}");
        let labels = answer.object["metadata"]["labels"].as_object().into_iter().flatten();
        let found: serde_json::Map<_, _> =
            labels.filter(|(key, _)| keys::is_stamp(key)).map(|(key, value)| (key.clone(), value.clone())).collect();
        ensure!(json!(found) == *stamps, "the stamps are {found:?} instead of {stamps}");
        for (key, value) in expect["with"].as_object().into_iter().flatten() {
            ensure!(answer.object["metadata"]["labels"][key] == *value, "label {key} is not what was asked for");
        }
        return Ok(());
    }
    if let Some(expected) = expect["refused"].as_str() {
        ensure!(answer.code >= 400, "not refused");
        let (frame, message) = said.split_once(" denied request: ").unwrap_or(("somebody else", &said));
        let expected = &variant.told(expected);
        ensure!(message == expected, "refused with {message:?} instead of {expected:?}");
        if let Some(policy) = expect["by"].as_str() {
            let found = frame.split('\'').nth(1).unwrap_or_default();
            let found =
                found.strip_prefix("rempart.").and_then(|rest| rest.split_once('.')).map_or(found, |(_, end)| end);
            let rest = found.strip_prefix(policy);
            ensure!(
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')),
                "refused by {frame:?} instead of {policy}"
            );
        }
        return Ok(());
    }
    // Where nobody completes anything, what must be completed is refused.
    if variant.completed_by == CompletedBy::Nobody && answer.code >= 400 {
        ensure!(expect.get("nodeSelector").is_some() && said.contains(NOBODY_ADDS), "refused with {said:?}");
        return Ok(());
    }
    ensure!(answer.code < 300, "refused with {said:?}");
    let expected: Vec<_> = expect["warned"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    ensure!(warned == expected, "warned {warned:?} instead of {expected:?}");
    let (metadata, spec) = match kind_of(&answer.object) {
        "Pod" => (&answer.object["metadata"], &answer.object["spec"]),
        "CronJob" => {
            let template = &answer.object["spec"]["jobTemplate"]["spec"]["template"];
            (&template["metadata"], &template["spec"])
        }
        _ => (&answer.object["spec"]["template"]["metadata"], &answer.object["spec"]["template"]["spec"]),
    };
    let mut known = false;
    for (field, found) in [("nodeSelector", &spec["nodeSelector"]), ("templateAnnotations", &metadata["annotations"])] {
        if let Some(expected) = expect.get(field) {
            known = true;
            let none = json!({});
            let found = if found.is_null() { &none } else { found };
            if variant.completed_by == CompletedBy::Nobody {
                continue;
            }
            ensure!(found == expected, "{field} is {found} instead of {expected}");
        }
    }
    if expect["unchanged"] == true {
        known = true;
        let before = before.context("nothing was there before")?;
        let part = |object: &Value| match kind_of(object) {
            "Pod" => json!([object["spec"], object["metadata"]["annotations"]]),
            "CronJob" => object["spec"]["jobTemplate"].clone(),
            _ => object["spec"]["template"].clone(),
        };
        ensure!(part(before) == part(&answer.object), "it was {}", part(before));
    }
    ensure!(
        known || expect["allowed"] == true || expect.get("warned").is_some(),
        "the case expects nothing that is known"
    );
    Ok(())
}

/// The text of a `Warning` header: `299 - "text"`.
fn unquoted(header: &[u8]) -> String {
    let text = String::from_utf8_lossy(header);
    let quoted = text.split_once('"').map_or(&*text, |(_, rest)| rest.strip_suffix('"').unwrap_or(rest));
    let mut plain = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        plain.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    plain
}

/// The label of the namespaces that a policy of the table applies to.
fn label(policy: &str) -> String {
    format!("table.example/{policy}")
}
