//! Cluster objects: pods, their controllers, volumes and nodes, as much of each as decides whether and how pods are moved.
//!
//! Kept small on purpose: there is one [`Pod`] for every pod of a cluster, and what many of them share is shared.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use alloc::{collections::BTreeMap, sync::Arc};
use core::fmt;

use super::{
    name::PoolName,
    namespace::Namespace,
    pod_lifecycle::PodLifecycle,
    selector::Labels,
    sensitivity::{SensitivityStatement, TemplateStatements},
    volume::{Claim, Volume},
    workload::{NodeRequirements, WorkloadKind},
};

/// The unique identifier of an object: a UUID, as the number that it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectUid(pub u128);

impl ObjectUid {
    /// Reads a UUID. `None` when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        (text.len() == 36 && digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for ObjectUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number) = self;
        let part = |shift: u32, mask: u128| (number >> shift) & mask;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            part(96, 0xffff_ffff),
            part(80, 0xffff),
            part(64, 0xffff),
            part(48, 0xffff),
            part(0, 0xffff_ffff_ffff)
        )
    }
}

/// What controls an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerRef {
    /// Its kind; `None` for one that Rempart does not know, a node of a mirror pod among them.
    pub kind: Option<WorkloadKind>,
    /// Its kind as it is written.
    pub kind_said: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Its identifier.
    pub uid: ObjectUid,
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pod {
    /// The resource version.
    pub version: u64,
    /// Its identifier.
    pub uid: ObjectUid,
    /// What controls it; nobody makes it anew where nothing does.
    pub owner: Option<Arc<OwnerRef>>,
    /// What its annotations say.
    pub statements: Arc<TemplateStatements>,
    /// Its node selector, stamps included, and its required node affinity.
    pub node_requirements: Arc<NodeRequirements>,
    /// What else it demands of a node, or bears of it.
    pub scheduling: Arc<SchedulingConstraints>,
    /// The claims of its volumes, by their names in its namespace, but for those that are made and end with it.
    pub claims: Arc<[Arc<str>]>,
    /// What it asks for of what every pod does.
    pub requests: ComputeResources,
    /// Where it is.
    pub node: Option<Arc<str>>,
    /// How far it is.
    pub phase: PodPhase,
    /// Whether its deletion has been asked for.
    pub terminating: bool,
    /// Whether it is the image of a static pod, which no API moves.
    pub mirror: bool,
}

/// On what terms a pod goes to a node, beside its selector and affinity, and leaves it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchedulingConstraints {
    /// What it bears.
    pub tolerations: Box<[PodToleration]>,
    /// What it asks for of resources that not every pod asks for: devices, huge pages, ephemeral storage.
    pub extended_resources: ExtendedResources,
    /// Keys of node labels: where one of its like is, it cannot be on a node with the same value.
    pub anti_affinity_keys: Box<[Box<str>]>,
    /// Whether it asks for devices by resource claims, of which nodes do not say how many they have left.
    pub claims_devices: bool,
    /// How it ends, and what becomes of it then.
    pub lifecycle: PodLifecycle,
}

/// Amounts of resources by name, none of them 0.
pub type ExtendedResources = BTreeMap<Box<str>, u64>;

/// Whether `asked` finds room in `left`.
#[must_use]
pub fn has_others(left: &ExtendedResources, asked: &ExtendedResources) -> bool {
    asked.iter().all(|(name, amount)| left.get(name).is_some_and(|left| left >= amount))
}

/// How far a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodPhase {
    /// A gate holds it back from being scheduled.
    Gated,
    /// No node has been chosen for it yet.
    Waiting,
    /// The scheduler has said that there is no node for it.
    Unschedulable,
    /// It has a node, and its containers do not run yet.
    Starting,
    /// They run, and it is not ready.
    Running,
    /// It is ready.
    Ready,
    /// It has ended.
    Done,
}

impl Pod {
    /// How it ends, and what becomes of it then.
    #[must_use]
    pub fn lifecycle(&self) -> &PodLifecycle {
        &self.scheduling.lifecycle
    }

    /// Whether it takes up a place or waits for one.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.phase != PodPhase::Done && !self.terminating
    }

    /// Whether it is ready and stays.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.phase == PodPhase::Ready && !self.terminating
    }
}

/// Amounts of what pods ask for and nodes have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComputeResources {
    /// Thousandths of a processor.
    pub cpu_milli: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Pods.
    pub pods: u32,
}

