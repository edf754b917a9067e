//! Ways around the rule that Kubernetes gives nobody the means to refuse: they succeed, and are told within five seconds. Each is
//! tried by who may do that one thing and nothing else.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::{authorization::v1::SelfSubjectAccessReview, core::v1::Pod, events::v1::Event};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use rempart_core::keys;
use rempart_lab::eventually;
use serde_json::{Value, json};

use crate::{
    harness::{Context, Trial},
    records::records,
    world::{POOL_LABEL, SOON, TENANT_LABEL, World, api_of, create, create_dry, merge, pod, refusal, settled},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        // Alone, since it is about time.
        Trial::serial("detected::what_stands_wrong_is_told_and_stays_told_whatever_is_done_to_it", misplaced),
        Trial::serial("detected::a_node_that_registers_into_a_pool_is_told_and_takes_nothing_later", registers),
        Trial::serial("detected::what_hides_where_no_policy_holds_is_counted", hides),
        Trial::serial("detected::a_rule_that_somebody_lifts_is_told", lifted),
        Trial::new("detected::a_level_that_flips_lets_no_pod_in_below_both", flips),
        Trial::new("detected::a_pod_whose_volume_lies_elsewhere_waits_and_is_told", volume_elsewhere),
    ]
}

/// Within which time something is told.
const TOLD: Duration = Duration::from_secs(5);

const RESTRICTED: [(&str, &str); 1] = [(keys::SENSITIVITY, "restricted")];

/// A user who has these rights in the whole cluster and no others. `probe` is one of them, of `group`, of which it is waited for.
async fn who_may(
    context: &Context,
    world: &World,
    name: &str,
    rules: Value,
    group: &str,
    probe: [&str; 2],
) -> Result<Client> {
    let user = context.unique(name);
    let api = "rbac.authorization.k8s.io";
    let version = format!("{api}/v1");
    world
        .apply(json!({"apiVersion": version, "kind": "ClusterRole", "metadata": {"name": user}, "rules": rules}))
        .await?;
    world
        .apply(json!({
            "apiVersion": version, "kind": "ClusterRoleBinding", "metadata": {"name": user},
            "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": user},
            "subjects": [{"apiGroup": api, "kind": "User", "name": user}],
        }))
        .await?;
    let client = context.cluster.client_as(&user, &[])?;
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let [verb, resource] = probe;
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let asked = json!({"spec": {"resourceAttributes": {
        "verb": verb, "group": group, "resource": resource, "subresource": subresource,
    }}});
    let asked: SelfSubjectAccessReview = serde_json::from_value(asked)?;
    eventually(format!("{user} to have a role"), SOON, async || {
        let answer = reviews.create(&PostParams::default(), &asked).await?;
        ensure!(answer.status.is_some_and(|status| status.allowed), "it has none");
        anyhow::Ok(())
    })
    .await?;
    Ok(client)
}

/// Whether the record of the pod `name`, which nothing owns, says that it stands where it may not.
async fn is_told(world: &World, space: &str, name: &str) -> Result<Value> {
    let found = records(world, space).list(&ListParams::default()).await?.items;
    let of = |status: &&Value| status["workload"] == json!({"kind": "Pod", "name": name});
    let status = found.iter().map(|record| &record.data["status"]).find(of).context("it has no record")?;
    ensure!(status["pods"]["violating"] == 1, "it says {}", status["pods"]);
    let compliant = status["conditions"].as_array().into_iter().flatten().find(|found| found["type"] == "Compliant");
    ensure!(compliant.is_some_and(|found| found["status"] == "False"), "it says {compliant:?}");
    Ok(status["pods"].clone())
}

async fn told(world: &World, space: &str, name: &str) -> Result<()> {
    eventually(format!("the record of {name} to tell of it"), TOLD, async || {
        is_told(world, space, name).await.map(drop)
    })
    .await?;
    Ok(())
}

/// The pods that the metric counts as standing wrong.
async fn counted(context: &Context, world: &World) -> Result<String> {
    let metrics = context.operator_get("/metrics").await?;
    let (policy, level) = (format!("policy=\"{}\"", world.id), "level=\"restricted\"");
    let of =
        |line: &&str| line.starts_with("rempart_violating_pods{") && line.contains(&policy) && line.contains(level);
    let line = metrics.lines().find(of).context("there is no metric")?;
    Ok(line.rsplit(' ').next().unwrap_or_default().to_owned())
}

