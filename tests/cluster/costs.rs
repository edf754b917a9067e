//! Admission costs: the worst objects under the largest policies, against copies of its expressions of which each
//! is evaluated several times.
//!
//! The API server ends an expression, and a policy, whose evaluation costs too much. What is judged as before when every
//! expression is evaluated twice stays under half of what it may cost.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::{
    api::admissionregistration::v1::{MatchCondition, MatchResources, Validation, Variable},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::{
    Client,
    api::{Patch, PatchParams},
};
use rempart::{
    admission::{AdmissionKind, AdmissionObject, AdmissionSettings, installed},
    api::{PlacementPolicy, limits},
    operator::reconcile::admission::objects_of,
};
use rempart_core::keys;
use rempart_lab::{ControlPlane, ControlPlaneOptions, eventually};
use serde_json::{Map, Value, json};

use crate::{
    harness::{Context, Trial},
    world::{self, SOON, api_of, apply, create, create_dry, refusal},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::new("costs::the_worst_objects_cost_less_than_half_of_what_they_may", worst_objects)]
}

/// The largest policy, and the label of the namespaces that it governs.
const POLICY: &str = "costly";
const NOWHERE: &str = "trial.example/nowhere";
/// By what a copy knows the objects that it is for.
const LABEL: &str = "trial.example/budget";
/// How often a copy evaluates each expression. The first shows what is said, the second is what is asked for.
const TIMES: [usize; 2] = [1, 2];
/// Entries of a `nodeSelector`: as many as mutations look through, and many more.
const ENTRIES: [usize; 2] = [1000, 2000];

/// Labels that pools select by: as many as anybody will have.
const POOL_LABELS: usize = 100;

fn pool_label(number: usize) -> String {
    format!("{number:a>63}.example/{number:b>63}")
}

/// How long the names of a policy are. The longest cost most: of short ones there is room for more in an annotation, but as
/// many empty ones cost more.
#[derive(Clone, Copy)]
struct Names(usize);

impl Names {
    fn of(self, what: char, number: usize) -> String {
        // Two digits to the base of 36.
        let digit = |value: usize| char::from_digit(u32::try_from(value % 36).unwrap_or_default(), 36).unwrap_or('0');
        format!("{}{}{}", what.to_string().repeat(self.0.saturating_sub(2)), digit(number / 36), digit(number))
    }

    fn level(self, rank: usize) -> String {
        self.of('l', rank)
    }

    fn category(self, number: usize) -> String {
        self.of('c', number)
    }

    /// As much of an annotation as may be: known categories, each as often as there is room.
    fn annotation(self) -> String {
        let mut text = String::new();
        for number in (0..limits::CATEGORIES).cycle() {
            let name = self.category(number);
            if text.len() + name.len() >= 1024 {
                return text;
            }
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(&name);
        }
        text
    }

    /// The largest policy of such names.
    fn policy(self, name: &str, namespace: &str) -> Value {
        let level = |rank| json!({"name": self.level(rank), "require": {"qualifications": ["nobody-has-it"]}});
        let category =
            |number| json!({"name": self.category(number), "require": {"qualifications": ["nobody-has-it"]}});
        let exception = |number: usize| {
            let mut namespaces: Vec<_> =
                (1..limits::EXCEPTION_NAMESPACES).map(|other| format!("ns-{number}-{other}")).collect();
            // The last that is looked at is the one that is for it.
            namespaces.push(if number + 1 == limits::EXCEPTIONS {
                namespace.to_owned()
            } else {
                format!("ns-{number}")
            });
            json!({"name": self.of('e', number), "namespaces": namespaces, "level": self.level(limits::LEVELS - 1),
                "pools": ["p"], "until": "2030-01-01", "reason": "r", "approvedBy": "a"})
        };
        json!({
            "apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": {"name": name},
            "spec": {
                "mode": "Enforce",
                // It governs nothing by itself.
                "namespaceSelector": {"matchLabels": {NOWHERE: name}},
                "defaultLevel": self.level(limits::LEVELS - 1),
                "levels": (0..limits::LEVELS).map(level).collect::<Vec<_>>(),
                "categories": (0..limits::CATEGORIES).map(category).collect::<Vec<_>>(),
                "exceptions": (0..limits::EXCEPTIONS).map(exception).collect::<Vec<_>>(),
            },
        })
    }
}

/// `expression`, evaluated so many times.
fn repeated(expression: &str, times: usize) -> String {
    if times == 1 {
        return expression.to_owned();
    }
    let each: Vec<_> = (0..times).map(|number| number.to_string()).collect();
    format!("[{}].map(repetition,\n{expression}\n)[0]", each.join(", "))
}

