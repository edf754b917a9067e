//! Ways around the rule, tried by those who would try them. (More of them: the admission table, where `closes` says so.)

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{DeleteParams, EvictParams, ListParams},
};
use rempart_core::keys;
use rempart_lab::eventually;
use serde_json::{Value, json};

use crate::{
    harness::{Context, Trial},
    world::{SOON, World, api_of, apply, create, merge, pod, refusal, stamps_of, workload},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("bypasses::a_user_cannot_name_the_node", node_name),
        Trial::new("bypasses::a_user_cannot_bind_a_pod", binding),
        Trial::new("bypasses::a_private_scheduler_cannot_bind_a_pod", private_scheduler),
        Trial::new("bypasses::a_kubelet_cannot_vouch_for_its_own_node", kubelet_stamps),
        Trial::new("bypasses::an_administrator_cannot_stamp_a_node_by_hand", admin_stamps),
        Trial::new("bypasses::ored_affinity_terms_and_match_fields_do_not_widen_the_selector", affinity),
        Trial::new("bypasses::a_gated_pod_keeps_its_selector", gated),
        Trial::new("bypasses::the_template_of_a_suspended_job_cannot_be_emptied", suspended_job),
        Trial::new("bypasses::an_annotation_lowered_on_a_workload_does_not_go_below_its_namespace", lowered),
        Trial::new("bypasses::the_annotations_of_a_running_pod_cannot_change", running_pod),
        Trial::new("bypasses::an_old_template_makes_complete_pods", old_template),
        Trial::new("bypasses::a_forged_owner_spares_a_pod_nothing", forged_owner),
        Trial::new("bypasses::a_mutation_that_always_takes_the_selector_ends_in_a_refusal", selector_taken),
        Trial::new("bypasses::a_kubelet_writes_mirror_pods_of_its_own_node_alone", mirror_pod),
        Trial::new("bypasses::a_recreated_pod_is_admitted_anew", recreated),
        Trial::new("bypasses::look_alikes_of_levels_are_refused", look_alikes),
        Trial::new("bypasses::a_policy_that_people_may_view_they_may_not_edit", view_only),
    ]
}

const RESTRICTED: [(&str, &str); 1] = [(keys::SENSITIVITY, "restricted")];

/// A user who may do everything in the namespace.
async fn developer(context: &Context, world: &World, namespace: &str) -> Result<Client> {
    let user = context.unique("developer");
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": user, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    });
    world.apply(role).await?;
    let client = context.cluster.client_as(&user, &[])?;
    let maps: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::namespaced(client.clone(), namespace);
    eventually(format!("{user} to have a role"), SOON, async || maps.list(&ListParams::default()).await.map(drop))
        .await?;
    Ok(client)
}

/// A refusal of this admission policy, and nothing of jargon: the sentence.
fn sentence(said: &str, policy: &str, world: &World) -> Result<String> {
    let (frame, sentence) = said.split_once(" denied request: ").with_context(|| format!("not refused: {said}"))?;
    let by = format!("ValidatingAdmissionPolicy 'rempart.{}.{policy}", world.id);
    // Those of pods differ in what they skip.
    let rest =
        frame.split_once(&by).map(|(_, rest)| rest).with_context(|| format!("not refused by {policy}: {said}"))?;
    ensure!(rest.starts_with(['\'', '-']), "not refused by {policy}: {said}");
    Ok(sentence.to_owned())
}

async fn place(world: &World, namespace: &str, name: &str) -> Result<Option<String>> {
    let pod = Api::<Pod>::namespaced(world.admin.clone(), namespace).get(name).await?;
    Ok(pod.spec.and_then(|spec| spec.node_name))
}

