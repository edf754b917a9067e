//! The control plane is what it claims to be.

use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use rempart_lab::{Component, FakeNode, eventually};
use serde_json::json;

use crate::harness::{Context, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("smoke::a_pod_on_a_node_of_kwok_runs", a_pod_on_a_node_of_kwok_runs),
        Trial::new("smoke::a_job_succeeds", a_job_succeeds),
        Trial::new("smoke::a_kubelet_may_not_stamp_its_own_node", a_kubelet_may_not_stamp_its_own_node),
        Trial::new("smoke::a_service_account_may_only_what_its_roles_allow", service_account),
        Trial::new("smoke::the_operator_works_with_its_own_token", the_operator_works_with_its_own_token),
        Trial::serial("smoke::every_component_can_crash", every_component_can_crash),
    ]
}

async fn a_pod_on_a_node_of_kwok_runs(context: &Context) -> Result<()> {
    let node = context.unique("runs");
    context.cluster.add_node(FakeNode::new(&node).label("smoke", &node)).await?;
    let namespace = context.namespace("runs", &[]).await?;
    let pods: Api<Pod> = Api::namespaced(context.cluster.admin(), &namespace);
    let pod = serde_json::from_value(json!({
        "metadata": {"name": "bare"},
        "spec": {
            "nodeSelector": {"smoke": node},
            "containers": [{"name": "main", "image": "example.test/none"}],
        },
    }))?;
    pods.create(&PostParams::default(), &pod).await?;
    eventually("the pod to run", Duration::from_secs(20), async || {
        let pod = pods.get("bare").await?;
        let on = pod.spec.and_then(|spec| spec.node_name);
        let phase = pod.status.and_then(|status| status.phase);
        ensure!(phase.as_deref() == Some("Running"), "its phase is {phase:?}");
        ensure!(on.as_ref() == Some(&node), "it is on {on:?}");
        Ok(())
    })
    .await?;
    Ok(())
}

async fn a_job_succeeds(context: &Context) -> Result<()> {
    let node = context.unique("job");
    context.cluster.add_node(FakeNode::new(&node)).await?;
    let namespace = context.namespace("job", &[]).await?;
    let job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "brief", "namespace": namespace},
        "spec": {"template": {"spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "example.test/none"}],
        }}},
    });
    context.cluster.apply(&job.to_string()).await?;
    context
        .cluster
        .kubectl(["wait", "--for=condition=complete", "--timeout=30s", "job/brief", "-n", &namespace])
        .run()
        .await?;
    Ok(())
}

async fn a_kubelet_may_not_stamp_its_own_node(context: &Context) -> Result<()> {
    let node = context.unique("kubelet");
    context.cluster.add_node(FakeNode::new(&node)).await?;
    let kubeconfig = context.cluster.user_kubeconfig(&format!("system:node:{node}"), &["system:nodes"])?;
    let label = async |label: &str| {
        let arguments = ["label", "node", &node, label];
        context.cluster.kubectl(arguments).kubeconfig(&kubeconfig).output().await
    };
    let own = label("node.example.test/own=yes").await?;
    ensure!(own.status.success(), "a label without protection is refused: {}", own.stderr);
    let stamp = label("rempart.node-restriction.kubernetes.io/pool=gouv").await?;
    ensure!(!stamp.status.success(), "a kubelet has stamped its own node");
    ensure!(stamp.stderr.contains("is not allowed to modify labels"), "{}", stamp.stderr);

    let nodes: Api<Node> = Api::all(context.cluster.admin());
    let labels = nodes.get(&node).await?.metadata.labels.unwrap_or_default();
    ensure!(!labels.keys().any(|key| key.contains("node-restriction")), "{labels:?}");
    Ok(())
}

async fn service_account(context: &Context) -> Result<()> {
    let namespace = context.namespace("account", &[]).await?;
    let kubeconfig = context.cluster.service_account_kubeconfig(&namespace, "default").await?;
    let as_account =
        async |arguments: &[&str]| context.cluster.kubectl(arguments).kubeconfig(&kubeconfig).output().await;
    let who = as_account(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]).await?;
    ensure!(who.stdout == format!("system:serviceaccount:{namespace}:default"), "{who:?}");
    let nodes = as_account(&["get", "nodes"]).await?;
    ensure!(nodes.stderr.contains("cannot list resource \"nodes\""), "{nodes:?}");
    Ok(())
}

async fn the_operator_works_with_its_own_token(context: &Context) -> Result<()> {
    context.rempart().await?;
    let metrics = context.operator_get("/metrics").await?;
    ensure!(metrics.contains("rempart_"), "the operator has no metrics: {metrics}");
    Ok(())
}

async fn every_component_can_crash(context: &Context) -> Result<()> {
    let cluster = &context.cluster;
    let namespace = context.namespace("outlives", &[]).await?;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.admin(), &namespace);
    for (round, component) in Component::ALL.into_iter().enumerate() {
        let before = cluster.pid(component).await?;
        let map = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "kept"},
            "data": {"round": round.to_string()},
        });
        maps.patch("kept", &PatchParams::apply("smoke"), &Patch::Apply(&map)).await?;

        cluster.kill(component).await?;
        ensure!(cluster.pid(component).await.is_err(), "{component} runs on");
        cluster.start_again(component).await?;
        ensure!(cluster.pid(component).await? != before, "{component} is still the old process");

        eventually("the data to be there", Duration::from_secs(30), async || {
            let data = maps.get("kept").await?.data.unwrap_or_default();
            ensure!(data.get("round") == Some(&round.to_string()), "{data:?}");
            Ok(())
        })
        .await?;
    }
    // The whole chain works again: controllers, scheduler and kubelets have found their server.
    a_pod_on_a_node_of_kwok_runs(context).await
}