impl ComputeResources {
    /// Whether `asked` finds room in it.
    #[must_use]
    pub fn has_room_for(&self, asked: &Self) -> bool {
        self.cpu_milli >= asked.cpu_milli && self.memory >= asked.memory && self.pods >= asked.pods
    }

    /// What is left of it without `taken`; nothing less than nothing.
    #[must_use]
    pub fn without(&self, taken: &Self) -> Self {
        Self {
            cpu_milli: self.cpu_milli.saturating_sub(taken.cpu_milli),
            memory: self.memory.saturating_sub(taken.memory),
            pods: self.pods.saturating_sub(taken.pods),
        }
    }
}

/// What keeps pods off a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeTaint {
    /// Its key.
    pub key: Arc<str>,
    /// Its value.
    pub value: Arc<str>,
    /// Whether it keeps new pods off at all: `PreferNoSchedule` does not.
    pub effect: TaintEffect,
}

/// What a taint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaintEffect {
    /// New pods are kept off.
    NoSchedule,
    /// New pods prefer to be elsewhere.
    PreferNoSchedule,
    /// Running pods are put off as well.
    NoExecute,
}

/// What a pod bears. Absent means: any.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodToleration {
    /// The key of the taint.
    pub key: Option<Arc<str>>,
    /// Its value.
    pub value: Option<Arc<str>>,
    /// Its effect.
    pub effect: Option<TaintEffect>,
}

impl PodToleration {
    fn tolerates(&self, taint: &NodeTaint) -> bool {
        self.key.as_ref().is_none_or(|key| *key == taint.key)
            && self.value.as_ref().is_none_or(|value| *value == taint.value)
            && self.effect.is_none_or(|effect| effect == taint.effect)
    }
}

/// Whether a pod with `tolerations` is let onto a node with `taints`.
#[must_use]
pub fn tolerates(tolerations: &[PodToleration], taints: &[NodeTaint]) -> bool {
    let keeps_off = |taint: &&NodeTaint| taint.effect != TaintEffect::PreferNoSchedule;
    taints.iter().filter(keeps_off).all(|taint| tolerations.iter().any(|toleration| toleration.tolerates(taint)))
}

/// What makes pods.
#[derive(Clone, Debug)]
pub struct Controller {
    /// The resource version.
    pub version: u64,
    /// Its identifier.
    pub uid: ObjectUid,
    /// What controls it in turn.
    pub owner: Option<Arc<OwnerRef>>,
    /// What its own annotations say.
    pub statement: SensitivityStatement,
    /// What its template's annotations say.
    pub template_statements: Arc<TemplateStatements>,
    /// Its template's node selector, stamps included, and required node affinity.
    pub node_requirements: Arc<NodeRequirements>,
    /// When Rempart last moved it: the template's annotation.
    pub migration: Option<Box<str>>,
    /// Whether its deletion has been asked for.
    pub terminating: bool,
    /// How many pods it should have.
    pub replicas: u32,
    /// Whether its controller has seen the latest change of it.
    pub observed: bool,
    /// What else there is to know of its kind.
    pub spec: ControllerSpec,
}

/// What there is to know of a kind of controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControllerSpec {
    /// A `Deployment`.
    Deployment {
        /// Whether its rollout is paused.
        paused: bool,
        /// How it replaces pods.
        strategy: RolloutStrategy,
        /// Pods there are, of whatever template.
        total: u32,
        /// Pods of the latest template.
        updated: u32,
        /// Pods that have been ready for long enough.
        available: u32,
        /// Whether its rollout has exceeded its deadline.
        stuck: bool,
    },
    /// A `ReplicaSet`.
    ReplicaSet,
    /// A `StatefulSet`.
    StatefulSet {
        /// Whether its pods are only replaced by hand.
        on_delete: bool,
        /// The first ordinal that its rollouts reach: what is below is made by the former template. 0 without a partition.
        first_updated: u64,
        /// The last ordinal that it should have.
        last_ordinal: u64,
        /// Whether it has pods that its rollout has not come to yet.
        rolling: bool,
    },
    /// A `DaemonSet`.
    DaemonSet {
        /// Whether its pods are only replaced by hand.
        on_delete: bool,
        /// Pods of the latest template.
        updated: u32,
    },
    /// A `Job`.
    Job {
        /// Whether it has come to its end.
        finished: bool,
        /// Whether it has started: then its template can no longer change.
        started: bool,
        /// How many of its pods may still fail; `None` where a pod that is disrupted does not count.
        failures_left: Option<u32>,
        /// How often each of its indices may fail, where it counts by index.
        index_limit: Option<u32>,
    },
    /// A `CronJob`.
    CronJob,
}

