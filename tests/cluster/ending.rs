//! A policy ends: neither is anything refused nor anything freed for a moment too long.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, ensure};
use kube::{Api, api::DeleteParams};
use rempart::api::PlacementPolicy;
use rempart_core::keys;
use rempart_lab::eventually;
use serde_json::{Value, json};

use crate::{
    harness::{Context, Trial},
    world::{SOON, World, create_dry, merge, pod, refusal},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("ending::no_pod_is_refused_or_left_waiting_while_a_policy_ends", while_it_ends),
        Trial::new("ending::a_policy_that_comes_back_takes_hold_again", comes_back),
        Trial::new("ending::a_policy_that_others_hold_is_let_go", held),
    ]
}

/// Deletes the policy, and waits until it is gone.
pub(crate) async fn end(world: &World) -> Result<()> {
    let policies: Api<PlacementPolicy> = Api::all(world.admin.clone());
    policies.delete(&world.id, &DeleteParams::default()).await?;
    eventually(format!("the policy {} to be gone", world.id), SOON, async || {
        ensure!(policies.get_opt(&world.id).await?.is_none(), "it is still there");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

/// The keys of the world's policy in a nodeSelector.
fn keys_in<'a>(world: &World, selector: &'a Value) -> Vec<&'a String> {
    let asks = format!("/{}.", world.id);
    selector.as_object().into_iter().flat_map(|selector| selector.keys()).filter(|key| key.contains(&asks)).collect()
}

async fn while_it_ends(context: &Context) -> Result<()> {
    let world = World::new(context, "dusk").await?;
    let plain = world.namespace(context, &[]).await?;
    let floor = world.namespace(context, &[(keys::SENSITIVITY, "restricted")]).await?;
    let first = create_dry(&world.admin, &pod(&plain, "first", &[])).await?;
    ensure!(keys_in(&world, &first.data["spec"]["nodeSelector"]).len() == 1, "{:#}", first.data["spec"]);
    let gone = AtomicBool::new(false);
    let creating = async {
        let (mut with, mut without) = (0_u32, 0_u32);
        // And some more rounds after it is gone, when its bindings may still be in the server's memory.
        let mut rounds_after = 0;
        while rounds_after < 40 {
            let ended = gone.load(Ordering::Relaxed);
            rounds_after += u32::from(ended);
            for namespace in [&plain, &floor] {
                let mut complete = pod(namespace, "complete", &[(keys::SENSITIVITY, "restricted")]);
                complete["spec"]["nodeSelector"] = json!({world.clearance("restricted"): "true", "disk": "ssd"});
                for pod in [pod(namespace, "bare", &[(keys::SENSITIVITY, "restricted")]), complete] {
                    let started_ended = gone.load(Ordering::Relaxed);
                    let created = create_dry(&world.admin, &pod).await.with_context(|| {
                        format!("a pod is refused after {with} with and {without} without keys, ended: {started_ended}")
                    })?;
                    let keys = keys_in(&world, &created.data["spec"]["nodeSelector"]);
                    let brought = pod["spec"]["nodeSelector"].is_object();
                    ensure!(
                        keys.is_empty() || brought || !started_ended,
                        "a pod made after the end of the policy would wait for ever for {keys:?}"
                    );
                    if keys.is_empty() { without += 1 } else { with += 1 }
                }
            }
        }
        anyhow::Ok((with, without))
    };
    let ending = async {
        end(&world).await?;
        gone.store(true, Ordering::Relaxed);
        anyhow::Ok(())
    };
    let ((with, without), ()) = tokio::try_join!(creating, ending)?;
    ensure!(without > 20, "{with} pods had keys, {without} had none");
    let left = world.admission().await?;
    ensure!(left.is_empty(), "{left:?} are left");
    Ok(())
}

async fn comes_back(context: &Context) -> Result<()> {
    let world = World::new(context, "phoenix").await?;
    let node = world.node(context, "gouv").await?;
    let namespace = world.namespace(context, &[]).await?;
    for _ in 0..2 {
        end(&world).await?;
        let mut without = world.stamps("gouv");
        without.retain(|key, _| key.starts_with("rempart."));
        world.eventually_stamps(&node, &without).await?;
        world.apply(world.policy()).await?;
        world.enforced(context).await?;
        world.eventually_stamped(&node, "gouv").await?;
        let created = create_dry(&world.admin, &pod(&namespace, "web", &[])).await?;
        ensure!(keys_in(&world, &created.data["spec"]["nodeSelector"]).len() == 1, "{:#}", created.data["spec"]);
        let said = refusal(create_dry(&world.admin, &pod(&namespace, "bad", &[(keys::SENSITIVITY, "top")])).await)?;
        ensure!(said.contains("no such level"), "{said}");
    }
    Ok(())
}

async fn held(context: &Context) -> Result<()> {
    let world = World::new(context, "held").await?;
    let namespace = world.namespace(context, &[]).await?;
    // A finalizer of somebody else holds the policy after Rempart has let go.
    let with = |finalizers: Value| {
        json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPolicy",
        "metadata": {"name": world.id, "finalizers": finalizers}})
    };
    merge(&world.admin, &with(json!(["rempart.dev/admission", "example.org/audit"])), None).await?;
    let policies: Api<PlacementPolicy> = Api::all(world.admin.clone());
    policies.delete(&world.id, &DeleteParams::default()).await?;
    world.eventually_condition("Ready", "False", "Deleting").await?;
    world.eventually_condition("Enforced", "False", "Deleting").await?;
    eventually("Rempart to let go", SOON, async || {
        let finalizers = policies.get(&world.id).await?.metadata.finalizers;
        ensure!(finalizers.as_deref() == Some(&["example.org/audit".to_owned()]), "{finalizers:?}");
        anyhow::Ok(())
    })
    .await?;
    let created = create_dry(&world.admin, &pod(&namespace, "web", &[(keys::SENSITIVITY, "whatever")])).await?;
    ensure!(created.data["spec"]["nodeSelector"].is_null(), "{:#}", created.data["spec"]);
    merge(&world.admin, &with(json!(null)), None).await?;
    eventually("the policy to be gone", SOON, async || {
        ensure!(policies.get_opt(&world.id).await?.is_none(), "it is still there");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}
