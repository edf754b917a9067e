//! Doctor's checks: a healthy cluster in which nothing is found, and what is told of each thing that somebody does to it.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rempart::{
    admission::{AdmissionObject, AdmissionSettings, MutationMode, exempt_namespaces, installed::objects_of_release},
    api::PlacementPolicy,
    doctor::{
        ApiServerFacts, Examination, Examined, ExaminedKind, Fact, FindingCode, NodeRestrictionProbe, Subject, examine,
    },
    operator::reconcile::admission::objects_of,
};
use serde_json::{Value, json};

use crate::{facts::at, property_runner::properties};

/// Rempart's namespace.
const OWN: &str = "ramparts";

fn exempt() -> Vec<String> {
    exempt_namespaces(["kube-system", "kube-public", "kube-node-lease"].map(str::to_owned).to_vec(), OWN)
}

fn policy() -> Value {
    json!({
        "apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPolicy",
        "metadata": {"name": "vineyards", "uid": "policy-uid", "generation": 1},
        "spec": {
            "mode": "Enforce", "defaultLevel": "bulk", "namespaceSelector": {"matchLabels": {"estate": "yes"}},
            "levels": [{"name": "bulk"}, {"name": "reserve", "require": {"qualifications": ["aoc"]}}],
        },
    })
}

fn binding(name: &str, role: &str, subject: &Value) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}, "subjects": [subject],
    })
}

fn cluster_role(name: &str, rules: &Value) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": name, "uid": format!("{name}-uid")}, "rules": rules,
    })
}

fn deployment(name: &str) -> Value {
    let arguments = [format!("--exempt-namespaces={}", exempt().join(",")), "--mutation=policies".to_owned()];
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": OWN, "labels": {"app.kubernetes.io/name": "rempart"}},
        "spec": {"template": {"spec": {"serviceAccountName": name, "containers": [{"args": arguments}]}}},
    })
}

fn lease(namespace: &str, name: &str, renewed: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name, "namespace": namespace},
        "spec": {"holderIdentity": "somebody", "renewTime": renewed},
    })
}

fn namespace(name: &str, labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

/// What the operator makes of a policy, as the API server has it.
fn compiled(policy: &Value) -> Vec<Value> {
    let policy: PlacementPolicy = serde_json::from_value(policy.clone()).unwrap();
    let settings = AdmissionSettings {
        exempt: exempt(),
        schedulers: vec!["system:kube-scheduler".to_owned()],
        pool_labels: BTreeSet::from(["node-restriction.kubernetes.io/cellar".to_owned()]),
        mutation: MutationMode::Policies,
        owner: Some("rempart-admission-uid".to_owned()),
        mutation_owner: Some("rempart-mutation-policies-uid".to_owned()),
    };
    let objects = objects_of("vineyards", &policy, &settings).unwrap();
    let value = |object: &AdmissionObject| match object {
        AdmissionObject::MutatingBinding(object) => serde_json::to_value(object),
        AdmissionObject::Validation(object) => serde_json::to_value(object),
        AdmissionObject::ValidatingBinding(object) => serde_json::to_value(object),
        AdmissionObject::Webhook(object) => serde_json::to_value(object),
    };
    objects.values().map(|object| value(object).unwrap()).collect()
}

/// A cluster in which nothing weakens the rule.
fn healthy() -> Vec<Value> {
    let mut objects = objects_of_release(OWN, &exempt(), &MutationMode::Policies).unwrap();
    objects.extend(compiled(&policy()));
    objects.extend(exempt().iter().map(|name| namespace(name, &json!({"kubernetes.io/metadata.name": name}))));
    let operator = |name: &str| json!({"kind": "ServiceAccount", "namespace": OWN, "name": name});
    let everything = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    let bindings = json!([{"apiGroups": ["admissionregistration.k8s.io"], "verbs": ["create", "update"],
        "resources": ["validatingadmissionpolicies", "validatingadmissionpolicybindings"]}]);
    objects.extend([
        policy(),
        namespace("chateau", &json!({"estate": "yes", "rempart.dev/sensitivity": "reserve"})),
        json!({
            "apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPool", "metadata": {"name": "cellar"},
            "spec": {"provider": "terroir", "offer": "caves", "zone": "medoc",
                "nodeSelector": {"matchLabels": {"node-restriction.kubernetes.io/cellar": "yes"}}},
        }),
        json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "barrel-1", "labels": {"node-restriction.kubernetes.io/cellar": "yes"}},
            "spec": {"providerID": "terroir:///barrel-1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }),
        lease(OWN, "rempart", "2026-11-28T12:00:00.000000Z"),
        lease(OWN, "rempart-admission", "2026-11-28T11:59:55.000000Z"),
        lease("kube-node-lease", "barrel-1", "2026-11-28T11:59:51.000000Z"),
        deployment("rempart"),
        deployment("rempart-admission"),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "dns", "namespace": "kube-system"}}),
        cluster_role("cluster-admin", &everything),
        binding("cluster-admin", "cluster-admin", &json!({"kind": "Group", "name": "system:masters"})),
        cluster_role("rempart-admission", &bindings),
        cluster_role("rempart-mutation-policies", &json!([])),
        cluster_role("rempart", &json!([{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]}])),
        binding("rempart", "rempart", &operator("rempart")),
        binding("rempart-admission", "rempart-admission", &operator("rempart-admission")),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "vintner", "namespace": "chateau"},
            "rules": [{"apiGroups": ["", "apps"], "resources": ["*"], "verbs": ["*"]}],
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "vintner", "namespace": "chateau"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "vintner"},
            "subjects": [{"kind": "User", "name": "pascaline"}],
        }),
    ]);
    objects
}

