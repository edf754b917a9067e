//! Random policies and requests on a real API server, which must answer what the core says.
//!
//! Each policy is a lane: it has namespaces of its own, by their names, so that many are in force side by side. Mutations are
//! not bound: a pod is judged as it is asked for.

use std::{collections::BTreeMap, env, fmt::Debug, hash::BuildHasher as _};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::Method;
use proptest::{
    collection as many,
    strategy::{Strategy, ValueTree as _},
    test_runner::{Config, RngSeed, TestRunner},
};
use rempart::{
    admission::{AdmissionObject, AdmissionSettings},
    api::{PlacementPolicy, PolicyMode},
    convert,
    operator::reconcile::admission::objects_of,
};
use rempart_lab::eventually;
use serde_json::{Value, json};

use super::{Answer, Table, short::path_of};
use crate::{
    random_requests::{
        drafts::{self, Change, NAMESPACES, NamespaceDraft, PolicyDraft, UserDraft},
        expected::{Oracle, Refusal},
        requests::{Drafter, Request},
    },
    world::{SOON, apply, create, merge},
};

/// How many policies are drawn, for each how many namespaces, and in each how many requests.
const LANES: usize = 25;
const PLACES: usize = 4;
const CHANGES: usize = 18;
/// How many requests are judged at least. Some never come to admission: the API server has other things against them.
const JUDGED: usize = 1000;

/// Room for strategies within each other, without optimisation.
const STACK: usize = 64 << 20;

const SCHEDULER: &str = "system:kube-scheduler";
/// The variable by which a run is repeated, as in other properties.
const SEED: &str = "PROPTEST_RNG_SEED";
const NAME: &str = "kubernetes.io/metadata.name";

/// A policy, and the requests in its namespaces.
struct Lane {
    policy: PolicyDraft,
    settings: AdmissionSettings,
    namespaces: Vec<NamespaceDraft>,
    changes: Vec<Vec<(UserDraft, Change)>>,
}

/// What is drawn from `strategy` by `seed` and nothing else.
fn drawn<S: Strategy>(strategy: &S, seed: u64) -> Result<S::Value>
where
    S::Value: Debug,
{
    let config = Config { failure_persistence: None, rng_seed: RngSeed::Fixed(seed), ..Config::default() };
    let tree = strategy.new_tree(&mut TestRunner::new(config)).map_err(|reason| anyhow::anyhow!("{reason}"))?;
    Ok(tree.current())
}

/// The seed of this run.
fn seed() -> Result<u64> {
    #[expect(clippy::disallowed_methods, reason = "whoever runs the tests says so by the variables of proptest")]
    match env::var(SEED) {
        Ok(text) => text.parse().with_context(|| format!("{SEED}={text:?} is no seed")),
        // Half of it is enough, and easier to type.
        Err(_) => Ok(std::hash::RandomState::new().hash_one(()) >> 32),
    }
}

/// What `name` is called in the lane.
fn called(name: &str, lane: usize) -> impl Iterator<Item = String> {
    (0..PLACES).map(move |place| format!("{name}-{lane}-{place}"))
}

