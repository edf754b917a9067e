//! Running pods follow the facts: replacement first, within budgets, and never to nowhere.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::{apps::v1::DaemonSet, core::v1::Pod, events::v1::Event};
use kube::{Api, ResourceExt, api::ListParams};
use rempart::api::PlacementPolicy;
use rempart_core::keys;
use rempart_lab::{ReadinessRecorder, eventually, is_ready};
use serde_json::{Value, json};

use crate::{
    harness::{Context, Trial},
    records::eventually_says,
    world::{SOON, TENANT_LABEL, World, create, merge, namespace, pod, workload},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("migration::a_single_pod_is_replaced_before_it_goes", single_pod),
        Trial::new("migration::what_ran_before_the_policy_is_brought_into_line", new_scope),
        Trial::new("migration::lost_facts_stop_the_move_until_an_officer_says_so", stopped),
        Trial::serial("migration::facts_lost_while_no_operator_runs_stop_the_move_too", unseen),
        Trial::new("migration::budgets_are_respected_and_asked_again", budget),
        Trial::new(
            "migration::past_a_deadline_what_a_budget_refuses_is_told_and_not_deleted_at_its_first_word",
            deadline,
        ),
        Trial::new("migration::what_has_nowhere_to_go_is_kept", stranded),
        Trial::new("migration::a_pod_that_waits_for_a_policy_that_is_gone_is_replaced", stale),
    ]
}

pub(crate) const RESTRICTED: [(&str, &str); 1] = [(keys::SENSITIVITY, "restricted")];

/// Counts the ready pods of the namespace at every change of any of them; begins when they are listed.
async fn readiness(world: &World, namespace: &str) -> Result<ReadinessRecorder<()>> {
    let readiness = ReadinessRecorder::new(Api::namespaced(world.admin.clone(), namespace), |_| Some(()));
    eventually(format!("the pods of {namespace} to be listed"), SOON, async || readiness.least(&()).context("not yet"))
        .await?;
    Ok(readiness)
}