fn examined(objects: impl IntoIterator<Item = Value>) -> Examined {
    let mut examined = Examined::default();
    for object in objects {
        examined.add(object);
    }
    ExaminedKind::ALL.into_iter().filter(|kind| kind.is_workload()).for_each(|kind| examined.complete(kind));
    examined.at = Some(at("2026-11-28T12:00:00Z"));
    examined.api_server = ApiServerFacts {
        version: Fact::Known("v1.36.3".to_owned()),
        skew_seconds: Fact::Known(0),
        node_restriction: Fact::Known(NodeRestrictionProbe::Refused),
    };
    examined
}

/// The healthy cluster with `more`, each in the place of what has its kind, namespace and name.
fn with(more: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let id =
        |object: &Value| ["/kind", "/metadata/namespace", "/metadata/name"].map(|path| object.pointer(path).cloned());
    let more: Vec<Value> = more.into_iter().collect();
    let mut objects = healthy();
    objects.retain(|object| !more.iter().any(|other| id(other) == id(object)));
    objects.extend(more);
    objects
}

/// Without what is of this kind and name.
fn without(kind: &str, name: &str) -> Vec<Value> {
    let mut objects = healthy();
    objects.retain(|object| object["kind"] != kind || object["metadata"]["name"] != name);
    objects
}

/// `code object: message` of each finding, and what was not checked.
fn told(examination: &Examination) -> Vec<String> {
    let found =
        examination.found.iter().map(|found| format!("{} {}: {}", found.code.as_str(), found.object, found.message));
    let unchecked = examination.unchecked.iter().map(|left| format!("not checked: {}", left.message));
    found.chain(unchecked).collect()
}

#[track_caller]
fn finds(objects: Vec<Value>, expected: &[&str]) -> Examination {
    let examination = examine(&examined(objects));
    assert_eq!(told(&examination), expected);
    examination
}

#[test]
fn in_a_healthy_cluster_nothing_is_found() {
    let examination = finds(healthy(), &[]);
    assert!(examination.is_clean());
    let declared: Vec<_> =
        examination.declared.iter().map(|right| format!("{} {}", right.code.as_str(), right.subject)).collect();
    assert_eq!(
        declared,
        [
            "AdministratorRights Group system:masters",
            "ExemptWorkloadsWritable ServiceAccount ramparts/rempart",
            "AdmissionWritable ServiceAccount ramparts/rempart-admission",
        ]
    );
}

