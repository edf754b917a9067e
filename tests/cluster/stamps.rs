//! Stamps: the labels that nodes are given, and who may write them.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use rempart_core::keys;
use rempart_lab::{FakeNode, eventually};
use serde_json::{Value, json};

use crate::{
    harness::{Context, Trial},
    world::{POOL_LABEL, World, api_of, apply, merge, stamps_of},
};

/// The user that the operator is.
pub(crate) const OPERATOR: &str = "system:serviceaccount:rempart-system:rempart";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("stamps::a_node_that_joins_is_stamped", joins),
        Trial::new("stamps::every_pool_has_its_own_stamps_and_no_others", every_pool),
        Trial::new("stamps::a_node_of_no_pool_has_none", no_pool),
        Trial::new("stamps::a_node_claimed_by_two_pools_has_none_and_both_say_so", claimed_twice),
        Trial::new("stamps::a_node_of_another_provider_id_has_none_and_its_pool_says_so", other_provider_id),
        Trial::new("stamps::the_nodes_of_an_unresolved_pool_have_none_and_it_says_why", unresolved),
        Trial::new("stamps::a_node_that_changes_pools_changes_stamps", changes_pools),
        Trial::new("stamps::a_level_that_counts_the_control_plane_in_goes_with_its_certificate", control_plane),
        Trial::new("stamps::foreign_labels_annotations_and_taints_are_never_touched", foreign_labels),
        Trial::new("stamps::what_is_altered_behind_the_operators_back_is_restored", restored),
        Trial::new("stamps::nodes_that_refuse_their_stamps_do_not_hold_up_others", refusing_nodes),
        Trial::serial("stamps::nothing_is_written_where_nothing_differs", nothing_differs),
    ]
}

async fn joins(context: &Context) -> Result<()> {
    let world = context.annex().await?;
    let node = world.node_spec(context, "gouv");
    let name = node.name.clone();
    context.cluster.add_node(node).await?;
    world.eventually_stamped(&name, "gouv").await
}

async fn every_pool(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    for pool in crate::world::POOLS {
        for node in world.nodes_of(&[pool]).await? {
            world.eventually_stamped(&node, pool).await?;
        }
    }
    Ok(())
}

async fn no_pool(context: &Context) -> Result<()> {
    let world = World::new(context, "nopool").await?;
    let strangers = ["stranger-a", "stranger-b"].map(|name| context.unique(name));
    let [other, bare] = &strangers;
    let nodes = [FakeNode::new(other).label(POOL_LABEL, "nobodys"), FakeNode::new(bare)];
    context.cluster.add_nodes(nodes).await?;
    // Nodes are taken in as they come: when a later one is stamped, these have been looked at.
    world.node(context, "gouv").await?;
    for name in &strangers {
        world.eventually_stamps(name, &BTreeMap::new()).await?;
    }
    Ok(())
}

async fn claimed_twice(context: &Context) -> Result<()> {
    let world = World::new(context, "twice").await?;
    let node = world.node(context, "gouv").await?;
    let second = world.node(context, "gouv").await?;
    let mut rival = world.pool("open");
    rival["spec"]["nodeSelector"] = json!({"matchExpressions": [
        {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]},
    ]});
    world.apply(rival).await?;
    world.eventually_stamps(&node, &BTreeMap::new()).await?;
    world.eventually_stamped(&second, "gouv").await?;
    for (pool, rival) in [("gouv", "open"), ("open", "gouv")] {
        let rival = world.named(rival);
        let message =
            format!("1 node is also claimed by {rival}, so by none: {node}; make the nodeSelectors exclude each other");
        world.eventually_pool(pool, "False", "NodesClaimedTwice", &message).await?;
    }
    // The dispute ends: the node is stamped, the pools are content.
    world.apply(world.pool("open")).await?;
    world.eventually_stamped(&node, "gouv").await?;
    world.eventually_pool("gouv", "True", "Resolved", "provider, offer and zone are known; 2 nodes").await
}

