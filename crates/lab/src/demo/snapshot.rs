//! Snapshot of the cluster: pools and their verdicts, nodes and their stamps, workloads and their pods.
//!
//! It takes a client and the name of the policy. What a workload needs is derived here by the core, from what people
//! wrote; what admission made of it is read from the pods. That the two agree is one of the things that the demo
//! checks.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, anyhow};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
        batch::v1::{CronJob, Job},
        core::v1::{Namespace, Node, Pod},
    },
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ListParams, ObjectMeta},
};
use serde::de::DeserializeOwned;

use rempart::api::{CloudProvider, PlacementPolicy, PlacementPool, PoolVerdict};
use rempart::convert;
use rempart_core::{
    admission::SensitivitySource,
    keys,
    namespace::NamespaceFacts,
    policy::Policy,
    selector::Labels,
    sensitivity::{ControllerStatements, PodSensitivity, SensitivityStatement, TemplateStatements},
};

/// Snapshot of everything that the demo reads.
pub(super) struct ClusterSnapshot {
    pub(super) policy: PlacementPolicy,
    judged: Policy,
    pub(super) pools: BTreeMap<String, PlacementPool>,
    pub(super) providers: BTreeMap<String, CloudProvider>,
    pub(super) nodes: BTreeMap<String, Labels>,
    pub(super) workloads: Vec<ObservedWorkload>,
}

/// A level or a category of the policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ClearanceSubject {
    Level(String),
    Category(String),
}

/// A workload with its pods.
#[derive(Clone, Debug)]
pub(super) struct ObservedWorkload {
    pub(super) kind: &'static str,
    pub(super) namespace: String,
    pub(super) name: String,
    /// Number of pods that it should have.
    pub(super) wanted: usize,
    /// Whether its controller has seen its latest specification.
    pub(super) observed: bool,
    pub(super) need: WorkloadNeed,
    /// Its pods that are not being deleted.
    pub(super) pods: Vec<ObservedPod>,
}

/// Level, categories and keys that the pods of a workload need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WorkloadNeed {
    pub(super) level: String,
    pub(super) source: SensitivitySource,
    pub(super) categories: Vec<String>,
    pub(super) keys: BTreeSet<String>,
}

/// A pod, and where it is.
#[derive(Clone, Debug)]
pub(super) struct ObservedPod {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) node: Option<String>,
    pub(super) selector: Labels,
    pub(super) running: bool,
    pub(super) finished: bool,
    /// Why the scheduler finds no node, in its own words.
    pub(super) unschedulable: Option<String>,
}

impl ClusterSnapshot {
    /// Reads everything. `policy` is the name of the policy that governs.
    pub(super) async fn read(client: &Client, policy: &str) -> Result<Self> {
        let policies: Api<PlacementPolicy> = Api::all(client.clone());
        let found = policies.get(policy).await.with_context(|| format!("PlacementPolicy {policy} cannot be read"))?;
        let read = convert::policy(policy, &found.spec);
        let judged =
            read.value.ok_or_else(|| anyhow!("PlacementPolicy {policy} cannot be judged: {:?}", read.problems))?;
        let nodes = all::<Node>(client).await?;
        let snapshot = Self {
            pools: by_name(all::<PlacementPool>(client).await?),
            providers: by_name(all::<CloudProvider>(client).await?),
            nodes: nodes.into_iter().map(|node| (node.name_any(), node.metadata.labels.unwrap_or_default())).collect(),
            workloads: workloads(client, &judged).await?,
            policy: found,
            judged,
        };
        Ok(snapshot)
    }

    /// The name of the policy.
    pub(super) fn policy_name(&self) -> &str {
        self.judged.name.as_str()
    }

    /// The policy's levels, least sensitive first, then its categories.
    pub(super) fn subjects(&self) -> Vec<ClearanceSubject> {
        let levels = self.policy.spec.levels.iter().map(|level| ClearanceSubject::Level(level.name.clone()));
        let categories =
            self.policy.spec.categories.iter().map(|category| ClearanceSubject::Category(category.name.clone()));
        levels.chain(categories).collect()
    }

