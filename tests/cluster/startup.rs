//! Start-up: whatever keeps the operator from starting or from working is said in a sentence.

use std::{
    fmt::Write as _,
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rempart_lab::{ControlPlane, ControlPlaneOptions, MutationChoice, eventually};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    harness::{Context, Trial},
    world::{SOON, World, api_of, apply, merge},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("startup::wrong_flags_are_refused_with_a_sentence", flags),
        Trial::new("startup::an_unusable_kubeconfig_is_refused_with_a_sentence", kubeconfig),
        Trial::new("startup::an_address_that_is_taken_is_refused_by_name", address),
        Trial::new("startup::an_api_server_without_mutating_admission_policies_is_refused_by_name", old_api_server),
        Trial::new("startup::a_release_in_the_namespace_default_is_refused_with_a_sentence", in_default),
        Trial::new("startup::trials_run_the_operator_as_the_chart_does", environment),
        Trial::serial("startup::a_missing_permission_to_read_shows_and_heals", may_not_read),
        Trial::serial("startup::a_missing_permission_to_write_shows_and_heals", may_not_write),
    ]
}

/// Runs `rempart run` to its end.
async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rempart"));
    command.arg("run").args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    for variable in ["KUBECONFIG", "RUST_LOG", "POD_NAMESPACE", "POD_NAME", "KUBERNETES_SERVICE_HOST", "HOME"] {
        command.env_remove(variable);
    }
    command.envs(environment.iter().copied());
    let output = tokio::time::timeout(Duration::from_secs(20), command.output());
    Ok(output.await.with_context(|| format!("rempart run {arguments:?} runs on"))??)
}

async fn flags(_: &Context) -> Result<()> {
    for (arguments, sentence) in [
        (&["--listen=here"][..], "invalid value 'here' for '--listen <ADDRESS:PORT>'"),
        (&["--listen=127.0.0.1:99999"], "invalid value '127.0.0.1:99999'"),
        (&["--namespace=Rempart_System"], "a namespace is at most 63 lower-case letters, digits and '-'"),
        (&["--exempt-namespaces=kube-system,,a"], "a namespace is at most 63 lower-case letters, digits and '-'"),
        (&["--identity="], "a value is required for '--identity <NAME>'"),
        (&["--lease-seconds=11"], "11 is not in 12..=120"),
        (&["--log=info,rempart=loud"], "write a level, as info, or targets with levels, as rempart=debug"),
        (&["--log-format=xml"], "[possible values: json, text]"),
        (&["--lsten=127.0.0.1:1"], "a similar argument exists: '--listen'"),
        (&["now"], "unexpected argument 'now' found"),
    ] {
        let Output { status, stdout, stderr } = run(arguments, &[]).await?;
        let said = String::from_utf8_lossy(&stderr);
        ensure!(status.code() == Some(2), "{arguments:?} ended with {status}: {said}");
        ensure!(said.starts_with("error: ") && said.contains(sentence), "{arguments:?}: {said}");
        ensure!(stdout.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&stdout));
    }
    Ok(())
}

async fn kubeconfig(context: &Context) -> Result<()> {
    let file = |name: &str, content: &str| context.cluster.write_file(name, content);
    let missing = context.cluster.dir().join("no-such-file");
    let garbage = file("garbage", "{")?;
    let empty = file("empty", "apiVersion: v1\nkind: Config\n")?;
    let nowhere = "apiVersion: v1\nkind: Config\nclusters: [{name: a, cluster: {server: 'not a url'}}]\n\
                   contexts: [{name: a, context: {cluster: a, user: a}}]\ncurrent-context: a\nusers: [{name: a, user: {}}]\n";
    let nowhere = file("nowhere", nowhere)?;
    for path in [&missing, &garbage, &empty, &nowhere] {
        let path = path.to_string_lossy();
        let Output { status, stderr, .. } = run(&["--listen=127.0.0.1:0"], &[("KUBECONFIG", &path)]).await?;
        let said = String::from_utf8_lossy(&stderr);
        ensure!(status.code() == Some(1), "{path} ended with {status}: {said}");
        let sentence =
            said.lines().find(|line| line.starts_with("rempart: ")).with_context(|| format!("{path}: {said}"))?;
        ensure!(
            sentence.contains("set KUBECONFIG to a kubeconfig file") || sentence.contains("cannot be used"),
            "{path}: {sentence}"
        );
        ensure!(!said.contains("panicked"), "{said}");
    }
    Ok(())
}