async fn node_name(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    let developer = developer(context, world, &namespace).await?;
    for pool in ["open", "gouv"] {
        let node = world.nodes_of(&[pool]).await?.pop_first().context("no node")?;
        let mut pod = pod(&namespace, "sneaks", &RESTRICTED);
        pod["spec"]["nodeName"] = json!(node);
        let said = sentence(&refusal(create(&developer, &pod).await)?, "pods", world)?;
        let expected = format!(
            "pod {namespace}/sneaks: spec.nodeName is \"{node}\", but level restricted of PlacementPolicy {} is placed \
             by kube-scheduler on cleared nodes; remove spec.nodeName",
            world.id
        );
        ensure!(said == expected, "{said}");
    }
    // Through a template the pod is refused all the same: the ReplicaSet never gets one.
    let mut deployment = workload("Deployment", &namespace, "sneaks", &RESTRICTED);
    deployment["spec"]["template"]["spec"]["nodeName"] =
        json!(world.nodes_of(&["open"]).await?.pop_first().context("no node")?);
    create(&developer, &deployment).await?;
    let events: Api<k8s_openapi::api::core::v1::Event> = Api::namespaced(world.admin.clone(), &namespace);
    eventually("the ReplicaSet to be told", SOON, async || {
        let events = events.list(&ListParams::default()).await?;
        let told = events.iter().filter_map(|event| event.message.as_ref());
        ensure!(told.into_iter().any(|message| message.contains("remove spec.nodeName")), "it is not");
        anyhow::Ok(())
    })
    .await?;
    let pods = Api::<Pod>::namespaced(world.admin.clone(), &namespace).list(&ListParams::default()).await?;
    ensure!(pods.items.is_empty(), "{pods:?}");
    Ok(())
}

/// Tries to bind the pod as `user`, through the subresource and the legacy resource.
async fn bind(user: &Client, namespace: &str, pod: &str, node: &str) -> Result<[kube::Result<Value>; 2]> {
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod, "namespace": namespace},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    let attempt = async |path: String| -> Result<kube::Result<Value>> {
        let request = http::Request::post(path).header("Content-Type", "application/json");
        Ok(user.request::<Value>(request.body(serde_json::to_vec(&binding)?)?).await)
    };
    Ok([
        attempt(format!("/api/v1/namespaces/{namespace}/pods/{pod}/binding")).await?,
        attempt(format!("/api/v1/namespaces/{namespace}/bindings")).await?,
    ])
}

async fn binding(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    let developer = developer(context, world, &namespace).await?;
    let mut gated = pod(&namespace, "waits", &[(keys::SENSITIVITY, "secret"), (keys::CATEGORIES, "health")]);
    gated["spec"]["schedulerName"] = json!("nobody");
    create(&developer, &gated).await?;
    let node = world.nodes_of(&["open"]).await?.pop_first().context("no node")?;
    for outcome in bind(&developer, &namespace, "waits", &node).await? {
        let said = sentence(&refusal(outcome)?, "bindings", world)?;
        ensure!(said.starts_with(&format!("pod {namespace}/waits: user developer-")), "{said}");
        ensure!(said.contains("only these schedulers bind pods: system:kube-scheduler"), "{said}");
    }
    for outcome in bind(&world.admin, &namespace, "waits", &node).await? {
        sentence(&refusal(outcome)?, "bindings", world)?;
    }
    ensure!(place(world, &namespace, "waits").await?.is_none());
    Ok(())
}

async fn private_scheduler(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    // As an installation of a second scheduler would have it: a ServiceAccount with the scheduler's own role.
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:kube-scheduler"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
    });
    world.apply(role).await?;
    let mut own = pod(&namespace, "batch", &RESTRICTED);
    own["spec"]["schedulerName"] = json!("private");
    create(&world.admin, &own).await?;
    let scheduler = context.cluster.client_as(&format!("system:serviceaccount:{namespace}:default"), &[])?;
    let pods: Api<Pod> = Api::all(scheduler.clone());
    eventually("the private scheduler to have its role", SOON, async || {
        pods.list(&ListParams::default().limit(1)).await.map(drop)
    })
    .await?;
    let node = world.nodes_of(&["atlantic"]).await?.pop_first().context("no node")?;
    let [through_the_pod, _] = bind(&scheduler, &namespace, "batch", &node).await?;
    let said = sentence(&refusal(through_the_pod)?, "bindings", world)?;
    ensure!(
        said.contains(&format!("user system:serviceaccount:{namespace}:default may not bind it to node {node}")),
        "{said}"
    );
    ensure!(place(world, &namespace, "batch").await?.is_none());
    Ok(())
}

