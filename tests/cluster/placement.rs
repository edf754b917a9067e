//! The main job: annotated workloads run where policy clears them, and nowhere else.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
use k8s_openapi::api::{apps::v1::Deployment, batch::v1::Job, core::v1::Pod};
use kube::{Api, api::ListParams};
use rempart_core::keys;
use rempart_lab::eventually;
use serde_json::json;

use crate::{
    harness::{Context, Trial},
    world::{SOON, World, create, pod, workload},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("placement::a_restricted_deployment_runs_on_cleared_nodes_alone", deployment),
        Trial::new("placement::a_restricted_statefulset_runs_on_cleared_nodes_alone", stateful_set),
        Trial::new("placement::a_restricted_daemonset_runs_on_every_cleared_node_and_on_no_other", daemon_set),
        Trial::new("placement::a_restricted_job_runs_on_cleared_nodes_alone", job),
        Trial::new("placement::a_restricted_cronjob_runs_on_cleared_nodes_alone", cron_job),
        Trial::new("placement::a_restricted_replicaset_runs_on_cleared_nodes_alone", replica_set),
        Trial::new("placement::a_bare_restricted_pod_runs_on_a_cleared_node", bare_pod),
        Trial::new("placement::a_workload_on_which_nobody_says_anything_has_the_default_level", default_level),
        Trial::new("placement::a_public_pod_may_run_on_a_node_outside_the_catalogue", public_pod),
        Trial::new("placement::the_level_of_a_namespace_holds_for_all_in_it", namespace_level),
        Trial::new("placement::nobody_lowers_what_another_has_raised", most_sensitive),
        Trial::new("placement::a_category_narrows_a_level", category),
        Trial::new("placement::the_categories_of_a_namespace_hold_for_all_in_it", namespace_category),
        Trial::new("placement::a_namespace_outside_the_policy_is_left_alone", ungoverned),
    ]
}

const RESTRICTED: [(&str, &str); 1] = [(keys::SENSITIVITY, "restricted")];

/// Waits for `count` pods, and checks that none is anywhere but in these pools.
async fn only_in(world: &World, namespace: &str, count: usize, pools: &[&str]) -> Result<BTreeSet<String>> {
    let nodes = world.eventually_placed(namespace, count).await?;
    let allowed = world.nodes_of(pools).await?;
    ensure!(nodes.is_subset(&allowed), "pods are on {nodes:?}, allowed are {allowed:?}");
    Ok(nodes)
}

async fn deployment(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    let mut deployment = workload("Deployment", &namespace, "api", &RESTRICTED);
    deployment["spec"]["replicas"] = json!(12);
    create(&world.admin, &deployment).await?;
    let nodes = only_in(world, &namespace, 12, &["gouv", "site"]).await?;
    ensure!(nodes.len() == 4, "twelve pods spread over the four cleared nodes, not {nodes:?}");

    let stored: Api<Deployment> = Api::namespaced(world.admin.clone(), &namespace);
    let template = stored.get("api").await?.spec.unwrap_or_default().template;
    let selector = template.spec.and_then(|spec| spec.node_selector);
    ensure!(selector == Some([(world.clearance("restricted"), "true".to_owned())].into()), "{selector:?}");
    let mirror = template.metadata.and_then(|metadata| metadata.annotations);
    ensure!(mirror == Some([(keys::WORKLOAD_SENSITIVITY.to_owned(), "restricted".to_owned())].into()), "{mirror:?}");
    ensure!(replica_sets(world, &namespace).await? == 1, "admission made the Deployment roll");
    Ok(())
}

async fn replica_sets(world: &World, namespace: &str) -> Result<usize> {
    let sets: Api<k8s_openapi::api::apps::v1::ReplicaSet> = Api::namespaced(world.admin.clone(), namespace);
    Ok(sets.list(&ListParams::default()).await?.items.len())
}

