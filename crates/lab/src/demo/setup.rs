//! Setup of the demo: a control plane, the chart, the operator, nodes, the catalogue, the policy, workloads.
//!
//! [`boot`] returns a cluster on which Rempart runs; [`populate`] applies the manifests of `deploy/demo` as the actors
//! and returns when all of it is judged, stamped and placed.

use anyhow::{Context, Result};
use serde_json::json;

use super::{
    actors::{DemoActor, DemoActors},
    propagation::{self, RetainedPods},
    snapshot::ClusterSnapshot,
};
use crate::{ControlPlane, ControlPlaneOptions, OperatorProcess, ProgressDisplay};

/// The policy of `deploy/demo/policy.yaml`.
const POLICY: &str = "state";

/// Boots a control plane with Rempart on it.
pub(super) async fn boot(progress: ProgressDisplay) -> Result<(ControlPlane, OperatorProcess)> {
    let options = ControlPlaneOptions { progress: Some(progress), ..ControlPlaneOptions::default() };
    let cluster = ControlPlane::start(options).await?;
    let step = progress.step("installing Rempart's chart with helm");
    cluster.install_chart(&json!({})).await?;
    step.done();
    let step = progress.step("starting the operator, with the ServiceAccount of the chart");
    let operator = cluster.start_operator([""; 0]).await?;
    step.done();
    Ok((cluster, operator))
}

/// Applies nodes, catalogue, policy and workloads, and waits until all of it is judged, stamped and placed.
pub(super) async fn populate(
    cluster: &ControlPlane,
    progress: ProgressDisplay,
) -> Result<(DemoActors, ClusterSnapshot)> {
    let step = progress.step("nodes of four providers and a hospital, the catalogue, the policy");
    DemoActor::administrator(cluster).must(cluster, &["apply", "-f", "deploy/demo/people.yaml"]).await?;
    let actors = DemoActors::of(cluster)?;
    actors.engineer.must(cluster, &["apply", "-f", "deploy/demo/nodes.yaml"]).await?;
    actors.engineer.must(cluster, &["apply", "-f", "deploy/demo/catalogue/pools.yaml"]).await?;
    for file in providers()? {
        actors.officer.must(cluster, &["apply", "-f", &file]).await?;
    }
    actors.officer.must(cluster, &["apply", "-f", "deploy/demo/policy.yaml"]).await?;
    propagation::stamps_propagated(&cluster.admin(), POLICY, &step).await?;
    let ready = ["wait", "--for=condition=Ready", "nodes", "--all", "--timeout=60s"];
    actors.engineer.must(cluster, &ready).await?;
    step.done();

    let step = progress.step("the workloads of a ministry and of a hospital");
    actors.engineer.must(cluster, &["apply", "-f", "deploy/demo/namespaces.yaml"]).await?;
    actors.developer.must(cluster, &["apply", "-f", "deploy/demo/workloads"]).await?;
    let run = ["create", "job", "invoices-november", "--from=cronjob/invoices", "-n", "valmont"];
    actors.developer.must(cluster, &run).await?;
    let seen = propagation::pods_placed(&cluster.admin(), POLICY, &step, &RetainedPods::new()).await?;
    step.done();
    Ok((actors, seen))
}

/// The files of the catalogue that state facts of providers.
fn providers() -> Result<Vec<String>> {
    let directory = "deploy/demo/catalogue";
    let entries = std::fs::read_dir(directory).with_context(|| format!("{directory} cannot be read"))?;
    let mut files = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(stem) = name.strip_suffix(".yaml").filter(|stem| *stem != "pools") {
            files.push(format!("{directory}/{stem}.yaml"));
        }
    }
    files.sort_unstable();
    Ok(files)
}
