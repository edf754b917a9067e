//! Need of a pod: the levels and categories that policies demand of its node.
//!
//! It takes the facts at one instant, a namespace and the pod's annotations. Only policies that enforce and govern the
//! namespace demand anything.

use serde_json::Value;

use super::{facts::ClusterFacts, log::text, selectors};

/// Namespaces that no policy governs.
const EXEMPT: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "rempart-system"];

/// Something that one policy demands of a pod's node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlacementDemand {
    /// That it is cleared for a level.
    Level {
        /// Of this policy.
        policy: String,
        /// Its name.
        level: String,
        /// The exception by which it was admitted, if it was by one.
        exception: Option<String>,
    },
    /// That it is cleared for a category.
    Category {
        /// Of this policy.
        policy: String,
        /// Its name.
        category: String,
    },
    /// A level or category that the policy does not know, which no node meets.
    Unknown {
        /// The policy.
        policy: String,
        /// The unknown value.
        value: String,
    },
}

/// All that is demanded of a pod's node. Nothing where no policy demands anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlacementNeed {
    /// The pod's namespace.
    pub namespace: String,
    /// The demands of all policies.
    pub demands: Vec<PlacementDemand>,
}

impl PlacementNeed {
    /// The need of a pod with these annotations in this namespace if it is created now.
    pub fn of(facts: &ClusterFacts<'_>, namespace: &str, pod: &Value) -> Self {
        let mut demands = Vec::new();
        let Some(found) = facts.namespaces.get(namespace) else {
            return Self { namespace: namespace.to_owned(), demands };
        };
        for (name, policy) in &facts.policies {
            if text(policy, "/spec/mode") == "Enforce" && ends(policy).is_none() && governs(policy, namespace, found) {
                demand(name, policy, found, pod, &mut demands);
            }
        }
        Self { namespace: namespace.to_owned(), demands }
    }

    /// The need of a pod of this workload if it is created now from a template that says all that its workload says.
    pub fn of_template(facts: &ClusterFacts<'_>, workload: &Value) -> Self {
        let template =
            workload.pointer("/spec/jobTemplate/spec/template").or_else(|| workload.pointer("/spec/template"));
        let pod = with_what_its_workload_says(template.unwrap_or(&Value::Null), workload);
        Self::of(facts, text(workload, "/metadata/namespace"), &pod)
    }

    /// The need of a pod that runs, if it is created now and hears what its workload says now.
    pub fn of_owned(facts: &ClusterFacts<'_>, pod: &Value, workload: &Value) -> Self {
        Self::of(facts, text(pod, "/metadata/namespace"), &with_what_its_workload_says(pod, workload))
    }
}

/// A pod with its own annotations and those of its workload as they reach it.
fn with_what_its_workload_says(pod: &Value, workload: &Value) -> Value {
    let mut annotations = pod.pointer("/metadata/annotations").cloned().unwrap_or_default();
    if !annotations.is_object() {
        annotations = serde_json::json!({});
    }
    if let Some(annotations) = annotations.as_object_mut() {
        for said in ["sensitivity", "categories"] {
            let (own, reaches) = (format!("rempart.dev/{said}"), format!("rempart.dev/workload-{said}"));
            annotations.remove(&reaches);
            if let Some(value) = workload.pointer("/metadata/annotations").and_then(|annotations| annotations.get(&own))
            {
                annotations.insert(reaches, value.clone());
            }
        }
    }
    serde_json::json!({ "metadata": { "annotations": annotations } })
}

/// Whether a policy applies to a namespace.
pub(super) fn governs(policy: &Value, name: &str, namespace: &Value) -> bool {
    let selector = policy.pointer("/spec/namespaceSelector");
    !EXEMPT.contains(&name) && selector.is_none_or(|selector| selectors::matches(selector, namespace, |_| false))
}

/// When somebody asked for the end of an object. A policy that ends demands nothing of new pods.
pub(super) fn ends(object: &Value) -> Option<&Value> {
    object.pointer("/metadata/deletionTimestamp").filter(|when| !when.is_null())
}

/// The levels of a policy, least to most sensitive.
pub(super) fn levels(policy: &Value) -> &[Value] {
    policy.pointer("/spec/levels").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Rank of a level in a policy, least sensitive first.
pub(super) fn rank(policy: &Value, level: &str) -> Option<usize> {
    levels(policy).iter().position(|found| text(found, "/name") == level)
}

/// The exceptions of a policy for pods of a level, by its rank, in a namespace.
pub(super) fn exceptions<'a>(policy: &'a Value, namespace: &str, of: usize) -> impl Iterator<Item = &'a Value> {
    let granted = policy.pointer("/spec/exceptions").and_then(Value::as_array).into_iter().flatten();
    granted.filter(move |exception| {
        let namespaces = exception.pointer("/namespaces").and_then(Value::as_array);
        namespaces.is_some_and(|listed| listed.iter().any(|found| found == namespace))
            && rank(policy, text(exception, "/level")).is_some_and(|most| of <= most)
    })
}

fn demand(name: &str, policy: &Value, namespace: &Value, pod: &Value, demands: &mut Vec<PlacementDemand>) {
    let said =
        |object: &Value, map: &str, key: &str| Some(object.get("metadata")?.get(map)?.get(key)?.as_str()?.to_owned());
    let unknown = |value: String| PlacementDemand::Unknown { policy: name.to_owned(), value };
    let sensitivities = [
        said(namespace, "labels", "rempart.dev/sensitivity"),
        said(pod, "annotations", "rempart.dev/workload-sensitivity"),
        said(pod, "annotations", "rempart.dev/sensitivity"),
    ];
    let mut highest = None;
    for level in sensitivities.into_iter().flatten() {
        match rank(policy, &level) {
            Some(rank) => highest = highest.max(Some(rank)),
            None => demands.push(unknown(level)),
        }
    }
    let effective = highest.or_else(|| rank(policy, text(policy, "/spec/defaultLevel"))).unwrap_or_default();
    let effective = effective.max(rank(policy, text(policy, "/spec/minimumLevel")).unwrap_or_default());
    let mut below = levels(policy).iter().take(effective + 1);
    if below.clone().any(|level| level.get("require").is_some()) {
        let level = below.next_back().map(|level| text(level, "/name")).unwrap_or_default();
        let in_namespace = text(namespace, "/metadata/name");
        let exception = exceptions(policy, in_namespace, effective).map(|found| text(found, "/name").to_owned()).next();
        demands.push(PlacementDemand::Level { policy: name.to_owned(), level: level.to_owned(), exception });
    }
    let categories = [
        (said(namespace, "labels", "rempart.dev/categories"), '.'),
        (said(pod, "annotations", "rempart.dev/workload-categories"), ','),
        (said(pod, "annotations", "rempart.dev/categories"), ','),
    ];
    for (joined, separator) in categories {
        for category in joined.iter().flat_map(|joined| joined.split(separator)) {
            let known = policy.pointer("/spec/categories").and_then(Value::as_array).into_iter().flatten();
            match known.into_iter().find(|found| text(found, "/name") == category) {
                None => demands.push(unknown(category.to_owned())),
                Some(found) if found.get("require").is_some() => {
                    demands.push(PlacementDemand::Category { policy: name.to_owned(), category: category.to_owned() });
                }
                Some(_) => {}
            }
        }
    }
    demands.sort();
    demands.dedup();
}