/// Waits until an event about the pool says so of the node.
async fn told_of_node(world: &World, reason: &str, pool: &str, node: &str) -> Result<()> {
    let events: Api<Event> = Api::all(world.admin.clone());
    eventually(format!("an event {reason} about {node}"), TOLD, async || {
        let events = events.list(&ListParams::default().fields(&format!("reason={reason}"))).await?.items;
        let about = |event: &&Event| {
            event.regarding.as_ref().is_some_and(|about| about.name.as_deref() == Some(pool))
                && event.note.as_ref().is_some_and(|note| note.contains(node))
        };
        events.iter().find(about).map(drop).context("it is not there")
    })
    .await?;
    Ok(())
}

async fn misplaced(context: &Context) -> Result<()> {
    let world = World::new(context, "told").await?;
    let [gouv, open] = [world.node(context, "gouv").await?, world.node(context, "open").await?];
    let space = world.namespace(context, &[]).await?;

    // A static pod, by the kubelet of a node that is not cleared for it: admission lets its mirror through.
    let uid =
        api_of(&world.admin, &json!({"apiVersion": "v1", "kind": "Node", "metadata": {}})).get(&open).await?.uid();
    let kubelet = context.cluster.client_as(&format!("system:node:{open}"), &["system:nodes"])?;
    let fixed = format!("static-{open}");
    let mirror = [("kubernetes.io/config.mirror", "hash"), RESTRICTED[0]];
    let mut mirror = pod(&space, &fixed, &mirror);
    mirror["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "Node", "name": open, "uid": uid, "controller": true}]);
    mirror["spec"]["nodeName"] = json!(open);
    create(&kubelet, &mirror).await?;
    told(&world, &space, &fixed).await.context("a static pod")?;

    // Pods of nobody, whose node leaves its pool: there they stay, and are told of.
    for name in ["altered", "ended", "lasting"] {
        let mut object = pod(&space, name, &RESTRICTED);
        object["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "10m"}, "limits": {"cpu": "1"}});
        if name == "lasting" {
            // 63 years, and somebody who would have to let it go.
            object["spec"]["terminationGracePeriodSeconds"] = json!(2_000_000_000);
            object["metadata"]["finalizers"] = json!(["trial.example/hold"]);
        }
        create(&world.admin, &object).await?;
    }
    world.eventually_placed(&space, 4).await?;
    let leaves = json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": gouv, "labels": {POOL_LABEL: world.named("open")}}});
    merge(&world.admin, &leaves, None).await?;
    for name in ["altered", "ended", "lasting"] {
        told(&world, &space, name).await?;
    }
    told_of_node(&world, "NodeLeft", &world.named("gouv"), &gouv).await?;
    told_of_node(&world, "NodeJoined", &world.named("open"), &gouv).await?;
    eventually("the metric to count them", TOLD, async || {
        let count = counted(context, &world).await?;
        ensure!(count == "4", "it is {count}");
        anyhow::Ok(())
    })
    .await?;

    // A container more, and more of the node, for one that stands wrong.
    let one = |resource: &str, verb: &str| json!([{"apiGroups": [""], "resources": [resource], "verbs": [verb]}]);
    let probe = ["patch", "pods/ephemeralcontainers"];
    let debugger = who_may(context, &world, "debugger", one("pods/ephemeralcontainers", "patch"), "", probe).await?;
    let more = json!({"spec": {"ephemeralContainers": [{"name": "tools", "image": "example.test/tools"}]}});
    let pods: Api<Pod> = Api::namespaced(debugger, &space);
    pods.patch_subresource("ephemeralcontainers", "altered", &PatchParams::default(), &Patch::Strategic(&more)).await?;
    // What a kubelet that can resize says of its containers; the one that is played here says less.
    let mut status = api_of(&world.admin, &pod(&space, "", &[])).get("altered").await?.data["status"].take();
    let resources = json!({"requests": {"cpu": "10m"}, "limits": {"cpu": "1"}});
    let containers = status["containerStatuses"].as_array_mut().context("it has no containers")?;
    for container in containers.iter_mut() {
        container["resources"] = resources.clone();
    }
    let says = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "altered", "namespace": space},
        "status": {"containerStatuses": containers}});
    merge(&world.admin, &says, Some("status")).await?;
    let probe = ["patch", "pods/resize"];
    let resizer = who_may(context, &world, "resizer", one("pods/resize", "patch"), "", probe).await?;
    let larger = json!({"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "20m"}}}]}});
    let pods: Api<Pod> = Api::namespaced(resizer, &space);
    pods.patch_subresource("resize", "altered", &PatchParams::default(), &Patch::Strategic(&larger)).await?;

    // A status that says it has ended, of one that is begun again for as long as it is there.
    let probe = ["patch", "pods/status"];
    let reporter = who_may(context, &world, "reporter", one("pods/status", "patch"), "", probe).await?;
    let over = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ended", "namespace": space},
        "status": {"phase": "Succeeded"}});
    merge(&reporter, &over, Some("status")).await?;

    // A deletion that takes years.
    let remover = who_may(context, &world, "remover", one("pods", "delete"), "", ["delete", "pods"]).await?;
    Api::<Pod>::namespaced(remover, &space).delete("lasting", &DeleteParams::default()).await?;

    let still = async || {
        let mut found = Vec::new();
        for name in [&*fixed, "altered", "ended", "lasting"] {
            found.push(is_told(&world, &space, name).await.with_context(|| name.to_owned())?);
        }
        Ok((found, counted(context, &world).await?))
    };
    let (_, count) = settled(still).await?;
    ensure!(count == "4", "the metric says {count}");
    let let_go = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "lasting", "namespace": space, "finalizers": null}});
    merge(&world.admin, &let_go, None).await?;
    Ok(())
}