/// Waits until exactly `count` ready pods are in the namespace, all on nodes of `pools`.
async fn eventually_on(world: &World, namespace: &str, count: usize, pools: &[&str]) -> Result<()> {
    let nodes = world.nodes_of(pools).await?;
    let pods: Api<Pod> = Api::namespaced(world.admin.clone(), namespace);
    eventually(format!("{count} pods of {namespace} on {pools:?}"), SOON, async || {
        let pods = pods.list(&ListParams::default()).await?.items;
        let places: Vec<_> = pods
            .iter()
            .filter(|pod| is_ready(pod))
            .map(|pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default())
            .collect();
        let there = places.iter().filter(|node| nodes.contains(*node)).count();
        ensure!(pods.len() == count && there == count, "{} pods, ready ones on {places:?}", pods.len());
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

/// Waits for an event with `reason` on `name`, and gives its note.
pub(crate) async fn eventually_told(world: &World, space: &str, name: &str, reason: &str) -> Result<String> {
    let events: Api<Event> = Api::namespaced(world.admin.clone(), space);
    let note = eventually(format!("an event {reason} on {name}"), SOON, async || {
        let events = events.list(&ListParams::default()).await?.items;
        let about = |event: &&Event| {
            event.reason.as_deref() == Some(reason)
                && event.regarding.as_ref().and_then(|regarding| regarding.name.as_deref()) == Some(name)
        };
        let found = events.iter().find(about).context("none yet")?;
        anyhow::Ok(found.note.clone().unwrap_or_default())
    })
    .await?;
    Ok(note)
}

/// `provider` without its certificate `secnumcloud`.
pub(crate) fn unqualified(world: &World, pool: &str) -> Value {
    let mut provider = world.provider(pool);
    let offer = &mut provider["spec"]["offers"][0];
    offer["qualifications"] = json!([{"scheme": "hds", "validFrom": "2024-01-01"}]);
    provider
}

async fn single_pod(context: &Context) -> Result<()> {
    let world = World::new(context, "single").await?;
    world.node(context, "gouv").await?;
    let space = world.namespace(context, &[]).await?;
    create(&world.admin, &workload("Deployment", &space, "api", &RESTRICTED)).await?;
    let steady = world.namespace(context, &[]).await?;
    eventually_on(&world, &space, 1, &["gouv"]).await?;
    world.node(context, "site").await?;
    // Others of the level stay where they are: what moves is less than half of it.
    let mut others = workload("Deployment", &steady, "others", &[(keys::SENSITIVITY, "restricted")]);
    others["spec"]["replicas"] = json!(3);
    others["spec"]["template"]["spec"]["nodeSelector"] =
        json!({"rempart.node-restriction.kubernetes.io/region": "site"});
    create(&world.admin, &others).await?;
    eventually_on(&world, &steady, 3, &["site"]).await?;

    let readiness = readiness(&world, &space).await?;
    world.apply(unqualified(&world, "gouv")).await?;
    eventually_on(&world, &space, 1, &["site"]).await?;
    ensure!(readiness.least(&()) == Some(1), "{:?} ready pods at some time", readiness.least(&()));
    let note = eventually_told(&world, &space, "api", "Migrating").await?;
    ensure!(note.contains("is not cleared for level restricted of policy"), "{note}");
    eventually_told(&world, &space, "api", "Migrated").await?;
    Ok(())
}

async fn new_scope(context: &Context) -> Result<()> {
    let world = World::new(context, "scope").await?;
    world.node(context, "atlantic").await?;
    // Nobody governs it yet.
    let space = context.unique("scope");
    namespace(&world.admin, &space, &BTreeMap::new()).await?;
    let on_atlantic = json!({crate::world::POOL_LABEL: world.named("atlantic")});
    let unless_moved = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
        "weight": 100,
        "preference": {"matchExpressions": [{
            "key": crate::world::POOL_LABEL, "operator": "In", "values": [world.named("atlantic")],
        }]},
    }]}});
    for kind in ["Deployment", "StatefulSet", "ReplicaSet"] {
        let mut object = workload(kind, &space, &kind.to_lowercase(), &RESTRICTED);
        object["spec"]["replicas"] = json!(2);
        object["spec"]["template"]["spec"]["affinity"] = unless_moved.clone();
        create(&world.admin, &object).await?;
    }
    let mut alone = pod(&space, "alone", &RESTRICTED);
    alone["spec"]["nodeSelector"] = on_atlantic;
    create(&world.admin, &alone).await?;
    let mut agents = workload("DaemonSet", &space, "agent", &RESTRICTED);
    let ours = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{
            "key": crate::world::POOL_LABEL, "operator": "In", "values": [world.named("atlantic"), world.named("gouv")],
        }]},
    ]}}});
    agents["spec"]["template"]["spec"]["affinity"] = ours;
    create(&world.admin, &agents).await?;
    eventually_on(&world, &space, 8, &["atlantic"]).await?;
    world.node(context, "gouv").await?;
    eventually_on(&world, &space, 9, &["atlantic", "gouv"]).await?;

    let labels = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space, "labels": {TENANT_LABEL: world.id}}});
    merge(&world.admin, &labels, None).await?;
    // All but the pod that nobody would make anew.
    let pods: Api<Pod> = Api::namespaced(world.admin.clone(), &space);
    let atlantic = world.nodes_of(&["atlantic"]).await?;
    eventually("all that can to be where it may", SOON, async || {
        let pods = pods.list(&ListParams::default()).await?.items;
        let left: BTreeSet<_> = pods
            .iter()
            .filter(|pod| {
                pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref()).is_some_and(|node| atlantic.contains(node))
            })
            .map(ResourceExt::name_any)
            .collect();
        ensure!(left.iter().eq(["alone"]) && pods.len() == 8, "{left:?} of {}", pods.len());
        ensure!(pods.iter().all(is_ready), "some are not ready");
        anyhow::Ok(())
    })
    .await?;
    let agents: Api<DaemonSet> = Api::namespaced(world.admin.clone(), &space);
    let template = agents.get("agent").await?.spec.map(|spec| spec.template).unwrap_or_default();
    let selector = template.spec.and_then(|spec| spec.node_selector).unwrap_or_default();
    ensure!(selector.contains_key(&world.clearance("restricted")), "{selector:?}");
    Ok(())
}