/// Of all trials this one alone declares a control plane: there is one in a cluster.
async fn control_plane(context: &Context) -> Result<()> {
    context.rempart().await?;
    let world = World::ungoverned(context, "seat").await?;
    // Who hosts the control plane is the provider of pool `site`, by an offer of its own.
    let host = |qualifications: Value| {
        let mut provider = world.provider("site");
        let mut offer = provider["spec"]["offers"][0].clone();
        offer["name"] = json!("managed");
        offer["qualifications"] = qualifications;
        provider["spec"]["offers"].as_array_mut().context("it has offers")?.push(offer);
        anyhow::Ok(provider)
    };
    let certificate = json!([{"scheme": "secnumcloud", "validFrom": "2024-01-01"}]);
    world.apply(host(certificate.clone())?).await?;
    let name = world.named("control-plane");
    let place = json!({
        "apiVersion": "rempart.dev/v1alpha1",
        "kind": "PlacementPool",
        "metadata": {"name": name},
        "spec": {"role": "ControlPlane", "provider": world.named("site"), "offer": "managed", "zone": "site-1"},
    });
    world.apply(place.clone()).await?;
    let mut policy = world.policy();
    policy["spec"]["levels"][2]["require"]["controlPlane"] = json!(true);
    world.apply(policy).await?;
    world.enforced(context).await?;
    let node = world.node(context, "gouv").await?;
    let message = "provider, offer and zone are known; the control plane runs there, and no node is of the pool";
    world.eventually_pool("control-plane", "True", "Resolved", message).await?;

    world.apply(host(json!([]))?).await?;
    let mut stamps = world.stamps("gouv");
    stamps.remove(&world.clearance("restricted"));
    world.eventually_stamps(&node, &stamps).await?;
    world.apply(host(certificate)?).await?;
    world.eventually_stamped(&node, "gouv").await?;
    api_of(&world.admin, &place).delete(&name, &DeleteParams::default()).await?;
    world.eventually_stamps(&node, &stamps).await
}

async fn other_provider_id(context: &Context) -> Result<()> {
    let world = World::new(context, "proof").await?;
    let mut pool = world.pool("gouv");
    pool["spec"]["providerIDPrefix"] = json!("aws:///gouv-1/");
    world.apply(pool).await?;
    let spec = || world.node_spec(context, "gouv");
    let genuine = spec().provider_id("aws:///gouv-1/i-1");
    let forged = [spec().provider_id("aws:///gouv-2/i-2"), spec()];
    let all: Vec<_> = forged.iter().chain([&genuine]).cloned().collect();
    context.cluster.add_nodes(all).await?;
    world.eventually_stamped(&genuine.name, "gouv").await?;
    for node in &forged {
        world.eventually_stamps(&node.name, &BTreeMap::new()).await?;
    }
    let message = format!(
        "2 nodes are matched by nodeSelector without a spec.providerID that begins with \"aws:///gouv-1/\", so not of \
         this pool: {}, {}",
        forged[0].name, forged[1].name
    );
    world.eventually_pool("gouv", "False", "ProviderIDMismatch", &message).await
}

async fn unresolved(context: &Context) -> Result<()> {
    let world = World::new(context, "lost").await?;
    let node = world.node(context, "gouv").await?;
    let provider = world.named("gouv");
    let until_then = "record it, or correct the pool; until then the pool's nodes carry no stamp";
    for (field, wrong, reason, message) in [
        (
            "zone",
            "gouv-9",
            "ZoneNotFound",
            format!("spec.zone is \"gouv-9\", which offer {provider}/iaas does not have: {until_then}"),
        ),
        (
            "offer",
            "paas",
            "OfferNotFound",
            format!("spec.offer is \"paas\", which CloudProvider {provider} does not have: {until_then}"),
        ),
        (
            "provider",
            "gouvv",
            "ProviderNotFound",
            format!("spec.provider is \"gouvv\", and there is no such CloudProvider: {until_then}"),
        ),
    ] {
        let mut pool = world.pool("gouv");
        pool["spec"][field] = json!(wrong);
        world.apply(pool).await?;
        world.eventually_stamps(&node, &BTreeMap::new()).await?;
        world.eventually_pool("gouv", "False", reason, &message).await?;
        world.apply(world.pool("gouv")).await?;
        world.eventually_stamped(&node, "gouv").await?;
    }
    Ok(())
}