async fn kubelet_stamps(context: &Context) -> Result<()> {
    let world = context.annex().await?;
    let node = world.node(context, "open").await?;
    let kubeconfig = context.cluster.user_kubeconfig(&format!("system:node:{node}"), &["system:nodes"])?;
    for (label, says) in [
        (format!("{}=true", world.clearance("restricted")), "is not allowed to modify labels"),
        (format!("{}={}", keys::POOL, world.named("gouv")), "is not allowed to modify labels"),
    ] {
        let arguments = ["label", "--overwrite", "node", &node, &label];
        let attempt = context.cluster.kubectl(arguments).kubeconfig(&kubeconfig).output().await?;
        ensure!(!attempt.status.success() && attempt.stderr.contains(says), "{attempt:?}");
    }
    let status = json!({"metadata": {"labels": {world.clearance("secret"): "true"}}}).to_string();
    let arguments = ["patch", "node", &node, "--subresource=status", "--type=merge", "-p", &status];
    let attempt = context.cluster.kubectl(arguments).kubeconfig(&kubeconfig).output().await?;
    ensure!(!attempt.status.success(), "{attempt:?}");
    // What tells pools apart it may not set either; and who may makes it a node of another pool only where the pool asks
    // for no proof. The pool of this trial asks for one.
    let guarded = World::new(context, "guarded").await?;
    let mut pool = guarded.pool("gouv");
    pool["spec"]["providerIDPrefix"] = json!("aws:///gouv-1/");
    guarded.apply(pool).await?;
    let label = format!("{}={}", crate::world::POOL_LABEL, guarded.named("gouv"));
    let arguments = ["label", "--overwrite", "node", &node, &label];
    // Admission knows the label by the pool that selects by it.
    eventually("a kubelet to be refused", SOON, async || {
        let attempt = context.cluster.kubectl(arguments).kubeconfig(&kubeconfig).output().await?;
        ensure!(!attempt.status.success() && attempt.stderr.contains("no kubelet changes that"), "{attempt:?}");
        anyhow::Ok(())
    })
    .await?;
    context.cluster.kubectl(arguments).run().await?;
    eventually("the node to be of no pool", SOON, async || {
        let stamps = stamps_of(&world.admin, &node).await?;
        ensure!(stamps.is_empty(), "{stamps:?}");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

async fn admin_stamps(context: &Context) -> Result<()> {
    let world = context.annex().await?;
    let node = world.node(context, "open").await?;
    let stamps = stamps_of(&world.admin, &node).await?;
    for labels in [
        json!({world.clearance("restricted"): "true"}),
        json!({world.clearance("internal"): null}),
        json!({keys::POOL: world.named("gouv")}),
    ] {
        let forged = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "labels": labels}});
        for subresource in [None, Some("status")] {
            // The rest of the request would go through.
            merge(&world.admin, &forged, subresource).await?;
            let found = stamps_of(&world.admin, &node).await?;
            ensure!(found == stamps, "{found:?}");
        }
    }
    let born = json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": context.unique("born"), "labels": {world.clearance("secret"): "true"}}});
    let born = crate::world::create_dry(&world.admin, &born).await?;
    ensure!(born.metadata.labels.unwrap_or_default().keys().all(|key| !keys::is_stamp(key)));
    world.eventually_stamped(&node, "open").await
}

async fn affinity(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    let open = world.nodes_of(&["open"]).await?;
    let gouv = world.nodes_of(&["gouv"]).await?;
    let terms: Vec<_> = open
        .iter()
        .chain(&gouv)
        .map(|node| json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}))
        .chain([json!({"matchExpressions": [{"key": "kubernetes.io/os", "operator": "Exists"}]})])
        .collect();
    let mut deployment =
        workload("Deployment", &namespace, "wide", &[(keys::SENSITIVITY, "restricted"), (keys::CATEGORIES, "health")]);
    deployment["spec"]["replicas"] = json!(6);
    deployment["spec"]["template"]["spec"]["affinity"] =
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}});
    deployment["spec"]["template"]["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    create(&world.admin, &deployment).await?;
    let nodes = world.eventually_placed(&namespace, 6).await?;
    ensure!(nodes.is_subset(&world.nodes_of(&["gouv"]).await?), "{nodes:?}");

    let mut pinned = pod(&namespace, "pinned", &RESTRICTED);
    pinned["spec"]["affinity"] =
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [terms[0]]}}});
    create(&world.admin, &pinned).await?;
    let pods: Api<Pod> = Api::namespaced(world.admin.clone(), &namespace);
    eventually("the pod that is pinned to a node that is not cleared to wait", SOON, async || {
        let conditions = pods.get("pinned").await?.status.and_then(|status| status.conditions).unwrap_or_default();
        ensure!(conditions.iter().any(|found| found.reason.as_deref() == Some("Unschedulable")), "{conditions:?}");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

async fn gated(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    let developer = developer(context, world, &namespace).await?;
    let mut gated = pod(&namespace, "gated", &RESTRICTED);
    gated["spec"]["schedulingGates"] = json!([{"name": "example.org/hold"}]);
    create(&developer, &gated).await?;
    let of = |spec: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "gated", "namespace": namespace}, "spec": spec});
    let emptied = merge(&developer, &of(json!({"nodeSelector": {world.clearance("restricted"): null}})), None).await;
    refusal(emptied)?;
    let other = merge(&developer, &of(json!({"nodeSelector": {world.clearance("restricted"): "false"}})), None).await;
    refusal(other)?;
    merge(&developer, &of(json!({"schedulingGates": null})), None).await?;
    let nodes = world.eventually_placed(&namespace, 1).await?;
    ensure!(nodes.is_subset(&world.nodes_of(&["gouv", "site"]).await?), "{nodes:?}");
    Ok(())
}