fn repeat_variables(variables: &mut Option<Vec<Variable>>, times: usize) {
    for Variable { expression, .. } in variables.iter_mut().flatten() {
        *expression = repeated(expression, times);
    }
}

fn repeat_conditions(conditions: &mut Option<Vec<MatchCondition>>, times: usize) {
    for MatchCondition { expression, .. } in conditions.iter_mut().flatten() {
        *expression = repeated(expression, times);
    }
}

/// Matches objects that say so, in every namespace.
fn match_labelled(resources: &mut Option<MatchResources>, label: &str) {
    let resources = resources.get_or_insert_default();
    resources.namespace_selector = Some(LabelSelector::default());
    resources.object_selector = Some(LabelSelector {
        match_labels: Some([(LABEL.to_owned(), label.to_owned())].into()),
        ..LabelSelector::default()
    });
}

/// The copies, each a policy and its binding, by the label of what they are for.
fn copies(policy: &Value, prefix: &str, times: usize) -> Result<BTreeMap<String, [Value; 2]>> {
    let name = policy["metadata"]["name"].as_str().context("a name")?;
    let typed: PlacementPolicy = serde_json::from_value(policy.clone())?;
    let pool_labels = (0..POOL_LABELS).map(pool_label).collect();
    let settings = AdmissionSettings { pool_labels, ..AdmissionSettings::default() };
    let objects = objects_of(name, &typed, &settings).context("it compiles")?;
    let last = typed.spec.levels.last().map(|level| format!("pods-from-{}", level.name)).unwrap_or_default();
    let mut copies = BTreeMap::new();
    for object in objects.into_values() {
        let AdmissionObject::Validation(mut validation) = object else { continue };
        let full = validation.metadata.name.clone().unwrap_or_default();
        let what = full.rsplit('.').next().unwrap_or_default();
        // Those of the other levels, and of labelled namespaces, are of the same text.
        let what = match what {
            what if what == last => "pods-from",
            what if what.starts_with("pods-from-") || what == "pods-labels" => continue,
            what => what,
        };
        let label = format!("{prefix}-{what}-{times}");
        let spec = validation.spec.get_or_insert_default();
        repeat_variables(&mut spec.variables, times);
        repeat_conditions(&mut spec.match_conditions, times);
        for Validation { expression, message_expression, .. } in spec.validations.iter_mut().flatten() {
            *expression = repeated(expression, times);
            *message_expression = message_expression.take().map(|expression| repeated(&expression, times));
        }
        match_labelled(&mut spec.match_constraints, &label);
        validation.metadata = named(&label)?;
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": AdmissionKind::ValidatingBinding.as_str(),
            "metadata": {"name": label}, "spec": {"policyName": label, "validationActions": ["Deny"]},
        });
        copies.insert(label, [json!(validation), binding]);
    }
    for mut mutation in installed::mutations() {
        let what = mutation.metadata.name.clone().unwrap_or_default();
        let label = format!("{prefix}-{what}-{times}");
        let spec = mutation.spec.get_or_insert_default();
        repeat_variables(&mut spec.variables, times);
        repeat_conditions(&mut spec.match_conditions, times);
        for patch in spec.mutations.iter_mut().flatten().filter_map(|mutation| mutation.json_patch.as_mut()) {
            patch.expression = patch.expression.take().map(|expression| repeated(&expression, times));
        }
        // Otherwise it would be silent, and asked once more, when nothing is left to do, it fails on purpose.
        spec.failure_policy = Some("Fail".to_owned());
        spec.reinvocation_policy = Some("Never".to_owned());
        match_labelled(&mut spec.match_constraints, &label);
        mutation.metadata = named(&label)?;
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": AdmissionKind::MutatingBinding.as_str(),
            "metadata": {"name": label},
            "spec": {"policyName": label, "paramRef": {"name": name, "parameterNotFoundAction": "Deny"}},
        });
        copies.insert(label, [json!(mutation), binding]);
    }
    Ok(copies)
}

fn named(name: &str) -> Result<kube::api::ObjectMeta> {
    Ok(serde_json::from_value(json!({"name": name}))?)
}

/// An object that costs as much as one can, by what it is for.
struct WorstObject {
    /// The copies that it is for.
    of: &'static str,
    object: Value,
    /// What is there already, where the object is what becomes of it.
    before: Option<Value>,
    /// What is said of it.
    says: &'static str,
}