async fn stateful_set(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    let mut set = workload("StatefulSet", &namespace, "db", &RESTRICTED);
    set["spec"]["replicas"] = json!(4);
    create(&world.admin, &set).await?;
    only_in(world, &namespace, 4, &["gouv", "site"]).await?;
    Ok(())
}

async fn daemon_set(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    create(&world.admin, &workload("DaemonSet", &namespace, "agent", &RESTRICTED)).await?;
    let cleared = world.nodes_of(&["gouv", "site"]).await?;
    let nodes = only_in(world, &namespace, cleared.len(), &["gouv", "site"]).await?;
    ensure!(nodes == cleared, "it runs on {nodes:?} of {cleared:?}");
    let pods = Api::<Pod>::namespaced(world.admin.clone(), &namespace).list(&ListParams::default()).await?.items;
    ensure!(pods.len() == cleared.len(), "{} pods for {} nodes", pods.len(), cleared.len());
    Ok(())
}

async fn job(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    let mut job = workload("Job", &namespace, "report", &RESTRICTED);
    job["spec"]["parallelism"] = json!(4);
    job["spec"]["completions"] = json!(4);
    create(&world.admin, &job).await?;
    only_in(world, &namespace, 4, &["gouv", "site"]).await?;
    let jobs: Api<Job> = Api::namespaced(world.admin.clone(), &namespace);
    eventually("the Job to succeed", SOON, async || {
        let succeeded = jobs.get("report").await?.status.and_then(|status| status.succeeded);
        ensure!(succeeded == Some(4), "{succeeded:?} of its pods have");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

async fn cron_job(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    let created = create(&world.admin, &workload("CronJob", &namespace, "nightly", &RESTRICTED)).await?;
    let template = &created.data["spec"]["jobTemplate"]["spec"]["template"];
    ensure!(template["spec"]["nodeSelector"] == json!({world.clearance("restricted"): "true"}), "{template:#}");
    // Its schedule comes round once a minute.
    let pods: Api<Pod> = Api::namespaced(world.admin.clone(), &namespace);
    eventually("the CronJob's pod", Duration::from_secs(80), async || {
        let pods = pods.list(&ListParams::default()).await?.items;
        ensure!(!pods.is_empty(), "there is none");
        anyhow::Ok(())
    })
    .await?;
    only_in(world, &namespace, 1, &["gouv", "site"]).await?;
    Ok(())
}

async fn replica_set(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    let mut set = workload("ReplicaSet", &namespace, "old-style", &RESTRICTED);
    set["spec"]["replicas"] = json!(3);
    create(&world.admin, &set).await?;
    only_in(world, &namespace, 3, &["gouv", "site"]).await?;
    Ok(())
}

async fn bare_pod(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    create(&world.admin, &pod(&namespace, "alone", &[(keys::SENSITIVITY, "secret")])).await?;
    only_in(world, &namespace, 1, &["site"]).await?;
    Ok(())
}

async fn default_level(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    let mut deployment = workload("Deployment", &namespace, "web", &[]);
    deployment["spec"]["replicas"] = json!(12);
    let created = create(&world.admin, &deployment).await?;
    let selector = &created.data["spec"]["template"]["spec"]["nodeSelector"];
    ensure!(*selector == json!({world.clearance("internal"): "true"}), "{selector}");
    only_in(world, &namespace, 12, &["gouv", "site", "open"]).await?;
    Ok(())
}

async fn public_pod(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    let node = context.unique("beach");
    context.cluster.add_node(rempart_lab::FakeNode::new(&node)).await?;
    let mut public = pod(&namespace, "poster", &[(keys::SENSITIVITY, "public")]);
    public["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": node});
    let created = create(&world.admin, &public).await?;
    let selector = &created.data["spec"]["nodeSelector"];
    ensure!(*selector == json!({"kubernetes.io/hostname": node}), "{selector}");
    let nodes = world.eventually_placed(&namespace, 1).await?;
    ensure!(nodes == [node.clone()].into(), "it is on {nodes:?}, not {node}");
    Ok(())
}

async fn namespace_level(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[(keys::SENSITIVITY, "restricted")]).await?;
    let mut deployment = workload("Deployment", &namespace, "web", &[]);
    deployment["spec"]["replicas"] = json!(8);
    create(&world.admin, &deployment).await?;
    create(&world.admin, &pod(&namespace, "alone", &[])).await?;
    only_in(world, &namespace, 9, &["gouv", "site"]).await?;
    ensure!(replica_sets(world, &namespace).await? == 1, "admission made the Deployment roll");
    Ok(())
}

async fn most_sensitive(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[(keys::SENSITIVITY, "restricted")]).await?;
    let selector_of = async |name: &str, own: &str, of_template: &str| -> Result<serde_json::Value> {
        let mut deployment = workload("Deployment", &namespace, name, &[(keys::SENSITIVITY, own)]);
        deployment["spec"]["template"]["metadata"]["annotations"] = json!({keys::SENSITIVITY: of_template});
        create(&world.admin, &deployment).await?;
        eventually(format!("the pod of {name}"), SOON, async || {
            let pods: Api<Pod> = Api::namespaced(world.admin.clone(), &namespace);
            let pods = pods.list(&ListParams::default().labels(&format!("app={name}"))).await?.items;
            ensure!(pods.len() == 1, "there are {}", pods.len());
            anyhow::Ok(json!(pods[0].spec.as_ref().and_then(|spec| spec.node_selector.clone())))
        })
        .await
        .map_err(Into::into)
    };
    for (name, own, of_template, effective) in [
        ("lowers", "public", "internal", "restricted"),
        ("workload-raises", "secret", "public", "secret"),
        ("template-raises", "public", "secret", "secret"),
    ] {
        let selector = selector_of(name, own, of_template).await?;
        ensure!(selector == json!({world.clearance(effective): "true"}), "{name}: {selector}");
    }
    only_in(world, &namespace, 3, &["gouv", "site"]).await?;
    Ok(())
}