async fn suspended_job(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    let developer = developer(context, world, &namespace).await?;
    let mut job = workload("Job", &namespace, "later", &RESTRICTED);
    job["spec"]["suspend"] = json!(true);
    create(&developer, &job).await?;
    let of = |spec: Value| json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "later", "namespace": namespace}, "spec": spec});
    let emptied = of(
        json!({"template": {"spec": {"nodeSelector": {"kubernetes.io/os": "linux", world.clearance("restricted"): null}}}}),
    );
    let found = merge(&developer, &emptied, None).await?;
    let selector = &found.data["spec"]["template"]["spec"]["nodeSelector"];
    ensure!(selector[world.clearance("restricted")] == "true", "{selector}");
    merge(&developer, &of(json!({"suspend": false})), None).await?;
    let nodes = world.eventually_placed(&namespace, 1).await?;
    ensure!(nodes.is_subset(&world.nodes_of(&["gouv", "site"]).await?), "{nodes:?}");
    Ok(())
}

async fn lowered(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[(keys::SENSITIVITY, "restricted")]).await?;
    create(&world.admin, &workload("Deployment", &namespace, "api", &[(keys::SENSITIVITY, "secret")])).await?;
    let nodes = world.eventually_placed(&namespace, 1).await?;
    ensure!(nodes.is_subset(&world.nodes_of(&["site"]).await?), "{nodes:?}");
    // By somebody who may lower it.
    for value in [json!("public"), Value::Null] {
        let lower = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "api", "namespace": namespace, "annotations": {keys::SENSITIVITY: value}}});
        let found = merge(&world.admin, &lower, None).await?;
        let template = &found.data["spec"]["template"];
        let selector = &template["spec"]["nodeSelector"];
        ensure!(*selector == json!({world.clearance("restricted"): "true"}), "{selector}");
        ensure!(template["metadata"]["annotations"][keys::WORKLOAD_SENSITIVITY] == value, "{template:#}");
    }
    Ok(())
}

async fn running_pod(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    let developer = developer(context, world, &namespace).await?;
    create(&developer, &pod(&namespace, "runs", &[(keys::SENSITIVITY, "secret")])).await?;
    world.eventually_placed(&namespace, 1).await?;
    for value in [json!("public"), Value::Null] {
        let lower = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "runs", "namespace": namespace, "annotations": {keys::SENSITIVITY: value}}});
        for subresource in [None, Some("status")] {
            let said = sentence(&refusal(merge(&developer, &lower, subresource).await)?, "pod-updates", world)?;
            let to = value.as_str().map_or_else(|| "absent".to_owned(), |value| format!("\"{value}\""));
            let expected = format!(
                "pod {namespace}/runs: annotation {} cannot change from \"secret\" to {to} once the pod exists; change it \
                 on the workload, or create the pod anew",
                keys::SENSITIVITY
            );
            ensure!(said == expected, "{said}");
        }
    }
    Ok(())
}