#[test]
fn altered_and_missing_admission_is_told_by_field() {
    let stamps = healthy()
        .into_iter()
        .find(|object| object["kind"] == "ValidatingAdmissionPolicy" && object["metadata"]["name"] == "rempart-stamps");
    let mut stamps = stamps.unwrap();
    stamps["spec"]["matchConditions"].as_array_mut().unwrap().push(json!({"name": "never", "expression": "false"}));
    let number = stamps["spec"]["matchConditions"].as_array().unwrap().len() - 1;
    let message = format!(
        "AdmissionAltered ValidatingAdmissionPolicy rempart-stamps: it is not as this version of the chart has it: \
         spec.matchConditions[{number}] is added"
    );
    let examination = finds(with([stamps]), &[&message]);
    let found = &examination.found[0];
    assert_eq!(found.field, format!("spec.matchConditions[{number}]"));
    assert_eq!(
        found.remedy,
        "`kubectl delete validatingadmissionpolicy rempart-stamps --ignore-not-found`, then upgrade the release to its own version: \
         `helm upgrade` alone leaves what somebody added"
    );
    assert_eq!(found.allows, "anybody who may write nodes to stamp them");
    finds(
        without("ValidatingAdmissionPolicyBinding", "rempart-records"),
        &[
            "AdmissionMissing ValidatingAdmissionPolicyBinding rempart-records: this version of the chart has it, and it is not there",
        ],
    );
    finds(
        without("ValidatingAdmissionPolicyBinding", "rempart.vineyards.bindings"),
        &[
            "AdmissionMissing ValidatingAdmissionPolicyBinding rempart.vineyards.bindings: PlacementPolicy vineyards has it, and it \
           is not there",
        ],
    );
    let foreign = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "helper"}, "spec": {"policyName": "rempart-stamps", "validationActions": ["Audit"]},
    });
    finds(
        with([foreign]),
        &[
            "AdmissionForeign ValidatingAdmissionPolicyBinding helper: it is labelled as Rempart's or binds what is Rempart's, and \
           Rempart has not made it",
        ],
    );
    let orphans = finds_codes(without("PlacementPolicy", "vineyards").into_iter().chain([policy_named("other")]));
    assert!(orphans.contains(&FindingCode::AdmissionOrphaned), "{orphans:?}");
}

/// A policy without admission.
fn policy_named(name: &str) -> Value {
    let mut policy = policy();
    policy["metadata"]["name"] = json!(name);
    policy
}

fn finds_codes(objects: impl IntoIterator<Item = Value>) -> BTreeSet<FindingCode> {
    examine(&examined(objects)).found.iter().map(|found| found.code).collect()
}

/// What is found when `subject` is given a rule of the whole cluster.
#[track_caller]
fn given(granted: &Value, expected: &[&str]) {
    let role = cluster_role("broad", &json!([granted]));
    let given = binding("broad", "broad", &json!({"kind": "User", "name": "remi"}));
    let code = |told: &str| {
        format!("{}, by ClusterRole broad", told.replacen(' ', " ClusterRoleBinding broad: User remi may ", 1))
    };
    let expected: Vec<String> = expected.iter().map(|told| code(told)).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    finds(with([role, given]), &expected);
}

#[test]
fn each_right_that_matters_is_told_with_what_is_asked() {
    let rule = |group: &str, resource: &str, verb: &str| json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]});
    given(&rule("", "nodes/proxy", "get"), &["NodesProxied get nodes/proxy"]);
    given(&rule("", "*/proxy", "*"), &["NodesProxied get, create nodes/proxy"]);
    given(&rule("*", "nodes/metrics", "get"), &[]);
    given(
        &rule("", "serviceaccounts/token", "create"),
        &["TokensCreatable create serviceaccounts/token in every namespace"],
    );
    given(&rule("", "users", "impersonate"), &["ImpersonationGranted impersonate users"]);
    given(
        &rule("rbac.authorization.k8s.io", "clusterroles", "bind"),
        &["RightsEscalatable bind clusterroles in every namespace"],
    );
    given(&rule("certificates.k8s.io", "signers", "approve"), &["NodeCertificatesSignable approve signers"]);
    given(&rule("", "nodes", "create"), &["NodesCreatable create nodes"]);
    given(&rule("rempart.dev", "placementpools", "label-nodes"), &["NodeLabelsGranted label-nodes placementpools"]);
    given(&rule("rempart.dev", "placementpolicies", "declassify"), &["DeclassifyGranted declassify placementpolicies"]);
    given(&rule("rempart.dev", "placementpolicies", "patch"), &["PoliciesWritable patch placementpolicies"]);
    given(&rule("rempart.dev", "cloudproviders", "delete"), &["ProvidersWritable delete cloudproviders"]);
    given(&rule("rempart.dev", "placementpools", "update"), &["PoolsWritable update placementpools"]);
    given(&rule("", "secrets", "list"), &["SecretsReadable list secrets in every namespace"]);
    given(&rule("", "pods/exec", "create"), &["ExemptPodsWritable create pods/exec in every namespace"]);
    given(&rule("*", "deployments", "patch"), &["ExemptWorkloadsWritable patch deployments in every namespace"]);
    given(
        &rule("apiextensions.k8s.io", "customresourcedefinitions", "patch"),
        &["DefinitionsWritable patch customresourcedefinitions"],
    );
    given(
        &rule("admissionregistration.k8s.io", "*", "delete"),
        &[
            "AdmissionWritable delete mutatingadmissionpolicies, mutatingadmissionpolicybindings, mutatingwebhookconfigurations",
            "AdmissionWritable delete validatingadmissionpolicies, validatingadmissionpolicybindings",
        ],
    );
    // Admission refuses what these would do, while a policy is in Enforce.
    given(&rule("", "nodes", "patch"), &[]);
    given(&rule("", "pods/binding", "create"), &[]);
    // What only reads, and what is of others.
    given(&rule("rempart.dev", "*", "get"), &[]);
    given(&rule("apps", "nodes/proxy", "get"), &[]);
}

