//! A small world for trials: four providers with a pool each, and a policy that tells them apart.
//!
//! | pool | operator | qualified as | cleared for |
//! |---|---|---|---|
//! | `gouv` | FR | secnumcloud, hds | internal, restricted; health |
//! | `site` | FR | secnumcloud | internal, restricted, secret |
//! | `open` | FR | hds | internal; health |
//! | `atlantic` | US | hds | health |
//!
//! Every world names its own providers in its demands, so that no world's policy clears another's pools and trials can
//! run side by side. Its policy governs the namespaces with its label.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Node, Pod, ServiceAccount};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams},
};
use rempart::api::{PlacementPolicy, PlacementPool};
use rempart_core::keys;
use rempart_lab::{FakeNode, eventually};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::harness::Context;

/// How long anything that follows from a write may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_mins(3);

/// The label that says which pool a node is of, and the one that says whose a namespace is.
pub(crate) const POOL_LABEL: &str = "trial.example/pool";
pub(crate) const TENANT_LABEL: &str = "trial.example/tenant";

/// The pools of a world, by the last part of their names.
pub(crate) const POOLS: [&str; 4] = ["gouv", "site", "open", "atlantic"];

tokio::task_local! {
    /// The worlds that the trial has made.
    static MADE: RefCell<Vec<String>>;
}

/// Runs a trial, and deletes the worlds that it made: each policy judges every pool, and says so in its status.
pub(crate) async fn tidied(context: &Context, trial: impl Future<Output = Result<()>>) -> Result<()> {
    let trial = async {
        let outcome = trial.await;
        (outcome, MADE.with(RefCell::take))
    };
    let (outcome, made) = MADE.scope(RefCell::default(), trial).await;
    for id in made {
        let removed = World { id, admin: context.cluster.admin() }.remove().await;
        if outcome.is_ok() {
            removed?;
        }
    }
    outcome
}

/// The objects of one world.
pub(crate) struct World {
    /// The name of its policy, and the beginning of all its other names.
    pub(crate) id: String,
    /// The administrator.
    pub(crate) admin: Client,
}

impl World {
    /// A world whose catalogue, pools and policy are recorded, judged and in force.
    pub(crate) async fn new(context: &Context, prefix: &str) -> Result<Self> {
        context.rempart().await?;
        let world = Self::recorded(context, prefix).await?;
        world.enforced(context).await?;
        Ok(world)
    }

    /// A world whose catalogue, pools and policy are recorded, for whoever looks.
    pub(crate) async fn recorded(context: &Context, prefix: &str) -> Result<Self> {
        let world = Self::ungoverned(context, prefix).await?;
        world.apply(world.policy()).await?;
        Ok(world)
    }

    /// A world whose catalogue and pools are recorded, and whose policy is not yet.
    pub(crate) async fn ungoverned(context: &Context, prefix: &str) -> Result<Self> {
        let world = Self { id: context.unique(prefix), admin: context.cluster.admin() };
        // Worlds that are shared are made outside of any trial.
        let _ = MADE.try_with(|made| made.borrow_mut().push(world.id.clone()));
        // All at once: each pool alone would have the statuses of all policies written, those of other worlds too.
        let objects = POOLS.iter().flat_map(|pool| [world.provider(pool), world.pool(pool)]);
        try_join_all(objects.map(|object| world.apply(object))).await?;
        Ok(world)
    }