async fn registers(context: &Context) -> Result<()> {
    let world = World::new(context, "joins").await?;
    // A kubelet's credential, and with it the label that the pool knows its nodes by: a custom label is anybody's.
    let name = context.unique("bare");
    let kubelet = context.cluster.client_as(&format!("system:node:{name}"), &["system:nodes"])?;
    let node = json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {POOL_LABEL: world.named("gouv"), "kubernetes.io/hostname": name}}});
    create(&kubelet, &node).await?;
    told_of_node(&world, "NodeJoined", &world.named("gouv"), &name).await?;
    let (pool, change) = (format!("pool=\"{}\"", world.named("gouv")), "change=\"joined\"");
    eventually("the metric to count it", TOLD, async || {
        let metrics = context.operator_get("/metrics").await?;
        let of = |line: &&str| {
            line.starts_with("rempart_pool_membership_changes_total{")
                && [&*pool, change, "node=\"new\""].iter().all(|label| line.contains(label))
        };
        metrics.lines().find(of).map(drop).context("it does not")
    })
    .await?;

    // Once it is registered its kubelet gives it neither an identifier, nor another pool.
    let of = |metadata: Value, spec: Value| {
        let mut node = json!({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec});
        node["metadata"]["name"] = json!(name);
        node
    };
    let claims = of(json!({}), json!({"providerID": "aws:///gouv-1/i-1"}));
    let said = refusal(merge(&kubelet, &claims, None).await)?;
    ensure!(
        said.contains("spec.providerID would change from absent") && said.contains("no kubelet changes that"),
        "{said}"
    );

    // Nor does a daemon that may patch every node, as feature discovery and label syncs may.
    let rules = json!([{"apiGroups": [""], "resources": ["nodes", "nodes/status"], "verbs": ["get", "patch"]}]);
    let daemon = who_may(context, &world, "discovery", rules, "", ["patch", "nodes"]).await?;
    merge(&daemon, &of(json!({"labels": {"feature.node.kubernetes.io/cpu": "fast"}}), json!({})), None).await?;
    for (changed, what) in
        [(of(json!({"labels": {POOL_LABEL: world.named("site")}}), json!({})), POOL_LABEL), (claims, "spec.providerID")]
    {
        for subresource in [None, Some("status")].into_iter().take(if what == POOL_LABEL { 2 } else { 1 }) {
            let said = refusal(merge(&daemon, &changed, subresource).await)?;
            ensure!(said.contains(what) && said.contains("that needs the verb label-nodes"), "{said}");
        }
    }
    api_of(&world.admin, &node).delete(&name, &DeleteParams::default()).await?;
    Ok(())
}

