//! Wishes of levels: which cleared pool is chosen, how pods are spread over them, and how soon they leave a node that does not
//! answer.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};
use rempart::{admission::review, api::PlacementPolicy, convert};
use rempart_core::{keys, scheduling::UNREACHABLE_TAINTS, sensitivity::SensitivityStatement};
use rempart_lab::eventually;
use serde_json::{Value, json};

use crate::{
    harness::{Context, Trial},
    world::{self, POOLS, SOON, World, apply, create, create_dry, pod, stamps_of, workload},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("scheduling::pods_are_given_what_their_level_wishes_and_keep_their_own", given),
        Trial::new("scheduling::the_preferred_pool_is_chosen_and_a_new_price_ranks_what_is_pending", preferred),
        Trial::new("scheduling::pods_are_spread_over_providers_and_a_lost_one_is_told", spread),
    ]
}

const RESTRICTED: [(&str, &str); 1] = [(keys::SENSITIVITY, "restricted")];

/// A policy whose level `restricted` wishes this; `gouv` and `site` are cleared for it.
fn policy(world: &World, wishes: &Value) -> Value {
    let mut policy = world.policy();
    let levels = policy["spec"]["levels"].as_array_mut().into_iter().flatten();
    for level in levels.filter(|level| level["name"] == "restricted") {
        level
            .as_object_mut()
            .into_iter()
            .for_each(|level| level.extend(wishes.as_object().cloned().unwrap_or_default()));
    }
    policy
}

async fn wishing(context: &Context, prefix: &str, wishes: &Value) -> Result<World> {
    context.rempart().await?;
    let world = World::ungoverned(context, prefix).await?;
    world.apply(policy(&world, wishes)).await?;
    world.enforced(context).await?;
    Ok(world)
}

/// What a scheduler chooses by, of a pod.
fn chosen_by(pod: &Value) -> BTreeMap<&'static str, Value> {
    ["affinity", "topologySpreadConstraints", "tolerations", "nodeSelector"]
        .into_iter()
        .map(|field| (field, pod["spec"][field].clone()))
        .collect()
}

/// A pod of a workload of this kind.
fn owned(namespace: &str, name: &str, kind: &str, spec: &Value) -> Value {
    let mut owned = pod(namespace, name, &RESTRICTED);
    owned["metadata"]["labels"] = json!({"app": "x", "pod-template-hash": "abc12"});
    owned["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "apps/v1", "kind": kind, "name": "x", "uid": "1", "controller": true}]);
    let fields = spec.as_object().cloned().unwrap_or_default();
    owned["spec"].as_object_mut().into_iter().for_each(|of| of.extend(fields.clone()));
    owned
}

/// Pods that say nothing, something and much of what hints are about.
fn shapes(namespace: &str, rank: &str) -> Vec<Value> {
    let bare = pod(namespace, "bare", &RESTRICTED);
    let owned = |name: &str, kind: &str, spec: Value| owned(namespace, name, kind, &spec);
    let term = json!({"weight": 7, "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}});
    let own_rank =
        json!({"weight": 100, "preference": {"matchExpressions": [{"key": rank, "operator": "Gt", "values": ["5"]}]}});
    let constraint = |key: &str, when: &str, skew: u8| json!({"topologyKey": key, "whenUnsatisfiable": when, "maxSkew": skew, "labelSelector": {"matchLabels": {"app": "x"}}});
    let unlike = pod(namespace, "public", &[(keys::SENSITIVITY, "public")]);
    let anti = json!({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 1, "podAffinityTerm": {"topologyKey": "x", "labelSelector": {"matchLabels": {"app": "x"}}}}]}});
    vec![
        bare,
        unlike,
        owned("plain", "ReplicaSet", json!({})),
        owned("daemon", "DaemonSet", json!({})),
        owned("affine", "ReplicaSet", json!({"affinity": anti})),
        owned("node-affine", "ReplicaSet", json!({"affinity": {"nodeAffinity": {}}})),
        owned(
            "preferring",
            "ReplicaSet",
            json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}}}),
        ),
        owned(
            "ranked",
            "ReplicaSet",
            json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [own_rank]}}}),
        ),
        owned(
            "elsewhere",
            "StatefulSet",
            json!({"topologySpreadConstraints": [constraint("kubernetes.io/hostname", "DoNotSchedule", 1)]}),
        ),
        owned(
            "looser",
            "ReplicaSet",
            json!({"topologySpreadConstraints": [
            constraint("kubernetes.io/hostname", "DoNotSchedule", 1), constraint(keys::PROVIDER, "DoNotSchedule", 5)]}),
        ),
        owned(
            "softer",
            "ReplicaSet",
            json!({"topologySpreadConstraints": [constraint(keys::PROVIDER, "ScheduleAnyway", 1)]}),
        ),
        owned(
            "patient",
            "ReplicaSet",
            json!({"tolerations": [
                {"operator": "Exists"},
                {"key": UNREACHABLE_TAINTS[0], "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 7},
            ]}),
        ),
    ]
}