async fn category(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    let notes = [(keys::SENSITIVITY, "restricted"), (keys::CATEGORIES, "finance,health")];
    let mut deployment = workload("Deployment", &namespace, "records", &notes);
    deployment["spec"]["replicas"] = json!(6);
    let created = create(&world.admin, &deployment).await?;
    let selector = &created.data["spec"]["template"]["spec"]["nodeSelector"];
    let expected = json!({world.clearance("restricted"): "true", world.category("health"): "true"});
    ensure!(*selector == expected, "{selector}");
    only_in(world, &namespace, 6, &["gouv"]).await?;
    Ok(())
}

async fn namespace_category(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[(keys::CATEGORIES, "health.finance")]).await?;
    let mut deployment = workload("Deployment", &namespace, "records", &[(keys::SENSITIVITY, "public")]);
    deployment["spec"]["replicas"] = json!(6);
    create(&world.admin, &deployment).await?;
    create(&world.admin, &pod(&namespace, "alone", &[])).await?;
    let nodes = only_in(world, &namespace, 7, &["gouv", "open", "atlantic"]).await?;
    ensure!(!nodes.is_disjoint(&world.nodes_of(&["atlantic"]).await?), "a public pod with health may cross the ocean");
    Ok(())
}

async fn ungoverned(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = context.namespace("elsewhere", &[]).await?;
    let created = create(&world.admin, &workload("Deployment", &namespace, "api", &RESTRICTED)).await?;
    let template = &created.data["spec"]["template"];
    ensure!(template["spec"].get("nodeSelector").is_none(), "{template:#}");
    let created = create(&world.admin, &pod(&namespace, "odd", &[(keys::SENSITIVITY, "no such level")])).await?;
    ensure!(created.data["spec"].get("nodeSelector").is_none(), "{:#}", created.data);
    Ok(())
}