async fn hides(context: &Context) -> Result<()> {
    context.rempart().await?;
    let world = World::ungoverned(context, "hides").await?;
    let counted = async || {
        let metrics = context.operator_get("/metrics").await?;
        let of = |line: &&str| line.starts_with("rempart_exempt_sensitive_objects{namespace=\"kube-public\"}");
        let line = metrics.lines().find(of).context("there is no metric")?;
        anyhow::Ok(line.rsplit(' ').next().unwrap_or_default().to_owned())
    };
    let before = counted().await?;
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}]);
    let maker = who_may(context, &world, "hider", rules, "", ["create", "pods"]).await?;
    let name = context.unique("hidden");
    // Nobody refuses it, on whatever node.
    let hidden = pod("kube-public", &name, &RESTRICTED);
    create(&maker, &hidden).await?;
    eventually("what hides to be counted", TOLD, async || {
        let now = counted().await?;
        ensure!(now != before, "it is still {now}");
        anyhow::Ok(())
    })
    .await?;
    api_of(&world.admin, &hidden).delete(&name, &DeleteParams::default().grace_period(0)).await?;
    Ok(())
}

async fn lifted(context: &Context) -> Result<()> {
    let world = World::new(context, "lifted").await?;
    let told = async |kind: &str, fault: &str| {
        let labels = [format!("kind=\"{kind}\""), "name=\"rempart-stamps\"".to_owned(), format!("fault=\"{fault}\"")];
        eventually(format!("{kind} rempart-stamps to be told of as {fault}"), TOLD, async || {
            let metrics = context.operator_get("/metrics").await?;
            let of = |line: &&str| {
                line.starts_with("rempart_admission_faults{") && labels.iter().all(|label| line.contains(label))
            };
            metrics.lines().find(of).map(drop).context("it is not")
        })
        .await
    };
    let group = "admissionregistration.k8s.io";
    let one = |resource: &str, verb: &str| json!([{"apiGroups": [group], "resources": [resource], "verbs": [verb]}]);
    let of =
        |kind: &str| json!({"apiVersion": format!("{group}/v1"), "kind": kind, "metadata": {"name": "rempart-stamps"}});
    let (policy, binding) = (of("ValidatingAdmissionPolicy"), of("ValidatingAdmissionPolicyBinding"));
    let [policy_before, binding_before] = [
        api_of(&world.admin, &policy).get("rempart-stamps").await?,
        api_of(&world.admin, &binding).get("rempart-stamps").await?,
    ];

    // A condition that is never met leaves the policy there, and ends what it does.
    let rules = one("validatingadmissionpolicies", "patch");
    let editor = who_may(context, &world, "editor", rules, group, ["patch", "validatingadmissionpolicies"]).await?;
    let never =
        json!([{"op": "add", "path": "/spec/matchConditions/-", "value": {"name": "never", "expression": "false"}}]);
    let never = Patch::<()>::Json(serde_json::from_value(never)?);
    api_of(&editor, &policy).patch("rempart-stamps", &PatchParams::default(), &never).await?;
    let altered = told("ValidatingAdmissionPolicy", "altered").await;
    // Kubernetes itself writes the status of a policy that was altered: whoever replaces it may have to look again.
    eventually("the policy to be put back", TOLD, async || {
        let mut again = api_of(&world.admin, &policy).get("rempart-stamps").await?;
        again.data = policy_before.data.clone();
        api_of(&world.admin, &policy).replace("rempart-stamps", &PostParams::default(), &again).await?;
        anyhow::Ok(())
    })
    .await?;
    altered?;

    let rules = one("validatingadmissionpolicybindings", "delete");
    let remover =
        who_may(context, &world, "unbinder", rules, group, ["delete", "validatingadmissionpolicybindings"]).await?;
    api_of(&remover, &binding).delete("rempart-stamps", &DeleteParams::default()).await?;
    let missing = told("ValidatingAdmissionPolicyBinding", "missing").await;
    let mut anew = binding_before;
    (anew.metadata.resource_version, anew.metadata.uid) = (None, None);
    api_of(&world.admin, &binding).create(&PostParams::default(), &anew).await?;
    missing?;
    world.eventually_condition("Enforced", "True", "Bound").await?;
    world.acted_on(context).await
}

