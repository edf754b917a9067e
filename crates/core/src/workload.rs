//! Workloads: what is said on them of how sensitive they are, and where they want to run themselves.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use alloc::{collections::BTreeSet, sync::Arc};
use core::fmt;

use super::{
    keys,
    selector::{LabelSource, Labels, Selector, SelectorOperator},
    sensitivity::{ControllerStatements, PodSensitivity, SensitivityStatement, TemplateStatements},
};

/// What has pods, or is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkloadKind {
    /// `apps/v1`.
    Deployment,
    /// `apps/v1`.
    StatefulSet,
    /// `apps/v1`.
    DaemonSet,
    /// `apps/v1`, of no Deployment.
    ReplicaSet,
    /// `batch/v1`, of no `CronJob`.
    Job,
    /// `batch/v1`.
    CronJob,
    /// `v1`, of nothing of the above.
    Pod,
    /// A kind of others that makes pods from a template, as an Argo `Rollout` does. Admission and the operator see its
    /// pods alone: what it says itself is heard nowhere.
    Templated(&'static TemplatedKind),
}

/// A kind of others that makes pods from a template, by one of its templates.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplatedKind {
    /// Its API group; empty for the core's.
    pub group: String,
    /// Its kind, as manifests write it.
    pub kind: String,
    /// The way to the pod template; `[*]` stands for each entry of a list or map.
    pub template: String,
    /// Whether an object of the kind may have several templates.
    pub is_one_of_several: bool,
}

impl WorkloadKind {
    /// Every kind that Kubernetes has itself, but for `ReplicationController`.
    pub const ALL: [Self; 7] =
        [Self::Deployment, Self::StatefulSet, Self::DaemonSet, Self::ReplicaSet, Self::Job, Self::CronJob, Self::Pod];

    /// As manifests write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Templated(kind) => &kind.kind,
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::ReplicaSet => "ReplicaSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
            Self::Pod => "Pod",
        }
    }

    /// The `apiVersion` of its manifests; of a kind of others, its group.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Templated(kind) => &kind.group,
            Self::Deployment | Self::StatefulSet | Self::DaemonSet | Self::ReplicaSet => "apps/v1",
            Self::Job | Self::CronJob => "batch/v1",
            Self::Pod => "v1",
        }
    }

    /// Whether the pods of what is of this kind hear its own annotations, given the kind of what controls it in turn.
    ///
    /// Admission mirrors the annotations of a workload onto its template, but not onto the template of a `ReplicaSet` or of
    /// a `CronJob`'s `Job`, which must stay as its owner made it: there the owner speaks.
    #[must_use]
    pub fn speaks_for_pods(self, controller: Option<&str>) -> bool {
        match self {
            Self::Deployment | Self::StatefulSet | Self::DaemonSet | Self::CronJob => true,
            Self::ReplicaSet => controller.is_none(),
            Self::Job => controller != Some(Self::CronJob.as_str()),
            Self::Pod | Self::Templated(_) => false,
        }
    }

    /// Where its pod template is; `None` for a pod.
    #[must_use]
    pub fn template_at(self) -> Option<&'static str> {
        match self {
            Self::Deployment | Self::StatefulSet | Self::DaemonSet | Self::ReplicaSet | Self::Job => {
                Some("spec.template")
            }
            Self::CronJob => Some("spec.jobTemplate.spec.template"),
            Self::Pod => None,
            Self::Templated(kind) => Some(&kind.template),
        }
    }
}

impl fmt::Display for WorkloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which workload. Ordered as people look for it: by namespace, kind and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadIdentity {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: Arc<str>,
}

impl fmt::Display for WorkloadIdentity {
    /// As admission names it: `deployment claims/api`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.as_str().to_ascii_lowercase(), self.namespace, self.name)
    }
}

/// A workload, as much of it as decides where its pods may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Which one.
    pub identity: WorkloadIdentity,
    /// What its own annotations say, where its pods hear them; of a pod, nothing.
    pub own: Option<SensitivityStatement>,
    /// What the annotations of its pod template say; of a pod, its own.
    pub template: TemplateStatements,
    /// Annotations of ours that stand where they reach no pod.
    pub misplaced: Vec<&'static str>,
    /// The node that its author names, past the scheduler.
    pub node_name: Option<Box<str>>,
    /// Where its pods want to run, whatever the policies say.
    pub node_requirements: NodeRequirements,
    /// The nodes on which its pods run now, one entry a pod; empty where nobody has looked.
    pub runs_on: Vec<Arc<str>>,
    /// The claims of volumes that one of its pods has, pod by pod; those that all have where nobody knows the pods.
    pub claims: Vec<Box<[Arc<str>]>>,
}

impl Workload {
    /// What is said of its next pod in a namespace that says this.
    #[must_use]
    pub fn sensitivity<'a>(&'a self, namespace: &'a SensitivityStatement) -> PodSensitivity<'a> {
        let own = self.own.as_ref();
        PodSensitivity::new(namespace, [ControllerStatements { own, template: &self.template }], None)
    }