async fn old_template(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    // The workload is older than the policy's hold on the namespace.
    let name = context.unique("older");
    crate::world::namespace(&world.admin, &name, &std::collections::BTreeMap::new()).await?;
    let mut deployment = workload("Deployment", &name, "api", &[]);
    deployment["spec"]["template"]["metadata"]["annotations"] = json!({keys::SENSITIVITY: "secret"});
    deployment["spec"]["template"]["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    let created = create(&world.admin, &deployment).await?;
    ensure!(created.data["spec"]["template"]["spec"]["nodeSelector"].is_null());
    world.eventually_placed(&name, 1).await?;
    let governed = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "labels": {crate::world::TENANT_LABEL: world.id}}});
    merge(&world.admin, &governed, None).await?;
    eventually("admission to know of it", SOON, async || {
        let pod = crate::world::create_dry(&world.admin, &pod(&name, "probe", &RESTRICTED)).await?;
        ensure!(pod.data["spec"]["nodeSelector"].is_object(), "{:#}", pod.data["spec"]);
        anyhow::Ok(())
    })
    .await?;
    // The controller makes a new pod from its old template.
    let pods: Api<Pod> = Api::namespaced(world.admin.clone(), &name);
    pods.delete_collection(&DeleteParams::default().grace_period(0), &ListParams::default()).await?;
    let nodes = eventually("the new pod to run", SOON, async || {
        let pods = pods.list(&ListParams::default()).await?.items;
        let [pod] = &pods[..] else { anyhow::bail!("there are {}", pods.len()) };
        let selector = pod.spec.as_ref().and_then(|spec| spec.node_selector.clone()).unwrap_or_default();
        ensure!(selector.contains_key(&world.clearance("secret")), "{selector:?}");
        pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).context("it is not placed")
    })
    .await?;
    ensure!(world.nodes_of(&["site"]).await?.contains(&nodes), "{nodes}");
    ensure!(pods.list(&ListParams::default()).await?.items.len() == 1);
    Ok(())
}