    /// The verdict on `pool` for `subject`, as the pool's status has it.
    pub(super) fn verdict(&self, pool: &str, subject: &ClearanceSubject) -> Option<&PoolVerdict> {
        let verdicts = &self.pools.get(pool)?.status.as_ref()?.verdicts;
        verdicts.iter().filter(|verdict| verdict.policy == self.policy_name()).find(|verdict| match subject {
            ClearanceSubject::Level(level) => verdict.level.as_ref() == Some(level),
            ClearanceSubject::Category(category) => verdict.category.as_ref() == Some(category),
        })
    }

    /// The stamp of `subject`; `None` when nothing is required for it.
    pub(super) fn key(&self, subject: &ClearanceSubject) -> Option<String> {
        match subject {
            ClearanceSubject::Level(level) => self.judged.clearance_key(self.judged.levels.rank(level)?),
            ClearanceSubject::Category(category) => self.judged.category_key(category),
        }
    }

    /// The subjects whose stamps are among `keys`.
    pub(super) fn subjects_of(&self, keys: &BTreeSet<String>) -> Vec<ClearanceSubject> {
        let asked = |subject: &ClearanceSubject| self.key(subject).is_some_and(|key| keys.contains(&key));
        self.subjects().into_iter().filter(asked).collect()
    }

    /// The nodes that the operator has stamped as `pool`'s.
    pub(super) fn nodes_of<'a>(&'a self, pool: &'a str) -> impl Iterator<Item = (&'a str, &'a Labels)> {
        let of_pool = move |labels: &Labels| labels.get(keys::POOL).is_some_and(|found| found == pool);
        self.nodes.iter().filter(move |(_, labels)| of_pool(labels)).map(|(name, labels)| (name.as_str(), labels))
    }

    /// A stamp of `node`, such as that of its pool or provider.
    pub(super) fn stamp(&self, node: &str, key: &str) -> Option<&str> {
        self.nodes.get(node)?.get(key).map(String::as_str)
    }

    /// Whether `node` carries every one of `keys`.
    pub(super) fn carries(&self, node: &str, keys: &BTreeSet<String>) -> bool {
        keys.iter().all(|key| self.stamp(node, key) == Some(keys::GRANTED))
    }

    /// Whether some node has every label that `selector` asks for.
    pub(super) fn somewhere_fits(&self, selector: &Labels) -> bool {
        self.nodes.values().any(|labels| selector.iter().all(|(key, value)| labels.get(key) == Some(value)))
    }

    /// The workload of this kind and name.
    pub(super) fn workload(&self, kind: &str, namespace: &str, name: &str) -> Option<&ObservedWorkload> {
        self.workloads.iter().find(|found| found.kind == kind && found.namespace == namespace && found.name == name)
    }
}

impl std::fmt::Display for ClearanceSubject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Level(name) => write!(f, "level {name}"),
            Self::Category(name) => write!(f, "category {name}"),
        }
    }
}

impl WorkloadNeed {
    /// Level and categories, as `restricted, health`.
    pub(super) fn words(&self) -> String {
        let categories = self.categories.iter().map(|category| format!(", {category}"));
        std::iter::once(self.level.clone()).chain(categories).collect()
    }
}

impl ObservedWorkload {
    /// `Deployment ministry/tax-api`.
    pub(super) fn title(&self) -> String {
        format!("{} {}/{}", self.kind, self.namespace, self.name)
    }
}