    /// Whether nothing is said by it.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.own.as_ref().is_none_or(SensitivityStatement::is_silent) && self.template.is_silent()
    }
}

/// Where pods want to run: their node selector and their required node affinity.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeRequirements {
    /// Labels that the node must have.
    pub selector: Labels,
    /// Alternatives, one of which must hold; no demand when `None`.
    pub affinity: Option<Vec<NodeTerm>>,
    /// The policies whose admission has put their keys into the selector, by its marks.
    pub completed_for: BTreeSet<String>,
}

/// One alternative of a required node affinity. Without any demand it matches nothing, as Kubernetes has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeTerm {
    /// Demands on labels.
    pub labels: Selector,
    /// The names that the node may have; any when `None`.
    pub names: Option<BTreeSet<String>>,
    /// The names that the node may not have.
    pub other_than: BTreeSet<String>,
}

/// Why an alternative of a node affinity cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnreadTerm {
    /// One of its demands is none that Kubernetes takes.
    Demand,
    /// It asks for this field, or in a way that Kubernetes does not take.
    Field(String),
}

impl NodeRequirements {
    /// Whether any node will do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.selector.is_empty() && self.affinity.is_none()
    }

    /// Without what it wants of stamps in its node selector: those follow from what is judged.
    #[must_use]
    pub fn without_stamps(&self) -> Self {
        self.selecting(|key| !keys::is_stamp(key))
    }

    /// What of it is about stamps, which follow from a pool alone: what can be told where no node is known. An
    /// alternative that says nothing of them leaves the affinity open.
    #[must_use]
    pub fn of_stamps_alone(&self) -> Self {
        let known = |term: &NodeTerm| NodeTerm { labels: term.labels.only(keys::is_stamp), ..NodeTerm::default() };
        let affinity: Option<Vec<_>> = self.affinity.as_ref().map(|terms| terms.iter().map(known).collect());
        let open = affinity.iter().flatten().any(|term| term.labels.is_without_terms());
        Self { affinity: affinity.filter(|_| !open), ..self.selecting(keys::is_stamp) }
    }

    /// With those entries of its node selector alone whose keys are `wanted`, whoever has put them there.
    #[must_use]
    pub fn selecting(&self, wanted: impl Fn(&str) -> bool) -> Self {
        let entries = self.selector.iter().filter(|(key, _)| wanted(key));
        Self {
            selector: entries.map(|(key, value)| (key.clone(), value.clone())).collect(),
            affinity: self.affinity.clone(),
            completed_for: BTreeSet::new(),
        }
    }

    /// Whether a node of this name and these labels will do.
    #[must_use]
    pub fn accept<L: LabelSource + ?Sized>(&self, name: &str, labels: &L) -> bool {
        self.selector.iter().all(|(key, value)| labels.label(key) == Some(value))
            && self.affinity.as_ref().is_none_or(|terms| terms.iter().any(|term| term.accepts(name, labels)))
    }
}

/// The only field of a node that an affinity may ask for.
pub const NODE_NAME_FIELD: &str = "metadata.name";

impl NodeTerm {
    /// Reads an alternative from its demands on labels and on fields, each of which is `None` where it cannot be read.
    ///
    /// # Errors
    /// Whether it is a field that is not understood: the only one that Kubernetes lets an affinity ask for is
    /// [`NODE_NAME_FIELD`], and only with `In` and `NotIn`. What Kubernetes does not understand matches nothing.
    pub fn read(
        labels: impl IntoIterator<Item = Option<(String, SelectorOperator)>>,
        fields: impl IntoIterator<Item = Option<(String, SelectorOperator)>>,
    ) -> Result<Self, UnreadTerm> {
        let labels: Option<Vec<_>> = labels.into_iter().collect();
        let mut term = Self { labels: Selector::new(labels.ok_or(UnreadTerm::Demand)?), ..Self::default() };
        for field in fields {
            match field.ok_or(UnreadTerm::Demand)? {
                (key, SelectorOperator::In(names)) if key == NODE_NAME_FIELD => {
                    let known = term.names.take();
                    let both = known.map(|known| known.intersection(&names).cloned().collect());
                    term.names = Some(both.unwrap_or(names));
                }
                (key, SelectorOperator::NotIn(names)) if key == NODE_NAME_FIELD => term.other_than.extend(names),
                (key, _) => return Err(UnreadTerm::Field(key)),
            }
        }
        Ok(term)
    }

    /// Whether a node of this name and these labels is meant.
    #[must_use]
    pub fn accepts<L: LabelSource + ?Sized>(&self, name: &str, labels: &L) -> bool {
        (self.names.is_some() || !self.other_than.is_empty() || !self.labels.is_without_terms())
            && !self.other_than.contains(name)
            && self.names.as_ref().is_none_or(|names| names.contains(name))
            && self.labels.matches(labels)
    }
}