async fn changes_pools(context: &Context) -> Result<()> {
    let world = context.annex().await?;
    let node = world.node(context, "gouv").await?;
    let label = |value: Value| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "labels": {POOL_LABEL: value}}});
    merge(&world.admin, &label(json!(world.named("open"))), None).await?;
    world.eventually_stamped(&node, "open").await?;
    merge(&world.admin, &label(Value::Null), None).await?;
    world.eventually_stamps(&node, &BTreeMap::new()).await
}

async fn foreign_labels(context: &Context) -> Result<()> {
    let world = World::new(context, "foreign").await?;
    let own = world
        .node_spec(context, "gouv")
        .label("team", "network")
        .label("node-restriction.kubernetes.io/pool", "not-ours")
        .label("rempart.dev/pool", "not-ours")
        .annotation("rempart.dev/note", "not ours");
    let name = own.name.clone();
    let nodes: Api<Node> = Api::all(world.admin.clone());
    context.cluster.add_node(own).await?;
    world.eventually_stamped(&name, "gouv").await?;
    let taint = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "spec": {"taints": [{"key": "own", "effect": "NoSchedule"}]}});
    merge(&world.admin, &taint, None).await?;
    let rest = |mut node: Node| {
        node.metadata.managed_fields = None;
        node.metadata.resource_version = None;
        node.metadata.labels.get_or_insert_default().retain(|key, _| !keys::is_stamp(key));
        node
    };
    let before = rest(nodes.get(&name).await?);
    ensure!(before.metadata.labels.as_ref().is_some_and(|labels| labels["rempart.dev/pool"] == "not-ours"));
    let mut pool = world.pool("gouv");
    pool["spec"]["zone"] = json!("elsewhere");
    world.apply(pool).await?;
    world.eventually_stamps(&name, &BTreeMap::new()).await?;
    world.apply(world.pool("gouv")).await?;
    world.eventually_stamped(&name, "gouv").await?;
    let after = rest(nodes.get(&name).await?);
    ensure!(before == after, "{before:#?} became {after:#?}");
    Ok(())
}

async fn restored(context: &Context) -> Result<()> {
    let world = context.annex().await?;
    let node = world.node(context, "open").await?;
    // The one user whom admission lets do it is the operator; somebody has stolen its name.
    let thief = context.cluster.client_as(OPERATOR, &[])?;
    for labels in [
        json!({world.clearance("restricted"): "true"}),
        json!({world.clearance("internal"): null}),
        json!({keys::POOL: world.named("gouv")}),
        json!({keys::ZONE: null, world.clearance("secret"): "true", world.clearance("internal"): "false"}),
        json!({"clearance.rempart.node-restriction.kubernetes.io/gone.secret": "true"}),
        json!({"rempart.node-restriction.kubernetes.io/anything": "x"}),
    ] {
        let forged = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "labels": labels}});
        merge(&thief, &forged, None).await?;
        world.eventually_stamped(&node, "open").await?;
    }
    Ok(())
}

