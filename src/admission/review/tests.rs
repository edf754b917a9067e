//! Admission reviews: what is changed of which request, and what is refused to be read.

use rempart_core::keys;
use serde_json::json;

use super::*;
use crate::{api::PlacementPolicySpec, convert};

const KEY: &str = "clearance.rempart.node-restriction.kubernetes.io/state.secret";

fn policy() -> CompletingPolicy {
    let spec = "{mode: Enforce, defaultLevel: public, levels: [{name: public}, {name: secret, require: {}}]}";
    let spec: PlacementPolicySpec = serde_saphyr::from_str(spec).unwrap();
    let policy = convert::policy_of_admission("state", &spec).unwrap();
    CompletingPolicy { policy, uid: Some("0a1b2c3d-0000".to_owned()) }
}

fn request(kind: &str, object: &Value, old: &Value) -> String {
    let group = match kind {
        "Pod" => "",
        "Job" | "CronJob" => "batch",
        _ => "apps",
    };
    json!({"request": {
        "uid": "0", "kind": {"group": group, "version": "v1", "kind": kind},
        "resource": {"group": group, "version": "v1", "resource": "any"}, "namespace": "shop",
        "operation": if old.is_null() { "CREATE" } else { "UPDATE" },
        "userInfo": {"username": "system:node:n1", "groups": ["system:nodes"]}, "object": object, "oldObject": old,
    }})
    .to_string()
}

/// The object as it is when `spoken` is said of the namespace and it was completed.
fn completed(kind: &str, object: &Value, old: &Value, spoken: &str) -> Value {
    let namespace = SensitivityStatement::of(&[(keys::SENSITIVITY.to_owned(), spoken.to_owned())].into());
    let text = request(kind, object, old);
    let patch = complete(&read(text.as_bytes()).unwrap(), &policy(), &namespace).unwrap();
    let mut after = object.clone();
    json_patch::patch(&mut after, &patch).unwrap();
    after
}

