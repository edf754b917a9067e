//! Sets the stage: a control plane, the chart, the operator, nodes, the catalogue, the policy, workloads.

use anyhow::{Context, Result};
use serde_json::json;

use super::{
    people::{People, Person},
    settle::{self, Earlier},
    snapshot::Snapshot,
};
use crate::{ControlPlane, OperatorProcess, Options, Progress};

/// The policy of `deploy/demo/policy.yaml`.
const POLICY: &str = "state";

/// Boots a control plane with Rempart on it.
pub(super) async fn boot(progress: Progress) -> Result<(ControlPlane, OperatorProcess)> {
    let options = Options { progress: Some(progress), ..Options::default() };
    let cluster = ControlPlane::start(options).await?;
    let step = progress.step("installing Rempart's chart with helm");
    cluster.install_chart(&json!({})).await?;
    step.done();
    let step = progress.step("starting the operator, with the ServiceAccount of the chart");
    let operator = cluster.start_operator([""; 0]).await?;
    step.done();
    Ok((cluster, operator))
}

/// Has people declare what there is, and waits until all of it is judged, stamped and placed.
pub(super) async fn set(cluster: &ControlPlane, progress: Progress) -> Result<(People, Snapshot)> {
    let step = progress.step("nodes of four providers and a hospital, the catalogue, the policy");
    Person::administrator(cluster).must(cluster, &["apply", "-f", "deploy/demo/people.yaml"]).await?;
    let people = People::of(cluster)?;
    people.engineer.must(cluster, &["apply", "-f", "deploy/demo/nodes.yaml"]).await?;
    people.engineer.must(cluster, &["apply", "-f", "deploy/demo/catalogue/pools.yaml"]).await?;
    for file in providers()? {
        people.officer.must(cluster, &["apply", "-f", &file]).await?;
    }
    people.officer.must(cluster, &["apply", "-f", "deploy/demo/policy.yaml"]).await?;
    settle::stamped(&cluster.admin(), POLICY, &step).await?;
    let ready = ["wait", "--for=condition=Ready", "nodes", "--all", "--timeout=60s"];
    people.engineer.must(cluster, &ready).await?;
    step.done();

    let step = progress.step("the workloads of a ministry and of a hospital");
    people.engineer.must(cluster, &["apply", "-f", "deploy/demo/namespaces.yaml"]).await?;
    people.developer.must(cluster, &["apply", "-f", "deploy/demo/workloads"]).await?;
    let run = ["create", "job", "invoices-november", "--from=cronjob/invoices", "-n", "valmont"];
    people.developer.must(cluster, &run).await?;
    let seen = settle::placed(&cluster.admin(), POLICY, &step, &Earlier::new()).await?;
    step.done();
    Ok((people, seen))
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
