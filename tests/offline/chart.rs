//! The chart, rendered without a cluster: what values reach, what is refused, and the files that are derived from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use clap::Parser;
use rempart::{
    api::validate::{ResourceKind, violations},
    cli::CommandLine,
};
use rempart_lab::chart::{self, ChartRenderer, documented_values};
use serde_json::{Value, json};

static RENDERER: LazyLock<ChartRenderer> =
    LazyLock::new(|| tokio::runtime::Runtime::new().unwrap().block_on(ChartRenderer::locate()).unwrap());

const POLICIES: &str = "1.36.0";
const WEBHOOK: &str = "1.30.0";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

/// What the chart renders to on a version of Kubernetes with these values, and these arguments of `helm template`.
fn try_render(version: &str, values: &Value, arguments: &[&str]) -> Result<Vec<Value>, String> {
    let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    fs::write(file.path(), values.to_string()).unwrap();
    let file = file.path().to_string_lossy().into_owned();
    let arguments = ["--kube-version", version, "--values", &file].into_iter().chain(arguments.iter().copied());
    let text = RENDERER.template(arguments).map_err(|error| error.to_string())?;
    Ok(serde_saphyr::from_multiple(&text).unwrap())
}

fn render(version: &str, values: &Value) -> Vec<Value> {
    try_render(version, values, &[]).unwrap()
}

fn refusal(values: &Value) -> String {
    try_render(POLICIES, values, &[]).expect_err("it is rendered")
}

fn named(object: &Value) -> String {
    format!("{} {}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap())
}

fn one<'a>(objects: &'a [Value], name: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| named(object) == name);
    let one = found.next().unwrap_or_else(|| panic!("no {name}"));
    assert_eq!(found.next(), None, "two of {name}");
    one
}

/// The specs of all pods, those of hooks too, with what has them.
fn pods(objects: &[Value]) -> Vec<(String, &Value)> {
    let spec = |object: &Value| match object["kind"].as_str() {
        Some("Pod") => Some("/spec"),
        Some("Deployment" | "Job") => Some("/spec/template/spec"),
        _ => None,
    };
    objects.iter().filter_map(|object| Some((named(object), object.pointer(spec(object)?).unwrap()))).collect()
}