#[test]
fn fingerprints_are_of_what_is_said() {
    let hasher = RandomState::new();
    let number = |text: &str| fingerprint(&hasher, serde_json::from_str::<&RawValue>(text).unwrap()).unwrap();
    let same = [r#"{"a": [1, {"b": null}], "c": "\u00e9"}"#, r#"{"c":"é","a":[1,{"b":null}]}"#];
    assert_eq!(number(same[0]), number(same[1]));
    let others =
        ["null", "{}", "[]", "0", "-1", "1", "1.0", "true", r#""1""#, "[1,2]", "[2,1]", "[[1],2]", r#"{"a":{}}"#];
    let numbers: std::collections::BTreeSet<_> = others.iter().map(|text| number(text)).collect();
    assert_eq!(numbers.len(), others.len());
    // As deep as nobody writes it.
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(fingerprint(&hasher, serde_json::from_str::<&RawValue>(&deep).unwrap()).is_err());
}

#[test]
fn only_what_decides_is_kept_of_an_object() {
    let labels: Map<String, Value> = (0..5000).map(|number| (format!("l{number}"), json!(""))).collect();
    let owners = vec![json!({"kind": "ReplicaSet"}); 5000];
    let pod = json!({"metadata": {"annotations": labels, "labels": labels, "ownerReferences": owners},
        "spec": {"nodeSelector": labels, "containers": [{"env": vec![json!({"name": ""}); 5000]}]}});
    let text = request("Pod", &pod, &Value::Null);
    let request = read(text.as_bytes()).unwrap();
    let parts = TemplateParts::read(request.object.unwrap()).unwrap();
    for found in [&parts.annotations, &parts.labels, &parts.selector] {
        assert!(found.is_there && found.ours.is_empty());
    }
    assert_eq!(completed("Pod", &pod, &Value::Null, "secret")["spec"]["nodeSelector"][KEY], "true");
}

#[test]
fn what_no_api_server_writes_is_told() {
    let keys: Map<String, Value> = (0..2000).map(|number| (format!("{KEY}{number}"), json!(""))).collect();
    let twice = r#"{"metadata": {}, "metadata": {}}"#;
    for object in [json!({"spec": {"nodeSelector": keys}}).to_string(), twice.to_owned()] {
        let text = request("Pod", &json!("here"), &Value::Null).replace(r#""here""#, &object);
        let request = read(text.as_bytes()).unwrap();
        assert!(complete(&request, &policy(), &SensitivityStatement::default()).is_err());
    }
    // What is no map is put right by what is added.
    for odd in [json!(null), json!("x"), json!([])] {
        let pod = json!({"metadata": odd, "spec": odd});
        assert_eq!(completed("Pod", &pod, &Value::Null, "secret")["spec"], json!({"nodeSelector": {KEY: "true"}}));
    }
    assert!(read(b"{}").is_err() && read(b"").is_err() && read(b"{\"request\": null}").is_err());
}

#[test]
fn a_pod_is_given_what_its_namespace_asks_for_and_a_static_one_nothing() {
    let pod = json!({"metadata": {"name": "web"}, "spec": {"containers": []}});
    assert_eq!(completed("Pod", &pod, &Value::Null, "secret")["spec"]["nodeSelector"], json!({KEY: "true"}));
    assert_eq!(completed("Pod", &pod, &Value::Null, "public"), pod);
    // A level that nobody knows is refused, not completed.
    assert_eq!(completed("Pod", &pod, &Value::Null, "odd"), pod);
    // Of a pod that is there nothing changes.
    assert_eq!(completed("Pod", &pod, &pod, "secret"), pod);
    let mut mirror = pod;
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    mirror["spec"]["nodeName"] = json!("n1");
    assert_eq!(completed("Pod", &mirror, &Value::Null, "secret"), mirror);
    mirror["spec"]["nodeName"] = json!("n2");
    assert_ne!(completed("Pod", &mirror, &Value::Null, "secret"), mirror);
}

#[test]
fn a_template_is_completed_where_a_rollout_happens_anyway() {
    let workload = |level: &str| {
        json!({"metadata": {"name": "api", "annotations": {keys::SENSITIVITY: level}},
            "spec": {"template": {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": []}}}})
    };
    let made = completed("Deployment", &workload("secret"), &Value::Null, "public");
    let template = &made["spec"]["template"];
    assert_eq!(template["spec"]["nodeSelector"], json!({KEY: "true"}));
    assert_eq!(template["metadata"]["annotations"], json!({keys::WORKLOAD_SENSITIVITY: "secret"}));
    assert_eq!(template["metadata"]["labels"], json!({"app": "api", "completed.rempart.dev/state": "0a1b2c3d.secret"}));
    // One that is older than the policy rolls nothing while only its scale changes.
    let mut scaled = workload("secret");
    scaled["spec"]["replicas"] = json!(3);
    assert_eq!(completed("Deployment", &scaled, &workload("secret"), "public"), scaled);
    // A level that is taken away takes all of it with it.
    let mut lowered = made.clone();
    lowered["metadata"]["annotations"] = json!({});
    let template = &completed("Deployment", &lowered, &made, "public")["spec"]["template"];
    assert_eq!((&template["spec"]["nodeSelector"], &template["metadata"]["annotations"]), (&json!({}), &json!({})));
    // Whose template is another's is left to that one, and a Job that has started to itself.
    let mut owned = workload("secret");
    owned["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": "1", "controller": true}]);
    assert_eq!(completed("ReplicaSet", &owned, &Value::Null, "public"), owned);
    assert_eq!(completed("Job", &workload("secret"), &workload("public"), "public"), workload("secret"));
    let mut suspended = workload("public");
    suspended["spec"]["suspend"] = json!(true);
    assert_ne!(completed("Job", &workload("secret"), &suspended, "public"), workload("secret"));
}
