//! The short forms of the admission table, spelt out.

use serde_json::{Map, Value, json};

/// `value` with the shorthands of its keys and texts put out in full.
pub(super) fn expanded(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(full(text)),
        Value::Array(list) => list.iter().map(expanded).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (full(key), expanded(value))).collect(),
        other => other.clone(),
    }
}

fn full(text: &str) -> String {
    let mut text = text.to_owned();
    for kind in ["clearance", "category", "exception", "rank"] {
        let short = format!("{kind}:");
        let parts: Vec<_> = text.split(&short).map(str::to_owned).collect();
        let mut whole = parts.first().cloned().unwrap_or_default();
        for part in parts.iter().skip(1) {
            // Prose may hold the word too, but then a space follows.
            let key = part.starts_with(|first: char| first.is_ascii_alphanumeric());
            let domain = format!("{kind}.rempart.node-restriction.kubernetes.io/");
            whole.push_str(if key { &domain } else { &short });
            whole.push_str(part);
        }
        text = whole;
    }
    match text.strip_prefix("repeat(").and_then(|rest| rest.strip_suffix(')')).and_then(|inner| inner.rsplit_once(", "))
    {
        Some((what, times)) => what.repeat(times.parse().unwrap_or_default()),
        None => text,
    }
}

/// `a` with the entries of `b` added; either may be absent.
pub(super) fn merged(a: &Value, b: &Value) -> Value {
    let entries = |value: &Value| value.as_object().cloned().unwrap_or_default();
    Value::Object(entries(a).into_iter().chain(entries(b)).collect())
}

pub(super) fn kind_of(object: &Value) -> &str {
    object["kind"].as_str().unwrap_or_default()
}

/// Where an object is posted, or where the one of that name is.
pub(super) fn path_of(object: &Value, name: Option<&str>) -> String {
    let plural = format!("{}s", kind_of(object).to_lowercase());
    let root = match object["apiVersion"].as_str() {
        Some("v1") | None => "/api/v1".to_owned(),
        Some(version) => format!("/apis/{version}"),
    };
    let namespace = object["metadata"]["namespace"].as_str().map(|namespace| format!("/namespaces/{namespace}"));
    let name = name.map(|name| format!("/{name}"));
    format!("{root}{}/{plural}{}", namespace.unwrap_or_default(), name.unwrap_or_default())
}

/// The whole object that a short one stands for.
pub(super) fn spelt_out(short: &Value, namespace: &str) -> Value {
    let kind = kind_of(short);
    let (version, default_name) = match kind {
        "Pod" | "Binding" => ("v1", "api-0"),
        "Node" => ("v1", "node-1"),
        "Namespace" => ("v1", namespace),
        "Job" | "CronJob" => ("batch/v1", "api"),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" => ("apps/v1", "api"),
        _ => ("v1", "api"),
    };
    let mut metadata = Map::new();
    for field in ["name", "labels", "annotations", "generateName", "ownerReferences", "finalizers"] {
        if let Some(value) = short.get(field) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    if !metadata.contains_key("generateName") {
        metadata.entry("name").or_insert_with(|| json!(default_name));
    }
    if !matches!(kind, "Node" | "Namespace") {
        metadata.insert("namespace".to_owned(), json!(namespace));
    }
    let mut object = json!({"apiVersion": version, "kind": kind, "metadata": metadata});
    match kind {
        "Pod" => object["spec"] = pod_spec(short),
        "Binding" => object["target"] = short["target"].clone(),
        "Node" | "Namespace" => {
            if short["spec"].is_object() {
                object["spec"] = short["spec"].clone();
            }
        }
        _ => object["spec"] = workload_spec(kind, short),
    }
    object
}

fn pod_spec(short: &Value) -> Value {
    let working = json!({"containers": [{"name": "main", "image": "example.org/app:1"}]});
    let mut spec = merged(&working, &short["spec"]);
    if let Some(selector) = short.get("nodeSelector") {
        spec["nodeSelector"] = selector.clone();
    }
    spec
}

fn workload_spec(kind: &str, short: &Value) -> Value {
    let of_template = &short["template"];
    let labels = merged(&json!({"app": "api"}), &of_template["labels"]);
    let mut metadata = json!({"labels": labels});
    if let Some(annotations) = of_template.get("annotations") {
        metadata["annotations"] = annotations.clone();
    }
    let mut spec = pod_spec(of_template);
    if matches!(kind, "Job" | "CronJob") && spec.get("restartPolicy").is_none() {
        spec["restartPolicy"] = json!("Never");
    }
    let template = json!({"metadata": metadata, "spec": spec});
    let working = match kind {
        "Job" => json!({"template": template}),
        "CronJob" => {
            let mut job = json!({"spec": {"template": template}});
            if let Some(annotations) = short["jobTemplate"].get("annotations") {
                job["metadata"] = json!({"annotations": annotations});
            }
            json!({"schedule": "0 3 * * *", "jobTemplate": job})
        }
        "StatefulSet" => {
            json!({"serviceName": "api", "selector": {"matchLabels": {"app": "api"}}, "template": template})
        }
        _ => json!({"selector": {"matchLabels": {"app": "api"}}, "template": template}),
    };
    merged(&working, &short["spec"])
}