/// A pod spec's `nodeSelector` of so many entries that nobody asks for.
fn selector(entries: usize) -> Value {
    let entry = |number: usize| (format!("{number:a>63}.example/{number:b>63}"), json!("true"));
    (0..entries).map(entry).collect::<Map<_, _>>().into()
}

/// The worst objects for a policy of `names` in `namespace`.
fn worst(names: Names, namespace: &str) -> Vec<WorstObject> {
    let level = names.level(limits::LEVELS - 1);
    let said = |categories: &str| {
        json!({
            keys::SENSITIVITY: level, keys::CATEGORIES: categories,
            keys::WORKLOAD_SENSITIVITY: level, keys::WORKLOAD_CATEGORIES: categories,
        })
    };
    let (known, unknown) = (names.annotation(), ",".repeat(1023));
    let pod = |name: &str, categories: &str, entries: usize| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "annotations": said(categories), "labels": {}},
            "spec": {"containers": [{"name": "main", "image": "example.test/a"}], "nodeSelector": selector(entries)},
        })
    };
    let deployment = |categories: &str, entries: usize| {
        let template = &pod("", categories, entries)["spec"];
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "worst", "namespace": namespace, "annotations": said(categories), "labels": {}},
            "spec": {
                "selector": {"matchLabels": {"app": "worst"}},
                "template": {"metadata": {"labels": {"app": "worst"}, "annotations": said(categories)}, "spec": template},
            },
        })
    };
    let create = |of, object, says| WorstObject { of, object, before: None, says };
    let labelled = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": format!("{namespace}-worst"), "labels": {keys::SENSITIVITY: level, keys::CATEGORIES: "x.".repeat(31) + "x"}},
    });
    let mut opened = pod("gated", &unknown, 0);
    let mut gated = opened.clone();
    gated["metadata"]["annotations"] = json!({});
    gated["spec"] = json!({"containers": [{"name": "main", "image": "example.test/a"}], "schedulingGates": [{"name": "trial.example/wait"}]});
    opened["spec"] = json!({"schedulingGates": null});
    // What was written before there was a policy may be as long as all annotations may be together.
    let falls = |name: &str, categories: &str, says| {
        let mut before = deployment(categories, 0);
        before["metadata"]["name"] = json!(name);
        let unsaid = json!({
            keys::SENSITIVITY: null, keys::CATEGORIES: null, keys::WORKLOAD_SENSITIVITY: null, keys::WORKLOAD_CATEGORIES: null,
        });
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace, "annotations": unsaid, "labels": {}},
            "spec": {"template": {"metadata": {"annotations": unsaid}}},
        });
        WorstObject { of: "declassify-workloads", object, before: Some(before), says }
    };
    let fallen = |name: &str, labels: Value| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("{namespace}-{name}"), "labels": labels}});
    let said_of_namespace = json!({NOWHERE: POLICY, keys::SENSITIVITY: level, keys::CATEGORIES: "x.".repeat(31) + "x"});
    let named_node = |value: &str| {
        let labels: Map<_, _> = (0..POOL_LABELS).map(|number| (pool_label(number), json!(value))).collect();
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "worst", "labels": labels}})
    };
    // The exception and all categories: an API server drops a message that names each of them.
    let lacks = " and 30 more, which level ";
    vec![
        create("pods", pod("worst", &known, ENTRIES[1]), lacks),
        create("pods-from", pod("worst", &known, ENTRIES[1]), lacks),
        create("pods", pod("worst", &unknown, ENTRIES[1]), "no such category"),
        create("workloads", deployment(&unknown, 0), "no such category"),
        create("namespaces", labelled, "no such category"),
        WorstObject { of: "pod-updates", object: opened, before: Some(gated), says: "cannot change from" },
        falls("falls", &known, "would lower its level from"),
        falls("falls-far", &",".repeat(50_000), "would lower its level from"),
        WorstObject {
            of: "declassify-namespaces",
            object: fallen("falls", json!({keys::SENSITIVITY: null, keys::CATEGORIES: null})),
            before: Some(fallen("falls", said_of_namespace.clone())),
            says: "would lower its level from",
        },
        WorstObject {
            of: "declassify-namespaces",
            object: fallen("leaves", json!({NOWHERE: null, keys::SENSITIVITY: null, keys::CATEGORIES: null})),
            before: Some(fallen("leaves", said_of_namespace)),
            says: "would take it out of PlacementPolicy",
        },
        WorstObject {
            of: "nodes",
            object: named_node(&"z".repeat(63)),
            before: Some(named_node(&"y".repeat(63))),
            says: "would change from",
        },
        // All categories, the exception, and what was there.
        create("rempart-pods", pod("worst", &known, ENTRIES[0] - 1), "1032"),
        create("rempart-pods-floor", pod("worst", &known, ENTRIES[0] - 1), "1032"),
        create("rempart-templates", deployment(&known, ENTRIES[0] - 1), "1032"),
    ]
}