/// The id that the policy names, once it has stopped a move.
async fn eventually_stopped(world: &World) -> Result<String> {
    let message = world.eventually_condition("MoveStopped", "True", "TooManyAtOnce").await?;
    let (_, id) = message.rsplit_once("rempart.dev/approve-move=").context("no command in the message")?;
    Ok(id.to_owned())
}

async fn stopped(context: &Context) -> Result<()> {
    let world = World::new(context, "stop").await?;
    world.node(context, "gouv").await?;
    let space = world.namespace(context, &[]).await?;
    let mut object = workload("Deployment", &space, "api", &RESTRICTED);
    object["spec"]["replicas"] = json!(3);
    create(&world.admin, &object).await?;
    eventually_on(&world, &space, 3, &["gouv"]).await?;
    let before: BTreeSet<_> = uids(&world, &space).await?;
    world.node(context, "site").await?;
    crate::world::api_of(&world.admin, &world.provider("gouv"))
        .delete(&world.named("gouv"), &kube::api::DeleteParams::default())
        .await?;
    let id = eventually_stopped(&world).await?;
    let policies: Api<PlacementPolicy> = Api::all(world.admin.clone());
    let status = policies.get(&world.id).await?.status.unwrap_or_default();
    let stop = status.stops.first().context("no stop in the status")?;
    ensure!(stop.level == "restricted" && (stop.pods, stop.of) == (3, 3), "{stop:?}");
    ensure!(stop.changes == [format!("CloudProvider {} is gone", world.named("gouv"))], "{stop:?}");
    let events: Api<Event> = Api::namespaced(world.admin.clone(), &space);
    eventually("the Deployment to be told of", SOON, async || {
        let told = events.list(&ListParams::default().fields("reason=MoveStopped")).await?.items;
        let notes: Vec<_> = told.into_iter().filter_map(|event| Some((event.regarding?.name?, event.note?))).collect();
        let gone = format!("CloudProvider {} is gone", world.named("gouv"));
        ensure!(notes.iter().any(|(name, note)| name == "api" && note.contains(&gone)), "{notes:?}");
        anyhow::Ok(())
    })
    .await?;
    // A word that was not asked for is none.
    let approve = |id: &str| {
        json!({
            "apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPolicy",
            "metadata": {"name": world.id, "annotations": {"rempart.dev/approve-move": id}},
        })
    };
    merge(&world.admin, &approve("yes"), None).await?;
    // New pods obey all the while, once the stamp has gone: what is deleted is waited for, for a moment.
    let clearance = world.clearance("restricted");
    for node in world.nodes_of(&["gouv"]).await? {
        eventually("the stamp to go", SOON, async || {
            ensure!(!crate::world::stamps_of(&world.admin, &node).await?.contains_key(&clearance), "{node} carries it");
            anyhow::Ok(())
        })
        .await?;
    }
    create(&world.admin, &pod(&space, "new", &RESTRICTED)).await?;
    let pods: Api<Pod> = Api::namespaced(world.admin.clone(), &space);
    let site = world.nodes_of(&["site"]).await?;
    eventually("the new pod to be on the other pool", SOON, async || {
        let node = pods.get("new").await?.spec.and_then(|spec| spec.node_name).unwrap_or_default();
        ensure!(site.contains(&node), "it is on {node:?}");
        anyhow::Ok(())
    })
    .await?;
    ensure!(uids(&world, &space).await?.is_superset(&before), "something moved without a word");
    merge(&world.admin, &approve(&id), None).await?;
    eventually_on(&world, &space, 4, &["site"]).await?;
    world.eventually_condition("MoveStopped", "False", "NothingStopped").await?;
    Ok(())
}