    /// Asks for the deletion of all that it is made of, and does not wait.
    async fn remove(&self) -> Result<()> {
        let delete = async |object: Value| match api_of(&self.admin, &object)
            .delete(name_of(&object), &DeleteParams::default())
            .await
        {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            outcome => outcome.map(drop),
        };
        let nodes = self.nodes_of(&POOLS).await?;
        let nodes = nodes.iter().map(|node| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}}));
        let facts = POOLS.iter().flat_map(|pool| [self.pool(pool), self.provider(pool)]);
        delete(self.policy()).await?;
        try_join_all(facts.chain(nodes).map(delete)).await?;
        Ok(())
    }

    /// The admission policies and bindings of its policy: by kind and name, their specs.
    pub(crate) async fn admission(&self) -> Result<BTreeMap<(&'static str, String), Value>> {
        let mut specs = BTreeMap::new();
        let prefix = format!("rempart.{}.", self.id);
        for kind in ["MutatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]
        {
            let object = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {}});
            for found in api_of(&self.admin, &object).list(&ListParams::default()).await? {
                if found.name_any().starts_with(&prefix) {
                    specs.insert((kind, found.name_any()), found.data["spec"].clone());
                }
            }
        }
        Ok(specs)
    }

    /// The world that is shared, with two nodes in each pool and one in none.
    pub(crate) async fn ministry(context: &Context) -> Result<Self> {
        let world = MADE.scope(RefCell::default(), Self::new(context, "ministry")).await?;
        let nodes = POOLS.iter().flat_map(|pool| (0..2).map(|_| world.node_spec(context, pool))).collect::<Vec<_>>();
        let nobodys = FakeNode::new(context.unique("nobodys"));
        context.cluster.add_nodes(nodes.iter().cloned().chain([nobodys])).await?;
        for node in &nodes {
            world.eventually_stamped(&node.name, &node.labels[POOL_LABEL]).await?;
        }
        Ok(world)
    }

    /// The full name of one of its things.
    pub(crate) fn named(&self, what: &str) -> String {
        format!("{}-{what}", self.id)
    }

    /// The offer behind `pool`.
    pub(crate) fn provider(&self, pool: &str) -> Value {
        let jurisdiction = if pool == "atlantic" { "US" } else { "FR" };
        let schemes: &[&str] = match pool {
            "gouv" => &["secnumcloud", "hds"],
            "site" => &["secnumcloud"],
            _ => &["hds"],
        };
        let qualifications: Vec<_> =
            schemes.iter().map(|scheme| json!({"scheme": scheme, "validFrom": "2024-01-01"})).collect();
        json!({
            "apiVersion": "rempart.dev/v1alpha1",
            "kind": "CloudProvider",
            "metadata": {"name": self.named(pool)},
            "spec": {
                "operator": {"name": format!("{pool} SA"), "jurisdiction": jurisdiction},
                "offers": [{
                    "name": "iaas",
                    "technology": [{"name": "stack", "supplier": format!("{pool} SA"), "jurisdiction": jurisdiction}],
                    "zones": [{"name": format!("{pool}-1"), "region": pool, "country": "FR", "pue": 1.25}],
                    "qualifications": qualifications,
                }],
            },
        })
    }

    /// The pool of the nodes labelled with it.
    pub(crate) fn pool(&self, pool: &str) -> Value {
        json!({
            "apiVersion": "rempart.dev/v1alpha1",
            "kind": "PlacementPool",
            "metadata": {"name": self.named(pool)},
            "spec": {
                "provider": self.named(pool),
                "offer": "iaas",
                "zone": format!("{pool}-1"),
                "nodeSelector": {"matchLabels": {POOL_LABEL: self.named(pool)}},
            },
        })
    }

    /// The policy.
    pub(crate) fn policy(&self) -> Value {
        let own = POOLS.map(|pool| self.named(pool));
        json!({
            "apiVersion": "rempart.dev/v1alpha1",
            "kind": "PlacementPolicy",
            "metadata": {"name": self.id},
            "spec": {
                "mode": "Enforce",
                "namespaceSelector": {"matchLabels": {TENANT_LABEL: self.id}},
                "defaultLevel": "internal",
                "levels": [
                    {"name": "public"},
                    {"name": "internal", "require": {
                        "jurisdictions": {"operator": ["EU"]},
                        "providers": {"allow": own},
                    }},
                    {"name": "restricted", "require": {
                        "qualifications": ["secnumcloud"],
                        "providers": {"allow": own},
                    }},
                    {"name": "secret", "require": {"providers": {"allow": [self.named("site")]}}},
                ],
                "categories": [
                    {"name": "health", "require": {"qualifications": ["hds"], "providers": {"allow": own}}},
                    {"name": "finance"},
                ],
            },
        })
    }

    /// A node of `pool`, to be made.
    pub(crate) fn node_spec(&self, context: &Context, pool: &str) -> FakeNode {
        let pool = self.named(pool);
        FakeNode::new(context.unique(&pool)).label(POOL_LABEL, pool)
    }

    /// Makes a node of `pool`, and waits until it is stamped.
    pub(crate) async fn node(&self, context: &Context, pool: &str) -> Result<String> {
        let node = self.node_spec(context, pool);
        let name = node.name.clone();
        context.cluster.add_node(node).await?;
        self.eventually_stamped(&name, &self.named(pool)).await?;
        Ok(name)
    }

    /// The key that a pod of this level selects by.
    pub(crate) fn clearance(&self, level: &str) -> String {
        format!("clearance.{}/{}.{level}", keys::STAMP_DOMAIN, self.id)
    }

    /// The key that a pod of this category selects by.
    pub(crate) fn category(&self, category: &str) -> String {
        format!("category.{}/{}.{category}", keys::STAMP_DOMAIN, self.id)
    }

    /// All stamps that nodes of `pool` must carry.
    pub(crate) fn stamps(&self, pool: &str) -> BTreeMap<String, String> {
        let (levels, health): (&[&str], bool) = match pool {
            "gouv" => (&["internal", "restricted"], true),
            "site" => (&["internal", "restricted", "secret"], false),
            "open" => (&["internal"], true),
            _ => (&[], true),
        };
        let granted = levels.iter().map(|level| self.clearance(level)).chain(health.then(|| self.category("health")));
        let place = [
            (keys::POOL, self.named(pool)),
            (keys::PROVIDER, self.named(pool)),
            (keys::REGION, pool.to_owned()),
            (keys::ZONE, format!("{pool}-1")),
        ];
        let place = place.map(|(key, value)| (key.to_owned(), value));
        granted.map(|key| (key, "true".to_owned())).chain(place).collect()
    }

    /// Waits until `node` carries the stamps of the pool `pool` (its full name), all of them and no others.
    pub(crate) async fn eventually_stamped(&self, node: &str, pool: &str) -> Result<()> {
        let pool = pool.strip_prefix(&format!("{}-", self.id)).unwrap_or(pool);
        self.eventually_stamps(node, &self.stamps(pool)).await
    }

    /// Waits until `node` carries exactly these stamps.
    pub(crate) async fn eventually_stamps(&self, node: &str, expected: &BTreeMap<String, String>) -> Result<()> {
        eventually(format!("the stamps of {node}"), SOON, async || {
            let found = stamps_of(&self.admin, node).await?;
            ensure!(found == *expected, "they are {found:#?} instead of {expected:#?}");
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Makes a namespace that the policy governs, with more labels.
    pub(crate) async fn namespace(&self, context: &Context, labels: &[(&str, &str)]) -> Result<String> {
        let name = context.unique(&self.id);
        let labels: BTreeMap<_, _> = labels.iter().copied().chain([(TENANT_LABEL, self.id.as_str())]).collect();
        namespace(&self.admin, &name, &labels).await?;
        Ok(name)
    }

    /// The names of the nodes of these pools.
    pub(crate) async fn nodes_of(&self, pools: &[&str]) -> Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        let nodes: Api<Node> = Api::all(self.admin.clone());
        for pool in pools {
            let params = ListParams::default().labels(&format!("{POOL_LABEL}={}", self.named(pool)));
            names.extend(nodes.list(&params).await?.into_iter().filter_map(|node| node.metadata.name));
        }
        Ok(names)
    }

    /// Waits until `count` pods of the namespace run or have run, and gives the nodes that they were put on.
    pub(crate) async fn eventually_placed(&self, namespace: &str, count: usize) -> Result<BTreeSet<String>> {
        let pods: Api<Pod> = Api::namespaced(self.admin.clone(), namespace);
        let placed = eventually(format!("{count} pods in {namespace} to run"), SOON, async || {
            let pods = pods.list(&ListParams::default()).await?.items;
            let placed: Vec<_> = pods
                .iter()
                .filter(|pod| {
                    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
                    matches!(phase, Some("Running" | "Succeeded"))
                })
                .filter_map(|pod| pod.spec.as_ref()?.node_name.clone())
                .collect();
            ensure!(placed.len() == count, "{} of {} do", placed.len(), pods.len());
            Ok(placed)
        })
        .await?;
        Ok(placed.into_iter().collect())
    }

    /// Applies an object as an administrator who owns all of it.
    pub(crate) async fn apply(&self, object: Value) -> Result<DynamicObject> {
        apply(&self.admin, &object).await.with_context(|| format!("cannot apply {object}"))
    }

    /// Waits until the policy's bindings are there, and the API server acts on them.
    pub(crate) async fn enforced(&self, context: &Context) -> Result<()> {
        self.eventually_condition("Enforced", "True", "Bound").await?;
        self.acted_on(context).await
    }

    /// Waits until the API server acts on every validating binding that exists now.
    ///
    /// API servers take bindings up in the order in which they were made, all at once, every second. So when a binding
    /// that is made now acts, every older one does.
    pub(crate) async fn acted_on(&self, context: &Context) -> Result<()> {
        let canary = context.unique("canary");
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": canary},
            "spec": {
                "matchConstraints": {"resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]},
                ]},
                "validations": [{"expression": format!("object.metadata.name != '{canary}'")}],
            },
        });
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": canary},
            "spec": {"policyName": canary, "validationActions": ["Deny"]},
        });
        self.apply(policy.clone()).await?;
        self.apply(binding.clone()).await?;
        let probe = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": canary, "namespace": "default"},
        });
        eventually("a new binding to act", SOON, async || match create_dry(&self.admin, &probe).await {
            Err(kube::Error::Api(status)) if status.message.contains(&canary) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await?;
        for object in [binding, policy] {
            api_of(&self.admin, &object).delete(&canary, &DeleteParams::default()).await?;
        }
        Ok(())
    }

    /// Waits until a condition of the policy, of its present generation, has this status and reason; gives its message.
    pub(crate) async fn eventually_condition(&self, kind: &str, status: &str, reason: &str) -> Result<String> {
        let policies: Api<PlacementPolicy> = Api::all(self.admin.clone());
        let message = eventually(format!("{kind}={status} ({reason}) of {}", self.id), SOON, async || {
            let policy = policies.get(&self.id).await?;
            let conditions = policy.status.as_ref().map(|status| &status.conditions[..]).unwrap_or_default();
            let found = rempart::api::find_condition(conditions, kind).context("it is not there")?;
            ensure!(
                found.status == status
                    && found.reason == reason
                    && found.observed_generation == policy.metadata.generation,
                "it is {found:?}"
            );
            anyhow::Ok(found.message.clone())
        })
        .await?;
        Ok(message)
    }

    /// Waits until the condition `Ready` of the pool says this.
    pub(crate) async fn eventually_pool(&self, pool: &str, status: &str, reason: &str, message: &str) -> Result<()> {
        let pools: Api<PlacementPool> = Api::all(self.admin.clone());
        let name = self.named(pool);
        eventually(format!("Ready of {name}"), SOON, async || {
            let pool = pools.get(&name).await?;
            let conditions = pool.status.as_ref().map(|status| &status.conditions[..]).unwrap_or_default();
            let found = rempart::api::find_condition(conditions, "Ready").context("it is not there")?;
            let said = (found.status.as_str(), found.reason.as_str(), found.message.as_str());
            ensure!(said == (status, reason, message), "it is {said:?}");
            ensure!(found.observed_generation == pool.metadata.generation, "it is of an older generation");
            anyhow::Ok(())
        })
        .await?;
        Ok(())
    }
}

