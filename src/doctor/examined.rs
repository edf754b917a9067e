//! Examined facts: the objects of a cluster that checks look at, and what its API server answers.
//!
//! [`Examined::add`] takes manifests as JSON, of files or of a cluster alike. A kind that was not read stays unread, with why:
//! nobody takes it for empty.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{release::ReleaseSettings, rights::Subject};
use rempart_core::instant::Timestamp;

/// The kinds that checks look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is the kind of its name")]
pub enum ExaminedKind {
    Namespace,
    Node,
    Lease,
    Deployment,
    StatefulSet,
    DaemonSet,
    CronJob,
    Job,
    Pod,
    ClusterRole,
    ClusterRoleBinding,
    Role,
    RoleBinding,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
    MutatingAdmissionPolicy,
    MutatingAdmissionPolicyBinding,
    MutatingWebhookConfiguration,
    PlacementPolicy,
    PlacementPool,
}

impl ExaminedKind {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Namespace,
        Self::Node,
        Self::Lease,
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::CronJob,
        Self::Job,
        Self::Pod,
        Self::ClusterRole,
        Self::ClusterRoleBinding,
        Self::Role,
        Self::RoleBinding,
        Self::ValidatingAdmissionPolicy,
        Self::ValidatingAdmissionPolicyBinding,
        Self::MutatingAdmissionPolicy,
        Self::MutatingAdmissionPolicyBinding,
        Self::MutatingWebhookConfiguration,
        Self::PlacementPolicy,
        Self::PlacementPool,
    ];

    /// The kind, its group and version, and its plural, as the API has them.
    #[must_use]
    pub const fn resource(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Namespace => ("Namespace", "v1", "namespaces"),
            Self::Node => ("Node", "v1", "nodes"),
            Self::Lease => ("Lease", "coordination.k8s.io/v1", "leases"),
            Self::Deployment => ("Deployment", "apps/v1", "deployments"),
            Self::StatefulSet => ("StatefulSet", "apps/v1", "statefulsets"),
            Self::DaemonSet => ("DaemonSet", "apps/v1", "daemonsets"),
            Self::CronJob => ("CronJob", "batch/v1", "cronjobs"),
            Self::Job => ("Job", "batch/v1", "jobs"),
            Self::Pod => ("Pod", "v1", "pods"),
            Self::ClusterRole => ("ClusterRole", RBAC, "clusterroles"),
            Self::ClusterRoleBinding => ("ClusterRoleBinding", RBAC, "clusterrolebindings"),
            Self::Role => ("Role", RBAC, "roles"),
            Self::RoleBinding => ("RoleBinding", RBAC, "rolebindings"),
            Self::ValidatingAdmissionPolicy => ("ValidatingAdmissionPolicy", ADMISSION, "validatingadmissionpolicies"),
            Self::ValidatingAdmissionPolicyBinding => {
                ("ValidatingAdmissionPolicyBinding", ADMISSION, "validatingadmissionpolicybindings")
            }
            Self::MutatingAdmissionPolicy => ("MutatingAdmissionPolicy", ADMISSION, "mutatingadmissionpolicies"),
            Self::MutatingAdmissionPolicyBinding => {
                ("MutatingAdmissionPolicyBinding", ADMISSION, "mutatingadmissionpolicybindings")
            }
            Self::MutatingWebhookConfiguration => {
                ("MutatingWebhookConfiguration", ADMISSION, "mutatingwebhookconfigurations")
            }
            Self::PlacementPolicy => ("PlacementPolicy", OWN, "placementpolicies"),
            Self::PlacementPool => ("PlacementPool", OWN, "placementpools"),
        }
    }

    /// Its plural.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        self.resource().2
    }

    /// That of an object, if it is looked at.
    #[must_use]
    pub fn of(object: &Value) -> Option<Self> {
        let text = |field| object.get(field).and_then(Value::as_str);
        let (kind, version) = (text("kind")?, text("apiVersion")?);
        Self::ALL.into_iter().find(|known| (known.resource().0, known.resource().1) == (kind, version))
    }

    /// Whether an object of it says a level by annotation.
    #[must_use]
    pub fn is_workload(self) -> bool {
        matches!(self, Self::Deployment | Self::StatefulSet | Self::DaemonSet | Self::CronJob | Self::Job | Self::Pod)
    }
}

const RBAC: &str = "rbac.authorization.k8s.io/v1";
const ADMISSION: &str = "admissionregistration.k8s.io/v1";
const OWN: &str = "rempart.dev/v1alpha1";