impl ObservedPod {
    fn new(pod: Pod) -> Self {
        let status = pod.status.unwrap_or_default();
        let spec = pod.spec.unwrap_or_default();
        let condition = status.conditions.unwrap_or_default().into_iter().find(|found| found.type_ == "PodScheduled");
        Self {
            name: pod.metadata.name.unwrap_or_default(),
            uid: pod.metadata.uid.unwrap_or_default(),
            node: spec.node_name,
            selector: spec.node_selector.unwrap_or_default(),
            running: status.phase.as_deref() == Some("Running"),
            finished: status.phase.as_deref() == Some("Succeeded"),
            unschedulable: condition.filter(|found| found.status == "False").and_then(|found| found.message),
        }
    }
}

async fn all<K>(client: &Client) -> Result<Vec<K>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let api: Api<K> = Api::all(client.clone());
    let list =
        api.list(&ListParams::default()).await.with_context(|| format!("{} cannot be listed", K::plural(&())))?;
    Ok(list.items)
}

/// Objects in the namespaces that the policy governs.
async fn namespaced<K>(client: &Client, namespaces: &BTreeMap<String, Labels>) -> Result<Vec<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let within = |object: &K| object.meta().namespace.as_ref().is_some_and(|found| namespaces.contains_key(found));
    Ok(all::<K>(client).await?.into_iter().filter(within).collect())
}

fn by_name<K: ResourceExt>(objects: Vec<K>) -> BTreeMap<String, K> {
    objects.into_iter().map(|object| (object.name_any(), object)).collect()
}

/// A workload before its pods are found.
struct WorkloadDraft {
    kind: &'static str,
    meta: ObjectMeta,
    /// The annotations of its template; `None` for a pod, which speaks for itself.
    template: Option<Labels>,
    wanted: usize,
    observed: bool,
}

impl WorkloadDraft {
    fn of(kind: &'static str, meta: &ObjectMeta, template: Option<ObjectMeta>) -> Self {
        let template = template.and_then(|meta| meta.annotations).unwrap_or_default();
        Self { kind, meta: meta.clone(), template: Some(template), wanted: 1, observed: true }
    }

    fn of_pod(meta: &ObjectMeta) -> Self {
        Self { template: None, ..Self::of("Pod", meta, None) }
    }

    fn wanting(self, wanted: Option<i32>) -> Self {
        Self { wanted: wanted.and_then(|number| usize::try_from(number).ok()).unwrap_or(1), ..self }
    }

    fn observed(self, generation: Option<i64>) -> Self {
        Self { observed: generation >= self.meta.generation, ..self }
    }

    fn finish(
        self,
        policy: &Policy,
        namespaces: &BTreeMap<String, Labels>,
        pods: Vec<ObservedPod>,
    ) -> Result<ObservedWorkload> {
        let Self { kind, meta, template, wanted, observed } = self;
        let namespace = meta.namespace.clone().unwrap_or_default();
        let name = meta.name.clone().unwrap_or_default();
        let nothing = Labels::new();
        let annotations = meta.annotations.as_ref().unwrap_or(&nothing);
        let of_namespace = SensitivityStatement::of(namespaces.get(&namespace).unwrap_or(&nothing));
        let own = template.as_ref().map(|_| SensitivityStatement::of(annotations));
        let pod = SensitivityStatement::of(template.as_ref().unwrap_or(annotations));
        let template = TemplateStatements { pod, ..TemplateStatements::default() };
        let controller = ControllerStatements { own: own.as_ref(), template: &template };
        let said = PodSensitivity::new(&of_namespace, [controller], None);
        let need = policy.need(&namespace, &said).map_err(|refusals| {
            anyhow!("the policy cannot judge {kind} {namespace}/{name}, which admission let in: {refusals:?}")
        })?;
        let need = WorkloadNeed {
            level: need.level.to_string(),
            source: need.source,
            categories: need.categories.iter().map(ToString::to_string).collect(),
            keys: need.keys,
        };
        Ok(ObservedWorkload { kind, namespace, name, wanted, observed, need, pods })
    }
}