/// Pods of every shape are given the same by the API server as by the webhook.
async fn given(context: &Context) -> Result<()> {
    let wishes = json!({
        "prefer": [{"by": "pue", "weight": 60}, {"by": "price", "weight": 40}],
        "spread": {"across": "Provider", "minDomains": 2},
        "unreachableAfter": "60s",
    });
    let world = wishing(context, "wishing", &wishes).await?;
    let namespace = world.namespace(context, &[]).await?;
    let spec: PlacementPolicy = serde_json::from_value(policy(&world, &wishes))?;
    let policy = convert::policy_of_admission(&world.id, &spec.spec).context("no policy")?;
    let completing = review::CompletingPolicy { policy, uid: None };
    let rank = format!("rank.{}/{}.restricted", keys::STAMP_DOMAIN, world.id);

    for asked in shapes(&namespace, &rank) {
        let name = asked["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        // The API server adds its own tolerations before it asks anybody, and where the pod says nothing.
        let made = create_dry(&world.admin, &asked).await.with_context(|| name.clone())?;
        let mut before = asked.clone();
        let mut tolerations: Vec<Value> = asked["spec"]["tolerations"].as_array().cloned().unwrap_or_default();
        let tolerates = |taint: &str| tolerations.iter().any(|found| found["key"] == taint || found["key"].is_null());
        let added: Vec<_> = UNREACHABLE_TAINTS
            .into_iter()
            .filter(|taint| !tolerates(taint))
            .map(|taint| json!({"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}))
            .collect();
        tolerations.extend(added);
        before["spec"]["tolerations"] = json!(tolerations);
        let request = json!({"request": {
            "uid": "1", "namespace": namespace, "operation": "CREATE", "userInfo": {},
            "kind": {"group": "", "version": "v1", "kind": "Pod"}, "object": before,
        }});
        let request = request.to_string();
        let read = review::read(request.as_bytes())?;
        let patch = review::complete(&read, &completing, &SensitivityStatement::default())?;
        json_patch::patch(&mut before, &patch)?;
        // Which of two tolerations that were added stands first tells nothing.
        let sorted = |pod: &Value| {
            let mut found = chosen_by(pod);
            if let Some(list) = found.get_mut("tolerations").and_then(Value::as_array_mut) {
                list.sort_by_key(|one| (one["tolerationSeconds"].as_i64().unwrap_or(i64::MAX), one["key"].to_string()));
            }
            found
        };
        let (found, expected) = (sorted(&json!({"spec": made.data["spec"]})), sorted(&before));
        ensure!(found == expected, "{name}: the API server made {found:#?}, the webhook would {expected:#?}");
    }

    // What is given, in full, once.
    let made = create_dry(&world.admin, &owned(&namespace, "one", "ReplicaSet", &json!({}))).await?;
    let constraints = &made.data["spec"]["topologySpreadConstraints"];
    let expected = json!([{
        "topologyKey": keys::PROVIDER, "maxSkew": 1, "minDomains": 2, "whenUnsatisfiable": "DoNotSchedule",
        "nodeAffinityPolicy": "Honor", "nodeTaintsPolicy": "Honor",
        "labelSelector": {"matchLabels": {"pod-template-hash": "abc12"}},
    }]);
    ensure!(*constraints == expected, "{constraints:#}");
    let terms = &made.data["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"];
    let first =
        json!({"weight": 75, "preference": {"matchExpressions": [{"key": rank, "operator": "Gt", "values": ["89"]}]}});
    ensure!(terms[0] == first && terms.as_array().is_some_and(|terms| terms.len() == 5), "{terms:#}");
    Ok(())
}

/// The rank that a node tells for `restricted`.
async fn rank(world: &World, node: &str) -> Result<Option<String>> {
    let stamps = stamps_of(&world.admin, node).await?;
    Ok(stamps.get(&format!("rank.{}/{}.restricted", keys::STAMP_DOMAIN, world.id)).cloned())
}

async fn eventually_ranked(world: &World, node: &str, expected: Option<&str>) -> Result<()> {
    eventually(format!("the rank of {node}"), SOON, async || {
        let found = rank(world, node).await?;
        ensure!(found.as_deref() == expected, "it is {found:?} instead of {expected:?}");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

fn priced(world: &World, pool: &str, amount: &str) -> Value {
    let mut object = world.pool(pool);
    object["spec"]["price"] = json!({"amount": amount, "currency": "EUR"});
    object
}

/// The pool of each pod of the namespace that has a node, by the nodes' labels.
async fn pools_of(world: &World, namespace: &str) -> Result<BTreeMap<String, usize>> {
    let pods = Api::<Pod>::namespaced(world.admin.clone(), namespace).list(&ListParams::default()).await?;
    let mut counts = BTreeMap::new();
    for pod in pods {
        let Some(node) = pod.spec.and_then(|spec| spec.node_name) else { continue };
        for pool in POOLS {
            if world.nodes_of(&[pool]).await?.contains(&node) {
                *counts.entry(pool.to_owned()).or_insert(0) += 1;
            }
        }
    }
    Ok(counts)
}

async fn preferred(context: &Context) -> Result<()> {
    let world = wishing(context, "pricing", &json!({"prefer": [{"by": "price", "weight": 1}]})).await?;
    let namespace = world.namespace(context, &[]).await?;
    world.apply(priced(&world, "gouv", "0.50")).await?;
    world.apply(priced(&world, "site", "0.25")).await?;
    let mut nodes = BTreeMap::new();
    for pool in ["gouv", "site", "open"] {
        let node = world.node_spec(context, pool);
        nodes.insert(pool, node.name.clone());
        context.cluster.add_node(node).await?;
    }
    eventually_ranked(&world, &nodes["gouv"], Some("50")).await?;
    eventually_ranked(&world, &nodes["site"], Some("100")).await?;
    eventually_ranked(&world, &nodes["open"], None).await?;
    let mut cheap = workload("Deployment", &namespace, "cheap", &RESTRICTED);
    cheap["spec"]["replicas"] = json!(6);
    create(&world.admin, &cheap).await?;
    world.eventually_placed(&namespace, 6).await?;
    let found = pools_of(&world, &namespace).await?;
    ensure!(found == [("site".to_owned(), 6)].into(), "the cheaper pool has room for all: {found:?}");

    // A pod that waits is ranked by the price of the moment at which it can go, though nothing of it is touched.
    let mut gated = pod(&namespace, "later", &RESTRICTED);
    gated["spec"]["schedulingGates"] = json!([{"name": "trial.example/later"}]);
    create(&world.admin, &gated).await?;
    world.apply(priced(&world, "gouv", "0.05")).await?;
    eventually_ranked(&world, &nodes["gouv"], Some("100")).await?;
    eventually_ranked(&world, &nodes["site"], Some("20")).await?;
    let open = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "later", "namespace": namespace}, "spec": {"schedulingGates": null}});
    world::merge(&world.admin, &open, None).await?;
    world.eventually_placed(&namespace, 7).await?;
    let found = pools_of(&world, &namespace).await?;
    ensure!(found == [("site".to_owned(), 6), ("gouv".to_owned(), 1)].into(), "{found:?}");
    Ok(())
}

async fn spread(context: &Context) -> Result<()> {
    let world = wishing(context, "spreading", &json!({"spread": {"across": "Provider", "minDomains": 2}})).await?;
    let namespace = world.namespace(context, &[]).await?;
    world.eventually_condition("SpreadSatisfiable", "False", "TooFewDomains").await?;
    let gouv = world.node(context, "gouv").await?;
    let told = world.eventually_condition("SpreadSatisfiable", "False", "TooFewDomains").await?;
    let expected = format!("1 can take its pods: {}", world.named("gouv"));
    eventually("the one that is left to be told", SOON, async || {
        let told = world.eventually_condition("SpreadSatisfiable", "False", "TooFewDomains").await?;
        ensure!(told.contains(&expected), "{told}");
        anyhow::Ok(())
    })
    .await
    .with_context(|| told)?;
    for pool in ["gouv", "site", "site", "open"] {
        world.node(context, pool).await?;
    }
    world.eventually_condition("SpreadSatisfiable", "True", "EnoughDomains").await?;
    for (kind, name) in [("Deployment", "api"), ("StatefulSet", "db")] {
        let mut object = workload(kind, &namespace, name, &RESTRICTED);
        object["spec"]["replicas"] = json!(6);
        create(&world.admin, &object).await?;
    }
    world.eventually_placed(&namespace, 12).await?;
    let found = pools_of(&world, &namespace).await?;
    ensure!(
        found == [("gouv".to_owned(), 6), ("site".to_owned(), 6)].into(),
        "half of each at each provider: {found:?}"
    );

    // A wish that has gone binds nobody: what is made next is given none.
    apply(&world.admin, &world.policy()).await?;
    eventually("pods without the wish", SOON, async || {
        let made = create_dry(&world.admin, &owned(&namespace, "free", "ReplicaSet", &json!({}))).await?;
        ensure!(made.data["spec"]["topologySpreadConstraints"].is_null(), "{:#}", made.data["spec"]);
        anyhow::Ok(())
    })
    .await?;
    let stamps = stamps_of(&world.admin, &gouv).await?;
    let ranks: BTreeSet<_> = stamps.keys().filter(|key| key.starts_with("rank.")).collect();
    ensure!(ranks.is_empty(), "{ranks:?}");
    Ok(())
}