impl Lane {
    fn all(seed: u64) -> Result<Vec<Self>> {
        let draw = move || (0..LANES).map(|number| Self::drawn(number, seed)).collect();
        let thread = std::thread::Builder::new().stack_size(STACK).spawn(draw)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    fn drawn(number: usize, seed: u64) -> Result<Self> {
        let changes = many::vec(many::vec(drafts::changes(), CHANGES), PLACES);
        let strategy = (drafts::policies(), many::vec(drafts::namespaces(), PLACES), changes);
        let (mut policy, mut namespaces, changes) = drawn(&strategy, seed.wrapping_add(number as u64))?;
        let end = number.to_string();
        policy.name.truncate(28 - end.len());
        policy.name.push_str(&end);
        let everywhere = NAMESPACES.iter().flat_map(|name| called(name, number));
        let mut spec = serde_json::to_value(&policy.spec)?;
        for exception in spec.get_mut("exceptions").and_then(Value::as_array_mut).into_iter().flatten() {
            rename(&mut exception["namespaces"], number);
        }
        let selector = &mut spec["namespaceSelector"];
        let mut terms = selector["matchExpressions"].as_array().cloned().unwrap_or_default();
        for term in terms.iter_mut().filter(|term| term["key"] == NAME) {
            rename(&mut term["values"], number);
        }
        terms.push(json!({"key": NAME, "operator": "In", "values": everywhere.collect::<Vec<_>>()}));
        *selector = json!({"matchLabels": selector["matchLabels"], "matchExpressions": terms});
        policy.spec = serde_json::from_value(spec)?;
        for (place, namespace) in namespaces.iter_mut().enumerate() {
            namespace.name = format!("{}-{number}-{place}", namespace.name);
        }
        let exempt = NAMESPACES.last().map(|name| called(name, number).collect());
        let settings = AdmissionSettings {
            exempt: exempt.unwrap_or_default(),
            schedulers: vec![SCHEDULER.to_owned(), "it's \\ \"mine\"".to_owned()],
            ..AdmissionSettings::default()
        };
        Ok(Self { policy, settings, namespaces, changes })
    }
}

/// Puts for each of these names what it is called in the lane.
fn rename(names: &mut Value, lane: usize) {
    let all = names.as_array().into_iter().flatten().filter_map(Value::as_str);
    *names = all.flat_map(|name| called(name, lane)).collect::<Vec<_>>().into();
}

/// A request that can be sent, and what must come of it.
struct Question {
    mode: PolicyMode,
    request: Request,
    /// What was there before, as the API server made it.
    old: Option<Value>,
    expected: Vec<Refusal>,
}

/// What is found.
enum Finding {
    Judged,
    /// The API server has something else against it, and says so.
    Elsewhere(String),
}

/// The request, as an object that an API server takes: with what it asks for beside what is drawn.
fn taken(object: &Value, kind: &str, uids: &BTreeMap<String, String>) -> Value {
    let mut object = object.clone();
    let is_mirror = object["metadata"]["annotations"].get("kubernetes.io/config.mirror").is_some();
    let node = object["spec"]["nodeName"].as_str().and_then(|node| Some((node.to_owned(), uids.get(node)?)));
    match node.filter(|_| is_mirror && kind == "Pod") {
        Some((name, uid)) => {
            let owner = json!({"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid, "controller": true});
            object["metadata"]["ownerReferences"] = json!([owner]);
        }
        None => {
            for owner in
                object["metadata"].get_mut("ownerReferences").and_then(Value::as_array_mut).into_iter().flatten()
            {
                owner["apiVersion"] = json!("apps/v1");
                owner["uid"] = json!("00000000-0000-0000-0000-000000000000");
            }
        }
    }
    if matches!(kind, "Pod" | "Binding" | "Namespace") {
        return object;
    }
    let is_cron = kind == "CronJob";
    let template = if is_cron { "/spec/jobTemplate/spec/template" } else { "/spec/template" };
    if let Some(template) = object.pointer_mut(template) {
        template["metadata"]["labels"] = json!({"app": "api"});
        if is_cron || kind == "Job" {
            template["spec"]["restartPolicy"] = json!("Never");
        }
    }
    match kind {
        "CronJob" => object["spec"]["schedule"] = json!("0 3 * * *"),
        "Job" => {}
        _ => object["spec"]["selector"] = json!({"matchLabels": {"app": "api"}}),
    }
    if kind == "StatefulSet" {
        object["spec"]["serviceName"] = json!("api");
    }
    object
}

/// What is asked for, put upon what is there.
fn changed(old: &Value, before: &Value, after: &Value) -> Result<Value> {
    let mut object = old.clone();
    json_patch::patch(&mut object, &json_patch::diff(before, after))?;
    Ok(object)
}

impl Table {
    /// Makes what a request changes; a sentence where the API server does not take it.
    async fn made(&self, request: &Request) -> Result<std::result::Result<Value, String>> {
        let before = taken(&request.old, request.kind, &self.uids);
        if request.kind == "Namespace" {
            let api = crate::world::api_of(&self.admin, &before);
            return Ok(Ok(serde_json::to_value(api.get(&request.namespace).await?)?));
        }
        let made = match create(&self.admin, &before).await {
            Ok(made) => made,
            Err(kube::Error::Api(status)) => return Ok(Err(status.message)),
            Err(error) => return Err(error.into()),
        };
        if before["status"].is_null() {
            return Ok(Ok(serde_json::to_value(made)?));
        }
        let status = json!({
            "apiVersion": before["apiVersion"], "kind": before["kind"], "status": before["status"],
            "metadata": {"name": made.metadata.name, "namespace": request.namespace},
        });
        match merge(&self.admin, &status, Some("status")).await {
            Ok(made) => Ok(Ok(serde_json::to_value(made)?)),
            Err(kube::Error::Api(status)) => Ok(Err(status.message)),
            Err(error) => Err(error.into()),
        }
    }

    async fn put_question(&self, question: &Question) -> Result<Answer> {
        let request = &question.request;
        let user = json!({"name": request.user, "groups": request.groups});
        let after = taken(&request.object, request.kind, &self.uids);
        let subresource = request.resource.split_once('/').map(|(_, subresource)| subresource);
        if request.operation == "CREATE" {
            let path = match subresource {
                Some(subresource) => {
                    format!("{}/{subresource}", path_of(&pod_of(&after), after["metadata"]["name"].as_str()))
                }
                None => path_of(&after, None),
            };
            return self.send(Method::POST, &path, &user, &after).await;
        }
        let old = question.old.as_ref().context("nothing was there before")?;
        let before = taken(&request.old, request.kind, &self.uids);
        let path = path_of(&after, old["metadata"]["name"].as_str());
        let path = subresource.map_or(path.clone(), |subresource| format!("{path}/{subresource}"));
        self.send(Method::PUT, &path, &user, &changed(old, &before, &after)?).await
    }
}

/// Takes out of a pod what no API server lets stand together: that would be told before admission is asked.
fn make_possible(object: &mut Value) {
    let is_assigned = object["spec"]["nodeName"].is_string();
    if let Some(spec) = object.pointer_mut("/spec").and_then(Value::as_object_mut).filter(|_| is_assigned) {
        spec.remove("schedulingGates");
    }
    let Some(metadata) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) else { return };
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut).filter(|_| !is_assigned) {
        annotations.remove("kubernetes.io/config.mirror");
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
}

/// Gives what a request changes a name: what is there has one. A namespace has its own.
fn name_it(request: &mut Request, name: &str) {
    if request.kind == "Namespace" {
        return;
    }
    for object in [&mut request.object, &mut request.old] {
        object["metadata"]["name"] = json!(name);
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("generateName");
        }
    }
}

/// The pod that a binding is for.
fn pod_of(binding: &Value) -> Value {
    let mut pod = binding.clone();
    pod["kind"] = json!("Pod");
    pod
}

/// Says in what the answer is not what is expected.
fn compare(question: &Question, answer: &Answer) -> Result<Finding> {
    const DENIED: &str = " denied request: ";
    let said = answer.object["message"].as_str().unwrap_or_default();
    let is_refused = answer.code >= 400;
    let named = if is_refused { &answer.object["details"] } else { &answer.object["metadata"] };
    let short = question.request.object["metadata"]["generateName"].as_str();
    let generated = short.zip(named["name"].as_str().filter(|name| !name.is_empty()));
    let told = |text: &str| generated.map_or(text.to_owned(), |(short, name)| text.replace(name, short));
    let ours = said.contains("ValidatingAdmissionPolicy 'rempart.");
    // What is not found, or is there already, admission has let pass.
    if is_refused && !ours && !matches!(answer.code, 404 | 409) {
        return Ok(Finding::Elsewhere(said.to_owned()));
    }
    let expected: Vec<&str> = question.expected.iter().map(|refusal| refusal.message.as_str()).collect();
    let refused = said.split_once(DENIED).filter(|_| ours).map(|(_, message)| told(message));
    let mut warned: Vec<String> = answer
        .warnings
        .iter()
        .filter_map(|text| {
            Some(told(text.strip_prefix("Validation failed for ValidatingAdmissionPolicy ")?.split_once(": ")?.1))
        })
        .collect();
    let (denies, mut warns) = match question.mode {
        PolicyMode::Enforce => (expected, vec![]),
        // A header cannot carry control characters, and such a warning is dropped.
        PolicyMode::Warn => (vec![], expected.into_iter().filter(|text| !text.chars().any(char::is_control)).collect()),
        PolicyMode::Audit => (vec![], vec![]),
    };
    // Of several that deny, the API server tells one.
    let is_told = refused.as_deref().map_or(denies.is_empty(), |refused| denies.contains(&refused));
    ensure!(is_told, "refused with {refused:?} instead of {denies:?}: {said}");
    warned.sort_unstable();
    warns.sort_unstable();
    ensure!(warned == warns, "warned of {warned:?} instead of {warns:?}");
    Ok(Finding::Judged)
}

pub(super) async fn judged_as_by_the_core(table: &Table) -> Result<()> {
    let seed = seed()?;
    let replay = format!("replay: {SEED}={seed} cargo test --package rempart --test cluster -- random_requests");
    println!("{replay}");
    agree(table, seed).await.context(replay)
}

async fn agree(table: &Table, seed: u64) -> Result<()> {
    let lanes = Lane::all(seed)?;
    let (mut questions, mut elsewhere) = (Vec::new(), Vec::new());
    // What requests change is made before any of the policies is in force.
    for lane in &lanes {
        table.prepare(lane, &mut questions, &mut elsewhere).await?;
    }
    for lane in &lanes {
        table.bind(lane).await?;
    }
    table.in_force().await?;
    let answered = stream::iter(&questions).map(async |question| {
        let answer = table.put_question(question).await?;
        let request = || format!("{:?}, {:#?}", question.mode, question.request);
        compare(question, &answer).with_context(request)
    });
    let found: Vec<Finding> = answered.buffered(8).try_collect().await?;
    let (mut judged, mut refused) = (0, 0);
    for (finding, question) in found.into_iter().zip(&questions) {
        match finding {
            Finding::Judged => (judged, refused) = (judged + 1, refused + usize::from(!question.expected.is_empty())),
            Finding::Elsewhere(said) => elsewhere.push(said),
        }
    }
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for said in &elsewhere {
        *reasons.entry(reason(said)).or_default() += 1;
    }
    println!(
        "{judged} requests judged, {refused} of them refused, warned of or noted; not judged, and why: {reasons:#?}"
    );
    ensure!(judged >= JUDGED, "only {judged} requests were judged");
    Ok(())
}

/// What a refusal of somebody else comes to, without the names in it.
fn reason(said: &str) -> String {
    said.rsplit_once(": ").map_or(said, |(_, end)| end).chars().take(100).collect()
}

impl Table {
    /// Makes the namespaces of a lane and what its requests change, and adds the requests, or why one of them cannot be.
    async fn prepare(&self, lane: &Lane, questions: &mut Vec<Question>, elsewhere: &mut Vec<String>) -> Result<()> {
        let read = convert::policy(&lane.policy.name, &lane.policy.spec);
        let policy = read.value.with_context(|| format!("{:?}", read.problems))?;
        let oracle = Oracle { policy: &policy, exempt: &lane.settings.exempt, schedulers: &lane.settings.schedulers };
        for (namespace, changes) in lane.namespaces.iter().zip(&lane.changes) {
            let itself = Drafter(&policy).request(UserDraft::Alice, &Change::NamespaceCreated, namespace).object;
            self.namespace(&namespace.name, &itself["metadata"]["labels"]).await?;
            for (place, (user, change)) in changes.iter().enumerate() {
                let mut request = Drafter(&policy).request(*user, change, namespace);
                let mut old = None;
                for object in [&mut request.object, &mut request.old] {
                    make_possible(object);
                }
                if request.operation == "UPDATE" {
                    name_it(&mut request, &format!("api-{place}"));
                    match self.made(&request).await? {
                        Ok(made) => old = Some(made),
                        Err(said) => {
                            elsewhere.push(said);
                            continue;
                        }
                    }
                }
                let expected = oracle.refusals(&request);
                questions.push(Question { mode: lane.policy.spec.mode, request, old, expected });
            }
        }
        Ok(())
    }