impl ControllerSpec {
    /// The kind.
    #[must_use]
    pub fn kind(&self) -> WorkloadKind {
        match self {
            Self::Deployment { .. } => WorkloadKind::Deployment,
            Self::ReplicaSet => WorkloadKind::ReplicaSet,
            Self::StatefulSet { .. } => WorkloadKind::StatefulSet,
            Self::DaemonSet { .. } => WorkloadKind::DaemonSet,
            Self::Job { .. } => WorkloadKind::Job,
            Self::CronJob => WorkloadKind::CronJob,
        }
    }
}

impl Controller {
    /// Whether its controller is about to replace pods by itself: a Deployment that has pods of a former template, or is yet
    /// to make some of its latest, or a `StatefulSet` that its rollout has not gone through. What is only not ready is not on
    /// its way anywhere.
    #[must_use]
    pub fn is_rolling(&self) -> bool {
        match &self.spec {
            ControllerSpec::Deployment { total, updated, .. } => {
                !self.observed || *updated < self.replicas || total > updated
            }
            ControllerSpec::StatefulSet { on_delete, rolling, .. } => !on_delete && (!self.observed || *rolling),
            ControllerSpec::ReplicaSet
            | ControllerSpec::DaemonSet { .. }
            | ControllerSpec::Job { .. }
            | ControllerSpec::CronJob => false,
        }
    }

    /// Whether it bears that `pod`, one of its own, is disrupted, while so many others are `going`: a Job may count that as
    /// one failure too many, of all its pods or of the pod's index, and counts those that go when they are gone.
    #[must_use]
    pub fn bears_disruption_of(&self, pod: &Pod, going: u32) -> bool {
        match &self.spec {
            ControllerSpec::Job { failures_left: Some(left), index_limit, .. } => {
                *left > going && index_limit.is_none_or(|limit| pod.lifecycle().index_failures < limit)
            }
            ControllerSpec::Job { failures_left: None, .. }
            | ControllerSpec::Deployment { .. }
            | ControllerSpec::ReplicaSet
            | ControllerSpec::StatefulSet { .. }
            | ControllerSpec::DaemonSet { .. }
            | ControllerSpec::CronJob => true,
        }
    }
}

/// How a `Deployment` replaces pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutStrategy {
    /// All are ended before new ones are made.
    Recreate,
    /// Some at a time.
    Rolling {
        /// So many more than its replicas there may be; worked out from a share, rounded up.
        surge: u32,
        /// So many of its replicas may be missing; worked out from a share, rounded down.
        unavailable: u32,
    },
}

/// A node as a place for pods.
#[derive(Clone, Debug)]
pub struct NodeView<'a> {
    /// Its name.
    pub name: &'a str,
    /// The pool that it belongs to.
    pub pool: Option<&'a PoolName>,
    /// Its labels, those of others and the stamps that it should carry.
    pub labels: NodeViewLabels<'a>,
    /// The stamps that verdicts grant it: what runs is judged by these. What stays of the past is none of them.
    pub granted: &'a Labels,
    /// The stamps that verdicts would grant it if no pool were withdrawn ahead of the end of a certificate.
    pub retained: &'a Labels,
    /// What keeps pods off.
    pub taints: &'a [NodeTaint],
    /// Whether its kubelet says that it is ready, and nobody has closed it.
    pub schedulable: bool,
    /// What it has for pods.
    pub allocatable: ComputeResources,
    /// What else it has for them.
    pub extended_resources: &'a ExtendedResources,
}

/// The labels of a node: those of others, and the stamps that it should carry.
#[derive(Clone, Copy)]
pub struct NodeViewLabels<'a> {
    /// Those of others.
    pub own: &'a dyn super::selector::LabelSource,
    /// The stamps.
    pub stamps: &'a Labels,
}

impl fmt::Debug for NodeViewLabels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeViewLabels").field("stamps", self.stamps).finish_non_exhaustive()
    }
}

impl super::selector::LabelSource for NodeViewLabels<'_> {
    fn label(&self, key: &str) -> Option<&str> {
        match self.stamps.get(key) {
            Some(stamp) => Some(stamp),
            None => self.own.label(key),
        }
    }
}