async fn address(context: &Context) -> Result<()> {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = taken.local_addr()?.to_string();
    let kubeconfig = context.cluster.admin_kubeconfig().to_string_lossy().into_owned();
    let listen = format!("--listen={address}");
    let Output { status, stderr, .. } = run(&[&listen], &[("KUBECONFIG", &kubeconfig)]).await?;
    let said = String::from_utf8_lossy(&stderr);
    ensure!(status.code() == Some(1), "{status}: {said}");
    ensure!(said.contains(&format!("rempart: cannot listen on {address}: ")), "{said}");
    ensure!(said.contains("choose another with --listen"), "{said}");
    Ok(())
}

async fn in_default(context: &Context) -> Result<()> {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/rempart");
    let refused = context.cluster.helm(["template", "rempart", chart, "--namespace", "default"]).run().await;
    let said = refused.err().context("it is rendered")?.to_string();
    ensure!(said.contains("install it into a namespace of its own, with --namespace rempart-system"), "{said}");
    Ok(())
}

async fn old_api_server(_: &Context) -> Result<()> {
    let without = "--runtime-config=admissionregistration.k8s.io/v1/mutatingadmissionpolicies=false";
    // The admission that rests on the API would wait for it for ever.
    let nor = "--disable-admission-plugins=MutatingAdmissionPolicy";
    let options = ControlPlaneOptions {
        api_server_arguments: [without, nor].map(str::to_owned).into(),
        mutation: MutationChoice::Policies,
        ..ControlPlaneOptions::default()
    };
    let cluster = ControlPlane::start(options).await?;
    let refused = cluster.install_chart(&json!({})).await;
    let said = refused.err().context("the chart installs")?.to_string();
    ensure!(said.contains("does not serve MutatingAdmissionPolicy"), "{said}");
    ensure!(said.contains("Leave mutation at Auto"), "{said}");

    for object in [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "rempart-system"}}),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "rempart", "namespace": "rempart-system"}}),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "rempart-admission", "namespace": "rempart-system"}}),
    ] {
        apply(&cluster.admin(), &object).await?;
    }
    let operator = cluster.spawn_operator::<&str>([]).await?;
    let status = tokio::time::timeout(SOON, operator.wait()).await.context("the operator runs on")?;
    let log = std::fs::read_to_string(operator.log())?;
    ensure!(status.is_some_and(|status| status.code() == Some(1)), "{status:?}: {log}");
    let last = log.lines().last().unwrap_or_default();
    ensure!(last.starts_with("rempart: the API server (v1."), "{last}");
    ensure!(last.contains("does not serve mutatingadmissionpolicies of admissionregistration.k8s.io/v1"), "{last}");
    ensure!(last.contains("set mutation: Webhook in the chart's values, or upgrade to Kubernetes 1.36"), "{last}");
    cluster.stop().await;
    Ok(())
}

/// The rules of the operator's role, without those (or those verbs) about the resource.
async fn role(world: &World) -> Result<Value> {
    let role =
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "rempart"}});
    let rules = api_of(&world.admin, &role).get("rempart").await?.data["rules"].clone();
    let mut role = role;
    role["rules"] = rules;
    Ok(role)
}