/// Something that a cluster was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fact<T> {
    /// The answer.
    Known(T),
    /// There is none, for this reason.
    Unknown(String),
    /// Nobody asked: there is no cluster to ask.
    #[default]
    NotAsked,
}

/// What came of a trial request by which a node would give itself a label that no kubelet may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeRestrictionProbe {
    /// The plugin refused it.
    Refused,
    /// It would have been let through.
    LetThrough,
}

/// What the API server answers about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiServerFacts {
    /// Its version, as `v1.36.3`.
    pub version: Fact<String>,
    /// By how many seconds the clock of this machine is ahead of its clock.
    pub skew_seconds: Fact<i64>,
    /// Whether it holds kubelets to the labels that they may set.
    pub node_restriction: Fact<NodeRestrictionProbe>,
}

/// Objects of one kind.
#[derive(Clone, Debug, PartialEq)]
enum ObjectsOfKind {
    Read(Vec<Value>),
    Unread(String),
}

/// Everything that checks look at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Examined {
    objects: BTreeMap<ExaminedKind, ObjectsOfKind>,
    /// What the API server answers.
    pub api_server: ApiServerFacts,
    /// How Rempart was installed, where somebody says so; otherwise its Deployments do.
    pub release: ReleaseSettings,
    /// The subjects that are trusted with all: what they may is told, and is no finding.
    pub trusted: BTreeSet<Subject>,
    /// What time it is; of files the time of the latest lease among them.
    pub at: Option<Timestamp>,
}

/// The name of an object as people say it: `Role team/broad`.
#[must_use]
pub fn named(object: &Value) -> String {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let (kind, namespace, name) = (text("/kind"), text("/metadata/namespace"), text("/metadata/name"));
    if namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {namespace}/{name}") }
}

/// Takes from `object` what is large and nobody looks at.
fn slim(object: &mut Value) {
    for (path, field) in [("/metadata", "managedFields"), ("/status", "images")] {
        if let Some(fields) = object.pointer_mut(path).and_then(Value::as_object_mut) {
            fields.remove(field);
        }
    }
}

impl Examined {
    /// Nothing yet, of a `release` of which so much is said.
    #[must_use]
    pub fn of_release(release: ReleaseSettings) -> Self {
        Self { release, ..Self::default() }
    }

    /// Takes `object`; says whether it is of a kind that is looked at.
    pub fn add(&mut self, mut object: Value) -> bool {
        let Some(kind) = ExaminedKind::of(&object) else { return false };
        slim(&mut object);
        match self.objects.entry(kind).or_insert_with(|| ObjectsOfKind::Read(Vec::new())) {
            ObjectsOfKind::Read(objects) => objects.push(object),
            // What is known of a kind of which not all could be had.
            ObjectsOfKind::Unread(_) => {}
        }
        true
    }

    /// Says that all objects of `kind` were read, though there may be none.
    pub fn complete(&mut self, kind: ExaminedKind) {
        self.objects.entry(kind).or_insert_with(|| ObjectsOfKind::Read(Vec::new()));
    }

    /// Says that the objects of `kind` could not be read, and why.
    pub fn unread(&mut self, kind: ExaminedKind, why: impl Into<String>) {
        self.objects.insert(kind, ObjectsOfKind::Unread(why.into()));
    }

    /// The objects of `kind`.
    ///
    /// # Errors
    /// Why they were not read.
    pub fn read(&self, kind: ExaminedKind) -> Result<&[Value], String> {
        match self.objects.get(&kind) {
            Some(ObjectsOfKind::Read(objects)) => Ok(objects),
            Some(ObjectsOfKind::Unread(why)) => Err(why.clone()),
            None => Err("none is among what was read".to_owned()),
        }
    }

    /// The objects of `kind` that were read; none where that is not known.
    pub fn known(&self, kind: ExaminedKind) -> &[Value] {
        self.read(kind).unwrap_or_default()
    }

    /// Those of `kind` as their type, and of those that cannot be read so, which and why.
    #[must_use]
    pub fn decoded<T: DeserializeOwned>(&self, kind: ExaminedKind) -> (Vec<T>, Vec<String>) {
        let (mut decoded, mut undecodable) = (Vec::new(), Vec::new());
        for object in self.known(kind) {
            match T::deserialize(object) {
                Ok(object) => decoded.push(object),
                Err(error) => undecodable.push(format!("{} cannot be read: {error}", named(object))),
            }
        }
        (decoded, undecodable)
    }
}
