//! `rempart check` and what people see, on a control plane of their own: what `helm test` says is so, with the rights that the
//! chart gives it, and a developer reads levels without being told that they may not.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rempart_lab::{ControlPlane, ControlPlaneOptions, chart::ChartRenderer, eventually};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    harness::{Context, Trial},
    world::{SOON, apply},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("checking::it_fails_unless_the_operator_leads_and_admission_is_in_force", check),
        Trial::new("checking::a_developer_is_never_told_that_levels_are_forbidden", developer),
    ]
}

/// How `rempart check` ends with this kubeconfig, and all that it says.
async fn checked(kubeconfig: &Path, seconds: &str) -> Result<(Option<i32>, String)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rempart"));
    command.args(["check", "--timeout", seconds]).env_clear().env("KUBECONFIG", kubeconfig).env("HOME", "/nonexistent");
    let output = command.output().await?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Ok((output.status.code(), said))
}

/// The kubeconfig of the hook's own account, with the rights that the chart gives it while it runs.
async fn account(cluster: &ControlPlane) -> Result<std::path::PathBuf> {
    let renderer = ChartRenderer::locate().await?;
    let arguments = ["--kube-version", "1.36.0", "--show-only", "templates/tests/check.yaml"];
    for object in serde_saphyr::from_multiple::<Value>(&renderer.template(arguments)?)? {
        if object["kind"] != "Pod" {
            apply(&cluster.admin(), &object).await?;
        }
    }
    Ok(cluster.service_account_kubeconfig("rempart-system", "rempart-check").await?)
}

async fn check(_: &Context) -> Result<()> {
    let cluster = ControlPlane::start(ControlPlaneOptions::default()).await?;
    let (code, said) = checked(cluster.admin_kubeconfig(), "1").await?;
    ensure!(code == Some(2) && said.contains("policies cannot be listed"), "nothing is installed: {code:?} {said}");
    cluster.install_chart(&json!({})).await?;
    let account = &account(&cluster).await?;
    let (code, said) = checked(account, "3").await?;
    ensure!(code == Some(1), "nobody runs: {code:?} {said}");
    for name in ["rempart", "rempart-admission"] {
        ensure!(said.contains(&format!("no replica of {name} writes: nobody holds the lease")), "{said}");
    }

    let operator = cluster.start_operator::<&str>([]).await?;
    let policy = json!({
        "apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": {"name": "state"},
        "spec": {"mode": "Enforce", "defaultLevel": "internal", "levels": [{"name": "internal"}]},
    });
    apply(&cluster.admin(), &policy).await?;
    let (code, said) = checked(account, "60").await?;
    ensure!(
        code == Some(0) && said.contains("12 admission objects of the chart as they must be, 1 policy in Enforce"),
        "{code:?} {said}"
    );

    cluster.kubectl(["delete", "validatingadmissionpolicybinding", "rempart-stamps"]).run().await?;
    let (code, said) = checked(account, "5").await?;
    ensure!(code == Some(1), "{code:?} {said}");
    ensure!(said.contains("ValidatingAdmissionPolicyBinding rempart-stamps is missing"), "{said}");

    // Its lease is given back when it ends, and still held when it is killed.
    operator.kill_admission().await;
    let (code, said) = checked(account, "5").await?;
    ensure!(code == Some(1) && said.contains("no replica of rempart-admission writes"), "{code:?} {said}");
    ensure!(!said.contains("no replica of rempart writes"), "{said}");
    Ok(())
}

async fn developer(_: &Context) -> Result<()> {
    let cluster = ControlPlane::start(ControlPlaneOptions::default()).await?;
    cluster.install_chart(&json!({})).await?;
    cluster.kubectl(["create", "namespace", "team"]).run().await?;
    cluster.kubectl(["create", "rolebinding", "ada", "-n", "team", "--clusterrole=edit", "--user=ada"]).run().await?;
    let kubeconfig = cluster.user_kubeconfig("ada", &[])?;
    let get = async || cluster.kubectl(["get", "rempart", "-n", "team"]).kubeconfig(&kubeconfig).output().await;
    // Roles are aggregated, and read by the authorizer, in moments of their own.
    eventually("the developer's rights to act", SOON, async || {
        let said = get().await?;
        ensure!(said.status.success() && !said.stderr.contains("forbidden"), "{}", said.stderr);
        anyhow::Ok(())
    })
    .await?;
    cluster.install_chart(&json!({"people": {"levelsReaders": []}})).await?;
    eventually("the right to end", SOON, async || {
        let said = get().await?.stderr;
        let number = said.matches("cannot list resource").count();
        ensure!(number == 3, "{number} times: {said}");
        anyhow::Ok(())
    })
    .await
    .context("without the binding, which shows that it is what lets them")?;
    Ok(())
}