async fn unseen(context: &Context) -> Result<()> {
    let world = World::new(context, "unseen").await?;
    world.node(context, "gouv").await?;
    let space = world.namespace(context, &[]).await?;
    create(&world.admin, &workload("Deployment", &space, "api", &RESTRICTED)).await?;
    eventually_on(&world, &space, 1, &["gouv"]).await?;
    let before = uids(&world, &space).await?;
    world.node(context, "site").await?;
    context.take_operator().await?.terminate().await.context("it did not say how it ended")?;
    crate::world::api_of(&world.admin, &world.provider("gouv"))
        .delete(&world.named("gouv"), &kube::api::DeleteParams::default())
        .await?;
    context.rempart().await?;
    eventually_stopped(&world).await?;
    let policies: Api<PlacementPolicy> = Api::all(world.admin.clone());
    let status = policies.get(&world.id).await?.status.unwrap_or_default();
    let stop = status.stops.first().context("no stop in the status")?;
    ensure!(stop.level == "restricted" && (stop.pods, stop.of) == (1, 1), "{stop:?}");
    let gone = format!("CloudProvider {} was gone when the operator started", world.named("gouv"));
    ensure!(stop.changes == [gone], "{stop:?}");
    ensure!(uids(&world, &space).await? == before, "something moved without a word");
    approve(&world).await?;
    eventually_on(&world, &space, 1, &["site"]).await?;
    world.eventually_condition("MoveStopped", "False", "NothingStopped").await?;
    Ok(())
}

async fn uids(world: &World, space: &str) -> Result<BTreeSet<String>> {
    let pods: Api<Pod> = Api::namespaced(world.admin.clone(), space);
    Ok(pods.list(&ListParams::default()).await?.iter().filter_map(ResourceExt::uid).collect())
}

/// Lets a stopped move go on.
pub(crate) async fn approve(world: &World) -> Result<()> {
    let id = eventually_stopped(world).await?;
    let object = json!({
        "apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPolicy",
        "metadata": {"name": world.id, "annotations": {"rempart.dev/approve-move": id}},
    });
    merge(&world.admin, &object, None).await?;
    Ok(())
}

async fn budget(context: &Context) -> Result<()> {
    let world = World::new(context, "budget").await?;
    world.node(context, "gouv").await?;
    let space = world.namespace(context, &[]).await?;
    let mut set = workload("StatefulSet", &space, "db", &RESTRICTED);
    set["spec"]["replicas"] = json!(2);
    create(&world.admin, &set).await?;
    eventually_on(&world, &space, 2, &["gouv"]).await?;
    let mut budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "db", "namespace": space},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "db"}}},
    });
    create(&world.admin, &budget).await?;
    let before = uids(&world, &space).await?;
    world.node(context, "site").await?;
    world.apply(unqualified(&world, "gouv")).await?;
    approve(&world).await?;
    eventually("an eviction to be refused", SOON, async || {
        let counts = context.operator_get("/metrics").await?;
        let refused = counts.lines().find(|line| {
            line.starts_with("rempart_writes_total") && line.contains("eviction") && line.contains("failure")
        });
        ensure!(refused.is_some_and(|line| !line.ends_with(" 0")), "none is yet");
        anyhow::Ok(())
    })
    .await?;
    ensure!(uids(&world, &space).await? == before, "a pod was taken though the budget forbade it");
    budget["spec"]["minAvailable"] = json!(1);
    merge(&world.admin, &budget, None).await?;
    let readiness = readiness(&world, &space).await?;
    eventually_on(&world, &space, 2, &["site"]).await?;
    ensure!(readiness.least(&()) == Some(1), "one by one, not {:?} at some time", readiness.least(&()));
    Ok(())
}

/// A `StatefulSet` of level restricted with so many pods on `gouv`, and a budget that never lets one go.
async fn held_by_budget(context: &Context, world: &World, name: &str, pods: usize) -> Result<String> {
    let space = world.namespace(context, &[]).await?;
    let mut set = workload("StatefulSet", &space, name, &RESTRICTED);
    set["spec"]["replicas"] = json!(pods);
    create(&world.admin, &set).await?;
    eventually_on(world, &space, pods, &["gouv"]).await?;
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": space},
        "spec": {"minAvailable": pods, "selector": {"matchLabels": {"app": name}}},
    });
    create(&world.admin, &budget).await?;
    Ok(space)
}