/// Waits until the API server admits again what no policy concerns. For half a minute after its start it may not find
/// the definition of the policies' parameter, and refuses whatever they might match.
pub(crate) async fn admitting(admin: &Client) -> Result<()> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "admitted"}});
    let deployment = workload("Deployment", "default", "admitted", &[]);
    eventually("the API server to admit anything", Duration::from_mins(1), async || {
        create_dry(admin, &namespace).await?;
        create_dry(admin, &deployment).await.map(drop)
    })
    .await?;
    Ok(())
}

/// Waits until no policy is being deleted. Long after anything else of it, when one is gone, the statuses of all pools are
/// written: who counts writes counts those.
pub(crate) async fn nothing_ends(admin: &Client) -> Result<()> {
    let policies: Api<PlacementPolicy> = Api::all(admin.clone());
    eventually("no policy to be on its way out", SOON, async || {
        let policies = policies.list(&ListParams::default()).await?.items;
        let ending = policies.iter().filter(|policy| policy.metadata.deletion_timestamp.is_some());
        let ending: Vec<_> = ending.map(ResourceExt::name_any).collect();
        ensure!(ending.is_empty(), "{ending:?} are");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

/// Waits until `look` gives the same for a while, and gives that. A while is longer than the operator takes between two
/// comparisons of statuses, or two looks at everything that runs.
pub(crate) async fn settled<T: PartialEq + Debug>(look: impl AsyncFn() -> Result<T>) -> Result<T> {
    let mut last = (look().await?, Instant::now());
    eventually("things to come to rest", SOON, async || {
        let now = look().await?;
        if now != last.0 {
            last = (now, Instant::now());
        }
        ensure!(last.1.elapsed() > Duration::from_secs(3), "they still change");
        anyhow::Ok(())
    })
    .await?;
    Ok(last.0)
}

/// Makes a namespace, and waits until pods can be made there.
pub(crate) async fn namespace(admin: &Client, name: &str, labels: &BTreeMap<&str, &str>) -> Result<()> {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    create(admin, &object).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), name);
    eventually(format!("the ServiceAccount of {name}"), SOON, async || accounts.get("default").await.map(drop)).await?;
    Ok(())
}

/// The stamps on a node.
pub(crate) async fn stamps_of(client: &Client, node: &str) -> Result<BTreeMap<String, String>> {
    let node = Api::<Node>::all(client.clone()).get(node).await?;
    Ok(node.metadata.labels.unwrap_or_default().into_iter().filter(|(key, _)| keys::is_stamp(key)).collect())
}

/// The API of an object by its `apiVersion` and `kind`, in its namespace if it names one.
pub(crate) fn api_of(client: &Client, object: &Value) -> Api<DynamicObject> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let version = text(&object["apiVersion"]);
    let (group, version) = version.split_once('/').unwrap_or(("", &version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &text(&object["kind"])));
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// Makes `object` what it says, by server-side apply.
pub(crate) async fn apply(client: &Client, object: &Value) -> kube::Result<DynamicObject> {
    let params = PatchParams::apply("trial").force();
    api_of(client, object).patch(name_of(object), &params, &Patch::Apply(object)).await
}

/// Creates `object`.
pub(crate) async fn create(client: &Client, object: &Value) -> kube::Result<DynamicObject> {
    let parsed = serde_json::from_value(object.clone()).map_err(kube::Error::SerdeError)?;
    api_of(client, object).create(&PostParams::default(), &parsed).await
}

/// What creating `object` would give.
pub(crate) async fn create_dry(client: &Client, object: &Value) -> kube::Result<DynamicObject> {
    let parsed = serde_json::from_value(object.clone()).map_err(kube::Error::SerdeError)?;
    api_of(client, object).create(&PostParams { dry_run: true, ..PostParams::default() }, &parsed).await
}

/// Changes an object by a merge patch, through a subresource if one is named.
pub(crate) async fn merge(client: &Client, object: &Value, subresource: Option<&str>) -> kube::Result<DynamicObject> {
    let (api, name, patch) = (api_of(client, object), name_of(object), Patch::Merge(object));
    match subresource {
        Some(subresource) => api.patch_subresource(subresource, name, &PatchParams::default(), &patch).await,
        None => api.patch(name, &PatchParams::default(), &patch).await,
    }
}

/// The sentence with which a request was refused.
pub(crate) fn refusal<T: Debug>(outcome: kube::Result<T>) -> Result<String> {
    match outcome {
        Err(kube::Error::Api(status)) if matches!(status.code, 403 | 422) => Ok(status.message.clone()),
        Err(error) => Err(anyhow!(error).context("not refused, but failed")),
        Ok(object) => bail!("not refused: {object:?}"),
    }
}

/// A pod, with annotations, to be created.
pub(crate) fn pod(namespace: &str, name: &str, annotations: &[(&str, &str)]) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations.iter().copied().collect::<BTreeMap<_, _>>()},
        "spec": {"containers": [{"name": "main", "image": "example.test/none"}]},
    })
}

/// A workload of one of the kinds that have pod templates, with annotations of its own, to be created.
pub(crate) fn workload(kind: &str, namespace: &str, name: &str, annotations: &[(&str, &str)]) -> Value {
    let batch = matches!(kind, "Job" | "CronJob");
    let restart = if batch { "Never" } else { "Always" };
    let labels = json!({"app": name});
    let template = json!({
        "metadata": {"labels": labels},
        "spec": {"restartPolicy": restart, "containers": [{"name": "main", "image": "example.test/none"}]},
    });
    let spec = match kind {
        "CronJob" => json!({"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}}),
        "Job" => json!({"template": template}),
        "StatefulSet" => json!({"serviceName": name, "selector": {"matchLabels": labels}, "template": template}),
        _ => json!({"selector": {"matchLabels": labels}, "template": template}),
    };
    json!({
        "apiVersion": if batch { "batch/v1" } else { "apps/v1" },
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations.iter().copied().collect::<BTreeMap<_, _>>()},
        "spec": spec,
    })
}