async fn refusing_nodes(context: &Context) -> Result<()> {
    let world = World::new(context, "stubborn").await?;
    // More than are written to at a time, with names that come first.
    let stubborn = context.unique("aaa-stubborn");
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": stubborn},
        "spec": {
            "matchConstraints": {"resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["nodes"]},
            ]},
            "matchConditions": [{"name": "stubborn", "expression": format!("object.metadata.name.startsWith('{stubborn}-')")}],
            "validations": [{"expression": "object.metadata.labels == oldObject.metadata.labels"}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": stubborn},
        "spec": {"policyName": stubborn, "validationActions": ["Deny"]},
    });
    world.apply(policy).await?;
    world.apply(binding.clone()).await?;
    world.acted_on(context).await?;
    let nodes = (0..40).map(|n| FakeNode::new(format!("{stubborn}-{n}")).label(POOL_LABEL, world.named("gouv")));
    context.cluster.add_nodes(nodes).await?;
    world.node(context, "gouv").await?;
    world.node(context, "site").await?;

    // And they are not forgotten.
    crate::world::api_of(&world.admin, &binding).delete(&stubborn, &kube::api::DeleteParams::default()).await?;
    eventually("the stubborn nodes to be stamped", Duration::from_mins(1), async || {
        for n in [0, 17, 39] {
            let found = stamps_of(&world.admin, &format!("{stubborn}-{n}")).await?;
            ensure!(found == world.stamps("gouv"), "{n}: {found:?}");
        }
        anyhow::Ok(())
    })
    .await?;
    let nodes: Api<Node> = Api::all(world.admin.clone());
    let params = ListParams::default().labels(&format!("{POOL_LABEL}={}", world.named("gouv")));
    for node in nodes.list(&params).await? {
        nodes
            .delete(&node.metadata.name.context("a node without a name")?, &kube::api::DeleteParams::default())
            .await?;
    }
    Ok(())
}

/// The writes that the operator counts, by kind.
pub(crate) async fn writes(context: &Context) -> Result<BTreeMap<String, String>> {
    let metrics = context.operator_get("/metrics").await?;
    let lines = metrics.lines().filter_map(|line| line.strip_prefix("rempart_writes_total{")?.split_once("} "));
    Ok(lines.map(|(labels, value)| (labels.to_owned(), value.to_owned())).collect())
}

async fn nothing_differs(context: &Context) -> Result<()> {
    let world = World::new(context, "quiet").await?;
    let node = world.node(context, "gouv").await?;
    let marked = |round: usize| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "annotations": {"beat": round.to_string()}}});
    // What went before has settled when a while passes without a write.
    crate::world::nothing_ends(&world.admin).await?;
    let settled = crate::world::settled(async || writes(context).await).await?;
    let nodes: Api<Node> = Api::all(world.admin.clone());
    for round in 0..20 {
        let marked = merge(&world.admin, &marked(round), None).await?;
        let health = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node},
            "status": {"phase": null, "images": [{"names": [format!("image-{round}")], "sizeBytes": 1}]}});
        let version = merge(&world.admin, &health, Some("status")).await?.metadata.resource_version;
        ensure!(marked.metadata.resource_version != version, "the node was not altered");
        for object in [world.provider("gouv"), world.pool("gouv"), world.policy()] {
            let mut object = object;
            object["metadata"]["annotations"] = json!({"beat": round.to_string()});
            apply(&world.admin, &object).await?;
        }
        ensure!(nodes.get(&node).await?.metadata.resource_version == version, "the operator wrote to the node");
    }
    let rulings = context.operator_get("/metrics").await?;
    let after = crate::world::settled(async || writes(context).await).await?;
    ensure!(settled == after, "the operator wrote: {settled:?} became {after:?}\n{rulings}");
    world.eventually_stamped(&node, "gouv").await?;

    // The same of every status: none has a new version after the operator has seen another change.
    let versions = async || -> Result<Vec<Option<String>>> {
        let mut versions = Vec::new();
        for object in [world.provider("gouv"), world.pool("gouv"), world.policy()] {
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            versions.push(crate::world::api_of(&world.admin, &object).get(&name).await?.metadata.resource_version);
        }
        Ok(versions)
    };
    let before = versions().await?;
    merge(&world.admin, &marked(99), None).await?;
    crate::world::settled(async || writes(context).await).await?;
    ensure!(versions().await? == before, "a status was written though nothing differs");
    Ok(())
}