#[test]
fn names_limit_what_is_named_in_the_path_alone() {
    let rule = |group: &str, resource: &str, verbs: &[&str], names: &[&str]| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs, "resourceNames": names});
    given(
        &rule("", "serviceaccounts/token", &["create"], &["rempart"]),
        &["TokensCreatable create serviceaccounts/token (of rempart) in every namespace"],
    );
    given(&rule("", "nodes", &["create"], &["a"]), &[]);
    given(
        &rule("rempart.dev", "placementpools", &["create", "patch"], &["a"]),
        &["PoolsWritable patch placementpools (of a)"],
    );
    given(&rule("certificates.k8s.io", "signers", &["sign"], &["example.org/theirs"]), &[]);
    given(
        &rule("certificates.k8s.io", "signers", &["sign"], &["example.org/theirs", "kubernetes.io/*"]),
        &["NodeCertificatesSignable sign signers (of kubernetes.io/*)"],
    );
    given(&rule("apiextensions.k8s.io", "customresourcedefinitions", &["update"], &["issuers.cert-manager.io"]), &[]);
    given(&rule("admissionregistration.k8s.io", "validatingadmissionpolicies", &["update"], &["theirs"]), &[]);
}

#[test]
fn flags_are_read_as_an_api_server_reads_them() {
    let codes = |words: &[&str]| {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "kube-apiserver-a", "namespace": "kube-system", "labels": {"component": "kube-apiserver"}},
            "spec": {"containers": [{"command": ["kube-apiserver"], "args": words}]},
        });
        finds_codes(with([pod]))
    };
    let none = BTreeSet::new();
    for right in [
        &["--enable-admission-plugins=NodeRestriction", "--authorization-mode=Node,RBAC"][..],
        &["--enable-admission-plugins", "NodeRestriction", "--authorization-mode", "Node,RBAC"],
        &["--enable-admission-plugins=NodeRestriction", "--enable-admission-plugins=AlwaysPullImages"],
        &[
            "--enable_admission_plugins=PodSecurity,NodeRestriction",
            "--authorization-mode=Node",
            "--authorization-mode=RBAC",
        ],
    ] {
        assert_eq!(codes(right), none, "{right:?}");
    }
    let off = BTreeSet::from([FindingCode::NodeRestrictionOff]);
    for wrong in [
        &["--enable-admission-plugins=AlwaysPullImages"][..],
        &["--enable-admission-plugins", "AlwaysPullImages", "NodeRestriction"],
        &["--enable-admission-plugins=NodeRestriction", "--disable-admission-plugins", "PodSecurity,NodeRestriction"],
        &["--enable-admission-plugins"],
    ] {
        assert_eq!(codes(wrong), off, "{wrong:?}");
    }
    let open =
        ["--enable-admission-plugins=NodeRestriction", "--authorization-mode=Node", "--authorization-mode=AlwaysAllow"];
    assert_eq!(codes(&open), BTreeSet::from([FindingCode::NodeAuthorizationOff]));
}