async fn deadline(context: &Context) -> Result<()> {
    let world = World::new(context, "deadline").await?;
    let mut policy = world.policy();
    for level in
        policy["spec"]["levels"].as_array_mut().into_iter().flatten().filter(|level| level["name"] == "restricted")
    {
        level["onClearanceLoss"] = json!({"deadline": "30s"});
    }
    world.apply(policy).await?;
    world.enforced(context).await?;
    world.node(context, "gouv").await?;
    let several = held_by_budget(context, &world, "db", 2).await?;
    let single = held_by_budget(context, &world, "alone", 1).await?;
    let (before, alone) = (uids(&world, &several).await?, uids(&world, &single).await?);
    world.node(context, "site").await?;
    world.apply(unqualified(&world, "gouv")).await?;
    approve(&world).await?;
    let told = eventually_told(&world, &several, "db", "DeadlineNear").await?;
    ensure!(told.contains("stands where it may not, since "), "{told}");
    ensure!(
        uids(&world, &several).await? == before,
        "a pod was taken before the deadline though the budget forbade it"
    );
    // A budget may have room in a moment: only one that says no for ten minutes is passed over.
    eventually_says(&world, &several, "statefulset-db", "Migrating", "DisruptionBudget").await?;
    // The last that is ready stays, though its deadline has passed as well.
    let said = eventually_says(&world, &single, "statefulset-alone", "Migrating", "DisruptionBudget").await?;
    eventually("the deadline to be told as passed", SOON, async || {
        let said = eventually_says(&world, &single, "statefulset-alone", "Migrating", "DisruptionBudget").await?;
        ensure!(said.contains("as soon as another pod of its workload is ready"), "{said}");
        anyhow::Ok(())
    })
    .await?;
    ensure!(uids(&world, &single).await? == alone, "the last ready pod was taken: {said}");
    ensure!(uids(&world, &several).await? == before, "a pod was deleted at the first word of its budget");
    Ok(())
}

async fn stranded(context: &Context) -> Result<()> {
    let world = World::new(context, "strand").await?;
    world.node(context, "gouv").await?;
    let space = world.namespace(context, &[]).await?;
    create(&world.admin, &workload("Deployment", &space, "api", &RESTRICTED)).await?;
    create(&world.admin, &workload("StatefulSet", &space, "db", &RESTRICTED)).await?;
    eventually_on(&world, &space, 2, &["gouv"]).await?;
    let before = uids(&world, &space).await?;
    // The other cleared pool has no node.
    world.apply(unqualified(&world, "gouv")).await?;
    approve(&world).await?;
    world.eventually_condition("MoveStopped", "False", "NothingStopped").await?;
    // What is replaced first may begin, and waits for a node; the other is kept.
    let empty = format!("pool {}, which would do, has no node", world.named("site"));
    eventually_says(&world, &space, "deployment-api", "Placeable", "NoClearedNode").await?;
    let message = eventually_says(&world, &space, "statefulset-db", "Migrating", "NoClearedNode").await?;
    ensure!(message.contains(&empty), "{message}");
    // A node that can take them: it shows that the move was awaited, and not forgotten.
    ensure!(uids(&world, &space).await?.is_superset(&before), "something was moved to nowhere");
    world.node(context, "site").await?;
    eventually_on(&world, &space, 2, &["site"]).await?;
    Ok(())
}

async fn stale(context: &Context) -> Result<()> {
    let world = World::new(context, "stale").await?;
    world.node(context, "open").await?;
    let space = world.namespace(context, &[]).await?;
    // Nothing is cleared: it waits.
    create(&world.admin, &workload("StatefulSet", &space, "db", &RESTRICTED)).await?;
    let pods: Api<Pod> = Api::namespaced(world.admin.clone(), &space);
    let first = eventually("a pod that waits", SOON, async || {
        let pod = pods.get("db-0").await?;
        let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let waits = conditions.into_iter().any(|condition| condition.reason.as_deref() == Some("Unschedulable"));
        ensure!(waits, "it does not yet");
        anyhow::Ok(pod)
    })
    .await?;
    let policies: Api<PlacementPolicy> = Api::all(world.admin.clone());
    policies.delete(&world.id, &kube::api::DeleteParams::default()).await?;
    eventually("the pod to be replaced and placed", SOON, async || {
        let pod = pods.get("db-0").await?;
        ensure!(pod.uid() != first.uid() && is_ready(&pod), "it is not");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}