/// Everything that runs. Objects with a namespace are found by `namespace/name`.
#[derive(Clone, Copy, Debug)]
pub struct ClusterObjects<'a> {
    /// Pods.
    pub pods: &'a BTreeMap<String, Pod>,
    /// What makes them.
    pub controllers: ControllersByKind<'a>,
    /// Namespaces by name.
    pub namespaces: &'a BTreeMap<String, Namespace>,
    /// Claims of volumes.
    pub claims: &'a BTreeMap<String, Claim>,
    /// Volumes by name.
    pub volumes: &'a BTreeMap<String, Volume>,
}

/// What makes pods, kind by kind.
#[derive(Clone, Copy, Debug)]
pub struct ControllersByKind<'a> {
    /// Of `apps/v1`.
    pub deployments: &'a BTreeMap<String, Controller>,
    /// Of `apps/v1`.
    pub replica_sets: &'a BTreeMap<String, Controller>,
    /// Of `apps/v1`.
    pub stateful_sets: &'a BTreeMap<String, Controller>,
    /// Of `apps/v1`.
    pub daemon_sets: &'a BTreeMap<String, Controller>,
    /// Of `batch/v1`.
    pub jobs: &'a BTreeMap<String, Controller>,
    /// Of `batch/v1`.
    pub cron_jobs: &'a BTreeMap<String, Controller>,
}

impl<'a> ControllersByKind<'a> {
    /// Those of every kind.
    pub fn all(self) -> impl Iterator<Item = (&'a String, &'a Controller)> {
        WorkloadKind::ALL.into_iter().filter_map(move |kind| self.of(kind)).flatten()
    }

    /// Those of `kind`; none of pods.
    #[must_use]
    pub fn of(&self, kind: WorkloadKind) -> Option<&'a BTreeMap<String, Controller>> {
        match kind {
            WorkloadKind::Deployment => Some(self.deployments),
            WorkloadKind::ReplicaSet => Some(self.replica_sets),
            WorkloadKind::StatefulSet => Some(self.stateful_sets),
            WorkloadKind::DaemonSet => Some(self.daemon_sets),
            WorkloadKind::Job => Some(self.jobs),
            WorkloadKind::CronJob => Some(self.cron_jobs),
            WorkloadKind::Pod | WorkloadKind::Templated(_) => None,
        }
    }
}

impl<'a> ClusterObjects<'a> {
    /// The pods of `namespace`.
    pub fn pods_of(&self, namespace: &str) -> impl Iterator<Item = &'a Pod> {
        let from = self.pods.range(format!("{namespace}/")..);
        from.take_while(move |(key, _)| split(key).0 == namespace).map(|(_, pod)| pod)
    }

    /// What controls what `owner` says, when it is there and is what is meant.
    #[must_use]
    pub fn controller(&self, namespace: &str, owner: &OwnerRef) -> Option<&'a Controller> {
        let known = self.controllers.of(owner.kind?)?.get(&format!("{namespace}/{}", owner.name))?;
        (known.uid == owner.uid).then_some(known)
    }
}

/// Splits what is found by `namespace/name`.
#[must_use]
pub fn split(key: &str) -> (&str, &str) {
    key.split_once('/').unwrap_or(("", key))
}

#[cfg(test)]
mod tests {
    use std::prelude::v1::*;

    use super::*;

    #[test]
    fn an_identifier_is_read_and_written_back() {
        let text = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
        assert_eq!(ObjectUid::parse(text).unwrap().to_string(), text);
        for bad in ["", "0a1b2c3d", "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8fg", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"] {
            assert_eq!(ObjectUid::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_taint_is_borne_by_key_value_and_effect() {
        let taint = |effect| NodeTaint { key: "gpu".into(), value: "a".into(), effect };
        let bearing = |key: Option<&str>, value: Option<&str>, effect| {
            vec![PodToleration { key: key.map(Into::into), value: value.map(Into::into), effect }]
        };
        let closed = [taint(TaintEffect::NoSchedule)];
        assert!(!tolerates(&[], &closed));
        assert!(tolerates(&[], &[taint(TaintEffect::PreferNoSchedule)]));
        assert!(tolerates(&bearing(None, None, None), &closed));
        assert!(tolerates(&bearing(Some("gpu"), Some("a"), Some(TaintEffect::NoSchedule)), &closed));
        assert!(!tolerates(&bearing(Some("gpu"), Some("b"), None), &closed));
        assert!(!tolerates(&bearing(Some("gpu"), None, Some(TaintEffect::NoExecute)), &closed));
    }
}