#[test]
fn acting_as_somebody_matters_where_rempart_rests_on_them() {
    let rule = |group: &str, resource: &str, verb: &str, name: &str| json!({"apiGroups": [group], "resources": [resource], "verbs": [verb], "resourceNames": [name]});
    for (resource, name, is_told) in [
        ("users", "jane", false),
        ("users", "system:serviceaccount:ramparts:rempart", true),
        ("users", "system:kube-scheduler", true),
        ("users", "system:node:worker-1", true),
        ("groups", "developers", false),
        ("groups", "system:masters", true),
        ("groups", "system:nodes", true),
        ("serviceaccounts", "deployer", false),
        ("serviceaccounts", "rempart", true),
    ] {
        let expected = match (resource, is_told) {
            (_, false) => vec![],
            ("serviceaccounts", true) => {
                vec![format!("ImpersonationGranted impersonate {resource} (of {name}) in every namespace")]
            }
            (_, true) => vec![format!("ImpersonationGranted impersonate {resource} (of {name})")],
        };
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        given(&rule("", resource, "impersonate", name), &expected);
    }
    given(&rule("", "serviceaccounts/token", "create", "deployer"), &[]);
    // Who has a right that is watched is rested on, by whatever role.
    let powerful = cluster_role(
        "facts",
        &json!([{"apiGroups": ["rempart.dev"], "resources": ["cloudproviders"], "verbs": ["patch"]}]),
    );
    let alice = binding("facts", "facts", &json!({"kind": "User", "name": "alice"}));
    let acting = cluster_role("acting", &json!([rule("", "users", "impersonate", "alice")]));
    let mallory = binding("acting", "acting", &json!({"kind": "User", "name": "mallory"}));
    let codes = finds_codes(with([powerful, alice, acting, mallory]));
    assert!(codes.contains(&FindingCode::ImpersonationGranted), "{codes:?}");
}

#[test]
fn a_binding_matters_where_no_policy_in_enforce_governs() {
    let mut pilot = policy_named("pilot");
    pilot["spec"]["mode"] = json!("Warn");
    pilot["spec"]["namespaceSelector"] = json!({"matchLabels": {"stage": "pilot"}});
    let mut enforced = policy();
    enforced["spec"]["namespaceSelector"] = json!({"matchLabels": {"stage": "production"}});
    let give = |namespace: &str| {
        let more = [
            pilot.clone(),
            namespace_of("trial", "pilot"),
            namespace_of("shop", "production"),
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "binder", "namespace": namespace},
                "rules": [{"apiGroups": [""], "resources": ["pods/binding"], "verbs": ["create"]}],
            }),
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": {"name": "binder", "namespace": namespace},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "binder"},
                "subjects": [{"kind": "User", "name": "remi"}],
            }),
        ];
        let others = with(more).into_iter().filter(|object| object["metadata"]["name"] != enforced["metadata"]["name"]);
        finds_codes(others.chain([enforced.clone()])).contains(&FindingCode::BindingsCreatable)
    };
    assert!(give("trial"), "a policy that only warns refuses no binding");
    assert!(!give("shop"));
}

fn namespace_of(name: &str, stage: &str) -> Value {
    namespace(name, &json!({"stage": stage}))
}

#[test]
fn a_node_labeler_whose_token_is_on_nodes_is_told() {
    let agent = |account: &str| {
        json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent", "namespace": "cloud"},
            "spec": {"template": {"spec": {"serviceAccountName": account}}},
        })
    };
    let labeler = |subject: Value| binding("labeler", "rempart-node-labeler", &subject);
    let role = || {
        let rule = json!({"apiGroups": ["rempart.dev"], "resources": ["placementpools"], "verbs": ["label-nodes"]});
        cluster_role("rempart-node-labeler", &json!([rule]))
    };
    let account = json!({"kind": "ServiceAccount", "namespace": "cloud", "name": "agent"});
    let is_told = |objects: Vec<Value>| finds_codes(with(objects)).contains(&FindingCode::NodeLabelerOnNodes);
    assert!(is_told(vec![role(), labeler(account.clone()), agent("agent")]));
    assert!(!is_told(vec![role(), labeler(account), agent("other")]));
    for (group, expected) in
        [("system:serviceaccounts:cloud", true), ("system:serviceaccounts", true), ("admins", false)]
    {
        let subject = json!({"kind": "Group", "name": group});
        assert_eq!(is_told(vec![role(), labeler(subject), agent("other")]), expected, "{group}");
    }
}