async fn flips(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let space = world.namespace(context, &[(keys::SENSITIVITY, "restricted")]).await?;
    // Whoever flips it may lower it; who makes the pods may do nothing else.
    let rules = json!([
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "patch"]},
        {"apiGroups": ["rempart.dev"], "resources": ["placementpolicies"], "verbs": ["declassify"], "resourceNames": [world.id]},
    ]);
    let flipper = who_may(context, world, "flipper", rules, "", ["patch", "namespaces"]).await?;
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}]);
    let maker = who_may(context, world, "maker", rules, "", ["create", "pods"]).await?;
    let turned = async {
        for level in ["secret", "restricted"].into_iter().cycle() {
            let labels = json!({keys::SENSITIVITY: level, TENANT_LABEL: world.id});
            let object =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space, "labels": labels}});
            merge(&flipper, &object, None).await?;
        }
        anyhow::Ok(())
    };
    let made = async {
        let (mut admitted, mut refused) = (0, 0);
        for number in 0..400 {
            match create_dry(&maker, &pod(&space, &format!("p{number}"), &[])).await {
                Ok(pod) => {
                    let selector = &pod.data["spec"]["nodeSelector"];
                    let has = |level: &str| selector[world.clearance(level)] == keys::GRANTED;
                    ensure!(has("restricted") || has("secret"), "admitted with {selector}");
                    admitted += 1;
                }
                // What was completed by the one label, and judged by the other.
                outcome => {
                    let said = refusal(outcome)?;
                    ensure!(said.contains("spec.nodeSelector lacks"), "{said}");
                    refused += 1;
                }
            }
        }
        anyhow::Ok((admitted, refused))
    };
    tokio::select! {
        turned = turned => turned.context("the label no longer flips")?,
        made = made => {
            let (admitted, refused) = made?;
            ensure!(admitted > 20, "{admitted} were admitted, and {refused} refused");
        }
    }
    Ok(())
}

async fn volume_elsewhere(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let space = world.namespace(context, &[]).await?;
    // As a storage class with Immediate binding leaves it: a volume in a place that was chosen before the pod was there.
    let elsewhere = world.nodes_of(&["atlantic"]).await?;
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": format!("{space}-data")},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "",
            "persistentVolumeReclaimPolicy": "Retain", "claimRef": {"namespace": space, "name": "data"},
            "nfs": {"server": "files.example.test", "path": "/"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": elsewhere}]},
            ]}},
        },
    });
    create(&world.admin, &volume).await?;
    let rules = json!([{"apiGroups": [""], "resources": ["pods", "persistentvolumeclaims"], "verbs": ["create"]}]);
    let developer = who_may(context, world, "storer", rules, "", ["create", "persistentvolumeclaims"]).await?;
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": space},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "volumeName": format!("{space}-data"),
            "resources": {"requests": {"storage": "1Gi"}}},
    });
    create(&developer, &claim).await?;
    let mut keeps = pod(&space, "keeps", &RESTRICTED);
    keeps["spec"]["volumes"] = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
    create(&developer, &keeps).await?;
    eventually("the record to name the volume", SOON, async || {
        let found = records(world, &space).list(&ListParams::default()).await?.items;
        let placeable =
            found.iter().flat_map(|record| record.data["status"]["conditions"].as_array().into_iter().flatten());
        let placeable = placeable.into_iter().find(|found| found["type"] == "Placeable").context("there is none")?;
        ensure!(placeable["status"] == "False" && placeable["reason"] == "VolumePinned", "it says {placeable}");
        ensure!(
            placeable["message"].as_str().is_some_and(|told| told.contains(&format!("{space}-data"))),
            "{placeable}"
        );
        anyhow::Ok(())
    })
    .await?;
    let found = Api::<Pod>::namespaced(world.admin.clone(), &space).get("keeps").await?;
    ensure!(found.spec.and_then(|spec| spec.node_name).is_none(), "it runs");
    api_of(&world.admin, &volume).delete(&format!("{space}-data"), &DeleteParams::default()).await?;
    Ok(())
}