fn without(role: &Value, resource: &str, verb: Option<&str>) -> Value {
    let mut less = role.clone();
    for rule in less["rules"].as_array_mut().into_iter().flatten() {
        let about =
            rule["resources"].as_array().is_some_and(|resources| resources.iter().any(|found| found == resource));
        if about && let Some(verbs) = rule["verbs"].as_array_mut() {
            verbs.retain(|found| verb.is_some_and(|verb| found != verb));
            if verbs.is_empty() {
                verbs.push(json!("deletecollection"));
            }
        }
    }
    less
}

async fn may_not_read(context: &Context) -> Result<()> {
    let world = World::new(context, "blind").await?;
    let node = world.node(context, "gouv").await?;
    context.take_operator().await?.terminate().await;
    let whole = role(&world).await?;
    merge(&world.admin, &without(&whole, "nodes", None), None).await?;
    let healed = async {
        let operator = context.cluster.spawn_operator::<&str>([]).await?;
        let log = || {
            std::fs::read_to_string(operator.log()).map(|log| {
                log.lines().rev().take(60).fold(String::new(), |mut all, line| {
                    let _ = writeln!(all, "{line}");
                    all
                })
            })
        };
        eventually("the log to name the missing permission", SOON, async || {
            let log = log()?;
            ensure!(log.contains("nodes is forbidden") && log.contains("cannot list resource"), "{log}");
            anyhow::Ok(())
        })
        .await?;
        eventually("/readyz to name what is missing", SOON, async || {
            let ready = operator.get("/readyz").await.err().context("it is ready")?.to_string();
            ensure!(ready.contains("waiting for: nodes"), "{ready}");
            anyhow::Ok(())
        })
        .await?;
        // Nothing was taken for gone that could not be seen.
        world.eventually_stamped(&node, "gouv").await?;
        operator.check()?;
        merge(&world.admin, &whole, None).await?;
        operator.ready().await?;
        let joins = world.node(context, "site").await?;
        world.eventually_stamped(&joins, "site").await?;
        operator.terminate().await;
        anyhow::Ok(())
    };
    let healed = healed.await;
    merge(&world.admin, &whole, None).await?;
    healed
}

async fn may_not_write(context: &Context) -> Result<()> {
    let world = World::new(context, "bound").await?;
    let node = world.node(context, "gouv").await?;
    let whole = role(&world).await?;
    merge(&world.admin, &without(&whole, "nodes", Some("patch")), None).await?;
    let healed = async {
        let mut provider = world.provider("gouv");
        provider["spec"]["offers"][0]["qualifications"] = json!([]);
        eventually("a refused write to be counted", SOON, async || {
            // Until the authorizer has taken up the role, writes still succeed.
            world.apply(provider.clone()).await?;
            let metrics = context.operator_get("/metrics").await?;
            let failed = metrics.lines().find(|line| {
                line.starts_with("rempart_writes_total") && line.contains("stamps") && line.contains("failure")
            });
            ensure!(failed.is_some(), "{metrics}");
            anyhow::Ok(())
        })
        .await?;
        merge(&world.admin, &whole, None).await?;
        let mut without = world.stamps("gouv");
        without.retain(|key, _| key == &world.clearance("internal") || key.starts_with("rempart."));
        world.eventually_stamps(&node, &without).await
    };
    let healed = healed.await;
    merge(&world.admin, &whole, None).await?;
    let operator = context.take_operator().await?;
    let log = std::fs::read_to_string(operator.log())?;
    ensure!(log.contains("cannot patch resource") && log.contains(&format!("Node {node}")), "{log}");
    operator.terminate().await;
    healed
}

async fn environment(context: &Context) -> Result<()> {
    let deployment = crate::monitoring::one(context, &[], "Deployment", "rempart").await?;
    let set = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array().cloned().unwrap_or_default();
    for (name, value) in rempart_lab::OPERATOR_ENVIRONMENT {
        ensure!(set.contains(&json!({"name": name, "value": value})), "{name}={value} is not among {set:?}");
    }
    Ok(())
}