#[test]
fn a_right_of_one_namespace_matters_where_rempart_rests_on_it() {
    let give = |namespace: &str, role: &str, kind: &str| {
        let more = [
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": role, "namespace": namespace},
                "rules": [{"apiGroups": [""], "resources": ["serviceaccounts/token", "nodes/proxy"], "verbs": ["create"]}],
            }),
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": {"name": role, "namespace": namespace},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
                "subjects": [{"kind": kind, "name": "deployer"}],
            }),
        ];
        with(more)
    };
    let own = "TokensCreatable RoleBinding ramparts/maker: ServiceAccount ramparts/deployer may create serviceaccounts/token in \
               namespace ramparts, by Role ramparts/maker";
    let examination = finds(give(OWN, "maker", "ServiceAccount"), &[own]);
    assert_eq!(
        examination.found[0].remedy,
        "`kubectl delete rolebinding -n ramparts maker`, or edit Role ramparts/maker: give it by a RoleBinding in a namespace of \
         their own, or name the accounts in resourceNames, none of which Rempart rests on"
    );
    // Nobody lives there, and nodes have no namespace.
    finds(give("chateau", "maker", "User"), &[]);
    // Who is trusted is told, and is no finding.
    let mut examined = examined(give(OWN, "maker", "ServiceAccount"));
    examined.trusted = BTreeSet::from(["ServiceAccount:ramparts/deployer".parse::<Subject>().unwrap()]);
    let examination = examine(&examined);
    assert!(examination.is_clean(), "{:?}", told(&examination));
    assert!(examination.declared.iter().any(|right| right.by.ends_with("(trusted, as --trust says)")));
}

#[test]
fn whoever_may_do_everything_is_told_once() {
    let admin = binding("ops", "cluster-admin", &json!({"kind": "Group", "name": "ops"}));
    let examination = finds(
        with([admin]),
        &["AdministratorRights ClusterRoleBinding ops: Group ops may do everything, by ClusterRole cluster-admin"],
    );
    let remedy = "`kubectl delete clusterrolebinding ops`; bind a role of their own in its place, and give it what they need and no \
                  more";
    assert_eq!(examination.found[0].remedy, remedy);
    // The binding of Kubernetes' own is not to be deleted.
    let mut shared = binding("cluster-admin", "cluster-admin", &json!({"kind": "Group", "name": "system:masters"}));
    shared["subjects"].as_array_mut().unwrap().push(json!({"kind": "User", "name": "eve"}));
    let examination = finds(
        with([shared]),
        &[
            "AdministratorRights ClusterRoleBinding cluster-admin: User eve may do everything, by ClusterRole cluster-admin",
        ],
    );
    assert!(
        examination.found[0]
            .remedy
            .starts_with("`kubectl edit clusterrolebinding cluster-admin`, and take User eve out")
    );
}

/// The operator's own roles are for what they are for: a rule that somebody adds to one is told.
#[test]
fn what_is_added_to_a_role_of_the_operators_is_told() {
    let rules =
        json!([{"apiGroups": ["", "apps"], "resources": ["deployments", "pods/exec"], "verbs": ["patch", "create"]}]);
    finds(
        with([cluster_role("rempart", &rules)]),
        &[
            "ExemptPodsWritable ClusterRoleBinding rempart: ServiceAccount ramparts/rempart may create, patch pods/exec in every \
           namespace, by ClusterRole rempart",
        ],
    );
    let others = binding("theirs", "rempart", &json!({"kind": "User", "name": "remi"}));
    let codes = finds_codes(with([others]));
    assert_eq!(codes, BTreeSet::from([FindingCode::ExemptWorkloadsWritable]), "another who has the operator's role");
}

#[test]
fn rights_that_admission_refuses_matter_while_no_policy_does() {
    let mut warning = policy();
    warning["spec"]["mode"] = json!("Warn");
    let rules = json!([{"apiGroups": [""], "resources": ["nodes/status", "pods/binding"], "verbs": ["*"]}]);
    let subject = json!({"kind": "User", "name": "remi"});
    let more = [warning, cluster_role("broad", &rules), binding("broad", "broad", &subject)];
    let codes = finds_codes(with(more));
    for code in [FindingCode::NodesWritable, FindingCode::BindingsCreatable, FindingCode::PolicyNotEnforced] {
        assert!(codes.contains(&code), "{code:?} in {codes:?}");
    }
}

#[test]
fn namespaces_are_told_that_hide_or_say_nothing() {
    finds(
        with([json!({
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tasting", "namespace": "kube-public"},
            "spec": {"jobTemplate": {"spec": {"template": {"metadata": {"annotations": {"rempart.dev/sensitivity": "reserve"}}}}}},
        })]),
        &[
            "SensitiveInExemptNamespace CronJob kube-public/tasting: it says rempart.dev/sensitivity: reserve, and no policy governs \
           namespace kube-public",
        ],
    );
    finds(
        with([namespace("chateau", &json!({"estate": "yes"}))]),
        &["NamespaceWithoutLevel PlacementPolicy vineyards: 1 namespace that it governs says no level: chateau"],
    );
    finds(
        without("Namespace", "chateau"),
        &[
            "PolicyGovernsNothing PlacementPolicy vineyards: no namespace that is not exempt has the labels that it selects by",
        ],
    );
    finds(
        without("Namespace", "kube-public"),
        &[
            "ExemptNamespaceMissing Namespace kube-public: no policy governs namespace kube-public, which does not exist",
        ],
    );
}