async fn workloads(client: &Client, policy: &Policy) -> Result<Vec<ObservedWorkload>> {
    let namespaces: BTreeMap<String, Labels> = all::<Namespace>(client)
        .await?
        .into_iter()
        .map(|namespace| (namespace.name_any(), namespace.metadata.labels.unwrap_or_default()))
        .filter(|(name, labels)| {
            let namespace = rempart_core::namespace::Namespace::new(1, labels.clone());
            let is_governed = NamespaceFacts::Known(&namespace).governed_by(policy, name);
            !name.starts_with("kube-") && name != "rempart-system" && is_governed
        })
        .collect();
    let namespaces = &namespaces;

    let mut drafts = Vec::new();
    for found in namespaced::<Deployment>(client, namespaces).await? {
        let spec = found.spec.unwrap_or_default();
        let generation = found.status.unwrap_or_default().observed_generation;
        let draft = WorkloadDraft::of("Deployment", &found.metadata, spec.template.metadata);
        drafts.push(draft.wanting(spec.replicas).observed(generation));
    }
    for found in namespaced::<StatefulSet>(client, namespaces).await? {
        let spec = found.spec.unwrap_or_default();
        let generation = found.status.unwrap_or_default().observed_generation;
        let draft = WorkloadDraft::of("StatefulSet", &found.metadata, spec.template.metadata);
        drafts.push(draft.wanting(spec.replicas).observed(generation));
    }
    for found in namespaced::<DaemonSet>(client, namespaces).await? {
        let spec = found.spec.unwrap_or_default();
        let status = found.status.unwrap_or_default();
        let draft = WorkloadDraft::of("DaemonSet", &found.metadata, spec.template.metadata);
        drafts.push(draft.wanting(Some(status.desired_number_scheduled)).observed(status.observed_generation));
    }
    let sets = namespaced::<ReplicaSet>(client, namespaces).await?;
    let jobs = namespaced::<Job>(client, namespaces).await?;
    for found in namespaced::<CronJob>(client, namespaces).await? {
        let template = found.spec.job_template.spec.unwrap_or_default().template.metadata;
        let runs = jobs.iter().filter(|job| owner(&job.metadata) == found.metadata.uid.as_deref()).count();
        drafts.push(WorkloadDraft { wanted: runs, ..WorkloadDraft::of("CronJob", &found.metadata, template) });
    }
    for found in jobs.iter().filter(|job| owner(&job.metadata).is_none()) {
        let spec = found.spec.clone().unwrap_or_default();
        drafts.push(WorkloadDraft::of("Job", &found.metadata, spec.template.metadata).wanting(spec.completions));
    }

    // From whatever owns a pod to what a person wrote.
    let between = sets.iter().map(|set| &set.metadata).chain(jobs.iter().map(|job| &job.metadata));
    let above: BTreeMap<&str, &str> = between.filter_map(|meta| meta.uid.as_deref().zip(owner(meta))).collect();
    let mut pods: BTreeMap<String, Vec<ObservedPod>> = BTreeMap::new();
    for pod in namespaced::<Pod>(client, namespaces).await? {
        if pod.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let uid = pod.uid().unwrap_or_default();
        let top = match owner(&pod.metadata) {
            Some(owner) => above.get(owner).map_or(owner, |top| *top).to_owned(),
            None => uid,
        };
        if owner(&pod.metadata).is_none() {
            drafts.push(WorkloadDraft::of_pod(&pod.metadata));
        }
        pods.entry(top).or_default().push(ObservedPod::new(pod));
    }
    let finish = |draft: WorkloadDraft| {
        let pods = draft.meta.uid.as_ref().and_then(|uid| pods.remove(uid)).unwrap_or_default();
        draft.finish(policy, namespaces, pods)
    };
    drafts.into_iter().map(finish).collect()
}

/// The identifier of the controller that owns the object.
fn owner(meta: &ObjectMeta) -> Option<&str> {
    let owners = meta.owner_references.iter().flatten();
    owners.filter(|owner| owner.controller == Some(true)).map(|owner| owner.uid.as_str()).next()
}