/// Values that fill all that is empty by default.
fn everything() -> Value {
    json!({
        "exemptNamespaces": ["kube-system", "kube-public", "kube-node-lease", "agents"],
        "exemptNamespacePresets": ["calico", "openshift"],
        "namespaceOverride": "sovereign",
        "fullnameOverride": "wall",
        "commonLabels": {"team": "platform", "app.kubernetes.io/name": "evil", "app.kubernetes.io/component": "evil"},
        "commonAnnotations": {"owner": "platform@example"},
        "podLabels": {"cost": "12", "app.kubernetes.io/component": "evil"},
        "podAnnotations": {"note": "x"},
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca"}],
        "extraObjects": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map", "namespace": "{{ .Release.Name }}"}},
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: text, namespace: {{ include \"rempart.namespace\" . }}}\n",
        ],
        "operator": {
            "extraArgs": ["--log-format=text"],
            "affinity": {"nodeAffinity": {}},
            "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
        },
        "podDisruptionBudget": {"minAvailable": "50%"},
        "networkPolicy": {"egress": {"enabled": true, "extra": [{"ports": [{"port": 3128}]}]}},
        "imagePullSecrets": ["registry"],
        "monitoring": {"serviceMonitor": {"enabled": true}, "rules": {"enabled": true}, "dashboard": {"enabled": true}},
        "people": {
            "securityOfficers": [{"kind": "Group", "name": "officers"}],
            "platformEngineers": [{"kind": "User", "name": "pia"}],
            "auditors": [{"kind": "ServiceAccount", "name": "audit", "namespace": "tools"}],
            "namespaceLabellers": [{"kind": "Group", "name": "owners"}],
            "declassifiers": [{"kind": "Group", "name": "chiefs"}],
        },
    })
}

#[test]
fn derived_files_are_generated_from_the_chart() {
    let files = chart::generated(&RENDERER).unwrap();
    for file in &files {
        let actual = fs::read_to_string(root().join(&file.path)).unwrap_or_default();
        assert!(
            actual == file.text,
            "{} is not what charts/rempart says: run `make manifests`, look at the difference and commit it",
            file.path.display()
        );
    }
    let known: BTreeSet<PathBuf> = files.iter().map(|file| root().join(&file.path)).collect();
    for directory in chart::GENERATED_DIRECTORIES {
        for entry in fs::read_dir(root().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            assert!(known.contains(&path), "{} is not generated: remove it", path.display());
        }
    }
}

#[test]
fn manifests_are_whole() {
    for (variant, completes) in
        [("policies", "MutatingAdmissionPolicy rempart-pods"), ("webhook", "Service rempart-webhook")]
    {
        let directory = root().join("deploy/manifests").join(variant);
        let kustomization = yaml(&fs::read_to_string(directory.join("kustomization.yaml")).unwrap());
        let mut objects = Vec::new();
        for resource in kustomization["resources"].as_array().unwrap() {
            let path = directory.join(resource.as_str().unwrap());
            let files = if path.is_dir() {
                let inner = yaml(&fs::read_to_string(path.join("kustomization.yaml")).unwrap());
                inner["resources"].as_array().unwrap().iter().map(|name| path.join(name.as_str().unwrap())).collect()
            } else {
                vec![path]
            };
            for file in files {
                objects.extend(serde_saphyr::from_multiple::<Value>(&fs::read_to_string(file).unwrap()).unwrap());
            }
        }
        let names: BTreeSet<_> = objects.iter().map(named).collect();
        assert_eq!(names.len(), objects.len(), "{variant}: an object is there twice");
        assert!(names.contains("Namespace rempart-system") && names.contains(completes), "{variant}: {names:?}");
        let version = if variant == "policies" { POLICIES } else { WEBHOOK };
        for object in try_render(version, &json!({}), &["--no-hooks"]).unwrap() {
            assert!(names.contains(&named(&object)), "{variant}: {} is missing", named(&object));
        }
        let text = serde_json::to_string(&objects).unwrap();
        assert!(!text.contains("\"Helm\"") && !text.contains("helm.sh/"), "{variant}: something is Helm's");
    }
}

/// The value of a path in the schema of values, as its `properties` lead there.
fn in_schema<'a>(schema: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(schema, |schema, key| schema.get("properties")?.get(key))
}

#[test]
fn values_their_comments_and_their_schema_agree() {
    let documented = documented_values(&read("charts/rempart/values.yaml")).unwrap();
    let schema: Value = serde_json::from_str(&read("charts/rempart/values.schema.json")).unwrap();
    assert!(documented.len() > 60, "{}", documented.len());
    for value in &documented {
        let path = value.path.join(".");
        assert!(in_schema(&schema, &value.path).is_some(), "the schema does not know {path}");
        let is_told = value.comment.ends_with(['.', ':']) || value.comment.ends_with('}');
        assert!(value.default.is_none() && value.comment.is_empty() || is_told, "{path}: {:?}", value.comment);
    }
    let paths: BTreeMap<_, _> = documented.iter().map(|value| (value.path.clone(), value)).collect();
    let mut open = vec![Vec::<String>::new()];
    let mut looked_at = 0;
    while let Some(path) = open.pop() {
        let is_section = path.is_empty() || paths.get(&path).is_some_and(|value| value.default.is_none());
        let within = in_schema(&schema, &path).unwrap();
        if !is_section {
            assert!(paths.contains_key(&path) || path == ["global"], "values.yaml has no {}", path.join("."));
            looked_at += 1;
            continue;
        }
        assert_eq!(within["additionalProperties"], false, "{}: a misspelt value would pass", path.join("."));
        for key in within["properties"].as_object().unwrap().keys() {
            open.push(path.iter().cloned().chain([key.clone()]).collect());
        }
    }
    assert!(looked_at > 50, "{looked_at}");
}