#[test]
fn nodes_are_told_that_cannot_be_told() {
    let node = |more: &Value| {
        let mut node = healthy().into_iter().find(|object| object["kind"] == "Node").unwrap();
        json_patch::merge(&mut node, more);
        vec![node]
    };
    finds(
        with(node(&json!({"spec": {"providerID": null}}))),
        &["NodeWithoutProviderID Node barrel-1: it is of pool cellar and has no providerID, which can be set once"],
    );
    let fargate = json!({"spec": {"taints": [{"key": "eks.amazonaws.com/compute-type", "effect": "NoSchedule"}]}});
    finds(
        with(node(&fargate)),
        &[
            "VirtualNode Node barrel-1: it is of pool cellar, and stands for a service that runs pods elsewhere, by the taint \
           eks.amazonaws.com/compute-type",
        ],
    );
    // One that nobody claims is nobody's concern.
    let elsewhere =
        json!({"metadata": {"labels": {"node-restriction.kubernetes.io/cellar": null, "type": "virtual-kubelet"}}});
    finds(with(node(&elsewhere)), &[]);
    let late = lease("kube-node-lease", "barrel-1", "2026-11-28T11:50:00.000000Z");
    let behind = "NodeClockBehind Node barrel-1: its lease was renewed 600 s ago: its clock is behind the API server's";
    finds(with([late.clone()]), &[behind]);
    // A node that is not ready renews nothing.
    let mut gone = node(&json!({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}));
    gone.push(late);
    finds(with(gone), &[]);
    let early = lease("kube-node-lease", "barrel-1", "2026-11-28T12:01:30.000000Z");
    let ahead = "NodeClockAhead Node barrel-1: its lease was renewed 90 s in the future: its clock is ahead of the API server's";
    finds(with([early]), &[ahead]);
}

#[test]
fn the_operator_and_the_api_server_are_looked_at() {
    finds(
        with([lease(OWN, "rempart", "2026-11-28T11:55:00.000000Z")]),
        &[
            "OperatorSilent Lease ramparts/rempart: no replica of rempart writes: somebody holds its lease, and renewed it 300 s ago",
        ],
    );
    finds(
        without("Deployment", "rempart"),
        &[
            "ReleaseMissing Deployment rempart: no Deployment runs as the ServiceAccount rempart, so that it is not known how it is \
           set up",
        ],
    );
    let ask = |facts: ApiServerFacts| {
        let mut examined = examined(healthy());
        examined.api_server = facts;
        told(&examine(&examined))
    };
    let good = || examined([]).api_server;
    let known = |version: &str| ask(ApiServerFacts { version: Fact::Known(version.to_owned()), ..good() });
    assert_eq!(known("v1.30.0"), [""; 0]);
    assert_eq!(known("1.30-gke.1"), [""; 0]);
    assert_eq!(
        known("v1.29.9"),
        [
            "ApiServerTooOld kube-apiserver: the API server is v1.29.9, and ValidatingAdmissionPolicy is stable since Kubernetes 1.30"
        ]
    );
    assert_eq!(known("mine"), ["not checked: the API server calls itself \"mine\", which is no version of Kubernetes"]);
    assert_eq!(
        ask(ApiServerFacts { skew_seconds: Fact::Known(-75), ..good() }),
        ["ClockSkew kube-apiserver: this machine's clock is 75 s behind the API server's"]
    );
    assert_eq!(
        ask(ApiServerFacts { skew_seconds: Fact::Known(60), ..good() }),
        [""; 0],
        "as far as the operator bears it"
    );
    assert_eq!(
        ask(ApiServerFacts { node_restriction: Fact::Unknown("you may not".to_owned()), ..good() }),
        ["not checked: whether NodeRestriction is on is not known: you may not"]
    );
    assert_eq!(
        ask(ApiServerFacts { node_restriction: Fact::Known(NodeRestrictionProbe::LetThrough), ..good() }),
        ["NodeRestrictionOff kube-apiserver: the API server would let a kubelet give its node a label under \
          node-restriction.kubernetes.io, in a trial that wrote nothing"]
    );
}

