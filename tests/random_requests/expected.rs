//! The core's verdict on a request: what admission must answer, worked out without any of its expressions.
//!
//! Who governs, what is said, which level and keys follow, what is refused first and in which words, the core says. What
//! only an API server can see, a request that changes something, is told here in Rust.

use std::collections::BTreeSet;

use rempart_core::{
    admission::{AdmissionRefusal, PolicyNeed},
    declassification::Lowering,
    keys,
    name::{CategoryName, quoted},
    namespace::{Namespace, NamespaceFacts},
    policy::{EnforcementMode, Policy},
    selector::Labels,
    sensitivity::{ControllerStatements, PodSensitivity, SILENT, SensitivityStatement, TemplateStatements},
    text::QuotedDisplay,
    workload::WorkloadKind,
};
use serde_json::Value;

use super::requests::Request;

/// A refusal: a word for it, and the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// A policy with what admission is told at its installation.
pub(crate) struct Oracle<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) exempt: &'a [String],
    pub(crate) schedulers: &'a [String],
}

const OURS: [&str; 2] = [keys::SENSITIVITY, keys::CATEGORIES];

impl Oracle<'_> {
    /// What is refused of `request`: nothing where it passes. An API server asks for what lowers by itself, so that two
    /// things may be said.
    pub(crate) fn refusals(&self, request: &Request) -> Vec<Refusal> {
        self.refusal(request).into_iter().chain(self.lowering(request)).collect()
    }

    /// What is refused of `request`, but that it lowers something.
    pub(crate) fn refusal(&self, request: &Request) -> Option<Refusal> {
        if !self.governs(request) {
            return None;
        }
        match (request.kind, request.operation) {
            ("Pod", "CREATE") => self.new_pod(request),
            ("Pod", _) => self.changed_pod(request),
            ("Binding", _) => self.binding(request),
            ("Namespace", _) => self.namespace(request),
            _ => self.workload(request),
        }
    }

    /// Whether the policy governs the namespace of `request`.
    pub(crate) fn governs(&self, request: &Request) -> bool {
        let namespace = Namespace::new(0, request.labels.clone());
        let facts = if self.exempt.contains(&request.namespace) {
            NamespaceFacts::Exempt { known: true }
        } else {
            NamespaceFacts::Known(&namespace)
        };
        facts.governed_by(self.policy, &request.namespace)
    }

    /// What is refused because it lowers something.
    fn lowering(&self, request: &Request) -> Option<Refusal> {
        let is_allowed = request.may_declassify.iter().any(|policy| policy == self.policy.name.as_str());
        if is_allowed || request.operation != "UPDATE" || matches!(request.kind, "Pod" | "Binding") {
            return None;
        }
        let (object, old) = (&request.object, &request.old);
        let refusal = |lowering: Lowering<'_>, subject: String| Refusal {
            code: match lowering {
                Lowering::OutOfScope { .. } => "OutOfScope",
                Lowering::Level { .. } => "LevelLowered",
                Lowering::Category { .. } => "CategoryDropped",
            },
            message: format!("{subject}: {}", lowering.told_to(&request.user, self.policy)),
        };
        if request.kind == "Namespace" {
            // It is judged by its old labels, whatever it is matched by.
            let [before, now] = [old, object].map(|object| labels(&object["metadata"]["labels"]));
            if !self.governs(&Request { labels: before.clone(), ..request.clone() }) {
                return None;
            }
            let lowering = self.policy.lowered_of_namespace(&before, &now)?;
            return Some(refusal(lowering, format!("namespace {}", request.namespace)));
        }
        if !self.governs(request) {
            return None;
        }
        let kind = WorkloadKind::ALL.into_iter().find(|kind| kind.as_str() == request.kind)?;
        let owners = old["metadata"]["ownerReferences"].as_array();
        let controller = owners.into_iter().flatten().find(|owner| owner["controller"] == true);
        let speaks = kind.speaks_for_pods(controller.and_then(|owner| owner["kind"].as_str()));
        let own = [old, object].map(|object| SensitivityStatement::of(&annotations(&object["metadata"])));
        let templates =
            [old, object].map(|object| TemplateStatements::of(&annotations(&template(kind, object)["metadata"])));
        let [before, now] =
            [0, 1].map(|i| ControllerStatements { own: speaks.then_some(&own[i]), template: &templates[i] });
        let lowering = self.policy.lowered_of_workload(kind, before, now)?;
        Some(refusal(lowering, subject(request)))
    }

    fn need<'p>(&'p self, request: &Request) -> Result<PolicyNeed<'p>, Vec<AdmissionRefusal<'p>>> {
        let namespace = SensitivityStatement::of(&request.labels);
        let stated = TemplateStatements::of(&annotations(&request.object["metadata"]));
        self.policy.need(&request.namespace, &PodSensitivity::new(&namespace, [], Some(&stated)))
    }

    fn new_pod(&self, request: &Request) -> Option<Refusal> {
        let need = match self.need(request) {
            Ok(need) => need,
            Err(refusals) => return first(&refusals, |refusal| format!("{}: {refusal}", subject(request))),
        };
        let spec = &request.object["spec"];
        let node = spec["nodeName"].as_str();
        let is_static = request.object["metadata"]["annotations"].get("kubernetes.io/config.mirror").is_some();
        let kubelet = format!("system:node:{}", node.unwrap_or_default());
        if is_static && request.groups.iter().any(|group| group == "system:nodes") && request.user == kubelet {
            return None;
        }
        let demand = need.demand(self.policy);
        if let Some(node) = node.filter(|_| !need.keys.is_empty()) {
            let refusal = AdmissionRefusal::NodeName { policy: self.policy, node: quoted(node), demand };
            return first(&[refusal], |refusal| format!("{}: {refusal}", subject(request)));
        }
        let missing = self.missing(&need, request)?;
        Some(Refusal {
            code: "SelectorMissing",
            message: format!(
                "{}: spec.nodeSelector lacks {missing}, which {demand} of PlacementPolicy {} needs; admission adds it, so \
                 another webhook or policy took it away: let that leave spec.nodeSelector alone; within half a minute of an \
                 installation, or of an API server's start, try again",
                subject(request),
                self.policy.name
            ),
        })
    }

    /// The keys that the pod lacks, of the level first; nothing where it lacks none, or where nobody adds them.
    fn missing(&self, need: &PolicyNeed<'_>, request: &Request) -> Option<String> {
        let selector = labels(&request.object["spec"]["nodeSelector"]);
        let mut missing: Vec<_> = need.keys.iter().filter(|key| !keys::grants(&selector, key)).collect();
        missing.sort_by_key(|key| matches!(keys::parse(key), Some((_, keys::KeySubject::Category(_)))));
        let told: Vec<_> = missing.iter().take(3).map(|key| format!("{key}=true")).collect();
        let more = match missing.len() - told.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (self.policy.mode == EnforcementMode::Enforce && !told.is_empty()).then(|| told.join(", ") + &more)
    }

    fn changed_pod(&self, request: &Request) -> Option<Refusal> {
        let (before, after) = (annotations(&request.old["metadata"]), annotations(&request.object["metadata"]));
        let told = |map: &Labels, key: &str| match map.get(key) {
            Some(value) => QuotedDisplay(&quoted(value)).to_string(),
            None => "absent".to_owned(),
        };
        let ours = [keys::SENSITIVITY, keys::CATEGORIES, keys::WORKLOAD_SENSITIVITY, keys::WORKLOAD_CATEGORIES];
        let changed: Vec<_> = ours
            .into_iter()
            .filter(|key| before.get(*key) != after.get(*key))
            .map(|key| format!("annotation {key} cannot change from {} to {}", told(&before, key), told(&after, key)))
            .collect();
        let subject = subject(request);
        if !changed.is_empty() {
            let message = format!(
                "{subject}: {} once the pod exists; change it on the workload, or create the pod anew",
                changed.join("; ")
            );
            return Some(Refusal { code: "AnnotationChanged", message });
        }
        let is_gated = |object: &Value| !object["spec"]["schedulingGates"].is_null();
        if self.policy.mode != EnforcementMode::Enforce || !is_gated(&request.old) || is_gated(&request.object) {
            return None;
        }
        let name = &self.policy.name;
        let Ok(need) = self.need(request) else {
            let levels: Vec<_> = self.policy.levels.iter().map(|level| level.name.as_str()).collect();
            let categories: Vec<_> = self.policy.categories.keys().map(CategoryName::as_str).collect();
            let categories = if categories.is_empty() { "none".to_owned() } else { categories.join(", ") };
            let message = format!(
                "{subject}: its last scheduling gate cannot be removed: a level or category of the pod, its workload or its \
                 namespace is unknown to PlacementPolicy {name}; create the pod anew with levels among {} and categories \
                 among {categories}",
                levels.join(", ")
            );
            return Some(Refusal { code: "GateOfUnknown", message });
        };
        let missing = self.missing(&need, request)?;
        let message = format!(
            "{subject}: its last scheduling gate cannot be removed: spec.nodeSelector lacks {missing}, which {} of \
             PlacementPolicy {name} needs; add it, or create the pod anew",
            need.demand(self.policy)
        );
        Some(Refusal { code: "GateOfIncomplete", message })
    }

    fn workload(&self, request: &Request) -> Option<Refusal> {
        let kind = WorkloadKind::ALL.into_iter().find(|kind| kind.as_str() == request.kind)?;
        let owners = request.object["metadata"]["ownerReferences"].as_array();
        let controller = owners.into_iter().flatten().find(|owner| owner["controller"] == true);
        let updates = request.operation == "UPDATE";
        let speaks = kind.speaks_for_pods(controller.and_then(|owner| owner["kind"].as_str()));
        if !(speaks || kind == WorkloadKind::Job && updates) {
            return None;
        }
        let (object, old) = (&request.object, &request.old);
        let (own, own_before) = (annotations(&object["metadata"]), annotations(&old["metadata"]));
        let (template, template_before) = (template(kind, object), template(kind, old));
        // What is said anew.
        let news = |now: &Labels, before: &Labels| -> Labels {
            let changed = now.iter().filter(|(key, value)| before.get(*key) != Some(value));
            changed.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let new_own = news(&own, &own_before);
        let new_template = news(&annotations(&template["metadata"]), &annotations(&template_before["metadata"]));
        let stated = TemplateStatements {
            workload: SensitivityStatement::of(&new_own),
            pod: SensitivityStatement::of(&new_template),
        };
        let mut refusals = self
            .policy
            .need(&request.namespace, &PodSensitivity::new(SILENT, [], Some(&stated)))
            .err()
            .unwrap_or_default();
        if kind == WorkloadKind::CronJob {
            let at = |object: &Value| annotations(&object["spec"]["jobTemplate"]["metadata"]);
            let misplaced = news(&at(object), &at(old));
            let misplaced: Vec<_> = OURS.into_iter().filter(|key| misplaced.contains_key(*key)).collect();
            if !misplaced.is_empty() {
                refusals.push(AdmissionRefusal::Misplaced { keys: misplaced });
            }
        }
        if !refusals.is_empty() {
            return first(&refusals, |refusal| format!("{}: {}", subject(request), refusal.told_of(kind)));
        }
        let has_begun = kind == WorkloadKind::Job
            && updates
            && (old["spec"]["suspend"] != true || !old["status"]["startTime"].is_null())
            && !object["status"]["conditions"].as_array().into_iter().flatten().any(|condition| {
                (condition["type"] == "Complete" || condition["type"] == "Failed") && condition["status"] == "True"
            });
        let carried = annotations(&template["metadata"]);
        let late = OURS.into_iter().filter(|key| {
            let mirror = if *key == keys::SENSITIVITY { keys::WORKLOAD_SENSITIVITY } else { keys::WORKLOAD_CATEGORIES };
            new_own.get(*key).is_some_and(|text| carried.get(*key) != Some(text) && carried.get(mirror) != Some(text))
        });
        let late: Vec<_> = late.collect();
        (has_begun && !late.is_empty()).then(|| Refusal {
            code: "AnnotationTooLate",
            message: format!(
                "{}: annotation {} comes too late: the Job has started, and the template of its pods can no longer change; \
                 let it end, or delete it and create it again with the annotation",
                subject(request),
                late.join(", ")
            ),
        })
    }

    fn namespace(&self, request: &Request) -> Option<Refusal> {
        let (now, before) = (&request.object["metadata"]["labels"], &request.old["metadata"]["labels"]);
        let changed = labels(now).into_iter().filter(|(key, value)| before[key] != **value).collect();
        let statement = SensitivityStatement::of(&changed);
        let wrong = self.policy.need(&request.namespace, &PodSensitivity::new(&statement, [], None)).err();
        // Who had no level, and changes nothing by which the policy knows the namespace, may go on so.
        let asked = request.operation == "CREATE"
            || self.policy.namespaces.keys().chain([keys::SENSITIVITY]).any(|key| now[key] != before[key]);
        let silent = self.policy.refused_of_silent_namespace(&SensitivityStatement::of(&labels(now)));
        let refusals: Vec<_> = wrong.into_iter().flatten().chain(silent.filter(|_| asked)).collect();
        first(&refusals, |refusal| format!("namespace {}: {}", request.namespace, refusal.told_of_namespace()))
    }

    fn binding(&self, request: &Request) -> Option<Refusal> {
        let message = format!(
            "pod {}/{}: user {} may not bind it to node {}: where PlacementPolicy {} applies, only these schedulers bind \
             pods: {}; leave spec.schedulerName to one of them, or add the user to the chart value admission.schedulers",
            request.namespace,
            request.object["metadata"]["name"].as_str().unwrap_or_default(),
            request.user,
            request.object["target"]["name"].as_str().unwrap_or_default(),
            self.policy.name,
            self.schedulers.join(", ")
        );
        let is_listed = self.schedulers.iter().collect::<BTreeSet<_>>().contains(&request.user);
        (!is_listed).then_some(Refusal { code: "BinderUnlisted", message: message.trim().to_owned() })
    }
}

/// Of several refusals the first is told.
fn first(refusals: &[AdmissionRefusal<'_>], told: impl Fn(&AdmissionRefusal<'_>) -> String) -> Option<Refusal> {
    refusals.first().map(|refusal| Refusal { code: refusal.code(), message: told(refusal) })
}

/// The object, as messages call it.
fn subject(request: &Request) -> String {
    let metadata = &request.object["metadata"];
    let name = metadata["name"].as_str().or(metadata["generateName"].as_str()).unwrap_or_default();
    format!("{} {}/{name}", request.kind.to_ascii_lowercase(), request.namespace)
}

fn labels(map: &Value) -> Labels {
    let entries = map.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn annotations(metadata: &Value) -> Labels {
    labels(&metadata["annotations"])
}

fn template(kind: WorkloadKind, object: &Value) -> &Value {
    if kind == WorkloadKind::CronJob {
        &object["spec"]["jobTemplate"]["spec"]["template"]
    } else {
        &object["spec"]["template"]
    }
}