async fn forged_owner(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    let developer = developer(context, world, &namespace).await?;
    // Real owners, so that the garbage collector leaves the children alone.
    let mut replica_set = workload("ReplicaSet", &namespace, "owner", &[(keys::SENSITIVITY, "public")]);
    replica_set["spec"]["replicas"] = json!(0);
    let owner = create(&developer, &replica_set).await?;
    let mut deployment = workload("Deployment", &namespace, "owner", &[]);
    deployment["spec"]["replicas"] = json!(0);
    let deployment = create(&developer, &deployment).await?;
    let by = |kind: &str, owner: &kube::api::DynamicObject| {
        json!([{
            "apiVersion": "apps/v1", "kind": kind, "name": "owner", "uid": owner.metadata.uid, "controller": true,
        }])
    };
    let mut child = pod(&namespace, "child", &RESTRICTED);
    child["metadata"]["ownerReferences"] = by("ReplicaSet", &owner);
    let created = create(&developer, &child).await?;
    ensure!(
        created.data["spec"]["nodeSelector"] == json!({world.clearance("restricted"): "true"}),
        "{:#}",
        created.data
    );
    // A ReplicaSet that claims to be a Deployment's is not given a selector; its pods are.
    let mut posing = workload("ReplicaSet", &namespace, "posing", &[]);
    posing["metadata"]["ownerReferences"] = by("Deployment", &deployment);
    posing["spec"]["template"]["metadata"]["annotations"] = json!({keys::SENSITIVITY: "secret"});
    create(&developer, &posing).await?;
    let pods: Api<Pod> = Api::namespaced(world.admin.clone(), &namespace);
    eventually("the pod of the posing ReplicaSet", SOON, async || {
        let pods = pods.list(&ListParams::default().labels("app=posing")).await?.items;
        let spec = pods.first().and_then(|pod| pod.spec.clone()).context("there is none")?;
        let selector = spec.node_selector.unwrap_or_default();
        ensure!(selector.contains_key(&world.clearance("secret")), "{selector:?}");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

async fn selector_taken(context: &Context) -> Result<()> {
    let world = World::new(context, "taken").await?;
    let name = context.unique("thief");
    let taker = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail", "reinvocationPolicy": "IfNeeded",
            "matchConstraints": {"resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]},
            ]},
            "matchConditions": [{"name": "selects", "expression": "has(object.spec.nodeSelector)"}],
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {
                "expression": "[JSONPatch{op: 'remove', path: '/spec/nodeSelector'}]",
            }}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
        // It comes last by name, and so in each round.
        "metadata": {"name": format!("zzz-{name}")},
        "spec": {"policyName": name, "matchResources": {"namespaceSelector": {"matchLabels": {"trial.example/thief": name}}}},
    });
    world.apply(taker).await?;
    world.apply(binding).await?;
    let namespace = world.namespace(context, &[("trial.example/thief", &name)]).await?;
    let expected = format!(
        "spec.nodeSelector lacks {}=true, which level restricted of PlacementPolicy {} needs",
        world.clearance("restricted"),
        world.id
    );
    eventually("a pod whose selector is taken to be refused", SOON, async || {
        let said = refusal(crate::world::create_dry(&world.admin, &pod(&namespace, "robbed", &RESTRICTED)).await)?;
        ensure!(said.contains(&expected), "{said}");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

async fn mirror_pod(context: &Context) -> Result<()> {
    let world = context.annex().await?;
    let namespace = world.namespace(context, &[]).await?;
    let node = world.node(context, "open").await?;
    let uid = Api::<k8s_openapi::api::core::v1::Node>::all(world.admin.clone()).get(&node).await?.metadata.uid;
    let kubelet = context.cluster.client_as(&format!("system:node:{node}"), &["system:nodes"])?;
    let mut mirror = pod(
        &namespace,
        &format!("static-{node}"),
        &[("kubernetes.io/config.mirror", "hash"), (keys::SENSITIVITY, "restricted")],
    );
    mirror["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid, "controller": true}]);
    mirror["spec"]["nodeName"] = json!(node);
    let created = create(&kubelet, &mirror).await?;
    ensure!(created.data["spec"]["nodeSelector"].is_null(), "{:#}", created.data["spec"]);

    // Somebody else who writes one is told no.
    mirror["metadata"]["name"] = json!("forged");
    let said = refusal(create(&developer(context, world, &namespace).await?, &mirror).await)?;
    sentence(&said, "pods", world)?;
    // And no kubelet makes an ordinary pod.
    mirror["metadata"]["annotations"] = json!({keys::SENSITIVITY: "restricted"});
    let said = refusal(create(&kubelet, &mirror).await)?;
    ensure!(said.contains("mirror"), "{said}");
    Ok(())
}

async fn recreated(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    let mut deployment =
        workload("Deployment", &namespace, "api", &[(keys::SENSITIVITY, "restricted"), (keys::CATEGORIES, "health")]);
    deployment["spec"]["replicas"] = json!(3);
    create(&world.admin, &deployment).await?;
    world.eventually_placed(&namespace, 3).await?;
    let pods: Api<Pod> = Api::namespaced(world.admin.clone(), &namespace);
    let before: Vec<_> =
        pods.list(&ListParams::default()).await?.into_iter().filter_map(|pod| pod.metadata.name).collect();
    for pod in &before {
        pods.evict(pod, &EvictParams::default()).await?;
    }
    let nodes = eventually("new pods to run", SOON, async || {
        let pods = pods.list(&ListParams::default()).await?.items;
        let new: Vec<_> =
            pods.iter().filter(|pod| !before.contains(pod.metadata.name.as_ref().unwrap_or(&String::new()))).collect();
        let nodes: Vec<_> = new.iter().filter_map(|pod| pod.spec.as_ref()?.node_name.clone()).collect();
        ensure!(nodes.len() == 3, "{} do", nodes.len());
        anyhow::Ok(nodes)
    })
    .await?;
    let allowed = world.nodes_of(&["gouv"]).await?;
    ensure!(nodes.iter().all(|node| allowed.contains(node)), "{nodes:?}");
    Ok(())
}

async fn look_alikes(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    let levels = "levels, least to most sensitive: public, internal, restricted, secret";
    for level in [
        "",
        " ",
        "Restricted",
        "RESTRICTED",
        "restricted ",
        " restricted",
        "rеstricted",
        "restricted\u{200b}",
        "restricted,secret",
        "*",
    ] {
        let said = refusal(create(&world.admin, &pod(&namespace, "odd", &[(keys::SENSITIVITY, level)])).await)?;
        let said = sentence(&said, "pods", world)?;
        ensure!(said.starts_with(&format!("pod {namespace}/odd: annotation {} is \"", keys::SENSITIVITY)), "{said}");
        ensure!(said.ends_with(&format!("no such level in PlacementPolicy {}; {levels}", world.id)), "{said}");
        for kind in ["Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet"] {
            let odd = workload(kind, &namespace, "odd", &[(keys::SENSITIVITY, level)]);
            let said = refusal(create(&world.admin, &odd).await).with_context(|| format!("{kind} {level:?}"))?;
            ensure!(sentence(&said, "workloads", world)?.ends_with(levels), "{said}");
        }
    }
    Ok(())
}

async fn view_only(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let user = context.unique("viewer");
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": user},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    });
    world.apply(role).await?;
    let viewer = context.cluster.client_as(&user, &[])?;
    let objects = [world.policy(), world.provider("gouv"), world.pool("gouv")];
    for object in objects {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        eventually("the viewer to see it", SOON, async || api_of(&viewer, &object).get(&name).await.map(drop)).await?;
        refusal(apply(&viewer, &object).await)?;
        refusal(api_of(&viewer, &object).delete(&name, &DeleteParams::default()).await.map(|_| ()))?;
    }
    Ok(())
}