/// What is unread is told, whatever it is, and never taken for empty.
#[test]
fn nothing_that_was_not_read_is_taken_for_good() {
    for kind in ExaminedKind::ALL {
        let mut examined = examined(healthy());
        examined.unread(kind, "they may not be listed");
        let examination = examine(&examined);
        let plural = kind.plural();
        let said =
            examination.unchecked.iter().any(|left| left.message.contains(plural) && left.message.contains("may not"));
        // With mutating policies there is no webhook to look at.
        assert_eq!(said, kind != ExaminedKind::MutatingWebhookConfiguration, "{plural}: {:?}", told(&examination));
        if said {
            assert!(!examination.is_clean());
        }
        let altered = examination
            .found
            .iter()
            .filter(|found| matches!(found.code, FindingCode::AdmissionAltered | FindingCode::AdmissionMissing));
        assert_eq!(altered.count(), 0, "{plural}: {:?}", told(&examination));
    }
}

#[test]
fn every_code_is_documented() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/commands.md")).unwrap();
    for code in FindingCode::ALL {
        assert!(text.contains(&format!("`{}`", code.as_str())), "docs/commands.md does not name {}", code.as_str());
    }
}

#[test]
fn a_healthy_export_ends_with_zero() {
    let folder = tempfile::tempdir().unwrap();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": healthy()});
    let kubelets = "--enable-admission-plugins=NodeRestriction,PodSecurity";
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "kube-apiserver-a", "namespace": "kube-system", "labels": {"component": "kube-apiserver"}},
        "spec": {"containers": [{"command": ["kube-apiserver", "--authorization-mode=Node,RBAC", kubelets],
            "image": "registry.k8s.io/kube-apiserver:v1.36.3"}]},
    });
    std::fs::write(folder.path().join("export.json"), list.to_string()).unwrap();
    std::fs::write(folder.path().join("control-plane.json"), pod.to_string()).unwrap();
    let run = |files: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_rempart"));
        let output = command.current_dir(folder.path()).env_clear().arg("doctor").args(files).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said, errors) = run(&["export.json", "control-plane.json"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{said}");
    assert!(said.starts_with("  nothing found\n") && said.ends_with("\nnothing found\n"), "{said}");
    // What an export does not say is told: nothing was found, and not everything was looked at.
    let (code, said, _) = run(&["export.json"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.starts_with("  nothing found, 2 things not checked\n"), "{said}");
}

/// Any JSON that an object may be made of, with fields that checks look for.
fn anything() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just("*".to_owned()),
        Just("nodes/proxy".to_owned()),
        Just("ServiceAccount".to_owned()),
        Just("system:serviceaccount:".to_owned()),
        Just("2026-11-28T12:00:00.000000Z".to_owned()),
        Just("--mutation".to_owned()),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    let keys = [
        "metadata",
        "name",
        "namespace",
        "labels",
        "annotations",
        "spec",
        "status",
        "rules",
        "verbs",
        "resources",
        "apiGroups",
        "subjects",
        "roleRef",
        "kind",
        "containers",
        "args",
        "template",
        "taints",
        "conditions",
        "renewTime",
        "holderIdentity",
        "levels",
        "mode",
        "nodeSelector",
        "uid",
        "serviceAccountName",
        "app.kubernetes.io/name",
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(keys.to_vec()), inner), 0..6)
                .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Value>()),
        ]
    })
}

properties! {
    cases: 256;

    /// Whatever an object looks like, it is looked at, and what cannot be read is told.
    #[test]
    fn no_object_ends_an_examination(
        kinds in prop::collection::vec(prop::sample::select(ExaminedKind::ALL.to_vec()), 1..12),
        bodies in prop::collection::vec(anything(), 12),
    ) {
        let objects = kinds.iter().zip(bodies).map(|(kind, body)| {
            let (name, version, _) = kind.resource();
            let mut object = if body.is_object() { body } else { json!({"metadata": body.clone(), "spec": body}) };
            object["kind"] = json!(name);
            object["apiVersion"] = json!(version);
            object
        });
        let examination = examine(&examined(objects));
        prop_assert!(!examination.checks.is_empty());
        prop_assert!(!examination.is_clean(), "a cluster of odd objects is not healthy");
    }
}