#[test]
fn values_that_mean_nothing_are_refused() {
    let schema: Value = serde_json::from_str(&read("charts/rempart/values.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let defaults = yaml(&read("charts/rempart/values.yaml"));
    assert!(validator.is_valid(&defaults));
    let changed = |at: &str, value: Value| {
        let mut values = defaults.clone();
        let (parent, key) = at.rsplit_once('/').unwrap();
        values.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
        values
    };
    for (at, value) in [
        ("/replicas", json!(2)),
        ("/probes/startup/path", json!("/")),
        ("/podDisruptionBudget/maxUnavailable", json!("half")),
        ("/podSecurityContext/runasUser", json!(1)),
        ("/securityContext/priviledged", json!(true)),
        ("/networkPolicy/metricsFrom", json!([{}])),
        ("/networkPolicy/egress/ports", json!([])),
        ("/people/auditors", json!([{"kind": "ServiceAccount", "name": "audit"}])),
        ("/people/auditors", json!(["audit"])),
        ("/people/officers", json!([])),
        ("/exemptNamespacePresets", json!(["kapsul"])),
        ("/commonLabels", json!({"rempart.dev/policy": "state"})),
        ("/podLabels", json!({"completed.rempart.dev/state": "x"})),
        ("/commonLabels", json!({"team": 1})),
        ("/operator/affinity", json!({"podAntiAfinity": {}})),
        ("/admission/extraArgs", json!(["verbose"])),
        ("/namespaceOverride", json!("A")),
        ("/extraEnv", json!([{"value": "x"}])),
        ("/leaderElection/leaseSeconds", json!(11)),
        ("/monitoring/rules/runbookURL", json!("docs/operations.md")),
    ] {
        assert!(!validator.is_valid(&changed(at, value.clone())), "{at}: {value} passes");
    }
    for (at, value) in [
        ("/exemptNamespaces", json!(["kube-system", "kube-public", "kube-node-lease", "cilium"])),
        ("/podDisruptionBudget/minAvailable", json!("50%")),
        ("/networkPolicy/metricsFrom", json!([{"namespaceSelector": {}}])),
        ("/commonLabels", json!({"app.kubernetes.io/part-of": "platform"})),
    ] {
        assert!(validator.is_valid(&changed(at, value.clone())), "{at}: {value} is refused");
    }
}

#[test]
fn values_of_an_older_chart_are_refused_in_a_sentence() {
    // As `helm upgrade --reuse-values` gives them: without what is new.
    for value in ["people", "networkPolicy", "probes", "podSecurityContext"] {
        let said = refusal(&json!({ value: null }));
        assert!(said.contains(&format!("The value {value} is missing")), "{said}");
        assert!(said.contains("--reset-then-reuse-values"), "{said}");
    }
}

#[test]
fn labels_and_annotations_of_all_reach_all_and_select_nothing() {
    for version in [POLICIES, WEBHOOK] {
        let (plain, full) = (render(version, &json!({})), render(version, &everything()));
        for object in full.iter().filter(|object| object["kind"] != "ConfigMap") {
            let (labels, name) = (&object["metadata"]["labels"], named(object));
            assert_eq!(labels["app.kubernetes.io/name"], "rempart", "{name}");
            assert_eq!(labels["app.kubernetes.io/instance"], "rempart", "{name}");
            assert_eq!(labels["team"], "platform", "{name}");
            assert_eq!(object["metadata"]["annotations"]["owner"], "platform@example", "{name}");
        }
        // A selector cannot change: with it, no release could be upgraded.
        for (component, name) in [("operator", ""), ("admission", "-admission")] {
            let wanted = json!({"app.kubernetes.io/name": "rempart", "app.kubernetes.io/component": component});
            for (objects, prefix) in [(&plain, "rempart"), (&full, "wall")] {
                let deployment = one(objects, &format!("Deployment {prefix}{name}"));
                assert_eq!(deployment["spec"]["selector"]["matchLabels"], wanted);
                let labels = &deployment["spec"]["template"]["metadata"]["labels"];
                assert!(wanted.as_object().unwrap().iter().all(|(key, value)| labels[key] == *value), "{labels}");
                let budget = one(objects, &format!("PodDisruptionBudget {prefix}{name}"));
                assert_eq!(budget["spec"]["selector"]["matchLabels"], wanted);
            }
        }
        let pod = &one(&full, "Deployment wall")["spec"]["template"];
        assert_eq!(pod["metadata"]["labels"]["cost"], "12");
        assert_eq!(pod["metadata"]["annotations"], json!({"note": "x", "owner": "platform@example"}));
    }
}

#[test]
fn what_is_added_to_pods_reaches_them() {
    let full = render(WEBHOOK, &everything());
    for (name, pod) in pods(&full) {
        let container = &pod["containers"][0];
        assert!(container["env"].as_array().unwrap().iter().any(|one| one["name"] == "HTTPS_PROXY"), "{name}");
        assert_eq!(container["volumeMounts"][0]["mountPath"], "/ca", "{name}");
        assert_eq!(pod["volumes"][0]["name"], "ca", "{name}");
    }
    let operator = &one(&full, "Deployment wall")["spec"]["template"]["spec"];
    assert_eq!(operator["affinity"], json!({"nodeAffinity": {}}));
    assert_eq!(operator["topologySpreadConstraints"][0]["topologyKey"], "zone");
    let admission = &one(&full, "Deployment wall-admission")["spec"]["template"]["spec"];
    assert!(admission["affinity"]["podAntiAffinity"].is_object() && admission["topologySpreadConstraints"].is_null());
    assert_eq!(one(&full, "PodDisruptionBudget wall")["spec"]["minAvailable"], "50%");
    assert_eq!(one(&full, "ConfigMap map")["metadata"]["namespace"], "rempart");
    assert_eq!(one(&full, "ConfigMap text")["metadata"]["namespace"], "sovereign");
    let without = render(POLICIES, &json!({"podDisruptionBudget": {"enabled": false}}));
    assert!(without.iter().all(|object| object["kind"] != "PodDisruptionBudget"));
}

#[test]
fn another_namespace_reaches_everything() {
    let mut values = everything();
    values["extraObjects"] = json!([]);
    for version in [POLICIES, WEBHOOK] {
        for object in render(version, &values) {
            let text = object.to_string();
            assert!(!text.contains("rempart-system"), "{}: {text}", named(&object));
            assert!(object["metadata"].get("namespace").is_none_or(|name| name == "sovereign"), "{}", named(&object));
        }
    }
    let operator = one(&render(POLICIES, &values), "ValidatingAdmissionPolicy rempart-operator").to_string();
    assert!(operator.contains("system:serviceaccount:sovereign:rempart-admission"));
    for values in [json!({"namespaceOverride": "default"}), json!({})] {
        let arguments: &[&str] = if values == json!({}) { &["--namespace", "default"] } else { &[] };
        let said = try_render(POLICIES, &values, arguments).expect_err("it is rendered");
        assert!(said.contains("install it into a namespace of its own, with --namespace rempart-system"), "{said}");
    }
}

/// What both Deployments and the check are told of exempt namespaces, and what the guards say.
fn exempt(objects: &[Value]) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    for (name, pod) in pods(objects) {
        let mut arguments = pod["containers"][0]["args"].as_array().unwrap().iter().filter_map(Value::as_str);
        let list = arguments.find_map(|argument| argument.strip_prefix("--exempt-namespaces="));
        assert_eq!(list.is_some(), !name.starts_with("Job"), "{name}");
        told.extend(list.map(str::to_owned));
    }
    assert_eq!(told.len(), 1, "they are told different namespaces: {told:?}");
    let list = told.pop_first().unwrap();
    let guards = one(objects, "ValidatingAdmissionPolicy rempart-operator").to_string();
    assert!(guards.contains(&format!("['{}']", list.replace(',', "', '"))), "the guards say others than {list}");
    list.split(',').map(str::to_owned).collect()
}

#[test]
fn exempt_namespaces_add_to_the_defaults() {
    let always = ["kube-node-lease", "kube-public", "kube-system", "rempart-system"].map(str::to_owned);
    assert_eq!(exempt(&render(POLICIES, &json!({}))), BTreeSet::from(always.clone()));
    // Values of before repeat the defaults.
    let values = json!({"exemptNamespaces": ["kube-system", "kube-public", "kube-node-lease", "agents"]});
    let more: BTreeSet<_> = always.iter().cloned().chain(["agents".to_owned()]).collect();
    assert_eq!(exempt(&render(POLICIES, &values)), more);

    let presets = yaml(&read("charts/rempart/files/exempt-namespaces.yaml"));
    let presets = presets.as_object().unwrap();
    let schema: Value = serde_json::from_str(&read("charts/rempart/values.schema.json")).unwrap();
    let known = &schema["properties"]["exemptNamespacePresets"]["items"]["enum"];
    assert_eq!(*known, json!(presets.keys().collect::<Vec<_>>()), "the schema and the file know others");
    let values = read("charts/rempart/values.yaml");
    let mut all = BTreeSet::from(always);
    for (name, preset) in presets {
        assert!(values.contains(name.as_str()), "values.yaml does not name {name}");
        assert!(preset["source"].as_str().unwrap().starts_with("https://"), "{name} has no source");
        let namespaces: Vec<_> =
            preset["namespaces"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        assert!(!namespaces.is_empty() && namespaces.is_sorted(), "{name}: {namespaces:?}");
        all.extend(namespaces.into_iter().map(str::to_owned));
    }
    let values = json!({"exemptNamespacePresets": presets.keys().collect::<Vec<_>>()});
    assert_eq!(exempt(&render(POLICIES, &values)), all);
}

#[test]
fn every_process_understands_its_arguments() {
    for (version, values) in [(POLICIES, json!({})), (WEBHOOK, json!({})), (WEBHOOK, everything())] {
        for (name, pod) in pods(&render(version, &values)) {
            let arguments = pod["containers"][0]["args"].as_array().unwrap().iter().map(|one| one.as_str().unwrap());
            let typed = ["rempart"].into_iter().chain(arguments);
            if let Err(error) = CommandLine::try_parse_from(typed) {
                panic!("{name}: {error}");
            }
        }
    }
}

#[test]
fn every_pod_keeps_to_the_restricted_standard_and_has_no_fixed_user_on_openshift() {
    let openshift = ["--api-versions", "security.openshift.io/v1"];
    let other = json!({"podSecurityContext": {"runAsUser": 1234}});
    let cases =
        [(json!({}), &[][..], json!(65532)), (json!({}), &openshift, Value::Null), (other, &openshift, json!(1234))];
    for (values, arguments, user) in cases {
        let objects = try_render(WEBHOOK, &values, arguments).unwrap();
        let pods = pods(&objects);
        assert_eq!(pods.len(), 4, "two Deployments, the test and the hook");
        for (name, pod) in pods {
            let (whole, container) = (&pod["securityContext"], &pod["containers"][0]["securityContext"]);
            assert_eq!(whole["runAsUser"], user, "{name}");
            assert_eq!(whole["runAsNonRoot"], true, "{name}");
            assert_eq!(whole["seccompProfile"]["type"], "RuntimeDefault", "{name}");
            assert_eq!(container["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(container["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(container["capabilities"], json!({"drop": ["ALL"]}), "{name}");
        }
    }
}

#[test]
fn metrics_are_for_whom_the_values_name() {
    let rules = |version, values: &Value| {
        let objects = render(version, values);
        one(&objects, "NetworkPolicy rempart")["spec"]["ingress"].as_array().unwrap().clone()
    };
    let port = |rule: &Value| rule["ports"][0]["port"].as_u64().unwrap();
    let metrics = rules(POLICIES, &json!({}));
    assert_eq!(metrics.iter().map(port).collect::<Vec<_>>(), [8080], "no webhook, no port of one");
    let values = &metrics[0]["from"][0]["namespaceSelector"]["matchExpressions"][0]["values"];
    assert_eq!(*values, json!(["monitoring", "openshift-user-workload-monitoring"]));
    assert_eq!(rules(WEBHOOK, &json!({})).iter().map(port).collect::<Vec<_>>(), [8080, 9443]);
    // An empty list of peers would be everybody.
    let nobody = json!({"networkPolicy": {"metricsFrom": []}});
    assert_eq!(rules(POLICIES, &nobody), [] as [Value; 0]);
    let webhook = rules(WEBHOOK, &nobody);
    assert_eq!((webhook.len(), port(&webhook[0]), webhook[0].get("from")), (1, 9443, None));
    let off = render(POLICIES, &json!({"networkPolicy": {"enabled": false}}));
    assert!(off.iter().all(|object| object["kind"] != "NetworkPolicy"));
    let policy = &one(&render(POLICIES, &everything()), "NetworkPolicy wall")["spec"].clone();
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(policy["egress"][0]["ports"].as_array().unwrap().len(), 2);
    assert_eq!(policy["egress"][1]["ports"][0]["port"], 3128);
}

/// Whether the role lets its subjects do this to a resource.
fn allows(role: &Value, verb: &str, group: &str, resource: &str) -> bool {
    let has = |rule: &Value, field: &str, wanted: &str| {
        rule[field].as_array().unwrap().iter().any(|one| one == wanted || one == "*")
    };
    let rules = role["rules"].as_array().unwrap();
    rules
        .iter()
        .any(|rule| has(rule, "verbs", verb) && has(rule, "apiGroups", group) && has(rule, "resources", resource))
}

#[test]
fn people_may_what_their_task_asks() {
    let objects = render(POLICIES, &everything());
    let role = |name: &str| one(&objects, &format!("ClusterRole {name}"));
    // `kubectl get rempart` lists each kind of the category.
    for crd in objects.iter().filter(|object| object["kind"] == "CustomResourceDefinition") {
        let plural = crd["spec"]["names"]["plural"].as_str().unwrap();
        assert_eq!(crd["spec"]["names"]["categories"], json!(["rempart"]), "{plural}");
        let reader = if crd["spec"]["scope"] == "Cluster" { "rempart-levels-reader" } else { "rempart-view" };
        for verb in ["get", "list", "watch"] {
            assert!(allows(role(reader), verb, "rempart.dev", plural), "{reader} may not {verb} {plural}");
        }
    }
    let reads = [
        ("", "nodes"),
        ("", "namespaces"),
        ("", "pods"),
        ("", "persistentvolumeclaims"),
        ("", "persistentvolumes"),
        ("", "events"),
        ("events.k8s.io", "events"),
        ("apps", "deployments"),
        ("apps", "replicasets"),
        ("apps", "statefulsets"),
        ("apps", "daemonsets"),
        ("batch", "jobs"),
        ("batch", "cronjobs"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
        ("rempart.dev", "placementpolicies"),
        ("rempart.dev", "placementpools"),
        ("rempart.dev", "cloudproviders"),
        ("rempart.dev", "workloadplacements"),
    ];
    for reader in ["rempart-security-officer", "rempart-platform-engineer", "rempart-auditor"] {
        for (group, resource) in reads {
            for verb in ["get", "list", "watch"] {
                assert!(allows(role(reader), verb, group, resource), "{reader} may not {verb} {resource} of {group:?}");
            }
        }
        for secret in ["secrets", "configmaps"] {
            assert!(!allows(role(reader), "get", "", secret), "{reader} reads {secret}");
        }
    }
    let may = |name: &str, verb, resource| allows(role(name), verb, "rempart.dev", resource);
    assert!(
        may("rempart-security-officer", "create", "placementpolicies")
            && may("rempart-security-officer", "patch", "cloudproviders")
    );
    assert!(
        !may("rempart-security-officer", "create", "placementpools"),
        "an officer does not say which nodes are which offer"
    );
    assert!(may("rempart-platform-engineer", "create", "placementpools"));
    assert!(!may("rempart-platform-engineer", "patch", "placementpolicies"));
    assert!(allows(role("rempart-namespace-labeller"), "patch", "", "namespaces"));
    assert!(!allows(role("rempart-namespace-labeller"), "create", "", "namespaces"));
    assert!(may("rempart-declassifier", "declassify", "placementpolicies"));
    for name in ["rempart-security-officer", "rempart-namespace-labeller", "rempart-platform-engineer"] {
        assert!(!may(name, "declassify", "placementpolicies"), "{name}");
    }
    for (group, resource) in [("coordination.k8s.io", "leases"), ("rbac.authorization.k8s.io", "clusterroles")] {
        assert!(allows(role("rempart-auditor"), "list", group, resource), "{resource}");
    }
    for name in ["rempart-auditor", "rempart-levels-reader", "rempart-view"] {
        let verbs = role(name)["rules"].as_array().unwrap().iter().flat_map(|rule| rule["verbs"].as_array().unwrap());
        assert!(verbs.into_iter().all(|verb| ["get", "list", "watch"].contains(&verb.as_str().unwrap())), "{name}");
    }
}

#[test]
fn roles_are_bound_to_whom_the_values_name() {
    let bound = |values: &Value| -> BTreeMap<String, Value> {
        let objects = render(POLICIES, values);
        let bindings = objects.into_iter().filter(|object| object["kind"] == "ClusterRoleBinding");
        let named = bindings.map(|binding| {
            let role = binding["roleRef"]["name"].as_str().unwrap().to_owned();
            (role, binding["subjects"].clone())
        });
        // The operator's own are the same whatever is said.
        named
            .filter(|(role, _)| {
                // That of cloud controllers and their like is no people's.
                !["rempart", "rempart-admission", "rempart-mutation-policies", "rempart-check", "rempart-node-labeler"]
                    .contains(&role.as_str())
            })
            .collect()
    };
    let group = |name: &str| json!([{"kind": "Group", "name": name, "apiGroup": "rbac.authorization.k8s.io"}]);
    let everybody = ("rempart-levels-reader".to_owned(), group("system:authenticated"));
    assert_eq!(bound(&json!({})), BTreeMap::from([everybody.clone()]));
    assert_eq!(bound(&json!({"people": {"levelsReaders": []}})), BTreeMap::new());
    let account = json!([{"kind": "ServiceAccount", "name": "audit", "namespace": "tools"}]);
    let user = json!([{"kind": "User", "name": "pia", "apiGroup": "rbac.authorization.k8s.io"}]);
    let wanted = BTreeMap::from([
        everybody,
        ("rempart-security-officer".to_owned(), group("officers")),
        ("rempart-platform-engineer".to_owned(), user),
        ("rempart-auditor".to_owned(), account),
        ("rempart-namespace-labeller".to_owned(), group("owners")),
        ("rempart-declassifier".to_owned(), group("chiefs")),
    ]);
    assert_eq!(bound(&everything()), wanted);
}

/// The headings of a document, as links name them.
fn anchors(document: &str) -> BTreeSet<String> {
    let headings = document.lines().filter_map(|line| line.strip_prefix('#'));
    let slug = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        kept.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-').collect::<String>().replace(' ', "-")
    };
    headings.map(slug).collect()
}

#[test]
fn every_alert_links_to_its_entry_in_the_runbook() {
    let chart = yaml(&read("charts/rempart/Chart.yaml"));
    let runbook = format!("{}/blob/main/docs/operations.md#", chart["home"].as_str().unwrap());
    let anchors = anchors(&read("docs/operations.md"));
    let alerts = |values: &Value, name: &str| -> Vec<Value> {
        let objects = render(POLICIES, values);
        let groups = one(&objects, name)["spec"]["groups"].as_array().unwrap().clone();
        groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
    };
    let rules = alerts(&json!({"monitoring": {"rules": {"enabled": true}}}), "PrometheusRule rempart");
    assert!(rules.len() > 10, "{}", rules.len());
    for rule in &rules {
        let link = rule["annotations"]["runbook_url"].as_str().unwrap_or_else(|| panic!("{rule} has no runbook_url"));
        let anchor = link.strip_prefix(&runbook).unwrap_or_else(|| panic!("{link} is not in the project's runbook"));
        assert!(anchors.contains(anchor), "docs/operations.md has no heading for {anchor}");
    }
    let own = json!({"monitoring": {"rules": {"enabled": true, "runbookURL": "https://wiki.example/rempart"}}});
    for rule in alerts(&own, "PrometheusRule rempart") {
        let link = rule["annotations"]["runbook_url"].as_str().unwrap();
        assert!(link.starts_with("https://wiki.example/rempart#"), "{link}");
    }
}

#[test]
fn what_artifact_hub_shows_is_so() {
    let chart = yaml(&read("charts/rempart/Chart.yaml"));
    let home = chart["home"].as_str().unwrap();
    let file_of = |link: &str| {
        let path = link.strip_prefix(home).unwrap_or_else(|| panic!("{link} does not begin with the home {home}"));
        root().join(path.trim_start_matches("/blob/main/").trim_start_matches("/raw/main/").trim_start_matches('/'))
    };
    assert!(file_of(chart["icon"].as_str().unwrap()).is_file(), "there is no icon");
    let told = |name: &str| -> Value {
        let text =
            chart["annotations"][format!("artifacthub.io/{name}")].as_str().unwrap_or_else(|| panic!("no {name}"));
        yaml(text)
    };
    for link in told("links").as_array().unwrap() {
        assert!(file_of(link["url"].as_str().unwrap()).is_file(), "{link}");
    }
    let objects = render(POLICIES, &json!({}));
    let image = &one(&objects, "Deployment rempart")["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(told("images"), json!([{"name": "rempart", "image": image}]));
    let definitions: BTreeSet<_> = objects
        .iter()
        .filter(|object| object["kind"] == "CustomResourceDefinition")
        .map(|crd| {
            let version = crd["spec"]["versions"][0]["name"].as_str().unwrap();
            let names =
                [crd["spec"]["names"]["kind"].as_str().unwrap(), crd["metadata"]["name"].as_str().unwrap(), version];
            names.map(str::to_owned)
        })
        .collect();
    let shown: BTreeSet<_> = told("crds")
        .as_array()
        .unwrap()
        .iter()
        .map(|crd| ["kind", "name", "version"].map(|field| crd[field].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(shown, definitions);
    for example in told("crdsExamples").as_array().unwrap() {
        let kind = ResourceKind::parse(example["kind"].as_str().unwrap()).unwrap();
        assert_eq!(violations(kind, example), [], "{}", example["kind"]);
    }
    for change in told("changes").as_array().unwrap() {
        let kind = change["kind"].as_str().unwrap();
        assert!(["added", "changed", "deprecated", "removed", "fixed", "security"].contains(&kind), "{change}");
        assert!(change["description"].is_string(), "{change}");
    }
}