/// What is said of `worst` by the copies `label`: the sentence of a refusal, or how many entries its selector has.
async fn answer(clerk: &Client, worst: &WorstObject, label: &str) -> Result<String> {
    let mut object = worst.object.clone();
    object["metadata"]["labels"][LABEL] = json!(label);
    let outcome = if worst.before.is_some() {
        let (name, params) =
            (object["metadata"]["name"].as_str().unwrap_or_default(), PatchParams::default().dry_run());
        api_of(clerk, &object).patch(name, &params, &Patch::Merge(&object)).await
    } else {
        create_dry(clerk, &object).await
    };
    let Ok(made) = outcome else {
        let said = refusal(outcome)?;
        return Ok(said.split_once(" denied request: ").map_or(said.clone(), |(_, sentence)| sentence.to_owned()));
    };
    Ok(entries(&made.data).to_string())
}

/// How many entries the `nodeSelector` of a pod or of a template has.
fn entries(object: &Value) -> usize {
    let spec = object.pointer("/spec/template/spec").or_else(|| object.pointer("/spec"));
    spec.and_then(|spec| spec["nodeSelector"].as_object()).map_or(0, Map::len)
}

async fn worst_objects(_: &Context) -> Result<()> {
    // Of its own: an API server compiles expressions one after the other, and those of others would wait for these.
    let cluster = ControlPlane::start(ControlPlaneOptions::default()).await?;
    cluster.install_chart(&json!({})).await?;
    let admin = cluster.admin();
    let names = Names(limits::SHORT_NAME);
    let (name, namespace) = (POLICY, "worst");
    // Who may do everything but what the policies ask a verb of their own for.
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "clerk"},
        "rules": [{"apiGroups": ["", "apps"], "resources": ["*"], "verbs": ["*"]}],
    });
    let bound = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "clerk"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "clerk"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "clerk"}],
    });
    for object in [role, bound] {
        apply(&admin, &object).await?;
    }
    let clerk = cluster.client_as("clerk", &[])?;
    let level = names.level(limits::LEVELS - 1);
    let categories: Vec<_> = (0..limits::CATEGORIES).map(|number| names.category(number)).collect();
    let fit = (1..=categories.len()).rev().map(|number| categories[..number].join(".")).find(|text| text.len() <= 63);
    let labels = [(keys::SENSITIVITY, level.as_str()), (keys::CATEGORIES, fit.as_deref().unwrap_or_default())];
    world::namespace(&admin, namespace, &labels.into()).await?;
    let policy = names.policy(name, namespace);
    eventually("the policy to be taken", SOON, async || apply(&admin, &policy).await.map(drop)).await?;
    for times in TIMES {
        for [policy, binding] in copies(&policy, name, times)?.into_values() {
            apply(&admin, &policy).await.with_context(|| policy["metadata"]["name"].to_string())?;
            apply(&admin, &binding).await?;
        }
    }
    for before in worst(names, namespace).into_iter().filter_map(|worst| worst.before) {
        create(&admin, &before).await?;
    }
    for worst in worst(names, namespace) {
        let label = |times: usize| format!("{name}-{}-{times}", worst.of);
        let says = eventually(format!("{} to act", label(1)), SOON, async || {
            let said = answer(&clerk, &worst, &label(1)).await?;
            ensure!(said.contains(worst.says), "{said}");
            anyhow::Ok(said)
        })
        .await?;
        // What is not in force yet leaves it as it is.
        let (idle, mut within) = (entries(&worst.object).to_string(), 1);
        for times in TIMES.into_iter().skip(1) {
            let acts = async || {
                let said = answer(&clerk, &worst, &label(times)).await?;
                ensure!(said != idle, "it does not act");
                anyhow::Ok(said)
            };
            let said = eventually(format!("{} to act", label(times)), SOON, acts).await?;
            if said != says {
                ensure!(said.contains("cost limit") || said.contains("budget"), "{}: {said}", label(times));
                break;
            }
            within = times;
        }
        println!("{} ({}): judged as before when evaluated {within} times", worst.of, worst.says);
        ensure!(within >= 2, "{}: costs more than half of what it may", worst.of);
    }
    cluster.stop().await;
    Ok(())
}