    /// Puts the validations of a lane in force.
    async fn bind(&self, lane: &Lane) -> Result<()> {
        let PolicyDraft { name, spec } = &lane.policy;
        let objects = objects_of(name, &PlacementPolicy::new(name, spec.clone()), &lane.settings);
        for object in objects.context("it cannot be compiled")?.into_values() {
            let object = match object {
                AdmissionObject::Validation(object) => json!(object),
                AdmissionObject::ValidatingBinding(object) => json!(object),
                AdmissionObject::MutatingBinding(_) | AdmissionObject::Webhook(_) => continue,
            };
            apply(&self.admin, &object).await.with_context(|| object.to_string())?;
        }
        Ok(())
    }

    /// Waits until admission acts on what was made last.
    async fn in_force(&self) -> Result<()> {
        let metadata = json!({"name": "last"});
        let version = "admissionregistration.k8s.io/v1";
        let matching = json!({
            "namespaceSelector": {"matchLabels": {NAME: "canary"}},
            "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"]}],
        });
        let policy = json!({"apiVersion": version, "kind": "ValidatingAdmissionPolicy", "metadata": metadata,
            "spec": {"matchConstraints": matching, "validations": [{"expression": "false", "message": "last"}]}});
        let binding = json!({"apiVersion": version, "kind": "ValidatingAdmissionPolicyBinding", "metadata": metadata,
            "spec": {"policyName": "last", "validationActions": ["Deny"]}});
        apply(&self.admin, &policy).await?;
        apply(&self.admin, &binding).await?;
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "last"}});
        eventually("the last validation to act", SOON, async || {
            let path = "/api/v1/namespaces/canary/secrets";
            let answer = self.send(Method::POST, path, &Value::Null, &secret).await?;
            ensure!(answer.code == 422 || answer.code == 403, "{}", answer.object);
            anyhow::Ok(())
        })
        .await?;
        Ok(())
    }
}
